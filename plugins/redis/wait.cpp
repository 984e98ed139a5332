#include "wait.h"

#include <poll.h>

#include <cerrno>
#include <ctime>

#include "host.h"

namespace weir::redis {

bool is_ready(int fd, short events) {
  pollfd watched{fd, events, 0};
  return poll(&watched, 1, 0) != 0;  // an error of poll itself: let the next call on `fd` find out
}

bool wait_until(int fd, short events, std::uint64_t deadline_ns) {
  constexpr std::uint64_t kSecondNs = 1'000'000'000;
  for (;;) {
    const std::uint64_t now_ns = host::now_ns();
    if (now_ns >= deadline_ns) return false;
    const std::uint64_t left_ns = deadline_ns - now_ns;
    const timespec left{static_cast<time_t>(left_ns / kSecondNs),
                        static_cast<long>(left_ns % kSecondNs)};
    pollfd watched{fd, events, 0};
    const int ready = ppoll(&watched, 1, deadline_ns == UINT64_MAX ? nullptr : &left, nullptr);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // as above
  }
}

}  // namespace weir::redis
