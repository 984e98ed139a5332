// `weir conformance`: hands over to weir-conformance, a program of its own, since it is a suite of
// tests and comes with what a driver's author installs.
#pragma once

#include "cli/screen.h"

namespace weir::cli {

/// Becomes that program, with the arguments behind `conformance`; argv ends with a null. Returns
/// only if there is none, and has said so on stderr.
[[nodiscard]] ExitCode run_conformance(char** arguments);

}  // namespace weir::cli
