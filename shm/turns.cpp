#include "shm/turns.h"

#include <algorithm>

#include "shm/breaker.h"

namespace weir::shm {
namespace {

std::uint32_t turns_in_force(const PoolRef& pool) {
  return std::clamp<std::uint32_t>(pool.row().connect_concurrency.load(), 1, kMaxHandshakes);
}

bool is_available(const PoolRef& pool, TurnWord word, std::uint64_t now_ns) {
  if (!word.taken()) return true;
  // One unit more: ages are that coarse, and a turn must not be taken over too early.
  const std::uint64_t limit_ns =
      std::uint64_t{pool.row().connect_timeout_ms.load()} * 1'000'000u + TurnWord::kUnitNs;
  return !is_in_its_row(pool.segment(), word.row(), word.gen()) || word.age_ns(now_ns) > limit_ns;
}

void return_probe(const PoolRef& pool, TurnWord probe) {
  std::uint64_t expected = probe.raw();
  if (probe.taken()) pool.row().probe.compare_exchange_strong(expected, 0);
}

// Past the breaker: where it is closed with the word 0, where it is time to try with the probe, if
// that is to be had.
std::optional<TurnWord> pass_breaker(const PoolRef& pool, WorkerId self, std::uint64_t now_ns) {
  const BreakerWord seen = breaker_of(pool);
  if (seen.is_closed()) return TurnWord();
  if (seen.retry_in_ms(now_ns) > 0) return std::nullopt;
  // 1. the probe, from nobody, the dead or the overdue. A death after this leaves it to be taken
  // over.
  Word& cell = pool.row().probe;
  const TurnWord mine(self, now_ns), had(cell.load());
  std::uint64_t expected = had.raw();
  if (!is_available(pool, had, now_ns) || !cell.compare_exchange_strong(expected, mine.raw())) {
    return std::nullopt;
  }
  // 2. half open, unless the breaker was closed, or opened for longer, meanwhile.
  const BreakerWord now = half_open(pool, now_ns);
  if (now.state() == BreakerState::kHalfOpen) return mine;
  return_probe(pool, mine);
  return now.is_closed() ? std::optional<TurnWord>(TurnWord()) : std::nullopt;
}

}  // namespace

std::optional<Turn> take_turn(const PoolRef& pool, WorkerId self, std::uint64_t now_ns) {
  if (is_server_full(pool, now_ns)) return std::nullopt;
  const std::optional<TurnWord> probe = pass_breaker(pool, self, now_ns);
  if (!probe) return std::nullopt;
  const TurnWord mine(self, now_ns);
  for (std::uint32_t i = 0; i < turns_in_force(pool); ++i) {
    Word& cell = pool.row().handshakes[i];
    const TurnWord seen(cell.load());
    if (!is_available(pool, seen, now_ns)) continue;
    std::uint64_t expected = seen.raw();
    if (cell.compare_exchange_strong(expected, mine.raw())) return Turn{i, mine, *probe};
  }
  return_probe(pool, *probe);
  return std::nullopt;
}

void return_turn(const PoolRef& pool, const Turn& turn) {
  return_probe(pool, turn.probe);
  std::uint64_t expected = turn.word.raw();
  pool.row().handshakes[turn.index].compare_exchange_strong(expected, 0);
}

bool has_probe(const PoolRef& pool, const Turn& turn) {
  return turn.probe.taken() && pool.row().probe.load() == turn.probe.raw();
}

void note_server_full(const PoolRef& pool, std::uint64_t until_ns) {
  pool.row().server_full_until_ns.store(until_ns);
}

void note_server_has_room(const PoolRef& pool) { pool.row().server_full_until_ns.store(0); }

bool is_server_full(const PoolRef& pool, std::uint64_t now_ns) {
  return now_ns < pool.row().server_full_until_ns.load();
}

bool is_due_for_probe(const PoolRef& pool, std::uint64_t now_ns) {
  const BreakerWord breaker = breaker_of(pool);
  return !breaker.is_closed() && breaker.retry_in_ms(now_ns) == 0 &&
         is_available(pool, TurnWord(pool.row().probe.load()), now_ns);
}

std::uint32_t free_turns(const PoolRef& pool, std::uint64_t now_ns) {
  if (is_server_full(pool, now_ns)) return 0;
  const BreakerWord breaker = breaker_of(pool);
  if (!breaker.is_closed() && !is_due_for_probe(pool, now_ns)) return 0;
  std::uint32_t free = 0;
  for (std::uint32_t i = 0; i < turns_in_force(pool); ++i) {
    free += is_available(pool, TurnWord(pool.row().handshakes[i].load()), now_ns) ? 1 : 0;
  }
  return breaker.is_closed() ? free : std::min(free, 1u);
}

bool is_in_its_row(const Segment& segment, std::uint32_t row, std::uint32_t low_gen,
                   unsigned width) {
  if (row >= segment.workers().size()) {
    segment.poison("a word names worker row " + std::to_string(row));
    return true;  // settle nothing on the strength of an impossible word
  }
  return WorkerWord(segment.workers()[row].word.load()).is_live(low_gen, width);
}

}  // namespace weir::shm
