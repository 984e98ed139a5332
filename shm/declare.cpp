#include "shm/declare.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <optional>
#include <span>

#include "shm/control.h"
#include "shm/file_locks.h"
#include "shm/in_force.h"
#include "shm/lingering.h"
#include "shm/liveness.h"
#include "shm/reaper.h"
#include "shm/segment_file.h"
#include "shm/stats.h"

namespace weir::shm {
namespace {

// How often over what is asked there is room for, to grow online. A permit is a word that is looked
// at when a connection is opened or closed; a place is a record, and looked at more often.
constexpr std::uint32_t kPermitsTimes = 4;
constexpr std::uint32_t kPlacesTimes = 2;

bool is_anybody_else_here(const Segment& segment, WorkerId self) {
  const std::span<WorkerRow> rows = segment.workers();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const WorkerWord word(rows[i].word.load());
    if (i == self.row || word.state() != WorkerState::kLive) continue;
    // The dead count for nothing, reaped or not: after a crash of all, new settings take effect.
    if (!is_certainly_dead(segment, i, word)) return true;
  }
  return false;
}

// The same of one pool: whoever is here for others has no say in it.
bool may_others_use(const Segment& segment, WorkerId self, std::uint32_t pool) {
  const std::span<WorkerRow> rows = segment.workers();
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    const WorkerWord word(rows[i].word.load());
    if (i == self.row || word.state() != WorkerState::kLive) continue;
    if (may_use_pool(segment, i, pool) && !is_certainly_dead(segment, i, word)) return true;
  }
  return false;
}

// From now on others can see that this worker has the pool.
void note_use(const Segment& segment, WorkerId self, std::uint32_t pool) {
  if (const std::optional<PoolRef> ref = PoolRef::find(segment, pool)) StatsBook(*ref, self);
}

// A pool of this name stands with another driver, server or quota. It may become another one once
// no living worker has it; for another driver or quota what dead ones left must be gone as well,
// since the one cannot ask about it and the other would not count it.
Status make_way(const Segment& segment, WorkerId self, std::uint32_t pool,
                const PoolDeclaration& declaration, std::span<Word> places, Deadline deadline) {
  const PoolRow& row = segment.pools()[pool];
  reap(segment, self);  // from here on what is no lingering place is a living worker's
  const bool in_use = std::any_of(places.begin(), places.end(), [](const Word& cell) {
    const PlaceWord word(cell.load());
    return word.occupied() && word.state() != PlaceState::kLingering;
  });
  if (in_use || may_others_use(segment, self, pool)) {
    return Status(Code::kBadConfig,
                  "pool " + declaration.name +
                      ": other workers use a pool of this name with another driver, DSN or quota; "
                      "give this one another name, or stop them first");
  }
  if (row.driver.load() == declaration.driver && row.quota.load() == declaration.quota) {
    return Status();
  }
  const auto occupied = [&] {
    return std::count_if(places.begin(), places.end(),
                         [](const Word& cell) { return PlaceWord(cell.load()).occupied(); });
  };
  const Deadline patience = deadline.earlier_of(Deadline::after(kDeclarePatience));
  const timespec pause{0, 5'000'000};
  while (settle_overdue(segment, self, monotonic_ns()), occupied() > 0) {
    if (patience.passed(monotonic_ns())) {
      return Status(Code::kTimeout, "pool " + declaration.name +
                                        ": stood with another driver or quota, and " +
                                        std::to_string(occupied()) +
                                        " connections of dead workers linger in it; try again");
    }
    nanosleep(&pause, nullptr);
  }
  return Status();
}

template <typename Row>
std::optional<std::uint32_t> find_unused_row(std::span<Row> rows) {
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    if (rows[i].declared.load() == 0) return i;
  }
  return std::nullopt;
}

struct Range {
  std::uint32_t first = 0, capacity = 0;
};

Range range_of(const QuotaRow& row) { return {row.first_permit.load(), row.capacity.load()}; }
Range range_of(const PoolRow& row) { return {row.first_place.load(), row.capacity.load()}; }

// Where the ranges of all declared rows end. A row whose range lies outside of the `all` words that
// there are was written by no step of ours: then the segment is poisoned, and the answer says so.
template <typename Row>
Result<std::uint32_t> end_of_ranges(const Segment& segment, std::span<Row> rows, std::size_t all,
                                    const char* kind, const char* words) {
  std::uint32_t behind = 0;
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    if (rows[i].declared.load() == 0) continue;
    const Range range = range_of(rows[i]);
    if (!lies_within(range.first, range.capacity, all)) {
      segment.poison(std::string(kind) + " row " + std::to_string(i) + ": its " + words +
                     " lie outside");
      return segment.usable();
    }
    behind = std::max(behind, range.first + range.capacity);
  }
  return behind;
}

