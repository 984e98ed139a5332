#include "support/postgres_server.h"

#include <libpq-fe.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX's
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/server_process.h"

namespace weir::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(60);  // for a loaded machine
constexpr const char* kUser = "postgres";             // the role

void pause_briefly() { poll(nullptr, 0, 2); }

// ---- programs and processes ---------------------------------------------------------------------

/// The newest of Debian's /usr/lib/postgresql/<version>/bin, or what `pg_config` says elsewhere.
std::optional<fs::path> find_programs() {
  std::optional<fs::path> found;
  int newest = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
    int version = 0;
    const std::string name = entry.path().filename().string();
    std::from_chars(name.data(), name.data() + name.size(), version);
    if (version > newest && fs::exists(entry.path() / "bin/initdb", ignored)) {
      newest = version;
      found = entry.path() / "bin";
    }
  }
  for (const char* const folder : {"/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"}) {
    if (!found && fs::exists(fs::path(folder) / "initdb", ignored)) found = folder;
  }
  return found;
}

fs::path program(const char* name) {
  static const std::optional<fs::path> folder = find_programs();
  if (!folder) throw std::runtime_error("PostgreSQL's server programs are not installed");
  return *folder / name;
}

void run_program(const std::vector<std::string>& command, const fs::path& log,
                 const std::optional<User>& user) {
  const pid_t child = spawn_server(command, log, user);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw std::runtime_error(command[0] + " failed:\n" + read_file(log));
  }
}

// ---- the data folder that all servers begin with ------------------------------------------------

/// A cluster with the role and database "app", made once per process.
class Template {
 public:
  static const fs::path& data() {
    static const Template made;
    return made.data_;
  }

 private:
  Template() : folder_("weir-pg-template-"), data_(folder_.path() / "data") {
    const auto user = server_user();
    const fs::path log = folder_.path() / "log";
    give_to(folder_.path(), user);
    run_program({program("initdb"), "-D", data_, "-U", kUser, "-A", "trust", "-E", "UTF8",
                 "--locale=C", "--wal-segsize=1", "--no-sync", "--no-instructions"},
                log, user);
    // In single-user mode, so that no server has to be started for it. What nobody needs goes: this
    // folder is copied for every server.
    const fs::path script = folder_.path() / "app.sql";
    std::ofstream(script) << "CREATE ROLE app LOGIN;\n"
                             "ALTER DATABASE postgres RENAME TO app;\n"
                             "ALTER DATABASE app OWNER TO app;\n"
                             "UPDATE pg_database SET datistemplate = false;\n"
                             "DROP DATABASE template0;\n";
    fs::permissions(script, fs::perms::others_read, fs::perm_options::add);
    run_program({"/bin/sh", "-c",
                 program("postgres").string() + " --single -F -D '" + data_.string() +
                     "' template1 < '" + script.string() + "'"},
                log, user);
  }

  TempFolder folder_;
  fs::path data_;
};

/// A port nobody listens on at the moment.
std::uint16_t free_tcp_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  const bool is_bound = fd >= 0 && bind(fd, raw, size) == 0 && getsockname(fd, raw, &size) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (!is_bound) throw std::system_error(error, std::generic_category(), "a port on loopback");
  return ntohs(address.sin_port);
}

std::string quoted(const std::string& value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'') text += '\'';
    text += c;
  }
  return text + "'";
}

constexpr int kUnixPort = 5432;  // names the socket; the folder is ours alone

}  // namespace

// ---- the superuser's own session ----------------------------------------------------------------

/// The connection of ask(): made on first use, and again after the server went away.
class PostgresServer::Asker {
 public:
  explicit Asker(const std::string& dsn) : conn_(PQconnectdb(dsn.c_str())) {
    PQsetNoticeProcessor(
        conn_, [](void*, const char*) {}, nullptr);
  }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;
  ~Asker() { PQfinish(conn_); }

  [[nodiscard]] bool is_alive() const { return PQstatus(conn_) == CONNECTION_OK; }

  std::string ask(const std::string& statements) {
    PGresult* const result = PQexec(conn_, statements.c_str());
    const ExecStatusType status = PQresultStatus(result);
    std::string answer;
    if (PQntuples(result) > 0) answer = PQgetvalue(result, 0, 0);
    PQclear(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      throw std::runtime_error(PQerrorMessage(conn_));
    }
    return answer;
  }

 private:
  PGconn* conn_;
};

// ---- PostgresServer -----------------------------------------------------------------------------

bool PostgresServer::is_installed() { return find_programs().has_value(); }

