#include "support/counting_server.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "base/status.h"

namespace weir::test {
namespace {

struct Name {
  std::uint32_t place = 0;
  std::uint32_t occ = 0;
  bool operator==(const Name&) const = default;
};

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  WEIR_CHECK(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

int listen_at(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_un address = address_of(path);
  WEIR_CHECK(fd >= 0);
  WEIR_CHECK(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  WEIR_CHECK(listen(fd, 4096) == 0);
  return fd;
}

int connect_to(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_of(path);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

// The server's side: one thread, one poll loop.
class Judge {
 public:
  Judge(int sessions, int questions, std::uint32_t limit, Nanos lag, CountingServer::Tally& tally)
      : sessions_(sessions),
        questions_(questions),
        limit_(limit),
        lag_ns_(static_cast<std::uint64_t>(lag.count())),
        tally_(tally) {}

  [[noreturn]] void serve() {
    while (true) {
      wait();
      accept_sessions();
      read_sessions();
      end_sessions();
      accept_questions();
      answer_questions();
    }
  }

 private:
  struct Session {
    int fd;
    std::optional<Name> name;
    std::uint64_t ends_ns = 0;  // 0: its client is there
  };

  void wait() {
    std::vector<pollfd> polled = {{sessions_, POLLIN, 0}, {questions_, POLLIN, 0}};
    for (const int fd : asking_) polled.push_back({fd, POLLIN, 0});
    bool ending = false;
    for (const Session& session : open_) {
      ending |= session.ends_ns != 0;
      if (session.ends_ns == 0) polled.push_back({session.fd, POLLIN, 0});
    }
    const timespec moment{0, 50'000};
    ppoll(polled.data(), polled.size(), ending ? &moment : nullptr, nullptr);
  }

  void accept_sessions() {
    int fd;
    while ((fd = accept4(sessions_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
      open_.push_back({fd, std::nullopt});
      end_sessions();
      const auto count = static_cast<std::uint32_t>(open_.size());
      tally_.accepted.fetch_add(1);
      tally_.most_open.store(std::max(tally_.most_open.load(), count));
      if (count > limit_) tally_.over_limit.fetch_add(1);
    }
  }

  void read_sessions() {
    for (Session& session : open_) {
      if (session.ends_ns != 0) continue;
      Name name;
      const ssize_t got = recv(session.fd, &name, sizeof name, 0);
      if (got == ssize_t{sizeof name}) {
        session.name = name;
        const char welcome = 'w';
        send(session.fd, &welcome, 1, MSG_NOSIGNAL);
      } else if (got >= 0 || errno != EAGAIN) {
        session.ends_ns = monotonic_ns() + random_() % (lag_ns_ + 1) + 1;
      }
    }
  }

  void end_sessions() {
    const std::uint64_t now = monotonic_ns();
    std::erase_if(open_, [&](const Session& session) {
      if (session.ends_ns == 0 || session.ends_ns > now) return false;
      ::close(session.fd);
      return true;
    });
  }

  void accept_questions() {
    int fd;
    while ((fd = accept4(questions_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
      asking_.push_back(fd);
    }
  }

  void answer_questions() {
    std::erase_if(asking_, [&](int fd) {
      Name name;
      const ssize_t got = recv(fd, &name, sizeof name, 0);
      if (got < 0 && errno == EAGAIN) return false;
      if (got == ssize_t{sizeof name}) {
        // Whoever asked did so after the client's death: its connect stands in the queue before.
        accept_sessions();
        read_sessions();
        const bool there = std::any_of(open_.begin(), open_.end(), [&](const Session& session) {
          return !session.name || *session.name == name;
        });
        const char answer = there ? 'n' : 'y';
        send(fd, &answer, 1, MSG_NOSIGNAL);
        tally_.questions.fetch_add(1);
      }
      ::close(fd);
      return true;
    });
  }

  int sessions_, questions_;
  std::uint32_t limit_;
  std::uint64_t lag_ns_;
  CountingServer::Tally& tally_;
  std::vector<Session> open_;
  std::vector<int> asking_;
  std::minstd_rand random_{7};
};

// Sends `name` and reads the one byte that answers it; 0 if the server hung up.
char say(int fd, Name name) {
  char answer = 0;
  if (send(fd, &name, sizeof name, MSG_NOSIGNAL) != ssize_t{sizeof name} ||
      recv(fd, &answer, 1, 0) != 1) {
    return 0;
  }
  return answer;
}

}  // namespace

CountingServer::CountingServer(const std::string& folder, std::uint32_t limit, Nanos lag)
    : sessions_path_(folder + "/sessions"), questions_path_(folder + "/questions") {
  void* page =
      mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  WEIR_CHECK(page != MAP_FAILED);
  tally_ = new (page) Tally();
  // Listening before the fork: a client may connect at once.
  const int sessions = listen_at(sessions_path_);
  const int questions = listen_at(questions_path_);
  process_ = std::make_unique<WorkerProcess>(
      [&]() -> int { Judge(sessions, questions, limit, lag, *tally_).serve(); });
  ::close(sessions);
  ::close(questions);
}

CountingServer::~CountingServer() {
  process_->kill();
  munmap(tally_, sizeof(Tally));
  unlink(sessions_path_.c_str());
  unlink(questions_path_.c_str());
}

int CountingServer::connect(std::uint32_t place, std::uint32_t occ) const {
  const int fd = connect_to(sessions_path_);
  if (fd >= 0 && say(fd, {place, occ}) != 'w') {
    ::close(fd);
    return -1;
  }
  return fd;
}

void CountingServer::close(int session) {
  shutdown(session, SHUT_WR);
  char byte;
  while (recv(session, &byte, 1, 0) > 0) {
  }
  ::close(session);
}

bool CountingServer::is_gone(std::uint32_t place, std::uint32_t occ) const {
  const int fd = connect_to(questions_path_);
  if (fd < 0) return false;
  const bool gone = say(fd, {place, occ}) == 'y';
  ::close(fd);
  return gone;
}

}  // namespace weir::test
