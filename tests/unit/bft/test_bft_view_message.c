/*
 * The door for VIEW-CHANGE, NEW-VIEW and the RELAY of them: bft/wire/view_message.c. Rows T5, T6, V2, V4, V5 and V9 in
 * docs/adversary.md.
 */
#include "tests/support/bft_support.h"
#include "tests/support/test_main.h"

static enum ord_err authenticate(ord_node_id from, struct ord_span bytes) {
    struct ord_core_config config = test_config(1);
    struct ord_verified verified;
    /* Copy it to an exact size, so that a read beyond the end is noticed. */
    uint8_t *copy = malloc(bytes.size + 1);
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.size);
    enum ord_err err = bft_pbft.authenticate(&verified, &config, from, ord_span_of(copy, bytes.size));
    free(copy);
    return err;
}

/* Makes a VIEW-CHANGE of replica 2 from parts, with a valid signature. */
static struct ord_span change_of(uint64_t view, uint64_t stable_seq, struct ord_span checkpoint,
                                 struct ord_span certificates, uint32_t count) {
    static uint8_t bytes[TEST_VIEW_CHANGE_SIZE];
    struct ord_core_config config = test_config(2);
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    struct ord_hash hash;
    size_t count_at;
    bft_view_change_begin(&writer, &count_at, &config, view, stable_seq, checkpoint);
    ord_write_span(&writer, certificates);
    bft_view_change_end(&writer, count_at, count, &hash, &config, view);
    return sign_view_message(&writer, &config, BFT_VIEW_CHANGE, view, 2);
}

/* Certificates, one after the other. */
struct chain {
    uint8_t bytes[16384];
    size_t size;
    uint32_t count;
};

static void chain_add(struct chain *chain, uint64_t seq, uint64_t view) {
    struct ord_core_config config = test_config(2);
    const struct prepared prepared = {.seq = seq, .view = view, .digest = digest_of("x")};
    chain->size += make_certificate(chain->bytes + chain->size, sizeof(chain->bytes) - chain->size, &config, &prepared);
    chain->count++;
}

static enum ord_err offer(const struct chain *chain, uint64_t view, uint64_t stable_seq) {
    uint8_t checkpoint[STAND_IN_CHECKPOINT_SIZE];
    struct ord_span proof =
        stable_seq == 0 ? ord_span_of(NULL, 0) : stand_in_checkpoint(checkpoint, &test_crypto, stable_seq);
    return authenticate(2, change_of(view, stable_seq, proof, ord_span_of(chain->bytes, chain->size), chain->count));
}

static void view_change__has_certificates_of_its_window_and_of_earlier_views(void **state) {
    (void) state;
    static struct chain chain;
    chain = (struct chain) {0};
    assert_ok(offer(&chain, 3, 0));
    assert_err(offer(&chain, 0, 0), ORD_ERR_INVALID); /* no replica moves to view 0 */
    chain_add(&chain, 5, 2);
    chain_add(&chain, 6, 0);
    chain_add(&chain, 12, 1);
    assert_ok(offer(&chain, 3, 4));
    assert_err(offer(&chain, 3, 5), ORD_ERR_INVALID); /* one certificate is for a stable seq */
    assert_err(offer(&chain, 3, 3), ORD_ERR_INVALID); /* one is beyond the window */
    assert_err(offer(&chain, 2, 4), ORD_ERR_INVALID); /* one is of the view that it moves to */
    chain.count = 2;
    assert_err(offer(&chain, 3, 4), ORD_ERR_INVALID);
    chain.count = 4;
    assert_err(offer(&chain, 3, 4), ORD_ERR_INVALID);
    chain.count = 9; /* more than the window has seqs */
    assert_err(offer(&chain, 3, 4), ORD_ERR_INVALID);
    chain = (struct chain) {0};
    chain_add(&chain, 5, 0);
    chain_add(&chain, 5, 1); /* the same seq twice */
    assert_err(offer(&chain, 3, 4), ORD_ERR_INVALID);
    chain = (struct chain) {0};
    chain_add(&chain, 6, 0);
    chain_add(&chain, 5, 0);
    assert_err(offer(&chain, 3, 4), ORD_ERR_INVALID);
}

