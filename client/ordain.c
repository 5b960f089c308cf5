/* Opens and closes a client. Also the calls of the public header that are passed on to the engine. */
#include "client/ordain.h"

#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/engine.h"
#include "client/flow/call.h"
#include "client/flow/text.h"
#include "crypto/hash.h"

void ordain_options_init(struct ordain_options *options) {
    memset(options, 0, sizeof(*options));
    options->replica = ORDAIN_ANY_REPLICA;
}

/* Wipes and frees the text of a secret file. */
static void secret_free(char *text) {
    if (text == NULL)
        return;
    crypto_wipe(text, strlen(text));
    free(text);
}

static enum ord_err load_identity(struct ordain *client, char *why, size_t why_size) {
    char *key = NULL;
    char *cert = NULL;
    size_t size = 0;
    struct ord_public_key public_key;
    struct crypto_identity identity;
    enum ord_err err = client_read_secret(&key, &size, client->config.identity_key, why, why_size);
    if (err != ORD_OK)
        goto out;
    err = crypto_private_key_load(&client->key, key);
    if (err != ORD_OK) {
        client_say(why, why_size, "%s: not a private key on secp256k1 in PEM", client->config.identity_key);
        goto out;
    }
    err = client_read_file(&cert, &size, client->config.identity_cert, CRYPTO_PEM_MAX - 1, why, why_size);
    if (err != ORD_OK)
        goto out;
    client->cert_size = sizeof(client->cert_der);
    err = crypto_cert_der(client->cert_der, &client->cert_size, cert);
    if (err == ORD_OK)
        err = crypto_identity_parse(&identity, ord_span_of(client->cert_der, client->cert_size));
    if (err != ORD_OK) {
        client_say(why, why_size, "%s: not an identity certificate in PEM", client->config.identity_cert);
        goto out;
    }
    err = crypto_public_key(&public_key, &client->key);
    if (err == ORD_OK && memcmp(public_key.bytes, identity.key.bytes, sizeof(public_key.bytes)) != 0)
        err = ORD_ERR_MISMATCH;
    if (err != ORD_OK) {
        client_say(why, why_size, "%s and %s do not belong together", client->config.identity_key,
                   client->config.identity_cert);
        err = ORD_ERR_INVALID;
        goto out;
    }
    crypto_cert_fingerprint(&client->fingerprint, ord_span_of(client->cert_der, client->cert_size));
out:
    secret_free(key);
    free(cert);
    return err;
}

static enum ord_err load_genesis(struct ordain *client, const struct ordain_options *options, char *why,
                                 size_t why_size) {
    struct client_config *config = &client->config;
    enum ord_err err = client_read_file(&client->genesis, &client->genesis_size, config->genesis,
                                        CLIENT_GENESIS_BYTES_MAX, why, why_size);
    if (err != ORD_OK)
        return err;
    err = client_trust_init(&client->trust, ord_span_of(client->genesis, client->genesis_size));
    if (err != ORD_OK) {
        client_say(why, why_size, "%s: not a genesis block: %s", config->genesis, ord_err_text(err));
        return ORD_ERR_INVALID;
    }
    const char *wanted = options->channel != NULL ? options->channel : config->channel;
    if (strcmp(wanted, client->trust.config.name) != 0) {
        client_say(why, why_size, "unknown channel \"%s\": the genesis block %s is of channel \"%s\"", wanted,
                   config->genesis, client->trust.config.name);
        return ORD_ERR_INVALID;
    }
    client_say(config->channel, sizeof(config->channel), "%s", client->trust.config.name);
    uint32_t count = client->trust.config.replica_count;
    if (config->replica_count != 0 && config->replica_count != count) {
        client_say(why, why_size, "%s has %u addresses in replicas, but the channel has %u replicas",
                   options->config_file, config->replica_count, count);
        return ORD_ERR_INVALID;
    }
    if (options->replica != ORDAIN_ANY_REPLICA && (options->replica < 0 || (uint32_t) options->replica >= count)) {
        client_say(why, why_size, "there is no replica %d: the channel's are 0 to %u", options->replica, count - 1);
        return ORD_ERR_INVALID;
    }
    return ORD_OK;
}

