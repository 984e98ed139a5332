// Which databases the demo can be shown on: those that this build has drivers for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "demo/database.h"

namespace weir::demo {

/// Names of drivers; postgres is the first.
[[nodiscard]] std::vector<std::string> database_drivers();

/// Starts the one of `driver`, so that it has room for `quota` connections beside the demo's own.
/// REQUIRES: one of database_drivers(). Throws if it cannot be started.
[[nodiscard]] std::unique_ptr<Database> make_database(const std::string& driver,
                                                      std::uint32_t quota);

}  // namespace weir::demo
