/*
 * State transfer from several sources, in simulated time. One replica has the chain; it answers in the name of three
 * sources, each after a delay of its own, or never, or with a lie.
 */
#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "tests/support/replica_bench.h"
#include "tests/support/test_main.h"

enum {
    BLOCKS = 48,
    TRANSACTION_SIZE = 200000,
    HONEST_MS = 20,
    /* Just under the time after which a source once was replaced. */
    DRIP_MS = 490,
    SOURCES = 4,
    PENDING_MAX = 32,
    MORE = 4,
};

static struct ord_span batches[BLOCKS + MORE + 1];
static uint64_t next_seq;
static uint64_t last_seq;

static void decide_next(struct bench *bench) {
    if (next_seq > last_seq)
        return;
    bench_effect(bench, ORD_EFFECT_PERSIST)->persist =
        (struct ord_record) {.table = 1, .key = next_seq, .bytes = batches[next_seq]};
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_DELIVER);
    effect->deliver.seq = next_seq;
    effect->deliver.batch = batches[next_seq++];
}

static void decide_one(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_TICK || next_seq > last_seq)
        return;
    decide_next(bench);
    bench_effect(bench, ORD_EFFECT_WAKE_AT);
}

static void execute(struct bench *bench, uint64_t last) {
    next_seq = channel_applied_seq(replica_channel(bench->replica)) + 1;
    last_seq = last;
    bench->on_step = decide_one;
    while (next_seq <= last) {
        bench->replica->agree.wake_at_ms = 0;
        bench_run(bench);
        bench_forget_sent(bench);
    }
    bench->on_step = NULL;
}

static void one_a_block(struct channel_config *config) {
    config->max_message_count = 1;
    config->batch_timeout_ms = 100000;
    config->window = 64;
    config->checkpoint_interval = 16;
}

/* ---- the world ---- */

enum lie { HONEST, MUTE, SPOILS, HAS_NOTHING, FIRST_BLOCK, ADDS_A_HEADER };

struct pending {
    uint64_t at_ms;
    ord_node_id from;
    enum replica_link kind;
    struct ord_span bytes;
};

struct world {
    struct bench *bench;
    struct bench *chain;
    struct channel_certificate target;
    uint64_t delay_ms[SOURCES];
    enum lie lies[SOURCES];
    uint32_t asked[SOURCES];
    uint64_t bytes; /* of all answers that came */
    uint64_t held_max;
    struct pending pending[PENDING_MAX];
    uint32_t pending_count;
};

static struct channel_certificate certificate_at(struct world *world, uint64_t seq) {
    return net_certificate(world->chain->net, &attest_find(world->chain->replica, seq)->statement, 3);
}

static struct ord_span encoded(struct world *world, const struct channel_certificate *certificate) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    return net_copy(world->chain->net, ord_span_of(bytes, channel_certificate_encode(bytes, certificate)));
}

static void give_certificate(struct bench *bench, struct ord_span certificate) {
    bench_message(bench, 1, REPLICA_LINK_CERTIFICATE, certificate);
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
}

static struct world *world_create(void) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->bench = bench_create(one_a_block);
    world->chain = bench_create_beside(world->bench, 1);
    batches[1] = bench_registration(world->chain);
    for (uint64_t seq = 2; seq <= BLOCKS + MORE; seq++) {
        const struct ord_span envelope =
            net_envelope(world->chain->net, world->chain->client, seq - 1, 1, TRANSACTION_SIZE, (uint8_t) seq);
        batches[seq] = net_batch(world->chain->net, 0, &envelope, 1);
    }
    execute(world->chain, BLOCKS);
    world->target = certificate_at(world, BLOCKS);
    give_certificate(world->chain, encoded(world, &world->target));
    world->chain->time.now_ms += 200; /* the certificate is on disk */
    bench_run(world->chain);
    assert_int_equal(world->chain->replica->certified.height, BLOCKS);
    for (uint32_t id = 0; id < SOURCES; id++)
        world->delay_ms[id] = HONEST_MS;
    return world;
}

