/*
 * Links to the other replicas (links.c): frames out and in.
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
/*
 * A frame has room for the longest message that a replica must send, or for some small ones, and for what the link
 * adds.
 */
#define LINK_FRAME_SLACK (128u << 10)
#define LINK_FRAMES_MAX  64 /* frames that may wait for one peer */

struct link_frame {
    struct net_message *message;
    uint8_t *data;
    size_t used; /* includes the link header */
    size_t capacity;
    /* Highest turn of its messages. A held frame leaves when that turn is durable. */
    uint64_t turn;
};

struct link_queue {
    struct link_frame frames[LINK_FRAMES_MAX]; /* ring */
    uint32_t first;
    uint32_t count;
};

struct peer {
    struct node *node;
    ord_node_id id;
    /* Guards `link`: the loop thread seals with it, and a receiving thread opens with it. */
    pthread_mutex_t mutex;
    struct crypto_link link;
    struct net_push *push;
    atomic_bool up;        /* the transport is connected */
    atomic_bool hello_due; /* send a hello at the next flush */
    /* When the last frame of this peer was opened, or when the link came up if that was later. */
    counter heard_ms;
    /* Times we dropped this link because the peer was silent; 0 again after a calm period. */
    uint32_t silences;
    uint64_t silent_ms; /* time of the last drop */
    /* Bytes of this peer's frames that the replica still uses, and of its checks that the node has. */
    counter inbound_bytes;
    /* A check of this peer's failed. Until this time its other checks come back without being run. */
    counter bad_until_ms;
    bool under_way;   /* the transport has a message of ours */
    atomic_bool sent; /* the transport is done with it */
    uint64_t hello_sent_ms;
    struct link_queue ready; /* frames that may leave */
    /* Frames that leave when their turn is durable, in the order of their turns. */
    struct link_queue held;
    uint64_t queued_bytes; /* in both queues */
    /* The node's turn in which the last frame was sent, and the number of frames sent in that turn. */
    uint64_t sent_turn;
    uint32_t sent_frames;
};

struct links {
    struct net_pull *pull; /* NULL: not open */
    struct peer *peers;    /* by id; our own is unused */
    uint32_t count;
    size_t frame_bytes_max;
    uint64_t queue_bytes_max; /* per peer and direction */
    uint64_t looked_ms;       /* last links_tick */
    uint64_t durable_turn;    /* given to the last links_flush */
};

/* An opened frame. It is freed when its last holder releases it. */
struct frame {
    struct work work;
    struct peer *peer;
    struct net_message *message;
    /* The messages that the replica has not taken yet. */
    struct ord_reader unread;
    uint32_t references;
};

/*
 * Sets the sizes and makes the peers, for messages up to `message_bytes_max`. INVALID, with `why`: link_queue_bytes_max
 * has no room for the largest frame.
 */
ORD_MUST_USE enum ord_err links_init(struct node *node, size_t message_bytes_max, char *why, size_t why_size);
/* Comes after links_close, when nobody holds a frame any more. */
void links_deinit(struct node *node);
ORD_MUST_USE enum ord_err links_open(struct node *node, char *why, size_t why_size);
/* No callback comes after this returns. Work that was posted before is still in the inbox. */
void links_close(struct node *node);
/* The longest message that links_send takes. */
size_t links_message_bytes_max(const struct links *links);

/*
 * `send` and `connected` of struct replica_host. A message is dropped if the link is down or the peer's queues are
 * full.
 */
void links_send(void *context, uint64_t turn, ord_replica_set to, enum replica_link kind, const struct ord_span *parts,
                size_t part_count);
ord_replica_set links_connected(void *context);
/* `hold` and `release` of struct replica_host; the owner is a frame. */
void links_hold(void *context, void *owner);
void links_release(void *context, void *owner);

/* Sends one frame to each peer that can take one. Only messages that wait for no turn beyond `durable_turn` leave. */
void links_flush(struct node *node, uint64_t durable_turn);
/* To be called several times a second. Drops each link whose peer has been silent for too long, and dials it again. */
void links_tick(struct node *node);
/* Gives the next message of a received frame. False: there is none left. */
bool links_next(struct node *node, struct replica_input *out, struct frame *frame);
/* True if nothing waits for a connected peer, and the transport is done with everything that it got. */
bool links_idle(struct node *node);
uint64_t links_queued_bytes(const struct links *links);
/* Takes a message as it came. The transport calls this in its own thread, one call at a time. `context` is the node. */
void links_on_message(void *context, struct net_message *message);

#endif
