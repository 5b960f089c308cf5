/*
 * The configuration: defaults, rules, encoding.
 */
#include "channel/config.h"

#include <stdio.h>
#include <string.h>

#include "channel/envelope.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

static int setup(void **state) {
    *state = net_create(NULL);
    return 0;
}

static int teardown(void **state) {
    net_destroy(*state);
    return 0;
}

static struct channel_config *config_of(void **state) {
    return &((struct net *) *state)->config;
}

static void expect_refused(const struct channel_config *config, const char *word) {
    const char *why = NULL;
    assert_err(channel_config_check(config, &why), ORD_ERR_INVALID);
    if (strstr(why, word) == NULL)
        fail_msg("\"%s\" does not speak of %s", why, word);
}

static void config__defaults_are_a_configuration_that_runs(void **state) {
    struct channel_config *config = config_of(state);
    const char *why = "?";
    assert_ok(channel_config_check(config, &why));
    assert_string_equal(why, "");
    assert_int_equal(config->absolute_max_bytes, 1u << 20);
    assert_int_equal(config->preferred_max_bytes, 1u << 19);
    assert_int_equal(config->max_message_count, 500);
    assert_int_equal(config->batch_timeout_ms, 200);
    assert_int_equal(config->window, 256);
    assert_int_equal(config->checkpoint_interval, 64);
    assert_int_equal(config->epoch, 1);
}

static void config__refuses_names_that_are_not_plain(void **state) {
    struct channel_config *config = config_of(state);
    static const char *const bad[] = {"", "Upper", "with space", "a/b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(config->name, sizeof(config->name), "%s", bad[i]);
        expect_refused(config, "name");
    }
    memset(config->name, 'a', sizeof(config->name)); /* no terminator */
    expect_refused(config, "name");
    snprintf(config->name, sizeof(config->name), "main-net.v1_2");
    assert_ok(channel_config_check(config, NULL));
}

static void config__replica_counts_follow_the_protocol(void **state) {
    struct channel_config *config = config_of(state);
    config->replica_count = 3;
    expect_refused(config, "at least 4");
    config->consensus = CHANNEL_SOLO;
    expect_refused(config, "exactly one");
    config->replica_count = 1;
    assert_ok(channel_config_check(config, NULL));
    config->consensus = CHANNEL_PBFT;
    config->replica_count = 0;
    expect_refused(config, "1 to 64");
    config->replica_count = ORD_REPLICA_MAX + 1;
    expect_refused(config, "1 to 64");
}

static void config__raft_has_times_in_bounds(void **state) {
    struct channel_config *config = config_of(state);
    struct channel_config defaults;
    channel_config_defaults(&defaults, CHANNEL_RAFT);
    config->consensus = CHANNEL_RAFT;
    expect_refused(config, "election_ms_min and election_ms_max");
    config->raft = defaults.raft;
    config->replica_count = 2; /* survives no crash, but runs */
    assert_ok(channel_config_check(config, NULL));
    config->raft.election_ms_min = config->raft.election_ms_max;
    expect_refused(config, "more than election_ms_min");
    config->raft.election_ms_min = 2 * config->raft.heartbeat_ms - 1;
    expect_refused(config, "heartbeat_ms");
    config->raft.election_ms_min = 9;
    expect_refused(config, "10 ms");
    config->raft = defaults.raft;
    config->raft.election_ms_max = 60001;
    expect_refused(config, "minute");
    config->raft = defaults.raft;
    config->raft.heartbeat_ms = 0;
    expect_refused(config, "heartbeat_ms");
    config->raft = defaults.raft;
    config->decisions_per_leader = 1;
    expect_refused(config, "pbft alone");
    config->decisions_per_leader = 0;
    config->consensus = CHANNEL_SOLO;
    config->replica_count = 1;
    expect_refused(config, "raft alone");
}

