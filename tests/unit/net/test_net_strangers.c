/*
 * Row T3 (docs/adversary.md): 10,000 connections vanish in the middle of the handshake. The test runs against both
 * kinds of listener, over TCP and TLS. Honest peers are served all the while, and afterwards.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "net/net_internal.h"
#include "tests/support/net_support.h"

extern char **environ;

static pid_t strangers_start(uint16_t port, const struct net_tls *tls) {
    char text[16];
    snprintf(text, sizeof(text), "%u", port);
    char *arguments[] = {(char[]) {"net_strangers"},
                         (char[]) {"127.0.0.1"},
                         text,
                         (char[]) {NET_STRANGERS_COUNT},
                         tls != NULL ? (char[]) {"tls"} : (char[]) {"tcp"},
                         NULL};
    pid_t pid;
    assert_int_equal(posix_spawn(&pid, NET_STRANGERS, NULL, NULL, arguments, environ), 0);
    return pid;
}

/* True while strangers still come. Fails the test when they could not connect. */
static bool strangers_come(pid_t pid) {
    int status;
    pid_t done = waitpid(pid, &status, WNOHANG);
    if (done == 0)
        return true;
    assert_int_equal(done, pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

static void check_listener(const struct net_listener_counters *counters) {
    assert_int_equal(counters->reopened, 0);
    assert_int_equal(counters->probes_missed, 0);
    assert_true(counters->probes > 0);
}

static void strangers_at_a_pull(const struct net_tls *tls) {
    struct net_test_inbox inbox = {0};
    struct net_pull_options pull_options = net_test_pull_options(&inbox, tls, 0);
    pull_options.probe_interval_ms = 100;
    pull_options.probes_missed_max = 3;
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    struct net_test_outbox steady = {0}, fresh = {0};
    struct net_push_options steady_options = net_test_push_options(&steady, tls, net_pull_port(pull));
    struct net_push *steady_push;
    assert_ok(net_push_open(&steady_push, &steady_options));
    net_test_push(steady_push, 0, 64);
    pid_t pid = strangers_start(net_pull_port(pull), tls);
    uint32_t sent = 1, links = 0;
    do {
        net_test_push(steady_push, sent++, 64);
        struct net_push_options fresh_options = net_test_push_options(&fresh, tls, net_pull_port(pull));
        struct net_push *push;
        assert_ok(net_push_open(&push, &fresh_options));
        net_test_push(push, 0, 64);
        sent++;
        links++;
        WAIT_FOR(inbox.messages == sent);
        net_push_close(push);
    } while (strangers_come(pid));
    assert_true(links >= 3);
    struct net_push *push;
    struct net_push_options fresh_options = net_test_push_options(&fresh, tls, net_pull_port(pull));
    assert_ok(net_push_open(&push, &fresh_options));
    net_test_push(push, 0, 64);
    WAIT_FOR(inbox.messages == sent + 1);
    net_push_close(push);
    assert_int_equal(steady.downs, 0);
    struct net_listener_counters counters;
    WAIT_FOR((net_pull_counters(pull, &counters), counters.pipes_now == 1));
    assert_true(counters.pipes_total >= links + 2);
    if (tls != NULL)
        assert_int_equal(counters.pipes_total, links + 2);
    check_listener(&counters);
    net_push_close(steady_push);
    net_pull_close(pull);
    print_message("%u fresh links meanwhile\n", links);
}

static void strangers_at_a_server(const struct net_tls *tls) {
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, tls, 0);
    server_options.probe_interval_ms = 100;
    server_options.probes_missed_max = 3;
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    struct net_client_options client_options = net_test_client_options(tls, net_server_port(server));
    struct net_client *steady, *fresh;
    assert_ok(net_client_open(&steady, &client_options));
    net_test_ask(steady, 0, 64);
    pid_t pid = strangers_start(net_server_port(server), tls);
    uint32_t links = 0;
    do {
        net_test_ask(steady, links, 64);
        assert_ok(net_client_open(&fresh, &client_options));
        net_test_ask(fresh, links++, 64);
        net_client_close(fresh);
    } while (strangers_come(pid));
    assert_true(links >= 3);
    assert_ok(net_client_open(&fresh, &client_options));
    net_test_ask(fresh, 1, 64);
    net_client_close(fresh);
    struct net_listener_counters counters;
    WAIT_FOR((net_server_counters(server, &counters), counters.pipes_now == 1));
    assert_int_equal(counters.pipes_total, links + 2);
    assert_int_equal(counters.messages, echo.requests);
    check_listener(&counters);
    net_client_close(steady);
    net_server_close(server);
    print_message("%u fresh clients meanwhile\n", links);
}

static void pull__survives_strangers_over_tcp(void **state) {
    (void) state;
    strangers_at_a_pull(NULL);
}

static void pull__survives_strangers_over_tls(void **state) {
    (void) state;
    strangers_at_a_pull(net_test_member());
}

static void server__survives_strangers_over_tcp(void **state) {
    (void) state;
    strangers_at_a_server(NULL);
}

static void server__survives_strangers_over_tls(void **state) {
    (void) state;
    strangers_at_a_server(net_test_member());
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(pull__survives_strangers_over_tcp),
    cmocka_unit_test(pull__survives_strangers_over_tls),
    cmocka_unit_test(server__survives_strangers_over_tcp),
    cmocka_unit_test(server__survives_strangers_over_tls),
};
TEST_CASES(cases);
