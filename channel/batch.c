/*
 * The batch's encoding, and the iteration over length-prefixed items that batches and blocks share.
 */
#include "channel/config.h"
#include "channel/envelope.h"

/* The second version names a view. It is used exactly then, so that each batch has one encoding. */
#define BATCH_VERSION      1
#define BATCH_VERSION_VIEW 2
#define BATCH_COUNT_OFFSET (1 + 8)

void channel_batch_begin(struct ord_writer *writer, uint64_t cut_height) {
    ord_write_u8(writer, BATCH_VERSION);
    ord_write_u64(writer, cut_height);
    ord_write_u32(writer, 0);
}

void channel_batch_begin_view(struct ord_writer *writer, uint64_t cut_height, uint64_t view) {
    ord_write_u8(writer, BATCH_VERSION_VIEW);
    ord_write_u64(writer, cut_height);
    ord_write_u64(writer, view);
    ord_write_u32(writer, 0);
}

void channel_batch_add(struct ord_writer *writer, struct ord_span envelope) {
    ord_write_string(writer, envelope);
}

enum ord_err channel_batch_end(struct ord_writer *writer, uint32_t envelope_count) {
    if (envelope_count > CHANNEL_BATCH_ENVELOPES_MAX)
        return ORD_ERR_TOO_LARGE;
    enum ord_err err = ord_writer_finish(writer);
    if (err != ORD_OK)
        return err;
    size_t view_size = writer->data[0] == BATCH_VERSION_VIEW ? CHANNEL_BATCH_VIEW_SIZE : 0;
    ord_store_u32(writer->data + BATCH_COUNT_OFFSET + view_size, envelope_count);
    return ORD_OK;
}

bool channel_items_fill(struct ord_span items, uint32_t count) {
    struct ord_reader reader = ord_reader_of(items);
    for (uint32_t i = 0; i < count && !reader.failed; i++)
        (void) ord_read_string(&reader, UINT32_MAX);
    return ord_reader_finish(&reader) == ORD_OK;
}

enum ord_err channel_batch_decode(struct channel_batch *out, struct ord_span bytes) {
    *out = (struct channel_batch) {0};
    if (bytes.size == 0)
        return ORD_OK;
    struct ord_reader reader = ord_reader_of(bytes);
    uint8_t version = ord_read_u8(&reader);
    if (version != BATCH_VERSION && version != BATCH_VERSION_VIEW)
        return ORD_ERR_INVALID;
    uint64_t cut_height = ord_read_u64(&reader);
    bool names_view = version == BATCH_VERSION_VIEW;
    uint64_t view = names_view ? ord_read_u64(&reader) : 0;
    uint32_t count = ord_read_u32(&reader);
    if (count > CHANNEL_BATCH_ENVELOPES_MAX)
        return ORD_ERR_INVALID;
    struct ord_span envelopes = ord_read_span(&reader, ord_reader_left(&reader));
    if (ord_reader_finish(&reader) != ORD_OK || !channel_items_fill(envelopes, count))
        return ORD_ERR_INVALID;
    *out = (struct channel_batch) {.cut_height = cut_height,
                                   .names_view = names_view,
                                   .view = view,
                                   .envelope_count = count,
                                   .envelopes = envelopes};
    return ORD_OK;
}

enum ord_err channel_batch_next(struct ord_span *envelope, struct ord_span *envelopes) {
    *envelope = ord_span_of(NULL, 0);
    if (envelopes->size == 0)
        return ORD_ERR_NOT_FOUND;
    struct ord_reader reader = ord_reader_of(*envelopes);
    *envelope = ord_read_string(&reader, UINT32_MAX);
    if (reader.failed)
        return ORD_ERR_INVALID;
    size_t left = ord_reader_left(&reader);
    *envelopes = ord_span_of(envelopes->data + (envelopes->size - left), left);
    return ORD_OK;
}
