/*
 * A replica that does not lead forwards the envelopes in its pool: to the leader at once, and to all if they are not
 * executed soon. So every honest replica has what a leader ignores, starts its own clock on it (row P7), and has it at
 * hand when it leads next. An envelope that another replica forwarded to all came to the leader with that. It goes to
 * the leader from here only if it stays, because the other replica's link may be down; a clock runs on it here too.
 *
 * Only the first forward, to the leader, is sent whole. Whoever gets an envelope later may hold it already, so it is
 * offered by its name: its key in the pool, under which a pool and the chain hold one envelope at most. The receiver
 * asks for what it lacks (WANT), and keeps nothing about an offer, so one that comes to nothing costs it no more than
 * its answer. Invariant: what was offered is given to each receiver at most once for each offer, and soon after it. An
 * offer is charged like the envelope itself, so what is given stays within the share of repeats, whatever a receiver
 * asks for.
 *
 * Overload must not make forwards a load of their own:
 * - While the leader serves, an envelope whose turn has not come (pool.h) is queued behind other work, and is not sent
 *   again. Turns are bounded, so a leader that serves others delays this only so far.
 * - Each further time takes twice as long as the one before.
 * - What all repeats send is bounded: to each receiver a part of what the channel orders (SHARE_PART).
 * - The replicas do not begin at the same time, although the same leader stops for all of them: each waits a little
 *   longer than the one before it.
 *
 * Each kind has its own lists, sorted by what is due next, and its own part of the bound, so a flood of one kind cannot
 * hide another.
 */
#include "replica/replica_internal.h"

#include "replica/marks.h"

enum {
    /*
     * This part (1/16) of request_timeout_ms passes before an envelope goes to all, and up to as much again so that the
     * replicas do not begin together. It goes to all again after request_timeout_ms, then after twice that, and so on.
     */
    SPREAD_PART = 16,
    /* An envelope is queued until this part (1/8) of request_timeout_ms after its turn. */
    SOON_PART = 8,
    /* After this part (1/2) of request_timeout_ms a forwarded envelope goes to the leader; then after twice that. */
    PASSED_PART = 2,
    /* All repeats of all replicas to one receiver are at most this part (1/2) of what the channel orders. */
    SHARE_PART = 2,
    /* The unused part of a share is kept for this long. */
    KEPT_MS = 200,
};

struct parcel {
    struct replica *replica;
    ord_replica_set to;
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

/* The state of an envelope that is sent now. An adopted one is READY, so only what others forwarded is PASSED. */
static enum pool_state state_after(const struct pool_entry *entry) {
    if (entry->state == POOL_READY)
        return POOL_SENT;
    if (entry->state == POOL_SENT)
        return POOL_SPREAD;
    bool last = entry->state == POOL_SPREAD_LAST || entry->state == POOL_PASSED_LAST;
    return last ? entry->state : entry->state + 1;
}

/* Adds one more envelope. Sends what is there first if that leaves no room. */
static void parcel_add(struct parcel *parcel, const struct pool_entry *entry) {
    if (parcel_full(parcel, entry)) {
        parcel_send(parcel);
        parcel_begin(parcel);
    }
    channel_batch_add(&parcel->writer, ord_span_of(entry->bytes, entry->size));
    parcel->count++;
}

/* The envelope is sent or offered now. A leader to which it is offered owes it, because it may ask for it. */
static void note_sent(struct replica *replica, struct pool_entry *entry) {
    entry->forwarded_ms = replica->turn.now_ms;
    if (replica->agree.leader != ORD_NO_NODE)
        pool_owe(&replica->pool, entry);
    pool_set_state(&replica->pool, entry, state_after(entry));
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
        return agree_status(replica).silent || long_since ? ~(ord_replica_set) 0 : 0;
    }
    return agree->leader == replica_self(replica) ? 0 : ord_replica_bit(agree->leader);
}

