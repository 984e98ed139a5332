// What opening one connection costs: by libpq alone, and by an acquire of weir that finds none.
//
// Timed is the one call. Before the next one the server has let go of the last session, so all of
// them meet an idle server.
#include <libpq-fe.h>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "bench/histogram.h"
#include "bench/main_of.h"
#include "bench/weir_config.h"
#include "support/postgres_server.h"
#include "support/temp_folder.h"
#include "weir/weir.hpp"

namespace weir::bench {
namespace {

constexpr const char* kPassword = "a password of this benchmark";

void until(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::microseconds(200));
}

/// One of the two servers, and weir's runtime for it.
class Place {
 public:
  explicit Place(bool is_remote)
      : server_(is_remote ? test::PostgresSettings{.auth = "scram-sha-256", .tcp = true}
                          : test::PostgresSettings{}),
        dsn_(is_remote ? server_.tcp_dsn_as("app") + " password='" + kPassword + "'"
                       : server_.dsn()) {
    if (is_remote) server_.ask(std::string("ALTER ROLE app PASSWORD '") + kPassword + "'");
    runtime_ = std::make_unique<Runtime>(
        Runtime::from_text(text_of({.folder = folder_.path().string(), .dsn = dsn_})));
  }
  ~Place() {
    try {
      runtime_->close();
    } catch (const Error&) {
    }
  }

  /// Runs `open`, timed, and `close`, not timed, for so long.
  std::vector<Figure> measure(std::chrono::nanoseconds length, const std::function<void()>& open,
                              const std::function<void()>& close) {
    const auto histogram = std::make_unique<Histogram>();
    const Deadline end = Deadline::after(length);
    do {
      const std::uint64_t began_ns = monotonic_ns();
      open();
      histogram->add(monotonic_ns() - began_ns);
      close();
      until([&] { return server_.count_sessions() == 0; });
    } while (!end.passed(monotonic_ns()));
    return {{"p50", "us", histogram->percentile_ns(0.50) / 1e3},
            {"p90", "us", histogram->percentile_ns(0.90) / 1e3}};
  }

  std::vector<Figure> with_libpq(std::chrono::nanoseconds length) {
    PGconn* connection = nullptr;
    return measure(
        length,
        [&] {
          connection = PQconnectdb(dsn_.c_str());
          if (PQstatus(connection) != CONNECTION_OK) {
            throw std::runtime_error(PQerrorMessage(connection));
          }
        },
        [&] { PQfinish(connection); });
  }

  std::vector<Figure> with_weir(std::chrono::nanoseconds length) {
    Pool pool = runtime_->pool("main");
    Lease lease;
    return measure(
        length, [&] { lease = pool.acquire(); },
        [&] {
          lease.discard();
          until([&] { return pool.stats().total == 0; });
        });
  }

 private:
  test::PostgresServer server_;
  const std::string dsn_;
  test::TempFolder folder_;
  std::unique_ptr<Runtime> runtime_;
};

Plan make_plan(const Settings& settings) {
  Plan plan;
  for (const bool is_remote : {false, true}) {
    const auto place = std::make_shared<Place>(is_remote);
    plan.cases.push_back(
        {is_remote ? "TCP on loopback, SCRAM" : "Unix socket, trust",
         {{"libpq", [=](std::size_t) { return place->with_libpq(settings.length); }},
          {"weir", [=](std::size_t) { return place->with_weir(settings.length); }}}});
  }
  plan.comparisons = {{"weir", "libpq", "p50"}, {"weir", "libpq", "p90"}};
  return plan;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  return weir::bench::main_of(argc, argv,
                              {.name = "connect",
                               .about = "Opening a connection through weir and with libpq alone.",
                               .rounds = 31,
                               .seconds = 0.2},
                              weir::bench::make_plan);
}
