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

  /// As release(), but the connection is closed, not lent again. Does not block.
  void discard() { give_by(&weir_discard); }

 private:
  friend class Pool;
  explicit Lease(const weir_lease_t& lease) noexcept : lease_(lease) {}

  void give_by(std::int32_t (*give)(weir_lease_t*, weir_error_t*)) {
    weir_error_t error = WEIR_ERROR_INIT;
    if (give(&lease_, &error) != WEIR_OK) throw Error(error);
    lease_ = weir_lease_t{};
  }

  void give_back() noexcept {
    if (*this) static_cast<void>(weir_release(&lease_, nullptr));
    lease_ = weir_lease_t{};
  }

  weir_lease_t lease_{};
};

/// How one acquire differs from the pool's configuration.
struct AcquireOptions {
  std::optional<std::chrono::nanoseconds> timeout;  // from now; empty: the pool's acquire_timeout
  const char* label = nullptr;                      // who wants it, for people: cut to 31 bytes
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
    const weir_acquire_options_t c = to_c(options);
    if (weir_acquire(pool_, &c, &lease, &error) != WEIR_OK) throw Error(error);
    return Lease(lease);
  }

  /// An idle connection of this worker, or none. No network, no line; options.timeout says nothing
  /// here.
  [[nodiscard]] std::optional<Lease> try_acquire(const AcquireOptions& options = {}) {
    weir_lease_t lease{};
    weir_error_t error = WEIR_ERROR_INIT;
    const weir_acquire_options_t c = to_c(options);
    const std::int32_t code = weir_try_acquire(pool_, &c, &lease, &error);
    if (code == WEIR_WOULD_BLOCK) return std::nullopt;
    if (code != WEIR_OK) throw Error(error);
    return Lease(lease);
  }

  /// One look at the pool; see weir_pool_stats_t. Attaches nothing, waits for nobody.
  [[nodiscard]] weir_pool_stats_t stats() const {
    weir_pool_stats_t stats{};
    stats.struct_size = sizeof(stats);
    weir_error_t error = WEIR_ERROR_INIT;
    if (weir_pool_stats(pool_, &stats, &error) != WEIR_OK) throw Error(error);
    return stats;
  }

  /// The handle for weir.h.
  [[nodiscard]] weir_pool_t* get() const noexcept { return pool_; }

 private:
  friend class Runtime;
  explicit Pool(weir_pool_t* pool) noexcept : pool_(pool) {}

  static weir_acquire_options_t to_c(const AcquireOptions& options) {
    weir_acquire_options_t c = WEIR_ACQUIRE_OPTIONS_INIT;
    if (options.timeout) c.timeout_ns = options.timeout->count();
    c.label = options.label;
    return c;
  }

  weir_pool_t* pool_;
};

/// How a runtime is opened.
struct RuntimeOptions {
  weir_log_fn log = nullptr;    // null: no log. Called from any thread; must not call weir
  void* log_context = nullptr;  // must outlive the runtime and its leases
  std::int32_t log_level = 1;   // least level that is passed on: 0 debug, 1 info, 2 warn, 3 error
  bool no_threads = false;      // weir starts no thread; the host calls keep()
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
    return c;
  }

  void close_quietly() noexcept {
    if (runtime_ != nullptr) static_cast<void>(weir_close(runtime_, nullptr));
  }

  weir_runtime_t* runtime_ = nullptr;
};

}  // namespace weir

#endif  // WEIR_WEIR_HPP
