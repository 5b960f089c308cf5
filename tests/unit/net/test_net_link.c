/*
 * Replica links: PUSH dialer, PULL listener, messages, certificates.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/net_internal.h"
#include "tests/support/net_support.h"

static void deliver_in_order(const struct net_tls *tls) {
    struct net_test_inbox inbox = {0};
    struct net_test_outbox outbox = {0};
    struct net_pull_options pull_options = net_test_pull_options(&inbox, tls, 0);
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    assert_int_not_equal(net_pull_port(pull), 0);
    struct net_push_options push_options = net_test_push_options(&outbox, tls, net_pull_port(pull));
    struct net_push *push;
    assert_ok(net_push_open(&push, &push_options));
    for (uint32_t i = 0; i < 500; i++)
        net_test_push(push, i, i % 50 == 0 ? 200000 : 64);
    WAIT_FOR(inbox.messages == 500);
    assert_int_equal(inbox.disorder, 0);
    assert_int_equal(inbox.bytes, 10 * 200000 + 490 * 64);
    WAIT_FOR(outbox.sent == 500);
    assert_int_equal(outbox.lost, 0);
    assert_int_equal(outbox.ups, 1);
    struct net_listener_counters counters;
    net_pull_counters(pull, &counters);
    assert_int_equal(counters.messages, 500);
    assert_int_equal(counters.bytes, inbox.bytes);
    assert_int_equal(counters.pipes_now, 1);
    assert_int_equal(counters.pipes_total, 1);
    net_push_close(push);
    WAIT_FOR((net_pull_counters(pull, &counters), counters.pipes_now == 0));
    net_pull_close(pull);
}

static void message__keeps_and_shortens_its_bytes(void **state) {
    (void) state;
    struct net_message *message = net_test_message(7, 100);
    assert_int_equal(net_message_bytes(message).size, 100);
    net_message_truncate(message, 4);
    assert_int_equal(net_message_bytes(message).size, 4);
    assert_int_equal(net_test_value(net_message_bytes(message)), 7);
    net_message_truncate(message, 0);
    assert_int_equal(net_message_bytes(message).size, 0);
    net_message_destroy(message);
    message = net_test_message(0, 0);
    assert_int_equal(net_message_bytes(message).size, 0);
    net_message_destroy(message);
    net_message_destroy(NULL);
}

static void link__delivers_in_order_over_tcp(void **state) {
    (void) state;
    deliver_in_order(NULL);
}

static void link__delivers_in_order_over_tls(void **state) {
    (void) state;
    deliver_in_order(net_test_member());
}

/* Sends a received message on without copying it. Nothing that arrived with it may go out again. */
static void on_message_forward(void *context, struct net_message *message) {
    struct net_push **push = context;
    if (net_push_send(*push, message) != ORD_OK)
        return;
}

static void link__forwards_a_received_message(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    struct net_test_outbox out = {0}, forward_out = {0};
    struct net_pull *last, *middle;
    struct net_push *first, *forward;
    struct net_pull_options last_options = net_test_pull_options(&inbox, NULL, 0);
    assert_ok(net_pull_open(&last, &last_options));
    struct net_push_options forward_options = net_test_push_options(&forward_out, NULL, net_pull_port(last));
    assert_ok(net_push_open(&forward, &forward_options));
    WAIT_FOR(net_push_up(forward));
    struct net_pull_options middle_options = net_test_pull_options(&inbox, NULL, 0);
    middle_options.on_message = on_message_forward;
    middle_options.context = &forward;
    assert_ok(net_pull_open(&middle, &middle_options));
    struct net_push_options first_options = net_test_push_options(&out, NULL, net_pull_port(middle));
    assert_ok(net_push_open(&first, &first_options));
    net_test_push(first, 0, 5000);
    WAIT_FOR(inbox.messages == 1);
    assert_int_equal(inbox.disorder, 0);
    assert_int_equal(inbox.bytes, 5000);
    net_push_close(first);
    net_pull_close(middle);
    net_push_close(forward);
    net_pull_close(last);
}