static enum ord_err connect(struct ordain *client, const struct ordain_options *options, char *why, size_t why_size) {
    struct client_config *config = &client->config;
    char *cert = NULL;
    char *key = NULL;
    size_t size = 0;
    enum ord_err err = client_read_file(&cert, &size, config->tls_cert, CRYPTO_PEM_MAX - 1, why, why_size);
    if (err == ORD_OK)
        err = client_read_secret(&key, &size, config->tls_key, why, why_size);
    if (err == ORD_OK) {
        const struct client_pair pair = {.cert_pem = cert, .key_pem = key};
        char reason[NET_WHY_MAX];
        err = client_pair_check(&pair, &client->trust.config, reason);
        if (err != ORD_OK)
            client_say(why, why_size, "%s: not a certificate that the replicas of channel %s take: %s",
                       config->tls_cert, config->channel, reason);
        else
            err = client_replicas_open(&client->replicas, &client->trust.config,
                                       config->replica_count != 0 ? config->replicas : NULL, options->replica, &pair,
                                       config->in_flight_max + ENGINE_CALLS_RESERVED, why, why_size);
    }
    free(cert);
    secret_free(key);
    return err;
}

static void client_free(struct ordain *client) {
    if (client == NULL)
        return;
    crypto_wipe(&client->key, sizeof(client->key));
    free(client->genesis);
    free(client);
}

enum ordain_error ordain_open(struct ordain **out, const struct ordain_options *options, char *why, size_t why_size) {
    char sentence[ORDAIN_TEXT_SIZE + CLIENT_PATH_MAX] = "";
    struct ordain *client = NULL;
    *out = NULL;
    enum ord_err err = crypto_init();
    if (err == ORD_OK) {
        client = calloc(1, sizeof(*client));
        err = client == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
    }
    if (err != ORD_OK)
        goto out;
    client->receipts = options->receipts;
    err = client_config_load(&client->config, options->config_file, sentence, sizeof(sentence));
    if (err == ORD_OK)
        err = load_genesis(client, options, sentence, sizeof(sentence));
    if (err == ORD_OK)
        err = load_identity(client, sentence, sizeof(sentence));
    if (err != ORD_OK)
        goto out;
    if (pthread_mutex_init(&client->prepare_lock, NULL) != 0) {
        err = ORD_ERR_NO_MEMORY;
        goto out;
    }
    err = connect(client, options, sentence, sizeof(sentence));
    if (err != ORD_OK)
        pthread_mutex_destroy(&client->prepare_lock);
out:
    if (err == ORD_OK) {
        *out = client;
        return ORDAIN_OK;
    }
    client_say(why, why_size, "%s", sentence[0] != '\0' ? sentence : ord_err_text(err));
    client_free(client);
    return client_error(err);
}

void ordain_close(struct ordain *client) {
    if (client == NULL)
        return;
    struct client_engine *engine = atomic_load(&client->engine);
    if (engine != NULL)
        client_engine_stop(engine);
    client_replicas_close(&client->replicas);
    if (engine != NULL)
        client_engine_destroy(engine);
    pthread_mutex_destroy(&client->prepare_lock);
    client_free(client);
}

void ordain_channel(const struct ordain *client, struct ordain_channel *out) {
    const struct channel_config *config = &client->trust.config;
    memset(out, 0, sizeof(*out));
    client_say(out->name, sizeof(out->name), "%s", config->name);
    client_say(out->consensus, sizeof(out->consensus), "%s", channel_consensus_name(config->consensus));
    memcpy(out->genesis_hash, client->trust.genesis_hash.bytes, ORDAIN_HASH_SIZE);
    out->replica_count = config->replica_count;
    out->liars_max = channel_liars_max(config);
    out->certificate_quorum = client->trust.quorum;
    out->envelope_bytes_max = config->absolute_max_bytes;
    out->transactions_max = config->max_message_count;
}

