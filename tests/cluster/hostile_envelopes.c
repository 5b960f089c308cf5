/*
 * Envelopes of a registered client: wrong signatures, wrong fields, wrong forms, and reused numbers (rows K1, K2, K5,
 * K7, K9, K10, K12, T7, T8 and T11 in docs/adversary.md). A refused envelope leaves its sequence number free.
 */
#include "hostile.h"

#include <stdlib.h>
#include <string.h>

#include "channel/tags.h"

/* Offsets of the fields of an envelope; see docs/formats.md. */
enum {
    AT_VERSION = 0,
    AT_KIND = 1,
    AT_SEQUENCE = 66,
    AT_COUNT = 82,
    AT_LENGTH = 86, /* length of the first transaction */
    AT_TRANSACTION = 90,
};

#define FORBIDDEN   ORDAIN__V1__STATUS__FORBIDDEN
#define BAD_REQUEST ORDAIN__V1__STATUS__BAD_REQUEST
#define TOO_LARGE   ORDAIN__V1__STATUS__TOO_LARGE

/* Sends the envelope, expects this answer, and frees the envelope. */
static void expect(struct hostile *hostile, struct hostile_envelope envelope, Ordain__V1__Status expected,
                   const char *what) {
    hostile_expect(hostile, &envelope, expected, what);
    hostile_free(&envelope);
}

static struct hostile_envelope plain(const struct hostile *hostile) {
    return hostile_text(hostile, hostile->next, "hostile");
}

static uint8_t *signature_of(const struct hostile_envelope *envelope) {
    return envelope->data + envelope->size - ORD_SIGNATURE_SIZE;
}

/* ---- signatures ---- */

/* Turns (r, s) into (r, n - s), the other signature that plain ECDSA also accepts. */
static void raise_s(uint8_t signature[ORD_SIGNATURE_SIZE]) {
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
                                      0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};
    int borrow = 0;
    for (int i = 31; i >= 0; i--) {
        int difference = order[i] - signature[32 + i] - borrow;
        borrow = difference < 0;
        signature[32 + i] = (uint8_t) (difference + (borrow ? 256 : 0));
    }
}

static void sign_hash(struct hostile *hostile, struct hostile_envelope *envelope, const struct ord_hash *hash) {
    struct ord_signature signature;
    hostile_must(crypto_sign(&signature, &hostile->self.key, hash), "cannot sign");
    memcpy(signature_of(envelope), signature.bytes, ORD_SIGNATURE_SIZE);
}

static void signatures(struct hostile *hostile) {
    struct hostile_envelope envelope = plain(hostile);
    signature_of(&envelope)[40] ^= 1;
    expect(hostile, envelope, FORBIDDEN, "a signature with a flipped bit");

    envelope = plain(hostile);
    envelope.data[AT_TRANSACTION] ^= 1;
    expect(hostile, envelope, FORBIDDEN, "a transaction with a flipped bit");

    envelope = plain(hostile);
    raise_s(signature_of(&envelope));
    expect(hostile, envelope, FORBIDDEN, "the high-s form of a valid signature");

    envelope = plain(hostile);
    memset(signature_of(&envelope), 0, ORD_SIGNATURE_SIZE);
    expect(hostile, envelope, FORBIDDEN, "a signature of zeros");

    envelope = plain(hostile);
    memset(signature_of(&envelope), 0xff, ORD_SIGNATURE_SIZE);
    expect(hostile, envelope, FORBIDDEN, "a signature of numbers that are out of range");

    struct crypto_private_key stranger = hostile->self.key;
    stranger.bytes[31] ^= 1;
    envelope = plain(hostile);
    hostile_sign(&envelope, &stranger);
    crypto_wipe(&stranger, sizeof(stranger));
    expect(hostile, envelope, FORBIDDEN, "an envelope signed with another key");

    struct ord_hash hash;
    envelope = plain(hostile);
    struct ord_span body = ord_span_of(envelope.data, envelope.size - ORD_SIGNATURE_SIZE);
    channel_tagged_hash(&hash, CHANNEL_TAG_STATEMENT, body);
    sign_hash(hostile, &envelope, &hash);
    expect(hostile, envelope, FORBIDDEN, "a signature under the tag of another kind of message");

    envelope = plain(hostile);
    body = ord_span_of(envelope.data, envelope.size - ORD_SIGNATURE_SIZE);
    crypto_sha256(&hash, &body, 1);
    sign_hash(hostile, &envelope, &hash);
    expect(hostile, envelope, FORBIDDEN, "a signature without a tag");
}

