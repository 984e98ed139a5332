// Source: where a value of the configuration comes from, for messages and `weir config show`.
// Threads: plain values.
#pragma once

#include <string>
#include <utility>

namespace weir::config {

struct Source {
  enum class Kind {
    kDefault,      // nobody said anything
    kPreset,       // name: the preset's
    kFile,         // name: the file's, and the line
    kAlias,        // name: the variables that people already have, "DB_POOL_SIZE"
    kEnvironment,  // name: the variable, "WEIR_POOL_MAIN_MAX"
  };

  Kind kind = Kind::kDefault;
  std::string name{};
  unsigned line = 0;  // from 1; kFile only

  /// "default", "preset small", "weir.toml:12", "DB_POOL_SIZE", "WEIR_POOL_MAIN_MAX".
  [[nodiscard]] std::string text() const;
};

[[nodiscard]] inline Source in_file(std::string file, unsigned line) {
  return {Source::Kind::kFile, std::move(file), line};
}

/// The kind's stable lower-case name: "default", "preset", "file", "alias", "environment".
[[nodiscard]] const char* kind_name(Source::Kind kind);

}  // namespace weir::config
