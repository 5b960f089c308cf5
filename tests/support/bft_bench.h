/*
 * One PBFT core on a small node, and helpers for the events that happen to it. The unit tests of single rules are
 * written with these.
 */
#ifndef ORDAIN_TESTS_BFT_BENCH_H
#define ORDAIN_TESTS_BFT_BENCH_H

#include "tests/support/bft_support.h"
#include "tests/support/test_main.h"

struct bench {
    struct host host;
    struct ord_core_config config;
    uint64_t now_ms;
};

/* Starts a core of replica `self`; the turn of its START is over. */
static inline void bench_open(struct bench *bench, ord_node_id self) {
    memset(bench, 0, sizeof(*bench));
    bench->config = test_config(self);
    bench->now_ms = 1000;
    host_init(&bench->host, &bench->config);
    assert_ok(host_start(&bench->host, bench->now_ms));
    host_flush(&bench->host, bench->now_ms);
    host_commit(&bench->host);
    host_sends_clear(&bench->host);
}

static inline void bench_close(struct bench *bench) {
    host_deinit(&bench->host);
}

/* Eight batches of the largest size, and certificates for them: seq i + 1 has batch i. */
struct large {
    char batches[8][65];
    struct ord_hash digests[8];
    struct prepared prepared[8];
};

static inline void large_fill(struct large *large) {
    for (uint32_t i = 0; i < 8; i++) {
        memset(large->batches[i], (int) ('a' + i), 64);
        large->batches[i][64] = 0;
        large->digests[i] = digest_of(large->batches[i]);
        large->prepared[i] = (struct prepared) {.seq = i + 1, .digest = large->digests[i]};
    }
}

/* Like bench_open, with memory for four such batches and as many again for a new view. */
static inline void bench_open_tight(struct bench *bench, ord_node_id self, uint32_t window) {
    memset(bench, 0, sizeof(*bench));
    bench->config = test_config(self);
    bench->config.window = window;
    bench->config.body_bytes_max = 256;
    bench->now_ms = 1000;
    host_init(&bench->host, &bench->config);
    assert_ok(host_start(&bench->host, bench->now_ms));
}

static inline enum ord_err receive(struct bench *bench, ord_node_id from, struct ord_span bytes) {
    return host_receive(&bench->host, from, bytes, bench->now_ms);
}

static inline void turn_ends(struct bench *bench) {
    host_sends_clear(&bench->host);
    host_flush(&bench->host, bench->now_ms);
    host_commit(&bench->host);
}

static inline void pre_prepare(struct bench *bench, uint64_t seq, const char *batch) {
    assert_ok(receive(bench, 0, make_pre_prepare(&bench->config, 0, 0, seq, batch)));
}

static inline void accept(struct bench *bench, uint64_t seq, const char *batch) {
    pre_prepare(bench, seq, batch);
    assert_true(bench->host.judge_count > 0);
    host_judge(&bench->host, bench->host.judge_count - 1, true, bench->now_ms);
}

static inline void vote(struct bench *bench, enum bft_type type, ord_node_id from, uint64_t seq, const char *batch) {
    assert_ok(receive(bench, from, make_vote(&bench->config, type, from, seq, batch)));
}

/* Prepares seq at backup 1 with the vote of replica 3, so that it has a certificate for the batch. */
static inline void prepare(struct bench *bench, uint64_t seq, const char *batch) {
    accept(bench, seq, batch);
    vote(bench, BFT_PREPARE, 3, seq, batch);
    turn_ends(bench);
}

/* Decides seq at backup 1 with the votes of replicas 2 and 0. */
static inline void decide(struct bench *bench, uint64_t seq, const char *batch) {
    accept(bench, seq, batch);
    turn_ends(bench);
    vote(bench, BFT_PREPARE, 2, seq, batch);
    vote(bench, BFT_COMMIT, 2, seq, batch);
    vote(bench, BFT_COMMIT, 0, seq, batch);
    turn_ends(bench);
    assert_int_equal(bench->host.applied, seq);
}

static inline struct ord_status status_of(const struct bench *bench) {
    struct ord_status status;
    bft_pbft.status(bench->host.core, &status);
    return status;
}

static inline const struct bft_detail *detail_of(const struct bench *bench) {
    return status_of(bench).detail;
}

