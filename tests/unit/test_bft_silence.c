/*
 * A replica that may have forgotten what it said: it asks at each start, is silent once it is proven, and speaks again when it can do no
 * harm. Row V16 of the adversary's list; rule 26 of docs/protocol.md.
 */
#include "bft/bft_internal.h"
#include "tests/unit/bft_bench.h"

/* A replica `self` that is started and asks; what it sent is there. */
static void open_asking(struct bench *bench, ord_node_id self) {
    memset(bench, 0, sizeof(*bench));
    bench->config = test_config(self);
    bench->now_ms = 1000;
    host_init(&bench->host, &bench->config);
    bench->host.asks = true;
    bench->host.forgets = true;
    assert_ok(host_start(&bench->host, bench->now_ms));
    host_flush(&bench->host, bench->now_ms);
    host_commit(&bench->host);
}

static void restart(struct bench *bench) {
    host_crash(&bench->host);
    bench->host.asks = true;
    bench->host.forgets = true;
    assert_ok(host_start(&bench->host, bench->now_ms));
    host_flush(&bench->host, bench->now_ms);
    host_commit(&bench->host);
    host_sends_clear(&bench->host);
}

static struct ord_span make_recall(const struct bench *bench, ord_node_id from, uint64_t nonce, uint64_t stable_seq,
                                   uint64_t reach_seq, struct ord_span statement) {
    static uint8_t bytes[2048];
    uint8_t checkpoint[STAND_IN_CHECKPOINT_SIZE];
    const struct bft_recall recall = {
        .sender = from,
        .nonce = nonce,
        .stable_seq = stable_seq,
        .certificate =
            stable_seq == 0 ? ord_span_of(NULL, 0) : stand_in_checkpoint(checkpoint, bench->config.crypto, stable_seq),
        .reach_seq = reach_seq,
        .statement = statement};
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_recall_encode(&writer, &bench->config, 0, &recall);
    assert_false(writer.failed);
    return ord_writer_span(&writer);
}

/* Replica `from` answers; `said` NULL: it knows no word that was not asked about. */
static enum ord_err recall(struct bench *bench, ord_node_id from, uint64_t stable_seq, uint64_t reach_seq,
                           const struct statement *said) {
    uint8_t bytes[BFT_SIGNED_VOTE_SIZE_MAX];
    struct ord_span statement = ord_span_of(NULL, 0);
    if (said != NULL)
        statement = make_statement(bytes, &bench->config, said);
    return receive(bench, from, make_recall(bench, from, bench->host.starts, stable_seq, reach_seq, statement));
}

static struct ord_span make_ask(const struct bench *bench, ord_node_id from, uint64_t view, bool changing,
                                uint64_t stable_seq, uint8_t words) {
    static uint8_t bytes[64];
    const struct bft_ask ask = {
        .view = view, .sender = from, .nonce = 77, .changing = changing, .stable_seq = stable_seq, .words = &words};
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_ask_encode(&writer, &bench->config, &ask);
    assert_false(writer.failed);
    return ord_writer_span(&writer);
}

static bool speaks(const struct bench *bench) {
    struct ord_status status = status_of(bench);
    return !status.asking && !status.silent;
}

/* Words that others could hold against it, of all that the last turn sent. */
static size_t words_sent(struct bench *bench) {
    return sent(bench, BFT_PRE_PREPARE, NULL) + sent(bench, BFT_PREPARE, NULL) + sent(bench, BFT_COMMIT, NULL) +
           sent(bench, BFT_VIEW_CHANGE, NULL) + sent(bench, BFT_NEW_VIEW, NULL);
}

/* ---- asking ---- */

static void start__asks_before_it_speaks(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 0);
    struct bft_ask ask;
    assert_int_equal(sent(&bench, BFT_ASK, NULL), 1);
    assert_int_equal(bench.host.sends[0].to, 0xe);
    assert_ok(bft_ask_decode(&ask, &bench.config, sent_message(&bench, BFT_ASK)));
    assert_int_equal(ask.nonce, bench.host.starts);
    assert_true(status_of(&bench).asking);
    assert_false(status_of(&bench).leading);
    assert_false(status_of(&bench).can_propose);
    assert_int_equal(bench.host.leader, ORD_NO_NODE);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    turn_ends(&bench);
    assert_int_equal(bench.host.send_count, 0);
    /* Whoever has answered is asked no more. */
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    tick(&bench, bench.now_ms + bench.config.retransmit_ms);
    assert_int_equal(bench.host.sends[0].to, 0xa);
    assert_false(speaks(&bench));
    assert_ok(recall(&bench, 1, 0, 0, NULL));
    assert_true(speaks(&bench));
    assert_true(status_of(&bench).leading);
    assert_int_equal(bench.host.leader, 0);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    bench_close(&bench);
}

