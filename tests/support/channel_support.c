/*
 * The small network that the tests of channel/ use.
 */
#include "tests/support/channel_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"

/* Ends the process when the condition is false, because a test cannot go on without its fixture. */
#define NEED(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct blob {
    struct blob *next;
    max_align_t bytes[];
};

void *net_alloc(struct net *net, size_t size) {
    struct blob *blob = calloc(1, sizeof(*blob) + size);
    NEED(blob != NULL);
    blob->next = net->blobs;
    net->blobs = blob;
    return blob->bytes;
}

struct ord_span net_copy(struct net *net, struct ord_span span) {
    uint8_t *data = net_alloc(net, span.size);
    if (span.size > 0)
        memcpy(data, span.data, span.size);
    return ord_span_of(data, span.size);
}

static void add_org(struct net *net, uint32_t index, const char *name) {
    struct channel_org *org = &net->config.orgs[index];
    size_t size = sizeof(org->ca_der);
    NEED(crypto_ca_create(&net->ca[index], name, 30) == ORD_OK);
    NEED(crypto_cert_der(org->ca_der, &size, net->ca[index].cert) == ORD_OK);
    snprintf(org->name, sizeof(org->name), "%s", name);
    org->ca_der_size = (uint32_t) size;
    net->config.org_count = index + 1;
}

static void add_replica(struct net *net, uint32_t index) {
    struct channel_replica *replica = &net->config.replicas[index];
    memset(net->replica_keys[index].bytes, (int) index + 1, sizeof(net->replica_keys[index].bytes));
    NEED(crypto_public_key(&replica->key, &net->replica_keys[index]) == ORD_OK);
    crypto_signer_init(&net->signers[index], &net->replica_keys[index]);
    replica->org_index = index % 2;
    snprintf(replica->name, sizeof(replica->name), "replica%u", index);
    snprintf(replica->host, sizeof(replica->host), "replica-%u.example", index);
    replica->replica_port = 7000;
    replica->client_port = 7001;
    net->config.replica_count = index + 1;
}

struct net *net_create(void (*tweak)(struct channel_config *config)) {
    NEED(crypto_init() == ORD_OK);
    struct net *net = calloc(1, sizeof(*net));
    NEED(net != NULL);
    channel_config_defaults(&net->config, CHANNEL_PBFT);
    snprintf(net->config.name, sizeof(net->config.name), "test");
    add_org(net, 0, "alpha");
    add_org(net, 1, "beta");
    NEED(crypto_ca_create(&net->foreign_ca, "gamma", 30) == ORD_OK);
    for (uint32_t i = 0; i < 4; i++)
        add_replica(net, i);
    if (tweak != NULL)
        tweak(&net->config);
    NEED(channel_replica_keys(&net->keys, &net->config) == ORD_OK);
    crypto_ops_init(&net->ops, &net->keys);

    size_t capacity = CHANNEL_HEADER_SIZE + CHANNEL_CONFIG_BYTES_MAX + 1024;
    uint8_t *file = net_alloc(net, capacity);
    struct ord_writer data = ord_writer_of(file + CHANNEL_HEADER_SIZE, capacity - CHANNEL_HEADER_SIZE);
    NEED(channel_genesis_create(&net->genesis_header, &data, &net->config) == ORD_OK);
    channel_header_encode(file, &net->genesis_header);
    net->genesis_file = ord_span_of(file, CHANNEL_HEADER_SIZE + data.size);
    channel_header_hash(&net->genesis_hash, &net->genesis_header);
    return net;
}

void net_destroy(struct net *net) {
    struct blob *blob = net->blobs;
    while (blob != NULL) {
        struct blob *next = blob->next;
        free(blob);
        blob = next;
    }
    free(net);
}

