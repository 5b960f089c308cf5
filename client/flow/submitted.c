/*
 * What a replica answers to a submit request. Its statement moves an envelope to another list. A refusal counts when so
 * many replicas give it that one of them is honest.
 */
#include "client/flow/internal.h"
#include "client/flow/text.h"

#define UNKNOWN_RETRY_US    20000u
#define REGISTER_AFTER_US   500000u
#define DUPLICATES_DOUBTFUL 2u
#define LATENCIES_PATIENT   8u
#define REPLY_WEIGHT        8u
#define QUESTIONS_MAX       20u

static uint64_t usual_latency_us(const struct engine *engine) {
    uint64_t now_us = engine->shortest_us;
    uint64_t before_us = engine->shortest_before_us;
    return now_us == 0 || (before_us != 0 && before_us < now_us) ? before_us : now_us;
}

/*
 * A channel under load is slow but not silent. Submitting again early would make it slower still. While nothing is
 * known of its latency, it gets the whole request timeout.
 */
uint64_t engine_patience_us(const struct engine *engine) {
    uint64_t usual_us = LATENCIES_PATIENT * usual_latency_us(engine);
    if (usual_us == 0)
        usual_us = 2 * engine->resubmit_us;
    if (usual_us > ENGINE_PATIENCE_MAX_US)
        usual_us = ENGINE_PATIENCE_MAX_US;
    return usual_us > engine->resubmit_us ? usual_us : engine->resubmit_us;
}

/*
 * Waits for the receipt of the entry's number, which shows who has it. `held`: the replica holds this very entry, or
 * has it in its chain. Waits longer after each submission. All replicas may have lost it, so there is a bound.
 */
static void wait_for(struct engine *engine, struct client_entry *entry, uint32_t replica, bool held) {
    if (!entry->accepted || entry->final_due_us <= engine->now_us) {
        uint32_t doublings = entry->resubmissions < 4 ? entry->resubmissions : 4;
        uint64_t patience_us = engine_patience_us(engine);
        uint64_t max_us = patience_us > ENGINE_PATIENCE_MAX_US ? patience_us : ENGINE_PATIENCE_MAX_US;
        uint64_t wait_us = patience_us << doublings;
        entry->final_due_us = engine->now_us + (wait_us < max_us ? wait_us : max_us);
    }
    entry->holder = replica;
    if (held)
        engine_accept(engine, entry);
    client_entries_push(&engine->waiting, entry);
    if (entry == engine->sample)
        engine_copy_sample(engine);
}

/* Is this receipt about our envelope? */
static bool is_ours(const struct engine *engine, const struct channel_receipt *receipt,
                    const struct client_entry *entry) {
    struct ord_hash leaf;
    ord_merkle_leaf(&engine->config.trust->crypto, &leaf, ord_span_of(entry->envelope, entry->size));
    return ord_hash_equal(&leaf, &receipt->leaf);
}

