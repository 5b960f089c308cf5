#include "tests/support/net_support.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/codec.h"
#include "crypto/x509.h"

uint64_t net_test_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

void net_test_pause(void) {
    nanosleep(&(struct timespec) {0, 1000000}, NULL);
}

static struct crypto_pem ca, member, foreign_ca, foreigner;

static void make_certificates(void) {
    if (member.cert[0] != '\0')
        return;
    assert_ok(crypto_ca_create(&ca, "org1", 10));
    assert_ok(crypto_ca_create(&foreign_ca, "org2", 10));
    assert_ok(crypto_tls_create(&foreigner, &foreign_ca, "org2", CRYPTO_ROLE_REPLICA, "stranger", NULL, 10));
    assert_ok(crypto_tls_create(&member, &ca, "org1", CRYPTO_ROLE_REPLICA, "member", NULL, 10));
}

const struct net_tls *net_test_member(void) {
    static const struct net_tls tls = {ca.cert, member.cert, member.key};
    make_certificates();
    return &tls;
}

const struct net_tls *net_test_foreigner(void) {
    static const struct net_tls tls = {ca.cert, foreigner.cert, foreigner.key};
    make_certificates();
    return &tls;
}

const char *net_test_foreign_ca(void) {
    make_certificates();
    return foreign_ca.cert;
}

int net_test_raw_listen(uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &size), 0);
    assert_int_equal(listen(fd, 16), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

int net_test_raw_accept(int listener, const char *bytes, size_t size) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
    return fd;
}

int net_test_raw_connect(uint16_t port, const char *bytes, size_t size) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
    return fd;
}

uint16_t net_test_free_port(void) {
    uint16_t port;
    close(net_test_raw_listen(&port));
    return port;
}

struct net_message *net_test_message(uint32_t value, size_t size) {
    struct net_message *message;
    uint8_t *data;
    assert_ok(net_message_create(&message, &data, size));
    memset(data, 0x5a, size);
    if (size >= sizeof(value))
        ord_store_u32(data, value);
    return message;
}

uint32_t net_test_value(struct ord_span bytes) {
    return bytes.size < sizeof(uint32_t) ? UINT32_MAX : ord_load_u32(bytes.data);
}

static void on_message(void *context, struct net_message *message) {
    struct net_test_inbox *inbox = context;
    struct ord_span bytes = net_message_bytes(message);
    uint32_t value = net_test_value(bytes);
    if (value != atomic_load(&inbox->messages))
        atomic_fetch_add(&inbox->disorder, 1);
    atomic_store(&inbox->last, value);
    atomic_fetch_add(&inbox->bytes, bytes.size);
    net_message_destroy(message);
    atomic_fetch_add(&inbox->messages, 1);
}

struct net_pull_options net_test_pull_options(struct net_test_inbox *inbox, const struct net_tls *tls, uint16_t port) {
    return (struct net_pull_options) {
        .host = "127.0.0.1",
        .port = port,
        .tls = tls,
        .message_bytes_max = 1 << 20,
        .probe_interval_ms = 0,
        .probes_missed_max = 0,
        .on_message = on_message,
        .context = inbox,
    };
}

static void on_link(void *context, bool up) {
    struct net_test_outbox *outbox = context;
    atomic_fetch_add(up ? &outbox->ups : &outbox->downs, 1);
}

static void on_sent(void *context, enum ord_err result) {
    struct net_test_outbox *outbox = context;
    atomic_fetch_add(result == ORD_OK ? &outbox->sent : &outbox->lost, 1);
}

struct net_push_options net_test_push_options(struct net_test_outbox *outbox, const struct net_tls *tls,
                                              uint16_t port) {
    return (struct net_push_options) {
        .host = "127.0.0.1",
        .port = port,
        .tls = tls,
        .reconnect_ms_min = 5,
        .reconnect_ms_max = 50,
        .on_link = on_link,
        .on_sent = on_sent,
        .context = outbox,
    };
}

void net_test_push(struct net_push *push, uint32_t value, size_t size) {
    enum ord_err err;
    WAIT_FOR((err = net_push_send(push, net_test_message(value, size))) != ORD_ERR_BUSY && err != ORD_ERR_CLOSED);
    assert_ok(err);
}

static void on_request(void *context, struct net_request *request) {
    struct net_test_echo *echo = context;
    atomic_fetch_add(&echo->requests, 1);
    struct ord_span bytes = net_request_bytes(request);
    struct net_message *reply;
    uint8_t *data;
    if (net_message_create(&reply, &data, bytes.size) != ORD_OK)
        reply = NULL;
    else if (bytes.size > 0)
        memcpy(data, bytes.data, bytes.size);
    net_request_reply(request, reply);
}

struct net_server_options net_test_echo_options(struct net_test_echo *echo, const struct net_tls *tls, uint16_t port) {
    return (struct net_server_options) {
        .host = "127.0.0.1",
        .port = port,
        .tls = tls,
        .context_count = 8,
        .request_bytes_max = 1 << 20,
        .send_timeout_ms = 1000,
        .probe_interval_ms = 0,
        .probes_missed_max = 0,
        .on_request = on_request,
        .context = echo,
    };
}

struct net_client_options net_test_client_options(const struct net_tls *tls, uint16_t port) {
    return (struct net_client_options) {
        .host = "127.0.0.1",
        .port = port,
        .tls = tls,
        .reply_bytes_max = 1 << 20,
        .call_max = 16,
        .reconnect_ms_max = 50,
    };
}

void net_test_ask(struct net_client *client, uint32_t value, size_t size) {
    struct net_message *reply;
    assert_ok(net_client_ask(client, &reply, net_test_message(value, size), NET_TEST_DEADLINE_MS));
    struct ord_span bytes = net_message_bytes(reply);
    assert_int_equal(bytes.size, size);
    if (size >= sizeof(value))
        assert_int_equal(net_test_value(bytes), value);
    net_message_destroy(reply);
}
