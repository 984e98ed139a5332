#include "shm/admin.h"

#include <algorithm>
#include <optional>
#include <span>

#include "base/text.h"
#include "shm/control.h"
#include "shm/in_force.h"
#include "shm/lingering.h"
#include "shm/liveness.h"
#include "shm/permits.h"
#include "shm/pool_ref.h"
#include "shm/reaper.h"
#include "shm/words.h"
#include "shm/worker_table.h"

namespace weir::shm {
namespace {

// One more of what keepers look for. Returns its number.
std::uint32_t ask_all(const Segment& segment, Word32& asked) {
  const std::uint32_t number = asked.fetch_add(1) + 1;
  const std::span<WorkerRow> rows = segment.workers();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    if (WorkerWord(rows[i].word.load()).state() == WorkerState::kLive) ring(segment, i);
  }
  return number;
}

std::uint32_t count_occupied(const Segment& segment, const PoolRow& row) {
  const std::span<Word> places = places_of(segment, row);
  return static_cast<std::uint32_t>(
      std::count_if(places.begin(), places.end(),
                    [](const Word& cell) { return PlaceWord(cell.load()).occupied(); }));
}

// The number in force and what it was configured to be; step 1 of in_force.h, as the words of both
// rows have it.
struct Setting {
  Word32& stands;
  Word32& overruled;
  Word& revision;
};

// A death anywhere leaves a number that somebody asked for, and says by whom.
void set(const Setting& setting, std::uint32_t limit, Resized& resized) {
  resized.was = setting.stands.load();
  resized.now = limit;
  if (setting.overruled.load() == 0) setting.overruled.store(resized.was);
  resized.configured = setting.overruled.load();
  if (resized.was != limit) {
    setting.stands.store(limit);
    setting.revision.fetch_add(1);
  }
  if (limit == resized.configured) setting.overruled.store(0);
  resized.revision = setting.revision.load();
}

template <typename Row>
std::string names_of(std::span<Row> rows) {
  std::string names;
  for (const Row& row : rows) {
    if (row.declared.load() != 0) names += (names.empty() ? "" : ", ") + row.name.load();
  }
  return names.empty() ? "none" : names;
}

Status not_found(const Segment& segment, const std::string& name) {
  return Status(Code::kNotFound, "quota \"" + name + "\": not declared in segment " +
                                     segment.path() +
                                     ", which has quotas: " + names_of(segment.quotas()) +
                                     "; pools: " + names_of(segment.pools()));
}

// Before anything is changed.
Status check(const std::string& who, std::uint32_t limit, std::size_t room) {
  if (limit == 0) {
    return Status(Code::kBadArgument, who + ": expected a limit of at least 1, found 0");
  }
  if (limit <= room) return Status();
  return Status(Code::kShmFull,
                who + ": limit " + std::to_string(limit) + " asked; there is room for " +
                    std::to_string(room) +
                    " in this segment. To go above it, configure it, stop every worker that uses "
                    "the segment and remove its file: the next one makes a larger one");
}

Result<Resized> resize_quota(const Segment& segment, std::uint32_t id, std::uint32_t limit) {
  QuotaRow& row = segment.quotas()[id];
  Resized resized;
  resized.of = LimitOf::kQuota;
  resized.name = row.name.load();
  resized.room = static_cast<std::uint32_t>(permits_of(segment, row).size());
  WEIR_TRY(check("quota " + resized.name, limit, resized.room));
  set({row.limit, row.overruled_limit, row.revision}, limit, resized);
  put_permits_in_force(segment, row);
  resized.in_use = count_held(segment, permits_of(segment, row));
  for (const PoolRow& pool : segment.pools()) {
    if (pool.declared.load() != 0 && pool.quota.load() == id) resized.usable += pool.max.load();
  }
  return resized;
}

Result<Resized> resize_pool(const Segment& segment, PoolRow& row, std::uint32_t max) {
  Resized resized;
  resized.of = LimitOf::kPool;
  resized.name = row.name.load();
  resized.room = static_cast<std::uint32_t>(places_of(segment, row).size());
  WEIR_TRY(check("pool " + resized.name, max, resized.room));
  set({row.max, row.overruled_max, row.revision}, max, resized);
  put_places_in_force(segment, row);
  resized.in_use = count_occupied(segment, row);
  resized.usable = max;
  return resized;
}

// False: it was so already.
bool put(const PoolRef& pool, Decision decision) {
  switch (decision) {
    case Decision::kPause:
      return pause(pool);
    case Decision::kResume:
      return resume(pool);
    case Decision::kDrain:
      drain(pool);
      return true;
    case Decision::kClear:
      return clear(pool, false);
    case Decision::kClearAndInterrupt:
      return clear(pool, true);
  }
  return false;
}

// Takes the lock, finishes what others left, changes, and tells.
template <typename Change>
Result<Resized> under_the_lock(const Segment& segment, Deadline deadline, Change change) {
  WEIR_TRY(segment.usable());
  const Result<FileDescriptor> lock = lock_declaring(segment, deadline);
  if (!lock.ok()) return lock.status();
  finish_resizes_locked(segment);
  Result<Resized> resized = change();
  if (resized.ok()) tell_of_resize(segment);
  return resized;
}

}  // namespace

