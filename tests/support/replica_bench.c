#include "tests/support/replica_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/test_main.h"

/* ---- the core that the test plays ---- */

struct ord_core {
    struct bench *bench;
};

/* The bench that is being made. A protocol's `init` has no other way to it. */
static struct bench *making;

static size_t core_memory_size(const struct ord_core_config *config) {
    (void) config;
    return sizeof(struct ord_core);
}

static enum ord_err core_init(struct ord_core **out, void *memory, size_t memory_size,
                              const struct ord_core_config *config, const struct ord_signer *signer, uint64_t seed) {
    (void) memory_size;
    (void) config;
    (void) signer;
    (void) seed;
    *out = memory;
    (*out)->bench = making;
    return ORD_OK;
}

/* The first byte decides about a message: 0 is malformed, 1 has a bad signature, and anything else is good. */
static enum ord_err core_authenticate(struct ord_verified *out, const struct ord_core_config *config, ord_node_id from,
                                      struct ord_span bytes) {
    (void) config;
    *out = (struct ord_verified) {.from = from, .bytes = bytes, .type = bytes.data[0]};
    return bytes.data[0] == 0 ? ORD_ERR_INVALID : bytes.data[0] == 1 ? ORD_ERR_BAD_SIGNATURE : ORD_OK;
}

static size_t core_message_size_max(const struct ord_core_config *config) {
    return (size_t) config->batch_bytes_max + 256;
}

/* The second byte is the cost. */
static uint32_t core_cost(struct ord_span bytes) {
    return bytes.data[1] * 16u;
}

static bool core_bulk(struct ord_span bytes) {
    (void) bytes;
    return false;
}

static bool core_wants(const struct ord_core *core, struct ord_span bytes) {
    return bytes.data[2] == 0 && !core->bench->wants_nothing;
}

static enum ord_err core_step(struct ord_core *core, struct ord_effects *out, const struct ord_event *event) {
    struct bench *bench = core->bench;
    bench->effect_count = 0;
    bench->stepped[event->type]++;
    bench->last[event->type] = *event;
    if (bench->on_step != NULL)
        bench->on_step(bench, event);
    *out = (struct ord_effects) {bench->effects, bench->effect_count};
    return ORD_OK;
}

static void core_status(const struct ord_core *core, struct ord_status *out) {
    *out = core->bench->status;
}

/* A log record is the batch itself. */
static enum ord_err core_body_of_record(struct ord_span *batch, struct ord_span record) {
    *batch = record;
    return ORD_OK;
}

static const struct ord_protocol played = {.name = "played",
                                           .memory_size = core_memory_size,
                                           .init = core_init,
                                           .authenticate = core_authenticate,
                                           .message_size_max = core_message_size_max,
                                           .cost = core_cost,
                                           .bulk = core_bulk,
                                           .wants = core_wants,
                                           .step = core_step,
                                           .status = core_status,
                                           .body_table = 1,
                                           .body_of_record = core_body_of_record};

struct ord_effect *bench_effect(struct bench *bench, enum ord_effect_type type) {
    assert_in_range(bench->effect_count, 0, BENCH_EFFECTS_MAX - 1);
    struct ord_effect *effect = &bench->effects[bench->effect_count++];
    *effect = (struct ord_effect) {.type = type};
    return effect;
}

/* ---- the store ---- */

/* The replica knows its store as a ledger. Here it is the bench. */
static struct bench *bench_of(const struct ledger *ledger) {
    return (struct bench *) (uintptr_t) ledger;
}

static struct bench_record *find(struct bench_records *records, const char *name) {
    for (uint32_t i = 0; i < records->count; i++)
        if (strcmp(records->items[i].name, name) == 0)
            return &records->items[i];
    return NULL;
}

static void put_into(struct bench_records *records, const struct bench_record *record) {
    struct bench_record *there = find(records, record->name);
    if (there == NULL) {
        assert_in_range(records->count, 0, 511);
        there = &records->items[records->count++];
    }
    *there = *record;
}

static enum ord_err put(struct bench *bench, const char *name, struct ord_span bytes, bool gone) {
    struct bench_record record = {.bytes = net_copy(bench->net, bytes), .gone = gone};
    snprintf(record.name, sizeof(record.name), "%s", name);
    if (bench->put_err != ORD_OK)
        return bench->put_err;
    put_into(&bench->open, &record);
    bench->turn_bytes += bytes.size;
    return ORD_OK;
}

