/*
 * The reference's pool: one list that is searched from its beginning, with states named as in the rules. This file
 * holds the list, what execution takes out of it, what the replica answers and forwards from it, and the turn.
 */
#include "core/assert.h"
#include "sim/intake_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    HOUSEKEEPING_MS = 100,
    AGE_MAX_MS = 120000,
    WINDOW = 4096,
    SPREAD_PART = 16,
    SOON_PART = 8,
    PASSED_PART = 2,
    SPREAD_REPEATS = 3,
    PASSED_REPEATS = 4,
    ENVELOPE_COST = 1024,
    AHEAD_TIMEOUTS = 2,
    MOVES_PART = 4,
    SHARE_PART = 6, /* half of the rate, for three kinds of repeats */
    KEPT_MS = 200,
    BEST_PART = 4,
    FLOORS_MAX = 4,
    START_PART = 32,
    COST_AT_ANY_TIME = 65536 + 4 * ENVELOPE_COST,
};

/* ---- the list and what is executed ---- */

uint64_t sim_intake_cost(const struct sim_intake *intake, const struct sim_pooled *pooled) {
    return sim_intake_model(intake)->items[pooled->item].size + ENVELOPE_COST;
}

uint64_t sim_intake_rate(const struct sim_intake *intake) {
    struct replica_status status;
    replica_status(intake->process->program, &status);
    return status.pace_rate;
}

/* Gives when this cost could be ordered, behind everything that is ahead of it. */
static uint64_t take_turn(struct sim_intake *intake, uint64_t cost) {
    uint64_t now_us = sim_intake_now(intake) * 1000;
    uint64_t most_us = now_us + (uint64_t) AHEAD_TIMEOUTS * intake->world->plan.request_timeout_ms * 1000;
    uint64_t begin_us = intake->clear_us > now_us ? intake->clear_us : now_us;
    uint64_t end_us = begin_us + cost * 1000000 / sim_intake_rate(intake);
    intake->clear_us = end_us < most_us ? end_us : most_us;
    return begin_us / 1000;
}

void sim_intake_new_turns(struct sim_intake *intake) {
    uint64_t cost = 0;
    intake->clear_us = 0;
    for (size_t i = 0; i < intake->pool_count; i++)
        cost += sim_intake_cost(intake, &intake->pool[i]);
    if (cost > 0)
        (void) take_turn(intake, cost);
    for (size_t i = 0; i < intake->pool_count; i++)
        intake->pool[i].turn_ms = intake->clear_us / 1000;
    for (uint32_t i = 0; i < SIM_SLOTS; i++)
        intake->turns_ms[i] = intake->clear_us / 1000;
}

bool sim_intake_is_executed(const struct sim_intake *intake, uint32_t party, uint64_t sequence) {
    if (sequence == 0)
        return intake->registered[party];
    const struct sim_map_entry *entry = sim_map_find(&sim_intake_model(intake)->seen, party, sequence, 0);
    return entry != NULL && entry->number <= intake->order_at;
}

bool sim_intake_is_over(const struct sim_intake *intake, const struct sim_pooled *pooled) {
    if (sim_intake_is_executed(intake, pooled->party, pooled->sequence) ||
        sim_intake_now(intake) > pooled->admitted_ms + AGE_MAX_MS)
        return true;
    if (pooled->sequence == 0)
        return intake->client_count >= intake->world->config->clients_max;
    return pooled->sequence + WINDOW <= intake->highest[pooled->party];
}

struct sim_pooled *sim_pooled_at(struct sim_intake *intake, uint32_t party, uint64_t sequence) {
    for (size_t i = 0; i < intake->pool_count; i++)
        if (intake->pool[i].party == party && intake->pool[i].sequence == sequence)
            return &intake->pool[i];
    return NULL;
}

