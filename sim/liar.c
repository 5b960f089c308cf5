/*
 * The table of behaviours, the choice of liars, and the behaviours that need not look into a message.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/wire/message.h"
#include "core/assert.h"
#include "sim/client.h"
#include "sim/liar_internal.h"

static void keep(struct sim_replica *liar, ord_node_id from, enum replica_link kind, struct sim_buffer *message) {
    if (!sim_chance(&liar->random, 200000))
        return;
    struct sim_kept *slot = &liar->lies->kept[liar->lies->kept_count++ % SIM_KEPT];
    sim_buffer_release(slot->message);
    *slot = (struct sim_kept) {from, kind, sim_buffer_hold(message)};
}

/* ---- behaviours that need no look inside ---- */

static bool mute(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    (void) to;
    (void) kind;
    (void) message;
    if (liar->world->now_us >= liar->lies->mute_until_us)
        liar->lies->mute_until_us = liar->world->now_us + sim_spread(&liar->random, 3000000);
    return true;
}

static bool delay(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    uint64_t timeout_us = (uint64_t) liar->world->config->request_timeout_ms * 1000;
    sim_liar_later(liar, to, kind, message, sim_spread(&liar->random, timeout_us / 2));
    return true;
}

static bool shun(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    (void) kind;
    (void) message;
    return (liar->lies->shunned & ord_replica_bit(to)) != 0;
}

/* A stable checkpoint may then be known only to cores that saw its view changes, and to no replica around them. */
static bool whisper(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    (void) liar;
    (void) to;
    (void) message;
    return kind == REPLICA_LINK_ATTESTATION || kind == REPLICA_LINK_CERTIFICATE;
}

/* Rows V1 and P6: something old beside the new message. */
static bool replay(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    (void) kind;
    (void) message;
    const struct sim_kept *kept = sim_liar_kept(liar, 0);
    if (kept != NULL)
        sim_liar_pass(liar, to, kept->kind, kept->message);
    return false;
}

/* Row T6: a replica's own message comes back to it. */
static void reflect(struct sim_replica *liar, ord_node_id from, enum replica_link kind, struct ord_span message) {
    sim_liar_say(liar, from, kind, message);
}

static bool garbage(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct sim_buffer *copy = sim_liar_scratch(liar, sim_buffer_span(message));
    enum replica_link as =
        sim_chance(&liar->random, 200000) ? (enum replica_link) sim_between(&liar->random, 1, 9) : kind;
    sim_liar_give(liar, to, as, copy);
    return true;
}

