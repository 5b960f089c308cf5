/*
 * The meaning of statuses and errors.
 */
#include "client/flow/call.h"

#include "client/flow/text.h"

const char *engine_status_name(enum engine_status status) {
    static const char *const names[] = {
        [ENGINE_STATUS_UNSPECIFIED] = "STATUS_UNSPECIFIED",
        [ENGINE_STATUS_OK] = "OK",
        [ENGINE_STATUS_ACCEPTED] = "ACCEPTED",
        [ENGINE_STATUS_DUPLICATE] = "DUPLICATE",
        [ENGINE_STATUS_BUSY] = "BUSY",
        [ENGINE_STATUS_TOO_LARGE] = "TOO_LARGE",
        [ENGINE_STATUS_BAD_REQUEST] = "BAD_REQUEST",
        [ENGINE_STATUS_FORBIDDEN] = "FORBIDDEN",
        [ENGINE_STATUS_UNKNOWN_CLIENT] = "UNKNOWN_CLIENT",
        [ENGINE_STATUS_NOT_FOUND] = "NOT_FOUND",
        [ENGINE_STATUS_NOT_READY] = "NOT_READY",
        [ENGINE_STATUS_PRUNED] = "PRUNED",
        [ENGINE_STATUS_UNAVAILABLE] = "UNAVAILABLE",
        [ENGINE_STATUS_SEQUENCE_TAKEN] = "SEQUENCE_TAKEN",
        [ENGINE_STATUS_SEQUENCE_USED] = "SEQUENCE_USED",
    };
    return (size_t) status < sizeof(names) / sizeof(names[0]) ? names[status] : "UNKNOWN";
}

enum ordain_error engine_status_error(enum engine_status status) {
    switch (status) {
    case ENGINE_STATUS_OK:
    case ENGINE_STATUS_ACCEPTED:
    case ENGINE_STATUS_DUPLICATE:
        return ORDAIN_OK;
    case ENGINE_STATUS_TOO_LARGE:
        return ORDAIN_TOO_LARGE;
    case ENGINE_STATUS_BAD_REQUEST:
        return ORDAIN_REFUSED;
    case ENGINE_STATUS_FORBIDDEN:
    case ENGINE_STATUS_UNKNOWN_CLIENT:
        return ORDAIN_FORBIDDEN;
    case ENGINE_STATUS_NOT_FOUND:
        return ORDAIN_NOT_FOUND;
    case ENGINE_STATUS_NOT_READY:
        return ORDAIN_NOT_READY;
    case ENGINE_STATUS_PRUNED:
        return ORDAIN_PRUNED;
    case ENGINE_STATUS_SEQUENCE_TAKEN:
    case ENGINE_STATUS_SEQUENCE_USED:
        return ORDAIN_SEQUENCE_TAKEN;
    case ENGINE_STATUS_BUSY:
    case ENGINE_STATUS_UNAVAILABLE:
        return ORDAIN_UNREACHABLE;
    case ENGINE_STATUS_UNSPECIFIED:
    default:
        return ORDAIN_UNVERIFIED;
    }
}

bool engine_status_refuses(enum engine_status status) {
    return status == ENGINE_STATUS_TOO_LARGE || status == ENGINE_STATUS_BAD_REQUEST ||
           status == ENGINE_STATUS_FORBIDDEN || status == ENGINE_STATUS_NOT_FOUND || status == ENGINE_STATUS_PRUNED;
}

void engine_status_say(char *out, size_t out_size, enum engine_status status, const char *message) {
    char words[256];
    client_clean(words, sizeof(words), message);
    if (words[0] == '\0')
        client_say(out, out_size, "%s", engine_status_name(status));
    else
        client_say(out, out_size, "%s: %s", engine_status_name(status), words);
}

enum ordain_error client_error(enum ord_err err) {
    switch (err) {
    case ORD_ERR_OK:
        return ORDAIN_OK;
    case ORD_ERR_INVALID:
    case ORD_ERR_EXISTS:
    case ORD_ERR_UNSUPPORTED:
    case ORD_ERR_WRONG_STATE:
        return ORDAIN_INVALID;
    case ORD_ERR_TOO_LARGE:
    case ORD_ERR_NO_SPACE:
        return ORDAIN_TOO_LARGE;
    case ORD_ERR_NO_MEMORY:
        return ORDAIN_NO_MEMORY;
    case ORD_ERR_NOT_FOUND:
        return ORDAIN_NOT_FOUND;
    case ORD_ERR_FORBIDDEN:
    case ORD_ERR_UNKNOWN_CLIENT:
        return ORDAIN_FORBIDDEN;
    case ORD_ERR_BAD_SIGNATURE:
    case ORD_ERR_CORRUPT:
    case ORD_ERR_MISMATCH:
    case ORD_ERR_STALE:
    case ORD_ERR_TOO_NEW:
    case ORD_ERR_DUPLICATE:
        return ORDAIN_UNVERIFIED;
    case ORD_ERR_BUSY:
    case ORD_ERR_CLOSED:
    case ORD_ERR_IN_USE:
        return ORDAIN_UNREACHABLE;
    case ORD_ERR_TIMEOUT:
        return ORDAIN_TIMEOUT;
    case ORD_ERR_IO:
    case ORD_ERR_CRYPTO:
    default:
        return ORDAIN_INTERNAL;
    }
}
