// weir/weir.hpp: the C++ face of weir, header-only over weir/weir.h. C++17 or newer.
//
//   weir::Runtime runtime = weir::Runtime::from_file("weir.toml");
//   weir::Pool pool = runtime.pool("main");
//   {
//     weir::Lease lease = pool.acquire({250ms, "GET /users"});
//     PGresult* r = PQexec(lease.native<PGconn>(), "SELECT 1");
//     ...
//   }  // given back
//
// Failure: every call that can fail throws weir::Error, which carries the code of weir/codes.h; ask
// it is_timeout() and is_retryable(). The one exception: try_acquire says "none is idle" with an
// empty optional. Destructors never throw: what they could not do is what weir would have logged
// anyway. Threads: Runtime and Pool as in weir.h, any; one thread at a time per Lease. Fork:
// Runtime and Pool stay good in a child; a Lease does not, its native() is null there.
#ifndef WEIR_WEIR_HPP
#define WEIR_WEIR_HPP

#include <chrono>
#include <cstdint>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "weir/codes.h"
#include "weir/weir.h"

namespace weir {

/// Wait as long as it takes. As a timeout of AcquireOptions only.
inline constexpr std::chrono::nanoseconds kForever = std::chrono::nanoseconds::max();

/// A call of weir that failed; what() is the message: the thing, what was expected, what was found.
class Error : public std::runtime_error {
 public:
  explicit Error(const weir_error_t& error)
      : std::runtime_error(error.message),
        code_(error.code),
        native_code_(error.native_code),
        native_text_(error.native_text),
        retry_after_(error.retry_after_ms) {}

  /// One of enum weir_code, never WEIR_OK.
  [[nodiscard]] std::int32_t code() const noexcept { return code_; }
  /// The code's stable name, e.g. "timeout".
  [[nodiscard]] const char* name() const noexcept { return weir_code_name(code_); }
  /// Whether the same call may succeed later without anybody changing anything.
  [[nodiscard]] bool is_retryable() const noexcept { return weir_code_is_retryable(code_) != 0; }
  /// Whether a deadline of the caller's passed.
  [[nodiscard]] bool is_timeout() const noexcept { return weir_code_is_timeout(code_) != 0; }
  /// The client library's number, or errno; 0 where there is none.
  [[nodiscard]] std::int32_t native_code() const noexcept { return native_code_; }
  /// The client library's own code, e.g. an SQLSTATE; empty where there is none.
  [[nodiscard]] const std::string& native_text() const noexcept { return native_text_; }
  /// When the same call may be worth making again (WEIR_BREAKER_OPEN); 0: nothing is known.
  [[nodiscard]] std::chrono::milliseconds retry_after() const noexcept { return retry_after_; }

 private:
  std::int32_t code_;
  std::int32_t native_code_;
  std::string native_text_;
  std::chrono::milliseconds retry_after_;
};

namespace detail {
/// Throws what `call` says is wrong.
template <typename Call>
void check(Call call) {
  weir_error_t error = WEIR_ERROR_INIT;
  if (call(&error) != WEIR_OK) throw Error(error);
}

[[nodiscard]] inline std::int64_t to_ns(std::chrono::nanoseconds timeout) {
  return timeout == kForever ? WEIR_TIMEOUT_NEVER : timeout.count();
}
}  // namespace detail

/// Ends acquires of other threads; see weir_cancel. Must outlive the acquires that have it.
class Cancellation {
 public:
  Cancellation() : cancel_(weir_cancel_new()) {
    if (cancel_ == nullptr) throw std::bad_alloc();
  }
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  ~Cancellation() { weir_cancel_free(cancel_); }

  /// For good. Any thread; does not block.
  void cancel() noexcept { weir_cancel(cancel_); }
  [[nodiscard]] weir_cancel_t* get() const noexcept { return cancel_; }

