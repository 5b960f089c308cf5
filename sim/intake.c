/*
 * The reference: one list that is searched from its beginning, with states named as in the rules.
 */
#include "sim/intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/check.h"
#include "sim/process.h"

enum {
    HOUSEKEEPING_MS = 100,
    AGE_MAX_MS = 120000,
    SLACK_S = 300,
    WINDOW = 4096,
    CUT_AGAIN_MS = 1000,
    CORE_BYTES_MIN = 29,
    COST_LOOK = 1,
    COST_VOTE = 16,
    COST_MAX = 2048,
    CHECKS_MAX = 512,
    FULL_MIN = 256,
    FULL_BURST = 8,
    SOON_PART = 8,
    PASSED_PART = 2,
    REGISTRATIONS = SIM_PARTIES, /* the slot of all registrations */
    SLOTS = SIM_PARTIES + 1,
};

enum state { READY, SENT, SPREAD, PASSED, PROPOSED };

/* An envelope in the pool, or on its way there. */
struct pooled {
    uint32_t party;
    uint64_t sequence; /* 0: a registration */
    size_t item;       /* in the reference: no two of the same bytes */
    enum state state;
    bool foreign;
    bool good; /* its client signed it */
    uint64_t admitted_ms;
    uint64_t forwarded_ms;
};

/* Envelopes whose signatures are being checked for admission. */
struct checking {
    const struct replica_check *check;
    struct pooled items[REPLICA_CHECK_ENVELOPES];
    uint32_t count;
};

/* A batch that the core wants to be judged. */
struct judged {
    uint64_t view;
    uint64_t seq;
    struct ord_hash digest;
    struct ord_span batch; /* the core's */
};

struct sim_intake {
    struct sim_process *process;
    struct sim_world *world;
    struct pooled *pool; /* settled */
    size_t pool_count;
    size_t pool_capacity;
    struct checking *checking;
    size_t checking_count;
    size_t checking_capacity;
    struct judged *judged;
    size_t judged_count;
    size_t judged_capacity;

    /* For each slot: its envelopes in the pool, and since when its client waits. */
    uint32_t counts[SLOTS];
    uint64_t since_ms[SLOTS];

    /* The executed part of the reference's order: everything before `order_at`. */
    size_t order_at;
    /* The seq up to which the core delivered. */
    uint64_t seq;
    bool registered[SIM_PARTIES];
    uint32_t client_count;
    uint64_t highest[SIM_PARTIES];
    /* A transfer brought blocks, and no tail yet. */
    bool between;
    /* The open block, and when a block of that height was first open. */
    size_t open_size;
    uint64_t open_height;
    uint64_t noted_height;
    uint64_t noted_ms;

    uint64_t turn;
    bool room;    /* in this turn */
    bool storage; /* as the core was told */
    ord_node_id leader;
    /* The turn in which the leader began to lead. */
    uint64_t leader_turn;
    uint64_t leader_ms;
    bool silent; /* at the end of the last turn */
    uint64_t housekeeping_ms;
    bool housekeeping; /* in this turn */
    /* Turns of housekeeping until the pool is swept of what a transfer left in it. */
    uint64_t unsure;
    /* A transfer may have moved `since_ms`. This holds until the pool is empty. */
    bool since_unsure;
    /* In this turn an envelope in this state was forwarded again. */
    bool again[PASSED + 1];

    /* The proposal at hand */
    uint64_t offered_cut;
    bool refused; /* in this turn */
    uint64_t cut_height;
    uint64_t cut_ms;

    /* The forwarded batch of the input at hand; empty: there is none. */
    struct ord_span forward;
    struct ord_span submitted;
    /* A hand-over was taken, and the core must be told. */
    bool hand_over;
    /* Checks that are under way: of each sender's messages and attestations, and of envelopes in batches. */
    uint32_t messages[ORD_REPLICA_MAX];
    uint64_t cost[ORD_REPLICA_MAX];
    uint32_t costly[ORD_REPLICA_MAX];
    /* What each has used beyond its allowance, as of that time. */
    uint64_t debt[ORD_REPLICA_MAX];
    uint64_t debt_ms[ORD_REPLICA_MAX];
    enum { MAY_EITHER, MUST_CHECK, MUST_DROP } message; /* the one at hand */
    uint64_t over_share;                                /* messages that were dropped, before it */
    uint32_t proposals;
    /* Messages that the replica has ignored so far. */
    uint64_t ignored;
    uint64_t ignored_until_ms;
    /* Until then it checks nothing of this sender, for a check failed. */
    uint64_t bad_until_ms[ORD_REPLICA_MAX];
    /* A fault found at a FLUSH. It counts if that is the last FLUSH of the turn. Empty: none. */
    char fault[200];
};

static uint64_t now_of(const struct sim_intake *intake) {
    return intake->process->now_ms;
}

static ord_node_id self_of(const struct sim_intake *intake) {
    return intake->process->replica->id;
}

static const struct sim_model *model_of(const struct sim_intake *intake) {
    return &intake->world->checker->model;
}