const struct sim_behaviour sim_behaviours[SIM_BEHAVIOUR_COUNT] = {
    [SIM_LIE_EQUIVOCATE] = {"equivocate", "P1", "proposes two batches for one seq, one to each side",
                            .on_send = sim_lie_equivocate},
    [SIM_LIE_SPLIT_VOTES] = {"split-votes", "P14", "sends other PREPAREs and COMMITs to one side",
                             .on_send = sim_lie_split_votes},
    [SIM_LIE_MUTE] = {"mute", "P2, V11", "sends nothing for a while", .on_send = mute},
    [SIM_LIE_DELAY] = {"delay", "P3, P17", "holds messages back, so that they overtake one another", .on_send = delay},
    [SIM_LIE_SHUN] = {"shun", "P4, V10", "never sends to some replicas", .on_send = shun},
    [SIM_LIE_REPLAY] = {"replay", "P6, V1", "repeats old messages, its own and others'", .on_send = replay},
    [SIM_LIE_REFLECT] = {"reflect", "T5, T6", "sends back what it receives", .on_receive = reflect},
    [SIM_LIE_MUTATE] = {"mutate", "P5, P6, P10, P12, V2", "changes a field and signs again", .on_send = sim_lie_mutate},
    [SIM_LIE_BORROW] = {"borrow", "P12, T7, T8", "puts the signature of another message under its own",
                        .on_send = sim_lie_borrow},
    [SIM_LIE_GARBAGE] = {"garbage", "T1, T11", "changes bytes, cuts messages short, passes one kind off as another",
                         .on_send = garbage},
    [SIM_LIE_EARLY_COMMIT] = {"early-commit", "P15", "commits to batches that it has only heard of",
                              .on_receive = sim_lie_early_commit},
    [SIM_LIE_USURP] = {"usurp", "P11", "proposes although it is not the primary", .on_time = sim_lie_usurp},
    [SIM_LIE_SKIP] = {"skip", "P5, P6", "proposes at a seq that is taken or far ahead", .on_send = sim_lie_skip},
    [SIM_LIE_FLOOD] = {"flood", "T9, C7", "sends valid messages without end", .on_time = sim_lie_flood},
    [SIM_LIE_ATTEST] = {"attest", "C1, C3, V5", "attests other states, heights and seqs", .on_send = sim_lie_attest},
    [SIM_LIE_FORWARD] = {"forward", "P8", "forwards envelopes that no client signed", .on_time = sim_lie_forward},
    [SIM_LIE_SOURCE] = {"source", "C2, C4, C5", "lies as a source of state transfer", .on_send = sim_lie_source},
    [SIM_LIE_CENSOR] = {"censor", "P7", "leaves out one client's requests", .on_send = sim_lie_censor},
    [SIM_LIE_CUT] = {"cut", "P18", "withholds cut markers, or sends them early or for old and far blocks",
                     .on_send = NULL},
    [SIM_LIE_BATCH] = {"batch", "P8, P9", "proposes executed and forged envelopes", .on_send = NULL},
    [SIM_LIE_TWINS] = {"twins", "V17", "runs two processes with one key", .on_send = NULL},
    [SIM_LIE_CHANGE] = {"change", "V4, V5, V6, V7", "sends view changes that are forged, incomplete or stale",
                        .on_send = sim_lie_change},
    [SIM_LIE_NEW_VIEW] = {"new-view", "V8, V9", "sends new views that do not follow from their view changes",
                          .on_send = sim_lie_new_view},
    [SIM_LIE_HALF_VIEW] = {"half-view", "V10", "sends new views to one side only", .on_send = sim_lie_half_view},
    [SIM_LIE_SPAM] = {"spam", "V2, V3", "asks for one view after another", .on_time = sim_lie_spam},
    [SIM_LIE_FORGE] = {"forge", "V4, V5, T8", "makes up certificates and view changes in others' names",
                       .on_send = sim_lie_forge, .on_time = sim_lie_forge_relay},
    [SIM_LIE_HOARD] = {"hoard", "V6, V7", "sends view changes with the oldest certificates that it ever saw",
                       sim_lie_hoard, sim_hoard_received, sim_hoard_own},
    [SIM_LIE_BODY] = {"body", "P10", "sends other batches than those that are asked for", .on_send = sim_lie_body},
    [SIM_LIE_ACCUSE] = {"accuse", "P1, P14", "sends evidence against honest replicas that proves nothing",
                        .on_time = sim_lie_accuse},
    [SIM_LIE_RECEIPT] = {"receipt", "D3", "gives receipts for envelopes that were not ordered", .on_send = NULL},
    [SIM_LIE_WHISPER] = {"whisper", "C1, P4", "shows attestations and certificates in view changes only",
                         .on_send = whisper},
    [SIM_LIE_EMPTY] = {"empty", "P16", "as primary, orders void batches and nothing that waits", .on_send = NULL},
    [SIM_LIE_DRIP] = {"drip", "C4", "serves state transfers honestly, and as slowly as it may",
                      .on_send = sim_lie_drip},
    [SIM_LIE_SLOW] = {"slow", "P3", "proposes just before the others lose patience", .on_send = sim_lie_slow},
    [SIM_LIE_PACE] = {"pace", "P3, P4", "as primary, withholds COMMITs and all but two envelopes of each batch",
                      .on_send = sim_lie_pace},
    [SIM_LIE_LEAN] = {"lean", "P3", "as primary, proposes all but two envelopes of each batch later", .on_send = NULL},
    [SIM_LIE_BLIND] = {"blind", "P3, P4", "as primary, serves little and makes backups fall behind in turn",
                       .on_send = sim_lie_blind},
};

/* ---- dispatch ---- */

/* These behaviours work only if they never pause, so they do not follow the plan's lie_ppm. */
static bool always(uint32_t behaviour) {
    return behaviour == SIM_LIE_SHUN || behaviour == SIM_LIE_WHISPER || behaviour == SIM_LIE_CENSOR ||
           behaviour == SIM_LIE_DRIP || behaviour == SIM_LIE_PACE || behaviour == SIM_LIE_BLIND;
}

void sim_liar_send(struct sim_replica *replica, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    if (!replica->liar) {
        sim_liar_pass(replica, to, kind, message);
        return;
    }
    if (replica->world->options.genome != NULL) {
        sim_genome_send(replica, to, kind, message);
        return;
    }
    if (replica->world->now_us < replica->lies->mute_until_us)
        return;
    keep(replica, replica->id, kind, message);
    uint32_t first = (uint32_t) sim_below(&replica->random, SIM_BEHAVIOUR_COUNT);
    for (uint32_t i = 0; i < SIM_BEHAVIOUR_COUNT; i++) {
        uint32_t behaviour = (first + i) % SIM_BEHAVIOUR_COUNT;
        if ((replica->behaviours >> behaviour & 1) != 0 && sim_behaviours[behaviour].on_send != NULL &&
            (always(behaviour) || sim_liar_lies_now(replica)) &&
            sim_behaviours[behaviour].on_send(replica, to, kind, message)) {
            replica->world->lies++;
            return;
        }
    }
    sim_liar_pass(replica, to, kind, message);
}

