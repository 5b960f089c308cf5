/*
 * Links to the other replicas: frames out (links.c) and in (links_in.c).
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

/*
 * What a frame's payload begins with (docs/formats.md). Messages of the votes' lane and of the bulk lane never share a
 * frame.
 */
enum link_payload {
    LINK_PAYLOAD_VOTES = 1, /* messages */
    LINK_PAYLOAD_BULK = 2,  /* messages */
    LINK_PAYLOAD_PIECE = 3, /* a piece of such messages of the bulk lane as need a longer frame */
};

/* What waits for a peer waits in one of two lanes. replica_link_bulk (replica/host.h) decides in which. */
enum link_lane_name {
    LINK_LANE_VOTES, /* small, and agreement waits for it: never behind more than one frame of the other lane */
    LINK_LANE_BULK,
    LINK_LANE_COUNT,
};

#define LINK_MESSAGE_HEADER 5                             /* kind u8, size u32 */
#define LINK_FRAME_HEADER   (CRYPTO_LINK_HEADER_SIZE + 1) /* link header, enum link_payload as u8 */
#define LINK_PIECE_HEADER   8                             /* whole size u32, offset u32 */
/*
 * A frame of the bulk lane takes at most this many bytes, with all that the link adds. Messages of the votes' lane that
 * need more leave in a longer frame.
 */
#define LINK_BULK_FRAME_BYTES (64u << 10)
#define LINK_PIECE_BYTES_MAX  (LINK_BULK_FRAME_BYTES - LINK_FRAME_HEADER - LINK_PIECE_HEADER - CRYPTO_LINK_TAG_SIZE)
/*
 * A frame has room for the longest message that a replica must send, or for some small ones, and for what the link
 * adds.
 */
#define LINK_FRAME_SLACK (128u << 10)
#define LINK_FRAMES_MAX  64 /* frames that may wait for one peer in one lane */
/* The votes' lane takes at least this many bytes for each peer and direction. */
#define LINK_VOTES_BYTES_MIN (4u << 20)

struct link_frame {
    struct net_message *message;
    uint8_t *data;
    size_t used; /* includes LINK_FRAME_HEADER */
    size_t capacity;
    /* Bytes behind LINK_FRAME_HEADER that left as pieces. Not 0: nothing may join the frame any more. */
    size_t cut;
    uint32_t messages;
    /* Highest turn of its messages. A held frame leaves when that turn is durable. */
    uint64_t turn;
};

struct link_queue {
    struct link_frame frames[LINK_FRAMES_MAX]; /* ring */
    uint32_t first;
    uint32_t count;
};

struct link_lane {
    struct link_queue ready; /* frames that may leave */
    /* Frames that leave when their turn is durable, in the order of their turns. */
    struct link_queue held;
    uint64_t bytes; /* of the messages in both queues */
};

/* Messages of the bulk lane that a peer sends in pieces, as far as they came. */
struct link_part {
    struct net_message *message; /* NULL: none */
    uint8_t *data;
    size_t size;
    size_t filled;
};

struct peer {
    struct node *node;
    ord_node_id id;
    /* Guards `link`: whoever sends seals with it, and a receiving thread opens with it. */
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
    /*
     * By lane: bytes of this peer's frames that the replica still uses. The checks of this peer's that the node has
     * count in the votes' lane.
     */
    counter inbound_bytes[LINK_LANE_COUNT];
    /* A check of this peer's failed. Until this time its other checks come back without being run. */
    counter bad_until_ms;
    uint64_t hello_sent_ms;
    struct link_part part; /* for links_on_message only, which runs once at a time */

    /* Guards what follows: the loop fills the lanes, and the transport's thread takes from them too. */
    pthread_mutex_t lanes_mutex;
    bool under_way; /* the transport has a message of ours, or somebody is about to give it one */
    struct link_lane lanes[LINK_LANE_COUNT];
    /* Each flush lets at most one frame of the votes' lane go. The turn of the last flush that did. */
    bool votes_due;
    uint64_t votes_turn;
    /* That of the last such frame that went, and the number of frames that went by that turn's flushes. */
    uint64_t sent_turn;
    uint32_t sent_frames;
};

struct links {
    struct net_pull *pull; /* NULL: not open */
    struct peer *peers;    /* by id; our own is unused */
    uint32_t count;
    const struct ord_protocol *protocol;
    size_t frame_bytes_max;
    uint64_t lane_bytes_max[LINK_LANE_COUNT]; /* per peer and direction */
    uint64_t looked_ms;                       /* last links_tick */
    uint64_t durable_turn;                    /* given to the last links_flush */
};

/* An opened frame, or messages put together from pieces. It is freed when its last holder releases it. */
struct frame {
    struct work work;
    struct peer *peer;
    enum link_lane_name lane;
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
 * `send` and `connected` of struct replica_host. A message is dropped, and counted, if the link is down or its lane to
 * the peer is full.
 */
void links_send(void *context, uint64_t turn, ord_replica_set to, enum replica_link kind, const struct ord_span *parts,
                size_t part_count);
ord_replica_set links_connected(void *context);
/* `hold` and `release` of struct replica_host; the owner is a frame. */
void links_hold(void *context, void *owner);
void links_release(void *context, void *owner);

/*
 * Lets one frame of the votes' lane go to each peer, and what waits in the bulk lane behind it. Frames that the
 * transport cannot take at once leave from its own thread. Only messages that wait for no turn beyond `durable_turn`
 * leave.
 */
void links_flush(struct node *node, uint64_t durable_turn);
/* To be called several times a second. Drops each link whose peer has been silent for too long, and dials it again. */
void links_tick(struct node *node);
/* The peer's inbound_bytes of both lanes. A part counts as soon as it begins. */
uint64_t links_inbound_bytes(struct peer *peer);
/* Gives the next message of a received frame. False: there is none left. */
bool links_next(struct node *node, struct replica_input *out, struct frame *frame);
/* True if nothing waits for a connected peer, and the transport is done with everything that it got. */
bool links_idle(struct node *node);
uint64_t links_queued_bytes(struct links *links);
/* Takes a message as it came. The transport calls this in its own thread, one call at a time. `context` is the node. */
void links_on_message(void *context, struct net_message *message);
/* Frees the peer's part, if there is one. No call of links_on_message may be under way. */
void links_drop_part(struct peer *peer);

#endif
