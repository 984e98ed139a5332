#include "dsn.h"

#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

namespace weir::redis {
namespace {

constexpr std::string_view kTcpScheme = "redis://";
constexpr std::string_view kUnixScheme = "unix://";
constexpr std::string_view kTlsScheme = "rediss://";

constexpr const char* kKnownOptions = "db, username, password, client_name, protocol";
constexpr const char* kEncoding =
    "in user name, password and option values write '@' as %40, '/' as %2F, ':' as %3A, '?' as "
    "%3F, '#' as %23, '&' as %26 and '%' as %25";

constexpr int kMostDb = 999'999;

/// What redis-py has and weir does itself, for every driver.
struct WeirsOwn {
  std::string_view option;
  std::string_view key;
};
constexpr auto kWeirsOwn = std::to_array<WeirsOwn>({{"socket_timeout", "statement_timeout"},
                                                    {"socket_connect_timeout", "connect_timeout"},
                                                    {"health_check_interval", "keepalive"}});

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// nullopt: a '%' without two hexadecimal digits, or a zero, where C strings end.
std::optional<std::string> decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0 || high * 16 + low == 0) return std::nullopt;
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return plain;
}

std::string encoded(std::string_view plain, std::string_view also_plain) {
  std::string text;
  for (const char c : plain) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                          std::strchr("-._~", c) != nullptr ||
                          also_plain.find(c) != std::string_view::npos;
    if (is_plain) {
      text += c;
    } else {
      char code[4];
      std::snprintf(code, sizeof code, "%%%02X",
                    static_cast<unsigned>(static_cast<unsigned char>(c)));
      text += code;
    }
  }
  return text;
}

std::optional<int> number_in(std::string_view text, int least, int most) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error == std::errc() && end == text.data() + text.size() && !text.empty();
  if (!is_number || number < least || number > most) return std::nullopt;
  return number;
}

bool is_made_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           others.find(c) != std::string_view::npos;
  });
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::uint64_t fnv1a(std::uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}
constexpr std::uint64_t kFnvStart = 0xcbf29ce484222325;  // both: FNV-1a, 64 bits (fnvhash)

/// A socket's path, written in one way, whether the socket is there yet or not.
std::string normalised(const std::string& text) {
  const auto path = std::filesystem::path(text).lexically_normal();
  std::error_code ignored;
  const auto folder = std::filesystem::canonical(path.parent_path(), ignored);
  return folder.empty() ? path.string() : (folder / path.filename()).string();
}

}  // namespace

class DsnParser {
 public:
  DsnParser(Dsn& dsn, Failure* failure) : dsn_(dsn), failure_(failure) {}

  bool parse(std::string_view text) {
    may_hold_secret_ =
        text.find('@') != std::string_view::npos || text.find("password") != std::string_view::npos;
    if (text.starts_with(kTlsScheme)) {
      return refuse(
          "scheme: rediss:// asks for TLS, which hiredis 0.14 cannot do; use redis:// or "
          "unix://, through a tunnel if need be");
    }
    const bool is_unix = text.starts_with(kUnixScheme);
    if (!is_unix && !text.starts_with(kTcpScheme)) {
      return refuse("scheme: expected redis:// or unix://");
    }
    text.remove_prefix(is_unix ? kUnixScheme.size() : kTcpScheme.size());
    if (text.find('#') != std::string_view::npos) {
      return refuse(std::string("found a '#'; ") + kEncoding);
    }
    // A '/' or '?' that was not encoded in a password would end the host part early, and the rest
    // of the password would be taken for a path and be shown.
    const std::size_t end_of_host = std::min(text.find_first_of("/?"), text.size());
    if (text.find('@', end_of_host) != std::string_view::npos) {
      return refuse(std::string("found an '@' after the host part; ") + kEncoding);
    }
    const std::string_view authority = text.substr(0, end_of_host);
    const std::string_view rest = text.substr(end_of_host);
    const std::size_t question = std::min(rest.find('?'), rest.size());
    const std::string_view path = rest.substr(0, question);
    if (!take_authority(authority, is_unix)) return false;
    if (!(is_unix ? take_socket(path) : take_db_path(path))) return false;
    if (question < rest.size() && !take_query(rest.substr(question + 1))) return false;
    describe();
    return true;
  }