static void world_destroy(struct world *world) {
    bench_destroy(world->chain);
    bench_destroy(world->bench);
    free(world);
}

static struct ord_span answer_of(struct world *world, struct ord_span request, enum replica_link *kind) {
    struct bench *chain = world->chain;
    struct ord_span answer = ord_span_of(NULL, 0);
    *kind = request.data[0] == SYNC_BLOCKS ? REPLICA_LINK_SYNC_BLOCKS : REPLICA_LINK_SYNC_TAIL;
    chain->time.now_ms = world->bench->time.now_ms;
    bench_forget_sent(chain);
    bench_message(chain, 0, REPLICA_LINK_SYNC_REQUEST, request);
    bench_run(chain);
    assert_int_equal(bench_left(chain, *kind, &answer), 1);
    return answer;
}

/* A piece with the header of one more block, and the certificate of that. */
static struct ord_span with_a_header(struct world *world, struct ord_span piece) {
    const struct replica_store *store = replica_store(world->chain->replica);
    uint64_t end = ord_load_u64(piece.data) + ord_load_u32(piece.data + 8) - 1;
    struct ord_bytes headers;
    if (end == BLOCKS)
        return piece;
    assert_ok(store->get_headers(store->ledger, &headers, end + 1, end + 1, CHANNEL_HEADER_SIZE, CHANNEL_HEADER_SIZE));
    const struct channel_certificate certificate = certificate_at(world, end + 1);
    struct ord_reader reader = ord_reader_of(piece);
    (void) ord_read_span(&reader, SYNC_PIECE_HEADER_SIZE);
    for (uint32_t i = 0; i < ord_load_u32(piece.data + 8); i++)
        (void) ord_read_string(&reader, SIZE_MAX);
    size_t capacity = piece.size + CHANNEL_HEADER_SIZE + CHANNEL_CERTIFICATE_SIZE_MAX;
    uint8_t *out = malloc(capacity);
    assert_non_null(out);
    struct ord_writer writer = ord_writer_of(out, capacity);
    ord_write_span(&writer, ord_span_of(piece.data, reader.position));
    ord_write_u32(&writer, 1);
    ord_write_span(&writer, ord_span_of(headers.data, headers.size));
    ord_write_string(&writer, encoded(world, &certificate));
    struct ord_span copy = net_copy(world->chain->net, ord_writer_span(&writer));
    free(headers.data);
    free(out);
    return copy;
}

static void lie(struct world *world, enum lie how, struct ord_span *request, struct ord_span *answer,
                enum replica_link *kind) {
    if (how == FIRST_BLOCK && request->data[0] == SYNC_BLOCKS)
        ord_store_u64((uint8_t *) (uintptr_t) request->data + 9, ord_load_u64(request->data + 1));
    *answer = answer_of(world, *request, kind);
    if (how == SPOILS)
        ((uint8_t *) (uintptr_t) answer->data)[answer->size / 2] ^= 1;
    if (how == ADDS_A_HEADER && *kind == REPLICA_LINK_SYNC_BLOCKS)
        *answer = with_a_header(world, *answer);
    if (how == HAS_NOTHING && *kind == REPLICA_LINK_SYNC_BLOCKS) {
        ord_store_u32((uint8_t *) (uintptr_t) answer->data + 8, 0);
        answer->size = SYNC_PIECE_HEADER_SIZE;
    }
}

/* No source has two requests at a time, unless it is so late that the first one is given up. */
static void assert_idle(const struct world *world, ord_node_id id) {
    for (uint32_t i = 0; i < world->pending_count && world->delay_ms[id] < 500; i++)
        assert_true(world->pending[i].from != id);
}

static void take_requests(struct world *world) {
    struct bench *bench = world->bench;
    for (uint32_t i = 0; i < bench->sent_count; i++) {
        const struct bench_message *message = &bench->sent[i];
        if (message->kind != REPLICA_LINK_SYNC_REQUEST)
            continue;
        struct ord_span request = net_copy(bench->net, message->bytes);
        ord_node_id id = 1;
        while (message->to != ord_replica_bit(id))
            id++;
        assert_idle(world, id);
        world->asked[id]++;
        if (world->lies[id] == MUTE)
            continue;
        assert_true(world->pending_count < PENDING_MAX);
        struct pending *pending = &world->pending[world->pending_count++];
        pending->from = id;
        pending->at_ms = bench->time.now_ms + world->delay_ms[id];
        lie(world, world->lies[id], &request, &pending->bytes, &pending->kind);
    }
    bench_forget_sent(bench);
}

