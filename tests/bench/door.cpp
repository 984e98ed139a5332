#include "bench/door.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <list>
#include <random>
#include <system_error>
#include <vector>

#include "base/clock.h"

namespace weir::bench {
namespace {

constexpr int kLookMs = 2;  // at the illness, and at who waits for its time

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_in local(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

int make_socket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  return fd;
}

int listen_anywhere(std::uint16_t& port) {
  const int fd = make_socket();
  sockaddr_in address = local(0);
  socklen_t size = sizeof address;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) fail("bind");
  if (listen(fd, 1024) != 0) fail("listen");
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) fail("getsockname");
  port = ntohs(address.sin_port);
  return fd;
}

void send_at_once(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// What has come from one side to the other. False: one of them has hung up.
bool pass_on(int from, int to) {
  char bytes[16384];
  const ssize_t got = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  for (ssize_t sent = 0; sent < got && to >= 0;) {
    const ssize_t now = send(to, bytes + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
    if (now < 0 && errno != EINTR) return false;
    sent += now > 0 ? now : 0;
  }
  return true;
}

}  // namespace

class Doorkeeper {
 public:
  Doorkeeper(int door, std::uint16_t server, Nanos slow_after, Door::Board& board)
      : door_(door), server_(server), slow_after_(slow_after), board_(board) {}

  [[noreturn]] void keep() {
    while (true) {
      if (illness() == Illness::kDead) throw_out();
      lead_in();
      look();
    }
  }

 private:
  struct Guest {
    int client;
    int server = -1;              // not led through
    std::uint64_t led_at_ns = 0;  // when that is to be; UINT64_MAX: never
  };

  Illness illness() const { return board_.illness.load(); }

  void throw_out() {
    for (const Guest& guest : guests_) close_both(guest);
    guests_.clear();
  }

  static void close_both(const Guest& guest) {
    close(guest.client);
    if (guest.server >= 0) close(guest.server);
  }

  // Those whose time has come.
  void lead_in() {
    for (Guest& guest : guests_) {
      if (guest.server >= 0 || monotonic_ns() < guest.led_at_ns) continue;
      guest.server = make_socket();
      const sockaddr_in address = local(server_);
      if (connect(guest.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        fail("connect");
      }
      send_at_once(guest.server);
    }
  }

  // Waits until there is something to pass on or somebody comes, and sees to it.
  void look() {
    polled_.assign(1, {door_, POLLIN, 0});
    for (const Guest& guest : guests_) {
      // Who waits is read only once somebody hears it; else it is looked whether he is still there.
      const bool is_heard = guest.server >= 0 || guest.led_at_ns == UINT64_MAX;
      polled_.push_back({guest.client, static_cast<short>(is_heard ? POLLIN : 0), 0});
      polled_.push_back({guest.server, POLLIN, 0});
    }
    poll(polled_.data(), polled_.size(), kLookMs);
    std::size_t at = 1;
    for (auto guest = guests_.begin(); guest != guests_.end(); at += 2) {
      bool stays = true;
      if (polled_[at].revents != 0) stays = pass_on(guest->client, guest->server);
      if (stays && polled_[at + 1].revents != 0) stays = pass_on(guest->server, guest->client);
      if (!stays) close_both(*guest);
      guest = stays ? std::next(guest) : guests_.erase(guest);
    }
    if (polled_[0].revents != 0) let_in();
  }

  void let_in() {
    const int client = accept4(door_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    send_at_once(client);
    const Illness ill = illness();
    const bool is_third = ill != Illness::kNone && ++board_.came_while_ill % 3 == 0;
    const bool is_lucky = lots_() % 3 == 0;
    if (ill == Illness::kDead || (ill == Illness::kTwoOfThreeGone && !is_third) ||
        (ill == Illness::kRefusesMost && !is_lucky)) {
      close(client);
      return;
    }
    Guest guest{.client = client};
    if (ill == Illness::kTwoOfThreeMute && !is_third) guest.led_at_ns = UINT64_MAX;
    if (ill == Illness::kSlow) {
      guest.led_at_ns = monotonic_ns() + static_cast<std::uint64_t>(slow_after_.count());
    }
    guests_.push_back(guest);
  }

  const int door_;
  const std::uint16_t server_;
  const Nanos slow_after_;
  Door::Board& board_;
  std::minstd_rand lots_;  // the same in each run
  std::list<Guest> guests_;
  std::vector<pollfd> polled_;
};

Door::Door(std::uint16_t server_port, std::chrono::milliseconds slow_after)
    : process_([&, door = listen_anywhere(port_)]() -> int {
        Doorkeeper(door, server_port, slow_after, *board_).keep();
      }) {}

}  // namespace weir::bench