 private:
  weir_cancel_t* cancel_;
};

/// How one acquire differs from the pool's configuration.
struct AcquireOptions {
  std::optional<std::chrono::nanoseconds> timeout;  // from now; empty: the pool's acquire_timeout
  const char* label = nullptr;                      // who wants it, for people: cut to 31 bytes
  Cancellation* cancellation = nullptr;             // null: nobody cancels
  const char* class_name = nullptr;                 // of the pool's priority classes

  [[nodiscard]] weir_acquire_options_t to_c() const {
    weir_acquire_options_t c = WEIR_ACQUIRE_OPTIONS_INIT;
    if (timeout) c.timeout_ns = detail::to_ns(*timeout);
    c.label = label;
    c.cancel = cancellation == nullptr ? nullptr : cancellation->get();
    c.class_name = class_name;
    return c;
  }
};

/// A connection on loan. Gives it back when it goes out of scope; can be moved, not copied.
/// A moved-from or given-back Lease is empty: native() is null, release() and discard() throw
/// WEIR_NOT_CHECKED_OUT.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept : lease_(std::exchange(other.lease_, weir_lease_t{})) {}
  Lease& operator=(Lease&& other) noexcept {
    if (this != &other) {
      give_back();
      lease_ = std::exchange(other.lease_, weir_lease_t{});
    }
    return *this;
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() { give_back(); }

  /// Whether it holds a connection. A lease inherited through fork still does, to no use: native()
  /// is null there.
  explicit operator bool() const noexcept { return lease_.owner != nullptr; }

  /// The client library's handle, e.g. native<PGconn>(); null if the lease is not good here. Do not
  /// close it. Good until the lease is given back.
  template <typename Handle = void>
  [[nodiscard]] Handle* native() const noexcept {
    return static_cast<Handle*>(weir_lease_native(&lease_));
  }

  /// Gives the connection back now, made clean as the pool's `reset` says. Blocks for that round
  /// trip at most. After a throw the lease is as it was.
  void release() { give_by(&weir_release); }

  /// As release(), but never blocks: a reset that takes a round trip is left to the keeper.
  void release_later() { give_by(&weir_release_later); }

  /// As release(), but the connection is closed, not lent again. Does not block.
  void discard() { give_by(&weir_discard); }

  /// Not fit to be lent again: closed when it is given back.
  void invalidate_softly() {
    detail::check([&](weir_error_t* error) { return weir_invalidate(&lease_, 1, error); });
  }
  /// The same, and it is reported as an error.
  void mark_broken() { call(&weir_mark_broken); }
  /// It is the caller's for good, and closed when this Lease ends; it keeps its place until then.
  void detach() { call(&weir_detach); }
  /// Closes the connection and opens another in its place, out of line; native() changes. After a
  /// throw the lease is over, unless it was a timeout before anything was closed.
  void replace(const AcquireOptions& options = {}) {
    const weir_acquire_options_t c = options.to_c();
    detail::check([&](weir_error_t* error) { return weir_replace(&lease_, &c, error); });
  }
  /// The connection's number, as events have it; 0 if the lease is not good here.
  [[nodiscard]] std::uint64_t connection() const noexcept { return weir_lease_connection(&lease_); }

 private:
  friend class Pool;
  friend class Ticket;
  explicit Lease(const weir_lease_t& lease) noexcept : lease_(lease) {}

  void call(std::int32_t (*function)(weir_lease_t*, weir_error_t*)) {
    detail::check([&](weir_error_t* error) { return function(&lease_, error); });
  }

  void give_by(std::int32_t (*give)(weir_lease_t*, weir_error_t*)) {
    call(give);
    lease_ = weir_lease_t{};
  }

  void give_back() noexcept {
    if (*this) static_cast<void>(weir_release(&lease_, nullptr));
    lease_ = weir_lease_t{};
  }

  weir_lease_t lease_{};
};

/// An acquire that no thread sleeps for; see weir_acquire_start. Gives up when it goes out of
/// scope.
class Ticket {
 public:
  Ticket() = default;
  Ticket(Ticket&& other) noexcept : ticket_(std::exchange(other.ticket_, nullptr)) {}
  Ticket& operator=(Ticket&& other) noexcept {
    if (this != &other) {
      cancel();
      ticket_ = std::exchange(other.ticket_, nullptr);
    }
    return *this;
  }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;
  ~Ticket() { cancel(); }

