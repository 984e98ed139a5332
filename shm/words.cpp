#include "shm/words.h"

#include <array>

namespace weir::shm {

std::string_view place_state_name(PlaceState state) {
  static constexpr std::array<std::string_view, kPlaceStates> kNames = {
      "free",   "offered", "opening", "idle",      "used",
      "giving", "parked",  "closing", "lingering", "retired"};
  const auto index = static_cast<std::size_t>(state);
  return index < kNames.size() ? kNames[index] : "impossible";
}

}  // namespace weir::shm
