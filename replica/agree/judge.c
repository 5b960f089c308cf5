/*
 * Judging the primary's batches. A backup prepares a batch only if it is admissible: every envelope has the right form,
 * size and authority, and a good signature. If this replica has already checked a signature (the same envelope, byte
 * for byte, is in its pool), it does not check it again. A batch that names an unregistered client waits until
 * everything before it is executed. If the client is still unknown then, the batch is inadmissible. Where views end on
 * schedule, so is a batch that does not name its view although it is the first of it, or names one although it is not.
 */
#include "replica/replica_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "replica/marks.h"

enum {
    /* The leader owes an envelope from this part (1/4) of request_timeout_ms after it was sent there ... */
    LEAN_MARGIN_PART = 4,
    /* ... until this many request_timeout_ms after. */
    LEAN_LOST_TIMEOUTS = 2,
    FRESH_MAX = 256,
    /* How many registrations of a batch are under check at a time. */
    NEWCOMERS_CHECK = 8,
};

void judge_checked(struct replica *replica, struct replica_check *check) {
    struct judgement *judgement = check->envelopes.part;
    for (uint32_t i = 0; i < check->envelopes.count; i++) {
        const struct replica_envelope_check *item = &check->envelopes.items[i];
        verified_note(replica, item);
        /* A shortage of memory here is no verdict on the batch. */
        if (item->newcomer != NULL && item->newcomer->err == ORD_ERR_NO_MEMORY)
            replica_fail(replica, ORD_ERR_NO_MEMORY, "judging a batch");
    }
    if (check->bad) {
        replica->counters.client_signatures_bad++;
        judgement->bad = true;
    }
    if (--judgement->jobs_open == 0)
        judgement->done = judgement->bad || judgement->newcomers_from == UINT32_MAX;
    judge_stir(replica);
}

void judge_stir(struct replica *replica) {
    replica->judge.stirred = true;
}

static void hand_out(struct replica *replica, struct judgement *judgement, struct replica_check *check) {
    judgement->jobs_open++;
    check_hand_out(replica, check);
}

/* The same envelope in the pool, with its signature checked or under check; NULL: it is not there. */
static struct pool_entry *in_pool(struct replica *replica, const struct channel_envelope *envelope,
                                  uint32_t client_index) {
    return pool_find_same(&replica->pool, pool_key_of(client_index, &envelope->client, envelope->sequence),
                          envelope->bytes);
}

/* The different envelopes of a batch that are counted. As many as fit in here are no lean batch. */
struct fresh {
    struct pool_key keys[FRESH_MAX];
    uint32_t count;
    /* The registrations among them. */
    uint32_t newcomers;
};

/* Counts an envelope that was neither executed before nor counted. False: it is no work. */
static bool count_fresh(struct fresh *fresh, const struct channel_envelope *envelope,
                        const struct channel_client *client, uint32_t client_index) {
    bool registration = envelope->kind != CHANNEL_ENVELOPE_TRANSACTIONS;
    struct pool_key key = pool_key_of(registration ? UINT32_MAX : client_index, &envelope->client, envelope->sequence);
    if (client != NULL &&
        (registration || channel_sequence_check(client, envelope->sequence) != CHANNEL_SEQUENCE_FRESH))
        return false;
    if (client == NULL && !registration)
        return true; /* this batch waits for the registration, or is bad */
    for (uint32_t i = 0; i < fresh->count; i++)
        if (fresh->keys[i].client_index == key.client_index && fresh->keys[i].sequence == key.sequence)
            return false;
    if (fresh->count < FRESH_MAX)
        fresh->keys[fresh->count++] = key;
    fresh->newcomers += registration;
    return true;
}

/*
 * Notes which envelopes here the leader proposes. Gives what the batch's work costs. An envelope that was executed
 * before, or stands in the batch twice, is no work, or a liar would fill its batches up with it.
 */
