// Any bytes as the description of a session that another process sends to the postgres driver:
// refused by name, or understood and written again byte by byte. The checksum is put right first:
// it is against damage, and whoever wants to can put it right himself.
#include "session_blob.h"

#include <string>

#include "input.h"

namespace {

using weir::postgres::Failure;
using weir::postgres::SessionBlob;

std::uint64_t fnv1a(const std::string& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

void put(std::string& bytes, std::size_t at, const void* number, std::size_t size) {
  bytes.replace(at, size, static_cast<const char*>(number), size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  using weir::fuzz::require;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  constexpr std::size_t kSizeAt = 8 + 2 + 8 + 4;  // magic, driver, version
  if (bytes.size() >= kSizeAt + 4 + 8) {
    const auto whole = static_cast<std::uint32_t>(bytes.size());
    put(bytes, kSizeAt, &whole, sizeof whole);
    const std::uint64_t sum = fnv1a(bytes.substr(0, bytes.size() - 8));
    put(bytes, bytes.size() - 8, &sum, sizeof sum);
  }

  SessionBlob blob;
  Failure failure;
  if (!SessionBlob::from_bytes(bytes, &blob, &failure)) {
    weir_error_t error = WEIR_ERROR_INIT;
    report(failure, &error);
    require(error.code != WEIR_OK && error.message[0] != 0, "a refusal says why", error.message);
    return 0;
  }
  require(blob.session.pid != 0 && blob.session.cancel_key.has_value(), "a session has its key");
  require(blob.parameter("server_version") != nullptr, "a server has its version");
  require(blob.to_bytes() == bytes, "what is understood is written the same");
  return 0;
}
