/*
 * The view change of one PBFT core when things go wrong: lost messages, missing batches, authors that say two things, a
 * signer that fails, large windows, floods. Rows P8, V3, V8, V10 and T9 in docs/adversary.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

static enum ord_err flush(struct bench *bench) {
    struct ord_event event = {.type = ORD_EVENT_FLUSH, .now_ms = bench->now_ms};
    host_sends_clear(&bench->host);
    return host_step(&bench->host, &event);
}

/* With a signer that fails, each step of a view change changes nothing; it works later, with the same result. */
static void signer__that_fails_delays_each_step(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 1);
    prepare(&bench, 1, "a");
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    tick(&bench, bench.now_ms + 1000);
    all_suspect(&bench);
    bench.host.keys.broken = true;
    for (int i = 0; i < 3; i++) {
        assert_err(flush(&bench), ORD_ERR_CRYPTO);
        assert_int_equal(status_of(&bench).view, 0);
        assert_int_equal(bench.host.leader, 0);
    }
    bench.host.keys.broken = false;
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_int_equal(detail_of(&bench)->view_changes, 1);
    (void) changes_keep(&changes, 1, sent_message(&bench, BFT_VIEW_CHANGE));
    change(&bench, &changes, 2, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    bench.host.keys.broken = true;
    for (int i = 0; i < 3; i++) {
        assert_err(flush(&bench), ORD_ERR_CRYPTO);
        assert_true(status_of(&bench).changing);
    }
    bench.host.keys.broken = false;
    turn_ends(&bench);
    assert_true(status_of(&bench).leading);
    struct bft_new_view view;
    assert_ok(bft_new_view_verify(&view, &bench.config, sent_message(&bench, BFT_NEW_VIEW)));
    assert_int_equal(view.count, 1);
    bench_close(&bench);

    /* A backup: the votes that follow from the NEW-VIEW. */
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench);
    memset(&changes, 0, sizeof(changes));
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    const struct ord_hash a = digest_of("a");
    new_view(&bench, &changes, 1, 0, &a, 1);
    turn_ends(&bench);
    bench.host.keys.broken = true;
    assert_err(flush(&bench), ORD_ERR_CRYPTO);
    bench.host.keys.broken = false;
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.view, 1);
    bench_close(&bench);
}

/*
 * Brings the new primary to where it has the view changes of replicas 2 and 3, and if `prepared` is given that of 0,
 * with a batch that no replica gives.
 */
static void wait_for_batch(struct bench *bench, struct changes *changes, const struct prepared *prepared) {
    bench_open(bench, 1);
    time_out(bench, changes);
    change(bench, changes, 0, 1, 0, prepared, 1);
    change(bench, changes, 2, 1, 0, NULL, 0);
    turn_ends(bench);
    assert_true(status_of(bench).changing);
}

/* Ticks for at most `ms`, while the view change is not finished. */
static void pass_time(struct bench *bench, uint64_t ms) {
    for (uint64_t end_ms = bench->now_ms + ms; bench->now_ms < end_ms && status_of(bench).changing;) {
        tick(bench, bench->now_ms + 10);
        turn_ends(bench);
    }
}

/*
 * A valid certificate whose batch no replica gives: if there is a quorum without it, the new primary leaves that
 * VIEW-CHANGE out.
 */
static void new_primary__does_without_batches_that_nobody_gives(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("withheld")};
    wait_for_batch(&bench, &changes, &prepared);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_true(status_of(&bench).changing); /* not at once */
    pass_time(&bench, 4 * bench.config.retransmit_ms - 50);
    assert_true(status_of(&bench).changing);
    pass_time(&bench, 200);
    assert_true(status_of(&bench).leading);
    turn_ends(&bench);
    bench_close(&bench);
}

/*
 * Without such a quorum it has to wait, because the batch may be decided. It asks all others in turn, and accepts the
 * batch even late.
 */
