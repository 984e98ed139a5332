#include "runtime/runtime.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>

#include "config/load.h"
#include "driver/plugin_path.h"
#include "pool/fork_gate.h"

namespace weir::runtime {

namespace {

struct Registry {
  Mutex mutex;
  std::vector<Runtime*> runtimes;  // guarded by mutex, but for the fork handlers, which hold it too
  // Attachments that have left their segment, never freed (some kilobytes each): a copy of a lease
  // that was given back still points there, and must be told so.
  std::vector<std::unique_ptr<Attachment>> left;
};

// Never destroyed: keepers and fork handlers may outlive main().
Registry& registry() {
  static auto* const instance = new Registry();
  return *instance;
}

std::string key_of(const OpenOptions& options) {
  if (options.config_text) return "text:" + *options.config_text;
  const std::string path =
      options.config_path ? *options.config_path : config::default_config_path();
  if (path.empty()) return "environment";
  const std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), &free);
  return "file:" + (real ? std::string(real.get()) : path);
}

}  // namespace

Runtime::Runtime(std::string key, config::RuntimeConfig config, const OpenOptions& options)
    : key_(std::move(key)),
      config_(std::move(config)),
      no_threads_(options.no_threads),
      log_(options.log, options.log_context, options.log_level),
      handles_(config_.pools.size()) {
  for (std::size_t i = 0; i < handles_.size(); ++i) {
    handles_[i].runtime = this;
    handles_[i].index = i;
  }
}

Result<Runtime*> Runtime::open(const OpenOptions& options) {
  if (options.config_path && options.config_text) {
    return Status(Code::kBadArgument,
                  "weir_open: one of config_path and config_text expected, found both");
  }
  const std::string key = key_of(options);
  const MutexLock lock(registry().mutex);
  for (Runtime* runtime : registry().runtimes) {
    if (runtime->users_ > 0 && runtime->key_ == key) {
      ++runtime->users_;
      return runtime;
    }
  }
  Result<Runtime*> made = make(key, options);
  if (!made.ok()) return made;
  static const bool installed = (install_fork_handlers(), true);
  static_cast<void>(installed);
  registry().runtimes.push_back(made.value());
  made.value()->users_ = 1;
  return made;
}

Result<Runtime*> Runtime::make(const std::string& key, const OpenOptions& options) {
  Result<config::Loaded> loaded =
      options.config_text   ? config::load_config_text(*options.config_text, "weir.toml")
      : options.config_path ? config::load_config_file(*options.config_path)
                            : config::load_config("");
  if (!loaded.ok()) return loaded.status();
  std::unique_ptr<Runtime> runtime(new Runtime(key, std::move(loaded.value().config), options));
  for (const std::string& note : loaded.value().notes) {
    runtime->log_.info("config_note", {{"note", note}});
  }
  std::vector<std::string> folders = runtime->config_.plugin_path;
  if (folders.empty()) folders = driver::default_plugin_path();
  // A loaded driver may log as long as the process lives, whoever opened first.
  static auto* const driver_log = new Log(options.log, options.log_context, options.log_level);
  for (const config::PoolConfig& pool : runtime->config_.pools) {
    const auto driver = driver::Driver::load(pool.driver, folders, *driver_log);
    if (!driver.ok()) return Status(driver.status()).in("pool " + pool.name);
    if (!pool.password_file.empty() && !driver.value()->takes_password()) {
      return Status(Code::kNotSupported, "pool " + pool.name + ": password_file: the driver " +
                                             pool.driver + " takes no password from a file");
    }
    auto dsn = driver::Dsn::parse(*driver.value(), pool.dsn);
    if (!dsn.ok()) return Status(dsn.status()).in("pool " + pool.name);
    runtime->dsns_.push_back(std::move(dsn).value());
  }
  return runtime.release();
}

Status Runtime::close(Runtime* runtime) {
  {
    const MutexLock lock(registry().mutex);
    const auto& all = registry().runtimes;
    if (std::find(all.begin(), all.end(), runtime) == all.end() || runtime->users_ == 0) {
      return Status(Code::kBadArgument, "weir_close: not an open runtime");
    }
    if (--runtime->users_ > 0) return Status();
  }
  return runtime->shut_down();
}

