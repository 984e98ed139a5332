#include "simulation/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace weir::simulation {
namespace {

using testing::HasSubstr;

std::string refusal_of(const std::string& text) {
  const Result<Trace> trace = read_trace(text);
  EXPECT_FALSE(trace.ok()) << text;
  return trace.ok() ? "" : std::string(trace.status().message());
}

TEST(ATrace, IsReadAsItsHeaderSays) {
  const Result<Trace> trace =
      read_trace("weir-trace 1 pool main\n1250 0 8130 0 1 -\n1402 1000000 - 3 16 auth\n");
  ASSERT_TRUE(trace.ok()) << trace.status().message();
  EXPECT_EQ(trace.value().source, "pool main");
  ASSERT_EQ(trace.value().requests.size(), 2u);
  EXPECT_EQ(trace.value().requests[0], (TraceRequest{1'250, 0, 8'130, 0, 1, ""}));
  EXPECT_EQ(trace.value().requests[1], (TraceRequest{1'402, 1'000'000, {}, 3, 16, "auth"}));
  EXPECT_EQ(workers_of(trace.value()), 4u);
}

TEST(ATrace, SaysHowManyThreadsItsWorkersHadAtLeast) {
  // Worker 0 has two at once twice, worker 1 three, of whom one waits and one gets nothing.
  const std::string text =
      "weir-trace 1 x\n0 0 100 0 1 -\n10 0 100 1 1 -\n20 50 100 1 1 -\n30 90 - 1 1 -\n"
      "50 0 50 0 1 -\n100 0 9 0 1 -\n105 0 9 0 1 -\n200 0 9 1 1 -\n";
  EXPECT_EQ(threads_of(read_trace(text).value()), 3u);
  EXPECT_EQ(threads_of(read_trace("weir-trace 1 x\n").value()), 1u);
  EXPECT_EQ(threads_of(read_trace("weir-trace 1 x\n0 0 100 0 16 -\n").value()), std::nullopt);
}

TEST(ATrace, OfNothingHasNoRequests) {
  ASSERT_TRUE(read_trace("weir-trace 1\n").ok());
  EXPECT_TRUE(load_of(read_trace("weir-trace 1\n").value(), {}).requests.empty());
}

TEST(ABadTrace, IsRefusedWithItsLineWhatWasExpectedAndWhatWasFound) {
  EXPECT_EQ(refusal_of(""), "line 1: expected \"weir-trace 1\" and a source, found nothing");
  EXPECT_THAT(refusal_of("weir-trace 2\n"), HasSubstr("line 1: expected \"weir-trace 1\""));
  EXPECT_THAT(refusal_of("weir-trace 2\n"), HasSubstr("found \"weir-trace 2\""));
  const std::string start = "weir-trace 1 x\n";
  EXPECT_THAT(refusal_of(start + "1 2 3 4 5\n"), HasSubstr("line 2: expected six fields"));
  EXPECT_THAT(refusal_of(start + "1 2 3 4 5 - 7\n"), HasSubstr("expected six fields"));
  EXPECT_THAT(refusal_of(start + "1 2 3 4 5 -"), HasSubstr("expected a newline at the end"));
  EXPECT_EQ(refusal_of(start + "1 0 3 4 5 -\nx 0 3 4 5 -\n"),
            "line 3: arrival_us: expected a whole number from 0 to 2678400000000, found \"x\"");
  EXPECT_THAT(refusal_of(start + "1 -2 3 4 5 -\n"), HasSubstr("wait_us: expected"));
  EXPECT_THAT(refusal_of(start + "1 2 4294967296 4 5 -\n"), HasSubstr("hold_us: expected"));
  EXPECT_THAT(refusal_of(start + "1 2 3 10000 5 -\n"), HasSubstr("worker: expected"));
  EXPECT_THAT(refusal_of(start + "1 2 3 4 0 -\n"), HasSubstr("weight: expected"));
  EXPECT_THAT(refusal_of(start + "1 2 3 4 5 Auth\n"), HasSubstr("class: expected [a-z]"));
  EXPECT_THAT(refusal_of(start + "5 0 3 4 5 -\n4 0 3 4 5 -\n"),
              HasSubstr("line 3: arrival_us: expected order of arrival, found 4"));
  EXPECT_THAT(refusal_of(start + "5 0 3 4 4000000 -\n6 0 3 4 1 -\n"),
              HasSubstr("line 3: weight: expected 4000000 requests in all at most"));
}

TEST(ARecordedRequest, StandsForAsManyAsItsWeightUntilTheNextOfItsWorker) {
  const Trace trace{"x",
                    {{1'000, 0, 50, 0, 4}, {1'500, 0, 60, 1, 1}, {5'000, 0, {}, 0, 1, "auth"}}};
  const Load load = load_of(trace, {"batch", "auth"});
  ASSERT_EQ(load.requests.size(), 6u);
  std::vector<std::uint64_t> of_first;
  for (const Request& one : load.requests) {
    if (one.worker == 0 && one.klass == 0) of_first.push_back(one.arrival_us);
  }
  EXPECT_THAT(of_first, testing::ElementsAre(1'000, 2'000, 3'000, 4'000));
  EXPECT_EQ(load.requests.back().klass, 2u);
  EXPECT_EQ(load.requests.back().hold_us, 50u) << "it got none: what half of the others held";
  EXPECT_EQ(load.length_us, 5'000u);
}

RC_GTEST_PROP(ATrace, ThatIsWrittenIsReadAsItWas, ()) {
  Trace trace;
  trace.source = "pool main";
  std::uint64_t at_us = 0;
  const auto count = *rc::gen::inRange(0, 30);
  for (int i = 0; i < count; ++i) {
    at_us += *rc::gen::inRange<std::uint64_t>(0, 1'000'000);
    TraceRequest one{at_us,
                     *rc::gen::inRange<std::uint64_t>(0, 1'000'000),
                     {},
                     *rc::gen::inRange(0u, 10'000u),
                     *rc::gen::inRange(1u, 1'000u)};
    if (*rc::gen::arbitrary<bool>()) one.hold_us = *rc::gen::arbitrary<std::uint32_t>();
    if (*rc::gen::arbitrary<bool>()) one.klass = *rc::gen::element<std::string>("a", "auth7");
    trace.requests.push_back(one);
  }
  const Result<Trace> read = read_trace(trace_text(trace));
  RC_ASSERT(read.ok());
  RC_ASSERT(read.value() == trace);
}

}  // namespace
}  // namespace weir::simulation