static void new_primary__never_does_with_less_than_a_quorum(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("late")};
    wait_for_batch(&bench, &changes, &prepared);
    ord_replica_set asked = 0;
    host_work(&bench.host, UINT64_MAX, bench.now_ms);
    for (int i = 0; i < 90; i++) { /* less than its own timeout */
        tick(&bench, bench.now_ms + 10);
        turn_ends(&bench);
        for (size_t s = 0; s < bench.host.send_count; s++)
            asked |= bench.host.sends[s].data[0] == BFT_FETCH ? bench.host.sends[s].to : 0;
        assert_int_equal(status_of(&bench).view, 1);
        assert_true(status_of(&bench).changing);
    }
    /* First the replicas that report or signed the certificate, then all others. */
    assert_int_equal(asked, 0xd);
    assert_ok(receive(&bench, 0, make_body(&bench.config, 0, 1, 1, "late")));
    turn_ends(&bench);
    assert_true(status_of(&bench).leading);
    struct bft_new_view view;
    assert_ok(bft_new_view_verify(&view, &bench.config, sent_message(&bench, BFT_NEW_VIEW)));
    assert_int_equal(view.count, 1);
    bench_close(&bench);
}

/* The replicas that are asked for a batch within `ms`, in that order; `digits` gets one decimal digit for each. */
static void ask_for(struct bench *bench, uint64_t ms, uint64_t *digits) {
    *digits = 0;
    for (uint64_t end_ms = bench->now_ms + ms; bench->now_ms < end_ms;) {
        for (size_t i = 0; i < bench->host.send_count; i++)
            for (ord_node_id node = 0; node < 4 && bench->host.sends[i].data[0] == BFT_FETCH; node++)
                if (bench->host.sends[i].to == ord_replica_bit(node))
                    *digits = *digits * 10 + node;
        tick(bench, bench->now_ms + 10);
        turn_ends(bench);
    }
}

/*
 * Each honest replica that reports or signed the certificate of a batch has the batch. They are asked in turn, so a
 * liar among them delays the view by one interval, also where it alone reports the certificate.
 */
static void new_primary__asks_all_that_have_the_batch(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    /* Replica 2 led view 2; replicas 0 and 1 signed. Replica 3 has to be asked where it reports the certificate. */
    const struct prepared prepared = {.seq = 1, .view = 2, .digest = digest_of("a")};
    for (int reported = 0; reported < 2; reported++) {
        uint64_t digits;
        memset(&changes, 0, sizeof(changes));
        bench_open(&bench, 1);
        change(&bench, &changes, 0, 5, 0, &prepared, 1);
        change(&bench, &changes, 3, 5, 0, &prepared, (uint32_t) reported);
        turn_ends(&bench);
        assert_int_equal(status_of(&bench).view, 5);
        turn_ends(&bench);
        ask_for(&bench, 2 * (uint64_t) bench.config.retransmit_ms - 50, &digits);
        assert_int_equal(digits, reported == 0 ? 202 : 230);
        bench_close(&bench);
    }
}

/* Replicas 0, 2 and 3 are in view 5, which the same replica leads. Replica 0 has the certificate, if one is given. */
static void go_on_to_view_5(struct bench *bench, struct changes *changes, const struct prepared *prepared) {
    memset(changes, 0, sizeof(*changes));
    change(bench, changes, 0, 5, 0, prepared, prepared == NULL ? 0 : 1);
    change(bench, changes, 2, 5, 0, NULL, 0);
    change(bench, changes, 3, 5, 0, NULL, 0);
    turn_ends(bench);
    assert_int_equal(status_of(bench).view, 5);
    assert_true(status_of(bench).changing);
    turn_ends(bench);
}

