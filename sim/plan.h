/*
 * Everything that a seed decides before a run begins: the channel, the load, the faults and their strength, and the
 * liars and their behaviours. A swarm of runs as in Groce et al., "Swarm testing", ISSTA'12: each run has its own small
 * set of features.
 */
#ifndef ORDAIN_SIM_PLAN_H
#define ORDAIN_SIM_PLAN_H

#include "channel/config.h"
#include "sim/genome.h"

#define SIM_FAULTS(X)                                                                                                  \
    X(LOSS, "loss", "messages are lost")                                                                               \
    X(DUPLICATE, "duplicate", "messages arrive twice")                                                                 \
    X(REORDER, "reorder", "messages overtake one another")                                                             \
    X(PARTITION, "partition", "the network splits in two, each time elsewhere, and heals again")                       \
    X(ONE_WAY, "one-way", "a replica is heard but hears nothing, or hears but is not heard")                           \
    X(CLOG, "clog", "a link delivers nothing for a while, and then everything at once")                                \
    X(CRASH, "crash", "processes die, also in the middle of a commit, or stop in good order, and start again")         \
    X(PAUSE, "pause", "processes pause for a while")                                                                   \
    X(CLOCK, "clock", "clocks differ, drift and jump ahead")                                                           \
    X(SLOW_DISK, "slow-disk", "commits take long")                                                                     \
    X(IO_ERROR, "io-error", "a commit fails, and the process ends")                                                    \
    X(DISK_FULL, "disk-full", "a replica's disk is full for a while, and it takes nothing in")                         \
    X(OLD_IMAGE, "old-image", "a replica starts again with an old image of its disk")                                  \
    X(EMPTY_DISK, "empty-disk", "a replica's disk is replaced by an empty one")                                        \
    X(CLIENTS, "clients", "clients lie: two bodies for a sequence, far sequences, forged signatures, junk")            \
    X(AMBUSH, "ambush", "one replica alone prepares, and is cut off until others have prepared something else")        \
    X(LAST_WRITES, "last-writes", "a replica's disk loses its last few commits")                                       \
    X(AIM, "aim", "raft: faults that wait for a leader, a vote or a new term (sim/aim.c)")

enum sim_fault {
#define SIM_FAULT_ENUM(name, text, what) SIM_FAULT_##name,
    SIM_FAULTS(SIM_FAULT_ENUM)
#undef SIM_FAULT_ENUM
        SIM_FAULT_COUNT
};

struct sim_fault_text {
    const char *name;
    const char *what;
};

extern const struct sim_fault_text sim_faults[SIM_FAULT_COUNT];

/* ANY: one seed in four is a raft channel, unless another option asks for what such a channel does not have. */
enum sim_consensus { SIM_CONSENSUS_ANY, SIM_CONSENSUS_PBFT, SIM_CONSENSUS_RAFT };

struct sim_options {
    uint64_t seed;
    enum sim_consensus consensus;
    bool trace;
    /* Use `faults` instead of a draw. */
    bool faults_given;
    uint64_t faults; /* bits by enum sim_fault */
    /* Use `liars` instead of a draw. */
    bool liars_given;
    uint64_t liars; /* bits by enum sim_behaviour_index */
    /* The liars are the primaries of the first views. */
    bool liars_lead;
    /* Everything as drawn, but nobody lies. */
    bool without_liars;
    /* NULL, or what all liars do instead. Whoever makes the options keeps it until the run is over. */
    const struct sim_genome *genome;
    uint32_t replicas; /* 0: drawn */
    /* Simulated time with faults; 0: drawn. */
    uint32_t fault_ms;
    /* Views end after so many seqs; 0: as drawn, and not at all with `calm`. */
    uint32_t decisions_per_leader;
    /* With `calm`: so many times the moderate load; 0: once. */
    uint32_t load;
    /* Moderate load and default settings, for measuring. */
    bool calm;
    /* Every seed is a run in which service is measured. */
    bool service;
    /* With `calm`: small batches on a slow network, and clients that want many times what it can order. */
    bool crowded;
};

/* What work costs. The figures are those of docs/testing.md, multiplied by one factor. */
struct sim_costs {
    uint32_t cores; /* of each replica's processor; 0: work and bytes cost nothing */
    uint64_t verify_ns;
    uint64_t certificate_ns; /* a registration's certificate */
    uint64_t sign_ns;
    uint64_t turn_ns;
    uint64_t message_ns;   /* for each message that is received or sent */
    uint64_t byte_ps;      /* for each byte of it: the link's authenticator, TLS, copies */
    uint64_t write_ps;     /* for each byte of a commit */
    uint64_t link_bytes_s; /* each path's bandwidth */
    uint64_t lane_bytes;   /* bound of a lane, if that has room for two of the longest messages */
};

