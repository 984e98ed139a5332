// Looking at and waiting for one descriptor. Only the driver's cancel() waits; operations look.
#pragma once

#include <cstdint>

namespace weir::redis {

/// Whether `fd` has any of `events` (poll(2)), an error or a hang-up now. Does not block.
[[nodiscard]] bool is_ready(int fd, short events);
/// The same, waiting until `deadline_ns` (monotonic; UINT64_MAX: never). False once it passed.
[[nodiscard]] bool wait_until(int fd, short events, std::uint64_t deadline_ns);

}  // namespace weir::redis
