/*
 * NEW-VIEW at one PBFT core: what a new primary makes of a quorum's view changes, and what a backup accepts. Castro and
 * Liskov, OSDI'99, section 4.4. Rows P6, P11, V2, V6, V7, V8 and V10 in docs/adversary.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

static const struct ord_hash *null_digest(void) {
    static struct ord_hash digest;
    digest = digest_of("");
    return &digest;
}

/* V8: two NEW-VIEWs for one view. */
static void new_views__that_contradict_are_evidence(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    changes.of[0] = ord_span_of(NULL, 0); /* this one would be right too, but it is another */
    new_view(&bench, &changes, 1, 0, NULL, 0);
    assert_int_equal(bench.host.evidence_count, 1);
    assert_int_equal(bench.host.culprits, ord_replica_bit(1));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 2);
    bench_close(&bench);
}

/* V2: the future primary of a view far ahead may contradict itself. That is evidence, and moves no replica. */
static void new_views__of_views_ahead_move_nobody(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const uint64_t far = BFT_SEQ_MAX / 4 * 4 - 3; /* replica 1 leads it */
    bench_open(&bench, 2);
    for (ord_node_id node = 0; node < 4; node++)
        (void) changes_keep(&changes, node, make_view_change(&bench.config, node, far, 0, NULL, 0));
    new_view(&bench, &changes, far, 0, NULL, 0);
    changes.of[0] = ord_span_of(NULL, 0);
    new_view(&bench, &changes, far, 0, NULL, 0);
    assert_int_equal(bench.host.evidence_count, 1);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 0);
    assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 0);
    bench_close(&bench);
}

/* The NEW-VIEW of each primary's latest view is kept. One of an earlier view is dropped. */
static void new_view__of_an_earlier_view_than_its_sender_has_led_is_dropped(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    static struct changes later;
    bench_open(&bench, 2);
    for (ord_node_id node = 0; node < 4; node++) {
        if (node == 2)
            continue;
        (void) changes_keep(&changes, node, make_view_change(&bench.config, node, 1, 0, NULL, 0));
        (void) changes_keep(&later, node, make_view_change(&bench.config, node, 5, 0, NULL, 0));
    }
    new_view(&bench, &later, 5, 0, NULL, 0);
    uint64_t dropped = status_of(&bench).messages_dropped;
    new_view(&bench, &changes, 1, 0, NULL, 0);
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 1);
    for (ord_node_id node = 0; node < 4; node++)
        if (node != 2)
            assert_ok(receive(&bench, node, later.of[node]));
    turn_ends(&bench);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 5);
    assert_false(status_of(&bench).changing);
    bench_close(&bench);
}

/*
 * The new primary chooses the base, what is proposed again, and a null batch for a seq that no replica prepared. V6,
 * V7.
 */
static void new_primary__proposes_again_what_a_quorum_tells(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 1);
    decide(&bench, 1, "a");
    prepare(&bench, 2, "b");
    accept(&bench, 3, "c");
    prepare(&bench, 4, "d");
    accept(&bench, 5, "e");
    time_out(&bench, &changes);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_true(status_of(&bench).changing); /* two view changes are too few */
    change(&bench, &changes, 2, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_true(status_of(&bench).leading);
    assert_int_equal(bench.host.leader, 1);
    struct bft_new_view view;
    assert_ok(bft_new_view_verify(&view, &bench.config, sent_message(&bench, BFT_NEW_VIEW)));
    assert_int_equal(view.base_seq, 0);
    assert_int_equal(view.count, 4);
    static const char *const expected[] = {"a", "b", "", "d"};
    for (uint64_t seq = 1; seq <= 4; seq++) {
        struct ord_hash digest;
        const struct ord_hash wanted = digest_of(expected[seq - 1]);
        bft_new_view_entry(&digest, &view, seq);
        assert_true(ord_hash_equal(&digest, &wanted));
    }
    assert_int_equal(view.change_count, 3);
    assert_int_equal(status_of(&bench).proposed_seq, 4);
    assert_int_equal(status_of(&bench).body_bytes, 3); /* the batches "c" and "e" are gone */
    host_propose(&bench.host, ord_span_of("f", 1), bench.now_ms);
    struct bft_pre_prepare message;
    assert_ok(bft_pre_prepare_decode(&message, &bench.config, sent_message(&bench, BFT_PRE_PREPARE)));
    assert_int_equal(message.seq, 5);
    assert_int_equal(message.view, 1);
    turn_ends(&bench);
    const struct ord_hash *digests[] = {NULL, NULL, null_digest()};
    const struct ord_hash b = digest_of("b");
    digests[1] = &b;
    for (uint64_t seq = 2; seq <= 3; seq++)
        for (ord_node_id node = 2; node < 4; node++)
            vote_in(&bench, BFT_PREPARE, node, 1, seq, digests[seq - 1]);
    for (uint64_t seq = 2; seq <= 3; seq++)
        for (ord_node_id node = 2; node < 4; node++)
            vote_in(&bench, BFT_COMMIT, node, 1, seq, digests[seq - 1]);
    assert_int_equal(bench.host.applied, 3); /* seq 1 was delivered before, and is not delivered again */
    assert_int_equal(bench.host.sizes[3], 0);
    bench_close(&bench);
}

