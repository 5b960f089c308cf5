/*
 * Making and unmaking a replica: keys and genesis block are checked against each other before anything is opened, the ledger before
 * the network, and the network comes last.
 */
#include "node/replica.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bft/bft.h"
#include "channel/receipt.h"
#include "node/log.h"
#include "node/records.h"
#include "node/replica_internal.h"
#include "solo/solo.h"

enum {
    FILE_BYTES_MAX = CHANNEL_CONFIG_BYTES_MAX + (64 << 10),
    REQUEST_BYTES_SLACK = 1 << 20,
    REPLY_TIMEOUT_MS = 10000,
    PROBE_INTERVAL_MS = 1000,
    PROBES_MISSED_MAX = 3,
    JOBS_MAX = 1 << 16,
    LINK_QUEUE_BYTES_DEFAULT = 32 << 20,
    HEADER_LEAVES_SLACK = 16,
};

/* ---- requests of clients: parsed in the transport's threads, handled in the loop ---- */

static void handle_request(struct replica *replica, struct work *work) {
    struct api_request *request = (struct api_request *) work;
    struct ord_hash fingerprint;
    const ProtobufCBinaryData *client = NULL;
    count_add(&replica->counters.requests, 1);
    if (replica->pull == NULL) { /* being unmade: the links, which a status tells of, are gone already */
        api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE, "replica is stopping");
        return;
    }
    switch ((int) request->message->kind_case) {
    case ORDAIN__V1__REQUEST__KIND_SUBMIT:
        admission_submit(replica, request);
        return;
    case ORDAIN__V1__REQUEST__KIND_STATUS:
        status_reply(replica, request);
        return;
    case ORDAIN__V1__REQUEST__KIND_CLIENT:
        status_client_reply(replica, request);
        return;
    case ORDAIN__V1__REQUEST__KIND_WAIT:
        client = &request->message->wait->client;
        break;
    case ORDAIN__V1__REQUEST__KIND_RECEIPT:
        client = &request->message->receipt->client;
        break;
    case ORDAIN__V1__REQUEST__KIND_DELIVER:
    case ORDAIN__V1__REQUEST__KIND_EVIDENCE:
        break;
    default:
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "request without a kind that this replica knows");
        return;
    }
    request->client_index = UINT32_MAX;
    if (client != NULL && client->len == ORD_HASH_SIZE) {
        memcpy(fingerprint.bytes, client->data, ORD_HASH_SIZE);
        (void) channel_client_find(replica->channel, &request->client_index, &fingerprint);
    }
    service_post(replica, request);
}

static void on_request(void *context, struct net_request *net) {
    struct replica *replica = context;
    struct ord_span bytes = net_request_bytes(net);
    struct api_request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        net_request_reply(net, NULL);
        return;
    }
    request->net = net;
    request->received_ms = node_clock_ms();
    request->message = ordain__v1__request__unpack(NULL, bytes.size, bytes.data);
    if (request->message == NULL) {
        count_add(&replica->counters.requests_malformed, 1);
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "request does not parse");
    } else if (strcmp(request->message->channel, replica->channel_config->name) != 0) {
        api_reply_error(request, ORDAIN__V1__STATUS__NOT_FOUND, "no such channel here");
    } else if (!inbox_post(&replica->inbox, &request->work, handle_request)) {
        api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE, "replica is stopping");
    }
}

/* ---- files ---- */

static enum ord_err load_genesis(struct replica *replica, char *why, size_t why_size) {
    size_t size;
    enum ord_err err =
        node_read_file(&replica->genesis_file, &size, replica->config.genesis_file, FILE_BYTES_MAX, why, why_size);
    if (err != ORD_OK)
        return err;
    err = channel_genesis_open(replica->channel_config, &replica->genesis_hash, &replica->genesis_header,
                               &replica->genesis_data, ord_span_of(replica->genesis_file, size));
    if (err != ORD_OK) {
        snprintf(why, why_size, "%s is not a genesis block that this version can run: %s", replica->config.genesis_file,
                 ord_err_text(err));
        return err;
    }
    if (replica->config.replica < replica->channel_config->replica_count)
        return ORD_OK;
    snprintf(why, why_size, "replica = %" PRIu32 ", but channel %s has %" PRIu32 " replicas", replica->config.replica,
             replica->channel_config->name, replica->channel_config->replica_count);
    return ORD_ERR_INVALID;
}

