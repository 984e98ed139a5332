// PoolOnNull: what tests of a whole pool begin with that need faults, delays and counts that no
// real server gives on demand. The null driver's servers live in this process, so several workers
// are several runtimes of one process: each configuration text is another.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/clock.h"
#include "conformance/null_under_test.h"
#include "support/temp_folder.h"
#include "weir/weir.hpp"

namespace weir::test {

class PoolOnNull : public testing::Test {
 protected:
  /// The text of a worker's configuration: `keys` in [pool.main], which goes to `dsn`.
  [[nodiscard]] std::string config(const std::string& dsn, int max, const std::string& keys = "",
                                   const std::string& worker = "one") const {
    return "[runtime]\nservice = \"" + worker + "\"\nfolder = \"" + segments_folder() +
           "\"\nplugin_path = [\"" WEIR_PLUGIN_DIRECTORY
           "\"]\n[pool.main]\ndriver = \"null\"\nmax = " +
           std::to_string(max) + "\ndsn = \"" + dsn + "\"\n" + keys;
  }
  [[nodiscard]] Runtime open(const std::string& dsn, int max, const std::string& keys = "",
                             const std::string& worker = "one",
                             const RuntimeOptions& options = {}) const {
    return Runtime::from_text(config(dsn, max, keys, worker), options);
  }

  [[nodiscard]] std::string segments_folder() const {
    return (folder_.path() / "segments").string();
  }
  /// The code that `call` throws; WEIR_OK if it throws none.
  static std::int32_t code_of(const std::function<void()>& call) {
    try {
      call();
      return WEIR_OK;
    } catch (const Error& error) {
      return error.code();
    }
  }
  /// Whether `holds` does within the time that anything takes on a loaded machine.
  static bool soon(const std::function<bool()>& holds) {
    const Deadline patience = Deadline::after(std::chrono::seconds(20));
    while (!holds()) {
      if (patience.passed(monotonic_ns())) return false;
      const timespec pause{0, 1'000'000};
      nanosleep(&pause, nullptr);
    }
    return true;
  }

  NullUnderTest server_;

 private:
  TempFolder folder_;
};

}  // namespace weir::test
