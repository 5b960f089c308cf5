/*
 * hostile DIR ORDERED: attacks the running channel of DIR (made by `ordain init`, its client not registered yet) in
 * ways that the shell cannot. Writes to ORDERED, in hex, each transaction that must be in the chain exactly once. Exit
 * code 0: all checks hold; 1: some do not; 2: they could not be made.
 */
#include "hostile.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "crypto/hash.h"

void hostile_die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "hostile: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(2);
}

void hostile_check(struct hostile *hostile, bool holds, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf(holds ? "ok: " : "FAILED: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    fflush(stdout);
    if (!holds)
        hostile->failed++;
}

void *hostile_alloc(size_t size) {
    void *data = calloc(1, size + 1);
    if (data == NULL)
        hostile_die("out of memory");
    return data;
}

void hostile_must(enum ord_err err, const char *what) {
    if (err != ORD_OK)
        hostile_die("%s: %s", what, ord_err_text(err));
}

/* ---- envelopes ---- */

struct channel_envelope hostile_header(const struct hostile *hostile, uint64_t sequence) {
    return (struct channel_envelope) {
        .kind = CHANNEL_ENVELOPE_TRANSACTIONS,
        .genesis_hash = hostile->client->trust.genesis_hash,
        .client = hostile->self.fingerprint,
        .sequence = sequence,
        .config_sequence = hostile->client->trust.config.config_sequence,
    };
}

struct hostile_envelope hostile_encode(const struct channel_envelope *header, const struct ord_span *transactions,
                                       uint32_t count, const struct crypto_private_key *key) {
    struct hostile_envelope envelope = {.size = channel_envelope_size(transactions, count)};
    envelope.data = hostile_alloc(envelope.size);
    struct ord_writer writer = ord_writer_of(envelope.data, envelope.size);
    hostile_must(channel_envelope_encode(&writer, header, transactions, count, key), "cannot encode an envelope");
    return envelope;
}

struct hostile_envelope hostile_text(const struct hostile *hostile, uint64_t sequence, const char *text) {
    struct channel_envelope header = hostile_header(hostile, sequence);
    struct ord_span transaction = ord_span_of(text, strlen(text));
    return hostile_encode(&header, &transaction, 1, &hostile->self.key);
}

void hostile_sign(struct hostile_envelope *envelope, const struct crypto_private_key *key) {
    struct ord_hash id;
    struct ord_signature signature;
    size_t body_size = envelope->size - ORD_SIGNATURE_SIZE;
    channel_envelope_id(&id, ord_span_of(envelope->data, body_size));
    hostile_must(crypto_sign(&signature, key, &id), "cannot sign");
    memcpy(envelope->data + body_size, signature.bytes, ORD_SIGNATURE_SIZE);
}

void hostile_free(struct hostile_envelope *envelope) {
    free(envelope->data);
    *envelope = (struct hostile_envelope) {0};
}

void hostile_note_ordered(struct hostile *hostile, const void *transaction, size_t size) {
    const uint8_t *bytes = transaction;
    for (size_t i = 0; i < size; i++)
        fprintf(hostile->ordered, "%02x", bytes[i]);
    fprintf(hostile->ordered, "\n");
}

/* ---- asking ---- */

Ordain__V1__Status hostile_ask(struct hostile *hostile, client_response **out, uint32_t replica,
                               const client_request *request) {
    enum ord_err err = client_ask(&hostile->client->replicas, out, replica, request, HOSTILE_ANSWER_MS);
    return err == ORD_OK ? (*out)->status : ORDAIN__V1__STATUS__STATUS_UNSPECIFIED;
}

Ordain__V1__Status hostile_ask_raw(struct hostile *hostile, uint32_t replica, struct ord_span bytes) {
    struct net_client *net = hostile->client->replicas.list[replica].net;
    struct net_message *message;
    struct net_message *reply;
    uint8_t *data;
    client_response *response;
    if (net_client_wait(net, HOSTILE_ANSWER_MS) != ORD_OK)
        return ORDAIN__V1__STATUS__STATUS_UNSPECIFIED;
    hostile_must(net_message_create(&message, &data, bytes.size), "message");
    if (bytes.size > 0)
        memcpy(data, bytes.data, bytes.size);
    if (net_client_ask(net, &reply, message, HOSTILE_ANSWER_MS) != ORD_OK)
        return ORDAIN__V1__STATUS__STATUS_UNSPECIFIED;
    enum ord_err err = client_response_unpack(&response, net_message_bytes(reply), ORDAIN__V1__REQUEST__KIND__NOT_SET);
    net_message_destroy(reply);
    if (err != ORD_OK)
        return ORDAIN__V1__STATUS__STATUS_UNSPECIFIED;
    Ordain__V1__Status status = response->status;
    client_response_free(response);
    return status;
}

/* Verifies a receipt against the genesis block. False: it does not verify, and `why` gets the reason. */
static bool prove(const struct hostile *hostile, struct ord_hash *leaf, const ProtobufCBinaryData *bytes,
                  const char **why) {
    struct channel_receipt *receipt = hostile_alloc(sizeof(*receipt));
    enum ord_err err = client_trust_receipt(&hostile->client->trust, NULL, receipt, client_span(bytes), why);
    *leaf = receipt->leaf;
    free(receipt);
    return err == ORD_OK;
}

void hostile_submit(struct hostile *hostile, struct hostile_answer *out, uint32_t replica,
                    const struct hostile_envelope *envelope) {
    client_request request;
    client_response *response;
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    ProtobufCBinaryData bytes = {envelope->size, envelope->data};
    client_request_init(&request, hostile->client->config.channel);
    request.kind_case = ORDAIN__V1__REQUEST__KIND_SUBMIT;
    request.submit = &submit;
    submit.n_envelopes = 1;
    submit.envelopes = &bytes;
    *out = (struct hostile_answer) {.status = hostile_ask(hostile, &response, replica, &request)};
    if (out->status == ORDAIN__V1__STATUS__STATUS_UNSPECIFIED)
        snprintf(out->words, sizeof(out->words), "no answer");
    if (out->status == ORDAIN__V1__STATUS__OK && response->submit->n_results == 1) {
        const Ordain__V1__SubmitResult *result = response->submit->results[0];
        const char *why = result->message;
        out->status = result->status;
        out->proved = result->receipt.len > 0 && prove(hostile, &out->leaf, &result->receipt, &why);
        snprintf(out->words, sizeof(out->words), "%s", out->proved ? result->message : why);
    }
    client_response_free(response);
}

void hostile_expect(struct hostile *hostile, const struct hostile_envelope *envelope, Ordain__V1__Status expected,
                    const char *what) {
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        struct hostile_answer answer;
        hostile_submit(hostile, &answer, i, envelope);
        if (answer.status != expected) {
            hostile_check(hostile, false, "%s: replica %u says %s (%s), not %s", what, i,
                          client_status_name(answer.status), answer.words, client_status_name(expected));
            return;
        }
    }
    hostile_check(hostile, true, "%s: %s", what, client_status_name(expected));
}

