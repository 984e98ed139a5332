// Turns: threads take a connection and give it back, again and again, for so long; how many turns
// each of them had.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "bench/sheet.h"

namespace weir::bench {

struct Turns {
  std::uint64_t all = 0, fewest = 0, most = 0;  // of all threads; of one thread
  std::chrono::nanoseconds took{0};
};

/// "time": of one turn, when all threads together have one after another. "fairness": the slowest
/// thread's turns by the fastest one's.
[[nodiscard]] inline std::vector<Figure> figures_of(const Turns& turns) {
  const auto share = [](auto part, auto whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  };
  return {{"time", "ns", share(turns.took.count(), turns.all)},
          {"fairness", "", share(turns.fewest, turns.most)}};
}

/// `turn` is called by all threads at once, each with a copy of its own. A clock is not read
/// between turns: another thread says when it is over.
template <typename Turn>
[[nodiscard]] Turns run_turns(unsigned threads, std::chrono::nanoseconds length, Turn turn) {
  using std::chrono::steady_clock;
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go{false}, stop{false};
  std::vector<std::uint64_t> counts(threads);
  std::vector<std::jthread> crowd;
  for (unsigned t = 0; t < threads; ++t) {
    crowd.emplace_back([&, t, turn]() mutable {
      turn();  // connects, where it is the first
      ready.fetch_add(1);
      ready.notify_one();
      go.wait(false);
      std::uint64_t count = 0;
      for (; !stop.load(std::memory_order_relaxed); ++count) turn();
      counts[t] = count;
    });
  }
  for (unsigned seen = ready.load(); seen < threads; seen = ready.load()) ready.wait(seen);
  const auto began = steady_clock::now();
  go.store(true);
  go.notify_all();
  std::this_thread::sleep_for(length);
  stop.store(true);
  Turns turns;
  turns.took = steady_clock::now() - began;
  crowd.clear();
  for (const std::uint64_t count : counts) turns.all += count;
  turns.fewest = *std::min_element(counts.begin(), counts.end());
  turns.most = *std::max_element(counts.begin(), counts.end());
  return turns;
}

}  // namespace weir::bench