void sim_intake_settle(struct sim_intake *intake, const struct sim_pooled *pooled) {
    uint32_t slot = sim_slot_of(pooled->party, pooled->sequence);
    uint32_t most = pooled->sequence == 0 ? UINT32_MAX : intake->world->plan.client_envelopes_max;
    if (!pooled->good || sim_pooled_at(intake, pooled->party, pooled->sequence) != NULL || intake->counts[slot] >= most)
        return;
    intake->lost = intake->lost || intake->counts[slot] + intake->ghosts[slot] >= most;
    if (intake->pool_count == 0)
        intake->clear_us = 0;
    uint64_t turn_ms = take_turn(intake, sim_intake_cost(intake, pooled));
    if (intake->counts[slot]++ == 0) {
        intake->since_ms[slot] = sim_intake_now(intake);
        intake->turns_ms[slot] = turn_ms;
    }
    intake->pool = sim_grow(intake->pool, &intake->pool_capacity, intake->pool_count, sizeof(*intake->pool));
    struct sim_pooled *kept = &intake->pool[intake->pool_count++];
    *kept = *pooled;
    kept->state = SIM_READY;
    kept->turn_ms = turn_ms;
    kept->repeats = 0;
}

void sim_intake_drop(struct sim_intake *intake, size_t index) {
    intake->counts[sim_slot_of(intake->pool[index].party, intake->pool[index].sequence)]--;
    memmove(intake->pool + index, intake->pool + index + 1, (--intake->pool_count - index) * sizeof(*intake->pool));
}

static void drop_key(struct sim_intake *intake, const struct sim_placed *placed) {
    struct sim_pooled *pooled = sim_pooled_at(intake, placed->party, placed->sequence);
    if (pooled != NULL)
        sim_intake_drop(intake, (size_t) (pooled - intake->pool));
}

void sim_intake_execute_to(struct sim_intake *intake, size_t end, bool served) {
    for (; intake->order_at < end; intake->order_at++) {
        const struct sim_placed *placed = &sim_intake_model(intake)->order[intake->order_at];
        if (placed->sequence == 0) {
            intake->registered[placed->party] = true;
            intake->client_count++;
        } else if (placed->sequence > intake->highest[placed->party]) {
            intake->highest[placed->party] = placed->sequence;
        }
        if (!served)
            continue;
        drop_key(intake, placed);
        uint32_t slot = sim_slot_of(placed->party, placed->sequence);
        uint64_t clear_ms = intake->clear_us / 1000;
        intake->since_ms[slot] = sim_intake_now(intake);
        intake->turns_ms[slot] = clear_ms > sim_intake_now(intake) ? clear_ms : sim_intake_now(intake);
    }
}

void sim_intake_open_is(struct sim_intake *intake, uint64_t seq) {
    const struct sim_model_seq *after = &sim_intake_model(intake)->seqs[seq - 1];
    intake->open_size = after->open_size;
    intake->open_height = after->height + 1;
    if (intake->open_size == 0 || intake->open_height == intake->noted_height)
        return;
    intake->noted_height = intake->open_height;
    intake->noted_ms = sim_intake_now(intake);
}

/* A block that closes takes with it what was executed while its signature was being checked for admission. */
static void drop_block(struct sim_intake *intake, const struct sim_model_block *block) {
    for (size_t i = 0; i < block->envelope_count; i++)
        drop_key(intake, &block->envelopes[i]);
}

void sim_intake_executed(struct sim_intake *intake, uint64_t seq) {
    if (intake == NULL || sim_over(intake))
        return;
    const struct sim_model *model = sim_intake_model(intake);
    const struct sim_model_seq *after = &model->seqs[seq - 1];
    sim_intake_execute_to(intake, after->order_end, true);
    /* A leader that changes in the same step finds the pool without them. */
    for (uint64_t height = seq == 1 ? 0 : model->seqs[seq - 2].height; height < after->height; height++)
        drop_block(intake, &model->blocks[height]);
    if (after->accepted > 0)
        intake->executed_ms = sim_intake_now(intake);
    intake->seq = seq;
    sim_intake_open_is(intake, seq);
}

void sim_intake_block(struct sim_intake *intake, uint64_t height) {
    if (intake == NULL || sim_over(intake) || height == 0)
        return;
    const struct sim_model_block *block = &sim_intake_model(intake)->blocks[height - 1];
    drop_block(intake, block);
    if (block->last_seq <= intake->seq)
        return;
    sim_intake_execute_to(intake, block->order_end, false);
    intake->between = true;
    intake->since_unsure = true;
    intake->open_size = 0;
}

