// Input: reads decisions off the bytes that a fuzzer offers. Past the end everything is zero or
// empty, so that any prefix of an input is an input.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace weir::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  [[nodiscard]] bool is_at_end() const { return rest_.empty(); }
  /// A little-endian number.
  template <typename T>
  T number() {
    T value{};
    const std::span<const std::uint8_t> bytes = take(sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  /// From 0 to `count` - 1. REQUIRES: 0 < count <= 256.
  std::size_t choice(std::size_t count) { return number<std::uint8_t>() % count; }
  /// At most `most` bytes; fewer if the input ends.
  std::span<const std::uint8_t> take(std::size_t most) {
    const std::span<const std::uint8_t> bytes = rest_.first(std::min(most, rest_.size()));
    rest_ = rest_.subspan(bytes.size());
    return bytes;
  }
  std::span<const std::uint8_t> rest() { return take(rest_.size()); }
  std::string text(std::size_t most) {
    const std::span<const std::uint8_t> bytes = take(most);
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::span<const std::uint8_t> rest_;
};

/// Ends the process, as fuzzers want it, with a line that says what did not hold.
[[noreturn]] void fail(const char* what, const std::string& found);

inline void require(bool holds, const char* what, const std::string& found = {}) {
  if (!holds) fail(what, found);
}

}  // namespace weir::fuzz
