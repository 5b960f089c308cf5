/*
 * The request pool: admitted envelopes that are not executed yet, in order of arrival. Loop thread only. There are
 * bounds for envelopes and bytes, and for the envelopes of one client. Excess is refused with NO_SPACE, and
 * the client is told BUSY.
 *
 * A settled entry has its key alone. While signatures are being checked, several entries may share a key, because
 * anybody can send a forgery under anybody's key. So each source may have one of them under check, and the first that
 * turns out good gets the key.
 */
#ifndef ORDAIN_REPLICA_POOL_H
#define ORDAIN_REPLICA_POOL_H

#include "core/err.h"
#include "core/types.h"

/* SPREAD and PASSED have a state for each time that an envelope was sent again; the last one is kept. */
enum pool_state {
    POOL_CHECKING, /* its signature is being checked */
    POOL_READY,    /* to be proposed, or forwarded to the leader */
    /* Forwarded to the leader, which is another replica. */
    POOL_SENT,
    /* Offered to all, because it was not executed soon. */
    POOL_SPREAD,
    POOL_SPREAD_LAST = POOL_SPREAD + 3,
    /* Another replica forwarded it. It goes on to the leader if it is not executed. */
    POOL_PASSED,
    POOL_PASSED_LAST = POOL_PASSED + 4,
    POOL_PROPOSED, /* it stands in a batch under way */
    POOL_STATES,
};

/*
 * What an envelope costs the channel, in bytes: its own, and this many for its signature and its place in a block. One
 * number for both, so that one rate tells how long a queue of any envelopes takes.
 */
enum { POOL_ENVELOPE_COST = 1024 };

/* (client_index, sequence) of an envelope. A registration has (UINT32_MAX, first 8 bytes of the fingerprint). */
struct pool_key {
    uint32_t client_index;
    uint64_t sequence;
};

struct pool_entry {
    struct pool_key key;
    enum pool_state state;
    bool foreign;               /* another replica looks after it: it forwarded it, or has accepted it */
    uint64_t source;            /* who sent it here */
    uint64_t since_ms;          /* when it was admitted */
    uint64_t turn_ms;           /* when it could have been proposed (struct pool_turns); at least since_ms */
    uint64_t forwarded_ms;      /* when it was last forwarded; for PASSED, or when it became PASSED */
    ord_replica_set offered_to; /* offered with the last repeat, and not given since */
    uint64_t proposed_to;       /* the pool's `leaders` when it was last proposed; 0: never */
    bool copy;                  /* it came as a copy (pool_copies_cost), and nobody has submitted it here since */
    bool aged;                  /* it came in beyond the rate, after it had been refused (replica/intake/large.h) */
    bool owed;                  /* it is in the list of what the leader owes; then forwarded_ms is when it got there */
    /* Neighbours in that list. */
    struct pool_entry *owed_previous;
    struct pool_entry *owed_next;
    struct pool_entry *bucket_next;
    /* Neighbours in the list of its state. Entries under check are in no list. */
    struct pool_entry *previous;
    struct pool_entry *next;
    uint32_t size;
    uint8_t bytes[]; /* the envelope */
};

struct pool_list {
    struct pool_entry *head;
    struct pool_entry *tail;
    uint32_t count;
    uint64_t bytes;
};

/*
 * A client with envelopes here waits since this time for one of them to be executed. Each execution restarts the wait:
 * a client whose envelopes are executed one after the other is served, however many more it has sent.
 */
struct pool_waiting {
    uint64_t since_ms;
    /* When the envelope that it waits for could have been proposed. At least since_ms. */
    uint64_t turn_ms;
    uint32_t previous; /* index + 1; 0: none */
    uint32_t next;
    bool listed;
};

/*
 * When an envelope could have been proposed: when everything that was settled here before it could have been ordered at
 * `rate`. It does not depend on what the leader does, so a leader that leaves the pool full delays nobody's turn.
 */
struct pool_turns {
    /* Cost per second. 0: every envelope's turn comes at once. */
    uint64_t rate;
    /* A turn comes at most this long after the envelope was settled, however much is ahead of it. */
    uint64_t ahead_ms_max;
    /* When all that is settled could have been ordered, in microseconds. */
    uint64_t clear_us;
};

