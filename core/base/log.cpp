#include "base/log.h"

#include <algorithm>

#include "base/text.h"

namespace weir {
namespace {

constexpr std::uint64_t kNanosPerSecond = 1'000'000'000;

// FNV-1a: short, and the same in every run, so that a test's event names never collide by chance.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  return hash;
}

bool needs_quotes(std::string_view text) {
  return text.empty() || std::any_of(text.begin(), text.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte <= ' ' || byte == 0x7F || c == '"' || c == '\\' || c == '=';
         });
}

void append_text(std::string& line, std::string_view text) {
  if (!needs_quotes(text)) {
    line += text;
    return;
  }
  line += '"';
  for (const char c : text) append_escaped(line, c);
  line += '"';
}

void append_field(std::string& line, const LogField& field) {
  line += ' ';
  line += field.key;
  line += '=';
  if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
    line += std::to_string(*number);
  } else {
    append_text(line, std::get<std::string_view>(field.value));
  }
}

}  // namespace

void Log::write(LogLevel level, std::string_view event, Fields fields) {
  if (sink_ == nullptr || level < least_) return;

  // 1. May this name have another line in this second? Two threads that both see a new second may
  //    let a few lines too many through, never too few.
  Cell& cell = cells_[hash_of(event) % cells_.size()];
  const std::uint64_t second = clock_->now_ns() / kNanosPerSecond;
  std::uint64_t seen = cell.second.load(std::memory_order_relaxed);
  if (seen != second &&
      cell.second.compare_exchange_strong(seen, second, std::memory_order_relaxed)) {
    cell.lines.store(0, std::memory_order_relaxed);
  }
  if (cell.lines.fetch_add(1, std::memory_order_relaxed) >= kBurst) {
    cell.suppressed.fetch_add(1, std::memory_order_relaxed);
    return;
  }

  // 2. Write it, with what was held back before it.
  std::string line = "event=";
  append_text(line, event);
  for (const LogField& field : fields) append_field(line, field);
  if (const std::uint32_t held_back = cell.suppressed.exchange(0, std::memory_order_relaxed);
      held_back > 0) {
    append_field(line, LogField("suppressed", held_back));
  }
  sink_(context_, static_cast<std::int32_t>(level), line.c_str());
}

}  // namespace weir
