// PgBouncer: a proxy of our own before a PostgresServer, in transaction mode, for comparisons.
//
// Socket, settings and log lie in a temporary folder; nothing is left behind, and it dies with the
// process that started it. Root runs it as the user "postgres". Everybody who asks gets in (trust).
// Threads, fork: as PostgresServer.
#pragma once

#include <sys/types.h>

#include <string>

#include "support/postgres_server.h"
#include "support/temp_folder.h"

namespace weir::test {

struct PgbouncerSettings {
  int pool_size = 20;          // connections to the server
  int max_client_conn = 1000;  // connections of its clients
  /// More lines for its [pgbouncer] section.
  std::string extra = {};
};

class Pgbouncer {
 public:
  /// Starts it and waits until it takes connections. Throws std::runtime_error with what it logged
  /// if it does not. `server` must outlive it.
  explicit Pgbouncer(const PostgresServer& server, const PgbouncerSettings& settings = {});
  Pgbouncer(const Pgbouncer&) = delete;
  Pgbouncer& operator=(const Pgbouncer&) = delete;
  /// Stops it at once.
  ~Pgbouncer();

  /// Whether the program is on this machine.
  static bool is_installed();
  /// "PgBouncer 1.18.0"
  static std::string version();

  /// For the database "app" as the role "app", by the Unix socket.
  [[nodiscard]] std::string dsn() const;
  /// -1 while it is not running.
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// SIGKILL; returns once the process is gone.
  void kill();
  /// Starts it again after kill(). Waits until it takes connections.
  void start();

 private:
  void end(int signal);

  const pid_t maker_;
  TempFolder folder_;
  pid_t pid_ = -1;
};

}  // namespace weir::test
