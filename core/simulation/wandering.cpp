#include "simulation/wandering.h"

#include <algorithm>
#include <numeric>
#include <random>

namespace weir::simulation {
namespace {

using Rng = std::mt19937_64;
using Workers = std::vector<std::uint32_t>;

/// The others, or everybody when all are hot.
Workers cold_workers(const WanderingShape& shape, const Workers& hot) {
  Workers all(shape.workers);
  std::iota(all.begin(), all.end(), 0U);
  Workers cold;
  std::set_difference(all.begin(), all.end(), hot.begin(), hot.end(), std::back_inserter(cold));
  return cold.empty() ? all : cold;
}

std::uint32_t one_of(const Workers& workers, Rng& rng) {
  return workers[std::uniform_int_distribution<std::size_t>(0, workers.size() - 1)(rng)];
}

}  // namespace

std::vector<std::uint32_t> hot_workers(const WanderingShape& shape, std::uint64_t at_us) {
  // The heat walks along a shuffled row of the workers: one place, two places, one place, ...
  Workers order(shape.workers);
  std::iota(order.begin(), order.end(), 0U);
  Rng rng(shape.seed);
  std::shuffle(order.begin(), order.end(), rng);

  const std::uint64_t period = at_us / shape.hot_period_us;
  const std::uint64_t first = period / 2 * 3 + period % 2;
  const std::uint64_t count = std::min<std::uint64_t>(1 + period % 2, shape.workers);
  Workers hot;
  for (std::uint64_t i = 0; i < count; ++i) hot.push_back(order[(first + i) % order.size()]);
  std::sort(hot.begin(), hot.end());
  return hot;
}

std::vector<Request> wandering_requests(const WanderingShape& shape) {
  const double mean_hold_us = (shape.hold_min_us + shape.hold_max_us) / 2.0;
  const double arrivals_per_us = shape.load * shape.quota / mean_hold_us;
  Rng rng(shape.seed);
  std::exponential_distribution<double> gap_us(arrivals_per_us);
  std::uniform_int_distribution<std::uint32_t> hold_us(shape.hold_min_us, shape.hold_max_us);
  std::bernoulli_distribution goes_to_hot(shape.hot_share);

  std::vector<Request> requests;
  for (double at = gap_us(rng); at < static_cast<double>(shape.length_us); at += gap_us(rng)) {
    const auto arrival_us = static_cast<std::uint64_t>(at);
    const Workers hot = hot_workers(shape, arrival_us);
    const std::uint32_t worker = one_of(goes_to_hot(rng) ? hot : cold_workers(shape, hot), rng);
    requests.push_back({arrival_us, hold_us(rng), worker});
  }
  return requests;
}

}  // namespace weir::simulation
