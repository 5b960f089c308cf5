/*
 * Admission of envelopes that clients submit to this replica, and of those that backups forward to it. Size, channel,
 * identity, clock, replay and quota are judged here at once; handed-out checks judge the signatures. After that the
 * envelope is in the pool, and the client is told ACCEPTED, which promises nothing more.
 */
#include "replica/replica_internal.h"

#include <stdlib.h>

#include "core/codec.h"
#include "replica/marks.h"

enum {
    /* Envelopes whose signatures are under check. Further ones are refused BUSY. */
    CHECKS_OPEN_MAX = 8192,
    /*
     * The same for registrations. Each takes as long as tens of others, in a queue of its own, so that these are half
     * a second or two.
     */
    NEWCOMERS_OPEN_MAX = 512,
    /* What one check of the newcomers' queue has at most, so that few are run after a liar is known. */
    NEWCOMERS_CHECK = 4,
    /* After a bad signature or certificate, the forwards of the replica that sent it are ignored for this long. */
    IGNORE_MS = 1000,
    /* One source may have this part (1/8) of the pool's bytes under check. */
    CHECKS_BYTES_PART = 8,
    FORWARD_SLACK_S = 300,
    /* A client may have this many envelopes here at any time, while the pool itself has room, ... */
    CLIENT_AT_ANY_TIME = 4,
    /* ... if all of them together cost no more than this. The same for copies. */
    CLIENT_COST_AT_ANY_TIME = (64 << 10) + CLIENT_AT_ANY_TIME * POOL_ENVELOPE_COST,
    /* An envelope that stayed this long is dropped. Its client submits it again. */
    POOL_AGE_MAX_MS = 120000,
};

/*
 * How many envelopes a client's connection and a replica's link may have under check: when all share is used up, and at
 * most.
 */
static const struct share_limits client_limits = {.at_any_time = 256, .most = CHECKS_OPEN_MAX / 2};
static const struct share_limits link_limits = {.at_any_time = 1024, .most = CHECKS_OPEN_MAX};

static const struct share_limits newcomer_client_limits = {.at_any_time = 8, .most = NEWCOMERS_OPEN_MAX / 4};
static const struct share_limits newcomer_link_limits = {.at_any_time = 64, .most = NEWCOMERS_OPEN_MAX};

/* The envelopes of one submission, or of one forward, until each has its result. */
struct admission {
    /* NULL: another replica forwarded them, and nobody waits for results. */
    struct replica_submission *submission;
    /* A replica's id, or the submission's source. */
    uint64_t source;
    /* The client has them at another replica too, which looks after them. */
    bool copy;
    uint32_t count;
    /* Its checks, and 1 until all of them are handed out. */
    uint32_t jobs_open;
    /* The checks that are being filled: of registrations, and of others. NULL: none. */
    struct replica_check *newcomers;
    struct replica_check *others;
    /* the submission's, or own memory */
    struct replica_result *results;
    /* NULL for each envelope that was refused at once. */
    struct pool_entry *entries[];
};

/* A submission's source is never a replica's id. */
static bool is_foreign(uint64_t source) {
    return source < ORD_REPLICA_MAX;
}

enum ord_err admission_init(struct replica *replica) {
    struct shares *checks = &replica->checks;
    enum ord_err err = shares_init(checks, replica->setup.options.sources_max + ORD_REPLICA_MAX);
    checks->total_max = CHECKS_OPEN_MAX;
    checks->source_bytes_max = replica->setup.options.pool_bytes_max / CHECKS_BYTES_PART;
    if (err != ORD_OK)
        return err;
    err = shares_init(&replica->newcomers, checks->entries_max);
    replica->newcomers.total_max = NEWCOMERS_OPEN_MAX;
    replica->newcomers.source_bytes_max = checks->source_bytes_max;
    return err;
}

void admission_deinit(struct replica *replica) {
    shares_deinit(&replica->checks);
    shares_deinit(&replica->newcomers);
}

/* ---- results ---- */

/* Returns false, as what is refused is not admitted. */
static bool refuse(struct replica_result *result, enum replica_verdict verdict, const char *message) {
    result->verdict = verdict;
    result->message = message;
    return false;
}

