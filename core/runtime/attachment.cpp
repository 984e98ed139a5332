#include "runtime/attachment.h"

#include <algorithm>

#include "policy/file_policy.h"
#include "runtime/ask_limit.h"
#include "shm/declare.h"
#include "shm/in_force.h"

namespace weir::runtime {

namespace {

// What a server allows is not known yet when the segment is made: as many as a quota may have. A
// permit is 8 bytes.
constexpr std::uint64_t kPermitsForAuto = config::kMaxRange.most;

// A segment made by us has room for twice what our configuration may open, for others and for
// growth.
shm::Geometry geometry_for(const config::RuntimeConfig& config) {
  shm::Geometry geometry;
  std::uint64_t places = 0, permits = 0;
  for (const config::PoolConfig& pool : config.pools) places += std::uint64_t{2} * pool.max;
  for (const config::QuotaConfig& quota : config.quotas) {
    permits += quota.is_auto ? kPermitsForAuto : std::uint64_t{2} * quota.limit;
  }
  const auto clamp = [](std::uint64_t wanted, std::uint32_t least) {
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(wanted, least, 16383));
  };
  geometry.places = clamp(places, geometry.places);
  geometry.permits = clamp(permits, geometry.permits);
  return geometry;
}

shm::OnConflict how(config::OnConflict on_conflict) {
  switch (on_conflict) {
    case config::OnConflict::kReplace:
      return shm::OnConflict::kReplace;
    case config::OnConflict::kRefuse:
      return shm::OnConflict::kRefuse;
    case config::OnConflict::kKeep:
      break;
  }
  return shm::OnConflict::kKeep;
}

shm::PoolDeclaration declaration_of(const config::PoolConfig& config, const driver::Dsn& dsn,
                                    std::uint32_t quota) {
  shm::PoolDeclaration declaration;
  declaration.name = config.name;
  declaration.driver = config.driver;
  declaration.fingerprint = dsn.fingerprint();
  declaration.quota = quota;
  declaration.max = config.max;
  declaration.min = config.min;
  declaration.keep = config.kept();
  declaration.max_per_worker = config.max_per_worker;
  declaration.reserve = config.reserve;
  declaration.reserve_after_ms = static_cast<std::uint32_t>(config.reserve_after.count());
  declaration.connect_concurrency = config.connect_concurrency;
  declaration.connect_timeout_ms = static_cast<std::uint32_t>(config.connect_timeout.count());
  declaration.permit_quantum_ms = static_cast<std::uint32_t>(config.permit_quantum.count());
  // What ends with its process needs no time to be noticed by a server, whatever was configured.
  const auto lingers_ms = [&](std::chrono::milliseconds most) {
    return dsn.driver().ends_with_process() ? 0u : static_cast<std::uint32_t>(most.count());
  };
  declaration.linger_idle_ms = lingers_ms(config.linger_idle());
  declaration.linger_told_ms = lingers_ms(config.linger_told());
  declaration.linger_used_ms = lingers_ms(config.linger_used());
  declaration.start_paused = config.start_paused;
  for (const std::string& text : config.classes) {
    const auto floor = config::class_floor(text);
    WEIR_CHECK(floor);  // load_config has seen to it
    declaration.classes.push_back({floor->name, floor->floor});
  }
  declaration.on_conflict = how(config.on_conflict);
  return declaration;
}

void warn_of(Log& log, const char* kind, const std::string& name, const shm::Declared& declared) {
  if (!declared.operators.empty()) {
    log.info("operators_limit", {{"kind", kind}, {"name", name}, {"what", declared.operators}});
  }
  if (declared.differences.empty()) return;
  log.warn("settings_differ",
           {{"kind", kind}, {"name", name}, {"differences", declared.differences}});
}

// The pool over whose connection its quota's server is asked: the first in file order.
std::size_t pool_to_ask_over(const config::RuntimeConfig& config, const std::string& quota) {
  const auto found = std::find_if(config.pools.begin(), config.pools.end(),
                                  [&](const auto& pool) { return pool.quota == quota; });
  WEIR_CHECK(found != config.pools.end());  // load_config has seen to it
  return static_cast<std::size_t>(found - config.pools.begin());
}

// "auto" is asked by one at a time: who comes meanwhile takes over the answer.
Result<shm::Declared> declare(const shm::Segment& segment, shm::WorkerId self,
                              const config::RuntimeConfig& config, const config::QuotaConfig& quota,
                              const std::deque<driver::Dsn>& dsns, Log& log, Deadline deadline) {
  shm::QuotaDeclaration declaration{quota.name, quota.limit, how(quota.on_conflict)};
  if (!quota.is_auto) return shm::declare_quota(segment, self, declaration, deadline);
  const Result<FileDescriptor> asking = shm::lock_asking(segment, deadline);
  if (!asking.ok()) return asking.status();
  if (const auto known = shm::configured_limit(segment, self, quota.name)) {
    declaration.limit = *known;
  } else {
    const std::size_t pool = pool_to_ask_over(config, quota.name);
    const Result<std::uint32_t> limit =
        ask_limit(config.pools[pool], dsns[pool], config.service, quota.leave, deadline);
    if (!limit.ok())
      return Status(limit.status()).in("quota " + quota.name + R"(: limit = "auto")");
    declaration.limit = limit.value();
    log.info("limit_asked",
             {{"quota", quota.name}, {"limit", limit.value()}, {"leave", quota.leave}});
  }
  return shm::declare_quota(segment, self, declaration, deadline);
}

}  // namespace

