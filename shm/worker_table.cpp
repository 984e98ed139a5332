#include "shm/worker_table.h"

#include <unistd.h>

#include "shm/futex.h"
#include "shm/line.h"
#include "shm/parking.h"
#include "shm/reaper.h"
#include "shm/recorder.h"

namespace weir::shm {

Result<std::unique_ptr<Membership>> Membership::join(Segment& segment, std::string_view service) {
  const std::span<WorkerRow> rows = segment.workers();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    // 1. what a dead predecessor left, as anybody might: while we hold its byte it looks alive, and
    // whoever stops then would keep all others from settling it.
    if (const WorkerWord left(rows[i].word.load()); is_certainly_dead(segment, i, left)) {
      settle_dead_worker(segment, i, left);
    }
    // A word that a connection is on its way by tells this row's generations apart by a few bits.
    if (is_row_in_giving(segment, i)) continue;
    // 2. the byte lock: from here on the kernel tells everybody when we are gone.
    Result<std::optional<LifeLock>> lock = LifeLock::take(segment, i);
    if (!lock.ok()) return lock.status();
    if (!lock.value()) continue;
    // 3. the row is ours to publish, but somebody may have died in it just now.
    WorkerWord seen(rows[i].word.load());
    if (seen.state() == WorkerState::kLive) {
      settle_dead_worker(segment, i, seen);
      seen = WorkerWord(rows[i].word.load());
      if (seen.state() == WorkerState::kLive) continue;  // ~LifeLock unlocks
    }
    if (is_row_in_giving(segment, i)) continue;
    // 4. a predecessor that lives and is believed dead may have got in line after its words were
    // settled; under our number it would look like a caller of ours.
    free_waiters_of(segment, i);
    // 5. FREE(g) -> LIVE(g + 1). A death before this leaves nothing; after it, a dead worker.
    const WorkerId id{i, seen.gen() + 1};
    rows[i].pid.store(static_cast<std::uint32_t>(getpid()));
    rows[i].joined_ns.store(monotonic_ns());
    rows[i].beat_ns.store(monotonic_ns());
    rows[i].service.store(service);
    rows[i].receives.store(0);
    rows[i].reloaded.store(0);
    rows[i].reload_code.store(0);
    const Recorder recorder(segment, i);
    recorder.forget_unfinished();
    Word32& high = segment.header().workers_high;
    for (std::uint32_t old = high.load(); old <= i;) {
      if (high.compare_exchange_weak(old, i + 1)) break;
    }
    std::uint64_t expected = seen.raw();
    if (!rows[i].word.compare_exchange_strong(expected,
                                              WorkerWord(WorkerState::kLive, id.gen).raw())) {
      continue;
    }
    recorder.record({.kind = Happening::kJoined, .number = static_cast<std::uint32_t>(getpid())});
    return std::unique_ptr<Membership>(
        new Membership(segment, id, std::move(*std::move(lock).value())));
  }
  return Status(Code::kShmFull, "segment " + segment.path() + ": all " +
                                    std::to_string(rows.size()) + " worker rows are taken");
}

void Membership::leave() {
  if (is_forked()) lock_.forget();  // the page is not mapped here
  if (is_valid()) {
    Recorder(*segment_, id_.row).record({.kind = Happening::kLeft});
    fence();
    // Settled by ourselves while the lock is still held: nobody can join the row in between.
    settle_dead_worker(*segment_, id_.row, WorkerWord(WorkerState::kLive, id_.gen));
  }
  // A fenced worker's row has been settled by others, or will be now that its lock is free.
  lock_.drop();
}

void ring(const Segment& segment, std::uint32_t row) {
  WorkerRow& worker = segment.workers()[row];
  worker.doorbell.fetch_add(1);
  futex_wake(worker.doorbell);
}

}  // namespace weir::shm
