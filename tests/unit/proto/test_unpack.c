/* The allocation budget of decoding: honest messages fit, and whatever unfolds is refused within it (row M3). */
#include "proto/unpack.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test_main.h"

/* The limit of the requests that a replica decodes (node/requests.c). */
enum { STRUCTURES_MAX = 512 << 10, REQUEST_BYTES = 3 << 20, COUNT_MAX = 4096 };

static size_t allocated;               /* bytes that malloc gave while it was watched */
static size_t allowed_left = SIZE_MAX; /* allocations until one fails; SIZE_MAX: none fails */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) {
    if (allowed_left == 0)
        return NULL;
    if (allowed_left != SIZE_MAX)
        allowed_left--;
    allocated += size;
    return __real_malloc(size);
}

static enum ord_err unpack(ProtobufCMessage **out, struct ord_span bytes) {
    allocated = 0;
    enum ord_err err = proto_unpack(out, &ordain__v1__request__descriptor, bytes, STRUCTURES_MAX);
    assert_true(allocated <= proto_unpack_budget(bytes.size, STRUCTURES_MAX));
    return err;
}

/* A request whose member `field` is a message with this content. The caller frees the bytes. */
static struct ord_span request_around(unsigned field, const uint8_t *content, size_t size) {
    uint8_t *bytes = malloc(size + 32);
    assert_non_null(bytes);
    size_t at = 0;
    bytes[at++] = (uint8_t) (field << 3 | 2);
    for (size_t left = size;; left >>= 7) {
        bytes[at++] = (uint8_t) ((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
        if (left <= 0x7f)
            break;
    }
    memcpy(bytes + at, content, size);
    return ord_span_of(bytes, at + size);
}

static void free_span(struct ord_span bytes) {
    free((void *) (uintptr_t) bytes.data);
}

/* The pair of bytes over and over, in the member `field` of a request; 0: in the request itself. */
static void refuse_pairs(unsigned field, uint8_t first, uint8_t second) {
    static uint8_t content[REQUEST_BYTES];
    for (size_t i = 0; i < sizeof(content); i += 2) {
        content[i] = first;
        content[i + 1] = second;
    }
    ProtobufCMessage *message;
    struct ord_span bytes =
        field == 0 ? ord_span_of(content, sizeof(content)) : request_around(field, content, sizeof(content));
    assert_err(unpack(&message, bytes), ORD_ERR_TOO_LARGE);
    assert_null(message);
    assert_true(allocated <= STRUCTURES_MAX + bytes.size + (4 << 10));
    if (field != 0)
        free_span(bytes);
}

static void unpack__refuses_fields_that_unfold(void **state) {
    (void) state;
    refuse_pairs(0, 0x78, 0); /* field 15, which nobody knows */
    refuse_pairs(0, 0x1a, 0); /* an empty WAIT, again and again */
    refuse_pairs(2, 0x78, 0); /* an unknown field of a SUBMIT */
    refuse_pairs(2, 0x0a, 0); /* an empty envelope */
    refuse_pairs(3, 0x10, 1); /* a sequence number that is not packed */
}

/* One byte of a packed array becomes eight. */
static void unpack__refuses_a_packed_array_that_unfolds(void **state) {
    (void) state;
    static uint8_t numbers[REQUEST_BYTES];
    memset(numbers, 1, sizeof(numbers));
    struct ord_span packed = request_around(2, numbers, sizeof(numbers)); /* sequences = 2 in a WAIT */
    struct ord_span bytes = request_around(3, packed.data, packed.size);
    ProtobufCMessage *message;
    assert_err(unpack(&message, bytes), ORD_ERR_TOO_LARGE);
    free_span(packed);
    free_span(bytes);
}

static struct ord_span pack(const Ordain__V1__Request *request) {
    uint8_t *bytes = malloc(ordain__v1__request__get_packed_size(request));
    assert_non_null(bytes);
    return ord_span_of(bytes, ordain__v1__request__pack(request, bytes));
}

static struct ord_span pack_submit(size_t count, size_t size) {
    static ProtobufCBinaryData envelopes[COUNT_MAX];
    static uint8_t payload[REQUEST_BYTES];
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__SubmitRequest submit = ORDAIN__V1__SUBMIT_REQUEST__INIT;
    assert_true(count <= COUNT_MAX && size <= sizeof(payload));
    for (size_t i = 0; i < count; i++)
        envelopes[i] = (ProtobufCBinaryData) {size, payload};
    request.channel = (char *) (uintptr_t) "a channel";
    request.kind_case = ORDAIN__V1__REQUEST__KIND_SUBMIT;
    request.submit = &submit;
    submit.n_envelopes = count;
    submit.envelopes = envelopes;
    return pack(&request);
}

static void take(struct ord_span bytes) {
    ProtobufCMessage *message;
    assert_ok(unpack(&message, bytes));
    proto_free(message);
    free_span(bytes);
}

static void unpack__takes_the_largest_submissions(void **state) {
    (void) state;
    take(pack_submit(COUNT_MAX, 1));
    take(pack_submit(COUNT_MAX, 700));
    take(pack_submit(1, REQUEST_BYTES));
    take(pack_submit(1, 1));
}

static void unpack__takes_the_largest_waits(void **state) {
    (void) state;
    static uint64_t sequences[COUNT_MAX];
    static uint8_t fields[2 * COUNT_MAX];
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__WaitRequest wait = ORDAIN__V1__WAIT_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_WAIT;
    request.wait = &wait;
    wait.n_sequences = COUNT_MAX;
    wait.sequences = sequences;
    take(pack(&request));
    for (size_t i = 0; i < COUNT_MAX; i++)
        sequences[i] = UINT64_MAX - i;
    take(pack(&request));
    /* Another library may send them one by one. */
    for (size_t i = 0; i < sizeof(fields); i += 2) {
        fields[i] = 0x10;
        fields[i + 1] = 1;
    }
    take(request_around(3, fields, sizeof(fields)));
}

static void unpack__refuses_what_is_malformed(void **state) {
    (void) state;
    static const uint8_t bad[] = {0x12, 5, 1};
    ProtobufCMessage *message;
    assert_err(unpack(&message, ord_span_of(bad, sizeof(bad))), ORD_ERR_INVALID);
    assert_null(message);
}

/* Our own lack of memory is told apart from a bad message. */
static void unpack__that_has_no_memory_does_not_blame_the_sender(void **state) {
    (void) state;
    struct ord_span bytes = pack_submit(3, 100);
    ProtobufCMessage *message = NULL;
    enum ord_err err = ORD_ERR_NO_MEMORY;
    size_t failures = 0;
    for (; err == ORD_ERR_NO_MEMORY; failures++) {
        allowed_left = failures;
        err = unpack(&message, bytes);
        allowed_left = SIZE_MAX;
        assert_true((message != NULL) == (err == ORD_OK));
    }
    assert_ok(err);
    assert_in_range(failures, 4, 20);
    proto_free(message);
    free_span(bytes);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(unpack__refuses_fields_that_unfold),
    cmocka_unit_test(unpack__refuses_a_packed_array_that_unfolds),
    cmocka_unit_test(unpack__takes_the_largest_submissions),
    cmocka_unit_test(unpack__takes_the_largest_waits),
    cmocka_unit_test(unpack__refuses_what_is_malformed),
    cmocka_unit_test(unpack__that_has_no_memory_does_not_blame_the_sender),
};
TEST_CASES(cases);
