#include "shm/breaker.h"

namespace weir::shm {
namespace {

// Half open without a probe that somebody takes would be nobody's to leave, but anybody may take
// that: so every state that a judge can name heals.
BreakerWord as_judged(const BreakerVerdict& verdict, std::uint32_t failures) {
  if (verdict.state == BreakerState::kClosed) return {BreakerState::kClosed, failures, 0};
  return {verdict.state, failures, verdict.retry_at_ms};
}

}  // namespace

BreakerChange note_no_answer(const PoolRef& pool, bool by_probe, const BreakerJudge& judge) {
  Word& cell = pool.row().breaker;
  std::uint64_t raw = cell.load();
  while (true) {
    const BreakerWord seen(raw);
    if (!seen.is_closed() && !by_probe) return {seen, seen};
    const BreakerWord counted(seen.state(), seen.failures() + 1, seen.retry_at_ms());
    const BreakerWord next = as_judged(judge(counted), counted.failures());
    if (cell.compare_exchange_strong(raw, next.raw())) return {seen, next};
  }
}

BreakerChange note_answer(const PoolRef& pool) {
  Word& cell = pool.row().breaker;
  std::uint64_t raw = cell.load();
  // Mostly nothing has failed, and the line of the processor's cache stays shared.
  while (raw != 0 && !cell.compare_exchange_strong(raw, 0)) {
  }
  return {BreakerWord(raw), BreakerWord()};
}

BreakerWord half_open(const PoolRef& pool, std::uint64_t now_ns) {
  Word& cell = pool.row().breaker;
  std::uint64_t raw = cell.load();
  while (true) {
    const BreakerWord seen(raw);
    if (seen.state() != BreakerState::kOpen || seen.retry_in_ms(now_ns) > 0) return seen;
    const BreakerWord next(BreakerState::kHalfOpen, seen.failures(), seen.retry_at_ms());
    if (cell.compare_exchange_strong(raw, next.raw())) return next;
  }
}

BreakerChange put_breaker(const PoolRef& pool, BreakerWord seen, const BreakerVerdict& verdict) {
  std::uint64_t raw = seen.raw();
  const BreakerWord next = as_judged(verdict, seen.failures());
  if (pool.row().breaker.compare_exchange_strong(raw, next.raw())) return {seen, next};
  return {BreakerWord(raw), BreakerWord(raw)};
}

}  // namespace weir::shm