/*
 * V6: its own certificates count like the others'. V7: of the certificates of two views, the later one's batch is
 * chosen, and fetched.
 */
static void new_primary__takes_the_certificate_of_the_highest_view(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 1);
    prepare(&bench, 1, "a");
    const struct prepared later = {.seq = 1, .view = 2, .digest = digest_of("b")};
    change(&bench, &changes, 2, 5, 0, &later, 1);
    change(&bench, &changes, 3, 5, 0, NULL, 0);
    turn_ends(&bench); /* it joins the view change */
    turn_ends(&bench); /* then it asks for the batch that it lacks */
    assert_true(status_of(&bench).changing);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_FETCH, &list), 1);
    assert_int_equal(list.count, 1);
    assert_true(ord_hash_equal(&list.votes[0].digest, &later.digest));
    assert_true(bft_pbft.wants(bench.host.core, make_body(&bench.config, 2, 5, 1, "c"))); /* it takes a hash to tell */
    assert_false(bft_pbft.wants(bench.host.core, make_body(&bench.config, 2, 5, 2, "b")));
    uint64_t dropped = status_of(&bench).messages_dropped;
    assert_ok(receive(&bench, 2, make_body(&bench.config, 2, 5, 1, "c")));
    assert_ok(receive(&bench, 2, make_body(&bench.config, 2, 5, 2, "b")));
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 2);
    assert_ok(receive(&bench, 3, make_body(&bench.config, 3, 5, 1, "b"))); /* any replica may give it */
    assert_false(bft_pbft.wants(bench.host.core, make_body(&bench.config, 2, 5, 1, "b")));
    turn_ends(&bench);
    assert_true(status_of(&bench).leading);
    struct bft_new_view view;
    struct ord_hash digest;
    assert_ok(bft_new_view_verify(&view, &bench.config, sent_message(&bench, BFT_NEW_VIEW)));
    bft_new_view_entry(&digest, &view, 1);
    assert_true(ord_hash_equal(&digest, &later.digest));
    /* The batch and the certificate that vouches for it are on disk, so a later VIEW-CHANGE lists both. */
    host_crash(&bench.host);
    assert_ok(host_start(&bench.host, bench.now_ms));
    assert_int_equal(status_of(&bench).view, 5);
    turn_ends(&bench);
    time_out(&bench, &changes);
    struct bft_view_change change;
    struct bft_statement statement;
    struct ord_span certificate;
    assert_ok(bft_view_change_verify(&change, &bench.config, changes.of[1]));
    assert_true(bft_view_change_next(&statement, &certificate, &change.certificates, &bench.config));
    assert_int_equal(statement.view, 2);
    assert_true(ord_hash_equal(&statement.digest, &later.digest));
    bench_close(&bench);
}

/*
 * The stable checkpoint is above this replica's seqs: the view starts at that base, and everything below comes by state
 * transfer.
 */
