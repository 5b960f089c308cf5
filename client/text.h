/*
 * Sentences for people: bounded, and clean of control characters where their words come from a replica.
 */
#ifndef ORDAIN_CLIENT_TEXT_H
#define ORDAIN_CLIENT_TEXT_H

#include <stddef.h>

/* snprintf that takes a NULL or empty buffer and cuts without complaint. */
__attribute__((format(printf, 3, 4))) void client_say(char *out, size_t out_size, const char *format, ...);

/* Copies what a stranger wrote: bytes that are not printable ASCII become '?'. */
void client_clean(char *out, size_t out_size, const char *text);

#endif
