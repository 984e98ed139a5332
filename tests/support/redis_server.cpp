#include "support/redis_server.h"

#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX's
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "support/server_process.h"

namespace weir::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(60);  // for a loaded machine

void pause_briefly() { poll(nullptr, 0, 2); }

std::optional<fs::path> find_program() {
  std::error_code ignored;
  for (const char* const folder : {"/usr/bin", "/usr/local/bin"}) {
    const fs::path program = fs::path(folder) / "redis-server";
    if (fs::exists(program, ignored)) return program;
  }
  return std::nullopt;
}

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

std::string text_of(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      return std::to_string(reply.integer);
    case REDIS_REPLY_ARRAY: {
      std::string text;
      for (std::size_t i = 0; i < reply.elements; ++i) text += text_of(*reply.element[i]) + "\n";
      return text;
    }
    case REDIS_REPLY_NIL:
      return "";
    default:
      return {reply.str, reply.len};
  }
}

}  // namespace

// ---- the default user's own session -------------------------------------------------------------

/// The connection of ask(): made on first use, and again after the server went away.
class RedisServer::Asker {
 public:
  explicit Asker(const std::string& path) : context_(redisConnectUnix(path.c_str())) {}
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;
  ~Asker() {
    if (context_ != nullptr) redisFree(context_);
  }

  [[nodiscard]] bool is_alive() const { return context_ != nullptr && context_->err == 0; }
  /// A server that is about to end takes connections, too. Past hiredis, whose write to one that
  /// has ended would raise SIGPIPE.
  [[nodiscard]] bool is_served() const {
    constexpr std::string_view kPing = "PING\r\n", kPong = "+PONG\r\n";
    if (!is_alive() || send(context_->fd, kPing.data(), kPing.size(), MSG_NOSIGNAL) < 0) {
      return false;
    }
    std::array<char, kPong.size()> answer{};
    const ssize_t n = recv(context_->fd, answer.data(), answer.size(), MSG_WAITALL);
    return n == static_cast<ssize_t>(answer.size()) &&
           std::string_view(answer.data(), answer.size()) == kPong;
  }

  std::string ask(const std::vector<std::string>& words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    auto* const reply = static_cast<redisReply*>(
        redisCommandArgv(context_, static_cast<int>(words.size()), texts.data(), sizes.data()));
    if (reply == nullptr) {
      throw std::runtime_error(words[0] + ": " +
                               (context_ != nullptr ? context_->errstr : "no connection"));
    }
    const bool is_error = reply->type == REDIS_REPLY_ERROR;
    std::string answer = text_of(*reply);
    freeReplyObject(reply);
    if (is_error) throw std::runtime_error(words[0] + ": " + answer);
    return answer;
  }

 private:
  redisContext* context_;
};

// ---- RedisServer --------------------------------------------------------------------------------

bool RedisServer::is_installed() { return find_program().has_value(); }

RedisServer::RedisServer(RedisSettings settings)
    : settings_(std::move(settings)), maker_(getpid()), folder_("weir-redis-") {
  if (settings_.tcp) tcp_port_ = free_tcp_port();
  write_configuration();
  start();
}

RedisServer::~RedisServer() {
  if (getpid() != maker_) {
    static_cast<void>(asker_.release());  // its descriptor is the parent's session, too
    return;
  }
  kill();
}

void RedisServer::write_configuration() const {
  std::ofstream conf(folder_.path() / "redis.conf");
  conf << "port " << tcp_port_ << "\nbind 127.0.0.1\nunixsocket " << socket_path()
       << "\nunixsocketperm 700\ndir " << folder_.path().string()
       << "\nsave \"\"\nappendonly no\ndaemonize no\nloglevel notice\nlogfile \"\"\nmaxclients "
       << settings_.max_clients << "\n";
  // Its bus would be 10000 above its port, where there may be no port any more.
  if (settings_.cluster) conf << "cluster-enabled yes\ncluster-port " << free_tcp_port() << "\n";
  for (const std::string& user : settings_.users) conf << "user " << user << "\n";
  for (const std::string& line : settings_.extra) conf << line << "\n";
}

void RedisServer::start() {
  if (pid_ >= 0) return;
  const auto program = find_program();
  if (!program) throw std::runtime_error("Redis' server program is not installed");
  pid_ =
      spawn_server({*program, folder_.path() / "redis.conf"}, folder_.path() / "log", std::nullopt);
  const auto give_up = steady_clock::now() + kPatience;
  for (;;) {
    asker_ = std::make_unique<Asker>(socket_path());
    if (asker_->is_served()) return;
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("Redis ended while starting:\n" + log());
    }
    if (steady_clock::now() >= give_up) {
      kill();
      throw std::runtime_error("Redis did not start in time:\n" + log());
    }
    pause_briefly();
  }
}

void RedisServer::kill() {
  asker_.reset();
  if (pid_ < 0) return;
  is_frozen_ = false;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void RedisServer::freeze() {
  if (is_frozen_ || pid_ < 0) return;
  is_frozen_ = true;
  ::kill(pid_, SIGSTOP);
}

void RedisServer::thaw() {
  if (!is_frozen_) return;
  is_frozen_ = false;
  ::kill(pid_, SIGCONT);
}

RedisServer::Asker& RedisServer::asker() {
  if (asker_ == nullptr || !asker_->is_alive()) asker_ = std::make_unique<Asker>(socket_path());
  return *asker_;
}

std::string RedisServer::ask(const std::vector<std::string>& words) { return asker().ask(words); }

int RedisServer::count_sessions() {
  const std::string list = ask({"CLIENT", "LIST"});
  return static_cast<int>(std::count(list.begin(), list.end(), '\n')) - 1;
}

std::string RedisServer::client(std::int64_t id) {
  std::string line = ask({"CLIENT", "LIST", "ID", std::to_string(id)});
  while (!line.empty() && line.back() == '\n') line.pop_back();
  return line;
}

std::string RedisServer::client_field(std::int64_t id, const std::string& key) {
  std::istringstream line(client(id));
  for (std::string pair; line >> pair;) {
    if (pair.starts_with(key + "=")) return pair.substr(key.size() + 1);
  }
  return "";
}

std::string RedisServer::log() const { return read_file(folder_.path() / "log"); }

}  // namespace weir::test