static void config__of_raft_is_decoded_as_it_was(void **state) {
    struct channel_config *config = config_of(state);
    static uint8_t bytes[CHANNEL_CONFIG_BYTES_MAX];
    static struct channel_config decoded;
    config->consensus = CHANNEL_RAFT;
    config->raft = (struct channel_raft) {.election_ms_min = 100,
                                          .election_ms_max = 200,
                                          .heartbeat_ms = 20,
                                          .snapshot_blocks = 7,
                                          .snapshot_bytes = 1u << 20,
                                          .check_forwards = true};
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    assert_ok(channel_config_encode(config, &writer));
    assert_ok(channel_config_decode(&decoded, ord_writer_span(&writer)));
    assert_int_equal(decoded.raft.election_ms_min, 100);
    assert_int_equal(decoded.raft.election_ms_max, 200);
    assert_int_equal(decoded.raft.heartbeat_ms, 20);
    assert_int_equal(decoded.raft.snapshot_blocks, 7);
    assert_int_equal(decoded.raft.snapshot_bytes, 1u << 20);
    assert_true(decoded.raft.check_forwards);
    assert_int_equal(decoded.clients_max, config->clients_max);
}

static void config__window_holds_two_checkpoints(void **state) {
    struct channel_config *config = config_of(state);
    config->window = 127;
    expect_refused(config, "half of window");
    config->window = 128;
    assert_ok(channel_config_check(config, NULL));
    config->checkpoint_interval = 0;
    expect_refused(config, "checkpoint_interval");
    config->checkpoint_interval = UINT32_MAX; /* twice this value must not wrap */
    expect_refused(config, "half of window");
}

static void config__batch_holds_the_largest_envelope(void **state) {
    struct channel_config *config = config_of(state);
    config->batch_bytes_max = config->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD - 1;
    expect_refused(config, "batch_bytes_max");
    config->batch_bytes_max++;
    assert_ok(channel_config_check(config, NULL));
    config->body_bytes_max = (uint64_t) config->batch_bytes_max * 4 - 1;
    expect_refused(config, "body_bytes_max");
    config->body_bytes_max = (uint64_t) config->batch_bytes_max * 4;
    config->preferred_max_bytes = config->batch_bytes_max;
    assert_ok(channel_config_check(config, NULL));
    config->preferred_max_bytes++;
    expect_refused(config, "half of body_bytes_max");
}

static void config__limits_of_the_knobs(void **state) {
    struct channel_config *config = config_of(state);
    const struct channel_config good = *config;
    config->absolute_max_bytes = CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT + 1;
    expect_refused(config, "absolute_max_bytes");
    *config = good;
    config->preferred_max_bytes = 0;
    expect_refused(config, "preferred_max_bytes");
    *config = good;
    config->max_message_count = 0;
    expect_refused(config, "max_message_count");
    config->max_message_count = CHANNEL_MESSAGE_COUNT_LIMIT + 1;
    expect_refused(config, "max_message_count");
    *config = good;
    config->clients_max = CHANNEL_CLIENTS_LIMIT + 1;
    expect_refused(config, "clients_max");
    *config = good;
    config->batch_timeout_ms = 0;
    assert_ok(channel_config_check(config, NULL));
    config->epoch = 0;
    expect_refused(config, "epoch");
}

static void config__limits_of_times_and_memory(void **state) {
    struct channel_config *config = config_of(state);
    const struct channel_config good = *config;
    const uint32_t hour_ms = 3600000;
    config->batch_timeout_ms = hour_ms + 1;
    expect_refused(config, "batch_timeout_ms");
    *config = good;
    config->retransmit_ms = 0;
    expect_refused(config, "retransmit_ms");
    config->retransmit_ms = hour_ms + 1;
    expect_refused(config, "retransmit_ms");
    *config = good;
    config->request_timeout_ms = 0;
    expect_refused(config, "request_timeout_ms");
    config->request_timeout_ms = hour_ms;
    assert_ok(channel_config_check(config, NULL));
    *config = good;
    config->batch_bytes_max = (128u << 20) + 1;
    expect_refused(config, "128 MiB");
    *config = good;
    config->body_bytes_max = UINT64_MAX;
    expect_refused(config, "body_bytes_max");
}