void sim_liar_received(struct sim_replica *replica, ord_node_id from, enum replica_link kind,
                       struct sim_buffer *message) {
    if (!replica->liar || from == replica->id)
        return;
    keep(replica, from, kind, message);
    for (uint32_t i = 0; i < replica->world->instance_count; i++)
        /* Two liars that answer each other would never stop. */
        if (replica->world->replicas[i].id == from && replica->world->replicas[i].liar)
            return;
    for (uint32_t i = 0; i < SIM_BEHAVIOUR_COUNT; i++)
        if ((replica->behaviours >> i & 1) != 0 && sim_behaviours[i].on_receive != NULL && sim_liar_lies_now(replica)) {
            replica->world->lies++;
            sim_behaviours[i].on_receive(replica, from, kind, sim_buffer_span(message));
        }
}

static void plan_lie(struct sim_replica *liar) {
    const struct sim_event event = {.kind = SIM_LIE, .target = liar->instance};
    sim_plan_event(liar->world, 20000 + sim_spread(&liar->random, 500000), &event);
}

void sim_liar_event(struct sim_replica *replica, const struct sim_event *event) {
    if (event->buffer != NULL) {
        sim_liar_pass(replica, (ord_node_id) event->b, (enum replica_link) event->a, event->buffer);
        return;
    }
    for (uint32_t i = 0; i < SIM_BEHAVIOUR_COUNT && replica->process != NULL; i++)
        if ((replica->behaviours >> i & 1) != 0 && sim_behaviours[i].on_time != NULL && sim_liar_lies_now(replica)) {
            replica->world->lies++;
            sim_behaviours[i].on_time(replica);
        }
    plan_lie(replica);
}

/* ---- hooks ---- */

bool sim_liar_answers(struct sim_replica *replica) {
    if (replica->liar && replica->world->options.genome != NULL)
        return sim_genome_answers(replica);
    return !replica->liar || sim_liar_has(replica, SIM_LIE_RECEIPT);
}

struct sim_buffer *sim_liar_receipt(struct sim_replica *replica, struct ord_span envelope) {
    if (!sim_liar_has(replica, SIM_LIE_RECEIPT) || !sim_liar_lies_now(replica))
        return NULL;
    struct sim_buffer *lie = sim_forge_receipt(replica, envelope);
    replica->world->lies += lie != NULL;
    return lie;
}

/* ---- the choice of liars ---- */

/* Each bit is set in a quarter of the cases. */
static uint64_t few_bits(struct sim_random *random) {
    uint64_t bits = sim_roll(random);
    return bits & sim_roll(random);
}

/* A twin is a second process with the liar's key. It tells the truth. */
static void become_liar(struct sim_world *world, struct sim_replica *replica) {
    struct sim_random *random = &world->lie_random;
    replica->liar = true;
    replica->behaviours = world->plan.behaviours;
    if (!world->options.liars_given)
        replica->behaviours &= ~few_bits(random);
    replica->lies = sim_alloc(sizeof(*replica->lies));
    replica->lies->side = sim_roll(random);
    replica->lies->shunned = few_bits(random);
    replica->lies->censored = (uint32_t) sim_below(random, world->plan.client_count);
    /*
     * So something is always delivered in time, but so seldom that there are few void batches when the oldest request
     * is overdue.
     */
    replica->lies->void_pace_ms = world->plan.request_timeout_ms / 3;
    plan_lie(replica);
    if (!sim_liar_has(replica, SIM_LIE_TWINS))
        return;
    struct sim_replica *twin = &world->replicas[world->instance_count++];
    twin->id = replica->id;
    twin->liar = true;
    twin->lies = sim_alloc(sizeof(*twin->lies));
}

/* In some runs the liars lead one after the other, from the first view on. */
static struct sim_replica *choose(struct sim_world *world, uint32_t already) {
    const struct ord_core_config config = {.replica_count = world->replica_count, .genesis_hash = world->genesis_hash};
    if (world->plan.liars_lead)
        return &world->replicas[bft_primary(&config, already)];
    return &world->replicas[sim_below(&world->lie_random, world->replica_count)];
}

void sim_liars_create(struct sim_world *world) {
    bool none = world->plan.behaviours == 0 && world->options.genome == NULL;
    uint32_t count = none ? 0 : world->plan.liar_count;
    world->plan.liar_count = count;
    while (count > 0) {
        struct sim_replica *replica = choose(world, world->plan.liar_count - count);
        if (replica->liar)
            continue;
        become_liar(world, replica);
        count--;
    }
}

void sim_liars_destroy(struct sim_world *world) {
    for (uint32_t i = 0; i < world->instance_count; i++) {
        struct sim_liar *lies = world->replicas[i].lies;
        for (uint32_t j = 0; lies != NULL && j < SIM_KEPT; j++)
            sim_buffer_release(lies->kept[j].message);
        for (uint32_t j = 0; lies != NULL && j < SIM_HOARD; j++)
            sim_buffer_release(lies->hoard[j].certificate);
        for (uint32_t j = 0; lies != NULL && j < SIM_HELD; j++)
            sim_buffer_release(lies->held[j].message);
        if (lies != NULL)
            sim_buffer_release(lies->far);
        if (lies != NULL)
            sim_buffer_release(lies->offered);
        free(lies);
    }
}
