/*
 * The evidence that this replica keeps. Each piece is checked again before it is kept, because a false accusation on
 * disk would be worse than a second check. Each contradiction is kept once, up to a limit for each replica. The first
 * pieces stay: they convict as well as later ones, and a liar that goes on costs nothing more.
 */
#include "replica/replica_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool is_kept(const struct accusations *accusations, ord_node_id culprit, const struct evidence_place *place) {
    for (uint32_t i = 0; i < accusations->counts[culprit]; i++)
        if (evidence_place_equal(&accusations->places[culprit][i], place))
            return true;
    return false;
}

static void note(struct accusations *accusations, const struct evidence_claim *claim) {
    uint32_t *count = &accusations->counts[claim->culprit];
    accusations->places[claim->culprit][(*count)++] = claim->place;
}

static void keep(struct replica *replica, const struct evidence *evidence, const struct evidence_claim *claim) {
    char name[RECORD_EVIDENCE_SIZE];
    uint8_t bytes[EVIDENCE_SIZE_MAX];
    record_evidence_name(name, claim->culprit, replica->accusations.counts[claim->culprit]);
    size_t size = evidence_encode(bytes, evidence);
    replica_put_meta(replica, name, ord_span_of(bytes, size), "writing evidence");
    note(&replica->accusations, claim);
    replica_urgent(replica);
    char first[17];
    char second[17];
    replica_log(replica, REPLICA_LOG_WARN, "contradicting_statements",
                "culprit=%" PRIu32 " type=%s view=%" PRIu64 " seq=%" PRIu64 " first=%s second=%s", claim->culprit,
                evidence_type_name(claim->place.type), claim->place.view, claim->place.seq,
                replica_log_hash(first, &claim->said[0].digest), replica_log_hash(second, &claim->said[1].digest));
}

static void accuse(struct replica *replica, enum evidence_kind kind, struct ord_span first, struct ord_span second) {
    const struct evidence evidence = {.genesis_hash = *replica->setup.options.genesis_hash,
                                      .epoch = replica->setup.core_config.epoch,
                                      .kind = kind,
                                      .first = first,
                                      .second = second};
    const struct accusations *accusations = &replica->accusations;
    ord_node_id culprit;
    struct evidence_place place;
    struct evidence_claim claim;
    const char *why = "malformed";
    replica->counters.evidence++;
    enum ord_err err = evidence_about(&culprit, &place, &evidence, &replica->setup.core_config);
    /* Evidence that will not be kept costs no check, so a liar may go on for as long as it likes. */
    if (err == ORD_OK && (accusations->counts[culprit] == accusations->slots || is_kept(accusations, culprit, &place)))
        return;
    if (err == ORD_OK)
        err = evidence_verify(&claim, &evidence, replica_config(replica), replica->setup.options.genesis_hash,
                              replica->setup.options.crypto, &why);
    if (err == ORD_OK) {
        keep(replica, &evidence, &claim);
        return;
    }
    replica->counters.evidence_refused++;
    replica_log(replica, REPLICA_LOG_ERROR, "evidence_refused", "err=%s why=\"%s\"", ord_err_name(err), why);
}

void accuse_votes(struct replica *replica, struct ord_span first, struct ord_span second) {
    accuse(replica, EVIDENCE_VOTES, first, second);
}

void accuse_attestations(struct replica *replica, const struct channel_attestation *first,
                         const struct channel_attestation *second) {
    uint8_t bytes[2][CHANNEL_ATTESTATION_SIZE];
    channel_attestation_encode(bytes[0], first);
    channel_attestation_encode(bytes[1], second);
    accuse(replica, EVIDENCE_ATTESTATIONS, ord_span_of(bytes[0], sizeof(bytes[0])),
           ord_span_of(bytes[1], sizeof(bytes[1])));
}

/* Recovers one record. CORRUPT: it is no evidence against `culprit`, or a copy of another record. */
static enum ord_err recover_one(struct replica *replica, struct ord_span bytes, ord_node_id culprit) {
    struct evidence evidence;
    struct evidence_claim claim;
    if (evidence_take(&evidence, &bytes) != ORD_OK || bytes.size > 0 ||
        evidence_verify(&claim, &evidence, replica_config(replica), replica->setup.options.genesis_hash,
                        replica->setup.options.crypto, NULL) != ORD_OK ||
        claim.culprit != culprit || is_kept(&replica->accusations, culprit, &claim.place))
        return ORD_ERR_CORRUPT;
    note(&replica->accusations, &claim);
    return ORD_OK;
}

enum ord_err accuse_recover(struct replica *replica) {
    const struct replica_store *store = replica_store(replica);
    uint32_t replica_count = replica_config(replica)->replica_count;
    replica->accusations = (struct accusations) {.slots = record_evidence_slots(replica_count)};
    for (ord_node_id culprit = 0; culprit < replica_count; culprit++)
        for (uint32_t slot = 0; slot < replica->accusations.slots; slot++) {
            char name[RECORD_EVIDENCE_SIZE];
            struct ord_bytes bytes;
            record_evidence_name(name, culprit, slot);
            enum ord_err err = store->get_meta(store->ledger, &bytes, name);
            if (err == ORD_ERR_NOT_FOUND)
                break;
            if (err == ORD_OK) {
                err = recover_one(replica, ord_span_of(bytes.data, bytes.size), culprit);
                free(bytes.data);
            }
            if (err != ORD_OK)
                return err;
        }
    accuse_freeze(replica);
    accuse_committed(replica);
    return ORD_OK;
}

void accuse_freeze(struct replica *replica) {
    struct accusations *accusations = &replica->accusations;
    memcpy(accusations->frozen, accusations->counts, sizeof(accusations->frozen));
}

void accuse_committed(struct replica *replica) {
    struct accusations *accusations = &replica->accusations;
    memcpy(accusations->committed, accusations->frozen, sizeof(accusations->committed));
}
