#include "server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "failure.h"
#include "session.h"

struct null_server {
  struct null_server* next;
  char name[NULL_NAME_MAX + 1];
  struct null_session* sessions;
  bool is_frozen;
  bool wants_password;
  char password[256];
  weir_null_counts_t counts; /* sessions is the truth about OPEN ones, too */
};

/* Guards all below, and every session. No callback of the host's runs under it. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_thawed;   /* on CLOCK_MONOTONIC */
static struct null_server* servers; /* never freed: a server stays where it is */
static int64_t last_id;
static const weir_host_t* host;
static _Atomic uint32_t generation;

uint64_t null_now_ns(void) { return host->now_ns(host->host_data); }

uint32_t null_server_generation(void) { return atomic_load(&generation); }

/* ---- forks ---------------------------------------------------------------------------------- */

static void set_up_condition(void) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&has_thawed, &attributes);
  pthread_condattr_destroy(&attributes);
}

static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void in_parent(void) { pthread_mutex_unlock(&mutex); }
static void in_child(void) {
  /* The parent's sessions stay with their connections, which forget them; the tables are new. */
  for (struct null_server* server = servers; server != NULL; server = server->next) {
    server->sessions = NULL;
    server->is_frozen = false;
    memset(&server->counts, 0, sizeof server->counts);
  }
  set_up_condition();
  atomic_fetch_add(&generation, 1);
  pthread_mutex_unlock(&mutex);
}

void null_server_init(const weir_host_t* host_table) {
  host = host_table;
  set_up_condition();
  pthread_atfork(before_fork, in_parent, in_child);
}

/* ---- bells ---------------------------------------------------------------------------------- */

#define NOW 1 /* a moment that has long passed, and not 0, which disarms a timer */

static void ring_at(const struct null_session* session, uint64_t at_ns) {
  struct itimerspec when = {
      .it_value = {.tv_sec = (time_t)(at_ns / 1000000000), .tv_nsec = (long)(at_ns % 1000000000)}};
  timerfd_settime(session->bell, TFD_TIMER_ABSTIME, &when, NULL);
}

/* ---- the table; all with the mutex ---------------------------------------------------------- */

/* The server of that name, made if need be; null: no memory. */
static struct null_server* find(const char* name) {
  for (struct null_server* server = servers; server != NULL; server = server->next) {
    if (strcmp(server->name, name) == 0) return server;
  }
  struct null_server* const server = calloc(1, sizeof *server);
  if (server == NULL) return NULL;
  null_copy_cut(server->name, sizeof server->name, name);
  server->next = servers;
  servers = server;
  return server;
}

static void open_session(struct null_session* session) {
  weir_null_counts_t* const counts = &session->server->counts;
  ++counts->connects;
  if (++counts->sessions > counts->most_sessions) counts->most_sessions = counts->sessions;
  session->state = NULL_OPEN;
  session->since_ns = null_now_ns();
}

static void end_session(struct null_session* session) {
  if (session->state == NULL_OPEN) --session->server->counts.sessions;
  session->state = NULL_ENDED;
  session->is_running = false;
}

static void hang_up(struct null_session* session) {
  if (session->state == NULL_ENDED) return;
  end_session(session);
  if (!session->is_detached) ring_at(session, NOW);
}

static void take_out(struct null_session* session) {
  struct null_session** at = &session->server->sessions;
  while (*at != NULL && *at != session) at = &(*at)->next;
  if (*at != NULL) *at = session->next;
}

/* Frees the detached sessions whose time has come. */
static void sweep(struct null_server* server) {
  const uint64_t now_ns = null_now_ns();
  for (struct null_session** at = &server->sessions; *at != NULL;) {
    struct null_session* const session = *at;
    if (session->is_detached && (session->state == NULL_ENDED || now_ns >= session->ends_ns)) {
      hang_up(session);
      *at = session->next;
      free(session);
    } else {
      at = &session->next;
    }
  }
}

