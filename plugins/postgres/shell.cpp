#include "shell.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include "closing.h"

namespace weir::postgres {
namespace {

constexpr int kMostPolls = 8;  // libpq 14 to 18 need two or three

bool refuse(Failure* failure, std::int32_t code, const std::string& why) {
  *failure = {code, "postgres: import: " + why, {}};
  return false;
}

// ---- what a server says (manual, "Message Formats") ---------------------------------------------

void put_number(std::string& bytes, std::uint32_t number) {
  const std::uint32_t big_endian = htonl(number);
  bytes.append(reinterpret_cast<const char*>(&big_endian), sizeof big_endian);
}

void put_message(std::string& bytes, char type, std::string_view content) {
  bytes += type;
  put_number(bytes, static_cast<std::uint32_t>(content.size() + sizeof(std::uint32_t)));
  bytes += content;
}

bool knows(const PGconn* conn, const Parameter& told) {
  const char* const value = PQparameterStatus(conn, told.name.c_str());
  return value != nullptr && told.value == value;
}

/// ParameterStatus of each parameter that `conn` does not know, and BackendKeyData.
void put_session(std::string& bytes, const PGconn* conn, const SessionBlob& blob) {
  for (const Parameter& told : blob.parameters) {
    if (!knows(conn, told)) put_message(bytes, 'S', told.name + '\0' + told.value + '\0');
  }
  std::string key;
  put_number(key, static_cast<std::uint32_t>(blob.session.pid));
  put_number(key, blob.session.cancel_key.value_or(0));
  put_message(bytes, 'K', key);
}

/// The answer to a startup packet.
std::string greeting(const PGconn* conn, const SessionBlob& blob) {
  std::string bytes;
  std::string authenticated;
  put_number(authenticated, 0);
  put_message(bytes, 'R', authenticated);
  put_session(bytes, conn, blob);
  put_message(bytes, 'Z', "I");
  return bytes;
}

/// The answer to an empty statement, with news before it: libpq takes them at any time.
std::string retelling(const PGconn* conn, const SessionBlob& blob) {
  std::string bytes;
  put_session(bytes, conn, blob);
  put_message(bytes, 'I', {});
  put_message(bytes, 'Z', "I");
  return bytes;
}

/// Whether `conn` believes that it is `blob`'s session.
bool believes(const PGconn* conn, const SessionBlob& blob) {
  return PQstatus(conn) == CONNECTION_OK && PQtransactionStatus(conn) == PQTRANS_IDLE &&
         PQpipelineStatus(conn) == PQ_PIPELINE_OFF && PQbackendPID(conn) == blob.session.pid &&
         std::all_of(blob.parameters.begin(), blob.parameters.end(),
                     [&](const Parameter& told) { return knows(conn, told); });
}

/// The server's end of a socket pair, whose other end has taken the place of a PGconn's descriptor.
class Prompter {
 public:
  Prompter() = default;
  Prompter(const Prompter&) = delete;
  Prompter& operator=(const Prompter&) = delete;
  ~Prompter() {
    if (fd_ >= 0) close(fd_);
  }

  /// False: errno says why.
  bool sit_down_before(const PGconn* conn) {
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) != 0) {
      return false;
    }
    const bool is_seated = dup3(pair[0], PQsocket(conn), O_CLOEXEC) >= 0;
    const int error = errno;
    close(pair[0]);
    fd_ = pair[1];
    errno = error;
    return is_seated;
  }

  /// False: errno says why.
  [[nodiscard]] bool say(std::string_view bytes) const {
    const ssize_t n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0 && static_cast<std::size_t>(n) < bytes.size()) errno = EMSGSIZE;
    return n == static_cast<ssize_t>(bytes.size());
  }

 private:
  int fd_ = -1;
};

// ---- the attempt to connect ---------------------------------------------------------------------

/// How libpq is told of an address.
struct Dialled {
  std::string host;
  std::string address;  // numeric; empty for a Unix socket
  std::string port;
};

/// Whether libpq would read each as one, and the port as a number.
bool is_one_server(const Dialled& to) {
  return to.host.find(',') == std::string::npos && !to.port.empty() && to.port.size() <= 5 &&
         to.port.find_first_not_of("0123456789") == std::string::npos;
}

