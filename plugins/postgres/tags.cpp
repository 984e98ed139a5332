#include "tags.h"

#include <algorithm>
#include <array>

namespace weir::postgres {
namespace {

// First words of the command tags that leave nothing behind (src/include/tcop/cmdtaglist.h). Not
// among them: EXPLAIN, which with ANALYZE runs anything and then answers EXPLAIN; DECLARE CURSOR,
// because of WITH HOLD.
constexpr auto kPlain = std::to_array<std::string_view>(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "FETCH", "MOVE", "SHOW", "COPY", "BEGIN",
     "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"});

bool is_plain(std::string_view tag) {
  const std::string_view first_word = tag.substr(0, tag.find(' '));
  return std::find(kPlain.begin(), kPlain.end(), first_word) != kPlain.end();
}

}  // namespace

bool may_leave_traces(ExecStatusType status, std::string_view tag) {
  switch (status) {
    case PGRES_EMPTY_QUERY:
    case PGRES_PIPELINE_SYNC:
    case PGRES_PIPELINE_ABORTED:  // was skipped, because of an error that was told before
    // On their way; the result that ends them has the tag.
    case PGRES_SINGLE_TUPLE:
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_COPY_BOTH:
      return false;
    case PGRES_TUPLES_OK:
      return !is_plain(tag);
    case PGRES_COMMAND_OK:
      // CREATE TABLE AS and SELECT INTO answer "SELECT n" too, but without rows. What PQprepare did
      // comes with an empty tag.
      return tag.starts_with("SELECT") || !is_plain(tag);
    case PGRES_FATAL_ERROR:
      // An error tells no tag, and a DO block may have changed the session and committed before it.
    default:
      return true;
  }
}

}  // namespace weir::postgres
