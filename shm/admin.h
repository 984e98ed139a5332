// What an operator may change in a segment while workers use it, or while none does: a quota's
// limit, a pool's max; whether a pool lends, and since when its connections count as old; asking
// workers to reload; and settling at once what the dead left.
//
// A limit that an operator set stands until the segment goes, or somebody declares another value
// than the one it replaced, or an operator sets that value again (docs/decisions/0007). Growing
// serves those who wait within a tick of theirs. Shrinking takes nothing from anybody: what is in
// use stays until it is given back, keepers close what is idle, and meanwhile nobody gets more.
// Threads: any. Fork: no state of its own. Limits block for the declaring lock, a second at most.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "shm/segment.h"

namespace weir::shm {

enum class LimitOf { kQuota, kPool };

/// What became of it.
struct Resized {
  LimitOf of = LimitOf::kQuota;
  std::string name;
  std::uint32_t was = 0, now = 0;
  std::uint32_t room = 0;    // how far it could grow online
  std::uint32_t usable = 0;  // by the max of the pools that draw on it, together; of a pool: now
  std::uint32_t in_use = 0;  // connections: open, opening, closing or lingering
  std::uint32_t configured = 0;  // what the workers declared
  std::uint64_t revision = 0;    // how often it was changed
};

/// Sets the limit of the quota `name`; where there is none, the max of the pool of that name.
/// kNotFound names what there is; kBadArgument for 0; kShmFull says what there is
/// room for; kTimeout if somebody holds the lock; kShmCorrupt if the segment is out of service.
Result<Resized> set_limit(const Segment& segment, const std::string& name, std::uint32_t limit,
                          Deadline deadline = Deadline::never());
/// The same for the pool in row `id`, together with its min. REQUIRES: min <= max.
Result<Resized> set_pool_size(const Segment& segment, std::uint32_t id, std::uint32_t max,
                              std::uint32_t min, Deadline deadline = Deadline::never());

/// Asks every worker to read its configuration again. Returns the number of the request.
std::uint32_t ask_to_reload(const Segment& segment);
/// What a living worker made of it.
struct Reloaded {
  std::uint32_t row = 0, pid = 0;
  std::string service;
  bool answered = false;
  Code code = Code::kOk;  // once it has answered
  [[nodiscard]] bool ok() const { return answered && code == Code::kOk; }
};
/// Of every worker that is attached now, in order of their rows.
[[nodiscard]] std::vector<Reloaded> reloaded(const Segment& segment, std::uint32_t number);

/// Asks every worker to read its policies' scripts again. Returns the number of the request: what
/// came of it is in the workers' PolicyNote (stats.h), once `reloaded` there is that high.
std::uint32_t ask_policy_reload(const Segment& segment);

/// What an operator decides for a pool in all its workers at once, as control.h has it.
enum class Decision { kPause, kResume, kDrain, kClear, kClearAndInterrupt };

/// What became of it, as the pool reads right after.
struct Decided {
  std::string pool;
  bool changed = false;  // false: it was so already, and nobody was told
  bool is_paused = false;
  std::uint32_t generation = 0;
};
/// One compare-and-swap, and telling whoever is concerned: waits for nobody, and takes no lock.
/// kNotFound names the pools there are; kShmCorrupt if the segment is out of service.
Result<Decided> decide(const Segment& segment, const std::string& pool, Decision decision);

/// What was settled.
struct SettledNow {
  unsigned workers = 0;  // dead ones whose row is free again
  unsigned places = 0;   // of theirs, which linger until the server has let go
  unsigned freed = 0;    // places that had lingered for as long as they may
  unsigned resizes = 0;  // that somebody had left half done
};
/// Settles what the dead left, as any worker would. Joins as the worker "weir reap" for that time.
/// kShmFull if no row is to be had.
Result<SettledNow> settle_now(Segment& segment);

}  // namespace weir::shm
