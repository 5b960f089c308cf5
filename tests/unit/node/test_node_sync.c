/*
 * Both sides of state transfer: what is served after a restart, and what it costs; which pieces are taken, and when
 * another source is asked.
 */
#include "tests/support/node_chain.h"

#include <stdlib.h>
#include <string.h>

#include "bft/wire/view_message.h"
#include "node/answer.h"
#include "tests/support/test_main.h"

static struct ord_span request_of(uint8_t want, uint64_t from, uint64_t to, uint64_t seq) {
    static uint8_t bytes[1 + 3 * 8];
    bytes[0] = want;
    ord_store_u64(bytes + 1, from);
    ord_store_u64(bytes + 9, to);
    ord_store_u64(bytes + 17, seq);
    return ord_span_of(bytes, sizeof(bytes));
}

/* ---- serving ---- */

/* Our replica's answer to a request for a tail, malloc'ed. */
static struct ord_span ask_tail(struct node_world *world, uint64_t height, uint64_t seq) {
    struct ord_span answer = {0};
    ord_node_id asker = node_world_other(world, 1);
    node_world_forget_queued(world);
    node_world_send(world, asker, REPLICA_LINK_SYNC_REQUEST, request_of(SYNC_TAIL, height + 1, height, seq));
    node_world_turn(world, 0);
    assert_int_equal(node_world_queued(world, &answer, asker, REPLICA_LINK_SYNC_TAIL), 1);
    uint8_t *copy = malloc(answer.size);
    assert_non_null(copy);
    memcpy(copy, answer.data, answer.size);
    return ord_span_of(copy, answer.size);
}

static void order(struct node_world *world, uint64_t seq, uint64_t first, uint32_t count) {
    struct ord_span envelopes[8] = {{0}};
    for (uint32_t i = 0; i < count; i++)
        envelopes[i] = node_world_envelope(world, first + i, 100);
    node_world_order(world, seq, node_world_batch(envelopes, count, 0));
    for (uint32_t i = 0; i < count; i++)
        free((void *) (uintptr_t) envelopes[i].data);
}

static void assert_same_tail(struct node_world *world, uint64_t height, uint64_t seq, struct ord_span expected) {
    struct ord_span answer = ask_tail(world, height, seq);
    assert_true(ord_span_equal(answer, expected));
    free((void *) (uintptr_t) answer.data);
}

static void restart(struct node_world *world) {
    /* Also commits writes that may wait. */
    world->replica->turn.urgent = true;
    node_world_turn(world, 0);
    node_world_stop(world);
    node_world_start(world);
}

static bool is_stable(struct node_world *world) {
    return world->replica->attest.stable.count > 0;
}

static void sync__serves_the_tail_of_what_was_attested_before_a_restart(void **state) {
    (void) state;
    static struct node_world world;
    node_world_plan(&world, CHANNEL_PBFT, 4);
    world.plan.config.max_message_count = 3;
    node_world_write(&world);
    node_world_start(&world);
    /* The registration and two more make block 1. One envelope is open. */
    order(&world, 1, 0, 4);
    struct channel_statement statement = attest_find(world.replica, 1)->statement;
    assert_int_equal(statement.height, 1);
    for (uint32_t i = 0; i < 2; i++)
        node_world_send_attestation(&world, node_world_other(&world, i), &statement);
    node_world_until(&world, is_stable, "a stable checkpoint");
    struct ord_span tail = ask_tail(&world, 1, 1);
    assert_int_equal(tail.data[8], 1); /* found */
    assert_true(tail.size > 8 + 1 + 32 + 4 + 100);

    restart(&world);
    /* The newest point, which is stable. */
    assert_same_tail(&world, 1, 1, tail);
    order(&world, 2, 4, 1);
    /* No point, and more is open. */
    assert_same_tail(&world, 1, 1, tail);
    restart(&world);
    assert_same_tail(&world, 1, 1, tail);
    /* Block 2 and one more: a newer point. */
    order(&world, 3, 5, 2);
    struct ord_span newer = ask_tail(&world, 2, 3);
    assert_int_equal(newer.data[8], 1);
    restart(&world);
    /* Stable, but not the newest. */
    assert_same_tail(&world, 1, 1, tail);
    assert_same_tail(&world, 2, 3, newer);
    free((void *) (uintptr_t) tail.data);
    free((void *) (uintptr_t) newer.data);
    node_world_close(&world);
}

static uint64_t wanted_stable_seq;

