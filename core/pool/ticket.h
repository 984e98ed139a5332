// Ticket: an acquire that no thread sleeps for. It stands in the same line as any other, has the
// same deadline, and is stepped by the worker's keeper whenever something may have become of it.
//
//   begins -> done at once, or: in line -> done
//                               a handshake (a job of the keeper's) -> done
// Done is a loan or a Status; then it is in the runtime's Completions.
//
// Threads: any; who finds another one stepping leaves it a note to do so once more. Fork: a child's
// calls answer kForked and touch nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "pool/cancellation.h"
#include "pool/completions.h"
#include "pool/wait.h"

namespace weir::pool {

class Ticket : public std::enable_shared_from_this<Ticket> {
 public:
  Ticket(Pool& pool, std::string label, std::uint32_t klass, Deadline deadline,
         Completions::Done done, Completions& completions);
  ~Ticket();
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  [[nodiscard]] Pool& pool() const { return pool_; }
  [[nodiscard]] std::uint64_t started_ns() const { return started_ns_; }
  [[nodiscard]] const std::string& label() const { return label_; }
  [[nodiscard]] std::uint32_t klass() const { return request_.klass; }

  /// Goes on as far as possible without waiting.
  void step();
  /// Whether it is worth a step(), and when it will be at the latest.
  [[nodiscard]] bool is_due(std::uint64_t now_ns) const;
  [[nodiscard]] std::uint64_t due_ns() const { return due_ns_.load(); }
  [[nodiscard]] bool is_done() const { return done_.load(); }
  [[nodiscard]] bool is_in_line() const { return futex_.load() != nullptr; }

  /// The loan, the caller's from now on, or why there is none; kWouldBlock while it is not done.
  Result<Loan> take();
  /// Out of the line, at once. A loan that it had is given back. False: in a child, where nothing
  /// is touched.
  bool cancel();
  /// The keeper is about to do something for it.
  void note_job() {
    due_ns_.store(request_.deadline.ns());
    in_job_.store(true);
  }
  /// What the keeper did for it has ended: ok, and `place` is USED by us and nobody's; else why
  /// not. A passing reason is worth another try.
  void job_ended(shm::PlaceIndex place, Status status);

 private:
  void step_once();
  void begin();
  void follow(Pool::Wait::Next next);
  [[nodiscard]] bool is_worth_another_try(const Status& status);
  void end(Result<Loan> result);

  Pool& pool_;
  const std::string label_;
  const Completions::Done done_as_;
  Completions& completions_;
  Cancellation cancellation_;
  const Request request_;
  const std::uint64_t started_ns_;
  std::atomic<std::uint32_t> calls_{0};  // of step() that nobody has seen to yet
  std::atomic<std::uint64_t> due_ns_{0};
  std::atomic<bool> done_{false};
  std::atomic<bool> in_job_{false};                 // a handshake or a check of the keeper's
  std::atomic<const shm::Word32*> futex_{nullptr};  // of its row while in line
  std::optional<Pool::Wait> wait_;                  // of who steps
  Mutex mutex_;
  std::optional<Result<Loan>> result_ WEIR_GUARDED_BY(mutex_);
  Status failure_ WEIR_GUARDED_BY(mutex_);  // of the last connect, where it makes more of them
  bool is_unwanted_ WEIR_GUARDED_BY(mutex_) = false;
};

}  // namespace weir::pool
