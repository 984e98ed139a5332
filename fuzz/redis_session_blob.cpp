// Any bytes as the description of a session that another process sends to the redis driver, and as
// the token in it: refused by name, or understood and written again byte by byte. The checksum is
// put right first: it is against damage, and whoever wants to can put it right himself.
#include <algorithm>
#include <cstring>
#include <string>

#include "input.h"
#include "plugins/redis/session_blob.h"

namespace {

using weir::fuzz::require;
using weir::redis::Failure;
using weir::redis::SessionBlob;
using weir::redis::SessionToken;

std::uint64_t fnv1a(const std::string& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

void put(std::string& bytes, std::size_t at, const void* number, std::size_t size) {
  bytes.replace(at, size, static_cast<const char*>(number), size);
}

void read_as_token(const std::string& bytes) {
  weir_token_t token{};
  token.size = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(token.bytes, bytes.data(), std::min(bytes.size(), sizeof token.bytes));
  const auto read = SessionToken::from_bytes(token);
  if (!read) return;
  const weir_token_t written = read->to_bytes();
  require(written.size == token.size && std::memcmp(written.bytes, token.bytes, token.size) == 0,
          "a token that is understood is written the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(  // NOLINT(readability-identifier-naming): libFuzzer's name
    const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  read_as_token(bytes);
  constexpr std::size_t kSizeAt = 8 + 2 + 5 + 4;  // magic, driver, version
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
  require(blob.session.client_id > 0 && blob.db >= 0, "a session has a number and a database");
  require(blob.session.server_identity == blob.server_identity, "they speak of one server");
  require(blob.to_bytes() == bytes, "what is understood is written the same");
  return 0;
}
