/* One core among three, and messages of the others by hand: the rules that a cluster breaks too rarely to show. */
#include <string.h>

#include "tests/support/raft_one.h"

/* Section 3.6.2, figure 3.7, row R5. */
static void commit__counts_entries_of_the_own_term_alone(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    lead(net);
    assert_int_equal(log_of(net)->last_seq, 2);
    acknowledge(net, 2, 1, false);
    assert_int_equal(committed(net), 0);
    acknowledge(net, 2, 2, false);
    assert_int_equal(committed(net), 2);
    close_one(net);
}

/* Rule 12 a. */
static void commit__does_not_count_the_silent(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    lead(net);
    acknowledge(net, 1, 1, true);
    assert_int_equal(committed(net), 0);
    acknowledge(net, 1, 1, false);
    assert_int_equal(committed(net), 1);
    close_one(net);
}

/* Rows R10 and R22. */
static void answer__of_an_old_term_or_life_counts_for_nothing(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    lead(net);
    acknowledge(net, 1, 2, false);
    assert_int_equal(committed(net), 0);
    receive(net, (struct raft_message) {.type = RAFT_ASK, .sender = 2, .life = 14});
    acknowledge(net, 2, 2, false);
    assert_int_equal(committed(net), 0);
    close_one(net);
}

/* Rule 12 b: the follower acknowledged in an earlier life what is not committed yet. */
static void ask__takes_back_what_was_not_used(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    lead(net);
    acknowledge(net, 1, 1, false);
    assert_true(raft_net_propose(net, 0));
    take(net, (struct raft_message) {.type = RAFT_APPEND_ANSWER, .sender = 2, .term = 1, .seq = 2, .life = 12});
    take(net, (struct raft_message) {.type = RAFT_ASK, .sender = 2, .life = 14});
    raft_net_persist(net, 0, net->nodes[0].turn - 1);
    assert_int_equal(log_of(net)->durable_seq, 2);
    assert_int_equal(committed(net), 1);
    close_one(net);
}

/* Row R20: seq 2 is of a leader that is gone; the new one has committed another entry there. */
static void commit__reaches_no_further_than_what_matches(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    append(net, 1, 1, 1, 1, 1, 0);
    append(net, 2, 2, 1, 1, 0, 2);
    assert_int_equal(log_of(net)->last_seq, 2);
    assert_int_equal(committed(net), 1);
    close_one(net);
}

/* Row R8. */
static void append__that_cuts_what_is_committed_halts(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 1);
    append(net, 2, 2, 0, 0, 2, 1);
    assert_true(net->nodes[0].core->halted);
    assert_int_equal(raft_log_term(log_of(net), 1), 1);
    close_one(net);
}

/*
 * Section 3.5: a message shows that the logs agree up to its end, and nothing of what a follower holds behind that,
 * which a new leader may lack.
 */
static void append__is_acknowledged_up_to_its_end(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    struct raft_message answer = {0};
    append_up_to(net, 4, 0);
    append(net, 2, 2, 1, 1, 0, 0);
    assert_int_equal(sent(net, 2, RAFT_APPEND_ANSWER, &answer), 1);
    assert_true(answer.seq == 1 && !answer.rejected);
    append(net, 2, 2, 1, 1, 1, 0);
    assert_int_equal(sent(net, 2, RAFT_APPEND_ANSWER, &answer), 2);
    assert_true(answer.seq == 2 && !answer.rejected);
    assert_int_equal(log_of(net)->last_seq, 4);
    close_one(net);
}

/* Row R8 at the snapshot point itself, which is committed as well. */
static void append__that_contradicts_the_point_halts(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    install(net, 2, 1);
    append(net, 2, 2, 2, 2, 2, 0);
    assert_true(net->nodes[0].core->halted);
    assert_int_equal(log_of(net)->last_seq, 2);
    close_one(net);
}

/* A TICK whose turn is durable at once. */
static void tick_durably(struct raft_net *net, uint64_t ms) {
    net->nodes[0].wake_ms = 0;
    tick(net, ms);
    persist(net);
}

/* RECALLs of replica 0 that name this life of replica 2; `silent` as they have it. */
static uint32_t recalls(const struct raft_net *net, uint64_t life, bool silent) {
    uint32_t count = 0;
    for (size_t i = 0; i < net->letter_count; i++) {
        const struct raft_letter *letter = &net->letters[i];
        struct raft_message message;
        assert_ok(raft_message_decode(&message, &net->nodes[0].config, ord_span_of(letter->data, letter->size)));
        count += letter->to == 2 && message.type == RAFT_RECALL && message.life == life && message.silent == silent;
    }
    return count;
}

