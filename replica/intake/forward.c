/*
 * A replica that does not lead forwards the envelopes in its pool: to the leader at once, and to all if they are not
 * executed soon. So every honest replica has what a leader ignores, starts its own clock on it (row P7), and has it at
 * hand when it leads next. An envelope that another replica forwarded goes to the leader only, and again if it stays; a
 * clock runs on it here as well.
 *
 * Each kind has its own list, sorted by what is due next, so a flood of one kind cannot hide another.
 */
#include "replica/replica_internal.h"

#include "replica/marks.h"

enum {
    /*
     * This part (1/8) of request_timeout_ms passes before an envelope goes to all. It goes to all again once in
     * request_timeout_ms.
     */
    SOON_PART = 8,
    /* After this part (1/2) of request_timeout_ms a forwarded envelope goes to the leader again. */
    PASSED_PART = 2,
};

struct parcel {
    struct replica *replica;
    ord_replica_set to;
    /* The state that an own client's envelope gets when it is sent. */
    enum pool_state then;
    struct ord_writer writer;
    uint32_t count;
};

static void parcel_begin(struct parcel *parcel) {
    parcel->writer = ord_writer_of(parcel->replica->batch_buffer, replica_config(parcel->replica)->batch_bytes_max);
    parcel->count = 0;
    channel_batch_begin(&parcel->writer, 0);
}

static void parcel_send(struct parcel *parcel) {
    if (parcel->count == 0 || channel_batch_end(&parcel->writer, parcel->count) != ORD_OK)
        return;
    struct ord_span bytes = ord_writer_span(&parcel->writer);
    replica_send(parcel->replica, parcel->to, REPLICA_LINK_FORWARD, &bytes, 1);
    parcel->replica->counters.envelopes_forwarded += parcel->count;
}

static bool parcel_full(const struct parcel *parcel, const struct pool_entry *entry) {
    return parcel->writer.size + 4 + entry->size > parcel->writer.capacity ||
           parcel->count == CHANNEL_BATCH_ENVELOPES_MAX;
}

static void parcel_add(struct parcel *parcel, struct pool_entry *entry) {
    channel_batch_add(&parcel->writer, ord_span_of(entry->bytes, entry->size));
    parcel->count++;
    entry->forwarded_ms = parcel->replica->turn.now_ms;
    pool_set_state(&parcel->replica->pool, entry, entry->foreign ? POOL_PASSED : parcel->then);
}

/*
 * The replicas that are to propose what is here; 0: this replica itself, or none yet. A primary that is silent has no
 * leader (docs/protocol.md, rule 26), so all others get its envelopes and come to suspect it. A replica that has had no
 * leader for long does the same: it may be out of a view that works for the others.
 */
static ord_replica_set takers(const struct replica *replica) {
    const struct agree *agree = &replica->agree;
    if (agree->leader == ORD_NO_NODE) {
        bool long_since = replica->turn.now_ms >= agree->leader_since_ms + replica_config(replica)->request_timeout_ms;
        ORD_MARK_IF(long_since && replica->pool.lists[POOL_READY].count > 0, FORWARD_WITHOUT_LEADER);
        return agree->shown_silent || long_since ? ~(ord_replica_set) 0 : 0;
    }
    return agree->leader == replica_self(replica) ? 0 : ord_replica_bit(agree->leader);
}

void forward_fresh(struct replica *replica) {
    ord_replica_set to = takers(replica);
    const struct pool_list *ready = &replica->pool.lists[POOL_READY];
    if (to == 0 || ready->count == 0)
        return;
    struct parcel parcel = {.replica = replica, .to = to, .then = POOL_SENT};
    parcel_begin(&parcel);
    while (ready->head != NULL) {
        if (parcel_full(&parcel, ready->head)) {
            parcel_send(&parcel);
            parcel_begin(&parcel);
        }
        parcel_add(&parcel, ready->head);
    }
    parcel_send(&parcel);
}

/* Sends one parcel of a list's entries that have waited long enough. Those that do not fit wait for the next call. */
static void forward_list(struct replica *replica, enum pool_state state, ord_replica_set to, uint64_t wait_ms) {
    const struct pool_list *list = &replica->pool.lists[state];
    struct parcel parcel = {.replica = replica, .to = to, .then = POOL_SPREAD};
    parcel_begin(&parcel);
    while (list->head != NULL && replica->turn.now_ms >= list->head->forwarded_ms + wait_ms &&
           !parcel_full(&parcel, list->head))
        parcel_add(&parcel, list->head);
    parcel_send(&parcel);
}

void forward_again(struct replica *replica) {
    ord_replica_set to = takers(replica);
    if (to == 0)
        return;
    uint64_t timeout_ms = replica_config(replica)->request_timeout_ms;
    ord_replica_set all = ~(ord_replica_set) 0;
    ORD_MARK_IF(replica->pool.lists[POOL_SPREAD].count > 0, FORWARDED_TO_ALL);
    ORD_MARK_IF(replica->pool.lists[POOL_PASSED].count > 0, FORWARDED_AGAIN);
    forward_list(replica, POOL_SENT, all, timeout_ms / SOON_PART);
    forward_list(replica, POOL_SPREAD, all, timeout_ms);
    forward_list(replica, POOL_PASSED, to, timeout_ms / PASSED_PART);
}
