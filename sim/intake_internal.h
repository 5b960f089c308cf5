/*
 * The struct of the reference of the request pool, and what its files share. Private to intake.c and intake_*.c.
 */
#ifndef ORDAIN_SIM_INTAKE_INTERNAL_H
#define ORDAIN_SIM_INTAKE_INTERNAL_H

#include "sim/check.h"
#include "sim/intake.h"
#include "sim/process.h"

enum {
    SIM_REGISTRATIONS = SIM_PARTIES, /* the slot of all registrations */
    SIM_SLOTS = SIM_PARTIES + 1,
};

enum sim_pooled_state { SIM_READY, SIM_SENT, SIM_SPREAD, SIM_PASSED, SIM_PROPOSED };

/* An envelope in the pool, or on its way there. */
struct sim_pooled {
    uint32_t party;
    uint64_t sequence; /* 0: a registration */
    size_t item;       /* in the reference: no two of the same bytes */
    enum sim_pooled_state state;
    bool foreign;
    bool good; /* its client signed it */
    uint64_t admitted_ms;
    uint64_t turn_ms; /* when it could have been proposed */
    uint64_t forwarded_ms;
    uint32_t repeats; /* how often it was sent in its state, after the first time */
    /* When it was last sent to the present leader, and whether that has proposed it. */
    bool given;
    bool proposed;
    uint64_t given_ms;
    /* To whom it was offered with the last repeat, and not given since. */
    ord_replica_set offered_to;
    /* The input at hand asks for it, and it must be given. */
    bool asked;
};

/* Envelopes whose signatures are being checked for admission. */
struct sim_admitting {
    const struct replica_check *check;
    struct sim_pooled items[REPLICA_CHECK_ENVELOPES];
    uint32_t count;
    ord_node_id forwarder; /* ORD_NO_NODE: a client submitted them */
};

/* A batch that the core wants to be judged. */
struct sim_judged {
    uint64_t view;
    uint64_t seq;
    struct ord_hash digest;
    struct ord_span batch; /* the core's */
    /* The batch is lean. Not known: the reference cannot tell. */
    bool lean;
    bool lean_known;
};

struct sim_intake {
    struct sim_process *process;
    struct sim_replica *replica;
    struct sim_world *world;
    struct sim_pooled *pool; /* settled */
    size_t pool_count;
    size_t pool_capacity;
    struct sim_admitting *checking;
    size_t checking_count;
    size_t checking_capacity;
    struct sim_judged *judged;
    size_t judged_count;
    size_t judged_capacity;

    /* For each slot: its envelopes in the pool, and since when its client waits. */
    uint32_t counts[SIM_SLOTS];
    uint64_t since_ms[SIM_SLOTS];
    /* When the envelope that it waits for could have been proposed. */
    uint64_t turns_ms[SIM_SLOTS];
    /* When everything in the pool could have been ordered at the rate that the replica tells. */
    uint64_t clear_us;
    /* The rate that the replica told last, and the highest to which it rose under this leader. */
    uint64_t rate;
    uint64_t raised_to;
    /* When an envelope was last executed, whoever sent it; 0: none was. */
    uint64_t executed_ms;

    /* The executed part of the reference's order: everything before `order_at`. */
    size_t order_at;
    /* The seq up to which the core delivered. */
    uint64_t seq;
    bool registered[SIM_PARTIES];
    uint32_t client_count;
    uint64_t highest[SIM_PARTIES];
    /* A transfer brought blocks, and no tail yet. */
    bool between;
    /* The open block, and when a block of that height was first open. */
    size_t open_size;
    uint64_t open_height;
    uint64_t noted_height;
    uint64_t noted_ms;

    uint64_t turn;
    bool room;    /* in this turn */
    bool storage; /* as the core was told */
    ord_node_id leader;
    /* The turn in which the leader began to lead. */
    uint64_t leader_turn;
    uint64_t leader_ms;
    bool silent; /* at the end of the last turn */
    uint64_t housekeeping_ms;
    bool housekeeping; /* in this turn */
    /* Turns of housekeeping until the pool is swept of what a transfer left in it. */
    uint64_t unsure;
    /* For each slot: what was dropped since `unsure` was 0. The replica may still have it. */
    uint32_t ghosts[SIM_SLOTS];
    /* It is unknown whether the replica had room for an envelope, so the reference says no more until a restart. */
    bool lost;
    /* A batch of this leader was not well-formed, so the reference does not know what it proposed. */
    bool lean_unsure;
    /* `since_ms` may differ from the replica's. This holds until the replica's pool is known to be empty. */
    bool since_unsure;
    /* What repeats of envelopes in this state may still send, in cost, as of `filled_ms`. */
    int64_t left[SIM_PASSED + 1];
    uint64_t filled_ms;
    uint64_t filled_turn;
    /* Turns of housekeeping: since one in this state was sent again, and for how long some were due and none was. */
    uint32_t quiet[SIM_PASSED + 1];
    uint32_t overdue[SIM_PASSED + 1];

    /* The proposal at hand */
    uint64_t offered_cut;
    bool refused; /* in this turn */
    uint64_t cut_height;
    uint64_t cut_ms;

