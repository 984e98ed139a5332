// Closing: the end of a session. Shuts down the writing half, and is done when the server has let
// go, which is when end-of-file comes: Redis takes a client off its list before it closes.
//
// No QUIT: it would have to be read as a command, which it is not in the middle of one.
// Threads: one at a time.
#pragma once

#include "context.h"
#include "failure.h"

namespace weir::redis {

class Closing {
 public:
  /// Takes the descriptor out of `context`, which may be null: then there is nothing to wait for.
  explicit Closing(ContextPtr context);
  Closing(const Closing&) = delete;
  Closing& operator=(const Closing&) = delete;
  /// Hangs up for good.
  ~Closing();

  /// Goes on without waiting. kDone: the server has let go.
  Progress step(Failure* failure);
  /// What to poll between steps; -1: nothing.
  [[nodiscard]] int fd() const { return fd_; }
  /// Closes this process's descriptor, unheard by the server.
  void abandon();

 private:
  int fd_ = -1;
};

}  // namespace weir::redis
