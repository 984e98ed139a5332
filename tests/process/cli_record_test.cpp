// `weir record` and `weir blackbox` beside a worker under load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "cli_command.h"
#include "simulation/trace.h"
#include "support/pool_on_null.h"

namespace weir::test {
namespace {

using nlohmann::json;
using simulation::Trace;
using simulation::TraceRequest;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class CliRecord : public PoolOnNull {
 protected:
  static void hold(milliseconds time) {
    const Deadline until = Deadline::after(time);
    while (!until.passed(monotonic_ns())) continue;
  }
  [[nodiscard]] std::string file() const { return (out_.path() / "a.trace").string(); }
  [[nodiscard]] Trace trace() const {
    Result<Trace> read = simulation::read_trace(content_of(file()));
    if (!read.ok()) throw std::runtime_error(read.status().to_string());
    return std::move(read).value();
  }
  /// Records to file(); once this returns, it does.
  [[nodiscard]] std::unique_ptr<Command> record() const {
    auto command = std::make_unique<Command>(std::vector<std::string>{
        "record", "--folder", segments_folder(), "--pool", "main", "--out", file()});
    EXPECT_TRUE(soon([&] { return command->err().find("recording") != std::string::npos; }));
    return command;
  }

 private:
  TempFolder out_;
};

TEST_F(CliRecord, WritesTheLoadThatWas) {
  Runtime runtime = open(server_.dsn(), 1);
  weir::Pool pool = runtime.pool("main");
  pool.acquire().release();
  const auto command = record();
  // Ten of 3 ms, one after another; then one of 60 ms that another waits for in vain.
  for (int i = 0; i < 10; ++i) {
    Lease lease = pool.acquire();
    hold(milliseconds(3));
    lease.release();
  }
  Lease last = pool.acquire();
  AcquireOptions options;
  options.timeout = milliseconds(40);
  EXPECT_EQ(code_of([&] { const Lease none = pool.acquire(options); }), WEIR_TIMEOUT);
  hold(milliseconds(20));
  last.release();
  command->signal(SIGINT);
  const CommandOutcome outcome = command->finish();
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("12 requests, which stand for 12, of 1 workers"),
                                 HasSubstr("0 events lost")));

