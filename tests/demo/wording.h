// How the demo speaks of a database. Plain values.
#pragma once

#include <string>

namespace weir::demo {

struct Wording {
  std::string sessions;  // what is counted, in the plural: "backends"
  std::string counter;   // who counts them: "the server"
  std::string refusals =
      {};                 // what the table calls a refused connection; empty: nobody refuses any
  std::string note = {};  // lines for below the comparison, each with its newline
};

}  // namespace weir::demo
