#include "shm/reserve.h"

#include <algorithm>

#include "base/clock.h"
#include "shm/excess.h"

namespace weir::shm {
namespace {

// Places that must be left to others by who has waited since then.
std::uint32_t left_to_others(const PoolRow& row, std::uint64_t since_ns) {
  const std::uint32_t max = row.max.load(), reserve = max - beside_reserve(row);
  const std::uint32_t most = row.policy_max.load(std::memory_order_relaxed);
  const std::uint32_t nobodys = most == 0 || most >= max ? 0 : max - most;
  if (reserve <= nobodys || since_ns == kNotInLine) return std::max(reserve, nobodys);
  const std::uint64_t after_ns = std::uint64_t{row.reserve_after_ms.load()} * 1'000'000u;
  return monotonic_ns() >= since_ns + after_ns ? nobodys : reserve;
}

}  // namespace

std::uint32_t places_for(const PoolRef& pool, std::uint64_t since_ns) {
  const std::uint32_t free = free_places(pool), left = left_to_others(pool.row(), since_ns);
  return free > left ? free - left : 0;
}

bool is_kept_back(const PoolRef& pool, std::uint64_t since_ns) {
  const std::uint32_t left = left_to_others(pool.row(), since_ns);
  return left != 0 && free_places(pool) < left;
}

void put_policy_max(PoolRow& row, std::uint32_t most) {
  const std::uint32_t kept = most >= row.max.load() ? 0 : std::max(most, 1u);
  if (row.policy_max.load(std::memory_order_relaxed) != kept) row.policy_max.store(kept);
}

std::uint32_t beside_reserve(const PoolRow& row) {
  const std::uint32_t max = row.max.load(), reserve = row.reserve.load(std::memory_order_relaxed);
  return max > reserve ? max - reserve : std::min(max, 1u);
}

}  // namespace weir::shm
