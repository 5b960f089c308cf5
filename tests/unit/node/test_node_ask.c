/* What a request may say: malformed fields are refused with a reason, and little is kept of the others (row M3). */
#include "node/ask.h"

#include <string.h>

#include "tests/support/test_main.h"

static uint8_t fingerprint[ORD_HASH_SIZE + 1];

static ProtobufCBinaryData client_of(size_t size) {
    return (ProtobufCBinaryData) {size, fingerprint};
}

static void refuse(const Ordain__V1__Request *request, const char *reason) {
    struct ask ask;
    const char *why = "";
    assert_err(ask_init(&ask, &why, request), ORD_ERR_INVALID);
    assert_string_equal(why, reason);
    assert_null(ask.sequences);
    ask_deinit(&ask);
}

static struct ask take(const Ordain__V1__Request *request) {
    struct ask ask;
    const char *why = NULL;
    assert_ok(ask_init(&ask, &why, request));
    return ask;
}

static void ask__refuses_a_fingerprint_of_another_size(void **state) {
    (void) state;
    static const size_t sizes[] = {1, ORD_HASH_SIZE - 1, ORD_HASH_SIZE + 1};
    static const char reason[] = "a client's fingerprint has 32 bytes";
    uint64_t sequence = 1;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
        Ordain__V1__WaitRequest wait = ORDAIN__V1__WAIT_REQUEST__INIT;
        Ordain__V1__ReceiptRequest receipt = ORDAIN__V1__RECEIPT_REQUEST__INIT;
        Ordain__V1__ClientRequest client = ORDAIN__V1__CLIENT_REQUEST__INIT;
        Ordain__V1__DeliverRequest deliver = ORDAIN__V1__DELIVER_REQUEST__INIT;
        request.kind_case = ORDAIN__V1__REQUEST__KIND_WAIT;
        request.wait = &wait;
        wait.client = client_of(sizes[i]);
        wait.n_sequences = 1;
        wait.sequences = &sequence;
        refuse(&request, reason);
        request.kind_case = ORDAIN__V1__REQUEST__KIND_RECEIPT;
        request.receipt = &receipt;
        receipt.client = client_of(sizes[i]);
        refuse(&request, reason);
        request.kind_case = ORDAIN__V1__REQUEST__KIND_CLIENT;
        request.client = &client;
        client.client = client_of(sizes[i]);
        refuse(&request, reason);
        request.kind_case = ORDAIN__V1__REQUEST__KIND_DELIVER;
        request.deliver = &deliver;
        deliver.only_client = client_of(sizes[i]);
        refuse(&request, reason);
    }
}

static void ask__refuses_a_range_without_a_meaning(void **state) {
    (void) state;
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__DeliverRequest deliver = ORDAIN__V1__DELIVER_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_DELIVER;
    request.deliver = &deliver;
    deliver.from_seek = (Ordain__V1__DeliverRequest__Seek) 3;
    refuse(&request, "a delivery begins at a height, the oldest or the newest block");
    deliver.from_seek = (Ordain__V1__DeliverRequest__Seek) -1;
    refuse(&request, "a delivery begins at a height, the oldest or the newest block");
    deliver.from_seek = ORDAIN__V1__DELIVER_REQUEST__SEEK__HEIGHT;
    deliver.from = 6;
    deliver.to = 5;
    refuse(&request, "the range ends before it begins");
    deliver.to_newest = true;
    assert_int_equal(take(&request).from, 6);
    request.kind_case = ORDAIN__V1__REQUEST__KIND__NOT_SET;
    refuse(&request, "request without a kind that this replica knows");
}

static void ask__keeps_each_sequence_of_a_wait_once(void **state) {
    (void) state;
    static uint64_t sequences[ASK_SEQUENCES_MAX + 1];
    static const char reason[] = "a wait names 1 to 4096 sequence numbers";
    Ordain__V1__Request request = ORDAIN__V1__REQUEST__INIT;
    Ordain__V1__WaitRequest wait = ORDAIN__V1__WAIT_REQUEST__INIT;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_WAIT;
    request.wait = &wait;
    wait.client = client_of(ORD_HASH_SIZE);
    wait.sequences = sequences;
    for (size_t i = 0; i <= ASK_SEQUENCES_MAX; i++)
        sequences[i] = 1000 - i % 1000;
    refuse(&request, reason);
    wait.n_sequences = ASK_SEQUENCES_MAX + 1;
    refuse(&request, reason);
    wait.n_sequences = ASK_SEQUENCES_MAX;
    struct ask ask = take(&request);
    assert_int_equal(ask.sequence_count, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(ask.sequences[i], i + 1);
    ask_deinit(&ask);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(ask__refuses_a_fingerprint_of_another_size),
    cmocka_unit_test(ask__refuses_a_range_without_a_meaning),
    cmocka_unit_test(ask__keeps_each_sequence_of_a_wait_once),
};
TEST_CASES(cases);
