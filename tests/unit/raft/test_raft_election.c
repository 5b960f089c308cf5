/* Elections, commitment and transfer, one rule at a time. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/raft_led.h"
#include "tests/support/test_main.h"

static void cut_off(struct raft_net *net, ord_node_id node, bool in, bool out) {
    for (ord_node_id i = 0; i < net->count; i++) {
        net->cut[i][node] = in;
        net->cut[node][i] = out;
    }
}

static ord_node_id other_than(ord_node_id node) {
    return (node + 1) % 3;
}

/* Section 9.6, row R1. */
static void pre_vote__leaves_the_leader_alone_when_a_server_comes_back(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    uint64_t term = raft_net_status(net, leader).view;
    cut_off(net, other_than(leader), true, true);
    raft_net_run(net, 5000);
    cut_off(net, other_than(leader), false, false);
    raft_net_run(net, 2000);
    assert_int_equal(raft_net_leader(net), leader);
    assert_int_equal(raft_net_status(net, leader).view, term);
    close_net(net);
}

/* Section 6.2, row R6. */
static void leader__that_hears_nobody_steps_down(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    cut_off(net, leader, true, false);
    raft_net_run(net, 700);
    assert_false(raft_net_status(net, leader).leading);
    raft_net_run(net, 2500);
    assert_int_not_equal(raft_net_leader(net), ORD_NO_NODE);
    assert_int_not_equal(raft_net_leader(net), leader);
    cut_off(net, leader, false, false);
    assert_true(raft_net_progresses(net, 3000));
    close_net(net);
}

/* Row R14: one replica is dead, and the leader's incoming messages are cut again and again. */
static void leader__comes_back_within_three_seconds_each_time(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    raft_net_crash(net, other_than(raft_net_leader(net)));
    for (uint32_t i = 0; i < 10; i++) {
        ord_node_id leader = raft_net_leader(net);
        assert_int_not_equal(leader, ORD_NO_NODE);
        cut_off(net, leader, true, false);
        raft_net_run(net, 1000);
        cut_off(net, leader, false, false);
        assert_true(raft_net_progresses(net, 3000));
    }
    close_net(net);
}

/* Section 3.10. */
static void hand_over__elects_another_at_once(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    struct ord_event event = {.type = ORD_EVENT_HAND_OVER};
    assert_ok(raft_net_event(net, leader, &event));
    assert_false(raft_net_propose(net, leader));
    raft_net_run(net, 60);
    assert_int_not_equal(raft_net_leader(net), ORD_NO_NODE);
    assert_int_not_equal(raft_net_leader(net), leader);
    close_net(net);
}

/* Rule 13: the first TIMEOUT_NOW is lost, and the next heartbeat brings another one. */
static void hand_over__says_it_again(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    struct ord_event event = {.type = ORD_EVENT_HAND_OVER};
    assert_ok(raft_net_event(net, leader, &event));
    assert_true(net->letter_count > 0);
    struct raft_letter *last = &net->letters[--net->letter_count];
    assert_int_equal(last->data[0], RAFT_TIMEOUT_NOW);
    free(last->data);
    raft_net_run(net, 150);
    assert_int_not_equal(raft_net_leader(net), ORD_NO_NODE);
    assert_int_not_equal(raft_net_leader(net), leader);
    close_net(net);
}

static void hand_over__ends_when_nobody_takes_over(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    struct ord_event event = {.type = ORD_EVENT_HAND_OVER};
    cut_off(net, leader, false, true);
    net->nodes[leader].frozen_disk = false;
    assert_ok(raft_net_event(net, leader, &event));
    assert_false(raft_net_propose(net, leader));
    net->now_ms += 601;
    event = (struct ord_event) {.type = ORD_EVENT_TICK};
    assert_ok(raft_net_event(net, leader, &event));
    assert_false(((const struct raft_detail *) raft_net_status(net, leader).detail)->handing_over);
    close_net(net);
}

/* Row R21. */
static void storage__that_is_gone_lets_another_lead(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    struct ord_event event = {.type = ORD_EVENT_STORAGE, .storage = {.available = false}};
    assert_ok(raft_net_event(net, leader, &event));
    assert_false(raft_net_status(net, leader).leading);
    raft_net_run(net, 100);
    assert_int_not_equal(raft_net_leader(net), ORD_NO_NODE);
    assert_int_not_equal(raft_net_leader(net), leader);
    close_net(net);
}

/* Section 10.2.1: a leader whose own disk stands still commits with the others, and alone not at all. */
static void leader__counts_itself_only_when_durable(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    uint64_t committed = net->committed;
    net->nodes[leader].frozen_disk = true;
    assert_true(raft_net_propose(net, leader));
    raft_net_run(net, 50);
    assert_int_equal(raft_net_status(net, leader).delivered_seq, committed + 1);
    raft_net_crash(net, other_than(leader));
    assert_true(raft_net_propose(net, leader));
    raft_net_run(net, 50);
    assert_int_equal(raft_net_status(net, leader).delivered_seq, committed + 1);
    net->nodes[leader].frozen_disk = false;
    raft_net_run(net, 50);
    assert_int_equal(raft_net_status(net, leader).delivered_seq, committed + 2);
    close_net(net);
}

