// The sampler: a process that asks the server, again and again, how many sessions of one role
// it has, and writes that on the board. What the server counts is what a quota is about.
#pragma once

#include <chrono>
#include <string>

#include "demo/board.h"
#include "demo/child.h"

namespace weir::demo {

/// Starts it; it samples until it is killed (end of the Child). `dsn` should be a superuser's,
/// so that it takes none of the role's connections. `role` is a plain name.
/// `pause` is between an answer and the next question.
[[nodiscard]] Child start_sampler(const std::string& dsn, const std::string& role, Board& board,
                                  std::chrono::microseconds pause = std::chrono::microseconds(0));

}  // namespace weir::demo