static struct null_session* session_of(struct null_server* server, int64_t id) {
  struct null_session* session = server->sessions;
  while (session != NULL && (session->id != id || session->state != NULL_OPEN)) {
    session = session->next;
  }
  return session;
}

/* ---- the client's side of a session --------------------------------------------------------- */

struct null_session* null_server_knock(const weir_dsn_t* dsn, const char* client_name) {
  struct null_session* const session = calloc(1, sizeof *session);
  if (session == NULL) return NULL;
  session->bell = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (session->bell < 0) {
    free(session);
    return NULL;
  }
  null_copy_cut(session->client_name, sizeof session->client_name, client_name);
  pthread_mutex_lock(&mutex);
  session->server = find(dsn->server);
  if (session->server != NULL) {
    session->id = ++last_id;
    session->next = session->server->sessions;
    session->server->sessions = session;
  }
  pthread_mutex_unlock(&mutex);
  if (session->server == NULL) {
    null_server_forget(session);
    errno = ENOMEM;
    return NULL;
  }
  return session;
}

void null_server_detach(struct null_session* session, uint64_t linger_ns) {
  pthread_mutex_lock(&mutex);
  close(session->bell);
  session->is_detached = true;
  session->ends_ns = null_now_ns() + linger_ns;
  if (session->state != NULL_OPEN || linger_ns == 0) {
    hang_up(session);
    take_out(session);
    free(session);
  } else {
    session->bell = -1;
    session->is_running = false;
  }
  pthread_mutex_unlock(&mutex);
}

void null_server_forget(struct null_session* session) {
  close(session->bell);
  free(session);
}

int64_t null_session_id(const struct null_session* session) { return session->id; }
int null_session_bell(const struct null_session* session) { return session->bell; }

struct null_sight null_session_look(struct null_session* session, uint64_t bell_ns) {
  pthread_mutex_lock(&mutex);
  const struct null_sight sight = {.has_ended = session->state == NULL_ENDED,
                                   .has_unasked = session->has_unasked};
  ring_at(session, sight.has_ended ? NOW : bell_ns);
  pthread_mutex_unlock(&mutex);
  return sight;
}

void null_server_end(struct null_session* session) {
  pthread_mutex_lock(&mutex);
  hang_up(session);
  pthread_mutex_unlock(&mutex);
}

int32_t null_server_cancel(struct null_session* session, uint64_t deadline_ns) {
  const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                    .tv_nsec = (long)(deadline_ns % 1000000000)};
  int32_t code = WEIR_OK;
  pthread_mutex_lock(&mutex);
  while (session->server->is_frozen && code == WEIR_OK) {
    if (deadline_ns == UINT64_MAX) {
      pthread_cond_wait(&has_thawed, &mutex);
    } else if (pthread_cond_timedwait(&has_thawed, &mutex, &deadline) == ETIMEDOUT) {
      code = WEIR_TIMEOUT;
    }
  }
  if (code == WEIR_OK && session->is_running) {
    session->is_cancelled = true;
    ring_at(session, NOW);
  }
  pthread_mutex_unlock(&mutex);
  return code;
}

/* ---- tokens --------------------------------------------------------------------------------- */

struct token {
  char magic[8]; /* the version is in it */
  int32_t pid;   /* of the process that the server lives in */
  uint32_t size;
  int64_t session;
  char server[NULL_NAME_MAX + 8];
};
static const char token_magic[8] = "WNULL-1";

void null_server_token(const struct null_session* session, weir_token_t* token) {
  struct token named = {.pid = (int32_t)getpid(), .size = sizeof named, .session = session->id};
  memcpy(named.magic, token_magic, sizeof named.magic);
  null_copy_cut(named.server, sizeof named.server, session->server->name);
  token->size = sizeof named;
  memcpy(token->bytes, &named, sizeof named);
}

