// The view that a script sees, number by number: for any view, in any order of changes.
#include "policy/lua_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "policy/lua_policy.h"
#include "policy/scripted_policy.h"

namespace weir::policy {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The archive that lists names: view.pool.max, view.machine.pools[].name.
class Names {
 public:
  explicit Names(std::string prefix) : path_{std::move(prefix)} {}
  template <typename T>
  void value(const char* name, const T&) {
    all.insert(path_.back() + "." + name);
  }
  template <typename T>
  void derived(const char* name, T) {
    all.insert(path_.back() + "." + name);
  }
  void open(const char* name) { path_.push_back(path_.back() + "." + name); }
  void close() { path_.pop_back(); }
  template <typename T>
  void list(const char* name, std::span<const T>) {
    open((std::string(name) + "[]").c_str());
    const T element{};
    visit_fields(*this, element);
    close();
  }
  void state() { all.insert(path_.back() + ".state"); }

  std::set<std::string> all;

 private:
  std::vector<std::string> path_;
};

std::set<std::string> names() {
  Names view("view"), connection("conn");
  const PoolView empty;
  visit(view, empty);
  const ConnectionView idle;
  visit_fields(connection, idle);
  view.all.merge(connection.all);
  return view.all;
}

TEST(ThePageOfPolicies, NamesEveryFieldOfTheView) {
  const std::string page = content_of(WEIR_SOURCE_FOLDER "/docs/policies.md");
  EXPECT_GE(names().size(), 70u);
  for (const std::string& name : names()) {
    // What both windows have stands under the name of one.
    if (name.starts_with("view.pool.minute.")) continue;
    EXPECT_THAT(page, testing::HasSubstr("`" + name + "`"));
  }
}

std::uint32_t count() { return *rc::gen::inRange(0u, 1'000'000u); }
std::uint64_t time() { return *rc::gen::inRange<std::uint64_t>(0, 3'600'000); }

PoolView any_view() {
  PoolView view;
  view.name = "main";
  view.now_ms = time();
  view.chance = *rc::gen::inRange(0, 1'000'000) / 1e6;
  for (std::uint32_t PoolView::*member :
       {&PoolView::max, &PoolView::min, &PoolView::keep, &PoolView::max_per_worker, &PoolView::idle,
        &PoolView::used, &PoolView::connecting, &PoolView::closing, &PoolView::lingering,
        &PoolView::waiting, &PoolView::workers, &PoolView::quota_limit, &PoolView::quota_in_use,
        &PoolView::worker_idle, &PoolView::worker_used}) {
    view.*member = count();
  }
  view.connect_failures_in_a_row = *rc::gen::inRange(0u, 256u);
  view.handover_after_ms = time();
  view.idle_timeout_ms = *rc::gen::element<std::uint64_t>(0, 1, 500, 600'000);
  view.oldest_wait_ms = time();
  view.breaker =
      *rc::gen::element(BreakerState::kClosed, BreakerState::kOpen, BreakerState::kHalfOpen);
  view.breaker_retry_ms = time();
  view.attempt_failed = *rc::gen::arbitrary<bool>();
  view.last.wait.p99 = *rc::gen::inRange(0, 1'000) / 8.0;
  view.minute.used_most = count();
  return view;
}

ConnectionView any_connection() {
  return {.age_ms = time(),
          .idle_ms = *rc::gen::element<std::uint64_t>(0, 1, 499, 500, 700'000),
          .lifetime_ms = *rc::gen::element<std::uint64_t>(0, 1, 1'000, 3'600'000),
          .checked_ms = time(),
          .leases = count()};
}

RC_GTEST_PROP(AView, SaysInLuaWhatItSaysHere, ()) {
  // Five numbers at a time come back through size().
  const PoolView view = any_view();
  const auto back = [&](const std::string& fields) {
    auto policy = LuaPolicy::load(
        "return { name = 'x', api = 1, size = function(view) local p, m = view.pool, view.machine\n"
        "local a, b, c, d = " +
            fields +
            "\nreturn { target = a, warm = b, max = c, max_per_worker = d, handover_after_ms = "
            "p.oldest_wait_ms } end }",
        "x");
    RC_ASSERT(policy.ok());
    const Result<SizeDecision> decision = policy.value()->size(view);
    if (!decision.ok()) RC_FAIL(decision.status().message());
    RC_ASSERT(decision.value().handover_after_ms == view.oldest_wait_ms);
    return decision.value();
  };
  RC_ASSERT(
      back("p.max, p.min, p.keep, p.max_per_worker") ==
      (SizeDecision{view.max, view.min, view.keep, view.max_per_worker, view.oldest_wait_ms}));
  RC_ASSERT(
      back("p.idle, p.used, p.connecting, p.closing") ==
      (SizeDecision{view.idle, view.used, view.connecting, view.closing, view.oldest_wait_ms}));
  RC_ASSERT(back("p.lingering, p.waiting, m.workers, m.quota") ==
            (SizeDecision{view.lingering, view.waiting, view.workers, view.quota_limit,
                          view.oldest_wait_ms}));
  RC_ASSERT(back("m.in_use, m.waiting, view.worker.idle, view.worker.used") ==
            (SizeDecision{view.quota_in_use, view.waiting, view.worker_idle, view.worker_used,
                          view.oldest_wait_ms}));
  RC_ASSERT(
      back("view.breaker.failures, p.minute.used_most, p.last.wait.p99 * 8, 0") ==
      (SizeDecision{view.connect_failures_in_a_row, view.minute.used_most,
                    static_cast<std::uint32_t>(view.last.wait.p99 * 8), 0, view.oldest_wait_ms}));
}

TEST(AView, HasTheListsOfWhoShares) {
  auto policy = LuaPolicy::load(
      "return { name = 'x', api = 1, size = function(view)\n"
      "local p, w, c = view.machine.pools, view.workers, view.classes\n"
      "local here = 0 for i, worker in ipairs(w) do if worker.here then here = i end end\n"
      "return { target = #p * 100 + #w * 10 + #c, warm = here, max = p[2].waiting,\n"
      "  max_per_worker = p[1].name == 'a' and c[1].name == 'gold' and c[1].floor or 0,\n"
      "  handover_after_ms = view.machine.waiting } end }",
      "x");
  ASSERT_TRUE(policy.ok());
  const PoolShare pools[] = {{.name = "a", .waiting = 2}, {.name = "b", .waiting = 3}};
  const WorkerShare workers[] = {{}, {.is_here = true}, {}};
  const ClassShare classes[] = {{.name = "gold", .floor = 4}};
  PoolView view;
  view.pools = pools;
  view.worker_shares = workers;
  view.classes = classes;
  const Result<SizeDecision> decision = policy.value()->size(view);
  ASSERT_TRUE(decision.ok()) << decision.status().message();
  EXPECT_EQ(decision.value(), (SizeDecision{231, 2, 3, 4, 5}));
}

RC_GTEST_PROP(FixedLua, DecidesExactlyAsTheBuiltInPolicy, ()) {
  static const std::string source = content_of(WEIR_SOURCE_FOLDER "/policies/fixed.lua");
  ScriptedPolicy policy;
  const Status loaded = policy.load(source, "fixed.lua");
  if (!loaded.ok()) RC_FAIL(loaded.message());
  for (int tick = 0; tick < 3; ++tick) {
    PoolView view = any_view();
    RC_ASSERT(policy.size(view) == FixedPolicy::size_for(view));
    for (std::uint32_t i = 0; i < 5; ++i) {
      const ConnectionView connection = any_connection();
      RC_ASSERT(policy.evict(connection, view) == FixedPolicy::eviction_for(connection, view));
      view.idle = count();
      view.closing += i;
    }
    const BreakerDecision wanted = FixedPolicy::breaker_for(view);
    const BreakerDecision found = policy.breaker(view);
    RC_ASSERT(found == wanted);
  }
  if (policy.status().errors != 0) RC_FAIL(policy.status().last_error.message());
}

}  // namespace
}  // namespace weir::policy
