/*
 * Lies around the core: floods, attestations and certificates, forwards, and state transfer.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/wire/message.h"
#include "core/assert.h"
#include "replica/intake/forward.h"
#include "sim/liar_internal.h"

/* Row T9: messages each of which is valid. */
void sim_lie_flood(struct sim_replica *liar) {
    uint64_t count = sim_between(&liar->random, 10, 100);
    for (uint64_t i = 0; i < count; i++) {
        const struct sim_kept *kept = sim_liar_kept(liar, 0);
        if (kept != NULL && kept->from == liar->id)
            sim_liar_say_all(liar, kept->kind, sim_buffer_span(kept->message));
    }
    if (liar->world->replica_count == 1)
        return;
    uint8_t request[25] = {(uint8_t) sim_between(&liar->random, 0, 3)};
    ord_store_u64(request + 1, sim_below(&liar->random, 20));
    ord_store_u64(request + 9, sim_chance(&liar->random, 300000) ? UINT64_MAX : sim_below(&liar->random, 100));
    ord_store_u64(request + 17, sim_below(&liar->random, 200));
    sim_liar_say_all(liar, REPLICA_LINK_SYNC_REQUEST, ord_span_of(request, sizeof(request)));
}

static void sign_attestation(struct sim_replica *liar, ord_node_id to, const struct channel_statement *statement) {
    struct channel_attestation attestation;
    uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
    sim_liar_attest(liar, &attestation, statement);
    channel_attestation_encode(bytes, &attestation);
    sim_liar_say(liar, to, REPLICA_LINK_ATTESTATION, ord_span_of(bytes, sizeof(bytes)));
}

/* Certificates that prove less than they claim. */
static void false_certificate(struct sim_replica *liar, ord_node_id to, struct ord_span message) {
    struct channel_certificate certificate;
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    if (channel_certificate_decode(&certificate, message) != ORD_OK)
        return;
    switch (sim_below(&liar->random, 6)) {
    /* Enough signers, but all of them are the liar, or did not sign. */
    case 5:
        certificate.statement.seq += 1 + sim_below(&liar->random, 20);
        certificate.statement.state_digest.bytes[0] ^= 1;
        sim_forge_certificate(liar, &certificate, certificate.count, sim_chance(&liar->random, 500000));
        break;
    /* The liar's attestation alone, for a state that never was. */
    case 4:
        certificate.statement.seq += 1 + sim_below(&liar->random, 20);
        certificate.statement.state_digest.bytes[0] ^= 1;
        sim_liar_attest_alone(liar, &certificate);
        break;
    case 0:
        certificate.statement.seq += 1 + sim_below(&liar->random, 100);
        break;
    case 1:
        certificate.count = (uint32_t) sim_between(&liar->random, 1, certificate.count);
        break;
    case 2:
        certificate.signers[certificate.count - 1] = certificate.signers[0];
        break;
    default:
        certificate.statement.state_digest.bytes[0] ^= 1;
        break;
    }
    sim_liar_say(liar, to, REPLICA_LINK_CERTIFICATE,
                 ord_span_of(bytes, channel_certificate_encode(bytes, &certificate)));
}

bool sim_lie_attest(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct channel_attestation attestation;
    if (kind == REPLICA_LINK_CERTIFICATE) {
        false_certificate(liar, to, sim_buffer_span(message));
        return true;
    }
    if (kind != REPLICA_LINK_ATTESTATION ||
        channel_attestation_decode(&attestation, sim_buffer_span(message)) != ORD_OK)
        return false;
    struct channel_statement statement = attestation.statement;
    switch (sim_below(&liar->random, 6)) {
    case 0:
        statement.state_digest.bytes[0] ^= 1;
        break;
    case 1:
        statement.header_hash.bytes[0] ^= 1;
        break;
    case 2:
        statement.height += 1 + sim_below(&liar->random, 5);
        break;
    case 3:
        statement.seq += 1 + sim_below(&liar->random, 1000);
        break;
    case 4:
        statement.seq = UINT64_MAX - sim_below(&liar->random, 2);
        break;
    default:
        statement.epoch++;
        break;
    }
    sign_attestation(liar, to, &statement);
    return sim_chance(&liar->random, 500000);
}

/* Row P19: offers of what it does not have, and requests for what it was not offered or was given. */
static void false_names(struct sim_replica *liar) {
    uint8_t names[20 * FORWARD_NAME_SIZE + 1] = {0};
    size_t size = (size_t) sim_between(&liar->random, 0, 20) * FORWARD_NAME_SIZE + sim_chance(&liar->random, 100000);
    enum replica_link kind = sim_chance(&liar->random, 500000) ? REPLICA_LINK_OFFER : REPLICA_LINK_WANT;
    for (uint8_t *at = names; at + FORWARD_NAME_SIZE <= names + size; at += FORWARD_NAME_SIZE) {
        ord_store_u32(at, sim_chance(&liar->random, 100000) ? UINT32_MAX : (uint32_t) sim_below(&liar->random, 6));
        ord_store_u64(at + 4, sim_below(&liar->random, 200));
    }
    sim_liar_say_all(liar, kind, ord_span_of(names, size));
    const struct sim_kept *kept = sim_liar_kept(liar, REPLICA_LINK_OFFER);
    if (kept != NULL)
        sim_liar_say_all(liar, sim_chance(&liar->random, 500000) ? REPLICA_LINK_OFFER : REPLICA_LINK_WANT,
                         sim_buffer_span(kept->message));
}

