/*
 * What a member may take from the public endpoint: connections, time for a request, contexts, and what is left of them
 * when its connections end (rows M1 and M4).
 */
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "core/codec.h"
#include "net/net_internal.h"
#include "tests/support/net_support.h"

enum { KEPT_MAX = 256, REQUESTS = 66, CONTEXTS = 16 };

static const char hello[] = "\0SP\0\0\x30\0\0";
static const char request[] = "\0\0\0\0\0\0\0\4\x80\0\0\1";
enum { HELLO_SIZE = sizeof(hello) - 1, REQUEST_SIZE = sizeof(request) - 1 };

/* Keeps the server's requests until the test answers them. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct net_request *kept[KEPT_MAX];
static size_t kept_count;
static atomic_uint kept_total;

static void keep(void *context, struct net_request *net) {
    (void) context;
    pthread_mutex_lock(&lock);
    assert_true(kept_count < KEPT_MAX);
    kept[kept_count++] = net;
    pthread_mutex_unlock(&lock);
    atomic_fetch_add(&kept_total, 1);
}

static void answer_kept(void) {
    pthread_mutex_lock(&lock);
    struct net_request *requests[KEPT_MAX];
    size_t count = kept_count;
    memcpy(requests, kept, sizeof(requests));
    kept_count = 0;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < count; i++)
        net_request_reply(requests[i], net_test_message(1, 8));
}

static struct net_server *open_server(const struct net_server_options *changes) {
    struct net_server_options options = net_test_echo_options(NULL, NULL, 0);
    struct net_server *server;
    options.on_request = keep;
    options.context_count = CONTEXTS;
    options.member_contexts = changes->member_contexts;
    options.connections_max = changes->connections_max;
    options.message_ms = changes->message_ms;
    kept_count = 0;
    kept_total = 0;
    assert_ok(net_server_open(&server, &options));
    return server;
}

static uint64_t connections(const struct net_server *server) {
    struct net_listener_counters counters;
    net_server_counters(server, &counters);
    return counters.pipes_now;
}

/* Requests that the server has read. */
static uint64_t messages(const struct net_server *server) {
    struct net_listener_counters counters;
    net_server_counters(server, &counters);
    return counters.messages;
}

/* Whether the server knows that the connection of the oldest kept request has ended. */
static bool oldest_is_closed(void) {
    pthread_mutex_lock(&lock);
    bool closed = kept_count > 0 && net_request_closed(kept[0]);
    pthread_mutex_unlock(&lock);
    return closed;
}

/* Reads until the end of the connection, or until nothing has come for `ms`. True: it has ended. */
static bool ends_within(int fd, int ms) {
    char bytes[4096];
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    while (poll(&poll_fd, 1, ms) > 0)
        if (read(fd, bytes, sizeof(bytes)) <= 0)
            return true;
    return false;
}

static int connect_with(const struct net_server *server, const char *bytes, size_t size) {
    return net_test_raw_connect(net_server_port(server), bytes, size);
}

/* Connects and sends so many requests. */
static int connect_and_ask(const struct net_server *server, unsigned count) {
    char bytes[HELLO_SIZE + REQUESTS * REQUEST_SIZE];
    assert_true(count <= REQUESTS);
    memcpy(bytes, hello, HELLO_SIZE);
    for (size_t i = 0; i < count; i++)
        memcpy(bytes + HELLO_SIZE + i * REQUEST_SIZE, request, REQUEST_SIZE);
    return connect_with(server, bytes, HELLO_SIZE + count * REQUEST_SIZE);
}

/*
 * Closes a connection that has not read the server's hello. The system then resets it, and the server, which does not
 * read while a request waits, notices.
 */
static void reset(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, NET_TEST_DEADLINE_MS), 1);
    close(fd);
}

