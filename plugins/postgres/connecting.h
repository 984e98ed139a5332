// Connecting: a connection attempt, without blocking: libpq's PQconnectStart and PQconnectPoll.
//
// The deadline is the caller's: libpq's connect_timeout does not apply to PQconnectPoll. One thing
// blocks nevertheless, inside libpq: looking up a host's name (write hostaddr= to avoid it).
// Threads: one at a time.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dsn.h"
#include "failure.h"
#include "key_trace.h"
#include "token.h"

namespace weir::postgres {

/// What the host wants of every session, beside the DSN.
struct SessionOptions {
  std::string client_name;  // unless DSN or PGAPPNAME name another
  std::uint32_t statement_timeout_ms = 0;
  std::optional<std::string> password{};  // before the DSN's, PGPASSWORD's and the password file's
};

class Connecting {
 public:
  Connecting() = default;
  Connecting(const Connecting&) = delete;
  Connecting& operator=(const Connecting&) = delete;
  ~Connecting();

  /// Begins. The new PGconn is the caller's, also if the attempt fails; null only without memory.
  /// REQUIRES: it is not finished before this object is destroyed.
  PGconn* start(const Dsn& dsn, const SessionOptions& options);
  /// Goes on without waiting. kDone: connected, in libpq's blocking mode, error texts as usual.
  Progress step(Failure* failure);

  /// After kDone: the session's token; without a cancel key if none was seen, nullopt if the server
  /// names no session.
  [[nodiscard]] std::optional<SessionToken> token() const;
  /// After kDone: the names of what the server reported.
  [[nodiscard]] const std::vector<std::string>& parameters() const { return trace_.parameters(); }

 private:
  PGconn* conn_ = nullptr;
  KeyTrace trace_;
  Progress wants_ = Progress::kWantWrite;
};

}  // namespace weir::postgres
