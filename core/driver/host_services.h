// HostServices: what the host offers one driver: a log and a clock, as weir/driver.h's weir_host_t.
//
// What a driver logs is foreign text, so it becomes one escaped field of a line of weir's own:
//   event=driver driver=postgres text="event=notice severity=WARNING"
// Threads: its functions may be called from any thread. Fork: a child uses them as they are.
#pragma once

#include <string>

#include "base/log.h"
#include "weir/driver.h"

namespace weir::driver {

class HostServices {
 public:
  /// `driver_name` is how the log calls the driver. `log` must outlive this object, and this object
  /// everybody who was given table().
  HostServices(std::string driver_name, Log& log);
  HostServices(const HostServices&) = delete;
  HostServices& operator=(const HostServices&) = delete;

  [[nodiscard]] const weir_host_t* table() const { return &table_; }

 private:
  static void write_line(void* host_data, std::int32_t level, const char* line);
  static std::uint64_t read_clock(void* host_data);

  // Constant after construction.
  std::string driver_name_;
  Log& log_;
  weir_host_t table_;
};

}  // namespace weir::driver
