/*
 * The clients' actions. What most honest clients submit goes through the engine. Registrations, and all that liars and
 * other programs send, go to one replica, which is drawn anew at each try. The replay window makes that safe (row K10).
 */
#include "sim/client.h"

#include <stdlib.h>
#include <string.h>

#include "channel/envelope.h"
#include "channel/receipt.h"
#include "core/assert.h"
#include "sim/check.h"
#include "sim/submit.h"

enum {
    RETRY_US = 700000,
    RETRY_US_MAX = 4000000,
    FAR = 4096,
    TRANSACTIONS_MAX = 64,
    STREAM_FIRST = 200,
    PLAIN_CROWD = 2
};

const struct ord_hash *sim_client_fingerprint(uint32_t client) {
    return &sim_identities_get()->parties[client].fingerprint;
}

/* ---- making envelopes ---- */

struct draft {
    uint32_t party;
    bool registration;
    uint64_t sequence;
    uint32_t count; /* transactions */
    /* Size of the first one. The others have one byte each. */
    size_t size;
    bool other_network;
    bool bad_signature;
    bool forged; /* the certificate of a registration */
};

/* The transactions' bytes, which the caller frees. `out` has TRANSACTIONS_MAX places. */
static uint8_t *contents(struct ord_span *out, struct sim_random *random, const struct draft *draft) {
    uint8_t *bytes = sim_alloc(draft->size + 16);
    for (size_t i = 0; i < draft->size && i < 16; i++)
        bytes[i] = (uint8_t) sim_roll(random);
    ORD_ASSERT(draft->count <= TRANSACTIONS_MAX);
    for (uint32_t i = 0; i < draft->count; i++)
        out[i] = ord_span_of(bytes, i == 0 ? draft->size : 1);
    return bytes;
}

static struct sim_buffer *make(struct sim_world *world, struct sim_random *random, const struct draft *draft) {
    const struct sim_identity *identity = &sim_identities_get()->parties[draft->party];
    struct ord_span transactions[TRANSACTIONS_MAX];
    uint8_t *bytes = contents(transactions, random, draft);
    if (draft->registration)
        transactions[0] = ord_span_of(identity->cert, identity->cert_size);
    struct channel_envelope header = {
        .kind = draft->registration ? CHANNEL_ENVELOPE_REGISTER : CHANNEL_ENVELOPE_TRANSACTIONS,
        .genesis_hash = world->genesis_hash,
        .client = identity->fingerprint,
        .sequence = draft->sequence,
    };
    header.genesis_hash.bytes[0] ^= draft->other_network;
    struct sim_identity forged = *identity;
    if (draft->forged) {
        ord_store_u64(forged.cert + forged.cert_size - 8, sim_roll(random));
        transactions[0] = ord_span_of(forged.cert, forged.cert_size);
        crypto_cert_fingerprint(&header.client, transactions[0]);
    }
    size_t size = channel_envelope_size(transactions, draft->count);
    struct ord_writer writer = sim_writer(size);
    ORD_ASSERT(channel_envelope_encode(&writer, &header, transactions, draft->count, NULL) == ORD_OK);
    struct ord_hash id;
    struct ord_signature signature;
    channel_envelope_id(&id, ord_span_of(writer.data, size - ORD_SIGNATURE_SIZE));
    sim_crypto_client_sign(&world->crypto, &signature, identity, &id);
    signature.bytes[7] ^= draft->bad_signature;
    memcpy(writer.data + size - ORD_SIGNATURE_SIZE, signature.bytes, ORD_SIGNATURE_SIZE);
    struct sim_buffer *envelope = sim_buffer_create(ord_writer_span(&writer));
    bool stranger = draft->forged || draft->party >= SIM_CLIENTS;
    const struct sim_item item = {.party = draft->forged ? SIM_CLIENTS : draft->party,
                                  .registration = draft->registration,
                                  .junk = draft->other_network || draft->bad_signature || stranger,
                                  .sequence = draft->sequence,
                                  .message_count = draft->registration ? 1 : draft->count};
    sim_model_made(&world->checker->model, sim_buffer_span(envelope), &item);
    free(writer.data);
    free(bytes);
    return envelope;
}

static struct draft honest_draft(struct sim_world *world, uint32_t client, uint64_t sequence) {
    struct sim_random *random = &world->clients[client].random;
    const struct channel_config *config = world->config;
    struct draft draft = {.party = client, .sequence = sequence, .count = 1};
    uint32_t count_max = config->max_message_count < 16 ? config->max_message_count : 16;
    size_t room = config->absolute_max_bytes - CHANNEL_ENVELOPE_OVERHEAD - 4 * 64 - 64;
    if (sim_chance(random, 200000))
        draft.count = (uint32_t) sim_between(random, 1, count_max);
    draft.size =
        (size_t) (sim_chance(random, world->plan.large_ppm) ? sim_below(random, room) : sim_below(random, 120));
    if (world->options.calm)
        draft = (struct draft) {.party = client, .sequence = sequence, .count = 1, .size = 200};
    return draft;
}

