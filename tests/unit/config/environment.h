// Variable, Variables: environment variables as a test wants them, put back as they were
// afterwards. Threads: one; nobody else may read the environment meanwhile.
#pragma once

#include <cstdlib>
#include <deque>
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

/// Several, one after another; the last of one name counts.
class Variables {
 public:
  Variables() = default;
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;
  ~Variables() {
    while (!set_.empty()) set_.pop_back();  // the one set first knows how it was
  }
  void set(const std::string& name, const std::string& value) { set_.emplace_back(name, value); }

 private:
  std::deque<Variable> set_;
};

}  // namespace weir::test