/* V4: one vote too few, one vote twice, a vote of the primary, votes for another digest or view, a bad signature. */
static void view_change__with_a_forged_certificate_is_refused(void **state) {
    (void) state;
    struct ord_core_config config = test_config(2);
    for (int forgery = 0; forgery < 9; forgery++) {
        static struct chain chain;
        struct bft_statement bound = {
            .type = BFT_PRE_PREPARE, .view = 1, .seq = 5, .digest = digest_of("x"), .sender = 1};
        struct bft_proof proof = sign_alone(&config, &bound);
        struct bft_statement vote = bound;
        struct bft_proof proofs[3];
        ord_node_id senders[3] = {0, 3, 3};
        uint32_t count = 2;
        vote.type = BFT_PREPARE;
        if (forgery == 1)
            count = 1;
        if (forgery == 2)
            senders[1] = 0;
        if (forgery == 3)
            senders[1] = 1;
        if (forgery == 8)
            count = 3;
        for (uint32_t i = 0; i < count; i++) {
            vote.sender = senders[i];
            vote.view = forgery == 4 && i == 1 ? 0 : 1;
            vote.digest = digest_of(forgery == 5 && i == 1 ? "y" : "x");
            vote.type = forgery == 6 && i == 1 ? BFT_PRE_PREPARE : BFT_PREPARE;
            proofs[i] = sign_alone(&config, &vote);
        }
        if (forgery == 7)
            proof.signature.bytes[5] ^= 1;
        const struct bft_certificate_vote votes[] = {
            {senders[0], &proofs[0]}, {senders[1], &proofs[1]}, {senders[2], &proofs[2]}};
        chain.size = bft_certificate_encode(chain.bytes, sizeof(chain.bytes), &config, &bound, &proof, votes, count);
        chain.count = 1;
        enum ord_err err = offer(&chain, 3, 4);
        if (forgery == 0)
            assert_ok(err);
        else if (forgery >= 4 && forgery <= 7)
            assert_err(err, ORD_ERR_BAD_SIGNATURE);
        else
            assert_err(err, ORD_ERR_INVALID);
    }
}

/* V5: the certificate must prove the stable seq that the message claims. */
static void view_change__with_a_forged_checkpoint_is_refused(void **state) {
    (void) state;
    uint8_t checkpoint[STAND_IN_CHECKPOINT_SIZE + 1] = {0};
    const struct ord_span none = ord_span_of(NULL, 0);
    struct ord_span proof = stand_in_checkpoint(checkpoint, &test_crypto, 4);
    assert_ok(authenticate(2, change_of(1, 4, proof, none, 0)));
    assert_err(authenticate(2, change_of(1, 5, proof, none, 0)), ORD_ERR_INVALID); /* proves another seq */
    assert_err(authenticate(2, change_of(1, 0, proof, none, 0)), ORD_ERR_INVALID); /* proves what is not claimed */
    assert_err(authenticate(2, change_of(1, 4, none, none, 0)), ORD_ERR_INVALID);
    assert_err(authenticate(2, change_of(1, 4, ord_span_of(checkpoint, sizeof(checkpoint)), none, 0)), ORD_ERR_INVALID);
    checkpoint[12] ^= 1;
    assert_err(authenticate(2, change_of(1, 4, proof, none, 0)), ORD_ERR_BAD_SIGNATURE);
    assert_err(authenticate(2, change_of(1, UINT64_MAX, proof, none, 0)), ORD_ERR_INVALID);
}

/* V2: a view near the end of the numbers is refused, or kept without wrapping around. */
static void view__near_the_end_of_numbers_is_refused_or_kept_whole(void **state) {
    (void) state;
    const struct ord_span none = ord_span_of(NULL, 0);
    assert_ok(authenticate(2, change_of(BFT_SEQ_MAX, 0, none, none, 0)));
    assert_err(authenticate(2, change_of(BFT_SEQ_MAX + 1, 0, none, none, 0)), ORD_ERR_INVALID);
    assert_err(authenticate(2, change_of(UINT64_MAX, 0, none, none, 0)), ORD_ERR_INVALID);
}

/* Makes a NEW-VIEW of view 6, which replica 2 leads, from parts, with a valid signature. */
struct cited {
    ord_node_id sender;
    struct ord_hash digest;
};

