#include "traces.h"

#include <cstdio>

namespace weir::sqlite {

void Traces::clear() {
  const bool looks_away = looks_away_;
  *this = Traces();
  looks_away_ = looks_away;
}

void Traces::note_lasting(const char* what, const char* name) {
  any_ = true;
  std::snprintf(lasting_.data(), lasting_.size(), "%s%s", what, name);
}

void Traces::note_pragma(const char* name, const char* argument) {
  const PragmaUse use = use_of(name, argument);
  switch (use.kind) {
    case PragmaKind::kPlain:
      return;
    case PragmaKind::kRestorable:
      pragmas_.set(use.index);
      break;
    case PragmaKind::kTempStore:
      temporary_ = true;
      break;
    case PragmaKind::kLasting:
      note_lasting("PRAGMA ", name);
      break;
  }
  any_ = true;
}

int Traces::note(void* self, int action, const char* first, const char* second,
                 const char* database, const char* /*trigger*/) {
  Traces& traces = *static_cast<Traces*>(self);
  if (traces.looks_away_) return SQLITE_OK;
  switch (action) {
    case SQLITE_PRAGMA:
      traces.note_pragma(first, second);
      break;
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
      traces.any_ = traces.attached_ = true;
      break;
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_VTABLE:
      if (database == nullptr || sqlite3_stricmp(database, "temp") != 0) break;
      [[fallthrough]];
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_DROP_TEMP_INDEX:
    case SQLITE_DROP_TEMP_TABLE:
    case SQLITE_DROP_TEMP_TRIGGER:
    case SQLITE_DROP_TEMP_VIEW:
      traces.any_ = traces.temporary_ = true;
      break;
    case SQLITE_FUNCTION:
      if (second != nullptr && sqlite3_stricmp(second, "load_extension") == 0) {
        traces.note_lasting("load_extension()", "");
      }
      break;
    default:
      break;
  }
  return SQLITE_OK;
}

}  // namespace weir::sqlite
