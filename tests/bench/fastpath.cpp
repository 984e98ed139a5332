// What taking a connection from a pool and giving it back costs when nothing is done with it: weir,
// the simplest pools there are, and what Debian has of other libraries' pools.
//
// weir's connections are real ones of a PostgreSQL of our own, which is not asked anything in
// between; its keeper runs, as always, and so glibc never takes the short cuts it has for processes
// of one thread. weir's settings are its defaults but for the size of the pool.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#ifdef WEIR_BENCH_SOCI
#include <soci/connection-pool.h>
#include <soci/version.h>
#endif

#include "bench/floors.h"
#include "bench/main_of.h"
#include "bench/peer.h"
#include "bench/turns.h"
#include "support/postgres_server.h"
#include "support/temp_folder.h"
#include "weir/weir.h"

namespace weir::bench {
namespace {

constexpr unsigned kThreads[] = {1, 2, 4, 16};
constexpr unsigned kConnections[] = {1, 4, 10};

/// What a caller does with a connection here: no more than the compiler has to believe.
void use(const void* connection) { asm volatile("" : : "r"(connection) : "memory"); }

class WeirPools {
 public:
  WeirPools() {
    std::string config = "[runtime]\nfolder = \"" + folder_.path().string() + "/segment\"\n";
    for (const unsigned size : kConnections) {
      config += "[pool." + name(size) + "]\ndriver = \"postgres\"\ndsn = \"" + server_.dsn() +
                "\"\nmax = " + std::to_string(size) + "\n";
    }
    weir_open_options_t options{};
    options.struct_size = sizeof options;
    options.config_text = config.c_str();
    weir_error_t error = WEIR_ERROR_INIT;
    if (weir_open(&options, &runtime_, &error) != WEIR_OK) throw std::runtime_error(error.message);
  }
  ~WeirPools() { weir_close(runtime_, nullptr); }
  WeirPools(const WeirPools&) = delete;
  WeirPools& operator=(const WeirPools&) = delete;

  [[nodiscard]] weir_pool_t* pool(unsigned size) const {
    weir_pool_t* pool = nullptr;
    weir_error_t error = WEIR_ERROR_INIT;
    if (weir_pool(runtime_, name(size).c_str(), &pool, &error) != WEIR_OK) {
      throw std::runtime_error(error.message);
    }
    return pool;
  }

 private:
  static std::string name(unsigned size) { return "of" + std::to_string(size); }

  test::PostgresServer server_;
  test::TempFolder folder_;
  weir_runtime_t* runtime_ = nullptr;
};

[[noreturn]] void give_up(const weir_error_t& error) {
  std::fprintf(stderr, "bench fastpath: %s\n", error.message);
  std::_Exit(2);
}

Turns weir_turns(weir_pool_t* pool, unsigned threads, std::chrono::nanoseconds length) {
  return run_turns(threads, length, [pool, error = weir_error_t(WEIR_ERROR_INIT)]() mutable {
    weir_lease_t lease;
    if (weir_acquire(pool, nullptr, &lease, &error) != WEIR_OK) give_up(error);
    use(lease.native);
    if (weir_release(&lease, &error) != WEIR_OK) give_up(error);
  });
}

template <typename Pool>
Turns pointer_turns(Pool& pool, unsigned threads, std::chrono::nanoseconds length) {
  return run_turns(threads, length, [&pool] {
    void* const connection = pool.take();
    use(connection);
    pool.give(connection);
  });
}

template <bool kGivesByStore>
Turns word_turns(Words<kGivesByStore>& pool, unsigned threads, std::chrono::nanoseconds length) {
  return run_turns(threads, length, [&pool, last = std::size_t{0}]() mutable {
    last = pool.take(last);
    use(&last);
    pool.give(last);
  });
}

/// What every case needs, for as long as the plan lives.
struct World {
  WeirPools weir;
  Peer hikari{{"java", "-cp", WEIR_BENCH_JARS "/HikariCP.jar:" WEIR_BENCH_JARS "/slf4j-api.jar",
               WEIR_BENCH_PEERS "/Hikari.java"}};
  // Debian's packages belong to Debian's Python, whatever else is first in PATH.
  Peer sqlalchemy{{"/usr/bin/python3", WEIR_BENCH_PEERS "/pools.py", "sqlalchemy"}};
  Peer psycopg_pool{{"/usr/bin/python3", WEIR_BENCH_PEERS "/pools.py", "psycopg_pool"}};
};

using Measure = std::function<Turns(unsigned, unsigned, std::chrono::nanoseconds)>;

class Cases {
 public:
  Cases(std::shared_ptr<World> world, std::chrono::nanoseconds length)
      : world_(std::move(world)), length_(length) {}