static void new_view__begins_at_the_highest_checkpoint(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    time_out(&bench, &changes);
    const struct prepared prepared[] = {{.seq = 6, .digest = digest_of("f")}, {.seq = 7, .digest = digest_of("g")}};
    change(&bench, &changes, 1, 1, 4, prepared, 1);
    change(&bench, &changes, 3, 1, 6, &prepared[1], 1);
    const struct ord_hash g = digest_of("g");
    new_view(&bench, &changes, 1, 6, &g, 1);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_int_equal(status_of(&bench).proposed_seq, 7);
    tick(&bench, bench.now_ms + 200); /* the others may still bring us there, but they do not */
    assert_int_equal(bench.host.sync_seq, 6);
    struct bench source;
    bench_open(&source, 3);
    source.host.durable_applied = 6;
    host_sync_from(&bench.host, &source.host, 6, bench.now_ms);
    assert_int_equal(status_of(&bench).stable_seq, 6);
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_FETCH, &list), 1);
    assert_int_equal(list.votes[0].seq, 7);
    bench_close(&bench);
    bench_close(&source);
}

/* A batch that is proposed again beyond our window is taken up when the window gets there. */
static void new_view__reaches_beyond_the_window_of_who_is_behind(void **state) {
    (void) state;
    struct bench bench;
    struct bench source;
    static struct changes changes;
    bench_open(&bench, 2);
    bench_open(&source, 3);
    source.host.durable_applied = 8;
    time_out(&bench, &changes);
    const struct prepared prepared = {.seq = 10, .digest = digest_of("b")};
    const struct ord_hash digests[] = {*null_digest(), prepared.digest};
    change(&bench, &changes, 1, 1, 8, &prepared, 1);
    change(&bench, &changes, 3, 1, 4, NULL, 0);
    new_view(&bench, &changes, 1, 8, digests, 2);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL) + sent(&bench, BFT_FETCH, NULL), 0);
    host_sync_from(&bench.host, &source.host, 8, bench.now_ms);
    turn_ends(&bench);
    struct bft_vote_list list;
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.votes[0].seq, 9);
    assert_int_equal(sent(&bench, BFT_FETCH, &list), 1);
    assert_int_equal(list.votes[0].seq, 10);
    bench_close(&bench);
    bench_close(&source);
}

/*
 * V8: every backup computes the NEW-VIEW itself. One that does not follow is refused, and the replica moves on to the
 * next view.
 */
static void new_view__that_does_not_follow_is_refused(void **state) {
    (void) state;
    static struct changes changes;
    const struct prepared prepared = {.seq = 2, .digest = digest_of("b")};
    const struct ord_hash right[3] = {*null_digest(), digest_of("b"), digest_of("c")};
    for (int wrong = 0; wrong < 6; wrong++) {
        struct bench bench;
        struct ord_hash digests[3] = {right[0], right[1], right[2]};
        memset(&changes, 0, sizeof(changes));
        bench_open(&bench, 2);
        time_out(&bench, &changes);
        change(&bench, &changes, 1, 1, 0, NULL, 0);
        change(&bench, &changes, 3, 1, 0, &prepared, 1);
        uint64_t base_seq = wrong == 1;
        uint32_t count = wrong == 2 ? 1 : wrong == 3 ? 3 : 2;
        if (wrong == 4)
            digests[1] = *null_digest();
        if (wrong == 5)
            digests[0] = digest_of("a");
        new_view(&bench, &changes, 1, base_seq, digests, wrong == 1 ? 1 : count);
        turn_ends(&bench);
        if (wrong == 0) {
            assert_false(status_of(&bench).changing);
            assert_int_equal(status_of(&bench).view, 1);
        } else {
            assert_int_equal(status_of(&bench).messages_refused, 1);
            assert_true(status_of(&bench).changing);
            turn_ends(&bench);
            assert_int_equal(status_of(&bench).view, 2);
            assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), 1);
        }
        bench_close(&bench);
    }
}

