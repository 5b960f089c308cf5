/* What a role does not take: votes, entries, acknowledgements and proofs that do not fit the state that they meet. */
#include <string.h>

#include "tests/support/raft_one.h"

static uint64_t dropped(const struct raft_net *net) {
    return raft_net_status(net, 0).messages_dropped;
}

/* Row R22, rule 3: only a granted vote for this candidacy, in this life, counts. */
static void candidate__counts_no_vote_but_for_this_candidacy(void **state) {
    (void) state;
    for (int pre = 0; pre <= 1; pre++) {
        struct raft_net *net = open_one();
        append(net, 1, 3, 0, 0, 3, 0);
        receive(net, (struct raft_message) {.type = RAFT_ASK, .sender = 2, .life = 12});
        stand(net, pre == 1);
        const struct raft_message good = vote_of(net, pre == 1);
        struct raft_message bad[6] = {good, good, good, good, good, good};
        bad[0].granted = false;
        bad[1].asked_term--;
        bad[2].asked_life++;
        bad[3].life++; /* of another life of the voter than is known */
        bad[4].pre = !good.pre;
        bad[5].asked_term++;
        const enum raft_role role = core_of(net)->role;
        for (size_t i = 0; i < 6; i++) {
            uint64_t before = dropped(net);
            receive(net, bad[i]);
            assert_int_equal(core_of(net)->role, role);
            assert_int_equal(dropped(net), before + 1);
        }
        assert_true(core_of(net)->granted == (pre == 1 ? 0 : 1) && core_of(net)->pre_granted == (pre == 1 ? 1 : 5));
        receive(net, good);
        assert_int_equal(core_of(net)->role, pre == 1 ? RAFT_CANDIDATE : RAFT_LEADER);
        close_one(net);
    }
}

/* An answer that says it is of an earlier term was given before its sender entered this one. */
static void candidate__counts_no_vote_of_an_earlier_term(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 3, 0, 0, 3, 0);
    stand(net, false);
    struct raft_message vote = vote_of(net, false);
    vote.term--;
    receive(net, vote);
    assert_int_equal(core_of(net)->role, RAFT_CANDIDATE);
    assert_int_equal(core_of(net)->granted, 1);
    vote.term += 2; /* a later term ends the candidacy */
    receive(net, vote);
    assert_int_equal(core_of(net)->role, RAFT_FOLLOWER);
    assert_int_equal(raft_net_status(net, 0).view, vote.term);
    close_one(net);
}

/* A follower and a leader wait for no votes. */
static void vote__without_a_candidacy_is_dropped(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 0);
    uint64_t before = dropped(net);
    receive(net, vote_of(net, true));
    receive(net, vote_of(net, false));
    assert_int_equal(dropped(net), before + 2);
    assert_int_equal(core_of(net)->role, RAFT_FOLLOWER);
    lead(net);
    before = dropped(net);
    receive(net, vote_of(net, true));
    receive(net, vote_of(net, false));
    assert_int_equal(dropped(net), before + 2);
    assert_int_equal(raft_net_status(net, 0).view, 2);
    close_one(net);
}

/* Rule 3: no vote from one that asks, that can store nothing, or for a life of the candidate that is over. */
static void vote__is_not_given_by_one_that_may_not(void **state) {
    (void) state;
    const struct raft_message request = {
        .type = RAFT_VOTE_REQUEST, .sender = 2, .term = 9, .transfer = true, .life = 12};
    struct raft_net *net = open_asking();
    receive(net, request);
    assert_int_equal(raft_net_status(net, 0).view, 0);
    close_one(net);

    net = open_one();
    struct ord_event event = {.type = ORD_EVENT_STORAGE, .storage = {.available = false}};
    assert_ok(raft_net_event(net, 0, &event));
    receive(net, request);
    assert_int_equal(raft_net_status(net, 0).view, 0);
    event.storage.available = true;
    assert_ok(raft_net_event(net, 0, &event));
    receive(net, (struct raft_message) {.type = RAFT_ASK, .sender = 2, .life = 14});
    receive(net, request); /* of another life */
    assert_int_equal(raft_net_status(net, 0).view, 0);
    assert_int_equal(sent(net, 2, RAFT_VOTE_ANSWER, NULL), 0);
    assert_int_equal(dropped(net), 2);
    close_one(net);
}

