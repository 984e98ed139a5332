#include "pragmas.h"

#include <sqlite3.h>

#include <algorithm>

#include "sql.h"

namespace weir::sqlite {
namespace {

// They take an argument and change nothing of a session: they ask, work on the file, or store
// something in it. defer_foreign_keys ends with its transaction.
constexpr std::array<const char*, 25> kPlainWithArgument = {
    "application_id", "collation_list",     "compile_options",    "data_version",
    "database_list",  "defer_foreign_keys", "foreign_key_check",  "foreign_key_list",
    "freelist_count", "function_list",      "incremental_vacuum", "index_info",
    "index_list",     "index_xinfo",        "integrity_check",    "module_list",
    "optimize",       "page_count",         "pragma_list",        "quick_check",
    "table_info",     "table_list",         "table_xinfo",        "user_version",
    "wal_checkpoint"};

bool is_same(const char* one, const char* other) { return sqlite3_stricmp(one, other) == 0; }

}  // namespace

PragmaUse use_of(const char* name, const char* argument) noexcept {
  if (name == nullptr || argument == nullptr) return {};
  const auto is_this = [name](const char* known) { return is_same(name, known); };
  if (std::any_of(kPlainWithArgument.begin(), kPlainWithArgument.end(), is_this)) return {};
  // WAL is a property of the file; the other journals are a connection's own.
  if (is_same(name, "journal_mode") && is_same(argument, "wal")) return {};
  if (is_same(name, "temp_store")) return {PragmaKind::kTempStore, 0};
  for (std::size_t i = 0; i < kRestorablePragmas.size(); ++i) {
    if (is_same(name, kRestorablePragmas[i].data())) return {PragmaKind::kRestorable, i};
  }
  return {PragmaKind::kLasting, 0};
}

const std::array<std::string, kRestorablePragmas.size()>& default_values() {
  static const auto values = [] {
    std::array<std::string, kRestorablePragmas.size()> found;
    sqlite3* db = nullptr;
    if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) ==
        SQLITE_OK) {
      for (std::size_t i = 0; i < kRestorablePragmas.size(); ++i) {
        if (run(db, "PRAGMA " + std::string(kRestorablePragmas[i]), &found[i]) != SQLITE_OK) {
          found[i].clear();
        }
      }
    }
    sqlite3_close(db);
    return found;
  }();
  return values;
}

}  // namespace weir::sqlite
