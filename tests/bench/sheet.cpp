#include "bench/sheet.h"

#include <algorithm>

namespace weir::bench {

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {median, values.front(), values.back()};
}

void Sheet::add(std::size_t round, const std::string& variant, const Figure& figure) {
  const auto [at, is_new] = index_.try_emplace(std::pair(variant, figure.metric), columns_.size());
  if (is_new) columns_.push_back({variant, figure.metric, figure.unit, {}});
  columns_[at->second].by_round[round] = figure.value;
}

std::vector<Row> Sheet::rows() const {
  std::vector<Row> rows;
  for (const Column& column : columns_) {
    std::vector<double> values;
    for (const auto& [round, value] : column.by_round) values.push_back(value);
    rows.push_back({column.variant, column.metric, column.unit, spread_of(std::move(values))});
  }
  return rows;
}

std::optional<Ratio> Sheet::ratio(const std::string& of, const std::string& to,
                                  const std::string& metric) const {
  const Column* const upper = find(of, metric);
  const Column* const lower = find(to, metric);
  if (upper == nullptr || lower == nullptr) return std::nullopt;
  std::vector<double> ratios;
  for (const auto& [round, value] : upper->by_round) {
    const auto other = lower->by_round.find(round);
    if (other != lower->by_round.end() && other->second != 0) {
      ratios.push_back(value / other->second);
    }
  }
  if (ratios.empty()) return std::nullopt;
  return Ratio{of, to, metric, spread_of(std::move(ratios))};
}

const Sheet::Column* Sheet::find(const std::string& variant, const std::string& metric) const {
  const auto at = index_.find(std::pair(variant, metric));
  return at == index_.end() ? nullptr : &columns_[at->second];
}

}  // namespace weir::bench
