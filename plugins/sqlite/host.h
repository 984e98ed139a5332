// What the host offers this driver: its clock, kept from init() for the whole process.
// Threads: any, once remember() has returned. Fork: a child uses it as it is.
#pragma once

#include <cstdint>

#include "weir/driver.h"

namespace weir::sqlite::host {

/// REQUIRES: called once, by init(), before all else here.
void remember(const weir_host_t* table);

/// CLOCK_MONOTONIC in nanoseconds.
[[nodiscard]] std::uint64_t now_ns();

}  // namespace weir::sqlite::host
