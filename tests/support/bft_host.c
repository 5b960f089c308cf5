/*
 * The small node of tests/support/bft_host.h.
 */
#include "tests/support/bft_host.h"

#include <stdlib.h>
#include <string.h>

#include "bft/recovery/silence.h"
#include "core/quorum.h"

static void *grow(void *items, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity)
        return items;
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    items = realloc(items, *capacity * size);
    ORD_ASSERT(items != NULL);
    return items;
}

static uint8_t *copy(struct ord_span bytes) {
    uint8_t *data = malloc(bytes.size + 1);
    ORD_ASSERT(data != NULL);
    if (bytes.size > 0)
        memcpy(data, bytes.data, bytes.size);
    return data;
}

static void records_clear(struct host_records *records) {
    for (size_t i = 0; i < records->count; i++)
        free(records->items[i].data);
    records->count = 0;
}

static void records_add(struct host_records *records, size_t at, struct host_record record) {
    records->items = grow(records->items, &records->capacity, records->count, sizeof(*records->items));
    memmove(records->items + at + 1, records->items + at, (records->count - at) * sizeof(*records->items));
    records->items[at] = record;
    records->count++;
}

void host_init(struct host *host, const struct ord_core_config *config) {
    memset(host, 0, sizeof(*host));
    host->config = *config;
    host->keys = (struct stand_in_signer) {.crypto = config->crypto, .self = config->self};
}

void host_deinit(struct host *host) {
    host_crash(host);
    records_clear(&host->disk);
    free(host->disk.items);
    free(host->turn.items);
    free(host->sends);
    free(host->judges);
    free(host->said);
}

void host_crash(struct host *host) {
    records_clear(&host->turn);
    host_sends_clear(host);
    host->judge_count = 0;
    host->wake_ms = 0;
    host->view = host->durable_view;
    host->sync_seq = 0;
    host->applied = host->durable_applied;
    free(host->memory);
    host->memory = NULL;
    host->core = NULL;
}

void host_lose(struct host *host) {
    ORD_ASSERT(host->core == NULL);
    records_clear(&host->disk);
    host->durable_applied = 0;
    host->durable_view = 0;
    host->applied = 0;
    host->view = 0;
}

enum ord_err host_start(struct host *host, uint64_t now_ms) {
    ORD_ASSERT(host->core == NULL);
    size_t size = bft_pbft.memory_size(&host->config);
    ORD_ASSERT(size > 0);
    host->memory = malloc(size);
    ORD_ASSERT(host->memory != NULL);
    memset(host->memory, 0xa5, size); /* the core must not rely on zeros */
    const struct ord_signer signer = {.context = &host->keys, .sign = stand_in_signer_sign};
    ORD_ASSERT(bft_pbft.init(&host->core, host->memory, size, &host->config, &signer, ++host->starts) == ORD_OK);
    host->turn_number = 1;
    struct ord_record *records = calloc(host->disk.count + 1, sizeof(*records));
    ORD_ASSERT(records != NULL);
    for (size_t i = 0; i < host->disk.count; i++) {
        const struct host_record *record = &host->disk.items[i];
        records[i] = (struct ord_record) {record->table, record->key, ord_span_of(record->data, record->size)};
    }
    struct ord_event event = {.type = ORD_EVENT_START,
                              .now_ms = now_ms,
                              .start = {.records = records,
                                        .record_count = host->disk.count,
                                        .applied_seq = host->durable_applied,
                                        .pass_over = host->pass_over}};
    host->told_applied = host->durable_applied;
    host->lost = host->lost || (host->disk.count == 0 && host->durable_applied == 0);
    enum ord_err err = host_step(host, &event);
    free(records);
    if (err == ORD_OK && !host->asks)
        host_answer(host, host->config.replica_count - 1, now_ms);
    return err;
}

void host_answer(struct host *host, uint32_t count, uint64_t now_ms) {
    uint8_t bytes[BFT_HEADER_SIZE + 8 + 8 + 4 + 8 + 4];
    for (ord_node_id node = 0; count > 0; node++) {
        if (node == host->config.self)
            continue;
        count--;
        const struct bft_recall recall = {.sender = node, .nonce = host->starts};
        struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
        bft_recall_encode(&writer, &host->config, 0, &recall);
        ORD_ASSERT(host_receive(host, node, ord_writer_span(&writer), now_ms) == ORD_OK);
    }
}

