/*
 * State transfer. The target is proven by a certificate, never a mere claim: by the newest stable one, or where none is
 * ahead of us by f + 1 attestations, one of which is honest. What ends a lag must not need the lagging replica's own
 * attestation, without which there may be no stable certificate.
 *
 * Blocks are pulled in pieces from several sources at once (pieces.c, sources.c). Then comes the open block's part
 * ("tail") as of the target, which the state digest in the certificate proves. A source that lies or is slow is
 * replaced. Kept blocks stay, so an interrupted transfer goes on where it was. The other side is serve.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "replica/marks.h"
#include "replica/replica_internal.h"

enum {
    REQUEST_SIZE = 1 + 8 + 8 + 8,
    /* So many times retransmit_ms the log and a strong quorum have, before f + 1 attestations make a target. */
    AHEAD_INTERVALS = 4,
    LEAVES_SLACK = 16,
    /* Sources that are asked at once, without those that are asked for what another one is late with. */
    ASKED_MAX = 4,
    /* So many times a newer target is followed before the tail of one is asked for. */
    CHASES_MAX = 4,
};

enum ord_err sync_init(struct replica *replica) {
    struct sync *sync = &replica->sync;
    sync->due_ms = UINT64_MAX;
    sync->leaf_max = replica_config(replica)->max_message_count + LEAVES_SLACK;
    sync->leaves = calloc(sync->leaf_max, sizeof(*sync->leaves));
    return sync->leaves == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
}

void sync_deinit(struct replica *replica) {
    sync_ranges_clear(replica);
    free(replica->sync.leaves);
}

/* ---- the target ---- */

static bool in_window(const struct replica *replica, uint64_t seq) {
    return seq <= agree_status(replica).stable_seq + replica->setup.core_config.window;
}

/*
 * The checkpoint to go to; NULL: none is ahead of us. A stable one comes first, because f + 1 honest replicas can serve
 * it. If none is ahead, or none of the others has what the target needs, one that f + 1 attest will do. It lies within
 * the core's window, because the core cannot be told of a state beyond it.
 */
static const struct channel_certificate *best_target(const struct replica *replica) {
    const struct attest *attest = &replica->attest;
    uint64_t applied_seq = channel_applied_seq(replica->execute.channel);
    uint64_t stable_seq = attest->stable.count > 0 ? attest->stable.statement.seq : 0;
    uint64_t ahead_seq = attest->ahead.statement.seq;
    bool stuck = replica->sync.missing >= replica_config(replica)->replica_count;
    bool reachable = ahead_seq > ord_max(applied_seq, stable_seq) && in_window(replica, ahead_seq);
    if (reachable && (stable_seq <= applied_seq || stuck))
        return &attest->ahead;
    return stable_seq > applied_seq ? &attest->stable : NULL;
}

/* Those that had nothing for the last target may have what this one needs. */
static void set_target(struct replica *replica, const struct channel_certificate *target) {
    replica->sync.target = *target;
    for (ord_node_id id = 0; id < replica_config(replica)->replica_count; id++)
        sync_source_renew(replica, id);
}

/*
 * A newer target takes the place of the old one while there are blocks to plan, and where the old one's tail was not
 * to be had, because its holders may be gone. Behind the old one's blocks it is followed a few times, if the others'
 * logs may not reach back to the old one. After that the tail of the old one comes first, because only a transfer that
 * ends lets the core hear of what is decided meanwhile.
 */
static void move_target(struct replica *replica) {
    struct sync *sync = &replica->sync;
    const struct channel_certificate *best = best_target(replica);
    if (best == NULL || best->statement.seq <= sync->target.statement.seq)
        return;
    bool planned = sync_ranges_end(replica) >= sync->target.statement.height;
    bool far = best->statement.seq > sync->target.statement.seq + replica_config(replica)->checkpoint_interval / 2;
    bool chase = planned && far && sync->tail.kind == 0 && sync->chases < CHASES_MAX;
    bool in_vain = sync->missing > 0 || sync->tail.late;
    if (planned && !chase && !in_vain)
        return;
    ORD_MARK_IF(chase, SYNC_TARGET_CHASED);
    sync->chases += chase;
    set_target(replica, best);
    sync->tail = (struct sync_want) {0};
}

/* ---- asking ---- */

static void send_request(struct replica *replica, ord_node_id to, const struct sync_want *want) {
    uint8_t bytes[REQUEST_SIZE];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    ord_write_u8(&writer, want->kind);
    ord_write_u64(&writer, want->first);
    ord_write_u64(&writer, want->last);
    ord_write_u64(&writer, want->seq);
    const struct ord_span part = ord_span_of(bytes, sizeof(bytes));
    replica_send(replica, ord_replica_bit(to), REPLICA_LINK_SYNC_REQUEST, &part, 1);
}

