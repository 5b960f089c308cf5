/*
 * The public endpoint and its client: REP and REQ.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/net_internal.h"
#include "tests/support/net_support.h"

/* Counts the results that a client's calls end with. */
struct replies {
    atomic_uint ok, timeout, closed, wrong;
};

static void on_reply(void *context, enum ord_err result, struct net_message *reply) {
    struct replies *replies = context;
    net_message_destroy(reply);
    if (result == ORD_OK)
        atomic_fetch_add(reply != NULL ? &replies->ok : &replies->wrong, 1);
    else
        atomic_fetch_add(result == ORD_ERR_TIMEOUT  ? &replies->timeout
                         : result == ORD_ERR_CLOSED ? &replies->closed
                                                    : &replies->wrong,
                         1);
}

/* Keeps a server's requests until the test answers them. */
struct shelf {
    pthread_mutex_t lock;
    struct net_request *requests[64];
    size_t count;
    atomic_uint total;
    atomic_bool closed;
};

static void on_request_keep(void *context, struct net_request *request) {
    struct shelf *shelf = context;
    pthread_mutex_lock(&shelf->lock);
    shelf->requests[shelf->count++ % 64] = request;
    pthread_mutex_unlock(&shelf->lock);
    atomic_fetch_add(&shelf->total, 1);
}

static void shelf_answer_all(struct shelf *shelf, bool with_reply) {
    pthread_mutex_lock(&shelf->lock);
    struct net_request *requests[64];
    size_t count = shelf->count;
    memcpy(requests, shelf->requests, sizeof(requests));
    shelf->count = 0;
    pthread_mutex_unlock(&shelf->lock);
    for (size_t i = 0; i < count; i++)
        net_request_reply(requests[i], with_reply ? net_test_message(1, 8) : NULL);
}

/* Opens a server that keeps its requests on the shelf. */
static struct net_server *open_keeping(struct shelf *shelf, const struct net_tls *tls, uint32_t context_count,
                                       uint32_t member_contexts) {
    struct net_server_options options = net_test_echo_options(NULL, tls, 0);
    struct net_server *server;
    options.on_request = on_request_keep;
    options.context = shelf;
    options.context_count = context_count;
    options.member_contexts = member_contexts;
    assert_ok(net_server_open(&server, &options));
    return server;
}

/* Requests that the server has read. */
static uint64_t messages(const struct net_server *server) {
    struct net_listener_counters counters;
    net_server_counters(server, &counters);
    return counters.messages;
}

static void ask_and_answer(const struct net_tls *tls) {
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, tls, 0);
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    struct net_client_options client_options = net_test_client_options(tls, net_server_port(server));
    struct net_client *client;
    assert_ok(net_client_open(&client, &client_options));
    assert_ok(net_client_wait(client, NET_TEST_DEADLINE_MS));
    assert_true(net_client_up(client));
    const size_t sizes[] = {0, 1, 4, 100, 8191, 8192, 8193, 16384, 70000, (1 << 20) - 1, 1 << 20};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        net_test_ask(client, (uint32_t) i, sizes[i]);
    struct net_listener_counters counters;
    net_server_counters(server, &counters);
    assert_int_equal(counters.messages, sizeof(sizes) / sizeof(sizes[0]));
    assert_int_equal(counters.pipes_now, 1);
    net_client_close(client);
    net_server_close(server);
}

static void call__is_answered_over_tcp(void **state) {
    (void) state;
    ask_and_answer(NULL);
}

static void call__is_answered_over_tls(void **state) {
    (void) state;
    ask_and_answer(net_test_member());
}