static bool is_stable_at_wanted(struct node_world *world) {
    return world->replica->attest.stable.statement.seq == wanted_stable_seq;
}

/*
 * Others may settle on a point in the middle when all who executed it have executed more and were restarted. Then
 * nobody else can help the replicas that are behind that point.
 */
static void sync__serves_the_tail_of_a_checkpoint_that_becomes_stable_after_a_restart(void **state) {
    (void) state;
    enum { POINTS = 12 };
    static struct node_world world;
    static struct ord_span tails[POINTS + 1];
    static struct channel_statement statements[POINTS + 1];
    node_world_plan(&world, CHANNEL_PBFT, 4);
    world.plan.config.max_message_count = 3;
    world.plan.config.window = 8;
    world.plan.config.checkpoint_interval = 4;
    node_world_write(&world);
    node_world_start(&world);
    for (uint64_t seq = 1, first = 0; seq <= POINTS; seq++) {
        /* Each seq closes a block and leaves one envelope open. */
        uint32_t count = seq == 1 ? 4 : 3;
        order(&world, seq, first, count);
        first += count;
        assert_int_equal(channel_applied_seq(world.replica->execute.channel), seq);
        statements[seq] = attest_find(world.replica, seq)->statement;
        tails[seq] = ask_tail(&world, seq, seq);
        assert_int_equal(tails[seq].data[8], 1); /* found */
        /* From now on the log begins here, and a whole window is executed after it. */
        if (seq == 4) {
            for (uint32_t i = 0; i < 2; i++)
                node_world_send_attestation(&world, node_world_other(&world, i), &statements[seq]);
            node_world_until(&world, is_stable, "a stable checkpoint");
        }
    }
    for (uint64_t stable = 4; stable <= POINTS; stable++) {
        restart(&world);
        for (uint64_t seq = 4; seq <= POINTS; seq++)
            assert_same_tail(&world, seq, seq, tails[seq]);
        wanted_stable_seq = stable;
        /* Our replica sends its own again for the newest point only. */
        for (uint32_t i = 0; i < 3; i++)
            node_world_send_attestation(&world, node_world_other(&world, i), &statements[stable]);
        node_world_until(&world, is_stable_at_wanted, "a stable checkpoint in the middle");
    }
    for (uint64_t seq = 1; seq <= POINTS; seq++)
        free((void *) (uintptr_t) tails[seq].data);
    node_world_close(&world);
}

/* A point that the replica cannot have made is not accepted as its own. */
static void sync__does_not_start_from_points_that_do_not_fit(void **state) {
    (void) state;
    static struct node_world world;
    char why[256];
    char name[RECORD_POINT_NAME_SIZE];
    uint8_t record[RECORD_POINT_MAX];
    for (int lie = 0; lie < 3; lie++) {
        node_world_plan(&world, CHANNEL_PBFT, 4);
        world.plan.config.max_message_count = 3;
        node_world_write(&world);
        node_world_start(&world);
        order(&world, 1, 0, 3);
        struct attest_point point = *attest_find(world.replica, 1);
        /* The newest point, but not the signed statement. */
        if (lie == 0)
            point.statement.height++;
        else if (lie == 1)
            /* Beyond the newest point, in its own slot. */
            point.statement.seq++;
        size_t size = record_point_encode(record, &world.plan.config, &point);
        record_point_name(name, lie == 2 ? 7 : (uint32_t) point.statement.seq);
        assert_ok(ledger_put_meta(world.node->ledger, name, ord_span_of(record, size)));
        world.replica->turn.urgent = true;
        node_world_turn(&world, 0);
        node_world_stop(&world);
        assert_err(node_create(&world.node, &world.config, why, sizeof(why)), ORD_ERR_CORRUPT);
        node_world_close(&world);
    }
}

/*
 * The log may lag behind the newest checkpoint, for replicas that need a frame of it again. But the primary must keep
 * room for everything that may come before the next checkpoint, because nothing would ever free that room.
 */
