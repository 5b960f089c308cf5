/*
 * The checks of signatures that the replica hands out and gets back. This file holds what admission must look at
 * before such a check, each sender's allowance and its messages, and the replica's count of the checks under way.
 */
#include "sim/check.h"
#include "sim/intake_internal.h"

enum {
    SLACK_S = 300,
    CORE_BYTES_MIN = 29,
    COST_VOTE = 16,
    COST_MAX = 2048,
    CHECKS_MAX = 512,
    FULL_MIN = 256,
    FULL_BURST = 8,
};

/* The envelope at this place of a batch; empty: the batch has none there. */
static struct ord_span envelope_at(struct ord_span batch, uint32_t index) {
    struct ord_span envelope = ord_span_of(NULL, 0);
    if (!sim_model_well_formed(batch))
        return envelope;
    struct ord_span rest = sim_model_envelopes(batch);
    for (uint32_t i = 0; i <= index; i++)
        envelope = sim_model_next(&rest);
    return envelope;
}

enum { CLIENT_AT_ANY_TIME = 4 };

/*
 * A client has at most as much in the pool as it leaves free of what the channel orders in one request timeout. What is
 * under check counts too, but the reference does not ask for that. A large envelope that was refused comes in beyond
 * that (replica/intake/large.h).
 */
static void check_part(struct sim_intake *intake, const struct sim_pooled *pooled) {
    uint64_t budget = sim_intake_rate(intake) * intake->world->plan.request_timeout_ms / 1000;
    uint64_t used = 0;
    uint64_t mine = sim_intake_cost(intake, pooled);
    uint32_t count = 0;
    for (size_t i = 0; i < intake->pool_count; i++) {
        const struct sim_pooled *other = &intake->pool[i];
        bool same = sim_slot_of(other->party, other->sequence) == sim_slot_of(pooled->party, pooled->sequence);
        used += sim_intake_cost(intake, other);
        mine += same ? sim_intake_cost(intake, other) : 0;
        count += same;
    }
    bool beyond = count >= CLIENT_AT_ANY_TIME && mine + used > budget;
    if (intake->unsure == 0 && beyond && !sim_intake_is_large(intake, pooled))
        sim_blame(intake->replica, "intake", "admits %lu of client %u although %lu waits of %lu", (unsigned long) mine,
                  pooled->party, (unsigned long) used, (unsigned long) budget);
}

static bool is_valid_now(const struct sim_intake *intake, const struct sim_pooled *pooled) {
    int64_t before_s;
    int64_t after_s;
    sim_model_validity(pooled->party, &before_s, &after_s);
    int64_t wall_s = sim_process_wall_s(intake->process);
    int64_t slack_s = pooled->foreign ? SLACK_S : 0;
    return wall_s + slack_s >= before_s && wall_s - slack_s <= after_s;
}

/* Checks what admission must look at before it has the signature checked. */
static void check_admitted(struct sim_intake *intake, const struct sim_pooled *pooled) {
    if (!intake->room)
        sim_blame(intake->replica, "intake", "admits an envelope although it has no room");
    if (!pooled->good)
        return;
    if (sim_intake_is_executed(intake, pooled->party, pooled->sequence))
        sim_blame(intake->replica, "intake", "admits sequence %lu of client %u, which it has executed",
                  (unsigned long) pooled->sequence, pooled->party);
    if (!pooled->foreign)
        check_part(intake, pooled);
    /* A registration's time is in its certificate, and not known before the check. */
    if (pooled->sequence != 0 && !is_valid_now(intake, pooled))
        sim_blame(intake->replica, "intake", "admits an envelope of client %u, whose certificate is not valid",
                  pooled->party);
}

