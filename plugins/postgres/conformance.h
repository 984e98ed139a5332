// What the conformance suite asks for; see weir/conformance.h. The server is asked over a session
// of its own, as the DSN's role. Threads: constant.
#pragma once

#include "weir/conformance.h"

namespace weir::postgres {

const weir_conformance_t& conformance();

}  // namespace weir::postgres
