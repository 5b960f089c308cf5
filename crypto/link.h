/*
 * The authenticator of a link between two replicas. Every frame carries a counter and an HMAC-SHA256. Both sides derive
 * its key from the ECDH secret of their identity keys and from fresh nonces of both sides. The link is a pure state
 * machine in the caller's memory and does no I/O. It is not thread-safe: the owner serialises calls on one link.
 *
 * Frame: header (magic u16 "OL", version u8, kind u8, from u32, to u32, counter u64), payload, tag. All big-endian.
 *
 * A *session* is a pair of nonces, one from each side. Each side also has an *offer*: a nonce that it has not used yet
 * and will use for its next session. A HELLO holds (own nonce in session, own offer, the peer's nonce in session, the
 * peer's offer as last heard), with zeros for a value that does not exist. Its counter is 1 when it asks for an answer,
 * else 0. A side that receives a HELLO (c, o, p, h)
 *   agrees  when c and p are the nonces of its own session: nothing changes, and both sides hold the same keys;
 *   joins   when p is its offer: the peer has begun a session with it, and the session becomes (offer, c);
 *   begins  when h is its offer: the peer is alive and has heard us, and the session becomes (offer, o);
 *   answers with a HELLO when the two sides still differ, when it has just begun, or when the peer asked.
 * Joining or beginning uses up the offer. Therefore no recorded frame can bring back an old session, the counters of a
 * session start at zero only once, and a replayed or reflected HELLO costs one answer and changes no key. Simultaneous
 * handshakes and lost, late or repeated HELLOs end in one session within a few frames. The only timer needed is the
 * owner's.
 *
 * The owner sends a HELLO when a link comes up, and again from time to time (say every 200 ms) while the link is not
 * crypto_link_confirmed. A restarted side has new nonces, so frames that were sealed for the old ones do not open.
 */
#ifndef ORDAIN_CRYPTO_LINK_H
#define ORDAIN_CRYPTO_LINK_H

#include "crypto/sign.h"

#define CRYPTO_LINK_HEADER_SIZE 20 /* magic u16, version u8, kind u8, from u32, to u32, counter u64 */
#define CRYPTO_LINK_TAG_SIZE    32
#define CRYPTO_LINK_OVERHEAD    (CRYPTO_LINK_HEADER_SIZE + CRYPTO_LINK_TAG_SIZE)
#define CRYPTO_LINK_HELLO_SIZE  (CRYPTO_LINK_OVERHEAD + 4 * 32)

struct crypto_link {
    ord_node_id self;
    ord_node_id peer;
    struct ord_hash genesis_hash;
    struct ord_hash static_secret; /* from ECDH */
    struct ord_hash hello_key_out; /* direction self -> peer */
    struct ord_hash hello_key_in;
    /* Secret. Offer number i is the HMAC of i under this seed. */
    struct ord_hash nonce_seed;
    uint64_t offer_number;
    /* Our current offer. No session has used it yet. */
    struct ord_hash offer_self;
    /* The peer's offer as last heard. Zeros: none. */
    struct ord_hash offer_peer;
    /* Our nonce and the peer's in the current session. Zeros: there is no session. */
    struct ord_hash nonce_self;
    struct ord_hash nonce_peer;
    /* Keys of the current session. key_out is for the direction self -> peer. */
    struct ord_hash key_out;
    struct ord_hash key_in;
    /* key_in of the session before this one; zeros: there was none. It tells late frames from forged ones. */
    struct ord_hash key_in_before;
    /* The counter of the last frame that we sealed. */
    uint64_t counter_out;
    /* The counter of the last frame that we accepted. Strictly rising within a session. */
    uint64_t counter_in;
    /* A valid frame showed that the peer is in this session, and no frame has contradicted that since. A replayed HELLO
     * counts too, so the peer may have left the session. */
    bool confirmed;
    /* A valid frame of this session has come. From then on an honest peer sends no frame of another session. */
    bool met;
};

enum crypto_link_event {
    /* The payload holds messages. */
    CRYPTO_LINK_DATA,
    /* A HELLO was processed. The owner has nothing else to do. */
    CRYPTO_LINK_HELLO,
    /* A HELLO was processed. The owner must send the output of crypto_link_hello to the peer now. */
    CRYPTO_LINK_HELLO_REPLY,
};

/*
 * The link holds secrets: crypto_wipe it after use. `nonce` must be fresh random bytes; the link keeps it and never
 * sends it. FORBIDDEN: self == peer. INVALID: one of the keys is not a valid key.
 */
ORD_MUST_USE enum ord_err crypto_link_init(struct crypto_link *out, ord_node_id self, ord_node_id peer,
                                           const struct ord_hash *genesis_hash, const struct crypto_private_key *key,
                                           const struct ord_public_key *peer_key, const struct ord_hash *nonce);
/* True if there is a session, so that crypto_link_seal works. */
bool crypto_link_ready(const struct crypto_link *link);
/*
 * True if there is a session and a frame has shown that the peer is in it. The peer can then open the frames that we
 * seal, unless it has restarted since.
 */
bool crypto_link_confirmed(const struct crypto_link *link);
/*
 * The sender id that a frame claims. Nothing is authenticated yet; use it only to find the frame's link.
 * INVALID: too short, or not a frame of this format.
 */
ORD_MUST_USE enum ord_err crypto_link_claimed_sender(ord_node_id *out, struct ord_span frame);
/* Writes a HELLO for the peer to `out`. */
void crypto_link_hello(struct crypto_link *link, uint8_t out[CRYPTO_LINK_HELLO_SIZE]);
/*
 * Seals a frame in place. `frame` holds space for the header, the payload, and space for the tag; `frame_size` is the
 * payload's size plus CRYPTO_LINK_OVERHEAD. WRONG_STATE: the link is not ready. INVALID: frame_size is less than the
 * overhead.
 */
ORD_MUST_USE enum ord_err crypto_link_seal(struct crypto_link *link, uint8_t *frame, size_t frame_size);
/*
 * Checks a frame and opens it. `payload` borrows from `frame`; it is empty for a HELLO. `event` is set on ORD_OK only.
 * INVALID: malformed. FORBIDDEN: the frame does not claim to go from this peer to us; our own reflected frames and
 * other senders' frames end here. BAD_SIGNATURE: the tag is wrong. WRONG_STATE: the tag is none of ours, and there is
 * no session, or nothing of this session has come yet. The peer may have sealed the frame for a session before our
 * restart. STALE: the counter is not above the last one, or the frame is of the session before this one.
 */
ORD_MUST_USE enum ord_err crypto_link_open(struct crypto_link *link, enum crypto_link_event *event,
                                           struct ord_span *payload, struct ord_span frame);

#endif
