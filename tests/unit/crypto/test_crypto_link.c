/*
 * The link authenticator. The first cases show, one by one, which frames it refuses. Then both ends talk over a seeded
 * network that loses, repeats, delays and reorders frames, replays old ones and restarts either end.
 */
#include "tests/support/test_main.h"

#include <stdlib.h>
#include <string.h>

#include "core/codec.h"
#include "crypto/hash.h"
#include "crypto/link.h"

#define OFFSET_FROM    4
#define OFFSET_TO      8
#define OFFSET_COUNTER 12

/* Two replicas; ends[0] is replica 3, ends[1] is replica 5. */
struct pair {
    struct crypto_private_key keys[2];
    struct ord_public_key public_keys[2];
    struct ord_hash genesis_hash;
    struct crypto_link ends[2];
};

static const ord_node_id ids[2] = {3, 5};

static void start_end(struct pair *pair, int end, uint64_t seed) {
    struct ord_hash nonce;
    const struct ord_span span = ord_span_of(&seed, sizeof(seed));
    crypto_sha256(&nonce, &span, 1);
    assert_ok(crypto_link_init(&pair->ends[end], ids[end], ids[1 - end], &pair->genesis_hash, &pair->keys[end],
                               &pair->public_keys[1 - end], &nonce));
}

static void start_pair(struct pair *pair) {
    assert_ok(crypto_init());
    memset(pair, 0, sizeof(*pair));
    memset(pair->genesis_hash.bytes, 0x42, sizeof(pair->genesis_hash.bytes));
    for (int end = 0; end < 2; end++) {
        pair->keys[end].bytes[31] = (uint8_t) (end + 1);
        assert_ok(crypto_public_key(&pair->public_keys[end], &pair->keys[end]));
    }
    start_end(pair, 0, 1);
    start_end(pair, 1, 2);
}

/* End `first` sends a HELLO, and the ends exchange answers until neither needs one. Returns the number of frames. */
static unsigned shake_hands(struct pair *pair, int first) {
    unsigned frames = 0;
    bool more = true;
    for (int end = first; more; end = 1 - end) {
        uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
        enum crypto_link_event event;
        struct ord_span payload;
        crypto_link_hello(&pair->ends[end], hello);
        assert_ok(crypto_link_open(&pair->ends[1 - end], &event, &payload, ord_span_of(hello, sizeof(hello))));
        assert_int_not_equal(event, CRYPTO_LINK_DATA);
        assert_int_equal(payload.size, 0);
        frames++;
        assert_in_range(frames, 1, 10);
        more = event == CRYPTO_LINK_HELLO_REPLY;
    }
    return frames;
}

static void start_session(struct pair *pair) {
    start_pair(pair);
    shake_hands(pair, 0);
}

#define TEXT_FRAME_SIZE (CRYPTO_LINK_OVERHEAD + 5)

static void seal_text(struct pair *pair, int end, uint8_t frame[TEXT_FRAME_SIZE], const char text[6]) {
    memcpy(frame + CRYPTO_LINK_HEADER_SIZE, text, 5);
    assert_ok(crypto_link_seal(&pair->ends[end], frame, TEXT_FRAME_SIZE));
}

static enum ord_err open_at(struct pair *pair, int end, const uint8_t *frame, size_t size) {
    enum crypto_link_event event;
    struct ord_span payload;
    return crypto_link_open(&pair->ends[end], &event, &payload, ord_span_of(frame, size));
}

static void assert_talking(struct pair *pair) {
    for (int end = 0; end < 2; end++) {
        uint8_t frame[TEXT_FRAME_SIZE];
        enum crypto_link_event event;
        struct ord_span payload;
        seal_text(pair, end, frame, "hello");
        assert_ok(crypto_link_open(&pair->ends[1 - end], &event, &payload, ord_span_of(frame, sizeof(frame))));
        assert_int_equal(event, CRYPTO_LINK_DATA);
        assert_true(ord_span_equal(payload, ord_span_of("hello", 5)));
    }
}

