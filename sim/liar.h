/*
 * The adversary. A liar runs the real core and the real channel. A table of behaviours stands between it and the world.
 * A liar holds its own replica's key and no other. An entry of the table has a behaviour's name, the rows of
 * docs/adversary.md that it plays, and the places where it takes effect.
 */
#ifndef ORDAIN_SIM_LIAR_H
#define ORDAIN_SIM_LIAR_H

#include "sim/world.h"

struct sim_behaviour {
    const char *name;
    const char *rows;
    const char *what;
    /*
     * Gets a message of the liar's own process to `to`, and may pass it, change it or keep it. True: the message is
     * dealt with. False: the next behaviour gets it. NULL: the behaviour takes effect elsewhere.
     */
    bool (*on_send)(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
    /* Gets a message that reaches the liar. Its process gets it too. */
    void (*on_receive)(struct sim_replica *liar, ord_node_id from, enum replica_link kind, struct ord_span message);
    /* Is called from time to time. */
    void (*on_time)(struct sim_replica *liar);
};

enum sim_behaviour_index {
    SIM_LIE_EQUIVOCATE,
    SIM_LIE_SPLIT_VOTES,
    SIM_LIE_MUTE,
    SIM_LIE_DELAY,
    SIM_LIE_SHUN,
    SIM_LIE_REPLAY,
    SIM_LIE_REFLECT,
    SIM_LIE_MUTATE,
    SIM_LIE_BORROW,
    SIM_LIE_GARBAGE,
    SIM_LIE_EARLY_COMMIT,
    SIM_LIE_USURP,
    SIM_LIE_SKIP,
    SIM_LIE_FLOOD,
    SIM_LIE_ATTEST,
    SIM_LIE_FORWARD,
    SIM_LIE_SOURCE,
    SIM_LIE_CENSOR,
    SIM_LIE_CUT,
    SIM_LIE_BATCH,
    SIM_LIE_TWINS,
    SIM_LIE_CHANGE,
    SIM_LIE_NEW_VIEW,
    SIM_LIE_HALF_VIEW,
    SIM_LIE_SPAM,
    SIM_LIE_SLOW,
    SIM_LIE_FORGE,
    SIM_LIE_HOARD,
    SIM_LIE_BODY,
    SIM_LIE_ACCUSE,
    SIM_LIE_RECEIPT,
    SIM_LIE_WHISPER,
    SIM_LIE_EMPTY,
    SIM_LIE_DRIP,
    SIM_LIE_PACE,
    SIM_LIE_LEAN,
    SIM_LIE_BLIND,
    SIM_BEHAVIOUR_COUNT
};

extern const struct sim_behaviour sim_behaviours[SIM_BEHAVIOUR_COUNT];

/* Chooses liars and their behaviours, and makes twins. Must run before the world's paths are made. */
void sim_liars_create(struct sim_world *world);
void sim_liars_destroy(struct sim_world *world);
/*
 * Every message that a replica's process sends goes through here. Messages of honest replicas pass unchanged. Does not
 * take over the hold.
 */
void sim_liar_send(struct sim_replica *replica, ord_node_id to, enum replica_link kind, struct sim_buffer *message);
void sim_liar_received(struct sim_replica *replica, ord_node_id from, enum replica_link kind,
                       struct sim_buffer *message);
void sim_liar_event(struct sim_replica *replica, const struct sim_event *event);

/*
 * From here on: hooks in the liar's own process. For honest replicas they do nothing.
 *
 * lies_batch.c: gives the batch that the liar's core gets instead of the one that its replica proposes; NULL: nothing.
 * The caller holds it.
 */
struct sim_buffer *sim_liar_batch(struct sim_replica *liar, struct ord_span batch);
/*
 * Gives a batch of the liar's own, if it leads and may propose; NULL: none. `work`: something waits. The caller holds
 * it.
 */
struct sim_buffer *sim_liar_own_batch(struct sim_replica *liar, const struct ord_status *status, uint64_t now_ms,
                                      bool work);
/* Row P16: true if it, as primary of `view`, orders nothing of what waits. */
bool sim_liar_idles(const struct sim_replica *replica, uint64_t view);
/* True if it, as primary, serves as little as it can. */
bool sim_liar_paces(const struct sim_replica *replica);
/* When it next wants to propose a batch of its own; UINT64_MAX: when something else happens. */
uint64_t sim_liar_due_ms(const struct sim_replica *liar, bool work);
/* The liar's replica has answered a submission. */
void sim_liar_submitted(struct sim_replica *replica, const struct replica_result *result, struct ord_span envelope);
/* Row D3: gives a receipt for an envelope that was just submitted; NULL: none. The caller holds it. */
struct sim_buffer *sim_liar_receipt(struct sim_replica *replica, struct ord_span envelope);
/* True if the replica answers a client now. Liars never do, but for those that lie to clients and those of a genome. */
bool sim_liar_answers(struct sim_replica *replica);

#endif
