// Acquires that no thread sleeps for: the same line, deadlines and codes as of those that do, seen
// from a loop that polls one descriptor.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "support/pool_on_null.h"
#include "support/worker_process.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kLong = 60s;

int threads_of_this_process() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Threads:", 0) == 0) return std::stoi(line.substr(8));
  }
  return -1;
}

class PoolAsync : public PoolOnNull {
 protected:
  Pool open_pool(int max, const std::string& keys = "", const std::string& more = "",
                 const RuntimeOptions& options = {}) {
    runtime_.emplace(
        open(more.empty() ? server_.dsn() : server_.dsn_with(more), max, keys, "one", options));
    return runtime_->pool("main");
  }
  /// Waits as an event loop does, and takes what has ended first.
  std::optional<Runtime::Done> next_done(std::chrono::milliseconds patience = 20s) {
    const Deadline deadline = Deadline::after(patience);
    while (true) {
      if (auto done = runtime_->next_done()) return done;
      pollfd watched{runtime_->event_fd(), POLLIN, 0};
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline.left(monotonic_ns()));
      if (poll(&watched, 1, static_cast<int>(left.count()) + 1) == 0 &&
          deadline.passed(monotonic_ns())) {
        return std::nullopt;
      }
    }
  }
  /// How a started acquire ends, with nothing else under way.
  std::int32_t end_of(Ticket& ticket, std::optional<Lease>* lease = nullptr) {
    if (!next_done()) return -1;
    return code_of([&] {
      std::optional<Lease> got = ticket.finish();
      if (lease != nullptr) *lease = std::move(got);
    });
  }
  std::optional<Runtime> runtime_;
};

TEST_F(PoolAsync, LendsAnIdleConnectionAtOnce) {
  Pool pool = open_pool(1);
  { const Lease lease = pool.acquire({kLong}); }
  int mine = 0;
  Ticket ticket = pool.start({kLong}, &mine);
  const auto done = runtime_->next_done();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->user_data, &mine);
  EXPECT_EQ(done->ticket, ticket.get());
  EXPECT_FALSE(runtime_->next_done()) << "each once";
  const std::optional<Lease> lease = ticket.finish();
  ASSERT_TRUE(lease);
  EXPECT_TRUE(server_.query(lease->native()));
}

TEST_F(PoolAsync, ConnectsWithoutAThreadThatWaits) {
  Pool pool = open_pool(1, "", "connect=delay:50ms");
  Ticket ticket = pool.start({kLong});
  EXPECT_FALSE(ticket.finish()) << "it has not ended";
  std::optional<Lease> lease;
  EXPECT_EQ(end_of(ticket, &lease), WEIR_OK);
  ASSERT_TRUE(lease);
  EXPECT_TRUE(server_.query(lease->native()));
}

TEST_F(PoolAsync, ChecksAnIdleConnectionThatIsDueAndOpensAnotherIfItIsDead) {
  Pool pool = open_pool(1, "validate_after = \"0s\"\n", "ping=fail@2");
  { const Lease lease = pool.acquire({kLong}); }
  for (const std::uint64_t connects : {1u, 2u}) {
    Ticket ticket = pool.start({kLong});
    std::optional<Lease> lease;
    EXPECT_EQ(end_of(ticket, &lease), WEIR_OK);
    EXPECT_EQ(server_.counts().connects, connects);
  }
}

TEST_F(PoolAsync, WaitsInTheSameLineAsCallersWhoSleep) {
  Pool pool = open_pool(1, "handover_after = \"0s\"\n");
  std::optional<Lease> lease = pool.acquire({kLong});
  Ticket first = pool.start({kLong});
  std::atomic<bool> second = false;
  std::thread sleeps([&] {
    const Lease mine = pool.acquire({kLong});
    second = true;
  });
  ASSERT_TRUE(soon([&] { return pool.stats().waiting == 2; }));
  lease.reset();
  EXPECT_EQ(end_of(first, &lease), WEIR_OK);
  EXPECT_FALSE(second);
  lease.reset();
  sleeps.join();
}

TEST_F(PoolAsync, OfAThousandOnAQuotaOfTenAreServedInOrderWithoutAThreadEach) {
  Pool pool = open_pool(10, "handover_after = \"0s\"\nconnect_concurrency = 10\n");
  std::deque<Lease> out;
  for (int i = 0; i < 10; ++i) out.push_back(pool.acquire({kLong}));
  const int threads = threads_of_this_process();
  std::vector<std::size_t> numbers(1000);
  std::vector<Ticket> tickets;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = i;
    tickets.push_back(pool.start({kLong}, &numbers[i]));
  }
  EXPECT_EQ(pool.stats().waiting, 1000u);
  EXPECT_EQ(threads_of_this_process(), threads);
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    out.pop_front();  // one comes back
    const auto done = next_done();
    ASSERT_TRUE(done) << i;
    ASSERT_EQ(*static_cast<std::size_t*>(done->user_data), i);
    std::optional<Lease> lease = tickets[i].finish();
    ASSERT_TRUE(lease);
    out.push_back(std::move(*lease));
  }
  EXPECT_EQ(pool.stats().waiting, 0u);
  EXPECT_EQ(server_.counts().most_sessions, 10);
}

