/*
 * What an answer means. A replica's word moves an envelope around, but only a proof ends its way: a receipt that
 * verifies makes it final, a receipt with another envelope under its number gives it a fresh number, and a refusal
 * counts when so many replicas give it that one of them is honest.
 */
#include <stdlib.h>

#include "client/engine_internal.h"
#include "client/text.h"

#define RETRY_AFTER_MS_DEFAULT 50u
#define UNKNOWN_RETRY_US       20000u
#define REGISTER_AFTER_US      500000u
#define WAIT_PAUSE_US          20000u
#define DUPLICATES_DOUBTFUL    2u
#define LATENCIES_PATIENT      8u
#define LATENCY_PATIENT_MAX_US 15000000u
#define REPLY_WEIGHT           8u
#define QUESTIONS_MAX          20u
#define POSITION_FRESH_US      5000000u

/* ---- Ends ------------------------------------------------------------------------------------------------------- */

static void tell(struct client_engine *engine, struct client_entry *entry, struct ordain_event *event) {
    if (entry->on_event == NULL)
        return;
    event->sequence = entry->sequence;
    event->elapsed_us = engine->now_us - entry->submitted_us;
    entry->on_event(entry->context, event);
}

static void count_accepted(struct client_engine *engine, struct client_entry *entry) {
    if (entry->accepted)
        return;
    entry->accepted = true;
    engine->accepted_now++;
}

void engine_fail(struct client_engine *engine, struct client_entry *entry, enum ordain_error error,
                 const char *message) {
    struct ordain_event event = {.kind = ORDAIN_EVENT_FAILED, .error = error, .message = message};
    count_accepted(engine, entry); /* nobody waits for its acceptance any more */
    tell(engine, entry, &event);
    engine->statistics.failed++;
    client_entries_push(&engine->done, entry);
}

static void accept(struct client_engine *engine, struct client_entry *entry) {
    if (!entry->accepted) {
        struct ordain_event event = {.kind = ORDAIN_EVENT_ACCEPTED, .message = ""};
        count_accepted(engine, entry);
        engine->statistics.accepted++;
        tell(engine, entry, &event);
    }
}

/* A receipt that was asked for by waiting comes without the envelope; who keeps it wants both. */
static enum ord_err full_receipt(uint8_t **out, size_t *size, struct channel_receipt *receipt,
                                 const struct client_entry *entry) {
    if (receipt->envelope.size == 0)
        receipt->envelope = ord_span_of(entry->envelope, entry->size);
    size_t capacity = channel_receipt_size(receipt);
    uint8_t *data = malloc(capacity);
    if (data == NULL)
        return ORD_ERR_NO_MEMORY;
    struct ord_writer writer = ord_writer_of(data, capacity);
    enum ord_err err = channel_receipt_encode(&writer, receipt);
    if (err != ORD_OK) {
        free(data);
        return err;
    }
    *out = data;
    *size = writer.size;
    return ORD_OK;
}

static void finish(struct client_engine *engine, struct client_entry *entry, struct channel_receipt *receipt) {
    accept(engine, entry);
    struct ordain_event event = {
        .kind = ORDAIN_EVENT_FINAL,
        .height = receipt->header.height,
        .index = receipt->envelope_index,
        .message = "",
    };
    uint8_t *bytes = NULL;
    if (engine->client->receipts && entry->on_event != NULL &&
        full_receipt(&bytes, &event.receipt.size, receipt, entry) == ORD_OK)
        event.receipt.data = bytes;
    tell(engine, entry, &event);
    free(bytes);
    engine->statistics.final++;
    uint64_t latency_us = engine->now_us - entry->submitted_us;
    if (engine->now_us - engine->period_since_us > ENGINE_PERIOD_US) {
        engine->shortest_before_us = engine->shortest_us;
        engine->shortest_us = 0;
        engine->period_since_us = engine->now_us;
    }
    if (engine->shortest_us == 0 || latency_us < engine->shortest_us)
        engine->shortest_us = latency_us;
    engine->progress_at_us = engine->now_us;
    client_entries_push(&engine->done, entry);
}

/* ---- Replicas --------------------------------------------------------------------------------------------------- */

