/*
 * Attestations, and what they make up: block certificates (f + 1) and stable checkpoints (2f + 1).
 *
 * A statement is gathered when its seq is executed, frozen when its turn's commit begins, and signed when that commit
 * is done. A signed statement about something that is not durable could contradict the next one after a crash. Other
 * replicas' statements are checked only if no newer stable checkpoint covers them.
 */
#include "replica/replica_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "replica/marks.h"

enum {
    RESEND_MS = 1000,
    /* When nothing was executed for this long, the newest executed seq is attested. */
    REST_MS = 1000,
};

enum ord_err attest_init(struct replica *replica) {
    const struct channel_config *config = replica_config(replica);
    struct attest *attest = &replica->attest;
    attest->history = calloc(record_point_slots(config->window), sizeof(*attest->history));
    void *collector = malloc(channel_collector_size(config->replica_count));
    if (attest->history == NULL || collector == NULL) {
        free(collector);
        return ORD_ERR_NO_MEMORY;
    }
    channel_collector_init(&attest->collector, collector, config->replica_count);
    attest->newest.signer = ORD_NO_NODE;
    return ORD_OK;
}

void attest_deinit(struct replica *replica) {
    free(replica->attest.collector);
    free(replica->attest.history);
}

/*
 * Every point from the newest stable checkpoint on must be found again, even after a restart. Whichever point becomes
 * stable next, a replica that is behind asks for its tail, and only those who executed it have that. All these points
 * lie within a window.
 */
static uint32_t slot_of(const struct replica *replica, uint64_t seq) {
    return (uint32_t) (seq % record_point_slots(replica_config(replica)->window));
}

void attest_keep(struct replica *replica, const struct attest_point *point) {
    replica->attest.history[slot_of(replica, point->statement.seq)] = *point;
}

static void write_point(struct replica *replica, const struct attest_point *point) {
    char name[RECORD_POINT_NAME_SIZE];
    uint8_t record[RECORD_POINT_MAX];
    record_point_name(name, slot_of(replica, point->statement.seq));
    size_t size = record_point_encode(record, replica_config(replica), point);
    replica_put_meta(replica, name, ord_span_of(record, size), "writing a point of attestation");
}

static void list_add(struct attest_list *list, const struct channel_statement *statement) {
    if (list->count == ATTEST_POINTS_MAX) {
        memmove(list->items, list->items + 1, (ATTEST_POINTS_MAX - 1) * sizeof(list->items[0]));
        list->count--;
    }
    list->items[list->count++] = *statement;
}

void attest_at(struct replica *replica, uint64_t seq) {
    struct channel *channel = replica->execute.channel;
    struct channel_statement statement = {
        .epoch = replica->setup.core_config.epoch,
        .seq = seq,
        .height = channel_height(channel),
        .header_hash = *channel_head_hash(channel),
    };
    channel_state_digest(channel, &statement.state_digest);
    list_add(&replica->attest.gathered, &statement);
    struct channel_open_block open;
    channel_open(channel, &open);
    struct attest_point point = {
        .statement = statement, .tail_size = open.data.size, .progress = *channel_progress(channel)};
    channel_clients_root(channel, &point.clients_root);
    attest_keep(replica, &point);
    write_point(replica, &point);
    uint8_t record[RECORD_STATEMENT_SIZE];
    record_statement_encode(record, &statement);
    replica_put_meta(replica, RECORD_STATEMENT, ord_span_of(record, sizeof(record)), "writing a statement");
    replica_urgent(replica);
}

void attest_recovered(struct replica *replica, const struct channel_statement *statement) {
    list_add(&replica->attest.frozen, statement);
}

void attest_freeze(struct replica *replica) {
    struct attest *attest = &replica->attest;
    for (uint32_t i = 0; i < attest->gathered.count; i++)
        list_add(&attest->frozen, &attest->gathered.items[i]);
    attest->gathered.count = 0;
}

const struct attest_point *attest_find(const struct replica *replica, uint64_t seq) {
    const struct attest_point *own = &replica->attest.history[slot_of(replica, seq)];
    return seq != 0 && own->statement.seq == seq ? own : NULL;
}

