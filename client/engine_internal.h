/*
 * The engine's state, for engine.c (threads, hand-over), engine_send.c (what to send where), engine_reply.c (what an answer
 * means), engine_submitted.c, engine_doubt.c and engine_outcome.c (its parts).
 */
#ifndef ORDAIN_CLIENT_ENGINE_INTERNAL_H
#define ORDAIN_CLIENT_ENGINE_INTERNAL_H

#include "client/engine.h"
#include "client/entry.h"
#include "client/window.h"

#define ENGINE_BYTES_MAX      (16u << 20) /* envelopes kept; more only makes them wait longer */
#define ENGINE_WAITS_MAX      8u          /* wait requests at the same time; each holds a context of the replica */
#define ENGINE_PROBES_MAX     16u
#define ENGINE_WAIT_MS        150u
#define ENGINE_WAIT_PAUSE_US  20000u /* before a replica that had nothing to tell is asked again */
#define ENGINE_UNANSWERED_MAX 4u
#define ENGINE_PERIOD_US      5000000u /* of shortest_us */
#define ENGINE_AVOID_LIE_US   30000000u
#define ENGINE_AVOID_SLOW_US  5000000u
#define ENGINE_AVOID_DOWN_US  250000u
#define ENGINE_LOOK_US        10000u  /* how often to look whether a connection came up */
#define ENGINE_TICK_US        100000u /* how often to look at deadlines */
#define ENGINE_POSITION_US    1000000u
#define ENGINE_RENUMBER_US    500000u /* how long to wait for replicas to tell where we stand */
#define ENGINE_NO_REPLICA     UINT32_MAX
#define ENGINE_CALLS_RESERVED 64u /* calls beyond submit requests: waits, probes, positions */

enum engine_request_kind {
    ENGINE_REQUEST_SUBMIT,
    ENGINE_REQUEST_WAIT,
    ENGINE_REQUEST_PROBE,    /* the receipt, with its envelope, of one number in doubt */
    ENGINE_REQUEST_POSITION, /* where does the client stand? */
    ENGINE_REQUEST_REGISTER, /* a replica does not know the client yet */
};

/* One call. Owns its entries while it is in flight. */
struct engine_request {
    struct client_engine *engine;
    uint64_t sent_us;
    struct engine_request *next; /* in the list of replies */
    enum engine_request_kind kind;
    uint32_t replica;
    enum ord_err result;
    struct net_message *reply;
    uint32_t count;
    struct client_entry *entries[];
};

/* What the engine thinks of a replica. */
struct engine_peer {
    uint64_t not_before_us;   /* it was busy */
    uint64_t avoid_until_us;  /* it failed, was silent or lied; a last resort until then */
    uint64_t wait_after_us;   /* its waits come back empty too soon */
    uint64_t register_at_us;  /* when to offer it the registration again */
    uint64_t unknown_from_us; /* it does not know the client since then; 0: it does */
    uint32_t busy_in_row;
    bool position_known;
    uint64_t position;
    uint64_t position_at_us;
};

struct client_engine {
    struct ordain *client;
    struct client_signing signing;
    uint32_t peer_count;
    uint64_t resubmit_us; /* the shortest time without a receipt after which an envelope is submitted again */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* the engine sleeps here */
    pthread_cond_t room; /* submitters and drainers sleep here */
    /* Under `lock`: */
    bool stopping;
    bool sleeping;
    uint32_t wake_count; /* entries in the inbox that wake it */
    struct client_entries inbox;
    struct engine_request *replies;
    struct engine_request **replies_tail;
    struct client_window window;
    uint32_t signing_count; /* numbers given out whose envelopes are not in the inbox yet */
    uint32_t reserved;      /* entries that want a fresh number go before new ones */
    bool paused;            /* numbers are being given out anew */
    uint64_t open_count;
    uint64_t open_bytes;
    uint64_t unaccepted_count;
    struct ordain_statistics shared; /* as of the last turn */

