/*
 * The two lanes of a link: when messages leave, what waits for what, and the bounds of each lane (row T9).
 */
#include "tests/support/node_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bft/wire/message.h"
#include "tests/support/test_main.h"

static const enum replica_link kind_of[LINK_LANE_COUNT] = {
    [LINK_LANE_VOTES] = REPLICA_LINK_ATTESTATION,
    [LINK_LANE_BULK] = REPLICA_LINK_FORWARD,
};

static void send(struct node_world *world, ord_node_id to, enum link_lane_name lane, uint64_t turn, uint8_t fill,
                 size_t size) {
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, fill, size);
    const struct ord_span part = ord_span_of(bytes, size);
    links_send(world->node, turn, ord_replica_bit(to), kind_of[lane], &part, 1);
    free(bytes);
}

static uint64_t dropped(struct node_world *world, enum link_lane_name lane) {
    struct node_counters *counters = &world->node->counters;
    return count_get(lane == LINK_LANE_VOTES ? &counters->link_votes_dropped : &counters->link_bulk_dropped);
}

static uint8_t nth_fill(const struct link_queue *queue, uint32_t frame, size_t message, size_t size) {
    const struct link_frame *at = &queue->frames[(queue->first + frame) % LINK_FRAMES_MAX];
    size_t offset = LINK_FRAME_HEADER + message * (LINK_MESSAGE_HEADER + size) + LINK_MESSAGE_HEADER;
    assert_true(offset + size <= at->used);
    return at->data[offset];
}

/* ---- out ---- */

static void lanes__a_message_is_held_until_its_turn_is_durable(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id other = node_world_other(&world, 0);
    for (enum link_lane_name name = 0; name < LINK_LANE_COUNT; name++) {
        struct link_lane *lane = &world.node->links.peers[other].lanes[name];
        const uint64_t durable = world.node->links.durable_turn;
        send(&world, other, name, durable + 1, 1, 10);
        send(&world, other, name, durable + 2, 2, 10);
        assert_int_equal(lane->held.count, 1);
        const uint8_t *data = lane->held.frames[lane->held.first].data;
        /* The frame has the later message's turn. */
        links_flush(world.node, durable + 1);
        assert_int_equal(lane->held.count, 1);
        assert_int_equal(lane->ready.count, 0);
        links_flush(world.node, durable + 2);
        assert_int_equal(lane->held.count, 0);
        assert_int_equal(lane->ready.count, 1);
        assert_ptr_equal(lane->ready.frames[lane->ready.first].data, data); /* the frame itself */
        /* A message that depends on nothing, or on something durable, is not held. */
        send(&world, other, name, 0, 3, 10);
        send(&world, other, name, durable + 2, 4, 10);
        assert_int_equal(lane->held.count, 0);
        /* While the transport is busy, frames that may leave are joined into few full ones. */
        send(&world, other, name, durable + 3, 5, 10);
        links_flush(world.node, durable + 3);
        assert_int_equal(lane->ready.count, 1);
        for (uint8_t i = 0; i < 5; i++)
            assert_int_equal(nth_fill(&lane->ready, 0, i, 10), i + 1);
    }
    node_world_close(&world);
}

/* Both queues of a lane share its bounds, and what is full in one lane takes nothing from the other. */
static void lanes__each_has_bounds_of_its_own(void **state) {
    (void) state;
    static struct node_world world;
    enum { SIZE = 60 << 10 };
    node_world_open(&world);
    const ord_node_id other = node_world_other(&world, 0);
    struct peer *peer = &world.node->links.peers[other];
    for (enum link_lane_name name = 0; name < LINK_LANE_COUNT; name++) {
        struct link_lane *lane = &peer->lanes[name];
        const uint64_t durable = world.node->links.durable_turn;
        const uint64_t before = dropped(&world, name); /* before the links were up */
        const uint64_t before_other = dropped(&world, LINK_LANE_COUNT - 1 - name);
        for (uint32_t i = 0; i < LINK_FRAMES_MAX + 6; i++)
            send(&world, other, name, i % 2 == 0 ? 0 : durable + 1, (uint8_t) i, SIZE);
        assert_int_equal(lane->ready.count + lane->held.count, LINK_FRAMES_MAX);
        assert_int_equal(dropped(&world, name), before + 6);
        assert_int_equal(dropped(&world, LINK_LANE_COUNT - 1 - name), before_other);
        links_flush(world.node, durable + 1);
        assert_int_equal(lane->ready.count, LINK_FRAMES_MAX);
        assert_int_equal(lane->bytes, (uint64_t) LINK_FRAMES_MAX * (LINK_MESSAGE_HEADER + SIZE));
    }
    node_world_forget_queued(&world);
    for (enum link_lane_name name = 0; name < LINK_LANE_COUNT; name++) {
        struct link_lane *lane = &peer->lanes[name];
        const uint64_t durable = world.node->links.durable_turn;
        world.node->links.lane_bytes_max[name] = 3 * SIZE;
        for (uint32_t i = 0; i < 4; i++)
            send(&world, other, name, i % 2 == 0 ? 0 : durable + 2, (uint8_t) i, SIZE);
        /* The header of each message counts, too. */
        assert_int_equal(lane->ready.count + lane->held.count, 2);
    }
    node_world_close(&world);
}

