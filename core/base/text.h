// Text as messages show it, and the one rule for names.
// Threads: free functions without state.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir {

/// Whether `name` is [a-z][a-z0-9]*: what pools, quotas and drivers are called.
[[nodiscard]] bool is_name(std::string_view name);

/// Whether `text` looks as if it held a password: a URL with a user part, the word "password".
[[nodiscard]] bool may_hold_password(std::string_view text);

/// `text` in double quotes as a message shows what was found: control characters and quotes
/// escaped, cut after 256 bytes. What looks as if it held a password (a URL with a user part, the
/// word "password") is replaced by a remark that says so: people put a DSN where it does not
/// belong.
[[nodiscard]] std::string show_text(std::string_view text);

/// As much of UTF-8 `text` as fits into `bytes` bytes without cutting a character in two.
[[nodiscard]] std::string_view cut_text(std::string_view text, std::size_t bytes);

/// `text` with A to Z in lower case; all else as it is.
[[nodiscard]] std::string lower_case(std::string_view text);

/// Appends `c` to `out`: control characters, quotes and backslashes as escapes. Control characters
/// without a letter of their own are `hex` and two digits.
void append_escaped(std::string& out, char c, std::string_view hex = "\\x");

}  // namespace weir