static void checkpoint__frees_the_log_at_once_where_memory_is_little(void **state) {
    (void) state;
    static struct node_world world;
    for (int little = 0; little < 2; little++) {
        node_world_plan(&world, CHANNEL_PBFT, 4);
        world.plan.config.max_message_count = 3;
        if (little) {
            world.plan.config.absolute_max_bytes = 2048;
            world.plan.config.preferred_max_bytes = 3000;
            world.plan.config.batch_bytes_max = 3000;
            world.plan.config.body_bytes_max = 12000;
        }
        node_world_write(&world);
        node_world_start(&world);
        order(&world, 1, 0, 3); /* closes a block */
        struct channel_statement statement = attest_find(world.replica, 1)->statement;
        for (uint32_t i = 0; i < 2; i++)
            node_world_send_attestation(&world, node_world_other(&world, i), &statement);
        node_world_until(&world, is_stable, "a stable checkpoint");
        struct ord_status status = agree_status(world.replica);
        assert_true(little ? status.body_bytes == 0 : status.body_bytes > 0);
        node_world_close(&world);
    }
}

static void sync__a_request_has_a_price_even_when_it_brings_nothing(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    /* A turn reads at most 1 MiB for each asker; the next turn goes on. */
    enum {
        REQUESTS = 3000,
        SIZE = 25,
        ANSWERED_TURN = (1 << 20) / (64 << 10),
    };
    static uint8_t bytes[REQUESTS * SIZE];
    for (size_t i = 0; i < REQUESTS; i++)
        memcpy(bytes + i * SIZE, request_of(i % 2 == 0 ? SYNC_BLOCKS : SYNC_TAIL, 5, 9, 10).data, SIZE);
    ord_node_id asker = node_world_other(&world, 0);
    node_world_send_many(&world, asker, REPLICA_LINK_SYNC_REQUEST, bytes, SIZE, REQUESTS);
    node_world_turn(&world, 0);
    size_t answered = node_world_queued(&world, NULL, asker, REPLICA_LINK_SYNC_BLOCKS) +
                      node_world_queued(&world, NULL, asker, REPLICA_LINK_SYNC_TAIL);
    /* The newest of the others is answered when the turn's timers run, which begins anew. */
    assert_in_range(answered, ANSWERED_TURN, ANSWERED_TURN + 1);
    for (int i = 0; i < 40; i++) {
        node_world_send_many(&world, asker, REPLICA_LINK_SYNC_REQUEST, bytes, SIZE, REQUESTS);
        node_world_turn(&world, 0);
    }
    answered = node_world_queued(&world, NULL, asker, REPLICA_LINK_SYNC_BLOCKS) +
               node_world_queued(&world, NULL, asker, REPLICA_LINK_SYNC_TAIL);
    assert_true(answered > 3 * ANSWERED_TURN && answered <= 41 * (ANSWERED_TURN + 1));
    node_world_close(&world);
}

/* ---- asking ---- */

static void begin_with(struct node_world *world, struct node_chain *chain, uint32_t blocks, size_t transaction_size) {
    node_world_plan(world, CHANNEL_PBFT, 4);
    node_chain_plan(world);
    node_world_write(world);
    node_world_start(world);
    node_chain_make(chain, world, blocks, transaction_size);
    /* No tick runs unless a test asks for one, because it would ask by the clock. */
    world->replica->turn.housekeeping_ms = UINT64_MAX;
    node_chain_announce(chain);
}

static void begin(struct node_world *world, struct node_chain *chain) {
    begin_with(world, chain, 19, 100);
}

static void end(struct node_world *world, struct node_chain *chain) {
    node_chain_free(chain);
    node_world_close(world);
}

static bool somebody_is_asked(struct node_world *world) {
    for (uint32_t i = 0; i < 3; i++)
        if (node_world_queued(world, NULL, node_world_other(world, i), REPLICA_LINK_SYNC_REQUEST) > 0)
            return true;
    return false;
}

/* The replica that is asked next. A source that has just answered is asked again after a pause. */
static ord_node_id next_asked(struct node_world *world, const struct node_chain *chain, struct ord_span *request) {
    node_world_until(world, somebody_is_asked, "a source is asked");
    return node_chain_asked(chain, request);
}

static void sync__comes_to_the_certified_state(void **state) {
    (void) state;
    static struct node_world world;
    static struct node_chain chain;
    begin(&world, &chain);
    struct ord_span request;
    ord_node_id source = node_chain_asked(&chain, &request);
    assert_true(source != ORD_NO_NODE);
    assert_true(ord_span_equal(request, request_of(SYNC_BLOCKS, 1, 19, 20)));
    node_chain_send_piece(&chain, source, 1, 19);
    node_world_turn(&world, 0);
    source = next_asked(&world, &chain, &request);
    assert_true(ord_span_equal(request, request_of(SYNC_TAIL, 20, 19, 20)));
    node_chain_send_tail(&chain, source, true);
    node_world_turn(&world, 0);
    assert_false(world.replica->sync.active);
    assert_int_equal(channel_applied_seq(world.replica->execute.channel), 20);
    /* The open block's timeout runs, because this replica may lead some day. */
    assert_int_equal(world.replica->execute.open_height, 20);
    assert_true(world.replica->execute.open_since_ms > 0);
    end(&world, &chain);
}

