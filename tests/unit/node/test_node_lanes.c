/*
 * The two lanes of a link: when messages leave, what waits for what, and the bounds of each lane (row T9).
 */
#include "tests/support/node_support.h"

#include <stdlib.h>
#include <string.h>

#include "bft/wire/message.h"
#include "tests/support/test_main.h"

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
        node_world_send_lane(&world, other, name, durable + 1, 1, 10);
        node_world_send_lane(&world, other, name, durable + 2, 2, 10);
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
        node_world_send_lane(&world, other, name, 0, 3, 10);
        node_world_send_lane(&world, other, name, durable + 2, 4, 10);
        assert_int_equal(lane->held.count, 0);
        /* While the transport is busy, frames that may leave are joined into few full ones. */
        node_world_send_lane(&world, other, name, durable + 3, 5, 10);
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
        const uint64_t before = node_world_dropped(&world, name); /* before the links were up */
        const uint64_t before_other = node_world_dropped(&world, LINK_LANE_COUNT - 1 - name);
        for (uint32_t i = 0; i < LINK_FRAMES_MAX + 6; i++)
            node_world_send_lane(&world, other, name, i % 2 == 0 ? 0 : durable + 1, (uint8_t) i, SIZE);
        assert_int_equal(lane->ready.count + lane->held.count, LINK_FRAMES_MAX);
        assert_int_equal(node_world_dropped(&world, name), before + 6);
        assert_int_equal(node_world_dropped(&world, LINK_LANE_COUNT - 1 - name), before_other);
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
            node_world_send_lane(&world, other, name, i % 2 == 0 ? 0 : durable + 2, (uint8_t) i, SIZE);
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
        const uint64_t before = node_world_dropped(&world, name);
        world.node->links.lane_bytes_max[name] = MESSAGES * (LINK_MESSAGE_HEADER + SIZE);
        for (uint32_t i = 0; i < MESSAGES + 3; i++)
            node_world_send_lane(&world, other, name, 0, 1, SIZE);
        assert_int_equal(lane->bytes, world.node->links.lane_bytes_max[name]);
        assert_int_equal(lane->ready.count, 1);
        assert_int_equal(node_world_dropped(&world, name), before + 3);
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
            node_world_send_lane(&world, other, name, i < 3 ? 0 : UINT64_MAX, 1, 10);
    const uint64_t votes = node_world_dropped(&world, LINK_LANE_VOTES);
    const uint64_t bulk = node_world_dropped(&world, LINK_LANE_BULK);
    atomic_store(&peer->up, false);
    links_flush(world.node, world.node->links.durable_turn);
    assert_int_equal(node_world_dropped(&world, LINK_LANE_VOTES), votes + 7);
    assert_int_equal(node_world_dropped(&world, LINK_LANE_BULK), bulk + 7);
    assert_int_equal(links_queued_bytes(&world.node->links), 0);
    node_world_close(&world);
}

/* The transport is not connected, whatever `up` says. A message in pieces is not lost with one of them. */
static void lanes__what_the_transport_refuses_is_counted(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    const ord_node_id other = node_world_other(&world, 0);
    struct peer *peer = &world.node->links.peers[other];
    struct link_lane *bulk = &peer->lanes[LINK_LANE_BULK];
    node_world_hello(&world, other);
    atomic_store(&peer->hello_due, false);
    peer->under_way = false;
    const uint64_t votes_before = node_world_dropped(&world, LINK_LANE_VOTES);
    const uint64_t bulk_before = node_world_dropped(&world, LINK_LANE_BULK);
    for (int i = 0; i < 3; i++)
        node_world_send_lane(&world, other, LINK_LANE_VOTES, 0, 1, 10);
    links_flush(world.node, world.node->links.durable_turn);
    assert_int_equal(node_world_dropped(&world, LINK_LANE_VOTES), votes_before + 3);
    assert_int_equal(peer->lanes[LINK_LANE_VOTES].bytes, 0);
    node_world_send_lane(&world, other, LINK_LANE_BULK, 0, 1, 200 << 10);
    links_flush(world.node, world.node->links.durable_turn);
    assert_int_equal(node_world_dropped(&world, LINK_LANE_BULK), bulk_before);
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
        {REPLICA_LINK_OFFER, 0, 0, LINK_LANE_BULK},
        {REPLICA_LINK_WANT, 0, 0, LINK_LANE_BULK},
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
    node_world_hello(&world, from);
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
};
TEST_CASES(cases);
