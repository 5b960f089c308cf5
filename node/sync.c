/*
 * State transfer (DESIGN section 5): the target is the newest stable certificate, never a claim. Blocks are pulled in pieces from
 * one source; a piece is its blocks, the headers up to a certified one, and that certificate, and is checked as a whole before
 * any of it is kept. Then the open block's envelopes ("tail") as of the target, which the state digest in the certificate
 * vouches for. A source that is slow or lies is replaced; what was kept stays, so an interrupted transfer goes on where
 * it was. The other side is sync_serve.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "core/codec.h"
#include "node/log.h"
#include "node/records.h"
#include "node/replica_internal.h"
#include "node/sync.h"

enum {
    REQUEST_SIZE = 1 + 8 + 8 + 8,
    ANSWER_MS_MAX = 500,
};

bool sync_core_may_run(const struct replica *replica) {
    return replica->intake_open && !replica->sync.between;
}

/* ---- asking ---- */

/* Another replica that is there, after the present source. */
static bool next_source(struct replica *replica) {
    ord_replica_set ready = links_ready(replica);
    for (uint32_t i = 1; i <= replica->peer_count; i++) {
        ord_node_id candidate = (replica->sync.source + i) % replica->peer_count;
        if ((ready & ord_replica_bit(candidate)) != 0) {
            replica->sync.source = candidate;
            return true;
        }
    }
    return false;
}

static void ask(struct replica *replica) {
    struct sync *sync = &replica->sync;
    if (replica->attest.stable.count > 0 && replica->attest.stable.statement.seq > sync->target.statement.seq)
        sync->target = replica->attest.stable;
    uint64_t height = channel_height(replica->channel);
    uint8_t bytes[REQUEST_SIZE];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    ord_write_u8(&writer, height < sync->target.statement.height ? SYNC_BLOCKS : SYNC_TAIL);
    ord_write_u64(&writer, height + 1);
    ord_write_u64(&writer, sync->target.statement.height);
    ord_write_u64(&writer, sync->target.statement.seq);
    const struct ord_span part = ord_span_of(bytes, sizeof(bytes));
    sync->asked = true;
    sync->go_on = false;
    sync->asked_ms = replica->now_ms;
    links_send(replica, ord_replica_bit(sync->source), LINK_SYNC_REQUEST, &part, 1);
}

void sync_ask(struct replica *replica) {
    struct sync *sync = &replica->sync;
    if (!sync->active || !sync->go_on)
        return;
    sync->go_on = false;
    ask(replica);
}

static void ask_another(struct replica *replica) {
    replica->sync.asked = false;
    if (next_source(replica))
        ask(replica);
}

void sync_wanted(struct replica *replica, uint64_t seq) {
    struct sync *sync = &replica->sync;
    const struct channel_certificate *stable = &replica->attest.stable;
    if (sync->active || stable->count == 0 || stable->statement.seq < seq ||
        stable->statement.seq <= channel_applied_seq(replica->channel))
        return;
    sync->active = true;
    sync->target = *stable;
    sync->started_ms = replica->now_ms;
    count_add(&replica->counters.syncs_started, 1);
    node_log(NODE_LOG_INFO, "sync_started", "height=%" PRIu64 " target_height=%" PRIu64 " target_seq=%" PRIu64,
             channel_height(replica->channel), stable->statement.height, stable->statement.seq);
    ask_another(replica);
}

static void finished(struct replica *replica) {
    replica->sync.active = false;
    replica->sync.between = false;
    replica->sync.asked = false;
    count_add(&replica->counters.syncs_finished, 1);
    node_log(NODE_LOG_INFO, "sync_finished", "height=%" PRIu64 " seq=%" PRIu64 " ms=%" PRIu64,
             channel_height(replica->channel), channel_applied_seq(replica->channel),
             replica->now_ms - replica->sync.started_ms);
}

void sync_tick(struct replica *replica) {
    struct sync *sync = &replica->sync;
    if (!sync->active)
        return;
    /* The log brought us there after all. */
    if (!sync->between && channel_applied_seq(replica->channel) >= sync->target.statement.seq) {
        finished(replica);
        return;
    }
    if (sync->asked ? replica->now_ms >= sync->asked_ms + ANSWER_MS_MAX : !sync->go_on)
        ask_another(replica);
}

