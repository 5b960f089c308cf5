/*
 * Decides whether an envelope's number is taken by another envelope, or was never ordered. The statement of one replica
 * decides neither. A receipt that verifies shows what was ordered under the number. Nothing was ordered under it when
 * so many replicas say so that one of them is honest.
 */
#include "client/engine_internal.h"

#define POSITION_FRESH_US 5000000u

/* The client's position according to recent answers. False when too few replicas answered. */
static bool agreed_position(const struct client_engine *engine, uint64_t *position) {
    uint64_t answers[ORD_REPLICA_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->peer_count; i++) {
        const struct engine_peer *peer = &engine->peers[i];
        if (peer->position_known && peer->position_at_us >= engine->positions_since &&
            peer->position_at_us + POSITION_FRESH_US > engine->now_us)
            answers[count++] = peer->position;
    }
    if (count < client_believable(engine->client))
        return false;
    *position = client_position(answers, count, client_liars_max(engine->client));
    return true;
}

/*
 * True if we started too far ahead for the channel. Signing again an envelope that may still be ordered would order it
 * twice, so this asks for strong signs: nothing of ours was ever final, and in a whole quorum of replicas none claims a
 * position close enough to our numbers.
 */
static bool out_of_reach(const struct client_engine *engine, uint64_t lowest) {
    uint32_t used = client_replicas_used(&engine->client->replicas);
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->peer_count; i++) {
        const struct engine_peer *peer = &engine->peers[i];
        if (!peer->position_known || peer->position_at_us + POSITION_FRESH_US <= engine->now_us)
            continue;
        if (peer->position >= lowest || lowest - peer->position <= CHANNEL_REPLAY_WINDOW)
            return false;
        count++;
    }
    return engine->statistics.final == 0 && count > 0 && count >= used - client_liars_max(engine->client);
}

void engine_take_position(struct client_engine *engine, const struct engine_request *request,
                          const client_response *response) {
    struct engine_peer *peer = &engine->peers[request->replica];
    if (response->status != ORDAIN__V1__STATUS__OK)
        return;
    peer->position_known = true;
    peer->position = response->client->highest_sequence;
    peer->position_at_us = engine->now_us;
    uint64_t position = 0;
    if (!agreed_position(engine, &position))
        return;
    engine->renumber_at_us = 0;
    pthread_mutex_lock(&engine->lock);
    uint64_t lowest = engine->window.lowest;
    bool open = !client_window_empty(&engine->window);
    /* Another process used our identity: continue after its numbers. */
    if (position >= engine->window.next)
        client_window_skip(&engine->window, position + 1);
    pthread_mutex_unlock(&engine->lock);
    if (open && out_of_reach(engine, lowest)) {
        engine->restart = true;
        engine->restart_at = position;
    }
}

/*
 * A replica that knows no receipt for the number, and whose position is far past it, says in effect that the number was
 * not ordered and never will be.
 */
static bool lost_there(const struct client_engine *engine, const struct client_entry *entry, uint32_t replica) {
    const struct engine_peer *peer = &engine->peers[replica];
    return peer->position_known && peer->position >= entry->sequence &&
           peer->position - entry->sequence >= CHANNEL_REPLAY_WINDOW;
}

static void take_absence(struct client_engine *engine, struct client_entry *entry, uint32_t replica) {
    entry->absent_by |= ord_replica_bit(replica);
    if (lost_there(engine, entry, replica))
        entry->lost_by |= ord_replica_bit(replica);
    engine_ask_positions(engine);
    if (ord_replica_count(entry->lost_by) >= client_believable(engine->client)) {
        engine_want_number(engine, entry);
    } else if (ord_replica_count(entry->absent_by) >= client_believable(engine->client)) {
        /* lost_by stays: such a statement cannot become untrue. */
        entry->absent_by = 0;
        entry->duplicates = 1;
        engine_submit_again(engine, entry);
    } else {
        client_entries_push(&engine->doubts, entry);
    }
}

/* The number is taken if a verified receipt shows another envelope of ours under it. */
static void take_full_receipt(struct client_engine *engine, struct client_entry *entry, uint32_t replica,
                              struct ord_span bytes) {
    struct channel_receipt receipt;
    struct channel_envelope ordered;
    struct channel_envelope ours;
    struct ord_hash ordered_id;
    struct ord_hash our_id;
    const char *why = "";
    enum ord_err err = client_trust_receipt(&engine->client->trust, &engine->cache, &receipt, bytes, &why);
    if (err == ORD_OK) {
        why = "it has no envelope";
        err = channel_envelope_decode(&ordered, receipt.envelope);
    }
    if (err == ORD_OK) {
        why = "it is about another envelope than was asked for";
        if (ordered.kind != CHANNEL_ENVELOPE_TRANSACTIONS || ordered.sequence != entry->sequence ||
            !ord_hash_equal(&ordered.client, &engine->client->fingerprint))
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

void engine_take_probe(struct client_engine *engine, struct engine_request *request, const client_response *response) {
    struct client_entry *entry = request->entries[0];
    if (response->status == ORDAIN__V1__STATUS__OK) {
        take_full_receipt(engine, entry, request->replica, client_span(&response->receipt->receipt));
    } else if (response->status == ORDAIN__V1__STATUS__NOT_FOUND) {
        take_absence(engine, entry, request->replica);
    } else {
        engine->peers[request->replica].wait_after_us = engine->now_us + ENGINE_WAIT_PAUSE_US;
        client_entries_push(&engine->doubts, entry);
    }
}