void sim_intake_check(struct sim_intake *intake, const struct replica_check *check) {
    if (intake == NULL || sim_over(intake))
        return;
    if (check->type == REPLICA_CHECK_PROPOSED) {
        intake->proposals++;
        return;
    }
    if (check->type != REPLICA_CHECK_SUBMITTED) {
        uint32_t cost = check->type == REPLICA_CHECK_MESSAGE ? check->message.cost : 0;
        bool costly = check->queue == REPLICA_QUEUE_VIEWS;
        if (sim_intake_now(intake) < intake->bad_until_ms[check->from])
            sim_blame(intake->replica, "door", "goes on checking what replica %u sends after a bad signature",
                      check->from);
        intake->messages[check->from]++;
        intake->cost[check->from] += cost;
        intake->debt[check->from] += cost > COST_VOTE ? cost : 0;
        if (intake->message == SIM_MUST_DROP && check->type == REPLICA_CHECK_MESSAGE)
            sim_blame(intake->replica, "allowance", "checks a message of replica %u, which has used up its own",
                      check->from);
        if (check->type == REPLICA_CHECK_MESSAGE &&
            !intake->world->protocol->wants(intake->process->observer.inner, check->bytes))
            sim_blame(intake->replica, "queues", "has a message of replica %u checked that would change nothing",
                      check->from);
        if (costly && cost <= COST_VOTE && intake->costly[check->from] == 0)
            sim_blame(intake->replica, "queues", "lets a vote of replica %u wait behind view changes", check->from);
        intake->costly[check->from] += costly;
        return;
    }
    intake->checking =
        sim_grow(intake->checking, &intake->checking_capacity, intake->checking_count, sizeof(*intake->checking));
    struct sim_admitting *checking = &intake->checking[intake->checking_count++];
    checking->check = check;
    checking->count = check->envelopes.count;
    bool foreign = intake->forward.size > 0;
    checking->forwarder = foreign ? intake->forwarder : ORD_NO_NODE;
    if (foreign && sim_intake_now(intake) < intake->forwards_bad_until_ms[intake->forwarder])
        sim_blame(intake->replica, "door", "goes on checking what replica %u forwards after a bad signature",
                  intake->forwarder);
    uint64_t waiting = 0;
    for (uint32_t i = 0; i < checking->count; i++) {
        uint32_t tag = check->envelopes.items[i].tag;
        struct ord_span envelope = foreign ? envelope_at(intake->forward, tag) : intake->submitted->envelopes[tag];
        checking->items[i] = sim_pooled_of(intake, envelope, foreign);
        check_admitted(intake, &checking->items[i]);
        checking->items[i].foreign = foreign || intake->submitted->given.copy;
        waiting |= foreign ? 0 : UINT64_C(1) << tag;
    }
    if (!foreign)
        sim_intake_judged(intake, intake->submitted, waiting);
}

/* A stranger is no client, and a registration must be valid by the clock when its check is back. */
static void envelopes_are_back(struct sim_intake *intake, const struct sim_admitting *checking) {
    ord_node_id from = checking->forwarder;
    intake->ignored += checking->check->ignored;
    if (checking->check->bad && from != ORD_NO_NODE) {
        intake->ignored_until_ms = intake->forwards_bad_until_ms[from] = sim_intake_now(intake) + 1000;
        sim_check_refuses_sender(intake->replica, from);
    }
    for (uint32_t i = 0; i < checking->count && !checking->check->ignored; i++) {
        const struct sim_pooled *pooled = &checking->items[i];
        bool newcomer = pooled->good && pooled->sequence == 0;
        if (!newcomer || (pooled->party < SIM_CLIENTS && is_valid_now(intake, pooled)))
            sim_intake_settle(intake, pooled);
    }
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
            intake->ignored_until_ms = intake->bad_until_ms[check->from] = sim_intake_now(intake) + 1000;
        /* The host ignored it. */
        intake->ignored += check->ignored;
        return;
    }
    for (size_t i = 0; i < intake->checking_count; i++)
        if (intake->checking[i].check == check) {
            envelopes_are_back(intake, &intake->checking[i]);
            intake->checking[i] = intake->checking[--intake->checking_count];
            return;
        }
}

/*
 * Can the sender afford a message that costs so much, while others of it wait for their checks, which will cost so
 * much? docs/protocol.md, "Bounds". What is checked is charged, and nothing else.
 */
static bool can_afford(struct sim_intake *intake, ord_node_id from, uint32_t cost, uint32_t waiting) {
    const struct sim_plan *plan = &intake->world->plan;
    uint64_t full = (uint64_t) plan->window * channel_strong_quorum(intake->world->config);
    full = full < FULL_MIN ? (uint64_t) FULL_MIN : full;
    uint64_t paid = full * (sim_intake_now(intake) - intake->debt_ms[from]) / plan->request_timeout_ms;
    if (paid > 0) {
        intake->debt[from] -= paid < intake->debt[from] ? paid : intake->debt[from];
        intake->debt_ms[from] = sim_intake_now(intake);
    }
    return cost <= COST_VOTE || intake->debt[from] + waiting < FULL_BURST * full;
}

