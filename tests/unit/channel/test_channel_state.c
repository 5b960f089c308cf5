/*
 * Judging, registration, the replay window, restore and state transfer, case by case.
 */
#include "channel/state.h"

#include <stdlib.h>
#include <string.h>

#include "core/merkle.h"
#include "crypto/hash.h"
#include "tests/support/channel_judge.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

static void small(struct channel_config *config) {
    config->absolute_max_bytes = 4096;
    config->preferred_max_bytes = 2048;
    config->max_message_count = 8;
    config->clients_max = 3;
}

struct fixture {
    struct net *net;
    struct party *ann; /* registered in block 1, at seq 1 */
    struct party *bob; /* not registered */
    struct channel *channel;
    struct chain_log *log;
};

static int setup(void **state) {
    struct net *net = net_create(small);
    struct fixture *fixture = net_alloc(net, sizeof(*fixture));
    fixture->net = net;
    fixture->ann = net_party(net, 0, CRYPTO_ROLE_CLIENT, "ann");
    fixture->bob = net_party(net, 1, CRYPTO_ROLE_ADMIN, "bob");
    fixture->channel = net_channel(net);
    fixture->log = net_log(net);
    const struct ord_span registration = net_registration(net, fixture->ann);
    (void) net_apply(net, fixture->channel, fixture->log, 0, &registration, 1);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    net_destroy(((struct fixture *) *state)->net);
    return 0;
}

static enum ord_err judge(const struct fixture *fixture, struct ord_span bytes) {
    struct channel_envelope envelope;
    struct crypto_verify_key key;
    enum ord_err err = channel_envelope_decode(&envelope, bytes);
    return err != ORD_OK ? err : judge_whole(fixture->channel, &fixture->net->config, &key, &envelope);
}

/* True if the signature verifies with the key that judging gives. */
static bool signature_holds(const struct fixture *fixture, struct ord_span bytes) {
    struct channel_envelope envelope;
    struct crypto_verify_key key;
    struct ord_hash id;
    assert_ok(channel_envelope_decode(&envelope, bytes));
    assert_ok(judge_whole(fixture->channel, &fixture->net->config, &key, &envelope));
    channel_envelope_id(&id, envelope.body);
    return crypto_verify(&key, &id, &envelope.signature);
}

/* True if the channel's state is what had the digest `before`, except for the bytes since the last point. */
static bool only_bytes_counted(struct channel *channel, const struct ord_hash *before,
                               const struct channel_progress *progress) {
    struct channel_open_block open;
    struct ord_hash root;
    channel_open(channel, &open);
    channel_clients_root(channel, &root);
    return channel_progress(channel)->bytes_since_point > progress->bytes_since_point &&
           channel_tail_check(channel, open.data, &root, progress, before) == ORD_OK;
}

/* Judges and executes one envelope that is not admissible. It must be dropped, and only its bytes count. */
static void expect_dropped(struct fixture *fixture, struct ord_span bytes, enum ord_err expected) {
    struct ord_hash before;
    const struct channel_progress progress = *channel_progress(fixture->channel);
    assert_err(judge(fixture, bytes), expected);
    channel_state_digest(fixture->channel, &before);
    const struct channel_applied applied = net_apply(fixture->net, fixture->channel, fixture->log, 0, &bytes, 1);
    assert_int_equal(applied.refused, 1);
    assert_int_equal(applied.accepted, 0);
    assert_true(only_bytes_counted(fixture->channel, &before, &progress));
}

static struct channel_envelope header_of(const struct fixture *fixture) {
    return (struct channel_envelope) {
        .kind = CHANNEL_ENVELOPE_TRANSACTIONS,
        .genesis_hash = fixture->net->genesis_hash,
        .client = fixture->ann->fingerprint,
        .sequence = 1,
    };
}

static void judge__gives_the_key_that_the_signature_must_verify_under(void **state) {
    struct fixture *fixture = *state;
    struct ord_span good = net_envelope(fixture->net, fixture->ann, 1, 2, 10, 1);
    assert_true(signature_holds(fixture, good));
    assert_true(signature_holds(fixture, net_registration(fixture->net, fixture->bob)));
    /* Row P8: ann's name with bob's signature. */
    const struct channel_envelope header = header_of(fixture);
    const struct ord_span transaction = ord_span_of("x", 1);
    struct ord_span forged = net_envelope_of(fixture->net, &header, &transaction, 1, &fixture->bob->key);
    assert_false(signature_holds(fixture, forged));
    forged = net_envelope_of(fixture->net, &header, &transaction, 1, NULL);
    assert_false(signature_holds(fixture, forged));
}

/* Row P8: an unknown client, an envelope that is too large, too many transactions. */
static void judge__refuses_what_no_batch_may_hold(void **state) {
    struct fixture *fixture = *state;
    struct net *net = fixture->net;
    expect_dropped(fixture, net_envelope(net, fixture->bob, 1, 1, 10, 1), ORD_ERR_UNKNOWN_CLIENT);
    size_t largest = 4096 - CHANNEL_ENVELOPE_OVERHEAD - 4;
    expect_dropped(fixture, net_envelope(net, fixture->ann, 1, 1, largest + 1, 1), ORD_ERR_TOO_LARGE);
    assert_ok(judge(fixture, net_envelope(net, fixture->ann, 1, 1, largest, 1)));
    expect_dropped(fixture, net_envelope(net, fixture->ann, 1, 9, 1, 1), ORD_ERR_TOO_LARGE);
    assert_ok(judge(fixture, net_envelope(net, fixture->ann, 1, 8, 1, 1)));
    expect_dropped(fixture, ord_span_of("nonsense", 8), ORD_ERR_INVALID);
}

