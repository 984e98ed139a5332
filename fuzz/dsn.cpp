// Any text as a connection string of the postgres driver: refused, or understood; what is for
// people holds no password, and a password makes no other fingerprint.
#include "dsn.h"

#include <string>

#include "input.h"

namespace {

using weir::postgres::Dsn;
using weir::postgres::Failure;

constexpr const char* kSecret = "hunter2-correct-horse";

/// The value of a keyword that the string itself gives; empty if none.
std::string given(const Dsn& dsn, const std::string& keyword) {
  for (const auto& [name, value] : dsn.given()) {
    if (name == keyword) return value;
  }
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  using weir::fuzz::require;
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
  Dsn again;
  require(Dsn::parse(text.c_str(), &again, &failure), "the same text is understood twice");
  require(again.fingerprint() == dsn.fingerprint() && again.display() == dsn.display(),
          "the same text says the same", dsn.display());

  // With a password of ours at the end of a keyword string, where the last one counts.
  const bool is_uri = text.starts_with("postgres://") || text.starts_with("postgresql://");
  if (is_uri || !given(dsn, "service").empty()) return 0;
  const std::string secret = text + " password=" + kSecret;
  Dsn with_password;
  if (!Dsn::parse(secret.c_str(), &with_password, &failure)) return 0;
  if (given(with_password, "password") != kSecret) return 0;  // it became part of a value
  require(with_password.display().find(kSecret) == std::string::npos, "a password is not shown",
          with_password.display());
  require(with_password.fingerprint() == dsn.fingerprint(), "a password makes no difference",
          dsn.display());
  return 0;
}
