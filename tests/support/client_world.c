/*
 * Replicas of one channel, with faults on demand.
 */
#include "tests/support/client_world.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "channel/receipt.h"
#include "core/assert.h"
#include "core/codec.h"
#include "crypto/hash.h"
#include "evidence/evidence.h"
#include "net/net.h"

#define WORLD_REPLICAS_MAX 7
#define BATCH_CAPACITY     (8u << 20)
#define LEAVES_MAX         65536
#define TICK_MS            10
#define PLACES             65536u
#define PIECES_MAX         8

/* A cmocka assertion must not fail in a thread of the server: these end the process instead. */
#define WORLD_OK(expression) ORD_ASSERT((expression) == ORD_OK)

struct stored_block {
    struct channel_header header;
    struct ord_hash hash;
    uint8_t *data;
    size_t size;
    struct ord_hash *leaves; /* header.envelope_count */
    struct channel_certificate certificate;
};

/* Where an envelope is; in a table with open addressing. */
struct place {
    bool used;
    bool ordered; /* else it gathers for a batch */
    struct ord_hash id;
    struct ord_hash client;
    uint64_t sequence;
    size_t block_index;
    uint32_t index;
};

/* A wait or deliver that waits for blocks. */
struct pending {
    struct pending *next;
    struct net_request *request;
    uint32_t replica;
    uint64_t until_ms;
};

struct replica {
    struct world *world;
    uint32_t index;
    struct net_server *server;
    uint16_t port;
    struct crypto_private_key key;
    char tls_cert[CRYPTO_PEM_MAX];
    char tls_key[CRYPTO_PEM_MAX];
    struct world_fault fault;
    uint64_t requests;
    uint64_t envelopes;
    uint32_t piece_count;
    struct {
        uint32_t culprit;
        size_t size;
        uint8_t bytes[EVIDENCE_SIZE_MAX];
    } pieces[PIECES_MAX];
};

struct world {
    char folder[WORLD_PATH_MAX];
    char config_file[WORLD_PATH_MAX + 64];
    char second_file[WORLD_PATH_MAX + 64];
    char genesis_file[WORLD_PATH_MAX + 64];
    char ca[CRYPTO_PEM_MAX];
    struct channel_config *config;
    struct ord_hash genesis_hash;
    uint8_t *genesis;
    size_t genesis_size;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t waiter;
    bool closing;
    bool held;
    void *memory;
    struct channel *channel;
    uint64_t seq;
    struct stored_block *blocks; /* block h at h - 1 */
    size_t block_count;
    struct place *places;
    size_t place_count;
    uint8_t *batch; /* what gathers while held */
    size_t batch_size;
    uint32_t batch_count;
    uint32_t envelopes_max;
    struct pending *pending;
    struct replica replicas[WORLD_REPLICAS_MAX];
    uint32_t replica_count;
};

/* ---- Ordering --------------------------------------------------------------------------------------------------- */

static struct ord_crypto_ops hash_ops(void) {
    struct ord_crypto_ops ops = {.hash = crypto_sha256};
    return ops;
}

static void certify(struct world *world, struct stored_block *block) {
    struct channel_certificate *certificate = &block->certificate;
    memset(certificate, 0, sizeof(*certificate));
    certificate->statement.epoch = block->header.epoch;
    certificate->statement.seq = world->seq;
    certificate->statement.height = block->header.height;
    certificate->statement.header_hash = block->hash;
    certificate->count = channel_weak_quorum(world->config);
    for (uint32_t i = 0; i < certificate->count; i++) {
        struct ord_hash hash;
        certificate->signers[i] = i;
        channel_statement_hash(&hash, &world->genesis_hash, &certificate->statement, i);
        WORLD_OK(crypto_sign(&certificate->signatures[i], &world->replicas[i].key, &hash));
    }
}

static struct place *place_of(struct world *world, const struct ord_hash *client, uint64_t sequence) {
    size_t at = (ord_load_u32(client->bytes) + sequence) % PLACES;
    while (world->places[at].used &&
           (world->places[at].sequence != sequence || !ord_hash_equal(&world->places[at].client, client)))
        at = (at + 1) % PLACES;
    return &world->places[at];
}

