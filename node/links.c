/*
 * Links to the other replicas: one PUSH dialer per peer, one PULL listener for all, every frame under the link authenticator.
 *
 * What one turn has for one peer goes into one frame. While the transport has a frame under way, later turns fill the next
 * one, so a slow peer gets fewer and fuller frames; at LINK_FRAMES_MAX frames or link_queue_bytes_max its messages are dropped, and
 * the core's retransmission heals that. Nothing is kept for a peer that is not there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"
#include "node/log.h"
#include "node/replica_internal.h"

enum {
    FRAME_CAPACITY = 64 << 10, /* of a frame, unless one message needs more */
    HELLO_INTERVAL_MS = 250,
    RECONNECT_MS_MIN = 50,
    RECONNECT_MS_MAX = 500,
    SILENT_MS = 3000, /* whose core runs says something every second */
    SILENT_DOUBLINGS_MAX = 4,
    SILENT_CALM_MS = 120000, /* without such a silence: the next one is a first one again */
    PROBE_INTERVAL_MS = 1000,
    PROBES_MISSED_MAX = 3,
};

/* ---- in ---- */

void frame_hold(struct frame *frame) {
    frame->references++;
}

void frame_release(struct frame *frame) {
    if (--frame->references > 0)
        return;
    atomic_fetch_sub(&frame->peer->inbound_bytes, net_message_bytes(frame->message).size);
    net_message_destroy(frame->message);
    free(frame);
}

static void message_received(struct replica *replica, struct frame *frame, uint8_t kind, struct ord_span bytes) {
    switch (kind) {
    case LINK_CORE:
        link_core_received(replica, frame, bytes);
        break;
    case LINK_ATTESTATION:
        attest_received(replica, frame, bytes);
        break;
    case LINK_CERTIFICATE:
        attest_certificate_received(replica, frame, bytes);
        break;
    case LINK_FORWARD:
        admission_forwarded(replica, frame, bytes);
        break;
    case LINK_SYNC_REQUEST:
        sync_request_received(replica, frame->peer, bytes);
        break;
    case LINK_SYNC_BLOCKS:
        sync_blocks_received(replica, frame->peer, bytes);
        break;
    case LINK_SYNC_TAIL:
        sync_tail_received(replica, frame->peer, bytes);
        break;
    default:
        count_add(&replica->counters.messages_refused, 1);
        break;
    }
}

static void frame_received(struct replica *replica, struct work *work) {
    struct frame *frame = (struct frame *) work;
    count_add(&replica->counters.frames_received, 1);
    struct ord_reader reader = ord_reader_of(frame->payload);
    while (ord_reader_left(&reader) > 0) {
        uint8_t kind = ord_read_u8(&reader);
        struct ord_span bytes = ord_read_string(&reader, SIZE_MAX);
        if (reader.failed) {
            count_add(&replica->counters.messages_refused, 1);
            break;
        }
        message_received(replica, frame, kind, bytes);
    }
    frame_release(frame);
}

/* In a thread of the transport. Gives the payload when there is one to handle. */
static bool open_frame(struct replica *replica, struct peer **out, struct ord_span *payload, struct ord_span bytes) {
    ord_node_id from;
    if (crypto_link_claimed_sender(&from, bytes) != ORD_OK || from >= replica->peer_count ||
        from == replica->config.replica)
        return false;
    struct peer *peer = &replica->peers[from];
    enum crypto_link_event event;
    pthread_mutex_lock(&peer->mutex);
    enum ord_err err = crypto_link_open(&peer->link, &event, payload, bytes);
    pthread_mutex_unlock(&peer->mutex);
    if (err != ORD_OK)
        return false;
    atomic_store(&peer->heard_ms, node_clock_ms());
    if (event == CRYPTO_LINK_HELLO_REPLY)
        atomic_store(&peer->hello_due, true);
    if (event != CRYPTO_LINK_DATA) {
        inbox_wake(&replica->inbox);
        *payload = ord_span_of(NULL, 0);
    }
    *out = peer;
    return true;
}