void ordain_fingerprint(const struct ordain *client, uint8_t out[ORDAIN_HASH_SIZE]) {
    memcpy(out, client->fingerprint.bytes, ORDAIN_HASH_SIZE);
}

const char *ordain_replica_address(const struct ordain *client, uint32_t replica) {
    return replica < client->replicas.count ? client->replicas.list[replica].name : NULL;
}

bool ordain_replica_suspect(struct ordain *client, uint32_t replica, char *why, size_t why_size) {
    if (replica >= client->replicas.count)
        return false;
    pthread_mutex_lock(&client->replicas.lock);
    bool suspect = client->replicas.list[replica].suspect;
    client_say(why, why_size, "%s", client->replicas.list[replica].suspicion);
    pthread_mutex_unlock(&client->replicas.lock);
    return suspect;
}

void ordain_replica_says(struct ordain *client, uint32_t replica, char *out, size_t out_size) {
    char words[ORDAIN_TEXT_SIZE];
    char why[NET_WHY_MAX] = "";
    if (!client_replica_used(&client->replicas, replica)) {
        client_say(out, out_size, "not asked");
        return;
    }
    client_answers_say(&client->replicas.answers, replica, client_now_us(), words, sizeof(words));
    bool up = client_replica_up(&client->replicas, replica);
    if (!up)
        client_replica_silence(&client->replicas, replica, why, sizeof(why));
    client_say(out, out_size, "%s%s%s", why, up ? "" : "; ", words);
}

enum ordain_error ordain_prepare(struct ordain *client, uint32_t timeout_ms, char *why, size_t why_size) {
    struct client_standing standing;
    struct client_engine *engine = NULL;
    enum ordain_error error = ORDAIN_OK;
    pthread_mutex_lock(&client->prepare_lock);
    if (atomic_load(&client->engine) == NULL) {
        error = client_register(client, &standing, timeout_ms, why, why_size);
        if (error == ORDAIN_OK)
            error = client_error(client_engine_create(&engine, client, &standing));
        if (error == ORDAIN_OK)
            atomic_store(&client->engine, engine);
    }
    pthread_mutex_unlock(&client->prepare_lock);
    return error;
}

/* Reports what every replica would refuse, before it costs a signature. The genesis block sets the limits. */
static enum ordain_error check_limits(const struct ordain *client, const struct ordain_bytes *transactions,
                                      uint32_t count) {
    const struct channel_config *config = &client->trust.config;
    if (count == 0)
        return ORDAIN_INVALID;
    if (count > config->max_message_count)
        return ORDAIN_TOO_LARGE;
    uint64_t size = CHANNEL_ENVELOPE_OVERHEAD;
    for (uint32_t i = 0; i < count; i++) {
        if (transactions[i].data == NULL && transactions[i].size > 0)
            return ORDAIN_INVALID;
        if (transactions[i].size > config->absolute_max_bytes)
            return ORDAIN_TOO_LARGE;
        size += sizeof(uint32_t) + transactions[i].size;
    }
    return size > config->absolute_max_bytes ? ORDAIN_TOO_LARGE : ORDAIN_OK;
}

enum ordain_error ordain_submit(struct ordain *client, const struct ordain_bytes *transactions, uint32_t count,
                                ordain_event_fn on_event, void *context, uint32_t timeout_ms) {
    enum ordain_error error = check_limits(client, transactions, count);
    if (error != ORDAIN_OK)
        return error;
    struct client_engine *engine = atomic_load(&client->engine);
    if (engine == NULL) {
        error = ordain_prepare(client, timeout_ms, NULL, 0);
        if (error != ORDAIN_OK)
            return error;
        engine = atomic_load(&client->engine);
    }
    return client_engine_submit(engine, transactions, count, on_event, context, timeout_ms);
}

enum ordain_error ordain_drain_accepted(struct ordain *client, uint32_t timeout_ms) {
    struct client_engine *engine = atomic_load(&client->engine);
    return engine == NULL ? ORDAIN_OK : client_engine_drain(engine, false, timeout_ms);
}