/* Section 3.4: one leader in a term. The one that has its votes counts as it, too. */
static void leader__of_the_same_term_is_refused(void **state) {
    (void) state;
    for (int leads = 0; leads <= 1; leads++) {
        struct raft_net *net = open_one();
        win(net, leads == 1);
        const enum raft_role role = core_of(net)->role;
        const uint64_t last_seq = log_of(net)->last_seq;
        take(net, append_of(1, 1, 0, 0, 1, 1));
        assert_int_equal(core_of(net)->role, role);
        assert_int_equal(raft_net_status(net, 0).messages_refused, 1);
        assert_int_equal(log_of(net)->last_seq, last_seq);
        assert_int_equal(committed(net), 0);
        /* One of a later term is followed. */
        take(net, append_of(1, 2, 0, 0, 2, 0));
        assert_int_equal(core_of(net)->role, RAFT_FOLLOWER);
        assert_int_equal(raft_net_status(net, 0).leader, 1);
        close_one(net);
    }
}

/* It hears nobody and steps down. Votes for the term that it led come late, or twice, in its next PreVote. */
static void leader__that_stepped_down_leads_its_term_no_more(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    stand(net, false);
    struct raft_message votes[2] = {vote_of(net, false), vote_of(net, false)};
    votes[0].sender = 1;
    votes[0].life = 11;
    receive(net, votes[1]);
    assert_true(raft_net_status(net, 0).leading);
    tick(net, 600);
    assert_false(raft_net_status(net, 0).leading);
    stand(net, true);
    receive(net, votes[0]);
    receive(net, votes[1]);
    assert_int_equal(core_of(net)->role, RAFT_PRE_CANDIDATE);
    assert_int_equal(dropped(net), 2);
    assert_int_equal(raft_net_status(net, 0).view, 1);
    assert_int_equal(log_of(net)->last_seq, 1);
    close_one(net);
}

/* Disks are slower than the clocks: a vote comes when the next PreVote has begun, and counts. */
static void candidate__counts_a_vote_that_comes_in_its_next_pre_vote(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    stand(net, false);
    const struct raft_message vote = vote_of(net, false);
    stand(net, true);
    receive(net, vote);
    assert_true(raft_net_status(net, 0).leading);
    assert_int_equal(raft_net_status(net, 0).view, 1);
    close_one(net);
}

/* Section 4.2.3: whoever has its votes is a leader that nobody is to disturb. */
static void leader__that_is_not_durable_yet_has_its_lease(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    stand(net, false);
    take(net, vote_of(net, false));
    assert_int_equal(core_of(net)->role, RAFT_ELECTED);
    take(net, (struct raft_message) {.type = RAFT_VOTE_REQUEST, .sender = 1, .term = 7, .life = 11});
    assert_int_equal(core_of(net)->role, RAFT_ELECTED);
    assert_int_equal(raft_net_status(net, 0).view, 1);
    tick(net, 5000); /* and it campaigns no more, however slow its disk is */
    assert_int_equal(core_of(net)->role, RAFT_ELECTED);
    persist(net);
    assert_true(raft_net_status(net, 0).leading);
    close_one(net);
}

/* Row R22: nobody can hold what this leader does not have. */
static void acknowledgement__beyond_the_log_is_dropped(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    lead(net);
    uint64_t before = dropped(net);
    acknowledge(net, 1, 2, false);
    assert_int_equal(dropped(net), before + 1);
    assert_int_equal(committed(net), 0);
    assert_int_equal(core_of(net)->peers[2].match_seq, 0);
    close_one(net);
}