static void push__is_closed_while_nobody_listens(void **state) {
    (void) state;
    struct net_test_outbox outbox = {0};
    struct net_push_options options = net_test_push_options(&outbox, NULL, net_test_free_port());
    struct net_push *push;
    assert_ok(net_push_open(&push, &options));
    assert_false(net_push_up(push));
    assert_err(net_push_send(push, net_test_message(0, 10)), ORD_ERR_CLOSED);
    net_push_close(push);
    assert_int_equal(outbox.sent + outbox.lost + outbox.ups + outbox.downs, 0);
}

static void push__connects_again_and_sends_nothing_stale(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    struct net_test_outbox outbox = {0};
    struct net_pull_options pull_options = net_test_pull_options(&inbox, net_test_member(), 0);
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    uint16_t port = net_pull_port(pull);
    struct net_push_options push_options = net_test_push_options(&outbox, net_test_member(), port);
    struct net_push *push;
    assert_ok(net_push_open(&push, &push_options));
    net_test_push(push, 0, 64);
    WAIT_FOR(inbox.messages == 1);
    for (uint32_t round = 1; round <= 3; round++) {
        net_pull_close(pull);
        WAIT_FOR(outbox.downs == round);
        assert_false(net_push_up(push));
        for (int i = 0; i < 10; i++)
            assert_err(net_push_send(push, net_test_message(1000, 64)), ORD_ERR_CLOSED);
        pull_options.port = port;
        assert_ok(net_pull_open(&pull, &pull_options));
        WAIT_FOR(outbox.ups == round + 1);
        net_test_push(push, round, 64);
        WAIT_FOR(inbox.messages == round + 1);
        assert_int_equal(inbox.last, round);
    }
    assert_int_equal(inbox.disorder, 0);
    net_push_close(push);
    net_pull_close(pull);
}

static void push__dials_again_when_its_owner_says_so(void **state) {
    (void) state;
    struct net_test_outbox outbox = {0};
    uint16_t port;
    int listener = net_test_raw_listen(&port);
    struct net_push_options push_options = net_test_push_options(&outbox, NULL, port);
    struct net_push *push;
    assert_ok(net_push_open(&push, &push_options));
    net_push_redial(push); /* there is no connection to close yet */
    int dead = net_test_raw_accept(listener, "\0SP\0\0\x51\0\0", 8);
    WAIT_FOR(net_push_up(push));
    net_push_redial(push);
    assert_false(net_push_up(push));
    int alive = net_test_raw_accept(listener, "\0SP\0\0\x51\0\0", 8);
    WAIT_FOR(outbox.ups == 2);
    assert_int_equal(outbox.downs, 1);
    assert_true(net_push_up(push));
    net_push_close(push);
    close(alive);
    close(dead);
    close(listener);
}

/* Sends until a message has been under way for a while without progress. Returns how many messages were taken. */
static uint32_t push_until_stuck(struct net_push *push, size_t size) {
    uint32_t taken = 0;
    uint64_t moved_ms = net_test_now_ms();
    while (net_test_now_ms() - moved_ms < 300) {
        enum ord_err err = net_push_send(push, net_test_message(0, size));
        if (err == ORD_OK) {
            taken++;
            moved_ms = net_test_now_ms();
            continue;
        }
        assert_err(err, ORD_ERR_BUSY);
        net_test_pause();
    }
    return taken;
}