/* V10: a NEW-VIEW waits for the view changes that it names. They may come in any order and from any replica. */
static void new_view__waits_for_the_view_changes_that_it_names(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    (void) changes_keep(&changes, 1, make_view_change(&bench.config, 1, 1, 0, NULL, 0));
    (void) changes_keep(&changes, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0));
    struct ord_span view = make_new_view(&bench.config, 1, 0, NULL, 0, changes.of);
    assert_ok(receive(&bench, 0, make_relay(&bench.config, 0, view)));
    turn_ends(&bench);
    assert_true(status_of(&bench).changing);
    assert_ok(receive(&bench, 0, make_relay(&bench.config, 0, changes.of[1])));
    turn_ends(&bench);
    assert_true(status_of(&bench).changing);
    assert_ok(receive(&bench, 0, make_relay(&bench.config, 0, changes.of[3])));
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_int_equal(on_disk(&bench, BFT_TABLE_NEW_VIEW), 1);
    assert_int_equal(on_disk(&bench, BFT_TABLE_VIEW_CHANGE), 3);
    bench_close(&bench);
}

/* How many STATUS the last turn sent to one replica alone; `status` gets the last of them. */
static size_t asked(struct bench *bench, ord_node_id *of, struct bft_status *status) {
    size_t count = 0;
    for (size_t i = 0; i < bench->host.send_count; i++) {
        const struct host_message *message = &bench->host.sends[i];
        if (message->data[0] != BFT_STATUS || ord_replica_count(message->to) != 1)
            continue;
        for (ord_node_id node = 0; node < 4; node++)
            *of = message->to == ord_replica_bit(node) ? node : *of;
        assert_ok(bft_status_decode(status, &bench->config, ord_span_of(message->data, message->size)));
        count++;
    }
    return count;
}

/*
 * V10: a liar sends its VIEW-CHANGE to the new primary alone. The others ask the primary at once, and it gives them
 * what they lack at once, so such a view costs a round trip and no interval of repeats.
 */
static void new_view__that_names_what_is_not_here_makes_a_backup_ask(void **state) {
    (void) state;
    struct bench backup;
    struct bench primary;
    static struct changes changes;
    struct bft_status status;
    ord_node_id of = ORD_NO_NODE;
    memset(&changes, 0, sizeof(changes));
    bench_open(&primary, 1);
    bench_open(&backup, 2);
    /* The primary has just given this peer news of the view before. */
    primary.host.core->peers[2].view_ms = UINT64_MAX;
    time_out(&primary, &changes);
    time_out(&backup, &changes);
    assert_ok(receive(&primary, 2, changes.of[2]));
    assert_ok(receive(&backup, 1, changes.of[1]));
    change(&primary, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&primary);
    assert_ok(receive(&backup, 1, sent_message(&primary, BFT_NEW_VIEW)));
    turn_ends(&backup);
    assert_true(status_of(&backup).changing);
    assert_int_equal(asked(&backup, &of, &status), 1);
    assert_int_equal(of, 1);
    assert_int_equal(status.changes, 6);
    host_sends_clear(&primary.host);
    assert_ok(receive(&primary, 2, make_view_status(&primary.config, 2, 1, true, status.changes)));
    assert_int_equal(sent(&primary, BFT_RELAY, NULL), 1);
    assert_ok(receive(&backup, 1, sent_message(&primary, BFT_RELAY)));
    turn_ends(&backup);
    assert_false(status_of(&backup).changing);
    assert_int_equal(sent(&primary, BFT_NEW_VIEW, NULL), 1);
    /* The primary gives each VIEW-CHANGE once, and the NEW-VIEW with the first of them. */
    host_sends_clear(&primary.host);
    assert_ok(receive(&primary, 2, make_view_status(&primary.config, 2, 1, true, status.changes)));
    assert_int_equal(primary.host.send_count, 0);
    assert_ok(receive(&primary, 2, make_view_status(&primary.config, 2, 1, true, 0)));
    assert_int_equal(sent(&primary, BFT_RELAY, NULL), 1);
    assert_int_equal(sent(&primary, BFT_NEW_VIEW, NULL), 0);
    host_sends_clear(&primary.host);
    assert_ok(receive(&primary, 2, make_view_status(&primary.config, 2, 1, true, 0)));
    assert_int_equal(primary.host.send_count, 0);
    bench_close(&primary);
    bench_close(&backup);
}

/*
 * A peer loses what is sent in the view before it can install it. So what it lacked once comes along with the next
 * NEW-VIEWs of that primary, right behind them, and to that peer alone.
 */
