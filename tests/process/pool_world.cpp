#include "pool_world.h"

#include <sys/mman.h>

#include <deque>
#include <stdexcept>
#include <utility>

#include "base/status.h"
#include "shm/segment.h"

namespace weir::test {
namespace {

weir_acquire_options_t options_for(Nanos timeout, const char* label) {
  weir_acquire_options_t options = WEIR_ACQUIRE_OPTIONS_INIT;
  if (timeout != kDefaultTimeout) options.timeout_ns = timeout.count();
  options.label = label;
  return options;
}

}  // namespace

Answer answer_of(std::int32_t code, const weir_error_t& error) {
  if (code == WEIR_OK) return {};
  return {weir_code_name(code), error.message};
}

Got acquire(weir_pool_t* pool, Nanos timeout, const char* label) {
  Got got;
  weir_error_t error = WEIR_ERROR_INIT;
  const weir_acquire_options_t options = options_for(timeout, label);
  static_cast<Answer&>(got) = answer_of(weir_acquire(pool, &options, &got.lease, &error), error);
  return got;
}

Got try_acquire(weir_pool_t* pool) {
  Got got;
  weir_error_t error = WEIR_ERROR_INIT;
  static_cast<Answer&>(got) = answer_of(weir_try_acquire(pool, nullptr, &got.lease, &error), error);
  return got;
}

Answer release(weir_lease_t& lease) {
  weir_error_t error = WEIR_ERROR_INIT;
  return answer_of(weir_release(&lease, &error), error);
}

Answer discard(weir_lease_t& lease) {
  weir_error_t error = WEIR_ERROR_INIT;
  return answer_of(weir_discard(&lease, &error), error);
}

weir_pool_stats_t stats_of(weir_pool_t* pool) {
  weir_pool_stats_t stats{};
  stats.struct_size = sizeof stats;
  weir_error_t error = WEIR_ERROR_INIT;
  require(answer_of(weir_pool_stats(pool, &stats, &error), error), "stats");
  return stats;
}

std::string ask(PGconn* conn, const std::string& statements) {
  if (conn == nullptr) return "error: no connection";
  PGresult* const result = PQexec(conn, statements.c_str());
  const ExecStatusType status = PQresultStatus(result);
  std::string answer;
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    answer = std::string("error: ") + PQerrorMessage(conn);
  } else if (PQntuples(result) > 0) {
    answer = PQgetvalue(result, 0, 0);
  }
  PQclear(result);
  return answer;
}

// ---- Weir -----------------------------------------------------------------------------------

Weir::Weir(const std::string& config_text, bool no_threads) {
  weir_open_options_t options{};
  options.struct_size = sizeof options;
  options.config_text = config_text.c_str();
  options.log = &Weir::take_line;
  options.log_context = &book_;
  options.no_threads = no_threads ? 1 : 0;
  weir_error_t error = WEIR_ERROR_INIT;
  require(answer_of(weir_open(&options, &runtime_, &error), error), "weir_open");
}

Weir::~Weir() {
  if (runtime_ != nullptr) static_cast<void>(close());
}

weir_pool_t* Weir::pool(const char* name) const {
  weir_pool_t* found = nullptr;
  weir_error_t error = WEIR_ERROR_INIT;
  require(answer_of(weir_pool(runtime_, name, &found, &error), error), "weir_pool");
  return found;
}

void Weir::attach() const {
  weir_error_t error = WEIR_ERROR_INIT;
  require(answer_of(weir_keep(runtime_, nullptr, &error), error), "weir_keep");
}

Answer Weir::close() {
  weir_error_t error = WEIR_ERROR_INIT;
  return answer_of(weir_close(std::exchange(runtime_, nullptr), &error), error);
}

std::vector<std::string> Weir::log() const {
  const MutexLock lock(book_.mutex);
  return book_.lines;
}

std::vector<std::string> Weir::log_of(const std::string& event) const {
  std::vector<std::string> lines = log();
  std::erase_if(lines, [&](const std::string& line) {
    return line != "event=" + event && !line.starts_with("event=" + event + " ");
  });
  return lines;
}

Weir::Book& Weir::new_book() {
  static Mutex mutex;
  static auto* const books = new std::deque<Book>();
  const MutexLock lock(mutex);
  return books->emplace_back();
}

void Weir::take_line(void* book, std::int32_t /*level*/, const char* line) {
  auto& into = *static_cast<Book*>(book);
  const MutexLock lock(into.mutex);
  into.lines.emplace_back(line);
}

// ---- PoolWorld ------------------------------------------------------------------------------

