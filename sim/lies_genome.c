/*
 * What a genome makes of the messages of the liar's own process (sim/genome.h).
 */
#include <stdlib.h>

#include "bft/wire/message.h"
#include "sim/liar_internal.h"

static enum sim_word word_of(enum replica_link kind, const struct sim_buffer *message) {
    static const enum sim_word core[] = {
        [BFT_PRE_PREPARE] = SIM_WORD_PRE_PREPARE,
        [BFT_PREPARE] = SIM_WORD_PREPARE,
        [BFT_COMMIT] = SIM_WORD_COMMIT,
        [BFT_STATUS] = SIM_WORD_STATUS,
        [BFT_VIEW_CHANGE] = SIM_WORD_VIEW_CHANGE,
        [BFT_NEW_VIEW] = SIM_WORD_NEW_VIEW,
        [BFT_FETCH] = SIM_WORD_FETCH,
        [BFT_BODY] = SIM_WORD_BODY,
        [BFT_RELAY] = SIM_WORD_RELAY,
        [BFT_WITNESS] = SIM_WORD_WITNESS,
    };
    switch (kind) {
    case REPLICA_LINK_CORE:
        return message->size > 0 && message->data[0] <= BFT_WITNESS ? core[message->data[0]] : SIM_WORD_ANY;
    case REPLICA_LINK_ATTESTATION:
        return SIM_WORD_ATTESTATION;
    case REPLICA_LINK_CERTIFICATE:
        return SIM_WORD_CERTIFICATE;
    case REPLICA_LINK_FORWARD:
    case REPLICA_LINK_OFFER:
    case REPLICA_LINK_WANT:
        return SIM_WORD_FORWARD;
    case REPLICA_LINK_SYNC_REQUEST:
    case REPLICA_LINK_SYNC_BLOCKS:
    case REPLICA_LINK_SYNC_TAIL:
        return SIM_WORD_SYNC;
    }
    return SIM_WORD_ANY;
}

/* True if `to` is one of the f honest replicas with the lowest ids. */
static bool is_few(const struct sim_world *world, ord_node_id to) {
    uint32_t before = 0;
    for (ord_node_id i = 0; i < to; i++)
        before += !world->replicas[i].liar;
    return !world->replicas[to].liar && before < world->plan.faulty_max;
}

static bool fits_whom(const struct sim_replica *liar, const struct sim_rule *rule, ord_node_id to, uint64_t view) {
    const struct sim_world *world = liar->world;
    switch ((enum sim_whom) rule->whom) {
    case SIM_WHOM_FEW:
        return is_few(world, to);
    case SIM_WHOM_REST:
        return !world->replicas[to].liar && !is_few(world, to);
    case SIM_WHOM_LEADER:
        return to == bft_primary(sim_liar_config(liar), view);
    case SIM_WHOM_ALL:
    case SIM_WHOM_COUNT:
        break;
    }
    return true;
}

static bool fits_role(const struct sim_rule *rule, const struct ord_status *status) {
    switch ((enum sim_role) rule->role) {
    case SIM_ROLE_LEADING:
        return status->leading;
    case SIM_ROLE_FOLLOWING:
        return !status->leading && !status->changing;
    case SIM_ROLE_CHANGING:
        return status->changing;
    case SIM_ROLE_ANY:
    case SIM_ROLE_COUNT:
        break;
    }
    return true;
}

static bool is_due(struct sim_replica *liar, const struct sim_rule *rule, uint64_t fitted) {
    const uint64_t timeout_us = (uint64_t) liar->world->plan.request_timeout_ms * 1000;
    switch ((enum sim_when) rule->when) {
    case SIM_WHEN_EVERY:
        return fitted % rule->rate == 0;
    case SIM_WHEN_BURST:
        return liar->world->now_us / timeout_us % rule->rate == 0;
    case SIM_WHEN_CHANCE:
    case SIM_WHEN_COUNT:
        break;
    }
    return sim_chance(&liar->random, rule->rate * 10000);
}

/* The rule that decides about this message; NULL: it is sent as it is. An answer has no receiver among the replicas. */
static const struct sim_rule *find(struct sim_replica *liar, enum sim_word word, ord_node_id to) {
    const struct sim_genome *genome = liar->world->options.genome;
    const struct ord_status status = sim_process_status(liar->process);
    for (uint32_t i = 0; i < genome->count; i++) {
        const struct sim_rule *rule = &genome->rules[i];
        bool same = rule->word == word || (rule->word == SIM_WORD_ANY && word != SIM_WORD_ANSWER);
        if (same && (word == SIM_WORD_ANSWER || fits_whom(liar, rule, to, status.view)) && fits_role(rule, &status) &&
            is_due(liar, rule, liar->lies->fitted[i]++))
            return rule;
    }
    return NULL;
}

/* One more message went to this receiver. */
static void release_held(struct sim_replica *liar, ord_node_id to) {
    for (uint32_t i = 0; i < SIM_HELD; i++) {
        struct sim_held *held = &liar->lies->held[i];
        if (held->message == NULL || held->to != to || --held->left > 0)
            continue;
        sim_liar_give(liar, to, held->kind, held->message);
        held->message = NULL;
    }
}

/* What finds no room is sent. */
static void hold(struct sim_replica *liar, uint32_t count, ord_node_id to, enum replica_link kind,
                 struct sim_buffer *message) {
    for (uint32_t i = 0; i < SIM_HELD; i++) {
        struct sim_held *held = &liar->lies->held[i];
        if (held->message != NULL)
            continue;
        /* One for this message itself, which is counted as well. */
        *held = (struct sim_held) {count + 1, to, kind, sim_buffer_hold(message)};
        return;
    }
    sim_liar_pass(liar, to, kind, message);
}

void sim_genome_send(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    const uint64_t timeout_ms = liar->world->plan.request_timeout_ms;
    const struct sim_rule *rule = find(liar, word_of(kind, message), to);
    liar->world->lies += rule != NULL;
    if (rule == NULL)
        sim_liar_pass(liar, to, kind, message);
    else if (rule->act == SIM_ACT_DELAY)
        sim_liar_later(liar, to, kind, message, rule->amount * timeout_ms);
    else if (rule->act == SIM_ACT_HOLD)
        hold(liar, rule->amount, to, kind, message);
    for (uint32_t i = 0; rule != NULL && rule->act == SIM_ACT_COPY && i <= rule->amount; i++)
        sim_liar_pass(liar, to, kind, message);
    release_held(liar, to);
}

bool sim_genome_answers(struct sim_replica *liar) {
    const struct sim_rule *rule = find(liar, SIM_WORD_ANSWER, 0);
    liar->world->lies += rule != NULL;
    return rule == NULL;
}
