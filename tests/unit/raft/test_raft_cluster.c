/* Raft's five properties in a cluster that loses, repeats and reorders messages and crashes; then progress. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/raft_net.h"
#include "tests/support/test_main.h"

/* One replica may be down or without its disk at a time; with five, two. */
static void disturb(struct raft_net *net, bool lose_disks) {
    uint32_t bad = 0;
    for (ord_node_id i = 0; i < net->count; i++)
        bad += net->nodes[i].core == NULL || net->nodes[i].core->hard.silent;
    ord_node_id node = (ord_node_id) raft_net_random(net, net->count);
    if (net->nodes[node].core == NULL) {
        raft_net_start(net, node);
    } else if (bad < (net->count - 1) / 2) {
        raft_net_crash(net, node);
        if (lose_disks && raft_net_random(net, 3) == 0)
            raft_net_lose_disk(net, node);
    }
}

static void cut_and_mend(struct raft_net *net) {
    ord_node_id a = (ord_node_id) raft_net_random(net, net->count);
    ord_node_id b = (ord_node_id) raft_net_random(net, net->count);
    net->cut[a][b] = !net->cut[a][b];
}

static void play(uint32_t count, uint64_t seed, bool lose_disks) {
    struct raft_net *net = malloc(sizeof(*net));
    assert_non_null(net);
    struct raft_options options = raft_net_options();
    raft_net_open(net, count, &options, seed);
    net->cut_seqs = seed % 2 == 0 ? 0 : 8;
    raft_net_run(net, 1000);
    for (uint32_t i = 0; i < 20000; i++) {
        raft_net_step(net, 5);
        ord_node_id leader = raft_net_leader(net);
        if (leader != ORD_NO_NODE && raft_net_random(net, 20) == 0)
            (void) raft_net_propose(net, leader);
        struct ord_event event = {.type = ORD_EVENT_HAND_OVER};
        if (leader != ORD_NO_NODE && raft_net_random(net, 800) == 0)
            (void) raft_net_event(net, leader, &event);
        if (raft_net_random(net, 400) == 0)
            disturb(net, lose_disks);
        if (raft_net_random(net, 150) == 0)
            cut_and_mend(net);
    }
    memset(net->cut, 0, sizeof(net->cut));
    for (ord_node_id i = 0; i < count; i++)
        if (net->nodes[i].core == NULL)
            raft_net_start(net, i);
    if (!raft_net_progresses(net, 20000))
        fail_msg("seed %lu: no progress", (unsigned long) seed);
    raft_net_close(net);
    free(net);
}

static void cluster__of_three_keeps_the_five_properties(void **state) {
    (void) state;
    for (uint64_t seed = 1; seed <= 600; seed++)
        play(3, seed, false);
}

static void cluster__of_five_keeps_the_five_properties(void **state) {
    (void) state;
    for (uint64_t seed = 1; seed <= 200; seed++)
        play(5, seed, false);
}

static void cluster__of_three_survives_lost_disks(void **state) {
    (void) state;
    for (uint64_t seed = 1; seed <= 600; seed++)
        play(3, 1000 + seed, true);
}

static void cluster__of_one_decides_alone(void **state) {
    (void) state;
    play(1, 7, false);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(cluster__of_three_keeps_the_five_properties),
    cmocka_unit_test(cluster__of_five_keeps_the_five_properties),
    cmocka_unit_test(cluster__of_three_survives_lost_disks),
    cmocka_unit_test(cluster__of_one_decides_alone),
};
TEST_CASES(cases);
