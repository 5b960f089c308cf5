/*
 * Links to the other replicas: one PUSH dialer for each peer, and one PULL listener for all. The link authenticator
 * covers every frame.
 *
 * One turn's messages to one peer go into at most two frames. One has the messages that depend on nothing, and leaves
 * before the commit. The other has those that had to wait for the commit. While the transport has a frame under way,
 * later turns fill the next one, so a slow peer gets fewer and fuller frames. At LINK_FRAMES_MAX frames or
 * link_queue_bytes_max, messages to that peer are dropped, and the core's retransmission repairs that. Nothing is kept
 * for a peer that is not connected.
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
    /* Bytes of a frame. A single message that needs more gets more. */
    FRAME_CAPACITY = 64 << 10,
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

/* ---- in ---- */

void links_hold(void *context, void *owner) {
    (void) context;
    struct frame *frame = owner;
    frame->references++;
}

void links_release(void *context, void *owner) {
    (void) context;
    struct frame *frame = owner;
    if (--frame->references > 0)
        return;
    atomic_fetch_sub(&frame->peer->inbound_bytes, net_message_bytes(frame->message).size);
    net_message_destroy(frame->message);
    free(frame);
}

bool links_next(struct node *node, struct replica_input *out, struct frame *frame) {
    if (frame->unread.failed || ord_reader_left(&frame->unread) == 0)
        return false;
    uint8_t kind = ord_read_u8(&frame->unread);
    struct ord_span bytes = ord_read_string(&frame->unread, SIZE_MAX);
    if (frame->unread.failed) {
        count_add(&node->counters.frames_refused, 1);
        return false;
    }
    *out = (struct replica_input) {
        .type = REPLICA_INPUT_MESSAGE,
        .message = {.from = frame->peer->id, .kind = kind, .bytes = bytes, .owner = frame},
    };
    return true;
}

/*
 * Gives the sender of a frame. NULL: the frame is refused. `payload` gets the messages; it is empty for a hello. A
 * thread of the transport calls this.
 */
static struct peer *open_frame(struct node *node, struct ord_span *payload, struct ord_span bytes) {
    ord_node_id from;
    if (crypto_link_claimed_sender(&from, bytes) != ORD_OK || from >= node->links.count || from == node->config.replica)
        return NULL;
    struct peer *peer = &node->links.peers[from];
    enum crypto_link_event event;
    pthread_mutex_lock(&peer->mutex);
    enum ord_err err = crypto_link_open(&peer->link, &event, payload, bytes);
    pthread_mutex_unlock(&peer->mutex);
    if (err != ORD_OK)
        return NULL;
    atomic_store(&peer->heard_ms, node_clock_ms());
    if (event == CRYPTO_LINK_HELLO_REPLY)
        atomic_store(&peer->hello_due, true);
    if (event != CRYPTO_LINK_DATA) {
        inbox_wake(&node->inbox);
        *payload = ord_span_of(NULL, 0);
    }
    return peer;
}

void links_on_message(void *context, struct net_message *message) {
    struct node *node = context;
    struct ord_span bytes = net_message_bytes(message);
    struct ord_span payload;
    struct peer *peer = open_frame(node, &payload, bytes);
    struct frame *frame = NULL;
    /* One peer's frames may take this much memory. The sender's retransmission brings back what is dropped. */
    if (peer == NULL)
        count_add(&node->counters.frames_refused, 1);
    else if (payload.size > 0 && count_get(&peer->inbound_bytes) + bytes.size > node->links.queue_bytes_max)
        count_add(&node->counters.frames_over_quota, 1);
    else if (payload.size > 0)
        frame = malloc(sizeof(*frame));
    if (frame == NULL) {
        net_message_destroy(message);
        return;
    }
    atomic_fetch_add(&peer->inbound_bytes, bytes.size);
    *frame = (struct frame) {.peer = peer, .message = message, .unread = ord_reader_of(payload), .references = 1};
    /* This cannot fail: the inbox closes after the links. */
    (void) inbox_post(&node->inbox, &frame->work, WORK_FRAME);
}

/* ---- out ---- */

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

static void drop_frames(struct node *node, struct link_queue *queue) {
    while (queue->count > 0) {
        net_message_destroy(take_frame(queue).message);
        count_add(&node->counters.link_messages_dropped, 1);
    }
}

static void drop_queues(struct node *node, struct peer *peer) {
    drop_frames(node, &peer->ready);
    drop_frames(node, &peer->held);
    peer->queued_bytes = 0;
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

uint64_t links_queued_bytes(const struct links *links) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < links->count; i++)
        bytes += links->peers[i].queued_bytes;
    return bytes;
}

/*
 * Gives a frame of this queue with room for `size` more bytes. NULL: the peer's bounds are reached, or memory is short.
 */
