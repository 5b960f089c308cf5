/*
 * Names and descriptions of the error codes.
 */
#include "core/err.h"

#include <stddef.h>

static const char *const names[] = {
#define ORD_ERR_NAME(name, text) #name,
    ORD_ERR_LIST(ORD_ERR_NAME)
#undef ORD_ERR_NAME
};

static const char *const texts[] = {
#define ORD_ERR_TEXT(name, text) text,
    ORD_ERR_LIST(ORD_ERR_TEXT)
#undef ORD_ERR_TEXT
};

const char *ord_err_name(enum ord_err err) {
    return (size_t) err < sizeof(names) / sizeof(names[0]) ? names[err] : "UNKNOWN";
}

const char *ord_err_text(enum ord_err err) {
    return (size_t) err < sizeof(texts) / sizeof(texts[0]) ? texts[err] : "unknown error";
}
