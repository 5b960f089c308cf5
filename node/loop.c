/*
 * The loop: one thread that owns the core, the channel and the ledger. A turn takes all work that is there, steps the core,
 * commits once, then signs attestations and sends one frame to each peer. Nothing leaves before the commit.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "node/log.h"
#include "node/replica_internal.h"

enum {
    HOUSEKEEPING_MS = 100,
    COMMIT_LAZY_MS = 100, /* certificates and forgetting may wait so long for a commit that is needed anyway */
};

uint64_t node_clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void replica_fail(struct replica *replica, enum ord_err err, const char *what) {
    if (replica->fatal)
        return;
    replica->fatal = true;
    replica->fatal_err = err;
    node_log(NODE_LOG_ERROR, "fatal", "err=%s what=\"%s\"", ord_err_name(err), what);
}

void replica_note_damage(struct replica *replica, const char *what, uint64_t height, enum ord_err err) {
    if (err != ORD_ERR_CORRUPT)
        return;
    uint64_t before = atomic_fetch_add_explicit(&replica->counters.damaged_reads, 1, memory_order_relaxed);
    if ((before & (before + 1)) == 0)
        node_log(NODE_LOG_ERROR, "damaged", "what=\"%s\" height=%" PRIu64 " count=%" PRIu64, what, height, before + 1);
}

void replica_run_job(struct replica *replica, struct crypto_pool *pool, crypto_job job, void *argument) {
    (void) replica;
    /* A full queue: then this thread may as well do it, which also slows intake. No pool: the replica is being unmade. */
    if (pool == NULL || crypto_pool_submit(pool, job, argument) != ORD_OK)
        job(argument);
}

static uint64_t next_wake_ms(const struct replica *replica) {
    uint64_t at = replica->housekeeping_ms;
    if (replica->wake_at_ms < at)
        at = replica->wake_at_ms;
    uint64_t due = propose_due_ms(replica);
    return due < at ? due : at;
}

static void timers(struct replica *replica) {
    if (replica->now_ms >= replica->wake_at_ms) {
        replica->wake_at_ms = UINT64_MAX;
        struct ord_event event = {.type = ORD_EVENT_TICK, .now_ms = replica->now_ms};
        replica_step(replica, &event);
    }
    if (replica->now_ms < replica->housekeeping_ms)
        return;
    replica->housekeeping_ms = replica->now_ms + HOUSEKEEPING_MS;
    attest_resend(replica);
    admission_sweep(replica);
    sync_tick(replica);
    forward_again(replica);
    links_tick(replica);
}

/*
 * Nobody relies on a certificate or on a forgotten record being durable, so these alone do not cost a commit at once.
 */
static bool commit_wanted(struct replica *replica) {
    if (!ledger_dirty(replica->ledger))
        return false;
    if (replica->commit_urgent)
        return true;
    if (replica->commit_due_ms == UINT64_MAX)
        replica->commit_due_ms = replica->now_ms + COMMIT_LAZY_MS;
    return replica->now_ms >= replica->commit_due_ms;
}

static void commit(struct replica *replica) {
    if (replica->state_changed)
        replica_write_state(replica);
    if (replica->fatal || !commit_wanted(replica))
        return;
    replica->commit_urgent = false;
    replica->commit_due_ms = UINT64_MAX;
    enum ord_err err = ledger_commit(replica->ledger);
    if (err != ORD_OK) {
        replica_fail(replica, err, "ledger commit");
        return;
    }
    count_add(&replica->counters.commits, 1);
    accuse_committed(replica);
    service_committed(replica);
    struct ord_event event = {
        .type = ORD_EVENT_PERSISTED, .now_ms = replica->now_ms, .persisted = {.turn = replica->turn - 1}};
    replica_step(replica, &event);
}

static void check_room(struct replica *replica) {
    enum ord_err err = ledger_room(replica->ledger);
    /* The map cannot grow under a transaction that may wait for its commit: then it does not wait. */
    if (err == ORD_ERR_NO_SPACE && ledger_dirty(replica->ledger)) {
        replica->commit_urgent = true;
        commit(replica);
        if (replica->fatal)
            return;
        err = ledger_room(replica->ledger);
    }
    bool open = err == ORD_OK;
    if (err != ORD_OK && err != ORD_ERR_NO_SPACE) {
        replica_fail(replica, err, "ledger");
        return;
    }
    if (open == replica->intake_open)
        return;
    replica->intake_open = open;
    if (!open)
        count_add(&replica->counters.intake_stopped, 1);
    node_log(open ? NODE_LOG_INFO : NODE_LOG_WARN, open ? "intake_open" : "intake_stopped", "%s",
             open ? "" : "reason=\"no room on disk\"");
}

struct work *replica_take_work(struct replica *replica, uint64_t wait_ms) {
    struct work *work = replica->deferred;
    replica->deferred = NULL;
    return work != NULL ? work : inbox_take(&replica->inbox, replica->cut_short ? 0 : wait_ms);
}

/* A turn is one transaction, for which there is so much room and no more. The other half is for what is begun already. */
bool replica_turn_full(struct replica *replica) {
    if (ledger_turn_bytes(replica->ledger) < replica->turn_bytes_max / 2)
        return false;
    replica->cut_short = true;
    replica->commit_urgent = true;
    return true;
}

/* Since when does work wait that a leader should have done? */
static void tell_work(struct replica *replica) {
    uint64_t since_ms = pool_waiting_since(&replica->pool);
    uint64_t cut_ms = propose_cut_ms(replica);
    since_ms = cut_ms < since_ms ? cut_ms : since_ms;
    if (since_ms == replica->work_since_ms)
        return;
    replica->work_since_ms = since_ms;
    struct ord_event event = {.type = ORD_EVENT_WORK, .now_ms = replica->now_ms, .work = {.since_ms = since_ms}};
    replica_step(replica, &event);
}

/* Nothing in here may send; links_flush at the end does, after the commit. */
void replica_turn(struct replica *replica, struct work *work) {
    replica->now_ms = node_clock_ms();
    count_add(&replica->counters.turns, 1);
    replica->cut_short = false;
    check_room(replica);
    while (work != NULL && !replica->fatal && !replica_turn_full(replica)) {
        struct work *next = work->next;
        work->handle(replica, work);
        work = next;
    }
    replica->deferred = work;
    judge_drain(replica);
    attest_settle(replica);
    timers(replica);
    forward_fresh(replica);
    propose(replica);
    judge_drain(replica);
    tell_work(replica);
    struct ord_event flush = {.type = ORD_EVENT_FLUSH, .now_ms = replica->now_ms};
    replica_step(replica, &flush);
    replica->turn++;
    judge_drain(replica);
    replica_note_silence(replica);
    commit(replica);
    if (replica->fatal)
        return;
    attest_sign(replica);
    sync_ask(replica);
    links_flush(replica);
}

enum ord_err replica_run(struct replica *replica) {
    while (!atomic_load(&replica->stopping) && !replica->fatal) {
        uint64_t now = node_clock_ms();
        uint64_t wake = next_wake_ms(replica);
        replica_turn(replica, replica_take_work(replica, wake <= now ? 0 : wake - now));
    }
    replica->commit_urgent = true;
    if (!replica->fatal)
        commit(replica);
    return replica->fatal ? replica->fatal_err : ORD_OK;
}

void replica_stop(struct replica *replica) {
    atomic_store(&replica->stopping, true);
    inbox_wake(&replica->inbox);
}
