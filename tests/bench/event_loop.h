// A worker that is one event loop: it serves all of its requests in one thread, with acquires that
// no thread sleeps for and queries that it polls.
// Threads: the one that serves. Fork: made in the worker process.
#pragma once

#include "demo/source.h"
#include "weir/weir.hpp"

namespace weir::bench {

class EventLoop final : public demo::Source {
 public:
  /// `runtime` may have been opened before this worker was forked.
  EventLoop(Runtime& runtime, demo::Board& board, demo::Gauge& gauge);
  ~EventLoop() override;
  /// There are no threads that could call it.
  demo::End serve(std::uint64_t deadline_ns, std::uint32_t hold_us) override;
  bool serve_all(const std::vector<std::size_t>& mine, const demo::WorkerTask& task) override;

 private:
  struct One;
  void start(One& one, std::uint64_t now_ns);
  void take_what_is_done();
  void send(One& one, Lease lease);
  void go_on(One& one);
  void end(One& one, demo::End how);

  Runtime& runtime_;
  Pool pool_;
  demo::Board& board_;
  demo::Gauge& gauge_;
  int epoll_ = -1;
  std::size_t left_ = 0;
};

}  // namespace weir::bench
