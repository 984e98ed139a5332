// An idle acquire and release beside the simplest pool there is, a mutex and a vector: one thread
// works, a second one is alive (else glibc skips the mutex's atomics), weir's keeper is running.
// Rounds of the two are interleaved; ratios are taken round by round.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/postgres_server.h"
#include "support/temp_folder.h"
#include "weir/weir.h"

namespace {

constexpr int kRounds = 15;
constexpr int kTurns = 1'000'000;

struct Row {
  double median, min, max;
};

Row row_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

double ns_per_turn(const std::function<void()>& turns) {
  const auto began = std::chrono::steady_clock::now();
  turns();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
  return took.count() / kTurns;
}

[[noreturn]] void give_up(const char* what, const weir_error_t& error) {
  std::fprintf(stderr, "%s: %s\n", what, error.message);
  std::exit(1);
}

void use(void* connection) { asm volatile("" : : "r"(connection) : "memory"); }

class MutexAndVector {
 public:
  MutexAndVector() : idle_(4, this) {}
  void turns() {
    for (int i = 0; i < kTurns; ++i) {
      void* const connection = take();
      use(connection);
      give(connection);
    }
  }

 private:
  void* take() {
    const std::lock_guard lock(mutex_);
    void* const connection = idle_.back();
    idle_.pop_back();
    return connection;
  }
  void give(void* connection) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(connection);
  }
  std::mutex mutex_;
  std::vector<void*> idle_;
};

void weir_turns(weir_pool_t* pool) {
  weir_error_t error = WEIR_ERROR_INIT;
  weir_lease_t lease;
  for (int i = 0; i < kTurns; ++i) {
    if (weir_acquire(pool, nullptr, &lease, &error) != WEIR_OK) give_up("acquire", error);
    use(lease.native);
    if (weir_release(&lease, &error) != WEIR_OK) give_up("release", error);
  }
}

}  // namespace

int main() {
  weir::test::PostgresServer server;
  const weir::test::TempFolder folder;
  const std::string config = "[runtime]\nfolder = \"" + folder.path().string() + "/segment\"\n" +
                             "[pool.main]\ndriver = \"postgres\"\ndsn = \"" + server.dsn() +
                             "\"\nmax = 4\n";
  weir_error_t error = WEIR_ERROR_INIT;
  weir_open_options_t options{};
  options.struct_size = sizeof options;
  options.config_text = config.c_str();
  weir_runtime_t* runtime = nullptr;
  weir_pool_t* pool = nullptr;
  if (weir_open(&options, &runtime, &error) != WEIR_OK ||
      weir_pool(runtime, "main", &pool, &error) != WEIR_OK) {
    give_up("open", error);
  }
  std::atomic<bool> stop{false};
  std::thread second([&] { stop.wait(false); });

  MutexAndVector plain;
  weir_turns(pool);  // connects, and starts the keeper
  std::vector<double> plain_ns, weir_ns, ratios;
  for (int round = 0; round < kRounds; ++round) {
    plain_ns.push_back(ns_per_turn([&] { plain.turns(); }));
    weir_ns.push_back(ns_per_turn([&] { weir_turns(pool); }));
    ratios.push_back(weir_ns.back() / plain_ns.back());
    std::fprintf(stderr, "\rround %d of %d", round + 1, kRounds);
  }
  std::fputs("\n", stderr);
  stop.store(true);
  stop.notify_all();
  second.join();
  const auto print = [](const char* what, const Row& row, const char* unit) {
    std::printf("%-32s %7.2f %s  (%.2f to %.2f)\n", what, row.median, unit, row.min, row.max);
  };
  print("mutex and vector", row_of(plain_ns), "ns");
  print("weir acquire and release", row_of(weir_ns), "ns");
  print("weir / mutex and vector", row_of(ratios), "  ");
  return weir_close(runtime, &error);
}
