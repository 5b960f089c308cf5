/*
 * Making and unmaking a replica's process. Keys and genesis block are checked against each other before anything is
 * opened. The ledger is opened next, and the network last.
 */
#include "node/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/hash.h"
#include "node/bound.h"
#include "node/log.h"
#include "node/node_internal.h"

enum { FILE_BYTES_MAX = CHANNEL_CONFIG_BYTES_MAX + (64 << 10) };

/* ---- files ---- */

static enum ord_err load_genesis(struct node *node, char *why, size_t why_size) {
    size_t size;
    enum ord_err err =
        node_read_file(&node->genesis_file, &size, node->config.genesis_file, FILE_BYTES_MAX, why, why_size);
    if (err != ORD_OK)
        return err;
    err = channel_genesis_open(node->channel_config, &node->genesis_hash, &node->genesis_header, &node->genesis_data,
                               ord_span_of(node->genesis_file, size));
    if (err != ORD_OK)
        return node_explain(why, why_size, err, "%s is not a genesis block that this version can run: %s",
                            node->config.genesis_file, ord_err_text(err));
    if (node->config.replica < node->channel_config->replica_count)
        return ORD_OK;
    return node_explain(why, why_size, ORD_ERR_INVALID,
                        "replica = %" PRIu32 ", but channel %s has %" PRIu32 " replicas", node->config.replica,
                        node->channel_config->name, node->channel_config->replica_count);
}

static enum ord_err load_identity(struct node *node, char *why, size_t why_size) {
    char pem[CRYPTO_PEM_MAX];
    struct ord_public_key public_key;
    enum ord_err err = node_read_secret(pem, sizeof(pem), node->config.identity_key_file, why, why_size);
    if (err != ORD_OK)
        return err;
    err = crypto_private_key_load(&node->key, pem);
    crypto_wipe(pem, sizeof(pem));
    if (err == ORD_OK)
        err = crypto_public_key(&public_key, &node->key);
    if (err != ORD_OK)
        return node_explain(why, why_size, err, "%s is not a secp256k1 private key", node->config.identity_key_file);
    const struct channel_replica *self = &node->channel_config->replicas[node->config.replica];
    if (memcmp(public_key.bytes, self->key.bytes, ORD_PUBLIC_KEY_SIZE) == 0)
        return ORD_OK;
    return node_explain(why, why_size, ORD_ERR_MISMATCH,
                        "%s is not the key of replica %" PRIu32 " in the genesis block", node->config.identity_key_file,
                        node->config.replica);
}

static enum ord_err load_text(char **out, const char *path, char *why, size_t why_size) {
    uint8_t *bytes = NULL;
    size_t size;
    enum ord_err err = node_read_file(&bytes, &size, path, FILE_BYTES_MAX, why, why_size);
    *out = (char *) bytes;
    return err;
}

/* Checks that the other replicas and the clients will take our TLS certificate for this replica's. */
static enum ord_err check_certificate(struct node *node, char *why, size_t why_size) {
    struct node_dial self;
    char reason[NET_WHY_MAX] = "";
    enum ord_err err = node_dial_init(&self, node->channel_config, node->config.replica, node->tls_cert, node->tls_key);
    if (err == ORD_OK)
        err = net_tls_own_check(reason, &self.tls, &self.rules, true);
    if (err == ORD_OK)
        err = net_tls_own_check(reason, &self.tls, &self.rules, false);
    if (err == ORD_ERR_INVALID)
        return node_explain(why, why_size, err, "%s is no certificate of replica %" PRIu32 " (\"%s\" of %s): %s",
                            node->config.tls_cert_file, node->config.replica, self.rules.name, self.rules.organisation,
                            reason);
    return err;
}

static enum ord_err load_files(struct node *node, char *why, size_t why_size) {
    node->channel_config = calloc(1, sizeof(*node->channel_config));
    if (node->channel_config == NULL)
        return ORD_ERR_NO_MEMORY;
    enum ord_err err = load_genesis(node, why, why_size);
    if (err == ORD_OK)
        err = load_identity(node, why, why_size);
    if (err == ORD_OK)
        err = node_read_secret(node->tls_key, sizeof(node->tls_key), node->config.tls_key_file, why, why_size);
    if (err == ORD_OK)
        err = load_text(&node->tls_cert, node->config.tls_cert_file, why, why_size);
    if (err != ORD_OK)
        return err;
    /* Each file may be sound by itself, and still every handshake would fail: check that they belong together. */
    err = crypto_pair_check(node->tls_cert, node->tls_key);
    if (err != ORD_OK)
        return node_explain(why, why_size, err, "%s is not the key of the certificate %s", node->config.tls_key_file,
                            node->config.tls_cert_file);
    err = node_trust_all(&node->tls_ca, node->channel_config);
    if (err == ORD_OK)
        err = check_certificate(node, why, why_size);
    return err != ORD_OK ? err : expiry_init(&node->expiry, node->channel_config, node->tls_cert);
}

