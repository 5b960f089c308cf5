/*
 * The adversary. A liar runs the real core and the real channel with a table of behaviours between it and the world, holding
 * that replica's key and no other. A behaviour is one entry: its name, the rows of the adversary list that it plays, and where
 * it gets hold of the replica.
 */
#ifndef ORDAIN_SIM_LIAR_H
#define ORDAIN_SIM_LIAR_H

#include "sim/world.h"

struct sim_behaviour {
    const char *name;
    const char *rows;
    const char *what;
    /*
     * A message of the liar's own process to `to`: pass it, change it, keep it. True: it is dealt with. False: the next one's
     * turn. NULL where a behaviour works elsewhere.
     */
    bool (*on_send)(struct sim_replica *liar, ord_node_id to, enum sim_link kind, struct sim_buffer *message);
    /* A message that reaches the liar; its process gets it too. */
    void (*on_receive)(struct sim_replica *liar, ord_node_id from, enum sim_link kind, struct ord_span message);
    /* From time to time. */
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
    SIM_BEHAVIOUR_COUNT
};

extern const struct sim_behaviour sim_behaviours[SIM_BEHAVIOUR_COUNT];

/* Chooses liars and their behaviours, and makes twins: before the world's paths are laid. */
void sim_liars_create(struct sim_world *world);
void sim_liars_destroy(struct sim_world *world);
/* What a replica's process sends goes through here; that of honest ones passes. Does not take the hold. */
void sim_liar_send(struct sim_replica *replica, ord_node_id to, enum sim_link kind, struct sim_buffer *message);
void sim_liar_received(struct sim_replica *replica, ord_node_id from, enum sim_link kind, struct sim_buffer *message);
void sim_liar_event(struct sim_replica *replica, const struct sim_event *event);

/* Hooks in the liar's own process; all of them do nothing for others. */
/* Row P7: does it pretend to admit this client's envelopes? */
bool sim_liar_censors(struct sim_replica *replica, const struct ord_hash *fingerprint);
/* Row P18: the height to cut at, where an honest primary would say `cut_height` (0: none). */
uint64_t sim_liar_cut(struct sim_replica *replica, uint64_t cut_height, uint64_t open_height);
/* Row P16: does it, primary of `view`, order nothing of what waits? */
bool sim_liar_idles(const struct sim_replica *replica, uint64_t view);
/* When one that idles orders its next batch of nothing. */
uint64_t sim_liar_void_due_ms(const struct sim_replica *replica);
/* The height that it cuts at then, for nothing; 0: not now. */
uint64_t sim_liar_void_cut(struct sim_replica *replica, uint64_t now_ms);
/* Row K5: does it take, to propose it, a sequence that lies beyond the replay window? */
bool sim_liar_takes_far(struct sim_replica *replica);
/* Rows P8, P9: one more envelope for a batch; NULL: none. The caller holds it. */
struct sim_buffer *sim_liar_envelope(struct sim_replica *replica);
/* Row D3: a receipt for an envelope that was just submitted; NULL: none. The caller holds it. */
struct sim_buffer *sim_liar_receipt(struct sim_replica *replica, struct ord_span envelope);
/* Does it answer clients at all? */
bool sim_liar_answers(const struct sim_replica *replica);

#endif
