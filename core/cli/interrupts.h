// SIGINT and SIGTERM as something to wait for, while an Interrupts lives: who goes on until
// interrupted ends in good order. Threads: of the one that made it.
#pragma once

#include <csignal>

#include "base/clock.h"

namespace weir::cli {

class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  /// Waits until `deadline` or an interrupt. True: interrupted.
  [[nodiscard]] bool wait(Deadline deadline) const;

 private:
  sigset_t signals_{};
  sigset_t before_{};
  int fd_ = -1;
};

}  // namespace weir::cli
