#include <algorithm>

#include "cli/outage.h"
#include "cli/pool_figures.h"
#include "cli/render.h"
#include "cli/status_report.h"

namespace weir::cli {
namespace {

constexpr auto kText = Table::Align::kText;
// Of a line of hundreds the first are the ones to look at; JSON has all.
constexpr std::size_t kMostWaitersShown = 20;

std::string number(std::uint64_t value) { return std::to_string(value); }

void add_section(std::string& out, const std::string& heading, const Table& table) {
  if (table.is_empty()) return;
  out += "\n" + (heading.empty() ? "" : heading + "\n") + table.text();
}

Table quota_table(const shm::Snapshot& snapshot) {
  Table table({{"QUOTA", kText}, {"LIMIT"}, {"HELD"}, {"FREE"}});
  for (const shm::QuotaSnapshot& quota : snapshot.quotas) {
    table.add({quota.name, number(quota.limit), number(quota.held), number(quota.free)});
  }
  return table;
}

Table place_table(const shm::Snapshot& snapshot) {
  Table table({{"POOL", kText},
               {"QUOTA", kText},
               {"MAX"},
               {"IDLE"},
               {"USED"},
               {"CONN"},
               {"CLOSE"},
               {"LINGER"},
               {"OFFER"},
               {"AVAIL"},
               {"WAIT"},
               {"OLDEST"}});
  for (const shm::PoolSnapshot& pool : snapshot.pools) {
    const PoolFigures figures = figures_of(snapshot, pool);
    const shm::QuotaSnapshot* quota = quota_of(snapshot, pool);
    table.add({pool.name, quota == nullptr ? "-" : quota->name, number(pool.max),
               number(figures.idle), number(figures.used), number(figures.connecting),
               number(figures.closing), number(figures.lingering), number(figures.offered),
               number(figures.available), number(pool.waiting),
               pool.waiting == 0 ? "-" : age_text(pool.oldest_wait_ns)});
  }
  return table;
}

std::string operator_line(const std::string& what, std::uint32_t limit, std::uint32_t configured) {
  if (configured == limit) return {};
  return "! " + what + ": " + number(limit) + " set by an operator, " + number(configured) +
         " configured\n";
}

// What was decided for a pool, while it makes a difference.
std::string decision_lines(const shm::PoolSnapshot& pool) {
  const std::string about = "! pool " + printable(pool.name) + ": ";
  std::string out;
  if (pool.paused) {
    out += about + "paused: nothing is lent until weir resume " + printable(pool.name) + "\n";
  }
  if (const std::uint32_t older = pool.older_than(pool.generation); older > 0) {
    out += about + number(older) + (older == 1 ? " connection" : " connections") +
           " from before a drain or clear: not lent again, closed once back\n";
  }
  return out;
}

std::string remark_lines(const shm::Snapshot& snapshot) {
  std::string out;
  for (const shm::QuotaSnapshot& quota : snapshot.quotas) {
    out += operator_line("quota " + printable(quota.name), quota.limit, quota.configured);
  }
  for (const shm::PoolSnapshot& pool : snapshot.pools) {
    out += operator_line("pool " + printable(pool.name), pool.max, pool.configured_max);
  }
  for (const shm::PoolSnapshot& pool : snapshot.pools) out += decision_lines(pool);
  for (const shm::PoolSnapshot& pool : snapshot.pools) {
    if (!cannot_connect(pool)) continue;
    out += "! pool " + printable(pool.name) + ": " + outage_text(snapshot, pool) + "\n";
    const std::string error = printable(pool.connect_error);
    if (!error.empty()) out += "  " + error.substr(0, kLineWidth - 2) + "\n";
  }
  return out;
}

Table counter_table(const shm::Snapshot& snapshot) {
  using shm::Counter;
  Table table({{"POOL", kText},
               {"DRIVER", kText},
               {"ACQUIRES"},
               {"WAITED"},
               {"MEAN"},
               {"TIMEOUTS"},
               {"CONNECTS"},
               {"FAILED"},
               {"CLOSES"},
               {"MOVED"},
               {"REAPED"},
               {"LEAKS"}});
  for (const shm::PoolSnapshot& pool : snapshot.pools) {
    const std::uint64_t waited = pool.counter(Counter::kAcquiresWaited);
    table.add(
        {pool.name, pool.driver, count_text(pool.acquires), count_text(waited),
         waited == 0 ? "-" : age_text(pool.counter(Counter::kWaitNs) / waited),
         count_text(pool.counter(Counter::kTimeouts)), count_text(pool.counter(Counter::kConnects)),
         count_text(pool.counter(Counter::kConnectFailures)),
         count_text(pool.counter(Counter::kCloses)), count_text(pool.counter(Counter::kHandedLive)),
         count_text(pool.counter(Counter::kReclaimed)), count_text(pool.counter(Counter::kLeaks))});
  }
  return table;
}

Table worker_table(const shm::Snapshot& snapshot) {
  Table table({{"WORKER"},
               {"PID"},
               {"SERVICE", kText},
               {"UP"},
               {"IDLE"},
               {"USED"},
               {"CONN"},
               {"CLOSE"},
               {"WAIT"},
               {"KEEPER", kText}});
  for (const shm::WorkerSnapshot& worker : snapshot.workers) {
    table.add({number(worker.row), number(worker.pid), worker.service, age_text(worker.age_ns),
               number(worker.idle), number(worker.used), number(worker.connecting),
               number(worker.closing), number(worker.waiting), keeper_text(worker)});
  }
  return table;
}

std::string pool_name(const shm::Snapshot& snapshot, std::uint32_t row) {
  const auto found = std::find_if(snapshot.pools.begin(), snapshot.pools.end(),
                                  [&](const auto& pool) { return pool.row == row; });
  return found == snapshot.pools.end() ? "?" : found->name;
}

std::string pid_of_worker(const shm::Snapshot& snapshot, std::uint32_t row) {
  const shm::WorkerSnapshot* worker = worker_in(snapshot, row);
  return worker == nullptr ? "-" : number(worker->pid);
}

Table line_table(const shm::Snapshot& snapshot) {
  Table table(
      {{"WAITED"}, {"POOL", kText}, {"WORKER"}, {"PID"}, {"STATE", kText}, {"LABEL", kText}});
  const std::size_t shown = std::min(snapshot.waiters.size(), kMostWaitersShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const shm::WaiterSnapshot& waiter = snapshot.waiters[i];
    table.add({age_text(waiter.waited_ns), pool_name(snapshot, waiter.pool), number(waiter.worker),
               pid_of_worker(snapshot, waiter.worker), waiter_state_name(waiter.state),
               waiter.label});
  }
  return table;
}

Table linger_table(const shm::Snapshot& snapshot) {
  Table table({{"PLACE", kText}, {"WAS", kText}, {"SINCE"}, {"PID"}, {"LABEL", kText}});
  for (const shm::PoolSnapshot& pool : snapshot.pools) {
    for (const shm::PlaceSnapshot& place : pool.places) {
      if (place.state != shm::PlaceState::kLingering) continue;
      table.add({pool.name + "#" + number(place.index), linger_cause_name(place.cause),
                 age_text(place.state_ns), number(place.holder_pid), place.label});
    }
  }
  return table;
}

}  // namespace

std::string status_text(const shm::Snapshot& snapshot, std::uint64_t now_unix_ns) {
  std::string out = segment_head(snapshot, now_unix_ns);
  if (snapshot.pools.empty()) {
    out += "\nNo pool has been declared yet: no worker has opened one.\n";
  }
  add_section(out, "", quota_table(snapshot));
  add_section(out, "", place_table(snapshot));
  out += remark_lines(snapshot);
  add_section(out, "", counter_table(snapshot));
  add_section(out, "", worker_table(snapshot));
  add_section(out, "In line, oldest first: " + number(snapshot.waiters.size()),
              line_table(snapshot));
  if (snapshot.waiters.size() > kMostWaitersShown) {
    out += "... and " + number(snapshot.waiters.size() - kMostWaitersShown) + " more\n";
  }
  add_section(out, "Lingering: the worker died, the server may not have let go yet",
              linger_table(snapshot));
  return out;
}

std::string segment_head(const shm::Snapshot& snapshot, std::uint64_t now_unix_ns) {
  std::string out = "segment " + printable(snapshot.path) + "\n" + utc_text(now_unix_ns) + ", " +
                    number(snapshot.workers.size()) +
                    (snapshot.workers.size() == 1 ? " worker, " : " workers, ") +
                    bytes_text(snapshot.bytes) + ", made " + utc_text(snapshot.created_unix_ns) +
                    "\n";
  if (!snapshot.poison_reason.empty()) {
    out +=
        "\nOUT OF SERVICE: " + printable(snapshot.poison_reason) +
        "\nLeases go on, nothing new is opened. Stop every worker that uses the segment; the next\n"
        "one to start makes a new one.\n";
  }
  return out;
}

bool is_quiet(const shm::WorkerSnapshot& worker) {
  return !worker.dead && worker.beat_ago_ns >= kQuietAfterNs;
}

std::string keeper_text(const shm::WorkerSnapshot& worker) {
  if (worker.dead) return "DEAD, not settled yet";
  if (!is_quiet(worker)) return "ok";
  return "quiet for " + age_text(worker.beat_ago_ns) + ": stopped?";
}

const char* linger_cause_name(shm::LingerCause cause) {
  switch (cause) {
    case shm::LingerCause::kIdle:
      return "idle";
    case shm::LingerCause::kUsed:
      return "used";
    case shm::LingerCause::kOpening:
      return "connecting";
    case shm::LingerCause::kClosing:
      return "closing";
  }
  return "?";
}

const char* waiter_state_name(shm::WaiterState state) {
  switch (state) {
    case shm::WaiterState::kFree:
    case shm::WaiterState::kSetup:
    case shm::WaiterState::kWaiting:
      return "waiting";
    case shm::WaiterState::kClaimed:
      return "offered";
    case shm::WaiterState::kGranted:
      return "granted";
  }
  return "?";
}

}  // namespace weir::cli
