/*
 * The seam of one PBFT core: impossible configurations and events, messages that are not what the node says they are,
 * bounds that ordinary runs do not reach, and a signer that fails. A refused input changes nothing.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

static void open_with(struct bench *bench, const struct ord_core_config *config, uint64_t now_ms) {
    memset(bench, 0, sizeof(*bench));
    bench->config = *config;
    bench->now_ms = now_ms;
    host_init(&bench->host, &bench->config);
    assert_ok(host_start(&bench->host, now_ms));
    host_flush(&bench->host, now_ms);
    host_commit(&bench->host);
    host_sends_clear(&bench->host);
}

static enum ord_err give(struct bench *bench, ord_node_id from, uint8_t type, struct ord_span bytes) {
    struct ord_verified verified = {.from = from, .bytes = bytes, .type = type};
    if (type == BFT_PRE_PREPARE)
        verified.digest = digest_of("x");
    struct ord_event event = {.type = ORD_EVENT_MESSAGE, .now_ms = bench->now_ms, .message = &verified};
    return host_step(&bench->host, &event);
}

static void assert_unchanged(const struct bench *bench, const struct ord_status *before) {
    const struct ord_status now = status_of(bench);
    assert_int_equal(now.view, before->view);
    assert_int_equal(now.proposed_seq, before->proposed_seq);
    assert_int_equal(now.body_bytes, before->body_bytes);
    assert_int_equal(now.messages_dropped, before->messages_dropped);
    assert_int_equal(now.messages_refused, before->messages_refused);
}

static enum ord_err flush(struct bench *bench) {
    struct ord_event event = {.type = ORD_EVENT_FLUSH, .now_ms = bench->now_ms};
    return host_step(&bench->host, &event);
}

#define NO_CORE(change)                                                                                                \
    do {                                                                                                               \
        struct ord_core_config config = test_config(1);                                                                \
        struct bft_options options = test_options;                                                                     \
        config.options = &options;                                                                                     \
        change;                                                                                                        \
        assert_int_equal(bft_pbft.memory_size(&config), 0);                                                            \
    } while (0)

static void config__out_of_bounds_has_no_core(void **state) {
    (void) state;
    NO_CORE(config.replica_count = 3);
    NO_CORE(config.replica_count = ORD_REPLICA_MAX + 1);
    NO_CORE(config.self = config.replica_count);
    NO_CORE(config.window = 1);
    NO_CORE((config.window = BFT_WINDOW_MAX + 1, config.checkpoint_interval = 1));
    NO_CORE(config.checkpoint_interval = 0);
    NO_CORE(config.checkpoint_interval = config.window / 2 + 1);
    NO_CORE(config.batch_bytes_max = 0);
    NO_CORE((config.batch_bytes_max = UINT32_MAX / 4 + 1, config.body_bytes_max = UINT64_C(1) << 40));
    NO_CORE(config.body_bytes_max = 4 * (uint64_t) config.batch_bytes_max - 1);
    NO_CORE(config.body_bytes_max = UINT64_MAX);
    NO_CORE(config.retransmit_ms = 0);
    NO_CORE(options.request_timeout_ms = 0);
    NO_CORE(config.crypto = NULL);
    NO_CORE(config.options = NULL);
    NO_CORE(options.checkpoints.verify = NULL);
    NO_CORE(options.checkpoints.size_max = 0);
    NO_CORE(options.checkpoints.size_max = UINT32_MAX / 4 + 1);
    struct ord_core_config config = test_config(1);
    assert_true(bft_pbft.memory_size(&config) > 0);
    struct ord_core *core;
    static _Alignas(max_align_t) uint8_t memory[1024];
    const struct ord_signer signer = {.sign = stand_in_signer_sign};
    assert_err(bft_pbft.init(&core, memory, sizeof(memory), &config, NULL, 1), ORD_ERR_INVALID);
    config.window = 1;
    assert_err(bft_pbft.init(&core, memory, sizeof(memory), &config, &signer, 1), ORD_ERR_INVALID);
}

static void config__of_as_many_replicas_as_there_may_be(void **state) {
    (void) state;
    struct bench bench;
    struct ord_core_config config = test_config(63);
    config.replica_count = ORD_REPLICA_MAX;
    memset(&bench, 0, sizeof(bench));
    bench.config = config;
    host_init(&bench.host, &config);
    assert_ok(host_start(&bench.host, 0));
    ord_replica_set told = 0;
    for (size_t i = 0; i < bench.host.send_count; i++)
        told |= bench.host.sends[i].to;
    assert_int_equal(told, UINT64_MAX >> 1); /* all but itself */
    bench_close(&bench);
}

