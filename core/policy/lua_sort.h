// table.sort of the sandbox. Threads: as the sandbox it runs in.
#pragma once

struct lua_State;

namespace weir::policy {

/// table.sort(t [, less]) as Lua's own, not stable, on t alone. Each comparison counts as an
/// instruction: Lua's own would compare millions of strings without any. An order that makes no
/// sense gives some order.
int sort(lua_State* lua);

}  // namespace weir::policy
