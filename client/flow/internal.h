/*
 * The engine's state. turn.c owns the turn; number.c gives out fresh numbers; send.c decides what to send where;
 * reply.c, with its parts submitted.c, doubt.c and outcome.c, interprets the answers.
 */
#ifndef ORDAIN_CLIENT_FLOW_INTERNAL_H
#define ORDAIN_CLIENT_FLOW_INTERNAL_H

#include "client/flow/engine.h"
#include "client/flow/pace.h"

/* Wait requests at the same time; each occupies a context at the replica. */
#define ENGINE_WAITS_MAX  8u
#define ENGINE_PROBES_MAX 16u
/* Pause before asking a replica again that had nothing to tell. */
#define ENGINE_WAIT_PAUSE_US  20000u
#define ENGINE_UNANSWERED_MAX 4u
/* An entry that has no receipt is submitted again after so long, however slow the channel. */
#define ENGINE_PATIENCE_MAX_US 15000000u
/* So soon if the replica that accepted it is not connected any more. */
#define ENGINE_HOLDER_GONE_US 250000u
/* Length of a period for shortest_us. */
#define ENGINE_PERIOD_US     5000000u
#define ENGINE_AVOID_LIE_US  30000000u
#define ENGINE_AVOID_SLOW_US 5000000u
#define ENGINE_AVOID_DOWN_US 250000u
/* How often to check whether a connection came up. */
#define ENGINE_LOOK_US 10000u
/* How often to check deadlines. */
#define ENGINE_TICK_US     100000u
#define ENGINE_POSITION_US 1000000u
/* How long to wait for replicas to tell our position before fresh numbers are given out. */
#define ENGINE_RENUMBER_US 500000u
#define ENGINE_NO_REPLICA  UINT32_MAX

/* What the engine knows and thinks of a replica. */
struct engine_peer {
    /* Send it no submit request before this time, because it was busy or failed. */
    uint64_t not_before_us;
    /* It failed, was silent or lied: until this time it is asked only as a last resort. */
    uint64_t avoid_until_us;
    /* Send it no wait request before this time, because its waits came back empty too soon or failed. */
    uint64_t wait_after_us;
    /* When to offer it the registration again. */
    uint64_t register_at_us;
    /* Since when it does not know the client; 0: it does know it. */
    uint64_t unknown_from_us;
    uint32_t busy_in_row;
    /* When the first of these answers came. */
    uint64_t busy_from_us;
    /* It has not answered the last copy yet. */
    bool copy_open;
    /* When the newest of its answers came. */
    uint64_t answered_us;
    /* When an entry that it accepted last became final, and when the newest such entry was sent. */
    uint64_t final_at_us;
    uint64_t final_sent_us;
    bool position_known;
    uint64_t position;
    uint64_t position_at_us;
};

struct engine {
    struct engine_config config;
    struct engine_host host;
    uint32_t peer_count;
    /* Shortest time without a receipt after which an envelope is submitted again. */
    uint64_t resubmit_us;

    uint64_t now_us;
    /* The replicas to which a request would leave now. */
    ord_replica_set connected;
    /* The next turn is due at this time at the latest. */
    uint64_t timer_us;
    struct ordain_statistics statistics;
    struct client_entries outbox;
    struct client_entries waiting;
    struct client_entries opinions;
    struct client_entries doubts;
    struct client_entries renumber;
    /* They have a fresh number, and are to be signed under it. */
    struct client_entries numbered;
    /* Finished entries; their numbers are released at the end of the turn. */
    struct client_entries done;
    /* Finished entries that the gate knows nothing of any more. */
    struct client_entries settled;
    /* The gate has more room, or an entry has ended, since the last engine_settle. */
    bool room;
    /* Entries that were accepted in this turn. */
    uint64_t accepted_now;
    uint32_t in_flight[ENGINE_REQUEST_KINDS];
    struct client_pace pace;
    struct client_blocks blocks;
    /*
     * An entry that was sent to a replica, and that others are to get a copy of: when it waits for its receipt, and at
     * the latest at sample_due_us. NULL: there is none. A further one is drawn from copy_at_us on.
     */
    struct client_entry *sample;
    uint32_t sample_sent_to;
    uint64_t sample_due_us;
    uint64_t copy_at_us;
    uint64_t random;
    /* The pace does not allow the outbox's next entry yet. */
    bool held;
    uint32_t target;      /* replica that gets submit requests */
    uint32_t wait_target; /* replica that gets wait requests */
    /* Earliest time to ask for positions again. */
    uint64_t positions_at_us;
    /* Older answers than this do not count when fresh numbers are given out. */
    uint64_t positions_since;
    /* Time to give out fresh numbers even if no replica has told our position. */
    uint64_t renumber_at_us;
    /* Average time that a replica takes to answer a submit request; 0: not known yet. */
    uint64_t reply_us;
    /*
     * Requests without an answer in time since the last answer to a submit request, up to ENGINE_UNANSWERED_MAX. Those
     * that were under way together count once.
     */
    uint32_t unanswered;
    uint64_t unanswered_us;
    /*
     * Shortest time from submission to receipt, in this period and in the one before; 0: none. An average would still
     * reflect the last time that a leader was replaced.
     */
    uint64_t shortest_us;
    uint64_t shortest_before_us;
    uint64_t period_since_us;
    /* When an entry last became final, or when no entry was open. */
    uint64_t progress_at_us;
    /* Enough replicas told our position: the next engine_number takes it. */
    bool agreed;
    uint64_t agreed_position;
    /* Every open number is beyond what the channel accepts: give out new numbers after restart_at. */
    bool restart;
    uint64_t restart_at;
    struct client_proof_cache cache;
    struct engine_peer peers[ORD_REPLICA_MAX];
};

