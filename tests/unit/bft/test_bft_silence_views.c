/*
 * A silent replica during view changes: it follows to views in which it takes no part. Row V16 in docs/adversary.md;
 * rule 26 of docs/protocol.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_asking.h"

/*
 * The replica had asked for view 1 and forgotten that. The view is installed with its own VIEW-CHANGE, which the others
 * relay. It sends no VIEW-CHANGE itself, and does not vote in the view before it may.
 */
static void silence__follows_to_a_view_that_rests_on_its_own_word(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct ord_hash digest = digest_of("a");
    const struct prepared prepared = {.seq = 1, .digest = digest};
    bench_open(&bench, 3);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    restart(&bench);
    (void) changes_keep(&changes, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0));
    const struct statement own = {.type = BFT_PREPARE, .sender = 3, .seq = 2, .batch = "b"};
    assert_ok(recall(&bench, 2, 0, 2, &own));
    assert_ok(recall(&bench, 1, 0, 2, NULL));
    change(&bench, &changes, 0, 1, 0, &prepared, 1);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    changes.of[0] = ord_span_of(changes.bytes[0], changes.of[0].size);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 0); /* f + 1 have gone; it waits */
    assert_ok(receive(&bench, 0, make_relay(&bench.config, 0, changes.of[3])));
    new_view(&bench, &changes, 1, 0, &digest, 1);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    assert_int_equal(bench.host.leader, 1);
    assert_int_equal(words_sent(&bench), 0);
    /* The view is on disk, with its own VIEW-CHANGE among those that the view rests on. */
    assert_int_equal(on_disk(&bench, BFT_TABLE_VIEW_CHANGE), 3);
    restart(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    assert_ok(recall(&bench, 2, 0, 2, NULL));
    assert_ok(recall(&bench, 1, 0, 2, NULL));
    static struct host source;
    source.durable_applied = HOST_SEQ_MAX - 1;
    host_attested(&bench.host, 4, bench.now_ms);
    host_sync_from(&bench.host, &source, 4, bench.now_ms);
    assert_true(speaks(&bench));
    bench_close(&bench);
}

/*
 * A liar shows this replica a view change far ahead, and its other view change is one of those that the others' view
 * rests on. That does not keep this replica from following.
 */
static void silence__follows_past_a_view_change_far_ahead(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    restart(&bench);
    const struct statement own = {.type = BFT_PREPARE, .sender = 2, .seq = 2, .batch = "b"};
    assert_ok(recall(&bench, 0, 0, 2, &own));
    assert_ok(recall(&bench, 1, 0, 2, NULL));
    assert_true(status_of(&bench).silent);
    assert_ok(receive(&bench, 3, make_view_change(&bench.config, 3, 1000, 0, NULL, 0)));
    struct ord_span lied = changes_keep(&changes, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0));
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    assert_false(bft_pbft.wants(bench.host.core, make_relay(&bench.config, 0, lied)));
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 0);
    assert_true(bft_pbft.wants(bench.host.core, make_relay(&bench.config, 0, lied)));
    assert_ok(receive(&bench, 0, make_relay(&bench.config, 0, lied)));
    assert_false(bft_pbft.wants(bench.host.core, make_relay(&bench.config, 0, lied)));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    assert_int_equal(words_sent(&bench), 0);
    bench_close(&bench);
}

/* A replica that was ahead when this one began to ask does not say so again, so this one must remember it. */
static void asking__remembers_who_has_gone_on(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    restart(&bench);
    change(&bench, &changes, 0, 3, 0, NULL, 0);
    change(&bench, &changes, 3, 3, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 0);
    assert_ok(recall(&bench, 0, 0, 1, NULL));
    assert_ok(recall(&bench, 1, 0, 1, NULL));
    assert_true(speaks(&bench));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 3);
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1);
    bench_close(&bench);
}

/*
 * A silent replica waits for the view that f + 1 others are in. A liar's NEW-VIEW of a later view does not keep that
 * one out.
 */
