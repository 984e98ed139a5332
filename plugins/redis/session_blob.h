// SessionBlob: a session as one process describes it to another. hiredis keeps nothing of a
// handshake, so there is little to say: which session it is, of which DSN, and that it is clean.
// No password is in it.
//
// As bytes it comes from another process, so reading it back trusts nothing: lengths, ranges and
// texts are checked, a checksum tells damage, and whatever is not exactly a description of this
// version is refused by name. Layout, in the machine's byte order:
//   0 "WEIRMOVE"  8 length and text of the driver's name  version (4)  size of all (4)
//   the fields of SessionBlob in their order, texts with their length (2) before them
//   last: FNV-1a of all before it (8)
// Threads: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "failure.h"
#include "token.h"

namespace weir::redis {

struct SessionBlob {
  std::string server_identity;  // of the DSN that it was made with, and:
  std::uint64_t fingerprint = 0;
  std::int32_t db = 0;
  std::int32_t reset_mode = 0;  // enum weir_reset_mode: what counts as clean
  bool has_reset = false;       // the server knows RESET
  SessionToken session;
  std::string peer;  // the socket's other end, as getpeername(2) says; empty for a Unix socket

  [[nodiscard]] bool operator==(const SessionBlob& other) const = default;
  [[nodiscard]] std::string to_bytes() const;
  /// False: *failure names what is wrong, WEIR_NOT_SUPPORTED for another driver or version, else
  /// WEIR_BAD_ARGUMENT.
  static bool from_bytes(std::string_view bytes, SessionBlob* blob, Failure* failure);
};

}  // namespace weir::redis
