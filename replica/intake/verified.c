#include "replica/intake/verified.h"

#include <stdlib.h>
#include <string.h>

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
    /* A check may be dropped before it runs, or end before it comes to this envelope. */
    item->ran = false;
    item->ok = false;
}

enum ord_err newcomer_look(struct replica *replica, struct replica_envelope_check *item,
                           const struct channel_judged *judged, const struct ord_hash *client) {
    uint32_t client_index;
    struct ord_span certificate = judged->certificate;
    item->newcomer = NULL;
    if (judged->client_index != UINT32_MAX ||
        channel_client_find(replica->execute.channel, &client_index, client) != NULL)
        return ORD_OK;
    struct replica_newcomer *newcomer = malloc(sizeof(*newcomer) + certificate.size);
    if (newcomer == NULL)
        return ORD_ERR_NO_MEMORY;
    *newcomer = (struct replica_newcomer) {
        .known = certificate.size == 0, .err = ORD_ERR_WRONG_STATE, .size = (uint32_t) certificate.size};
    if (newcomer->known) {
        newcomer->err = ORD_OK;
        newcomer->says = *channel_newcomer_find(replica->execute.channel, client);
    } else {
        memcpy(newcomer->certificate, certificate.data, certificate.size);
    }
    item->newcomer = newcomer;
    return ORD_OK;
}

void newcomers_destroy(struct replica_check *check) {
    for (uint32_t i = 0; i < check->envelopes.count; i++)
        free(check->envelopes.items[i].newcomer);
}

/* A certificate may be good although the signature of the envelope that brought it is not. */
static void newcomer_note(struct replica *replica, const struct replica_newcomer *newcomer) {
    if (newcomer == NULL || newcomer->known || newcomer->err == ORD_ERR_WRONG_STATE)
        return;
    replica->counters.certificates_checked++;
    if (newcomer->err == ORD_OK)
        channel_newcomer_note(replica->execute.channel, &newcomer->says);
}

void verified_note(struct replica *replica, const struct replica_envelope_check *item) {
    struct ord_hash digest;
    newcomer_note(replica, item->newcomer);
    replica->counters.client_signatures_checked += item->ran;
    replica->counters.client_signatures_skipped += item->known;
    if (!item->ok || item->known)
        return;
    struct ord_hash *slot = slot_of(replica, &digest, item);
    *slot = digest;
}