bool engine_take_receipt(struct engine *engine, struct client_entry *entry, uint32_t replica, struct ord_span bytes) {
    struct channel_receipt receipt;
    const char *why = "";
    if (client_trust_receipt(engine->config.trust, &engine->cache, &receipt, bytes, &why) != ORD_OK) {
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

/* The replica says that the entry's number is in use: by the entry itself, by another envelope, or it cannot tell. */
static void in_use(struct engine *engine, struct client_entry *entry, uint32_t replica,
                   const struct engine_result *result) {
    engine->statistics.duplicates++;
    entry->taken = result->status == ENGINE_STATUS_SEQUENCE_TAKEN;
    if (result->receipt.size > 0) {
        if (!engine_take_receipt(engine, entry, replica, result->receipt)) {
            engine->statistics.resent++;
            engine_leave(engine, entry);
            client_entries_push(&engine->outbox, entry);
        }
        return;
    }
    /*
     * What has the number is not certified yet, or so old that the channel has forgotten it, or waits to be ordered.
     * Waiting tells which. Only who says DUPLICATE says that it is this entry.
     */
    if (++entry->duplicates > DUPLICATES_DOUBTFUL) {
        engine_leave(engine, entry);
        client_entries_push(&engine->doubts, entry);
    } else {
        wait_for(engine, entry, replica, result->status == ENGINE_STATUS_DUPLICATE);
    }
}

/*
 * An honest replica refuses a good envelope whose number is beyond what it accepts yet: because the replica is behind,
 * or because we started too far ahead. So we ask for its position before its refusal counts.
 */
static bool refused_for_now(struct engine *engine, struct client_entry *entry, uint32_t replica) {
    struct engine_peer *peer = &engine->peers[replica];
    bool known = peer->position_known && peer->position_at_us + ENGINE_POSITION_US > engine->now_us;
    engine_ask_positions(engine);
    if (known)
        return entry->sequence > peer->position && entry->sequence - peer->position > CHANNEL_REPLAY_WINDOW;
    return entry->questions++ < QUESTIONS_MAX;
}

/*
 * Some refusals do not last, such as those by the clock. A replica that took the entry earlier may still get it
 * ordered, so the caller is not told that it was refused.
 */
static void fail_refused(struct engine *engine, struct client_entry *entry) {
    char words[sizeof(entry->words) + 64];
    if (!entry->accepted && !entry->sent_before) {
        engine_fail(engine, entry, entry->refusal, entry->words);
        return;
    }
    client_say(words, sizeof(words), "%s; a replica may have taken it before, so it may be ordered all the same",
               entry->words);
    engine_fail(engine, entry, ORDAIN_TIMEOUT, words);
}

static void refused(struct engine *engine, struct client_entry *entry, uint32_t replica, enum engine_status status,
                    const char *message) {
    if (status == ENGINE_STATUS_BAD_REQUEST && refused_for_now(engine, entry, replica)) {
        engine_busy(engine, replica, 0);
        client_entries_push(&engine->outbox, entry);
        return;
    }
    entry->refused_by |= ord_replica_bit(replica);
    entry->refusal = engine_status_error(status);
    engine_status_say(entry->words, sizeof(entry->words), status, message);
    if (ord_replica_count(entry->refused_by) >= engine_believable(engine)) {
        fail_refused(engine, entry);
        return;
    }
    client_entries_push(&engine->opinions, entry);
}

static void unknown_client(struct engine *engine, struct client_entry *entry, uint32_t replica) {
    struct engine_peer *peer = &engine->peers[replica];
    if (peer->unknown_from_us == 0) {
        peer->unknown_from_us = engine->now_us;
        peer->register_at_us = engine->now_us + REGISTER_AFTER_US;
    } else if (engine->now_us >= peer->register_at_us) {
        peer->register_at_us = engine->now_us + REGISTER_AFTER_US;
        engine_offer_registration(engine, replica);
    }
    peer->not_before_us = engine->now_us + UNKNOWN_RETRY_US;
    if (peer->busy_in_row++ == 0)
        peer->busy_from_us = engine->now_us;
    engine->statistics.resent++;
    client_entries_push(&engine->outbox, entry);
}

/* Takes what one replica says of one envelope. `again` gathers the entries that return to the front of the outbox. */
static void take_result(struct engine *engine, struct client_entry *entry, uint32_t replica,
                        const struct engine_result *result, uint32_t retry_after_ms, struct client_entries *again) {
    if (engine_status_error(result->status) != ORDAIN_OK)
        engine_leave(engine, entry);
    switch (result->status) {
    case ENGINE_STATUS_OK:
    case ENGINE_STATUS_ACCEPTED:
        engine->peers[replica].unknown_from_us = 0;
        entry->taken = false;
        wait_for(engine, entry, replica, true);
        break;
    case ENGINE_STATUS_DUPLICATE:
    case ENGINE_STATUS_SEQUENCE_TAKEN:
    case ENGINE_STATUS_SEQUENCE_USED:
        in_use(engine, entry, replica, result);
        break;
    case ENGINE_STATUS_BUSY:
        engine->statistics.busy++;
        if (again->count == 0)
            engine_busy(engine, replica, retry_after_ms);
        client_pace_busy(&engine->pace, entry->sent_us, engine->now_us);
        client_entries_push(again, entry);
        break;
    case ENGINE_STATUS_UNKNOWN_CLIENT:
        unknown_client(engine, entry, replica);
        break;
    case ENGINE_STATUS_NOT_READY:
    case ENGINE_STATUS_UNAVAILABLE:
        engine->statistics.resent++;
        engine_avoid(engine, replica, ENGINE_AVOID_DOWN_US);
        client_entries_push(again, entry);
        break;
    case ENGINE_STATUS_TOO_LARGE:
    case ENGINE_STATUS_BAD_REQUEST:
    case ENGINE_STATUS_FORBIDDEN:
    case ENGINE_STATUS_NOT_FOUND:
    case ENGINE_STATUS_PRUNED:
        refused(engine, entry, replica, result->status, result->message);
        break;
    case ENGINE_STATUS_UNSPECIFIED:
    default:
        engine_accuse(engine, replica, "it gave a result without a meaning");
        client_entries_push(again, entry);
        break;
    }
}

void engine_take_submit(struct engine *engine, struct engine_request *request, const struct engine_answer *answer) {
    struct client_entries again = {0};
    uint64_t reply_us = engine->now_us - request->sent_us;
    engine->unanswered = 0;
    engine->reply_us =
        engine->reply_us == 0 ? reply_us : engine->reply_us - engine->reply_us / REPLY_WEIGHT + reply_us / REPLY_WEIGHT;
    if (answer->result_count == request->count) {
        uint32_t busy_before = engine->peers[request->replica].busy_in_row;
        for (uint32_t i = 0; i < request->count; i++)
            take_result(engine, request->entries[i], request->replica, &answer->results[i], answer->retry_after_ms,
                        &again);
        if (engine->peers[request->replica].busy_in_row == busy_before)
            engine->peers[request->replica].busy_in_row = 0;
        engine_follow_hint(engine, answer->leader_hint);
    } else if (answer->result_count > 0) {
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
        bool refused_all = engine_status_refuses(answer->status);
        bool empty = engine_status_error(answer->status) == ORDAIN_OK; /* no results, so nothing was accepted */
        for (uint32_t i = 0; i < request->count; i++) {
            const struct engine_result result = {.status = answer->status, .message = answer->message};
            request->entries[i]->alone = request->entries[i]->alone || refused_all;
            if (empty || (refused_all && request->count > 1)) {
                engine_leave(engine, request->entries[i]);
                client_entries_push(&again, request->entries[i]);
            } else {
                take_result(engine, request->entries[i], request->replica, &result, answer->retry_after_ms, &again);
            }
        }
        if (again.count > 0 && empty)
            engine_accuse(engine, request->replica, "it gave more or fewer results than envelopes");
    }
    client_entries_prepend(&engine->outbox, &again);
}

void engine_submit_again(struct engine *engine, struct client_entry *entry) {
    entry->resubmissions++;
    entry->sent_before = true;
    engine->statistics.resent++;
    engine_leave(engine, entry);
    client_entries_push(&engine->outbox, entry);
}

void engine_submit_lost(struct engine *engine, struct client_entry *entry) {
    client_pace_lost(&engine->pace, entry->sent_us, engine->now_us);
    engine_submit_again(engine, entry);
}
