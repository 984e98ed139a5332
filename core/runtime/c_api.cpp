// weir.h on top of Runtime and Pool. Nothing throws past here.
#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>

#include "pool/ticket.h"
#include "runtime/c_values.h"
#include "runtime/checkout.h"
#include "runtime/runtime.h"
#include "weir/weir.h"

// What the opaque handles point at.
struct weir_ticket_t {
  std::shared_ptr<weir::pool::Ticket> ticket;
  weir::runtime::PoolHandle* pool;
};
struct weir_cancel_t {
  weir::pool::Cancellation cancellation;
};

namespace {

using weir::Code;
using weir::Deadline;
using weir::Result;
using weir::Status;
using weir::pool::Loan;
using weir::pool::Pool;
using weir::runtime::Checkout;
using weir::runtime::copy_stats;
using weir::runtime::listener_of;
using weir::runtime::PoolHandle;
using weir::runtime::Runtime;

// Says what is being thrown. REQUIRES: within a catch.
std::int32_t write_exception(weir_error_t* error) noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return weir::write_error(Status(Code::kOutOfMemory, "out of memory"), error);
  } catch (const std::exception& exception) {
    return weir::write_error(Status(Code::kSystemError, exception.what()), error);
  }
}

// Never inlined: beside it the fast path would save registers that it does not need.
template <typename Body>
[[gnu::noinline]] std::int32_t guarded(weir_error_t* error, Body body) noexcept {
  try {
    const Status status = body();
    return status.ok() ? WEIR_OK : weir::write_error(status, error);
  } catch (const std::exception&) {
    return write_exception(error);
  }
}

// The structs as they were at first: their later members are for who knows of them.
constexpr std::size_t kFirstStatsBytes = offsetof(weir_pool_stats_t, handed_live);
constexpr std::size_t kFirstOpenBytes = offsetof(weir_open_options_t, event);
constexpr std::size_t kFirstAcquireBytes = offsetof(weir_acquire_options_t, cancel);

Status bad_argument(const char* what) { return Status(Code::kBadArgument, what); }

Runtime* from(weir_runtime_t* handle) { return reinterpret_cast<Runtime*>(handle); }
PoolHandle* from(weir_pool_t* handle) { return reinterpret_cast<PoolHandle*>(handle); }

// Whether `pool` is what `handle` names, also one of before a fork or a fence.
bool is_of(const Pool& pool, const PoolHandle& handle) {
  return &pool.events() == &handle.runtime->events() &&
         pool.config().name == handle.runtime->config_of(handle).name;
}

Pool* owner_of(const weir_lease_t* lease) {
  return lease == nullptr ? nullptr : static_cast<Pool*>(lease->owner);
}
Loan loan_of(const weir_lease_t& lease) { return {lease.place, lease.serial, lease.native}; }
void fill(weir_lease_t& lease, Pool* pool, const Loan& loan) {
  lease.owner = pool;
  lease.native = loan.native;
  lease.serial = loan.serial;
  lease.place = loan.place;
  lease.over = 0;
}

std::string_view label_of(const weir_acquire_options_t* options) {
  return options == nullptr || options->label == nullptr ? std::string_view() : options->label;
}

Result<std::uint32_t> class_of(const Pool& pool, const weir_acquire_options_t* options) {
  const bool knows = options != nullptr && options->struct_size >= sizeof(weir_acquire_options_t);
  return pool.class_of(knows && options->class_name != nullptr ? options->class_name : "");
}

Deadline deadline_of(std::int64_t timeout_ns) {
  return timeout_ns == WEIR_TIMEOUT_NEVER ? Deadline::never()
                                          : Deadline::after(weir::Nanos(timeout_ns));
}

Deadline deadline_of(const weir_acquire_options_t* options, const PoolHandle& handle) {
  const std::int64_t timeout = options == nullptr ? WEIR_TIMEOUT_DEFAULT : options->timeout_ns;
  if (timeout == WEIR_TIMEOUT_DEFAULT)
    return Deadline::after(handle.runtime->config_of(handle).acquire_timeout);
  return deadline_of(timeout);
}

weir::pool::Cancellation* cancellation_of(const weir_acquire_options_t* options) {
  const bool knows = options != nullptr && options->struct_size >= sizeof(weir_acquire_options_t);
  return knows && options->cancel != nullptr ? &options->cancel->cancellation : nullptr;
}

