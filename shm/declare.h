// Declaring quotas and pools: giving a name its rows, places and permits in the segment.
//
// Declaring happens under a kernel byte lock, with a bounded wait, so that two workers that open
// one name cannot make two rows; nobody waits for it on a request's behalf. When nobody else is
// there, new settings take the place of those that stand. While another worker lives it is for the
// later one to say (OnConflict): keep what stands, replace it, or refuse; it is told what differs.
// What an operator set (admin.h) stands against a declaration that asks for what it replaced.
// Threads: any. Fork: after joining. Blocks for the lock until the deadline, a second unless
// told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "shm/in_force.h"
#include "shm/pool_ref.h"
#include "shm/segment.h"
#include "shm/words.h"

namespace weir::shm {

/// What becomes of settings that differ from those that stand, while another worker lives.
enum class OnConflict { kKeep, kReplace, kRefuse };

struct QuotaDeclaration {
  std::string name;  // at most 31 bytes
  std::uint32_t limit = 0;
  OnConflict on_conflict = OnConflict::kKeep;
};

struct PoolDeclaration {
  std::string name;    // at most 31 bytes
  std::string driver;  // at most 15 bytes
  std::uint64_t fingerprint = 0;
  std::uint32_t quota = kNone;  // a row from declare_quota
  std::uint32_t max = 1, min = 0, keep = 1, max_per_worker = 0;
  std::uint32_t reserve = 0, reserve_after_ms = 0;
  std::uint32_t connect_concurrency = 2;
  std::uint32_t connect_timeout_ms = 10'000;
  std::uint32_t permit_quantum_ms = 100;
  std::uint32_t linger_idle_ms = 50;
  std::uint32_t linger_told_ms = 40;
  std::uint32_t linger_used_ms = 60'000;
  bool start_paused = false;  // when the row is made
  struct Class {
    std::string name;  // at most 15 bytes
    std::uint32_t floor = 0;
    bool operator==(const Class&) const = default;
  };
  std::vector<Class> classes{};  // at most kMaxClasses
  OnConflict on_conflict = OnConflict::kKeep;
  bool operator==(const PoolDeclaration&) const = default;
};

struct Declared {
  std::uint32_t row = kNone;
  /// What differed from what other workers use, for a warning: "max 80 stands, 40 asked"; with
  /// kReplace "max 80 replaced by 40". Empty: nothing.
  std::string differences;
  /// Where what an operator set stands against what is configured (admin.h): "limit 30 set by an
  /// operator stands, 20 configured". Empty: nothing.
  std::string operators;
};

/// What the quota `name` is configured to, if that must not change now: another worker is attached,
/// or some of the quota is in use. nullopt: there is none, or the next declaration is free to say.
[[nodiscard]] std::optional<std::uint32_t> configured_limit(const Segment& segment, WorkerId self,
                                                            const std::string& name);
/// For who has to find out a limit before it can be declared: one at a time. Held until the
/// descriptor is closed. Blocks until the deadline: kTimeout.
Result<FileDescriptor> lock_asking(const Segment& segment, Deadline deadline);

/// kBadConfig for a name that is empty or does not fit, and with kRefuse for settings that differ
/// from other workers'; kShmFull says how many permits or rows were left, or how many there is room
/// for; kTimeout that somebody held the lock too long. kShmCorrupt, and the segment is poisoned,
/// if a row says what cannot be.
Result<Declared> declare_quota(const Segment& segment, WorkerId self,
                               const QuotaDeclaration& declaration,
                               Deadline deadline = Deadline::never());
/// As declare_quota. kBadConfig if a pool of that name stands with another driver, server or quota.
Result<Declared> declare_pool(const Segment& segment, WorkerId self,
                              const PoolDeclaration& declaration,
                              Deadline deadline = Deadline::never());

}  // namespace weir::shm
