// Inherited: which databases this process's parent had open when it forked.
//
// SQLite cannot be carried across a fork. Its locks are POSIX record locks, which a child does not
// inherit, but its table of who holds which lock is memory, which it does: a connection that a
// child opens to such a file believes in locks that its process does not have. (In WAL mode the
// parent's close then deletes the log that the child goes on writing into, and what it wrote is
// lost.) See https://www.sqlite.org/howtocorrupt.html, "Carrying an open database connection across
// a fork". So such a file cannot be opened in that child, and what was inherited is neither used
// nor closed: the close of any descriptor of a file drops a process's own locks on it.
//
// Threads: any. Fork: whichever way a child was made (fork, a raw clone), and at any moment: there
// is no lock that could be held by a thread that the child does not have.
#pragma once

#include <string_view>

namespace weir::sqlite {

/// One database that is open in this process, while it lives. Move-only.
class OpenMark {
 public:
  OpenMark() = default;
  /// REQUIRES: made before SQLite opens it.
  explicit OpenMark(std::string_view path);
  OpenMark(OpenMark&& other) noexcept;
  OpenMark& operator=(OpenMark&& other) noexcept;
  OpenMark(const OpenMark&) = delete;
  OpenMark& operator=(const OpenMark&) = delete;
  /// REQUIRES: SQLite has closed it.
  ~OpenMark();
  /// In a child: it stays as it is, since nobody will close what it marks.
  void leave() { node_ = nullptr; }

  struct Node;

 private:
  Node* node_ = nullptr;
};

/// Whether a parent of this process had `path` open when it forked.
[[nodiscard]] bool is_inherited(std::string_view path);

}  // namespace weir::sqlite
