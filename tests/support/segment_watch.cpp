#include "support/segment_watch.h"

#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <new>
#include <numeric>
#include <optional>
#include <utility>

#include "shm/pool_ref.h"
#include "shm/snapshot.h"
#include "support/process_state.h"

namespace weir::test {
namespace {

using shm::PlaceState;
using shm::PlaceWord;
using shm::PoolSnapshot;
using shm::WaiterState;
using shm::WaiterWord;

// Between two looks; longer where a look takes long, so that a large segment does not keep a
// processor busy.
constexpr std::uint64_t kPauseNs = 5'000'000, kLongestPauseNs = 50'000'000;
// A word that has stood for so long is looked at more closely.
constexpr std::uint64_t kSuspiciousNs = 50'000'000;
constexpr std::uint32_t kMostFindings = 8;

enum Kind : std::size_t { kOffer, kGift, kClaim, kGrant };
constexpr std::array kKindNames = {"offer", "gift", "claim", "grant"};

std::optional<Kind> kind_of(PlaceWord word) {
  if (word.state() == PlaceState::kOffered) return kOffer;
  if (word.state() == PlaceState::kGiving || word.state() == PlaceState::kParked) return kGift;
  return std::nullopt;
}

std::optional<Kind> kind_of(WaiterWord word) {
  if (word.state() == WaiterState::kClaimed) return kClaim;
  if (word.state() == WaiterState::kGranted) return kGrant;
  return std::nullopt;
}

// pool_quota_class, as shm/line.cpp fills it in.
std::uint32_t pool_of(const shm::WaiterRow& row) { return row.pool_quota_class.load() & 0xfff; }

}  // namespace

struct SegmentWatch::Notes {
  std::atomic<std::uint32_t> looks{0}, stop{0}, findings{0};
  std::array<std::atomic<std::uint64_t>, kKindNames.size()> oldest_ns{}, oldest_able_ns{};
  std::array<char, 4096> text{};  // one writer; read once it has ended
};

namespace {

using Notes = SegmentWatch::Notes;

void note(Notes& notes, const std::string& finding) {
  if (notes.findings.fetch_add(1) >= kMostFindings) return;
  const std::size_t used = std::strlen(notes.text.data());
  const std::string line = finding + "\n";
  line.copy(notes.text.data() + used, notes.text.size() - 1 - used);
}

class Eye {
 public:
  Eye(const shm::Segment& segment, const SegmentWatch::Options& options, Notes& notes)
      : segment_(segment), options_(options), notes_(notes) {
    places_.resize(segment.geometry().places);
    waiters_.resize(segment.geometry().waiters);
  }

  /// How long to wait before the next one.
  std::uint64_t look() {
    const std::uint64_t now_ns = monotonic_ns();
    // What is far above the pause is time in which the watch itself was kept waiting.
    counts_ns_ = std::min(now_ns - std::exchange(now_ns_, now_ns), pause_ns_ + kPauseNs);
    states_.begin_look(now_ns);
    for (const shm::PoolRef& pool : shm::all_pools(segment_)) {
      for (shm::PlaceIndex i = 0; i < pool.capacity(); ++i) look_at_place(pool, i);
    }
    for (std::uint32_t i = 0; i < waiters_.size(); ++i) look_at_waiter(i);
    if (const std::string wrong = contradiction_in(segment_); !wrong.empty()) note(notes_, wrong);
    notes_.looks.fetch_add(1);
    pause_ns_ = std::clamp(4 * (monotonic_ns() - now_ns), kPauseNs, kLongestPauseNs);
    return pause_ns_;
  }

 private:
  struct Age {
    std::uint64_t raw = 0, since_ns = 0;
    std::uint64_t able_ns = 0;  // of this time somebody was able to go on
    bool is_noted = false;
  };

  void look_at_place(const shm::PoolRef& pool, shm::PlaceIndex index) {
    const PlaceWord word(pool.places()[index].load());
    const std::optional<Kind> kind = kind_of(word);
    Age& age = places_[pool.global(index)];
    if (!is_old(age, word.raw(), kind)) return;
    count(age, *kind, kind == kOffer ? is_any_waiter_able(pool) : is_worker_able(word.idx()),
          "place " + std::to_string(index) + " of pool " + pool.row().name.load() + " reads " +
              std::string(place_state_name(word.state())));
  }

