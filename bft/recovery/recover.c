/*
 * Restart: the slots are rebuilt from what was durable, so that this replica stands by every vote and promise that it
 * may have made. A LOG record of its view is an own PRE-PREPARE if it is the primary, otherwise an own PREPARE, unless
 * it has no signature (adopt.c): then the replica made no PREPARE, and nothing but a certificate of the view binds it.
 * If the installed view proposes a batch again and the LOG has it, that is an own PREPARE too. A certificate of the
 * installed view is an own COMMIT. A VIEW-CHANGE for a later view is a promise: the same message is sent again.
 *
 * Records of earlier views that a NEW-VIEW made void stay on disk until their seq is stable. Their view tells them
 * apart.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"
#include "core/assert.h"

/* The records about views. Spans point into the records. */
struct views {
    uint64_t view;
    bool changing;
    uint64_t stable_seq;
    struct ord_span checkpoint;
    /* Empty: there is none. */
    struct ord_span own_change;
    /* The NEW-VIEW of the installed view; its view is 0 if there is none. */
    struct bft_new_view entries;
    struct ord_span installed;
    /* Empty: there is none. */
    struct ord_span silence;
};

/* The bytes of a record; empty: there is none. */
static struct ord_span record_bytes(const struct ord_event *event, enum bft_table table, uint64_t key) {
    size_t low = 0;
    size_t high = event->start.record_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct ord_record *record = &event->start.records[middle];
        if (record->table == table && record->key == key)
            return record->bytes;
        if (record->table < table || (record->table == table && record->key < key))
            low = middle + 1;
        else
            high = middle;
    }
    return ord_span_of(NULL, 0);
}

static enum ord_err read_views(struct views *out, const struct ord_core *core, const struct ord_event *event) {
    const struct ord_core_config *config = &core->config;
    const struct ord_checkpoint_ops *checkpoints = &core->options->checkpoints;
    struct bft_view_change change = {0};
    *out = (struct views) {.checkpoint = record_bytes(event, BFT_TABLE_CHECKPOINT, 1),
                           .own_change = record_bytes(event, BFT_TABLE_VIEW_CHANGE, config->self),
                           .installed = record_bytes(event, BFT_TABLE_NEW_VIEW, 1),
                           .silence = record_bytes(event, BFT_TABLE_SILENCE, 1)};
    if (out->checkpoint.size > 0 &&
        (out->checkpoint.size > checkpoints->size_max ||
         checkpoints->verify(checkpoints->context, &out->stable_seq, out->checkpoint) != ORD_OK))
        return ORD_ERR_CORRUPT;
    if (out->stable_seq > event->start.applied_seq)
        return ORD_ERR_CORRUPT;
    if (out->own_change.size > 0 &&
        (bft_view_change_decode(&change, config, out->own_change) != ORD_OK || change.sender != config->self))
        return ORD_ERR_CORRUPT;
    if (out->installed.size > 0 && bft_new_view_decode(&out->entries, config, out->installed) != ORD_OK)
        return ORD_ERR_CORRUPT;
    out->changing = change.view > out->entries.view;
    out->view = out->changing ? change.view : out->entries.view;
    return bft_silence_record_check(out->silence);
}

/*
 * Whether a batch or certificate for (view, seq, digest) is void: a later view was installed here, and proposed another
 * batch or none for this seq.
 */
static bool is_void(const struct views *views, uint64_t view, uint64_t seq, const struct ord_hash *digest) {
    const struct bft_new_view *entries = &views->entries;
    if (view >= entries->view || seq <= entries->base_seq)
        return false;
    struct ord_hash entry;
    if (seq - entries->base_seq > entries->count)
        return true;
    bft_new_view_entry(&entry, entries, seq);
    return !ord_hash_equal(&entry, digest);
}

static enum ord_err check_log(const struct ord_core *core, const struct views *views, struct bft_pre_prepare *message,
                              const struct ord_record *record) {
    struct ord_hash digest;
    if (bft_pre_prepare_decode(message, &core->config, record->bytes) != ORD_OK || message->seq != record->key ||
        message->view > views->view || message->sender != bft_primary(&core->config, message->view))
        return ORD_ERR_CORRUPT;
    bft_body_digest(&digest, core->config.crypto, message->body);
    return ord_hash_equal(&digest, &message->digest) ? ORD_OK : ORD_ERR_CORRUPT;
}

