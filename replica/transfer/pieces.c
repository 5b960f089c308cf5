/*
 * State transfer: the ranges of blocks that are asked for, and the pieces that answer them.
 *
 * The ranges follow one another from the own height on. Their pieces come in any order, and each is checked as a whole
 * when it comes: its blocks are linked, their data has their roots, and the headers behind them lead to a certificate
 * of f + 1 replicas. So a piece proves itself wherever it stands in the chain. Pieces are taken in order, one a turn,
 * because a turn has bounded bytes. A piece that has not been taken waits in memory; SYNC_RANGES_BYTES_MAX bounds that.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "core/codec.h"
#include "replica/marks.h"
#include "replica/replica_internal.h"

enum {
    /* Planned at a time. The rest of SYNC_RANGES_MAX is for what short pieces leave over. */
    RANGES_PLANNED = 8,
    /* Ranges are planned for some less than a piece, so that few are cut short by its limit. */
    RANGE_BYTES = SYNC_PIECE_BYTES_MAX / 4 * 3,
    RANGE_BLOCKS_MAX = 4096,
};

/* ---- ranges ---- */

uint64_t sync_ranges_end(const struct replica *replica) {
    const struct sync *sync = &replica->sync;
    return sync->range_count == 0 ? channel_height(replica->execute.channel) : sync->ranges[sync->range_count - 1].last;
}

static void forget(struct sync_want *range) {
    free(range->piece);
    *range = (struct sync_want) {0};
}

void sync_ranges_clear(struct replica *replica) {
    struct sync *sync = &replica->sync;
    for (uint32_t i = 0; i < sync->range_count; i++)
        forget(&sync->ranges[i]);
    sync->range_count = 0;
}

struct sync_want *sync_ranges_find(struct replica *replica, uint64_t first) {
    struct sync *sync = &replica->sync;
    for (uint32_t i = 0; i < sync->range_count; i++)
        if (sync->ranges[i].first == first)
            return sync->ranges[i].piece == NULL ? &sync->ranges[i] : NULL;
    return NULL;
}

/* The bytes of all ranges: of those whose pieces have come, and what is expected of the others. */
static uint64_t planned_bytes(const struct sync *sync) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < sync->range_count; i++) {
        const struct sync_want *range = &sync->ranges[i];
        uint64_t most = (range->last - range->first + 1) * sync->block_bytes;
        bytes += range->piece != NULL ? range->size : ord_min(most, ord_max(SYNC_PIECE_BYTES_MAX, sync->block_bytes));
    }
    return bytes;
}

/*
 * While the size of blocks is not known, one range is planned, to the target: its source decides how much is a piece,
 * and its piece shows how large blocks are. A liar cannot make that up, because a piece is taken only if it verifies.
 */
void sync_ranges_plan(struct replica *replica) {
    struct sync *sync = &replica->sync;
    uint64_t target = sync->target.statement.height;
    uint64_t next = sync_ranges_end(replica) + 1;
    uint32_t most = sync->block_bytes == 0 ? 1 : RANGES_PLANNED;
    while (next <= target && sync->range_count < most &&
           (sync->range_count == 0 || planned_bytes(sync) + sync->block_bytes <= SYNC_RANGES_BYTES_MAX)) {
        uint64_t count = target - next + 1;
        if (sync->block_bytes != 0)
            count = ord_min(count, ord_min(ord_max(RANGE_BYTES / sync->block_bytes, 1), RANGE_BLOCKS_MAX));
        sync->ranges[sync->range_count++] = (struct sync_want) {
            .kind = SYNC_BLOCKS, .first = next, .last = next + count - 1, .seq = sync->target.statement.seq};
        next += count;
    }
}

/*
 * The piece of `range` ends with the block at `end`. What is left becomes a range of its own, or is planned anew where
 * nothing is planned behind it.
 */