static void send_view_change(struct node_world *world, ord_node_id from, uint64_t view,
                             const struct channel_certificate *checkpoint) {
    static uint8_t bytes[4096];
    uint8_t certificate[CHANNEL_CERTIFICATE_SIZE_MAX];
    struct ord_core_config config = world->replica->setup.core_config;
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    struct ord_hash hash;
    struct ord_signature signature;
    size_t count_at;
    config.self = from;
    bft_view_change_begin(&writer, &count_at, &config, view, checkpoint->statement.seq,
                          ord_span_of(certificate, channel_certificate_encode(certificate, checkpoint)));
    bft_view_change_end(&writer, count_at, 0, &hash, &config, view);
    assert_ok(world->signers[from].sign(world->signers[from].context, &signature, &hash));
    ord_write_signature(&writer, &signature);
    assert_ok(ord_writer_finish(&writer));
    node_world_send(world, from, REPLICA_LINK_CORE, ord_writer_span(&writer));
}

/*
 * The others' cores may know a checkpoint from a view change alone. Then none of their replicas has its certificate to
 * pass on.
 */
static void sync__goes_by_a_checkpoint_that_only_view_changes_tell_of(void **state) {
    (void) state;
    static struct node_world world;
    static struct node_chain chain;
    node_world_plan(&world, CHANNEL_PBFT, 4);
    node_chain_plan(&world);
    node_world_write(&world);
    node_world_start(&world);
    node_chain_make(&chain, &world, 19, 100);
    world.replica->turn.housekeeping_ms = UINT64_MAX;
    uint64_t view = 1;
    /* Our replica makes this view itself, from the others' VIEW-CHANGEs. */
    while (bft_primary(&world.replica->setup.core_config, view) != world.self)
        view++;
    for (uint32_t i = 0; i < 3; i++)
        send_view_change(&world, node_world_other(&world, i), view, &chain.target);
    node_world_until(&world, somebody_is_asked, "asked for blocks");
    struct ord_span request;
    ord_node_id source = node_chain_asked(&chain, &request);
    assert_true(ord_span_equal(request, request_of(SYNC_BLOCKS, 1, 19, 20)));
    node_chain_send_piece(&chain, source, 1, 19);
    node_world_turn(&world, 0);
    node_chain_send_tail(&chain, next_asked(&world, &chain, NULL), true);
    node_world_turn(&world, 0);
    assert_int_equal(channel_applied_seq(world.replica->execute.channel), 20);
    assert_int_equal(world.replica->attest.stable.statement.seq, 20);
    end(&world, &chain);
}

static bool passes_a_certificate_on(struct node_world *world) {
    return node_world_queued(world, NULL, node_world_other(world, 0), REPLICA_LINK_CERTIFICATE) > 0;
}

/*
 * Our replica has executed the checkpoint, but heard too few attestations of it. A replica that is behind has to hear
 * of it from somebody.
 */
static void checkpoint__that_only_view_changes_tell_of_is_passed_on(void **state) {
    (void) state;
    static struct node_world world;
    node_world_plan(&world, CHANNEL_PBFT, 4);
    world.plan.config.max_message_count = 3;
    node_world_write(&world);
    node_world_start(&world);
    order(&world, 1, 0, 3); /* closes a block */
    struct channel_certificate certificate = {.statement = attest_find(world.replica, 1)->statement};
    for (ord_node_id id = 0; id < 4; id++) {
        struct channel_attestation attestation;
        if (id == world.self)
            continue;
        node_world_attest(&world, &attestation, id, &certificate.statement);
        certificate.signers[certificate.count] = id;
        certificate.signatures[certificate.count++] = attestation.signature;
    }
    uint64_t view = 1;
    while (bft_primary(&world.replica->setup.core_config, view) != world.self)
        view++;
    for (uint32_t i = 0; i < 3; i++)
        send_view_change(&world, node_world_other(&world, i), view, &certificate);
    world.replica->attest.newest_sent_ms = 0; /* long ago */
    node_world_until(&world, passes_a_certificate_on, "a certificate for who is behind");
    assert_int_equal(world.replica->attest.stable.statement.seq, 1);
    assert_true(world.replica->attest.stable_settled);
    node_world_close(&world);
}

