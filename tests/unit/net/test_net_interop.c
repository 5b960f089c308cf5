/*
 * Ordain implements SP's protocols itself, over nng's streams, and any SP library must understand it. Here it talks to
 * nng's own sockets, in both directions, plain and over TLS. nng's TLS is mbedTLS, which nothing else here uses.
 */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <stdio.h>
#include <unistd.h>

#include "net/net_internal.h"
#include "tests/support/net_support.h"

struct answer {
    atomic_bool done;
    enum ord_err result;
    uint32_t value;
    size_t size;
};

static void on_answer(void *context, enum ord_err result, struct net_message *reply) {
    struct answer *answer = context;
    answer->result = result;
    if (reply != NULL) {
        answer->value = net_test_value(net_message_bytes(reply));
        answer->size = net_message_bytes(reply).size;
    }
    net_message_destroy(reply);
    atomic_store(&answer->done, true);
}

static nng_tls_config *make_config(const struct net_tls *tls, nng_tls_mode mode) {
    nng_tls_config *config;
    assert_int_equal(nng_tls_config_alloc(&config, mode), 0);
    assert_int_equal(nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED), 0);
    assert_int_equal(nng_tls_config_ca_chain(config, tls->ca_pem, NULL), 0);
    assert_int_equal(nng_tls_config_own_cert(config, tls->cert_pem, tls->key_pem, NULL), 0);
    return config;
}

static void dial(nng_socket socket, uint16_t port, const struct net_tls *tls) {
    char url[NET_URL_MAX];
    snprintf(url, sizeof(url), "%s://127.0.0.1:%u", tls != NULL ? "tls+tcp" : "tcp", port);
    nng_dialer dialer;
    assert_int_equal(nng_dialer_create(&dialer, socket, url), 0);
    if (tls != NULL) {
        nng_tls_config *config = make_config(tls, NNG_TLS_MODE_CLIENT);
        assert_int_equal(nng_dialer_set_ptr(dialer, NNG_OPT_TLS_CONFIG, config), 0);
        nng_tls_config_free(config);
    }
    assert_int_equal(nng_dialer_start(dialer, 0), 0);
}

static uint16_t serve(nng_socket socket, const struct net_tls *tls) {
    nng_listener listener;
    assert_int_equal(
        nng_listener_create(&listener, socket, tls != NULL ? "tls+tcp://127.0.0.1:0" : "tcp://127.0.0.1:0"), 0);
    if (tls != NULL) {
        nng_tls_config *config = make_config(tls, NNG_TLS_MODE_SERVER);
        assert_int_equal(nng_listener_set_ptr(listener, NNG_OPT_TLS_CONFIG, config), 0);
        nng_tls_config_free(config);
    }
    assert_int_equal(nng_listener_start(listener, 0), 0);
    int port;
    assert_int_equal(nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port), 0);
    return (uint16_t) port;
}

static void set_timeouts(nng_socket socket) {
    assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, NET_TEST_DEADLINE_MS), 0);
    assert_int_equal(nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, NET_TEST_DEADLINE_MS), 0);
}

static void a_push_of_nng(const struct net_tls *tls) {
    struct net_test_inbox inbox = {0};
    struct net_pull_options options = net_test_pull_options(&inbox, tls, 0);
    struct net_pull *pull;
    assert_ok(net_pull_open(&pull, &options));
    nng_socket push;
    assert_int_equal(nng_push0_open(&push), 0);
    set_timeouts(push);
    dial(push, net_pull_port(pull), tls);
    static uint8_t data[100000];
    for (uint32_t i = 0; i < 20; i++) {
        data[3] = (uint8_t) i;
        assert_int_equal(nng_send(push, data, i % 2 == 0 ? sizeof(data) : 4, 0), 0);
    }
    WAIT_FOR(inbox.messages == 20);
    assert_int_equal(inbox.disorder, 0);
    assert_int_equal(inbox.bytes, 10 * sizeof(data) + 10 * 4);
    nng_close(push);
    net_pull_close(pull);
}

static void pull__understands_a_push_of_nng(void **state) {
    (void) state;
    a_push_of_nng(NULL);
}

static void pull__understands_a_push_of_nng_over_tls(void **state) {
    (void) state;
    a_push_of_nng(net_test_member());
}

static void a_pull_of_nng(const struct net_tls *tls) {
    nng_socket pull;
    assert_int_equal(nng_pull0_open(&pull), 0);
    set_timeouts(pull);
    struct net_test_outbox outbox = {0};
    struct net_push_options options = net_test_push_options(&outbox, tls, serve(pull, tls));
    struct net_push *push;
    assert_ok(net_push_open(&push, &options));
    for (uint32_t i = 0; i < 10; i++) {
        size_t size = i % 2 == 0 ? 100000 : 4;
        net_test_push(push, i, size);
        nng_msg *message;
        assert_int_equal(nng_recvmsg(pull, &message, 0), 0);
        assert_int_equal(nng_msg_len(message), size);
        assert_int_equal(net_test_value(ord_span_of(nng_msg_body(message), nng_msg_len(message))), i);
        nng_msg_free(message);
    }
    net_push_close(push);
    nng_close(pull);
}

