/*
 * State transfer. The target is proven by a certificate, never a mere claim: by the newest stable one, or where none is
 * ahead of us by f + 1 attestations, one of which is honest. What ends a lag must not need the lagging replica's own
 * attestation, without which there may be no stable certificate.
 *
 * Blocks are pulled in pieces from one source. A piece has blocks, the headers up to a certified one, and its
 * certificate; it is checked as a whole before any of it is kept. Then comes the open block's part ("tail") as of the
 * target, which the state digest in the certificate proves. A source that is slow or lies is replaced. Kept blocks
 * stay, so an interrupted transfer goes on where it was. The other side is serve.c.
 */
#include "replica/replica_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "core/codec.h"
#include "replica/marks.h"

enum {
    REQUEST_SIZE = 1 + 8 + 8 + 8,
    ANSWER_MS_MAX = 500,
    /* So many times retransmit_ms the log and a strong quorum have, before f + 1 attestations make a target. */
    AHEAD_INTERVALS = 4,
    LEAVES_SLACK = 16,
};

enum ord_err sync_init(struct replica *replica) {
    struct sync *sync = &replica->sync;
    sync->leaf_max = replica_config(replica)->max_message_count + LEAVES_SLACK;
    sync->leaves = calloc(sync->leaf_max, sizeof(*sync->leaves));
    return sync->leaves == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
}

void sync_deinit(struct replica *replica) {
    free(replica->sync.leaves);
}

/* ---- asking ---- */

/* Moves to the next connected replica after the present source. If no other is connected, it is the same one again. */
static bool next_source(struct replica *replica) {
    ord_replica_set ready = replica_host(replica)->connected(replica_host(replica)->context);
    uint32_t count = replica_config(replica)->replica_count;
    ready &= ~ord_replica_bit(replica_self(replica));
    for (uint32_t i = 1; i <= count; i++) {
        ord_node_id candidate = (replica->sync.source + i) % count;
        if ((ready & ord_replica_bit(candidate)) != 0) {
            replica->sync.source = candidate;
            return true;
        }
    }
    return false;
}

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

static void ask(struct replica *replica) {
    struct sync *sync = &replica->sync;
    const struct channel_certificate *best = best_target(replica);
    /* The old target's holders may be gone. */
    if (best != NULL && best->statement.seq > sync->target.statement.seq)
        sync->target = *best;
    uint64_t height = channel_height(replica->execute.channel);
    uint8_t bytes[REQUEST_SIZE];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    ord_write_u8(&writer, height < sync->target.statement.height ? SYNC_BLOCKS : SYNC_TAIL);
    ord_write_u64(&writer, height + 1);
    ord_write_u64(&writer, sync->target.statement.height);
    ord_write_u64(&writer, sync->target.statement.seq);
    const struct ord_span part = ord_span_of(bytes, sizeof(bytes));
    sync->asked = true;
    sync->go_on = false;
    sync->asked_ms = replica->turn.now_ms;
    replica_send(replica, ord_replica_bit(sync->source), REPLICA_LINK_SYNC_REQUEST, &part, 1);
}

void sync_ask(struct replica *replica) {
    if (replica->sync.active && replica->sync.go_on)
        ask(replica);
}

static void ask_another(struct replica *replica) {
    replica->sync.asked = false;
    if (next_source(replica))
        ask(replica);
}

void sync_wanted(struct replica *replica, uint64_t seq) {
    struct sync *sync = &replica->sync;
    const struct channel_certificate *best = best_target(replica);
    if (sync->active || best == NULL || best->statement.seq < seq)
        return;
    ORD_MARK_IF(best == &replica->attest.ahead, SYNC_BEFORE_STABLE);
    sync->active = true;
    sync->missing = 0;
    sync->target = *best;
    sync->started_ms = replica->turn.now_ms;
    replica->counters.syncs_started++;
    replica_log(replica, REPLICA_LOG_INFO, "sync_started",
                "height=%" PRIu64 " target_height=%" PRIu64 " target_seq=%" PRIu64,
                channel_height(replica->execute.channel), best->statement.height, best->statement.seq);
    ask_another(replica);
}

static void finished(struct replica *replica) {
    struct sync *sync = &replica->sync;
    sync->active = false;
    sync->between = false;
    sync->asked = false;
    sync->go_on = false;
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
    bool late = sync->asked && replica->turn.now_ms >= sync->asked_ms + ANSWER_MS_MAX;
    ORD_MARK_IF(late, SYNC_SOURCE_LATE);
    if (late || (!sync->asked && !sync->go_on))
        ask_another(replica);
}