static void lanes__the_last_frame_keeps_the_bound_too(void **state) {
    (void) state;
    static struct node_world world;
    enum { SIZE = 1000, MESSAGES = 10 };
    node_world_open(&world);
    const ord_node_id other = node_world_other(&world, 0);
    for (enum link_lane_name name = 0; name < LINK_LANE_COUNT; name++) {
        struct link_lane *lane = &world.node->links.peers[other].lanes[name];
        const uint64_t before = dropped(&world, name);
        world.node->links.lane_bytes_max[name] = MESSAGES * (LINK_MESSAGE_HEADER + SIZE);
        for (uint32_t i = 0; i < MESSAGES + 3; i++)
            send(&world, other, name, 0, 1, SIZE);
        assert_int_equal(lane->bytes, world.node->links.lane_bytes_max[name]);
        assert_int_equal(lane->ready.count, 1);
        assert_int_equal(dropped(&world, name), before + 3);
    }
    node_world_close(&world);
}

/* Messages count, not frames. */
static void lanes__what_a_lost_link_drops_is_counted(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id other = node_world_other(&world, 0);
    struct peer *peer = &world.node->links.peers[other];
    for (enum link_lane_name name = 0; name < LINK_LANE_COUNT; name++)
        for (uint32_t i = 0; i < 7; i++)
            send(&world, other, name, i < 3 ? 0 : UINT64_MAX, 1, 10);
    const uint64_t votes = dropped(&world, LINK_LANE_VOTES);
    const uint64_t bulk = dropped(&world, LINK_LANE_BULK);
    atomic_store(&peer->up, false);
    links_flush(world.node, world.node->links.durable_turn);
    assert_int_equal(dropped(&world, LINK_LANE_VOTES), votes + 7);
    assert_int_equal(dropped(&world, LINK_LANE_BULK), bulk + 7);
    assert_int_equal(links_queued_bytes(&world.node->links), 0);
    node_world_close(&world);
}

static void hello_of(struct node_world *world, ord_node_id from) {
    struct net_message *message;
    uint8_t *data;
    assert_ok(net_message_create(&message, &data, CRYPTO_LINK_HELLO_SIZE));
    crypto_link_hello(&world->links[from], data);
    links_on_message(world->node, message);
}

/* The transport is not connected, whatever `up` says. A message in pieces is not lost with one of them. */
static void lanes__what_the_transport_refuses_is_counted(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id other = node_world_other(&world, 0);
    struct peer *peer = &world.node->links.peers[other];
    struct link_lane *bulk = &peer->lanes[LINK_LANE_BULK];
    hello_of(&world, other);
    atomic_store(&peer->hello_due, false);
    peer->under_way = false;
    const uint64_t votes_before = dropped(&world, LINK_LANE_VOTES);
    const uint64_t bulk_before = dropped(&world, LINK_LANE_BULK);
    for (int i = 0; i < 3; i++)
        send(&world, other, LINK_LANE_VOTES, 0, 1, 10);
    links_flush(world.node, world.node->links.durable_turn);
    assert_int_equal(dropped(&world, LINK_LANE_VOTES), votes_before + 3);
    assert_int_equal(peer->lanes[LINK_LANE_VOTES].bytes, 0);
    send(&world, other, LINK_LANE_BULK, 0, 1, 200 << 10);
    links_flush(world.node, world.node->links.durable_turn);
    assert_int_equal(dropped(&world, LINK_LANE_BULK), bulk_before);
    assert_int_equal(bulk->ready.count, 1);
    assert_int_equal(bulk->ready.frames[bulk->ready.first].cut, 0);
    assert_int_equal(bulk->bytes, LINK_MESSAGE_HEADER + (200 << 10));
    assert_false(peer->under_way);
    peer->under_way = true;
    node_world_close(&world);
}

