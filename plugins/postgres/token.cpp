#include "token.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>

namespace weir::postgres {
namespace {

constexpr std::uint8_t kVersion = 2;

// Only where the wire bytes lie; SessionToken is what the rest of the driver sees.
struct Header {
  char magic[2];
  std::uint8_t version;
  std::uint8_t has_key;
  std::int32_t pid;
  std::uint32_t key;
  std::uint16_t address_size;
};
constexpr std::size_t kConnectedAt = offsetof(Header, address_size) + sizeof(Header::address_size);
constexpr std::size_t kHeaderBytes = kConnectedAt + sizeof(SessionToken::connected_ns);
static_assert(kHeaderBytes == 22);
static_assert(kHeaderBytes + sizeof(sockaddr_un) <= WEIR_TOKEN_MAX);

bool is_known_address(const ServerAddress& address) {
  switch (address.storage.ss_family) {
    case AF_UNIX:
      return address.size > offsetof(sockaddr_un, sun_path) && address.size <= sizeof(sockaddr_un);
    case AF_INET:
      return address.size == sizeof(sockaddr_in);
    case AF_INET6:
      return address.size == sizeof(sockaddr_in6);
    default:
      return false;
  }
}

/// The socket's path as libpq builds it. Not getpeername's: that is the path in the server's view
/// of the file system, which may be another container's.
std::optional<ServerAddress> unix_address(const PGconn* conn) {
  const std::string path = std::string(PQhost(conn)) + "/.s.PGSQL." + PQport(conn);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  ServerAddress found;
  found.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (address.sun_path[0] == '@') {
    address.sun_path[0] = '\0';  // Linux's abstract names, which have no zero at their end
  } else {
    ++found.size;
  }
  std::memcpy(&found.storage, &address, sizeof address);
  return found;
}

}  // namespace

bool ServerAddress::operator==(const ServerAddress& other) const {
  return size == other.size && std::memcmp(&storage, &other.storage, size) == 0;
}

std::optional<ServerAddress> server_address(const PGconn* conn) {
  ServerAddress peer;
  peer.size = sizeof peer.storage;
  auto* const raw = reinterpret_cast<sockaddr*>(&peer.storage);
  if (getpeername(PQsocket(conn), raw, &peer.size) != 0) return std::nullopt;
  if (peer.storage.ss_family == AF_UNIX) return unix_address(conn);
  if (!is_known_address(peer)) return std::nullopt;
  return peer;
}

weir_token_t SessionToken::to_bytes() const {
  const Header header{{'P', 'G'},
                      kVersion,
                      static_cast<std::uint8_t>(cancel_key.has_value()),
                      pid,
                      cancel_key.value_or(0),
                      static_cast<std::uint16_t>(address.size)};
  weir_token_t token{};
  std::memcpy(token.bytes, &header, kConnectedAt);
  std::memcpy(token.bytes + kConnectedAt, &connected_ns, sizeof connected_ns);
  std::memcpy(token.bytes + kHeaderBytes, &address.storage, address.size);
  token.size = static_cast<std::uint32_t>(kHeaderBytes + address.size);
  return token;
}

std::optional<SessionToken> SessionToken::from_bytes(const weir_token_t& bytes) {
  if (bytes.size < kHeaderBytes || bytes.size > WEIR_TOKEN_MAX) return std::nullopt;
  Header header{};
  std::memcpy(&header, bytes.bytes, kConnectedAt);
  if (header.magic[0] != 'P' || header.magic[1] != 'G' || header.version != kVersion ||
      header.has_key > 1 || header.pid == 0 || bytes.size != kHeaderBytes + header.address_size) {
    return std::nullopt;
  }
  SessionToken token;
  token.pid = header.pid;
  if (header.has_key == 1) token.cancel_key = header.key;
  std::memcpy(&token.connected_ns, bytes.bytes + kConnectedAt, sizeof token.connected_ns);
  token.address.size = header.address_size;
  if (token.address.size > sizeof token.address.storage) return std::nullopt;
  std::memcpy(&token.address.storage, bytes.bytes + kHeaderBytes, token.address.size);
  if (!is_known_address(token.address)) return std::nullopt;
  return token;
}

}  // namespace weir::postgres
