/*
 * Attestations and what they make: block certificates (f + 1) and stable checkpoints (2f + 1).
 *
 * A statement is taken when its seq was executed, signed after the turn's commit (a statement about what is not durable could
 * contradict the next one after a crash), and sent in the same turn's frames. Others' are checked only when no newer stable
 * checkpoint covers them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "node/log.h"
#include "node/records.h"
#include "node/replica_internal.h"

enum { RESEND_MS = 1000 };

/*
 * Every point from the newest stable checkpoint on must be found again, restarts included: whichever of them becomes stable next,
 * who is behind asks those who executed it for its tail, and nobody else has it. They all lie within a window.
 */
static uint32_t slot_of(const struct replica *replica, uint64_t seq) {
    return (uint32_t) (seq % record_point_slots(replica->channel_config->window));
}

void attest_keep(struct replica *replica, const struct attest_point *point) {
    replica->attest.history[slot_of(replica, point->statement.seq)] = *point;
}

static enum ord_err write_point(struct replica *replica, const struct attest_point *point) {
    char name[RECORD_POINT_NAME_SIZE];
    uint8_t record[RECORD_POINT_SIZE];
    record_point_name(name, slot_of(replica, point->statement.seq));
    record_point_encode(record, point);
    return ledger_put_meta(replica->ledger, name, ord_span_of(record, sizeof(record)));
}

/* In the turn that executed `seq`. */
void attest_at(struct replica *replica, uint64_t seq) {
    struct attest *attest = &replica->attest;
    struct channel_statement statement = {
        .epoch = replica->core_config.epoch,
        .seq = seq,
        .height = channel_height(replica->channel),
        .header_hash = *channel_head_hash(replica->channel),
    };
    channel_state_digest(replica->channel, &statement.state_digest);
    /* A turn that executes more points than there is room for keeps the newest: it covers the others. */
    if (attest->pending_count == sizeof(attest->pending) / sizeof(attest->pending[0])) {
        memmove(attest->pending, attest->pending + 1, (attest->pending_count - 1) * sizeof(attest->pending[0]));
        attest->pending_count--;
    }
    attest->pending[attest->pending_count++] = statement;
    struct channel_open_block open;
    channel_open(replica->channel, &open);
    struct attest_point point = {.statement = statement, .tail_size = open.data.size};
    channel_clients_root(replica->channel, &point.clients_root);
    attest_keep(replica, &point);
    uint8_t record[RECORD_STATEMENT_SIZE];
    record_statement_encode(record, &statement);
    enum ord_err err = ledger_put_meta(replica->ledger, RECORD_STATEMENT, ord_span_of(record, sizeof(record)));
    if (err == ORD_OK)
        err = write_point(replica, &point);
    if (err != ORD_OK)
        replica_fail(replica, err, "writing a statement");
}

const struct attest_point *attest_find(const struct replica *replica, uint64_t seq) {
    const struct attest_point *own = &replica->attest.history[slot_of(replica, seq)];
    return seq != 0 && own->statement.seq == seq ? own : NULL;
}

/* An honest replica that differs from f + 1 others has lost its state: it stops before it does harm (row C1). */
static bool differs(struct replica *replica, const struct channel_statement *statement) {
    const struct attest_point *own = attest_find(replica, statement->seq);
    if (own == NULL || channel_statement_equal(&own->statement, statement))
        return false;
    char mine[17];
    char theirs[17];
    node_log(NODE_LOG_ERROR, "state_differs", "seq=%" PRIu64 " own=%s others=%s", statement->seq,
             node_log_hash(mine, &own->statement.state_digest), node_log_hash(theirs, &statement->state_digest));
    replica_fail(replica, ORD_ERR_MISMATCH, "f + 1 replicas attest another state than ours");
    return true;
}

static void block_certified(struct replica *replica, const struct channel_certificate *certificate) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    uint64_t height = certificate->statement.height;
    if (height > 0) {
        size_t size = channel_certificate_encode(bytes, certificate);
        enum ord_err err = ledger_put_certificate(replica->ledger, height, ord_span_of(bytes, size));
        if (err != ORD_OK) {
            replica_fail(replica, err, "writing a certificate");
            return;
        }
    }
    service_certified(replica, height, certificate);
}

