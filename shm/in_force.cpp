#include "shm/in_force.h"

#include <cerrno>

#include "shm/control.h"
#include "shm/excess.h"
#include "shm/file_locks.h"
#include "shm/words.h"
#include "shm/worker_table.h"

namespace weir::shm {
namespace {

std::span<Word> cut(std::span<Word> all, std::uint32_t first, std::uint32_t count) {
  return lies_within(first, count, all.size()) ? all.subspan(first, count) : std::span<Word>();
}

// One word's part of it, below or above the limit.
PlaceWord in_line(PlaceWord word, bool below) {
  const auto as = [&](PlaceState state) { return PlaceWord(state, 0, 0, word.occ()); };
  if (word.state() == PlaceState::kRetired) return below ? as(PlaceState::kFree) : word;
  if (word.state() == PlaceState::kFree) return below ? word : as(PlaceState::kRetired);
  return PlaceWord(word.state(), word.idx(), word.gen(), word.occ(), !below);
}

PermitWord in_line(PermitWord word, bool below) {
  if (word.state() == PermitState::kRetired) {
    return below ? PermitWord(PermitState::kFree, 0, 0) : word;
  }
  if (word.state() == PermitState::kFree) {
    return below ? word : PermitWord(PermitState::kRetired, 0, 0);
  }
  return PermitWord(word.state(), word.place(), word.occ(), !below);
}

// What a word reads that is in line now.
template <typename AnyWord>
void bring_in_line(Word& cell, bool below) {
  std::uint64_t raw = cell.load();
  while (true) {
    const AnyWord wanted = in_line(AnyWord(raw), below);
    if (wanted.raw() == raw || cell.compare_exchange_strong(raw, wanted.raw())) return;
  }
}

template <typename AnyWord>
bool are_in_line(std::span<Word> words, std::uint32_t limit) {
  for (std::uint32_t i = 0; i < words.size(); ++i) {
    const AnyWord seen(words[i].load());
    if (in_line(seen, i < limit) != seen) return false;
  }
  return true;
}

bool is_all_in_force(const Segment& segment) {
  const auto unfinished_quota = [&](const QuotaRow& row) {
    return row.declared.load() != 0 && !are_permits_in_force(segment, row);
  };
  const auto unfinished_pool = [&](const PoolRow& row) {
    return row.declared.load() != 0 && !are_places_in_force(segment, row);
  };
  return std::none_of(segment.quotas().begin(), segment.quotas().end(), unfinished_quota) &&
         std::none_of(segment.pools().begin(), segment.pools().end(), unfinished_pool);
}

}  // namespace

Result<FileDescriptor> lock_declaring(const Segment& segment, Deadline deadline) {
  FileDescriptor fd(segment.reopen());
  if (fd.get() < 0) return Status::system_error("segment " + segment.path() + ": reopen", errno);
  if (!lock_byte_until(fd.get(), kDeclareByte, LockKind::kExclusive,
                       deadline.earlier_of(Deadline::after(kDeclarePatience)))) {
    return Status(Code::kTimeout,
                  "segment " + segment.path() +
                      ": somebody else has been declaring a pool or quota too long");
  }
  return fd;
}

std::span<Word> permits_of(const Segment& segment, const QuotaRow& row) {
  return cut(segment.permits(), row.first_permit.load(), row.capacity.load());
}

std::span<Word> places_of(const Segment& segment, const PoolRow& row) {
  return cut(segment.places(), row.first_place.load(), row.capacity.load());
}

void put_permits_in_force(const Segment& segment, QuotaRow& row) {
  const std::span<Word> permits = permits_of(segment, row);
  const std::uint32_t limit =
      std::min<std::uint32_t>(row.limit.load(), static_cast<std::uint32_t>(permits.size()));
  // 0. before any of them comes into service: up to here somebody may hold one from now on.
  if (row.most_limit.load() < limit) row.most_limit.store(limit);
  // 1. above the limit first, so that 2 knows what is held there.
  for (Word& cell : permits.subspan(limit)) bring_in_line<PermitWord>(cell, false);
  // 2. below it. A free or returning one goes to what is held above: only what is left is
  // anybody's.
  for (Word& cell : permits.first(limit)) {
    const PermitWord seen(cell.load());
    if (seen.state() != PermitState::kHeld && hand_down(segment, row, cell, seen)) continue;
    bring_in_line<PermitWord>(cell, true);
  }
}

void put_places_in_force(const Segment& segment, const PoolRow& row) {
  const std::span<Word> places = places_of(segment, row);
  const std::uint32_t max = row.max.load();
  // From above: a shrink is done where it counts before a place below comes back.
  for (std::size_t i = places.size(); i-- > 0;) bring_in_line<PlaceWord>(places[i], i < max);
}

bool are_permits_in_force(const Segment& segment, const QuotaRow& row) {
  return are_in_line<PermitWord>(permits_of(segment, row), row.limit.load());
}

bool are_places_in_force(const Segment& segment, const PoolRow& row) {
  return are_in_line<PlaceWord>(places_of(segment, row), row.max.load());
}

unsigned finish_resizes_locked(const Segment& segment) {
  unsigned finished = 0;
  for (QuotaRow& row : segment.quotas()) {
    if (row.declared.load() == 0 || are_permits_in_force(segment, row)) continue;
    put_permits_in_force(segment, row);
    ++finished;
  }
  for (const PoolRow& row : segment.pools()) {
    if (row.declared.load() == 0 || are_places_in_force(segment, row)) continue;
    put_places_in_force(segment, row);
    ++finished;
  }
  if (finished > 0) tell_of_resize(segment);
  return finished;
}

unsigned finish_resizes(const Segment& segment) {
  if (is_all_in_force(segment)) return 0;
  const FileDescriptor fd(segment.reopen());
  if (fd.get() < 0 || !try_lock_byte(fd.get(), kDeclareByte, LockKind::kExclusive)) return 0;
  return finish_resizes_locked(segment);
}

void tell_of_resize(const Segment& segment) {
  for (PoolRow& row : segment.pools()) {
    if (row.declared.load() != 0) set_demanded(row);
  }
  const std::span<WorkerRow> rows = segment.workers();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    if (WorkerWord(rows[i].word.load()).state() == WorkerState::kLive) ring(segment, i);
  }
}

}  // namespace weir::shm
