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
    WINDOW = 4096,
    WORK_MAX = 256,
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

/* The different envelopes of a batch that are work. */
struct work {
    struct {
        uint32_t party;
        uint64_t sequence;
    } keys[WORK_MAX];
    uint32_t count;
    bool known;
};

/*
 * Whether an envelope of a batch is work: it was not executed, and does not stand in the batch before. Not known: the
 * replica may execute it just now, or nobody knows it.
 */
static bool is_work(const struct sim_intake *intake, struct work *work, struct ord_span envelope) {
    const struct sim_item *item = sim_model_item(sim_intake_model(intake), envelope);
    if (item == NULL || item->party >= SIM_PARTIES || work->count == WORK_MAX) {
        work->known = false;
        return true;
    }
    uint64_t sequence = item->registration ? 0 : item->sequence;
    if (sim_intake_is_executed(intake, item->party, sequence))
        return false;
    bool far = sequence + WINDOW <= intake->highest[item->party] || sequence > intake->highest[item->party] + WINDOW;
    bool decided = sim_map_find(&sim_intake_model(intake)->seen, item->party, item->sequence, 0) != NULL;
    bool registered = !item->registration && intake->registered[item->party];
    work->known = work->known && !decided && !far && registered;
    for (uint32_t i = 0; i < work->count; i++)
        if (work->keys[i].party == item->party && work->keys[i].sequence == sequence)
            return false;
    work->keys[work->count].party = item->party;
    work->keys[work->count++].sequence = sequence;
    return true;
}

void sim_lean_batch(struct sim_intake *intake, struct sim_judged *judged) {
    const struct channel_config *config = intake->world->config;
    struct work work = {.known = true};
    uint64_t cost = 0;
    /* The replica reads a batch that is not well-formed up to its first fault. */
    intake->lean_unsure = intake->lean_unsure || !sim_model_well_formed(judged->batch);
    judged->lean_known = !intake->lean_unsure && intake->unsure == 0;
    if (intake->lean_unsure)
        return;
    struct ord_span rest = sim_model_envelopes(judged->batch);
    while (rest.size > 0) {
        struct ord_span envelope = sim_model_next(&rest);
        struct channel_envelope decoded;
        if (channel_envelope_decode(&decoded, envelope) != ORD_OK) {
            intake->lean_unsure = true;
            judged->lean_known = false;
            return;
        }
        if (cost < sim_intake_floor(intake) / LEAN_PART && is_work(intake, &work, envelope))
            cost += envelope.size + ENVELOPE_COST;
        note_proposed(intake, envelope);
    }
    judged->lean_known = judged->lean_known && work.known;
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