Result<Resized> set_limit(const Segment& segment, const std::string& name, std::uint32_t limit,
                          Deadline deadline) {
  return under_the_lock(segment, deadline, [&]() -> Result<Resized> {
    if (const auto quota = find_row(segment.quotas(), name)) {
      return resize_quota(segment, *quota, limit);
    }
    const auto pool = find_row(segment.pools(), name);
    if (!pool) return not_found(segment, name);
    return resize_pool(segment, segment.pools()[*pool], limit);
  });
}

Result<Resized> set_pool_size(const Segment& segment, std::uint32_t id, std::uint32_t max,
                              std::uint32_t min, Deadline deadline) {
  return under_the_lock(segment, deadline, [&]() -> Result<Resized> {
    PoolRow& row = segment.pools()[id];
    // Before a shrink: a warm floor above max, even for a moment, would be opened in vain.
    const std::uint32_t was = row.min.exchange(std::min(min, row.max.load()));
    Result<Resized> resized = resize_pool(segment, row, max);
    row.min.store(resized.ok() ? min : was);
    return resized;
  });
}

std::uint32_t ask_to_reload(const Segment& segment) {
  return ask_all(segment, segment.header().reloads);
}

std::uint32_t ask_policy_reload(const Segment& segment) {
  return ask_all(segment, segment.header().policy_reloads);
}

std::vector<Reloaded> reloaded(const Segment& segment, std::uint32_t number) {
  std::vector<Reloaded> all;
  const std::span<WorkerRow> rows = segment.workers();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    if (WorkerWord(rows[i].word.load()).state() != WorkerState::kLive) continue;
    Reloaded one;
    one.row = i;
    one.pid = rows[i].pid.load();
    one.service = rows[i].service.load();
    one.answered = rows[i].reloaded.load() >= number;
    one.code = static_cast<Code>(rows[i].reload_code.load());
    all.push_back(std::move(one));
  }
  return all;
}

Result<Decided> decide(const Segment& segment, const std::string& pool, Decision decision) {
  WEIR_TRY(segment.usable());
  const auto row = find_row(segment.pools(), pool);
  if (!row) {
    return Status(Code::kNotFound, "pool " + show_text(pool) + ": not declared in segment " +
                                       segment.path() +
                                       ", which has pools: " + names_of(segment.pools()));
  }
  const auto found = PoolRef::find(segment, *row);
  if (!found) return segment.usable();  // its ranges lie outside
  Decided decided;
  decided.pool = found->row().name.load();
  decided.changed = put(*found, decision);
  const DemandWord now = demand_of(found->row());
  decided.is_paused = now.is_paused();
  decided.generation = now.generation();
  return decided;
}

Result<SettledNow> settle_now(Segment& segment) {
  WEIR_TRY(segment.usable());
  // Counted by looking before and after: whoever died in the row that is joined counts too.
  const auto count_dead = [&] {
    unsigned dead = 0;
    for (std::uint32_t i = 0; i < segment.workers().size(); ++i) {
      const WorkerWord word(segment.workers()[i].word.load());
      dead += is_certainly_dead(segment, i, word) ? 1 : 0;
    }
    return dead;
  };
  const auto count_lingering = [&] {
    return static_cast<unsigned>(std::count_if(
        segment.places().begin(), segment.places().end(),
        [](const Word& cell) { return PlaceWord(cell.load()).state() == PlaceState::kLingering; }));
  };
  const unsigned dead = count_dead(), lingering = count_lingering();
  const auto self = Membership::join(segment, "weir reap");
  if (!self.ok()) return self.status();
  reap(segment, self.value()->id());
  SettledNow settled;
  settled.workers = dead - std::min(dead, count_dead());
  settled.places = std::max(count_lingering(), lingering) - lingering;
  settled.freed = settle_overdue(segment, self.value()->id(), monotonic_ns());
  settled.resizes = finish_resizes(segment);
  return settled;
}

}  // namespace weir::shm
