/*
 * libordain: the client library of Ordain. It submits transactions to a channel and keeps them until there is a proof
 * that they are final. It fetches receipts and blocks and checks them against the genesis block alone. No single
 * replica is trusted.
 *
 * Caveats first:
 * - ACCEPTED says that one replica holds the envelope in memory. Only FINAL (a verified receipt) says that it is
 *   ordered for good. Until then the library keeps the envelope and submits it again by itself, to the same or to
 *   another replica. The channel's replay window makes that safe: an envelope is ordered at most once.
 * - Run one process per client identity at a time. Two processes that share an identity work, but they compete for
 *   sequence numbers.
 * - Functions marked "blocks" may take as long as their timeout. All others return at once.
 * - Event callbacks run in a thread of the library. They must not block and must not call ordain_submit, ordain_order,
 *   ordain_drain_accepted, ordain_drain_final or ordain_close.
 * - One client may be used from any number of threads; ordain_close must be the last call.
 *
 * This header needs only the C standard library, and works in C99 and in C++.
 */
#ifndef ORDAIN_CLIENT_ORDAIN_H
#define ORDAIN_CLIENT_ORDAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ORDAIN_HASH_SIZE   32
#define ORDAIN_REPLICA_MAX 64
#define ORDAIN_NAME_SIZE   65  /* a channel's name with its terminating NUL */
#define ORDAIN_TEXT_SIZE   512 /* a sentence that gives the reason for an error */
#define ORDAIN_ANY_REPLICA (-1)
#define ORDAIN_NO_REPLICA  UINT32_MAX

enum ordain_error {
    ORDAIN_OK = 0,
    ORDAIN_INVALID,     /* an argument, a file or a setting is wrong */
    ORDAIN_TOO_LARGE,   /* larger than the channel allows */
    ORDAIN_REFUSED,     /* the channel refuses it: malformed, or for another channel */
    ORDAIN_FORBIDDEN,   /* this client may not do that, or a key file is readable by others */
    ORDAIN_NOT_FOUND,   /* no such file, channel, client, block or receipt */
    ORDAIN_NOT_READY,   /* not there yet; ask again */
    ORDAIN_PRUNED,      /* existed once; the replica does not keep it any more */
    ORDAIN_UNREACHABLE, /* no replica (or not enough of them) answered */
    ORDAIN_TIMEOUT,     /* the time is over; the outcome is not known */
    ORDAIN_UNVERIFIED,  /* something that a replica gave or a file holds does not verify */
    ORDAIN_STOPPED,     /* a callback said stop, or the client was closed */
    ORDAIN_NO_MEMORY,
    ORDAIN_INTERNAL,       /* a system or library call failed */
    ORDAIN_SEQUENCE_TAKEN, /* another envelope of this client has the number; the outcome is not known */
};

/* "TOO_LARGE"; never NULL. */
const char *ordain_error_name(enum ordain_error error);

struct ordain; /* a client of one channel */

struct ordain_bytes {
    const void *data;
    size_t size;
};

struct ordain_options {
    const char *config_file; /* client.cfg */
    /* NULL: the channel that client.cfg names. INVALID if the genesis block is of another channel. */
    const char *channel;
    /* Talk to this replica only; ORDAIN_ANY_REPLICA: to the one that serves best. */
    int replica;
    /* FINAL events carry the receipt (this costs a copy of the envelope). */
    bool receipts;
};

void ordain_options_init(struct ordain_options *options);

/*
 * Opens a client: reads client.cfg, the genesis block and the keys, and starts to connect. It does not wait for a
 * replica. On failure `why` (may be NULL) gets a sentence; for a wrong setting the sentence names file and line.
 * INVALID, NOT_FOUND, FORBIDDEN, NO_MEMORY, INTERNAL.
 */
enum ordain_error ordain_open(struct ordain **out, const struct ordain_options *options, char *why, size_t why_size);
/*
 * Blocks briefly. Envelopes that are not final by now get a FAILED event, although they may still be ordered. NULL is
 * allowed.
 */
void ordain_close(struct ordain *client);

