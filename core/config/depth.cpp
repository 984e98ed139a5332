#include "config/depth.h"

namespace weir::config {
namespace {

/// Goes through a text token by token, as far as nesting is concerned.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<unsigned> run() {
    while (at_ < text_.size()) {
      step(text_[at_]);
      if (dots_ >= kMostKeyParts || open_ > kMostOpenBrackets) return line_;
    }
    return std::nullopt;
  }

 private:
  void step(char c) {
    switch (c) {
      case '"':
      case '\'':
        skip_string(c);
        return;
      case '#':
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
        return;
      case '.':
        ++dots_;
        break;
      case '[':
      case '{':
        ++open_;
        dots_ = 0;
        break;
      case ']':
      case '}':
        if (open_ > 0) --open_;
        break;
      case '=':
      case ',':
        dots_ = 0;
        break;
      case '\n':
        ++line_;
        dots_ = 0;
        break;
      default:
        break;
    }
    ++at_;
  }

  void skip_string(char quote) {
    const bool is_long = quotes_at(at_, quote) >= 3;
    const std::size_t fence = is_long ? 3 : 1;
    at_ += fence;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') {
        if (!is_long) return;  // never closed: not TOML, and the parser will stop here
        ++line_;
      }
      if (c == '\\' && quote == '"' && at_ + 1 < text_.size()) {
        if (text_[at_ + 1] == '\n') ++line_;
        at_ += 2;
        continue;
      }
      if (const std::size_t quotes = quotes_at(at_, quote); quotes >= fence) {
        // A long string may end with one or two quotes of its own before the closing three.
        at_ += is_long && quotes > 3 ? (quotes < 5 ? quotes : 5) : fence;
        return;
      }
      ++at_;
    }
  }

  [[nodiscard]] std::size_t quotes_at(std::size_t at, char quote) const {
    std::size_t count = 0;
    while (at + count < text_.size() && text_[at + count] == quote) ++count;
    return count;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  unsigned line_ = 1;
  unsigned dots_ = 0;  // in the key that is being read
  unsigned open_ = 0;  // brackets
};

}  // namespace

std::optional<unsigned> line_nested_too_deep(std::string_view text) { return Scanner(text).run(); }

}  // namespace weir::config