/* The node vouches for sender, type and digest. They are checked all the same. */
static void message__that_is_not_what_the_node_says_is_refused(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    const struct ord_core_config *config = &bench.config;
    const struct ord_status before = status_of(&bench);
    struct ord_event event = {.type = ORD_EVENT_MESSAGE, .now_ms = bench.now_ms};
    assert_err(host_step(&bench.host, &event), ORD_ERR_INVALID);
    struct ord_span proposal = make_pre_prepare(config, 0, 0, 1, "x");
    assert_err(give(&bench, 1, BFT_PRE_PREPARE, proposal), ORD_ERR_INVALID); /* from itself */
    assert_err(give(&bench, 4, BFT_PRE_PREPARE, proposal), ORD_ERR_INVALID);
    assert_err(give(&bench, 2, BFT_PRE_PREPARE, proposal), ORD_ERR_INVALID);
    assert_err(give(&bench, 0, BFT_PRE_PREPARE, make_pre_prepare(config, 0, 0, 1, "y")), ORD_ERR_INVALID);
    static const enum bft_type lists[] = {BFT_PREPARE, BFT_COMMIT, BFT_FETCH};
    for (size_t i = 0; i < 3; i++) {
        struct ord_span list = make_vote(config, lists[i], 2, 1, "x");
        assert_err(give(&bench, 3, (uint8_t) lists[i], list), ORD_ERR_INVALID);
        list.size--;
        assert_err(give(&bench, 2, (uint8_t) lists[i], list), ORD_ERR_INVALID);
    }
    assert_err(give(&bench, 2, BFT_COMMIT, make_vote(config, BFT_PREPARE, 2, 1, "x")), ORD_ERR_INVALID);
    assert_err(give(&bench, 2, BFT_STATUS, make_status(config, 3, 0, 0, 0)), ORD_ERR_INVALID);
    assert_err(give(&bench, 2, 0, proposal), ORD_ERR_INVALID);
    assert_err(give(&bench, 2, 200, proposal), ORD_ERR_INVALID);
    assert_unchanged(&bench, &before);
    assert_int_equal(bench.host.judge_count, 0);
    bench_close(&bench);
}

static void message__that_is_cut_short_is_refused(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    const struct ord_status before = status_of(&bench);
    for (uint8_t type = BFT_PRE_PREPARE; type <= BFT_RECALL; type++) {
        uint8_t bytes[BFT_HEADER_SIZE + 3] = {0};
        struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
        bft_header_write(&writer, &bench.config, (enum bft_type) type, 0, 2);
        for (size_t size = 0; size <= sizeof(bytes); size++)
            assert_int_not_equal(give(&bench, 2, type, ord_span_of(bytes, size)), ORD_OK);
    }
    assert_unchanged(&bench, &before);
    bench_close(&bench);
}