static const struct refusal {
    enum ord_err err;
    enum replica_verdict verdict;
    const char *message;
} refusals[] = {
    {ORD_ERR_TOO_LARGE, REPLICA_TOO_LARGE, "envelope is over AbsoluteMaxBytes or MaxMessageCount"},
    {ORD_ERR_UNKNOWN_CLIENT, REPLICA_UNKNOWN_CLIENT, "client is not registered in this channel"},
    {ORD_ERR_MISMATCH, REPLICA_FORBIDDEN, "envelope is for another channel or network"},
    {ORD_ERR_STALE, REPLICA_BAD_REQUEST, "config sequence is not the one in force"},
    {ORD_ERR_BAD_SIGNATURE, REPLICA_FORBIDDEN, "signature does not verify"},
    {ORD_ERR_FORBIDDEN, REPLICA_FORBIDDEN, "identity or kind of envelope is not allowed to write here"},
    {ORD_ERR_NO_SPACE, REPLICA_BUSY, "request pool or the client's share of it is full"},
    {ORD_ERR_BUSY, REPLICA_BUSY, "as much waits here already as the channel orders soon"},
    {ORD_ERR_NO_MEMORY, REPLICA_BUSY, "request pool or the client's share of it is full"},
};

static bool refuse_err(struct replica_result *result, enum ord_err err) {
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i].err == err)
            return refuse(result, refusals[i].verdict, refusals[i].message);
    return refuse(result, REPLICA_BAD_REQUEST, "malformed envelope");
}

static void finish(struct replica *replica, struct admission *admission) {
    struct replica_submission *submission = admission->submission;
    uint32_t busy = 0;
    for (uint32_t i = 0; i < admission->count; i++)
        busy += admission->results[i].verdict == REPLICA_BUSY;
    replica->counters.envelopes_busy += busy;
    if (submission == NULL)
        free(admission->results);
    free(admission);
    if (submission == NULL)
        return;
    submission->leader = replica->agree.leader;
    submission->retry_after_ms = busy > 0 ? pace_retry_ms(replica) : 0;
    replica_host(replica)->answer(replica_host(replica)->context, submission);
}

/* ---- one envelope ---- */

static struct shares *shares_for(struct replica *replica, bool registration) {
    return registration ? &replica->newcomers : &replica->checks;
}

/*
 * Nobody knows whether the leader has what comes as a copy, so little of it may wait here and drive the clocks: of each
 * client four small ones, and of all together what is passed on to the leader in one request timeout. Of that too a
 * client has at most as much as it leaves free, or a first one.
 */
static bool copy_has_part(const struct replica *replica, uint32_t count, uint64_t mine, uint64_t cost) {
    uint64_t used = pool_copies_cost(&replica->pool);
    uint64_t most = forward_passed_cost(replica);
    if (count >= CLIENT_AT_ANY_TIME || mine + cost > CLIENT_COST_AT_ANY_TIME)
        return false;
    return used == 0 || (used + cost <= most && (count == 0 || mine + cost <= most - used));
}

/*
 * True if the client may have one more envelope here. What clients bring to this replica is bounded by what the channel
 * orders in one request timeout; what replicas forward by the pool alone, because their clocks depend on it. Either way
 * a client has at most as much as it leaves free. So one client alone gets half, and as many as come share what there
 * is, whoever came first. A client that has little here gets in even beyond that with small envelopes. One that has
 * nothing gets in with an envelope of any size while half of the bound is free. So a newcomer is not shut out, and
 * neither is an envelope that is larger than the bound; many clients with large envelopes stay within the bound, and
 * leave room for what is small. A large one that is refused beside many small ones gets its turn (large.h). What is
 * under check is counted by its source, because anybody can send forgeries under
 * anybody's key.
 */
