/* Row R13: a voter that lost its disk, or got an older one back, does not vote twice; an intact one is not silenced. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/raft_led.h"
#include "tests/support/test_main.h"

static void replicas__that_are_new_together_begin_at_once(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    for (ord_node_id i = 0; i < 3; i++)
        assert_false(raft_net_status(net, i).silent);
    close_net(net);
}

/* The others' answers are needed, both of them; then it follows, and speaks when it has what they have. */
static void disk__that_is_empty_keeps_its_replica_silent_until_it_is_level(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    assert_true(raft_net_progresses(net, 1000));
    ord_node_id leader = raft_net_leader(net);
    ord_node_id lost = (leader + 1) % 3;
    ord_node_id third = (leader + 2) % 3;
    raft_net_crash(net, lost);
    raft_net_lose_disk(net, lost);
    raft_net_crash(net, third);
    raft_net_start(net, lost);
    raft_net_run(net, 5000);
    assert_true(raft_net_status(net, lost).silent && raft_net_status(net, lost).asking);
    assert_int_equal(raft_net_leader(net), ORD_NO_NODE);
    raft_net_start(net, third);
    assert_true(raft_net_progresses(net, 3000));
    assert_false(raft_net_status(net, lost).silent);
    close_net(net);
}

/* The voter's old disk lacks an entry that was committed with its acknowledgement; the leader's record says so. */
static void disk__that_is_older_than_an_acknowledgement_silences(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    ord_node_id old = (leader + 1) % 3;
    ord_node_id third = (leader + 2) % 3;
    struct raft_disk copy;
    raft_net_copy_disk(&copy, &net->nodes[old].disk);
    raft_net_crash(net, third);
    assert_true(raft_net_progresses(net, 1000)); /* by the leader and the voter alone */
    uint64_t committed = net->committed;
    raft_net_crash(net, old);
    raft_net_free_disk(&net->nodes[old].disk);
    net->nodes[old].disk = copy;
    net->cut[leader][old] = false;
    /* The leader restarts as well: its record is on disk. */
    raft_net_crash(net, leader);
    raft_net_start(net, leader);
    raft_net_start(net, old);
    raft_net_run(net, 3000);
    assert_true(raft_net_status(net, old).silent);
    assert_int_equal(raft_net_leader(net), ORD_NO_NODE);
    raft_net_start(net, third);
    assert_true(raft_net_progresses(net, 4000));
    assert_true(net->committed > committed);
    assert_false(raft_net_status(net, old).silent);
    close_net(net);
}

/* A second election takes place, and then the disk of its winner or of its voter goes back to before it. */
static void goes_back_before_an_election(bool winner) {
    struct raft_net *net = open_net(3);
    ord_node_id first = raft_net_leader(net);
    struct raft_disk copies[3];
    for (ord_node_id i = 0; i < 3; i++)
        raft_net_copy_disk(&copies[i], &net->nodes[i].disk);
    raft_net_crash(net, first);
    raft_net_run(net, 3000);
    ord_node_id second = raft_net_leader(net);
    assert_int_not_equal(second, ORD_NO_NODE);
    ord_node_id back = winner ? second : 3 - first - second;
    raft_net_crash(net, back);
    raft_net_free_disk(&net->nodes[back].disk);
    raft_net_copy_disk(&net->nodes[back].disk, &copies[back]);
    raft_net_start(net, back);
    raft_net_run(net, 1000);
    assert_true(raft_net_status(net, back).silent);
    for (ord_node_id i = 0; i < 3; i++)
        raft_net_free_disk(&copies[i]);
    raft_net_start(net, first);
    assert_true(raft_net_progresses(net, 4000));
    close_net(net);
}

/* The voter granted a term to one that led it, and its old disk does not know. */
static void disk__that_is_older_than_a_vote_silences(void **state) {
    (void) state;
    goes_back_before_an_election(false);
}

/* It stood for a term, and its old disk does not know; whoever voted for it does. */
static void disk__that_is_older_than_a_candidacy_silences(void **state) {
    (void) state;
    goes_back_before_an_election(true);
}

/*
 * A leader with an older disk lacks what it committed itself. The follower that helped it knows, so the third replica
 * leads nothing with its help.
 */
