/*
 * Link authenticator: the point-to-point authentication that Castro and Liskov (TOCS'02, section 3.2) assume, with HMAC
 * tags under session keys. The header describes the rules of the handshake; this file implements them.
 */
#include "crypto/link.h"
#include "crypto/hash.h"

#include <string.h>

#include "core/codec.h"

#define MAGIC   0x4f4cu /* "OL" */
#define VERSION 1u

enum frame_kind { FRAME_HELLO = 1, FRAME_DATA = 2 };

/* Domain tags of the keys and nonces that are derived here. Every field that follows a tag has a fixed width. */
#define TAG_SECRET "ordain/link/v1/secret"
#define TAG_NONCE  "ordain/link/v1/nonce"
#define TAG_HELLO  "ordain/link/v1/hello"
#define TAG_DATA   "ordain/link/v1/data"

struct frame_header {
    uint16_t magic;
    uint8_t version;
    uint8_t kind;
    ord_node_id from;
    ord_node_id to;
    uint64_t counter;
};

/* A HELLO's content. The letters are those of crypto/link.h. */
struct hello {
    bool asks;                     /* the peer wants an answer */
    struct ord_hash session_nonce; /* c */
    struct ord_hash offer;         /* o */
    struct ord_hash peer_nonce;    /* p */
    struct ord_hash peer_offer;    /* h */
};

static struct ord_span text_span(const char *text) {
    return ord_span_of(text, strlen(text));
}

static struct ord_span hash_span(const struct ord_hash *hash) {
    return ord_span_of(hash->bytes, sizeof(hash->bytes));
}

/*
 * Derives the key for one direction: HMAC(secret, tag || genesis || sender || receiver [|| nonce of sender || nonce of
 * receiver]). The nonces are left out when `nonce_sender` is NULL.
 */
static void derive_key(struct ord_hash *out, const struct crypto_link *link, const char *tag, ord_node_id sender,
                       const struct ord_hash *nonce_sender, const struct ord_hash *nonce_receiver) {
    uint8_t direction[8];
    ord_store_u32(direction, sender);
    ord_store_u32(direction + 4, sender == link->self ? link->peer : link->self);
    struct ord_span parts[5] = {text_span(tag), hash_span(&link->genesis_hash),
                                ord_span_of(direction, sizeof(direction))};
    size_t part_count = 3;
    if (nonce_sender != NULL) {
        parts[part_count++] = hash_span(nonce_sender);
        parts[part_count++] = hash_span(nonce_receiver);
    }
    crypto_hmac_sha256(out, hash_span(&link->static_secret), parts, part_count);
}

static void make_offer(struct crypto_link *link) {
    uint8_t number[8];
    link->offer_number++;
    ord_store_u64(number, link->offer_number);
    const struct ord_span parts[] = {text_span(TAG_NONCE), ord_span_of(number, sizeof(number))};
    crypto_hmac_sha256(&link->offer_self, hash_span(&link->nonce_seed), parts, 2);
}

enum ord_err crypto_link_init(struct crypto_link *out, ord_node_id self, ord_node_id peer,
                              const struct ord_hash *genesis_hash, const struct crypto_private_key *key,
                              const struct ord_public_key *peer_key, const struct ord_hash *nonce) {
    if (self == peer)
        return ORD_ERR_FORBIDDEN;
    struct ord_hash shared;
    enum ord_err err = crypto_ecdh(&shared, key, peer_key);
    if (err != ORD_OK)
        return err;
    memset(out, 0, sizeof(*out));
    out->self = self;
    out->peer = peer;
    out->genesis_hash = *genesis_hash;
    out->nonce_seed = *nonce;
    const struct ord_span parts[] = {text_span(TAG_SECRET), hash_span(genesis_hash)};
    crypto_hmac_sha256(&out->static_secret, hash_span(&shared), parts, 2);
    derive_key(&out->hello_key_out, out, TAG_HELLO, self, NULL, NULL);
    derive_key(&out->hello_key_in, out, TAG_HELLO, peer, NULL, NULL);
    make_offer(out);
    crypto_wipe(&shared, sizeof(shared));
    return ORD_OK;
}

bool crypto_link_ready(const struct crypto_link *link) {
    return !ord_hash_is_zero(&link->nonce_peer);
}

bool crypto_link_confirmed(const struct crypto_link *link) {
    return link->confirmed;
}