static enum ord_err load_identity(struct replica *replica, char *why, size_t why_size) {
    char pem[CRYPTO_PEM_MAX];
    struct ord_public_key public_key;
    enum ord_err err = node_read_secret(pem, sizeof(pem), replica->config.identity_key_file, why, why_size);
    if (err != ORD_OK)
        return err;
    err = crypto_private_key_load(&replica->key, pem);
    crypto_wipe(pem, sizeof(pem));
    if (err == ORD_OK)
        err = crypto_public_key(&public_key, &replica->key);
    if (err != ORD_OK) {
        snprintf(why, why_size, "%s is not a secp256k1 private key", replica->config.identity_key_file);
        return err;
    }
    const struct channel_replica *self = &replica->channel_config->replicas[replica->config.replica];
    if (memcmp(public_key.bytes, self->key.bytes, ORD_PUBLIC_KEY_SIZE) == 0)
        return ORD_OK;
    snprintf(why, why_size, "%s is not the key of replica %" PRIu32 " in the genesis block",
             replica->config.identity_key_file, replica->config.replica);
    return ORD_ERR_MISMATCH;
}

static enum ord_err load_text(char **out, const char *path, char *why, size_t why_size) {
    uint8_t *bytes;
    size_t size;
    enum ord_err err = node_read_file(&bytes, &size, path, FILE_BYTES_MAX, why, why_size);
    if (err != ORD_OK)
        return err;
    char *text = realloc(bytes, size + 1);
    if (text == NULL) {
        free(bytes);
        return ORD_ERR_NO_MEMORY;
    }
    text[size] = 0;
    *out = text;
    return ORD_OK;
}

static enum ord_err load_files(struct replica *replica, char *why, size_t why_size) {
    replica->channel_config = calloc(1, sizeof(*replica->channel_config));
    replica->tls_key = calloc(1, CRYPTO_PEM_MAX);
    if (replica->channel_config == NULL || replica->tls_key == NULL)
        return ORD_ERR_NO_MEMORY;
    enum ord_err err = load_genesis(replica, why, why_size);
    if (err == ORD_OK)
        err = load_identity(replica, why, why_size);
    if (err == ORD_OK)
        err = node_read_secret(replica->tls_key, CRYPTO_PEM_MAX, replica->config.tls_key_file, why, why_size);
    if (err == ORD_OK)
        err = load_text(&replica->tls_cert, replica->config.tls_cert_file, why, why_size);
    if (err == ORD_OK)
        err = load_text(&replica->tls_ca, replica->config.tls_ca_file, why, why_size);
    if (err != ORD_OK)
        return err;
    /* Each may be fine by itself, and every handshake would fail all the same. */
    err = crypto_pair_check(replica->tls_cert, replica->tls_key);
    if (err != ORD_OK)
        snprintf(why, why_size, "%s is not the key of the certificate %s", replica->config.tls_key_file,
                 replica->config.tls_cert_file);
    if (err == ORD_OK) {
        err = net_tls_ca_check(replica->tls_ca);
        if (err == ORD_ERR_INVALID)
            snprintf(why, why_size, "%s holds no certificates of CAs, or one that cannot be read",
                     replica->config.tls_ca_file);
    }
    return err;
}

/* ---- parts ---- */