static void tell_core(struct replica *replica, const struct channel_certificate *certificate) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(bytes, certificate);
    struct ord_event event = {.type = ORD_EVENT_ATTESTED,
                              .now_ms = replica->now_ms,
                              .attested = {.seq = certificate->statement.seq, .certificate = ord_span_of(bytes, size)}};
    replica_step(replica, &event);
}

/*
 * The core truncates its log at `low`. That lags behind the newest stable checkpoint by up to half a checkpoint interval, though
 * any block may make one: a replica that lost a frame can then ask for it again, where it would need a state transfer
 * otherwise. When bodies take much memory, the log goes at once.
 */
static void truncate_log(struct replica *replica) {
    struct attest *attest = &replica->attest;
    struct ord_status core;
    replica->protocol->status(replica->core, &core);
    uint64_t stable_seq = attest->stable.statement.seq;
    /* A window that is half full must not wait for a point that there may be no room for. */
    bool full = core.body_bytes + replica->core_config.batch_bytes_max > replica->core_config.body_bytes_max / 4 ||
                stable_seq >= core.stable_seq + replica->core_config.window / 2;
    uint64_t low_seq = attest->low.count == 0 ? 0 : attest->low.statement.seq;
    if (!full && stable_seq < low_seq + replica->core_config.checkpoint_interval / 2)
        return;
    const struct channel_certificate low = full ? attest->stable : attest->low;
    attest->low = attest->stable;
    if (low.count > 0 && low.statement.seq > core.stable_seq)
        tell_core(replica, &low);
}

/* The newest stable checkpoint is executed here. */
void attest_settle(struct replica *replica) {
    struct attest *attest = &replica->attest;
    uint64_t seq = attest->stable.statement.seq;
    if (attest->stable.count == 0 || attest->stable_settled || seq > channel_applied_seq(replica->channel))
        return;
    attest->stable_settled = true;
    if (differs(replica, &attest->stable.statement))
        return;
    if (seq > attest->weak_seq) {
        attest->weak_seq = seq;
        block_certified(replica, &attest->stable);
    }
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(bytes, &attest->stable);
    enum ord_err err = ledger_put_meta(replica->ledger, RECORD_STABLE, ord_span_of(bytes, size));
    if (err != ORD_OK) {
        replica_fail(replica, err, "writing the stable checkpoint");
        return;
    }
    channel_collector_prune(attest->collector, seq);
    truncate_log(replica);
}

static void checkpoint_stable(struct replica *replica, const struct channel_certificate *certificate) {
    struct attest *attest = &replica->attest;
    attest->stable = *certificate;
    attest->stable_settled = false;
    uint64_t seq = certificate->statement.seq;
    if (seq <= channel_applied_seq(replica->channel)) {
        attest_settle(replica);
        return;
    }
    tell_core(replica, certificate); /* ahead of us: the core decides whether its log gets it there */
}

/*
 * A view change may show the core what no attestation and no certificate told us here; verified at the core's door. Not told to the
 * core, which is in the middle of a step.
 */
void attest_shown(struct replica *replica, struct ord_span bytes) {
    struct attest *attest = &replica->attest;
    struct channel_certificate certificate;
    if (channel_certificate_decode(&certificate, bytes) != ORD_OK ||
        certificate.statement.seq <= channel_applied_seq(replica->channel) ||
        (attest->stable.count > 0 && certificate.statement.seq <= attest->stable.statement.seq))
        return;
    attest->stable = certificate;
    attest->stable_settled = false;
}