/* Whatever type the door read, each decoder checks the type itself, and the bounds of its own fields. */
static void decoder__takes_its_own_type_and_sane_seqs(void **state) {
    (void) state;
    const struct ord_core_config config = test_config(1);
    struct bft_pre_prepare proposal;
    struct bft_vote_list list;
    struct bft_status status;
    struct bft_body_message body;
    uint8_t bytes[256];
    struct ord_span good = make_body(&config, 0, 0, 1, "x");
    memcpy(bytes, good.data, good.size);
    good.data = bytes;
    assert_ok(bft_body_decode(&body, &config, good));
    ord_store_u64(bytes + BFT_HEADER_SIZE, 0);
    assert_err(bft_body_decode(&body, &config, good), ORD_ERR_INVALID);
    ord_store_u64(bytes + BFT_HEADER_SIZE, BFT_SEQ_MAX + 1);
    assert_err(bft_body_decode(&body, &config, good), ORD_ERR_INVALID);
    ord_store_u64(bytes + BFT_HEADER_SIZE, BFT_SEQ_MAX);
    assert_ok(bft_body_decode(&body, &config, good));
    bytes[0] = BFT_PRE_PREPARE;
    assert_err(bft_body_decode(&body, &config, good), ORD_ERR_INVALID);
    good = make_pre_prepare(&config, 0, 0, 1, "x");
    memcpy(bytes, good.data, good.size);
    bytes[0] = BFT_BODY;
    assert_err(bft_pre_prepare_decode(&proposal, &config, ord_span_of(bytes, good.size)), ORD_ERR_INVALID);
    good = make_vote(&config, BFT_COMMIT, 0, 1, "x");
    memcpy(bytes, good.data, good.size);
    bytes[0] = BFT_STATUS;
    assert_err(bft_vote_list_decode(&list, &config, ord_span_of(bytes, good.size)), ORD_ERR_INVALID);
    good = make_status(&config, 0, 4, 4, 0);
    memcpy(bytes, good.data, good.size);
    assert_ok(bft_status_decode(&status, &config, ord_span_of(bytes, good.size)));
    bytes[0] = BFT_COMMIT;
    assert_err(bft_status_decode(&status, &config, ord_span_of(bytes, good.size)), ORD_ERR_INVALID);
    struct bft_view_change change;
    good = make_view_change(&config, 0, 1, 0, NULL, 0);
    assert_true(good.size <= sizeof(bytes));
    memcpy(bytes, good.data, good.size);
    assert_ok(bft_view_change_decode(&change, &config, ord_span_of(bytes, good.size)));
    bytes[0] = BFT_NEW_VIEW;
    assert_err(bft_view_change_decode(&change, &config, ord_span_of(bytes, good.size)), ORD_ERR_INVALID);
}

/* A statement about a view has no seq, and a vote is not a proposal. Neither shows what the primary proposed. */
static void witness__of_anything_but_a_proposal_is_dropped(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    accept(&bench, 1, "x");
    vote(&bench, BFT_PREPARE, 3, 3, "x"); /* only votes exist for that seq */
    const struct statement said[] = {{.type = BFT_VIEW_CHANGE, .sender = 0, .batch = "y"},
                                     {.type = BFT_PREPARE, .sender = 0, .seq = 1, .batch = "y"},
                                     {.type = BFT_PRE_PREPARE, .sender = 3, .seq = 1, .batch = "y"},
                                     {.type = BFT_PRE_PREPARE, .sender = 0, .seq = 2, .batch = "y"},
                                     {.type = BFT_PRE_PREPARE, .sender = 0, .seq = 3, .batch = "y"},
                                     {.type = BFT_PRE_PREPARE, .sender = 0, .seq = 1, .batch = "x"}};
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
        assert_ok(give(&bench, 2, BFT_WITNESS, make_witness(&bench.config, 2, &said[i])));
    assert_int_equal(status_of(&bench).messages_dropped, 6);
    assert_int_equal(bench.host.evidence_count, 0);
    bench_close(&bench);
}

static struct ord_event certified_event(const struct bench *bench, enum ord_event_type type, uint64_t seq,
                                        struct ord_span certificate) {
    struct ord_event event = {.type = type, .now_ms = bench->now_ms};
    if (type == ORD_EVENT_SYNCED) {
        event.synced.seq = seq;
        event.synced.stable_seq = seq;
        event.synced.certificate = certificate;
    } else {
        event.attested.seq = seq;
        event.attested.certificate = certificate;
    }
    return event;
}

