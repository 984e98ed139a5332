// A script in charge of a pool: what happens when it fails, and when it is replaced.
#include "policy/scripted_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace weir::policy {
namespace {

using testing::HasSubstr;

const PoolView kView{.name = "main", .max = 10, .min = 1, .keep = 5};

/// Fails where view.pool.idle says so.
std::string failing(const std::string& name = "x") {
  return "return { name = '" + name +
         "', api = 1,\n"
         "size = function(v) if v.pool.idle == 1 then error('no size') end return { target = 7 } "
         "end,\n"
         "evict = function(c) if c.leases == 1 then error('no evict') end return 'check' end,\n"
         "breaker = function() return 'open', 5 end }";
}

PoolView bad() {
  PoolView view = kView;
  view.idle = 1;
  return view;
}

TEST(AScriptedPolicy, WithoutAScriptIsTheBuiltIn) {
  ScriptedPolicy policy;
  EXPECT_EQ(policy.name(), "fixed");
  EXPECT_EQ(policy.size(kView), FixedPolicy::size_for(kView));
  EXPECT_EQ(policy.evict({}, kView), Eviction::kKeep);
  EXPECT_FALSE(policy.has_own_breaker());
  EXPECT_EQ(policy.status().hash, "");
}

TEST(AScriptedPolicy, LetsItsScriptDecide) {
  ScriptedPolicy policy;
  ASSERT_TRUE(policy.load(failing(), "x.lua").ok());
  EXPECT_EQ(policy.name(), "x");
  EXPECT_EQ(policy.size(kView).target, 7u);
  EXPECT_EQ(policy.evict({}, kView), Eviction::kCheck);
  EXPECT_TRUE(policy.has_own_breaker());
  EXPECT_EQ(policy.breaker(kView).state, BreakerState::kOpen);
  EXPECT_EQ(policy.status().hash.size(), 16u);
}

TEST(AScriptedPolicy, WithoutAnEvictionOfItsOwnKeepsWhatItsSizeOpensAhead) {
  ScriptedPolicy policy;
  ASSERT_TRUE(policy
                  .load("return { name = 'x', api = 1,\n"
                        "size = function(v) return { warm = v.pool.used } end }",
                        "x.lua")
                  .ok());
  PoolView view{.name = "main", .max = 10, .min = 1, .idle_timeout_ms = 100, .idle = 3, .used = 4};
  policy.size(view);
  EXPECT_EQ(policy.evict({.idle_ms = 100}, view), Eviction::kClose);
  view.idle = 0;
  EXPECT_EQ(policy.evict({.idle_ms = 100}, view), Eviction::kKeep) << "four are to be warm";
  view.used = 0;
  view.idle = 1;
  policy.size(view);
  EXPECT_EQ(policy.evict({.idle_ms = 100}, view), Eviction::kKeep) << "min stays";
}

TEST(AScriptedPolicy, KeepsTheLastGoodSizeWhenACallFails) {
  ScriptedPolicy policy;
  ASSERT_TRUE(policy.load(failing(), "x.lua").ok());
  EXPECT_EQ(policy.size(bad()).target, 10u) << "nothing good yet: the built-in's";
  EXPECT_EQ(policy.size(kView).target, 7u);
  EXPECT_EQ(policy.size(bad()).target, 7u);
  EXPECT_EQ(policy.status().errors, 2u);
  EXPECT_EQ(policy.status().last_error.code(), Code::kPolicyRuntime);
  EXPECT_THAT(policy.status().last_error.message(), HasSubstr("x.lua:2: no size"));
}

TEST(AScriptedPolicy, AsksAScriptThatFailedNoMoreInThatTick) {
  ScriptedPolicy policy;
  ASSERT_TRUE(policy.load(failing(), "x.lua").ok());
  policy.size(kView);
  EXPECT_EQ(policy.evict({.leases = 1}, kView), Eviction::kKeep);
  EXPECT_EQ(policy.evict({.leases = 0}, kView), Eviction::kKeep);
  EXPECT_EQ(policy.breaker(kView).state, BreakerState::kClosed);
  EXPECT_EQ(policy.status().errors, 1u);
  policy.size(kView);
  EXPECT_EQ(policy.evict({.leases = 0}, kView), Eviction::kCheck);
}

TEST(AScriptedPolicy, FallsBackAfterThreeBadTicksInARowUntilTheNextGoodLoad) {
  ScriptedPolicy policy;
  ASSERT_TRUE(policy.load(failing(), "x.lua").ok());
  policy.size(bad());
  policy.size(bad());
  policy.size(kView);
  policy.size(bad());
  policy.size(kView);
  policy.evict({.leases = 1}, kView);
  EXPECT_FALSE(policy.status().fallen_back) << "never three in a row";
  policy.size(bad());
  EXPECT_TRUE(policy.status().fallen_back);
  EXPECT_FALSE(policy.has_own_breaker());
  EXPECT_EQ(policy.name(), "fixed");
  EXPECT_EQ(policy.size(kView), FixedPolicy::size_for(kView));
  EXPECT_EQ(policy.breaker(kView).state, BreakerState::kClosed);

  EXPECT_FALSE(policy.load("return 1", "y.lua").ok());
  EXPECT_TRUE(policy.status().fallen_back);
  ASSERT_TRUE(policy.load(failing("y"), "y.lua").ok());
  EXPECT_FALSE(policy.status().fallen_back);
  EXPECT_TRUE(policy.status().last_error.ok());
  EXPECT_EQ(policy.name(), "y");
  EXPECT_EQ(policy.size(kView).target, 7u);
}

TEST(AScriptedPolicy, KeepsAGoodScriptWhenABadOneComes) {
  ScriptedPolicy policy;
  ASSERT_TRUE(policy.load(failing(), "x.lua").ok());
  const std::string hash(policy.status().hash);
  EXPECT_EQ(policy.load("return {", "y.lua").code(), Code::kBadConfig);
  EXPECT_EQ(policy.load(failing(), "y.lua", {{"a", 1.0}}).code(), Code::kBadConfig);
  EXPECT_EQ(policy.status().hash, hash);
  EXPECT_EQ(policy.size(kView).target, 7u);
  EXPECT_EQ(policy.status().errors, 2u);
  EXPECT_THAT(policy.status().last_error.message(), HasSubstr("y.lua"));
}

TEST(AScriptedPolicy, CountsEveryErrorAndTellsOneThatIsRepeatedOnce) {
  ScriptedPolicy policy;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(policy.load("return 1", "y.lua").ok());
  EXPECT_EQ(policy.status().errors, 3u);
  EXPECT_EQ(policy.status().changes, 1u);
  EXPECT_FALSE(policy.load("return 2", "y.lua").ok());
  EXPECT_EQ(policy.status().changes, 2u);
}

TEST(AScriptedPolicy, WithoutItsScriptIsTheBuiltInAgain) {
  ScriptedPolicy policy;
  ASSERT_TRUE(policy.load(failing(), "x.lua").ok());
  policy.unload();
  EXPECT_EQ(policy.name(), "fixed");
  EXPECT_FALSE(policy.has_own_breaker());
  EXPECT_EQ(policy.size(kView), FixedPolicy::size_for(kView));
}

}  // namespace
}  // namespace weir::policy