 private:
  bool refuse(const std::string& why) { return fail(failure_, WEIR_BAD_CONFIG, "dsn: " + why); }

  bool give(std::string_view part, std::string_view text, std::string* value) {
    const auto plain = decoded(text);
    if (!plain) {
      return refuse(std::string(part) +
                    ": expected two hexadecimal digits other than 00 after '%'"
                    "; '%' itself is %25");
    }
    *value = *plain;
    return true;
  }

  bool take_authority(std::string_view authority, bool is_unix) {
    const std::size_t at = authority.rfind('@');
    std::string_view server = authority;
    if (at != std::string_view::npos) {
      if (!take_user(authority.substr(0, at))) return false;
      server = authority.substr(at + 1);
    }
    if (!is_unix) return take_server(server);
    return server.empty() || refuse("path: expected three slashes, as in unix:///run/redis.sock");
  }

  bool take_user(std::string_view user_info) {
    const std::size_t colon = user_info.find(':');
    if (!give("username", user_info.substr(0, colon), &dsn_.user_)) return false;
    if (!dsn_.user_.empty()) given_.insert("username");
    if (colon == std::string_view::npos) return true;
    given_.insert("password");
    return give("password", user_info.substr(colon + 1), &dsn_.password_.emplace());
  }

  bool take_server(std::string_view server) {
    std::string_view port;
    bool has_port = false;
    if (server.starts_with('[')) {
      const std::size_t end = server.find(']');
      if (end == std::string_view::npos)
        return refuse("host: expected a ']' after the IPv6 address");
      const std::string_view behind = server.substr(end + 1);
      dsn_.host_ = server.substr(1, end - 1);
      if (!behind.empty() && behind[0] != ':')
        return refuse("host: expected ':' and a port after ']'");
      has_port = !behind.empty();
      if (has_port) port = behind.substr(1);
      // Without a ':' it would be shown without brackets, and be read as a name from then on.
      if (dsn_.host_.find(':') == std::string::npos || !is_made_of(dsn_.host_, ":.%_-")) {
        return refuse("host: expected an IPv6 address between '[' and ']'");
      }
    } else {
      const std::size_t colon = server.find(':');
      has_port = colon != std::string_view::npos;
      if (has_port) port = server.substr(colon + 1);
      if (port.find(':') != std::string_view::npos) {
        return refuse("host: an IPv6 address stands in '[' and ']'");
      }
      dsn_.host_ = server.substr(0, colon);
      if (!is_made_of(dsn_.host_, "._-")) return refuse("host: expected a name or an address");
    }
    if (dsn_.host_.empty()) dsn_.host_ = "localhost";
    if (dsn_.host_.size() > kMostHostBytes) return refuse("host: expected at most 200 characters");
    dsn_.host_ = lower_case(dsn_.host_);
    if (!has_port) return true;
    const auto number = number_in(port, 1, 65535);
    if (!number) return refuse("port: expected a number from 1 to 65535");
    dsn_.port_ = *number;
    return true;
  }

  bool take_socket(std::string_view path) {
    if (!give("path", path, &dsn_.path_)) return false;
    if (dsn_.path_.size() < 2)
      return refuse("path: expected a socket's, as in unix:///run/redis.sock");
    constexpr std::size_t kRoom = sizeof(sockaddr_un::sun_path) - 1;
    if (dsn_.path_.size() > kRoom) {
      return refuse("path: a socket's has at most " + std::to_string(kRoom) + " bytes, this one " +
                    std::to_string(dsn_.path_.size()));
    }
    return true;
  }

  bool take_db_path(std::string_view path) {
    if (path.size() < 2) return true;
    given_.insert("db");
    return take_db(path.substr(1));
  }

  bool take_db(std::string_view text) {
    const auto number = number_in(text, 0, kMostDb);
    if (!number) return refuse("db: expected a number from 0 to " + std::to_string(kMostDb));
    dsn_.db_ = *number;
    return true;
  }

  bool take_query(std::string_view query) {
    while (true) {
      const std::size_t end = query.find('&');
      if (!take_option(query.substr(0, end))) return false;
      if (end == std::string_view::npos) return true;
      query.remove_prefix(end + 1);
    }
  }