static void silence__follows_past_a_new_view_far_ahead(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    static struct changes invented;
    static struct host source;
    const struct statement own = {.type = BFT_PREPARE, .sender = 2, .seq = 2, .view = 1, .batch = "b"};
    source.durable_applied = HOST_SEQ_MAX - 1;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    restart(&bench);
    assert_ok(recall(&bench, 0, 0, 2, &own));
    assert_ok(recall(&bench, 3, 0, 2, NULL));
    assert_true(status_of(&bench).silent);
    for (ord_node_id node = 0; node < 4; node++)
        (void) changes_keep(&invented, node, make_view_change(&bench.config, node, 5, 0, NULL, 0));
    memset(&changes, 0, sizeof(changes));
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    (void) changes_keep(&changes, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0));
    new_view(&bench, &invented, 5, 0, NULL, 0);
    assert_ok(receive(&bench, 1, make_view_status(&bench.config, 1, 1000, false, 0xb))); /* the claim of one liar */
    assert_ok(receive(&bench, 0, make_view_status(&bench.config, 0, 1, false, 0xb)));
    turn_ends(&bench);
    new_view(&bench, &changes, 1, 0, NULL, 0);
    new_view(&bench, &invented, 5, 0, NULL, 0);
    assert_ok(receive(&bench, 3, changes.of[3]));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    host_attested(&bench.host, 8, bench.now_ms);
    host_sync_from(&bench.host, &source, 8, bench.now_ms);
    turn_ends(&bench);
    assert_true(speaks(&bench));
    bench_close(&bench);
}

/*
 * It refuses a NEW-VIEW that does not follow each time that it comes, but relays it to no replica. Another silent
 * replica would relay it in turn.
 */
static void silence__passes_no_refused_new_view_on(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct ord_hash wrong = digest_of("a");
    const struct statement own = {.type = BFT_PREPARE, .sender = 2, .seq = 2, .batch = "b"};
    memset(&changes, 0, sizeof(changes));
    bench_open(&bench, 2);
    restart(&bench);
    assert_ok(recall(&bench, 0, 0, 2, &own));
    assert_ok(recall(&bench, 3, 0, 2, NULL));
    for (ord_node_id node = 0; node < 4; node++)
        if (node != 2)
            change(&bench, &changes, node, 1, 0, NULL, 0);
    for (int i = 0; i < 3; i++) {
        uint64_t before = status_of(&bench).messages_refused;
        new_view(&bench, &changes, 1, 0, &wrong, 1);
        turn_ends(&bench);
        assert_int_equal(status_of(&bench).messages_refused, before + 1);
        assert_int_equal(sent(&bench, BFT_RELAY, NULL), 0);
    }
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

/*
 * A statement of its own that it does not hold proves at any time that it has forgotten. In an earlier life it had
 * asked for view 1, or opened it. Without the silence it would contradict that once the others move to view 1.
 */
static void silence__begins_with_an_own_word_about_a_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("b")};
    for (int made = 0; made < 2; made++) {
        memset(&changes, 0, sizeof(changes));
        bench_open(&bench, 1);
        bench.host.forgets = true;
        assert_true(speaks(&bench));
        struct ord_span own = changes_keep(&changes, 1, make_view_change(&bench.config, 1, 1, 0, &prepared, 1));
        if (made == 1) {
            for (ord_node_id node = 2; node < 4; node++)
                (void) changes_keep(&changes, node, make_view_change(&bench.config, node, 1, 0, NULL, 0));
            own = make_new_view(&bench.config, 1, 0, &prepared.digest, 1, changes.of);
        }
        struct ord_span relayed = make_relay(&bench.config, 2, own);
        assert_true(bft_pbft.wants(bench.host.core, relayed));
        assert_ok(receive(&bench, 2, relayed));
        assert_true(status_of(&bench).silent);
        change(&bench, &changes, 2, 1, 0, NULL, 0);
        change(&bench, &changes, 3, 1, 0, NULL, 0);
        turn_ends(&bench);
        assert_int_equal(words_sent(&bench), 0);
        bench_close(&bench);
    }
}

/*
 * It led view 1 and forgot that. Its own NEW-VIEW comes from the others, and it does not lead there while it is silent.
 */
static void silence__of_a_primary(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    open_asking(&bench, 1);
    for (ord_node_id node = 0; node < 4; node++)
        (void) changes_keep(&changes, node, make_view_change(&bench.config, node, 1, 0, NULL, 0));
    changes.of[0].size = 0;
    struct ord_span own = make_new_view(&bench.config, 1, 0, NULL, 0, changes.of);
    uint8_t bytes[TEST_VIEW_CHANGE_SIZE];
    memcpy(bytes, own.data, own.size);
    own = ord_span_of(bytes, own.size);
    assert_ok(recall(&bench, 2, 4, 4, NULL));
    assert_ok(recall(&bench, 3, 4, 4, NULL));
    assert_true(status_of(&bench).silent);
    assert_true(bft_pbft.wants(bench.host.core, own));
    for (ord_node_id node = 1; node < 4; node++)
        assert_ok(receive(&bench, 2, make_relay(&bench.config, 2, changes.of[node])));
    assert_ok(receive(&bench, 2, make_relay(&bench.config, 2, own)));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    assert_false(status_of(&bench).leading);
    assert_int_equal(bench.host.leader, ORD_NO_NODE);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    static struct host source;
    source.durable_applied = HOST_SEQ_MAX - 1;
    host_attested(&bench.host, 4, bench.now_ms);
    host_sync_from(&bench.host, &source, 4, bench.now_ms);
    assert_true(speaks(&bench));
    assert_int_equal(bench.host.leader, 1);
    host_propose(&bench.host, ord_span_of("e", 1), bench.now_ms);
    struct bft_pre_prepare message;
    assert_ok(bft_pre_prepare_decode(&message, &bench.config, sent_message(&bench, BFT_PRE_PREPARE)));
    assert_int_equal(message.seq, 5);
    bench_close(&bench);
}

