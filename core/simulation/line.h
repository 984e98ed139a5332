// Line: who waits for a connection, on the whole machine: oldest first, classes below their floor
// before all others. Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace weir::simulation {

class Line {
 public:
  /// `classes`: how many there are besides none.
  Line(std::uint32_t workers, std::uint32_t classes);

  struct Waiter {
    std::uint64_t ticket = 0;
    std::uint32_t call = 0;
    bool is_short = false;  // its class has less than its floor
    [[nodiscard]] bool goes_before(const Waiter& other) const {
      return is_short != other.is_short ? is_short : ticket < other.ticket;
    }
  };

  /// Answers the ticket by which it leaves.
  std::uint64_t enter(std::uint32_t call, std::uint32_t worker, std::uint32_t klass);
  void leave(std::uint32_t call, std::uint32_t worker, std::uint32_t klass, std::uint64_t ticket);

  [[nodiscard]] bool anybody() const { return !all_.empty(); }
  [[nodiscard]] std::size_t size() const { return all_.size(); }
  [[nodiscard]] std::size_t size(std::uint32_t worker) const { return waiting_[worker]; }
  /// Whether fewer than `count` came before it.
  [[nodiscard]] bool is_among_first(std::uint64_t ticket, std::size_t count) const;
  [[nodiscard]] std::vector<std::uint32_t> calls() const;
  /// When that one came is the caller's to know; nullopt: the line is empty.
  [[nodiscard]] std::optional<std::uint32_t> first_come() const;

  /// Bit k: class k (from 1) has less than its floor.
  using ShortClasses = std::uint64_t;
  [[nodiscard]] std::optional<Waiter> oldest_of(std::uint32_t worker, ShortClasses shorts) const;
  /// Of the workers that `may_have` one; nullptr: of all.
  [[nodiscard]] std::optional<Waiter> oldest(
      ShortClasses shorts,
      const std::function<bool(std::uint32_t worker)>& may_have = nullptr) const;

 private:
  using Lane = std::set<std::pair<std::uint64_t, std::uint32_t>>;  // ticket and call
  [[nodiscard]] const Lane& lane(std::uint32_t worker, std::uint32_t klass) const {
    return lanes_[std::size_t{worker} * (classes_ + 1) + klass];
  }
  Lane& lane(std::uint32_t worker, std::uint32_t klass) {
    return lanes_[std::size_t{worker} * (classes_ + 1) + klass];
  }

  std::uint32_t classes_;
  std::vector<Lane> lanes_;  // by worker and class
  std::vector<std::size_t> waiting_;
  Lane all_;
  std::uint64_t next_ticket_ = 1;
};

}  // namespace weir::simulation