/*
 * A certificate without its batch cannot be this replica's own: both are written in one turn, or the batch earlier. The
 * exception is a certificate that a later view made void, so that another batch now has the place on disk.
 */
static enum ord_err check_certificate(const struct ord_core *core, const struct views *views,
                                      const struct ord_event *event, const struct ord_record *record) {
    struct bft_statement statement;
    struct bft_pre_prepare message;
    if (bft_certificate_decode(&statement, &core->config, record->bytes) != ORD_OK || statement.seq != record->key ||
        statement.view > views->view || record->bytes.size > core->certificate_size_max)
        return ORD_ERR_CORRUPT;
    if (ord_hash_equal(&statement.digest, &core->null_digest) ||
        is_void(views, statement.view, statement.seq, &statement.digest))
        return ORD_OK;
    if (bft_pre_prepare_decode(&message, &core->config, record_bytes(event, BFT_TABLE_LOG, record->key)) != ORD_OK)
        return ORD_ERR_CORRUPT;
    return ord_hash_equal(&statement.digest, &message.digest) || message.view > statement.view ? ORD_OK
                                                                                               : ORD_ERR_CORRUPT;
}

/*
 * Whether a batch is of an earlier view and no certificate on this disk vouches for it, so that nobody relies on it. A
 * new primary that lacked room dropped such batches and left their records.
 */
static bool is_loose(const struct views *views, const struct ord_event *event, const struct bft_pre_prepare *message) {
    bool earlier = views->changing || (message->view < views->view && message->seq <= views->entries.base_seq);
    return earlier && record_bytes(event, BFT_TABLE_CERTIFICATE, message->seq).size == 0;
}

/* Ignores records at or below the stable seq, because the node may keep them longer than asked. */
static enum ord_err check_records(const struct ord_core *core, const struct views *views,
                                  const struct ord_event *event) {
    uint64_t body_bytes = 0;
    for (size_t i = 0; i < event->start.record_count; i++) {
        const struct ord_record *record = &event->start.records[i];
        const struct ord_record *last = i > 0 ? record - 1 : NULL;
        if (last != NULL && (record->table < last->table || (record->table == last->table && record->key <= last->key)))
            return ORD_ERR_CORRUPT;
        if (record->table < BFT_TABLE_LOG || record->table > BFT_TABLE_SILENCE)
            return ORD_ERR_CORRUPT;
        if (record->table > BFT_TABLE_CERTIFICATE || record->key <= views->stable_seq)
            continue;
        if (record->key - views->stable_seq > core->config.window)
            return ORD_ERR_NO_SPACE;
        struct bft_pre_prepare message;
        enum ord_err err = record->table == BFT_TABLE_LOG ? check_log(core, views, &message, record)
                                                          : check_certificate(core, views, event, record);
        if (err != ORD_OK)
            return err;
        if (record->table == BFT_TABLE_LOG && !is_void(views, message.view, message.seq, &message.digest) &&
            !is_loose(views, event, &message))
            body_bytes += message.body.size;
    }
    return body_bytes > 2 * core->config.body_bytes_max ? ORD_ERR_NO_SPACE : ORD_OK;
}

/* Whether the batch came together with a certificate that others returned, and not from the primary. */
static bool is_adopted(const struct bft_pre_prepare *message) {
    static const struct ord_signature empty;
    return memcmp(&message->signature, &empty, sizeof(empty)) == 0;
}

/*
 * Fills in the proof of the primary's statement from the certificate of this view that this replica kept with the
 * batch. False: there is none. The replica went down before it could make use of the batch, and is bound to nothing.
 */
static bool certified_proof(struct bft_proof *out, const struct ord_core *core, const struct ord_event *event,
                            const struct bft_pre_prepare *message) {
    struct bft_statement statement;
    const struct ord_span certificate = record_bytes(event, BFT_TABLE_CERTIFICATE, message->seq);
    return bft_certificate_decode(&statement, &core->config, certificate) == ORD_OK &&
           statement.view == message->view &&
           bft_certificate_statement(&statement, out, &core->config, certificate, message->sender);
}

