#include "driver/host_services.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace weir::driver {

HostServices::HostServices(std::string driver_name, Log& log)
    : driver_name_(std::move(driver_name)),
      log_(log),
      table_{sizeof(weir_host_t), this, &HostServices::write_line, &HostServices::read_clock} {}

void HostServices::write_line(void* host_data, std::int32_t level, const char* line) {
  if (line == nullptr) return;
  const auto* self = static_cast<const HostServices*>(host_data);
  const auto known =
      static_cast<LogLevel>(std::clamp<std::int32_t>(level, WEIR_LOG_DEBUG, WEIR_LOG_ERROR));
  self->log_.write(known, "driver", {{"driver", self->driver_name_}, {"text", line}});
}

std::uint64_t HostServices::read_clock(void* /*host_data*/) { return monotonic_ns(); }

}  // namespace weir::driver
