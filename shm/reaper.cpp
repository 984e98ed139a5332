#include "shm/reaper.h"

#include <optional>

#include "shm/control.h"
#include "shm/line.h"
#include "shm/liveness.h"
#include "shm/mailbox.h"
#include "shm/parking.h"
#include "shm/pool_ref.h"
#include "shm/stats.h"
#include "shm/turns.h"
#include "shm/worker_table.h"

namespace weir::shm {
namespace {

std::optional<LingerCause> cause_of(PlaceState state) {
  switch (state) {
    case PlaceState::kOpening:
      return LingerCause::kOpening;
    case PlaceState::kIdle:
    case PlaceState::kParked:  // what moves is clean, and runs nothing
      return LingerCause::kIdle;
    case PlaceState::kUsed:
      return LingerCause::kUsed;
    case PlaceState::kClosing:
      return LingerCause::kClosing;
    default:
      return std::nullopt;
  }
}

// To LINGERING, if the word still is what was read.
bool linger(const Segment& segment, std::uint32_t place, PlaceWord seen) {
  const std::optional<LingerCause> cause = cause_of(seen.state());
  if (!cause) return false;
  // Since when, before it does: with the dead worker's time it would look as if it had lingered for
  // long. Where the word has changed meanwhile, a time that is too young harms nobody.
  segment.place_info()[place].since_ns.store(coarse_ns(), std::memory_order_relaxed);
  std::uint64_t expected = seen.raw();
  return segment.places()[place].compare_exchange_strong(
      expected, seen.to_lingering(*cause, seen.idx()).raw());
}

bool is_offer_void(const Segment& segment, std::uint32_t global, PlaceWord offer) {
  if (offer.idx() >= segment.waiters().size()) {
    segment.poison("an offer names waiter row " + std::to_string(offer.idx()));
    return false;
  }
  const WaiterWord to(segment.waiters()[offer.idx()].word.load());
  return !(to.state() == WaiterState::kClaimed && to.what() == global &&
           offer.offers_to(offer.idx(), to.inc()));
}

void settle_waiters(const Segment& segment, std::uint32_t row, WorkerWord word) {
  for (WaiterRow& waiter : segment.waiters()) {
    const WaiterWord seen(waiter.word.load());
    if (seen.state() == WaiterState::kFree || seen.owner_row() != row) continue;
    if (segment.workers()[row].word.load() != word.raw()) return;
    std::uint64_t expected = seen.raw();
    waiter.word.compare_exchange_strong(expected, seen.to_free().raw());
  }
}

unsigned settle_places(const Segment& segment, std::uint32_t row, WorkerWord word) {
  const WorkerId dead{row, word.gen()};
  unsigned lingering = 0;
  for (std::uint32_t i = 0; i < segment.places().size(); ++i) {
    Word& cell = segment.places()[i];
    const PlaceWord seen(cell.load());
    if (seen.state() == PlaceState::kOffered && is_offer_void(segment, i, seen)) {
      // Void because its waiter was the dead one's, or has left: nothing is open behind it.
      std::uint64_t expected = seen.raw();
      cell.compare_exchange_strong(expected, seen.to_free().raw());
      continue;
    }
    const bool given = seen.is_given_by(dead);
    if (!given && !seen.belongs_to(dead)) continue;
    if (segment.workers()[row].word.load() != word.raw()) return lingering;
    lingering += (given ? settle_giving(segment, i, seen) : linger(segment, i, seen)) ? 1 : 0;
  }
  return lingering;
}

// Somebody may have parked a place with the dead one after its words were settled. Who parks reads
// the row afterwards, and the row is free now: one of the two sees it.
unsigned settle_parked(const Segment& segment, WorkerId dead) {
  unsigned lingering = 0;
  for (std::uint32_t i = 0; i < segment.places().size(); ++i) {
    const PlaceWord seen(segment.places()[i].load());
    if (seen.state() != PlaceState::kParked || !seen.belongs_to(dead)) continue;
    lingering += linger(segment, i, seen) ? 1 : 0;
  }
  return lingering;
}

void settle_turns(const Segment& segment) {
  for (PoolRow& pool : segment.pools()) {
    if (pool.declared.load() == 0) continue;
    const auto settle = [&](Word& cell) {
      const TurnWord seen(cell.load());
      if (!seen.taken() || is_in_its_row(segment, seen.row(), seen.gen())) return;
      std::uint64_t expected = seen.raw();
      cell.compare_exchange_strong(expected, 0);
    };
    for (Word& turn : pool.handshakes) settle(turn);
    settle(pool.probe);
  }
}

unsigned settle_orphans(const Segment& segment) {
  unsigned lingering = 0;
  for (std::uint32_t i = 0; i < segment.places().size(); ++i) {
    const PlaceWord seen(segment.places()[i].load());
    if (!seen.possible()) {
      segment.poison("a place reads state " + std::to_string(static_cast<unsigned>(seen.state())));
      return lingering;
    }
    if (seen.state() == PlaceState::kGiving) {
      const WorkerId from = seen.giver();
      if (seen.receiver().row >= segment.workers().size()) {
        segment.poison("a place is given to worker row " + std::to_string(seen.receiver().row));
        return lingering;
      }
      const bool gone = !is_in_its_row(segment, from.row, from.gen, PlaceWord::kGiverGenBits);
      if (gone) lingering += settle_giving(segment, i, seen) ? 1 : 0;
      continue;
    }
    if (!seen.names_worker() || is_in_its_row(segment, seen.idx(), seen.gen())) continue;
    lingering += linger(segment, i, seen) ? 1 : 0;
  }
  return lingering;
}

// What the dead had may be what somebody waits for, and keepers must see to what lingers.
void tell_the_living(const Segment& segment) {
  for (std::uint32_t id = 0; id < segment.pools().size(); ++id) {
    if (segment.pools()[id].declared.load() != 0) set_demanded(segment.pools()[id]);
  }
  for (std::uint32_t i = 0; i < segment.waiters().size(); ++i) {
    if (WaiterWord(segment.waiters()[i].word.load()).state() == WaiterState::kClaimed) {
      wake_waiter(segment, i);
    }
  }
  for (std::uint32_t i = 0; i < segment.workers().size(); ++i) {
    if (WorkerWord(segment.workers()[i].word.load()).state() == WorkerState::kLive) {
      ring(segment, i);
    }
  }
}

}  // namespace

unsigned settle_dead_worker(const Segment& segment, std::uint32_t row, WorkerWord word) {
  settle_waiters(segment, row, word);
  unsigned lingering = settle_places(segment, row, word);
  std::uint64_t expected = word.raw();
  segment.workers()[row].word.compare_exchange_strong(
      expected, WorkerWord(WorkerState::kFree, word.gen()).raw());
  lingering += settle_parked(segment, {row, word.gen()});
  unlink_mailbox(segment, {row, word.gen()});
  // Its turns are orphans from here on.
  settle_turns(segment);
  tell_the_living(segment);
  return lingering;
}

Reaped reap(const Segment& segment, WorkerId self) {
  Reaped reaped;
  const std::uint32_t high =
      std::min<std::uint32_t>(segment.header().workers_high.load(), segment.geometry().workers);
  for (std::uint32_t i = 0; i < high; ++i) {
    const WorkerWord seen(segment.workers()[i].word.load());
    if (i == self.row || !is_certainly_dead(segment, i, seen)) continue;
    ++reaped.workers;
    reaped.places += settle_dead_worker(segment, i, seen);
  }
  if (const unsigned orphans = settle_orphans(segment); orphans > 0) {
    reaped.places += orphans;
    tell_the_living(segment);
  }
  settle_turns(segment);  // those that a reaper left who died right after freeing the row
  return reaped;
}

Reaped reap_if_due(const Segment& segment, WorkerId self, std::uint64_t now_ns) {
  Word& last = segment.header().last_reap_ns;
  std::uint64_t seen = last.load(std::memory_order_relaxed);
  // A claimer that dies only delays the next pass by one period.
  if (now_ns < seen + kReapPeriodNs || !last.compare_exchange_strong(seen, now_ns)) return {};
  return reap(segment, self);
}

}  // namespace weir::shm
