#include "cli/holders_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/duration.h"
#include "base/text.h"
#include "cli/json_text.h"
#include "cli/pool_figures.h"
#include "cli/render.h"
#include "cli/status_report.h"

namespace weir::cli {
namespace {

using shm::PlaceState;
using Json = nlohmann::ordered_json;

constexpr auto kText = Table::Align::kText;

// Who lends notes the time of its keeper's last tick while the pool is busy (10 ms), else that of
// the kernel's last tick, which comes more often.
constexpr std::uint64_t kNotedToNs = 10'000'000;

std::string number(std::uint64_t value) { return std::to_string(value); }

const shm::PoolSnapshot* pool_in(const shm::Snapshot& snapshot, std::uint32_t row) {
  const auto found = std::find_if(snapshot.pools.begin(), snapshot.pools.end(),
                                  [&](const auto& pool) { return pool.row == row; });
  return found == snapshot.pools.end() ? nullptr : &*found;
}

bool is_old(const Holder& lease) { return lease.place->is_older_than(lease.pool->generation); }

Table lease_table(const Holders& holders) {
  Table table({{"HELD"},
               {"POOL", kText},
               {"CONN"},
               {"LABEL", kText},
               {"PID"},
               {"THREAD"},
               {"SERVICE", kText},
               {"SESSION"},
               {"LEASES"}});
  for (const Holder& lease : holders.leases) {
    table.add({age_text(lease.place->state_ns), lease.pool->name, number(lease.place->connection),
               lease.place->label, number(lease.place->holder_pid),
               number(lease.place->holder_thread),
               lease.worker == nullptr ? "-" : lease.worker->service, age_text(lease.place->age_ns),
               count_text(lease.place->session_leases)});
  }
  return table;
}

Table waiter_table(const Holders& holders) {
  Table table({{"WAITED"},
               {"POOL", kText},
               {"LABEL", kText},
               {"PID"},
               {"SERVICE", kText},
               {"STATE", kText}});
  for (const shm::WaiterSnapshot* waiter : holders.waiters) {
    const shm::PoolSnapshot* const pool = pool_in(*holders.snapshot, waiter->pool);
    const shm::WorkerSnapshot* const worker = worker_in(*holders.snapshot, waiter->worker);
    table.add({age_text(waiter->waited_ns), pool == nullptr ? "?" : pool->name, waiter->label,
               worker == nullptr ? "-" : number(worker->pid),
               worker == nullptr ? "-" : worker->service, waiter_state_name(waiter->state)});
  }
  return table;
}

// What is wrong with who holds them, worker by worker.
std::string worker_lines(const Holders& holders) {
  std::string out;
  std::vector<const shm::WorkerSnapshot*> told;
  for (const Holder& lease : holders.leases) {
    const shm::WorkerSnapshot* const worker = lease.worker;
    if (worker == nullptr || (!worker->dead && !is_quiet(*worker))) continue;
    if (std::find(told.begin(), told.end(), worker) != told.end()) continue;
    told.push_back(worker);
    out += "! worker " + number(worker->pid) + ": " + keeper_text(*worker) + "\n";
  }
  return out;
}

std::string old_lines(const Holders& holders) {
  const auto old = std::count_if(holders.leases.begin(), holders.leases.end(), is_old);
  if (old == 0) return {};
  return "! " + std::to_string(old) + " of them from before a drain or clear: closed when " +
         (old == 1 ? "it comes" : "they come") + " back\n";
}

std::string heading(const Holders& holders) {
  const std::size_t shown = holders.leases.size();
  std::string text = number(shown) + (shown == 1 ? " lease" : " leases");
  if (holders.older_than.count() > 0) {
    text += " out for longer than " + duration_text(holders.older_than) + ", of " +
            number(shown + holders.younger);
  }
  if (shown > 0) text += "; oldest first";
  return text + "; times to " + age_text(holders.resolution_ns) + "\n";
}

Json lease_json(const Holder& lease) {
  const shm::PlaceSnapshot& place = *lease.place;
  const shm::WorkerSnapshot* const worker = lease.worker;
  return {{"held_ms", to_ms(place.state_ns)},
          {"pool", lease.pool->name},
          {"place", place.index},
          {"connection", place.connection},
          {"label", place.label},
          {"worker", place.worker},
          {"pid", place.holder_pid},
          {"thread", place.holder_thread},
          {"service", worker == nullptr ? Json(nullptr) : Json(worker->service)},
          {"dead", worker != nullptr && worker->dead},
          {"quiet", worker != nullptr && is_quiet(*worker)},
          {"session_ms", to_ms(place.age_ns)},
          {"session_leases", place.session_leases},
          {"generation", place.generation},
          {"older_generation", is_old(lease)}};
}

Json waiter_json(const shm::Snapshot& snapshot, const shm::WaiterSnapshot& waiter) {
  const shm::PoolSnapshot* const pool = pool_in(snapshot, waiter.pool);
  const shm::WorkerSnapshot* const worker = worker_in(snapshot, waiter.worker);
  return {{"waited_ms", to_ms(waiter.waited_ns)},
          {"pool", pool == nullptr ? Json(nullptr) : Json(pool->name)},
          {"label", waiter.label},
          {"worker", waiter.worker},
          {"pid", worker == nullptr ? Json(nullptr) : Json(worker->pid)},
          {"service", worker == nullptr ? Json(nullptr) : Json(worker->service)},
          {"state", waiter_state_name(waiter.state)}};
}

}  // namespace

ExitCode run_holders(const HoldersOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("holders", status); };
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  const auto segment = open_segment(target.value().segment);
  if (!segment.ok()) return fail(segment.status());
  const shm::Snapshot snapshot = shm::take_snapshot(*segment.value());
  const Result<Holders> holders =
      find_holders(snapshot, options.pool, options.older_than, kNotedToNs);
  if (!holders.ok()) return fail(holders.status());
  return show_once(options.json ? json_text(holders_json(holders.value(), unix_ns()), false)
                                : holders_text(holders.value(), unix_ns()));
}

