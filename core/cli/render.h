// What the commands print with: aligned tables, and numbers as people read them.
//
// Plain ASCII, at most kLineWidth columns. Text that comes from the segment or a server is foreign:
// printable() makes it harmless to a terminal before it is shown. Threads: plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

inline constexpr std::size_t kLineWidth = 100;

/// `text` with everything but printable ASCII replaced by "?".
[[nodiscard]] std::string printable(std::string_view text);

/// "0.4 ms", "120 ms", "4.2 s", "3m 12s", "2h 5m", "3d 4h". Milliseconds below a second, and so on.
[[nodiscard]] std::string age_text(std::uint64_t ns);
/// Up to 999,999 as it is, then "1.2M", "3.4G".
[[nodiscard]] std::string count_text(std::uint64_t count);
/// "512 B", "1.9 MiB".
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);
/// "2026-01-31 12:00:03 UTC".
[[nodiscard]] std::string utc_text(std::uint64_t unix_ns);

/// 120.4 for 120,400,000 ns: what JSON shows, to a microsecond.
[[nodiscard]] double to_ms(std::uint64_t ns);

/// Rows under a heading. Columns are as wide as their widest cell; where the lines would become too
/// long, the widest text columns give way and a "~" ends what was cut. Numbers are never cut.
class Table {
 public:
  enum class Align { kText, kNumber };
  struct Column {
    std::string title;
    Align align = Align::kNumber;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// REQUIRES: one cell per column. Text is made printable().
  void add(std::vector<std::string> cells);
  [[nodiscard]] bool is_empty() const { return rows_.empty(); }
  /// Heading and rows, a newline after each, no spaces before it.
  [[nodiscard]] std::string text(std::size_t width = kLineWidth) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace weir::cli
