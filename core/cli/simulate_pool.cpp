#include "cli/simulate_pool.h"

#include <algorithm>
#include <array>
#include <utility>

#include "cli/policy_named.h"
#include "cli/pool_figures.h"
#include "cli/render.h"
#include "policy/scripted_policy.h"
#include "policy/window.h"

namespace weir::cli {
namespace {

using simulation::MachineSettings;
using simulation::MakePolicy;
using simulation::Mechanics;
using simulation::PoolSettings;

constexpr double kEnough = 20;  // of a kind, for their median to say something

std::uint64_t ms_of(config::milliseconds time) { return static_cast<std::uint64_t>(time.count()); }

std::uint32_t limit_of(const config::PoolConfig& pool,
                       const std::vector<config::QuotaConfig>& quotas) {
  const auto found = std::find_if(quotas.begin(), quotas.end(),
                                  [&](const auto& quota) { return quota.name == pool.quota; });
  return found == quotas.end() || found->is_auto ? 0 : found->limit;
}

policy::Percentiles connects_of(const shm::PoolSnapshot& pool) {
  const auto& counts = pool.histograms[static_cast<std::size_t>(shm::Histogram::kConnect)];
  const std::vector<double> some(counts.begin(), counts.end());
  return policy::percentiles_of(some, shm::kHistogramEndsNs);
}

policy::Percentiles handovers_of(const shm::PoolSnapshot& pool) {
  std::array<std::uint64_t, shm::kHandoverBuckets - 1> ends{};
  for (std::size_t i = 0; i < ends.size(); ++i) ends[i] = shm::handover_bucket_end_ns(i);
  const std::vector<double> some(pool.handovers.begin(), pool.handovers.end());
  return policy::percentiles_of(some, ends);
}

std::uint64_t us_of(double ms) { return static_cast<std::uint64_t>(ms * 1000 + 0.5); }

/// What decides in most workers is what decides in the first: they follow the same file.
const shm::PolicyNote* note_of(const shm::PoolSnapshot* pool) {
  return pool == nullptr || pool->policies.empty() ? nullptr : &pool->policies.front().note;
}

std::string who(const shm::PolicyNote& note) {
  return printable(note.name) + " (" + printable(note.hash) + ")";
}

Result<MakePolicy> running_of(const config::PoolConfig* config, const shm::PolicyNote* note,
                              std::vector<std::string>& notes) {
  if (note != nullptr && note->fallen_back) {
    notes.push_back("the built-in policy runs in the place of " + who(*note) + ", which failed");
    return policy_named("fixed");
  }
  const bool is_built_in = note != nullptr ? note->hash.empty() : true;
  if (config == nullptr) {
    if (is_built_in) return policy_named("fixed");
    return Status(Code::kNotFound,
                  "the running policy: expected --config or --against to say where " + who(*note) +
                      " is, found neither");
  }
  if (config->policy.empty()) return policy_named("fixed");
  Result<MakePolicy> made = policy_named(config->policy, config->policy_params);
  if (!made.ok() || note == nullptr) return made;
  const std::unique_ptr<policy::Policy> policy = made.value()();
  if (policy->status().hash == note->hash) return made;
  notes.push_back("the workers run " + (is_built_in ? "the built-in policy" : who(*note)) +
                  ", the configuration has " + std::string(policy->status().name) + " (" +
                  std::string(policy->status().hash) + ") now, which is simulated");
  return made;
}

}  // namespace

PoolSettings settings_of(const config::PoolConfig& pool,
                         const std::vector<config::QuotaConfig>& quotas) {
  using simulation::Handover;
  constexpr std::uint64_t kNeverMs = 31ULL * 86'400'000;
  PoolSettings settings;
  settings.name = pool.name;
  settings.max = pool.max;
  settings.min = pool.min;
  settings.keep = pool.keep;
  settings.max_per_worker = pool.max_per_worker;
  settings.quota = limit_of(pool, quotas);
  settings.connect_concurrency = pool.connect_concurrency;
  settings.acquire_timeout_ms = ms_of(pool.acquire_timeout);
  settings.idle_timeout_ms = ms_of(pool.idle_timeout);
  settings.max_lifetime_ms = ms_of(pool.max_lifetime);
  settings.validate_after_ms = pool.validate_after ? ms_of(*pool.validate_after) : kNeverMs;
  settings.permit_quantum_ms = ms_of(pool.permit_quantum);
  settings.handover_after_ms = ms_of(pool.handover_after);
  settings.handover = pool.handover == config::Handover::kLive     ? Handover::kLive
                      : pool.handover == config::Handover::kPermit ? Handover::kPermit
                                                                   : Handover::kOff;
  settings.retries_connects = pool.on_connect_error == config::OnConnectError::kRetryUntilDeadline;
  for (const std::string& text : pool.classes) {
    if (const auto one = config::class_floor(text)) {
      settings.classes.push_back({one->name, one->floor});
    }
  }
  return settings;
}

void take_from(const shm::Snapshot& snapshot, const shm::PoolSnapshot& pool,
               MachineSettings& machine) {
  machine.pool.name = pool.name;
  machine.pool.max = pool.max;
  machine.pool.min = pool.min;
  machine.pool.keep = pool.keep;
  machine.pool.max_per_worker = pool.max_per_worker;
  machine.pool.classes.clear();
  for (const shm::ClassSnapshot& one : pool.classes) {
    machine.pool.classes.push_back({one.name, one.floor});
  }
  if (const shm::QuotaSnapshot* quota = quota_of(snapshot, pool)) machine.pool.quota = quota->limit;
  const auto alive = std::count_if(snapshot.workers.begin(), snapshot.workers.end(),
                                   [](const auto& worker) { return !worker.dead; });
  if (alive > 0) machine.workers = static_cast<std::uint32_t>(alive);

  Mechanics& takes = machine.mechanics;
  const policy::Percentiles connects = connects_of(pool), handovers = handovers_of(pool);
  if (connects.count >= kEnough) takes.connect_us = us_of(connects.p50);
  if (handovers.count < kEnough) return;
  // Timed from before it is given until it is taken in. What is slow there is slow all along.
  const double by =
      handovers.p50 * 1000 / static_cast<double>(takes.give_us + takes.wake_us + takes.take_us);
  for (std::uint64_t* const us :
       {&takes.wake_us, &takes.rouse_us, &takes.give_us, &takes.take_us}) {
    *us = static_cast<std::uint64_t>(static_cast<double>(*us) * by + 0.5);
  }
}

Result<PoolToSimulate> pool_to_simulate(const Where& where, const std::string& asked) {
  PoolToSimulate found;
  if (asked.empty() && where.config.empty() && where.folder.empty() && where.segment.empty()) {
    found.running = policy_named("fixed");
    return found;
  }
  const Result<Target> target = resolve(where);
  if (!target.ok()) return target.status();
  shm::Snapshot snapshot;
  const auto segment = open_segment(target.value().segment);
  if (segment.ok()) {
    snapshot = take_snapshot(*segment.value());
  } else if (!target.value().config || segment.status().code() != Code::kNotFound) {
    return segment.status();
  }
  Result<std::string> name = std::string();
  if (target.value().config) {
    std::vector<std::string> names;
    for (const config::PoolConfig& pool : target.value().config->pools) names.push_back(pool.name);
    name = choose_pool(names, asked);
  } else {
    name = choose_pool(snapshot, asked);
  }
  if (!name.ok()) return name.status();
  found.name = name.value();
  const config::PoolConfig* const config = target.value().pool(found.name);
  const shm::PoolSnapshot* const pool = snapshot.pool(found.name);
  if (config != nullptr) found.machine.pool = settings_of(*config, target.value().config->quotas);
  if (pool != nullptr) take_from(snapshot, *pool, found.machine);
  found.running = running_of(config, note_of(pool), found.notes);
  return found;
}

}  // namespace weir::cli
