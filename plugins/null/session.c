#include "session.h"

#include <string.h>

#include "failure.h"

static void succeed(struct null_session* session, struct null_reply* reply, const char* answer) {
  reply->is_there = true;
  reply->code = WEIR_OK;
  reply->text = "";
  reply->in_transaction = session->in_transaction;
  null_copy_cut(reply->answer, sizeof reply->answer, answer);
}

static void refuse(struct null_session* session, struct null_reply* reply, const char* native_text,
                   const char* text) {
  succeed(session, reply, text);
  reply->code = WEIR_DATABASE_ERROR;
  reply->text = text;
  reply->native_text = native_text;
}

/* What follows `word` and a space in `statement`; null if it does not begin so. */
static const char* after(const char* statement, const char* word) {
  const size_t length = strlen(word);
  if (strncmp(statement, word, length) != 0 || statement[length] != ' ') return NULL;
  return statement + length + 1;
}

static void set(struct null_session* session, const char* text, struct null_reply* reply) {
  const size_t key_length = strcspn(text, " =");
  const char* value = text + key_length;
  value += strspn(value, " ");
  if (key_length == 0 || key_length >= sizeof session->variables[0].key || *value != '=') {
    refuse(session, reply, "syntax", "SET: expected SET <key> = <value>, the key below 32 bytes");
    return;
  }
  ++value;
  value += strspn(value, " ");
  /* The variable of that name, else a free one. */
  size_t at = NULL_VARIABLES_MAX;
  for (size_t i = NULL_VARIABLES_MAX; i-- > 0;) {
    if (session->variables[i].value[0] == '\0' && at == NULL_VARIABLES_MAX) at = i;
    if (strncmp(session->variables[i].key, text, key_length) == 0 &&
        session->variables[i].key[key_length] == '\0' && session->variables[i].value[0] != '\0') {
      at = i;
      break;
    }
  }
  if (at == NULL_VARIABLES_MAX) {
    refuse(session, reply, "full", "SET: expected at most 16 variables in a session");
    return;
  }
  memcpy(session->variables[at].key, text, key_length);
  session->variables[at].key[key_length] = '\0';
  null_copy_cut(session->variables[at].value, sizeof session->variables[at].value, value);
  succeed(session, reply, "");
}

static const char* get(const struct null_session* session, const char* key) {
  for (size_t i = 0; i < NULL_VARIABLES_MAX; ++i) {
    if (strcmp(session->variables[i].key, key) == 0) return session->variables[i].value;
  }
  return "";
}

static void change_transaction(struct null_session* session, bool is_open,
                               struct null_reply* reply) {
  session->in_transaction = is_open;
  succeed(session, reply, "");
}

void null_session_begin(struct null_session* session, const char* statement,
                        uint32_t statement_timeout_ms, struct null_reply* reply) {
  const char* rest = NULL;
  session->since_ns = null_now_ns();
  if ((rest = after(statement, "SELECT")) != NULL) {
    succeed(session, reply, rest);
  } else if ((rest = after(statement, "GET")) != NULL) {
    succeed(session, reply, get(session, rest));
  } else if ((rest = after(statement, "SET")) != NULL) {
    set(session, rest, reply);
  } else if (strcmp(statement, "BEGIN") == 0) {
    change_transaction(session, true, reply);
  } else if (strcmp(statement, "COMMIT") == 0 || strcmp(statement, "ROLLBACK") == 0) {
    change_transaction(session, false, reply);
  } else if ((rest = after(statement, "SLEEP")) != NULL) {
    uint64_t ns = 0;
    if (!null_parse_duration(rest, strlen(rest), &ns)) {
      refuse(session, reply, "syntax", "SLEEP: expected a duration up to an hour (us, ms, s, m)");
      return;
    }
    const uint64_t most_ns = (uint64_t)statement_timeout_ms * 1000000;
    session->is_due_by_timeout = most_ns != 0 && most_ns < ns;
    session->due_ns = session->since_ns + (session->is_due_by_timeout ? most_ns : ns);
    session->is_running = true;
    session->is_cancelled = false;
    null_session_go_on(session, reply);
  } else {
    refuse(session, reply, "syntax",
           "expected SELECT, GET, SET, BEGIN, COMMIT, ROLLBACK or SLEEP, found another statement");
  }
}

void null_session_go_on(struct null_session* session, struct null_reply* reply) {
  if (!session->is_cancelled && null_now_ns() < session->due_ns) return; /* not there yet */
  session->is_running = false;
  session->since_ns = null_now_ns();
  if (session->is_cancelled) {
    refuse(session, reply, "cancelled", "the statement was cancelled");
  } else if (session->is_due_by_timeout) {
    refuse(session, reply, "timeout", "the statement ran longer than statement_timeout");
  } else {
    succeed(session, reply, "");
  }
}

void null_session_clean(struct null_session* session, bool only_roll_back) {
  session->in_transaction = false;
  session->since_ns = null_now_ns();
  if (!only_roll_back) memset(session->variables, 0, sizeof session->variables);
}

const char* null_session_state(const struct null_session* session) {
  if (session->is_running) return "active";
  return session->in_transaction ? "idle in transaction" : "idle";
}
