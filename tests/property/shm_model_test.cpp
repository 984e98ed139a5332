// Any sequence of deeds of any workers, deaths included, against the book of who must have what.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

#include "shm_town.h"

namespace rc {

template <>
struct Arbitrary<weir::shm::Act> {
  static Gen<weir::shm::Act> arbitrary() {
    using weir::shm::Act;
    using weir::shm::Deed;
    const auto deed = gen::map(
        gen::weightedElement<unsigned>(
            {{6, 0},  {4, 1},  {3, 2},  {3, 3},  {3, 4},  {4, 5},  {8, 6},  {8, 7},  {2, 8},
             {2, 9},  {4, 10}, {3, 11}, {3, 12}, {2, 13}, {2, 14}, {1, 15}, {2, 16}, {2, 17},
             {1, 18}, {6, 19}, {5, 20}, {1, 21}, {4, 22}, {5, 23}, {1, 24}}),
        [](unsigned number) { return static_cast<Deed>(number); });
    return gen::build<Act>(
        gen::set(&Act::deed, deed),
        gen::set(&Act::worker, gen::inRange<std::uint32_t>(0, weir::shm::kWorkers)),
        gen::set(&Act::pool, gen::inRange<std::uint32_t>(0, 2)),
        gen::set(&Act::which, gen::inRange<std::uint32_t>(0, 4)));
  }
};

}  // namespace rc

namespace weir::shm {
namespace {

void live_through(const TownPlan& plan, std::vector<Act> acts) {
  Town town(plan);
  for (Act& act : acts) {
    act.pool %= static_cast<std::uint32_t>(plan.max.size());
    town.act(act);
  }
  town.come_to_rest();
  town.go_home();
}

TownPlan any_plan(std::size_t pools) {
  TownPlan plan;
  for (std::size_t i = 0; i < pools; ++i) plan.max.push_back(*rc::gen::inRange(1u, 4u));
  if (pools > 1) plan.quota = *rc::gen::inRange(1u, 5u);
  plan.turns = *rc::gen::element(1u, 2u, static_cast<std::uint32_t>(kMaxHandshakes));
  plan.quantum_ms = *rc::gen::element(0u, 3'600'000u);
  return plan;
}

RC_GTEST_PROP(AnyDeeds, InOnePoolLeaveTheBookBalanced, (const std::vector<Act>& acts)) {
  live_through(any_plan(1), acts);
}

RC_GTEST_PROP(AnyDeeds, InTwoPoolsOnOneQuotaLeaveTheBookBalanced, (const std::vector<Act>& acts)) {
  live_through(any_plan(2), acts);
}

// As above, but mostly what it takes to move one.
RC_GTEST_PROP(AnyDeeds, ThatMoveConnectionsLeaveTheBookBalanced, ()) {
  const auto deed = rc::gen::weightedElement<Deed>({{3, Deed::kTake},
                                                    {4, Deed::kOpened},
                                                    {4, Deed::kLend},
                                                    {6, Deed::kEnter},
                                                    {4, Deed::kLook},
                                                    {1, Deed::kGiveUp},
                                                    {8, Deed::kGive},
                                                    {8, Deed::kSend},
                                                    {1, Deed::kWithdraw},
                                                    {8, Deed::kPark},
                                                    {6, Deed::kReceive},
                                                    {1, Deed::kSweep},
                                                    {1, Deed::kReturn},
                                                    {1, Deed::kDie},
                                                    {3, Deed::kJoin},
                                                    {1, Deed::kReap},
                                                    {1, Deed::kSettle}});
  const auto any_act =
      rc::gen::build<Act>(rc::gen::set(&Act::deed, deed),
                          rc::gen::set(&Act::worker, rc::gen::inRange<std::uint32_t>(0, kWorkers)),
                          rc::gen::set(&Act::pool, rc::gen::inRange<std::uint32_t>(0, 2)),
                          rc::gen::set(&Act::which, rc::gen::inRange<std::uint32_t>(0, 4)));
  const TownPlan plan = any_plan(*rc::gen::inRange<std::size_t>(1, 3));
  live_through(plan, *rc::gen::container<std::vector<Act>>(any_act));
}

}  // namespace
}  // namespace weir::shm