static void give_answers(struct world *world) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < world->pending_count; i++) {
        const struct pending pending = world->pending[i];
        if (pending.at_ms > world->bench->time.now_ms) {
            world->pending[left++] = pending;
            continue;
        }
        world->bytes += pending.bytes.size;
        bench_message(world->bench, pending.from, (uint8_t) pending.kind, pending.bytes);
    }
    world->pending_count = left;
}

static void run_ms(struct world *world) {
    struct sync *sync = &world->bench->replica->sync;
    uint64_t held = 0;
    world->bench->time.now_ms++;
    give_answers(world);
    do {
        bench_run(world->bench);
    } while (replica_cut_short(world->bench->replica));
    for (uint32_t i = 0; i < sync->range_count; i++)
        held += sync->ranges[i].size;
    world->held_max = ord_max(world->held_max, held);
    take_requests(world);
}

static struct ord_span wanted;
static uint64_t wanted_seq;

static void want_sync(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_TICK)
        return;
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_SYNC);
    effect->sync.seq = wanted_seq;
    effect->sync.certificate = wanted;
}

static void begin(struct world *world) {
    wanted = encoded(world, &world->target);
    wanted_seq = world->target.statement.seq;
    world->bench->on_step = want_sync;
    world->bench->replica->agree.wake_at_ms = 0;
    bench_run(world->bench);
    world->bench->on_step = NULL;
    assert_true(world->bench->replica->sync.active);
    take_requests(world);
}

/* Transfers, and gives how long it took. */
static uint64_t transfer_ms(struct world *world) {
    uint64_t began_ms = world->bench->time.now_ms;
    begin(world);
    while (world->bench->replica->sync.active) {
        run_ms(world);
        assert_true(world->bench->time.now_ms < began_ms + 60000);
    }
    assert_int_equal(channel_applied_seq(replica_channel(world->bench->replica)), BLOCKS);
    return world->bench->time.now_ms - began_ms;
}

static uint64_t transfer_with(enum lie first, uint64_t first_ms, uint32_t *asked, uint64_t *bytes) {
    struct world *world = world_create();
    world->lies[1] = first;
    world->delay_ms[1] = first_ms;
    uint64_t ms = transfer_ms(world);
    *asked = world->asked[1];
    *bytes = world->bytes;
    world_destroy(world);
    return ms;
}

/* ---- the cases ---- */

/* A transfer in which all sources of the set are honest and fast. */
static uint64_t honest_ms(ord_replica_set sources, uint64_t *bytes) {
    struct world *world = world_create();
    world->bench->connected = sources;
    uint64_t ms = transfer_ms(world);
    *bytes = world->bytes;
    world_destroy(world);
    return ms;
}

enum { TWO_OTHERS = 12, ONE_OTHER = 8, FIRST_WAIT_MS = 250 };

static void transfer__comes_from_several_at_once(void **state) {
    (void) state;
    uint64_t bytes;
    struct world *world = world_create();
    uint64_t ms = transfer_ms(world);
    for (ord_node_id id = 1; id < SOURCES; id++)
        assert_true(world->asked[id] >= 3);
    world_destroy(world);
    assert_true(2 * ms < honest_ms(ONE_OTHER, &bytes));
}

/*
 * Q2: a source that is just fast enough for any limit of time is compared with the others. It is the first that is
 * asked, and costs the time of one suspicion. Afterwards it costs next to nothing.
 */
