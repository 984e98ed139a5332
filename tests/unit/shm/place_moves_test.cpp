#include "shm/place_moves.h"

#include <gtest/gtest.h>

namespace weir::shm {
namespace {

constexpr WorkerId kMe{3, 7};

TEST(PlaceMoves, GoOnThoughAResizeFlagsThePlaceMeanwhile) {
  PlaceWord word(PlaceState::kOpening, kMe.row, kMe.gen, 5);
  Word cell{PlaceWord(PlaceState::kOpening, kMe.row, kMe.gen, 5, true).raw()};
  EXPECT_TRUE(move_on(cell, word, [](PlaceWord from) { return from.to_free(); }));
  EXPECT_EQ(word.state(), PlaceState::kRetired) << "flagged: out of service";
  EXPECT_EQ(PlaceWord(cell.load()), word);
}

// The storm of resizers found it: flagged when the step was tried, and no more when it was looked
// at again. It was taken for somebody else's change, and the place was nobody's from then on.
TEST(PlaceMoves, GoOnThoughAResizeWasUndoneAgainMeanwhile) {
  const PlaceWord before(PlaceState::kOpening, kMe.row, kMe.gen, 5);
  for (const bool retire : {false, true}) {
    PlaceWord word(before.state(), before.idx(), before.gen(), before.occ(), retire);
    const Word cell{word.raw()};
    const PlaceWord same = word;
    EXPECT_TRUE(follow_resize(cell, word));
    EXPECT_EQ(word, same);
  }
}

TEST(PlaceMoves, EndWhereSomebodyElseChangedThePlace) {
  const PlaceWord settled(PlaceState::kLingering, 0, kMe.row, 5);
  Word cell{settled.raw()};
  PlaceWord word(PlaceState::kOpening, kMe.row, kMe.gen, 5);
  EXPECT_FALSE(move_on(cell, word, [](PlaceWord from) { return from.to_free(); }));
  EXPECT_EQ(PlaceWord(cell.load()), settled);
}

}  // namespace
}  // namespace weir::shm
