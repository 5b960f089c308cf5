/*
 * Finds where a client stands on its channel. Registration is an ordered envelope with the client's certificate, sent
 * once in a client's life. All replicas are asked for the position (the highest ordered sequence number). f liars among
 * them can push it neither far ahead nor, with enough answers, behind what one honest replica has ordered.
 */
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/flow/text.h"
#include "client/flow/window.h"
#include "core/quorum.h"

/* Once there are enough answers, how long to wait for the remaining ones. */
#define ASK_GRACE_MS        100u
#define ASK_TIMEOUT_MS      2000u
#define POLL_US_MIN         10000u
#define POLL_US_MAX         200000u
#define REGISTER_AGAIN_US   1000000u
#define ANSWER_TEXT_SIZE    384
#define DECISION_TIMEOUT_MS 1000u

uint32_t client_liars_max(const struct ordain *client) {
    return client->replicas.pin == ORDAIN_ANY_REPLICA ? client->trust.quorum - 1 : 0;
}

uint32_t client_believable(const struct ordain *client) {
    return client_liars_max(client) + 1;
}

/* One round of ClientRequest. */
struct answers {
    const struct ordain *client;
    uint32_t known; /* replicas that told a position */
    uint32_t registered;
    uint32_t refused; /* replicas that will not talk about this channel or client */
    uint32_t foreign; /* replicas that serve another network */
    uint32_t not_now; /* replicas that answered BUSY, UNAVAILABLE, ... */
    Ordain__V1__Status refusal;
    uint64_t positions[ORD_REPLICA_MAX];
    uint64_t config_sequences[ORD_REPLICA_MAX];
    char words[ANSWER_TEXT_SIZE];
};

static bool on_client_answer(void *context, uint32_t replica, enum ord_err err, const client_response *response) {
    struct answers *answers = context;
    const struct ordain *client = answers->client;
    if (err != ORD_OK)
        return false;
    if (response->status == ORDAIN__V1__STATUS__OK) {
        const Ordain__V1__ClientResponse *said = response->client;
        struct ord_span genesis = client_span(&said->genesis_hash);
        if (!ord_span_equal(genesis, ord_span_of(client->trust.genesis_hash.bytes, ORD_HASH_SIZE))) {
            answers->foreign++;
            client_say(answers->words, sizeof(answers->words), "replica %u (%s) serves another network", replica,
                       client->replicas.list[replica].name);
            return answers->refused + answers->foreign >= client_believable(client);
        }
        answers->positions[answers->known] = said->highest_sequence;
        answers->config_sequences[answers->known] = said->config_sequence;
        answers->known++;
        if (said->registered)
            answers->registered++;
    } else if (response->status == ORDAIN__V1__STATUS__UNKNOWN_CLIENT) {
        answers->positions[answers->known] = 0;
        answers->config_sequences[answers->known] = client->trust.config.config_sequence;
        answers->known++;
    } else {
        client_replica_say(answers->words, sizeof(answers->words), replica, response->status, response->message);
        if (client_status_refuses(response->status)) {
            answers->refused++;
            answers->refusal = response->status;
        } else {
            answers->not_now++;
        }
    }
    uint32_t enough = client_believable(client);
    return answers->known >= enough || answers->refused + answers->foreign >= enough;
}

static enum ord_err ask_standing(struct ordain *client, struct answers *answers, uint32_t timeout_ms) {
    Ordain__V1__ClientRequest ask = ORDAIN__V1__CLIENT_REQUEST__INIT;
    ask.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, client->fingerprint.bytes};
    client_request request = client_request_of(ORDAIN__V1__REQUEST__KIND_CLIENT, client->config.channel, &ask);
    memset(answers, 0, sizeof(*answers));
    answers->client = client;
    return client_gather(&client->replicas, &request, timeout_ms, ASK_GRACE_MS, on_client_answer, answers);
}

enum ord_err client_registration(const struct ordain *client, uint64_t config_sequence, uint8_t **out, size_t *size) {
    struct ord_span certificate = ord_span_of(client->cert_der, client->cert_size);
    struct channel_envelope header = {
        .kind = CHANNEL_ENVELOPE_REGISTER,
        .genesis_hash = client->trust.genesis_hash,
        .client = client->fingerprint,
        .sequence = 0,
        .config_sequence = config_sequence,
    };
    size_t capacity = channel_envelope_size(&certificate, 1);
    uint8_t *data = malloc(capacity);
    if (data == NULL)
        return ORD_ERR_NO_MEMORY;
    struct ord_writer writer = ord_writer_of(data, capacity);
    enum ord_err err = channel_envelope_encode(&writer, &header, &certificate, 1, &client->key);
    if (err != ORD_OK) {
        free(data);
        return err;
    }
    *out = data;
    *size = writer.size;
    return ORD_OK;
}

/* What the replicas answer to the registration itself. */
struct admission {
    const struct ordain *client;
    uint32_t taken;
    uint32_t refused;
    Ordain__V1__Status refusal;
    char words[ANSWER_TEXT_SIZE];
};

