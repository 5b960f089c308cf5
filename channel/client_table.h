/*
 * The client table: the clients that may write, each with a replay window. Indexes are assigned in order of
 * registration and never reused. Replicas agree on the Merkle root over the clients' records by index. The hash table
 * that finds a fingerprint is each replica's own. Private to channel/.
 */
#ifndef ORDAIN_CHANNEL_CLIENT_TABLE_H
#define ORDAIN_CHANNEL_CLIENT_TABLE_H

#include "channel/layout.h"
#include "channel/state.h"

struct channel_table {
    uint32_t capacity; /* clients_max */
    uint32_t count;
    struct channel_client *clients; /* [capacity] */

    /* The hash table, with open addressing and linear probing. slot_count is a power of two, at least twice the
     * capacity. A slot holds a client's index + 1; 0: free. */
    uint32_t slot_count;
    uint32_t *slots;

    /* The Merkle tree. leaf_count is a power of two, at least the capacity. nodes is a heap: the root is at 1, the leaf
     * of client i at leaf_count + i. An empty slot's leaf is zeros. */
    uint32_t leaf_count;
    struct ord_hash *nodes;
    /* [leaf_count]: set for the inner nodes on the work list. All clear between calls. */
    uint8_t *node_marked;
    /* [capacity]: nodes to recompute. Only channel_table_root uses this list. */
    uint32_t *work;

    /* [capacity]: clients whose leaf is out of date. */
    uint32_t *stale;
    uint32_t stale_count;
    /* [capacity]: clients whose record on disk is out of date. */
    uint32_t *dirty;
    uint32_t dirty_count;
    /* [capacity]: says of each client whether it is in `stale` and in `dirty`. */
    uint8_t *flags;
};

void channel_table_lay_out(struct channel_table *table, struct layout *layout, uint32_t clients_max);
/* Makes the table empty. Call this after channel_table_lay_out has given it memory. */
void channel_table_init(struct channel_table *table);

/* NULL: the client is not in the table. */
const struct channel_client *channel_table_find(const struct channel_table *table, uint32_t *client_index,
                                                const struct ord_hash *fingerprint);
/* Adds a client under the next index. NO_SPACE: the table is full. EXISTS: the client is in it already. */
ORD_MUST_USE enum ord_err channel_table_add(struct channel_table *table, uint32_t *client_index,
                                            const struct channel_client *client);
/* Marks a sequence number as ordered. Requires that channel_sequence_check calls it fresh. */
void channel_table_mark(struct channel_table *table, uint32_t client_index, uint64_t sequence);
/* Empties `dirty`. */
void channel_table_clean(struct channel_table *table);
/* Merkle root over all leaves. Recomputes only the hashes that changed since the last call. */
void channel_table_root(struct channel_table *table, struct ord_hash *out);

/* `out` must have CHANNEL_CLIENT_RECORD_MAX bytes. Returns the encoded size. */
size_t channel_record_encode(uint8_t *out, const struct channel_client *client);
/* CORRUPT: channel_record_encode makes no such record. */
ORD_MUST_USE enum ord_err channel_record_decode(struct channel_client *out, struct ord_span record);

#endif