  const Trace got = trace();
  EXPECT_THAT(got.source, HasSubstr("pool main of segment default, 20"));
  ASSERT_EQ(got.requests.size(), 12u);
  for (std::size_t i = 0; i < 10; ++i) {
    const TraceRequest& one = got.requests[i];
    EXPECT_EQ(one.wait_us, 0u);
    ASSERT_TRUE(one.hold_us.has_value());
    EXPECT_GE(*one.hold_us, 3'000u);
    EXPECT_EQ(one.worker, 0u);
    EXPECT_EQ(one.weight, 1u);
    const std::uint64_t next_us = got.requests[i + 1].arrival_us;
    EXPECT_GE(next_us, one.arrival_us + 3'000) << "one after another";
    EXPECT_LE(*one.hold_us, next_us - one.arrival_us + 1);
  }
  EXPECT_GE(got.requests[10].hold_us.value_or(0), 60'000u);
  EXPECT_FALSE(got.requests[11].hold_us.has_value()) << "it gave up";
  EXPECT_GE(got.requests[11].wait_us, 40'000u);
  EXPECT_LE(got.requests[11].wait_us, got.requests[10].hold_us.value_or(0));
  runtime.close();

  const CommandOutcome simulated =
      run_weir({"policy", "simulate", "--trace", file(), "--max", "1", "--json"});
  EXPECT_EQ(simulated.exit_status, 0) << simulated.err;
  EXPECT_EQ(json::parse(simulated.out)["requests"], 12);
}

TEST_F(CliRecord, HasWaitsAndSeveralWorkers) {
  Runtime here = open(server_.dsn(), 1), there = open(server_.dsn(), 1, "", "two");
  weir::Pool mine = here.pool("main"), theirs = there.pool("main");
  mine.acquire().release();
  theirs.acquire().release();
  const auto command = record();
  Lease lease = mine.acquire();
  std::thread other([&] { theirs.acquire().release(); });
  ASSERT_TRUE(soon([&] { return mine.stats().waiting == 1; }));
  hold(milliseconds(30));
  lease.release();
  other.join();
  command->signal(SIGTERM);
  const CommandOutcome outcome = command->finish();
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  const Trace got = trace();
  ASSERT_EQ(got.requests.size(), 2u);
  EXPECT_EQ(simulation::workers_of(got), 2u);
  EXPECT_GE(got.requests[1].wait_us, 30'000u);
  EXPECT_GE(got.requests[1].arrival_us, got.requests[0].arrival_us);
}

TEST_F(CliRecord, StandsForAllOfABusyWorkersLeasesWithFewOfThem) {
  Runtime runtime = open(server_.dsn(), 1);
  weir::Pool pool = runtime.pool("main");
  for (int i = 0; i < 5'000; ++i) pool.acquire().release();
  const auto command = record();
  constexpr int kLeases = 20'000;
  for (int i = 0; i < kLeases; ++i) {
    Lease lease = pool.acquire();
    const Deadline until = Deadline::after(std::chrono::microseconds(20));
    while (!until.passed(monotonic_ns())) continue;
    lease.release();
  }
  command->signal(SIGINT);
  EXPECT_EQ(command->finish().exit_status, 0);
  std::uint64_t weight = 0, most = 0;
  for (const TraceRequest& one : trace().requests) {
    weight += one.weight;
    most = std::max<std::uint64_t>(most, one.weight);
  }
  EXPECT_EQ(most, 256u);
  EXPECT_NEAR(static_cast<double>(weight), kLeases, 0.1 * kLeases);
  runtime.close();
}

TEST_F(CliRecord, EndsWhenItsTimeIsOver) {
  Runtime runtime = open(server_.dsn(), 1);
  weir::Pool pool = runtime.pool("main");
  pool.acquire().release();
  const CommandOutcome outcome =
      run_weir({"record", "--folder", segments_folder(), "--seconds", "0.2"});
  EXPECT_EQ(outcome.exit_status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, testing::StartsWith("weir-trace 1 pool main"));
  EXPECT_THAT(outcome.err, HasSubstr("0 requests"));
  runtime.close();
}

TEST_F(CliRecord, SaysWhichPoolsThereAre) {
  Runtime runtime = open(server_.dsn(), 1);
  weir::Pool pool = runtime.pool("main");
  pool.acquire().release();
  const CommandOutcome outcome =
      run_weir({"record", "--folder", segments_folder(), "--pool", "other"});
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("--pool: expected one of main, found other"));
  runtime.close();
}

TEST_F(CliRecord, TheBlackBoxShowsTheLastEventsAlsoOfAWorkerThatIsGone) {
  {
    Runtime runtime = open(server_.dsn(), 1);
    weir::Pool pool = runtime.pool("main");
    Lease lease = pool.acquire();
    lease.discard();
    runtime.close();
  }
  const CommandOutcome text = run_weir({"blackbox", "--folder", segments_folder()});
  EXPECT_EQ(text.exit_status, 0) << text.err;
  std::size_t at =
      text.out.find("worker 0, pid " + std::to_string(getpid()) + ", one, not attached any more");
  for (const char* const event :
       {"joined", "connected", "lease ended", "closed", "invalidated", "left"}) {
    at = text.out.find(event, at);
    ASSERT_NE(at, std::string::npos) << event << " in\n" << text.out;
  }
  const CommandOutcome none =
      run_weir({"blackbox", "--folder", segments_folder(), "--worker", "7"});
  EXPECT_EQ(none.exit_status, 1);
  EXPECT_THAT(none.err, HasSubstr("no worker was ever in row 7"));

  // Who has the row next does not answer for who had it before.
  Runtime next = open(server_.dsn(), 1, "", "two");
  weir::Pool pool = next.pool("main");
  pool.acquire().release();
  const CommandOutcome anew =
      run_weir({"blackbox", "--folder", segments_folder(), "--worker", "0", "--json"});
  ASSERT_EQ(anew.exit_status, 0) << anew.err;
  const json events = json::parse(anew.out)["workers"][0]["events"];
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0]["event"], "joined");
  EXPECT_EQ(events[2]["event"], "lease_ended");
  EXPECT_EQ(events[2]["pool"], "main");
  next.close();
}

}  // namespace
}  // namespace weir::test
