#include "pool/stats.h"

namespace weir::pool {

void add_places(Stats& stats, shm::PlaceState state, std::uint32_t places) {
  using shm::PlaceState;
  switch (state) {
    case PlaceState::kIdle:
    case PlaceState::kParked:
      stats.idle += places;
      break;
    case PlaceState::kUsed:
    case PlaceState::kGiving:
      stats.used += places;
      break;
    case PlaceState::kOpening:
    case PlaceState::kOffered:
      stats.connecting += places;
      break;
    case PlaceState::kClosing:
      stats.closing += places;
      break;
    case PlaceState::kLingering:
      stats.lingering += places;
      break;
    case PlaceState::kFree:
    case PlaceState::kRetired:
      break;
  }
}

}  // namespace weir::pool
