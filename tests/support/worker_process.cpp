#include "support/worker_process.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <exception>
#include <new>

#include "base/status.h"

#ifdef __SANITIZE_THREAD__
// A child of a process with threads may start threads of its own; unless told so, ThreadSanitizer
// ends it.
extern "C" __attribute__((visibility("default"))) const char*
__tsan_default_options() {  // NOLINT(bugprone-reserved-identifier): its name
  return "die_after_fork=0";
}
#endif

namespace weir::test {
namespace {

#ifdef __SANITIZE_THREAD__
// In a child: threads get stacks that none of the parent's had, since ThreadSanitizer believes that
// those threads are still there ("dup thread with used id"). The C library gives a thread the
// smallest free stack that is large enough, so a larger wish is enough.
void prefer_new_stacks() {
  constexpr std::size_t kLarger = 1U << 20;
  pthread_attr_t attributes;
  std::size_t size = 0;
  WEIR_CHECK(pthread_getattr_default_np(&attributes) == 0);
  WEIR_CHECK(pthread_attr_getstacksize(&attributes, &size) == 0);
  WEIR_CHECK(pthread_attr_setstacksize(&attributes, size + kLarger) == 0);
  WEIR_CHECK(pthread_setattr_default_np(&attributes) == 0);
  pthread_attr_destroy(&attributes);
}
#else
void prefer_new_stacks() {}
#endif

constexpr std::size_t kPage = 4096;
constexpr int kThrew = 99;

[[noreturn]] void run_child(const std::function<int()>& body, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kThrew);  // it died before prctl
  prefer_new_stacks();
  try {
    _exit(body());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "child %d: %s\n", getpid(), error.what());
    _exit(kThrew);
  }
}

int wait_status(pid_t pid, int options) {
  int status = 0;
  while (waitpid(pid, &status, options) < 0) WEIR_CHECK(errno == EINTR);
  return status;
}

int end_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

void half_a_millisecond() {
  const timespec pause{0, 500'000};
  nanosleep(&pause, nullptr);
}

}  // namespace

WorkerProcess::WorkerProcess(const std::function<int()>& body) {
  const pid_t parent = getpid();
  pid_ = fork();
  WEIR_CHECK(pid_ >= 0);
  if (pid_ == 0) run_child(body, parent);
}

WorkerProcess& WorkerProcess::operator=(WorkerProcess&& other) noexcept {
  if (this != &other) {
    kill();
    pid_ = other.pid_;
    other.pid_ = -1;
  }
  return *this;
}

WorkerProcess::~WorkerProcess() { kill(); }

void WorkerProcess::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  wait();
}

void WorkerProcess::stop() {
  ::kill(pid_, SIGSTOP);
  await_stop();
}

bool WorkerProcess::await_stop() {
  const int status = wait_status(pid_, WUNTRACED);
  if (WIFSTOPPED(status)) return true;
  pid_ = -1;
  return false;
}

void WorkerProcess::resume() { ::kill(pid_, SIGCONT); }

int WorkerProcess::wait() {
  const int status = wait_status(pid_, 0);
  pid_ = -1;
  return end_of(status);
}

int WorkerProcess::wait_at_most(Nanos patience) {
  int status = 0;
  if (poll_until([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }, patience)) {
    pid_ = -1;
    return end_of(status);
  }
  ::kill(pid_, SIGKILL);
  return wait();
}

void stop_here() { raise(SIGSTOP); }

SharedCounter::SharedCounter() {
  void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  WEIR_CHECK(page != MAP_FAILED);
  word_ = new (page) std::atomic<std::uint32_t>(0);
}

SharedCounter::~SharedCounter() { munmap(word_, kPage); }

void SharedCounter::add(std::uint32_t by) {
  word_->fetch_add(by);
  syscall(SYS_futex, word_, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool SharedCounter::await(std::uint32_t at_least, Nanos patience) const {
  const Deadline deadline = Deadline::after(patience);
  timespec at{};
  at.tv_sec = static_cast<time_t>(deadline.ns() / 1'000'000'000u);
  at.tv_nsec = static_cast<long>(deadline.ns() % 1'000'000'000u);
  while (true) {
    const std::uint32_t now = word_->load();
    if (now >= at_least) return true;
    if (deadline.passed(monotonic_ns())) return false;
    syscall(SYS_futex, word_, FUTEX_WAIT_BITSET, now, &at, nullptr, FUTEX_BITSET_MATCH_ANY);
  }
}

bool poll_until(const std::function<bool()>& condition, Nanos patience) {
  const Deadline deadline = Deadline::after(patience);
  while (!condition()) {
    if (deadline.passed(monotonic_ns())) return false;
    half_a_millisecond();
  }
  return true;
}

}  // namespace weir::test
