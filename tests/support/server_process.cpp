#include "support/server_process.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX's
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace weir::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUser = "postgres";

/// The parent of process `pid`, from /proc; -1 if there is no such process.
pid_t parent_of(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  // "pid (name) state ppid ...", and the name may hold anything.
  const std::size_t end_of_name = stat.rfind(") ");
  if (end_of_name == std::string::npos) return -1;
  pid_t parent = -1;
  const char* const start = stat.data() + end_of_name + std::strlen(") S ");
  std::from_chars(start, stat.data() + stat.size(), parent);
  return parent;
}

}  // namespace

std::optional<User> server_user() {
  if (geteuid() != 0) return std::nullopt;
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  getpwnam_r(kUser, &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    throw std::runtime_error("PostgreSQL does not run as root, and there is no user postgres");
  }
  return User{found->pw_uid, found->pw_gid};
}

void give_to(const fs::path& path, const std::optional<User>& user) {
  if (user && chown(path.c_str(), user->uid, user->gid) != 0) {
    throw std::system_error(errno, std::generic_category(), "chown " + path.string());
  }
}

pid_t spawn_server(const std::vector<std::string>& command, const fs::path& log,
                   const std::optional<User>& user) {
  // Everything that allocates happens before the fork: other threads may hold the heap's locks.
  std::vector<char*> arguments;
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) throw std::system_error(errno, std::generic_category(), log.string());
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    if (user) {
      if (setgroups(0, nullptr) != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0)
        _exit(126);
    }
    // After setuid, which clears it (prctl(2), PR_SET_PDEATHSIG). SIGQUIT is PostgreSQL's
    // "immediate".
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent) _exit(126);
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
    const int input = open("/dev/null", O_RDONLY);
    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    if (chdir("/") == 0) execv(arguments[0], arguments.data());
    _exit(127);
  }
  const int error = errno;
  close(output);
  if (child < 0) throw std::system_error(error, std::generic_category(), "fork");
  return child;
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool has_ended(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t end_of_name = stat.rfind(") ");
  return end_of_name == std::string::npos || stat.compare(end_of_name, 3, ") Z") == 0;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && end == name.data() + name.size() && parent_of(pid) == parent) {
      children.push_back(pid);
    }
  }
  return children;
}

void kill_and_see_it_gone(pid_t child) {
  ::kill(child, SIGKILL);
  siginfo_t end{};
  while (waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
}

}  // namespace weir::test