static void avoid(struct client_engine *engine, uint32_t replica, uint64_t time_us) {
    struct engine_peer *peer = &engine->peers[replica];
    if (peer->avoid_until_us < engine->now_us + time_us)
        peer->avoid_until_us = engine->now_us + time_us;
    /* When it is all there is, it is asked all the same, but not as fast as it answers. */
    uint64_t pause_us = engine->now_us + RETRY_AFTER_MS_DEFAULT * 1000u;
    if (peer->not_before_us < pause_us)
        peer->not_before_us = pause_us;
    if (peer->wait_after_us < pause_us)
        peer->wait_after_us = pause_us;
    if (engine->target == replica)
        engine->target = (replica + 1) % engine->peer_count;
    if (engine->wait_target == replica)
        engine->wait_target = (replica + 1) % engine->peer_count;
}

static void accuse(struct client_engine *engine, uint32_t replica, const char *what) {
    engine->statistics.replies_bad++;
    client_replica_accuse(&engine->client->replicas, replica, what);
    avoid(engine, replica, ENGINE_AVOID_LIE_US);
}

static void accuse_receipt(struct client_engine *engine, uint32_t replica, const char *why) {
    char what[160];
    client_say(what, sizeof(what), "it gave a receipt that does not verify: %s", why);
    accuse(engine, replica, what);
}

static void busy(struct client_engine *engine, uint32_t replica, uint32_t retry_after_ms) {
    struct engine_peer *peer = &engine->peers[replica];
    uint32_t ms = retry_after_ms == 0 ? RETRY_AFTER_MS_DEFAULT : retry_after_ms;
    if (ms > CLIENT_RETRY_AFTER_MAX)
        ms = CLIENT_RETRY_AFTER_MAX;
    peer->not_before_us = engine->now_us + (uint64_t) ms * 1000u;
    peer->busy_in_row++;
}

static void follow_hint(struct client_engine *engine, uint32_t hint) {
    if (hint == 0 || hint > engine->peer_count || engine->client->replicas.pin != ORDAIN_ANY_REPLICA)
        return;
    uint32_t leader = hint - 1;
    if (leader != engine->target && engine->peers[leader].avoid_until_us <= engine->now_us &&
        client_replica_up(&engine->client->replicas, leader)) {
        engine->target = leader;
        engine->wait_target = leader;
    }
}

/* The call failed: nobody knows what became of what it carried. */
static void call_failed(struct client_engine *engine, const struct engine_request *request) {
    avoid(engine, request->replica, request->result == ORD_ERR_TIMEOUT ? ENGINE_AVOID_SLOW_US : ENGINE_AVOID_DOWN_US);
}

/* ---- Submit ----------------------------------------------------------------------------------------------------- */

static uint64_t usual_latency_us(const struct client_engine *engine) {
    uint64_t now_us = engine->shortest_us;
    uint64_t before_us = engine->shortest_before_us;
    return now_us == 0 || (before_us != 0 && before_us < now_us) ? before_us : now_us;
}

/* A channel under load is slow, but not silent: more of the same would make it slower. */
static void wait_for(struct client_engine *engine, struct client_entry *entry, uint32_t replica) {
    if (!entry->accepted || entry->final_due_us <= engine->now_us) {
        uint32_t doublings = entry->resubmissions < 4 ? entry->resubmissions : 4;
        uint64_t usual_us = LATENCIES_PATIENT * usual_latency_us(engine);
        uint64_t patience_us = usual_us > engine->resubmit_us ? usual_us : engine->resubmit_us;
        if (patience_us > LATENCY_PATIENT_MAX_US)
            patience_us = engine->resubmit_us > LATENCY_PATIENT_MAX_US ? engine->resubmit_us : LATENCY_PATIENT_MAX_US;
        entry->final_due_us = engine->now_us + (patience_us << doublings);
    }
    entry->holder = replica;
    accept(engine, entry);
    client_entries_push(&engine->waiting, entry);
}

/* Is this receipt about our envelope? */
static bool is_ours(const struct client_engine *engine, const struct channel_receipt *receipt,
                    const struct client_entry *entry) {
    struct ord_hash leaf;
    ord_merkle_leaf(&engine->client->trust.crypto, &leaf, ord_span_of(entry->envelope, entry->size));
    return ord_hash_equal(&leaf, &receipt->leaf);
}