/* Another view is another chance: a replica whose VIEW-CHANGE was left out once is counted again. */
static void new_primary__distrusts_for_one_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("withheld")};
    struct bft_new_view view;
    wait_for_batch(&bench, &changes, &prepared);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    pass_time(&bench, 10 * (uint64_t) bench.config.retransmit_ms);
    assert_true(status_of(&bench).leading);
    turn_ends(&bench);
    go_on_to_view_5(&bench, &changes, NULL);
    assert_true(status_of(&bench).leading);
    assert_ok(bft_new_view_verify(&view, &bench.config, sent_message(&bench, BFT_NEW_VIEW)));
    assert_int_equal(view.view, 5);
    assert_int_equal(view.change_count, 4);
    bench_close(&bench);
}

/* How long a batch is asked for counts from the view in which it is wanted. */
static void new_primary__asks_in_each_view_for_its_time(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("late")};
    wait_for_batch(&bench, &changes, &prepared);
    pass_time(&bench, 4 * (uint64_t) bench.config.retransmit_ms - 20); /* in view 1 it would soon give up */
    assert_true(status_of(&bench).changing);
    go_on_to_view_5(&bench, &changes, &prepared);
    assert_true(status_of(&bench).changing);
    assert_int_equal(sent(&bench, BFT_FETCH, NULL), 1);
    pass_time(&bench, 3 * (uint64_t) bench.config.retransmit_ms);
    assert_true(status_of(&bench).changing);
    assert_ok(receive(&bench, 0, make_body(&bench.config, 0, 5, 1, "late")));
    turn_ends(&bench);
    assert_true(status_of(&bench).leading);
    bench_close(&bench);
}

/* What a state transfer has passed is not wanted any more, and the view waits for nothing else. */
static void new_primary__goes_on_when_a_transfer_passes_what_it_wants(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    static struct changes changes;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("withheld")};
    wait_for_batch(&bench, &changes, &prepared);
    turn_ends(&bench); /* nothing more is to be looked at until time passes */
    turn_ends(&bench);
    bench_open(&source, 3);
    source.host.durable_applied = 100;
    host_attested(&bench.host, 4, bench.now_ms);
    host_sync_from(&bench.host, &source.host, 4, bench.now_ms);
    bench.now_ms += bench.config.retransmit_ms;
    turn_ends(&bench);
    turn_ends(&bench);
    assert_true(status_of(&bench).leading);
    bench_close(&bench);
    bench_close(&source);
}

/*
 * V10: a replica that has the view sends it to one that missed it, but not too often. A replica that is changing sends
 * its own VIEW-CHANGE.
 */
static void status_message__of_an_earlier_view_is_answered_with_news(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 3, make_view_status(&bench.config, 3, 1, true, 1u << 2))); /* it has our VIEW-CHANGE */
    assert_int_equal(bench.host.send_count, 0);
    bench.now_ms += 200;
    assert_ok(receive(&bench, 3, make_view_status(&bench.config, 3, 0, false, 0)));
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1);
    assert_int_equal(bench.host.sends[0].to, 1u << 3);
    assert_ok(receive(&bench, 3, make_view_status(&bench.config, 3, 0, false, 0))); /* too soon */
    assert_int_equal(bench.host.send_count, 1);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    host_sends_clear(&bench.host);
    bench.now_ms += 200;
    assert_ok(receive(&bench, 0, make_view_status(&bench.config, 0, 1, true, 1u << 3)));
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1); /* its own; the next line checks for that of 1 */
    assert_int_equal(sent(&bench, BFT_RELAY, NULL), 2);
    for (size_t i = 0; i < bench.host.send_count; i++) {
        struct ord_verified verified;
        struct ord_core_config config = test_config(0);
        assert_int_equal(bench.host.sends[i].to, 1);
        assert_ok(bft_pbft.authenticate(&verified, &config, 2,
                                        ord_span_of(bench.host.sends[i].data, bench.host.sends[i].size)));
    }
    bench.now_ms += 100;
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 0, make_view_status(&bench.config, 0, 0, false, 0)));
    assert_int_equal(bench.host.send_count, 0); /* too soon */
    bench_close(&bench);
}

