#include "driver/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "scripted_driver.h"
#include "support/temp_folder.h"

namespace weir::driver {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::vector<std::string> kPlugins = {WEIR_TEST_PLUGINS_DIR};

/// Everything that drivers logged in this process. A driver keeps the log of its first load for
/// ever.
class ProcessLog {
 public:
  static Log& log() {
    static Log log(&ProcessLog::keep, nullptr);
    return log;
  }
  static long count(const std::string& line) {
    const std::lock_guard<std::mutex> lock(mutex());
    return std::count(lines().begin(), lines().end(), line);
  }

 private:
  static std::mutex& mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static std::vector<std::string>& lines() {
    static std::vector<std::string> lines;
    return lines;
  }
  static void keep(void* /*context*/, std::int32_t /*level*/, const char* line) {
    const std::lock_guard<std::mutex> lock(mutex());
    lines().emplace_back(line);
  }
};

Result<const Driver*> load(const std::string& name,
                           const std::vector<std::string>& directories = kPlugins) {
  return Driver::load(name, directories, ProcessLog::log());
}

Status refusal(const std::string& name) { return load(name).status(); }

std::string file_of(const std::string& name) { return kPlugins.front() + "/" + name + ".so"; }

// ---- loading ------------------------------------------------------------------------------------

TEST(APlugin, IsLoadedByItsName) {
  const Result<const Driver*> driver = load("good");
  ASSERT_TRUE(driver.ok()) << driver.status().to_string();
  EXPECT_EQ(driver.value()->name(), "good");
  EXPECT_FALSE(driver.value()->blocks());
}

TEST(APlugin, IsLoadedOnceAndInitialisedOnce) {
  const Result<const Driver*> first = load("good");
  const Result<const Driver*> second = load("good");
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first.value(), second.value());
  EXPECT_EQ(ProcessLog::count(R"(event=driver driver=good text="event=init driver=good")"), 1);
}

TEST(APlugin, ThatManyThreadsLoadAtOnceIsInitialisedOnce) {
  std::vector<const Driver*> drivers(8);
  {
    std::vector<std::jthread> threads;
    threads.reserve(drivers.size());
    for (const Driver*& driver : drivers) {
      threads.emplace_back([&driver] { driver = load("newer").value(); });
    }
  }
  EXPECT_EQ(std::count(drivers.begin(), drivers.end(), drivers.front()), 8);
  EXPECT_EQ(ProcessLog::count(R"(event=driver driver=newer text="event=init driver=newer")"), 1);
}

TEST(APlugin, OfANewerMinorAbiWithALongerTableIsLoaded) { EXPECT_TRUE(load("newer").ok()); }

TEST(APlugin, ComesFromTheFirstFolderThatHasIt) {
  const test::TempFolder empty;
  EXPECT_TRUE(load("good", {empty.path().string(), WEIR_TEST_PLUGINS_DIR}).ok());
}

TEST(APlugin, ThatIsNowhereIsNotFoundAndTheTextSaysWhereItLooked) {
  const test::TempFolder empty;
  const Status status = load("good", {empty.path().string(), "/nowhere"}).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.message(), "driver \"good\": found no good.so; looked in \"" +
                                  empty.path().string() + "\", \"/nowhere\"");
}

TEST(APlugin, IsLookedForInConfiguredFoldersOnly) {
  const Status status = load("good", {}).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("no plugin_path is set"));
}

TEST(APlugin, CannotBeNamedByAPath) {
  for (const char* name : {"../plugins/good", "/tmp/good", "Good", "", "a b"}) {
    EXPECT_EQ(refusal(name).code(), Code::kBadArgument) << name;
  }
}

// ---- refusing -----------------------------------------------------------------------------------

struct WrongPlugin {
  std::string name;
  std::string text;  // after the file's name
};

class AWrongPlugin : public testing::TestWithParam<WrongPlugin> {};

