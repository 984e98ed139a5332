/* A driver that does nothing, compiled once for each way in which a plugin can be wrong: the
 * definitions below say which (see CMakeLists.txt). In C, as many drivers will be. */
#include <string.h>

#include "weir/driver.h"

#ifndef PLUGIN_MAGIC
#define PLUGIN_MAGIC WEIR_DRIVER_MAGIC
#endif
#ifndef PLUGIN_MAJOR
#define PLUGIN_MAJOR WEIR_DRIVER_ABI_MAJOR
#endif
#ifndef PLUGIN_MINOR
#define PLUGIN_MINOR WEIR_DRIVER_ABI_MINOR
#endif
#ifndef PLUGIN_BYTES
#define PLUGIN_BYTES sizeof(weir_driver_t)
#endif
#ifndef PLUGIN_HAS_CANCEL
#define PLUGIN_HAS_CANCEL 1
#endif
#ifndef PLUGIN_HAS_TABLE
#define PLUGIN_HAS_TABLE 1
#endif
#ifndef PLUGIN_ENTRY
#define PLUGIN_ENTRY weir_driver_entry
#endif
#ifndef PLUGIN_INIT_CODE
#define PLUGIN_INIT_CODE WEIR_OK
#endif

static int32_t refuse(weir_error_t* error, int32_t code, const char* message) {
  error->code = code;
  strncpy(error->message, message, sizeof error->message - 1);
  return code;
}

static int32_t init(const weir_host_t* host, weir_error_t* error) {
  host->log(host->host_data, WEIR_LOG_INFO, "event=init driver=" PLUGIN_NAME);
  return PLUGIN_INIT_CODE == WEIR_OK ? WEIR_OK : refuse(error, PLUGIN_INIT_CODE, "no luck today");
}

static int32_t parse_dsn(const char* text, weir_dsn_t** dsn, weir_dsn_info_t* info,
                         weir_error_t* error) {
  (void)text;
  (void)dsn;
  (void)info;
  return refuse(error, WEIR_BAD_CONFIG, "dsn: this driver knows no server");
}
static void free_dsn(weir_dsn_t* dsn) { (void)dsn; }
static int32_t open_conn(const weir_dsn_t* dsn, const weir_conn_options_t* options,
                         weir_conn_t** conn, weir_error_t* error) {
  (void)dsn;
  (void)options;
  (void)conn;
  return refuse(error, WEIR_CONNECT_FAILED, "this driver knows no server");
}
static void free_conn(weir_conn_t* conn) { (void)conn; }
static int32_t start(weir_conn_t* conn, int32_t op, void* argument, uint64_t deadline_ns,
                     weir_error_t* error) {
  (void)conn;
  (void)op;
  (void)argument;
  (void)deadline_ns;
  return refuse(error, WEIR_NOT_SUPPORTED, "this driver has no operations");
}
static int32_t step(weir_conn_t* conn, weir_error_t* error) {
  (void)conn;
  refuse(error, WEIR_NOT_SUPPORTED, "this driver has no operations");
  return WEIR_STEP_ERROR;
}
static int32_t fd(weir_conn_t* conn) {
  (void)conn;
  return -1;
}
static void* native(weir_conn_t* conn) {
  (void)conn;
  return NULL;
}
static uint32_t is_usable(weir_conn_t* conn, int32_t look) {
  (void)conn;
  (void)look;
  return WEIR_COND_BROKEN;
}
static void abandon(weir_conn_t* conn) { (void)conn; }
static void session_token(weir_conn_t* conn, weir_token_t* token) {
  (void)conn;
  token->size = 0;
}
static int32_t cancel(weir_conn_t* conn, uint64_t deadline_ns, weir_error_t* error) {
  (void)conn;
  (void)deadline_ns;
  return refuse(error, WEIR_NOT_SUPPORTED, "nothing to cancel");
}

static const weir_driver_t table = {
    .magic = PLUGIN_MAGIC,
    .abi_major = PLUGIN_MAJOR,
    .abi_minor = PLUGIN_MINOR,
    .struct_size = PLUGIN_BYTES,
    .name = PLUGIN_NAME,
    .version = "1.0",
    .init = init,
    .parse_dsn = parse_dsn,
    .free_dsn = free_dsn,
    .open_conn = open_conn,
    .free_conn = free_conn,
    .start = start,
    .step = step,
    .fd = fd,
    .native = native,
    .is_usable = is_usable,
    .abandon = abandon,
    .session_token = session_token,
    .cancel = PLUGIN_HAS_CANCEL ? cancel : NULL,
};

WEIR_DRIVER_EXPORT const weir_driver_t* PLUGIN_ENTRY(void);
const weir_driver_t* PLUGIN_ENTRY(void) { return PLUGIN_HAS_TABLE ? &table : NULL; }
