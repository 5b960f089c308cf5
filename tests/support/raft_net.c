/*
 * The small cluster of tests/support/raft_net.h.
 */
#include "tests/support/raft_net.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"

static enum ord_err verify_point(const void *context, uint64_t *seq, struct ord_span certificate) {
    (void) context;
    if (certificate.size != RAFT_NET_POINT)
        return ORD_ERR_INVALID;
    *seq = ord_load_u64(certificate.data);
    return ORD_OK;
}

struct raft_options raft_net_options(void) {
    return (struct raft_options) {.election_ms_min = 300,
                                  .election_ms_max = 600,
                                  .heartbeat_ms = 60,
                                  .in_flight_max = 4,
                                  .in_flight_size = 1024,
                                  .checkpoints = {.size_max = RAFT_NET_POINT, .verify = verify_point}};
}

uint64_t raft_net_random(struct raft_net *net, uint64_t below) {
    net->seed = net->seed * 6364136223846793005U + 1442695040888963407U;
    return (net->seed >> 33) % below;
}

static struct raft_op *ops_insert(struct raft_ops *ops, size_t at) {
    if (ops->count == ops->capacity) {
        ops->capacity = ops->capacity == 0 ? 16 : 2 * ops->capacity;
        ops->items = realloc(ops->items, ops->capacity * sizeof(*ops->items));
        ORD_ASSERT(ops->items != NULL);
    }
    memmove(ops->items + at + 1, ops->items + at, (ops->count - at) * sizeof(*ops->items));
    ops->count++;
    return &ops->items[at];
}

static void ops_remove(struct raft_ops *ops, size_t at) {
    free(ops->items[at].data);
    ops->count--;
    memmove(ops->items + at, ops->items + at + 1, (ops->count - at) * sizeof(*ops->items));
}

static void ops_clear(struct raft_ops *ops) {
    while (ops->count > 0)
        ops_remove(ops, ops->count - 1);
}

static uint8_t *join(struct ord_span a, struct ord_span b) {
    uint8_t *data = malloc(a.size + b.size + 1);
    ORD_ASSERT(data != NULL);
    if (a.size > 0)
        memcpy(data, a.data, a.size);
    if (b.size > 0)
        memcpy(data + a.size, b.data, b.size);
    return data;
}

void raft_net_open(struct raft_net *net, uint32_t count, const struct raft_options *options, uint64_t seed) {
    memset(net, 0, sizeof(*net));
    net->count = count;
    net->seed = seed;
    net->now_ms = 1000;
    for (ord_node_id i = 0; i < count; i++) {
        net->nodes[i].config = (struct ord_core_config) {.self = i,
                                                         .replica_count = count,
                                                         .epoch = 3,
                                                         .window = 16,
                                                         .checkpoint_interval = 4,
                                                         .batch_bytes_max = 256,
                                                         .body_bytes_max = 2048,
                                                         .retransmit_ms = 50,
                                                         .options = options};
        raft_net_start(net, i);
    }
}

void raft_net_close(struct raft_net *net) {
    for (ord_node_id i = 0; i < net->count; i++) {
        raft_net_crash(net, i);
        raft_net_free_disk(&net->nodes[i].disk);
        free(net->nodes[i].staged.items);
    }
    for (size_t i = 0; i < net->letter_count; i++)
        free(net->letters[i].data);
    free(net->letters);
}

void raft_net_copy_disk(struct raft_disk *out, const struct raft_disk *disk) {
    memset(out, 0, sizeof(*out));
    out->applied_seq = disk->applied_seq;
    for (size_t i = 0; i < disk->records.count; i++) {
        struct raft_op *op = ops_insert(&out->records, i);
        *op = disk->records.items[i];
        op->data = join(ord_span_of(op->data, op->size), ord_span_of(NULL, 0));
    }
}

void raft_net_free_disk(struct raft_disk *disk) {
    ops_clear(&disk->records);
    free(disk->records.items);
    memset(disk, 0, sizeof(*disk));
}

void raft_net_lose_disk(struct raft_net *net, ord_node_id node) {
    ORD_ASSERT(net->nodes[node].core == NULL);
    raft_net_free_disk(&net->nodes[node].disk);
}