static enum ord_err read_header(struct frame_header *out, struct ord_span frame) {
    if (frame.size < CRYPTO_LINK_OVERHEAD)
        return ORD_ERR_INVALID;
    struct ord_reader reader = ord_reader_of(frame);
    out->magic = ord_read_u16(&reader);
    out->version = ord_read_u8(&reader);
    out->kind = ord_read_u8(&reader);
    out->from = ord_read_u32(&reader);
    out->to = ord_read_u32(&reader);
    out->counter = ord_read_u64(&reader);
    bool whole = out->kind == FRAME_DATA || (out->kind == FRAME_HELLO && frame.size == CRYPTO_LINK_HELLO_SIZE);
    return out->magic == MAGIC && out->version == VERSION && whole ? ORD_OK : ORD_ERR_INVALID;
}

enum ord_err crypto_link_claimed_sender(ord_node_id *out, struct ord_span frame) {
    struct frame_header header;
    enum ord_err err = read_header(&header, frame);
    if (err == ORD_OK)
        *out = header.from;
    return err;
}

static void write_header(const struct crypto_link *link, uint8_t *frame, enum frame_kind kind, uint64_t counter) {
    struct ord_writer writer = ord_writer_of(frame, CRYPTO_LINK_HEADER_SIZE);
    ord_write_u16(&writer, MAGIC);
    ord_write_u8(&writer, VERSION);
    ord_write_u8(&writer, (uint8_t) kind);
    ord_write_u32(&writer, link->self);
    ord_write_u32(&writer, link->peer);
    ord_write_u64(&writer, counter);
}

/* Computes a frame's tag, which covers everything before it. */
static void compute_tag(struct ord_hash *out, const struct ord_hash *key, const uint8_t *frame, size_t frame_size) {
    const struct ord_span covered = ord_span_of(frame, frame_size - CRYPTO_LINK_TAG_SIZE);
    crypto_hmac_sha256(out, hash_span(key), &covered, 1);
}

static void write_tag(const struct ord_hash *key, uint8_t *frame, size_t frame_size) {
    struct ord_hash tag;
    compute_tag(&tag, key, frame, frame_size);
    memcpy(frame + frame_size - CRYPTO_LINK_TAG_SIZE, tag.bytes, sizeof(tag.bytes));
}

static bool tag_is_right(const struct ord_hash *key, struct ord_span frame) {
    struct ord_hash tag;
    compute_tag(&tag, key, frame.data, frame.size);
    return crypto_equal(tag.bytes, frame.data + frame.size - CRYPTO_LINK_TAG_SIZE, sizeof(tag.bytes));
}

void crypto_link_hello(struct crypto_link *link, uint8_t out[CRYPTO_LINK_HELLO_SIZE]) {
    write_header(link, out, FRAME_HELLO, link->confirmed ? 0 : 1);
    struct ord_writer writer =
        ord_writer_of(out + CRYPTO_LINK_HEADER_SIZE, CRYPTO_LINK_HELLO_SIZE - CRYPTO_LINK_OVERHEAD);
    ord_write_hash(&writer, &link->nonce_self);
    ord_write_hash(&writer, &link->offer_self);
    ord_write_hash(&writer, &link->nonce_peer);
    ord_write_hash(&writer, &link->offer_peer);
    write_tag(&link->hello_key_out, out, CRYPTO_LINK_HELLO_SIZE);
}

enum ord_err crypto_link_seal(struct crypto_link *link, uint8_t *frame, size_t frame_size) {
    if (frame_size < CRYPTO_LINK_OVERHEAD)
        return ORD_ERR_INVALID;
    if (!crypto_link_ready(link))
        return ORD_ERR_WRONG_STATE;
    link->counter_out++; /* 64 bits never wrap in practice */
    write_header(link, frame, FRAME_DATA, link->counter_out);
    write_tag(&link->key_out, frame, frame_size);
    return ORD_OK;
}

/* Begins a new session. Our offer becomes our nonce in it, so a new offer is made. */
static void enter_session(struct crypto_link *link, const struct ord_hash *nonce_peer) {
    if (crypto_link_ready(link))
        link->key_in_before = link->key_in;
    link->nonce_self = link->offer_self;
    link->nonce_peer = *nonce_peer;
    derive_key(&link->key_out, link, TAG_DATA, link->self, &link->nonce_self, &link->nonce_peer);
    derive_key(&link->key_in, link, TAG_DATA, link->peer, &link->nonce_peer, &link->nonce_self);
    link->counter_out = 0;
    link->counter_in = 0;
    link->met = false;
    make_offer(link);
}

