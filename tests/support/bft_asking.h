/*
 * For tests of replicas that may have forgotten their statements: a bench with one replica that asks, and makers of ASK
 * and RECALL.
 */
#ifndef ORDAIN_TESTS_BFT_ASKING_H
#define ORDAIN_TESTS_BFT_ASKING_H

#include "tests/support/bft_bench.h"

/* Starts replica `self`, which asks. The messages that it sent are kept. */
static inline void open_asking(struct bench *bench, ord_node_id self) {
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

static inline void restart(struct bench *bench) {
    host_crash(&bench->host);
    bench->host.asks = true;
    bench->host.forgets = true;
    assert_ok(host_start(&bench->host, bench->now_ms));
    host_flush(&bench->host, bench->now_ms);
    host_commit(&bench->host);
    host_sends_clear(&bench->host);
}

static inline struct ord_span make_recall_with(const struct bench *bench, ord_node_id from, uint64_t nonce,
                                               uint64_t stable_seq, uint64_t reach_seq, struct ord_span statement,
                                               struct ord_span certificates) {
    static uint8_t bytes[2048];
    uint8_t checkpoint[STAND_IN_CHECKPOINT_SIZE];
    const struct bft_recall recall = {
        .sender = from,
        .nonce = nonce,
        .stable_seq = stable_seq,
        .certificate =
            stable_seq == 0 ? ord_span_of(NULL, 0) : stand_in_checkpoint(checkpoint, bench->config.crypto, stable_seq),
        .reach_seq = reach_seq,
        .statement = statement,
        .certificates = certificates};
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_recall_encode(&writer, &bench->config, 0, &recall);
    assert_false(writer.failed);
    return ord_writer_span(&writer);
}

static inline struct ord_span make_recall(const struct bench *bench, ord_node_id from, uint64_t nonce,
                                          uint64_t stable_seq, uint64_t reach_seq, struct ord_span statement) {
    return make_recall_with(bench, from, nonce, stable_seq, reach_seq, statement, ord_span_of(NULL, 0));
}

/* Replica `from` answers the ASK. `said` NULL: it knows no statement that the ASK did not cover. */
static inline enum ord_err recall(struct bench *bench, ord_node_id from, uint64_t stable_seq, uint64_t reach_seq,
                                  const struct statement *said) {
    uint8_t bytes[BFT_SIGNED_VOTE_SIZE_MAX];
    struct ord_span statement = ord_span_of(NULL, 0);
    if (said != NULL)
        statement = make_statement(bytes, &bench->config, said);
    return receive(bench, from, make_recall(bench, from, bench->host.starts, stable_seq, reach_seq, statement));
}

static inline struct ord_span make_ask(const struct bench *bench, ord_node_id from, uint64_t view, bool changing,
                                       uint64_t stable_seq, uint8_t words) {
    static uint8_t bytes[64];
    const struct bft_ask ask = {.view = view,
                                .sender = from,
                                .nonce = 77,
                                .changing = changing,
                                .stable_seq = stable_seq,
                                .words = &words,
                                .prepared = &words};
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_ask_encode(&writer, &bench->config, &ask);
    assert_false(writer.failed);
    return ord_writer_span(&writer);
}

static inline bool speaks(const struct bench *bench) {
    struct ord_status status = status_of(bench);
    return !status.asking && !status.silent;
}

/* Counts the messages of the last turn that others could hold against this replica. */
static inline size_t words_sent(struct bench *bench) {
    return sent(bench, BFT_PRE_PREPARE, NULL) + sent(bench, BFT_PREPARE, NULL) + sent(bench, BFT_COMMIT, NULL) +
           sent(bench, BFT_VIEW_CHANGE, NULL) + sent(bench, BFT_NEW_VIEW, NULL);
}

#endif