static void new_view__brings_along_what_a_peer_lacked_before(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 1);
    for (uint64_t view = 1; view <= 4 * UINT64_C(26); view += 4) {
        memset(&changes, 0, sizeof(changes));
        for (ord_node_id node = 0; node < 4; node++)
            if (node != 1)
                change(&bench, &changes, node, view, 0, NULL, 0);
        turn_ends(&bench);
        assert_int_equal(status_of(&bench).view, view);
        turn_ends(&bench);
        assert_true(status_of(&bench).leading);
        ord_replica_set along = 0;
        bool given = false;
        for (size_t at = 0; at < bench.host.send_count; at++) {
            given = given || bench.host.sends[at].data[0] == BFT_NEW_VIEW;
            if (bench.host.sends[at].data[0] != BFT_RELAY)
                continue;
            assert_true(given);
            along |= bench.host.sends[at].to;
        }
        assert_true(given);
        /* 16 views after it lacked another author for the first time it has to lack one again. */
        assert_int_equal(along, view > 1 && view <= 1 + 4 * (8 + 16) ? ord_replica_bit(2) : 0);
        if (view == 1 || view == 1 + 4 * 8)
            assert_ok(receive(&bench, 2, make_view_status(&bench.config, 2, view, true, view == 1 ? 7 : 14)));
        bench.now_ms += bench.config.retransmit_ms;
    }
    bench_close(&bench);
}

/* It asks once a view. Otherwise each message of a liar would make it ask. */
static void new_view__that_names_what_is_not_here_is_asked_about_once(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    struct bft_status status;
    ord_node_id of = ORD_NO_NODE;
    memset(&changes, 0, sizeof(changes));
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    (void) changes_keep(&changes, 1, make_view_change(&bench.config, 1, 1, 0, NULL, 0));
    (void) changes_keep(&changes, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0));
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(asked(&bench, &of, &status), 1);
    assert_ok(receive(&bench, 1, changes.of[1]));
    turn_ends(&bench);
    assert_true(status_of(&bench).changing);
    assert_int_equal(asked(&bench, &of, &status), 0);
    bench_close(&bench);
}

/*
 * The NEW-VIEW is computed from exactly the view changes that it names. While another one of the same author is here
 * instead, no replica is accused.
 */
static void new_view__rests_on_view_changes_by_digest(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct prepared prepared = {.seq = 1, .digest = digest_of("a")};
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, &prepared, 1);
    (void) changes_keep(&changes, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0));
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).messages_refused, 0);
    assert_true(status_of(&bench).changing);
    assert_int_equal(status_of(&bench).view, 1);
    bench_close(&bench);
}

/* A certificate that a NEW-VIEW passes over belongs to a batch that was not decided, and is not listed again. */
static void new_view__makes_other_certificates_void(void **state) {
    (void) state;
    static struct changes changes;
    const struct prepared z = {.seq = 1, .digest = digest_of("z")};
    /* Above everything that is proposed again; and with another batch at its seq. */
    for (uint32_t count = 0; count < 2; count++) {
        struct bench bench;
        memset(&changes, 0, sizeof(changes));
        bench_open(&bench, 2);
        accept(&bench, 1, "a");
        vote(&bench, BFT_PREPARE, 3, 1, "a");
        turn_ends(&bench);
        time_out(&bench, &changes);
        changes.of[2] = ord_span_of(NULL, 0);
        change(&bench, &changes, 0, 1, 0, NULL, 0);
        change(&bench, &changes, 1, 1, 0, NULL, 0);
        change(&bench, &changes, 3, 1, 0, &z, count);
        new_view(&bench, &changes, 1, 0, &z.digest, count);
        turn_ends(&bench);
        assert_false(status_of(&bench).changing);
        assert_int_equal(status_of(&bench).body_bytes, 0);
        time_out(&bench, &changes);
        struct bft_view_change change;
        assert_ok(bft_view_change_verify(&change, &bench.config, changes.of[2]));
        assert_int_equal(change.view, 2);
        assert_int_equal(change.certificate_count, 0);
        bench_close(&bench);
    }
}

/*
 * A replica that was frozen during the whole view change follows the others in one turn, and takes the view in the
 * next.
 */
