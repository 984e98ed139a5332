#include "support/process_state.h"

#include <filesystem>
#include <fstream>
#include <string>

namespace weir::test {
namespace {

// A sample of processor time older than this says nothing about the last look.
constexpr std::uint64_t kRecentNs = 50'000'000;

std::string first_line_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The letter behind the name in parentheses, which may hold anything.
char state_in(const std::string& stat) {
  const std::size_t end = stat.rfind(')');
  return end == std::string::npos || end + 2 >= stat.size() ? 'X' : stat[end + 2];
}

struct Threads {
  bool any_ready = false;  // runs, or waits for a processor
  bool any_stuck = false;  // stopped, dead, or in the kernel's hands
  std::uint64_t cpu_ns = 0;
};

Threads threads_of(pid_t pid) {
  Threads found;
  found.any_stuck = true;
  std::error_code error;
  std::filesystem::directory_iterator tasks("/proc/" + std::to_string(pid) + "/task", error);
  if (error) return found;
  bool any = false, any_other = false;
  for (; tasks != std::filesystem::directory_iterator(); tasks.increment(error)) {
    if (error) return found;
    const char state = state_in(first_line_of(tasks->path() / "stat"));
    any = true;
    found.any_ready = found.any_ready || state == 'R';
    any_other = any_other || (state != 'R' && state != 'S' && state != 'I');
    const std::string used = first_line_of(tasks->path() / "schedstat");
    found.cpu_ns += used.empty() ? 0 : std::stoull(used);
  }
  found.any_stuck = !any || any_other;
  return found;
}

}  // namespace

void ProcessStates::begin_look(std::uint64_t now_ns) {
  now_ns_ = now_ns;
  std::erase_if(seen_, [&](const auto& one) { return one.second.at_ns + kRecentNs < now_ns; });
}

bool ProcessStates::is_able(pid_t pid) {
  Seen& seen = seen_[pid];
  if (seen.at_ns == now_ns_) return seen.able;
  const Threads threads = threads_of(pid);
  const bool ran_mostly =
      seen.at_ns != 0 && (threads.cpu_ns - seen.cpu_ns) * 2 >= now_ns_ - seen.at_ns;
  seen = {.at_ns = now_ns_,
          .cpu_ns = threads.cpu_ns,
          .able = !threads.any_stuck && (!threads.any_ready || ran_mostly)};
  return seen.able;
}

}  // namespace weir::test
