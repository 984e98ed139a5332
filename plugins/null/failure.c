#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void null_copy_cut(char* target, size_t size, const char* text) {
  size_t length = strlen(text);
  if (length > size - 1) length = size - 1;
  memcpy(target, text, length);
  target[length] = '\0';
}

int32_t null_fail(weir_error_t* error, int32_t code, const char* native_text, const char* format,
                  ...) {
  if (error == NULL) return code;
  weir_error_t filled = {.struct_size = error->struct_size, .code = code};
  if (native_text != NULL) {
    null_copy_cut(filled.native_text, sizeof filled.native_text, native_text);
  }
  const size_t message_at = offsetof(weir_error_t, message);
  size_t bytes = error->struct_size;
  if (bytes > sizeof filled) bytes = sizeof filled;
  if (bytes > message_at) {
    /* A shorter error of an older host ends inside the message, which must still end with a zero.
     */
    char message[sizeof filled.message] = "null: ";
    const size_t prefix = strlen(message);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message + prefix, sizeof message - prefix, format, arguments);
    va_end(arguments);
    size_t room = bytes - message_at;
    if (room > sizeof filled.message) room = sizeof filled.message;
    null_copy_cut(filled.message, room, message);
  }
  memcpy(error, &filled, bytes);
  return code;
}
