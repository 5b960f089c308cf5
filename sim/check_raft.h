/*
 * The checks of a raft channel, after each step of each core. They read messages, records and effects by themselves,
 * and share no code with raft/. What must hold (Ongaro, dissertation, figure 3.2; docs/raft.md):
 *
 *   check_raft_log.c     leader append-only, log matching, leader completeness, state machine safety, commitment
 *   check_raft_said.c    election safety, votes, PreVotes, leases, silence, and what is on disk before it leaves
 *   check_raft_leader.c  how long there may be no leader
 *
 * In a channel of another protocol each function does nothing.
 */
#ifndef ORDAIN_SIM_CHECK_RAFT_H
#define ORDAIN_SIM_CHECK_RAFT_H

#include "sim/map.h"
#include "sim/world.h"

enum sim_raft_type {
    SIM_RAFT_VOTE_REQUEST = 1,
    SIM_RAFT_VOTE_ANSWER,
    SIM_RAFT_APPEND,
    SIM_RAFT_APPEND_ANSWER,
    SIM_RAFT_SNAPSHOT,
    SIM_RAFT_TIMEOUT_NOW,
    SIM_RAFT_ASK,
    SIM_RAFT_RECALL,
};

/* The core's tables (docs/raft.md, "Records"). */
enum { SIM_RAFT_LOG = 1, SIM_RAFT_HARD, SIM_RAFT_BINDINGS, SIM_RAFT_POINT };

/* A message as its bytes say it. `first` and `second` are its two flags. */
struct sim_raft_message {
    enum sim_raft_type type;
    uint64_t term;
    ord_node_id sender;
    bool first;  /* VOTE_REQUEST and _ANSWER: PreVote; APPEND: has an entry; APPEND_ANSWER: rejected; RECALL: silent */
    bool second; /* VOTE_REQUEST: transfer; VOTE_ANSWER: granted; APPEND_ANSWER: silent; RECALL: empty */
    uint64_t seq;
    uint64_t seq_term;
    uint64_t commit_seq;
    uint64_t entry_term;
    uint64_t asked_term;
    uint64_t life;
    uint64_t granted_term;
    uint64_t acked_term;
    uint64_t acked_seq;
};

/* A replica's log as its effects made it: (base, last]. */
struct sim_raft_log {
    uint64_t base_seq;
    uint64_t base_term;
    uint64_t last_seq;
    uint64_t *terms; /* by seq */
    size_t capacity;
};

/* What is known of one replica, over all its lives. */
struct sim_raft_node {
    struct sim_raft_log log;
    uint64_t put_term; /* of the newest hard state that its core wrote in this life */
    ord_node_id put_vote;
    uint64_t life;                        /* of its newest ASK; SIM_RAFT_LOST: its disk was lost since */
    uint64_t heard_life[ORD_REPLICA_MAX]; /* of each one's newest ASK that it took in this life */
    ord_replica_set told;                 /* the replicas whose RECALLs it took in this life */
    uint64_t heard_ms;                    /* when it last took a message of its leader, + 1; 0: it took none */
    uint64_t told_seq; /* the highest seq that a leader's message allowed it to deliver in this life */
    bool led;          /* it leads */
};

#define SIM_RAFT_LOST UINT64_MAX

struct sim_raft_committed {
    uint64_t term;
    uint64_t digest;
    uint64_t by_term; /* the term of the leader that committed it first */
};

struct sim_raft {
    struct sim_map entries;  /* (seq, term) -> the term before it, and the digest of its batch */
    struct sim_map leaders;  /* (term) -> replica + 1 */
    struct sim_map votes;    /* (replica, term) -> candidate + 1 */
    struct sim_map prevotes; /* (replica, term, candidate) -> 1 */
    struct sim_raft_node *nodes;
    uint64_t term_max;                    /* the highest term that anybody entered */
    struct sim_raft_committed *committed; /* by seq, from 1 on */
    size_t committed_count;
    size_t committed_capacity;
    /* check_raft_leader.c */
    uint64_t look_us;
    ord_replica_set able;
    uint64_t leaderless_us; /* since when those that are able have no leader, + 1; 0: they have one, or are too few */
};

/* One step of one core. */
struct sim_raft_step {
    struct sim_replica *replica;
    struct sim_raft *raft;
    struct sim_raft_node *node;
    const struct ord_event *event;
    const struct ord_status *before; /* `detail` is not valid in it */
    const struct ord_status *after;
    const struct ord_effects *effects;
    bool is_message;
    struct sim_raft_message message; /* that was taken */
};

void sim_raft_create(struct sim_world *world);
void sim_raft_destroy(struct sim_world *world);
/* A process begins, with what its disk has. */
void sim_raft_started(struct sim_replica *replica);
/* The replica's disk is lost, or an older one. */
void sim_raft_forgot(struct sim_replica *replica);
/* After a step of its core that was taken. */
void sim_raft_stepped(struct sim_replica *replica, const struct ord_event *event, const struct ord_status *before,
                      const struct ord_effects *effects);
/* A message of the core leaves. */
void sim_raft_leaves(struct sim_replica *replica, ord_replica_set to, struct ord_span bytes);
/* After a commit. */
void sim_raft_durable(struct sim_replica *replica);
/* After each event of the world: is there a leader? */
void sim_raft_look(struct sim_world *world);
/* True if a majority could follow a leader and nobody leads. */
bool sim_raft_elects(const struct sim_world *world);
/* A processor or a disk that is at work for longer at a time is busy, and the bound leaves its replica out. */
uint64_t sim_raft_busy_us(const struct sim_plan *plan);
/* The longest time until the core of this replica wants to be woken; UINT64_MAX: any. */
uint64_t sim_raft_due_ms(const struct sim_replica *replica);
/* Tells of a message that arrives. */
void sim_raft_trace(struct sim_world *world, uint32_t target, uint32_t source, struct ord_span bytes);

/* check_raft_said.c. False: these are no message. */
bool sim_raft_read(struct sim_raft_message *out, struct ord_span bytes);
void sim_raft_said(struct sim_raft_step *step, const struct ord_effect *send);
void sim_raft_put_hard(struct sim_raft_step *step, struct ord_span record);
void sim_raft_said_step(struct sim_raft_step *step);
/* check_raft_log.c */
void sim_raft_log_step(struct sim_raft_step *step);
/* Term of the entry at base_seq <= seq <= last_seq. */
uint64_t sim_raft_term(const struct sim_raft_log *log, uint64_t seq);
/* Term and vote of a hard state. A record that is not there has term 0. */
void sim_raft_hard(uint64_t *term, ord_node_id *vote, struct ord_span record);
static inline uint32_t sim_raft_majority(const struct sim_world *world) {
    return world->replica_count / 2 + 1;
}

#endif
