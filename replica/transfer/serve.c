/*
 * State transfer, the source's side: pieces of the chain with their proofs, and tails of the states that were attested
 * here. Everything comes out of the asker's quota. A request that comes too early waits until the quota allows it; a
 * further one takes its place.
 */
#include "replica/replica_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "replica/marks.h"

/*
 * While work waits here, an asker gets from each source so many bytes a second more than the channel orders. So a
 * replica that is behind catches up while the others go on, and one that asks without end takes a part only, whatever
 * this machine can do.
 */
enum { BUSY_BYTES_PER_S = 4 << 20 };

/* An asker gets what its quota pays for within this time at once. */
enum { AHEAD_US = 500000 };

/*
 * What is read for one asker in a turn, unless a single piece is larger. The loop reads it itself, so more would keep
 * everybody's votes waiting. The rest waits for the next turn, which comes at once.
 */
enum { TURN_BYTES = 1 << 20 };

/* Bytes a second that one asker gets now. */
static uint64_t quota(const struct replica *replica) {
    if (replica->pool.envelopes == 0)
        return SYNC_QUOTA_BYTES_PER_S;
    return ord_min(SYNC_QUOTA_BYTES_PER_S, BUSY_BYTES_PER_S + pace_rate(replica));
}

/* What comes next waits until this is paid for. */
static void charge(struct replica *replica, ord_node_id from, size_t bytes) {
    struct serve_asker *asker = &replica->serve.askers[from];
    uint64_t charged = ord_max(bytes, SYNC_REQUEST_BYTES_MIN);
    asker->turn_bytes += charged;
    asker->free_us = ord_max(asker->free_us, replica->turn.now_ms * 1000) + charged * 1000000 / quota(replica);
}

static bool is_free(const struct replica *replica, const struct serve_asker *asker) {
    return asker->turn_bytes < TURN_BYTES && asker->free_us <= replica->turn.now_ms * 1000 + AHEAD_US;
}

/* The lowest height >= `height` that has a certificate here; 0: none. */
static uint64_t certified_from(const struct replica *replica, uint64_t height) {
    struct ord_bytes bytes;
    uint64_t at;
    if (replica_host(replica)->certificate(replica_host(replica)->context, &bytes, &at, height) != ORD_OK)
        return 0;
    free(bytes.data);
    return at;
}

/*
 * Where a piece ends that has room for the blocks `from` to `to`: at the last of them that has a certificate of its
 * own, and at `to` only if none has.
 *
 * Invariant: an asker keeps the certificate of such a piece, because no headers are between (pieces.c). So between two
 * certificates that it holds in a row are at most as many blocks as in a piece, or as between two of the source's.
 * Otherwise each transfer would leave fewer certificates than its source has, and after some of them nobody could
 * prove a block within SYNC_LATER_HEADERS_MAX headers any more.
 */
static uint64_t piece_end(const struct replica *replica, uint64_t from, uint64_t to) {
    if (certified_from(replica, to) == to)
        return to;
    uint64_t low = from - 1;
    uint64_t high = to;
    /* "There is a certificate in h .. to" holds up to some h and not beyond it. */
    while (low < high) {
        uint64_t middle = high - (high - low) / 2;
        uint64_t at = certified_from(replica, middle);
        if (at != 0 && at <= to)
            low = middle;
        else
            high = middle - 1;
    }
    return low >= from ? low : to;
}

/* The bytes of `count` blocks in a piece, each behind its size. */
static size_t blocks_size(const uint8_t *blocks, uint64_t count) {
    size_t size = 0;
    for (uint64_t i = 0; i < count; i++)
        size += sizeof(uint32_t) + ord_load_u32(blocks + size);
    return size;
}