  /// Whether it stands for an acquire that nobody has finished or given up.
  explicit operator bool() const noexcept { return ticket_ != nullptr; }
  /// The lease, or nothing while it has not ended. Throws why there is none. Afterwards the Ticket
  /// is empty, unless it had not ended.
  [[nodiscard]] std::optional<Lease> finish() {
    weir_lease_t lease{};
    weir_error_t error = WEIR_ERROR_INIT;
    const std::int32_t code = weir_acquire_finish(ticket_, &lease, &error);
    if (code == WEIR_WOULD_BLOCK) return std::nullopt;
    ticket_ = nullptr;
    if (code != WEIR_OK) throw Error(error);
    return Lease(lease);
  }
  /// Out of the line, at once.
  void cancel() noexcept { weir_acquire_cancel(std::exchange(ticket_, nullptr)); }
  /// The handle for weir.h, as weir_next_done has it.
  [[nodiscard]] weir_ticket_t* get() const noexcept { return ticket_; }

 private:
  friend class Pool;
  explicit Ticket(weir_ticket_t* ticket) noexcept : ticket_(ticket) {}
  weir_ticket_t* ticket_ = nullptr;
};

/// A named set of interchangeable connections. A plain handle: copy it freely. Good while its
/// Runtime is.
class Pool {
 public:
  /// Waits at most options.timeout for everything together: the line, connecting, validation.
  /// Throws Error with the codes that weir_acquire lists.
  [[nodiscard]] Lease acquire(const AcquireOptions& options = {}) {
    weir_lease_t lease{};
    weir_error_t error = WEIR_ERROR_INIT;
    const weir_acquire_options_t c = options.to_c();
    if (weir_acquire(pool_, &c, &lease, &error) != WEIR_OK) throw Error(error);
    return Lease(lease);
  }

  /// An idle connection of this worker, or none. No network, no line; options.timeout says nothing
  /// here.
  [[nodiscard]] std::optional<Lease> try_acquire(const AcquireOptions& options = {}) {
    weir_lease_t lease{};
    weir_error_t error = WEIR_ERROR_INIT;
    const weir_acquire_options_t c = options.to_c();
    const std::int32_t code = weir_try_acquire(pool_, &c, &lease, &error);
    if (code == WEIR_WOULD_BLOCK) return std::nullopt;
    if (code != WEIR_OK) throw Error(error);
    return Lease(lease);
  }

  /// Begins an acquire that no thread sleeps for; Runtime::next_done() hands out `user_data` once
  /// it has ended.
  [[nodiscard]] Ticket start(const AcquireOptions& options = {}, void* user_data = nullptr) {
    weir_ticket_t* ticket = nullptr;
    const weir_acquire_options_t c = options.to_c();
    detail::check([&](weir_error_t* error) {
      return weir_acquire_start(pool_, &c, user_data, &ticket, error);
    });
    return Ticket(ticket);
  }

  // In all workers of the machine; see weir.h.
  void pause() { call(&weir_pause); }
  void resume() { call(&weir_resume); }
  void clear(bool interrupt = false) {
    detail::check([&](weir_error_t* error) { return weir_clear(pool_, interrupt ? 1 : 0, error); });
  }
  void drain() { call(&weir_drain); }
  void resize(std::uint32_t max, std::uint32_t min) {
    detail::check([&](weir_error_t* error) { return weir_resize(pool_, max, min, error); });
  }