static void post(struct raft_net *net, ord_node_id from, ord_replica_set to, struct ord_span a, struct ord_span b) {
    for (ord_node_id i = 0; i < net->count; i++) {
        if ((to & ord_replica_bit(i)) == 0 || net->cut[from][i])
            continue;
        if (net->letter_count == net->letter_capacity) {
            net->letter_capacity = net->letter_capacity == 0 ? 64 : 2 * net->letter_capacity;
            net->letters = realloc(net->letters, net->letter_capacity * sizeof(*net->letters));
            ORD_ASSERT(net->letters != NULL);
        }
        net->letters[net->letter_count++] =
            (struct raft_letter) {.from = from, .to = i, .data = join(a, b), .size = a.size + b.size};
    }
}

/* State machine safety: what is delivered at a seq is the same everywhere, and for ever. */
static void delivered(struct raft_net *net, ord_node_id node, uint64_t seq, struct ord_span batch) {
    const struct raft_log *log = &net->nodes[node].core->log;
    uint64_t number = batch.size == 0 ? 0 : ord_load_u64(batch.data);
    if (net->unchecked)
        return;
    ORD_ASSERT(seq < RAFT_NET_SEQ_MAX && seq <= net->committed + 1);
    if (seq == net->committed + 1) {
        net->committed = seq;
        net->batches[seq] = number;
        net->terms[seq] = seq >= log->base_seq ? raft_log_term(log, seq) : 0; /* 0: not known */
    }
    ORD_ASSERT(net->batches[seq] == number);
}

static void stage(struct raft_node *node, const struct ord_effect *effect) {
    struct raft_op *op = ops_insert(&node->staged, node->staged.count);
    *op = (struct raft_op) {.turn = node->turn, .type = effect->type};
    if (effect->type == ORD_EFFECT_PERSIST) {
        op->table = effect->persist.table;
        op->key = effect->persist.key;
        op->data = join(effect->persist.bytes, ord_span_of(NULL, 0));
        op->size = effect->persist.bytes.size;
    } else if (effect->type == ORD_EFFECT_SEND) {
        op->to = effect->send.to;
        op->data = join(effect->send.bytes, effect->send.body);
        op->size = effect->send.bytes.size + effect->send.body.size;
    } else if (effect->type == ORD_EFFECT_DELIVER) {
        op->key = effect->deliver.seq;
    } else {
        op->table = effect->forget.table;
        op->key = effect->forget.key;
    }
}

static void carry_out(struct raft_net *net, ord_node_id at, const struct ord_effect *effect) {
    struct raft_node *node = &net->nodes[at];
    if (net->on_effect != NULL)
        net->on_effect(at, effect);
    switch (effect->type) {
    case ORD_EFFECT_SEND:
        if (effect->send.after_persist)
            stage(node, effect);
        else
            post(net, at, effect->send.to, effect->send.bytes, effect->send.body);
        break;
    case ORD_EFFECT_DELIVER:
        ORD_ASSERT(effect->deliver.seq == node->applied_seq + 1);
        node->applied_seq++;
        delivered(net, at, effect->deliver.seq, effect->deliver.batch);
        stage(node, effect);
        break;
    case ORD_EFFECT_PERSIST:
    case ORD_EFFECT_FORGET:
    case ORD_EFFECT_FORGET_AFTER:
        stage(node, effect);
        break;
    case ORD_EFFECT_WAKE_AT:
        node->wake_ms = effect->wake.at_ms;
        break;
    case ORD_EFFECT_SYNC:
        node->sync_seq = effect->sync.seq;
        break;
    case ORD_EFFECT_REJECT:
        node->rejected = effect->reject.err;
        break;
    case ORD_EFFECT_LEADER:
        break;
    case ORD_EFFECT_JUDGE:
    case ORD_EFFECT_EVIDENCE:
        ORD_ASSERT(false);
    }
}

/* Election safety, leader append-only and leader completeness. */
static void check_leader(struct raft_net *net, ord_node_id at) {
    struct raft_node *node = &net->nodes[at];
    const struct ord_core *core = node->core;
    if (core->role != RAFT_LEADER)
        return;
    uint64_t term = core->hard.term;
    ORD_ASSERT(term < RAFT_NET_SEQ_MAX);
    ORD_ASSERT(net->leaders[term] == 0 || net->leaders[term] == at + 1);
    net->leaders[term] = at + 1;
    ORD_ASSERT(node->led_term != term || core->log.last_seq >= node->led_last_seq);
    if (node->led_term != term)
        for (uint64_t seq = core->log.base_seq + 1; seq <= net->committed; seq++) {
            if (net->terms[seq] >= term)
                break; /* a later leader's: this one is stale */
            ORD_ASSERT(seq <= core->log.last_seq &&
                       (net->terms[seq] == 0 || raft_log_term(&core->log, seq) == net->terms[seq]));
        }
    node->led_term = term;
    node->led_last_seq = core->log.last_seq;
}