/* One long poll. True: it brought a receipt that verifies. */
static bool wait_once(struct hostile *hostile, struct ord_hash *leaf, uint32_t replica, uint64_t sequence) {
    client_request request;
    client_response *response;
    Ordain__V1__WaitRequest wait = ORDAIN__V1__WAIT_REQUEST__INIT;
    client_request_init(&request, hostile->client->config.channel);
    request.kind_case = ORDAIN__V1__REQUEST__KIND_WAIT;
    request.wait = &wait;
    wait.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, hostile->self.fingerprint.bytes};
    wait.n_sequences = 1;
    wait.sequences = &sequence;
    wait.timeout_ms = 500;
    const char *why;
    bool proved = hostile_ask(hostile, &response, replica, &request) == ORDAIN__V1__STATUS__OK &&
                  response->wait->n_results == 1 && response->wait->results[0]->sequence == sequence &&
                  prove(hostile, leaf, &response->wait->results[0]->receipt, &why);
    client_response_free(response);
    return proved;
}

bool hostile_await(struct hostile *hostile, struct ord_hash *leaf, uint32_t replica, uint64_t sequence) {
    uint64_t deadline = client_now_us() + HOSTILE_DEADLINE_US;
    while (client_now_us() < deadline)
        if (wait_once(hostile, leaf, replica, sequence))
            return true;
    return false;
}

