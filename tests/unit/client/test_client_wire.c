/* Untrusted replies: malformed, of the wrong kind, or made to unfold to gigabytes. */
#include "client/wire.h"

#include <stdlib.h>
#include <string.h>

#include "client/flow/text.h"
#include "tests/support/test_main.h"

static uint8_t *pack(const Ordain__V1__Response *response, size_t *size) {
    *size = ordain__v1__response__get_packed_size(response);
    uint8_t *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    ordain__v1__response__pack(response, bytes);
    return bytes;
}

static enum ord_err unpack(const void *bytes, size_t size, Ordain__V1__Request__KindCase asked) {
    client_response *response = NULL;
    enum ord_err err = client_response_unpack(&response, ord_span_of(bytes, size), asked);
    assert_true((response != NULL) == (err == ORD_OK));
    client_response_free(response);
    return err;
}

static uint8_t *pack_submit(size_t *size, int status) {
    Ordain__V1__SubmitResult result = ORDAIN__V1__SUBMIT_RESULT__INIT;
    Ordain__V1__SubmitResult *results = &result;
    uint8_t receipt[] = {1, 2, 3};
    char words[] = "words";
    result.status = ORDAIN__V1__STATUS__DUPLICATE;
    result.message = words;
    result.receipt = (ProtobufCBinaryData) {sizeof(receipt), receipt};
    Ordain__V1__SubmitResponse submit = ORDAIN__V1__SUBMIT_RESPONSE__INIT;
    submit.n_results = 1;
    submit.results = &results;
    submit.leader_hint = 3;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    response.status = (Ordain__V1__Status) status;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_SUBMIT;
    response.submit = &submit;
    return pack(&response, size);
}

static void response__is_taken_when_it_answers_the_question(void **state) {
    (void) state;
    size_t size = 0;
    uint8_t *bytes = pack_submit(&size, ORDAIN__V1__STATUS__OK);
    client_response *response = NULL;
    assert_ok(client_response_unpack(&response, ord_span_of(bytes, size), ORDAIN__V1__REQUEST__KIND_SUBMIT));
    assert_int_equal(response->submit->leader_hint, 3);
    assert_int_equal(response->submit->results[0]->status, ORDAIN__V1__STATUS__DUPLICATE);
    assert_int_equal(response->submit->results[0]->receipt.len, 3);
    client_response_free(response);
    assert_err(unpack(bytes, size, ORDAIN__V1__REQUEST__KIND_WAIT), ORD_ERR_INVALID);
    assert_err(unpack(bytes, size, ORDAIN__V1__REQUEST__KIND_DELIVER), ORD_ERR_INVALID);
    free(bytes);
}

static void response__with_an_undefined_status_is_refused(void **state) {
    (void) state;
    static const int statuses[] = {0, 15, 99, -1};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        size_t size = 0;
        uint8_t *bytes = pack_submit(&size, statuses[i]);
        assert_err(unpack(bytes, size, ORDAIN__V1__REQUEST__KIND_SUBMIT), ORD_ERR_INVALID);
        free(bytes);
    }
}

static void response__without_what_ok_promises_is_refused(void **state) {
    (void) state;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    size_t size = 0;
    response.status = ORDAIN__V1__STATUS__OK;
    uint8_t *bytes = pack(&response, &size);
    assert_err(unpack(bytes, size, ORDAIN__V1__REQUEST__KIND_SUBMIT), ORD_ERR_INVALID);
    free(bytes);
    response.status = ORDAIN__V1__STATUS__BUSY; /* BUSY promises no content */
    bytes = pack(&response, &size);
    assert_ok(unpack(bytes, size, ORDAIN__V1__REQUEST__KIND_SUBMIT));
    free(bytes);
}

static void response__cut_short_is_refused(void **state) {
    (void) state;
    size_t size = 0;
    uint8_t *bytes = pack_submit(&size, ORDAIN__V1__STATUS__OK);
    for (size_t cut = 1; cut < size; cut++) {
        /* The buffer is exactly as large as the reply, so that a sanitizer sees reads beyond it. */
        uint8_t *copy = malloc(cut);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        if (unpack(copy, cut, ORDAIN__V1__REQUEST__KIND_SUBMIT) == ORD_OK)
            assert_true(cut <= 2); /* a status alone is a valid message, but promises content */
        free(copy);
    }
    assert_err(unpack("", 0, ORDAIN__V1__REQUEST__KIND_SUBMIT), ORD_ERR_INVALID);
    free(bytes);
}

/* Eight million empty results fit in 16 MB; unpacked, they would be 900 MB of structures. */
static void response__that_unfolds_is_refused(void **state) {
    (void) state;
    enum { RESULTS = 8000000 };
    size_t inner = 2u * RESULTS;
    uint8_t *bytes = malloc(inner + 16);
    assert_non_null(bytes);
    size_t at = 0;
    bytes[at++] = 0x08; /* status */
    bytes[at++] = 1;
    bytes[at++] = 0x22; /* submit */
    for (size_t left = inner;; left >>= 7) {
        bytes[at++] = (uint8_t) ((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
        if (left <= 0x7f)
            break;
    }
    for (size_t i = 0; i < RESULTS; i++) {
        bytes[at++] = 0x0a; /* results */
        bytes[at++] = 0;
    }
    assert_err(unpack(bytes, at, ORDAIN__V1__REQUEST__KIND_SUBMIT), ORD_ERR_INVALID);
    free(bytes);
}

static void response__over_the_bound_is_not_even_read(void **state) {
    (void) state;
    uint8_t byte = 0;
    assert_err(unpack(&byte, (size_t) 128 << 20, ORDAIN__V1__REQUEST__KIND_SUBMIT), ORD_ERR_TOO_LARGE);
}

static void words__of_strangers_are_cleaned(void **state) {
    (void) state;
    char out[64];
    client_clean(out, sizeof(out),
                 "a\x1b[2Jb\nc\xff"
                 "d");
    assert_string_equal(out, "a?[2Jb?c?d");
    client_clean(out, 4, "abcdef");
    assert_string_equal(out, "abc");
    client_clean(out, sizeof(out), NULL);
    assert_string_equal(out, "");
    client_status_say(out, sizeof(out), ORDAIN__V1__STATUS__TOO_LARGE, "\tbig");
    assert_string_equal(out, "TOO_LARGE: ?big");
    client_status_say(out, sizeof(out), ORDAIN__V1__STATUS__BUSY, "");
    assert_string_equal(out, "BUSY");
    assert_string_equal(client_status_name((Ordain__V1__Status) 77), "UNKNOWN");
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(response__is_taken_when_it_answers_the_question),
    cmocka_unit_test(response__with_an_undefined_status_is_refused),
    cmocka_unit_test(response__without_what_ok_promises_is_refused),
    cmocka_unit_test(response__cut_short_is_refused),
    cmocka_unit_test(response__that_unfolds_is_refused),
    cmocka_unit_test(response__over_the_bound_is_not_even_read),
    cmocka_unit_test(words__of_strangers_are_cleaned),
};
TEST_CASES(cases);
