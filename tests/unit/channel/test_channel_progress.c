/*
 * Whose turn to lead is passed over, as what is decided tells (channel/progress.h), and that it is part of the state.
 * The genesis hash of the first tests is zero, so replica v mod n leads view v.
 */
#include <string.h>

#include "core/quorum.h"
#include "tests/support/channel_support.h"
#include "tests/support/test_main.h"

enum { DECISIONS = 10 };

struct turns {
    struct channel_config config;
    struct ord_hash genesis_hash;
    struct channel_progress progress;
    uint64_t seq; /* where the next view begins */
};

static struct turns turns_of(uint32_t replica_count) {
    return (struct turns) {.config = {.replica_count = replica_count, .decisions_per_leader = DECISIONS}, .seq = 1};
}

/* The first batch of `view` is executed, and the view orders `count` seqs. */
static void orders(struct turns *turns, uint64_t view, uint32_t count) {
    channel_progress_named(&turns->progress, &turns->config, &turns->genesis_hash, view, turns->seq);
    turns->seq += count;
}

static void serves(struct turns *turns, uint64_t view) {
    orders(turns, view, DECISIONS);
}

static ord_replica_set passes(const struct turns *turns) {
    return channel_progress_passes(&turns->progress);
}

/* The view after `view` on schedule (bft/view/rotate.c). */
static uint64_t following(const struct turns *turns, uint64_t view) {
    uint32_t count = turns->config.replica_count;
    do
        view++;
    while ((passes(turns) & ord_replica_bit((ord_node_id) (view % count))) != 0);
    return view;
}

static void turn__of_a_mute_leader_is_passed_over_more_and_more_often(void **state) {
    (void) state;
    struct turns turns = turns_of(4);
    const uint32_t expected[] = {1, 2, 4, 8, 16, 32, 32};
    uint64_t view = 0;
    serves(&turns, 0);
    for (uint32_t i = 0; i < 7; i++) {
        uint32_t passed = 0;
        uint64_t next;
        /* Replica 3 is mute. */
        while ((next = following(&turns, view)) % 4 != 3) {
            /* With n = 4 its turn is passed over each time that replica 2 is followed by replica 0. */
            passed += next > view + 1;
            serves(&turns, next);
            view = next;
        }
        if (i > 0)
            assert_int_equal(passed, expected[i - 1]);
        serves(&turns, next + 1); /* the view of replica 3 times out */
        view = next + 1;
        assert_int_equal(turns.progress.failed_count, 1);
        assert_int_equal(turns.progress.failed[0].node, 3);
        assert_int_equal(turns.progress.failed[0].passes, expected[i]);
    }
}

/* A leader that ends its view on schedule is not passed over again, and forgotten after four such views. */
static void turn__comes_back_to_a_leader_that_serves(void **state) {
    (void) state;
    struct turns turns = turns_of(4);
    serves(&turns, 0);
    orders(&turns, 1, 3); /* replica 1 fails halfway */
    serves(&turns, 2);
    serves(&turns, 3);
    assert_int_equal(passes(&turns), ord_replica_bit(1));
    serves(&turns, 4);
    assert_int_equal(following(&turns, 4), 6);
    for (uint64_t view = 6; view < 22; view = following(&turns, view)) {
        serves(&turns, view);
        assert_int_equal(passes(&turns), 0);
    }
    assert_int_equal(turns.progress.failed_count, 1);
    assert_int_equal(turns.progress.failed[0].terms, 3);
    serves(&turns, 22);
    serves(&turns, 23);
    serves(&turns, 24);
    serves(&turns, 25);
    serves(&turns, 26);
    assert_int_equal(turns.progress.failed_count, 0);
}

/* A liar that serves every second term comes to miss 32 turns for one failure. */
static void turn__of_a_leader_that_serves_now_and_then_is_missed_as_often(void **state) {
    (void) state;
    struct turns turns = turns_of(4);
    uint64_t view = 0;
    bool fails = true;
    serves(&turns, 0);
    for (uint32_t failures = 0; failures < 7;) {
        view = following(&turns, view);
        bool lies = view % 4 == 3 && fails;
        fails = view % 4 == 3 ? !fails : fails;
        failures += lies;
        orders(&turns, view, lies ? 1 : DECISIONS);
        if (lies)
            serves(&turns, ++view);
    }
    assert_int_equal(turns.progress.failed[0].failures, 6);
    assert_int_equal(turns.progress.failed[0].passes, 32);
}