/* Values that a field cannot hold, and values that an enumeration has no name for. */
static void config__refuses_what_no_configuration_has(void **state) {
    struct channel_config *config = config_of(state);
    const struct channel_config good = *config;
    config->consensus = (enum channel_consensus) 7;
    expect_refused(config, "solo, pbft or raft");
    assert_int_equal(channel_weak_quorum(config), 1);
    assert_int_equal(channel_strong_quorum(config), 1);
    *config = good;
    config->orgs[0].name[0] = '\0';
    expect_refused(config, "1 to 64 bytes");
    memset(config->orgs[0].name, 'a', sizeof(config->orgs[0].name));
    expect_refused(config, "1 to 64 bytes");
    *config = good;
    config->orgs[0].ca_der_size = 0;
    expect_refused(config, "no sane size");
    *config = good;
    config->replicas[0].replica_port = 0;
    expect_refused(config, "port is 0");
    *config = good;
    memset(config->replicas[0].host, 'a', sizeof(config->replicas[0].host)); /* no terminator */
    expect_refused(config, "host");
    snprintf(config->replicas[0].host, sizeof(config->replicas[0].host), "[2001:DB8::1%%eth0]");
    assert_ok(channel_config_check(config, NULL));
    snprintf(config->replicas[0].host, sizeof(config->replicas[0].host), "a{b");
    expect_refused(config, "host");
    *config = good;
    struct crypto_replica_keys keys;
    config->replica_count = 0;
    assert_err(channel_replica_keys(&keys, config), ORD_ERR_INVALID);
}

/* Two replicas on one host must not share any port, whatever they use it for. */
static void config__one_host_has_each_port_once(void **state) {
    struct channel_config *config = config_of(state);
    const uint16_t ports[][2] = {{7000, 8000}, {8000, 7000}, {7001, 8000}, {8000, 7001}};
    snprintf(config->replicas[2].host, sizeof(config->replicas[2].host), "%s", config->replicas[1].host);
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        config->replicas[2].replica_port = ports[i][0];
        config->replicas[2].client_port = ports[i][1];
        expect_refused(config, "host and port");
    }
    config->replicas[2].replica_port = 8000;
    config->replicas[2].client_port = 8001;
    assert_ok(channel_config_check(config, NULL));
}

static void config__replicas_have_names_of_their_own(void **state) {
    struct channel_config *config = config_of(state);
    static const char *const bad[] = {"", "a\tb", "a\x7f", "\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(config->replicas[2].name, sizeof(config->replicas[2].name), "%s", bad[i]);
        expect_refused(config, "name");
    }
    memset(config->replicas[2].name, 'n', sizeof(config->replicas[2].name));
    expect_refused(config, "name");
    config->replicas[2].name[CRYPTO_NAME_MAX] = '\0';
    assert_ok(channel_config_check(config, NULL));
    /* Replicas 0 and 2 are of one organisation, 1 of another. */
    snprintf(config->replicas[2].name, sizeof(config->replicas[2].name), "%s", config->replicas[1].name);
    assert_ok(channel_config_check(config, NULL));
    snprintf(config->replicas[2].name, sizeof(config->replicas[2].name), "%s", config->replicas[0].name);
    expect_refused(config, "two replicas of an organisation have one name");
}

