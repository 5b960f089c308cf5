/*
 * The replicas' own ports, dialled with the valid TLS certificate of a client (row M7 in docs/adversary.md), which gets
 * no connection, and with that of another replica. TLS shows that the peer is a replica; the link authenticator must
 * show which one (rows T1, T5, T6 and T8). Every frame is refused and counted, and the existing links stay up.
 */
#include "hostile.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "crypto/link.h"

#define AT_KIND 3 /* offset in a frame's header */
#define AT_FROM 4
#define AT_TO   8

/* A port that we dialled. */
struct port {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct net_push *push;
    bool up;
    bool ever_up;
    uint32_t failures; /* connections that did not come up */
    bool sending;
    bool left;     /* the last message left */
    uint64_t sent; /* messages that left */
};

static void on_link(void *context, bool up) {
    struct port *port = context;
    pthread_mutex_lock(&port->lock);
    port->up = up;
    port->ever_up |= up;
    pthread_cond_signal(&port->changed);
    pthread_mutex_unlock(&port->lock);
}

static void on_sent(void *context, enum ord_err result) {
    struct port *port = context;
    pthread_mutex_lock(&port->lock);
    port->sending = false;
    port->left = result == ORD_OK;
    port->sent += result == ORD_OK;
    pthread_cond_signal(&port->changed);
    pthread_mutex_unlock(&port->lock);
}

static void on_failure(void *context, const struct net_failure *failure) {
    struct port *port = context;
    (void) failure;
    pthread_mutex_lock(&port->lock);
    port->failures++;
    pthread_cond_signal(&port->changed);
    pthread_mutex_unlock(&port->lock);
}

static char *read_file(const char *path, bool secret) {
    char why[ORDAIN_TEXT_SIZE];
    char *text;
    size_t size;
    enum ord_err err = secret ? client_read_secret(&text, &size, path, why, sizeof(why))
                              : client_read_file(&text, &size, path, 1u << 20, why, sizeof(why));
    if (err != ORD_OK)
        hostile_die("%s", why);
    return text;
}

/* Dials a replica's port with the TLS certificate of a member, such as "client". */
static void port_open(struct port *port, const struct hostile *hostile, uint32_t replica, const char *member) {
    const struct channel_config *config = &hostile->client->trust.config;
    const struct channel_replica *to = &config->replicas[replica];
    const struct channel_org *org = &config->orgs[to->org_index];
    char path[512];
    char ca[CRYPTO_PEM_MAX];
    hostile_must(crypto_cert_pem(ca, ord_span_of(org->ca_der, org->ca_der_size)), "CA certificate");
    snprintf(path, sizeof(path), "%s/%s/tls.crt", hostile->directory, member);
    char *cert = read_file(path, false);
    snprintf(path, sizeof(path), "%s/%s/tls.key", hostile->directory, member);
    char *key = read_file(path, true);
    const struct net_tls tls = {ca, cert, key};
    const struct net_push_options options = {
        .host = to->host,
        .port = to->replica_port,
        .tls = &tls,
        .reconnect_ms_min = 10,
        .reconnect_ms_max = 100,
        .on_link = on_link,
        .on_sent = on_sent,
        .on_failure = on_failure,
        .context = port,
    };
    *port = (struct port) {.up = false};
    pthread_mutex_init(&port->lock, NULL);
    hostile_must(client_cond_init(&port->changed), "condition variable");
    hostile_must(net_push_open(&port->push, &options), "cannot dial a replica's port");
    crypto_wipe(key, strlen(key));
    free(cert);
    free(key);
}

static void port_close(struct port *port) {
    net_push_close(port->push);
    pthread_cond_destroy(&port->changed);
    pthread_mutex_destroy(&port->lock);
}

/*
 * False: the message did not leave. Ends the program if there is no link until the deadline, because then nothing can
 * be tested.
 */
static bool port_send(struct port *port, struct ord_span bytes) {
    uint64_t deadline = client_now_us() + HOSTILE_DEADLINE_US;
    enum ord_err err = ORD_ERR_CLOSED;
    while (err == ORD_ERR_CLOSED && client_now_us() < deadline) {
        pthread_mutex_lock(&port->lock);
        while (!port->up && client_now_us() < deadline)
            client_cond_wait(&port->changed, &port->lock, deadline);
        port->sending = true;
        pthread_mutex_unlock(&port->lock);
        struct net_message *message;
        uint8_t *data;
        hostile_must(net_message_create(&message, &data, bytes.size), "message");
        if (bytes.size > 0)
            memcpy(data, bytes.data, bytes.size);
        err = net_push_send(port->push, message);
    }
    hostile_must(err, "cannot send to a replica's port");
    pthread_mutex_lock(&port->lock);
    while (port->sending && client_now_us() < deadline)
        client_cond_wait(&port->changed, &port->lock, deadline);
    bool left = !port->sending && port->left;
    pthread_mutex_unlock(&port->lock);
    return left;
}