/* ---- sending ---- */

/* Sends to any replica, which is mostly a backup (row K3). Takes over the hold. True if the replica does not lie. */
static bool submit(struct sim_world *world, uint32_t client, uint64_t sequence, struct sim_buffer *envelope) {
    uint64_t delay_us;
    uint32_t target = (uint32_t) sim_below(&world->clients[client].random, world->instance_count);
    if (!sim_network_client_delay(world, &delay_us)) {
        sim_buffer_release(envelope);
        return false;
    }
    const struct sim_event event = {
        .kind = SIM_SUBMIT, .target = target, .source = client, .a = sequence, .buffer = envelope};
    sim_plan_event(world, delay_us, &event);
    return !world->replicas[target].liar;
}

void sim_client_plan(struct sim_world *world, uint32_t client, enum sim_client_errand errand, uint64_t what,
                     uint64_t delay_us) {
    const struct sim_event event = {.kind = SIM_CLIENT, .target = client, .a = errand, .b = what};
    sim_plan_event(world, delay_us, &event);
}

static void send_waiting(struct sim_world *world, uint32_t client, struct sim_waiting *waiting) {
    if (submit(world, client, waiting->sequence, sim_buffer_hold(waiting->envelope)) && waiting->since_us == 0)
        waiting->since_us = world->now_us + 1;
    uint64_t again_us = (uint64_t) RETRY_US << (waiting->tries < 3 ? waiting->tries : 3);
    waiting->tries++;
    sim_client_plan(world, client, SIM_CLIENT_AGAIN, waiting->sequence,
                    (again_us > RETRY_US_MAX ? RETRY_US_MAX : again_us) +
                        sim_below(&world->clients[client].random, 100000));
}

static bool is_modest(const struct sim_world *world, const struct sim_client *client) {
    return client >= world->clients + world->plan.client_count - world->plan.modest_clients;
}

static struct sim_waiting *free_slot(struct sim_world *world, struct sim_client *client) {
    uint32_t window = is_modest(world, client) ? 1 : world->plan.client_window;
    for (uint32_t i = 0; i < window && i < SIM_CLIENT_WINDOW_MAX; i++)
        if (!client->waiting[i].used)
            return &client->waiting[i];
    return NULL;
}

/* What an honest client still wants must not fall out of its replay window, or nobody orders it any more. */
static bool outruns(const struct sim_client *client, uint64_t sequence) {
    for (uint32_t i = 0; i < SIM_CLIENT_WINDOW_MAX && !client->liar; i++)
        if (client->waiting[i].used && sequence >= client->waiting[i].sequence + FAR / 2)
            return true;
    return false;
}

static void request(struct sim_world *world, uint32_t index, const struct draft *draft) {
    struct sim_client *client = &world->clients[index];
    struct sim_waiting *waiting = free_slot(world, client);
    if (waiting == NULL || outruns(client, draft->sequence))
        return;
    *waiting = (struct sim_waiting) {
        .used = true, .sequence = draft->sequence, .envelope = make(world, &client->random, draft)};
    if (!draft->registration)
        client->next_sequence++;
    send_waiting(world, index, waiting);
}

/* One more request through the engine, if it takes one. */
static void request_more(struct sim_world *world, uint32_t index) {
    struct sim_client *client = &world->clients[index];
    struct ord_span transactions[TRANSACTIONS_MAX];
    struct sim_waiting *waiting = free_slot(world, client);
    if (waiting == NULL || client->submitter == NULL)
        return;
    const struct draft draft = honest_draft(world, index, 0);
    uint8_t *bytes = contents(transactions, &client->random, &draft);
    if (sim_submitter_room(client->submitter))
        sim_submitter_submit(client->submitter, waiting, transactions, draft.count);
    free(bytes);
}

/* ---- lies ---- */

static void send_made(struct sim_world *world, uint32_t client, const struct draft *draft) {
    (void) submit(world, client, draft->sequence, make(world, &world->clients[client].random, draft));
}

/* Certificates that no authority signed, each of which takes as long to verify as tens of signatures. */
static void register_forged(struct sim_world *world, uint32_t index) {
    const struct draft draft = {.party = index, .count = 1, .registration = true, .forged = true};
    uint64_t count = sim_between(&world->clients[index].random, 1, 20);
    for (uint64_t i = 0; i < count; i++)
        send_made(world, index, &draft);
}