struct party *net_party(struct net *net, uint32_t org, enum crypto_role role, const char *name) {
    static const char *const names[] = {"alpha", "beta", "gamma"};
    struct party *party = net_alloc(net, sizeof(*party));
    struct crypto_pem pem;
    const struct crypto_pem *ca = org < 2 ? &net->ca[org] : &net->foreign_ca;
    NEED(crypto_identity_create(&pem, ca, names[org], role, name, 30) == ORD_OK);
    NEED(crypto_private_key_load(&party->key, pem.key) == ORD_OK);
    party->cert_size = sizeof(party->cert);
    NEED(crypto_cert_der(party->cert, &party->cert_size, pem.cert) == ORD_OK);
    crypto_cert_fingerprint(&party->fingerprint, ord_span_of(party->cert, party->cert_size));
    return party;
}

struct ord_span net_envelope_of(struct net *net, const struct channel_envelope *header,
                                const struct ord_span *transactions, uint32_t count,
                                const struct crypto_private_key *key) {
    size_t size = channel_envelope_size(transactions, count);
    struct ord_writer writer = ord_writer_of(net_alloc(net, size), size);
    NEED(channel_envelope_encode(&writer, header, transactions, count, key) == ORD_OK);
    NEED(writer.size == size);
    return ord_writer_span(&writer);
}

struct ord_span net_envelope(struct net *net, const struct party *party, uint64_t sequence, uint32_t transaction_count,
                             size_t transaction_size, uint8_t fill) {
    uint8_t *bytes = net_alloc(net, transaction_size);
    memset(bytes, fill, transaction_size);
    struct ord_span *transactions = net_alloc(net, transaction_count * sizeof(*transactions));
    for (uint32_t i = 0; i < transaction_count; i++)
        transactions[i] = ord_span_of(bytes, transaction_size);
    const struct channel_envelope header = {
        .kind = CHANNEL_ENVELOPE_TRANSACTIONS,
        .genesis_hash = net->genesis_hash,
        .client = party->fingerprint,
        .sequence = sequence,
    };
    return net_envelope_of(net, &header, transactions, transaction_count, &party->key);
}

struct ord_span net_registration(struct net *net, const struct party *party) {
    const struct ord_span cert = ord_span_of(party->cert, party->cert_size);
    const struct channel_envelope header = {
        .kind = CHANNEL_ENVELOPE_REGISTER,
        .genesis_hash = net->genesis_hash,
        .client = party->fingerprint,
    };
    return net_envelope_of(net, &header, &cert, 1, &party->key);
}

struct ord_span net_batch(struct net *net, uint64_t cut_height, const struct ord_span *envelopes, uint32_t count) {
    size_t size = CHANNEL_BATCH_OVERHEAD;
    for (uint32_t i = 0; i < count; i++)
        size += 4 + envelopes[i].size;
    struct ord_writer writer = ord_writer_of(net_alloc(net, size), size);
    channel_batch_begin(&writer, cut_height);
    for (uint32_t i = 0; i < count; i++)
        channel_batch_add(&writer, envelopes[i]);
    NEED(channel_batch_end(&writer, count) == ORD_OK);
    return ord_writer_span(&writer);
}

struct channel *net_channel(struct net *net) {
    size_t size = channel_memory_size(&net->config);
    struct channel *channel;
    NEED(channel_init(&channel, net_alloc(net, size), size, &net->config, &net->genesis_hash) == ORD_OK);
    return channel;
}

struct chain_log *net_log(struct net *net) {
    struct chain_log *log = net_alloc(net, sizeof(*log));
    log->net = net;
    return log;
}

