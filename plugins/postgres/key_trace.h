// KeyTrace: learns a session's cancel key while libpq connects, and which parameters its server
// reports.
//
// libpq keeps the key to itself: PGcancel is opaque, and PQcancel blocks without a deadline and is
// of no use to another process. The one public place where the key shows is the protocol trace
// (PQtrace), in the line
//   B <tab> 12 <tab> BackendKeyData <tab> <space>pid<space>key
// It also shows the names that PQparameterStatus could be asked for, of which libpq has no list.
// So the trace is on for the handshake only, into a stream of our own that looks at lines from the
// server, keeps nothing but the last key and those names, and wipes its memory. Passwords go the
// other way (F lines). Another libpq may print another form: then there is no key, and only
// cancelling is not possible. Threads: one at a time.
#pragma once

#include <libpq-fe.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::postgres {

struct BackendKey {
  std::int32_t pid = 0;
  std::uint32_t key = 0;
};

/// The key in one line of the trace; nullopt if it is another line.
[[nodiscard]] std::optional<BackendKey> parse_key_line(std::string_view line);
/// The parameter that one line of the trace reports, which may be cut behind its name; empty if it
/// is another line.
[[nodiscard]] std::string_view parse_parameter_line(std::string_view line);

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
  /// The parameters that were reported, at most kMostNames; some twice with several hosts.
  [[nodiscard]] const std::vector<std::string>& parameters() const { return parameters_; }

  static constexpr std::size_t kMostNames = 64;

 private:
  static ssize_t write(void* self, const char* data, std::size_t size);
  void take(char c);
  void end_line();

  std::FILE* stream_ = nullptr;
  std::optional<BackendKey> key_;
  std::vector<std::string> parameters_;
  std::array<char, 128> line_{};  // the current line as far as it is of interest
  std::size_t line_size_ = 0;
  bool skips_line_ = false;
  bool is_cut_ = false;
  std::array<char, 512> buffer_{};  // the stream's
};

}  // namespace weir::postgres
