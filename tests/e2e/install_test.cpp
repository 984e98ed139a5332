// weir as it is installed: a program outside the tree is built against the copy by pkg-config and
// by find_package, and runs on the drivers that came with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>

#include "support/postgres_server.h"
#include "support/temp_folder.h"

namespace weir::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct Ended {
  int status = -1;
  std::string output;  // both streams
};

Ended run(const std::string& command) {
  Ended ended;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 4096> piece{};
  while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), pipe)) {
    ended.output.append(piece.data(), size);
  }
  const int status = pclose(pipe);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

std::string quoted(const fs::path& path) { return "'" + path.string() + "'"; }

class Installed : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!PostgresServer::is_installed()) return;
    folder_ = std::make_unique<TempFolder>("weir-install-");
    const Ended ended = run("cmake --install " WEIR_BUILD_FOLDER " --prefix " + quoted(prefix()));
    ASSERT_EQ(ended.status, 0) << ended.output;
    server_ = std::make_unique<PostgresServer>();
    std::ofstream(config()) << "[runtime]\nfolder = \"" << (folder_->path() / "segments").string()
                            << "\"\n[pool.main]\ndriver = \"postgres\"\nmax = 2\ndsn = \""
                            << server_->dsn() << "\"\n";
  }
  static void TearDownTestSuite() {
    server_.reset();
    folder_.reset();
  }
  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "PostgreSQL's server programs are not installed";
  }

  static fs::path prefix() { return folder_->path() / "usr"; }
  static fs::path libraries() { return prefix() / WEIR_LIBDIR; }
  static fs::path config() { return folder_->path() / "weir.toml"; }
  static Ended run_outside(const fs::path& program) {
    return run("LD_LIBRARY_PATH=" + quoted(libraries()) + " " + quoted(program) + " " +
               quoted(config()));
  }

  static inline std::unique_ptr<TempFolder> folder_;
  static inline std::unique_ptr<PostgresServer> server_;
};

TEST_F(Installed, EachThingIsWherePeopleLookForIt) {
  for (const char* file :
       {"bin/weir", "include/weir/weir.h", "include/weir/weir.hpp", "include/weir/driver.h",
        "include/weir/codes.h", "include/weir/conformance.h", "libexec/weir/weir-conformance",
        WEIR_LIBDIR "/libweir.so", WEIR_LIBDIR "/weir/plugins/postgres.so",
        WEIR_LIBDIR "/weir/plugins/null.so", "include/weir/null.h",
        WEIR_LIBDIR "/pkgconfig/weir.pc", WEIR_LIBDIR "/cmake/weir/weir-config.cmake",
        "share/man/man1/weir.1", "share/weir/policies", "lib/tmpfiles.d/weir.conf",
        "lib/sysusers.d/weir.conf"}) {
    EXPECT_TRUE(fs::exists(prefix() / file)) << file;
  }
}

TEST_F(Installed, AProgramIsBuiltByPkgConfigAndFindsItsDriver) {
  const fs::path program = folder_->path() / "by-pkg-config";
  const std::string flags = "$(PKG_CONFIG_PATH=" + quoted(libraries() / "pkgconfig") +
                            " pkg-config --define-variable=prefix=" + quoted(prefix()) +
                            " --cflags --libs weir) $(pkg-config --cflags --libs libpq)";
  const Ended built =
      run("c++ -std=c++20 -Wall -Wextra -Werror " WEIR_OUTSIDE_FOLDER "/main.cpp -o " +
          quoted(program) + " " + flags);
  ASSERT_EQ(built.status, 0) << built.output;
  const Ended ended = run_outside(program);
  EXPECT_EQ(ended.output, "from app\n");
  EXPECT_EQ(ended.status, 0);

  // It has left a segment, so there is something to look at; the command finds the same driver.
  const Ended looked =
      run(quoted(prefix() / "bin/weir") + " activity --config " + quoted(config()));
  EXPECT_EQ(looked.status, 0) << looked.output;
}

TEST_F(Installed, AProgramIsBuiltByFindPackageAndFindsItsDriver) {
  const fs::path build = folder_->path() / "by-find-package";
  const Ended built =
      run("cmake -G Ninja -S " WEIR_OUTSIDE_FOLDER " -B " + quoted(build) +
          " -DCMAKE_PREFIX_PATH=" + quoted(prefix()) + " && cmake --build " + quoted(build));
  ASSERT_EQ(built.status, 0) << built.output;
  const Ended ended = run_outside(build / "outside");
  EXPECT_EQ(ended.output, "from app\n");
  EXPECT_EQ(ended.status, 0);
}

TEST_F(Installed, TheManPageNamesEveryCommandAndOption) {
  std::ifstream file(prefix() / "share/man/man1/weir.1");
  std::string page(std::istreambuf_iterator<char>(file), {});
  std::erase(page, '\\');  // roff writes \-\-json for --json
  const std::string weir = quoted(prefix() / "bin/weir");
  const Ended help = run("(" + weir + " --help-all | grep -oE -e '--[a-z-]+'; " + weir +
                         " --help | sed -n '/^Subcommands/,$s/^  \\([a-z]*\\).*/\\1/p') | sort -u");
  ASSERT_EQ(help.status, 0) << help.output;
  std::istringstream words(help.output);
  int count = 0;
  for (std::string word; words >> word; ++count) EXPECT_THAT(page, HasSubstr(word));
  EXPECT_GT(count, 8);
}

}  // namespace
}  // namespace weir::test