/* A receipt that came for this entry: it ends its way, casts doubt on its number, or accuses who gave it (false). */
static bool take_receipt(struct client_engine *engine, struct client_entry *entry, uint32_t replica,
                         struct ord_span bytes) {
    struct channel_receipt receipt;
    const char *why = "";
    if (client_trust_receipt(&engine->client->trust, &engine->cache, &receipt, bytes, &why) != ORD_OK) {
        accuse_receipt(engine, replica, why);
        return false;
    }
    if (is_ours(engine, &receipt, entry))
        finish(engine, entry, &receipt);
    else
        client_entries_push(&engine->doubts, entry);
    return true;
}

static void duplicate(struct client_engine *engine, struct client_entry *entry, uint32_t replica,
                      const Ordain__V1__SubmitResult *result) {
    engine->statistics.duplicates++;
    if (result->receipt.len > 0) {
        if (!take_receipt(engine, entry, replica, client_span(&result->receipt))) {
            engine->statistics.resent++;
            client_entries_push(&engine->outbox, entry);
        }
        return;
    }
    /* Ordered, but not certified yet; or so old that the channel has forgotten it. Time tells. */
    if (++entry->duplicates > DUPLICATES_DOUBTFUL)
        client_entries_push(&engine->doubts, entry);
    else
        wait_for(engine, entry, replica);
}

/*
 * A replica that is behind, or a start too far ahead, makes an honest replica refuse a good envelope: its number is
 * beyond what that replica accepts yet. So its position is asked before its refusal counts.
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
        busy(engine, replica, 0);
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

/* What one replica says of one envelope. `again` gathers what goes back to the outbox's front. */
static void take_result(struct client_engine *engine, struct client_entry *entry, uint32_t replica,
                        const Ordain__V1__SubmitResult *result, uint32_t retry_after_ms, struct client_entries *again) {
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
            busy(engine, replica, retry_after_ms);
        client_entries_push(again, entry);
        break;
    case ORDAIN__V1__STATUS__UNKNOWN_CLIENT:
        unknown_client(engine, entry, replica);
        break;
    case ORDAIN__V1__STATUS__NOT_READY:
    case ORDAIN__V1__STATUS__UNAVAILABLE:
        engine->statistics.resent++;
        avoid(engine, replica, ENGINE_AVOID_DOWN_US);
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
        accuse(engine, replica, "it gave a result without a meaning");
        client_entries_push(again, entry);
        break;
    }
}

static bool refuses(Ordain__V1__Status status) {
    return status == ORDAIN__V1__STATUS__TOO_LARGE || status == ORDAIN__V1__STATUS__BAD_REQUEST ||
           status == ORDAIN__V1__STATUS__FORBIDDEN || status == ORDAIN__V1__STATUS__NOT_FOUND ||
           status == ORDAIN__V1__STATUS__PRUNED;
}

static void take_submit(struct client_engine *engine, struct engine_request *request, const client_response *response) {
    struct client_entries again = {0};
    uint64_t reply_us = engine->now_us - request->sent_us;
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
        follow_hint(engine, submit->leader_hint);
    } else if (submit != NULL && submit->n_results > 0) {
        accuse(engine, request->replica, "it gave more or fewer results than envelopes");
        for (uint32_t i = 0; i < request->count; i++)
            client_entries_push(&again, request->entries[i]);
    } else {
        /* The request as a whole. One that has company is refused for nobody knows whose sake. */
        bool single = request->count == 1;
        for (uint32_t i = 0; i < request->count; i++) {
            Ordain__V1__SubmitResult result = ORDAIN__V1__SUBMIT_RESULT__INIT;
            result.status = response->status;
            result.message = response->message;
            request->entries[i]->alone = request->entries[i]->alone || refuses(response->status);
            if (refuses(response->status) && !single)
                client_entries_push(&again, request->entries[i]);
            else if (response->status == ORDAIN__V1__STATUS__OK || response->status == ORDAIN__V1__STATUS__ACCEPTED ||
                     response->status == ORDAIN__V1__STATUS__DUPLICATE)
                client_entries_push(&again, request->entries[i]); /* no results: nothing was accepted */
            else
                take_result(engine, request->entries[i], request->replica, &result, response->retry_after_ms, &again);
        }
        if (again.count > 0 && client_status_error(response->status) == ORDAIN_OK)
            accuse(engine, request->replica, "it gave more or fewer results than envelopes");
    }
    client_entries_prepend(&engine->outbox, &again);
}

