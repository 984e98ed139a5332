#include <cstdio>
#include <cstdlib>

#include "input.h"

namespace weir::fuzz {

void fail(const char* what, const std::string& found) {
  std::fprintf(stderr, "does not hold: %s; found: %s\n", what, found.c_str());
  std::abort();
}

}  // namespace weir::fuzz
