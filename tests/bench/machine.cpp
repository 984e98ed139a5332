#include "bench/machine.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "base/clock.h"

namespace weir::bench {
namespace {

double loadavg() {
  double of_one_minute = 0;
  return getloadavg(&of_one_minute, 1) == 1 ? of_one_minute : 0;
}

/// All processors together, since the machine started: proc(5), /proc/stat, without idle, iowait,
/// steal; guests are part of user.
double busy_seconds() {
  std::ifstream file("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0;
  file >> cpu >> user >> nice >> system >> idle >> iowait >> irq >> softirq;
  return (user + nice + system + irq + softirq) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double own_seconds() {
  double sum = 0;
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    sum += seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  return sum;
}

}  // namespace

MachineWatch::MachineWatch()
    : began_ns_(monotonic_ns()),
      loadavg_(loadavg()),
      busy_seconds_(busy_seconds()),
      own_seconds_(own_seconds()) {}

MachineLoad MachineWatch::look() const {
  MachineLoad load;
  load.cpus = static_cast<unsigned>(sysconf(_SC_NPROCESSORS_ONLN));
  load.seconds = static_cast<double>(monotonic_ns() - began_ns_) / 1e9;
  load.loadavg_before = loadavg_;
  load.loadavg_after = loadavg();
  load.own_cpu_seconds = own_seconds() - own_seconds_;
  load.others_cpu_seconds = std::max(0.0, busy_seconds() - busy_seconds_ - load.own_cpu_seconds);
  return load;
}

}  // namespace weir::bench