/* The kind of a message alone decides, and of a message of the core its type. */
static void lanes__agreement_waits_for_nothing_that_is_bulk(void **state) {
    (void) state;
    static const struct {
        enum replica_link kind;
        uint8_t type; /* of a message of the core */
        uint8_t relayed;
        enum link_lane_name lane;
    } rows[] = {
        {REPLICA_LINK_CORE, BFT_PRE_PREPARE, 0, LINK_LANE_BULK},
        {REPLICA_LINK_CORE, BFT_BODY, 0, LINK_LANE_BULK},
        {REPLICA_LINK_CORE, BFT_RELAY, BFT_PRE_PREPARE, LINK_LANE_BULK},
        {REPLICA_LINK_CORE, BFT_RELAY, BFT_VIEW_CHANGE, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_RELAY, BFT_NEW_VIEW, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_PREPARE, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_COMMIT, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_STATUS, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_VIEW_CHANGE, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_NEW_VIEW, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_FETCH, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_WITNESS, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_EVIDENCE, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_ASK, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_CORE, BFT_RECALL, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_ATTESTATION, 0, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_CERTIFICATE, 0, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_SYNC_REQUEST, 0, 0, LINK_LANE_VOTES},
        {REPLICA_LINK_FORWARD, 0, 0, LINK_LANE_BULK},
        {REPLICA_LINK_SYNC_BLOCKS, 0, 0, LINK_LANE_BULK},
        {REPLICA_LINK_SYNC_TAIL, 0, 0, LINK_LANE_BULK},
    };
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id other = node_world_other(&world, 0);
    const struct peer *peer = &world.node->links.peers[other];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t header[BFT_HEADER_SIZE] = {rows[i].type};
        uint8_t rest[100] = {rows[i].relayed};
        /* The header may come apart from the rest, and in parts. */
        const struct ord_span parts[] = {ord_span_of(header, 10), ord_span_of(NULL, 0),
                                         ord_span_of(header + 10, sizeof(header) - 10),
                                         ord_span_of(rest, sizeof(rest))};
        links_send(world.node, 0, ord_replica_bit(other), rows[i].kind, parts, 4);
        assert_int_equal(peer->lanes[rows[i].lane].ready.count, 1);
        assert_int_equal(peer->lanes[LINK_LANE_COUNT - 1 - rows[i].lane].ready.count, 0);
        assert_int_equal(node_world_queued(&world, NULL, other, rows[i].kind), 1);
        node_world_forget_queued(&world);
    }
    node_world_close(&world);
}

/* ---- in ---- */

/* Sends `size` bytes of the whole as a piece. */
static void send_piece(struct node_world *world, ord_node_id from, const uint8_t *whole, uint32_t whole_size,
                       uint32_t offset, uint32_t size) {
    uint8_t *payload = malloc(1 + LINK_PIECE_HEADER + size);
    assert_non_null(payload);
    payload[0] = LINK_PAYLOAD_PIECE;
    ord_store_u32(payload + 1, whole_size);
    ord_store_u32(payload + 5, offset);
    if (size > 0)
        memcpy(payload + 1 + LINK_PIECE_HEADER, whole + offset, size);
    node_world_send_payload(world, from, ord_span_of(payload, 1 + LINK_PIECE_HEADER + size));
    free(payload);
}

enum { PART_MESSAGE = 500, PART_SIZE = LINK_MESSAGE_HEADER + PART_MESSAGE };

/* One message of a kind that does not exist, so that the replica counts it and does nothing else. */
static void make_part(uint8_t out[PART_SIZE]) {
    memset(out, 3, PART_SIZE);
    out[0] = 99;
    ord_store_u32(out + 1, PART_MESSAGE);
}

static uint64_t taken(const struct node_world *world) {
    return world->replica->counters.messages_refused;
}

static void pieces__are_put_together(void **state) {
    (void) state;
    static struct node_world world;
    uint8_t part[PART_SIZE];
    node_world_open(&world);
    const ord_node_id from = node_world_other(&world, 0);
    struct node_counters *counters = &world.node->counters;
    struct peer *peer = &world.node->links.peers[from];
    make_part(part);
    const uint64_t before = taken(&world);
    send_piece(&world, from, part, PART_SIZE, 0, 100);
    assert_int_equal(links_inbound_bytes(peer), PART_SIZE);
    /* Votes go through between the pieces. */
    node_world_send(&world, from, (enum replica_link) 98, ord_span_of("vote", 4));
    node_world_turn(&world, 0);
    assert_int_equal(taken(&world), before + 1);
    send_piece(&world, from, part, PART_SIZE, 100, 300);
    send_piece(&world, from, part, PART_SIZE, 400, PART_SIZE - 400);
    node_world_turn(&world, 0);
    assert_int_equal(taken(&world), before + 2);
    assert_int_equal(links_inbound_bytes(peer), 0);
    assert_int_equal(count_get(&counters->link_pieces_dropped), 0);
    assert_int_equal(count_get(&counters->frames_refused), 0);
    node_world_close(&world);
}

