// Every byte of the segment. Data only: fixed layout, fixed width, no pointers; a change here
// raises kAbiMinor or kAbiMajor and edits docs/shm-layout.md in the same commit.
//
//   header 4 KiB | workers | waiters | quotas | pools | places | permits | place info | statistics
//   | recorder
//
// What counts is a word (words.h). Everything else is written by one owner at a time, read by
// anybody, and may be wrong after a kill without consequence. Text is kept in words as well, so
// that a reader races with a writer without undefined behaviour; at worst it sees half of an old
// name.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace weir::shm {

inline constexpr std::uint64_t kMagic = 0x3147455352494557u;  // "WEIRSEG1" in memory
inline constexpr std::uint16_t kAbiMajor = 3;
inline constexpr std::uint16_t kAbiMinor = 2;

using Word = std::atomic<std::uint64_t>;
using Word32 = std::atomic<std::uint32_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8);
static_assert(Word32::is_always_lock_free && sizeof(Word32) == 4);

/// Text of at most kBytes - 1 bytes, readable and writable at once from anywhere.
template <std::size_t kBytes>
class Text {
  static_assert(kBytes % 8 == 0);

 public:
  /// Cuts what does not fit, at a byte.
  void store(std::string_view text) {
    std::array<char, kBytes> padded{};
    text.copy(padded.data(), kBytes - 1);
    for (std::size_t i = 0; i < words_.size(); ++i) {
      std::uint64_t word;
      std::memcpy(&word, padded.data() + i * 8, 8);
      words_[i].store(word, std::memory_order_relaxed);
    }
  }
  [[nodiscard]] std::string load() const {
    std::array<char, kBytes> padded{};
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::uint64_t word = words_[i].load(std::memory_order_relaxed);
      std::memcpy(padded.data() + i * 8, &word, 8);
    }
    return std::string(padded.data(), strnlen(padded.data(), kBytes - 1));
  }

 private:
  std::array<Word, kBytes / 8> words_;
};

/// How many rows of each kind a segment has. Fixed when it is created.
struct Geometry {
  std::uint32_t workers = 256;           // at most 2,047
  std::uint32_t waiters = 1024;          // at most 2,047
  std::uint32_t quotas = 32;             // at most 256
  std::uint32_t pools = 32;              // at most 256
  std::uint32_t places = 1024;           // at most 16,383
  std::uint32_t permits = 1024;          // at most 16,383
  std::uint32_t stats_per_worker = 4;    // pools whose figures one worker keeps apart; at most 64
  std::uint32_t events_per_worker = 64;  // flight recorder; at most 4,096
  bool operator==(const Geometry&) const = default;
};

inline constexpr std::size_t kHeaderBytes = 4096;
inline constexpr std::uint32_t kNone = UINT32_MAX;

/// The first bytes of the file. Immutable once published, and covered by `crc`.
struct HeaderFacts {
  std::uint64_t magic;
  std::uint16_t abi_major, abi_minor;
  std::uint32_t header_bytes;
  std::uint64_t fingerprint;  // of the sizes of all records: layout_fingerprint()
  std::uint64_t total_bytes;
  Geometry geometry;
  char boot_id[40];  // of the kernel that ran when it was created
  std::uint8_t uuid[16];
  std::int32_t creator_pid;
  std::uint32_t creator_uid;
  std::uint64_t created_unix_ns;
};

struct Header {
  HeaderFacts facts;
  std::uint32_t crc;  // CRC-32 of `facts`
  std::uint32_t pad;
  alignas(64) Word32 ready;  // 1 once everything is filled in; set last, before the file has a name
  Word32 poisoned;           // 1: an impossible word was seen; nothing new is opened
  Text<192> poison_reason;
  alignas(64) Word last_reap_ns;    // when somebody last began a pass over the workers
  alignas(64) Word32 waiters_high;  // no waiter row at or above this was ever used
  Word32 workers_high;              // no worker row at or above this was ever used
  Word32 reloads;         // how often workers were asked to read their configuration again
  Word32 policy_reloads;  // ... and the scripts of their policies
};
static_assert(sizeof(Header) <= kHeaderBytes);

/// One worker. 128 bytes: two workers never share a cache line.
struct alignas(128) WorkerRow {
  Word word;        // WorkerWord
  Word32 doorbell;  // futex: the keeper sleeps on it; whoever rings adds one
  Word32 pid;       // for display only
  Word joined_ns;
  Word beat_ns;  // when its keeper last looked; for display only
  Text<32> service;
  Word receives;       // the generation whose mailbox is open; else nobody can send here
  Word32 reloaded;     // the last of Header::reloads that it has seen to
  Word32 reload_code;  // what came of it, of weir/codes.h
  Word recorded[2];    // how many events its rings were ever given: requests; all else
  Word reserved[3];
};
static_assert(sizeof(WorkerRow) == 128);