static bool has_part(struct replica *replica, uint32_t client_index, const struct admission *admission,
                     uint64_t bytes) {
    uint64_t source = admission->source;
    const struct pool *pool = &replica->pool;
    uint64_t most = is_foreign(source) ? pool_cost_max(pool) : pace_budget(replica);
    uint64_t used = pool_cost(pool);
    uint64_t cost = bytes + POOL_ENVELOPE_COST;
    uint32_t count;
    uint64_t mine = pool_client_cost(pool, client_index, &count);
    if (!is_foreign(source)) {
        uint32_t checks;
        uint64_t check_bytes;
        /* This envelope is among them. */
        shares_of(shares_for(replica, client_index == UINT32_MAX), source, &checks, &check_bytes);
        count += checks - 1;
        mine += check_bytes - bytes + (uint64_t) (checks - 1) * POOL_ENVELOPE_COST;
    }
    if (admission->copy)
        return copy_has_part(replica, count, mine, cost);
    if (count < CLIENT_AT_ANY_TIME && mine + cost <= CLIENT_COST_AT_ANY_TIME)
        return true;
    if (count == 0 && used <= most / 2)
        return true;
    return used < most && mine + cost <= most - used;
}

/* True for what a client brings here that is larger than what it may have at any time. */
static bool is_large(const struct admission *admission, uint64_t bytes) {
    return !is_foreign(admission->source) && !admission->copy && bytes + POOL_ENVELOPE_COST > CLIENT_COST_AT_ANY_TIME;
}

/* True if the envelope, which has no part, has waited long enough to come in beyond the rate (large.h). */
static bool has_aged(struct replica *replica, const struct admission *admission, uint64_t bytes) {
    bool may = is_large(admission, bytes) && large_may(replica, admission->source);
    ORD_MARK_IF(may, LARGE_LET_IN);
    return may;
}

/*
 * Compares a certificate's time of validity with this replica's clock. That matters for admission, never for agreed
 * execution.
 */
static bool clock_allows(const struct replica *replica, int64_t not_before_s, int64_t not_after_s, bool foreign,
                         struct replica_result *result) {
    int64_t now_s = replica->turn.wall_s;
    /*
     * Another replica admitted it by its own clock. A small difference between the clocks must not make that replica
     * suspect the leader.
     */
    int64_t slack_s = foreign ? FORWARD_SLACK_S : 0;
    return (now_s + slack_s >= not_before_s && now_s - slack_s <= not_after_s) ||
           refuse(result, REPLICA_FORBIDDEN, "certificate has expired or is not valid yet");
}

/*
 * True if this envelope, or another one under its number, was ordered before. That comes before everything that may
 * have changed since: the certificate's time, the configuration, the room here. So what was ordered is never refused.
 */
static bool was_ordered(const struct replica *replica, const struct channel_envelope *envelope,
                        struct replica_result *result) {
    const struct channel *channel = replica->execute.channel;
    uint32_t client_index;
    const struct channel_client *client = channel_client_find(channel, &client_index, &envelope->client);
    if (client == NULL || !ord_hash_equal(&envelope->genesis_hash, replica->setup.options.genesis_hash))
        return false;
    bool registration = envelope->kind == CHANNEL_ENVELOPE_REGISTER;
    if (!registration) {
        enum channel_sequence found = channel_sequence_check(client, envelope->sequence);
        if (found != CHANNEL_SEQUENCE_SEEN && found != CHANNEL_SEQUENCE_OLD)
            return false;
    }
    result->client_index = client_index;
    result->ordered = true;
    refuse(result, REPLICA_ORDERED, registration ? "client is registered already" : "number was ordered before");
    return true;
}

/* The settled entry has the envelope's body, so it is this envelope, whatever its signature's bytes. */
static bool is_same(const struct pool_entry *settled, const struct channel_envelope *envelope) {
    struct channel_envelope waits;
    return channel_envelope_decode(&waits, ord_span_of(settled->bytes, settled->size)) == ORD_OK &&
           ord_span_equal(waits.body, envelope->body);
}

static bool refuse_taken(struct replica_result *result) {
    ORD_MARK(ANOTHER_BODY_WAITS);
    return refuse(result, REPLICA_TAKEN, "another envelope with this sequence number waits here");
}

/* This very envelope waits here already. If another replica looked after it, this one does from now on. */
static void adopt(struct replica *replica, struct pool_entry *settled, const struct admission *admission) {
    if (!settled->foreign || is_foreign(admission->source) || admission->copy)
        return;
    ORD_MARK(FOREIGN_ADOPTED);
    settled->foreign = false;
    pool_set_copy(&replica->pool, settled, false);
    if (settled->state >= POOL_PASSED && settled->state <= POOL_PASSED_LAST)
        pool_set_state(&replica->pool, settled, POOL_READY);
}

