/* The script of one operation: what happens to its first, second, n-th call.
 *
 *   script    = behaviour *( "," behaviour )
 *   behaviour = action [ "@" when ]
 *   action    = "ok" | "delay:" duration | "hang" | "drop" | "fail" [ ":" code [ ":" text ] ]
 *   when      = n | "every:" n | p "%"          the n-th call only; every n-th; with a probability
 *   duration  = digits ( "us" | "ms" | "s" | "m" )         at most an hour
 *
 * Behaviours are tried in order. A delay adds to those before it and goes on; any other action that
 * applies is the outcome. If none applies the call just works. "drop": the server hangs up.
 *
 * What happens to a call depends on the script, the seed and the call's number only, so a run can
 * be repeated. Threads: plain values and functions. */
#ifndef WEIR_NULL_SCRIPT_H
#define WEIR_NULL_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum null_action {
  NULL_ACTION_OK,
  NULL_ACTION_DELAY,
  NULL_ACTION_HANG,
  NULL_ACTION_DROP,
  NULL_ACTION_FAIL
};

#define NULL_BEHAVIOURS_MAX 8
#define NULL_TEXT_MAX 96

struct null_behaviour {
  enum null_action action;
  uint64_t delay_ns;
  int32_t code; /* of fail; WEIR_OK: the operation's usual one */
  char text[NULL_TEXT_MAX];
  uint64_t nth;         /* 0: not asked for */
  uint64_t every;       /* 0: not asked for */
  uint32_t per_million; /* 1'000'000: always */
};

struct null_script {
  size_t count;
  struct null_behaviour behaviours[NULL_BEHAVIOURS_MAX];
};

/* What happens to one call. `action` is never DELAY. */
struct null_outcome {
  uint64_t delay_ns;
  enum null_action action;
  int32_t code;     /* of fail, as above */
  const char* text; /* of fail; the script's; empty: none */
};

/* What is wrong with a piece of configuration. */
struct null_complaint {
  const char* expected;
  char found[64]; /* the piece, cut to fit */
};

/* Reads `length` bytes of `text`. On failure `complaint` says why. */
bool null_script_parse(const char* text, size_t length, struct null_script* script,
                       struct null_complaint* complaint);

/* `call` counts from 1; `salt` tells operations of one seed apart. */
struct null_outcome null_script_outcome(const struct null_script* script, uint64_t seed,
                                        uint64_t salt, uint64_t call);

/* Parts of the grammar that DSN and statements use too. */
bool null_parse_duration(const char* text, size_t length, uint64_t* ns);
bool null_parse_number(const char* text, size_t length, uint64_t* number); /* decimal, all of it */

/* Decodes %XX into at most `size` bytes with the ending zero; false if it is not well-formed, holds
 * a zero or does not fit. */
bool null_percent_decode(const char* text, size_t length, char* decoded, size_t size);

/* Fills in a complaint; returns false. */
bool null_complain(struct null_complaint* complaint, const char* expected, const char* found,
                   size_t length);

#endif /* WEIR_NULL_SCRIPT_H */
