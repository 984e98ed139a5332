// The sheet of a benchmark: what each variant measured in each round, and what that comes to.
//
// Variants are measured one after another in every round, so whatever else the machine does in that
// round meets all of them. Ratios are therefore taken inside a round first and summed up
// afterwards: the median of ratios, not the ratio of medians. Plain values, no threads.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir::bench {

/// One measured value.
struct Figure {
  std::string metric;
  std::string unit;
  double value;
};

struct Spread {
  double median, min, max;
};

/// Of an even number of values the median is the mean of the two in the middle. REQUIRES: not
/// empty.
[[nodiscard]] Spread spread_of(std::vector<double> values);

struct Row {
  std::string variant, metric, unit;
  Spread spread;
};

/// `of` divided by `to`.
struct Ratio {
  std::string of, to, metric;
  Spread spread;
};

class Sheet {
 public:
  /// At most one value for each variant and metric in a round; a later one replaces it.
  void add(std::size_t round, const std::string& variant, const Figure& figure);

  /// One for each variant and metric, in the order in which they were first added.
  [[nodiscard]] std::vector<Row> rows() const;
  /// Of the rounds in which both were measured and `to` is not zero; nullopt if there is none.
  [[nodiscard]] std::optional<Ratio> ratio(const std::string& of, const std::string& to,
                                           const std::string& metric) const;

 private:
  struct Column {
    std::string variant, metric, unit;
    std::map<std::size_t, double> by_round;
  };
  [[nodiscard]] const Column* find(const std::string& variant, const std::string& metric) const;

  std::vector<Column> columns_;
  std::map<std::pair<std::string, std::string>, std::size_t> index_;  // (variant, metric)
};

}  // namespace weir::bench
