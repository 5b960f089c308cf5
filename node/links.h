/*
 * Links to the other replicas (links.c).
 */
#ifndef ORDAIN_NODE_LINKS_H
#define ORDAIN_NODE_LINKS_H

#include "core/codec.h"
#include "crypto/link.h"
#include "net/net.h"
#include "node/counters.h"
#include "node/inbox.h"
#include "replica/host.h"

struct node;

#define LINK_MESSAGE_HEADER 5 /* kind u8, size u32 */
/* A frame takes the longest message that a replica must send, or some small ones, and what the link adds. */
#define LINK_FRAME_SLACK (128u << 10)
#define LINK_FRAMES_MAX  64 /* frames that wait for one peer */

struct link_frame {
    struct net_message *message;
    uint8_t *data;
    size_t used; /* header room included */
    size_t capacity;
    uint64_t turn; /* highest turn of its messages, if it is held */
};

struct link_queue {
    struct link_frame frames[LINK_FRAMES_MAX]; /* ring */
    uint32_t first;
    uint32_t count;
};

struct peer {
    struct node *node;
    ord_node_id id;
    /* Guards `link`, with which the loop thread seals and a receiving thread opens. */
    pthread_mutex_t mutex;
    struct crypto_link link;
    struct net_push *push;
    atomic_bool up;        /* the transport is connected */
    atomic_bool hello_due; /* send a hello at the next flush */
    /* When a frame of this peer was opened last, or the link came up. */
    counter heard_ms;
    /* Times we dropped this link because the peer was silent; 0 again after a calm period. */
    uint32_t silences;
    uint64_t silent_ms; /* time of the last drop */
    /* Frames that the replica has not finished with, and checks of this peer's that the node has. */
    counter inbound_bytes;
    /* A check of this peer's failed: the others are ignored until then. */
    counter bad_until_ms;
    bool under_way;   /* the transport has a message of ours */
    atomic_bool sent; /* the transport is done with it */
    uint64_t hello_sent_ms;
    struct link_queue ready; /* frames that may leave */
    struct link_queue held;  /* frames that leave when their turn is durable; by rising turn */
    uint64_t queued_bytes;   /* of both queues */
    uint64_t sent_turn;      /* turn of the node in which the last frame was sent */
    uint32_t sent_frames;    /* frames that were sent in that turn */
};

struct links {
    struct net_pull *pull; /* NULL: not open, or closed again */
    struct peer *peers;    /* by id; our own is unused */
    uint32_t count;
    size_t frame_bytes_max;
    uint64_t queue_bytes_max; /* of one peer, in each direction */
    uint64_t looked_ms;       /* last links_tick */
    uint64_t durable_turn;    /* of the last flush */
};

/* An opened frame; freed when nobody holds it any more. */
struct frame {
    struct work work;
    struct peer *peer;
    struct net_message *message;
    struct ord_reader unread; /* the messages that the replica has not got yet */
    uint32_t references;
};

/*
 * Sizes and peers, for messages up to `message_bytes_max`. INVALID, with `why`: the configuration has no room for them.
 */
ORD_MUST_USE enum ord_err links_init(struct node *node, size_t message_bytes_max, char *why, size_t why_size);
/* After links_close, when nobody holds a frame any more. */
void links_deinit(struct node *node);
ORD_MUST_USE enum ord_err links_open(struct node *node, char *why, size_t why_size);
/* Callbacks stop here; work that they posted is still in the inbox. */
void links_close(struct node *node);
/* The longest message that links_send takes. */
size_t links_message_bytes_max(const struct links *links);

/* `send` and `connected` of struct replica_host. Messages are dropped where the link is down or its queues are full. */
void links_send(void *context, uint64_t turn, ord_replica_set to, enum replica_link kind, const struct ord_span *parts,
                size_t part_count);
ord_replica_set links_connected(void *context);
/* `hold` and `release` of struct replica_host; the owner is a frame. */
void links_hold(void *context, void *owner);
void links_release(void *context, void *owner);

/* Sends one frame to each peer that can take one, of messages that wait for no turn beyond `durable_turn`. */
void links_flush(struct node *node, uint64_t durable_turn);
/* Several times a second: gives up links whose peer has not been heard for a while, and dials them again. */
void links_tick(struct node *node);
/* The next message of a frame that came. False: there is no more. */
bool links_next(struct node *node, struct replica_input *out, struct frame *frame);
/* Nothing waits to be sent to a peer that is there, and the transport is done with what it got. */
bool links_idle(struct node *node);
uint64_t links_queued_bytes(const struct links *links);
/* A frame as it came. In a thread of the transport, one call at a time; takes the message. `context` is the node. */
void links_on_message(void *context, struct net_message *message);

#endif