/* ---- fields ---- */

static void from_header(struct hostile *hostile, const struct channel_envelope *header, Ordain__V1__Status expected,
                        const char *what) {
    static const uint8_t text[] = "hostile";
    struct ord_span transaction = ord_span_of(text, sizeof(text));
    expect(hostile, hostile_encode(header, &transaction, 1, &hostile->self.key), expected, what);
}

static void fields(struct hostile *hostile) {
    struct channel_envelope header = hostile_header(hostile, hostile->next);
    header.genesis_hash.bytes[0] ^= 1;
    from_header(hostile, &header, FORBIDDEN, "an envelope of another network");

    header = hostile_header(hostile, hostile->next);
    header.kind = CHANNEL_ENVELOPE_CONFIG;
    from_header(hostile, &header, FORBIDDEN, "a configuration by a client");

    header = hostile_header(hostile, hostile->next);
    header.config_sequence++;
    from_header(hostile, &header, BAD_REQUEST, "a config sequence that is not in force");

    header = hostile_header(hostile, hostile->next);
    header.client.bytes[0] ^= 1;
    from_header(hostile, &header, ORDAIN__V1__STATUS__UNKNOWN_CLIENT, "a fingerprint that nobody has");

    header = hostile_header(hostile, hostile->next - 1 + 5000);
    from_header(hostile, &header, BAD_REQUEST, "a sequence number that is 5000 ahead");
    header = hostile_header(hostile, UINT64_MAX);
    from_header(hostile, &header, BAD_REQUEST, "the highest sequence number that there is");

    struct hostile_envelope envelope = plain(hostile);
    envelope.data[AT_VERSION]++;
    hostile_sign(&envelope, &hostile->self.key);
    expect(hostile, envelope, BAD_REQUEST, "a version that is not known");

    envelope = plain(hostile);
    envelope.data[AT_KIND] = 4;
    hostile_sign(&envelope, &hostile->self.key);
    expect(hostile, envelope, BAD_REQUEST, "a kind that is not known");

    envelope = plain(hostile);
    ord_store_u64(envelope.data + AT_SEQUENCE, 0);
    hostile_sign(&envelope, &hostile->self.key);
    expect(hostile, envelope, BAD_REQUEST, "sequence number 0");
}

/* ---- forms ---- */

/* Makes an envelope longer or shorter than it should be; signs it after that, or does not. */
static struct hostile_envelope resized(const struct hostile *hostile, int by, bool sign) {
    struct hostile_envelope from = plain(hostile);
    struct hostile_envelope to = {.size = by < 0 ? from.size - (size_t) -by : from.size + (size_t) by};
    to.data = hostile_alloc(to.size);
    memcpy(to.data, from.data, to.size < from.size ? to.size : from.size);
    if (sign)
        hostile_sign(&to, &hostile->self.key);
    hostile_free(&from);
    return to;
}

static struct hostile_envelope with_u32(const struct hostile *hostile, size_t at, uint32_t value) {
    struct hostile_envelope envelope = plain(hostile);
    ord_store_u32(envelope.data + at, value);
    hostile_sign(&envelope, &hostile->self.key);
    return envelope;
}