static void asking__takes_no_part(void **state) {
    (void) state;
    struct bench bench;
    static struct changes changes;
    open_asking(&bench, 1);
    pre_prepare(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 2, 1, "a");
    vote(&bench, BFT_COMMIT, 2, 1, "a");
    assert_int_equal(bench.host.judge_count, 0);
    assert_int_equal(status_of(&bench).messages_dropped, 3);
    /* Nor in view changes, whoever wants one. */
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    suspect(&bench, 2);
    suspect(&bench, 3);
    tick(&bench, bench.now_ms + 10 * (uint64_t) bench.config.request_timeout_ms);
    change(&bench, &changes, 2, 1, 0, NULL, 0);
    change(&bench, &changes, 3, 1, 0, NULL, 0);
    turn_ends(&bench);
    turn_ends(&bench);
    assert_int_equal(words_sent(&bench), 0);
    assert_int_equal(status_of(&bench).view, 0);
    bench_close(&bench);
}

static void asking__counts_each_replica_once(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_true(status_of(&bench).asking);
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    bench_close(&bench);
}

static void asking__takes_no_answer_to_an_earlier_life(void **state) {
    (void) state;
    struct bench bench;
    const struct ord_span none = ord_span_of(NULL, 0);
    open_asking(&bench, 1);
    restart(&bench);
    struct ord_span old = make_recall(&bench, 2, 1, 0, 0, none);
    assert_false(bft_pbft.wants(bench.host.core, old));
    assert_ok(receive(&bench, 2, old));
    assert_ok(receive(&bench, 3, make_recall(&bench, 3, 1, 0, 0, none)));
    assert_true(status_of(&bench).asking);
    assert_true(bft_pbft.wants(bench.host.core, make_recall(&bench, 2, 2, 0, 0, none)));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_false(bft_pbft.wants(bench.host.core, make_recall(&bench, 2, 2, 0, 0, none)));
    bench_close(&bench);
}

static void door__refuses_answers_that_prove_nothing(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    uint8_t bytes[2048];
    struct ord_span none = ord_span_of(NULL, 0);
    const struct statement others = {.type = BFT_PREPARE, .sender = 3, .seq = 1, .batch = "a"};
    assert_err(recall(&bench, 2, 0, 0, &others), ORD_ERR_INVALID); /* not a statement of who asked */
    assert_err(recall(&bench, 2, 0, 17, NULL), ORD_ERR_INVALID);   /* two windows from what it proves */
    assert_err(recall(&bench, 2, 4, 3, NULL), ORD_ERR_INVALID);
    assert_err(recall(&bench, 2, 4, 21, NULL), ORD_ERR_INVALID);
    assert_ok(recall(&bench, 2, 4, 20, NULL));
    struct ord_span made = make_recall(&bench, 3, bench.host.starts, 4, 4, none);
    memcpy(bytes, made.data, made.size);
    bytes[BFT_HEADER_SIZE + 8 + 8 + 4 + 8] ^= 1; /* the certificate */
    assert_err(receive(&bench, 3, ord_span_of(bytes, made.size)), ORD_ERR_BAD_SIGNATURE);
    made = make_recall(&bench, 3, bench.host.starts, 4, 5, none);
    memcpy(bytes, made.data, made.size);
    bytes[BFT_HEADER_SIZE + 8 + 7] = 5; /* what it claims to be stable; the certificate is of seq 4 */
    assert_err(receive(&bench, 3, ord_span_of(bytes, made.size)), ORD_ERR_INVALID);
    const struct statement own = {.type = BFT_PREPARE, .sender = 1, .seq = 1, .batch = "a"};
    uint8_t statement[BFT_SIGNED_VOTE_SIZE_MAX];
    made = make_recall(&bench, 3, bench.host.starts, 0, 0, make_statement(statement, &bench.config, &own));
    memcpy(bytes, made.data, made.size);
    bytes[made.size - 1] ^= 1; /* the signature */
    assert_err(receive(&bench, 3, ord_span_of(bytes, made.size)), ORD_ERR_BAD_SIGNATURE);
    assert_err(receive(&bench, 3, ord_span_of(made.data, made.size - 1)), ORD_ERR_INVALID);
    assert_true(status_of(&bench).asking);
    assert_false(status_of(&bench).silent);
    /* ASKs with bits beyond the window, or that change to view 0, are nobody's. */
    assert_err(receive(&bench, 3, make_ask(&bench, 3, 0, true, 0, 0)), ORD_ERR_INVALID);
    assert_err(receive(&bench, 2, make_ask(&bench, 3, 0, false, 0, 0)), ORD_ERR_FORBIDDEN);
    bench_close(&bench);
}

