// Session: one connection to a server, whole life: unconnected, open, failed or closed. It runs one
// operation at a time (weir/driver.h), watches what leases do to it, and makes it clean again.
//
// Between operations the PGconn belongs to whoever has the lease, in libpq's blocking mode, and an
// event procedure notes the command tag of every result. The driver's own statements are not noted.
// A session can go on in another process: describe() and abandon() here, adopt() there.
// Threads: one at a time, cancel() apart. Fork: a child may only call abandon().
#pragma once

#include <libpq-events.h>
#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cancel_request.h"
#include "closing.h"
#include "connecting.h"
#include "dsn.h"
#include "failure.h"
#include "query.h"
#include "spare_shells.h"
#include "token.h"

namespace weir::postgres {

class Session {
 public:
  /// `dsn` and `spares` must outlive it. No network.
  Session(const Dsn& dsn, SpareShells& spares, SessionOptions options, weir_reset_mode reset_mode);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// A session still open is cut without a goodbye.
  ~Session() = default;

  /// Begins an operation: weir_op, its argument, a monotonic deadline. False: see *failure.
  /// WEIR_OP_CLOSE may come at any time and ends what was under way.
  bool start(std::int32_t op, void* argument, std::uint64_t deadline_ns, Failure* failure);
  /// Goes on with it without waiting.
  Progress step(Failure* failure);

  [[nodiscard]] int fd() const;
  [[nodiscard]] PGconn* native() const { return conn_.get(); }
  /// Bits of weir_condition. Only weir_look WEIR_LOOK_AT_SOCKET makes system calls.
  [[nodiscard]] std::uint32_t condition(std::int32_t look);
  /// Closes this process's descriptor, unheard by the server.
  void abandon();

  /// Describes the session, which must be open, idle and clean, to another process. It stays as it
  /// is: either this one goes on with it, or abandon() leaves it to the other. No system call but a
  /// look at the socket.
  bool describe(std::string* bytes, Failure* failure);
  /// Becomes the session that `bytes`, a blob, describe and whose socket `descriptor` is. On
  /// success the descriptor is this object's. Does not wait. REQUIRES: nothing was started.
  bool adopt(int descriptor, std::string_view bytes, Failure* failure);

  /// Names the session, also after it failed or was closed; empty if it never was or has no name.
  [[nodiscard]] weir_token_t token() const;
  /// From any thread while the session is open. Blocks until `deadline_ns`.
  bool cancel(std::uint64_t deadline_ns, Failure* failure) const;

 private:
  enum class State { kNew, kOpen, kFailed, kClosed };
  struct Cut {
    void operator()(PGconn* conn) const;
  };

  // Starting an operation; false: it could not begin.
  bool begin(std::int32_t op, void* argument, Failure* failure);
  bool begin_connect(Failure* failure);
  bool begin_cancel_token(const weir_cancel_token_t* argument, Failure* failure);
  bool begin_query(const std::string& statement, Query::Rows rows, Failure* failure);
  bool begin_reset(Failure* failure);
  bool begin_confirm_gone(const weir_confirm_gone_t* argument, Failure* failure);
  bool is_ready_for_query(Failure* failure) const;
  bool send(const std::string& statement, Query::Rows rows, Failure* failure);
  bool send_next_of_reset(Failure* failure);
  bool watch(Failure* failure);

  // Stepping and ending it.
  Progress step_work(Failure* failure);
  Progress end_connect();
  Progress end_query(Failure* failure);
  Progress read_answer(const PGresult* result, Failure* failure);
  bool is_still_writable(const PGresult* result, Failure* failure);
  void end(Progress progress, std::int32_t code);

  // What leases do, and what is taken back from them.
  void note(const PGresult* result);
  void hold();
  void hand_out();
  bool drop_notifications();
  bool is_clean(Failure* failure) const;
  void leave_shell();
  std::uint32_t local_condition() const;
  std::uint32_t look_at_socket();
  static int on_event(PGEventId event, void* info, void* unused);
  static void on_notice(void* self, const PGresult* notice);

  // Constant after construction.
  const Dsn& dsn_;
  SpareShells& spares_;
  const SessionOptions options_;
  const weir_reset_mode reset_mode_;

  State state_ = State::kNew;
  std::unique_ptr<PGconn, Cut> conn_;
  std::optional<SessionToken> token_;    // constant once connected
  std::vector<std::string> parameters_;  // names of what the server reported, constant likewise

  PQnoticeReceiver default_receiver_ = nullptr;  // libpq's

  // The operation under way; op_ is 0 between operations. Declared after conn_, which it uses.
  std::int32_t op_ = 0;
  void* argument_ = nullptr;
  std::uint64_t deadline_ns_ = 0;
  bool has_discarded_ = false;  // this reset has sent its DISCARD ALL
  bool is_asking_ = false;      // what was sent asks whether the server can still be written to
  std::variant<std::monostate, Connecting, Closing, CancelRequest, Query> work_;

  bool is_dirty_ = false;       // as the reset mode counts; never in WEIR_RESET_TRANSACTION
  bool is_doubtful_ = false;    // a statement was refused as if the server were read-only
  bool said_farewell_ = false;  // the server sent FATAL while nobody asked
  bool is_unexpected_ = false;  // libpq met a message that nobody asked for
  bool is_described_ = false;   // and nothing was started since
};

// Every release asks this; the call would cost as much as the look.
[[gnu::always_inline]] inline std::uint32_t Session::local_condition() const {
  std::uint32_t bits = is_doubtful_ ? WEIR_COND_DOUBTFUL : 0;
  if (state_ != State::kOpen || said_farewell_) return bits | WEIR_COND_BROKEN;
  switch (
      PQtransactionStatus(conn_.get())) {  // unknown as well when PQstatus() is not CONNECTION_OK
    case PQTRANS_IDLE:
      break;
    case PQTRANS_INTRANS:
    case PQTRANS_INERROR:
      bits |= WEIR_COND_IN_TRANSACTION;
      break;
    case PQTRANS_ACTIVE:
      bits |= WEIR_COND_UNREAD;
      break;
    case PQTRANS_UNKNOWN:
      return bits | WEIR_COND_BROKEN;
  }
  if (PQpipelineStatus(conn_.get()) != PQ_PIPELINE_OFF) bits |= WEIR_COND_UNREAD;
  if (is_dirty_ || PQisnonblocking(conn_.get()) != 0) bits |= WEIR_COND_DIRTY;
  return bits;
}

}  // namespace weir::postgres
