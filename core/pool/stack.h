// Who acquired a connection: the callers' addresses, kept with the loan, named only for a report.
#pragma once

#include <array>
#include <atomic>
#include <string>

namespace weir::pool {

/// Written by who acquires, read by the keeper; half old, half new does no harm.
using Stack = std::array<std::atomic<void*>, 16>;

/// The present stack, innermost frame first, without this function's own. Allocates on first use.
void capture(Stack& stack);
/// "main+0x1a < run+0x2f ..." as far as the dynamic linker knows names; empty: none was captured.
[[nodiscard]] std::string stack_text(const Stack& stack);

}  // namespace weir::pool
