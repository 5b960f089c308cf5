/*
 * A whole channel in one process: replicas, their disks and clocks, the network between them, clients, faults, liars,
 * and the checks that watch them. One thread, one seed.
 */
#ifndef ORDAIN_SIM_WORLD_H
#define ORDAIN_SIM_WORLD_H

#include "channel/block.h"
#include "core/protocol.h"
#include "replica/host.h"
#include "sim/crypto.h"
#include "sim/disk.h"
#include "sim/line.h"
#include "sim/map.h"
#include "sim/plan.h"
#include "sim/queue.h"
#include "sim/random.h"

enum sim_answer { SIM_ANSWER_ACCEPTED, SIM_ANSWER_REFUSED, SIM_ANSWER_BUSY, SIM_ANSWER_RECEIPT };

/* A process's own clock: milliseconds since an origin of its own. It runs fast or slow, and may jump ahead. */
struct sim_clock {
    uint64_t base_us;  /* world's time */
    uint64_t local_us; /* this clock's time at base_us */
    uint32_t rate_ppm; /* 1000000: exact */
};

struct sim_process;

/* One machine. Two machines with one id are twins. */
struct sim_replica {
    struct sim_world *world;
    uint32_t instance;
    ord_node_id id;
    bool liar;
    /* It lost its promises. It counts against f like a liar, but does not lie, until no doubt is left (rule 26). */
    bool forgetful;
    /* It was forgetful: its statements up to this seq may contradict one another. 0: it never was. */
    uint64_t forgot_until_seq;
    /* The highest view that it had asked for when it became forgetful. */
    uint64_t forgot_view;
    /* The newest view that it installed, if that is above 0, and the last seq that its NEW-VIEW proposes again. */
    uint64_t new_view;
    uint64_t new_view_seq;
    uint64_t rotated_to; /* the view that was due on schedule when it last went to one */
    /* It took part, and that is on its disk. */
    bool spoke;
    /* STATUS messages sent, one for each receiver; and the same when traffic was looked at first at rest. */
    uint64_t statuses_sent;
    uint64_t statuses_at_rest;
    uint64_t silent_until_seq; /* 0: not silent */
    bool paused;
    bool full;            /* no room on disk */
    uint32_t incarnation; /* processes so far */
    uint64_t slow_disk_until_us;
    struct sim_clock clock;
    int64_t wall_off_s; /* error of its wall clock */
    struct sim_disk disk;
    struct sim_disk image; /* an old one */
    bool has_image;
    uint64_t image_us; /* when it was made */
    bool older;        /* raft: its disk is an older one, and not all others have told it what they know of it */
    /* The disk as it will be after the last commits are lost, and the commits until then; 0: none will be lost. */
    struct sim_disk recent;
    uint32_t recent_commits;
    uint64_t recent_us;            /* when the first commit that will be lost was under way */
    uint64_t slow_commit_until_us; /* the end of the last commit that its disk, or raft: its size, drew out */
    uint64_t stalled_until_us;     /* no commit is done before */
    uint64_t slow_links_us;        /* each message to it and from it takes so much longer */
    uint64_t started_us;
    uint64_t led_us;             /* raft: when it led last */
    struct sim_process *process; /* NULL: down */
    uint64_t behaviours;         /* a liar's bits */
    /* A liar's draws. The machine below it has a stream of its own. */
    struct sim_random random;
    struct sim_random machine_random;
    struct sim_liar *lies;
};

struct sim_path {
    /* So what one replica sends does not change how long the messages of another one take. */
    struct sim_random random;
    /*
     * Arrival of the newest message, by lane: bulk is 1. Without reordering, no later message of that lane arrives
     * before it. Between the lanes there is no order (replica_link_bulk).
     */
    uint64_t last_us[2];
    struct sim_line line;
    uint64_t clogged_until; /* in us */
    uint64_t late_until_us; /* when the last message that this held back arrives */
    bool cut;
};

/* ambush.c */
struct sim_ambush {
    uint8_t stage; /* 0: none is laid */
    ord_node_id victim;
    ord_node_id struck; /* ORD_NO_NODE: none yet */
    uint64_t view;      /* view of the last step */
    uint64_t until_us;
};

struct sim_client;
struct sim_checker;
struct sim_service;
struct sim_raft;
struct sim_aim;

struct sim_world {
    struct sim_options options;
    struct sim_plan plan;
    uint64_t now_us;
    struct sim_queue queue;
    uint64_t trace_hash;
    uint64_t event_count;
    bool healed;
    /* Since all came to rest: when traffic is looked at next, and what was sent when it was looked at first. */
    uint64_t quiet_us;
    bool counts_rest;
    uint64_t messages_at_rest;
    uint64_t view_at_rest;
    uint64_t ordered_at_rest; /* seqs */
    bool failed;
    char failure[512];

    struct channel_config *config;
    struct ord_hash genesis_hash;
    struct channel_header genesis_header;
    struct sim_buffer *genesis_data;
    struct sim_crypto crypto;
    const struct ord_protocol *protocol;

    uint32_t replica_count;  /* ids */
    uint32_t instance_count; /* >= replica_count: twins follow */
    struct sim_replica *replicas;
    struct sim_ambush ambush;
    struct sim_path *paths;     /* instance x instance */
    uint64_t lane_bytes_max[2]; /* bulk is 1 */
    struct sim_raft *raft;      /* check_raft.h; NULL: this is no raft channel */
    struct sim_aim *aim;        /* aim.c; NULL likewise */
    /*
     * raft: a replica, + 1, that comes back with an older disk, during which nothing else may fail (docs/adr/0015,
     * "What remains"). 0: none.
     */
    uint32_t still;
    struct sim_client *clients;
    struct sim_checker *checker;
    struct sim_service *service; /* check_service.h; NULL: it is not measured */

