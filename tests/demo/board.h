// The board: memory that all processes of one phase share. Workers write down how each request
// ended and what their connections do; whatever a worker wrote before it was killed stays.
//
// Threads and forks: every field is an atomic of its own; the mapping is inherited by forked
// children and stays at its address. Made by the parent before it forks.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "demo/outcome.h"

namespace weir::demo {

/// What one worker shows of itself. Written by that worker's threads, cleared by the parent after a
/// kill.
struct alignas(64) Gauge {
  std::atomic<std::int32_t> pid{0};
  std::atomic<std::uint32_t> idle{0};     // connections open and unused (static split only)
  std::atomic<std::uint32_t> used{0};     // connections lent to its threads
  std::atomic<std::uint32_t> waiting{0};  // threads waiting for a connection
  std::atomic<bool> done{false};          // its part of the trace is served
};

class Board {
 public:
  /// Throws std::system_error if the memory is not to be had.
  Board(std::size_t workers, std::size_t requests);
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  [[nodiscard]] std::size_t workers() const { return workers_; }
  [[nodiscard]] Gauge& gauge(std::size_t worker) const { return gauges_[worker]; }
  /// The processes that may have connections: the workers there are, and the census.
  [[nodiscard]] std::vector<pid_t> pids() const;

  void write_outcome(std::size_t request, Outcome outcome);
  [[nodiscard]] Outcome outcome(std::size_t request) const;
  [[nodiscard]] std::vector<Outcome> outcomes() const;

  /// Keeps the first error text of the phase, for people.
  void note_error(const char* text);
  [[nodiscard]] std::string first_error() const;

  // What the sampler saw of the server.
  [[nodiscard]] std::atomic<std::uint32_t>& server_now() const { return header_->server_now; }
  [[nodiscard]] std::atomic<std::uint32_t>& server_max() const { return header_->server_max; }
  [[nodiscard]] std::atomic<std::uint64_t>& samples() const { return header_->samples; }
  // How many connections one process held at once when everybody else was idle (phase.cpp), and
  // that process.
  [[nodiscard]] std::atomic<std::uint32_t>& census() const { return header_->census; }
  [[nodiscard]] std::atomic<std::int32_t>& census_pid() const { return header_->census_pid; }
  // Connections that static pools opened.
  [[nodiscard]] std::atomic<std::uint64_t>& connects() const { return header_->connects; }
  // The server's process for the sampler itself; 0: it has not connected yet.
  [[nodiscard]] std::atomic<std::int32_t>& sampler_backend() const {
    return header_->sampler_backend;
  }

 private:
  struct Header {
    std::atomic<std::uint32_t> server_now{0};
    std::atomic<std::uint32_t> server_max{0};
    std::atomic<std::uint64_t> samples{0};
    std::atomic<std::uint32_t> census{0};
    std::atomic<std::int32_t> census_pid{0};
    std::atomic<std::uint64_t> connects{0};
    std::atomic<std::int32_t> sampler_backend{0};
    std::atomic<std::uint32_t> error_state{0};  // 0 none, 1 being written, 2 readable
    std::array<char, 512> error{};
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

  std::size_t workers_;
  std::size_t requests_;
  std::size_t bytes_;
  void* memory_;
  Header* header_;
  Gauge* gauges_;
  std::atomic<std::uint64_t>* outcomes_;  // latency_us << 8 | end
};

}  // namespace weir::demo