static void new_view__is_taken_by_who_slept(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    pre_prepare(&bench, 2, "b");
    for (ord_node_id node = 0; node < 4; node++)
        if (node != 2)
            (void) changes_keep(&changes, node, make_view_change(&bench.config, node, 5, 0, NULL, 0));
    new_view(&bench, &changes, 5, 0, NULL, 0);
    for (ord_node_id node = 0; node < 4; node++)
        if (node != 2)
            assert_ok(receive(&bench, 1, make_relay(&bench.config, 1, changes.of[node])));
    turn_ends(&bench);
    assert_true(status_of(&bench).changing);
    assert_int_equal(bench.host.wake_ms, bench.now_ms); /* there is more to do */
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_int_equal(status_of(&bench).view, 5);
    assert_int_equal(status_of(&bench).body_bytes, 0);
    assert_int_equal(status_of(&bench).leader, 1);
    bench_close(&bench);
}

/* P11, P6: in a new view, too, only its primary proposes, and the entries of its NEW-VIEW bind it. */
static void new_view__binds_its_primary(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    turn_ends(&bench);
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    const struct ord_hash a = digest_of("a");
    new_view(&bench, &changes, 1, 0, &a, 1);
    turn_ends(&bench);
    uint64_t refused = status_of(&bench).messages_refused;
    uint64_t dropped = status_of(&bench).messages_dropped;
    assert_ok(receive(&bench, 0, make_pre_prepare(&bench.config, 0, 1, 2, "x")));
    assert_int_equal(status_of(&bench).messages_refused, refused + 1);
    assert_ok(receive(&bench, 0, make_pre_prepare(&bench.config, 0, 0, 2, "x")));
    assert_ok(receive(&bench, 1, make_pre_prepare(&bench.config, 1, 1, 1, "a"))); /* the same as its NEW-VIEW says */
    assert_int_equal(status_of(&bench).messages_dropped, dropped + 2);
    assert_int_equal(bench.host.evidence_count, 0);
    assert_ok(receive(&bench, 1, make_pre_prepare(&bench.config, 1, 1, 1, "b")));
    /* Its signature in the NEW-VIEW contradicts this one. */
    assert_int_equal(bench.host.evidence_count, 1);
    assert_int_equal(bench.host.culprits, ord_replica_bit(1));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 2);
    bench_close(&bench);
}

/*
 * A seq that was delivered in an earlier view is prepared again in the new one; otherwise a replica that had not
 * delivered it would never get a COMMIT. So votes for it also go to replicas that have delivered it, until it is stable
 * there.
 */
static void answer__repeats_votes_for_what_a_view_proposes_again(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const struct ord_hash digest = digest_of("a");
    const struct prepared prepared = {.seq = 1, .digest = digest};
    bench_open(&bench, 2);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 0, &prepared, 1);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, &digest, 1);
    turn_ends(&bench);
    turn_ends(&bench);
    bench.now_ms += bench.config.retransmit_ms;
    host_sends_clear(&bench.host);
    struct bft_status status = {.view = 1, .sender = 3, .delivered_seq = 1};
    struct bft_vote_list list;
    uint8_t bytes[BFT_STATUS_SIZE];
    bft_status_encode(bytes, &bench.config, &status);
    assert_ok(receive(&bench, 3, ord_span_of(bytes, sizeof(bytes))));
    assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
    assert_int_equal(list.votes[0].seq, 1);
    /* Once it is stable there, no votes are sent any more. */
    bench.now_ms += bench.config.retransmit_ms;
    host_sends_clear(&bench.host);
    status.stable_seq = 1;
    bft_status_encode(bytes, &bench.config, &status);
    assert_ok(receive(&bench, 3, ord_span_of(bytes, sizeof(bytes))));
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 0);
    bench_close(&bench);
}

/*
 * One answer holds a limited number of votes. The next answer continues from there, and starts again when all have been
 * given.
 */
