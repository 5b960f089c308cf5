/* Sentences for people. They are bounded, and text that comes from a replica is cleaned of control characters. */
#ifndef ORDAIN_CLIENT_TEXT_H
#define ORDAIN_CLIENT_TEXT_H

#include <stddef.h>

/* snprintf that accepts a NULL or empty buffer and truncates silently. */
__attribute__((format(printf, 3, 4))) void client_say(char *out, size_t out_size, const char *format, ...);

/* Copies text of an untrusted origin. Bytes that are not printable ASCII become '?'. */
void client_clean(char *out, size_t out_size, const char *text);

#endif
