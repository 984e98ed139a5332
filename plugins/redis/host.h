// What the host offers this driver: its clock and its log, kept from init() for the whole process.
// Threads: any, once remember() has returned. Fork: a child uses them as they are.
#pragma once

#include <cstdint>

#include "weir/driver.h"

namespace weir::redis::host {

/// REQUIRES: called once, by init(), before all else here.
void remember(const weir_host_t* table);

/// CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] std::uint64_t now_ns();
/// One event, "event=name key=value", about a degraded path. `line` never holds what a server or a
/// lease said.
void warn(const char* line);

}  // namespace weir::redis::host