static enum ord_err make_core(struct replica *replica) {
    struct channel_config *config = replica->channel_config;
    replica->protocol = replica->seam.protocol;
    if (replica->protocol == NULL)
        replica->protocol = config->consensus == CHANNEL_SOLO ? &solo_protocol : &bft_pbft;
    enum ord_err err = channel_replica_keys(&replica->keys, config);
    if (err != ORD_OK)
        return err;
    crypto_ops_init(&replica->crypto, &replica->keys);
    crypto_signer_init(&replica->signer, &replica->key);
    channel_core_config(&replica->core_config, config, &replica->genesis_hash, replica->config.replica,
                        &replica->crypto);
    replica->checkpoints = (struct channel_checkpoints) {
        .config = config, .genesis_hash = &replica->genesis_hash, .crypto = &replica->crypto};
    replica->bft_options = (struct bft_options) {.decisions_per_leader = config->decisions_per_leader,
                                                 .request_timeout_ms = config->request_timeout_ms};
    channel_checkpoint_ops(&replica->bft_options.checkpoints, &replica->checkpoints);
    if (config->consensus == CHANNEL_PBFT)
        replica->core_config.options = &replica->bft_options;
    replica->work_since_ms = UINT64_MAX;
    replica->turn = 1;
    size_t size = replica->protocol->memory_size(&replica->core_config);
    if (size == 0)
        return ORD_ERR_INVALID;
    replica->core_memory = malloc(size);
    replica->channel_memory_size = channel_memory_size(config);
    replica->channel_memory = malloc(replica->channel_memory_size);
    replica->attest.history = calloc(record_point_slots(config->window), sizeof(*replica->attest.history));
    void *collector = malloc(channel_collector_size(config->replica_count));
    if (replica->core_memory == NULL || replica->channel_memory == NULL || replica->attest.history == NULL ||
        collector == NULL) {
        free(collector);
        return ORD_ERR_NO_MEMORY;
    }
    channel_collector_init(&replica->attest.collector, collector, config->replica_count);
    replica->attest.newest.signer = ORD_NO_NODE;
    uint64_t
        seed; /* another at each start: what is said to this life of the core must not be mistaken for an earlier one's */
    err = crypto_random(&seed, sizeof(seed));
    if (err != ORD_OK)
        return err;
    return replica->protocol->init(&replica->core, replica->core_memory, size, &replica->core_config, &replica->signer,
                                   seed);
}

/* The largest frame of a link; a queue that cannot take it would drop it, and every time that it is sent again. */
static enum ord_err size_links(struct replica *replica, char *why, size_t why_size) {
    const struct channel_config *config = replica->channel_config;
    size_t message_bytes_max = replica->protocol->message_size_max(&replica->core_config);
    replica->frame_bytes_max = (size_t) config->batch_bytes_max + config->preferred_max_bytes + LINK_FRAME_SLACK;
    if (replica->frame_bytes_max < message_bytes_max + LINK_FRAME_SLACK)
        replica->frame_bytes_max = message_bytes_max + LINK_FRAME_SLACK;
    uint64_t *queue_bytes_max = &replica->config.link_queue_bytes_max;
    if (*queue_bytes_max == 0)
        *queue_bytes_max = replica->frame_bytes_max > LINK_QUEUE_BYTES_DEFAULT / 2
                               ? 2 * (uint64_t) replica->frame_bytes_max
                               : LINK_QUEUE_BYTES_DEFAULT;
    if (*queue_bytes_max >= replica->frame_bytes_max)
        return ORD_OK;
    snprintf(why, why_size,
             "link_queue_bytes_max = %" PRIu64 ", but a message of channel %s between replicas takes up to %zu bytes "
             "(window, batch_bytes_max and preferred_max_bytes decide)",
             *queue_bytes_max, config->name, replica->frame_bytes_max);
    return ORD_ERR_INVALID;
}

