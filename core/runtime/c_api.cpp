// weir.h on top of Runtime and Pool. Nothing throws past here.
#include <algorithm>
#include <cstddef>
#include <exception>
#include <new>

#include "runtime/runtime.h"
#include "weir/weir.h"

namespace {

using weir::Code;
using weir::Deadline;
using weir::Result;
using weir::Status;
using weir::pool::Loan;
using weir::pool::Pool;
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

// weir_pool_stats_t as it was at first: its later members are filled in for who knows of them.
constexpr std::size_t kFirstStatsBytes = offsetof(weir_pool_stats_t, handed_live);

Status bad_argument(const char* what) { return Status(Code::kBadArgument, what); }

Runtime* from(weir_runtime_t* handle) { return reinterpret_cast<Runtime*>(handle); }
PoolHandle* from(weir_pool_t* handle) { return reinterpret_cast<PoolHandle*>(handle); }

Pool* owner_of(const weir_lease_t* lease) {
  return lease == nullptr ? nullptr : static_cast<Pool*>(lease->owner);
}
Loan loan_of(const weir_lease_t& lease) { return {lease.place, lease.serial, lease.native}; }
void fill(weir_lease_t& lease, Pool* pool, const Loan& loan) {
  lease.owner = pool;
  lease.native = loan.native;
  lease.serial = loan.serial;
  lease.place = loan.place;
  lease.reserved = 0;
}

std::string_view label_of(const weir_acquire_options_t* options) {
  return options == nullptr || options->label == nullptr ? std::string_view() : options->label;
}

Deadline deadline_of(const weir_acquire_options_t* options, const PoolHandle& handle) {
  const std::int64_t timeout = options == nullptr ? WEIR_TIMEOUT_DEFAULT : options->timeout_ns;
  if (timeout == WEIR_TIMEOUT_DEFAULT)
    return Deadline::after(handle.runtime->config_of(handle).acquire_timeout);
  if (timeout == WEIR_TIMEOUT_NEVER) return Deadline::never();
  return Deadline::after(weir::Nanos(timeout));
}

// The pool behind a handle, if this process is attached already; the fast path needs no more.
Pool* ready(const PoolHandle& handle) {
  Pool* const pool = handle.current.load(std::memory_order_acquire);
  return pool != nullptr && pool->is_valid() ? pool : nullptr;
}

Status check_acquire(const weir_pool_t* pool, const weir_acquire_options_t* options,
                     weir_lease_t* lease) {
  if (pool == nullptr || lease == nullptr)
    return bad_argument("weir_acquire: pool or lease is null");
  *lease = {};
  if (options != nullptr && options->struct_size < sizeof(weir_acquire_options_t)) {
    return bad_argument("weir_acquire: options->struct_size is too small; set it to sizeof");
  }
  return Status();
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
    if (options->struct_size < sizeof(weir_open_options_t)) {
      return bad_argument("weir_open: options->struct_size is too small; set it to sizeof");
    }
    weir::runtime::OpenOptions open;
    if (options->config_path != nullptr) open.config_path = options->config_path;
    if (options->config_text != nullptr) open.config_text = options->config_text;
    open.log = options->log;
    open.log_context = options->log_context;
    open.log_level = static_cast<weir::LogLevel>(std::clamp(options->log_level, 0, 3));
    open.no_threads = options->no_threads != 0;
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
    const Deadline deadline = deadline_of(options, handle);
    while (true) {
      Pool* attached = ready(handle);
      if (attached == nullptr) {
        const Result<Pool*> made = handle.runtime->attached(handle, deadline);
        if (!made.ok()) return made.status();
        attached = made.value();
      }
      Loan loan;
      if (!attached->try_acquire(label_of(options), loan)) {
        const Result<Loan> waited = attached->acquire({deadline, label_of(options)});
        // This worker fenced itself meanwhile: once more where it has attached anew. Or it left at
        // the last close: that is what attaching will say.
        if (waited.status().code() == Code::kNotOpen && !attached->is_valid() &&
            (handle.runtime->is_closed() || !deadline.passed(weir::monotonic_ns()))) {
          continue;
        }
        if (!waited.ok()) return waited.status();
        loan = waited.value();
      }
      fill(*lease, attached, loan);
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
    Pool* const attached = ready(*from(pool));
    Loan loan;
    if (attached == nullptr || !attached->acquire_at_once(label_of(options), loan)) {
      if (from(pool)->runtime->is_closed()) return Status(Code::kClosed, "the runtime was closed");
      return Status(Code::kWouldBlock, "no idle connection in this worker");
    }
    fill(*lease, attached, loan);
    return Status();
  });
}

int32_t weir_release(weir_lease_t* lease, weir_error_t* error) try {
  if (Pool* const pool = owner_of(lease); pool != nullptr && pool->try_release(loan_of(*lease))) {
    *lease = {};
    return WEIR_OK;
  }
  return guarded(error, [&]() -> Status {
    Pool* const pool = owner_of(lease);
    if (pool == nullptr)
      return Status(Code::kNotCheckedOut, "weir_release: not a lease, or given back before");
    WEIR_TRY(pool->release(loan_of(*lease)));
    *lease = {};
    return Status();
  });
} catch (const std::exception&) {
  return write_exception(error);
}

int32_t weir_discard(weir_lease_t* lease, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    Pool* const pool = owner_of(lease);
    if (pool == nullptr)
      return Status(Code::kNotCheckedOut, "weir_discard: not a lease, or given back before");
    WEIR_TRY(pool->discard(loan_of(*lease)));
    *lease = {};
    return Status();
  });
}

void* weir_lease_native(const weir_lease_t* lease) {
  Pool* const pool = owner_of(lease);
  return pool != nullptr && pool->is_out(loan_of(*lease)) ? lease->native : nullptr;
}

int32_t weir_pool_stats(weir_pool_t* pool, weir_pool_stats_t* stats, weir_error_t* error) {
  return guarded(error, [&]() -> Status {
    if (pool == nullptr || stats == nullptr)
      return bad_argument("weir_pool_stats: pool or stats is null");
    if (stats->struct_size < kFirstStatsBytes) {
      return bad_argument("weir_pool_stats: stats->struct_size is too small; set it to sizeof");
    }
    const Result<weir::pool::Stats> look = from(pool)->runtime->stats(*from(pool));
    if (!look.ok()) return look.status();
    const weir::pool::Stats& now = look.value();
    stats->max = now.max;
    stats->min = now.min;
    stats->keep = now.keep;
    stats->total = now.total();
    stats->idle = now.idle;
    stats->used = now.used;
    stats->connecting = now.connecting;
    stats->closing = now.closing;
    stats->lingering = now.lingering;
    stats->waiting = now.waiting;
    stats->worker_idle = now.worker_idle;
    stats->worker_used = now.worker_used;
    stats->acquires = now.acquires;
    stats->acquires_waited = now.acquires_waited;
    stats->timeouts = now.timeouts;
    stats->connects = now.connects;
    stats->connect_failures = now.connect_failures;
    stats->closes = now.closes;
    stats->handed_on = now.handed_on;
    stats->resets = now.resets;
    stats->reset_failures = now.reset_failures;
    stats->pings = now.pings;
    stats->ping_failures = now.ping_failures;
    stats->too_many_waiters = now.too_many_waiters;
    stats->wait_ns = now.wait_ns;
    if (stats->struct_size < sizeof(weir_pool_stats_t)) return Status();
    stats->handed_live = now.handed_live;
    stats->handover_failures = now.handover_failures;
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
