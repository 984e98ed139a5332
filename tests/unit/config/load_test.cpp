#include "config/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <vector>

#include "config/keys.h"
#include "environment.h"
#include "support/temp_folder.h"

namespace weir::config {
namespace {

using namespace std::chrono_literals;
using test::Variable;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr const char* kEverything = R"([runtime]
service = "auth"
segment = "blue-1"
folder = "/dev/shm/weir"
plugin_path = ["/opt/weir", "/usr/lib/weir"]

[quota.pg]
limit = 80

[pool.main]
driver = "postgres"
dsn = "host=db user=app"
quota = "pg"
min = 5
keep = 40
max = 60
max_per_worker = 12
max_waiting = 500
connect_concurrency = 4
acquire_timeout = "5s"
idle_timeout = "0s"
max_lifetime = "2h"
validate_after = "never"
connect_timeout = "3s"
statement_timeout = "30s"
close_timeout = "1s"
permit_quantum = "50ms"
handover_after = "5ms"
on_connect_error = "retry_until_deadline"
linger_max = "1m"
leak_after = "1h30m"
keepalive = "45s"
reset = "always"
orphans = "wait"
on_connect = ["SET a = 1", "SET b = 2"]
)";

std::string pool_with(const std::string& lines) {
  return "[pool.main]\ndriver = \"postgres\"\ndsn = \"host=h\"\n" + lines + "\n";
}

RuntimeConfig good(const std::string& text) {
  Result<RuntimeConfig> config = parse_config(text, "weir.toml");
  EXPECT_TRUE(config.ok()) << config.status().to_string();
  return config.ok() ? std::move(config).value() : RuntimeConfig{};
}

PoolConfig good_pool(const std::string& lines) { return good(pool_with(lines)).pools.at(0); }

Status refusal(const std::string& text) { return parse_config(text, "weir.toml").status(); }

// ---- what a file says
// -----------------------------------------------------------------------------

TEST(AConfiguration, SetsEveryKeyThereIs) {
  const RuntimeConfig config = good(kEverything);
  EXPECT_EQ(config.service, "auth");
  EXPECT_EQ(config.segment, "blue-1");
  EXPECT_EQ(config.folder, "/dev/shm/weir");
  EXPECT_THAT(config.plugin_path, ElementsAre("/opt/weir", "/usr/lib/weir"));
  ASSERT_EQ(config.quotas.size(), 1u);
  EXPECT_EQ(config.quotas[0].name, "pg");
  EXPECT_EQ(config.quotas[0].limit, 80u);
  ASSERT_EQ(config.pools.size(), 1u);
  const PoolConfig& pool = config.pools[0];
  EXPECT_EQ(pool.name, "main");
  EXPECT_EQ(pool.driver, "postgres");
  EXPECT_EQ(pool.dsn, "host=db user=app");
  EXPECT_EQ(pool.quota, "pg");
  EXPECT_EQ(pool.min, 5u);
  EXPECT_EQ(pool.keep, 40u);
  EXPECT_EQ(pool.max, 60u);
  EXPECT_EQ(pool.max_per_worker, 12u);
  EXPECT_EQ(pool.max_waiting, 500u);
  EXPECT_EQ(pool.connect_concurrency, 4u);
  EXPECT_EQ(pool.acquire_timeout, 5s);
  EXPECT_EQ(pool.idle_timeout, 0s);
  EXPECT_EQ(pool.max_lifetime, 2h);
  EXPECT_EQ(pool.validate_after, std::nullopt);
  EXPECT_EQ(pool.connect_timeout, 3s);
  EXPECT_EQ(pool.statement_timeout, 30s);
  EXPECT_EQ(pool.close_timeout, 1s);
  EXPECT_EQ(pool.permit_quantum, 50ms);
  EXPECT_EQ(pool.handover_after, 5ms);
  EXPECT_EQ(pool.on_connect_error, OnConnectError::kRetryUntilDeadline);
  EXPECT_EQ(pool.linger_max, 1min);
  EXPECT_EQ(pool.leak_after, 90min);
  EXPECT_EQ(pool.keepalive, 45s);
  EXPECT_EQ(pool.reset, ResetMode::kAlways);
  EXPECT_EQ(pool.orphans, Orphans::kWait);
  EXPECT_THAT(pool.on_connect, ElementsAre("SET a = 1", "SET b = 2"));
}

TEST(AConfiguration, LeavesTheDefaultsWhereItIsSilent) {
  const RuntimeConfig config = good(pool_with(""));
  EXPECT_EQ(config.service, "weir");
  EXPECT_EQ(config.segment, "default");
  EXPECT_EQ(config.folder, "");
  EXPECT_THAT(config.plugin_path, IsEmpty());
  EXPECT_THAT(config.quotas, IsEmpty());
  const PoolConfig& pool = config.pools.at(0);
  const PoolConfig defaults;
  EXPECT_EQ(pool.quota, "");
  EXPECT_EQ(pool.max, defaults.max);
  EXPECT_EQ(pool.keep, std::nullopt);
  EXPECT_EQ(pool.acquire_timeout, defaults.acquire_timeout);
  EXPECT_EQ(pool.validate_after, defaults.validate_after);
  EXPECT_EQ(pool.linger_max, std::nullopt);
  EXPECT_EQ(pool.reset, ResetMode::kTracked);
  EXPECT_EQ(pool.orphans, Orphans::kTerminate);
}

TEST(AConfiguration, KeepsPoolsAndQuotasInTheOrderOfTheFile) {
  const std::string keys = "\ndriver = \"d\"\ndsn = \"x\"\n";
  const RuntimeConfig config = good("[quota.zeta]\nlimit = 1\n[pool.yard]" + keys + "[pool.main]" +
                                    keys + "[quota.alpha]\nlimit = 2\n[pool.attic]" + keys);
  EXPECT_THAT(config.pools, ElementsAre(testing::Field(&PoolConfig::name, "yard"),
                                        testing::Field(&PoolConfig::name, "main"),
                                        testing::Field(&PoolConfig::name, "attic")));
  EXPECT_EQ(config.quotas.at(0).name, "zeta");
  EXPECT_EQ(config.quotas.at(1).name, "alpha");
}

TEST(AConfiguration, ReadsZeroForValidateAfterAsAlways) {
  EXPECT_EQ(good_pool("validate_after = \"0s\"").validate_after, 0ms);
}

TEST(AConfiguration, TakesOneStatementWithoutAnArray) {
  EXPECT_THAT(good_pool("on_connect = \"SET a = 1\"").on_connect, ElementsAre("SET a = 1"));
}

TEST(AConfiguration, LetsAPoolUseAllOfItsQuota) {
  const RuntimeConfig config =
      good("[quota.pg]\nlimit = 8\n" + pool_with("quota = \"pg\"\nmax = 8"));
  EXPECT_EQ(config.pools.at(0).max, 8u);
}

TEST(AConfiguration, TakesTheServersLimitForAQuotas) {
  const RuntimeConfig config =
      good("[quota.pg]\nlimit = \"auto\"\nleave = 5\n" + pool_with("quota = \"pg\"\nmax = 800"));
  EXPECT_TRUE(config.quotas.at(0).is_auto);
  EXPECT_EQ(config.quotas.at(0).leave, 5u);
  EXPECT_EQ(config.pools.at(0).max, 800u) << "how many there are is not known yet";
}

TEST(AConfiguration, FillsVariablesIntoEveryText) {
  const Variable dsn("WEIR_TEST_DSN", "host=h password=hunter2");
  const Variable name("WEIR_TEST_NAME", "postgres");
  const Variable timeout("WEIR_TEST_TIMEOUT", std::nullopt);
  const RuntimeConfig config = good(R"([pool.main]
driver = "${WEIR_TEST_NAME}"
dsn = "${WEIR_TEST_DSN} x=$${y}"
acquire_timeout = "${WEIR_TEST_TIMEOUT:-7s}"
reset = "${WEIR_TEST_TIMEOUT:-always}"
validate_after = "${WEIR_TEST_TIMEOUT:-never}"
on_connect = ["SET a = '${WEIR_TEST_NAME}'"]
)");
  const PoolConfig& pool = config.pools.at(0);
  EXPECT_EQ(pool.driver, "postgres");
  EXPECT_EQ(pool.dsn, "host=h password=hunter2 x=${y}");
  EXPECT_EQ(pool.acquire_timeout, 7s);
  EXPECT_EQ(pool.reset, ResetMode::kAlways);
  EXPECT_EQ(pool.validate_after, std::nullopt);
  EXPECT_THAT(pool.on_connect, ElementsAre("SET a = 'postgres'"));
}

// ---- what is refused
// ------------------------------------------------------------------------------

struct Bad {
  std::string text;
  std::string message;
};

// GoogleTest looks for this name.
void PrintTo(const Bad& bad, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << bad.message;
}

class ABadConfiguration : public testing::TestWithParam<Bad> {};

TEST_P(ABadConfiguration, IsRefusedWithFileLineKeyExpectedAndFound) {
  const Status status = refusal(GetParam().text);
  EXPECT_EQ(status.code(), Code::kBadConfig);
  EXPECT_EQ(status.message(), "weir.toml:" + GetParam().message) << GetParam().text;
}

const std::string kDurations =
    R"(expected a duration with a unit (ms, s, m or h) such as "250ms", "30s" or "1h30m")";

INSTANTIATE_TEST_SUITE_P(
    Sections, ABadConfiguration,
    testing::Values(
        Bad{"", "1: pool: expected at least one section [pool.NAME], found none"},
        Bad{"[quota.pg]\nlimit = 3\n",
            "1: pool: expected at least one section [pool.NAME], found none"},
        Bad{pool_with("") + "[quotas.pg]\nlimit = 3\n",
            "5: quotas: unknown section; the nearest valid one is \"quota\""},
        Bad{"max = 3\n" + pool_with(""),
            "1: max: unknown section; the nearest valid one is \"pool\""},
        Bad{"pool = 3", "1: pool: expected a section [pool.NAME], found a number"},
        Bad{"runtime = \"x\"", "1: runtime: expected a section [runtime], found a text"},
        Bad{"[pool]\nmax = 3\n", "2: pool.max: expected a section [pool.NAME], found a number"},
        Bad{"[[pool.main]]\nmax = 3\n",
            "1: pool.main: expected a section [pool.NAME], found an array"},
        Bad{"[pool.Main]\n",
            "1: pool.Main: expected a name ([a-z][a-z0-9]*, at most 31 bytes), found Main"},
        Bad{"[quota.\"a b\"]\nlimit = 1\n",
            "1: quota.\"a b\": expected a name ([a-z][a-z0-9]*, at most 31 bytes), found \"a b\""},
        Bad{"[quota.pg]\n" + pool_with(""),
            "1: quota.pg.limit: expected 1 to 10000, found nothing"},
        Bad{"\n[pool.main]\ndsn = \"x\"\n",
            "2: pool.main.driver: expected a name ([a-z][a-z0-9]*, at most 31 bytes), found "
            "nothing"},
        Bad{"[pool.main]\ndriver = \"x\"\n", "1: pool.main.dsn: expected a DSN, found nothing"}));

INSTANTIATE_TEST_SUITE_P(
    Runtime, ABadConfiguration,
    testing::Values(
        Bad{"[runtime]\nservice = \"a/b\"\n",
            "2: runtime.service: expected a label (letters, digits, \".\", \"_\", \"-\"; at most "
            "31 "
            "bytes), found \"a/b\""},
        Bad{"[runtime]\nsegment = \"Blue\"\n",
            "2: runtime.segment: expected a segment's name ([a-z][a-z0-9_-]*, at most 31 bytes), "
            "found \"Blue\""},
        Bad{"[runtime]\nsegment = \"../x\"\n",
            "2: runtime.segment: expected a segment's name ([a-z][a-z0-9_-]*, at most 31 bytes), "
            "found \"../x\""},
        Bad{"[runtime]\nsegment = \"" + std::string(32, 'a') + "\"\n",
            "2: runtime.segment: expected a segment's name ([a-z][a-z0-9_-]*, at most 31 bytes), "
            "found \"" +
                std::string(32, 'a') + "\""},
        Bad{"[runtime]\nfolder = \"\"\n",
            "2: runtime.folder: expected a text that is not empty, found an empty text"},
        Bad{"[runtime]\nfolder = \"a\\u0000b\"\n",
            "2: runtime.folder: expected a text that is not empty, found a zero byte in it"},
        Bad{"[runtime]\nplugin_path = [\"/a\", 3]\n",
            "2: runtime.plugin_path: expected a text or an array of texts, none of them empty, "
            "found a number"},
        Bad{"[runtime]\nplugin_paths = \"/a\"\n",
            "2: runtime.plugin_paths: unknown key; the nearest valid key is \"plugin_path\""}));

INSTANTIATE_TEST_SUITE_P(
    Values, ABadConfiguration,
    testing::Values(
        Bad{pool_with("maxx = 3"),
            "4: pool.main.maxx: unknown key; the nearest valid key is \"max\""},
        Bad{pool_with("idel_timeout = \"3s\""),
            "4: pool.main.idel_timeout: unknown key; the nearest valid key is \"idle_timeout\""},
        Bad{pool_with("max = 0"), "4: pool.main.max: expected a number from 1 to 10000, found 0"},
        Bad{pool_with("max = -1"), "4: pool.main.max: expected a number from 1 to 10000, found -1"},
        Bad{pool_with("max = 4294967297"),
            "4: pool.main.max: expected a number from 1 to 10000, found 4294967297"},
        Bad{pool_with("max = \"10\""),
            "4: pool.main.max: expected a number from 1 to 10000, found \"10\""},
        Bad{pool_with("max = 1.5"),
            "4: pool.main.max: expected a number from 1 to 10000, found a "
            "number with a fraction"},
        Bad{pool_with("max = true"),
            "4: pool.main.max: expected a number from 1 to 10000, found a boolean"},
        Bad{pool_with("connect_concurrency = 17"),
            "4: pool.main.connect_concurrency: expected a number from 1 to 16, found 17"},
        Bad{"[quota.pg]\nlimit = \"some\"\n",
            "2: quota.pg.limit: expected a number from 1 to 10000 or \"auto\", found \"some\""},
        Bad{"[quota.pg]\nlimit = 10001\n",
            "2: quota.pg.limit: expected a number from 1 to 10000, found 10001"},
        Bad{pool_with("acquire_timeout = 30"),
            "4: pool.main.acquire_timeout: " + kDurations + ", found 30"},
        Bad{pool_with("acquire_timeout = \"30\""),
            "4: pool.main.acquire_timeout: " + kDurations + ", found \"30\""},
        Bad{pool_with("acquire_timeout = \"1.5s\""),
            "4: pool.main.acquire_timeout: " + kDurations + ", found \"1.5s\""},
        Bad{pool_with("idle_timeout = \"never\""),
            "4: pool.main.idle_timeout: " + kDurations + ", found \"never\""},
        Bad{pool_with("idle_timeout = 1979-05-27"),
            "4: pool.main.idle_timeout: " + kDurations + ", found a date or time"},
        Bad{pool_with("acquire_timeout = \"0s\""),
            "4: pool.main.acquire_timeout: expected more than 0s, found 0s"},
        Bad{pool_with("statement_timeout = \"600h\""),
            "4: pool.main.statement_timeout: expected at most 576h, found 600h"},
        Bad{pool_with("reset = \"allways\""),
            "4: pool.main.reset: expected one of \"tracked\", \"always\", \"transaction\", found "
            "\"allways\""},
        Bad{pool_with("orphans = true"),
            "4: pool.main.orphans: expected one of \"terminate\", \"wait\", found a boolean"},
        Bad{pool_with("on_connect = [\"SET a = 1\", \"\"]"),
            "4: pool.main.on_connect: expected a text or an array of texts, none of them empty, "
            "found an empty text"},
        Bad{pool_with("on_connect = {a = 1}"),
            "4: pool.main.on_connect: expected a text or an array of texts, none of them empty, "
            "found a table"},
        Bad{"[pool.main]\ndsn = 3\n",
            "2: pool.main.dsn: expected a text that is not empty, found a number"},
        Bad{"[pool.main]\ndriver = \"../pg\"\n",
            "2: pool.main.driver: expected a name ([a-z][a-z0-9]*, at most 31 bytes), found "
            "\"../pg\""}));

INSTANTIATE_TEST_SUITE_P(
    OthersWords, ABadConfiguration,
    testing::Values(
        Bad{pool_with("pool_size = 5"),
            "4: pool.main.pool_size: unknown key; weir's word for it is \"keep\""},
        Bad{pool_with("max_overflow = 5"),
            "4: pool.main.max_overflow: unknown key; weir's word for it is \"max\""},
        Bad{pool_with("health_check_interval = 30"),
            "4: pool.main.health_check_interval: unknown key; weir's word for it is "
            "\"keepalive\""},
        Bad{pool_with("maxIdleTimeMS = 600000"),
            "4: pool.main.maxIdleTimeMS: unknown key; weir's word for it is \"idle_timeout\""}));

TEST(OthersWords, AreAllForKeysThatThereAre) {
  for (const char* word : {"pool_size", "max_overflow", "pool_timeout", "pool_recycle",
                           "pool_pre_ping", "conn_max_age", "socketTimeoutMS", "socket_timeout",
                           "max_idle_conns", "leakDetectionThreshold", "url"}) {
    const std::string problem = key_problem("pool", word).value();
    const std::string key = problem.substr(problem.find('"') + 1);
    EXPECT_EQ(key_problem("pool", key.substr(0, key.size() - 1)), std::nullopt) << problem;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Planned, ABadConfiguration,
    testing::Values(
        Bad{"[quota.pg]\nlimit = 3\nleave = 2\n",
            "3: quota.pg.leave: expected it beside limit = \"auto\" only, found limit = 3"},
        Bad{pool_with("[pool.main.policy_params]\nheadroom = 1.5"),
            "4: pool.main.policy_params: expected them beside policy only, found no policy"},
        Bad{pool_with("policy_params = 3"),
            "4: pool.main.policy_params: expected a table such as { headroom = 1.5 }, found a "
            "number"},
        Bad{pool_with("policy = \"a.lua\"\npolicy_params = { headroom = inf }"),
            "5: pool.main.policy_params.headroom: expected a finite number, true, false or a text "
            "that is not empty, found a number with a fraction"},
        Bad{pool_with("reserve = 10"),
            "4: pool.main.reserve: expected less than max (10), found 10"},
        Bad{pool_with("reserve = -1"),
            "4: pool.main.reserve: expected a number from 0 to 10000, found -1"},
        Bad{pool_with("order = \"random\""),
            "4: pool.main.order: expected one of \"any\", \"fifo\", \"lifo\", found \"random\""},
        Bad{pool_with("class = \"auth\""),
            "4: pool.main.class: expected \"NAME: FLOOR\", such as \"auth: 5\", found \"auth\""},
        Bad{pool_with("class = [\"auth: 6\", \"jobs: 5\"]"),
            "4: pool.main.class: expected floors of at most max (10) together, found 11"},
        Bad{pool_with("class = [\"auth: 1\", \"auth: 2\"]"),
            "4: pool.main.class: expected each class once, found \"auth\" twice"},
        Bad{pool_with("capture_stack = 1"),
            "4: pool.main.capture_stack: expected true or false, found 1"},
        Bad{pool_with("on_connect_error = \"close\""),
            "4: pool.main.on_connect_error: expected one of \"fail_fast\", "
            "\"retry_until_deadline\", found \"close\""}));

INSTANTIATE_TEST_SUITE_P(
    Contradictions, ABadConfiguration,
    testing::Values(
        Bad{pool_with("max = 5\nmin = 6"), "5: pool.main.min: expected at most max (5), found 6"},
        Bad{pool_with("min = 6\nmax = 5"), "4: pool.main.min: expected at most max (5), found 6"},
        Bad{pool_with("min = 11"), "4: pool.main.min: expected at most max (10), found 11"},
        Bad{pool_with("max = 5\nkeep = 6"), "5: pool.main.keep: expected at most max (5), found 6"},
        Bad{"[quota.pg]\nlimit = 8\n" + pool_with("quota = \"pg\"\nmax = 9"),
            "7: pool.main.max: expected at most 8, the limit of its quota (line 2), found 9"},
        Bad{pool_with("quota = \"pg\"") + "[quota.pg]\nlimit = 8\n",
            "1: pool.main.max: expected at most 8, the limit of its quota (line 6), found 10 (the "
            "default)"},
        Bad{"[quota.pg]\nlimit = 8\n[quota.other]\nlimit = 8\n" + pool_with("quota = \"pgs\""),
            "8: pool.main.quota: expected the name of a quota, found \"pgs\"; the nearest one "
            "is \"pg\""},
        Bad{"[quota.pg]\nlimit = \"auto\"\n" + pool_with(""),
            "2: quota.pg.limit: expected a number, for no pool draws on this quota, found "
            "\"auto\""},
        Bad{pool_with("quota = \"pg\""),
            "4: pool.main.quota: expected the name of a quota, found \"pg\"; there is no "
            "[quota.NAME] section"}));

INSTANTIATE_TEST_SUITE_P(
    NotToml, ABadConfiguration,
    testing::Values(
        Bad{"[pool.main]\nmax = 3\nmax = 4\n",
            "3: expected TOML, found a mistake: Error while parsing key-value pair: cannot "
            "redefine "
            "existing integer 'max'"},
        Bad{pool_with("") + "[pool.main]\n",
            "5: expected TOML, found a mistake: Error while parsing table header: cannot redefine "
            "existing table 'pool.main'"},
        Bad{"[pool.main\n",
            "1: expected TOML, found a mistake: Error while parsing table header: "
            "expected ']', saw '\\n'"},
        Bad{"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q = 1",
            "1: expected sections and keys such as [pool.main], found deeper nesting"}));

TEST(ABadConfiguration, WhoseVariableIsNotSetNamesFileLineKeyAndVariable) {
  const Variable unset("WEIR_TEST_UNSET", std::nullopt);
  EXPECT_THAT(
      refusal("[pool.main]\ndsn = \"host=h password=hunter2 ${WEIR_TEST_UNSET}\"\n").message(),
      AllOf(StartsWith("weir.toml:2: pool.main.dsn: "), HasSubstr("WEIR_TEST_UNSET"),
            Not(HasSubstr("hunter2"))));
}

TEST(ABadConfiguration, ThatIsTooLargeIsRefused) {
  EXPECT_EQ(refusal(std::string((1 << 20) + 1, '\n')).message(),
            "weir.toml:1: expected a configuration of at most 1048576 bytes, found 1048577");
}

TEST(ABadConfiguration, NestedDeeperThanAStackIsRefused) {
  std::string text;
  for (int i = 0; i < 250'000; ++i) text += "a.";
  EXPECT_EQ(refusal(text + "a = 1").code(), Code::kBadConfig);
  EXPECT_EQ(refusal("[" + text + "a]").code(), Code::kBadConfig);
  EXPECT_EQ(refusal("a = " + std::string(500'000, '[')).code(), Code::kBadConfig);
}

// ---- secrets
// --------------------------------------------------------------------------------------

class ASecret : public testing::TestWithParam<std::string> {};

TEST_P(ASecret, IsInNoMessageWhateverIsWrongAroundIt) {
  const Variable variable("WEIR_TEST_SECRET", "hunter2");
  const Variable unset("WEIR_TEST_UNSET", std::nullopt);
  const Status status = refusal(GetParam());
  EXPECT_EQ(status.code(), Code::kBadConfig);
  EXPECT_THAT(status.message(), Not(HasSubstr("hunter2"))) << GetParam();
}

INSTANTIATE_TEST_SUITE_P(
    Anywhere, ASecret,
    testing::Values(
        // not TOML
        "[pool.main]\ndsn = postgres://u:hunter2@h/db\n", "[pool.main]\ndsn = \"hunter2\n",
        "[pool.main]\ndsn = hunter2\n", "[pool.main]\ndsn = \"a\" hunter2\n",
        "[pool.main]\ndsn = \"\"\"hunter2\n", "[pool.main]\ndsn = 'hunter2\n",
        "[pool.main]\ndsn = 99999999999999999999hunter2\n", "[pool.main]\ndsn = [\"hunter2\", \n",
        "pool.main.dsn = \"a\\qhunter2\"\n", "postgres://u:hunter2@h/db\n",
        "[postgres://u:hunter2@h/db]\n",
        // the wrong place
        "[pool.main]\ndriver = \"postgres://u:hunter2@h/db\"\n",
        "[pool.main]\nquota = \"host=h password=hunter2\"\n",
        "[pool.main]\nacquire_timeout = \"postgres://u:hunter2@h/db\"\n",
        "[pool.main]\nurl = \"postgres://u:hunter2@h/db\"\n",
        "[pool.main]\n\"postgres://u:hunter2@h/db\" = 3\n",
        "[runtime]\nsegment = \"postgres://u:hunter2@h/db\"\n",
        // through a variable
        "[pool.main]\ndriver = \"${WEIR_TEST_SECRET}!\"\n",
        "[pool.main]\nreset = \"${WEIR_TEST_SECRET}\"\n",
        "[pool.main]\nacquire_timeout = \"${WEIR_TEST_SECRET}\"\n",
        "[pool.main]\nmax = \"${WEIR_TEST_SECRET}\"\n",
        "[pool.main]\ndriver = \"d\"\ndsn = \"x\"\nquota = \"${WEIR_TEST_SECRET}\"\n",
        "[runtime]\nservice = \"${WEIR_TEST_SECRET}/\"\n",
        // right, but something else is not
        "[pool.main]\ndsn = \"hunter2 ${WEIR_TEST_UNSET}\"\n",
        "[pool.main]\ndsn = \"hunter2 ${\"\n", "[pool.main]\ndsn = \"${hunter2!}\"\n",
        "[pool.main]\ndsn = \"hunter2\\u0000\"\n", "[pool.main]\ndsn = [\"hunter2\"]\n",
        "[pool.main]\ndsn = {a = \"hunter2\"}\n", "[pool.main]\ndsn = \"hunter2\"\nmax = 0\n",
        "[pool.main]\ndsn = \"hunter2\"\ndsn = \"hunter2\"\n"));

// ---- files
// ----------------------------------------------------------------------------------------

class AConfigFile : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    const std::filesystem::path path = folder_.path() / "weir.toml";
    std::ofstream(path) << text;
    return path.string();
  }

  test::TempFolder folder_;
};

TEST_F(AConfigFile, IsReadAndNamedInMessages) {
  const std::string path = write(pool_with("max = 0"));
  EXPECT_EQ(load_config_file(path).status().message(),
            path + ":4: pool.main.max: expected a number from 1 to 10000, found 0");
  EXPECT_TRUE(load_config_file(write(kEverything)).ok());
}

TEST_F(AConfigFile, MeansItsRelativePathsFromItsOwnFolder) {
  const std::string path = write(
      "[runtime]\nfolder = \"run\"\nplugin_path = [\"../lib\", \"/opt/weir\"]\n" + pool_with(""));
  const Result<Loaded> loaded = load_config_file(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  EXPECT_EQ(loaded.value().config.folder, (folder_.path() / "run").string());
  EXPECT_THAT(loaded.value().config.plugin_path,
              ElementsAre((folder_.path().parent_path() / "lib").string(), "/opt/weir"));
}

TEST_F(AConfigFile, MayBeNamedRelativeToTheWorkingFolder) {
  write("[runtime]\nplugin_path = \"lib\"\n" + pool_with(""));
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  const Result<Loaded> loaded = load_config_file("weir.toml");
  std::filesystem::current_path(before);
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  EXPECT_THAT(loaded.value().config.plugin_path, ElementsAre((folder_.path() / "lib").string()));
}

TEST_F(AConfigFile, ThatIsNotThereIsNotFound) {
  const Status status = load_config_file((folder_.path() / "none.toml").string()).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("none.toml: expected a file, found none"));
}

TEST_F(AConfigFile, ThatIsAFolderIsRefused) {
  const Status status = load_config_file(folder_.path().string()).status();
  EXPECT_EQ(status.code(), Code::kSystemError);
  EXPECT_THAT(status.message(), HasSubstr("directory"));
}

TEST_F(AConfigFile, ThatMayNotBeReadIsAMatterOfPermission) {
  const std::string path = write(pool_with(""));
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  const uid_t self = geteuid();
  if (self == 0) {  // root may read everything: be nobody for a moment
    ASSERT_EQ(seteuid(65534), 0);
  }
  const Status status = load_config_file(path).status();
  ASSERT_EQ(seteuid(self), 0);
  EXPECT_EQ(status.code(), Code::kNoPermission);
  EXPECT_THAT(status.message(), StartsWith(path + ": Permission denied"));
}

// ---- garbage
// --------------------------------------------------------------------------------------

/// Whatever came in: either good, and then every pool is, or refused by file and line.
void expect_good_or_refused(const std::string& text) {
  const Result<RuntimeConfig> config = parse_config(text, "weir.toml");
  if (config.ok()) {
    RC_ASSERT(!config.value().pools.empty());
    for (const PoolConfig& pool : config.value().pools) RC_ASSERT(pool.validate().ok());
  } else {
    RC_ASSERT(config.status().code() == Code::kBadConfig);
    RC_ASSERT(config.status().message().rfind("weir.toml:", 0) == 0u);
    RC_ASSERT(config.status().message().size() < 1'000u);
  }
}

RC_GTEST_PROP(Garbage, OfRandomBytesIsRefusedOrGood, (const std::string& text)) {
  expect_good_or_refused(text);
}

RC_GTEST_PROP(Garbage, MadeFromAGoodConfigurationIsRefusedOrGood, ()) {
  // A few cuts, each replaced by bytes that mean something to TOML or by any byte.
  std::string text = kEverything;
  const auto edits = *rc::gen::inRange(1, 6);
  for (int i = 0; i < edits; ++i) {
    const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
    const auto length = *rc::gen::inRange<std::size_t>(0, 12);
    const auto piece = *rc::gen::oneOf(
        rc::gen::element<std::string>("", "=", "\"", "\"\"\"", "'''", "[", "]]", "{", ".", "\n",
                                      "#", "${", "}", "\\", "0", "-1", "\xff", "[pool.main]\n"),
        rc::gen::container<std::string>(rc::gen::arbitrary<char>()));
    text.replace(at, length, piece);
    if (text.empty()) return;
  }
  expect_good_or_refused(text);
}

}  // namespace
}  // namespace weir::config
