/* A network of Raft replicas that has a leader. */
#ifndef ORDAIN_TESTS_RAFT_LED_H
#define ORDAIN_TESTS_RAFT_LED_H

#include <stdlib.h>

#include "tests/support/raft_net.h"
#include "tests/support/test_main.h"

static struct raft_options options;

static inline struct raft_net *open_net(uint32_t count) {
    struct raft_net *net = malloc(sizeof(*net));
    assert_non_null(net);
    options = raft_net_options();
    raft_net_open(net, count, &options, 11);
    raft_net_run(net, 1500);
    assert_int_not_equal(raft_net_leader(net), ORD_NO_NODE);
    return net;
}

static inline void close_net(struct raft_net *net) {
    raft_net_close(net);
    free(net);
}

#endif
