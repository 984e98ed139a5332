#include "shm/pool_ref.h"

#include <string>

namespace weir::shm {

std::optional<PoolRef> PoolRef::find(const Segment& segment, std::uint32_t id) {
  const auto impossible = [&](const char* what) {
    segment.poison("pool row " + std::to_string(id) + ": " + what);
    return std::nullopt;
  };
  if (id >= segment.geometry().pools) return impossible("no such row");
  PoolRef ref(segment, id);
  const PoolRow& row = ref.row();
  ref.first_ = row.first_place.load();
  const std::uint32_t capacity = row.capacity.load();
  if (!lies_within(ref.first_, capacity, segment.places().size())) {
    return impossible("its places lie outside");
  }
  ref.places_ = segment.places().subspan(ref.first_, capacity);
  ref.infos_ = segment.place_info().data() + ref.first_;
  ref.quota_ = row.quota.load();
  if (ref.quota_ != kNone) {
    if (ref.quota_ >= segment.geometry().quotas) return impossible("no such quota");
    QuotaRow& quota = segment.quotas()[ref.quota_];
    ref.quota_row_ = &quota;
    const std::uint32_t first = quota.first_permit.load(), permits = quota.capacity.load();
    if (!lies_within(first, permits, segment.permits().size())) {
      return impossible("its quota's permits lie outside");
    }
    ref.permits_ = segment.permits().subspan(first, permits);
  }
  return ref;
}

std::vector<PoolRef> all_pools(const Segment& segment) {
  std::vector<PoolRef> pools;
  for (std::uint32_t id = 0; id < segment.geometry().pools; ++id) {
    if (segment.pools()[id].declared.load() == 0) continue;
    if (const std::optional<PoolRef> pool = PoolRef::find(segment, id)) pools.push_back(*pool);
  }
  return pools;
}

std::vector<PoolRef> pools_of_quota(const PoolRef& pool) {
  if (!pool.has_quota()) return {pool};
  std::vector<PoolRef> pools = all_pools(pool.segment());
  std::erase_if(pools, [&](const PoolRef& other) { return other.quota() != pool.quota(); });
  return pools;
}

}  // namespace weir::shm