/* What is to become of a message of the core. */
static void expect_message(struct sim_intake *intake, ord_node_id from, struct ord_span bytes) {
    const struct sim_process *process = intake->process;
    const struct ord_protocol *protocol = intake->world->protocol;
    if (bytes.size < CORE_BYTES_MIN)
        return;
    uint32_t cost = protocol->cost(bytes);
    if (!protocol->wants(process->observer.inner, bytes))
        return;
    /* The program says how many of the sender's checks wait there. Whatever it says, it must keep the bounds. */
    const struct replica_waiting waiting = replica_waiting(process->program, from);
    uint64_t open = intake->cost[from] + waiting.cost;
    bool much = open > 0 && open + cost > COST_MAX;
    if (much || !can_afford(intake, from, cost, waiting.cost))
        intake->message = SIM_MUST_DROP;
    else if (intake->messages[from] + waiting.checks < CHECKS_MAX)
        intake->message = SIM_MUST_CHECK; /* unless its sender is ignored */
    intake->over_share = replica_counters(process->program)->link_jobs_over_share;
}

void sim_intake_check_message(struct sim_intake *intake) {
    if (intake->message == SIM_MUST_CHECK &&
        replica_counters(intake->process->program)->link_jobs_over_share > intake->over_share)
        sim_blame(intake->replica, "allowance", "drops a message although its sender has some of its own left");
    intake->message = SIM_MAY_EITHER;
}

static void note_forward(struct sim_intake *intake, const struct sim_input *input) {
    intake->forward = sim_buffer_span(input->buffer);
    intake->forwarder = input->from;
}

void sim_intake_taken(struct sim_intake *intake, const struct sim_input *input) {
    if (intake == NULL || sim_over(intake))
        return;
    sim_intake_check_message(intake);
    sim_offer_check(intake);
    if (input->type == REPLICA_INPUT_MESSAGE && input->kind == REPLICA_LINK_CORE)
        expect_message(intake, input->from, sim_buffer_span(input->buffer));
    intake->forward = ord_span_of(NULL, 0);
    intake->submitted = NULL;
    if (input->type == REPLICA_INPUT_CHECKED)
        check_is_back(intake, input->check);
    else if (input->type == REPLICA_INPUT_SUBMITTED)
        intake->submitted = input->submission;
    else if (input->type == REPLICA_INPUT_MESSAGE && input->kind == REPLICA_LINK_FORWARD)
        note_forward(intake, input);
    else if (input->type == REPLICA_INPUT_MESSAGE && input->kind == REPLICA_LINK_OFFER)
        sim_offer_taken(intake, input->from, sim_buffer_span(input->buffer));
    else if (input->type == REPLICA_INPUT_MESSAGE && input->kind == REPLICA_LINK_WANT)
        sim_offer_wanted(intake, input->from, sim_buffer_span(input->buffer));
    else if (input->type == REPLICA_INPUT_HAND_OVER)
        intake->hand_over = true;
}

void sim_intake_check_open(struct sim_intake *intake) {
    struct replica_status status;
    uint32_t envelopes = 0;
    uint32_t messages = 0;
    uint64_t cost = 0;
    uint32_t costly = 0;
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
        sim_blame(intake->replica, "shares",
                  "counts %u messages (of %u), %lu signatures (%lu), %u costly ones (%u), %u envelopes (%u) that are "
                  "being checked",
                  status.open.messages, messages, (unsigned long) status.open.cost, (unsigned long) cost,
                  status.open.costly, costly, status.open.envelopes, envelopes);
    if (intake->unsure == 0 && status.pool_envelopes != intake->pool_count + envelopes)
        sim_blame(intake->replica, "intake", "has %u envelopes in its pool, the reference %zu and %u to check",
                  status.pool_envelopes, intake->pool_count, envelopes);
    if (status.syncing_between && !status.syncing)
        sim_blame(intake->replica, "transfer", "does not know where its transfer goes");
}