TEST_F(PoolAsync, CancellingAnyOfAThousandLeavesNoTrace) {
  Pool pool = open_pool(10);
  std::vector<Lease> out;
  for (int i = 0; i < 10; ++i) out.push_back(pool.acquire({kLong}));
  std::minstd_rand random(7);
  std::map<void*, Ticket> tickets;
  std::vector<int> numbers(1000);
  for (int& number : numbers) tickets[&number] = pool.start({kLong}, &number);
  // Half of them go, in any order, while the rest is served.
  int served = 0, cancelled = 0;
  std::vector<int*> victims;
  for (int& number : numbers) victims.push_back(&number);
  std::shuffle(victims.begin(), victims.end(), random);
  victims.resize(500);
  out.clear();
  for (int* victim : victims) {
    if (tickets.erase(victim) > 0) ++cancelled;  // its destructor gives it up
    while (const auto done = runtime_->next_done()) {
      if (tickets.at(done->user_data).finish()) ++served;
      tickets.erase(done->user_data);
    }
  }
  while (!tickets.empty()) {
    const auto done = next_done();
    ASSERT_TRUE(done) << tickets.size() << " never ended";
    ASSERT_TRUE(tickets.at(done->user_data).finish());
    tickets.erase(done->user_data);
    ++served;
  }
  EXPECT_EQ(served + cancelled, 1000);
  EXPECT_TRUE(soon([&] { return pool.stats().idle == 10; }));
  EXPECT_EQ(pool.stats().waiting, 0u);
  EXPECT_EQ(pool.stats().cancelled, static_cast<std::uint64_t>(cancelled));
  EXPECT_FALSE(runtime_->next_done());
}

TEST_F(PoolAsync, KeepsTheDeadline) {
  Pool pool = open_pool(1);
  const Lease lease = pool.acquire({kLong});
  const std::uint64_t start_ns = monotonic_ns();
  Ticket ticket = pool.start({50ms});
  EXPECT_EQ(end_of(ticket), WEIR_TIMEOUT);
  EXPECT_GE(monotonic_ns() - start_ns, 50'000'000u);
  EXPECT_EQ(pool.stats().timeouts, 1u);
  EXPECT_EQ(pool.stats().waiting, 0u);
}

TEST_F(PoolAsync, KeepsTheDeadlineWhileItConnectsAndTheConnectionIsKept) {
  Pool pool = open_pool(1, "", "connect=delay:300ms@1");
  do {  // on a machine where 30 ms are not enough to begin
    Ticket ticket = pool.start({30ms});
    EXPECT_EQ(end_of(ticket), WEIR_TIMEOUT);
  } while (pool.stats().total == 0);
  EXPECT_TRUE(soon([&] { return pool.stats().idle == 1; }));
}

TEST_F(PoolAsync, SaysWhyAConnectFailed) {
  Pool pool = open_pool(1, "", "connect=fail:auth_failed");
  Ticket ticket = pool.start({kLong});
  EXPECT_EQ(end_of(ticket), WEIR_AUTH_FAILED);
  EXPECT_TRUE(soon([&] { return pool.stats().total == 0; }));
}

TEST_F(PoolAsync, EndsAtOnceWhenThePoolIsPausedOrClosed) {
  Pool pool = open_pool(1);
  const Lease lease = pool.acquire({kLong});
  Ticket paused = pool.start({kLong});
  pool.pause();
  EXPECT_EQ(end_of(paused), WEIR_PAUSED);
  pool.resume();
  Ticket closed = pool.start({kLong});
  pool.close();
  EXPECT_EQ(end_of(closed), WEIR_CLOSED);
}

TEST_F(PoolAsync, GivesBackWhatACancelledOneHadGot) {
  Pool pool = open_pool(1);
  { const Lease lease = pool.acquire({kLong}); }
  { const Ticket ticket = pool.start({kLong}); }
  EXPECT_EQ(pool.stats().idle, 1u);
  EXPECT_FALSE(runtime_->next_done());
}

TEST_F(PoolAsync, WorksWhereTheHostForbidsThreads) {
  RuntimeOptions options;
  options.no_threads = true;
  Pool pool = open_pool(1, "", "connect=delay:5ms", options);
  runtime_->keep();
  const int threads = threads_of_this_process();
  Ticket first = pool.start({kLong}), second = pool.start({kLong});
  std::optional<Lease> lease;
  const auto kept_until = [&](Ticket& ticket) {
    return soon([&] {
      runtime_->keep();
      lease = ticket.finish();
      return lease.has_value();
    });
  };
  EXPECT_TRUE(kept_until(first));
  lease.reset();
  EXPECT_TRUE(kept_until(second));
  EXPECT_EQ(threads_of_this_process(), threads);
}

