/* What a replica of the world answers, with its faults. */
#include "tests/support/client_world_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "tests/support/channel_judge.h"

static void reply(struct net_request *request, const Ordain__V1__Response *response) {
    struct net_message *message = NULL;
    uint8_t *data = NULL;
    WORLD_OK(net_message_create(&message, &data, ordain__v1__response__get_packed_size(response)));
    ordain__v1__response__pack(response, data);
    net_request_reply(request, message);
}

static void reply_status(struct net_request *request, Ordain__V1__Status status, const char *words,
                         uint32_t retry_after_ms) {
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    response.status = status;
    response.message = (char *) (uintptr_t) words;
    response.retry_after_ms = retry_after_ms;
    reply(request, &response);
}

static struct ord_span span_of(const ProtobufCBinaryData *data) {
    return ord_span_of(data->data, data->len);
}

/* Admits or refuses an envelope as a replica does. */
static Ordain__V1__Status admit(struct world *world, struct replica *replica, struct ord_span bytes, const char **words,
                                ProtobufCBinaryData *receipt) {
    struct channel_envelope envelope;
    struct crypto_verify_key key;
    struct ord_hash id;
    uint32_t client_index = 0;
    *words = "";
    if (channel_envelope_decode(&envelope, bytes) != ORD_OK) {
        *words = "malformed envelope";
        return ORDAIN__V1__STATUS__BAD_REQUEST;
    }
    bool registration = envelope.kind == CHANNEL_ENVELOPE_REGISTER;
    if (registration)
        replica->fault.unknown_client = false;
    else if (replica->fault.refuses_with != 0)
        return replica->fault.refuses_with;
    else if (replica->fault.unknown_client)
        return ORDAIN__V1__STATUS__UNKNOWN_CLIENT;
    if (replica->fault.busy_results > 0 && !registration) {
        replica->fault.busy_results--;
        return ORDAIN__V1__STATUS__BUSY;
    }
    enum ord_err err = judge_whole(world->channel, world->config, &key, &envelope);
    if (err == ORD_ERR_UNKNOWN_CLIENT)
        return ORDAIN__V1__STATUS__UNKNOWN_CLIENT;
    if (err == ORD_ERR_TOO_LARGE)
        return ORDAIN__V1__STATUS__TOO_LARGE;
    if (err == ORD_ERR_FORBIDDEN) {
        *words = "this certificate is not of a member";
        return ORDAIN__V1__STATUS__FORBIDDEN;
    }
    if (err != ORD_OK)
        return ORDAIN__V1__STATUS__BAD_REQUEST;
    channel_envelope_id(&id, envelope.body);
    if (!crypto_verify(&key, &id, &envelope.signature)) {
        *words = "wrong signature";
        return ORDAIN__V1__STATUS__FORBIDDEN;
    }
    const struct channel_client *client = channel_client_find(world->channel, &client_index, &envelope.client);
    if (registration && client != NULL)
        return ORDAIN__V1__STATUS__DUPLICATE;
    if (!registration) {
        switch (channel_sequence_check(client, envelope.sequence)) {
        case CHANNEL_SEQUENCE_FRESH:
            break;
        case CHANNEL_SEQUENCE_SEEN:
            receipt->data =
                world_receipt_for(world, &receipt->len, replica, ord_span_of(envelope.client.bytes, ORD_HASH_SIZE),
                                  envelope.sequence, false);
            return ORDAIN__V1__STATUS__DUPLICATE;
        case CHANNEL_SEQUENCE_OLD:
            return ORDAIN__V1__STATUS__DUPLICATE;
        case CHANNEL_SEQUENCE_AHEAD:
            *words = "sequence too far ahead";
            return ORDAIN__V1__STATUS__BAD_REQUEST;
        }
    }
    return replica->fault.drops ? ORDAIN__V1__STATUS__ACCEPTED : world_enqueue(world, &envelope, &id);
}