// The pool behind a handle, if this process is attached already; the fast path needs no more.
Pool* ready(const PoolHandle& handle) {
  Pool* const pool = handle.current.load(std::memory_order_acquire);
  return pool != nullptr && pool->is_valid() ? pool : nullptr;
}

Status check_options(const weir_acquire_options_t* options) {
  if (options != nullptr && options->struct_size < kFirstAcquireBytes) {
    return bad_argument("weir_acquire: options->struct_size is too small; set it to sizeof");
  }
  return Status();
}

Status check_acquire(const weir_pool_t* pool, const weir_acquire_options_t* options,
                     weir_lease_t* lease) {
  if (pool == nullptr || lease == nullptr)
    return bad_argument("weir_acquire: pool or lease is null");
  *lease = {};
  return check_options(options);
}

// The pool behind `pool`, attached by now.
Result<Pool*> attached(weir_pool_t* pool, const char* call, Deadline deadline = Deadline::never()) {
  if (pool == nullptr) return Status(Code::kBadArgument, std::string(call) + ": pool is null");
  PoolHandle& handle = *from(pool);
  if (Pool* const now = ready(handle)) return now;
  return handle.runtime->attached(handle, deadline);
}

// What `decide` makes of it.
template <typename Decide>
std::int32_t decide(weir_pool_t* pool, const char* call, weir_error_t* error, Decide decide) {
  return guarded(error, [&]() -> Status {
    const Result<Pool*> found = attached(pool, call);
    if (!found.ok()) return found.status();
    if constexpr (std::is_same_v<decltype(decide(*found.value())), Status>) {
      return decide(*found.value());
    } else {
      static_cast<void>(decide(*found.value()));
      return Status();
    }
  });
}

// A call on a lease that is out.
template <typename Call>
std::int32_t with_loan(weir_lease_t* lease, const char* call, weir_error_t* error, Call body) {
  return guarded(error, [&]() -> Status {
    Pool* const pool = owner_of(lease);
    if (pool == nullptr) {
      return Status(Code::kNotCheckedOut,
                    std::string(call) + ": not a lease, or given back before");
    }
    return body(*pool, loan_of(*lease));
  });
}

// The same where the lease is over afterwards, unless it fails.
template <typename Call>
std::int32_t end_loan(weir_lease_t* lease, const char* call, weir_error_t* error, Call body) {
  if (lease != nullptr && lease->over != 0) {
    *lease = {};
    return WEIR_OK;
  }
  return with_loan(lease, call, error, [&](Pool& pool, const Loan& loan) -> Status {
    WEIR_TRY(body(pool, loan));
    *lease = {};
    return Status();
  });
}

Status check_stats(const weir_pool_t* pool, const weir_pool_stats_t* stats) {
  if (pool == nullptr || stats == nullptr)
    return bad_argument("weir_pool_stats: pool or stats is null");
  if (stats->struct_size < kFirstStatsBytes) {
    return bad_argument("weir_pool_stats: stats->struct_size is too small; set it to sizeof");
  }
  return Status();
}

Status why_not_at_once(const PoolHandle& handle) {
  if (handle.runtime->is_closed()) return Status(Code::kClosed, "the runtime was closed");
  const std::string& name = handle.runtime->config_of(handle).name;
  if (handle.closed.load()) return Status(Code::kClosed, "pool " + name + ": closed");
  Pool* const pool = ready(handle);
  if (pool != nullptr && pool->is_paused())
    return Status(Code::kPaused, "pool " + name + ": paused");
  return Status(Code::kWouldBlock, "no idle connection in this worker");
}

}  // namespace

