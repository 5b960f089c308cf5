/*
 * A member on the path between a client and the replicas, who poses as all of them:
 *
 *     impostor NET MEMBER
 *
 * NET is the folder that `ordain init` made. For each replica it listens on a free port with the TLS certificate of
 * MEMBER, such as "client2" or "replica1" ("itself": with that replica's own), and passes each request on to the
 * replica, and the answer back. It prints the addresses as client.cfg wants them, and stays until it is killed.
 *
 *     impostor NET MEMBER INDEX
 *
 * It stands in the place of replica INDEX, which must not run, on its port for replicas. It prints a line, and then one
 * more for each frame that comes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel/block.h"
#include "crypto/hash.h"
#include "net/net.h"
#include "node/config.h"
#include "node/trust.h"

enum { CALLS_MAX = 64, BYTES_MAX = 64 << 20, CALL_MS = 60000, PATH_SIZE = 512 };

struct impostor {
    const char *net;
    struct channel_config config;
    char *ca;
    struct door {
        struct net_server *server;
        struct net_client *replica;
    } doors[ORD_REPLICA_MAX];
};

static void must(enum ord_err err, const char *what) {
    if (err == ORD_OK)
        return;
    fprintf(stderr, "impostor: %s: %s\n", what, ord_err_text(err));
    exit(1);
}

static char *read_text(const struct impostor *impostor, const char *member, const char *name) {
    char path[PATH_SIZE];
    char why[PATH_SIZE];
    uint8_t *text;
    size_t size;
    snprintf(path, sizeof(path), "%s/%s/%s", impostor->net, member, name);
    must(node_read_file(&text, &size, path, CRYPTO_PEM_MAX, why, sizeof(why)), path);
    return (char *) text;
}

static void load(struct impostor *impostor) {
    char path[PATH_SIZE];
    char why[PATH_SIZE];
    uint8_t *file;
    size_t size;
    struct ord_hash hash;
    struct channel_header header;
    struct ord_span data;
    snprintf(path, sizeof(path), "%s/genesis.block", impostor->net);
    must(node_read_file(&file, &size, path, 4u << 20, why, sizeof(why)), path);
    must(channel_genesis_open(&impostor->config, &hash, &header, &data, ord_span_of(file, size)), path);
    must(node_trust_all(&impostor->ca, &impostor->config), "CA certificates");
    free(file);
}

/* `index` and `member` as in the usage. The texts live as long as the program. */
static struct net_tls tls_of(const struct impostor *impostor, const char *member, uint32_t index) {
    char own[16];
    snprintf(own, sizeof(own), "replica%" PRIu32, index);
    const char *shown = strcmp(member, "itself") == 0 ? own : member;
    return (struct net_tls) {impostor->ca, read_text(impostor, shown, "tls.crt"),
                             read_text(impostor, shown, "tls.key")};
}

/* ---- between a client and the replicas ---- */

static void on_reply(void *context, enum ord_err result, struct net_message *reply) {
    net_request_reply(context, result == ORD_OK ? reply : NULL);
}

static void on_request(void *context, struct net_request *request) {
    struct door *door = context;
    struct net_message *message;
    uint8_t *data;
    struct ord_span bytes = net_request_bytes(request);
    must(net_message_create(&message, &data, bytes.size), "message");
    if (bytes.size > 0)
        memcpy(data, bytes.data, bytes.size);
    if (net_client_call(door->replica, message, CALL_MS, on_reply, request) != ORD_OK)
        net_request_reply(request, NULL);
}

static void open_door(struct impostor *impostor, uint32_t index, const char *member) {
    struct door *door = &impostor->doors[index];
    const struct net_tls to_replica = tls_of(impostor, "client2", index);
    const struct net_client_options client = {
        .host = impostor->config.replicas[index].host,
        .port = impostor->config.replicas[index].client_port,
        .tls = &to_replica,
        .reply_bytes_max = BYTES_MAX,
        .call_max = 4 * CALLS_MAX,
        .reconnect_ms_max = 100,
    };
    must(net_client_open(&door->replica, &client), "cannot dial a replica");
    const struct net_tls shown = tls_of(impostor, member, index);
    const struct net_server_options server = {
        .host = "127.0.0.1",
        .tls = &shown,
        .context_count = CALLS_MAX,
        .request_bytes_max = BYTES_MAX,
        .send_timeout_ms = CALL_MS,
        .on_request = on_request,
        .context = door,
    };
    must(net_server_open(&door->server, &server), "cannot listen for clients");
    printf("%s\"127.0.0.1:%u\"", index > 0 ? ", " : "", (unsigned) net_server_port(door->server));
}

/* ---- in a replica's place ---- */

static void on_frame(void *context, struct net_message *message) {
    (void) context;
    printf("frame of %zu bytes\n", net_message_bytes(message).size);
    fflush(stdout);
    net_message_destroy(message);
}

static void take_place(const struct impostor *impostor, uint32_t index, const char *member) {
    static struct net_pull *pull;
    const struct net_tls shown = tls_of(impostor, member, index);
    const struct net_pull_options options = {
        .host = impostor->config.replicas[index].host,
        .port = impostor->config.replicas[index].replica_port,
        .tls = &shown,
        .message_bytes_max = BYTES_MAX,
        .on_message = on_frame,
    };
    must(net_pull_open(&pull, &options), "cannot listen in the replica's place");
    printf("in the place of replica %" PRIu32, index);
}

int main(int argc, char **argv) {
    static struct impostor impostor;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: impostor NET MEMBER [INDEX]\n");
        return 2;
    }
    must(crypto_init(), "crypto");
    impostor.net = argv[1];
    load(&impostor);
    if (argc == 4)
        take_place(&impostor, (uint32_t) strtoul(argv[3], NULL, 10), argv[2]);
    for (uint32_t i = 0; argc == 3 && i < impostor.config.replica_count; i++)
        open_door(&impostor, i, argv[2]);
    printf("\n");
    fflush(stdout);
    for (;;)
        pause();
}
