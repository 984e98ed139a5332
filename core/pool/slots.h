// Slots: this worker's connection objects, one per place of a pool, preallocated.
//
// A slot belongs to whoever owns its place: the place's word says who that is, and every change of
// the word is the handing over. So a slot needs no lock of its own. The one exception is `socket`,
// which a forked child reads to close what it inherited. Threads: a slot is touched by the thread
// that owns its place. Fork: a child closes the sockets and never touches anything else.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "driver/connection.h"
#include "pool/events.h"
#include "pool/stack.h"

namespace weir::pool {

struct alignas(64) Slot {
  driver::Connection connection;
  void* native = nullptr;  // the client library's handle while open
  // The place's word while this connection is idle, so that the fast path need not read it first: a
  // load right behind a compare-and-swap of the same word waits for it (7 ns of 19 for a pair).
  std::atomic<std::uint64_t> idle_word{0};
  std::atomic<std::uint64_t> serial{0};  // counts lendings and returns: odd while lent
  // Instead of an idle word: it is lent no more, and closed when it comes back, for this reason.
  static constexpr std::uint64_t kWornOut = 0xf;  // a state that no place has
  std::atomic<CloseReason> worn_out_by{CloseReason::kStale};
  // Somebody who is no leaseholder works with the connection, and sees to what becomes of it: a
  // caller who connects or checks, or a job.
  std::atomic<bool> in_hands{false};
  std::uint64_t opened_ns = 0;
  // 0: never. Also written by whoever finds that the server of them all is not what it was.
  std::atomic<std::uint64_t> expires_ns{0};
  std::uint64_t idle_since_ns = 0;
  // One lease in so many is timed: since when it is lent, and how many it stands for. 0: this one
  // is not.
  std::uint64_t timed_from_ns = 0;
  std::uint32_t timed_for = 0;
  std::uint64_t checked_ns = 0;  // when it last answered
  // Counts returns of the pool's, where an order is kept. Atomic: any thread looks who is next.
  std::atomic<std::uint64_t> returned{0};
  bool labelled = false;              // its place shows a label
  std::atomic<bool> detached{false};  // its holder keeps it for good: closed when it comes back
  Stack stack{};                      // of who acquired it, if that is captured
  std::uint64_t asked_ns = 0;  // while timed: when its caller asked for it; 0: had it at once
  // What a forked child must close: a number, and the inode behind it, since a host's closefrom()
  // can have made the number another file's. kNoSocket: there is a connection, but no number.
  static constexpr int kNoConnection = -1;
  static constexpr int kNoSocket = -2;
  std::atomic<int> socket{kNoConnection};
  std::atomic<std::uint64_t> socket_inode{0};

  /// From now on it is not lent; who has it keeps it until it comes back. Any thread.
  void wear_out(CloseReason why) {
    worn_out_by.store(why);
    idle_word.store(kWornOut);
  }
  [[nodiscard]] bool is_worn_out() const { return idle_word.load() == kWornOut; }
  /// Whether there is a connection, as far as was noted; any thread may ask.
  [[nodiscard]] bool is_noted() const { return socket.load() != kNoConnection; }
  /// Notes the connection's present socket. A system call when it changed.
  void note_socket();
  /// In a forked child. Async-signal-safe.
  void close_inherited_socket();
};

class Slots {
 public:
  explicit Slots(std::size_t count) : slots_(std::make_unique<Slot[]>(count)), count_(count) {}
  [[nodiscard]] Slot& operator[](std::size_t place) { return slots_[place]; }
  [[nodiscard]] std::span<Slot> all() { return {slots_.get(), count_}; }

 private:
  std::unique_ptr<Slot[]> slots_;
  std::size_t count_;
};

}  // namespace weir::pool
