// Dsn: a connection string as libpq understands it (URI or keyword/value; empty means libpq's
// defaults), checked, and what the host may know of it.
//
// What the string does not say comes from the environment and the service file, as libpq resolves
// them: at parse for identity and fingerprint, and again at each connect.
// Threads: constant after parse.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "failure.h"

namespace weir::postgres {

/// libpq's connection options: keyword and value, in libpq's order, only those that have a value.
using Options = std::vector<std::pair<std::string, std::string>>;

/// What a server must be for a session that may write (target_session_attrs).
enum class Writable {
  kNotAsked,
  kReadWrite,  // "read-write": a session there can write as it begins
  kPrimary,    // "primary": it is not in recovery
};

class Dsn {
 public:
  /// On failure false, and *failure (WEIR_BAD_CONFIG) names the part that is wrong, without
  /// secrets. No network; may read the service and password files.
  static bool parse(const char* text, Dsn* dsn, Failure* failure);

  /// What the string itself says.
  [[nodiscard]] const Options& given() const { return given_; }
  /// The value of an option after environment, service file and defaults; empty if there is none.
  [[nodiscard]] std::string effective(const std::string& keyword) const;

  /// Whether the string asks for a server that can be written to.
  [[nodiscard]] Writable writable() const { return writable_; }

  /// For people: where and as whom, without anything that could be secret.
  [[nodiscard]] const std::string& display() const { return display_; }
  /// Equal for equal servers: "postgres:" and each host with its port, sorted.
  [[nodiscard]] const std::string& server_identity() const { return identity_; }
  /// Of all effective options apart from secrets and from what does not change a session.
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }

 private:
  Options given_;
  Options effective_;
  std::string display_;
  std::string identity_;
  std::uint64_t fingerprint_ = 0;
  Writable writable_ = Writable::kNotAsked;
};

}  // namespace weir::postgres