static bool over(const struct sim_world *world) {
    return world->failed;
}

/* ---- executed envelopes ---- */

static bool is_executed(const struct sim_intake *intake, uint32_t party, uint64_t sequence) {
    if (sequence == 0)
        return intake->registered[party];
    const struct sim_map_entry *entry = sim_map_find(&model_of(intake)->seen, party, sequence, 0);
    return entry != NULL && entry->number <= intake->order_at;
}

/* True if it no longer needs ordering. */
static bool is_over(const struct sim_intake *intake, const struct pooled *pooled) {
    if (is_executed(intake, pooled->party, pooled->sequence) || now_of(intake) > pooled->admitted_ms + AGE_MAX_MS)
        return true;
    if (pooled->sequence == 0)
        return intake->client_count >= intake->world->config->clients_max;
    return pooled->sequence + WINDOW <= intake->highest[pooled->party];
}

static uint32_t slot_of(uint32_t party, uint64_t sequence) {
    return sequence == 0 ? (uint32_t) REGISTRATIONS : party;
}

static void drop(struct sim_intake *intake, size_t index) {
    intake->counts[slot_of(intake->pool[index].party, intake->pool[index].sequence)]--;
    memmove(intake->pool + index, intake->pool + index + 1, (--intake->pool_count - index) * sizeof(*intake->pool));
    if (intake->pool_count == 0)
        intake->since_unsure = false;
}

static struct pooled *find_key(struct sim_intake *intake, uint32_t party, uint64_t sequence) {
    for (size_t i = 0; i < intake->pool_count; i++)
        if (intake->pool[i].party == party && intake->pool[i].sequence == sequence)
            return &intake->pool[i];
    return NULL;
}

static void drop_key(struct sim_intake *intake, const struct sim_placed *placed) {
    struct pooled *pooled = find_key(intake, placed->party, placed->sequence);
    if (pooled != NULL)
        drop(intake, (size_t) (pooled - intake->pool));
}

/* Goes on to `end` in the reference's order. `served`: those envelopes leave the pool, and their clients' waits begin anew. */
static void execute_to(struct sim_intake *intake, size_t end, bool served) {
    for (; intake->order_at < end; intake->order_at++) {
        const struct sim_placed *placed = &model_of(intake)->order[intake->order_at];
        if (placed->sequence == 0) {
            intake->registered[placed->party] = true;
            intake->client_count++;
        } else if (placed->sequence > intake->highest[placed->party]) {
            intake->highest[placed->party] = placed->sequence;
        }
        if (!served)
            continue;
        drop_key(intake, placed);
        intake->since_ms[slot_of(placed->party, placed->sequence)] = now_of(intake);
    }
}

static void open_is(struct sim_intake *intake, uint64_t seq) {
    const struct sim_model_seq *after = &model_of(intake)->seqs[seq - 1];
    intake->open_size = after->open_size;
    intake->open_height = after->height + 1;
    if (intake->open_size == 0 || intake->open_height == intake->noted_height)
        return;
    intake->noted_height = intake->open_height;
    intake->noted_ms = now_of(intake);
}

void sim_intake_executed(struct sim_intake *intake, uint64_t seq) {
    if (intake == NULL || over(intake->world))
        return;
    execute_to(intake, model_of(intake)->seqs[seq - 1].order_end, true);
    intake->seq = seq;
    open_is(intake, seq);
}

void sim_intake_block(struct sim_intake *intake, uint64_t height) {
    if (intake == NULL || over(intake->world) || height == 0)
        return;
    const struct sim_model_block *block = &model_of(intake)->blocks[height - 1];
    /* Drops also envelopes that were executed while their signatures were being checked for admission. */
    for (size_t i = 0; i < block->envelope_count; i++)
        drop_key(intake, &block->envelopes[i]);
    if (block->last_seq <= intake->seq)
        return;
    execute_to(intake, block->order_end, false);
    intake->between = true;
    intake->since_unsure = intake->pool_count > 0;
    intake->open_size = 0;
}

/* ---- inputs ---- */

static struct pooled pooled_of(const struct sim_intake *intake, struct ord_span envelope, bool foreign) {
    const struct sim_item *item = sim_model_item(model_of(intake), envelope);
    struct pooled pooled = {.foreign = foreign, .admitted_ms = now_of(intake), .party = UINT32_MAX};
    if (item == NULL)
        return pooled;
    pooled.good = !item->junk;
    pooled.party = item->party;
    pooled.sequence = item->registration ? 0 : item->sequence;
    pooled.item = (size_t) (item - model_of(intake)->items);
    return pooled;
}

/* The envelope at this place of a batch; empty: the batch has none there. */
static struct ord_span envelope_at(struct ord_span batch, uint32_t index) {
    struct ord_span envelope = ord_span_of(NULL, 0);
    if (!sim_model_well_formed(batch))
        return envelope;
    struct ord_span rest = ord_span_of(batch.data + SIM_BATCH_HEADER, batch.size - SIM_BATCH_HEADER);
    for (uint32_t i = 0; i <= index; i++)
        envelope = sim_model_next(&rest);
    return envelope;
}