static void deliver(struct host *host, const struct ord_effect *effect) {
    uint64_t seq = effect->deliver.seq;
    ORD_ASSERT(seq == host->applied + 1 && seq < HOST_SEQ_MAX); /* in order, each seq once */
    const struct ord_span part = effect->deliver.batch;
    host->config.crypto->hash(&host->batches[seq], &part, 1);
    const struct ord_span parts[] = {ord_span_of(host->chain[seq - 1].bytes, ORD_HASH_SIZE),
                                     ord_span_of(host->batches[seq].bytes, ORD_HASH_SIZE)};
    host->config.crypto->hash(&host->chain[seq], parts, 2);
    host->sizes[seq] = effect->deliver.batch.size;
    uint64_t bytes = host->sizes[seq];
    for (uint64_t s = seq - 1; s > 0 && !host->is_point[s]; s--)
        bytes += host->sizes[s];
    host->is_point[seq] = seq % host->config.checkpoint_interval == 0 || bytes >= host->config.body_bytes_max / 4;
    host->applied = seq;
}

static void keep_send(struct host *host, const struct ord_effect *effect) {
    ORD_ASSERT((effect->send.to & ord_replica_bit(host->config.self)) == 0 && effect->send.to != 0);
    host->sends = grow(host->sends, &host->send_capacity, host->send_count, sizeof(*host->sends));
    struct ord_span head = effect->send.bytes;
    struct ord_span body = effect->send.body;
    uint8_t *data = malloc(head.size + body.size + 1);
    ORD_ASSERT(data != NULL && head.size > 0);
    memcpy(data, head.data, head.size);
    if (body.size > 0)
        memcpy(data + head.size, body.data, body.size);
    host->sends[host->send_count++] = (struct host_message) {.to = effect->send.to,
                                                             .data = data,
                                                             .size = head.size + body.size,
                                                             .after_persist = effect->send.after_persist};
}

static void keep_judge(struct host *host, const struct ord_effect *effect) {
    host->judges = grow(host->judges, &host->judge_capacity, host->judge_count, sizeof(*host->judges));
    struct host_judge *judge = &host->judges[host->judge_count++];
    *judge = (struct host_judge) {.view = effect->judge.view,
                                  .seq = effect->judge.seq,
                                  .digest = effect->judge.digest,
                                  .names_view = effect->judge.names_view,
                                  .batch = effect->judge.batch};
    host->config.crypto->hash(&judge->check, &judge->batch, 1);
}

static void evidence(struct host *host, const struct ord_effect *effect) {
    ord_node_id culprit;
    ORD_ASSERT(bft_evidence_verify(&culprit, &host->config, effect->evidence.first, effect->evidence.second) == ORD_OK);
    ORD_ASSERT(culprit == effect->evidence.culprit && culprit != host->config.self);
    host->culprits |= ord_replica_bit(culprit);
    host->evidence_count++;
}

static void sync_wanted(struct host *host, const struct ord_effect *effect) {
    const struct ord_checkpoint_ops *checkpoints = &bft_options_of(&host->config)->checkpoints;
    uint64_t seq;
    ORD_ASSERT(checkpoints->verify(checkpoints->context, &seq, effect->sync.certificate) == ORD_OK);
    ORD_ASSERT(seq == effect->sync.seq);
    host->sync_seq = seq;
}

