#include "session_import.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

namespace weir::postgres {
namespace {

bool refuse(Failure* failure, const std::string& why) {
  *failure = {WEIR_BAD_ARGUMENT, "postgres: import: " + why, {}};
  return false;
}

std::optional<int> socket_option(int descriptor, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(descriptor, SOL_SOCKET, option, &value, &size) != 0) return std::nullopt;
  return value;
}

std::string differs(const char* what, std::uint64_t found, std::uint64_t expected) {
  return std::string("the session was made with ") + what + " " + std::to_string(found) + ", " +
         std::to_string(expected) + " expected";
}

}  // namespace

bool fits(const SessionBlob& blob, const Expected& expected, Failure* failure) {
  if (blob.server_identity != expected.dsn.server_identity()) {
    return refuse(failure, "the session is on " + blob.server_identity + ", " +
                               expected.dsn.server_identity() + " expected");
  }
  if (blob.fingerprint != expected.dsn.fingerprint()) {
    return refuse(failure, "the session was made with another DSN (its fingerprint differs)");
  }
  if (blob.reset_mode != expected.reset_mode) {
    return refuse(failure, differs("reset mode", static_cast<std::uint64_t>(blob.reset_mode),
                                   static_cast<std::uint64_t>(expected.reset_mode)));
  }
  if (blob.statement_timeout_ms != expected.statement_timeout_ms) {
    return refuse(failure, differs("statement_timeout (ms)", blob.statement_timeout_ms,
                                   expected.statement_timeout_ms));
  }
  return true;
}

bool is_connected_to(int descriptor, const ServerAddress& server, Failure* failure) {
  if (descriptor < 0 || socket_option(descriptor, SO_TYPE) != SOCK_STREAM) {
    return refuse(failure, "the descriptor is no stream socket");
  }
  ServerAddress peer;
  peer.size = sizeof peer.storage;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer.storage), &peer.size) != 0) {
    return refuse(failure, "the descriptor is not connected");
  }
  // A Unix server's own idea of its path may be another than the client's (see token.cpp), but it
  // has one; the ends of a socket pair have none.
  const bool is_unix = server.storage.ss_family == AF_UNIX;
  const bool is_server = is_unix
                             ? peer.storage.ss_family == AF_UNIX && peer.size > sizeof(sa_family_t)
                             : peer == server;
  if (!is_server) return refuse(failure, "the descriptor is connected to another address");
  char byte = 0;
  const ssize_t n = recv(descriptor, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
    *failure = {WEIR_CONNECTION_BROKEN, "postgres: import: the server hung up", {}};
    return false;
  }
  return true;
}

Shell find_shell(const SessionBlob& blob, const Dsn& dsn, SpareShells& spares, Failure* failure) {
  std::optional<Shell> spare = spares.take(blob.session);
  if (spare && retell_shell(*spare, blob)) return std::move(*spare);
  return make_shell(dsn, blob, failure);
}

}  // namespace weir::postgres
