#include "bench/crew.h"

#include <time.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>
#include <thread>

#include "base/clock.h"
#include "support/server_process.h"

namespace weir::bench {
namespace {

std::uint64_t own_cpu_ns() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(used.tv_nsec);
}

// std::atomic::wait works within one process only; nobody minds a millisecond here.
void await(const std::atomic<std::uint32_t>& word) {
  while (word.load() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

std::uint64_t sum_of(const CrewBoard& board, std::atomic<std::uint64_t> CrewBoard::Worker::*count) {
  std::uint64_t sum = 0;
  for (const CrewBoard::Worker& worker : board.workers) {
    sum += (worker.*count).load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace

Crew::Crew(CrewPlan plan) : plan_(std::move(plan)) {
  if (plan_.processes > kMostWorkers) throw std::runtime_error("a crew of too many processes");
  for (unsigned worker = 0; worker < plan_.processes; ++worker) {
    processes_.emplace_back([this, worker] {
      work(worker);
      return 0;
    });
  }
  const std::uint32_t all = plan_.processes * plan_.threads;
  if (!test::poll_until([&] { return board_->ready.load() == all; })) {
    throw std::runtime_error("a worker got no answer: " + first_error());
  }
}

Crew::~Crew() {
  board_->going.store(1);
  board_->over.store(1);
  board_->may_leave.store(1);
  for (test::WorkerProcess& process : processes_) {
    process.wait_at_most();
  }
}

void Crew::begin() { board_->going.store(1); }

void Crew::end() {
  board_->over.store(1);
  if (!test::poll_until([&] { return board_->settled.load() + killed_ >= plan_.processes; })) {
    throw std::runtime_error("a worker does not end: " + first_error());
  }
}

void Crew::kill(unsigned worker) {
  test::kill_and_see_it_gone(processes_[worker].pid());
  ++killed_;
}

std::uint64_t Crew::answered() const { return sum_of(*board_, &CrewBoard::Worker::answered); }
std::uint64_t Crew::failed() const { return sum_of(*board_, &CrewBoard::Worker::failed); }
std::uint64_t Crew::cpu_ns() const { return sum_of(*board_, &CrewBoard::Worker::cpu_ns); }

std::string Crew::first_error() const {
  return board_->error_state.load() == 2 ? board_->error.data() : "";
}

void Crew::work(unsigned worker) {
  CrewBoard::Worker& mine = board_->workers[worker];
  const std::unique_ptr<Way> way = plan_.make_way();
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < plan_.threads; ++t) {
      threads.emplace_back([this, &mine, &way, seed = worker * 1000 + t] {
        const std::unique_ptr<Caller> caller = way->caller();
        serve(mine, *caller, seed);
        await(board_->may_leave);  // with its connection open
      });
    }
    await(board_->going);
    const std::uint64_t before_ns = own_cpu_ns();
    await(board_->over);
    mine.cpu_ns.store(own_cpu_ns() - before_ns);
    board_->settled.fetch_add(1);
  }
}

void Crew::serve(CrewBoard::Worker& mine, Caller& caller, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string sql;
  while (true) {
    plan_.next_query(random(), sql);
    const std::string error = caller.run(sql.c_str());
    if (error.empty()) break;
    note(error);
    if (board_->over.load() != 0) return;
    std::this_thread::sleep_for(plan_.rest);
  }
  board_->ready.fetch_add(1);
  await(board_->going);
  while (board_->over.load(std::memory_order_relaxed) == 0) {
    plan_.next_query(random(), sql);
    const std::uint64_t began_ns = monotonic_ns();
    const std::string error = caller.run(sql.c_str());
    if (error.empty()) {
      board_->latency.add(monotonic_ns() - began_ns);
      mine.answered.fetch_add(1, std::memory_order_relaxed);
    } else {
      note(error);
      mine.failed.fetch_add(1, std::memory_order_relaxed);
      std::this_thread::sleep_for(plan_.rest);
    }
  }
}

void Crew::note(const std::string& error) {
  std::uint32_t none = 0;
  if (!board_->error_state.compare_exchange_strong(none, 1)) return;
  const std::size_t length = std::min(error.find_first_of('\n'), board_->error.size() - 1);
  std::memcpy(board_->error.data(), error.data(), std::min(length, error.size()));
  board_->error_state.store(2);
}

}  // namespace weir::bench
