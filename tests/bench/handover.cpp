// From giving a connection back in one worker to the first result in another one that waits for
// it: the connection moves live, its permit moves, or libpq closes here and connects there.
//
// Two processes and one connection. Whoever has it gives it back once the other waits, and the
// time counts until the other has the answer to SELECT 1. Floors: a word passed on with a futex,
// and a descriptor with a message, without a query.
#include <libpq-fe.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "bench/histogram.h"
#include "bench/main_of.h"
#include "bench/shared.h"
#include "bench/weir_config.h"
#include "shm/futex.h"
#include "support/postgres_server.h"
#include "support/temp_folder.h"
#include "support/worker_process.h"
#include "weir/weir.hpp"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 20s;

/// What both processes see.
struct Board {
  std::atomic<std::uint64_t> given_ns{0};  // when the connection was given back
  std::atomic<std::uint32_t> turn{0};      // whose it is, where no pool says so; a futex
  std::atomic<std::uint32_t> over{0};
  Histogram latency;
};

/// One of the two: a turn each, and for how long.
struct Player {
  unsigned number;
  Board& board;
  Deadline end;

  [[nodiscard]] bool is_over() const {
    return board.over.load() != 0 || end.passed(monotonic_ns());
  }
  void begin_turn_of_other() const { board.given_ns.store(monotonic_ns()); }
  void count_turn() const {
    const std::uint64_t given_ns = board.given_ns.load();
    if (given_ns != 0) board.latency.add(monotonic_ns() - given_ns);
  }
  /// Sleeps until it is our turn; false if it is over.
  [[nodiscard]] bool await_turn() const {
    for (std::uint32_t seen; (seen = board.turn.load()) % 2 != number;) {
      if (is_over()) return false;
      shm::futex_wait(board.turn, seen, Deadline::after(100ms));
    }
    return true;
  }
  void pass_turn() const {
    begin_turn_of_other();
    board.turn.fetch_add(1);
    shm::futex_wake(board.turn);
  }
};

using Play = std::function<void(const Player&)>;

/// Two processes that play for so long.
std::vector<Figure> play_two(std::chrono::nanoseconds length, const Play& play) {
  const Shared<Board> board;
  const Deadline end = Deadline::after(length);
  std::vector<test::WorkerProcess> players;
  for (unsigned number = 0; number < 2; ++number) {
    players.emplace_back([&, number]() -> int {
      try {
        play({number, *board, end});
      } catch (const std::exception& error) {
        std::fprintf(stderr, "bench handover: %s\n", error.what());
        return 1;
      }
      board->over.store(1);
      return 0;
    });
  }
  bool all_well = true;
  for (test::WorkerProcess& player : players) all_well = player.wait_at_most() == 0 && all_well;
  if (!all_well || board->latency.count() == 0) throw std::runtime_error("no turn was measured");
  return {{"p50", "us", board->latency.percentile_ns(0.50) / 1e3},
          {"p90", "us", board->latency.percentile_ns(0.90) / 1e3},
          {"p99", "us", board->latency.percentile_ns(0.99) / 1e3}};
}

void ask_one(PGconn* connection) {
  PGresult* const result = PQexec(connection, "SELECT 1");
  const bool answered = PQresultStatus(result) == PGRES_TUPLES_OK;
  PQclear(result);
  if (!answered) throw std::runtime_error(PQerrorMessage(connection));
}

/// Both in line for the one connection of one pool.
void play_weir(const Player& player, const std::string& config) {
  Runtime runtime = Runtime::from_text(config);
  Pool pool = runtime.pool("main");
  while (!player.is_over()) {
    Lease lease = pool.acquire();
    ask_one(lease.native<PGconn>());
    player.count_turn();
    const Deadline patience = Deadline::after(kPatience);
    while (pool.stats().waiting == 0 && !player.is_over() && !patience.passed(monotonic_ns())) {
      std::this_thread::sleep_for(20us);
    }
    std::this_thread::sleep_for(1500us);  // it sleeps by now, as who waits for longer does
    player.begin_turn_of_other();
    lease.release();
  }
  player.board.over.store(1);
  runtime.close();
}

void play_libpq(const Player& player, const std::string& dsn) {
  while (player.await_turn()) {
    PGconn* const connection = PQconnectdb(dsn.c_str());
    ask_one(connection);
    player.count_turn();
    player.begin_turn_of_other();
    PQfinish(connection);
    player.board.turn.fetch_add(1);
    shm::futex_wake(player.board.turn);
  }
}

void play_futex(const Player& player) {
  while (player.await_turn()) {
    player.count_turn();
    player.pass_turn();
  }
}

/// A descriptor that goes to and fro through a pair of sockets.
void play_descriptor(const Player& player, int mine) {
  const auto send = [mine](int descriptor) {
    char byte = 0, control[CMSG_SPACE(sizeof(int))] = {};
    iovec piece{&byte, 1};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    *header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return sendmsg(mine, &message, MSG_NOSIGNAL) == 1;
  };
  const auto receive = [mine] {
    char byte = 0, control[CMSG_SPACE(sizeof(int))] = {};
    iovec piece{&byte, 1};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    int descriptor = -1;
    if (recvmsg(mine, &message, MSG_CMSG_CLOEXEC) == 1) {
      std::memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
    }
    return descriptor;
  };
  int descriptor = player.number == 0 ? dup(0) : receive();
  while (descriptor >= 0 && !player.is_over()) {
    player.count_turn();
    player.begin_turn_of_other();
    if (!send(descriptor)) break;
    close(descriptor);
    descriptor = receive();
  }
  shutdown(mine, SHUT_RDWR);  // the other one hears of it
}

struct World {
  test::PostgresServer server;
  [[nodiscard]] std::string config(const std::string& folder, const std::string& more) const {
    return text_of({.folder = folder, .dsn = server.dsn(), .max = 1, .more = more});
  }
};

Plan make_plan(const Settings& settings) {
  const auto world = std::make_shared<World>();
  const auto weir = [=](const std::string& more) {
    return [=](std::size_t) {
      const test::TempFolder folder;
      const std::string config =
          world->config(folder.path().string(), "handover_after = \"0s\"\n" + more);
      return play_two(settings.length, [&](const Player& player) { play_weir(player, config); });
    };
  };
  Plan plan;
  plan.cases.push_back(
      {"one connection, two workers",
       {{"weir, live", weir("")},
        {"weir, permit", weir("handover = \"permit\"\npermit_quantum = \"0s\"\n")},
        {"close and connect",
         [=](std::size_t) {
           return play_two(settings.length,
                           [&](const Player& player) { play_libpq(player, world->server.dsn()); });
         }},
        {"futex", [=](std::size_t) { return play_two(settings.length, play_futex); }},
        {"descriptor", [=](std::size_t) {
           int ends[2];
           if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0) {
             throw std::runtime_error("no pair of sockets");
           }
           const timeval patience{1, 0};
           for (const int end : ends) {
             setsockopt(end, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
           }
           std::vector<Figure> figures = play_two(settings.length, [&](const Player& player) {
             play_descriptor(player, ends[player.number]);
           });
           for (const int end : ends) close(end);
           return figures;
         }}}});
  for (const char* const metric : {"p50", "p90"}) {
    for (const char* const other : {"weir, permit", "close and connect", "futex", "descriptor"}) {
      plan.comparisons.push_back({"weir, live", other, metric});
    }
  }
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "handover",
       .about = "From giving back in one worker to the first result in the one that waits.",
       .rounds = 11,
       .seconds = 0.5},
      weir::bench::make_plan);
}
