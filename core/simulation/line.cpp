#include "simulation/line.h"

#include <iterator>

namespace weir::simulation {

Line::Line(std::uint32_t workers, std::uint32_t classes)
    : classes_(classes), lanes_(std::size_t{workers} * (classes + 1)), waiting_(workers) {}

std::uint64_t Line::enter(std::uint32_t call, std::uint32_t worker, std::uint32_t klass) {
  const std::uint64_t ticket = next_ticket_++;
  lane(worker, klass).emplace(ticket, call);
  all_.emplace(ticket, call);
  ++waiting_[worker];
  return ticket;
}

void Line::leave(std::uint32_t call, std::uint32_t worker, std::uint32_t klass,
                 std::uint64_t ticket) {
  lane(worker, klass).erase({ticket, call});
  all_.erase({ticket, call});
  --waiting_[worker];
}

bool Line::is_among_first(std::uint64_t ticket, std::size_t count) const {
  std::size_t ahead = 0;
  for (auto waiter = all_.begin(); waiter != all_.end() && ahead < count; ++waiter, ++ahead) {
    if (waiter->first == ticket) return true;
  }
  return false;
}

std::vector<std::uint32_t> Line::calls() const {
  std::vector<std::uint32_t> calls;
  for (const auto& [ticket, call] : all_) calls.push_back(call);
  return calls;
}

std::optional<std::uint32_t> Line::first_come() const {
  return all_.empty() ? std::nullopt : std::optional(all_.begin()->second);
}

std::optional<Line::Waiter> Line::oldest_of(std::uint32_t worker, ShortClasses shorts) const {
  std::optional<Waiter> oldest;
  if (waiting_[worker] == 0) return oldest;
  for (std::uint32_t klass = 0; klass <= classes_; ++klass) {
    const Lane& here = lane(worker, klass);
    if (here.empty()) continue;
    const Waiter one{here.begin()->first, here.begin()->second, (shorts >> klass & 1) != 0};
    if (!oldest || one.goes_before(*oldest)) oldest = one;
  }
  return oldest;
}

std::optional<Line::Waiter> Line::oldest(
    ShortClasses shorts, const std::function<bool(std::uint32_t worker)>& may_have) const {
  std::optional<Waiter> oldest;
  if (all_.empty()) return oldest;
  for (std::uint32_t worker = 0; worker < waiting_.size(); ++worker) {
    if (waiting_[worker] == 0 || (may_have && !may_have(worker))) continue;
    const std::optional<Waiter> one = oldest_of(worker, shorts);
    if (!oldest || one->goes_before(*oldest)) oldest = one;
  }
  return oldest;
}

}  // namespace weir::simulation
