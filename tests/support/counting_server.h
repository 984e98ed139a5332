// CountingServer: a database server as far as a quota is concerned. It lives in a process of its
// own, accepts sessions at a Unix socket, and judges at every accept how many are open.
//
// A session announces which place it stands for (`place`, `occ`). It ends when its client has said
// goodbye or is gone, but like a real server's only a moment later (up to `lag`): until then it
// counts. Whoever gives back a place must therefore have seen the server close the socket, or have
// asked whether the session of a dead client is gone. A question is answered only after everything
// that had connected before it was taken in, and "not gone" while somebody has not announced
// itself. Threads, processes: clients are plain functions; the judge is single-threaded.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "support/worker_process.h"

namespace weir::test {

class CountingServer {
 public:
  /// What the judge saw so far.
  struct Tally {
    std::atomic<std::uint32_t> accepted{0};
    std::atomic<std::uint32_t> most_open{0};
    std::atomic<std::uint32_t> over_limit{0};  // accepts at which more than `limit` were open
    std::atomic<std::uint32_t> questions{0};
  };

  /// Serves at `folder`/sessions and `folder`/questions until destroyed.
  CountingServer(const std::string& folder, std::uint32_t limit, Nanos lag);
  CountingServer(const CountingServer&) = delete;
  CountingServer& operator=(const CountingServer&) = delete;
  ~CountingServer();

  [[nodiscard]] const Tally& tally() const { return *tally_; }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }

  /// Client: opens a session. -1 if the server refuses.
  [[nodiscard]] int connect(std::uint32_t place, std::uint32_t occ) const;
  /// Client: goodbye, then waits until the server has let go, and closes.
  static void close(int session);
  /// Client: whether the server has no session of that occupation.
  [[nodiscard]] bool is_gone(std::uint32_t place, std::uint32_t occ) const;

 private:
  std::string sessions_path_, questions_path_;
  Tally* tally_;
  std::unique_ptr<WorkerProcess> process_;
};

}  // namespace weir::test