/* At least f + 1 say so, each verified. */
static void certified(struct replica *replica, const struct channel_certificate *certificate) {
    const struct channel_statement *statement = &certificate->statement;
    struct attest *attest = &replica->attest;
    if (differs(replica, statement))
        return;
    bool executed = statement->seq <= channel_applied_seq(replica->channel);
    if (executed && statement->seq > attest->weak_seq) {
        attest->weak_seq = statement->seq;
        block_certified(replica, certificate);
    }
    uint64_t stable_seq = attest->stable.count == 0 ? 0 : attest->stable.statement.seq;
    if (certificate->count >= channel_strong_quorum(replica->channel_config) && statement->seq > stable_seq)
        checkpoint_stable(replica, certificate);
}

/* Does its signer contradict what it attested before? Verified. */
static void compare(struct replica *replica, const struct channel_attestation *attestation) {
    struct channel_attestation kept;
    if (channel_collector_find(replica->attest.collector, &kept, attestation->signer, attestation->statement.seq) &&
        !channel_statement_equal(&kept.statement, &attestation->statement))
        accuse_attestations(replica, &kept, attestation);
}

/* A liar may tell each of us something else; what it told those who made this certificate is in it. Verified. */
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
                                             channel_weak_quorum(replica->channel_config));
    if (err == ORD_OK)
        certified(replica, &certificate);
    else if (err == ORD_ERR_MISMATCH)
        compare(replica, attestation);
}

static void send_attestation(struct replica *replica, ord_replica_set to) {
    uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
    channel_attestation_encode(bytes, &replica->attest.newest);
    const struct ord_span part = ord_span_of(bytes, sizeof(bytes));
    links_send(replica, to, LINK_ATTESTATION, &part, 1);
}

/* After the turn's commit. */
void attest_sign(struct replica *replica) {
    struct attest *attest = &replica->attest;
    for (uint32_t i = 0; i < attest->pending_count && !replica->fatal; i++) {
        enum ord_err err = channel_attest(&attest->newest, &replica->genesis_hash, &attest->pending[i],
                                          replica->config.replica, &replica->signer);
        if (err != ORD_OK) {
            replica_fail(replica, err, "signing an attestation");
            return;
        }
        count_add(&replica->counters.attestations_made, 1);
        attest->newest_sent_ms = replica->now_ms;
        send_attestation(replica, ~(ord_replica_set) 0);
        collect(replica, &attest->newest);
    }
    attest->pending_count = 0;
}

/*
 * View changes tell the core of checkpoints, too, and where their signers attest to nobody no node has heard of them: who is behind
 * them could not either. Verified at the core's door.
 */
static void learn_stable(struct replica *replica) {
    struct channel_certificate certificate;
    struct ord_status core;
    replica->protocol->status(replica->core, &core);
    uint64_t known_seq = replica->attest.stable.count == 0 ? 0 : replica->attest.stable.statement.seq;
    if (core.stable_seq > known_seq && core.stable_seq <= channel_applied_seq(replica->channel) &&
        channel_certificate_decode(&certificate, core.stable_certificate) == ORD_OK)
        certified(replica, &certificate);
}

/*
 * The newest own attestation again, once a second, and the stable certificate to those who are behind it: so a replica that was away
 * learns how far the others are.
 */
void attest_resend(struct replica *replica) {
    struct attest *attest = &replica->attest;
    if (attest->newest.signer == ORD_NO_NODE || replica->now_ms < attest->newest_sent_ms + RESEND_MS)
        return;
    attest->newest_sent_ms = replica->now_ms;
    send_attestation(replica, ~(ord_replica_set) 0);
    learn_stable(replica);
    if (attest->stable.count == 0)
        return;
    ord_replica_set behind = 0;
    for (uint32_t i = 0; i < replica->peer_count; i++)
        if (replica->peers[i].attested_seq < attest->stable.statement.seq)
            behind |= ord_replica_bit(i);
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    const struct ord_span part = ord_span_of(bytes, channel_certificate_encode(bytes, &attest->stable));
    links_send(replica, behind, LINK_CERTIFICATE, &part, 1);
}

/* ---- others' ---- */

struct attest_job {
    struct work work;
    struct replica *replica;
    struct frame *frame;
    struct channel_attestation attestation;
    struct channel_certificate *certificate; /* instead of the attestation, when not NULL */
    bool ignored;
    bool ok;
};

