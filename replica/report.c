/*
 * Calls for every part of a replica: its log, its end, and whether a turn has written enough.
 */
#include "replica/replica_internal.h"

void replica_log(struct replica *replica, enum replica_log_level level, const char *event, const char *format, ...) {
    const struct replica_host *host = replica_host(replica);
    va_list arguments;
    va_start(arguments, format);
    host->log(host->context, level, event, format, arguments);
    va_end(arguments);
}

const char *replica_log_hash(char out[17], const struct ord_hash *hash) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 8; i++) {
        out[2 * i] = digits[hash->bytes[i] >> 4];
        out[2 * i + 1] = digits[hash->bytes[i] & 15];
    }
    out[16] = '\0';
    return out;
}

void replica_fail(struct replica *replica, enum ord_err err, const char *what) {
    if (replica->turn.fatal)
        return;
    replica->turn.fatal = true;
    replica->turn.fatal_err = err;
    replica_log(replica, REPLICA_LOG_ERROR, "fatal", "err=%s what=\"%s\"", ord_err_name(err), what);
}

void replica_need(struct replica *replica, enum ord_err err, const char *what) {
    if (err != ORD_OK)
        replica_fail(replica, err, what);
}

void replica_put_meta(struct replica *replica, const char *name, struct ord_span value, const char *what) {
    const struct replica_store *store = replica_store(replica);
    replica_need(replica, store->put_meta(store->ledger, name, value), what);
}

void replica_note_damage(struct replica *replica, const char *what, uint64_t height, enum ord_err err) {
    if (err != ORD_ERR_CORRUPT)
        return;
    uint64_t before = replica->counters.damaged_reads++;
    if ((before & (before + 1)) == 0)
        replica_log(replica, REPLICA_LOG_ERROR, "damaged", "what=\"%s\" height=%lu count=%lu", what,
                    (unsigned long) height, (unsigned long) (before + 1));
}

/* A turn is one transaction of bounded size. The second half of that size is for work that has begun already. */
bool turn_full(struct replica *replica) {
    const struct replica_store *store = replica_store(replica);
    if (store->turn_bytes(store->ledger) < replica->setup.options.turn_bytes_max / 2)
        return false;
    replica->turn.cut_short = true;
    replica_urgent(replica);
    return true;
}
