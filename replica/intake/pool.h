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

enum pool_state {
    POOL_CHECKING, /* its signature is being checked */
    POOL_READY,    /* to be proposed, or forwarded to the leader */
    /* Forwarded to the leader, which is another replica. */
    POOL_SENT,
    /* Forwarded to all, because it was not executed soon. */
    POOL_SPREAD,
    /* Another replica forwarded it, and it went on to the leader. */
    POOL_PASSED,
    POOL_PROPOSED, /* it stands in a batch under way */
    POOL_STATES,
};

/* (client_index, sequence) of an envelope. A registration has (UINT32_MAX, first 8 bytes of the fingerprint). */
struct pool_key {
    uint32_t client_index;
    uint64_t sequence;
};

struct pool_entry {
    struct pool_key key;
    enum pool_state state;
    bool foreign;          /* another replica forwarded it */
    uint64_t source;       /* who sent it here */
    uint64_t since_ms;     /* when it was admitted */
    uint64_t forwarded_ms; /* when it was last forwarded */
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
    uint32_t previous; /* index + 1; 0: none */
    uint32_t next;
    bool listed;
};

struct pool {
    struct pool_entry **buckets;
    uint32_t bucket_mask;
    /* Settled envelopes by client index. Registrations are counted together, behind the last client. */
    uint32_t *client_counts;
    /* Has the same indexes as client_counts. */
    struct pool_waiting *waiting;
    /* Index + 1 of the client that waits longest. The list is sorted by since_ms. */
    uint32_t waiting_first;
    uint32_t waiting_last;
    uint32_t clients_max;
    uint32_t envelopes_max;
    uint32_t client_envelopes_max;
    uint64_t bytes_max;
    uint32_t envelopes; /* in all states */
    uint64_t bytes;
    /* By state. SENT, SPREAD and PASSED are sorted by forwarded_ms; CHECKING stays empty. */
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
/* An envelope of this client was executed (UINT32_MAX: a registration). */
void pool_executed(struct pool *pool, uint32_t client_index, uint64_t now_ms);
/* Since when the client that waits longest has waited; UINT64_MAX: none waits. */
uint64_t pool_waiting_since(const struct pool *pool);
/* Makes everything READY again that was proposed or forwarded: it may have come to nothing. */
void pool_leader_changed(struct pool *pool);

#endif