static void handshake__makes_one_session_whoever_begins(void **state) {
    (void) state;
    for (int first = 0; first < 2; first++) {
        struct pair pair;
        start_pair(&pair);
        assert_false(crypto_link_ready(&pair.ends[0]));
        assert_in_range(shake_hands(&pair, first), 3, 5);
        for (int end = 0; end < 2; end++) {
            assert_true(crypto_link_ready(&pair.ends[end]));
            assert_true(crypto_link_confirmed(&pair.ends[end]));
        }
        assert_memory_equal(&pair.ends[0].key_out, &pair.ends[1].key_in, sizeof(struct ord_hash));
        assert_memory_equal(&pair.ends[1].key_out, &pair.ends[0].key_in, sizeof(struct ord_hash));
        assert_memory_not_equal(&pair.ends[0].key_out, &pair.ends[0].key_in, sizeof(struct ord_hash));
        assert_talking(&pair);
    }
}

static void handshake__again_by_agreeing_ends_changes_nothing(void **state) {
    (void) state;
    struct pair pair;
    start_session(&pair);
    assert_talking(&pair);
    const struct crypto_link before = pair.ends[1];
    assert_int_equal(shake_hands(&pair, 0), 1);
    assert_memory_equal(&pair.ends[1].key_in, &before.key_in, sizeof(struct ord_hash));
    assert_int_equal(pair.ends[1].counter_in, before.counter_in);
    assert_int_equal(pair.ends[1].counter_out, before.counter_out);
    assert_talking(&pair);
}

static void handshake__after_a_restart_makes_a_new_session(void **state) {
    (void) state;
    for (int restarted = 0; restarted < 2; restarted++) {
        for (int first = 0; first < 2; first++) {
            struct pair pair;
            start_session(&pair);
            uint8_t old[TEXT_FRAME_SIZE];
            seal_text(&pair, 1 - restarted, old, "older");
            start_end(&pair, restarted, 77);
            /* It may be that the peer sealed it before it learned of the restart. */
            assert_err(open_at(&pair, restarted, old, sizeof(old)), ORD_ERR_WRONG_STATE);
            shake_hands(&pair, first);
            /* An owner whose link is not confirmed sends another HELLO. */
            if (!crypto_link_confirmed(&pair.ends[restarted]))
                shake_hands(&pair, restarted);
            assert_err(open_at(&pair, restarted, old, sizeof(old)), ORD_ERR_BAD_SIGNATURE);
            assert_talking(&pair);
        }
    }
}

static void init__refuses_a_link_to_oneself_and_a_key_that_is_none(void **state) {
    (void) state;
    struct pair pair;
    start_pair(&pair);
    struct crypto_link link;
    const struct ord_hash nonce = {{9}};
    assert_err(crypto_link_init(&link, 3, 3, &pair.genesis_hash, &pair.keys[0], &pair.public_keys[1], &nonce),
               ORD_ERR_FORBIDDEN);
    pair.public_keys[1].bytes[0] = 9;
    assert_err(crypto_link_init(&link, 3, 5, &pair.genesis_hash, &pair.keys[0], &pair.public_keys[1], &nonce),
               ORD_ERR_INVALID);
}

static void seal__needs_a_session_and_room(void **state) {
    (void) state;
    struct pair pair;
    uint8_t frame[TEXT_FRAME_SIZE] = {0};
    start_pair(&pair);
    assert_err(crypto_link_seal(&pair.ends[0], frame, sizeof(frame)), ORD_ERR_WRONG_STATE);
    shake_hands(&pair, 0);
    assert_err(crypto_link_seal(&pair.ends[0], frame, CRYPTO_LINK_OVERHEAD - 1), ORD_ERR_INVALID);
    assert_ok(crypto_link_seal(&pair.ends[0], frame, CRYPTO_LINK_OVERHEAD));
    assert_ok(open_at(&pair, 1, frame, CRYPTO_LINK_OVERHEAD));
}

static void open__refuses_any_flipped_bit(void **state) {
    (void) state;
    struct pair pair;
    start_session(&pair);
    uint8_t frames[2][CRYPTO_LINK_HELLO_SIZE];
    seal_text(&pair, 0, frames[0], "bits!");
    crypto_link_hello(&pair.ends[0], frames[1]);
    const size_t sizes[2] = {TEXT_FRAME_SIZE, CRYPTO_LINK_HELLO_SIZE};
    for (int i = 0; i < 2; i++) {
        for (size_t bit = 0; bit < 8 * sizes[i]; bit++) {
            const struct ord_hash key = pair.ends[1].key_in;
            frames[i][bit / 8] ^= (uint8_t) (1u << bit % 8);
            assert_true(open_at(&pair, 1, frames[i], sizes[i]) != ORD_OK);
            frames[i][bit / 8] ^= (uint8_t) (1u << bit % 8);
            assert_memory_equal(&pair.ends[1].key_in, &key, sizeof(key));
        }
        assert_ok(open_at(&pair, 1, frames[i], sizes[i]));
    }
}