/*
 * Rule 12 b: it has used all that it ever will, so its answer is as good as another's. It has nothing to wake for, also
 * where it was asking when it halted, or halted in an earlier life.
 */
static void halted__answers_those_that_ask_and_does_nothing_else(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    struct raft_message late = recall(net, 2, 0);
    late.life += 2; /* so it asks replica 2 again */
    append(net, 1, 1, 0, 0, 1, 1);
    receive(net, late);
    append(net, 2, 2, 0, 0, 2, 1);
    assert_true(net->nodes[0].core->halted);
    for (uint32_t life = 1; life <= 2; life++) {
        tick_durably(net, 1000);
        tick_durably(net, 1000);
        assert_int_equal(net->nodes[0].wake_ms, 0);
        const struct raft_message ask = {.type = RAFT_ASK, .sender = 2, .term = 2, .life = 12 + life};
        uint8_t first[RAFT_HEADER_SIZE] = {RAFT_ASK};
        assert_true(raft_protocol.wants(net->nodes[0].core, ord_span_of(first, sizeof(first))));
        receive(net, ask);
        assert_int_equal(recalls(net, 12 + life, true), 1);
        raft_net_crash(net, 0);
        raft_net_start(net, 0);
        raft_net_persist(net, 0, net->nodes[0].turn - 1);
    }
    close_one(net);
}

/* Rule 3: the votes of a term that it led come again, and one that was slow comes with them. */
static void votes__of_a_term_that_is_over_elect_nobody(void **state) {
    (void) state;
    struct raft_net *net = open_among(5);
    tick_durably(net, 1000);
    for (ord_node_id from = 1; from <= 2; from++)
        receive(net, vote_from(net, from, true));
    for (ord_node_id from = 1; from <= 2; from++)
        receive(net, vote_from(net, from, false));
    assert_true(raft_net_status(net, 0).leading);
    tick_durably(net, 700); /* CheckQuorum */
    tick_durably(net, 700);
    assert_int_equal(net->nodes[0].core->role, RAFT_PRE_CANDIDATE);
    assert_int_equal(raft_net_status(net, 0).view, 1);
    for (ord_node_id from = 1; from <= 3; from++)
        receive(net, vote_from(net, from, false));
    assert_int_equal(net->nodes[0].core->role, RAFT_PRE_CANDIDATE);
    close_one(net);
}

/* Section 3.6.1. */
static void vote__goes_to_logs_that_are_up_to_date(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    append(net, 1, 1, 1, 1, 1, 0);
    assert_false(grants(net, 2, 1, 1));
    assert_true(grants(net, 3, 2, 1));
    assert_true(grants(net, 4, 1, 2));
    close_one(net);
}

/* Section 5.1, row R18. */
static void point__keeps_what_follows_on_it_and_nothing_else(void **state) {
    (void) state;
    for (uint64_t term = 1; term <= 2; term++) {
        struct raft_net *net = open_one();
        for (uint64_t seq = 0; seq < 3; seq++)
            append(net, 1, 1, seq, seq == 0 ? 0 : 1, 1, 0);
        install(net, 2, term);
        assert_int_equal(log_of(net)->base_seq, 2);
        assert_int_equal(log_of(net)->last_seq, term == 1 ? 3 : 2);
        assert_int_equal(raft_log_last_term(log_of(net)), term);
        close_one(net);
    }
}

/* Invariant 7: a transfer may end in a later term than the one that asked for it. */
static void point__of_a_later_term_raises_the_term(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    install(net, 2, 3);
    assert_int_equal(raft_net_status(net, 0).view, 3);
    net->nodes[0].disk.applied_seq = 2;
    raft_net_crash(net, 0);
    raft_net_start(net, 0);
    assert_int_equal(raft_net_status(net, 0).view, 3);
    close_one(net);
}

/* Blocks that a transfer brought are executed, and it was cut off before its end. */
static void start__in_a_transfer_waits_for_its_end(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    for (uint64_t seq = 0; seq < 3; seq++)
        append(net, 1, 1, seq, seq == 0 ? 0 : 1, 1, 0);
    raft_net_crash(net, 0);
    net->nodes[0].disk.applied_seq = 5;
    raft_net_start(net, 0);
    assert_int_equal(committed(net), 3);
    install(net, 6, 1);
    assert_int_equal(committed(net), 6);
    assert_int_equal(log_of(net)->last_seq, 6);
    close_one(net);
}

