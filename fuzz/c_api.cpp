// Any sequence of calls that the C face's contracts allow, and wrong ones that it promises to
// refuse, on a driver whose operations fail, hang and come late: every answer is a known code, a
// lease that was not lent is all zero, nobody has more than the pool allows, and a lease counts
// once.
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "input.h"
#include "support/temp_folder.h"
#include "weir/weir.h"

namespace weir::fuzz {
namespace {

constexpr std::uint32_t kMax = 3;
constexpr std::array<const char*, 2> kPools = {"steady", "shaky"};

/// What a host does with weir, one call after another.
class Host {
 public:
  explicit Host(const std::string& config) : config_(config) {}
  ~Host() {
    while (!tickets_.empty()) end_ticket(0);
    while (!leases_.empty()) give_back(leases_.size() - 1, false);
    while (opened_ > 0) close();
  }

  void step(Input& input) {
    switch (input.choice(15)) {
      case 0:
        return open();
      case 1:
        return close();
      case 2:
      case 3:
        return acquire(input.choice(kPools.size()), input.choice(4));
      case 4:
        return leases_.empty() ? give_back_none() : give_back(input.choice(leases_.size()), false);
      case 5:
        return leases_.empty() ? give_back_none() : give_back(input.choice(leases_.size()), true);
      case 6:
        return keep();
      case 7:
        return look(input.choice(kPools.size()));
      case 8:
        return decide(input.choice(kPools.size()), input.choice(9));
      case 9:
        return leases_.empty() ? give_back_none()
                               : change(input.choice(leases_.size()), input.choice(5));
      case 10:
        return start(input.choice(kPools.size()), input.choice(3));
      case 11:
        return next_done();
      case 12:
        return end_ticket(input.choice(2));
      case 13:
        return listen(input.choice(2));
      default:
        return unknown_pool(input.text(8));
    }
  }

 private:
  struct Lent {
    weir_lease_t lease;
    std::size_t pool;
  };

  static void require_known(std::int32_t code, const weir_error_t& error) {
    require(std::string(weir_code_name(code)) != "unknown", "an answer is a known code",
            std::to_string(code));
    require(code == WEIR_OK || error.message[0] != 0, "a refusal says why", weir_code_name(code));
  }
  [[nodiscard]] weir_pool_t* pool(std::size_t index) const {
    weir_error_t error = WEIR_ERROR_INIT;
    weir_pool_t* pool = nullptr;
    require(weir_pool(runtime_, kPools[index], &pool, &error) == WEIR_OK, "the pool is there",
            error.message);
    return pool;
  }