static void open__refuses_every_wrong_length(void **state) {
    (void) state;
    struct pair pair;
    start_session(&pair);
    uint8_t hello[CRYPTO_LINK_HELLO_SIZE + 1] = {0};
    uint8_t data[TEXT_FRAME_SIZE + 1] = {0};
    crypto_link_hello(&pair.ends[0], hello);
    seal_text(&pair, 0, data, "sizes");
    for (size_t size = 0; size <= sizeof(hello); size++)
        if (size != CRYPTO_LINK_HELLO_SIZE)
            assert_err(open_at(&pair, 1, hello, size), ORD_ERR_INVALID);
    for (size_t size = 0; size <= sizeof(data); size++)
        if (size != TEXT_FRAME_SIZE)
            assert_err(open_at(&pair, 1, data, size),
                       size < CRYPTO_LINK_OVERHEAD ? ORD_ERR_INVALID : ORD_ERR_BAD_SIGNATURE);
    assert_ok(open_at(&pair, 1, hello, CRYPTO_LINK_HELLO_SIZE));
    assert_ok(open_at(&pair, 1, data, TEXT_FRAME_SIZE));
}

static void open__refuses_own_frames_reflected(void **state) {
    (void) state;
    struct pair pair;
    start_session(&pair);
    uint8_t data[TEXT_FRAME_SIZE];
    uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
    seal_text(&pair, 0, data, "mine!");
    crypto_link_hello(&pair.ends[0], hello);
    assert_err(open_at(&pair, 0, data, sizeof(data)), ORD_ERR_FORBIDDEN);
    assert_err(open_at(&pair, 0, hello, sizeof(hello)), ORD_ERR_FORBIDDEN);
    /* With the ids swapped as well, the tag does not fit, because each key is bound to its direction. */
    for (int i = 0; i < 2; i++) {
        uint8_t *frame = i == 0 ? data : hello;
        ord_store_u32(frame + OFFSET_FROM, 5);
        ord_store_u32(frame + OFFSET_TO, 3);
    }
    assert_err(open_at(&pair, 0, data, sizeof(data)), ORD_ERR_BAD_SIGNATURE);
    assert_err(open_at(&pair, 0, hello, sizeof(hello)), ORD_ERR_BAD_SIGNATURE);
    /* This holds even for a tag made with the key that this end itself seals HELLOs with. */
    struct ord_hash tag;
    const struct ord_span covered = ord_span_of(hello, sizeof(hello) - CRYPTO_LINK_TAG_SIZE);
    const struct ord_hash *key = &pair.ends[0].hello_key_out;
    crypto_hmac_sha256(&tag, ord_span_of(key->bytes, sizeof(key->bytes)), &covered, 1);
    memcpy(hello + sizeof(hello) - CRYPTO_LINK_TAG_SIZE, tag.bytes, sizeof(tag.bytes));
    assert_err(open_at(&pair, 0, hello, sizeof(hello)), ORD_ERR_BAD_SIGNATURE);
}

static void open__refuses_frames_claimed_from_or_meant_for_another(void **state) {
    (void) state;
    struct pair pair;
    start_session(&pair);
    uint8_t frame[TEXT_FRAME_SIZE];
    ord_node_id claimed = 0;
    seal_text(&pair, 0, frame, "claim");
    assert_ok(crypto_link_claimed_sender(&claimed, ord_span_of(frame, sizeof(frame))));
    assert_int_equal(claimed, 3);
    ord_store_u32(frame + OFFSET_FROM, 4);
    assert_ok(crypto_link_claimed_sender(&claimed, ord_span_of(frame, sizeof(frame))));
    assert_int_equal(claimed, 4);
    assert_err(open_at(&pair, 1, frame, sizeof(frame)), ORD_ERR_FORBIDDEN);
    ord_store_u32(frame + OFFSET_FROM, 3);
    ord_store_u32(frame + OFFSET_TO, 6);
    assert_err(open_at(&pair, 1, frame, sizeof(frame)), ORD_ERR_FORBIDDEN);
    ord_store_u32(frame + OFFSET_TO, 5);
    assert_ok(open_at(&pair, 1, frame, sizeof(frame)));
}

