// The live table: redrawn in place on a terminal, one line every two seconds elsewhere. No threads.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace weir::demo {

/// One moment of one phase.
struct Moment {
  struct Row {
    std::int32_t pid = 0;  // 0: killed, nobody in its place yet
    bool hot = false;
    std::uint32_t idle = 0, used = 0, waiting = 0;
  };
  std::vector<Row> workers;
  std::uint64_t now_us = 0, length_us = 0;
  std::uint32_t server_now = 0, server_max = 0, quota = 0;
  std::size_t served = 0, timeouts = 0, errors = 0;
};

class Screen {
 public:
  /// `sessions` is what the database's are called. `live`: `out` is a terminal that understands
  /// cursor movements.
  Screen(std::string title, std::string sessions, std::ostream& out, bool live);

  /// Whether it is time to show another moment.
  [[nodiscard]] bool is_due(std::uint64_t now_us) const { return now_us >= next_us_; }
  void show(const Moment& moment);
  /// One line that stays, e.g. that a worker was killed.
  void say(const std::string& line);

 private:
  void show_table(const Moment& moment);
  void show_line(const Moment& moment);

  [[nodiscard]] std::string figures(const Moment& moment) const;

  std::string title_;
  std::string sessions_;
  std::ostream& out_;
  bool live_;
  std::uint64_t next_us_ = 0;
  std::size_t lines_drawn_ = 0;  // of the table that stands above the cursor
};

}  // namespace weir::demo