static void index_block(struct world *world, size_t block_index) {
    struct ord_span left = ord_span_of(world->blocks[block_index].data, world->blocks[block_index].size);
    struct ord_span bytes;
    struct channel_envelope envelope;
    for (uint32_t index = 0; channel_batch_next(&bytes, &left) == ORD_OK; index++) {
        WORLD_OK(channel_envelope_decode(&envelope, bytes));
        if (envelope.kind != CHANNEL_ENVELOPE_TRANSACTIONS)
            continue;
        struct place *place = place_of(world, &envelope.client, envelope.sequence);
        ORD_ASSERT(place->used && !place->ordered); /* it was admitted, and is ordered once */
        place->ordered = true;
        place->block_index = block_index;
        place->index = index;
    }
}

static enum ord_err on_block(void *context, const struct channel_block *block) {
    struct world *world = context;
    world->blocks = realloc(world->blocks, (world->block_count + 1) * sizeof(*world->blocks));
    ORD_ASSERT(world->blocks != NULL);
    struct stored_block *stored = &world->blocks[world->block_count++];
    stored->header = block->header;
    stored->hash = block->header_hash;
    stored->size = block->data.size;
    stored->data = malloc(block->data.size);
    ORD_ASSERT(stored->data != NULL);
    memcpy(stored->data, block->data.data, block->data.size);
    stored->leaves = calloc(block->header.envelope_count, sizeof(*stored->leaves));
    ORD_ASSERT(stored->leaves != NULL);
    const struct ord_crypto_ops ops = hash_ops();
    struct ord_span left = block->data;
    struct ord_span envelope;
    for (uint32_t i = 0; channel_batch_next(&envelope, &left) == ORD_OK; i++)
        ord_merkle_leaf(&ops, &stored->leaves[i], envelope);
    certify(world, stored);
    index_block(world, world->block_count - 1);
    return ORD_OK;
}

static void order(struct world *world) {
    if (world->batch_count == 0 || world->held)
        return;
    uint8_t *bytes = malloc(BATCH_CAPACITY);
    ORD_ASSERT(bytes != NULL);
    struct ord_writer writer = ord_writer_of(bytes, BATCH_CAPACITY);
    channel_batch_begin(&writer, 0);
    struct ord_span left = ord_span_of(world->batch, world->batch_size);
    struct ord_span envelope;
    while (channel_batch_next(&envelope, &left) == ORD_OK)
        channel_batch_add(&writer, envelope);
    WORLD_OK(channel_batch_end(&writer, world->batch_count));
    struct channel_sink sink = {.context = world, .block = on_block};
    struct channel_applied applied;
    WORLD_OK(channel_apply(world->channel, &applied, ++world->seq, ord_writer_span(&writer), &sink));
    free(bytes);
    world->batch_size = 0;
    world->batch_count = 0;
    pthread_cond_broadcast(&world->changed);
}

/* Takes an admitted envelope in; DUPLICATE when another with its number waits already. */
static Ordain__V1__Status enqueue(struct world *world, const struct channel_envelope *admitted,
                                  const struct ord_hash *id) {
    struct ord_span envelope = admitted->bytes;
    struct place *place = place_of(world, &admitted->client, admitted->sequence);
    if (place->used)
        return ord_hash_equal(&place->id, id) ? ORDAIN__V1__STATUS__ACCEPTED : ORDAIN__V1__STATUS__DUPLICATE;
    *place = (struct place) {.used = true, .id = *id, .client = admitted->client, .sequence = admitted->sequence};
    world->place_count++;
    ORD_ASSERT(world->place_count < PLACES / 2);
    ORD_ASSERT(world->batch_size + 4 + envelope.size + 64 <= BATCH_CAPACITY);
    ord_store_u32(world->batch + world->batch_size, (uint32_t) envelope.size);
    memcpy(world->batch + world->batch_size + 4, envelope.data, envelope.size);
    world->batch_size += 4 + envelope.size;
    world->batch_count++;
    ORD_ASSERT(!world->held || world->batch_count < CHANNEL_BATCH_ENVELOPES_MAX + 1);
    if (world->batch_count == CHANNEL_BATCH_ENVELOPES_MAX)
        order(world);
    return ORDAIN__V1__STATUS__ACCEPTED;
}

/* ---- Receipts --------------------------------------------------------------------------------------------------- */

