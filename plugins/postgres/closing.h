// Closing: a goodbye that ends only when the server has let go.
//
// The server closes its end of the socket after the session is gone from its tables, so end-of-file
// is the proof. It must be the peer's: shutdown(SHUT_RDWR) or close() would answer at once by
// themselves; shutting down our writing half does not.
// Threads: one at a time.
#pragma once

#include <libpq-fe.h>

#include "failure.h"

namespace weir::postgres {

class Closing {
 public:
  /// Takes over `conn`, in whatever state it is, also connecting, failed, broken or null; says
  /// goodbye.
  explicit Closing(PGconn* conn);
  Closing(const Closing&) = delete;
  Closing& operator=(const Closing&) = delete;
  /// Hangs up for good, confirmed or not.
  ~Closing();

  /// kDone once the server has let go; kFailed if the network hid whether it has.
  Progress step(Failure* failure);
  [[nodiscard]] int fd() const { return fd_; }
  /// In a forked child, whose copy of the socket this is: closes it and touches nothing else.
  void abandon();

 private:
  int fd_ = -1;             // what is awaited: a duplicate, or conn_'s own
  PGconn* conn_ = nullptr;  // only if it could not be finished at once
};

/// Replaces this process's descriptor of `conn` by one that leads nowhere: not a word reaches the
/// server, and there is no shutdown. False: no descriptor was left for that; this process's is
/// closed all the same, and `conn` must not be used or finished any more.
[[nodiscard]] bool unplug(PGconn* conn);

/// Frees `conn` and closes this process's descriptor of it without a word to the server, and
/// without shutdown: another process may go on with the session.
void abandon_connection(PGconn* conn);

}  // namespace weir::postgres
