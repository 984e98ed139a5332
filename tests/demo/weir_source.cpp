#include "demo/weir_source.h"

#include <chrono>
#include <string>

#include "base/clock.h"

namespace weir::demo {

WeirSource::WeirSource(Runtime& runtime, const Client& client, Board& board, Gauge& gauge)
    : runtime_(runtime),
      pool_(runtime.pool("main")),
      client_(client),
      board_(board),
      gauge_(gauge) {}

WeirSource::~WeirSource() {
  try {
    runtime_.close();
  } catch (const Error& error) {
    board_.note_error(error.what());
  }
}

End WeirSource::serve(std::uint64_t deadline_ns, std::uint32_t hold_us) {
  try {
    const std::chrono::nanoseconds left = Deadline::at_ns(deadline_ns).left(monotonic_ns());
    Lease lease;
    {
      const Counted waiting(gauge_.waiting);
      lease = pool_.acquire({left, "demo request"});
    }
    const Counted used(gauge_.used);
    const std::string error = client_.serve(lease.native<void>(), hold_us);
    if (!error.empty()) {
      board_.note_error(error.c_str());
      return End::kFailed;
    }
    lease.release();
    return End::kServed;
  } catch (const Error& error) {
    if (error.is_timeout()) return End::kTimedOut;
    board_.note_error(error.what());
    return End::kFailed;
  }
}

}  // namespace weir::demo
