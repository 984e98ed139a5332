#include "cli/blackbox_command.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/json_text.h"
#include "cli/render.h"
#include "shm/recorder.h"

namespace weir::cli {
namespace {

using shm::Happening;
using shm::RecordedEvent;
using Json = nlohmann::ordered_json;

struct Box {
  std::uint32_t row = 0, pid = 0;
  std::string service;
  bool is_attached = false;
  std::vector<RecordedEvent> events{};  // oldest first
};

// Of the row's last worker: what was there before it joined is of another.
Box box_of(const shm::Segment& segment, std::uint32_t row) {
  const shm::WorkerRow& worker = segment.workers()[row];
  Box box{.row = row, .pid = worker.pid.load(), .service = worker.service.load()};
  box.is_attached = shm::WorkerWord(worker.word.load()).state() == shm::WorkerState::kLive;
  for (const shm::Ring ring : {shm::Ring::kRequests, shm::Ring::kAllElse}) {
    shm::EventTail(segment, row, ring, shm::EventTail::From::kOldest).read(box.events, true);
  }
  const std::uint64_t joined_ns = worker.joined_ns.load();
  std::erase_if(box.events, [&](const RecordedEvent& event) { return event.when_ns < joined_ns; });
  std::stable_sort(
      box.events.begin(), box.events.end(),
      [](const RecordedEvent& a, const RecordedEvent& b) { return a.when_ns < b.when_ns; });
  return box;
}

std::string pool_name(const shm::Segment& segment, const RecordedEvent& event) {
  const bool has_none = event.kind == Happening::kJoined || event.kind == Happening::kLeft;
  if (has_none || event.pool >= segment.geometry().pools) return {};
  return segment.pools()[event.pool].name.load();
}

std::string_view reason_name(std::uint32_t reason) {
  constexpr std::array<std::string_view, 14> kNames{
      "idle",          "lifetime",     "stale",     "error",       "invalid",
      "invalidated",   "reset_failed", "overflow",  "pool_closed", "interrupted",
      "quota_reclaim", "fork",         "cancelled", "detached"};
  return reason < kNames.size() ? kNames[reason] : "?";
}

std::string us_text(std::uint32_t us) { return age_text(std::uint64_t{us} * 1000); }

// What the number means, for people.
std::string number_text(const RecordedEvent& event) {
  const std::string number = std::to_string(event.number);
  switch (event.kind) {
    case Happening::kLease:
      return event.number > 1 ? "stands for " + number : "";
    case Happening::kNoLease:
    case Happening::kConnectFailed:
    case Happening::kCheckFailed:
    case Happening::kResetFailed:
      return std::string(code_name(static_cast<Code>(event.number)));
    case Happening::kClosed:
      return std::string(reason_name(event.number));
    case Happening::kBreakerOpened:
      return number + " attempts without an answer";
    case Happening::kPolicyInCharge: {
      std::array<char, 16> digits{};
      std::snprintf(digits.data(), digits.size(), "%08x...", event.number);
      return event.number == 0 ? "built-in" : digits.data();
    }
    case Happening::kPolicyFailed:
      return number + " times";
    case Happening::kResized:
      return "max " + number;
    case Happening::kReclaimed:
      return number + " places";
    case Happening::kJoined:
      return "pid " + number;
    default:
      return {};
  }
}

bool is_request(const RecordedEvent& event) {
  return event.kind == Happening::kLease || event.kind == Happening::kNoLease;
}

std::string text_of(const shm::Segment& segment, const std::vector<Box>& boxes,
                    std::uint64_t now_ns) {
  std::string out;
  for (const Box& box : boxes) {
    out += (out.empty() ? "worker " : "\nworker ") + std::to_string(box.row) + ", pid " +
           std::to_string(box.pid) + ", " + printable(box.service) +
           (box.is_attached ? "\n" : ", not attached any more\n");
    Table table({{"AGO"},
                 {"POOL", Table::Align::kText},
                 {"EVENT", Table::Align::kText},
                 {"CONN"},
                 {"WAITED"},
                 {"TOOK"},
                 {"", Table::Align::kText}});
    for (const RecordedEvent& event : box.events) {
      table.add({age_text(now_ns > event.when_ns ? now_ns - event.when_ns : 0),
                 pool_name(segment, event), std::string(happening_name(event.kind)),
                 event.connection == 0 ? "" : std::to_string(event.connection),
                 is_request(event) ? us_text(event.wait_us) : "",
                 event.took_us == 0 ? "" : us_text(event.took_us), number_text(event)});
    }
    out += table.is_empty() ? "nothing recorded\n" : table.text();
  }
  return out.empty() ? "No worker was ever attached.\n" : out;
}

Json json_of(const shm::Segment& segment, const std::vector<Box>& boxes, std::uint64_t now_ns) {
  Json workers = Json::array();
  for (const Box& box : boxes) {
    Json events = Json::array();
    for (const RecordedEvent& event : box.events) {
      std::string name(happening_name(event.kind));
      std::replace(name.begin(), name.end(), ' ', '_');
      events.push_back({{"ago_ms", to_ms(now_ns > event.when_ns ? now_ns - event.when_ns : 0)},
                        {"pool", pool_name(segment, event)},
                        {"event", std::move(name)},
                        {"class", event.klass},
                        {"connection", event.connection},
                        {"number", event.number},
                        {"what", number_text(event)},
                        {"wait_us", event.wait_us},
                        {"took_us", event.took_us}});
    }
    workers.push_back({{"row", box.row},
                       {"pid", box.pid},
                       {"service", box.service},
                       {"attached", box.is_attached},
                       {"events", std::move(events)}});
  }
  return {{"format", 1}, {"workers", std::move(workers)}};
}

}  // namespace

ExitCode run_blackbox(const BlackboxOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("blackbox", status); };
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  const auto opened = open_segment(target.value().segment);
  if (!opened.ok()) return fail(opened.status());
  const shm::Segment& segment = *opened.value();
  const std::uint32_t used =
      std::min(segment.header().workers_high.load(), segment.geometry().workers);
  if (options.worker && *options.worker >= used) {
    return fail(Status(Code::kNotFound, "no worker was ever in row " +
                                            std::to_string(*options.worker) +
                                            "; rows in use: " + std::to_string(used)));
  }
  std::vector<Box> boxes;
  for (std::uint32_t row = options.worker.value_or(0);
       row < (options.worker ? *options.worker + 1 : used); ++row) {
    boxes.push_back(box_of(segment, row));
  }
  const std::uint64_t now_ns = monotonic_ns();
  return show_once(options.json ? json_text(json_of(segment, boxes, now_ns), false)
                                : text_of(segment, boxes, now_ns));
}

}  // namespace weir::cli
