// Random calls by several processes on a real server: whatever they do, and though one may be
// killed in the middle of it, the quota holds as the server counts, each acquire ends in exactly
// one event, each connection that was begun is closed once, and in the end nothing is missing.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <atomic>
#include <csignal>
#include <set>
#include <string>
#include <vector>

#include "pool_world.h"
#include "tight_quota.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

constexpr int kQuota = 4;
constexpr std::size_t kProcesses = 3;
constexpr auto kShort = 50ms;  // nobody may wait for long for what it holds itself

enum class Deed {
  kAcquire,
  kTry,
  kRelease,
  kReleaseLater,
  kUse,
  kLeaveTransaction,
  kDiscard,
  kMarkBroken,
  kWearOut,
  kDetach,
  kReplace,
  kPause,
  kClear,
  kDrain,
  kDispose,
  kResize,
  kCheck,
};
constexpr int kDeeds = 17;
constexpr std::array<const char*, kDeeds> kNames = {
    "acquire", "try",    "release",  "release_later", "use",     "leave_transaction",
    "discard", "broken", "wear_out", "detach",        "replace", "pause",
    "clear",   "drain",  "dispose",  "resize",        "check"};

struct Script {
  std::vector<int> deeds;  // of Deed
  int killed_at = -1;      // before that one; -1: never
};

void showValue(const Script& script, std::ostream& out) {  // NOLINT(readability-identifier-naming)
  for (std::size_t i = 0; i < script.deeds.size(); ++i) {
    if (static_cast<int>(i) == script.killed_at) out << " KILLED";
    out << ' ' << kNames[static_cast<std::size_t>(script.deeds[i])];
  }
  out << '\n';
}

rc::Gen<Script> any_script(bool may_be_killed) {
  // Acquires and releases more often than the rest.
  const auto deed =
      rc::gen::map(rc::gen::inRange(0, kDeeds + 12), [](int n) { return n < kDeeds ? n : n % 3; });
  const auto deeds = rc::gen::container<std::vector<int>>(40, deed);
  const auto when = may_be_killed ? rc::gen::inRange(0, 40) : rc::gen::just(-1);
  return rc::gen::map(rc::gen::pair(deeds, when), [](const std::pair<std::vector<int>, int>& both) {
    return Script{both.first, both.second};
  });
}

/// What all processes saw, in memory that they share.
struct Tally {
  std::atomic<std::uint64_t> calls{0}, served{0};
  std::atomic<std::uint64_t> started{0}, checked_out{0}, checkout_failed{0};
  std::atomic<std::uint64_t> created{0}, closed{0};

  std::int32_t take(const weir_event_t& event) {
    switch (event.kind) {
      case WEIR_EVENT_CHECKOUT_STARTED:
        ++started;
        break;
      case WEIR_EVENT_CHECKED_OUT:
        ++checked_out;
        break;
      case WEIR_EVENT_CHECKOUT_FAILED:
        ++checkout_failed;
        break;
      case WEIR_EVENT_CONN_CREATED:
        ++created;
        break;
      case WEIR_EVENT_CONN_CLOSED:
        ++closed;
        break;
      default:
        break;
    }
    return WEIR_OK;
  }
};

/// One process with its leases, doing as its script says.
class Actor {
 public:
  Actor(const std::string& config, Tally& tally) : weir_(config), tally_(tally) {
    weir_error_t error = WEIR_ERROR_INIT;
    const auto listen = [](void* context, const weir_event_t* event) {
      return static_cast<Tally*>(context)->take(*event);
    };
    require(weir_set_event_callback(weir_.handle(), listen, &tally, &error) == WEIR_OK,
            error.message);
  }

  void run(const Script& script) {
    for (std::size_t i = 0; i < script.deeds.size(); ++i) {
      if (static_cast<int>(i) == script.killed_at) static_cast<void>(raise(SIGKILL));
      act(static_cast<Deed>(script.deeds[i]));
    }
    while (!leases_.empty()) give_back(release(leases_.back()));
    require(weir_.close(), "close");
  }

 private:
  void act(Deed deed) {
    switch (deed) {
      case Deed::kAcquire:
        return keep(acquire(weir_.pool(), kShort));
      case Deed::kTry:
        return keep(try_acquire(weir_.pool()));
      case Deed::kPause:
        decide(&weir_pause);
        return decide(&weir_resume);
      case Deed::kClear:
        call([&](weir_error_t* error) { return weir_clear(weir_.pool(), 0, error); });
        return decide(&weir_resume);
      case Deed::kDrain:
        return decide(&weir_drain);
      case Deed::kDispose:
        return decide(&weir_dispose);
      case Deed::kResize:
        max_ = max_ == kQuota ? 2 : kQuota;
        return call([&](weir_error_t* error) { return weir_resize(weir_.pool(), max_, 0, error); });
      case Deed::kCheck: {
        std::uint32_t good = 0, dead = 0;
        weir_error_t error = WEIR_ERROR_INIT;
        const auto code = weir_check(weir_.pool(), Nanos(kPatience).count(), &good, &dead, &error);
        return require(code == WEIR_OK || code == WEIR_PAUSED, error.message);
      }
      default:
        if (!leases_.empty()) act_on_lease(deed);
    }
  }

