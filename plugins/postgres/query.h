// Query: one statement of the driver's own on its way through a session, without blocking.
//
// Sent by the simple protocol, so that "a; b" works too. All answers are read, also after an error,
// so that the session can be used afterwards; kept are the first with rows and the first error.
// Threads: one at a time per connection. The connection is in libpq's non-blocking mode meanwhile,
// and back in the blocking mode that leases expect once it ended well.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>

#include "failure.h"

namespace weir::postgres {

using ResultPtr = std::unique_ptr<PGresult, decltype(&PQclear)>;

class Query {
 public:
  enum class Rows { kKeep, kDiscard };

  /// Sends `statement`; `doing` names it in messages and outlives the Query. kFailed: see *failure.
  /// REQUIRES: `conn` is connected and waits for nothing.
  Progress start(PGconn* conn, const char* statement, const char* doing, Rows rows,
                 Failure* failure);
  /// kDone: the server answered, perhaps by error(). kFailed: the connection is of no more use.
  Progress step(Failure* failure);

  /// After kDone: the first error the server answered with; null if none.
  [[nodiscard]] const PGresult* error() const { return error_.get(); }
  /// After kDone: the first result that was not an error; null if none. Without rows if discarded.
  [[nodiscard]] const PGresult* result() const { return result_.get(); }

 private:
  Progress read_answers(Failure* failure);
  Progress lost(Failure* failure) const;

  PGconn* conn_ = nullptr;
  const char* doing_ = "";
  bool is_flushed_ = false;
  ResultPtr error_{nullptr, &PQclear};
  ResultPtr result_{nullptr, &PQclear};
};

}  // namespace weir::postgres