/* The channel, as the genesis block describes it. */
struct ordain_channel {
    char name[ORDAIN_NAME_SIZE];
    char consensus[16]; /* "solo", "pbft", "raft" */
    uint8_t genesis_hash[ORDAIN_HASH_SIZE];
    uint32_t replica_count;
    uint32_t liars_max;          /* so many replicas may lie, and what is proved is true all the same */
    uint32_t certificate_quorum; /* signatures that prove a block */
    uint32_t envelope_bytes_max; /* AbsoluteMaxBytes */
    uint32_t transactions_max;   /* most transactions in one envelope: MaxMessageCount */
};
void ordain_channel(const struct ordain *client, struct ordain_channel *out);
/* SHA-256 of the client's identity certificate. */
void ordain_fingerprint(const struct ordain *client, uint8_t out[ORDAIN_HASH_SIZE]);
/*
 * "host:port" of a replica, as the client dials it; NULL if there is no replica of this index. Valid as long as the
 * client.
 */
const char *ordain_replica_address(const struct ordain *client, uint32_t replica);

/* ---- Submitting ------------------------------------------------------------------------------------------------- */

enum ordain_event_kind {
    ORDAIN_EVENT_ACCEPTED, /* at most once, before FINAL or FAILED */
    ORDAIN_EVENT_FINAL,    /* the last event: a receipt was verified */
    ORDAIN_EVENT_FAILED,   /* the last event: refused, or the client was closed before the envelope was final */
};

struct ordain_event {
    enum ordain_event_kind kind;
    /* The client's own number of the envelope. It may change until FINAL. */
    uint64_t sequence;
    uint64_t elapsed_us; /* time since ordain_submit took the envelope */
    /* The next three fields are set in FINAL events. */
    uint64_t height;
    uint32_t index;              /* index of the envelope in its block */
    struct ordain_bytes receipt; /* if options.receipts is set; valid until the callback returns */
    /* The next two fields are set in FAILED events. */
    enum ordain_error error;
    const char *message; /* never NULL */
};

typedef void (*ordain_event_fn)(void *context, const struct ordain_event *event);

/*
 * Finds out where this client stands on the channel: registers its certificate if need be, and learns the sequence
 * number to continue with. The first call of ordain_submit does this by itself. Blocks. UNREACHABLE, FORBIDDEN,
 * REFUSED, UNVERIFIED, TIMEOUT.
 */
enum ordain_error ordain_prepare(struct ordain *client, uint32_t timeout_ms, char *why, size_t why_size);

/*
 * Signs one envelope of `count` transactions (1 .. transactions_max) in the calling thread and hands it over. The
 * transactions are copied. `on_event` (may be NULL) gets the envelope's events. Blocks only while too much is in
 * flight: sequence numbers may reach 4096 beyond the lowest that is not final, and the bytes under way stay within a
 * window that follows the channel's rate (docs/operating.md). TIMEOUT: there is still no room, and nothing was done.
 * TOO_LARGE: the envelope would exceed the channel's limits, and nothing was done. INVALID, and the errors of
 * ordain_prepare.
 */
enum ordain_error ordain_submit(struct ordain *client, const struct ordain_bytes *transactions, uint32_t count,
                                ordain_event_fn on_event, void *context, uint32_t timeout_ms);

/*
 * Submits one transaction and waits for its receipt. *receipt is malloc'ed and includes the envelope; pass NULL if the
 * receipt is not wanted. Otherwise the client must have been opened with options.receipts. Blocks. TIMEOUT: the
 * transaction may become final later.
 */
enum ordain_error ordain_order(struct ordain *client, struct ordain_bytes transaction, uint8_t **receipt,
                               size_t *receipt_size, uint32_t timeout_ms, char *why, size_t why_size);

/* Waits until everything submitted so far is accepted (or final, or failed). Blocks. TIMEOUT. */
enum ordain_error ordain_drain_accepted(struct ordain *client, uint32_t timeout_ms);
/* Waits until everything submitted so far is final (or failed). Blocks. TIMEOUT. */
enum ordain_error ordain_drain_final(struct ordain *client, uint32_t timeout_ms);

struct ordain_statistics {
    uint64_t submitted;    /* envelopes handed over */
    uint64_t accepted;     /* envelopes that at least one replica accepted */
    uint64_t final;        /* envelopes with a verified receipt */
    uint64_t failed;       /* envelopes that ended in FAILED */
    uint64_t requests;     /* submit requests sent */
    uint64_t busy;         /* envelopes to be sent again because a replica answered BUSY */
    uint64_t resent;       /* envelopes sent again for other reasons */
    uint64_t renumbered;   /* envelopes signed again under a fresh number */
    uint64_t duplicates;   /* DUPLICATE, SEQUENCE_TAKEN and SEQUENCE_USED answers */
    uint64_t certificates; /* certificates whose signatures were checked */
    uint64_t replies_bad;  /* replies that were malformed or did not verify */
};
void ordain_statistics(struct ordain *client, struct ordain_statistics *out);

