#include "script.h"

#include <string.h>

#include "weir/codes.h"

#define ALWAYS 1000000u
#define HOUR_NS UINT64_C(3600000000000)

/* A piece of somebody else's text. */
struct piece {
  const char* at;
  size_t length;
};

static bool is(struct piece piece, const char* word) {
  return piece.length == strlen(word) && memcmp(piece.at, word, piece.length) == 0;
}

/* Takes what is before the first `mark` off `rest`, and the mark; all of it if there is none. */
static struct piece take(struct piece* rest, char mark, bool* had_mark) {
  const char* const end = memchr(rest->at, mark, rest->length);
  struct piece taken = *rest;
  *had_mark = end != NULL;
  if (end == NULL) {
    rest->at += rest->length;
    rest->length = 0;
    return taken;
  }
  taken.length = (size_t)(end - rest->at);
  rest->at = end + 1;
  rest->length -= taken.length + 1;
  return taken;
}

bool null_complain(struct null_complaint* complaint, const char* expected, const char* found,
                   size_t length) {
  complaint->expected = expected;
  if (length > sizeof complaint->found - 1) length = sizeof complaint->found - 1;
  for (size_t i = 0; i < length; ++i) {
    const unsigned char c = (unsigned char)found[i];
    complaint->found[i] = c < 0x20 || c == 0x7f ? '?' : found[i]; /* a message is one line */
  }
  complaint->found[length] = '\0';
  return false;
}

bool null_parse_number(const char* text, size_t length, uint64_t* number) {
  if (length == 0 || length > 18) return false; /* 18 digits always fit */
  *number = 0;
  for (size_t i = 0; i < length; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    *number = *number * 10 + (uint64_t)(text[i] - '0');
  }
  return true;
}

