/* What the conformance suite asks for; see weir/conformance.h.
 *
 * Threads: constant. */
#ifndef WEIR_NULL_CONFORMANCE_H
#define WEIR_NULL_CONFORMANCE_H

#include "weir/conformance.h"

const weir_conformance_t* null_conformance(void);

#endif /* WEIR_NULL_CONFORMANCE_H */