static bool expected(const struct replica *replica, const struct peer *peer) {
    const struct sync *sync = &replica->sync;
    return sync->active && sync->asked && peer->id == sync->source && replica->intake_open;
}

/* The votes of this turn first: what they decide must not come between a check and what it is a check of. */
static void flush_core(struct replica *replica) {
    struct ord_event flush = {.type = ORD_EVENT_FLUSH, .now_ms = replica->now_ms};
    replica_step(replica, &flush);
    replica->turn++;
}

/*
 * It has not got it, or no more: no lie, and all others may be as it is. The next tick asks another, so that nobody is asked
 * again and again meanwhile.
 */
static void missing(struct replica *replica, const struct peer *peer, const char *what) {
    count_add(&replica->counters.sync_refused, 1);
    node_log(NODE_LOG_INFO, "sync_missing", "source=%" PRIu32 " what=\"%s\"", peer->id, what);
    replica->sync.asked = false;
}

static void refused(struct replica *replica, const struct peer *peer, const char *why) {
    count_add(&replica->counters.sync_refused, 1);
    node_log(NODE_LOG_WARN, "sync_refused", "source=%" PRIu32 " why=\"%s\"", peer->id, why);
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

/* The whole piece, before any of it is kept (row C2). */
static enum ord_err piece_check(struct replica *replica, const struct piece *piece, const char **why) {
    struct channel_chain chain;
    channel_chain_init(&chain, replica->channel_config, &replica->genesis_hash, &replica->crypto);
    chain.height = channel_height(replica->channel);
    chain.head_hash = *channel_head_hash(replica->channel);
    struct ord_span left = piece->blocks;
    struct ord_span block;
    struct channel_header header;
    struct ord_span data;
    enum ord_err err = ORD_OK;
    while (err == ORD_OK && channel_batch_next(&block, &left) == ORD_OK) {
        *why = "malformed block";
        err = split_block(&header, &data, block);
        if (err == ORD_OK)
            err = channel_chain_block(&chain, &header, data, replica->sync.leaves, replica->sync.leaf_max, why);
    }
    /* A source that gives more blocks than were asked for could leave us where no tail is certified. */
    if (err == ORD_OK && chain.height > replica->sync.target.statement.height) {
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
        err = channel_chain_certificate(&chain, &piece->certificate, channel_weak_quorum(replica->channel_config), why);
    return err;
}

/*
 * One piece a turn: a turn has bounded bytes. And a source that gives a block at a time, when there are more, would keep us for as
 * long as it likes: another's turn.
 */
static void piece_taken(struct replica *replica, size_t size) {
    struct sync *sync = &replica->sync;
    sync->asked = false;
    if (size < SYNC_PIECE_BYTES_MAX && channel_height(replica->channel) < sync->target.statement.height)
        (void) next_source(replica);
    sync->go_on = true;
}

/*
 * Where it goes stays known over a restart: the core gets nothing until the transfer is over, and it may be the only one who was told, by
 * a view change or an answer to its ASK.
 */
static void target_keep(struct replica *replica) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(bytes, &replica->sync.target);
    enum ord_err err = ledger_put_meta(replica->ledger, RECORD_TARGET, ord_span_of(bytes, size));
    if (err != ORD_OK)
        replica_fail(replica, err, "writing a transfer's target");
}

static void piece_keep(struct replica *replica, const struct piece *piece) {
    const struct channel_sink sink = {.context = replica, .block = replica_block_sink};
    target_keep(replica);
    replica->sync.between = true; /* from here to the tail the core delivers nothing */
    struct ord_span left = piece->blocks;
    struct ord_span block;
    while (!replica->fatal && channel_batch_next(&block, &left) == ORD_OK) {
        struct channel_header header;
        struct ord_span data;
        enum ord_err err = split_block(&header, &data, block);
        if (err == ORD_OK)
            err = channel_apply_block(replica->channel, &header, data, &sink);
        if (err != ORD_OK)
            replica_fail(replica, err, "f + 1 replicas certified a block that cannot follow from ours");
        count_add(&replica->counters.sync_blocks, 1);
    }
    replica->state_changed = true;
    replica->commit_urgent = true;
    if (replica->fatal || piece->header_count > 0)
        return;
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(bytes, &piece->certificate);
    enum ord_err err =
        ledger_put_certificate(replica->ledger, piece->certificate.statement.height, ord_span_of(bytes, size));
    if (err != ORD_OK)
        replica_fail(replica, err, "writing a certificate");
    else
        service_certified(replica, piece->certificate.statement.height, &piece->certificate);
}

void sync_blocks_received(struct replica *replica, struct peer *peer, struct ord_span bytes) {
    struct piece *piece;
    uint64_t from;
    if (!expected(replica, peer))
        return;
    if (bytes.size == SYNC_PIECE_HEADER_SIZE && ord_load_u32(bytes.data + 8) == 0) {
        missing(replica, peer, "blocks");
        return;
    }
    flush_core(replica);
    piece = malloc(sizeof(*piece));
    if (piece == NULL)
        return;
    const char *why = "malformed piece";
    enum ord_err err = piece_decode(piece, &from, bytes);
    if (err == ORD_OK && from == channel_height(replica->channel) + 1) {
        err = piece_check(replica, piece, &why);
        if (err == ORD_OK) {
            piece_keep(replica, piece);
            piece_taken(replica, bytes.size);
        }
    }
    free(piece);
    if (err != ORD_OK)
        refused(replica, peer, why);
}

/* ---- the tail ---- */

/* The open block's bytes in a record of their own: they stand in no consensus log of ours. */
static void keep_tail(struct replica *replica, struct ord_span data) {
    struct channel_open_block open;
    channel_open(replica->channel, &open);
    replica->tail_height = 0;
    replica->tail_count = 0;
    struct ord_span value = ord_span_of(NULL, 0);
    uint8_t *record = malloc(RECORD_TAIL_HEADER + data.size);
    if (record == NULL) {
        replica_fail(replica, ORD_ERR_NO_MEMORY, "keeping a tail");
        return;
    }
    if (open.envelope_count > 0) {
        record_tail_encode(record, open.height, open.envelope_count, data);
        value = ord_span_of(record, RECORD_TAIL_HEADER + data.size);
        replica->tail_height = open.height;
        replica->tail_count = open.envelope_count;
    }
    enum ord_err err = ledger_put_meta(replica->ledger, RECORD_TAIL, value);
    if (err != ORD_OK)
        replica_fail(replica, err, "keeping a tail");
    free(record);
}

void sync_tail_received(struct replica *replica, struct peer *peer, struct ord_span bytes) {
    struct sync *sync = &replica->sync;
    const struct channel_statement *target = &sync->target.statement;
    struct ord_reader reader = ord_reader_of(bytes);
    uint64_t seq = ord_read_u64(&reader);
    bool found = ord_read_u8(&reader) != 0;
    struct ord_hash clients_root;
    ord_read_hash(&reader, &clients_root);
    struct ord_span data = ord_read_string(&reader, SIZE_MAX);
    if (!expected(replica, peer))
        return;
    flush_core(replica);
    if (seq != target->seq || channel_height(replica->channel) != target->height)
        return;
    if (channel_applied_seq(replica->channel) >= target->seq && !sync->between) {
        finished(replica);
        return;
    }
    if (ord_reader_finish(&reader) != ORD_OK) {
        refused(replica, peer, "malformed tail");
        return;
    }
    if (!found) {
        missing(replica, peer, "tail");
        return;
    }
    /* Row C5: checked against the certified digest before it is executed. */
    if (channel_tail_check(replica->channel, data, &clients_root, &target->state_digest) != ORD_OK) {
        refused(replica, peer, "tail does not give the certified state");
        return;
    }
    struct ord_hash digest;
    enum ord_err err = channel_apply_tail(replica->channel, seq, data);
    channel_state_digest(replica->channel, &digest);
    if (err != ORD_OK || !ord_hash_equal(&digest, &target->state_digest)) {
        replica_fail(replica, err == ORD_OK ? ORD_ERR_MISMATCH : err, "the certified state does not follow from ours");
        return;
    }
    keep_tail(replica, data);
    replica_note_open(replica);
    replica->state_changed = true;
    replica->commit_urgent = true;
    finished(replica);
    attest_at(replica, seq);
    judge_drop(replica, seq);
    uint8_t certificate[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t certificate_size = channel_certificate_encode(certificate, &sync->target);
    struct ord_event event = {.type = ORD_EVENT_SYNCED,
                              .now_ms = replica->now_ms,
                              .synced = {.seq = seq, .certificate = ord_span_of(certificate, certificate_size)}};
    replica_step(replica, &event);
    attest_settle(replica);
}
