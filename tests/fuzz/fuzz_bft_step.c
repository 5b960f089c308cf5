/*
 * A PBFT core among three others that are all in league. They send whatever the input makes them send, with valid
 * signatures. Messages, judgements, checkpoints, view changes, state transfers, timeouts, crashes and restarts come in
 * any order. tests/support/bft_host.c checks the invariants: seqs are delivered in order and once, our statements never
 * contradict each other, we never vote in a view that we left, proofs verify, and a restart accepts our records.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/support/bft_support.h"

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

/* The last VIEW-CHANGE of a replica. A NEW-VIEW may rest on these; we keep our own too. */
struct change {
    uint64_t view;
    size_t size;
    uint8_t bytes[TEST_VIEW_CHANGE_SIZE];
};

static struct change changes[4];

static void keep_change(ord_node_id sender, uint64_t view, struct ord_span bytes) {
    changes[sender].view = view;
    changes[sender].size = bytes.size;
    memcpy(changes[sender].bytes, bytes.data, bytes.size);
}

/* Delivers a message directly from `from`, or as a RELAY from another replica. */
static void receive_view_message(struct host *host, struct input *input, ord_node_id from, struct ord_span bytes) {
    ord_node_id by = next(input) % 8;
    if (by < 4 && by != from)
        (void) !host_receive(host, by, make_relay(&host->config, by, bytes), input->now_ms);
    else
        (void) !host_receive(host, from, bytes, input->now_ms);
}

static void receive_view_change(struct host *host, struct input *input) {
    struct prepared prepared[8];
    ord_node_id from = next(input) % 4;
    uint8_t ahead = next(input);
    uint64_t view = host->view + ahead % 3;
    uint64_t stable_seq = ahead / 4 % 4 * 4;
    uint32_t count = 0;
    if (ahead > 250)
        view = BFT_SEQ_MAX - ahead % 2;
    if (view == 0)
        return;
    for (uint64_t seq = stable_seq + 1; seq <= stable_seq + host->config.window; seq++) {
        uint8_t which = next(input);
        if (which % 3 == 0)
            prepared[count++] =
                (struct prepared) {.seq = seq,
                                   .view = view - 1 - which / 16 % (view < 3 ? view : 3),
                                   .digest = which > 240 ? (struct ord_hash) {{0}} : pick_digest(which / 3)};
    }
    struct ord_span bytes = make_view_change(&host->config, from, view, stable_seq, prepared, count);
    if (from != host->config.self)
        keep_change(from, view, bytes);
    receive_view_message(host, input, from, bytes);
}

/* Delivers the NEW-VIEW that follows from the kept VIEW-CHANGEs, or one that nearly does. */
static void receive_new_view(struct host *host, struct input *input) {
    struct ord_hash digests[8];
    uint64_t views[8] = {0};
    struct ord_span of[4] = {0};
    uint64_t base_seq = 0;
    uint32_t count = 0;
    uint8_t ahead = next(input);
    uint64_t view = host->view + (ahead % 8 == 7);
    if (view == 0 || view >= BFT_SEQ_MAX)
        return;
    for (ord_node_id node = 0; node < 4; node++)
        if (changes[node].view == view && (ahead >> (4 + node) & 1) == 0)
            of[node] = ord_span_of(changes[node].bytes, changes[node].size);
    for (int pass = 0; pass < 2; pass++)
        for (ord_node_id node = 0; node < 4; node++) {
            struct bft_view_change change;
            struct bft_statement statement;
            struct ord_span certificate;
            if (of[node].size == 0)
                continue;
            ORD_ASSERT(bft_view_change_decode(&change, &host->config, of[node]) == ORD_OK);
            if (change.stable_seq > base_seq)
                base_seq = change.stable_seq;
            while (pass == 1 && bft_view_change_next(&statement, &certificate, &change.certificates, &host->config)) {
                if (statement.seq <= base_seq)
                    continue;
                uint64_t i = statement.seq - base_seq - 1;
                while (count <= i)
                    bft_body_digest(&digests[count++], &quick_crypto, ord_span_of(NULL, 0));
                if (statement.view + 1 > views[i] || (statement.view + 1 == views[i] &&
                                                      memcmp(&statement.digest, &digests[i], sizeof(digests[i])) < 0)) {
                    views[i] = statement.view + 1;
                    digests[i] = statement.digest;
                }
            }
        }
    if (ahead % 8 == 6 && count > 0)
        digests[count - 1] = pick_digest(ahead);
    receive_view_message(host, input, bft_primary(&host->config, view),
                         make_new_view(&host->config, view, base_seq, digests, count, of));
}

