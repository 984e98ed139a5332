// The driver's table: weir/driver.h on one side, Dsn and Session on the other. Nothing throws past
// here.
#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "conformance.h"
#include "dsn.h"
#include "failure.h"
#include "host.h"
#include "session.h"
#include "weir/driver.h"

struct weir_dsn {
  weir::sqlite::Dsn dsn;
};

struct weir_conn {
  weir_conn(const weir_dsn& dsn, std::uint32_t statement_timeout_ms, weir_reset_mode mode)
      : session(dsn.dsn, statement_timeout_ms, mode) {}
  weir::sqlite::Session session;
};

namespace weir::sqlite {
namespace {

/// Runs `body`, which returns a code; what it throws becomes one too.
template <typename Body>
std::int32_t guarded(weir_error_t* error, Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return report({WEIR_OUT_OF_MEMORY, {}, 0, {}}, error);
  } catch (const std::exception& exception) {
    return report({WEIR_SYSTEM_ERROR, exception.what(), 0, {}}, error);
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
    if (host_table == nullptr || !WEIR_HAS_FIELD(host_table, weir_host_t, now_ns)) {
      return report(failed(WEIR_BAD_ARGUMENT, "init", "the host offers no clock"), error);
    }
    if (sqlite3_threadsafe() == 0) {
      return report(failed(WEIR_BAD_DRIVER, "init", "this SQLite was built without threads"),
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
      return report(failed(WEIR_BAD_ARGUMENT, "parse_dsn", "an argument is missing"), error);
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

std::int32_t open_conn(const weir_dsn_t* dsn, const weir_conn_options_t* options,
                       weir_conn_t** conn, weir_error_t* error) {
  return guarded(error, [&] {
    if (dsn == nullptr || options == nullptr || conn == nullptr ||
        options->struct_size < offsetof(weir_conn_options_t, password)) {  // as of ABI 1.0
      return report(failed(WEIR_BAD_ARGUMENT, "open_conn", "an argument is missing"), error);
    }
    if (options->reset_mode < WEIR_RESET_TRACKED || options->reset_mode > WEIR_RESET_TRANSACTION) {
      return report(failed(WEIR_BAD_ARGUMENT, "open_conn", "unknown reset mode"), error);
    }
    *conn = new weir_conn(*dsn, options->statement_timeout_ms,
                          static_cast<weir_reset_mode>(options->reset_mode));
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

/// Nothing to poll: what a step waits for is a lock, and a file does not tell when it is free.
std::int32_t fd(weir_conn_t* /*conn*/) { return -1; }

void* native(weir_conn_t* conn) { return conn->session.native(); }

std::uint32_t is_usable(weir_conn_t* conn, std::int32_t look) {
  return conn->session.condition(look);
}

/// No session of SQLite's can go on in another process: in its own it is closed, and in a child it
/// is left as it is, for the close of any descriptor of a file drops that process's locks on it.
void abandon(weir_conn_t* conn) { delete conn; }

/// Nobody else can ask about a session: it lives in this process, and ends with it.
void session_token(weir_conn_t* /*conn*/, weir_token_t* token) { token->size = 0; }

std::int32_t cancel(weir_conn_t* conn, std::uint64_t /*deadline_ns*/, weir_error_t* error) {
  return guarded(error, [&] {
    Failure failure;
    return conn->session.cancel(&failure) ? static_cast<std::int32_t>(WEIR_OK)
                                          : report(failure, error);
  });
}

const void* get_extension(const char* id) {
  return id != nullptr && std::strcmp(id, WEIR_CONFORMANCE) == 0 ? &conformance() : nullptr;
}

/// "1 (SQLite 3.40.1)": the library that is loaded, not the one that was compiled with.
const char* version() {
  static const std::string text = std::string("1 (SQLite ") + sqlite3_libversion() + ")";
  return text.c_str();
}

}  // namespace
}  // namespace weir::sqlite

extern "C" const weir_driver_t* weir_driver_entry(void) {
  namespace driver = weir::sqlite;
  static const weir_driver_t table = {
      .magic = WEIR_DRIVER_MAGIC,
      .abi_major = WEIR_DRIVER_ABI_MAJOR,
      .abi_minor = WEIR_DRIVER_ABI_MINOR,
      .struct_size = sizeof(weir_driver_t),
      .flags = WEIR_DRIVER_BLOCKS | WEIR_DRIVER_ENDS_WITH_PROCESS,
      .name = "sqlite",
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
      .export_session = nullptr,
      .import_session = nullptr,
      .get_extension = driver::get_extension,
  };
  return &table;
}
