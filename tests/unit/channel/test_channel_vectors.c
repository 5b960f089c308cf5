/*
 * The test vectors of docs/formats.md. Each is computed here and compared with the document, so that code and document
 * cannot drift apart. Inputs that no program can make again (certificates, a client's key) are read from the document.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "channel/state.h"
#include "channel/tags.h"
#include "tests/support/channel_support.h"
#include "tests/support/evidence_support.h"
#include "tests/support/test_main.h"

#define VECTOR_MAX 8192

static char *document;

static int read_document(void **state) {
    (void) state;
    FILE *file = fopen(ORD_FORMATS_FILE, "rb");
    if (file == NULL)
        return -1;
    document = calloc(1, 1u << 20);
    size_t size = document == NULL ? 0 : fread(document, 1, (1u << 20) - 1, file);
    fclose(file);
    return size > 0 && crypto_init() == ORD_OK ? 0 : -1;
}

static int free_document(void **state) {
    (void) state;
    free(document);
    return 0;
}

static int digit_of(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int) (at - digits);
}

/* The bytes of the document's block "```vector NAME". An empty span if there is none. */
static struct ord_span vector(const char *name, uint8_t out[VECTOR_MAX]) {
    char opening[64];
    snprintf(opening, sizeof(opening), "```vector %s\n", name);
    const char *at = strstr(document, opening);
    if (at == NULL)
        return ord_span_of(out, 0);
    size_t size = 0;
    for (at += strlen(opening); *at != '`' && *at != '\0' && size < VECTOR_MAX;) {
        if (*at == '\n') {
            at++;
            continue;
        }
        int high = digit_of(at[0]);
        int low = high < 0 ? -1 : digit_of(at[1]);
        if (low < 0)
            fail_msg("vector %s is not lower-case hex in pairs", name);
        out[size++] = (uint8_t) (high << 4 | low);
        at += 2;
    }
    return ord_span_of(out, size);
}

/* Compares a vector with `bytes`. On a difference, prints the block as it should be. */
static void expect(const char *name, struct ord_span bytes) {
    static uint8_t room[VECTOR_MAX];
    if (ord_span_equal(vector(name, room), bytes))
        return;
    fprintf(stderr, "```vector %s", name);
    for (size_t i = 0; i < bytes.size; i++)
        fprintf(stderr, "%s%02x", i % 48 == 0 ? "\n" : "", bytes.data[i]);
    fprintf(stderr, "\n```\n");
    fail_msg("docs/formats.md has another vector %s", name);
}

static void expect_hash(const char *name, const struct ord_hash *hash) {
    expect(name, ord_span_of(hash->bytes, ORD_HASH_SIZE));
}

/* The objects that the vectors encode, from configuration to receipt. */
struct example {
    /* Only config, genesis, signers, ops and blobs are set. */
    struct net net;
    struct party client;
    struct channel *channel;
    struct chain_log *log;
    struct ord_span registration;
    struct ord_span transactions;
    struct ord_span batch;
    struct channel_statement statement;
};

static void make_config(struct example *example) {
    static uint8_t room[VECTOR_MAX];
    struct channel_config *config = &example->net.config;
    channel_config_defaults(config, CHANNEL_PBFT);
    snprintf(config->name, sizeof(config->name), "vectors");
    config->clients_max = 2;
    struct ord_span ca = vector("ca.der", room);
    assert_true(ca.size > 0 && ca.size <= sizeof(config->orgs[0].ca_der));
    snprintf(config->orgs[0].name, sizeof(config->orgs[0].name), "alpha");
    memcpy(config->orgs[0].ca_der, ca.data, ca.size);
    config->orgs[0].ca_der_size = (uint32_t) ca.size;
    config->org_count = 1;
    config->replica_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        struct channel_replica *replica = &config->replicas[i];
        memset(example->net.replica_keys[i].bytes, (int) i + 1, 32);
        assert_ok(crypto_public_key(&replica->key, &example->net.replica_keys[i]));
        crypto_signer_init(&example->net.signers[i], &example->net.replica_keys[i]);
        snprintf(replica->name, sizeof(replica->name), "replica%u", i);
        snprintf(replica->host, sizeof(replica->host), "r%u.example", i);
        replica->replica_port = 7050;
        replica->client_port = 7051;
    }
}

static void make_client(struct example *example) {
    static uint8_t room[VECTOR_MAX];
    struct ord_span key = vector("client.key", room);
    assert_int_equal(key.size, sizeof(example->client.key.bytes));
    memcpy(example->client.key.bytes, key.data, key.size);
    struct ord_span cert = vector("client.der", room);
    assert_true(cert.size > 0 && cert.size <= sizeof(example->client.cert));
    memcpy(example->client.cert, cert.data, cert.size);
    example->client.cert_size = cert.size;
    crypto_cert_fingerprint(&example->client.fingerprint, cert);
}