TEST_P(AWrongPlugin, IsRefusedWithFileExpectedAndFound) {
  const Status status = refusal(GetParam().name);
  EXPECT_EQ(status.code(), Code::kBadDriver);
  EXPECT_EQ(status.message(), "driver \"" + file_of(GetParam().name) + "\": " + GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    OfEveryKind, AWrongPlugin,
    testing::Values(
        WrongPlugin{"wrongmagic", "magic 0x12345678 found, 0x52564457 expected"},
        WrongPlugin{"wrongmajor",
                    "ABI 2." + std::to_string(WEIR_DRIVER_ABI_MINOR) + " found, 1.x expected"},
        WrongPlugin{"short", "table of " + std::to_string(offsetof(weir_driver_t, cancel)) +
                                 " bytes found, at least " +
                                 std::to_string(offsetof(weir_driver_t, export_session)) +
                                 " expected"},
        WrongPlugin{"nullfunction", "cancel null found, a function expected"},
        WrongPlugin{"misnamed", "name \"good\" found, \"misnamed\" expected (the file's name)"},
        WrongPlugin{"tableless", "weir_driver_entry returned no table"},
        WrongPlugin{"foreign", "is not a weir driver: has no function weir_driver_entry"}),
    [](const auto& tested) { return tested.param.name; });

TEST(AWrongPlugin, IsNeverInitialised) {
  EXPECT_EQ(refusal("wrongmajor").code(), Code::kBadDriver);
  EXPECT_EQ(
      ProcessLog::count(R"(event=driver driver=wrongmajor text="event=init driver=wrongmajor")"),
      0);
}

TEST(AFileThatIsNoLibrary, IsRefusedWithTheLoadersReason) {
  const test::TempFolder folder;
  std::ofstream(folder.path() / "text.so") << "not an object file, not even close to one";
  const Status status = load("text", {folder.path().string()}).status();
  EXPECT_EQ(status.code(), Code::kBadDriver);
  EXPECT_THAT(status.message(), AllOf(HasSubstr((folder.path() / "text.so").string()),
                                      HasSubstr("cannot be loaded: ")));
}

TEST(APluginWhoseInitFails, AnswersThatFailureEveryTimeWithoutAnotherTry) {
  for (int i = 0; i < 3; ++i) {
    const Status status = refusal("failing");
    EXPECT_EQ(status.code(), Code::kNotSupported);
    EXPECT_EQ(status.message(), "driver \"" + file_of("failing") + "\": init: no luck today");
  }
  EXPECT_EQ(ProcessLog::count(R"(event=driver driver=failing text="event=init driver=failing")"),
            1);
}

// ---- drivers that are part of the program -----------------------------------------------------

struct Spoiler {
  const char* found;
  void (*spoil)(weir_driver_t& table);
};

class AnAdoptedTable : public testing::TestWithParam<Spoiler> {};

TEST_P(AnAdoptedTable, IsRefusedIfAnythingMandatoryIsMissing) {
  weir_driver_t table = ScriptedDriver::table();
  GetParam().spoil(table);
  const Status status = Driver::adopt(&table, "here", ProcessLog::log()).status();
  EXPECT_EQ(status.code(), Code::kBadDriver);
  EXPECT_EQ(status.message().rfind("driver \"here\": " + std::string(GetParam().found), 0), 0u)
      << status.message();
}

INSTANTIATE_TEST_SUITE_P(
    Each, AnAdoptedTable,
    testing::Values(
        Spoiler{"name null found", [](weir_driver_t& table) { table.name = nullptr; }},
        Spoiler{"name \"No Name\" found", [](weir_driver_t& table) { table.name = "No Name"; }},
        Spoiler{"version null found", [](weir_driver_t& table) { table.version = nullptr; }},
        Spoiler{"init null found", [](weir_driver_t& table) { table.init = nullptr; }},
        Spoiler{"parse_dsn null found", [](weir_driver_t& table) { table.parse_dsn = nullptr; }},
        Spoiler{"free_dsn null found", [](weir_driver_t& table) { table.free_dsn = nullptr; }},
        Spoiler{"open_conn null found", [](weir_driver_t& table) { table.open_conn = nullptr; }},
        Spoiler{"free_conn null found", [](weir_driver_t& table) { table.free_conn = nullptr; }},
        Spoiler{"start null found", [](weir_driver_t& table) { table.start = nullptr; }},
        Spoiler{"step null found", [](weir_driver_t& table) { table.step = nullptr; }},
        Spoiler{"fd null found", [](weir_driver_t& table) { table.fd = nullptr; }},
        Spoiler{"native null found", [](weir_driver_t& table) { table.native = nullptr; }},
        Spoiler{"is_usable null found", [](weir_driver_t& table) { table.is_usable = nullptr; }},
        Spoiler{"abandon null found", [](weir_driver_t& table) { table.abandon = nullptr; }},
        Spoiler{"session_token null found",
                [](weir_driver_t& table) { table.session_token = nullptr; }},
        Spoiler{"cancel null found", [](weir_driver_t& table) { table.cancel = nullptr; }}));

TEST(AnAdoptedTable, ThatIsNotThereIsRefused) {
  EXPECT_EQ(Driver::adopt(nullptr, "here", ProcessLog::log()).status().code(), Code::kBadDriver);
}

TEST(AnAdoptedTable, WithoutTheOptionalFunctionsIsADriver) {
  static Log log;
  static weir_driver_t table = ScriptedDriver::table();
  table.export_session = nullptr;
  table.import_session = nullptr;
  const Result<const Driver*> driver = Driver::adopt(&table, "plugin_test.cpp", log);
  ASSERT_TRUE(driver.ok()) << driver.status().to_string();
  EXPECT_EQ(driver.value()->name(), "scripted");
  EXPECT_FALSE(driver.value()->can_move_sessions());
}

// ---- dsn ----------------------------------------------------------------------------------------

TEST(ADsn, TellsWhatTheDriverSaysOfIt) {
  const ScriptedDriver scripted;
  const Dsn dsn = scripted.dsn();
  EXPECT_EQ(dsn.server_identity(), "nowhere");
  EXPECT_EQ(dsn.fingerprint(), 42u);
  EXPECT_EQ(&dsn.driver(), &scripted.driver());
}

TEST(ADsn, IsShownWithinItsBoundsEvenIfTheDriverForgotTheZero) {
  const ScriptedDriver scripted;
  EXPECT_EQ(scripted.dsn().display(), std::string(511, 'd'));
}

TEST(ADsn, ThatTheDriverRefusesIsTheDriversWord) {
  const ScriptedDriver scripted;
  EXPECT_EQ(Dsn::parse(scripted.driver(), "bad").status().to_string(),
            "bad_config: host: expected a name, found none");
}

TEST(ADsn, WithAZeroByteIsRefusedBeforeTheDriverSeesHalfOfIt) {
  const ScriptedDriver scripted;
  const Status status = Dsn::parse(scripted.driver(), std::string("a\0b", 3)).status();
  EXPECT_EQ(status.code(), Code::kBadConfig);
  EXPECT_EQ(scripted.dsns_parsed, 0);
}

TEST(ADsn, ThatADriverForgotToGiveIsTheDriversFault) {
  ScriptedDriver scripted;
  scripted.gives_objects = false;
  EXPECT_EQ(Dsn::parse(scripted.driver(), "good").status().code(), Code::kBadDriver);
}

TEST(ADsn, IsFreedOnceHoweverOftenItMoves) {
  const ScriptedDriver scripted;
  {
    Dsn first = scripted.dsn();
    Dsn second = std::move(first);
    Dsn third = scripted.dsn();
    third = std::move(second);
  }
  EXPECT_EQ(scripted.dsns_parsed, 2);
  EXPECT_EQ(scripted.dsns_freed, 2);
}

}  // namespace
}  // namespace weir::driver