static void carry_out(struct host *host, const struct ord_effect *effect) {
    switch (effect->type) {
    case ORD_EFFECT_PERSIST:
        records_add(&host->turn, host->turn.count,
                    (struct host_record) {effect->persist.table, effect->persist.key, copy(effect->persist.bytes),
                                          effect->persist.bytes.size});
        break;
    case ORD_EFFECT_FORGET:
        records_add(&host->turn, host->turn.count,
                    (struct host_record) {effect->forget.table, effect->forget.key, NULL, 0});
        break;
    case ORD_EFFECT_FORGET_AFTER: /* PBFT cuts no log at its end */
        ORD_ASSERT(false);
        break;
    case ORD_EFFECT_SEND:
        keep_send(host, effect);
        break;
    case ORD_EFFECT_JUDGE:
        keep_judge(host, effect);
        break;
    case ORD_EFFECT_DELIVER:
        deliver(host, effect);
        break;
    case ORD_EFFECT_WAKE_AT:
        host->wake_ms = effect->wake.at_ms;
        break;
    case ORD_EFFECT_SYNC:
        sync_wanted(host, effect);
        break;
    case ORD_EFFECT_REJECT:
        host->reject_count++;
        break;
    case ORD_EFFECT_EVIDENCE:
        evidence(host, effect);
        break;
    case ORD_EFFECT_LEADER:
        ORD_ASSERT(effect->leader.view >= host->durable_view);
        host->leader = effect->leader.leader;
        host->view = effect->leader.view;
        host->judge_count = 0; /* judgements of the view that was left are void */
        break;
    }
}

/* Where views end on schedule, the core has to know that the last seq of a view was executed, and what follows. */
static void tell_applied(struct host *host, uint64_t now_ms) {
    host->told_applied = host->applied;
    struct ord_event event = {
        .type = ORD_EVENT_APPLIED,
        .now_ms = now_ms,
        .applied = {.seq = host->applied, .useful_seq = host->applied, .pass_over = host->pass_over}};
    ORD_ASSERT(host_step(host, &event) == ORD_OK);
}

enum ord_err host_step(struct host *host, const struct ord_event *event) {
    struct ord_effects effects;
    struct ord_event numbered = *event;
    numbered.turn = host->turn_number;
    enum ord_err err = bft_pbft.step(host->core, &effects, &numbered);
    ORD_ASSERT(err == ORD_OK || effects.count == 0);
    for (size_t i = 0; i < effects.count; i++) {
        if (host->on_effect != NULL)
            host->on_effect(host, &effects.items[i]);
        carry_out(host, &effects.items[i]);
    }
    if (err == ORD_OK && host->applied > host->told_applied && bft_options_of(&host->config)->decisions_per_leader > 0)
        tell_applied(host, event->now_ms);
    return err;
}

enum ord_err host_receive(struct host *host, ord_node_id from, struct ord_span bytes, uint64_t now_ms) {
    struct ord_verified verified;
    enum ord_err err = bft_pbft.authenticate(&verified, &host->config, from, bytes);
    if (err != ORD_OK)
        return err;
    struct ord_event event = {.type = ORD_EVENT_MESSAGE, .now_ms = now_ms, .message = &verified};
    return host_step(host, &event);
}

void host_judge(struct host *host, size_t index, bool admissible, uint64_t now_ms) {
    ORD_ASSERT(index < host->judge_count);
    struct host_judge judge = host->judges[index];
    host->judge_count--;
    memmove(host->judges + index, host->judges + index + 1, (host->judge_count - index) * sizeof(*host->judges));
    struct ord_status status;
    bft_pbft.status(host->core, &status);
    /* Otherwise SYNCED has passed this seq, and the bytes are gone. */
    if (judge.seq > status.stable_seq) {
        struct ord_hash check;
        host->config.crypto->hash(&check, &judge.batch, 1);
        ORD_ASSERT(ord_hash_equal(&check, &judge.check));
    }
    struct ord_event event = {
        .type = ORD_EVENT_JUDGED,
        .now_ms = now_ms,
        .judged = {.view = judge.view, .seq = judge.seq, .digest = judge.digest, .admissible = admissible}};
    ORD_ASSERT(host_step(host, &event) == ORD_OK);
}

void host_propose(struct host *host, struct ord_span batch, uint64_t now_ms) {
    struct ord_event event = {.type = ORD_EVENT_PROPOSE, .now_ms = now_ms, .propose = {.batch = batch}};
    ORD_ASSERT(host_step(host, &event) == ORD_OK);
}

void host_attested(struct host *host, uint64_t seq, uint64_t now_ms) {
    uint8_t certificate[STAND_IN_CHECKPOINT_SIZE];
    struct ord_event event = {
        .type = ORD_EVENT_ATTESTED,
        .now_ms = now_ms,
        .attested = {.seq = seq, .certificate = stand_in_checkpoint(certificate, host->config.crypto, seq)}};
    ORD_ASSERT(host_step(host, &event) == ORD_OK);
}

