// What it costs to take a permit of a shared quota and to return it, by the quota's size: beside
// two compare-and-swaps on a word of one's own, which is the least that anything costs that a
// killed worker must not leave half done. And the same for a room, which is a place with its
// permit.
//
// One thread, on a segment alone: no server, no pool, no line. Two pools share each quota, which
// has as much room to grow as the largest segment gives it. Nine tenths taken: by places of both,
// here and there, as after hours of work.
#include "shm/permits.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bench/floors.h"
#include "bench/main_of.h"
#include "bench/turns.h"
#include "shm/rooms.h"
#include "support/shm_world.h"

namespace weir::bench {
namespace {

constexpr std::uint32_t kQuotas[] = {16, 100, 1000, 10000};
constexpr std::uint32_t kMost = 16383;       // words that a segment can have
constexpr std::uint32_t kMostPlaces = 6000;  // of one of two pools
// So many turns between two looks at whether it is over; each of another place.
constexpr std::uint32_t kTurns = 16;

/// Two pools on one quota, of which `taken` places are occupied, with their permits.
class QuotaWorld {
 public:
  QuotaWorld(std::uint32_t quota, std::uint32_t taken)
      : quota_(world_.quota(me_->id(), quota)),
        pools_{declare("a", std::min(quota, kMostPlaces)),
               declare("b", std::min(quota, kMostPlaces))} {
    std::vector<std::pair<std::size_t, shm::PlaceIndex>> places;
    for (std::size_t p = 0; p < pools_.size(); ++p) {
      for (shm::PlaceIndex i = 0; i < pools_[p].row().max.load(); ++i) places.emplace_back(p, i);
    }
    std::shuffle(places.begin(), places.end(), std::minstd_rand(1));
    for (std::uint32_t n = 0; n < taken + kTurns; ++n) {
      const auto [p, index] = places[n];
      const shm::PlaceWord word(shm::PlaceState::kUsed, me_->id().row, me_->id().gen, 1);
      if (n < kTurns) {
        mine_.push_back({&pools_[p], {index, word}});
      } else if (!shm::take_permit(pools_[p], index, word.occ())) {
        throw std::runtime_error("no permit");
      }
      pools_[p].places()[index].store(word.raw());
    }
  }

  void take_and_return_permits() const {
    for (std::uint32_t n = 0; n < kTurns; ++n) {
      const auto& [pool, room] = mine_[n];
      if (!shm::take_permit(*pool, room.place, room.word.occ())) std::abort();
      shm::return_permit(*pool, room.place, room.word.occ());
    }
  }
  void take_and_leave_rooms() const {
    for (std::uint32_t n = 0; n < kTurns; ++n) {
      const shm::PoolRef& pool = pools_[n % 2];
      const std::optional<shm::Room> room = shm::take_room(pool, me_->id());
      if (!room) std::abort();
      shm::leave_room(pool, me_->id(), room->place, room->word);
    }
  }

 private:
  shm::PoolRef declare(const char* name, std::uint32_t max) {
    shm::PoolDeclaration declaration;
    declaration.name = name;
    declaration.driver = "fake";
    declaration.max = max;
    declaration.quota = quota_;
    return world_.pool(me_->id(), declaration);
  }

  test::ShmWorld world_{{.workers = 2,
                         .waiters = 4,
                         .quotas = 1,
                         .pools = 2,
                         .places = kMost,
                         .permits = kMost,
                         .stats_per_worker = 1,
                         .events_per_worker = 1}};
  std::unique_ptr<shm::Membership> me_ = world_.join("bench");
  std::uint32_t quota_;
  std::array<shm::PoolRef, 2> pools_;
  std::vector<std::pair<const shm::PoolRef*, shm::Room>> mine_;  // whose permits come and go
};

std::vector<Figure> time_of(Turns turns) {
  turns.all *= kTurns;
  return {figures_of(turns).front()};
}

Case of_size(std::uint32_t quota, bool is_full, std::chrono::nanoseconds length) {
  Case one;
  one.name = "quota of " + std::to_string(quota) + (is_full ? ", nine tenths taken" : ", all free");
  one.variants.push_back({"CAS and CAS", [length](std::size_t) {
                            Words<false> words(1);
                            return time_of(run_turns(1, length, [&words] {
                              for (unsigned i = 0; i < kTurns; ++i) words.give(words.take(0));
                            }));
                          }});
  const auto world = std::make_shared<QuotaWorld>(
      quota, is_full ? static_cast<std::uint32_t>(quota * 9ull / 10) : 0);
  one.variants.push_back(
      {"weir, a permit", [world, length](std::size_t) {
         return time_of(run_turns(1, length, [&its = *world] { its.take_and_return_permits(); }));
       }});
  one.variants.push_back(
      {"weir, a room", [world, length](std::size_t) {
         return time_of(run_turns(1, length, [&its = *world] { its.take_and_leave_rooms(); }));
       }});
  return one;
}

Plan make_plan(const Settings& settings) {
  Plan plan;
  for (const bool is_full : {false, true}) {
    for (const std::uint32_t quota : kQuotas) {
      plan.cases.push_back(of_size(quota, is_full, settings.length));
    }
  }
  plan.comparisons.push_back({"weir, a permit", "CAS and CAS", "time"});
  plan.comparisons.push_back({"weir, a room", "CAS and CAS", "time"});
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "permits",
       .about = "A permit taken and returned, by the size of the quota, beside two CAS.",
       .rounds = 11,
       .seconds = 0.2},
      weir::bench::make_plan);
}