/* An honest replica that differs from f + 1 others has lost its state. It stops before it does harm (row C1). */
static bool differs(struct replica *replica, const struct channel_statement *statement) {
    const struct attest_point *own = attest_find(replica, statement->seq);
    if (own == NULL || channel_statement_equal(&own->statement, statement))
        return false;
    char mine[17];
    char theirs[17];
    replica_log(replica, REPLICA_LOG_ERROR, "state_differs", "seq=%" PRIu64 " own=%s others=%s", statement->seq,
                replica_log_hash(mine, &own->statement.state_digest),
                replica_log_hash(theirs, &statement->state_digest));
    replica_fail(replica, ORD_ERR_MISMATCH, "f + 1 replicas attest another state than ours");
    return true;
}

/*
 * The core truncates its log at `low`. That checkpoint lags behind the newest stable one by up to half a checkpoint
 * interval, although any block may become a stable checkpoint. So a replica that lost a frame can still ask for it, and
 * does not need a state transfer. If bodies take much memory, or the window fills up, the log is cut at once.
 */
static void truncate_log(struct replica *replica) {
    struct attest *attest = &replica->attest;
    const struct ord_core_config *config = &replica->setup.core_config;
    struct ord_status core = agree_status(replica);
    uint64_t stable_seq = attest->stable.statement.seq;
    /* A half-full window must not wait for a point that may have no room any more. */
    bool full = core.body_bytes + config->batch_bytes_max > config->body_bytes_max / 4 ||
                stable_seq >= core.stable_seq + config->window / 2;
    uint64_t low_seq = attest->low.count == 0 ? 0 : attest->low.statement.seq;
    if (!full && stable_seq < low_seq + config->checkpoint_interval / 2)
        return;
    ORD_MARK_IF(full, LOG_CUT_AT_ONCE);
    const struct channel_certificate low = full ? attest->stable : attest->low;
    attest->low = attest->stable;
    if (low.count > 0)
        attest->cut = low;
}

void attest_cut(struct replica *replica) {
    struct attest *attest = &replica->attest;
    if (attest->stable.count > 0 && attest->stable_settled &&
        attest->stable.statement.seq > agree_status(replica).stable_seq)
        attest->cut = attest->stable;
}

void attest_settle(struct replica *replica) {
    struct attest *attest = &replica->attest;
    uint64_t seq = attest->stable.statement.seq;
    if (attest->stable.count == 0 || attest->stable_settled || seq > channel_applied_seq(replica->execute.channel) ||
        replica->turn.fatal)
        return;
    attest->stable_settled = true;
    attest->stable_ahead = false;
    if (differs(replica, &attest->stable.statement))
        return;
    if (seq > attest->weak_seq) {
        attest->weak_seq = seq;
        certified_keep(replica, &attest->stable);
    }
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(bytes, &attest->stable);
    replica_put_meta(replica, RECORD_STABLE, ord_span_of(bytes, size), "writing the stable checkpoint");
    channel_collector_prune(attest->collector, seq);
    truncate_log(replica);
}

/* True if a multiple of snapshot_blocks lies above the last certificate of which the core was told. */
static bool snapshot_due(const struct replica *replica, uint64_t height) {
    uint32_t every = replica_config(replica)->raft.snapshot_blocks;
    return every > 0 && height / every > replica->attest.told_height / every;
}

static void tell_core(struct replica *replica, struct ord_event *out, const struct channel_certificate *certificate) {
    struct attest *attest = &replica->attest;
    const struct channel_statement *statement = &certificate->statement;
    size_t size = channel_certificate_encode(attest->told, certificate);
    *out = (struct ord_event) {.type = ORD_EVENT_ATTESTED,
                               .attested = {.seq = statement->seq,
                                            .certificate = ord_span_of(attest->told, size),
                                            .cut = snapshot_due(replica, statement->height)}};
    attest->told_height = ord_max(attest->told_height, statement->height);
}

bool attest_next(struct replica *replica, struct ord_event *out) {
    struct attest *attest = &replica->attest;
    if (attest->cut.count > 0) {
        bool news = attest->cut.statement.seq > agree_status(replica).stable_seq;
        if (news)
            tell_core(replica, out, &attest->cut);
        attest->cut.count = 0;
        if (news)
            return true;
    }
    if (!attest->stable_ahead)
        return false;
    attest->stable_ahead = false;
    ORD_MARK(STABLE_AHEAD);
    /* The core decides whether its log takes it there. */
    tell_core(replica, out, &attest->stable);
    return true;
}

static void checkpoint_stable(struct replica *replica, const struct channel_certificate *certificate) {
    struct attest *attest = &replica->attest;
    attest->stable = *certificate;
    attest->stable_settled = false;
    attest->stable_ahead = certificate->statement.seq > channel_applied_seq(replica->execute.channel);
    attest_settle(replica);
}

