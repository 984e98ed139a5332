// The driver's table: weir/driver.h on one side, Dsn and Session on the other. Nothing throws past
// here.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "dsn.h"
#include "failure.h"
#include "hiredis_c.h"
#include "host.h"
#include "lease_watch.h"
#include "session.h"
#include "weir/driver.h"

struct weir_dsn {
  weir::redis::Dsn dsn;
};

struct weir_conn {
  weir_conn(const weir_dsn& dsn, weir::redis::SessionOptions options, weir_reset_mode mode)
      : session(dsn.dsn, std::move(options), mode) {}
  weir::redis::Session session;
};

namespace weir::redis {
namespace {

/// Runs `body`, which returns a code; what it throws becomes one too.
template <typename Body>
std::int32_t guarded(weir_error_t* error, Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return report({WEIR_OUT_OF_MEMORY, {}, {}}, error);
  } catch (const std::exception& exception) {
    return report({WEIR_SYSTEM_ERROR, exception.what(), {}}, error);
  }
}

void copy_cut(char* target, std::size_t size, std::string_view text) {
  const std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

// ---- the functions, in the table's order --------------------------------------------------------

std::int32_t init(const weir_host_t* host_table, weir_error_t* error) {
  return guarded(error, [&] {
    if (host_table == nullptr || !WEIR_HAS_FIELD(host_table, weir_host_t, log) ||
        !WEIR_HAS_FIELD(host_table, weir_host_t, now_ns)) {
      return report({WEIR_BAD_ARGUMENT, "redis: the host offers no log or no clock", {}}, error);
    }
    if (!can_watch()) {
      return report(
          {WEIR_BAD_DRIVER,
           "redis: this hiredis does not replace its output buffer when all is sent, as 0.14 does",
           {}},
          error);
    }
    host::remember(host_table);
    return static_cast<std::int32_t>(WEIR_OK);
  });
}

std::int32_t parse_dsn(const char* text, weir_dsn_t** dsn, weir_dsn_info_t* info,
                       weir_error_t* error) {
  return guarded(error, [&] {
    if (text == nullptr || dsn == nullptr || info == nullptr ||
        info->struct_size < sizeof(weir_dsn_info_t)) {
      return report({WEIR_BAD_ARGUMENT, "redis: parse_dsn: an argument is missing", {}}, error);
    }
    auto parsed = std::make_unique<weir_dsn>();
    Failure failure;
    if (!Dsn::parse(text, &parsed->dsn, &failure)) return report(failure, error);
    copy_cut(info->display, sizeof info->display, parsed->dsn.display());
    copy_cut(info->server_identity, sizeof info->server_identity, parsed->dsn.server_identity());
    info->fingerprint = parsed->dsn.fingerprint();
    *dsn = parsed.release();
    return static_cast<std::int32_t>(WEIR_OK);
  });
}

void free_dsn(weir_dsn_t* dsn) { delete dsn; }

/// Redis ends no command for taking long, so there is nobody to pass that setting on to. Said once.
void warn_of_statement_timeout() {
  static std::atomic_flag was_said;
  if (!was_said.test_and_set()) host::warn("event=statement_timeout_ignored driver=redis");
}

/// A connection object that nothing was started on; null: see *failure. `doing` names the caller.
std::unique_ptr<weir_conn> make_conn(const weir_dsn_t* dsn, const weir_conn_options_t* options,
                                     const std::string& doing, Failure* failure) {
  if (dsn == nullptr || options == nullptr ||
      options->struct_size < offsetof(weir_conn_options_t, password)) {  // as of ABI 1.0
    *failure = {WEIR_BAD_ARGUMENT, "redis: " + doing + ": an argument is missing", {}};
    return nullptr;
  }
  if (options->reset_mode < WEIR_RESET_TRACKED || options->reset_mode > WEIR_RESET_TRANSACTION) {
    *failure = {WEIR_BAD_ARGUMENT, "redis: " + doing + ": unknown reset mode", {}};
    return nullptr;
  }
  if (options->statement_timeout_ms != 0) warn_of_statement_timeout();
  const char* const name = options->client_name != nullptr ? options->client_name : "";
  SessionOptions wanted{dsn->dsn.client_name(), dsn->dsn.password()};
  if (wanted.client_name.empty()) wanted.client_name = fit_for_redis(name);
  if (WEIR_HAS_FIELD(options, weir_conn_options_t, password)) wanted.password = options->password;
  return std::make_unique<weir_conn>(*dsn, std::move(wanted),
                                     static_cast<weir_reset_mode>(options->reset_mode));
}

std::int32_t open_conn(const weir_dsn_t* dsn, const weir_conn_options_t* options,
                       weir_conn_t** conn, weir_error_t* error) {
  return guarded(error, [&] {
    if (conn == nullptr) {
      return report({WEIR_BAD_ARGUMENT, "redis: open_conn: an argument is missing", {}}, error);
    }
    Failure failure;
    auto made = make_conn(dsn, options, "open_conn", &failure);
    if (made == nullptr) return report(failure, error);
    *conn = made.release();
    return static_cast<std::int32_t>(WEIR_OK);
  });
}

void free_conn(weir_conn_t* conn) { delete conn; }

std::int32_t start(weir_conn_t* conn, std::int32_t op, void* argument, std::uint64_t deadline_ns,
                   weir_error_t* error) {
  return guarded(error, [&] {
    Failure failure;
    const bool has_begun = conn->session.start(op, argument, deadline_ns, &failure);
    return has_begun ? static_cast<std::int32_t>(WEIR_OK) : report(failure, error);
  });
}

std::int32_t step(weir_conn_t* conn, weir_error_t* error) {
  std::int32_t progress = WEIR_STEP_ERROR;
  guarded(error, [&] {
    Failure failure;
    progress = static_cast<std::int32_t>(conn->session.step(&failure));
    return progress == WEIR_STEP_ERROR ? report(failure, error)
                                       : static_cast<std::int32_t>(WEIR_OK);
  });
  return progress;
}

std::int32_t fd(weir_conn_t* conn) { return conn->session.fd(); }

void* native(weir_conn_t* conn) { return conn->session.native(); }

std::uint32_t is_usable(weir_conn_t* conn, std::int32_t look) {
  return conn->session.condition(look);
}

void abandon(weir_conn_t* conn) {
  conn->session.abandon();
  delete conn;
}

void session_token(weir_conn_t* conn, weir_token_t* token) { *token = conn->session.token(); }

std::int32_t cancel(weir_conn_t* conn, std::uint64_t deadline_ns, weir_error_t* error) {
  return guarded(error, [&] {
    Failure failure;
    const bool is_sent = conn->session.cancel(deadline_ns, &failure);
    return is_sent ? static_cast<std::int32_t>(WEIR_OK) : report(failure, error);
  });
}

std::int32_t export_session(weir_conn_t* conn, void* blob, size_t* size, weir_error_t* error) {
  return guarded(error, [&] {
    if (conn == nullptr || blob == nullptr || size == nullptr) {
      return report({WEIR_BAD_ARGUMENT, "redis: export: an argument is missing", {}}, error);
    }
    Failure failure;
    std::string bytes;
    if (!conn->session.describe(&bytes, &failure)) return report(failure, error);
    const std::size_t room = std::min<std::size_t>(*size, WEIR_BLOB_MAX);
    if (bytes.size() > room) {
      return report(
          {WEIR_NOT_SUPPORTED,
           "redis: cannot be exported: its description has " + std::to_string(bytes.size()) +
               " bytes, there is room for " + std::to_string(*size),
           {}},
          error);
    }
    std::memcpy(blob, bytes.data(), bytes.size());
    *size = bytes.size();
    return static_cast<std::int32_t>(WEIR_OK);
  });
}

std::int32_t import_session(const weir_dsn_t* dsn, const weir_conn_options_t* options,
                            std::int32_t descriptor, const void* blob, size_t size,
                            weir_conn_t** conn, weir_error_t* error) {
  return guarded(error, [&] {
    if (blob == nullptr || conn == nullptr) {
      return report({WEIR_BAD_ARGUMENT, "redis: import: an argument is missing", {}}, error);
    }
    Failure failure;
    auto made = make_conn(dsn, options, "import", &failure);
    if (made == nullptr) return report(failure, error);
    const std::string_view bytes(static_cast<const char*>(blob), size);
    if (!made->session.adopt(descriptor, bytes, &failure)) return report(failure, error);
    *conn = made.release();
    return static_cast<std::int32_t>(WEIR_OK);
  });
}

/// "1 (hiredis 0.14.1)": hiredis cannot be asked for more than what it was compiled with.
const char* version() {
  static const std::string text = "1 (hiredis " + std::to_string(HIREDIS_MAJOR) + "." +
                                  std::to_string(HIREDIS_MINOR) + "." +
                                  std::to_string(HIREDIS_PATCH) + ")";
  return text.c_str();
}

}  // namespace
}  // namespace weir::redis

extern "C" const weir_driver_t* weir_driver_entry(void) {
  namespace driver = weir::redis;
  static const weir_driver_t table = {
      .magic = WEIR_DRIVER_MAGIC,
      .abi_major = WEIR_DRIVER_ABI_MAJOR,
      .abi_minor = WEIR_DRIVER_ABI_MINOR,
      .struct_size = sizeof(weir_driver_t),
      .flags = WEIR_DRIVER_TAKES_PASSWORD,
      .name = "redis",
      .version = driver::version(),
      .init = driver::init,
      .parse_dsn = driver::parse_dsn,
      .free_dsn = driver::free_dsn,
      .open_conn = driver::open_conn,
      .free_conn = driver::free_conn,
      .start = driver::start,
      .step = driver::step,
      .fd = driver::fd,
      .native = driver::native,
      .is_usable = driver::is_usable,
      .abandon = driver::abandon,
      .session_token = driver::session_token,
      .cancel = driver::cancel,
      .export_session = driver::export_session,
      .import_session = driver::import_session,
      .get_extension = nullptr,
  };
  return &table;
}
