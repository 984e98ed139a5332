// Places: the connections of a simulated pool, whose they are and what they are doing, with sums
// that are kept as they change. Threads: one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace weir::simulation {

enum class PlaceState : std::uint8_t {
  kFree,
  kOpening,
  kIdle,
  kUsed,    // lent, or on its way to who was granted it
  kMoving,  // sent to another worker, whose it is already
  kClosing,
  kCount
};

struct Place {
  PlaceState state = PlaceState::kFree;
  std::uint32_t worker = 0;   // whose it is, unless it is free
  std::uint32_t call = 0;     // who has it, or for whom it is opened or moved
  std::uint32_t session = 0;  // during which life of the server it was opened
  std::uint64_t opened_us = 0, expires_us = 0, idle_since_us = 0, checked_us = 0, lent_us = 0;
  std::uint64_t leases = 0;
};

class Places {
 public:
  Places(std::uint32_t count, std::uint32_t workers)
      : places_(count), mine_(workers), idle_(workers), used_(workers) {
    counts_[0] = count;
    for (std::uint32_t place = 0; place < count; ++place) free_.insert(place);
  }

  Place& operator[](std::uint32_t place) { return places_[place]; }
  [[nodiscard]] const Place& operator[](std::uint32_t place) const { return places_[place]; }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(places_.size()); }

  void move(std::uint32_t place, PlaceState to, std::uint32_t worker) {
    count(place, -1);
    places_[place].state = to;
    places_[place].worker = worker;
    count(place, 1);
  }

  [[nodiscard]] std::uint32_t in(PlaceState state) const {
    return counts_[static_cast<std::size_t>(state)];
  }
  [[nodiscard]] std::uint32_t used() const {
    return in(PlaceState::kUsed) + in(PlaceState::kMoving);
  }
  [[nodiscard]] std::uint32_t open() const { return size() - in(PlaceState::kFree); }
  /// In any state but free.
  [[nodiscard]] std::uint32_t of(std::uint32_t worker) const { return mine_[worker]; }
  [[nodiscard]] std::uint32_t used_by(std::uint32_t worker) const { return used_[worker]; }
  [[nodiscard]] const std::set<std::uint32_t>& idle_of(std::uint32_t worker) const {
    return idle_[worker];
  }
  [[nodiscard]] std::optional<std::uint32_t> first_free() const {
    return free_.empty() ? std::nullopt : std::optional(*free_.begin());
  }

 private:
  void count(std::uint32_t place, int by) {
    const Place& one = places_[place];
    const auto step = static_cast<std::uint32_t>(by);  // -1 wraps, and so does the sum
    counts_[static_cast<std::size_t>(one.state)] += step;
    if (one.state == PlaceState::kFree) return by > 0 ? keep(free_, place) : drop(free_, place);
    mine_[one.worker] += step;
    if (one.state == PlaceState::kUsed || one.state == PlaceState::kMoving) {
      used_[one.worker] += step;
    }
    if (one.state != PlaceState::kIdle) return;
    return by > 0 ? keep(idle_[one.worker], place) : drop(idle_[one.worker], place);
  }
  static void keep(std::set<std::uint32_t>& set, std::uint32_t place) { set.insert(place); }
  static void drop(std::set<std::uint32_t>& set, std::uint32_t place) { set.erase(place); }

  std::vector<Place> places_;
  std::array<std::uint32_t, static_cast<std::size_t>(PlaceState::kCount)> counts_{};
  std::vector<std::uint32_t> mine_;  // by worker
  std::vector<std::set<std::uint32_t>> idle_;
  std::vector<std::uint32_t> used_;
  std::set<std::uint32_t> free_;
};

}  // namespace weir::simulation