/* What befalls some replicas in the middle of the load, until it ends (sim/trouble.c). */
enum sim_trouble_kind { SIM_TROUBLE_CRASHED, SIM_TROUBLE_SLOW_DISK, SIM_TROUBLE_SLOW_LINKS, SIM_TROUBLE_COUNT };
struct sim_trouble {
    enum sim_trouble_kind kind;
    uint32_t count; /* of replicas, 0 to f */
    bool leads;     /* the leader is one of them, unless links are slow */
    uint64_t at_us;
    uint64_t slow_us; /* SIM_TROUBLE_SLOW_LINKS: for each message to and from them */
};

struct sim_plan {
    bool service; /* service is measured in this run: at most f replicas lie or fail */
    enum channel_consensus consensus;
    uint32_t replica_count;
    uint32_t faulty_max; /* f */
    bool real_crypto;
    /* The channel */
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
    /* raft alone; 0 elsewhere. The last two are of struct raft_options, where the replica has constants. */
    struct channel_raft raft;
    uint32_t in_flight_max;
    uint64_t in_flight_size;
    /* Load */
    uint32_t client_count;
    /* Mean time between two requests of one client. */
    uint64_t client_every_us;
    /* Limit of one client's requests that wait at once. */
    uint32_t client_window;
    /* So many clients, the last ones, have one request at a time. */
    uint32_t modest_clients;
    /* All clients make requests for so long, and none for as long, in turn; 0: they always do. */
    uint64_t client_wave_us;
    /* How often a request has the largest size. */
    uint32_t large_ppm;
    uint32_t lying_clients;
    /* Network */
    /* Mean of the delay that is added to the least one. */
    uint64_t delay_us;
    uint64_t delay_least_us;
    uint32_t loss_ppm;
    uint32_t duplicate_ppm;
    /* Machines */
    uint64_t commit_us; /* mean */
    /* Mean time to check some envelopes' signatures. */
    uint64_t judge_us;
    /* Mean time to check anything else; 0: none. */
    uint64_t check_us;
    /* A process does nothing while a commit is under way. */
    bool waits_for_disk;
    uint32_t pool_envelopes_max;
    uint64_t pool_bytes_max;
    uint32_t client_envelopes_max; /* per client, in a pool */
    uint32_t batch_newcomers_max;  /* registrations in a batch; 0: as many as usual */
    uint32_t crash_in_commit_ppm;
    uint32_t io_error_ppm;
    struct sim_costs costs;
    /* Faults */
    uint64_t faults; /* bits */
    uint64_t fault_every_us;
    uint64_t fault_long_us; /* mean length of one fault */
    /* 0, or faults strike these replicas only: so many from the first one on. */
    uint32_t victim_count;
    uint32_t victim_first;
    /* No fault strikes after this time. */
    uint64_t fault_end_us;
    /* Clients make new requests until this time, which may be later. */
    uint64_t load_end_us;
    struct sim_trouble trouble; /* raft, service */
    /* All must be at rest within this time after the load ends. */
    uint64_t rest_limit_us;
    /* Liars */
    uint32_t liar_count;
    bool liars_lead; /* they are the primaries of the first views */
    /* Bits; each liar has some of these behaviours. */
    uint64_t behaviours;
    /* How often a liar lies when it could. */
    uint32_t lie_ppm;
};

/* plan_service.c. Draws what work costs: to check a view change or a batch takes a `part` of the timeout at most. */
void sim_plan_costs(struct sim_plan *plan, struct sim_random *random, uint32_t part);
/* Makes it a run in which service is measured: a load that goes on for some time, and at most f that lie or fail. */
void sim_plan_service(struct sim_plan *plan, struct sim_random *random, const struct sim_options *options);
/* What such a run can order in a second, and how long a decision takes at most. Estimates. */
uint64_t sim_plan_capacity(const struct sim_plan *plan);
uint64_t sim_plan_decision_us(const struct sim_plan *plan);
/*
 * What a view that fails costs: up to four timeouts until the primary is suspected (bft/view/suspect.c: the oldest work
 * has waited for four), and twice the timeout for the view change.
 */
uint64_t sim_plan_view_us(const struct sim_plan *plan);
/* Service is measured from this time on: the faults, registrations, and two views that fail. */
uint64_t sim_plan_grace_us(const struct sim_plan *plan);

/* plan_raft.c. Whether the seed is a raft channel, and what makes it one. */
bool sim_plan_is_raft(const struct sim_options *options);
void sim_plan_raft(struct sim_plan *plan, const struct sim_options *options);
/* Messages of a leader and its followers in so many seconds in which nothing is ordered. 0: this is no raft channel. */
uint64_t sim_plan_heartbeats(const struct sim_plan *plan, uint64_t seconds);

void sim_plan_draw(struct sim_plan *out, const struct sim_options *options);

#endif