static void event__of_no_known_kind_is_refused(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    struct ord_event event = {.type = (enum ord_event_type) 99, .now_ms = bench.now_ms + 5000};
    assert_err(host_step(&bench.host, &event), ORD_ERR_INVALID);
    uint8_t certificate[STAND_IN_CHECKPOINT_SIZE + 1];
    const struct ord_span good = stand_in_checkpoint(certificate, &test_crypto, 4);
    const struct ord_span bad[] = {ord_span_of(NULL, 0), ord_span_of(certificate, sizeof(certificate))};
    static const enum ord_event_type types[] = {ORD_EVENT_ATTESTED, ORD_EVENT_SYNCED};
    for (size_t i = 0; i < 2; i++) {
        event = certified_event(&bench, types[i], 0, good);
        assert_err(host_step(&bench.host, &event), ORD_ERR_INVALID);
        event = certified_event(&bench, types[i], BFT_SEQ_MAX + 1, good);
        assert_err(host_step(&bench.host, &event), ORD_ERR_INVALID);
        for (size_t j = 0; j < 2; j++) {
            event = certified_event(&bench, types[i], 4, bad[j]);
            assert_err(host_step(&bench.host, &event), ORD_ERR_INVALID);
        }
    }
    assert_int_equal(status_of(&bench).stable_seq, 0);
    bench_close(&bench);
}

static void record__without_a_batch_is_corrupt(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    struct ord_span record = make_pre_prepare(&config, 0, 0, 1, "batch");
    struct ord_span batch;
    assert_ok(bft_pbft.body_of_record(&batch, record));
    assert_true(ord_span_equal(batch, ord_span_of("batch", 5)));
    assert_err(bft_pbft.body_of_record(&batch, ord_span_of(record.data, BFT_PRE_PREPARE_SIZE)), ORD_ERR_CORRUPT);
    assert_err(bft_pbft.body_of_record(&batch, ord_span_of(record.data, record.size - 1)), ORD_ERR_CORRUPT);
    uint8_t other[BFT_PRE_PREPARE_SIZE + 5];
    memcpy(other, record.data, sizeof(other));
    other[0] = BFT_COMMIT;
    assert_err(bft_pbft.body_of_record(&batch, ord_span_of(other, sizeof(other))), ORD_ERR_CORRUPT);
}

static void judged(struct bench *bench, uint64_t view, uint64_t seq, const char *batch) {
    struct ord_event event = {.type = ORD_EVENT_JUDGED,
                              .now_ms = bench->now_ms,
                              .judged = {.view = view, .seq = seq, .digest = digest_of(batch), .admissible = true}};
    assert_ok(host_step(&bench->host, &event));
}

static void judged__for_another_batch_changes_nothing(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    pre_prepare(&bench, 1, "x");
    judged(&bench, 1, 1, "x"); /* for another view */
    judged(&bench, 0, 1, "y");
    judged(&bench, 0, 2, "x");
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0);
    judged(&bench, 0, 1, "x");
    judged(&bench, 0, 1, "x"); /* once is enough */
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    bench_close(&bench);
}

/* After 2^63 - 1 no seq follows, and none wraps around. */
static void seq__has_a_last_one(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 0);
    host_crash(&bench.host);
    uint8_t *certificate = malloc(STAND_IN_CHECKPOINT_SIZE);
    struct host_records *disk = &bench.host.disk;
    disk->items = realloc(disk->items, (disk->count + 1) * sizeof(*disk->items));
    assert_non_null(certificate);
    assert_non_null(disk->items);
    (void) stand_in_checkpoint(certificate, &test_crypto, BFT_SEQ_MAX);
    disk->capacity = disk->count + 1;
    /* Tables are in rising order: the last record tells that the disk is not new. */
    disk->items[disk->count] = disk->items[disk->count - 1];
    disk->items[disk->count++ - 1] =
        (struct host_record) {BFT_TABLE_CHECKPOINT, 1, certificate, STAND_IN_CHECKPOINT_SIZE};
    bench.host.durable_applied = BFT_SEQ_MAX;
    bench.host.applied = BFT_SEQ_MAX;
    assert_ok(host_start(&bench.host, bench.now_ms));
    assert_int_equal(status_of(&bench).stable_seq, BFT_SEQ_MAX);
    assert_false(status_of(&bench).can_propose);
    host_propose(&bench.host, ord_span_of("x", 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    assert_int_equal(status_of(&bench).proposed_seq, BFT_SEQ_MAX);
    host_crash(&bench.host);
    bench.host.durable_applied = BFT_SEQ_MAX + 1;
    assert_err(host_start(&bench.host, bench.now_ms), ORD_ERR_INVALID);
    bench_close(&bench);
}

/* No view follows the last one either, whatever its primary did. */
static void view__has_a_last_one(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct ord_hash lie = digest_of("a");
    bench_open(&bench, 1);
    change(&bench, &changes, 0, BFT_SEQ_MAX, 0, NULL, 0);
    change(&bench, &changes, 2, BFT_SEQ_MAX, 0, NULL, 0);
    turn_ends(&bench);
    (void) changes_keep(&changes, 1, sent_message(&bench, BFT_VIEW_CHANGE));
    new_view(&bench, &changes, BFT_SEQ_MAX, 0, &lie, 1);
    uint64_t refused = status_of(&bench).messages_refused;
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).messages_refused, refused + 1);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, BFT_SEQ_MAX);
    assert_true(status_of(&bench).changing);
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 0);
    bench_close(&bench);
}