/* ---- when it is silent ---- */

static void empty_disk__is_silent_where_something_is_stable(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    assert_int_equal(on_disk(&bench, BFT_TABLE_SILENCE), 1);
    assert_ok(recall(&bench, 2, 4, 6, NULL));
    assert_ok(recall(&bench, 3, 0, 7, NULL));
    turn_ends(&bench);
    assert_true(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).silent_until_seq, 7);
    /* It does not vote, follows by state transfer, and speaks when all is stable that it may have voted for. */
    pre_prepare(&bench, 5, "e");
    assert_int_equal(bench.host.judge_count, 0);
    static struct host source;
    source.durable_applied = HOST_SEQ_MAX - 1;
    host_attested(&bench.host, 4, bench.now_ms);
    assert_int_equal(bench.host.sync_seq, 4); /* at once: nobody will bring it there */
    host_sync_from(&bench.host, &source, 4, bench.now_ms);
    turn_ends(&bench);
    assert_true(status_of(&bench).silent);
    host_attested(&bench.host, 8, bench.now_ms);
    host_sync_from(&bench.host, &source, 8, bench.now_ms);
    assert_true(speaks(&bench));
    assert_int_equal(sent(&bench, BFT_STATUS, NULL), 1);
    host_commit(&bench.host);
    assert_int_equal(on_disk(&bench, BFT_TABLE_SILENCE), 0);
    accept(&bench, 9, "i");
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    bench_close(&bench);
}

static void empty_disk__of_a_new_network_goes_on(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    assert_ok(recall(&bench, 2, 0, 3, NULL));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    host_commit(&bench.host);
    /* When it is restarted before it has said anything, it is not one that lost its disk. */
    assert_int_equal(bench.host.disk.count, 1);
    restart(&bench);
    assert_ok(recall(&bench, 2, 4, 6, NULL));
    assert_ok(recall(&bench, 3, 4, 4, NULL));
    assert_true(speaks(&bench));
    accept(&bench, 5, "e");
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1);
    bench_close(&bench);
}

/* What the first START noted is still known when a restart finds a disk that is not empty any more. */
static void empty_disk__is_remembered_by_a_restart(void **state) {
    (void) state;
    struct bench bench;
    static struct host source;
    source.durable_applied = HOST_SEQ_MAX - 1;
    open_asking(&bench, 1);
    host_attested(&bench.host, 4, bench.now_ms);
    host_sync_from(&bench.host, &source, 4, bench.now_ms);
    turn_ends(&bench);
    restart(&bench);
    assert_ok(recall(&bench, 2, 4, 6, NULL));
    assert_ok(recall(&bench, 3, 4, 4, NULL));
    assert_true(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).silent_until_seq, 6);
    bench_close(&bench);
}

/* A backup 1 that has voted for seq 1 and is restarted. */
static void open_voted(struct bench *bench) {
    bench_open(bench, 1);
    accept(bench, 1, "a");
    turn_ends(bench);
    restart(bench);
}

static void intact__goes_on_with_its_votes(void **state) {
    (void) state;
    struct bench bench;
    open_voted(&bench);
    turn_ends(&bench);
    assert_int_equal(words_sent(&bench), 0);
    const struct statement own = {.type = BFT_PREPARE, .sender = 1, .seq = 1, .batch = "a"};
    assert_ok(recall(&bench, 2, 4, 9, &own)); /* it holds that one; and others are ahead, which is no reason */
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    turn_ends(&bench);
    assert_int_equal(sent(&bench, BFT_PREPARE, NULL), 1); /* the same again */
    bench_close(&bench);
}

