// Runtime: one configuration in one process. Wires the parts together, attaches to the segment on
// first use, and again after a fork.
//
// There is one per configuration and process: opening again gives the same. Runtimes live in a
// registry that the fork handlers go through; one whose leases are still out when it is closed
// stays there. None is ever freed (some kilobytes each): a call that began before the last close
// may still hold it. Threads: all methods from any thread. Fork: a child uses the same objects,
// which attach anew.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "base/status.h"
#include "config/load.h"
#include "config/reload.h"
#include "config/runtime_config.h"
#include "driver/plugin.h"
#include "pool/completions.h"
#include "pool/events.h"
#include "runtime/attachment.h"

namespace weir::runtime {

class Runtime;

/// What a weir_pool_t points at: a pool by name, whichever attachment is current.
struct PoolHandle {
  Runtime* runtime = nullptr;
  std::size_t index = 0;
  std::atomic<pool::Pool*> current{nullptr};
  std::atomic<bool> closed{false};  // in this process, for good
};

struct OpenOptions {
  // At most one of the two; neither: as config::load_config("") finds it.
  std::optional<std::string> config_path;
  std::optional<std::string> config_text;
  Log::Sink log = nullptr;
  void* log_context = nullptr;
  LogLevel log_level = LogLevel::kInfo;
  bool no_threads = false;
  pool::EventSink::Listener listener = nullptr;
};

class Runtime {
 public:
  /// Finds or makes the runtime of that configuration; counts its users. Reads files, loads
  /// drivers.
  static Result<Runtime*> open(const OpenOptions& options);
  /// Waits until what is lent in this process has come back, at most until `deadline`, lending
  /// nothing meanwhile; then as close(). kTimeout if some is still out.
  static Status close_by(Runtime* runtime, Deadline deadline);
  /// Ends one use. With the last one the runtime must not be used any more. Blocks at most as long
  /// as the pools' close_timeout.
  static Status close(Runtime* runtime);

  /// kNotFound lists the names there are.
  Result<PoolHandle*> pool(const std::string& name);
  [[nodiscard]] const pool::PoolConfig& config_of(const PoolHandle& handle) const {
    return config().pools[handle.index];
  }
  /// Reads the configuration again, from where it came, and does what it changes, here and, where
  /// it holds for the machine, everywhere. kBadConfig names what is wrong or cannot change while
  /// workers run, kShmFull what there is no room for: then nothing has changed. kNotSupported: it
  /// was opened with a text. Reads files. Returns what changed.
  Result<std::vector<config::Change>> reload();
  /// The pool behind a handle, attached to the segment. Blocks for file system calls when it must
  /// attach; kTimeout if others were in the way until the deadline.
  Result<pool::Pool*> attached(PoolHandle& handle, Deadline deadline);
  /// Nothing is lent by it in this process any more. Waits for what is, until `deadline`: kTimeout.
  Status close_pool(PoolHandle& handle, Deadline deadline);
  /// From now on `listener` is told what happens; null: nobody.
  void listen(pool::EventSink::Listener listener);
  [[nodiscard]] const pool::EventSink& events() const { return events_; }
  [[nodiscard]] pool::Completions& completions() { return completions_; }
  /// The figures of this process's pool if it is attached, else by a look from outside.
  Result<pool::Stats> stats(const PoolHandle& handle) const;
  /// From the last close on; what is under way then ends with kClosed.
  [[nodiscard]] bool is_closed() const { return closed_.load(); }
  /// One pass of the keeper; when it wants the next one (monotonic ns). Attaches if need be;
  /// kClosed once it is closed and nothing is left.
  Result<std::uint64_t> keep();

 private:
  Runtime(std::string key, config::RuntimeConfig config, const OpenOptions& options);
  [[nodiscard]] const config::RuntimeConfig& config() const {
    return *config_.load(std::memory_order_acquire);
  }
  static Result<config::Loaded> load(const std::optional<std::string>& path,
                                     const std::optional<std::string>& text);
  Code reload_as_asked();
  static Result<Runtime*> make(const std::string& key, const OpenOptions& options);
  static void install_fork_handlers();
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
  Status attach(Deadline deadline) WEIR_REQUIRES(mutex_);
  Status shut_down();
  Status wait_for_leases(pool::Pool& pool, Deadline deadline);

  const std::string key_;
  // The last of all_configs_. None is ever freed: pools and calls under way may have it.
  std::atomic<const config::RuntimeConfig*> config_;
  std::vector<std::unique_ptr<const config::RuntimeConfig>> all_configs_ WEIR_GUARDED_BY(mutex_);
  const std::optional<std::string> config_path_, config_text_;
  const bool no_threads_;
  Log log_;
  pool::EventSink events_;
  pool::Completions completions_;
  std::deque<driver::Dsn> dsns_;    // one per pool; constant after make()
  std::deque<PoolHandle> handles_;  // one per pool; constant after make()
  unsigned users_ = 0;              // guarded by the registry's mutex
  std::atomic<bool> closed_{false};

  Mutex mutex_;
  std::unique_ptr<Attachment> attachment_ WEIR_GUARDED_BY(mutex_);
  // Fenced ones, which still close what comes back; and those of parent processes, never touched.
  std::vector<std::unique_ptr<Attachment>> former_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::runtime
