/*
 * The outside world of one channel's replica: everything that the replica needs from it is on this page. node/
 * implements it with LMDB, sockets and threads; sim/ implements it with a world of its own.
 *
 * Caveats first:
 * - One thread owns the replica. The host calls the replica from that thread, and the replica calls every function here
 *   from it, within replica_create, replica_turn, replica_commit, replica_committed or replica_destroy. None of these
 *   functions may call the replica.
 * - Puts gather in one transaction. They become durable when the host commits it. The host does that only when
 *   replica_turn or replica_commit gives it a turn's number (replica/replica.h).
 * - Reads see committed data only. That holds for the replica's own puts as well.
 * - Spans belong to the caller and are valid during the call, in both directions, unless a comment says otherwise.
 */
#ifndef ORDAIN_REPLICA_HOST_H
#define ORDAIN_REPLICA_HOST_H

#include <stdarg.h>

#include "channel/attestation.h"
#include "core/protocol.h"
#include "replica/verify.h"

/* Messages between replicas. The kind stands before each message in a frame (docs/formats.md). */
enum replica_link {
    REPLICA_LINK_CORE = 1,        /* bytes of the consensus core */
    REPLICA_LINK_ATTESTATION = 2, /* one attestation */
    /* The certificate of a stable checkpoint, sent to a replica that is behind it. */
    REPLICA_LINK_CERTIFICATE = 3,
    /* A batch of envelopes that clients submitted to a backup. */
    REPLICA_LINK_FORWARD = 4,
    REPLICA_LINK_SYNC_REQUEST = 5,
    REPLICA_LINK_SYNC_BLOCKS = 6,
    REPLICA_LINK_SYNC_TAIL = 7,
    /* Names of envelopes that the sender forwards again if it is asked for them, and of those that it is asked for. */
    REPLICA_LINK_OFFER = 8,
    REPLICA_LINK_WANT = 9,
};

/*
 * Each link has two lanes. Bulk is what is large and comes in amounts: batches, forwards with their offers, and pieces
 * of a state transfer. Everything else is small and agreement waits for it: votes, view changes, STATUS, attestations,
 * certificates. Bulk delays none of it by more than one frame. Messages of one lane keep their order; between lanes
 * there is no order. `begin` is the message, or at least its first ORD_BULK_LOOK_SIZE bytes.
 */
bool replica_link_bulk(const struct ord_protocol *protocol, enum replica_link kind, struct ord_span begin);

enum replica_log_level { REPLICA_LOG_ERROR, REPLICA_LOG_WARN, REPLICA_LOG_INFO, REPLICA_LOG_DEBUG };

/* The host's own: LMDB is behind it in node/, and a simulated disk in sim/. */
struct ledger;

/*
 * Records and blocks. A put goes into the open transaction, and the first put opens it. An error of a put ends the
 * replica. A read copies into malloc'ed memory that the replica frees: NOT_FOUND, CORRUPT, NO_MEMORY, IO, TOO_LARGE.
 * After an error of a read, `out` is empty (data NULL, size 0), and there is nothing to free.
 */
struct replica_store {
    struct ledger *ledger;
    /* The height must be the last one + 1. The first block has height 0. */
    enum ord_err (*put_block)(struct ledger *ledger, uint64_t height, struct ord_span header, struct ord_span data);
    enum ord_err (*put_index)(struct ledger *ledger, uint32_t client_index, uint64_t sequence, uint64_t height,
                              uint32_t envelope_index);
    enum ord_err (*put_certificate)(struct ledger *ledger, uint64_t height, struct ord_span certificate);
    enum ord_err (*put_client)(struct ledger *ledger, uint32_t client_index, struct ord_span record);
    /* A small record by name (replica/records.h). An empty value deletes it. */
    enum ord_err (*put_meta)(struct ledger *ledger, const char *name, struct ord_span value);
    /*
     * Records of the consensus core. `forget` deletes those of `table` with key <= `key`, and `forget_after` those with
     * key > `key`.
     */
    enum ord_err (*put_record)(struct ledger *ledger, const struct ord_record *record);
    enum ord_err (*forget)(struct ledger *ledger, uint8_t table, uint64_t key);
    enum ord_err (*forget_after)(struct ledger *ledger, uint8_t table, uint64_t key);
    /*
     * `dirty`: true if something was put that no commit has taken yet. `turn_bytes`: how many bytes of turn_bytes_max
     * those puts count.
     */
    bool (*dirty)(const struct ledger *ledger);
    uint64_t (*turn_bytes)(const struct ledger *ledger);

    /* Makes the puts durable. The replica calls it once, for the first puts of an empty store. */
    enum ord_err (*commit)(struct ledger *ledger);

