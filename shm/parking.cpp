#include "shm/parking.h"

#include <algorithm>

#include "base/clock.h"
#include "shm/place_moves.h"
#include "shm/turns.h"
#include "shm/worker_table.h"

namespace weir::shm {
namespace {

template <typename Asks>
bool any_place(const Segment& segment, Asks asks) {
  return std::any_of(segment.places().begin(), segment.places().end(),
                     [&](const Word& cell) { return asks(PlaceWord(cell.load())); });
}

}  // namespace

bool is_row_in_giving(const Segment& segment, std::uint32_t row) {
  return any_place(segment, [row](PlaceWord word) {
    return word.state() == PlaceState::kGiving &&
           (word.giver().row == row || word.receiver().row == row);
  });
}

bool is_row_expecting(const Segment& segment, std::uint32_t row) {
  return any_place(segment, [row](PlaceWord word) {
    return (word.state() == PlaceState::kGiving && word.receiver().row == row) ||
           (word.state() == PlaceState::kParked && word.idx() == row);
  });
}

bool linger_idle(const Segment& segment, std::uint32_t place, PlaceWord word, std::uint32_t row) {
  // Since when, before it does: see reaper.cpp.
  segment.place_info()[place].since_ns.store(coarse_ns(), std::memory_order_relaxed);
  return move_on(segment.places()[place], word,
                 [row](PlaceWord from) { return from.to_lingering(LingerCause::kIdle, row); });
}

bool second_look(const Segment& segment, std::uint32_t place, PlaceWord parked) {
  if (is_in_its_row(segment, parked.idx(), parked.gen())) return false;
  return linger_idle(segment, place, parked, parked.idx());
}

bool settle_giving(const Segment& segment, std::uint32_t place, PlaceWord giving) {
  const WorkerId to = giving.receiver();
  if (to.row >= segment.workers().size()) {
    segment.poison("a place is given to worker row " + std::to_string(to.row));
    return false;
  }
  // The word has a few bits of R's generation; its row, which nobody joins meanwhile, has the rest.
  const WorkerWord receiver(segment.workers()[to.row].word.load());
  if (!receiver.is_live(to.gen, PlaceWord::kReceiverGenBits)) {
    return linger_idle(segment, place, giving, giving.giver().row);
  }
  segment.place_info()[place].since_ns.store(coarse_ns(), std::memory_order_relaxed);
  const PlaceWord parked = giving.to(PlaceState::kParked, {to.row, receiver.gen()});
  if (!swap(segment.places()[place], giving, parked)) return false;
  if (second_look(segment, place, parked)) return true;
  ring(segment, to.row);
  return false;
}

}  // namespace weir::shm