static uint32_t asked_count(const struct replica *replica) {
    uint32_t count = 0;
    for (ord_node_id id = 0; id < replica_config(replica)->replica_count; id++)
        count += replica->sync.sources[id].asked;
    return count;
}

/* `first`: the transfer waits for this one. Then a source that is late does not keep others from being asked. */
static void ask_for(struct replica *replica, struct sync_want *want, bool first) {
    uint64_t now_ms = replica->turn.now_ms;
    bool trial;
    if (want->piece != NULL || want->held)
        return;
    if (want->asked != 0) {
        uint64_t again_ms = want->asked_ms + sync_source_wait_ms(replica, want);
        if (!first)
            return;
        if (now_ms < again_ms) {
            replica->sync.due_ms = ord_min(replica->sync.due_ms, again_ms);
            return;
        }
    } else if (!first && asked_count(replica) >= ASKED_MAX) {
        return;
    }
    ord_node_id id = sync_source_choose(replica, want, first, &trial);
    if (id == ORD_NO_NODE)
        return;
    sync_source_ask(replica, id, want, trial);
    send_request(replica, id, want);
    if (first)
        replica->sync.due_ms = ord_min(replica->sync.due_ms, now_ms + sync_source_wait_ms(replica, want));
}

/* The source is no longer waited for. */
static void release(struct replica *replica, ord_node_id id) {
    struct sync *sync = &replica->sync;
    for (uint32_t i = 0; i < sync->range_count; i++)
        sync->ranges[i].asked &= ~ord_replica_bit(id);
    sync->tail.asked &= ~ord_replica_bit(id);
}

static void look_at_sources(struct replica *replica) {
    struct sync *sync = &replica->sync;
    sync->due_ms = UINT64_MAX;
    for (ord_node_id id = 0; id < replica_config(replica)->replica_count; id++) {
        if (sync_source_overdue(replica, id)) {
            sync->tail.late |= (sync->tail.asked & ord_replica_bit(id)) != 0;
            release(replica, id);
        }
        sync->due_ms = ord_min(sync->due_ms, sync_source_due_ms(replica, id));
    }
}

void sync_ask(struct replica *replica) {
    struct sync *sync = &replica->sync;
    if (!sync->active || sync->synced || replica->turn.fatal)
        return;
    look_at_sources(replica);
    uint64_t height = channel_height(replica->execute.channel);
    /* Before the first piece is taken, the log may bring us on. */
    if (sync->range_count > 0 && sync->ranges[0].first != height + 1)
        sync_ranges_clear(replica);
    move_target(replica);
    sync_ranges_plan(replica);
    for (uint32_t i = 0; i < sync->range_count; i++)
        ask_for(replica, &sync->ranges[i], i == 0);
    if (height < sync->target.statement.height)
        return;
    if (sync->tail.kind == 0)
        sync->tail = (struct sync_want) {.kind = SYNC_TAIL,
                                         .first = height + 1,
                                         .last = sync->target.statement.height,
                                         .seq = sync->target.statement.seq};
    ask_for(replica, &sync->tail, true);
}

uint64_t sync_due_ms(const struct replica *replica) {
    return replica->sync.active ? replica->sync.due_ms : UINT64_MAX;
}

void sync_wanted(struct replica *replica, uint64_t seq) {
    struct sync *sync = &replica->sync;
    const struct channel_certificate *best = best_target(replica);
    if (sync->active || best == NULL || best->statement.seq < seq)
        return;
    ORD_MARK_IF(best == &replica->attest.ahead, SYNC_BEFORE_STABLE);
    sync->active = true;
    sync->missing = 0;
    sync->chases = 0;
    set_target(replica, best);
    sync->started_ms = replica->turn.now_ms;
    replica->counters.syncs_started++;
    replica_log(replica, REPLICA_LOG_INFO, "sync_started",
                "height=%" PRIu64 " target_height=%" PRIu64 " target_seq=%" PRIu64,
                channel_height(replica->execute.channel), best->statement.height, best->statement.seq);
    sync_ask(replica);
}

/* Rates stay: the next transfer begins with the sources that served this one well. */
static void finished(struct replica *replica) {
    struct sync *sync = &replica->sync;
    sync->active = false;
    sync->between = false;
    sync->due_ms = UINT64_MAX;
    sync_ranges_clear(replica);
    sync->certificate_count = 0;
    sync->tail = (struct sync_want) {0};
    for (ord_node_id id = 0; id < replica_config(replica)->replica_count; id++)
        sync->sources[id].asked = false;
    replica->counters.syncs_finished++;
    replica_log(replica, REPLICA_LOG_INFO, "sync_finished", "height=%" PRIu64 " seq=%" PRIu64 " ms=%" PRIu64,
                channel_height(replica->execute.channel), channel_applied_seq(replica->execute.channel),
                replica->turn.now_ms - sync->started_ms);
}