static void answer__to_who_has_it_all_takes_turns(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    enum { COUNT = BFT_ANSWER_SEQS_MAX / 2 + 3 };
    struct ord_hash digests[COUNT];
    struct bft_vote_list list;
    uint8_t bytes[BFT_STATUS_SIZE];
    const struct bft_status status = {.view = 1, .sender = 3, .delivered_seq = COUNT};
    const struct prepared last = {.seq = COUNT, .digest = *null_digest()};
    bench_open(&bench, 2);
    bench_close(&bench);
    bench.config.window = 64;
    host_init(&bench.host, &bench.config);
    assert_ok(host_start(&bench.host, bench.now_ms));
    for (size_t i = 0; i < COUNT; i++)
        digests[i] = *null_digest();
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, 0, &last, 1);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, digests, COUNT);
    turn_ends(&bench);
    turn_ends(&bench);
    bft_status_encode(bytes, &bench.config, &status);
    static const uint64_t firsts[] = {1, COUNT - 2, 1};
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        bench.now_ms += bench.config.retransmit_ms;
        host_sends_clear(&bench.host);
        assert_ok(receive(&bench, 3, ord_span_of(bytes, sizeof(bytes))));
        assert_int_equal(sent(&bench, BFT_PREPARE, &list), 1);
        assert_int_equal(list.votes[0].seq, firsts[i]);
        assert_int_equal(list.count, firsts[i] == 1 ? COUNT - 3 : 3);
    }
    bench_close(&bench);
}

/*
 * A liar that leads views 1 and 5 gives one replica a NEW-VIEW of view 5, resting on view changes that do not exist.
 * That does not keep out the NEW-VIEW of view 1, whichever comes first.
 */
static void new_view__that_is_due_is_not_kept_out_by_a_later_one(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    static struct changes invented;
    for (int again = 0; again < 2; again++) {
        memset(&changes, 0, sizeof(changes));
        bench_open(&bench, 2);
        for (ord_node_id node = 0; node < 4; node++)
            (void) changes_keep(&invented, node, make_view_change(&bench.config, node, 5, 0, NULL, 0));
        new_view(&bench, &invented, 5, 0, NULL, 0);
        time_out(&bench, &changes);
        change(&bench, &changes, 1, 1, 0, NULL, 0);
        (void) changes_keep(&changes, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0));
        new_view(&bench, &changes, 1, 0, NULL, 0);
        if (again == 1) /* it is kept until the view changes that it names are here */
            new_view(&bench, &invented, 5, 0, NULL, 0);
        turn_ends(&bench);
        assert_true(status_of(&bench).changing);
        assert_ok(receive(&bench, 3, changes.of[3]));
        turn_ends(&bench);
        assert_int_equal(status_of(&bench).view, 1);
        assert_false(status_of(&bench).changing);
        bench_close(&bench);
    }
}