  void look_at_waiter(std::uint32_t index) {
    const WaiterWord word(segment_.waiters()[index].word.load());
    const std::optional<Kind> kind = kind_of(word);
    Age& age = waiters_[index];
    if (!is_old(age, word.raw(), kind)) return;
    count(age, *kind, is_worker_able(word.owner_row()),
          "waiter " + std::to_string(index) + " of worker row " + std::to_string(word.owner_row()));
  }

  // Whether a step between two workers has stood since long before this look.
  bool is_old(Age& age, std::uint64_t raw, std::optional<Kind> kind) {
    if (!kind || age.raw != raw) {
      age = {.raw = raw, .since_ns = now_ns_};
      return false;
    }
    raise(notes_.oldest_ns[*kind], now_ns_ - age.since_ns);
    return now_ns_ - age.since_ns >= kSuspiciousNs;
  }

  void count(Age& age, Kind kind, bool able, const std::string& what) {
    if (able) age.able_ns += counts_ns_;
    raise(notes_.oldest_able_ns[kind], age.able_ns);
    if (age.is_noted || Nanos(age.able_ns) <= options_.limit) return;
    age.is_noted = true;
    note(notes_, "stale " + std::string(kKindNames[kind]) + ": " + what + " for " +
                     std::to_string((now_ns_ - age.since_ns) / 1'000'000) + " ms, during " +
                     std::to_string(age.able_ns / 1'000'000) +
                     " ms of which somebody was able to go on");
  }

  bool is_worker_able(std::uint32_t row) {
    if (row >= segment_.workers().size()) return false;
    const shm::WorkerRow& worker = segment_.workers()[row];
    if (shm::WorkerWord(worker.word.load()).state() != shm::WorkerState::kLive) return false;
    const auto is_able = [&](pid_t pid) { return states_.is_able(pid); };
    return is_able(static_cast<pid_t>(worker.pid.load())) &&
           std::all_of(options_.servers.begin(), options_.servers.end(), is_able);
  }

  bool is_any_waiter_able(const shm::PoolRef& pool) {
    const std::vector<shm::PoolRef> mates = shm::pools_of_quota(pool);
    return std::any_of(
        segment_.waiters().begin(), segment_.waiters().end(), [&](const shm::WaiterRow& row) {
          const WaiterWord word(row.word.load());
          if (word.state() != WaiterState::kWaiting && word.state() != WaiterState::kClaimed) {
            return false;
          }
          const bool is_mate =
              std::any_of(mates.begin(), mates.end(),
                          [&](const shm::PoolRef& mate) { return mate.id() == pool_of(row); });
          return is_mate && is_worker_able(word.owner_row());
        });
  }

  static void raise(std::atomic<std::uint64_t>& most, std::uint64_t value) {
    most.store(std::max(most.load(), value));
  }