/* What others have proven to be stable is decided: nobody needs its vote there, and it might have given another. */
static void intact__binds_nothing_to_what_is_stable_elsewhere(void **state) {
    (void) state;
    struct bench bench;
    open_voted(&bench);
    assert_ok(recall(&bench, 2, 4, 6, NULL));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(speaks(&bench));
    pre_prepare(&bench, 4, "d");
    assert_int_equal(bench.host.judge_count, 0);
    accept(&bench, 5, "e");
    /* It comes by state transfer: nobody else may ever tell of that checkpoint. */
    tick(&bench, bench.now_ms + 1000);
    assert_int_equal(bench.host.sync_seq, 4);
    bench_close(&bench);
    open_asking(&bench, 0);
    assert_ok(recall(&bench, 1, 0, 0, NULL));
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_ok(recall(&bench, 3, 4, 6, NULL)); /* told late; it may have led before */
    assert_false(status_of(&bench).can_propose);
    host_propose(&bench.host, ord_span_of("a", 1), bench.now_ms);
    assert_int_equal(bench.host.reject_count, 1);
    bench_close(&bench);
}

/* Given back one statement of an otherwise old disk: is that a reason? */
static bool silenced_by(struct bench *bench, const struct statement *said) {
    assert_ok(recall(bench, 2, 0, 0, said));
    return status_of(bench).silent;
}

static void old_image__is_proven_by_a_word_that_it_lacks(void **state) {
    (void) state;
    static const struct {
        struct statement said;
        bool lacks;
    } words[] = {
        {{.type = BFT_PREPARE, .sender = 1, .view = 0, .seq = 1, .batch = "a"}, false},
        {{.type = BFT_PREPARE, .sender = 1, .view = 0, .seq = 2, .batch = "b"}, true},
        {{.type = BFT_PREPARE, .sender = 1, .view = 0, .seq = 90, .batch = "b"}, true},
        {{.type = BFT_PREPARE, .sender = 1, .view = 2, .seq = 1, .batch = "a"}, true},
        {{.type = BFT_PRE_PREPARE, .sender = 1, .view = 1, .seq = 1, .batch = "a"}, true},
        {{.type = BFT_VIEW_CHANGE, .sender = 1, .view = 1, .seq = 0, .batch = "v"}, true},
        {{.type = BFT_NEW_VIEW, .sender = 1, .view = 1, .seq = 0, .batch = "v"}, true},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct bench bench;
        open_voted(&bench);
        assert_int_equal(silenced_by(&bench, &words[i].said), words[i].lacks);
        assert_ok(recall(&bench, 3, 0, 0, NULL));
        assert_int_equal(speaks(&bench), !words[i].lacks);
        if (words[i].lacks)
            assert_int_equal(status_of(&bench).silent_until_seq, words[i].said.seq);
        turn_ends(&bench);
        assert_int_equal(words_sent(&bench), words[i].lacks ? 0 : 1);
        bench_close(&bench);
    }
}

/* A view that it is changing to: its VIEW-CHANGE is kept; anything else that it said there is not. */
static void old_image__that_changes_views(void **state) {
    (void) state;
    static const struct statement promise = {.type = BFT_VIEW_CHANGE, .sender = 1, .view = 1, .batch = "v"};
    static const struct statement vote = {.type = BFT_PREPARE, .sender = 1, .view = 1, .seq = 1, .batch = "a"};
    static const struct statement earlier = {.type = BFT_PREPARE, .sender = 1, .view = 0, .seq = 3, .batch = "a"};
    static const struct statement lead = {.type = BFT_NEW_VIEW, .sender = 1, .view = 1, .batch = "v"};
    const struct statement *said[] = {&promise, &earlier, &vote, &lead};
    for (size_t i = 0; i < 4; i++) {
        struct bench bench;
        static struct changes changes;
        bench_open(&bench, 1);
        time_out(&bench, &changes);
        restart(&bench);
        assert_int_equal(silenced_by(&bench, said[i]), i >= 2);
        assert_ok(recall(&bench, 3, 0, 0, NULL));
        assert_int_equal(sent(&bench, BFT_VIEW_CHANGE, NULL), i < 2); /* the same again */
        if (i < 2)
            assert_true(ord_span_equal(sent_message(&bench, BFT_VIEW_CHANGE), changes.of[1]));
        bench_close(&bench);
    }
}

