// Traces: what a lease's statements may have left in a session.
//
// SQLite's authorizer is told of every statement that is prepared, before it runs. So what is seen
// is SQL; what a lease does by calling C functions (hooks, functions, limits) is not. A lease that
// sets an authorizer of its own takes this one's place until the next reset that does something.
// Threads: as the connection. Fork: memory only.
#pragma once

#include <sqlite3.h>

#include <array>

#include "pragmas.h"

namespace weir::sqlite {

class Traces {
 public:
  /// Whether anything was seen that a reset has to look after.
  [[nodiscard]] bool any() const { return any_; }
  [[nodiscard]] bool attached() const { return attached_; }    // or detached
  [[nodiscard]] bool temporary() const { return temporary_; }  // objects made or dropped there
  [[nodiscard]] const PragmaSet& pragmas() const { return pragmas_; }
  /// What cannot be taken back ("PRAGMA locking_mode"); empty: nothing.
  [[nodiscard]] const char* lasting() const { return lasting_.data(); }

  void clear();
  /// From now on statements of `db` are noted here. `this` must stay where it is. Makes SQLite
  /// prepare what is prepared once more.
  void watch(sqlite3* db) { sqlite3_set_authorizer(db, &Traces::note, this); }
  static void stop(sqlite3* db) { sqlite3_set_authorizer(db, nullptr, nullptr); }
  /// Whether to note nothing: the driver's own statements.
  void look_away(bool is_own) { looks_away_ = is_own; }

 private:
  static int note(void* self, int action, const char* first, const char* second,
                  const char* database, const char* trigger);
  void note_pragma(const char* name, const char* argument);
  void note_lasting(const char* what, const char* name);

  bool looks_away_ = false;
  bool any_ = false;
  bool attached_ = false;
  bool temporary_ = false;
  PragmaSet pragmas_;
  std::array<char, 64> lasting_{};
};

}  // namespace weir::sqlite
