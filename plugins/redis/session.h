// Session: one connection to a server, whole life: unconnected, open, failed or closed. It runs one
// operation at a time (weir/driver.h), and makes the session clean after a lease.
//
// Between operations the redisContext belongs to whoever has the lease, in hiredis' blocking mode;
// lease_watch.h says what can be known of that. The driver's own commands go past the context.
// A session can go on in another process: describe() and abandon() here, adopt() there.
// Threads: one at a time, cancel() apart. Fork: a child may only call abandon().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "closing.h"
#include "context.h"
#include "dsn.h"
#include "errand.h"
#include "exchange.h"
#include "failure.h"
#include "handshake.h"
#include "hiredis_c.h"
#include "talks.h"
#include "token.h"

namespace weir::redis {

class Session {
 public:
  /// `dsn` must outlive it. No network.
  Session(const Dsn& dsn, SessionOptions options, weir_reset_mode reset_mode);
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
  [[nodiscard]] redisContext* native() const { return context_.get(); }
  /// Bits of weir_condition. Only weir_look WEIR_LOOK_AT_SOCKET makes a system call.
  [[nodiscard]] std::uint32_t condition(std::int32_t look);
  /// Closes this process's descriptor, unheard by the server.
  void abandon();

  /// Describes the session, which must be open, idle and clean, to another process. It stays as it
  /// is. No system call but a look at the socket.
  bool describe(std::string* bytes, Failure* failure) const;
  /// Becomes the session that `bytes`, a blob, describe and whose socket `descriptor` is. On
  /// success the descriptor is this object's. Does not wait. REQUIRES: nothing was started.
  bool adopt(int descriptor, std::string_view bytes, Failure* failure);

  /// Names the session, also after it failed or was closed; empty if it never was or has no name.
  [[nodiscard]] weir_token_t token() const;
  /// From any thread while the session is open. Blocks until `deadline_ns`.
  bool cancel(std::uint64_t deadline_ns, Failure* failure) const;

 private:
  enum class State { kNew, kOpen, kFailed, kClosed };
  struct Dialling {};
  struct Talking {
    Exchange exchange;
    std::unique_ptr<Talk> talk;
  };

  // Starting an operation; false: it could not begin.
  bool begin(std::int32_t op, void* argument, Failure* failure);
  bool begin_connect(Failure* failure);
  bool begin_reset(Failure* failure);
  bool begin_execute(const weir_execute_t* argument, Failure* failure);
  bool begin_confirm_gone(const weir_confirm_gone_t* argument, Failure* failure);
  bool begin_cancel_token(const weir_cancel_token_t* argument, Failure* failure);
  bool begin_talk(std::unique_ptr<Talk> talk, Failure* failure);
  bool begin_questions(std::vector<std::string> commands, Failure* failure);
  std::optional<SessionToken> own_token(const weir_token_t& bytes, Failure* failure) const;
  bool is_ready_to_talk(Failure* failure) const;

  // Stepping and ending it.
  Progress step_work(Failure* failure);
  Progress step_dialling(Failure* failure);
  Progress end_talk(Failure* failure);
  Progress end_connect(Failure* failure);
  Progress read_answers(const Questions& questions, Failure* failure);
  Progress read_gone(const Questions& questions, Failure* failure);
  bool hand_out(Failure* failure);
  void end(Progress progress, std::int32_t code);

  bool is_clean(Failure* failure) const;
  [[nodiscard]] std::uint32_t local_condition() const;
  std::uint32_t look_at_socket(std::uint32_t traces);

  // Constant after construction.
  const Dsn& dsn_;
  const SessionOptions options_;
  const weir_reset_mode reset_mode_;

  State state_ = State::kNew;
  ContextPtr context_;
  // Constant once connected.
  std::optional<SessionToken> token_;  // where the server told enough for one
  std::int64_t client_id_ = 0;         // 0: not told
  bool has_reset_ = false;             // the server knows RESET

  // The operation under way; op_ is 0 between operations.
  std::int32_t op_ = 0;
  void* argument_ = nullptr;
  std::uint64_t deadline_ns_ = 0;
  std::optional<SessionToken> asked_about_;  // CONFIRM_GONE
  std::variant<std::monostate, Dialling, std::unique_ptr<Talking>, std::unique_ptr<Closing>,
               std::unique_ptr<Errand>>
      work_;
};

}  // namespace weir::redis
