/*
 * Links to the other replicas, the outgoing side: one PUSH dialer for each peer. links_in.c has the other direction.
 * The link authenticator covers every frame.
 *
 * What waits for a peer waits in two lanes. Votes and whatever else is small and agreement waits for have one, and bulk
 * (batches, forwards, pieces of a state transfer) has the other. A frame of the bulk lane goes only while none of the
 * votes' lane is ready, and takes at most LINK_BULK_FRAME_BYTES: a longer message is cut into pieces. So no more bulk
 * than that goes before a vote that is ready. Order is kept inside a lane, not between lanes.
 *
 * Votes: one turn's messages to one peer go into at most two frames. One has the messages that depend on nothing, and
 * leaves before the commit. The other has those that had to wait for the commit. While the transport has a frame under
 * way, later turns fill the next one, so a slow peer gets fewer and fuller frames. Bulk leaves in as many frames as it
 * takes, one after the other, without waiting for a turn of the loop: the transport's own thread gives it the next one.
 *
 * Each lane has its own bounds, LINK_FRAMES_MAX frames and lane_bytes_max. At these, messages to that peer are dropped,
 * and the core's retransmission repairs that. Nothing is kept for a peer that is not connected.
 */
#include "node/links.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "crypto/hash.h"
#include "node/log.h"
#include "node/node_internal.h"

enum {
    /* Bytes of a frame before its tag. A single message that needs more gets more. */
    FRAME_CAPACITY = LINK_BULK_FRAME_BYTES - CRYPTO_LINK_TAG_SIZE,
    HELLO_INTERVAL_MS = 250,
    RECONNECT_MS_MIN = 50,
    RECONNECT_MS_MAX = 500,
    /* A running core sends something every second. */
    SILENT_MS = 3000,
    SILENT_DOUBLINGS_MAX = 4,
    /* After this long without a silence, the next silence counts as the first. */
    SILENT_CALM_MS = 120000,
    PROBE_INTERVAL_MS = 1000,
    PROBES_MISSED_MAX = 3,
    LINK_QUEUE_BYTES_DEFAULT = 32 << 20,
};

/* ---- lanes ---- */

static struct link_frame *first_frame(struct link_queue *queue) {
    return &queue->frames[queue->first];
}

/* The queue must not be empty. */
static struct link_frame *last_frame(struct link_queue *queue) {
    return &queue->frames[(queue->first + queue->count - 1) % LINK_FRAMES_MAX];
}

static struct link_frame take_frame(struct link_queue *queue) {
    struct link_frame frame = *first_frame(queue);
    *first_frame(queue) = (struct link_frame) {0};
    queue->first = (queue->first + 1) % LINK_FRAMES_MAX;
    queue->count--;
    return frame;
}

/* The caller makes sure that there is room. */
static struct link_frame *add_frame(struct link_queue *queue, const struct link_frame *frame) {
    queue->count++;
    *last_frame(queue) = *frame;
    return last_frame(queue);
}

static void count_dropped(struct node *node, enum link_lane_name lane, uint64_t messages) {
    struct node_counters *counters = &node->counters;
    count_add(lane == LINK_LANE_VOTES ? &counters->link_votes_dropped : &counters->link_bulk_dropped, messages);
}

static void drop_frames(struct node *node, enum link_lane_name lane, struct link_queue *queue) {
    while (queue->count > 0) {
        struct link_frame frame = take_frame(queue);
        net_message_destroy(frame.message);
        count_dropped(node, lane, frame.messages);
    }
}

static void drop_lanes(struct node *node, struct peer *peer) {
    pthread_mutex_lock(&peer->lanes_mutex);
    for (enum link_lane_name lane = 0; lane < LINK_LANE_COUNT; lane++) {
        drop_frames(node, lane, &peer->lanes[lane].ready);
        drop_frames(node, lane, &peer->lanes[lane].held);
        peer->lanes[lane].bytes = 0;
    }
    pthread_mutex_unlock(&peer->lanes_mutex);
}

