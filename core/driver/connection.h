// Connection: RAII over one driver connection; the ABI's codes and errors become Status.
//
// Operations are stepped (start, then step until done); run() is the same with a poll between
// steps, for callers that may block. The object must not outlive its Dsn. A session can move to
// another process: export_session() here, import_session() there, abandon() here before it is used
// there.
// Threads: one at a time per connection, cancel() apart. Fork: a child calls abandon(), or nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "driver/plugin.h"
#include "weir/driver.h"

namespace weir::driver {

enum class Step { kDone, kWantRead, kWantWrite, kError };

class Connection {
 public:
  /// No object: only assignment, destruction and is_open() are allowed.
  Connection() = default;
  /// An unconnected object: no network.
  static Result<Connection> open(const Dsn& dsn, const weir_conn_options_t& options);
  /// The same with what `password_file` holds now as the password; empty: with the DSN's. Reads a
  /// file; kAuthFailed as read_password_file() says it.
  static Result<Connection> open(const Dsn& dsn, weir_conn_options_t options,
                                 const std::string& password_file);
  /// A connected object out of another process's export_session() and a copy of its fd(), which is
  /// this object's on success and on failure still the caller's. Nothing of it is trusted.
  /// kNotSupported: the driver, or this version of it, cannot; kBadArgument names what is wrong or
  /// does not fit `dsn` and `options`; kConnectionBroken: the server hung up. Does not block.
  static Result<Connection> import_session(const Dsn& dsn, const weir_conn_options_t& options,
                                           int descriptor, std::string_view blob);
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;
  /// Frees the object; a session still open is cut without a goodbye.
  ~Connection();

  [[nodiscard]] bool is_open() const { return conn_ != nullptr; }

  /// Begins `op`; `argument` as weir/driver.h says for it, valid until the operation ends.
  Status start(weir_op op, void* argument, Deadline deadline);
  /// Goes on without waiting. On kError *status says why.
  Step step(Status* status);
  /// What poll() should watch between steps; -1: none.
  [[nodiscard]] int fd() const { return table_->fd(conn_); }
  /// Blocks until what `step` wants is there, at most until `deadline`. With nothing to poll it
  /// waits a millisecond, and the next step finds out.
  void wait(Step step, Deadline deadline) const;

  /// start, then poll and step until done, error or the deadline. Blocks.
  Status run(weir_op op, void* argument, Deadline deadline);

  [[nodiscard]] void* native() const { return table_->native(conn_); }
  /// Bits of weir_condition; 0 is usable. WEIR_LOOK_LOCAL makes no system call.
  [[nodiscard]] std::uint32_t condition(weir_look look) const {
    return table_->is_usable(conn_, look);
  }
  [[nodiscard]] weir_token_t session_token() const;
  /// Asks the server to stop what runs here, from another thread. Blocks until the deadline.
  Status cancel(Deadline deadline);
  /// Describes an open, idle, clean session to another process that is sent a copy of fd(); nothing
  /// changes here until abandon(). kNotSupported: it can never move; kWouldBlock: not now, for the
  /// server has said something that condition(WEIR_LOOK_AT_SOCKET) would read; kBadArgument: it is
  /// not clean. Holds no password. Does not block.
  [[nodiscard]] Result<std::string> export_session();
  /// Lets go without a word to the server; afterwards there is no object, and this process has no
  /// copy of the session's socket.
  void abandon();

 private:
  Connection(const weir_driver_t& table, weir_conn_t* conn) : table_(&table), conn_(conn) {}
  const weir_driver_t* table_ = nullptr;
  weir_conn_t* conn_ = nullptr;
};

/// Waits until `fd` is ready for what `step` wants, at most until `deadline`. False once it passed.
bool poll_until(int fd, Step step, Deadline deadline);

}  // namespace weir::driver
