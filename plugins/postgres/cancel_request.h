// CancelRequest: asks a server to stop what one of its sessions runs, knowing the session's token
// only.
//
// PostgreSQL takes such a request on a connection of its own, unencrypted, and answers by closing
// it, whether or not there was anything to cancel (PostgreSQL manual, "Canceling Requests in
// Progress"). Not libpq's PQcancel: that one blocks without a deadline and needs a PGconn. Threads:
// one at a time; the blocking send() may be called from any.
#pragma once

#include <cstddef>
#include <cstdint>

#include "failure.h"
#include "token.h"

namespace weir::postgres {

class CancelRequest {
 public:
  /// REQUIRES: token.cancel_key.
  explicit CancelRequest(const SessionToken& token) : token_(token) {}
  CancelRequest(const CancelRequest&) = delete;
  CancelRequest& operator=(const CancelRequest&) = delete;
  /// Hangs up. A request that was sent stays sent.
  ~CancelRequest();

  /// Goes on without waiting; the first call connects. kDone: the server took it and hung up.
  Progress step(Failure* failure);
  /// What to poll between steps; -1 before the first.
  [[nodiscard]] int fd() const { return fd_; }

  /// All of it at once. Blocks until the server has taken it, or `deadline_ns` (monotonic).
  static Failure send(const SessionToken& token, std::uint64_t deadline_ns);

 private:
  enum class Stage { kConnect, kAwaitConnect, kSend, kAwaitEnd };

  Progress connect(Failure* failure);
  Progress check_connected(Failure* failure);
  Progress send_packet(Failure* failure);
  Progress await_end(Failure* failure);

  const SessionToken token_;
  Stage stage_ = Stage::kConnect;
  int fd_ = -1;
  std::size_t sent_ = 0;
};

}  // namespace weir::postgres