static void lie(struct sim_world *world, uint32_t index) {
    struct sim_client *client = &world->clients[index];
    struct sim_random *random = &client->random;
    struct draft draft = honest_draft(world, index, client->next_sequence);
    static const uint8_t junk[40] = {1, 1, 2, 3};
    switch (sim_below(random, 10)) {
    case 0: /* rows K1, K2: one sequence, two bodies */
        draft.size = 20;
        send_made(world, index, &draft);
        draft.size = 21;
        client->next_sequence++;
        break;
    case 1: /* row K5: at the edge of what is accepted, and beyond */
        draft.sequence += FAR - 1 + sim_below(random, 4);
        break;
    case 2: /* far, but allowed: the window jumps */
        draft.sequence += sim_below(random, FAR / 2);
        client->next_sequence = draft.sequence + 1;
        break;
    case 3:
        draft.bad_signature = true;
        break;
    case 4: /* row K9 */
        draft.other_network = true;
        break;
    case 5: /* row K7 */
        draft.size = world->config->absolute_max_bytes;
        break;
    case 6:
        draft.count = world->config->max_message_count + 1 > 64 ? 64 : world->config->max_message_count + 1;
        break;
    case 7:
        (void) submit(world, index, 1, sim_buffer_create(ord_span_of(junk, sizeof(junk))));
        return;
    case 8: /* row K8: a stranger, of a foreign organisation or with a replica's certificate, or of none */
        if (sim_chance(random, 300000)) {
            register_forged(world, index);
            return;
        }
        draft = (struct draft) {.party = (uint32_t) sim_between(random, SIM_CLIENTS, SIM_PARTIES - 1), .count = 1};
        draft.registration = sim_chance(random, 700000);
        draft.sequence = draft.registration ? 0 : 1;
        break;
    default: /* an old one again */
        if (client->next_sequence > 1)
            draft.sequence = 1 + sim_below(random, client->next_sequence - 1);
        break;
    }
    send_made(world, index, &draft);
}

/* ---- events ---- */

/* A client has one request of each sequence at most. */
static struct sim_waiting *find_waiting(struct sim_client *client, uint64_t sequence) {
    for (uint32_t i = 0; i < SIM_CLIENT_WINDOW_MAX; i++)
        if (client->waiting[i].used && client->waiting[i].sequence == sequence)
            return &client->waiting[i];
    return NULL;
}

/* Clients that come and go at once all begin again at the same time. */
static uint64_t next_request_us(struct sim_world *world, struct sim_client *client) {
    uint64_t delay_us = sim_spread(&client->random, world->plan.client_every_us) + 1;
    uint64_t wave_us = world->plan.client_wave_us;
    uint64_t wave = wave_us == 0 ? 0 : (world->now_us + delay_us) / wave_us;
    return wave % 2 == 0 ? delay_us : (wave + 1) * wave_us - world->now_us;
}

static void want_new(struct sim_world *world, uint32_t index) {
    struct sim_client *client = &world->clients[index];
    if (world->now_us >= world->plan.load_end_us)
        return;
    if (client->liar && sim_chance(&client->random, 500000)) {
        lie(world, index);
    } else if ((client->liar || client->plain) && (client->registered || client->eager)) {
        const struct draft draft = honest_draft(world, index, client->next_sequence);
        request(world, index, &draft);
    } else {
        request_more(world, index);
    }
    sim_client_plan(world, index, SIM_CLIENT_NEW, 0, next_request_us(world, client));
}

void sim_client_event(struct sim_world *world, const struct sim_event *event) {
    struct sim_client *client = &world->clients[event->target];
    struct sim_waiting *waiting;
    switch ((enum sim_client_errand) event->a) {
    case SIM_CLIENT_NEW:
        want_new(world, event->target);
        break;
    case SIM_CLIENT_AGAIN:
        waiting = find_waiting(client, event->b);
        if (waiting != NULL)
            send_waiting(world, event->target, waiting);
        break;
    case SIM_CLIENT_TURN:
        sim_submitter_timer(client->submitter, event->b);
        break;
    case SIM_CLIENT_OVER:
        sim_submitter_over(client->submitter, event->b);
        break;
    }
}

void sim_client_answer(struct sim_world *world, const struct sim_event *event) {
    sim_submitter_answer(world->clients[event->target].submitter, event);
}