/* ---- parts ---- */

static enum ord_err open_ledger(struct node *node, uint64_t turn_bytes_max, char *why, size_t why_size) {
    struct ledger_options options;
    ledger_options_defaults(&options);
    options.map_bytes_max = node->config.ledger_map_bytes_max;
    options.disk_reserve_bytes = node->config.disk_reserve_bytes;
    options.turn_bytes_max = turn_bytes_max;
    uint32_t version = 0;
    char text[LEDGER_VERSION_TEXT_MAX];
    options.found_version = &version;
    enum ord_err err = ledger_open(&node->ledger, node->config.data_dir, &options);
    if (err == ORD_ERR_BUSY)
        snprintf(why, why_size, "the ledger in %s is in use by another process", node->config.data_dir);
    else if (err == ORD_ERR_NOT_FOUND)
        snprintf(why, why_size, "data_dir: %s is no folder, and none can be made there", node->config.data_dir);
    else if (err == ORD_ERR_UNSUPPORTED) {
        ledger_explain_version(text, sizeof(text), version);
        snprintf(why, why_size, "the ledger in %s was %s", node->config.data_dir, text);
    } else if (err != ORD_OK)
        snprintf(why, why_size, "cannot open the ledger in %s: %s", node->config.data_dir, ord_err_text(err));
    return err == ORD_ERR_BUSY ? ORD_ERR_IN_USE : err;
}

static bool verify_envelope(const void *context, const struct crypto_verify_key *key, const struct ord_hash *hash,
                            const struct ord_signature *signature) {
    (void) context;
    return crypto_verify(key, hash, signature);
}

static void log_event(void *context, enum replica_log_level level, const char *event, const char *format,
                      va_list arguments) {
    static const enum node_log_level levels[] = {
        [REPLICA_LOG_ERROR] = NODE_LOG_ERROR,
        [REPLICA_LOG_WARN] = NODE_LOG_WARN,
        [REPLICA_LOG_INFO] = NODE_LOG_INFO,
        [REPLICA_LOG_DEBUG] = NODE_LOG_DEBUG,
    };
    (void) context;
    node_log_list(levels[level], event, format, arguments);
}

static enum ord_err fill_options(struct node *node, struct replica_options *out) {
    *out = (struct replica_options) {
        .config = node->channel_config,
        .genesis_hash = &node->genesis_hash,
        .genesis_header = &node->genesis_header,
        .genesis_data = node->genesis_data,
        .self = node->config.replica,
        .protocol = node->seam.protocol,
        .crypto = &node->crypto,
        .verifier = {.verify = verify_envelope},
        .pool_envelopes_max = node->config.pool_envelopes_max,
        .pool_bytes_max = node->config.pool_bytes_max,
        .client_envelopes_max = node->config.client_envelopes_max,
        .sources_max = node->config.client_contexts,
        .ledger_name = node->config.data_dir,
        .genesis_name = node->config.genesis_file,
        .host = {.context = node,
                 .next = node_next,
                 .send = links_send,
                 .connected = links_connected,
                 .check = checks_begin,
                 .hold = links_hold,
                 .release = links_release,
                 .answer = submit_answer,
                 .certified = service_certified,
                 .certificate = service_certificate,
                 .log = log_event},
    };
    /* The store is the ledger, call by call. The ledger itself is set when it is open. */
    out->host.store = (struct replica_store) {
        .put_block = ledger_put_block,
        .put_index = ledger_put_index,
        .put_certificate = ledger_put_certificate,
        .put_client = ledger_put_client,
        .put_meta = ledger_put_meta,
        .put_record = ledger_put_record,
        .forget = ledger_forget,
        .forget_after = ledger_forget_after,
        .dirty = ledger_dirty,
        .turn_bytes = ledger_turn_bytes,
        .commit = ledger_commit,
        .get_block = ledger_get_block,
        .get_headers = ledger_get_headers,
        .get_client = ledger_get_client,
        .get_meta = ledger_get_meta,
        .get_record = ledger_get_record,
        .get_records = ledger_get_records,
        .height = ledger_height,
    };
    crypto_signer_init(&out->signer, &node->key);
    enum ord_err err = channel_replica_keys(&node->keys, node->channel_config);
    crypto_ops_init(&node->crypto, &node->keys);
    /*
     * A new seed at each start: what others say to this life of the core must not be mistaken for what they said to an
     * earlier one.
     */
    return err == ORD_OK ? crypto_random(&out->seed, sizeof(out->seed)) : err;
}

