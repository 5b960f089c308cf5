/*
 * The turn: its inputs, the core's reaction to them, and the commit that holds it. The file reads from top to bottom.
 *
 * A part that has something for the core does not step the core. It is asked (`..._next`), and gives an event. So the
 * core is stepped from this file alone, never from within one of its own effects.
 *
 * A message leaves only if a commit holds everything that it depends on. replica_commit freezes what was put, including
 * the points of attestation, and ends the turn; later puts belong to the next turn. replica_committed signs what was
 * frozen and moves `durable`. That alone lets messages leave that carry a turn's number.
 */
#include "replica/replica_internal.h"

#include "core/assert.h"
#include "replica/marks.h"

enum {
    HOUSEKEEPING_MS = 100,
    /* Certificates and forgetting may wait this long for a commit that is needed anyway. */
    COMMIT_LAZY_MS = 100,
};

static void step(struct replica *replica, struct ord_event *event) {
    if (!replica->turn.fatal)
        (void) agree_step(replica, event);
}

/*
 * Repeats until no part has anything for the core. APPLIED comes first, because it tells of what the last step
 * delivered.
 */
static void settle(struct replica *replica) {
    struct ord_event event;
    attest_settle(replica);
    while (!replica->turn.fatal && (execute_next(replica, &event) || sync_next(replica, &event) ||
                                    attest_next(replica, &event) || judge_next(replica, &event))) {
        step(replica, &event);
        attest_settle(replica);
    }
}

static void flush(struct replica *replica) {
    step(replica, &(struct ord_event) {.type = ORD_EVENT_FLUSH});
    settle(replica);
}

/* ---- what can enter a turn ---- */

/* By kind. Messages of the core are not among them: their check holds the owner of their bytes. */
static void (*const takers[])(struct replica *replica, ord_node_id from, struct ord_span bytes) = {
    [REPLICA_LINK_ATTESTATION] = attest_received,
    [REPLICA_LINK_CERTIFICATE] = attest_certificate_received,
    [REPLICA_LINK_FORWARD] = admission_forwarded,
    [REPLICA_LINK_SYNC_REQUEST] = serve_request,
    [REPLICA_LINK_SYNC_BLOCKS] = sync_blocks_received,
    [REPLICA_LINK_SYNC_TAIL] = sync_tail_received,
    [REPLICA_LINK_OFFER] = forward_offered,
    [REPLICA_LINK_WANT] = forward_wanted,
};

static void take_message(struct replica *replica, const struct replica_input *input) {
    uint8_t kind = input->message.kind;
    if (kind == REPLICA_LINK_CORE)
        message_received(replica, input->message.from, input->message.bytes, input->message.owner);
    else if (kind < sizeof(takers) / sizeof(takers[0]) && takers[kind] != NULL)
        takers[kind](replica, input->message.from, input->message.bytes);
    else
        replica->counters.messages_refused++;
}

/* True: the core gets `event`. */
static bool take_checked(struct replica *replica, struct replica_check *check, struct ord_event *event) {
    switch (check->type) {
    case REPLICA_CHECK_MESSAGE:
        return message_checked(replica, check, event);
    case REPLICA_CHECK_ATTESTATION:
    case REPLICA_CHECK_CERTIFICATE:
        attest_checked(replica, check);
        return false;
    case REPLICA_CHECK_PROPOSED:
        judge_checked(replica, check);
        return false;
    case REPLICA_CHECK_SUBMITTED:
        admission_checked(replica, check, false);
        return false;
    }
    return false;
}

static void take(struct replica *replica, const struct replica_input *input) {
    struct ord_event event;
    ord_node_id from;
    switch (input->type) {
    case REPLICA_INPUT_MESSAGE:
        /*
         * The votes that wait for this flush decide first, so that nothing changes between the check of a tail and its
         * use.
         */
        if (sync_expects(replica, input))
            flush(replica);
        take_message(replica, input);
        break;
    case REPLICA_INPUT_CHECKED:
        from = input->check->from;
        if (take_checked(replica, input->check, &event))
            step(replica, &event);
        check_destroy(replica, input->check);
        if (from != ORD_NO_NODE)
            account_go_on(replica, from);
        break;
    case REPLICA_INPUT_SUBMITTED:
        admission_submitted(replica, input->submission);
        break;
    case REPLICA_INPUT_HAND_OVER:
        step(replica, &(struct ord_event) {.type = ORD_EVENT_HAND_OVER});
        break;
    }
    settle(replica);
}

