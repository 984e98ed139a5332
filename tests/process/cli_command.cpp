#include "cli_command.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <unistd.h>
#include <utmp.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/clock.h"
#include "base/status.h"

namespace weir::test {
namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// In a child: becomes the command. Returns only if that fails.
int become_weir(const std::vector<std::string>& arguments) {
  std::vector<char*> argv = {const_cast<char*>("weir")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.data()));
  argv.push_back(nullptr);
  execv(WEIR_COMMAND, argv.data());
  return 127;
}

bool open_as(int number, const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags, 0600);
  return fd >= 0 && dup2(fd, number) == number;
}

}  // namespace

Command::Command(const std::vector<std::string>& arguments, const std::string& stdout_path) {
  const std::string out_path =
      stdout_path.empty() ? (folder_.path() / "out").string() : stdout_path;
  const std::string err_path = (folder_.path() / "err").string();
  process_ = std::make_unique<WorkerProcess>([&] {
    constexpr int kWrite = O_WRONLY | O_CREAT | O_APPEND;
    const bool ready = open_as(STDIN_FILENO, "/dev/null", O_RDONLY) &&
                       open_as(STDOUT_FILENO, out_path, kWrite) &&
                       open_as(STDERR_FILENO, err_path, kWrite);
    return ready ? become_weir(arguments) : 126;
  });
}

std::string Command::out() const { return content_of(folder_.path() / "out"); }
std::string Command::err() const { return content_of(folder_.path() / "err"); }

CommandOutcome Command::finish() {
  const int status = process_->wait_at_most();
  return {status, out(), err()};
}

CommandOutcome run_weir(const std::vector<std::string>& arguments) {
  return Command(arguments).finish();
}

TerminalCommand::TerminalCommand(const std::vector<std::string>& arguments, unsigned short rows) {
  winsize size{};
  size.ws_row = rows;
  size.ws_col = 100;
  int slave = -1;
  WEIR_CHECK(openpty(&terminal_, &slave, nullptr, nullptr, &size) == 0);
  process_ = std::make_unique<WorkerProcess>([&] {
    close(terminal_);
    // A forked child has one thread. NOLINTNEXTLINE(concurrency-mt-unsafe)
    return login_tty(slave) == 0 ? become_weir(arguments) : 126;
  });
  close(slave);
}

TerminalCommand::~TerminalCommand() { close(terminal_); }

bool TerminalCommand::read_until(const std::function<bool(const std::string& shown)>& holds) {
  const Deadline deadline = Deadline::after(kPatience);
  while (!holds(shown_)) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.left(monotonic_ns()));
    pollfd watched{terminal_, POLLIN, 0};
    if (left.count() == 0 || poll(&watched, 1, static_cast<int>(left.count())) <= 0) return false;
    std::array<char, 4096> bytes{};
    const ssize_t size = read(terminal_, bytes.data(), bytes.size());
    if (size <= 0) return holds(shown_);  // EIO: nobody has the other end any more
    shown_.append(bytes.data(), static_cast<std::size_t>(size));
  }
  return true;
}

void TerminalCommand::type(std::string_view keys) const {
  WEIR_CHECK(write(terminal_, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()));
}

}  // namespace weir::test