static uint64_t pick_view(const struct host *host, uint8_t which) {
    return which / 3 % 8 == 7 ? host->view + 4 : host->view;
}

static void receive_pre_prepare(struct host *host, struct input *input, ord_node_id from, uint64_t seq) {
    uint8_t bytes[BFT_PRE_PREPARE_SIZE + 64];
    uint8_t which = next(input);
    struct bft_pre_prepare message = {.view = pick_view(host, which), .seq = seq, .sender = from};
    const char batch[2] = {(char) ('a' + which % 3), 0};
    message.body = ord_span_of(batch, 1);
    message.digest = pick_digest(which);
    if (message.view > BFT_SEQ_MAX)
        return;
    const struct bft_statement statement = {
        .type = BFT_PRE_PREPARE, .view = message.view, .seq = seq, .digest = message.digest, .sender = from};
    message.signature = sign_alone(&host->config, &statement).signature;
    bft_pre_prepare_encode(bytes, &host->config, &message);
    bytes[BFT_PRE_PREPARE_SIZE] = (uint8_t) batch[0];
    (void) !host_receive(host, from, ord_span_of(bytes, BFT_PRE_PREPARE_SIZE + 1), input->now_ms);
}

static void receive_status(struct host *host, struct input *input, ord_node_id from, uint64_t seq) {
    uint8_t bytes[BFT_STATUS_SIZE];
    struct bft_status message = {.sender = from, .delivered_seq = seq, .held = {next(input), next(input)}};
    uint8_t which = next(input);
    message.stable_seq = seq - (seq > 3 ? which % 4u : 0);
    message.view = which % 8 == 7 ? 0 : pick_view(host, which / 4);
    message.mood = which % 16 > 12  ? BFT_CHANGING
                   : which % 16 > 9 ? BFT_SUSPECTS
                   : which % 16 > 8 ? BFT_HANDS_OVER
                                    : BFT_CONTENT;
    message.changes = which / 16;
    bft_status_encode(bytes, &host->config, &message);
    (void) !host_receive(host, from, ord_span_of(bytes, sizeof(bytes)), input->now_ms);
}

/*
 * Delivers statements of a primary that another replica passes on: one (WITNESS), or two of the same place (EVIDENCE).
 */
static void receive_statements(struct host *host, struct input *input, bool evidence) {
    static const enum bft_type types[] = {BFT_PRE_PREPARE, BFT_NEW_VIEW, BFT_PREPARE, BFT_PRE_PREPARE};
    static const char *const batches[] = {"a", "b", "c"};
    uint8_t which = next(input);
    ord_node_id from = which % 4;
    uint64_t seq = host->applied + which / 4 % 4;
    struct statement said[2];
    said[0].type = evidence ? types[which / 16 % 4] : BFT_PRE_PREPARE;
    said[0].view = which > 240 ? host->view + which % 5 : host->view;
    said[0].sender = bft_primary(&host->config, said[0].view);
    said[0].seq = said[0].type == BFT_NEW_VIEW ? 0 : seq > 0 ? seq : 1;
    which = next(input);
    said[0].batch = batches[which % 3];
    if (which > 200)
        said[0].sender = which % 4;
    said[1] = said[0];
    said[1].batch = batches[which / 4 % 3];
    if (said[0].sender == host->config.self || said[0].view > BFT_SEQ_MAX)
        return; /* the others do not have our key */
    (void) !host_receive(host, from,
                         evidence ? make_evidence(&host->config, from, &said[0], &said[1])
                                  : make_witness(&host->config, from, &said[0]),
                         input->now_ms);
}