static void transfer__is_not_slowed_by_a_source_that_drips(void **state) {
    (void) state;
    uint32_t asked;
    uint64_t bytes;
    uint64_t honest_bytes;
    uint64_t honest = honest_ms(TWO_OTHERS, &honest_bytes);
    assert_true(transfer_with(HONEST, DRIP_MS, &asked, &bytes) <= honest + FIRST_WAIT_MS + 3 * HONEST_MS);
    assert_true(asked <= 2);
    assert_true(bytes <= honest_bytes + 3 * (uint64_t) SYNC_PIECE_BYTES_MAX);
}

static void transfer__is_not_slowed_by_a_mute_source(void **state) {
    (void) state;
    uint32_t asked;
    uint64_t bytes;
    uint64_t honest = honest_ms(TWO_OTHERS, &bytes);
    assert_true(transfer_with(MUTE, 0, &asked, &bytes) <= honest + FIRST_WAIT_MS + 3 * HONEST_MS);
    assert_true(asked <= 2);
}

/* What is decided already comes by the core, which would deliver it between the blocks and the tail otherwise. */
static void transfer__waits_for_what_the_core_delivers_later(void **state) {
    (void) state;
    struct world *world = world_create();
    world->bench->status.delivers_later = true;
    begin(world);
    for (uint32_t ms = 0; ms < 10 * HONEST_MS; ms++)
        run_ms(world);
    assert_int_equal(channel_height(replica_channel(world->bench->replica)), 0);
    world->bench->status.delivers_later = false;
    for (uint32_t ms = 0; ms < 1000 && world->bench->replica->sync.active; ms++)
        run_ms(world);
    assert_int_equal(channel_applied_seq(replica_channel(world->bench->replica)), BLOCKS);
    world_destroy(world);
}

static void decide_in_flush(struct bench *bench, const struct ord_event *event) {
    if (event->type == ORD_EVENT_FLUSH)
        decide_next(bench);
}

/* The log closes a block in the very turn in which a piece with that block would be taken, just before it. */
static void transfer__leaves_a_piece_whose_block_the_log_brought(void **state) {
    (void) state;
    struct world *world = world_create();
    struct bench *bench = world->bench;
    const struct channel *channel = replica_channel(bench->replica);
    bench->replica->sync.block_bytes = TRANSACTION_SIZE;
    bench->status.delivers_later = true;
    begin(world);
    for (uint32_t ms = 0; ms < 2 * HONEST_MS; ms++)
        run_ms(world);
    assert_non_null(bench->replica->sync.ranges[0].piece);
    bench->status.delivers_later = false;
    next_seq = last_seq = 1;
    bench->on_step = decide_in_flush;
    bench_run(bench);
    bench->on_step = NULL;
    assert_int_equal(channel_height(channel), 1);
    for (uint32_t ms = 0; ms < 2000 && bench->replica->sync.active; ms++)
        run_ms(world);
    assert_int_equal(channel_applied_seq(channel), BLOCKS);
    assert_true(ord_hash_equal(channel_head_hash(channel), channel_head_hash(replica_channel(world->chain->replica))));
    world_destroy(world);
}

/* Rows C2 and C4: a source that lies is not asked again; one that keeps blocks back is seldom asked. */
static void transfer__leaves_a_source_that_lies(void **state) {
    (void) state;
    uint32_t asked;
    uint64_t bytes;
    uint64_t honest = honest_ms(TWO_OTHERS, &bytes);
    assert_true(transfer_with(SPOILS, HONEST_MS, &asked, &bytes) <= honest + 4 * HONEST_MS);
    assert_int_equal(asked, 1);
    assert_true(transfer_with(HAS_NOTHING, HONEST_MS, &asked, &bytes) <= honest + 200);
    assert_true(asked <= 3);
    assert_true(transfer_with(FIRST_BLOCK, HONEST_MS, &asked, &bytes) <= 2 * honest);
}

