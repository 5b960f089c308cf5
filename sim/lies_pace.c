/*
 * A primary that is slow in every way that it controls, and never mute (rows P3, P4). It proposes to so few replicas
 * that nothing is decided without its own COMMIT, and withholds each COMMIT for most of the timeout. It proposes the
 * next seq meanwhile, so something is always under way. A batch has one envelope of each of the two clients that it
 * served longest ago, so every client is served now and then.
 *
 * Another liar does only the last of these, as fast as it can, and always has something in flight.
 *
 * A third one serves as little, and makes backups fall behind (row P4). In each of its turns it leaves as many of them
 * out as may be missing, and orders two windows of batches that are void, but for one in half a window. Those that are
 * left out are then beyond their window, and need a state transfer. The next turn is that of others.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/wire/message.h"
#include "channel/envelope.h"
#include "core/assert.h"
#include "core/quorum.h"
#include "sim/client.h"
#include "sim/liar_internal.h"

/* Thousandths of request_timeout_ms. */
enum { COMMIT_PARTS = 870, PROPOSE_PARTS = 800, PARTS = 1000, SERVED_AT_ONCE = 2, LEAN_IN_FLIGHT = 2 };
/* The same, and the windows that it orders in a turn. */
enum { TURN_PARTS = 900, TURN_WINDOWS = 2 };

static uint64_t timeout_part(const struct sim_replica *liar, uint64_t parts) {
    return liar->world->plan.request_timeout_ms * parts / PARTS;
}

/* The honest replicas after the liar and after the first `skip` of them, as many as may be missing. */
static ord_replica_set left_out(const struct sim_replica *liar, uint32_t skip) {
    const struct sim_world *world = liar->world;
    ord_replica_set set = 0;
    for (uint32_t i = 1; i < world->replica_count && ord_replica_count(set) < world->plan.faulty_max; i++) {
        ord_node_id node = (liar->id + i) % world->replica_count;
        if (world->replicas[node].liar)
            continue;
        if (skip == 0)
            set |= ord_replica_bit(node);
        skip -= skip > 0;
    }
    return set;
}

bool sim_lie_pace(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    if (!sim_process_status(liar->process).leading)
        return false;
    if (sim_liar_is_core(kind, message, BFT_PRE_PREPARE))
        return (left_out(liar, 0) & ord_replica_bit(to)) != 0;
    if (!sim_liar_is_core(kind, message, BFT_COMMIT))
        return false;
    sim_liar_later(liar, to, kind, message, timeout_part(liar, COMMIT_PARTS) * 1000);
    return true;
}

/* The turns of the liars of a world begin at the same times. */
static uint64_t turn_of(const struct sim_replica *liar, uint64_t now_ms) {
    return now_ms / ord_max(timeout_part(liar, TURN_PARTS), 1);
}

bool sim_lie_blind(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    bool second = turn_of(liar, liar->process->now_ms) % 2 != 0;
    return sim_process_status(liar->process).leading && sim_liar_is_core(kind, message, BFT_PRE_PREPARE) &&
           (left_out(liar, second ? liar->world->plan.faulty_max : 0) & ord_replica_bit(to)) != 0;
}

bool sim_liar_paces(const struct sim_replica *replica) {
    return sim_liar_has(replica, SIM_LIE_PACE) || sim_liar_has(replica, SIM_LIE_LEAN) ||
           sim_liar_has(replica, SIM_LIE_BLIND);
}

static bool hurries(const struct sim_replica *liar) {
    return sim_liar_has(liar, SIM_LIE_BLIND) &&
           liar->lies->turn_batches < (uint64_t) TURN_WINDOWS * liar->world->config->window;
}

uint64_t sim_pace_due_ms(const struct sim_replica *liar) {
    if (!sim_liar_has(liar, SIM_LIE_BLIND))
        return liar->lies->pace_due_ms;
    return hurries(liar) ? liar->process->now_ms + 1 : liar->lies->turn * timeout_part(liar, TURN_PARTS);
}

/* The next of a turn's batches in a row is void. */
static bool is_void(struct sim_replica *liar, uint64_t now_ms) {
    struct sim_liar *lies = liar->lies;
    if (!sim_liar_has(liar, SIM_LIE_BLIND))
        return false;
    if (lies->turn != turn_of(liar, now_ms) + 1)
        lies->turn_batches = 0;
    lies->turn = turn_of(liar, now_ms) + 1;
    if (!hurries(liar))
        return false;
    lies->pace_due_ms = now_ms;
    return lies->void_batches < liar->world->config->window / 2;
}