/* Row C6: nobody tells of the target again, and the core, which knew it, hears nothing before the transfer is over. */
static void sync__goes_on_after_a_restart_where_only_the_core_knew_the_target(void **state) {
    (void) state;
    static struct node_world world;
    static struct node_chain chain;
    begin(&world, &chain);
    ord_node_id source = node_chain_asked(&chain, NULL);
    node_chain_send_piece(&chain, source, 1, 19);
    node_world_turn(&world, 0);
    assert_int_equal(channel_height(world.replica->execute.channel), 19);
    world.asks = true; /* and nobody answers it */
    restart(&world);
    assert_false(agree_may_run(world.replica));
    node_world_until(&world, somebody_is_asked, "asked for the tail");
    source = node_chain_asked(&chain, NULL);
    node_chain_send_tail(&chain, source, true);
    node_world_turn(&world, 0);
    assert_int_equal(channel_applied_seq(world.replica->execute.channel), 20);
    assert_true(agree_may_run(world.replica));
    end(&world, &chain);
}

/* Nobody has it. A source that says so at once must not be asked again at once. */
static void sync__waits_for_the_tick_where_a_source_has_nothing(void **state) {
    (void) state;
    static struct node_world world;
    static struct node_chain chain;
    begin(&world, &chain);
    uint8_t none[12] = {0};
    ord_store_u64(none, 1);
    ord_node_id source = node_chain_asked(&chain, NULL);
    node_world_send(&world, source, REPLICA_LINK_SYNC_BLOCKS, ord_span_of(none, sizeof(none)));
    node_world_turn(&world, 0);
    assert_int_equal(node_chain_asked(&chain, NULL), ORD_NO_NODE);
    world.replica->turn.housekeeping_ms = 0;
    node_world_until(&world, somebody_is_asked, "another source is asked");
    world.replica->turn.housekeeping_ms = UINT64_MAX;
    ord_node_id second = node_chain_asked(&chain, NULL);
    assert_true(second != source && second != ORD_NO_NODE);

    node_chain_send_piece(&chain, second, 1, 19);
    node_world_turn(&world, 0);
    ord_node_id third = next_asked(&world, &chain, NULL);
    node_chain_send_tail(&chain, third, false);
    node_world_turn(&world, 0);
    assert_int_equal(node_chain_asked(&chain, NULL), ORD_NO_NODE);
    world.replica->turn.housekeeping_ms = 0;
    node_world_until(&world, somebody_is_asked, "another source is asked");
    assert_true(node_chain_asked(&chain, NULL) != third);
    end(&world, &chain);
}

/* Rows C2 and C5: nothing of a lie is kept, and another source is asked at once. */
static void sync__replaces_a_source_that_lies(void **state) {
    (void) state;
    static struct node_world world;
    static struct node_chain chain;
    begin(&world, &chain);
    ord_node_id first = node_chain_asked(&chain, NULL);
    struct ord_span piece = node_chain_piece(&chain, 1, 19);
    uint8_t *spoilt = (uint8_t *) (uintptr_t) piece.data;
    spoilt[piece.size / 2] ^= 1;
    node_world_send(&world, first, REPLICA_LINK_SYNC_BLOCKS, piece);
    free(spoilt);
    node_world_turn(&world, 0);
    assert_int_equal(channel_height(world.replica->execute.channel), 0);
    ord_node_id second = node_chain_asked(&chain, NULL);
    assert_true(second != first && second != ORD_NO_NODE);
    node_chain_send_piece(&chain, second, 1, 19);
    node_world_turn(&world, 0);
    second = next_asked(&world, &chain, NULL);
    assert_true(second != first);
    struct ord_hash clients_root = chain.clients_root;
    chain.clients_root.bytes[0] ^= 1;
    node_chain_send_tail(&chain, second, true);
    node_world_turn(&world, 0);
    assert_true(world.replica->sync.active);
    ord_node_id third = next_asked(&world, &chain, NULL);
    assert_true(third != second && third != first);
    chain.clients_root = clients_root;
    node_chain_send_tail(&chain, third, true);
    node_world_turn(&world, 0);
    assert_false(world.replica->sync.active);
    assert_int_equal(channel_applied_seq(world.replica->execute.channel), 20);
    end(&world, &chain);
}