struct pool {
    struct pool_entry **buckets;
    uint32_t bucket_mask;
    /* Settled envelopes by client index. Registrations are counted together, behind the last client. */
    uint32_t *client_counts;
    /* What those cost. Has the same indexes, as have `waiting`. */
    uint64_t *client_costs;
    struct pool_waiting *waiting;
    struct pool_turns turns;
    /* Index + 1 of the client that waits longest. The list is sorted by since_ms, and also by turn_ms. */
    uint32_t waiting_first;
    uint32_t waiting_last;
    uint32_t clients_max;
    uint32_t envelopes_max;
    uint32_t client_envelopes_max;
    uint64_t bytes_max;
    uint32_t envelopes; /* in all states */
    uint64_t bytes;
    uint32_t settled; /* in all states except CHECKING */
    uint64_t settled_cost;
    uint64_t copies_cost;
    /* How many of the entries are `aged`. */
    uint32_t aged;
    /* Counts the leaders, from 1 on. */
    uint64_t leaders;
    /* What the leader owes, sorted by when this replica last sent it there. */
    struct pool_entry *owed_first;
    struct pool_entry *owed_last;
    /* By state. Those of SENT to PASSED_LAST are sorted by forwarded_ms; CHECKING stays empty. */
    struct pool_list lists[POOL_STATES];
};

/* `client` matters for a registration only, which has client_index UINT32_MAX. */
struct pool_key pool_key_of(uint32_t client_index, const struct ord_hash *client, uint64_t sequence);

/* NO_MEMORY. Also after that the pool is to be given to pool_deinit. */
ORD_MUST_USE enum ord_err pool_init(struct pool *pool, uint32_t envelopes_max, uint64_t bytes_max,
                                    uint32_t client_envelopes_max, uint32_t clients_max);
void pool_deinit(struct pool *pool);
/* The entry that has the key. NULL: none has it yet, although some may be under check. */
struct pool_entry *pool_find(const struct pool *pool, struct pool_key key);
/* The entry with these very bytes, settled or under check. */
struct pool_entry *pool_find_same(const struct pool *pool, struct pool_key key, struct ord_span envelope);
/*
 * Copies the envelope in, in state CHECKING. NO_SPACE: a bound is reached. EXISTS: a settled entry has the key. BUSY:
 * this very envelope, or another one of this source under this key, is under check. NO_MEMORY.
 */
ORD_MUST_USE enum ord_err pool_add(struct pool *pool, struct pool_entry **out, struct pool_key key, uint64_t source,
                                   struct ord_span envelope, uint64_t now_ms);
/*
 * The signature is good: the entry gets the key and becomes READY. EXISTS: another entry got the key first. NO_SPACE:
 * the client's share is full. After an error the entry is CHECKING as before.
 */
ORD_MUST_USE enum ord_err pool_settle(struct pool *pool, struct pool_entry *entry, uint64_t now_ms);
/* Moves a settled entry to the list of another state, which is not CHECKING. */
void pool_set_state(struct pool *pool, struct pool_entry *entry, enum pool_state state);
void pool_remove(struct pool *pool, struct pool_entry *entry);
/*
 * True if there is room and `source` may bring an envelope under this key: none is settled, and none of this source is
 * under check.
 */
bool pool_takes(const struct pool *pool, struct pool_key key, uint64_t source);
/* The entry, just added or settled, came as a copy; or it is none any more. */
void pool_set_copy(struct pool *pool, struct pool_entry *entry, bool copy);
/* The entry, just added, came in beyond the rate. */
void pool_set_aged(struct pool *pool, struct pool_entry *entry);
/* An envelope of this client was executed (UINT32_MAX: a registration). */
void pool_executed(struct pool *pool, uint32_t client_index, uint64_t now_ms);
/* The client that waits longest; NULL: none waits. */
const struct pool_waiting *pool_waiting_longest(const struct pool *pool);
/*
 * Makes everything READY again that was proposed or forwarded: it may have come to nothing. All turns are counted anew,
 * because the next leader has all of it before it, in an order of its own.
 */
void pool_leader_changed(struct pool *pool, uint64_t now_ms);
/* The entry was sent to the leader just now. Until it is proposed, removed or forgiven, the leader owes it. */
void pool_owe(struct pool *pool, struct pool_entry *entry);
/* The present leader proposed the entry. */
void pool_proposed(struct pool *pool, struct pool_entry *entry);
/*
 * True if the leader owes something that was sent to it before `before_ms`. What was sent before `lost_ms` is forgiven
 * until it is sent again: it may have been lost, and that is its sender's to mend.
 */
bool pool_owed(struct pool *pool, uint64_t before_ms, uint64_t lost_ms);
/* What all envelopes here cost, those under check included; at most pool_cost_max. */
uint64_t pool_cost(const struct pool *pool);
uint64_t pool_cost_max(const struct pool *pool);
/* What the copies of all clients cost, those under check included. */
uint64_t pool_copies_cost(const struct pool *pool);
/* What a client's settled envelopes cost, and how many they are. UINT32_MAX: registrations. */
uint64_t pool_client_cost(const struct pool *pool, uint32_t client_index, uint32_t *count);

#endif