static inline void engine_timer(struct engine *engine, uint64_t at_us) {
    if (at_us < engine->timer_us)
        engine->timer_us = at_us;
}

/*
 * send.c. The entry's number is taken. The entry waits for a fresh number until replicas have told where the client
 * stands.
 */
void engine_want_number(struct engine *engine, struct client_entry *entry);
/* Asks every connected replica for the client's position, but not too often. */
void engine_ask_positions(struct engine *engine);
/* Offers the registration to a replica that does not know the client yet. */
void engine_offer_registration(struct engine *engine, uint32_t replica);
/* The entry is not under way any more, and not final: what it had of the window is free. */
void engine_leave(struct engine *engine, struct client_entry *entry);

/* send.c: sends the sample to some other replicas too. There is one. */
void engine_copy_sample(struct engine *engine);

/* submitted.c: the answer to a submit request. */
void engine_take_submit(struct engine *engine, struct engine_request *request, const struct engine_answer *answer);
/*
 * Takes a receipt for this entry. The receipt ends the entry's way, or casts doubt on its number. False: the receipt
 * does not verify, and the replica is accused.
 */
bool engine_take_receipt(struct engine *engine, struct client_entry *entry, uint32_t replica, struct ord_span bytes);
/* How long to wait for a receipt before an envelope is submitted again; grows with the usual latency. */
uint64_t engine_patience_us(const struct engine *engine);
void engine_submit_again(struct engine *engine, struct client_entry *entry);
/* No receipt came in time: submits it again, and less at a time. */
void engine_submit_lost(struct engine *engine, struct client_entry *entry);

/* doubt.c: the answer about a number that may be taken. */
void engine_take_probe(struct engine *engine, struct engine_request *request, const struct engine_answer *answer);

/* outcome.c: ends an entry with a FAILED event. */
void engine_fail(struct engine *engine, struct client_entry *entry, enum ordain_error error, const char *message);
/* A replica accepted the entry. The caller gets one ACCEPTED event, however often this happens. */
void engine_accept(struct engine *engine, struct client_entry *entry);
/* `receipt` is verified and belongs to this entry: the entry is final. */
void engine_finish(struct engine *engine, struct client_entry *entry, struct channel_receipt *receipt);
/* For `time_us`, other replicas are asked before this one. */
void engine_avoid(struct engine *engine, uint32_t replica, uint64_t time_us);
/* The replica said something that no honest replica says. */
void engine_accuse(struct engine *engine, uint32_t replica, const char *what);
void engine_accuse_receipt(struct engine *engine, uint32_t replica, const char *why);
/* The replica wants no submit requests for so long; 0: it did not say how long. */
void engine_busy(struct engine *engine, uint32_t replica, uint32_t retry_after_ms);
/* `hint`: the number of the leader + 1 as a replica reports it; 0: no hint. */
void engine_follow_hint(struct engine *engine, uint32_t hint);

/* number.c: the answer about the client's position. */
void engine_take_position(struct engine *engine, const struct engine_request *request,
                          const struct engine_answer *answer);
/* number.c: signs the entries that have a fresh number. */
void engine_sign_numbered(struct engine *engine);

/* The entry is over, or goes back: nobody gets a copy of it now. */
static inline void engine_not_sampled(struct engine *engine, const struct client_entry *entry) {
    if (engine->sample == entry)
        engine->sample = NULL;
}

static inline bool engine_up(const struct engine *engine, uint32_t replica) {
    return (engine->connected & ord_replica_bit(replica)) != 0;
}

/* The highest number of replicas that may make the same false statement; 0 when one replica is pinned. */
static inline uint32_t engine_liars_max(const struct engine *engine) {
    return engine->config.pinned ? 0 : engine->config.trust->quorum - 1;
}

/* So many replicas must agree before an unproved statement is believed: enough that one of them is honest. */
static inline uint32_t engine_believable(const struct engine *engine) {
    return engine_liars_max(engine) + 1;
}

/* Moves the request's entries to the end of the list. */
void engine_request_empty(struct engine_request *request, struct client_entries *list);

#endif
