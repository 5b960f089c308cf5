/*
 * What an answer means. A replica's statement moves an envelope to another list, but only a proof ends its way. A
 * receipt that verifies makes it final. A receipt that shows another envelope under its number gives it a fresh number.
 * A refusal counts when so many replicas give it that one of them is honest.
 */
#include <stdlib.h>

#include "client/flow/internal.h"

static int find(const struct engine_request *request, uint64_t sequence) {
    for (uint32_t i = 0; i < request->count; i++)
        if (request->entries[i] != NULL && request->entries[i]->sequence == sequence)
            return (int) i;
    return -1;
}

/* Results usually come in the order of the question, so look at the expected place first. */
static int find_near(const struct engine_request *request, uint64_t sequence, uint32_t *expected) {
    for (uint32_t i = *expected; i < request->count && i < *expected + 4; i++)
        if (request->entries[i] != NULL && request->entries[i]->sequence == sequence) {
            *expected = i + 1;
            return (int) i;
        }
    return find(request, sequence);
}

/* The replica gave no receipt: asks another one next. */
static void wait_elsewhere(struct engine *engine, uint32_t replica) {
    engine->peers[replica].wait_after_us = engine->now_us + ENGINE_WAIT_PAUSE_US;
    if (engine->wait_target == replica)
        engine->wait_target = (replica + 1) % engine->peer_count;
}

/*
 * No receipt came in time, although the replica that accepted the entry may merely have much to do. While what it
 * accepted before goes on to become final, the entry stands in a queue that moves, and its patience starts anew; unless
 * what was sent long after the entry is final already. A replica that is not connected may have died with the entry.
 */
static bool is_overdue(const struct engine *engine, struct client_entry *entry) {
    if (!engine_up(engine, entry->holder) && engine->now_us > entry->sent_us + ENGINE_HOLDER_GONE_US)
        return true;
    if (entry->final_due_us > engine->now_us)
        return false;
    const struct engine_peer *holder = &engine->peers[entry->holder];
    uint64_t patience_us = engine_patience_us(engine);
    bool overtaken = holder->final_sent_us > entry->sent_us + patience_us;
    uint64_t due_us = holder->final_at_us + patience_us;
    if (overtaken || due_us <= engine->now_us || engine->now_us > entry->sent_us + ENGINE_PATIENCE_MAX_US)
        return true;
    entry->final_due_us = due_us;
    return false;
}

static void take_wait(struct engine *engine, struct engine_request *request, const struct engine_answer *answer) {
    bool lied = false;
    bool some = false;
    uint32_t expected = 0;
    for (size_t i = 0; i < answer->result_count && i < 2u * CLIENT_WAIT_GROUP_MAX && !lied; i++) {
        int place = find_near(request, answer->results[i].sequence, &expected);
        if (place < 0)
            continue;
        lied = !engine_take_receipt(engine, request->entries[place], request->replica, answer->results[i].receipt);
        if (!lied) {
            request->entries[place] = NULL;
            some = true;
        }
    }
    /*
     * An honest replica waits before it answers with nothing. Pause, so that a dishonest one cannot keep us spinning.
     */
    if (!some && !lied)
        wait_elsewhere(engine, request->replica);
    struct client_entries waiting = {0};
    for (uint32_t i = 0; i < request->count; i++) {
        struct client_entry *entry = request->entries[i];
        if (entry == NULL)
            continue;
        if (is_overdue(engine, entry)) {
            /*
             * The replica that accepted this entry did not get it ordered, so try another. Avoid `holder`, not the
             * replica that we have turned to since.
             */
            if (!engine->config.pinned)
                engine_avoid(engine, entry->holder, ENGINE_AVOID_SLOW_US);
            engine_submit_lost(engine, entry);
        } else {
            client_entries_push(&waiting, entry);
        }
    }
    client_entries_prepend(&engine->waiting, &waiting);
}

/* ---- All -------------------------------------------------------------------------------------------------------- */

