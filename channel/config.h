/*
 * A channel's configuration: it decides who may write and who the replicas are. It is in the genesis block (and later
 * in config blocks), and everything else about a channel follows from it. Encoding: docs/formats.md.
 */
#ifndef ORDAIN_CHANNEL_CONFIG_H
#define ORDAIN_CHANNEL_CONFIG_H

#include "core/codec.h"
#include "core/protocol.h"
#include "core/types.h"
#include "crypto/x509.h"

#define CHANNEL_NAME_MAX         64
#define CHANNEL_HOST_MAX         255
#define CHANNEL_ORG_MAX          64
#define CHANNEL_CONFIG_BYTES_MAX (CHANNEL_ORG_MAX * (CRYPTO_CERT_DER_MAX + 128) + ORD_REPLICA_MAX * 512 + 1024)

/* Hard limits. A configuration outside of them is refused. */
#define CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT (64u << 20)
#define CHANNEL_MESSAGE_COUNT_LIMIT      65536u
#define CHANNEL_BATCH_ENVELOPES_MAX      4096u /* envelopes in one batch */
#define CHANNEL_CLIENTS_LIMIT            65536u

enum channel_consensus { CHANNEL_SOLO = 1, CHANNEL_PBFT = 2, CHANNEL_RAFT = 3 };

struct channel_org {
    char name[CRYPTO_NAME_MAX + 1];
    uint8_t ca_der[CRYPTO_CERT_DER_MAX];
    uint32_t ca_der_size;
};

struct channel_replica {
    uint32_t org_index;
    /* The CN of its TLS certificate. No other replica of its organisation has it. Whoever dials it asks for it. */
    char name[CRYPTO_NAME_MAX + 1];
    struct ord_public_key key;       /* identity key */
    char host[CHANNEL_HOST_MAX + 1]; /* name or address that others dial */
    uint16_t replica_port;           /* other replicas dial this */
    uint16_t client_port;            /* clients and peers dial this */
};

struct channel_config {
    char name[CHANNEL_NAME_MAX + 1]; /* [a-z0-9._-], not empty */
    enum channel_consensus consensus;
    uint64_t epoch;           /* counts replica sets and protocols; 1 at genesis */
    uint64_t config_sequence; /* counts configurations; 0 at genesis */
    /* The block cutter's parameters (docs/protocol.md, "Cutting"). */
    uint32_t absolute_max_bytes; /* upper limit for an envelope's bytes */
    /* A block's envelope bytes. May be more or less than absolute_max_bytes. */
    uint32_t preferred_max_bytes;
    uint32_t max_message_count; /* upper limit for a block's transactions */
    uint32_t batch_timeout_ms;  /* 0: every batch closes its block */
    /* Consensus; core/protocol.h explains these. */
    uint32_t window;
    uint32_t checkpoint_interval;
    uint32_t batch_bytes_max; /* >= channel_batch_bytes_least */
    uint64_t body_bytes_max;
    uint32_t retransmit_ms;
    /* pbft: after this many seqs another replica leads. 0: only when the leader fails. */
    uint32_t decisions_per_leader;
    /* An admitted envelope may wait this long before the primary is suspected. */
    uint32_t request_timeout_ms;
    /* raft alone; 0 elsewhere. raft/raft.h explains the times. */
    struct channel_raft {
        uint32_t election_ms_min;
        uint32_t election_ms_max;
        uint32_t heartbeat_ms;
        /* The log is cut after so many blocks, or so many bytes of batches. 0: this number does not count. */
        uint32_t snapshot_blocks;
        uint64_t snapshot_bytes;
        /*
         * Each replica checks the signatures of what another one forwards. Otherwise the replica that took an envelope
         * from its client is believed: nobody lies in a raft channel. Registrations are checked by all.
         */
        bool check_forwards;
    } raft;
    /* Clients. */
    uint32_t clients_max;
    uint32_t org_count;
    struct channel_org orgs[CHANNEL_ORG_MAX];
    uint32_t replica_count;
    struct channel_replica replicas[ORD_REPLICA_MAX];
};

/* What a batch needs that holds one envelope of absolute_max_bytes. */
uint64_t channel_batch_bytes_least(const struct channel_config *config);
/* Sets every number to a sensible default. Name, organisations and replicas stay empty. */
void channel_config_defaults(struct channel_config *out, enum channel_consensus consensus);
/* Checks that a channel can run with this configuration. On failure `why` (may be NULL) gets a static sentence. */
ORD_MUST_USE enum ord_err channel_config_check(const struct channel_config *config, const char **why);
ORD_MUST_USE enum ord_err channel_config_encode(const struct channel_config *config, struct ord_writer *writer);
/* Decodes a configuration and checks it as channel_config_check does. */
ORD_MUST_USE enum ord_err channel_config_decode(struct channel_config *out, struct ord_span bytes);
/* "solo", "pbft" or "raft"; "?" for any other value. */
const char *channel_consensus_name(enum channel_consensus consensus);
ORD_MUST_USE enum ord_err channel_consensus_parse(enum channel_consensus *out, const char *name);
/* Number of signatures that prove a block to outsiders: f + 1; raft a majority; solo 1. */
uint32_t channel_weak_quorum(const struct channel_config *config);
/* How many replicas may lie, whatever it is, while what the channel proves is true: f; raft and solo 0. */
uint32_t channel_liars_max(const struct channel_config *config);
/* Number of signatures that make a checkpoint stable: 2f + 1; raft a majority; solo 1. */
uint32_t channel_strong_quorum(const struct channel_config *config);
/* Fills in the core's view of the configuration. `crypto` must outlive `out`. */
void channel_core_config(struct ord_core_config *out, const struct channel_config *config,
                         const struct ord_hash *genesis_hash, ord_node_id self, const struct ord_crypto_ops *crypto);
/*
 * Writes the CA certificates of all organisations as PEM, one after another. `out` has org_count * CRYPTO_PEM_MAX
 * bytes. Errors as in crypto_cert_pem.
 */
ORD_MUST_USE enum ord_err channel_ca_pem(char *out, const struct channel_config *config);
/* Parses the keys of all replicas. */
ORD_MUST_USE enum ord_err channel_replica_keys(struct crypto_replica_keys *out, const struct channel_config *config);

#endif
