// JSON as the commands print it. Threads: a pure function.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace weir::cli {

/// Indented for people, or on one line where documents follow one another; a newline at the end.
/// Bytes that are not UTF-8 become U+FFFD: labels come from anywhere.
[[nodiscard]] inline std::string json_text(const nlohmann::ordered_json& value, bool on_one_line) {
  return value.dump(on_one_line ? -1 : 2, ' ', false,
                    nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

}  // namespace weir::cli
