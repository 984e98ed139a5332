#include "sql.h"

#include <memory>

namespace weir::sqlite {

int run(sqlite3* db, const std::string& sql, std::string* first) {
  if (first != nullptr) first->clear();
  sqlite3_stmt* raw = nullptr;
  const int prepared = sqlite3_prepare_v2(db, sql.c_str(), -1, &raw, nullptr);
  if (prepared != SQLITE_OK) return prepared;
  const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(raw,
                                                                             &sqlite3_finalize);
  bool is_first = true;
  int result;
  while ((result = sqlite3_step(raw)) == SQLITE_ROW) {
    const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(raw, 0));
    if (first != nullptr && is_first && text != nullptr) *first = text;
    is_first = false;
  }
  return result == SQLITE_DONE ? SQLITE_OK : result;
}

}  // namespace weir::sqlite