/*
 * Registrations that no authority signed: some bytes of a good certificate's signature are changed. Each takes as long
 * to verify as tens of signatures.
 */
static void forward_forged_registrations(struct sim_replica *liar) {
    const struct sim_identities *identities = sim_identities_get();
    struct ord_writer writer = sim_writer(sim_liar_config(liar)->batch_bytes_max);
    uint32_t count = (uint32_t) sim_between(&liar->random, 1, 200);
    uint32_t made = 0;
    channel_batch_begin(&writer, 0);
    for (; made < count; made++) {
        uint8_t bytes[CRYPTO_CERT_DER_MAX + 512];
        struct ord_writer envelope = ord_writer_of(bytes, sizeof(bytes));
        struct sim_identity forged = identities->parties[sim_below(&liar->random, SIM_CLIENTS)];
        ord_store_u64(forged.cert + forged.cert_size - 8, sim_roll(&liar->random));
        const struct ord_span certificate = ord_span_of(forged.cert, forged.cert_size);
        struct channel_envelope header = {.kind = CHANNEL_ENVELOPE_REGISTER, .genesis_hash = liar->world->genesis_hash};
        crypto_cert_fingerprint(&header.client, certificate);
        ORD_ASSERT(channel_envelope_encode(&envelope, &header, &certificate, 1, NULL) == ORD_OK);
        if (writer.size + 4 + envelope.size > writer.capacity)
            break;
        channel_batch_add(&writer, ord_writer_span(&envelope));
    }
    if (channel_batch_end(&writer, made) == ORD_OK && made > 0)
        sim_liar_say_all(liar, REPLICA_LINK_FORWARD, ord_writer_span(&writer));
    free(writer.data);
}

/* Row P8: envelopes in the names of known clients, which did not make them. */
void sim_lie_forward(struct sim_replica *liar) {
    if (sim_chance(&liar->random, 250000)) {
        forward_forged_registrations(liar);
        return;
    }
    false_names(liar);
    const struct sim_kept *kept = sim_liar_kept(liar, REPLICA_LINK_FORWARD);
    if (kept != NULL) {
        struct sim_buffer *copy = sim_liar_scratch(liar, sim_buffer_span(kept->message));
        sim_liar_say_all(liar, REPLICA_LINK_FORWARD, sim_buffer_span(copy));
        sim_buffer_release(copy);
    }
    struct sim_buffer *old = sim_liar_old_envelope(liar);
    if (old == NULL)
        return;
    sim_liar_renumber(liar, old);
    sim_liar_forward(liar, old);
    sim_buffer_release(old);
}

/* Row C2: one bit of an envelope is changed; headers and certificate stay as they were. */
static struct sim_buffer *other_data(struct sim_replica *liar, const struct sim_buffer *piece) {
    struct sim_buffer *copy = sim_buffer_create(sim_buffer_span(piece));
    struct ord_reader reader = ord_reader_of(sim_buffer_span(piece));
    (void) ord_read_u64(&reader); /* the first height */
    (void) ord_read_u32(&reader); /* number of blocks */
    struct ord_span left = ord_read_span(&reader, ord_reader_left(&reader));
    struct ord_span block;
    if (reader.failed || channel_batch_next(&block, &left) != ORD_OK || block.size <= CHANNEL_HEADER_SIZE)
        return copy;
    size_t first = (size_t) (block.data - piece->data) + CHANNEL_HEADER_SIZE;
    size_t at = first + (size_t) sim_below(&liar->random, block.size - CHANNEL_HEADER_SIZE);
    copy->data[at] ^= (uint8_t) (1u << sim_below(&liar->random, 8));
    return copy;
}

/* Row C4, case Q2: each answer comes just before 500 ms are over. */
bool sim_lie_drip(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    if (kind != REPLICA_LINK_SYNC_BLOCKS && kind != REPLICA_LINK_SYNC_TAIL)
        return false;
    sim_liar_later(liar, to, kind, message, 490000);
    return true;
}

/* Rows C2, C4, C5: pieces and tails that are wrong, or that never come. */
bool sim_lie_source(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    if (kind != REPLICA_LINK_SYNC_BLOCKS && kind != REPLICA_LINK_SYNC_TAIL)
        return false;
    struct sim_buffer *copy;
    const struct sim_kept *kept;
    switch (sim_below(&liar->random, 6)) {
    case 0:
        return true;
    case 5:
        if (kind == REPLICA_LINK_SYNC_TAIL)
            return false;
        copy = other_data(liar, message);
        break;
    case 1:
        kept = sim_liar_kept(liar, kind);
        sim_liar_pass(liar, to, kind, kept == NULL ? message : kept->message);
        return true;
    case 2: /* says that it has none */
        copy = sim_buffer_create(sim_buffer_span(message));
        copy->size = copy->size < 12 ? copy->size : 12;
        if (copy->size == 12)
            ord_store_u32(copy->data + 8, 0);
        break;
    case 3:
        sim_liar_later(liar, to, kind, message, sim_spread(&liar->random, 1000000));
        return true;
    default:
        copy = sim_liar_scratch(liar, sim_buffer_span(message));
        break;
    }
    sim_liar_give(liar, to, kind, copy);
    return true;
}
