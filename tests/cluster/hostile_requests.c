/*
 * Requests that are wrong as a whole, whatever they carry: forms, ranges, sizes (rows K7, T1 and T11 in
 * docs/adversary.md).
 */
#include "hostile.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"

#define BAD_REQUEST ORDAIN__V1__STATUS__BAD_REQUEST
#define NOT_FOUND   ORDAIN__V1__STATUS__NOT_FOUND

/* Check: every replica answers the request as a whole with this status. */
static void expect(struct hostile *hostile, const client_request *request, Ordain__V1__Status expected,
                   const char *what) {
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        client_response *response;
        Ordain__V1__Status status = hostile_ask(hostile, &response, i, request);
        client_response_free(response);
        if (status != expected) {
            hostile_check(hostile, false, "%s: replica %u says %s, not %s", what, i, client_status_name(status),
                          client_status_name(expected));
            return;
        }
    }
    hostile_check(hostile, true, "%s: %s", what, client_status_name(expected));
}

static void submissions(struct hostile *hostile) {
    enum { MANY = 4097 };
    client_request request;
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    client_request_init(&request, hostile->client->config.channel);
    request.kind_case = ORDAIN__V1__REQUEST__KIND_SUBMIT;
    request.submit = &submit;
    expect(hostile, &request, BAD_REQUEST, "a submission of no envelopes");
    submit.n_envelopes = MANY;
    submit.envelopes = hostile_alloc(MANY * sizeof(*submit.envelopes));
    expect(hostile, &request, BAD_REQUEST, "a submission of 4097 empty envelopes");
    free(submit.envelopes);

    struct hostile_envelope envelope = hostile_text(hostile, hostile->next, "for nobody");
    ProtobufCBinaryData bytes = {envelope.size, envelope.data};
    submit.n_envelopes = 1;
    submit.envelopes = &bytes;
    static char unknown[] = "no-such-channel";
    static char empty[] = "";
    request.channel = unknown;
    expect(hostile, &request, NOT_FOUND, "a valid envelope to a channel that there is not");
    request.channel = empty;
    expect(hostile, &request, NOT_FOUND, "a valid envelope to a channel without a name");
    hostile_free(&envelope);

    client_request_init(&request, hostile->client->config.channel);
    expect(hostile, &request, BAD_REQUEST, "a request of no kind");
}

static void waits(struct hostile *hostile) {
    enum { MANY = 100000 };
    client_request request;
    Ordain__V1__WaitRequest wait = ORDAIN__V1__WAIT_REQUEST__INIT;
    client_request_init(&request, hostile->client->config.channel);
    request.kind_case = ORDAIN__V1__REQUEST__KIND_WAIT;
    request.wait = &wait;
    wait.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, hostile->self.fingerprint.bytes};
    wait.timeout_ms = UINT32_MAX;
    expect(hostile, &request, BAD_REQUEST, "a wait for nothing");
    wait.n_sequences = MANY;
    wait.sequences = hostile_alloc(MANY * sizeof(*wait.sequences));
    for (size_t i = 0; i < MANY; i++)
        wait.sequences[i] = i;
    expect(hostile, &request, BAD_REQUEST, "a wait for 100,000 sequence numbers");
    free(wait.sequences);
}