  void open() {
    if (opened_ == 3) return;
    weir_open_options_t options{};
    options.struct_size = sizeof options;
    options.config_text = config_.c_str();
    options.no_threads = 1;
    weir_error_t error = WEIR_ERROR_INIT;
    weir_runtime_t* opened = nullptr;
    require(weir_open(&options, &opened, &error) == WEIR_OK, "it opens", error.message);
    require(opened_ == 0 || opened == runtime_, "the same text is the same runtime");
    runtime_ = opened;
    ++opened_;
  }
  void close() {
    if (opened_ == 0) return;
    weir_error_t error = WEIR_ERROR_INIT;
    require(weir_close(runtime_, &error) == WEIR_OK, "it closes", error.message);
    if (--opened_ > 0) return;
    former_ += leases_.size();
    // Tickets outlive the pool, and say that it was closed, or have had their lease before.
    for (weir_ticket_t* ticket : tickets_) {
      weir_lease_t lease{};
      const std::int32_t code = weir_acquire_finish(ticket, &lease, &error);
      require(code != WEIR_WOULD_BLOCK, "a close ends every acquire");
      require_known(code, error);
      if (code == WEIR_OK) leases_.push_back({lease, 0});
    }
    tickets_.clear();
    former_ = leases_.size();
  }
  void acquire(std::size_t index, std::size_t how) {
    if (opened_ == 0) return;
    weir_error_t error = WEIR_ERROR_INIT;
    weir_acquire_options_t options = WEIR_ACQUIRE_OPTIONS_INIT;
    options.timeout_ns = how == 0 ? 0 : how == 1 ? -1 : 2'000'000;
    options.label = how == 3 ? "a label that is longer than thirty-one bytes" : nullptr;
    weir_lease_t lease{};
    const std::int32_t code = how == 0 ? weir_try_acquire(pool(index), nullptr, &lease, &error)
                                       : weir_acquire(pool(index), &options, &lease, &error);
    require_known(code, error);
    const weir_lease_t zero{};
    if (code != WEIR_OK) {
      require(std::memcmp(&lease, &zero, sizeof lease) == 0, "what was not lent is all zero");
      return;
    }
    require(weir_lease_native(&lease) != nullptr, "a lease has a handle");
    take(lease, index);
  }
  void take(const weir_lease_t& lease, std::size_t index) {
    require(weir_lease_native(&lease) != nullptr, "a lease has a handle");
    require(weir_lease_connection(&lease) != 0, "and a number");
    leases_.push_back({lease, index});
    std::size_t out = 0;
    for (const Lent& lent : leases_) out += lent.pool == index ? 1 : 0;
    require(out <= kMax + former_, "nobody has more than max", std::to_string(out));
  }
  // What holds for a pool as a whole, in any order.
  void decide(std::size_t index, std::size_t what) const {
    if (opened_ == 0) return;
    weir_error_t error = WEIR_ERROR_INIT;
    weir_pool_t* const on = pool(index);
    const auto answer = [&]() -> std::int32_t {
      switch (what) {
        case 0:
          return weir_pause(on, &error);
        case 1:
        case 2:
          return weir_resume(on, &error);
        case 3:
          return weir_clear(on, index == 0 ? 1 : 0, &error);
        case 4:
          return weir_drain(on, &error);
        case 5:
          return weir_dispose(on, &error);
        case 6:
          return weir_resize(on, 1 + static_cast<std::uint32_t>(leases_.size()) % kMax, 1, &error);
        case 7:
          return weir_check(on, 1'000'000, nullptr, nullptr, &error);
        default:
          return weir_wait_ready(on, 0, &error);
      }
    };
    require_known(answer(), error);
    require(weir_resize(on, 0, 0, &error) == WEIR_BAD_CONFIG, "a max of 0 is refused");
    require(weir_resize(on, 1, 2, &error) == WEIR_BAD_CONFIG, "and so is a min above it");
  }
  void change(std::size_t which, std::size_t how) {
    weir_lease_t& lease = leases_[which].lease;
    weir_error_t error = WEIR_ERROR_INIT;
    weir_acquire_options_t options = WEIR_ACQUIRE_OPTIONS_INIT;
    options.timeout_ns = 2'000'000;
    switch (how) {
      case 0:
        return require(weir_invalidate(&lease, 1, &error) == WEIR_OK, "softly", error.message);
      case 1:
        return require(weir_mark_broken(&lease, &error) == WEIR_OK, "as broken", error.message);
      case 2:
        return require(weir_detach(&lease, &error) == WEIR_OK, "for good", error.message);
      case 3: {
        const weir_lease_t before = lease;
        const std::int32_t code = weir_replace(&lease, &options, &error);
        require_known(code, error);
        require(weir_lease_native(&before) == nullptr || code != WEIR_OK,
                "a replaced lease's copies count no more");
        if (weir_lease_native(&lease) == nullptr) forget(which);
        return;
      }
      default: {
        require(weir_invalidate(&lease, 0, &error) == WEIR_OK, "at once", error.message);
        require(weir_release(&lease, &error) == WEIR_OK, "to give it back does nothing");
        return forget(which);
      }
    }
  }
  void forget(std::size_t which) {
    leases_.erase(leases_.begin() + static_cast<std::ptrdiff_t>(which));
  }
  void start(std::size_t index, std::size_t how) {
    if (opened_ == 0 || tickets_.size() > 8) return;
    weir_error_t error = WEIR_ERROR_INIT;
    weir_acquire_options_t options = WEIR_ACQUIRE_OPTIONS_INIT;
    options.timeout_ns = how == 0 ? 0 : 2'000'000;
    weir_ticket_t* ticket = nullptr;
    const std::int32_t code =
        weir_acquire_start(pool(index), &options, &started_on_[index], &ticket, &error);
    require_known(code, error);
    require((code == WEIR_OK) == (ticket != nullptr), "a ticket or a refusal");
    if (ticket != nullptr) tickets_.push_back(ticket);
  }
  void next_done() {
    if (opened_ == 0) return;
    weir_error_t error = WEIR_ERROR_INIT;
    weir_ticket_t* ticket = nullptr;
    void* user_data = nullptr;
    const std::int32_t code = weir_next_done(runtime_, &ticket, &user_data, &error);
    if (code == WEIR_WOULD_BLOCK) return;
    require(code == WEIR_OK, "one that has ended", error.message);
    finish(ticket, static_cast<std::size_t>(static_cast<char*>(user_data) - started_on_.data()));
  }
  void finish(weir_ticket_t* ticket, std::size_t index) {
    weir_error_t error = WEIR_ERROR_INIT;
    weir_lease_t lease{};
    const std::int32_t code = weir_acquire_finish(ticket, &lease, &error);
    require_known(code, error);
    require(code != WEIR_WOULD_BLOCK, "what is handed out has ended");
    std::erase(tickets_, ticket);
    if (code == WEIR_OK) take(lease, index);
  }
  void end_ticket(std::size_t which) {
    if (tickets_.empty()) return;
    weir_ticket_t* const ticket = which == 0 ? tickets_.front() : tickets_.back();
    std::erase(tickets_, ticket);
    weir_acquire_cancel(ticket);
  }
  void listen(std::size_t how) const {
    if (opened_ == 0) return;
    const auto listener = [](void*, const weir_event_t* event) -> std::int32_t {
      require(event->kind >= WEIR_EVENT_POOL_CREATED && event->kind <= WEIR_EVENT_QUOTA_RECLAIMED,
              "an event has a kind");
      require(event->pool != nullptr && event->pool[0] != 0, "and a pool");
      return WEIR_OK;
    };
    weir_error_t error = WEIR_ERROR_INIT;
    require(weir_set_event_callback(runtime_, how == 0 ? nullptr : +listener, nullptr, &error) ==
                WEIR_OK,
            "somebody listens", error.message);
  }
  void give_back(std::size_t which, bool to_be_closed) {
    const auto lent = leases_.begin() + static_cast<std::ptrdiff_t>(which);
    weir_lease_t lease = lent->lease, copy = lent->lease;
    leases_.erase(lent);
    weir_error_t error = WEIR_ERROR_INIT;
    const std::int32_t code = to_be_closed     ? weir_discard(&lease, &error)
                              : which % 2 == 0 ? weir_release(&lease, &error)
                                               : weir_release_later(&lease, &error);
    require(code == WEIR_OK, "a lease is given back", error.message);
    require(weir_lease_native(&lease) == nullptr, "then it has no handle");
    require(weir_release(&copy, &error) == WEIR_NOT_CHECKED_OUT, "and its copies count no more");
  }
  static void give_back_none() {
    weir_lease_t none{};
    weir_error_t error = WEIR_ERROR_INIT;
    require(weir_release(&none, &error) == WEIR_NOT_CHECKED_OUT, "no lease is no lease");
    require(weir_lease_native(&none) == nullptr, "and has no handle");
  }
  void keep() const {
    if (opened_ == 0) return;
    std::int64_t next_ns = -1;
    weir_error_t error = WEIR_ERROR_INIT;
    require_known(weir_keep(runtime_, &next_ns, &error), error);
  }
  void look(std::size_t index) const {
    if (opened_ == 0) return;
    weir_pool_stats_t stats{};
    stats.struct_size = sizeof stats;
    weir_error_t error = WEIR_ERROR_INIT;
    const std::int32_t code = leases_.size() % 2 == 0
                                  ? weir_pool_stats(pool(index), &stats, &error)
                                  : weir_pool_pop_stats(pool(index), &stats, &error);
    require_known(code, error);
    require(
        stats.total == stats.idle + stats.used + stats.connecting + stats.closing + stats.lingering,
        "the figures add up", std::to_string(stats.total));
    require(stats.total <= kMax, "no more than max", std::to_string(stats.total));
  }
  void unknown_pool(std::string name) const {
    if (opened_ == 0) return;
    name = "x" + name.substr(0, name.find('\0'));
    weir_pool_t* pool = nullptr;
    weir_error_t error = WEIR_ERROR_INIT;
    require(weir_pool(runtime_, name.c_str(), &pool, &error) == WEIR_NOT_FOUND,
            "there is no pool of that name", name);
  }