/*
 * The peer forgets a part when the link comes up anew or a HELLO comes. Whatever left in pieces begins again. The
 * caller holds lanes_mutex.
 */
static void rewind_pieces(struct peer *peer) {
    struct link_queue *ready = &peer->lanes[LINK_LANE_BULK].ready;
    if (ready->count > 0)
        first_frame(ready)->cut = 0;
}

static bool peer_ready(struct peer *peer) {
    if (!atomic_load(&peer->up))
        return false;
    pthread_mutex_lock(&peer->mutex);
    bool ready = crypto_link_ready(&peer->link);
    pthread_mutex_unlock(&peer->mutex);
    return ready;
}

/* True if the peer has shown that it can open what we seal now. Until then hellos go on, beside the frames. */
static bool peer_confirmed(struct peer *peer) {
    pthread_mutex_lock(&peer->mutex);
    bool confirmed = crypto_link_confirmed(&peer->link);
    pthread_mutex_unlock(&peer->mutex);
    return confirmed;
}

ord_replica_set links_connected(void *context) {
    struct node *node = context;
    ord_replica_set set = 0;
    for (uint32_t i = 0; i < node->links.count; i++)
        if (i != node->config.replica && peer_ready(&node->links.peers[i]))
            set |= ord_replica_bit(i);
    return set;
}

uint64_t links_queued_bytes(struct links *links) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < links->count; i++) {
        struct peer *peer = &links->peers[i];
        pthread_mutex_lock(&peer->lanes_mutex);
        bytes += peer->lanes[LINK_LANE_VOTES].bytes + peer->lanes[LINK_LANE_BULK].bytes;
        pthread_mutex_unlock(&peer->lanes_mutex);
    }
    return bytes;
}

/* True if `size` more bytes fit into the frame. */
static bool has_room(const struct link_frame *frame, size_t size) {
    return frame->cut == 0 && frame->capacity - frame->used >= size;
}

/*
 * Gives a frame of this queue with room for `size` more bytes. NULL: the lane's bounds are reached, or memory is short.
 */
static struct link_frame *frame_with_room(struct node *node, struct peer *peer, enum link_lane_name name,
                                          struct link_queue *queue, size_t size) {
    const struct link_lane *lane = &peer->lanes[name];
    if (lane->bytes + size > node->links.lane_bytes_max[name])
        return NULL;
    if (queue->count > 0 && has_room(last_frame(queue), size))
        return last_frame(queue);
    if (lane->ready.count + lane->held.count == LINK_FRAMES_MAX)
        return NULL;
    size_t capacity = ord_max(LINK_FRAME_HEADER + size, FRAME_CAPACITY);
    struct link_frame frame = {.used = LINK_FRAME_HEADER, .capacity = capacity};
    if (net_message_create(&frame.message, &frame.data, capacity + CRYPTO_LINK_TAG_SIZE) != ORD_OK)
        return NULL;
    frame.data[CRYPTO_LINK_HEADER_SIZE] = name == LINK_LANE_VOTES ? LINK_PAYLOAD_VOTES : LINK_PAYLOAD_BULK;
    return add_frame(queue, &frame);
}

/* A message on its way into a frame. */
struct message {
    uint64_t turn;
    enum replica_link kind;
    const struct ord_span *parts;
    size_t part_count;
    size_t size; /* of all parts */
};

/* Adds the message to a frame that has room for it. */
static void write_message(struct node *node, struct peer *peer, struct link_lane *lane, struct link_frame *frame,
                          const struct message *message) {
    size_t size = message->size;
    uint8_t *out = frame->data + frame->used;
    out[0] = (uint8_t) message->kind;
    ord_store_u32(out + 1, (uint32_t) size);
    out += LINK_MESSAGE_HEADER;
    for (size_t i = 0; i < message->part_count; i++) {
        if (message->parts[i].size > 0)
            memcpy(out, message->parts[i].data, message->parts[i].size);
        out += message->parts[i].size;
    }
    const struct node_seam *seam = &node->seam;
    if (seam->outgoing != NULL) {
        if (!seam->outgoing(seam->context, peer->id, frame->data + frame->used, out - size, &size))
            return;
        ord_store_u32(frame->data + frame->used + 1, (uint32_t) size);
    }
    frame->used += LINK_MESSAGE_HEADER + size;
    frame->messages++;
    frame->turn = ord_max(frame->turn, message->turn);
    lane->bytes += LINK_MESSAGE_HEADER + size;
}

