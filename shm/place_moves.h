// One step of a place's word: a compare-and-swap, and what to do when a resize came in between.
// Threads: any thread of any worker. Nothing waits.
#pragma once

#include "shm/layout.h"
#include "shm/words.h"

namespace weir::shm {

inline bool swap(Word& cell, PlaceWord from, PlaceWord to) {
  std::uint64_t expected = from.raw();
  return cell.compare_exchange_strong(expected, to.raw());
}

/// A resize may flag a place of ours to retire, or not to, at any moment: it is ours all the same.
/// True if that is what happened, as often as it did since a step from `word` failed: `word` is
/// what the cell reads now, perhaps what it was.
inline bool follow_resize(const Word& cell, PlaceWord& word) {
  const PlaceWord now(cell.load());
  const PlaceWord flagged(word.state(), word.idx(), word.gen(), word.occ(), !word.retire());
  if (now != flagged && now != word) return false;
  word = now;
  return true;
}

/// `word` -> next(word), following resizes. True: `word` is what the cell reads now. False:
/// somebody else has changed it.
template <typename Next>
bool move_on(Word& cell, PlaceWord& word, Next next) {
  do {
    const PlaceWord to = next(word);
    if (swap(cell, word, to)) {
      word = to;
      return true;
    }
  } while (follow_resize(cell, word));
  return false;
}

}  // namespace weir::shm
