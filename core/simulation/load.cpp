#include "simulation/load.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <random>

#include "simulation/wandering.h"

namespace weir::simulation {
namespace {

using Rng = std::mt19937_64;

constexpr std::uint64_t kSecondUs = 1'000'000;

std::uint64_t length_of(const LoadShape& shape, std::uint32_t seconds) {
  return (shape.seconds == 0 ? seconds : shape.seconds) * kSecondUs;
}

/// How often a burst comes, and what its requests hold: a login's lookups, a password's check.
constexpr std::uint64_t kBurstEveryUs = 2 * kSecondUs;
constexpr std::uint32_t kBurstHoldMinUs = 20'000, kBurstHoldMaxUs = 50'000;

/// Every two seconds `users` come at once, each with `each` requests one after another.
Load bursts(const LoadShape& shape, std::uint32_t users, std::uint32_t each) {
  Load load{.length_us = length_of(shape, 60)};
  Rng rng(shape.seed);
  std::uniform_int_distribution<std::uint32_t> hold_us(kBurstHoldMinUs, kBurstHoldMaxUs);
  std::uniform_int_distribution<std::uint32_t> worker(0, shape.workers - 1);
  for (std::uint64_t at = 0; at < load.length_us; at += kBurstEveryUs) {
    if (load.requests.size() + std::size_t{users} * each > kMostRequests) break;
    for (std::uint32_t user = 0; user < users; ++user) {
      load.requests.push_back({at, hold_us(rng), worker(rng)});
    }
    for (std::uint32_t more = 1; more < each; ++more) {
      for (std::uint32_t user = 0; user < users; ++user) {
        const auto before = static_cast<std::uint32_t>(load.requests.size() - users);
        load.requests.push_back({0, hold_us(rng), worker(rng), 0, before});
      }
    }
  }
  return load;
}

/// Poisson arrivals over all workers, as many as make `share_at` of the connections busy; holds of
/// 5 to 20 ms, as the demo's.
Load poisson(const LoadShape& shape, std::uint64_t length_us, double most,
             const std::function<double(double part)>& share_at) {
  constexpr std::uint32_t kHoldMinUs = 5'000, kHoldMaxUs = 20'000;
  Load load{.length_us = length_us};
  Rng rng(shape.seed);
  const double per_us = most * shape.connections / ((kHoldMinUs + kHoldMaxUs) / 2.0);
  std::exponential_distribution<double> gap_us(per_us);
  std::uniform_real_distribution<double> chance(0, most);
  std::uniform_int_distribution<std::uint32_t> hold_us(kHoldMinUs, kHoldMaxUs);
  std::uniform_int_distribution<std::uint32_t> worker(0, shape.workers - 1);
  const auto length = static_cast<double>(length_us);
  // Thinned: as many as at the peak, and each stays with the chance that its time has by that.
  for (double at = gap_us(rng); at < length; at += gap_us(rng)) {
    if (chance(rng) >= share_at(at / length)) continue;
    if (load.requests.size() == kMostRequests) break;
    load.requests.push_back({static_cast<std::uint64_t>(at), hold_us(rng), worker(rng)});
  }
  return load;
}

Load steady(const LoadShape& shape) {
  return poisson(shape, length_of(shape, 60), 0.6, [](double) { return 0.6; });
}

/// A day in four minutes: from a tenth at night to nine tenths at noon.
Load diurnal(const LoadShape& shape) {
  return poisson(shape, length_of(shape, 240), 0.9,
                 [](double part) { return 0.5 - 0.4 * std::cos(2 * std::numbers::pi * part); });
}

/// The server is away for a twelfth of the time, from a third on: 5 s of a minute.
Load restart(const LoadShape& shape) {
  Load load = poisson(shape, length_of(shape, 60), 0.5, [](double) { return 0.5; });
  load.outages.push_back({load.length_us / 3, load.length_us / 3 + load.length_us / 12});
  return load;
}

Load demo(const LoadShape& shape) {
  constexpr std::uint64_t kPatienceUs = kSecondUs;  // tests/demo/options.h
  Load load{.length_us = length_of(shape, 13), .patience_us = kPatienceUs};
  load.requests = wandering_requests({.workers = shape.workers,
                                      .quota = shape.connections,
                                      .length_us = load.length_us,
                                      .seed = shape.seed});
  for (Request& request : load.requests) request.hold_us = slept_us(request.hold_us);
  return load;
}

struct Maker {
  NamedLoad named;
  std::function<Load(const LoadShape&)> make;
};

const std::vector<Maker>& makers() {
  static const std::vector<Maker> all{
      {{"light", "every 2 s 5 users at once, 3 requests each, of 20 to 50 ms; a minute"},
       [](const LoadShape& shape) { return bursts(shape, 5, 3); }},
      {{"moderate", "every 2 s 10 users at once, 5 requests each"},
       [](const LoadShape& shape) { return bursts(shape, 10, 5); }},
      {{"heavy", "every 2 s 20 users at once, 5 requests each"},
       [](const LoadShape& shape) { return bursts(shape, 20, 5); }},
      {{"peak", "every 2 s 30 users at once, 3 requests each"},
       [](const LoadShape& shape) { return bursts(shape, 30, 3); }},
      {{"steady", "requests of 5 to 20 ms that keep 60 % of the connections busy; a minute"},
       steady},
      {{"diurnal", "a day in four minutes: from 10 % of the connections busy to 90 %"}, diurnal},
      {{"restart", "50 % busy for a minute, and the server is away for 5 s of it"}, restart},
      {{"demo", "the demo's: 30 % busy, and four fifths of it at one or two workers; 13 s"}, demo},
  };
  return all;
}

}  // namespace

const std::vector<NamedLoad>& named_loads() {
  static const std::vector<NamedLoad> all = [] {
    std::vector<NamedLoad> loads;
    for (const Maker& maker : makers()) loads.push_back(maker.named);
    return loads;
  }();
  return all;
}

std::optional<Load> load_named(std::string_view name, const LoadShape& shape) {
  for (const Maker& maker : makers()) {
    if (maker.named.name != name) continue;
    Load load = maker.make(shape);
    load.name = name;
    return load;
  }
  return std::nullopt;
}

}  // namespace weir::simulation
