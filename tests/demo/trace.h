// The load of the demo: one list of requests, computed beforehand, that every variant has to serve.
// It is the one that `weir policy simulate` calls demo.
#pragma once

#include "simulation/wandering.h"

namespace weir::demo {

using simulation::hot_workers;
using simulation::Request;
/// In order of arrival.
using Trace = std::vector<Request>;
using TraceShape = simulation::WanderingShape;

[[nodiscard]] inline Trace make_trace(const TraceShape& shape) {
  return simulation::wandering_requests(shape);
}

}  // namespace weir::demo