/* ---- outputs ---- */

struct sim_pooled sim_pooled_of(const struct sim_intake *intake, struct ord_span envelope, bool foreign) {
    const struct sim_item *item = sim_model_item(sim_intake_model(intake), envelope);
    struct sim_pooled pooled = {.foreign = foreign, .admitted_ms = sim_intake_now(intake), .party = UINT32_MAX};
    if (item == NULL)
        return pooled;
    pooled.good = !item->junk;
    pooled.party = item->party;
    pooled.sequence = item->registration ? 0 : item->sequence;
    pooled.item = (size_t) (item - sim_intake_model(intake)->items);
    return pooled;
}

struct sim_pooled *sim_pooled_in(struct sim_intake *intake, struct ord_span envelope) {
    const struct sim_pooled given = sim_pooled_of(intake, envelope, false);
    struct sim_pooled *kept = given.party == UINT32_MAX ? NULL : sim_pooled_at(intake, given.party, given.sequence);
    return kept == NULL || kept->item != given.item ? NULL : kept;
}

bool sim_intake_is_large(const struct sim_intake *intake, const struct sim_pooled *pooled) {
    return sim_intake_cost(intake, pooled) > COST_AT_ANY_TIME;
}

/*
 * A client that has nothing here is never refused for what others have, while the pool itself has room. Large envelopes
 * wait for their turn (replica/intake/large.h).
 */
static void check_busy(const struct sim_intake *intake, const struct sim_pooled *given) {
    const struct sim_plan *plan = &intake->world->plan;
    uint32_t slot = sim_slot_of(given->party, given->sequence);
    size_t count = intake->pool_count;
    uint64_t bytes = 0;
    bool checking = false;
    for (size_t i = 0; i < intake->pool_count; i++)
        bytes += sim_intake_cost(intake, &intake->pool[i]);
    for (size_t i = 0; i < intake->checking_count; i++)
        for (uint32_t j = 0; j < intake->checking[i].count; j++) {
            const struct sim_pooled *other = &intake->checking[i].items[j];
            checking = checking || other->party == given->party || sim_slot_of(other->party, other->sequence) == slot;
            bytes += intake->world->config->absolute_max_bytes;
            count++;
        }
    bool small = given->party < SIM_CLIENTS && !sim_intake_is_large(intake, given);
    if (intake->room && intake->unsure == 0 && !checking && small && intake->counts[slot] == 0 &&
        count * 2 < plan->pool_envelopes_max && bytes * 2 < plan->pool_bytes_max)
        sim_blame(intake->replica, "intake", "is too busy for client %u, which has nothing there", given->party);
}

static void answered(struct sim_intake *intake, const struct replica_result *result, struct ord_span envelope,
                     bool copy) {
    const struct sim_pooled given = sim_pooled_of(intake, envelope, false);
    if (result->verdict == REPLICA_ORDERED && given.party < SIM_CLIENTS &&
        !sim_intake_is_executed(intake, given.party, given.sequence) &&
        given.sequence + WINDOW > intake->highest[given.party])
        sim_blame(intake->replica, "intake", "tells client %u that sequence %lu is ordered, and it is not", given.party,
                  (unsigned long) given.sequence);
    /* Of copies a replica takes no more than it can pass on, whoever they are from. */
    if (result->verdict == REPLICA_BUSY && !copy)
        check_busy(intake, &given);
    if (result->verdict != REPLICA_ACCEPTED)
        return;
    struct sim_pooled *kept = sim_pooled_in(intake, envelope);
    if (kept == NULL) {
        sim_blame(intake->replica, "intake", "accepts sequence %lu of client %u, and does not keep it",
                  (unsigned long) given.sequence, given.party);
        return;
    }
    if (copy)
        return;
    if (kept->foreign && kept->state == SIM_PASSED)
        kept->state = SIM_READY;
    kept->foreign = false;
}

void sim_intake_judged(struct sim_intake *intake, struct sim_submission *submission, uint64_t waiting) {
    if (intake == NULL)
        return;
    ORD_ASSERT(submission->given.count <= 64);
    for (uint32_t i = 0; i < submission->given.count && !sim_over(intake); i++) {
        uint64_t bit = UINT64_C(1) << i;
        if (((submission->judged | waiting) & bit) == 0)
            answered(intake, &submission->results[i], submission->envelopes[i], submission->given.copy);
        submission->judged |= bit & ~waiting;
    }
}