static void pieces__that_do_not_follow_are_dropped(void **state) {
    (void) state;
    static struct node_world world;
    uint8_t part[PART_SIZE];
    node_world_open(&world);
    const ord_node_id from = node_world_other(&world, 0);
    struct node_counters *counters = &world.node->counters;
    struct peer *peer = &world.node->links.peers[from];
    make_part(part);
    const uint64_t before = taken(&world);
    /* A gap. The part is given up, so what would follow is dropped as well. */
    send_piece(&world, from, part, PART_SIZE, 0, 100);
    send_piece(&world, from, part, PART_SIZE, 101, 100);
    assert_int_equal(links_inbound_bytes(peer), 0);
    send_piece(&world, from, part, PART_SIZE, 201, PART_SIZE - 201);
    assert_int_equal(count_get(&counters->link_pieces_dropped), 2);
    /* A repeated piece, and a piece of another part. */
    send_piece(&world, from, part, PART_SIZE, 0, 100);
    send_piece(&world, from, part, PART_SIZE, 100, 100);
    send_piece(&world, from, part, PART_SIZE, 100, 100);
    send_piece(&world, from, part, PART_SIZE, 0, 100);
    send_piece(&world, from, part, PART_SIZE - 1, 100, 100);
    assert_int_equal(count_get(&counters->link_pieces_dropped), 4);
    /* A first piece begins anew. A hello ends the part, because the link may have come up anew. */
    send_piece(&world, from, part, PART_SIZE, 0, 100);
    send_piece(&world, from, part, PART_SIZE, 0, 200);
    assert_int_equal(links_inbound_bytes(peer), PART_SIZE);
    hello_of(&world, from);
    assert_int_equal(links_inbound_bytes(peer), 0);
    send_piece(&world, from, part, PART_SIZE, 200, PART_SIZE - 200);
    assert_int_equal(count_get(&counters->link_pieces_dropped), 5);
    node_world_turn(&world, 0);
    assert_int_equal(taken(&world), before);
    assert_int_equal(count_get(&counters->frames_refused), 0);
    send_piece(&world, from, part, PART_SIZE, 0, PART_SIZE);
    node_world_turn(&world, 0);
    assert_int_equal(taken(&world), before + 1);
    /* A part that never ends is freed with the link. */
    send_piece(&world, from, part, PART_SIZE, 0, 100);
    node_world_close(&world);
}

static void pieces__no_honest_replica_sends_are_refused(void **state) {
    (void) state;
    static struct node_world world;
    uint8_t part[PART_SIZE];
    node_world_open(&world);
    const ord_node_id from = node_world_other(&world, 0);
    struct node_counters *counters = &world.node->counters;
    const uint32_t largest = (uint32_t) (world.node->links.frame_bytes_max - LINK_FRAME_HEADER - CRYPTO_LINK_TAG_SIZE);
    make_part(part);
    send_piece(&world, from, part, PART_SIZE, 0, 0);
    send_piece(&world, from, part, PART_SIZE - 1, 0, PART_SIZE);
    send_piece(&world, from, part, 10, 11, 1);
    send_piece(&world, from, part, largest + 1, 0, 100);
    send_piece(&world, from, part, UINT32_MAX, 0, 100);
    node_world_send_payload(&world, from, ord_span_of("\3\0\0\0\1\0\0\0", 8)); /* a short header */
    assert_int_equal(count_get(&counters->frames_refused), 6);
    node_world_send_payload(&world, from, ord_span_of("\0abc", 4)); /* payloads of no kind */
    node_world_send_payload(&world, from, ord_span_of("\4abc", 4));
    assert_int_equal(count_get(&counters->frames_refused), 8);
    assert_int_equal(links_inbound_bytes(&world.node->links.peers[from]), 0);
    send_piece(&world, from, part, largest, 0, 100);
    assert_int_equal(count_get(&counters->frames_refused), 8);
    assert_int_equal(links_inbound_bytes(&world.node->links.peers[from]), largest);
    node_world_close(&world);
}

/* A part counts as a whole from its first piece on, however little of it has come. */
static void lanes__bulk_that_fills_its_quota_keeps_no_vote_out(void **state) {
    (void) state;
    static struct node_world world;
    enum { LARGE = 100 << 10 };
    static uint8_t bytes[LARGE];
    uint8_t part[PART_SIZE];
    node_world_open(&world);
    const ord_node_id from = node_world_other(&world, 0);
    struct node_counters *counters = &world.node->counters;
    struct peer *peer = &world.node->links.peers[from];
    make_part(part);
    world.node->links.lane_bytes_max[LINK_LANE_BULK] = LARGE + LINK_FRAME_HEADER + LINK_MESSAGE_HEADER + 500;
    world.node->links.lane_bytes_max[LINK_LANE_VOTES] = LARGE + 1000;
    node_world_send(&world, from, REPLICA_LINK_SYNC_BLOCKS, ord_span_of(bytes, LARGE));
    assert_int_equal(count_get(&counters->bulk_over_quota), 0);
    send_piece(&world, from, part, PART_SIZE, 0, 10);
    send_piece(&world, from, part, PART_SIZE, 10, PART_SIZE - 10);
    assert_int_equal(count_get(&counters->bulk_over_quota), 1);
    assert_int_equal(count_get(&counters->link_pieces_dropped), 2);
    node_world_send(&world, from, REPLICA_LINK_SYNC_BLOCKS, ord_span_of(bytes, 1000));
    assert_int_equal(count_get(&counters->bulk_over_quota), 2);
    const uint64_t before = taken(&world);
    node_world_send(&world, from, (enum replica_link) 98, ord_span_of(bytes, LARGE));
    assert_int_equal(count_get(&counters->votes_over_quota), 0);
    assert_true(links_inbound_bytes(peer) > (uint64_t) 2 * LARGE);
    node_world_turn(&world, 0);
    assert_int_equal(taken(&world), before + 1);
    /* There is room again. */
    send_piece(&world, from, part, PART_SIZE, 0, PART_SIZE);
    node_world_turn(&world, 0);
    assert_int_equal(taken(&world), before + 2);
    /* Votes have a quota as well. */
    world.node->links.lane_bytes_max[LINK_LANE_VOTES] = 1000;
    node_world_send(&world, from, (enum replica_link) 98, ord_span_of(bytes, 1000));
    assert_int_equal(count_get(&counters->votes_over_quota), 1);
    node_world_close(&world);
}

