#include "demo/fleet.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "demo/worker.h"
#include "support/server_process.h"

namespace weir::demo {

Fleet::Fleet(FleetPlan plan, Board& board)
    : plan_(std::move(plan)), board_(board), children_(plan_.workers), from_us_(plan_.workers, 0) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  stay_read_ = ends[0];
  stay_write_ = ends[1];
  for (std::uint32_t worker = 0; worker < plan_.workers; ++worker) start(worker, 0);
}

Fleet::~Fleet() {
  if (stay_write_ >= 0) close(stay_write_);
  close(stay_read_);
}

void Fleet::start(std::uint32_t worker, std::uint64_t from_us) {
  children_[worker].emplace([this, worker, from_us] {
    close(stay_write_);
    Gauge& gauge = board_.gauge(worker);
    gauge.pid.store(getpid());
    const std::unique_ptr<Source> source = plan_.make_source(worker, gauge);
    work({plan_.trace, worker, from_us, plan_.threads, plan_.start_ns, plan_.deadline_us}, *source,
         board_);
    gauge.done.store(true);
    char nothing = 0;
    while (read(stay_read_, &nothing, 1) < 0 && errno == EINTR) {
    }
    return 0;
  });
}

std::uint64_t Fleet::kill_worker(std::uint32_t worker) {
  const std::uint64_t killed_us = now_us();
  test::kill_and_see_it_gone(children_[worker]->pid());
  const std::uint64_t gone_ns = monotonic_ns();
  Gauge& gauge = board_.gauge(worker);
  for (auto* count : {&gauge.idle, &gauge.used, &gauge.waiting}) count->store(0);
  gauge.done.store(false);
  gauge.pid.store(0);
  for (std::size_t i = 0; i < plan_.trace.size(); ++i) {
    const Request& request = plan_.trace[i];
    const bool was_there = request.worker == worker && request.arrival_us >= from_us_[worker] &&
                           request.arrival_us < killed_us;
    if (was_there && board_.outcome(i).end == End::kNone) board_.write_outcome(i, {End::kDied, 0});
  }
  from_us_[worker] = killed_us;
  return gone_ns;
}

void Fleet::replace(std::uint32_t worker) {
  dead_.push_back(std::move(*children_[worker]));
  start(worker, from_us_[worker]);
}

bool Fleet::done() const {
  for (std::uint32_t worker = 0; worker < plan_.workers; ++worker) {
    if (!board_.gauge(worker).done.load()) return false;
  }
  return true;
}

bool Fleet::dismiss(std::uint64_t deadline_ns) {
  close(std::exchange(stay_write_, -1));
  bool all_well = true;
  for (std::optional<Child>& child : children_) {
    all_well = child->wait_until(deadline_ns) && all_well;
  }
  return all_well;
}

std::uint64_t Fleet::now_us() const {
  const std::uint64_t now_ns = monotonic_ns();
  return now_ns > plan_.start_ns ? (now_ns - plan_.start_ns) / 1000 : 0;
}

}  // namespace weir::demo