/*
 * The core asks for a transfer when it is behind a stable checkpoint. Where f + 1 others attest what is ahead of us,
 * and our attestation is the one that is missing for a strong quorum, this begins one.
 */
static void look_ahead(struct replica *replica) {
    struct sync *sync = &replica->sync;
    const struct attest *attest = &replica->attest;
    uint64_t now_ms = replica->turn.now_ms;
    uint64_t applied_seq = channel_applied_seq(replica->execute.channel);
    if (applied_seq != sync->applied_seq) {
        sync->applied_seq = applied_seq;
        sync->applied_ms = now_ms;
    }
    uint64_t wait_ms = AHEAD_INTERVALS * (uint64_t) replica->setup.core_config.retransmit_ms;
    if (attest->ahead.statement.seq > applied_seq && !in_window(replica, attest->ahead.statement.seq))
        attest_cut(replica);
    bool stable_ahead = attest->stable.count > 0 && attest->stable.statement.seq > applied_seq;
    if (!stable_ahead && now_ms >= ord_max(attest->ahead_since_ms, sync->applied_ms) + wait_ms)
        sync_wanted(replica, applied_seq + 1);
}

void sync_tick(struct replica *replica) {
    struct sync *sync = &replica->sync;
    if (!sync->active) {
        look_ahead(replica);
        return;
    }
    if (!sync->between && channel_applied_seq(replica->execute.channel) >= sync->target.statement.seq) {
        /* The log brought us there after all. */
        ORD_MARK(SYNC_OVERTAKEN);
        finished(replica);
        return;
    }
    for (uint32_t i = 0; i < sync->range_count; i++)
        sync->ranges[i].held = false;
    sync->tail.held = false;
    sync_ask(replica);
}

/* ---- answers ---- */

/* True if an answer of this replica is still waited for. The core's last decisions may have ended the transfer. */
static bool expected(const struct replica *replica, ord_node_id from, uint8_t kind, uint64_t first) {
    const struct sync *sync = &replica->sync;
    const struct sync_source *source = &sync->sources[from];
    return sync->active && source->asked && source->kind == kind && source->first == first && replica->turn.room &&
           !sync->synced;
}

bool sync_expects(const struct replica *replica, const struct replica_input *input) {
    const struct sync *sync = &replica->sync;
    return input->message.kind == REPLICA_LINK_SYNC_TAIL && sync->active && sync->sources[input->message.from].asked;
}

/*
 * The source does not have it, or has it no more. That is no lie, and all others may be in the same position. The next
 * tick asks another source for it, so that nobody is asked again and again meanwhile.
 */
static void missing(struct replica *replica, ord_node_id from, struct sync_want *want, const char *what) {
    ORD_MARK(SYNC_MISSING);
    replica->counters.sync_refused++;
    replica_log(replica, REPLICA_LOG_INFO, "sync_missing", "source=%" PRIu32 " what=\"%s\"", from, what);
    sync_source_missing(replica, from);
    if (want != NULL)
        want->held = true;
    replica->sync.missing++;
}

static void refused(struct replica *replica, ord_node_id from, const char *why) {
    ORD_MARK(SYNC_REFUSED);
    replica->counters.sync_refused++;
    replica_log(replica, REPLICA_LOG_WARN, "sync_refused", "source=%" PRIu32 " why=\"%s\"", from, why);
    sync_source_lied(replica, from);
}

static void take_blocks(struct replica *replica, ord_node_id from, struct sync_want *want, struct ord_span bytes) {
    const char *why = "";
    bool whole = false;
    if (bytes.size == SYNC_PIECE_HEADER_SIZE && ord_load_u32(bytes.data + 8) == 0) {
        missing(replica, from, want, "blocks");
        return;
    }
    /* Another source was faster. */
    if (want == NULL) {
        sync_source_was_late(replica, from, bytes.size);
        return;
    }
    enum ord_err err = sync_piece_keep(replica, want, bytes, &whole, &why);
    if (err == ORD_OK)
        sync_source_served(replica, from, bytes.size, whole);
    else if (err == ORD_ERR_NO_MEMORY)
        sync_source_missing(replica, from);
    else
        refused(replica, from, why);
}

void sync_blocks_received(struct replica *replica, ord_node_id from, struct ord_span bytes) {
    if (bytes.size < SYNC_PIECE_HEADER_SIZE || !expected(replica, from, SYNC_BLOCKS, ord_load_u64(bytes.data)))
        return;
    take_blocks(replica, from, sync_ranges_find(replica, ord_load_u64(bytes.data)), bytes);
    release(replica, from);
    sync_ask(replica);
}

/* ---- the tail ---- */