  const std::string& config_;
  weir_runtime_t* runtime_ = nullptr;
  int opened_ = 0;
  std::size_t former_ = 0;  // leases that were out when a runtime ended
  std::vector<Lent> leases_;
  std::vector<weir_ticket_t*> tickets_;
  std::array<char, kPools.size()> started_on_{};  // where a ticket's user_data points: its pool
};

std::string config_in(const std::string& folder) {
  const auto pool = [](const char* name, const std::string& dsn) {
    return std::string("[pool.") + name + "]\ndriver = \"null\"\ndsn = \"" + dsn +
           "\"\nmax = " + std::to_string(kMax) +
           "\nvalidate_after = \"0s\"\nconnect_timeout = \"5ms\"\nclose_timeout = \"5ms\"\n"
           "permit_quantum = \"0s\"\nlinger_max = \"5ms\"\n";
  };
  return "[runtime]\naliases = false\nplugin_path = [\"" WEIR_PLUGINS "\"]\nfolder = \"" + folder +
         "\"\n" + pool(kPools[0], "null://steady") +
         pool(kPools[1],
              "null://shaky?connect=fail@20%,delay:1ms@20%,hang@2%&ping=fail@10%,hang@2%&"
              "reset=fail@10%&close=hang@5%,fail@5%&seed=7");
}

}  // namespace
}  // namespace weir::fuzz

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  static const weir::test::TempFolder folder("/dev/shm/weir-fuzz-");
  static const std::string config = weir::fuzz::config_in(folder.path().string());
  weir::fuzz::Input input(data, size);
  weir::fuzz::Host host(config);
  for (int calls = 0; calls < 64 && !input.is_at_end(); ++calls) host.step(input);
  return 0;
}