/* Checks a receipt against the reference. NULL: it is right. */
static const char *receipt_fault(const struct sim_world *world, const struct channel_receipt *receipt, uint32_t client,
                                 uint64_t sequence) {
    const struct sim_model *model = &world->checker->model;
    struct ord_hash hash;
    struct ord_span envelope = ord_span_of(NULL, 0);
    if (receipt->header.height == 0 || receipt->header.height > model->block_count)
        return "is of a block that there is not";
    const struct sim_model_block *block = &model->blocks[receipt->header.height - 1];
    channel_header_hash(&hash, &receipt->header);
    if (!ord_hash_equal(&hash, &block->header_hash))
        return "is of another block than the reference's";
    struct ord_span left = sim_buffer_span(block->data);
    for (uint32_t i = 0; i <= receipt->envelope_index; i++)
        if (channel_batch_next(&envelope, &left) != ORD_OK)
            return "is of an envelope that its block does not have";
    if (!ord_span_equal(envelope, receipt->envelope) || !sim_model_ordered(model, client, sequence))
        return "is of an envelope that stands elsewhere or nowhere";
    return sim_certificate_fault(world, &receipt->certificate, false);
}

/* The error, if it does not verify. */
static const char *verify(const struct sim_world *world, struct channel_receipt *out, struct ord_span bytes) {
    const char *why = "malformed";
    bool good = channel_receipt_decode(out, bytes) == ORD_OK &&
                channel_receipt_verify(out, world->config, &world->genesis_hash, &world->crypto.ops, &why) == ORD_OK;
    return good ? NULL : why;
}

static void end_waiting(struct sim_waiting *waiting) {
    waiting->used = false;
    sim_buffer_release(waiting->envelope);
    waiting->envelope = NULL;
}

/*
 * For how long it has waited for its receipt. Where service is measured, the waits of the client library count, from
 * the registration on. What does not go through its engine (registrations, and clients that are other programs) asks a
 * replica at random, which may lie several times in a row.
 */
static uint64_t waited_us(const struct sim_world *world, const struct sim_client *client,
                          const struct sim_waiting *waiting) {
    uint64_t since_us = waiting->since_us;
    bool judged = since_us != 0 && (!world->plan.service || (waiting->submitter != NULL && client->registered));
    if (world->plan.service && since_us < client->registered_us)
        since_us = client->registered_us;
    return judged ? world->now_us + 1 - since_us : 0;
}

void sim_client_served(struct sim_world *world, uint32_t index, struct sim_waiting *waiting, struct ord_span bytes) {
    struct sim_client *client = &world->clients[index];
    struct channel_receipt receipt;
    const char *why = verify(world, &receipt, bytes);
    if (why != NULL) {
        sim_fail(world, "receipt: what client %u takes for sequence %lu does not verify: %s", index,
                 (unsigned long) waiting->sequence, why);
        return;
    }
    world->checker->receipts++;
    world->checker->receipts_loaded += world->now_us < world->plan.load_end_us;
    why = receipt_fault(world, &receipt, index, waiting->sequence);
    if (why != NULL) {
        sim_fail(world, "receipt: what client %u takes for sequence %lu %s", index, (unsigned long) waiting->sequence,
                 why);
        return;
    }
    if (!client->liar && !ord_span_equal(receipt.envelope, sim_buffer_span(waiting->envelope)))
        sim_fail(world, "receipt: client %u gets one for another envelope than its own", index);
    sim_say(world, -1, "client %u has its receipt for sequence %lu", index, (unsigned long) waiting->sequence);
    if (waiting->sequence == 0 && !client->registered)
        client->registered_us = world->now_us;
    client->registered |= waiting->sequence == 0;
    uint64_t took_us = waited_us(world, client, waiting);
    client->longest_us = took_us > client->longest_us ? took_us : client->longest_us;
    end_waiting(waiting);
    if (client->registered && !client->liar && !client->plain && client->submitter == NULL)
        client->submitter = sim_submitter_create(world, index);
}

void sim_client_refused(struct sim_world *world, uint32_t client, struct sim_waiting *waiting) {
    sim_say(world, -1, "client %u is refused sequence %lu", client, (unsigned long) waiting->sequence);
    end_waiting(waiting);
}

void sim_client_reply(struct sim_world *world, const struct sim_event *event) {
    struct sim_waiting *waiting = find_waiting(&world->clients[event->target], event->a);
    struct channel_receipt receipt;
    if (event->b != SIM_ANSWER_RECEIPT || waiting == NULL)
        return;
    /* It asks another replica. */
    if (world->replicas[event->source].liar && verify(world, &receipt, sim_buffer_span(event->buffer)) != NULL)
        return;
    sim_client_served(world, event->target, waiting, sim_buffer_span(event->buffer));
}

