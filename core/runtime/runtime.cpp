#include "runtime/runtime.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>

#include "config/load.h"
#include "driver/plugin_path.h"
#include "pool/fork_gate.h"
#include "runtime/look.h"

namespace weir::runtime {

namespace {

struct Registry {
  Mutex mutex;
  std::vector<Runtime*> runtimes;  // guarded by mutex, but for the fork handlers, which hold it too
  // Attachments that have left their segment, never freed (some kilobytes each): a copy of a lease
  // that was given back still points there, and must be told so.
  std::vector<std::unique_ptr<Attachment>> left;
  std::vector<Runtime*> closed;  // never freed either: calls that began before may hold them
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
      config_(new config::RuntimeConfig(std::move(config))),
      config_path_(options.config_path),
      config_text_(options.config_text),
      no_threads_(options.no_threads),
      log_(options.log, options.log_context, options.log_level),
      handles_(this->config().pools.size()) {
  all_configs_.emplace_back(config_.load());
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

Result<config::Loaded> Runtime::load(const std::optional<std::string>& path,
                                     const std::optional<std::string>& text) {
  if (text) return config::load_config_text(*text, "weir.toml");
  return path ? config::load_config_file(*path) : config::load_config("");
}

Result<Runtime*> Runtime::make(const std::string& key, const OpenOptions& options) {
  Result<config::Loaded> loaded = load(options.config_path, options.config_text);
  if (!loaded.ok()) return loaded.status();
  std::unique_ptr<Runtime> runtime(new Runtime(key, std::move(loaded.value().config), options));
  for (const std::string& note : loaded.value().notes) {
    runtime->log_.info("config_note", {{"note", note}});
  }
  std::vector<std::string> folders = runtime->config().plugin_path;
  if (folders.empty()) folders = driver::default_plugin_path();
  // A loaded driver may log as long as the process lives, whoever opened first.
  static auto* const driver_log = new Log(options.log, options.log_context, options.log_level);
  for (const config::PoolConfig& pool : runtime->config().pools) {
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
  if (options.listener) runtime->events_.listen(options.listener);
  for (const config::PoolConfig& pool : runtime->config().pools) {
    const std::string text = "driver=" + pool.driver + " min=" + std::to_string(pool.min) +
                             " keep=" + std::to_string(pool.kept()) +
                             " max=" + std::to_string(pool.max);
    runtime->events_.tell({.kind = pool::EventKind::kPoolCreated, .pool = pool.name, .text = text});
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

Status Runtime::close_by(Runtime* runtime, Deadline deadline) {
  Status late;
  {
    const MutexLock lock(registry().mutex);
    const auto& all = registry().runtimes;
    if (std::find(all.begin(), all.end(), runtime) == all.end() || runtime->users_ != 1) {
      deadline = Deadline::at_ns(0);  // not ours to end: close() says so, or counts
    }
  }
  if (deadline.ns() != 0) {
    for (PoolHandle& handle : runtime->handles_) {
      Status closed = runtime->close_pool(handle, deadline);
      if (!closed.ok()) late = std::move(closed);
    }
  }
  WEIR_TRY(close(runtime));
  return late;
}

Status Runtime::close_pool(PoolHandle& handle, Deadline deadline) {
  handle.closed.store(true);
  pool::Pool* const pool = handle.current.load(std::memory_order_acquire);
  if (pool == nullptr || !pool->is_valid()) return Status();
  pool->close();
  return wait_for_leases(*pool, deadline);
}

Status Runtime::wait_for_leases(pool::Pool& pool, Deadline deadline) {
  while (!pool.is_nothing_lent()) {
    if (deadline.passed(monotonic_ns())) {
      return Status(Code::kTimeout, "pool " + pool.config().name + ": " +
                                        std::to_string(pool.stats().worker_used) +
                                        " connections are still lent; they are closed as they "
                                        "come back");
    }
    if (no_threads_) static_cast<void>(keep());
    const timespec pause{0, 500'000};
    nanosleep(&pause, nullptr);
  }
  return Status();
}

void Runtime::listen(pool::EventSink::Listener listener) {
  const MutexLock lock(mutex_);
  events_.listen(std::move(listener));
  if (!attachment_ || attachment_->is_forked()) return;
  for (PoolHandle& handle : handles_) attachment_->pool(handle.index).note_listener();
}

Status Runtime::shut_down() {
  Attachment* attachment = nullptr;
  {
    const MutexLock lock(mutex_);
    closed_.store(true);
    attachment = attachment_.get();
    if (attachment != nullptr && attachment->is_forked()) attachment = nullptr;
  }
  if (attachment != nullptr) {
    attachment->close();
    std::chrono::milliseconds patience(0);
    for (const config::PoolConfig& pool : config().pools)
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
  registry().closed.push_back(this);
  return Status();
}

Result<PoolHandle*> Runtime::pool(const std::string& name) {
  std::string names;
  for (PoolHandle& handle : handles_) {
    const std::string& one = config().pools[handle.index].name;
    if (one == name) return &handle;
    names += (names.empty() ? "" : ", ") + one;
  }
  return Status(Code::kNotFound, "pool \"" + name + "\": not configured; there are: " + names);
}

Status Runtime::attach(Deadline deadline) {
  if (is_closed()) return Status(Code::kClosed, "the runtime was closed");
  if (attachment_ && attachment_->is_valid()) return Status();
  if (attachment_) former_.push_back(std::move(attachment_));
  auto made = Attachment::make(config(), dsns_, log_, events_, deadline);
  if (!made.ok()) return made.status();
  if (!former_.empty() && former_.back()->is_forked()) made.value()->note_fork();
  made.value()->keeper().set_reload([this] { return reload_as_asked(); });
  // Without its keeper it is not kept: the next caller tries again.
  if (!no_threads_) WEIR_TRY(made.value()->keeper().start());
  attachment_ = std::move(made).value();
  for (PoolHandle& handle : handles_) {
    if (handle.closed.load()) attachment_->pool(handle.index).close();
    handle.current.store(&attachment_->pool(handle.index), std::memory_order_release);
  }
  return Status();
}

Result<std::vector<config::Change>> Runtime::reload() {
  if (config_text_) {
    return Status(Code::kNotSupported,
                  "reload: opened with a text, so there is no file to read again");
  }
  Result<config::Loaded> loaded = load(config_path_, config_text_);
  if (!loaded.ok()) return loaded.status();
  const MutexLock lock(mutex_);
  if (is_closed()) return Status(Code::kClosed, "the runtime was closed");
  Result<std::vector<config::Change>> changes =
      config::changes_between(config(), loaded.value().config);
  if (!changes.ok() || changes.value().empty()) return changes;
  auto next = std::make_unique<const config::RuntimeConfig>(std::move(loaded.value().config));
  if (attachment_ && attachment_->is_valid()) {
    WEIR_TRY(attachment_->reconfigure(config(), *next, dsns_, log_, Deadline::never()));
  }
  config_.store(next.get(), std::memory_order_release);
  all_configs_.push_back(std::move(next));
  for (const config::Change& change : changes.value()) {
    log_.info("reloaded",
              {{"key", change.section + "." + change.key}, {"was", change.was}, {"is", change.is}});
  }
  return changes;
}

// For a keeper, which is asked through the segment.
Code Runtime::reload_as_asked() {
  const auto changes = reload();
  if (!changes.ok()) log_.error("reload_refused", {{"error", changes.status().message()}});
  return changes.status().code();
}

Result<pool::Pool*> Runtime::attached(PoolHandle& handle, Deadline deadline) {
  if (!mutex_.lock_until(deadline)) {
    return Status(Code::kTimeout, "pool " + config_of(handle).name +
                                      ": another caller is still attaching to the segment");
  }
  const MutexLock lock(mutex_, AdoptLock{});
  WEIR_TRY(attach(deadline));
  return &attachment_->pool(handle.index);
}

Result<pool::Stats> Runtime::stats(const PoolHandle& handle) const {
  const pool::Pool* const pool = handle.current.load(std::memory_order_acquire);
  if (pool != nullptr && pool->is_valid()) return pool->stats();
  return look_at(config(), config_of(handle));
}

Result<std::uint64_t> Runtime::keep() {
  std::uint64_t next_ns = UINT64_MAX;
  std::vector<pool::Keeper*> keepers;
  {
    const MutexLock lock(mutex_);
    const Status attached = attach(Deadline::never());
    if (!attached.ok() && attached.code() != Code::kClosed) return attached;
    if (attachment_ && !attachment_->is_forked()) keepers.push_back(&attachment_->keeper());
    for (const auto& former : former_) {
      if (!former->is_forked()) keepers.push_back(&former->keeper());
    }
    if (keepers.empty()) return attached;
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
  for (Runtime* runtime : registry().runtimes) {
    runtime->mutex_.lock();
    runtime->completions_.before_fork();
  }
  pool::ForkGate::instance().before_fork();
}

void Runtime::after_fork_in_parent() WEIR_NO_THREAD_SAFETY_ANALYSIS {
  pool::ForkGate::instance().after_fork_in_parent();
  for (Runtime* runtime : registry().runtimes) {
    runtime->completions_.after_fork_in_parent();
    runtime->mutex_.unlock();
  }
  registry().mutex.unlock();
}

void Runtime::after_fork_in_child() WEIR_NO_THREAD_SAFETY_ANALYSIS {
  pool::ForkGate::instance().after_fork_in_child();
  pool::Pool::forget_thread();
  for (Runtime* runtime : registry().runtimes) {
    if (runtime->attachment_) runtime->attachment_->after_fork_in_child();
    for (const auto& former : runtime->former_) former->after_fork_in_child();
    runtime->completions_.after_fork_in_child();
    runtime->mutex_.unlock();
  }
  registry().mutex.unlock();
}

}  // namespace weir::runtime