static bool get_fails(struct bench *bench) {
    return ++bench->gets == bench->get_fails;
}

static enum ord_err get(struct bench *bench, struct ord_bytes *out, const char *name) {
    *out = (struct ord_bytes) {0};
    if (get_fails(bench))
        return bench->get_err;
    const struct bench_record *record = find(&bench->disk, name);
    if (record == NULL || record->gone)
        return ORD_ERR_NOT_FOUND;
    out->data = malloc(record->bytes.size + 1);
    if (out->data == NULL)
        return ORD_ERR_NO_MEMORY;
    memcpy(out->data, record->bytes.data, record->bytes.size);
    out->size = record->bytes.size;
    return ORD_OK;
}

static const char *numbered(char out[40], const char *kind, uint64_t a, uint64_t b) {
    snprintf(out, 40, "%s %lu %lu", kind, (unsigned long) a, (unsigned long) b);
    return out;
}

static enum ord_err put_block(struct ledger *ledger, uint64_t height, struct ord_span header, struct ord_span data) {
    struct bench *bench = bench_of(ledger);
    char name[40];
    uint8_t *bytes = net_alloc(bench->net, header.size + data.size);
    memcpy(bytes, header.data, header.size);
    memcpy(bytes + header.size, data.data, data.size);
    return put(bench, numbered(name, "block", height, 0), ord_span_of(bytes, header.size + data.size), false);
}

static enum ord_err put_index(struct ledger *ledger, uint32_t client_index, uint64_t sequence, uint64_t height,
                              uint32_t envelope_index) {
    char name[40];
    uint64_t place[] = {height, envelope_index};
    return put(bench_of(ledger), numbered(name, "index", client_index, sequence), ord_span_of(place, sizeof(place)),
               false);
}

static enum ord_err put_certificate(struct ledger *ledger, uint64_t height, struct ord_span certificate) {
    char name[40];
    return put(bench_of(ledger), numbered(name, "certificate", height, 0), certificate, false);
}

static enum ord_err put_client(struct ledger *ledger, uint32_t client_index, struct ord_span record) {
    char name[40];
    return put(bench_of(ledger), numbered(name, "client", client_index, 0), record, false);
}

static enum ord_err put_meta(struct ledger *ledger, const char *name, struct ord_span value) {
    return put(bench_of(ledger), name, value, value.size == 0);
}

static enum ord_err put_record(struct ledger *ledger, const struct ord_record *record) {
    char name[40];
    return put(bench_of(ledger), numbered(name, "record", record->table, record->key), record->bytes, false);
}

static enum ord_err drop_records(struct bench *bench, uint8_t table, uint64_t first, uint64_t last) {
    struct bench_records *all[] = {&bench->disk, &bench->frozen, &bench->open};
    for (size_t i = 0; i < 3; i++)
        for (uint32_t j = 0; j < all[i]->count; j++) {
            unsigned long t;
            unsigned long key;
            const char *name = all[i]->items[j].name;
            if (sscanf(name, "record %lu %lu", &t, &key) == 2 && t == table && key >= first && key <= last)
                assert_int_equal(put(bench, name, ord_span_of(NULL, 0), true), ORD_OK);
        }
    return ORD_OK;
}

static enum ord_err forget(struct ledger *ledger, uint8_t table, uint64_t key) {
    return drop_records(bench_of(ledger), table, 0, key);
}

static enum ord_err forget_after(struct ledger *ledger, uint8_t table, uint64_t key) {
    return key == UINT64_MAX ? ORD_OK : drop_records(bench_of(ledger), table, key + 1, UINT64_MAX);
}

static bool dirty(const struct ledger *ledger) {
    return bench_of(ledger)->open.count > 0;
}

static uint64_t turn_bytes(const struct ledger *ledger) {
    return bench_of(ledger)->turn_bytes;
}

static enum ord_err get_block(struct ledger *ledger, struct ord_bytes *out, uint64_t height) {
    char name[40];
    return get(bench_of(ledger), out, numbered(name, "block", height, 0));
}

