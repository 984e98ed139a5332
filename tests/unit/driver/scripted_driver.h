// ScriptedDriver: a driver without a server, whose every answer a test writes down beforehand.
//
// One script at a time (the C table has no room for a pointer to it); make one per test.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "driver/plugin.h"
#include "weir/driver.h"

namespace weir::driver {

class ScriptedDriver {
 public:
  ScriptedDriver();
  ~ScriptedDriver();
  ScriptedDriver(const ScriptedDriver&) = delete;
  ScriptedDriver& operator=(const ScriptedDriver&) = delete;

  /// The table, for tests that spoil it first.
  static weir_driver_t table();
  /// Loaded, verified and initialised.
  [[nodiscard]] const Driver& driver() const { return *driver_; }
  [[nodiscard]] Dsn dsn() const;

  // What it answers. An empty `steps` answers the last step again.
  std::deque<std::int32_t> steps{WEIR_STEP_DONE};
  std::function<void()> on_step = [] {};
  std::int32_t start_code = WEIR_OK;
  std::int32_t open_code = WEIR_OK;
  std::int32_t step_error_code = WEIR_CONNECTION_BROKEN;
  bool gives_objects = true;  // from parse_dsn and open_conn
  int descriptor = -1;
  weir_token_t token{};
  std::int32_t export_code = WEIR_OK;
  std::int32_t import_code = WEIR_OK;
  std::string blob = "a session";
  std::size_t blob_size = blob.size();  // that export_session claims

  // What it was asked.
  struct Started {
    std::int32_t op;
    void* argument;
    std::uint64_t deadline_ns;
  };
  std::vector<Started> started;
  int steps_taken = 0;
  int opened = 0, freed = 0, abandoned = 0;
  int dsns_parsed = 0, dsns_freed = 0;
  std::string client_name;
  int imported_descriptor = -1;
  std::string imported_blob;

 private:
  const Driver* driver_ = nullptr;
};

}  // namespace weir::driver
