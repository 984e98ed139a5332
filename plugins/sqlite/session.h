// Session: one connection to a database file, whole life: unconnected, open, failed or closed. It
// runs one operation at a time (weir/driver.h), watches what leases do to it, and makes it clean
// again.
//
// SQLite works in the caller's thread, so a step blocks for as long as the disk or a statement
// takes. It does not block for somebody else's lock: then it answers kWantRead without a
// descriptor, and the next step tries again. A lease waits for locks itself, by the DSN's
// busy_timeout. Threads: one at a time, cancel() apart. Fork: a child may only call abandon() or
// destroy it; either leaves what SQLite has alone (see inherited.h).
#pragma once

#include <sqlite3.h>
#include <sys/types.h>

#include <cstdint>

#include "cleaning.h"
#include "dsn.h"
#include "failure.h"
#include "inherited.h"
#include "traces.h"
#include "weir/driver.h"

namespace weir::sqlite {

class Session {
 public:
  /// `dsn` must outlive it. Opens nothing. `statement_timeout_ms` 0: none.
  Session(const Dsn& dsn, std::uint32_t statement_timeout_ms, weir_reset_mode reset_mode);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  /// Closes what is open.
  ~Session();

  /// Begins an operation: weir_op, its argument, a monotonic deadline. False: see *failure.
  /// WEIR_OP_CLOSE may come at any time and ends what was under way.
  bool start(std::int32_t op, void* argument, std::uint64_t deadline_ns, Failure* failure);
  Progress step(Failure* failure);

  [[nodiscard]] sqlite3* native() const { return db_; }
  /// Bits of weir_condition. Only weir_look WEIR_LOOK_AT_SOCKET makes a system call: is the file
  /// still there?
  [[nodiscard]] std::uint32_t condition(std::int32_t look);
  /// Makes what runs here end, from another thread. False: see *failure. Never waits.
  bool cancel(Failure* failure);

 private:
  class OwnWork;
  enum class State { kNew, kOpen, kBroken, kClosed };

  [[nodiscard]] bool is_ours() const;
  [[nodiscard]] const char* why_not(std::int32_t op, std::int32_t* code) const;
  [[nodiscard]] bool has_moved() const;
  [[nodiscard]] bool is_unclean() const;
  Progress work(Failure* failure);
  Progress connect(Failure* failure);
  Progress ping(Failure* failure);
  Progress reset(Failure* failure);
  Progress close(Failure* failure);
  Progress execute(Failure* failure);
  Progress outcome(int result, const char* doing, Failure* failure);
  Progress lost(const char* doing, Failure* failure);
  int settle_in();
  void watch();
  bool let_go();
  void give_up();
  static int on_progress(void* self);
  static int on_statement(unsigned kind, void* self, void* statement, void* text);

  const Dsn& dsn_;
  const std::uint64_t statement_timeout_ns_;
  const weir_reset_mode reset_mode_;
  const pid_t pid_;
  State state_ = State::kNew;
  sqlite3* db_ = nullptr;
  OpenMark mark_;
  Traces traces_;
  Settings settings_;
  // There are statements that cannot be told from a virtual table's own: they say nothing.
  bool keeps_statements_ = false;

  std::int32_t op_ = 0;  // 0: none under way
  std::uint64_t deadline_ns_ = 0;
  std::uint64_t began_ns_ = 0;
  const char* rest_ = nullptr;  // of the statement that EXECUTE runs
  int locked_ = SQLITE_OK;      // why the last step did not get on

  bool is_own_work_ = false;
  std::uint64_t statement_began_ns_ = 0;
};

}  // namespace weir::sqlite