static void push__is_busy_when_its_peer_does_not_read_and_loses_what_is_under_way(void **state) {
    (void) state;
    struct net_test_outbox outbox = {0};
    uint16_t port;
    int listener = net_test_raw_listen(&port);
    struct net_push_options push_options = net_test_push_options(&outbox, NULL, port);
    struct net_push *push;
    assert_ok(net_push_open(&push, &push_options));
    int peer = net_test_raw_accept(listener, "\0SP\0\0\x51\0\0", 8);
    WAIT_FOR(net_push_up(push));
    uint32_t taken = push_until_stuck(push, 1 << 20);
    assert_int_equal(outbox.sent, taken - 1);
    assert_int_equal(outbox.lost, 0);

    /* The link ends with a message under way. The owner is told about both,
     * and a later peer does not get that message. */
    close(listener);
    close(peer);
    WAIT_FOR(outbox.downs == 1);
    WAIT_FOR(outbox.lost == 1);
    assert_err(net_push_send(push, net_test_message(0, 64)), ORD_ERR_CLOSED);

    struct net_test_inbox inbox = {0};
    struct net_pull_options pull_options = net_test_pull_options(&inbox, NULL, port);
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    net_test_push(push, 0, 64);
    WAIT_FOR(inbox.messages == 1);
    assert_int_equal(inbox.bytes, 64);
    net_push_close(push);
    net_pull_close(pull);
}

static void push__closes_with_a_message_under_way(void **state) {
    (void) state;
    struct net_test_outbox outbox = {0};
    uint16_t port;
    int listener = net_test_raw_listen(&port);
    struct net_push_options push_options = net_test_push_options(&outbox, NULL, port);
    struct net_push *push;
    assert_ok(net_push_open(&push, &push_options));
    int peer = net_test_raw_accept(listener, "\0SP\0\0\x51\0\0", 8);
    WAIT_FOR(net_push_up(push));
    uint32_t taken = push_until_stuck(push, 1 << 20);
    net_push_close(push);
    assert_int_equal(outbox.sent, taken - 1);
    assert_int_equal(outbox.lost, 1);
    assert_int_equal(outbox.downs, 1);
    close(peer);
    close(listener);
}

/* The peer goes away in the middle of messages, again and again. Each time the link finds it when it is back. */
static void link__comes_back_when_its_peer_dies_under_load(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    struct net_test_outbox outbox = {0};
    struct net_pull_options pull_options = net_test_pull_options(&inbox, net_test_member(), 0);
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    pull_options.port = net_pull_port(pull);
    struct net_push_options push_options = net_test_push_options(&outbox, net_test_member(), pull_options.port);
    struct net_push *push;
    assert_ok(net_push_open(&push, &push_options));
    uint32_t taken = 0;
    for (uint32_t round = 1; round <= 30; round++) {
        size_t size = round % 3 == 0 ? 1 << 20 : round % 3 == 1 ? 65536 : 100;
        WAIT_FOR(outbox.ups == round);
        uint32_t received = inbox.messages;
        while (inbox.messages < received + 20)
            taken += net_push_send(push, net_test_message(0, size)) == ORD_OK;
        net_pull_close(pull);
        while (outbox.downs < round)
            taken += net_push_send(push, net_test_message(0, size)) == ORD_OK;
        assert_ok(net_pull_open(&pull, &pull_options));
    }
    WAIT_FOR(outbox.sent + outbox.lost == taken);
    net_push_close(push);
    net_pull_close(pull);
}

static void pull__drops_a_peer_that_sends_too_much(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    struct net_test_outbox big = {0}, honest = {0};
    struct net_pull_options pull_options = net_test_pull_options(&inbox, net_test_member(), 0);
    pull_options.message_bytes_max = 1000;
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    struct net_push_options big_options = net_test_push_options(&big, net_test_member(), net_pull_port(pull));
    struct net_push_options honest_options = net_test_push_options(&honest, net_test_member(), net_pull_port(pull));
    struct net_push *big_push, *honest_push;
    assert_ok(net_push_open(&big_push, &big_options));
    assert_ok(net_push_open(&honest_push, &honest_options));
    net_test_push(honest_push, 0, 1000);
    WAIT_FOR(inbox.messages == 1);
    net_test_push(big_push, 0, 1001);
    WAIT_FOR(big.downs == 1);
    net_test_push(honest_push, 1, 1000);
    WAIT_FOR(inbox.messages == 2);
    assert_int_equal(inbox.disorder, 0);
    assert_int_equal(inbox.bytes, 2000);
    assert_int_equal(honest.downs, 0);
    net_push_close(big_push);
    net_push_close(honest_push);
    net_pull_close(pull);
}

