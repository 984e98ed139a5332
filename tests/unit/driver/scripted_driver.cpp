#include "scripted_driver.h"

#include <cstring>

#include "base/log.h"

namespace weir::driver {
namespace {

ScriptedDriver* script = nullptr;

// Only their addresses count.
char a_dsn;
char a_conn;

std::int32_t fail(weir_error_t* error, std::int32_t code, const char* message) {
  error->code = code;
  std::strncpy(error->message, message, sizeof error->message - 1);
  return code;
}

std::int32_t init(const weir_host_t* /*host*/, weir_error_t* /*error*/) { return WEIR_OK; }

std::int32_t parse_dsn(const char* text, weir_dsn_t** dsn, weir_dsn_info_t* info,
                       weir_error_t* error) {
  if (std::strcmp(text, "bad") == 0) {
    return fail(error, WEIR_BAD_CONFIG, "host: expected a name, found none");
  }
  if (!script->gives_objects) return WEIR_OK;
  ++script->dsns_parsed;
  std::memset(info->display, 'd', sizeof info->display);  // a driver that forgets the zero
  std::strcpy(info->server_identity, "nowhere");
  info->fingerprint = 42;
  *dsn = reinterpret_cast<weir_dsn_t*>(&a_dsn);
  return WEIR_OK;
}

void free_dsn(weir_dsn_t* /*dsn*/) { ++script->dsns_freed; }

std::int32_t open_conn(const weir_dsn_t* /*dsn*/, const weir_conn_options_t* options,
                       weir_conn_t** conn, weir_error_t* error) {
  if (script->open_code != WEIR_OK) return fail(error, script->open_code, "open_conn failed");
  if (!script->gives_objects) return WEIR_OK;
  ++script->opened;
  script->client_name = options->client_name;
  *conn = reinterpret_cast<weir_conn_t*>(&a_conn);
  return WEIR_OK;
}

void free_conn(weir_conn_t* /*conn*/) { ++script->freed; }

std::int32_t start(weir_conn_t* /*conn*/, std::int32_t op, void* argument,
                   std::uint64_t deadline_ns, weir_error_t* error) {
  script->started.push_back({op, argument, deadline_ns});
  if (script->start_code == WEIR_OK) return WEIR_OK;
  return fail(error, script->start_code, "start failed");
}

std::int32_t step(weir_conn_t* /*conn*/, weir_error_t* error) {
  ++script->steps_taken;
  script->on_step();
  const std::int32_t answer = script->steps.front();
  if (script->steps.size() > 1) script->steps.pop_front();
  if (answer == WEIR_STEP_ERROR && script->step_error_code != WEIR_OK) {
    fail(error, script->step_error_code, "the server hung up");
  }
  return answer;
}

std::int32_t fd(weir_conn_t* /*conn*/) { return script->descriptor; }
void* native(weir_conn_t* conn) { return conn; }
std::uint32_t is_usable(weir_conn_t* /*conn*/, std::int32_t look) {
  return look == WEIR_LOOK_AT_SOCKET ? WEIR_COND_UNEXPECTED : 0;
}
void abandon(weir_conn_t* /*conn*/) { ++script->abandoned; }
void session_token(weir_conn_t* /*conn*/, weir_token_t* token) { *token = script->token; }
std::int32_t cancel(weir_conn_t* /*conn*/, std::uint64_t /*deadline_ns*/, weir_error_t* error) {
  return fail(error, WEIR_NOT_SUPPORTED, "nothing runs here");
}

std::int32_t export_session(weir_conn_t* /*conn*/, void* blob, std::size_t* size,
                            weir_error_t* error) {
  if (script->export_code != WEIR_OK) return fail(error, script->export_code, "export failed");
  script->blob.copy(static_cast<char*>(blob), *size);
  *size = script->blob_size;
  return WEIR_OK;
}

std::int32_t import_session(const weir_dsn_t* dsn, const weir_conn_options_t* options,
                            std::int32_t descriptor, const void* blob, std::size_t size,
                            weir_conn_t** conn, weir_error_t* error) {
  if (script->import_code != WEIR_OK) return fail(error, script->import_code, "import failed");
  script->imported_descriptor = descriptor;
  script->imported_blob.assign(static_cast<const char*>(blob), size);
  return open_conn(dsn, options, conn, error);
}

}  // namespace

weir_driver_t ScriptedDriver::table() {
  weir_driver_t table{};
  table.magic = WEIR_DRIVER_MAGIC;
  table.abi_major = WEIR_DRIVER_ABI_MAJOR;
  table.abi_minor = WEIR_DRIVER_ABI_MINOR;
  table.struct_size = sizeof table;
  table.name = "scripted";
  table.version = "1.0";
  table.init = init;
  table.parse_dsn = parse_dsn;
  table.free_dsn = free_dsn;
  table.open_conn = open_conn;
  table.free_conn = free_conn;
  table.start = start;
  table.step = step;
  table.fd = fd;
  table.native = native;
  table.is_usable = is_usable;
  table.abandon = abandon;
  table.session_token = session_token;
  table.cancel = cancel;
  table.export_session = export_session;
  table.import_session = import_session;
  return table;
}

ScriptedDriver::ScriptedDriver() {
  static const weir_driver_t scripted_table = table();
  static Log log;  // what adopt() is given must live for ever
  script = this;
  driver_ = Driver::adopt(&scripted_table, "scripted_driver.cpp", log).value();
}

ScriptedDriver::~ScriptedDriver() { script = nullptr; }

Dsn ScriptedDriver::dsn() const { return Dsn::parse(*driver_, "good").value(); }

}  // namespace weir::driver
