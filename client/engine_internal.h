/*
 * The engine's state. engine.c owns the thread and the hand-over; engine_send.c decides what to send where;
 * engine_reply.c, with its parts engine_submitted.c, engine_doubt.c and engine_outcome.c, interprets the answers.
 */
#ifndef ORDAIN_CLIENT_ENGINE_INTERNAL_H
#define ORDAIN_CLIENT_ENGINE_INTERNAL_H

#include "client/engine.h"
#include "client/entry.h"
#include "client/pace.h"
#include "client/window.h"

/* Wait requests at the same time; each occupies a context at the replica. */
#define ENGINE_WAITS_MAX  8u
#define ENGINE_PROBES_MAX 16u
#define ENGINE_WAIT_MS    150u
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
/* Calls beyond submit requests: waits, probes and position requests. */
#define ENGINE_CALLS_RESERVED 64u

enum engine_request_kind {
    ENGINE_REQUEST_SUBMIT,
    ENGINE_REQUEST_WAIT,
    ENGINE_REQUEST_PROBE,    /* asks for the full receipt of one number in doubt */
    ENGINE_REQUEST_POSITION, /* asks for the client's position */
    ENGINE_REQUEST_REGISTER, /* offers the registration to a replica that does not know the client yet */
    ENGINE_REQUEST_KINDS,
};

/* One call. It owns its entries while it is in flight. */
struct engine_request {
    struct client_engine *engine;
    uint64_t sent_us;
    struct engine_request *next; /* in the list of replies */
    enum engine_request_kind kind;
    Ordain__V1__Request__KindCase asked;
    uint32_t replica;
    enum ord_err result;
    struct net_message *reply;
    uint32_t count;
    struct client_entry *entries[];
};

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
    /* When the newest of its answers came. */
    uint64_t answered_us;
    /* When an entry that it accepted last became final, and when the newest such entry was sent. */
    uint64_t final_at_us;
    uint64_t final_sent_us;
    bool position_known;
    uint64_t position;
    uint64_t position_at_us;
};

struct client_engine {
    struct ordain *client;
    struct client_signing signing;
    uint32_t peer_count;
    /* Shortest time without a receipt after which an envelope is submitted again. */
    uint64_t resubmit_us;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* the engine sleeps here */
    pthread_cond_t room; /* submitters and drainers sleep here */
    /* The fields from here to `shared` are protected by `lock`. */
    bool stopping;
    bool sleeping;
    /* The engine wakes when the inbox holds so many entries. */
    uint32_t wake_count;
    struct client_entries inbox;
    struct engine_request *replies;
    struct engine_request **replies_tail;
    struct client_window window;
    /* Numbers that were given out whose envelopes are not in the inbox yet. */
    uint32_t signing_count;
    /* Entries that need a fresh number. They go before new submissions. */
    uint32_t reserved;
    /* No numbers are given out while `restart` assigns new ones. */
    bool paused;
    uint64_t open_count;
    uint64_t open_bytes;
    /* Callers wait while this many bytes are open. */
    uint64_t open_bytes_max;
    uint64_t unaccepted_count;
    /* The statistics as of the engine's last turn. */
    struct ordain_statistics shared;

    /* Only the engine's thread uses the fields from here on. */
    uint64_t now_us;
    /* The engine wakes at this time at the latest. */
    uint64_t timer_us;
    struct ordain_statistics statistics;
    struct client_entries outbox;
    struct client_entries waiting;
    struct client_entries opinions;
    struct client_entries doubts;
    struct client_entries renumber;
    /* Finished entries; their numbers are released at the end of the turn. */
    struct client_entries done;
    /* Entries that were accepted in this turn. */
    uint64_t accepted_now;
    uint32_t in_flight[ENGINE_REQUEST_KINDS];
    struct client_pace pace;
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
    /* Every open number is beyond what the channel accepts: give out new numbers after restart_at. */
    bool restart;
    uint64_t restart_at;
    struct client_proof_cache cache;
    struct engine_peer peers[ORD_REPLICA_MAX];
};

static inline void engine_timer(struct client_engine *engine, uint64_t at_us) {
    if (at_us < engine->timer_us)
        engine->timer_us = at_us;
}

/* engine_send.c: sends what can be sent now. */
void engine_pump(struct client_engine *engine);
/* The entry's number is taken. The entry waits for a fresh number until replicas have told where the client stands. */
void engine_want_number(struct client_engine *engine, struct client_entry *entry);
/* Asks every connected replica for the client's position, but not too often. */
void engine_ask_positions(struct client_engine *engine);
/* Offers the registration to a replica that does not know the client yet. */
void engine_offer_registration(struct client_engine *engine, uint32_t replica);
/* The entry is not under way any more, and not final: what it had of the window is free. */
void engine_leave(struct client_engine *engine, struct client_entry *entry);

/* engine_reply.c: takes a reply and frees the request. */
void engine_take_reply(struct client_engine *engine, struct engine_request *request);

/* engine_submitted.c: the answer to a submit request. */
void engine_take_submit(struct client_engine *engine, struct engine_request *request, const client_response *response);
/*
 * Takes a receipt for this entry. The receipt ends the entry's way, or casts doubt on its number. False: the receipt
 * does not verify, and the replica is accused.
 */
bool engine_take_receipt(struct client_engine *engine, struct client_entry *entry, uint32_t replica,
                         struct ord_span bytes);
/* How long to wait for a receipt before an envelope is submitted again; grows with the usual latency. */
uint64_t engine_patience_us(const struct client_engine *engine);
void engine_submit_again(struct client_engine *engine, struct client_entry *entry);
/* No receipt came in time: submits it again, and less at a time. */
void engine_submit_lost(struct client_engine *engine, struct client_entry *entry);

/* engine_doubt.c: answers about a number that may be taken, and about the client's position. */
void engine_take_probe(struct client_engine *engine, struct engine_request *request, const client_response *response);
void engine_take_position(struct client_engine *engine, const struct engine_request *request,
                          const client_response *response);

/* engine_outcome.c: ends an entry with a FAILED event. */
void engine_fail(struct client_engine *engine, struct client_entry *entry, enum ordain_error error,
                 const char *message);
/* A replica accepted the entry. The caller gets one ACCEPTED event, however often this happens. */
void engine_accept(struct client_engine *engine, struct client_entry *entry);
/* `receipt` is verified and belongs to this entry: the entry is final. */
void engine_finish(struct client_engine *engine, struct client_entry *entry, struct channel_receipt *receipt);
/* For `time_us`, other replicas are asked before this one. */
void engine_avoid(struct client_engine *engine, uint32_t replica, uint64_t time_us);
/* The replica said something that no honest replica says. */
void engine_accuse(struct client_engine *engine, uint32_t replica, const char *what);
void engine_accuse_receipt(struct client_engine *engine, uint32_t replica, const char *why);
/* The replica wants no submit requests for so long; 0: it did not say how long. */
void engine_busy(struct client_engine *engine, uint32_t replica, uint32_t retry_after_ms);
/* `hint`: the number of the leader + 1 as a replica reports it; 0: no hint. */
void engine_follow_hint(struct client_engine *engine, uint32_t hint);

/* engine.c: signs the entries of `renumber` under fresh numbers, once it is time and while there are free numbers. */
void engine_renumber(struct client_engine *engine);
void engine_request_free(struct engine_request *request);
/* Moves its entries to the end of the list. */
void engine_request_empty(struct engine_request *request, struct client_entries *list);

#endif