static void claimed_sender__refuses_what_is_no_frame(void **state) {
    (void) state;
    struct pair pair;
    start_session(&pair);
    uint8_t frame[TEXT_FRAME_SIZE];
    ord_node_id claimed = 0;
    seal_text(&pair, 0, frame, "frame");
    for (size_t size = 0; size < CRYPTO_LINK_OVERHEAD; size++)
        assert_err(crypto_link_claimed_sender(&claimed, ord_span_of(frame, size)), ORD_ERR_INVALID);
    for (size_t i = 0; i < OFFSET_FROM; i++) {
        frame[i] ^= 0x40;
        assert_err(crypto_link_claimed_sender(&claimed, ord_span_of(frame, sizeof(frame))), ORD_ERR_INVALID);
        frame[i] ^= 0x40;
    }
    assert_ok(crypto_link_claimed_sender(&claimed, ord_span_of(frame, sizeof(frame))));
}

static void open__refuses_repeated_and_late_frames(void **state) {
    (void) state;
    struct pair pair;
    start_session(&pair);
    uint8_t frames[3][TEXT_FRAME_SIZE];
    for (int i = 0; i < 3; i++)
        seal_text(&pair, 0, frames[i], "count");
    assert_ok(open_at(&pair, 1, frames[0], TEXT_FRAME_SIZE));
    assert_err(open_at(&pair, 1, frames[0], TEXT_FRAME_SIZE), ORD_ERR_STALE);
    assert_ok(open_at(&pair, 1, frames[2], TEXT_FRAME_SIZE));
    assert_err(open_at(&pair, 1, frames[1], TEXT_FRAME_SIZE), ORD_ERR_STALE);
    assert_err(open_at(&pair, 1, frames[2], TEXT_FRAME_SIZE), ORD_ERR_STALE);
}

/* A frame of the session before this one is late. A forged one is not, once the peer was heard in this session. */
static void open__tells_late_frames_from_forged_ones(void **state) {
    (void) state;
    struct pair pair;
    start_session(&pair);
    uint8_t late[TEXT_FRAME_SIZE];
    uint8_t forged[TEXT_FRAME_SIZE];
    seal_text(&pair, 0, late, "late!");
    memcpy(forged, late, sizeof(forged));
    forged[sizeof(forged) - 1] ^= 1;
    assert_err(open_at(&pair, 1, forged, sizeof(forged)), ORD_ERR_BAD_SIGNATURE);
    /* The peer restarts, and both make another session. */
    start_end(&pair, 0, 55);
    shake_hands(&pair, 0);
    shake_hands(&pair, 1);
    assert_talking(&pair);
    assert_err(open_at(&pair, 1, late, sizeof(late)), ORD_ERR_STALE);
    assert_err(open_at(&pair, 1, forged, sizeof(forged)), ORD_ERR_BAD_SIGNATURE);
}

static void open__refuses_data_before_a_session(void **state) {
    (void) state;
    struct pair pair;
    start_session(&pair);
    uint8_t frame[TEXT_FRAME_SIZE];
    seal_text(&pair, 0, frame, "early");
    start_end(&pair, 1, 99);
    assert_err(open_at(&pair, 1, frame, sizeof(frame)), ORD_ERR_WRONG_STATE);
    /* A tag made with an all-zero key is refused too. */
    struct ord_hash tag;
    const struct ord_hash zero = {{0}};
    const struct ord_span covered = ord_span_of(frame, sizeof(frame) - CRYPTO_LINK_TAG_SIZE);
    crypto_hmac_sha256(&tag, ord_span_of(zero.bytes, sizeof(zero.bytes)), &covered, 1);
    memcpy(frame + sizeof(frame) - CRYPTO_LINK_TAG_SIZE, tag.bytes, sizeof(tag.bytes));
    assert_err(open_at(&pair, 1, frame, sizeof(frame)), ORD_ERR_WRONG_STATE);
}

static void open__refuses_another_network_and_another_key(void **state) {
    (void) state;
    for (int what = 0; what < 2; what++) {
        struct pair pair;
        start_session(&pair);
        const struct crypto_link honest = pair.ends[1];
        if (what == 0)
            pair.genesis_hash.bytes[0] ^= 1;
        else
            pair.keys[0].bytes[31] = 9;
        start_end(&pair, 0, 1);
        uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
        crypto_link_hello(&pair.ends[0], hello);
        assert_err(open_at(&pair, 1, hello, sizeof(hello)), ORD_ERR_BAD_SIGNATURE);
        assert_memory_equal(&pair.ends[1].key_in, &honest.key_in, sizeof(honest.key_in));
    }
}

