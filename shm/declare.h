// Declaring quotas and pools: giving a name its rows, places and permits in the segment.
//
// Declaring happens under a kernel byte lock, with a bounded wait, so that two workers that open
// one name cannot make two rows; nobody waits for it on a request's behalf. What was declared first
// stands while another worker lives; the later one is told what differs. When nobody else is there,
// the new settings take their place.
// Threads: any. Fork: after joining. Blocks for the lock until the deadline, a second unless told.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "shm/pool_ref.h"
#include "shm/segment.h"
#include "shm/words.h"

namespace weir::shm {

struct QuotaDeclaration {
  std::string name;  // at most 31 bytes
  std::uint32_t limit = 0;
};

struct PoolDeclaration {
  std::string name;    // at most 31 bytes
  std::string driver;  // at most 15 bytes
  std::uint64_t fingerprint = 0;
  std::uint32_t quota = kNone;  // a row from declare_quota
  std::uint32_t max = 1, min = 0, keep = 1, max_per_worker = 0;
  std::uint32_t connect_concurrency = 2;
  std::uint32_t connect_timeout_ms = 10'000;
  std::uint32_t permit_quantum_ms = 100;
  std::uint32_t linger_idle_ms = 50;
  std::uint32_t linger_used_ms = 60'000;
};

struct Declared {
  std::uint32_t row = kNone;
  /// What stands and differs from what was asked, for a warning: "max 80 stands, 40 asked". Empty:
  /// none.
  std::string differences;
};

/// How long a declaration waits for the lock at the most, whatever its caller's deadline.
inline constexpr Nanos kDeclarePatience = std::chrono::seconds(1);

/// kBadConfig for a name that is empty or does not fit; kShmFull says how many permits or rows were
/// left; kTimeout that somebody held the lock too long. kShmCorrupt, and the segment is poisoned,
/// if a row says what cannot be.
Result<Declared> declare_quota(const Segment& segment, WorkerId self,
                               const QuotaDeclaration& declaration,
                               Deadline deadline = Deadline::never());
/// As declare_quota. kBadConfig if a pool of that name stands with another driver, server or quota.
Result<Declared> declare_pool(const Segment& segment, WorkerId self,
                              const PoolDeclaration& declaration,
                              Deadline deadline = Deadline::never());

}  // namespace weir::shm