/* ---- what the replica gets when ---- */

enum { NOTES_MAX = 64 };

static struct note {
    ord_node_id from;
    uint8_t kind;
} notes[NOTES_MAX];
static uint32_t note_count;
static bool (*node_next_input)(void *context, struct replica_input *out);

/* Writes down what the replica gets, and keeps it from the replica. */
static bool next_noted(void *context, struct replica_input *out) {
    while (node_next_input(context, out)) {
        if (out->type != REPLICA_INPUT_MESSAGE)
            return true;
        assert_true(note_count < NOTES_MAX);
        notes[note_count++] = (struct note) {out->message.from, out->message.kind};
    }
    return false;
}

static void expect_notes(const struct note *expected, uint32_t count) {
    assert_int_equal(note_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(notes[i].from, expected[i].from);
        assert_int_equal(notes[i].kind, expected[i].kind);
    }
    note_count = 0;
}

/*
 * Votes come first. Bulk goes round among its senders, frame by frame. A turn takes a bounded amount of it, and the
 * next turn, with the rest, does not wait.
 */
static void turn__takes_votes_before_bulk_and_bulk_in_rounds(void **state) {
    (void) state;
    static struct node_world world;
    enum { LARGE = 1536 << 10 };
    const enum replica_link vote = REPLICA_LINK_ATTESTATION;
    const enum replica_link bulk = REPLICA_LINK_FORWARD;
    node_world_open(&world);
    uint8_t *bytes = calloc(1, LARGE);
    assert_non_null(bytes);
    const ord_node_id a = node_world_other(&world, 0);
    const ord_node_id b = node_world_other(&world, 1);
    node_world_turn(&world, 0);
    struct replica_host *host = &world.replica->setup.options.host;
    node_next_input = host->next;
    host->next = next_noted;
    world.node->bulk_source = a;
    for (int i = 0; i < 4; i++)
        node_world_send(&world, a, bulk, ord_span_of(bytes, LARGE));
    node_world_send_many(&world, b, bulk, bytes, 10, 2);
    node_world_send(&world, b, bulk, ord_span_of(bytes, 10));
    node_world_send(&world, b, vote, ord_span_of(bytes, 10));
    node_world_send(&world, a, vote, ord_span_of(bytes, 10));
    note_count = 0;
    node_world_turn(&world, 0);
    expect_notes(
        (const struct note[]) {{b, vote}, {a, vote}, {a, bulk}, {b, bulk}, {b, bulk}, {a, bulk}, {b, bulk}, {a, bulk}},
        8);
    node_world_send(&world, b, vote, ord_span_of(bytes, 10));
    node_world_turn(&world, 60000); /* it does not wait */
    expect_notes((const struct note[]) {{b, vote}, {a, bulk}}, 2);
    node_world_turn(&world, 0);
    expect_notes(NULL, 0);
    assert_int_equal(links_inbound_bytes(&world.node->links.peers[a]), 0);
    assert_int_equal(links_inbound_bytes(&world.node->links.peers[b]), 0);
    free(bytes);
    node_world_close(&world);
}

/* Makes a turn full after one input. */
static uint64_t full_after_one(const struct ledger *ledger) {
    (void) ledger;
    return note_count > 0 ? UINT64_MAX : 0;
}

static bool next_one(void *context, struct replica_input *out) {
    if (!node_next_input(context, out))
        return false;
    notes[note_count++] = (struct note) {out->message.from, out->message.kind};
    return true;
}

