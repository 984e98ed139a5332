// PoolRef: one declared pool's part of the segment, found once and then used without further
// checks. A value; valid as long as the Segment. Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "shm/segment.h"

namespace weir::shm {

/// A place, counted within its pool.
using PlaceIndex = std::uint32_t;

class PoolRef {
 public:
  /// REQUIRES: row `id` is declared. Poisons the segment and answers nullopt if its ranges lie
  /// outside.
  static std::optional<PoolRef> find(const Segment& segment, std::uint32_t id);

  [[nodiscard]] const Segment& segment() const { return *segment_; }
  [[nodiscard]] std::uint32_t id() const { return id_; }
  [[nodiscard]] PoolRow& row() const { return *row_; }
  /// All its places, those out of service included.
  [[nodiscard]] std::span<Word> places() const { return places_; }
  [[nodiscard]] std::uint32_t capacity() const {
    return static_cast<std::uint32_t>(places_.size());
  }
  [[nodiscard]] PlaceInfo& info(PlaceIndex place) const { return infos_[place]; }
  [[nodiscard]] StatsRow& totals() const { return segment_->pool_totals()[id_]; }

  /// The place's index among all places of the segment, as waiter words and permits name it.
  [[nodiscard]] std::uint32_t global(PlaceIndex place) const { return first_ + place; }
  /// The other way; nullopt if it is not one of this pool's.
  [[nodiscard]] std::optional<PlaceIndex> local(std::uint32_t global) const {
    if (global < first_ || global - first_ >= places_.size()) return std::nullopt;
    return global - first_;
  }

  [[nodiscard]] bool has_quota() const { return quota_ != kNone; }
  /// REQUIRES: has_quota(), as for the next two.
  [[nodiscard]] std::uint32_t quota() const { return quota_; }
  [[nodiscard]] QuotaRow& quota_row() const { return *quota_row_; }
  [[nodiscard]] std::span<Word> permits() const { return permits_; }

 private:
  PoolRef(const Segment& segment, std::uint32_t id)
      : segment_(&segment), row_(&segment.pools()[id]), id_(id) {}

  // Pointers rather than offsets: acquire and release follow them behind a full barrier, where each
  // dependent load counts.
  const Segment* segment_;
  PoolRow* row_;
  PlaceInfo* infos_ = nullptr;
  QuotaRow* quota_row_ = nullptr;
  std::uint32_t id_;
  std::uint32_t first_ = 0;
  std::uint32_t quota_ = kNone;
  std::span<Word> places_;
  std::span<Word> permits_;
};

/// All declared pools of the segment; of one quota: `pool` and its mates, or `pool` alone where the
/// quota is its own. In order of their rows.
[[nodiscard]] std::vector<PoolRef> all_pools(const Segment& segment);
[[nodiscard]] std::vector<PoolRef> pools_of_quota(const PoolRef& pool);

}  // namespace weir::shm
