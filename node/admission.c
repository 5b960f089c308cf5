/*
 * Admission: what clients submit to this replica, and what backups forward to it. Size, channel, identity, clock, replay and
 * quota are judged here at once; signatures in the client pool; then the envelope is in the pool and the client is told
 * ACCEPTED, which promises no more than that.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/codec.h"
#include "node/log.h"
#include "node/replica_internal.h"

enum {
    CHECKS_OPEN_MAX = 8192, /* envelopes in the client pool; more are refused BUSY */
    CHECKS_BYTES_PART = 8,  /* of the pool's bytes, for one source */
    REQUEST_ENVELOPES_MAX = 4096,
    RETRY_AFTER_MS = 20,
    FORWARD_SLACK_S = 300,
    POOL_AGE_MAX_MS = 120000, /* an envelope that stayed so long is dropped: its client submits again */
};

/* What a client's connection and a replica's link may have in the client pool, when others have more than there is for all. */
static const struct share_limits client_limits = {.at_any_time = 256, .most = CHECKS_OPEN_MAX / 2};
static const struct share_limits link_limits = {.at_any_time = 1024, .most = CHECKS_OPEN_MAX};

struct pool_key admission_key(uint32_t client_index, const struct ord_hash *client, uint64_t sequence) {
    if (client_index == UINT32_MAX)
        return (struct pool_key) {UINT32_MAX, ord_load_u64(client->bytes)};
    return (struct pool_key) {client_index, sequence};
}

static void refuse(struct submit_result *result, Ordain__V1__Status status, const char *message) {
    result->status = status;
    result->message = message;
}

static void refuse_err(struct submit_result *result, enum ord_err err) {
    switch ((int) err) {
    case ORD_ERR_TOO_LARGE:
        refuse(result, ORDAIN__V1__STATUS__TOO_LARGE, "envelope is over AbsoluteMaxBytes or MaxMessageCount");
        break;
    case ORD_ERR_UNKNOWN_CLIENT:
        refuse(result, ORDAIN__V1__STATUS__UNKNOWN_CLIENT, "client is not registered in this channel");
        break;
    case ORD_ERR_MISMATCH:
        refuse(result, ORDAIN__V1__STATUS__FORBIDDEN, "envelope is for another channel or network");
        break;
    case ORD_ERR_STALE:
        refuse(result, ORDAIN__V1__STATUS__BAD_REQUEST, "config sequence is not the one in force");
        break;
    case ORD_ERR_BAD_SIGNATURE:
        refuse(result, ORDAIN__V1__STATUS__FORBIDDEN, "signature does not verify");
        break;
    case ORD_ERR_FORBIDDEN:
        refuse(result, ORDAIN__V1__STATUS__FORBIDDEN, "identity or kind of envelope is not allowed to write here");
        break;
    case ORD_ERR_NO_SPACE:
    case ORD_ERR_NO_MEMORY:
        refuse(result, ORDAIN__V1__STATUS__BUSY, "request pool or the client's share of it is full");
        break;
    default:
        refuse(result, ORDAIN__V1__STATUS__BAD_REQUEST, "malformed envelope");
        break;
    }
}

/* A certificate's time of validity, by this replica's clock: a matter of admission, never of agreed execution. */
static bool clock_allows(int64_t not_before_s, int64_t not_after_s, bool foreign) {
    int64_t now_s = (int64_t) time(NULL);
    /* Another replica admitted it by its own clock: clocks that differ a little must not make it suspect the leader. */
    int64_t slack_s = foreign ? FORWARD_SLACK_S : 0;
    return now_s + slack_s >= not_before_s && now_s - slack_s <= not_after_s;
}

static bool admit_registration(struct replica *replica, const struct channel_envelope *envelope, bool foreign,
                               struct submit_result *result) {
    struct crypto_identity identity;
    if (channel_client_find(replica->channel, &result->client_index, &envelope->client) != NULL) {
        result->want_receipt = true;
        refuse(result, ORDAIN__V1__STATUS__DUPLICATE, "client is registered already");
        return false;
    }
    enum ord_err err = channel_registration(replica->channel, &identity, envelope);
    if (err != ORD_OK) {
        refuse_err(result, err);
        return false;
    }
    if (!clock_allows(identity.not_before_s, identity.not_after_s, foreign)) {
        refuse(result, ORDAIN__V1__STATUS__FORBIDDEN, "certificate has expired or is not valid yet");
        return false;
    }
    return true;
}

