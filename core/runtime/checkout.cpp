#include "runtime/checkout.h"

#include "base/clock.h"

namespace weir::runtime {

using pool::EventKind;

Checkout::Checkout(const PoolHandle& handle, std::string_view label)
    : handle_(handle), label_(label) {
  if (!handle.runtime->events().is_heard()) return;
  started_ns_ = monotonic_ns();
  static_cast<void>(tell({.kind = EventKind::kCheckoutStarted}));
}

Code Checkout::tell(pool::Event event) const {
  const pool::EventSink& events = handle_.runtime->events();
  if (!events.is_heard() || started_ns_ == 0) return Code::kOk;
  event.pool = handle_.runtime->config_of(handle_).name;
  event.label = label_;
  if (event.kind != EventKind::kCheckoutStarted) event.duration_ns = monotonic_ns() - started_ns_;
  return events.tell(event);
}

Status Checkout::failed(Status why) const {
  static_cast<void>(
      tell({.kind = EventKind::kCheckoutFailed, .code = why.code(), .text = why.message()}));
  return why;
}

Status Checkout::succeeded(pool::Pool& pool, const pool::Loan& loan) const {
  const Code heard = tell({.kind = EventKind::kCheckedOut, .connection = pool.number_of(loan)});
  if (heard == Code::kOk) return Status();
  static_cast<void>(pool.release(loan));
  return Status(heard, "pool " + pool.config().name + ": a listener refused the lease");
}

}  // namespace weir::runtime
