#include "demo/sampler.h"

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "base/clock.h"

namespace weir::demo {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 10s;  // for the first count

}  // namespace

Child start_sampler(const std::function<std::unique_ptr<SessionCounter>()>& make_counter,
                    Board& board, std::chrono::microseconds pause) {
  Child sampler([&board, &make_counter, pause]() -> int {
    const std::unique_ptr<SessionCounter> counter = make_counter();
    board.sampler_backend().store(counter->backend());
    for (;;) {
      const std::uint32_t sessions = counter->count();
      board.server_now().store(sessions);
      board.server_max().store(std::max(sessions, board.server_max().load()));
      board.samples().fetch_add(1);
      if (pause.count() > 0) std::this_thread::sleep_for(pause);
    }
  });
  const Deadline deadline = Deadline::after(kPatience);
  while (board.samples().load() == 0) {
    if (deadline.passed(monotonic_ns())) throw std::runtime_error("nobody counts the sessions");
    std::this_thread::sleep_for(1ms);
  }
  return sampler;
}

}  // namespace weir::demo