/* Row R4: the vote is on disk when its answer leaves, and binds after a restart. */
static void vote__binds_after_a_restart(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    raft_net_crash(net, leader);
    raft_net_run(net, 3000);
    for (ord_node_id i = 0; i < 3; i++) {
        if (i == leader)
            continue;
        const struct raft_hard before = net->nodes[i].core->hard;
        raft_net_crash(net, i);
        raft_net_start(net, i);
        assert_int_equal(net->nodes[i].core->hard.term, before.term);
        assert_int_equal(net->nodes[i].core->hard.vote, before.vote);
    }
    close_net(net);
}

/* Row R23. */
static void flow__lets_one_entry_through_however_large(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    options.in_flight_size = 1;
    for (uint32_t i = 0; i < 5; i++)
        assert_true(raft_net_progresses(net, 1000));
    close_net(net);
}

/* Row R24, and the scenario of the snapshot point: the replica that was away gets the point, then entries. */
static void point__brings_a_follower_back_that_was_away(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id away = other_than(raft_net_leader(net));
    raft_net_crash(net, away);
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(raft_net_progresses(net, 1000));
    }
    raft_net_start(net, away);
    raft_net_run(net, 1000);
    assert_int_equal(net->nodes[away].disk.applied_seq, net->committed);
    assert_true(net->nodes[away].core->log.base_seq > 0);
    close_net(net);
}

static void limit__ends_proposals_and_nothing_else(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    raft_limit(net->nodes[leader].core, net->nodes[leader].core->log.last_seq + 1);
    assert_true(raft_net_propose(net, leader));
    assert_false(raft_net_propose(net, leader));
    assert_err(net->nodes[leader].rejected, ORD_ERR_FORBIDDEN);
    assert_false(raft_net_status(net, leader).can_propose);
    raft_net_run(net, 1000);
    assert_true(raft_net_status(net, leader).leading);
    close_net(net);
}

/* Rule 14: a follower's limit stops no answer, and that of the next leader neither its election nor its null batch. */
static void limit__lets_everybody_answer_and_the_next_one_lead(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    for (ord_node_id i = 0; i < 3; i++)
        if (i != leader)
            raft_limit(net->nodes[i].core, 0);
    assert_true(raft_net_progresses(net, 1000));
    uint64_t committed = net->committed;
    raft_net_crash(net, leader);
    raft_net_run(net, 3000);
    ord_node_id next = raft_net_leader(net);
    assert_int_not_equal(next, ORD_NO_NODE);
    assert_int_equal(raft_net_status(net, next).delivered_seq, committed + 1);
    assert_false(raft_net_propose(net, next));
    assert_err(net->nodes[next].rejected, ORD_ERR_FORBIDDEN);
    raft_limit(net->nodes[next].core, UINT64_MAX);
    assert_true(raft_net_progresses(net, 1000));
    close_net(net);
}

static void config__out_of_bounds_is_refused(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    struct ord_core_config config = net->nodes[0].config;
    assert_true(raft_protocol.memory_size(&config) > 0);
    struct raft_options bad = options;
    config.options = &bad;
    bad.election_ms_max = bad.election_ms_min;
    assert_int_equal(raft_protocol.memory_size(&config), 0);
    bad = options;
    bad.heartbeat_ms = bad.election_ms_min / 2 + 1;
    assert_int_equal(raft_protocol.memory_size(&config), 0);
    bad = options;
    bad.in_flight_max = 0;
    assert_int_equal(raft_protocol.memory_size(&config), 0);
    close_net(net);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(pre_vote__leaves_the_leader_alone_when_a_server_comes_back),
    cmocka_unit_test(leader__that_hears_nobody_steps_down),
    cmocka_unit_test(leader__comes_back_within_three_seconds_each_time),
    cmocka_unit_test(hand_over__elects_another_at_once),
    cmocka_unit_test(hand_over__says_it_again),
    cmocka_unit_test(hand_over__ends_when_nobody_takes_over),
    cmocka_unit_test(storage__that_is_gone_lets_another_lead),
    cmocka_unit_test(leader__counts_itself_only_when_durable),
    cmocka_unit_test(vote__binds_after_a_restart),
    cmocka_unit_test(flow__lets_one_entry_through_however_large),
    cmocka_unit_test(point__brings_a_follower_back_that_was_away),
    cmocka_unit_test(limit__ends_proposals_and_nothing_else),
    cmocka_unit_test(limit__lets_everybody_answer_and_the_next_one_lead),
    cmocka_unit_test(config__out_of_bounds_is_refused),
};
TEST_CASES(cases);