/* A clock may start anywhere: 0 is a time like any other, even where 0 stands for "not running". */
static void clock__may_begin_at_zero(void **state) {
    (void) state;
    struct bench bench;
    struct ord_core_config config = test_config(1);
    static struct changes changes;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    open_with(&bench, &config, 0);
    change(&bench, &changes, 2, 1, 0, &prepared, 1);
    change(&bench, &changes, 3, 1, 0, &prepared, 1);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_NEW_VIEW, NULL), 0);
    assert_int_equal(sent(&bench, BFT_FETCH, NULL), 1); /* for the batch, from the replica that has its certificate */
    assert_ok(receive(&bench, 2, make_body(&config, 2, 1, 1, "a")));
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_NEW_VIEW, NULL), 1);
    bench_close(&bench);
}

static void clock__of_a_view_change_may_begin_at_zero(void **state) {
    (void) state;
    struct bench bench;
    struct ord_core_config config = test_config(3);
    static struct changes changes;
    open_with(&bench, &config, 0);
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    change(&bench, &changes, 2, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1); /* a quorum is in it, but its primary is mute */
    tick(&bench, test_options.request_timeout_ms + 1);
    suspect(&bench, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 2);
    bench_close(&bench);
}

/* As many seqs as two trees hold: each tree has its signature, and all replicas can check them. */
static void new_view__of_more_than_one_tree(void **state) {
    (void) state;
    struct bench bench;
    struct ord_core_config config = test_config(1);
    config.window = 128;
    static struct changes changes;
    const struct prepared last = {.seq = 70, .digest = digest_of("")}; /* a null batch: nothing to fetch */
    open_with(&bench, &config, 1000);
    change(&bench, &changes, 2, 1, 0, &last, 1);
    change(&bench, &changes, 3, 1, 0, &last, 1);
    turn_ends(&bench);
    turn_ends(&bench);
    struct bft_new_view view;
    assert_ok(bft_new_view_verify(&view, &config, sent_message(&bench, BFT_NEW_VIEW)));
    assert_int_equal(view.count, 70);
    bench_close(&bench);
}

static void new_view__is_made_later_when_the_signer_fails(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 1);
    change(&bench, &changes, 2, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    bench.host.keys.broken = true;
    assert_err(flush(&bench), ORD_ERR_CRYPTO);
    assert_true(status_of(&bench).changing);
    bench.host.keys.broken = false;
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_NEW_VIEW, NULL), 1);
    assert_false(status_of(&bench).changing);
    bench_close(&bench);
}

/* The view began at 6, and this replica has nothing yet. Everything below comes by state transfer only (row P6). */
static void pre_prepare__below_the_base_of_its_view_is_refused(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 6, NULL, 0);
    change(&bench, &changes, 3, 1, 6, NULL, 0);
    new_view(&bench, &changes, 1, 6, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    uint64_t refused = status_of(&bench).messages_refused;
    assert_ok(receive(&bench, 1, make_pre_prepare(&bench.config, 1, 1, 3, "x")));
    assert_ok(receive(&bench, 1, make_pre_prepare(&bench.config, 1, 1, 6, "x")));
    assert_int_equal(status_of(&bench).messages_refused, refused + 2);
    assert_int_equal(bench.host.judge_count, 0);
    assert_ok(receive(&bench, 1, make_pre_prepare(&bench.config, 1, 1, 7, "x")));
    assert_int_equal(bench.host.judge_count, 1);
    bench_close(&bench);
}