/// One who waits. 64 bytes.
struct alignas(64) WaiterRow {
  Word word;    // WaiterWord
  Word ticket;  // place in line: arrival order within the pool
  Word since_ns;
  Word deadline_ns;
  Word32 futex;             // 1 when there is something to look at
  Word32 pool_quota_class;  // pool:12 | quota:12 (0xfff: none) | class:6 | rings:1 | local only:1
  Text<16> label;
  Word reserved;
};
static_assert(sizeof(WaiterRow) == 64);

/// One quota that several pools may share: an array of permits. 256 bytes.
struct alignas(256) QuotaRow {
  Word32 declared;      // 1 once the row is filled in; set last
  Word32 limit;         // permits in force
  Word32 first_permit;  // its permits are [first, first + capacity)
  Word32 capacity;      // >= limit: room to grow
  Word revision;        // counts changes of the limit, for people
  Text<32> name;
  Word32 overruled_limit;  // what was configured when an operator set the limit; 0: nobody did
  Word32 most_limit;       // no permit at or above this was ever in service; 0: not known
  // On a line of its own: written whenever one comes back.
  Word32 returned;  // a guess: 1 + the permit that came back last, of the quota's; 0: none
  Word32 pad;
  Word reserved[23];
};
static_assert(sizeof(QuotaRow) == 256);

inline constexpr std::size_t kMaxHandshakes = 16;

/// Priority classes of one pool.
inline constexpr std::size_t kMaxClasses = 8;

/// One pool: an array of places. 2 KiB.
struct alignas(2048) PoolRow {
  Word32 declared;                        // 1 once the row is filled in; set last
  Word32 quota;                           // kNone: alone on its own places
  Word32 first_place;                     // its places are [first, first + capacity)
  Word32 capacity;                        // >= max: room to grow
  Word32 max, min, keep, max_per_worker;  // in force
  Word32 connect_concurrency;
  Word32 connect_timeout_ms;
  Word32 permit_quantum_ms;
  Word32
      linger_idle_ms;  // how long an idle session of a dead worker counts when nobody can be asked
  Word fingerprint;    // of driver and DSN, password excluded
  Word revision;       // counts changes of the settings, for people
  Text<32> name;
  Text<16> driver;
  Word32 linger_used_ms;  // ... and one that was in use
  Word32 overruled_max;   // what was configured when an operator set the max; 0: nobody did
  Word32 linger_told_ms;  // as linger_used_ms, once the server was told to end what it runs
  Word32 reserve;         // the last so many places are for who has waited for ...
  Word32 reserve_after_ms;
  Word32 policy_max;  // what a policy made of max; 0: it left it as it is
  Word reserved_settings[4];
  // What an acquire and a release must not overlook, in the one word that both read (control.h):
  // waiting:1 | paused:1 | generation:30. `waiting` may be stale either way for a moment.
  alignas(64) Word32 demand;
  alignas(64) Word ticket;
  alignas(64) Word handshakes[kMaxHandshakes];  // TurnWord
  alignas(64) Word probe;                       // TurnWord: the breaker's single probe
  Word breaker;                                 // BreakerWord
  Word32 connect_failures;                      // in a row, of whatever kind
  Word32 connect_code;                          // of the last of them: weir/codes.h; 0: none
  Word server_full_until_ns;  // it refused a session as one too many: nobody connects before
  Text<32> policy_name;
  Text<32> policy_hash;
  Text<128> policy_error;
  Word connections_made;    // their numbers: 1, 2, 3 ... in the order in which they were begun
  Word acquires_popped;     // leases before somebody last read the counters and set them to zero
  Word32 cut_below;         // sessions of older generations than this are to be cut while lent
  Word32 classes;           // how many of the next two are declared
  Text<128> connect_error;  // what was said about the last attempt that failed
  Word32 class_floors[kMaxClasses];
  Text<16> class_names[kMaxClasses];
  Word reserved[108];
};
static_assert(sizeof(PoolRow) == 2048);

inline constexpr std::size_t kTokenBytes = 320;