static void send_to(struct node *node, struct peer *peer, enum link_lane_name name, const struct message *message) {
    struct link_lane *lane = &peer->lanes[name];
    struct link_queue *queue = message->turn <= node->links.durable_turn ? &lane->ready : &lane->held;
    struct link_frame *frame = NULL;
    bool ready = peer_ready(peer);
    pthread_mutex_lock(&peer->lanes_mutex);
    if (ready)
        frame = frame_with_room(node, peer, name, queue, LINK_MESSAGE_HEADER + message->size);
    if (frame != NULL)
        write_message(node, peer, lane, frame, message);
    pthread_mutex_unlock(&peer->lanes_mutex);
    if (frame == NULL)
        count_dropped(node, name, 1);
}

/* The lane of a message. The core's are told apart by how they begin. */
static enum link_lane_name lane_of(const struct links *links, const struct message *message) {
    uint8_t begin[ORD_BULK_LOOK_SIZE];
    size_t size = 0;
    for (size_t i = 0; i < message->part_count && size < sizeof(begin); i++) {
        size_t more = ord_min(message->parts[i].size, sizeof(begin) - size);
        if (more > 0)
            memcpy(begin + size, message->parts[i].data, more);
        size += more;
    }
    bool bulk = replica_link_bulk(links->protocol, message->kind, ord_span_of(begin, size));
    return bulk ? LINK_LANE_BULK : LINK_LANE_VOTES;
}

void links_send(void *context, uint64_t turn, ord_replica_set to, enum replica_link kind, const struct ord_span *parts,
                size_t part_count) {
    struct node *node = context;
    struct message message = {.turn = turn, .kind = kind, .parts = parts, .part_count = part_count};
    for (size_t i = 0; i < part_count; i++)
        message.size += parts[i].size;
    ORD_ASSERT(message.size <= links_message_bytes_max(&node->links));
    enum link_lane_name lane = lane_of(&node->links, &message);
    for (uint32_t i = 0; i < node->links.count; i++)
        if ((to & ord_replica_bit(i)) != 0 && i != node->config.replica)
            send_to(node, &node->links.peers[i], lane, &message);
}

/*
 * Makes the frames of durable turns ready. A frame that fits behind the last ready one joins it, so a slow peer gets
 * fewer and fuller frames.
 */
static void ready_held(struct link_lane *lane, uint64_t durable_turn) {
    while (lane->held.count > 0 && first_frame(&lane->held)->turn <= durable_turn) {
        struct link_frame frame = take_frame(&lane->held);
        size_t size = frame.used - LINK_FRAME_HEADER;
        struct link_frame *last = lane->ready.count > 0 ? last_frame(&lane->ready) : NULL;
        if (last == NULL || !has_room(last, size)) {
            (void) add_frame(&lane->ready, &frame);
            continue;
        }
        memcpy(last->data + last->used, frame.data + LINK_FRAME_HEADER, size);
        last->used += size;
        last->messages += frame.messages;
        net_message_destroy(frame.message);
    }
}

/* ---- to the transport ---- */

/* A frame for the transport. */
struct outgoing {
    struct net_message *message;
    uint8_t *data;
    size_t size; /* with all that the link adds */
    enum link_lane_name lane;
    /* Messages that are lost if it does not leave. 0: a piece, and its messages still wait in the lane. */
    uint32_t messages;
};

