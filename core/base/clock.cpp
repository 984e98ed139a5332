#include "base/clock.h"

#include <ctime>

namespace weir {
namespace {

constexpr std::uint64_t kNanosPerSecond = 1'000'000'000;

// clock_gettime cannot fail here: both clocks exist on every kernel that weir supports.
std::uint64_t read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNanosPerSecond +
         static_cast<std::uint64_t>(now.tv_nsec);
}

class SystemClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const override { return monotonic_ns(); }
};

}  // namespace

std::uint64_t monotonic_ns() { return read_clock(CLOCK_MONOTONIC); }

std::uint64_t coarse_ns() { return read_clock(CLOCK_MONOTONIC_COARSE); }

const Clock& Clock::system() {
  static const SystemClock clock;
  return clock;
}

Deadline Deadline::after(Nanos timeout) {
  if (timeout == Nanos::max()) return never();
  const std::uint64_t now = monotonic_ns();
  if (timeout < Nanos::zero()) {
    // Negated as unsigned: -Nanos::min() does not fit into a signed count.
    const std::uint64_t ago = 0 - static_cast<std::uint64_t>(timeout.count());
    return Deadline(ago < now ? now - ago : 0);
  }
  const auto ahead = static_cast<std::uint64_t>(timeout.count());
  return Deadline(ahead < kNever - now ? now + ahead : kNever);
}

Nanos Deadline::left(std::uint64_t now_ns) const {
  if (is_never()) return Nanos::max();
  if (passed(now_ns)) return Nanos::zero();
  const std::uint64_t left = ns_ - now_ns;
  constexpr auto kMost = static_cast<std::uint64_t>(Nanos::max().count());
  return Nanos(static_cast<Nanos::rep>(left < kMost ? left : kMost));
}

}  // namespace weir