static bool admit_sequence(struct replica *replica, const struct channel_envelope *envelope, uint32_t client_index,
                           bool foreign, struct submit_result *result) {
    const struct channel_client *client = channel_client_get(replica->channel, client_index);
    if (!clock_allows(client->not_before_s, client->not_after_s, foreign)) {
        refuse(result, ORDAIN__V1__STATUS__FORBIDDEN, "certificate has expired or is not valid yet");
        return false;
    }
    switch (channel_sequence_check(client, envelope->sequence)) {
    case CHANNEL_SEQUENCE_FRESH:
        return true;
    case CHANNEL_SEQUENCE_SEEN:
    case CHANNEL_SEQUENCE_OLD:
        result->client_index = client_index;
        result->want_receipt = true;
        refuse(result, ORDAIN__V1__STATUS__DUPLICATE, "sequence number was ordered before");
        return false;
    case CHANNEL_SEQUENCE_AHEAD:
        refuse(result, ORDAIN__V1__STATUS__BAD_REQUEST, "sequence number is too far ahead of what is ordered");
        return false;
    }
    return false;
}

enum ord_err admission_init(struct replica *replica) {
    struct shares *checks = &replica->checks;
    enum ord_err err = shares_init(checks, replica->config.client_contexts + ORD_REPLICA_MAX);
    checks->total_max = CHECKS_OPEN_MAX;
    checks->source_bytes_max = replica->config.pool_bytes_max / CHECKS_BYTES_PART;
    return err;
}

/* A connection's number is an address, and so no replica's. */
static bool is_foreign(uint64_t source) {
    return source < ORD_REPLICA_MAX;
}

static uint64_t source_of(const struct submission *submission) {
    return submission->request == NULL ? submission->forwarded_by : net_request_source(submission->request->net);
}

/* The envelope's key is another's, or may be. */
static void refuse_key(struct replica *replica, struct submit_result *result, enum ord_err err, struct pool_key key,
                       uint64_t source, struct ord_span bytes) {
    struct pool_entry *settled = pool_find(&replica->pool, key);
    /* What is being checked may be a forgery: nothing may be concluded from it. */
    if (err == ORD_ERR_BUSY)
        refuse(result, ORDAIN__V1__STATUS__BUSY, "an envelope with this sequence number is being checked");
    else if (pool_find_same(&replica->pool, key, bytes) == settled) {
        result->status = ORDAIN__V1__STATUS__ACCEPTED; /* submitted again while it waits */
        if (settled->foreign && !is_foreign(source)) { /* it is ours to look after now */
            settled->foreign = false;
            if (settled->state == POOL_PASSED)
                pool_set_state(&replica->pool, settled, POOL_READY);
        }
    } else
        refuse(result, ORDAIN__V1__STATUS__DUPLICATE, "another envelope with this sequence number waits here");
}

/* Into the pool, to be checked. NULL: refused or here already, as `result` says. */
static struct pool_entry *admit(struct replica *replica, struct check_chunk *chunk, struct submit_result *result,
                                uint64_t source, struct ord_span bytes) {
    struct channel_envelope envelope;
    struct crypto_verify_key key;
    uint32_t client_index;
    enum ord_err err = channel_envelope_decode(&envelope, bytes);
    if (err == ORD_OK) {
        result->sequence = envelope.sequence;
        err = channel_judge(replica->channel, &key, &client_index, &envelope);
    }
    if (err == ORD_ERR_NO_SPACE) {
        refuse(result, ORDAIN__V1__STATUS__FORBIDDEN, "the channel has as many clients as its configuration allows");
        return NULL;
    }
    if (err != ORD_OK) {
        refuse_err(result, err);
        return NULL;
    }
    bool foreign = is_foreign(source);
    if (client_index == UINT32_MAX ? !admit_registration(replica, &envelope, foreign, result)
                                   : !admit_sequence(replica, &envelope, client_index, foreign, result))
        return NULL;
    struct pool_entry *entry = NULL;
    struct pool_key pool_key = admission_key(client_index, &envelope.client, envelope.sequence);
    err = pool_add(&replica->pool, &entry, pool_key, source, bytes, replica->now_ms);
    if (err == ORD_ERR_EXISTS || err == ORD_ERR_BUSY) {
        refuse_key(replica, result, err, pool_key, source, bytes);
        return NULL;
    }
    if (err != ORD_OK) {
        refuse_err(result, err);
        return NULL;
    }
    entry->foreign = foreign;
    uint32_t i = chunk->count++;
    chunk->items[i].key = key;
    chunk->items[i].signature = envelope.signature;
    channel_envelope_id(&chunk->items[i].hash, envelope.body);
    return entry;
}

