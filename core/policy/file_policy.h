// FilePolicy: a policy whose script is a file that may change while everything runs.
//
// Each tick looks at the file's time and size. What changed is read, compiled and checked aside,
// and put in charge when it is good; when it is not, or the file is gone, what was in charge stays
// so and the reason is in status(), until the file changes again. Threads: as ScriptedPolicy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include "policy/scripted_policy.h"

namespace weir::policy {

class FilePolicy final : public ScriptedPolicy {
 public:
  using ScriptedPolicy::ScriptedPolicy;
  void follow(const std::string& path, const Params& params, bool asked) override;

 private:
  // What is looked at instead of reading the file each time.
  struct Look {
    std::error_code error{};
    std::filesystem::file_time_type time{};
    std::uintmax_t size = 0;
    bool operator==(const Look&) const = default;
  };
  static Look look_at(const std::string& path);
  void read();

  std::string path_;
  Params params_;
  Look seen_;
};

}  // namespace weir::policy
