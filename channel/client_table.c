/*
 * The client table and the replay window. The window makes each envelope execute at most once, across views, leaders,
 * restarts and state transfer.
 */
#include "channel/client_table.h"

#include <string.h>

#include "channel/marks.h"
#include "channel/tags.h"
#include "core/assert.h"

#define RECORD_VERSION 1
/* Size of the part of a record that replicas agree on. registered_seq follows it and is each replica's own. */
#define RECORD_AGREED_SIZE                                                                                             \
    (1 + ORD_HASH_SIZE + ORD_PUBLIC_KEY_SIZE + 4 + 1 + 8 + 8 + 8 + (size_t) CHANNEL_REPLAY_WINDOW / 8)
#define RECORD_SIZE (RECORD_AGREED_SIZE + 8)

_Static_assert(RECORD_SIZE <= CHANNEL_CLIENT_RECORD_MAX, "a record fits its buffer");
_Static_assert((CHANNEL_REPLAY_WINDOW & (CHANNEL_REPLAY_WINDOW - 1)) == 0, "positions stay put when the window moves");

enum flag { FLAG_STALE = 1, FLAG_DIRTY = 2 };

static uint32_t power_of_two_from(uint32_t value) {
    uint32_t power = 1;
    while (power < value)
        power *= 2;
    return power;
}

void channel_table_lay_out(struct channel_table *table, struct layout *layout, uint32_t clients_max) {
    table->capacity = clients_max;
    table->slot_count = power_of_two_from(clients_max) * 2;
    table->leaf_count = power_of_two_from(clients_max);
    table->clients = layout_array(layout, clients_max, sizeof(*table->clients));
    table->slots = layout_array(layout, table->slot_count, sizeof(*table->slots));
    table->nodes = layout_array(layout, (size_t) table->leaf_count * 2, sizeof(*table->nodes));
    table->node_marked = layout_array(layout, table->leaf_count, sizeof(*table->node_marked));
    table->work = layout_array(layout, clients_max, sizeof(*table->work));
    table->stale = layout_array(layout, clients_max, sizeof(*table->stale));
    table->dirty = layout_array(layout, clients_max, sizeof(*table->dirty));
    table->flags = layout_array(layout, clients_max, sizeof(*table->flags));
}

static void node_hash(struct ord_hash *out, const struct ord_hash children[2]) {
    static const uint8_t tag = 0x01;
    const struct ord_span parts[] = {{&tag, 1}, ord_span_of(children, 2 * sizeof(*children))};
    crypto_sha256(out, parts, 2);
}

void channel_table_init(struct channel_table *table) {
    table->count = 0;
    table->stale_count = 0;
    table->dirty_count = 0;
    memset(table->clients, 0, table->capacity * sizeof(*table->clients));
    memset(table->slots, 0, table->slot_count * sizeof(*table->slots));
    memset(table->nodes, 0, 2 * (size_t) table->leaf_count * sizeof(*table->nodes));
    memset(table->node_marked, 0, table->leaf_count);
    memset(table->flags, 0, table->capacity);
    /* In a tree of empty slots all nodes of a level have the same hash. */
    for (uint32_t first = table->leaf_count / 2; first >= 1; first /= 2) {
        node_hash(&table->nodes[first], &table->nodes[2 * (size_t) first]);
        for (uint32_t i = first + 1; i < 2 * first; i++)
            table->nodes[i] = table->nodes[first];
    }
}

/*
 * The fingerprint's slot, or the free slot where it belongs. The search ends, because the table is at most half full.
 */
static uint32_t slot_of(const struct channel_table *table, const struct ord_hash *fingerprint) {
    uint32_t slot = ord_load_u32(fingerprint->bytes) & (table->slot_count - 1);
    while (table->slots[slot] != 0 && !ord_hash_equal(&table->clients[table->slots[slot] - 1].fingerprint, fingerprint))
        slot = (slot + 1) & (table->slot_count - 1);
    return slot;
}

const struct channel_client *channel_table_find(const struct channel_table *table, uint32_t *client_index,
                                                const struct ord_hash *fingerprint) {
    uint32_t slot = slot_of(table, fingerprint);
    if (table->slots[slot] == 0)
        return NULL;
    *client_index = table->slots[slot] - 1;
    return &table->clients[*client_index];
}