/* malloc'ed receipt of envelope `index` of `block`. */
static uint8_t *make_receipt(struct world *world, size_t *size, const struct replica *replica, size_t block_index,
                             uint32_t index, bool with_envelope) {
    static struct ord_hash leaves[LEAVES_MAX];
    const struct ord_crypto_ops ops = hash_ops();
    struct stored_block *block = &world->blocks[block_index];
    struct channel_receipt receipt = {.header = block->header, .envelope_index = index};
    struct ord_span left = ord_span_of(block->data, block->size);
    struct ord_span envelope;
    for (uint32_t i = 0; with_envelope && i <= index; i++) {
        WORLD_OK(channel_batch_next(&envelope, &left));
        receipt.envelope = envelope;
    }
    uint32_t count = block->header.envelope_count;
    memcpy(leaves, block->leaves, count * sizeof(*leaves));
    receipt.leaf = leaves[index];
    size_t path_size = 0;
    ord_merkle_path(&ops, receipt.path, &path_size, leaves, count, index);
    receipt.path_size = (uint32_t) path_size;
    receipt.certificate = block->certificate;
    uint8_t *later = NULL;
    if (replica->fault.certifies_rarely) {
        size_t later_count = world->block_count - block_index - 1;
        later = malloc(later_count * CHANNEL_HEADER_SIZE + 1);
        ORD_ASSERT(later != NULL);
        for (size_t i = 0; i < later_count; i++)
            channel_header_encode(later + i * CHANNEL_HEADER_SIZE, &world->blocks[block_index + 1 + i].header);
        receipt.later_header_count = (uint32_t) later_count;
        receipt.later_headers = ord_span_of(later, later_count * CHANNEL_HEADER_SIZE);
        receipt.certificate = world->blocks[world->block_count - 1].certificate;
    }
    if (replica->fault.forges_certificates) {
        struct ord_hash hash;
        receipt.header.last_seq++; /* a block that never was */
        channel_header_hash(&receipt.certificate.statement.header_hash, &receipt.header);
        receipt.certificate.statement.seq++;
        for (uint32_t i = 0; i < receipt.certificate.count; i++) {
            channel_statement_hash(&hash, &world->genesis_hash, &receipt.certificate.statement, i);
            WORLD_OK(crypto_sign(&receipt.certificate.signatures[i], &replica->key, &hash));
        }
    }
    if (replica->fault.forges_receipts)
        receipt.leaf.bytes[3] ^= 1;
    size_t capacity = channel_receipt_size(&receipt);
    uint8_t *bytes = malloc(capacity);
    ORD_ASSERT(bytes != NULL);
    struct ord_writer writer = ord_writer_of(bytes, capacity);
    WORLD_OK(channel_receipt_encode(&writer, &receipt));
    *size = writer.size;
    free(later);
    return bytes;
}

/* Where a client's envelope is. */
static bool locate(struct world *world, size_t *block_index, uint32_t *index, struct ord_span client,
                   uint64_t sequence) {
    struct ord_hash fingerprint;
    if (client.size != ORD_HASH_SIZE)
        return false;
    memcpy(fingerprint.bytes, client.data, ORD_HASH_SIZE);
    const struct place *place = place_of(world, &fingerprint, sequence);
    *block_index = place->block_index;
    *index = place->index;
    return place->used && place->ordered;
}

/* A receipt of client and sequence as this replica gives it, faults included; NULL: none. */
static uint8_t *receipt_for(struct world *world, size_t *size, const struct replica *replica, struct ord_span client,
                            uint64_t sequence, bool with_envelope) {
    size_t block_index = 0;
    uint32_t index = 0;
    if (replica->fault.drops)
        return NULL;
    if (replica->fault.other_receipts && world->block_count > 0)
        return make_receipt(world, size, replica, 0, 0, with_envelope);
    if (!locate(world, &block_index, &index, client, sequence))
        return NULL;
    return make_receipt(world, size, replica, block_index, index, with_envelope);
}

/* ---- Answers ---------------------------------------------------------------------------------------------------- */

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

/* Admission, as a replica does it. */
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
    enum ord_err err = channel_judge(world->channel, &key, &client_index, &envelope);
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
            receipt->data = receipt_for(world, &receipt->len, replica,
                                        ord_span_of(envelope.client.bytes, ORD_HASH_SIZE), envelope.sequence, false);
            return ORDAIN__V1__STATUS__DUPLICATE;
        case CHANNEL_SEQUENCE_OLD:
            return ORDAIN__V1__STATUS__DUPLICATE;
        case CHANNEL_SEQUENCE_AHEAD:
            *words = "sequence too far ahead";
            return ORDAIN__V1__STATUS__BAD_REQUEST;
        }
    }
    return replica->fault.drops ? ORDAIN__V1__STATUS__ACCEPTED : enqueue(world, &envelope, &id);
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
    order(world);
}