/* A replica has started and asks what we hold of its statements. */
static void receive_ask(struct host *host, struct input *input) {
    uint8_t bytes[64];
    uint8_t words = next(input);
    uint8_t which = next(input);
    uint8_t prepared = next(input);
    const struct bft_ask ask = {.view = host->view + which / 4 % 3,
                                .sender = which % 4,
                                .nonce = which,
                                .changing = which > 200 && host->view > 0,
                                .stable_seq = host->applied > words % 8 ? host->applied - words % 8 : 0,
                                .words = &words,
                                .prepared = &prepared};
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_ask_encode(&writer, &host->config, &ask);
    (void) !host_receive(host, ask.sender, ord_writer_span(&writer), input->now_ms);
}

/* A replica answers our ASK. Its answer may hold a statement with our signature that we do not remember. */
static void receive_recall(struct host *host, struct input *input) {
    static const enum bft_type types[] = {BFT_PREPARE, BFT_PRE_PREPARE, BFT_VIEW_CHANGE, BFT_NEW_VIEW};
    uint8_t bytes[1024];
    uint8_t checkpoint[STAND_IN_CHECKPOINT_SIZE];
    uint8_t statement[BFT_SIGNED_VOTE_SIZE_MAX];
    uint8_t which = next(input);
    uint8_t far = next(input);
    struct bft_recall recall = {.sender = which % 4, .nonce = host->starts - (which > 250)};
    recall.stable_seq = far % 2 == 0 ? 0 : host->applied / 4 * 4;
    if (recall.stable_seq > 0)
        recall.certificate = stand_in_checkpoint(checkpoint, host->config.crypto, recall.stable_seq);
    recall.reach_seq = recall.stable_seq + far / 2 % 18;
    struct statement said = {.type = types[which / 4 % 4], .sender = host->config.self, .batch = "a"};
    said.view = host->view + which / 16 % 3;
    said.seq = said.type == BFT_PREPARE || said.type == BFT_PRE_PREPARE ? host->applied + 1 + far % 8 : 0;
    if (which / 64 == 1 && said.view <= BFT_SEQ_MAX)
        recall.statement = make_statement(statement, &host->config, &said);
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_recall_encode(&writer, &host->config, host->view, &recall);
    (void) !host_receive(host, recall.sender, ord_writer_span(&writer), input->now_ms);
}

static void receive_some(struct host *host, struct input *input, uint8_t kind) {
    static const enum bft_type list_types[] = {[2] = BFT_PREPARE, [3] = BFT_COMMIT, [4] = BFT_FETCH};
    ord_node_id from = next(input) % 4;
    uint64_t seq = host->applied + next(input) % 16;
    seq = seq > 4 ? seq - 4 : seq;
    if (kind == 0) {
        receive_pre_prepare(host, input, from, seq);
    } else if (kind == 1) {
        receive_status(host, input, from, seq);
    } else if (kind == 5) {
        const char batch[2] = {(char) ('a' + next(input) % 3), 0};
        (void) !host_receive(host, from, make_body(&host->config, from, host->view, seq, batch), input->now_ms);
    } else {
        struct bft_vote_list list = {.type = list_types[kind], .view = host->view, .sender = from};
        for (list.count = 0; list.count <= next(input) % 4u; seq += 1 + list.votes[list.count - 1].seq % 2)
            list.votes[list.count++] = (struct bft_vote) {.seq = seq, .digest = pick_digest(next(input))};
        (void) !host_receive(host, from, make_list(&host->config, &list), input->now_ms);
    }
}