void forward_fresh(struct replica *replica) {
    ord_replica_set to = takers(replica);
    const struct pool_list *ready = &replica->pool.lists[POOL_READY];
    if (to == 0 || ready->count == 0)
        return;
    struct parcel parcel = {.replica = replica, .to = to};
    parcel_begin(&parcel);
    while (ready->head != NULL) {
        struct pool_entry *entry = ready->head;
        if (entry->foreign || replica->agree.leader == ORD_NO_NODE) {
            /* The leader, or all, get it with the repeats. Without a leader, what clients brought here is due now. */
            entry->forwarded_ms = entry->foreign ? replica->turn.now_ms : 0;
            pool_set_state(&replica->pool, entry, entry->foreign ? POOL_PASSED : POOL_SENT);
            continue;
        }
        parcel_add(&parcel, entry);
        note_sent(replica, entry);
    }
    parcel_send(&parcel);
}

/* ---- names ---- */

static struct ord_writer names_begin(struct replica *replica) {
    size_t most = (size_t) FORWARD_NAMES_MAX * FORWARD_NAME_SIZE;
    return ord_writer_of(replica->batch_buffer, ord_min(most, replica_config(replica)->batch_bytes_max));
}

static bool names_full(const struct ord_writer *names) {
    return names->size + FORWARD_NAME_SIZE > names->capacity;
}

static void name_write(struct ord_writer *names, struct pool_key key) {
    ord_write_u32(names, key.client_index);
    ord_write_u64(names, key.sequence);
}

static struct pool_key name_read(struct ord_reader *names) {
    struct pool_key key = {.client_index = ord_read_u32(names)};
    key.sequence = ord_read_u64(names);
    return key;
}

static void names_send(struct replica *replica, ord_replica_set to, enum replica_link kind,
                       const struct ord_writer *names) {
    struct ord_span bytes = ord_writer_span(names);
    if (bytes.size > 0)
        replica_send(replica, to, kind, &bytes, 1);
}

/* False: this is no list of names. It is counted. */
static bool names_check(struct replica *replica, struct ord_span bytes) {
    bool good =
        bytes.size > 0 && bytes.size % FORWARD_NAME_SIZE == 0 && bytes.size / FORWARD_NAME_SIZE <= FORWARD_NAMES_MAX;
    replica->counters.messages_refused += !good;
    return good;
}

/* ---- the other replica's offer, and its answer to ours ---- */

void forward_offered(struct replica *replica, ord_node_id from, struct ord_span bytes) {
    struct ord_reader names = ord_reader_of(bytes);
    struct ord_writer wanted = names_begin(replica);
    if (!names_check(replica, bytes))
        return;
    while (ord_reader_left(&names) > 0 && !names_full(&wanted)) {
        struct pool_key key = name_read(&names);
        if (admission_wants(replica, from, key))
            name_write(&wanted, key);
        else
            ORD_MARK(OFFER_NOT_NEEDED);
    }
    replica->counters.envelopes_wanted += wanted.size / FORWARD_NAME_SIZE;
    names_send(replica, ord_replica_bit(from), REPLICA_LINK_WANT, &wanted);
}

/* True if this envelope was offered to `to` lately, and not given since. */
static bool is_offered(const struct replica *replica, const struct pool_entry *entry, ord_node_id to) {
    return entry->state >= POOL_SPREAD && entry->state <= POOL_PASSED_LAST &&
           (entry->offered_to & ord_replica_bit(to)) != 0 &&
           replica->turn.now_ms <= entry->forwarded_ms + replica_config(replica)->request_timeout_ms;
}

void forward_wanted(struct replica *replica, ord_node_id from, struct ord_span bytes) {
    struct ord_reader names = ord_reader_of(bytes);
    struct parcel parcel = {.replica = replica, .to = ord_replica_bit(from)};
    if (!names_check(replica, bytes))
        return;
    parcel_begin(&parcel);
    while (ord_reader_left(&names) > 0) {
        struct pool_entry *entry = pool_find(&replica->pool, name_read(&names));
        if (entry == NULL || !is_offered(replica, entry, from)) {
            ORD_MARK(WANTED_IN_VAIN);
            continue;
        }
        entry->offered_to &= ~ord_replica_bit(from);
        parcel_add(&parcel, entry);
    }
    parcel_send(&parcel);
}

/* ---- repeats ---- */

/* What the repeats of one kind may send to each receiver in so long. */
static uint64_t share_in(const struct replica *replica, uint64_t ms) {
    uint64_t parts = (uint64_t) SHARE_PART * replica_config(replica)->replica_count * FORWARD_KINDS;
    return pace_rate(replica) * ms / 1000 / parts;
}

