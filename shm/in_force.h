// Limits in force: a quota's row says how many permits there are, a pool's how many places; the
// words follow.
//
//   1. store the number in the row      one store: from here on it is the limit
//   2. bring the words in line with it  put_*_in_force, below
//   3. tell the workers                 tell_of_resize
//
// Who changes a limit holds the declaring lock. A death after 1 leaves words that disagree with
// their row; anybody can see that, and finish (finish_resizes): whoever declares or resizes next,
// or a keeper within a second. Whatever is interrupted, no more are in use than the larger of the
// old and the new limit, or than were in use before.
// Threads: any. Fork: no state of its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/status.h"
#include "shm/segment.h"

namespace weir::shm {

/// How long one who declares or resizes waits for the lock at the most, whatever its caller's
/// deadline.
inline constexpr Nanos kDeclarePatience = std::chrono::seconds(1);

/// The declaring lock, through an open file description of its own: threads of one process exclude
/// each other too. Held until the descriptor is closed. Blocks until the deadline, at most
/// kDeclarePatience: kTimeout.
Result<FileDescriptor> lock_declaring(const Segment& segment, Deadline deadline);

/// The declared row of that name.
template <typename Row>
std::optional<std::uint32_t> find_row(std::span<Row> rows, const std::string& name) {
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    if (rows[i].declared.load() != 0 && rows[i].name.load() == name) return i;
  }
  return std::nullopt;
}

/// A row's own words, as far as they lie within the segment.
[[nodiscard]] std::span<Word> permits_of(const Segment& segment, const QuotaRow& row);
[[nodiscard]] std::span<Word> places_of(const Segment& segment, const PoolRow& row);

/// Brings the permits in line with row.limit. Above it: free ones out of service; held ones move to
/// a free permit below it while there is one, else they are flagged to go when they come back.
/// Below it: back in service. REQUIRES: the declaring lock, or that nobody knows the row yet.
void put_permits_in_force(const Segment& segment, QuotaRow& row);
/// The same for places and row.max; a place cannot move, so an occupied one above it is flagged.
void put_places_in_force(const Segment& segment, const PoolRow& row);

/// Whether the words say what the row says.
[[nodiscard]] bool are_permits_in_force(const Segment& segment, const QuotaRow& row);
[[nodiscard]] bool are_places_in_force(const Segment& segment, const PoolRow& row);

/// Finishes what killed resizers left half done. REQUIRES: the declaring lock. Returns how many
/// rows were.
unsigned finish_resizes_locked(const Segment& segment);
/// The same for who does not hold the lock: looks first, and leaves it to whoever holds it if it is
/// taken. Blocks for nobody.
unsigned finish_resizes(const Segment& segment);

/// Tells those who wait that there may be more, and keepers that there may be less.
void tell_of_resize(const Segment& segment);

}  // namespace weir::shm