Result<std::unique_ptr<Attachment>> Attachment::make(const config::RuntimeConfig& config,
                                                     const std::deque<driver::Dsn>& dsns, Log& log,
                                                     const pool::EventSink& events,
                                                     Deadline deadline) {
  auto made = std::unique_ptr<Attachment>(new Attachment());
  shm::SegmentOptions options;
  options.folder = config.folder;
  options.name = config.segment;
  options.geometry = geometry_for(config);
  options.patience = std::min(options.patience, deadline.left(monotonic_ns()));
  auto segment = shm::Segment::open(options);
  if (!segment.ok()) return segment.status();
  made->segment_ = std::move(segment).value();
  auto membership = shm::Membership::join(*made->segment_, config.service);
  if (!membership.ok()) return membership.status();
  made->membership_ = std::move(membership).value();
  const shm::WorkerId self = made->membership_->id();

  std::vector<std::pair<std::string, std::uint32_t>> quotas;
  for (const config::QuotaConfig& quota : config.quotas) {
    const auto declared = declare(*made->segment_, self, config, quota, dsns, log, deadline);
    if (!declared.ok()) return declared.status();
    warn_of(log, "quota", quota.name, declared.value());
    quotas.emplace_back(quota.name, declared.value().row);
  }
  made->open_inbox(config, dsns, log);
  std::vector<pool::Pool*> pools;
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    const config::PoolConfig& pool = config.pools[i];
    const auto quota = std::find_if(quotas.begin(), quotas.end(),
                                    [&](const auto& one) { return one.first == pool.quota; });
    const auto declared = shm::declare_pool(
        *made->segment_, self,
        declaration_of(pool, dsns[i], quota == quotas.end() ? shm::kNone : quota->second),
        deadline);
    if (!declared.ok()) return declared.status();
    warn_of(log, "pool", pool.name, declared.value());
    const std::optional<shm::PoolRef> ref =
        shm::PoolRef::find(*made->segment_, declared.value().row);
    if (!ref) return made->segment_->usable();
    made->pools_.push_back(std::make_unique<pool::Pool>(
        pool, pool::Pool::Parts{*made->segment_, *made->membership_, *ref, dsns[i], log,
                                made->inbox_.get(), config.service,
                                std::make_unique<policy::FilePolicy>(), events}));
    pools.push_back(made->pools_.back().get());
  }
  made->keeper_ = std::make_unique<pool::Keeper>(*made->segment_, *made->membership_,
                                                 made->inbox_.get(), log, std::move(pools));
  for (const auto& pool : made->pools_) {
    pool->set_keep_once([keeper = made->keeper_.get()] { keeper->keep_once(); });
  }
  log.info("attached",
           {{"segment", made->segment_->path()}, {"row", self.row}, {"generation", self.gen}});
  return made;
}

