#include "dsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"

static const char scheme[] = "null://";

static const char* const operation_names[NULL_OPERATIONS] = {
    [WEIR_OP_CONNECT] = "connect",
    [WEIR_OP_PING] = "ping",
    [WEIR_OP_RESET] = "reset",
    [WEIR_OP_CLOSE] = "close",
    [WEIR_OP_EXECUTE] = "execute",
    [WEIR_OP_CONFIRM_GONE] = "confirm_gone",
    [WEIR_OP_CANCEL_TOKEN] = "cancel_token",
    [WEIR_OP_LIMITS] = "limits",
    [WEIR_OP_ACTIVITY] = "activity",
    [WEIR_OP_SESSIONS] = "sessions",
};

const char* null_operation_name(int32_t op) {
  return op >= WEIR_OP_CONNECT && op < NULL_OPERATIONS ? operation_names[op] : NULL;
}

/* Keys are numbered: the operations by enum weir_op, then the others. The number is the order in
 * which a DSN is shown. */
enum {
  KEY_USER = NULL_SCRIPTS,
  KEY_PASSWORD,
  KEY_LIMIT,
  KEY_RESERVED,
  KEY_LINGER,
  KEY_SEED,
  KEY_COUNT
};

static const char* key_name(int key) {
  static const char* const others[] = {"export", "import",   "user",   "password",
                                       "limit",  "reserved", "linger", "seed"};
  return key < NULL_OPERATIONS ? operation_names[key] : others[key - NULL_OPERATIONS];
}

static int key_number(const char* name, size_t length) {
  for (int key = WEIR_OP_CONNECT; key < KEY_COUNT; ++key) {
    if (strlen(key_name(key)) == length && memcmp(key_name(key), name, length) == 0) return key;
  }
  return 0;
}

/* Values as they stand in the text, by key; at is null where the key is not given. */
struct values {
  struct {
    const char* at;
    size_t length;
  } of[KEY_COUNT];
};

static bool is_name(const char* text, size_t length) {
  if (length == 0 || length > NULL_NAME_MAX) return false;
  return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") >=
         length;
}

static bool parse_below(const char* text, size_t length, uint64_t most, uint64_t* number) {
  return null_parse_number(text, length, number) && *number <= most;
}

static bool never_waits(const struct null_script* script) {
  for (size_t i = 0; i < script->count; ++i) {
    const enum null_action action = script->behaviours[i].action;
    if (action != NULL_ACTION_OK && action != NULL_ACTION_FAIL) return false;
  }
  return true;
}

/* Reads one value into `dsn`. */
static bool read_value(weir_dsn_t* dsn, int key, const char* text, size_t length,
                       struct null_complaint* complaint) {
  uint64_t number = 0;
  switch (key) {
    case KEY_USER:
      if (!is_name(text, length)) {
        return null_complain(complaint, "1 to 64 letters, digits, dots, _ or -", text, length);
      }
      memcpy(dsn->user, text, length);
      return true;
    case KEY_PASSWORD:
      return null_percent_decode(text, length, dsn->password, sizeof dsn->password) ||
             null_complain(complaint, "at most 255 bytes, % written as %25", "a value not shown",
                           strlen("a value not shown"));
    case KEY_LIMIT:
      if (!parse_below(text, length, 1000000, &number) || number == 0) {
        return null_complain(complaint, "a number from 1 to 1000000", text, length);
      }
      dsn->limit = (uint32_t)number;
      return true;
    case KEY_RESERVED:
      if (!parse_below(text, length, 1000000, &number)) {
        return null_complain(complaint, "a number from 0 to 1000000", text, length);
      }
      dsn->reserved = (uint32_t)number;
      return true;
    case KEY_LINGER:
      return null_parse_duration(text, length, &dsn->linger_ns) ||
             null_complain(complaint, "a duration up to an hour (us, ms, s, m)", text, length);
    case KEY_SEED:
      return null_parse_number(text, length, &dsn->seed) ||
             null_complain(complaint, "a number of at most 18 digits", text, length);
    default:
      return null_script_parse(text, length, &dsn->scripts[key], complaint) &&
             (key < NULL_OPERATIONS || never_waits(&dsn->scripts[key]) ||
              null_complain(complaint, "ok or fail, for this does not wait", text, length));
  }
}

/* Reads what follows the question mark. What comes after a password may be the rest of one that was
 * not percent-encoded, so from there on nothing is quoted. */