static enum ord_err offer_new_view(uint64_t view, ord_node_id sender, uint64_t base_seq, const struct cited *cited,
                                   uint8_t count) {
    static uint8_t bytes[4096];
    struct ord_core_config config = test_config(1);
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_header_write(&writer, &config, BFT_NEW_VIEW, view, sender);
    ord_write_u64(&writer, base_seq);
    ord_write_u32(&writer, 0);
    ord_write_u8(&writer, count);
    for (uint8_t i = 0; i < count; i++) {
        ord_write_u32(&writer, cited[i].sender);
        ord_write_hash(&writer, &cited[i].digest);
    }
    return authenticate(sender, sign_view_message(&writer, &config, BFT_NEW_VIEW, view, sender));
}

/* V9: a NEW-VIEW names a quorum of distinct replicas, in rising order. */
static void new_view__names_a_quorum_of_distinct_replicas(void **state) {
    (void) state;
    const struct cited good[] = {{.sender = 0}, {.sender = 1}, {.sender = 3}};
    const struct cited all[] = {{.sender = 0}, {.sender = 1}, {.sender = 2}, {.sender = 3}, {.sender = 3}};
    const struct cited twice[] = {{.sender = 0}, {.sender = 3}, {.sender = 3}};
    const struct cited falling[] = {{.sender = 0}, {.sender = 3}, {.sender = 1}};
    const struct cited stranger[] = {{.sender = 0}, {.sender = 1}, {.sender = 4}};
    assert_ok(offer_new_view(6, 2, 0, good, 3));
    assert_ok(offer_new_view(6, 2, 0, all, 4));
    assert_err(offer_new_view(6, 2, 0, all, 5), ORD_ERR_INVALID);
    assert_err(offer_new_view(6, 2, 0, good, 2), ORD_ERR_INVALID);
    assert_err(offer_new_view(6, 2, 0, good, 0), ORD_ERR_INVALID);
    assert_err(offer_new_view(6, 2, 0, twice, 3), ORD_ERR_INVALID);
    assert_err(offer_new_view(6, 2, 0, falling, 3), ORD_ERR_INVALID);
    assert_err(offer_new_view(6, 2, 0, stranger, 3), ORD_ERR_INVALID);
    assert_err(offer_new_view(6, 3, 0, good, 3), ORD_ERR_INVALID); /* not the primary of view 6 */
    assert_err(offer_new_view(0, 0, 0, good, 3), ORD_ERR_INVALID); /* no replica can have changed to view 0 */
    assert_ok(offer_new_view(6, 2, BFT_SEQ_MAX - 8, good, 3));
    /* Its window would not end within the numbers. */
    assert_err(offer_new_view(6, 2, BFT_SEQ_MAX - 7, good, 3), ORD_ERR_INVALID);
}

/* More entries than one tree holds: each tree has its own signature, and each digest counts. */
static void new_view__signs_its_entries_in_chunks(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    struct ord_verified verified;
    static struct ord_hash digests[130];
    static uint8_t changes[4][1024];
    struct ord_span of[4] = {0};
    config.window = 200;
    for (uint32_t i = 0; i < 130; i++)
        ord_store_u32(digests[i].bytes, i);
    for (ord_node_id node = 0; node < 3; node++) {
        struct ord_span bytes = make_view_change(&config, node, 6, 0, NULL, 0);
        memcpy(changes[node], bytes.data, bytes.size);
        of[node] = ord_span_of(changes[node], bytes.size);
    }
    static uint8_t bytes[16384];
    struct ord_span made = make_new_view(&config, 6, 0, digests, 130, of);
    memcpy(bytes, made.data, made.size);
    assert_ok(bft_pbft.authenticate(&verified, &config, 2, ord_span_of(bytes, made.size)));
    struct bft_new_view view;
    assert_ok(bft_new_view_decode(&view, &config, ord_span_of(bytes, made.size)));
    assert_int_equal(view.count, 130);
    static const uint32_t counts[] = {64, 64, 2};
    for (uint32_t chunk = 0; chunk < 3; chunk++) {
        struct bft_vote_list list;
        bft_new_view_list(&list, &view, chunk);
        assert_int_equal(list.count, counts[chunk]);
        assert_int_equal(list.votes[0].seq, 64 * chunk + 1);
        /* A bad signature of entries, under a valid signature of the NEW-VIEW. */
        size_t at = BFT_HEADER_SIZE + 8 + 4 + 130 * ORD_HASH_SIZE + (size_t) chunk * ORD_SIGNATURE_SIZE;
        bytes[at] ^= 1;
        struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
        writer.size = made.size - ORD_SIGNATURE_SIZE;
        struct ord_span again = sign_view_message(&writer, &config, BFT_NEW_VIEW, 6, 2);
        assert_err(bft_pbft.authenticate(&verified, &config, 2, again), ORD_ERR_BAD_SIGNATURE);
        bytes[at] ^= 1;
    }
}