  void act_on_lease(Deed deed) {
    weir_lease_t& lease = leases_.back();
    switch (deed) {
      case Deed::kUse:
        return use("SET application_name = 'mine'");
      case Deed::kLeaveTransaction:
        return use("BEGIN");
      case Deed::kDiscard:
        return give_back(discard(lease));
      case Deed::kMarkBroken:
        return call([&](weir_error_t* error) { return weir_mark_broken(&lease, error); });
      case Deed::kWearOut:
        return call([&](weir_error_t* error) { return weir_invalidate(&lease, 1, error); });
      case Deed::kDetach:
        return call([&](weir_error_t* error) { return weir_detach(&lease, error); });
      case Deed::kReleaseLater:
        call([&](weir_error_t* error) { return weir_release_later(&lease, error); });
        return leases_.pop_back();
      case Deed::kReplace: {
        weir_error_t error = WEIR_ERROR_INIT;
        weir_acquire_options_t options = WEIR_ACQUIRE_OPTIONS_INIT;
        options.timeout_ns = Nanos(kPatience).count();
        if (weir_replace(&lease, &options, &error) == WEIR_OK) return;
        // It is over, unless nothing was begun.
        const std::string left = release(lease).code;
        require(left == "ok" || left == "not_checked_out", left);
        return leases_.pop_back();
      }
      default:
        return give_back(release(lease));
    }
  }

  void keep(Got got) {
    ++tally_.calls;
    if (got.ok()) {
      ++tally_.served;
      leases_.push_back(got.lease);
      return;
    }
    const std::set<std::string> expected = {"timeout", "would_block", "paused"};
    require(expected.contains(got.code), "acquire: " + got.code + ": " + got.message);
  }
  void use(const std::string& statement) {
    auto* const conn = static_cast<PGconn*>(weir_lease_native(&leases_.back()));
    require(!ask(conn, statement).starts_with("error"), statement);
  }
  void give_back(const Answer& answer) {
    require(answer, "giving back");
    leases_.pop_back();
  }
  void decide(int32_t (*decision)(weir_pool_t*, weir_error_t*)) {
    call([&](weir_error_t* error) { return decision(weir_.pool(), error); });
  }
  template <typename Call>
  void call(Call call) {
    weir_error_t error = WEIR_ERROR_INIT;
    const std::int32_t code = call(&error);
    require(code == WEIR_OK, std::string(weir_code_name(code)) + ": " + error.message);
  }

  Weir weir_;
  Tally& tally_;
  std::vector<weir_lease_t> leases_;
  std::uint32_t max_ = kQuota;
};

/// RC_ASSERT, but said at once: a failure that another run of the same scripts does not repeat is
/// lost otherwise.
void expect(bool holds, const std::string& what) {
  if (!holds) std::fprintf(stderr, "broken: %s\n", what.c_str());
  RC_ASSERT(holds);
}
void expect_equal(std::uint64_t one, std::uint64_t other, const std::string& what) {
  expect(one == other, what + ": " + std::to_string(one) + " and " + std::to_string(other));
}

class PoolOfProcesses : public TightQuota {
 protected:
  /// All scripts at once, each in a process of its own; what they saw.
  void play(const std::vector<Script>& scripts, const std::string& config, Tally& tally) {
    std::vector<WorkerProcess> processes;
    for (const Script& script : scripts) {
      processes.emplace_back([&]() -> int {
        Actor(config, tally).run(script);
        return 0;
      });
    }
    for (std::size_t i = 0; i < scripts.size(); ++i) {
      const int expected = scripts[i].killed_at >= 0 ? -SIGKILL : 0;
      const int ended = processes[i].wait_at_most(60s);
      expect(ended == expected,
             "process " + std::to_string(i) + " ended with " + std::to_string(ended));
    }
  }
  void expect_rest() {
    const std::string unrest = world_->await_rest();
    expect(unrest.empty(), unrest);
  }
  /// All of the quota can be had by one who comes afterwards.
  void take_all(const std::string& config) {
    Weir weir(config);
    weir_error_t error = WEIR_ERROR_INIT;
    expect(weir_resize(weir.pool(), kQuota, 0, &error) == WEIR_OK, error.message);
    expect(weir_resume(weir.pool(), &error) == WEIR_OK, error.message);
    std::vector<Got> all;
    for (int i = 0; i < kQuota; ++i) {
      all.push_back(acquire(weir.pool()));
      expect(all.back().ok(), all.back().message);
    }
    for (Got& got : all) expect(release(got.lease).ok(), "release");
    expect(weir.close().ok(), "close");
  }
};

TEST_F(PoolOfProcesses, TellTheSameStoryByEventsAndCounters) {
  begin(kQuota);
  EXPECT_TRUE(rc::check("events, counters and the segment agree", [&] {
    const auto scripts = *rc::gen::container<std::vector<Script>>(kProcesses, any_script(false));
    world_.emplace(server_->dsn());
    const std::string config = world_->config("max = " + std::to_string(kQuota));
    Shared<Tally> tally;
    play(scripts, config, *tally);
    expect_equal(tally->started, tally->calls, "acquires begun");
    expect_equal(tally->started, tally->checked_out + tally->checkout_failed, "acquires ended");
    expect_equal(tally->checked_out, tally->served, "leases told and had");
    expect_equal(tally->created, tally->closed, "connections begun and closed");
    expect_equal(tally->served, world_->pool().acquires, "leases had and counted");
    expect_rest();
    take_all(config);
  }));
}

TEST_F(PoolOfProcesses, LoseNothingWhenOneOfThemIsKilled) {
  begin(kQuota);
  EXPECT_TRUE(rc::check("all of the quota is there afterwards", [&] {
    auto scripts = *rc::gen::container<std::vector<Script>>(kProcesses, any_script(false));
    scripts.front() = *any_script(true);
    world_.emplace(server_->dsn());
    const std::string config = world_->config("max = " + std::to_string(kQuota));
    Shared<Tally> tally;
    play(scripts, config, *tally);
    take_all(config);
    expect_rest();
  }));
}

}  // namespace
}  // namespace weir::test