static struct pool_key key_of(const struct replica *replica, const struct channel_envelope *envelope) {
    uint32_t client_index = UINT32_MAX;
    if (envelope->kind != CHANNEL_ENVELOPE_REGISTER)
        (void) channel_client_find(replica->execute.channel, &client_index, &envelope->client);
    return pool_key_of(client_index, &envelope->client, envelope->sequence);
}

/* True if this very envelope waits here. Then it may be ordered, so it is not refused either. */
static bool waits_here(struct replica *replica, const struct channel_envelope *envelope,
                       const struct admission *admission, struct replica_result *result) {
    struct pool_entry *settled = pool_find(&replica->pool, key_of(replica, envelope));
    if (settled == NULL || !is_same(settled, envelope))
        return false;
    adopt(replica, settled, admission);
    refuse(result, REPLICA_ACCEPTED, NULL);
    return true;
}

static bool admit_sequence(struct replica *replica, const struct channel_envelope *envelope, uint32_t client_index,
                           bool foreign, struct replica_result *result) {
    const struct channel_client *client = channel_client_get(replica->execute.channel, client_index);
    if (channel_sequence_check(client, envelope->sequence) == CHANNEL_SEQUENCE_AHEAD) {
        ORD_MARK(SEQUENCE_TOO_FAR);
        return refuse(result, REPLICA_BAD_REQUEST, "sequence number is too far ahead of what is ordered");
    }
    return clock_allows(replica, client->not_before_s, client->not_after_s, foreign, result);
}

/* Puts the envelope into the pool, to be checked. False: it is refused or here already, as `result` says. */
static bool admit(struct replica *replica, struct pool_entry **out, struct replica_envelope_check *item,
                  struct replica_result *result, const struct admission *admission,
                  const struct channel_envelope *envelope) {
    struct channel_judged judged;
    struct ord_span bytes = envelope->bytes;
    enum ord_err err = channel_judge(replica->execute.channel, &judged, envelope);
    uint32_t client_index = judged.client_index;
    if (err == ORD_ERR_NO_SPACE)
        return refuse(result, REPLICA_FORBIDDEN, "the channel has as many clients as its configuration allows");
    if (err != ORD_OK)
        return refuse_err(result, err);
    bool foreign = is_foreign(admission->source);
    /* A registration's certificate is verified with the signature, and looked at after that (clock_allows_newcomer). */
    if (client_index != UINT32_MAX && !admit_sequence(replica, envelope, client_index, foreign, result))
        return false;
    struct pool_entry *entry;
    struct pool_key key = pool_key_of(client_index, &envelope->client, envelope->sequence);
    bool here = pool_find(&replica->pool, key) != NULL;
    bool beyond = !here && !has_part(replica, client_index, admission, bytes.size);
    if (beyond && !has_aged(replica, admission, bytes.size)) {
        ORD_MARK(BUSY_BY_RATE);
        return refuse_err(result, ORD_ERR_BUSY);
    }
    err = pool_add(&replica->pool, &entry, key, admission->source, bytes, replica->turn.now_ms);
    if (err == ORD_ERR_EXISTS)
        return refuse_taken(result);
    /* An envelope under check may be a forgery, so nothing follows from it. */
    if (err == ORD_ERR_BUSY)
        return refuse(result, REPLICA_BUSY, "an envelope with this sequence number is being checked");
    ORD_MARK_IF(err == ORD_ERR_NO_SPACE, POOL_FULL);
    if (err != ORD_OK)
        return refuse_err(result, err);
    err = newcomer_look(replica, item, &judged, &envelope->client);
    if (err != ORD_OK) {
        pool_remove(&replica->pool, entry);
        return refuse_err(result, err);
    }
    if (beyond)
        pool_set_aged(&replica->pool, entry);
    else if (is_large(admission, bytes.size))
        large_leave(replica, admission->source);
    entry->foreign = foreign || admission->copy;
    pool_set_copy(&replica->pool, entry, admission->copy);
    item->key = judged.key;
    item->signature = envelope->signature;
    channel_envelope_id(&item->hash, envelope->body);
    verified_look(replica, item);
    /* Nobody lies in a raft channel: the replica that took the envelope from its client has checked its signature. */
    if (foreign && client_index != UINT32_MAX && replica_config(replica)->consensus == CHANNEL_RAFT &&
        !replica_config(replica)->raft.check_forwards)
        item->known = true;
    *out = entry;
    return true;
}

