/*
 * Restart: what the records say. A replica that led does not go on leading: its term may have entries that only others
 * hold (section 3.8).
 */
#include "raft/raft_internal.h"

struct recovered {
    bool hard;
    uint64_t point_seq;
    uint64_t point_term;
    struct ord_span certificate;
    uint64_t last_seq;
};

static enum ord_err read_entry(struct ord_core *core, const struct ord_record *record) {
    struct raft_log *log = &core->log;
    uint64_t term;
    struct ord_span batch;
    enum ord_err err = raft_entry_decode(&term, &batch, core->config.epoch, record->bytes);
    if (err != ORD_OK)
        return err;
    if (record->key != log->last_seq + 1 || term < raft_log_last_term(log) || !raft_log_has_room(log, batch.size) ||
        batch.size > core->config.batch_bytes_max)
        return ORD_ERR_CORRUPT;
    (void) raft_log_add(log, core->config.epoch, term, 0, batch);
    return ORD_OK;
}

static enum ord_err read_record(struct ord_core *core, struct recovered *out, const struct ord_record *record) {
    uint64_t epoch = core->config.epoch;
    uint32_t count = core->config.replica_count;
    switch (record->table) {
    case RAFT_TABLE_LOG:
        return ORD_OK; /* after the point */
    case RAFT_TABLE_HARD:
        out->hard = true;
        return raft_hard_decode(&core->hard, epoch, count, record->bytes);
    case RAFT_TABLE_BINDINGS:
        return raft_bindings_decode(&core->bindings, epoch, count, record->bytes);
    case RAFT_TABLE_POINT:
        return raft_point_decode(&out->point_seq, &out->point_term, &out->certificate, epoch,
                                 core->options->checkpoints.size_max, record->bytes);
    default:
        return ORD_ERR_CORRUPT;
    }
}

static enum ord_err read_all(struct ord_core *core, struct recovered *out, const struct ord_event *event) {
    enum ord_err err = ORD_OK;
    for (size_t i = 0; i < event->start.record_count && err == ORD_OK; i++)
        err = read_record(core, out, &event->start.records[i]);
    if (err != ORD_OK)
        return err;
    raft_log_rebase(&core->log, 0, out->point_seq, out->point_term);
    /* The node keeps batches below the point while the open block needs them. */
    for (size_t i = 0; i < event->start.record_count && err == ORD_OK; i++)
        if (event->start.records[i].table == RAFT_TABLE_LOG && event->start.records[i].key > out->point_seq)
            err = read_entry(core, &event->start.records[i]);
    if (err != ORD_OK)
        return err;
    raft_log_persisted(&core->log, 0);
    /* Beyond the log lies what a transfer has brought that was cut off. It goes on, and SYNCED tells where it ends. */
    bool valid = event->start.applied_seq >= core->log.base_seq &&
                 (event->start.applied_seq <= core->log.last_seq || out->hard) &&
                 raft_log_last_term(&core->log) <= core->hard.term && (!core->hard.silent || core->others != 0);
    return valid ? ORD_OK : ORD_ERR_CORRUPT;
}

enum ord_err raft_on_start(struct ord_core *core, const struct ord_event *event) {
    struct recovered recovered = {0};
    if (core->started)
        return ORD_ERR_WRONG_STATE;
    enum ord_err err = read_all(core, &recovered, event);
    if (err != ORD_OK)
        return err;
    core->started = true;
    core->halted = core->hard.halted;
    core->commit_seq = core->decided_seq = ord_min(event->start.applied_seq, core->log.last_seq);
    raft_proof_set(&core->point, recovered.point_seq, recovered.certificate);
    if (recovered.certificate.size > 0)
        raft_proof_set(&core->stable, recovered.point_seq, recovered.certificate);
    if (!recovered.hard) {
        /* A new replica, or one that lost its disk. A channel of one has nobody to contradict. */
        ORD_MARK(RAFT_EMPTY);
        core->hard.silent = core->others != 0;
        raft_persist_hard(core);
    }
    raft_election_reset(core);
    raft_recovery_start(core);
    return ORD_OK;
}