std::string PoolWorld::config_in(const std::string& folder, const std::string& keys,
                                 const std::string& more) const {
  return "[runtime]\nservice = \"shop\"\naliases = false\nfolder = \"" + folder +
         "\"\n[pool.main]\ndriver = \"postgres\"\ndsn = \"" + dsn_ + "\"\n" + keys + "\n" + more;
}

shm::Snapshot PoolWorld::snapshot() const {
  shm::SegmentOptions options;
  options.folder = folder();
  const auto segment = shm::Segment::open_read_only(options);
  if (!segment.ok()) throw std::runtime_error(segment.status().to_string());
  return shm::take_snapshot(*segment.value());
}

shm::PoolSnapshot PoolWorld::pool(const std::string& name) const {
  const shm::Snapshot snapshot = this->snapshot();
  const shm::PoolSnapshot* const pool = snapshot.pool(name);
  if (pool == nullptr) throw std::runtime_error("the segment has no pool " + name);
  return *pool;
}

std::string PoolWorld::unrest() const {
  const shm::Snapshot now = snapshot();
  if (!now.poison_reason.empty()) return "poisoned: " + now.poison_reason;
  if (!now.waiters.empty()) return std::to_string(now.waiters.size()) + " in line";
  for (const shm::PoolSnapshot& pool : now.pools) {
    for (std::size_t s = 0; s < shm::kPlaceStates; ++s) {
      const auto state = static_cast<shm::PlaceState>(s);
      if (state == shm::PlaceState::kFree || state == shm::PlaceState::kIdle ||
          state == shm::PlaceState::kRetired) {
        continue;
      }
      if (pool.in(state) > 0) {
        return "pool " + pool.name + ": " + std::to_string(pool.in(state)) + " " +
               std::string(shm::place_state_name(state));
      }
    }
    if (pool.handshakes > 0) return "pool " + pool.name + ": a handshake is under way";
  }
  for (const shm::QuotaSnapshot& quota : now.quotas) {
    std::uint32_t open = 0;
    for (const shm::PoolSnapshot& pool : now.pools) {
      if (pool.quota == quota.row) open += pool.occupied();
    }
    if (quota.held != open || quota.held + quota.free != quota.limit) {
      return "quota " + quota.name + ": " + std::to_string(quota.held) + " held and " +
             std::to_string(quota.free) + " free of " + std::to_string(quota.limit) + ", " +
             std::to_string(open) + " open";
    }
  }
  return "";
}

std::string PoolWorld::await_rest(Nanos patience) const {
  std::string last;
  static_cast<void>(poll_until([&] { return (last = unrest()).empty(); }, patience));
  return last;
}

// ---- what processes share -------------------------------------------------------------------

std::unique_ptr<WorkerProcess> idle_worker(const std::string& config) {
  SharedCounter ready;
  auto worker = std::make_unique<WorkerProcess>([&]() -> int {
    Weir own(config);
    Got got = acquire(own.pool());
    require(got, "acquire");
    require(release(got.lease), "release");
    ready.add();
    while (true) pause();
  });
  require(ready.await(1), "an idle worker");
  return worker;
}

void* map_shared(std::size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  WEIR_CHECK(memory != MAP_FAILED);
  return memory;
}

void unmap_shared(void* memory, std::size_t bytes) { munmap(memory, bytes); }

void raise_to(std::atomic<std::uint32_t>& most, std::uint32_t value) {
  std::uint32_t seen = most.load();
  while (seen < value && !most.compare_exchange_weak(seen, value)) {
  }
}

SessionSampler::SessionSampler(const PostgresServer& server, const std::string& role) {
  const std::string dsn = server.superuser_dsn();
  const std::string question =
      "SELECT count(*) FROM pg_stat_activity WHERE usename = '" + role + "'";
  Figures& figures = *figures_;
  process_ = std::make_unique<WorkerProcess>([&figures, dsn, question]() -> int {
    PGconn* const conn = PQconnectdb(dsn.c_str());
    while (true) {
      const std::string answer = ask(conn, question);
      require(!answer.starts_with("error"), answer);
      const auto sessions = static_cast<std::uint32_t>(std::stoul(answer));
      figures.now.store(sessions);
      raise_to(figures.most, sessions);
      figures.samples.fetch_add(1);
    }
  });
  WEIR_CHECK(poll_until([&] { return samples() > 0; }));
}

void require(bool holds, const std::string& otherwise) {
  if (!holds) throw std::runtime_error(otherwise);
}

}  // namespace weir::test