    /* The forwarded batch of the input at hand; empty: there is none. */
    struct ord_span forward;
    ord_node_id forwarder;
    /* The forwards of this replica had something bad, and are ignored. */
    uint64_t forwards_bad_until_ms[ORD_REPLICA_MAX];
    /* The offer of the input at hand, and who sent it; empty: there is none. */
    struct ord_span offer;
    ord_node_id offer_from;
    /* Who asks for something with the input at hand. */
    ord_node_id wanted_by;
    /* The submission at hand; NULL: there is none. */
    struct sim_submission *submitted;
    /* A hand-over was taken, and the core must be told. */
    bool hand_over;
    /* Checks that are under way: of each sender's messages and attestations, and of envelopes in batches. */
    uint32_t messages[ORD_REPLICA_MAX];
    uint64_t cost[ORD_REPLICA_MAX];
    uint32_t costly[ORD_REPLICA_MAX];
    /* What each has used beyond its allowance, as of that time. */
    uint64_t debt[ORD_REPLICA_MAX];
    uint64_t debt_ms[ORD_REPLICA_MAX];
    enum { SIM_MAY_EITHER, SIM_MUST_CHECK, SIM_MUST_DROP } message; /* the one at hand */
    uint64_t over_share;                                            /* messages that were dropped, before it */
    uint32_t proposals;
    /* Messages that the replica has ignored so far. */
    uint64_t ignored;
    uint64_t ignored_until_ms;
    /* Until then it checks nothing of this sender, for a check failed. */
    uint64_t bad_until_ms[ORD_REPLICA_MAX];
    /* A fault found at a FLUSH. It counts if that is the last FLUSH of the turn. Empty: none. */
    char fault[200];
};

static inline uint64_t sim_intake_now(const struct sim_intake *intake) {
    return intake->process->now_ms;
}
static inline ord_node_id sim_intake_self(const struct sim_intake *intake) {
    return intake->replica->id;
}
static inline const struct sim_model *sim_intake_model(const struct sim_intake *intake) {
    return &intake->world->checker->model;
}
static inline uint32_t sim_slot_of(uint32_t party, uint64_t sequence) {
    return sequence == 0 ? (uint32_t) SIM_REGISTRATIONS : party;
}

/* Nothing is checked any more. */
static inline bool sim_over(const struct sim_intake *intake) {
    return intake->lost || intake->world->failed;
}

/* intake_lean.c */
/* The cost that every replica's rate allows in a request timeout. */
uint64_t sim_intake_floor(const struct sim_intake *intake);
/* The envelope is sent to the leader, or to all. */
void sim_lean_given(const struct sim_intake *intake, struct sim_pooled *pooled);
void sim_lean_leader(struct sim_intake *intake);
/* The leader proposes this batch. */
void sim_lean_batch(struct sim_intake *intake, struct sim_judged *judged);
void sim_lean_verdict(const struct sim_intake *intake, const struct sim_judged *judged, bool lean);
/* intake.c */
/* The cost of an envelope that the pool has or may get, and the rate with which the replica counts. */
uint64_t sim_intake_cost(const struct sim_intake *intake, const struct sim_pooled *pooled);
/* True if it is more than a client may have at any time. */
bool sim_intake_is_large(const struct sim_intake *intake, const struct sim_pooled *pooled);
uint64_t sim_intake_rate(const struct sim_intake *intake);
/* The leader has changed: all turns are counted anew. */
void sim_intake_new_turns(struct sim_intake *intake);
bool sim_intake_is_executed(const struct sim_intake *intake, uint32_t party, uint64_t sequence);
/* True if it no longer needs ordering. */
bool sim_intake_is_over(const struct sim_intake *intake, const struct sim_pooled *pooled);
/* Puts an envelope whose check is done into the pool, if it is good, new there and within its client's bound. */
void sim_intake_settle(struct sim_intake *intake, const struct sim_pooled *pooled);
void sim_intake_drop(struct sim_intake *intake, size_t index);
/*
 * Goes on to `end` in the reference's order. `served`: those envelopes leave the pool, and their clients' waits begin
 * anew.
 */
void sim_intake_execute_to(struct sim_intake *intake, size_t end, bool served);
/* The open block is the one after `seq`. */
void sim_intake_open_is(struct sim_intake *intake, uint64_t seq);
/* Describes an envelope that is given as bytes. Its `party` is UINT32_MAX if nobody made such an envelope. */
struct sim_pooled sim_pooled_of(const struct sim_intake *intake, struct ord_span envelope, bool foreign);
/*
 * Finds an envelope of a batch that the replica made. NULL: the pool does not have it, or has another one under its
 * key.
 */
struct sim_pooled *sim_pooled_in(struct sim_intake *intake, struct ord_span envelope);

/* The settled envelope under this key; NULL: none. */
struct sim_pooled *sim_pooled_at(struct sim_intake *intake, uint32_t party, uint64_t sequence);

/* intake_offers.c */
/* Takes a name off the front. Gives the envelope that the pool has under it, or NULL. */
struct sim_pooled *sim_offer_next(struct sim_intake *intake, struct ord_span *names);
/* An input: an offer, or a replica's answer to this one's offer. */
void sim_offer_taken(struct sim_intake *intake, ord_node_id from, struct ord_span names);
void sim_offer_wanted(struct sim_intake *intake, ord_node_id from, struct ord_span names);
/* The replica asks for these. */
void sim_offer_asked(struct sim_intake *intake, ord_replica_set to, struct ord_span names);
/* The replica gives an envelope that was asked for. */
void sim_offer_given(struct sim_intake *intake, struct sim_pooled *pooled, ord_replica_set to);
/* The replica is done with the offer, or the answer, at hand. */
void sim_offer_check(struct sim_intake *intake);

/* intake_checks.c */
/* The replica is done with the message at hand: it was checked or dropped as it had to be. */
void sim_intake_check_message(struct sim_intake *intake);
/* The checks that the replica counts as open are those that are under way. */
void sim_intake_check_open(struct sim_intake *intake);

/* intake_core.c */
/* A batch must be judged as soon as it can be. */
void sim_intake_check_verdicts(struct sim_intake *intake);

#endif
