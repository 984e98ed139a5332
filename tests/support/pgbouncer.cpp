#include "support/pgbouncer.h"

#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX's
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "support/server_process.h"

namespace weir::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(20);  // for a loaded machine
constexpr const char* kProgram = "/usr/sbin/pgbouncer";
constexpr int kPort = 6432;  // names the socket; the folder is ours alone

bool takes_connections(const std::string& dsn) { return PQping(dsn.c_str()) == PQPING_OK; }

}  // namespace

bool Pgbouncer::is_installed() { return access(kProgram, X_OK) == 0; }

std::string Pgbouncer::version() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(
      popen((std::string(kProgram) + " --version").c_str(), "r"), pclose);
  std::array<char, 100> line{};
  if (output == nullptr || std::fgets(line.data(), line.size(), output.get()) == nullptr) return "";
  const std::string text = line.data();
  return text.substr(0, text.find('\n'));
}

Pgbouncer::Pgbouncer(const PostgresServer& server, const PgbouncerSettings& settings)
    : maker_(getpid()), folder_("weir-pgbouncer-") {
  give_to(folder_.path(), server_user());
  const std::string folder = folder_.path();
  std::ofstream(folder + "/users") << "\"app\" \"\"\n";
  // The server's way of being reached, without the role: clients bring theirs.
  std::string where = server.dsn();
  where.erase(where.find(" user="));
  std::ofstream(folder + "/ini") << "[databases]\napp = " << where
                                 << "\n[pgbouncer]\nlisten_addr =\n"
                                 << "listen_port = " << kPort << "\nunix_socket_dir = " << folder
                                 << "\nauth_type = trust\nauth_file = " << folder
                                 << "/users\npool_mode = transaction\ndefault_pool_size = "
                                 << settings.pool_size
                                 << "\nmax_client_conn = " << settings.max_client_conn
                                 << "\nlog_connections = 0\nlog_disconnections = 0\n"
                                 << settings.extra;
  for (const char* const name : {"/ini", "/users"}) {
    fs::permissions(folder + name, fs::perms::others_read, fs::perm_options::add);
  }
  start();
}

Pgbouncer::~Pgbouncer() {
  if (getpid() == maker_) end(SIGTERM);  // "immediate shutdown": pgbouncer(1)
}

std::string Pgbouncer::dsn() const {
  return "host=" + folder_.path().string() + " port=" + std::to_string(kPort) +
         " dbname=app user=app";
}

void Pgbouncer::start() {
  if (pid_ >= 0) return;
  const fs::path log = folder_.path() / "log";
  pid_ = spawn_server({kProgram, folder_.path() / "ini"}, log, server_user());
  const auto give_up = steady_clock::now() + kPatience;
  while (!takes_connections(dsn())) {
    int status = 0;
    const bool has_gone = waitpid(pid_, &status, WNOHANG) == pid_;
    if (has_gone) pid_ = -1;
    if (has_gone || steady_clock::now() >= give_up) {
      end(SIGKILL);
      throw std::runtime_error("PgBouncer did not start:\n" + read_file(log));
    }
    poll(nullptr, 0, 1);
  }
}

void Pgbouncer::kill() { end(SIGKILL); }

void Pgbouncer::end(int signal) {
  if (pid_ < 0) return;
  ::kill(pid_, signal);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

}  // namespace weir::test
