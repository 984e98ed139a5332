#include "demo/weir_side.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "shm/admin.h"

namespace weir::demo {
namespace {

using namespace std::chrono_literals;

constexpr const char* kSegment = "demo";
constexpr std::chrono::seconds kCensusPatience = 5s;

/// A TOML basic string.
std::string quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string config_text(const WeirSideOptions& options) {
  const std::string plugin_path =
      options.plugins.empty() ? "" : "plugin_path = [" + quoted(options.plugins) + "]\n";
  return "[runtime]\n"
         "service = \"demo\"\n"
         "aliases = false\n"  // this database, whatever DATABASE_URL says
         "segment = " +
         quoted(kSegment) +
         "\n"
         "folder = " +
         quoted(options.folder) + "\n" + plugin_path +
         "[pool.main]\n"
         "driver = " +
         quoted(options.driver) +
         "\n"
         "dsn = " +
         quoted(options.dsn) +
         "\n"
         "max = " +
         std::to_string(options.quota) + "\n" + options.keys;
}

}  // namespace

WeirSide::WeirSide(const WeirSideOptions& options)
    : folder_(options.folder), runtime_(Runtime::from_text(config_text(options))) {}

shm::SegmentOptions WeirSide::where() const {
  shm::SegmentOptions options;
  options.folder = folder_;
  options.name = kSegment;
  return options;
}

std::optional<shm::Snapshot> WeirSide::look() {
  if (segment_ == nullptr) {
    auto opened = shm::Segment::open_read_only(where());
    if (!opened.ok()) return std::nullopt;
    segment_ = std::move(opened).value();
  }
  return shm::take_snapshot(*segment_);
}

void WeirSide::show_idle(Board& board) {
  const std::optional<shm::Snapshot> snapshot = look();
  if (!snapshot) return;
  for (std::size_t i = 0; i < board.workers(); ++i) {
    Gauge& gauge = board.gauge(i);
    const auto row = std::find_if(
        snapshot->workers.begin(), snapshot->workers.end(), [&](const shm::WorkerSnapshot& worker) {
          return static_cast<std::int32_t>(worker.pid) == gauge.pid.load();
        });
    gauge.idle.store(row == snapshot->workers.end() ? 0 : row->idle);
  }
}

bool WeirSide::has_settled(pid_t dead) {
  const std::optional<shm::Snapshot> snapshot = look();
  if (!snapshot) return false;
  const bool has_row = std::any_of(
      snapshot->workers.begin(), snapshot->workers.end(),
      [&](const shm::WorkerSnapshot& worker) { return static_cast<pid_t>(worker.pid) == dead; });
  const shm::PoolSnapshot* pool = snapshot->pool("main");
  return !has_row && pool != nullptr && pool->in(shm::PlaceState::kLingering) == 0;
}

std::uint64_t WeirSide::counter(shm::Counter counter, const std::string& pool) {
  const std::optional<shm::Snapshot> snapshot = look();
  const shm::PoolSnapshot* seen = snapshot ? snapshot->pool(pool) : nullptr;
  return seen != nullptr ? seen->counter(counter) : 0;
}

void WeirSide::reload_policies() const {
  const auto segment = shm::Segment::open(where());
  if (!segment.ok()) throw std::runtime_error(segment.status().to_string());
  shm::ask_policy_reload(*segment.value());
}

std::uint32_t WeirSide::take_all(std::uint32_t quota) {
  Pool pool = runtime_.pool("main");
  const Deadline deadline = Deadline::after(kCensusPatience);
  std::vector<Lease> leases;
  try {
    while (leases.size() < quota) {
      leases.push_back(pool.acquire({deadline.left(monotonic_ns()), "census"}));
    }
  } catch (const Error& error) {
    if (!error.is_timeout()) throw;
  }
  return static_cast<std::uint32_t>(leases.size());
}

}  // namespace weir::demo
