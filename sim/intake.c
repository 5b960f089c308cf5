/*
 * The reference's pool: one list that is searched from its beginning, with states named as in the rules. This file
 * holds the list, what execution takes out of it, what the replica answers and forwards from it, and the turn.
 */
#include "sim/intake_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    HOUSEKEEPING_MS = 100,
    AGE_MAX_MS = 120000,
    WINDOW = 4096,
    SOON_PART = 8,
    PASSED_PART = 2,
};

/* ---- the list and what is executed ---- */

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

static struct sim_pooled *find_key(struct sim_intake *intake, uint32_t party, uint64_t sequence) {
    for (size_t i = 0; i < intake->pool_count; i++)
        if (intake->pool[i].party == party && intake->pool[i].sequence == sequence)
            return &intake->pool[i];
    return NULL;
}

void sim_intake_settle(struct sim_intake *intake, const struct sim_pooled *pooled) {
    uint32_t slot = sim_slot_of(pooled->party, pooled->sequence);
    uint32_t most = pooled->sequence == 0 ? UINT32_MAX : intake->world->plan.client_envelopes_max;
    if (!pooled->good || find_key(intake, pooled->party, pooled->sequence) != NULL || intake->counts[slot] >= most)
        return;
    intake->lost = intake->counts[slot] + intake->ghosts[slot] >= most;
    if (intake->counts[slot]++ == 0)
        intake->since_ms[slot] = sim_intake_now(intake);
    intake->pool = sim_grow(intake->pool, &intake->pool_capacity, intake->pool_count, sizeof(*intake->pool));
    intake->pool[intake->pool_count] = *pooled;
    intake->pool[intake->pool_count++].state = SIM_READY;
}

void sim_intake_drop(struct sim_intake *intake, size_t index) {
    intake->counts[sim_slot_of(intake->pool[index].party, intake->pool[index].sequence)]--;
    memmove(intake->pool + index, intake->pool + index + 1, (--intake->pool_count - index) * sizeof(*intake->pool));
}