void host_sync_from(struct host *host, const struct host *source, uint64_t seq, uint64_t now_ms) {
    host_sync_above(host, source, seq, seq, now_ms);
}

void host_sync_above(struct host *host, const struct host *source, uint64_t seq, uint64_t stable_seq, uint64_t now_ms) {
    ORD_ASSERT(source->durable_applied >= seq);
    host->sync_seq = 0;
    if (seq > host->applied) {
        for (uint64_t s = host->applied + 1; s <= seq; s++) {
            host->chain[s] = source->chain[s];
            host->batches[s] = source->batches[s];
            host->sizes[s] = source->sizes[s];
            host->is_point[s] = source->is_point[s];
        }
        host->applied = seq;
    }
    uint8_t certificate[STAND_IN_CHECKPOINT_SIZE];
    struct ord_event event = {.type = ORD_EVENT_SYNCED,
                              .now_ms = now_ms,
                              .synced = {.seq = seq, .stable_seq = stable_seq, .pass_over = host->pass_over}};
    host->told_applied = ord_max(host->told_applied, seq);
    if (stable_seq > 0)
        event.synced.certificate = stand_in_checkpoint(certificate, host->config.crypto, stable_seq);
    ORD_ASSERT(host_step(host, &event) == ORD_OK);
}

void host_flush(struct host *host, uint64_t now_ms) {
    struct ord_event event = {.type = ORD_EVENT_FLUSH, .now_ms = now_ms};
    ORD_ASSERT(host_step(host, &event) == ORD_OK);
    host->turn_number++;
}

static void disk_put(struct host *host, struct host_record record) {
    size_t at = 0;
    while (at < host->disk.count &&
           (host->disk.items[at].table < record.table ||
            (host->disk.items[at].table == record.table && host->disk.items[at].key < record.key)))
        at++;
    if (at < host->disk.count && host->disk.items[at].table == record.table && host->disk.items[at].key == record.key) {
        free(host->disk.items[at].data);
        host->disk.items[at] = record;
        return;
    }
    records_add(&host->disk, at, record);
}

static void disk_forget(struct host *host, uint8_t table, uint64_t key) {
    size_t kept = 0;
    size_t forgotten = 0;
    for (size_t i = 0; i < host->disk.count; i++) {
        if (host->disk.items[i].table == table && host->disk.items[i].key <= key) {
            free(host->disk.items[i].data);
            forgotten++;
        } else {
            host->disk.items[kept++] = host->disk.items[i];
        }
    }
    host->disk.count = kept;
    /* In view 0, a FORGET that forgets nothing is a needless write. */
    ORD_ASSERT(forgotten > 0 || host->view > 0);
}

static size_t said_at(const struct host_said *said, size_t capacity, enum bft_type type, uint64_t view, uint64_t seq) {
    uint64_t mixed = (seq * 31 + view * 17 + type) * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t) (mixed >> 20) & (capacity - 1);
    while (said[at].type != 0 && (said[at].type != type || said[at].view != view || said[at].seq != seq))
        at = (at + 1) & (capacity - 1);
    return at;
}

const struct host_said *host_said_about(const struct host *host, enum bft_type type, uint64_t view, uint64_t seq) {
    if (host->said_capacity == 0)
        return NULL;
    const struct host_said *said = &host->said[said_at(host->said, host->said_capacity, type, view, seq)];
    return said->type == 0 ? NULL : said;
}

void host_work_turn(struct host *host, uint64_t since_ms, uint64_t turn_ms, uint64_t now_ms) {
    struct ord_event event = {
        .type = ORD_EVENT_WORK, .now_ms = now_ms, .work = {.since_ms = since_ms, .turn_ms = turn_ms}};
    ORD_ASSERT(host_step(host, &event) == ORD_OK);
}

void host_work(struct host *host, uint64_t since_ms, uint64_t now_ms) {
    host_work_turn(host, since_ms, since_ms, now_ms);
}

static void said_grow(struct host *host) {
    size_t capacity = host->said_capacity == 0 ? 256 : host->said_capacity * 2;
    struct host_said *said = calloc(capacity, sizeof(*said));
    ORD_ASSERT(said != NULL);
    for (size_t i = 0; i < host->said_capacity; i++)
        if (host->said[i].type != 0)
            said[said_at(said, capacity, host->said[i].type, host->said[i].view, host->said[i].seq)] = host->said[i];
    free(host->said);
    host->said = said;
    host->said_capacity = capacity;
}

