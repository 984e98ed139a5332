// What a server has logged since some moment. No threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace weir::demo {

class ServerLog {
 public:
  /// `read` returns all that the server has logged so far. What is there already does not count.
  explicit ServerLog(std::function<std::string()> read);
  /// How many lines since then contain `text`.
  [[nodiscard]] std::uint64_t count(const std::string& text) const;

 private:
  std::function<std::string()> read_;
  std::size_t from_;
};

}  // namespace weir::demo
