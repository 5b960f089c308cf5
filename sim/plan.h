/*
 * What a seed decides before a run begins: the channel, the load, which faults happen and how strong, and who lies how (a swarm,
 * as in Groce et al., "Swarm testing", ISSTA'12: each run has its own small set of features).
 */
#ifndef ORDAIN_SIM_PLAN_H
#define ORDAIN_SIM_PLAN_H

#include "channel/config.h"

#define SIM_FAULTS(X)                                                                                                  \
    X(LOSS, "loss", "messages are lost")                                                                               \
    X(DUPLICATE, "duplicate", "messages come twice")                                                                   \
    X(REORDER, "reorder", "messages overtake one another")                                                             \
    X(PARTITION, "partition", "the network falls apart, each time elsewhere, and heals")                               \
    X(ONE_WAY, "one-way", "a replica is heard but hears nothing, or the other way round")                              \
    X(CLOG, "clog", "a link delivers nothing for a while, then all at once")                                           \
    X(CRASH, "crash", "processes die, also in the middle of a commit, and start again")                                \
    X(PAUSE, "pause", "processes stand still for a while")                                                             \
    X(CLOCK, "clock", "clocks are apart, drift and jump ahead")                                                        \
    X(SLOW_DISK, "slow-disk", "syncs take long")                                                                       \
    X(IO_ERROR, "io-error", "a commit fails and the process ends")                                                     \
    X(DISK_FULL, "disk-full", "a replica takes nothing in for a while")                                                \
    X(OLD_IMAGE, "old-image", "a replica starts again from an old image of its disk")                                  \
    X(EMPTY_DISK, "empty-disk", "a replica's disk is found damaged and replaced by an empty one")                      \
    X(CLIENTS, "clients", "clients lie: two bodies for a sequence, far sequences, forged signatures, junk")            \
    X(AMBUSH, "ambush", "one replica alone prepares, and is away until others have prepared something else")

enum sim_fault {
#define SIM_FAULT_ENUM(name, text, what) SIM_FAULT_##name,
    SIM_FAULTS(SIM_FAULT_ENUM)
#undef SIM_FAULT_ENUM
        SIM_FAULT_COUNT
};

struct sim_options {
    uint64_t seed;
    bool trace;
    bool faults_given; /* `faults` instead of a draw */
    uint64_t faults;   /* bit of each enum sim_fault */
    bool liars_given;  /* `liars` instead of a draw */
    uint64_t liars;    /* bit of each behaviour of sim/liar.h */
    uint32_t replicas; /* 0: drawn */
    uint32_t fault_ms; /* how long faults go on; 0: drawn */
    bool calm;         /* moderate load and defaults, for measuring */
};

struct sim_plan {
    uint32_t replica_count;
    uint32_t faulty_max; /* f */
    bool real_crypto;
    /* the channel */
    uint32_t window;
    uint32_t checkpoint_interval;
    uint32_t decisions_per_leader; /* 0: views do not end by themselves */
    uint32_t absolute_max_bytes;
    uint32_t preferred_max_bytes;
    uint32_t max_message_count;
    uint32_t batch_timeout_ms;
    uint32_t batch_bytes_max;
    uint64_t body_bytes_max;
    uint32_t retransmit_ms;
    uint32_t request_timeout_ms;
    uint32_t clients_max;
    /* load */
    uint32_t client_count;
    uint64_t client_every_us; /* between two requests of one client, on average */
    uint32_t client_window;   /* requests of a client that wait at once */
    uint32_t large_ppm;       /* how often a request is as large as it may be */
    uint32_t lying_clients;
    /* network */
    uint64_t delay_us; /* mean, beside the least */
    uint64_t delay_least_us;
    uint32_t loss_ppm;
    uint32_t duplicate_ppm;
    /* machines */
    uint64_t commit_us;  /* mean */
    uint64_t judge_us;   /* mean time to check some envelopes' signatures */
    uint64_t check_us;   /* mean time to check anything else; 0: none */
    bool waits_for_disk; /* a process does nothing while a commit is under way */
    uint32_t pool_envelopes_max;
    uint64_t pool_bytes_max;
    uint32_t client_envelopes_max; /* of one client, in a pool */
    uint32_t crash_in_commit_ppm;
    uint32_t io_error_ppm;
    /* faults */
    uint64_t faults; /* bits */
    uint64_t fault_every_us;
    uint64_t fault_long_us; /* mean length of one */
    uint64_t fault_end_us;  /* from then on there is none */
    uint64_t rest_limit_us; /* from then on, until all must be at rest */
    /* liars */
    uint32_t liar_count;
    uint64_t behaviours; /* bits; each liar draws some of them */
    uint32_t lie_ppm;    /* how often it lies when it could */
};

void sim_plan_draw(struct sim_plan *out, const struct sim_options *options);
const char *sim_fault_name(enum sim_fault fault);
const char *sim_fault_text(enum sim_fault fault);

#endif