/// What monitors and the next owner want to know of a place. 512 bytes; written by who owns the
/// place.
struct alignas(64) PlaceInfo {
  Word since_ns;         // when it came into its present state, to a few milliseconds
  Word opened_ns;        // when its connection was opened
  Word leases;           // how often this place was lent since the segment was created
  Word leases_before;    // ... before the connection was opened
  Word32 holder_thread;  // tid of the last lease
  Word32 holder_pid;
  Text<32> label;
  Word32 token_size;           // 0: no token
  Word32 closing_busy;         // 1: being closed in the middle of something
  std::array<Word, 40> token;  // the server's session, as its driver names it; never trusted
  Word still_there_ns;         // when the server last said that a lingering session is still there
  Word told_to_end_ns;         // when it took a request to end what a lingering session runs
  Word32 permit;               // a guess: 1 + the permit it took last, of its quota's; 0: none
  Word32 generation;           // of the pool when its connection was begun
  Word connection;             // its connection's number; 0: none yet
  Word32 holder_class;         // 1 + the class of who has it; 0: none
  Word32 pad_class;
  Word reserved[4];

  /// At most 320 bytes.
  void store_token(std::string_view bytes) {
    token_size.store(0, std::memory_order_relaxed);
    for (std::size_t i = 0; i * 8 < bytes.size() && i < token.size(); ++i) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i * 8, std::min<std::size_t>(8, bytes.size() - i * 8));
      token[i].store(word, std::memory_order_relaxed);
    }
    token_size.store(static_cast<std::uint32_t>(std::min(bytes.size(), kTokenBytes)),
                     std::memory_order_release);
  }
  [[nodiscard]] std::string load_token() const {
    std::string bytes(
        std::min<std::size_t>(token_size.load(std::memory_order_acquire), kTokenBytes), 0);
    for (std::size_t i = 0; i * 8 < bytes.size(); ++i) {
      const std::uint64_t word = token[i].load(std::memory_order_relaxed);
      std::memcpy(bytes.data() + i * 8, &word, std::min<std::size_t>(8, bytes.size() - i * 8));
    }
    return bytes;
  }
};
static_assert(sizeof(PlaceInfo) == 512);