/* A handshake without offers would fall to this attack: bring back the session from before the peer's restart. */
static void hello__played_again_never_brings_a_session_back(void **state) {
    (void) state;
    struct pair pair;
    uint8_t hellos[16][CRYPTO_LINK_HELLO_SIZE];
    uint8_t data[8][TEXT_FRAME_SIZE];
    start_pair(&pair);
    unsigned hello_count = 0;
    for (unsigned life = 0; life < 4; life++) {
        start_end(&pair, 0, 100 + life);
        bool more = true;
        for (int end = 0; more; end = 1 - end) {
            uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
            enum crypto_link_event event;
            struct ord_span payload;
            crypto_link_hello(&pair.ends[end], hello);
            if (end == 0) {
                assert_in_range(hello_count, 0, 15);
                memcpy(hellos[hello_count++], hello, sizeof(hello));
            }
            assert_ok(crypto_link_open(&pair.ends[1 - end], &event, &payload, ord_span_of(hello, sizeof(hello))));
            more = event == CRYPTO_LINK_HELLO_REPLY;
        }
        for (unsigned i = 0; i < 2; i++) {
            seal_text(&pair, 0, data[2 * life + i], "order");
            assert_ok(open_at(&pair, 1, data[2 * life + i], TEXT_FRAME_SIZE));
        }
    }
    const struct ord_hash key = pair.ends[1].key_in;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < hello_count; i++) {
            assert_ok(open_at(&pair, 1, hellos[i], CRYPTO_LINK_HELLO_SIZE));
            assert_memory_equal(&pair.ends[1].key_in, &key, sizeof(key));
            for (unsigned j = 0; j < 8; j++)
                assert_true(open_at(&pair, 1, data[j], TEXT_FRAME_SIZE) != ORD_OK);
        }
    }
    /* The replays did not disturb the session: one HELLO from either side is agreed with at once. */
    assert_int_equal(shake_hands(&pair, 0), 1);
    assert_int_equal(shake_hands(&pair, 1), 1);
    assert_talking(&pair);
}

static void hello__with_impossible_content_is_refused(void **state) {
    (void) state;
    struct pair pair;
    start_session(&pair);
    for (int what = 0; what < 4; what++) {
        uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
        crypto_link_hello(&pair.ends[0], hello);
        uint8_t *nonces = hello + CRYPTO_LINK_HEADER_SIZE;
        if (what == 0)
            ord_store_u64(hello + OFFSET_COUNTER, 2);
        else
            memset(nonces + (what - 1) * ORD_HASH_SIZE, 0, ORD_HASH_SIZE);
        struct ord_hash tag;
        const struct ord_span covered = ord_span_of(hello, sizeof(hello) - CRYPTO_LINK_TAG_SIZE);
        const struct ord_hash *key = &pair.ends[0].hello_key_out;
        crypto_hmac_sha256(&tag, ord_span_of(key->bytes, sizeof(key->bytes)), &covered, 1);
        memcpy(hello + sizeof(hello) - CRYPTO_LINK_TAG_SIZE, tag.bytes, sizeof(tag.bytes));
        assert_err(open_at(&pair, 1, hello, sizeof(hello)), ORD_ERR_INVALID);
    }
    assert_talking(&pair);
}

/* A seeded network between the two ends. */
#define FLIGHT_MAX 64
#define RECORD_MAX 512
#define DATA_FRAME (CRYPTO_LINK_OVERHEAD + 8)
#define TOKEN_MAX  8192
/*
 * Each frame in flight leads to at most this many frames (itself, its answer, and so on), whatever state the ends are
 * in.
 */
#define CHAIN_MAX 8

struct flying {
    int to;
    size_t size;
    uint8_t bytes[CRYPTO_LINK_HELLO_SIZE];
};

struct net {
    struct pair pair;
    uint64_t random;
    uint64_t lives;
    size_t flying_count;
    struct flying flying[FLIGHT_MAX];
    /* The frames that an eavesdropper can replay: all that were ever sent, up to the bound. */
    size_t record_count;
    struct flying record[RECORD_MAX];
    uint64_t token_count;
    /* 1 + the end that the token was sealed for. */
    uint8_t token_to[TOKEN_MAX];
    uint8_t token_seen[TOKEN_MAX];
    unsigned delivered;
    unsigned replayed;
    unsigned restarts;
};