// Behind the last range in use. With room to grow to `times` what is needed, and to 16, as far as
// a quarter of what is left allows.
std::optional<Range> allocate(std::uint32_t behind, std::uint32_t all, std::uint32_t needed,
                              std::uint32_t times) {
  if (needed > all - behind) return std::nullopt;
  const std::uint32_t wanted = std::max<std::uint32_t>(needed * times, 16);
  const std::uint32_t spare = std::min(wanted - needed, (all - behind - needed) / 4);
  return Range{behind, needed + spare};
}

// Settings of a row that stands, one after another: taken over or told apart.
class Settling {
 public:
  Settling(bool alone, OnConflict on_conflict)
      : alone_(alone), replaces_(alone || on_conflict == OnConflict::kReplace) {}

  /// `fits`: whether the row has room for what is asked.
  void settle(Word32& stands, std::uint32_t asked, const char* what, bool fits = true) {
    const std::uint32_t was = stands.load();
    if (was == asked) return;
    const bool replaced = replaces_ && fits;
    if (replaced) stands.store(asked);
    replaced_any_ |= replaced;
    if (replaced && alone_) return;  // whoever it was that wanted it otherwise is gone
    if (!differences_.empty()) differences_ += ", ";
    differences_ += std::string(what) + " " + std::to_string(was) +
                    (replaced ? " replaced by " : " stands, ") + std::to_string(asked) +
                    (replaced ? "" : " asked");
  }

  /// As settle(), of what an operator may change online: `overruled` is what the operator's value
  /// stands in the place of, 0 for nothing. Who asks for that very value knows nothing newer, and
  /// the operator's stands; any other value was written after it, and is settled as always.
  void settle_operable(Word32& stands, Word32& overruled, std::uint32_t asked, const char* what,
                       bool fits) {
    if (const std::uint32_t was = overruled.load(); was != 0 && was == asked) {
      if (stands.load() == asked) return;
      operators_ = std::string(what) + " " + std::to_string(stands.load()) +
                   " set by an operator stands, " + std::to_string(asked) + " configured";
      return;
    }
    settle(stands, asked, what, fits);
    if (stands.load() == asked) overruled.store(0);  // last: before, both say what may stand
  }
  [[nodiscard]] const std::string& differences() const { return differences_; }
  [[nodiscard]] const std::string& operators() const { return operators_; }
  [[nodiscard]] bool replaced_any() const { return replaced_any_; }

 private:
  bool alone_;
  bool replaces_;
  bool replaced_any_ = false;
  std::string differences_;
  std::string operators_;
};

void put_classes(PoolRow& row, const PoolDeclaration& declaration) {
  row.classes.store(0);  // while they are no longer these and not yet those
  for (std::size_t i = 0; i < declaration.classes.size(); ++i) {
    row.class_names[i].store(declaration.classes[i].name);
    row.class_floors[i].store(declaration.classes[i].floor);
  }
  row.classes.store(static_cast<std::uint32_t>(declaration.classes.size()));
}

// Other classes are other numbers for who waits: with others here only floors of the same ones can
// change.
void settle_classes(Settling& settling, PoolRow& row, const PoolDeclaration& declaration,
                    bool alone) {
  if (alone) return put_classes(row, declaration);
  const auto count = static_cast<std::uint32_t>(declaration.classes.size());
  settling.settle(row.classes, count, "classes", false);
  for (std::uint32_t i = 0; i < std::min(count, row.classes.load()); ++i) {
    if (row.class_names[i].load() != declaration.classes[i].name) continue;
    settling.settle(row.class_floors[i], declaration.classes[i].floor, "class floor");
  }
}

Status refused(const std::string& who, const std::string& differences) {
  return Status(
      Code::kBadConfig,
      who + ": other workers use other settings (" + differences +
          "), and on_conflict is \"refuse\"; deploy one configuration, or stop them first");
}

// What others stand on cannot be made larger under them.
Status does_not_fit(const std::string& who, const char* what, std::uint32_t asked,
                    std::uint32_t room) {
  return Status(Code::kShmFull, who + ": " + what + " " + std::to_string(asked) +
                                    " asked, with on_conflict \"replace\"; there is room for " +
                                    std::to_string(room) + " while other workers use it");
}

// A name that is cut when it is stored would never be found again.
Status check_name(const char* what, const std::string& name, std::size_t room) {
  if (!name.empty() && name.size() < room) return Status();
  return Status(Code::kBadConfig, std::string(what) + " \"" + name + "\": expected 1 to " +
                                      std::to_string(room - 1) + " bytes");
}

