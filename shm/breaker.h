// The breaker of one pool, shared by the machine: who sees that a server does not answer spares all
// others the attempt. One word (words.h), every step one compare-and-swap; the probe beside it is a
// turn (turns.h), so that one attempt at most finds out whether the server is back, and a worker
// that dies or stands still in the middle of it is replaced.
//
//   a connect or ping got no answer   note_no_answer   counts it; opens, as the judge says
//   time is over, the probe is taken  half_open        Open -> HalfOpen
//   the server answered, yes or no    note_answer      -> Closed, nothing failed
//
// When it opens, and for how long, is a policy's business: the judge. Death between any two steps
// leaves Open with a time, or HalfOpen with a probe that is free or can be taken over.
// Threads: any thread of any worker. Fork: no state of its own. Nothing here waits.
#pragma once

#include <cstdint>
#include <functional>

#include "shm/pool_ref.h"
#include "shm/words.h"

namespace weir::shm {

/// What somebody who decides makes of a failure. `retry_at_ms` of CLOCK_MONOTONIC; while open only.
struct BreakerVerdict {
  BreakerState state = BreakerState::kClosed;
  std::uint64_t retry_at_ms = 0;
};
/// Asked about the word with the failure counted in; again, where the word changed meanwhile.
using BreakerJudge = std::function<BreakerVerdict(BreakerWord counted)>;

/// What the word was, and what was made of it.
struct BreakerChange {
  BreakerWord from, to;
  [[nodiscard]] bool opened() const {
    return from.state() != BreakerState::kOpen && to.state() == BreakerState::kOpen;
  }
  [[nodiscard]] bool closed() const { return !from.is_closed() && to.is_closed(); }
};

[[nodiscard]] inline BreakerWord breaker_of(const PoolRef& pool) {
  return BreakerWord(pool.row().breaker.load());
}

/// An attempt to connect, or a ping, got no answer. Counts while the breaker is closed, and of the
/// probe; of others that were under way when it opened it says nothing new.
BreakerChange note_no_answer(const PoolRef& pool, bool by_probe, const BreakerJudge& judge);

/// The server answered an attempt to connect, be it with a refusal: it is there.
BreakerChange note_answer(const PoolRef& pool);

/// Open and due -> HalfOpen, by who has just taken the probe. Returns what the word reads now.
BreakerWord half_open(const PoolRef& pool, std::uint64_t now_ns);

/// A policy's word at its tick: `seen` -> the verdict, unless the word changed since it was seen.
BreakerChange put_breaker(const PoolRef& pool, BreakerWord seen, const BreakerVerdict& verdict);

}  // namespace weir::shm
