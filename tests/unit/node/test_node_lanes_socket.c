/*
 * The two lanes of a link over real sockets: a reader that is slow, and a link that is lost (row T9).
 */
#include "tests/support/node_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/test_main.h"

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
    char *ca;
    assert_ok(node_trust_all(&ca, world->node->channel_config));
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
    node_world_hello(world, id);
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
    const uint64_t before = node_world_dropped(world, LINK_LANE_BULK);
    for (uint8_t i = 0; i < BULK_MESSAGES; i++)
        node_world_send_lane(world, receiver.id, LINK_LANE_BULK, 0, (uint8_t) (i + 1), BULK_SIZE);
    assert_int_equal(node_world_dropped(world, LINK_LANE_BULK), before);
}

static void lanes__a_vote_overtakes_queued_bulk_on_a_slow_reader(void **state) {
    (void) state;
    static struct node_world world;
    open_receiver(&world);
    struct peer *peer = receiving_peer(&world);
    set_open(false);
    const uint64_t lost = node_world_dropped(&world, LINK_LANE_BULK);
    send_all_bulk(&world);
    node_world_until(&world, some_bulk_left, "bulk leaves");
    node_world_send_lane(&world, receiver.id, LINK_LANE_VOTES, 0, VOTE_FILL, VOTE_SIZE);
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
    assert_int_equal(node_world_dropped(&world, LINK_LANE_BULK), lost);
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
    const uint64_t lost = node_world_dropped(&world, LINK_LANE_BULK);
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
    /* A message whose last piece was in the thread's hand when the link went is lost with what the sockets had. */
    assert_in_range(node_world_dropped(&world, LINK_LANE_BULK), lost, lost + 1);
    node_world_close(&world);
    close_receiver();
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(lanes__a_vote_overtakes_queued_bulk_on_a_slow_reader),
    cmocka_unit_test(lanes__a_lost_link_begins_its_part_again),
};
TEST_CASES(cases);
