// Scripts that mean harm, one of each kind: what becomes of each, that it ends soon and within its
// memory, and that the next script in the same slot finds nothing of it.
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <ostream>
#include <string>

#include "policy/lua_sandbox.h"

namespace weir::policy {
namespace {

using namespace std::chrono_literals;

struct Hostile {
  std::string name;
  std::string source;
  Code expected;
  Code or_else = Code::kOk;  // which of two limits is met first is a matter of the machine
};

void PrintTo(const Hostile& hostile, std::ostream* out) {  // NOLINT(readability-identifier-naming)
  *out << hostile.name;
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

constexpr Code kBudget = Code::kPolicyBudget;
constexpr Code kMemory = Code::kPolicyMemory;
constexpr Code kError = Code::kPolicyRuntime;
constexpr Code kRefused = Code::kBadConfig;
constexpr Code kValue = Code::kOk;

const Hostile kHostile[] = {
    // loops of each form
    {"While", "while true do end", kBudget},
    {"Repeat", "repeat until false", kBudget},
    {"Goto", "::a:: goto a", kBudget},
    {"For", "for i = 1, math.maxinteger do end", kBudget},
    {"ForWithFloats", "for i = 1.0, math.huge do end", kBudget},
    {"ForAtTheEndOfIntegers", "for i = math.maxinteger - 1, math.maxinteger do end return 1",
     kValue},
    {"ForWithStepZero", "for i = 1, 2, 0 do end", kError},
    {"ForWithNan", "for i = 1, 0/0 do end return 1", kValue},
    {"EmptyLoopsInLoops", "for i = 1, 1e9 do for j = 1, 1e9 do for k = 1, 1e9 do end end end",
     kBudget},
    {"Iterator", "for x in function() return 1 end do end", kBudget},
    {"IteratorThatIsNext", "local t = {} for i = 1, 9 do t[i] = i end while next(t) do end",
     kBudget},
    {"TailCall", "local function f() return f() end f()", kBudget},
    {"MutualTailCalls",
     "local a, b a = function() return b() end b = function() return a() end a()", kBudget},
    // who swallows errors
    {"Pcall", "while true do pcall(function() while true do end end) end", kBudget},
    {"PcallOfPcall", "local function f() while true do pcall(pcall, f) end end f()", kBudget},
    {"PcallInRecursion", "local function f() pcall(f) f() end f()", kBudget, kMemory},
    {"PcallOfErrors", "while true do pcall(error, 'x') end", kBudget},
    {"Xpcall", "while true do xpcall(function() while true do end end, function() end) end",
     kBudget},
    {"XpcallWithALoopAsHandler",
     "xpcall(error, function() while true do end end) while true do end", kBudget},
    {"XpcallWithAHandlerThatFails",
     "local function h() error('again') end while true do xpcall(error, h, 'x') end", kBudget},
    {"XpcallWithAHandlerThatCallsItself",
     "local function h(e) return xpcall(error, h, e) end return xpcall(error, h, 1)", kValue},
    {"MemoryThatPcallCatches",
     "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end", kMemory},
    {"CloseThatLoops",
     "local mt = {__close = function() while true do end end}\n"
     "local x <close> = setmetatable({}, mt) while true do end",
     kBudget},
    {"ManyCloses",
     "local mt = {__close = function() while true do end end}\n"
     "local function f() local x <close> = setmetatable({}, mt) f() end f()",
     kMemory},
    {"CloseOfAnIterator",
     "local c = setmetatable({}, {__close = function() while true do end end})\n"
     "while true do pcall(function() for i in function() return 1 end, nil, nil, c do error() end "
     "end) end",
     kBudget},
    {"CloseThatFails",
     "local mt = {__close = function() error('x') end}\n"
     "while true do pcall(function() local x <close> = setmetatable({}, mt) end) end",
     kBudget},
    {"SortWithAComparatorThatLoops", "table.sort({3, 2, 1}, function() while true do end end)",
     kBudget},
    {"SortWithAComparatorThatSwallows",
     "while true do table.sort({3, 2, 1}, function(a, b) pcall(error) return a < b end) end",
     kBudget},
    {"SortWithNoOrder",
     "local t = {} for i = 1, 200 do t[i] = i end table.sort(t, function() return true end) "
     "return 1",
     kValue},
    {"SortOfTheUnsortable", "table.sort({1, 'a', {}})", kError},
    // metamethods
    {"IndexThatLoops",
     "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
     kBudget},
    {"NewindexThatLoops",
     "local t = setmetatable({}, {__newindex = function() while true do end end}) t.x = 1",
     kBudget},
    {"IndexThatCallsItself",
     "local t t = setmetatable({}, {__index = function(_, k) return t[k] end}) return t.x", kError},
    {"IndexInACircle",
     "local a, b = {}, {} setmetatable(a, {__index = b}) setmetatable(b, {__index = a}) return a.x",
     kError},
    {"CallThatLoops", "local t = setmetatable({}, {__call = function() while true do end end}) t()",
     kBudget},
    {"CallChain",
     "local t = setmetatable({}, {}) for i = 1, 300 do t = setmetatable({}, {__call = t}) end t()",
     kError},
    {"EqThatLoops",
     "local mt = {__eq = function() while true do end end}\n"
     "return setmetatable({}, mt) == setmetatable({}, mt)",
     kBudget},
    {"LenThatIsHuge",
     "local t = setmetatable({}, {__len = function() return math.maxinteger end})\n"
     "table.insert(t, 1, 'x') table.remove(t, 1) return #t, table.concat(t)",
     kValue},
    {"ConcatThatLoops",
     "return setmetatable({}, {__concat = function() while true do end end}) .. 'x'", kBudget},
    {"PairsThatLoops",
     "for k in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end",
     kBudget},
    {"TostringThatLoops",
     "return tostring(setmetatable({}, {__tostring = function() while true do end end}))", kBudget},
    {"TostringThatIsNoText",
     "return tostring(setmetatable({}, {__tostring = function() return {} end}))", kError},
    {"FormatOfATostringThatLoops",
     "return string.format('%s', setmetatable({}, {__tostring = function() while true do end "
     "end}))",
     kBudget},
    {"NameThatIsFalse", "return tostring(setmetatable({}, {__name = false})):sub(1, 5)", kValue},
    {"FinalizerThatLoops",
     "setmetatable({}, {__gc = function() while true do end end}) for i = 1, 1e4 do local t = {} "
     "end",
     kError},
    {"FinalizerPutInLater",
     "local mt = {} setmetatable({}, mt) mt.__gc = function() while true do end end\n"
     "for i = 1, 1e4 do local t = {} end return 1",
     kValue},
    {"WeakTables", "return setmetatable({}, {__mode = 'k'})", kError},
    {"ErrorThatLoopsWhenShown",
     "error(setmetatable({}, {__tostring = function() while true do end end}))", kError},
    {"ErrorOfNil", "error()", kError},
    {"ErrorOfATable", "error({})", kError},
    // memory
    {"Rep", "return string.rep('x', 1e9)", kMemory},
    {"RepOfAMethod", "return ('x'):rep(1 << 62)", kMemory},
    {"RepOfNothing", "return #string.rep('', math.maxinteger)", kValue},
    {"RepWithASeparator", "return string.rep('', 1 << 40, 'x')", kMemory},
    {"RepInALoop", "while true do local s = string.rep('x', 200000) end", kBudget},
    {"RepSwallowed", "while true do pcall(string.rep, 'x', 1e9) end", kMemory},
    {"Doubling", "local s = 'x' while true do s = s .. s end", kMemory},
    {"TableWithoutEnd", "local t = {} for i = 1, math.huge do t[i] = i end", kMemory},
    {"TableOfTables", "local t = {} while true do t = {t} end", kMemory},
    {"TableOfStrings", "local t = {} for i = 1, math.huge do t[i] = ('x'):rep(1000) .. i end",
     kMemory},
    {"SparseTable", "local t = {} for i = 1, math.huge do t[i * 1000003] = true end", kMemory},
    {"LivesAtTheLimit",
     "local t = {} for i = 1, 40000 do t[i] = {i} end\n"
     "while true do local x = ('x'):rep(1000) .. #t end",
     kMemory},
    {"Concat",
     "local t = {} for i = 1, 20000 do t[i] = 'xxxxxxxxxxxxxxxxxxxx' end return table.concat(t)",
     kMemory},
    {"ConcatOfARangeWithoutEnd", "return table.concat({}, '', 1, math.maxinteger)", kError},
    {"Unpack", "return table.unpack({}, 1, 1e8)", kError},
    {"UnpackOverflow", "return table.unpack({}, math.mininteger, math.maxinteger)", kError},
    {"Closures",
     "local f = function() end while true do local g = f f = function() return g end end", kMemory},
    {"Char", "return string.char(table.unpack({300}))", kError},
    {"Byte", "local s = ('x'):rep(200000) while true do select('#', s:byte(1, -1)) end", kMemory},
    // depth
    {"Recursion", "local function f() return 1 + f() end f()", kMemory},
    {"RecursionThroughPcall", "local function f() return pcall(f) end return f()", kValue},
    {"RecursionThroughSort", "local function f() table.sort({1, 2}, f) end f()", kError},
    {"RecursionThroughTostring",
     "local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) "
     "return tostring(t)",
     kError},
    {"DeepParentheses", "return " + repeated("(", 5000) + "1" + repeated(")", 5000), kRefused},
    {"DeepTables", "return " + repeated("{", 5000) + repeated("}", 5000), kRefused},
    {"DeepFunctions", repeated("return function() ", 500) + repeated("end ", 500), kRefused},
    {"DeepBlocks", repeated("do ", 5000) + repeated("end ", 5000), kRefused},
    {"DeepConcat", "local a = '' return " + repeated("a .. ", 5000) + "a", kRefused},
    {"DeepMinus", "return " + repeated("- ", 5000) + "1", kRefused},
    {"ManyLocals", repeated("local a ", 300), kRefused},
    {"ManyOrs", "local a return " + repeated("a or ", 12000) + "a", kValue},
    {"ManyGotos", repeated("goto a ", 4000) + repeated("do ::b:: end ", 2000) + "::a::", kValue},
    {"LongestText", "return '" + std::string(70'000, 'x') + "'", kRefused},
    {"ManyConstants",
     [] {
       std::string all = "return {";
       for (int i = 0; i < 8'000; ++i) all += std::to_string(i) + ".5,";
       return all + "}";
     }(),
     kValue},
    // tampering
    {"Global", "x = 1", kError},
    {"GlobalOfOurs", "pcall = nil", kError},
    {"GlobalThroughG", "_G.x = 1", kError},
    {"GlobalThroughMetatable", "setmetatable(_G, {})", kError},
    {"LibraryFunction", "string.rep = nil", kError},
    {"LibraryThroughMetatable", "setmetatable(math, {__index = {}})", kError},
    {"StringMethod", "('').rep = nil", kError},
    {"MetatableOfStrings", "getmetatable('').__index = {}", kError},
    {"MetatableOfAString", "setmetatable('', {})", kError},
    {"ItsEnvironment", "_ENV = {} return 1", kValue},
    {"ItsEnvironmentForAll", "local _ENV <const> = {} return 1", kValue},
    {"Rawset", "rawset(_G, 'x', 1)", kError},
    // what is not there
    {"Io", "io.open('/etc/passwd')", kError},
    {"Os", "os.execute('true')", kError},
    {"Debug", "debug.sethook()", kError},
    {"Package", "package.loadlib('x', 'y')", kError},
    {"Require", "require('os')", kError},
    {"Load", "load('return 1')", kError},
    {"Dofile", "dofile('/etc/passwd')", kError},
    {"Coroutine", "coroutine.wrap(function() end)()", kError},
    {"Collectgarbage", "collectgarbage('stop')", kError},
    {"Print", "print('x')", kError},
    {"Patterns", "return ('a'):rep(50):find(('a?'):rep(50) .. ('a'):rep(50))", kError},
    {"Random", "return math.random()", kError},
    {"Dump", "return string.dump(function() end)", kError},
    {"TableMove", "table.move({}, 1, math.maxinteger, 2)", kError},
    // no text
    {"Bytecode", "\x1bLua" + std::string(60, '\0'), kRefused},
    {"Zeros", std::string(100, '\0'), kRefused},
    {"NoLua", "SELECT 1", kRefused},
    {"Unfinished", "return function(", kRefused},
    // numbers and formats
    {"Format", "return string.format('%99999d', 1)", kError},
    {"FormatWithoutEnd", "return string.format(('%s'):rep(1000))", kError},
    {"FormatOfAPrecision", "return #string.format('%99.99f', 1e308)", kValue},
    {"DivisionByZero", "return 1 // 0", kError},
    {"SmallestByMinusOne", "return math.mininteger // -1, math.mininteger % -1", kValue},
    {"Shift", "return 1 << 64, 1 >> -1, 1 << math.mininteger", kValue},
};

// By how much at worst, each allocation watched.
#if defined(__SANITIZE_THREAD__)
constexpr std::clock_t kSlower = 10;
#else
constexpr std::clock_t kSlower = 1;
#endif

class HostileScript : public testing::TestWithParam<Hostile> {};

TEST_P(HostileScript, EndsSoonAndLeavesTheSlotAsItWas) {
  // More time than usual, so that on a busy machine, too, the other limits are met first.
  LuaSandbox sandbox({.time = 1s * kSlower});
  const std::clock_t began = std::clock();
  Status status = sandbox.compile(GetParam().source, "hostile.lua");
  if (status.ok()) status = sandbox.run();
  const std::clock_t took = std::clock() - began;
  const bool other = GetParam().or_else != Code::kOk && status.code() == GetParam().or_else;
  EXPECT_TRUE(other || status.code() == GetParam().expected)
      << code_name(status.code()) << ": " << status.message();
  EXPECT_EQ(status.ok(), status.message().empty());
  EXPECT_LE(sandbox.peak_bytes(), LuaLimits().memory_bytes);
  EXPECT_LT(took, 2 * kSlower * CLOCKS_PER_SEC) << "of this process";

  sandbox.begin_turn();
  ASSERT_TRUE(sandbox
                  .compile("local t = {3, 1, 2} table.sort(t)\n"
                           "return table.concat(t) .. ('x'):rep(2), x, pcall(error, 'e')",
                           "next.lua")
                  .ok());
  status = sandbox.run();
  ASSERT_TRUE(status.ok()) << status.message();
  const std::vector<LuaValue> values = sandbox.results();
  ASSERT_EQ(values.size(), 4u);
  EXPECT_EQ(values[0].shown(), "\"123xx\"");
  EXPECT_TRUE(values[1].is_nil());
  EXPECT_EQ(values[2].shown(), "false");
  EXPECT_EQ(values[3].shown(), "\"e\"");
}

TEST(AScriptOfFewButSlowInstructions, IsEndedByTheClock) {
  LuaSandbox sandbox;
  // Each call copies all the arguments of the one before.
  ASSERT_TRUE(sandbox.compile("local function f(...) return f(1, ...) end f()", "slow.lua").ok());
  const Status status = sandbox.run();
  EXPECT_EQ(status.code(), Code::kPolicyBudget);
  EXPECT_EQ(status.message(), "longer than 50 ms, which is what one turn may take");
  EXPECT_LT(sandbox.instructions(), LuaLimits().instructions);
}

TEST(AScript, IsLeftAgainAndAgainForOtherThingsWhoseTimeIsNotItsOwn) {
  std::uint64_t times = 0;
  LuaSandbox sandbox({.time = 50ms}, [&times] {
    ++times;
    const timespec pause{0, 1'000'000};
    nanosleep(&pause, nullptr);
  });
  ASSERT_TRUE(sandbox.compile("for i = 1, 10000 do end return 'done'", "long.lua").ok());
  sandbox.begin_turn();
  const Status status = sandbox.run();
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_GE(times, sandbox.instructions() / 200);
  EXPECT_GE(times, 90u) << "for a millisecond each: the script had 50";
}

TEST(AScript, IsLeftForOtherThingsAtEachLongTextThatItMakes) {
  constexpr unsigned kTexts = 100;
  unsigned times = 0;
  LuaSandbox sandbox({.time = 10s}, [&times] { ++times; });
  ASSERT_TRUE(sandbox
                  .compile("for i = 1, " + std::to_string(kTexts) +
                               " do local s = string.rep('x', 200000) end",
                           "texts.lua")
                  .ok());
  sandbox.begin_turn();
  times = 0;
  ASSERT_TRUE(sandbox.run().ok());
  EXPECT_GE(times, kTexts);
}

TEST(AScript, RepeatsTextsAsOneByOneDoes) {
  const std::string source =
      "for times = -1, 70 do\n"
      "  for _, text in ipairs({ '', 'x', 'some' }) do\n"
      "    for _, separator in ipairs({ '', '-', ', and ' }) do\n"
      "      local expected = ''\n"
      "      for i = 1, times do\n"
      "        expected = expected .. text .. (i < times and separator or '')\n"
      "      end\n"
      "      local found = string.rep(text, times, separator)\n"
      "      if found ~= expected then error(found .. '|' .. expected) end\n"
      "    end\n"
      "  end\n"
      "end\n"
      "return string.rep('ab', 3, '-')";
  LuaSandbox sandbox({.time = 10s});
  ASSERT_TRUE(sandbox.compile(source, "rep.lua").ok());
  const Status status = sandbox.run();
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(*sandbox.results().at(0).text(), "ab-ab-ab");
}

INSTANTIATE_TEST_SUITE_P(OfAnyKind, HostileScript, testing::ValuesIn(kHostile),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace weir::policy