static uint64_t note_proposed(struct replica *replica, struct ord_span bytes) {
    struct channel_batch batch;
    struct channel_envelope envelope;
    struct ord_span item;
    struct fresh fresh = {.count = 0};
    uint64_t cost = 0;
    bool full = channel_client_count(replica->execute.channel) >= replica_config(replica)->clients_max;
    enum ord_err err = channel_batch_decode(&batch, bytes);
    while (err == ORD_OK && channel_batch_next(&item, &batch.envelopes) == ORD_OK) {
        uint32_t client_index = UINT32_MAX;
        err = channel_envelope_decode(&envelope, item);
        if (err != ORD_OK)
            continue;
        const struct channel_client *client =
            channel_client_find(replica->execute.channel, &client_index, &envelope.client);
        /* A registration that finds no room is admissible unchecked, and no work. */
        bool no_room = full && client == NULL && envelope.kind == CHANNEL_ENVELOPE_REGISTER;
        if (!no_room && fresh.count < FRESH_MAX && count_fresh(&fresh, &envelope, client, client_index))
            cost += item.size + POOL_ENVELOPE_COST;
        if (envelope.kind == CHANNEL_ENVELOPE_TRANSACTIONS && client == NULL)
            continue;
        struct pool_entry *entry =
            in_pool(replica, &envelope, envelope.kind == CHANNEL_ENVELOPE_TRANSACTIONS ? client_index : UINT32_MAX);
        if (entry != NULL)
            pool_proposed(&replica->pool, entry);
    }
    bool is_full = fresh.count == FRESH_MAX || fresh.newcomers >= replica->propose.newcomers_max;
    return is_full ? UINT64_MAX : cost;
}

/*
 * Tells, when a batch comes, whether it is lean: it leaves out what this replica sent to the leader long before, and
 * has room for it. An honest leader proposes all that it has, or fills the batch (replica/intake/propose.c). It has
 * what was sent a margin before, because that is longer than the way there and back. A batch counts as full far below
 * the bounds of an honest leader: its rate is not known here, and a leader whose checks fall behind has little to
 * propose. A batch to which the longest envelope cannot be added is full, too.
 */
static bool is_lean(struct replica *replica, struct ord_span batch) {
    const struct channel_config *config = replica_config(replica);
    uint64_t margin_ms = config->request_timeout_ms / LEAN_MARGIN_PART;
    uint64_t lost_ms = (uint64_t) config->request_timeout_ms * LEAN_LOST_TIMEOUTS;
    uint64_t now_ms = replica->turn.now_ms;
    uint64_t cost = note_proposed(replica, batch);
    bool owed = pool_owed(&replica->pool, now_ms - ord_min(now_ms, margin_ms), now_ms - ord_min(now_ms, lost_ms));
    bool lean = owed && cost < pace_lean_cost(replica) &&
                batch.size + 4 + config->absolute_max_bytes <= config->batch_bytes_max;
    ORD_MARK_IF(lean, BATCH_LEAN);
    return lean;
}

/* Adds one envelope's signature to the check at hand. */
static enum ord_err add_check(struct replica *replica, struct judgement *judgement, struct replica_check **check,
                              const struct channel_envelope *envelope, const struct channel_judged *judged) {
    if (*check == NULL)
        *check = check_create(replica, REPLICA_CHECK_PROPOSED, REPLICA_QUEUE_PROPOSALS, ORD_NO_NODE,
                              ord_span_of(NULL, 0), NULL);
    if (*check == NULL)
        return ORD_ERR_NO_MEMORY;
    (*check)->envelopes.part = judgement;
    struct replica_envelope_check *item = &(*check)->envelopes.items[(*check)->envelopes.count];
    enum ord_err err = newcomer_look(replica, item, judged, &envelope->client);
    if (err != ORD_OK)
        return err;
    (*check)->envelopes.count++;
    item->key = judged->key;
    item->signature = envelope->signature;
    channel_envelope_id(&item->hash, envelope->body);
    verified_look(replica, item);
    if ((*check)->envelopes.count == REPLICA_CHECK_ENVELOPES) {
        hand_out(replica, judgement, *check);
        *check = NULL;
    }
    return ORD_OK;
}

/* Whether the batch names its view if it has to, and no view otherwise (channel/progress.h). */
static bool is_named_well(const struct judgement *judgement, const struct channel_batch *batch) {
    return batch->names_view ? judgement->names_view && batch->view == judgement->view : !judgement->names_view;
}

/*
 * Checks the next registrations of a batch whose form is good. There are only a few at a time, because each takes as
 * long as tens of signatures: a batch of many delays no other's checks, and of many forged ones few are checked.
 */