/* Writes the headers behind block `end` up to a certified one, and its certificate. */
static enum ord_err write_proof(struct replica *replica, struct ord_writer *writer, uint64_t end) {
    const struct replica_store *store = replica_store(replica);
    struct ord_bytes certificate;
    struct ord_bytes headers = {0};
    uint64_t at;
    enum ord_err err = replica_host(replica)->certificate(replica_host(replica)->context, &certificate, &at, end);
    if (err != ORD_OK)
        return err;
    if (at > end)
        err = store->get_headers(store->ledger, &headers, end + 1, at, CHANNEL_HEADER_SIZE,
                                 (size_t) SYNC_LATER_HEADERS_MAX * CHANNEL_HEADER_SIZE);
    if (headers.size / CHANNEL_HEADER_SIZE < at - end)
        err = ORD_ERR_TOO_LARGE; /* The asker could not tie the certificate to the blocks. */
    ord_write_u32(writer, (uint32_t) (headers.size / CHANNEL_HEADER_SIZE));
    ord_write_span(writer, ord_span_of(headers.data, headers.size));
    ord_write_string(writer, ord_span_of(certificate.data, certificate.size));
    free(headers.data);
    free(certificate.data);
    return err == ORD_OK ? ord_writer_finish(writer) : err;
}

/*
 * Fills a piece from block `from` on. Returns its size, or 0 if nothing can be proved. `*read` gets the bytes that were
 * read for it.
 */
static size_t fill_piece(struct replica *replica, uint8_t *out, size_t capacity, size_t *read, uint64_t from,
                         uint64_t to) {
    const struct replica_store *store = replica_store(replica);
    struct ord_writer writer = ord_writer_of(out, capacity);
    struct ord_bytes bytes;
    uint64_t height = from;
    /* What is behind this block would be read in vain, and the asker would pay for it. */
    uint64_t last = piece_end(replica, from, to);
    *read = 0;
    ord_write_u64(&writer, from);
    ord_write_u32(&writer, 0);
    for (; height <= last; height++) {
        if (height > from && writer.size >= SYNC_PIECE_BYTES_MAX)
            break;
        enum ord_err err = store->get_block(store->ledger, &bytes, height);
        replica_note_damage(replica, "block", height, err);
        if (err != ORD_OK)
            break;
        *read += bytes.size;
        ord_write_string(&writer, ord_span_of(bytes.data, bytes.size));
        free(bytes.data);
    }
    if (height == from || writer.failed)
        return 0;
    uint64_t end = height > last ? last : piece_end(replica, from, height - 1);
    ORD_MARK_IF(end + 1 < height || (end == last && last < to), SERVED_LESS);
    uint64_t count = end - from + 1;
    writer.size = SYNC_PIECE_HEADER_SIZE + blocks_size(out + SYNC_PIECE_HEADER_SIZE, count);
    ord_store_u32(out + 8, (uint32_t) count);
    return write_proof(replica, &writer, end) == ORD_OK ? writer.size : 0;
}

static void serve_blocks(struct replica *replica, ord_node_id from, uint64_t first, uint64_t last) {
    size_t capacity = replica->setup.options.message_bytes_max;
    uint8_t *out = malloc(capacity);
    if (out == NULL)
        return;
    size_t read;
    size_t size = fill_piece(replica, out, capacity, &read, first, last);
    /* With nothing to give, say so: then the asker need not wait. */
    if (size == 0) {
        ORD_MARK(SERVED_NOTHING);
        memset(out, 0, SYNC_PIECE_HEADER_SIZE);
        ord_store_u64(out, first);
        size = SYNC_PIECE_HEADER_SIZE;
    }
    const struct ord_span part = ord_span_of(out, size);
    replica_send(replica, ord_replica_bit(from), REPLICA_LINK_SYNC_BLOCKS, &part, 1);
    charge(replica, from, ord_max(size, read));
    free(out);
}

/*
 * Finds the open block as of a seq that this replica attested. Since then the block only grew, until it was closed. So
 * that state is a prefix of what is open now, or of the block that came of it.
 */
