// PostgresServer: a PostgreSQL of our own for one test or demonstration, with the settings it
// wants.
//
// Data, socket and log lie in a temporary folder; nothing is left behind. The server dies with the
// process that started it, also when that is killed. PostgreSQL refuses to run as root, so root
// runs it as the user "postgres", anybody else as himself. The data folder is made once per process
// (initdb) and copied for each server.
// Threads: one at a time; start it from a thread that outlives it, for the kernel ties the server's
// life to that thread. Fork: a child must not touch it; its destructor does nothing there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "support/temp_folder.h"

namespace weir::test {

struct PostgresSettings {
  int max_connections = 100;
  int superuser_reserved_connections = 3;
  /// How roles other than the superuser prove who they are: "trust", "scram-sha-256", "password"
  /// ...
  std::string auth = "trust";
  /// Listen on 127.0.0.1 too, at tcp_port().
  bool tcp = false;
  /// With TLS by TCP, for whoever asks for it: a certificate of its own, for a day. Needs the
  /// program openssl.
  bool tls = false;
  /// Anything else for postgresql.conf, unquoted: {"idle_session_timeout", "1s"}.
  std::map<std::string, std::string> extra = {};
};

class PostgresServer {
 public:
  /// Starts a server and waits until it takes connections. Throws std::runtime_error with what the
  /// server logged if it does not.
  explicit PostgresServer(PostgresSettings settings = {});
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;
  /// Stops it at once and removes its data.
  ~PostgresServer();

  /// Whether PostgreSQL's server programs are on this machine.
  static bool is_installed();

  /// A connection string for the database "app" as the role "app", which owns it and is no
  /// superuser.
  [[nodiscard]] std::string dsn() const { return dsn_as("app"); }
  /// The same as another role, by the Unix socket; without a password.
  [[nodiscard]] std::string dsn_as(const std::string& role) const;
  /// As the superuser, who needs no password.
  [[nodiscard]] std::string superuser_dsn() const { return dsn_as("postgres"); }
  /// By TCP. REQUIRES: settings.tcp.
  [[nodiscard]] std::string tcp_dsn_as(const std::string& role) const;
  [[nodiscard]] std::uint16_t tcp_port() const { return tcp_port_; }
  /// The folder that the socket is in.
  [[nodiscard]] std::string socket_folder() const { return folder_.path().string(); }

  /// Runs `statements` as the superuser in "app" and returns the first field of the last one's
  /// first row; empty if there is none. Throws std::runtime_error with the server's message on an
  /// error.
  std::string ask(const std::string& statements);
  /// Client sessions as the server counts them, ask()'s own left out.
  int count_sessions();

  /// Process id of the server's main process; -1 while stopped.
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// All the server has logged.
  [[nodiscard]] std::string log() const;

  /// Ends all sessions and waits for the server's end (a "fast" shutdown).
  void stop();
  /// Kills the main process with SIGKILL; the others notice and follow.
  void kill();
  /// Starts it again after stop() or kill(), on the same data, folder and port. Waits as the
  /// constructor.
  void start();
  /// Stops all its processes with SIGSTOP, sessions included, until thaw(): connections are
  /// accepted by the kernel and nobody answers.
  void freeze();
  void thaw();

 private:
  class Asker;

  void write_configuration() const;
  void spawn();
  void wait_until_ready();
  void end(int signal);

  const PostgresSettings settings_;
  const pid_t maker_;
  TempFolder folder_;
  std::uint16_t tcp_port_ = 0;
  pid_t pid_ = -1;
  bool is_frozen_ = false;
  std::unique_ptr<Asker> asker_;
};

}  // namespace weir::test
