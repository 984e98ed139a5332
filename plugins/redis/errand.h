// Errand: a short connection of the driver's own about somebody else's session: stop what it waits
// for, end it, or find out whether it is still there. It logs in as the DSN says, looks whether it
// has met the server that the session is on, asks, and hangs up; done when the server has let go,
// so that it is counted no more.
// Threads: one at a time; the blocking run() may be called from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "closing.h"
#include "context.h"
#include "dsn.h"
#include "exchange.h"
#include "handshake.h"
#include "talks.h"
#include "token.h"

namespace weir::redis {

class Errand {
 public:
  enum class What {
    kUnblock,  // CLIENT UNBLOCK: a blocking command ends with an error
    kKill,     // CLIENT KILL
    kFind,     // CLIENT LIST
  };

  /// `dsn` has to outlive it.
  Errand(What what, const Dsn& dsn, SessionOptions options, SessionToken token);
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;
  ~Errand() = default;

  /// Goes on without waiting; the first call connects. kDone: the server has done it and hung up.
  Progress step(Failure* failure);
  /// What to poll between steps; -1 before the first.
  [[nodiscard]] int fd() const;
  /// Closes this process's descriptor, unheard by the server.
  void abandon();
  /// After kFind: whether the session is gone.
  [[nodiscard]] bool is_gone() const { return is_gone_; }

  /// All of it at once. Blocks until it is done, or `deadline_ns` (monotonic).
  static Failure run(Errand& errand, std::uint64_t deadline_ns);

 private:
  struct Asking {
    Exchange exchange;
    Questions questions;
  };
  struct Greeting {
    Exchange exchange;
    Handshake handshake;
  };

  Progress step_work(Failure* failure);
  Progress end_greeting(Failure* failure);
  Progress end_asking(Failure* failure);
  Progress hang_up();
  bool fail_as(Failure* failure, std::int32_t code, const std::string& why) const;

  const What what_;
  const Dsn& dsn_;
  const SessionOptions options_;
  const SessionToken token_;
  ContextPtr context_;
  bool is_gone_ = false;
  std::variant<std::monostate, std::unique_ptr<Greeting>, std::unique_ptr<Asking>,
               std::unique_ptr<Closing>>
      work_;
};

}  // namespace weir::redis
