#include "cli/record_command.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <map>
#include <vector>

#include "base/text.h"
#include "cli/interrupts.h"
#include "cli/render.h"
#include "shm/recorder.h"
#include "shm/snapshot.h"
#include "simulation/trace.h"

namespace weir::cli {
namespace {

using shm::EventTail;
using shm::Happening;
using shm::RecordedEvent;

// A ring of 48 requests comes round in 6 ms where 2,000,000 leases a second are made, one in 256 of
// which is there.
constexpr std::uint64_t kLookNs = 2'000'000;

struct Request {
  std::uint64_t arrival_ns = 0;
  std::uint32_t row = 0;  // of its worker
  RecordedEvent event;
};

struct Recording {
  std::uint64_t began_ns = 0, ended_ns = 0;
  std::vector<Request> requests;
  std::uint64_t weight = 0;  // of all of them
  std::uint64_t lost = 0;    // events, of whatever pool
  bool is_full = false;

  // What arrived before it began is no part of it, nor is a time that cannot be.
  void add(const RecordedEvent& event, std::uint32_t row) {
    const std::uint64_t before_ns = (std::uint64_t{event.wait_us} + event.took_us) * 1000;
    if (is_full || event.when_ns < began_ns + before_ns) return;
    if ((event.when_ns - began_ns) / 1000 > simulation::kLongestTraceUs) return;
    const std::uint64_t stands_for = weight_of(event);
    is_full = weight + stands_for > simulation::kMostRequests;
    if (is_full) return;
    weight += stands_for;
    requests.push_back({event.when_ns - before_ns, row, event});
  }
  static std::uint32_t weight_of(const RecordedEvent& event) {
    return event.kind == Happening::kLease ? std::max(event.number, 1u) : 1;
  }
};

// The pool's row.
Result<std::uint32_t> pool_of(const shm::Segment& segment, const std::string& asked) {
  const shm::Snapshot snapshot = shm::take_snapshot(segment);
  const Result<std::string> name = choose_pool(snapshot, asked);
  return name.ok() ? Result(snapshot.pool(name.value())->row) : name.status();
}

Recording record(const shm::Segment& segment, std::uint32_t pool, Nanos length) {
  Recording recording;
  std::vector<EventTail> tails;
  for (std::uint32_t row = 0; row < segment.geometry().workers; ++row) {
    tails.emplace_back(segment, row, shm::Ring::kRequests, EventTail::From::kNow);
  }
  recording.began_ns = monotonic_ns();
  const Deadline end = Deadline::after(length);
  const Interrupts interrupts;
  std::fprintf(stderr, "weir record: recording for %s, or until interrupted\n",
               age_text(static_cast<std::uint64_t>(length.count())).c_str());
  std::vector<RecordedEvent> events;
  const auto look = [&](bool is_last) {
    for (std::uint32_t row = 0; row < tails.size(); ++row) {
      events.clear();
      tails[row].read(events, is_last);
      for (const RecordedEvent& event : events) {
        if (event.pool == pool) recording.add(event, row);
      }
    }
  };
  while (!recording.is_full && !end.passed(monotonic_ns())) {
    if (interrupts.wait(end.earlier_of(Deadline::at_ns(monotonic_ns() + kLookNs)))) break;
    look(false);
  }
  look(true);
  recording.ended_ns = monotonic_ns();
  for (const EventTail& tail : tails) recording.lost += tail.lost();
  return recording;
}

// The name of a class as the pool has it; empty: none, or none that a trace may have.
std::string class_name(const shm::PoolRow& pool, std::uint32_t klass) {
  constexpr std::size_t kLongest = 15;
  if (klass == 0 || klass > shm::kMaxClasses) return {};
  const std::string name = pool.class_names[klass - 1].load();
  return is_name(name) && name.size() <= kLongest ? name : std::string();
}

// Workers are numbered in the order in which they first appear.
simulation::Trace trace_of(Recording& recording, const shm::PoolRow& pool) {
  std::stable_sort(recording.requests.begin(), recording.requests.end(),
                   [](const Request& a, const Request& b) { return a.arrival_ns < b.arrival_ns; });
  simulation::Trace trace;
  std::map<std::uint32_t, std::uint32_t> workers;  // by row
  for (const Request& one : recording.requests) {
    const auto worker = workers.emplace(one.row, workers.size()).first->second;
    const bool got_one = one.event.kind == Happening::kLease;
    trace.requests.push_back({.arrival_us = (one.arrival_ns - recording.began_ns) / 1000,
                              .wait_us = one.event.wait_us,
                              .hold_us = got_one ? std::optional(one.event.took_us) : std::nullopt,
                              .worker = worker,
                              .weight = Recording::weight_of(one.event),
                              .klass = class_name(pool, one.event.klass)});
  }
  return trace;
}

std::string summary(const Recording& recording, const simulation::Trace& trace) {
  std::string text = std::to_string(trace.requests.size()) + " requests, which stand for " +
                     std::to_string(recording.weight) + ", of " +
                     std::to_string(trace.requests.empty() ? 0 : workers_of(trace)) +
                     " workers, in " + age_text(recording.ended_ns - recording.began_ns) + "; " +
                     std::to_string(recording.lost) + " events lost";
  if (recording.is_full) text += "; ended early: a trace holds no more";
  return text;
}

}  // namespace

ExitCode run_record(const RecordOptions& options) {
  const auto fail = [](const Status& status) { return tell_failure("record", status); };
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  const auto segment = open_segment(target.value().segment);
  if (!segment.ok()) return fail(segment.status());
  const Result<std::uint32_t> pool = pool_of(*segment.value(), options.pool);
  if (!pool.ok()) return fail(pool.status());
  std::ofstream file;
  if (!options.out.empty()) {
    file.open(options.out, std::ios::binary);  // before the time is spent
    if (!file) return fail(Status::system_error(options.out + ": open", errno));
  }
  const shm::PoolRow& row = segment.value()->pools()[pool.value()];
  const std::uint64_t began_unix_ns = unix_ns();
  Recording recording = record(*segment.value(), pool.value(), options.length);
  simulation::Trace trace = trace_of(recording, row);
  trace.source = "pool " + printable(row.name.load()) + " of segment " +
                 target.value().segment.name + ", " + utc_text(began_unix_ns);
  const std::string text = trace_text(trace);
  if (options.out.empty()) {
    if (show_once(text) != kShown) return kFailed;
  } else if (!file.write(text.data(), static_cast<std::streamsize>(text.size())).flush()) {
    return fail(Status::system_error(options.out + ": write", errno));
  }
  std::fprintf(stderr, "weir record: %s\n", summary(recording, trace).c_str());
  return kShown;
}

}  // namespace weir::cli
