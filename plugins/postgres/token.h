// SessionToken: what names a session on its server from outside, and lets one ask it to stop: the
// backend's pid, the key for CancelRequests if known, and the server's address.
//
// As bytes (weir_token_t) it lies in shared memory, so reading it back trusts nothing: whatever is
// not exactly a token of this version is refused. Layout, in the machine's byte order:
//   0 "PG"  2 version  3 has_key  4 pid (4)  8 key (4)  12 address bytes (2)  14 connected (8)
//   22 the address
// Threads: plain values.
#pragma once

#include <libpq-fe.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include "weir/driver.h"

namespace weir::postgres {

/// Where a server listens: a Unix-domain or an IP socket address.
struct ServerAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] bool operator==(const ServerAddress& other) const;
};

/// The address that connected `conn` was connected to; nullopt if it is of no known kind.
[[nodiscard]] std::optional<ServerAddress> server_address(const PGconn* conn);

struct SessionToken {
  std::int32_t pid = 0;  // negative ones are a proxy's: PgBouncer makes up numbers of 32 bits
  std::optional<std::uint32_t> cancel_key;
  /// CLOCK_MONOTONIC when it had just been connected: pids are given anew, after a restart soon.
  std::uint64_t connected_ns = 0;
  ServerAddress address;

  [[nodiscard]] bool operator==(const SessionToken& other) const = default;
  [[nodiscard]] weir_token_t to_bytes() const;
  /// nullopt: not a token that this version of the driver wrote.
  static std::optional<SessionToken> from_bytes(const weir_token_t& bytes);
};

}  // namespace weir::postgres
