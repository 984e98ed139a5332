// Which PRAGMAs change a session, and which of those can be taken back.
//
// Threads: free functions without state, but for default_values(), which is made once.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <string>
#include <string_view>

namespace weir::sqlite {

/// Those whose value can be read of any connection and set again.
inline constexpr std::array<std::string_view, 22> kRestorablePragmas = {"analysis_limit",
                                                                        "automatic_index",
                                                                        "busy_timeout",
                                                                        "cache_size",
                                                                        "cell_size_check",
                                                                        "checkpoint_fullfsync",
                                                                        "count_changes",
                                                                        "empty_result_callbacks",
                                                                        "foreign_keys",
                                                                        "full_column_names",
                                                                        "fullfsync",
                                                                        "ignore_check_constraints",
                                                                        "legacy_alter_table",
                                                                        "query_only",
                                                                        "read_uncommitted",
                                                                        "recursive_triggers",
                                                                        "reverse_unordered_selects",
                                                                        "short_column_names",
                                                                        "synchronous",
                                                                        "trusted_schema",
                                                                        "wal_autocheckpoint",
                                                                        "writable_schema"};
using PragmaSet = std::bitset<kRestorablePragmas.size()>;

enum class PragmaKind {
  kPlain,       // only reads, or changes what is in the file
  kRestorable,  // changes the session; `index` says which of kRestorablePragmas
  kTempStore,   // changes where temporary objects live, and drops them
  kLasting,     // changes the session for good
};
struct PragmaUse {
  PragmaKind kind = PragmaKind::kPlain;
  std::size_t index = 0;
};

/// What `PRAGMA name` or, with an argument, `PRAGMA name = argument` does. Case does not matter.
[[nodiscard]] PragmaUse use_of(const char* name, const char* argument) noexcept;

/// The values of kRestorablePragmas in a fresh connection of this library; empty where it knows no
/// such PRAGMA. Opens a database in memory, once for the process.
const std::array<std::string, kRestorablePragmas.size()>& default_values();

}  // namespace weir::sqlite
