// Server programs that tests and benchmarks start for themselves: who they run as, how they end
// with us, and how to find a process's children.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace weir::test {

struct User {
  uid_t uid;
  gid_t gid;
};

/// Who servers run as: nullopt for ourselves; root uses the user "postgres", for neither PostgreSQL
/// nor PgBouncer runs as root. Throws std::runtime_error if root finds no such user.
[[nodiscard]] std::optional<User> server_user();

/// Does nothing for nullopt. Throws std::system_error.
void give_to(const std::filesystem::path& path, const std::optional<User>& user);

/// Starts `command` as that user, with its output appended to `log`; returns its process id. When
/// the calling thread ends it gets SIGQUIT. Throws std::system_error.
pid_t spawn_server(const std::vector<std::string>& command, const std::filesystem::path& log,
                   const std::optional<User>& user);

/// All of it; empty if there is no such file.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

/// The live processes whose parent is `parent`, from /proc.
[[nodiscard]] std::vector<pid_t> children_of(pid_t parent);

/// Whether process `pid` has ended, reaped by its parent or not.
[[nodiscard]] bool has_ended(pid_t pid);

/// SIGKILLs a child and returns when the kernel has taken it apart. Does not reap it: that was seen
/// to take half a second on a busy machine, and who measures what follows would measure that.
void kill_and_see_it_gone(pid_t child);

}  // namespace weir::test