static const char *const list_names[] = {"", "what only the leader has", "what all have", "what it passes on"};

/* True if the leader serves and this envelope's turn has not come: it is queued behind others. */
static bool is_queued(const struct sim_intake *intake, uint64_t turn_ms) {
    uint64_t timeout_ms = intake->world->plan.request_timeout_ms;
    bool moves = intake->executed_ms != 0 && sim_intake_now(intake) < intake->executed_ms + timeout_ms / MOVES_PART;
    return moves && sim_intake_now(intake) < turn_ms + timeout_ms / SOON_PART;
}

/* How long after the last time an envelope is sent again, at least. The replicas do not begin together. */
static uint64_t wait_ms(const struct sim_intake *intake, const struct sim_pooled *pooled) {
    uint64_t timeout_ms = intake->world->plan.request_timeout_ms;
    uint64_t count = intake->world->replica_count;
    uint64_t first = intake->leader == ORD_NO_NODE ? 0 : intake->leader;
    uint64_t after = (sim_intake_self(intake) + count - first) % count;
    if (pooled->state == SIM_SENT)
        return timeout_ms / SPREAD_PART + timeout_ms / SPREAD_PART * after / count;
    if (pooled->state == SIM_SPREAD)
        return timeout_ms << (pooled->repeats < SPREAD_REPEATS ? pooled->repeats : (uint32_t) SPREAD_REPEATS);
    return (timeout_ms / PASSED_PART) << (pooled->repeats < PASSED_REPEATS ? pooled->repeats
                                                                           : (uint32_t) PASSED_REPEATS);
}

/* What repeats may send to each receiver in this time. */
static uint64_t share_of(const struct sim_intake *intake, uint64_t ms) {
    return sim_intake_rate(intake) * ms / 1000 / ((uint64_t) SHARE_PART * intake->world->replica_count) + 1;
}

/* The replica fills its shares up once in a turn of housekeeping, before it sends. */
static void fill_up(struct sim_intake *intake) {
    if (!intake->housekeeping || intake->filled_turn == intake->turn)
        return;
    intake->filled_turn = intake->turn;
    uint64_t passed_ms = sim_intake_now(intake) - intake->filled_ms;
    int64_t more = (int64_t) share_of(intake, passed_ms < KEPT_MS ? passed_ms : (uint64_t) KEPT_MS);
    int64_t most = (int64_t) share_of(intake, KEPT_MS);
    for (int state = SIM_SENT; state <= SIM_PASSED; state++)
        intake->left[state] = intake->left[state] + more < most ? intake->left[state] + more : most;
    intake->filled_ms = sim_intake_now(intake);
}

/* What is sent again must be due, and within what repeats of its state may send. */
static void check_repeat(struct sim_intake *intake, const struct sim_pooled *pooled) {
    fill_up(intake);
    uint64_t since_ms = pooled->forwarded_ms;
    /* It is not known in which turn it began to wait for being passed on. */
    if (pooled->state == SIM_PASSED && pooled->repeats == 0)
        since_ms = pooled->admitted_ms > intake->leader_ms ? pooled->admitted_ms : intake->leader_ms;
    if (sim_intake_now(intake) < since_ms + wait_ms(intake, pooled))
        sim_blame(intake->replica, "forward", "repeats %s after %lu ms", list_names[pooled->state],
                  (unsigned long) (sim_intake_now(intake) - since_ms));
    if (!intake->since_unsure && is_queued(intake, pooled->turn_ms))
        sim_blame(intake->replica, "forward", "repeats %s, which is queued", list_names[pooled->state]);
    if (intake->left[pooled->state] <= 0)
        sim_blame(intake->replica, "forward", "repeats %s beyond its share", list_names[pooled->state]);
    intake->left[pooled->state] -= (int64_t) sim_intake_cost(intake, pooled);
    intake->quiet[pooled->state] = 0;
    intake->overdue[pooled->state] = 0;
}