PostgresServer::PostgresServer(PostgresSettings settings)
    : settings_(std::move(settings)), maker_(getpid()), folder_("weir-pg-") {
  const auto user = server_user();
  give_to(folder_.path(), user);
  run_program({"/bin/cp", "-R", "--reflink=auto", "--", Template::data(), folder_.path() / "data"},
              folder_.path() / "log", user);
  if (settings_.tls) {
    const fs::path data = folder_.path() / "data";
    run_program({"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                 "-keyout", data / "server.key", "-out", data / "server.crt"},
                folder_.path() / "log", user);
  }
  if (settings_.tcp) tcp_port_ = free_tcp_port();
  write_configuration();
  start();
}

PostgresServer::~PostgresServer() {
  if (getpid() != maker_) {
    static_cast<void>(asker_.release());  // its descriptor is the parent's session, too
    return;
  }
  if (pid_ >= 0) end(SIGQUIT);
}

void PostgresServer::write_configuration() const {
  std::ofstream conf(folder_.path() / "data/postgresql.conf", std::ios::app);
  const auto set = [&](const std::string& name, const std::string& value) {
    conf << name << " = " << quoted(value) << '\n';
  };
  set("max_connections", std::to_string(settings_.max_connections));
  set("superuser_reserved_connections", std::to_string(settings_.superuser_reserved_connections));
  set("unix_socket_directories", folder_.path());
  set("port", std::to_string(settings_.tcp ? tcp_port_ : kUnixPort));
  set("listen_addresses", settings_.tcp ? "127.0.0.1" : "");
  set("ssl", settings_.tls ? "on" : "off");  // server.crt and server.key beside this file
  // Nothing here has to survive a crash, and there is not much of it.
  set("fsync", "off");
  set("synchronous_commit", "off");
  set("full_page_writes", "off");
  set("wal_level", "minimal");
  set("max_wal_senders", "0");
  set("shared_buffers", "16MB");
  set("autovacuum", "off");
  set("logging_collector", "off");
  for (const auto& [name, value] : settings_.extra) set(name, value);

  std::ofstream hba(folder_.path() / "data/pg_hba.conf", std::ios::trunc);
  for (const char* const where : {"local all ", "host all "}) {
    const std::string address = where[0] == 'h' ? " 127.0.0.1/32 " : " ";
    hba << where << kUser << address << "trust\n"
        << where << "all" << address << settings_.auth << '\n';
  }
}

void PostgresServer::start() {
  if (pid_ >= 0) return;
  spawn();
  try {
    wait_until_ready();
  } catch (...) {
    end(SIGQUIT);
    throw;
  }
}

void PostgresServer::spawn() {
  pid_ = spawn_server({program("postgres"), "-D", folder_.path() / "data"}, folder_.path() / "log",
                      server_user());
}

void PostgresServer::wait_until_ready() {
  // The main process tells in line 8 of postmaster.pid, whose line 1 is its pid (src/include/utils/
  // pidfile.h); an old file may still be there after kill().
  const fs::path file = folder_.path() / "data/postmaster.pid";
  const auto give_up = steady_clock::now() + kPatience;
  for (;;) {
    std::istringstream lines(read_file(file));
    std::vector<std::string> line;
    for (std::string text; std::getline(lines, text);) line.push_back(text);
    if (line.size() >= 8 && line[0] == std::to_string(pid_) && line[7].starts_with("ready")) return;
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("PostgreSQL ended while starting:\n" + log());
    }
    if (steady_clock::now() >= give_up) {
      throw std::runtime_error("PostgreSQL did not start in time:\n" + log());
    }
    pause_briefly();
  }
}

/// Waits for the end after `signal`; sends SIGKILL to a server that takes too long.
void PostgresServer::end(int signal) {
  if (pid_ < 0) return;
  thaw();
  asker_.reset();
  const std::vector<pid_t> sessions = children_of(pid_);
  ::kill(pid_, signal);
  const auto give_up = steady_clock::now() + kPatience / 4;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (steady_clock::now() >= give_up) ::kill(pid_, SIGKILL);
    pause_briefly();
  }
  // After SIGKILL the others find out by themselves; the data is not free before they are gone.
  for (const pid_t session : sessions) {
    while (!has_ended(session) && steady_clock::now() < give_up) pause_briefly();
  }
  pid_ = -1;
}

void PostgresServer::stop() { end(SIGINT); }

void PostgresServer::kill() { end(SIGKILL); }

void PostgresServer::freeze() {
  if (is_frozen_ || pid_ < 0) return;
  is_frozen_ = true;
  ::kill(pid_, SIGSTOP);  // first, so that it starts no more
  for (const pid_t child : children_of(pid_)) ::kill(child, SIGSTOP);
}

void PostgresServer::thaw() {
  if (!is_frozen_) return;
  is_frozen_ = false;
  for (const pid_t child : children_of(pid_)) ::kill(child, SIGCONT);
  ::kill(pid_, SIGCONT);
}

std::string PostgresServer::dsn_as(const std::string& role) const {
  return "host=" + folder_.path().string() +
         " port=" + std::to_string(settings_.tcp ? tcp_port_ : kUnixPort) +
         " dbname=app user=" + role;
}

std::string PostgresServer::tcp_dsn_as(const std::string& role) const {
  return "host=127.0.0.1 port=" + std::to_string(tcp_port_) + " dbname=app user=" + role;
}

std::string PostgresServer::ask(const std::string& statements) {
  if (asker_ == nullptr || !asker_->is_alive()) {
    asker_ = std::make_unique<Asker>(superuser_dsn() + " application_name=weir_test_asker");
  }
  return asker_->ask(statements);
}

int PostgresServer::count_sessions() {
  return std::stoi(
      ask("SELECT count(*) FROM pg_stat_activity"
          " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"));
}

std::string PostgresServer::log() const { return read_file(folder_.path() / "log"); }

}  // namespace weir::test
