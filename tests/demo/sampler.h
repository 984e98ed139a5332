// The sampler: a process that counts the database's sessions, again and again, and writes that on
// the board. What the server counts is what a quota is about.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "demo/board.h"
#include "demo/child.h"
#include "demo/database.h"

namespace weir::demo {

/// Starts it, and returns once it has counted for the first time; it samples until it is killed
/// (end of the Child). `make_counter` is called in its process. `pause` is between two counts.
/// Throws std::runtime_error if it does not come to count.
[[nodiscard]] Child start_sampler(
    const std::function<std::unique_ptr<SessionCounter>()>& make_counter, Board& board,
    std::chrono::microseconds pause = std::chrono::microseconds(0));

}  // namespace weir::demo