/* True if this replica is suspect because it gave something that does not verify; `why` gets the first such reason. */
bool ordain_replica_suspect(struct ordain *client, uint32_t replica, char *why, size_t why_size);

/*
 * What this replica last answered, and how long ago: "BUSY: the pool is full, 3.1 s ago", and before that, if
 * there is no connection to it, why. For people; whoever gives up shows it.
 */
void ordain_replica_says(struct ordain *client, uint32_t replica, char *out, size_t out_size);

/* ---- Receipts --------------------------------------------------------------------------------------------------- */

/* What a verified receipt says. */
struct ordain_receipt {
    char consensus[16]; /* as in struct ordain_channel, by the genesis block */
    uint32_t replica_count;
    uint32_t liars_max;
    uint64_t height;
    uint32_t index; /* index of the envelope in its block */
    uint8_t block_hash[ORDAIN_HASH_SIZE];
    /* Height of the block that the signatures name; at least `height`. */
    uint64_t certified_height;
    uint32_t signer_count;
    uint32_t signers[ORDAIN_REPLICA_MAX];
    bool has_envelope; /* the fields below are set only if this is true */
    uint8_t envelope_id[ORDAIN_HASH_SIZE];
    uint8_t client[ORDAIN_HASH_SIZE];
    uint64_t sequence;
    uint32_t transaction_count; /* 0: the envelope is a registration or a configuration */
};

/* Fetches and verifies a receipt, with its envelope, from any replica that has it. *receipt is malloc'ed. Blocks. */
enum ordain_error ordain_receipt_by_sequence(struct ordain *client, uint8_t **receipt, size_t *size,
                                             const uint8_t fingerprint[ORDAIN_HASH_SIZE], uint64_t sequence,
                                             uint32_t timeout_ms, char *why, size_t why_size);
enum ordain_error ordain_receipt_by_place(struct ordain *client, uint8_t **receipt, size_t *size, uint64_t height,
                                          uint32_t index, uint32_t timeout_ms, char *why, size_t why_size);

/*
 * Checks a receipt offline: it needs the bytes of a genesis block file and of the receipt, and asks no replica.
 * INVALID: the first is not a genesis block. UNVERIFIED: `why` says which check failed.
 */
enum ordain_error ordain_receipt_verify(struct ordain_receipt *out, struct ordain_bytes genesis,
                                        struct ordain_bytes receipt, char *why, size_t why_size);
/* The same against the genesis block that this client has. */
enum ordain_error ordain_receipt_check(const struct ordain *client, struct ordain_receipt *out,
                                       struct ordain_bytes receipt, char *why, size_t why_size);
/*
 * Tells whether `transaction` is in the envelope of this receipt; `*index` gets its place. NOT_FOUND: it is not.
 * INVALID: the receipt has no envelope.
 */
enum ordain_error ordain_receipt_find(uint32_t *index, struct ordain_bytes receipt, struct ordain_bytes transaction);

/* ---- Blocks ----------------------------------------------------------------------------------------------------- */

/* A proved block. Everything in it is valid until the callback returns. */
struct ordain_block {
    uint64_t height;
    uint8_t hash[ORDAIN_HASH_SIZE];
    uint8_t previous_hash[ORDAIN_HASH_SIZE];
    uint8_t data_root[ORDAIN_HASH_SIZE];
    uint32_t envelope_count;
    uint32_t transaction_count;
    uint64_t byte_count;
    uint64_t last_seq;
    struct ordain_bytes header; /* the bytes that `hash` covers */
    struct ordain_bytes data;   /* the envelopes, each after its u32 length */
};

enum ordain_envelope_kind {
    ORDAIN_ENVELOPE_TRANSACTIONS = 1,
    ORDAIN_ENVELOPE_REGISTER = 2,
    ORDAIN_ENVELOPE_CONFIG = 3
};

