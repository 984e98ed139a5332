#include "base/text.h"

#include <algorithm>

namespace weir {
namespace {

constexpr std::size_t kMostShown = 256;

bool holds_word(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; };
  return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
}

}  // namespace

bool is_name(std::string_view name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

bool may_hold_password(std::string_view text) {
  const std::size_t scheme = text.find("://");
  const bool has_user_part =
      scheme != std::string_view::npos && text.find('@', scheme) != std::string_view::npos;
  return has_user_part || holds_word(text, "password");
}

std::string_view cut_text(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; };
  while (bytes > 0 && continues(text[bytes])) --bytes;
  return text.substr(0, bytes);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

void append_escaped(std::string& out, char c, std::string_view hex) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\') {
    out += '\\';
    out += c;
  } else if (c == '\n') {
    out += "\\n";
  } else if (c == '\t') {
    out += "\\t";
  } else if (byte < ' ' || byte == 0x7F) {
    out += hex;
    out += kHex[byte >> 4];
    out += kHex[byte & 0xF];
  } else {
    out += c;
  }
}

std::string show_text(std::string_view text) {
  if (may_hold_password(text)) return "a text that may hold a password (not shown)";
  std::string out = "\"";
  for (const char c : cut_text(text, kMostShown)) append_escaped(out, c);
  out += text.size() > kMostShown ? "...\"" : "\"";
  return out;
}

}  // namespace weir