static void status_message__is_not_answered_when_the_signer_fails(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 1);
    accept(&bench, 1, "x");
    turn_ends(&bench);
    bench.now_ms += 100;
    bench.host.keys.broken = true;
    const struct bft_peer before = bench.host.core->peers[3];
    assert_err(receive(&bench, 3, make_mood_status(&bench.config, 3, 0, BFT_SUSPECTS, 0)), ORD_ERR_CRYPTO);
    assert_memory_equal(&bench.host.core->peers[3], &before, sizeof(before)); /* nor is the suspicion noted */
    bench.host.keys.broken = false;
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 3, make_status(&bench.config, 3, 0, 0, 0))); /* the peer may be asked again at once */
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    bench_close(&bench);
}

enum { LARGE = 700 * 1024 };

/*
 * One answer holds a mebibyte of batches, or one batch that is larger. An answer to FETCH ends with the batch that
 * reaches the bound.
 */
static void answer__has_a_bound_in_bytes(void **state) {
    (void) state;
    struct bench bench;
    struct ord_core_config config = test_config(0);
    config.batch_bytes_max = LARGE;
    config.body_bytes_max = 16 * (uint64_t) LARGE;
    uint8_t *batch = malloc(LARGE);
    assert_non_null(batch);
    open_with(&bench, &config, 1000);
    struct bft_vote_list wanted = {.type = BFT_FETCH, .sender = 3, .count = 3};
    for (uint8_t i = 0; i < 3; i++) {
        memset(batch, i + 1, LARGE);
        host_propose(&bench.host, ord_span_of(batch, LARGE), bench.now_ms);
        wanted.votes[i].seq = (uint64_t) i + 1;
        bft_body_digest(&wanted.votes[i].digest, &test_crypto, ord_span_of(batch, LARGE));
    }
    turn_ends(&bench);
    bench.now_ms += 100;
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 3, make_status(&config, 3, 0, 0, 0)));
    assert_int_equal(sent(&bench, BFT_PRE_PREPARE, NULL), 1);
    assert_ok(receive(&bench, 2, make_status(&config, 2, 0, 0, 1))); /* it has the first */
    assert_int_equal(sent(&bench, BFT_PRE_PREPARE, NULL), 2);
    /* It comes out of the same share as the answer to the STATUS. */
    assert_ok(receive(&bench, 3, make_list(&config, &wanted)));
    assert_int_equal(sent(&bench, BFT_BODY, NULL), 1);
    bench.now_ms += 1000;
    assert_ok(receive(&bench, 3, make_list(&config, &wanted)));
    assert_int_equal(sent(&bench, BFT_BODY, NULL), 1 + 2);
    free(batch);
    bench_close(&bench);
}

static bool wants(const struct bench *bench, struct ord_span bytes) {
    return bft_pbft.wants(bench->host.core, bytes);
}