static enum ord_err read_hello(struct hello *out, const struct frame_header *header, struct ord_span frame) {
    struct ord_reader reader =
        ord_reader_of(ord_span_of(frame.data + CRYPTO_LINK_HEADER_SIZE, frame.size - CRYPTO_LINK_OVERHEAD));
    out->asks = header->counter == 1;
    ord_read_hash(&reader, &out->session_nonce);
    ord_read_hash(&reader, &out->offer);
    ord_read_hash(&reader, &out->peer_nonce);
    ord_read_hash(&reader, &out->peer_offer);
    enum ord_err err = ord_reader_finish(&reader);
    if (err != ORD_OK)
        return err;
    /* An honest peer always has an offer, and its session has either both nonces or neither. */
    if (header->counter > 1 || ord_hash_is_zero(&out->offer) ||
        ord_hash_is_zero(&out->session_nonce) != ord_hash_is_zero(&out->peer_nonce))
        return ORD_ERR_INVALID;
    return ORD_OK;
}

/* Applies a HELLO by the rules of crypto/link.h. True if the peer needs our answer. */
static bool take_hello(struct crypto_link *link, const struct hello *hello) {
    link->offer_peer = hello->offer;
    if (crypto_link_ready(link) && ord_hash_equal(&hello->session_nonce, &link->nonce_peer) &&
        ord_hash_equal(&hello->peer_nonce, &link->nonce_self)) {
        link->confirmed = true;
        link->met = true;
    } else if (ord_hash_equal(&hello->peer_nonce, &link->offer_self)) {
        enter_session(link, &hello->session_nonce);
        /* The peer entered it before it sent this HELLO. */
        link->confirmed = true;
        link->met = true;
    } else if (ord_hash_equal(&hello->peer_offer, &link->offer_self)) {
        enter_session(link, &hello->offer);
        link->confirmed = false;
    } else {
        /* The peer is in another session, or somebody replays an old frame. Our
         * answer lets the peer resolve the former. */
        return true;
    }
    return hello->asks || !link->confirmed;
}

/* The error for a data frame whose tag is not our session's. It tells what only a forger sends from what is late. */
static enum ord_err other_session(const struct crypto_link *link, struct ord_span frame) {
    if (!ord_hash_is_zero(&link->key_in_before) && tag_is_right(&link->key_in_before, frame))
        return ORD_ERR_STALE;
    return link->met ? ORD_ERR_BAD_SIGNATURE : ORD_ERR_WRONG_STATE;
}

enum ord_err crypto_link_open(struct crypto_link *link, enum crypto_link_event *event, struct ord_span *payload,
                              struct ord_span frame) {
    struct frame_header header;
    enum ord_err err = read_header(&header, frame);
    if (err != ORD_OK)
        return err;
    if (header.from != link->peer || header.to != link->self)
        return ORD_ERR_FORBIDDEN;
    *payload = ord_span_of(NULL, 0);

    if (header.kind == FRAME_HELLO) {
        struct hello hello;
        if (!tag_is_right(&link->hello_key_in, frame))
            return ORD_ERR_BAD_SIGNATURE;
        err = read_hello(&hello, &header, frame);
        if (err != ORD_OK)
            return err;
        *event = take_hello(link, &hello) ? CRYPTO_LINK_HELLO_REPLY : CRYPTO_LINK_HELLO;
        return ORD_OK;
    }

    if (!crypto_link_ready(link) || !tag_is_right(&link->key_in, frame)) {
        /* The peer may be in another session. The owner's next HELLO finds that
         * out; keys and counters stay as they are. */
        link->confirmed = false;
        return other_session(link, frame);
    }
    if (header.counter <= link->counter_in)
        return ORD_ERR_STALE;
    link->counter_in = header.counter;
    link->confirmed = true;
    link->met = true;
    *payload = ord_span_of(frame.data + CRYPTO_LINK_HEADER_SIZE, frame.size - CRYPTO_LINK_OVERHEAD);
    *event = CRYPTO_LINK_DATA;
    return ORD_OK;
}