static void split(struct sync *sync, struct sync_want *range, uint64_t end) {
    ORD_MARK(SYNC_PIECE_SHORT);
    uint32_t index = (uint32_t) (range - sync->ranges);
    struct sync_want rest = {.kind = SYNC_BLOCKS, .first = end + 1, .last = range->last, .seq = range->seq};
    range->last = end;
    if (index + 1 == sync->range_count)
        return;
    if (sync->range_count == SYNC_RANGES_MAX) {
        /* There is no room. The ranges behind it are planned again later. */
        for (uint32_t i = index + 1; i < SYNC_RANGES_MAX; i++)
            forget(&sync->ranges[i]);
        sync->range_count = index + 1;
        return;
    }
    memmove(range + 2, range + 1, (sync->range_count - index - 1) * sizeof(*range));
    range[1] = rest;
    sync->range_count++;
}

/* ---- the check of a piece ---- */

struct piece {
    uint32_t block_count;
    struct ord_span blocks; /* block_count x (u32 size, header, data) */
    uint32_t header_count;
    struct ord_span headers;
    struct channel_certificate certificate;
};

static enum ord_err piece_decode(struct piece *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    (void) ord_read_u64(&reader);
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

/* The header of the first block. */
static enum ord_err first_header(struct channel_header *out, const struct piece *piece) {
    struct ord_span left = piece->blocks;
    struct ord_span block;
    struct ord_span data;
    enum ord_err err = channel_batch_next(&block, &left);
    return err == ORD_OK ? split_block(out, &data, block) : err;
}

/*
 * Checks the whole piece before any of it is kept (row C2). It begins at `first`; the certificate proves its blocks and
 * the link to the block before them.
 */
static enum ord_err piece_check(struct replica *replica, const struct piece *piece, const struct sync_want *want,
                                const char **why) {
    struct sync *sync = &replica->sync;
    struct channel_chain chain;
    struct channel_header header;
    enum ord_err err = first_header(&header, piece);
    *why = "malformed block";
    if (err != ORD_OK)
        return err;
    channel_chain_init(&chain, replica_config(replica), replica->setup.options.genesis_hash,
                       replica->setup.options.crypto);
    chain.height = want->first - 1;
    chain.head_hash = header.previous_hash;
    struct ord_span left = piece->blocks;
    struct ord_span block;
    struct ord_span data;
    while (err == ORD_OK && channel_batch_next(&block, &left) == ORD_OK) {
        *why = "malformed block";
        err = split_block(&header, &data, block);
        if (err == ORD_OK)
            err = channel_chain_block(&chain, &header, data, sync->leaves, sync->leaf_max, why);
    }
    /* A source that gives more blocks than we asked for could leave us at a height where no tail is certified. */
    if (err == ORD_OK && chain.height > want->last) {
        *why = "blocks beyond what was asked for";
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

static enum ord_err piece_open(struct replica *replica, struct piece *out, const struct sync_want *want,
                               struct ord_span bytes, const char **why) {
    *why = "malformed piece";
    enum ord_err err = piece_decode(out, bytes);
    return err == ORD_OK ? piece_check(replica, out, want, why) : err;
}

enum ord_err sync_piece_keep(struct replica *replica, struct sync_want *want, struct ord_span bytes, bool *whole,
                             const char **why) {
    struct sync *sync = &replica->sync;
    struct piece *piece = malloc(sizeof(*piece));
    if (piece == NULL)
        return ORD_ERR_NO_MEMORY;
    enum ord_err err = piece_open(replica, piece, want, bytes, why);
    uint64_t count = piece->block_count;
    bool certified_itself = piece->header_count == 0;
    free(piece);
    if (err != ORD_OK)
        return err;
    uint64_t mean = bytes.size / count + 1;
    sync->block_bytes = sync->block_bytes == 0 ? mean : (3 * sync->block_bytes + mean) / 4;
    uint64_t end = want->first + count - 1;
    /* A source ends a piece early at a block that has a certificate, so that the asker has it too (serve.c). */
    *whole = end == want->last || bytes.size >= SYNC_PIECE_BYTES_MAX || certified_itself;
    /* Only the next range may exceed the bound; it is taken at once. */
    if (want != &sync->ranges[0] && planned_bytes(sync) + bytes.size > SYNC_RANGES_BYTES_MAX + SYNC_PIECE_BYTES_MAX) {
        want->held = true;
        return ORD_OK;
    }
    want->piece = malloc(bytes.size);
    if (want->piece == NULL)
        return ORD_ERR_NO_MEMORY;
    memcpy(want->piece, bytes.data, bytes.size);
    want->size = bytes.size;
    if (end < want->last)
        split(sync, want, end);
    return ORD_OK;
}

/* ---- taking a piece ---- */

/*
 * What is certified is in the log of a raft leader (the dissertation's section 3.6.3), and it executes that by itself.
 * Between the blocks and the tail of a transfer its core could not run, and would lead nobody. A core that has more to
 * deliver goes on with that at its next TICK, which comes between the blocks and the tail as well; so it is let finish.
 */
static bool core_goes_on(const struct replica *replica) {
    struct ord_status core = agree_status(replica);
    return core.delivers_later || (replica_config(replica)->consensus == CHANNEL_RAFT && core.leading);
}

bool sync_piece_waits(const struct replica *replica) {
    const struct sync *sync = &replica->sync;
    return sync->active && !core_goes_on(replica) && replica->turn.room && !replica->turn.fatal && !sync->synced &&
           sync->range_count > 0 && sync->ranges[0].piece != NULL;
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

/*
 * Remembers the certificate of a later block until that block is taken. Without it a source that puts headers into each
 * of its pieces would leave us without any certificate, and we could prove none of these blocks to anybody. If there is
 * no room, the one that is farthest away goes: the next one is then as near as before.
 */
static void certificate_remember(struct sync *sync, const struct channel_certificate *certificate) {
    uint32_t at = 0;
    while (at < sync->certificate_count && sync->certificates[at].statement.height < certificate->statement.height)
        at++;
    bool known =
        at < sync->certificate_count && sync->certificates[at].statement.height == certificate->statement.height;
    if (known || at == SYNC_CERTIFICATES_MAX)
        return;
    uint32_t count = (uint32_t) ord_min(sync->certificate_count, SYNC_CERTIFICATES_MAX - 1);
    memmove(&sync->certificates[at + 1], &sync->certificates[at], (count - at) * sizeof(*certificate));
    sync->certificates[at] = *certificate;
    sync->certificate_count = count + 1;
    ORD_MARK(SYNC_CERTIFICATE_LATER);
}

/* The block at the own height was just taken: keeps its certificate, if a piece before had it. */
static void certificate_reached(struct replica *replica) {
    struct sync *sync = &replica->sync;
    uint64_t height = channel_height(replica->execute.channel);
    while (sync->certificate_count > 0 && sync->certificates[0].statement.height <= height) {
        const struct channel_certificate *first = &sync->certificates[0];
        if (first->statement.height == height &&
            ord_hash_equal(&first->statement.header_hash, channel_head_hash(replica->execute.channel)))
            certified_keep(replica, first);
        sync->certificate_count--;
        memmove(&sync->certificates[0], &sync->certificates[1], sync->certificate_count * sizeof(*first));
    }
}

static void piece_take(struct replica *replica, const struct piece *piece) {
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
        else
            certificate_reached(replica);
        replica->counters.sync_blocks++;
    }
    replica->execute.state_changed = true;
    replica_urgent(replica);
    if (replica->turn.fatal)
        return;
    if (piece->header_count == 0)
        certified_keep(replica, &piece->certificate);
    else
        certificate_remember(&replica->sync, &piece->certificate);
}

/* True if the checked piece follows from the own head. */
static bool follows(const struct replica *replica, const struct piece *piece) {
    struct channel_header header;
    return first_header(&header, piece) == ORD_OK && header.height == channel_height(replica->execute.channel) + 1 &&
           ord_hash_equal(&header.previous_hash, channel_head_hash(replica->execute.channel));
}

void sync_take_piece(struct replica *replica) {
    struct sync *sync = &replica->sync;
    struct piece *piece = malloc(sizeof(*piece));
    if (piece == NULL || !sync_piece_waits(replica)) {
        free(piece);
        return;
    }
    struct sync_want range = sync->ranges[0];
    if (piece_decode(piece, ord_span_of(range.piece, range.size)) == ORD_OK && follows(replica, piece)) {
        sync->missing = 0;
        piece_take(replica, piece);
        sync->range_count--;
        memmove(sync->ranges, sync->ranges + 1, sync->range_count * sizeof(range));
        free(range.piece);
    } else {
        /* The log has closed a block meanwhile. What is left is planned anew from the own height on. */
        sync_ranges_clear(replica);
    }
    free(piece);
}