/* At most f are passed over: a further failure displaces the one that was longest ago. */
static void turn__is_missed_by_f_leaders_at_most(void **state) {
    (void) state;
    struct turns turns = turns_of(7);
    orders(&turns, 0, 1);
    orders(&turns, 1, 1);
    orders(&turns, 2, 1);
    assert_int_equal(passes(&turns), ord_replica_bit(0) | ord_replica_bit(1));
    orders(&turns, 3, 1);
    assert_int_equal(passes(&turns), ord_replica_bit(1) | ord_replica_bit(2));
    for (uint64_t view = 4; view < 500; view += 1 + view % 3) {
        orders(&turns, view, 1);
        assert_true(ord_replica_count(passes(&turns)) <= 2);
        assert_true(following(&turns, view) <= view + 3);
    }
}

/* After a view that failed, all views up to the next that orders anything were tried: nobody was passed over. */
static void turn__that_a_timeout_brings_is_not_passed_over(void **state) {
    (void) state;
    struct turns turns = turns_of(10);
    serves(&turns, 0);
    orders(&turns, 1, 1);
    for (uint64_t view = 2; view < 9; view++)
        serves(&turns, view);
    assert_int_equal(turns.progress.failed[0].passes, 1);
    orders(&turns, 9, 2); /* fails, then 0 does, and 1 although it would be passed over */
    serves(&turns, 12);
    assert_int_equal(turns.progress.failed_count, 3);
    assert_int_equal(turns.progress.failed[0].node, 1);
    assert_int_equal(turns.progress.failed[0].failures, 2);
    assert_int_equal(turns.progress.failed[0].passes, 2);
    assert_int_equal(turns.progress.failed[1].node, 0);
}

/* Behind the first turn that came, the others were tried. */
static void turn__is_passed_over_only_right_after_a_view_on_schedule(void **state) {
    (void) state;
    struct turns turns = turns_of(7);
    serves(&turns, 0);
    orders(&turns, 1, 1);
    orders(&turns, 2, 1);
    for (uint64_t view = 3; view < 8; view++)
        serves(&turns, view); /* 1 and 2 failed */
    /* 8 and 9 are passed over; nothing comes of 10, 11 and 12. */
    serves(&turns, 13);
    assert_int_equal(turns.progress.failed[0].node, 12 % 7);
    assert_int_equal(turns.progress.failed[1].node, 11 % 7);
    /* Nothing that was passed over counts as another failure, and 10 and 11 displaced the first two. */
    assert_int_equal(turns.progress.failed[0].failures, 1);
    assert_int_equal(turns.progress.failed[1].failures, 1);
}

/* A long outage counts once for each leader at most. */
static void views__that_nobody_ordered_in_count_once_a_leader(void **state) {
    (void) state;
    struct turns turns = turns_of(4);
    orders(&turns, UINT64_C(1) << 62, 1);
    assert_int_equal(turns.progress.failed_count, 1);
    assert_int_equal(turns.progress.failed[0].node, 3);
    assert_int_equal(turns.progress.failed[0].failures, 1);
}

/* How a view ended whose successor's first batch came to nothing cannot be told, so it counts as on schedule. */
static void view__behind_which_a_name_is_lost_has_not_failed(void **state) {
    (void) state;
    struct turns turns = turns_of(4);
    orders(&turns, 0, DECISIONS + 3);
    serves(&turns, 2);
    assert_int_equal(passes(&turns), ord_replica_bit(1));
    orders(&turns, 3, DECISIONS - 1);
    serves(&turns, 4);
    assert_int_equal(passes(&turns), ord_replica_bit(3));
}

static void name__of_an_earlier_view_is_ignored(void **state) {
    (void) state;
    struct turns turns = turns_of(4);
    serves(&turns, 2);
    const struct channel_progress before = turns.progress;
    orders(&turns, 1, 1);
    orders(&turns, 2, 1);
    assert_memory_equal(&turns.progress, &before, sizeof(before));
    /* So is every name where views do not end on schedule. */
    turns.config.decisions_per_leader = 0;
    orders(&turns, 3, 1);
    assert_memory_equal(&turns.progress, &before, sizeof(before));
}

/* ---- the encoding ---- */