/* Checks what admission must look at before it has the signature checked. */
static void check_admitted(struct sim_intake *intake, const struct pooled *pooled) {
    uint32_t replica = intake->process->replica->instance;
    int64_t before_s;
    int64_t after_s;
    if (!intake->room)
        sim_fail(intake->world, "intake: replica %u admits an envelope although it has no room", replica);
    if (!pooled->good)
        return;
    if (is_executed(intake, pooled->party, pooled->sequence))
        sim_fail(intake->world, "intake: replica %u admits sequence %lu of client %u, which it has executed", replica,
                 (unsigned long) pooled->sequence, pooled->party);
    sim_model_validity(pooled->party, &before_s, &after_s);
    int64_t wall_s = sim_process_wall_s(intake->process);
    int64_t slack_s = pooled->foreign ? SLACK_S : 0;
    if (wall_s + slack_s < before_s || wall_s - slack_s > after_s)
        sim_fail(intake->world, "intake: replica %u admits an envelope of client %u, whose certificate is not valid",
                 replica, pooled->party);
}

void sim_intake_check(struct sim_intake *intake, const struct replica_check *check) {
    if (intake == NULL || over(intake->world))
        return;
    if (check->type == REPLICA_CHECK_PROPOSED) {
        intake->proposals++;
        return;
    }
    if (check->type != REPLICA_CHECK_SUBMITTED) {
        uint32_t cost = check->type == REPLICA_CHECK_MESSAGE ? check->message.cost : 0;
        bool costly = check->queue == REPLICA_QUEUE_VIEWS;
        if (now_of(intake) < intake->bad_until_ms[check->from])
            sim_fail(intake->world, "door: replica %u goes on checking what replica %u sends after a bad signature",
                     intake->process->replica->instance, check->from);
        intake->messages[check->from]++;
        intake->cost[check->from] += cost;
        if (intake->message == MUST_DROP && check->type == REPLICA_CHECK_MESSAGE)
            sim_fail(intake->world, "allowance: replica %u checks a message of replica %u, which has used up its own",
                     intake->process->replica->instance, check->from);
        if (costly && cost <= COST_VOTE && intake->costly[check->from] == 0)
            sim_fail(intake->world, "queues: replica %u lets a vote of replica %u wait behind view changes",
                     intake->process->replica->instance, check->from);
        intake->costly[check->from] += costly;
        return;
    }
    intake->checking =
        sim_grow(intake->checking, &intake->checking_capacity, intake->checking_count, sizeof(*intake->checking));
    struct checking *checking = &intake->checking[intake->checking_count++];
    checking->check = check;
    checking->count = check->envelopes.count;
    for (uint32_t i = 0; i < checking->count; i++) {
        bool foreign = intake->forward.size > 0;
        struct ord_span envelope =
            foreign ? envelope_at(intake->forward, check->envelopes.items[i].tag) : intake->submitted;
        checking->items[i] = pooled_of(intake, envelope, foreign);
        check_admitted(intake, &checking->items[i]);
    }
}

static void settle(struct sim_intake *intake, const struct pooled *pooled) {
    uint32_t slot = slot_of(pooled->party, pooled->sequence);
    if (!pooled->good || find_key(intake, pooled->party, pooled->sequence) != NULL ||
        (pooled->sequence != 0 && intake->counts[slot] >= intake->world->plan.client_envelopes_max))
        return;
    if (intake->counts[slot]++ == 0)
        intake->since_ms[slot] = now_of(intake);
    intake->pool = sim_grow(intake->pool, &intake->pool_capacity, intake->pool_count, sizeof(*intake->pool));
    intake->pool[intake->pool_count] = *pooled;
    intake->pool[intake->pool_count++].state = READY;
}

static void check_is_back(struct sim_intake *intake, const struct replica_check *check) {
    if (check->type == REPLICA_CHECK_PROPOSED) {
        intake->proposals--;
        return;
    }
    if (check->type != REPLICA_CHECK_SUBMITTED) {
        intake->messages[check->from]--;
        intake->cost[check->from] -= check->type == REPLICA_CHECK_MESSAGE ? check->message.cost : 0;
        intake->costly[check->from] -= check->queue == REPLICA_QUEUE_VIEWS;
        if (check->bad)
            intake->ignored_until_ms = intake->bad_until_ms[check->from] = now_of(intake) + 1000;
        /* The host ignored it. */
        intake->ignored += check->ignored;
        return;
    }
    for (size_t i = 0; i < intake->checking_count; i++)
        if (intake->checking[i].check == check) {
            for (uint32_t j = 0; j < intake->checking[i].count; j++)
                settle(intake, &intake->checking[i].items[j]);
            intake->checking[i] = intake->checking[--intake->checking_count];
            return;
        }
}

