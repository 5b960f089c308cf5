/*
 * ASK and RECALL at the door and behind it: every form that docs/protocol.md does not define is refused. Rows T1 and
 * V16 in docs/adversary.md. test_bft_silence.c and test_bft_recall.c test the effects of well-formed ones.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_asking.h"

enum { WINDOW = 12, SIZE_MAX_HERE = 1024 };

/* Offsets of the fields of an ASK and of a RECALL. */
enum {
    ASK_CHANGING_AT = BFT_HEADER_SIZE + 8,
    ASK_STABLE_AT = ASK_CHANGING_AT + 1,
    ASK_WORDS_AT = ASK_STABLE_AT + 8,
    ASK_PREPARED_AT = ASK_WORDS_AT + 2,
    RECALL_STABLE_AT = BFT_HEADER_SIZE + 8,
    RECALL_CERTIFICATE_AT = RECALL_STABLE_AT + 8 + 4,
    RECALL_REACH_AT = RECALL_CERTIFICATE_AT + STAND_IN_CHECKPOINT_SIZE,
    RECALL_STATEMENT_AT = RECALL_REACH_AT + 8 + 4,
};

/* A window whose bitmap does not fill its last byte. */
static struct ord_core_config narrow_config(void) {
    struct ord_core_config config = test_config(1);
    config.window = WINDOW;
    return config;
}

static enum ord_err at_door(ord_node_id from, struct ord_span bytes) {
    const struct ord_core_config config = narrow_config();
    struct ord_verified verified;
    return bft_pbft.authenticate(&verified, &config, from, bytes);
}

/*
 * The fullest valid ASK: from replica 3, which is changing to view 2 and has made a statement for every seq of its
 * window.
 */
static size_t good_ask(uint8_t out[SIZE_MAX_HERE]) {
    const struct ord_core_config config = narrow_config();
    static const uint8_t words[] = {0xff, 0x0f};
    const struct bft_ask ask = {.view = 2,
                                .sender = 3,
                                .nonce = 77,
                                .changing = true,
                                .stable_seq = BFT_SEQ_MAX,
                                .words = words,
                                .prepared = words};
    struct ord_writer writer = ord_writer_of(out, SIZE_MAX_HERE);
    bft_ask_encode(&writer, &config, &ask);
    assert_false(writer.failed);
    return writer.size;
}

/* A RECALL from replica 3 that claims `stable_seq`, with proof of `proven_seq` unless that is 0. `said` may be NULL. */
static size_t make(uint8_t out[SIZE_MAX_HERE], uint64_t stable_seq, uint64_t proven_seq, uint64_t reach_seq,
                   const struct statement *said) {
    const struct ord_core_config config = narrow_config();
    uint8_t checkpoint[STAND_IN_CHECKPOINT_SIZE];
    uint8_t statement[BFT_SIGNED_VOTE_SIZE_MAX];
    struct bft_recall recall = {.sender = 3, .nonce = 1, .stable_seq = stable_seq, .reach_seq = reach_seq};
    if (proven_seq > 0)
        recall.certificate = stand_in_checkpoint(checkpoint, config.crypto, proven_seq);
    if (said != NULL)
        recall.statement = make_statement(statement, &config, said);
    struct ord_writer writer = ord_writer_of(out, SIZE_MAX_HERE);
    bft_recall_encode(&writer, &config, 0, &recall);
    assert_false(writer.failed);
    return writer.size;
}

static const struct statement own_vote = {.type = BFT_PREPARE, .sender = 1, .seq = 5, .batch = "a"};