/* ---- all of them ---- */

static struct admission *admission_create(struct replica_submission *submission, uint64_t source, uint32_t count) {
    struct admission *admission = calloc(1, sizeof(*admission) + count * sizeof(admission->entries[0]));
    if (admission == NULL)
        return NULL;
    *admission = (struct admission) {.submission = submission, .source = source, .count = count, .jobs_open = 1};
    admission->copy = submission != NULL && submission->copy;
    admission->results = submission == NULL ? calloc(count, sizeof(*admission->results)) : submission->results;
    if (admission->results != NULL)
        return admission;
    free(admission);
    return NULL;
}

static void hand_out(struct replica *replica, struct admission *admission, struct replica_check *check) {
    admission->jobs_open++;
    check_hand_out(replica, check);
}

/* The check at hand for this envelope. NULL: there is no memory for one. */
static struct replica_check *check_for(struct replica *replica, struct admission *admission, bool registration) {
    struct replica_check **check = registration ? &admission->newcomers : &admission->others;
    /* The host skips the other registrations of a replica one of whose certificates is bad. */
    bool skips = registration && is_foreign(admission->source);
    if (*check == NULL)
        *check = check_create(replica, REPLICA_CHECK_SUBMITTED,
                              registration ? REPLICA_QUEUE_NEWCOMERS : REPLICA_QUEUE_CLIENTS,
                              skips ? (ord_node_id) admission->source : ORD_NO_NODE, ord_span_of(NULL, 0), NULL);
    if (*check != NULL)
        (*check)->envelopes.part = admission;
    return *check;
}

static const struct share_limits *limits_of(uint64_t source, bool registration) {
    if (registration)
        return is_foreign(source) ? &newcomer_link_limits : &newcomer_client_limits;
    return is_foreign(source) ? &link_limits : &client_limits;
}

/* Admits one envelope into the check at hand. Makes that check if there is none. */
static void admit_one(struct replica *replica, struct admission *admission, uint32_t index, struct ord_span bytes) {
    struct replica_result *result = &admission->results[index];
    struct channel_envelope envelope;
    *result = (struct replica_result) {.verdict = REPLICA_ACCEPTED};
    enum ord_err err = channel_envelope_decode(&envelope, bytes);
    if (err != ORD_OK) {
        refuse_err(result, err);
        return;
    }
    result->sequence = envelope.sequence;
    if (was_ordered(replica, &envelope, result) || waits_here(replica, &envelope, admission, result))
        return;
    if (!replica->turn.room) {
        refuse(result, REPLICA_BUSY, "no room on disk");
        return;
    }
    bool registration = envelope.kind == CHANNEL_ENVELOPE_REGISTER;
    struct replica_check *check = check_for(replica, admission, registration);
    if (check == NULL) {
        refuse_err(result, ORD_ERR_NO_MEMORY);
        return;
    }
    struct shares *shares = shares_for(replica, registration);
    if (!shares_take(shares, admission->source, limits_of(admission->source, registration), bytes.size)) {
        ORD_MARK_IF(!registration, CHECKS_SHARE_SPENT);
        ORD_MARK_IF(registration, NEWCOMERS_SHARE_SPENT);
        refuse(result, REPLICA_BUSY, "too many signatures to check");
        return;
    }
    struct replica_envelope_check *item = &check->envelopes.items[check->envelopes.count];
    if (!admit(replica, &admission->entries[index], item, result, admission, &envelope)) {
        shares_give_back(shares, admission->source, bytes.size);
        return;
    }
    item->tag = index;
    if (++check->envelopes.count < (registration ? NEWCOMERS_CHECK : REPLICA_CHECK_ENVELOPES))
        return;
    *(registration ? &admission->newcomers : &admission->others) = NULL;
    hand_out(replica, admission, check);
}