/* What became READY and is not sent at once: it goes with the repeats. */
static bool waits_for_repeats(struct sim_intake *intake, struct sim_pooled *pooled) {
    if (!pooled->foreign && intake->leader != ORD_NO_NODE)
        return false;
    pooled->state = pooled->foreign ? SIM_PASSED : SIM_SENT;
    pooled->forwarded_ms = pooled->foreign ? sim_intake_now(intake) : 0;
    pooled->repeats = 0;
    return true;
}

static void forwarded(struct sim_intake *intake, struct sim_pooled *pooled, bool to_all) {
    if (pooled->state == SIM_PROPOSED) {
        sim_blame(intake->replica, "forward", "forwards what it has proposed");
        return;
    }
    if (to_all && pooled->foreign && intake->leader != ORD_NO_NODE)
        sim_blame(intake->replica, "forward", "forwards to all what another replica looks after");
    if (!to_all && !pooled->foreign && pooled->state != SIM_READY)
        sim_blame(intake->replica, "forward", "forwards its client's envelope to the leader again, and not to all");
    /*
     * The leader was lost, or the silence began, in the turn before or in this one, and what was READY is among the
     * repeats since then (check_forwards).
     */
    bool just_lost = intake->leader == ORD_NO_NODE &&
                     (intake->leader_turn + 1 == intake->turn || intake->process->observer.status.silent);
    if (pooled->state == SIM_READY && !pooled->foreign && just_lost)
        (void) waits_for_repeats(intake, pooled);
    if (pooled->state == SIM_READY && pooled->foreign) {
        pooled->state = SIM_PASSED;
        pooled->repeats = 0;
    }
    if (pooled->state == SIM_READY && intake->leader == ORD_NO_NODE)
        sim_blame(intake->replica, "forward", "sends an envelope to all as if they led");
    if (pooled->state != SIM_READY)
        check_repeat(intake, pooled);
    pooled->repeats = pooled->state == SIM_SPREAD || pooled->state == SIM_PASSED ? pooled->repeats + 1 : 0;
    pooled->forwarded_ms = sim_intake_now(intake);
    sim_lean_given(intake, pooled);
    pooled->state = pooled->foreign ? SIM_PASSED : pooled->state == SIM_READY ? SIM_SENT : SIM_SPREAD;
}

/* An envelope goes whole: to the leader for the first time, or to a replica that asked for it. */
static void sent_whole(struct sim_intake *intake, struct sim_pooled *pooled, ord_replica_set to) {
    bool fresh = intake->leader != ORD_NO_NODE && to == ord_replica_bit(intake->leader);
    if (fresh && pooled->state == SIM_READY && !pooled->foreign)
        forwarded(intake, pooled, false);
    else
        sim_offer_given(intake, pooled, to);
}

static void sent_batch(struct sim_intake *intake, ord_replica_set to, struct ord_span batch) {
    if (!sim_model_well_formed(batch)) {
        sim_blame(intake->replica, "forward", "forwards what is no batch");
        return;
    }
    struct ord_span rest = sim_model_envelopes(batch);
    while (rest.size > 0 && !sim_over(intake)) {
        struct sim_pooled *pooled = sim_pooled_in(intake, sim_model_next(&rest));
        if (pooled != NULL)
            sent_whole(intake, pooled, to);
        else if (intake->unsure == 0)
            sim_blame(intake->replica, "forward", "forwards what it has not admitted, or has executed");
    }
}

static void sent_offer(struct sim_intake *intake, ord_replica_set to, struct ord_span names) {
    ord_replica_set leader = intake->leader == ORD_NO_NODE ? 0 : ord_replica_bit(intake->leader);
    if ((to & leader) != leader || leader == ord_replica_bit(sim_intake_self(intake))) {
        sim_blame(intake->replica, "forward", "offers to others than the leader");
        return;
    }
    while (names.size > 0 && !sim_over(intake)) {
        struct sim_pooled *pooled = sim_offer_next(intake, &names);
        if (pooled == NULL && intake->unsure == 0)
            sim_blame(intake->replica, "forward", "offers what it has not admitted, or has executed");
        if (pooled == NULL || sim_over(intake))
            continue;
        forwarded(intake, pooled, to != leader);
        pooled->offered_to = to;
    }
}

