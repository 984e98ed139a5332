#include "pool/stack.h"

#include <execinfo.h>

#include <cstdlib>
#include <memory>
#include <vector>

namespace weir::pool {

void capture(Stack& stack) {
  std::array<void*, std::tuple_size_v<Stack> + 1> frames{};
  const int count = backtrace(frames.data(), static_cast<int>(frames.size()));
  for (std::size_t i = 0; i < stack.size(); ++i) {
    const std::size_t from = i + 1;
    stack[i].store(from < static_cast<std::size_t>(count) ? frames[from] : nullptr,
                   std::memory_order_relaxed);
  }
}

std::string stack_text(const Stack& stack) {
  std::vector<void*> frames;
  for (const std::atomic<void*>& frame : stack) {
    void* const address = frame.load(std::memory_order_relaxed);
    if (address == nullptr) break;
    frames.push_back(address);
  }
  if (frames.empty()) return {};
  const std::unique_ptr<char*, decltype(&free)> names(
      backtrace_symbols(frames.data(), static_cast<int>(frames.size())), &free);
  if (!names) return {};
  std::string text;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    text += (i == 0 ? "" : " < ") + std::string(names.get()[i]);
  }
  return text;
}

}  // namespace weir::pool
