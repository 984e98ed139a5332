#include "access_step.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/status.h"

namespace weir::test {
namespace {

// The child's own; handlers have nothing else to find it by.
struct {
  std::byte* begin = nullptr;
  std::size_t size = 0;
  SharedCounter* accesses = nullptr;
  std::uint32_t limit = 0;
  bool stops = false;
  bool armed = false;
} traced;

#if defined(__x86_64__)

constexpr greg_t kTrapFlag = 0x100;

void protect(int protection) { mprotect(traced.begin, traced.size, protection); }

void before_access(int /*signal*/, siginfo_t* info, void* context) {
  const auto* at = static_cast<std::byte*>(info->si_addr);
  if (at < traced.begin || at >= traced.begin + traced.size) {
    ::signal(SIGSEGV, SIG_DFL);  // a fault of its own: again, and for good
    return;
  }
  traced.accesses->add();
  if (traced.accesses->value() == traced.limit) {
    if (!traced.stops) raise(SIGKILL);
    raise(SIGSTOP);
    traced.armed = false;  // from here on at full speed
  }
  protect(PROT_READ | PROT_WRITE);
  if (traced.armed) static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] |= kTrapFlag;
}

void after_access(int /*signal*/, siginfo_t* /*info*/, void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~kTrapFlag;
  protect(PROT_NONE);
}

void arm() {
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = before_access;
  sigaction(SIGSEGV, &action, nullptr);
  action.sa_sigaction = after_access;
  sigaction(SIGTRAP, &action, nullptr);
  traced.armed = true;
  protect(PROT_NONE);
}

void disarm() {
  traced.armed = false;
  protect(PROT_READ | PROT_WRITE);
}

#else
void arm() {}
void disarm() {}
#endif

}  // namespace

AccessStep::AccessStep(const shm::Segment& segment, const std::function<void()>& prepare,
                       const std::function<void()>& act)
    : child_([&] {
        prepare();
        traced.begin = reinterpret_cast<std::byte*>(&segment.header());
        traced.size = segment.header().facts.total_bytes;
        traced.accesses = &accesses_;
        stop_here();
        traced.limit = limit_.value();
        traced.stops = stops_.value() != 0;
        arm();
        act();
        disarm();
        ended_.add();
        stop_here();
        return 0;
      }) {
  WEIR_CHECK(child_.await_stop());
}

bool AccessStep::run_to(std::uint32_t n, Fate fate) {
  limit_.add(n);
  if (fate == Fate::kStopped) stops_.add();
  child_.resume();
  child_.await_stop();
  return ended_.value() == 0;
}

void AccessStep::finish() {
  child_.resume();
  WEIR_CHECK(child_.await_stop());
}

}  // namespace weir::test
