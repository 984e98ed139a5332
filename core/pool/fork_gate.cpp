#include "pool/fork_gate.h"

namespace weir::pool {

ForkGate& ForkGate::instance() {
  static ForkGate gate;
  return gate;
}

}  // namespace weir::pool
