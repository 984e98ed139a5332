// PoolWorld: what the pool's tests have in common. A folder for a segment, weir as a host uses it
// (through weir.h alone), and two witnesses that take nobody's word: the segment as a monitor reads
// it, and the server.
//
// Threads: each object belongs to one. Fork: a child makes a Weir of its own, or uses its parent's
// as weir.h allows; it ends by _exit.
#pragma once

#include <libpq-fe.h>

#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "shm/snapshot.h"
#include "support/postgres_server.h"
#include "support/temp_folder.h"
#include "support/worker_process.h"
#include "weir/weir.h"

namespace weir::test {

/// A code by its stable name, with the message that came with it.
struct Answer {
  std::string code = "ok";
  std::string message;
  [[nodiscard]] bool ok() const { return code == "ok"; }
};
Answer answer_of(std::int32_t code, const weir_error_t& error);

/// A lease, or why there is none. Not given back by a destructor: tests do that themselves.
struct Got : Answer {
  weir_lease_t lease{};
  [[nodiscard]] PGconn* conn() const { return static_cast<PGconn*>(weir_lease_native(&lease)); }
};

inline constexpr Nanos kDefaultTimeout = Nanos::min();
Got acquire(weir_pool_t* pool, Nanos timeout = kPatience, const char* label = nullptr);
Got try_acquire(weir_pool_t* pool);
Answer release(weir_lease_t& lease);
Answer discard(weir_lease_t& lease);
weir_pool_stats_t stats_of(weir_pool_t* pool);

/// The first field of the last statement's first row; "error: ..." if the server refused.
std::string ask(PGconn* conn, const std::string& statements);
inline std::string ask(const Got& got, const std::string& s) { return ask(got.conn(), s); }

/// One weir_open, closed by the destructor unless close() was called before.
class Weir {
 public:
  explicit Weir(const std::string& config_text, bool no_threads = false);
  Weir(const Weir&) = delete;
  Weir& operator=(const Weir&) = delete;
  ~Weir();

  [[nodiscard]] weir_runtime_t* handle() const { return runtime_; }
  [[nodiscard]] weir_pool_t* pool(const char* name = "main") const;
  /// Attaches this process to the segment, as a first acquire does; one pass of the keeper.
  void attach() const;
  /// Lines that weir logged so far, one event each.
  [[nodiscard]] std::vector<std::string> log() const;
  [[nodiscard]] std::vector<std::string> log_of(const std::string& event) const;
  Answer close();

 private:
  // Outlives the Weir: a runtime that leases are out of, and drivers, go on logging.
  struct Book {
    Mutex mutex;
    std::vector<std::string> lines WEIR_GUARDED_BY(mutex);
  };
  static Book& new_book();
  static void take_line(void* book, std::int32_t level, const char* line);

  Book& book_ = new_book();
  weir_runtime_t* runtime_ = nullptr;
};

/// A segment's folder and a way to look at what is in it.
class PoolWorld {
 public:
  explicit PoolWorld(std::string dsn) : dsn_(std::move(dsn)) {}

  /// A weir.toml with one pool "main" and these lines in it; `more` goes behind.
  [[nodiscard]] std::string config(const std::string& keys, const std::string& more = "") const {
    return config_in(folder(), keys, more);
  }
  /// The same for one who finds the folder under another path.
  [[nodiscard]] std::string config_in(const std::string& folder, const std::string& keys,
                                      const std::string& more = "") const;
  [[nodiscard]] const std::string& dsn() const { return dsn_; }
  [[nodiscard]] std::string folder() const { return folder_.path().string(); }

  /// The segment as a monitor sees it. REQUIRES: somebody has attached.
  [[nodiscard]] shm::Snapshot snapshot() const;
  [[nodiscard]] shm::PoolSnapshot pool(const std::string& name = "main") const;
  /// Waits until every place is free or idle, nobody is in line, no handshake is under way, and
  /// each shared quota has exactly one permit held for each open connection of its pools. "" then;
  /// else what is not so.
  [[nodiscard]] std::string await_rest(Nanos patience = kPatience) const;

 private:
  [[nodiscard]] std::string unrest() const;

  std::string dsn_;
  TempFolder folder_{"/dev/shm/weir-pool-"};
};

/// A worker that has an idle connection of pool "main" and then only lives.
std::unique_ptr<WorkerProcess> idle_worker(const std::string& config);

/// Memory that children forked after it share with their parent.
void* map_shared(std::size_t bytes);
void unmap_shared(void* memory, std::size_t bytes);

/// A value in such memory.
template <typename T>
class Shared {
 public:
  Shared() : value_(new (map_shared(sizeof(T))) T()) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { unmap_shared(value_, sizeof(T)); }
  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  T* value_;
};

/// Keeps the largest of all values it was told.
void raise_to(std::atomic<std::uint32_t>& most, std::uint32_t value);

/// A process that asks the server, as fast as it answers, how many sessions of one role it has.
class SessionSampler {
 public:
  /// Samples from now on; returns once it has a first answer.
  explicit SessionSampler(const PostgresServer& server, const std::string& role = "app");
  [[nodiscard]] std::uint32_t most() const { return figures_->most.load(); }
  [[nodiscard]] std::uint32_t now() const { return figures_->now.load(); }
  [[nodiscard]] std::uint32_t samples() const { return figures_->samples.load(); }

 private:
  struct Figures {
    std::atomic<std::uint32_t> now{0}, most{0}, samples{0};
  };
  Shared<Figures> figures_;
  std::unique_ptr<WorkerProcess> process_;
};

/// In a child, where GoogleTest has no say: ends it with the text if it does not hold.
void require(bool holds, const std::string& otherwise);
inline void require(const Answer& answer, const std::string& what) {
  require(answer.ok(), what + ": " + answer.code + ": " + answer.message);
}

}  // namespace weir::test
