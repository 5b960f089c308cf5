/*
 * Attestations and what they make: block certificates (f + 1), stable checkpoints (a strong quorum), and when the core's log is
 * cut. As node/attest.c.
 */
#include <string.h>

#include "core/assert.h"
#include "sim/check.h"
#include "sim/process.h"

enum { RESEND_MS = 1000, POINT_SIZE = CHANNEL_STATEMENT_SIZE + 8 + ORD_HASH_SIZE };

/* Whichever point from the newest stable checkpoint on becomes stable next, its tail must be found; they lie within a window. */
static size_t slot_of(const struct sim_process *process, uint64_t seq) {
    ORD_ASSERT(process->core_config.window < SIM_POINTS);
    return (size_t) (seq % (process->core_config.window + 1));
}

static void point_encode(uint8_t out[POINT_SIZE], const struct sim_point *point) {
    struct ord_writer writer = ord_writer_of(out, POINT_SIZE);
    const struct channel_statement *statement = &point->statement;
    ord_write_u64(&writer, statement->epoch);
    ord_write_u64(&writer, statement->seq);
    ord_write_u64(&writer, statement->height);
    ord_write_hash(&writer, &statement->header_hash);
    ord_write_hash(&writer, &statement->state_digest);
    ord_write_u64(&writer, point->tail_size);
    ord_write_hash(&writer, &point->clients_root);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
}

static enum ord_err point_decode(struct sim_point *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct channel_statement *statement = &out->statement;
    statement->epoch = ord_read_u64(&reader);
    statement->seq = ord_read_u64(&reader);
    statement->height = ord_read_u64(&reader);
    ord_read_hash(&reader, &statement->header_hash);
    ord_read_hash(&reader, &statement->state_digest);
    out->tail_size = ord_read_u64(&reader);
    ord_read_hash(&reader, &out->clients_root);
    return ord_reader_finish(&reader);
}

void sim_attest_at(struct sim_process *process, uint64_t seq) {
    struct sim_attest *attest = &process->attest;
    struct channel_statement statement = {.epoch = process->core_config.epoch,
                                          .seq = seq,
                                          .height = channel_height(process->channel),
                                          .header_hash = *channel_head_hash(process->channel)};
    channel_state_digest(process->channel, &statement.state_digest);
    sim_check_state(process->replica, &statement);
    if (attest->pending_count == sizeof(attest->pending) / sizeof(attest->pending[0])) {
        memmove(attest->pending, attest->pending + 1, (attest->pending_count - 1) * sizeof(attest->pending[0]));
        attest->pending_count--;
    }
    attest->pending[attest->pending_count++] = statement;
    struct channel_open_block open;
    channel_open(process->channel, &open);
    size_t slot = slot_of(process, seq);
    struct sim_point *point = &attest->points[slot];
    *point = (struct sim_point) {.statement = statement, .tail_size = open.data.size};
    channel_clients_root(process->channel, &point->clients_root);
    uint8_t record[POINT_SIZE];
    point_encode(record, point);
    sim_process_write(process, SIM_WRITE_POINT, slot, ord_span_of(record, sizeof(record)));
    process->state_changed = true;
}

const struct sim_point *sim_attest_find(const struct sim_process *process, uint64_t seq) {
    const struct sim_point *point = &process->attest.points[slot_of(process, seq)];
    return seq != 0 && point->statement.seq == seq ? point : NULL;
}

enum ord_err sim_attest_recover(struct sim_process *process) {
    const struct sim_list *points = &process->replica->disk.points;
    struct sim_attest *attest = &process->attest;
    for (size_t slot = 0; slot < points->count; slot++) {
        struct sim_point point;
        if (points->items[slot] == NULL)
            continue;
        enum ord_err err = point_decode(&point, sim_buffer_span(points->items[slot]));
        if (err != ORD_OK)
            return err;
        if (slot_of(process, point.statement.seq) != slot)
            return ORD_ERR_CORRUPT;
        attest->points[slot] = point;
        if (attest->pending_count == 0 || point.statement.seq > attest->pending[0].seq)
            attest->pending[0] = point.statement; /* the newest is signed again in the first turn: the same statement */
        attest->pending_count = 1;
    }
    return ORD_OK;
}