/* The open block's bytes go into a record of their own, because they stand in no consensus log of this replica. */
static void keep_tail(struct replica *replica, struct ord_span data) {
    struct execute *execute = &replica->execute;
    struct channel_open_block open;
    channel_open(execute->channel, &open);
    execute->tail_height = 0;
    struct ord_span value = ord_span_of(NULL, 0);
    uint8_t *record = malloc(RECORD_TAIL_HEADER + data.size);
    if (record == NULL) {
        replica_fail(replica, ORD_ERR_NO_MEMORY, "keeping a tail");
        return;
    }
    if (open.envelope_count > 0) {
        ORD_MARK(TAIL_KEPT);
        record_tail_encode(record, open.height, open.envelope_count, data);
        value = ord_span_of(record, RECORD_TAIL_HEADER + data.size);
        execute->tail_height = open.height;
    }
    replica_put_meta(replica, RECORD_TAIL, value, "keeping a tail");
    free(record);
}

/* The newest stable checkpoint at or below the target; NULL: this replica knows none. */
static const struct channel_certificate *proven(const struct replica *replica) {
    const struct channel_certificate *target = &replica->sync.target;
    const struct channel_certificate *stable = &replica->attest.stable;
    if (target->count >= channel_strong_quorum(replica_config(replica)))
        return target;
    return stable->count > 0 && stable->statement.seq <= target->statement.seq ? stable : NULL;
}

/* Takes the certified tail: the channel is then at the target, and the next SYNCED tells the core. */
static void tail_take(struct replica *replica, const struct channel_progress *progress, struct ord_span data) {
    struct sync *sync = &replica->sync;
    struct channel *channel = replica->execute.channel;
    const struct channel_statement *target = &sync->target.statement;
    struct ord_hash digest;
    enum ord_err err = channel_apply_tail(channel, target->seq, progress, data);
    channel_state_digest(channel, &digest);
    if (err != ORD_OK || !ord_hash_equal(&digest, &target->state_digest)) {
        replica_fail(replica, err == ORD_OK ? ORD_ERR_MISMATCH : err, "the certified state does not follow from ours");
        return;
    }
    keep_tail(replica, data);
    execute_note_open(replica);
    replica->execute.state_changed = true;
    replica_urgent(replica);
    finished(replica);
    sync->synced = true;
    const struct channel_certificate *stable = proven(replica);
    sync->told_seq = stable == NULL ? 0 : stable->statement.seq;
    sync->told_size = stable == NULL ? 0 : channel_certificate_encode(sync->told, stable);
    attest_at(replica, target->seq);
    judge_stir(replica);
}

void sync_tail_received(struct replica *replica, ord_node_id from, struct ord_span bytes) {
    struct sync *sync = &replica->sync;
    struct channel *channel = replica->execute.channel;
    const struct channel_statement *target = &sync->target.statement;
    struct ord_reader reader = ord_reader_of(bytes);
    uint64_t seq = ord_read_u64(&reader);
    bool found = ord_read_u8(&reader) != 0;
    struct ord_hash clients_root;
    ord_read_hash(&reader, &clients_root);
    struct channel_progress progress;
    bool sane = channel_progress_read(&progress, replica_config(replica), &reader) == ORD_OK;
    struct ord_span data = ord_read_string(&reader, SIZE_MAX);
    if (!expected(replica, from, SYNC_TAIL, seq))
        return;
    release(replica, from);
    if (seq != target->seq || channel_height(channel) != target->height)
        /* The target has moved on since it was asked. */
        sync_source_was_late(replica, from, bytes.size);
    else if (channel_applied_seq(channel) >= target->seq && !sync->between)
        finished(replica);
    else if (!sane || ord_reader_finish(&reader) != ORD_OK)
        refused(replica, from, "malformed tail");
    else if (!found)
        missing(replica, from, &sync->tail, "tail");
    else if (channel_tail_check(channel, data, &clients_root, &progress, &target->state_digest) != ORD_OK)
        /* Row C5: the tail is checked before it is executed. */
        refused(replica, from, "tail does not give the certified state");
    else {
        sync_source_served(replica, from, bytes.size, true);
        tail_take(replica, &progress, data);
    }
    sync_ask(replica);
}

bool sync_next(struct replica *replica, struct ord_event *out) {
    struct sync *sync = &replica->sync;
    if (!sync->synced)
        return false;
    sync->synced = false;
    *out = (struct ord_event) {.type = ORD_EVENT_SYNCED,
                               .synced = {.seq = sync->target.statement.seq,
                                          .stable_seq = sync->told_seq,
                                          .certificate = ord_span_of(sync->told, sync->told_size),
                                          .term = channel_progress(replica->execute.channel)->term,
                                          .pass_over = execute_passes(replica),
                                          .unchanged = execute_synced(replica)}};
    return true;
}
