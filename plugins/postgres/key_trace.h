// KeyTrace: learns a session's cancel key while libpq connects.
//
// libpq keeps the key to itself: PGcancel is opaque, and PQcancel blocks without a deadline and is
// of no use to another process. The one public place where the key shows is the protocol trace
// (PQtrace), in the line
//   B <tab> 12 <tab> BackendKeyData <tab> <space>pid<space>key
// So the trace is on for the handshake only, into a stream of our own that looks at lines from the
// server, keeps nothing but the last key, and wipes its memory. Passwords go the other way (F
// lines). Another libpq may print another form: then there is no key, and only cancelling is not
// possible. Threads: one at a time.
#pragma once

#include <libpq-fe.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string_view>

namespace weir::postgres {

struct BackendKey {
  std::int32_t pid = 0;
  std::uint32_t key = 0;
};

/// The key in one line of the trace; nullopt if it is another line.
[[nodiscard]] std::optional<BackendKey> parse_key_line(std::string_view line);

class KeyTrace {
 public:
  KeyTrace() = default;
  KeyTrace(const KeyTrace&) = delete;
  KeyTrace& operator=(const KeyTrace&) = delete;
  /// REQUIRES: stop() was called, or start() never.
  ~KeyTrace() = default;

  /// Listens to `conn`'s handshake from here on. Failing to is no error: there will be no key.
  void start(PGconn* conn);
  /// Ends the trace, if there is one, and wipes what it went through.
  void stop(PGconn* conn);

  /// What the server told last: with several hosts that is the session that stayed.
  [[nodiscard]] std::optional<BackendKey> key() const { return key_; }

 private:
  static ssize_t write(void* self, const char* data, std::size_t size);
  void take(char c);

  std::FILE* stream_ = nullptr;
  std::optional<BackendKey> key_;
  std::array<char, 64> line_{};  // the current line as far as it is of interest
  std::size_t line_size_ = 0;
  bool skips_line_ = false;
  std::array<char, 512> buffer_{};  // the stream's
};

}  // namespace weir::postgres
