/*
 * What a replica answers to a submit request. Its statement moves an envelope to another list. A refusal counts when so
 * many replicas give it that one of them is honest.
 */
#include "client/engine_internal.h"

#define UNKNOWN_RETRY_US    20000u
#define REGISTER_AFTER_US   500000u
#define DUPLICATES_DOUBTFUL 2u
#define LATENCIES_PATIENT   8u
#define REPLY_WEIGHT        8u
#define QUESTIONS_MAX       20u

static uint64_t usual_latency_us(const struct client_engine *engine) {
    uint64_t now_us = engine->shortest_us;
    uint64_t before_us = engine->shortest_before_us;
    return now_us == 0 || (before_us != 0 && before_us < now_us) ? before_us : now_us;
}

/*
 * A channel under load is slow but not silent. Submitting again early would make it slower still. While nothing is
 * known of its latency, it gets the whole request timeout.
 */
uint64_t engine_patience_us(const struct client_engine *engine) {
    uint64_t usual_us = LATENCIES_PATIENT * usual_latency_us(engine);
    if (usual_us == 0)
        usual_us = 2 * engine->resubmit_us;
    if (usual_us > ENGINE_PATIENCE_MAX_US)
        usual_us = ENGINE_PATIENCE_MAX_US;
    return usual_us > engine->resubmit_us ? usual_us : engine->resubmit_us;
}

/* Waits for the entry's receipt. */
static void wait_for(struct client_engine *engine, struct client_entry *entry, uint32_t replica) {
    if (!entry->accepted || entry->final_due_us <= engine->now_us) {
        uint32_t doublings = entry->resubmissions < 4 ? entry->resubmissions : 4;
        entry->final_due_us = engine->now_us + (engine_patience_us(engine) << doublings);
    }
    entry->holder = replica;
    engine_accept(engine, entry);
    client_entries_push(&engine->waiting, entry);
}

/* Is this receipt about our envelope? */
static bool is_ours(const struct client_engine *engine, const struct channel_receipt *receipt,
                    const struct client_entry *entry) {
    struct ord_hash leaf;
    ord_merkle_leaf(&engine->client->trust.crypto, &leaf, ord_span_of(entry->envelope, entry->size));
    return ord_hash_equal(&leaf, &receipt->leaf);
}

bool engine_take_receipt(struct client_engine *engine, struct client_entry *entry, uint32_t replica,
                         struct ord_span bytes) {
    struct channel_receipt receipt;
    const char *why = "";
    if (client_trust_receipt(&engine->client->trust, &engine->cache, &receipt, bytes, &why) != ORD_OK) {
        engine_accuse_receipt(engine, replica, why);
        return false;
    }
    if (is_ours(engine, &receipt, entry)) {
        engine_finish(engine, entry, &receipt);
    } else {
        engine_leave(engine, entry);
        client_entries_push(&engine->doubts, entry);
    }
    return true;
}

static void duplicate(struct client_engine *engine, struct client_entry *entry, uint32_t replica,
                      const Ordain__V1__SubmitResult *result) {
    engine->statistics.duplicates++;
    if (result->receipt.len > 0) {
        if (!engine_take_receipt(engine, entry, replica, client_span(&result->receipt))) {
            engine->statistics.resent++;
            engine_leave(engine, entry);
            client_entries_push(&engine->outbox, entry);
        }
        return;
    }
    /*
     * The envelope is ordered but not certified yet, or so old that the channel has forgotten it. Waiting tells which.
     */
    if (++entry->duplicates > DUPLICATES_DOUBTFUL) {
        engine_leave(engine, entry);
        client_entries_push(&engine->doubts, entry);
    } else {
        wait_for(engine, entry, replica);
    }
}

/*
 * An honest replica refuses a good envelope whose number is beyond what it accepts yet: because the replica is behind,
 * or because we started too far ahead. So we ask for its position before its refusal counts.
 */
static bool refused_for_now(struct client_engine *engine, struct client_entry *entry, uint32_t replica) {
    struct engine_peer *peer = &engine->peers[replica];
    bool known = peer->position_known && peer->position_at_us + ENGINE_POSITION_US > engine->now_us;
    engine_ask_positions(engine);
    if (known)
        return entry->sequence > peer->position && entry->sequence - peer->position > CHANNEL_REPLAY_WINDOW;
    return entry->questions++ < QUESTIONS_MAX;
}

static void refused(struct client_engine *engine, struct client_entry *entry, uint32_t replica,
                    Ordain__V1__Status status, const char *message) {
    if (status == ORDAIN__V1__STATUS__BAD_REQUEST && refused_for_now(engine, entry, replica)) {
        engine_busy(engine, replica, 0);
        client_entries_push(&engine->outbox, entry);
        return;
    }
    entry->refused_by |= ord_replica_bit(replica);
    entry->refusal = client_status_error(status);
    client_status_say(entry->words, sizeof(entry->words), status, message);
    if (ord_replica_count(entry->refused_by) >= client_believable(engine->client)) {
        engine_fail(engine, entry, entry->refusal, entry->words);
        return;
    }
    client_entries_push(&engine->opinions, entry);
}

