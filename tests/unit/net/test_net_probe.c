/*
 * Listener health: a listener that has stopped accepting is noticed and reopened, and its connections stay.
 */
#include <unistd.h>

#include "net/net_internal.h"
#include "tests/support/net_support.h"

static void reopen_pull(const struct net_tls *tls) {
    struct net_test_inbox inbox = {0};
    struct net_test_outbox early = {0}, late = {0};
    struct net_pull_options pull_options = net_test_pull_options(&inbox, tls, 0);
    pull_options.probe_interval_ms = 10;
    pull_options.probes_missed_max = 2;
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    uint16_t port = net_pull_port(pull);
    struct net_push_options early_options = net_test_push_options(&early, tls, port);
    struct net_push *early_push, *late_push;
    assert_ok(net_push_open(&early_push, &early_options));
    net_test_push(early_push, 0, 64);
    WAIT_FOR(inbox.messages == 1);
    struct net_listener_counters counters;
    /* The test would time out if each of these probes waited for its deadline. */
    WAIT_FOR((net_pull_counters(pull, &counters), counters.probes >= 20));
    assert_int_equal(counters.probes_missed, 0);
    assert_int_equal(counters.reopened, 0);
    /* Probes do not count as peers. */
    assert_int_equal(counters.pipes_now, 1);
    assert_int_equal(counters.pipes_total, 1);

    net_hub_deafen(net_pull_hub(pull));
    struct net_push_options late_options = net_test_push_options(&late, tls, port);
    assert_ok(net_push_open(&late_push, &late_options));
    net_test_push(early_push, 1, 64); /* the existing link still works */
    WAIT_FOR((net_pull_counters(pull, &counters), counters.reopened == 1));
    assert_in_range(counters.probes_missed, 2, 3);
    net_test_push(late_push, 2, 64);
    WAIT_FOR(inbox.messages == 3);
    net_test_push(early_push, 3, 64);
    WAIT_FOR(inbox.messages == 4);
    assert_int_equal(inbox.disorder, 0);
    assert_int_equal(early.downs, 0);
    assert_int_equal(net_pull_port(pull), port);
    uint64_t probes = counters.probes;
    WAIT_FOR((net_pull_counters(pull, &counters), counters.probes >= probes + 3));
    assert_int_equal(counters.reopened, 1);
    assert_int_equal(counters.pipes_now, 2);
    assert_int_equal(counters.pipes_total, 2);
    net_push_close(early_push);
    net_push_close(late_push);
    net_pull_close(pull);
}

static void pull__opens_a_deaf_listener_anew_over_tcp(void **state) {
    (void) state;
    reopen_pull(NULL);
}

static void pull__opens_a_deaf_listener_anew_over_tls(void **state) {
    (void) state;
    reopen_pull(net_test_member());
}

static void server__opens_a_deaf_listener_anew(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, net_test_member(), 0);
    server_options.probe_interval_ms = 10;
    server_options.probes_missed_max = 1;
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    struct net_client_options client_options = net_test_client_options(net_test_member(), net_server_port(server));
    struct net_client *early, *late;
    assert_ok(net_client_open(&early, &client_options));
    net_test_ask(early, 1, 8);
    net_hub_deafen(net_server_hub(server));
    assert_ok(net_client_open(&late, &client_options));
    net_test_ask(early, 2, 8);
    net_test_ask(late, 3, 8);
    struct net_listener_counters counters;
    WAIT_FOR((net_server_counters(server, &counters), counters.pipes_now == 2));
    assert_int_equal(counters.reopened, 1);
    assert_int_equal(counters.messages, 3);
    net_client_close(early);
    net_client_close(late);
    net_server_close(server);
}

static bool reopened;

/* The hub's thread calls this with the lock, which holds up the callback of an accept that succeeds meanwhile. */
static uint64_t reopen_once(void *context, uint64_t now_ms) {
    (void) now_ms;
    struct net_hub *hub = net_pull_hub(context);
    if (reopened || !hub->accept_busy)
        return net_test_now_ms() + 1;
    const uint64_t until_ms = net_test_now_ms() + 100;
    while (net_test_now_ms() < until_ms)
        net_test_pause();
    net_hub_listener_reopen(hub);
    reopened = true;
    return UINT64_MAX;
}

/* A connection comes while the listener is being opened anew: its accept has succeeded, and there is no listener. */
static void listener__opens_anew_while_a_connection_comes(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    struct net_test_outbox outbox = {0};
    struct net_pull_options options = net_test_pull_options(&inbox, NULL, 0);
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &options));
    struct net_hub *hub = net_pull_hub(pull);
    pthread_mutex_lock(&hub->lock);
    reopened = false;
    hub->options.owner.on_tick = reopen_once;
    net_hub_kick(hub);
    pthread_mutex_unlock(&hub->lock);
    struct net_push_options push_options = net_test_push_options(&outbox, NULL, net_pull_port(pull));
    struct net_push *push;
    assert_ok(net_push_open(&push, &push_options));
    net_test_push(push, 0, 64);
    WAIT_FOR(inbox.messages == 1);
    struct net_listener_counters counters;
    WAIT_FOR((net_pull_counters(pull, &counters), counters.reopened == 1));
    net_push_close(push);
    net_pull_close(pull);
}

static void listener__closes_in_the_middle_of_everything(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    struct net_pull_options options = net_test_pull_options(&inbox, net_test_member(), 0);
    options.probe_interval_ms = 1;
    options.probes_missed_max = 1;
    for (int i = 0; i < 30; i++) {
        struct net_pull *pull;
        assert_ok(net_pull_open(&pull, &options));
        uint64_t until_ms = net_test_now_ms() + (uint64_t) i;
        if (i % 3 == 0)
            net_hub_deafen(net_pull_hub(pull));
        while (net_test_now_ms() < until_ms)
            net_test_pause();
        net_pull_close(pull);
    }
}

/* There are more half-open connections than allowed (row T4). The oldest are closed, and members connect as usual. */
static void listener__bounds_half_open_connections(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    struct net_test_outbox outbox = {0};
    struct net_pull_options pull_options = net_test_pull_options(&inbox, net_test_member(), 0);
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    enum { SILENT = NET_HALF_OPEN_MAX + 50 };
    int silent[SILENT];
    for (int i = 0; i < SILENT; i++)
        silent[i] = net_test_raw_connect(net_pull_port(pull), "", 0);
    /* The oldest connections are closed long before the handshake's deadline. */
    uint64_t begin_ms = net_test_now_ms();
    for (int i = 0; i < 50; i++) {
        char byte;
        while (read(silent[i], &byte, 1) > 0)
            ;
    }
    assert_true(net_test_now_ms() - begin_ms < NET_HANDSHAKE_MS / 2);
    struct net_push_options push_options = net_test_push_options(&outbox, net_test_member(), net_pull_port(pull));
    struct net_push *push;
    assert_ok(net_push_open(&push, &push_options));
    net_test_push(push, 0, 64);
    WAIT_FOR(inbox.messages == 1);
    for (int i = 0; i < SILENT; i++)
        close(silent[i]);
    net_push_close(push);
    net_pull_close(pull);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(pull__opens_a_deaf_listener_anew_over_tcp),
    cmocka_unit_test(pull__opens_a_deaf_listener_anew_over_tls),
    cmocka_unit_test(server__opens_a_deaf_listener_anew),
    cmocka_unit_test(listener__opens_anew_while_a_connection_comes),
    cmocka_unit_test(listener__closes_in_the_middle_of_everything),
    cmocka_unit_test(listener__bounds_half_open_connections),
};
TEST_CASES(cases);
