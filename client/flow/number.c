/*
 * Which numbers entries have: the position that replicas agree on, fresh numbers for entries whose number is taken, and
 * new numbers for all entries when the old ones are out of the channel's reach.
 */
#include "client/flow/internal.h"
#include "core/assert.h"

#define POSITION_FRESH_US 5000000u

/* The client's position according to recent answers. False when too few replicas answered. */
static bool agreed_position(const struct engine *engine, uint64_t *position) {
    uint64_t answers[ORD_REPLICA_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->peer_count; i++) {
        const struct engine_peer *peer = &engine->peers[i];
        if (peer->position_known && peer->position_at_us >= engine->positions_since &&
            peer->position_at_us + POSITION_FRESH_US > engine->now_us)
            answers[count++] = peer->position;
    }
    if (count < engine_believable(engine))
        return false;
    *position = client_position(answers, count, engine_liars_max(engine));
    return true;
}

void engine_take_position(struct engine *engine, const struct engine_request *request,
                          const struct engine_answer *answer) {
    struct engine_peer *peer = &engine->peers[request->replica];
    if (answer->status != ENGINE_STATUS_OK)
        return;
    peer->position_known = true;
    peer->position = answer->position;
    peer->position_at_us = engine->now_us;
    if (!agreed_position(engine, &engine->agreed_position))
        return;
    engine->renumber_at_us = 0;
    engine->agreed = true;
}

/* Signs the entry under entry->sequence and queues it. Everything known about its old number is forgotten. */
static void sign_again(struct engine *engine, struct client_entry *entry) {
    entry->refused_by = 0;
    entry->absent_by = 0;
    entry->lost_by = 0;
    entry->duplicates = 0;
    entry->taken = false;
    entry->resubmissions = 0;
    entry->sent_before = false;
    engine_leave(engine, entry);
    size_t before = entry->size;
    enum ord_err err = client_entry_sign_again(entry, &engine->config.signing);
    if (err != ORD_OK) {
        engine_fail(engine, entry, client_error(err), ord_err_text(err));
        return;
    }
    ORD_ASSERT(before == entry->size);
    engine->statistics.renumbered++;
    client_entries_push(&engine->outbox, entry);
}

void engine_sign_numbered(struct engine *engine) {
    struct client_entry *entry = NULL;
    while ((entry = client_entries_pop(&engine->numbered)) != NULL)
        sign_again(engine, entry);
}

/*
 * True if our numbers are too far ahead for the channel: we started there, or many envelopes in a row were refused.
 * This asks for strong signs: in a whole quorum of replicas none claims a position close enough to our numbers.
 */
static bool out_of_reach(const struct engine *engine, uint64_t lowest) {
    uint32_t used = engine->config.pinned ? 1 : engine->peer_count;
    uint32_t count = 0;
    for (uint32_t i = 0; i < engine->peer_count; i++) {
        const struct engine_peer *peer = &engine->peers[i];
        if (!peer->position_known || peer->position_at_us + POSITION_FRESH_US <= engine->now_us)
            continue;
        if (peer->position >= lowest || lowest - peer->position <= CHANNEL_REPLAY_WINDOW)
            return false;
        count++;
    }
    return count > 0 && count >= used - engine_liars_max(engine);
}

static void take_agreed(struct engine *engine, struct client_gate *gate) {
    uint64_t lowest = gate->window.lowest;
    bool open = !client_window_empty(&gate->window);
    engine->agreed = false;
    /* Another process used our identity: continue after its numbers. */
    if (engine->agreed_position >= gate->window.next)
        client_window_skip(&gate->window, engine->agreed_position + 1);
    if (open && out_of_reach(engine, lowest)) {
        engine->restart = true;
        engine->restart_at = engine->agreed_position;
    }
}

static void renumber(struct engine *engine, struct client_gate *gate) {
    bool now = engine->now_us >= engine->renumber_at_us;
    if (!now)
        engine_timer(engine, engine->renumber_at_us);
    /* Release the old numbers first: with none of them open, the next number may be as high as it needs to be. */
    for (struct client_entry *entry = engine->renumber.head; entry != NULL; entry = entry->next) {
        if (entry->sequence == 0)
            continue;
        client_window_release(&gate->window, entry->sequence);
        entry->sequence = 0;
    }
    while (now && engine->renumber.head != NULL) {
        struct client_entry *entry = engine->renumber.head;
        if (client_window_take(&gate->window, &entry->sequence, entry) != ORD_OK)
            break;
        client_entries_push(&engine->numbered, client_entries_pop(&engine->renumber));
    }
    gate->reserved = engine->renumber.count;
}

/*
 * Every open number is further ahead than the channel accepts. Once nothing is under way, numbers go on after
 * restart_at. If the replicas that told our position were wrong, all open envelopes get such numbers. If envelopes were
 * final before, the channel may come to the old numbers by itself, and an envelope that is signed again could be
 * ordered twice. So the open ones fail.
 */
static void restart(struct engine *engine, struct client_gate *gate) {
    /* Finished entries still hold numbers of the old window. */
    engine->room |= engine_settle(engine, gate);
    gate->paused = true;
    bool quiet = gate->signing_count == 0 && gate->inbox.count == 0 && engine->in_flight[ENGINE_REQUEST_SUBMIT] == 0 &&
                 engine->in_flight[ENGINE_REQUEST_WAIT] == 0 && engine->in_flight[ENGINE_REQUEST_PROBE] == 0;
    if (!quiet) {
        engine_timer(engine, engine->now_us + ENGINE_LOOK_US);
        return;
    }
    struct client_entries all = {0};
    client_entries_append(&all, &engine->renumber);
    client_entries_append(&all, &engine->outbox);
    client_entries_append(&all, &engine->opinions);
    client_entries_append(&all, &engine->doubts);
    client_entries_append(&all, &engine->waiting);
    struct client_entry *entry = NULL;
    while (engine->statistics.final > 0 && (entry = client_entries_pop(&all)) != NULL)
        engine_fail(engine, entry, ORDAIN_TIMEOUT,
                    "its number is further ahead than replicas take; it may be ordered all the same");
    (void) engine_settle(engine, gate);
    client_window_init(&gate->window, engine->restart_at);
    while ((entry = client_entries_pop(&all)) != NULL) {
        enum ord_err err = client_window_take(&gate->window, &entry->sequence, entry);
        ORD_ASSERT(err == ORD_OK); /* they fitted into the window before */
        client_entries_push(&engine->numbered, entry);
    }
    gate->reserved = 0;
    gate->paused = false;
    engine->restart = false;
    engine->room = true;
}

bool engine_needs_gate(const struct engine *engine) {
    return engine->agreed || engine->restart || engine->renumber.head != NULL;
}

void engine_number(struct engine *engine, struct client_gate *gate) {
    if (engine->agreed)
        take_agreed(engine, gate);
    if (engine->restart)
        restart(engine, gate);
    else if (engine->renumber.head != NULL)
        renumber(engine, gate);
}
