// docs/shm-layout.md describes the layout that this build has: who changes one changes the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "shm/layout.h"

namespace weir::shm {
namespace {

using testing::HasSubstr;

std::string page() {
  std::ifstream file(WEIR_SOURCE_FOLDER "/docs/shm-layout.md");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// 36864 as the page writes it: 36,864.
std::string with_commas(std::size_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

TEST(LayoutPage, NamesVersionAndFingerprint) {
  std::array<char, 32> fingerprint{};
  std::snprintf(fingerprint.data(), fingerprint.size(), "`0x%016llx`",
                static_cast<unsigned long long>(layout_fingerprint()));
  EXPECT_THAT(page(),
              HasSubstr("**layout " + std::to_string(kAbiMajor) + "." + std::to_string(kAbiMinor) +
                        "**, fingerprint " + fingerprint.data()));
}

TEST(LayoutPage, SaysWhereEachPartBegins) {
  const Offsets at = offsets_of(Geometry{});
  const std::string text = page();
  for (const auto& [part, offset] : {
           std::pair{"workers", at.workers},
           std::pair{"waiters", at.waiters},
           std::pair{"quotas", at.quotas},
           std::pair{"pools", at.pools},
           std::pair{"places", at.places},
           std::pair{"permits", at.permits},
           std::pair{"place info", at.place_info},
           std::pair{"pool totals", at.pool_totals},
           std::pair{"statistics", at.stats},
           std::pair{"recorder", at.events},
           std::pair{"end", at.end},
       }) {
    EXPECT_THAT(text, HasSubstr("\n| " + std::string(part) + " | " + with_commas(offset) + " |"));
  }
}

}  // namespace
}  // namespace weir::shm