static void sync__takes_no_block_beyond_what_was_asked_for(void **state) {
    (void) state;
    static struct node_world world;
    static struct node_chain chain;
    begin(&world, &chain);
    ord_node_id source = node_chain_asked(&chain, NULL);
    /* As if this had been the newest certificate at the beginning. */
    world.replica->sync.target = chain.certificates[10];
    world.replica->attest.stable = chain.certificates[10];
    world.replica->sync.ranges[0].last = 10;
    /* Every block of it is certified. */
    node_chain_send_piece(&chain, source, 1, 11);
    node_world_turn(&world, 0);
    assert_int_equal(channel_height(world.replica->execute.channel), 0);
    ord_node_id second = node_chain_asked(&chain, NULL);
    assert_true(second != source && second != ORD_NO_NODE);
    node_chain_send_piece(&chain, second, 1, 10);
    node_world_turn(&world, 0);
    assert_int_equal(channel_height(world.replica->execute.channel), 10);
    end(&world, &chain);
}

/* Readers look for a certified height once, and find committed blocks only. */
static void sync__serves_a_block_when_it_is_committed_and_not_before(void **state) {
    (void) state;
    static struct node_world world;
    static struct node_chain chain;
    begin(&world, &chain);
    ord_node_id source = node_chain_asked(&chain, NULL);
    struct ord_span piece = node_chain_piece(&chain, 1, 19);
    /* This call stands for the middle of a turn. */
    sync_blocks_received(world.replica, source, piece);
    assert_true(sync_piece_waits(world.replica));
    sync_take_piece(world.replica);
    free((void *) (uintptr_t) piece.data);
    assert_int_equal(channel_height(world.replica->execute.channel), 19);
    uint64_t height;
    assert_ok(ledger_height(world.node->ledger, &height));
    assert_int_equal(height, 0);
    assert_int_equal(service_certified_height(&world.node->service), 0);
    node_world_turn(&world, 0);
    assert_ok(ledger_height(world.node->ledger, &height));
    assert_int_equal(height, 19);
    assert_int_equal(service_certified_height(&world.node->service), 19);
    end(&world, &chain);
}

static void sync__asks_another_after_a_piece_that_is_small_for_no_reason(void **state) {
    (void) state;
    static struct node_world world;
    static struct node_chain chain;
    begin(&world, &chain);
    ord_node_id first = node_chain_asked(&chain, NULL);
    node_chain_send_piece(&chain, first, 1, 1);
    node_world_turn(&world, 0);
    ord_node_id second = node_chain_asked(&chain, NULL);
    assert_true(second != first && second != ORD_NO_NODE);
    node_chain_send_piece(&chain, second, 2, 3);
    node_world_turn(&world, 0);
    ord_node_id third = node_chain_asked(&chain, NULL);
    assert_true(third != first && third != second && third != ORD_NO_NODE);
    node_chain_send_piece(&chain, third, 4, 19);
    node_world_turn(&world, 0);
    assert_int_equal(channel_height(world.replica->execute.channel), 19);
    end(&world, &chain);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(checkpoint__frees_the_log_at_once_where_memory_is_little),
    cmocka_unit_test(sync__a_request_has_a_price_even_when_it_brings_nothing),
    cmocka_unit_test(sync__asks_another_after_a_piece_that_is_small_for_no_reason),
    cmocka_unit_test(checkpoint__that_only_view_changes_tell_of_is_passed_on),
    cmocka_unit_test(sync__serves_a_block_when_it_is_committed_and_not_before),
    cmocka_unit_test(sync__serves_the_tail_of_what_was_attested_before_a_restart),
    cmocka_unit_test(sync__serves_the_tail_of_a_checkpoint_that_becomes_stable_after_a_restart),
    cmocka_unit_test(sync__does_not_start_from_points_that_do_not_fit),
    cmocka_unit_test(sync__comes_to_the_certified_state),
    cmocka_unit_test(sync__goes_by_a_checkpoint_that_only_view_changes_tell_of),
    cmocka_unit_test(sync__goes_on_after_a_restart_where_only_the_core_knew_the_target),
    cmocka_unit_test(sync__waits_for_the_tick_where_a_source_has_nothing),
    cmocka_unit_test(sync__replaces_a_source_that_lies),
    cmocka_unit_test(sync__takes_no_block_beyond_what_was_asked_for),
};
TEST_CASES(cases);