static struct link_frame *frame_with_room(struct node *node, struct peer *peer, struct link_queue *queue, size_t size) {
    if (queue->count > 0 && last_frame(queue)->capacity - last_frame(queue)->used >= size)
        return last_frame(queue);
    size_t capacity = ord_max(CRYPTO_LINK_HEADER_SIZE + size, FRAME_CAPACITY);
    if (peer->ready.count + peer->held.count == LINK_FRAMES_MAX ||
        peer->queued_bytes + size > node->links.queue_bytes_max)
        return NULL;
    struct link_frame frame = {.used = CRYPTO_LINK_HEADER_SIZE, .capacity = capacity};
    if (net_message_create(&frame.message, &frame.data, capacity + CRYPTO_LINK_TAG_SIZE) != ORD_OK)
        return NULL;
    return add_frame(queue, &frame);
}

static void send_to(struct node *node, struct peer *peer, uint64_t turn, enum replica_link kind,
                    const struct ord_span *parts, size_t part_count, size_t size) {
    struct link_queue *queue = turn <= node->links.durable_turn ? &peer->ready : &peer->held;
    struct link_frame *frame = peer_ready(peer) ? frame_with_room(node, peer, queue, LINK_MESSAGE_HEADER + size) : NULL;
    if (frame == NULL) {
        count_add(&node->counters.link_messages_dropped, 1);
        return;
    }
    uint8_t *out = frame->data + frame->used;
    out[0] = (uint8_t) kind;
    ord_store_u32(out + 1, (uint32_t) size);
    out += LINK_MESSAGE_HEADER;
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].size > 0)
            memcpy(out, parts[i].data, parts[i].size);
        out += parts[i].size;
    }
    const struct node_seam *seam = &node->seam;
    if (seam->outgoing != NULL) {
        if (!seam->outgoing(seam->context, peer->id, frame->data + frame->used, out - size, &size))
            return;
        ord_store_u32(frame->data + frame->used + 1, (uint32_t) size);
    }
    frame->used += LINK_MESSAGE_HEADER + size;
    frame->turn = ord_max(frame->turn, turn);
    peer->queued_bytes += LINK_MESSAGE_HEADER + size;
}

void links_send(void *context, uint64_t turn, ord_replica_set to, enum replica_link kind, const struct ord_span *parts,
                size_t part_count) {
    struct node *node = context;
    size_t size = 0;
    for (size_t i = 0; i < part_count; i++)
        size += parts[i].size;
    ORD_ASSERT(size <= links_message_bytes_max(&node->links));
    for (uint32_t i = 0; i < node->links.count; i++)
        if ((to & ord_replica_bit(i)) != 0 && i != node->config.replica)
            send_to(node, &node->links.peers[i], turn, kind, parts, part_count, size);
}

/*
 * Makes the frames of durable turns ready. A frame that fits behind the last ready one joins it, so a slow peer gets
 * fewer and fuller frames.
 */
static void ready_held(struct peer *peer, uint64_t durable_turn) {
    while (peer->held.count > 0 && first_frame(&peer->held)->turn <= durable_turn) {
        struct link_frame frame = take_frame(&peer->held);
        size_t size = frame.used - CRYPTO_LINK_HEADER_SIZE;
        struct link_frame *last = peer->ready.count > 0 ? last_frame(&peer->ready) : NULL;
        if (last == NULL || last->capacity - last->used < size) {
            (void) add_frame(&peer->ready, &frame);
            continue;
        }
        memcpy(last->data + last->used, frame.data + CRYPTO_LINK_HEADER_SIZE, size);
        last->used += size;
        net_message_destroy(frame.message);
    }
}

/* The transport is done with a message. Waking the loop begins a turn, and its flush sends the next one. */
static void on_sent(void *context, enum ord_err result) {
    (void) result;
    struct peer *peer = context;
    atomic_store(&peer->sent, true);
    inbox_wake(&peer->node->inbox);
}

static void on_link(void *context, bool up) {
    struct peer *peer = context;
    if (up) {
        atomic_store(&peer->heard_ms, node_clock_ms());
        atomic_store(&peer->hello_due, true);
    }
    atomic_store(&peer->up, up);
    node_log(NODE_LOG_INFO, up ? "link_up" : "link_down", "peer=%" PRIu32, peer->id);
    inbox_wake(&peer->node->inbox);
}

static void send_hello(struct node *node, struct peer *peer) {
    struct net_message *message;
    uint8_t *data;
    if (net_message_create(&message, &data, CRYPTO_LINK_HELLO_SIZE) != ORD_OK)
        return;
    pthread_mutex_lock(&peer->mutex);
    crypto_link_hello(&peer->link, data);
    pthread_mutex_unlock(&peer->mutex);
    peer->hello_sent_ms = node->time.now_ms;
    atomic_store(&peer->hello_due, false);
    peer->under_way = net_push_send(peer->push, message) == ORD_OK;
}