static void push__is_understood_by_a_pull_of_nng(void **state) {
    (void) state;
    a_pull_of_nng(NULL);
}

static void push__is_understood_by_a_pull_of_nng_over_tls(void **state) {
    (void) state;
    a_pull_of_nng(net_test_member());
}

static void a_req_of_nng(const struct net_tls *tls) {
    struct net_test_echo echo = {0};
    struct net_server_options options = net_test_echo_options(&echo, tls, 0);
    struct net_server *server;
    assert_ok(net_server_open(&server, &options));
    nng_socket req;
    assert_int_equal(nng_req0_open(&req), 0);
    set_timeouts(req);
    dial(req, net_server_port(server), tls);
    for (uint8_t i = 0; i < 10; i++) {
        uint8_t data[50] = {i};
        assert_int_equal(nng_send(req, data, sizeof(data), 0), 0);
        nng_msg *message;
        assert_int_equal(nng_recvmsg(req, &message, 0), 0);
        assert_int_equal(nng_msg_len(message), sizeof(data));
        assert_memory_equal(nng_msg_body(message), data, sizeof(data));
        nng_msg_free(message);
    }
    nng_close(req);
    net_server_close(server);
}

static void server__understands_a_req_of_nng(void **state) {
    (void) state;
    a_req_of_nng(NULL);
}

static void server__understands_a_req_of_nng_over_tls(void **state) {
    (void) state;
    a_req_of_nng(net_test_member());
}

/* A device between client and server adds a word of its own to the backtrace. */
static void server__answers_through_a_device(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options options = net_test_echo_options(&echo, NULL, 0);
    struct net_server *server;
    assert_ok(net_server_open(&server, &options));
    /* The test sends what a device would send: its word (high bit clear),
     * then the request's id. Both must come back. */
    static const uint8_t hello_and_request[] = "\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\x0d\x12\x34\x56\x78\x80\0\0\7hello";
    int fd = net_test_raw_connect(net_server_port(server), (const char *) hello_and_request, 29);
    uint8_t answer[29];
    for (size_t got = 0; got < sizeof(answer);) {
        ssize_t count = read(fd, answer + got, sizeof(answer) - got);
        assert_true(count > 0);
        got += (size_t) count;
    }
    assert_memory_equal(answer, "\0SP\0\0\x31\0\0", 8);
    assert_memory_equal(answer + 8, hello_and_request + 8, 21);
    close(fd);
    net_server_close(server);
}

static void a_rep_of_nng(const struct net_tls *tls) {
    nng_socket rep;
    assert_int_equal(nng_rep0_open(&rep), 0);
    set_timeouts(rep);
    struct net_client_options options = net_test_client_options(tls, serve(rep, tls));
    struct net_client *client;
    assert_ok(net_client_open(&client, &options));
    assert_ok(net_client_wait(client, NET_TEST_DEADLINE_MS));
    for (uint32_t i = 0; i < 10; i++) {
        struct answer answer = {0};
        assert_ok(net_client_call(client, net_test_message(i, 50), NET_TEST_DEADLINE_MS, on_answer, &answer));
        nng_msg *message;
        assert_int_equal(nng_recvmsg(rep, &message, 0), 0);
        assert_int_equal(net_test_value(ord_span_of(nng_msg_body(message), nng_msg_len(message))), i);
        assert_int_equal(nng_sendmsg(rep, message, 0), 0);
        WAIT_FOR(answer.done);
        assert_ok(answer.result);
        assert_int_equal(answer.value, i);
        assert_int_equal(answer.size, 50);
    }
    net_client_close(client);
    nng_close(rep);
}

static void client__is_understood_by_a_rep_of_nng(void **state) {
    (void) state;
    a_rep_of_nng(NULL);
}

static void client__is_understood_by_a_rep_of_nng_over_tls(void **state) {
    (void) state;
    a_rep_of_nng(net_test_member());
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(pull__understands_a_push_of_nng),
    cmocka_unit_test(pull__understands_a_push_of_nng_over_tls),
    cmocka_unit_test(push__is_understood_by_a_pull_of_nng),
    cmocka_unit_test(push__is_understood_by_a_pull_of_nng_over_tls),
    cmocka_unit_test(server__understands_a_req_of_nng),
    cmocka_unit_test(server__understands_a_req_of_nng_over_tls),
    cmocka_unit_test(client__is_understood_by_a_rep_of_nng),
    cmocka_unit_test(client__is_understood_by_a_rep_of_nng_over_tls),
    cmocka_unit_test(server__answers_through_a_device),
};
TEST_CASES(cases);
