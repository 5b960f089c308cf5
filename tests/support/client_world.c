/*
 * The replicas of one channel, with faults on demand: their servers, their start and end, and what a test asks of them.
 */
#include "tests/support/client_world_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/hash.h"

#define TICK_MS 10

/* ---- Requests --------------------------------------------------------------------------------------------------- */

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000u + (uint64_t) now.tv_nsec / 1000000u;
}

static void on_request(void *context, struct net_request *request) {
    struct replica *replica = context;
    struct world *world = replica->world;
    pthread_mutex_lock(&world->lock);
    uint32_t timeout_ms = 0;
    bool done = false;
    if (replica->fault.garbage) {
        struct net_message *message = NULL;
        uint8_t *data = NULL;
        WORLD_OK(net_message_create(&message, &data, 64));
        memset(data, 0xff, 64);
        net_request_reply(request, message);
        done = true;
    } else if (replica->fault.mute) {
        timeout_ms = UINT32_MAX;
    } else if (replica->fault.late_ms > 0) {
        timeout_ms = replica->fault.late_ms;
    } else {
        done = world_serve(world, replica, request, false, &timeout_ms);
    }
    if (!done) {
        struct pending *pending = calloc(1, sizeof(*pending));
        ORD_ASSERT(pending != NULL);
        pending->request = request;
        pending->replica = replica->index;
        pending->from_ms = now_ms() + replica->fault.late_ms;
        pending->until_ms = now_ms() + timeout_ms;
        pending->next = world->pending;
        world->pending = pending;
    }
    pthread_mutex_unlock(&world->lock);
}

