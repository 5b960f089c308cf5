/*
 * Clients. They register, and submit through the client library's engine (sim/submit.h). Some of them lie, and
 * some are other programs: they send to any replica, as much as they like, and ask another one when no receipt comes.
 * All check their receipts.
 */
#ifndef ORDAIN_SIM_CLIENT_H
#define ORDAIN_SIM_CLIENT_H

#include "sim/world.h"

#define SIM_CLIENT_WINDOW_MAX 512

struct sim_submitter;

/* What a client's event is about; `a` of SIM_CLIENT. */
enum sim_client_errand {
    SIM_CLIENT_NEW,   /* it may want something new */
    SIM_CLIENT_AGAIN, /* b: the sequence of a request that is sent again without the engine */
    SIM_CLIENT_TURN,  /* b: the time of a turn of the engine */
    SIM_CLIENT_OVER,  /* b: the number of a call whose time is over */
};

struct sim_waiting {
    bool used;
    /* The engine has told the acceptance. */
    bool accepted;
    /* NULL: the client sends it itself. */
    struct sim_submitter *submitter;
    uint64_t sequence;
    struct sim_buffer *envelope;
    /* When an honest replica was first asked, + 1; 0: none was yet. */
    uint64_t since_us;
    uint32_t tries;
};

struct sim_client {
    bool liar;
    bool eager;             /* does not wait for its registration */
    bool registered;        /* has its registration's receipt */
    uint64_t registered_us; /* when it got that */
    bool plain;             /* another program than libordain: it keeps to no window */
    struct sim_random random;
    struct sim_buffer *registration;
    /* NULL: it lies, is another program, or is not registered yet. */
    struct sim_submitter *submitter;
    uint64_t next_sequence;
    struct sim_waiting waiting[SIM_CLIENT_WINDOW_MAX];
    /* Longest time from the first request to an honest replica until the receipt. */
    uint64_t longest_us;
};

void sim_clients_create(struct sim_world *world);
void sim_clients_destroy(struct sim_world *world);
void sim_client_event(struct sim_world *world, const struct sim_event *event);
void sim_client_reply(struct sim_world *world, const struct sim_event *event);
void sim_client_answer(struct sim_world *world, const struct sim_event *event);
void sim_client_plan(struct sim_world *world, uint32_t client, enum sim_client_errand errand, uint64_t what,
                     uint64_t delay_us);
/* The client takes this receipt for a request's. It is checked, and the request is over. */
void sim_client_served(struct sim_world *world, uint32_t client, struct sim_waiting *waiting, struct ord_span receipt);
/* The request is over without a receipt. */
void sim_client_refused(struct sim_world *world, uint32_t client, struct sim_waiting *waiting);
const struct ord_hash *sim_client_fingerprint(uint32_t client);
/* True if some client is registered and can send one more request. */
bool sim_clients_can_nudge(const struct sim_world *world);
/* Sends one more request: a replica that is left behind alone learns of that only by the next block. */
void sim_clients_nudge(struct sim_world *world);
/*
 * The longest time that an honest client waited, or waits, for a receipt after it first asked an honest replica. Of the
 * clients that have one request at a time, if there are any; the others then want more than the channel orders, and
 * wait for that.
 */
uint64_t sim_clients_longest_us(const struct sim_world *world);
/* The requests of honest clients that wait, and of which an honest replica was told. */
uint64_t sim_clients_waiting(const struct sim_world *world);
/* NULL: every request of an honest client is served, or cannot be served. Otherwise what is missing. */
const char *sim_clients_rest(const struct sim_world *world);

#endif
