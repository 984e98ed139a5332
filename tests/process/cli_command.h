// Running the built `weir` command, as a user would: its exit status, what it printed, on files or
// on a terminal.
//
// Threads: a command belongs to the thread that started it, and dies with it.
#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/temp_folder.h"
#include "support/worker_process.h"

namespace weir::test {

struct CommandOutcome {
  int exit_status = -1;  // -N: ended by signal N
  std::string out;
  std::string err;
};

/// `weir` with these arguments, its stdout and stderr in files.
class Command {
 public:
  /// `stdout_path`: instead of a file; then out() is empty.
  explicit Command(const std::vector<std::string>& arguments, const std::string& stdout_path = {});

  [[nodiscard]] std::string out() const;
  [[nodiscard]] std::string err() const;
  void signal(int number) const { kill(process_->pid(), number); }
  /// Waits for its end; killed after kPatience.
  CommandOutcome finish();

 private:
  TempFolder folder_;
  std::unique_ptr<WorkerProcess> process_;
};

/// Runs `weir` with these arguments to its end.
CommandOutcome run_weir(const std::vector<std::string>& arguments);

/// `weir` on a terminal of `rows` by 100.
class TerminalCommand {
 public:
  TerminalCommand(const std::vector<std::string>& arguments, unsigned short rows);
  TerminalCommand(const TerminalCommand&) = delete;
  TerminalCommand& operator=(const TerminalCommand&) = delete;
  ~TerminalCommand();

  /// Reads until `holds` what was shown so far; false if it does not within kPatience.
  bool read_until(const std::function<bool(const std::string& shown)>& holds);
  [[nodiscard]] const std::string& shown() const { return shown_; }
  void type(std::string_view keys) const;
  int wait() { return process_->wait_at_most(); }

 private:
  int terminal_ = -1;
  std::unique_ptr<WorkerProcess> process_;
  std::string shown_;
};

}  // namespace weir::test
