#include "dsn.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>

#include "weir/driver.h"

namespace weir::postgres {
namespace {

using ConninfoPtr = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

// A value that libpq refuses before it opens any socket, in the option that is rarest in use.
constexpr const char* kRefusedOption = "ssl_min_protocol_version";
constexpr const char* kRefusedValue = "weir";

Options options_of(const PQconninfoOption* list) {
  Options options;
  for (; list->keyword != nullptr; ++list) {
    if (list->val != nullptr) options.emplace_back(list->keyword, list->val);
  }
  return options;
}

const std::string* find(const Options& options, std::string_view keyword) {
  const auto found = std::find_if(options.begin(), options.end(),
                                  [&](const auto& option) { return option.first == keyword; });
  return found != options.end() ? &found->second : nullptr;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// ---- refusing, without secrets ------------------------------------------------------------------

/// libpq's complaint about `text`. It quotes what it stumbled over, which after an unquoted
/// password with a blank, or in a URI's user part, is a piece of the password.
std::string without_quotes_of(std::string_view text, const std::string& complaint) {
  const std::string lower = lower_case(text);
  const bool may_hold_secret =
      lower.find("pass") != std::string::npos || lower.find('@') != std::string::npos;
  if (!may_hold_secret) return complaint;
  // Single characters are libpq's own: `missing "=" after "..."`. The piece may hold quotes itself,
  // so all from the first quote of something longer up to the last quote is it.
  std::size_t first = complaint.find('"');
  while (first != std::string::npos && first + 2 < complaint.size() &&
         complaint[first + 2] == '"') {
    first = complaint.find('"', first + 3);
  }
  const std::size_t last = complaint.rfind('"');
  if (first == std::string::npos || last <= first) return complaint;
  return complaint.substr(0, first) + "\"...\"" + complaint.substr(last + 1);
}

bool refuse(Failure* failure, const std::string& why) {
  *failure = {WEIR_BAD_CONFIG, "postgres dsn: " + why, {}};
  return false;
}

bool is_uri(std::string_view text) {
  return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

/// A '/', '?' or '#' that was not percent-encoded in a URI's password ends the host part early.
/// libpq then takes the rest for a database's name, and what is left of the password would be
/// shown.
bool has_stray_at(std::string_view uri) {
  uri.remove_prefix(uri.find("://") + 3);
  const std::size_t end_of_host = uri.find_first_of("/?#");
  return end_of_host != std::string_view::npos &&
         uri.find('@', end_of_host) != std::string_view::npos;
}

bool is_port_list(std::string_view ports) {
  while (true) {
    const std::size_t comma = ports.find(',');
    const std::string_view port = ports.substr(0, comma);
    const bool is_number =
        std::all_of(port.begin(), port.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (!is_number || port.size() > 5) return false;
    if (!port.empty()) {
      const int number = std::stoi(std::string(port));
      if (number < 1 || number > 65535) return false;
    }
    if (comma == std::string_view::npos) return true;
    ports.remove_prefix(comma + 1);
  }
}

/// What libpq would accept here and stumble over at each connect, or what cannot be pooled.
std::optional<std::string> fault_of(const Options& given) {
  if (const std::string* ports = find(given, "port"); ports != nullptr && !is_port_list(*ports)) {
    return "port: expected a number from 1 to 65535, or several with commas between them";
  }
  if (const std::string* name = find(given, "dbname");
      name != nullptr && (is_uri(*name) || name->find('=') != std::string::npos)) {
    return "dbname: expected a database's name, found what looks like another connection string";
  }
  if (const std::string* mode = find(given, "replication");
      mode != nullptr && *mode != "false" && *mode != "off" && *mode != "no" && *mode != "0") {
    return "replication: a replication session cannot be pooled";
  }
  return std::nullopt;
}

// ---- resolving ----------------------------------------------------------------------------------

struct Resolved {
  Options options;
  std::vector<std::pair<std::string, std::string>> servers;  // host or address, port
};

std::vector<std::string> split_list(std::string_view list) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t comma = list.find(',');
    parts.emplace_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

/// The servers that libpq would try. `conn` resolved them; it knows the built-in default for none.
std::vector<std::pair<std::string, std::string>> servers_of(const Options& options,
                                                            const PGconn* conn) {
  const std::string* const host = find(options, "host");
  const std::string* const hostaddr = find(options, "hostaddr");
  const std::string* const port = find(options, "port");
  const auto hosts = split_list(host != nullptr ? *host : "");
  const auto addresses = split_list(hostaddr != nullptr ? *hostaddr : "");
  const auto ports = split_list(port != nullptr ? *port : "");
  const auto at = [](const std::vector<std::string>& list, std::size_t i) {
    return i < list.size() ? list[i] : std::string();
  };
  std::vector<std::pair<std::string, std::string>> servers;
  for (std::size_t i = 0; i < std::max(hosts.size(), addresses.size()); ++i) {
    std::string where = at(addresses, i);
    if (where.empty()) where = at(hosts, i);
    if (where.empty()) where = PQhost(conn);
    // One port holds for all hosts (libpq manual, "Specifying Multiple Hosts").
    std::string at_port = ports.size() == 1 ? ports[0] : at(ports, i);
    if (at_port.empty()) at_port = "5432";
    servers.emplace_back(std::move(where), std::move(at_port));
  }
  return servers;
}

/// Asks libpq itself what it makes of `given`, the environment, the service file and its defaults:
/// a connection attempt that it refuses before there is a socket. PQconndefaults would know neither
/// a service named in the string nor the default host.
std::optional<Resolved> resolve(const Options& given, std::string* complaint) {
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : given) {
    if (keyword == kRefusedOption) continue;
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.insert(keywords.end(), {kRefusedOption, nullptr});
  values.insert(values.end(), {kRefusedValue, nullptr});
  const std::unique_ptr<PGconn, decltype(&PQfinish)> conn(
      PQconnectStartParams(keywords.data(), values.data(), 0), &PQfinish);
  if (conn == nullptr) {
    *complaint = "out of memory";
    return std::nullopt;
  }
  const std::string message = one_line(PQerrorMessage(conn.get()));
  if (message.find(kRefusedOption) == std::string::npos) {
    *complaint = message;
    return std::nullopt;
  }
  const ConninfoPtr list(PQconninfo(conn.get()), &PQconninfoFree);
  Resolved resolved{options_of(list.get()), {}};
  resolved.servers = servers_of(resolved.options, conn.get());
  std::erase_if(resolved.options,
                [](const auto& option) { return option.first == kRefusedOption; });
  if (const std::string* value = find(given, kRefusedOption)) {
    resolved.options.emplace_back(kRefusedOption, *value);
  }
  return resolved;
}

// ---- describing ---------------------------------------------------------------------------------

/// A host's name or address, or a Unix socket's folder, written in one way.
std::string normalised(const std::string& host) {
  if (host.starts_with('/')) {
    std::error_code ignored;
    const auto real = std::filesystem::canonical(host, ignored);
    if (!real.empty()) return real.string();
    std::string lexical = std::filesystem::path(host).lexically_normal().string();
    if (lexical.size() > 1 && lexical.ends_with('/')) lexical.pop_back();
    return lexical;
  }
  return lower_case(host);
}

std::uint64_t fnv1a(std::uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}
constexpr std::uint64_t kFnvStart = 0xcbf29ce484222325;  // both: FNV-1a, 64 bits (fnvhash)

std::string identity_of(const Resolved& resolved) {
  std::vector<std::string> servers;
  for (const auto& [host, port] : resolved.servers)
    servers.push_back(normalised(host) + ":" + port);
  std::sort(servers.begin(), servers.end());
  std::string identity = "postgres:";
  for (const std::string& server : servers) {
    if (identity.back() != ':' || &server != &servers.front()) identity += ',';
    identity += server;
  }
  // Cutting would make two long lists one server.
  constexpr std::size_t kRoom = sizeof(weir_dsn_info_t::server_identity) - 1;
  if (identity.size() > kRoom) {
    char digest[20];
    std::snprintf(digest, sizeof digest, "#%016llx",
                  static_cast<unsigned long long>(fnv1a(kFnvStart, identity)));
    identity.resize(kRoom - std::strlen(digest));
    identity += digest;
  }
  return identity;
}

std::uint64_t fingerprint_of(const Options& effective) {
  // Secrets; where they come from; how the values were found; how long to wait for a connection.
  constexpr auto kLeftOut = std::to_array<std::string_view>(
      {"password", "sslpassword", "passfile", "service", "connect_timeout"});
  std::uint64_t hash = kFnvStart;
  for (const auto& [keyword, value] : effective) {
    if (std::find(kLeftOut.begin(), kLeftOut.end(), keyword) != kLeftOut.end()) continue;
    hash = fnv1a(hash, {keyword.c_str(), keyword.size() + 1});
    hash = fnv1a(hash, {value.c_str(), value.size() + 1});
  }
  return hash;
}

/// `value` as it stands in a keyword/value string (libpq manual, "Connection Strings").
std::string quoted_if_needed(const std::string& value) {
  if (!value.empty() && value.find_first_of(" '\\\t\n") == std::string::npos) return value;
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string display_of(const Resolved& resolved, const Options& given) {
  std::string hosts;
  std::string ports;
  for (const auto& [host, port] : resolved.servers) {
    hosts += (hosts.empty() ? "" : ",") + host;
    ports += (ports.empty() ? "" : ",") + port;
  }
  std::string text = "host=" + quoted_if_needed(hosts) + " port=" + ports;
  const auto add = [&](const Options& from, std::string_view keyword) {
    if (const std::string* value = find(from, keyword)) {
      text += " " + std::string(keyword) + "=" + quoted_if_needed(*value);
    }
  };
  // A list of what is shown, so that an option that a newer libpq adds is not.
  add(resolved.options, "dbname");
  add(resolved.options, "user");
  for (const std::string_view keyword : {"service", "application_name", "sslmode", "gssencmode",
                                         "target_session_attrs", "client_encoding"}) {
    add(given, keyword);
  }
  return text;
}

}  // namespace

bool Dsn::parse(const char* text, Dsn* dsn, Failure* failure) {
  if (is_uri(text) && has_stray_at(text)) {
    return refuse(
        failure,
        "found an '@' after the host part; in user name, password and database name write "
        "'@' as %40, '/' as %2F, ':' as %3A, '?' as %3F and '#' as %23");
  }
  char* raw_complaint = nullptr;
  const ConninfoPtr parsed(PQconninfoParse(text, &raw_complaint), &PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> complaint(raw_complaint, &PQfreemem);
  if (parsed == nullptr) {
    const char* const why = complaint != nullptr ? complaint.get() : "out of memory";
    return refuse(failure, without_quotes_of(text, one_line(why)));
  }
  Options given = options_of(parsed.get());
  if (const auto fault = fault_of(given)) return refuse(failure, *fault);

  std::string unresolved;
  const std::optional<Resolved> resolved = resolve(given, &unresolved);
  if (!resolved) return refuse(failure, unresolved);

  dsn->display_ = display_of(*resolved, given);
  dsn->identity_ = identity_of(*resolved);
  dsn->fingerprint_ = fingerprint_of(resolved->options);
  dsn->effective_ = resolved->options;
  const std::string wanted = dsn->effective("target_session_attrs");
  dsn->writable_ = wanted == "read-write" ? Writable::kReadWrite
                   : wanted == "primary"  ? Writable::kPrimary
                                          : Writable::kNotAsked;
  dsn->given_ = std::move(given);
  return true;
}

std::string Dsn::effective(const std::string& keyword) const {
  const std::string* const value = find(effective_, keyword);
  return value != nullptr ? *value : std::string();
}

}  // namespace weir::postgres
