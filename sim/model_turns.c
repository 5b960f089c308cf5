/*
 * Whose turn to lead is passed over, by the rules of docs/protocol.md, "Passing over", to the letter.
 */
#include "core/assert.h"
#include "core/codec.h"
#include "core/quorum.h"
#include "sim/model.h"

static struct sim_model_leader *leader_of(struct sim_model *model, uint64_t view) {
    const uint64_t count = model->config->replica_count;
    ORD_ASSERT(count > 0);
    const uint64_t first = ord_load_u64(model->genesis_hash.bytes);
    return &model->turns.leaders[(view % count + first % count) % count];
}

static void fails(struct sim_model *model, uint64_t view) {
    struct sim_model_turns *turns = &model->turns;
    struct sim_model_leader *leader = leader_of(model, view);
    struct sim_model_leader *oldest = NULL;
    uint32_t known = 0;
    for (ord_node_id node = 0; node < model->config->replica_count; node++) {
        struct sim_model_leader *other = &turns->leaders[node];
        if (other->failures == 0)
            continue;
        known++;
        if (oldest == NULL || other->failed_at < oldest->failed_at)
            oldest = other;
    }
    if (oldest != NULL && leader->failures == 0 && known == ord_bft_faulty_max(model->config->replica_count))
        *oldest = (struct sim_model_leader) {0};
    leader->failures++;
    leader->terms = 0;
    leader->passes = leader->failures >= 6 ? 32 : 1u << (leader->failures - 1);
    leader->failed_at = ++turns->failures;
}

static void serves(struct sim_model_leader *leader) {
    leader->passes = 0;
    if (leader->failures > 0 && ++leader->terms == 4)
        *leader = (struct sim_model_leader) {0};
}

void sim_model_turn(struct sim_model *model, uint64_t view, uint64_t seq) {
    struct sim_model_turns *turns = &model->turns;
    const uint32_t decisions = model->config->decisions_per_leader;
    const uint32_t count = model->config->replica_count;
    if (decisions == 0 || (turns->any && view <= turns->view))
        return;
    bool scheduled = turns->any && seq >= turns->first_seq + decisions;
    uint64_t tried = turns->any ? turns->view + 1 : 0;
    if (scheduled)
        serves(leader_of(model, turns->view));
    else if (turns->any)
        fails(model, turns->view);
    for (; scheduled && tried < view && leader_of(model, tried)->passes > 0; tried++)
        leader_of(model, tried)->passes--;
    for (; tried < view; tried++)
        if (view - tried <= count)
            fails(model, tried);
    turns->any = true;
    turns->view = view;
    turns->first_seq = seq;
}

ord_replica_set sim_model_passes(const struct sim_model *model) {
    ord_replica_set set = 0;
    for (ord_node_id node = 0; node < model->config->replica_count; node++)
        if (model->turns.leaders[node].passes > 0)
            set |= ord_replica_bit(node);
    return set;
}