  const shm::Segment& segment_;
  const SegmentWatch::Options& options_;
  Notes& notes_;
  ProcessStates states_;
  std::vector<Age> places_, waiters_;
  std::uint64_t now_ns_ = monotonic_ns(), counts_ns_ = 0, pause_ns_ = kPauseNs;
};

int watch(const shm::SegmentOptions& where, const SegmentWatch::Options& options, Notes& notes) {
  const auto opened = shm::Segment::open_read_only(where);
  if (!opened.ok()) {
    note(notes, "the watch cannot open the segment: " + opened.status().to_string());
    notes.looks.fetch_add(1);
    return 1;
  }
  Eye eye(*opened.value(), options, notes);
  while (notes.stop.load() == 0) {
    const timespec time{0, static_cast<long>(eye.look())};
    nanosleep(&time, nullptr);
  }
  return 0;
}

std::string contradiction_in(const shm::Snapshot& seen, const PoolSnapshot& pool) {
  const auto count_of = [&](PlaceState state) {
    return static_cast<std::uint32_t>(
        std::count_if(pool.places.begin(), pool.places.end(),
                      [&](const shm::PlaceSnapshot& place) { return place.state == state; }));
  };
  const std::string name = "pool " + pool.name + ": ";
  if (std::accumulate(pool.count.begin(), pool.count.end(), 0u) != pool.room) {
    return name + "its places in all states are not as many as there are";
  }
  if (pool.places.size() != pool.max) {
    return name + std::to_string(pool.places.size()) + " places in service, max " +
           std::to_string(pool.max);
  }
  for (std::size_t s = 0; s < shm::kPlaceStates; ++s) {
    const auto state = static_cast<PlaceState>(s);
    if (state != PlaceState::kRetired && count_of(state) != pool.in(state)) {
      return name + "places listed and counted differ: " + std::string(place_state_name(state));
    }
  }
  const auto in_line =
      std::count_if(seen.waiters.begin(), seen.waiters.end(),
                    [&](const shm::WaiterSnapshot& waiter) { return waiter.pool == pool.row; });
  if (in_line != pool.waiting) return name + "waiters listed and counted differ";
  return "";
}

}  // namespace

std::string contradiction_in(const shm::Segment& segment) {
  const shm::Snapshot seen = shm::take_snapshot(segment);
  if (!seen.poison_reason.empty()) return "poisoned: " + seen.poison_reason;
  std::uint32_t used = 0, used_by_workers = 0, waiting = 0;
  for (const PoolSnapshot& pool : seen.pools) {
    if (const std::string wrong = contradiction_in(seen, pool); !wrong.empty()) return wrong;
    used += pool.in(PlaceState::kUsed) + pool.in(PlaceState::kGiving);
    waiting += pool.waiting;
  }
  for (const shm::WorkerSnapshot& worker : seen.workers) used_by_workers += worker.used;
  if (used_by_workers > used) return "workers use more places than pools have in use";
  if (waiting != seen.waiters.size()) return "somebody waits for a pool that is not there";
  for (const shm::QuotaSnapshot& quota : seen.quotas) {
    if (quota.held + quota.free != quota.limit) {
      return "quota " + quota.name + ": " + std::to_string(quota.held) + " held and " +
             std::to_string(quota.free) + " free permits, limit " + std::to_string(quota.limit);
    }
  }
  return "";
}

SegmentWatch::SegmentWatch(const shm::SegmentOptions& where, const Options& options) {
  void* const memory =
      mmap(nullptr, sizeof(Notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  WEIR_CHECK(memory != MAP_FAILED);
  notes_ = new (memory) Notes;
  Notes& notes = *notes_;
  process_ = std::make_unique<WorkerProcess>([&] { return watch(where, options, notes); });
  WEIR_CHECK(poll_until([&] { return looks() > 0; }));
}

SegmentWatch::~SegmentWatch() {
  process_.reset();
  munmap(notes_, sizeof(Notes));
}

std::string SegmentWatch::stop() {
  notes_->stop.store(1);
  const int status = process_->wait_at_most();
  std::string text(notes_->text.data());
  if (notes_->findings.load() > kMostFindings) {
    text += "and " + std::to_string(notes_->findings.load() - kMostFindings) + " more\n";
  }
  if (status != 0 && text.empty()) text = "the watch ended with " + std::to_string(status);
  return text;
}

std::uint32_t SegmentWatch::looks() const { return notes_->looks.load(); }
std::uint32_t SegmentWatch::findings() const { return notes_->findings.load(); }

std::string SegmentWatch::summary() const {
  std::string text =
      "looks " + std::to_string(looks()) + ", oldest in ms (and while able to go on):";
  for (std::size_t kind = 0; kind < kKindNames.size(); ++kind) {
    text += std::string(kind == 0 ? " " : ", ") + kKindNames[kind] + " " +
            std::to_string(notes_->oldest_ns[kind].load() / 1'000'000) + " (" +
            std::to_string(notes_->oldest_able_ns[kind].load() / 1'000'000) + ")";
  }
  return text;
}

}  // namespace weir::test
