#include "bench/peer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace weir::bench {
namespace {

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  return ends;
}

[[noreturn]] void become(char* const* arguments, int input, int output) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  const int nowhere = open("/dev/null", O_WRONLY);
  dup2(nowhere, STDERR_FILENO);  // loggers greet
  execvp(arguments[0], arguments);
  _exit(127);
}

}  // namespace

Peer::Peer(std::vector<std::string> command) : name_(command.front()) {
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const auto input = make_pipe();
  const auto output = make_pipe();
  pid_ = fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) become(arguments.data(), input[0], output[1]);
  close(input[0]);
  close(output[1]);
  to_ = fdopen(input[1], "w");
  from_ = fdopen(output[0], "r");
  first_line_ = read_line();
}

Peer::~Peer() {
  std::fclose(to_);
  std::fclose(from_);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::string Peer::words() const {
  if (first_line_.empty()) return name_ + " did not start or lacks a package";
  const auto space = first_line_.find(' ');
  return space == std::string::npos ? first_line_ : first_line_.substr(space + 1);
}

Turns Peer::run(unsigned threads, unsigned connections, std::chrono::nanoseconds length) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(length).count();
  std::fprintf(to_, "%u %u %lld\n", threads, connections, static_cast<long long>(ms < 1 ? 1 : ms));
  std::fflush(to_);
  const std::string answer = read_line();
  Turns turns;
  double nanoseconds = 0;
  std::istringstream words(answer);
  if (!(words >> turns.all >> turns.fewest >> turns.most >> nanoseconds)) {
    throw std::runtime_error(name_ + ": expected four numbers, found \"" + answer + "\"");
  }
  turns.took = std::chrono::nanoseconds(static_cast<std::int64_t>(nanoseconds));
  return turns;
}

std::string Peer::read_line() {
  std::string line;
  for (int c = std::fgetc(from_); c != EOF && c != '\n'; c = std::fgetc(from_)) {
    line += static_cast<char>(c);
  }
  return line;
}

}  // namespace weir::bench