extern "C" {

int32_t weir_open(const weir_open_options_t* options, weir_runtime_t** runtime,
                  weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (options == nullptr || runtime == nullptr) {
      return bad_argument("weir_open: options or runtime is null");
    }
    *runtime = nullptr;
    if (options->struct_size < kFirstOpenBytes) {
      return bad_argument("weir_open: options->struct_size is too small; set it to sizeof");
    }
    weir::runtime::OpenOptions open;
    if (options->config_path != nullptr) open.config_path = options->config_path;
    if (options->config_text != nullptr) open.config_text = options->config_text;
    open.log = options->log;
    open.log_context = options->log_context;
    open.log_level = static_cast<weir::LogLevel>(std::clamp(options->log_level, 0, 3));
    open.no_threads = options->no_threads != 0;
    if (options->struct_size >= sizeof(weir_open_options_t)) {
      open.listener = listener_of(options->event, options->event_context);
    }
    const Result<Runtime*> opened = Runtime::open(open);
    if (!opened.ok()) return opened.status();
    *runtime = reinterpret_cast<weir_runtime_t*>(opened.value());
    return Status();
  });
}

int32_t weir_close(weir_runtime_t* runtime, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (runtime == nullptr) return bad_argument("weir_close: runtime is null");
    return Runtime::close(from(runtime));
  });
}

int32_t weir_close_within(weir_runtime_t* runtime, int64_t timeout_ns, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (runtime == nullptr) return bad_argument("weir_close_within: runtime is null");
    return Runtime::close_by(from(runtime), deadline_of(timeout_ns));
  });
}

int32_t weir_reload(weir_runtime_t* runtime, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (runtime == nullptr) return bad_argument("weir_reload: runtime is null");
    return from(runtime)->reload().status();
  });
}

int32_t weir_set_event_callback(weir_runtime_t* runtime, weir_event_fn event, void* context,
                                weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (runtime == nullptr) return bad_argument("weir_set_event_callback: runtime is null");
    from(runtime)->listen(listener_of(event, context));
    return Status();
  });
}

int32_t weir_pool(weir_runtime_t* runtime, const char* name, weir_pool_t** pool,
                  weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (runtime == nullptr || name == nullptr || pool == nullptr) {
      return bad_argument("weir_pool: runtime, name or pool is null");
    }
    *pool = nullptr;
    const Result<PoolHandle*> found = from(runtime)->pool(name);
    if (!found.ok()) return found.status();
    *pool = reinterpret_cast<weir_pool_t*>(found.value());
    return Status();
  });
}

int32_t weir_keep(weir_runtime_t* runtime, int64_t* next_in_ns, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (runtime == nullptr) return bad_argument("weir_keep: runtime is null");
    const Result<std::uint64_t> next_ns = from(runtime)->keep();
    if (!next_ns.ok()) return next_ns.status();
    const std::uint64_t now_ns = weir::monotonic_ns();
    const std::uint64_t left_ns = next_ns.value() > now_ns ? next_ns.value() - now_ns : 0;
    if (next_in_ns != nullptr)
      *next_in_ns = static_cast<std::int64_t>(std::min<std::uint64_t>(left_ns, INT64_MAX));
    return Status();
  });
}

int32_t weir_acquire(weir_pool_t* pool, const weir_acquire_options_t* options, weir_lease_t* lease,
                     weir_error_t* error) try {
  if (pool != nullptr && lease != nullptr && options == nullptr) {
    // The common case, with nothing to construct; a try costs nothing until something is thrown.
    Pool* const attached = from(pool)->current.load(std::memory_order_acquire);
    Loan loan;
    if (attached != nullptr && attached->try_acquire({}, loan)) {
      fill(*lease, attached, loan);
      return WEIR_OK;
    }
  }
  return guarded(error, [&]() -> Status {
    WEIR_TRY(check_acquire(pool, options, lease));
    PoolHandle& handle = *from(pool);
    const Checkout checkout(handle, label_of(options));
    const Deadline deadline = deadline_of(options, handle);
    while (true) {
      const Result<Pool*> found = attached(pool, "weir_acquire", deadline);
      if (!found.ok()) return checkout.failed(found.status());
      Pool& now = *found.value();
      const Result<std::uint32_t> klass = class_of(now, options);
      if (!klass.ok()) return checkout.failed(klass.status());
      Loan loan;
      if (!now.try_acquire(label_of(options), loan)) {
        const Result<Loan> waited =
            now.acquire({deadline, label_of(options), cancellation_of(options), klass.value()});
        // This worker fenced itself meanwhile: once more where it has attached anew. Or it left at
        // the last close: that is what attaching will say.
        if (waited.status().code() == Code::kNotOpen && !now.is_valid() &&
            (handle.runtime->is_closed() || !deadline.passed(weir::monotonic_ns()))) {
          continue;
        }
        if (!waited.ok()) return checkout.failed(waited.status());
        loan = waited.value();
      }
      WEIR_TRY(checkout.succeeded(now, loan));
      fill(*lease, &now, loan);
      return Status();
    }
  });
} catch (const std::exception&) {
  *lease = {};
  return write_exception(error);
}

