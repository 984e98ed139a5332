#include "bench/cpu.h"

#include <time.h>
#include <unistd.h>

#include <sstream>
#include <string>

#include "support/server_process.h"

namespace weir::bench {
namespace {

/// Times of the children that a process has waited for: fields 16 and 17 of proc(5)'s
/// /proc/PID/stat.
std::uint64_t waited_for_ns(pid_t pid) {
  const std::string stat = test::read_file("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t end_of_name = stat.rfind(") ");
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields(stat.substr(end_of_name + 2));
  std::string skipped;
  for (int field = 3; field < 16; ++field) fields >> skipped;
  std::uint64_t user = 0, system = 0;
  fields >> user >> system;
  return (user + system) * (1'000'000'000 / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
}

}  // namespace

std::uint64_t cpu_ns(pid_t pid) {
  clockid_t clock{};
  timespec used{};
  if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
    return 0;
  }
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(used.tv_nsec);
}

std::uint64_t children_cpu_ns(pid_t parent) {
  std::uint64_t sum = waited_for_ns(parent);
  for (const pid_t child : test::children_of(parent)) sum += cpu_ns(child);
  return sum;
}

}  // namespace weir::bench