/* Batches are given by digest, to one peer at a time, as many as fit into one answer. */
static void fetch__is_answered_with_what_has_the_digest(void **state) {
    (void) state;
    struct bench bench;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    pre_prepare(&bench, 2, "b");
    turn_ends(&bench);
    host_sends_clear(&bench.host);
    struct bft_vote_list list = {.type = BFT_FETCH, .view = 9, .sender = 3, .count = 3};
    list.votes[0] = (struct bft_vote) {.seq = 1, .digest = digest_of("other")};
    list.votes[1] = (struct bft_vote) {.seq = 2, .digest = digest_of("b")};
    list.votes[2] = (struct bft_vote) {.seq = 100, .digest = digest_of("c")};
    assert_ok(receive(&bench, 3, make_list(&bench.config, &list)));
    assert_int_equal(bench.host.send_count, 1);
    struct bft_body_message body;
    assert_ok(bft_body_decode(&body, &bench.config, sent_message(&bench, BFT_BODY)));
    assert_int_equal(body.seq, 2);
    assert_true(ord_span_equal(body.body, ord_span_of("b", 1)));
    uint64_t dropped = status_of(&bench).messages_dropped;
    assert_ok(receive(&bench, 3, make_list(&bench.config, &list))); /* too soon */
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 1);
    list.sender = 1;
    assert_ok(receive(&bench, 1, make_list(&bench.config, &list)));
    assert_int_equal(bench.host.send_count, 2);
    bench_close(&bench);
}

/*
 * A window of two hundred prepared seqs goes through a view change. No bound of a step is exceeded, and nothing is
 * lost.
 */
static void view_change__of_a_whole_window_fits(void **state) {
    (void) state;
    struct bench bench;
    enum { WINDOW = 200 };
    static struct ord_hash digests[WINDOW];
    struct ord_span of[4] = {0};
    bench_open(&bench, 2);
    bench_close(&bench);
    bench.config.window = WINDOW;
    bench.config.checkpoint_interval = 50;
    bench.config.body_bytes_max = 16384;
    host_init(&bench.host, &bench.config);
    assert_ok(host_start(&bench.host, bench.now_ms));
    for (uint64_t seq = 1; seq <= WINDOW; seq++) {
        accept(&bench, seq, "x");
        vote(&bench, BFT_PREPARE, 3, seq, "x");
        digests[seq - 1] = digest_of("x");
    }
    turn_ends(&bench);
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    tick(&bench, bench.now_ms + 1000);
    all_suspect(&bench);
    turn_ends(&bench);
    struct ord_span sent_bytes = sent_message(&bench, BFT_VIEW_CHANGE);
    assert_true(sent_bytes.size <= bft_view_change_size_max(&bench.config));
    uint8_t *own = malloc(sent_bytes.size);
    assert_non_null(own);
    memcpy(own, sent_bytes.data, sent_bytes.size);
    static struct changes changes;
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    of[1] = changes.of[1];
    of[2] = ord_span_of(own, sent_bytes.size);
    of[3] = changes.of[3];
    struct ord_span view = make_new_view(&bench.config, 1, 0, digests, WINDOW, of);
    assert_true(view.size <= bft_new_view_size_max(&bench.config));
    assert_ok(receive(&bench, 1, view));
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 4);
    for (uint64_t seq = WINDOW; seq >= 1; seq--) {
        vote_in(&bench, BFT_PREPARE, 3, 1, seq, &digests[0]);
        vote_in(&bench, BFT_COMMIT, 3, 1, seq, &digests[0]);
        vote_in(&bench, BFT_COMMIT, 1, 1, seq, &digests[0]);
    }
    assert_int_equal(bench.host.applied, WINDOW);
    turn_ends(&bench);
    host_crash(&bench.host);
    assert_ok(host_start(&bench.host, bench.now_ms)); /* it accepts all of its records */
    assert_int_equal(status_of(&bench).view, 1);
    free(own);
    bench_close(&bench);
}