/* Where it is alone, a source is asked although it is slow, late, or has lied. */
static void transfer__comes_from_the_only_source(void **state) {
    (void) state;
    static const uint64_t delays_ms[] = {HONEST_MS, DRIP_MS, 1700};
    for (size_t i = 0; i < sizeof(delays_ms) / sizeof(delays_ms[0]); i++) {
        struct world *world = world_create();
        world->bench->connected = ord_replica_bit(2);
        world->delay_ms[2] = delays_ms[i];
        uint64_t ms = transfer_ms(world);
        assert_true(ms < (delays_ms[i] + 100) * (BLOCKS + 4));
        world_destroy(world);
    }
    struct world *world = world_create();
    world->bench->connected = ord_replica_bit(2);
    world->lies[2] = SPOILS;
    begin(world);
    for (uint32_t i = 0; i < 1000; i++)
        run_ms(world);
    assert_in_range(world->asked[2], 5, 12);
    world->lies[2] = HONEST;
    while (world->bench->replica->sync.active)
        run_ms(world);
    world_destroy(world);
}

/*
 * A source that has nothing is asked ever more rarely, at least once a second. When it has executed more it is asked at
 * once; when it only says the same again it is not.
 */
static void transfer__asks_a_source_that_has_nothing_rarely(void **state) {
    (void) state;
    struct world *world = world_create();
    struct replica *replica = world->bench->replica;
    world->bench->connected = ord_replica_bit(2);
    world->lies[2] = HAS_NOTHING;
    begin(world);
    for (uint32_t i = 0; i < 5000; i++)
        run_ms(world);
    assert_in_range(world->asked[2], 6, 9);
    for (int again = 0; again < 2; again++) {
        while (replica->sync.sources[2].missing_ms < 1000 || replica->sync.sources[2].asked ||
               replica->turn.now_ms < replica->sync.sources[2].asked_ms + 200)
            run_ms(world);
        uint32_t before = world->asked[2];
        sync_source_attested(replica, 2, 5000);
        for (uint32_t i = 0; i < 150; i++)
            run_ms(world);
        assert_int_equal(world->asked[2], before + (again ? 0 : 1));
    }
    world->lies[2] = HONEST;
    while (world->bench->replica->sync.active)
        run_ms(world);
    assert_int_equal(replica->sync.sources[2].missing_ms, 0);
    world_destroy(world);
}

/* A source that was slow is not asked with the others. It is tried after a rest, and serves again if it is fast. */
static void transfer__tries_a_slow_source_again_after_a_rest(void **state) {
    (void) state;
    struct world *world = world_create();
    struct sync_source *slow = &world->bench->replica->sync.sources[3];
    world->bench->time.now_ms += 10000;
    world->delay_ms[1] = 100;
    world->delay_ms[2] = 100;
    world->bench->replica->sync.sources[1].rate = 8000000;
    slow->rate = 1000;
    slow->asked_ms = world->bench->time.now_ms - 100;
    begin(world);
    for (uint32_t i = 0; i < 350; i++)
        run_ms(world);
    assert_true(world->bench->replica->sync.active);
    assert_int_equal(world->asked[3], 0);
    slow->asked_ms = 1; /* long ago */
    while (world->bench->replica->sync.active)
        run_ms(world);
    assert_true(world->asked[3] >= 2);
    world_destroy(world);
}

/* What has come and is not taken yet waits in memory, within a bound. */
static void transfer__holds_no_more_than_its_bound(void **state) {
    (void) state;
    struct world *world = world_create();
    world->bench->replica->sync.block_bytes = TRANSACTION_SIZE;
    world->lies[1] = MUTE;
    world->delay_ms[2] = 1;
    world->delay_ms[3] = 1;
    (void) transfer_ms(world);
    assert_true(world->held_max > 0);
    assert_true(world->held_max <= 17 * (uint64_t) SYNC_PIECE_BYTES_MAX);
    world_destroy(world);
}

/* A turn is one transaction of bounded size. What waits behind the first piece makes further turns due at once. */
static void transfer__takes_one_piece_a_turn(void **state) {
    (void) state;
    struct world *world = world_create();
    const struct channel *channel = replica_channel(world->bench->replica);
    world->bench->replica->sync.block_bytes = TRANSACTION_SIZE;
    world->delay_ms[1] = 50;
    begin(world);
    for (uint32_t i = 1; i < 50; i++)
        run_ms(world);
    assert_int_equal(channel_height(channel), 0);
    assert_non_null(world->bench->replica->sync.ranges[1].piece);
    world->bench->time.now_ms++;
    give_answers(world);
    bench_run(world->bench);
    assert_int_equal(channel_height(channel), 3);
    assert_true(replica_cut_short(world->bench->replica));
    bench_run(world->bench);
    assert_int_equal(channel_height(channel), 6);
    world_destroy(world);
}