/* ---- Wait ------------------------------------------------------------------------------------------------------- */

static void submit_again(struct client_engine *engine, struct client_entry *entry) {
    entry->resubmissions++;
    engine->statistics.resent++;
    client_entries_push(&engine->outbox, entry);
}

static int find(const struct engine_request *request, uint64_t sequence) {
    for (uint32_t i = 0; i < request->count; i++)
        if (request->entries[i] != NULL && request->entries[i]->sequence == sequence)
            return (int) i;
    return -1;
}

/* Results come in the order of the question, mostly: so look at the expected place first. */
static int find_near(const struct engine_request *request, uint64_t sequence, uint32_t *expected) {
    for (uint32_t i = *expected; i < request->count && i < *expected + 4; i++)
        if (request->entries[i] != NULL && request->entries[i]->sequence == sequence) {
            *expected = i + 1;
            return (int) i;
        }
    return find(request, sequence);
}

static void take_wait(struct client_engine *engine, struct engine_request *request, const client_response *response) {
    bool lied = false;
    bool some = false;
    uint32_t expected = 0;
    const Ordain__V1__WaitResponse *wait =
        response->kind_case == ORDAIN__V1__RESPONSE__KIND_WAIT ? response->wait : NULL;
    size_t count = wait == NULL ? 0 : wait->n_results;
    for (size_t i = 0; i < count && i < 2u * CLIENT_WAIT_GROUP_MAX && !lied; i++) {
        int place = find_near(request, wait->results[i]->sequence, &expected);
        if (place < 0)
            continue;
        lied =
            !take_receipt(engine, request->entries[place], request->replica, client_span(&wait->results[i]->receipt));
        if (!lied) {
            request->entries[place] = NULL;
            some = true;
        }
    }
    if (!some && !lied) {
        /* An honest replica takes its time before it has nothing to say; do not let one keep us spinning. */
        engine->peers[request->replica].wait_after_us = engine->now_us + WAIT_PAUSE_US;
        if (engine->wait_target == request->replica)
            engine->wait_target = (request->replica + 1) % engine->peer_count;
    }
    struct client_entries waiting = {0};
    for (uint32_t i = 0; i < request->count; i++) {
        struct client_entry *entry = request->entries[i];
        if (entry == NULL)
            continue;
        if (entry->final_due_us <= engine->now_us) {
            /* Whoever accepted it did not get it ordered: try another. Not whom we turned to meanwhile. */
            if (engine->client->replicas.pin == ORDAIN_ANY_REPLICA)
                avoid(engine, entry->holder, ENGINE_AVOID_SLOW_US);
            submit_again(engine, entry);
        } else {
            client_entries_push(&waiting, entry);
        }
    }
    client_entries_prepend(&engine->waiting, &waiting);
}

/* ---- Doubts and positions --------------------------------------------------------------------------------------- */

/* The client's position as replicas told lately; false when too few did. */
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
 * Did we start too far ahead for the channel? Signing an envelope again that may be ordered yet would order it twice,
 * so this wants much: nothing of ours was ever final, and of a whole quorum of replicas not one claims to be near.
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

static void take_position(struct client_engine *engine, const struct engine_request *request,
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
    /* Another process with our identity was here: go on after it. */
    if (position >= engine->window.next)
        client_window_skip(&engine->window, position + 1);
    pthread_mutex_unlock(&engine->lock);
    if (open && out_of_reach(engine, lowest)) {
        engine->restart = true;
        engine->restart_at = position;
    }
}

/* A replica that is far past the number and knows of no receipt says that it was never ordered and never will be. */
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
        entry->absent_by = 0; /* but lost_by stays: it cannot become untrue */
        entry->duplicates = 1;
        submit_again(engine, entry);
    } else {
        client_entries_push(&engine->doubts, entry);
    }
}

/* The number is taken when a verified receipt shows another envelope of ours under it. */
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
        accuse_receipt(engine, replica, why);
        client_entries_push(&engine->doubts, entry);
        return;
    }
    channel_envelope_id(&ordered_id, ordered.body);
    channel_envelope_id(&our_id, ours.body);
    if (ord_hash_equal(&ordered_id, &our_id)) {
        finish(engine, entry, &receipt);
        return;
    }
    engine_want_number(engine, entry);
}