/* ---- frames ---- */

static void rubbish(struct port *port) {
    enum { COUNT = 300 };
    uint8_t bytes[COUNT * 40];
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i < 100 ? i : (i - 99) * 40;
        hostile_must(crypto_random(bytes, size), "random bytes");
        (void) port_send(port, ord_span_of(bytes, size));
    }
}

/*
 * Two matching ends of a link, both with the client's key. A frame that one end seals is a proper frame of a session,
 * but of a session in which no replica takes part.
 */
static void own_session(struct crypto_link *out, const struct hostile *hostile, ord_node_id from, ord_node_id to) {
    struct crypto_link peer;
    struct ord_public_key key;
    struct ord_hash nonces[2];
    uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
    const struct ord_hash *genesis = &hostile->client->trust.genesis_hash;
    hostile_must(crypto_public_key(&key, &hostile->self.key), "key");
    hostile_must(crypto_random(nonces, sizeof(nonces)), "random bytes");
    hostile_must(crypto_link_init(out, from, to, genesis, &hostile->self.key, &key, &nonces[0]), "link");
    hostile_must(crypto_link_init(&peer, to, from, genesis, &hostile->self.key, &key, &nonces[1]), "link");
    for (int i = 0; i < 8 && !crypto_link_confirmed(out); i++) {
        enum crypto_link_event event;
        struct ord_span payload;
        struct ord_span frame = ord_span_of(hello, sizeof(hello));
        crypto_link_hello(out, hello);
        hostile_must(crypto_link_open(&peer, &event, &payload, frame), "handshake");
        crypto_link_hello(&peer, hello);
        hostile_must(crypto_link_open(out, &event, &payload, frame), "handshake");
    }
    if (!crypto_link_ready(out))
        hostile_die("no session with oneself");
    crypto_wipe(&peer, sizeof(peer));
}

/* Sends a sealed frame as it is, and under every existing and some non-existing names of sender and receiver. */
static void send_named(struct port *port, const struct hostile *hostile, uint8_t *frame, size_t size) {
    const uint32_t names[] = {hostile->replica_count, ORD_REPLICA_MAX - 1, ORD_REPLICA_MAX, UINT32_MAX};
    uint32_t count = hostile->replica_count + (uint32_t) (sizeof(names) / sizeof(names[0]));
    (void) port_send(port, ord_span_of(frame, size));
    for (uint32_t from = 0; from < count; from++)
        for (uint32_t to = 0; to < hostile->replica_count; to++) {
            ord_store_u32(frame + AT_FROM, from < hostile->replica_count ? from : names[from - hostile->replica_count]);
            ord_store_u32(frame + AT_TO, to);
            (void) port_send(port, ord_span_of(frame, size));
        }
}

/* Sends hellos and data made with the client's key instead of a replica's. */
static void impostor(struct port *port, const struct hostile *hostile, ord_node_id target) {
    const struct channel_config *config = &hostile->client->trust.config;
    for (ord_node_id from = 0; from < config->replica_count; from++) {
        if (from == target)
            continue;
        struct crypto_link link;
        struct ord_hash nonce;
        uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
        hostile_must(crypto_random(&nonce, sizeof(nonce)), "random bytes");
        hostile_must(crypto_link_init(&link, from, target, &hostile->client->trust.genesis_hash, &hostile->self.key,
                                      &config->replicas[target].key, &nonce),
                     "link");
        crypto_link_hello(&link, hello);
        (void) port_send(port, ord_span_of(hello, sizeof(hello)));
        (void) port_send(port, ord_span_of(hello, sizeof(hello))); /* the same hello again */
        hello[AT_KIND] = 2;                                        /* a hello passed off as data */
        (void) port_send(port, ord_span_of(hello, sizeof(hello)));

        uint8_t frame[CRYPTO_LINK_OVERHEAD + 64] = {0};
        own_session(&link, hostile, from, target);
        hostile_must(crypto_link_seal(&link, frame, sizeof(frame)), "seal");
        send_named(port, hostile, frame, sizeof(frame));
        hostile_must(crypto_link_seal(&link, frame, sizeof(frame)), "seal");
        frame[AT_KIND] = 1; /* data passed off as a hello */
        (void) port_send(port, ord_span_of(frame, sizeof(frame)));
        /* The frame, cut short at every length. */
        for (size_t size = 0; size < sizeof(frame); size++)
            (void) port_send(port, ord_span_of(frame, size));
        crypto_wipe(&link, sizeof(link));
    }
}

