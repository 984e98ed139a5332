#include "support/mute_server.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <new>
#include <vector>

#include "base/status.h"

namespace weir::test {
namespace {

int listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  WEIR_CHECK(path.size() < sizeof address.sun_path);
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  unlink(path.c_str());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  WEIR_CHECK(fd >= 0);
  WEIR_CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  WEIR_CHECK(listen(fd, 256) == 0);
  return fd;
}

struct Client {
  int fd;
  std::uint64_t until_ns;
};

[[noreturn]] void serve(int listener, std::uint64_t hold_ns, std::uint32_t first,
                        MuteServer::Tally& tally) {
  std::vector<Client> clients;
  const auto raise = [](std::atomic<std::uint32_t>& most, std::uint32_t value) {
    if (most.load() < value) most.store(value);
  };
  while (true) {
    pollfd wait{listener, POLLIN, 0};
    poll(&wait, 1, 1);
    const std::uint64_t now_ns = monotonic_ns();
    // Those whose time is over, or who left, before the new ones: else they would count as one
    // more.
    std::erase_if(clients, [&](const Client& client) {
      char byte;
      bool left = false;
      while (true) {
        const ssize_t got = recv(client.fd, &byte, 1, MSG_DONTWAIT);
        if (got > 0) continue;
        left = got == 0;
        break;
      }
      if (!left && (tally.silent.load() || now_ns < client.until_ns)) return false;
      tally.open.fetch_sub(1);
      close(client.fd);
      return true;
    });
    int fd;
    while ((fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
      clients.push_back({fd, monotonic_ns() + hold_ns});
      const std::uint32_t accepted = tally.accepted.fetch_add(1) + 1;
      const std::uint32_t open = tally.open.fetch_add(1) + 1;
      raise(tally.most_open, open);
      if (accepted > first) raise(tally.most_open_later, open);
    }
  }
}

}  // namespace

MuteServer::MuteServer(const std::string& socket_path, Nanos hold, std::uint32_t first)
    : path_(socket_path) {
  void* page =
      mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  WEIR_CHECK(page != MAP_FAILED);
  tally_ = new (page) Tally();
  const int listener = listen_at(path_);
  const auto hold_ns = static_cast<std::uint64_t>(hold.count());
  process_ =
      std::make_unique<WorkerProcess>([&]() -> int { serve(listener, hold_ns, first, *tally_); });
  close(listener);
}

MuteServer::~MuteServer() {
  stop();
  munmap(tally_, sizeof(Tally));
}

void MuteServer::stop() {
  if (process_ == nullptr) return;
  process_->kill();
  process_.reset();
  unlink(path_.c_str());
}

}  // namespace weir::test
