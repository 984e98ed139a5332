// Ctrl-C: a wish to end early that a program looks at between two steps, so that everything is
// undone on the way out. Threads: any. Fork: children inherit it; who ends them is their parent.
#pragma once

namespace weir::test {

/// From now on SIGINT and SIGTERM only leave a note.
void note_interrupts();
/// Whether one was noted.
[[nodiscard]] bool is_interrupted();

}  // namespace weir::test