static bool on_admission(void *context, uint32_t replica, enum ord_err err, const client_response *response) {
    struct admission *admission = context;
    if (err != ORD_OK)
        return false;
    Ordain__V1__Status status = response->status;
    const char *message = response->message;
    if (status == ORDAIN__V1__STATUS__OK || status == ORDAIN__V1__STATUS__ACCEPTED) {
        if (response->submit->n_results != 1)
            return false;
        status = response->submit->results[0]->status;
        message = response->submit->results[0]->message;
    }
    if (status == ORDAIN__V1__STATUS__OK || status == ORDAIN__V1__STATUS__ACCEPTED ||
        status == ORDAIN__V1__STATUS__DUPLICATE) {
        admission->taken++;
    } else {
        client_replica_say(admission->words, sizeof(admission->words), replica, status, message);
        if (status == ORDAIN__V1__STATUS__FORBIDDEN || status == ORDAIN__V1__STATUS__BAD_REQUEST ||
            status == ORDAIN__V1__STATUS__NOT_FOUND || status == ORDAIN__V1__STATUS__TOO_LARGE) {
            admission->refused++;
            admission->refusal = status;
        }
    }
    uint32_t enough = client_believable(admission->client);
    return admission->taken >= enough || admission->refused >= enough;
}

/* Offers the registration to every replica, so that one that hides it cannot delay it. */
static enum ord_err send_registration(struct ordain *client, struct admission *out, uint64_t config_sequence,
                                      uint32_t timeout_ms) {
    uint8_t *envelope = NULL;
    size_t size = 0;
    memset(out, 0, sizeof(*out));
    out->client = client;
    enum ord_err err = client_registration(client, config_sequence, &envelope, &size);
    if (err != ORD_OK)
        return err;
    ProtobufCBinaryData bytes = {size, envelope};
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    submit.envelopes = &bytes;
    submit.n_envelopes = 1;
    client_request request = client_request_of(ORDAIN__V1__REQUEST__KIND_SUBMIT, client->config.channel, &submit);
    err = client_gather(&client->replicas, &request, timeout_ms, 0, on_admission, out);
    free(envelope);
    return err;
}

static uint32_t left_ms(uint64_t deadline_us, uint32_t bound) {
    uint64_t now = client_now_us();
    if (now >= deadline_us)
        return 1;
    uint64_t left = (deadline_us - now) / 1000u + 1;
    return left < bound ? (uint32_t) left : bound;
}

static void standing_of(struct client_standing *out, struct answers *answers, uint32_t liars_max) {
    out->position = client_position(answers->positions, answers->known, liars_max);
    out->config_sequence = client_position(answers->config_sequences, answers->known, liars_max);
}

/* There is no answer to believe: says what is the matter. */
static enum ordain_error no_standing(const struct ordain *client, const struct answers *answers, char *why,
                                     size_t why_size) {
    if (answers->refused + answers->foreign > 0) {
        client_say(why, why_size, "%s", answers->words);
        return answers->refused > 0 ? client_status_error(answers->refusal) : ORDAIN_UNVERIFIED;
    }
    if (answers->not_now > 0)
        client_say(why, why_size, "no replica can serve now; %s", answers->words);
    else
        client_replicas_silence(&client->replicas, why, why_size);
    return ORDAIN_UNREACHABLE;
}

enum ordain_error client_register(struct ordain *client, struct client_standing *out, uint32_t timeout_ms, char *why,
                                  size_t why_size) {
    uint64_t deadline = client_now_us() + (uint64_t) timeout_ms * 1000u;
    uint64_t register_at = 0;
    uint64_t poll_us = POLL_US_MIN;
    uint32_t liars_max = client_liars_max(client);
    char admission_words[ANSWER_TEXT_SIZE] = "";
    /* The last round in which a replica said something. The very last round may be too short for any answer. */
    struct answers spoken = {0};
    while (true) {
        struct answers answers;
        enum ord_err err = ask_standing(client, &answers, left_ms(deadline, ASK_TIMEOUT_MS));
        if (err != ORD_OK)
            return client_error(err);
        bool over = client_now_us() >= deadline;
        if (answers.refused + answers.foreign + answers.not_now > 0)
            spoken = answers;
        if (answers.refused + answers.foreign > liars_max || (over && answers.known == 0))
            return no_standing(client, &spoken, why, why_size);
        /*
         * If fewer replicas answered than make a statement believable, their answers are taken as they are. Wrong
         * answers cost time, not safety.
         */
        uint32_t needed = answers.known < liars_max + 1 ? answers.known : liars_max + 1;
        if (answers.known > 0 && answers.registered >= needed) {
            standing_of(out, &answers, liars_max);
            return ORDAIN_OK;
        }
        if (over) {
            client_say(why, why_size, "the registration was sent, but is not ordered yet%s%s",
                       admission_words[0] != '\0' ? "; " : "", admission_words);
            return ORDAIN_TIMEOUT;
        }
        if (answers.known > 0 && client_now_us() >= register_at) {
            struct admission admission;
            standing_of(out, &answers, liars_max);
            err = send_registration(client, &admission, out->config_sequence, left_ms(deadline, DECISION_TIMEOUT_MS));
            if (err != ORD_OK)
                return client_error(err);
            memcpy(admission_words, admission.words, sizeof(admission_words));
            if (admission.taken == 0 && admission.refused > 0 &&
                (admission.refused > liars_max || admission.refused >= answers.known)) {
                client_say(why, why_size, "the registration is refused: %s", admission.words);
                return client_status_error(admission.refusal);
            }
            register_at = client_now_us() + (admission.taken > 0 ? REGISTER_AGAIN_US : poll_us);
        }
        client_pause_us(poll_us);
        poll_us = poll_us * 2 < POLL_US_MAX ? poll_us * 2 : POLL_US_MAX;
    }
}
