#include "demo/screen.h"

#include <iomanip>
#include <ostream>
#include <sstream>
#include <utility>

namespace weir::demo {
namespace {

constexpr std::uint64_t kTableEveryUs = 250'000;
constexpr std::uint64_t kLineEveryUs = 2'000'000;

std::string seconds(std::uint64_t us) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << static_cast<double>(us) / 1e6 << " s";
  return text.str();
}

std::string bar(const Moment::Row& row) {
  return std::string(row.used, '#') + std::string(row.idle, '-');
}

}  // namespace

Screen::Screen(std::string title, std::string sessions, std::ostream& out, bool live)
    : title_(std::move(title)), sessions_(std::move(sessions)), out_(out), live_(live) {
  out_ << '\n' << title_ << '\n';
}

void Screen::show(const Moment& moment) {
  if (live_) {
    show_table(moment);
  } else {
    show_line(moment);
  }
  out_.flush();
  next_us_ = moment.now_us + (live_ ? kTableEveryUs : kLineEveryUs);
}

void Screen::say(const std::string& line) {
  out_ << "  " << line << '\n' << std::flush;
  lines_drawn_ = 0;  // the next table starts below it
}

void Screen::show_table(const Moment& moment) {
  if (lines_drawn_ > 0) out_ << "\033[" << lines_drawn_ << "F\033[J";
  out_ << "  worker      pid  idle  used  waiting\n";
  for (std::size_t i = 0; i < moment.workers.size(); ++i) {
    const Moment::Row& row = moment.workers[i];
    out_ << "  " << std::setw(4) << i + 1 << (row.hot ? " *" : "  ") << std::setw(9)
         << (row.pid == 0 ? "killed" : std::to_string(row.pid)) << std::setw(6) << row.idle
         << std::setw(6) << row.used << std::setw(9) << row.waiting << "  " << bar(row) << '\n';
  }
  out_ << "  " << seconds(moment.now_us) << " of " << seconds(moment.length_us) << "   "
       << figures(moment) << "   (* hot, # used, - idle)\n";
  lines_drawn_ = moment.workers.size() + 2;
}

void Screen::show_line(const Moment& moment) {
  out_ << "  " << std::setw(6) << seconds(moment.now_us) << "  idle/used/waiting";
  for (const Moment::Row& row : moment.workers) {
    out_ << ' ' << row.idle << '/' << row.used << '/' << row.waiting << (row.hot ? "*" : "");
  }
  out_ << "  " << figures(moment) << '\n';
}

std::string Screen::figures(const Moment& moment) const {
  std::ostringstream text;
  text << sessions_ << " " << std::setw(2) << moment.server_now << " (most " << moment.server_max
       << " of " << moment.quota << "), served " << moment.served << ", timeouts "
       << moment.timeouts << ", errors " << moment.errors;
  return text.str();
}

}  // namespace weir::demo