/* Row V3: a message that is known, old or our own is not worth the check of its signatures. */
static void wants__only_view_changes_that_tell_something(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    const struct ord_core_config *config = &bench.config;
    assert_true(wants(&bench, make_status(config, 3, 0, 0, 0)));
    assert_true(wants(&bench, ord_span_of(NULL, 0))); /* the door reports what is wrong with it */
    assert_true(wants(&bench, make_view_change(config, 3, 5, 0, NULL, 0)));
    assert_false(wants(&bench, make_view_change(config, 2, 0, 0, NULL, 0))); /* our own */
    assert_true(wants(&bench, make_view_change(config, 2, 5, 0, NULL, 0)));  /* our own, but unknown to us */
    uint8_t stranger[TEST_VIEW_CHANGE_SIZE];
    struct ord_span bytes = make_view_change(config, 3, 5, 0, NULL, 0);
    memcpy(stranger, bytes.data, bytes.size);
    ord_store_u32(stranger + BFT_HEADER_SIZE - 4, 4);
    assert_false(wants(&bench, ord_span_of(stranger, bytes.size)));
    change(&bench, &changes, 3, 5, 0, NULL, 0);
    assert_false(wants(&bench, changes.of[3]));
    assert_false(wants(&bench, make_relay(config, 0, changes.of[3])));
    assert_false(wants(&bench, make_view_change(config, 3, 4, 0, NULL, 0))); /* its sender has moved on since */
    assert_true(wants(&bench, make_view_change(config, 3, 6, 0, NULL, 0)));
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    assert_false(wants(&bench, make_view_change(config, 3, 5, 0, &prepared, 1))); /* of another view than ours */
    bench_close(&bench);

    static struct changes used;
    bench_open(&bench, 2);
    time_out(&bench, &used);
    change(&bench, &used, 1, 1, 0, NULL, 0);
    assert_true(wants(&bench, make_view_change(config, 1, 1, 0, &prepared, 1))); /* a NEW-VIEW may name it */
    struct ord_span view;
    static uint8_t copy[TEST_VIEW_CHANGE_SIZE];
    used.of[3] = changes_keep(&used, 3, make_view_change(config, 3, 1, 0, NULL, 0));
    view = make_new_view(config, 1, 0, NULL, 0, used.of);
    memcpy(copy, view.data, view.size);
    view.data = copy;
    assert_true(wants(&bench, view));
    assert_ok(receive(&bench, 1, view));
    assert_false(wants(&bench, view)); /* it is kept already and waits for the view change of 3 */
    assert_ok(receive(&bench, 3, used.of[3]));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    assert_false(wants(&bench, view));       /* it is installed */
    assert_false(wants(&bench, used.of[3])); /* the view rests on it */
    assert_false(wants(&bench, used.of[1]));
    assert_true(wants(&bench, make_view_change(config, 3, 2, 0, NULL, 0)));
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    static struct changes later;
    time_out(&bench, &later);
    assert_false(wants(&bench, view)); /* of a view that was left */
    bench_close(&bench);
}

/* A replica wants its own messages if they would show it that it has forgotten them. */
static void wants__own_words_that_it_does_not_hold(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    static uint8_t copy[TEST_VIEW_CHANGE_SIZE];
    bench_open(&bench, 1);
    const struct ord_core_config *config = &bench.config;
    for (ord_node_id node = 1; node < 4; node++)
        (void) changes_keep(&changes, node, make_view_change(config, node, 1, 0, NULL, 0));
    struct ord_span view = make_new_view(config, 1, 0, NULL, 0, changes.of);
    memcpy(copy, view.data, view.size);
    view.data = copy;
    assert_true(wants(&bench, view));
    assert_true(wants(&bench, changes.of[1]));
    time_out(&bench, &changes);
    assert_true(wants(&bench, view));           /* it has made none */
    assert_false(wants(&bench, changes.of[1])); /* it holds this statement */
    change(&bench, &changes, 2, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_NEW_VIEW, NULL), 1);
    assert_false(wants(&bench, view));
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(config__out_of_bounds_has_no_core),
    cmocka_unit_test(config__of_as_many_replicas_as_there_may_be),
    cmocka_unit_test(message__that_is_not_what_the_node_says_is_refused),
    cmocka_unit_test(message__that_is_cut_short_is_refused),
    cmocka_unit_test(decoder__takes_its_own_type_and_sane_seqs),
    cmocka_unit_test(witness__of_anything_but_a_proposal_is_dropped),
    cmocka_unit_test(event__of_no_known_kind_is_refused),
    cmocka_unit_test(record__without_a_batch_is_corrupt),
    cmocka_unit_test(judged__for_another_batch_changes_nothing),
    cmocka_unit_test(seq__has_a_last_one),
    cmocka_unit_test(view__has_a_last_one),
    cmocka_unit_test(clock__may_begin_at_zero),
    cmocka_unit_test(clock__of_a_view_change_may_begin_at_zero),
    cmocka_unit_test(new_view__of_more_than_one_tree),
    cmocka_unit_test(new_view__is_made_later_when_the_signer_fails),
    cmocka_unit_test(pre_prepare__below_the_base_of_its_view_is_refused),
    cmocka_unit_test(status_message__is_not_answered_when_the_signer_fails),
    cmocka_unit_test(answer__has_a_bound_in_bytes),
    cmocka_unit_test(wants__only_view_changes_that_tell_something),
    cmocka_unit_test(wants__own_words_that_it_does_not_hold),
};
TEST_CASES(cases);