void sim_intake_sent(struct sim_intake *intake, ord_replica_set to, enum replica_link kind,
                     const struct ord_span *parts, size_t part_count) {
    if (intake == NULL || sim_over(intake))
        return;
    struct ord_span bytes = part_count == 1 ? parts[0] : ord_span_of(NULL, 0);
    if (kind == REPLICA_LINK_FORWARD)
        sent_batch(intake, to, bytes);
    else if (kind == REPLICA_LINK_OFFER)
        sent_offer(intake, to, bytes);
    else if (kind == REPLICA_LINK_WANT)
        sim_offer_asked(intake, to, bytes);
}

/* ---- the turn ---- */

void sim_intake_turn(struct sim_intake *intake) {
    if (intake == NULL)
        return;
    intake->turn++;
    intake->room = !intake->replica->full;
    intake->refused = false;
    intake->fault[0] = '\0';
    intake->housekeeping = sim_intake_now(intake) >= intake->housekeeping_ms;
    if (intake->housekeeping) {
        intake->housekeeping_ms = sim_intake_now(intake) + HOUSEKEEPING_MS;
        intake->unsure -= intake->unsure > 0;
    }
    if (intake->unsure == 0)
        memset(intake->ghosts, 0, sizeof(intake->ghosts));
    if (intake->pool_count == 0 && intake->unsure == 0)
        intake->since_unsure = false;
}

/*
 * Some of the envelopes that are due again must go again, unless the last one used the share of many turns. Turns that
 * housekeeping needs to make up for the largest envelope are given.
 */
static void check_again(struct sim_intake *intake) {
    const struct channel_config *config = intake->world->config;
    uint64_t given = (config->absolute_max_bytes + ENVELOPE_COST) / share_of(intake, HOUSEKEEPING_MS) + 2;
    bool due[SIM_PASSED + 1] = {false};
    for (size_t i = 0; i < intake->pool_count; i++) {
        const struct sim_pooled *pooled = &intake->pool[i];
        /* One that is queued may stand before it. */
        if (pooled->state != SIM_READY && pooled->state != SIM_PROPOSED &&
            !is_queued(intake, intake->clear_us / 1000) &&
            sim_intake_now(intake) >= pooled->forwarded_ms + wait_ms(intake, pooled))
            due[pooled->state] = true;
    }
    for (int state = SIM_SENT; state <= SIM_PASSED; state++) {
        intake->quiet[state]++;
        intake->overdue[state] = due[state] ? intake->overdue[state] + 1 : 0;
        /* At a lower rate than now, more turns were needed. */
        bool may = intake->left[state] > 0;
        if (may && intake->overdue[state] > 2 && intake->quiet[state] > given)
            sim_blame(intake->replica, "forward", "does not repeat %s", list_names[state]);
    }
}

static void check_forwards(struct sim_intake *intake) {
    bool alone = intake->leader == ORD_NO_NODE;
    bool silent = intake->silent && intake->process->observer.status.silent;
    bool long_since = sim_intake_now(intake) >= intake->leader_ms + intake->world->plan.request_timeout_ms;
    if (intake->leader_turn == intake->turn || intake->leader == sim_intake_self(intake) ||
        (alone && !silent && !long_since))
        return;
    for (size_t i = 0; i < intake->pool_count; i++)
        if (intake->pool[i].state == SIM_READY && !sim_intake_is_over(intake, &intake->pool[i]) &&
            !waits_for_repeats(intake, &intake->pool[i])) {
            sim_blame(intake->replica, "forward", "keeps an envelope to itself, the leader is %d",
                      alone ? -1 : (int) intake->leader);
            return;
        }
    if (intake->housekeeping)
        check_again(intake);
}

/*
 * What the replicas together count with, where nothing else is known, is the same in all channels of four and more. So
 * this replica's rate begins with its part of that. It does not fall below its part of the floor, and a leader that
 * raised it lowers it to a quarter of that at most.
 */