    struct sim_random fault_random;
    uint64_t strikes; /* faults so far; each has a stream of its own */
    struct sim_random client_random;
    struct sim_random client_path_random;
    struct sim_random lie_random;
    uint64_t messages_sent;
    /* What the honest replicas sent. */
    uint64_t honest_messages;
    uint64_t honest_bytes;
    uint64_t crashes;
    uint64_t lies;
};

struct sim_world *sim_world_create(const struct sim_options *options);
void sim_world_destroy(struct sim_world *world);
/* Runs until all is at rest, the limit is reached, or a check fails. */
void sim_world_run(struct sim_world *world);

/* What is PBFT's own is looked at in a pbft channel alone; raft's own is in sim/check_raft.h. */
static inline bool sim_is_pbft(const struct sim_world *world) {
    return world->plan.consensus == CHANNEL_PBFT;
}
static inline bool sim_is_raft(const struct sim_world *world) {
    return world->plan.consensus == CHANNEL_RAFT;
}
static inline bool sim_is_solo(const struct sim_world *world) {
    return world->plan.consensus == CHANNEL_SOLO;
}

/* Reports a violation. The first one ends the run. */
void sim_fail(struct sim_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The violation "RULE: replica N ...". The format tells what the replica does. */
void sim_blame(const struct sim_replica *replica, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Writes a line of the trace for an instance; -1: for the world. Does nothing without --trace. */
void sim_say(struct sim_world *world, int64_t instance, const char *format, ...) __attribute__((format(printf, 3, 4)));
void sim_plan_event(struct sim_world *world, uint64_t delay_us, const struct sim_event *event);

/* True if it neither lies nor is forgetful: the invariants of an honest replica hold for it. */
static inline bool sim_honest(const struct sim_replica *replica) {
    return !replica->liar && !replica->forgetful;
}

static inline uint64_t sim_clock_us(const struct sim_world *world, const struct sim_clock *clock) {
    return clock->local_us + (world->now_us - clock->base_us) * clock->rate_ppm / 1000000;
}
static inline uint64_t sim_clock_ms(const struct sim_replica *replica) {
    return sim_clock_us(replica->world, &replica->clock) / 1000;
}

/* network.c. Makes the paths, once it is known how many machines there are. */
void sim_network_create(struct sim_world *world);
/* Sends to every instance of the id. Takes over the caller's hold of `buffer`. */
void sim_network_send(struct sim_world *world, uint32_t from_instance, ord_node_id to, enum replica_link kind,
                      struct sim_buffer *buffer);
void sim_network_destroy(struct sim_world *world);
/* The longest message of a replica is known: the lanes' bounds follow from it, as in node/links.c. */
void sim_network_room(struct sim_world *world, size_t message_bytes_max);
/* A path's transmitter is done with a frame. */
void sim_network_line(struct sim_world *world, uint32_t path);
/* The machine's process is gone: nothing of what waits to leave it leaves. */
void sim_network_down(struct sim_world *world, uint32_t instance);
/* The delay to or from a client. False: the message is lost. */
bool sim_network_client_delay(struct sim_world *world, uint64_t *delay_us);
void sim_network_heal(struct sim_world *world);
/* True while a message that a clog held back is still to come. It may be so after the faults have ended. */
bool sim_network_late(const struct sim_world *world);

/* faults.c. The replica is about to commit. True: it dies instead, and its disk loses the last commits. */
bool sim_faults_lose(struct sim_replica *replica);

/* ambush.c. sim_ambush_takes is true if the ambush takes this message away. */
void sim_ambush_begin(struct sim_world *world, uint32_t victim);
void sim_ambush_end(struct sim_world *world);
bool sim_ambush_takes(struct sim_world *world, ord_node_id from, ord_node_id to, enum replica_link kind,
                      struct ord_span message);

/* faults.c */
void sim_faults_begin(struct sim_world *world);
/* No fault is in force now: all is healed, or a replica with an older disk comes back. */
static inline bool sim_faultless(const struct sim_world *world) {
    return world->healed || world->still != 0;
}
/* The replica with the older disk is back. */
void sim_faults_go_on(struct sim_world *world);
/* Strikes with this kind of fault for `length_us`. */
void sim_faults_pause(struct sim_replica *replica, uint64_t length_us);
void sim_faults_fill(struct sim_replica *replica, uint64_t length_us);
void sim_faults_mend(struct sim_world *world, uint64_t after_us);
void sim_faults_stop(struct sim_replica *replica);
void sim_faults_jump(struct sim_replica *replica, uint64_t by_us);
/* It crashes, and comes back with an empty disk, unless too many have forgotten something. */
void sim_faults_empty(struct sim_replica *replica, uint64_t away_us);
uint64_t sim_faults_length_us(struct sim_world *world);

/* aim.c: faults that are aimed at a raft channel. */
/* The leader of the highest term; NULL: nobody leads. */
struct sim_replica *sim_leader(const struct sim_world *world);
void sim_aim_create(struct sim_world *world);
void sim_aim_destroy(struct sim_world *world);
void sim_aim_strike(struct sim_world *world);
/* After each event. */
void sim_aim_step(struct sim_world *world);
/* The replica's commit is done on its disk, or about to be; true: the process dies here. */
bool sim_aim_kills(struct sim_replica *replica);
void sim_aim_event(struct sim_world *world, uint64_t part);
/* trouble.c */
void sim_trouble_begin(struct sim_world *world);
void sim_trouble_event(struct sim_world *world, uint64_t part);
void sim_faults_event(struct sim_world *world, const struct sim_event *event);
/* Ends the process. It starts again after `down_us`, unless that is UINT64_MAX. */
void sim_crash(struct sim_replica *replica, uint64_t down_us);

#endif
