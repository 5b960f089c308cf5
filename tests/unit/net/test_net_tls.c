/*
 * TLS without sockets: two sessions in one process pass each other their cipher bytes. Then the same from outside, with
 * OpenSSL's own program.
 */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/types.h"
#include "crypto/x509.h"
#include "net/net_internal.h"
#include "net/tls_internal.h"
#include "tests/support/net_support.h"

enum { TEXT_MAX = 100000 };

static const struct net_tls_rules anybody;

struct side {
    struct net_tls_context *context;
    struct net_tls_session *session;
    enum ord_err err; /* of the last read */
    size_t got;       /* plain bytes */
};

struct pair {
    struct side server;
    struct side client;
};

static void pair_init(struct pair *pair, const struct net_tls *server, const struct net_tls_rules *server_rules,
                      const struct net_tls *client, const struct net_tls_rules *client_rules) {
    *pair = (struct pair) {0};
    assert_ok(net_tls_context_create(&pair->server.context, server, server_rules, true));
    assert_ok(net_tls_context_create(&pair->client.context, client, client_rules, false));
    assert_ok(net_tls_session_create(&pair->server.session, pair->server.context));
    assert_ok(net_tls_session_create(&pair->client.session, pair->client.context));
}

static void pair_deinit(struct pair *pair) {
    struct side *const sides[] = {&pair->server, &pair->client};
    for (size_t i = 0; i < 2; i++) {
        net_tls_session_destroy(sides[i]->session);
        net_tls_context_destroy(sides[i]->context);
    }
}

/* Reads everything that a side has. Plain bytes must all be 'x'. */
static void drink(struct side *side) {
    uint8_t plain[5000];
    size_t size;
    while (size = sizeof(plain), (side->err = net_tls_read(side->session, plain, &size)) == ORD_OK) {
        assert_true(size > 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(plain[i], 'x');
        side->got += size;
    }
}

/* Carries cipher bytes from one side to the other, at most `step` at a time. True if there were any. */
static bool carry(struct side *from, struct side *to, size_t step) {
    struct ord_span bytes = net_tls_tx_take(from->session);
    size_t size = ord_min(ord_min(bytes.size, step), NET_TLS_RX_SIZE);
    if (size == 0)
        return false;
    memcpy(net_tls_rx_room(to->session), bytes.data, size);
    assert_ok(net_tls_rx_put(to->session, size));
    net_tls_tx_sent(from->session, size);
    drink(to);
    return true;
}

static void settle(struct pair *pair, size_t step) {
    while (carry(&pair->client, &pair->server, step) || carry(&pair->server, &pair->client, step))
        ;
}

static void write_all(struct side *side, struct side *peer, size_t size) {
    static uint8_t data[100000];
    memset(data, 'x', sizeof(data));
    while (size > 0) {
        size_t count = ord_min(size, sizeof(data));
        assert_ok(net_tls_write(side->session, data, &count));
        size -= count;
        if (count == 0)
            assert_true(carry(side, peer, SIZE_MAX));
    }
    while (carry(side, peer, SIZE_MAX))
        ;
}

static void sessions__carry_bytes_in_any_pieces_and_name_the_members(void **state) {
    (void) state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        static const size_t steps[] = {1, 7, 1000, SIZE_MAX};
        for (size_t i = 0; i < 4; i++) {
            struct pair pair;
            pair_init(&pair, net_test_member(), &anybody, net_test_member(), &anybody);
            SSL_set_max_proto_version(net_tls_test_ssl(pair.server.session), version);
            assert_false(net_tls_ready(pair.client.session));
            settle(&pair, steps[i]);
            assert_true(net_tls_ready(pair.client.session));
            assert_true(net_tls_ready(pair.server.session));
            SSL *ssl = net_tls_test_ssl(pair.client.session);
            assert_int_equal(SSL_version(ssl), version);
            assert_non_null(strstr(SSL_get_cipher_name(ssl), "GCM"));
            assert_string_equal(net_tls_member(pair.server.session)->organisation, "org1");
            assert_string_equal(net_tls_member(pair.client.session)->name, "member");
            write_all(&pair.client, &pair.server, 1 << 20);
            write_all(&pair.server, &pair.client, 100);
            assert_int_equal(pair.server.got, 1 << 20);
            assert_int_equal(pair.client.got, 100);
            pair_deinit(&pair);
        }
    }
}