/* Answers a wait when it is complete, or its time is over; false: not yet. */
static bool on_wait(struct world *world, struct replica *replica, struct net_request *request,
                    const Ordain__V1__WaitRequest *wait, bool over) {
    Ordain__V1__WaitResult *results = calloc(wait->n_sequences + 1, sizeof(*results));
    Ordain__V1__WaitResult **pointers = calloc(wait->n_sequences + 1, sizeof(*pointers));
    ORD_ASSERT(results != NULL && pointers != NULL);
    size_t count = 0;
    for (size_t i = 0; i < wait->n_sequences; i++) {
        size_t size = 0;
        uint8_t *bytes = receipt_for(world, &size, replica, span_of(&wait->client), wait->sequences[i], false);
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
        bytes = receipt_for(world, &size, replica, span_of(&ask->client), ask->sequence, true);
    else if (ask->height >= 1 && ask->height <= world->block_count &&
             ask->index < world->blocks[ask->height - 1].header.envelope_count)
        bytes = make_receipt(world, &size, replica, ask->height - 1, ask->index, true);
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

/* One block as this replica gives it. */
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
    ProtobufCBinaryData pieces[PIECES_MAX];
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

/* ---- Requests --------------------------------------------------------------------------------------------------- */

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000u + (uint64_t) now.tv_nsec / 1000000u;
}

/* Under the lock. False: it must wait. */
static bool serve(struct world *world, struct replica *replica, struct net_request *request, bool over,
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
    } else {
        done = serve(world, replica, request, false, &timeout_ms);
    }
    if (!done) {
        struct pending *pending = calloc(1, sizeof(*pending));
        ORD_ASSERT(pending != NULL);
        pending->request = request;
        pending->replica = replica->index;
        pending->until_ms = now_ms() + timeout_ms;
        pending->next = world->pending;
        world->pending = pending;
    }
    pthread_mutex_unlock(&world->lock);
}

/* Looks after requests that wait: when something changed, when their time is over, and when their replica ends. */
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
            } else if (!serve(world, replica, pending->request, now_ms() >= pending->until_ms, &timeout_ms)) {
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

/* ---- Life ------------------------------------------------------------------------------------------------------- */

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
    WORLD_OK(crypto_tls_create(&tls, tls_ca, "org", name, NULL, 30));
    write_file(folder, "identity.key", identity.key, strlen(identity.key), 0600);
    write_file(folder, "identity.crt", identity.cert, strlen(identity.cert), 0644);
    write_file(folder, "tls.key", tls.key, strlen(tls.key), 0600);
    write_file(folder, "tls.crt", tls.cert, strlen(tls.cert), 0644);
    int size = snprintf(text, sizeof(text),
                        "channel = \"test\";\ngenesis = \"../genesis.block\";\nidentity_key = \"identity.key\";\n"
                        "identity_cert = \"identity.crt\";\ntls_ca = \"../ca-bundle.crt\";\ntls_cert = \"tls.crt\";\n"
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
    channel_config_defaults(config);
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
        replica->key.bytes[0] = 1; /* under the group's order */
        WORLD_OK(crypto_public_key(&config->replicas[i].key, &replica->key));
        snprintf(config->replicas[i].host, sizeof(config->replicas[i].host), "127.0.0.1");
        config->replicas[i].replica_port = (uint16_t) (20000 + i);
        config->replicas[i].client_port = (uint16_t) (30000 + i); /* client.cfg has the real ones */
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
    world->batch = malloc(BATCH_CAPACITY);
    world->places = calloc(PLACES, sizeof(*world->places));
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
        WORLD_OK(crypto_tls_create(&tls, &ca, "org", "replica", NULL, 30));
        memcpy(replica->tls_cert, tls.cert, sizeof(replica->tls_cert));
        memcpy(replica->tls_key, tls.key, sizeof(replica->tls_key));
        open_server(replica);
    }
    write_file(world->folder, "genesis.block", world->genesis, world->genesis_size, 0644);
    write_file(world->folder, "ca-bundle.crt", ca.cert, strlen(ca.cert), 0644);
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
    static const char *const names[] = {
        "client/identity.key", "client/identity.crt", "client/tls.key", "client/tls.crt", "client/client.cfg",
        "second/identity.key", "second/identity.crt", "second/tls.key", "second/tls.crt", "second/client.cfg",
        "genesis.block",       "ca-bundle.crt",       "client",         "second",         ""};
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
    order(world);
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
    ORD_ASSERT(keeper->piece_count < PIECES_MAX);
    keeper->pieces[keeper->piece_count].culprit = culprit;
    keeper->pieces[keeper->piece_count].size = evidence_encode(keeper->pieces[keeper->piece_count].bytes, &evidence);
    keeper->piece_count++;
    pthread_mutex_unlock(&world->lock);
}
