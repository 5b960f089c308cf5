/*
 * The client table: who may write, each with a replay window. An index is given in order of registration and never again.
 * Agreed is the Merkle root over the clients' records by index; the hash table that finds a fingerprint is each replica's
 * own. Private to channel/.
 */
#ifndef ORDAIN_CHANNEL_CLIENT_TABLE_H
#define ORDAIN_CHANNEL_CLIENT_TABLE_H

#include "channel/layout.h"
#include "channel/state.h"

struct channel_table {
    uint32_t capacity; /* clients_max */
    uint32_t count;
    struct channel_client *clients; /* capacity */

    uint32_t slot_count; /* a power of two, at least twice the capacity */
    uint32_t *slots;     /* client index + 1; 0: free. Open addressing, linear probing */

    uint32_t leaf_count;    /* a power of two, at least the capacity */
    struct ord_hash *nodes; /* heap: root at 1, leaf of client i at leaf_count + i; an empty slot's leaf is zeros */
    uint8_t *node_marked;   /* leaf_count: inner nodes on the work list; all clear between calls */
    uint32_t *work;         /* capacity: nodes to recompute; used during channel_table_root only */

    uint32_t *stale; /* capacity: clients whose leaf is out of date */
    uint32_t stale_count;
    uint32_t *dirty; /* capacity: clients whose record is not on disk */
    uint32_t dirty_count;
    uint8_t *flags; /* capacity: is it in stale, in dirty */
};

void channel_table_lay_out(struct channel_table *table, struct layout *layout, uint32_t clients_max);
/* After the layout. */
void channel_table_init(struct channel_table *table);

/* NULL: not there. */
const struct channel_client *channel_table_find(const struct channel_table *table, uint32_t *client_index,
                                                const struct ord_hash *fingerprint);
/* NO_SPACE: full. EXISTS. Else the next index. */
ORD_MUST_USE enum ord_err channel_table_add(struct channel_table *table, uint32_t *client_index,
                                            const struct channel_client *client);
/* Marks a sequence that channel_sequence_check calls fresh. */
void channel_table_mark(struct channel_table *table, uint32_t client_index, uint64_t sequence);
void channel_table_clean(struct channel_table *table);
/* Merkle root over all slots; hashes only what changed since the last call. */
void channel_table_root(struct channel_table *table, struct ord_hash *out);

size_t channel_record_encode(uint8_t *out, const struct channel_client *client);
/* CORRUPT: not a record that channel_record_encode makes. */
ORD_MUST_USE enum ord_err channel_record_decode(struct channel_client *out, struct ord_span record);

#endif
