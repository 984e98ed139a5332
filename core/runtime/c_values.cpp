#include "runtime/c_values.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace weir::runtime {

pool::EventSink::Listener listener_of(weir_event_fn event, void* context) {
  if (event == nullptr) return nullptr;
  return [event, context](const pool::Event& what) {
    const std::string pool(what.pool), label(what.label), text(what.text);
    weir_event_t c{};
    c.struct_size = sizeof c;
    c.kind = static_cast<std::int32_t>(what.kind);
    c.pool = pool.c_str();
    c.connection = what.connection;
    c.reason = static_cast<std::int32_t>(what.reason);
    c.code = static_cast<std::int32_t>(what.code);
    c.duration_ns = what.duration_ns;
    c.count = what.count;
    c.label = label.c_str();
    c.text = text.c_str();
    return static_cast<Code>(event(context, &c));
  };
}

void copy_stats(const pool::Stats& now, weir_pool_stats_t* stats) {
  weir_pool_stats_t all{};
  all.struct_size = stats->struct_size;
  all.max = now.max;
  all.min = now.min;
  all.keep = now.keep;
  all.total = now.total();
  all.idle = now.idle;
  all.used = now.used;
  all.connecting = now.connecting;
  all.closing = now.closing;
  all.lingering = now.lingering;
  all.waiting = now.waiting;
  all.worker_idle = now.worker_idle;
  all.worker_used = now.worker_used;
  all.acquires = now.acquires;
  all.acquires_waited = now.acquires_waited;
  all.timeouts = now.timeouts;
  all.connects = now.connects;
  all.connect_failures = now.connect_failures;
  all.closes = now.closes;
  all.handed_on = now.handed_on;
  all.resets = now.resets;
  all.reset_failures = now.reset_failures;
  all.pings = now.pings;
  all.ping_failures = now.ping_failures;
  all.too_many_waiters = now.too_many_waiters;
  all.wait_ns = now.wait_ns;
  all.handed_live = now.handed_live;
  all.handover_failures = now.handover_failures;
  all.cancelled = now.cancelled;
  all.connect_refusals = now.connect_refusals;
  all.refused = now.refused;
  all.connect_ns = now.connect_ns;
  all.use_ns = now.use_ns;
  all.detached = now.detached;
  all.forks = now.forks;
  all.policy_errors = now.policy_errors;
  all.reclaimed = now.reclaimed;
  all.leaks = now.leaks;
  static_assert(pool::kCloseReasons == WEIR_CLOSE_REASONS);
  std::copy(now.closed.begin(), now.closed.end(), all.closed);
  all.paused = now.paused ? 1 : 0;
  all.generation = now.generation;
  std::memcpy(stats, &all, std::min<std::size_t>(stats->struct_size, sizeof all));
}

}  // namespace weir::runtime
