#include "cli/interrupts.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace weir::cli {

Interrupts::Interrupts() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  fd_ = signalfd(-1, &signals_, SFD_CLOEXEC);
}

Interrupts::~Interrupts() {
  if (fd_ >= 0) close(fd_);
  // What wait() told is still pending, and would end the process as soon as it is unblocked.
  const timespec at_once{};
  while (sigtimedwait(&signals_, nullptr, &at_once) > 0) {
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

bool Interrupts::wait(Deadline deadline) const {
  pollfd watched{fd_, POLLIN, 0};
  while (true) {
    const Nanos left = deadline.left(monotonic_ns());
    const timespec timeout{static_cast<time_t>(left.count() / 1'000'000'000),
                           static_cast<long>(left.count() % 1'000'000'000)};
    const int ready = ppoll(&watched, 1, &timeout, nullptr);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace weir::cli