/* Log matching: two logs that agree on the term at a seq agree on everything before. */
static void check_logs(const struct raft_net *net, ord_node_id at) {
    const struct raft_log *a = &net->nodes[at].core->log;
    for (ord_node_id i = 0; i < net->count; i++) {
        if (i == at || net->nodes[i].core == NULL)
            continue;
        const struct raft_log *b = &net->nodes[i].core->log;
        bool equal = false;
        uint64_t low = ord_max(a->base_seq, b->base_seq);
        for (uint64_t seq = ord_min(a->last_seq, b->last_seq); seq > low; seq--) {
            bool same = raft_log_term(a, seq) == raft_log_term(b, seq);
            ORD_ASSERT(!equal || same);
            equal = same;
            ORD_ASSERT(!same || ord_span_equal(raft_log_batch(a, seq), raft_log_batch(b, seq)));
        }
    }
}

enum ord_err raft_net_event(struct raft_net *net, ord_node_id at, struct ord_event *event) {
    struct raft_node *node = &net->nodes[at];
    struct ord_effects effects;
    event->now_ms = net->now_ms;
    event->turn = node->turn;
    enum ord_err err = raft_protocol.step(node->core, &effects, event);
    for (size_t i = 0; i < effects.count; i++)
        carry_out(net, at, &effects.items[i]);
    if (!net->holds_turn) {
        struct ord_event flush = {.type = ORD_EVENT_FLUSH, .now_ms = net->now_ms, .turn = node->turn};
        ORD_ASSERT(err != ORD_OK || raft_protocol.step(node->core, &effects, &flush) == ORD_OK);
        for (size_t i = 0; err == ORD_OK && i < effects.count; i++)
            carry_out(net, at, &effects.items[i]);
        node->turn++; /* each event is a turn of its own */
    }
    if (!net->unchecked) {
        check_leader(net, at);
        check_logs(net, at);
    }
    return err;
}

void raft_net_start(struct raft_net *net, ord_node_id at) {
    struct raft_node *node = &net->nodes[at];
    size_t size = raft_protocol.memory_size(&node->config);
    void *memory = malloc(size);
    ORD_ASSERT(size > 0 && memory != NULL);
    memset(memory, 0xa5, size); /* the core must not rely on zeros */
    uint64_t seed = raft_net_random(net, UINT32_MAX) * 64 + at;
    ORD_ASSERT(raft_protocol.init(&node->core, memory, size, &node->config, NULL, seed) == ORD_OK);
    struct ord_record *records = calloc(node->disk.records.count + 1, sizeof(*records));
    ORD_ASSERT(records != NULL);
    for (size_t i = 0; i < node->disk.records.count; i++) {
        const struct raft_op *op = &node->disk.records.items[i];
        records[i] = (struct ord_record) {op->table, op->key, ord_span_of(op->data, op->size)};
    }
    node->turn = 1;
    node->applied_seq = node->disk.applied_seq;
    node->wake_ms = 0;
    node->sync_seq = 0;
    node->led_term = 0;
    struct ord_event event = {
        .type = ORD_EVENT_START,
        .start = {.records = records, .record_count = node->disk.records.count, .applied_seq = node->disk.applied_seq}};
    ORD_ASSERT(raft_net_event(net, at, &event) == ORD_OK);
    free(records);
}

void raft_net_crash(struct raft_net *net, ord_node_id at) {
    struct raft_node *node = &net->nodes[at];
    ops_clear(&node->staged);
    free(node->core);
    node->core = NULL;
}

static void disk_put(struct raft_disk *disk, const struct raft_op *op) {
    struct raft_ops *records = &disk->records;
    size_t i = 0;
    while (i < records->count && (records->items[i].table < op->table ||
                                  (records->items[i].table == op->table && records->items[i].key < op->key)))
        i++;
    if (i < records->count && records->items[i].table == op->table && records->items[i].key == op->key)
        ops_remove(records, i);
    struct raft_op *put = ops_insert(records, i);
    *put = *op;
    put->data = join(ord_span_of(op->data, op->size), ord_span_of(NULL, 0));
}

