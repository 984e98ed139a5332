// A pool of another language, measured in a program of its own that answers one line for each line
// it is asked. It stays for the whole benchmark, so its compiler and caches are warm.
//
// The program begins with "ready VERSION". Asked "THREADS CONNECTIONS MILLISECONDS", it lets so
// many threads take and give back connections of a pool of that size for so long, and answers
// "TURNS FEWEST MOST NANOSECONDS": turns of all threads, of the slowest and the fastest thread, and
// how long it really took. Its input's end tells it to leave.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/turns.h"

namespace weir::bench {

class Peer {
 public:
  /// Starts it and waits for its first line. Whether it is ready is for the caller to ask.
  explicit Peer(std::vector<std::string> command);
  /// Lets it leave and waits for its end.
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] bool is_ready() const { return first_line_.starts_with("ready"); }
  /// What it said instead of "ready"; or its version.
  [[nodiscard]] std::string words() const;

  /// REQUIRES: is_ready(). Throws std::runtime_error if it does not answer as agreed.
  [[nodiscard]] Turns run(unsigned threads, unsigned connections, std::chrono::nanoseconds length);

 private:
  [[nodiscard]] std::string read_line();

  std::string name_;
  pid_t pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
  std::string first_line_;
};

}  // namespace weir::bench
