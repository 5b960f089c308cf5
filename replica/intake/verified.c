#include "replica/intake/verified.h"

#include <stdlib.h>

#include "core/codec.h"
#include "replica/replica_internal.h"

enum { SLOTS = 32768 };

/*
 * The envelope's id covers the fingerprint of its client, which determines the key. A digest of both id and signature
 * keeps a forged signature of an envelope that verified from being taken for the good one.
 */
static struct ord_hash *slot_of(struct replica *replica, struct ord_hash *digest,
                                const struct replica_envelope_check *item) {
    const struct ord_span parts[] = {ord_span_of(item->hash.bytes, sizeof(item->hash.bytes)),
                                     ord_span_of(item->signature.bytes, sizeof(item->signature.bytes))};
    replica->setup.options.crypto->hash(digest, parts, 2);
    return &replica->verified.slots[ord_load_u32(digest->bytes) % SLOTS];
}

enum ord_err verified_init(struct replica *replica) {
    replica->verified.slots = calloc(SLOTS, sizeof(*replica->verified.slots));
    return replica->verified.slots == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
}

void verified_deinit(struct replica *replica) {
    free(replica->verified.slots);
}

void verified_look(struct replica *replica, struct replica_envelope_check *item) {
    struct ord_hash digest;
    const struct ord_hash *slot = slot_of(replica, &digest, item);
    item->known = ord_hash_equal(slot, &digest);
    /* A check may be dropped before it runs. */
    item->ok = false;
}

void verified_note(struct replica *replica, const struct replica_envelope_check *item) {
    struct ord_hash digest;
    replica->counters.client_signatures_checked += !item->known;
    replica->counters.client_signatures_skipped += item->known;
    if (!item->ok || item->known)
        return;
    struct ord_hash *slot = slot_of(replica, &digest, item);
    *slot = digest;
}
