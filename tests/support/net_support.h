/*
 * Helpers that the tests of net/ share: certificates, waiting for a condition with a deadline, and owners that count
 * their callbacks.
 */
#ifndef ORDAIN_TESTS_NET_SUPPORT_H
#define ORDAIN_TESTS_NET_SUPPORT_H

#include <stdatomic.h>

#include "net/net.h"
#include "tests/support/test_main.h"

enum { NET_TEST_DEADLINE_MS = 30000 };

uint64_t net_test_now_ms(void);
/* Sleeps for a moment, between two checks of a condition. */
void net_test_pause(void);

/* Waits for the condition. Fails the test when it has not come true by the deadline. */
#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        uint64_t give_up_ms = net_test_now_ms() + NET_TEST_DEADLINE_MS;                                                \
        while (!(condition)) {                                                                                         \
            if (net_test_now_ms() > give_up_ms)                                                                        \
                fail_msg("never came true: %s", #condition);                                                           \
            net_test_pause();                                                                                          \
        }                                                                                                              \
    } while (0)

/* A member's certificate. Both ends of a link may use it. */
const struct net_tls *net_test_member(void);
/* A stranger that trusts our CA but whose certificate is from another one. */
const struct net_tls *net_test_foreigner(void);
const char *net_test_foreign_ca(void);

/* A port that was free a moment ago. */
uint16_t net_test_free_port(void);

/*
 * A plain TCP listener, and connections that send `bytes` and then nothing, and read nothing. Each returns its socket.
 */
int net_test_raw_listen(uint16_t *port);
int net_test_raw_accept(int listener, const char *bytes, size_t size);
int net_test_raw_connect(uint16_t port, const char *bytes, size_t size);

/* A message of `size` bytes that starts with `value` (size permitting). */
struct net_message *net_test_message(uint32_t value, size_t size);
uint32_t net_test_value(struct ord_span bytes);

/* The owner of a net_pull. */
struct net_test_inbox {
    atomic_uint messages;
    /* Messages whose value was not the number of messages before it. */
    atomic_uint disorder;
    atomic_uint last; /* the last message's value */
    atomic_ullong bytes;
};
struct net_pull_options net_test_pull_options(struct net_test_inbox *inbox, const struct net_tls *tls, uint16_t port);

/* The owner of a net_push. */
struct net_test_outbox {
    atomic_uint ups;
    atomic_uint downs;
    atomic_uint sent;
    atomic_uint lost;
};
struct net_push_options net_test_push_options(struct net_test_outbox *outbox, const struct net_tls *tls, uint16_t port);
/* Sends a message, and tries again while the link is down or busy. */
void net_test_push(struct net_push *push, uint32_t value, size_t size);

/* The owner of a net_server that answers each request with its own bytes. */
struct net_test_echo {
    atomic_uint requests;
};
struct net_server_options net_test_echo_options(struct net_test_echo *echo, const struct net_tls *tls, uint16_t port);
struct net_client_options net_test_client_options(const struct net_tls *tls, uint16_t port);
/* Sends a request, and checks that the answer equals it. */
void net_test_ask(struct net_client *client, uint32_t value, size_t size);

#endif
