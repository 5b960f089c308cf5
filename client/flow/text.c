/*
 * Sentences for people.
 */
#include "client/flow/text.h"

#include <stdarg.h>
#include <stdio.h>

void client_say(char *out, size_t out_size, const char *format, ...) {
    if (out == NULL || out_size == 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out, out_size, format, arguments);
    va_end(arguments);
}

void client_clean(char *out, size_t out_size, const char *text) {
    if (out == NULL || out_size == 0)
        return;
    size_t i = 0;
    if (text != NULL)
        for (; i + 1 < out_size && text[i] != '\0'; i++)
            out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    out[i] = '\0';
}
