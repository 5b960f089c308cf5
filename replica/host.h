/*
 * What one channel's replica needs from outside: this page is all of it. node/ answers with LMDB, sockets and threads, sim/
 * with a world of its own.
 *
 * Caveats first:
 * - The replica is one thread's. The host calls it from there, and every function here is called from there, within
 *   replica_create, replica_turn, replica_commit, replica_committed or replica_destroy. None of them may call the replica.
 * - Whatever is put gathers in one transaction. It becomes durable when the host commits it, which the host does only
 *   when replica_turn or replica_commit gives it a turn's number (replica/replica.h).
 * - Readers see committed data only, the replica's own puts included.
 * - Spans are the caller's and valid during the call, in both directions, unless a comment says otherwise.
 */
#ifndef ORDAIN_REPLICA_HOST_H
#define ORDAIN_REPLICA_HOST_H

#include <stdarg.h>

#include "channel/attestation.h"
#include "core/protocol.h"
#include "replica/verify.h"

/* Messages between replicas, by the kind that stands before each in a frame (docs/formats.md). */
enum replica_link {
    REPLICA_LINK_CORE = 1,        /* bytes of the consensus core */
    REPLICA_LINK_ATTESTATION = 2, /* one attestation */
    REPLICA_LINK_CERTIFICATE = 3, /* the certificate of a stable checkpoint, for a replica that is behind it */
    REPLICA_LINK_FORWARD = 4,     /* a batch of envelopes that clients gave to a backup */
    REPLICA_LINK_SYNC_REQUEST = 5,
    REPLICA_LINK_SYNC_BLOCKS = 6,
    REPLICA_LINK_SYNC_TAIL = 7,
};

enum replica_log_level { REPLICA_LOG_ERROR, REPLICA_LOG_WARN, REPLICA_LOG_INFO, REPLICA_LOG_DEBUG };

/*
 * Records and blocks. Puts go into the open transaction, and the first one opens it; an error of a put ends the replica.
 * Reads copy out into malloc'ed memory that the replica frees: NOT_FOUND, CORRUPT, NO_MEMORY, IO, TOO_LARGE.
 */
struct replica_store {
    void *context;
    /* Height must be last + 1, or 0 first. */
    enum ord_err (*put_block)(void *context, uint64_t height, struct ord_span header, struct ord_span data);
    enum ord_err (*put_index)(void *context, uint32_t client_index, uint64_t sequence, uint64_t height,
                              uint32_t envelope_index);
    enum ord_err (*put_certificate)(void *context, uint64_t height, struct ord_span certificate);
    enum ord_err (*put_client)(void *context, uint32_t client_index, struct ord_span record);
    /* A small record by name (replica/records.h); an empty value deletes it. */
    enum ord_err (*put_meta)(void *context, const char *name, struct ord_span value);
    /* Records of the consensus core. forget: those of `table` with key <= `key`; forget_after: with key > `key`. */
    enum ord_err (*put_record)(void *context, const struct ord_record *record);
    enum ord_err (*forget)(void *context, uint8_t table, uint64_t key);
    enum ord_err (*forget_after)(void *context, uint8_t table, uint64_t key);
    /* Is anything put that no commit has taken yet, and how many bytes of turn_bytes_max does it count? */
    bool (*dirty)(void *context);
    uint64_t (*turn_bytes)(void *context);

    /* Header and data of a block, end to end. */
    enum ord_err (*get_block)(void *context, struct ord_bytes *out, uint64_t height);
    /* Headers of [from, to] end to end; ends early at `bytes_max` or at the newest. */
    enum ord_err (*get_headers)(void *context, struct ord_bytes *out, uint64_t from, uint64_t to, size_t bytes_max);
    /* The certificate at the lowest height >= `height`, which `*at` gets; also one that was given to `certified` only. */
    enum ord_err (*get_certificate)(void *context, struct ord_bytes *out, uint64_t *at, uint64_t height);
    enum ord_err (*get_client)(void *context, struct ord_bytes *out, uint32_t client_index);
    enum ord_err (*get_meta)(void *context, struct ord_bytes *out, const char *name);
    enum ord_err (*get_record)(void *context, struct ord_bytes *out, uint8_t table, uint64_t key);
    /* All of them, sorted by (table, key), in one block of memory: free(*records). */
    enum ord_err (*get_records)(void *context, struct ord_record **records, size_t *count);
    /* Of the newest block; NOT_FOUND: there is none. */
    enum ord_err (*height)(void *context, uint64_t *height);
};