static enum ord_err make_buffers(struct replica *replica) {
    const struct channel_config *config = replica->channel_config;
    replica->peer_count = config->replica_count;
    replica->peers = calloc(config->replica_count, sizeof(*replica->peers));
    replica->batch_buffer = malloc(config->batch_bytes_max);
    replica->batch_entries = calloc(CHANNEL_BATCH_ENVELOPES_MAX, sizeof(struct pool_entry *));
    replica->record_buffer = malloc(RECORD_OPEN_SIZE(config->max_message_count));
    replica->sync.leaf_max = config->max_message_count + HEADER_LEAVES_SLACK;
    replica->sync.leaves = calloc(replica->sync.leaf_max, sizeof(*replica->sync.leaves));
    if (replica->peers == NULL || replica->batch_buffer == NULL || replica->batch_entries == NULL ||
        replica->record_buffer == NULL || replica->sync.leaves == NULL)
        return ORD_ERR_NO_MEMORY;
    enum ord_err err = pool_init(&replica->pool, replica->config.pool_envelopes_max, replica->config.pool_bytes_max,
                                 replica->config.client_envelopes_max, config->clients_max);
    if (err == ORD_OK)
        err = admission_init(replica);
    if (err == ORD_OK)
        err = crypto_pool_create(&replica->vote_pool, 1, JOBS_MAX);
    if (err == ORD_OK)
        err = crypto_pool_create(&replica->view_pool, 1, JOBS_MAX);
    if (err == ORD_OK)
        err = crypto_pool_create(&replica->judge_pool, replica->config.verify_threads, JOBS_MAX);
    if (err == ORD_OK)
        err = crypto_pool_create(&replica->client_pool, replica->config.verify_threads, JOBS_MAX);
    return err;
}

static enum ord_err open_ledger(struct replica *replica, char *why, size_t why_size) {
    struct ledger_options options;
    ledger_options_defaults(&options);
    options.map_bytes_max = replica->config.ledger_map_bytes_max;
    options.disk_reserve_bytes = replica->config.disk_reserve_bytes;
    /* A new view is kept with the view changes that it rests on, in one turn. */
    replica->turn_bytes_max =
        (uint64_t) replica->channel_config->batch_bytes_max * 8 + (16u << 20) +
        (uint64_t) replica->channel_config->replica_count * replica->protocol->message_size_max(&replica->core_config);
    options.turn_bytes_max = replica->turn_bytes_max;
    enum ord_err err = ledger_open(&replica->ledger, replica->config.data_dir, &options);
    if (err == ORD_ERR_BUSY)
        snprintf(why, why_size, "the ledger in %s is in use by another process", replica->config.data_dir);
    else if (err == ORD_ERR_NOT_FOUND)
        snprintf(why, why_size, "data_dir: %s is no folder, and none can be made there", replica->config.data_dir);
    else if (err != ORD_OK)
        snprintf(why, why_size, "cannot open the ledger in %s: %s", replica->config.data_dir, ord_err_text(err));
    return err == ORD_ERR_BUSY ? ORD_ERR_IN_USE : err;
}

static enum ord_err open_server(struct replica *replica, char *why, size_t why_size) {
    const struct net_tls tls = {replica->tls_ca, replica->tls_cert, replica->tls_key};
    const struct channel_replica *self = &replica->channel_config->replicas[replica->config.replica];
    const struct net_server_options options = {
        .host = replica->config.client_listen_host[0] != 0 ? replica->config.client_listen_host : self->host,
        .port = replica->config.client_listen_port != 0 ? replica->config.client_listen_port : self->client_port,
        .tls = &tls,
        .context_count = replica->config.client_contexts,
        .connection_contexts = (replica->config.client_contexts + 3) / 4,
        .request_bytes_max = (size_t) replica->channel_config->absolute_max_bytes * 2 + REQUEST_BYTES_SLACK,
        .send_timeout_ms = REPLY_TIMEOUT_MS,
        .probe_interval_ms = PROBE_INTERVAL_MS,
        .probes_missed_max = PROBES_MISSED_MAX,
        .on_request = on_request,
        .context = replica,
    };
    enum ord_err err = net_server_open(&replica->server, &options);
    if (err != ORD_OK)
        snprintf(why, why_size, "cannot listen for clients on %s port %u: %s", options.host, options.port,
                 ord_err_text(err));
    return err;
}

enum ord_err replica_create(struct replica **out, const struct node_config *config, char *why, size_t why_size) {
    const struct replica_seam none = {0};
    return replica_create_with(out, config, &none, why, why_size);
}