/* Rule 8: in REPLICATE a rejection counts if it names what is on its way, in POINT none does. */
static void rejection__of_what_is_not_on_its_way_is_dropped(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    lead(net);
    acknowledge(net, 1, 1, false);
    assert_true(raft_net_propose(net, 0));
    const struct raft_progress before = core_of(net)->peers[2];
    assert_int_equal(before.flow, RAFT_REPLICATE);
    assert_int_equal(before.next_seq, 3);
    for (uint64_t seq = 1; seq <= 3; seq += 2) { /* matched, and not sent */
        uint64_t count = dropped(net);
        receive(net, (struct raft_message) {
                         .type = RAFT_APPEND_ANSWER, .sender = 2, .term = 1, .rejected = true, .seq = seq, .life = 12});
        assert_int_equal(dropped(net), count + 1);
        assert_int_equal(core_of(net)->peers[2].next_seq, 3);
        assert_int_equal(core_of(net)->peers[2].flow, RAFT_REPLICATE);
    }
    receive(net, (struct raft_message) {
                     .type = RAFT_APPEND_ANSWER, .sender = 2, .term = 1, .rejected = true, .seq = 2, .life = 12});
    assert_int_equal(core_of(net)->peers[2].flow, RAFT_PROBE);
    close_one(net);
}

/* Section 3.10: only the leader of this term may ask a follower of it to campaign, if it may speak. */
static void timeout_now__is_taken_from_the_leader_alone(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 4, 0, 0, 4, 0);
    const struct raft_message good = {.type = RAFT_TIMEOUT_NOW, .sender = 1, .term = 4};
    struct raft_message bad[3] = {good, good, good};
    bad[0].term = 3;
    bad[1].term = 5;
    bad[2].sender = 2;
    for (size_t i = 0; i < 3; i++) {
        receive(net, bad[i]);
        assert_int_equal(dropped(net), i + 1);
        assert_int_equal(raft_net_status(net, 0).view, 4);
    }
    struct ord_event event = {.type = ORD_EVENT_STORAGE, .storage = {.available = false}};
    assert_ok(raft_net_event(net, 0, &event));
    receive(net, good);
    assert_int_equal(raft_net_status(net, 0).view, 4);
    event.storage.available = true;
    assert_ok(raft_net_event(net, 0, &event));
    tick(net, 1000); /* a PreVote is under way, and the leader is known still */
    assert_int_equal(core_of(net)->role, RAFT_PRE_CANDIDATE);
    receive(net, good);
    assert_int_equal(raft_net_status(net, 0).view, 4);
    append(net, 1, 4, 1, 4, 0, 0);
    receive(net, good);
    assert_int_equal(core_of(net)->role, RAFT_CANDIDATE);
    assert_int_equal(raft_net_status(net, 0).view, 5);
    struct raft_message request = {0};
    assert_true(sent(net, 2, RAFT_VOTE_REQUEST, &request) > 0);
    assert_true(request.transfer && !request.pre && request.term == 5);
    close_one(net);

    net = open_asking();
    append(net, 1, 4, 0, 0, 4, 0);
    receive(net, good);
    assert_int_equal(core_of(net)->role, RAFT_FOLLOWER);
    assert_int_equal(raft_net_status(net, 0).view, 4);
    close_one(net);
}