/*
 * A view change may show the core a checkpoint that no attestation and no certificate told us of. The core verified it
 * when it took the message. The core is not told again.
 */
void attest_shown(struct replica *replica, struct ord_span bytes) {
    struct attest *attest = &replica->attest;
    struct channel_certificate certificate;
    if (channel_certificate_decode(&certificate, bytes) != ORD_OK ||
        certificate.statement.seq <= channel_applied_seq(replica->execute.channel) ||
        (attest->stable.count > 0 && certificate.statement.seq <= attest->stable.statement.seq))
        return;
    ORD_MARK(STABLE_SHOWN_BY_CORE);
    attest->stable = certificate;
    attest->stable_settled = false;
    attest->stable_ahead = false;
}

/* At least f + 1 replicas attest the certificate's statement, and each signature is verified. */
static void certified(struct replica *replica, const struct channel_certificate *certificate) {
    const struct channel_statement *statement = &certificate->statement;
    struct attest *attest = &replica->attest;
    if (differs(replica, statement))
        return;
    uint64_t applied_seq = channel_applied_seq(replica->execute.channel);
    if (statement->seq > applied_seq && statement->seq > attest->ahead.statement.seq) {
        if (attest->ahead.statement.seq <= applied_seq)
            attest->ahead_since_ms = replica->turn.now_ms;
        attest->ahead = *certificate;
    }
    if (statement->seq <= applied_seq && statement->seq > attest->weak_seq) {
        attest->weak_seq = statement->seq;
        certified_keep(replica, certificate);
    }
    uint64_t stable_seq = attest->stable.count == 0 ? 0 : attest->stable.statement.seq;
    if (certificate->count >= channel_strong_quorum(replica_config(replica)) && statement->seq > stable_seq)
        checkpoint_stable(replica, certificate);
}

/* Accuses the signer of a verified attestation if it contradicts the signer's earlier one. */
static void compare(struct replica *replica, const struct channel_attestation *attestation) {
    struct channel_attestation kept;
    if (channel_collector_find(replica->attest.collector, &kept, attestation->signer, attestation->statement.seq) &&
        !channel_statement_equal(&kept.statement, &attestation->statement))
        accuse_attestations(replica, &kept, attestation);
}

/* A liar may tell each replica something else. This verified certificate has what it told those who made it. */
static void compare_all(struct replica *replica, const struct channel_certificate *certificate) {
    for (uint32_t i = 0; i < certificate->count; i++) {
        const struct channel_attestation attestation = {.statement = certificate->statement,
                                                        .signer = certificate->signers[i],
                                                        .signature = certificate->signatures[i]};
        compare(replica, &attestation);
    }
}

static void collect(struct replica *replica, const struct channel_attestation *attestation) {
    struct channel_certificate certificate;
    enum ord_err err = channel_collector_add(replica->attest.collector, &certificate, attestation,
                                             channel_weak_quorum(replica_config(replica)));
    if (err == ORD_OK)
        certified(replica, &certificate);
    else if (err == ORD_ERR_MISMATCH)
        compare(replica, attestation);
}

static void send_newest(struct replica *replica) {
    struct attest *attest = &replica->attest;
    uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
    channel_attestation_encode(bytes, &attest->newest);
    const struct ord_span part = ord_span_of(bytes, sizeof(bytes));
    attest->newest_sent_ms = replica->turn.now_ms;
    replica_send(replica, ~(ord_replica_set) 0, REPLICA_LINK_ATTESTATION, &part, 1);
}

void attest_sign(struct replica *replica) {
    struct attest *attest = &replica->attest;
    for (uint32_t i = 0; i < attest->frozen.count && !replica->turn.fatal; i++) {
        enum ord_err err =
            channel_attest(&attest->newest, replica->setup.options.genesis_hash, &attest->frozen.items[i],
                           replica_self(replica), &replica->setup.options.signer);
        if (err != ORD_OK) {
            replica_fail(replica, err, "signing an attestation");
            return;
        }
        replica->counters.attestations_made++;
        send_newest(replica);
        collect(replica, &attest->newest);
    }
    attest->frozen.count = 0;
}

/*
 * View changes also tell the core of checkpoints. If the signers attest to nobody, replicas hear of such a checkpoint
 * from the core alone, and one that is behind it could not hear of it at all. The core has verified it.
 */