static void end_turn(struct host *host, struct input *input) {
    host_flush(host, input->now_ms);
    host_commit(host);
    for (size_t i = 0; i < host->send_count; i++)
        if (host->sends[i].data[0] == BFT_VIEW_CHANGE)
            keep_change(host->config.self, host->view, ord_span_of(host->sends[i].data, host->sends[i].size));
    host_sends_clear(host);
}

static void one_event(struct host *host, const struct host *source, struct input *input) {
    uint8_t op = next(input);
    struct ord_event tick = {.type = ORD_EVENT_TICK};
    struct ord_event told = {.now_ms = input->now_ms};
    uint64_t seq;
    switch (op % 25) {
    case 0:
    case 1:
    case 2:
    case 3:
        receive_some(host, input, op % 25);
        break;
    case 12:
    case 13:
        receive_some(host, input, op % 25 - 8);
        break;
    case 14:
    case 15:
        receive_view_change(host, input);
        break;
    case 16:
        receive_new_view(host, input);
        break;
    case 17:
        host_work(host, op < 60 ? UINT64_MAX : input->now_ms - next(input), input->now_ms);
        break;
    case 18:
        input->now_ms += 8 * (uint64_t) next(input);
        tick.now_ms = input->now_ms;
        ORD_ASSERT(host_step(host, &tick) == ORD_OK);
        end_turn(host, input);
        break;
    case 4:
    case 5:
        if (host->judge_count > 0)
            host_judge(host, op / 20 % host->judge_count, next(input) % 4 != 0, input->now_ms);
        break;
    case 6:
        host_propose(host, ord_span_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1 + op / 4),
                     input->now_ms);
        break;
    case 7:
        seq = host->applied + next(input) % 12;
        if (seq > 0)
            host_attested(host, seq, input->now_ms);
        break;
    case 8:
        seq = host->applied + next(input) % 12;
        if (seq > 0)
            host_sync_from(host, source, seq, input->now_ms);
        break;
    case 9:
        input->now_ms += next(input);
        tick.now_ms = input->now_ms;
        ORD_ASSERT(host_step(host, &tick) == ORD_OK);
        break;
    case 20:
    case 21:
        receive_statements(host, input, op % 25 == 21);
        break;
    case 22:
        receive_ask(host, input);
        break;
    case 23:
        receive_recall(host, input);
        break;
    case 24:
        told.type = op < 125 ? ORD_EVENT_HAND_OVER : ORD_EVENT_STORAGE;
        told.storage.available = op > 224;
        ORD_ASSERT(host_step(host, &told) == ORD_OK);
        break;
    case 10:
    case 19:
        end_turn(host, input);
        break;
    default:
        host_crash(host);
        host->asks = op > 200;
        ORD_ASSERT(host_start(host, input->now_ms) == ORD_OK);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct host host;
    static struct host source;
    struct input input = {.data = data, .size = size, .now_ms = 1000};
    uint32_t first = next(&input);
    struct ord_core_config config = test_config(first % 4);
    struct bft_options options = test_options;
    options.decisions_per_leader = first / 4 % 8; /* 0: views have no scheduled end */
    config.crypto = &quick_crypto;
    options.checkpoints = stand_in_checkpoints(&quick_crypto);
    config.options = &options;
    config.body_bytes_max = 256;
    host_init(&host, &config);
    /* receive_recall makes statements in our name that we never signed. */
    host.forgets = true;
    memset(changes, 0, sizeof(changes));
    memset(&source, 0, sizeof(source));
    source.durable_applied = HOST_SEQ_MAX - 1;
    ORD_ASSERT(host_start(&host, input.now_ms) == ORD_OK);
    while (input.size > 0 && host.applied + 40 < HOST_SEQ_MAX)
        one_event(&host, &source, &input);
    host_deinit(&host);
    return 0;
}