  bool take_option(std::string_view option) {
    const std::size_t equals = std::min(option.find('='), option.size());
    const std::string_view name = option.substr(0, equals);
    const std::string_view value = option.substr(std::min(equals + 1, option.size()));
    for (const WeirsOwn& own : kWeirsOwn) {
      if (name == own.option) {
        return refuse(std::string(name) + ": stands in weir.toml, where it is called " +
                      std::string(own.key));
      }
    }
    const bool is_known = name == "db" || name == "username" || name == "password" ||
                          name == "client_name" || name == "protocol";
    if (!is_known) return refuse_unknown(name);
    if (equals == option.size()) return refuse(std::string(name) + ": expected '=' and a value");
    if (!given_.emplace(name).second) return refuse(std::string(name) + ": is given a second time");
    if (name == "db") return take_db(value);
    if (name == "username") return give(name, value, &dsn_.user_);
    if (name == "password") return give(name, value, &dsn_.password_.emplace());
    if (name == "client_name") return take_client_name(value);
    return value == "2" || refuse("protocol: expected 2; hiredis 0.14 speaks RESP2 only");
  }

  /// What follows a password may be a piece of it.
  bool refuse_unknown(std::string_view name) {
    const std::string what =
        may_hold_secret_
            ? "an option is unknown (not shown: it may be a piece of a password, where "
              "'&' has to be %26)"
            : "option \"" + shown(name) + "\" is unknown";
    return refuse(what + "; known are " + kKnownOptions);
  }

  bool take_client_name(std::string_view value) {
    if (!give("client_name", value, &dsn_.client_name_)) return false;
    const bool is_good =
        !dsn_.client_name_.empty() &&
        std::all_of(dsn_.client_name_.begin(), dsn_.client_name_.end(),
                    [](char c) { return c > ' ' && c <= '~'; });  // as CLIENT SETNAME takes it
    return is_good || refuse("client_name: expected printable ASCII characters without spaces");
  }

  void describe() {
    const std::string user = dsn_.user_.empty() ? "" : encoded(dsn_.user_, "") + "@";
    std::string query;
    if (dsn_.is_unix()) {
      dsn_.display_ = std::string(kUnixScheme) + user + encoded(dsn_.path_, "/:,+");
      query = "?db=" + std::to_string(dsn_.db_);
    } else {
      dsn_.display_ =
          std::string(kTcpScheme) + user + dsn_.where() + "/" + std::to_string(dsn_.db_);
    }
    if (!dsn_.client_name_.empty()) {
      query +=
          (query.empty() ? "?client_name=" : "&client_name=") + encoded(dsn_.client_name_, "/:");
    }
    dsn_.display_ += query;
    dsn_.identity_ = "redis:" + (dsn_.is_unix() ? normalised(dsn_.path_) : dsn_.where());
    if (dsn_.identity_.size() >= sizeof(weir_dsn_info_t::server_identity)) shorten_identity();
    dsn_.fingerprint_ = fingerprint();
  }

  /// Only where links lead to a very long path. Cutting alone would make two of them one server.
  void shorten_identity() {
    char digest[20];
    std::snprintf(digest, sizeof digest, "#%016llx",
                  static_cast<unsigned long long>(fnv1a(kFnvStart, dsn_.identity_)));
    dsn_.identity_.resize(sizeof(weir_dsn_info_t::server_identity) - sizeof digest);
    dsn_.identity_ += digest;
  }

  [[nodiscard]] std::uint64_t fingerprint() const {
    const std::string user = dsn_.user_.empty() ? "default" : dsn_.user_;
    std::uint64_t hash = kFnvStart;
    for (const std::string& part :
         {dsn_.identity_, user, std::to_string(dsn_.db_), dsn_.client_name_}) {
      hash = fnv1a(hash, {part.c_str(), part.size() + 1});
    }
    return hash;
  }

  static constexpr std::size_t kMostHostBytes = 200;

  Dsn& dsn_;
  Failure* const failure_;
  bool may_hold_secret_ = false;
  std::set<std::string, std::less<>> given_;
};

bool Dsn::parse(const char* text, Dsn* dsn, Failure* failure) {
  Dsn parsed;
  if (!DsnParser(parsed, failure).parse(text)) return false;
  *dsn = std::move(parsed);
  return true;
}

std::string Dsn::where() const {
  if (is_unix()) return path_;
  const bool is_ipv6 = host_.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host_ + "]" : host_) + ":" + std::to_string(port_);
}

}  // namespace weir::redis
