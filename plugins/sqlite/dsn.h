// Dsn: which database a connection is to, and how it is opened.
//
//   sqlite:<path>            a file; a relative path counts from the folder that the process is in
//   now sqlite:///<path>         the same, with an absolute path: sqlite:///var/lib/shop.db
//   sqlite::memory:          a database in memory, one of its own for each connection; also
//   sqlite:// sqlite:<name>?mode=memory&cache=shared   one in memory for all connections of this
//   process
//
//   mode=ro|rw|rwc           read only; do not create the file; create it (default)
//   journal=<mode>           wal, delete, truncate, persist, memory or off; default: as it is
//   busy_timeout=<duration>  how long a statement waits for another connection's lock (default 5s)
//   foreign_keys=on|off      default: the library's own
//   synchronous=off|normal|full|extra
//
// In a path, ?, # and % are written %3F, %23 and %25. Threads: constant after parse.
#pragma once

#include <cstdint>
#include <string>

#include "failure.h"

namespace weir::sqlite {

enum class Access { kReadOnly, kReadWrite, kCreate };
enum class Kind { kFile, kPrivateMemory, kSharedMemory };

class Dsn {
 public:
  /// On failure false, and *failure (WEIR_BAD_CONFIG) names the part that is wrong. Looks at the
  /// file system, to find what a path stands for; opens nothing.
  static bool parse(const char* text, Dsn* dsn, Failure* failure);

  [[nodiscard]] Kind kind() const { return kind_; }
  /// The file's absolute path with its links resolved, as far as it exists; or a shared one's name;
  /// or ":memory:". For messages too.
  [[nodiscard]] const std::string& path() const { return path_; }
  /// What sqlite3_open_v2 is given.
  [[nodiscard]] std::string open_name() const;
  [[nodiscard]] int open_flags() const;

  [[nodiscard]] bool is_read_only() const { return access_ == Access::kReadOnly; }
  /// Empty where the DSN does not say.
  [[nodiscard]] const std::string& journal() const { return journal_; }
  [[nodiscard]] const std::string& foreign_keys() const { return foreign_keys_; }
  [[nodiscard]] const std::string& synchronous() const { return synchronous_; }
  /// At most an hour.
  [[nodiscard]] int busy_timeout_ms() const { return busy_timeout_ms_; }

  /// For people, normalised.
  [[nodiscard]] const std::string& display() const { return display_; }
  /// "sqlite:" and path(); a long one ends in a hash, so that it never is another one's when cut.
  [[nodiscard]] const std::string& server_identity() const { return identity_; }
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }

 private:
  bool read_place(std::string_view place, bool is_url, Failure* failure);
  bool read_option(std::string_view key, std::string_view value, Failure* failure);
  bool settle(Failure* failure);

  Kind kind_ = Kind::kFile;
  Access access_ = Access::kCreate;
  bool says_access_ = false;
  bool says_memory_ = false;
  bool says_shared_ = false;
  std::string path_;
  std::string journal_;
  std::string foreign_keys_;
  std::string synchronous_;
  int busy_timeout_ms_ = 5000;
  std::string display_;
  std::string identity_;
  std::uint64_t fingerprint_ = 0;
};

/// FNV-1a (Fowler, Noll, Vo), 64 bits.
[[nodiscard]] std::uint64_t hash_of(std::string_view text);

}  // namespace weir::sqlite