enum class Counter : std::uint32_t {
  kAcquiresWaited,
  kWaitNs,
  kTimeouts,
  kTooManyWaiters,
  kConnects,
  kConnectFailures,
  kConnectNs,
  kCloses,
  kHandedOn,  // closed so that a waiter elsewhere could connect
  kResets,
  kResetFailures,
  kPings,
  kPingFailures,
  kReclaimed,  // places settled after a worker died
  kWithdrawn,  // offers taken back because the waiter had left
  kRevoked,    // offers taken over because nobody accepted them
  kTakenBack,  // claims that no offer followed
  kLeaks,
  kHandedLive,        // connections received from another worker
  kHandoverFailures,  // ... that were begun, and did not get there
  kCancelled,         // acquires that their caller gave up
  kConnectRefusals,   // acquires that failed because a connect did
  kRefused,           // acquires that a closed or paused pool refused
  kUseNs,             // time on loan, by the keepers' samples
  kDetached,
  kForks,  // children in which a pool of this worker's found itself
  kPolicyErrors,
  kClosedIdle,  // of closes, why: in the order of weir_close_reason
  kClosedLifetime,
  kClosedStale,
  kClosedError,
  kClosedInvalid,
  kClosedInvalidated,
  kClosedResetFailed,
  kClosedOverflow,
  kClosedPoolClosed,
  kClosedInterrupted,
  kClosedQuotaReclaim,
  kClosedFork,
  kClosedCancelled,
  kClosedDetached,
  kBreakerOpenings,  // times that the breaker opened which had been closed
};
inline constexpr std::size_t kCounters = 42;
inline constexpr std::size_t kCounterRoom = 64;
enum class Histogram : std::uint32_t { kWait, kUse, kConnect };
inline constexpr std::size_t kHistograms = 3;
inline constexpr std::size_t kHistogramBuckets = 48;
inline constexpr std::size_t kHandoverBuckets = 16;
/// The upper end of a handover's bucket: 20, 40, 80 us ... 328 ms; the last takes the rest.
constexpr std::uint64_t handover_bucket_end_ns(std::size_t bucket) {
  return std::uint64_t{20'000} << bucket;
}

/// Figures of one worker in one pool, or of a pool in total. 2,048 bytes.
struct alignas(512) StatsRow {
  Word owner;  // gen:32 | pool + 1; 0: nobody's. Unused in a pool's totals
  Word counters[kCounterRoom];
  Word handovers[kHandoverBuckets];  // how long live ones took; in a pool's totals only
  Word histograms[kHistograms][kHistogramBuckets];
  // What the worker's policy for the pool is and last decided; unused in a pool's totals.
  Text<32> policy_name;  // empty: not noted yet
  Text<32> policy_hash;
  Text<96> policy_error;       // why it is not as it should be; empty: it is
  Word policy_bad_ticks;       // how often it was asked in vain
  Word32 policy_fallen_back;   // 1: another decides in its place
  Word32 policy_reloaded;      // the last of Header::policy_reloads that it has seen to
  Word32 size_target;          // policy::SizeDecision, as it was clamped
  Word32 size_warm, size_max;  // ...
  Word32 size_max_per_worker;
  Word size_handover_after_ms;
  Word reserved[6];
};
static_assert(sizeof(StatsRow) == 2048);

/// One event of the flight recorder, the last few of each worker. 32 bytes.
struct EventRow {
  Word when_ns;
  Word what;     // EventWord: kind 0 while it is being written
  Word subject;  // connection:32 | number:32
  Word detail;   // wait_us:32 | took_us:32
};
static_assert(sizeof(EventRow) == 32);

static_assert(std::is_standard_layout_v<Header> && std::is_standard_layout_v<WorkerRow> &&
              std::is_standard_layout_v<WaiterRow> && std::is_standard_layout_v<QuotaRow> &&
              std::is_standard_layout_v<PoolRow> && std::is_standard_layout_v<PlaceInfo> &&
              std::is_standard_layout_v<StatsRow> && std::is_standard_layout_v<EventRow>);
static_assert(std::is_trivially_copyable_v<HeaderFacts>);

/// Where each table begins, in bytes from the start of the file.
struct Offsets {
  std::size_t workers, waiters, quotas, pools, places, permits, place_info, pool_totals, stats,
      events, end;
};

constexpr Offsets offsets_of(const Geometry& g) {
  const auto up = [](std::size_t at) { return (at + 2047) / 2048 * 2048; };
  Offsets o{};
  o.workers = kHeaderBytes;
  o.waiters = up(o.workers + g.workers * sizeof(WorkerRow));
  o.quotas = up(o.waiters + g.waiters * sizeof(WaiterRow));
  o.pools = up(o.quotas + g.quotas * sizeof(QuotaRow));
  o.places = up(o.pools + g.pools * sizeof(PoolRow));
  o.permits = up(o.places + g.places * sizeof(Word));
  o.place_info = up(o.permits + g.permits * sizeof(Word));
  o.pool_totals = up(o.place_info + g.places * sizeof(PlaceInfo));
  o.stats = up(o.pool_totals + g.pools * sizeof(StatsRow));
  o.events = up(o.stats + std::size_t{g.workers} * g.stats_per_worker * sizeof(StatsRow));
  o.end = up(o.events + std::size_t{g.workers} * g.events_per_worker * sizeof(EventRow));
  return o;
}

/// Whether every count is within what the words can name.
constexpr bool is_possible(const Geometry& g) {
  const auto within = [](std::uint32_t n, std::uint32_t most) { return n >= 1 && n <= most; };
  return within(g.workers, 2047) && within(g.waiters, 2047) && within(g.quotas, 256) &&
         within(g.pools, 256) && within(g.places, 16383) && within(g.permits, 16383) &&
         within(g.stats_per_worker, 64) && within(g.events_per_worker, 4096);
}

/// Of all record sizes: two builds that lay a segment out differently differ here (FNV-1a).
constexpr std::uint64_t layout_fingerprint() {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::size_t size :
       {sizeof(HeaderFacts), sizeof(Header), sizeof(WorkerRow), sizeof(WaiterRow), sizeof(QuotaRow),
        sizeof(PoolRow), sizeof(PlaceInfo), sizeof(StatsRow), sizeof(EventRow), kMaxHandshakes,
        offsetof(Header, ready), offsetof(Header, waiters_high), offsetof(PoolRow, demand),
        offsetof(PoolRow, handshakes), offsetof(PoolRow, breaker), offsetof(PlaceInfo, token)}) {
    hash = (hash ^ size) * 0x100000001b3u;
  }
  return hash;
}

// Bytes of the file that are only ever locked, far behind its end (fcntl(2) allows that).
inline constexpr std::int64_t kGateByte = std::int64_t{1} << 40;  // shared: attached
inline constexpr std::int64_t kDeclareByte = kGateByte + 1;       // exclusive: declaring, resizing
inline constexpr std::int64_t kAskingByte = kGateByte + 2;        // exclusive: asking for a limit
inline constexpr std::int64_t kWorkerBytes = kGateByte + 4096;    // + row: that worker lives

}  // namespace weir::shm