/* Can the sender afford a message that costs so much? docs/protocol.md, "Bounds". */
static bool can_afford(struct sim_intake *intake, ord_node_id from, uint32_t cost) {
    const struct sim_plan *plan = &intake->world->plan;
    uint64_t full = (uint64_t) plan->window * channel_strong_quorum(intake->world->config);
    full = full < FULL_MIN ? (uint64_t) FULL_MIN : full;
    uint64_t paid = full * (now_of(intake) - intake->debt_ms[from]) / plan->request_timeout_ms;
    if (paid > 0) {
        intake->debt[from] -= paid < intake->debt[from] ? paid : intake->debt[from];
        intake->debt_ms[from] = now_of(intake);
    }
    if (cost > COST_VOTE && intake->debt[from] >= FULL_BURST * full)
        return false;
    if (cost > COST_VOTE)
        intake->debt[from] += cost;
    return true;
}

/* What is to become of a message of the core. */
static void expect_message(struct sim_intake *intake, ord_node_id from, struct ord_span bytes) {
    const struct sim_process *process = intake->process;
    const struct ord_protocol *protocol = intake->world->protocol;
    if (bytes.size < CORE_BYTES_MIN)
        return;
    uint32_t cost = protocol->cost(bytes);
    if (cost > COST_LOOK && !protocol->wants(process->observer.inner, bytes))
        return;
    uint64_t open = intake->cost[from];
    bool much = open > 0 && open + cost > COST_MAX;
    if (much || !can_afford(intake, from, cost))
        intake->message = MUST_DROP;
    else if (intake->messages[from] < CHECKS_MAX)
        intake->message = MUST_CHECK; /* unless its sender is ignored */
    intake->over_share = replica_counters(process->program)->link_jobs_over_share;
}

static void check_message(struct sim_intake *intake) {
    if (intake->message == MUST_CHECK &&
        replica_counters(intake->process->program)->link_jobs_over_share > intake->over_share)
        sim_fail(intake->world, "allowance: replica %u drops a message although its sender has some of its own left",
                 intake->process->replica->instance);
    intake->message = MAY_EITHER;
}

void sim_intake_taken(struct sim_intake *intake, const struct sim_input *input) {
    if (intake == NULL || over(intake->world))
        return;
    check_message(intake);
    if (input->type == REPLICA_INPUT_MESSAGE && input->kind == REPLICA_LINK_CORE)
        expect_message(intake, input->from, sim_buffer_span(input->buffer));
    intake->forward = ord_span_of(NULL, 0);
    intake->submitted = ord_span_of(NULL, 0);
    if (input->type == REPLICA_INPUT_CHECKED)
        check_is_back(intake, input->check);
    else if (input->type == REPLICA_INPUT_SUBMITTED)
        intake->submitted = input->submission->envelope;
    else if (input->type == REPLICA_INPUT_MESSAGE && input->kind == REPLICA_LINK_FORWARD)
        intake->forward = sim_buffer_span(input->buffer);
    else if (input->type == REPLICA_INPUT_HAND_OVER)
        intake->hand_over = true;
}

void sim_intake_answered(struct sim_intake *intake, const struct replica_result *result, struct ord_span envelope) {
    if (intake == NULL || over(intake->world))
        return;
    const struct pooled given = pooled_of(intake, envelope, false);
    if (result->verdict == REPLICA_DUPLICATE && result->ordered && given.party < SIM_CLIENTS &&
        !is_executed(intake, given.party, given.sequence) && given.sequence + WINDOW > intake->highest[given.party])
        sim_fail(intake->world, "intake: replica %u tells client %u that sequence %lu is ordered, and it is not",
                 intake->process->replica->instance, given.party, (unsigned long) given.sequence);
    if (result->verdict != REPLICA_ACCEPTED)
        return;
    struct pooled *kept = given.party == UINT32_MAX ? NULL : find_key(intake, given.party, given.sequence);
    if (kept == NULL || kept->item != given.item) {
        sim_fail(intake->world, "intake: replica %u accepts sequence %lu of client %u, and does not keep it",
                 intake->process->replica->instance, (unsigned long) given.sequence, given.party);
        return;
    }
    if (kept->foreign && kept->state == PASSED)
        kept->state = READY;
    kept->foreign = false;
}

/* ---- outputs ---- */

/*
 * Finds an envelope of a batch that the replica made. NULL: the pool does not have it, or has another one under its
 * key.
 */
static struct pooled *pooled_in(struct sim_intake *intake, struct ord_span envelope) {
    const struct pooled given = pooled_of(intake, envelope, false);
    struct pooled *kept = given.party == UINT32_MAX ? NULL : find_key(intake, given.party, given.sequence);
    return kept == NULL || kept->item != given.item ? NULL : kept;
}

