// Connection: RAII over one driver connection; the ABI's codes and errors become Status.
//
// Operations are stepped (start, then step until done); run() is the same with a poll between
// steps, for callers that may block. The object must not outlive its Dsn.
// Threads: one at a time per connection, cancel() apart. Fork: a child calls abandon(), or nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

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
  /// Lets go without a word to the server; afterwards there is no object.
  void abandon();

 private:
  Connection(const weir_driver_t& table, weir_conn_t* conn) : table_(&table), conn_(conn) {}
  const weir_driver_t* table_ = nullptr;
  weir_conn_t* conn_ = nullptr;
};

/// Waits until `fd` is ready for what `step` wants, at most until `deadline`. False once it passed.
bool poll_until(int fd, Step step, Deadline deadline);

}  // namespace weir::driver