static int32_t read_query(weir_dsn_t* dsn, const char* text, struct values* values,
                          weir_error_t* error) {
  bool may_quote = true;
  for (;;) {
    const size_t length = strcspn(text, "&");
    const char* const equals = memchr(text, '=', length);
    const size_t key_length = equals != NULL ? (size_t)(equals - text) : length;
    const int key = key_number(text, key_length);
    struct null_complaint complaint;
    if (key == 0) {
      null_complain(&complaint, "", text, key_length);
      return null_fail(
          error, WEIR_BAD_CONFIG, NULL,
          "dsn: %s: expected user, password, limit, reserved, linger, seed or an "
          "operation (connect, ping, reset, ...), found another key",
          may_quote ? complaint.found : "a key after password= (in a password, & is written %26)");
    }
    if (equals == NULL || values->of[key].at != NULL) {
      return null_fail(error, WEIR_BAD_CONFIG, NULL, "dsn: %s: expected one value, found %s",
                       key_name(key), equals == NULL ? "none" : "a second one");
    }
    if (key == KEY_PASSWORD) may_quote = false;
    values->of[key].at = equals + 1;
    values->of[key].length = length - key_length - 1;
    if (!read_value(dsn, key, equals + 1, length - key_length - 1, &complaint)) {
      return null_fail(error, WEIR_BAD_CONFIG, NULL, "dsn: %s: expected %s, found %s%s%s",
                       key_name(key), complaint.expected, may_quote ? "\"" : "",
                       may_quote ? complaint.found : "a value not shown", may_quote ? "\"" : "");
    }
    if (text[length] == '\0') break;
    text += length + 1;
  }
  if (dsn->reserved >= dsn->limit) {
    return null_fail(error, WEIR_BAD_CONFIG, NULL,
                     "dsn: reserved: expected less than limit (%u), found %u", dsn->limit,
                     dsn->reserved);
  }
  return WEIR_OK;
}

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static uint64_t hash(uint64_t so_far, const char* text, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    so_far = (so_far ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
  }
  return so_far;
}

struct shown {
  weir_dsn_info_t* info;
  size_t used;
};

/* Appends to what is shown, as far as it fits, and to the fingerprint, all of it. */
static void show(struct shown* shown, const char* text, size_t length) {
  shown->info->fingerprint = hash(shown->info->fingerprint, text, length);
  const size_t room = sizeof shown->info->display - 1 - shown->used;
  if (length > room) length = room;
  memcpy(shown->info->display + shown->used, text, length);
  shown->used += length;
  shown->info->display[shown->used] = '\0';
}

static void describe(const weir_dsn_t* dsn, const struct values* values, weir_dsn_info_t* info) {
  snprintf(info->server_identity, sizeof info->server_identity, "null:%s", dsn->server);
  info->fingerprint = UINT64_C(0xcbf29ce484222325);
  struct shown shown = {info, 0};
  show(&shown, scheme, strlen(scheme));
  show(&shown, dsn->server, strlen(dsn->server));
  char mark = '?';
  for (int key = WEIR_OP_CONNECT; key < KEY_COUNT; ++key) {
    if (key == KEY_PASSWORD || values->of[key].at == NULL) continue;
    show(&shown, &mark, 1);
    show(&shown, key_name(key), strlen(key_name(key)));
    show(&shown, "=", 1);
    show(&shown, values->of[key].at, values->of[key].length);
    mark = '&';
  }
}

int32_t null_dsn_parse(const char* text, weir_dsn_t** dsn, weir_dsn_info_t* info,
                       weir_error_t* error) {
  if (text == NULL || dsn == NULL || info == NULL || info->struct_size < sizeof *info) {
    return null_fail(error, WEIR_BAD_ARGUMENT, NULL, "parse_dsn: an argument is missing");
  }
  if (strncmp(text, scheme, strlen(scheme)) != 0) {
    return null_fail(error, WEIR_BAD_CONFIG, NULL,
                     "dsn: scheme: expected null://<server>, found another beginning");
  }
  text += strlen(scheme);
  const size_t name_length = strcspn(text, "?");
  if (!is_name(text, name_length)) { /* not quoted: it may be user:password@server */
    return null_fail(error, WEIR_BAD_CONFIG, NULL,
                     "dsn: server: expected 1 to 64 letters, digits, dots, _ or -, found %s",
                     name_length == 0 ? "nothing" : "something else");
  }
  weir_dsn_t* const parsed = calloc(1, sizeof *parsed);
  if (parsed == NULL) return null_fail(error, WEIR_OUT_OF_MEMORY, NULL, "dsn: no memory");
  memcpy(parsed->server, text, name_length);
  parsed->limit = 100;
  struct values values = {0};
  if (text[name_length] == '?') {
    const int32_t code = read_query(parsed, text + name_length + 1, &values, error);
    if (code != WEIR_OK) {
      null_dsn_free(parsed);
      return code;
    }
  }
  describe(parsed, &values, info);
  parsed->fingerprint = info->fingerprint;
  *dsn = parsed;
  return WEIR_OK;
}

void null_dsn_free(weir_dsn_t* dsn) {
  if (dsn != NULL) explicit_bzero(dsn->password, sizeof dsn->password);
  free(dsn);
}

struct null_outcome null_dsn_next_outcome(const weir_dsn_t* dsn, int32_t op) {
  /* The host holds the DSN as constant; how often it was used is not part of what it says. */
  _Atomic uint64_t* const calls = (_Atomic uint64_t*)&dsn->calls[op];
  const uint64_t call = atomic_fetch_add_explicit(calls, 1, memory_order_relaxed) + 1;
  return null_script_outcome(&dsn->scripts[op], dsn->seed, (uint64_t)op, call);
}