/*
 * Row K9: the genesis hash in the signed bytes reveals another channel or
 * network. Another configuration is refused too.
 */
static void judge__refuses_another_network_and_configuration(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span transaction = ord_span_of("x", 1);
    struct channel_envelope header = header_of(fixture);
    header.genesis_hash.bytes[31] ^= 1;
    expect_dropped(fixture, net_envelope_of(fixture->net, &header, &transaction, 1, &fixture->ann->key),
                   ORD_ERR_MISMATCH);
    header = header_of(fixture);
    header.config_sequence = 1;
    expect_dropped(fixture, net_envelope_of(fixture->net, &header, &transaction, 1, &fixture->ann->key), ORD_ERR_STALE);
}

static void judge__refuses_config_envelopes(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span transaction = ord_span_of("x", 1);
    struct channel_envelope header = header_of(fixture);
    header.kind = CHANNEL_ENVELOPE_CONFIG;
    expect_dropped(fixture, net_envelope_of(fixture->net, &header, &transaction, 1, &fixture->ann->key),
                   ORD_ERR_FORBIDDEN);
}

static void registration__demands_a_members_client(void **state) {
    struct fixture *fixture = *state;
    struct net *net = fixture->net;
    struct party *foreign = net_party(net, 2, CRYPTO_ROLE_CLIENT, "eve");
    expect_dropped(fixture, net_registration(net, foreign), ORD_ERR_FORBIDDEN);
    struct party *replica = net_party(net, 0, CRYPTO_ROLE_REPLICA, "replica0");
    expect_dropped(fixture, net_registration(net, replica), ORD_ERR_FORBIDDEN);
    /* A certificate of a foreign CA with a member's name. */
    struct crypto_pem pem;
    struct party impostor = {0};
    struct crypto_pem fake_ca;
    assert_ok(crypto_ca_create(&fake_ca, "alpha", 30));
    assert_ok(crypto_identity_create(&pem, &fake_ca, "alpha", CRYPTO_ROLE_CLIENT, "eve", 30));
    assert_ok(crypto_private_key_load(&impostor.key, pem.key));
    impostor.cert_size = sizeof(impostor.cert);
    assert_ok(crypto_cert_der(impostor.cert, &impostor.cert_size, pem.cert));
    crypto_cert_fingerprint(&impostor.fingerprint, ord_span_of(impostor.cert, impostor.cert_size));
    expect_dropped(fixture, net_registration(net, &impostor), ORD_ERR_FORBIDDEN);
    /* A fingerprint that is not the certificate's. */
    struct party liar = *fixture->bob;
    liar.fingerprint.bytes[0] ^= 1;
    expect_dropped(fixture, net_registration(net, &liar), ORD_ERR_INVALID);
    assert_int_equal(channel_client_count(fixture->channel), 1);
}

/* The fingerprint is right, but the bytes that it names are not a certificate. */
static void registration__of_what_is_no_certificate_is_refused(void **state) {
    struct fixture *fixture = *state;
    struct net *net = fixture->net;
    uint8_t junk[CRYPTO_CERT_DER_MAX + 1];
    memset(junk, 0x30, sizeof(junk));
    const size_t sizes[] = {1, 100, CRYPTO_CERT_DER_MAX, CRYPTO_CERT_DER_MAX + 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const struct ord_span bytes = ord_span_of(junk, sizes[i]);
        struct channel_envelope header = {.kind = CHANNEL_ENVELOPE_REGISTER, .genesis_hash = net->genesis_hash};
        crypto_cert_fingerprint(&header.client, bytes);
        expect_dropped(fixture, net_envelope_of(net, &header, &bytes, 1, &fixture->bob->key),
                       sizes[i] > CRYPTO_CERT_DER_MAX ? ORD_ERR_INVALID : ORD_ERR_FORBIDDEN);
    }
    assert_int_equal(channel_client_count(fixture->channel), 1);
}

static void registration__is_known_to_later_envelopes_of_its_batch(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span envelopes[] = {net_envelope(fixture->net, fixture->bob, 1, 1, 10, 1),
                                         net_registration(fixture->net, fixture->bob),
                                         net_envelope(fixture->net, fixture->bob, 1, 1, 10, 1)};
    const struct channel_applied applied = net_apply(fixture->net, fixture->channel, fixture->log, 0, envelopes, 3);
    assert_int_equal(applied.refused, 1);
    assert_int_equal(applied.accepted, 2);
    uint32_t index;
    const struct channel_client *bob = channel_client_find(fixture->channel, &index, &fixture->bob->fingerprint);
    assert_non_null(bob);
    assert_int_equal(index, 1);
    assert_ptr_equal(bob, channel_client_get(fixture->channel, 1));
    assert_int_equal(bob->role, CRYPTO_ROLE_ADMIN);
    assert_int_equal(bob->org_index, 1);
    assert_int_equal(bob->registered_seq, 2);
    assert_int_equal(bob->highest_sequence, 1);
    assert_null(channel_client_get(fixture->channel, 2));
}

