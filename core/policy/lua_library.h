// What a script in the sandbox can name: an allow-list, in tables that nothing can change.
//
//   _G _VERSION assert error ipairs next pairs pcall select setmetatable tonumber tostring type
//   xpcall
//   math    abs ceil exp floor fmod huge log max maxinteger min mininteger modf pi sqrt tointeger
//           type ult
//   string  byte char format len lower rep reverse sub upper
//   table   concat insert pack remove sort unpack
//
// Absent on purpose: everything that reaches the host, compiles, or keeps state (io, os, debug,
// package, load, coroutine, collectgarbage, math.random: view.chance is all the chance there is),
// patterns, whose time grows exponentially, and getmetatable and raw access.
// Functions that would loop without an instruction are our own, and count as instructions what they
// do; those of table look at tables alone, not through metamethods.
#pragma once

struct lua_State;

namespace weir::policy {

/// Makes the library the globals of every chunk that is loaded from here on. Raises: call it in an
/// entry.
void install_library(lua_State* lua);

}  // namespace weir::policy