static void on_submit(struct world *world, struct replica *replica, struct net_request *request,
                      const Ordain__V1__SubmitRequest *submit) {
    replica->requests++;
    replica->envelopes += submit->n_envelopes;
    if (submit->n_envelopes > world->envelopes_max)
        world->envelopes_max = (uint32_t) submit->n_envelopes;
    if (replica->fault.busy_requests > 0) {
        replica->fault.busy_requests--;
        reply_status(request, ORDAIN__V1__STATUS__BUSY, "the pool is full", replica->fault.retry_after_ms);
        return;
    }
    size_t count = replica->fault.empty_results ? 0 : submit->n_envelopes;
    Ordain__V1__SubmitResult *results = calloc(count + 1, sizeof(*results));
    Ordain__V1__SubmitResult **pointers = calloc(count + 1, sizeof(*pointers));
    ORD_ASSERT(results != NULL && pointers != NULL);
    for (size_t i = 0; i < count; i++) {
        const char *words = "";
        ordain__v1__submit_result__init(&results[i]);
        results[i].status = admit(world, replica, span_of(&submit->envelopes[i]), &words, &results[i].receipt);
        results[i].message = (char *) (uintptr_t) words;
        pointers[i] = &results[i];
    }
    Ordain__V1__SubmitResponse said = ORDAIN__V1__SUBMIT_RESPONSE__INIT;
    said.n_results = count;
    said.results = pointers;
    said.leader_hint = replica->fault.leader_hint;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    response.status = ORDAIN__V1__STATUS__OK;
    response.retry_after_ms = replica->fault.retry_after_ms;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_SUBMIT;
    response.submit = &said;
    reply(request, &response);
    for (size_t i = 0; i < count; i++)
        free(results[i].receipt.data);
    free(results);
    free(pointers);
    world_order(world);
}

/* Answers a wait if it is complete or its time is over. False: not yet. */
static bool on_wait(struct world *world, struct replica *replica, struct net_request *request,
                    const Ordain__V1__WaitRequest *wait, bool over) {
    Ordain__V1__WaitResult *results = calloc(wait->n_sequences + 1, sizeof(*results));
    Ordain__V1__WaitResult **pointers = calloc(wait->n_sequences + 1, sizeof(*pointers));
    ORD_ASSERT(results != NULL && pointers != NULL);
    size_t count = 0;
    for (size_t i = 0; i < wait->n_sequences; i++) {
        size_t size = 0;
        uint8_t *bytes = world_receipt_for(world, &size, replica, span_of(&wait->client), wait->sequences[i], false);
        if (bytes == NULL)
            continue;
        ordain__v1__wait_result__init(&results[count]);
        results[count].sequence = wait->sequences[i];
        results[count].receipt = (ProtobufCBinaryData) {size, bytes};
        pointers[count] = &results[count];
        count++;
    }
    bool done = over || count == wait->n_sequences;
    if (done) {
        Ordain__V1__WaitResponse said = ORDAIN__V1__WAIT_RESPONSE__INIT;
        said.n_results = count;
        said.results = pointers;
        Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
        response.status = ORDAIN__V1__STATUS__OK;
        response.kind_case = ORDAIN__V1__RESPONSE__KIND_WAIT;
        response.wait = &said;
        reply(request, &response);
    }
    for (size_t i = 0; i < count; i++)
        free(results[i].receipt.data);
    free(results);
    free(pointers);
    return done;
}

static void on_receipt(struct world *world, struct replica *replica, struct net_request *request,
                       const Ordain__V1__ReceiptRequest *ask) {
    size_t size = 0;
    uint8_t *bytes = NULL;
    if (!ask->by_place)
        bytes = world_receipt_for(world, &size, replica, span_of(&ask->client), ask->sequence, true);
    else if (ask->height >= 1 && ask->height <= world->block_count &&
             ask->index < world->blocks[ask->height - 1].header.envelope_count)
        bytes = world_receipt(world, &size, replica, ask->height - 1, ask->index, true);
    if (bytes == NULL) {
        reply_status(request, ORDAIN__V1__STATUS__NOT_FOUND, "no such envelope", 0);
        return;
    }
    Ordain__V1__ReceiptResponse said = ORDAIN__V1__RECEIPT_RESPONSE__INIT;
    said.receipt = (ProtobufCBinaryData) {size, bytes};
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_RECEIPT;
    response.receipt = &said;
    reply(request, &response);
    free(bytes);
}

