// The view as scripts see it: what each number is called and where it comes from, said once.
//
// visit() walks a PoolView, visit_fields() a connection, in a fixed order, and tells an archive the
// name of each field beside the field itself: one archive fills Lua's tables (ViewTables), another
// reads the sample views of a self-check (policy/lua_sample.h), a third lists the names for a test
// of docs/policies.md. An archive has
//   value(name, field)      a number, a flag, a text or the breaker's state
//   derived(name, number)   computed: nothing to read back
//   open(name), close()     what lies between is in a table of that name
//   list(name, span)        an array of tables, each by visit_fields()
//   state()                 view.state, which no PoolView has
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "policy/policy.h"

struct lua_State;

namespace weir::policy {

template <typename Archive, typename Group>
void visit_percentiles(Archive& archive, const char* name, Group& group) {
  archive.open(name);
  archive.value("count", group.count);
  archive.value("p50", group.p50);
  archive.value("p95", group.p95);
  archive.value("p99", group.p99);
  archive.close();
}

template <typename Archive, typename Window>
void visit_window(Archive& archive, const char* name, Window& window) {
  archive.open(name);
  archive.value("length_ms", window.length_ms);
  visit_percentiles(archive, "wait", window.wait);
  visit_percentiles(archive, "use", window.use);
  visit_percentiles(archive, "connect", window.connect);
  archive.value("acquires_per_s", window.acquires_per_s);
  archive.value("waited_per_s", window.waited_per_s);
  archive.value("timeouts_per_s", window.timeouts_per_s);
  archive.value("connects_per_s", window.connects_per_s);
  archive.value("connect_failures_per_s", window.connect_failures_per_s);
  archive.value("closes_per_s", window.closes_per_s);
  archive.value("handovers_per_s", window.handovers_per_s);
  archive.value("used_mean", window.used_mean);
  archive.value("used_most", window.used_most);
  archive.close();
}

/// Callers in line for any pool on the quota; where nothing is known of the others, for this one.
[[nodiscard]] inline std::uint32_t waiting_on_quota(const PoolView& view) {
  if (view.pools.empty()) return view.waiting;
  std::uint32_t waiting = 0;
  for (const PoolShare& pool : view.pools) waiting += pool.waiting;
  return waiting;
}

/// `View`: PoolView or const PoolView.
template <typename Archive, typename View>
void visit(Archive& archive, View& view) {
  archive.value("now_ms", view.now_ms);
  archive.value("chance", view.chance);
  archive.open("pool");
  archive.value("name", view.name);
  archive.value("max", view.max);
  archive.value("min", view.min);
  archive.value("keep", view.keep);
  archive.value("max_per_worker", view.max_per_worker);
  archive.value("idle_timeout_ms", view.idle_timeout_ms);
  archive.value("handover_after_ms", view.handover_after_ms);
  archive.value("idle", view.idle);
  archive.value("used", view.used);
  archive.value("connecting", view.connecting);
  archive.value("closing", view.closing);
  archive.value("lingering", view.lingering);
  archive.derived("open", view.open());
  archive.value("waiting", view.waiting);
  archive.value("oldest_wait_ms", view.oldest_wait_ms);
  visit_window(archive, "last", view.last);
  visit_window(archive, "minute", view.minute);
  archive.close();
  archive.open("machine");
  archive.value("quota", view.quota_limit);
  archive.value("in_use", view.quota_in_use);
  archive.derived("waiting", waiting_on_quota(view));
  archive.value("workers", view.workers);
  archive.list("pools", view.pools);
  archive.close();
  archive.open("worker");
  archive.value("idle", view.worker_idle);
  archive.value("used", view.worker_used);
  archive.close();
  archive.list("workers", view.worker_shares);
  archive.list("classes", view.classes);
  archive.open("breaker");
  archive.value("state", view.breaker);
  archive.value("retry_ms", view.breaker_retry_ms);
  archive.value("failures", view.connect_failures_in_a_row);
  archive.value("attempt_failed", view.attempt_failed);
  archive.close();
  archive.state();
}

/// What `list` takes, and `conn` of evict.
template <typename Archive, typename Share>
void visit_fields(Archive& archive, Share& share) {
  using Plain = std::remove_const_t<Share>;
  if constexpr (std::is_same_v<Plain, ConnectionView>) {
    archive.value("age_ms", share.age_ms);
    archive.value("idle_ms", share.idle_ms);
    archive.value("lifetime_ms", share.lifetime_ms);
    archive.value("checked_ms", share.checked_ms);
    archive.value("leases", share.leases);
  } else if constexpr (std::is_same_v<Plain, PoolShare>) {
    archive.value("name", share.name);
    archive.value("max", share.max);
    archive.value("idle", share.idle);
    archive.value("used", share.used);
    archive.value("waiting", share.waiting);
  } else if constexpr (std::is_same_v<Plain, WorkerShare>) {
    archive.value("idle", share.idle);
    archive.value("used", share.used);
    archive.value("waiting", share.waiting);
    archive.value("here", share.is_here);
  } else {
    static_assert(std::is_same_v<Plain, ClassShare>);
    archive.value("name", share.name);
    archive.value("floor", share.floor);
    archive.value("used", share.used);
    archive.value("waiting", share.waiting);
  }
}

/// The view's tables in Lua. Within a tick only what changed is written again: a thousand idle
/// connections are a thousand views that differ in a count or two. All functions raise: call them
/// in an entry.
class ViewTables {
 public:
  /// Pushes a whole new view with the table at `state` of the stack as view.state.
  void make(lua_State* lua, const PoolView& view, int state);
  /// Pushes the view that make() made, with what changed since; lists stay as they were made.
  void update(lua_State* lua, const PoolView& view);
  /// Pushes a new table.
  static void push(lua_State* lua, const ConnectionView& connection);

 private:
  friend class ViewFiller;
  static constexpr std::size_t kMostValues = 96;
  std::array<std::uint64_t, kMostValues> last_{};  // of each number, by its place in the order
  // The view as it was: most evictions change nothing. Padding that differs costs a closer look.
  static_assert(std::is_trivially_copyable_v<PoolView>);
  std::array<std::byte, sizeof(PoolView)> seen_{};
};

}  // namespace weir::policy