/* Row C1: a replica that differs from f + 1 others stops. */
static bool differs(struct sim_process *process, const struct channel_statement *statement) {
    const struct sim_point *own = sim_attest_find(process, statement->seq);
    if (own == NULL || channel_statement_equal(&own->statement, statement))
        return false;
    sim_process_fail(process, ORD_ERR_MISMATCH, "f + 1 replicas attest another state");
    return true;
}

static void block_certified(struct sim_process *process, const struct channel_certificate *certificate) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    process->attest.weak = *certificate;
    sim_check_certificate(process->replica, certificate, false);
    if (certificate->statement.height == 0)
        return;
    size_t size = channel_certificate_encode(bytes, certificate);
    sim_process_write(process, SIM_WRITE_CERTIFICATE, certificate->statement.height, ord_span_of(bytes, size));
}

/* The core's log lags half a checkpoint interval behind the newest stable checkpoint, unless its bodies take much memory. */
static void truncate_log(struct sim_process *process) {
    struct sim_attest *attest = &process->attest;
    struct ord_status core = sim_process_status(process);
    uint64_t stable_seq = attest->stable.statement.seq;
    uint64_t low_seq = attest->low.count == 0 ? 0 : attest->low.statement.seq;
    /* A window that is half full must not wait for a point that there may be no room for. */
    bool full = core.body_bytes + process->core_config.batch_bytes_max > process->core_config.body_bytes_max / 4 ||
                stable_seq >= core.stable_seq + process->core_config.window / 2;
    if (!full && stable_seq < low_seq + process->core_config.checkpoint_interval / 2)
        return;
    const struct channel_certificate low = full ? attest->stable : attest->low;
    attest->low = attest->stable;
    if (low.count > 0 && low.statement.seq > core.stable_seq)
        sim_process_attested(process, &low);
}

void sim_attest_settle(struct sim_process *process) {
    struct sim_attest *attest = &process->attest;
    uint64_t seq = attest->stable.statement.seq;
    if (attest->stable.count == 0 || attest->stable_settled || seq > channel_applied_seq(process->channel))
        return;
    attest->stable_settled = true;
    if (differs(process, &attest->stable.statement))
        return;
    if (attest->weak.count == 0 || seq > attest->weak.statement.seq)
        block_certified(process, &attest->stable);
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(bytes, &attest->stable);
    sim_process_write(process, SIM_WRITE_META, SIM_META_STABLE, ord_span_of(bytes, size));
    channel_collector_prune(attest->collector, seq);
    truncate_log(process);
}

static void certified(struct sim_process *process, const struct channel_certificate *certificate) {
    const struct channel_statement *statement = &certificate->statement;
    struct sim_attest *attest = &process->attest;
    if (differs(process, statement))
        return;
    bool executed = statement->seq <= channel_applied_seq(process->channel);
    if (executed && (attest->weak.count == 0 || statement->seq > attest->weak.statement.seq))
        block_certified(process, certificate);
    if (certificate->count < channel_strong_quorum(process->world->config) ||
        (attest->stable.count > 0 && statement->seq <= attest->stable.statement.seq))
        return;
    sim_check_certificate(process->replica, certificate, true);
    attest->stable = *certificate;
    attest->stable_settled = false;
    if (executed)
        sim_attest_settle(process);
    else
        sim_process_attested(process, certificate); /* ahead of us: the core decides whether its log gets it there */
}

void sim_attest_shown(struct sim_process *process, struct ord_span bytes) {
    struct sim_attest *attest = &process->attest;
    struct channel_certificate certificate;
    if (channel_certificate_decode(&certificate, bytes) != ORD_OK ||
        certificate.statement.seq <= channel_applied_seq(process->channel) ||
        (attest->stable.count > 0 && certificate.statement.seq <= attest->stable.statement.seq))
        return;
    sim_check_certificate(process->replica, &certificate, true);
    attest->stable = certificate;
    attest->stable_settled = false;
}