/* Serves pending requests when something changed, when their time is over, and when their replica ends. */
static void *run_waiter(void *argument) {
    struct world *world = argument;
    pthread_mutex_lock(&world->lock);
    while (!world->closing) {
        struct pending **link = &world->pending;
        while (*link != NULL) {
            struct pending *pending = *link;
            struct replica *replica = &world->replicas[pending->replica];
            uint32_t timeout_ms = 0;
            bool gone = replica->server == NULL;
            if (gone || replica->fault.mute) {
                if (!gone) {
                    link = &pending->next;
                    continue;
                }
                net_request_reply(pending->request, NULL);
            } else if (now_ms() < pending->from_ms ||
                       !world_serve(world, replica, pending->request, now_ms() >= pending->until_ms, &timeout_ms)) {
                link = &pending->next;
                continue;
            }
            *link = pending->next;
            free(pending);
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&world->changed, &world->lock, &until);
    }
    pthread_mutex_unlock(&world->lock);
    return NULL;
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

static void write_file(const char *folder, const char *name, const void *data, size_t size, mode_t mode) {
    char path[WORLD_PATH_MAX + 128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    ORD_ASSERT(file != NULL);
    ORD_ASSERT((fwrite(data, 1, size, file)) == size);
    ORD_ASSERT((fclose(file)) == 0);
    ORD_ASSERT((chmod(path, mode)) == 0);
}

static void make_client(struct world *world, const char *name, const char *folder_name, const struct crypto_pem *ca,
                        const struct crypto_pem *tls_ca, char *config_file, size_t config_file_size) {
    struct crypto_pem identity;
    struct crypto_pem tls;
    char folder[WORLD_PATH_MAX + 32];
    char text[4096];
    snprintf(folder, sizeof(folder), "%s/%s", world->folder, folder_name);
    ORD_ASSERT((mkdir(folder, 0700)) == 0);
    WORLD_OK(crypto_identity_create(&identity, ca, "org", CRYPTO_ROLE_CLIENT, name, 30));
    WORLD_OK(crypto_tls_create(&tls, tls_ca, "org", CRYPTO_ROLE_CLIENT, name, NULL, 30));
    write_file(folder, "identity.key", identity.key, strlen(identity.key), 0600);
    write_file(folder, "identity.crt", identity.cert, strlen(identity.cert), 0644);
    write_file(folder, "tls.key", tls.key, strlen(tls.key), 0600);
    write_file(folder, "tls.crt", tls.cert, strlen(tls.cert), 0644);
    int size = snprintf(text, sizeof(text),
                        "channel = \"test\";\ngenesis = \"../genesis.block\";\nidentity_key = \"identity.key\";\n"
                        "identity_cert = \"identity.crt\";\ntls_cert = \"tls.crt\";\n"
                        "tls_key = \"tls.key\";\ntimeout_ms = 2000;\nreplicas = (");
    for (uint32_t i = 0; i < world->replica_count; i++)
        size += snprintf(text + size, sizeof(text) - (size_t) size, "%s\"127.0.0.1:%u\"", i == 0 ? "" : ", ",
                         world->replicas[i].port);
    size += snprintf(text + size, sizeof(text) - (size_t) size, ");\n");
    write_file(folder, "client.cfg", text, (size_t) size, 0644);
    snprintf(config_file, config_file_size, "%s/client.cfg", folder);
}

static void open_server(struct replica *replica) {
    struct net_tls tls = {.ca_pem = replica->world->ca, .cert_pem = replica->tls_cert, .key_pem = replica->tls_key};
    struct net_server_options options = {
        .host = "127.0.0.1",
        .port = replica->port,
        .tls = &tls,
        .context_count = 128,
        .request_bytes_max = 16u << 20,
        .send_timeout_ms = 5000,
        .on_request = on_request,
        .context = replica,
    };
    struct net_server *server = NULL;
    WORLD_OK(net_server_open(&server, &options));
    replica->port = net_server_port(server);
    pthread_mutex_lock(&replica->world->lock);
    replica->server = server;
    pthread_mutex_unlock(&replica->world->lock);
}

static void make_channel(struct world *world, const struct world_options *options, const struct crypto_pem *ca) {
    struct channel_config *config = world->config;
    channel_config_defaults(config, CHANNEL_PBFT);
    snprintf(config->name, sizeof(config->name), "test");
    config->consensus = options->consensus;
    config->batch_timeout_ms = 0;
    if (options->max_message_count != 0)
        config->max_message_count = options->max_message_count;
    if (options->absolute_max_bytes != 0)
        config->absolute_max_bytes = options->absolute_max_bytes;
    if (options->request_timeout_ms != 0)
        config->request_timeout_ms = options->request_timeout_ms;
    config->org_count = 1;
    snprintf(config->orgs[0].name, sizeof(config->orgs[0].name), "org");
    size_t size = sizeof(config->orgs[0].ca_der);
    WORLD_OK(crypto_cert_der(config->orgs[0].ca_der, &size, ca->cert));
    config->orgs[0].ca_der_size = (uint32_t) size;
    config->replica_count = world->replica_count;
    for (uint32_t i = 0; i < world->replica_count; i++) {
        struct replica *replica = &world->replicas[i];
        WORLD_OK(crypto_random(replica->key.bytes, sizeof(replica->key.bytes)));
        replica->key.bytes[0] = 1; /* keeps the key under the group's order */
        WORLD_OK(crypto_public_key(&config->replicas[i].key, &replica->key));
        snprintf(config->replicas[i].name, sizeof(config->replicas[i].name), "replica%u", i);
        snprintf(config->replicas[i].host, sizeof(config->replicas[i].host), "127.0.0.1");
        config->replicas[i].replica_port = (uint16_t) (20000 + i);
        config->replicas[i].client_port = (uint16_t) (30000 + i); /* client.cfg has the real ports */
    }
    size_t capacity = CHANNEL_CONFIG_BYTES_MAX + 1024;
    world->genesis = malloc(CHANNEL_HEADER_SIZE + capacity);
    ORD_ASSERT(world->genesis != NULL);
    struct ord_writer writer = ord_writer_of(world->genesis + CHANNEL_HEADER_SIZE, capacity);
    struct channel_header header;
    WORLD_OK(channel_genesis_create(&header, &writer, config));
    channel_header_encode(world->genesis, &header);
    channel_header_hash(&world->genesis_hash, &header);
    world->genesis_size = CHANNEL_HEADER_SIZE + writer.size;
    size_t memory_size = channel_memory_size(config);
    world->memory = malloc(memory_size);
    ORD_ASSERT(world->memory != NULL);
    WORLD_OK(channel_init(&world->channel, world->memory, memory_size, config, &world->genesis_hash));
}

struct world *world_create(const struct world_options *options) {
    struct crypto_pem ca;
    struct crypto_pem foreign_ca;
    WORLD_OK(crypto_init());
    struct world *world = calloc(1, sizeof(*world));
    ORD_ASSERT(world != NULL);
    world->config = calloc(1, sizeof(*world->config));
    world->batch = malloc(WORLD_BATCH_BYTES_MAX);
    world->places = calloc(WORLD_PLACES, sizeof(*world->places));
    ORD_ASSERT(world->config != NULL && world->batch != NULL && world->places != NULL);
    ORD_ASSERT((pthread_mutex_init(&world->lock, NULL)) == 0);
    ORD_ASSERT((pthread_cond_init(&world->changed, NULL)) == 0);
    const char *temporary = getenv("TMPDIR");
    snprintf(world->folder, sizeof(world->folder), "%s/ordain-client-XXXXXX", temporary != NULL ? temporary : "/tmp");
    ORD_ASSERT(mkdtemp(world->folder) != NULL);
    world->replica_count = options->replica_count;
    ORD_ASSERT(world->replica_count <= WORLD_REPLICAS_MAX);
    WORLD_OK(crypto_ca_create(&ca, "org", 30));
    WORLD_OK(crypto_ca_create(&foreign_ca, "org", 30));
    memcpy(world->ca, ca.cert, sizeof(world->ca));
    make_channel(world, options, &ca);
    for (uint32_t i = 0; i < world->replica_count; i++) {
        struct replica *replica = &world->replicas[i];
        struct crypto_pem tls;
        replica->world = world;
        replica->index = i;
        WORLD_OK(crypto_tls_create(&tls, &ca, "org", CRYPTO_ROLE_REPLICA,
                                   world->config->replicas[options->with_impostor ? 0 : i].name, NULL, 30));
        memcpy(replica->tls_cert, tls.cert, sizeof(replica->tls_cert));
        memcpy(replica->tls_key, tls.key, sizeof(replica->tls_key));
        open_server(replica);
    }
    write_file(world->folder, "genesis.block", world->genesis, world->genesis_size, 0644);
    snprintf(world->genesis_file, sizeof(world->genesis_file), "%s/genesis.block", world->folder);
    make_client(world, "client", "client", options->with_foreign_client ? &foreign_ca : &ca, &ca, world->config_file,
                sizeof(world->config_file));
    make_client(world, "second", "second", &ca, &ca, world->second_file, sizeof(world->second_file));
    ORD_ASSERT((pthread_create(&world->waiter, NULL, run_waiter, world)) == 0);
    return world;
}

void world_stop_replica(struct world *world, uint32_t replica) {
    pthread_mutex_lock(&world->lock);
    struct net_server *server = world->replicas[replica].server;
    world->replicas[replica].server = NULL;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
    if (server != NULL)
        net_server_close(server);
}

void world_start_replica(struct world *world, uint32_t replica) {
    open_server(&world->replicas[replica]);
}

static void remove_folder(const char *folder) {
    static const char *const names[] = {"client/identity.key",
                                        "client/identity.crt",
                                        "client/tls.key",
                                        "client/tls.crt",
                                        "client/client.cfg",
                                        "second/identity.key",
                                        "second/identity.crt",
                                        "second/tls.key",
                                        "second/tls.crt",
                                        "second/client.cfg",
                                        "genesis.block",
                                        "client",
                                        "second",
                                        ""};
    char path[WORLD_PATH_MAX + 64];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        if (remove(path) != 0)
            fprintf(stderr, "%s: %s\n", path, strerror(errno));
    }
}

void world_destroy(struct world *world) {
    if (world == NULL)
        return;
    for (uint32_t i = 0; i < world->replica_count; i++)
        world_stop_replica(world, i);
    pthread_mutex_lock(&world->lock);
    world->closing = true;
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->lock);
    pthread_join(world->waiter, NULL);
    for (size_t i = 0; i < world->block_count; i++) {
        free(world->blocks[i].data);
        free(world->blocks[i].leaves);
    }
    remove_folder(world->folder);
    pthread_cond_destroy(&world->changed);
    pthread_mutex_destroy(&world->lock);
    free(world->blocks);
    free(world->batch);
    free(world->places);
    free(world->memory);
    free(world->genesis);
    free(world->config);
    free(world);
}