static void forms(struct hostile *hostile) {
    expect(hostile, resized(hostile, 1, false), BAD_REQUEST, "a trailing byte");
    expect(hostile, resized(hostile, 1, true), BAD_REQUEST, "a trailing byte that is signed");
    expect(hostile, resized(hostile, -1, false), BAD_REQUEST, "a byte too few");
    expect(hostile, with_u32(hostile, AT_COUNT, UINT32_MAX), BAD_REQUEST, "a count of 2^32 - 1 transactions");
    expect(hostile, with_u32(hostile, AT_COUNT, 2), BAD_REQUEST, "a count of one transaction more than there are");
    expect(hostile, with_u32(hostile, AT_COUNT, 0), BAD_REQUEST, "a count of no transactions");
    expect(hostile, with_u32(hostile, AT_LENGTH, UINT32_MAX), BAD_REQUEST, "a transaction of 2^32 - 1 bytes");
    expect(hostile, (struct hostile_envelope) {0}, BAD_REQUEST, "an envelope of no bytes");
}

/*
 * Sends one request with many envelopes and collects the statuses that came back, a bit for each. False: no proper
 * answer.
 */
static bool statuses_of(struct hostile *hostile, uint32_t *seen, uint32_t replica, ProtobufCBinaryData *envelopes,
                        size_t count) {
    client_request request;
    client_response *response;
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    client_request_init(&request, hostile->client->config.channel);
    request.kind_case = ORDAIN__V1__REQUEST__KIND_SUBMIT;
    request.submit = &submit;
    submit.n_envelopes = count;
    submit.envelopes = envelopes;
    *seen = 0;
    bool answered = hostile_ask(hostile, &response, replica, &request) == ORDAIN__V1__STATUS__OK &&
                    response->submit->n_results == count;
    for (size_t i = 0; answered && i < count; i++)
        *seen |= 1u << response->submit->results[i]->status;
    client_response_free(response);
    return answered;
}

/* Flips every single bit of a valid envelope, one at a time. */
static void flipped_bits(struct hostile *hostile) {
    struct hostile_envelope envelope = plain(hostile);
    size_t count = envelope.size * 8;
    ProtobufCBinaryData *flipped = hostile_alloc(count * sizeof(*flipped));
    for (size_t i = 0; i < count; i++) {
        flipped[i] = (ProtobufCBinaryData) {envelope.size, hostile_alloc(envelope.size)};
        memcpy(flipped[i].data, envelope.data, envelope.size);
        flipped[i].data[i / 8] ^= (uint8_t) (1u << (i % 8));
    }
    uint32_t taken = 1u << ORDAIN__V1__STATUS__ACCEPTED | 1u << ORDAIN__V1__STATUS__OK;
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        uint32_t seen;
        bool answered = statuses_of(hostile, &seen, i, flipped, count);
        hostile_check(hostile, answered && (seen & taken) == 0,
                      "%zu envelopes with one flipped bit each: replica %u takes none (statuses %#x)", count, i, seen);
    }
    for (size_t i = 0; i < count; i++)
        free(flipped[i].data);
    free(flipped);
    hostile_free(&envelope);
}

static void random_bytes(struct hostile *hostile) {
    enum { COUNT = 1024 };
    ProtobufCBinaryData *envelopes = hostile_alloc(COUNT * sizeof(*envelopes));
    for (size_t i = 0; i < COUNT; i++) {
        envelopes[i] = (ProtobufCBinaryData) {i, hostile_alloc(i)};
        hostile_must(crypto_random(envelopes[i].data, i), "random bytes");
    }
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        uint32_t seen;
        bool answered = statuses_of(hostile, &seen, i, envelopes, COUNT);
        hostile_check(hostile, answered && seen == 1u << BAD_REQUEST,
                      "%d envelopes of random bytes: replica %u says BAD_REQUEST to each (statuses %#x)", COUNT, i,
                      seen);
    }
    for (size_t i = 0; i < COUNT; i++)
        free(envelopes[i].data);
    free(envelopes);
}

/* ---- limits ---- */

static struct hostile_envelope of_size(const struct hostile *hostile, uint8_t **transaction, size_t *size,
                                       size_t envelope_size) {
    struct channel_envelope header = hostile_header(hostile, hostile->next);
    struct ord_span nothing = ord_span_of(NULL, 0);
    *size = envelope_size - channel_envelope_size(&nothing, 1);
    *transaction = hostile_alloc(*size);
    struct ord_span span = ord_span_of(*transaction, *size);
    return hostile_encode(&header, &span, 1, &hostile->self.key);
}

