/* epoll_loop: many requests, few connections, one thread.
 *
 *   epoll_loop weir.toml [REQUESTS]
 *
 * Each request waits for a connection of pool "main", keeps it for 10 ms, as one does who waits for
 * an answer, and gives it back. All of it is one loop over two descriptors: weir's, and a timer of
 * our own. What an application does with the connection meanwhile, it does with the client library
 * and a descriptor more, such as PQsocket()'s.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "weir/weir.h"

enum { kTickNs = 1000000, kTicksHeld = 10 };

/* One request: in line, then with a connection, then over. */
typedef struct request {
  weir_lease_t lease;
  int ticks_left; /* while it has one */
} request_t;

static void die(const char* what, const weir_error_t* error) {
  fprintf(stderr, "epoll_loop: %s: %s\n", what, error->message);
  exit(1);
}

static void watch(int epoll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    perror("epoll_loop: epoll_ctl");
    exit(1);
  }
}

/* Those that have ended, with a lease or without. Returns how many had none. */
static int take_what_is_done(weir_runtime_t* weir) {
  weir_error_t error = WEIR_ERROR_INIT;
  weir_ticket_t* ticket;
  void* mine;
  int failed = 0;
  while (weir_next_done(weir, &ticket, &mine, &error) == WEIR_OK) {
    request_t* const request = mine;
    if (weir_acquire_finish(ticket, &request->lease, &error) == WEIR_OK) {
      request->ticks_left = kTicksHeld;
    } else {
      fprintf(stderr, "epoll_loop: a request failed: %s\n", error.message);
      ++failed;
    }
  }
  return failed;
}

/* A millisecond later: who has had its answer gives back. Returns how many did. */
static int tick(request_t* requests, int count) {
  weir_error_t error = WEIR_ERROR_INIT;
  int over = 0;
  for (int i = 0; i < count; ++i) {
    if (requests[i].ticks_left == 0 || --requests[i].ticks_left > 0) continue;
    if (weir_release_later(&requests[i].lease, &error) != WEIR_OK) die("release", &error);
    ++over;
  }
  return over;
}

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: epoll_loop weir.toml [REQUESTS]\n");
    return 2;
  }
  const int count = argc > 2 ? atoi(argv[2]) : 200;
  request_t* const requests = calloc(count > 0 ? (size_t)count : 1, sizeof *requests);
  weir_error_t error = WEIR_ERROR_INIT;
  weir_runtime_t* weir;
  weir_pool_t* pool;
  weir_open_options_t options = {.struct_size = sizeof options, .config_path = argv[1]};
  if (weir_open(&options, &weir, &error) != WEIR_OK) die("open", &error);
  if (weir_pool(weir, "main", &pool, &error) != WEIR_OK) die("pool", &error);
  if (weir_keep(weir, NULL, &error) != WEIR_OK) die("attach", &error); /* before the loop */

  int32_t done_fd;
  if (weir_event_fd(weir, &done_fd, &error) != WEIR_OK) die("event_fd", &error);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  const struct itimerspec every = {{0, kTickNs}, {0, kTickNs}};
  timerfd_settime(timer, 0, &every, NULL);
  watch(epoll, done_fd);
  watch(epoll, timer);

  for (int i = 0; i < count; ++i) {
    weir_ticket_t* ticket;
    if (weir_acquire_start(pool, NULL, &requests[i], &ticket, &error) != WEIR_OK)
      die("acquire_start", &error);
  }
  int served = 0, failed = 0;
  while (served + failed < count) {
    struct epoll_event ready[2];
    const int events = epoll_wait(epoll, ready, 2, -1);
    if (events < 0 && errno != EINTR) break;
    for (int i = 0; i < events; ++i) {
      uint64_t ticks;
      if (ready[i].data.fd == done_fd) {
        failed += take_what_is_done(weir);
      } else if (read(timer, &ticks, sizeof ticks) == sizeof ticks) {
        served += tick(requests, count);
      }
    }
  }
  weir_pool_stats_t stats = {.struct_size = sizeof stats};
  if (weir_pool_stats(pool, &stats, &error) != WEIR_OK) die("stats", &error);
  printf("%d served, %d failed, over %u connections (max %u)\n", served, failed,
         (unsigned)stats.connects, stats.max);
  close(timer);
  close(epoll);
  free(requests);
  if (weir_close(weir, &error) != WEIR_OK) die("close", &error);
  return failed == 0 ? 0 : 1;
}