/* The NEW-VIEW may come in the turn in which f + 1 others show that this replica is about to move to its view. */
static void new_view__is_due_as_soon_as_others_are_ahead(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    static struct changes invented;
    memset(&changes, 0, sizeof(changes));
    bench_open(&bench, 2);
    for (ord_node_id node = 0; node < 4; node++)
        (void) changes_keep(&invented, node, make_view_change(&bench.config, node, 5, 0, NULL, 0));
    new_view(&bench, &invented, 5, 0, NULL, 0);
    for (ord_node_id node = 0; node < 4; node++)
        if (node != 2)
            change(&bench, &changes, node, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    bench_close(&bench);
}

/*
 * V10: the others got a NEW-VIEW that follows, this replica one that does not. It leaves their view alone. The refused
 * NEW-VIEW convicts the liar at every replica that has installed the other one, so all leave.
 */
static void new_view__that_is_refused_convicts_its_primary_elsewhere(void **state) {
    (void) state;
    struct bench refuses;
    struct bench installs;
    static struct changes changes;
    static struct changes others;
    const struct ord_hash wrong = digest_of("a");
    memset(&changes, 0, sizeof(changes));
    memset(&others, 0, sizeof(others));
    bench_open(&refuses, 2);
    time_out(&refuses, &changes);
    change(&refuses, &changes, 1, 1, 0, NULL, 0);
    change(&refuses, &changes, 3, 1, 0, NULL, 0);
    bench_open(&installs, 3);
    time_out(&installs, &others);
    assert_ok(receive(&installs, 1, changes.of[1]));
    assert_ok(receive(&installs, 2, changes.of[2]));
    new_view(&installs, &changes, 1, 0, NULL, 0);
    turn_ends(&installs);
    assert_false(status_of(&installs).changing);
    new_view(&refuses, &changes, 1, 0, &wrong, 1);
    turn_ends(&refuses);
    assert_int_equal(sent(&refuses, BFT_RELAY, NULL), 1);
    for (size_t i = 0; i < refuses.host.send_count; i++)
        if (refuses.host.sends[i].data[0] == BFT_RELAY)
            assert_int_equal(refuses.host.sends[i].to, 15 & ~ord_replica_bit(2));
    assert_ok(receive(&installs, 2, sent_message(&refuses, BFT_RELAY)));
    assert_int_equal(installs.host.culprits, ord_replica_bit(1));
    turn_ends(&installs);
    assert_int_equal(status_of(&installs).view, 2);
    turn_ends(&refuses);
    assert_int_equal(status_of(&refuses).view, 2);
    assert_int_equal(sent(&refuses, BFT_RELAY, NULL), 0);
    bench_close(&refuses);
    bench_close(&installs);
}

/*
 * Votes, and answers to replicas that ask, are looked up among the slots of the window, however far above it a view
 * begins.
 */
static void new_view__far_above_costs_no_more_than_a_window(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    const uint64_t far = UINT64_C(1) << 60;
    const struct prepared prepared = {.seq = far + 1, .digest = digest_of("a")};
    memset(&changes, 0, sizeof(changes));
    bench_open(&bench, 2);
    time_out(&bench, &changes);
    change(&bench, &changes, 1, 1, far, &prepared, 1);
    change(&bench, &changes, 3, 1, far, NULL, 0);
    new_view(&bench, &changes, 1, far, &prepared.digest, 1);
    turn_ends(&bench);
    assert_false(status_of(&bench).changing);
    assert_int_equal(status_of(&bench).in_flight, UINT32_MAX);
    turn_ends(&bench);
    const struct bft_status answers[] = {{.view = 1, .sender = 3},
                                         {.view = 1, .sender = 3, .delivered_seq = far + 1, .stable_seq = 1}};
    for (size_t i = 0; i < 2; i++) {
        uint8_t bytes[BFT_STATUS_SIZE];
        bft_status_encode(bytes, &bench.config, &answers[i]);
        assert_ok(receive(&bench, 3, ord_span_of(bytes, sizeof(bytes))));
    }
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(new_view__that_is_due_is_not_kept_out_by_a_later_one),
    cmocka_unit_test(new_view__is_due_as_soon_as_others_are_ahead),
    cmocka_unit_test(new_view__that_is_refused_convicts_its_primary_elsewhere),
    cmocka_unit_test(new_view__far_above_costs_no_more_than_a_window),
    cmocka_unit_test(answer__to_who_has_it_all_takes_turns),
    cmocka_unit_test(answer__repeats_votes_for_what_a_view_proposes_again),
    cmocka_unit_test(new_views__that_contradict_are_evidence),
    cmocka_unit_test(new_views__of_views_ahead_move_nobody),
    cmocka_unit_test(new_view__of_an_earlier_view_than_its_sender_has_led_is_dropped),
    cmocka_unit_test(new_primary__proposes_again_what_a_quorum_tells),
    cmocka_unit_test(new_primary__takes_the_certificate_of_the_highest_view),
    cmocka_unit_test(new_view__begins_at_the_highest_checkpoint),
    cmocka_unit_test(new_view__reaches_beyond_the_window_of_who_is_behind),
    cmocka_unit_test(new_view__that_does_not_follow_is_refused),
    cmocka_unit_test(new_view__waits_for_the_view_changes_that_it_names),
    cmocka_unit_test(new_view__that_names_what_is_not_here_makes_a_backup_ask),
    cmocka_unit_test(new_view__that_names_what_is_not_here_is_asked_about_once),
    cmocka_unit_test(new_view__brings_along_what_a_peer_lacked_before),
    cmocka_unit_test(new_view__rests_on_view_changes_by_digest),
    cmocka_unit_test(new_view__makes_other_certificates_void),
    cmocka_unit_test(new_view__is_taken_by_who_slept),
    cmocka_unit_test(new_view__binds_its_primary),
};
TEST_CASES(cases);