static void check_rate(struct sim_intake *intake) {
    const struct sim_plan *plan = &intake->world->plan;
    uint64_t replicas = plan->replica_count > FLOORS_MAX ? plan->replica_count : (uint32_t) FLOORS_MAX;
    uint64_t most = plan->pool_bytes_max + (uint64_t) plan->pool_envelopes_max * ENVELOPE_COST;
    uint64_t floor = sim_intake_floor(intake) * FLOORS_MAX / replicas * 1000 / plan->request_timeout_ms;
    uint64_t start = most / START_PART * FLOORS_MAX / replicas * 1000 / plan->request_timeout_ms;
    uint64_t rate = sim_intake_rate(intake);
    if (rate > intake->rate && intake->rate != 0)
        intake->raised_to = rate;
    intake->rate = rate;
    if (rate < floor || rate < intake->raised_to / BEST_PART)
        sim_blame(intake->replica, "intake", "counts with a rate of %lu; the floor is %lu, and it was %lu",
                  (unsigned long) rate, (unsigned long) floor, (unsigned long) intake->raised_to);
    if (intake->executed_ms == 0 && rate > start && rate > floor && rate > 1)
        sim_blame(intake->replica, "intake", "begins with a rate of %lu, and its part is %lu", (unsigned long) rate,
                  (unsigned long) start);
}

void sim_intake_ended(struct sim_intake *intake) {
    if (intake == NULL || sim_over(intake))
        return;
    check_rate(intake);
    sim_intake_check_message(intake);
    sim_offer_check(intake);
    if (intake->fault[0] != '\0')
        sim_fail(intake->world, "%s", intake->fault);
    intake->fault[0] = '\0';
    if (intake->hand_over)
        sim_fail(intake->world, "seam: the core of replica %u is not told that it is to stop",
                 intake->replica->instance);
    if (intake->storage != intake->room)
        sim_fail(intake->world, "room: the core of replica %u is not told whether there is room",
                 intake->replica->instance);
    fill_up(intake);
    check_forwards(intake);
    sim_intake_check_verdicts(intake);
    if (intake->turn % 16 == 0)
        sim_intake_check_open(intake);
    uint64_t ignored = replica_counters(intake->process->program)->link_messages_ignored;
    if (ignored > intake->ignored && sim_intake_now(intake) > intake->ignored_until_ms)
        sim_blame(intake->replica, "door", "ignores a sender of which it has seen nothing bad");
    intake->ignored = ignored;
    intake->silent = intake->process->observer.status.silent;
}

const char *sim_intake_rest(const struct sim_intake *intake) {
    return intake == NULL || sim_over(intake) || intake->judged_count == 0 ? NULL : "a batch waits for its verdict";
}

/* ---- making and unmaking ---- */

/* Reads from the disk what is executed there. */
static void recover(struct sim_intake *intake) {
    const struct sim_disk *disk = &intake->replica->disk;
    const struct sim_model *model = sim_intake_model(intake);
    uint64_t applied_seq = sim_disk_applied(disk);
    uint64_t height = sim_disk_height(disk);
    size_t closed = height == 0 ? 0 : model->blocks[height - 1].order_end;
    size_t applied = applied_seq == 0 ? 0 : model->seqs[applied_seq - 1].order_end;
    intake->between = height > 0 && model->blocks[height - 1].last_seq > applied_seq;
    intake->seq = applied_seq;
    sim_intake_execute_to(intake, closed > applied ? closed : applied, false);
    if (!intake->between && applied_seq > 0)
        sim_intake_open_is(intake, applied_seq);
}

struct sim_intake *sim_intake_create(struct sim_process *process) {
    if (process->replica->liar)
        return NULL;
    struct sim_intake *intake = sim_alloc(sizeof(*intake));
    intake->process = process;
    intake->replica = process->replica;
    intake->world = process->world;
    intake->leader = ORD_NO_NODE;
    intake->room = true;
    intake->storage = true;
    for (int state = SIM_SENT; state <= SIM_PASSED; state++)
        intake->quiet[state] = UINT32_MAX / 2;
    recover(intake);
    return intake;
}

void sim_intake_destroy(struct sim_intake *intake) {
    if (intake == NULL)
        return;
    free(intake->pool);
    free(intake->checking);
    free(intake->judged);
    free(intake);
}
