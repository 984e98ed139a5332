/* Tokens: what names a session to others. The host keeps their bytes in shared memory.
 *
 * Threads: plain functions. */
#ifndef WEIR_NULL_TOKEN_H
#define WEIR_NULL_TOKEN_H

#include <stdbool.h>

#include "dsn.h"

struct null_token {
  char magic[8]; /* the version is in it */
  int32_t pid;   /* of the process that the server lives in */
  uint32_t size;
  int64_t session;
  char server[NULL_NAME_MAX + 8];
};

/* Names a session of this process's. */
void null_token_write(const char* server, int64_t session, weir_token_t* token);
/* False if the bytes are no token. None is trusted: whoever wrote the segment may have crashed. */
bool null_token_read(const weir_token_t* token, struct null_token* named);

#endif /* WEIR_NULL_TOKEN_H */