static void forwarded(struct sim_intake *intake, struct pooled *pooled, bool to_all) {
    if (pooled->state == PROPOSED)
        sim_fail(intake->world, "forward: replica %u forwards what it has proposed",
                 intake->process->replica->instance);
    if (to_all && pooled->foreign && intake->leader != ORD_NO_NODE)
        sim_fail(intake->world, "forward: replica %u forwards to all what another replica forwarded to it",
                 intake->process->replica->instance);
    if (!to_all && !pooled->foreign && pooled->state != READY)
        sim_fail(intake->world,
                 "forward: replica %u forwards its client's envelope to the leader again, and not to all",
                 intake->process->replica->instance);
    bool again = pooled->state != READY;
    if (again)
        intake->again[pooled->state] = true;
    pooled->forwarded_ms = now_of(intake);
    pooled->state = pooled->foreign ? PASSED : again ? SPREAD : SENT;
}

void sim_intake_sent(struct sim_intake *intake, ord_replica_set to, enum replica_link kind,
                     const struct ord_span *parts, size_t part_count) {
    if (intake == NULL || kind != REPLICA_LINK_FORWARD || over(intake->world))
        return;
    ord_replica_set leader = intake->leader == ORD_NO_NODE ? 0 : ord_replica_bit(intake->leader);
    struct ord_span batch = part_count == 1 ? parts[0] : ord_span_of(NULL, 0);
    if (!sim_model_well_formed(batch) || (to & leader) != leader || leader == ord_replica_bit(self_of(intake))) {
        sim_fail(intake->world, "forward: replica %u forwards to others than the leader", self_of(intake));
        return;
    }
    struct ord_span rest = ord_span_of(batch.data + SIM_BATCH_HEADER, batch.size - SIM_BATCH_HEADER);
    while (rest.size > 0 && !over(intake->world)) {
        struct pooled *pooled = pooled_in(intake, sim_model_next(&rest));
        if (pooled == NULL && intake->unsure > 0)
            continue;
        if (pooled == NULL)
            sim_fail(intake->world, "forward: replica %u forwards what it has not admitted, or has executed",
                     intake->process->replica->instance);
        else
            forwarded(intake, pooled, to != leader);
    }
}

/* ---- the core ---- */

static uint64_t cut_ms(const struct sim_intake *intake) {
    uint32_t timeout_ms = intake->world->plan.batch_timeout_ms;
    if (timeout_ms == 0 || intake->open_size == 0 || intake->open_height != intake->noted_height)
        return UINT64_MAX;
    return intake->noted_ms + timeout_ms;
}

static uint64_t marker_ms(const struct sim_intake *intake) {
    uint64_t due_ms = cut_ms(intake);
    if (due_ms == UINT64_MAX || intake->cut_height != intake->open_height)
        return due_ms;
    return due_ms > intake->cut_ms + CUT_AGAIN_MS ? due_ms : intake->cut_ms + CUT_AGAIN_MS;
}

static void look_at_proposal(struct sim_intake *intake, struct ord_span batch) {
    uint32_t replica = intake->process->replica->instance;
    if (!sim_model_well_formed(batch)) {
        sim_fail(intake->world, "proposal: that of replica %u is no batch", replica);
        return;
    }
    intake->offered_cut = ord_load_u64(batch.data + 1);
    if (intake->offered_cut != 0 && (intake->offered_cut != intake->open_height || marker_ms(intake) > now_of(intake)))
        sim_fail(intake->world, "proposal: replica %u cuts block %lu, which is not due", replica,
                 (unsigned long) intake->offered_cut);
    struct ord_span rest = ord_span_of(batch.data + SIM_BATCH_HEADER, batch.size - SIM_BATCH_HEADER);
    while (rest.size > 0 && !over(intake->world)) {
        struct pooled *pooled = pooled_in(intake, sim_model_next(&rest));
        if (pooled == NULL || pooled->state != READY || is_over(intake, pooled))
            sim_fail(intake->world, "proposal: replica %u proposes what it has not admitted, has executed or proposed",
                     replica);
        else
            pooled->state = PROPOSED;
    }
}

static void proposal_done(struct sim_intake *intake, bool taken) {
    if (taken) {
        if (intake->offered_cut != 0) {
            intake->cut_height = intake->offered_cut;
            intake->cut_ms = now_of(intake);
        }
        return;
    }
    intake->refused = true;
}

/* True if this batch may be refused. False: everything in it is admissible. */
static bool may_refuse(const struct sim_intake *intake, const struct judged *judged) {
    const struct channel_config *config = intake->world->config;
    uint64_t applied_seq = channel_applied_seq(replica_channel(intake->process->program));
    if (!sim_model_well_formed(judged->batch))
        return true;
    struct ord_span rest = ord_span_of(judged->batch.data + SIM_BATCH_HEADER, judged->batch.size - SIM_BATCH_HEADER);
    while (rest.size > 0) {
        const struct sim_item *item = sim_model_item(model_of(intake), sim_model_next(&rest));
        if (item == NULL || item->junk || item->size > config->absolute_max_bytes ||
            item->message_count > config->max_message_count || (!item->registration && item->sequence == 0))
            return true;
        if (!item->registration && !intake->registered[item->party] && applied_seq + 1 >= judged->seq)
            return true;
    }
    return false;
}