static void config__wild_fields_of_an_encoding_are_refused(void **state) {
    static uint8_t bytes[CHANNEL_CONFIG_BYTES_MAX];
    static struct channel_config decoded;
    struct channel_config *config = config_of(state);
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    assert_ok(channel_config_encode(config, &writer));
    const size_t name_at = 1 + 4;
    const size_t consensus_at = name_at + strlen(config->name);
    bytes[name_at + 1] = '\0'; /* a NUL in the middle of a text */
    assert_err(channel_config_decode(&decoded, ord_writer_span(&writer)), ORD_ERR_INVALID);
    bytes[name_at + 1] = (uint8_t) config->name[1];
    const uint8_t consensus = bytes[consensus_at];
    static const uint8_t wild[] = {0, CHANNEL_RAFT + 1, 255};
    for (size_t i = 0; i < sizeof(wild); i++) {
        bytes[consensus_at] = wild[i];
        assert_err(channel_config_decode(&decoded, ord_writer_span(&writer)), ORD_ERR_INVALID);
    }
    bytes[consensus_at] = consensus;
    assert_ok(channel_config_decode(&decoded, ord_writer_span(&writer)));
    size_t replica_size =
        4 + 4 + strlen(config->replicas[0].name) + ORD_PUBLIC_KEY_SIZE + 4 + strlen(config->replicas[0].host) + 2 + 2;
    size_t count_at = writer.size - 4 * replica_size - 4;
    assert_int_equal(ord_load_u32(bytes + count_at), 4);
    ord_store_u32(bytes + count_at, ORD_REPLICA_MAX + 1);
    assert_err(channel_config_decode(&decoded, ord_writer_span(&writer)), ORD_ERR_INVALID);
    config->replica_count = ORD_REPLICA_MAX + 1;
    assert_err(channel_config_encode(config, &writer), ORD_ERR_INVALID);
    config->replica_count = 4;
    config->orgs[1].ca_der_size = CRYPTO_CERT_DER_MAX + 1;
    writer.size = 0;
    assert_err(channel_config_encode(config, &writer), ORD_ERR_INVALID);
}

static void config__two_replicas_never_share_a_key_or_port(void **state) {
    struct channel_config *config = config_of(state);
    const struct channel_config good = *config;
    config->replicas[3].key = config->replicas[0].key;
    expect_refused(config, "one key");
    *config = good;
    memcpy(config->replicas[2].host, config->replicas[1].host, sizeof(config->replicas[1].host));
    expect_refused(config, "host and port");
    config->replicas[2].replica_port = 8000;
    config->replicas[2].client_port = 8001;
    assert_ok(channel_config_check(config, NULL));
    config->replicas[2].client_port = 8000;
    expect_refused(config, "one port");
    config->replicas[2].client_port = 0;
    expect_refused(config, "port is 0");
    *config = good;
    memset(&config->replicas[1].key, 0, sizeof(config->replicas[1].key));
    expect_refused(config, "secp256k1");
    *config = good;
    snprintf(config->replicas[0].host, sizeof(config->replicas[0].host), "two words");
    expect_refused(config, "host");
    config->replicas[0].host[0] = '\0';
    expect_refused(config, "host");
    *config = good;
    config->replicas[0].org_index = 2;
    expect_refused(config, "no organisation");
}

static void config__organisations_are_distinct_and_own_their_ca(void **state) {
    struct channel_config *config = config_of(state);
    const struct channel_config good = *config;
    config->orgs[1] = config->orgs[0];
    expect_refused(config, "one name");
    *config = good;
    snprintf(config->orgs[1].name, sizeof(config->orgs[1].name), "delta");
    expect_refused(config, "another organisation");
    *config = good;
    config->orgs[0].ca_der_size--;
    expect_refused(config, "CA certificate");
    *config = good;
    config->org_count = 0;
    expect_refused(config, "organisations");
}