static struct hostile_envelope of_count(const struct hostile *hostile, uint8_t *bytes, uint32_t count) {
    struct channel_envelope header = hostile_header(hostile, hostile->next);
    struct ord_span *transactions = hostile_alloc(count * sizeof(*transactions));
    for (uint32_t i = 0; i < count; i++) {
        ord_store_u32(bytes + (size_t) i * 4, i + 1);
        transactions[i] = ord_span_of(bytes + (size_t) i * 4, 4);
    }
    struct hostile_envelope envelope = hostile_encode(&header, transactions, count, &hostile->self.key);
    free(transactions);
    return envelope;
}

static void expect_accepted(struct hostile *hostile, struct hostile_envelope envelope, const char *what) {
    struct hostile_answer answer;
    hostile_submit(hostile, &answer, 2 % hostile->replica_count, &envelope);
    hostile_check(hostile, answer.status == ORDAIN__V1__STATUS__ACCEPTED, "%s: %s %s", what,
                  client_status_name(answer.status), answer.words);
    hostile_expect_final(hostile, &envelope, hostile->next++, what);
    hostile_free(&envelope);
}

/*
 * An unchecked envelope must have no effect. A forged envelope that comes twice in one request must not count as one
 * that already waits, and must not make a valid envelope under its number a duplicate. BUSY is a fair answer, because
 * the client asks again.
 */
static void forged_first(struct hostile *hostile) {
    struct hostile_envelope valid = plain(hostile);
    struct hostile_envelope forged = plain(hostile);
    signature_of(&forged)[40] ^= 1;
    ProtobufCBinaryData pair[] = {{forged.size, forged.data}, {forged.size, forged.data}};
    uint32_t fair = 1u << FORBIDDEN | 1u << ORDAIN__V1__STATUS__BUSY;
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        uint32_t seen;
        bool answered = statuses_of(hostile, &seen, i, pair, 2);
        hostile_check(hostile, answered && (seen & ~fair) == 0,
                      "a forged envelope twice in one request to replica %u: not taken (statuses %#x)", i, seen);
    }
    pair[1] = (ProtobufCBinaryData) {valid.size, valid.data};
    fair |= 1u << ORDAIN__V1__STATUS__ACCEPTED;
    uint32_t seen;
    bool answered = statuses_of(hostile, &seen, 0, pair, 2);
    hostile_check(hostile, answered && (seen & ~fair) == 0,
                  "a valid envelope behind a forged one under its number: no duplicate (statuses %#x)", seen);
    if ((seen & 1u << ORDAIN__V1__STATUS__ACCEPTED) == 0) {
        expect_accepted(hostile, valid, "the valid one, by itself");
    } else {
        hostile_expect_final(hostile, &valid, hostile->next++, "the valid one");
        hostile_free(&valid);
    }
    hostile_note_ordered(hostile, "hostile", strlen("hostile"));
    hostile_free(&forged);
}

static void limits(struct hostile *hostile) {
    const struct channel_config *config = &hostile->client->trust.config;
    uint8_t *bytes;
    size_t size;
    expect(hostile, of_size(hostile, &bytes, &size, (size_t) config->absolute_max_bytes + 1), TOO_LARGE,
           "an envelope of one byte more than AbsoluteMaxBytes");
    free(bytes);
    expect(hostile, of_size(hostile, &bytes, &size, (size_t) config->absolute_max_bytes * 2), TOO_LARGE,
           "an envelope of twice AbsoluteMaxBytes");
    free(bytes);
    expect_accepted(hostile, of_size(hostile, &bytes, &size, config->absolute_max_bytes),
                    "an envelope of just AbsoluteMaxBytes");
    hostile_note_ordered(hostile, bytes, size);
    free(bytes);

    uint32_t count = config->max_message_count;
    bytes = hostile_alloc((size_t) (count + 1) * 4);
    expect(hostile, of_count(hostile, bytes, count + 1), TOO_LARGE, "one transaction more than MaxMessageCount");
    expect_accepted(hostile, of_count(hostile, bytes, count), "just MaxMessageCount transactions");
    for (uint32_t i = 0; i < count; i++)
        hostile_note_ordered(hostile, bytes + (size_t) i * 4, 4);
    free(bytes);
}