static bool counter_reaches(struct hostile *hostile, uint32_t replica, uint64_t at_least, uint64_t timeout_us) {
    uint64_t deadline = client_now_us() + timeout_us;
    uint64_t value;
    while (client_now_us() < deadline)
        if (hostile_counter(hostile, &value, replica, "frames_refused") && value >= at_least)
            return true;
    return false;
}

static uint64_t refused_by(struct hostile *hostile, uint32_t replica) {
    uint64_t value;
    if (!hostile_counter(hostile, &value, replica, "frames_refused"))
        hostile_die("replica %u does not tell its counters", replica);
    return value;
}

/*
 * Sends a frame over the limit. The transport refuses it and may cut the link, which loses the frames behind it. True:
 * frames arrive again afterwards.
 */
static bool too_large(struct hostile *hostile, struct port *port, uint32_t target, size_t size) {
    uint8_t *bytes = hostile_alloc(size);
    (void) port_send(port, ord_span_of(bytes, size));
    uint64_t deadline = client_now_us() + HOSTILE_DEADLINE_US;
    uint64_t before = refused_by(hostile, target);
    bool arrived = false;
    while (!arrived && client_now_us() < deadline) {
        (void) port_send(port, ord_span_of(bytes, 1));
        arrived = counter_reaches(hostile, target, before + 1, 500000);
    }
    free(bytes);
    return arrived;
}

/* Check: as many frames were refused as left. */
static void expect_refused(struct hostile *hostile, ord_node_id target, uint64_t sent, uint64_t before,
                           const char *what) {
    bool holds = sent > 500 && counter_reaches(hostile, target, before + sent, HOSTILE_DEADLINE_US);
    hostile_check(hostile, holds, "%llu frames of no replica to the replicas' port of replica %u, %s: all refused",
                  (unsigned long long) sent, target, what);
}

static void attack(struct hostile *hostile, ord_node_id target) {
    const struct channel_config *config = &hostile->client->trust.config;
    /* As large as a replica's own frames may be. */
    size_t large = (size_t) config->batch_bytes_max + config->preferred_max_bytes;
    uint8_t *bytes = hostile_alloc(large);
    struct port port;
    char member[32];
    snprintf(member, sizeof(member), "replica%u", (target + 1) % hostile->replica_count);
    port_open(&port, hostile, target, member);
    uint64_t before = refused_by(hostile, target);
    (void) port_send(&port, ord_span_of(NULL, 0));
    (void) port_send(&port, ord_span_of("x", 1));
    (void) port_send(&port, ord_span_of(bytes, large));
    rubbish(&port);
    impostor(&port, hostile, target);
    expect_refused(hostile, target, port.sent, before, "empty to large");

    hostile_check(hostile, too_large(hostile, &port, target, large + (8u << 20)),
                  "a frame over the limit to replica %u: frames arrive again after it", target);
    before = refused_by(hostile, target);
    uint64_t sent_before = port.sent;
    rubbish(&port);
    impostor(&port, hostile, target);
    expect_refused(hostile, target, port.sent - sent_before, before, "once more");
    port_close(&port);
    free(bytes);
}

/* A client's certificate has no business on a replica's port: each of several attempts ends before anything is read. */
static void attack_as_client(struct hostile *hostile, ord_node_id target) {
    struct port port;
    uint64_t deadline = client_now_us() + HOSTILE_DEADLINE_US;
    port_open(&port, hostile, target, "client");
    pthread_mutex_lock(&port.lock);
    while (port.failures < 3 && !port.ever_up && client_now_us() < deadline)
        client_cond_wait(&port.changed, &port.lock, deadline);
    bool refused = port.failures >= 3 && !port.ever_up;
    pthread_mutex_unlock(&port.lock);
    hostile_check(hostile, refused, "a client's certificate on the replicas' port of replica %u: no connection",
                  target);
    port_close(&port);
}

void hostile_links(struct hostile *hostile) {
    for (ord_node_id target = 0; target < hostile->replica_count; target++) {
        attack_as_client(hostile, target);
        attack(hostile, target);
    }
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        char text[64];
        snprintf(text, sizeof(text), "a valid envelope to replica %u after all frames", i);
        hostile_expect_honest(hostile, i, text);
    }
}