  Case of(unsigned threads, unsigned connections) {
    Case one;
    one.name = std::to_string(threads) + (threads == 1 ? " thread, " : " threads, ") +
               std::to_string(connections) + (connections == 1 ? " connection" : " connections");
    const auto add = [&](const std::string& name, const Measure& measure) {
      one.variants.push_back({name, [measure, threads, connections, length = length_](std::size_t) {
                                return figures_of(measure(threads, connections, length));
                              }});
    };
    if (threads <= connections) {
      add("CAS and store", [](unsigned t, unsigned c, auto length) {
        Words<true> words(c);
        return word_turns(words, t, length);
      });
      add("CAS and CAS", [](unsigned t, unsigned c, auto length) {
        Words<false> words(c);
        return word_turns(words, t, length);
      });
      add("mutex and vector", [](unsigned t, unsigned c, auto length) {
        MutexAndVector pool(c);
        return pointer_turns(pool, t, length);
      });
    } else {
      add("mutex, vector, condition", [](unsigned t, unsigned c, auto length) {
        MutexAndCondition pool(c);
        return pointer_turns(pool, t, length);
      });
    }
    add("weir", [world = world_](unsigned t, unsigned c, auto length) {
      return weir_turns(world->weir.pool(c), t, length);
    });
#ifdef WEIR_BENCH_SOCI
    add("SOCI", [](unsigned t, unsigned c, auto length) {
      soci::connection_pool pool(c);  // its sessions are never opened
      return run_turns(t, length, [&pool] {
        const std::size_t at = pool.lease();
        use(&pool.at(at));
        pool.give_back(at);
      });
    });
#endif
    for (const auto& [name, peer] : peers()) {
      if (!peer->is_ready()) continue;
      add(name, [world = world_, its_peer = peer](unsigned t, unsigned c, auto length) {
        return its_peer->run(t, c, length);
      });
    }
    return one;
  }

  [[nodiscard]] std::vector<Missing> missing() const {
    std::vector<Missing> missing;
#ifndef WEIR_BENCH_SOCI
    missing.push_back({"SOCI", "libsoci-dev was not there when this was built"});
#endif
    for (const auto& [name, peer] : peers()) {
      if (!peer->is_ready()) missing.push_back({name, peer->words()});
    }
    return missing;
  }

  void tell_versions() const {
#ifdef WEIR_BENCH_SOCI
    std::fprintf(stderr, "SOCI: %d.%d.%d\n", SOCI_VERSION / 100000, SOCI_VERSION / 100 % 1000,
                 SOCI_VERSION % 100);
#endif
    for (const auto& [name, peer] : peers()) {
      std::fprintf(stderr, "%s: %s\n", name, peer->words().c_str());
    }
  }

 private:
  [[nodiscard]] std::vector<std::pair<const char*, Peer*>> peers() const {
    return {{"HikariCP", &world_->hikari},
            {"SQLAlchemy", &world_->sqlalchemy},
            {"psycopg_pool", &world_->psycopg_pool}};
  }

  std::shared_ptr<World> world_;
  std::chrono::nanoseconds length_;
};

Plan make_plan(const Settings& settings) {
  Cases cases(std::make_shared<World>(), settings.length);
  cases.tell_versions();
  Plan plan;
  for (const unsigned threads : kThreads) {
    for (const unsigned connections : kConnections) {
      plan.cases.push_back(cases.of(threads, connections));
    }
  }
  for (const char* const other : {"mutex and vector", "mutex, vector, condition", "CAS and CAS",
                                  "SOCI", "HikariCP", "SQLAlchemy", "psycopg_pool"}) {
    plan.comparisons.push_back({"weir", other, "time"});
  }
  plan.missing = cases.missing();
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "fastpath",
       .about = "What an acquire and a release cost, with nothing in between, beside other pools.",
       .rounds = 11,
       .seconds = 0.2},
      weir::bench::make_plan);
}