/* ---- the turn ---- */

static void set_time(struct replica *replica, const struct replica_time *time) {
    replica->turn.now_ms = time->now_ms;
    replica->turn.wall_s = time->wall_s;
}

/* Tells the core when the store fills up, and when there is room again. */
static void look_at_room(struct replica *replica, bool room) {
    if (room == replica->turn.room)
        return;
    replica->turn.room = room;
    replica->counters.intake_stopped += !room;
    ORD_MARK_IF(!room, INTAKE_STOPPED);
    replica_log(replica, room ? REPLICA_LOG_INFO : REPLICA_LOG_WARN, room ? "intake_open" : "intake_stopped", "%s",
                room ? "" : "reason=\"no room on disk\"");
    step(replica, &(struct ord_event) {.type = ORD_EVENT_STORAGE, .storage = {.available = room}});
    settle(replica);
}

static void timers(struct replica *replica) {
    if (replica->turn.now_ms >= replica->agree.wake_at_ms) {
        replica->agree.wake_at_ms = UINT64_MAX;
        step(replica, &(struct ord_event) {.type = ORD_EVENT_TICK});
        settle(replica);
    }
    if (replica->turn.now_ms >= sync_due_ms(replica))
        sync_ask(replica);
    serve_due(replica);
    if (replica->turn.now_ms < replica->turn.housekeeping_ms)
        return;
    replica->turn.housekeeping_ms = replica->turn.now_ms + HOUSEKEEPING_MS;
    attest_resend(replica);
    admission_sweep(replica);
    sync_tick(replica);
    forward_again(replica);
    settle(replica);
}

/*
 * Takes a piece of a state transfer, one a turn. The votes that wait for this flush decide first, so that nothing
 * changes between the look at the own head and the piece that follows it.
 */
static void take_piece(struct replica *replica) {
    if (!sync_piece_waits(replica) || turn_full(replica))
        return;
    flush(replica);
    sync_take_piece(replica);
    settle(replica);
    sync_ask(replica);
    replica->turn.cut_short |= sync_piece_waits(replica);
}

static void propose_all(struct replica *replica) {
    struct ord_event event;
    replica->propose.refused = false;
    while (!replica->turn.fatal && propose_next(replica, &event)) {
        bool taken = agree_step(replica, &event) && replica->agree.rejected == ORD_OK;
        propose_done(replica, taken);
        settle(replica);
    }
}

/* Tells the core since when work has waited that a leader should have done, and when that work's turn came. */
static void tell_work(struct replica *replica) {
    const struct pool_waiting *waiting = pool_waiting_longest(&replica->pool);
    uint64_t since_ms = ord_min(waiting == NULL ? UINT64_MAX : waiting->since_ms, propose_cut_ms(replica));
    uint64_t turn_ms = ord_min(waiting == NULL ? UINT64_MAX : waiting->turn_ms, propose_cut_ms(replica));
    if (since_ms == replica->agree.work_since_ms && turn_ms == replica->agree.work_turn_ms)
        return;
    replica->agree.work_since_ms = since_ms;
    replica->agree.work_turn_ms = turn_ms;
    step(replica, &(struct ord_event) {.type = ORD_EVENT_WORK, .work = {.since_ms = since_ms, .turn_ms = turn_ms}});
}

