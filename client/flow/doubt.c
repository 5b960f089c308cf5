/*
 * Decides whether an envelope's number is taken by another envelope, or was never ordered. The statement of one replica
 * decides neither. A receipt that verifies shows what was ordered under the number. Nothing was ordered under it when
 * so many replicas say so that one of them is honest.
 */
#include "client/flow/internal.h"

/*
 * A replica that knows no receipt for the number, and whose position is far past it, says in effect that the number was
 * not ordered and never will be.
 */
static bool lost_there(const struct engine *engine, const struct client_entry *entry, uint32_t replica) {
    const struct engine_peer *peer = &engine->peers[replica];
    return peer->position_known && peer->position >= entry->sequence &&
           peer->position - entry->sequence >= CHANNEL_REPLAY_WINDOW;
}

static void take_absence(struct engine *engine, struct client_entry *entry, uint32_t replica) {
    entry->absent_by |= ord_replica_bit(replica);
    if (lost_there(engine, entry, replica))
        entry->lost_by |= ord_replica_bit(replica);
    engine_ask_positions(engine);
    if (ord_replica_count(entry->lost_by) >= engine_believable(engine)) {
        engine_want_number(engine, entry);
    } else if (ord_replica_count(entry->absent_by) >= engine_believable(engine)) {
        /* lost_by stays: such a statement cannot become untrue. */
        entry->absent_by = 0;
        entry->duplicates = 1;
        engine_submit_again(engine, entry);
    } else {
        client_entries_push(&engine->doubts, entry);
    }
}

/* The number is taken if a verified receipt shows another envelope of ours under it. */
static void take_full_receipt(struct engine *engine, struct client_entry *entry, uint32_t replica,
                              struct ord_span bytes) {
    struct channel_receipt receipt;
    struct channel_envelope ordered;
    struct channel_envelope ours;
    struct ord_hash ordered_id;
    struct ord_hash our_id;
    const char *why = "";
    enum ord_err err = client_trust_receipt(engine->config.trust, &engine->cache, &receipt, bytes, &why);
    if (err == ORD_OK) {
        why = "it has no envelope";
        err = channel_envelope_decode(&ordered, receipt.envelope);
    }
    if (err == ORD_OK) {
        why = "it is about another envelope than was asked for";
        if (ordered.kind != CHANNEL_ENVELOPE_TRANSACTIONS || ordered.sequence != entry->sequence ||
            !ord_hash_equal(&ordered.client, &engine->config.signing.fingerprint))
            err = ORD_ERR_MISMATCH;
    }
    if (err == ORD_OK)
        err = channel_envelope_decode(&ours, ord_span_of(entry->envelope, entry->size));
    if (err != ORD_OK) {
        engine_accuse_receipt(engine, replica, why);
        client_entries_push(&engine->doubts, entry);
        return;
    }
    channel_envelope_id(&ordered_id, ordered.body);
    channel_envelope_id(&our_id, ours.body);
    if (ord_hash_equal(&ordered_id, &our_id)) {
        engine_finish(engine, entry, &receipt);
        return;
    }
    engine_want_number(engine, entry);
}

void engine_take_probe(struct engine *engine, struct engine_request *request, const struct engine_answer *answer) {
    struct client_entry *entry = request->entries[0];
    if (answer->status == ENGINE_STATUS_OK && answer->result_count == 1) {
        take_full_receipt(engine, entry, request->replica, answer->results[0].receipt);
    } else if (answer->status == ENGINE_STATUS_NOT_FOUND) {
        take_absence(engine, entry, request->replica);
    } else {
        engine->peers[request->replica].wait_after_us = engine->now_us + ENGINE_WAIT_PAUSE_US;
        client_entries_push(&engine->doubts, entry);
    }
}
