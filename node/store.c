/*
 * The replica's store is the ledger, call by call. Certificates are looked up where readers find them, because some are
 * certified and not committed yet.
 */
#include "node/store.h"

#include "ledger/ledger.h"
#include "node/node_internal.h"

static struct ledger *ledger_of(void *context) {
    const struct node *node = context;
    return node->ledger;
}

/* ---- puts ---- */

static enum ord_err put_block(void *context, uint64_t height, struct ord_span header, struct ord_span data) {
    return ledger_put_block(ledger_of(context), height, header, data);
}

static enum ord_err put_index(void *context, uint32_t client_index, uint64_t sequence, uint64_t height,
                              uint32_t envelope_index) {
    return ledger_put_index(ledger_of(context), client_index, sequence, height, envelope_index);
}

static enum ord_err put_certificate(void *context, uint64_t height, struct ord_span certificate) {
    return ledger_put_certificate(ledger_of(context), height, certificate);
}

static enum ord_err put_client(void *context, uint32_t client_index, struct ord_span record) {
    return ledger_put_client(ledger_of(context), client_index, record);
}

static enum ord_err put_meta(void *context, const char *name, struct ord_span value) {
    return ledger_put_meta(ledger_of(context), name, value);
}

static enum ord_err put_record(void *context, const struct ord_record *record) {
    return ledger_put_record(ledger_of(context), record);
}

static enum ord_err forget(void *context, uint8_t table, uint64_t key) {
    return ledger_forget(ledger_of(context), table, key);
}

static enum ord_err forget_after(void *context, uint8_t table, uint64_t key) {
    return ledger_forget_after(ledger_of(context), table, key);
}

static bool dirty(void *context) {
    return ledger_dirty(ledger_of(context));
}

static uint64_t turn_bytes(void *context) {
    return ledger_turn_bytes(ledger_of(context));
}

/* ---- reads ---- */

/* After an error `out` is empty. */
static enum ord_err bytes_of(struct ord_bytes *out, const struct ledger_bytes *bytes, enum ord_err err) {
    out->data = err == ORD_OK ? bytes->data : NULL;
    out->size = err == ORD_OK ? bytes->size : 0;
    return err;
}

static enum ord_err get_block(void *context, struct ord_bytes *out, uint64_t height) {
    struct ledger_bytes bytes = {0};
    return bytes_of(out, &bytes, ledger_get_block(ledger_of(context), &bytes, height));
}

static enum ord_err get_headers(void *context, struct ord_bytes *out, uint64_t from, uint64_t to, size_t bytes_max) {
    struct ledger_bytes bytes = {0};
    return bytes_of(out, &bytes,
                    ledger_get_headers(ledger_of(context), &bytes, from, to, CHANNEL_HEADER_SIZE, bytes_max));
}

static enum ord_err get_certificate(void *context, struct ord_bytes *out, uint64_t *at, uint64_t height) {
    struct node *node = context;
    struct ledger_bytes bytes = {0};
    return bytes_of(out, &bytes, service_certificate(&node->service, &bytes, at, height));
}

static enum ord_err get_client(void *context, struct ord_bytes *out, uint32_t client_index) {
    struct ledger_bytes bytes = {0};
    return bytes_of(out, &bytes, ledger_get_client(ledger_of(context), &bytes, client_index));
}

static enum ord_err get_meta(void *context, struct ord_bytes *out, const char *name) {
    struct ledger_bytes bytes = {0};
    return bytes_of(out, &bytes, ledger_get_meta(ledger_of(context), &bytes, name));
}

static enum ord_err get_record(void *context, struct ord_bytes *out, uint8_t table, uint64_t key) {
    struct ledger_bytes bytes = {0};
    return bytes_of(out, &bytes, ledger_get_record(ledger_of(context), &bytes, table, key));
}

static enum ord_err get_records(void *context, struct ord_record **records, size_t *count) {
    return ledger_get_records(ledger_of(context), records, count);
}

static enum ord_err height_of(void *context, uint64_t *height) {
    return ledger_height(ledger_of(context), height);
}

void store_init(struct replica_store *out, struct node *node) {
    *out = (struct replica_store) {
        .context = node,
        .put_block = put_block,
        .put_index = put_index,
        .put_certificate = put_certificate,
        .put_client = put_client,
        .put_meta = put_meta,
        .put_record = put_record,
        .forget = forget,
        .forget_after = forget_after,
        .dirty = dirty,
        .turn_bytes = turn_bytes,
        .get_block = get_block,
        .get_headers = get_headers,
        .get_certificate = get_certificate,
        .get_client = get_client,
        .get_meta = get_meta,
        .get_record = get_record,
        .get_records = get_records,
        .height = height_of,
    };
}

enum ord_err store_commit(void *context) {
    return ledger_commit(ledger_of(context));
}