std::optional<Dialled> dialled(const ServerAddress& address, const std::string& host) {
  if (address.storage.ss_family == AF_UNIX) {
    sockaddr_un at{};
    std::memcpy(&at, &address.storage, address.size);
    const std::size_t path_bytes = address.size - offsetof(sockaddr_un, sun_path);
    std::string path(at.sun_path, path_bytes);
    if (path[0] == '\0') {
      path[0] = '@';
    } else {
      path.resize(strnlen(path.data(), path.size()));
    }
    constexpr std::string_view kName = "/.s.PGSQL.";
    const std::size_t name_at = path.rfind(kName);
    if (name_at == std::string::npos) return std::nullopt;
    return Dialled{path.substr(0, name_at), {}, path.substr(name_at + kName.size())};
  }
  std::array<char, NI_MAXHOST> numeric{};
  std::array<char, NI_MAXSERV> port{};
  if (getnameinfo(address.get(), address.size, numeric.data(), numeric.size(), port.data(),
                  port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return std::nullopt;
  }
  return Dialled{host, numeric.data(), port.data()};
}

void add_option(std::string& text, std::string_view keyword, std::string_view value) {
  text.append(keyword).append("='");
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  text += "' ";
}

/// Every option of libpq's that the environment or a service file could supply, so that they
/// supply none: the DSN's values, what libpq has built in, or nothing. As text, for in an array of
/// options an empty value counts as none.
std::string all_options(const Dsn& dsn, const Dialled& to) {
  // What would have a say in a handshake that is none. A password file that cannot be: it is not
  // looked for.
  const Options ours = {
      {"host", to.host},
      {"hostaddr", to.address},
      {"port", to.port},
      {"passfile", "/dev/null/none"},
      {"connect_timeout", "0"},
      {"sslmode", "disable"},
      {"sslnegotiation", "postgres"},
      {"gssencmode", "disable"},
      {"channel_binding", "disable"},
      {"require_auth", ""},
      {"requirepeer", ""},
      {"target_session_attrs", "any"},
      {"load_balance_hosts", "disable"},
      {"min_protocol_version", "3.0"},
      {"max_protocol_version", "3.0"},
  };
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> known(
      PQconninfoParse("", nullptr), &PQconninfoFree);
  std::string text;
  if (known == nullptr) return text;
  for (const PQconninfoOption* at = known.get(); at->keyword != nullptr; ++at) {
    const std::string keyword = at->keyword;
    // A service cannot be switched off, but whatever it says is said here already.
    if (at->envvar == nullptr || keyword == "service") continue;
    const auto found = std::find_if(ours.begin(), ours.end(),
                                    [&](const auto& option) { return option.first == keyword; });
    std::string value = found != ours.end() ? found->second : dsn.effective(keyword);
    if (found == ours.end() && value.empty() && at->compiled != nullptr) value = at->compiled;
    add_option(text, keyword, value);
  }
  return text;
}

/// Runs libpq's handshake, all answers of which are there already.
bool shake_hands(PGconn* conn) {
  for (int i = 0; i < kMostPolls; ++i) {
    switch (PQconnectPoll(conn)) {
      case PGRES_POLLING_OK:
        return true;
      case PGRES_POLLING_FAILED:
        return false;
      default:
        break;
    }
  }
  return false;
}

}  // namespace

Shell empty_shell(PGconn* conn, const SessionToken& session, std::vector<std::string> parameters) {
  Shell shell;
  if (!unplug(conn)) return shell;
  shell.conn.reset(conn);
  shell.session = session;
  shell.parameters = std::move(parameters);
  return shell;
}

Shell make_shell(const Dsn& dsn, const SessionBlob& blob, Failure* failure) {
  const auto to = dialled(blob.session.address, blob.host);
  if (!to || !is_one_server(*to)) {
    refuse(failure, WEIR_BAD_ARGUMENT, "the server's address is none that libpq dials");
    return {};
  }
  Shell shell;
  shell.conn.reset(PQconnectStart(all_options(dsn, *to).c_str()));
  PGconn* const conn = shell.conn.get();
  if (conn == nullptr) {
    refuse(failure, WEIR_OUT_OF_MEMORY, "out of memory");
    return {};
  }
  if (PQstatus(conn) == CONNECTION_BAD || PQsocket(conn) < 0) {
    refuse(failure, WEIR_CONNECT_FAILED, one_line(PQerrorMessage(conn)));
    return {};
  }
  Prompter prompter;
  if (!prompter.sit_down_before(conn) || !prompter.say(greeting(conn, blob))) {
    *failure = system_failure(WEIR_SYSTEM_ERROR, "import: a socket pair", errno);
    return {};
  }
  if (!shake_hands(conn) || !believes(conn, blob)) {
    refuse(failure, WEIR_NOT_SUPPORTED,
           "this libpq cannot be told of a session: " + one_line(PQerrorMessage(conn)));
    return {};
  }
  shell.session = blob.session;
  shell.parameters = blob.parameter_names();
  return shell;
}

bool retell_shell(Shell& shell, const SessionBlob& blob) {
  PGconn* const conn = shell.conn.get();
  const bool is_it = shell.session == blob.session && *PQerrorMessage(conn) == '\0' &&
                     shell.parameters == blob.parameter_names() && believes(conn, blob);
  if (is_it) return true;
  // A parameter cannot be taken back.
  const bool can_tell =
      std::all_of(shell.parameters.begin(), shell.parameters.end(),
                  [&](const std::string& name) { return blob.parameter(name) != nullptr; });
  if (!can_tell || PQstatus(conn) != CONNECTION_OK) return false;
  Prompter prompter;
  if (!prompter.sit_down_before(conn) || !prompter.say(retelling(conn, blob))) return false;
  // libpq takes a key only while a statement runs; the prompter has answered it already.
  if (PQsendQuery(conn, "") == 0 || PQconsumeInput(conn) == 0 || PQisBusy(conn) != 0) return false;
  PGresult* const result = PQgetResult(conn);
  const bool is_empty = PQresultStatus(result) == PGRES_EMPTY_QUERY;
  PQclear(result);
  if (!is_empty || PQisBusy(conn) != 0 || PQgetResult(conn) != nullptr) return false;
  shell.session = blob.session;
  shell.parameters = blob.parameter_names();
  return believes(conn, blob);
}

bool plug_in(const PGconn* conn, int descriptor, Failure* failure) {
  const int flags = fcntl(descriptor, F_GETFL);
  // libpq's sockets never block; this is a mode of the socket, not of a descriptor of it.
  if (flags < 0 ||
      ((flags & O_NONBLOCK) == 0 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) ||
      dup3(descriptor, PQsocket(conn), O_CLOEXEC) < 0) {
    *failure = system_failure(WEIR_SYSTEM_ERROR, "import: the session's descriptor", errno);
    return false;
  }
  close(descriptor);
  return true;
}

}  // namespace weir::postgres
