/*
 * The harm that one lying replica can do over its link: it takes its share of the vote pool and of memory, and one
 * check of a signature that does not verify.
 */
#include "tests/support/node_support.h"

#include <stdlib.h>
#include <string.h>

#include "bft/wire/message.h"
#include "tests/support/test_main.h"

static uint64_t counted(struct node_world *world, const char *name) {
#define TEST_REPLICA_COUNTER(counter)                                                                                  \
    if (strcmp(name, #counter) == 0)                                                                                   \
        return world->replica->counters.counter;
    REPLICA_COUNTERS(TEST_REPLICA_COUNTER)
#undef TEST_REPLICA_COUNTER
#define TEST_NODE_COUNTER(counter)                                                                                     \
    if (strcmp(name, #counter) == 0)                                                                                   \
        return count_get(&world->node->counters.counter);
    NODE_COUNTERS(TEST_NODE_COUNTER)
#undef TEST_NODE_COUNTER
    fail_msg("no counter %s", name);
    return 0;
}

/* Sets the time until which a sender is ignored. */
static void ignore_until(struct node_world *world, ord_node_id from, uint64_t at_ms) {
    atomic_store(&world->node->links.peers[from].bad_until_ms, at_ms);
    world->replica->accounts[from].ignored_until_ms = at_ms;
}

static void a_statement(struct channel_statement *out, struct node_world *world, uint64_t seq) {
    *out = (struct channel_statement) {.epoch = world->replica->setup.core_config.epoch, .seq = seq, .height = 1};
    memset(out->state_digest.bytes, 7, sizeof(out->state_digest.bytes));
}

/* Sends attestations at seqs from `first` on, each with a spoilt signature. */
static void send_forgeries(struct node_world *world, ord_node_id from, uint64_t first, size_t count) {
    uint8_t *bytes = malloc(count * CHANNEL_ATTESTATION_SIZE);
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) {
        struct channel_statement statement;
        struct channel_attestation attestation;
        a_statement(&statement, world, first + i);
        node_world_attest(world, &attestation, from, &statement);
        attestation.signature.bytes[40] ^= 1;
        channel_attestation_encode(bytes + i * CHANNEL_ATTESTATION_SIZE, &attestation);
    }
    node_world_send_many(world, from, REPLICA_LINK_ATTESTATION, bytes, CHANNEL_ATTESTATION_SIZE, count);
    free(bytes);
}

static void send_true(struct node_world *world, ord_node_id from, uint64_t seq) {
    struct channel_statement statement;
    a_statement(&statement, world, seq);
    node_world_send_attestation(world, from, &statement);
}

/* The newest seq up to 10 of which the replica has a verified attestation by `signer`; 0: none. */
static uint64_t newest_attested(const struct node_world *world, ord_node_id signer) {
    struct channel_attestation kept;
    uint64_t seq = 10;
    while (seq > 0 && !channel_collector_find(world->replica->attest.collector, &kept, signer, seq))
        seq--;
    return seq;
}

static void links__a_bad_signature_costs_one_check_and_silences_its_sender(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id liar = node_world_other(&world, 0);
    const ord_node_id other = node_world_other(&world, 1);
    send_forgeries(&world, liar, 1, 100);
    node_world_until_idle(&world, liar);
    assert_int_equal(counted(&world, "attestations_bad"), 1);
    assert_int_equal(counted(&world, "link_messages_ignored"), 99);
    /* Only its sender is ignored, and only for a while. */
    send_true(&world, other, 5);
    node_world_until_idle(&world, other);
    assert_int_equal(newest_attested(&world, other), 5);
    /* The test decides when that time is over. */
    ignore_until(&world, liar, node_clock_ms() + 60000);
    send_true(&world, liar, 5);
    node_world_until_idle(&world, liar);
    assert_int_equal(newest_attested(&world, liar), 0);
    ignore_until(&world, liar, node_clock_ms());
    send_true(&world, liar, 5);
    node_world_until_idle(&world, liar);
    assert_int_equal(newest_attested(&world, liar), 5);
    node_world_close(&world);
}

static void links__a_bad_certificate_silences_its_sender(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id liar = node_world_other(&world, 0);
    static struct channel_certificate certificate;
    static uint8_t bytes[20][CHANNEL_CERTIFICATE_SIZE_MAX];
    size_t size = 0;
    static uint8_t packed[sizeof(bytes)];
    for (size_t i = 0; i < 20; i++) {
        a_statement(&certificate.statement, &world, 10 + i);
        certificate.count = 3;
        for (uint32_t j = 0; j < 3; j++) {
            struct channel_attestation attestation;
            node_world_attest(&world, &attestation, j, &certificate.statement);
            certificate.signers[j] = j;
            certificate.signatures[j] = attestation.signature;
        }
        certificate.signatures[2].bytes[40] ^= 1;
        size = channel_certificate_encode(bytes[i], &certificate);
        memcpy(packed + i * size, bytes[i], size);
    }
    node_world_send_many(&world, liar, REPLICA_LINK_CERTIFICATE, packed, size, 20);
    node_world_until_idle(&world, liar);
    assert_int_equal(counted(&world, "attestations_bad"), 1);
    assert_int_equal(counted(&world, "link_messages_ignored"), 19);
    node_world_close(&world);
}

static void links__one_peer_has_a_share_of_the_vote_pool(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id liar = node_world_other(&world, 0);
    const ord_node_id other = node_world_other(&world, 1);
    struct node_plug plug;
    node_plug_in(&plug, world.node->checks.pools[REPLICA_QUEUE_VOTES]);
    const uint64_t before = counted(&world, "messages_authenticated"); /* from the replica's start */

    enum { COUNT = 5000, SIZE = 29 };
    static uint8_t bytes[COUNT * SIZE];
    for (uint32_t i = 0; i < COUNT; i++)
        ord_store_u32(bytes + (size_t) i * SIZE + 1, i);
    node_world_send_many(&world, liar, REPLICA_LINK_CORE, bytes, SIZE, COUNT);
    node_world_turn(&world, 0);
    send_true(&world, liar, 3);
    node_world_turn(&world, 0);
    assert_int_equal(counted(&world, "messages_authenticated"), before + MESSAGES_LOAD_MAX);
    assert_int_equal(replica_waiting(world.replica, liar).checks, MESSAGES_CHECKS_MAX - MESSAGES_LOAD_MAX);
    assert_int_equal(counted(&world, "attestations_checked"), 0);
    assert_int_equal(counted(&world, "link_jobs_over_share"), COUNT - MESSAGES_CHECKS_MAX + 1);
    /* The checks' memory counts as the peer's. */
    assert_true(links_inbound_bytes(&world.node->links.peers[liar]) >
                sizeof(bytes) + MESSAGES_LOAD_MAX * sizeof(void *));
    /* Another peer has its own share. */
    send_true(&world, other, 3);
    node_world_turn(&world, 0);
    assert_int_equal(counted(&world, "attestations_checked"), 1);

    node_plug_out(&plug);
    node_world_until_idle(&world, liar);
    node_world_until_idle(&world, other);
    assert_int_equal(world.replica->accounts[liar].checks_open, 0);
    assert_int_equal(newest_attested(&world, other), 3);
    node_world_close(&world);
}

static void links__a_message_without_a_header_makes_no_job(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id liar = node_world_other(&world, 0);
    const uint64_t before = counted(&world, "messages_authenticated"); /* from the replica's start */
    enum { COUNT = 1000, SIZE = 28 };
    static uint8_t bytes[COUNT * SIZE];
    node_world_send_many(&world, liar, REPLICA_LINK_CORE, bytes, SIZE, COUNT);
    node_world_turn(&world, 0);
    assert_int_equal(counted(&world, "messages_authenticated"), before);
    assert_int_equal(counted(&world, "messages_refused"), COUNT);
    node_world_close(&world);
}

/* The peer has been silent for `ms`. The links were looked at meanwhile, unless `absent`. */
static void after_silence(struct node_world *world, ord_node_id from, uint64_t ms, bool absent) {
    struct node *node = world->node;
    atomic_store(&node->links.peers[from].heard_ms, node_clock_ms() - ms);
    node->links.looked_ms = node_clock_ms() - (absent ? ms : 0);
    node->housekeeping_ms = 0;
    node_world_turn(world, 0);
}

static void links__a_silent_peer_is_dialed_again(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id silent = node_world_other(&world, 0);
    for (uint32_t i = 0; i < 3; i++)
        atomic_store(&world.node->links.peers[node_world_other(&world, i)].heard_ms, node_clock_ms());
    after_silence(&world, silent, 1500, false);
    assert_int_equal(counted(&world, "links_silent"), 0);
    after_silence(&world, silent, 4000, false);
    assert_int_equal(counted(&world, "links_silent"), 1);
    /* The link is not dropped again at once. */
    world.node->housekeeping_ms = 0;
    node_world_turn(&world, 0);
    assert_int_equal(counted(&world, "links_silent"), 1);
    /* Its frames may merely be slow, so the limit is twice as long the next time. */
    after_silence(&world, silent, 4000, false);
    assert_int_equal(counted(&world, "links_silent"), 1);
    after_silence(&world, silent, 7000, false);
    assert_int_equal(counted(&world, "links_silent"), 2);
    after_silence(&world, silent, 7000, false);
    assert_int_equal(counted(&world, "links_silent"), 2);
    /* The last drop was long ago. */
    world.node->links.peers[silent].silent_ms -= 120000;
    after_silence(&world, silent, 4000, false);
    assert_int_equal(counted(&world, "links_silent"), 3);
    /* Any frame that opens is a sign of life. */
    atomic_store(&world.node->links.peers[silent].heard_ms, 0);
    send_true(&world, silent, 5);
    assert_true(count_get(&world.node->links.peers[silent].heard_ms) > 0);
    /* We were away ourselves. */
    after_silence(&world, silent, 60000, true);
    assert_int_equal(counted(&world, "links_silent"), 3);
    node_world_close(&world);
}

/*
 * From outside this looks like a VIEW-CHANGE with `signature_count` signatures. It is malformed, so none of its
 * signatures is bad, and nobody is ignored.
 */
static void send_costly(struct node_world *world, ord_node_id from, uint64_t view, size_t signature_count) {
    size_t size = 29 + signature_count * ORD_SIGNATURE_SIZE;
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    struct ord_writer writer = ord_writer_of(bytes, size);
    bft_header_write(&writer, &world->replica->setup.core_config, BFT_VIEW_CHANGE, view, from);
    memset(bytes + writer.size, 0xff, size - writer.size);
    node_world_send(world, from, REPLICA_LINK_CORE, ord_span_of(bytes, size));
    free(bytes);
}

static void send_cheap(struct node_world *world, ord_node_id from) {
    static const uint8_t bytes[29];
    node_world_send(world, from, REPLICA_LINK_CORE, ord_span_of(bytes, sizeof(bytes)));
}

/*
 * Row V3: votes do not wait behind another sender's view changes. They wait behind the same sender's, because they may
 * be of the view that these bring.
 */
static void links__votes_do_not_wait_behind_anothers_view_change(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id liar = node_world_other(&world, 0);
    const ord_node_id other = node_world_other(&world, 1);
    struct node_plug plug;
    node_plug_in(&plug, world.node->checks.pools[REPLICA_QUEUE_VIEWS]);
    send_costly(&world, liar, 1, 100);
    send_cheap(&world, liar);
    send_cheap(&world, other);
    node_world_turn(&world, 0);
    assert_int_equal(world.replica->accounts[liar].costly_open, 1);
    assert_int_equal(replica_waiting(world.replica, liar).checks, 1);
    node_world_until_idle(&world, other);
    assert_int_equal(counted(&world, "messages_refused"), 1);
    assert_int_equal(world.replica->accounts[liar].checks_open, 1);
    assert_int_equal(replica_waiting(world.replica, liar).checks, 1);
    node_plug_out(&plug);
    node_world_until_idle(&world, liar);
    assert_int_equal(counted(&world, "messages_refused"), 3);
    assert_int_equal(world.replica->accounts[liar].costly_open, 0);
    assert_int_equal(world.replica->accounts[liar].cost_open, 0);
    node_world_close(&world);
}

/*
 * Row V3: view changes without end. So many are checked at once, and then one in a request timeout. Votes do not count.
 */
static void links__one_peer_has_an_allowance_of_signatures(void **state) {
    (void) state;
    static struct node_world world;
    node_world_plan(&world, CHANNEL_PBFT, 4);
    world.plan.config.request_timeout_ms = 3600000; /* the test decides when it ends */
    node_world_write(&world);
    node_world_start(&world);
    const ord_node_id liar = node_world_other(&world, 0);
    size_t full = world.plan.config.window * 3;
    /* The replica's start brings answers to its ASK. */
    const uint64_t before = counted(&world, "messages_authenticated");
    for (uint64_t view = 1; view <= 20; view++) {
        send_costly(&world, liar, view, full);
        node_world_until_idle(&world, liar);
    }
    assert_int_equal(counted(&world, "messages_authenticated"), before + 8);
    assert_int_equal(counted(&world, "link_jobs_over_share"), 12);
    send_cheap(&world, liar);
    node_world_until_idle(&world, liar);
    assert_int_equal(counted(&world, "messages_authenticated"), before + 9);
    /* The other replica has its own allowance. */
    send_costly(&world, node_world_other(&world, 1), 1, full);
    node_world_until_idle(&world, node_world_other(&world, 1));
    assert_int_equal(counted(&world, "messages_authenticated"), before + 10);
    world.replica->accounts[liar].debt_ms -= 3600000;
    for (uint64_t view = 21; view <= 25; view++) {
        send_costly(&world, liar, view, full);
        node_world_until_idle(&world, liar);
    }
    assert_int_equal(counted(&world, "messages_authenticated"), before + 11);
    node_world_close(&world);
}

/* A view that a quorum agreed on is no waste. With a scheduled rotation there may be many. */
static void links__an_allowance_is_whole_again_under_a_new_leader(void **state) {
    (void) state;
    static struct node_world world;
    node_world_plan(&world, CHANNEL_PBFT, 4);
    world.plan.config.request_timeout_ms = 3600000;
    world.leads = true;
    node_world_write(&world);
    /* Nobody leads before our replica has its answers. */
    world.asks = true;
    node_world_start(&world);
    const ord_node_id peer = node_world_other(&world, 0);
    size_t full = world.plan.config.window * 3;
    for (uint64_t view = 1; view <= 9; view++) {
        send_costly(&world, peer, view, full);
        node_world_until_idle(&world, peer);
    }
    assert_int_equal(counted(&world, "link_jobs_over_share"), 1);
    node_world_recall(&world, node_world_other(&world, 1), 0);
    node_world_until_idle(&world, node_world_other(&world, 1));
    node_world_recall(&world, node_world_other(&world, 2), 0);
    node_world_until_idle(&world, node_world_other(&world, 2));
    assert_int_equal(world.replica->agree.leader, world.self);
    send_costly(&world, peer, 10, full);
    node_world_until_idle(&world, peer);
    assert_int_equal(counted(&world, "link_jobs_over_share"), 1);
    node_world_close(&world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(links__a_bad_signature_costs_one_check_and_silences_its_sender),
    cmocka_unit_test(links__a_bad_certificate_silences_its_sender),
    cmocka_unit_test(links__one_peer_has_a_share_of_the_vote_pool),
    cmocka_unit_test(links__votes_do_not_wait_behind_anothers_view_change),
    cmocka_unit_test(links__one_peer_has_an_allowance_of_signatures),
    cmocka_unit_test(links__an_allowance_is_whole_again_under_a_new_leader),
    cmocka_unit_test(links__a_message_without_a_header_makes_no_job),
    cmocka_unit_test(links__a_silent_peer_is_dialed_again),
};
TEST_CASES(cases);
