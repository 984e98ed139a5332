#include "cli/pool_command.h"

#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/json_text.h"
#include "cli/pool_figures.h"
#include "cli/render.h"

namespace weir::cli {
namespace {

using shm::Decision;
using shm::PlaceSnapshot;
using shm::PlaceState;
using Json = nlohmann::ordered_json;

constexpr long kBetweenLooksNs = 50'000'000;

const char* name_of(Decision decision) {
  switch (decision) {
    case Decision::kPause:
      return "pause";
    case Decision::kResume:
      return "resume";
    case Decision::kDrain:
      return "drain";
    case Decision::kClear:
    case Decision::kClearAndInterrupt:
      return "clear";
  }
  return "?";
}

std::string counted(std::uint32_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

void add(OlderConnections& older, const PlaceSnapshot& place) {
  switch (place.state) {
    case PlaceState::kUsed:
    case PlaceState::kGiving:
      ++older.used;
      break;
    case PlaceState::kIdle:
    case PlaceState::kParked:
      ++older.idle;
      break;
    case PlaceState::kOpening:
      ++older.connecting;
      break;
    case PlaceState::kClosing:
      ++older.closing;
      break;
    case PlaceState::kLingering:
      ++older.lingering;
      break;
    default:
      break;  // empty
  }
}

std::string holder_text(const PlaceSnapshot& place) {
  return "connection " + std::to_string(place.connection) + " for " + age_text(place.state_ns) +
         ", pid " + std::to_string(place.holder_pid) + ", thread " +
         std::to_string(place.holder_thread) +
         (place.label.empty() ? std::string() : ", \"" + printable(place.label) + "\"");
}

// "3 in use, 1 idle"
std::string parts_text(const OlderConnections& older) {
  std::string text;
  for (const auto& [count, what] :
       {std::pair{older.used, "in use"}, std::pair{older.idle, "idle"},
        std::pair{older.connecting, "connecting"}, std::pair{older.closing, "closing"},
        std::pair{older.lingering, "lingering"}}) {
    if (count != 0) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
  }
  return text;
}

std::string older_text(const PoolReport& report) {
  if (report.older.all() == 0) return "No connection from before is left.\n";
  return "From before: " + counted(report.older.all(), "connection") + " (" +
         parts_text(report.older) +
         "). Idle ones close at once, those in use when they come back.\n";
}

std::string use_text(const PoolReport& report) {
  if (report.used == 0) return {};
  return counted(report.used, "connection") + " in use " + (report.used == 1 ? "stays" : "stay") +
         " usable until " + (report.used == 1 ? "it comes" : "they come") + " back.\n";
}

std::string until_resumed(const std::string& pool) {
  return "It stands until weir resume " + printable(pool) + ".\n";
}

constexpr const char* kTurnedAway =
    "Callers, and who is in line, get paused at once: they may try again.\n";

// Looks until nothing older than the decision is left, or the time is over.
PoolReport wait_for_older(const shm::Segment& segment, PoolReport report, Deadline deadline) {
  const std::uint64_t began_ns = monotonic_ns();
  while (true) {
    PoolReport now = report_of(report.decision, report.decided, shm::take_snapshot(segment));
    const std::uint64_t now_ns = monotonic_ns();
    now.waited_ns = now_ns - began_ns;
    if (now.older.all() == 0 || deadline.passed(now_ns)) return now;
    const timespec between{0, kBetweenLooksNs};
    nanosleep(&between, nullptr);
  }
}

ExitCode wait_and_tell(const PoolOptions& options, const PoolReport& report) {
  // Read-only: a segment that somebody holds open to change it is not made anew meanwhile.
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return tell_failure("drain", target.status());
  const auto segment = open_segment(target.value().segment);
  if (!segment.ok()) return tell_failure("drain", segment.status());
  const PoolReport waited =
      wait_for_older(*segment.value(), report, Deadline::after(options.wait_at_most));
  if (options.json) {
    const ExitCode written = show_once(json_text(decided_json(waited), false));
    if (written != kShown) return written;
  }
  if (waited.older.all() != 0) {
    return tell_failure("drain", Status(Code::kTimeout, waited_text(waited)));
  }
  return options.json ? kShown : show_once(waited_text(waited) + "\n");
}

}  // namespace

ExitCode run_pool(const PoolOptions& options) {
  const auto fail = [&](const Status& status) {
    return tell_failure(name_of(options.decision), status);
  };
  const Result<Target> target = resolve(options.where);
  if (!target.ok()) return fail(target.status());
  PoolReport report;
  {
    const auto segment = open_segment_to_change(target.value().segment);
    if (!segment.ok()) return fail(segment.status());
    const Result<shm::Decided> decided =
        shm::decide(*segment.value(), options.pool, options.decision);
    if (!decided.ok()) return fail(decided.status());
    report = report_of(options.decision, decided.value(), shm::take_snapshot(*segment.value()));
  }
  const bool waits = options.wait && options.decision == Decision::kDrain;
  if (!options.json || !waits) {
    const ExitCode written =
        show_once(options.json ? json_text(decided_json(report), false) : decided_text(report));
    if (written != kShown || !waits) return written;
  }
  return wait_and_tell(options, report);
}

PoolReport report_of(Decision decision, const shm::Decided& decided,
                     const shm::Snapshot& snapshot) {
  PoolReport report;
  report.decision = decision;
  report.decided = decided;
  const shm::PoolSnapshot* const pool = snapshot.pool(decided.pool);
  if (pool == nullptr) return report;
  report.used = figures_of(snapshot, *pool).used;
  report.waiting = pool->waiting;
  const PlaceSnapshot* longest = nullptr;
  for (const PlaceSnapshot& place : pool->places) {
    if (!place.is_older_than(decided.generation)) continue;
    add(report.older, place);
    if (place.state != PlaceState::kUsed) continue;
    if (longest == nullptr || place.state_ns > longest->state_ns) longest = &place;
  }
  if (longest != nullptr) report.longest_out = holder_text(*longest);
  return report;
}

std::string decided_text(const PoolReport& report) {
  const shm::Decided& decided = report.decided;
  const std::string about = "pool " + printable(decided.pool) + ": ";
  const std::string generation = "generation " + std::to_string(decided.generation);
  switch (report.decision) {
    case Decision::kPause:
      if (!decided.changed) return about + "was paused already\n" + until_resumed(decided.pool);
      return about + "paused in all workers\n" + kTurnedAway + use_text(report) +
             until_resumed(decided.pool);
    case Decision::kResume:
      return about + (decided.changed ? "lends again in all workers\n" : "was not paused\n");
    case Decision::kDrain:
      return about + "drained in all workers, " + generation + "\n" + older_text(report) +
             (decided.is_paused ? "It is paused, and stays so until weir resume " +
                                      printable(decided.pool) + ".\n"
                                : "Callers get new connections meanwhile.\n");
    case Decision::kClear:
    case Decision::kClearAndInterrupt:
      break;
  }
  if (!decided.changed) {
    return about + "was paused already, so nothing was cleared\nweir drain " +
           printable(decided.pool) + " closes its connections without resuming it.\n";
  }
  return about + "cleared and paused in all workers, " + generation + "\n" + kTurnedAway +
         older_text(report) +
         (report.decision == Decision::kClearAndInterrupt
              ? "Sessions in use and handshakes are broken off: their callers get an error.\n"
              : "") +
         until_resumed(decided.pool);
}

nlohmann::ordered_json decided_json(const PoolReport& report) {
  const OlderConnections& older = report.older;
  Json out = {{"format", 1},
              {"pool", report.decided.pool},
              {"decision", name_of(report.decision)},
              {"changed", report.decided.changed},
              {"paused", report.decided.is_paused},
              {"generation", report.decided.generation},
              {"used", report.used},
              {"waiting", report.waiting},
              {"older",
               {{"connections", older.all()},
                {"used", older.used},
                {"idle", older.idle},
                {"connecting", older.connecting},
                {"closing", older.closing},
                {"lingering", older.lingering}}}};
  if (report.decision == Decision::kClear || report.decision == Decision::kClearAndInterrupt) {
    out["interrupt"] = report.decision == Decision::kClearAndInterrupt;
  }
  if (report.waited_ns) out["waited_ms"] = to_ms(*report.waited_ns);
  return out;
}

std::string waited_text(const PoolReport& report) {
  const std::string after = age_text(report.waited_ns.value_or(0));
  if (report.older.all() == 0) return "No connection from before is left, after " + after + ".";
  std::string text = "pool " + printable(report.decided.pool) + ": " +
                     counted(report.older.all(), "connection") + " from before " +
                     (report.older.all() == 1 ? "was" : "were") + " still there after " + after +
                     ": " + parts_text(report.older);
  if (!report.longest_out.empty()) {
    text += "; longest in use: " + report.longest_out + "; weir holders --pool " +
            printable(report.decided.pool) + " shows all";
  }
  return text + ". The drain stands";
}

}  // namespace weir::cli
