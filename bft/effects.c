/*
 * The effects of one step, in memory that is sized from the config so that they always fit.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "core/assert.h"

/* How many lists of at most BFT_LIST_MAX votes a whole window takes. */
static size_t list_count_max(const struct ord_core_config *config) {
    return config->window / BFT_LIST_MAX + 1;
}

size_t bft_effect_max(const struct ord_core_config *config) {
    /*
     * Per slot of the window: PERSIST of pre-prepare and certificate, and DELIVER. Per list: SEND of PREPARE and
     * COMMIT. Per answer: SEND of the pre-prepares or bodies. Per replica: PERSIST or SEND of its VIEW-CHANGE, and SEND
     * of its NEW-VIEW. The 32 are for PERSIST of checkpoint, NEW-VIEW and silence, FORGET, SYNC, WAKE_AT, JUDGE,
     * EVIDENCE, LEADER, SEND of STATUS and the like.
     */
    return (size_t) config->window * 3 + list_count_max(config) * 2 + BFT_ANSWER_SEQS_MAX + BFT_LIST_MAX +
           2 * (size_t) config->replica_count + 32;
}

size_t bft_outbox_size(const struct ord_core_config *config) {
    /*
     * An ASK, and another one that a RECALL is compared with; a RECALL, and the certificates in it once more; the lists
     * of a window; three STATUS and a FETCH; the headers of bodies or of relayed PRE-PREPAREs; a WITNESS for each vote
     * of a list; the headers of relayed view changes and of a NEW-VIEW.
     */
    return 2 * bft_ask_size(config) + 2 * bft_recall_size_max(config) + BFT_STATUS_SIZE +
           list_count_max(config) * (BFT_PREPARE_SIZE_MAX + BFT_COMMIT_SIZE_MAX) + BFT_STATUS_SIZE +
           BFT_FETCH_SIZE_MAX + (size_t) BFT_ANSWER_SEQS_MAX * BFT_BODY_SIZE + BFT_STATUS_SIZE +
           (size_t) BFT_LIST_MAX * BFT_WITNESS_SIZE_MAX + ((size_t) config->replica_count + 1) * BFT_RELAY_SIZE;
}

void bft_effects_reset(struct ord_core *core) {
    core->effect_count = 0;
    core->outbox.size = 0;
    core->outbox.failed = false;
    core->evidence_given = false;
}

struct ord_effect *bft_effect(struct ord_core *core, enum ord_effect_type type) {
    ORD_ASSERT(core->effect_count < core->effect_max);
    struct ord_effect *effect = &core->effects[core->effect_count++];
    memset(effect, 0, sizeof(*effect));
    effect->type = type;
    return effect;
}

void bft_persist(struct ord_core *core, enum bft_table table, uint64_t seq, struct ord_span bytes) {
    struct ord_effect *effect = bft_effect(core, ORD_EFFECT_PERSIST);
    effect->persist = (struct ord_record) {.table = (uint8_t) table, .key = seq, .bytes = bytes};
}

void bft_forget(struct ord_core *core, enum bft_table table, uint64_t key) {
    struct ord_effect *effect = bft_effect(core, ORD_EFFECT_FORGET);
    effect->forget.table = (uint8_t) table;
    effect->forget.key = key;
}

/* Whether a message of this type makes a statement that others hold this replica to. */
static bool is_own_word(uint8_t type) {
    return type == BFT_PRE_PREPARE || type == BFT_PREPARE || type == BFT_COMMIT || type == BFT_VIEW_CHANGE ||
           type == BFT_NEW_VIEW;
}

enum ord_err bft_sign(struct ord_core *core, struct ord_signature *out, const struct ord_hash *hash) {
    ORD_ASSERT(bft_speaks(core));
    return core->signer.sign(core->signer.context, out, hash);
}

void bft_send(struct ord_core *core, ord_replica_set to, struct ord_span bytes, bool after_persist) {
    ORD_ASSERT(bft_speaks(core) || !is_own_word(bytes.data[0]));
    struct ord_effect *effect = bft_effect(core, ORD_EFFECT_SEND);
    effect->send.to = to;
    effect->send.bytes = bytes;
    effect->send.after_persist = after_persist;
}

void bft_send_with(struct ord_core *core, ord_replica_set to, struct ord_span header, struct ord_span body) {
    bft_send(core, to, header, true);
    core->effects[core->effect_count - 1].send.body = body;
}

struct ord_span bft_outbox_copy(struct ord_core *core, const uint8_t *bytes, size_t size) {
    size_t begin = core->outbox.size;
    ord_write_bytes(&core->outbox, bytes, size);
    ORD_ASSERT(!core->outbox.failed);
    return ord_span_of(core->outbox.data + begin, size);
}

struct ord_span bft_outbox_list(struct ord_core *core, const struct bft_vote_list *list) {
    size_t begin = core->outbox.size;
    bft_vote_list_encode(&core->outbox, &core->config, list);
    ORD_ASSERT(!core->outbox.failed);
    return ord_span_of(core->outbox.data + begin, core->outbox.size - begin);
}

void bft_evidence(struct ord_core *core, const struct bft_statement *statement, const struct bft_proof *proof,
                  const struct ord_hash *other_digest, const struct bft_proof *other_proof) {
    if (core->evidence_given)
        return;
    core->evidence_given = true;
    struct bft_statement other = *statement;
    other.digest = *other_digest;
    size_t first_size = bft_signed_encode(core->evidence[0], &core->config, statement, proof);
    size_t second_size = bft_signed_encode(core->evidence[1], &core->config, &other, other_proof);
    struct ord_effect *effect = bft_effect(core, ORD_EFFECT_EVIDENCE);
    effect->evidence.culprit = statement->sender;
    effect->evidence.first = ord_span_of(core->evidence[0], first_size);
    effect->evidence.second = ord_span_of(core->evidence[1], second_size);
}