int32_t weir_try_acquire(weir_pool_t* pool, const weir_acquire_options_t* options,
                         weir_lease_t* lease, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    WEIR_TRY(check_acquire(pool, options, lease));
    const Checkout checkout(*from(pool), label_of(options));
    Pool* const now = ready(*from(pool));
    Loan loan;
    const Result<std::uint32_t> klass =
        now == nullptr ? Result<std::uint32_t>(std::uint32_t{0}) : class_of(*now, options);
    if (!klass.ok()) return checkout.failed(klass.status());
    if (now == nullptr || !now->acquire_at_once(label_of(options), klass.value(), loan)) {
      return checkout.failed(why_not_at_once(*from(pool)));
    }
    WEIR_TRY(checkout.succeeded(*now, loan));
    fill(*lease, now, loan);
    return Status();
  });
}

int32_t weir_release(weir_lease_t* lease, weir_error_t* error) try {
  if (Pool* const pool = owner_of(lease); pool != nullptr && pool->try_release(loan_of(*lease))) {
    *lease = {};
    return WEIR_OK;
  }
  return end_loan(lease, "weir_release", error,
                  [](Pool& pool, const Loan& loan) { return pool.release(loan); });
} catch (const std::exception&) {
  return write_exception(error);
}

int32_t weir_release_later(weir_lease_t* lease, weir_error_t* error) {
  return end_loan(lease, "weir_release_later", error,
                  [](Pool& pool, const Loan& loan) { return pool.release_later(loan); });
}

int32_t weir_release_to(weir_pool_t* pool, weir_lease_t* lease, weir_error_t* error) {
  Pool* const owner = owner_of(lease);
  if (pool != nullptr && owner != nullptr && !is_of(*owner, *from(pool))) {
    return guarded(error, [&]() -> Status {
      return Status(Code::kForeignConnection, "weir_release_to: a lease of pool " +
                                                  owner->config().name + " was brought to pool " +
                                                  from(pool)->runtime->config_of(*from(pool)).name);
    });
  }
  return weir_release(lease, error);
}

int32_t weir_discard(weir_lease_t* lease, weir_error_t* error) {
  return end_loan(lease, "weir_discard", error,
                  [](Pool& pool, const Loan& loan) { return pool.discard(loan); });
}

int32_t weir_invalidate(weir_lease_t* lease, int32_t soft, weir_error_t* error) {
  return with_loan(lease, "weir_invalidate", error, [&](Pool& pool, const Loan& loan) -> Status {
    if (soft != 0) return pool.wear_out(loan, weir::pool::CloseReason::kInvalidated);
    WEIR_TRY(pool.discard(loan));
    *lease = {};
    lease->over = 1;
    return Status();
  });
}

int32_t weir_mark_broken(weir_lease_t* lease, weir_error_t* error) {
  return with_loan(lease, "weir_mark_broken", error, [](Pool& pool, const Loan& loan) {
    return pool.wear_out(loan, weir::pool::CloseReason::kError);
  });
}

int32_t weir_detach(weir_lease_t* lease, weir_error_t* error) {
  return with_loan(lease, "weir_detach", error,
                   [](Pool& pool, const Loan& loan) { return pool.detach(loan); });
}

int32_t weir_replace(weir_lease_t* lease, const weir_acquire_options_t* options,
                     weir_error_t* error) {
  return with_loan(lease, "weir_replace", error, [&](Pool& pool, const Loan& loan) -> Status {
    WEIR_TRY(check_options(options));
    const std::int64_t timeout = options == nullptr ? WEIR_TIMEOUT_DEFAULT : options->timeout_ns;
    const Deadline deadline = timeout == WEIR_TIMEOUT_DEFAULT
                                  ? Deadline::after(pool.config().acquire_timeout)
                                  : deadline_of(timeout);
    Loan next = loan;
    const Result<std::uint32_t> klass = class_of(pool, options);
    if (!klass.ok()) return klass.status();
    Status replaced =
        pool.replace(next, {deadline, label_of(options), cancellation_of(options), klass.value()});
    if (replaced.ok()) {
      fill(*lease, &pool, next);
    } else if (!pool.is_out(loan)) {
      *lease = {};
    }
    return replaced;
  });
}