bool null_parse_duration(const char* text, size_t length, uint64_t* ns) {
  static const struct {
    const char* name;
    uint64_t ns;
  } units[] = {{"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"m", UINT64_C(60000000000)}};
  size_t digits = 0;
  while (digits < length && text[digits] >= '0' && text[digits] <= '9') ++digits;
  uint64_t count = 0;
  if (!null_parse_number(text, digits, &count)) return false;
  const struct piece unit = {text + digits, length - digits};
  for (size_t i = 0; i < sizeof units / sizeof units[0]; ++i) {
    if (!is(unit, units[i].name)) continue;
    if (count > HOUR_NS / units[i].ns) return false;
    *ns = count * units[i].ns;
    return true;
  }
  return false;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool null_percent_decode(const char* text, size_t length, char* decoded, size_t size) {
  size_t used = 0;
  for (size_t i = 0; i < length; ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < length ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return false;
      c = (char)(high * 16 + low);
      i += 2;
    }
    if (c == '\0' || used + 1 >= size) return false;
    decoded[used++] = c;
  }
  decoded[used] = '\0';
  return true;
}

static bool code_of(struct piece name, int32_t* code) {
#define KNOW_CODE(upper, number, text, retryable, is_timeout) \
  if ((number) != WEIR_OK && is(name, text)) {                \
    *code = (number);                                         \
    return true;                                              \
  }
  WEIR_CODES(KNOW_CODE)
#undef KNOW_CODE
  return false;
}

static bool parse_when(struct piece when, struct null_behaviour* behaviour,
                       struct null_complaint* complaint) {
  static const char expected[] = "a call's number, every:<number> or <percent>% after the @";
  const size_t every = strlen("every:");
  bool is_good = false;
  if (when.length > every && memcmp(when.at, "every:", every) == 0) {
    is_good = null_parse_number(when.at + every, when.length - every, &behaviour->every) &&
              behaviour->every > 0;
  } else if (when.length > 1 && when.at[when.length - 1] == '%') {
    uint64_t percent = 0;
    is_good = null_parse_number(when.at, when.length - 1, &percent) && percent <= 100;
    behaviour->per_million = is_good ? (uint32_t)percent * (ALWAYS / 100) : 0;
  } else {
    is_good = null_parse_number(when.at, when.length, &behaviour->nth) && behaviour->nth > 0;
  }
  return is_good || null_complain(complaint, expected, when.at, when.length);
}

static bool parse_fail(struct piece rest, struct null_behaviour* behaviour,
                       struct null_complaint* complaint) {
  bool has_text = false;
  const struct piece code = take(&rest, ':', &has_text);
  if (!code_of(code, &behaviour->code)) {
    return null_complain(complaint, "one of weir's failure codes after fail:", code.at,
                         code.length);
  }
  if (has_text &&
      !null_percent_decode(rest.at, rest.length, behaviour->text, sizeof behaviour->text)) {
    return null_complain(complaint, "a text of at most 95 bytes, % written as %25", rest.at,
                         rest.length);
  }
  return true;
}

static bool parse_behaviour(struct piece text, struct null_behaviour* behaviour,
                            struct null_complaint* complaint) {
  *behaviour = (struct null_behaviour){.per_million = ALWAYS};
  struct piece when = text;
  bool has_when = false;
  struct piece rest = take(&when, '@', &has_when);
  if (has_when && !parse_when(when, behaviour, complaint)) return false;

  const struct piece action_and_more = rest;
  bool has_more = false;
  const struct piece action = take(&rest, ':', &has_more);
  if (is(action, "fail")) {
    behaviour->action = NULL_ACTION_FAIL;
    return !has_more || parse_fail(rest, behaviour, complaint);
  }
  if (is(action, "delay")) {
    behaviour->action = NULL_ACTION_DELAY;
    return null_parse_duration(rest.at, rest.length, &behaviour->delay_ns) ||
           null_complain(complaint, "a duration up to an hour (us, ms, s, m) after delay:", rest.at,
                         rest.length);
  }
  if (is(action_and_more, "ok")) {
    behaviour->action = NULL_ACTION_OK;
  } else if (is(action_and_more, "hang")) {
    behaviour->action = NULL_ACTION_HANG;
  } else if (is(action_and_more, "drop")) {
    behaviour->action = NULL_ACTION_DROP;
  } else {
    return null_complain(complaint, "ok, delay:<duration>, hang, drop or fail[:<code>[:<text>]]",
                         action_and_more.at, action_and_more.length);
  }
  return true;
}

bool null_script_parse(const char* text, size_t length, struct null_script* script,
                       struct null_complaint* complaint) {
  struct piece rest = {text, length};
  script->count = 0;
  for (bool has_more = true; has_more;) {
    if (script->count == NULL_BEHAVIOURS_MAX) {
      return null_complain(complaint, "at most 8 behaviours", rest.at, rest.length);
    }
    const struct piece behaviour = take(&rest, ',', &has_more);
    if (!parse_behaviour(behaviour, &script->behaviours[script->count], complaint)) return false;
    ++script->count;
  }
  return true;
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014). */
static uint64_t mix(uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

struct null_outcome null_script_outcome(const struct null_script* script, uint64_t seed,
                                        uint64_t salt, uint64_t call) {
  struct null_outcome outcome = {.action = NULL_ACTION_OK, .code = WEIR_OK, .text = ""};
  for (size_t i = 0; i < script->count; ++i) {
    const struct null_behaviour* const behaviour = &script->behaviours[i];
    if (behaviour->nth != 0 && behaviour->nth != call) continue;
    if (behaviour->every != 0 && call % behaviour->every != 0) continue;
    /* Each behaviour throws its own die, so two of 50% are not the same half. */
    const uint64_t die = mix(mix(mix(mix(seed) ^ salt) ^ i) ^ call) % ALWAYS;
    if (die >= behaviour->per_million) continue;
    if (behaviour->action == NULL_ACTION_DELAY) {
      outcome.delay_ns += behaviour->delay_ns;
      continue;
    }
    outcome.action = behaviour->action;
    outcome.code = behaviour->code;
    outcome.text = behaviour->text;
    break;
  }
  return outcome;
}