/* Who answers late may still know better; once stable, it speaks with the others. */
static void old_image__is_proven_at_any_time(void **state) {
    (void) state;
    struct bench bench;
    open_voted(&bench);
    assert_ok(recall(&bench, 2, 0, 5, NULL));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    turn_ends(&bench);
    accept(&bench, 2, "b");
    pre_prepare(&bench, 3, "c"); /* still judged when it falls silent */
    const struct statement own = {.type = BFT_PREPARE, .sender = 1, .seq = 4, .batch = "d"};
    assert_ok(recall(&bench, 0, 0, 0, &own));
    assert_true(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).silent_until_seq, 5); /* what others had seen when it began to ask */
    /* Enough others voted for what it was judging: it is not prepared here, for its own COMMIT would be counted. */
    vote(&bench, BFT_PREPARE, 2, 2, "b");
    host_judge(&bench.host, 0, true, bench.now_ms);
    turn_ends(&bench);
    assert_int_equal(words_sent(&bench), 0);
    assert_int_equal(on_disk(&bench, BFT_TABLE_SILENCE), 1);
    /* It repeats nothing to who asks, and suspects nobody. */
    bench.now_ms += bench.config.retransmit_ms;
    host_sends_clear(&bench.host);
    assert_ok(receive(&bench, 2, make_status(&bench.config, 2, 0, 0, 0)));
    host_work(&bench.host, bench.now_ms, bench.now_ms);
    tick(&bench, bench.now_ms + 10 * (uint64_t) bench.config.request_timeout_ms);
    host_flush(&bench.host, bench.now_ms);
    host_commit(&bench.host);
    assert_int_equal(words_sent(&bench), 0);
    struct bft_status status;
    assert_ok(bft_status_decode(&status, &bench.config, sent_message(&bench, BFT_STATUS)));
    assert_int_equal(status.mood, BFT_SILENT);
    bench_close(&bench);
}

static void silence__survives_a_restart(void **state) {
    (void) state;
    struct bench bench;
    const struct statement own = {.type = BFT_PREPARE, .sender = 1, .view = 0, .seq = 6, .batch = "d"};
    open_voted(&bench);
    assert_ok(recall(&bench, 2, 0, 0, &own));
    turn_ends(&bench);
    restart(&bench); /* before enough had answered */
    assert_true(status_of(&bench).silent);
    assert_true(status_of(&bench).asking);
    assert_int_equal(status_of(&bench).silent_until_seq, 6);
    assert_ok(recall(&bench, 2, 0, 8, NULL));
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).silent_until_seq, 8);
    restart(&bench);
    assert_ok(recall(&bench, 2, 0, 0, NULL)); /* they may have forgotten by now; it has not */
    assert_ok(recall(&bench, 3, 0, 0, NULL));
    assert_true(status_of(&bench).silent);
    assert_int_equal(status_of(&bench).silent_until_seq, 8);
    /* A record that is none of ours does not start. */
    for (size_t i = 0; i < bench.host.disk.count; i++)
        if (bench.host.disk.items[i].table == BFT_TABLE_SILENCE)
            bench.host.disk.items[i].data[16] = 4;
    host_crash(&bench.host);
    assert_err(host_start(&bench.host, bench.now_ms), ORD_ERR_CORRUPT);
    bench_close(&bench);
}

/* One liar may make a silence longer by what it claims once; not again and again. */
static void silence__cannot_be_drawn_out(void **state) {
    (void) state;
    struct bench bench;
    open_asking(&bench, 1);
    assert_ok(recall(&bench, 2, 4, 5, NULL));
    assert_ok(recall(&bench, 3, 4, 5, NULL));
    assert_ok(recall(&bench, 0, 4, 20, NULL));
    assert_int_equal(status_of(&bench).silent_until_seq, 20);
    assert_ok(recall(&bench, 0, 8, 24, NULL));
    assert_ok(recall(&bench, 3, 8, 24, NULL));
    assert_int_equal(status_of(&bench).silent_until_seq, 20);
    bench_close(&bench);
}

/* ---- views ---- */

/*
 * It had asked for view 1 and forgot it. The view is installed with its own VIEW-CHANGE, which comes from the others; it joins by none
 * of its own, and votes for nothing there before it may.
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
    /* On disk, with its own among those that the view rests on. */
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

/* A liar that shows this one a view change far ahead, and is one of those that the others' view rests on, keeps it from nothing. */
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
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    assert_int_equal(words_sent(&bench), 0);
    bench_close(&bench);
}

