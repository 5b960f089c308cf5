/*
 * Restart: slots are rebuilt from what was durable, so that this replica stands by every vote that it may have sent. A LOG
 * record is an own PRE-PREPARE (as primary) or an own PREPARE (as backup); a certificate is an own COMMIT.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "core/assert.h"

static const struct ord_record *find_record(const struct ord_event *event, enum bft_table table, uint64_t key) {
    size_t low = 0;
    size_t high = event->start.record_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct ord_record *record = &event->start.records[middle];
        if (record->table < table || (record->table == table && record->key < key))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == event->start.record_count)
        return NULL;
    const struct ord_record *found = &event->start.records[low];
    return found->table == table && found->key == key ? found : NULL;
}

static enum ord_err check_log(const struct ord_core *core, struct bft_pre_prepare *message,
                              const struct ord_record *record) {
    struct ord_hash digest;
    if (bft_pre_prepare_decode(message, &core->config, record->bytes) != ORD_OK || message->seq != record->key ||
        message->view > core->view || message->sender != bft_primary(&core->config, message->view))
        return ORD_ERR_CORRUPT;
    bft_body_digest(&digest, core->config.crypto, message->body);
    return ord_hash_equal(&digest, &message->digest) ? ORD_OK : ORD_ERR_CORRUPT;
}

/* A certificate without the body that it is about is not ours: both are written in one turn, or the body earlier. */
static enum ord_err check_certificate(const struct ord_core *core, const struct ord_event *event,
                                      const struct ord_record *record) {
    struct bft_statement statement;
    struct bft_pre_prepare message;
    const struct ord_record *log = find_record(event, BFT_TABLE_LOG, record->key);
    if (log == NULL || bft_certificate_decode(&statement, &core->config, record->bytes) != ORD_OK ||
        bft_pre_prepare_decode(&message, &core->config, log->bytes) != ORD_OK)
        return ORD_ERR_CORRUPT;
    bool match = statement.seq == record->key && statement.view == message.view &&
                 ord_hash_equal(&statement.digest, &message.digest);
    return match ? ORD_OK : ORD_ERR_CORRUPT;
}

/* Records at or below the stable seq are not looked at: the node may keep them longer than asked. */
static enum ord_err check_records(const struct ord_core *core, const struct ord_event *event) {
    uint64_t body_bytes = 0;
    for (size_t i = 0; i < event->start.record_count; i++) {
        const struct ord_record *record = &event->start.records[i];
        const struct ord_record *last = i > 0 ? record - 1 : NULL;
        if (last != NULL && (record->table < last->table || (record->table == last->table && record->key <= last->key)))
            return ORD_ERR_CORRUPT;
        if (record->table != BFT_TABLE_LOG && record->table != BFT_TABLE_CERTIFICATE)
            return ORD_ERR_CORRUPT;
        if (record->key <= event->start.stable_seq)
            continue;
        if (record->key - event->start.stable_seq > core->config.window)
            return ORD_ERR_NO_SPACE;
        struct bft_pre_prepare message;
        enum ord_err err =
            record->table == BFT_TABLE_LOG ? check_log(core, &message, record) : check_certificate(core, event, record);
        if (err != ORD_OK)
            return err;
        if (record->table == BFT_TABLE_LOG)
            body_bytes += message.body.size;
    }
    return body_bytes > core->config.body_bytes_max ? ORD_ERR_NO_SPACE : ORD_OK;
}

static void restore_log(struct ord_core *core, const struct ord_record *record) {
    struct bft_pre_prepare message;
    ORD_ASSERT(bft_pre_prepare_decode(&message, &core->config, record->bytes) == ORD_OK);
    struct bft_slot *slot = bft_slot_open(core, record->key);
    ORD_ASSERT(bft_slot_alloc(core, slot, message.body.size, core->config.body_bytes_max)); /* their sum was checked */
    memcpy(slot->message, record->bytes.data, record->bytes.size);
    bft_slot_fill(core, slot, BFT_SLOT_ACCEPTED, &message, record->bytes.size);
    slot->logged = true;
    slot->own_prepare = message.sender != core->config.self;
    slot->prepare_due = slot->own_prepare && slot->seq > core->delivered_seq;
    if (record->key >= core->next_seq)
        core->next_seq = record->key + 1;
}

static void restore_certificate(struct ord_core *core, const struct ord_record *record) {
    struct bft_slot *slot = bft_slot_find(core, record->key);
    ORD_ASSERT(slot != NULL && record->bytes.size <= core->certificate_size_max);
    memcpy(slot->certificate, record->bytes.data, record->bytes.size);
    slot->certificate_size = record->bytes.size;
    slot->prepared = true;
    slot->prepare_due = false; /* who needs it asks */
    bft_own_commit(core, slot);
    slot->commit_due = slot->seq > core->delivered_seq;
}

enum ord_err bft_on_start(struct ord_core *core, const struct ord_event *event) {
    if (core->started)
        return ORD_ERR_WRONG_STATE;
    if (event->start.applied_seq > BFT_SEQ_MAX || event->start.stable_seq > event->start.applied_seq)
        return ORD_ERR_INVALID;
    enum ord_err err = check_records(core, event);
    if (err != ORD_OK)
        return err;
    core->started = true;
    core->delivered_seq = event->start.applied_seq;
    core->stable_seq = event->start.stable_seq;
    core->proposed_seq = core->delivered_seq;
    core->next_seq = core->delivered_seq + 1;
    core->moved_ms = core->now_ms;
    for (size_t i = 0; i < event->start.record_count; i++) { /* LOG sorts before CERTIFICATE */
        const struct ord_record *record = &event->start.records[i];
        if (record->key <= core->stable_seq)
            continue;
        if (record->table == BFT_TABLE_LOG)
            restore_log(core, record);
        else
            restore_certificate(core, record);
    }
    struct ord_effect *effect = bft_effect(core, ORD_EFFECT_LEADER);
    effect->leader.leader = bft_primary(&core->config, core->view);
    effect->leader.view = core->view;
    bft_send_status(core);
    return ORD_OK;
}