/* Restores a batch as HELD, or as a statement of the installed view if that view proposed it itself. */
static void restore_log(struct ord_core *core, const struct views *views, const struct ord_event *event,
                        const struct ord_record *record, bool loose) {
    struct bft_pre_prepare message;
    ORD_ASSERT(bft_pre_prepare_decode(&message, &core->config, record->bytes) == ORD_OK);
    ORD_MARK_IF(is_void(views, message.view, message.seq, &message.digest), RESTART_BATCH_VOID);
    if (is_void(views, message.view, message.seq, &message.digest) || is_loose(views, event, &message) != loose)
        return;
    ORD_MARK_IF(loose, RESTART_BATCH_LOOSE);
    /*
     * Only a batch that the installed view itself proposed is an own statement here. bft_open_entries binds those that
     * it proposed again.
     */
    bool again = views->entries.view > 0 && message.seq <= views->entries.base_seq + views->entries.count;
    bool bound = !views->changing && message.view == views->view && !again;
    bool adopted = bound && is_adopted(&message);
    struct bft_proof proof;
    ORD_MARK_IF(adopted, RESTART_BATCH_ADOPTED);
    if (adopted && !certified_proof(&proof, core, event, &message)) {
        bft_slot_open(core, record->key)->stray = true;
        return;
    }
    struct bft_slot *slot = bft_slot_open(core, record->key);
    if (!bft_slot_alloc(core, slot, message.body.size, 2 * core->config.body_bytes_max)) {
        ORD_ASSERT(loose); /* check_records found room for all others */
        bft_slot_release(core, slot);
        return;
    }
    memcpy(slot->message, record->bytes.data, record->bytes.size);
    bft_slot_fill(core, slot, BFT_SLOT_HELD, &message, record->bytes.size);
    slot->logged = true;
    slot->proposed = false;
    if (!bound)
        return;
    slot->state = BFT_SLOT_ACCEPTED;
    slot->proposed = !adopted;
    if (adopted)
        slot->proof = proof;
    slot->own_prepare = message.sender != core->config.self && !adopted;
    slot->prepare_due = slot->own_prepare && slot->seq > core->delivered_seq;
}

static void restore_certificate(struct ord_core *core, const struct views *views, const struct ord_record *record) {
    struct bft_statement statement;
    ORD_ASSERT(bft_certificate_decode(&statement, &core->config, record->bytes) == ORD_OK);
    ORD_MARK_IF(is_void(views, statement.view, statement.seq, &statement.digest), RESTART_CERTIFICATE_VOID);
    if (is_void(views, statement.view, statement.seq, &statement.digest))
        return;
    /* A replica that has a valid certificate has its batch. So this one was void when another batch took the place. */
    if (bft_slot_find(core, record->key) == NULL && !ord_hash_equal(&statement.digest, &core->null_digest))
        return;
    struct bft_slot *slot = bft_slot_open(core, record->key);
    if (slot->state != BFT_SLOT_EMPTY && !ord_hash_equal(&slot->digest, &statement.digest)) {
        if (statement.view < slot->view)
            /* The certificate is void since the view of the LOG record. */
            return;
        /* The batch is void: the later certificate is for a null batch, which has no LOG record. */
        bft_slot_release(core, slot);
        slot = bft_slot_open(core, record->key);
    }
    /* The slot has no batch, so the certificate is for a null batch. Any other was made void by a view in between. */
    if (slot->state == BFT_SLOT_EMPTY) {
        if (!ord_hash_equal(&statement.digest, &core->null_digest))
            return;
        ORD_MARK(RESTART_NULL_CERTIFIED);
        slot->state = BFT_SLOT_HELD;
        slot->digest = statement.digest;
        slot->view = statement.view;
        slot->logged = true;
    }
    memcpy(slot->certificate, record->bytes.data, record->bytes.size);
    slot->certificate_size = record->bytes.size;
}

static bool certificate_is_of_view(const struct ord_core *core, const struct bft_slot *slot) {
    struct bft_statement statement;
    if (slot->certificate_size == 0)
        return false;
    ORD_ASSERT(bft_certificate_decode(&statement, &core->config,
                                      ord_span_of(slot->certificate, slot->certificate_size)) == ORD_OK);
    return statement.view == core->view;
}

