#include "cli/render.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <numeric>
#include <optional>
#include <utility>

#include "base/status.h"

namespace weir::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowest = 6;  // a text column is not cut further

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

std::string two_units(std::uint64_t value, std::uint64_t per_large, char large, char small) {
  std::string text = std::to_string(value / per_large) + large;
  if (value % per_large != 0) text += " " + std::to_string(value % per_large) + small;
  return text;
}

std::string cut(const std::string& text, std::size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 1) + "~";
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown(text);
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return shown;
}

std::string age_text(std::uint64_t ns) {
  const double ms = static_cast<double>(ns) / 1e6;
  if (ms < 9.95) return format("%.1f ms", ms);
  if (ms < 999.5) return format("%.0f ms", ms);
  if (ms < 59'950) return format("%.1f s", ms / 1000);
  const std::uint64_t seconds = (ns + 500'000'000) / 1'000'000'000;
  if (seconds < 3600) return two_units(seconds, 60, 'm', 's');
  if (seconds < 86'400) return two_units(seconds / 60, 60, 'h', 'm');
  return two_units(seconds / 3600, 24, 'd', 'h');
}

std::string count_text(std::uint64_t count) {
  if (count < 1'000'000) return std::to_string(count);
  constexpr std::array<char, 5> kUnits = {'M', 'G', 'T', 'P', 'E'};
  auto scaled = static_cast<double>(count) / 1e6;
  std::size_t unit = 0;
  for (; scaled >= 999.5 && unit + 1 < kUnits.size(); ++unit) scaled /= 1000;
  return format(scaled < 9.95 ? "%.1f%c" : "%.0f%c", scaled, kUnits[unit]);
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  const double kib = static_cast<double>(bytes) / 1024;
  return kib < 1024 ? format("%.1f KiB", kib) : format("%.1f MiB", kib / 1024);
}

std::string utc_text(std::uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm utc{};
  std::array<char, 32> text{};
  if (gmtime_r(&seconds, &utc) == nullptr ||
      std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &utc) == 0) {
    return "?";
  }
  return text.data();
}

double to_ms(std::uint64_t ns) { return std::round(static_cast<double>(ns) / 1e3) / 1e3; }

void Table::add(std::vector<std::string> cells) {
  WEIR_CHECK(cells.size() == columns_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t widest = columns_[c].title.size();
    for (const auto& row : rows_) widest = std::max(widest, row[c].size());
    widths.push_back(widest);
  }

  // Narrow the widest text column by one until the lines fit or none can give way any more.
  const auto line_width = [&] {
    return std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1));
  };
  while (line_width() > width) {
    std::optional<std::size_t> widest;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const bool can_give = columns_[c].align == Align::kText &&
                            widths[c] > std::max(kNarrowest, columns_[c].title.size());
      if (can_give && (!widest || widths[c] > widths[*widest])) widest = c;
    }
    if (!widest) break;
    --widths[*widest];
  }

  std::string out;
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const std::string cell =
          columns_[c].align == Align::kText ? cut(cell_of(c), widths[c]) : cell_of(c);
      const std::string padding(widths[c] - std::min(cell.size(), widths[c]), ' ');
      if (c != 0) line.append(kGap, ' ');
      line += columns_[c].align == Align::kText ? cell + padding : padding + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t c) { return columns_[c].title; });
  for (const auto& row : rows_) add_line([&](std::size_t c) { return row[c]; });
  return out;
}

}  // namespace weir::cli