/* Rule 13: it takes a leader, and somebody who was heard lately. A second request changes nothing. */
static void hand_over__takes_a_leader_and_a_successor(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    const struct raft_detail *detail = raft_net_status(net, 0).detail;
    struct ord_event event = {.type = ORD_EVENT_HAND_OVER};
    assert_ok(raft_net_event(net, 0, &event));
    assert_false(detail->handing_over);
    lead(net);
    assert_ok(raft_net_event(net, 0, &event));
    assert_true(detail->handing_over);                         /* replica 2 voted for it just now */
    assert_int_equal(sent(net, 2, RAFT_TIMEOUT_NOW, NULL), 0); /* and does not hold the log yet */
    uint64_t until_ms = core_of(net)->transfer_ms;
    net->now_ms += 10;
    assert_ok(raft_net_event(net, 0, &event));
    assert_int_equal(core_of(net)->transfer_ms, until_ms);
    acknowledge(net, 1, 1, false);
    assert_int_equal(sent(net, 2, RAFT_TIMEOUT_NOW, NULL), 1);
    acknowledge(net, 1, 1, false);
    assert_int_equal(sent(net, 2, RAFT_TIMEOUT_NOW, NULL), 1);
    close_one(net);

    net = open_one();
    lead(net);
    acknowledge(net, 1, 1, true); /* a silent one cannot lead */
    assert_ok(raft_net_event(net, 0, &event));
    assert_false(core_of(net)->leaving);
    acknowledge(net, 1, 1, false);
    net->now_ms += options.election_ms_min; /* nor one that was not heard */
    assert_ok(raft_net_event(net, 0, &event));
    assert_false(core_of(net)->leaving);
    assert_true(raft_net_status(net, 0).leading);
    close_one(net);
}

/* Row R21: whoever can store nothing steps down; it campaigns again when it can. */
static void storage__that_is_gone_ends_any_candidacy(void **state) {
    (void) state;
    struct ord_event event = {.type = ORD_EVENT_STORAGE, .storage = {.available = false}};
    struct raft_net *net = open_one();
    assert_ok(raft_net_event(net, 0, &event)); /* a follower stays one */
    tick(net, 5000);
    assert_int_equal(core_of(net)->role, RAFT_FOLLOWER);
    event.storage.available = true;
    assert_ok(raft_net_event(net, 0, &event));
    assert_int_equal(core_of(net)->role, RAFT_FOLLOWER);
    stand(net, false);
    event.storage.available = false;
    assert_ok(raft_net_event(net, 0, &event));
    assert_int_equal(core_of(net)->role, RAFT_FOLLOWER);
    close_one(net);

    net = open_one();
    lead(net);
    acknowledge(net, 1, 1, true); /* nobody who could take over */
    assert_ok(raft_net_event(net, 0, &event));
    assert_false(raft_net_status(net, 0).leading);
    assert_int_equal(sent(net, 2, RAFT_TIMEOUT_NOW, NULL), 0);
    close_one(net);
}

/* Rule 12 c, as a table: what another's records say of this one, which has voted for 2 in term 4. */
static void recall__proves_a_loss_or_not(void **state) {
    (void) state;
    static const struct {
        ord_node_id sender;
        uint64_t granted_term;
        uint64_t stood_term;
        uint64_t acked_term;
        uint64_t acked_seq;
        bool loss;
    } rows[] = {
        {2, 4, 0, 0, 0, false}, /* its vote */
        {1, 4, 0, 0, 0, true},  /* another vote in this term */
        {1, 3, 0, 0, 0, false}, /* terms that are over prove nothing */
        {2, 5, 0, 0, 0, true},  /* a vote in a term that it does not know */
        {1, 0, 4, 0, 0, true},  /* it stood for this term, and does not hold that */
        {1, 0, 3, 0, 0, false}, {1, 0, 5, 0, 0, true}, {1, 0, 0, 1, 2, false}, /* what it acknowledged is here */
        {1, 0, 0, 1, 3, true},                                                 /* or is not */
        {1, 0, 0, 2, 1, true},                                                 /* or is of a later term */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct raft_net *net = open_one();
        append_up_to(net, 2, 1);
        assert_true(grants(net, 4, 2, 1));
        struct raft_message answer = recall(net, rows[i].sender, 5);
        answer.granted_term = rows[i].granted_term;
        answer.stood_term = rows[i].stood_term;
        answer.acked_term = rows[i].acked_term;
        answer.acked_seq = rows[i].acked_seq;
        receive(net, answer);
        if (core_of(net)->hard.silent != rows[i].loss)
            fail_msg("row %zu", i);
        close_one(net);
    }
}

