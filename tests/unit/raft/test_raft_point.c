/* Snapshot points: certificates, cuts of the log, state transfers, and a log that is delivered in pieces. */
#include <string.h>

#include "tests/support/raft_one.h"

static uint64_t stable(const struct raft_net *net) {
    return raft_net_status(net, 0).stable_seq;
}

/* A newer certificate does not displace one that lies ahead: otherwise none would ever be reached. */
static void attested__seq_ahead_waits_until_it_is_reached(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append_up_to(net, 3, 2);
    attested(net, 6, false);
    attested(net, 8, false);
    assert_int_equal(core_of(net)->attested.seq, 6);
    attested(net, 4, false); /* reached earlier */
    assert_int_equal(core_of(net)->attested.seq, 4);
    assert_int_equal(stable(net), 0);
    append_up_to(net, 4, 4);
    assert_int_equal(stable(net), 4);
    attested(net, 3, false);
    assert_int_equal(stable(net), 4);
    assert_int_equal(ord_load_u64(raft_net_status(net, 0).stable_certificate.data), 4);
    close_one(net);
}

/* Rule 11: below each bound the log stays, at the bound it is cut. */
static void cut__is_due_when_the_log_is_large_or_long(void **state) {
    (void) state;
    static const struct {
        uint64_t snapshot_bytes;
        uint64_t last_seq; /* entries of 8 bytes, all committed */
        uint64_t seq;      /* attested */
        bool cut;
    } rows[] = {
        {24, 4, 2, false}, /* two entries have 16 bytes */
        {24, 4, 3, true},
        {0, 7, 7, false}, /* the window is 16 */
        {0, 8, 1, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct raft_net *net = open_one();
        options.snapshot_bytes = rows[i].snapshot_bytes;
        append_up_to(net, rows[i].last_seq, rows[i].last_seq);
        attested(net, rows[i].seq, false);
        assert_int_equal(stable(net), rows[i].seq);
        assert_int_equal(log_of(net)->base_seq, rows[i].cut ? rows[i].seq : 0);
        assert_int_equal(log_of(net)->last_seq, rows[i].last_seq);
        close_one(net);
    }
}

static struct raft_message large(uint64_t seq, size_t size, uint64_t commit_seq) {
    static const uint8_t batch[256];
    struct raft_message append = append_of(1, 1, seq - 1, seq == 1 ? 0 : 1, 1, commit_seq);
    append.body = ord_span_of(batch, size);
    return append;
}

static void cut__is_due_when_half_of_the_bytes_are_used(void **state) {
    (void) state;
    for (size_t size = 255; size <= 256; size++) {
        struct raft_net *net = open_one();
        for (uint64_t seq = 1; seq <= 4; seq++)
            receive(net, large(seq, size, seq));
        attested(net, 1, false);
        assert_int_equal(log_of(net)->base_seq, size == 256 ? 1 : 0); /* 2048 bytes fit */
        close_one(net);
    }
}

/* The interval of snapshots ends at a seq of which another certificate is known; the next one that comes cuts. */
static void cut__that_was_asked_for_comes_with_the_next_certificate(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append_up_to(net, 4, 4);
    attested(net, 3, false);
    attested(net, 2, true);
    assert_int_equal(log_of(net)->base_seq, 0);
    attested(net, 4, false);
    assert_int_equal(log_of(net)->base_seq, 4);
    close_one(net);
}

/* A follower's log is full, and what is stable goes for the entry that comes; without that, the entry is dropped. */
static void entry__that_finds_no_room_is_dropped_unless_something_is_stable(void **state) {
    (void) state;
    for (int is_stable = 0; is_stable <= 1; is_stable++) {
        struct raft_net *net = open_one();
        receive(net, large(1, 256, 1));
        if (is_stable == 1)
            attested(net, 1, false);
        for (uint64_t seq = 2; seq <= 8; seq++)
            receive(net, large(seq, 256, 1));
        uint32_t answers = sent(net, 1, RAFT_APPEND_ANSWER, NULL);
        uint64_t dropped = raft_net_status(net, 0).messages_dropped;
        receive(net, large(9, 256, 1));
        assert_int_equal(log_of(net)->base_seq, is_stable);
        assert_int_equal(log_of(net)->last_seq, 8 + is_stable);
        assert_int_equal(sent(net, 1, RAFT_APPEND_ANSWER, NULL), answers + (uint32_t) is_stable);
        assert_int_equal(raft_net_status(net, 0).messages_dropped, dropped + (is_stable == 0));
        close_one(net);
    }
}

/* State without a certificate yet becomes the base. What is attested below it becomes stable, and cuts nothing. */
static void transfer__may_end_above_what_is_stable(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append_up_to(net, 2, 2);
    assert_ok(synced(net, 6, 1, 4));
    persist(net);
    assert_true(committed(net) == 6 && stable(net) == 4 && log_of(net)->base_seq == 6 && log_of(net)->last_seq == 6);
    assert_int_equal(core_of(net)->point.size, 0);
    attested(net, 5, true);
    assert_true(stable(net) == 5 && log_of(net)->base_seq == 6);
    /* The next certificate above the base gives the point that followers can use. */
    append_up_to(net, 7, 7);
    attested(net, 7, false);
    assert_int_equal(log_of(net)->base_seq, 7);
    assert_int_equal(core_of(net)->point.size, RAFT_NET_POINT);
    close_one(net);
}

/* State that is here brings a certificate at most. */
static void transfer__of_what_is_here_moves_nothing(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append_up_to(net, 5, 4);
    assert_ok(synced(net, 3, 9, 2)); /* the term is not looked at */
    persist(net);
    assert_true(committed(net) == 4 && log_of(net)->base_seq == 0 && log_of(net)->last_seq == 5);
    assert_true(stable(net) == 2 && raft_net_status(net, 0).view == 1);
    assert_ok(synced(net, 4, 1, 1));
    assert_int_equal(stable(net), 2);
    close_one(net);
}

/* The leader that is known is told at once how far this replica is; without a leader nobody is. */
static void transfer__tells_the_leader_where_it_ended(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    install(net, 2, 1);
    assert_int_equal(sent(net, 1, RAFT_APPEND_ANSWER, NULL) + sent(net, 2, RAFT_APPEND_ANSWER, NULL), 0);
    append(net, 1, 2, 2, 1, 0, 2);
    uint32_t answers = sent(net, 1, RAFT_APPEND_ANSWER, NULL);
    install(net, 8, 2);
    struct raft_message answer = {0};
    assert_int_equal(sent(net, 1, RAFT_APPEND_ANSWER, &answer), answers + 1);
    assert_true(answer.seq == 8 && !answer.rejected);
    close_one(net);
}

/* Others have committed more than this leader knows, or this replica that has its votes and is about to lead. */
static void transfer__ends_a_lead(void **state) {
    (void) state;
    for (int leads = 0; leads <= 1; leads++) {
        struct raft_net *net = open_one();
        win(net, leads == 1);
        assert_ok(synced(net, 4, 1, 4));
        assert_int_equal(core_of(net)->role, RAFT_FOLLOWER);
        persist(net);
        assert_false(raft_net_status(net, 0).leading);
        assert_int_equal(raft_net_status(net, 0).view, 1);
        assert_int_equal(committed(net), 4);
        close_one(net);
    }
}

static struct raft_message point_of(ord_node_id from, uint64_t term, uint64_t seq, uint64_t seq_term) {
    static uint8_t certificate[RAFT_NET_POINT];
    ord_store_u64(certificate, seq);
    return (struct raft_message) {.type = RAFT_SNAPSHOT,
                                  .sender = from,
                                  .term = term,
                                  .seq = seq,
                                  .seq_term = seq_term,
                                  .body = ord_span_of(certificate, sizeof(certificate))};
}

/* The node is asked once for a while; what it is told by SYNCED may leave the term out, for the point had it. */
static void point__asks_for_a_transfer_and_knows_its_term(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append_up_to(net, 2, 2);
    receive(net, point_of(1, 3, 8, 2));
    assert_int_equal(net->nodes[0].sync_seq, 8);
    assert_int_equal(raft_net_status(net, 0).leader, 1);
    net->nodes[0].sync_seq = 0;
    net->now_ms += 199;
    receive(net, point_of(1, 3, 12, 3));
    assert_int_equal(net->nodes[0].sync_seq, 0);
    net->now_ms += 1;
    receive(net, point_of(1, 3, 8, 2));
    assert_int_equal(net->nodes[0].sync_seq, 8);
    assert_err(synced(net, 9, 0, 9), ORD_ERR_INVALID);
    assert_err(synced(net, 12, 0, 12), ORD_ERR_INVALID);
    assert_ok(synced(net, 8, 0, 8));
    assert_int_equal(log_of(net)->base_term, 2);
    close_one(net);
}

static void point__that_is_passed_is_answered(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append_up_to(net, 4, 4);
    receive(net, point_of(1, 1, 3, 1));
    struct raft_message answer = {0};
    (void) sent(net, 1, RAFT_APPEND_ANSWER, &answer);
    assert_int_equal(answer.seq, 4);
    assert_int_equal(net->nodes[0].sync_seq, 0);
    /* A leader of a term that is over learns the term, and nothing is fetched from it. */
    append(net, 1, 3, 4, 1, 0, 4);
    receive(net, point_of(2, 2, 8, 2));
    (void) sent(net, 2, RAFT_APPEND_ANSWER, &answer);
    assert_true(answer.term == 3 && answer.seq == 0);
    assert_int_equal(net->nodes[0].sync_seq, 0);
    close_one(net);
}

/* A follower needs what is gone, and the leader's point has no certificate yet. It gets the first one that comes. */
static void leader__without_a_certificate_sends_no_point(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    assert_ok(synced(net, 4, 1, 0));
    persist(net);
    lead(net);
    receive(net, (struct raft_message) {.type = RAFT_APPEND_ANSWER,
                                        .sender = 2,
                                        .term = core_of(net)->hard.term,
                                        .rejected = true,
                                        .seq = 4,
                                        .life = 12});
    assert_int_equal(core_of(net)->peers[2].flow, RAFT_POINT);
    assert_int_equal(sent(net, 2, RAFT_SNAPSHOT, NULL), 0);
    tick(net, 60);
    struct raft_message beat = {0};
    assert_true(sent(net, 2, RAFT_APPEND, &beat) > 0);
    assert_true(!beat.has_entry && beat.seq == 0); /* no entry that the follower could have is here */
    receive(net, (struct raft_message) {
                     .type = RAFT_APPEND_ANSWER, .sender = 1, .term = core_of(net)->hard.term, .seq = 5, .life = 11});
    assert_int_equal(committed(net), 5);
    attested(net, 5, false);
    assert_int_equal(log_of(net)->base_seq, 5);
    tick(net, 200);
    struct raft_message point = {0};
    assert_int_equal(sent(net, 2, RAFT_SNAPSHOT, &point), 1);
    assert_int_equal(point.seq, 5);
    close_one(net);
}

/* Row R8: the leader says that the entry at the base, which is committed, is of another term. */
static void append__that_contradicts_the_base_halts(void **state) {
    (void) state;
    for (int has_entry = 0; has_entry <= 1; has_entry++) {
        struct raft_net *net = open_one();
        install(net, 4, 1);
        append(net, 1, 3, 4, 2, has_entry == 1 ? 3 : 0, 4);
        assert_true(core_of(net)->halted);
        assert_true(log_of(net)->base_seq == 4 && log_of(net)->base_term == 1 && log_of(net)->last_seq == 4);
        assert_int_equal(raft_net_status(net, 0).messages_refused, 1);
        close_one(net);
    }
}

enum { PIECE = 3 << 20, PIECES = 5 };

/* Replica 0 with a log of five batches of 3 MiB that are not committed. A turn delivers 8 MiB and one batch. */
static struct raft_net *open_large(void) {
    struct raft_net *net = open_one();
    net->unchecked = true;
    raft_net_crash(net, 0);
    net->nodes[0].config.batch_bytes_max = PIECE;
    net->nodes[0].config.body_bytes_max = (PIECES + 1) * PIECE;
    raft_net_start(net, 0);
    for (ord_node_id from = 1; from <= 2; from++)
        receive(net, recall(net, from, 1));
    uint8_t *bytes = calloc(1, RAFT_APPEND_SIZE + PIECE);
    assert_non_null(bytes);
    for (uint64_t seq = 1; seq <= PIECES; seq++) {
        struct raft_message append = append_of(1, 1, seq - 1, seq == 1 ? 0 : 1, 1, 0);
        append.body = ord_span_of(bytes + RAFT_APPEND_SIZE, PIECE);
        struct ord_writer writer = ord_writer_of(bytes, RAFT_APPEND_SIZE);
        raft_message_encode(&writer, &net->nodes[0].config, &append);
        const struct ord_verified verified = {.from = 1, .bytes = ord_span_of(bytes, RAFT_APPEND_SIZE + PIECE)};
        struct ord_event event = {.type = ORD_EVENT_MESSAGE, .message = &verified};
        assert_ok(raft_net_event(net, 0, &event));
    }
    free(bytes);
    assert_int_equal(log_of(net)->last_seq, PIECES);
    return net;
}

static void delivery__of_a_large_log_takes_several_turns(void **state) {
    (void) state;
    struct raft_net *net = open_large();
    net->holds_turn = true;
    take(net, append_of(1, 1, PIECES, 1, 0, PIECES));
    assert_int_equal(committed(net), 3);
    assert_int_equal(core_of(net)->decided_seq, PIECES);
    assert_int_equal(net->nodes[0].wake_ms, net->now_ms); /* at once */
    tick(net, 0);
    assert_int_equal(committed(net), 3); /* the turn is full */
    net->holds_turn = false;
    tick(net, 0);
    assert_int_equal(committed(net), 3);
    tick(net, 0);
    assert_int_equal(committed(net), PIECES);
    assert_true(net->nodes[0].wake_ms > net->now_ms);
    close_one(net);
}

/* Row R8: a certified state has another entry where one is committed here. Nothing is delivered beyond that state. */
static void transfer__that_contradicts_what_is_committed_halts(void **state) {
    (void) state;
    for (uint64_t term = 1; term <= 2; term++) {
        struct raft_net *net = open_large();
        take(net, append_of(1, 2, PIECES, 1, 0, PIECES));
        assert_true(committed(net) == 3 && core_of(net)->decided_seq == PIECES);
        assert_ok(synced(net, 4, term, 4));
        assert_int_equal(core_of(net)->halted, term == 2);
        tick(net, 0);
        assert_int_equal(committed(net), term == 2 ? 4 : PIECES);
        assert_int_equal(log_of(net)->base_seq, 4);
        close_one(net);
    }
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(attested__seq_ahead_waits_until_it_is_reached),
    cmocka_unit_test(cut__is_due_when_the_log_is_large_or_long),
    cmocka_unit_test(cut__is_due_when_half_of_the_bytes_are_used),
    cmocka_unit_test(cut__that_was_asked_for_comes_with_the_next_certificate),
    cmocka_unit_test(entry__that_finds_no_room_is_dropped_unless_something_is_stable),
    cmocka_unit_test(transfer__may_end_above_what_is_stable),
    cmocka_unit_test(transfer__of_what_is_here_moves_nothing),
    cmocka_unit_test(transfer__tells_the_leader_where_it_ended),
    cmocka_unit_test(transfer__ends_a_lead),
    cmocka_unit_test(point__asks_for_a_transfer_and_knows_its_term),
    cmocka_unit_test(point__that_is_passed_is_answered),
    cmocka_unit_test(leader__without_a_certificate_sends_no_point),
    cmocka_unit_test(append__that_contradicts_the_base_halts),
    cmocka_unit_test(delivery__of_a_large_log_takes_several_turns),
    cmocka_unit_test(transfer__that_contradicts_what_is_committed_halts),
};
TEST_CASES(cases);