static void progress__round_trip(void **state) {
    (void) state;
    struct turns turns = turns_of(7);
    uint8_t bytes[CHANNEL_PROGRESS_SIZE_MAX];
    orders(&turns, 0, 1);
    orders(&turns, 4, 1);
    turns.progress.bytes_since_point = 77;
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    channel_progress_write(&writer, &turns.config, &turns.progress);
    assert_ok(ord_writer_finish(&writer));
    assert_int_equal(writer.size, 25 + 2 * 7);
    struct channel_progress decoded;
    for (size_t size = 0; size <= writer.size; size++) {
        struct ord_reader reader = ord_reader_of(ord_span_of(bytes, size));
        assert_err(channel_progress_read(&decoded, &turns.config, &reader),
                   size == writer.size ? ORD_OK : ORD_ERR_INVALID);
    }
    uint8_t again[CHANNEL_PROGRESS_SIZE_MAX];
    struct ord_writer second = ord_writer_of(again, sizeof(again));
    channel_progress_write(&second, &turns.config, &decoded);
    assert_true(ord_span_equal(ord_writer_span(&writer), ord_writer_span(&second)));
    /* No executed state has these: too many leaders, an unknown one, no or too many failures, and so on. */
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {{24, 3}, {28, 7}, {29, 0}, {29, 7}, {30, 4}, {31, 33}, {35, 3}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t before = bytes[wrong[i].at];
        bytes[wrong[i].at] = wrong[i].value;
        struct ord_reader reader = ord_reader_of(ord_writer_span(&writer));
        assert_err(channel_progress_read(&decoded, &turns.config, &reader), ORD_ERR_INVALID);
        bytes[wrong[i].at] = before;
    }
    /* Views that do not end on schedule leave the encoding as it was before there was a rotation. */
    turns.config.decisions_per_leader = 0;
    writer = ord_writer_of(bytes, sizeof(bytes));
    channel_progress_write(&writer, &turns.config, &turns.progress);
    assert_int_equal(writer.size, 8);
}

/* ---- in the state ---- */

static void rotating(struct channel_config *config) {
    config->decisions_per_leader = 2;
    config->checkpoint_interval = 1;
    config->batch_timeout_ms = 1000;
}

static void apply_named(struct net *net, struct channel *channel, uint64_t view) {
    uint8_t bytes[64];
    struct channel_applied applied;
    const struct channel_sink sink = log_sink(net_log(net));
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    channel_batch_begin_view(&writer, 0, view);
    assert_ok(channel_batch_end(&writer, 0));
    assert_ok(channel_apply(channel, &applied, channel_applied_seq(channel) + 1, 0, ord_writer_span(&writer), &sink));
    assert_int_equal(applied.refused, 0);
}

/* Two states that differ only in whose turn is passed over have different digests, and a tail brings all of it. */
static void state__has_whose_turn_is_passed_over(void **state) {
    (void) state;
    struct net *net = net_create(rotating);
    struct channel *channel = net_channel(net);
    struct channel *late = net_channel(net);
    struct ord_hash digest;
    struct ord_hash root;
    apply_named(net, channel, 3);
    apply_named(net, channel, 4);
    const struct channel_progress progress = *channel_progress(channel);
    assert_int_equal(progress.view, 4);
    assert_int_equal(progress.first_seq, 2);
    assert_int_equal(channel_progress_passes(&progress), ord_replica_bit(ord_leader_of_view(&net->genesis_hash, 4, 3)));
    channel_state_digest(channel, &digest);
    channel_clients_root(channel, &root);
    struct channel_progress other = progress;
    other.failed[0].passes++;
    assert_err(channel_tail_check(late, ord_span_of(NULL, 0), &root, &other, &digest), ORD_ERR_MISMATCH);
    other = progress;
    other.view++;
    assert_err(channel_tail_check(late, ord_span_of(NULL, 0), &root, &other, &digest), ORD_ERR_MISMATCH);
    assert_err(channel_tail_check(late, ord_span_of(NULL, 0), &root, &no_progress, &digest), ORD_ERR_MISMATCH);
    assert_ok(channel_tail_check(late, ord_span_of(NULL, 0), &root, &progress, &digest));
    assert_ok(channel_apply_tail(late, 2, &progress, ord_span_of(NULL, 0)));
    /* Both go on alike, and so does one that was restarted. */
    struct channel *restarted = net_channel(net);
    assert_ok(channel_restore_head(restarted, &net->genesis_header, 2, channel_progress(channel)));
    struct channel *all[] = {channel, late, restarted};
    for (size_t i = 0; i < 3; i++) {
        struct ord_hash ours;
        apply_named(net, all[i], 7);
        channel_state_digest(all[i], &ours);
        if (i == 0)
            digest = ours;
        assert_true(ord_hash_equal(&ours, &digest));
    }
    net_destroy(net);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(turn__of_a_mute_leader_is_passed_over_more_and_more_often),
    cmocka_unit_test(turn__comes_back_to_a_leader_that_serves),
    cmocka_unit_test(turn__of_a_leader_that_serves_now_and_then_is_missed_as_often),
    cmocka_unit_test(turn__is_missed_by_f_leaders_at_most),
    cmocka_unit_test(turn__that_a_timeout_brings_is_not_passed_over),
    cmocka_unit_test(turn__is_passed_over_only_right_after_a_view_on_schedule),
    cmocka_unit_test(views__that_nobody_ordered_in_count_once_a_leader),
    cmocka_unit_test(view__behind_which_a_name_is_lost_has_not_failed),
    cmocka_unit_test(name__of_an_earlier_view_is_ignored),
    cmocka_unit_test(progress__round_trip),
    cmocka_unit_test(state__has_whose_turn_is_passed_over),
};
TEST_CASES(cases);