// Before anything is changed: whether there is room for all of it.
Status Attachment::check_room(const config::RuntimeConfig& config) const {
  const auto too_much = [](const std::string& what, std::uint32_t limit, std::size_t room) {
    return Status(Code::kShmFull, what + ": " + std::to_string(limit) +
                                      " asked; there is room for " + std::to_string(room) +
                                      " in this segment");
  };
  for (const config::QuotaConfig& quota : config.quotas) {
    const auto row = shm::find_row(segment_->quotas(), quota.name);
    const std::uint32_t room = row ? segment_->quotas()[*row].capacity.load() : 0;
    if (row && quota.limit > room)
      return too_much("quota." + quota.name + ".limit", quota.limit, room);
  }
  for (const config::PoolConfig& pool : config.pools) {
    const auto row = shm::find_row(segment_->pools(), pool.name);
    const std::uint32_t room = row ? segment_->pools()[*row].capacity.load() : 0;
    if (row && pool.max > room) return too_much("pool." + pool.name + ".max", pool.max, room);
  }
  return Status();
}

Status Attachment::reconfigure(const config::RuntimeConfig& now,
                               const config::RuntimeConfig& config,
                               const std::deque<driver::Dsn>& dsns, Log& log, Deadline deadline) {
  WEIR_TRY(check_room(config));
  const shm::WorkerId self = membership_->id();
  for (std::size_t i = 0; i < config.quotas.size(); ++i) {
    const config::QuotaConfig& quota = config.quotas[i];
    if (quota.is_auto || quota.limit == now.quotas[i].limit) continue;
    const auto declared = shm::declare_quota(
        *segment_, self, {quota.name, quota.limit, shm::OnConflict::kReplace}, deadline);
    if (!declared.ok()) return declared.status();
    warn_of(log, "quota", quota.name, declared.value());
  }
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    const config::PoolConfig& pool = config.pools[i];
    const auto quota = shm::find_row(segment_->quotas(), pool.quota);
    shm::PoolDeclaration was = declaration_of(now.pools[i], dsns[i], quota.value_or(shm::kNone));
    shm::PoolDeclaration is = declaration_of(pool, dsns[i], quota.value_or(shm::kNone));
    is.on_conflict = was.on_conflict = shm::OnConflict::kReplace;
    if (is != was) {
      const auto declared = shm::declare_pool(*segment_, self, is, deadline);
      if (!declared.ok()) return declared.status();
      warn_of(log, "pool", pool.name, declared.value());
    }
    pools_[i]->reconfigure(pool);
  }
  return Status();
}

// Without a mailbox connections still move by their permits.
void Attachment::open_inbox(const config::RuntimeConfig& config,
                            const std::deque<driver::Dsn>& dsns, Log& log) {
  bool any = false;
  for (std::size_t i = 0; i < config.pools.size(); ++i) {
    any = any || (config.pools[i].handover == config::Handover::kLive &&
                  dsns[i].driver().can_move_sessions());
  }
  if (!any) return;
  auto inbox = shm::Inbox::open(*segment_, membership_->id());
  if (inbox.ok()) {
    inbox_ = std::move(inbox).value();
  } else {
    log.warn("no_mailbox", {{"segment", segment_->path()}, {"error", inbox.status().message()}});
  }
}

Attachment::~Attachment() = default;

void Attachment::leave() {
  keeper_->stop();
  if (inbox_) inbox_->close();
  membership_->leave();
  segment_->close_descriptor();
  segment_->drop_pages();
}

void Attachment::close() {
  if (inbox_) inbox_->stop();
  for (const auto& pool : pools_) pool->close();
}

bool Attachment::is_empty() const {
  return std::all_of(pools_.begin(), pools_.end(),
                     [](const auto& pool) { return pool->is_empty(); });
}

void Attachment::note_fork() {
  for (const auto& pool : pools_) pool->note_fork();
}

void Attachment::after_fork_in_child() {
  for (const auto& pool : pools_) pool->close_inherited_sockets();
  if (inbox_) inbox_->close_in_child();
  segment_->close_descriptor();
}

}  // namespace weir::runtime
