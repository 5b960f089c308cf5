/*
 * A PBFT core among three others that say whatever the input makes them say, with valid signatures: any order of messages,
 * judgements, checkpoints, state transfers, crashes and restarts. tests/support/bft_host.c holds what must hold: order,
 * exactly once, no contradicting statement of ours, proofs that verify, records that a restart accepts.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/bft_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
    uint64_t now_ms;
};

static uint8_t next(struct input *input) {
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static const struct ord_crypto_ops quick_crypto = {
    .hash = quick_hash, .verify = stand_in_verify, .context = (void *) (uintptr_t) &quick_crypto};

static struct ord_hash pick_digest(uint8_t which) {
    const char batch[2] = {(char) ('a' + which % 3), 0};
    struct ord_hash digest;
    bft_body_digest(&digest, &quick_crypto, ord_span_of(batch, 1));
    return digest;
}

static void receive_some(struct host *host, struct input *input, uint8_t kind) {
    const struct ord_core_config *config = &host->config;
    ord_node_id from = next(input) % 4;
    uint64_t seq = host->applied + next(input) % 16;
    seq = seq > 4 ? seq - 4 : seq;
    uint8_t bytes[BFT_PRE_PREPARE_SIZE + 64];
    if (kind == 0) {
        struct bft_pre_prepare message = {.seq = seq, .sender = from};
        uint8_t which = next(input);
        const char batch[2] = {(char) ('a' + which % 3), 0};
        message.view = which / 3 % 8 == 7 ? 4 : 0;
        message.body = ord_span_of(batch, 1);
        message.digest = pick_digest(which);
        struct bft_statement statement = {
            .type = BFT_PRE_PREPARE, .view = message.view, .seq = seq, .digest = message.digest, .sender = from};
        struct ord_hash hash;
        bft_statement_hash(&hash, config, &statement);
        stand_in_sign(&quick_crypto, &message.signature, from, &hash);
        bft_pre_prepare_encode(bytes, config, &message);
        bytes[BFT_PRE_PREPARE_SIZE] = (uint8_t) batch[0];
        (void) !host_receive(host, from, ord_span_of(bytes, BFT_PRE_PREPARE_SIZE + 1), input->now_ms);
    } else if (kind == 1) {
        uint8_t status[BFT_STATUS_SIZE];
        struct bft_status message = {.sender = from, .delivered_seq = seq, .held = {next(input), next(input)}};
        message.stable_seq = seq - (seq > 3 ? next(input) % 4u : 0);
        bft_status_encode(status, config, &message);
        (void) !host_receive(host, from, ord_span_of(status, sizeof(status)), input->now_ms);
    } else {
        struct bft_vote_list list = {.type = kind == 2 ? BFT_PREPARE : BFT_COMMIT, .sender = from};
        for (list.count = 0; list.count <= next(input) % 4u; seq += 1 + list.votes[list.count - 1].seq % 2)
            list.votes[list.count++] = (struct bft_vote) {.seq = seq, .digest = pick_digest(next(input))};
        (void) !host_receive(host, from, make_list(config, &list), input->now_ms);
    }
}

static void end_turn(struct host *host, struct input *input) {
    host_flush(host, input->now_ms);
    host_commit(host);
    host_sends_clear(host);
}

static void one_event(struct host *host, const struct host *source, struct input *input) {
    uint8_t op = next(input);
    struct ord_event tick = {.type = ORD_EVENT_TICK};
    switch (op % 12) {
    case 0:
    case 1:
    case 2:
    case 3:
        receive_some(host, input, op % 4);
        break;
    case 4:
    case 5:
        if (host->judge_count > 0)
            host_judge(host, op / 12 % host->judge_count, next(input) % 4 != 0, input->now_ms);
        break;
    case 6:
        host_propose(host, ord_span_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1 + op / 4),
                     input->now_ms);
        break;
    case 7:
        host_attested(host, host->applied + next(input) % 24 / 2, input->now_ms);
        break;
    case 8:
        host_sync_from(host, source, host->applied + next(input) % 12, input->now_ms);
        break;
    case 9:
        input->now_ms += next(input);
        tick.now_ms = input->now_ms;
        ORD_ASSERT(host_step(host, &tick) == ORD_OK);
        break;
    case 10:
        end_turn(host, input);
        break;
    default:
        host_crash(host);
        ORD_ASSERT(host_start(host, input->now_ms) == ORD_OK);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct host host;
    static struct host source;
    struct input input = {.data = data, .size = size, .now_ms = 1000};
    struct ord_core_config config = test_config(next(&input) % 4);
    config.crypto = &quick_crypto;
    config.body_bytes_max = 256;
    host_init(&host, &config);
    memset(&source, 0, sizeof(source));
    source.durable_applied = HOST_SEQ_MAX - 1;
    ORD_ASSERT(host_start(&host, input.now_ms) == ORD_OK);
    while (input.size > 0 && host.applied + 40 < HOST_SEQ_MAX)
        one_event(&host, &source, &input);
    host_deinit(&host);
    return 0;
}
