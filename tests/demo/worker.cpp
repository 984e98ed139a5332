#include "demo/worker.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace weir::demo {
namespace {

void sleep_until(std::uint64_t ns) {
  const timespec at{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {
  }
}

Outcome serve(const Request& request, const WorkerTask& task, Source& source) {
  const std::uint64_t arrival_ns = task.start_ns + request.arrival_us * 1000;
  const std::uint64_t deadline_ns = arrival_ns + task.deadline_us * 1000;
  sleep_until(arrival_ns);
  // Whoever asked has gone by then, whenever a thread looks.
  if (monotonic_ns() >= deadline_ns) return {End::kTimedOut, task.deadline_us};
  const End end = source.serve(deadline_ns, request.hold_us);
  return {end, (monotonic_ns() - arrival_ns) / 1000};
}

}  // namespace

void work(const WorkerTask& task, Source& source, Board& board) {
  std::vector<std::size_t> mine;
  for (std::size_t i = 0; i < task.trace.size(); ++i) {
    const Request& request = task.trace[i];
    if (request.worker == task.worker && request.arrival_us >= task.from_us) mine.push_back(i);
  }
  if (source.serve_all(mine, task)) return;
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (std::uint32_t t = 0; t < task.threads; ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = next.fetch_add(1); i < mine.size(); i = next.fetch_add(1)) {
        board.write_outcome(mine[i], serve(task.trace[mine[i]], task, source));
      }
    });
  }
}

}  // namespace weir::demo