static void ask__that_cannot_be_is_refused(void **state) {
    (void) state;
    uint8_t bytes[SIZE_MAX_HERE];
    size_t size = good_ask(bytes);
    assert_int_equal(size, ASK_PREPARED_AT + 2);
    assert_ok(at_door(3, ord_span_of(bytes, size)));
    assert_err(at_door(2, ord_span_of(bytes, size)), ORD_ERR_FORBIDDEN); /* its answer would go to replica 3 */
    for (uint32_t changing = 2; changing < 256; changing++) {
        bytes[ASK_CHANGING_AT] = (uint8_t) changing;
        assert_err(at_door(3, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    }
    (void) good_ask(bytes);
    ord_store_u64(bytes + ASK_STABLE_AT, BFT_SEQ_MAX + 1);
    assert_err(at_door(3, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    /* A replica cannot be changing to view 0, but it can be in view 0. */
    (void) good_ask(bytes);
    ord_store_u64(bytes + BFT_HEADER_SIZE - 12, 0);
    assert_err(at_door(3, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    bytes[ASK_CHANGING_AT] = 0;
    assert_ok(at_door(3, ord_span_of(bytes, size)));
    /* Bits beyond the window are refused. */
    for (uint32_t bit = WINDOW % 8; bit < 8; bit++) {
        (void) good_ask(bytes);
        bytes[ASK_WORDS_AT + 1] |= (uint8_t) (1u << bit);
        assert_err(at_door(3, ord_span_of(bytes, size)), ORD_ERR_INVALID);
        (void) good_ask(bytes);
        bytes[ASK_PREPARED_AT + 1] |= (uint8_t) (1u << bit);
        assert_err(at_door(3, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    }
}

static void ask__of_another_length_is_refused(void **state) {
    (void) state;
    uint8_t bytes[SIZE_MAX_HERE] = {0};
    size_t size = good_ask(bytes);
    for (size_t cut = 0; cut <= size + 1; cut++)
        assert_err(at_door(3, ord_span_of(bytes, cut)), cut == size ? ORD_OK : ORD_ERR_INVALID);
}

static void recall__that_cannot_be_is_refused(void **state) {
    (void) state;
    static const struct {
        uint64_t stable_seq;
        uint64_t proven_seq;
        uint64_t reach_seq;
        enum ord_err expected;
    } forms[] = {
        {0, 0, 0, ORD_OK},
        {0, 0, 2 * WINDOW, ORD_OK},
        {0, 0, 2 * WINDOW + 1, ORD_ERR_INVALID},
        {0, 4, 4, ORD_ERR_INVALID}, /* it proves a seq that it does not claim */
        {4, 0, 4, ORD_ERR_INVALID}, /* it claims a seq without proof */
        {4, 4, 3, ORD_ERR_INVALID},
        {4, 4, 4, ORD_OK},
        {8, 4, 8, ORD_ERR_INVALID},
        {4, 8, 8, ORD_ERR_INVALID},
        {4, 4, 4 + 2 * WINDOW, ORD_OK},
        {4, 4, 4 + 2 * WINDOW + 1, ORD_ERR_INVALID},
        {BFT_SEQ_MAX, BFT_SEQ_MAX, BFT_SEQ_MAX, ORD_OK},
        {BFT_SEQ_MAX, BFT_SEQ_MAX, BFT_SEQ_MAX + 1, ORD_ERR_INVALID},
        {BFT_SEQ_MAX + 1, BFT_SEQ_MAX + 1, BFT_SEQ_MAX + 1, ORD_ERR_INVALID},
        {4, 4, UINT64_MAX, ORD_ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        uint8_t bytes[SIZE_MAX_HERE];
        size_t size = make(bytes, forms[i].stable_seq, forms[i].proven_seq, forms[i].reach_seq, NULL);
        assert_err(at_door(3, ord_span_of(bytes, size)), forms[i].expected);
    }
}

static void recall__of_another_length_is_refused(void **state) {
    (void) state;
    uint8_t bytes[SIZE_MAX_HERE] = {0};
    size_t size = make(bytes, 4, 4, 6, &own_vote);
    for (size_t cut = 0; cut <= size + 1; cut++)
        assert_err(at_door(3, ord_span_of(bytes, cut)), cut == size ? ORD_OK : ORD_ERR_INVALID);
    memset(bytes + size, 0, sizeof(bytes) - size); /* no certificate follows */
    assert_err(at_door(3, ord_span_of(bytes, sizeof(bytes))), ORD_ERR_INVALID);
    /* A certificate that reaches beyond the end, or that is longer than any certificate. */
    for (uint32_t more = 1; more < 1u << 31; more *= 2) {
        (void) make(bytes, 4, 4, 6, &own_vote);
        ord_store_u32(bytes + RECALL_CERTIFICATE_AT - 4, STAND_IN_CHECKPOINT_SIZE + more);
        assert_err(at_door(3, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    }
}

/* The parts that prove something cannot be altered. */
static void recall__with_a_flipped_bit_is_refused(void **state) {
    (void) state;
    uint8_t bytes[SIZE_MAX_HERE];
    size_t size = make(bytes, 4, 4, 6, &own_vote);
    const struct ord_span whole = ord_span_of(bytes, size);
    for (size_t at = RECALL_STABLE_AT; at < size; at++)
        for (uint32_t bit = 0; bit < 8 && !(at >= RECALL_REACH_AT && at < RECALL_STATEMENT_AT); bit++) {
            bytes[at] ^= (uint8_t) (1u << bit);
            assert_int_not_equal(at_door(3, whole), ORD_OK);
            bytes[at] ^= (uint8_t) (1u << bit);
        }
    assert_ok(at_door(3, whole));
}

/* Only a statement of the asker itself can be one that it has forgotten, whichever replica recalls it. */
static void recall__of_anybody_elses_word_is_refused(void **state) {
    (void) state;
    uint8_t bytes[SIZE_MAX_HERE];
    for (ord_node_id sender = 0; sender < 4; sender++) {
        struct statement said = own_vote;
        said.sender = sender;
        size_t size = make(bytes, 0, 0, 5, &said);
        assert_err(at_door(3, ord_span_of(bytes, size)), sender == 1 ? ORD_OK : ORD_ERR_INVALID);
    }
}

static enum ord_err give(struct bench *bench, struct ord_span bytes) {
    const struct ord_verified verified = {.from = 3, .bytes = bytes, .type = bytes.data[0]};
    const struct ord_event event = {.type = ORD_EVENT_MESSAGE, .now_ms = bench->now_ms, .message = &verified};
    return host_step(&bench->host, &event);
}

/* Each decoder checks the type itself, and what the door should have refused is refused behind it too. */
static void behind_the_door__nothing_else_counts(void **state) {
    (void) state;
    struct bench bench;
    struct bft_ask ask;
    struct bft_recall answer;
    uint8_t bytes[SIZE_MAX_HERE];
    struct ord_core_config config = narrow_config();
    size_t size = good_ask(bytes);
    assert_ok(bft_ask_decode(&ask, &config, ord_span_of(bytes, size)));
    bytes[0] = BFT_RECALL;
    assert_err(bft_ask_decode(&ask, &config, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    size = make(bytes, 4, 4, 6, &own_vote);
    assert_ok(bft_recall_decode(&answer, &config, ord_span_of(bytes, size)));
    bytes[0] = BFT_ASK;
    assert_err(bft_recall_decode(&answer, &config, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    config.epoch++;
    assert_err(bft_ask_decode(&ask, &config, ord_span_of(bytes, size)), ORD_ERR_MISMATCH);
    assert_err(bft_recall_decode(&answer, &config, ord_span_of(bytes, size)), ORD_ERR_MISMATCH);
    open_asking(&bench, 1);
    size = make(bytes, 0, 0, 5, &own_vote);
    bytes[BFT_HEADER_SIZE + 8 + 8 + 4 + 8 + 4] ^= 0xff; /* the first byte of the statement */
    assert_err(give(&bench, ord_span_of(bytes, size)), ORD_ERR_INVALID);
    assert_false(status_of(&bench).silent);
    assert_ok(recall(&bench, 2, 0, 0, NULL));
    assert_true(status_of(&bench).asking); /* replica 3 has not answered yet */
    /* Another replica's statement, which the door would have refused, silences no replica. */
    struct statement others = own_vote;
    others.sender = 2;
    size = make(bytes, 0, 0, 5, &others);
    assert_ok(give(&bench, ord_span_of(bytes, size)));
    assert_true(speaks(&bench));
    bench_close(&bench);
}

/* A message that cannot be checked yet is still wanted; the door reports what is wrong with it. */
static void unwanted__is_only_what_was_answered(void **state) {
    (void) state;
    struct bench bench;
    const struct ord_span none = ord_span_of(NULL, 0);
    open_asking(&bench, 1);
    assert_true(bft_pbft.wants(bench.host.core, make_recall(&bench, 3, 1, 0, 0, none)));
    assert_false(bft_pbft.wants(bench.host.core, make_recall(&bench, 3, 2, 0, 0, none)));
    struct ord_span nobody = make_recall(&bench, 4, 2, 0, 0, none); /* there is no such replica */
    assert_true(bft_pbft.wants(bench.host.core, nobody));
    assert_err(receive(&bench, 4, nobody), ORD_ERR_FORBIDDEN);
    bench_close(&bench);
}

static uint32_t verify_count;

static bool count_verify(const void *context, ord_node_id signer, const struct ord_hash *hash,
                         const struct ord_signature *signature) {
    (void) context;
    verify_count++;
    return stand_in_verify(&test_crypto, signer, hash, signature);
}

static enum ord_err count_checkpoint(const void *context, uint64_t *seq, struct ord_span certificate) {
    (void) context;
    verify_count++;
    return stand_in_checkpoint_verify(&test_crypto, seq, certificate);
}

/* A flood of RECALLs is charged like any other: the cost that is reported is never below the real one. */
static void cost__of_a_recall_is_an_upper_bound(void **state) {
    (void) state;
    struct bench bench;
    uint8_t said[BFT_SIGNED_VOTE_SIZE_MAX];
    const struct statement own = {.type = BFT_PREPARE, .sender = 1, .seq = 5, .batch = "a"};
    open_asking(&bench, 1);
    struct bft_options options = test_options;
    struct ord_core_config config = bench.config;
    const struct ord_crypto_ops counting = {.hash = plain_hash, .verify = count_verify, .context = NULL};
    options.checkpoints.verify = count_checkpoint;
    config.crypto = &counting;
    config.options = &options;
    struct ord_verified verified;
    struct ord_span bytes = make_recall(&bench, 3, 1, 4, 5, make_statement(said, &bench.config, &own));
    assert_ok(bft_pbft.authenticate(&verified, &config, 3, bytes));
    assert_int_equal(verify_count, 2);
    assert_true(bft_pbft.cost(bytes) >= verify_count);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(ask__that_cannot_be_is_refused),        cmocka_unit_test(ask__of_another_length_is_refused),
    cmocka_unit_test(recall__that_cannot_be_is_refused),     cmocka_unit_test(recall__of_another_length_is_refused),
    cmocka_unit_test(recall__with_a_flipped_bit_is_refused), cmocka_unit_test(recall__of_anybody_elses_word_is_refused),
    cmocka_unit_test(behind_the_door__nothing_else_counts),  cmocka_unit_test(unwanted__is_only_what_was_answered),
    cmocka_unit_test(cost__of_a_recall_is_an_upper_bound),
};
TEST_CASES(cases);