/* What the replica decided about one envelope of a submission. */
enum replica_verdict {
    REPLICA_ACCEPTED,  /* it waits in this replica's pool, which promises no more than that */
    REPLICA_DUPLICATE, /* ordered before (`ordered` is set), or another body waits under its number */
    REPLICA_BUSY,
    REPLICA_TOO_LARGE,
    REPLICA_BAD_REQUEST,
    REPLICA_FORBIDDEN,
    REPLICA_UNKNOWN_CLIENT,
};

struct replica_result {
    enum replica_verdict verdict;
    const char *message; /* static text, or NULL */
    bool ordered;        /* DUPLICATE: it stands in the chain under (client_index, sequence) */
    uint32_t client_index;
    uint64_t sequence;
};

/* A client's envelopes. The host owns it and what its spans point to, from replica_turn until `answer`. */
struct replica_submission {
    uint64_t source;                  /* who submits: any number >= ORD_REPLICA_MAX; shares are counted by it */
    const struct ord_span *envelopes; /* `count` of them, 1 .. REPLICA_SUBMISSION_MAX */
    uint32_t count;
    struct replica_result *results; /* `count` of them, the host's memory; written before `answer` */
    ord_node_id leader;             /* as known when it was answered; ORD_NO_NODE: none */
};
#define REPLICA_SUBMISSION_MAX 4096

/* What can enter a turn. */
enum replica_input_type {
    REPLICA_INPUT_MESSAGE,   /* of another replica, over its authenticated link */
    REPLICA_INPUT_CHECKED,   /* a check comes back */
    REPLICA_INPUT_SUBMITTED, /* a client's submission */
    REPLICA_INPUT_HAND_OVER, /* the process is about to stop: let another lead */
};

struct replica_input {
    enum replica_input_type type;
    union {
        struct {
            ord_node_id from;
            uint8_t kind; /* enum replica_link, or anything else that a liar sends */
            struct ord_span bytes;
            void *owner; /* of `bytes`: they stay valid as long as somebody holds it */
        } message;
        struct replica_check *check;
        struct replica_submission *submission;
    };
};

struct replica_host {
    void *context;
    struct replica_store store;
    /* The next input of the turn under way. False: there is no more. */
    bool (*next)(void *context, struct replica_input *out);
    /*
     * One message to each replica of the set; bytes are copied. It leaves when `turn` is durable (replica_durable_turn), or
     * at once when `turn` is 0. A link may lose it. The set may name replicas that are not there, and this one.
     */
    void (*send)(void *context, uint64_t turn, ord_replica_set to, enum replica_link kind, const struct ord_span *parts,
                 size_t part_count);
    /* The replicas to which a message would leave now. */
    ord_replica_set (*connected)(void *context);
    /*
     * Has replica_check_run called once, in any thread, and gives the check back as an input of a later turn, or of this
     * one. Every check comes back, or is given to replica_check_drop before replica_destroy.
     */
    void (*check)(void *context, struct replica_check *check);
    /* Keeps the owner of a message's bytes alive, once more or once less. */
    void (*hold)(void *context, void *owner);
    void (*release)(void *context, void *owner);
    /* Every envelope has its result. The submission is the host's again. */
    void (*answer)(void *context, struct replica_submission *submission);
    /*
     * Blocks up to `height` are committed and certified: readers may have them. `certificate` proves `height`; it may not be
     * committed yet. NULL: the one that the store has does.
     */
    void (*certified)(void *context, uint64_t height, const struct channel_certificate *certificate);
    /* One event for the log: a name, and "key=value" pairs. */
    void (*log)(void *context, enum replica_log_level level, const char *event, const char *format, va_list arguments);
};

#endif