void links_on_message(void *context, struct net_message *message) {
    struct replica *replica = context;
    struct ord_span bytes = net_message_bytes(message);
    struct ord_span payload;
    struct peer *peer;
    if (!open_frame(replica, &peer, &payload, bytes)) {
        count_add(&replica->counters.frames_refused, 1);
        net_message_destroy(message);
        return;
    }
    struct frame *frame = NULL;
    if (payload.size > 0) {
        /* One peer's frames may take so much memory and no more; the sender's retransmission brings back what is dropped. */
        if (count_get(&peer->inbound_bytes) + bytes.size > replica->config.link_queue_bytes_max)
            count_add(&replica->counters.frames_over_quota, 1);
        else
            frame = calloc(1, sizeof(*frame));
    }
    if (frame == NULL) {
        net_message_destroy(message);
        return;
    }
    atomic_fetch_add(&peer->inbound_bytes, bytes.size);
    frame->peer = peer;
    frame->message = message;
    frame->payload = payload;
    frame->references = 1;
    (void) inbox_post(&replica->inbox, &frame->work, frame_received);
}

/* ---- out ---- */

static void drop_queue(struct replica *replica, struct peer *peer) {
    for (; peer->frame_count > 0; peer->frame_count--) {
        struct link_frame *frame = &peer->frames[peer->frame_first];
        net_message_destroy(frame->message);
        memset(frame, 0, sizeof(*frame));
        peer->frame_first = (peer->frame_first + 1) % LINK_FRAMES_MAX;
        count_add(&replica->counters.link_messages_dropped, 1);
    }
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

/* Has the peer shown that it can open what we seal now? Until then hellos go on, beside the frames. */
static bool peer_confirmed(struct peer *peer) {
    pthread_mutex_lock(&peer->mutex);
    bool confirmed = crypto_link_confirmed(&peer->link);
    pthread_mutex_unlock(&peer->mutex);
    return confirmed;
}

ord_replica_set links_ready(struct replica *replica) {
    ord_replica_set set = 0;
    for (uint32_t i = 0; i < replica->peer_count; i++)
        if (i != replica->config.replica && peer_ready(&replica->peers[i]))
            set |= ord_replica_bit(i);
    return set;
}

/* The frame that has room for `size` more bytes; NULL when the peer's bounds are reached. */
static struct link_frame *frame_with_room(struct replica *replica, struct peer *peer, size_t size) {
    if (peer->frame_count > 0) {
        uint32_t last = (peer->frame_first + peer->frame_count - 1) % LINK_FRAMES_MAX;
        struct link_frame *frame = &peer->frames[last];
        if (frame->capacity - frame->used >= size)
            return frame;
    }
    size_t capacity = CRYPTO_LINK_HEADER_SIZE + size;
    if (capacity < FRAME_CAPACITY)
        capacity = FRAME_CAPACITY;
    if (peer->frame_count == LINK_FRAMES_MAX || peer->queued_bytes + size > replica->config.link_queue_bytes_max)
        return NULL;
    struct link_frame *frame = &peer->frames[(peer->frame_first + peer->frame_count) % LINK_FRAMES_MAX];
    if (net_message_create(&frame->message, &frame->data, capacity + CRYPTO_LINK_TAG_SIZE) != ORD_OK)
        return NULL;
    frame->used = CRYPTO_LINK_HEADER_SIZE;
    frame->capacity = capacity;
    peer->frame_count++;
    return frame;
}

static void send_to(struct replica *replica, struct peer *peer, enum link_kind kind, const struct ord_span *parts,
                    size_t part_count, size_t size) {
    struct link_frame *frame = peer_ready(peer) ? frame_with_room(replica, peer, LINK_MESSAGE_HEADER + size) : NULL;
    if (frame == NULL) {
        count_add(&replica->counters.link_messages_dropped, 1);
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
    const struct replica_seam *seam = &replica->seam;
    if (seam->outgoing != NULL) {
        if (!seam->outgoing(seam->context, peer->id, frame->data + frame->used, out - size, &size))
            return;
        ord_store_u32(frame->data + frame->used + 1, (uint32_t) size);
    }
    frame->used += LINK_MESSAGE_HEADER + size;
    peer->queued_bytes += LINK_MESSAGE_HEADER + size;
}

void links_send(struct replica *replica, ord_replica_set to, enum link_kind kind, const struct ord_span *parts,
                size_t part_count) {
    size_t size = 0;
    for (size_t i = 0; i < part_count; i++)
        size += parts[i].size;
    ORD_ASSERT(size + CRYPTO_LINK_OVERHEAD + LINK_MESSAGE_HEADER <= replica->frame_bytes_max);
    for (uint32_t i = 0; i < replica->peer_count; i++)
        if ((to & ord_replica_bit(i)) != 0 && i != replica->config.replica)
            send_to(replica, &replica->peers[i], kind, parts, part_count, size);
}

/* The transport is done with a message: the next may go, at the flush of the turn that this begins. */
static void on_sent(void *context, enum ord_err result) {
    (void) result;
    struct peer *peer = context;
    atomic_store(&peer->sent, true);
    inbox_wake(&peer->replica->inbox);
}

static void on_link(void *context, bool up) {
    struct peer *peer = context;
    if (up) {
        atomic_store(&peer->heard_ms, node_clock_ms());
        atomic_store(&peer->hello_due, true);
    }
    atomic_store(&peer->up, up);
    node_log(NODE_LOG_INFO, up ? "link_up" : "link_down", "peer=%" PRIu32, peer->id);
    inbox_wake(&peer->replica->inbox);
}

static void send_hello(struct replica *replica, struct peer *peer) {
    struct net_message *message;
    uint8_t *data;
    if (net_message_create(&message, &data, CRYPTO_LINK_HELLO_SIZE) != ORD_OK)
        return;
    pthread_mutex_lock(&peer->mutex);
    crypto_link_hello(&peer->link, data);
    pthread_mutex_unlock(&peer->mutex);
    peer->hello_sent_ms = replica->now_ms;
    atomic_store(&peer->hello_due, false);
    peer->under_way = net_push_send(peer->push, message) == ORD_OK;
}

static void send_frame(struct replica *replica, struct peer *peer) {
    struct link_frame frame = peer->frames[peer->frame_first];
    memset(&peer->frames[peer->frame_first], 0, sizeof(frame));
    peer->frame_first = (peer->frame_first + 1) % LINK_FRAMES_MAX;
    peer->frame_count--;
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
    uint64_t turn = count_get(&replica->counters.turns);
    peer->sent_frames = peer->sent_turn == turn ? peer->sent_frames + 1 : 1;
    peer->sent_turn = turn;
    if (peer->sent_frames > count_get(&replica->counters.peer_frames_per_turn_max))
        atomic_store(&replica->counters.peer_frames_per_turn_max, peer->sent_frames);
    count_add(&replica->counters.frames_sent, 1);
    count_add(&replica->counters.frame_bytes_sent, size);
}

void links_flush(struct replica *replica) {
    for (uint32_t i = 0; i < replica->peer_count; i++) {
        struct peer *peer = &replica->peers[i];
        if (i == replica->config.replica)
            continue;
        if (atomic_exchange(&peer->sent, false)) /* one at a time is under way, so it was that one */
            peer->under_way = false;
        if (!atomic_load(&peer->up)) {
            drop_queue(replica, peer);
            continue;
        }
        if (peer->under_way)
            continue;
        bool ready = peer_ready(peer);
        bool hello = atomic_load(&peer->hello_due) ||
                     (!peer_confirmed(peer) && replica->now_ms >= peer->hello_sent_ms + HELLO_INTERVAL_MS);
        if (hello)
            send_hello(replica, peer);
        else if (ready && peer->frame_count > 0)
            send_frame(replica, peer);
    }
}

/*
 * A cut that drops everything ends no connection, and TCP tries it again at ever longer intervals: when the network is whole again, a
 * link could stay dead for as long as the cut has lasted. What one link suffers the other direction's does too, for TCP needs both.
 * A frame can take longer than that on a slow link, and in the other direction, too: so the patience doubles with each time.
 */
void links_tick(struct replica *replica) {
    /* Who was frozen itself has no reason to think so of others. */
    bool absent = replica->now_ms >= replica->links_looked_ms + SILENT_MS / 2;
    replica->links_looked_ms = replica->now_ms;
    for (uint32_t i = 0; i < replica->peer_count; i++) {
        struct peer *peer = &replica->peers[i];
        if (i == replica->config.replica || !atomic_load(&peer->up))
            continue;
        if (replica->now_ms >= peer->silent_ms + SILENT_CALM_MS)
            peer->silences = 0;
        uint32_t doublings = peer->silences < SILENT_DOUBLINGS_MAX ? peer->silences : SILENT_DOUBLINGS_MAX;
        if (absent) {
            atomic_store(&peer->heard_ms, replica->now_ms);
        } else if (replica->now_ms >= count_get(&peer->heard_ms) + ((uint64_t) SILENT_MS << doublings)) {
            node_log(NODE_LOG_WARN, "link_silent", "peer=%" PRIu32, peer->id);
            count_add(&replica->counters.links_silent, 1);
            peer->silences++;
            peer->silent_ms = replica->now_ms;
            atomic_store(&peer->heard_ms, replica->now_ms);
            net_push_redial(peer->push);
        }
    }
}

/* ---- open and close ---- */

static enum ord_err open_peer(struct replica *replica, struct peer *peer, const struct net_tls *tls) {
    const struct channel_replica *to = &replica->channel_config->replicas[peer->id];
    struct ord_hash nonce;
    enum ord_err err = crypto_random(nonce.bytes, sizeof(nonce.bytes));
    if (err == ORD_OK)
        err = crypto_link_init(&peer->link, replica->config.replica, peer->id, &replica->genesis_hash, &replica->key,
                               &to->key, &nonce);
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

enum ord_err links_open(struct replica *replica, char *why, size_t why_size) {
    const struct net_tls tls = {replica->tls_ca, replica->tls_cert, replica->tls_key};
    enum ord_err err = ORD_OK;
    for (uint32_t i = 0; i < replica->peer_count; i++)
        pthread_mutex_init(&replica->peers[i].mutex, NULL);
    /* Keys first: a frame may come as soon as the listener is open. */
    for (uint32_t i = 0; err == ORD_OK && i < replica->peer_count; i++) {
        struct peer *peer = &replica->peers[i];
        peer->replica = replica;
        peer->id = i;
        if (i != replica->config.replica)
            err = open_peer(replica, peer, &tls);
    }
    if (err != ORD_OK) {
        snprintf(why, why_size, "cannot set up the links to the other replicas: %s", ord_err_text(err));
        return err;
    }
    const struct channel_replica *self = &replica->channel_config->replicas[replica->config.replica];
    uint16_t port = replica->config.replica_listen_port != 0 ? replica->config.replica_listen_port : self->replica_port;
    const struct net_pull_options options = {
        .host = replica->config.replica_listen_host[0] != 0 ? replica->config.replica_listen_host : self->host,
        .port = port,
        .tls = &tls,
        .message_bytes_max = replica->frame_bytes_max,
        .probe_interval_ms = PROBE_INTERVAL_MS,
        .probes_missed_max = PROBES_MISSED_MAX,
        .on_message = links_on_message,
        .context = replica,
    };
    err = net_pull_open(&replica->pull, &options);
    if (err != ORD_OK)
        snprintf(why, why_size, "cannot listen for replicas on %s port %u: %s", options.host, port, ord_err_text(err));
    return err;
}

/* Callbacks stop here; work that they posted is still in the inbox. */
void links_close(struct replica *replica) {
    if (replica->pull != NULL)
        net_pull_close(replica->pull);
    replica->pull = NULL;
    for (uint32_t i = 0; replica->peers != NULL && i < replica->peer_count; i++) {
        struct peer *peer = &replica->peers[i];
        if (peer->push != NULL)
            net_push_close(peer->push);
        peer->push = NULL;
        atomic_store(&peer->up, false);
        drop_queue(replica, peer);
    }
}