    /* The header and the data of a block, end to end. */
    enum ord_err (*get_block)(struct ledger *ledger, struct ord_bytes *out, uint64_t height);
    /* The headers of [from, to], end to end. They end early at `bytes_max` or at the newest block. */
    enum ord_err (*get_headers)(struct ledger *ledger, struct ord_bytes *out, uint64_t from, uint64_t to,
                                size_t header_size, size_t bytes_max);
    enum ord_err (*get_client)(struct ledger *ledger, struct ord_bytes *out, uint32_t client_index);
    enum ord_err (*get_meta)(struct ledger *ledger, struct ord_bytes *out, const char *name);
    enum ord_err (*get_record)(struct ledger *ledger, struct ord_bytes *out, uint8_t table, uint64_t key);
    /* All records of the core, sorted by (table, key), in one block of memory: free(*records). */
    enum ord_err (*get_records)(struct ledger *ledger, struct ord_record **records, size_t *count);
    /* The height of the newest block. NOT_FOUND: there is no block. */
    enum ord_err (*height)(struct ledger *ledger, uint64_t *height);
};

/* The replica's decision about one envelope of a submission. */
enum replica_verdict {
    /* It waits in this replica's pool. That promises nothing more. */
    REPLICA_ACCEPTED,
    /* Its number was ordered before: the chain tells whether for this envelope. `ordered` is set. */
    REPLICA_ORDERED,
    /* Another envelope waits here under its number. */
    REPLICA_TAKEN,
    REPLICA_BUSY,
    REPLICA_TOO_LARGE,
    REPLICA_BAD_REQUEST,
    REPLICA_FORBIDDEN,
    REPLICA_UNKNOWN_CLIENT,
};

struct replica_result {
    enum replica_verdict verdict;
    const char *message; /* static text, or NULL */
    /* An envelope is in the chain under (client_index, sequence), or will be in the next block. */
    bool ordered;
    uint32_t client_index;
    uint64_t sequence;
};

/*
 * A client's envelopes. The host owns it and what its spans point to; all of it stays valid from replica_turn until
 * `answer`.
 */
struct replica_submission {
    /* The submitter: any number >= ORD_REPLICA_MAX. Shares are counted by it. */
    uint64_t source;
    /* Another replica has accepted them, the client says. They are kept as if that one had forwarded them to all. */
    bool copy;
    const struct ord_span *envelopes; /* `count` of them, 1 .. REPLICA_SUBMISSION_MAX */
    uint32_t count;
    /* `count` of them, in the host's memory. The replica writes them before `answer`. */
    struct replica_result *results;
    /* The leader that was known when it was answered; ORD_NO_NODE: none. */
    ord_node_id leader;
    /* When it is worth trying again what was answered BUSY, in ms from the answer. 0: nothing was. */
    uint32_t retry_after_ms;
};
#define REPLICA_SUBMISSION_MAX 4096

/* The inputs of a turn. */
enum replica_input_type {
    /* A message of another replica, over its authenticated link. */
    REPLICA_INPUT_MESSAGE,
    REPLICA_INPUT_CHECKED,   /* a check comes back */
    REPLICA_INPUT_SUBMITTED, /* a client's submission */
    /* The process is about to stop: let another replica lead. */
    REPLICA_INPUT_HAND_OVER,
};

struct replica_input {
    enum replica_input_type type;
    union {
        struct {
            ord_node_id from;
            /* One of enum replica_link, or any other value that a liar sends. */
            uint8_t kind;
            struct ord_span bytes;
            /* The owner of `bytes`. They stay valid as long as somebody holds it. */
            void *owner;
        } message;
        struct replica_check *check;
        struct replica_submission *submission;
    };
};

struct replica_host {
    void *context;
    struct replica_store store;
    /*
     * The certificate at the lowest height >= `height`; `*at` gets that height. It includes certificates that were
     * given to `certified` and are not committed yet.
     */
    enum ord_err (*certificate)(void *context, struct ord_bytes *out, uint64_t *at, uint64_t height);
    /* Gives the next input of the turn under way. False: there is none left. */
    bool (*next)(void *context, struct replica_input *out);
    /*
     * Sends one message to each replica of the set. The bytes are copied. The message leaves when `turn` is durable
     * (replica_durable_turn), or at once if `turn` is 0. A link may lose it. replica_link_bulk says in which order
     * messages arrive. The set may name this replica, and
     * replicas that are not connected.
     */
    void (*send)(void *context, uint64_t turn, ord_replica_set to, enum replica_link kind, const struct ord_span *parts,
                 size_t part_count);
    /* The replicas to which a message would leave now. */
    ord_replica_set (*connected)(void *context);
    /*
     * Has replica_check_run called once, in any thread, and gives the check back as an input of this turn or of a later
     * one. Every check comes back, or is given to replica_check_drop before replica_destroy.
     */
    void (*check)(void *context, struct replica_check *check);
    /* Take and give back one hold of a message's owner. The bytes live while anybody holds it. */
    void (*hold)(void *context, void *owner);
    void (*release)(void *context, void *owner);
    /* Every envelope of the submission has its result. The submission belongs to the host again. */
    void (*answer)(void *context, struct replica_submission *submission);
    /*
     * Blocks up to `height` are committed and certified, so readers may have them. `certificate` proves `height`; it
     * may not be committed yet. NULL: a certificate in the store proves it.
     */
    void (*certified)(void *context, uint64_t height, const struct channel_certificate *certificate);
    /* Logs one event: a name, and "key=value" pairs. */
    void (*log)(void *context, enum replica_log_level level, const char *event, const char *format, va_list arguments);
};

#endif