/* Turns that are full before they come to bulk do not follow each other for ever. */
static void turn__takes_some_bulk_at_last(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id a = node_world_other(&world, 0);
    const ord_node_id b = node_world_other(&world, 1);
    node_world_turn(&world, 0);
    struct replica_host *host = &world.replica->setup.options.host;
    node_next_input = host->next;
    host->next = next_one;
    host->store.turn_bytes = full_after_one;
    node_world_send(&world, a, REPLICA_LINK_SYNC_TAIL, ord_span_of("tail", 4));
    for (int i = 0; i < 6; i++)
        node_world_send(&world, b, (enum replica_link) 98, ord_span_of("vote", 4));
    const ord_node_id from[] = {b, a, b, b};
    for (int i = 0; i < 4; i++) {
        note_count = 0;
        node_world_turn(&world, 0);
        assert_int_equal(note_count, 1);
        assert_int_equal(notes[0].from, from[i]);
    }
    note_count = 0;
    host->store.turn_bytes = ledger_turn_bytes;
    node_world_turn(&world, 0);
    node_world_close(&world);
}

/* ---- over real sockets ---- */

/* Replica `id` of a world, with a listener. What came is written down, and nothing else is done with it. */
static struct receiver {
    struct node_world *world;
    ord_node_id id;
    struct net_pull *pull;
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;            /* false: it reads no frame beyond the one that it waits with */
    bool gaps;            /* messages of the bulk lane may be missing */
    uint32_t frames;      /* of data */
    uint32_t frames_vote; /* their number when the vote came; 0: it has not come */
    size_t bulk_frame_max;
    uint64_t bulk_bytes; /* of messages that came complete */
    uint64_t bulk_bytes_vote;
    uint8_t fill; /* of the next message */
    uint8_t *part;
    size_t part_size;
    size_t part_filled;
} receiver;

/* The vote of the test. The replica may send others. */
enum { VOTE_SIZE = 100, VOTE_FILL = 9 };

static bool has_vote(struct ord_reader reader) {
    bool found = false;
    while (ord_reader_left(&reader) > 0) {
        uint8_t kind = ord_read_u8(&reader);
        struct ord_span bytes = ord_read_string(&reader, SIZE_MAX);
        found = found || (kind == REPLICA_LINK_ATTESTATION && bytes.size == VOTE_SIZE && bytes.data[0] == VOTE_FILL);
    }
    return found;
}

/* Messages of the bulk lane have their number in each byte. */
static void take_bulk(struct ord_span messages) {
    struct ord_reader reader = ord_reader_of(messages);
    while (ord_reader_left(&reader) > 0) {
        assert_int_equal(ord_read_u8(&reader), REPLICA_LINK_FORWARD);
        struct ord_span bytes = ord_read_string(&reader, SIZE_MAX);
        assert_false(reader.failed);
        if (receiver.gaps && bytes.data[0] > receiver.fill)
            receiver.fill = bytes.data[0];
        for (size_t i = 0; i < bytes.size; i++)
            if (bytes.data[i] != receiver.fill)
                fail_msg("message %u is not the one that was sent", receiver.fill);
        receiver.fill++;
        receiver.bulk_bytes += bytes.size;
    }
}

static void take_whole_part(struct ord_reader piece) {
    size_t whole = ord_read_u32(&piece);
    size_t offset = ord_read_u32(&piece);
    size_t size = ord_reader_left(&piece);
    if (offset == 0) {
        free(receiver.part);
        receiver.part = malloc(whole);
        assert_non_null(receiver.part);
        receiver.part_size = whole;
        receiver.part_filled = 0;
    }
    assert_int_equal(receiver.part_size, whole);
    assert_int_equal(receiver.part_filled, offset);
    assert_true(size > 0 && size <= whole - offset);
    ord_read_bytes(&piece, receiver.part + offset, size);
    receiver.part_filled += size;
    if (receiver.part_filled == whole)
        take_bulk(ord_span_of(receiver.part, whole));
}

static void take_frame(struct ord_span frame) {
    struct crypto_link *link = &receiver.world->links[receiver.id];
    enum crypto_link_event event;
    struct ord_span payload;
    if (crypto_link_open(link, &event, &payload, frame) != ORD_OK || event != CRYPTO_LINK_DATA)
        return;
    receiver.frames++;
    struct ord_reader reader = ord_reader_of(payload);
    uint8_t type = ord_read_u8(&reader);
    if (type == LINK_PAYLOAD_VOTES) {
        if (has_vote(reader)) {
            receiver.frames_vote = receiver.frames;
            receiver.bulk_bytes_vote = receiver.bulk_bytes;
        }
        return;
    }
    if (frame.size > receiver.bulk_frame_max)
        receiver.bulk_frame_max = frame.size;
    if (type == LINK_PAYLOAD_PIECE)
        take_whole_part(reader);
    else
        take_bulk(ord_read_span(&reader, ord_reader_left(&reader)));
}

static void on_frame(void *context, struct net_message *message) {
    (void) context;
    pthread_mutex_lock(&receiver.lock);
    while (!receiver.open)
        pthread_cond_wait(&receiver.opened, &receiver.lock);
    take_frame(net_message_bytes(message));
    pthread_mutex_unlock(&receiver.lock);
    net_message_destroy(message);
}

