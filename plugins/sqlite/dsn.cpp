#include "dsn.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

namespace weir::sqlite {
namespace {

constexpr std::string_view kScheme = "sqlite:";
constexpr std::string_view kMemory = ":memory:";
constexpr std::array<std::string_view, 6> kJournals = {"wal",     "delete", "truncate",
                                                       "persist", "memory", "off"};
constexpr std::array<std::string_view, 4> kSynchronous = {"off", "normal", "full", "extra"};
constexpr int kLongestBusyMs = 3'600'000;

bool refuse(Failure* failure, const std::string& text) {
  *failure = {WEIR_BAD_CONFIG, "sqlite: dsn: " + text, 0, {}};
  return false;
}

bool refuse_value(Failure* failure, std::string_view key, std::string_view expected,
                  std::string_view found) {
  return refuse(failure, std::string(key) + ": expected " + std::string(expected) + ", found \"" +
                             std::string(found) + "\"");
}

std::optional<unsigned char> hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return static_cast<unsigned char>(digit - '0');
  if (digit >= 'a' && digit <= 'f') return static_cast<unsigned char>(digit - 'a' + 10);
  if (digit >= 'A' && digit <= 'F') return static_cast<unsigned char>(digit - 'A' + 10);
  return std::nullopt;
}

/// nullopt if a % is not followed by two hexadecimal digits, or they say zero.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const auto high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
    if (!high || !low || *high * 16 + *low == 0) return std::nullopt;
    plain += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return plain;
}

std::string percent_encoded(std::string_view text, std::string_view which) {
  std::string encoded;
  for (const char c : text) {
    if (which.find(c) == std::string_view::npos) {
      encoded += c;
      continue;
    }
    std::array<char, 4> hex{};
    std::snprintf(hex.data(), hex.size(), "%%%02X", static_cast<unsigned>(c) & 0xffu);
    encoded += hex.data();
  }
  return encoded;
}

/// "250ms", "5s", "1m"; nullopt for anything else and above an hour.
std::optional<int> milliseconds_of(std::string_view text) {
  int number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || number < 0) return std::nullopt;
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  const std::int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : 0;
  const std::int64_t total = number * factor;
  if (factor == 0 || total > kLongestBusyMs) return std::nullopt;
  return static_cast<int>(total);
}

/// What `path` stands for now: absolute, links resolved as far as it exists.
std::string canonical(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return path;
  const std::filesystem::path resolved = std::filesystem::weakly_canonical(absolute, error);
  return error ? absolute.lexically_normal().string() : resolved.string();
}

}  // namespace

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

bool Dsn::parse(const char* text, Dsn* dsn, Failure* failure) {
  std::string_view rest(text);
  if (!rest.starts_with(kScheme)) {
    return refuse(failure,
                  "scheme: expected sqlite:<path> or sqlite::memory:, found another beginning");
  }
  rest.remove_prefix(kScheme.size());
  Dsn parsed;
  const std::size_t question = rest.find('?');
  std::string_view place = rest.substr(0, question);
  const bool is_url = place.starts_with("//");
  if (is_url) {
    place.remove_prefix(2);
    // Not quoted: it may be user:password@host.
    if (!place.empty() && place.front() != '/') {
      return refuse(failure,
                    "host: expected none (sqlite:///folder/file.db), found something "
                    "between // and the next /");
    }
  }
  if (!parsed.read_place(place, is_url, failure)) return false;
  std::set<std::string_view> seen;
  std::string_view query = question == std::string_view::npos ? "" : rest.substr(question + 1);
  if (question != std::string_view::npos && query.empty()) {
    return refuse(failure, "expected an option behind the question mark, found nothing");
  }
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view option = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = option.find('=');
    const std::string_view key = option.substr(0, equals);
    if (equals == std::string_view::npos || !seen.insert(key).second) {
      return refuse(failure, std::string(key) + ": expected one value, found " +
                                 (equals == std::string_view::npos ? "none" : "a second one"));
    }
    if (!parsed.read_option(key, option.substr(equals + 1), failure)) return false;
  }
  if (!parsed.settle(failure)) return false;
  *dsn = std::move(parsed);
  return true;
}

bool Dsn::read_place(std::string_view place, bool is_url, Failure* failure) {
  const bool names_memory = place == kMemory || (is_url && (place.empty() || place == "/:memory:"));
  if (names_memory) {
    kind_ = Kind::kPrivateMemory;
    path_ = kMemory;
    return true;
  }
  const std::optional<std::string> decoded = percent_decoded(place);
  if (!decoded) {
    return refuse(failure,
                  "path: expected two hexadecimal digits after % (% itself is %25), found \"" +
                      std::string(place) + "\"");
  }
  if (decoded->empty() || decoded->find('#') != std::string::npos) {
    // A # that is meant is written %23, and is in `decoded` then, but not in `place`.
    if (decoded->empty() || place.find('#') != std::string_view::npos) {
      return refuse(failure, std::string("path: expected a file's path (# in it is %23), found ") +
                                 (decoded->empty() ? "nothing" : "a #"));
    }
  }
  if (decoded->starts_with("file:") || decoded->back() == '/') {
    return refuse_value(failure, "path",
                        "a file's path (SQLite's file: URIs are not taken, their options are)",
                        *decoded);
  }
  // SQLAlchemy reads a relative path behind three slashes, everybody else an absolute one. Where a
  // relative one is meant for certain, it is not looked for in the root folder.
  const std::string_view behind_root = std::string_view(*decoded).substr(1);
  const bool is_relative_elsewhere =
      is_url && !behind_root.starts_with('/') &&
      (behind_root.find('/') == std::string_view::npos || behind_root.starts_with('.'));
  if (is_relative_elsewhere) {
    return refuse(failure,
                  "path: sqlite://" + *decoded +
                      " is a relative path to some and an absolute one to others; expected "
                      "sqlite:" +
                      std::string(behind_root) + " or sqlite:///" + *decoded);
  }
  path_ = *decoded;
  return true;
}