uint64_t forward_passed_cost(const struct replica *replica) {
    return share_in(replica, replica_config(replica)->request_timeout_ms);
}

/* Time has passed: more may be sent. */
static void fill_up(struct replica *replica) {
    struct forward *forward = &replica->forward;
    uint64_t passed_ms = ord_min(replica->turn.now_ms - forward->filled_ms, KEPT_MS);
    int64_t more = (int64_t) share_in(replica, passed_ms) + 1;
    int64_t most = (int64_t) share_in(replica, KEPT_MS) + 1;
    for (int kind = 0; kind < FORWARD_KINDS; kind++)
        forward->left[kind] = forward->left[kind] + more < most ? forward->left[kind] + more : most;
    forward->filled_ms = replica->turn.now_ms;
}

/* `after_ms` counts from when it was sent, `soon_ms` from its turn. */
static bool is_due(const struct replica *replica, const struct pool_entry *entry, uint64_t after_ms, uint64_t soon_ms) {
    uint64_t now_ms = replica->turn.now_ms;
    bool queued = pace_moves(replica) && now_ms < entry->turn_ms + soon_ms;
    ORD_MARK_IF(queued && now_ms >= entry->forwarded_ms + after_ms, FORWARD_QUEUED);
    return now_ms >= entry->forwarded_ms + after_ms && !queued;
}

/* Offers a list's entries that are due, in one message. Those that do not fit, or may not be sent now, wait. */
static void offer_list(struct replica *replica, enum pool_state state, ord_replica_set to, uint64_t after_ms,
                       enum forward_kind kind) {
    const struct pool_list *list = &replica->pool.lists[state];
    int64_t *left = &replica->forward.left[kind];
    uint64_t soon_ms = replica_config(replica)->request_timeout_ms / SOON_PART;
    struct ord_writer names = names_begin(replica);
    /* What stays in its list was offered in this call, and is not due again. */
    while (list->head != NULL && is_due(replica, list->head, after_ms, soon_ms) && !names_full(&names)) {
        struct pool_entry *entry = list->head;
        ORD_MARK_IF(*left <= 0, FORWARD_SHARE_SPENT);
        if (*left <= 0)
            break;
        *left -= (int64_t) entry->size + POOL_ENVELOPE_COST;
        name_write(&names, entry->key);
        entry->offered_to = to;
        note_sent(replica, entry);
    }
    replica->counters.envelopes_offered += names.size / FORWARD_NAME_SIZE;
    names_send(replica, to, REPLICA_LINK_OFFER, &names);
}

/* How long an envelope stays with the leader alone. Replicas in the order of the views after this one. */
static uint64_t soon_ms(const struct replica *replica) {
    uint64_t count = replica_config(replica)->replica_count;
    uint64_t first = replica->agree.leader == ORD_NO_NODE ? 0 : replica->agree.leader;
    uint64_t rank = (replica_self(replica) + count - first) % count;
    uint64_t part_ms = replica_config(replica)->request_timeout_ms / SPREAD_PART;
    return part_ms + part_ms * rank / count;
}

void forward_again(struct replica *replica) {
    fill_up(replica);
    ord_replica_set to = takers(replica);
    if (to == 0)
        return;
    uint64_t timeout_ms = replica_config(replica)->request_timeout_ms;
    ord_replica_set all = ~(ord_replica_set) 0;
    ORD_MARK_IF(replica->pool.lists[POOL_SPREAD].count > 0, FORWARDED_TO_ALL);
    ORD_MARK_IF(replica->pool.lists[POOL_PASSED].count > 0, FORWARDED_AGAIN);
    offer_list(replica, POOL_SENT, all, soon_ms(replica), FORWARD_SENT);
    for (uint32_t i = 0; i <= POOL_SPREAD_LAST - POOL_SPREAD; i++)
        offer_list(replica, POOL_SPREAD + i, all, timeout_ms << i, FORWARD_SPREAD);
    for (uint32_t i = 0; i <= POOL_PASSED_LAST - POOL_PASSED; i++)
        offer_list(replica, POOL_PASSED + i, to, (timeout_ms / PASSED_PART) << i, FORWARD_PASSED);
}
