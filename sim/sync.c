/*
 * State transfer, as node/sync.c: the target is a certificate; a piece is blocks, the headers after them up to a certified one,
 * and that certificate, and is checked as a whole before any of it is kept; then the tail, checked against the certified state.
 */
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "core/assert.h"
#include "core/codec.h"
#include "sim/check.h"
#include "sim/marks.h"
#include "sim/process.h"

enum {
    SYNC_BLOCKS = 1,
    SYNC_TAIL = 2,
    REQUEST_SIZE = 25,
    PIECE_BLOCKS_MAX = 8,
    LATER_HEADERS_MAX = 4096,
    ANSWER_MS_MAX = 500
};

/* ---- asking ---- */

static void ask(struct sim_process *process) {
    struct sim_sync *sync = &process->sync;
    if (process->attest.stable.count > 0 && process->attest.stable.statement.seq > sync->target.statement.seq)
        sync->target = process->attest.stable;
    uint64_t height = channel_height(process->channel);
    uint8_t bytes[REQUEST_SIZE];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    ord_write_u8(&writer, height < sync->target.statement.height ? SYNC_BLOCKS : SYNC_TAIL);
    ord_write_u64(&writer, height + 1);
    ord_write_u64(&writer, sync->target.statement.height);
    ord_write_u64(&writer, sync->target.statement.seq);
    const struct ord_span part = ord_span_of(bytes, sizeof(bytes));
    sync->asked = true;
    sync->asked_ms = process->now_ms;
    sim_process_send(process, ord_replica_bit(sync->source), SIM_LINK_SYNC_REQUEST, &part, 1);
}

static void next_source(struct sim_process *process) {
    uint32_t count = process->world->replica_count;
    process->sync.source = (process->sync.source + 1) % count;
    if (process->sync.source == process->replica->id)
        process->sync.source = (process->sync.source + 1) % count;
}

static void begin(struct sim_process *process) {
    struct sim_sync *sync = &process->sync;
    const struct channel_certificate *stable = &process->attest.stable;
    if (sync->active || stable->count == 0 || stable->statement.seq <= channel_applied_seq(process->channel))
        return;
    sync->active = true;
    sync->target = *stable;
    sim_say(process->world, process->replica->instance, "state transfer to seq %lu, height %lu",
            (unsigned long) stable->statement.seq, (unsigned long) stable->statement.height);
    next_source(process);
    ask(process);
}

void sim_sync_wanted(struct sim_process *process, uint64_t seq, struct ord_span certificate) {
    const struct channel_certificate *stable = &process->attest.stable;
    sim_attest_shown(process, certificate);
    if (stable->count > 0 && stable->statement.seq >= seq)
        begin(process);
}

static void finished(struct sim_process *process) {
    process->sync.active = false;
    process->sync.between = false;
    process->sync.asked = false;
    sim_say(process->world, process->replica->instance, "state transfer done: height %lu, seq %lu",
            (unsigned long) channel_height(process->channel), (unsigned long) channel_applied_seq(process->channel));
}

uint64_t sim_sync_due_ms(const struct sim_process *process) {
    const struct sim_sync *sync = &process->sync;
    if (!sync->active && !sync->between)
        return UINT64_MAX;
    return sync->asked ? sync->asked_ms + ANSWER_MS_MAX : process->now_ms + ANSWER_MS_MAX;
}

void sim_sync_tick(struct sim_process *process) {
    struct sim_sync *sync = &process->sync;
    if (!sync->active && sync->between) { /* cut off by a crash: goes on as soon as there is a target */
        const struct channel_certificate *stable = &process->attest.stable;
        if (stable->count > 0 && stable->statement.height >= channel_height(process->channel)) {
            ORD_MARK(TRANSFER_RESUMED);
            begin(process);
        }
        return;
    }
    if (!sync->active)
        return;
    /* The log brought us there after all. */
    if (!sync->between && channel_applied_seq(process->channel) >= sync->target.statement.seq) {
        ORD_MARK(TRANSFER_OVERTAKEN);
        finished(process);
        return;
    }
    if (!sync->asked || process->now_ms >= sync->asked_ms + ANSWER_MS_MAX) {
        ORD_MARK(SOURCE_REPLACED);
        next_source(process);
        ask(process);
    }
}

static bool expected(const struct sim_process *process, ord_node_id from) {
    return process->sync.active && process->sync.asked && from == process->sync.source && !process->replica->full;
}

/* The votes of this turn first: what they decide must not come between a check and what it is a check of. */
static void flush_core(struct sim_process *process) {
    struct ord_event flush = {.type = ORD_EVENT_FLUSH, .now_ms = process->now_ms};
    sim_process_step(process, &flush);
}

static void refused(struct sim_process *process, const char *why) {
    ORD_MARK(SOURCE_REFUSED);
    sim_say(process->world, process->replica->instance, "source %u refused: %s", process->sync.source, why);
    process->sync.asked_ms = process->now_ms - ANSWER_MS_MAX * 4 / 5; /* not at once: nobody may have it yet */
}