static void drop_key(struct sim_intake *intake, const struct sim_placed *placed) {
    struct sim_pooled *pooled = find_key(intake, placed->party, placed->sequence);
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
        intake->since_ms[sim_slot_of(placed->party, placed->sequence)] = sim_intake_now(intake);
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

void sim_intake_executed(struct sim_intake *intake, uint64_t seq) {
    if (intake == NULL || sim_over(intake))
        return;
    sim_intake_execute_to(intake, sim_intake_model(intake)->seqs[seq - 1].order_end, true);
    intake->seq = seq;
    sim_intake_open_is(intake, seq);
}

void sim_intake_block(struct sim_intake *intake, uint64_t height) {
    if (intake == NULL || sim_over(intake) || height == 0)
        return;
    const struct sim_model_block *block = &sim_intake_model(intake)->blocks[height - 1];
    /* Drops also envelopes that were executed while their signatures were being checked for admission. */
    for (size_t i = 0; i < block->envelope_count; i++)
        drop_key(intake, &block->envelopes[i]);
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
    struct sim_pooled *kept = given.party == UINT32_MAX ? NULL : find_key(intake, given.party, given.sequence);
    return kept == NULL || kept->item != given.item ? NULL : kept;
}

void sim_intake_answered(struct sim_intake *intake, const struct replica_result *result, struct ord_span envelope) {
    if (intake == NULL || sim_over(intake))
        return;
    const struct sim_pooled given = sim_pooled_of(intake, envelope, false);
    if (result->verdict == REPLICA_DUPLICATE && result->ordered && given.party < SIM_CLIENTS &&
        !sim_intake_is_executed(intake, given.party, given.sequence) &&
        given.sequence + WINDOW > intake->highest[given.party])
        sim_blame(intake->replica, "intake", "tells client %u that sequence %lu is ordered, and it is not", given.party,
                  (unsigned long) given.sequence);
    if (result->verdict != REPLICA_ACCEPTED)
        return;
    struct sim_pooled *kept = sim_pooled_in(intake, envelope);
    if (kept == NULL) {
        sim_blame(intake->replica, "intake", "accepts sequence %lu of client %u, and does not keep it",
                  (unsigned long) given.sequence, given.party);
        return;
    }
    if (kept->foreign && kept->state == SIM_PASSED)
        kept->state = SIM_READY;
    kept->foreign = false;
}

static void forwarded(struct sim_intake *intake, struct sim_pooled *pooled, bool to_all) {
    if (pooled->state == SIM_PROPOSED)
        sim_blame(intake->replica, "forward", "forwards what it has proposed");
    if (to_all && pooled->foreign && intake->leader != ORD_NO_NODE)
        sim_blame(intake->replica, "forward", "forwards to all what another replica forwarded to it");
    if (!to_all && !pooled->foreign && pooled->state != SIM_READY)
        sim_blame(intake->replica, "forward", "forwards its client's envelope to the leader again, and not to all");
    bool again = pooled->state != SIM_READY;
    if (again)
        intake->again[pooled->state] = true;
    pooled->forwarded_ms = sim_intake_now(intake);
    pooled->state = pooled->foreign ? SIM_PASSED : again ? SIM_SPREAD : SIM_SENT;
}

void sim_intake_sent(struct sim_intake *intake, ord_replica_set to, enum replica_link kind,
                     const struct ord_span *parts, size_t part_count) {
    if (intake == NULL || kind != REPLICA_LINK_FORWARD || sim_over(intake))
        return;
    ord_replica_set leader = intake->leader == ORD_NO_NODE ? 0 : ord_replica_bit(intake->leader);
    struct ord_span batch = part_count == 1 ? parts[0] : ord_span_of(NULL, 0);
    if (!sim_model_well_formed(batch) || (to & leader) != leader ||
        leader == ord_replica_bit(sim_intake_self(intake))) {
        sim_blame(intake->replica, "forward", "forwards to others than the leader");
        return;
    }
    struct ord_span rest = ord_span_of(batch.data + SIM_BATCH_HEADER, batch.size - SIM_BATCH_HEADER);
    while (rest.size > 0 && !sim_over(intake)) {
        struct sim_pooled *pooled = sim_pooled_in(intake, sim_model_next(&rest));
        if (pooled == NULL && intake->unsure > 0)
            continue;
        if (pooled == NULL)
            sim_blame(intake->replica, "forward", "forwards what it has not admitted, or has executed");
        else
            forwarded(intake, pooled, to != leader);
    }
}

/* ---- the turn ---- */

void sim_intake_turn(struct sim_intake *intake) {
    if (intake == NULL)
        return;
    intake->turn++;
    intake->room = !intake->replica->full;
    intake->refused = false;
    intake->fault[0] = '\0';
    memset(intake->again, 0, sizeof(intake->again));
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

static const char *const list_names[] = {"", "what only the leader has", "what all have", "what it passed on"};

/* Envelopes that are due again must go again, at least one parcel of them. */
static void check_again(struct sim_intake *intake) {
    uint64_t timeout_ms = intake->world->plan.request_timeout_ms;
    const uint64_t waits_ms[] = {0, timeout_ms / SOON_PART, timeout_ms, timeout_ms / PASSED_PART};
    if (!intake->housekeeping)
        return;
    for (size_t i = 0; i < intake->pool_count; i++) {
        const struct sim_pooled *pooled = &intake->pool[i];
        if (pooled->state == SIM_READY || pooled->state == SIM_PROPOSED || intake->again[pooled->state] ||
            sim_intake_now(intake) < pooled->forwarded_ms + waits_ms[pooled->state])
            continue;
        sim_blame(intake->replica, "forward", "does not repeat %s for %lu ms", list_names[pooled->state],
                  (unsigned long) (sim_intake_now(intake) - pooled->forwarded_ms));
        return;
    }
}

static void check_forwards(struct sim_intake *intake) {
    bool alone = intake->leader == ORD_NO_NODE;
    bool long_since = sim_intake_now(intake) >= intake->leader_ms + intake->world->plan.request_timeout_ms;
    if (intake->leader_turn == intake->turn || intake->leader == sim_intake_self(intake) ||
        (alone && !intake->silent && !long_since))
        return;
    for (size_t i = 0; i < intake->pool_count; i++)
        if (intake->pool[i].state == SIM_READY && !sim_intake_is_over(intake, &intake->pool[i])) {
            sim_blame(intake->replica, "forward", "keeps an envelope to itself, the leader is %d",
                      alone ? -1 : (int) intake->leader);
            return;
        }
    check_again(intake);
}

void sim_intake_ended(struct sim_intake *intake) {
    if (intake == NULL || sim_over(intake))
        return;
    sim_intake_check_message(intake);
    if (intake->fault[0] != '\0')
        sim_fail(intake->world, "%s", intake->fault);
    intake->fault[0] = '\0';
    if (intake->hand_over)
        sim_fail(intake->world, "seam: the core of replica %u is not told that it is to stop",
                 intake->replica->instance);
    if (intake->storage != intake->room)
        sim_fail(intake->world, "room: the core of replica %u is not told whether there is room",
                 intake->replica->instance);
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
