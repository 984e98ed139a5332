#include "demo/open_files.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>
#include <system_error>

namespace weir::demo {

namespace fs = std::filesystem;

std::vector<OpenFile> find_open(const std::vector<pid_t>& pids, const std::string& path) {
  std::vector<OpenFile> found;
  for (const pid_t pid : pids) {
    std::error_code gone;  // the process, or the descriptor
    fs::directory_iterator entry("/proc/" + std::to_string(pid) + "/fd", gone);
    for (; !gone && entry != fs::directory_iterator(); entry.increment(gone)) {
      std::error_code closed;
      if (fs::read_symlink(entry->path(), closed) != path) continue;
      const std::string name = entry->path().filename();
      int fd = -1;
      std::from_chars(name.data(), name.data() + name.size(), fd);
      found.push_back({pid, fd});
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::uint32_t count_in_both(const std::vector<OpenFile>& first,
                            const std::vector<OpenFile>& second) {
  std::vector<OpenFile> both;
  std::set_intersection(first.begin(), first.end(), second.begin(), second.end(),
                        std::back_inserter(both));
  return static_cast<std::uint32_t>(both.size());
}

}  // namespace weir::demo