/* ---- blocks ---- */

struct piece {
    struct ord_span blocks; /* (u32 size, header, data) each */
    uint32_t header_count;
    struct ord_span headers;
    struct channel_certificate certificate;
};

static enum ord_err piece_decode(struct piece *out, uint64_t *from, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    *from = ord_read_u64(&reader);
    out->blocks = ord_read_string(&reader, SIZE_MAX);
    out->header_count = ord_read_u32(&reader);
    if (out->header_count > LATER_HEADERS_MAX || out->blocks.size == 0)
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
static enum ord_err piece_check(struct sim_process *process, const struct piece *piece, const char **why) {
    struct channel_chain chain;
    channel_chain_init(&chain, process->world->config, &process->world->genesis_hash, &process->world->crypto.ops);
    chain.height = channel_height(process->channel);
    chain.head_hash = *channel_head_hash(process->channel);
    struct ord_span left = piece->blocks;
    enum ord_err err = ORD_OK;
    struct channel_header header;
    while (err == ORD_OK && left.size > 0) {
        struct ord_span block;
        struct ord_span data;
        *why = "malformed block";
        err = channel_batch_next(&block, &left);
        if (err == ORD_OK)
            err = split_block(&header, &data, block);
        if (err == ORD_OK)
            err = channel_chain_block(&chain, &header, data, process->sync.leaves, process->sync.leaf_max, why);
    }
    if (err == ORD_OK && chain.height > process->sync.target.statement.height) {
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
        err = channel_chain_certificate(&chain, &piece->certificate, channel_weak_quorum(process->world->config), why);
    return err;
}

static void piece_keep(struct sim_process *process, const struct piece *piece) {
    const struct channel_sink sink = {.context = process, .block = sim_process_block};
    process->sync.between = true; /* from here to the tail the core delivers nothing */
    uint8_t target[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t target_size = channel_certificate_encode(target, &process->sync.target);
    sim_process_write(process, SIM_WRITE_META, SIM_META_TARGET, ord_span_of(target, target_size));
    struct ord_span left = piece->blocks;
    struct ord_span block;
    while (!process->ended && channel_batch_next(&block, &left) == ORD_OK) {
        struct channel_header header;
        struct ord_span data;
        enum ord_err err = split_block(&header, &data, block);
        if (err == ORD_OK)
            err = channel_apply_block(process->channel, &header, data, &sink);
        if (err != ORD_OK)
            sim_process_fail(process, err, "f + 1 replicas certified a block that cannot follow from ours");
    }
    process->state_changed = true;
    process->urgent = true;
    sim_request_sweep(process);
    if (process->ended || piece->header_count > 0)
        return;
    sim_check_certificate(process->replica, &piece->certificate, false);
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(bytes, &piece->certificate);
    sim_process_write(process, SIM_WRITE_CERTIFICATE, piece->certificate.statement.height, ord_span_of(bytes, size));
}

void sim_sync_blocks_received(struct sim_process *process, ord_node_id from, struct ord_span bytes) {
    struct piece piece;
    uint64_t first;
    if (!expected(process, from))
        return;
    flush_core(process);
    const char *why = "malformed piece, or the source has none";
    enum ord_err err = piece_decode(&piece, &first, bytes);
    if (err == ORD_OK && first != channel_height(process->channel) + 1)
        return;
    if (err == ORD_OK)
        err = piece_check(process, &piece, &why);
    if (err != ORD_OK) {
        refused(process, why);
        return;
    }
    piece_keep(process, &piece);
    if (!process->ended)
        ask(process); /* leaves after this turn's commit */
}

/* ---- the tail ---- */

void sim_sync_tail_received(struct sim_process *process, ord_node_id from, struct ord_span bytes) {
    struct sim_sync *sync = &process->sync;
    const struct channel_statement target = sync->target.statement;
    struct ord_reader reader = ord_reader_of(bytes);
    uint64_t seq = ord_read_u64(&reader);
    bool found = ord_read_u8(&reader) != 0;
    struct ord_hash clients_root;
    ord_read_hash(&reader, &clients_root);
    struct ord_span data = ord_read_string(&reader, SIZE_MAX);
    if (!expected(process, from))
        return;
    flush_core(process);
    if (process->ended || seq != target.seq || channel_height(process->channel) != target.height)
        return;
    if (channel_applied_seq(process->channel) >= target.seq && !sync->between) {
        finished(process);
        return;
    }
    if (ord_reader_finish(&reader) != ORD_OK || !found) {
        refused(process, found ? "malformed tail" : "source does not have that tail");
        return;
    }
    /* Row C5: checked against the certified digest before it is executed. */
    if (channel_tail_check(process->channel, data, &clients_root, &target.state_digest) != ORD_OK) {
        refused(process, "tail does not give the certified state");
        return;
    }
    struct ord_hash digest;
    enum ord_err err = channel_apply_tail(process->channel, seq, data);
    channel_state_digest(process->channel, &digest);
    if (err != ORD_OK || !ord_hash_equal(&digest, &target.state_digest)) {
        sim_process_fail(process, err == ORD_OK ? ORD_ERR_MISMATCH : err,
                         "the certified state does not follow from ours");
        return;
    }
    process->state_changed = true;
    process->urgent = true;
    struct channel_open_block open;
    channel_open(process->channel, &open);
    process->open_height = open.height;
    process->open_since_ms = process->now_ms;
    finished(process);
    sim_attest_at(process, seq);
    sim_judge_drop(process, seq);
    sim_request_sweep(process);
    sim_process_synced(process, &sync->target);
    sim_attest_settle(process);
}

/* ---- serving ---- */

static void serve_blocks(struct sim_process *process, ord_node_id to, uint64_t from, uint64_t last) {
    const struct sim_disk *disk = &process->replica->disk;
    uint64_t height = from;
    uint64_t certified = 0;
    size_t capacity = 64 + CHANNEL_CERTIFICATE_SIZE_MAX;
    for (; height <= last && height <= sim_disk_height(disk) && height < from + PIECE_BLOCKS_MAX; height++)
        capacity += 4 + disk->blocks.items[height - 1]->size;
    const struct sim_buffer *certificate = height == from ? NULL : sim_disk_certificate(disk, &certified, height - 1);
    bool some = certificate != NULL && certified <= sim_disk_height(disk);
    if (some)
        capacity += (certified - height + 1) * CHANNEL_HEADER_SIZE;
    struct ord_writer writer = sim_writer(capacity);
    ord_write_u64(&writer, from);
    ord_write_u32(&writer, 0);
    for (uint64_t h = from; h < height && some; h++)
        ord_write_string(&writer, sim_buffer_span(disk->blocks.items[h - 1]));
    ord_store_u32(writer.data + 8, (uint32_t) (writer.size - 12));
    ord_write_u32(&writer, some ? (uint32_t) (certified - height + 1) : 0);
    for (uint64_t h = height; h <= certified && some; h++)
        ord_write_bytes(&writer, disk->blocks.items[h - 1]->data, CHANNEL_HEADER_SIZE);
    ord_write_string(&writer, some ? sim_buffer_span(certificate) : ord_span_of(NULL, 0));
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    const struct ord_span part = ord_writer_span(&writer);
    sim_process_send(process, ord_replica_bit(to), SIM_LINK_SYNC_BLOCKS, &part, 1);
    free(writer.data);
}

/* The open block as of a seq that we attested: a prefix of what is open now, or of the block that came of it. */
static bool find_tail(const struct sim_process *process, struct ord_span *out, const struct sim_point *point,
                      uint64_t height) {
    struct channel_open_block open;
    channel_open(process->channel, &open);
    if (point == NULL || point->statement.height != height || process->sync.between)
        return false;
    *out = open.data;
    if (channel_height(process->channel) > height) {
        if (sim_disk_height(&process->replica->disk) <= height)
            return false;
        struct ord_span block = sim_buffer_span(process->replica->disk.blocks.items[height]);
        *out = ord_span_of(block.data + CHANNEL_HEADER_SIZE, block.size - CHANNEL_HEADER_SIZE);
    }
    if (point->tail_size > out->size)
        return false;
    out->size = (size_t) point->tail_size;
    return true;
}

static void serve_tail(struct sim_process *process, ord_node_id to, uint64_t height, uint64_t seq) {
    const struct sim_point *point = sim_attest_find(process, seq);
    struct ord_span tail = ord_span_of(NULL, 0);
    bool found = find_tail(process, &tail, point, height);
    uint8_t header[8 + 1 + ORD_HASH_SIZE + 4];
    struct ord_writer writer = ord_writer_of(header, sizeof(header));
    ord_write_u64(&writer, seq);
    ord_write_u8(&writer, found);
    ord_write_hash(&writer, found ? &point->clients_root : &(struct ord_hash) {{0}});
    ord_write_u32(&writer, (uint32_t) tail.size);
    const struct ord_span parts[] = {ord_writer_span(&writer), tail};
    sim_process_send(process, ord_replica_bit(to), SIM_LINK_SYNC_TAIL, parts, 2);
}

void sim_sync_request_received(struct sim_process *process, ord_node_id from, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    uint8_t want = ord_read_u8(&reader);
    uint64_t first = ord_read_u64(&reader);
    uint64_t last = ord_read_u64(&reader);
    uint64_t seq = ord_read_u64(&reader);
    if (ord_reader_finish(&reader) != ORD_OK || first == 0)
        return;
    if (want == SYNC_BLOCKS)
        serve_blocks(process, from, first, last);
    else if (want == SYNC_TAIL)
        serve_tail(process, from, last, seq);
}