void raft_net_put(struct raft_net *net, ord_node_id at, uint8_t table, uint64_t key, struct ord_span bytes) {
    uint8_t *data = join(bytes, ord_span_of(NULL, 0));
    disk_put(
        &net->nodes[at].disk,
        &(struct raft_op) {.type = ORD_EFFECT_PERSIST, .table = table, .key = key, .data = data, .size = bytes.size});
    free(data);
}

/* The node keeps what the open block needs, so some entries below `op->key` may stay. */
static void disk_forget(struct raft_disk *disk, const struct raft_op *op, uint64_t kept) {
    for (size_t i = disk->records.count; i > 0; i--) {
        const struct raft_op *record = &disk->records.items[i - 1];
        bool gone = op->type == ORD_EFFECT_FORGET ? record->key + kept <= op->key : record->key > op->key;
        if (record->table == op->table && gone)
            ops_remove(&disk->records, i - 1);
    }
}

void raft_net_persist(struct raft_net *net, ord_node_id at, uint64_t turn) {
    struct raft_node *node = &net->nodes[at];
    while (node->staged.count > 0 && node->staged.items[0].turn <= turn) {
        struct raft_op *op = &node->staged.items[0];
        if (op->type == ORD_EFFECT_PERSIST)
            disk_put(&node->disk, op);
        else if (op->type == ORD_EFFECT_DELIVER)
            node->disk.applied_seq = op->key;
        else if (op->type == ORD_EFFECT_SEND)
            post(net, at, op->to, ord_span_of(op->data, op->size), ord_span_of(NULL, 0));
        else
            disk_forget(&node->disk, op, op->table == RAFT_TABLE_LOG ? raft_net_random(net, 4) : 0);
        ops_remove(&node->staged, 0);
    }
    struct ord_event event = {.type = ORD_EVENT_PERSISTED, .persisted = {.turn = turn}};
    ORD_ASSERT(raft_net_event(net, at, &event) == ORD_OK);
}

void raft_net_receive(struct raft_net *net, const struct raft_letter *letter) {
    const struct ord_core_config *config = &net->nodes[letter->to].config;
    struct ord_verified verified;
    ORD_ASSERT(raft_protocol.authenticate(&verified, config, letter->from, ord_span_of(letter->data, letter->size)) ==
               ORD_OK);
    struct ord_event event = {.type = ORD_EVENT_MESSAGE, .message = &verified};
    ORD_ASSERT(raft_net_event(net, letter->to, &event) == ORD_OK);
}

static void deliver_letter(struct raft_net *net, size_t at, bool lose, bool again) {
    struct raft_letter letter = net->letters[at];
    if (!again)
        net->letters[at] = net->letters[--net->letter_count];
    if (!lose && net->nodes[letter.to].core != NULL && !net->cut[letter.from][letter.to])
        raft_net_receive(net, &letter);
    if (!again)
        free(letter.data);
}

/* A majority's disks hold the seq: its certificate exists. */
static void attest(struct raft_net *net, ord_node_id at) {
    uint64_t seq = net->nodes[at].disk.applied_seq / 4 * 4;
    uint32_t count = 0;
    for (ord_node_id i = 0; i < net->count; i++)
        count += net->nodes[i].disk.applied_seq >= seq;
    if (seq == 0 || count <= net->count / 2)
        return;
    uint8_t certificate[RAFT_NET_POINT];
    ord_store_u64(certificate, seq);
    struct ord_event event = {.type = ORD_EVENT_ATTESTED,
                              .attested = {.seq = seq,
                                           .certificate = ord_span_of(certificate, RAFT_NET_POINT),
                                           .cut = net->cut_seqs == 0 || seq % net->cut_seqs == 0}};
    ORD_ASSERT(raft_net_event(net, at, &event) == ORD_OK);
}

/* The ledger comes from the others. */
enum ord_err raft_net_synced(struct raft_net *net, ord_node_id at, struct ord_event *event) {
    struct raft_node *node = &net->nodes[at];
    const uint64_t before_seq = node->applied_seq;
    const uint64_t turn = node->turn;
    node->applied_seq = ord_max(before_seq, event->synced.seq);
    enum ord_err err = raft_net_event(net, at, event);
    if (err != ORD_OK)
        node->applied_seq = before_seq;
    if (node->applied_seq == before_seq)
        return err;
    struct raft_op *ledger = ops_insert(&node->staged, node->staged.count);
    *ledger = (struct raft_op) {.turn = turn, .type = ORD_EFFECT_DELIVER, .key = node->applied_seq};
    return err;
}

