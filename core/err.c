/*
 * Names and descriptions of the error codes.
 */
#include "core/err.h"

#include <stddef.h>

static const struct {
    const char *name;
    const char *text;
} errors[] = {
#define ORD_ERR_ROW(name, text) {#name, text},
    ORD_ERR_LIST(ORD_ERR_ROW)
#undef ORD_ERR_ROW
};

const char *ord_err_name(enum ord_err err) {
    return (size_t) err < sizeof(errors) / sizeof(errors[0]) ? errors[err].name : "UNKNOWN";
}

const char *ord_err_text(enum ord_err err) {
    return (size_t) err < sizeof(errors) / sizeof(errors[0]) ? errors[err].text : "unknown error";
}