static void take_whole(struct link_lane *lane, struct outgoing *out) {
    struct link_frame frame = take_frame(&lane->ready);
    lane->bytes -= frame.used - LINK_FRAME_HEADER;
    out->message = frame.message;
    out->data = frame.data;
    out->size = frame.used + CRYPTO_LINK_TAG_SIZE;
    out->messages = frame.messages;
    net_message_truncate(out->message, out->size);
}

/* Takes the next piece of the first frame. False: memory is short. */
static bool take_piece(struct link_lane *lane, struct outgoing *out) {
    struct link_frame *frame = first_frame(&lane->ready);
    size_t whole = frame->used - LINK_FRAME_HEADER;
    size_t size = ord_min(whole - frame->cut, LINK_PIECE_BYTES_MAX);
    out->size = LINK_FRAME_HEADER + LINK_PIECE_HEADER + size + CRYPTO_LINK_TAG_SIZE;
    if (net_message_create(&out->message, &out->data, out->size) != ORD_OK)
        return false;
    out->data[CRYPTO_LINK_HEADER_SIZE] = LINK_PAYLOAD_PIECE;
    uint8_t *at = out->data + LINK_FRAME_HEADER;
    ord_store_u32(at, (uint32_t) whole);
    ord_store_u32(at + 4, (uint32_t) frame->cut);
    memcpy(at + LINK_PIECE_HEADER, frame->data + LINK_FRAME_HEADER + frame->cut, size);
    frame->cut += size;
    if (frame->cut < whole)
        return true;
    out->messages = frame->messages;
    lane->bytes -= whole;
    net_message_destroy(take_frame(&lane->ready).message);
    return true;
}

/*
 * The first lane with a frame that may leave; LINK_LANE_COUNT: none may. Bulk does not pass a vote that is ready and
 * may leave with the next flush only, because a link that is not in use delays the vote by nothing.
 */
static enum link_lane_name next_lane(const struct peer *peer) {
    if (peer->lanes[LINK_LANE_VOTES].ready.count > 0)
        return peer->votes_due ? LINK_LANE_VOTES : LINK_LANE_COUNT;
    return peer->lanes[LINK_LANE_BULK].ready.count > 0 ? LINK_LANE_BULK : LINK_LANE_COUNT;
}

/* True: `out` is the caller's to send, and nobody else sends until under_way is false again. */
static bool take_next(struct peer *peer, struct outgoing *out) {
    bool taken = false;
    pthread_mutex_lock(&peer->lanes_mutex);
    enum link_lane_name name = peer->under_way ? LINK_LANE_COUNT : next_lane(peer);
    if (name != LINK_LANE_COUNT) {
        struct link_lane *lane = &peer->lanes[name];
        *out = (struct outgoing) {.lane = name};
        taken = true;
        if (name == LINK_LANE_BULK && first_frame(&lane->ready)->used > FRAME_CAPACITY)
            taken = take_piece(lane, out);
        else
            take_whole(lane, out);
    }
    if (taken && name == LINK_LANE_VOTES) {
        peer->votes_due = false;
        peer->sent_frames = peer->sent_turn == peer->votes_turn ? peer->sent_frames + 1 : 1;
        peer->sent_turn = peer->votes_turn;
        count_raise(&peer->node->counters.peer_frames_per_turn_max, peer->sent_frames);
    }
    peer->under_way |= taken;
    pthread_mutex_unlock(&peer->lanes_mutex);
    return taken;
}

/* The transport has nothing of ours any more. */
static void end_sending(struct peer *peer, bool lost) {
    pthread_mutex_lock(&peer->lanes_mutex);
    peer->under_way = false;
    if (lost)
        rewind_pieces(peer);
    pthread_mutex_unlock(&peer->lanes_mutex);
}