/* Notes that a client's record has changed. */
static void touch(struct channel_table *table, uint32_t client_index) {
    uint8_t *flags = &table->flags[client_index];
    if ((*flags & FLAG_STALE) == 0)
        table->stale[table->stale_count++] = client_index;
    if ((*flags & FLAG_DIRTY) == 0)
        table->dirty[table->dirty_count++] = client_index;
    *flags = FLAG_STALE | FLAG_DIRTY;
}

enum ord_err channel_table_add(struct channel_table *table, uint32_t *client_index,
                               const struct channel_client *client) {
    uint32_t slot = slot_of(table, &client->fingerprint);
    if (table->slots[slot] != 0)
        return ORD_ERR_EXISTS;
    if (table->count == table->capacity)
        return ORD_ERR_NO_SPACE;
    *client_index = table->count++;
    table->clients[*client_index] = *client;
    table->slots[slot] = *client_index + 1;
    touch(table, *client_index);
    return ORD_OK;
}

static void window_clear(uint8_t *window, uint64_t sequence) {
    uint32_t bit = (uint32_t) (sequence % CHANNEL_REPLAY_WINDOW);
    window[bit / 8] = (uint8_t) (window[bit / 8] & ~(1u << bit % 8));
}

static void window_set(uint8_t *window, uint64_t sequence) {
    uint32_t bit = (uint32_t) (sequence % CHANNEL_REPLAY_WINDOW);
    window[bit / 8] = (uint8_t) (window[bit / 8] | 1u << bit % 8);
}

static bool window_has(const uint8_t *window, uint64_t sequence) {
    uint32_t bit = (uint32_t) (sequence % CHANNEL_REPLAY_WINDOW);
    return (window[bit / 8] >> bit % 8 & 1) != 0;
}

enum channel_sequence channel_sequence_check(const struct channel_client *client, uint64_t sequence) {
    uint64_t highest = client->highest_sequence;
    if (sequence > highest)
        return sequence - highest > CHANNEL_REPLAY_WINDOW ? CHANNEL_SEQUENCE_AHEAD : CHANNEL_SEQUENCE_FRESH;
    if (sequence == 0 || highest - sequence >= CHANNEL_REPLAY_WINDOW)
        return CHANNEL_SEQUENCE_OLD;
    return window_has(client->window, sequence) ? CHANNEL_SEQUENCE_SEEN : CHANNEL_SEQUENCE_FRESH;
}

void channel_table_mark(struct channel_table *table, uint32_t client_index, uint64_t sequence) {
    struct channel_client *client = &table->clients[client_index];
    ORD_ASSERT(channel_sequence_check(client, sequence) == CHANNEL_SEQUENCE_FRESH);
    ORD_MARK_IF(sequence < client->highest_sequence, SEQUENCE_BEHIND_HIGHEST);
    if (sequence > client->highest_sequence) {
        ORD_MARK_IF(sequence - client->highest_sequence > CHANNEL_REPLAY_WINDOW / 2, REPLAY_WINDOW_JUMPS);
        /* The skipped numbers use the bits of old numbers that now leave the window. */
        for (uint64_t skipped = client->highest_sequence + 1; skipped < sequence; skipped++)
            window_clear(client->window, skipped);
        client->highest_sequence = sequence;
    }
    window_set(client->window, sequence);
    touch(table, client_index);
}

void channel_table_clean(struct channel_table *table) {
    for (uint32_t i = 0; i < table->dirty_count; i++) {
        uint8_t *flags = &table->flags[table->dirty[i]];
        *flags = (uint8_t) (*flags & ~FLAG_DIRTY);
    }
    table->dirty_count = 0;
}

static void leaf_update(struct channel_table *table, uint32_t client_index) {
    uint8_t record[RECORD_SIZE];
    size_t size = channel_record_encode(record, &table->clients[client_index]);
    ORD_ASSERT(size == RECORD_SIZE);
    channel_tagged_hash(&table->nodes[table->leaf_count + client_index], CHANNEL_TAG_CLIENT,
                        ord_span_of(record, RECORD_AGREED_SIZE));
    table->flags[client_index] = (uint8_t) (table->flags[client_index] & ~FLAG_STALE);
}