static struct sim_buffer *void_batch(struct sim_replica *liar) {
    struct ord_writer writer = sim_writer(CHANNEL_BATCH_OVERHEAD + CHANNEL_BATCH_VIEW_SIZE);
    sim_liar_begin(liar, &writer, 1);
    ORD_ASSERT(channel_batch_end(&writer, 0) == ORD_OK);
    liar->lies->void_batches++;
    liar->lies->turn_batches++;
    liar->world->lies++;
    return sim_buffer_written(&writer);
}

/* The client's number; SIM_CLIENTS: it is none of them. */
static uint32_t client_of(const struct channel_envelope *envelope) {
    uint32_t client = 0;
    while (client < SIM_CLIENTS && !ord_hash_equal(&envelope->client, sim_client_fingerprint(client)))
        client++;
    return client;
}

void sim_pace_offered(struct sim_replica *liar, struct ord_span batch) {
    sim_buffer_release(liar->lies->offered);
    liar->lies->offered = sim_buffer_create(batch);
}

/* The envelope in the offer whose client was served longest ago, and whose sequence is new for it. */
static bool pick(const struct sim_liar *lies, struct ord_span *out, uint32_t *client, uint64_t *sequence) {
    struct channel_batch batch;
    struct channel_envelope envelope;
    struct ord_span bytes;
    bool found = false;
    ORD_ASSERT(channel_batch_decode(&batch, sim_buffer_span(lies->offered)) == ORD_OK);
    while (channel_batch_next(&bytes, &batch.envelopes) == ORD_OK) {
        if (channel_envelope_decode(&envelope, bytes) != ORD_OK)
            continue;
        uint32_t from = client_of(&envelope);
        bool registers = envelope.kind == CHANNEL_ENVELOPE_REGISTER;
        if (from == SIM_CLIENTS || (registers ? lies->served[from] != 0 : envelope.sequence <= lies->sequences[from]) ||
            (found && lies->served[from] >= lies->served[*client]))
            continue;
        found = true;
        *out = bytes;
        *client = from;
        *sequence = envelope.sequence;
    }
    return found;
}

struct sim_buffer *sim_pace_batch(struct sim_replica *liar, const struct ord_status *status, uint64_t now_ms) {
    struct sim_liar *lies = liar->lies;
    if (status->view != lies->pace_view) {
        /* What was proposed in an earlier view may have come to nothing. */
        memset(lies->sequences, 0, sizeof(lies->sequences));
        lies->pace_cut_height = 0;
    }
    lies->pace_view = status->view;
    bool paces = sim_liar_has(liar, SIM_LIE_PACE) || sim_liar_has(liar, SIM_LIE_BLIND);
    if (is_void(liar, now_ms))
        return void_batch(liar);
    if (lies->offered == NULL || now_ms < lies->pace_due_ms || (!paces && status->in_flight >= LEAN_IN_FLIGHT))
        return NULL;
    struct ord_writer writer = sim_writer(CHANNEL_BATCH_OVERHEAD + CHANNEL_BATCH_VIEW_SIZE + lies->offered->size);
    uint32_t count = 0;
    struct ord_span bytes;
    uint32_t client = 0;
    uint64_t sequence;
    struct channel_batch offered;
    ORD_ASSERT(channel_batch_decode(&offered, sim_buffer_span(lies->offered)) == ORD_OK);
    uint64_t cut_height = offered.cut_height > lies->pace_cut_height ? offered.cut_height : 0;
    sim_liar_begin(liar, &writer, cut_height);
    while (count < SERVED_AT_ONCE && pick(lies, &bytes, &client, &sequence)) {
        channel_batch_add(&writer, bytes);
        lies->served[client] = ++lies->served_count;
        lies->sequences[client] = sequence;
        count++;
    }
    if (count == 0 && cut_height == 0) {
        if (sim_liar_has(liar, SIM_LIE_BLIND))
            /* What is left has lower sequences than what was proposed. */
            memset(lies->sequences, 0, sizeof(lies->sequences));
        free(writer.data);
        return NULL;
    }
    ORD_ASSERT(channel_batch_end(&writer, count) == ORD_OK);
    lies->pace_cut_height = ord_max(lies->pace_cut_height, cut_height);
    lies->void_batches = 0;
    lies->turn_batches++;
    lies->pace_due_ms = now_ms + (paces ? timeout_part(liar, PROPOSE_PARTS) : 0);
    liar->world->lies++;
    return sim_buffer_written(&writer);
}