/* Several clients, each with as many calls in flight as it may have, share fewer contexts. */
static void calls__are_all_answered_when_contexts_are_few(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, net_test_member(), 0);
    server_options.context_count = 3;
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    enum { CLIENTS = 6, CALLS = 500 };
    struct net_client *clients[CLIENTS];
    struct replies replies = {0};
    struct net_client_options client_options = net_test_client_options(net_test_member(), net_server_port(server));
    for (size_t i = 0; i < CLIENTS; i++)
        assert_ok(net_client_open(&clients[i], &client_options));
    for (uint32_t i = 0; i < CALLS; i++)
        for (size_t c = 0; c < CLIENTS; c++) {
            enum ord_err err;
            WAIT_FOR((err = net_client_call(clients[c], net_test_message(i, 100), NET_TEST_DEADLINE_MS, on_reply,
                                            &replies)) != ORD_ERR_BUSY);
            assert_ok(err);
        }
    WAIT_FOR(replies.ok == CALLS * CLIENTS);
    assert_int_equal(echo.requests, CALLS * CLIENTS);
    assert_int_equal(replies.timeout + replies.closed + replies.wrong, 0);
    for (size_t i = 0; i < CLIENTS; i++)
        net_client_close(clients[i]);
    net_server_close(server);
}

/*
 * One connection sends more requests than there are contexts and gets its share of them. The rest is left for the
 * others.
 */