static void pull__refuses_a_port_in_use(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    for (int tls = 0; tls < 2; tls++) {
        struct net_pull_options options = net_test_pull_options(&inbox, tls ? net_test_member() : NULL, 0);
        options.probe_interval_ms = 1000;
        struct net_pull *pull, *second;
        assert_ok(net_pull_open(&pull, &options));
        options.port = net_pull_port(pull);
        assert_err(net_pull_open(&second, &options), ORD_ERR_IN_USE);
        assert_null(second);
        net_pull_close(pull);
        assert_ok(net_pull_open(&pull, &options));
        net_pull_close(pull);
    }
}

static void pull__refuses_bad_certificates_and_hosts(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    const struct net_tls *good = net_test_member();
    const struct net_tls bad[] = {
        {"", good->cert_pem, good->key_pem},
        {"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", good->cert_pem, good->key_pem},
        {good->ca_pem, "", good->key_pem},
        {good->ca_pem, good->key_pem, good->key_pem},
        {good->ca_pem, good->cert_pem, ""},
        {good->ca_pem, good->cert_pem, good->cert_pem},
        {NULL, good->cert_pem, good->key_pem},
        {good->ca_pem, NULL, good->key_pem},
        {good->ca_pem, good->cert_pem, NULL},
    };
    struct net_pull *pull;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct net_pull_options options = net_test_pull_options(&inbox, &bad[i], 0);
        assert_err(net_pull_open(&pull, &options), ORD_ERR_INVALID);
        struct net_test_outbox outbox = {0};
        struct net_push_options push_options = net_test_push_options(&outbox, &bad[i], 9);
        struct net_push *push;
        assert_err(net_push_open(&push, &push_options), ORD_ERR_INVALID);
    }
    char long_host[400];
    memset(long_host, 'a', sizeof(long_host) - 1);
    long_host[sizeof(long_host) - 1] = '\0';
    const char *const hosts[] = {NULL, "", "a/b", "a b", "a@b", "a?b", "999.999.999.999", long_host};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct net_pull_options options = net_test_pull_options(&inbox, good, 0);
        options.host = hosts[i];
        assert_err(net_pull_open(&pull, &options), ORD_ERR_INVALID);
    }
    struct net_pull_options options = net_test_pull_options(&inbox, good, 0);
    options.message_bytes_max = 0;
    assert_err(net_pull_open(&pull, &options), ORD_ERR_INVALID);
}

/* Both sides refuse a peer with a foreign certificate, without a certificate, or over plain TCP. */
static void link__needs_certificates_of_the_same_ca_on_both_sides(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    const struct net_tls *member = net_test_member();
    struct net_tls trusts_others = *member;
    trusts_others.ca_pem = net_test_foreign_ca();
    const struct net_tls *const intruders[] = {net_test_foreigner(), &trusts_others, NULL};
    struct net_pull_options pull_options = net_test_pull_options(&inbox, member, 0);
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    struct net_test_outbox outboxes[3] = {{0}}, honest = {0};
    struct net_push *pushes[3];
    for (size_t i = 0; i < 3; i++) {
        struct net_push_options options = net_test_push_options(&outboxes[i], intruders[i], net_pull_port(pull));
        options.reconnect_ms_max = 10;
        assert_ok(net_push_open(&pushes[i], &options));
    }
    /* While honest links come and go, the strangers get many attempts. */
    struct net_listener_counters counters;
    for (uint32_t i = 0; i < 20; i++) {
        struct net_push_options options = net_test_push_options(&honest, member, net_pull_port(pull));
        struct net_push *push;
        assert_ok(net_push_open(&push, &options));
        net_test_push(push, i, 64);
        WAIT_FOR(inbox.messages == i + 1);
        net_push_close(push);
    }
    net_pull_counters(pull, &counters);
    assert_int_equal(counters.pipes_total, 20);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(outboxes[i].ups, 0);
        assert_false(net_push_up(pushes[i]));
        net_push_close(pushes[i]);
    }
    net_pull_close(pull);
}

