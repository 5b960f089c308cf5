/*
 * The state digest, computed from the reference's state: docs/formats.md, "Client record" and "State digest", to the
 * letter.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "crypto/hash.h"
#include "sim/model.h"

enum { WINDOW = 4096, RECORD = 607 };

static void put(uint8_t **out, const void *data, size_t size) {
    memcpy(*out, data, size);
    *out += size;
}

static void put_number(uint8_t **out, uint64_t value, uint32_t size) {
    for (uint32_t i = 0; i < size; i++)
        *(*out)++ = (uint8_t) (value >> 8 * (size - 1 - i));
}

/* Hashes the tag, a NUL, and the bytes. */
static void tagged(struct ord_hash *out, const char *tag, const void *data, size_t size) {
    const struct ord_span parts[] = {ord_span_of(tag, strlen(tag) + 1), ord_span_of(data, size)};
    crypto_sha256(out, parts, 2);
}

/* Each certificate is parsed only once, because that takes long. */
static const struct crypto_identity *parsed_of(uint32_t party) {
    static struct crypto_identity parsed[SIM_PARTIES];
    static bool known[SIM_PARTIES];
    const struct sim_identity *identity = &sim_identities_get()->parties[party];
    if (!known[party])
        ORD_ASSERT(crypto_identity_parse(&parsed[party], ord_span_of(identity->cert, identity->cert_size)) == ORD_OK);
    known[party] = true;
    return &parsed[party];
}

void sim_model_validity(uint32_t party, int64_t *not_before_s, int64_t *not_after_s) {
    *not_before_s = parsed_of(party)->not_before_s;
    *not_after_s = parsed_of(party)->not_after_s;
}

static void leaf_of(struct ord_hash *out, const struct sim_model *model, uint32_t party) {
    const struct crypto_identity *parsed = parsed_of(party);
    uint8_t record[RECORD] = {0};
    uint8_t *at = record;
    uint32_t org_index = 0;
    while (strcmp(model->config->orgs[org_index].name, parsed->organisation) != 0)
        org_index++;
    put_number(&at, 1, 1);
    put(&at, sim_identities_get()->parties[party].fingerprint.bytes, ORD_HASH_SIZE);
    put(&at, parsed->key.bytes, ORD_PUBLIC_KEY_SIZE);
    put_number(&at, org_index, 4);
    put_number(&at, parsed->role, 1);
    put_number(&at, (uint64_t) parsed->not_before_s, 8);
    put_number(&at, (uint64_t) parsed->not_after_s, 8);
    put_number(&at, model->highest[party], 8);
    const struct sim_ordered *ordered = &model->ordered[party];
    for (size_t i = 0; i < ordered->count; i++) {
        uint64_t sequence = ordered->sequences[i];
        if (sequence + WINDOW > model->highest[party])
            at[sequence % WINDOW / 8] |= (uint8_t) (1u << sequence % 8);
    }
    tagged(out, "ordain/client/v1", record, sizeof(record));
}

/* The root over `width` places, beginning at `first`. Places without a client are zeros. */
static void clients_root(struct ord_hash *out, const struct sim_model *model, uint32_t first, uint32_t width) {
    struct ord_hash children[2];
    static const uint8_t node = 1;
    if (width == 1) {
        memset(out, 0, sizeof(*out));
        if (first < model->client_count)
            leaf_of(out, model, model->parties[first]);
        return;
    }
    clients_root(&children[0], model, first, width / 2);
    clients_root(&children[1], model, first + width / 2, width / 2);
    const struct ord_span parts[] = {ord_span_of(&node, 1), ord_span_of(children, sizeof(children))};
    crypto_sha256(out, parts, 2);
}

size_t sim_model_progress(const struct sim_model *model, uint8_t out[SIM_PROGRESS_MAX]) {
    const struct sim_model_turns *turns = &model->turns;
    uint8_t *at = out;
    put_number(&at, model->bytes_since_point, 8);
    if (model->config->consensus == CHANNEL_RAFT)
        put_number(&at, model->term, 8);
    if (model->config->decisions_per_leader == 0)
        return (size_t) (at - out);
    put_number(&at, turns->view, 8);
    put_number(&at, turns->first_seq, 8);
    uint8_t *count = at++;
    *count = 0;
    /* The newest failure first. */
    for (uint64_t failed_at = turns->failures; failed_at > 0; failed_at--) {
        for (ord_node_id node = 0; node < model->config->replica_count; node++) {
            const struct sim_model_leader *leader = &turns->leaders[node];
            if (leader->failures == 0 || leader->failed_at != failed_at)
                continue;
            put_number(&at, node, 4);
            put_number(&at, leader->failures > 6 ? 6 : leader->failures, 1);
            put_number(&at, leader->terms, 1);
            put_number(&at, leader->passes, 1);
            ++*count;
        }
    }
    return (size_t) (at - out);
}

void sim_model_state_digest(const struct sim_model *model, struct ord_hash *out) {
    struct ord_hash clients;
    struct ord_hash open;
    uint8_t bytes[8 + 4 * ORD_HASH_SIZE + 8 + SIM_PROGRESS_MAX];
    uint8_t *at = bytes;
    uint32_t width = 1;
    while (width < model->config->clients_max)
        width *= 2;
    clients_root(&clients, model, 0, width);
    tagged(&open, "ordain/open/v1", model->leaves, model->leaf_count * ORD_HASH_SIZE);
    const struct ord_hash *head =
        model->block_count == 0 ? &model->genesis_hash : &model->blocks[model->block_count - 1].header_hash;
    put_number(&at, model->block_count, 8);
    put(&at, head->bytes, ORD_HASH_SIZE);
    put(&at, clients.bytes, ORD_HASH_SIZE);
    put(&at, open.bytes, ORD_HASH_SIZE);
    put(&at, model->config_hash.bytes, ORD_HASH_SIZE);
    put_number(&at, model->config->epoch, 8);
    at += sim_model_progress(model, at);
    tagged(out, "ordain/state/v1", bytes, (size_t) (at - bytes));
}

void sim_model_state_init(struct sim_model *model) {
    uint8_t *data = sim_alloc(CHANNEL_CONFIG_BYTES_MAX);
    struct ord_writer writer = ord_writer_of(data, CHANNEL_CONFIG_BYTES_MAX);
    ORD_ASSERT(channel_config_encode(model->config, &writer) == ORD_OK);
    tagged(&model->config_hash, "ordain/config/v1", writer.data, writer.size);
    free(data);
}