static void unknown_client(struct client_engine *engine, struct client_entry *entry, uint32_t replica) {
    struct engine_peer *peer = &engine->peers[replica];
    if (peer->unknown_from_us == 0) {
        peer->unknown_from_us = engine->now_us;
        peer->register_at_us = engine->now_us + REGISTER_AFTER_US;
    } else if (engine->now_us >= peer->register_at_us) {
        peer->register_at_us = engine->now_us + REGISTER_AFTER_US;
        engine_offer_registration(engine, replica);
    }
    peer->not_before_us = engine->now_us + UNKNOWN_RETRY_US;
    peer->busy_in_row++;
    engine->statistics.resent++;
    client_entries_push(&engine->outbox, entry);
}

/* Takes what one replica says of one envelope. `again` gathers the entries that return to the front of the outbox. */
static void take_result(struct client_engine *engine, struct client_entry *entry, uint32_t replica,
                        const Ordain__V1__SubmitResult *result, uint32_t retry_after_ms, struct client_entries *again) {
    if (client_status_error(result->status) != ORDAIN_OK)
        engine_leave(engine, entry);
    switch ((int) result->status) {
    case ORDAIN__V1__STATUS__OK:
    case ORDAIN__V1__STATUS__ACCEPTED:
        engine->peers[replica].unknown_from_us = 0;
        wait_for(engine, entry, replica);
        break;
    case ORDAIN__V1__STATUS__DUPLICATE:
        duplicate(engine, entry, replica, result);
        break;
    case ORDAIN__V1__STATUS__BUSY:
        engine->statistics.busy++;
        if (again->count == 0)
            engine_busy(engine, replica, retry_after_ms);
        client_pace_busy(&engine->pace, entry->sent_us, engine->now_us);
        client_entries_push(again, entry);
        break;
    case ORDAIN__V1__STATUS__UNKNOWN_CLIENT:
        unknown_client(engine, entry, replica);
        break;
    case ORDAIN__V1__STATUS__NOT_READY:
    case ORDAIN__V1__STATUS__UNAVAILABLE:
        engine->statistics.resent++;
        engine_avoid(engine, replica, ENGINE_AVOID_DOWN_US);
        client_entries_push(again, entry);
        break;
    case ORDAIN__V1__STATUS__TOO_LARGE:
    case ORDAIN__V1__STATUS__BAD_REQUEST:
    case ORDAIN__V1__STATUS__FORBIDDEN:
    case ORDAIN__V1__STATUS__NOT_FOUND:
    case ORDAIN__V1__STATUS__PRUNED:
        refused(engine, entry, replica, result->status, result->message);
        break;
    case ORDAIN__V1__STATUS__STATUS_UNSPECIFIED:
    default:
        engine_accuse(engine, replica, "it gave a result without a meaning");
        client_entries_push(again, entry);
        break;
    }
}

void engine_take_submit(struct client_engine *engine, struct engine_request *request, const client_response *response) {
    struct client_entries again = {0};
    uint64_t reply_us = engine->now_us - request->sent_us;
    engine->unanswered = 0;
    engine->reply_us =
        engine->reply_us == 0 ? reply_us : engine->reply_us - engine->reply_us / REPLY_WEIGHT + reply_us / REPLY_WEIGHT;
    const Ordain__V1__SubmitResponse *submit =
        response->kind_case == ORDAIN__V1__RESPONSE__KIND_SUBMIT ? response->submit : NULL;
    if (submit != NULL && submit->n_results == request->count) {
        uint32_t busy_before = engine->peers[request->replica].busy_in_row;
        for (uint32_t i = 0; i < request->count; i++)
            take_result(engine, request->entries[i], request->replica, submit->results[i], response->retry_after_ms,
                        &again);
        if (engine->peers[request->replica].busy_in_row == busy_before)
            engine->peers[request->replica].busy_in_row = 0;
        engine_follow_hint(engine, submit->leader_hint);
    } else if (submit != NULL && submit->n_results > 0) {
        engine_accuse(engine, request->replica, "it gave more or fewer results than envelopes");
        for (uint32_t i = 0; i < request->count; i++) {
            engine_leave(engine, request->entries[i]);
            request->entries[i]->sent_before = true;
            client_entries_push(&again, request->entries[i]);
        }
    } else {
        /*
         * The status applies to the request as a whole. If it refuses several envelopes, nobody knows which one is at
         * fault, so each is sent again alone.
         */
        bool refused_all = client_status_refuses(response->status);
        bool empty = client_status_error(response->status) == ORDAIN_OK; /* no results, so nothing was accepted */
        for (uint32_t i = 0; i < request->count; i++) {
            Ordain__V1__SubmitResult result = ORDAIN__V1__SUBMIT_RESULT__INIT;
            result.status = response->status;
            result.message = response->message;
            request->entries[i]->alone = request->entries[i]->alone || refused_all;
            if (empty || (refused_all && request->count > 1)) {
                engine_leave(engine, request->entries[i]);
                client_entries_push(&again, request->entries[i]);
            } else {
                take_result(engine, request->entries[i], request->replica, &result, response->retry_after_ms, &again);
            }
        }
        if (again.count > 0 && empty)
            engine_accuse(engine, request->replica, "it gave more or fewer results than envelopes");
    }
    client_entries_prepend(&engine->outbox, &again);
}

void engine_submit_again(struct client_engine *engine, struct client_entry *entry) {
    entry->resubmissions++;
    entry->sent_before = true;
    engine->statistics.resent++;
    engine_leave(engine, entry);
    client_entries_push(&engine->outbox, entry);
}

void engine_submit_lost(struct client_engine *engine, struct client_entry *entry) {
    client_pace_lost(&engine->pace, entry->sent_us, engine->now_us);
    engine_submit_again(engine, entry);
}