struct ordain_envelope {
    enum ordain_envelope_kind kind;
    uint8_t id[ORDAIN_HASH_SIZE];
    uint8_t client[ORDAIN_HASH_SIZE];
    uint64_t sequence;
    uint32_t transaction_count;
    struct ordain_bytes transactions; /* input of ordain_transaction_next */
};

/* Takes the next envelope off `data` (a copy of block->data). False at the end. */
bool ordain_envelope_next(struct ordain_envelope *out, struct ordain_bytes *data);
/* Takes the next transaction off `transactions`. False at the end. */
bool ordain_transaction_next(struct ordain_bytes *out, struct ordain_bytes *transactions);

#define ORDAIN_FROM_NEWEST UINT64_MAX       /* deliver.from */
#define ORDAIN_TO_NEWEST   UINT64_MAX       /* deliver.to */
#define ORDAIN_TO_FOREVER  (UINT64_MAX - 1) /* deliver.to */

struct ordain_deliver {
    uint64_t from; /* height (0: the genesis block), or ORDAIN_FROM_NEWEST */
    uint64_t to;   /* height, ORDAIN_TO_NEWEST or ORDAIN_TO_FOREVER */
    /*
     * How long to wait for the next block if it does not exist yet; 0: without limit. With a height in `to`, 0 still
     * ends with UNREACHABLE when no replica answers. A busy replica is waited for.
     */
    uint32_t wait_ms;
    uint32_t poll_ms;   /* longest time that a replica may hold one request open; 0: 5000 */
    uint32_t bytes_max; /* approximate size of one reply; 0: 8 MiB */
    bool (*on_block)(void *context, const struct ordain_block *block); /* return false to stop */
    /*
     * Called when a replica failed, before the next is tried; and with ORDAIN_NO_REPLICA when none answers, or all that
     * do are busy, once and then every 10 s while that lasts. May be NULL.
     */
    void (*on_problem)(void *context, uint32_t replica, const char *why);
    bool (*stop)(void *context); /* called between replies; return true to stop; may be NULL */
    void *context;
};

struct ordain_delivered {
    uint64_t blocks; /* 0: the other fields mean nothing */
    uint64_t first;
    uint64_t last;
    uint64_t transactions; /* transactions of clients; registrations and configurations are not counted */
    uint64_t certificates; /* certificates that were checked */
    uint8_t head_hash[ORDAIN_HASH_SIZE];
    uint32_t replica; /* the replica that served the last block */
};

/*
 * Pulls blocks in order and gives out each once it is proved by header link, data root, counts, and a certificate at or
 * above it. From height 0 the chain starts at the genesis block. From a later height the first block's own link is
 * taken as it is, and the certificates carry the proof. A replica that serves anything else is named in on_problem, and
 * the next continues from the same place (unless options.replica pins one). Blocks. UNVERIFIED, UNREACHABLE, NOT_READY,
 * PRUNED, STOPPED, TIMEOUT, INVALID, NO_MEMORY.
 */
enum ordain_error ordain_deliver(struct ordain *client, const struct ordain_deliver *deliver,
                                 struct ordain_delivered *out, char *why, size_t why_size);

/* ---- Status ----------------------------------------------------------------------------------------------------- */

struct ordain_counter {
    char name[64];
    uint64_t value;
};

#define ORDAIN_COUNTER_MAX 256

/* What a replica says of itself. None of it is proved. */
struct ordain_status {
    uint32_t replica;
    bool reachable;
    char why[128]; /* why it is not reachable, or what is wrong with its answer */
    char consensus[16];
    char version[32];
    uint64_t epoch;
    uint64_t view;  /* raft: the term */
    int64_t leader; /* -1: not known */
    uint64_t height;
    uint64_t certified_height;
    uint8_t head_hash[ORDAIN_HASH_SIZE];
    uint8_t state_digest[ORDAIN_HASH_SIZE];
    uint64_t seq;
    uint64_t stable_seq;
    uint32_t in_flight;
    uint64_t pool_envelopes;
    uint64_t pool_bytes;
    uint64_t uptime_ms;
    bool syncing;
    bool intake_open;
    /* It has just started and asks the others which of its statements they hold; it does not vote yet. */
    bool asking;
    /* Its disk lacks something that it once stated; it does not vote. */
    bool silent;
    /* It stays silent until this seq is stable. */
    uint64_t silent_until_seq;
    /*
     * After a start: until this seq is stable, it counts as faulty if its disk lost something that had been written. It
     * cannot tell that. 0: all that it may have said is stable.
     */
    uint64_t doubt_until_seq;
    /* raft: a leader wanted it to cut what is committed. It takes no part any more. */
    bool halted;
    /* raft, while it leads: bit i: it tells of replica i, whose durable log equals its own up to match_seq[i]; ... */
    uint64_t followers;
    uint64_t silent_followers; /* ... and which of them have forgotten something, so that they do not count */
    uint64_t match_seq[ORDAIN_REPLICA_MAX];
    /* The certificate that ends first of those on which its connections rest: when (seconds since 1970), and which. */
    int64_t certificate_ends_s;
    char certificate[128];
    uint32_t links_up;
    uint64_t peers_up;                     /* bit i: replica i */
    uint32_t evidence[ORDAIN_REPLICA_MAX]; /* evidence[i]: pieces that it keeps against replica i */
    uint32_t counter_count;
    struct ordain_counter counters[ORDAIN_COUNTER_MAX];
};