/* Adds the last record of one disk to another, where it is the last one too. */
static void add_last(struct raft_disk *to, const struct raft_disk *from) {
    struct raft_disk copy;
    raft_net_copy_disk(&copy, from);
    to->records.items = realloc(to->records.items, (to->records.count + 1) * sizeof(*to->records.items));
    assert_non_null(to->records.items);
    to->records.items[to->records.count++] = copy.records.items[--copy.records.count];
    to->records.capacity = to->records.count;
    to->applied_seq = from->applied_seq;
    raft_net_free_disk(&copy);
}

/* The node keeps batches below the snapshot point that its open block needs. */
static void start__passes_over_what_lies_below_the_point(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    struct raft_disk disk;
    for (uint64_t seq = 0; seq < 3; seq++)
        append(net, 1, 1, seq, seq == 0 ? 0 : 1, 1, 0);
    raft_net_copy_disk(&disk, &net->nodes[0].disk);
    install(net, 2, 1);
    net->nodes[0].disk.applied_seq = 2;
    raft_net_crash(net, 0);
    add_last(&disk, &net->nodes[0].disk);
    raft_net_free_disk(&net->nodes[0].disk);
    net->nodes[0].disk = disk;
    raft_net_start(net, 0);
    assert_int_equal(log_of(net)->base_seq, 2);
    assert_int_equal(log_of(net)->last_seq, 3);
    close_one(net);
}

/* APPENDs with the entry at `seq` that were sent to replica 2. */
static uint32_t sendings(const struct raft_net *net, uint64_t seq) {
    uint32_t count = 0;
    for (size_t i = 0; i < net->letter_count; i++) {
        const struct raft_letter *letter = &net->letters[i];
        struct raft_message message;
        assert_ok(raft_message_decode(&message, &net->nodes[0].config, ord_span_of(letter->data, letter->size)));
        count += letter->to == 2 && message.has_entry && message.seq + 1 == seq;
    }
    return count;
}

static void attest(struct raft_net *net, uint64_t seq) {
    uint8_t certificate[RAFT_NET_POINT];
    ord_store_u64(certificate, seq);
    struct ord_event event = {
        .type = ORD_EVENT_ATTESTED,
        .attested = {.seq = seq, .certificate = ord_span_of(certificate, RAFT_NET_POINT), .cut = true}};
    assert_ok(raft_net_event(net, 0, &event));
}

/*
 * Rule 9: leaders that could commit nothing have filled the log with null batches. What a majority holds of that may go
 * (figure 3.7); what all hold may not.
 */
static void commit__of_a_full_log_needs_all(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    const uint64_t full = raft_slot_count(&net->nodes[0].config);
    for (uint64_t term = 1; term <= full; term++) {
        lead(net);
        tick_durably(net, 700); /* CheckQuorum */
    }
    lead(net);
    assert_int_equal(log_of(net)->last_seq, full);
    acknowledge(net, full + 1, full, false);
    acknowledge_of(net, 1, full + 1, full - 1, false);
    assert_int_equal(committed(net), full - 1);
    acknowledge_of(net, 1, full + 1, full, true);
    assert_int_equal(committed(net), full - 1);
    acknowledge_of(net, 1, full + 1, full, false);
    assert_int_equal(committed(net), full);
    assert_false(raft_net_propose(net, 0));
    attest(net, full);
    tick_durably(net, 60);
    acknowledge(net, full + 1, full + 1, false);
    assert_int_equal(committed(net), full + 1);
    assert_true(raft_net_propose(net, 0));
    close_one(net);
}

/* Rule 7: what was on its way before the point is sent again at once, not after another retransmit_ms. */
static void point__makes_what_was_on_its_way_count_as_lost(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    lead(net);
    acknowledge(net, 1, 1, false);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(raft_net_propose(net, 0));
    assert_int_equal(sendings(net, 4), 1);
    acknowledge_of(net, 1, 1, 4, false);
    assert_int_equal(committed(net), 4);
    attest(net, 3);
    assert_int_equal(log_of(net)->base_seq, 3);
    net->now_ms += 60;
    struct ord_event tick = {.type = ORD_EVENT_TICK};
    assert_ok(raft_net_event(net, 0, &tick));
    acknowledge(net, 1, 3, false);
    assert_int_equal(sendings(net, 4), 2);
    close_one(net);
}