static enum ord_err get_headers(struct ledger *ledger, struct ord_bytes *out, uint64_t from, uint64_t to,
                                size_t header_size, size_t bytes_max) {
    assert_int_equal(header_size, CHANNEL_HEADER_SIZE);
    *out = (struct ord_bytes) {.data = malloc((to - from + 1) * CHANNEL_HEADER_SIZE)};
    assert_non_null(out->data);
    for (uint64_t height = from; height <= to && out->size + CHANNEL_HEADER_SIZE <= bytes_max; height++) {
        struct ord_bytes block;
        if (get_block(ledger, &block, height) != ORD_OK)
            break;
        memcpy(out->data + out->size, block.data, CHANNEL_HEADER_SIZE);
        out->size += CHANNEL_HEADER_SIZE;
        free(block.data);
    }
    return ORD_OK;
}

static enum ord_err get_client(struct ledger *ledger, struct ord_bytes *out, uint32_t client_index) {
    char name[40];
    return get(bench_of(ledger), out, numbered(name, "client", client_index, 0));
}

static enum ord_err get_meta(struct ledger *ledger, struct ord_bytes *out, const char *name) {
    return get(bench_of(ledger), out, name);
}

static enum ord_err get_record(struct ledger *ledger, struct ord_bytes *out, uint8_t table, uint64_t key) {
    char name[40];
    return get(bench_of(ledger), out, numbered(name, "record", table, key));
}

static int by_key(const void *a, const void *b) {
    const struct ord_record *x = a;
    const struct ord_record *y = b;
    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return x->key < y->key ? -1 : x->key > y->key;
}

static enum ord_err get_records(struct ledger *ledger, struct ord_record **records, size_t *count) {
    struct bench *bench = bench_of(ledger);
    if (get_fails(bench))
        return bench->get_err;
    *records = calloc(bench->disk.count + 1, sizeof(**records));
    if (*records == NULL)
        return ORD_ERR_NO_MEMORY;
    *count = 0;
    for (uint32_t i = 0; i < bench->disk.count; i++) {
        unsigned long table;
        unsigned long key;
        const struct bench_record *record = &bench->disk.items[i];
        if (!record->gone && sscanf(record->name, "record %lu %lu", &table, &key) == 2)
            (*records)[(*count)++] = (struct ord_record) {(uint8_t) table, key, record->bytes};
    }
    qsort(*records, *count, sizeof(**records), by_key);
    return ORD_OK;
}

static enum ord_err newest_height(struct ledger *ledger, uint64_t *height) {
    struct bench *bench = bench_of(ledger);
    bool any = false;
    if (get_fails(bench))
        return bench->get_err;
    *height = 0;
    for (uint32_t i = 0; i < bench->disk.count; i++) {
        unsigned long at;
        if (sscanf(bench->disk.items[i].name, "block %lu", &at) == 1) {
            *height = at > *height ? at : *height;
            any = true;
        }
    }
    return any ? ORD_OK : ORD_ERR_NOT_FOUND;
}

/* ---- the other functions of the host ---- */

static enum ord_err certificate(void *context, struct ord_bytes *out, uint64_t *at, uint64_t height) {
    char name[40];
    for (*at = height; *at < height + 64; (*at)++)
        if (get(context, out, numbered(name, "certificate", *at, 0)) == ORD_OK)
            return ORD_OK;
    out->data = NULL;
    return ORD_ERR_NOT_FOUND;
}

static bool next(void *context, struct replica_input *out) {
    struct bench *bench = context;
    if (bench->input_next == bench->input_count)
        return false;
    *out = bench->inputs[bench->input_next++];
    return true;
}

static void send_message(void *context, uint64_t turn, ord_replica_set to, enum replica_link kind,
                         const struct ord_span *parts, size_t part_count) {
    struct bench *bench = context;
    size_t size = 0;
    for (size_t i = 0; i < part_count; i++)
        size += parts[i].size;
    uint8_t *bytes = net_alloc(bench->net, size + 1);
    size_t at = 0;
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].size > 0)
            memcpy(bytes + at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
    assert_in_range(bench->sent_count, 0, 255);
    bench->sent[bench->sent_count++] = (struct bench_message) {turn, to, kind, ord_span_of(bytes, size)};
}

static ord_replica_set connected(void *context) {
    return ((struct bench *) context)->connected;
}

static void check(void *context, struct replica_check *handed) {
    struct bench *bench = context;
    assert_in_range(bench->check_count, 0, 63);
    bench->checks[bench->check_count++] = handed;
}

static void hold(void *context, void *owner) {
    (void) owner;
    ((struct bench *) context)->holds++;
}

static void release(void *context, void *owner) {
    (void) owner;
    ((struct bench *) context)->holds--;
}