static void send_frame(struct node *node, struct peer *peer) {
    struct link_frame frame = take_frame(&peer->ready);
    peer->queued_bytes -= frame.used - CRYPTO_LINK_HEADER_SIZE;
    size_t size = frame.used + CRYPTO_LINK_TAG_SIZE;
    net_message_truncate(frame.message, size);
    pthread_mutex_lock(&peer->mutex);
    enum ord_err err = crypto_link_seal(&peer->link, frame.data, size);
    pthread_mutex_unlock(&peer->mutex);
    if (err != ORD_OK) {
        net_message_destroy(frame.message);
        return;
    }
    if (net_push_send(peer->push, frame.message) != ORD_OK)
        return;
    peer->under_way = true;
    peer->sent_frames = peer->sent_turn == node->turn ? peer->sent_frames + 1 : 1;
    peer->sent_turn = node->turn;
    if (peer->sent_frames > count_get(&node->counters.peer_frames_per_turn_max))
        atomic_store(&node->counters.peer_frames_per_turn_max, peer->sent_frames);
    count_add(&node->counters.frames_sent, 1);
    count_add(&node->counters.frame_bytes_sent, size);
}

static void flush_peer(struct node *node, struct peer *peer) {
    /* Only one message is under way at a time, so it was that one. */
    if (atomic_exchange(&peer->sent, false))
        peer->under_way = false;
    if (!atomic_load(&peer->up)) {
        drop_queues(node, peer);
        return;
    }
    ready_held(peer, node->links.durable_turn);
    if (peer->under_way)
        return;
    if (atomic_load(&peer->hello_due) ||
        (!peer_confirmed(peer) && node->time.now_ms >= peer->hello_sent_ms + HELLO_INTERVAL_MS))
        send_hello(node, peer);
    else if (peer->ready.count > 0 && peer_ready(peer))
        send_frame(node, peer);
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
        if ((peer->under_way && !atomic_load(&peer->sent)) || peer->ready.count > 0 || peer->held.count > 0)
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
    return links->frame_bytes_max - CRYPTO_LINK_OVERHEAD - LINK_MESSAGE_HEADER;
}

/*
 * A queue that cannot take the largest frame would drop it each time that it is sent. Such a configuration is refused.
 */
enum ord_err links_init(struct node *node, size_t message_bytes_max, char *why, size_t why_size) {
    struct links *links = &node->links;
    links->frame_bytes_max = message_bytes_max + LINK_FRAME_SLACK;
    links->queue_bytes_max = node->config.link_queue_bytes_max;
    if (links->queue_bytes_max == 0)
        links->queue_bytes_max = ord_max(2 * (uint64_t) links->frame_bytes_max, LINK_QUEUE_BYTES_DEFAULT);
    if (links->queue_bytes_max < links->frame_bytes_max)
        return node_explain(why, why_size, ORD_ERR_INVALID,
                            "link_queue_bytes_max = %" PRIu64
                            ", but a message of channel %s between replicas takes up to %zu "
                            "bytes (window, batch_bytes_max and preferred_max_bytes decide)",
                            links->queue_bytes_max, node->channel_config->name, links->frame_bytes_max);
    links->peers = calloc(node->channel_config->replica_count, sizeof(*links->peers));
    if (links->peers == NULL)
        return ORD_ERR_NO_MEMORY;
    links->count = node->channel_config->replica_count;
    for (uint32_t i = 0; i < links->count; i++) {
        struct peer *peer = &links->peers[i];
        peer->node = node;
        peer->id = i;
        pthread_mutex_init(&peer->mutex, NULL);
    }
    return ORD_OK;
}

void links_deinit(struct node *node) {
    struct links *links = &node->links;
    for (uint32_t i = 0; i < links->count; i++) {
        crypto_wipe(&links->peers[i].link, sizeof(links->peers[i].link));
        pthread_mutex_destroy(&links->peers[i].mutex);
    }
    free(links->peers);
}

static enum ord_err open_peer(struct node *node, struct peer *peer, const struct net_tls *tls) {
    const struct channel_replica *to = &node->channel_config->replicas[peer->id];
    struct ord_hash nonce;
    enum ord_err err = crypto_random(nonce.bytes, sizeof(nonce.bytes));
    if (err == ORD_OK)
        err = crypto_link_init(&peer->link, node->config.replica, peer->id, &node->genesis_hash, &node->key, &to->key,
                               &nonce);
    if (err != ORD_OK)
        return err;
    const struct net_push_options options = {
        .host = to->host,
        .port = to->replica_port,
        .tls = tls,
        .reconnect_ms_min = RECONNECT_MS_MIN,
        .reconnect_ms_max = RECONNECT_MS_MAX,
        .on_link = on_link,
        .on_sent = on_sent,
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
            err = open_peer(node, &node->links.peers[i], &tls);
    if (err != ORD_OK)
        return node_explain(why, why_size, err, "cannot set up the links to the other replicas: %s", ord_err_text(err));
    const struct channel_replica *self = &node->channel_config->replicas[node->config.replica];
    const struct net_pull_options options = {
        .host = node->config.replica_listen_host,
        .port = node->config.replica_listen_port != 0 ? node->config.replica_listen_port : self->replica_port,
        .tls = &tls,
        .message_bytes_max = node->links.frame_bytes_max,
        .probe_interval_ms = PROBE_INTERVAL_MS,
        .probes_missed_max = PROBES_MISSED_MAX,
        .on_message = links_on_message,
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
        drop_queues(node, peer);
    }
}
