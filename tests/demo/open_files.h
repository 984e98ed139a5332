// Who has a file open, as the kernel lists it in /proc/<pid>/fd. Own processes only, or as root.
// Threads: any.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::demo {

/// One open descriptor of one process.
struct OpenFile {
  pid_t pid;
  int fd;
  auto operator<=>(const OpenFile&) const = default;
};

/// Those that `pids` have of the file at `path` (absolute, without links), sorted. A process that
/// is gone has none.
[[nodiscard]] std::vector<OpenFile> find_open(const std::vector<pid_t>& pids,
                                              const std::string& path);

/// How many were open at one moment. One look would not tell: it takes a while, and a file that is
/// closed here and opened there meanwhile would count twice. What two looks in a row both see was
/// open between them.
[[nodiscard]] std::uint32_t count_in_both(const std::vector<OpenFile>& first,
                                          const std::vector<OpenFile>& second);

}  // namespace weir::demo
