#include "table.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

#include "failure.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_thawed;   /* on CLOCK_MONOTONIC */
static struct null_server* servers; /* never freed: a server stays where it is */
static const weir_host_t* host;
static _Atomic uint32_t generation;

uint64_t null_now_ns(void) { return host->now_ns(host->host_data); }

uint32_t null_server_generation(void) { return atomic_load(&generation); }

void null_table_lock(void) { pthread_mutex_lock(&mutex); }
void null_table_unlock(void) { pthread_mutex_unlock(&mutex); }

bool null_table_wait_thawed(uint64_t deadline_ns) {
  if (deadline_ns == UINT64_MAX) return pthread_cond_wait(&has_thawed, &mutex) == 0;
  const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                    .tv_nsec = (long)(deadline_ns % 1000000000)};
  return pthread_cond_timedwait(&has_thawed, &mutex, &deadline) != ETIMEDOUT;
}

void null_table_has_thawed(void) { pthread_cond_broadcast(&has_thawed); }

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

void null_session_ring_at(const struct null_session* session, uint64_t at_ns) {
  struct itimerspec when = {
      .it_value = {.tv_sec = (time_t)(at_ns / 1000000000), .tv_nsec = (long)(at_ns % 1000000000)}};
  timerfd_settime(session->bell, TFD_TIMER_ABSTIME, &when, NULL);
}

/* ---- servers and sessions ------------------------------------------------------------------- */

struct null_server* null_table_find(const char* name) {
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

void null_session_open(struct null_session* session) {
  weir_null_counts_t* const counts = &session->server->counts;
  ++counts->connects;
  if (++counts->sessions > counts->most_sessions) counts->most_sessions = counts->sessions;
  session->state = NULL_OPEN;
  session->since_ns = null_now_ns();
}

void null_session_end(struct null_session* session) {
  if (session->state == NULL_OPEN) --session->server->counts.sessions;
  session->state = NULL_ENDED;
  session->is_running = false;
}

void null_session_hang_up(struct null_session* session) {
  if (session->state == NULL_ENDED) return;
  null_session_end(session);
  if (!session->is_detached) null_session_ring_at(session, NULL_RING_NOW);
}

void null_table_take_out(struct null_session* session) {
  struct null_session** at = &session->server->sessions;
  while (*at != NULL && *at != session) at = &(*at)->next;
  if (*at != NULL) *at = session->next;
}

void null_table_sweep(struct null_server* server) {
  const uint64_t now_ns = null_now_ns();
  for (struct null_session** at = &server->sessions; *at != NULL;) {
    struct null_session* const session = *at;
    if (session->is_detached && (session->state == NULL_ENDED || now_ns >= session->ends_ns)) {
      null_session_hang_up(session);
      *at = session->next;
      free(session);
    } else {
      at = &session->next;
    }
  }
}

struct null_session* null_table_session(struct null_server* server, int64_t id) {
  struct null_session* session = server->sessions;
  while (session != NULL && (session->id != id || session->state != NULL_OPEN)) {
    session = session->next;
  }
  return session;
}