/* True if an answer of this replica is still waited for. The core's last decisions may have ended the transfer. */
static bool expected(const struct replica *replica, ord_node_id from) {
    const struct sync *sync = &replica->sync;
    return sync->active && sync->asked && from == sync->source && replica->turn.room && !sync->synced;
}

bool sync_expects(const struct replica *replica, const struct replica_input *input) {
    bool answer = input->message.kind == REPLICA_LINK_SYNC_BLOCKS || input->message.kind == REPLICA_LINK_SYNC_TAIL;
    return answer && expected(replica, input->message.from);
}

/*
 * The source does not have it, or has it no more. That is no lie, and all others may be in the same position. The next
 * tick asks another source, so that nobody is asked again and again meanwhile.
 */
static void missing(struct replica *replica, const char *what) {
    ORD_MARK(SYNC_MISSING);
    replica->counters.sync_refused++;
    replica_log(replica, REPLICA_LOG_INFO, "sync_missing", "source=%" PRIu32 " what=\"%s\"", replica->sync.source,
                what);
    replica->sync.asked = false;
    replica->sync.missing++;
}

static void refused(struct replica *replica, const char *why) {
    ORD_MARK(SYNC_REFUSED);
    replica->counters.sync_refused++;
    replica_log(replica, REPLICA_LOG_WARN, "sync_refused", "source=%" PRIu32 " why=\"%s\"", replica->sync.source, why);
    ask_another(replica);
}

/* ---- blocks ---- */

struct piece {
    uint32_t block_count;
    struct ord_span blocks; /* block_count x (u32 size, header, data) */
    uint32_t header_count;
    struct ord_span headers;
    struct channel_certificate certificate;
};

static enum ord_err piece_decode(struct piece *out, uint64_t *from, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    *from = ord_read_u64(&reader);
    out->block_count = ord_read_u32(&reader);
    struct ord_span rest = ord_span_of(reader.data + reader.position, ord_reader_left(&reader));
    for (uint32_t i = 0; i < out->block_count && !reader.failed; i++)
        (void) ord_read_string(&reader, SIZE_MAX);
    if (reader.failed || out->block_count == 0)
        return ORD_ERR_INVALID;
    out->blocks = ord_span_of(rest.data, rest.size - ord_reader_left(&reader));
    out->header_count = ord_read_u32(&reader);
    if (out->header_count > SYNC_LATER_HEADERS_MAX)
        return ORD_ERR_INVALID;
    out->headers = ord_read_span(&reader, (size_t) out->header_count * CHANNEL_HEADER_SIZE);
    struct ord_span certificate = ord_read_string(&reader, CHANNEL_CERTIFICATE_SIZE_MAX);
    enum ord_err err = ord_reader_finish(&reader);
    return err == ORD_OK ? channel_certificate_decode(&out->certificate, certificate) : err;
}

static enum ord_err split_block(struct channel_header *header, struct ord_span *data, struct ord_span block) {
    if (block.size < CHANNEL_HEADER_SIZE)
        return ORD_ERR_INVALID;
    *data = ord_span_of(block.data + CHANNEL_HEADER_SIZE, block.size - CHANNEL_HEADER_SIZE);
    return channel_header_decode(header, ord_span_of(block.data, CHANNEL_HEADER_SIZE));
}

/* Checks the whole piece before any of it is kept (row C2). */
static enum ord_err piece_check(struct replica *replica, const struct piece *piece, const char **why) {
    struct sync *sync = &replica->sync;
    struct channel_chain chain;
    channel_chain_init(&chain, replica_config(replica), replica->setup.options.genesis_hash,
                       replica->setup.options.crypto);
    chain.height = channel_height(replica->execute.channel);
    chain.head_hash = *channel_head_hash(replica->execute.channel);
    struct ord_span left = piece->blocks;
    struct ord_span block;
    struct channel_header header;
    struct ord_span data;
    enum ord_err err = ORD_OK;
    while (err == ORD_OK && channel_batch_next(&block, &left) == ORD_OK) {
        *why = "malformed block";
        err = split_block(&header, &data, block);
        if (err == ORD_OK)
            err = channel_chain_block(&chain, &header, data, sync->leaves, sync->leaf_max, why);
    }
    /* A source that gives more blocks than we asked for could leave us at a height where no tail is certified. */
    if (err == ORD_OK && chain.height > sync->target.statement.height) {
        *why = "blocks beyond the target";
        err = ORD_ERR_INVALID;
    }
    for (uint32_t i = 0; err == ORD_OK && i < piece->header_count; i++) {
        err = channel_header_decode(
            &header, ord_span_of(piece->headers.data + (size_t) i * CHANNEL_HEADER_SIZE, CHANNEL_HEADER_SIZE));
        if (err == ORD_OK)
            err = channel_chain_header(&chain, &header, why);
    }
    if (err == ORD_OK)
        err = channel_chain_certificate(&chain, &piece->certificate, channel_weak_quorum(replica_config(replica)), why);
    return err;
}

