#include "session_blob.h"

#include <sys/socket.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>

namespace weir::redis {
namespace {

constexpr std::string_view kMagic = "WEIRMOVE";
constexpr std::string_view kDriver = "redis";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kMostNameBytes = 63;

std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bits
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// ---- writing ------------------------------------------------------------------------------------

template <typename Number>
void put(std::string& bytes, Number number) {
  static_assert(std::is_integral_v<Number>);
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void put_text(std::string& bytes, std::string_view text) {
  put(bytes, static_cast<std::uint16_t>(text.size()));
  bytes += text;
}

// ---- reading ------------------------------------------------------------------------------------

/// Takes fields off the front of foreign bytes; once one is not there, none is any more.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename Number>
  bool take(Number* number) {
    if (rest_.size() < sizeof *number) return false;
    std::memcpy(number, rest_.data(), sizeof *number);
    rest_.remove_prefix(sizeof *number);
    return true;
  }

  bool take_bytes(std::string* bytes, std::size_t most_bytes) {
    std::uint16_t size = 0;
    if (!take(&size) || size > most_bytes || size > rest_.size()) return false;
    *bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  [[nodiscard]] bool is_at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

bool refuse(Failure* failure, std::int32_t code, const std::string& why) {
  return fail(failure, code, "import: " + why);
}

bool take_session(Reader& reader, SessionToken* session) {
  std::string bytes;
  weir_token_t token{};
  if (!reader.take_bytes(&bytes, sizeof token.bytes)) return false;
  std::memcpy(token.bytes, bytes.data(), bytes.size());
  token.size = static_cast<std::uint32_t>(bytes.size());
  const std::optional<SessionToken> read = SessionToken::from_bytes(token);
  if (read) *session = *read;
  return read.has_value();
}

/// Why the fields of `blob` are not those of a description; null if they are.
const char* take_fields(Reader& reader, SessionBlob* blob) {
  if (!reader.take_bytes(&blob->server_identity, sizeof(weir_dsn_info_t::server_identity) - 1) ||
      !reader.take(&blob->fingerprint)) {
    return "the server's identity";
  }
  if (!reader.take(&blob->db) || blob->db < 0) return "the database";
  if (!reader.take(&blob->reset_mode) || blob->reset_mode < WEIR_RESET_TRACKED ||
      blob->reset_mode > WEIR_RESET_TRANSACTION) {
    return "the reset mode";
  }
  std::uint8_t has_reset = 0;
  if (!reader.take(&has_reset) || has_reset > 1) return "the server's abilities";
  blob->has_reset = has_reset == 1;
  if (!take_session(reader, &blob->session) ||
      blob->session.server_identity != blob->server_identity) {
    return "the session's token";
  }
  if (!reader.take_bytes(&blob->peer, sizeof(sockaddr_storage))) return "the server's address";
  return reader.is_at_end() ? nullptr : "the end";
}

}  // namespace

std::string SessionBlob::to_bytes() const {
  std::string bytes(kMagic);
  put_text(bytes, kDriver);
  put(bytes, kVersion);
  const std::size_t size_at = bytes.size();
  put(bytes, std::uint32_t{0});
  put_text(bytes, server_identity);
  put(bytes, fingerprint);
  put(bytes, db);
  put(bytes, reset_mode);
  put(bytes, static_cast<std::uint8_t>(has_reset));
  const weir_token_t token = session.to_bytes();
  put_text(bytes, {reinterpret_cast<const char*>(token.bytes), token.size});
  put_text(bytes, peer);
  const auto size = static_cast<std::uint32_t>(bytes.size() + sizeof(std::uint64_t));
  std::memcpy(bytes.data() + size_at, &size, sizeof size);
  put(bytes, checksum(bytes));
  return bytes;
}

bool SessionBlob::from_bytes(std::string_view bytes, SessionBlob* blob, Failure* failure) {
  if (!bytes.starts_with(kMagic)) {
    return refuse(failure, WEIR_BAD_ARGUMENT, "the blob is not a session's description");
  }
  Reader reader(bytes.substr(kMagic.size()));
  std::string driver;
  std::uint32_t version = 0;
  std::uint32_t size = 0;
  // First whose it is: another driver or version may have laid out the rest otherwise.
  if (!reader.take_bytes(&driver, kMostNameBytes) || !reader.take(&version)) {
    return refuse(failure, WEIR_BAD_ARGUMENT, "the blob ends before it says whose it is");
  }
  if (driver != kDriver) {
    return refuse(failure, WEIR_NOT_SUPPORTED, "the blob is another driver's");
  }
  if (version != kVersion) {
    return refuse(failure, WEIR_NOT_SUPPORTED,
                  "blob version " + std::to_string(version) + " found, " +
                      std::to_string(kVersion) + " expected");
  }
  std::uint64_t sum = 0;
  if (!reader.take(&size) || size != bytes.size() || size < sizeof sum) {
    return refuse(failure, WEIR_BAD_ARGUMENT,
                  "a blob of " + std::to_string(size) + " bytes expected, " +
                      std::to_string(bytes.size()) + " found");
  }
  const std::string_view summed = bytes.substr(0, bytes.size() - sizeof sum);
  std::memcpy(&sum, bytes.data() + summed.size(), sizeof sum);
  if (sum != checksum(summed)) {
    return refuse(failure, WEIR_BAD_ARGUMENT, "the blob's checksum is wrong");
  }
  const std::size_t fields_at =
      kMagic.size() + sizeof(std::uint16_t) + driver.size() + sizeof version + sizeof size;
  if (fields_at > summed.size()) {
    return refuse(failure, WEIR_BAD_ARGUMENT, "the blob has no fields");
  }
  Reader fields(summed.substr(fields_at));
  SessionBlob read;
  if (const char* const wrong = take_fields(fields, &read)) {
    return refuse(failure, WEIR_BAD_ARGUMENT, std::string("the blob is wrong about ") + wrong);
  }
  *blob = std::move(read);
  return true;
}

}  // namespace weir::redis