/* Nothing that is read back is trusted: whoever wrote the segment may have crashed. */
static bool read_token(const weir_token_t* token, struct token* named) {
  if (token->size != sizeof *named) return false;
  memcpy(named, token->bytes, sizeof *named);
  return memcmp(named->magic, token_magic, sizeof token_magic) == 0 &&
         named->size == sizeof *named && named->pid > 0 && named->session > 0 &&
         memchr(named->server, '\0', sizeof named->server) != NULL;
}

bool null_token_is_good(const weir_token_t* token) {
  struct token named;
  return read_token(token, &named);
}

/* ---- requests ------------------------------------------------------------------------------- */

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
    end_session(session);
    answer(reply, WEIR_AUTH_FAILED, "password", "the server does not take this password");
  } else if (server->counts.sessions >= (int32_t)(dsn->limit - dsn->reserved)) {
    ++server->counts.refusals;
    end_session(session);
    answer(reply, WEIR_SERVER_FULL, "full", "the server has no room for another session");
  } else {
    open_session(session);
    answer(reply, WEIR_OK, NULL, "");
  }
}

static void confirm_gone(struct null_server* server, weir_confirm_gone_t* question,
                         struct null_reply* reply) {
  struct token named;
  if (!read_token(question->token, &named)) {
    answer(reply, WEIR_BAD_ARGUMENT, NULL, "confirm_gone: this is no token of this driver");
  } else if (strcmp(named.server, server->name) != 0) {
    answer(reply, WEIR_NOT_SUPPORTED, NULL, "confirm_gone: the session is another server's");
  } else {
    /* A server lives in a process and ends with it. Another process's that still runs (or whose
     * number was given away again) may have the session: a wrong yes would break a quota. */
    question->gone = named.pid == (int32_t)getpid() ? session_of(server, named.session) == NULL
                                                    : kill(named.pid, 0) != 0 && errno == ESRCH;
    answer(reply, WEIR_OK, NULL, "");
  }
}