static enum ord_err find_tail(struct replica *replica, struct ord_span *out, struct ord_bytes *storage,
                              const struct attest_point *point, uint64_t height) {
    const struct replica_store *store = replica_store(replica);
    struct channel_open_block open;
    channel_open(replica->execute.channel, &open);
    if (point == NULL || point->statement.height != height || replica->sync.between)
        return ORD_ERR_NOT_FOUND;
    *out = open.data;
    if (channel_height(replica->execute.channel) > height) {
        ORD_MARK(TAIL_OF_CLOSED_BLOCK);
        enum ord_err err = store->get_block(store->ledger, storage, height + 1);
        if (err != ORD_OK)
            return err;
        *out = ord_span_of(storage->data + CHANNEL_HEADER_SIZE, storage->size - CHANNEL_HEADER_SIZE);
    }
    if (point->tail_size > out->size)
        return ORD_ERR_NOT_FOUND;
    out->size = point->tail_size;
    return ORD_OK;
}

static void serve_tail(struct replica *replica, ord_node_id from, uint64_t height, uint64_t seq) {
    struct ord_bytes storage = {0};
    struct ord_span tail;
    const struct attest_point *point = attest_find(replica, seq);
    bool found = find_tail(replica, &tail, &storage, point, height) == ORD_OK;
    if (!found)
        tail = ord_span_of(NULL, 0);
    static const struct channel_progress none;
    uint8_t header[8 + 1 + ORD_HASH_SIZE + CHANNEL_PROGRESS_SIZE_MAX + 4];
    struct ord_writer writer = ord_writer_of(header, sizeof(header));
    ord_write_u64(&writer, seq);
    ord_write_u8(&writer, found);
    ord_write_hash(&writer, found ? &point->clients_root : &(struct ord_hash) {{0}});
    channel_progress_write(&writer, replica_config(replica), found ? &point->progress : &none);
    ord_write_u32(&writer, (uint32_t) tail.size);
    const struct ord_span parts[] = {ord_writer_span(&writer), tail};
    replica_send(replica, ord_replica_bit(from), REPLICA_LINK_SYNC_TAIL, parts, 2);
    charge(replica, from, tail.size + storage.size);
    free(storage.data);
}

static void serve_waiting(struct replica *replica) {
    for (ord_node_id id = 0; id < replica_config(replica)->replica_count; id++) {
        struct serve_asker *asker = &replica->serve.askers[id];
        if (!asker->waits || !is_free(replica, asker))
            continue;
        asker->waits = false;
        if (asker->want == SYNC_BLOCKS)
            serve_blocks(replica, id, asker->first, asker->height);
        else
            serve_tail(replica, id, asker->height, asker->seq);
    }
}

void serve_request(struct replica *replica, ord_node_id from, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    uint8_t want = ord_read_u8(&reader);
    uint64_t first = ord_read_u64(&reader);
    uint64_t height = ord_read_u64(&reader);
    uint64_t seq = ord_read_u64(&reader);
    if (ord_reader_finish(&reader) != ORD_OK || first == 0 || (want != SYNC_BLOCKS && want != SYNC_TAIL)) {
        replica->counters.messages_refused++;
        return;
    }
    struct serve_asker *asker = &replica->serve.askers[from];
    ORD_MARK_IF(!is_free(replica, asker), SERVED_LATER);
    asker->waits = true;
    asker->want = want;
    asker->first = first;
    asker->height = height;
    asker->seq = seq;
    serve_waiting(replica);
}

void serve_due(struct replica *replica) {
    for (ord_node_id id = 0; id < replica_config(replica)->replica_count; id++)
        replica->serve.askers[id].turn_bytes = 0;
    serve_waiting(replica);
}

uint64_t serve_due_ms(const struct replica *replica) {
    uint64_t due_ms = UINT64_MAX;
    for (ord_node_id id = 0; id < replica_config(replica)->replica_count; id++) {
        const struct serve_asker *asker = &replica->serve.askers[id];
        if (asker->waits)
            due_ms = ord_min(due_ms, (asker->free_us - ord_min(asker->free_us, AHEAD_US) + 999) / 1000);
    }
    return due_ms;
}