/*
 * A NEW-VIEW signs its proposals in lists. What is prepared again in that view has the proof of its own list, also
 * beyond the first one, so that the next VIEW-CHANGE convinces the others.
 */
static void view_change__after_one_of_several_lists_convinces(void **state) {
    (void) state;
    struct bench bench;
    enum { COUNT = 2 * BFT_LIST_MAX + 3 };
    static struct ord_hash digests[COUNT];
    static struct changes changes;
    struct ord_span of[4] = {0};
    bench_open(&bench, 2);
    bench_close(&bench);
    bench.config.window = 256;
    bench.config.checkpoint_interval = 128;
    bench.config.body_bytes_max = 16384;
    host_init(&bench.host, &bench.config);
    assert_ok(host_start(&bench.host, bench.now_ms));
    for (uint64_t seq = 1; seq <= COUNT; seq++) {
        char batch[8];
        (void) snprintf(batch, sizeof(batch), "b%u", (unsigned) seq);
        accept(&bench, seq, batch);
        vote(&bench, BFT_PREPARE, 3, seq, batch);
        digests[seq - 1] = digest_of(batch);
    }
    turn_ends(&bench);
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    tick(&bench, bench.now_ms + 1000);
    all_suspect(&bench);
    turn_ends(&bench);
    struct ord_span own = sent_message(&bench, BFT_VIEW_CHANGE);
    of[2] = ord_span_of(memcpy(malloc(own.size), own.data, own.size), own.size);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    of[1] = changes.of[1];
    of[3] = changes.of[3];
    assert_ok(receive(&bench, 1, make_new_view(&bench.config, 1, 0, digests, COUNT, of)));
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    for (uint64_t seq = 1; seq <= COUNT; seq++)
        vote_in(&bench, BFT_PREPARE, 3, 1, seq, &digests[seq - 1]);
    turn_ends(&bench);
    tick(&bench, bench.now_ms + 1000);
    all_suspect(&bench);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 2);
    struct ord_core_config other = bench.config;
    struct ord_verified verified;
    other.self = 0;
    own = sent_message(&bench, BFT_VIEW_CHANGE);
    assert_ok(bft_pbft.authenticate(&verified, &other, 2, own));
    struct bft_view_change told;
    struct bft_statement statement;
    struct ord_span certificate;
    assert_ok(bft_view_change_decode(&told, &bench.config, own));
    assert_int_equal(told.certificate_count, COUNT);
    while (bft_view_change_next(&statement, &certificate, &told.certificates, &bench.config)) {
        assert_int_equal(statement.view, 1);
        assert_true(ord_hash_equal(&statement.digest, &digests[statement.seq - 1]));
    }
    free((void *) (uintptr_t) of[2].data);
    bench_close(&bench);
}

/* V3, T9: one VIEW-CHANGE and one NEW-VIEW of each replica are kept. A flood costs one copy for each message. */
static void flood__of_view_messages_takes_no_memory(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    size_t size = bft_pbft.memory_size(&bench.config);
    for (ord_node_id node = 0; node < 4; node++)
        (void) changes_keep(&changes, node, make_view_change(&bench.config, node, 1, 0, NULL, 0));
    for (uint64_t view = 1; view < 400; view += 4) { /* replica 1 leads all of these views */
        change(&bench, &changes, 1, view, 0, NULL, 0);
        new_view(&bench, &changes, view, 0, NULL, 0);
        turn_ends(&bench);
        assert_int_equal(bench.host.send_count, 0);
    }
    assert_int_equal(status_of(&bench).view, 0);
    assert_int_equal(bft_pbft.memory_size(&bench.config), size);
    bench_close(&bench);
}

