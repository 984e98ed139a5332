#include "cli/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace weir::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

Plot plot_of(const std::string& name, std::vector<double> values) {
  return {"load", {{"wait", "ms", {{{name, std::move(values)}}, {{"running", {1, 2}}}}}}};
}

TEST(APlot, IsOneSvgWithTitlesUnitsAxesAndALegend) {
  const std::string svg = svg_of(plot_of("candidate", {0, 5, 10}));
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns"));
  EXPECT_THAT(svg, testing::EndsWith("</svg>\n"));
  for (const char* const what :
       {">load<", ">wait (ms)<", ">candidate<", ">running<", ">10<", ">2 s<"}) {
    EXPECT_THAT(svg, HasSubstr(what));
  }
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme: dark"));
}

TEST(APlot, DrawsTheMostAtTheTopAndNothingAtTheBottom) {
  const std::string svg = svg_of(plot_of("candidate", {0, 20}));
  EXPECT_THAT(svg, HasSubstr("points=\"70,238 840,68\"")) << "the axis goes to 20, the most";
}

TEST(APlot, HasNoScriptsAndNothingFromOutside) {
  const std::string svg = svg_of(plot_of("<script>alert(1)</script>&\"\x01", {1}));
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  EXPECT_THAT(svg, Not(HasSubstr("href")));
  EXPECT_THAT(svg, Not(HasSubstr("url(")));
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;"));
}

TEST(APlot, TakesWhatIsNoNumberForNothing) {
  const std::string svg = svg_of(plot_of("candidate", {std::nan(""), INFINITY, -3}));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(APlot, OfNothingIsStillOne) { EXPECT_THAT(svg_of({}), HasSubstr("</svg>")); }

}  // namespace
}  // namespace weir::cli
