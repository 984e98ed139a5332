// Processor time of other processes, from /proc and clocks. No threads.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace weir::bench {

/// What a process has used, in ns, ended threads included (its CPU-time clock); 0 if it is gone.
[[nodiscard]] std::uint64_t cpu_ns(pid_t pid);

/// What the children of `parent` have used, in ns: those that live, and those that it has waited
/// for. For PostgreSQL's main process: all backends.
[[nodiscard]] std::uint64_t children_cpu_ns(pid_t parent);

}  // namespace weir::bench