static void collect(struct sim_process *process, const struct channel_attestation *attestation) {
    struct channel_certificate certificate;
    enum ord_err err = channel_collector_add(process->attest.collector, &certificate, attestation,
                                             channel_weak_quorum(process->world->config));
    if (err == ORD_OK)
        certified(process, &certificate);
    else if (err == ORD_ERR_MISMATCH)
        sim_check_culprit(process->replica, attestation->signer, "attestation");
}

static void send_newest(struct sim_process *process) {
    uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
    channel_attestation_encode(bytes, &process->attest.newest);
    const struct ord_span part = ord_span_of(bytes, sizeof(bytes));
    process->attest.newest_sent_ms = process->now_ms;
    sim_process_send(process, ~(ord_replica_set) 0, SIM_LINK_ATTESTATION, &part, 1);
}

void sim_attest_sign(struct sim_process *process) {
    struct sim_attest *attest = &process->attest;
    const struct ord_signer signer = sim_crypto_signer(&process->world->crypto, process->replica->id);
    for (uint32_t i = 0; i < attest->pending_count && !process->ended; i++) {
        ORD_ASSERT(channel_attest(&attest->newest, &process->world->genesis_hash, &attest->pending[i],
                                  process->replica->id, &signer) == ORD_OK);
        send_newest(process);
        collect(process, &attest->newest);
    }
    attest->pending_count = 0;
}

/* What view changes told the core of. */
static void learn_stable(struct sim_process *process) {
    struct channel_certificate certificate;
    struct ord_status core = sim_process_status(process);
    uint64_t known_seq = process->attest.stable.count == 0 ? 0 : process->attest.stable.statement.seq;
    if (core.stable_seq > known_seq && core.stable_seq <= channel_applied_seq(process->channel) &&
        channel_certificate_decode(&certificate, core.stable_certificate) == ORD_OK)
        certified(process, &certificate);
}

uint64_t sim_attest_due_ms(const struct sim_process *process) {
    const struct sim_attest *attest = &process->attest;
    return attest->newest.signer == ORD_NO_NODE ? UINT64_MAX : attest->newest_sent_ms + RESEND_MS;
}

void sim_attest_tick(struct sim_process *process) {
    struct sim_attest *attest = &process->attest;
    if (process->now_ms < sim_attest_due_ms(process))
        return;
    send_newest(process);
    learn_stable(process);
    if (attest->stable.count == 0)
        return;
    ord_replica_set behind = 0;
    for (ord_node_id id = 0; id < process->world->replica_count; id++)
        if (attest->peer_seqs[id] < attest->stable.statement.seq)
            behind |= ord_replica_bit(id);
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    const struct ord_span part = ord_span_of(bytes, channel_certificate_encode(bytes, &attest->stable));
    sim_process_send(process, behind, SIM_LINK_CERTIFICATE, &part, 1);
}

static bool covered(const struct sim_process *process, const struct channel_statement *statement) {
    const struct sim_attest *attest = &process->attest;
    return statement->epoch != process->core_config.epoch ||
           (attest->stable.count > 0 && statement->seq <= attest->stable.statement.seq);
}

void sim_attest_received(struct sim_process *process, ord_node_id from, struct ord_span bytes) {
    struct channel_attestation attestation;
    if (channel_attestation_decode(&attestation, bytes) != ORD_OK || attestation.signer != from)
        return;
    bool known = covered(process, &attestation.statement);
    if (!known && !channel_attestation_verify(&attestation, &process->world->genesis_hash, &process->world->crypto.ops))
        return;
    if (attestation.statement.seq > process->attest.peer_seqs[from])
        process->attest.peer_seqs[from] = attestation.statement.seq;
    if (!known)
        collect(process, &attestation);
}

void sim_attest_certificate_received(struct sim_process *process, struct ord_span bytes) {
    struct channel_certificate certificate;
    if (channel_certificate_decode(&certificate, bytes) != ORD_OK || covered(process, &certificate.statement))
        return;
    if (channel_certificate_verify(&certificate, process->world->config, &process->world->genesis_hash,
                                   &process->world->crypto.ops,
                                   channel_strong_quorum(process->world->config)) == ORD_OK)
        certified(process, &certificate);
}
