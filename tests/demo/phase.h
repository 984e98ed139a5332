// One phase of the demo: one way to share the connections serves the whole trace.
//
// The caller must be single-threaded: a phase forks workers, and another one when it kills one.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>

#include "demo/database.h"
#include "demo/options.h"
#include "demo/report.h"
#include "demo/source.h"
#include "demo/trace.h"
#include "demo/weir_side.h"

namespace weir::demo {

struct PhasePlan {
  std::string title;
  const Options& options;
  const Trace& trace;
  Database& database;
  /// Called in each worker process.
  std::function<std::unique_ptr<Source>(std::uint32_t worker, Board& board, Gauge& gauge)>
      make_source;
  /// Not null: weir's phase. A hot worker is killed halfway and replaced, and its places are
  /// followed; at the end one process tries to hold the whole quota.
  WeirSide* weir = nullptr;
};

struct PhaseResult {
  Figures figures;
  AfterKill after_kill;  // weir's phase only
};

/// Runs it and shows it on `out`. Takes a little longer than the trace is long.
[[nodiscard]] PhaseResult run_phase(const PhasePlan& plan, std::ostream& out, bool live);

}  // namespace weir::demo
