// What each worker's keeper does by clock, and what its policy is told: core/pool/keeping.cpp.
#include <algorithm>

#include "simulation/machine.h"

namespace weir::simulation {
namespace {

constexpr std::uint64_t kSecondUs = 1'000'000;

}  // namespace

void Machine::keep(std::uint32_t worker) {
  Worker& one = workers_[worker];
  const policy::PoolView seen = view(worker);
  windows_.sample_used(now_us_, seen.used);
  one.size = policy::clamp(one.policy->size(seen), seen);
  const policy::BreakerDecision decision = one.policy->breaker(seen);
  if (decision.state != breaker_.state()) decide_breaker(decision);
  serve_idle(worker);
  expire_idle(worker, seen);
  fill_warm(worker);
  match();  // it may have said that more may be open
  events_.add(now_us_ + kSecondUs, EventKind::kKeeper, worker);
}

// Each close counts for the next one's decision.
void Machine::expire_idle(std::uint32_t worker, policy::PoolView view) {
  const auto ms_since = [this](std::uint64_t then_us) {
    return then_us < now_us_ ? (now_us_ - then_us) / 1000 : 0;
  };
  const std::set<std::uint32_t>& idle = places_.idle_of(worker);
  const std::vector<std::uint32_t> seen(idle.begin(), idle.end());
  for (const std::uint32_t place : seen) {
    const Place& one = places_[place];
    if (now_us_ < one.idle_since_us + kSecondUs) continue;
    policy::ConnectionView connection;
    connection.age_ms = ms_since(one.opened_us);
    connection.idle_ms = ms_since(one.idle_since_us);
    if (one.expires_us != 0) {
      connection.lifetime_ms = std::max<std::uint64_t>((one.expires_us - one.opened_us) / 1000, 1);
    }
    connection.checked_ms = ms_since(std::max(one.checked_us, one.idle_since_us));
    connection.leases = one.leases;
    switch (workers_[worker].policy->evict(connection, view)) {
      case policy::Eviction::kKeep:
        break;
      case policy::Eviction::kClose:
        close(place);
        view.idle -= view.idle > 0 ? 1 : 0;
        ++view.closing;
        break;
      case policy::Eviction::kCheck:
        places_.move(place, PlaceState::kUsed, worker);
        events_.add(after(settings_.mechanics.check_us), EventKind::kChecked, 0, place);
        break;
    }
  }
}

// Each worker its share. Again soon where a turn is missing, or the breaker's leave.
void Machine::fill_warm(std::uint32_t worker) {
  Worker& one = workers_[worker];
  if (one.fill_waits || now_us_ < one.next_fill_us) return;
  const std::uint32_t share = (one.size.warm + settings_.workers - 1) / settings_.workers;
  while (places_.open() < one.size.warm && places_.of(worker) < share) {
    const std::uint32_t place = take_opening(worker);
    if (place == kNobody) {
      constexpr std::uint64_t kTurnUs = 20'000, kSoonMs = 100;
      const std::uint64_t left_ms = breaker_.retry_ms(now_us_);
      const std::uint64_t open_us = (left_ms > 0 ? left_ms : kSoonMs) * 1000;
      one.fill_waits = true;
      events_.add(now_us_ + (breaker_.is_closed() ? kTurnUs : open_us), EventKind::kFill, worker);
      return;
    }
    begin_connect(place, kNobody);
  }
}

policy::PoolView Machine::view(std::uint32_t worker) {
  note_levels();
  const PoolSettings& pool = settings_.pool;
  policy::PoolView view;
  view.now_ms = now_us_ / 1000;
  view.name = pool.name;
  view.max = pool.max;
  view.min = pool.min;
  view.keep = pool.keep.value_or(pool.max);
  view.max_per_worker = pool.max_per_worker;
  view.idle_timeout_ms = pool.idle_timeout_ms;
  view.handover_after_ms = pool.handover_after_ms;
  view.idle = places_.in(PlaceState::kIdle);
  view.used = places_.used();
  view.connecting = places_.in(PlaceState::kOpening);
  view.closing = places_.in(PlaceState::kClosing);
  view.waiting = static_cast<std::uint32_t>(line_.size());
  if (const std::optional<std::uint32_t> first = line_.first_come()) {
    view.oldest_wait_ms = (now_us_ - calls_[*first].since_us) / 1000;
  }
  view.workers = settings_.workers;
  view.quota_limit = pool.quota == 0 ? pool.max : pool.quota;
  view.quota_in_use = places_.open();
  view.last = windows_.last(now_us_, 10);
  view.minute = windows_.last(now_us_, Windows::kSeconds);
  view.worker_idle = static_cast<std::uint32_t>(places_.idle_of(worker).size());
  view.worker_used = places_.used_by(worker);
  view.connect_failures_in_a_row = breaker_.failures();
  view.breaker = breaker_.state();
  view.breaker_retry_ms = breaker_.retry_ms(now_us_);
  view.chance = draw();
  pool_shares_ = {{pool.name, pool.max, view.idle, view.used, view.waiting}};
  worker_shares_.clear();
  for (std::uint32_t i = 0; i < settings_.workers; ++i) {
    worker_shares_.push_back({static_cast<std::uint32_t>(places_.idle_of(i).size()),
                              places_.used_by(i), static_cast<std::uint32_t>(line_.size(i)),
                              i == worker});
  }
  class_shares_.clear();
  for (const PriorityClass& one : pool.classes) class_shares_.push_back({one.name, one.floor});
  for (std::uint32_t place = 0; place < places_.size() && !class_shares_.empty(); ++place) {
    const Place& one = places_[place];
    const bool lent = one.state == PlaceState::kUsed && one.call != kNobody;
    if (lent && class_of(one.call) != 0) ++class_shares_[class_of(one.call) - 1].used;
  }
  if (!class_shares_.empty()) {
    for (const std::uint32_t call : line_.calls()) {
      if (class_of(call) != 0) ++class_shares_[class_of(call) - 1].waiting;
    }
  }
  view.pools = pool_shares_;
  view.worker_shares = worker_shares_;
  view.classes = class_shares_;
  return view;
}

}  // namespace weir::simulation