static void take_probe(struct client_engine *engine, struct engine_request *request, const client_response *response) {
    struct client_entry *entry = request->entries[0];
    if (response->status == ORDAIN__V1__STATUS__OK) {
        take_full_receipt(engine, entry, request->replica, client_span(&response->receipt->receipt));
    } else if (response->status == ORDAIN__V1__STATUS__NOT_FOUND) {
        take_absence(engine, entry, request->replica);
    } else {
        engine->peers[request->replica].wait_after_us = engine->now_us + WAIT_PAUSE_US;
        client_entries_push(&engine->doubts, entry);
    }
}

/* ---- All -------------------------------------------------------------------------------------------------------- */

static void count_back(struct client_engine *engine, const struct engine_request *request) {
    switch (request->kind) {
    case ENGINE_REQUEST_SUBMIT:
        engine->submits--;
        break;
    case ENGINE_REQUEST_WAIT:
        engine->waits--;
        break;
    case ENGINE_REQUEST_PROBE:
        engine->probes--;
        break;
    case ENGINE_REQUEST_POSITION:
    case ENGINE_REQUEST_REGISTER:
        engine->others--;
        break;
    }
}

/* No answer, or none that can be read: everything goes back to where it waits for its next try. */
static void give_back(struct client_engine *engine, struct engine_request *request) {
    struct client_entries entries = {0};
    for (uint32_t i = 0; i < request->count; i++)
        client_entries_push(&entries, request->entries[i]);
    if (request->kind == ENGINE_REQUEST_SUBMIT) {
        engine->statistics.resent += entries.count;
        client_entries_prepend(&engine->outbox, &entries);
    } else if (request->kind == ENGINE_REQUEST_WAIT && request->result == ORD_ERR_TIMEOUT) {
        /* Who fell silent may be the only one that has them. */
        struct client_entry *entry;
        while ((entry = client_entries_pop(&entries)) != NULL)
            submit_again(engine, entry);
    } else if (request->kind == ENGINE_REQUEST_WAIT) {
        client_entries_prepend(&engine->waiting, &entries);
    } else {
        client_entries_prepend(&engine->doubts, &entries);
    }
}

static Ordain__V1__Request__KindCase asked(enum engine_request_kind kind) {
    switch (kind) {
    case ENGINE_REQUEST_WAIT:
        return ORDAIN__V1__REQUEST__KIND_WAIT;
    case ENGINE_REQUEST_PROBE:
        return ORDAIN__V1__REQUEST__KIND_RECEIPT;
    case ENGINE_REQUEST_POSITION:
        return ORDAIN__V1__REQUEST__KIND_CLIENT;
    case ENGINE_REQUEST_SUBMIT:
    case ENGINE_REQUEST_REGISTER:
    default:
        return ORDAIN__V1__REQUEST__KIND_SUBMIT;
    }
}

void engine_take_reply(struct client_engine *engine, struct engine_request *request) {
    client_response *response = NULL;
    count_back(engine, request);
    enum ord_err err = ORD_OK;
    if (request->result == ORD_OK)
        err = client_response_unpack(&response, net_message_bytes(request->reply), asked(request->kind));
    if (request->result != ORD_OK || err == ORD_ERR_NO_MEMORY) {
        call_failed(engine, request);
        give_back(engine, request);
        goto out;
    }
    if (err != ORD_OK) {
        accuse(engine, request->replica, "it gave a malformed reply");
        give_back(engine, request);
        goto out;
    }
    switch (request->kind) {
    case ENGINE_REQUEST_SUBMIT:
        take_submit(engine, request, response);
        break;
    case ENGINE_REQUEST_WAIT:
        take_wait(engine, request, response);
        break;
    case ENGINE_REQUEST_PROBE:
        take_probe(engine, request, response);
        break;
    case ENGINE_REQUEST_POSITION:
        take_position(engine, request, response);
        break;
    case ENGINE_REQUEST_REGISTER:
        break; /* the next submit tells whether it helped */
    }
out:
    client_response_free(response);
    engine_request_free(request);
}