bool hostile_same_leaf(const struct hostile *hostile, const struct ord_hash *leaf,
                       const struct hostile_envelope *envelope) {
    struct ord_hash own;
    ord_merkle_leaf(&hostile->client->trust.crypto, &own, ord_span_of(envelope->data, envelope->size));
    return ord_hash_equal(leaf, &own);
}

void hostile_expect_final(struct hostile *hostile, const struct hostile_envelope *envelope, uint64_t sequence,
                          const char *what) {
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        struct ord_hash leaf;
        if (!hostile_await(hostile, &leaf, i, sequence)) {
            hostile_check(hostile, false, "%s: no receipt from replica %u", what, i);
            return;
        }
        if (!hostile_same_leaf(hostile, &leaf, envelope)) {
            hostile_check(hostile, false, "%s: replica %u has a receipt of another envelope", what, i);
            return;
        }
    }
    hostile_check(hostile, true, "%s: final, with a verified receipt from every replica", what);
}

void hostile_expect_honest(struct hostile *hostile, uint32_t replica, const char *text) {
    struct hostile_answer answer;
    uint64_t sequence = hostile->next++;
    struct hostile_envelope envelope = hostile_text(hostile, sequence, text);
    hostile_submit(hostile, &answer, replica, &envelope);
    if (answer.status == ORDAIN__V1__STATUS__ACCEPTED)
        hostile_expect_final(hostile, &envelope, sequence, text);
    else
        hostile_check(hostile, false, "%s: replica %u says %s (%s)", text, replica, client_status_name(answer.status),
                      answer.words);
    hostile_note_ordered(hostile, text, strlen(text));
    hostile_free(&envelope);
}

bool hostile_counter(struct hostile *hostile, uint64_t *out, uint32_t replica, const char *name) {
    client_request request;
    client_response *response;
    Ordain__V1__StatusRequest status = ORDAIN__V1__STATUS_REQUEST__INIT;
    client_request_init(&request, hostile->client->config.channel);
    request.kind_case = ORDAIN__V1__REQUEST__KIND_STATUS;
    request.status = &status;
    bool found = false;
    if (hostile_ask(hostile, &response, replica, &request) == ORDAIN__V1__STATUS__OK)
        for (size_t i = 0; i < response->replica->n_counters && !found; i++) {
            found = strcmp(response->replica->counters[i]->name, name) == 0;
            *out = response->replica->counters[i]->value;
        }
    client_response_free(response);
    return found;
}

int main(int argc, char **argv) {
    if (argc != 3)
        hostile_die("usage: hostile DIR ORDERED");
    char why[ORDAIN_TEXT_SIZE];
    char config[CLIENT_PATH_MAX];
    struct hostile hostile = {.directory = argv[1], .next = 1};
    struct ordain_options options;
    ordain_options_init(&options);
    snprintf(config, sizeof(config), "%s/client/client.cfg", argv[1]);
    options.config_file = config;
    hostile.ordered = fopen(argv[2], "w");
    if (hostile.ordered == NULL)
        hostile_die("cannot write %s", argv[2]);
    if (ordain_open(&hostile.client, &options, why, sizeof(why)) != ORDAIN_OK)
        hostile_die("%s", why);
    hostile.self.key = hostile.client->key;
    hostile.self.cert_size = hostile.client->cert_size;
    hostile.self.fingerprint = hostile.client->fingerprint;
    memcpy(hostile.self.cert_der, hostile.client->cert_der, hostile.client->cert_size);
    hostile.replica_count = hostile.client->replicas.count;

    hostile_identities(&hostile);
    hostile_envelopes(&hostile);
    hostile_replays(&hostile);
    hostile_requests(&hostile);
    hostile_links(&hostile);

    ordain_close(hostile.client);
    crypto_wipe(&hostile.self.key, sizeof(hostile.self.key));
    if (fclose(hostile.ordered) != 0)
        hostile_die("cannot write %s", argv[2]);
    printf("%u checks failed\n", hostile.failed);
    return hostile.failed == 0 ? 0 : 1;
}
