// Any text as a URL of the redis driver: refused by name, or understood; what is for people holds
// no password, says the same when it is read again, and a password makes no other fingerprint.
#include <string>

#include "input.h"
#include "plugins/redis/dsn.h"

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  using weir::fuzz::require;
  using weir::redis::Dsn;
  using weir::redis::Failure;
  constexpr const char* kSecret = "hunter2-correct-horse";

  const std::string text(reinterpret_cast<const char*>(data), size);
  if (text.find('\0') != std::string::npos) return 0;     // a C string ends there
  if (text.find(kSecret) != std::string::npos) return 0;  // it is told to whoever knows it
  Dsn dsn;
  Failure failure;
  if (!Dsn::parse(text.c_str(), &dsn, &failure)) {
    weir_error_t error = WEIR_ERROR_INIT;
    report(failure, &error);
    require(error.code == WEIR_BAD_CONFIG && error.message[0] != 0, "a refusal says why",
            error.message);
    return 0;
  }
  require(dsn.is_unix() || (!dsn.host().empty() && dsn.port() > 0), "it leads somewhere", text);
  require(dsn.server_identity().size() < sizeof(weir_dsn_info_t::server_identity),
          "the identity has room", dsn.server_identity());

  // What is shown is a URL itself, of the same sessions.
  Dsn again;
  require(Dsn::parse(dsn.display().c_str(), &again, &failure), "what is shown is understood",
          dsn.display());
  require(!again.password().has_value(), "what is shown has no password", dsn.display());
  require(again.display() == dsn.display() && again.fingerprint() == dsn.fingerprint() &&
              again.db() == dsn.db() && again.user() == dsn.user(),
          "what is shown says the same", dsn.display());

  // With a password of ours, where there is none.
  if (dsn.password().has_value()) return 0;
  const bool has_query = text.find('?') != std::string::npos;
  const std::string secret = text + (has_query ? "&" : "?") + "password=" + kSecret;
  Dsn with_password;
  require(Dsn::parse(secret.c_str(), &with_password, &failure), "a password may be added", text);
  require(with_password.password() == kSecret, "it is the password", text);
  require(with_password.display() == dsn.display(), "a password is not shown",
          with_password.display());
  require(with_password.fingerprint() == dsn.fingerprint(), "a password makes no difference", text);
  return 0;
}