Status no_room(const Segment& segment, const char* what, std::uint32_t needed, std::size_t all) {
  return Status(Code::kShmFull, "segment " + segment.path() + ": " + std::to_string(needed) + " " +
                                    what + " needed, " + std::to_string(all) +
                                    " in all and too many in use; stop every worker that uses the "
                                    "segment and remove the file to have it made larger");
}

}  // namespace

std::optional<std::uint32_t> configured_limit(const Segment& segment, WorkerId self,
                                              const std::string& name) {
  const std::optional<std::uint32_t> found = find_row(segment.quotas(), name);
  if (!found) return std::nullopt;
  const QuotaRow& row = segment.quotas()[*found];
  const std::span<Word> permits = permits_of(segment, row);
  const bool in_use = std::any_of(permits.begin(), permits.end(), [](const Word& cell) {
    return PermitWord(cell.load()).state() == PermitState::kHeld;
  });
  if (!in_use && !is_anybody_else_here(segment, self)) return std::nullopt;
  const std::uint32_t overruled = row.overruled_limit.load();
  return overruled != 0 ? overruled : row.limit.load();
}

Result<FileDescriptor> lock_asking(const Segment& segment, Deadline deadline) {
  FileDescriptor fd(segment.reopen());
  if (fd.get() < 0) return Status::system_error("segment " + segment.path() + ": reopen", errno);
  if (lock_byte_until(fd.get(), kAskingByte, LockKind::kExclusive, deadline)) return fd;
  return Status(Code::kTimeout, "segment " + segment.path() +
                                    ": another worker is still asking a server for its limits");
}

Result<Declared> declare_quota(const Segment& segment, WorkerId self,
                               const QuotaDeclaration& declaration, Deadline deadline) {
  WEIR_TRY(check_name("quota name", declaration.name, sizeof(QuotaRow::name)));
  Result<FileDescriptor> lock = lock_declaring(segment, deadline);
  if (!lock.ok()) return lock.status();
  finish_resizes_locked(segment);  // what a killed one left half done
  const std::span<QuotaRow> rows = segment.quotas();
  const Result<std::uint32_t> behind =
      end_of_ranges(segment, rows, segment.permits().size(), "quota", "permits");
  if (!behind.ok()) return behind.status();
  Declared declared;
  if (const std::optional<std::uint32_t> found = find_row(rows, declaration.name)) {
    QuotaRow& row = rows[*found];
    declared.row = *found;
    const bool alone = !is_anybody_else_here(segment, self);
    const std::string who = "quota " + declaration.name;
    const bool fits = declaration.limit <= row.capacity.load();
    if (!alone && !fits && declaration.on_conflict == OnConflict::kReplace) {
      return does_not_fit(who, "limit", declaration.limit, row.capacity.load());
    }
    Settling settling(alone, declaration.on_conflict);
    settling.settle_operable(row.limit, row.overruled_limit, declaration.limit, "limit", fits);
    declared.differences = settling.differences();
    declared.operators = settling.operators();
    if (!alone && !declared.differences.empty() && declaration.on_conflict == OnConflict::kRefuse) {
      return refused(who, declared.differences);
    }
    if (settling.replaced_any()) {
      row.revision.fetch_add(1);
      put_permits_in_force(segment, row);
      tell_of_resize(segment);
    }
    return declared;
  }
  const std::optional<std::uint32_t> unused = find_unused_row(rows);
  const std::optional<Range> range =
      allocate(behind.value(), segment.geometry().permits, declaration.limit, kPermitsTimes);
  if (!unused) return no_room(segment, "quota rows", 1, rows.size());
  if (!range) return no_room(segment, "permits", declaration.limit, segment.permits().size());
  QuotaRow& row = rows[*unused];
  row.name.store(declaration.name);
  row.first_permit.store(range->first);
  row.capacity.store(range->capacity);
  row.limit.store(declaration.limit);
  row.overruled_limit.store(0);
  put_permits_in_force(segment, row);
  row.declared.store(1);  // last: a death before leaves an unused row and unused permits
  declared.row = *unused;
  return declared;
}