/* Who was ahead when it began to ask does not say so again. */
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

/* It led view 1 and forgot it: its own NEW-VIEW comes from the others, and it does not lead there. */
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

/* What it proposed again in its NEW-VIEW may lie beyond its own window: it holds that all the same. */
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

/* A view that it spoke in has to be installed, however far the others are. */
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

/* ---- answers ---- */

static bool answer(struct bench *bench, struct bft_recall *out, struct bft_statement *statement, struct ord_span ask) {
    struct bft_proof proof;
    struct ord_core_config asker = bench->config;
    asker.self = 3;
    host_sends_clear(&bench->host);
    assert_ok(receive(bench, 3, ask));
    if (sent(bench, BFT_RECALL, NULL) == 0)
        return false;
    assert_int_equal(bench->host.sends[0].to, 8);
    struct ord_span bytes = sent_message(bench, BFT_RECALL);
    assert_ok(bft_recall_verify(out, &asker, bytes)); /* what the asker's door says */
    assert_int_equal(out->nonce, 77);
    if (out->statement.size > 0)
        assert_ok(bft_signed_decode(statement, &proof, &asker, out->statement));
    bench->now_ms += bench->config.retransmit_ms;
    return true;
}

static void answer__gives_back_what_the_asker_lacks(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    bench_open(&bench, 1);
    accept(&bench, 1, "a");
    turn_ends(&bench);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0)));
    assert_int_equal(recall.statement.size, 0); /* it said nothing yet */
    assert_int_equal(recall.reach_seq, 1);
    vote(&bench, BFT_PREPARE, 3, 2, "b");
    vote(&bench, BFT_PREPARE, 3, 1, "a");
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0)));
    assert_int_equal(word.type, BFT_PREPARE);
    assert_int_equal(word.seq, 2);
    assert_int_equal(recall.reach_seq, 2);
    /* A gap below the newest is found, too. */
    vote(&bench, BFT_PREPARE, 3, 5, "e");
    vote(&bench, BFT_PREPARE, 3, 4, "d");
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0x13)));
    assert_int_equal(word.seq, 4);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0x1b)));
    assert_int_equal(recall.statement.size, 0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 5, 0)));
    assert_int_equal(recall.statement.size, 0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 1, false, 0, 0)));
    assert_int_equal(recall.statement.size, 0);
    bench_close(&bench);
}

/* The newest word of each is remembered across views, and those in certificates across a restart. */
static void answer__remembers_votes_of_views_that_were_left(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    static struct changes changes;
    bench_open(&bench, 1);
    prepare(&bench, 1, "a");
    vote(&bench, BFT_PREPARE, 3, 3, "c");
    time_out(&bench, &changes);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 1)));
    assert_int_equal(word.seq, 3);
    restart(&bench);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0))); /* also while it asks itself */
    assert_int_equal(word.type, BFT_PREPARE);
    assert_int_equal(word.seq, 1);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 1)));
    assert_int_equal(recall.statement.size, 0);
    bench_close(&bench);
}

/* A promise that comes when the view is installed without it is of no use but this. */
static void answer__remembers_a_promise_that_came_late(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    static struct changes changes;
    bench_open(&bench, 2);
    vote(&bench, BFT_PREPARE, 3, 7, "g");
    time_out(&bench, &changes);
    change(&bench, &changes, 0, 1, 0, NULL, 0);
    change(&bench, &changes, 1, 1, 0, NULL, 0);
    new_view(&bench, &changes, 1, 0, NULL, 0);
    turn_ends(&bench);
    assert_int_equal(status_of(&bench).view, 1);
    assert_false(status_of(&bench).changing);
    assert_ok(receive(&bench, 3, make_view_change(&bench.config, 3, 1, 0, NULL, 0)));
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0x40)));
    assert_int_equal(word.type, BFT_VIEW_CHANGE);
    assert_int_equal(word.view, 1);
    assert_int_equal(recall.reach_seq, 7); /* and how far it had gone before */
    bench_close(&bench);
}

