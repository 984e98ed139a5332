// A look at a pool from outside: for a process that has no part in the segment, or not yet.
//
// What it finds is what `weir status` would. Threads: any. Fork: any; it takes no lock, and keeps
// nothing open.
#pragma once

#include "base/status.h"
#include "config/runtime_config.h"
#include "pool/stats.h"

namespace weir::runtime {

/// The pool's figures from its segment, read-only; what `pool` configures and zeros where there is
/// no segment, or no such pool in it. As Segment::open_read_only for a segment that is not good.
/// Maps a file and scans it; waits for nobody.
Result<pool::Stats> look_at(const config::RuntimeConfig& config, const config::PoolConfig& pool);

}  // namespace weir::runtime