/*
 * T5, T6: a VIEW-CHANGE comes from its sender, or in a RELAY from any replica. The content of a RELAY convinces by
 * itself.
 */
static void relay__holds_a_proposal_or_a_message_of_views(void **state) {
    (void) state;
    struct ord_core_config config = test_config(1);
    struct ord_core_config other = test_config(1);
    assert_err(authenticate(3, make_view_change(&config, 2, 1, 0, NULL, 0)), ORD_ERR_FORBIDDEN);
    assert_err(authenticate(1, make_view_change(&config, 1, 1, 0, NULL, 0)), ORD_ERR_FORBIDDEN);
    assert_ok(authenticate(3, make_relay(&config, 3, make_view_change(&config, 2, 1, 0, NULL, 0))));
    assert_ok(authenticate(3, make_relay(&config, 3, make_view_change(&config, 3, 1, 0, NULL, 0))));
    assert_err(authenticate(2, make_relay(&config, 3, make_view_change(&config, 2, 1, 0, NULL, 0))), ORD_ERR_FORBIDDEN);
    assert_err(authenticate(3, make_relay(&config, 3, ord_span_of(NULL, 0))), ORD_ERR_INVALID);
    assert_err(authenticate(3, make_relay(&config, 3, make_vote(&config, BFT_PREPARE, 2, 1, "x"))), ORD_ERR_INVALID);
    assert_err(authenticate(3, make_relay(&config, 3, make_pre_prepare(&config, 1, 0, 1, "x"))), ORD_ERR_FORBIDDEN);
    assert_ok(authenticate(3, make_relay(&config, 3, make_pre_prepare(&config, 0, 0, 1, "x"))));
    assert_err(authenticate(3, make_relay(&config, 3, make_status(&config, 2, 0, 0, 0))), ORD_ERR_INVALID);
    static uint8_t bytes[1024];
    struct ord_span inner = make_relay(&config, 3, make_view_change(&config, 2, 1, 0, NULL, 0));
    memcpy(bytes, inner.data, inner.size);
    assert_err(authenticate(3, make_relay(&config, 3, ord_span_of(bytes, inner.size))), ORD_ERR_INVALID);
    bytes[inner.size - 1] ^= 1;
    assert_err(authenticate(3, ord_span_of(bytes, inner.size)), ORD_ERR_BAD_SIGNATURE);
    other.epoch++;
    assert_err(authenticate(3, make_relay(&config, 3, make_view_change(&other, 2, 1, 0, NULL, 0))), ORD_ERR_MISMATCH);
    other = config;
    other.genesis_hash.bytes[31]++; /* the first 8 bytes are the same */
    assert_err(authenticate(2, make_view_change(&other, 2, 1, 0, NULL, 0)), ORD_ERR_BAD_SIGNATURE);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(view_change__has_certificates_of_its_window_and_of_earlier_views),
    cmocka_unit_test(view_change__with_a_forged_certificate_is_refused),
    cmocka_unit_test(view_change__with_a_forged_checkpoint_is_refused),
    cmocka_unit_test(view__near_the_end_of_numbers_is_refused_or_kept_whole),
    cmocka_unit_test(new_view__names_a_quorum_of_distinct_replicas),
    cmocka_unit_test(new_view__signs_its_entries_in_chunks),
    cmocka_unit_test(relay__holds_a_proposal_or_a_message_of_views),
};
TEST_CASES(cases);
