// Machine: the model behind simulate(): workers, their threads, the line, the places, the server.
//
// machine.cpp has what happens to requests, lending.cpp who gets which connection (as
// core/pool/giving.cpp and moving.cpp decide it), opening.cpp connects and the breaker, keeping.cpp
// what is done by clock. Times in microseconds since the beginning. Threads: one.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "simulation/breaker.h"
#include "simulation/events.h"
#include "simulation/line.h"
#include "simulation/places.h"
#include "simulation/simulate.h"
#include "simulation/windows.h"

namespace weir::simulation {

class Machine {
 public:
  Machine(const Load& load, const MachineSettings& settings, const MakePolicy& make_policy);
  /// At most once.
  Report run();

 private:
  enum class CallState : std::uint8_t {
    kComing,
    kQueued,      // for a thread of its worker
    kChecking,    // an idle connection, before it has it
    kWaiting,     // in line
    kClaimed,     // out of it: something is on its way
    kConnecting,  // itself
    kPausing,     // before it tries to connect again
    kGranted,     // waking up
    kHolding,
    kDone,
  };
  struct Call {
    CallState state = CallState::kComing;
    bool has_deadline = false;  // an event for it
    std::uint32_t thread = kNobody, place = kNobody;
    std::uint32_t ticks = 0;
    std::uint64_t ticket = 0, since_us = 0, deadline_us = 0;
  };
  /// What a thread remembers (core/pool/pool.cpp: Memory).
  struct Thread {
    std::uint32_t last_place = kNobody;
    std::uint64_t returned_us = 0;  // when it gave that back, if others waited then; 0: nobody did
    bool comes_again = false;
  };
  struct Worker {
    std::unique_ptr<policy::Policy> policy{};
    policy::SizeDecision size{};
    std::deque<std::uint32_t> queue{};    // calls without a thread
    std::deque<std::uint32_t> threads{};  // without a call
    std::uint64_t last_connect_us = 0;
    std::uint64_t next_fill_us = 0;
    bool expects = false;     // a connection is on its way to it
    bool is_rung = false;     // its keeper is about to wake up
    bool fill_waits = false;  // it is about to try to fill again
  };

  void handle(const Event& event);
  void note_levels();

  // machine.cpp: requests
  void schedule_next_arrival();
  void arrive(std::uint32_t call);
  void ask(std::uint32_t call);
  void find(std::uint32_t call);
  void enter_line(std::uint32_t call);
  void tick(std::uint32_t call, std::uint32_t ticket);
  void pass_deadline(std::uint32_t call);
  void want_deadline(std::uint32_t call);
  void has(std::uint32_t call, std::uint32_t place);
  void got(std::uint32_t call, std::uint32_t place, bool waited);
  void release(std::uint32_t call, std::uint32_t place);
  void give_back(std::uint32_t call, std::uint32_t place);
  void finish(std::uint32_t call, End end, std::uint64_t busy_us = 0);
  [[nodiscard]] std::uint32_t worker_of(std::uint32_t call) const;
  [[nodiscard]] std::uint32_t class_of(std::uint32_t call) const;
  void leave_line(std::uint32_t call);

  // lending.cpp: who gets what
  using Waiter = Line::Waiter;
  [[nodiscard]] bool may_pass_the_line(std::uint32_t call);
  [[nodiscard]] std::uint32_t take_idle(std::uint32_t call);
  [[nodiscard]] std::optional<Waiter> oldest() const;
  [[nodiscard]] std::optional<Waiter> whom_to_send(std::uint32_t worker) const;
  [[nodiscard]] std::optional<Waiter> whom_to_grant(std::uint32_t worker) const;
  [[nodiscard]] bool may_make_room(std::uint32_t worker) const;
  [[nodiscard]] bool is_wanted(std::uint32_t worker) const;
  [[nodiscard]] bool is_owed(std::uint32_t worker) const;
  [[nodiscard]] std::uint64_t goes_first_from_us(std::uint32_t worker, const Waiter& who) const;
  [[nodiscard]] std::uint64_t turn_us(std::uint32_t worker) const;
  [[nodiscard]] Line::ShortClasses short_classes() const;
  /// Answers whether it was sent away, which takes its giver a moment.
  bool serve(std::uint32_t place);
  void check_and_serve(std::uint32_t place);
  void serve_idle(std::uint32_t worker);
  void ring_whoever_has_idle(std::uint32_t but, bool everybody);
  void ring(std::uint32_t worker);
  void send(std::uint32_t place, const Waiter& who);
  void arrived(std::uint32_t place);
  void checked(std::uint32_t place);
  void set_idle(std::uint32_t place);
  void close(std::uint32_t place);
  [[nodiscard]] bool is_expired(std::uint32_t place) const;
  [[nodiscard]] bool needs_check(std::uint32_t place) const;
  [[nodiscard]] bool is_broken(std::uint32_t place) const {
    return places_[place].session != session_;
  }

  // opening.cpp: connects, the breaker, the server
  [[nodiscard]] bool has_room(std::uint32_t worker) const;
  [[nodiscard]] bool is_at_cap(std::uint32_t worker) const;
  [[nodiscard]] std::uint32_t free_turns() const;
  /// A place of `worker`, with a turn; kNobody: none is to be had, or somebody waits.
  [[nodiscard]] std::uint32_t take_opening(std::uint32_t worker);
  [[nodiscard]] std::uint32_t take_room(std::uint32_t worker);
  void leave_room(std::uint32_t place);
  void begin_connect(std::uint32_t place, std::uint32_t call);
  void connect_offered(std::uint32_t call, std::uint32_t place);
  void connected(std::uint32_t place);
  void connect_failed(std::uint32_t place);
  void match();
  [[nodiscard]] bool is_refused(std::uint32_t worker) const;
  void refuse_waiters();
  void note_no_answer(std::uint32_t worker, bool by_probe);
  void ask_breaker(std::uint32_t worker);
  void decide_breaker(const policy::BreakerDecision& decision);
  void note_breaker(bool was_closed);
  void go_down();

  // keeping.cpp: by clock
  void keep(std::uint32_t worker);
  void expire_idle(std::uint32_t worker, policy::PoolView view);
  void fill_warm(std::uint32_t worker);
  [[nodiscard]] policy::PoolView view(std::uint32_t worker);
  double draw() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  const Load& load_;
  const MachineSettings settings_;
  const std::uint32_t limit_;  // that may be open: of the pool and of the quota
  std::vector<Call> calls_;
  std::vector<std::uint32_t> next_;  // by call: which one follows
  std::vector<Worker> workers_;
  std::vector<Thread> threads_;
  Places places_;
  std::vector<char> has_probe_;  // by place
  Line line_;
  Breaker breaker_;
  Windows windows_;
  Ledger ledger_;
  Events events_;
  std::mt19937_64 random_;
  std::uint64_t now_us_ = 0;
  std::size_t next_arrival_ = 0, left_ = 0;
  std::uint32_t turns_out_ = 0;
  std::uint32_t session_ = 0;  // which life of the server it is
  bool is_up_ = true;
  // What a view refers to.
  std::vector<policy::PoolShare> pool_shares_;
  std::vector<policy::WorkerShare> worker_shares_;
  std::vector<policy::ClassShare> class_shares_;
};

}  // namespace weir::simulation