TEST_F(PoolAsync, ReleaseLaterLeavesTheResetToTheKeeper) {
  Pool pool = open_pool(1, "reset = \"always\"\n", "reset=delay:100ms");
  Lease lease = pool.acquire({kLong});
  server_.leave_state(lease.native());
  lease.release_later();
  EXPECT_EQ(pool.stats().idle, 0u) << "a reset in progress counts as used";
  EXPECT_EQ(pool.stats().used, 1u);
  const Lease next = pool.acquire({kLong});
  EXPECT_FALSE(server_.has_state(next.native()));
  EXPECT_EQ(server_.counts().resets, 1u);
}

TEST_F(PoolAsync, ReleaseLaterOfOneThatCannotBeCleanedClosesIt) {
  Pool pool = open_pool(1, "reset = \"always\"\n", "reset=fail@1");
  {
    Lease lease = pool.acquire({kLong});
    lease.release_later();
  }
  const Lease next = pool.acquire({kLong});
  EXPECT_EQ(server_.counts().connects, 2u);
  EXPECT_EQ(pool.stats().closed[WEIR_CLOSE_RESET_FAILED], 1u);
}

TEST_F(PoolAsync, TellsListenersAsAnyAcquireDoes) {
  std::vector<std::int32_t> kinds;
  RuntimeOptions options;
  options.event = [](void* kept, const weir_event_t* event) -> std::int32_t {
    if (event->kind >= WEIR_EVENT_CHECKOUT_STARTED && event->kind <= WEIR_EVENT_CHECKED_IN) {
      static_cast<std::vector<std::int32_t>*>(kept)->push_back(event->kind);
    }
    return WEIR_OK;
  };
  options.event_context = &kinds;
  Pool pool = open_pool(1, "", "", options);
  Ticket ticket = pool.start({kLong});
  std::optional<Lease> lease;
  EXPECT_EQ(end_of(ticket, &lease), WEIR_OK);
  { const Ticket given_up = pool.start({kLong}); }
  lease.reset();
  EXPECT_EQ(kinds, (std::vector<std::int32_t>{WEIR_EVENT_CHECKOUT_STARTED, WEIR_EVENT_CHECKED_OUT,
                                              WEIR_EVENT_CHECKOUT_STARTED,
                                              WEIR_EVENT_CHECKOUT_FAILED, WEIR_EVENT_CHECKED_IN}));
}

TEST_F(PoolAsync, InAForkedChildAnswersForkedAndTouchesNothing) {
  Pool pool = open_pool(2, "max_per_worker = 1\n");
  const Lease lease = pool.acquire({kLong});
  Ticket ticket = pool.start({kLong});
  const int parents_fd = runtime_->event_fd();
  WorkerProcess child([&]() -> int {
    weir_lease_t none{};
    weir_ticket_t* const inherited = ticket.get();
    const bool forked = weir_acquire_finish(inherited, &none, nullptr) == WEIR_FORKED;
    Ticket mine = pool.start({kLong});  // on a server of its own
    const bool other = runtime_->event_fd() >= 0;
    const bool got = soon([&] { return mine.finish().has_value(); });
    return forked && other && got ? 0 : 1;
  });
  EXPECT_EQ(child.wait_at_most(), 0);
  EXPECT_EQ(runtime_->event_fd(), parents_fd);
  EXPECT_EQ(pool.stats().waiting, 1u) << "the parent's still waits";
}

TEST_F(PoolAsync, AForkWhileOthersTakeWhatIsDoneLeavesTheChildAWorkingDescriptor) {
  Pool pool = open_pool(2);
  { const Lease lease = pool.acquire({kLong}); }
  std::atomic<bool> over = false;
  std::thread takes([&] {
    while (!over) {
      Ticket ticket = pool.start({kLong});
      while (runtime_->next_done()) {
      }
      static_cast<void>(ticket.finish());
    }
  });
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);  // one that hangs is killed
      _exit(runtime_->event_fd() >= 0 && !runtime_->next_done() ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  over = true;
  takes.join();
}

TEST_F(PoolAsync, RefusesWhatCannotBe) {
  Pool pool = open_pool(1);
  weir_error_t error = WEIR_ERROR_INIT;
  weir_ticket_t* ticket = nullptr;
  weir_lease_t lease{};
  std::int32_t fd = 0;
  EXPECT_EQ(weir_acquire_start(nullptr, nullptr, nullptr, &ticket, &error), WEIR_BAD_ARGUMENT);
  EXPECT_EQ(weir_acquire_start(pool.get(), nullptr, nullptr, nullptr, &error), WEIR_BAD_ARGUMENT);
  EXPECT_EQ(weir_acquire_finish(nullptr, &lease, &error), WEIR_BAD_ARGUMENT);
  EXPECT_EQ(weir_event_fd(nullptr, &fd, &error), WEIR_BAD_ARGUMENT);
  EXPECT_EQ(weir_next_done(nullptr, &ticket, nullptr, &error), WEIR_BAD_ARGUMENT);
  weir_acquire_cancel(nullptr);
}

}  // namespace
}  // namespace weir::test