bool Dsn::read_option(std::string_view key, std::string_view value, Failure* failure) {
  const auto is_one_of = [value](const auto& list) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };
  if (key == "mode") {
    says_memory_ = value == "memory";
    says_access_ = !says_memory_;
    if (value != "ro" && value != "rw" && value != "rwc" && value != "memory") {
      return refuse_value(failure, key, "ro, rw, rwc or memory", value);
    }
    access_ = value == "ro"   ? Access::kReadOnly
              : value == "rw" ? Access::kReadWrite
                              : Access::kCreate;
  } else if (key == "journal") {
    if (!is_one_of(kJournals)) {
      return refuse_value(failure, key, "wal, delete, truncate, persist, memory or off", value);
    }
    journal_ = value;
  } else if (key == "busy_timeout") {
    const std::optional<int> ms = milliseconds_of(value);
    if (!ms) {
      return refuse_value(failure, key, "a duration up to an hour such as 250ms, 5s or 1m", value);
    }
    busy_timeout_ms_ = *ms;
  } else if (key == "foreign_keys") {
    if (value != "on" && value != "off") return refuse_value(failure, key, "on or off", value);
    foreign_keys_ = value;
  } else if (key == "synchronous") {
    if (!is_one_of(kSynchronous)) {
      return refuse_value(failure, key, "off, normal, full or extra", value);
    }
    synchronous_ = value;
  } else if (key == "cache") {
    if (value != "shared") return refuse_value(failure, key, "shared", value);
    says_shared_ = true;
  } else {
    return refuse(failure, "unknown option \"" + std::string(key) +
                               "\": expected mode, journal, busy_timeout, foreign_keys, "
                               "synchronous or cache");
  }
  return true;
}

/// What only shows once all is read: which options go together, and the texts.
bool Dsn::settle(Failure* failure) {
  if (says_memory_ != says_shared_) {
    return refuse(failure,
                  says_shared_
                      ? "cache: expected mode=memory beside cache=shared: connections to a file "
                        "have a cache each"
                      : "mode: expected cache=shared beside mode=memory; a database for one "
                        "connection alone is sqlite::memory:");
  }
  if (says_memory_ && (kind_ == Kind::kPrivateMemory || path_.find('/') != std::string::npos)) {
    return refuse(failure, "path: expected a name without slashes beside mode=memory, found \"" +
                               path_ + "\"");
  }
  if (says_memory_) kind_ = Kind::kSharedMemory;
  if (kind_ != Kind::kFile && (says_access_ || !journal_.empty())) {
    return refuse(failure, std::string(says_access_ ? "mode" : "journal") +
                               ": expected none for a database in memory");
  }
  if (is_read_only() && !journal_.empty()) {
    return refuse(failure, "journal: expected none beside mode=ro, which cannot change it");
  }
  if (kind_ == Kind::kFile) path_ = canonical(path_);

  display_ = std::string(kScheme) + percent_encoded(path_, "?#%");
  char mark = '?';
  const auto show = [&](std::string_view key, const std::string& value) {
    if (value.empty()) return;
    display_ += std::exchange(mark, '&') + std::string(key) + "=" + value;
  };
  if (kind_ == Kind::kSharedMemory) {
    show("mode", "memory");
    show("cache", "shared");
  }
  if (access_ != Access::kCreate) show("mode", is_read_only() ? "ro" : "rw");
  show("journal", journal_);
  if (busy_timeout_ms_ != Dsn().busy_timeout_ms_) {
    show("busy_timeout", std::to_string(busy_timeout_ms_) + "ms");
  }
  show("foreign_keys", foreign_keys_);
  show("synchronous", synchronous_);
  fingerprint_ = hash_of(display_);

  constexpr std::size_t kRoom = sizeof(weir_dsn_info_t::server_identity) - 1;
  identity_ = std::string(kScheme) + (kind_ == Kind::kSharedMemory ? "memory:" : "") + path_;
  if (identity_.size() > kRoom) {
    std::array<char, 18> hash{};
    std::snprintf(hash.data(), hash.size(), "#%016llx",
                  static_cast<unsigned long long>(hash_of(identity_)));
    identity_ = identity_.substr(0, kRoom - (hash.size() - 1)) + hash.data();
  }
  return true;
}

std::string Dsn::open_name() const {
  if (kind_ != Kind::kSharedMemory) return path_;
  return "file:" + percent_encoded(path_, "?#%&") + "?mode=memory&cache=shared";
}

int Dsn::open_flags() const {
  // No mutex: one thread at a time uses a connection, and an interrupt needs none.
  int flags = SQLITE_OPEN_NOMUTEX;
  if (kind_ == Kind::kSharedMemory) flags |= SQLITE_OPEN_URI;
  switch (access_) {
    case Access::kReadOnly:
      return flags | SQLITE_OPEN_READONLY;
    case Access::kReadWrite:
      return flags | SQLITE_OPEN_READWRITE;
    case Access::kCreate:
      break;
  }
  return flags | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
}

}  // namespace weir::sqlite
