// What the policy says, put in force: how many are open, where, and for whom; and shown to people.
// A policy is the keeper's: no caller ever waits for one.
#include <algorithm>

#include "pool/pool.h"
#include "shm/reserve.h"

namespace weir::pool {

using shm::PlaceWord;

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;

}  // namespace

// Whether somebody asked for the scripts to be read again since the last tick.
bool Pool::is_policy_reload_asked() const {
  return parts_.segment.header().policy_reloads.load() != policy_reloads_;
}

void Pool::decide_size(const policy::PoolView& view) {
  policy::Policy& policy = *parts_.policy;
  const std::uint32_t asked = parts_.segment.header().policy_reloads.load();
  const bool anew = asked != policy_reloads_;
  policy.follow(config().policy, config().policy_params, anew);
  policy_reloads_ = asked;
  has_own_breaker_.store(policy.has_own_breaker());
  size_ = policy::clamp(policy.size(view), view);
  put_size_in_force();
}

void Pool::put_size_in_force() {
  shm::put_policy_max(ref().row(), size_.max);
  store_if_new(worker_cap_, size_.max_per_worker);
  store_if_new(target_, size_.target);
  store_if_new(handover_after_ns_, size_.handover_after_ms * kMillisecond);
  store_if_new(turn_ns_, size_.handover_after_ms * kMillisecond / 2);
  see_whether_releases_may_close();
}

// A release that may have to close looks at every place first: only where that can be so.
void Pool::see_whether_releases_may_close() {
  const bool above = count_staying() > most_staying();
  store_if_new(has_overflow_, config().kept() < config().max || config().reserve > 0 || above);
  store_if_new(releases_take_more_, always_reset_ || has_overflow_);
}

// How many are open or about to be, and not on their way out.
std::uint32_t Pool::count_staying() const {
  Stats now;
  for (const shm::Word& word : ref().places()) {
    add_places(now, PlaceWord(word.load(std::memory_order_relaxed)).state(), 1);
  }
  return now.idle + now.used + now.connecting;
}

// How many stay open that nobody waits for.
std::uint32_t Pool::most_staying() const {
  return std::min(target_.load(std::memory_order_relaxed), shm::beside_reserve(ref().row()));
}

// The most that this worker may have; 0: no cap.
std::uint32_t Pool::worker_cap() const {
  const std::uint32_t configured = ref().row().max_per_worker.load();
  const std::uint32_t decided = worker_cap_.load(std::memory_order_relaxed);
  if (configured == 0 || decided == 0) return std::max(configured, decided);
  return std::min(configured, decided);
}

// For people, and for who asked whether it was read again.
void Pool::show_policy() {
  const policy::PolicyStatus now = parts_.policy->status();
  book_.note_policy({.name = std::string(now.name),
                     .hash = std::string(now.hash),
                     .error = now.last_error.ok() ? "" : now.last_error.message(),
                     .bad_ticks = now.errors,
                     .fallen_back = now.fallen_back,
                     .reloaded = policy_reloads_,
                     .target = size_.target,
                     .warm = size_.warm,
                     .max = size_.max,
                     .max_per_worker = size_.max_per_worker,
                     .handover_after_ms = size_.handover_after_ms});
  if (now.errors > policy_errors_) {
    book_.add(shm::Counter::kPolicyErrors, now.errors - policy_errors_);
    tell({.kind = EventKind::kPolicyError,
          .code = now.last_error.code(),
          .count = now.errors - policy_errors_,
          .text = now.last_error.message()});
  }
  policy_errors_ = now.errors;
  if (now.changes != policy_changes_) {
    policy_changes_ = now.changes;
    parts_.log.warn("policy_failed", {{"pool", config().name},
                                      {"policy", now.name},
                                      {"error", now.last_error.to_string()},
                                      {"fallen_back", now.fallen_back}});
  }
  if (now.hash != policy_hash_) {
    policy_hash_ = now.hash;
    parts_.log.info("policy_in_charge",
                    {{"pool", config().name}, {"policy", now.name}, {"hash", now.hash}});
  }
}

}  // namespace weir::pool