void hostile_envelopes(struct hostile *hostile) {
    signatures(hostile);
    fields(hostile);
    forms(hostile);
    flipped_bits(hostile);
    random_bytes(hostile);
    hostile_expect_honest(hostile, 2 % hostile->replica_count, "a valid envelope under the number of all those");
    forged_first(hostile);
    limits(hostile);
}

/* ---- numbers that are used again ---- */

/* Check: every replica answers `status` for `sent`, with a receipt of `ordered`. */
static void expect_used(struct hostile *hostile, const struct hostile_envelope *sent, Ordain__V1__Status status,
                        const struct hostile_envelope *ordered, const char *what) {
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        struct hostile_answer answer;
        hostile_submit(hostile, &answer, i, sent);
        if (answer.status != status || !answer.proved || !hostile_same_leaf(hostile, &answer.leaf, ordered)) {
            hostile_check(hostile, false, "%s: replica %u says %s (%s), %s receipt", what, i,
                          client_status_name(answer.status), answer.words, answer.proved ? "another" : "no");
            return;
        }
    }
    hostile_check(hostile, true, "%s: %s, with the verified receipt of what was ordered", what,
                  client_status_name(status));
}

/*
 * The same bytes, twice to each replica, while they are being ordered and afterwards; then another body under the same
 * number.
 */
static void replay(struct hostile *hostile) {
    static const char text[] = "replayed";
    uint64_t sequence = hostile->next++;
    struct hostile_envelope envelope = hostile_text(hostile, sequence, text);
    bool fair = true;
    for (uint32_t i = 0; i < 2 * hostile->replica_count; i++) {
        struct hostile_answer answer;
        hostile_submit(hostile, &answer, i % hostile->replica_count, &envelope);
        fair =
            fair &&
            (answer.status == ORDAIN__V1__STATUS__ACCEPTED ||
             (i > 0 && (answer.status == ORDAIN__V1__STATUS__DUPLICATE || answer.status == ORDAIN__V1__STATUS__BUSY ||
                        answer.status == ORDAIN__V1__STATUS__SEQUENCE_USED)));
    }
    hostile_check(hostile, fair, "the same bytes to every replica, twice: ACCEPTED, DUPLICATE, SEQUENCE_USED or BUSY");
    hostile_expect_final(hostile, &envelope, sequence, "what was sent to all");
    hostile_note_ordered(hostile, text, strlen(text));
    expect_used(hostile, &envelope, ORDAIN__V1__STATUS__DUPLICATE, &envelope, "a replayed envelope");

    struct hostile_envelope other = hostile_text(hostile, sequence, "another body");
    expect_used(hostile, &other, ORDAIN__V1__STATUS__SEQUENCE_TAKEN, &envelope,
                "another body under a number that was ordered");
    hostile_free(&other);
    hostile_free(&envelope);
}

/* ---- other bodies to other replicas at once (row K2) ---- */

struct calls {
    pthread_mutex_t lock;
    pthread_cond_t done;
    uint32_t open;
    uint32_t accepted;
    uint32_t answered; /* answered that it holds it, that another has the number, or BUSY */
};

static void on_reply(void *context, enum ord_err result, struct net_message *reply) {
    struct calls *calls = context;
    client_response *response = NULL;
    Ordain__V1__Status status = ORDAIN__V1__STATUS__STATUS_UNSPECIFIED;
    if (result == ORD_OK &&
        client_response_unpack(&response, net_message_bytes(reply), ORDAIN__V1__REQUEST__KIND_SUBMIT) == ORD_OK &&
        response->status == ORDAIN__V1__STATUS__OK && response->submit->n_results == 1)
        status = response->submit->results[0]->status;
    client_response_free(response);
    if (result == ORD_OK)
        net_message_destroy(reply);
    pthread_mutex_lock(&calls->lock);
    calls->open--;
    calls->accepted += status == ORDAIN__V1__STATUS__ACCEPTED;
    calls->answered += status == ORDAIN__V1__STATUS__ACCEPTED || status == ORDAIN__V1__STATUS__DUPLICATE ||
                       status == ORDAIN__V1__STATUS__SEQUENCE_TAKEN || status == ORDAIN__V1__STATUS__SEQUENCE_USED ||
                       status == ORDAIN__V1__STATUS__BUSY;
    pthread_cond_signal(&calls->done);
    pthread_mutex_unlock(&calls->lock);
}