/* ---- What a test asks ------------------------------------------------------------------------------------------- */

const char *world_folder(const struct world *world) {
    return world->folder;
}

const char *world_config_file(const struct world *world) {
    return world->config_file;
}

const char *world_second_config_file(const struct world *world) {
    return world->second_file;
}

const char *world_genesis_file(const struct world *world) {
    return world->genesis_file;
}

void world_fault(struct world *world, uint32_t replica, const struct world_fault *fault) {
    pthread_mutex_lock(&world->lock);
    world->replicas[replica].fault = *fault;
    pthread_mutex_unlock(&world->lock);
}

void world_hold(struct world *world, bool held) {
    pthread_mutex_lock(&world->lock);
    world->held = held;
    world_order(world);
    pthread_mutex_unlock(&world->lock);
}

uint64_t world_height(struct world *world) {
    pthread_mutex_lock(&world->lock);
    uint64_t height = world->block_count;
    pthread_mutex_unlock(&world->lock);
    return height;
}

static uint64_t walk(struct world *world, const void *wanted, size_t size, uint64_t *found) {
    uint64_t count = 0;
    *found = 0;
    pthread_mutex_lock(&world->lock);
    for (size_t b = 0; b < world->block_count; b++) {
        struct ord_span left = ord_span_of(world->blocks[b].data, world->blocks[b].size);
        struct ord_span bytes;
        struct channel_envelope envelope;
        struct ord_span transaction;
        while (channel_batch_next(&bytes, &left) == ORD_OK) {
            WORLD_OK(channel_envelope_decode(&envelope, bytes));
            if (envelope.kind != CHANNEL_ENVELOPE_TRANSACTIONS)
                continue;
            while (channel_envelope_next(&transaction, &envelope.transactions) == ORD_OK) {
                count++;
                if (wanted != NULL && ord_span_equal(transaction, ord_span_of(wanted, size)))
                    ++*found;
            }
        }
    }
    pthread_mutex_unlock(&world->lock);
    return count;
}