static size_t job_bytes(const struct attest_job *job) {
    return sizeof(*job) + (job->certificate == NULL ? 0 : sizeof(*job->certificate));
}

static void job_done(struct replica *replica, struct work *work) {
    struct attest_job *job = (struct attest_job *) work;
    if (job->ignored) {
        count_add(&replica->counters.link_messages_ignored, 1);
    } else if (!job->ok) {
        count_add(&replica->counters.attestations_bad, 1);
    } else if (job->certificate != NULL) {
        compare_all(replica, job->certificate);
        certified(replica, job->certificate);
    } else {
        struct peer *peer = job->frame->peer;
        if (job->attestation.statement.seq > peer->attested_seq)
            peer->attested_seq = job->attestation.statement.seq;
        collect(replica, &job->attestation);
    }
    link_job_end(job->frame->peer, job_bytes(job));
    frame_release(job->frame);
    free(job->certificate);
    free(job);
}

static void job_run(void *argument) {
    struct attest_job *job = argument;
    const struct replica *replica = job->replica;
    struct peer *peer = job->frame->peer;
    job->ignored = link_ignored(peer, node_clock_ms());
    if (job->ignored)
        job->ok = false;
    else if (job->certificate == NULL)
        job->ok = channel_attestation_verify(&job->attestation, &replica->genesis_hash, &replica->crypto);
    else
        job->ok =
            channel_certificate_verify(job->certificate, replica->channel_config, &replica->genesis_hash,
                                       &replica->crypto, channel_strong_quorum(replica->channel_config)) == ORD_OK;
    if (!job->ok && !job->ignored)
        link_ignore(peer);
    (void) inbox_post(&job->replica->inbox, &job->work, job_done);
}

static void submit_job(struct replica *replica, struct frame *frame, const struct attest_job *from) {
    struct attest_job *job = NULL;
    if (!link_job_begin(replica, frame->peer, job_bytes(from))) {
        free(from->certificate);
        return;
    }
    job = malloc(sizeof(*job));
    if (job == NULL) {
        link_job_end(frame->peer, job_bytes(from));
        free(from->certificate);
        return;
    }
    *job = *from;
    job->replica = replica;
    job->frame = frame;
    frame_hold(frame);
    count_add(&replica->counters.attestations_checked, 1);
    replica_run_job(replica, replica->vote_pool, job_run, job);
}

static bool covered(struct replica *replica, const struct channel_statement *statement) {
    const struct attest *attest = &replica->attest;
    return statement->epoch != replica->core_config.epoch ||
           (attest->stable.count > 0 && statement->seq <= attest->stable.statement.seq);
}

void attest_received(struct replica *replica, struct frame *frame, struct ord_span bytes) {
    struct attest_job job = {0};
    enum ord_err err = channel_attestation_decode(&job.attestation, bytes);
    if (err != ORD_OK || job.attestation.signer != frame->peer->id) {
        count_add(&replica->counters.messages_refused, 1);
        return;
    }
    if (covered(replica, &job.attestation.statement)) {
        count_add(&replica->counters.attestations_skipped, 1);
        /* Not checked, so it may be a lie; it decides only whom we send a certificate to. */
        if (job.attestation.statement.seq > frame->peer->attested_seq)
            frame->peer->attested_seq = job.attestation.statement.seq;
        return;
    }
    submit_job(replica, frame, &job);
}

void attest_certificate_received(struct replica *replica, struct frame *frame, struct ord_span bytes) {
    struct attest_job job = {.certificate = malloc(sizeof(*job.certificate))};
    if (job.certificate == NULL)
        return;
    enum ord_err err = channel_certificate_decode(job.certificate, bytes);
    if (err != ORD_OK || covered(replica, &job.certificate->statement)) {
        count_add(err != ORD_OK ? &replica->counters.messages_refused : &replica->counters.attestations_skipped, 1);
        free(job.certificate);
        return;
    }
    submit_job(replica, frame, &job);
}
