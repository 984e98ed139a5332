// SessionBlob: a session as one process describes it to another: all that libpq learns from a
// handshake, and what the driver itself knows of the session. No password is in it.
//
// As bytes it comes from another process, so reading it back trusts nothing: lengths, ranges and
// texts are checked, a checksum tells damage, and whatever is not exactly a description of this
// version is refused by name. Layout, in the machine's byte order:
//   0 "WEIRMOVE"  8 length and text of the driver's name  version (4)  size of all (4)
//   the fields of SessionBlob in their order, texts with their length (2) before them
//   last: FNV-1a of all before it (8)
// Threads: plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "failure.h"
#include "token.h"

namespace weir::postgres {

/// A parameter that the server reports (manual, "Asynchronous Operations": ParameterStatus).
struct Parameter {
  std::string name;
  std::string value;
};

// More, or longer ones, do not move.
inline constexpr std::size_t kMostParameters = 64;
inline constexpr std::size_t kMostNameBytes = 63;  // NAMEDATALEN - 1
inline constexpr std::size_t kMostValueBytes = 1024;

// Without these libpq would not know how to speak to the server.
inline constexpr std::array<std::string_view, 2> kNeededParameters = {"server_version",
                                                                      "client_encoding"};

struct SessionBlob {
  std::string server_identity;  // of the DSN that it was made with, and:
  std::uint64_t fingerprint = 0;
  std::int32_t reset_mode = 0;  // enum weir_reset_mode: what counts as clean
  std::uint32_t statement_timeout_ms = 0;
  SessionToken session;                 // its cancel key is known
  std::string host;                     // as libpq names it
  std::vector<Parameter> parameters{};  // all that the server reported

  [[nodiscard]] std::string to_bytes() const;
  /// False: *failure names what is wrong, WEIR_NOT_SUPPORTED for another driver or version, else
  /// WEIR_BAD_ARGUMENT.
  static bool from_bytes(std::string_view bytes, SessionBlob* blob, Failure* failure);

  /// The value of a parameter; null if the server did not report it.
  [[nodiscard]] const std::string* parameter(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> parameter_names() const;
};

}  // namespace weir::postgres