/* Notes a signed statement that leaves this replica. A second one that contradicts it fails the test. */
static void say(struct host *host, enum bft_type type, uint64_t view, uint64_t seq, const struct ord_hash *digest) {
    if (2 * (host->said_count + 1) > host->said_capacity)
        said_grow(host);
    struct host_said *said = &host->said[said_at(host->said, host->said_capacity, type, view, seq)];
    ORD_ASSERT(said->type == 0 || ord_hash_equal(&said->digest, digest));
    host->said_count += said->type == 0;
    *said = (struct host_said) {.type = type, .view = view, .seq = seq, .digest = *digest};
}

static void say_list(struct host *host, const struct bft_vote_list *list) {
    ORD_ASSERT(list->view >= host->promised_view);
    for (uint32_t i = 0; i < list->count && list->type != BFT_COMMIT; i++)
        say(host, list->type, list->view, list->votes[i].seq, &list->votes[i].digest);
}

static void note_statements(struct host *host, struct ord_span bytes) {
    struct bft_pre_prepare pre_prepare;
    struct bft_vote_list list;
    struct bft_view_change change;
    struct bft_new_view view;
    switch (bytes.data[0]) {
    case BFT_PRE_PREPARE:
        ORD_ASSERT(bft_pre_prepare_decode(&pre_prepare, &host->config, bytes) == ORD_OK);
        ORD_ASSERT(pre_prepare.view >= host->promised_view);
        say(host, BFT_PRE_PREPARE, pre_prepare.view, pre_prepare.seq, &pre_prepare.digest);
        break;
    case BFT_PREPARE:
    case BFT_COMMIT:
        ORD_ASSERT(bft_vote_list_decode(&list, &host->config, bytes) == ORD_OK);
        say_list(host, &list);
        break;
    /* Others must be able to check whatever a replica sends. */
    case BFT_VIEW_CHANGE:
        ORD_ASSERT(bft_view_change_verify(&change, &host->config, bytes) == ORD_OK);
        say(host, BFT_VIEW_CHANGE, change.view, 0, &change.digest);
        if (change.view > host->promised_view)
            host->promised_view = change.view;
        break;
    case BFT_NEW_VIEW:
        ORD_ASSERT(bft_new_view_verify(&view, &host->config, bytes) == ORD_OK);
        ORD_ASSERT(view.view >= host->promised_view);
        say(host, BFT_NEW_VIEW, view.view, 0, &view.digest);
        for (uint32_t chunk = 0; chunk * BFT_LIST_MAX < view.count; chunk++) {
            bft_new_view_list(&list, &view, chunk);
            say_list(host, &list);
        }
        break;
    default:
        break;
    }
}

void host_commit(struct host *host) {
    for (size_t i = 0; i < host->turn.count; i++) {
        struct host_record *record = &host->turn.items[i];
        if (record->data == NULL)
            disk_forget(host, record->table, record->key);
        else
            disk_put(host, *record);
        record->data = NULL; /* the disk owns it now */
    }
    host->turn.count = 0;
    host->durable_applied = host->applied;
    struct ord_status status;
    bft_pbft.status(host->core, &status);
    ORD_ASSERT(status.delivered_seq == host->applied && status.view >= host->durable_view);
    /* Only a replica that has forgotten something may be silenced. */
    ORD_ASSERT(!status.silent || host->lost || host->forgets);
    host->lost = host->lost && (status.asking || status.silent);
    host->durable_view = status.view;
    for (size_t i = 0; i < host->send_count; i++)
        note_statements(host, ord_span_of(host->sends[i].data, host->sends[i].size));
    struct ord_event event = {.type = ORD_EVENT_PERSISTED, .persisted = {.turn = host->turn_number - 1}};
    ORD_ASSERT(host_step(host, &event) == ORD_OK);
}

void host_sends_clear(struct host *host) {
    for (size_t i = 0; i < host->send_count; i++)
        free(host->sends[i].data);
    host->send_count = 0;
}
