#include "simulation/trace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <map>
#include <queue>

#include "simulation/report.h"

namespace weir::simulation {
namespace {

constexpr std::string_view kHeader = "weir-trace 1";
constexpr std::size_t kFields = 6;
constexpr std::uint64_t kMostWorkers = 10'000;
constexpr std::size_t kLongestClass = 15;

/// Cut, and without what a terminal would take for an order.
std::string shown(std::string_view text) {
  constexpr std::size_t kMost = 40;
  std::string found = "\"";
  for (const char c : text.substr(0, kMost)) found += c >= ' ' && c <= '~' ? c : '?';
  return found + (text.size() > kMost ? "...\"" : "\"");
}

bool is_class_name(std::string_view name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && name.size() <= kLongestClass && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || is_digit(c); });
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  Result<Trace> read() {
    Trace trace;
    std::string_view line;
    if (!next_line(line)) return wrong("", "expected \"weir-trace 1\" and a source", "nothing");
    if (!ended_) return unended(line);
    if (line != kHeader && !line.starts_with(std::string(kHeader) + " ")) {
      return wrong("", "expected \"weir-trace 1\" and a source", shown(line));
    }
    if (line.size() > kHeader.size()) trace.source = line.substr(kHeader.size() + 1);
    std::uint64_t weights = 0;
    while (next_line(line)) {
      if (!ended_) return unended(line);
      TraceRequest request;
      WEIR_TRY(read_request(line, request));
      if (!trace.requests.empty() && request.arrival_us < trace.requests.back().arrival_us) {
        return wrong("arrival_us", "expected order of arrival", std::to_string(request.arrival_us));
      }
      weights += request.weight;
      if (weights > kMostRequests) {
        return wrong("weight",
                     "expected " + std::to_string(kMostRequests) + " requests in all at most",
                     "more");
      }
      trace.requests.push_back(std::move(request));
    }
    return trace;
  }

 private:
  bool next_line(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = rest_.find('\n');
    ended_ = end != std::string_view::npos;
    line = rest_.substr(0, end);
    rest_ = ended_ ? rest_.substr(end + 1) : std::string_view();
    ++number_;
    return true;
  }

  [[nodiscard]] Status wrong(std::string_view field, const std::string& expected,
                             const std::string& found) const {
    return Status(Code::kBadArgument, "line " + std::to_string(std::max(number_, 1u)) + ": " +
                                          std::string(field) + (field.empty() ? "" : ": ") +
                                          expected + ", found " + found);
  }
  [[nodiscard]] Status unended(std::string_view line) const {
    return wrong("", "expected a newline at the end (is the file cut?)", shown(line));
  }

  Status number(std::string_view name, std::string_view text, std::uint64_t least,
                std::uint64_t most, std::uint64_t& value) const {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    if (whole && value >= least && value <= most) return Status();
    return wrong(
        name,
        "expected a whole number from " + std::to_string(least) + " to " + std::to_string(most),
        shown(text));
  }

  Status read_request(std::string_view line, TraceRequest& request) const {
    std::array<std::string_view, kFields> fields;
    std::size_t count = 1;
    for (std::size_t i = 0, from = 0; i <= line.size(); ++i) {
      if (i < line.size() && line[i] != ' ') continue;
      if (count <= kFields) fields[count - 1] = line.substr(from, i - from);
      from = i + 1;
      count += i < line.size() ? 1 : 0;
    }
    if (count != kFields) {
      return wrong("", "expected six fields with a space between them", shown(line));
    }
    std::uint64_t hold = 0, worker = 0, weight = 0;
    WEIR_TRY(number("arrival_us", fields[0], 0, kLongestTraceUs, request.arrival_us));
    WEIR_TRY(number("wait_us", fields[1], 0, kLongestTraceUs, request.wait_us));
    if (fields[2] != "-") {
      WEIR_TRY(number("hold_us", fields[2], 0, UINT32_MAX, hold));
      request.hold_us = static_cast<std::uint32_t>(hold);
    }
    WEIR_TRY(number("worker", fields[3], 0, kMostWorkers - 1, worker));
    WEIR_TRY(number("weight", fields[4], 1, kMostRequests, weight));
    request.worker = static_cast<std::uint32_t>(worker);
    request.weight = static_cast<std::uint32_t>(weight);
    if (fields[5] == "-") return Status();
    if (!is_class_name(fields[5])) {
      return wrong("class", "expected [a-z][a-z0-9]* of at most 15 bytes, or -", shown(fields[5]));
    }
    request.klass = fields[5];
    return Status();
  }