Result<Holders> find_holders(const shm::Snapshot& snapshot, const std::string& pool,
                             std::chrono::milliseconds older_than, std::uint64_t resolution_ns) {
  Holders holders;
  holders.snapshot = &snapshot;
  holders.older_than = older_than;
  holders.resolution_ns = resolution_ns;
  const auto at_least_ms = static_cast<std::uint64_t>(older_than.count());
  bool is_known = pool.empty();
  std::string names;
  for (const shm::PoolSnapshot& candidate : snapshot.pools) {
    names += (names.empty() ? "" : ", ") + candidate.name;
    if (!pool.empty() && candidate.name != pool) continue;
    is_known = true;
    for (const shm::PlaceSnapshot& place : candidate.places) {
      if (place.state != PlaceState::kUsed) continue;
      if (place.state_ns / 1'000'000 < at_least_ms) {
        ++holders.younger;
      } else {
        holders.leases.push_back({&candidate, &place, worker_in(snapshot, place.worker)});
      }
    }
  }
  if (!is_known) {
    return Status(Code::kNotFound, "pool " + show_text(pool) + ": not declared in segment " +
                                       snapshot.path +
                                       ", which has pools: " + (names.empty() ? "none" : names));
  }
  std::stable_sort(
      holders.leases.begin(), holders.leases.end(),
      [](const Holder& a, const Holder& b) { return a.place->state_ns > b.place->state_ns; });
  for (const shm::WaiterSnapshot& waiter : snapshot.waiters) {
    const shm::PoolSnapshot* const of = pool_in(snapshot, waiter.pool);
    if (pool.empty() || (of != nullptr && of->name == pool)) holders.waiters.push_back(&waiter);
  }
  return holders;
}

std::string holders_text(const Holders& holders, std::uint64_t now_unix_ns) {
  std::string out = segment_head(*holders.snapshot, now_unix_ns) + "\n" + heading(holders);
  const Table leases = lease_table(holders);
  if (!leases.is_empty()) out += leases.text();
  out += old_lines(holders) + worker_lines(holders);
  if (holders.waiters.empty()) return out + "\nNobody is in line.\n";
  return out + "\nIn line, oldest first: " + number(holders.waiters.size()) + "\n" +
         waiter_table(holders).text();
}

nlohmann::ordered_json holders_json(const Holders& holders, std::uint64_t now_unix_ns) {
  Json out = {{"format", 1},
              {"taken_unix_ms", now_unix_ns / 1'000'000},
              {"segment", holders.snapshot->path},
              {"resolution_ms", to_ms(holders.resolution_ns)},
              {"older_than_ms", holders.older_than.count()},
              {"younger", holders.younger},
              {"leases", Json::array()},
              {"waiting", Json::array()}};
  for (const Holder& lease : holders.leases) out["leases"].push_back(lease_json(lease));
  for (const shm::WaiterSnapshot* waiter : holders.waiters) {
    out["waiting"].push_back(waiter_json(*holders.snapshot, *waiter));
  }
  return out;
}

}  // namespace weir::cli