/* Makes the parts that the replica needs, and then the replica. */
static enum ord_err make_replica(struct node *node, char *why, size_t why_size) {
    struct replica_options options;
    enum ord_err err = fill_options(node, &options);
    if (err != ORD_OK)
        return err;
    size_t message_bytes_max = replica_message_bytes_max(&options);
    options.turn_bytes_max = replica_turn_bytes_max(&options);
    node->turn_bytes_max = options.turn_bytes_max;
    if (message_bytes_max == 0 || options.turn_bytes_max == 0)
        return node_explain(why, why_size, ORD_ERR_INVALID, "%s: %s cannot run this configuration",
                            node->config.genesis_file, replica_protocol(node->channel_config)->name);
    err = links_init(node, message_bytes_max, why, why_size);
    if (err == ORD_OK)
        err = checks_open(node);
    if (err == ORD_OK)
        err = open_ledger(node, options.turn_bytes_max, why, why_size);
    if (err == ORD_OK)
        err = service_start(node);
    if (err != ORD_OK)
        return err;
    options.message_bytes_max = links_message_bytes_max(&node->links);
    options.host.store.ledger = node->ledger;
    return replica_create(&node->replica, &options, &node->time, why, why_size);
}

enum ord_err node_create(struct node **out, const struct node_config *config, char *why, size_t why_size) {
    const struct node_seam none = {0};
    return node_create_with(out, config, &none, why, why_size);
}

enum ord_err node_create_with(struct node **out, const struct node_config *config, const struct node_seam *seam,
                              char *why, size_t why_size) {
    snprintf(why, why_size, "out of memory");
    struct node *node = calloc(1, sizeof(*node));
    enum ord_err err = node == NULL ? ORD_ERR_NO_MEMORY : inbox_init(&node->inbox);
    if (err != ORD_OK) {
        free(node);
        return err;
    }
    handshakes_init(&node->handshakes);
    node->config = *config;
    node->seam = *seam;
    node->started_ms = node_clock_ms();
    node->time = (struct replica_time) {.now_ms = node->started_ms, .wall_s = (int64_t) time(NULL), .room = true};
    node_log_setup(config->log_level, config->replica);
    err = crypto_init();
    if (err == ORD_OK)
        err = load_files(node, why, why_size);
    if (err == ORD_OK)
        err = make_replica(node, why, why_size);
    if (err == ORD_OK)
        err = links_open(node, why, why_size);
    if (err == ORD_OK)
        err = requests_open(node, why, why_size);
    crypto_wipe(node->tls_key, sizeof(node->tls_key)); /* OpenSSL has it now */
    if (err != ORD_OK) {
        node_destroy(node);
        return err;
    }
    struct node_bound bound;
    node_bound_of(&bound, node);
    node_bound_log(&bound);
    (void) expiry_tick(&node->expiry, node->time.wall_s);
    *out = node;
    return ORD_OK;
}

uint16_t node_port(const struct node *node) {
    return net_pull_port(node->links.pull);
}

uint16_t node_client_port(const struct node *node) {
    return net_server_port(node->server);
}

/* ---- unmaking ---- */

void node_discard(struct node *node, struct work *work) {
    while (work != NULL) {
        struct work *next = work->next;
        switch (work->type) {
        case WORK_FRAME:
            links_release(node, work);
            break;
        case WORK_CHECK:
            replica_check_drop(node->replica, checks_end(node, work));
            break;
        case WORK_REQUEST:
            api_reply_stopping((struct api_request *) work);
            break;
        }
        work = next;
    }
}

/*
 * Disposes of the work that came after the loop ended, and of the work that the loop left. Each piece frees what it
 * owns, and each client gets an answer. The links are closed already, the pools give back what they have, and the
 * reader thread still answers.
 */
static void drain(struct node *node) {
    atomic_store(&node->unmaking, true);
    node_discard(node, node->inputs.head);
    node->inputs.head = NULL;
    for (uint32_t i = 0; i < ORD_REPLICA_MAX; i++) {
        node_discard(node, node->bulk[i].head);
        node->bulk[i].head = NULL;
    }
    checks_close(node);
    node_discard(node, inbox_close(&node->inbox));
}

/* The endpoint closes late, so that clients are told until then that the replica is stopping. */
void node_destroy(struct node *node) {
    if (node == NULL)
        return;
    links_close(node);
    drain(node);
    replica_destroy(node->replica);
    service_stop(node);
    net_server_close(node->server);
    ledger_close(node->ledger);
    links_deinit(node);
    inbox_deinit(&node->inbox);
    handshakes_deinit(&node->handshakes);
    crypto_wipe(&node->key, sizeof(node->key));
    crypto_wipe(node->tls_key, sizeof(node->tls_key));
    free(node->channel_config);
    free(node->genesis_file);
    free(node->tls_ca);
    free(node->tls_cert);
    free(node);
}