/* Nothing in a session outlives it: no ticket, no session to resume, no second handshake. */
static void session__gives_no_tickets_and_does_not_renegotiate(void **state) {
    (void) state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct pair pair;
        pair_init(&pair, net_test_member(), &anybody, net_test_member(), &anybody);
        SSL *client = net_tls_test_ssl(pair.client.session);
        SSL_set_max_proto_version(net_tls_test_ssl(pair.server.session), version);
        settle(&pair, SIZE_MAX);
        write_all(&pair.server, &pair.client, 1);
        assert_false(SSL_SESSION_has_ticket(SSL_get_session(client)));
        if (version == TLS1_2_VERSION) {
            /* The client asks in spite of its own options. */
            SSL_clear_options(client, SSL_OP_NO_RENEGOTIATION);
            assert_int_equal(SSL_renegotiate(client), 1);
            SSL_do_handshake(client);
            settle(&pair, SIZE_MAX);
            assert_int_equal(SSL_num_renegotiations(net_tls_test_ssl(pair.server.session)), 0);
        }
        pair_deinit(&pair);
    }
}

static void session__ends_when_its_peer_changes_keys_without_end(void **state) {
    (void) state;
    struct pair pair;
    pair_init(&pair, net_test_member(), &anybody, net_test_member(), &anybody);
    settle(&pair, SIZE_MAX);
    for (uint32_t i = 0; i <= NET_TLS_KEY_UPDATES_MAX; i++) {
        assert_int_equal(pair.server.err, ORD_ERR_BUSY);
        assert_int_equal(SSL_key_update(net_tls_test_ssl(pair.client.session), SSL_KEY_UPDATE_REQUESTED), 1);
        /* A byte of data, so that the records do not count as idle ones. */
        write_all(&pair.client, &pair.server, 1);
        while (carry(&pair.server, &pair.client, SIZE_MAX))
            ;
    }
    assert_int_equal(pair.server.err, ORD_ERR_CRYPTO);
    assert_string_equal(net_tls_why(pair.server.session), "too many changes of the key");
    pair_deinit(&pair);
    /* Data earns more of them. */
    pair_init(&pair, net_test_member(), &anybody, net_test_member(), &anybody);
    settle(&pair, SIZE_MAX);
    for (uint32_t i = 0; i < 3 * NET_TLS_KEY_UPDATES_MAX; i++) {
        assert_int_equal(SSL_key_update(net_tls_test_ssl(pair.client.session), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        write_all(&pair.client, &pair.server, 1 << 20);
        assert_int_equal(pair.server.err, ORD_ERR_BUSY);
    }
    pair_deinit(&pair);
}

/* Each line: a peer that one side refuses (row M7), that side, and the sentence that it gives. */
static void session__says_why_it_refuses_a_peer(void **state) {
    (void) state;
    struct net_tls trusts_others = *net_test_member();
    trusts_others.ca_pem = net_test_foreign_ca();
    struct net_tls renamed = *net_test_member();
    static struct crypto_pem ca, liar, replica;
    assert_ok(crypto_ca_create(&ca, "org3", 10));
    assert_ok(crypto_tls_create(&liar, &ca, "org1", CRYPTO_ROLE_REPLICA, "member", NULL, 10));
    assert_ok(crypto_tls_create(&replica, &ca, "org3", CRYPTO_ROLE_REPLICA, "replica0", NULL, 10));
    static char both[2 * CRYPTO_PEM_MAX];
    snprintf(both, sizeof(both), "%s%s", net_test_member()->ca_pem, ca.cert);
    renamed.ca_pem = both;
    const struct net_tls by_org3 = {both, liar.cert, liar.key};
    const struct net_tls replica0 = {both, replica.cert, replica.key};
    const struct net_tls_rules replica1 = {.organisation = "org3", .name = "replica1"};
    const struct net_tls_rules of_org1 = {.organisation = "org1"};
    const struct net_tls_rules clients = {.roles = "client operator"};
    const struct {
        const struct net_tls *server;
        const struct net_tls_rules *server_rules;
        const struct net_tls *client;
        const struct net_tls_rules *client_rules;
        const char *server_says;
        const char *client_says;
    } rows[] = {
        {net_test_member(), &anybody, net_test_foreigner(), &anybody, "certificate: none of the CAs", "ca"},
        {net_test_member(), &anybody, &trusts_others, &anybody, "ca", "certificate: none of the CAs"},
        {&renamed, &anybody, &by_org3, &anybody, "another organisation than its CA", "alert"},
        {&replica0, &anybody, &renamed, &replica1, "alert", "another name than the peer that was called"},
        {&replica0, &anybody, &renamed, &of_org1, "alert", "another organisation than the peer that was called"},
        {&replica0, &clients, &renamed, &anybody, "its role has no business", "alert"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pair pair;
        pair_init(&pair, rows[i].server, rows[i].server_rules, rows[i].client, rows[i].client_rules);
        settle(&pair, SIZE_MAX);
        print_message("%zu: %s | %s | %s\n", i, net_tls_why(pair.server.session), net_tls_why(pair.client.session),
                      net_tls_subject(pair.server.session));
        assert_non_null(strstr(net_tls_why(pair.server.session), rows[i].server_says));
        assert_non_null(strstr(net_tls_why(pair.client.session), rows[i].client_says));
        assert_false(net_tls_ready(pair.server.session));
        pair_deinit(&pair);
    }
}

/* A listener probes itself with its own certificate, whatever roles it takes. */
static void session__takes_its_own_certificate(void **state) {
    (void) state;
    struct pair pair;
    const struct net_tls_rules clients = {.roles = "client operator", .name = "somebody"};
    pair_init(&pair, net_test_member(), &clients, net_test_member(), &anybody);
    settle(&pair, SIZE_MAX);
    assert_true(net_tls_ready(pair.server.session));
    pair_deinit(&pair);
    /* Whoever calls itself is no probe. */
    pair_init(&pair, net_test_member(), &anybody, net_test_member(), &clients);
    settle(&pair, SIZE_MAX);
    assert_false(net_tls_ready(pair.client.session));
    pair_deinit(&pair);
}

static void session__survives_bytes_that_are_no_tls(void **state) {
    (void) state;
    for (size_t size = 1; size <= 64; size++) {
        struct pair pair;
        pair_init(&pair, net_test_member(), &anybody, net_test_member(), &anybody);
        memset(net_tls_rx_room(pair.server.session), (int) size * 7, size);
        assert_ok(net_tls_rx_put(pair.server.session, size));
        drink(&pair.server);
        assert_true(pair.server.err == ORD_ERR_CRYPTO || pair.server.err == ORD_ERR_BUSY);
        assert_false(net_tls_ready(pair.server.session));
        pair_deinit(&pair);
    }
}

static void put_file(char *path, const char *folder, const char *name, const char *text) {
    snprintf(path, 200, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

/* Reads into `text` until it has `end`, or all if that is NULL. NUL bytes become dots. False: the input has ended. */
static bool read_until(char *text, int fd, const char *end) {
    size_t size = strlen(text);
    while (end == NULL || strstr(text, end) == NULL) {
        ssize_t count = read(fd, text + size, TEXT_MAX - 1 - size);
        if (count <= 0)
            return false;
        for (ssize_t i = 0; i < count; i++)
            text[size + (size_t) i] = text[size + (size_t) i] == '\0' ? '.' : text[size + (size_t) i];
        size += (size_t) count;
        text[size] = '\0';
    }
    return true;
}

/*
 * Runs `openssl s_client` against the port, which sends SP's hello of a REQ, until it has our hello or ends. Returns
 * what it prints. The caller frees it.
 */
static char *s_client(uint16_t port, const char *options) {
    char folder[] = "/tmp/ordain-tls-XXXXXX";
    assert_non_null(mkdtemp(folder));
    const struct net_tls *member = net_test_member();
    char paths[3][200];
    put_file(paths[0], folder, "ca.crt", member->ca_pem);
    put_file(paths[1], folder, "tls.crt", member->cert_pem);
    put_file(paths[2], folder, "tls.key", member->key_pem);
    char command[1200];
    const char *format = "exec timeout 60 openssl s_client -connect 127.0.0.1:%u -CAfile %s -cert %s -key %s %s 2>&1";
    snprintf(command, sizeof(command), format, port, paths[0], paths[1], paths[2], options);
    int input[2], output[2];
    assert_int_equal(pipe(input), 0);
    assert_int_equal(pipe(output), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (dup2(input[0], 0) < 0 || dup2(output[1], 1) < 0)
            _exit(126);
        close(input[1]);
        close(output[0]);
        execl("/bin/sh", "sh", "-c", command, (char *) NULL);
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    char *text = calloc(1, TEXT_MAX);
    assert_non_null(text);
    assert_int_equal(write(input[1], "\0SP\0\0\x30\0\0", 8), 8);
    (void) read_until(text, output[0], ".SP..1..");
    close(input[1]); /* ends s_client */
    (void) read_until(text, output[0], NULL);
    close(output[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(text[0] != '\0');
    for (size_t i = 0; i < 3; i++)
        unlink(paths[i]);
    rmdir(folder);
    return text;
}

static void server__speaks_tls_with_openssl(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options options = net_test_echo_options(&echo, net_test_member(), 0);
    struct net_server *server;
    assert_ok(net_server_open(&server, &options));
    static const struct {
        const char *options;
        const char *cipher; /* NULL: no connection comes up */
    } rows[] = {
        {"-tls1_3", "TLS_AES_128_GCM_SHA256"},
        {"-tls1_2", "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {"-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", NULL},
        {"-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256", NULL},
        {"-tls1_1 -cipher DEFAULT@SECLEVEL=0", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *text = s_client(net_server_port(server), rows[i].options);
        bool up = strstr(text, ".SP..1..") != NULL;
        if (up != (rows[i].cipher != NULL))
            fail_msg("%s: %s", rows[i].options, text);
        if (up) {
            assert_non_null(strstr(text, rows[i].cipher));
            assert_non_null(strstr(text, "Verify return code: 0 (ok)"));
            assert_null(strstr(text, "New Session Ticket arrived"));
        }
        free(text);
    }
    net_server_close(server);
}

static void client__keeps_why_it_is_refused(void **state) {
    (void) state;
    struct net_test_echo echo = {0};
    struct net_server_options server_options = net_test_echo_options(&echo, net_test_member(), 0);
    struct net_server *server;
    assert_ok(net_server_open(&server, &server_options));
    struct net_client_options options = net_test_client_options(net_test_foreigner(), net_server_port(server));
    struct net_client *client;
    assert_ok(net_client_open(&client, &options));
    struct net_failure failure;
    WAIT_FOR(net_client_failure(client, &failure));
    char peer[NET_PEER_MAX];
    snprintf(peer, sizeof(peer), "127.0.0.1:%u", net_server_port(server));
    assert_string_equal(failure.peer, peer);
    assert_string_equal(failure.subject, "O = org1, OU = replica, CN = member");
    assert_non_null(strstr(failure.why, "unknown ca"));
    assert_false(net_client_up(client));
    net_client_close(client);
    net_server_close(server);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(sessions__carry_bytes_in_any_pieces_and_name_the_members),
    cmocka_unit_test(session__gives_no_tickets_and_does_not_renegotiate),
    cmocka_unit_test(session__ends_when_its_peer_changes_keys_without_end),
    cmocka_unit_test(session__says_why_it_refuses_a_peer),
    cmocka_unit_test(session__takes_its_own_certificate),
    cmocka_unit_test(session__survives_bytes_that_are_no_tls),
    cmocka_unit_test(server__speaks_tls_with_openssl),
    cmocka_unit_test(client__keeps_why_it_is_refused),
};
TEST_CASES(cases);
