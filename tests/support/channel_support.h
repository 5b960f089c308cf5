/*
 * A small network for the tests of channel/: organisations, replicas and clients with real keys, a genesis block, and
 * functions that make envelopes and batches. Everything that a function returns is valid until net_destroy.
 */
#ifndef ORDAIN_TESTS_UNIT_CHANNEL_SUPPORT_H
#define ORDAIN_TESTS_UNIT_CHANNEL_SUPPORT_H

#include "channel/attestation.h"
#include "channel/receipt.h"
#include "channel/state.h"
#include "crypto/x509.h"

#define NET_PARTIES_MAX 8

struct party {
    struct crypto_private_key key;
    struct ord_hash fingerprint;
    uint8_t cert[CRYPTO_CERT_DER_MAX];
    size_t cert_size;
};

struct net {
    struct channel_config config;
    struct ord_hash genesis_hash;
    struct channel_header genesis_header;
    struct ord_span genesis_file;
    /* The CAs of alpha and beta, which are both members. */
    struct crypto_pem ca[2];
    struct crypto_pem foreign_ca;
    struct crypto_private_key replica_keys[4];
    struct ord_signer signers[4];
    struct crypto_replica_keys keys;
    struct ord_crypto_ops ops;
    void *blobs; /* all memory that was given out */
};

/* `tweak` (may be NULL) changes the configuration before the genesis block is made. */
struct net *net_create(void (*tweak)(struct channel_config *config));
void net_destroy(struct net *net);
/* Allocates zeroed memory, which is valid until net_destroy. */
void *net_alloc(struct net *net, size_t size);

/* Makes a party whose certificate is from a member (org 0 or 1) or from a foreign CA (org 2). */
struct party *net_party(struct net *net, uint32_t org, enum crypto_role role, const char *name);

/* Makes a party's signed envelope. Each transaction has `transaction_size` bytes, all of them `fill`. */
struct ord_span net_envelope(struct net *net, const struct party *party, uint64_t sequence, uint32_t transaction_count,
                             size_t transaction_size, uint8_t fill);
/* Makes an envelope whose fields are all chosen by the caller. */
struct ord_span net_envelope_of(struct net *net, const struct channel_envelope *header,
                                const struct ord_span *transactions, uint32_t count,
                                const struct crypto_private_key *key);
struct ord_span net_registration(struct net *net, const struct party *party);
struct ord_span net_batch(struct net *net, uint64_t cut_height, const struct ord_span *envelopes, uint32_t count);
struct ord_span net_copy(struct net *net, struct ord_span span);

/* Makes a channel in fresh memory. */
struct channel *net_channel(struct net *net);

/* Keeps copies of the blocks that close. */
struct chain_log {
    struct net *net;
    uint32_t count;
    uint32_t capacity;
    struct channel_block *blocks; /* deep copies */
};
struct chain_log *net_log(struct net *net);
/* The progress of a channel that has executed nothing. */
static const struct channel_progress no_progress;
struct channel_sink log_sink(struct chain_log *log);

/* Applies a batch as the next seq. Aborts the test if that returns an error. */
struct channel_applied net_apply(struct net *net, struct channel *channel, struct chain_log *log, uint64_t cut_height,
                                 const struct ord_span *envelopes, uint32_t count);
/* Makes a certificate signed by replicas 0 .. count - 1. */
struct channel_certificate net_certificate(const struct net *net, const struct channel_statement *statement,
                                           uint32_t count);
/* What replicas attest to at the end of a block; its state digest is made up. */
struct channel_statement net_statement(const struct chain_log *log, uint64_t height);
/*
 * Makes the receipt of one envelope, with a certificate of replicas 0 and 1 for height `certified`: the block's own or
 * a later one.
 */
struct channel_receipt net_receipt(const struct chain_log *log, uint64_t height, uint32_t index, uint64_t certified);

/* xorshift64*. The same seed gives the same history. */
struct dice {
    uint64_t state;
};
uint64_t dice_roll(struct dice *dice);
/* A random number from 0 to bound - 1. */
uint32_t dice_below(struct dice *dice, uint32_t bound);

#endif
