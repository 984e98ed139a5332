#include "support/shm_world.h"

#include <algorithm>
#include <cstdio>

namespace weir::test {
namespace {

// The value of what a test sets up; says why there is none before it ends the process.
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) std::fprintf(stderr, "%s\n", result.status().to_string().c_str());
  WEIR_CHECK(result.ok());
  return std::move(result).value();
}

}  // namespace

ShmWorld::ShmWorld(const shm::Geometry& geometry) {
  shm::SegmentOptions how = options();
  how.geometry = geometry;
  segment_ = must(shm::Segment::open(how));
}

shm::SegmentOptions ShmWorld::options() const {
  shm::SegmentOptions options;
  options.folder = folder();
  return options;
}

std::unique_ptr<shm::Membership> ShmWorld::join(std::string_view service) const {
  return must(shm::Membership::join(*segment_, service));
}

std::uint32_t ShmWorld::quota(shm::WorkerId self, std::uint32_t limit,
                              const std::string& name) const {
  return must(shm::declare_quota(*segment_, self, {.name = name, .limit = limit})).row;
}

shm::PoolRef ShmWorld::pool(shm::WorkerId self, std::uint32_t max) const {
  shm::PoolDeclaration declaration;
  declaration.name = "main";
  declaration.driver = "fake";
  declaration.max = max;
  declaration.connect_concurrency = shm::kMaxHandshakes;
  return pool(self, declaration);
}

shm::PoolRef ShmWorld::pool(shm::WorkerId self, const shm::PoolDeclaration& declaration) const {
  const shm::Declared declared = must(shm::declare_pool(*segment_, self, declaration));
  const std::optional<shm::PoolRef> pool = shm::PoolRef::find(*segment_, declared.row);
  WEIR_CHECK(pool.has_value());
  return *pool;
}

void die(std::unique_ptr<shm::Membership>& worker) {
  worker->fence();
  worker.reset();
}

shm::PlaceWord place_word(const shm::PoolRef& pool, shm::PlaceIndex index) {
  return shm::PlaceWord(pool.places()[index].load());
}

std::uint32_t count_places(const shm::PoolRef& pool, shm::PlaceState state) {
  return static_cast<std::uint32_t>(std::count_if(
      pool.places().begin(), pool.places().end(),
      [&](const shm::Word& cell) { return shm::PlaceWord(cell.load()).state() == state; }));
}

std::uint32_t count_held_permits(const shm::PoolRef& pool) {
  return static_cast<std::uint32_t>(
      std::count_if(pool.permits().begin(), pool.permits().end(), [](const shm::Word& cell) {
        return shm::PermitWord(cell.load()).state() == shm::PermitState::kHeld;
      }));
}

std::uint32_t count_waiters(const shm::Segment& segment) {
  return static_cast<std::uint32_t>(std::count_if(
      segment.waiters().begin(), segment.waiters().end(), [](const shm::WaiterRow& row) {
        return shm::WaiterWord(row.word.load()).state() != shm::WaiterState::kFree;
      }));
}

std::uint32_t count_turns(const shm::PoolRef& pool) {
  const auto& turns = pool.row().handshakes;
  return static_cast<std::uint32_t>(
      std::count_if(std::begin(turns), std::end(turns),
                    [](const shm::Word& cell) { return shm::TurnWord(cell.load()).taken(); }));
}

bool move_place(const shm::PoolRef& pool, shm::WorkerId self, shm::Room& room,
                shm::PlaceState state) {
  const shm::PlaceWord moved = room.word.to(state, self);
  std::uint64_t expected = room.word.raw();
  if (!pool.places()[room.place].compare_exchange_strong(expected, moved.raw())) return false;
  room.word = moved;
  return true;
}

}  // namespace weir::test
