// What the conformance suite asks for; see weir/conformance.h. Without a server there is only the
// first half. Threads: constant.
#pragma once

#include "weir/conformance.h"

namespace weir::sqlite {

const weir_conformance_t& conformance();

}  // namespace weir::sqlite