uint32_t world_count(struct world *world, const void *transaction, size_t size) {
    uint64_t found = 0;
    (void) walk(world, transaction, size, &found);
    return (uint32_t) found;
}

uint64_t world_transactions(struct world *world) {
    uint64_t found = 0;
    return walk(world, NULL, 0, &found);
}

uint64_t world_requests(struct world *world, uint32_t replica) {
    pthread_mutex_lock(&world->lock);
    uint64_t count = world->replicas[replica].requests;
    pthread_mutex_unlock(&world->lock);
    return count;
}

uint64_t world_envelopes(struct world *world, uint32_t replica) {
    pthread_mutex_lock(&world->lock);
    uint64_t count = world->replicas[replica].envelopes;
    pthread_mutex_unlock(&world->lock);
    return count;
}

uint32_t world_envelopes_max(struct world *world) {
    pthread_mutex_lock(&world->lock);
    uint32_t count = world->envelopes_max;
    pthread_mutex_unlock(&world->lock);
    return count;
}

void world_accuse(struct world *world, uint32_t replica, uint32_t culprit, uint64_t seq, bool framed) {
    uint8_t bytes[2][CHANNEL_ATTESTATION_SIZE];
    for (uint32_t i = 0; i < 2; i++) {
        struct channel_attestation attestation = {.statement = {.epoch = world->config->epoch, .seq = seq},
                                                  .signer = culprit};
        struct ord_hash hash;
        memset(attestation.statement.state_digest.bytes, (int) i + 1, ORD_HASH_SIZE);
        channel_statement_hash(&hash, &world->genesis_hash, &attestation.statement, culprit);
        WORLD_OK(
            crypto_sign(&attestation.signature, &world->replicas[framed && i == 1 ? replica : culprit].key, &hash));
        channel_attestation_encode(bytes[i], &attestation);
    }
    const struct evidence evidence = {.genesis_hash = world->genesis_hash,
                                      .epoch = world->config->epoch,
                                      .kind = EVIDENCE_ATTESTATIONS,
                                      .first = ord_span_of(bytes[0], sizeof(bytes[0])),
                                      .second = ord_span_of(bytes[1], sizeof(bytes[1]))};
    pthread_mutex_lock(&world->lock);
    struct replica *keeper = &world->replicas[replica];
    ORD_ASSERT(keeper->piece_count < WORLD_PIECES_MAX);
    keeper->pieces[keeper->piece_count].culprit = culprit;
    keeper->pieces[keeper->piece_count].size = evidence_encode(keeper->pieces[keeper->piece_count].bytes, &evidence);
    keeper->piece_count++;
    pthread_mutex_unlock(&world->lock);
}