/* ---- answering ---- */

static void answer(struct replica *replica, struct submission *submission) {
    struct api_request *request = submission->request;
    bool want_receipt = false;
    for (uint32_t i = 0; i < submission->count; i++) {
        want_receipt |= submission->results[i].want_receipt;
        if (submission->results[i].status == ORDAIN__V1__STATUS__BUSY)
            count_add(&replica->counters.envelopes_busy, 1);
    }
    if (request == NULL) {
        submission_destroy(submission);
        return;
    }
    submission->hint = replica->leader == ORD_NO_NODE ? 0 : replica->leader + 1;
    request->submission = submission;
    (void) want_receipt; /* the reader thread answers either way: it looks the receipts up and packs */
    service_post(replica, request);
}

static void checked(struct replica *replica, struct submit_result *result, struct pool_entry *entry, bool ok) {
    enum ord_err err = ok ? pool_settle(&replica->pool, entry, replica->now_ms) : ORD_ERR_BAD_SIGNATURE;
    if (err == ORD_OK) {
        result->status = ORDAIN__V1__STATUS__ACCEPTED;
        return;
    }
    if (err == ORD_ERR_EXISTS) {
        refuse(result, ORDAIN__V1__STATUS__DUPLICATE, "another envelope with this sequence number waits here");
    } else {
        count_add(&replica->counters.client_signatures_bad, err == ORD_ERR_BAD_SIGNATURE);
        refuse_err(result, err);
    }
    pool_remove(&replica->pool, entry);
}

static void chunk_done(struct replica *replica, struct work *work) {
    struct check_chunk *chunk = (struct check_chunk *) work;
    struct submission *submission = chunk->owner;
    count_add(&replica->counters.client_signatures_checked, chunk->count);
    for (uint32_t i = 0; i < chunk->count; i++) {
        uint32_t index = chunk->items[i].tag;
        shares_give_back(&replica->checks, source_of(submission), submission->entries[index]->size);
        checked(replica, &submission->results[index], submission->entries[index], chunk->items[i].ok);
    }
    free(chunk);
    if (--submission->jobs_open == 0)
        answer(replica, submission);
}

static struct check_chunk *chunk_create(struct replica *replica, struct submission *submission) {
    struct check_chunk *chunk = calloc(1, sizeof(*chunk));
    if (chunk == NULL)
        return NULL;
    chunk->replica = replica;
    chunk->owner = submission;
    chunk->work.handle = chunk_done;
    return chunk;
}

static struct submission *submission_create(struct replica *replica, struct api_request *request, uint32_t count) {
    struct submission *submission = calloc(1, sizeof(*submission));
    if (submission == NULL)
        return NULL;
    submission->replica = replica;
    submission->request = request;
    submission->count = count;
    submission->results = calloc(count, sizeof(*submission->results));
    submission->entries = calloc(count, sizeof(struct pool_entry *));
    if (submission->results == NULL || submission->entries == NULL) {
        submission_destroy(submission);
        return NULL;
    }
    return submission;
}

/* `next` gives envelope after envelope. */
static void admit_all(struct replica *replica, struct submission *submission,
                      struct ord_span (*next)(void *context, uint32_t index), void *context) {
    struct check_chunk *chunk = NULL;
    uint64_t source = source_of(submission);
    const struct share_limits *limits = submission->request == NULL ? &link_limits : &client_limits;
    submission->jobs_open = 1; /* held until all are handed out */
    for (uint32_t i = 0; i < submission->count; i++) {
        struct submit_result *result = &submission->results[i];
        struct ord_span bytes = next(context, i);
        if (!replica->intake_open) {
            refuse(result, ORDAIN__V1__STATUS__BUSY, "no room on disk");
            continue;
        }
        if (chunk == NULL && (chunk = chunk_create(replica, submission)) == NULL) {
            refuse_err(result, ORD_ERR_NO_MEMORY);
            continue;
        }
        if (!shares_take(&replica->checks, source, limits, bytes.size)) {
            refuse(result, ORDAIN__V1__STATUS__BUSY, "too many signatures to check");
            continue;
        }
        submission->entries[i] = admit(replica, chunk, result, source, bytes);
        if (submission->entries[i] == NULL) {
            shares_give_back(&replica->checks, source, bytes.size);
            continue;
        }
        chunk->items[chunk->count - 1].tag = i;
        if (chunk->count == CHECK_CHUNK) {
            submission->jobs_open++;
            replica_run_job(replica, replica->client_pool, check_chunk_run, chunk);
            chunk = NULL;
        }
    }
    if (chunk != NULL && chunk->count > 0) {
        submission->jobs_open++;
        replica_run_job(replica, replica->client_pool, check_chunk_run, chunk);
    } else {
        free(chunk);
    }
    if (--submission->jobs_open == 0)
        answer(replica, submission);
}