static void registration__happens_once(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span again = net_registration(fixture->net, fixture->ann);
    assert_ok(judge(fixture, again)); /* replay is not judged */
    const struct channel_applied applied = net_apply(fixture->net, fixture->channel, fixture->log, 0, &again, 1);
    assert_int_equal(applied.duplicates, 1);
    assert_int_equal(channel_client_count(fixture->channel), 1);
}

static void registration__table_is_bounded(void **state) {
    struct fixture *fixture = *state;
    struct net *net = fixture->net;
    struct party *carl = net_party(net, 0, CRYPTO_ROLE_CLIENT, "carl");
    struct party *dora = net_party(net, 0, CRYPTO_ROLE_CLIENT, "dora");
    const struct ord_span envelopes[] = {net_registration(net, fixture->bob), net_registration(net, carl),
                                         net_registration(net, dora)};
    const struct channel_applied applied = net_apply(net, fixture->channel, fixture->log, 0, envelopes, 3);
    assert_int_equal(applied.accepted, 2);
    assert_int_equal(applied.refused, 1);
    expect_dropped(fixture, net_registration(net, dora), ORD_ERR_NO_SPACE);
    assert_ok(judge(fixture, net_registration(net, carl))); /* a registered client stays registered */
}

/* A certificate that is registered, or known to be good, is not to be verified again, and none is in a full table. */
static void registration__is_verified_once(void **state) {
    struct fixture *fixture = *state;
    struct net *net = fixture->net;
    struct channel_envelope envelope;
    struct channel_judged judged;
    struct channel_newcomer newcomer;
    assert_ok(channel_envelope_decode(&envelope, net_registration(net, fixture->bob)));
    assert_ok(channel_judge(fixture->channel, &judged, &envelope));
    assert_int_equal(judged.client_index, UINT32_MAX);
    assert_true(judged.certificate.size > 0);
    assert_ok(channel_newcomer_verify(&newcomer, &net->config, judged.certificate));
    assert_memory_equal(&newcomer.fingerprint, &envelope.client, sizeof(envelope.client));
    assert_true(newcomer.not_before_s < newcomer.not_after_s);
    assert_null(channel_newcomer_find(fixture->channel, &envelope.client));
    channel_newcomer_note(fixture->channel, &newcomer);
    assert_non_null(channel_newcomer_find(fixture->channel, &envelope.client));
    assert_ok(channel_judge(fixture->channel, &judged, &envelope));
    assert_int_equal(judged.certificate.size, 0);
    assert_memory_equal(&judged.key, &newcomer.verify_key, sizeof(judged.key));
    const struct ord_span bob = net_registration(net, fixture->bob);
    assert_int_equal(net_apply(net, fixture->channel, fixture->log, 0, &bob, 1).verified, 0);
    struct party *carl = net_party(net, 0, CRYPTO_ROLE_CLIENT, "carl");
    const struct ord_span others[] = {net_registration(net, carl), net_registration(net, carl)};
    assert_int_equal(net_apply(net, fixture->channel, fixture->log, 0, others, 2).verified, 1);
    assert_ok(channel_envelope_decode(&envelope, net_registration(net, carl)));
    assert_ok(channel_judge(fixture->channel, &judged, &envelope));
    assert_int_equal(judged.certificate.size, 0);
}

static struct channel_applied order(struct fixture *fixture, uint64_t sequence, uint8_t fill) {
    const struct ord_span envelope = net_envelope(fixture->net, fixture->ann, sequence, 1, 8, fill);
    return net_apply(fixture->net, fixture->channel, fixture->log, 0, &envelope, 1);
}

/* Row P9: an envelope that was executed before is dropped, in the same batch, in a later one and after its block. */
static void replay__executes_once(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span envelope = net_envelope(fixture->net, fixture->ann, 1, 1, 8, 1);
    const struct ord_span twice[] = {envelope, envelope};
    struct channel_applied applied = net_apply(fixture->net, fixture->channel, fixture->log, 0, twice, 2);
    assert_int_equal(applied.accepted, 1);
    assert_int_equal(applied.duplicates, 1);
    assert_int_equal(order(fixture, 1, 1).duplicates, 1);
    (void) net_apply(fixture->net, fixture->channel, fixture->log, 1, NULL, 0);
    assert_int_equal(channel_height(fixture->channel), 1);
    assert_int_equal(order(fixture, 1, 1).duplicates, 1);
}

/* Row K1: of two bodies with one sequence number, the first that is ordered wins. */
static void replay__first_body_of_a_sequence_wins(void **state) {
    struct fixture *fixture = *state;
    const struct ord_span first = net_envelope(fixture->net, fixture->ann, 3, 1, 8, 1);
    const struct ord_span envelopes[] = {first, net_envelope(fixture->net, fixture->ann, 3, 1, 8, 2)};
    const struct channel_applied applied = net_apply(fixture->net, fixture->channel, fixture->log, 0, envelopes, 2);
    assert_int_equal(applied.accepted, 1);
    assert_int_equal(applied.duplicates, 1);
    struct channel_open_block open;
    channel_open(fixture->channel, &open);
    struct ord_span bytes;
    assert_int_equal(open.envelope_count, 2);
    assert_ok(channel_batch_next(&bytes, &open.data)); /* the registration */
    assert_ok(channel_batch_next(&bytes, &open.data));
    assert_true(ord_span_equal(bytes, first));
}