  // In this process; see weir.h.
  void dispose() { call(&weir_dispose); }
  struct Checked {
    std::uint32_t good = 0, dead = 0;
  };
  Checked check(std::chrono::nanoseconds timeout) {
    Checked checked;
    detail::check([&](weir_error_t* error) {
      return weir_check(pool_, detail::to_ns(timeout), &checked.good, &checked.dead, error);
    });
    return checked;
  }
  void wait_ready(std::chrono::nanoseconds timeout) {
    detail::check(
        [&](weir_error_t* error) { return weir_wait_ready(pool_, detail::to_ns(timeout), error); });
  }
  /// Throws WEIR_TIMEOUT if leases are still out after `timeout`; zero does not wait.
  void close(std::chrono::nanoseconds timeout = std::chrono::nanoseconds::zero()) {
    detail::check(
        [&](weir_error_t* error) { return weir_pool_close(pool_, detail::to_ns(timeout), error); });
  }

  /// One look at the pool; see weir_pool_stats_t. Attaches nothing, waits for nobody.
  [[nodiscard]] weir_pool_stats_t stats() const { return stats_by(&weir_pool_stats); }
  /// The same, and every counter begins at zero again.
  weir_pool_stats_t pop_stats() { return stats_by(&weir_pool_pop_stats); }

  /// The handle for weir.h.
  [[nodiscard]] weir_pool_t* get() const noexcept { return pool_; }

 private:
  friend class Runtime;
  explicit Pool(weir_pool_t* pool) noexcept : pool_(pool) {}

  void call(std::int32_t (*function)(weir_pool_t*, weir_error_t*)) {
    detail::check([&](weir_error_t* error) { return function(pool_, error); });
  }
  weir_pool_stats_t stats_by(std::int32_t (*look)(weir_pool_t*, weir_pool_stats_t*,
                                                  weir_error_t*)) const {
    weir_pool_stats_t stats{};
    stats.struct_size = sizeof(stats);
    detail::check([&](weir_error_t* error) { return look(pool_, &stats, error); });
    return stats;
  }

  weir_pool_t* pool_;
};

/// How a runtime is opened.
struct RuntimeOptions {
  weir_log_fn log = nullptr;      // null: no log. Called from any thread; must not call weir
  void* log_context = nullptr;    // must outlive the runtime and its leases
  std::int32_t log_level = 1;     // least level that is passed on: 0 debug, 1 info, 2 warn, 3 error
  bool no_threads = false;        // weir starts no thread; the host calls keep()
  weir_event_fn event = nullptr;  // null: nobody listens
  void* event_context = nullptr;  // must outlive the runtime and its leases
};

/// weir in this process. Closes its use of the runtime when it goes out of scope; can be moved, not
/// copied. A moved-from Runtime may only be assigned to or destroyed.
class Runtime {
 public:
  /// Reads and checks a weir.toml. Touches neither segment nor network and starts no thread: a
  /// master may open before it forks.
  [[nodiscard]] static Runtime from_file(const std::string& path,
                                         const RuntimeOptions& options = {}) {
    weir_open_options_t c = to_c(options);
    c.config_path = path.c_str();
    return Runtime(c);
  }

  /// As from_file, with the file that WEIR_CONFIG names, else weir.toml in the working folder, else
  /// what the environment alone says (DATABASE_URL is enough).
  [[nodiscard]] static Runtime from_environment(const RuntimeOptions& options = {}) {
    return Runtime(to_c(options));
  }

  /// As from_file, with the text of a weir.toml.
  [[nodiscard]] static Runtime from_text(const std::string& text,
                                         const RuntimeOptions& options = {}) {
    weir_open_options_t c = to_c(options);
    c.config_text = text.c_str();
    return Runtime(c);
  }

  Runtime(Runtime&& other) noexcept : runtime_(std::exchange(other.runtime_, nullptr)) {}
  Runtime& operator=(Runtime&& other) noexcept {
    if (this != &other) {
      close_quietly();
      runtime_ = std::exchange(other.runtime_, nullptr);
    }
    return *this;
  }
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime() { close_quietly(); }