/* One PEM text holds several CAs, one for each organisation. */
static void link__takes_every_ca_of_the_list(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    struct net_test_outbox outbox = {0};
    static char both[20000];
    snprintf(both, sizeof(both), "%s%s", net_test_foreign_ca(), net_test_member()->ca_pem);
    struct net_tls member = *net_test_member();
    member.ca_pem = both;
    struct net_pull_options pull_options = net_test_pull_options(&inbox, &member, 0);
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    struct net_push_options push_options = net_test_push_options(&outbox, net_test_foreigner(), net_pull_port(pull));
    struct net_push *push;
    assert_ok(net_push_open(&push, &push_options));
    net_test_push(push, 0, 64);
    WAIT_FOR(inbox.messages == 1);
    net_push_close(push);
    net_pull_close(pull);
}

static void url__puts_ipv6_in_brackets(void **state) {
    (void) state;
    char url[NET_URL_MAX];
    assert_ok(net_url(url, "::1", 80));
    assert_string_equal(url, "tcp://[::1]:80");
    assert_ok(net_url(url, "a-b.example", 65535));
    assert_string_equal(url, "tcp://a-b.example:65535");
}

static void link__opens_and_closes_in_every_state(void **state) {
    (void) state;
    struct net_test_inbox inbox = {0};
    struct net_test_outbox outbox = {0};
    struct net_pull_options pull_options = net_test_pull_options(&inbox, net_test_member(), 0);
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &pull_options));
    struct net_push_options push_options = net_test_push_options(&outbox, net_test_member(), net_pull_port(pull));
    for (uint32_t i = 0; i < 100; i++) {
        struct net_push *push;
        assert_ok(net_push_open(&push, &push_options));
        /* Close at some moment during the handshake, or after it. */
        uint64_t until_ms = net_test_now_ms() + i % 20;
        while (net_test_now_ms() < until_ms)
            if (net_push_send(push, net_test_message(0, 100)) == ORD_ERR_CLOSED)
                net_test_pause();
        net_push_close(push);
    }
    net_pull_close(pull);
    net_pull_close(NULL);
    net_push_close(NULL);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(message__keeps_and_shortens_its_bytes),
    cmocka_unit_test(link__delivers_in_order_over_tcp),
    cmocka_unit_test(link__delivers_in_order_over_tls),
    cmocka_unit_test(link__forwards_a_received_message),
    cmocka_unit_test(push__is_closed_while_nobody_listens),
    cmocka_unit_test(push__connects_again_and_sends_nothing_stale),
    cmocka_unit_test(push__dials_again_when_its_owner_says_so),
    cmocka_unit_test(push__is_busy_when_its_peer_does_not_read_and_loses_what_is_under_way),
    cmocka_unit_test(push__closes_with_a_message_under_way),
    cmocka_unit_test(link__comes_back_when_its_peer_dies_under_load),
    cmocka_unit_test(pull__drops_a_peer_that_sends_too_much),
    cmocka_unit_test(pull__refuses_a_port_in_use),
    cmocka_unit_test(pull__refuses_bad_certificates_and_hosts),
    cmocka_unit_test(link__needs_certificates_of_the_same_ca_on_both_sides),
    cmocka_unit_test(link__takes_every_ca_of_the_list),
    cmocka_unit_test(url__puts_ipv6_in_brackets),
    cmocka_unit_test(link__opens_and_closes_in_every_state),
};
TEST_CASES(cases);
