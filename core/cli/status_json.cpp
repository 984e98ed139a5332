#include <nlohmann/json.hpp>

#include "cli/outage.h"
#include "cli/pool_figures.h"
#include "cli/render.h"
#include "cli/status_report.h"

namespace weir::cli {
namespace {

using Json = nlohmann::ordered_json;

Json segment_json(const shm::Snapshot& snapshot) {
  return {{"path", snapshot.path},
          {"bytes", snapshot.bytes},
          {"created_unix_ms", snapshot.created_unix_ns / 1'000'000},
          {"in_service", snapshot.poison_reason.empty()},
          {"out_of_service_reason", snapshot.poison_reason}};
}

Json name_or_null(const shm::QuotaSnapshot* quota) {
  return quota == nullptr ? Json(nullptr) : Json(quota->name);
}

// The upper end of a bucket; null where nothing moved, or it took longer than the buckets tell.
Json quantile_json(const shm::PoolSnapshot& pool, double share) {
  const std::uint64_t ns = handover_quantile_ns(pool, share);
  return ns == 0 || ns == UINT64_MAX ? Json(nullptr) : Json(to_ms(ns));
}

// Closes by why, as weir.h's weir_close_reason names them.
Json closed_json(const shm::PoolSnapshot& pool) {
  using shm::Counter;
  return {{"idle", pool.counter(Counter::kClosedIdle)},
          {"lifetime", pool.counter(Counter::kClosedLifetime)},
          {"stale", pool.counter(Counter::kClosedStale)},
          {"error", pool.counter(Counter::kClosedError)},
          {"invalid", pool.counter(Counter::kClosedInvalid)},
          {"invalidated", pool.counter(Counter::kClosedInvalidated)},
          {"reset_failed", pool.counter(Counter::kClosedResetFailed)},
          {"overflow", pool.counter(Counter::kClosedOverflow)},
          {"pool_closed", pool.counter(Counter::kClosedPoolClosed)},
          {"interrupted", pool.counter(Counter::kClosedInterrupted)},
          {"quota_reclaim", pool.counter(Counter::kClosedQuotaReclaim)},
          {"fork", pool.counter(Counter::kClosedFork)},
          {"cancelled", pool.counter(Counter::kClosedCancelled)},
          {"detached", pool.counter(Counter::kClosedDetached)}};
}

Json counters_json(const shm::PoolSnapshot& pool) {
  using shm::Counter;
  return {{"acquires", pool.acquires},
          {"acquires_waited", pool.counter(Counter::kAcquiresWaited)},
          {"wait_ms", to_ms(pool.counter(Counter::kWaitNs))},
          {"timeouts", pool.counter(Counter::kTimeouts)},
          {"too_many_waiters", pool.counter(Counter::kTooManyWaiters)},
          {"refused", pool.counter(Counter::kRefused)},
          {"cancelled", pool.counter(Counter::kCancelled)},
          {"connects", pool.counter(Counter::kConnects)},
          {"connect_failures", pool.counter(Counter::kConnectFailures)},
          {"breaker_openings", pool.counter(Counter::kBreakerOpenings)},
          {"connect_ms", to_ms(pool.counter(Counter::kConnectNs))},
          {"closes", pool.counter(Counter::kCloses)},
          {"closed", closed_json(pool)},
          {"handed_on", pool.counter(Counter::kHandedOn)},
          {"handed_live", pool.counter(Counter::kHandedLive)},
          {"handover_failures", pool.counter(Counter::kHandoverFailures)},
          {"handover_ms_p50", quantile_json(pool, 0.5)},
          {"handover_ms_p99", quantile_json(pool, 0.99)},
          {"resets", pool.counter(Counter::kResets)},
          {"reset_failures", pool.counter(Counter::kResetFailures)},
          {"pings", pool.counter(Counter::kPings)},
          {"ping_failures", pool.counter(Counter::kPingFailures)},
          {"reclaimed", pool.counter(Counter::kReclaimed)},
          {"offers_withdrawn", pool.counter(Counter::kWithdrawn)},
          {"offers_revoked", pool.counter(Counter::kRevoked)},
          {"claims_taken_back", pool.counter(Counter::kTakenBack)},
          {"leaks", pool.counter(Counter::kLeaks)}};
}

Json pool_json(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool) {
  const PoolFigures figures = figures_of(snapshot, pool);
  return {{"name", pool.name},
          {"driver", pool.driver},
          {"quota", name_or_null(quota_of(snapshot, pool))},
          {"max", pool.max},
          {"configured_max", pool.configured_max},
          {"min", pool.min},
          {"keep", pool.keep},
          {"max_per_worker", pool.max_per_worker},
          {"idle", figures.idle},
          {"used", figures.used},
          {"connecting", figures.connecting},
          {"closing", figures.closing},
          {"lingering", figures.lingering},
          {"offered", figures.offered},
          {"free", figures.free},
          {"waiting", pool.waiting},
          {"oldest_wait_ms", to_ms(pool.oldest_wait_ns)},
          {"connect_failures_in_a_row", pool.connect_failures},
          {"breaker", breaker_name(pool.breaker)},
          {"breaker_failures", pool.breaker_failures},
          {"breaker_retry_ms", pool.breaker_retry_ms},
          {"last_connect_error", pool.connect_failures == 0 && pool.breaker_failures == 0
                                     ? Json(nullptr)
                                     : Json(pool.connect_error)},
          {"paused", pool.paused},
          {"generation", pool.generation},
          {"older_connections", pool.older_than(pool.generation)},
          {"pool_size", pool.keep},
          {"checked_out", figures.used},
          {"available", figures.available},
          {"overflow", figures.overflow},
          {"total_connections", figures.open},
          {"utilization_pct", figures.utilization_pct},
          {"counters", counters_json(pool)}};
}

Json worker_json(const shm::WorkerSnapshot& worker) {
  return {{"row", worker.row},
          {"pid", worker.pid},
          {"service", worker.service},
          {"up_ms", to_ms(worker.age_ns)},
          {"idle", worker.idle},
          {"used", worker.used},
          {"connecting", worker.connecting},
          {"closing", worker.closing},
          {"waiting", worker.waiting},
          {"dead", worker.dead},
          {"quiet", is_quiet(worker)},
          {"keeper_looked_ms_ago", to_ms(worker.beat_ago_ns)}};
}

Json waiter_json(const shm::Snapshot& snapshot, const shm::WaiterSnapshot& waiter) {
  Json pool = nullptr;
  for (const shm::PoolSnapshot& candidate : snapshot.pools) {
    if (candidate.row == waiter.pool) pool = candidate.name;
  }
  const shm::WorkerSnapshot* worker = worker_in(snapshot, waiter.worker);
  return {{"pool", pool},
          {"waited_ms", to_ms(waiter.waited_ns)},
          {"ticket", waiter.ticket},
          {"worker", waiter.worker},
          {"pid", worker == nullptr ? Json(nullptr) : Json(worker->pid)},
          {"state", waiter_state_name(waiter.state)},
          {"label", waiter.label}};
}

Json lingering_json(const shm::PoolSnapshot& pool, const shm::PlaceSnapshot& place) {
  return {{"pool", pool.name},
          {"place", place.index},
          {"was", linger_cause_name(place.cause)},
          {"since_ms", to_ms(place.state_ns)},
          {"pid", place.holder_pid},
          {"label", place.label}};
}

}  // namespace

nlohmann::ordered_json status_json(const shm::Snapshot& snapshot, std::uint64_t now_unix_ns) {
  Json out = {{"format", 1},
              {"taken_unix_ms", now_unix_ns / 1'000'000},
              {"segment", segment_json(snapshot)},
              {"quotas", Json::array()},
              {"pools", Json::array()},
              {"workers", Json::array()},
              {"line", Json::array()},
              {"lingering", Json::array()}};
  for (const shm::QuotaSnapshot& quota : snapshot.quotas) {
    out["quotas"].push_back({{"name", quota.name},
                             {"limit", quota.limit},
                             {"held", quota.held},
                             {"free", quota.free},
                             {"configured", quota.configured},
                             {"room", quota.room}});
  }
  for (const shm::PoolSnapshot& pool : snapshot.pools) {
    out["pools"].push_back(pool_json(snapshot, pool));
    for (const shm::PlaceSnapshot& place : pool.places) {
      if (place.state == shm::PlaceState::kLingering) {
        out["lingering"].push_back(lingering_json(pool, place));
      }
    }
  }
  for (const shm::WorkerSnapshot& worker : snapshot.workers) {
    out["workers"].push_back(worker_json(worker));
  }
  for (const shm::WaiterSnapshot& waiter : snapshot.waiters) {
    out["line"].push_back(waiter_json(snapshot, waiter));
  }
  return out;
}

}  // namespace weir::cli