/*
 * Replaces the work list by the parents of its nodes, each once, and computes
 * their hashes. Returns the new list's length.
 */
static uint32_t level_update(struct channel_table *table, uint32_t work_count) {
    uint32_t parent_count = 0;
    for (uint32_t i = 0; i < work_count; i++) {
        uint32_t parent = table->work[i] / 2;
        if (table->node_marked[parent])
            continue;
        table->node_marked[parent] = 1;
        table->work[parent_count++] = parent;
    }
    for (uint32_t i = 0; i < parent_count; i++) {
        uint32_t node = table->work[i];
        table->node_marked[node] = 0;
        node_hash(&table->nodes[node], &table->nodes[2 * (size_t) node]);
    }
    return parent_count;
}

void channel_table_root(struct channel_table *table, struct ord_hash *out) {
    uint32_t work_count = table->stale_count;
    for (uint32_t i = 0; i < work_count; i++) {
        leaf_update(table, table->stale[i]);
        table->work[i] = table->leaf_count + table->stale[i];
    }
    table->stale_count = 0;
    for (uint32_t width = table->leaf_count; width > 1 && work_count > 0; width /= 2)
        work_count = level_update(table, work_count);
    *out = table->nodes[1];
}

size_t channel_record_encode(uint8_t *out, const struct channel_client *client) {
    struct ord_writer writer = ord_writer_of(out, CHANNEL_CLIENT_RECORD_MAX);
    ord_write_u8(&writer, RECORD_VERSION);
    ord_write_hash(&writer, &client->fingerprint);
    ord_write_bytes(&writer, client->key.bytes, ORD_PUBLIC_KEY_SIZE);
    ord_write_u32(&writer, client->org_index);
    ord_write_u8(&writer, (uint8_t) client->role);
    ord_write_u64(&writer, (uint64_t) client->not_before_s);
    ord_write_u64(&writer, (uint64_t) client->not_after_s);
    ord_write_u64(&writer, client->highest_sequence);
    ord_write_bytes(&writer, client->window, sizeof(client->window));
    ORD_ASSERT(writer.size == RECORD_AGREED_SIZE);
    ord_write_u64(&writer, client->registered_seq);
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    return writer.size;
}

/*
 * True if the window is one that marking could have produced: the bit of the highest sequence number is set, and no bit
 * stands for a number that was never used.
 */
static bool window_is_sane(const struct channel_client *client) {
    uint64_t highest = client->highest_sequence;
    if (highest > 0 && !window_has(client->window, highest))
        return false;
    if (highest >= CHANNEL_REPLAY_WINDOW)
        return true;
    for (uint64_t bit = highest + 1; bit <= CHANNEL_REPLAY_WINDOW; bit++)
        if (window_has(client->window, bit))
            return false;
    return true;
}

enum ord_err channel_record_decode(struct channel_client *out, struct ord_span record) {
    struct ord_reader reader = ord_reader_of(record);
    memset(out, 0, sizeof(*out));
    uint8_t version = ord_read_u8(&reader);
    ord_read_hash(&reader, &out->fingerprint);
    ord_read_bytes(&reader, out->key.bytes, ORD_PUBLIC_KEY_SIZE);
    out->org_index = ord_read_u32(&reader);
    uint8_t role = ord_read_u8(&reader);
    out->not_before_s = (int64_t) ord_read_u64(&reader);
    out->not_after_s = (int64_t) ord_read_u64(&reader);
    out->highest_sequence = ord_read_u64(&reader);
    ord_read_bytes(&reader, out->window, sizeof(out->window));
    out->registered_seq = ord_read_u64(&reader);
    if (ord_reader_finish(&reader) != ORD_OK || version != RECORD_VERSION ||
        (role != CRYPTO_ROLE_CLIENT && role != CRYPTO_ROLE_ADMIN) || !window_is_sane(out) ||
        crypto_verify_key_parse(&out->verify_key, &out->key) != ORD_OK)
        return ORD_ERR_CORRUPT;
    out->role = (enum crypto_role) role;
    return ORD_OK;
}