uint64_t weir_lease_connection(const weir_lease_t* lease) {
  Pool* const pool = owner_of(lease);
  return pool != nullptr && pool->is_out(loan_of(*lease)) ? pool->number_of(loan_of(*lease)) : 0;
}

void* weir_lease_native(const weir_lease_t* lease) {
  Pool* const pool = owner_of(lease);
  return pool != nullptr && pool->is_out(loan_of(*lease)) ? lease->native : nullptr;
}

weir_cancel_t* weir_cancel_new(void) { return new (std::nothrow) weir_cancel_t(); }
void weir_cancel(weir_cancel_t* cancel) {
  if (cancel != nullptr) cancel->cancellation.cancel();
}
void weir_cancel_free(weir_cancel_t* cancel) { delete cancel; }

int32_t weir_acquire_start(weir_pool_t* pool, const weir_acquire_options_t* options,
                           void* user_data, weir_ticket_t** ticket, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (pool == nullptr || ticket == nullptr) {
      return bad_argument("weir_acquire_start: pool or ticket is null");
    }
    *ticket = nullptr;
    WEIR_TRY(check_options(options));
    PoolHandle& handle = *from(pool);
    const Checkout checkout(handle, label_of(options));
    const Deadline deadline = deadline_of(options, handle);
    const Result<Pool*> found = attached(pool, "weir_acquire_start", deadline);
    if (!found.ok()) return checkout.failed(found.status());
    const Result<std::uint32_t> klass = class_of(*found.value(), options);
    if (!klass.ok()) return checkout.failed(klass.status());
    auto made = std::make_unique<weir_ticket_t>();
    made->pool = &handle;
    made->ticket = std::make_shared<weir::pool::Ticket>(
        *found.value(), std::string(label_of(options)), klass.value(), deadline,
        weir::pool::Completions::Done{made.get(), user_data}, handle.runtime->completions());
    // Before it can end, and be handed out to another thread, which then frees the handle.
    *ticket = made.get();
    const std::shared_ptr<weir::pool::Ticket> mine = made->ticket;
    const Status started = found.value()->start(mine);
    if (started.ok()) return static_cast<void>(made.release()), Status();
    *ticket = nullptr;
    return checkout.failed(started);
  });
}

int32_t weir_event_fd(weir_runtime_t* runtime, int32_t* fd, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (runtime == nullptr || fd == nullptr) {
      return bad_argument("weir_event_fd: runtime or fd is null");
    }
    *fd = from(runtime)->completions().fd();
    if (*fd < 0) return Status(Code::kSystemError, "weir_event_fd: no descriptor is left");
    return Status();
  });
}

int32_t weir_next_done(weir_runtime_t* runtime, weir_ticket_t** ticket, void** user_data,
                       weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (runtime == nullptr || ticket == nullptr) {
      return bad_argument("weir_next_done: runtime or ticket is null");
    }
    *ticket = nullptr;
    const weir::pool::Completions::Done done = from(runtime)->completions().take();
    if (done.handle == nullptr) return Status(Code::kWouldBlock, "no acquire has ended");
    *ticket = static_cast<weir_ticket_t*>(done.handle);
    if (user_data != nullptr) *user_data = done.user_data;
    return Status();
  });
}

int32_t weir_acquire_finish(weir_ticket_t* ticket, weir_lease_t* lease, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (ticket == nullptr || lease == nullptr) {
      return bad_argument("weir_acquire_finish: ticket or lease is null");
    }
    *lease = {};
    const Result<Loan> ended = ticket->ticket->take();
    if (ended.status().code() == Code::kWouldBlock) return ended.status();
    const std::unique_ptr<weir_ticket_t> mine(ticket);
    Pool& pool = mine->ticket->pool();
    const Checkout checkout(*mine->pool, mine->ticket->label(), mine->ticket->started_ns());
    if (!ended.ok()) {
      if (ended.status().code() != Code::kForked) pool.count_failure(ended.status().code());
      return checkout.failed(ended.status());
    }
    WEIR_TRY(checkout.succeeded(pool, ended.value()));
    fill(*lease, &pool, ended.value());
    return Status();
  });
}

