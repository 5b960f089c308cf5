/*
 * What the tests of net/ share: certificates, waiting for a condition with a deadline, and owners that count what they are
 * told.
 */
#ifndef ORDAIN_TESTS_NET_SUPPORT_H
#define ORDAIN_TESTS_NET_SUPPORT_H

#include <stdatomic.h>

#include "net/net.h"
#include "tests/support/test_main.h"

enum { NET_TEST_DEADLINE_MS = 30000 };

uint64_t net_test_now_ms(void);
void net_test_pause(void); /* a moment, between two looks at a condition */

/* Fails the test when the condition does not come true. */
#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        uint64_t give_up_ms = net_test_now_ms() + NET_TEST_DEADLINE_MS;                                                \
        while (!(condition)) {                                                                                         \
            if (net_test_now_ms() > give_up_ms)                                                                        \
                fail_msg("never came true: %s", #condition);                                                           \
            net_test_pause();                                                                                          \
        }                                                                                                              \
    } while (0)

/* Two members of one organisation. */
const struct net_tls *net_test_member(void);
/* Somebody whose certificate is from another CA, but who trusts ours. */
const struct net_tls *net_test_foreigner(void);
const char *net_test_foreign_ca(void);

/* A port that was free a moment ago. */
uint16_t net_test_free_port(void);

/* A plain TCP listener, and a connection that says `bytes` and then nothing, and reads nothing. */
int net_test_raw_listen(uint16_t *port);
int net_test_raw_accept(int listener, const char *bytes, size_t size);
int net_test_raw_connect(uint16_t port, const char *bytes, size_t size);

/* A message of `size` bytes that starts with `value` (size permitting). */
struct net_message *net_test_message(uint32_t value, size_t size);
uint32_t net_test_value(struct ord_span bytes);

/* The owner of a net_pull. */
struct net_test_inbox {
    atomic_uint messages;
    atomic_uint disorder; /* messages whose value was not the count of those before */
    atomic_uint last;     /* the last value */
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
/* Sends, trying again while the link is down or busy. */
void net_test_push(struct net_push *push, uint32_t value, size_t size);

/* The owner of a net_server that answers each request with its own bytes. */
struct net_test_echo {
    atomic_uint requests;
};
struct net_server_options net_test_echo_options(struct net_test_echo *echo, const struct net_tls *tls, uint16_t port);
struct net_client_options net_test_client_options(const struct net_tls *tls, uint16_t port);
/* Asks, and checks that the answer equals the question. */
void net_test_ask(struct net_client *client, uint32_t value, size_t size);

#endif