static uint32_t draw(struct net *net, uint32_t below) {
    net->random ^= net->random << 13; /* xorshift64 */
    net->random ^= net->random >> 7;
    net->random ^= net->random << 17;
    return (uint32_t) ((net->random >> 11) % below);
}

static void put(struct net *net, int to, const uint8_t *bytes, size_t size) {
    struct flying flying = {.to = to, .size = size};
    memcpy(flying.bytes, bytes, size);
    if (net->record_count < RECORD_MAX)
        net->record[net->record_count++] = flying;
    else
        net->record[draw(net, RECORD_MAX)] = flying;
    if (net->flying_count < FLIGHT_MAX) /* otherwise the frame is lost */
        net->flying[net->flying_count++] = flying;
}

static void put_hello(struct net *net, int from) {
    uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
    crypto_link_hello(&net->pair.ends[from], hello);
    put(net, 1 - from, hello, sizeof(hello));
}

/* Seals a unique token into every frame, so that a frame that is accepted twice is noticed. */
static void put_data(struct net *net, int from) {
    uint8_t frame[DATA_FRAME];
    if (!crypto_link_ready(&net->pair.ends[from]))
        return;
    assert_in_range(net->token_count, 0, TOKEN_MAX - 1);
    net->token_to[net->token_count] = (uint8_t) (2 - from);
    ord_store_u64(frame + CRYPTO_LINK_HEADER_SIZE, net->token_count++);
    assert_ok(crypto_link_seal(&net->pair.ends[from], frame, sizeof(frame)));
    put(net, 1 - from, frame, sizeof(frame));
}

static void receive(struct net *net, const struct flying *flying) {
    struct crypto_link *link = &net->pair.ends[flying->to];
    enum crypto_link_event event;
    struct ord_span payload;
    enum ord_err err = crypto_link_open(link, &event, &payload, ord_span_of(flying->bytes, flying->size));
    if (err == ORD_ERR_BAD_SIGNATURE || err == ORD_ERR_WRONG_STATE || err == ORD_ERR_STALE)
        return;
    assert_ok(err);
    if (event == CRYPTO_LINK_HELLO_REPLY)
        put_hello(net, flying->to);
    if (event != CRYPTO_LINK_DATA)
        return;
    assert_int_equal(payload.size, 8);
    uint64_t token = ord_load_u64(payload.data);
    assert_in_range(token, 0, net->token_count - 1);
    assert_int_equal(net->token_to[token], flying->to + 1);
    /* Each frame is accepted at most once, restarts and replays included. */
    assert_int_equal(net->token_seen[token], 0);
    net->token_seen[token] = 1;
    net->delivered++;
}

/* Delivers frame `index`. The others keep their order. */
static void deliver(struct net *net, size_t index) {
    const struct flying flying = net->flying[index];
    net->flying_count--;
    memmove(&net->flying[index], &net->flying[index + 1], (net->flying_count - index) * sizeof(flying));
    receive(net, &flying);
}

static void shake_the_net(struct net *net) {
    switch (draw(net, 16)) {
    case 0:
    case 1:
        put_hello(net, (int) draw(net, 2)); /* the owner's timer fires */
        break;
    case 2:
    case 3:
    case 4:
        put_data(net, (int) draw(net, 2));
        break;
    case 5:
        if (net->flying_count > 0) { /* a frame is lost */
            size_t index = draw(net, (uint32_t) net->flying_count);
            net->flying_count--;
            net->flying[index] = net->flying[net->flying_count];
        }
        break;
    case 6:
        if (net->flying_count > 0) { /* a frame arrives twice */
            const struct flying flying = net->flying[draw(net, (uint32_t) net->flying_count)];
            receive(net, &flying);
        }
        break;
    case 7:
        if (net->record_count > 0) { /* an old frame is replayed */
            const struct flying flying = net->record[draw(net, (uint32_t) net->record_count)];
            receive(net, &flying);
            net->replayed++;
        }
        break;
    case 8:
        if (draw(net, 6) == 0) {
            start_end(&net->pair, (int) draw(net, 2), ++net->lives);
            net->restarts++;
        }
        break;
    case 9:
    case 10:
    case 11:
        if (net->flying_count > 0) /* a frame arrives out of order */
            deliver(net, draw(net, (uint32_t) net->flying_count));
        break;
    default:
        if (net->flying_count > 0)
            deliver(net, 0);
        break;
    }
}

