// Session's way to another process and from one: describe(), leave_shell(), adopt().
#include <string>
#include <string_view>
#include <utility>

#include "session.h"
#include "session_blob.h"
#include "session_export.h"
#include "session_import.h"

namespace weir::postgres {
namespace {

bool refuse(Failure* failure, std::int32_t code, const std::string& what) {
  *failure = {code, "postgres: " + what, {}};
  return false;
}

}  // namespace

/// The session goes on elsewhere; what is left of it here will do for another one.
void Session::leave_shell() {
  hold();
  drop_notifications();
  hand_out();
  PQsetInstanceData(conn_.get(), &Session::on_event, nullptr);
  Shell shell = empty_shell(conn_.release(), *token_, parameters_);
  if (shell.conn != nullptr) spares_.put(std::move(shell));
}

bool Session::is_clean(Failure* failure) const {
  if (op_ != 0) return refuse(failure, WEIR_BAD_ARGUMENT, "export: an operation has not ended yet");
  if (state_ == State::kNew || state_ == State::kClosed) {
    return refuse(failure, WEIR_NOT_OPEN, "export: not connected");
  }
  const std::uint32_t condition = local_condition();
  if ((condition & WEIR_COND_BROKEN) != 0) {
    return refuse(failure, WEIR_CONNECTION_BROKEN, "export: the connection is broken");
  }
  const char* const found =
      (condition & WEIR_COND_UNREAD) != 0 ? "an unfinished statement, answer, COPY or pipeline"
      : (condition & WEIR_COND_IN_TRANSACTION) != 0 ? "an open transaction"
      : (condition & WEIR_COND_DIRTY) != 0          ? "one that may have left traces"
      : (condition & WEIR_COND_DOUBTFUL) != 0       ? "one whose server may be read-only"
                                                    : nullptr;
  return found == nullptr ||
         refuse(failure, WEIR_BAD_ARGUMENT,
                std::string("export: expected a clean session, found ") + found);
}

bool Session::describe(std::string* bytes, Failure* failure) {
  is_described_ = false;
  if (!is_clean(failure) || !is_movable(conn_.get(), failure)) return false;
  if (!token_ || !token_->cancel_key) {
    return refuse(failure, WEIR_NOT_SUPPORTED, "cannot be exported: its cancel key is not known");
  }
  SessionBlob description{.server_identity = dsn_.server_identity(),
                          .fingerprint = dsn_.fingerprint(),
                          .reset_mode = reset_mode_,
                          .statement_timeout_ms = options_.statement_timeout_ms,
                          .session = *token_,
                          .host = PQhost(conn_.get())};
  if (!read_parameters(conn_.get(), parameters_, &description.parameters, failure) ||
      !is_silent(conn_.get(), failure)) {
    return false;
  }
  // Also those that came after the handshake: the shell has values of them.
  parameters_ = description.parameter_names();
  *bytes = description.to_bytes();
  is_described_ = true;
  return true;
}

bool Session::adopt(int descriptor, std::string_view bytes, Failure* failure) {
  SessionBlob blob;
  if (!SessionBlob::from_bytes(bytes, &blob, failure) ||
      !fits(blob, {dsn_, reset_mode_, options_.statement_timeout_ms}, failure) ||
      !is_connected_to(descriptor, blob.session.address, failure)) {
    return false;
  }
  Shell shell = find_shell(blob, dsn_, spares_, failure);
  if (shell.conn == nullptr) return false;
  conn_.reset(shell.conn.release());
  // Last what makes the descriptor ours: who gets an error still has it.
  if (!watch(failure) || !plug_in(conn_.get(), descriptor, failure)) {
    conn_.reset();
    return false;
  }
  token_ = blob.session;
  parameters_ = std::move(shell.parameters);
  state_ = State::kOpen;
  hold();
  hand_out();
  return true;
}

}  // namespace weir::postgres