/* A later proof silences one that leads or campaigns, and that is over then. */
static void recall__that_proves_a_loss_ends_a_lead(void **state) {
    (void) state;
    for (int leads = 0; leads <= 1; leads++) {
        struct raft_net *net = open_one();
        if (leads == 1)
            lead(net);
        else
            stand(net, true);
        struct raft_message answer = recall(net, 1, 6);
        answer.stood_term = 6;
        receive(net, answer);
        assert_int_equal(core_of(net)->role, RAFT_FOLLOWER);
        assert_true(core_of(net)->hard.silent && core_of(net)->recovery.asking);
        uint32_t asks = sent(net, 2, RAFT_ASK, NULL);
        tick(net, 0);
        persist(net);
        assert_int_equal(sent(net, 2, RAFT_ASK, NULL), asks + 1); /* replica 1 has answered, and is not asked again */
        close_one(net);
    }
}

/* An answer that contradicts itself, or is of another life of the asker, does not count. */
static void recall__of_nonsense_does_not_count(void **state) {
    (void) state;
    struct raft_net *net = open_asking();
    struct raft_message answer = recall(net, 1, 0);
    answer.empty = true; /* and yet it speaks */
    receive(net, answer);
    assert_int_equal(core_of(net)->recovery.told, 0);
    answer.silent = true;
    receive(net, answer);
    assert_int_equal(core_of(net)->recovery.told, 2);
    answer.life++;
    receive(net, answer);
    assert_int_equal(core_of(net)->recovery.told, 0);
    assert_int_equal(core_of(net)->recovery.counted, 0);
    assert_int_equal(dropped(net), 2);
    assert_true(core_of(net)->recovery.asking);
    close_one(net);
}

/* A replica that is silent keeps the end that it waits for, although those that answer now know less. */
static void silence__waits_for_the_highest_end_that_was_told(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append_up_to(net, 1, 1);
    struct raft_message proof = recall(net, 1, 2);
    proof.acked_term = 2;
    proof.acked_seq = 3;
    proof.seq = 3;
    proof.seq_term = 2;
    receive(net, proof);
    receive(net, recall(net, 2, 2));
    assert_true(core_of(net)->hard.silent && !core_of(net)->recovery.asking);
    raft_net_crash(net, 0);
    raft_net_start(net, 0);
    receive(net, recall(net, 1, 2));
    receive(net, recall(net, 2, 2));
    assert_true(core_of(net)->hard.silent && !core_of(net)->recovery.asking);
    assert_true(core_of(net)->hard.end_term == 2 && core_of(net)->hard.end_seq == 3);
    /* It halts while it is silent, and stays both. */
    append(net, 2, 3, 1, 2, 3, 1);
    assert_true(core_of(net)->halted && core_of(net)->hard.silent);
    close_one(net);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(candidate__counts_no_vote_but_for_this_candidacy),
    cmocka_unit_test(candidate__counts_no_vote_of_an_earlier_term),
    cmocka_unit_test(vote__without_a_candidacy_is_dropped),
    cmocka_unit_test(vote__is_not_given_by_one_that_may_not),
    cmocka_unit_test(leader__of_the_same_term_is_refused),
    cmocka_unit_test(leader__that_stepped_down_leads_its_term_no_more),
    cmocka_unit_test(candidate__counts_a_vote_that_comes_in_its_next_pre_vote),
    cmocka_unit_test(leader__that_is_not_durable_yet_has_its_lease),
    cmocka_unit_test(acknowledgement__beyond_the_log_is_dropped),
    cmocka_unit_test(rejection__of_what_is_not_on_its_way_is_dropped),
    cmocka_unit_test(timeout_now__is_taken_from_the_leader_alone),
    cmocka_unit_test(hand_over__takes_a_leader_and_a_successor),
    cmocka_unit_test(storage__that_is_gone_ends_any_candidacy),
    cmocka_unit_test(recall__proves_a_loss_or_not),
    cmocka_unit_test(recall__that_proves_a_loss_ends_a_lead),
    cmocka_unit_test(recall__of_nonsense_does_not_count),
    cmocka_unit_test(silence__waits_for_the_highest_end_that_was_told),
};
TEST_CASES(cases);