static void learn_stable(struct replica *replica) {
    struct channel_certificate certificate;
    struct ord_status core = agree_status(replica);
    uint64_t known_seq = replica->attest.stable.count == 0 ? 0 : replica->attest.stable.statement.seq;
    if (core.stable_seq > known_seq && core.stable_seq <= channel_applied_seq(replica->execute.channel) &&
        channel_certificate_decode(&certificate, core.stable_certificate) == ORD_OK) {
        ORD_MARK(STABLE_LEARNT_FROM_CORE);
        certified(replica, &certificate);
    }
}

/*
 * What was executed since the last point of attestation has no certificate. A replica that the log does not bring
 * there, because it is alone in a later view, could get it by state transfer only. So where nothing was executed for a
 * while, this replica attests the newest executed seq too.
 *
 * Invariant: such an attestation changes nothing but what is known of that seq. The channel's count of bytes goes on,
 * so the next points fall where they do at a replica that did not attest here. Replicas need not agree on which seqs
 * were attested at rest. A replica that attested one keeps its tail as for any other point, and it takes f + 1
 * attestations, one of them honest, to make it anybody's target.
 */
static void attest_at_rest(struct replica *replica) {
    struct attest *attest = &replica->attest;
    uint64_t now_ms = replica->turn.now_ms;
    uint64_t applied_seq = channel_applied_seq(replica->execute.channel);
    if (applied_seq != attest->rest_seq) {
        attest->rest_seq = applied_seq;
        attest->rest_since_ms = now_ms;
    }
    if (applied_seq == 0 || now_ms < attest->rest_since_ms + REST_MS || attest_find(replica, applied_seq) != NULL ||
        replica->sync.between || replica->sync.synced || !replica->turn.room)
        return;
    ORD_MARK(ATTESTED_AT_REST);
    attest_at(replica, applied_seq);
}

static void send_certificate(struct replica *replica, const struct channel_certificate *certificate) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    const struct ord_span part = ord_span_of(bytes, channel_certificate_encode(bytes, certificate));
    replica_send(replica, ~(ord_replica_set) 0, REPLICA_LINK_CERTIFICATE, &part, 1);
}

/*
 * Once a second the newest own attestation goes out again, and the stable certificate goes to all. Nobody's own
 * statements tell whether it holds that certificate: a replica may have attested the seq and miss the others'
 * attestations, each of which was sent once.
 *
 * The same holds for what f + 1 attest and this replica asks for. The only honest replica that still has the blocks may
 * have missed the attestation of another one that has lost its disk since. It cannot prove the blocks then, and does
 * not serve them. Those who ask for them can, because they know the target by its certificate.
 */
void attest_resend(struct replica *replica) {
    struct attest *attest = &replica->attest;
    uint64_t now_ms = replica->turn.now_ms;
    attest_at_rest(replica);
    if (attest->newest.signer != ORD_NO_NODE && now_ms >= attest->newest_sent_ms + RESEND_MS)
        send_newest(replica);
    if (now_ms < attest->stable_sent_ms + RESEND_MS)
        return;
    learn_stable(replica);
    const struct sync *sync = &replica->sync;
    uint64_t stable_seq = attest->stable.count == 0 ? 0 : attest->stable.statement.seq;
    bool asks = sync->active && sync->target.count > 0 && sync->target.statement.seq > stable_seq;
    if (stable_seq == 0 && !asks)
        return;
    attest->stable_sent_ms = now_ms;
    if (stable_seq != 0)
        send_certificate(replica, &attest->stable);
    if (asks)
        send_certificate(replica, &sync->target);
}

/*
 * Only newest attestations are repeated. A replica that repeats an older one is stuck there, and may lack ours of the
 * same seq. Points before the newest signed one are durable, and signing a statement again gives the same signature.
 */
static void answer_old(struct replica *replica, ord_node_id to, uint64_t seq) {
    struct attest *attest = &replica->attest;
    const struct attest_point *own = attest_find(replica, seq);
    uint64_t now_ms = replica->turn.now_ms;
    if (own == NULL || attest->newest.signer == ORD_NO_NODE || seq >= attest->newest.statement.seq ||
        now_ms < attest->answered_ms[to] + RESEND_MS)
        return;
    struct channel_attestation answer;
    enum ord_err err = channel_attest(&answer, replica->setup.options.genesis_hash, &own->statement,
                                      replica_self(replica), &replica->setup.options.signer);
    if (err != ORD_OK) {
        replica_fail(replica, err, "signing an attestation");
        return;
    }
    ORD_MARK(ATTESTED_AGAIN);
    attest->answered_ms[to] = now_ms;
    uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
    channel_attestation_encode(bytes, &answer);
    const struct ord_span part = ord_span_of(bytes, sizeof(bytes));
    replica_send(replica, ord_replica_bit(to), REPLICA_LINK_ATTESTATION, &part, 1);
}

