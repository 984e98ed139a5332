// Parking: what GIVING and PARKED words say of two workers at once, and how they are settled. Used
// by who gives, by who reaps, and by who joins. Threads: any thread of any worker. Nothing here
// waits.
#pragma once

#include <cstdint>

#include "shm/segment.h"
#include "shm/words.h"

namespace weir::shm {

/// Whether a GIVING word names worker row `row`, as giver or receiver: then nobody joins it, since
/// such a word tells generations apart by a few bits only.
[[nodiscard]] bool is_row_in_giving(const Segment& segment, std::uint32_t row);

/// Whether a GIVING or PARKED word is on its way to worker row `row`, whatever its generation.
[[nodiscard]] bool is_row_expecting(const Segment& segment, std::uint32_t row);

/// For a giver that is gone. GIVING(S,R), as `giving` reads, to PARKED(R) if R is in its row, else
/// to LINGERING; then as second_look(), and rings R. True: it lingers. A death after parking leaves
/// it to R's look, and to its reaper.
bool settle_giving(const Segment& segment, std::uint32_t place, PlaceWord giving);

/// After parking: PARKED(R), as `parked` reads, to LINGERING if R is not in its row any more. Who
/// reaps R looks for PARKED words once more after R's row is free: one of the two sees it. True: it
/// lingers.
bool second_look(const Segment& segment, std::uint32_t place, PlaceWord parked);

/// To LINGERING, as the idle session of a worker that is gone. False: it was not `word` any more.
bool linger_idle(const Segment& segment, std::uint32_t place, PlaceWord word, std::uint32_t row);

}  // namespace weir::shm
