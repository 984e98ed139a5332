// MuteServer: what is left of a database server in an outage. It takes connections at a Unix socket
// and never answers: either it hangs up after a while, or it lets its clients wait. It counts what
// it sees, for who wants to know how many attempts a machine makes.
//
// Lives in a process of its own, until stopped or destroyed. Threads: belongs to one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "support/worker_process.h"

namespace weir::test {

class MuteServer {
 public:
  struct Tally {
    std::atomic<std::uint32_t> accepted{0};
    std::atomic<std::uint32_t> open{0};             // now
    std::atomic<std::uint32_t> most_open{0};        // at once
    std::atomic<std::uint32_t> most_open_later{0};  // of those after the first `first`
    std::atomic<bool> silent{false};                // lets clients wait instead of hanging up
  };

  /// Listens at `socket_path`, in the place of whatever is there; hangs up on each client `hold`
  /// after it came. `first`: accepts that most_open_later leaves out.
  MuteServer(const std::string& socket_path, Nanos hold, std::uint32_t first = 0);
  MuteServer(const MuteServer&) = delete;
  MuteServer& operator=(const MuteServer&) = delete;
  ~MuteServer();

  [[nodiscard]] const Tally& tally() const { return *tally_; }
  /// From now on nobody is hung up on, or everybody is again.
  void be_silent(bool silent) { tally_->silent.store(silent); }
  /// Ends it, with all its connections, and removes its socket.
  void stop();

 private:
  std::string path_;
  Tally* tally_;
  std::unique_ptr<WorkerProcess> process_;
};

}  // namespace weir::test