static void answer(void *context, struct replica_submission *submission) {
    struct bench *bench = context;
    bench->answered = submission;
    bench->answer_count++;
}

static void certified(void *context, uint64_t height, const struct channel_certificate *certificate) {
    (void) certificate;
    ((struct bench *) context)->certified_height = height;
}

static void count_line(void *context, enum replica_log_level level, const char *event, const char *format,
                       va_list arguments) {
    struct bench *bench = context;
    (void) event;
    (void) format;
    (void) arguments;
    bench->logged++;
    bench->logged_errors += level == REPLICA_LOG_ERROR;
}

static bool verify(const void *context, const struct crypto_verify_key *key, const struct ord_hash *hash,
                   const struct ord_signature *signature) {
    (void) context;
    return crypto_verify(key, hash, signature);
}

/* ---- running it ---- */

static void fold(struct bench_records *into, struct bench_records *from) {
    for (uint32_t i = 0; i < from->count; i++)
        put_into(into, &from->items[i]);
    from->count = 0;
}

static enum ord_err commit(struct ledger *ledger) {
    struct bench *bench = bench_of(ledger);
    fold(&bench->disk, &bench->open);
    return ORD_OK;
}

static enum ord_err start(struct bench *bench) {
    char why[512];
    making = bench;
    enum ord_err err = replica_create(&bench->replica, &bench->options, &bench->time, why, sizeof(why));
    if (err != ORD_OK)
        bench->replica = NULL;
    return err;
}

static struct bench *create(struct net *net, struct party *client, ord_node_id self) {
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    bench->net = net;
    bench->client = client;
    bench->status = (struct ord_status) {.leader = ORD_NO_NODE};
    bench->connected = 15 & ~ord_replica_bit(self);
    bench->time = (struct replica_time) {.now_ms = 1000, .wall_s = (int64_t) time(NULL), .room = true};
    struct ord_span data = bench->net->genesis_file;
    bench->options = (struct replica_options) {
        .config = &bench->net->config,
        .genesis_hash = &bench->net->genesis_hash,
        .genesis_header = &bench->net->genesis_header,
        .genesis_data = ord_span_of(data.data + CHANNEL_HEADER_SIZE, data.size - CHANNEL_HEADER_SIZE),
        .protocol = &played,
        .crypto = &bench->net->ops,
        .self = self,
        .signer = bench->net->signers[self],
        .verifier = {.verify = verify},
        .pool_envelopes_max = 64,
        .pool_bytes_max = 1 << 20,
        .client_envelopes_max = 32,
        .sources_max = 8,
        .turn_bytes_max = 64 << 20,
        .message_bytes_max = 8 << 20,
        .ledger_name = "a ledger",
        .genesis_name = "a genesis block",
        .host = {.context = bench,
                 .store = {(struct ledger *) (void *) bench, put_block, put_index, put_certificate, put_client,
                           put_meta, put_record, forget, forget_after, dirty, turn_bytes, commit, get_block,
                           get_headers, get_client, get_meta, get_record, get_records, newest_height},
                 .certificate = certificate,
                 .next = next,
                 .send = send_message,
                 .connected = connected,
                 .check = check,
                 .hold = hold,
                 .release = release,
                 .answer = answer,
                 .certified = certified,
                 .log = count_line}};
    assert_int_equal(start(bench), ORD_OK);
    return bench;
}

struct bench *bench_create(void (*tweak)(struct channel_config *config)) {
    struct net *net = net_create(tweak);
    struct bench *bench = create(net, net_party(net, 0, CRYPTO_ROLE_CLIENT, "client"), 0);
    bench->owns_net = true;
    return bench;
}

struct bench *bench_create_beside(struct bench *first, ord_node_id self) {
    return create(first->net, first->client, self);
}

static void stop(struct bench *bench) {
    if (bench->replica == NULL)
        return;
    for (uint32_t i = 0; i < bench->check_count; i++)
        replica_check_drop(bench->replica, bench->checks[i]);
    for (; bench->input_next < bench->input_count; bench->input_next++)
        if (bench->inputs[bench->input_next].type == REPLICA_INPUT_CHECKED)
            replica_check_drop(bench->replica, bench->inputs[bench->input_next].check);
    bench->check_count = 0;
    bench->input_next = 0;
    bench->input_count = 0;
    replica_destroy(bench->replica);
    bench->replica = NULL;
    assert_int_equal(bench->holds, 0);
}