/* Point 7: the old target's tail has no holder any more when its blocks are here. */
static void transfer__takes_a_newer_target_between_the_blocks_and_the_tail(void **state) {
    (void) state;
    struct world *world = world_create();
    begin(world);
    while (channel_height(replica_channel(world->bench->replica)) < BLOCKS)
        run_ms(world);
    for (ord_node_id id = 1; id < SOURCES; id++)
        world->lies[id] = MUTE;
    world->pending_count = 0;
    execute(world->chain, BLOCKS + MORE);
    world->target = certificate_at(world, BLOCKS + MORE);
    give_certificate(world->chain, encoded(world, &world->target));
    bench_message(world->bench, 1, REPLICA_LINK_CERTIFICATE, encoded(world, &world->target));
    run_ms(world);
    bench_check_all(world->bench);
    for (uint32_t i = 0; i < 700; i++)
        run_ms(world);
    assert_int_equal(world->bench->replica->sync.target.statement.seq, BLOCKS + MORE);
    for (ord_node_id id = 1; id < SOURCES; id++)
        world->lies[id] = HONEST;
    for (uint32_t i = 0; i < 6000 && world->bench->replica->sync.active; i++)
        run_ms(world);
    assert_false(world->bench->replica->sync.active);
    assert_int_equal(channel_applied_seq(replica_channel(world->bench->replica)), BLOCKS + MORE);
    world_destroy(world);
}

/* The asker may know of a certificate that the source has not seen. */
static void serve__gives_what_it_can_prove(void **state) {
    (void) state;
    struct world *world = world_create();
    enum replica_link kind;
    uint8_t request[1 + 8 + 8 + 8] = {SYNC_BLOCKS};
    execute(world->chain, BLOCKS + MORE); /* and no certificate */
    ord_store_u64(request + 1, BLOCKS);
    ord_store_u64(request + 9, BLOCKS + 1);
    struct ord_span answer = answer_of(world, net_copy(world->chain->net, ord_span_of(request, 25)), &kind);
    assert_true(answer.size > TRANSACTION_SIZE);
    assert_int_equal(ord_load_u32(answer.data + 8), 1);
    ord_store_u64(request + 1, BLOCKS + 1);
    answer = answer_of(world, net_copy(world->chain->net, ord_span_of(request, 25)), &kind);
    assert_int_equal(answer.size, SYNC_PIECE_HEADER_SIZE);
    world_destroy(world);
}

static uint32_t blocks_read;
static enum ord_err (*read_block)(struct ledger *ledger, struct ord_bytes *out, uint64_t height);

static enum ord_err count_read(struct ledger *ledger, struct ord_bytes *out, uint64_t height) {
    blocks_read++;
    return read_block(ledger, out, height);
}

/* Commits what waits for a later commit. */
static void commit_lazily(struct bench *bench) {
    bench_run(bench);
    bench->time.now_ms += 200;
    bench_run(bench);
}

/* A piece that ends early, at a block with a certificate, costs its asker what it has and no more. */
static void serve__reads_no_further_than_a_piece(void **state) {
    (void) state;
    enum { FIRST = 41, CERTIFIED = 44, LAST = 47 };
    struct world *world = world_create();
    enum replica_link kind;
    struct replica *source = world->chain->replica;
    struct replica_store *store = &source->setup.options.host.store;
    const struct channel_certificate certificate = certificate_at(world, CERTIFIED);
    assert_ok(store->put_certificate(store->ledger, CERTIFIED, encoded(world, &certificate)));
    commit_lazily(world->chain);
    read_block = store->get_block;
    store->get_block = count_read;
    blocks_read = 0;
    uint8_t request[1 + 8 + 8 + 8] = {SYNC_BLOCKS};
    ord_store_u64(request + 1, FIRST);
    ord_store_u64(request + 9, LAST);
    struct ord_span answer = answer_of(world, net_copy(world->chain->net, ord_span_of(request, 25)), &kind);
    assert_int_equal(ord_load_u32(answer.data + 8), CERTIFIED - FIRST + 1);
    assert_int_equal(blocks_read, CERTIFIED - FIRST + 1);
    uint64_t paid_us = source->serve.askers[0].free_us - source->turn.now_ms * 1000;
    assert_in_range(paid_us, 1, answer.size * UINT64_C(1000000) / SYNC_QUOTA_BYTES_PER_S);
    store->get_block = read_block;
    world_destroy(world);
}

