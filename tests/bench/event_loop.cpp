#include "bench/event_loop.h"

#include <libpq-fe.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <deque>
#include <optional>
#include <stdexcept>

#include "base/clock.h"
#include "demo/worker.h"

namespace weir::bench {

using demo::End;

struct EventLoop::One {
  std::size_t request;
  std::uint64_t arrival_ns, deadline_ns;
  std::uint32_t hold_us;
  Ticket ticket;
  std::optional<Lease> lease;
};

EventLoop::EventLoop(Runtime& runtime, demo::Board& board, demo::Gauge& gauge)
    : runtime_(runtime), pool_(runtime.pool("main")), board_(board), gauge_(gauge) {}

EventLoop::~EventLoop() {
  try {
    runtime_.close();
  } catch (const Error& error) {
    board_.note_error(error.what());
  }
}

End EventLoop::serve(std::uint64_t /*deadline_ns*/, std::uint32_t /*hold_us*/) {
  return End::kFailed;
}

namespace {

void watch(int epoll, int fd, void* what) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = what;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) throw std::runtime_error("epoll_ctl");
}

}  // namespace

bool EventLoop::serve_all(const std::vector<std::size_t>& mine, const demo::WorkerTask& task) {
  std::deque<One> all;
  for (const std::size_t i : mine) {
    const std::uint64_t arrival_ns = task.start_ns + task.trace[i].arrival_us * 1000;
    all.push_back(
        {i, arrival_ns, arrival_ns + task.deadline_us * 1000, task.trace[i].hold_us, {}, {}});
  }
  left_ = all.size();
  runtime_.keep();  // attaches
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  watch(epoll_, timer, this);
  watch(epoll_, runtime_.event_fd(), nullptr);
  std::size_t next = 0;
  while (left_ > 0) {
    for (; next < all.size() && all[next].arrival_ns <= monotonic_ns(); ++next) {
      start(all[next], monotonic_ns());
    }
    if (next < all.size()) {
      const std::uint64_t at = all[next].arrival_ns;
      itimerspec when{};
      when.it_value.tv_sec = static_cast<time_t>(at / 1'000'000'000);
      when.it_value.tv_nsec = static_cast<long>(at % 1'000'000'000);
      timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, nullptr);
    }
    std::array<epoll_event, 64> ready{};
    const int events = epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), 1000);
    for (int i = 0; i < events; ++i) {
      void* const what = ready[static_cast<std::size_t>(i)].data.ptr;
      std::uint64_t ticks;
      if (what == nullptr) {
        take_what_is_done();
      } else if (what == this) {
        static_cast<void>(!read(timer, &ticks, sizeof ticks));
      } else {
        go_on(*static_cast<One*>(what));
      }
    }
  }
  close(timer);
  close(epoll_);
  return true;
}

void EventLoop::start(One& one, std::uint64_t now_ns) {
  if (now_ns >= one.deadline_ns) return end(one, End::kTimedOut);
  AcquireOptions options;
  options.timeout = std::chrono::nanoseconds(one.deadline_ns - now_ns);
  options.label = "loop";
  gauge_.waiting.fetch_add(1);
  one.ticket = pool_.start(options, &one);
}

void EventLoop::take_what_is_done() {
  while (const auto done = runtime_.next_done()) {
    One& one = *static_cast<One*>(done->user_data);
    gauge_.waiting.fetch_sub(1);
    try {
      std::optional<Lease> lease = one.ticket.finish();
      if (lease) send(one, std::move(*lease));
    } catch (const Error& error) {
      if (!error.is_timeout()) board_.note_error(error.what());
      end(one, error.is_timeout() ? End::kTimedOut : End::kFailed);
    }
  }
}

void EventLoop::send(One& one, Lease lease) {
  one.lease = std::move(lease);
  gauge_.used.fetch_add(1);
  auto* const connection = one.lease->native<PGconn>();
  std::array<char, 64> sql{};
  std::snprintf(sql.data(), sql.size(), "SELECT pg_sleep(%.6f)", one.hold_us / 1e6);
  if (PQsendQuery(connection, sql.data()) == 0) {
    board_.note_error(PQerrorMessage(connection));
    return end(one, End::kFailed);
  }
  watch(epoll_, PQsocket(connection), &one);
}

void EventLoop::go_on(One& one) {
  auto* const connection = one.lease->native<PGconn>();
  bool good = PQconsumeInput(connection) != 0;
  if (good && PQisBusy(connection) != 0) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, PQsocket(connection), nullptr);
  while (PGresult* const result = PQgetResult(connection)) {
    good = good && PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
  }
  if (!good) board_.note_error(PQerrorMessage(connection));
  end(one, good ? End::kServed : End::kFailed);
}

void EventLoop::end(One& one, End how) {
  if (one.lease) {
    gauge_.used.fetch_sub(1);
    one.lease->release_later();
    one.lease.reset();
  }
  board_.write_outcome(one.request, {how, (monotonic_ns() - one.arrival_ns) / 1000});
  --left_;
}

}  // namespace weir::bench
