// The sampler: a process that asks the server, as fast as it answers, how many sessions of one role
// it has, and writes that on the board. What the server counts is what a quota is about.
#pragma once

#include <string>

#include "demo/board.h"
#include "demo/child.h"

namespace weir::demo {

/// Starts it; it samples until it is killed (end of the Child). `dsn` should be a superuser's,
/// so that it takes none of the role's connections. `role` is a plain name.
[[nodiscard]] Child start_sampler(const std::string& dsn, const std::string& role, Board& board);

}  // namespace weir::demo
