#include "cli/workers_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/json_text.h"
#include "cli/render.h"
#include "cli/status_report.h"

namespace weir::cli {
namespace {

using nlohmann::ordered_json;
using shm::PlaceState;

constexpr auto kText = Table::Align::kText;

/// What one worker has in one pool.
struct Held {
  const shm::PoolSnapshot* pool;
  std::uint32_t idle = 0, used = 0, connecting = 0, closing = 0;
  [[nodiscard]] bool anything() const { return idle + used + connecting + closing > 0; }
};

std::vector<Held> held_by(const shm::Snapshot& snapshot, std::uint32_t worker) {
  std::vector<Held> all;
  for (const shm::PoolSnapshot& pool : snapshot.pools) {
    Held held{&pool};
    for (const shm::PlaceSnapshot& place : pool.places) {
      if (place.worker != worker) continue;
      held.idle += place.state == PlaceState::kIdle ? 1 : 0;
      held.used += place.state == PlaceState::kUsed ? 1 : 0;
      held.connecting += place.state == PlaceState::kOpening ? 1 : 0;
      held.closing += place.state == PlaceState::kClosing ? 1 : 0;
    }
    if (held.anything()) all.push_back(held);
  }
  return all;
}

std::uint64_t since_unix_ns(const shm::WorkerSnapshot& worker, std::uint64_t now_unix_ns) {
  return now_unix_ns - std::min(worker.age_ns, now_unix_ns);
}

}  // namespace

ExitCode run_workers(const WorkersOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("workers", status); };
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  const auto segment = open_segment(target.value().segment);
  if (!segment.ok()) return fail(segment.status());
  const shm::Snapshot snapshot = shm::take_snapshot(*segment.value());
  return show_once(options.json ? json_text(workers_json(snapshot, unix_ns()), false)
                                : workers_text(snapshot, unix_ns()));
}

std::string workers_text(const shm::Snapshot& snapshot, std::uint64_t now_unix_ns) {
  if (snapshot.workers.empty()) return "No worker is attached.\n";
  Table table({{"WORKER"},
               {"PID"},
               {"SERVICE", kText},
               {"SINCE", kText},
               {"WAIT"},
               {"KEEPER", kText},
               {"POOL", kText},
               {"IDLE"},
               {"USED"},
               {"CONN"},
               {"CLOSE"}});
  for (const shm::WorkerSnapshot& worker : snapshot.workers) {
    std::vector<std::string> who = {std::to_string(worker.row),
                                    std::to_string(worker.pid),
                                    worker.service,
                                    utc_text(since_unix_ns(worker, now_unix_ns)),
                                    std::to_string(worker.waiting),
                                    keeper_text(worker)};
    const auto add = [&](std::vector<std::string> what) {
      std::vector<std::string> cells = who;
      cells.insert(cells.end(), what.begin(), what.end());
      table.add(std::move(cells));
      // The next pool of the same worker on a line of its own.
      std::fill(who.begin(), who.end(), "");
    };
    const std::vector<Held> pools = held_by(snapshot, worker.row);
    if (pools.empty()) add({"-", "0", "0", "0", "0"});
    for (const Held& held : pools) {
      add({held.pool->name, std::to_string(held.idle), std::to_string(held.used),
           std::to_string(held.connecting), std::to_string(held.closing)});
    }
  }
  return table.text();
}

ordered_json workers_json(const shm::Snapshot& snapshot, std::uint64_t now_unix_ns) {
  ordered_json workers = ordered_json::array();
  for (const shm::WorkerSnapshot& worker : snapshot.workers) {
    ordered_json pools = ordered_json::array();
    for (const Held& held : held_by(snapshot, worker.row)) {
      pools.push_back({{"pool", held.pool->name},
                       {"idle", held.idle},
                       {"used", held.used},
                       {"connecting", held.connecting},
                       {"closing", held.closing}});
    }
    workers.push_back({{"row", worker.row},
                       {"pid", worker.pid},
                       {"service", worker.service},
                       {"since_unix_ms", since_unix_ns(worker, now_unix_ns) / 1'000'000},
                       {"up_ms", to_ms(worker.age_ns)},
                       {"keeper_looked_ms_ago", to_ms(worker.beat_ago_ns)},
                       {"dead", worker.dead},
                       {"quiet", is_quiet(worker)},
                       {"waiting", worker.waiting},
                       {"pools", std::move(pools)}});
  }
  return {{"format", 1},
          {"taken_unix_ms", now_unix_ns / 1'000'000},
          {"segment", snapshot.path},
          {"workers", std::move(workers)}};
}

}  // namespace weir::cli
