/*
 * Links to the other replicas, the incoming side: one PULL listener for all. Frames are opened and pieces put together
 * in the transport's thread; the loop takes the messages.
 *
 * One peer's frames may take lane_bytes_max of memory in each lane, so its bulk keeps none of its votes out. The
 * sender's retransmission brings back what is dropped here.
 */
#include <stdlib.h>
#include <string.h>

#include "node/links.h"
#include "node/node_internal.h"

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
    atomic_fetch_sub(&frame->peer->inbound_bytes[frame->lane], net_message_bytes(frame->message).size);
    net_message_destroy(frame->message);
    free(frame);
}

uint64_t links_inbound_bytes(struct peer *peer) {
    return count_get(&peer->inbound_bytes[LINK_LANE_VOTES]) + count_get(&peer->inbound_bytes[LINK_LANE_BULK]);
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

/* True if `size` bytes more of this peer's may be kept in this lane. */
static bool has_quota(struct node *node, struct peer *peer, enum link_lane_name lane, size_t size) {
    if (count_get(&peer->inbound_bytes[lane]) + size <= node->links.lane_bytes_max[lane])
        return true;
    count_add(lane == LINK_LANE_VOTES ? &node->counters.votes_over_quota : &node->counters.bulk_over_quota, 1);
    return false;
}

/*
 * Gives the messages to the loop. Takes ownership of `message`, whose bytes count as the peer's already. `messages` are
 * in it.
 */
static void post(struct node *node, struct peer *peer, enum link_lane_name lane, struct net_message *message,
                 struct ord_reader messages) {
    struct frame *frame = malloc(sizeof(*frame));
    if (frame == NULL) {
        atomic_fetch_sub(&peer->inbound_bytes[lane], net_message_bytes(message).size);
        net_message_destroy(message);
        return;
    }
    *frame = (struct frame) {.peer = peer, .lane = lane, .message = message, .unread = messages, .references = 1};
    /* This cannot fail: the inbox closes after the links. */
    (void) inbox_post(&node->inbox, &frame->work, WORK_FRAME);
}

/* ---- pieces ---- */

void links_drop_part(struct peer *peer) {
    if (peer->part.message == NULL)
        return;
    atomic_fetch_sub(&peer->inbound_bytes[LINK_LANE_BULK], peer->part.size);
    net_message_destroy(peer->part.message);
    peer->part = (struct link_part) {.message = NULL};
}

/* Begins a part of `size` bytes in place of the one that there may be. Without quota or memory there is none. */
static void begin_part(struct node *node, struct peer *peer, size_t size) {
    struct link_part *part = &peer->part;
    links_drop_part(peer);
    if (!has_quota(node, peer, LINK_LANE_BULK, size) || net_message_create(&part->message, &part->data, size) != ORD_OK)
        return;
    part->size = size;
    part->filled = 0;
    atomic_fetch_add(&peer->inbound_bytes[LINK_LANE_BULK], size);
}

/*
 * Takes what follows LINK_PAYLOAD_PIECE. The pieces of one part come in order and without a gap, because the link loses
 * nothing while it is up, and the sender begins again after it was down. A piece that does not follow the last one is
 * dropped: its part had no room, or the link came up anew.
 */
static void take_piece(struct node *node, struct peer *peer, struct ord_reader piece) {
    struct link_part *part = &peer->part;
    size_t whole = ord_read_u32(&piece);
    size_t offset = ord_read_u32(&piece);
    size_t size = ord_reader_left(&piece);
    size_t whole_max = node->links.frame_bytes_max - LINK_FRAME_HEADER - CRYPTO_LINK_TAG_SIZE;
    if (piece.failed || size == 0 || whole > whole_max || offset > whole || size > whole - offset) {
        count_add(&node->counters.frames_refused, 1);
        return;
    }
    if (offset == 0)
        begin_part(node, peer, whole);
    if (part->message == NULL || part->size != whole || part->filled != offset) {
        links_drop_part(peer);
        count_add(&node->counters.link_pieces_dropped, 1);
        return;
    }
    ord_read_bytes(&piece, part->data + offset, size);
    part->filled += size;
    if (part->filled < part->size)
        return;
    struct net_message *message = part->message;
    *part = (struct link_part) {.message = NULL};
    post(node, peer, LINK_LANE_BULK, message, ord_reader_of(net_message_bytes(message)));
}

/* ---- frames ---- */

/*
 * Counts a frame that did not open. An honest peer's frame may be late: it was sealed for a session that one of the two
 * has left, as after a cut or a restart. Nothing else is sent by an honest replica.
 */
static struct peer *not_opened(struct node *node, enum ord_err err) {
    bool late = err == ORD_ERR_STALE || err == ORD_ERR_WRONG_STATE;
    count_add(late ? &node->counters.frames_late : &node->counters.frames_refused, 1);
    return NULL;
}

/*
 * Gives the sender of a frame. NULL: the frame did not open, and is counted. `payload` gets the payload; it is empty
 * for a hello. A thread of the transport calls this.
 */
static struct peer *open_frame(struct node *node, struct ord_span *payload, struct ord_span bytes) {
    ord_node_id from;
    if (crypto_link_claimed_sender(&from, bytes) != ORD_OK || from >= node->links.count || from == node->config.replica)
        return not_opened(node, ORD_ERR_INVALID);
    struct peer *peer = &node->links.peers[from];
    enum crypto_link_event event;
    pthread_mutex_lock(&peer->mutex);
    enum ord_err err = crypto_link_open(&peer->link, &event, payload, bytes);
    pthread_mutex_unlock(&peer->mutex);
    if (err != ORD_OK)
        return not_opened(node, err);
    atomic_store(&peer->heard_ms, node_clock_ms());
    if (event == CRYPTO_LINK_HELLO_REPLY)
        atomic_store(&peer->hello_due, true);
    if (event != CRYPTO_LINK_DATA) {
        /* A link that comes up begins with a hello, and its sender begins its part again. */
        links_drop_part(peer);
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
    if (peer == NULL || payload.size == 0) {
        net_message_destroy(message);
        return;
    }
    struct ord_reader reader = ord_reader_of(payload);
    uint8_t type = ord_read_u8(&reader);
    if (type == LINK_PAYLOAD_VOTES || type == LINK_PAYLOAD_BULK) {
        enum link_lane_name lane = type == LINK_PAYLOAD_VOTES ? LINK_LANE_VOTES : LINK_LANE_BULK;
        if (has_quota(node, peer, lane, bytes.size)) {
            atomic_fetch_add(&peer->inbound_bytes[lane], bytes.size);
            post(node, peer, lane, message, reader);
            return;
        }
    } else if (type == LINK_PAYLOAD_PIECE) {
        take_piece(node, peer, reader);
    } else {
        count_add(&node->counters.frames_refused, 1);
    }
    net_message_destroy(message);
}
