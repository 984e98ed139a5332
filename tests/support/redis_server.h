// RedisServer: a Redis of our own for one test or demonstration, with the settings it wants.
//
// Socket, settings and log lie in a temporary folder; it keeps nothing on disk. The server dies
// with the process that started it, also when that is killed. It runs as whoever starts it.
// Threads: one at a time; start it from a thread that outlives it, for the kernel ties the server's
// life to that thread. Fork: a child must not touch it; its destructor does nothing there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/temp_folder.h"

namespace weir::test {

struct RedisSettings {
  int max_clients = 200;
  /// Listen on 127.0.0.1 too, at tcp_port().
  bool tcp = false;
  /// As a cluster's only member.
  bool cluster = false;
  /// Users beside "default", who may do everything without a password: "app on >secret ~* &* +@all"
  /// (redis.io, "ACL").
  std::vector<std::string> users = {};
  /// Anything else for redis.conf, a line each: "rename-command RESET \"\"".
  std::vector<std::string> extra = {};
};

class RedisServer {
 public:
  /// Starts a server and waits until it takes connections. Throws std::runtime_error with what the
  /// server logged if it does not.
  explicit RedisServer(RedisSettings settings = {});
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;
  /// Stops it at once and removes its folder.
  ~RedisServer();

  /// Whether Redis' server program is on this machine.
  static bool is_installed();

  [[nodiscard]] std::string socket_path() const { return (folder_.path() / "redis.sock").string(); }
  /// By the Unix socket, as the default user.
  [[nodiscard]] std::string dsn() const { return "unix://" + socket_path(); }
  /// REQUIRES: settings.tcp.
  [[nodiscard]] std::uint16_t tcp_port() const { return tcp_port_; }

  /// Sends a command as the default user and returns its answer: texts and numbers as they are,
  /// elements of an array on lines of their own. Throws std::runtime_error with the server's
  /// message on an error.
  std::string ask(const std::vector<std::string>& words);
  /// Clients as the server counts them, ask()'s own left out.
  int count_sessions();
  /// The line of CLIENT LIST about client `id`; empty if there is none.
  std::string client(std::int64_t id);
  /// Of that line the value of one field: "name", "db", "flags", "user", ...; empty if there is
  /// none.
  std::string client_field(std::int64_t id, const std::string& key);

  /// Process id; -1 while stopped.
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// All the server has logged.
  [[nodiscard]] std::string log() const;

  /// Kills it with SIGKILL.
  void kill();
  /// Starts it again after kill(), at the same socket and port. Waits as the constructor.
  void start();
  /// Stops it with SIGSTOP until thaw(): connections are accepted by the kernel and nobody answers.
  void freeze();
  void thaw();

 private:
  class Asker;

  void write_configuration() const;
  Asker& asker();

  const RedisSettings settings_;
  const pid_t maker_;
  TempFolder folder_;
  std::uint16_t tcp_port_ = 0;
  pid_t pid_ = -1;
  bool is_frozen_ = false;
  std::unique_ptr<Asker> asker_;
};

}  // namespace weir::test
