#include "token.h"

#include <algorithm>
#include <cstring>

namespace weir::redis {
namespace {

constexpr std::uint8_t kVersion = 1;

// Only where the bytes lie; SessionToken is what the rest of the driver sees.
constexpr std::size_t kRunIdAt = 4;
constexpr std::size_t kClientAt = kRunIdAt + kRunIdBytes;
constexpr std::size_t kConnectedAt = kClientAt + sizeof(std::int64_t);
constexpr std::size_t kSizeAt = kConnectedAt + sizeof(std::uint64_t);
constexpr std::size_t kIdentityAt = kSizeAt + sizeof(std::uint16_t);
static_assert(kIdentityAt == 62);
static_assert(kIdentityAt + sizeof(weir_dsn_info_t::server_identity) - 1 <= WEIR_TOKEN_MAX);

}  // namespace

weir_token_t SessionToken::to_bytes() const {
  weir_token_t token{};
  token.bytes[0] = 'R';
  token.bytes[1] = 'D';
  token.bytes[2] = kVersion;
  std::memcpy(token.bytes + kRunIdAt, run_id.data(), std::min(run_id.size(), kRunIdBytes));
  std::memcpy(token.bytes + kClientAt, &client_id, sizeof client_id);
  std::memcpy(token.bytes + kConnectedAt, &connected_ns, sizeof connected_ns);
  const auto size =
      static_cast<std::uint16_t>(std::min(server_identity.size(), WEIR_TOKEN_MAX - kIdentityAt));
  std::memcpy(token.bytes + kSizeAt, &size, sizeof size);
  std::memcpy(token.bytes + kIdentityAt, server_identity.data(), size);
  token.size = static_cast<std::uint32_t>(kIdentityAt + size);
  return token;
}

std::optional<SessionToken> SessionToken::from_bytes(const weir_token_t& bytes) {
  if (bytes.size <= kIdentityAt || bytes.size > WEIR_TOKEN_MAX) return std::nullopt;
  if (bytes.bytes[0] != 'R' || bytes.bytes[1] != 'D' || bytes.bytes[2] != kVersion ||
      bytes.bytes[3] != 0) {
    return std::nullopt;
  }
  SessionToken token;
  token.run_id.assign(reinterpret_cast<const char*>(bytes.bytes + kRunIdAt), kRunIdBytes);
  std::memcpy(&token.client_id, bytes.bytes + kClientAt, sizeof token.client_id);
  std::memcpy(&token.connected_ns, bytes.bytes + kConnectedAt, sizeof token.connected_ns);
  std::uint16_t size = 0;
  std::memcpy(&size, bytes.bytes + kSizeAt, sizeof size);
  const bool is_run_id = std::all_of(token.run_id.begin(), token.run_id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (bytes.size != kIdentityAt + size || !is_run_id || token.client_id <= 0) return std::nullopt;
  token.server_identity.assign(reinterpret_cast<const char*>(bytes.bytes + kIdentityAt), size);
  const bool is_text = std::all_of(token.server_identity.begin(), token.server_identity.end(),
                                   [](unsigned char c) { return c >= ' '; });
  return is_text ? std::optional(token) : std::nullopt;
}

}  // namespace weir::redis
