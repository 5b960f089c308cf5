/*
 * The reference of lean batches (replica/agree/judge.c): what a replica sent to the leader, and what that proposed.
 */
#include "sim/intake_internal.h"

enum {
    ENVELOPE_COST = 1024,
    FLOOR_COST = 65536,
    FLOOR_PART = 64,
    LEAN_PART = 32,
    MARGIN_PART = 4,
    LOST_TIMEOUTS = 2,
};

uint64_t sim_intake_floor(const struct sim_intake *intake) {
    const struct sim_plan *plan = &intake->world->plan;
    uint64_t most = plan->pool_bytes_max + (uint64_t) plan->pool_envelopes_max * ENVELOPE_COST;
    uint64_t small = most / 2 < FLOOR_COST ? most / 2 : (uint64_t) FLOOR_COST;
    return most / FLOOR_PART > small ? most / FLOOR_PART : small;
}

void sim_lean_given(const struct sim_intake *intake, struct sim_pooled *pooled) {
    if (intake->leader == ORD_NO_NODE || pooled->proposed)
        return;
    pooled->given = true;
    pooled->given_ms = sim_intake_now(intake);
}

void sim_lean_leader(struct sim_intake *intake) {
    intake->lean_unsure = false;
    for (size_t i = 0; i < intake->pool_count; i++)
        intake->pool[i].given = intake->pool[i].proposed = false;
    for (size_t i = 0; i < intake->checking_count; i++)
        for (uint32_t j = 0; j < intake->checking[i].count; j++)
            intake->checking[i].items[j].proposed = false;
}

/* The envelope may be in the pool, or on its way there. */
static void note_proposed(struct sim_intake *intake, struct ord_span envelope) {
    const struct sim_item *item = sim_model_item(sim_intake_model(intake), envelope);
    struct sim_pooled *pooled = sim_pooled_in(intake, envelope);
    if (pooled != NULL)
        pooled->proposed = true;
    for (size_t i = 0; i < intake->checking_count; i++)
        for (uint32_t j = 0; j < intake->checking[i].count; j++)
            if (item != NULL && item == &sim_intake_model(intake)->items[intake->checking[i].items[j].item])
                intake->checking[i].items[j].proposed = true;
}

static bool is_owed(const struct sim_intake *intake, const struct sim_pooled *pooled) {
    uint64_t timeout_ms = intake->world->plan.request_timeout_ms;
    uint64_t now_ms = sim_intake_now(intake);
    return pooled->given && !pooled->proposed && pooled->given_ms + timeout_ms / MARGIN_PART < now_ms &&
           pooled->given_ms + LOST_TIMEOUTS * timeout_ms >= now_ms;
}

void sim_lean_batch(struct sim_intake *intake, struct sim_judged *judged) {
    const struct channel_config *config = intake->world->config;
    uint64_t cost = 0;
    /* The replica reads a batch that is not well-formed up to its first fault. */
    intake->lean_unsure = intake->lean_unsure || !sim_model_well_formed(judged->batch);
    judged->lean_known = !intake->lean_unsure && intake->unsure == 0;
    if (intake->lean_unsure)
        return;
    struct ord_span rest = ord_span_of(judged->batch.data + SIM_BATCH_HEADER, judged->batch.size - SIM_BATCH_HEADER);
    while (rest.size > 0) {
        struct ord_span envelope = sim_model_next(&rest);
        struct channel_envelope decoded;
        if (channel_envelope_decode(&decoded, envelope) != ORD_OK) {
            intake->lean_unsure = true;
            judged->lean_known = false;
            return;
        }
        cost += envelope.size + ENVELOPE_COST;
        note_proposed(intake, envelope);
    }
    if (cost >= sim_intake_floor(intake) / LEAN_PART ||
        judged->batch.size + 4 + config->absolute_max_bytes > config->batch_bytes_max)
        return;
    for (size_t i = 0; i < intake->pool_count; i++)
        judged->lean = judged->lean || is_owed(intake, &intake->pool[i]);
}

void sim_lean_verdict(const struct sim_intake *intake, const struct sim_judged *judged, bool lean) {
    if (judged->lean_known && judged->lean != lean)
        sim_blame(intake->replica, "judgement", "finds the batch of view %lu, seq %lu %slean",
                  (unsigned long) judged->view, (unsigned long) judged->seq, lean ? "" : "not ");
}