static enum ord_err check_newcomers(struct replica *replica, struct judgement *judgement) {
    struct channel_batch batch;
    struct channel_envelope envelope;
    struct channel_judged judged;
    struct ord_span bytes;
    struct replica_check *check = NULL;
    enum ord_err err = channel_batch_decode(&batch, judgement->batch);
    for (uint32_t i = 0; err == ORD_OK && channel_batch_next(&bytes, &batch.envelopes) == ORD_OK; i++) {
        if (i < judgement->newcomers_from || channel_envelope_decode(&envelope, bytes) != ORD_OK ||
            envelope.kind != CHANNEL_ENVELOPE_REGISTER)
            continue;
        if (check != NULL && check->envelopes.count == NEWCOMERS_CHECK) {
            judgement->newcomers_from = i;
            hand_out(replica, judgement, check);
            return ORD_OK;
        }
        /* The client table may have become full meanwhile. */
        err = channel_judge(replica->execute.channel, &judged, &envelope);
        const struct pool_entry *entry = in_pool(replica, &envelope, UINT32_MAX);
        if (err == ORD_OK && entry != NULL && entry->state != POOL_CHECKING)
            replica->counters.client_signatures_skipped++;
        else if (err == ORD_OK)
            err = add_check(replica, judgement, &check, &envelope, &judged);
        err = err == ORD_ERR_NO_SPACE ? ORD_OK : err;
    }
    judgement->newcomers_from = UINT32_MAX;
    if (check != NULL)
        hand_out(replica, judgement, check);
    return err;
}

/* UNKNOWN_CLIENT: a client is not registered in the executed state. Other errors: the batch is inadmissible. */
static enum ord_err judge_batch(struct replica *replica, struct judgement *judgement, bool checks) {
    struct channel_batch batch;
    enum ord_err err = channel_batch_decode(&batch, judgement->batch);
    struct replica_check *check = NULL;
    struct ord_span bytes;
    if (err == ORD_OK && !is_named_well(judgement, &batch)) {
        ORD_MARK(BATCH_MISNAMED);
        err = ORD_ERR_INVALID;
    }
    while (err == ORD_OK && channel_batch_next(&bytes, &batch.envelopes) == ORD_OK) {
        struct channel_envelope envelope;
        struct channel_judged judged;
        err = channel_envelope_decode(&envelope, bytes);
        if (err == ORD_OK)
            err = channel_judge(replica->execute.channel, &judged, &envelope);
        if (err == ORD_ERR_NO_SPACE || (err == ORD_OK && judged.client_index == UINT32_MAX)) {
            judgement->newcomers_from = 0;
            /*
             * check_newcomers checks registrations. If the client table is full, a primary that has executed less
             * cannot know that, and execution drops the envelope too.
             */
            err = ORD_OK;
            continue;
        }
        if (err != ORD_OK)
            continue;
        const struct pool_entry *entry = in_pool(replica, &envelope, judged.client_index);
        if (!checks)
            judgement->checking |= entry != NULL && entry->state == POOL_CHECKING;
        else if (entry != NULL)
            replica->counters.client_signatures_skipped++;
        else
            err = add_check(replica, judgement, &check, &envelope, &judged);
    }
    /* Also after an error: the caller then sets `bad`, whatever the checks say. */
    if (check != NULL)
        hand_out(replica, judgement, check);
    return err;
}

static void look_failed(struct replica *replica, struct judgement *judgement, enum ord_err err) {
    if (err == ORD_ERR_NO_MEMORY) {
        /* A shortage of memory here is no verdict on the batch. */
        replica_fail(replica, err, "judging a batch");
        return;
    }
    judgement->bad = true;
    replica_log(replica, REPLICA_LOG_WARN, "batch_inadmissible", "view=%" PRIu64 " seq=%" PRIu64 " err=%s",
                judgement->view, judgement->seq, ord_err_name(err));
}

/*
 * The checks so far are back and good. The next registrations may need none. A replica that ends gives no verdict.
 */
static void go_on(struct replica *replica, struct judgement *judgement) {
    while (!replica->turn.fatal && judgement->newcomers_from != UINT32_MAX && judgement->jobs_open == 0 &&
           !judgement->bad) {
        enum ord_err err = check_newcomers(replica, judgement);
        if (err != ORD_OK)
            look_failed(replica, judgement, err);
    }
    if (judgement->jobs_open == 0 && !replica->turn.fatal)
        judgement->done = true;
}

