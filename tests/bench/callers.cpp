#include "bench/callers.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <thread>

#include "base/clock.h"
#include "demo/query.h"
#include "support/interrupt.h"
#include "support/worker_process.h"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

constexpr auto kStartIn = 300ms;  // until all workers are there
constexpr auto kLookPause = 5ms;
constexpr auto kPatience = 20s;

std::uint64_t ns_of(std::chrono::nanoseconds duration) {
  return static_cast<std::uint64_t>(duration.count());
}

void sleep_until_ns(std::uint64_t at_ns) {
  std::this_thread::sleep_for(Deadline::at_ns(at_ns).left(monotonic_ns()));
}

// When a measurement begins, begins to count, and ends.
struct Times {
  std::uint64_t start_ns, counts_ns, end_ns;
};

// One thread of a kind.
class Caller {
 public:
  Caller(Pool pool, const Kind& kind, const Times& times, std::uint64_t seed)
      : pool_(pool), kind_(kind), times_(times), random_(static_cast<std::uint32_t>(seed)) {}

  void call(Tally& tally, Tally& early) {
    sleep_until_ns(times_.start_ns);
    rest();  // so that they do not all come at once
    for (std::uint64_t now_ns; (now_ns = wait_for_its_time()) < times_.end_ns;) {
      ++requests_;
      Request request{.hold = kind_.hold,
                      .options = {.timeout = kind_.timeout},
                      .spoils = kind_.spoils_each != 0 && requests_ % kind_.spoils_each == 0};
      if (!kind_.class_name.empty()) request.options.class_name = kind_.class_name.c_str();
      serve(pool_, request, now_ns < times_.counts_ns ? early : tally);
      rest();
    }
  }

 private:
  void rest() {
    if (kind_.pause == 0us) return;
    std::exponential_distribution<double> pause(1.0 / static_cast<double>(kind_.pause.count()));
    std::this_thread::sleep_for(std::chrono::duration<double, std::micro>(pause(random_)));
  }

  // The time when it asks: now, or when its turn comes.
  std::uint64_t wait_for_its_time() {
    const std::uint64_t now_ns = monotonic_ns(), every_ns = ns_of(kind_.every);
    if (every_ns == 0) return now_ns;
    const std::uint64_t since_ns = now_ns - times_.start_ns, after_ns = ns_of(kind_.after);
    const std::uint64_t phase_ns = (since_ns + every_ns - after_ns) % every_ns;
    if (phase_ns < ns_of(kind_.on)) return now_ns;
    sleep_until_ns(std::min(now_ns + every_ns - phase_ns, times_.end_ns));
    rest();
    return monotonic_ns();
  }

  Pool pool_;
  const Kind& kind_;
  const Times& times_;
  std::minstd_rand random_;
  unsigned requests_ = 0;
};

// Takes a processor for so long, once a second: as a script may that never ends.
void burn(milliseconds length, const Times& times) {
  for (std::uint64_t turn_ns = times.start_ns; turn_ns < times.end_ns; turn_ns += ns_of(1s)) {
    sleep_until_ns(turn_ns);
    while (monotonic_ns() < turn_ns + ns_of(length)) continue;
  }
}

int work(Runtime& runtime, const CallersPlan& plan, const Times& times, std::uint32_t worker,
         Board& board) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < plan.kinds.size(); ++i) {
    for (unsigned thread = 0; thread < plan.kinds[i].threads; ++thread) {
      const std::uint64_t seed = 1 + worker * 1000 + i * 100 + thread;
      threads.emplace_back([&, i, seed] {
        const Kind& kind = plan.kinds[i];
        Caller(runtime.pool(kind.pool), kind, times, seed).call(board.kinds[i], board.early);
      });
    }
  }
  if (plan.burn > 0ms) threads.emplace_back([&] { burn(plan.burn, times); });
  for (std::thread& thread : threads) thread.join();
  ++board.done;
  try {
    runtime.close();
  } catch (const Error& error) {
    std::fprintf(stderr, "weir: %s\n", error.what());
  }
  return 0;
}

Counted count(demo::WeirSide& weir, const CallersPlan& plan) {
  Counted counted;
  for (const std::string& pool : plan.pools) {
    counted.connects += weir.counter(shm::Counter::kConnects, pool);
    counted.policy_errors += weir.counter(shm::Counter::kPolicyErrors, pool);
  }
  return counted;
}

}  // namespace

void serve(Pool& pool, const Request& request, Tally& tally) {
  const std::uint64_t asked_ns = monotonic_ns();
  std::uint64_t had_ns = 0;
  bool is_good = false, is_late = false;
  try {
    Lease lease = pool.acquire(request.options);
    had_ns = monotonic_ns();
    const auto hold_us = static_cast<std::uint32_t>(request.hold.count());
    is_good = demo::run_query(lease.native<PGconn>(), hold_us).empty();
    request.spoils ? lease.discard() : lease.release();
  } catch (const Error& error) {
    is_good = false;
    is_late = error.is_timeout();
  }
  const std::uint64_t now_ns = monotonic_ns();
  tally.waits.add((had_ns != 0 ? had_ns : now_ns) - asked_ns);
  if (is_good) {
    ++tally.served;
    return;
  }
  ++(is_late ? tally.timeouts : tally.failures);
  for (std::uint64_t last_ns = tally.last_bad_ns.load(); last_ns < now_ns;) {
    if (tally.last_bad_ns.compare_exchange_weak(last_ns, now_ns)) break;
  }
}

Counted run_callers(demo::WeirSide& weir, const CallersPlan& plan, Board& board) {
  const std::uint64_t start_ns = monotonic_ns() + ns_of(kStartIn);
  const std::uint64_t counts_ns = start_ns + ns_of(plan.warm);
  const Times times{start_ns, counts_ns, counts_ns + ns_of(plan.length)};
  std::vector<test::WorkerProcess> workers;
  for (std::uint32_t i = 0; i < plan.workers; ++i) {
    workers.emplace_back([&, i] { return work(weir.runtime(), plan, times, i, board); });
  }
  Counted before;
  while (board.done.load() < plan.workers) {
    const std::uint64_t now_ns = monotonic_ns();
    if (test::is_interrupted()) throw std::runtime_error("interrupted");
    if (now_ns > times.end_ns + ns_of(kPatience)) throw std::runtime_error("a worker did not end");
    if (now_ns < counts_ns) before = count(weir, plan);
    if (plan.meanwhile) {
      const auto since_ns = static_cast<std::int64_t>(now_ns - counts_ns);
      plan.meanwhile(std::chrono::duration_cast<milliseconds>(std::chrono::nanoseconds(since_ns)));
    }
    std::this_thread::sleep_for(kLookPause);
  }
  const Counted after = count(weir, plan);
  for (test::WorkerProcess& worker : workers) {
    if (worker.wait_at_most() != 0) throw std::runtime_error("a worker did not end well");
  }
  return {.began_ns = counts_ns,
          .connects = after.connects - before.connects,
          .policy_errors = after.policy_errors - before.policy_errors};
}

}  // namespace weir::bench