/* True if this batch must be refused. While the client table is full, registrations are not looked at any more. */
static bool must_refuse(const struct sim_intake *intake, const struct judged *judged) {
    const struct channel_config *config = intake->world->config;
    if (!sim_model_well_formed(judged->batch))
        return true;
    struct ord_span rest = ord_span_of(judged->batch.data + SIM_BATCH_HEADER, judged->batch.size - SIM_BATCH_HEADER);
    while (rest.size > 0 && intake->client_count < config->clients_max) {
        const struct sim_item *item = sim_model_item(model_of(intake), sim_model_next(&rest));
        if (item == NULL || item->junk || item->size > config->absolute_max_bytes ||
            item->message_count > config->max_message_count)
            return true;
    }
    return false;
}

static void look_at_verdict(struct sim_intake *intake, const struct ord_event *event) {
    uint32_t replica = intake->process->replica->instance;
    for (size_t i = 0; i < intake->judged_count; i++) {
        struct judged *judged = &intake->judged[i];
        if (judged->view != event->judged.view || judged->seq != event->judged.seq ||
            !ord_hash_equal(&judged->digest, &event->judged.digest))
            continue;
        bool wrong = event->judged.admissible ? must_refuse(intake, judged) : !may_refuse(intake, judged);
        if (wrong)
            sim_fail(intake->world, "judgement: replica %u finds the batch of view %lu, seq %lu %sadmissible", replica,
                     (unsigned long) judged->view, (unsigned long) judged->seq, event->judged.admissible ? "" : "not ");
        *judged = intake->judged[--intake->judged_count];
        return;
    }
    sim_fail(intake->world, "judgement: replica %u gives a verdict on view %lu, seq %lu that nobody waits for", replica,
             (unsigned long) event->judged.view, (unsigned long) event->judged.seq);
}

static void sweep(struct sim_intake *intake) {
    for (size_t i = intake->pool_count; i > 0; i--)
        if (is_over(intake, &intake->pool[i - 1]))
            drop(intake, i - 1);
}

/*
 * A leader that looks for envelopes to propose drops those that are over. It is unknown whether it has looked at this
 * one.
 */
static void left_out(struct sim_intake *intake, size_t index) {
    drop(intake, index);
    intake->unsure = 2;
    intake->since_unsure = intake->pool_count > 0;
}

static uint64_t work_ms(const struct sim_intake *intake) {
    uint64_t since_ms = cut_ms(intake);
    if (intake->pool_count == 0)
        return since_ms;
    for (uint32_t i = 0; i < SLOTS; i++)
        if (intake->counts[i] > 0 && intake->since_ms[i] < since_ms)
            since_ms = intake->since_ms[i];
    return since_ms;
}

static bool may_run(const struct sim_intake *intake) {
    return intake->room && !intake->between;
}

static bool turn_is_full(const struct sim_intake *intake) {
    return intake->process->writes.bytes >= intake->process->turn_bytes_max / 2;
}

/* When the turn ends, the core must know since when work waits. */
static void look_at_work(struct sim_intake *intake) {
    const struct ord_core *core = &intake->process->observer;
    uint64_t expected_ms = work_ms(intake);
    if (core->work_since_ms != expected_ms && intake->unsure == 0 && !intake->since_unsure)
        snprintf(intake->fault, sizeof(intake->fault), "work: replica %u tells its core %lu, the reference has %lu",
                 intake->process->replica->instance, (unsigned long) core->work_since_ms, (unsigned long) expected_ms);
}

/* A leader must propose what it can, at once. */
static void look_at_lead(struct sim_intake *intake) {
    const struct ord_core *core = &intake->process->observer;
    bool ready = false;
    if (!core->status.leading)
        return;
    for (size_t i = intake->pool_count; i > 0; i--) {
        const struct pooled *pooled = &intake->pool[i - 1];
        bool gone = is_over(intake, pooled);
        ready = ready || (pooled->state == READY && !gone);
        if (pooled->state == READY && gone)
            left_out(intake, i - 1);
    }
    if (!core->status.can_propose || !may_run(intake) || intake->refused || turn_is_full(intake))
        return;
    if ((ready && core->status.in_flight == 0) || marker_ms(intake) <= now_of(intake))
        snprintf(intake->fault, sizeof(intake->fault), "proposal: replica %u leads, may propose and does not%s",
                 intake->process->replica->instance, ready ? "" : " cut");
}

static void look_at_flush(struct sim_intake *intake) {
    intake->fault[0] = '\0';
    if (intake->housekeeping)
        sweep(intake);
    look_at_lead(intake);
    look_at_work(intake);
}

