// SessionToken: what names a session on its server from outside: the server, which run of it, and
// the client's number there.
//
// As bytes (weir_token_t) it lies in shared memory, so reading it back trusts nothing: whatever is
// not exactly a token of this version is refused. Layout, in the machine's byte order:
//   0 "RD"  2 version  3 zero  4 run id (40)  44 client id (8)  52 connected (8)
//   60 identity bytes (2)  62 the server's identity
// Threads: plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "weir/driver.h"

namespace weir::redis {

inline constexpr std::size_t kRunIdBytes = 40;  // INFO: hexadecimal digits

struct SessionToken {
  std::string server_identity;  // of the DSN
  std::string run_id;           // changes with every start of a server
  std::int64_t client_id = 0;   // CLIENT ID: never given twice in one run
  /// CLOCK_MONOTONIC when it had just been connected.
  std::uint64_t connected_ns = 0;

  [[nodiscard]] bool operator==(const SessionToken& other) const = default;
  [[nodiscard]] weir_token_t to_bytes() const;
  /// nullopt: not a token that this version of the driver wrote.
  static std::optional<SessionToken> from_bytes(const weir_token_t& bytes);
};

}  // namespace weir::redis