enum ordain_error ordain_drain_final(struct ordain *client, uint32_t timeout_ms) {
    struct client_engine *engine = atomic_load(&client->engine);
    return engine == NULL ? ORDAIN_OK : client_engine_drain(engine, true, timeout_ms);
}

void ordain_statistics(struct ordain *client, struct ordain_statistics *out) {
    struct client_engine *engine = atomic_load(&client->engine);
    memset(out, 0, sizeof(*out));
    if (engine != NULL)
        client_engine_statistics(engine, out);
}

/* ---- One transaction, synchronously ----------------------------------------------------------------------------- */

/* Shared by the waiting caller and the event callback; the last of the two frees it. */
struct order {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    uint32_t references;
    bool over;
    enum ordain_error error;
    char words[256];
    uint8_t *receipt;
    size_t receipt_size;
};

static void order_release(struct order *order) {
    pthread_mutex_lock(&order->lock);
    bool last = --order->references == 0;
    pthread_mutex_unlock(&order->lock);
    if (!last)
        return;
    pthread_cond_destroy(&order->ended);
    pthread_mutex_destroy(&order->lock);
    free(order->receipt);
    free(order);
}

static void on_order(void *context, const struct ordain_event *event) {
    struct order *order = context;
    if (event->kind == ORDAIN_EVENT_ACCEPTED)
        return;
    pthread_mutex_lock(&order->lock);
    order->over = true;
    order->error = event->kind == ORDAIN_EVENT_FINAL ? ORDAIN_OK : event->error;
    client_say(order->words, sizeof(order->words), "%s", event->message);
    if (event->receipt.data != NULL) {
        order->receipt = malloc(event->receipt.size);
        if (order->receipt != NULL) {
            memcpy(order->receipt, event->receipt.data, event->receipt.size);
            order->receipt_size = event->receipt.size;
        }
    }
    pthread_cond_signal(&order->ended);
    pthread_mutex_unlock(&order->lock);
    order_release(order);
}

static struct order *order_create(void) {
    struct order *order = calloc(1, sizeof(*order));
    if (order == NULL)
        return NULL;
    order->references = 2;
    if (client_lock_init(&order->lock, &order->ended) == ORD_OK)
        return order;
    free(order);
    return NULL;
}

enum ordain_error ordain_order(struct ordain *client, struct ordain_bytes transaction, uint8_t **receipt,
                               size_t *receipt_size, uint32_t timeout_ms, char *why, size_t why_size) {
    if (receipt != NULL && (!client->receipts || receipt_size == NULL)) {
        client_say(why, why_size, "the client was not opened with options.receipts");
        return ORDAIN_INVALID;
    }
    uint64_t deadline = client_now_us() + (uint64_t) timeout_ms * 1000u;
    enum ordain_error error = ordain_prepare(client, timeout_ms, why, why_size);
    if (error != ORDAIN_OK)
        return error;
    struct order *order = order_create();
    if (order == NULL)
        return ORDAIN_NO_MEMORY;
    error = ordain_submit(client, &transaction, 1, on_order, order, timeout_ms);
    if (error != ORDAIN_OK) {
        client_say(why, why_size, "%s", ordain_error_name(error));
        order->references = 1; /* no event will come */
        order_release(order);
        return error;
    }
    pthread_mutex_lock(&order->lock);
    while (!order->over && client_now_us() < deadline)
        client_cond_wait(&order->ended, &order->lock, deadline);
    error = order->over ? order->error : ORDAIN_TIMEOUT;
    client_say(why, why_size, "%s", order->over ? order->words : "no receipt in time; it may become final later");
    if (error == ORDAIN_OK && receipt != NULL) {
        *receipt = order->receipt;
        *receipt_size = order->receipt_size;
        error = order->receipt == NULL ? ORDAIN_NO_MEMORY : ORDAIN_OK;
        order->receipt = NULL;
    }
    pthread_mutex_unlock(&order->lock);
    order_release(order);
    return error;
}