static void set_open(bool open) {
    pthread_mutex_lock(&receiver.lock);
    receiver.open = open;
    pthread_cond_broadcast(&receiver.opened);
    pthread_mutex_unlock(&receiver.lock);
}

static char *read_pem(const char *path) {
    uint8_t *text;
    size_t size;
    char why[512];
    assert_ok(node_read_file(&text, &size, path, 1u << 20, why, sizeof(why)));
    return (char *) text;
}

/* Opens the listener of replica `id`. False: its port is taken. */
static bool listen_as(struct node_world *world, ord_node_id id) {
    char path[192];
    char why[512];
    static struct node_config files;
    snprintf(path, sizeof(path), "%s/replica%u/node.cfg", world->directory, id);
    assert_ok(node_config_load(&files, path, why, sizeof(why)));
    char *ca = read_pem(files.tls_ca_file);
    char *cert = read_pem(files.tls_cert_file);
    char *key = read_pem(files.tls_key_file);
    const struct net_tls tls = {ca, cert, key};
    const struct net_pull_options options = {
        .host = "127.0.0.1",
        .port = world->node->channel_config->replicas[id].replica_port,
        .tls = &tls,
        .message_bytes_max = 64u << 20,
        .on_message = on_frame,
    };
    receiver = (struct receiver) {.world = world, .id = id, .open = true, .fill = 1};
    pthread_mutex_init(&receiver.lock, NULL);
    pthread_cond_init(&receiver.opened, NULL);
    enum ord_err err = net_pull_open(&receiver.pull, &options);
    free(ca);
    free(cert);
    free(key);
    if (err != ORD_ERR_IN_USE)
        assert_ok(err);
    return err == ORD_OK;
}

static void close_receiver(void) {
    set_open(true);
    net_pull_close(receiver.pull);
    free(receiver.part);
    pthread_cond_destroy(&receiver.opened);
    pthread_mutex_destroy(&receiver.lock);
}

static struct peer *receiving_peer(struct node_world *world) {
    return &world->node->links.peers[receiver.id];
}

static bool is_connected(struct node_world *world) {
    struct peer *peer = receiving_peer(world);
    return net_push_up(peer->push) && atomic_load(&peer->up) && !atomic_load(&peer->hello_due);
}

/* The other end says nothing all the while, and must not be taken for dead. */
static void seem_alive(struct peer *peer) {
    atomic_store(&peer->heard_ms, node_clock_ms() + 600000);
}

/* Our replica's link to another one leads to a real listener. */
static void open_receiver(struct node_world *world) {
    ord_node_id id = 0;
    bool listens = false;
    for (int i = 0; i < 10 && !listens; i++) {
        if (i > 0)
            node_world_close(world);
        node_world_plan(world, CHANNEL_PBFT, 4);
        node_world_write(world);
        world->config.link_queue_bytes_max = 64u << 20;
        node_world_start(world);
        id = node_world_other(world, 0);
        listens = listen_as(world, id);
    }
    assert_true(listens);
    struct peer *peer = receiving_peer(world);
    pthread_mutex_lock(&peer->lanes_mutex);
    peer->under_way = false; /* so far the transport was said to be busy */
    pthread_mutex_unlock(&peer->lanes_mutex);
    /* A hello shows that the other end is in the session. */
    hello_of(world, id);
    node_world_until(world, is_connected, "the link is up");
    seem_alive(peer);
    node_world_forget_queued(world);
}

enum { BULK_MESSAGES = 16, BULK_SIZE = 2 << 20, BULK_TOTAL = BULK_MESSAGES * BULK_SIZE };

static bool some_bulk_left(struct node_world *world) {
    return count_get(&world->node->counters.frames_sent) >= 4;
}

static uint64_t bulk_bytes_now(void) {
    pthread_mutex_lock(&receiver.lock);
    uint64_t bytes = receiver.bulk_bytes;
    pthread_mutex_unlock(&receiver.lock);
    return bytes;
}

static bool all_bulk_came(struct node_world *world) {
    (void) world;
    return bulk_bytes_now() == BULK_TOTAL;
}

/* Some of it may have left before this returns. */
static void send_all_bulk(struct node_world *world) {
    const uint64_t before = dropped(world, LINK_LANE_BULK);
    for (uint8_t i = 0; i < BULK_MESSAGES; i++)
        send(world, receiver.id, LINK_LANE_BULK, 0, (uint8_t) (i + 1), BULK_SIZE);
    assert_int_equal(dropped(world, LINK_LANE_BULK), before);
}