void sim_intake_event(struct sim_intake *intake, const struct ord_event *event) {
    if (intake == NULL || over(intake->world))
        return;
    bool forbidden =
        event->type == ORD_EVENT_MESSAGE || event->type == ORD_EVENT_JUDGED || event->type == ORD_EVENT_PROPOSE;
    if (forbidden && !may_run(intake))
        sim_fail(intake->world, "room: the core of replica %u gets an event of type %d while it may not run",
                 intake->process->replica->instance, (int) event->type);
    if (event->type == ORD_EVENT_PROPOSE)
        look_at_proposal(intake, event->propose.batch);
    else if (event->type == ORD_EVENT_JUDGED)
        look_at_verdict(intake, event);
    else if (event->type == ORD_EVENT_FLUSH)
        look_at_flush(intake);
    else if (event->type == ORD_EVENT_STORAGE)
        intake->storage = event->storage.available;
    else if (event->type == ORD_EVENT_HAND_OVER)
        intake->hand_over = false;
    if (event->type != ORD_EVENT_SYNCED)
        return;
    execute_to(intake, model_of(intake)->seqs[event->synced.seq - 1].order_end, false);
    intake->seq = event->synced.seq;
    intake->between = false;
    intake->unsure = 2;
    intake->since_unsure = intake->pool_count > 0;
    open_is(intake, event->synced.seq);
    for (size_t i = intake->judged_count; i > 0; i--)
        if (intake->judged[i - 1].seq <= event->synced.seq)
            intake->judged[i - 1] = intake->judged[--intake->judged_count];
}

void sim_intake_effect(struct sim_intake *intake, const struct ord_effect *effect) {
    if (intake == NULL || over(intake->world))
        return;
    if (effect->type == ORD_EFFECT_LEADER) {
        intake->leader = effect->leader.leader;
        intake->leader_turn = intake->turn;
        intake->leader_ms = now_of(intake);
        if (intake->leader != ORD_NO_NODE)
            memset(intake->debt, 0, sizeof(intake->debt));
        intake->cut_height = 0;
        intake->judged_count = 0;
        for (size_t i = 0; i < intake->pool_count; i++)
            intake->pool[i].state = READY;
    } else if (effect->type == ORD_EFFECT_REJECT) {
        intake->refused = true;
    } else if (effect->type == ORD_EFFECT_JUDGE) {
        intake->judged =
            sim_grow(intake->judged, &intake->judged_capacity, intake->judged_count, sizeof(*intake->judged));
        intake->judged[intake->judged_count++] = (struct judged) {.view = effect->judge.view,
                                                                  .seq = effect->judge.seq,
                                                                  .digest = effect->judge.digest,
                                                                  .batch = effect->judge.batch};
    }
}

void sim_intake_stepped(struct sim_intake *intake, const struct ord_event *event, bool taken) {
    if (intake == NULL || over(intake->world) || event->type != ORD_EVENT_PROPOSE)
        return;
    taken = taken && !intake->refused;
    proposal_done(intake, taken);
    if (taken)
        return;
    struct ord_span batch = event->propose.batch;
    struct ord_span rest = ord_span_of(batch.data + SIM_BATCH_HEADER, batch.size - SIM_BATCH_HEADER);
    while (rest.size > 0) {
        struct pooled *pooled = pooled_in(intake, sim_model_next(&rest));
        if (pooled != NULL)
            pooled->state = READY;
    }
}

uint64_t sim_intake_due_ms(const struct sim_intake *intake) {
    if (intake == NULL || intake->leader != self_of(intake) || !intake->process->observer.status.can_propose ||
        !may_run(intake))
        return UINT64_MAX;
    return marker_ms(intake);
}

/* ---- the turn ---- */

void sim_intake_turn(struct sim_intake *intake) {
    if (intake == NULL)
        return;
    intake->turn++;
    intake->room = !intake->process->replica->full;
    intake->refused = false;
    intake->fault[0] = '\0';
    memset(intake->again, 0, sizeof(intake->again));
    intake->housekeeping = now_of(intake) >= intake->housekeeping_ms;
    if (intake->housekeeping) {
        intake->housekeeping_ms = now_of(intake) + HOUSEKEEPING_MS;
        intake->unsure -= intake->unsure > 0;
    }
}

static const char *const list_names[] = {"", "what only the leader has", "what all have", "what it passed on"};

/* Envelopes that are due again must go again, at least one parcel of them. */
static void check_again(struct sim_intake *intake) {
    uint64_t timeout_ms = intake->world->plan.request_timeout_ms;
    const uint64_t waits_ms[] = {0, timeout_ms / SOON_PART, timeout_ms, timeout_ms / PASSED_PART};
    if (!intake->housekeeping)
        return;
    for (size_t i = 0; i < intake->pool_count; i++) {
        const struct pooled *pooled = &intake->pool[i];
        if (pooled->state == READY || pooled->state == PROPOSED || intake->again[pooled->state] ||
            now_of(intake) < pooled->forwarded_ms + waits_ms[pooled->state])
            continue;
        sim_fail(intake->world, "forward: replica %u does not repeat %s for %lu ms", intake->process->replica->instance,
                 list_names[pooled->state], (unsigned long) (now_of(intake) - pooled->forwarded_ms));
        return;
    }
}

