/*
 * The authenticator of a link between two replicas: every frame carries a counter and an HMAC-SHA256 under a key that both
 * derive from the ECDH secret of their identity keys and fresh nonces of both sides. Pure state machine in the caller's
 * memory; no I/O, not thread-safe: the owner serialises calls on one link.
 *
 * Frame: header (magic u16 "OL", version u8, kind u8, from u32, to u32, counter u64), payload, tag. All big-endian.
 *
 * A *session* is a pair of nonces, one of each side. A side also has an *offer*: a nonce that it never used and will use
 * for its next session. A HELLO says (own nonce in session, own offer, the peer's nonce in session, the peer's offer as last
 * heard), zeros for what there is not; counter 1 asks for an answer, 0 does not. To a HELLO (c, o, p, h) a side
 *   agrees  when c and p are its own session's: nothing changes, and both are known to hold the same keys;
 *   joins   when p is its offer: the peer has begun a session with it; the session becomes (offer, c);
 *   begins  when h is its offer: the peer is alive and heard us; the session becomes (offer, o);
 *   answers with a HELLO when it still differs, when it has just begun, or when it was asked.
 * To join or to begin uses the offer up. Hence nothing that was recorded earlier can bring a session back, the counters of
 * a session start at zero once, and a replayed or reflected HELLO costs one answer and changes no key. Handshakes of both
 * sides at once, lost, late and repeated HELLOs end in one session within a few frames: no timer is needed but the owner's.
 *
 * The owner sends a HELLO when a link comes up, and again from time to time (say every 200 ms) while it is not
 * crypto_link_confirmed. A restarted side has new nonces, and frames that were sealed for the old ones do not open.
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
    struct ord_hash nonce_seed; /* secret; offer i is its HMAC of i */
    uint64_t offer_number;
    struct ord_hash offer_self; /* never used in a session */
    struct ord_hash offer_peer; /* as last heard; zeros: none */
    struct ord_hash nonce_self; /* of the session; zeros: no session */
    struct ord_hash nonce_peer; /* of the session; zeros: no session */
    struct ord_hash key_out;    /* of the session, direction self -> peer */
    struct ord_hash key_in;
    uint64_t counter_out; /* last used */
    uint64_t counter_in;  /* last accepted; strictly rising */
    bool confirmed;       /* the peer proved that it is in this session, and nothing spoke against it since */
};

enum crypto_link_event {
    CRYPTO_LINK_DATA,        /* payload holds the messages */
    CRYPTO_LINK_HELLO,       /* a hello was taken; nothing else to do */
    CRYPTO_LINK_HELLO_REPLY, /* send crypto_link_hello to the peer now */
};

/*
 * `nonce` must be fresh random; it is kept and never sent. FORBIDDEN when self == peer. INVALID: a key that is none.
 * The link holds secrets: crypto_wipe it after use.
 */
ORD_MUST_USE enum ord_err crypto_link_init(struct crypto_link *out, ord_node_id self, ord_node_id peer,
                                           const struct ord_hash *genesis_hash, const struct crypto_private_key *key,
                                           const struct ord_public_key *peer_key, const struct ord_hash *nonce);
bool crypto_link_ready(const struct crypto_link *link);     /* may seal */
bool crypto_link_confirmed(const struct crypto_link *link); /* may seal, and the peer can open */
/* The sender id that a frame claims, before any check, to find its link. INVALID: too short, or not ours. */
ORD_MUST_USE enum ord_err crypto_link_claimed_sender(ord_node_id *out, struct ord_span frame);
void crypto_link_hello(struct crypto_link *link, uint8_t out[CRYPTO_LINK_HELLO_SIZE]);
/*
 * Seals in place: frame is header room, payload, tag room; frame_size = payload + CRYPTO_LINK_OVERHEAD. WRONG_STATE: not ready.
 * INVALID: frame_size is less than the overhead.
 */
ORD_MUST_USE enum ord_err crypto_link_seal(struct crypto_link *link, uint8_t *frame, size_t frame_size);
/*
 * Checks and opens. INVALID: malformed. FORBIDDEN: not from this peer to us (own frames reflected, claimed id is another's).
 * BAD_SIGNATURE: tag, or there is no session yet. STALE: counter not above the last. `payload` borrows from `frame`; it is
 * empty for a hello. `event` is set on ORD_OK only.
 */
ORD_MUST_USE enum ord_err crypto_link_open(struct crypto_link *link, enum crypto_link_event *event,
                                           struct ord_span *payload, struct ord_span frame);

#endif
