/*
 * The reference of offers (replica/intake/forward.c): a replica asks for what it lacks of them, and gives what it is
 * asked for, once for each time that it offered it.
 */
#include "core/codec.h"
#include "sim/client.h"
#include "sim/intake_internal.h"

enum { NAME_SIZE = 12, NAMES_MAX = 4096, WINDOW = 4096 };

/* What a name stands for. `party` is UINT32_MAX if that is unknown here. */
struct name {
    uint32_t party;
    uint64_t sequence;
};

static struct name name_next(const struct sim_intake *intake, struct ord_span *names) {
    uint32_t client_index = ord_load_u32(names->data);
    struct name name = {UINT32_MAX, ord_load_u64(names->data + 4)};
    *names = ord_span_of(names->data + NAME_SIZE, names->size - NAME_SIZE);
    if (client_index < intake->client_count)
        name.party = sim_intake_model(intake)->parties[client_index];
    for (uint32_t i = 0; client_index == UINT32_MAX && i < SIM_PARTIES; i++)
        if (ord_load_u64(sim_client_fingerprint(i)->bytes) == name.sequence)
            name = (struct name) {i, 0};
    return name;
}

static bool is_list(struct ord_span names) {
    return names.size > 0 && names.size % NAME_SIZE == 0 && names.size / NAME_SIZE <= NAMES_MAX;
}

struct sim_pooled *sim_offer_next(struct sim_intake *intake, struct ord_span *names) {
    struct name name = name_next(intake, names);
    return name.party == UINT32_MAX ? NULL : sim_pooled_at(intake, name.party, name.sequence);
}

/* ---- what others offer ---- */

void sim_offer_taken(struct sim_intake *intake, ord_node_id from, struct ord_span names) {
    intake->offer = is_list(names) ? names : ord_span_of(NULL, 0);
    intake->offer_from = from;
}

/* True if the pool has plenty of room, and none of it is this client's or may become so. */
static bool has_room(const struct sim_intake *intake, const struct name *name) {
    const struct sim_plan *plan = &intake->world->plan;
    uint32_t slot = sim_slot_of(name->party, name->sequence);
    size_t count = intake->pool_count;
    uint64_t bytes = 0;
    for (size_t i = 0; i < intake->pool_count; i++)
        bytes += sim_intake_cost(intake, &intake->pool[i]);
    return intake->room && intake->unsure == 0 && intake->checking_count == 0 && intake->counts[slot] == 0 &&
           count * 2 < plan->pool_envelopes_max && bytes * 2 < plan->pool_bytes_max;
}

/* What the replica forwards would be ignored. */
static bool is_muted(const struct sim_intake *intake) {
    return sim_intake_now(intake) < intake->forwards_bad_until_ms[intake->offer_from];
}

/* True if the replica must ask for what has this name. */
static bool is_needed(struct sim_intake *intake, const struct name *name) {
    if (name->party == UINT32_MAX || intake->between || is_muted(intake) || !has_room(intake, name) ||
        sim_intake_is_executed(intake, name->party, name->sequence))
        return false;
    if (name->sequence == 0)
        return intake->client_count < intake->world->config->clients_max;
    return name->sequence + WINDOW > intake->highest[name->party] &&
           name->sequence <= intake->highest[name->party] + WINDOW;
}

/* Skips what the replica need not ask for. What is needed and skipped is a fault. */
static void skip_to(struct sim_intake *intake, struct ord_span *offer, const uint8_t *asked) {
    while (offer->size > 0 && !sim_over(intake)) {
        if (asked != NULL && ord_span_equal(ord_span_of(asked, NAME_SIZE), ord_span_of(offer->data, NAME_SIZE)))
            return;
        struct name name = name_next(intake, offer);
        if (is_needed(intake, &name))
            sim_blame(intake->replica, "offer", "does not ask for sequence %lu of client %u",
                      (unsigned long) name.sequence, name.party);
    }
}

void sim_offer_asked(struct sim_intake *intake, ord_replica_set to, struct ord_span names) {
    if (to != ord_replica_bit(intake->offer_from) || intake->offer.size == 0)
        sim_blame(intake->replica, "offer", "asks a replica that offers nothing");
    if (is_muted(intake))
        sim_blame(intake->replica, "offer", "asks a replica whose forwards it ignores");
    while (names.size > 0 && !sim_over(intake)) {
        skip_to(intake, &intake->offer, names.data);
        if (intake->offer.size == 0) {
            sim_blame(intake->replica, "offer", "asks for what was not offered");
            return;
        }
        (void) name_next(intake, &intake->offer);
        struct name name = name_next(intake, &names);
        if (name.party == UINT32_MAX || name.sequence == 0)
            continue;
        if (sim_pooled_at(intake, name.party, name.sequence) != NULL)
            sim_blame(intake->replica, "offer", "asks for what it has");
        else if (sim_intake_is_executed(intake, name.party, name.sequence))
            sim_blame(intake->replica, "offer", "asks for what it has executed");
    }
}

/* ---- what it offered ---- */

void sim_offer_wanted(struct sim_intake *intake, ord_node_id from, struct ord_span names) {
    intake->wanted_by = from;
    if (!is_list(names))
        return;
    while (names.size > 0) {
        struct sim_pooled *pooled = sim_offer_next(intake, &names);
        if (pooled == NULL)
            continue;
        bool offered = pooled->state == SIM_SPREAD || (pooled->state == SIM_PASSED && pooled->repeats > 0);
        bool lately = sim_intake_now(intake) <= pooled->forwarded_ms + intake->world->plan.request_timeout_ms;
        pooled->asked = offered && lately && (pooled->offered_to & ord_replica_bit(from)) != 0;
    }
}

void sim_offer_given(struct sim_intake *intake, struct sim_pooled *pooled, ord_replica_set to) {
    if (!pooled->asked || to != ord_replica_bit(intake->wanted_by)) {
        sim_blame(intake->replica, "offer", "sends an envelope whole that it did not offer, or that was not asked for");
        return;
    }
    pooled->asked = false;
    pooled->offered_to &= ~to;
}

void sim_offer_check(struct sim_intake *intake) {
    skip_to(intake, &intake->offer, NULL);
    intake->offer = ord_span_of(NULL, 0);
    for (size_t i = 0; i < intake->pool_count && !sim_over(intake); i++)
        if (intake->pool[i].asked)
            sim_blame(intake->replica, "offer", "offers sequence %lu of client %u, and does not give it",
                      (unsigned long) intake->pool[i].sequence, intake->pool[i].party);
}
