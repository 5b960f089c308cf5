/* Connections, and questions to one or all replicas. The questions block the caller. */
#include "client/replicas.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/flow/text.h"
#include "core/assert.h"

#define RECONNECT_MS_MAX 500u
#define CONNECT_POLL_US  5000u

uint64_t client_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000u + (uint64_t) now.tv_nsec / 1000u;
}

enum ord_err client_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return ORD_ERR_NO_MEMORY;
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 && pthread_cond_init(cond, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return ok ? ORD_OK : ORD_ERR_NO_MEMORY;
}

enum ord_err client_lock_init(pthread_mutex_t *lock, pthread_cond_t *cond) {
    if (pthread_mutex_init(lock, NULL) != 0)
        return ORD_ERR_NO_MEMORY;
    enum ord_err err = client_cond_init(cond);
    if (err != ORD_OK)
        pthread_mutex_destroy(lock);
    return err;
}

void client_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t at_us) {
    if (at_us == UINT64_MAX) {
        pthread_cond_wait(cond, lock);
        return;
    }
    struct timespec at = {.tv_sec = (time_t) (at_us / 1000000u), .tv_nsec = (long) (at_us % 1000000u) * 1000};
    pthread_cond_timedwait(cond, lock, &at);
}

void client_pause_us(uint64_t us) {
    struct timespec pause = {.tv_sec = (time_t) (us / 1000000u), .tv_nsec = (long) (us % 1000000u) * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/*
 * Largest reply. A reply holds at most one block that exceeds the usual bound, so this adds the largest block of this
 * channel.
 */
static size_t reply_bytes_max(const struct channel_config *config) {
    size_t block = config->preferred_max_bytes > config->absolute_max_bytes ? config->preferred_max_bytes
                                                                            : config->absolute_max_bytes;
    size_t bound = block + CLIENT_SUBMIT_BYTES_MAX;
    if (bound > CLIENT_REPLY_BYTES_MAX + CLIENT_SUBMIT_BYTES_MAX)
        bound = CLIENT_REPLY_BYTES_MAX + CLIENT_SUBMIT_BYTES_MAX;
    return bound > CLIENT_REPLY_BYTES_MAX ? bound : CLIENT_REPLY_BYTES_MAX;
}

/* TLS towards one replica. `tls` points into the struct. */
struct dial {
    struct net_tls tls;
    struct net_tls_rules rules;
    char ca_pem[CRYPTO_PEM_MAX];
};

static enum ord_err dial_init(struct dial *out, const struct channel_config *config, uint32_t replica,
                              const struct client_pair *pair) {
    const struct channel_replica *to = &config->replicas[replica];
    const struct channel_org *org = &config->orgs[to->org_index];
    out->tls = (struct net_tls) {.ca_pem = out->ca_pem, .cert_pem = pair->cert_pem, .key_pem = pair->key_pem};
    net_tls_rules_set(&out->rules, "replica", org->name, to->name);
    return crypto_cert_pem(out->ca_pem, ord_span_of(org->ca_der, org->ca_der_size));
}

enum ord_err client_pair_check(const struct client_pair *pair, const struct channel_config *config,
                               char why[NET_WHY_MAX]) {
    struct net_tls_rules rules;
    char *ca_pem = malloc((size_t) config->org_count * CRYPTO_PEM_MAX);
    enum ord_err err = ca_pem == NULL ? ORD_ERR_NO_MEMORY : channel_ca_pem(ca_pem, config);
    client_say(why, NET_WHY_MAX, "%s", ord_err_text(err));
    if (err == ORD_OK) {
        const struct net_tls tls = {.ca_pem = ca_pem, .cert_pem = pair->cert_pem, .key_pem = pair->key_pem};
        net_tls_rules_set(&rules, "client operator", NULL, NULL);
        err = net_tls_own_check(why, &tls, &rules, false);
    }
    free(ca_pem);
    return err;
}

static enum ord_err open_replica(struct client_replica *replica, const struct channel_config *config, uint32_t index,
                                 const char *host, uint16_t port, const struct client_pair *pair, uint32_t call_max) {
    struct dial dial;
    enum ord_err err = dial_init(&dial, config, index, pair);
    if (err != ORD_OK)
        return err;
    const struct net_client_options options = {
        .host = host,
        .port = port,
        .tls = &dial.tls,
        .rules = dial.rules,
        .reply_bytes_max = reply_bytes_max(config),
        .call_max = call_max,
        .reconnect_ms_max = RECONNECT_MS_MAX,
    };
    return net_client_open(&replica->net, &options);
}

enum ord_err client_replicas_open(struct client_replicas *out, const struct channel_config *config,
                                  const struct client_address *addresses, int pin, const struct client_pair *pair,
                                  uint32_t call_max, char *why, size_t why_size) {
    memset(out, 0, sizeof(*out));
    out->count = config->replica_count;
    out->pin = pin;
    if (pthread_mutex_init(&out->lock, NULL) != 0)
        return ORD_ERR_NO_MEMORY;
    if (client_answers_init(&out->answers) != ORD_OK) {
        pthread_mutex_destroy(&out->lock);
        return ORD_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < out->count; i++) {
        struct client_replica *replica = &out->list[i];
        const char *host = addresses != NULL ? addresses[i].host : config->replicas[i].host;
        uint16_t port = addresses != NULL ? addresses[i].port : config->replicas[i].client_port;
        bool v6 = strchr(host, ':') != NULL;
        client_say(replica->name, sizeof(replica->name), v6 ? "[%s]:%u" : "%s:%u", host, port);
        if (pin != ORDAIN_ANY_REPLICA && pin != (int) i)
            continue;
        enum ord_err err = open_replica(replica, config, i, host, port, pair, call_max);
        if (err != ORD_OK) {
            replica->net = NULL;
            client_say(why, why_size, "cannot connect to %s: %s (certificate, key or address)", replica->name,
                       ord_err_text(err));
            client_replicas_close(out);
            return err;
        }
    }
    return ORD_OK;
}

void client_replicas_close(struct client_replicas *replicas) {
    for (uint32_t i = 0; i < replicas->count; i++)
        if (replicas->list[i].net != NULL)
            net_client_close(replicas->list[i].net);
    pthread_mutex_destroy(&replicas->lock);
    client_answers_deinit(&replicas->answers);
    memset(replicas, 0, sizeof(*replicas));
}

bool client_replica_up(const struct client_replicas *replicas, uint32_t replica) {
    return client_replica_used(replicas, replica) && net_client_up(replicas->list[replica].net);
}

uint32_t client_replicas_used(const struct client_replicas *replicas) {
    return replicas->pin == ORDAIN_ANY_REPLICA ? replicas->count : 1;
}

void client_replica_silence(const struct client_replicas *replicas, uint32_t replica, char *out, size_t out_size) {
    struct net_failure failure;
    bool failed = net_client_failure(replicas->list[replica].net, &failure);
    client_say(out, out_size, "%s", failed && failure.why[0] != '\0' ? failure.why : "no connection");
}

void client_replicas_silence(const struct client_replicas *replicas, char *out, size_t out_size) {
    uint32_t first = replicas->pin == ORDAIN_ANY_REPLICA ? 0 : (uint32_t) replicas->pin;
    char why[NET_WHY_MAX] = "connected, but silent";
    if (!client_replica_up(replicas, first))
        client_replica_silence(replicas, first, why, sizeof(why));
    if (replicas->pin == ORDAIN_ANY_REPLICA)
        client_say(out, out_size, "none of the %u replicas answers (replica 0: %s)", replicas->count, why);
    else
        client_say(out, out_size, "replica %u (%s) does not answer: %s", first, replicas->list[first].name, why);
}

void client_replica_accuse(struct client_replicas *replicas, uint32_t replica, const char *why, ...) {
    va_list arguments;
    va_start(arguments, why);
    pthread_mutex_lock(&replicas->lock);
    struct client_replica *accused = &replicas->list[replica];
    if (!accused->suspect)
        vsnprintf(accused->suspicion, sizeof(accused->suspicion), why, arguments);
    accused->suspect = true;
    pthread_mutex_unlock(&replicas->lock);
    va_end(arguments);
}

static void note(struct client_replicas *replicas, uint32_t replica, enum ord_err err,
                 const client_response *response) {
    if (err == ORD_OK)
        client_answers_note(&replicas->answers, replica, err, (enum engine_status) response->status, response->message);
    else if (err != ORD_ERR_NO_MEMORY)
        client_answers_note(&replicas->answers, replica, err, ENGINE_STATUS_UNSPECIFIED, NULL);
}

static enum ord_err unpack(struct client_replicas *replicas, client_response **out, uint32_t replica,
                           const struct net_message *reply, Ordain__V1__Request__KindCase asked) {
    enum ord_err err = client_response_unpack(out, net_message_bytes(reply), asked);
    if (err != ORD_OK && err != ORD_ERR_NO_MEMORY)
        client_replica_accuse(replicas, replica, "it gave a malformed reply");
    return err;
}

enum ord_err client_ask(struct client_replicas *replicas, client_response **out, uint32_t replica,
                        const client_request *request, uint32_t timeout_ms) {
    *out = NULL;
    if (!client_replica_used(replicas, replica))
        return ORD_ERR_CLOSED;
    struct net_client *net = replicas->list[replica].net;
    struct net_message *message = NULL;
    struct net_message *reply = NULL;
    enum ord_err err = net_client_wait(net, timeout_ms);
    if (err != ORD_OK)
        return ORD_ERR_CLOSED;
    err = client_request_pack(&message, request);
    if (err != ORD_OK)
        return err;
    err = net_client_ask(net, &reply, message, timeout_ms);
    if (err == ORD_OK) {
        err = unpack(replicas, out, replica, reply, request->kind_case);
        net_message_destroy(reply);
    }
    note(replicas, replica, err, *out);
    return err;
}

/*
 * One round of questions. The asking thread and the callbacks of the calls share it, because the calls may outlive the
 * round. The last user frees it.
 */
struct gather {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    uint32_t references;
    struct gather_answer *answers; /* newest first */
};

struct gather_answer {
    struct gather *gather;
    uint32_t replica;
    enum ord_err result;
    struct net_message *reply;
    struct gather_answer *next;
};

static void answer_free(struct gather_answer *answer) {
    net_message_destroy(answer->reply);
    free(answer);
}

static void gather_release(struct gather *gather) {
    pthread_mutex_lock(&gather->lock);
    bool last = --gather->references == 0;
    pthread_mutex_unlock(&gather->lock);
    if (!last)
        return;
    while (gather->answers != NULL) {
        struct gather_answer *answer = gather->answers;
        gather->answers = answer->next;
        answer_free(answer);
    }
    pthread_cond_destroy(&gather->arrived);
    pthread_mutex_destroy(&gather->lock);
    free(gather);
}

static void on_gathered(void *context, enum ord_err result, struct net_message *reply) {
    struct gather_answer *answer = context;
    struct gather *gather = answer->gather;
    answer->result = result;
    answer->reply = result == ORD_OK ? reply : NULL;
    pthread_mutex_lock(&gather->lock);
    answer->next = gather->answers;
    gather->answers = answer;
    pthread_cond_signal(&gather->arrived);
    pthread_mutex_unlock(&gather->lock);
    gather_release(gather);
}

static enum ord_err gather_create(struct gather **out) {
    struct gather *gather = calloc(1, sizeof(*gather));
    if (gather == NULL)
        return ORD_ERR_NO_MEMORY;
    gather->references = 1;
    enum ord_err err = client_lock_init(&gather->lock, &gather->arrived);
    if (err == ORD_OK)
        *out = gather;
    else
        free(gather);
    return err;
}

/* Sends the question to `replica`. False if it could not be sent now. */
static bool gather_ask(struct gather *gather, struct client_replicas *replicas, uint32_t replica,
                       const client_request *request, uint32_t timeout_ms) {
    struct net_message *message = NULL;
    struct gather_answer *answer = calloc(1, sizeof(*answer));
    if (answer == NULL || client_request_pack(&message, request) != ORD_OK) {
        free(answer);
        return false;
    }
    answer->gather = gather;
    answer->replica = replica;
    pthread_mutex_lock(&gather->lock);
    gather->references++;
    pthread_mutex_unlock(&gather->lock);
    if (net_client_call(replicas->list[replica].net, message, timeout_ms, on_gathered, answer) == ORD_OK)
        return true;
    free(answer);
    pthread_mutex_lock(&gather->lock);
    gather->references--; /* the caller's own reference stays */
    pthread_mutex_unlock(&gather->lock);
    return false;
}

static bool take_answer(struct client_replicas *replicas, const struct gather_answer *answer,
                        const client_request *request, client_answer_fn on_answer, void *context) {
    client_response *response = NULL;
    enum ord_err err = answer->result;
    if (err == ORD_OK)
        err = unpack(replicas, &response, answer->replica, answer->reply, request->kind_case);
    note(replicas, answer->replica, err, response);
    bool enough = on_answer(context, answer->replica, err, response);
    client_response_free(response);
    return enough;
}

enum ord_err client_gather(struct client_replicas *replicas, const client_request *request, uint32_t timeout_ms,
                           uint32_t grace_ms, client_answer_fn on_answer, void *context) {
    struct gather *gather = NULL;
    enum ord_err err = gather_create(&gather);
    if (err != ORD_OK)
        return err;
    uint64_t deadline = client_now_us() + (uint64_t) timeout_ms * 1000u;
    bool asked[ORD_REPLICA_MAX] = {false};
    uint32_t asked_count = 0;
    uint32_t answered = 0;
    uint32_t wanted = client_replicas_used(replicas);
    bool enough = false;
    while (answered < wanted) {
        uint64_t now = client_now_us();
        if (now >= deadline)
            break;
        uint32_t left_ms = (uint32_t) ((deadline - now) / 1000u) + 1;
        for (uint32_t i = 0; i < replicas->count; i++)
            if (!asked[i] && client_replica_up(replicas, i) && gather_ask(gather, replicas, i, request, left_ms)) {
                asked[i] = true;
                asked_count++;
            }
        pthread_mutex_lock(&gather->lock);
        if (gather->answers == NULL) {
            uint64_t until =
                asked_count == wanted || now + CONNECT_POLL_US > deadline ? deadline : now + CONNECT_POLL_US;
            client_cond_wait(&gather->arrived, &gather->lock, until);
        }
        struct gather_answer *answers = gather->answers;
        gather->answers = NULL;
        pthread_mutex_unlock(&gather->lock);
        while (answers != NULL) {
            struct gather_answer *answer = answers;
            answers = answer->next;
            answered++;
            bool now_enough = take_answer(replicas, answer, request, on_answer, context);
            answer_free(answer);
            if (now_enough && !enough) {
                enough = true;
                uint64_t until = client_now_us() + (uint64_t) grace_ms * 1000u;
                deadline = until < deadline ? until : deadline;
            }
        }
    }
    gather_release(gather);
    return ORD_OK;
}