/* To make room, a new view evicts batches of earlier views that no certificate vouches for, and no others. */
static void bodies__that_are_wanted_take_the_room_of_those_that_are_not(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct large large;
    large_fill(&large);
    bench_open_tight(&bench, 2, 8);
    /* As many as there is room for, and none is certified. */
    for (uint64_t seq = 1; seq <= 4; seq++)
        accept(&bench, seq, large.batches[7]);
    turn_ends(&bench);
    time_out(&bench, &changes);
    assert_int_equal(status_of(&bench).body_bytes, 256);
    change(&bench, &changes, 1, 1, 0, large.prepared, 8);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, large.digests, 8);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    for (uint64_t seq = 1; seq <= 8; seq++)
        assert_ok(receive(&bench, 1, make_body(&bench.config, 1, 1, seq, large.batches[seq - 1])));
    assert_int_equal(status_of(&bench).body_bytes, 512);
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.count, 8);
    bench_close(&bench);
}

/*
 * A batch for which this replica has a certificate is never evicted, whatever a view change needs, because others may
 * need it from here.
 */
static void bodies__that_are_certified_stay(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct large large;
    large_fill(&large);
    bench_open_tight(&bench, 1, 16);
    for (uint64_t seq = 13; seq <= 15; seq++)
        accept(&bench, seq, large.batches[0]);
    prepare(&bench, 16, large.batches[1]);
    time_out(&bench, &changes);
    change(&bench, &changes, 2, 1, 0, large.prepared, 8);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    for (uint64_t seq = 1; seq <= 8; seq++)
        assert_ok(receive(&bench, 2, make_body(&bench.config, 2, 1, seq, large.batches[seq - 1])));
    assert_int_equal(status_of(&bench).body_bytes, 512); /* seven of them, and the certified one */
    host_sends_clear(&bench.host);
    struct bft_vote_list list = {.type = BFT_FETCH, .sender = 3, .count = 8};
    for (uint32_t i = 0; i < 7; i++)
        list.votes[i] = (struct bft_vote) {.seq = i + 1, .digest = large.prepared[i].digest};
    list.votes[7] = (struct bft_vote) {.seq = 16, .digest = large.prepared[1].digest};
    assert_ok(receive(&bench, 3, make_list(&bench.config, &list)));
    assert_int_equal(sent(&bench, BFT_BODY, NULL), 8);
    bench_close(&bench);
}

/*
 * An author tells one thing to the new primary and another to this replica, about the same view or a later one. That
 * does not keep this replica from the view that the others have, because the NEW-VIEW names its view changes by digest.
 */
static void view_change__that_its_author_contradicts_may_still_be_rested_on(void **state) {
    (void) state;
    static struct changes changes;
    for (uint64_t other_view = 1; other_view <= 6; other_view += 5) {
        struct bench bench;
        bench_open(&bench, 2);
        time_out(&bench, &changes);
        change(&bench, &changes, 1, 1, 0, NULL, 0);
        const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
        change(&bench, &changes, 3, other_view, 0, &prepared, 1); /* to us */
        turn_ends(&bench);
        /* This one went to the primary. */
        (void) changes_keep(&changes, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0));
        new_view(&bench, &changes, 1, 0, NULL, 0);
        assert_ok(receive(&bench, 1, make_relay(&bench.config, 1, changes.of[3])));
        turn_ends(&bench);
        turn_ends(&bench);
        assert_false(status_of(&bench).changing);
        assert_int_equal(status_of(&bench).view, 1);
        bench_close(&bench);
    }
}

/* The same, when what the NEW-VIEW names comes last, and nothing else comes after it. */
static void new_view__is_installed_with_the_last_of_what_it_names(void **state) {
    (void) state;
    static struct changes changes;
    struct bench bench;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    change(&bench, &changes, 3, 1, 0, &prepared, 1); /* to us */
    (void) changes_keep(&changes, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0));
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    turn_ends(&bench);
    assert_true(status_of(&bench).changing);
    assert_ok(receive(&bench, 1, make_relay(&bench.config, 1, changes.of[3])));
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