static void receipts(struct hostile *hostile) {
    client_request request;
    Ordain__V1__ReceiptRequest ask = ORDAIN__V1__RECEIPT_REQUEST__INIT;
    uint8_t nobody[ORD_HASH_SIZE] = {0};
    client_request_init(&request, hostile->client->config.channel);
    request.kind_case = ORDAIN__V1__REQUEST__KIND_RECEIPT;
    request.receipt = &ask;
    ask.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, hostile->self.fingerprint.bytes};
    ask.sequence = hostile->next + 1000;
    expect(hostile, &request, NOT_FOUND, "the receipt of a number that was never ordered");
    ask.client = (ProtobufCBinaryData) {sizeof(nobody), nobody};
    expect(hostile, &request, ORDAIN__V1__STATUS__UNKNOWN_CLIENT, "the receipt of a client that there is not");
    ask.client = (ProtobufCBinaryData) {5, nobody};
    expect(hostile, &request, BAD_REQUEST, "the receipt of a fingerprint of five bytes");
    ask.by_place = true;
    expect(hostile, &request, NOT_FOUND, "the receipt of the genesis block");
    ask.height = 1;
    ask.index = UINT32_MAX;
    expect(hostile, &request, NOT_FOUND, "the receipt of an envelope that block 1 does not have");
    ask.height = UINT64_MAX;
    expect(hostile, &request, NOT_FOUND, "the receipt of a block that there is not");
}

static void deliveries(struct hostile *hostile) {
    client_request request;
    Ordain__V1__DeliverRequest ask = ORDAIN__V1__DELIVER_REQUEST__INIT;
    client_request_init(&request, hostile->client->config.channel);
    request.kind_case = ORDAIN__V1__REQUEST__KIND_DELIVER;
    request.deliver = &ask;
    ask.from = 1;
    expect(hostile, &request, BAD_REQUEST, "blocks 1 to 0");
    ask.from = UINT64_MAX;
    ask.to = 1;
    expect(hostile, &request, BAD_REQUEST, "blocks 2^64 - 1 to 1");
    ask.to = UINT64_MAX;
    expect(hostile, &request, ORDAIN__V1__STATUS__NOT_READY, "the block of the greatest height");
    ask.from_seek = (Ordain__V1__DeliverRequest__Seek) 7;
    expect(hostile, &request, BAD_REQUEST, "blocks from a place that is none");
    ask.from_seek = ORDAIN__V1__DELIVER_REQUEST__SEEK__OLDEST;
    ask.only_client = (ProtobufCBinaryData) {31, hostile->self.fingerprint.bytes};
    expect(hostile, &request, BAD_REQUEST, "the blocks of a fingerprint of 31 bytes");
}

static void expect_raw(struct hostile *hostile, struct ord_span bytes, const char *what) {
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        Ordain__V1__Status status = hostile_ask_raw(hostile, i, bytes);
        if (status != BAD_REQUEST) {
            hostile_check(hostile, false, "%s: replica %u says %s", what, i, client_status_name(status));
            return;
        }
    }
    hostile_check(hostile, true, "%s: BAD_REQUEST", what);
}

