// Control: what is decided for a pool in all its workers at once: whether it lends at all, and
// since when its connections count as old.
//
// Both stand in PoolRow::demand, beside the flag that somebody waits, because that is the one word
// that every acquire and release reads: nothing more is looked at while all three are as they were.
//
//   waiting     somebody may be in line (line.h)
//   paused      nothing is lent; whoever waits fails at once
//   generation  a connection begun under another one is lent no more: closed where it is idle, on
//               return where it is lent
//
// Every change is one compare-and-swap; a death right after it leaves a decision that stands, which
// each worker finds at its next acquire or release, or within a second.
// Threads: any thread of any worker, monitors that may write included. Fork: no state of its own.
#pragma once

#include <cstdint>

#include "shm/pool_ref.h"

namespace weir::shm {

/// PoolRow::demand, taken apart.
class DemandWord {
 public:
  static constexpr std::uint32_t kWaiting = 1, kPaused = 2;
  static constexpr unsigned kGenerationBits = 30;

  explicit constexpr DemandWord(std::uint32_t raw) : raw_(raw) {}
  [[nodiscard]] constexpr std::uint32_t raw() const { return raw_; }
  [[nodiscard]] constexpr bool is_waiting() const { return (raw_ & kWaiting) != 0; }
  [[nodiscard]] constexpr bool is_paused() const { return (raw_ & kPaused) != 0; }
  [[nodiscard]] constexpr std::uint32_t generation() const { return raw_ >> 2; }
  /// What the word reads while nobody waits and the pool of that generation lends.
  [[nodiscard]] static constexpr std::uint32_t quiet(std::uint32_t generation) {
    return generation << 2;
  }
  [[nodiscard]] constexpr DemandWord paused() const { return DemandWord(raw_ | kPaused); }
  [[nodiscard]] constexpr DemandWord resumed() const { return DemandWord(raw_ & ~kPaused); }
  [[nodiscard]] constexpr DemandWord next_generation() const { return DemandWord(raw_ + 4); }
  /// Whether `generation` came before `than`. They count on and on, around 2^30.
  [[nodiscard]] static constexpr bool is_before(std::uint32_t generation, std::uint32_t than) {
    constexpr std::uint32_t kMask = (std::uint32_t{1} << kGenerationBits) - 1;
    return ((generation - than) & kMask) > kMask / 2;
  }
  constexpr bool operator==(const DemandWord&) const = default;

 private:
  std::uint32_t raw_;
};

[[nodiscard]] inline DemandWord demand_of(const PoolRow& row) {
  return DemandWord(row.demand.load());
}
/// Whether somebody may be in line.
[[nodiscard]] inline bool is_demanded(const PoolRow& row) { return demand_of(row).is_waiting(); }
/// Tells givers of this one pool that somebody waits. See raise_demand() for a whole quota.
inline void set_demanded(PoolRow& row) { row.demand.fetch_or(DemandWord::kWaiting); }

/// What one of the decisions below changed. All tell whoever is concerned: waiters and keepers.
/// False: it was so already, and nobody was told.
bool pause(const PoolRef& pool);
bool resume(const PoolRef& pool);
/// Pauses, with a new generation, in one step; with `cut`, lent sessions are cut too.
bool clear(const PoolRef& pool, bool cut);
/// A new generation, without pausing.
void drain(const PoolRef& pool);

/// Wakes everybody who waits for `pool` anywhere, and the keepers of all who may have a connection
/// of it.
void tell_pool(const PoolRef& pool);

}  // namespace weir::shm