/* Counts the messages of a type that the last turn sent; `list` gets the votes of the last such message. */
static inline size_t sent(struct bench *bench, enum bft_type type, struct bft_vote_list *list) {
    size_t count = 0;
    for (size_t i = 0; i < bench->host.send_count; i++) {
        struct ord_span bytes = ord_span_of(bench->host.sends[i].data, bench->host.sends[i].size);
        if (bytes.data[0] != type)
            continue;
        count++;
        if (list != NULL)
            assert_ok(bft_vote_list_decode(list, &bench->config, bytes));
    }
    return count;
}

static inline size_t on_disk(const struct bench *bench, uint8_t table) {
    size_t count = 0;
    for (size_t i = 0; i < bench->host.disk.count; i++)
        count += bench->host.disk.items[i].table == table;
    return count;
}

static inline void tick(struct bench *bench, uint64_t now_ms) {
    bench->now_ms = now_ms;
    struct ord_event event = {.type = ORD_EVENT_TICK, .now_ms = now_ms};
    assert_ok(host_step(&bench->host, &event));
}

/* View changes of one view, by sender; a NEW-VIEW rests on them. */
struct changes {
    struct ord_span of[ORD_REPLICA_MAX];
    uint8_t bytes[4][TEST_VIEW_CHANGE_SIZE];
};

static inline struct ord_span changes_keep(struct changes *changes, ord_node_id sender, struct ord_span bytes) {
    assert_true(sender < 4 && bytes.size <= TEST_VIEW_CHANGE_SIZE);
    if (bytes.size > 0)
        memcpy(changes->bytes[sender], bytes.data, bytes.size);
    changes->of[sender] = ord_span_of(changes->bytes[sender], bytes.size);
    return changes->of[sender];
}

/* The last message of a type that was sent since the sends were cleared; there must be one. */
static inline struct ord_span sent_message(const struct bench *bench, enum bft_type type) {
    for (size_t i = bench->host.send_count; i > 0; i--)
        if (bench->host.sends[i - 1].data[0] == type)
            return ord_span_of(bench->host.sends[i - 1].data, bench->host.sends[i - 1].size);
    fail_msg("no message of type %d was sent", (int) type);
    return ord_span_of(NULL, 0);
}

/* Another replica says that it suspects the primary of this replica's view, or gives up the change to that view. */
static inline void suspect(struct bench *bench, ord_node_id from) {
    const struct ord_status status = status_of(bench);
    enum bft_mood mood = status.changing ? BFT_GIVES_UP : BFT_SUSPECTS;
    assert_ok(receive(bench, from, make_mood_status(&bench->config, from, status.view, mood, 0)));
}

/* All other backups say so: enough for this replica to leave the view. */
static inline void all_suspect(struct bench *bench) {
    ord_node_id primary = bft_primary(&bench->config, status_of(bench).view);
    for (ord_node_id node = 0; node < bench->config.replica_count; node++)
        if (node != bench->config.self && node != primary)
            suspect(bench, node);
}

/*
 * Work waits until the first timeout has passed, at all other backups as well. The turn then ends with a VIEW-CHANGE,
 * which goes to `changes`.
 */
static inline void time_out(struct bench *bench, struct changes *changes) {
    uint64_t view = status_of(bench).view;
    host_work(&bench->host, bench->now_ms, bench->now_ms);
    tick(bench, bench->now_ms + test_options.request_timeout_ms);
    all_suspect(bench);
    turn_ends(bench);
    assert_int_equal(status_of(bench).view, view + 1);
    assert_true(status_of(bench).changing);
    (void) changes_keep(changes, bench->config.self, sent_message(bench, BFT_VIEW_CHANGE));
}

/* A VIEW-CHANGE of another replica arrives. */
static inline void change(struct bench *bench, struct changes *changes, ord_node_id from, uint64_t view,
                          uint64_t stable_seq, const struct prepared *prepared, uint32_t count) {
    struct ord_span bytes = make_view_change(&bench->config, from, view, stable_seq, prepared, count);
    assert_ok(receive(bench, from, changes_keep(changes, from, bytes)));
}

/* The NEW-VIEW of the view's primary arrives; it rests on the view changes in `changes`. */
static inline void new_view(struct bench *bench, const struct changes *changes, uint64_t view, uint64_t base_seq,
                            const struct ord_hash *digests, uint32_t count) {
    struct ord_span bytes = make_new_view(&bench->config, view, base_seq, digests, count, changes->of);
    assert_ok(receive(bench, bft_primary(&bench->config, view), bytes));
}

static inline void vote_in(struct bench *bench, enum bft_type type, ord_node_id from, uint64_t view, uint64_t seq,
                           const struct ord_hash *digest) {
    assert_ok(receive(bench, from, make_vote_in(&bench->config, type, from, view, seq, digest)));
}

#endif