/* Row K5: the window bounds sequence numbers ahead of the highest one and behind it. */
static void replay__window_bounds_both_sides(void **state) {
    struct fixture *fixture = *state;
    const struct channel_client *ann = channel_client_get(fixture->channel, 0);
    assert_int_equal(order(fixture, CHANNEL_REPLAY_WINDOW + 1, 0).refused, 1);
    assert_int_equal(order(fixture, UINT64_MAX, 0).refused, 1);
    assert_int_equal(ann->highest_sequence, 0);
    assert_int_equal(order(fixture, CHANNEL_REPLAY_WINDOW, 0).accepted, 1);
    assert_int_equal(ann->highest_sequence, CHANNEL_REPLAY_WINDOW);
    assert_int_equal(order(fixture, 1, 0).accepted, 1);
    assert_int_equal(order(fixture, CHANNEL_REPLAY_WINDOW + 5, 0).accepted, 1);
    assert_int_equal(channel_sequence_check(ann, 5), CHANNEL_SEQUENCE_OLD);
    assert_int_equal(channel_sequence_check(ann, 6), CHANNEL_SEQUENCE_FRESH);
    assert_int_equal(channel_sequence_check(ann, 0), CHANNEL_SEQUENCE_OLD);
    assert_int_equal(channel_sequence_check(ann, CHANNEL_REPLAY_WINDOW), CHANNEL_SEQUENCE_SEEN);
    assert_int_equal(channel_sequence_check(ann, 2 * CHANNEL_REPLAY_WINDOW + 5), CHANNEL_SEQUENCE_FRESH);
    assert_int_equal(channel_sequence_check(ann, 2 * CHANNEL_REPLAY_WINDOW + 6), CHANNEL_SEQUENCE_AHEAD);
    /* Number 5 was never ordered, but nobody knows that any more. */
    assert_int_equal(order(fixture, 5, 0).duplicates, 1);
    /* Bits of numbers that left the window are free again: 1 was ordered, WINDOW + 1 uses the same bit and was not. */
    assert_int_equal(order(fixture, CHANNEL_REPLAY_WINDOW + 1, 0).accepted, 1);
}

static void replay__window_at_the_end_of_numbers(void **state) {
    (void) state;
    struct channel_client client = {.highest_sequence = UINT64_MAX - 1};
    assert_int_equal(channel_sequence_check(&client, UINT64_MAX), CHANNEL_SEQUENCE_FRESH);
    assert_int_equal(channel_sequence_check(&client, UINT64_MAX - CHANNEL_REPLAY_WINDOW), CHANNEL_SEQUENCE_FRESH);
    assert_int_equal(channel_sequence_check(&client, UINT64_MAX - 1 - CHANNEL_REPLAY_WINDOW), CHANNEL_SEQUENCE_OLD);
    client.highest_sequence = UINT64_MAX;
    assert_int_equal(channel_sequence_check(&client, 1), CHANNEL_SEQUENCE_OLD);
}

