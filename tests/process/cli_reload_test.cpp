// `weir reload` beside workers that run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "cli_command.h"
#include "pool_on_files.h"

namespace weir::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class CliReload : public PoolOnFiles {};

TEST_F(CliReload, SaysWhatCameOfItInEachWorker) {
  write("one", 2, "");
  write("two", 2, "");
  Runtime here = open_file("one"), there = open_file("two");
  Pool mine = here.pool("main"), theirs = there.pool("main");
  { const Lease a = mine.acquire(), b = theirs.acquire(); }
  write("one", 3, "");
  const CommandOutcome good = run_weir({"reload", "--config", path("one")});
  EXPECT_EQ(good.exit_status, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("done"));
  EXPECT_EQ(theirs.stats().max, 3u);

  write("two", 3, "reset = \"always\"\n");
  const CommandOutcome refused = run_weir({"reload", "--config", path("one"), "--json"});
  EXPECT_EQ(refused.exit_status, 1);
  const json workers = json::parse(refused.out)["workers"];
  ASSERT_EQ(workers.size(), 2u);
  EXPECT_EQ(workers[0]["outcome"], "ok");
  EXPECT_EQ(workers[1]["outcome"], "bad_config");
}

TEST_F(CliReload, SaysWhatIsWrongWithTheFileBeforeAnybodyIsAsked) {
  write("one", 2, "");
  Runtime here = open_file("one");
  Pool mine = here.pool("main");
  { const Lease lease = mine.acquire(); }
  write("one", 3, "idle_timeout = \"soon\"\n");
  const CommandOutcome outcome = run_weir({"reload", "--config", path("one")});
  EXPECT_EQ(outcome.exit_status, 1);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("idle_timeout"), HasSubstr("\"soon\"")));
  EXPECT_EQ(mine.stats().max, 2u);
}

TEST_F(CliReload, SaysThatNobodyIsThere) {
  write("one", 2, "");
  {
    Runtime here = open_file("one");
    Pool mine = here.pool("main");
    const Lease lease = mine.acquire();
  }
  const CommandOutcome outcome = run_weir({"reload", "--config", path("one")});
  EXPECT_THAT(outcome.out, HasSubstr("nobody to ask")) << outcome.err;
}

}  // namespace
}  // namespace weir::test