enum ord_err replica_create_with(struct replica **out, const struct node_config *config,
                                 const struct replica_seam *seam, char *why, size_t why_size) {
    snprintf(why, why_size, "out of memory");
    struct replica *replica = calloc(1, sizeof(*replica));
    if (replica == NULL)
        return ORD_ERR_NO_MEMORY;
    replica->config = *config;
    replica->seam = *seam;
    replica->leader = ORD_NO_NODE;
    replica->now_ms = node_clock_ms();
    replica->started_ms = replica->now_ms;
    replica->wake_at_ms = replica->now_ms;
    replica->commit_due_ms = UINT64_MAX;
    replica->intake_open = true;
    replica->inbox.event_fd = -1;
    node_log_setup(config->log_level, config->replica);
    enum ord_err err = crypto_init();
    if (err == ORD_OK)
        err = inbox_init(&replica->inbox);
    if (err == ORD_OK)
        err = load_files(replica, why, why_size);
    if (err == ORD_OK)
        err = make_core(replica);
    if (err == ORD_OK)
        err = size_links(replica, why, why_size);
    if (err == ORD_OK)
        err = make_buffers(replica);
    if (err == ORD_OK)
        err = open_ledger(replica, why, why_size);
    if (err == ORD_OK)
        err = service_start(replica);
    if (err == ORD_OK)
        err = recover_channel(replica, why, why_size);
    if (err == ORD_OK)
        err = recover_core(replica, why, why_size);
    if (err == ORD_OK)
        err = links_open(replica, why, why_size);
    if (err == ORD_OK)
        err = open_server(replica, why, why_size);
    if (err != ORD_OK) {
        replica_destroy(replica);
        return err;
    }
    *out = replica;
    return ORD_OK;
}

uint16_t replica_port(const struct replica *replica) {
    return net_pull_port(replica->pull);
}

uint16_t replica_client_port(const struct replica *replica) {
    return net_server_port(replica->server);
}

static void handle_all(struct replica *replica, struct work *work) {
    while (work != NULL) {
        struct work *next = work->next;
        work->handle(replica, work);
        work = next;
    }
}

/*
 * Work that came after the loop ended: handlers run once more, with the parts still there, so that each frees what it owns. What
 * they change is never committed and never sent.
 */
static void drain(struct replica *replica) {
    struct work *work;
    replica->intake_open = false;
    while ((work = replica_take_work(replica, 0)) != NULL)
        handle_all(replica, work);
    crypto_pool_destroy(replica->vote_pool);
    crypto_pool_destroy(replica->view_pool);
    crypto_pool_destroy(replica->judge_pool);
    crypto_pool_destroy(replica->client_pool);
    replica->vote_pool = replica->view_pool = replica->judge_pool = replica->client_pool = NULL;
    while ((work = inbox_take(&replica->inbox, 0)) != NULL)
        handle_all(replica, work);
    handle_all(replica, inbox_close(&replica->inbox));
}

void replica_destroy(struct replica *replica) {
    if (replica == NULL)
        return;
    links_close(replica);
    if (replica->service.running)
        drain(replica);
    crypto_pool_destroy(replica->vote_pool);
    crypto_pool_destroy(replica->view_pool);
    crypto_pool_destroy(replica->judge_pool);
    crypto_pool_destroy(replica->client_pool);
    service_stop(replica);
    if (replica->server != NULL)
        net_server_close(replica->server);
    links_close(replica);
    ledger_close(replica->ledger);
    judge_deinit(replica);
    pool_deinit(&replica->pool);
    shares_deinit(&replica->checks);
    if (replica->inbox.event_fd >= 0)
        inbox_deinit(&replica->inbox);
    crypto_wipe(&replica->key, sizeof(replica->key));
    if (replica->tls_key != NULL)
        crypto_wipe(replica->tls_key, CRYPTO_PEM_MAX);
    free(replica->attest.collector);
    free(replica->attest.history);
    free(replica->core_memory);
    free(replica->channel_memory);
    free(replica->channel_config);
    free(replica->genesis_file);
    free(replica->peers);
    free(replica->batch_buffer);
    free(replica->batch_entries);
    free(replica->record_buffer);
    free(replica->sync.leaves);
    free(replica->tls_ca);
    free(replica->tls_cert);
    free(replica->tls_key);
    free(replica);
}