static void apply__demands_the_next_seq(void **state) {
    struct fixture *fixture = *state;
    const struct channel_sink sink = log_sink(fixture->log);
    struct channel_applied applied;
    static const uint64_t wrong[] = {0, 1, 3, UINT64_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_err(channel_apply(fixture->channel, &applied, wrong[i], 0, ord_span_of(NULL, 0), &sink),
                   ORD_ERR_WRONG_STATE);
    assert_ok(channel_apply(fixture->channel, &applied, 2, 0, ord_span_of(NULL, 0), &sink));
    assert_false(applied.attest);
}

static void apply__malformed_batch_uses_up_its_seq_only(void **state) {
    struct fixture *fixture = *state;
    const struct channel_sink sink = log_sink(fixture->log);
    struct channel_applied applied;
    struct ord_hash before;
    const struct channel_progress progress = *channel_progress(fixture->channel);
    channel_state_digest(fixture->channel, &before);
    assert_ok(channel_apply(fixture->channel, &applied, 2, 0, ord_span_of("\1garbage", 8), &sink));
    assert_int_equal(applied.refused, 1);
    assert_int_equal(channel_applied_seq(fixture->channel), 2);
    assert_true(only_bytes_counted(fixture->channel, &before, &progress));
}

static enum ord_err failing_sink(void *context, const struct channel_block *block) {
    (void) context;
    (void) block;
    return ORD_ERR_IO;
}

static void apply__stops_for_good_when_the_sink_fails(void **state) {
    struct fixture *fixture = *state;
    const struct channel_sink bad = {.block = failing_sink};
    const struct channel_sink good = log_sink(fixture->log);
    struct channel_applied applied;
    struct ord_span batch = net_batch(fixture->net, 1, NULL, 0);
    assert_err(channel_apply(fixture->channel, &applied, 2, 0, batch, &bad), ORD_ERR_IO);
    assert_err(channel_apply(fixture->channel, &applied, 2, 0, batch, &good), ORD_ERR_WRONG_STATE);
    assert_err(channel_apply(fixture->channel, &applied, 3, 0, batch, &good), ORD_ERR_WRONG_STATE);
}

static void digest__tells_states_apart(void **state) {
    struct fixture *fixture = *state;
    struct ord_hash digests[7];
    channel_state_digest(fixture->channel, &digests[0]);
    (void) order(fixture, 1, 1); /* changes the open block and the client */
    channel_state_digest(fixture->channel, &digests[1]);
    (void) net_apply(fixture->net, fixture->channel, fixture->log, 1, NULL, 0); /* changes the head */
    channel_state_digest(fixture->channel, &digests[2]);
    (void) order(fixture, 2, 1);
    channel_state_digest(fixture->channel, &digests[3]);
    channel_state_digest(net_channel(fixture->net), &digests[4]);
    fixture->net->config.batch_timeout_ms++;
    channel_state_digest(net_channel(fixture->net), &digests[5]);
    /* Changes nothing but the bytes since the last point, which decide where the next points are. */
    (void) net_apply(fixture->net, fixture->channel, fixture->log, 0, NULL, 0);
    channel_state_digest(fixture->channel, &digests[6]);
    for (uint32_t i = 0; i < 7; i++)
        for (uint32_t j = 0; j < i; j++)
            assert_false(ord_hash_equal(&digests[i], &digests[j]));
}

static void many(struct channel_config *config) {
    config->clients_max = 5; /* gives a tree of 8 leaves */
}

static void digest__clients_root_is_the_merkle_root_of_their_records(void **state) {
    (void) state;
    struct net *net = net_create(many);
    struct channel *channel = net_channel(net);
    struct chain_log *log = net_log(net);
    struct party *parties[5];
    for (uint32_t round = 0; round < 10; round++) {
        struct ord_span envelope;
        if (round < 5) { /* first all register, one a round; then all write, in reverse order */
            parties[round] = net_party(net, 0, CRYPTO_ROLE_CLIENT, "someone");
            envelope = net_registration(net, parties[round]);
        } else {
            envelope = net_envelope(net, parties[9 - round], 7, 1, 1, 0);
        }
        assert_int_equal(net_apply(net, channel, log, 0, &envelope, 1).accepted, 1);
        struct ord_hash leaves[8] = {{{0}}};
        for (uint32_t i = 0; i < channel_client_count(channel); i++) {
            static const char tag[] = "ordain/client/v1";
            uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
            size_t size = channel_client_record(channel, i, record);
            const struct ord_span parts[] = {ord_span_of(tag, sizeof(tag)), ord_span_of(record, size - 8)};
            crypto_sha256(&leaves[i], parts, 2);
        }
        struct ord_hash expected;
        struct ord_hash root;
        ord_merkle_root(&net->ops, &expected, leaves, 8);
        channel_clients_root(channel, &root);
        assert_true(ord_hash_equal(&root, &expected));
    }
    net_destroy(net);
}

static void memory__too_little_is_refused(void **state) {
    struct fixture *fixture = *state;
    struct net *net = fixture->net;
    size_t size = channel_memory_size(&net->config);
    struct channel *channel;
    void *memory = net_alloc(net, size);
    assert_err(channel_init(&channel, memory, size - 1, &net->config, &net->genesis_hash), ORD_ERR_NO_SPACE);
    net->config.window = 0;
    assert_err(channel_init(&channel, memory, size, &net->config, &net->genesis_hash), ORD_ERR_INVALID);
}

static void dirty__lists_each_changed_client_once(void **state) {
    struct fixture *fixture = *state;
    const uint32_t *indexes;
    const struct ord_span registration = net_registration(fixture->net, fixture->bob);
    channel_clients_clean(fixture->channel);
    assert_int_equal(channel_clients_dirty(fixture->channel, &indexes), 0);
    (void) net_apply(fixture->net, fixture->channel, fixture->log, 0, &registration, 1);
    (void) order(fixture, 1, 0);
    (void) order(fixture, 2, 0);
    (void) order(fixture, 2, 0); /* a duplicate changes nothing */
    assert_int_equal(channel_clients_dirty(fixture->channel, &indexes), 2);
    assert_int_equal(indexes[0], 1);
    assert_int_equal(indexes[1], 0);
    channel_clients_clean(fixture->channel);
    (void) order(fixture, 2, 0);
    assert_int_equal(channel_clients_dirty(fixture->channel, &indexes), 0);
}

static void restore__refuses_records_that_no_state_has(void **state) {
    struct fixture *fixture = *state;
    uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
    (void) order(fixture, 1, 0);
    size_t size = channel_client_record(fixture->channel, 0, record);
    struct channel *fresh = net_channel(fixture->net);
    for (size_t i = 0; i < size; i++)
        assert_err(channel_restore_client(fresh, 0, ord_span_of(record, i)), ORD_ERR_CORRUPT);
    record[0] ^= 1; /* version */
    assert_err(channel_restore_client(fresh, 0, ord_span_of(record, size)), ORD_ERR_CORRUPT);
    record[0] ^= 1;
    /* Set the window's bit for a sequence number that was never used. */
    record[size - 8 - 1] ^= 0x80;
    assert_err(channel_restore_client(fresh, 0, ord_span_of(record, size)), ORD_ERR_CORRUPT);
    record[size - 8 - 1] ^= 0x80;
    assert_err(channel_restore_client(fresh, 1, ord_span_of(record, size)), ORD_ERR_CORRUPT);
    assert_ok(channel_restore_client(fresh, 0, ord_span_of(record, size)));
    assert_err(channel_restore_client(fresh, 1, ord_span_of(record, size)), ORD_ERR_CORRUPT); /* twice */
}

static void restore__refuses_a_foreign_head(void **state) {
    struct fixture *fixture = *state;
    (void) net_apply(fixture->net, fixture->channel, fixture->log, 1, NULL, 0);
    struct channel *fresh = net_channel(fixture->net);
    struct channel_header head = fixture->log->blocks[0].header;
    assert_ok(channel_restore_head(fresh, &fixture->net->genesis_header, 0, &no_progress));
    assert_ok(channel_restore_head(fresh, &head, 5, &no_progress));
    assert_int_equal(channel_applied_seq(fresh), 5);
    assert_err(channel_restore_head(fresh, &head, 0, &no_progress), ORD_ERR_CORRUPT);
    head.genesis_hash.bytes[3] ^= 1;
    assert_err(channel_restore_head(fresh, &head, 5, &no_progress), ORD_ERR_MISMATCH);
    head = fixture->net->genesis_header;
    head.data_root.bytes[0] ^= 1;
    assert_err(channel_restore_head(fresh, &head, 5, &no_progress), ORD_ERR_MISMATCH);
}

static void restore__refuses_an_open_envelope_that_was_not_executed(void **state) {
    struct fixture *fixture = *state;
    uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
    (void) order(fixture, 1, 0);
    size_t size = channel_client_record(fixture->channel, 0, record);
    struct channel *fresh = net_channel(fixture->net);
    assert_ok(channel_restore_client(fresh, 0, ord_span_of(record, size)));
    assert_ok(channel_restore_head(fresh, &fixture->net->genesis_header, 2, &no_progress));
    struct channel_entry entry = {.sequence = 2, .seq = 2};
    struct ord_span other = net_envelope(fixture->net, fixture->ann, 2, 1, 8, 0);
    assert_err(channel_restore_open(fresh, other, &entry), ORD_ERR_CORRUPT);
    struct ord_span ours = net_envelope(fixture->net, fixture->ann, 1, 1, 8, 0);
    assert_err(channel_restore_open(fresh, ours, &entry), ORD_ERR_CORRUPT); /* another sequence */
    entry.sequence = 1;
    entry.client_index = 1;
    assert_err(channel_restore_open(fresh, ours, &entry), ORD_ERR_CORRUPT);
    entry.client_index = 0;
    assert_ok(channel_restore_open(fresh, ours, &entry));
}

/* A quarter of the memory for batches makes a point of attestation. A restart does not begin to count anew. */
static void restore__goes_on_counting_towards_the_next_point(void **state) {
    struct fixture *fixture = *state;
    const struct channel_sink sink = log_sink(fixture->log);
    uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
    struct channel_applied applied;
    size_t size = (size_t) (fixture->net->config.body_bytes_max / 4) - 8000;
    struct ord_span large = ord_span_of(net_alloc(fixture->net, size), size);
    assert_ok(channel_apply(fixture->channel, &applied, 2, 0, large, &sink));
    assert_false(applied.attest);
    struct channel *restarted = net_channel(fixture->net);
    assert_ok(
        channel_restore_client(restarted, 0, ord_span_of(record, channel_client_record(fixture->channel, 0, record))));
    assert_ok(channel_restore_head(restarted, &fixture->net->genesis_header, channel_applied_seq(fixture->channel),
                                   channel_progress(fixture->channel)));
    struct channel *both[] = {fixture->channel, restarted};
    for (size_t i = 0; i < 2; i++) {
        assert_ok(channel_apply(both[i], &applied, 3, 0, ord_span_of(large.data, 8000), &sink));
        assert_true(applied.attest);
        assert_int_equal(channel_progress(both[i])->bytes_since_point, 0);
        assert_ok(channel_apply(both[i], &applied, 4, 0, large, &sink));
        assert_false(applied.attest);
    }
}

/* Makes a channel at seq 4 with one block (registration, 1) and an open block (2, 3). Returns the tail. */
static struct ord_span blocks_and_tail(struct fixture *fixture) {
    (void) order(fixture, 1, 0);
    const struct ord_span envelopes[] = {net_envelope(fixture->net, fixture->ann, 2, 1, 8, 0)};
    (void) net_apply(fixture->net, fixture->channel, fixture->log, 1, envelopes, 1);
    (void) order(fixture, 3, 0);
    struct channel_open_block open;
    channel_open(fixture->channel, &open);
    assert_int_equal(open.envelope_count, 2);
    return net_copy(fixture->net, open.data);
}

static void transfer__waits_for_the_tail(void **state) {
    struct fixture *fixture = *state;
    struct ord_span tail = blocks_and_tail(fixture);
    const struct channel_block *block = &fixture->log->blocks[0];
    struct channel *late = net_channel(fixture->net);
    struct chain_log *log = net_log(fixture->net);
    const struct channel_sink sink = log_sink(log);
    struct channel_applied applied;
    assert_ok(channel_apply_block(late, &block->header, block->data, &sink));
    assert_int_equal(channel_height(late), 1);
    assert_int_equal(channel_applied_seq(late), block->header.last_seq - 1);
    assert_int_equal(log->blocks[0].entries[1].seq, block->header.last_seq);
    assert_int_equal(log->blocks[0].entries[1].batch_index, 0);
    assert_int_equal(log->blocks[0].entries[1].sequence, 1);
    assert_err(channel_apply(late, &applied, block->header.last_seq, 0, ord_span_of(NULL, 0), &sink),
               ORD_ERR_WRONG_STATE);
    assert_err(channel_apply_tail(late, block->header.last_seq - 1, &no_progress, tail), ORD_ERR_WRONG_STATE);
    assert_ok(channel_apply_tail(late, 4, channel_progress(fixture->channel), tail));
    assert_int_equal(channel_applied_seq(late), 4);
    struct channel_open_block open;
    channel_open(late, &open);
    assert_int_equal(open.entries[1].batch_index, CHANNEL_NO_BATCH_INDEX);
    assert_int_equal(open.entries[1].seq, 4);
    assert_ok(channel_apply(late, &applied, 5, 0, ord_span_of(NULL, 0), &sink));
    struct ord_hash ours;
    struct ord_hash theirs;
    channel_state_digest(late, &ours);
    channel_state_digest(fixture->channel, &theirs);
    assert_true(ord_hash_equal(&ours, &theirs));
}

static void transfer__goes_on_after_a_restart_in_between(void **state) {
    struct fixture *fixture = *state;
    struct ord_span tail = blocks_and_tail(fixture);
    const struct channel_block *block = &fixture->log->blocks[0];
    struct channel *late = net_channel(fixture->net);
    const struct channel_sink sink = log_sink(net_log(fixture->net));
    assert_ok(channel_apply_block(late, &block->header, block->data, &sink));
    uint8_t record[CHANNEL_CLIENT_RECORD_MAX];
    size_t size = channel_client_record(late, 0, record);

    struct channel *restarted = net_channel(fixture->net);
    struct channel_applied applied;
    assert_ok(channel_restore_client(restarted, 0, ord_span_of(record, size)));
    assert_ok(channel_restore_head(restarted, &block->header, channel_applied_seq(late), channel_progress(late)));
    assert_err(channel_apply(restarted, &applied, block->header.last_seq, 0, ord_span_of(NULL, 0), &sink),
               ORD_ERR_WRONG_STATE);
    assert_ok(channel_apply_tail(restarted, 4, channel_progress(fixture->channel), tail));
    struct ord_hash ours;
    struct ord_hash theirs;
    channel_state_digest(restarted, &ours);
    channel_state_digest(fixture->channel, &theirs);
    assert_true(ord_hash_equal(&ours, &theirs));
}

static void transfer__block_must_follow_the_head(void **state) {
    struct fixture *fixture = *state;
    (void) blocks_and_tail(fixture);
    const struct channel_block *block = &fixture->log->blocks[0];
    struct channel *late = net_channel(fixture->net);
    const struct channel_sink sink = log_sink(net_log(fixture->net));
    struct channel_header header = block->header;
    header.height = 2;
    assert_err(channel_apply_block(late, &header, block->data, &sink), ORD_ERR_WRONG_STATE);
    header = block->header;
    header.previous_hash.bytes[0] ^= 1;
    assert_err(channel_apply_block(late, &header, block->data, &sink), ORD_ERR_INVALID);
    header = block->header;
    header.epoch = 2;
    assert_err(channel_apply_block(late, &header, block->data, &sink), ORD_ERR_INVALID);
    assert_ok(channel_apply_block(late, &block->header, block->data, &sink)); /* the refusals changed nothing */
}

static void transfer__block_must_begin_with_what_is_open(void **state) {
    struct fixture *fixture = *state;
    (void) blocks_and_tail(fixture);
    const struct channel_block *block = &fixture->log->blocks[0];
    const struct channel_sink sink = log_sink(net_log(fixture->net));
    struct channel_applied applied;
    struct channel *late = net_channel(fixture->net);
    const struct ord_span registration = net_registration(fixture->net, fixture->ann);
    struct ord_span batch = net_batch(fixture->net, 0, &registration, 1);
    assert_ok(channel_apply(late, &applied, 1, 0, batch, &sink));
    struct ord_span bytes = net_copy(fixture->net, block->data);
    ((uint8_t *) (uintptr_t) bytes.data)[registration.size] ^= 1; /* changes its signature */
    assert_err(channel_apply_block(late, &block->header, bytes, &sink), ORD_ERR_INVALID);
    assert_err(channel_apply_block(late, &block->header, ord_span_of(bytes.data, 20), &sink), ORD_ERR_INVALID);
    assert_ok(channel_apply_block(late, &block->header, block->data, &sink));
}

static void transfer__block_must_have_the_envelopes_of_its_header(void **state) {
    struct fixture *fixture = *state;
    (void) blocks_and_tail(fixture);
    const struct channel_block *block = &fixture->log->blocks[0];
    const struct channel_sink sink = log_sink(net_log(fixture->net));
    struct channel_header header = block->header;
    header.envelope_count++;
    assert_err(channel_apply_block(net_channel(fixture->net), &header, block->data, &sink), ORD_ERR_INVALID);
}

static void transfer__impossible_block_stops_the_replica(void **state) {
    struct fixture *fixture = *state;
    struct net *net = fixture->net;
    struct channel *late = net_channel(net);
    const struct channel_sink sink = log_sink(net_log(net));
    /* The block has an envelope of a client that is not registered. */
    struct ord_span bytes = net_envelope(net, fixture->bob, 1, 1, 8, 0);
    struct ord_writer data = ord_writer_of(net_alloc(net, bytes.size + 4), bytes.size + 4);
    ord_write_string(&data, bytes);
    struct channel_header header = {
        .genesis_hash = net->genesis_hash, .height = 1, .previous_hash = net->genesis_hash, .epoch = 1, .last_seq = 1};
    struct ord_hash leaf;
    assert_ok(channel_data_root(&header, &leaf, 1, ord_writer_span(&data)));
    assert_err(channel_apply_block(late, &header, ord_writer_span(&data), &sink), ORD_ERR_INVALID);
    assert_err(channel_apply_block(late, &header, ord_writer_span(&data), &sink), ORD_ERR_WRONG_STATE);
}

static void transfer__tail_is_checked_before_it_is_executed(void **state) {
    struct fixture *fixture = *state;
    struct net *net = fixture->net;
    struct ord_span tail = blocks_and_tail(fixture);
    struct ord_hash digest;
    struct ord_hash root;
    channel_state_digest(fixture->channel, &digest);
    channel_clients_root(fixture->channel, &root);
    const struct channel_progress since = *channel_progress(fixture->channel);
    struct channel_progress other = since;
    assert_true(since.bytes_since_point > 0);
    struct channel *late = net_channel(net);
    const struct channel_sink sink = log_sink(net_log(net));
    const struct channel_block *block = &fixture->log->blocks[0];
    assert_ok(channel_apply_block(late, &block->header, block->data, &sink));
    uint8_t *bytes = net_alloc(net, tail.size);
    memcpy(bytes, tail.data, tail.size);
    for (size_t i = 0; i < tail.size; i += 3) {
        bytes[i] ^= 1;
        assert_err(channel_tail_check(late, ord_span_of(bytes, tail.size), &root, &since, &digest), ORD_ERR_MISMATCH);
        bytes[i] ^= 1;
    }
    assert_err(channel_tail_check(late, ord_span_of(NULL, 0), &root, &since, &digest), ORD_ERR_MISMATCH);
    root.bytes[0] ^= 1;
    assert_err(channel_tail_check(late, tail, &root, &since, &digest), ORD_ERR_MISMATCH);
    root.bytes[0] ^= 1;
    assert_err(channel_tail_check(late, tail, &root, &no_progress, &digest), ORD_ERR_MISMATCH);
    other.bytes_since_point++;
    assert_err(channel_tail_check(late, tail, &root, &other, &digest), ORD_ERR_MISMATCH);
    assert_ok(channel_tail_check(late, tail, &root, &since, &digest));
    assert_ok(channel_apply_tail(late, 4, &since, tail));
    struct ord_hash ours;
    channel_state_digest(late, &ours);
    assert_true(ord_hash_equal(&ours, &digest));
}

static void transfer__tail_must_begin_with_what_is_open(void **state) {
    struct fixture *fixture = *state;
    struct ord_span tail = blocks_and_tail(fixture);
    struct ord_span first = ord_span_of(tail.data, 4 + ord_load_u32(tail.data));
    assert_err(channel_apply_tail(fixture->channel, 9, &no_progress, first), ORD_ERR_INVALID);
    assert_err(channel_apply_tail(fixture->channel, 9, &no_progress, ord_span_of(NULL, 0)), ORD_ERR_INVALID);
    uint8_t *bytes = net_alloc(fixture->net, tail.size);
    memcpy(bytes, tail.data, tail.size);
    /* Change a signature, which execution does not check. */
    bytes[tail.size - 1] ^= 1;
    assert_err(channel_apply_tail(fixture->channel, 9, &no_progress, ord_span_of(bytes, tail.size)), ORD_ERR_INVALID);
    assert_ok(channel_apply_tail(fixture->channel, 9, &no_progress, tail));
    assert_int_equal(channel_applied_seq(fixture->channel), 9);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static const struct CMUnitTest cases[] = {
    CASE(judge__gives_the_key_that_the_signature_must_verify_under),
    CASE(judge__refuses_what_no_batch_may_hold),
    CASE(judge__refuses_another_network_and_configuration),
    CASE(judge__refuses_config_envelopes),
    CASE(registration__demands_a_members_client),
    CASE(registration__of_what_is_no_certificate_is_refused),
    CASE(registration__is_known_to_later_envelopes_of_its_batch),
    CASE(registration__happens_once),
    CASE(registration__table_is_bounded),
    CASE(registration__is_verified_once),
    CASE(replay__executes_once),
    CASE(replay__first_body_of_a_sequence_wins),
    CASE(replay__window_bounds_both_sides),
    CASE(replay__window_at_the_end_of_numbers),
    CASE(apply__demands_the_next_seq),
    CASE(apply__malformed_batch_uses_up_its_seq_only),
    CASE(apply__stops_for_good_when_the_sink_fails),
    CASE(digest__tells_states_apart),
    CASE(digest__clients_root_is_the_merkle_root_of_their_records),
    CASE(memory__too_little_is_refused),
    CASE(dirty__lists_each_changed_client_once),
    CASE(restore__refuses_records_that_no_state_has),
    CASE(restore__refuses_a_foreign_head),
    CASE(restore__refuses_an_open_envelope_that_was_not_executed),
    CASE(restore__goes_on_counting_towards_the_next_point),
    CASE(transfer__waits_for_the_tail),
    CASE(transfer__goes_on_after_a_restart_in_between),
    CASE(transfer__block_must_follow_the_head),
    CASE(transfer__block_must_begin_with_what_is_open),
    CASE(transfer__block_must_have_the_envelopes_of_its_header),
    CASE(transfer__impossible_block_stops_the_replica),
    CASE(transfer__tail_is_checked_before_it_is_executed),
    CASE(transfer__tail_must_begin_with_what_is_open),
};
TEST_CASES(cases);