/*
 * Asks every replica at once (or the pinned one). `out` must have room for every replica of the channel; *count gets
 * how many entries were written. Blocks. UNREACHABLE: no replica reported its status.
 */
enum ordain_error ordain_status(struct ordain *client, struct ordain_status *out, uint32_t *count, uint32_t timeout_ms);

/* ---- Evidence --------------------------------------------------------------------------------------------------- */

/* What a replica signs. An honest replica signs one statement of a kind for each view and seq. */
enum ordain_statement {
    ORDAIN_STATEMENT_PRE_PREPARE = 1, /* proposes a batch for (view, seq) */
    ORDAIN_STATEMENT_PREPARE,         /* votes for a batch */
    ORDAIN_STATEMENT_VIEW_CHANGE,     /* leaves its view for a later one */
    ORDAIN_STATEMENT_NEW_VIEW,        /* opens a view, as its primary */
    ORDAIN_STATEMENT_ATTESTATION,     /* attests its state after seq */
};

/* "PRE-PREPARE", "ATTESTATION", ...; never NULL. */
const char *ordain_statement_name(enum ordain_statement statement);

/* Verified evidence: one replica signed two statements of one kind about the same place that say different things. */
struct ordain_evidence {
    uint32_t culprit;
    enum ordain_statement statement;
    uint64_t epoch;
    uint64_t view; /* 0 for attestations */
    uint64_t seq;  /* 0 for VIEW_CHANGE and NEW_VIEW */
    struct {
        uint8_t digest[ORDAIN_HASH_SIZE];     /* digest of the batch, the message or the state */
        uint64_t height;                      /* attestations only: height of the newest block */
        uint8_t block_hash[ORDAIN_HASH_SIZE]; /* attestations only: its hash; otherwise zeros */
    } said[2];
};

/* More than all the evidence that the replicas of a channel keep. */
#define ORDAIN_EVIDENCE_BYTES_MAX (4u << 20)

/*
 * Asks every replica at once (or the pinned one) for the evidence that it keeps, against all replicas or against one
 * (`against` not ORDAIN_ANY_REPLICA). Each piece is verified, and each contradiction is taken once, even if several
 * replicas keep it. A replica whose evidence does not verify becomes suspect. *evidence is malloc'ed and holds *count
 * pieces, as a file for ordain_evidence_verify. Blocks. NOT_FOUND: the replicas that answered keep none that verifies.
 * UNREACHABLE, INVALID, NO_MEMORY.
 */
enum ordain_error ordain_evidence_fetch(struct ordain *client, uint8_t **evidence, size_t *size, uint32_t *count,
                                        int against, uint32_t timeout_ms, char *why, size_t why_size);

/*
 * Checks a file of evidence (or several concatenated files) against the genesis block alone; asks no replica. *out is
 * malloc'ed and gets *count contradictions, each once. `why` (may be NULL) gets a sentence. INVALID: not a genesis
 * block. UNVERIFIED: a piece proves nothing, and then no contradiction is given out. NO_MEMORY.
 */
enum ordain_error ordain_evidence_verify(struct ordain_evidence **out, uint32_t *count, struct ordain_bytes genesis,
                                         struct ordain_bytes evidence, char *why, size_t why_size);

#ifdef __cplusplus
}
#endif

#endif