/* Gives the transport the next frame that may leave. False: there is none, or the transport cannot take it. */
static bool send_next(struct peer *peer) {
    struct node *node = peer->node;
    struct outgoing out;
    if (!peer_ready(peer) || !take_next(peer, &out))
        return false;
    pthread_mutex_lock(&peer->mutex);
    enum ord_err err = crypto_link_seal(&peer->link, out.data, out.size);
    pthread_mutex_unlock(&peer->mutex);
    /* It counts before it leaves: once it is gone, another thread may send the next one. */
    atomic_fetch_add(&node->counters.frames_sent, 1);
    atomic_fetch_add(&node->counters.frame_bytes_sent, out.size);
    if (err != ORD_OK)
        net_message_destroy(out.message);
    else
        err = net_push_send(peer->push, out.message);
    if (err == ORD_OK)
        return true;
    atomic_fetch_sub(&node->counters.frames_sent, 1);
    atomic_fetch_sub(&node->counters.frame_bytes_sent, out.size);
    count_dropped(node, out.lane, out.messages);
    end_sending(peer, true);
    return false;
}

/*
 * The transport is done with a message. It gets the next frame at once, so that bulk does not wait for the loop. If it
 * gets none, the loop has its turn: its flush sends what may leave only then.
 */
static void on_sent(void *context, enum ord_err result) {
    struct peer *peer = context;
    end_sending(peer, result != ORD_OK);
    if (result != ORD_OK || atomic_load(&peer->hello_due) || !peer_confirmed(peer) || !send_next(peer))
        inbox_wake(&peer->node->inbox);
}

static void on_link(void *context, bool up) {
    struct peer *peer = context;
    if (up) {
        atomic_store(&peer->heard_ms, node_clock_ms());
        atomic_store(&peer->hello_due, true);
    }
    pthread_mutex_lock(&peer->lanes_mutex);
    rewind_pieces(peer);
    pthread_mutex_unlock(&peer->lanes_mutex);
    atomic_store(&peer->up, up);
    node_log(NODE_LOG_INFO, up ? "link_up" : "link_down", "peer=%" PRIu32, peer->id);
    inbox_wake(&peer->node->inbox);
}

static void send_hello(struct node *node, struct peer *peer) {
    struct net_message *message;
    uint8_t *data;
    pthread_mutex_lock(&peer->lanes_mutex);
    bool busy = peer->under_way;
    peer->under_way = true;
    if (!busy)
        rewind_pieces(peer);
    pthread_mutex_unlock(&peer->lanes_mutex);
    if (busy)
        return;
    if (net_message_create(&message, &data, CRYPTO_LINK_HELLO_SIZE) != ORD_OK) {
        end_sending(peer, false);
        return;
    }
    pthread_mutex_lock(&peer->mutex);
    crypto_link_hello(&peer->link, data);
    pthread_mutex_unlock(&peer->mutex);
    peer->hello_sent_ms = node->time.now_ms;
    atomic_store(&peer->hello_due, false);
    if (net_push_send(peer->push, message) != ORD_OK)
        end_sending(peer, true);
}

static void flush_peer(struct node *node, struct peer *peer) {
    if (!atomic_load(&peer->up)) {
        drop_lanes(node, peer);
        return;
    }
    pthread_mutex_lock(&peer->lanes_mutex);
    for (enum link_lane_name lane = 0; lane < LINK_LANE_COUNT; lane++)
        ready_held(&peer->lanes[lane], node->links.durable_turn);
    peer->votes_due = peer->lanes[LINK_LANE_VOTES].ready.count > 0;
    peer->votes_turn = node->turn;
    pthread_mutex_unlock(&peer->lanes_mutex);
    if (atomic_load(&peer->hello_due) ||
        (!peer_confirmed(peer) && node->time.now_ms >= peer->hello_sent_ms + HELLO_INTERVAL_MS))
        send_hello(node, peer);
    else
        (void) send_next(peer);
}

void links_flush(struct node *node, uint64_t durable_turn) {
    node->links.durable_turn = durable_turn;
    for (uint32_t i = 0; i < node->links.count; i++)
        if (i != node->config.replica)
            flush_peer(node, &node->links.peers[i]);
}