/*
 * From here on nothing is lost. The owners' timers must bring both ends into one session, and then no more frames may
 * be needed.
 */
static void heal(struct net *net) {
    unsigned rounds = 0;
    while (!crypto_link_confirmed(&net->pair.ends[0]) || !crypto_link_confirmed(&net->pair.ends[1]) ||
           net->flying_count > 0) {
        /* A replayed or old frame can confirm a session at one end that the other
         * end has left. Data frames then reveal that. */
        assert_in_range(++rounds, 1, 4);
        for (int end = 0; end < 2; end++)
            if (!crypto_link_confirmed(&net->pair.ends[end]))
                put_hello(net, end);
        const size_t frames_max = CHAIN_MAX * net->flying_count;
        for (size_t frames = 0; net->flying_count > 0; frames++) {
            assert_in_range(frames, 0, frames_max);
            deliver(net, 0);
        }
    }
}

static void handshake__converges_on_any_network(void **state) {
    (void) state;
    struct net *net = malloc(sizeof(*net));
    assert_non_null(net);
    unsigned delivered = 0;
    unsigned replayed = 0;
    unsigned restarts = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        memset(net, 0, sizeof(*net));
        net->random = seed * 0x9e3779b97f4a7c15u;
        net->lives = 1000 * seed;
        start_pair(&net->pair);
        for (int episode = 0; episode < 6; episode++) {
            for (int i = 0; i < 200; i++)
                shake_the_net(net);
            heal(net);
            assert_memory_equal(&net->pair.ends[0].key_out, &net->pair.ends[1].key_in, sizeof(struct ord_hash));
            assert_memory_equal(&net->pair.ends[1].key_out, &net->pair.ends[0].key_in, sizeof(struct ord_hash));
            unsigned before = net->delivered;
            put_data(net, 0);
            put_data(net, 1);
            deliver(net, 0);
            deliver(net, 0);
            assert_int_equal(net->delivered, before + 2);
            assert_int_equal(net->flying_count, 0);
        }
        delivered += net->delivered;
        replayed += net->replayed;
        restarts += net->restarts;
    }
    free(net);
    /* The run must have been worth something: many deliveries, replays and restarts. */
    assert_true(delivered > 10000);
    assert_true(replayed > 5000);
    assert_true(restarts > 500);
}

static void handshake__of_both_at_once_needs_few_frames(void **state) {
    (void) state;
    struct net *net = calloc(1, sizeof(*net));
    assert_non_null(net);
    net->random = 1;
    start_pair(&net->pair);
    put_hello(net, 0);
    put_hello(net, 1);
    unsigned frames = 0;
    for (; net->flying_count > 0; frames++)
        deliver(net, 0);
    assert_in_range(frames, 4, 8);
    assert_true(crypto_link_confirmed(&net->pair.ends[0]));
    assert_true(crypto_link_confirmed(&net->pair.ends[1]));
    assert_talking(&net->pair);
    free(net);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(handshake__makes_one_session_whoever_begins),
    cmocka_unit_test(handshake__again_by_agreeing_ends_changes_nothing),
    cmocka_unit_test(handshake__after_a_restart_makes_a_new_session),
    cmocka_unit_test(init__refuses_a_link_to_oneself_and_a_key_that_is_none),
    cmocka_unit_test(seal__needs_a_session_and_room),
    cmocka_unit_test(open__refuses_any_flipped_bit),
    cmocka_unit_test(open__refuses_every_wrong_length),
    cmocka_unit_test(open__refuses_own_frames_reflected),
    cmocka_unit_test(open__refuses_frames_claimed_from_or_meant_for_another),
    cmocka_unit_test(claimed_sender__refuses_what_is_no_frame),
    cmocka_unit_test(open__refuses_repeated_and_late_frames),
    cmocka_unit_test(open__refuses_data_before_a_session),
    cmocka_unit_test(open__tells_late_frames_from_forged_ones),
    cmocka_unit_test(open__refuses_another_network_and_another_key),
    cmocka_unit_test(hello__played_again_never_brings_a_session_back),
    cmocka_unit_test(hello__with_impossible_content_is_refused),
    cmocka_unit_test(handshake__converges_on_any_network),
    cmocka_unit_test(handshake__of_both_at_once_needs_few_frames),
};
TEST_CASES(cases);
