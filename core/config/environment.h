// Environment: a process's variables as they were at one moment.
// Threads: a plain value; of_process() reads the environment, so nobody may change it meanwhile.
#pragma once

#include <map>
#include <string>
#include <utility>

namespace weir::config {

class Environment {
 public:
  Environment() = default;
  explicit Environment(std::map<std::string, std::string> variables)
      : variables_(std::move(variables)) {}
  [[nodiscard]] static Environment of_process();

  /// Null if it is not set, or empty: who starts processes from a template leaves empty what is
  /// not wanted.
  [[nodiscard]] const std::string* find(const std::string& name) const;
  /// By name.
  [[nodiscard]] const std::map<std::string, std::string>& all() const { return variables_; }

 private:
  std::map<std::string, std::string> variables_;
};

}  // namespace weir::config