void raft_net_sync(struct raft_net *net, ord_node_id at) {
    struct raft_node *node = &net->nodes[at];
    uint64_t seq = node->sync_seq;
    node->sync_seq = 0;
    if (seq <= node->applied_seq)
        return;
    ORD_ASSERT(seq <= net->committed);
    uint8_t certificate[RAFT_NET_POINT];
    ord_store_u64(certificate, seq);
    struct ord_event event = {
        .type = ORD_EVENT_SYNCED,
        .synced = {.seq = seq, .stable_seq = seq, .certificate = ord_span_of(certificate, RAFT_NET_POINT)}};
    ORD_ASSERT(raft_net_synced(net, at, &event) == ORD_OK);
}

/* What is due at a node: its timer, its state transfer, its disk. */
static void attend(struct raft_net *net, ord_node_id at) {
    struct raft_node *node = &net->nodes[at];
    if (node->core == NULL)
        return;
    if (node->wake_ms != 0 && node->wake_ms <= net->now_ms) {
        node->wake_ms = 0;
        struct ord_event event = {.type = ORD_EVENT_TICK};
        ORD_ASSERT(raft_net_event(net, at, &event) == ORD_OK);
        /* Nothing that was due is due still, unless there is more to deliver. */
        ORD_ASSERT(node->wake_ms == 0 || node->wake_ms > net->now_ms ||
                   node->core->commit_seq < node->core->decided_seq);
    }
    if (node->sync_seq != 0)
        raft_net_sync(net, at);
    if (!node->frozen_disk && node->staged.count > 0) {
        uint64_t first = node->staged.items[0].turn;
        raft_net_persist(net, at, first + raft_net_random(net, node->turn - first));
    }
    if (raft_net_random(net, 8) == 0)
        attest(net, at);
}

void raft_net_step(struct raft_net *net, uint32_t loss_percent) {
    uint64_t what = raft_net_random(net, 10);
    if (what < 6 && net->letter_count > 0) {
        size_t at = raft_net_random(net, net->letter_count);
        deliver_letter(net, at, raft_net_random(net, 100) < loss_percent, raft_net_random(net, 50) == 0);
    } else if (what < 9) {
        attend(net, (ord_node_id) raft_net_random(net, net->count));
    } else {
        net->now_ms += raft_net_random(net, 25);
    }
}

void raft_net_run(struct raft_net *net, uint64_t ms) {
    for (uint64_t end = net->now_ms + ms; net->now_ms < end; net->now_ms++) {
        for (size_t left = net->letter_count; left > 0; left--)
            deliver_letter(net, 0, false, false);
        for (ord_node_id i = 0; i < net->count; i++)
            attend(net, i);
    }
}

ord_node_id raft_net_leader(const struct raft_net *net) {
    ord_node_id best = ORD_NO_NODE;
    for (ord_node_id i = 0; i < net->count; i++)
        if (net->nodes[i].core != NULL && net->nodes[i].core->role == RAFT_LEADER &&
            (best == ORD_NO_NODE || net->nodes[i].core->hard.term > net->nodes[best].core->hard.term))
            best = i;
    return best;
}

bool raft_net_propose(struct raft_net *net, ord_node_id at) {
    uint8_t batch[256] = {0};
    ord_store_u64(batch, ++net->proposed);
    net->nodes[at].rejected = ORD_OK;
    struct ord_event event = {.type = ORD_EVENT_PROPOSE,
                              .propose = {.batch = ord_span_of(batch, 8 + raft_net_random(net, 249))}};
    ORD_ASSERT(raft_net_event(net, at, &event) == ORD_OK);
    return net->nodes[at].rejected == ORD_OK;
}

bool raft_net_progresses(struct raft_net *net, uint64_t ms) {
    uint64_t end_ms = net->now_ms + ms;
    ord_node_id leader = raft_net_leader(net);
    while ((leader == ORD_NO_NODE || !raft_net_propose(net, leader)) && net->now_ms < end_ms) {
        raft_net_run(net, 5);
        leader = raft_net_leader(net);
    }
    uint64_t want = net->committed + 1;
    for (bool all = false; net->now_ms < end_ms; raft_net_run(net, 5)) {
        all = true;
        for (ord_node_id i = 0; i < net->count; i++)
            all = all && (net->nodes[i].core == NULL || net->nodes[i].disk.applied_seq >= want);
        if (all)
            return true;
    }
    return false;
}

struct ord_status raft_net_status(const struct raft_net *net, ord_node_id node) {
    struct ord_status status;
    raft_protocol.status(net->nodes[node].core, &status);
    return status;
}