Result<Declared> declare_pool(const Segment& segment, WorkerId self,
                              const PoolDeclaration& declaration, Deadline deadline) {
  WEIR_TRY(check_name("pool name", declaration.name, sizeof(PoolRow::name)));
  WEIR_TRY(check_name("driver name", declaration.driver, sizeof(PoolRow::driver)));
  Result<FileDescriptor> lock = lock_declaring(segment, deadline);
  if (!lock.ok()) return lock.status();
  finish_resizes_locked(segment);  // what a killed one left half done
  const std::span<PoolRow> rows = segment.pools();
  const Result<std::uint32_t> behind =
      end_of_ranges(segment, rows, segment.places().size(), "pool", "places");
  if (!behind.ok()) return behind.status();
  const std::optional<std::uint32_t> found = find_row(rows, declaration.name);
  Declared declared;
  if (found) {
    PoolRow& row = rows[*found];
    const bool alone = !may_others_use(segment, self, *found);
    declared.row = *found;
    const bool same_kind = row.driver.load() == declaration.driver &&
                           row.fingerprint.load() == declaration.fingerprint &&
                           row.quota.load() == declaration.quota;
    const Range range = range_of(row);
    const std::span<Word> places = segment.places().subspan(range.first, range.capacity);
    if (!same_kind) {
      WEIR_TRY(make_way(segment, self, *found, declaration, places, deadline));
    }
    row.driver.store(declaration.driver);
    row.fingerprint.store(declaration.fingerprint);
    row.quota.store(declaration.quota);
    const std::string who = "pool " + declaration.name;
    const bool fits = declaration.max <= row.capacity.load();
    if (!alone && !fits && declaration.on_conflict == OnConflict::kReplace) {
      return does_not_fit(who, "max", declaration.max, row.capacity.load());
    }
    Settling settling(alone, declaration.on_conflict);
    settling.settle_operable(row.max, row.overruled_max, declaration.max, "max", fits);
    settling.settle(row.min, declaration.min, "min");
    settling.settle(row.keep, declaration.keep, "keep");
    settling.settle(row.max_per_worker, declaration.max_per_worker, "max_per_worker");
    settling.settle(row.reserve, declaration.reserve, "reserve");
    settling.settle(row.reserve_after_ms, declaration.reserve_after_ms, "reserve_after");
    settling.settle(row.connect_concurrency, declaration.connect_concurrency,
                    "connect_concurrency");
    settling.settle(row.connect_timeout_ms, declaration.connect_timeout_ms, "connect_timeout");
    settling.settle(row.permit_quantum_ms, declaration.permit_quantum_ms, "permit_quantum");
    settling.settle(row.linger_idle_ms, declaration.linger_idle_ms, "linger_max");
    settling.settle(row.linger_told_ms, declaration.linger_told_ms, "linger_max of ended ones");
    settling.settle(row.linger_used_ms, declaration.linger_used_ms, "linger_max of used ones");
    if (alone) row.policy_max.store(0);  // its keepers are gone
    settle_classes(settling, row, declaration, alone);
    declared.differences = settling.differences();
    declared.operators = settling.operators();
    if (!alone && !declared.differences.empty() && declaration.on_conflict == OnConflict::kRefuse) {
      return refused(who, declared.differences);
    }
    if (settling.replaced_any()) {
      row.revision.fetch_add(1);
      put_places_in_force(segment, row);
      tell_of_resize(segment);
    }
    note_use(segment, self, *found);
    return declared;
  }
  const std::optional<std::uint32_t> unused = find_unused_row(rows);
  const std::optional<Range> range =
      allocate(behind.value(), segment.geometry().places, declaration.max, kPlacesTimes);
  if (!unused) return no_room(segment, "pool rows", 1, rows.size());
  if (!range) return no_room(segment, "places", declaration.max, segment.places().size());
  PoolRow& row = rows[*unused];
  row.name.store(declaration.name);
  row.driver.store(declaration.driver);
  row.fingerprint.store(declaration.fingerprint);
  row.quota.store(declaration.quota);
  row.first_place.store(range->first);
  row.capacity.store(range->capacity);
  row.demand.store(declaration.start_paused ? DemandWord::kPaused : 0);
  row.max.store(declaration.max);
  row.min.store(declaration.min);
  row.keep.store(declaration.keep);
  row.max_per_worker.store(declaration.max_per_worker);
  row.reserve.store(declaration.reserve);
  row.reserve_after_ms.store(declaration.reserve_after_ms);
  row.connect_concurrency.store(declaration.connect_concurrency);
  row.connect_timeout_ms.store(declaration.connect_timeout_ms);
  row.permit_quantum_ms.store(declaration.permit_quantum_ms);
  row.linger_idle_ms.store(declaration.linger_idle_ms);
  row.linger_told_ms.store(declaration.linger_told_ms);
  row.linger_used_ms.store(declaration.linger_used_ms);
  row.overruled_max.store(0);
  row.policy_max.store(0);
  put_classes(row, declaration);
  put_places_in_force(segment, row);
  row.declared.store(1);  // last
  note_use(segment, self, *unused);
  declared.row = *unused;
  return declared;
}

}  // namespace weir::shm
