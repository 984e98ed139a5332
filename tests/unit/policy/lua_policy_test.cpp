// What a script has to be to go live, and how its answers are taken.
#include "policy/lua_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace weir::policy {
namespace {

using testing::HasSubstr;

using Function = LuaPolicy::Function;

std::string script(const std::string& rest) {
  return "return { name = 'x', api = 1, " + rest + " }";
}

std::string refusal_of(const std::string& source, const Params& overrides = {}) {
  const auto loaded = LuaPolicy::load(source, "p.lua", overrides);
  EXPECT_FALSE(loaded.ok()) << source;
  return loaded.ok() ? "" : loaded.status().message();
}

std::unique_ptr<LuaPolicy> load(const std::string& source, const Params& overrides = {}) {
  auto loaded = LuaPolicy::load(source, "p.lua", overrides);
  EXPECT_TRUE(loaded.ok()) << loaded.status().message();
  return loaded.ok() ? std::move(loaded).value() : nullptr;
}

const PoolView kView{.now_ms = 7, .name = "main", .max = 10, .min = 1, .keep = 5, .idle = 2};

Result<SizeDecision> size_of(const std::string& expression) {
  return load(script("size = function(view, params, chunk) return " + expression + " end"))
      ->size(kView);
}
Result<Eviction> eviction_of(const std::string& expression) {
  return load(script("evict = function(conn, view) return " + expression + " end"))
      ->evict({.idle_ms = 3}, kView);
}
Result<BreakerDecision> breaker_of(const std::string& expression) {
  return load(script("breaker = function(view) return " + expression + " end"))->breaker(kView);
}

TEST(AScript, ThatIsNotAPolicyIsRefusedAndWhatIsWrongIsNamed) {
  EXPECT_THAT(refusal_of("return 1"), HasSubstr("p.lua: the script returns: expected a table"));
  EXPECT_THAT(refusal_of(""), HasSubstr("expected a table, found nothing"));
  EXPECT_THAT(refusal_of("return {"), HasSubstr("p.lua:1:"));
  EXPECT_THAT(refusal_of("return { api = 1 }"), HasSubstr("name: expected a text, found none"));
  EXPECT_THAT(refusal_of("return { name = 'x' }"), HasSubstr("api: expected 1, found none"));
  EXPECT_THAT(refusal_of("return { name = 'x', api = 2 }"), HasSubstr("api: expected 1, found 2"));
  EXPECT_THAT(refusal_of("return { name = 'A b', api = 1 }"), HasSubstr("found \"A b\""));
  EXPECT_THAT(refusal_of(script("sizes = 1")), HasSubstr("unknown key \"sizes\""));
  EXPECT_THAT(refusal_of(script("size = 1")), HasSubstr("size: expected a function, found 1"));
  EXPECT_THAT(refusal_of(script("params = { a = {} }")), HasSubstr("params.a: expected"));
  EXPECT_THAT(refusal_of(script("params = { a = 0/0 }")), HasSubstr("params.a: expected"));
  EXPECT_THAT(refusal_of(std::string(70'000, ' ')), HasSubstr("at most 65536 bytes"));
  EXPECT_THAT(refusal_of("error('boom')"), HasSubstr("p.lua:1: boom"));
}

TEST(AScript, ThatExceedsALimitWhileItIsLoadedSaysSo) {
  EXPECT_EQ(LuaPolicy::load("while true do end", "p").status().code(), Code::kPolicyBudget);
  EXPECT_EQ(LuaPolicy::load("return ('x'):rep(1e9)", "p").status().code(), Code::kPolicyMemory);
  EXPECT_EQ(LuaPolicy::load("return {}", "p", {}, {.memory_bytes = 1'000}).status().code(),
            Code::kPolicyMemory);
}

TEST(AScript, TakesItsParamsFromTheHostIfTheyAreOfItsOwnNamesAndTypes) {
  const std::string source = script(
      "params = { target = 2, on = true, word = 'a' },\n"
      "size = function(v, p) return { target = p.on and #p.word * p.target or 0 } end");
  EXPECT_EQ(load(source)->size(kView).value().target, 2u);
  EXPECT_EQ(load(source, {{"target", 2.5}, {"word", "abcd"}})->size(kView).value().target, 10u);
  EXPECT_EQ(load(source, {{"on", false}})->size(kView).value().target, 0u);
  EXPECT_THAT(refusal_of(source, {{"targt", 1.0}}),
              HasSubstr("params.targt: unknown; the script has on, target, word"));
  EXPECT_THAT(refusal_of(source, {{"target", "x"}}),
              HasSubstr("params.target: expected a finite number, found \"x\""));
}

TEST(AScript, IsNamedByAHashOfItsTextAndItsParams) {
  const std::string source = script("params = { a = 1 }");
  EXPECT_EQ(load(source)->hash().size(), 16u);
  EXPECT_EQ(load(source)->hash(), load(source, {{"a", 1.0}})->hash());
  EXPECT_NE(load(source)->hash(), load(source, {{"a", 2.0}})->hash());
  EXPECT_NE(load(source)->hash(), load(source + " ")->hash());
}

TEST(ASizeDecision, LeavesWhatItDoesNotSayToTheBuiltInPolicy) {
  EXPECT_EQ(size_of("{}").value(), FixedPolicy::size_for(kView));
  const SizeDecision decision = size_of("{ target = 7, warm = 3 }").value();
  EXPECT_EQ(decision, (SizeDecision{.target = 7, .warm = 3, .max = 10}));
}

TEST(ASizeDecision, IsRoundedToTheNearest) {
  EXPECT_EQ(size_of("{ target = 7.5, warm = 2.4 }").value().target, 8u);
  EXPECT_EQ(size_of("{ target = 7.5, warm = 2.4 }").value().warm, 2u);
}

TEST(ASizeDecision, OfAnotherTypeOrRangeIsRefusedAndItsFieldNamed) {
  const auto refusal = [](const std::string& expression) {
    const Result<SizeDecision> decision = size_of(expression);
    EXPECT_EQ(decision.status().code(), Code::kPolicyType) << expression;
    return decision.status().message();
  };
  EXPECT_EQ(refusal("{ target = 0/0 }"),
            "size.target: expected a number from 0 to 1000000, found nan");
  EXPECT_THAT(refusal("{ max = math.huge }"), HasSubstr("size.max: "));
  EXPECT_THAT(refusal("{ max = -1 }"), HasSubstr("found -1"));
  EXPECT_THAT(refusal("{ max = 1000001 }"), HasSubstr("found 1000001"));
  EXPECT_THAT(refusal("{ handover_after_ms = 1e7 }"), HasSubstr("size.handover_after_ms"));
  EXPECT_THAT(refusal("{ warm = '3' }"), HasSubstr("size.warm: expected a number, found \"3\""));
  EXPECT_THAT(refusal("{ targt = 3 }"), HasSubstr("found \"targt\""));
  EXPECT_THAT(refusal("{ 3 }"), HasSubstr("found 1"));
  EXPECT_THAT(refusal("3"), HasSubstr("size: expected a table, found 3"));
  EXPECT_THAT(refusal("nil"), HasSubstr("found nil"));
  EXPECT_THAT(refusal("{}, {}"), HasSubstr("expected 1 value, found 2"));
}

TEST(AnEviction, IsOneOfThreeWords) {
  EXPECT_EQ(eviction_of("'keep'").value(), Eviction::kKeep);
  EXPECT_EQ(eviction_of("'close'").value(), Eviction::kClose);
  EXPECT_EQ(eviction_of("conn.idle_ms == 3 and 'check' or 'keep'").value(), Eviction::kCheck);
  EXPECT_EQ(eviction_of("true").status().message(),
            "evict: expected \"keep\", \"close\" or \"check\", found true");
}

TEST(ABreakerDecision, IsAStateAndPerhapsWhenToTryAgain) {
  EXPECT_EQ(breaker_of("'closed'").value(), (BreakerDecision{BreakerState::kClosed, 0}));
  EXPECT_EQ(breaker_of("'open', 250").value(), (BreakerDecision{BreakerState::kOpen, 250}));
  EXPECT_EQ(breaker_of("'open'").value(), (BreakerDecision{BreakerState::kOpen, 1'000}));
  EXPECT_EQ(breaker_of("'half_open'").value().state, BreakerState::kHalfOpen);
  EXPECT_THAT(breaker_of("'ajar'").status().message(), HasSubstr("found \"ajar\""));
  EXPECT_THAT(breaker_of("'open', 1e9").status().message(), HasSubstr("breaker.retry_ms"));
}

TEST(ACall, ThatFailsSaysWhereAndOfWhatKind) {
  const Result<SizeDecision> runtime = size_of("view.nothing.more");
  EXPECT_EQ(runtime.status().code(), Code::kPolicyRuntime);
  EXPECT_THAT(runtime.status().message(), HasSubstr("size: p.lua:1: attempt to index a nil value"));
  EXPECT_EQ(size_of("(function() while true do end end)()").status().code(), Code::kPolicyBudget);
  EXPECT_EQ(size_of("('x'):rep(1e9)").status().code(), Code::kPolicyMemory);
}

TEST(BetweenTicks, NothingSurvivesButTheViewsState) {
  const auto policy = load(
      "local count, seen = 0, {}\n"
      "return { name = 'x', api = 1, params = { p = 1 },\n"
      "size = function(view, params)\n"
      "  local state = view.state\n"
      "  state.ticks = (state.ticks or 0) + 1\n"
      "  local found = (view.mine or view.pool.mine or params.mine or seen.mine) and 100 or 0\n"
      "  view.mine, view.pool.mine, params.mine, seen.mine, count = 1, 1, 1, 1, count + 1\n"
      "  view.pool.idle, _ENV = 1e6, setmetatable({ n = 1 }, { __index = _ENV })\n"
      "  setmetatable(state, { __index = function() return 100 end })\n"
      "  return { target = state.ticks, warm = count + found, max = n and 50 or 0 }\n"
      "end,\n"
      "evict = function(conn, view) return view.pool.idle == 2 and 'close' or 'keep' end }");
  for (std::uint32_t tick = 1; tick <= 3; ++tick) {
    const Result<SizeDecision> decision = policy->size(kView);
    ASSERT_TRUE(decision.ok()) << decision.status().message();
    EXPECT_EQ(decision.value().target, tick);
    EXPECT_EQ(decision.value().warm, 1u);
  }
}

TEST(BetweenTicks, AStateThatIsNoPlainDataOrTooMuchIsRefusedAndLost) {
  const auto fault = [](const std::string& statement) {
    const auto policy = load(script("size = function(view) if view.state.bad == nil then " +
                                    statement + " end return {} end"));
    const Status status = policy->size(kView).status();
    EXPECT_EQ(status.code(), Code::kPolicyType) << statement;
    return status.message();
  };
  EXPECT_THAT(fault("view.state.x = {}"), HasSubstr("view.state: expected numbers"));
  EXPECT_THAT(fault("view.state[function() end] = 1"), HasSubstr("view.state: expected numbers"));
  EXPECT_THAT(fault("view.state = nil"), HasSubstr("view.state: expected a table"));
  EXPECT_THAT(fault("for i = 1, 65 do view.state[i] = i end"), HasSubstr("at most 64"));
  EXPECT_THAT(fault("view.state.x = ('x'):rep(5000)"), HasSubstr("at most 64"));
  const auto policy =
      load(script("size = function(view) local s = view.state s.n = (s.n or 0) + 1\n"
                  "if s.n == 2 then error('x') end return { target = s.n } end"));
  EXPECT_EQ(policy->size(kView).value().target, 1u);
  EXPECT_FALSE(policy->size(kView).ok());
  EXPECT_EQ(policy->size(kView).value().target, 1u);
}

TEST(BetweenTicks, AStateMayBeReplaced) {
  const auto policy =
      load(script("size = function(view) local n = (view.state[1] or 0) + 1\n"
                  "view.state = { n } return { target = n } end"));
  EXPECT_EQ(policy->size(kView).value().target, 1u);
  EXPECT_EQ(policy->size(kView).value().target, 2u);
}

TEST(WithinATick, AllCallsShareTheLimits) {
  const auto policy = load(script("evict = function() for i = 1, 400000 do end return 'keep' end"));
  ASSERT_TRUE(policy->size(kView).ok());
  EXPECT_TRUE(policy->evict({}, kView).ok());
  EXPECT_TRUE(policy->evict({}, kView).ok());
  EXPECT_EQ(policy->evict({}, kView).status().code(), Code::kPolicyBudget);
  EXPECT_EQ(policy->evict({}, kView).status().code(), Code::kPolicyBudget);
  ASSERT_TRUE(policy->size(kView).ok());
  EXPECT_TRUE(policy->evict({}, kView).ok());
}

TEST(WithinATick, EachViewIsTheOneThatTheCallIsGiven) {
  const auto policy = load(script(
      "evict = function(conn, view) return view.pool.open == view.pool.idle + view.pool.closing\n"
      "and view.pool.idle == conn.age_ms and 'close' or 'keep' end"));
  PoolView view = kView;
  ASSERT_TRUE(policy->size(view).ok());
  for (std::uint64_t idle = 100; idle > 0; --idle) {
    view.idle = static_cast<std::uint32_t>(idle);
    ++view.closing;
    EXPECT_EQ(policy->evict({.age_ms = idle}, view).value(), Eviction::kClose);
  }
}

TEST(AnOutage, IsATurnOfItsOwnForEachAttemptThatFails) {
  const auto policy =
      load(script("breaker = function() for i = 1, 400000 do end return 'open', 1 end"));
  PoolView view = kView;
  view.attempt_failed = true;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(policy->breaker(view).ok());
}

TEST(ASelfCheck, ThatHoldsLetsTheScriptGoLive) {
  const auto policy = load(script(
      "params = { x = 1 },\n"
      "size = function(v, p) return { target = v.pool.used + p.x + (v.state.n or 0) } end,\n"
      "evict = function(c, v) return c.leases > #v.machine.pools and 'close' or 'keep' end,\n"
      "breaker = function(v) return v.breaker.state, 5 end,\n"
      "self_check = {\n"
      "  { view = { pool = { used = 3 } }, size = { target = 4 } },\n"
      "  { view = { pool = { used = 3 }, state = { n = 10 } }, params = { x = 2 },\n"
      "    size = { target = 15 } },\n"
      "  { view = { machine = { pools = { { name = 'a', max = 3 } } } }, conn = { leases = 2 },\n"
      "    evict = 'close' },\n"
      "  { view = { breaker = { state = 'open' } }, breaker = { 'open', 5 } },\n"
      "}"));
  EXPECT_EQ(policy->samples(), 4u);
  EXPECT_EQ(policy->size(kView).value().target, 1u) << "nothing of a sample stays";
}

TEST(ASelfCheck, RunsWithTheScriptsOwnParamsWhateverTheHostSays) {
  load(script("params = { x = 1 }, size = function(v, p) return { target = p.x } end,\n"
              "self_check = { { size = { target = 1 } } }"),
       {{"x", 9.0}});
}

TEST(ASelfCheck, ThatFailsRefusesTheScriptAndNamesSampleAndField) {
  const auto refusal = [](const std::string& samples) {
    return refusal_of(
        script("params = { x = 1 },\n"
               "size = function(v) return { target = v.pool.used } end,\n"
               "breaker = function(v) return 'open', 5 end,\n"
               "self_check = { " +
               samples + " }"));
  };
  EXPECT_EQ(refusal("{ size = { target = 0 } }, { view = { pool = { used = 3 } }, size = { target "
                    "= 4 } }"),
            "p.lua: self_check 2: size.target: expected 4, found 3");
  EXPECT_THAT(refusal("{ breaker = 'closed' }"), HasSubstr("breaker: expected closed, found open"));
  EXPECT_THAT(refusal("{ breaker = { 'open', 6 } }"), HasSubstr("breaker.retry_ms: expected 6"));
  EXPECT_THAT(refusal("{ evict = 'keep' }"), HasSubstr("evict: expected a function"));
  EXPECT_THAT(refusal("{ view = { pol = {} }, size = {} }"), HasSubstr("view: no field \"pol\""));
  EXPECT_THAT(refusal("{ view = { pool = { last = { wait = { p9 = 1 } } } }, size = {} }"),
              HasSubstr("view.pool.last.wait: no field \"p9\""));
  EXPECT_THAT(refusal("{ view = { pool = { open = 1 } }, size = {} }"),
              HasSubstr("view.pool.open: expected nothing"));
  EXPECT_THAT(refusal("{ view = { pool = { used = -1 } }, size = {} }"),
              HasSubstr("view.pool.used: expected a number from 0"));
  EXPECT_THAT(refusal("{ view = { workers = { x = 1 } }, size = {} }"),
              HasSubstr("view.workers: expected a list"));
  EXPECT_THAT(refusal("{ conn = { age = 1 }, size = {} }"), HasSubstr("conn: no field \"age\""));
  EXPECT_THAT(refusal("{ params = { y = 1 }, size = {} }"), HasSubstr("params.y: unknown"));
  EXPECT_THAT(refusal("{ view = {} }"), HasSubstr("expected size, evict or breaker"));
  EXPECT_THAT(refusal("{ sise = {} }"), HasSubstr("found \"sise\""));
}

}  // namespace
}  // namespace weir::policy
