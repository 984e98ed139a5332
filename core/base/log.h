// Log: one event a line, key=value, to a sink that the host supplies; without one, nowhere.
//
//   log.warn("worker_reaped", {{"row", 7}, {"pid", 4123}});   event=worker_reaped row=7 pid=4123
//
// Repeats of one event name are limited to kBurst a second; what was held back is told by the next
// line of that name (suppressed=N). Never call it with a lock held: the sink is foreign code.
// Threads: any, at once. Fork: a child uses it as it is.
#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"

namespace weir {

enum class LogLevel : std::int32_t { kDebug = 0, kInfo = 1, kWarn = 2, kError = 3 };

/// One key=value. Text with spaces, quotes or control characters is quoted and escaped.
struct LogField {
  std::string_view key;
  std::variant<std::int64_t, std::string_view> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  template <std::integral Integer>
  LogField(std::string_view k, Integer v) : key(k), value(static_cast<std::int64_t>(v)) {}
};

class Log {
 public:
  /// Called with a zero-ended line without a newline, from any thread. Must not call weir.
  using Sink = void (*)(void* context, std::int32_t level, const char* line);
  using Fields = std::initializer_list<LogField>;
  static constexpr unsigned kBurst = 5;  // lines of one event name in one second

  Log() = default;  // drops everything
  /// `clock` is what the limit counts seconds by; it must outlive the log.
  Log(Sink sink, void* context, LogLevel least = LogLevel::kInfo,
      const Clock& clock = Clock::system())
      : sink_(sink), context_(context), least_(least), clock_(&clock) {}
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void debug(std::string_view event, Fields fields = {}) { write(LogLevel::kDebug, event, fields); }
  void info(std::string_view event, Fields fields = {}) { write(LogLevel::kInfo, event, fields); }
  void warn(std::string_view event, Fields fields = {}) { write(LogLevel::kWarn, event, fields); }
  void error(std::string_view event, Fields fields = {}) { write(LogLevel::kError, event, fields); }
  void write(LogLevel level, std::string_view event, Fields fields);

 private:
  // Rate limit without a lock: event names hash onto a few cells; a collision only limits sooner.
  struct Cell {
    std::atomic<std::uint64_t> second{0};
    std::atomic<std::uint32_t> lines{0};
    std::atomic<std::uint32_t> suppressed{0};
  };

  Sink sink_ = nullptr;
  void* context_ = nullptr;
  LogLevel least_ = LogLevel::kInfo;
  const Clock* clock_ = nullptr;  // set whenever sink_ is
  std::array<Cell, 64> cells_;
};

}  // namespace weir