/* Sends a different body to each replica, all at the same time. */
static void submit_apart(struct hostile *hostile, struct calls *calls, const struct hostile_envelope *envelopes) {
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        client_request request;
        struct net_message *message;
        Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
        ProtobufCBinaryData bytes = {envelopes[i].size, envelopes[i].data};
        client_request_init(&request, hostile->client->config.channel);
        request.kind_case = ORDAIN__V1__REQUEST__KIND_SUBMIT;
        request.submit = &submit;
        submit.n_envelopes = 1;
        submit.envelopes = &bytes;
        hostile_must(client_request_pack(&message, &request), "request");
        pthread_mutex_lock(&calls->lock);
        calls->open++;
        pthread_mutex_unlock(&calls->lock);
        hostile_must(
            net_client_call(hostile->client->replicas.list[i].net, message, HOSTILE_ANSWER_MS, on_reply, calls),
            "cannot send");
    }
    pthread_mutex_lock(&calls->lock);
    while (calls->open > 0)
        pthread_cond_wait(&calls->done, &calls->lock);
    pthread_mutex_unlock(&calls->lock);
}

/* Which of the bodies was ordered, as every replica proves. -1: the replicas differ, or it is none of the bodies. */
static int winner(struct hostile *hostile, uint64_t sequence, const struct hostile_envelope *envelopes) {
    int found = -1;
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        struct ord_hash leaf;
        int here = -1;
        if (!hostile_await(hostile, &leaf, i, sequence))
            return -1;
        for (uint32_t k = 0; k < hostile->replica_count; k++)
            if (hostile_same_leaf(hostile, &leaf, &envelopes[k]))
                here = (int) k;
        if (here < 0 || (i > 0 && here != found))
            return -1;
        found = here;
    }
    return found;
}

static bool equivocate(struct hostile *hostile, uint32_t round) {
    struct hostile_envelope envelopes[ORD_REPLICA_MAX];
    char texts[ORD_REPLICA_MAX][64];
    struct calls calls = {.open = 0};
    uint64_t sequence = hostile->next++;
    pthread_mutex_init(&calls.lock, NULL);
    pthread_cond_init(&calls.done, NULL);
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        snprintf(texts[i], sizeof(texts[i]), "round %u, to replica %u", round, i);
        envelopes[i] = hostile_text(hostile, sequence, texts[i]);
    }
    submit_apart(hostile, &calls, envelopes);
    int ordered = winner(hostile, sequence, envelopes);
    if (ordered >= 0)
        hostile_note_ordered(hostile, texts[ordered], strlen(texts[ordered]));
    for (uint32_t i = 0; i < hostile->replica_count; i++)
        hostile_free(&envelopes[i]);
    pthread_cond_destroy(&calls.done);
    pthread_mutex_destroy(&calls.lock);
    return ordered >= 0 && calls.accepted > 0 && calls.answered == hostile->replica_count;
}

void hostile_replays(struct hostile *hostile) {
    enum { ROUNDS = 16 };
    replay(hostile);
    uint32_t held = 0;
    for (uint32_t round = 0; round < ROUNDS; round++)
        held += equivocate(hostile, round) ? 1 : 0;
    hostile_check(hostile, held == ROUNDS,
                  "a different body to each replica under one number, %d times: one is ordered, the same everywhere "
                  "(%u times)",
                  ROUNDS, held);
    hostile_expect_honest(hostile, 3 % hostile->replica_count, "a valid envelope after all replays");
}