  std::string_view rest_;
  unsigned number_ = 0;
  bool ended_ = true;
};

}  // namespace

Result<Trace> read_trace(std::string_view text) { return Reader(text).read(); }

std::string trace_text(const Trace& trace) {
  std::string text(kHeader);
  if (!trace.source.empty()) text += ' ' + trace.source;
  std::replace(text.begin(), text.end(), '\n', ' ');
  text += '\n';
  for (const TraceRequest& one : trace.requests) {
    text += std::to_string(one.arrival_us) + ' ' + std::to_string(one.wait_us) + ' ' +
            (one.hold_us ? std::to_string(*one.hold_us) : "-") + ' ' + std::to_string(one.worker) +
            ' ' + std::to_string(one.weight) + ' ' + (one.klass.empty() ? "-" : one.klass) + '\n';
  }
  return text;
}

std::uint32_t workers_of(const Trace& trace) {
  std::uint32_t workers = 1;
  for (const TraceRequest& one : trace.requests) workers = std::max(workers, one.worker + 1);
  return workers;
}

std::optional<std::uint32_t> threads_of(const Trace& trace) {
  // When those that each worker has end, the next one first.
  using Ends = std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>>;
  std::vector<Ends> busy(workers_of(trace));
  std::size_t most = 1;
  for (const TraceRequest& one : trace.requests) {
    if (one.weight != 1) return std::nullopt;
    Ends& ends = busy[one.worker];
    while (!ends.empty() && ends.top() <= one.arrival_us) ends.pop();
    ends.push(one.arrival_us + one.wait_us + one.hold_us.value_or(0));
    most = std::max(most, ends.size());
  }
  return static_cast<std::uint32_t>(most);
}

Load load_of(const Trace& trace, const std::vector<std::string>& classes) {
  Load load{.name = "trace"};
  if (trace.requests.empty()) return load;
  std::vector<std::uint64_t> holds;
  for (const TraceRequest& one : trace.requests) {
    if (one.hold_us) holds.push_back(*one.hold_us);
  }
  const auto usual = static_cast<std::uint32_t>(percentile_ms(holds, 0.5) * 1000);

  // From the last one back: what comes next in each worker is known then.
  const std::uint64_t end_us = trace.requests.back().arrival_us;
  std::map<std::uint32_t, std::uint64_t> next_us;
  for (auto one = trace.requests.rbegin(); one != trace.requests.rend(); ++one) {
    const auto next = next_us.find(one->worker);
    const std::uint64_t until_us = next == next_us.end() ? end_us : next->second;
    next_us[one->worker] = one->arrival_us;
    const auto klass = std::find(classes.begin(), classes.end(), one->klass);
    for (std::uint64_t i = 0; i < one->weight; ++i) {
      const std::uint64_t after_us = (until_us - one->arrival_us) * i / one->weight;
      load.requests.push_back(
          {one->arrival_us + after_us, one->hold_us.value_or(usual), one->worker,
           klass == classes.end() ? 0 : static_cast<std::uint32_t>(klass - classes.begin()) + 1});
    }
  }
  std::stable_sort(
      load.requests.begin(), load.requests.end(),
      [](const Request& one, const Request& other) { return one.arrival_us < other.arrival_us; });
  load.length_us = end_us;
  return load;
}

}  // namespace weir::simulation
