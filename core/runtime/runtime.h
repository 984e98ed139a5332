// Runtime: one configuration in one process. Wires the parts together, attaches to the segment on
// first use, and again after a fork.
//
// There is one per configuration and process: opening again gives the same. Runtimes live in a
// registry that the fork handlers go through; one whose leases are still out when it is closed
// stays there. Threads: all methods from any thread. Fork: a child uses the same objects, which
// attach anew.
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
#include "config/runtime_config.h"
#include "driver/plugin.h"
#include "runtime/attachment.h"

namespace weir::runtime {

class Runtime;

/// What a weir_pool_t points at: a pool by name, whichever attachment is current.
struct PoolHandle {
  Runtime* runtime = nullptr;
  std::size_t index = 0;
  std::atomic<pool::Pool*> current{nullptr};
};

struct OpenOptions {
  // At most one of the two; neither: as config::load_config("") finds it.
  std::optional<std::string> config_path;
  std::optional<std::string> config_text;
  Log::Sink log = nullptr;
  void* log_context = nullptr;
  LogLevel log_level = LogLevel::kInfo;
  bool no_threads = false;
};

class Runtime {
 public:
  /// Finds or makes the runtime of that configuration; counts its users. Reads files, loads
  /// drivers.
  static Result<Runtime*> open(const OpenOptions& options);
  /// Ends one use. With the last one the runtime must not be used any more. Blocks at most as long
  /// as the pools' close_timeout.
  static Status close(Runtime* runtime);

  /// kNotFound lists the names there are.
  Result<PoolHandle*> pool(const std::string& name);
  /// The pool behind a handle, attached to the segment. Blocks for file system calls when it must
  /// attach.
  Result<pool::Pool*> attached(PoolHandle& handle);
  /// One pass of the keeper; when it wants the next one (monotonic ns). kNotOpen before first use.
  Result<std::uint64_t> keep();

 private:
  Runtime(std::string key, config::RuntimeConfig config, const OpenOptions& options);
  static Result<Runtime*> make(const std::string& key, const OpenOptions& options);
  static void install_fork_handlers();
  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
  Status attach() WEIR_REQUIRES(mutex_);
  Status shut_down();

  const std::string key_;
  const config::RuntimeConfig config_;
  const bool no_threads_;
  Log log_;
  std::deque<driver::Dsn> dsns_;    // one per pool; constant after make()
  std::deque<PoolHandle> handles_;  // one per pool; constant after make()
  unsigned users_ = 0;              // guarded by the registry's mutex

  Mutex mutex_;
  std::unique_ptr<Attachment> attachment_ WEIR_GUARDED_BY(mutex_);
  // Fenced ones, which still close what comes back; and those of parent processes, never touched.
  std::vector<std::unique_ptr<Attachment>> former_ WEIR_GUARDED_BY(mutex_);
};

}  // namespace weir::runtime