static void hand_out_last(struct replica *replica, struct admission *admission, struct replica_check *check) {
    if (check != NULL && check->envelopes.count > 0)
        hand_out(replica, admission, check);
    else if (check != NULL)
        check_destroy(replica, check);
}

static void admit_last(struct replica *replica, struct admission *admission) {
    hand_out_last(replica, admission, admission->newcomers);
    hand_out_last(replica, admission, admission->others);
    if (--admission->jobs_open == 0)
        finish(replica, admission);
}

void admission_submitted(struct replica *replica, struct replica_submission *submission) {
    replica->counters.submissions++;
    replica->counters.envelopes_submitted += submission->count;
    struct admission *admission = admission_create(submission, submission->source, submission->count);
    if (admission == NULL) {
        for (uint32_t i = 0; i < submission->count; i++) {
            submission->results[i] = (struct replica_result) {0};
            refuse_err(&submission->results[i], ORD_ERR_NO_MEMORY);
        }
        submission->leader = replica->agree.leader;
        submission->retry_after_ms = pace_retry_ms(replica);
        replica_host(replica)->answer(replica_host(replica)->context, submission);
        return;
    }
    for (uint32_t i = 0; i < submission->count; i++)
        admit_one(replica, admission, i, submission->envelopes[i]);
    admit_last(replica, admission);
}

void admission_forwarded(struct replica *replica, ord_node_id from, struct ord_span bytes) {
    struct channel_batch batch;
    /* An honest replica forwards only what it has checked. */
    if (replica->turn.now_ms < replica->forwards_ignored_until_ms[from]) {
        ORD_MARK(FORWARD_IGNORED);
        replica->counters.link_messages_ignored++;
        return;
    }
    /* A forward is envelopes alone. Only a batch that is to be ordered cuts a block or names a view. */
    if (channel_batch_decode(&batch, bytes) != ORD_OK || batch.envelope_count == 0 || batch.cut_height != 0 ||
        batch.names_view) {
        replica->counters.messages_refused++;
        return;
    }
    struct admission *admission = admission_create(NULL, from, batch.envelope_count);
    if (admission == NULL)
        return;
    for (uint32_t i = 0; i < batch.envelope_count; i++) {
        struct ord_span envelope = ord_span_of(NULL, 0);
        if (channel_batch_next(&envelope, &batch.envelopes) != ORD_OK)
            envelope = ord_span_of(NULL, 0);
        admit_one(replica, admission, i, envelope);
    }
    admit_last(replica, admission);
}

/*
 * An envelope of this key that is under check here is no reason to go without: it may be a forgery, which a liar sent
 * to keep the true one out.
 */
bool admission_wants(struct replica *replica, ord_node_id from, struct pool_key key) {
    const struct admission admission = {.source = from};
    const struct channel *channel = replica->execute.channel;
    if (replica->turn.now_ms < replica->forwards_ignored_until_ms[from] || !replica->turn.room ||
        !pool_takes(&replica->pool, key, from) || !has_part(replica, key.client_index, &admission, 0))
        return false;
    if (key.client_index == UINT32_MAX)
        return channel_client_count(channel) < replica_config(replica)->clients_max;
    const struct channel_client *client = channel_client_get(channel, key.client_index);
    return client != NULL && channel_sequence_check(client, key.sequence) == CHANNEL_SEQUENCE_FRESH;
}

/* ---- checks that are back ---- */

/* The fault that the check found; ORD_OK: none. */
static enum ord_err fault_of(const struct replica_envelope_check *item) {
    if (item->ok)
        return ORD_OK;
    return item->newcomer != NULL && item->newcomer->err != ORD_OK ? item->newcomer->err : ORD_ERR_BAD_SIGNATURE;
}

static bool clock_allows_newcomer(const struct replica *replica, const struct replica_envelope_check *item,
                                  const struct admission *admission, struct replica_result *result) {
    const struct replica_newcomer *newcomer = item->newcomer;
    return newcomer == NULL || clock_allows(replica, newcomer->says.not_before_s, newcomer->says.not_after_s,
                                            is_foreign(admission->source), result);
}