void bench_destroy(struct bench *bench) {
    stop(bench);
    if (bench->owns_net)
        net_destroy(bench->net);
    free(bench);
}

enum ord_err bench_restart(struct bench *bench) {
    stop(bench);
    bench->open.count = 0;
    bench->frozen.count = 0;
    bench->turn_bytes = 0;
    bench_forget_sent(bench);
    memset(bench->stepped, 0, sizeof(bench->stepped));
    return start(bench);
}

void bench_input(struct bench *bench, const struct replica_input *input) {
    if (bench->input_next == bench->input_count)
        bench->input_next = bench->input_count = 0;
    assert_in_range(bench->input_count, 0, 63);
    bench->inputs[bench->input_count++] = *input;
}

void bench_message(struct bench *bench, ord_node_id from, uint8_t kind, struct ord_span bytes) {
    const struct replica_input input = {
        .type = REPLICA_INPUT_MESSAGE,
        .message = {.from = from, .kind = kind, .bytes = net_copy(bench->net, bytes), .owner = bench}};
    bench_input(bench, &input);
}

struct replica_submission *bench_submit(struct bench *bench, const struct ord_span *envelopes, uint32_t count) {
    struct replica_submission *submission = net_alloc(bench->net, sizeof(*submission));
    struct ord_span *copies = net_alloc(bench->net, count * sizeof(*copies));
    memcpy(copies, envelopes, count * sizeof(*copies));
    *submission = (struct replica_submission) {.source = 1000,
                                               .envelopes = copies,
                                               .count = count,
                                               .results = net_alloc(bench->net, count * sizeof(struct replica_result))};
    const struct replica_input input = {.type = REPLICA_INPUT_SUBMITTED, .submission = submission};
    bench_input(bench, &input);
    return submission;
}

void bench_turn(struct bench *bench) {
    replica_turn(bench->replica, &bench->time);
}

uint64_t bench_commit(struct bench *bench) {
    uint64_t turn = replica_commit(bench->replica, false);
    if (turn == 0)
        return 0;
    fold(&bench->frozen, &bench->open);
    bench->turn_bytes = 0;
    return turn;
}

void bench_committed(struct bench *bench, uint64_t turn) {
    fold(&bench->disk, &bench->frozen);
    replica_committed(bench->replica, turn, &bench->time);
}

void bench_run(struct bench *bench) {
    bench_turn(bench);
    uint64_t turn = bench_commit(bench);
    if (turn != 0)
        bench_committed(bench, turn);
}

void bench_check_all(struct bench *bench) {
    for (uint32_t i = 0; i < bench->check_count; i++) {
        const struct replica_input input = {.type = REPLICA_INPUT_CHECKED, .check = bench->checks[i]};
        if (!bench->checks[i]->ignored)
            replica_check_run(bench->checks[i]);
        bench_input(bench, &input);
    }
    bench->check_count = 0;
}

uint32_t bench_left(const struct bench *bench, enum replica_link kind, struct ord_span *last) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < bench->sent_count; i++) {
        const struct bench_message *message = &bench->sent[i];
        if (message->kind != kind || message->turn > replica_durable_turn(bench->replica))
            continue;
        count++;
        if (last != NULL)
            *last = message->bytes;
    }
    return count;
}

uint32_t bench_sent(const struct bench *bench, enum replica_link kind) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < bench->sent_count; i++)
        count += bench->sent[i].kind == kind;
    return count;
}

void bench_forget_sent(struct bench *bench) {
    bench->sent_count = 0;
}

struct ord_span bench_disk(const struct bench *bench, const char *name) {
    for (uint32_t i = 0; i < bench->disk.count; i++)
        if (strcmp(bench->disk.items[i].name, name) == 0 && !bench->disk.items[i].gone)
            return bench->disk.items[i].bytes;
    return ord_span_of(NULL, 0);
}

struct ord_span bench_registration(struct bench *bench) {
    const struct ord_span envelope = net_registration(bench->net, bench->client);
    return net_batch(bench->net, 0, &envelope, 1);
}

struct ord_span bench_batch(struct bench *bench, uint64_t first, uint32_t count) {
    struct ord_span envelopes[32];
    assert_in_range(count, 1, 32);
    for (uint32_t i = 0; i < count; i++)
        envelopes[i] = net_envelope(bench->net, bench->client, first + i, 1, 20, (uint8_t) i);
    return net_batch(bench->net, 0, envelopes, count);
}