void weir_acquire_cancel(weir_ticket_t* ticket) {
  if (ticket == nullptr) return;
  static_cast<void>(guarded(nullptr, [&]() -> Status {
    const std::unique_ptr<weir_ticket_t> mine(ticket);
    Pool& pool = mine->ticket->pool();
    if (!mine->ticket->cancel()) return Status();
    pool.count_failure(Code::kCancelled);
    const Checkout checkout(*mine->pool, mine->ticket->label(), mine->ticket->started_ns());
    return checkout.failed(Status(Code::kCancelled, "given up by its caller"));
  }));
}

int32_t weir_pause(weir_pool_t* pool, weir_error_t* error) {
  return decide(pool, "weir_pause", error, [](Pool& now) { return now.pause(); });
}
int32_t weir_resume(weir_pool_t* pool, weir_error_t* error) {
  return decide(pool, "weir_resume", error, [](Pool& now) { return now.resume(); });
}
int32_t weir_clear(weir_pool_t* pool, int32_t interrupt, weir_error_t* error) {
  return decide(pool, "weir_clear", error, [&](Pool& now) { return now.clear(interrupt != 0); });
}
int32_t weir_drain(weir_pool_t* pool, weir_error_t* error) {
  return decide(pool, "weir_drain", error, [](Pool& now) { return now.drain(), Status(); });
}
int32_t weir_resize(weir_pool_t* pool, uint32_t max, uint32_t min, weir_error_t* error) {
  return decide(pool, "weir_resize", error, [&](Pool& now) { return now.resize(max, min); });
}
int32_t weir_dispose(weir_pool_t* pool, weir_error_t* error) {
  return decide(pool, "weir_dispose", error, [](Pool& now) { return now.dispose(), Status(); });
}
int32_t weir_check(weir_pool_t* pool, int64_t timeout_ns, uint32_t* good, uint32_t* dead,
                   weir_error_t* error) {
  return decide(pool, "weir_check", error, [&](Pool& now) -> Status {
    const Result<Pool::Checked> checked = now.check_idle(deadline_of(timeout_ns));
    if (!checked.ok()) return checked.status();
    if (good != nullptr) *good = checked.value().good;
    if (dead != nullptr) *dead = checked.value().dead;
    return Status();
  });
}
int32_t weir_wait_ready(weir_pool_t* pool, int64_t timeout_ns, weir_error_t* error) {
  return decide(pool, "weir_wait_ready", error,
                [&](Pool& now) { return now.wait_ready(deadline_of(timeout_ns)); });
}
int32_t weir_pool_close(weir_pool_t* pool, int64_t timeout_ns, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (pool == nullptr) return bad_argument("weir_pool_close: pool is null");
    PoolHandle& handle = *from(pool);
    Status closed = handle.runtime->close_pool(handle, deadline_of(timeout_ns));
    return timeout_ns > 0 ? closed : Status();
  });
}

int32_t weir_pool_stats(weir_pool_t* pool, weir_pool_stats_t* stats, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    WEIR_TRY(check_stats(pool, stats));
    const Result<weir::pool::Stats> look = from(pool)->runtime->stats(*from(pool));
    if (!look.ok()) return look.status();
    copy_stats(look.value(), stats);
    return Status();
  });
}

int32_t weir_pool_pop_stats(weir_pool_t* pool, weir_pool_stats_t* stats, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    WEIR_TRY(check_stats(pool, stats));
    const Result<Pool*> found = attached(pool, "weir_pool_pop_stats");
    if (!found.ok()) return found.status();
    copy_stats(found.value()->pop_stats(), stats);
    return Status();
  });
}

const char* weir_code_name(int32_t code) { return weir::code_name(static_cast<Code>(code)).data(); }
int32_t weir_code_is_retryable(int32_t code) {
  return weir::is_retryable(static_cast<Code>(code)) ? 1 : 0;
}
int32_t weir_code_is_timeout(int32_t code) {
  return weir::is_timeout(static_cast<Code>(code)) ? 1 : 0;
}
const char* weir_version(void) { return WEIR_VERSION; }

}  // extern "C"