/* Rule 12: a vote that is lost silences until its term is passed; in the term of return there is no vote. */
static void silence__of_a_lost_vote_ends_in_its_term_and_votes_in_the_next(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    struct raft_message proof = recall(net, 2, 2);
    proof.granted_term = 2;
    receive(net, proof);
    receive(net, recall(net, 1, 1));
    assert_false(raft_net_status(net, 0).asking);
    /* It enters the term that it may have voted in, and its log is level. */
    assert_int_equal(raft_net_status(net, 0).view, 2);
    assert_false(raft_net_status(net, 0).silent);
    assert_false(grants(net, 2, 9, 1));
    receive(net, proof);
    assert_false(raft_net_status(net, 0).silent); /* what was lost in this term is made up for */
    assert_true(grants(net, 3, 9, 1));
    close_one(net);
}

/* Rule 12 c: an acknowledged entry that was committed lies beyond the log's end. */
static void silence__of_a_lost_acknowledgement_ends_when_the_log_is_level(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    struct raft_message proof = recall(net, 1, 1);
    proof.acked_term = 1;
    proof.acked_seq = 3;
    proof.seq = 3;
    proof.seq_term = 1;
    receive(net, proof);
    receive(net, recall(net, 2, 1));
    assert_true(raft_net_status(net, 0).silent);
    append(net, 1, 1, 1, 1, 1, 0);
    assert_true(raft_net_status(net, 0).silent);
    append(net, 1, 1, 2, 1, 1, 0);
    assert_false(raft_net_status(net, 0).silent);
    close_one(net);
}

/* Rule 12 c: the log may be longer elsewhere, and another may have led by this very vote: no proof of a loss. */
static void silence__does_not_take_the_intact(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    assert_true(grants(net, 2, 1, 1));
    struct raft_message answer = recall(net, 2, 2);
    answer.granted_term = 2;
    answer.acked_term = 1;
    answer.acked_seq = 1;
    answer.seq = 50;
    answer.seq_term = 2;
    receive(net, answer);
    assert_false(raft_net_status(net, 0).silent);
    close_one(net);
}

/* Rule 12 f: the channel is not new, as this replica's own disk shows, so an empty disk tells nothing. */
static void empty__disks_count_for_nothing_where_a_term_is_known(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    raft_net_crash(net, 0);
    raft_net_start(net, 0);
    struct raft_message answer = recall(net, 2, 0);
    answer.silent = true;
    answer.empty = true;
    receive(net, answer);
    assert_true(raft_net_status(net, 0).asking);
    receive(net, recall(net, 1, 1));
    assert_false(raft_net_status(net, 0).asking);
    close_one(net);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(commit__counts_entries_of_the_own_term_alone),
    cmocka_unit_test(commit__of_a_full_log_needs_all),
    cmocka_unit_test(commit__does_not_count_the_silent),
    cmocka_unit_test(answer__of_an_old_term_or_life_counts_for_nothing),
    cmocka_unit_test(ask__takes_back_what_was_not_used),
    cmocka_unit_test(commit__reaches_no_further_than_what_matches),
    cmocka_unit_test(append__that_cuts_what_is_committed_halts),
    cmocka_unit_test(append__is_acknowledged_up_to_its_end),
    cmocka_unit_test(append__that_contradicts_the_point_halts),
    cmocka_unit_test(halted__answers_those_that_ask_and_does_nothing_else),
    cmocka_unit_test(vote__goes_to_logs_that_are_up_to_date),
    cmocka_unit_test(votes__of_a_term_that_is_over_elect_nobody),
    cmocka_unit_test(point__keeps_what_follows_on_it_and_nothing_else),
    cmocka_unit_test(point__of_a_later_term_raises_the_term),
    cmocka_unit_test(start__in_a_transfer_waits_for_its_end),
    cmocka_unit_test(start__passes_over_what_lies_below_the_point),
    cmocka_unit_test(point__makes_what_was_on_its_way_count_as_lost),
    cmocka_unit_test(silence__of_a_lost_vote_ends_in_its_term_and_votes_in_the_next),
    cmocka_unit_test(silence__of_a_lost_acknowledgement_ends_when_the_log_is_level),
    cmocka_unit_test(silence__does_not_take_the_intact),
    cmocka_unit_test(empty__disks_count_for_nothing_where_a_term_is_known),
};
TEST_CASES(cases);