static enum ord_err keep_block(void *context, const struct channel_block *block) {
    struct chain_log *log = context;
    if (log->count == log->capacity) {
        uint32_t capacity = log->capacity == 0 ? 16 : log->capacity * 2;
        struct channel_block *blocks = net_alloc(log->net, capacity * sizeof(*blocks));
        if (log->count > 0)
            memcpy(blocks, log->blocks, log->count * sizeof(*blocks));
        log->blocks = blocks;
        log->capacity = capacity;
    }
    struct channel_block *kept = &log->blocks[log->count++];
    *kept = *block;
    kept->data = net_copy(log->net, block->data);
    const struct ord_span entries = ord_span_of(block->entries, block->header.envelope_count * sizeof(*block->entries));
    kept->entries = (const struct channel_entry *) (const void *) net_copy(log->net, entries).data;
    return ORD_OK;
}

struct channel_sink log_sink(struct chain_log *log) {
    return (struct channel_sink) {.context = log, .block = keep_block};
}

struct channel_applied net_apply(struct net *net, struct channel *channel, struct chain_log *log, uint64_t cut_height,
                                 const struct ord_span *envelopes, uint32_t count) {
    const struct channel_sink sink = log_sink(log);
    struct channel_applied applied;
    struct ord_span batch = net_batch(net, cut_height, envelopes, count);
    NEED(channel_apply(channel, &applied, channel_applied_seq(channel) + 1, 0, batch, &sink) == ORD_OK);
    return applied;
}

struct channel_certificate net_certificate(const struct net *net, const struct channel_statement *statement,
                                           uint32_t count) {
    struct channel_certificate certificate = {.statement = *statement};
    for (uint32_t i = 0; i < count; i++) {
        struct channel_attestation attestation;
        NEED(channel_attest(&attestation, &net->genesis_hash, statement, i, &net->signers[i]) == ORD_OK);
        certificate.signers[i] = i;
        certificate.signatures[i] = attestation.signature;
        certificate.count++;
    }
    return certificate;
}

struct channel_statement net_statement(const struct chain_log *log, uint64_t height) {
    const struct channel_block *block = &log->blocks[height - 1];
    struct channel_statement statement = {
        .epoch = 1, .seq = block->header.last_seq, .height = height, .header_hash = block->header_hash};
    memset(&statement.state_digest, 0x5d, sizeof(statement.state_digest));
    return statement;
}

struct channel_receipt net_receipt(const struct chain_log *log, uint64_t height, uint32_t index, uint64_t certified) {
    struct net *net = log->net;
    const struct channel_block *block = &log->blocks[height - 1];
    const struct channel_statement statement = net_statement(log, certified);
    struct channel_receipt receipt = {.header = block->header, .envelope_index = index};
    struct ord_hash *leaves = net_alloc(net, block->header.envelope_count * sizeof(*leaves));
    struct ord_span data = block->data;
    struct ord_span bytes;
    uint32_t count = 0;
    while (channel_batch_next(&bytes, &data) == ORD_OK) {
        NEED(count < block->header.envelope_count);
        ord_merkle_leaf(&net->ops, &leaves[count], bytes);
        if (count == index) {
            receipt.envelope = bytes;
            receipt.leaf = leaves[count];
        }
        count++;
    }
    size_t path_size;
    ord_merkle_path(&net->ops, receipt.path, &path_size, leaves, count, index);
    receipt.path_size = (uint32_t) path_size;
    receipt.later_header_count = (uint32_t) (certified - height);
    uint8_t *headers = net_alloc(net, receipt.later_header_count * (size_t) CHANNEL_HEADER_SIZE);
    for (uint32_t i = 0; i < receipt.later_header_count; i++)
        channel_header_encode(headers + (size_t) i * CHANNEL_HEADER_SIZE, &log->blocks[height + i].header);
    receipt.later_headers = ord_span_of(headers, receipt.later_header_count * (size_t) CHANNEL_HEADER_SIZE);
    receipt.certificate = net_certificate(net, &statement, 2);
    return receipt;
}

uint64_t dice_roll(struct dice *dice) {
    uint64_t x = dice->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    dice->state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

uint32_t dice_below(struct dice *dice, uint32_t bound) {
    return (uint32_t) ((dice_roll(dice) >> 32) % bound);
}
