#include "simulation/report.h"

#include <algorithm>
#include <cmath>

namespace weir::simulation {
namespace {

constexpr std::uint64_t kSecondUs = 1'000'000;

Waits waits_of(std::vector<std::uint64_t>& us) {
  return {percentile_ms(us, 0.50), percentile_ms(us, 0.95), percentile_ms(us, 0.99),
          percentile_ms(us, 1.0)};
}

}  // namespace

double percentile_ms(std::vector<std::uint64_t>& values_us, double share) {
  if (values_us.empty()) return 0;
  const double rank = std::ceil(share * static_cast<double>(values_us.size()));
  const auto index =
      std::clamp<std::size_t>(static_cast<std::size_t>(rank), 1, values_us.size()) - 1;
  const auto at = values_us.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(values_us.begin(), at, values_us.end());
  return static_cast<double>(*at) / 1000.0;
}

Ledger::Open& Ledger::second(std::uint64_t now_us) {
  const std::size_t index = now_us / kSecondUs;
  while (seconds_.size() <= index) {
    Second begins;  // as the one before ended
    begins.open = open_;
    begins.waiting = waiting_;
    seconds_.push_back({{}, 0, begins});
  }
  return seconds_[index];
}

void Ledger::note_levels(std::uint64_t now_us, std::uint32_t open, std::uint32_t used,
                         std::uint32_t waiting) {
  used_us_ += (now_us - levels_since_us_) * used_;
  open_us_ += (now_us - levels_since_us_) * open_;
  while (levels_since_us_ < now_us) {
    const std::uint64_t end = std::min(now_us, (levels_since_us_ / kSecondUs + 1) * kSecondUs);
    second(levels_since_us_).used_us += (end - levels_since_us_) * used_;
    levels_since_us_ = end;
  }
  Second& here = second(now_us).so_far;
  open_ = open;
  used_ = used;
  waiting_ = waiting;
  here.open = std::max(here.open, open);
  here.waiting = std::max(here.waiting, waiting);
  report_.open_most = std::max(report_.open_most, open);
  report_.used_most = std::max(report_.used_most, used);
}

void Ledger::note_asked(std::uint32_t request, std::uint64_t now_us) {
  Outcome& outcome = report_.outcomes[request];
  outcome.asked = true;
  outcome.asked_us = now_us;
}

void Ledger::note_had(std::uint32_t request, std::uint64_t now_us, bool waited) {
  Outcome& outcome = report_.outcomes[request];
  outcome.had_one = true;
  outcome.waited = waited;
  note_wait_end(request, now_us);
}

void Ledger::note_wait_end(std::uint32_t request, std::uint64_t now_us) {
  Outcome& outcome = report_.outcomes[request];
  outcome.wait_us = now_us - outcome.asked_us;
  second(now_us).waits_us.push_back(outcome.wait_us);
}

void Ledger::note_end(std::uint32_t request, std::uint64_t now_us, End end) {
  Outcome& outcome = report_.outcomes[request];
  outcome.end = end;
  ++outcome.ends;
  if (!outcome.had_one && outcome.asked) {
    outcome.waited = true;
    note_wait_end(request, now_us);
  }
  Second& here = second(now_us).so_far;
  report_.served += end == End::kServed ? 1 : 0;
  report_.timeouts += end == End::kTimedOut ? 1 : 0;
  report_.refused += end == End::kRefused ? 1 : 0;
  report_.failed += end == End::kFailed ? 1 : 0;
  here.timeouts += end == End::kTimedOut ? 1 : 0;
  here.failures += end == End::kRefused || end == End::kFailed ? 1 : 0;
}

Report Ledger::finish(std::uint64_t now_us) {
  note_levels(now_us, open_, used_, waiting_);
  report_.requests = report_.outcomes.size();
  report_.length_us = now_us;
  std::vector<std::uint64_t> all, waited;
  for (const Outcome& outcome : report_.outcomes) {
    if (!outcome.asked) continue;
    all.push_back(outcome.wait_us);
    if (outcome.waited) waited.push_back(outcome.wait_us);
  }
  report_.waited = waited.size();
  report_.waits = waits_of(all);
  report_.waits_waited = waits_of(waited);
  if (now_us > 0) {
    report_.used_mean = static_cast<double>(used_us_) / static_cast<double>(now_us);
    report_.open_mean = static_cast<double>(open_us_) / static_cast<double>(now_us);
  }
  for (Open& one : seconds_) {
    one.so_far.wait_p95_ms = percentile_ms(one.waits_us, 0.95);
    one.so_far.used = static_cast<double>(one.used_us) / static_cast<double>(kSecondUs);
    report_.course.push_back(one.so_far);
  }
  return std::move(report_);
}

}  // namespace weir::simulation