/* Fills in a block as this replica gives it, with its faults. */
static void fill_block(struct world *world, const struct replica *replica, Ordain__V1__Block *out, uint64_t height,
                       uint8_t *header, uint8_t *certificate) {
    struct stored_block *block = &world->blocks[height - 1];
    ordain__v1__block__init(out);
    channel_header_encode(header, &block->header);
    out->header = (ProtobufCBinaryData) {CHANNEL_HEADER_SIZE, header};
    out->data.len = block->size;
    out->data.data = malloc(block->size);
    ORD_ASSERT(out->data.data != NULL);
    memcpy(out->data.data, block->data, block->size);
    if (replica->fault.forges_data)
        out->data.data[block->size - 1] ^= 1;
    struct channel_certificate mine = block->certificate;
    if (replica->fault.forges_certificates)
        for (uint32_t i = 0; i < mine.count; i++) {
            struct ord_hash hash;
            channel_statement_hash(&hash, &world->genesis_hash, &mine.statement, i);
            WORLD_OK(crypto_sign(&mine.signatures[i], &replica->key, &hash));
        }
    if (!replica->fault.certifies_rarely)
        out->certificate = (ProtobufCBinaryData) {channel_certificate_encode(certificate, &mine), certificate};
}

static bool on_deliver(struct world *world, struct replica *replica, struct net_request *request,
                       const Ordain__V1__DeliverRequest *ask, bool over) {
    enum { BLOCKS_A_REPLY = 16 };
    static uint8_t headers[BLOCKS_A_REPLY][CHANNEL_HEADER_SIZE];
    static uint8_t certificates[BLOCKS_A_REPLY][CHANNEL_CERTIFICATE_SIZE_MAX];
    uint64_t newest = world->block_count;
    if (replica->fault.busy_delivers > 0) {
        replica->fault.busy_delivers--;
        reply_status(request, ORDAIN__V1__STATUS__BUSY, "too much is unread", 50);
        return true;
    }
    if (replica->fault.withholds)
        newest /= 2;
    uint64_t from = ask->from_seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__NEWEST   ? newest
                    : ask->from_seek == ORDAIN__V1__DELIVER_REQUEST__SEEK__OLDEST ? 1
                                                                                  : ask->from;
    uint64_t to = ask->to_newest || ask->to > newest ? newest : ask->to;
    if (from == 0 || from > newest) {
        if (!over && ask->timeout_ms > 0)
            return false;
        reply_status(request, ORDAIN__V1__STATUS__NOT_READY, "", 0);
        return true;
    }
    Ordain__V1__Block blocks[BLOCKS_A_REPLY];
    Ordain__V1__Block *pointers[BLOCKS_A_REPLY];
    size_t count = 0;
    for (; count < BLOCKS_A_REPLY && from + count <= to; count++) {
        fill_block(world, replica, &blocks[count], from + count, headers[count], certificates[count]);
        pointers[count] = &blocks[count];
    }
    Ordain__V1__DeliverResponse said = ORDAIN__V1__DELIVER_RESPONSE__INIT;
    said.n_blocks = count;
    said.blocks = pointers;
    said.newest = newest;
    uint8_t *later = NULL;
    uint8_t certificate[CHANNEL_CERTIFICATE_SIZE_MAX];
    if (replica->fault.certifies_rarely) {
        uint64_t last = from + count - 1;
        size_t later_count = world->block_count - last;
        later = malloc(later_count * CHANNEL_HEADER_SIZE + 1);
        ORD_ASSERT(later != NULL);
        for (size_t i = 0; i < later_count; i++)
            channel_header_encode(later + i * CHANNEL_HEADER_SIZE, &world->blocks[last + i].header);
        said.later_headers = (ProtobufCBinaryData) {later_count * CHANNEL_HEADER_SIZE, later};
        said.certificate = (ProtobufCBinaryData) {
            channel_certificate_encode(certificate, &world->blocks[world->block_count - 1].certificate), certificate};
    }
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_DELIVER;
    response.deliver = &said;
    reply(request, &response);
    for (size_t i = 0; i < count; i++)
        free(blocks[i].data.data);
    free(later);
    return true;
}

static void on_client(struct world *world, const struct replica *replica, struct net_request *request,
                      const Ordain__V1__ClientRequest *ask) {
    struct ord_hash fingerprint = {{0}};
    uint32_t client_index = 0;
    if (ask->client.len == ORD_HASH_SIZE)
        memcpy(fingerprint.bytes, ask->client.data, ORD_HASH_SIZE);
    const struct channel_client *client = channel_client_find(world->channel, &client_index, &fingerprint);
    Ordain__V1__ClientResponse said = ORDAIN__V1__CLIENT_RESPONSE__INIT;
    said.registered = client != NULL;
    said.highest_sequence = client == NULL ? 0 : client->highest_sequence;
    if (replica->fault.claims_sequence != 0)
        said.highest_sequence = replica->fault.claims_sequence;
    said.genesis_hash = (ProtobufCBinaryData) {ORD_HASH_SIZE, world->genesis_hash.bytes};
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_CLIENT;
    response.client = &said;
    reply(request, &response);
}