static void cancel_token(struct null_server* server, const weir_cancel_token_t* request,
                         struct null_reply* reply) {
  struct token named;
  if (!read_token(request->token, &named)) {
    answer(reply, WEIR_BAD_ARGUMENT, NULL, "cancel_token: this is no token of this driver");
  } else if (strcmp(named.server, server->name) != 0 || named.pid != (int32_t)getpid()) {
    answer(reply, WEIR_NOT_SUPPORTED, NULL,
           "cancel_token: the session is another server's or another process's");
  } else {
    struct null_session* const session = session_of(server, named.session);
    if (session != NULL && session->is_running) {
      session->is_cancelled = true;
      if (!session->is_detached) ring_at(session, NOW);
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
  if (session->is_running) ring_at(session, session->due_ns);
}

static void serve(struct null_session* session, struct null_request* request,
                  struct null_reply* reply) {
  struct null_server* const server = session->server;
  sweep(server);
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
      end_session(session);
      break;
    case WEIR_OP_LIMITS: {
      weir_server_limits_t* const limits = request->argument;
      limits->max_connections = (int32_t)request->dsn->limit;
      limits->reserved = (int32_t)request->dsn->reserved;
      limits->role_limit = limits->database_limit = -1;
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
  pthread_mutex_lock(&mutex);
  ring_at(session, 0);
  if (session->state == NULL_ENDED && request->op == WEIR_OP_CLOSE) {
    answer(&reply, WEIR_OK, NULL, ""); /* it has let go already */
  } else if (session->state == NULL_ENDED) {
    answer(&reply, WEIR_CONNECTION_BROKEN, NULL, "the server hung up");
  } else if (!session->server->is_frozen) {
    serve(session, request, &reply);
  }
  session->is_asking = !reply.is_there;
  reply.in_transaction = session->in_transaction;
  if (session->state == NULL_ENDED) ring_at(session, NOW);
  pthread_mutex_unlock(&mutex);
  return reply;
}

/* ---- for who controls the server ------------------------------------------------------------ */

void null_server_counts(const char* name, weir_null_counts_t* counts) {
  pthread_mutex_lock(&mutex);
  struct null_server* const server = find(name);
  if (server != NULL) {
    sweep(server);
    weir_null_counts_t told = server->counts;
    told.struct_size = counts->struct_size;
    memcpy(counts, &told, told.struct_size < sizeof told ? told.struct_size : sizeof told);
  }
  pthread_mutex_unlock(&mutex);
}

static void describe(const struct null_session* session, weir_session_t* description) {
  const uint64_t now_ns = null_now_ns();
  description->server_pid = session->id;
  null_copy_cut(description->client_name, sizeof description->client_name, session->client_name);
  null_copy_cut(description->state, sizeof description->state, null_session_state(session));
  description->state_ms = (int64_t)((now_ns - session->since_ns) / 1000000);
  null_copy_cut(description->wait, sizeof description->wait, session->is_running ? "sleep" : "");
}

int32_t null_server_describe(const char* name, int64_t id, weir_session_t* description) {
  pthread_mutex_lock(&mutex);
  struct null_server* const server = find(name);
  const struct null_session* session = NULL;
  if (server != NULL) {
    sweep(server);
    session = session_of(server, id);
  }
  if (session != NULL) describe(session, description);
  pthread_mutex_unlock(&mutex);
  return session != NULL ? WEIR_OK : WEIR_NOT_FOUND;
}

size_t null_server_list(const char* name, weir_session_t** list) {
  pthread_mutex_lock(&mutex);
  struct null_server* const server = find(name);
  const size_t room = server != NULL ? (size_t)server->counts.sessions : 0;
  size_t count = 0;
  *list = calloc(room + 1, sizeof **list);
  if (*list != NULL && room > 0) {
    for (const struct null_session* at = server->sessions; at != NULL; at = at->next) {
      if (at->state != NULL_OPEN || count == room) continue;
      (*list)[count].struct_size = sizeof **list;
      describe(at, &(*list)[count++]);
    }
  }
  pthread_mutex_unlock(&mutex);
  return count;
}

int32_t null_server_hang_up(const char* name, int64_t id) {
  pthread_mutex_lock(&mutex);
  struct null_server* const server = find(name);
  struct null_session* const session = server != NULL ? session_of(server, id) : NULL;
  if (session != NULL) hang_up(session);
  pthread_mutex_unlock(&mutex);
  return session != NULL ? WEIR_OK : WEIR_NOT_FOUND;
}

int32_t null_server_send_unasked(const char* name, int64_t id) {
  pthread_mutex_lock(&mutex);
  struct null_server* const server = find(name);
  struct null_session* const session = server != NULL ? session_of(server, id) : NULL;
  if (session != NULL && !session->is_detached) {
    session->has_unasked = true;
    ring_at(session, NOW);
  }
  pthread_mutex_unlock(&mutex);
  return session != NULL ? WEIR_OK : WEIR_NOT_FOUND;
}

static void set_frozen(const char* name, bool is_frozen) {
  pthread_mutex_lock(&mutex);
  struct null_server* const server = find(name);
  if (server != NULL) {
    server->is_frozen = is_frozen;
    if (!is_frozen) {
      /* Whoever waits for an answer asks again. */
      for (const struct null_session* at = server->sessions; at != NULL; at = at->next) {
        if (!at->is_detached && at->is_asking) ring_at(at, NOW);
      }
      pthread_cond_broadcast(&has_thawed);
    }
  }
  pthread_mutex_unlock(&mutex);
}

void null_server_freeze(const char* name) { set_frozen(name, true); }
void null_server_thaw(const char* name) { set_frozen(name, false); }

void null_server_require_password(const char* name, const char* password) {
  pthread_mutex_lock(&mutex);
  struct null_server* const server = find(name);
  if (server != NULL) {
    server->wants_password = password != NULL;
    null_copy_cut(server->password, sizeof server->password, password != NULL ? password : "");
  }
  pthread_mutex_unlock(&mutex);
}
