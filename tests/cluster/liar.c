/*
 * liar DIR INDEX VIEW SEQ: takes the place of replica INDEX, which must not run, with its keys from DIR (made by
 * `ordain init`). It tells each other replica two contradicting PREPAREs in VIEW for SEQ and two contradicting
 * attestations at SEQ, all signed. INDEX must not lead VIEW. It repeats them, because frames may be lost, until it is
 * killed or its time is over (exit code 1).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bft/wire/proof.h"
#include "channel/attestation.h"
#include "crypto/hash.h"
#include "crypto/link.h"
#include "net/net.h"
#include "node/config.h"
#include "node/trust.h"

enum {
    AGAIN_MS = 100,
    LIFE_S = 180,
    LIES = 4, /* two statements of each kind */
    KIND_CORE = 1,
    KIND_ATTESTATION = 2,
    MESSAGE_HEADER = 5,
    PAYLOAD_VOTES = 1, /* a frame of the votes' lane */
};

struct lie {
    uint8_t kind; /* kind of the message on the link */
    uint8_t bytes[BFT_PREPARE_SIZE_MAX];
    size_t size;
};

/* The lock protects everything below it. */
struct liar {
    pthread_mutex_t lock;
    struct node_config files;
    struct channel_config config;
    struct ord_hash genesis_hash;
    struct ord_core_config core;
    struct crypto_replica_keys keys;
    struct ord_crypto_ops crypto;
    struct crypto_private_key key;
    struct lie lies[LIES];
    struct victim {
        struct liar *liar;
        struct net_push *push;
        struct crypto_link link;
        bool up;
        bool busy; /* the transport still has a message of ours */
    } victims[ORD_REPLICA_MAX];
};

static void die(const char *what, enum ord_err err) {
    fprintf(stderr, "liar: %s: %s\n", what, ord_err_text(err));
    exit(2);
}

static void must(enum ord_err err, const char *what) {
    if (err != ORD_OK)
        die(what, err);
}

static char *read_text(const char *path) {
    char why[512];
    uint8_t *text;
    size_t size;
    must(node_read_file(&text, &size, path, 4u << 20, why, sizeof(why)), path);
    return (char *) text;
}

static void load(struct liar *liar, const char *directory, uint32_t index) {
    char path[NODE_PATH_MAX];
    char why[2048];
    char pem[CRYPTO_PEM_MAX];
    uint8_t *genesis;
    size_t size;
    struct channel_header header;
    struct ord_span data;
    snprintf(path, sizeof(path), "%s/replica%u/node.cfg", directory, index);
    must(node_config_load(&liar->files, path, why, sizeof(why)), path);
    must(node_read_file(&genesis, &size, liar->files.genesis_file, 4u << 20, why, sizeof(why)), "genesis block");
    must(channel_genesis_open(&liar->config, &liar->genesis_hash, &header, &data, ord_span_of(genesis, size)),
         "genesis block");
    free(genesis);
    must(node_read_secret(pem, sizeof(pem), liar->files.identity_key_file, why, sizeof(why)), "identity key");
    must(crypto_private_key_load(&liar->key, pem), "identity key");
    must(channel_replica_keys(&liar->keys, &liar->config), "replicas' keys");
    crypto_ops_init(&liar->crypto, &liar->keys);
    channel_core_config(&liar->core, &liar->config, &liar->genesis_hash, index, &liar->crypto);
}

/* ---- lies ---- */

static void make_prepare(struct liar *liar, struct lie *out, uint64_t view, uint64_t seq, uint8_t fill) {
    struct bft_vote_list list = {.type = BFT_PREPARE, .view = view, .sender = liar->core.self, .count = 1};
    struct bft_vote_tree tree;
    struct ord_hash hash;
    list.votes[0].seq = seq;
    memset(list.votes[0].digest.bytes, fill, ORD_HASH_SIZE);
    bft_vote_tree_build(&tree, &liar->core, &list);
    bft_vote_tree_signed_hash(&hash, &tree, &liar->core);
    must(crypto_sign(&list.signature, &liar->key, &hash), "sign");
    struct ord_writer writer = ord_writer_of(out->bytes, sizeof(out->bytes));
    bft_vote_list_encode(&writer, &liar->core, &list);
    must(ord_writer_finish(&writer), "encode");
    out->kind = KIND_CORE;
    out->size = writer.size;
}

static void make_attestation(struct liar *liar, struct lie *out, uint64_t seq, uint8_t fill) {
    struct channel_statement statement = {.epoch = liar->config.epoch, .seq = seq, .height = 1};
    struct channel_attestation attestation;
    struct ord_signer signer;
    crypto_signer_init(&signer, &liar->key);
    memset(statement.state_digest.bytes, fill, ORD_HASH_SIZE);
    must(channel_attest(&attestation, &liar->genesis_hash, &statement, liar->core.self, &signer), "sign");
    channel_attestation_encode(out->bytes, &attestation);
    out->kind = KIND_ATTESTATION;
    out->size = CHANNEL_ATTESTATION_SIZE;
}

/* ---- links ---- */

static void send_frame(struct victim *victim, const uint8_t *bytes, size_t size) {
    struct net_message *message;
    uint8_t *data;
    if (!victim->up || victim->busy)
        return;
    must(net_message_create(&message, &data, size), "message");
    memcpy(data, bytes, size);
    victim->busy = net_push_send(victim->push, message) == ORD_OK;
}

static void say_hello(struct victim *victim) {
    uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
    crypto_link_hello(&victim->link, hello);
    send_frame(victim, hello, sizeof(hello));
}

