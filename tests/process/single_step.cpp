#include "single_step.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"

namespace weir::test {
namespace {

// What the child stops with: by its own SIGSTOP before and after `act`, by SIGTRAP after each step.
int stop_signal_of(pid_t child) {
  int status = 0;
  WEIR_CHECK(waitpid(child, &status, 0) == child);
  WEIR_CHECK(WIFSTOPPED(status));
  return WSTOPSIG(status);
}

}  // namespace

SingleStep::SingleStep(const std::function<void()>& prepare, const std::function<void()>& act)
    : child_([&] {
        prepare();
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        stop_here();
        act();
        stop_here();
        return 0;
      }) {
  WEIR_CHECK(stop_signal_of(child_.pid()) == SIGSTOP);
}

bool SingleStep::advance(long count) {
  for (long i = 0; i < count; ++i) {
    ptrace(PTRACE_SINGLESTEP, child_.pid(), nullptr, nullptr);
    if (stop_signal_of(child_.pid()) == SIGSTOP) return false;
  }
  return true;
}

void SingleStep::finish() {
  ptrace(PTRACE_CONT, child_.pid(), nullptr, nullptr);
  WEIR_CHECK(stop_signal_of(child_.pid()) == SIGSTOP);
}

}  // namespace weir::test