  /// The pool of that name in the configuration. Throws WEIR_NOT_FOUND, listing the names there
  /// are.
  [[nodiscard]] Pool pool(const std::string& name) const {
    weir_pool_t* pool = nullptr;
    weir_error_t error = WEIR_ERROR_INIT;
    if (weir_pool(runtime_, name.c_str(), &pool, &error) != WEIR_OK) throw Error(error);
    return Pool(pool);
  }

  /// Does what is due by clock, for hosts that opened with no_threads; returns when it wants to be
  /// called again at the latest. Does not block on the network for longer than 1 ms.
  std::chrono::nanoseconds keep() {
    std::int64_t next_in_ns = 0;
    weir_error_t error = WEIR_ERROR_INIT;
    if (weir_keep(runtime_, &next_in_ns, &error) != WEIR_OK) throw Error(error);
    return std::chrono::nanoseconds(next_in_ns);
  }

  /// Ends this use now, where a failure matters; the destructor does it silently. Blocks at most
  /// the pools' close_timeout. Afterwards the Runtime is as if moved from.
  void close() {
    weir_error_t error = WEIR_ERROR_INIT;
    if (weir_close(std::exchange(runtime_, nullptr), &error) != WEIR_OK) throw Error(error);
  }

  /// As close(), but first waits for leases that are out; throws WEIR_TIMEOUT if some still are.
  void close_within(std::chrono::nanoseconds timeout) {
    weir_runtime_t* const runtime = std::exchange(runtime_, nullptr);
    detail::check([&](weir_error_t* error) {
      return weir_close_within(runtime, detail::to_ns(timeout), error);
    });
  }

  /// Reads the configuration again, and does what it changes; see weir_reload.
  void reload() {
    detail::check([&](weir_error_t* error) { return weir_reload(runtime_, error); });
  }

  /// Who is told what happens from now on; null: nobody. See weir_event_fn.
  void set_event_callback(weir_event_fn event, void* context = nullptr) {
    detail::check([&](weir_error_t* error) {
      return weir_set_event_callback(runtime_, event, context, error);
    });
  }

  /// Readable while next_done() has something. Do not close it.
  [[nodiscard]] int event_fd() {
    std::int32_t fd = -1;
    detail::check([&](weir_error_t* error) { return weir_event_fd(runtime_, &fd, error); });
    return fd;
  }
  /// What the acquire that ended first was started with; empty: none has ended. Each once.
  struct Done {
    weir_ticket_t* ticket = nullptr;
    void* user_data = nullptr;
  };
  [[nodiscard]] std::optional<Done> next_done() {
    Done done;
    weir_error_t error = WEIR_ERROR_INIT;
    const std::int32_t code = weir_next_done(runtime_, &done.ticket, &done.user_data, &error);
    if (code == WEIR_WOULD_BLOCK) return std::nullopt;
    if (code != WEIR_OK) throw Error(error);
    return done;
  }

  /// The handle for weir.h.
  [[nodiscard]] weir_runtime_t* get() const noexcept { return runtime_; }

 private:
  explicit Runtime(const weir_open_options_t& options) {
    weir_error_t error = WEIR_ERROR_INIT;
    if (weir_open(&options, &runtime_, &error) != WEIR_OK) throw Error(error);
  }

  static weir_open_options_t to_c(const RuntimeOptions& options) {
    weir_open_options_t c{};
    c.struct_size = sizeof(c);
    c.log = options.log;
    c.log_context = options.log_context;
    c.log_level = options.log_level;
    c.no_threads = options.no_threads ? 1 : 0;
    c.event = options.event;
    c.event_context = options.event_context;
    return c;
  }

  void close_quietly() noexcept {
    if (runtime_ != nullptr) static_cast<void>(weir_close(runtime_, nullptr));
  }

  weir_runtime_t* runtime_ = nullptr;
};

}  // namespace weir

#endif  // WEIR_WEIR_HPP