/* Another entry got the key while this one's signature was checked. */
static void settle_beside(struct replica *replica, struct replica_result *result, const struct pool_entry *entry,
                          const struct admission *admission) {
    struct pool_entry *settled = pool_find(&replica->pool, entry->key);
    struct channel_envelope envelope;
    if (channel_envelope_decode(&envelope, ord_span_of(entry->bytes, entry->size)) != ORD_OK ||
        !is_same(settled, &envelope))
        refuse_taken(result);
    else
        adopt(replica, settled, admission);
}

static void settle(struct replica *replica, struct replica_result *result, struct pool_entry *entry,
                   const struct replica_envelope_check *item, const struct admission *admission) {
    enum ord_err err = fault_of(item);
    replica->counters.client_signatures_bad += err != ORD_OK && err != ORD_ERR_NO_MEMORY;
    if (err == ORD_OK && !clock_allows_newcomer(replica, item, admission, result)) {
        pool_remove(&replica->pool, entry);
        return;
    }
    if (err == ORD_OK)
        err = pool_settle(&replica->pool, entry, replica->turn.now_ms);
    if (err == ORD_OK)
        return;
    if (err == ORD_ERR_EXISTS)
        settle_beside(replica, result, entry, admission);
    else
        refuse_err(result, err);
    pool_remove(&replica->pool, entry);
}

void admission_checked(struct replica *replica, struct replica_check *check, bool dropped) {
    struct admission *admission = check->envelopes.part;
    struct shares *shares = shares_for(replica, check->queue == REPLICA_QUEUE_NEWCOMERS);
    if (check->bad && is_foreign(admission->source))
        replica->forwards_ignored_until_ms[admission->source] = replica->turn.now_ms + IGNORE_MS;
    replica->counters.link_messages_ignored += check->ignored;
    for (uint32_t i = 0; i < check->envelopes.count; i++) {
        const struct replica_envelope_check *item = &check->envelopes.items[i];
        struct pool_entry *entry = admission->entries[item->tag];
        struct replica_result *result = &admission->results[item->tag];
        shares_give_back(shares, admission->source, entry->size);
        if (dropped || check->ignored) {
            refuse(result, REPLICA_BUSY, "replica is stopping");
            pool_remove(&replica->pool, entry);
        } else {
            verified_note(replica, item);
            settle(replica, result, entry, item, admission);
        }
    }
    judge_stir(replica);
    if (--admission->jobs_open == 0)
        finish(replica, admission);
}

/* ---- sweeping ---- */

bool admission_is_over(struct replica *replica, const struct pool_entry *entry) {
    struct channel *channel = replica->execute.channel;
    if (replica->turn.now_ms > entry->since_ms + POOL_AGE_MAX_MS)
        return true;
    struct channel_envelope envelope;
    if (channel_envelope_decode(&envelope, ord_span_of(entry->bytes, entry->size)) != ORD_OK)
        return true;
    const struct channel_client *client = channel_client_find(channel, &(uint32_t) {0}, &envelope.client);
    /* A full client table never has room for a newcomer, and nobody is to blame for that. */
    if (entry->key.client_index == UINT32_MAX)
        return client != NULL || channel_client_count(channel) >= replica_config(replica)->clients_max;
    return client == NULL || channel_sequence_check(client, envelope.sequence) == CHANNEL_SEQUENCE_OLD ||
           channel_sequence_check(client, envelope.sequence) == CHANNEL_SEQUENCE_SEEN;
}

/*
 * Looks only at the oldest entries of each list. That bounds the cost, and entries that are executed in order are over
 * in order.
 */
void admission_sweep(struct replica *replica) {
    enum { LOOK_MAX = 4096 };
    struct pool_entry *next;
    for (size_t i = 0; i < POOL_STATES; i++) {
        struct pool_entry *entry = replica->pool.lists[i].head;
        for (uint32_t left = LOOK_MAX; entry != NULL && left > 0; left--, entry = next) {
            next = entry->next;
            if (admission_is_over(replica, entry))
                pool_remove(&replica->pool, entry);
        }
    }
}
