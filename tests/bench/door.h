// Door: what stands before a server by TCP and can fall ill. Clients who come in are led through to
// the server, as by a balancer or a proxy, while it is well.
//
// It lives in a process of its own, with one thread. Threads: belongs to one. Fork: children may
// ask it what it counted.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "bench/shared.h"
#include "support/worker_process.h"

namespace weir::bench {

/// What becomes of who comes in.
enum class Illness : std::uint32_t {
  kNone,
  kTwoOfThreeGone,  // as a balancer does before three servers: two of three are hung up on, in turn
  kTwoOfThreeMute,  // the same, but they never hear anything
  kRefusesMost,     // two of three, drawn by lot, are hung up on
  kSlow,            // each is led through after slow_after
  kDead,            // each is hung up on, and who was in is thrown out
};

class Door {
 public:
  /// To the server at 127.0.0.1 and that port.
  Door(std::uint16_t server_port, std::chrono::milliseconds slow_after);
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  ~Door() = default;

  /// Where it listens, at 127.0.0.1.
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// From now on, within a few milliseconds.
  void fall_ill(Illness illness) { board_->illness.store(illness); }
  /// How many have come in while it was ill.
  [[nodiscard]] std::uint32_t came_while_ill() const { return board_->came_while_ill.load(); }

 private:
  friend class Doorkeeper;
  struct Board {
    std::atomic<Illness> illness{Illness::kNone};
    std::atomic<std::uint32_t> came_while_ill{0};
  };

  const Shared<Board> board_;
  std::uint16_t port_ = 0;
  test::WorkerProcess process_;
};

}  // namespace weir::bench
