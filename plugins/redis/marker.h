// Marker: a text that nobody has said before. The server says it back (PING marker), and then all
// answers to what was sent before it have been read.
// Threads: any.
#pragma once

#include <string>

namespace weir::redis {

/// 32 hexadecimal digits out of the kernel's random numbers.
[[nodiscard]] std::string make_marker();

}  // namespace weir::redis