/*
 * A replica that got its blocks by transfer serves them later. So it needs certificates as close to one another as its
 * source's, although few pieces have room for the blocks between two of them exactly.
 */
static void transfer__keeps_the_certificates_of_its_source(void **state) {
    (void) state;
    static const uint64_t more[] = {BLOCKS - 40, BLOCKS - 29, BLOCKS - 17, BLOCKS - 8};
    struct world *world = world_create();
    const struct replica_host *host = &world->bench->replica->setup.options.host;
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        const struct channel_certificate certificate = certificate_at(world, more[i]);
        const struct ord_span bytes = encoded(world, &certificate);
        assert_int_equal(
            host->store.put_certificate((struct ledger *) (void *) world->chain, certificate.statement.height, bytes),
            ORD_OK);
    }
    commit_lazily(world->chain);
    (void) transfer_ms(world);
    commit_lazily(world->bench);
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        struct ord_bytes bytes;
        uint64_t at;
        assert_int_equal(host->certificate(host->context, &bytes, &at, more[i]), ORD_OK);
        free(bytes.data);
        assert_int_equal(at, more[i]);
    }
    world_destroy(world);
}

/* Sources that add a header to each piece leave the asker with as many certificates: each comes one piece earlier. */
static void transfer__keeps_the_certificate_of_a_later_block(void **state) {
    (void) state;
    struct world *world = world_create();
    const struct replica_host *host = &world->bench->replica->setup.options.host;
    for (ord_node_id id = 1; id < SOURCES; id++)
        world->lies[id] = ADDS_A_HEADER;
    (void) transfer_ms(world);
    commit_lazily(world->bench);
    for (uint64_t height = 1; height <= BLOCKS; height++) {
        struct ord_bytes bytes;
        uint64_t at;
        assert_int_equal(host->certificate(host->context, &bytes, &at, height), ORD_OK);
        free(bytes.data);
        assert_in_range(at, height, height + SYNC_PIECE_BYTES_MAX / TRANSACTION_SIZE + 2);
    }
    assert_int_equal(world->bench->replica->sync.certificate_count, 0);
    world_destroy(world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(transfer__comes_from_several_at_once),
    cmocka_unit_test(transfer__waits_for_what_the_core_delivers_later),
    cmocka_unit_test(transfer__leaves_a_piece_whose_block_the_log_brought),
    cmocka_unit_test(transfer__is_not_slowed_by_a_source_that_drips),
    cmocka_unit_test(transfer__is_not_slowed_by_a_mute_source),
    cmocka_unit_test(transfer__leaves_a_source_that_lies),
    cmocka_unit_test(transfer__comes_from_the_only_source),
    cmocka_unit_test(transfer__asks_a_source_that_has_nothing_rarely),
    cmocka_unit_test(transfer__tries_a_slow_source_again_after_a_rest),
    cmocka_unit_test(transfer__holds_no_more_than_its_bound),
    cmocka_unit_test(transfer__takes_one_piece_a_turn),
    cmocka_unit_test(transfer__takes_a_newer_target_between_the_blocks_and_the_tail),
    cmocka_unit_test(transfer__keeps_the_certificates_of_its_source),
    cmocka_unit_test(transfer__keeps_the_certificate_of_a_later_block),
    cmocka_unit_test(serve__gives_what_it_can_prove),
    cmocka_unit_test(serve__reads_no_further_than_a_piece),
};
TEST_CASES(cases);
