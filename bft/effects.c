/*
 * Effects of one step, in memory that is sized from the config so that they always fit.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "core/assert.h"

/* Lists of at most BFT_LIST_MAX votes for a whole window. */
static size_t list_count_max(const struct ord_core_config *config) {
    return config->window / BFT_LIST_MAX + 1;
}

size_t bft_effect_max(const struct ord_core_config *config) {
    /* Per slot of the window: PERSIST of pre-prepare and certificate, DELIVER. Per list: SEND of PREPARE and COMMIT. Per
     * answer: the pre-prepares. The rest: FORGET, SYNC, WAKE_AT, JUDGE, EVIDENCE, LEADER, STATUS and the like. */
    return (size_t) config->window * 3 + list_count_max(config) * 2 + BFT_ANSWER_SEQS_MAX + 16;
}

size_t bft_outbox_size(const struct ord_core_config *config) {
    return list_count_max(config) * (BFT_PREPARE_SIZE_MAX + BFT_COMMIT_SIZE_MAX) + BFT_STATUS_SIZE;
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

void bft_send(struct ord_core *core, ord_replica_set to, struct ord_span bytes, bool after_persist) {
    struct ord_effect *effect = bft_effect(core, ORD_EFFECT_SEND);
    effect->send.to = to;
    effect->send.bytes = bytes;
    effect->send.after_persist = after_persist;
}

struct ord_span bft_outbox_list(struct ord_core *core, const struct bft_vote_list *list) {
    size_t begin = core->outbox.size;
    bft_vote_list_encode(&core->outbox, &core->config, list);
    ORD_ASSERT(!core->outbox.failed);
    return ord_span_of(core->outbox.data + begin, core->outbox.size - begin);
}

void bft_evidence(struct ord_core *core, ord_node_id culprit, struct ord_span first, struct ord_span second) {
    ORD_ASSERT(!core->evidence_given && first.size <= sizeof(core->evidence[0]) &&
               second.size <= sizeof(core->evidence[1]));
    core->evidence_given = true;
    memmove(core->evidence[0], first.data, first.size);
    memmove(core->evidence[1], second.data, second.size);
    struct ord_effect *effect = bft_effect(core, ORD_EFFECT_EVIDENCE);
    effect->evidence.culprit = culprit;
    effect->evidence.first = ord_span_of(core->evidence[0], first.size);
    effect->evidence.second = ord_span_of(core->evidence[1], second.size);
}