static void check_forwards(struct sim_intake *intake) {
    bool alone = intake->leader == ORD_NO_NODE;
    bool long_since = now_of(intake) >= intake->leader_ms + intake->world->plan.request_timeout_ms;
    if (intake->leader_turn == intake->turn || intake->leader == self_of(intake) ||
        (alone && !intake->silent && !long_since))
        return;
    for (size_t i = 0; i < intake->pool_count; i++)
        if (intake->pool[i].state == READY && !is_over(intake, &intake->pool[i])) {
            sim_fail(intake->world, "forward: replica %u keeps an envelope to itself, the leader is %d",
                     intake->process->replica->instance, alone ? -1 : (int) intake->leader);
            return;
        }
    check_again(intake);
}

/* A batch must be judged as soon as it can be. */
static void check_verdicts(struct sim_intake *intake) {
    if (intake->judged_count == 0 || !may_run(intake) || turn_is_full(intake) || intake->proposals > 0 ||
        intake->checking_count > 0)
        return;
    uint64_t applied_seq = channel_applied_seq(replica_channel(intake->process->program));
    for (size_t i = 0; i < intake->judged_count; i++)
        if (intake->judged[i].seq <= applied_seq + 1)
            sim_fail(intake->world, "judgement: replica %u owes its core a verdict on view %lu, seq %lu",
                     intake->process->replica->instance, (unsigned long) intake->judged[i].view,
                     (unsigned long) intake->judged[i].seq);
}

static void check_open(struct sim_intake *intake) {
    struct replica_status status;
    uint32_t envelopes = 0;
    uint32_t messages = 0;
    uint64_t cost = 0;
    uint32_t costly = 0;
    uint32_t replica = intake->process->replica->instance;
    replica_status(intake->process->program, &status);
    for (size_t i = 0; i < intake->checking_count; i++)
        envelopes += intake->checking[i].count;
    for (uint32_t i = 0; i < intake->world->replica_count; i++) {
        messages += intake->messages[i];
        cost += intake->cost[i];
        costly += intake->costly[i];
    }
    if (status.open.messages != messages || status.open.cost != cost || status.open.costly != costly ||
        status.open.envelopes != envelopes)
        sim_fail(intake->world,
                 "shares: replica %u counts %u messages (of %u), %lu signatures (%lu), %u costly ones (%u), %u "
                 "envelopes (%u) that are being checked",
                 replica, status.open.messages, messages, (unsigned long) status.open.cost, (unsigned long) cost,
                 status.open.costly, costly, status.open.envelopes, envelopes);
    if (intake->unsure == 0 && status.pool_envelopes != intake->pool_count + envelopes)
        sim_fail(intake->world, "intake: the pool of replica %u has %u envelopes, the reference %zu and %u to check",
                 replica, status.pool_envelopes, intake->pool_count, envelopes);
    if (status.syncing_between && !status.syncing)
        sim_fail(intake->world, "transfer: replica %u does not know where its transfer goes", replica);
}

void sim_intake_ended(struct sim_intake *intake) {
    struct sim_process *process = intake == NULL ? NULL : intake->process;
    if (intake == NULL || over(intake->world))
        return;
    uint32_t replica = process->replica->instance;
    check_message(intake);
    if (intake->fault[0] != '\0')
        sim_fail(intake->world, "%s", intake->fault);
    intake->fault[0] = '\0';
    if (intake->hand_over)
        sim_fail(intake->world, "seam: the core of replica %u is not told that it is to stop", replica);
    if (intake->storage != intake->room)
        sim_fail(intake->world, "room: the core of replica %u is not told whether there is room", replica);
    check_forwards(intake);
    check_verdicts(intake);
    if (intake->turn % 16 == 0)
        check_open(intake);
    uint64_t ignored = replica_counters(process->program)->link_messages_ignored;
    if (ignored > intake->ignored && now_of(intake) > intake->ignored_until_ms)
        sim_fail(intake->world, "door: replica %u ignores a sender of which it has seen nothing bad", replica);
    intake->ignored = ignored;
    intake->silent = process->observer.status.silent;
}

const char *sim_intake_rest(const struct sim_intake *intake) {
    if (intake == NULL)
        return NULL;
    if (intake->judged_count > 0)
        return "a batch waits for its verdict";
    return NULL;
}

/* ---- making and unmaking ---- */

/* Reads from the disk what is executed there. */
static void recover(struct sim_intake *intake) {
    const struct sim_disk *disk = &intake->process->replica->disk;
    const struct sim_model *model = model_of(intake);
    uint64_t applied_seq = sim_disk_applied(disk);
    uint64_t height = sim_disk_height(disk);
    size_t closed = height == 0 ? 0 : model->blocks[height - 1].order_end;
    size_t applied = applied_seq == 0 ? 0 : model->seqs[applied_seq - 1].order_end;
    intake->between = height > 0 && model->blocks[height - 1].last_seq > applied_seq;
    intake->seq = applied_seq;
    execute_to(intake, closed > applied ? closed : applied, false);
    if (!intake->between && applied_seq > 0)
        open_is(intake, applied_seq);
}

struct sim_intake *sim_intake_create(struct sim_process *process) {
    if (process->replica->liar)
        return NULL;
    struct sim_intake *intake = sim_alloc(sizeof(*intake));
    intake->process = process;
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