static void calls__of_one_connection_leave_contexts_for_others(void **state) {
    (void) state;
    struct shelf shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct net_server *server = open_keeping(&shelf, NULL, 8, 3);
    struct net_client_options client_options = net_test_client_options(NULL, net_server_port(server));
    client_options.call_max = 20;
    struct net_client *clients[3];
    struct replies replies = {0};
    for (size_t c = 0; c < 3; c++) {
        assert_ok(net_client_open(&clients[c], &client_options));
        assert_ok(net_client_wait(clients[c], NET_TEST_DEADLINE_MS));
        for (int i = 0; i < 20; i++)
            assert_ok(net_client_call(clients[c], net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
        /* The shares make 3, then 6, then all 8 contexts. */
        WAIT_FOR(shelf.total == (c < 2 ? 3 * (c + 1) : 8));
    }
    assert_int_equal(shelf.total, 8);
    while (replies.ok < 60) {
        shelf_answer_all(&shelf, true);
        net_test_pause();
    }
    assert_int_equal(shelf.total, 60);
    assert_int_equal(replies.timeout + replies.closed + replies.wrong, 0);
    /* The server also copes when a connection ends that waits because it has its share. */
    for (int i = 0; i < 20; i++)
        assert_ok(net_client_call(clients[0], net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
    WAIT_FOR(shelf.total == 63);
    net_client_close(clients[0]);
    shelf_answer_all(&shelf, true);
    for (size_t c = 1; c < 3; c++)
        net_client_close(clients[c]);
    net_server_close(server);
}

/* Rows M1 and M6: a second connection of a member gives it no more, and closing gives back what it had. */
static void calls__of_one_member_have_one_share(void **state) {
    (void) state;
    struct shelf shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct net_server *server = open_keeping(&shelf, net_test_member(), 8, 3);
    struct net_client_options client_options = net_test_client_options(net_test_member(), net_server_port(server));
    struct net_client *clients[2];
    struct replies replies = {0};
    for (size_t c = 0; c < 2; c++) {
        assert_ok(net_client_open(&clients[c], &client_options));
        assert_ok(net_client_wait(clients[c], NET_TEST_DEADLINE_MS));
        for (int i = 0; i < 4; i++)
            assert_ok(net_client_call(clients[c], net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
        /* One connection waits with its fourth request, the other one with its first. */
        WAIT_FOR(messages(server) == 4 + c);
        WAIT_FOR(shelf.total == 3);
    }
    /* The first one goes with a request that waits and three that nobody has answered. */
    net_client_close(clients[0]);
    assert_int_equal(replies.closed, 4);
    shelf_answer_all(&shelf, true);
    WAIT_FOR(shelf.total == 6);
    while (replies.ok < 4) {
        shelf_answer_all(&shelf, true);
        net_test_pause();
    }
    assert_int_equal(shelf.total, 7);
    net_client_close(clients[1]);
    net_server_close(server);
}

/* What is counted is counted by source: all connections of a member are one, and each plain connection is another. */
static void source__is_the_member_or_the_plain_connection(void **state) {
    (void) state;
    for (int plain = 0; plain <= 1; plain++) {
        const struct net_tls *tls = plain ? NULL : net_test_member();
        struct shelf shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};
        struct net_server *server = open_keeping(&shelf, tls, 8, 0);
        struct net_client_options client_options = net_test_client_options(tls, net_server_port(server));
        struct net_client *clients[2];
        struct replies replies = {0};
        for (unsigned c = 0; c < 2; c++) {
            assert_ok(net_client_open(&clients[c], &client_options));
            assert_ok(net_client_call(clients[c], net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
            WAIT_FOR(shelf.total == c + 1);
        }
        bool same = net_request_source(shelf.requests[0]) == net_request_source(shelf.requests[1]);
        assert_int_equal(same, !plain);
        shelf_answer_all(&shelf, true);
        WAIT_FOR(replies.ok == 2);
        for (unsigned c = 0; c < 2; c++)
            net_client_close(clients[c]);
        net_server_close(server);
    }
}

static void call__is_busy_when_as_many_are_in_flight_and_times_out(void **state) {
    (void) state;
    struct shelf shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct net_server *server = open_keeping(&shelf, net_test_member(), 16, 0);
    struct net_client_options client_options = net_test_client_options(net_test_member(), net_server_port(server));
    client_options.call_max = 4;
    struct net_client *client;
    assert_ok(net_client_open(&client, &client_options));
    struct replies replies = {0};
    for (int i = 0; i < 4; i++)
        assert_ok(net_client_call(client, net_test_message(0, 8), 300, on_reply, &replies));
    assert_err(net_client_call(client, net_test_message(0, 8), 300, on_reply, &replies), ORD_ERR_BUSY);
    WAIT_FOR(shelf.total == 4);
    WAIT_FOR(replies.timeout == 4);
    /* Late answers to the calls that timed out must not be mistaken for the
     * answers to new calls with the same indexes. */
    for (int i = 0; i < 3; i++)
        assert_ok(net_client_call(client, net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
    WAIT_FOR(shelf.total == 7);
    for (int i = 0; i < 4; i++)
        net_request_reply(shelf.requests[i], net_test_message(99, 8));
    assert_ok(net_client_call(client, net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
    WAIT_FOR(shelf.total == 8);
    net_request_reply(shelf.requests[7], net_test_message(1, 8));
    WAIT_FOR(replies.ok > 0);
    /* This answer came after the late ones, on the same connection. */
    assert_int_equal(replies.ok, 1);
    net_client_close(client);
    assert_int_equal(replies.ok, 1);
    assert_int_equal(replies.closed, 3);
    for (int i = 4; i < 7; i++)
        net_request_reply(shelf.requests[i], NULL);
    net_server_close(server);
}

static void call__waits_for_a_connection_and_times_out_without(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    uint16_t port = net_test_free_port();
    struct net_client_options client_options = net_test_client_options(net_test_member(), port);
    struct net_client *client;
    assert_ok(net_client_open(&client, &client_options));
    assert_false(net_client_up(client));
    assert_err(net_client_wait(client, 20), ORD_ERR_TIMEOUT);
    struct net_message *reply;
    assert_err(net_client_ask(client, &reply, net_test_message(0, 8), 50), ORD_ERR_TIMEOUT);
    assert_null(reply);
    struct replies replies = {0};
    assert_ok(net_client_call(client, net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
    struct net_server_options server_options = net_test_echo_options(&echo, net_test_member(), port);
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    WAIT_FOR(replies.ok == 1);
    assert_int_equal(echo.requests, 1); /* the request that timed out was never sent */
    net_client_close(client);
    net_server_close(server);
}

/* A request whose connection is lost fails, and is not sent again when the server is back. */
static void call__fails_with_its_connection_and_is_not_sent_again(void **state) {
    (void) state;
    for (int tls = 0; tls < 2; tls++) {
        const struct net_tls *member = tls ? net_test_member() : NULL;
        struct shelf shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};
        struct net_server_options keep_options = net_test_echo_options(NULL, member, 0);
        keep_options.on_request = on_request_keep;
        keep_options.context = &shelf;
        struct net_server *server;
        assert_ok(net_server_open(&server, &keep_options));
        uint16_t port = net_server_port(server);
        struct net_client_options client_options = net_test_client_options(member, port);
        struct net_client *client;
        assert_ok(net_client_open(&client, &client_options));
        struct replies replies = {0};
        for (int i = 0; i < 5; i++)
            assert_ok(net_client_call(client, net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
        WAIT_FOR(shelf.total == 5);
        shelf_answer_all(&shelf, false);
        net_server_close(server);
        WAIT_FOR(replies.closed == 5);

        struct net_test_echo echo = {0};
        struct net_server_options echo_options = net_test_echo_options(&echo, member, port);
        assert_ok(net_server_open(&server, &echo_options));
        net_test_ask(client, 1, 8);
        assert_int_equal(echo.requests, 1);
        assert_int_equal(replies.ok + replies.timeout + replies.wrong, 0);
        net_client_close(client);
        net_server_close(server);
    }
}

static void client__close_fails_the_calls_in_flight(void **state) {
    (void) state;
    struct shelf shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct net_server_options server_options = net_test_echo_options(NULL, net_test_member(), 0);
    server_options.on_request = on_request_keep;
    server_options.context = &shelf;
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    struct net_client_options client_options = net_test_client_options(net_test_member(), net_server_port(server));
    struct net_client *client;
    struct replies replies = {0};
    assert_ok(net_client_open(&client, &client_options));
    for (int i = 0; i < 3; i++)
        assert_ok(net_client_call(client, net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
    WAIT_FOR(shelf.total == 3);
    net_client_close(client);
    assert_int_equal(replies.closed, 3);
    /* Answer a client that has gone. */
    shelf_answer_all(&shelf, true);

    /* The same for a client that was never connected. */
    client_options.port = net_test_free_port();
    assert_ok(net_client_open(&client, &client_options));
    assert_ok(net_client_call(client, net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
    net_client_close(client);
    assert_int_equal(replies.closed, 4);
    net_server_close(server);
}

/* Answers all requests until the server has closed. */
static void *answer_until_closed(void *context) {
    struct shelf *shelf = context;
    while (!atomic_load(&shelf->closed)) {
        shelf_answer_all(shelf, true);
        net_test_pause();
    }
    return NULL;
}

/* While the server closes, another thread answers the requests in progress. Those in line need no answer. */
static void closes_with_requests_out(uint32_t member_contexts, unsigned out) {
    struct shelf shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct net_server *server = open_keeping(&shelf, NULL, 8, member_contexts);
    struct net_client_options client_options = net_test_client_options(NULL, net_server_port(server));
    struct net_client *clients[3];
    struct replies replies = {0};
    for (int i = 0; i < 3; i++) {
        assert_ok(net_client_open(&clients[i], &client_options));
        assert_ok(net_client_wait(clients[i], NET_TEST_DEADLINE_MS));
        for (int call = 0; call < 4; call++)
            assert_ok(net_client_call(clients[i], net_test_message(0, 8), NET_TEST_DEADLINE_MS, on_reply, &replies));
    }
    WAIT_FOR(shelf.total == out);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_until_closed, &shelf), 0);
    net_server_close(server);
    atomic_store(&shelf.closed, true);
    pthread_join(thread, NULL);
    assert_int_equal(shelf.count, 0);
    WAIT_FOR(replies.ok + replies.closed == 12);
    for (int i = 0; i < 3; i++)
        net_client_close(clients[i]);
}

static void server__closes_with_requests_out(void **state) {
    (void) state;
    closes_with_requests_out(0, 8);
}

static void server__closes_while_connections_wait_for_their_share(void **state) {
    (void) state;
    closes_with_requests_out(2, 6);
}

/* Each answer leads to another call, until one fails. */
struct talk {
    struct net_client *client;
    atomic_uint live;
};

static void on_reply_again(void *context, enum ord_err result, struct net_message *reply) {
    struct talk *talk = context;
    net_message_destroy(reply);
    if (result != ORD_OK || net_client_call(talk->client, net_test_message(0, 200), 10 * NET_TEST_DEADLINE_MS,
                                            on_reply_again, talk) != ORD_OK)
        atomic_fetch_sub(&talk->live, 1);
}

static void talk_begin(struct talk *talk) {
    for (int i = 0; i < 8; i++) {
        atomic_fetch_add(&talk->live, 1);
        assert_ok(
            net_client_call(talk->client, net_test_message(0, 200), 10 * NET_TEST_DEADLINE_MS, on_reply_again, talk));
    }
}

/* When one side leaves under load, the other side notices, even if no further message is sent. */
static void connection__is_missed_when_it_ends_under_load(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, net_test_member(), 0);
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    server_options.port = net_server_port(server);
    struct net_client_options client_options = net_test_client_options(net_test_member(), server_options.port);
    for (int round = 0; round < 40; round++) {
        struct talk talk = {0};
        assert_ok(net_client_open(&talk.client, &client_options));
        assert_ok(net_client_wait(talk.client, NET_TEST_DEADLINE_MS));
        talk_begin(&talk);
        uint32_t requests = echo.requests;
        WAIT_FOR(echo.requests > requests + 20);
        if (round % 2 == 0) {
            net_server_close(server);
            /* The calls that were sent end with the connection. One that an answer led to after that waits for the next
             * connection, and ends with its client at the latest. */
            WAIT_FOR(!net_client_up(talk.client));
            assert_ok(net_server_open(&server, &server_options));
        }
        net_client_close(talk.client);
        assert_int_equal(talk.live, 0);
        struct net_listener_counters counters;
        WAIT_FOR((net_server_counters(server, &counters), counters.pipes_now == 0));
    }
    net_server_close(server);
}

static void server__drops_what_is_too_large_or_malformed(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, NULL, 0);
    server_options.request_bytes_max = 1000;
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    uint16_t port = net_server_port(server);
    struct net_client_options client_options = net_test_client_options(NULL, port);
    struct net_client *honest, *big;
    assert_ok(net_client_open(&honest, &client_options));
    assert_ok(net_client_open(&big, &client_options));
    net_test_ask(honest, 1, 1000);
    struct net_message *reply;
    assert_err(net_client_ask(big, &reply, net_test_message(0, 1001), NET_TEST_DEADLINE_MS), ORD_ERR_CLOSED);
    assert_err(net_client_ask(big, &reply, net_test_message(0, 100000), NET_TEST_DEADLINE_MS), ORD_ERR_CLOSED);

    /* Malformed input after a hello: no request id, a backtrace without end, a
     * length of 2^64 - 1. Then malformed hellos. */
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\0", 16},
        {"\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\3\x80\0\0", 19},
        {"\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\4\x00\0\0\1", 20},
        {"\0SP\0\0\x30\0\0\0\0\0\0\0\0\0\x44"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         84},
        {"\0SP\0\0\x30\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16},
        {"\0SP\0\0\x50\0\0\0\0\0\0\0\0\0\0", 16},
        {"\0SP\1\0\x30\0\0", 8},
        {"\0SP\0\1\x30\0\0", 8},
        {"GET / HTTP/1.1\r\n\r\n", 18},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int fd = net_test_raw_connect(port, bad[i].bytes, bad[i].size);
        /* The peer receives our hello at most, and then the end of the connection. */
        char answer[100];
        size_t got = 0;
        ssize_t count;
        while ((count = read(fd, answer + got, sizeof(answer) - got)) > 0)
            got += (size_t) count;
        assert_true(got <= 8);
        close(fd);
    }
    net_test_ask(honest, 2, 1000);
    assert_int_equal(echo.requests, 2);
    net_client_close(honest);
    net_client_close(big);
    net_server_close(server);
}

static void client__drops_a_server_that_answers_too_much(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, net_test_member(), 0);
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    struct net_client_options client_options = net_test_client_options(net_test_member(), net_server_port(server));
    client_options.reply_bytes_max = 1000;
    struct net_client *client;
    assert_ok(net_client_open(&client, &client_options));
    net_test_ask(client, 1, 1000);
    struct net_message *reply;
    assert_err(net_client_ask(client, &reply, net_test_message(0, 1001), NET_TEST_DEADLINE_MS), ORD_ERR_CLOSED);
    net_test_ask(client, 2, 1000);
    net_client_close(client);
    net_server_close(server);
}

/*
 * Row D7: the server knows how many bytes wait for a reader, and forgets them when its connection is closed. M_PERTURB
 * fills allocated memory with garbage, so that the count must not rely on zeroed memory.
 */
static void server__knows_what_has_not_left(void **state) {
    (void) state;
    mallopt(M_PERTURB, 0x5a);
    static struct shelf shelf = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, NULL, 0);
    server_options.context_count = 3;
    server_options.send_timeout_ms = 3600000;
    server_options.on_request = on_request_keep;
    server_options.context = &shelf;
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    /* One connection sends two requests and another sends one. Neither reads its answers. */
    static const char frames[] = "\0SP\0\0\x30\0\0"
                                 "\0\0\0\0\0\0\0\4\x80\0\0\1"
                                 "\0\0\0\0\0\0\0\4\x80\0\0\2";
    int fd = net_test_raw_connect(net_server_port(server), frames, sizeof(frames) - 1);
    WAIT_FOR(shelf.total == 2);
    int other_fd = net_test_raw_connect(net_server_port(server), frames, sizeof(frames) - 1 - 12);
    WAIT_FOR(shelf.total == 3);
    const size_t size = 64 << 20;
    size_t all;
    net_request_reply(shelf.requests[0], net_test_message(1, size));
    assert_int_equal(net_request_unsent(shelf.requests[1], &all), 4 + size);
    assert_int_equal(all, 4 + size);
    assert_int_equal(net_request_unsent(shelf.requests[2], &all), 0);
    assert_int_equal(all, 4 + size);
    net_request_reply(shelf.requests[1], net_test_message(1, 8));
    assert_true((net_request_unsent(shelf.requests[2], &all), all == 4 + size + 4 + 8));
    close(fd);
    WAIT_FOR((net_request_unsent(shelf.requests[2], &all), all == 0));
    net_request_reply(shelf.requests[2], net_test_message(1, 8));
    close(other_fd);
    net_server_close(server);
    mallopt(M_PERTURB, 0);
}

/* A client that asks for much and never reads (row D7) loses its connection, and the contexts serve others again. */
static void server__drops_a_reader_that_does_not_read(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, NULL, 0);
    server_options.context_count = 2;
    server_options.send_timeout_ms = 200;
    server_options.request_bytes_max = 16 << 20;
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    /* Send one request of 16 MiB. Its echo does not fit into any socket buffer. */
    size_t size = 16 << 20;
    char *frame = calloc(1, 20 + size);
    assert_non_null(frame);
    memcpy(frame, "\0SP\0\0\x30\0\0\0\0\0\0\1\0\0\4\x80\0\0\1", 20);
    int fd = net_test_raw_connect(net_server_port(server), frame, 20 + size);
    struct net_listener_counters counters;
    WAIT_FOR(echo.requests == 1);
    WAIT_FOR((net_server_counters(server, &counters), counters.pipes_now == 0));
    struct net_client_options client_options = net_test_client_options(NULL, net_server_port(server));
    struct net_client *client;
    assert_ok(net_client_open(&client, &client_options));
    for (uint32_t i = 0; i < 10; i++)
        net_test_ask(client, i, 8);
    close(fd);
    free(frame);
    net_client_close(client);
    net_server_close(server);
}

static void server__refuses_bad_options(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options options = net_test_echo_options(&echo, net_test_member(), 0);
    struct net_server *server, *second;
    assert_ok(net_server_open(&server, &options));
    options.port = net_server_port(server);
    assert_err(net_server_open(&second, &options), ORD_ERR_IN_USE);
    assert_null(second);
    options.port = 0;
    struct net_tls bad = *net_test_member();
    bad.key_pem = "no key";
    options.tls = &bad;
    assert_err(net_server_open(&second, &options), ORD_ERR_INVALID);
    options.tls = NULL;
    options.context_count = 0;
    assert_err(net_server_open(&second, &options), ORD_ERR_INVALID);
    struct net_client_options client_options = net_test_client_options(&bad, 1);
    struct net_client *client;
    assert_err(net_client_open(&client, &client_options), ORD_ERR_INVALID);
    client_options.tls = NULL;
    client_options.host = "not a host";
    assert_err(net_client_open(&client, &client_options), ORD_ERR_INVALID);
    net_server_close(server);
    net_server_close(NULL);
    net_client_close(NULL);
}

static void call__opens_and_closes_in_every_state(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, net_test_member(), 0);
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    struct net_client_options client_options = net_test_client_options(net_test_member(), net_server_port(server));
    struct replies replies = {0};
    uint32_t calls = 0;
    for (uint32_t i = 0; i < 60; i++) {
        struct net_client *client;
        assert_ok(net_client_open(&client, &client_options));
        uint64_t until_ms = net_test_now_ms() + i % 30;
        while (net_test_now_ms() < until_ms) {
            enum ord_err err =
                net_client_call(client, net_test_message(0, 50000), NET_TEST_DEADLINE_MS, on_reply, &replies);
            if (err == ORD_OK)
                calls++;
            else
                net_test_pause();
        }
        net_client_close(client);
        assert_int_equal(replies.ok + replies.closed, calls);
    }
    net_server_close(server);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(call__is_answered_over_tcp),
    cmocka_unit_test(call__is_answered_over_tls),
    cmocka_unit_test(calls__are_all_answered_when_contexts_are_few),
    cmocka_unit_test(calls__of_one_connection_leave_contexts_for_others),
    cmocka_unit_test(calls__of_one_member_have_one_share),
    cmocka_unit_test(source__is_the_member_or_the_plain_connection),
    cmocka_unit_test(call__is_busy_when_as_many_are_in_flight_and_times_out),
    cmocka_unit_test(call__waits_for_a_connection_and_times_out_without),
    cmocka_unit_test(call__fails_with_its_connection_and_is_not_sent_again),
    cmocka_unit_test(client__close_fails_the_calls_in_flight),
    cmocka_unit_test(server__closes_with_requests_out),
    cmocka_unit_test(server__closes_while_connections_wait_for_their_share),
    cmocka_unit_test(connection__is_missed_when_it_ends_under_load),
    cmocka_unit_test(server__drops_what_is_too_large_or_malformed),
    cmocka_unit_test(client__drops_a_server_that_answers_too_much),
    cmocka_unit_test(server__knows_what_has_not_left),
    cmocka_unit_test(server__drops_a_reader_that_does_not_read),
    cmocka_unit_test(server__refuses_bad_options),
    cmocka_unit_test(call__opens_and_closes_in_every_state),
};
TEST_CASES(cases);