/* One connection beyond the limit takes the place of the one that has been idle the longest. */
static void connection__takes_the_place_of_an_idle_one(void **state) {
    (void) state;
    struct net_server *server = open_server(&(struct net_server_options) {.connections_max = 3});
    int fds[4];
    for (unsigned i = 0; i < 3; i++) {
        fds[i] = connect_with(server, hello, HELLO_SIZE);
        WAIT_FOR(connections(server) == i + 1);
        /* The connections differ in how long they have been idle, in milliseconds. */
        uint64_t up_ms = net_test_now_ms();
        WAIT_FOR(net_test_now_ms() > up_ms + 1);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_false(ends_within(fds[i], 10));
    fds[3] = connect_with(server, hello, HELLO_SIZE);
    assert_true(ends_within(fds[0], NET_TEST_DEADLINE_MS));
    WAIT_FOR(connections(server) == 3);
    for (unsigned i = 1; i < 4; i++)
        assert_false(ends_within(fds[i], 10));
    for (unsigned i = 0; i < 4; i++)
        close(fds[i]);
    WAIT_FOR(connections(server) == 0);
    net_server_close(server);
}

/* Where nobody is idle, the one beyond the limit is closed itself, and there is room again when one has gone. */
static void connection__is_closed_where_nobody_is_idle(void **state) {
    (void) state;
    struct net_server *server = open_server(&(struct net_server_options) {.connections_max = 2});
    char bytes[HELLO_SIZE + REQUEST_SIZE];
    int fds[2];
    memcpy(bytes, hello, HELLO_SIZE);
    memcpy(bytes + HELLO_SIZE, request, REQUEST_SIZE);
    for (unsigned i = 0; i < 2; i++)
        fds[i] = connect_with(server, bytes, sizeof(bytes));
    WAIT_FOR(kept_total == 2);
    int late = connect_with(server, bytes, sizeof(bytes));
    assert_true(ends_within(late, NET_TEST_DEADLINE_MS));
    close(late);
    assert_int_equal(kept_total, 2);
    close(fds[0]);
    answer_kept();
    WAIT_FOR(connections(server) == 1);
    late = connect_with(server, bytes, sizeof(bytes));
    WAIT_FOR(kept_total == 3);
    answer_kept();
    close(late);
    close(fds[1]);
    net_server_close(server);
}

/* A request that has begun has a deadline. A connection that has begun none has not. */
static void request__must_end_in_time(void **state) {
    (void) state;
    struct net_server *server = open_server(&(struct net_server_options) {.message_ms = 300});
    char bytes[HELLO_SIZE + REQUEST_SIZE];
    memcpy(bytes, hello, HELLO_SIZE);
    memcpy(bytes + HELLO_SIZE, request, REQUEST_SIZE);
    int idle = connect_with(server, hello, HELLO_SIZE);
    uint64_t began_ms = net_test_now_ms();
    int in_length = connect_with(server, bytes, HELLO_SIZE + 3);
    int in_body = connect_with(server, bytes, sizeof(bytes) - 1);
    assert_true(ends_within(in_length, NET_TEST_DEADLINE_MS));
    assert_true(ends_within(in_body, NET_TEST_DEADLINE_MS));
    assert_true(net_test_now_ms() - began_ms >= 300);
    assert_false(ends_within(idle, 400));
    assert_int_equal(write(idle, request, REQUEST_SIZE), REQUEST_SIZE);
    WAIT_FOR(kept_total == 1);
    answer_kept();
    close(idle);
    close(in_length);
    close(in_body);
    net_server_close(server);
}

/* A connection that waits for a context of others goes when it ends, and nobody serves its request. */
static void request__in_line_ends_with_its_connection(void **state) {
    (void) state;
    struct net_server *server = open_server(&(struct net_server_options) {0});
    int busy = connect_and_ask(server, CONTEXTS);
    WAIT_FOR(kept_total == CONTEXTS);
    int waits = connect_and_ask(server, 1);
    WAIT_FOR(messages(server) == CONTEXTS + 1);
    reset(waits);
    WAIT_FOR(connections(server) == 1);
    answer_kept();
    close(busy);
    WAIT_FOR(connections(server) == 0);
    assert_int_equal(kept_total, CONTEXTS);
    net_server_close(server);
}

/* The same for one that waits for its own share: what it has in progress is answered, and then it is gone. */
static void request__beyond_a_share_ends_with_its_connection(void **state) {
    (void) state;
    struct net_server *server = open_server(&(struct net_server_options) {.member_contexts = 2});
    int waits = connect_and_ask(server, 3);
    WAIT_FOR(kept_total == 2);
    WAIT_FOR(messages(server) == 3);
    reset(waits);
    WAIT_FOR(oldest_is_closed());
    answer_kept();
    WAIT_FOR(connections(server) == 0);
    assert_int_equal(kept_total, 2);
    net_server_close(server);
}

/* Row M1: connections with more requests than their share end unanswered. Others are served, and the server closes. */
static void contexts__come_back_when_connections_end(void **state) {
    (void) state;
    struct net_server *server = open_server(&(struct net_server_options) {.member_contexts = 4});
    int fds[4];
    for (unsigned i = 0; i < 4; i++)
        fds[i] = connect_and_ask(server, REQUESTS);
    WAIT_FOR(kept_total == CONTEXTS);
    /* All contexts are taken by those who go. */
    int other = connect_with(server, hello, HELLO_SIZE);
    assert_int_equal(write(other, request, REQUEST_SIZE), REQUEST_SIZE);
    for (unsigned i = 0; i < 4; i++)
        close(fds[i]);
    unsigned answers = 0;
    char reply[HELLO_SIZE + 20];
    size_t got = 0;
    while (got < sizeof(reply)) {
        struct pollfd poll_fd = {.fd = other, .events = POLLIN};
        answer_kept();
        if (poll(&poll_fd, 1, 10) > 0) {
            ssize_t count = read(other, reply + got, sizeof(reply) - got);
            assert_true(count > 0);
            got += (size_t) count;
        }
        assert_true(++answers < 10000);
    }
    answer_kept();
    WAIT_FOR(connections(server) == 1);
    uint64_t began_ms = net_test_now_ms();
    net_server_close(server);
    assert_true(net_test_now_ms() - began_ms < NET_TEST_DEADLINE_MS);
    close(other);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(connection__takes_the_place_of_an_idle_one),
    cmocka_unit_test(connection__is_closed_where_nobody_is_idle),
    cmocka_unit_test(request__must_end_in_time),
    cmocka_unit_test(request__in_line_ends_with_its_connection),
    cmocka_unit_test(request__beyond_a_share_ends_with_its_connection),
    cmocka_unit_test(contexts__come_back_when_connections_end),
};
TEST_CASES(cases);