/* Its NEW-VIEW may have proposed again a seq beyond its own window. It still holds that proposal. */
static void intact__primary_that_is_behind_what_it_proposed_again(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct ord_hash digest = digest_of("z");
    const struct prepared prepared = {.seq = 12, .digest = digest};
    bench_open(&bench, 1);
    time_out(&bench, &changes);
    change(&bench, &changes, 2, 1, 11, &prepared, 1);
    change(&bench, &changes, 3, 1, 11, &prepared, 1);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).stable_seq, 0); /* its window ends at seq 8 */
    assert_int_equal(sent(&bench, BFT_NEW_VIEW, NULL), 1);
    restart(&bench);
    const struct statement own = {.type = BFT_PRE_PREPARE, .sender = 1, .view = 1, .seq = 12, .batch = "z"};
    assert_ok(recall(&bench, 2, 0, 0, &own));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    bench_close(&bench);
}

/*
 * It asked for a batch as the primary of a view that it did not open, because it fell silent. In the next view it no
 * longer waits for that batch.
 */
static void silence__wants_no_batch_of_a_view_that_it_did_not_make(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    const struct statement own = {.type = BFT_PRE_PREPARE, .sender = 1, .view = 1, .seq = 2, .batch = "b"};
    bench_open(&bench, 1);
    bench.host.forgets = true;
    time_out(&bench, &changes);
    change(&bench, &changes, 2, 1, 0, &prepared, 1);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_FETCH, NULL), 1);
    assert_ok(recall(&bench, 0, 0, 2, &own));
    assert_true(status_of(&bench).silent);
    memset(&changes, 0, sizeof(changes));
    change(&bench, &changes, 0, 2, 0, NULL, 0);
    change(&bench, &changes, 2, 2, 0, &prepared, 1);
    change(&bench, &changes, 3, 2, 0, NULL, 0);
    new_view(&bench, &changes, 2, 0, &prepared.digest, 1);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 2);
    assert_false(status_of(&bench).changing);
    uint64_t before = status_of(&bench).messages_dropped;
    assert_ok(receive(&bench, 2, make_body(&bench.config, 2, 1, 1, "a")));
    assert_int_equal(status_of(&bench).messages_dropped, before + 1);
    assert_int_equal(status_of(&bench).body_bytes, 0);
    turn_ends(&bench);
    assert_int_equal(words_sent(&bench), 0);
    bench_close(&bench);
}

