#include "demo/child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>

#include "base/clock.h"

namespace weir::demo {
namespace {

[[noreturn]] void run_and_exit(const std::function<int()>& body, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it died before we could ask
  int status = 1;
  try {
    status = body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "weir-demo: child process: %s\n", error.what());
  }
  _exit(status);
}

}  // namespace

Child::Child(const std::function<int()>& body) {
  std::fflush(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) run_and_exit(body, parent);
}

Child::~Child() { kill_now(); }

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}

void Child::kill_now() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

bool Child::wait_until(std::uint64_t deadline_ns) {
  if (pid_ == 0) return false;
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) != pid_) {
    if (monotonic_ns() >= deadline_ns) {
      kill_now();
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  pid_ = 0;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace weir::demo