const char *sim_clients_rest(const struct sim_world *world) {
    const struct sim_model *model = &world->checker->model;
    bool full = model->client_count == world->config->clients_max;
    for (uint32_t c = 0; c < world->plan.client_count; c++) {
        const struct sim_client *client = &world->clients[c];
        if (client->liar || (full && !model->registered[c]))
            continue;
        for (uint32_t i = 0; i < SIM_CLIENT_WINDOW_MAX; i++)
            if (client->waiting[i].used)
                return sim_model_ordered(model, c, client->waiting[i].sequence)
                           ? "a client waits for a receipt of what was ordered"
                           : "an honest client's request is not served";
    }
    return NULL;
}

uint64_t sim_clients_longest_us(const struct sim_world *world) {
    uint64_t longest_us = 0;
    for (uint32_t i = 0; i < world->plan.client_count; i++) {
        const struct sim_client *client = &world->clients[i];
        if (client->liar || (world->plan.modest_clients > 0 && !is_modest(world, client)))
            continue;
        longest_us = client->longest_us > longest_us ? client->longest_us : longest_us;
        for (uint32_t j = 0; j < SIM_CLIENT_WINDOW_MAX; j++) {
            const struct sim_waiting *waiting = &client->waiting[j];
            if (waiting->used && waited_us(world, client, waiting) > longest_us)
                longest_us = waited_us(world, client, waiting);
        }
    }
    return longest_us;
}

uint64_t sim_clients_waiting(const struct sim_world *world) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < world->plan.client_count; i++)
        for (uint32_t j = 0; j < SIM_CLIENT_WINDOW_MAX && !world->clients[i].liar; j++)
            count += world->clients[i].waiting[j].used &&
                     waited_us(world, &world->clients[i], &world->clients[i].waiting[j]) > 0;
    return count;
}

bool sim_clients_can_nudge(const struct sim_world *world) {
    for (uint32_t i = 0; i < world->plan.client_count; i++)
        if (world->checker->model.registered[i])
            return true;
    return false;
}

void sim_clients_nudge(struct sim_world *world) {
    const struct sim_model *model = &world->checker->model;
    /* The first round looks for an honest client. The second takes a liar, which knows where its window is. */
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < world->plan.client_count; i++) {
            struct sim_client *client = &world->clients[i];
            if (client->liar != (round > 0) || !model->registered[i])
                continue;
            /* Its engine begins with the receipt of its registration. */
            if (!client->liar && !client->registered)
                continue;
            if (client->submitter != NULL) {
                request_more(world, i);
                return;
            }
            /* A liar may have sent sequences that lie beyond its window. */
            if (client->next_sequence <= model->highest[i] || client->next_sequence > model->highest[i] + FAR / 2)
                client->next_sequence = model->highest[i] + 1;
            const struct draft draft = honest_draft(world, i, client->next_sequence);
            if (round == 0)
                request(world, i, &draft);
            else
                send_made(world, i, &draft);
            client->next_sequence += round;
            return;
        }
}

void sim_clients_create(struct sim_world *world) {
    world->clients = sim_alloc(SIM_CLIENTS * sizeof(*world->clients));
    for (uint32_t i = 0; i < world->plan.client_count; i++) {
        struct sim_client *client = &world->clients[i];
        client->random = sim_random_of(world->options.seed, STREAM_FIRST + i);
        client->next_sequence = 1;
        client->liar = i < world->plan.lying_clients;
        client->eager = sim_chance(&client->random, 200000);
        bool plain = sim_chance(&client->random, 150000);
        client->plain = world->options.crowded ? i < PLAIN_CROWD : plain && !world->options.calm;
        const struct draft registration = {.party = i, .registration = true, .count = 1};
        request(world, i, &registration);
        client->registration = sim_buffer_hold(client->waiting[0].envelope);
        if (client->eager && !client->liar && !client->plain)
            client->submitter = sim_submitter_create(world, i);
        sim_client_plan(world, i, SIM_CLIENT_NEW, 0, sim_spread(&client->random, world->plan.client_every_us));
    }
}

void sim_clients_destroy(struct sim_world *world) {
    for (uint32_t i = 0; world->clients != NULL && i < SIM_CLIENTS; i++) {
        struct sim_client *client = &world->clients[i];
        sim_submitter_destroy(client->submitter);
        sim_buffer_release(client->registration);
        for (uint32_t j = 0; j < SIM_CLIENT_WINDOW_MAX; j++)
            if (client->waiting[j].used)
                sim_buffer_release(client->waiting[j].envelope);
    }
    free(world->clients);
}