/* The silence lasts until a view in which it spoke is installed here, however far the others are. */
static void silence__lasts_until_its_view_is_there(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    static struct host source;
    const struct statement own = {.type = BFT_VIEW_CHANGE, .sender = 2, .view = 1, .batch = "v"};
    source.durable_applied = HOST_SEQ_MAX - 1;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    restart(&bench);
    assert_ok(recall(&bench, 1, 0, 1, &own));
    assert_ok(recall(&bench, 3, 0, 1, NULL));
    host_attested(&bench.host, 4, bench.now_ms);
    host_sync_from(&bench.host, &source, 4, bench.now_ms);
    turn_ends(&bench);
    assert_true(status_of(&bench).silent);
    for (ord_node_id node = 0; node < 4; node++)
        if (node != 2)
            change(&bench, &changes, node, 1, 4, NULL, 0);
    new_view(&bench, &changes, 1, 4, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_true(speaks(&bench));
    bench_close(&bench);
}

/*
 * It is moving to view 1 with a VIEW-CHANGE that is on disk; that others recall this one is no reason for silence. Its
 * own NEW-VIEW of that view is a reason: it proves that the disk is older. It follows to the view by that NEW-VIEW,
 * holds what the NEW-VIEW proposes again, and does not lead. A replica never convicts itself, whatever it signed in its
 * earlier lives.
 */
static void old_image__of_a_primary_that_is_going_to_its_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    static struct changes others;
    static uint8_t bytes[TEST_VIEW_CHANGE_SIZE];
    struct bft_ask ask;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    bench_open(&bench, 1);
    time_out(&bench, &changes);
    restart(&bench);
    uint64_t dropped = status_of(&bench).messages_dropped;
    assert_ok(receive(&bench, 2, make_relay(&bench.config, 2, changes.of[1])));
    struct ord_span other = make_view_change(&bench.config, 1, 1, 0, &prepared, 1);
    assert_ok(receive(&bench, 2, make_relay(&bench.config, 2, other)));
    assert_false(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 2);
    for (ord_node_id node = 2; node < 4; node++)
        (void) changes_keep(&changes, node, make_view_change(&bench.config, node, 1, 0, &prepared, 1));
    struct ord_span own = make_new_view(&bench.config, 1, 0, &prepared.digest, 1, changes.of);
    memcpy(bytes, own.data, own.size);
    own = make_relay(&bench.config, 2, ord_span_of(bytes, own.size));
    assert_ok(receive(&bench, 2, own));
    assert_true(status_of(&bench).silent);
    assert_ok(receive(&bench, 2, own));
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 3);
    for (ord_node_id node = 2; node < 4; node++)
        assert_ok(receive(&bench, node, changes.of[node]));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    assert_false(status_of(&bench).leading);
    assert_ok(receive(&bench, 2, own));
    (void) changes_keep(&others, 0, make_view_change(&bench.config, 0, 1, 0, NULL, 0));
    for (ord_node_id node = 2; node < 4; node++)
        (void) changes_keep(&others, node, changes.of[node]);
    own = make_new_view(&bench.config, 1, 0, &prepared.digest, 1, others.of);
    assert_ok(receive(&bench, 2, make_relay(&bench.config, 2, own)));
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 5);
    assert_int_equal(bench.host.evidence_count, 0);
    tick(&bench, bench.now_ms + bench.config.retransmit_ms);
    assert_ok(bft_ask_decode(&ask, &bench.config, sent_message(&bench, BFT_ASK)));
    assert_int_equal(ask.view, 1);
    assert_false(ask.changing);
    assert_int_equal(ask.words[0], 0x01);
    assert_int_equal(words_sent(&bench), 0);
    bench_close(&bench);
}

/*
 * A batch of an earlier view, below the base of the present one, is not its own proposal. It does not claim to have
 * made one.
 */
static void ask__of_a_primary_has_its_own_proposals_alone(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct bft_ask ask;
    bench_open(&bench, 1);
    prepare(&bench, 1, "a");
    time_out(&bench, &changes);
    change(&bench, &changes, 2, 1, 4, NULL, 0);
    change(&bench, &changes, 3, 1, 4, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_NEW_VIEW, NULL), 1);
    host_propose(&bench.host, ord_span_of("e", 1), bench.now_ms);
    turn_ends(&bench);
    host_crash(&bench.host);
    bench.host.asks = true;
    assert_ok(host_start(&bench.host, bench.now_ms));
    assert_ok(bft_ask_decode(&ask, &bench.config, sent_message(&bench, BFT_ASK)));
    assert_int_equal(ask.view, 1);
    assert_int_equal(ask.stable_seq, 0);
    assert_int_equal(ask.words[0], 0x10); /* bit for seq 5 */
    bench_close(&bench);
}

/* Votes of others for a batch, which arrived first, do not count as its own proposal either. */
static void old_image__of_a_primary_that_has_only_votes_for_what_it_proposed(void **state) {
    (void) state;
    struct bench bench;
    const struct statement own = {.type = BFT_PRE_PREPARE, .sender = 0, .seq = 2, .batch = "b"};
    bench_open(&bench, 0);
    bench.host.forgets = true;
    vote(&bench, BFT_PREPARE, 2, 2, "b");
    assert_false(status_of(&bench).silent);
    assert_ok(recall(&bench, 3, 0, 0, &own));
    assert_true(status_of(&bench).silent);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(silence__follows_to_a_view_that_rests_on_its_own_word),
    cmocka_unit_test(silence__follows_past_a_view_change_far_ahead),
    cmocka_unit_test(silence__follows_past_a_new_view_far_ahead),
    cmocka_unit_test(silence__passes_no_refused_new_view_on),
    cmocka_unit_test(silence__begins_with_an_own_word_about_a_view),
    cmocka_unit_test(asking__remembers_who_has_gone_on),
    cmocka_unit_test(silence__of_a_primary),
    cmocka_unit_test(silence__wants_no_batch_of_a_view_that_it_did_not_make),
    cmocka_unit_test(intact__primary_that_is_behind_what_it_proposed_again),
    cmocka_unit_test(old_image__of_a_primary_that_is_going_to_its_view),
    cmocka_unit_test(ask__of_a_primary_has_its_own_proposals_alone),
    cmocka_unit_test(old_image__of_a_primary_that_has_only_votes_for_what_it_proposed),
    cmocka_unit_test(silence__lasts_until_its_view_is_there),
};
TEST_CASES(cases);