/* The author of a VIEW-CHANGE that the NEW-VIEW names goes on to a further view before the turn ends. */
static void new_view__is_installed_although_an_author_goes_on(void **state) {
    (void) state;
    static struct changes changes;
    struct bench bench;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    (void) changes_keep(&changes, 1, make_view_change(&bench.config, 1, 1, 0, NULL, 0));
    new_view(&bench, &changes, 1, 0, NULL, 0);
    assert_ok(receive(&bench, 1, changes.of[1]));
    assert_ok(receive(&bench, 3, make_view_change(&bench.config, 3, 2, 0, NULL, 0)));
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

/*
 * Others do not send us what our STATUS shows. If the NEW-VIEW names a VIEW-CHANGE of an author, its bit is set only
 * when that very one is here. Another one of the same author, which no NEW-VIEW names, is evidence and is not kept.
 */
static void status__shows_only_the_view_changes_that_are_named(void **state) {
    (void) state;
    struct bench bench;
    struct bft_status status;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    change(&bench, &changes, 3, 1, 0, &prepared, 1);
    (void) changes_keep(&changes, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0));
    (void) changes_keep(&changes, 1, make_view_change(&bench.config, 1, 1, 0, NULL, 0));
    for (int named = 0; named < 2; named++) {
        bench.now_ms += bench.config.retransmit_ms;
        host_sends_clear(&bench.host);
        tick(&bench, bench.now_ms);
        assert_ok(bft_status_decode(&status, &bench.config, sent_message(&bench, BFT_STATUS)));
        assert_int_equal(status.mood, BFT_CHANGING);
        assert_int_equal(status.changes, named == 0 ? 0xc : 0x4);
        if (named == 0)
            new_view(&bench, &changes, 1, 0, NULL, 0);
        turn_ends(&bench);
    }
    const struct prepared other = {.seq = 2, .digest = digest_of("b")};
    assert_ok(receive(&bench, 3, make_view_change(&bench.config, 3, 1, 0, &other, 1)));
    assert_int_equal(bench.host.culprits, ord_replica_bit(3));
    assert_ok(receive(&bench, 0, make_relay(&bench.config, 0, changes.of[3])));
    bench.now_ms += bench.config.retransmit_ms;
    host_sends_clear(&bench.host);
    tick(&bench, bench.now_ms);
    assert_ok(bft_status_decode(&status, &bench.config, sent_message(&bench, BFT_STATUS)));
    assert_int_equal(status.changes, 0xc);
    assert_ok(receive(&bench, 1, changes.of[1]));
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(signer__that_fails_delays_each_step),
    cmocka_unit_test(new_primary__does_without_batches_that_nobody_gives),
    cmocka_unit_test(new_primary__never_does_with_less_than_a_quorum),
    cmocka_unit_test(new_primary__asks_all_that_have_the_batch),
    cmocka_unit_test(new_primary__distrusts_for_one_view),
    cmocka_unit_test(new_primary__asks_in_each_view_for_its_time),
    cmocka_unit_test(new_primary__goes_on_when_a_transfer_passes_what_it_wants),
    cmocka_unit_test(status_message__of_an_earlier_view_is_answered_with_news),
    cmocka_unit_test(fetch__is_answered_with_what_has_the_digest),
    cmocka_unit_test(view_change__of_a_whole_window_fits),
    cmocka_unit_test(view_change__after_one_of_several_lists_convinces),
    cmocka_unit_test(flood__of_view_messages_takes_no_memory),
    cmocka_unit_test(view_change__that_its_author_contradicts_may_still_be_rested_on),
    cmocka_unit_test(new_view__is_installed_with_the_last_of_what_it_names),
    cmocka_unit_test(new_view__is_installed_although_an_author_goes_on),
    cmocka_unit_test(status__shows_only_the_view_changes_that_are_named),
    cmocka_unit_test(bodies__that_are_wanted_take_the_room_of_those_that_are_not),
    cmocka_unit_test(bodies__that_are_certified_stay),
};
TEST_CASES(cases);
