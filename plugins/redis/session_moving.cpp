// Session's way to another process and from one: describe() and adopt().
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lease_watch.h"
#include "session.h"
#include "session_blob.h"

namespace weir::redis {
namespace {

std::optional<std::string> peer_of(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  if (getpeername(descriptor, raw, &size) != 0 || size > sizeof address) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(&address), size);
}

sa_family_t family_of(const std::string& address) {
  sa_family_t family = AF_UNSPEC;
  if (address.size() >= sizeof family)
    address.copy(reinterpret_cast<char*>(&family), sizeof family);
  return family;
}

bool refuse(Failure* failure, const std::string& why) {
  return fail(failure, WEIR_BAD_ARGUMENT, "import: " + why);
}

bool fits(const SessionBlob& blob, const Dsn& dsn, weir_reset_mode reset_mode, Failure* failure) {
  if (blob.server_identity != dsn.server_identity()) {
    return refuse(failure, "the session is on " + shown(blob.server_identity) + ", " +
                               dsn.server_identity() + " expected");
  }
  if (blob.db != dsn.db()) {
    return refuse(failure, "the session is in database " + std::to_string(blob.db) + ", " +
                               std::to_string(dsn.db()) + " expected");
  }
  if (blob.fingerprint != dsn.fingerprint()) {
    return refuse(failure, "the session was made with another DSN (its fingerprint differs)");
  }
  if (blob.reset_mode != reset_mode) {
    return refuse(failure, "the session was made with reset mode " +
                               std::to_string(blob.reset_mode) + ", " + std::to_string(reset_mode) +
                               " expected");
  }
  return true;
}

/// Whether `descriptor` is a connected socket of the server that `blob` names.
bool is_connected_to(int descriptor, const SessionBlob& blob, bool is_unix, Failure* failure) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
    return refuse(failure, "the descriptor is no stream socket");
  }
  const std::optional<std::string> peer = peer_of(descriptor);
  if (!peer) return refuse(failure, "the descriptor is not connected");
  // A Unix server's own idea of its path may be another than the client's, but it has one; the ends
  // of a socket pair have none.
  const bool is_server = is_unix ? family_of(*peer) == AF_UNIX && peer->size() > sizeof(sa_family_t)
                                 : *peer == blob.peer;
  if (!is_server) return refuse(failure, "the descriptor is connected to another address");
  char byte = 0;
  const ssize_t n = recv(descriptor, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  return fail(failure, WEIR_CONNECTION_BROKEN,
              n > 0 ? "import: the server has said something that nobody asked for"
                    : "import: the server hung up");
}

}  // namespace

bool Session::is_clean(Failure* failure) const {
  const auto refuse_export = [&](std::int32_t code, const char* why) {
    return fail(failure, code, std::string("export: ") + why);
  };
  if (op_ != 0) return refuse_export(WEIR_BAD_ARGUMENT, "an operation has not ended yet");
  if (state_ == State::kNew || state_ == State::kClosed) {
    return refuse_export(WEIR_NOT_OPEN, "not connected");
  }
  const std::uint32_t condition = local_condition();
  if ((condition & WEIR_COND_BROKEN) != 0) {
    return refuse_export(WEIR_CONNECTION_BROKEN, "the connection is broken");
  }
  if (condition == 0) return true;
  return refuse_export(WEIR_BAD_ARGUMENT,
                       (condition & WEIR_COND_UNREAD) != 0
                           ? "expected a clean session, found unsent commands or unread answers"
                           : "expected a clean session, found one that was used since its reset");
}

bool Session::describe(std::string* bytes, Failure* failure) const {
  if (!is_clean(failure)) return false;
  if (!token_) {
    return fail(failure, WEIR_NOT_SUPPORTED,
                "cannot be exported: the server did not tell which of its clients the session is");
  }
  char byte = 0;
  const ssize_t n = recv(context_->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) {
    return fail(failure, WEIR_WOULD_BLOCK, "export: the server has said something unasked");
  }
  const std::optional<std::string> peer = peer_of(context_->fd);
  if ((n < 0 && errno != EAGAIN && errno != EINTR) || n == 0 || !peer) {
    return fail(failure, WEIR_CONNECTION_BROKEN, "export: the server hung up");
  }
  *bytes = SessionBlob{.server_identity = dsn_.server_identity(),
                       .fingerprint = dsn_.fingerprint(),
                       .db = dsn_.db(),
                       .reset_mode = reset_mode_,
                       .has_reset = has_reset_,
                       .session = *token_,
                       .peer = dsn_.is_unix() ? "" : *peer}
               .to_bytes();
  return true;
}

bool Session::adopt(int descriptor, std::string_view bytes, Failure* failure) {
  SessionBlob blob;
  if (!SessionBlob::from_bytes(bytes, &blob, failure) || !fits(blob, dsn_, reset_mode_, failure) ||
      !is_connected_to(descriptor, blob, dsn_.is_unix(), failure)) {
    return false;
  }
  ContextPtr context = wrap(descriptor, dsn_);
  if (context == nullptr || !watch(*context)) {
    if (context != nullptr) redisFreeKeepFd(context.release());  // it stays the caller's
    return fail(failure, WEIR_OUT_OF_MEMORY, "import: out of memory");
  }
  context_ = std::move(context);
  token_ = blob.session;
  client_id_ = blob.session.client_id;
  has_reset_ = blob.has_reset;
  state_ = State::kOpen;
  return true;
}

}  // namespace weir::redis
