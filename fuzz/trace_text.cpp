// Any text as a recorded trace: refused with a line number, or understood, written the same, and a
// load in order of arrival that has as many requests as the weights say.
#include <string>

#include "input.h"
#include "simulation/trace.h"

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  using namespace weir::simulation;
  using weir::fuzz::require;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const weir::Result<Trace> trace = read_trace(text);
  if (!trace.ok()) {
    const std::string why(trace.status().message());
    require(why.starts_with("line ") && why.find("found") != std::string::npos,
            "a refusal says where and what", why);
    return 0;
  }
  const std::string written = trace_text(trace.value());
  const weir::Result<Trace> again = read_trace(written);
  require(again.ok() && again.value() == trace.value(), "what is written is read as it was",
          written);

  std::uint64_t weights = 0;
  for (const TraceRequest& one : trace.value().requests) weights += one.weight;
  constexpr std::uint64_t kQuick = 10'000;
  if (weights > kQuick) return 0;
  const Load load = load_of(trace.value(), {"a"});
  require(load.requests.size() == weights, "a request of weight n is n", written);
  std::uint64_t before_us = 0;
  for (const Request& one : load.requests) {
    require(one.arrival_us >= before_us && one.arrival_us <= load.length_us, "in order", written);
    require(one.worker < workers_of(trace.value()), "of a worker that there is", written);
    before_us = one.arrival_us;
  }
  return 0;
}