static void disk__of_a_leader_that_is_older_than_its_commits_silences(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    ord_node_id helper = (leader + 1) % 3;
    ord_node_id third = (leader + 2) % 3;
    struct raft_disk copy;
    raft_net_copy_disk(&copy, &net->nodes[leader].disk);
    raft_net_crash(net, third);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(raft_net_progresses(net, 1000));
    uint64_t committed = net->committed;
    raft_net_crash(net, leader);
    raft_net_free_disk(&net->nodes[leader].disk);
    net->nodes[leader].disk = copy;
    raft_net_start(net, leader);
    raft_net_run(net, 200);
    assert_true(raft_net_status(net, leader).silent);
    net->cut[helper][third] = net->cut[third][helper] = true;
    raft_net_start(net, third);
    raft_net_run(net, 3000);
    assert_int_equal(raft_net_leader(net), ORD_NO_NODE);
    memset(net->cut, 0, sizeof(net->cut));
    assert_true(raft_net_progresses(net, 4000));
    assert_true(net->committed > committed);
    assert_false(raft_net_status(net, leader).silent);
    close_net(net);
}

/*
 * Of five, f + 1 that have forgotten nothing do not suffice: the fourth may hold a vote or an acknowledgement of the
 * earlier life that it has not used yet.
 */
static void disk__that_is_empty_waits_for_all_others(void **state) {
    (void) state;
    struct raft_net *net = open_net(5);
    assert_true(raft_net_progresses(net, 1000));
    ord_node_id lost = (raft_net_leader(net) + 1) % 5;
    ord_node_id away = (raft_net_leader(net) + 2) % 5;
    raft_net_crash(net, lost);
    raft_net_lose_disk(net, lost);
    raft_net_crash(net, away);
    raft_net_start(net, lost);
    assert_true(raft_net_progresses(net, 1000));
    raft_net_run(net, 3000);
    assert_true(raft_net_status(net, lost).asking && raft_net_status(net, lost).silent);
    raft_net_start(net, away);
    assert_true(raft_net_progresses(net, 3000));
    raft_net_run(net, 1000);
    assert_false(raft_net_status(net, lost).silent);
    close_net(net);
}

/* Two of three would stand still for ever otherwise. */
static void replica__that_merely_lags_is_not_silenced(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    ord_node_id leader = raft_net_leader(net);
    ord_node_id slow = (leader + 1) % 3;
    raft_net_crash(net, slow);
    for (uint32_t i = 0; i < 10; i++)
        assert_true(raft_net_progresses(net, 1000));
    raft_net_crash(net, (leader + 2) % 3);
    raft_net_start(net, slow);
    assert_true(raft_net_progresses(net, 3000));
    close_net(net);
}

static void cluster__that_restarts_as_a_whole_goes_on(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    assert_true(raft_net_progresses(net, 1000));
    for (ord_node_id i = 0; i < 3; i++)
        raft_net_crash(net, i);
    raft_net_start(net, 0);
    raft_net_start(net, 2);
    assert_true(raft_net_progresses(net, 3000));
    close_net(net);
}

/* A second start with what the first one wrote must not make an empty disk look whole. */
static void silence__survives_a_restart(void **state) {
    (void) state;
    struct raft_net *net = open_net(3);
    assert_true(raft_net_progresses(net, 1000));
    ord_node_id lost = (raft_net_leader(net) + 1) % 3;
    raft_net_crash(net, lost);
    raft_net_lose_disk(net, lost);
    raft_net_crash(net, (lost + 1) % 3);
    raft_net_start(net, lost);
    raft_net_run(net, 300);
    raft_net_crash(net, lost);
    raft_net_start(net, lost);
    /* Its own record says so: nobody has answered yet. */
    assert_true(raft_net_status(net, lost).silent);
    raft_net_run(net, 300);
    assert_true(raft_net_status(net, lost).silent);
    close_net(net);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(replicas__that_are_new_together_begin_at_once),
    cmocka_unit_test(disk__that_is_empty_keeps_its_replica_silent_until_it_is_level),
    cmocka_unit_test(disk__that_is_older_than_an_acknowledgement_silences),
    cmocka_unit_test(disk__that_is_older_than_a_vote_silences),
    cmocka_unit_test(disk__of_a_leader_that_is_older_than_its_commits_silences),
    cmocka_unit_test(disk__that_is_older_than_a_candidacy_silences),
    cmocka_unit_test(disk__that_is_empty_waits_for_all_others),
    cmocka_unit_test(replica__that_merely_lags_is_not_silenced),
    cmocka_unit_test(cluster__that_restarts_as_a_whole_goes_on),
    cmocka_unit_test(silence__survives_a_restart),
};
TEST_CASES(cases);