static void on_status(struct world *world, const struct replica *replica, struct net_request *request) {
    Ordain__V1__Counter counter = ORDAIN__V1__COUNTER__INIT;
    Ordain__V1__Counter *counters = &counter;
    char name[] = "client_signatures_checked";
    char consensus[] = "solo";
    char version[] = "0.1.0";
    counter.name = name;
    counter.value = replica->envelopes;
    Ordain__V1__StatusResponse said = ORDAIN__V1__STATUS_RESPONSE__INIT;
    said.replica = replica->index;
    said.consensus = consensus;
    said.version = version;
    said.leader = 1;
    said.height = said.certified_height = world->block_count;
    said.seq = world->seq;
    said.intake_open = true;
    said.silent = replica->fault.silent;
    said.genesis_hash = (ProtobufCBinaryData) {ORD_HASH_SIZE, world->genesis_hash.bytes};
    said.n_counters = 1;
    said.counters = &counters;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_REPLICA;
    response.replica = &said;
    reply(request, &response);
}

static void on_evidence(struct replica *replica, struct net_request *request, uint32_t against) {
    ProtobufCBinaryData pieces[WORLD_PIECES_MAX];
    Ordain__V1__EvidenceResponse said = ORDAIN__V1__EVIDENCE_RESPONSE__INIT;
    said.pieces = pieces;
    for (uint32_t i = 0; i < replica->piece_count; i++)
        if (against == 0 || against == replica->pieces[i].culprit + 1)
            pieces[said.n_pieces++] = (ProtobufCBinaryData) {replica->pieces[i].size, replica->pieces[i].bytes};
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_EVIDENCE;
    response.evidence = &said;
    reply(request, &response);
}

/* Called with the lock. False: the request must wait. */
bool world_serve(struct world *world, struct replica *replica, struct net_request *request, bool over,
                 uint32_t *timeout_ms) {
    struct ord_span bytes = net_request_bytes(request);
    Ordain__V1__Request *asked = ordain__v1__request__unpack(NULL, bytes.size, bytes.data);
    bool done = true;
    *timeout_ms = 0;
    if (asked == NULL) {
        reply_status(request, ORDAIN__V1__STATUS__BAD_REQUEST, "malformed request", 0);
        return true;
    }
    if (strcmp(asked->channel, world->config->name) != 0) {
        reply_status(request, ORDAIN__V1__STATUS__NOT_FOUND, "no such channel", 0);
    } else {
        switch ((int) asked->kind_case) {
        case ORDAIN__V1__REQUEST__KIND_SUBMIT:
            on_submit(world, replica, request, asked->submit);
            break;
        case ORDAIN__V1__REQUEST__KIND_WAIT:
            *timeout_ms = asked->wait->timeout_ms;
            done = on_wait(world, replica, request, asked->wait, over);
            break;
        case ORDAIN__V1__REQUEST__KIND_RECEIPT:
            on_receipt(world, replica, request, asked->receipt);
            break;
        case ORDAIN__V1__REQUEST__KIND_DELIVER:
            *timeout_ms = asked->deliver->timeout_ms;
            done = on_deliver(world, replica, request, asked->deliver, over);
            break;
        case ORDAIN__V1__REQUEST__KIND_STATUS:
            on_status(world, replica, request);
            break;
        case ORDAIN__V1__REQUEST__KIND_CLIENT:
            on_client(world, replica, request, asked->client);
            break;
        case ORDAIN__V1__REQUEST__KIND_EVIDENCE:
            on_evidence(replica, request, asked->evidence->against);
            break;
        case ORDAIN__V1__REQUEST__KIND__NOT_SET:
        default:
            reply_status(request, ORDAIN__V1__STATUS__BAD_REQUEST, "nothing asked", 0);
            break;
        }
    }
    ordain__v1__request__free_unpacked(asked, NULL);
    return done;
}
