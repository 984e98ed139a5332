// Queries of eight worker processes on one PostgreSQL: each thread with a connection of its own,
// through weir, and through PgBouncer in transaction mode.
//
// Processor time is counted for each answered query: of the workers (weir's own part is there), of
// the proxy, and of the server's backends.
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "bench/cpu.h"
#include "bench/crew.h"
#include "bench/main_of.h"
#include "bench/ways.h"
#include "bench/weir_config.h"
#include "support/pgbouncer.h"
#include "support/postgres_server.h"
#include "support/temp_folder.h"

namespace weir::bench {
namespace {

constexpr unsigned kProcesses = 8;
constexpr int kQuota = 20;
constexpr unsigned kItems = 100'000;

struct World {
  test::PostgresServer server;
  std::unique_ptr<test::Pgbouncer> pgbouncer;

  World() {
    server.ask(
        "CREATE TABLE item (id integer PRIMARY KEY, name text NOT NULL);"
        "INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, " +
        std::to_string(kItems) +
        ") n;"
        "GRANT SELECT ON item TO app;"
        "ANALYZE item");
    if (test::Pgbouncer::is_installed()) {
      pgbouncer =
          std::make_unique<test::Pgbouncer>(server, test::PgbouncerSettings{.pool_size = kQuota});
    }
  }
};

struct Query {
  const char* name;
  void (*next)(std::uint64_t draw, std::string& sql);
};

constexpr Query kQueries[] = {
    {"SELECT 1", [](std::uint64_t, std::string& sql) { sql = "SELECT 1"; }},
    {"SELECT by key",
     [](std::uint64_t draw, std::string& sql) {
       sql = "SELECT name FROM item WHERE id = " + std::to_string(draw % kItems + 1);
     }},
};

/// Sessions that the server has begun so far.
double sessions_begun(test::PostgresServer& server) {
  return std::stod(server.ask("SELECT sessions FROM pg_stat_database WHERE datname = 'app'"));
}

/// One measurement: a new crew takes that way for so long.
std::vector<Figure> measure(World& world, const CrewPlan& plan, std::chrono::nanoseconds length) {
  const pid_t proxy = world.pgbouncer ? world.pgbouncer->pid() : -1;
  Crew crew(plan);
  const double sessions_before = sessions_begun(world.server);
  const std::uint64_t servers_before = children_cpu_ns(world.server.pid());
  const std::uint64_t proxy_before = cpu_ns(proxy);
  const std::uint64_t began_ns = monotonic_ns();
  crew.begin();
  std::this_thread::sleep_for(length);
  crew.end();
  const double seconds = static_cast<double>(monotonic_ns() - began_ns) / 1e9;
  const auto answered = static_cast<double>(crew.answered());
  const std::uint64_t proxy_ns = cpu_ns(proxy) - proxy_before;
  const std::uint64_t servers_ns = children_cpu_ns(world.server.pid()) - servers_before;
  const double connects = sessions_begun(world.server) - sessions_before;
  if (crew.failed() != 0 || answered == 0) {
    throw std::runtime_error("a query failed: " + crew.first_error());
  }

  const auto us_each = [&](std::uint64_t ns) { return static_cast<double>(ns) / 1e3 / answered; };
  const Histogram& latency = crew.board().latency;
  return {{"throughput", "queries/s", answered / seconds},
          {"p50", "us", latency.percentile_ns(0.50) / 1e3},
          {"p99", "us", latency.percentile_ns(0.99) / 1e3},
          {"CPU per query", "us", us_each(crew.cpu_ns() + proxy_ns + servers_ns)},
          {"CPU per query, workers", "us", us_each(crew.cpu_ns())},
          {"CPU per query, proxy", "us", us_each(proxy_ns)},
          {"CPU per query, backends", "us", us_each(servers_ns)},
          {"connects", "connects/s", connects / seconds}};
}

/// Through weir with these lines in [pool.main].
std::vector<Figure> measure_weir(World& world, CrewPlan crew, const std::string& keys,
                                 std::chrono::nanoseconds length) {
  const test::TempFolder folder;
  Runtime runtime = Runtime::from_text(text_of(
      {.folder = folder.path().string(), .dsn = world.server.dsn(), .max = kQuota, .more = keys}));
  crew.make_way = [&] { return lease_from_weir(runtime); };
  return measure(world, crew, length);
}

std::vector<Figure> measure_libpq(World& world, CrewPlan crew, const std::string& dsn,
                                  std::chrono::nanoseconds length) {
  crew.make_way = [&] { return connect_by_libpq(dsn); };
  return measure(world, crew, length);
}

/// Four callers for each connection: whoever shares, who waits is served by others' releases.
Case saturated(const std::shared_ptr<World>& world, std::chrono::nanoseconds length) {
  const CrewPlan crew{
      .processes = kProcesses, .threads = 10, .make_way = {}, .next_query = kQueries[0].next};
  Case one;
  one.name = "saturated SELECT 1, 8 x 10";
  one.variants.push_back(
      {"weir, tracked", [=](std::size_t) { return measure_weir(*world, crew, "", length); }});
  one.variants.push_back({"weir, by permit", [=](std::size_t) {
                            return measure_weir(*world, crew, "handover = \"permit\"\n", length);
                          }});
  if (world->pgbouncer) {
    one.variants.push_back({"PgBouncer", [=](std::size_t) {
                              return measure_libpq(*world, crew, world->pgbouncer->dsn(), length);
                            }});
  }
  return one;
}

Plan make_plan(const Settings& settings) {
  const auto world = std::make_shared<World>();
  Plan plan;
  for (const Query& query : kQueries) {
    for (const unsigned threads : {1U, 4U}) {
      Case one;
      one.name = std::string(query.name) + ", " + std::to_string(kProcesses) + " x " +
                 std::to_string(threads);
      const CrewPlan crew{
          .processes = kProcesses, .threads = threads, .make_way = {}, .next_query = query.next};

      one.variants.push_back({"direct", [=](std::size_t) {
                                return measure_libpq(*world, crew, world->server.dsn(),
                                                     settings.length);
                              }});
      for (const char* const reset : {"tracked", "always", "transaction"}) {
        one.variants.push_back({std::string("weir, ") + reset, [=](std::size_t) {
                                  return measure_weir(*world, crew,
                                                      std::string("reset = \"") + reset + "\"\n",
                                                      settings.length);
                                }});
      }
      if (world->pgbouncer) {
        one.variants.push_back({"PgBouncer", [=](std::size_t) {
                                  return measure_libpq(*world, crew, world->pgbouncer->dsn(),
                                                       settings.length);
                                }});
      }
      plan.cases.push_back(std::move(one));
    }
  }
  plan.cases.push_back(saturated(world, settings.length));
  for (const char* const metric : {"throughput", "CPU per query", "p99"}) {
    for (const char* const other : {"direct", "PgBouncer"}) {
      for (const char* const reset : {"tracked", "always", "transaction"}) {
        plan.comparisons.push_back({std::string("weir, ") + reset, other, metric});
      }
    }
    plan.comparisons.push_back({"PgBouncer", "direct", metric});
  }
  if (!world->pgbouncer) plan.missing.push_back({"PgBouncer", "not installed"});
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(
      argc, argv,
      {.name = "e2e",
       .about = "Queries of eight processes: direct, through weir, through PgBouncer.",
       .rounds = 21,
       .seconds = 0.25},
      weir::bench::make_plan);
}