static int setup(void **state) {
    if (read_document(state) != 0)
        return -1;
    struct example *example = calloc(1, sizeof(*example));
    if (example == NULL)
        return -1;
    struct net *net = &example->net;
    make_config(example);
    make_client(example);
    assert_ok(channel_replica_keys(&net->keys, &net->config));
    crypto_ops_init(&net->ops, &net->keys);
    size_t capacity = CHANNEL_CONFIG_BYTES_MAX + 1024;
    struct ord_writer data = ord_writer_of(net_alloc(net, capacity), capacity);
    assert_ok(channel_genesis_create(&net->genesis_header, &data, &net->config));
    channel_header_hash(&net->genesis_hash, &net->genesis_header);

    example->channel = net_channel(net);
    example->log = net_log(net);
    example->registration = net_registration(net, &example->client);
    const struct ord_span words[] = {ord_span_of("hello", 5), ord_span_of("world!", 6)};
    const struct channel_envelope header = {
        .kind = CHANNEL_ENVELOPE_TRANSACTIONS,
        .genesis_hash = net->genesis_hash,
        .client = example->client.fingerprint,
        .sequence = 1,
    };
    example->transactions = net_envelope_of(net, &header, words, 2, &example->client.key);
    const struct ord_span envelopes[] = {example->registration, example->transactions};
    example->batch = net_batch(net, 0, envelopes, 2);
    (void) net_apply(net, example->channel, example->log, 0, envelopes, 2);
    (void) net_apply(net, example->channel, example->log, 1, NULL, 0);
    assert_int_equal(example->log->count, 1);
    example->statement = (struct channel_statement) {
        .epoch = 1,
        .seq = 2,
        .height = 1,
        .header_hash = example->log->blocks[0].header_hash,
    };
    channel_state_digest(example->channel, &example->statement.state_digest);
    *state = example;
    return 0;
}

static int teardown(void **state) {
    struct example *example = *state;
    struct net *net = calloc(1, sizeof(*net)); /* net_destroy frees it */
    if (net == NULL)
        return -1;
    net->blobs = example->net.blobs;
    net_destroy(net);
    free(example);
    return free_document(state);
}

static void vectors__configuration_and_genesis(void **state) {
    struct example *example = *state;
    struct net *net = &example->net;
    static uint8_t bytes[CHANNEL_CONFIG_BYTES_MAX];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    assert_ok(channel_config_encode(&net->config, &writer));
    expect("config", ord_writer_span(&writer));
    struct ord_hash hash;
    channel_tagged_hash(&hash, CHANNEL_TAG_CONFIG, ord_writer_span(&writer));
    expect_hash("config.hash", &hash);
    uint8_t header[CHANNEL_HEADER_SIZE];
    channel_header_encode(header, &net->genesis_header);
    expect("genesis.header", ord_span_of(header, sizeof(header)));
    expect_hash("genesis.hash", &net->genesis_hash);
}

static void vectors__envelopes_and_batch(void **state) {
    struct example *example = *state;
    struct channel_envelope envelope;
    struct ord_hash id;
    expect_hash("client.fingerprint", &example->client.fingerprint);
    expect("envelope.register", example->registration);
    assert_ok(channel_envelope_decode(&envelope, example->registration));
    channel_envelope_id(&id, envelope.body);
    expect_hash("envelope.register.id", &id);
    expect("envelope.transactions", example->transactions);
    assert_ok(channel_envelope_decode(&envelope, example->transactions));
    channel_envelope_id(&id, envelope.body);
    expect_hash("envelope.transactions.id", &id);
    expect("batch.cut", net_batch(&example->net, 1, &example->transactions, 1));
    uint8_t bytes[64];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    channel_batch_begin_view(&writer, 1, 5);
    assert_ok(channel_batch_end(&writer, 0));
    expect("batch.view", ord_writer_span(&writer));
}

static void vectors__progress(void **state) {
    (void) state;
    const struct channel_config config = {.replica_count = 4, .decisions_per_leader = 100};
    const struct channel_progress progress = {.bytes_since_point = 77,
                                              .view = 9,
                                              .first_seq = 120,
                                              .failed = {{.node = 3, .failures = 2, .terms = 1, .passes = 0}},
                                              .failed_count = 1};
    uint8_t bytes[CHANNEL_PROGRESS_SIZE_MAX];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    channel_progress_write(&writer, &config, &progress);
    expect("progress", ord_writer_span(&writer));
}