bool links_idle(struct node *node) {
    for (uint32_t i = 0; i < node->links.count; i++) {
        struct peer *peer = &node->links.peers[i];
        if (i == node->config.replica || !peer_ready(peer))
            continue;
        pthread_mutex_lock(&peer->lanes_mutex);
        bool idle = !peer->under_way;
        for (enum link_lane_name lane = 0; lane < LINK_LANE_COUNT; lane++)
            idle = idle && peer->lanes[lane].ready.count == 0 && peer->lanes[lane].held.count == 0;
        pthread_mutex_unlock(&peer->lanes_mutex);
        if (!idle)
            return false;
    }
    return true;
}

/*
 * A network cut that drops every packet ends no connection. TCP then retries at ever longer intervals, so when the
 * network is whole again, a link could stay dead for as long as the cut lasted. So a silent link is dropped and dialled
 * again. TCP needs both directions, so the peer's link to us suffers together with ours. On a slow link a frame may
 * take longer than the limit, so each drop doubles the limit.
 */
void links_tick(struct node *node) {
    const uint64_t now_ms = node->time.now_ms;
    /* If this process was itself paused, its silence timers prove nothing; they start again. */
    bool absent = now_ms >= node->links.looked_ms + SILENT_MS / 2;
    node->links.looked_ms = now_ms;
    for (uint32_t i = 0; i < node->links.count; i++) {
        struct peer *peer = &node->links.peers[i];
        if (i == node->config.replica || !atomic_load(&peer->up))
            continue;
        if (now_ms >= peer->silent_ms + SILENT_CALM_MS)
            peer->silences = 0;
        uint32_t doublings = peer->silences < SILENT_DOUBLINGS_MAX ? peer->silences : SILENT_DOUBLINGS_MAX;
        if (absent) {
            atomic_store(&peer->heard_ms, now_ms);
        } else if (now_ms >= count_get(&peer->heard_ms) + ((uint64_t) SILENT_MS << doublings)) {
            node_log(NODE_LOG_WARN, "link_silent", "peer=%" PRIu32, peer->id);
            count_add(&node->counters.links_silent, 1);
            peer->silences++;
            peer->silent_ms = now_ms;
            atomic_store(&peer->heard_ms, now_ms);
            net_push_redial(peer->push);
        }
    }
}

/* ---- open and close ---- */

size_t links_message_bytes_max(const struct links *links) {
    return links->frame_bytes_max - LINK_FRAME_HEADER - CRYPTO_LINK_TAG_SIZE - LINK_MESSAGE_HEADER;
}

/*
 * A queue that cannot take the largest frame would drop it each time that it is sent. Such a configuration is refused.
 */
enum ord_err links_init(struct node *node, size_t message_bytes_max, char *why, size_t why_size) {
    struct links *links = &node->links;
    links->frame_bytes_max = message_bytes_max + LINK_FRAME_SLACK;
    links->protocol = node->seam.protocol != NULL ? node->seam.protocol : replica_protocol(node->channel_config);
    links->lane_bytes_max[LINK_LANE_VOTES] = ord_max(2 * (uint64_t) links->frame_bytes_max, LINK_VOTES_BYTES_MIN);
    uint64_t bulk_bytes_max = node->config.link_queue_bytes_max;
    if (bulk_bytes_max == 0)
        bulk_bytes_max = ord_max(2 * (uint64_t) links->frame_bytes_max, LINK_QUEUE_BYTES_DEFAULT);
    links->lane_bytes_max[LINK_LANE_BULK] = bulk_bytes_max;
    if (bulk_bytes_max < links->frame_bytes_max)
        return node_explain(why, why_size, ORD_ERR_INVALID,
                            "link_queue_bytes_max = %" PRIu64
                            ", but a message of channel %s between replicas takes up to %zu "
                            "bytes (window, batch_bytes_max and preferred_max_bytes decide)",
                            bulk_bytes_max, node->channel_config->name, links->frame_bytes_max);
    links->peers = calloc(node->channel_config->replica_count, sizeof(*links->peers));
    if (links->peers == NULL)
        return ORD_ERR_NO_MEMORY;
    links->count = node->channel_config->replica_count;
    for (uint32_t i = 0; i < links->count; i++) {
        struct peer *peer = &links->peers[i];
        peer->node = node;
        peer->id = i;
        pthread_mutex_init(&peer->mutex, NULL);
        pthread_mutex_init(&peer->lanes_mutex, NULL);
    }
    return ORD_OK;
}