static struct ord_span next_submitted(void *context, uint32_t index) {
    const Ordain__V1__SubmitRequest *submit = context;
    return ord_span_of(submit->envelopes[index].data, submit->envelopes[index].len);
}

void admission_submit(struct replica *replica, struct api_request *request) {
    Ordain__V1__SubmitRequest *submit = request->message->submit;
    count_add(&replica->counters.submissions, 1);
    count_add(&replica->counters.envelopes_submitted, submit->n_envelopes);
    if (submit->n_envelopes == 0 || submit->n_envelopes > REQUEST_ENVELOPES_MAX) {
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "a submission has 1 to 4096 envelopes");
        return;
    }
    struct submission *submission = submission_create(replica, request, (uint32_t) submit->n_envelopes);
    if (submission == NULL) {
        api_reply_error(request, ORDAIN__V1__STATUS__BUSY, "out of memory");
        return;
    }
    admit_all(replica, submission, next_submitted, submit);
}

/* ---- what others forward ---- */

static struct ord_span next_forwarded(void *context, uint32_t index) {
    (void) index;
    struct channel_batch *batch = context;
    struct ord_span envelope = ord_span_of(NULL, 0);
    enum ord_err err = channel_batch_next(&envelope, &batch->envelopes);
    return err == ORD_OK ? envelope : ord_span_of(NULL, 0);
}

void admission_forwarded(struct replica *replica, struct frame *frame, struct ord_span bytes) {
    struct channel_batch batch;
    if (channel_batch_decode(&batch, bytes) != ORD_OK || batch.envelope_count == 0) {
        count_add(&replica->counters.messages_refused, 1);
        return;
    }
    struct submission *submission = submission_create(replica, NULL, batch.envelope_count);
    if (submission == NULL)
        return;
    submission->forwarded_by = frame->peer->id;
    admit_all(replica, submission, next_forwarded, &batch);
}

/* ---- sweeping ---- */

bool admission_is_over(struct replica *replica, const struct pool_entry *entry) {
    if (replica->now_ms > entry->since_ms + POOL_AGE_MAX_MS)
        return true;
    struct channel_envelope envelope;
    if (channel_envelope_decode(&envelope, ord_span_of(entry->bytes, entry->size)) != ORD_OK)
        return true;
    const struct channel_client *client = channel_client_find(replica->channel, &(uint32_t) {0}, &envelope.client);
    /* A client table that is full since has no room for a newcomer, and never will: nobody is to be blamed for that. */
    if (entry->key.client_index == UINT32_MAX)
        return client != NULL ||
               channel_client_count(replica->channel) >= channel_configuration(replica->channel)->clients_max;
    return client == NULL || channel_sequence_check(client, envelope.sequence) == CHANNEL_SEQUENCE_OLD ||
           channel_sequence_check(client, envelope.sequence) == CHANNEL_SEQUENCE_SEEN;
}

/* Looks at the oldest of each list only: a fixed cost, and what is executed in order is over in order. */
void admission_sweep(struct replica *replica) {
    enum { LOOK_MAX = 4096 };
    const struct pool *pool = &replica->pool;
    struct pool_entry *heads[] = {pool->ready.head, pool->sent.head, pool->spread.head, pool->passed.head,
                                  pool->proposed.head};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        for (uint32_t left = LOOK_MAX; heads[i] != NULL && left > 0; left--) {
            struct pool_entry *next = heads[i]->next;
            if (admission_is_over(replica, heads[i]))
                pool_remove(&replica->pool, heads[i]);
            heads[i] = next;
        }
}