Status Runtime::shut_down() {
  Attachment* attachment = nullptr;
  {
    const MutexLock lock(mutex_);
    attachment = attachment_.get();
    if (attachment != nullptr && attachment->is_forked()) attachment = nullptr;
  }
  if (attachment != nullptr) {
    attachment->close();
    std::chrono::milliseconds patience(0);
    for (const config::PoolConfig& pool : config_.pools)
      patience = std::max(patience, pool.close_timeout);
    const Deadline deadline = Deadline::after(patience);
    while (!attachment->is_empty() && !deadline.passed(monotonic_ns())) {
      if (no_threads_) attachment->keeper().keep_once();
      const timespec pause{0, 500'000};
      nanosleep(&pause, nullptr);
    }
  }
  std::unique_ptr<Attachment> gone;
  bool is_last = false;
  {
    const MutexLock lock(mutex_);
    // Leases that are out keep their pool, whose keeper closes them when they come back.
    if (attachment_ && !attachment_->is_forked() && attachment_->is_empty()) {
      gone = std::move(attachment_);
    }
    is_last = !attachment_ && former_.empty();
  }
  if (gone) gone->leave();
  const MutexLock lock(registry().mutex);
  if (gone) registry().left.push_back(std::move(gone));
  if (!is_last) return Status();
  std::erase(registry().runtimes, this);
  delete this;
  return Status();
}

Result<PoolHandle*> Runtime::pool(const std::string& name) {
  std::string names;
  for (PoolHandle& handle : handles_) {
    const std::string& one = config_.pools[handle.index].name;
    if (one == name) return &handle;
    names += (names.empty() ? "" : ", ") + one;
  }
  return Status(Code::kNotFound, "pool \"" + name + "\": not configured; there are: " + names);
}

Status Runtime::attach() {
  if (attachment_ && attachment_->is_valid()) return Status();
  if (attachment_) former_.push_back(std::move(attachment_));
  auto made = Attachment::make(config_, dsns_, log_);
  if (!made.ok()) return made.status();
  attachment_ = std::move(made).value();
  if (!no_threads_) attachment_->keeper().start();
  return Status();
}

Result<pool::Pool*> Runtime::attached(PoolHandle& handle) {
  const MutexLock lock(mutex_);
  WEIR_TRY(attach());
  pool::Pool* const pool = &attachment_->pool(handle.index);
  handle.current.store(pool, std::memory_order_release);
  return pool;
}

Result<std::uint64_t> Runtime::keep() {
  std::uint64_t next_ns = UINT64_MAX;
  std::vector<pool::Keeper*> keepers;
  {
    const MutexLock lock(mutex_);
    WEIR_TRY(attach());
    keepers.push_back(&attachment_->keeper());
    for (const auto& former : former_) {
      if (!former->is_forked()) keepers.push_back(&former->keeper());
    }
  }
  for (pool::Keeper* keeper : keepers) next_ns = std::min(next_ns, keeper->keep_once());
  return next_ns;
}

// ---- fork -----------------------------------------------------------------------------------

void Runtime::install_fork_handlers() {
  WEIR_CHECK(pthread_atfork(&before_fork, &after_fork_in_parent, &after_fork_in_child) == 0);
}

// Holds what must not be half done in the child: the registry, attachments, sockets just made.
void Runtime::before_fork() WEIR_NO_THREAD_SAFETY_ANALYSIS {
  registry().mutex.lock();
  for (Runtime* runtime : registry().runtimes) runtime->mutex_.lock();
  pool::ForkGate::instance().before_fork();
}

void Runtime::after_fork_in_parent() WEIR_NO_THREAD_SAFETY_ANALYSIS {
  pool::ForkGate::instance().after_fork_in_parent();
  for (Runtime* runtime : registry().runtimes) runtime->mutex_.unlock();
  registry().mutex.unlock();
}

void Runtime::after_fork_in_child() WEIR_NO_THREAD_SAFETY_ANALYSIS {
  pool::ForkGate::instance().after_fork_in_child();
  pool::Pool::forget_thread();
  for (Runtime* runtime : registry().runtimes) {
    if (runtime->attachment_) runtime->attachment_->after_fork_in_child();
    for (const auto& former : runtime->former_) former->after_fork_in_child();
    runtime->mutex_.unlock();
  }
  registry().mutex.unlock();
}

}  // namespace weir::runtime