    /* The engine thread's own: */
    uint64_t now_us;
    uint64_t timer_us; /* wake at the latest then */
    struct ordain_statistics statistics;
    struct client_entries outbox;
    struct client_entries waiting;
    struct client_entries opinions;
    struct client_entries doubts;
    struct client_entries renumber;
    struct client_entries done; /* their numbers are released at the end of the turn */
    uint64_t accepted_now;      /* in this turn */
    uint32_t submits;           /* requests in flight */
    uint32_t waits;
    uint32_t probes;
    uint32_t others;
    uint32_t target;          /* submits go there */
    uint32_t wait_target;     /* waits go there */
    uint64_t positions_at_us; /* when to ask for positions again, at the earliest */
    uint64_t positions_since; /* answers of before are not good enough to give out fresh numbers by */
    uint64_t renumber_at_us;  /* give out fresh numbers then, even if nobody tells where we stand */
    uint64_t reply_us;        /* how long a replica takes to answer a submit request, on average; 0: not known */
    uint32_t unanswered;      /* until then: requests without an answer in time, up to ENGINE_UNANSWERED_MAX */
    /* From submission to receipt: the shortest of this period and of the one before; 0: none. The average would tell of the last
     * time that a leader was replaced. */
    uint64_t shortest_us;
    uint64_t shortest_before_us;
    uint64_t period_since_us;
    uint64_t progress_at_us; /* last time that an entry became final, or none was open */
    bool restart;            /* every open number is out of the channel's reach: give out new ones from restart_at */
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
/* Its number is taken: it waits for a fresh one, until replicas have told where the client stands. */
void engine_want_number(struct client_engine *engine, struct client_entry *entry);
/* Asks every connected replica for the client's position, but not too often. */
void engine_ask_positions(struct client_engine *engine);
/* Offers a replica the registration that it does not know yet. */
void engine_offer_registration(struct client_engine *engine, uint32_t replica);

/* engine_reply.c: takes a reply and frees the request. */
void engine_take_reply(struct client_engine *engine, struct engine_request *request);

/* engine_submitted.c: the answer to a submit request. */
void engine_take_submit(struct client_engine *engine, struct engine_request *request, const client_response *response);
/* A receipt that came for this entry: it ends its way, casts doubt on its number, or accuses who gave it (false). */
bool engine_take_receipt(struct client_engine *engine, struct client_entry *entry, uint32_t replica,
                         struct ord_span bytes);
void engine_submit_again(struct client_engine *engine, struct client_entry *entry);

/* engine_doubt.c: answers about a number that may be taken, and about where the client stands. */
void engine_take_probe(struct client_engine *engine, struct engine_request *request, const client_response *response);
void engine_take_position(struct client_engine *engine, const struct engine_request *request,
                          const client_response *response);

/* engine_outcome.c. An entry that every replica which may be asked has refused. */
void engine_fail(struct client_engine *engine, struct client_entry *entry, enum ordain_error error,
                 const char *message);
/* A replica took it; told once. */
void engine_accept(struct client_engine *engine, struct client_entry *entry);
/* The receipt, which verifies, is of this entry. */
void engine_finish(struct client_engine *engine, struct client_entry *entry, struct channel_receipt *receipt);
/* Others are asked before this replica, for so long. */
void engine_avoid(struct client_engine *engine, uint32_t replica, uint64_t time_us);
/* It said what no honest replica says. */
void engine_accuse(struct client_engine *engine, uint32_t replica, const char *what);
void engine_accuse_receipt(struct client_engine *engine, uint32_t replica, const char *why);
/* It wants nothing for so long; 0: it did not say how long. */
void engine_busy(struct client_engine *engine, uint32_t replica, uint32_t retry_after_ms);
/* `hint`: the leader's number + 1 as a replica tells it, or 0. */
void engine_follow_hint(struct client_engine *engine, uint32_t hint);

/* engine.c: signs the entries of `renumber` under fresh numbers, when it is time and as far as there are any. */
void engine_renumber(struct client_engine *engine);
void engine_request_free(struct engine_request *request);

#endif