static void tell_lies(struct liar *liar, struct victim *victim) {
    uint8_t frame[CRYPTO_LINK_OVERHEAD + 1 + LIES * (MESSAGE_HEADER + BFT_PREPARE_SIZE_MAX)];
    size_t size = CRYPTO_LINK_HEADER_SIZE;
    if (!victim->up || victim->busy)
        return;
    frame[size++] = PAYLOAD_VOTES;
    for (int i = 0; i < LIES; i++) {
        frame[size] = liar->lies[i].kind;
        ord_store_u32(frame + size + 1, (uint32_t) liar->lies[i].size);
        memcpy(frame + size + MESSAGE_HEADER, liar->lies[i].bytes, liar->lies[i].size);
        size += MESSAGE_HEADER + liar->lies[i].size;
    }
    size += CRYPTO_LINK_TAG_SIZE;
    must(crypto_link_seal(&victim->link, frame, size), "seal");
    send_frame(victim, frame, size);
}

static void on_link(void *context, bool up) {
    struct victim *victim = context;
    pthread_mutex_lock(&victim->liar->lock);
    victim->up = up;
    pthread_mutex_unlock(&victim->liar->lock);
}

static void on_sent(void *context, enum ord_err result) {
    struct victim *victim = context;
    (void) result;
    pthread_mutex_lock(&victim->liar->lock);
    victim->busy = false;
    pthread_mutex_unlock(&victim->liar->lock);
}

static void on_message(void *context, struct net_message *message) {
    struct liar *liar = context;
    ord_node_id from;
    enum crypto_link_event event;
    struct ord_span payload;
    pthread_mutex_lock(&liar->lock);
    if (crypto_link_claimed_sender(&from, net_message_bytes(message)) == ORD_OK && from < liar->config.replica_count &&
        liar->victims[from].push != NULL &&
        crypto_link_open(&liar->victims[from].link, &event, &payload, net_message_bytes(message)) == ORD_OK &&
        event == CRYPTO_LINK_HELLO_REPLY)
        say_hello(&liar->victims[from]);
    pthread_mutex_unlock(&liar->lock);
    net_message_destroy(message);
}

static void open_victim(struct liar *liar, ord_node_id id, const struct net_tls *tls) {
    struct victim *victim = &liar->victims[id];
    struct node_dial dial;
    struct ord_hash nonce;
    must(node_dial_init(&dial, &liar->config, id, tls->cert_pem, tls->key_pem), "CA certificate");
    const struct net_push_options options = {
        .host = liar->config.replicas[id].host,
        .port = liar->config.replicas[id].replica_port,
        .tls = &dial.tls,
        .rules = dial.rules,
        .reconnect_ms_min = 10,
        .reconnect_ms_max = 100,
        .on_link = on_link,
        .on_sent = on_sent,
        .context = victim,
    };
    victim->liar = liar;
    must(crypto_random(&nonce, sizeof(nonce)), "random bytes");
    must(crypto_link_init(&victim->link, liar->core.self, id, &liar->genesis_hash, &liar->key,
                          &liar->config.replicas[id].key, &nonce),
         "link");
    struct net_push *push;
    must(net_push_open(&push, &options), "cannot dial a replica");
    pthread_mutex_lock(&liar->lock);
    victim->push = push;
    pthread_mutex_unlock(&liar->lock);
}

static void open_links(struct liar *liar) {
    static char key[CRYPTO_PEM_MAX];
    char why[512];
    must(node_read_secret(key, sizeof(key), liar->files.tls_key_file, why, sizeof(why)), "TLS key");
    char *ca;
    must(node_trust_all(&ca, &liar->config), "CA certificates");
    const struct net_tls tls = {ca, read_text(liar->files.tls_cert_file), key};
    const struct net_pull_options options = {
        .host = liar->files.replica_listen_host,
        .port = liar->config.replicas[liar->core.self].replica_port,
        .tls = &tls,
        .message_bytes_max = 64u << 20,
        .on_message = on_message,
        .context = liar,
    };
    struct net_pull *pull;
    must(net_pull_open(&pull, &options), "cannot listen in the replica's place");
    for (ord_node_id id = 0; id < liar->config.replica_count; id++)
        if (id != liar->core.self)
            open_victim(liar, id, &tls);
}

int main(int argc, char **argv) {
    static struct liar liar = {.lock = PTHREAD_MUTEX_INITIALIZER};
    if (argc != 5) {
        fprintf(stderr, "usage: liar DIR INDEX VIEW SEQ\n");
        return 2;
    }
    uint64_t view = strtoull(argv[3], NULL, 10);
    uint64_t seq = strtoull(argv[4], NULL, 10);
    must(crypto_init(), "crypto");
    load(&liar, argv[1], (uint32_t) strtoul(argv[2], NULL, 10));
    make_prepare(&liar, &liar.lies[0], view, seq, 1);
    make_prepare(&liar, &liar.lies[1], view, seq, 2);
    make_attestation(&liar, &liar.lies[2], seq, 1);
    make_attestation(&liar, &liar.lies[3], seq, 2);
    open_links(&liar);
    const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000L};
    for (time_t end = time(NULL) + LIFE_S; time(NULL) < end;) {
        pthread_mutex_lock(&liar.lock);
        for (ord_node_id id = 0; id < liar.config.replica_count; id++) {
            struct victim *victim = &liar.victims[id];
            if (victim->push == NULL)
                continue;
            if (crypto_link_confirmed(&victim->link))
                tell_lies(&liar, victim);
            else
                say_hello(victim);
        }
        pthread_mutex_unlock(&liar.lock);
        nanosleep(&pause, NULL);
    }
    fprintf(stderr, "liar: time is over\n");
    return 1;
}
