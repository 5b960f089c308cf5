/*
 * Judging the primary's batches (DESIGN section 5): a backup prepares only what is admissible: every envelope has form, size,
 * authority and a good signature. A signature that this replica checked already (the envelope is in its pool, byte for byte) is
 * not checked again. A batch that names a client who is not registered waits until what precedes it is executed; who is
 * unknown then makes it inadmissible.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "node/log.h"
#include "node/replica_internal.h"

void check_chunk_run(void *argument) {
    struct check_chunk *chunk = argument;
    for (uint32_t i = 0; i < chunk->count; i++) {
        chunk->items[i].ok = crypto_verify(&chunk->items[i].key, &chunk->items[i].hash, &chunk->items[i].signature);
        chunk->bad |= !chunk->items[i].ok;
    }
    (void) inbox_post(&chunk->replica->inbox, &chunk->work, chunk->work.handle);
}

static void chunk_done(struct replica *replica, struct work *work) {
    struct check_chunk *chunk = (struct check_chunk *) work;
    struct judgement *judgement = chunk->owner;
    count_add(&replica->counters.client_signatures_checked, chunk->count);
    if (chunk->bad) {
        count_add(&replica->counters.client_signatures_bad, 1);
        judgement->bad = true;
    }
    if (--judgement->jobs_open == 0)
        judgement->done = true;
    free(chunk);
}

static void submit_chunk(struct replica *replica, struct judgement *judgement, struct check_chunk *chunk) {
    judgement->jobs_open++;
    chunk->work.handle = chunk_done;
    replica_run_job(replica, replica->judge_pool, check_chunk_run, chunk);
}

/* This very envelope in the pool, whether its signature is checked or being checked; NULL: not there. */
static struct pool_entry *in_pool(struct replica *replica, const struct channel_envelope *envelope,
                                  uint32_t client_index) {
    return pool_find_same(&replica->pool, admission_key(client_index, &envelope->client, envelope->sequence),
                          envelope->bytes);
}

/* Adds one envelope's signature to the chunk at hand. */
static enum ord_err add_check(struct replica *replica, struct judgement *judgement, struct check_chunk **chunk,
                              const struct channel_envelope *envelope, const struct crypto_verify_key *key) {
    if (*chunk == NULL) {
        *chunk = calloc(1, sizeof(**chunk));
        if (*chunk == NULL)
            return ORD_ERR_NO_MEMORY;
        (*chunk)->replica = replica;
        (*chunk)->owner = judgement;
    }
    uint32_t i = (*chunk)->count++;
    (*chunk)->items[i].key = *key;
    (*chunk)->items[i].signature = envelope->signature;
    channel_envelope_id(&(*chunk)->items[i].hash, envelope->body);
    if ((*chunk)->count == CHECK_CHUNK) {
        submit_chunk(replica, judgement, *chunk);
        *chunk = NULL;
    }
    return ORD_OK;
}

/* UNKNOWN_CLIENT: somebody is not registered in the executed state. Other errors: inadmissible. */
static enum ord_err judge_batch(struct replica *replica, struct judgement *judgement, bool check) {
    struct channel_batch batch;
    enum ord_err err = channel_batch_decode(&batch, judgement->batch);
    struct check_chunk *chunk = NULL;
    struct ord_span bytes;
    while (err == ORD_OK && channel_batch_next(&bytes, &batch.envelopes) == ORD_OK) {
        struct channel_envelope envelope;
        struct crypto_verify_key key;
        uint32_t client_index;
        err = channel_envelope_decode(&envelope, bytes);
        if (err == ORD_OK)
            err = channel_judge(replica->channel, &key, &client_index, &envelope);
        if (err == ORD_ERR_NO_SPACE) {
            /* The client table is full, which a primary that has executed less cannot know; execution drops it alike. */
            err = ORD_OK;
            continue;
        }
        if (err != ORD_OK)
            continue;
        const struct pool_entry *entry = in_pool(replica, &envelope, client_index);
        if (!check)
            judgement->checking |= entry != NULL && entry->state == POOL_CHECKING;
        else if (entry != NULL)
            count_add(&replica->counters.client_signatures_skipped, 1);
        else
            err = add_check(replica, judgement, &chunk, &envelope, &key);
    }
    if (chunk != NULL)
        submit_chunk(replica, judgement, chunk); /* also after an error: who is judged is told by `bad` */
    return err;
}