void links_deinit(struct node *node) {
    struct links *links = &node->links;
    for (uint32_t i = 0; i < links->count; i++) {
        struct peer *peer = &links->peers[i];
        links_drop_part(peer);
        crypto_wipe(&peer->link, sizeof(peer->link));
        pthread_mutex_destroy(&peer->mutex);
        pthread_mutex_destroy(&peer->lanes_mutex);
    }
    free(links->peers);
}

static enum ord_err open_peer(struct node *node, struct peer *peer) {
    const struct channel_replica *to = &node->channel_config->replicas[peer->id];
    struct node_dial dial;
    struct ord_hash nonce;
    enum ord_err err = node_dial_init(&dial, node->channel_config, peer->id, node->tls_cert, node->tls_key);
    if (err == ORD_OK)
        err = crypto_random(nonce.bytes, sizeof(nonce.bytes));
    if (err == ORD_OK)
        err = crypto_link_init(&peer->link, node->config.replica, peer->id, &node->genesis_hash, &node->key, &to->key,
                               &nonce);
    if (err != ORD_OK)
        return err;
    const struct net_push_options options = {
        .host = to->host,
        .port = to->replica_port,
        .tls = &dial.tls,
        .rules = dial.rules,
        .reconnect_ms_min = RECONNECT_MS_MIN,
        .reconnect_ms_max = RECONNECT_MS_MAX,
        .on_link = on_link,
        .on_sent = on_sent,
        .on_failure = handshakes_on_link,
        .context = peer,
    };
    return net_push_open(&peer->push, &options);
}

enum ord_err links_open(struct node *node, char *why, size_t why_size) {
    const struct net_tls tls = {node->tls_ca, node->tls_cert, node->tls_key};
    enum ord_err err = ORD_OK;
    /* Keys come first: a frame may arrive as soon as the listener is open. */
    for (uint32_t i = 0; err == ORD_OK && i < node->links.count; i++)
        if (i != node->config.replica)
            err = open_peer(node, &node->links.peers[i]);
    if (err != ORD_OK)
        return node_explain(why, why_size, err, "cannot set up the links to the other replicas: %s", ord_err_text(err));
    const struct channel_replica *self = &node->channel_config->replicas[node->config.replica];
    const struct net_pull_options options = {
        .host = node->config.replica_listen_host,
        .port = node->config.replica_listen_port != 0 ? node->config.replica_listen_port : self->replica_port,
        .tls = &tls,
        .rules = {.roles = NODE_REPLICA_PORT_ROLES},
        .message_bytes_max = node->links.frame_bytes_max,
        .probe_interval_ms = PROBE_INTERVAL_MS,
        .probes_missed_max = PROBES_MISSED_MAX,
        .on_message = links_on_message,
        .on_failure = handshakes_on_replica,
        .context = node,
    };
    err = net_pull_open(&node->links.pull, &options);
    if (err != ORD_OK)
        return node_explain(why, why_size, err, "cannot listen for replicas on %s port %u: %s", options.host,
                            options.port, ord_err_text(err));
    return ORD_OK;
}

void links_close(struct node *node) {
    struct links *links = &node->links;
    net_pull_close(links->pull);
    for (uint32_t i = 0; i < links->count; i++) {
        struct peer *peer = &links->peers[i];
        net_push_close(peer->push);
        atomic_store(&peer->up, false);
        drop_lanes(node, peer);
    }
}
