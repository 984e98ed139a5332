#include "token.h"

#include <string.h>
#include <unistd.h>

#include "failure.h"

static const char magic[8] = "WNULL-1";

void null_token_write(const char* server, int64_t session, weir_token_t* token) {
  struct null_token named = {.pid = (int32_t)getpid(), .size = sizeof named, .session = session};
  memcpy(named.magic, magic, sizeof named.magic);
  null_copy_cut(named.server, sizeof named.server, server);
  token->size = sizeof named;
  memcpy(token->bytes, &named, sizeof named);
}

bool null_token_read(const weir_token_t* token, struct null_token* named) {
  if (token->size != sizeof *named) return false;
  memcpy(named, token->bytes, sizeof *named);
  return memcmp(named->magic, magic, sizeof magic) == 0 && named->size == sizeof *named &&
         named->pid > 0 && named->session > 0 &&
         memchr(named->server, '\0', sizeof named->server) != NULL;
}