void replica_turn(struct replica *replica, const struct replica_time *time) {
    const struct replica_host *host = replica_host(replica);
    struct replica_input input;
    if (replica->turn.fatal)
        return;
    set_time(replica, time);
    replica->counters.turns++;
    replica->turn.cut_short = false;
    pace_turn(replica);
    look_at_room(replica, time->room);
    while (!replica->turn.fatal && !turn_full(replica) && host->next(host->context, &input))
        take(replica, &input);
    settle(replica);
    take_piece(replica);
    timers(replica);
    forward_fresh(replica);
    propose_all(replica);
    tell_work(replica);
    flush(replica);
    if (replica->turn.fatal)
        return;
    agree_note_silence(replica);
    execute_write_state(replica);
}

/* ---- the commit ---- */

static bool commit_wanted(struct replica *replica, bool at_once) {
    struct turn *turn = &replica->turn;
    const struct replica_store *store = replica_store(replica);
    if (!store->dirty(store->ledger))
        return false;
    if (turn->urgent || at_once)
        return true;
    /* Nobody relies on a certificate or on a forgotten record, so these alone wait for a later commit. */
    if (turn->commit_due_ms == UINT64_MAX)
        turn->commit_due_ms = turn->now_ms + COMMIT_LAZY_MS;
    return turn->now_ms >= turn->commit_due_ms;
}

uint64_t replica_commit(struct replica *replica, bool at_once) {
    struct turn *turn = &replica->turn;
    if (turn->fatal)
        return 0;
    execute_write_state(replica);
    bool wanted = turn->committing == 0 && commit_wanted(replica, at_once);
    /* Later puts belong to the next turn. */
    uint64_t ended = turn->number++;
    if (wanted) {
        attest_freeze(replica);
        accuse_freeze(replica);
        certified_freeze(replica);
        turn->urgent = false;
        turn->commit_due_ms = UINT64_MAX;
        turn->committing = ended;
        return ended;
    }
    ORD_MARK_IF(turn->committing != 0 && turn->urgent, TURN_DURING_COMMIT);
    if (turn->committing == 0 && !turn->urgent) {
        /* Nothing in this turn has to become durable. */
        turn->durable = ended;
        /* The frozen statements date from before a restart. */
        attest_sign(replica);
        settle(replica);
    }
    return 0;
}

void replica_committed(struct replica *replica, uint64_t number, const struct replica_time *time) {
    struct turn *turn = &replica->turn;
    ORD_ASSERT(number == turn->committing && number != 0);
    if (turn->fatal)
        return;
    set_time(replica, time);
    replica->counters.commits++;
    turn->committing = 0;
    /* Turns that ended during the commit and put nothing urgent have nothing to wait for. */
    turn->durable = turn->urgent ? number : turn->number - 1;
    accuse_committed(replica);
    certified_committed(replica);
    step(replica, &(struct ord_event) {.type = ORD_EVENT_PERSISTED, .persisted = {.turn = turn->durable}});
    attest_sign(replica);
    sync_ask(replica);
    settle(replica);
}

uint64_t replica_durable_turn(const struct replica *replica) {
    return replica->turn.durable;
}

/* What the end of a commit brought about (a DELIVER, for one) is to be committed, and no input may come for long. */
static bool commit_waits(const struct replica *replica) {
    const struct turn *turn = &replica->turn;
    const struct replica_store *store = replica_store(replica);
    return turn->committing == 0 && turn->urgent && (replica->execute.state_changed || store->dirty(store->ledger));
}

uint64_t replica_due_ms(const struct replica *replica) {
    const struct turn *turn = &replica->turn;
    if (commit_waits(replica))
        return turn->now_ms;
    uint64_t due_ms = ord_min(ord_min(turn->housekeeping_ms, replica->agree.wake_at_ms), sync_due_ms(replica));
    due_ms = ord_min(due_ms, serve_due_ms(replica));
    if (turn->committing == 0)
        due_ms = ord_min(due_ms, turn->commit_due_ms);
    return ord_min(due_ms, propose_due_ms(replica));
}

bool replica_cut_short(const struct replica *replica) {
    return replica->turn.cut_short && replica->turn.committing == 0;
}

enum ord_err replica_fatal(const struct replica *replica) {
    return replica->turn.fatal ? replica->turn.fatal_err : ORD_OK;
}
