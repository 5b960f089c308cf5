/*
 * Passes a frame from the network to a link. The input's first two bytes choose how; the rest is the
 * frame. It is passed unchanged (and is nearly always refused) or with a correct tag, so that the code
 * behind the check of the tag is reached as well. Only a frame with a correct tag may change the link's
 * keys, and in the end both ends must agree again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "core/codec.h"
#include "crypto/hash.h"
#include "crypto/link.h"

#define FRAME_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ord_node_id ids[2] = {0, 1};
static struct crypto_link ends[2];

static void start(void) {
    struct crypto_private_key keys[2] = {{{1}}, {{2}}};
    struct ord_public_key public_keys[2];
    const struct ord_hash genesis_hash = {{3}};
    if (crypto_init() != ORD_OK || crypto_public_key(&public_keys[0], &keys[0]) != ORD_OK ||
        crypto_public_key(&public_keys[1], &keys[1]) != ORD_OK)
        abort();
    for (int end = 0; end < 2; end++) {
        const struct ord_hash nonce = {{(uint8_t) (4 + end)}};
        if (crypto_link_init(&ends[end], ids[end], ids[1 - end], &genesis_hash, &keys[end], &public_keys[1 - end],
                             &nonce) != ORD_OK)
            abort();
    }
}

/* Exchanges HELLOs until neither end needs an answer. */
static void shake_hands(int first) {
    bool more = true;
    unsigned frames = 0;
    for (int end = first; more; end = 1 - end) {
        uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
        enum crypto_link_event event = CRYPTO_LINK_DATA;
        struct ord_span payload;
        crypto_link_hello(&ends[end], hello);
        enum ord_err err = crypto_link_open(&ends[1 - end], &event, &payload, ord_span_of(hello, sizeof(hello)));
        ORD_ASSERT(err == ORD_OK);
        ORD_ASSERT(++frames < 10);
        more = event == CRYPTO_LINK_HELLO_REPLY;
    }
}

static void put_tag(uint8_t *frame, size_t size, const struct ord_hash *key) {
    struct ord_hash tag;
    const struct ord_span covered = ord_span_of(frame, size - CRYPTO_LINK_TAG_SIZE);
    crypto_hmac_sha256(&tag, ord_span_of(key->bytes, sizeof(key->bytes)), &covered, 1);
    memcpy(frame + size - CRYPTO_LINK_TAG_SIZE, tag.bytes, sizeof(tag.bytes));
}

/* Puts real nonces where the script says so, because a fuzzer cannot guess 32 bytes. */
static void put_nonces(uint8_t *frame, size_t size, uint8_t choices) {
    const struct ord_hash *known[4] = {&ends[0].nonce_self, &ends[0].offer_self, &ends[1].nonce_self,
                                       &ends[1].offer_self};
    if (size != CRYPTO_LINK_HELLO_SIZE)
        return;
    for (size_t i = 0; i < 4; i++)
        if ((choices >> i & 1) != 0)
            memcpy(frame + CRYPTO_LINK_HEADER_SIZE + ORD_HASH_SIZE * i, known[(i + choices / 16) % 4]->bytes,
                   ORD_HASH_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t frame[FRAME_MAX];
    if (size < 2 || size - 2 > sizeof(frame))
        return 0;
    uint8_t mode = data[0];
    uint8_t choices = data[1];
    size -= 2;
    memcpy(frame, data + 2, size);

    start();
    if ((mode & 1) != 0)
        shake_hands(0);
    struct crypto_link *link = &ends[1];
    const struct crypto_link before = *link;
    bool tagged = (mode & 2) != 0 && size >= CRYPTO_LINK_OVERHEAD;
    if (tagged) {
        put_nonces(frame, size, choices);
        put_tag(frame, size, (mode & 4) != 0 ? &link->hello_key_in : &link->key_in);
    }

    enum crypto_link_event event = CRYPTO_LINK_HELLO;
    struct ord_span payload = ord_span_of(NULL, 0);
    ord_node_id claimed = ORD_NO_NODE;
    const struct ord_span span = ord_span_of(frame, size);
    enum ord_err claim_err = crypto_link_claimed_sender(&claimed, span);
    enum ord_err err = crypto_link_open(link, &event, &payload, span);
    ORD_ASSERT(claim_err == ORD_OK || err == ORD_ERR_INVALID);
    if (err == ORD_OK) {
        ORD_ASSERT(tagged && claimed == link->peer);
        if (event == CRYPTO_LINK_DATA) {
            ORD_ASSERT(payload.size == size - CRYPTO_LINK_OVERHEAD && link->counter_in > before.counter_in);
            ORD_ASSERT(crypto_link_open(link, &event, &payload, span) == ORD_ERR_STALE);
        }
    } else {
        ORD_ASSERT(ord_hash_equal(&link->key_in, &before.key_in) && link->counter_in == before.counter_in);
    }

    shake_hands(0);
    shake_hands(1);
    ORD_ASSERT(crypto_link_confirmed(&ends[0]) && crypto_link_confirmed(&ends[1]));
    ORD_ASSERT(ord_hash_equal(&ends[0].key_out, &ends[1].key_in));
    return 0;
}
