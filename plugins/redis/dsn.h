// Dsn: where a server is, as whom and in which database, from redis-py's forms of a URL:
//   redis://[user[:password]@]host[:port][/db][?option=value&...]
//   unix://[user[:password]@]/path/to.sock[?db=N&...]
//
// Parts are percent-decoded. What hiredis 0.14 cannot do (TLS, RESP3), what is weir's own business
// (timeouts, checks) and what nobody knows is refused by name. Threads: constant once parsed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "failure.h"

namespace weir::redis {

class Dsn {
 public:
  /// On failure false, and *failure (WEIR_BAD_CONFIG) names the part that is wrong, without
  /// secrets. No network.
  static bool parse(const char* text, Dsn* dsn, Failure* failure);

  [[nodiscard]] bool is_unix() const { return !path_.empty(); }
  [[nodiscard]] const std::string& path() const { return path_; }  // of the socket; absolute
  [[nodiscard]] const std::string& host() const { return host_; }  // a name or a plain address
  [[nodiscard]] int port() const { return port_; }                 // 1 to 65535
  /// For messages: "host:port", or the socket's path.
  [[nodiscard]] std::string where() const;

  [[nodiscard]] const std::string& user() const { return user_; }  // empty: the default user
  [[nodiscard]] const std::optional<std::string>& password() const { return password_; }
  [[nodiscard]] int db() const { return db_; }
  [[nodiscard]] const std::string& client_name() const { return client_name_; }

  /// For people: the same URL, normalised, without a password.
  [[nodiscard]] const std::string& display() const { return display_; }
  /// Equal for equal servers: "redis:" and host:port or the socket's path, its folder's links
  /// resolved.
  [[nodiscard]] const std::string& server_identity() const { return identity_; }
  /// Of everything but the password.
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }

 private:
  friend class DsnParser;

  std::string path_;
  std::string host_;
  int port_ = 6379;
  std::string user_;
  std::optional<std::string> password_;
  int db_ = 0;
  std::string client_name_;
  std::string display_;
  std::string identity_;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace weir::redis
