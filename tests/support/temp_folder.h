// TempFolder: a folder of one's own below the system's temporary folder, gone with the object.
// Threads: one at a time. Fork: only the process that made it removes it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace weir::test {

class TempFolder {
 public:
  /// Makes <temp>/<prefix>XXXXXX, mode 0700. Throws std::system_error if it cannot.
  explicit TempFolder(const std::string& prefix = "weir-");
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  /// Removes it with all that is in it.
  ~TempFolder();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  pid_t maker_;
};

}  // namespace weir::test