static void answer__gives_back_promises_and_new_views(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    static struct changes changes;
    bench_open(&bench, 1);
    change(&bench, &changes, 3, 3, 0, NULL, 0);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 2, false, 0, 0)));
    assert_int_equal(word.type, BFT_VIEW_CHANGE);
    assert_int_equal(word.view, 3);
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, true, 0, 0)));
    assert_int_equal(recall.statement.size, 0);
    change(&bench, &changes, 2, 3, 0, NULL, 0);
    turn_ends(&bench);
    (void) changes_keep(&changes, 1, sent_message(&bench, BFT_VIEW_CHANGE));
    new_view(&bench, &changes, 3, 0, NULL, 0); /* its primary is who asks */
    for (int installed = 0; installed < 2; installed++) {
        assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, true, 0, 0)));
        assert_int_equal(word.type, BFT_NEW_VIEW);
        assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, false, 0, 0)));
        assert_int_equal(recall.statement.size, 0);
        turn_ends(&bench);
    }
    assert_int_equal(status_of(&bench).view, 3);
    /* And its proposals there. */
    assert_ok(receive(&bench, 3, make_pre_prepare(&bench.config, 3, 3, 1, "a")));
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 3, false, 0, 0)));
    assert_int_equal(word.type, BFT_PRE_PREPARE);
    assert_int_equal(word.seq, 1);
    bench_close(&bench);
}

static void answer__proves_how_far_all_are(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    bench_open(&bench, 1);
    for (uint64_t seq = 1; seq <= 4; seq++)
        decide(&bench, seq, "a");
    host_attested(&bench.host, 4, bench.now_ms);
    /* A liar's word for a seq that nobody can have reached counts as far as two windows. */
    assert_ok(receive(&bench, 2, make_vote(&bench.config, BFT_PREPARE, 2, 500, "z")));
    assert_true(answer(&bench, &recall, &word, make_ask(&bench, 3, 0, false, 0, 0)));
    assert_int_equal(recall.stable_seq, 4);
    assert_int_equal(recall.reach_seq, 4 + 2 * 8);
    bench_close(&bench);
}

static void answer__costs_little_however_often_it_is_asked_for(void **state) {
    (void) state;
    struct bench bench;
    struct bft_recall recall;
    struct bft_statement word;
    bench_open(&bench, 1);
    struct ord_span ask = make_ask(&bench, 3, 0, false, 0, 0);
    assert_true(answer(&bench, &recall, &word, ask));
    assert_true(answer(&bench, &recall, &word, ask));
    bench.now_ms -= bench.config.retransmit_ms;
    for (int i = 0; i < 20; i++)
        assert_false(answer(&bench, &recall, &word, ask));
    assert_int_equal(status_of(&bench).messages_dropped, 20);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(start__asks_before_it_speaks),
    cmocka_unit_test(asking__takes_no_part),
    cmocka_unit_test(asking__counts_each_replica_once),
    cmocka_unit_test(asking__takes_no_answer_to_an_earlier_life),
    cmocka_unit_test(door__refuses_answers_that_prove_nothing),
    cmocka_unit_test(empty_disk__is_silent_where_something_is_stable),
    cmocka_unit_test(empty_disk__of_a_new_network_goes_on),
    cmocka_unit_test(empty_disk__is_remembered_by_a_restart),
    cmocka_unit_test(intact__goes_on_with_its_votes),
    cmocka_unit_test(intact__binds_nothing_to_what_is_stable_elsewhere),
    cmocka_unit_test(old_image__is_proven_by_a_word_that_it_lacks),
    cmocka_unit_test(old_image__that_changes_views),
    cmocka_unit_test(old_image__is_proven_at_any_time),
    cmocka_unit_test(silence__survives_a_restart),
    cmocka_unit_test(silence__cannot_be_drawn_out),
    cmocka_unit_test(silence__follows_to_a_view_that_rests_on_its_own_word),
    cmocka_unit_test(silence__follows_past_a_view_change_far_ahead),
    cmocka_unit_test(asking__remembers_who_has_gone_on),
    cmocka_unit_test(silence__of_a_primary),
    cmocka_unit_test(intact__primary_that_is_behind_what_it_proposed_again),
    cmocka_unit_test(silence__lasts_until_its_view_is_there),
    cmocka_unit_test(answer__gives_back_what_the_asker_lacks),
    cmocka_unit_test(answer__remembers_votes_of_views_that_were_left),
    cmocka_unit_test(answer__remembers_a_promise_that_came_late),
    cmocka_unit_test(answer__gives_back_promises_and_new_views),
    cmocka_unit_test(answer__proves_how_far_all_are),
    cmocka_unit_test(answer__costs_little_however_often_it_is_asked_for),
};
TEST_CASES(cases);
