// Variable: an environment variable as a test wants it, put back as it was afterwards.
// Threads: one; nobody else may read the environment meanwhile.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace weir::test {

class Variable {
 public:
  /// Sets `name`, or unsets it for nullopt.
  Variable(std::string name, const std::optional<std::string>& value) : name_(std::move(name)) {
    const char* const before = std::getenv(name_.c_str());  // NOLINT(concurrency-mt-unsafe)
    if (before != nullptr) before_ = before;
    set(value);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { set(before_); }

 private:
  // One thread: the contract above.
  void set(const std::optional<std::string>& value) {
    if (value) {
      setenv(name_.c_str(), value->c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
    } else {
      unsetenv(name_.c_str());  // NOLINT(concurrency-mt-unsafe)
    }
  }

  std::string name_;
  std::optional<std::string> before_;
};

}  // namespace weir::test
