/* What the server does when it is asked: null_server_ask. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "table.h"
#include "token.h"

static void answer(struct null_reply* reply, int32_t code, const char* native_text,
                   const char* text) {
  reply->is_there = true;
  reply->code = code;
  reply->native_text = native_text;
  reply->text = text;
}

static void let_in(struct null_session* session, const weir_dsn_t* dsn, struct null_reply* reply) {
  struct null_server* const server = session->server;
  if (server->wants_password && strcmp(server->password, dsn->password) != 0) {
    ++server->counts.refusals;
    null_session_end(session);
    answer(reply, WEIR_AUTH_FAILED, "password", "the server does not take this password");
  } else if (server->counts.sessions >= (int32_t)(dsn->limit - dsn->reserved)) {
    ++server->counts.refusals;
    null_session_end(session);
    answer(reply, WEIR_SERVER_FULL, "full", "the server has no room for another session");
  } else {
    null_session_open(session);
    answer(reply, WEIR_OK, NULL, "");
  }
}

static void confirm_gone(struct null_server* server, weir_confirm_gone_t* question,
                         struct null_reply* reply) {
  struct null_token named;
  if (!null_token_read(question->token, &named)) {
    answer(reply, WEIR_BAD_ARGUMENT, NULL, "confirm_gone: this is no token of this driver");
  } else if (strcmp(named.server, server->name) != 0) {
    answer(reply, WEIR_NOT_SUPPORTED, NULL, "confirm_gone: the session is another server's");
  } else {
    /* A server lives in a process and ends with it. Another process's that still runs (or whose
     * number was given away again) may have the session: a wrong yes would break a quota. */
    question->gone = named.pid == (int32_t)getpid()
                         ? null_table_session(server, named.session) == NULL
                         : kill(named.pid, 0) != 0 && errno == ESRCH;
    answer(reply, WEIR_OK, NULL, "");
  }
}

static void cancel_token(struct null_server* server, const weir_cancel_token_t* request,
                         struct null_reply* reply) {
  struct null_token named;
  if (!null_token_read(request->token, &named)) {
    answer(reply, WEIR_BAD_ARGUMENT, NULL, "cancel_token: this is no token of this driver");
  } else if (strcmp(named.server, server->name) != 0 || named.pid != (int32_t)getpid()) {
    answer(reply, WEIR_NOT_SUPPORTED, NULL,
           "cancel_token: the session is another server's or another process's");
  } else {
    struct null_session* const session = null_table_session(server, named.session);
    if (session != NULL && session->is_running) {
      session->is_cancelled = true;
      if (!session->is_detached) null_session_ring_at(session, NULL_RING_NOW);
    }
    answer(reply, WEIR_OK, NULL, "");
  }
}

static void tell_activity(const struct null_server* server, weir_server_activity_t* activity) {
  activity->total = activity->active = activity->idle = activity->idle_in_transaction = 0;
  activity->longest_query_ms = 0;
  const uint64_t now_ns = null_now_ns();
  for (const struct null_session* at = server->sessions; at != NULL; at = at->next) {
    if (at->state != NULL_OPEN) continue;
    ++activity->total;
    if (at->is_running) {
      ++activity->active;
      const int64_t ms = (int64_t)((now_ns - at->since_ns) / 1000000);
      if (ms > activity->longest_query_ms) activity->longest_query_ms = ms;
    } else if (at->in_transaction) {
      ++activity->idle_in_transaction;
    } else {
      ++activity->idle;
    }
  }
}

static void execute(struct null_session* session, struct null_request* request,
                    struct null_reply* reply) {
  if (!request->has_begun) {
    request->has_begun = true;
    ++*(request->is_lease ? &session->server->counts.statements
                          : &session->server->counts.executes);
    const weir_execute_t* const execute = request->argument;
    null_session_begin(session, execute->statement, request->statement_timeout_ms, reply);
  } else {
    null_session_go_on(session, reply);
  }
  if (session->is_running) null_session_ring_at(session, session->due_ns);
}

static void serve(struct null_session* session, struct null_request* request,
                  struct null_reply* reply) {
  struct null_server* const server = session->server;
  null_table_sweep(server);
  switch (request->op) {
    case WEIR_OP_CONNECT:
      let_in(session, request->dsn, reply);
      return;
    case WEIR_OP_CONFIRM_GONE:
      confirm_gone(server, request->argument, reply);
      return;
    case WEIR_OP_CANCEL_TOKEN:
      cancel_token(server, request->argument, reply);
      return;
    case WEIR_OP_EXECUTE:
      execute(session, request, reply);
      return;
    case WEIR_OP_PING:
      ++server->counts.pings;
      break;
    case WEIR_OP_RESET:
      ++server->counts.resets;
      null_session_clean(session, request->only_roll_back);
      break;
    case WEIR_OP_CLOSE:
      if (session->state == NULL_OPEN) ++server->counts.closes;
      null_session_end(session);
      break;
    case WEIR_OP_LIMITS: {
      weir_server_limits_t* const limits = request->argument;
      limits->max_connections = (int32_t)request->dsn->limit;
      limits->reserved = (int32_t)request->dsn->reserved;
      limits->role_limit = limits->database_limit = -1;
      if (limits->struct_size >= sizeof *limits) { /* not of a host of ABI 1.0 */
        limits->client_check_ms = -1; /* nothing runs here that could outlive its client */
      }
      break;
    }
    case WEIR_OP_ACTIVITY:
      tell_activity(server, request->argument);
      break;
    default: /* SESSIONS asks with the functions below */
      break;
  }
  answer(reply, WEIR_OK, NULL, "");
}

struct null_reply null_server_ask(struct null_session* session, struct null_request* request) {
  struct null_reply reply = {.is_there = false, .text = ""};
  null_table_lock();
  null_session_ring_at(session, 0);
  if (session->state == NULL_ENDED && request->op == WEIR_OP_CLOSE) {
    answer(&reply, WEIR_OK, NULL, ""); /* it has let go already */
  } else if (session->state == NULL_ENDED) {
    answer(&reply, WEIR_CONNECTION_BROKEN, NULL, "the server hung up");
  } else if (!session->server->is_frozen) {
    serve(session, request, &reply);
  }
  session->is_asking = !reply.is_there;
  reply.in_transaction = session->in_transaction;
  if (session->state == NULL_ENDED) null_session_ring_at(session, NULL_RING_NOW);
  null_table_unlock();
  return reply;
}