/*
 * Looks in two passes, so that no signature is checked for a batch that must wait or has a wrong form. A later look
 * would check it a second time.
 */
static void look(struct replica *replica, struct judgement *judgement) {
    judgement->fresh = false;
    judgement->checking = false;
    enum ord_err err = judge_batch(replica, judgement, false);
    judgement->waiting =
        err == ORD_ERR_UNKNOWN_CLIENT && channel_applied_seq(replica->execute.channel) + 1 < judgement->seq;
    ORD_MARK_IF(judgement->waiting, JUDGE_WAITS_FOR_CLIENT);
    ORD_MARK_IF(judgement->checking, JUDGE_WAITS_FOR_CHECK);
    if (judgement->waiting || (err == ORD_OK && judgement->checking))
        return;
    if (err == ORD_OK)
        err = judge_batch(replica, judgement, true);
    if (err != ORD_OK)
        look_failed(replica, judgement, err);
    judgement->looked = true;
    go_on(replica, judgement);
}

void judge_begin(struct replica *replica, const struct ord_effect *effect) {
    struct judgement *judgement = calloc(1, sizeof(*judgement));
    if (judgement == NULL) {
        /* The core would wait for the verdict for ever. */
        replica_fail(replica, ORD_ERR_NO_MEMORY, "judging a batch");
        return;
    }
    *judgement = (struct judgement) {.next = replica->judge.first,
                                     .view = effect->judge.view,
                                     .seq = effect->judge.seq,
                                     .digest = effect->judge.digest,
                                     .names_view = effect->judge.names_view,
                                     .batch = effect->judge.batch,
                                     .newcomers_from = UINT32_MAX,
                                     .lean = is_lean(replica, effect->judge.batch),
                                     .fresh = true};
    replica->judge.first = judgement;
    replica->counters.batches_judged++;
    judge_stir(replica);
}

/* Takes one judgement that is done off the list. NULL: none is. */
static struct judgement *take_done(struct replica *replica) {
    for (struct judgement **slot = &replica->judge.first; *slot != NULL; slot = &(*slot)->next) {
        struct judgement *judgement = *slot;
        bool ready = judgement->waiting && channel_applied_seq(replica->execute.channel) + 1 >= judgement->seq;
        if ((judgement->fresh || ready || judgement->checking) && !judgement->dropped)
            look(replica, judgement);
        else if (judgement->looked && judgement->jobs_open == 0 && !judgement->done && !judgement->dropped)
            go_on(replica, judgement);
        if ((judgement->done || judgement->dropped) && judgement->jobs_open == 0) {
            *slot = judgement->next;
            return judgement;
        }
    }
    return NULL;
}

bool judge_next(struct replica *replica, struct ord_event *out) {
    /*
     * A verdict is never lost. It waits while the core may not run, and if this turn is full it waits for the next one.
     */
    while (replica->judge.stirred && !replica->turn.fatal && agree_may_run(replica) && !turn_full(replica)) {
        struct judgement *judgement = take_done(replica);
        replica->judge.stirred = judgement != NULL;
        if (judgement == NULL)
            return false;
        bool dropped = judgement->dropped;
        ORD_MARK_IF(dropped, JUDGEMENT_DROPPED);
        *out = (struct ord_event) {.type = ORD_EVENT_JUDGED,
                                   .judged = {.view = judgement->view,
                                              .seq = judgement->seq,
                                              .digest = judgement->digest,
                                              .admissible = !judgement->bad,
                                              .lean = judgement->lean}};
        if (!dropped)
            replica->counters.batches_refused += judgement->bad;
        free(judgement);
        if (!dropped)
            return true;
    }
    return false;
}

void judge_drop(struct replica *replica, uint64_t seq) {
    judge_stir(replica);
    for (struct judgement *judgement = replica->judge.first; judgement != NULL; judgement = judgement->next)
        if (judgement->seq <= seq)
            judgement->dropped = true;
}

/* Every check is back by then. */
void judge_deinit(struct replica *replica) {
    while (replica->judge.first != NULL) {
        struct judgement *judgement = replica->judge.first;
        replica->judge.first = judgement->next;
        free(judgement);
    }
}
