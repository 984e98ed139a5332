// weir's side of the demo: its configuration and runtime, and its segment as one sees it from
// outside.
//
// The runtime is opened once, before the workers are forked; each of them uses what it inherited.
// The process that forks never acquires anything, so it stays single-threaded and no worker of
// weir's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "demo/board.h"
#include "shm/segment.h"
#include "shm/snapshot.h"
#include "weir/weir.hpp"

namespace weir::demo {

struct WeirSideOptions {
  std::string folder;   // for the segment; must exist and be its user's alone
  std::string plugins;  // folder of the drivers; empty: where the library looks by itself
  std::string driver = "postgres";
  std::string dsn;        // of the database
  std::uint32_t quota;    // connections
  std::string keys = {};  // more lines of [pool.main], and sections behind it
};

class WeirSide {
 public:
  /// Throws Error if weir refuses the configuration.
  explicit WeirSide(const WeirSideOptions& options);

  [[nodiscard]] Runtime& runtime() { return runtime_; }

  /// Writes how many connections each worker has idle to its gauge. From the segment alone.
  void show_idle(Board& board);
  /// Whether the dead process has no row any more and no place lingers. From the segment alone.
  [[nodiscard]] bool has_settled(pid_t dead);

  /// Nothing before the first worker made the segment.
  [[nodiscard]] std::optional<shm::Snapshot> look();

  /// How often weir has connected. From the segment alone.
  [[nodiscard]] std::uint64_t connects() { return counter(shm::Counter::kConnects); }
  /// The sum over all workers; 0 before the pool is there. From the segment alone.
  [[nodiscard]] std::uint64_t counter(shm::Counter counter, const std::string& pool = "main");

  /// Has all workers look at their scripts at once. Throws std::runtime_error without a segment.
  void reload_policies() const;

  /// To be run in a process of its own while the workers are idle: takes connections until it has
  /// `quota` of them at once or none came for some seconds; returns how many it got.
  [[nodiscard]] std::uint32_t take_all(std::uint32_t quota);

 private:
  [[nodiscard]] shm::SegmentOptions where() const;

  std::string folder_;
  std::unique_ptr<shm::Segment> segment_;  // mapped read-only
  Runtime runtime_;
};

}  // namespace weir::demo