/*
 * Takes one piece for each commit, because a turn has bounded bytes. A source that gives single blocks although there
 * are more would keep us for as long as it likes, so another replica gets its turn.
 */
static void piece_taken(struct replica *replica, size_t size) {
    struct sync *sync = &replica->sync;
    sync->asked = false;
    sync->missing = 0;
    if (size < SYNC_PIECE_BYTES_MAX && channel_height(replica->execute.channel) < sync->target.statement.height)
        (void) next_source(replica);
    sync->go_on = true;
}

/*
 * Keeps the transfer's target over a restart. The core gets nothing until the transfer is over, and this replica may be
 * the only one that was told of the target, by a view change or by an answer to its ASK.
 */
static void target_keep(struct replica *replica) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(bytes, &replica->sync.target);
    replica_put_meta(replica, RECORD_TARGET, ord_span_of(bytes, size), "writing a transfer's target");
}

static void piece_keep(struct replica *replica, const struct piece *piece) {
    const struct channel_sink sink = {.context = replica, .block = execute_block};
    target_keep(replica);
    /* From here until the tail is taken, the core delivers nothing. */
    replica->sync.between = true;
    struct ord_span left = piece->blocks;
    struct ord_span block;
    while (!replica->turn.fatal && channel_batch_next(&block, &left) == ORD_OK) {
        struct channel_header header;
        struct ord_span data;
        enum ord_err err = split_block(&header, &data, block);
        if (err == ORD_OK)
            err = channel_apply_block(replica->execute.channel, &header, data, &sink);
        if (err != ORD_OK)
            replica_fail(replica, err, "f + 1 replicas certified a block that cannot follow from ours");
        replica->counters.sync_blocks++;
    }
    replica->execute.state_changed = true;
    replica_urgent(replica);
    if (!replica->turn.fatal && piece->header_count == 0)
        certified_keep(replica, &piece->certificate);
}

void sync_blocks_received(struct replica *replica, ord_node_id from, struct ord_span bytes) {
    uint64_t first;
    if (!expected(replica, from))
        return;
    if (bytes.size == SYNC_PIECE_HEADER_SIZE && ord_load_u32(bytes.data + 8) == 0) {
        missing(replica, "blocks");
        return;
    }
    struct piece *piece = malloc(sizeof(*piece));
    if (piece == NULL)
        return;
    const char *why = "malformed piece";
    enum ord_err err = piece_decode(piece, &first, bytes);
    if (err == ORD_OK && first == channel_height(replica->execute.channel) + 1) {
        err = piece_check(replica, piece, &why);
        if (err == ORD_OK) {
            piece_keep(replica, piece);
            piece_taken(replica, bytes.size);
        }
    }
    free(piece);
    if (err != ORD_OK)
        refused(replica, why);
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
static void tail_take(struct replica *replica, uint64_t bytes_since_point, struct ord_span data) {
    struct sync *sync = &replica->sync;
    struct channel *channel = replica->execute.channel;
    const struct channel_statement *target = &sync->target.statement;
    struct ord_hash digest;
    enum ord_err err = channel_apply_tail(channel, target->seq, bytes_since_point, data);
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
    uint64_t bytes_since_point = ord_read_u64(&reader);
    struct ord_span data = ord_read_string(&reader, SIZE_MAX);
    if (!expected(replica, from) || seq != target->seq || channel_height(channel) != target->height)
        return;
    if (channel_applied_seq(channel) >= target->seq && !sync->between) {
        finished(replica);
        return;
    }
    if (ord_reader_finish(&reader) != ORD_OK)
        refused(replica, "malformed tail");
    else if (!found)
        missing(replica, "tail");
    else if (channel_tail_check(channel, data, &clients_root, bytes_since_point, &target->state_digest) != ORD_OK)
        /* Row C5: the tail is checked before it is executed. */
        refused(replica, "tail does not give the certified state");
    else
        tail_take(replica, bytes_since_point, data);
}

bool sync_next(struct replica *replica, struct ord_event *out) {
    struct sync *sync = &replica->sync;
    if (!sync->synced)
        return false;
    sync->synced = false;
    *out = (struct ord_event) {.type = ORD_EVENT_SYNCED,
                               .synced = {.seq = sync->target.statement.seq,
                                          .stable_seq = sync->told_seq,
                                          .certificate = ord_span_of(sync->told, sync->told_size)}};
    return true;
}