/* ---- others' ---- */

void attest_checked(struct replica *replica, struct replica_check *check) {
    account_end(replica, check);
    if (check->ignored)
        return;
    if (check->err != ORD_OK) {
        replica->counters.attestations_bad++;
        return;
    }
    if (check->type == REPLICA_CHECK_CERTIFICATE) {
        compare_all(replica, check->certificate);
        certified(replica, check->certificate);
        return;
    }
    collect(replica, &check->attestation);
    answer_old(replica, check->from, check->attestation.statement.seq);
}

/* True: nobody needs this statement any more, and the message that has it is not checked. */
static bool covered(const struct replica *replica, const struct channel_statement *statement) {
    const struct attest *attest = &replica->attest;
    return statement->epoch != replica->setup.core_config.epoch ||
           (attest->stable.count > 0 && statement->seq <= attest->stable.statement.seq);
}

/* True: this replica has the signer's attestation of this very statement. */
static bool is_known(const struct replica *replica, const struct channel_attestation *attestation) {
    struct channel_attestation kept;
    return channel_collector_find(replica->attest.collector, &kept, attestation->signer, attestation->statement.seq) &&
           channel_statement_equal(&kept.statement, &attestation->statement);
}

/*
 * True: the certificate proves no more than is proven here, and contradicts nobody. One of a quorum that is not covered
 * always proves more.
 */
static bool proves_nothing_new(const struct replica *replica, const struct channel_certificate *certificate) {
    const struct channel_statement *statement = &certificate->statement;
    const struct attest *attest = &replica->attest;
    bool ahead = statement->seq > channel_applied_seq(replica->execute.channel);
    if (certificate->count >= channel_strong_quorum(replica_config(replica)) ||
        statement->seq > (ahead ? attest->ahead.statement.seq : attest->weak_seq))
        return false;
    for (uint32_t i = 0; i < certificate->count; i++) {
        struct channel_attestation kept;
        if (certificate->signers[i] >= replica_config(replica)->replica_count ||
            (channel_collector_find(attest->collector, &kept, certificate->signers[i], statement->seq) &&
             !channel_statement_equal(&kept.statement, statement)))
            return false;
    }
    return true;
}

static bool wants_certificate(const struct replica *replica, const struct channel_certificate *certificate) {
    return !covered(replica, &certificate->statement) && !proves_nothing_new(replica, certificate);
}

bool attest_wants(struct replica *replica, const struct replica_check *check) {
    bool wanted = check->type == REPLICA_CHECK_CERTIFICATE
                      ? wants_certificate(replica, check->certificate)
                      : !covered(replica, &check->attestation.statement) && !is_known(replica, &check->attestation);
    replica->counters.attestations_skipped += !wanted;
    return wanted;
}

void attest_received(struct replica *replica, ord_node_id from, struct ord_span bytes) {
    struct channel_attestation attestation;
    if (channel_attestation_decode(&attestation, bytes) != ORD_OK || attestation.signer != from) {
        replica->counters.messages_refused++;
        return;
    }
    sync_source_attested(replica, from, attestation.statement.seq);
    if (covered(replica, &attestation.statement)) {
        replica->counters.attestations_skipped++;
        return;
    }
    if (is_known(replica, &attestation)) {
        ORD_MARK(ATTESTATION_KNOWN);
        replica->counters.attestations_skipped++;
        answer_old(replica, from, attestation.statement.seq);
        return;
    }
    struct replica_check *check = account_check(replica, REPLICA_CHECK_ATTESTATION, from, ord_span_of(NULL, 0), NULL);
    if (check == NULL)
        return;
    check->attestation = attestation;
    account_hand_out(replica, check);
}

void attest_certificate_received(struct replica *replica, ord_node_id from, struct ord_span bytes) {
    struct channel_certificate certificate;
    if (channel_certificate_decode(&certificate, bytes) != ORD_OK) {
        replica->counters.messages_refused++;
        return;
    }
    if (!wants_certificate(replica, &certificate)) {
        replica->counters.attestations_skipped++;
        return;
    }
    struct replica_check *check = account_check(replica, REPLICA_CHECK_CERTIFICATE, from, ord_span_of(NULL, 0), NULL);
    if (check == NULL)
        return;
    *check->certificate = certificate;
    account_hand_out(replica, check);
}
