/*
 * Tools of the liars' behaviours: their ways to the network, their key, and the messages that they kept.
 */
#include "core/assert.h"
#include "sim/liar_internal.h"

void sim_liar_pass(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    sim_network_send(liar->world, liar->instance, to, kind, sim_buffer_hold(message));
}

void sim_liar_give(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    sim_network_send(liar->world, liar->instance, to, kind, message);
}

void sim_liar_say(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct ord_span bytes) {
    sim_network_send(liar->world, liar->instance, to, kind, sim_buffer_create(bytes));
}

void sim_liar_say_all(struct sim_replica *liar, enum replica_link kind, struct ord_span bytes) {
    for (ord_node_id to = 0; to < liar->world->replica_count; to++)
        if (to != liar->id)
            sim_liar_say(liar, to, kind, bytes);
}

void sim_liar_later(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message,
                    uint64_t delay_us) {
    const struct sim_event event = {
        .kind = SIM_LIE, .target = liar->instance, .a = kind, .b = to, .buffer = sim_buffer_hold(message)};
    sim_plan_event(liar->world, delay_us, &event);
}

void sim_liar_begin(const struct sim_replica *liar, struct ord_writer *writer, uint64_t cut_height) {
    struct ord_status status = sim_process_status(liar->process);
    if (status.names_view)
        channel_batch_begin_view(writer, cut_height, status.view);
    else
        channel_batch_begin(writer, cut_height);
}

void sim_liar_sign(struct sim_replica *liar, struct ord_signature *out, const struct ord_hash *hash) {
    const struct ord_signer signer = sim_crypto_signer(&liar->world->crypto, liar->id);
    ORD_ASSERT(signer.sign(signer.context, out, hash) == ORD_OK);
}

void sim_liar_attest(struct sim_replica *liar, struct channel_attestation *out,
                     const struct channel_statement *statement) {
    const struct ord_signer signer = sim_crypto_signer(&liar->world->crypto, liar->id);
    ORD_ASSERT(channel_attest(out, &liar->world->genesis_hash, statement, liar->id, &signer) == ORD_OK);
}

void sim_liar_attest_alone(struct sim_replica *liar, struct channel_certificate *out) {
    struct channel_attestation attestation;
    sim_liar_attest(liar, &attestation, &out->statement);
    out->count = 1;
    out->signers[0] = liar->id;
    out->signatures[0] = attestation.signature;
}

const struct sim_kept *sim_liar_kept(struct sim_replica *liar, enum replica_link kind) {
    const struct sim_kept *kept = &liar->lies->kept[sim_below(&liar->random, SIM_KEPT)];
    return kept->message != NULL && (kind == 0 || kept->kind == kind) ? kept : NULL;
}

struct sim_buffer *sim_liar_scratch(struct sim_replica *liar, struct ord_span message) {
    struct sim_buffer *copy = sim_buffer_create(message);
    uint64_t changes = 1 + sim_below(&liar->random, 3);
    for (uint64_t i = 0; i < changes && copy->size > 0; i++)
        copy->data[sim_below(&liar->random, copy->size)] ^= (uint8_t) (1u << sim_below(&liar->random, 8));
    if (sim_chance(&liar->random, 100000))
        copy->size = (size_t) sim_below(&liar->random, copy->size + 1);
    return copy;
}

bool sim_liar_has(const struct sim_replica *replica, enum sim_behaviour_index behaviour) {
    return replica->liar && (replica->behaviours >> behaviour & 1) != 0;
}

bool sim_liar_lies_now(struct sim_replica *liar) {
    return sim_chance(&liar->random, liar->world->plan.lie_ppm);
}