static void config__encoding_comes_back(void **state) {
    struct channel_config *config = config_of(state);
    config->config_sequence = 7;
    static uint8_t bytes[CHANNEL_CONFIG_BYTES_MAX];
    static uint8_t again[CHANNEL_CONFIG_BYTES_MAX];
    static struct channel_config decoded;
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    assert_ok(channel_config_encode(config, &writer));
    assert_ok(channel_config_decode(&decoded, ord_writer_span(&writer)));
    assert_int_equal(decoded.config_sequence, 7);
    assert_string_equal(decoded.replicas[3].host, "replica-3.example");
    struct ord_writer second = ord_writer_of(again, sizeof(again));
    assert_ok(channel_config_encode(&decoded, &second));
    assert_true(ord_span_equal(ord_writer_span(&writer), ord_writer_span(&second)));
    struct ord_writer small = ord_writer_of(bytes, 100);
    assert_err(channel_config_encode(config, &small), ORD_ERR_NO_SPACE);
}

/* The field is there in one of the two versions only. */
static void config__decisions_per_leader_have_a_version(void **state) {
    struct channel_config *config = config_of(state);
    static uint8_t bytes[CHANNEL_CONFIG_BYTES_MAX];
    static struct channel_config decoded;
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    assert_ok(channel_config_encode(config, &writer));
    assert_int_equal(bytes[0], 3);
    size_t size = writer.size;
    config->decisions_per_leader = 1000;
    writer = ord_writer_of(bytes, sizeof(bytes));
    assert_ok(channel_config_encode(config, &writer));
    assert_int_equal(bytes[0], 4);
    assert_int_equal(writer.size, size + 4);
    assert_ok(channel_config_decode(&decoded, ord_writer_span(&writer)));
    assert_int_equal(decoded.decisions_per_leader, 1000);
    uint8_t *field = NULL; /* will point to the field's value of 1000 */
    for (size_t i = 0; i + 4 <= writer.size && field == NULL; i++)
        if (ord_load_u32(bytes + i) == 1000 && i > 1 && ord_load_u32(bytes + i - 4) == config->request_timeout_ms)
            field = bytes + i;
    assert_non_null(field);
    /* With 0 in this field there would be a second encoding of the first version's configuration. */
    memset(field, 0, 4);
    assert_err(channel_config_decode(&decoded, ord_writer_span(&writer)), ORD_ERR_INVALID);
    config->consensus = CHANNEL_SOLO;
    config->replica_count = 1;
    expect_refused(config, "decisions_per_leader");
}

