// PoolStage: where the step scenarios of whole pools play: weir as a host uses it, through weir.h,
// on a server that counts sessions (tests/support/counting_server.h). No database.
//
// Room for two connections, of which one is the *asker's*: a worker that keeps an idle one, so that
// there is somebody who can ask the server about what the dead left. The other is what all is
// about:
//  - the *actor*, a child without threads of weir's, is interrupted;
//  - the *other*, a worker like any, wants it before, meanwhile or afterwards.
// Threads: one. Fork: workers are forked before this process opens a runtime of its own, which is
// only there for actors to inherit, unattached.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "pool_world.h"
#include "support/counting_server.h"

namespace weir::test {

class PoolStage {
 public:
  /// `wanted`: the pool in which the other wants it, "main" or "mate"; both draw on one quota.
  PoolStage(const std::string& wanted, std::uint32_t limit);
  ~PoolStage();
  PoolStage(const PoolStage&) = delete;
  PoolStage& operator=(const PoolStage&) = delete;

  // The other. It gets a lease, or stands in line for one, from want() on; give() discards it.
  void want();
  void give();
  [[nodiscard]] bool has_it() const { return taken_.value() == wants_; }
  [[nodiscard]] bool wants_it() const { return wants_ > gives_; }
  /// Whether it has it within `patience`.
  [[nodiscard]] bool await_other(Nanos patience = kPatience) const {
    return taken_.await(wants_, patience);
  }
  /// Until it stands in line.
  void await_line() const;

  // The actor.
  [[nodiscard]] const Weir& weir() const { return *weir_; }
  [[nodiscard]] weir_pool_t* pool() const { return weir_->pool(); }
  /// Where it has the segment mapped; empty before it is attached.
  [[nodiscard]] std::span<std::byte> memory() const;
  /// A few passes of its keeper, long enough for a goodbye to end.
  void keep_a_while() const;

  /// Another worker takes what there is, and dies with it.
  void let_somebody_die() const;
  void stop_asker() { asker_->stop(); }
  void resume_asker() { asker_->resume(); }

  [[nodiscard]] std::uint32_t in_line() const;
  /// Waits until all is as it was in the beginning: "" then, else what is not so.
  [[nodiscard]] std::string await_rest() const;
  [[nodiscard]] const CountingServer& server() const { return server_; }

 private:
  [[nodiscard]] std::string config(const char* permit_quantum) const;
  int serve_as_other(const std::string& wanted);

  PoolWorld world_{"unused"};
  std::uint32_t limit_;
  CountingServer server_;
  SharedCounter want_, give_, taken_, given_;
  std::uint32_t wants_ = 0, gives_ = 0;
  std::unique_ptr<WorkerProcess> other_, asker_;
  std::optional<Weir> weir_;
};

}  // namespace weir::test