/*
 * Two passes, so that no signature is checked for a batch that must wait or is refused for its form: with "once per replica"
 * a second look would count twice.
 */
static void look(struct replica *replica, struct judgement *judgement) {
    judgement->checking = false;
    enum ord_err err = judge_batch(replica, judgement, false);
    if (err == ORD_ERR_NO_MEMORY) {
        replica_fail(replica, err, "judging a batch"); /* a shortage of ours is no verdict on the batch */
        return;
    }
    if (err == ORD_ERR_UNKNOWN_CLIENT && channel_applied_seq(replica->channel) + 1 < judgement->seq) {
        judgement->waiting = true;
        return;
    }
    judgement->waiting = false;
    if (err == ORD_OK && judgement->checking)
        return;
    if (err == ORD_OK)
        err = judge_batch(replica, judgement, true);
    if (err == ORD_ERR_NO_MEMORY) {
        replica_fail(replica, err, "judging a batch");
        return;
    }
    if (err != ORD_OK) {
        judgement->bad = true;
        node_log(NODE_LOG_WARN, "batch_inadmissible", "view=%" PRIu64 " seq=%" PRIu64 " err=%s", judgement->view,
                 judgement->seq, ord_err_name(err));
    }
    if (judgement->jobs_open == 0)
        judgement->done = true;
}

void judge_begin(struct replica *replica, uint64_t view, uint64_t seq, const struct ord_hash *digest,
                 struct ord_span batch) {
    struct judgement *judgement = calloc(1, sizeof(*judgement));
    if (judgement == NULL) {
        replica_fail(replica, ORD_ERR_NO_MEMORY, "judging a batch"); /* the core waits for the verdict */
        return;
    }
    judgement->view = view;
    judgement->seq = seq;
    judgement->digest = *digest;
    judgement->batch = batch;
    judgement->next = replica->judgements;
    replica->judgements = judgement;
    count_add(&replica->counters.batches_judged, 1);
    look(replica, judgement);
}

static void tell(struct replica *replica, const struct judgement *judgement) {
    if (judgement->bad)
        count_add(&replica->counters.batches_refused, 1);
    struct ord_event event = {
        .type = ORD_EVENT_JUDGED,
        .now_ms = replica->now_ms,
        .judged = {.view = judgement->view,
                   .seq = judgement->seq,
                   .digest = judgement->digest,
                   .admissible = !judgement->bad},
    };
    replica_step(replica, &event);
}

/* Takes one judgement that is done off the list. */
static struct judgement *take_done(struct replica *replica) {
    for (struct judgement **slot = &replica->judgements; *slot != NULL; slot = &(*slot)->next) {
        struct judgement *judgement = *slot;
        bool ready = judgement->waiting && channel_applied_seq(replica->channel) + 1 >= judgement->seq;
        if ((ready || judgement->checking) && !judgement->dropped)
            look(replica, judgement);
        if (judgement->done || (judgement->dropped && judgement->jobs_open == 0)) {
            *slot = judgement->next;
            return judgement;
        }
    }
    return NULL;
}

void judge_drain(struct replica *replica) {
    struct judgement *judgement;
    /* A verdict is never lost: it waits where the core may not run, and for the next turn where this one is full. */
    while (!replica->fatal && sync_core_may_run(replica) && !replica_turn_full(replica) &&
           (judgement = take_done(replica)) != NULL) {
        if (!judgement->dropped)
            tell(replica, judgement);
        free(judgement);
    }
}

void judge_drop(struct replica *replica, uint64_t seq) {
    for (struct judgement *judgement = replica->judgements; judgement != NULL; judgement = judgement->next)
        if (judgement->seq <= seq)
            judgement->dropped = true;
}

/* After the pools and the inbox are gone: no job refers to one any more. */
void judge_deinit(struct replica *replica) {
    while (replica->judgements != NULL) {
        struct judgement *judgement = replica->judgements;
        replica->judgements = judgement->next;
        free(judgement);
    }
}