/* Own statements of the installed view: they are sent again for what is not executed. A STATUS asks for the rest. */
static void restore_votes(struct ord_core *core) {
    core->votes_due = true;
    uint64_t seq = core->stable_seq;
    for (struct bft_slot *slot; (slot = bft_slot_next(core, &seq)) != NULL;) {
        if (slot->state != BFT_SLOT_ACCEPTED)
            continue;
        slot->prepare_due = slot->prepare_due && seq > core->delivered_seq;
        if (!certificate_is_of_view(core, slot))
            continue;
        ORD_MARK(RESTART_PREPARED);
        slot->prepared = true;
        /* A replica that needs the PREPARE asks for it. */
        slot->prepare_due = false;
        bft_own_commit(core, slot);
        slot->commit_due = seq > core->delivered_seq;
    }
}

/* Restores the view changes on disk that the installed view rests on, for replicas that missed them. */
static void restore_chosen(struct ord_core *core, const struct ord_event *event) {
    for (uint32_t i = 0; i < core->entries.change_count; i++) {
        ord_node_id sender;
        struct ord_hash digest;
        struct bft_view_change change;
        bft_new_view_change(&sender, &digest, &core->entries, i);
        struct ord_span bytes = record_bytes(event, BFT_TABLE_VIEW_CHANGE, sender);
        if (bytes.size > 0 && bft_view_change_decode(&change, &core->config, bytes) == ORD_OK &&
            ord_hash_equal(&change.digest, &digest))
            bft_keep(&core->chosen[sender], change.view, &change.digest, bytes);
    }
}

static void restore_views(struct ord_core *core, const struct views *views, const struct ord_event *event) {
    core->view = views->view;
    core->changing = views->changing;
    core->view_since_ms = core->now_ms;
    core->progress_ms = core->now_ms;
    if (views->installed.size > 0) {
        bft_keep(&core->installed, views->entries.view, &views->entries.digest, views->installed);
        ORD_ASSERT(bft_new_view_decode(&core->entries, &core->config, bft_kept_bytes(&core->installed)) == ORD_OK);
        restore_chosen(core, event);
    }
    struct bft_view_change change;
    if (views->own_change.size > 0 && bft_view_change_decode(&change, &core->config, views->own_change) == ORD_OK)
        bft_keep(&core->changes[core->config.self], change.view, &change.digest, views->own_change);
}

enum ord_err bft_on_start(struct ord_core *core, const struct ord_event *event) {
    struct views views;
    if (core->started)
        return ORD_ERR_WRONG_STATE;
    if (event->start.applied_seq > BFT_SEQ_MAX)
        return ORD_ERR_INVALID;
    enum ord_err err = read_views(&views, core, event);
    if (err == ORD_OK)
        err = check_records(core, &views, event);
    if (err != ORD_OK)
        return err;
    core->started = true;
    core->delivered_seq = event->start.applied_seq;
    bft_pass_over(core, event->start.applied_seq, event->start.pass_over);
    core->stable_seq = views.stable_seq;
    bft_checkpoint_set(&core->stable, views.stable_seq, views.checkpoint);
    core->proposed_seq = core->delivered_seq;
    core->useful_seq = core->delivered_seq;
    core->moved_ms = core->now_ms;
    restore_views(core, &views, event);
    bft_ratchet_view(core);
    for (int loose = 0; loose < 2; loose++)
        for (size_t i = 0; i < event->start.record_count; i++)
            if (event->start.records[i].table == BFT_TABLE_LOG && event->start.records[i].key > core->stable_seq)
                restore_log(core, &views, event, &event->start.records[i], loose != 0);
    for (size_t i = 0; i < event->start.record_count; i++)
        if (event->start.records[i].table == BFT_TABLE_CERTIFICATE && event->start.records[i].key > core->stable_seq)
            restore_certificate(core, &views, &event->start.records[i]);
    bft_open_entries(core);
    restore_votes(core);
    core->next_seq = core->proposed_seq + 1;
    core->look_again = core->changing;
    ORD_MARK_IF(core->view > 0 && !core->changing, RESTART_IN_LATER_VIEW);
    bft_silence_start(core, views.silence, event->start.record_count == 0 && event->start.applied_seq == 0);
    bft_announce_leader(core);
    return ORD_OK;
}