static void config__every_shorter_or_longer_encoding_is_refused(void **state) {
    static uint8_t bytes[CHANNEL_CONFIG_BYTES_MAX];
    static struct channel_config decoded;
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    assert_ok(channel_config_encode(config_of(state), &writer));
    for (size_t size = 0; size < writer.size; size++)
        assert_err(channel_config_decode(&decoded, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    assert_err(channel_config_decode(&decoded, ord_span_of(bytes, writer.size + 1)), ORD_ERR_INVALID);
    bytes[0] = 4;
    assert_err(channel_config_decode(&decoded, ord_writer_span(&writer)), ORD_ERR_INVALID);
}

/* Row T11: a count of 2^32 - 1 is refused before it is used. */
static void config__wild_counts_are_refused(void **state) {
    static uint8_t bytes[CHANNEL_CONFIG_BYTES_MAX];
    static struct channel_config decoded;
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    struct channel_config *config = config_of(state);
    assert_ok(channel_config_encode(config, &writer));
    size_t org_count_at = 1 + 4 + strlen(config->name) + 1 + 8 + 8 + 7 * 4 + 8 + 3 * 4;
    assert_int_equal(ord_load_u32(bytes + org_count_at), 2);
    ord_store_u32(bytes + org_count_at, UINT32_MAX);
    assert_err(channel_config_decode(&decoded, ord_writer_span(&writer)), ORD_ERR_INVALID);
    config->org_count = UINT32_MAX;
    assert_err(channel_config_encode(config, &writer), ORD_ERR_INVALID);
}

static void config__consensus_names(void **state) {
    (void) state;
    enum channel_consensus consensus;
    static const char *const names[] = {"solo", "pbft", "raft"};
    for (size_t i = 0; i < 3; i++) {
        assert_ok(channel_consensus_parse(&consensus, names[i]));
        assert_string_equal(channel_consensus_name(consensus), names[i]);
    }
    assert_err(channel_consensus_parse(&consensus, "paxos"), ORD_ERR_INVALID);
    assert_string_equal(channel_consensus_name((enum channel_consensus) 9), "?");
}

static void config__quorums(void **state) {
    struct channel_config *config = config_of(state);
    assert_int_equal(channel_weak_quorum(config), 2);
    assert_int_equal(channel_strong_quorum(config), 3);
    config->replica_count = 7;
    assert_int_equal(channel_weak_quorum(config), 3);
    assert_int_equal(channel_strong_quorum(config), 5);
    config->consensus = CHANNEL_RAFT;
    config->replica_count = 5;
    assert_int_equal(channel_weak_quorum(config), 3);
    assert_int_equal(channel_strong_quorum(config), 3);
    config->consensus = CHANNEL_SOLO;
    config->replica_count = 1;
    assert_int_equal(channel_weak_quorum(config), 1);
    assert_int_equal(channel_strong_quorum(config), 1);
}

static void config__core_view(void **state) {
    struct net *net = *state;
    struct ord_core_config core;
    channel_core_config(&core, &net->config, &net->genesis_hash, 2, &net->ops);
    assert_int_equal(core.self, 2);
    assert_int_equal(core.replica_count, 4);
    assert_int_equal(core.window, 256);
    assert_int_equal(core.checkpoint_interval, 64);
    assert_int_equal(core.batch_bytes_max, net->config.batch_bytes_max);
    assert_int_equal(core.body_bytes_max, net->config.body_bytes_max);
    assert_true(ord_hash_equal(&core.genesis_hash, &net->genesis_hash));
    assert_ptr_equal(core.crypto, &net->ops);
    assert_null(core.options); /* the protocol's, not the channel's */
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test_setup_teardown(config__defaults_are_a_configuration_that_runs, setup, teardown),
    cmocka_unit_test_setup_teardown(config__refuses_names_that_are_not_plain, setup, teardown),
    cmocka_unit_test_setup_teardown(config__replica_counts_follow_the_protocol, setup, teardown),
    cmocka_unit_test_setup_teardown(config__raft_has_times_in_bounds, setup, teardown),
    cmocka_unit_test_setup_teardown(config__of_raft_is_decoded_as_it_was, setup, teardown),
    cmocka_unit_test_setup_teardown(config__window_holds_two_checkpoints, setup, teardown),
    cmocka_unit_test_setup_teardown(config__batch_holds_the_largest_envelope, setup, teardown),
    cmocka_unit_test_setup_teardown(config__limits_of_the_knobs, setup, teardown),
    cmocka_unit_test_setup_teardown(config__limits_of_times_and_memory, setup, teardown),
    cmocka_unit_test_setup_teardown(config__refuses_what_no_configuration_has, setup, teardown),
    cmocka_unit_test_setup_teardown(config__one_host_has_each_port_once, setup, teardown),
    cmocka_unit_test_setup_teardown(config__replicas_have_names_of_their_own, setup, teardown),
    cmocka_unit_test_setup_teardown(config__wild_fields_of_an_encoding_are_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(config__two_replicas_never_share_a_key_or_port, setup, teardown),
    cmocka_unit_test_setup_teardown(config__organisations_are_distinct_and_own_their_ca, setup, teardown),
    cmocka_unit_test_setup_teardown(config__encoding_comes_back, setup, teardown),
    cmocka_unit_test_setup_teardown(config__decisions_per_leader_have_a_version, setup, teardown),
    cmocka_unit_test_setup_teardown(config__every_shorter_or_longer_encoding_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(config__wild_counts_are_refused, setup, teardown),
    cmocka_unit_test(config__consensus_names),
    cmocka_unit_test_setup_teardown(config__quorums, setup, teardown),
    cmocka_unit_test_setup_teardown(config__core_view, setup, teardown),
};
TEST_CASES(cases);