/* No answer came, or the connection ended before it did. */
static bool is_silence(enum ord_err err) {
    return err == ORD_ERR_TIMEOUT || err == ORD_ERR_CLOSED;
}

/* A wait request got no answer in time, but the replica has answered something else since it was sent. */
static bool is_slow_wait(const struct engine *engine, const struct engine_request *request, enum ord_err err) {
    return request->kind == ENGINE_REQUEST_WAIT && err == ORD_ERR_TIMEOUT &&
           engine->peers[request->replica].answered_us > request->sent_us;
}

/* The call failed: nobody knows what became of the entries that it carried. */
static void call_failed(struct engine *engine, const struct engine_request *request, enum ord_err err) {
    if (is_slow_wait(engine, request, err)) {
        wait_elsewhere(engine, request->replica);
        return;
    }
    engine_avoid(engine, request->replica, err == ORD_ERR_TIMEOUT ? ENGINE_AVOID_SLOW_US : ENGINE_AVOID_DOWN_US);
    if (err == ORD_ERR_TIMEOUT && request->sent_us >= engine->unanswered_us &&
        engine->unanswered < ENGINE_UNANSWERED_MAX) {
        engine->unanswered++;
        engine->unanswered_us = engine->now_us;
    }
}

/* There was no answer, or none that can be read. Every entry returns to the list where it waits for its next try. */
static void give_back(struct engine *engine, struct engine_request *request, enum ord_err err) {
    struct client_entries entries = {0};
    engine_request_empty(request, &entries);
    if (request->kind == ENGINE_REQUEST_SUBMIT) {
        if (err == ORD_ERR_TIMEOUT)
            client_pace_lost(&engine->pace, request->sent_us, engine->now_us);
        for (struct client_entry *entry = entries.head; entry != NULL; entry = entry->next) {
            engine_leave(engine, entry);
            entry->sent_before = true;
        }
        engine->statistics.resent += entries.count;
        client_entries_prepend(&engine->outbox, &entries);
    } else if (request->kind == ENGINE_REQUEST_WAIT && err == ORD_ERR_TIMEOUT && !is_slow_wait(engine, request, err)) {
        /* The replica that fell silent may be the only one that has these entries. */
        struct client_entry *entry;
        while ((entry = client_entries_pop(&entries)) != NULL)
            engine_submit_lost(engine, entry);
    } else if (request->kind == ENGINE_REQUEST_WAIT) {
        client_entries_prepend(&engine->waiting, &entries);
    } else {
        client_entries_prepend(&engine->doubts, &entries);
    }
}

void engine_take_answer(struct engine *engine, struct engine_request *request, enum ord_err err,
                        const struct engine_answer *answer) {
    engine->in_flight[request->kind]--;
    if (request->kind == ENGINE_REQUEST_COPY)
        engine->peers[request->replica].copy_open = false;
    if (!is_silence(err))
        engine->peers[request->replica].answered_us = engine->now_us;
    if (err != ORD_OK) {
        if (request->kind == ENGINE_REQUEST_COPY && err != ORD_ERR_INVALID && err != ORD_ERR_TOO_LARGE)
            goto out;
        if (is_silence(err) || err == ORD_ERR_NO_MEMORY)
            call_failed(engine, request, err);
        else
            engine_accuse(engine, request->replica, "it gave a malformed reply");
        give_back(engine, request, err);
        goto out;
    }
    switch (request->kind) {
    case ENGINE_REQUEST_SUBMIT:
        engine_take_submit(engine, request, answer);
        break;
    case ENGINE_REQUEST_WAIT:
        take_wait(engine, request, answer);
        break;
    case ENGINE_REQUEST_PROBE:
        engine_take_probe(engine, request, answer);
        break;
    case ENGINE_REQUEST_POSITION:
        engine_take_position(engine, request, answer);
        break;
    case ENGINE_REQUEST_COPY:
        break;
    case ENGINE_REQUEST_REGISTER:
    case ENGINE_REQUEST_KINDS:
        break; /* the next submit request shows whether it helped */
    }
out:
    free(request);
}