static void vectors__block(void **state) {
    struct example *example = *state;
    const struct channel_block *block = &example->log->blocks[0];
    struct ord_hash leaf;
    ord_merkle_leaf(&example->net.ops, &leaf, example->registration);
    expect_hash("block.leaf.0", &leaf);
    ord_merkle_leaf(&example->net.ops, &leaf, example->transactions);
    expect_hash("block.leaf.1", &leaf);
    uint8_t header[CHANNEL_HEADER_SIZE];
    channel_header_encode(header, &block->header);
    expect("block.header", ord_span_of(header, sizeof(header)));
    expect_hash("block.hash", &block->header_hash);
}

static void vectors__state(void **state) {
    struct example *example = *state;
    uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
    size_t size = channel_client_record(example->channel, 0, record);
    expect("client.record", ord_span_of(record, size));
    struct ord_hash hash;
    channel_tagged_hash(&hash, CHANNEL_TAG_CLIENT, ord_span_of(record, size - 8));
    expect_hash("client.leaf", &hash);
    channel_clients_root(example->channel, &hash);
    expect_hash("clients.root", &hash);
    channel_tagged_hash(&hash, CHANNEL_TAG_OPEN, ord_span_of(NULL, 0));
    expect_hash("open.empty", &hash);
    expect_hash("state.digest", &example->statement.state_digest);
}

static void vectors__attestation_and_certificate(void **state) {
    struct example *example = *state;
    struct net *net = &example->net;
    struct ord_hash hash;
    channel_statement_hash(&hash, &net->genesis_hash, &example->statement, 0);
    expect_hash("statement.hash", &hash);
    struct channel_attestation attestation;
    uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
    assert_ok(channel_attest(&attestation, &net->genesis_hash, &example->statement, 0, &net->signers[0]));
    channel_attestation_encode(bytes, &attestation);
    expect("attestation", ord_span_of(bytes, sizeof(bytes)));
    const struct channel_certificate certificate = net_certificate(net, &example->statement, 2);
    uint8_t encoded[CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = channel_certificate_encode(encoded, &certificate);
    expect("certificate", ord_span_of(encoded, size));
}

static void vectors__receipt(void **state) {
    struct example *example = *state;
    struct net *net = &example->net;
    struct channel_receipt receipt = {
        .header = example->log->blocks[0].header,
        .envelope_index = 1,
        .path_size = 1,
        .certificate = net_certificate(net, &example->statement, 2),
    };
    ord_merkle_leaf(&net->ops, &receipt.path[0], example->registration);
    ord_merkle_leaf(&net->ops, &receipt.leaf, example->transactions);
    assert_ok(channel_receipt_verify(&receipt, &net->config, &net->genesis_hash, &net->ops, NULL));
    uint8_t bytes[2048];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    assert_ok(channel_receipt_encode(&writer, &receipt));
    expect("receipt", ord_writer_span(&writer));
}

static void expect_evidence(const char *name, struct net *net, const struct evidence *evidence) {
    uint8_t bytes[EVIDENCE_SIZE_MAX];
    struct evidence_claim claim;
    assert_ok(evidence_verify(&claim, evidence, &net->config, &net->genesis_hash, &net->ops, NULL));
    assert_int_equal(claim.culprit, 3);
    expect(name, ord_span_of(bytes, evidence_encode(bytes, evidence)));
}

static void vectors__evidence(void **state) {
    struct example *example = *state;
    struct net *net = &example->net;
    struct ord_core_config core;
    struct evidence evidence = {.genesis_hash = net->genesis_hash, .epoch = 1};
    channel_core_config(&core, &net->config, &net->genesis_hash, 0, &net->ops);
    evidence.kind = EVIDENCE_VOTES;
    evidence.first = lie_vote(0, &core, &net->signers[3], BFT_PREPARE, 1, 2, 0x11, 3);
    evidence.second = lie_vote(1, &core, &net->signers[3], BFT_PREPARE, 1, 2, 0x22, 3);
    expect_evidence("evidence.votes", net, &evidence);
    evidence.kind = EVIDENCE_ATTESTATIONS;
    evidence.first = lie_attestation(0, &core, &net->signers[3], 2, 0x11, 3);
    evidence.second = lie_attestation(1, &core, &net->signers[3], 2, 0x22, 3);
    expect_evidence("evidence.attestations", net, &evidence);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test_setup_teardown(vectors__configuration_and_genesis, setup, teardown),
    cmocka_unit_test_setup_teardown(vectors__envelopes_and_batch, setup, teardown),
    cmocka_unit_test_setup_teardown(vectors__block, setup, teardown),
    cmocka_unit_test_setup_teardown(vectors__progress, setup, teardown),
    cmocka_unit_test_setup_teardown(vectors__state, setup, teardown),
    cmocka_unit_test_setup_teardown(vectors__attestation_and_certificate, setup, teardown),
    cmocka_unit_test_setup_teardown(vectors__receipt, setup, teardown),
    cmocka_unit_test_setup_teardown(vectors__evidence, setup, teardown),
};
TEST_CASES(cases);