/* Sends bytes that are no protobuf message, and a valid request cut short at every length. */
static void malformed(struct hostile *hostile) {
    static const uint8_t ones[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t huge[] = {0x12, 0x80, 0x80, 0x80, 0x80, 0x10};   /* a submission of 2^32 bytes */
    static const uint8_t almost[] = {0x12, 0xff, 0xff, 0xff, 0xff, 0x0f}; /* a submission of 2^32 - 1 bytes */
    /* A channel name that is not UTF-8, and a field that is cut short. */
    static const uint8_t text[] = {0x0a, 0x02, 0xff, 0xfe, 0x12, 0x05, 0};
    expect_raw(hostile, ord_span_of(ones, sizeof(ones)), "bytes that are not a protobuf message");
    expect_raw(hostile, ord_span_of(huge, sizeof(huge)), "a field of 2^32 bytes");
    expect_raw(hostile, ord_span_of(almost, sizeof(almost)), "a field of 2^32 - 1 bytes");
    expect_raw(hostile, ord_span_of(text, sizeof(text)), "a field that is cut short");

    client_request request;
    struct net_message *message;
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    struct hostile_envelope envelope = hostile_text(hostile, hostile->next, "cut");
    ProtobufCBinaryData bytes = {envelope.size, envelope.data};
    client_request_init(&request, hostile->client->config.channel);
    request.kind_case = ORDAIN__V1__REQUEST__KIND_SUBMIT;
    request.submit = &submit;
    submit.n_envelopes = 1;
    submit.envelopes = &bytes;
    hostile_must(client_request_pack(&message, &request), "request");
    struct ord_span whole = net_message_bytes(message);
    uint32_t silent = 0;
    for (size_t size = 0; size < whole.size; size++) {
        Ordain__V1__Status status =
            hostile_ask_raw(hostile, (uint32_t) (size % hostile->replica_count), ord_span_of(whole.data, size));
        silent += status != BAD_REQUEST && status != NOT_FOUND ? 1 : 0;
    }
    hostile_check(hostile, silent == 0, "a request, cut short at each of its %zu bytes: refused (%u times not)",
                  whole.size, silent);
    net_message_destroy(message);
    hostile_free(&envelope);
}

static void random_requests(struct hostile *hostile) {
    enum { COUNT = 400, SIZE_MAX_HERE = 4096 };
    uint8_t bytes[SIZE_MAX_HERE];
    uint32_t silent = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        size_t size = i < 200 ? i : (size_t) (i - 199) * SIZE_MAX_HERE / 200;
        hostile_must(crypto_random(bytes, size), "random bytes");
        Ordain__V1__Status status = hostile_ask_raw(hostile, i % hostile->replica_count, ord_span_of(bytes, size));
        silent += status != BAD_REQUEST && status != NOT_FOUND ? 1 : 0;
    }
    hostile_check(hostile, silent == 0, "%d requests of random bytes: refused (%u times not)", COUNT, silent);
}

/*
 * A request over the size limit may get no answer, but the next request gets one, and other connections notice nothing.
 */
static void oversized(struct hostile *hostile) {
    const struct channel_config *config = &hostile->client->trust.config;
    size_t size = (size_t) config->absolute_max_bytes * 2 + (4u << 20);
    uint8_t *bytes = hostile_alloc(size);
    struct ordain *other;
    struct ordain_options options;
    char file[CLIENT_PATH_MAX];
    ordain_options_init(&options);
    snprintf(file, sizeof(file), "%s/client/client.cfg", hostile->directory);
    options.config_file = file;
    if (ordain_open(&other, &options, NULL, 0) != ORDAIN_OK)
        hostile_die("a second connection");
    for (uint32_t i = 0; i < hostile->replica_count; i++) {
        struct net_client *net = other->replicas.list[i].net;
        struct net_message *message;
        struct net_message *reply = NULL;
        uint8_t *data;
        hostile_must(net_client_wait(net, HOSTILE_ANSWER_MS), "a second connection");
        hostile_must(net_message_create(&message, &data, size), "message");
        memcpy(data, bytes, size);
        enum ord_err err = net_client_ask(net, &reply, message, 2000);
        if (err == ORD_OK)
            net_message_destroy(reply);
        uint64_t turns;
        bool others = hostile_counter(hostile, &turns, i, "turns");
        client_request request;
        client_response *response;
        Ordain__V1__StatusRequest status = ORDAIN__V1__STATUS_REQUEST__INIT;
        client_request_init(&request, other->config.channel);
        request.kind_case = ORDAIN__V1__REQUEST__KIND_STATUS;
        request.status = &status;
        enum ord_err again = client_ask(&other->replicas, &response, i, &request, HOSTILE_ANSWER_MS);
        client_response_free(response);
        hostile_check(hostile, err != ORD_OK && others && again == ORD_OK,
                      "a request of %zu bytes to replica %u: %s; others are served, and so is the next", size, i,
                      ord_err_name(err));
    }
    ordain_close(other);
    free(bytes);
}

void hostile_requests(struct hostile *hostile) {
    submissions(hostile);
    waits(hostile);
    receipts(hostile);
    deliveries(hostile);
    malformed(hostile);
    random_requests(hostile);
    oversized(hostile);
    hostile_expect_honest(hostile, 0, "a valid envelope after all bad requests");
}