static void lanes__a_vote_overtakes_queued_bulk_on_a_slow_reader(void **state) {
    (void) state;
    static struct node_world world;
    open_receiver(&world);
    struct peer *peer = receiving_peer(&world);
    set_open(false);
    const uint64_t lost = dropped(&world, LINK_LANE_BULK);
    send_all_bulk(&world);
    node_world_until(&world, some_bulk_left, "bulk leaves");
    send(&world, receiver.id, LINK_LANE_VOTES, 0, VOTE_FILL, VOTE_SIZE);
    links_flush(world.node, world.node->links.durable_turn);
    /* No more bulk leaves before the vote than a frame that is under way already, and is perhaps not counted yet. */
    const uint64_t sent = count_get(&world.node->counters.frames_sent);
    pthread_mutex_lock(&peer->lanes_mutex);
    const uint64_t waits = peer->lanes[LINK_LANE_BULK].bytes;
    pthread_mutex_unlock(&peer->lanes_mutex);
    assert_true(waits > BULK_TOTAL / 4);
    set_open(true);
    node_world_until(&world, all_bulk_came, "all bulk comes");
    pthread_mutex_lock(&receiver.lock);
    print_message("%llu of %u MiB waited; the vote was frame %u of %u\n", (unsigned long long) waits >> 20,
                  (unsigned) BULK_TOTAL >> 20, receiver.frames_vote, receiver.frames);
    assert_in_range(receiver.frames_vote, 1, sent + 2);
    assert_true(BULK_TOTAL - receiver.bulk_bytes_vote + BULK_MESSAGES * LINK_MESSAGE_HEADER >= waits);
    assert_true(receiver.bulk_frame_max <= LINK_BULK_FRAME_BYTES);
    pthread_mutex_unlock(&receiver.lock);
    assert_int_equal(dropped(&world, LINK_LANE_BULK), lost);
    assert_int_equal(links_queued_bytes(&world.node->links) >> 20, 0); /* but for what waits for the others */
    node_world_close(&world);
    close_receiver();
}

static bool last_bulk_came(struct node_world *world) {
    (void) world;
    pthread_mutex_lock(&receiver.lock);
    bool came = receiver.fill == BULK_MESSAGES + 1;
    pthread_mutex_unlock(&receiver.lock);
    return came;
}

/*
 * A link that is lost in the middle of a message and comes back before the loop notices. What was cut begins again, and
 * nothing that waits is lost. What the sockets had is.
 */
static void lanes__a_lost_link_begins_its_part_again(void **state) {
    (void) state;
    static struct node_world world;
    open_receiver(&world);
    struct peer *peer = receiving_peer(&world);
    receiver.gaps = true;
    set_open(false);
    const uint64_t lost = dropped(&world, LINK_LANE_BULK);
    send_all_bulk(&world);
    node_world_until(&world, some_bulk_left, "bulk leaves");
    net_push_redial(peer->push);
    const uint64_t deadline_ms = node_clock_ms() + 20000;
    /* The link comes up again. No turn runs meanwhile. */
    while (!atomic_load(&peer->hello_due) || !atomic_load(&peer->up)) {
        assert_true(node_clock_ms() < deadline_ms);
        nanosleep(&(const struct timespec) {.tv_nsec = 1000000}, NULL);
    }
    seem_alive(peer);
    pthread_mutex_lock(&peer->lanes_mutex);
    const struct link_queue *ready = &peer->lanes[LINK_LANE_BULK].ready;
    assert_int_equal(ready->frames[ready->first].cut, 0);
    assert_true(ready->count > 0);
    pthread_mutex_unlock(&peer->lanes_mutex);
    set_open(true);
    node_world_until(&world, last_bulk_came, "what waited comes");
    assert_int_equal(dropped(&world, LINK_LANE_BULK), lost);
    node_world_close(&world);
    close_receiver();
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(lanes__a_message_is_held_until_its_turn_is_durable),
    cmocka_unit_test(lanes__each_has_bounds_of_its_own),
    cmocka_unit_test(lanes__the_last_frame_keeps_the_bound_too),
    cmocka_unit_test(lanes__what_a_lost_link_drops_is_counted),
    cmocka_unit_test(lanes__what_the_transport_refuses_is_counted),
    cmocka_unit_test(lanes__agreement_waits_for_nothing_that_is_bulk),
    cmocka_unit_test(pieces__are_put_together),
    cmocka_unit_test(pieces__that_do_not_follow_are_dropped),
    cmocka_unit_test(pieces__no_honest_replica_sends_are_refused),
    cmocka_unit_test(lanes__bulk_that_fills_its_quota_keeps_no_vote_out),
    cmocka_unit_test(turn__takes_votes_before_bulk_and_bulk_in_rounds),
    cmocka_unit_test(turn__takes_some_bulk_at_last),
    cmocka_unit_test(lanes__a_vote_overtakes_queued_bulk_on_a_slow_reader),
    cmocka_unit_test(lanes__a_lost_link_begins_its_part_again),
};
TEST_CASES(cases);
