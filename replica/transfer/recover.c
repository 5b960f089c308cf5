/*
 * Recovery from the store: the chain, the client table as of the applied seq, the places of the open block's envelopes,
 * and the records that the core asked to keep. All of it was written in whole turns, so any crash leaves one consistent
 * point.
 */
#include "replica/replica_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/marks.h"

enum ord_err recover_failed(char *why, size_t why_size, const char *what, enum ord_err err) {
    snprintf(why, why_size, "ledger: %s: %s%s", what, ord_err_text(err),
             err == ORD_ERR_CORRUPT ? "; `ordain ledger repair` refills blocks and certificates" : "");
    return err == ORD_ERR_NOT_FOUND ? ORD_ERR_CORRUPT : err;
}

/* Reads a small record. OK with `out` empty: there is none. */
static enum ord_err load(const struct replica *replica, struct ord_bytes *out, const char *name) {
    *out = (struct ord_bytes) {0};
    enum ord_err err = replica_store(replica)->get_meta(replica_store(replica)->ledger, out, name);
    return err == ORD_ERR_NOT_FOUND ? ORD_OK : err;
}

static struct ord_span span_of(const struct ord_bytes *bytes) {
    return ord_span_of(bytes->data, bytes->size);
}

/*
 * Puts the genesis block and the owner of this ledger. They are durable before the replica makes its first statement.
 */
static enum ord_err begin_ledger(struct replica *replica, const uint8_t *header, char *why, size_t why_size) {
    const struct replica_store *store = replica_store(replica);
    uint8_t owner[RECORD_REPLICA_SIZE];
    record_replica_encode(owner, replica_self(replica));
    enum ord_err err = store->put_block(store->ledger, 0, ord_span_of(header, CHANNEL_HEADER_SIZE),
                                        replica->setup.options.genesis_data);
    if (err == ORD_OK)
        err = store->put_meta(store->ledger, RECORD_REPLICA, ord_span_of(owner, sizeof(owner)));
    if (err == ORD_OK)
        err = store->commit(store->ledger);
    return err == ORD_OK ? ORD_OK
                         : recover_failed(why, why_size,
                                          "cannot write the genesis block and the replica that this ledger is of", err);
}

/*
 * On another replica's ledger this replica would find no statements of its own, and would vote: rule 26
 * (docs/protocol.md) asks for which seqs there are records, not whose they are. A replica's index identifies it in a
 * network; its key may change.
 */
static enum ord_err check_owner(struct replica *replica, char *why, size_t why_size) {
    struct ord_bytes record;
    ord_node_id owner = ORD_NO_NODE;
    enum ord_err err = load(replica, &record, RECORD_REPLICA);
    if (err == ORD_OK)
        err = record_replica_decode(&owner, span_of(&record));
    free(record.data);
    if (err != ORD_OK)
        return recover_failed(why, why_size, "the replica that this ledger is of", err);
    if (owner == replica_self(replica))
        return ORD_OK;
    snprintf(why, why_size,
             "the ledger in %s is that of replica %" PRIu32 ", and this is replica %" PRIu32
             "; each needs a data_dir of its own, which may be empty",
             replica->setup.options.ledger_name, owner, replica_self(replica));
    return ORD_ERR_MISMATCH;
}

/* Begins a new ledger, or checks that the ledger belongs to this network and this replica. */
static enum ord_err check_genesis(struct replica *replica, char *why, size_t why_size) {
    uint8_t header[CHANNEL_HEADER_SIZE];
    channel_header_encode(header, replica->setup.options.genesis_header);
    struct ord_bytes block;
    enum ord_err err = replica_store(replica)->get_block(replica_store(replica)->ledger, &block, 0);
    if (err == ORD_ERR_NOT_FOUND)
        return begin_ledger(replica, header, why, why_size);
    if (err != ORD_OK)
        return recover_failed(why, why_size, "genesis block", err);
    bool same = block.size > sizeof(header) && memcmp(block.data, header, sizeof(header)) == 0;
    free(block.data);
    if (same)
        return check_owner(replica, why, why_size);
    snprintf(why, why_size, "the ledger in %s is of another network than the genesis block %s",
             replica->setup.options.ledger_name, replica->setup.options.genesis_name);
    return ORD_ERR_MISMATCH;
}

static enum ord_err restore_clients(struct replica *replica) {
    for (uint32_t i = 0; i < replica_config(replica)->clients_max; i++) {
        struct ord_bytes record;
        enum ord_err err = replica_store(replica)->get_client(replica_store(replica)->ledger, &record, i);
        if (err == ORD_ERR_NOT_FOUND)
            return ORD_OK;
        if (err == ORD_OK) {
            err = channel_restore_client(replica->execute.channel, i, ord_span_of(record.data, record.size));
            free(record.data);
        }
        if (err != ORD_OK)
            return err;
    }
    return ORD_OK;
}

static enum ord_err restore_head(struct replica *replica) {
    uint64_t height;
    uint64_t applied_seq = 0;
    struct channel_progress progress;
    struct ord_bytes bytes;
    struct channel_header header;
    const struct replica_store *store = replica_store(replica);
    enum ord_err err = load(replica, &bytes, RECORD_APPLIED);
    if (err != ORD_OK || bytes.data == NULL) /* nothing was executed yet */
        return err;
    err = record_applied_decode(&applied_seq, &progress, replica_config(replica), span_of(&bytes));
    free(bytes.data);
    if (err == ORD_OK)
        err = store->height(store->ledger, &height);
    if (err == ORD_OK)
        err = store->get_block(store->ledger, &bytes, height);
    if (err != ORD_OK)
        return err;
    err = channel_header_decode(&header, ord_span_of(bytes.data, CHANNEL_HEADER_SIZE));
    free(bytes.data);
    /* A transfer was cut off behind a block. It has to go on before the core may deliver. */
    replica->sync.between = applied_seq < header.last_seq;
    return err == ORD_OK ? channel_restore_head(replica->execute.channel, &header, applied_seq, &progress) : err;
}

/* Gives an envelope of the consensus log. `record` keeps the log record from call to call. */
static enum ord_err log_envelope(struct replica *replica, struct ord_span *out, struct ord_bytes *record,
                                 uint64_t *record_seq, const struct channel_entry *entry) {
    struct ord_span body;
    struct channel_batch batch;
    enum ord_err err = ORD_OK;
    if (record->data == NULL || *record_seq != entry->seq) {
        free(record->data);
        *record = (struct ord_bytes) {0};
        err = replica_store(replica)->get_record(replica_store(replica)->ledger, record,
                                                 replica->setup.protocol->body_table, entry->seq);
        *record_seq = entry->seq;
    }
    if (err == ORD_OK)
        err = replica->setup.protocol->body_of_record(&body, ord_span_of(record->data, record->size));
    if (err == ORD_OK)
        err = channel_batch_decode(&batch, body);
    if (err == ORD_OK && entry->batch_index >= batch.envelope_count)
        err = ORD_ERR_CORRUPT;
    for (uint32_t i = 0; err == ORD_OK && i <= entry->batch_index; i++)
        err = channel_batch_next(out, &batch.envelopes);
    return err;
}

/* The first entries are those of the tail's envelopes. */
static enum ord_err restore_entries(struct replica *replica, const struct record_open *open,
                                    const struct record_open *tail) {
    struct ord_bytes record = {0};
    uint64_t record_seq = 0;
    struct ord_span envelopes = tail->rest;
    enum ord_err err = ORD_OK;
    for (uint32_t i = 0; err == ORD_OK && i < open->count; i++) {
        struct channel_entry entry;
        struct ord_span envelope;
        record_open_entry(open, &entry, i);
        if (i < tail->count)
            err = channel_batch_next(&envelope, &envelopes);
        else
            err = log_envelope(replica, &envelope, &record, &record_seq, &entry);
        if (err == ORD_OK)
            err = channel_restore_open(replica->execute.channel, envelope, &entry);
    }
    free(record.data);
    return err;
}

static enum ord_err restore_open(struct replica *replica) {
    struct ord_bytes open_bytes;
    struct ord_bytes tail_bytes = {0};
    struct record_open open;
    struct record_open tail = {0};
    enum ord_err err = load(replica, &open_bytes, RECORD_OPEN);
    if (err != ORD_OK || open_bytes.data == NULL)
        return err;
    err = record_open_decode(&open, span_of(&open_bytes));
    if (err == ORD_OK)
        err = load(replica, &tail_bytes, RECORD_TAIL);
    if (err == ORD_OK && tail_bytes.data != NULL)
        err = record_tail_decode(&tail, span_of(&tail_bytes));
    if (err == ORD_OK && open.height == channel_height(replica->execute.channel) + 1) {
        /* A tail of an earlier block is of no use any more. */
        if (tail.count == 0 || tail.height != open.height)
            tail = (struct record_open) {0};
        replica->execute.tail_height = tail.height;
        err = restore_entries(replica, &open, &tail);
    }
    free(open_bytes.data);
    free(tail_bytes.data);
    return err;
}

enum ord_err recover_channel(struct replica *replica, char *why, size_t why_size) {
    enum ord_err err = channel_init(&replica->execute.channel, replica->execute.memory, replica->execute.memory_size,
                                    replica_config(replica), replica->setup.options.genesis_hash);
    if (err != ORD_OK)
        return recover_failed(why, why_size, "cannot set up the channel", err);
    err = check_genesis(replica, why, why_size);
    if (err != ORD_OK)
        return err;
    err = restore_clients(replica);
    if (err != ORD_OK)
        return recover_failed(why, why_size, "client table", err);
    err = restore_head(replica);
    if (err != ORD_OK)
        return recover_failed(why, why_size, "head of the chain", err);
    err = restore_open(replica);
    if (err != ORD_OK)
        return recover_failed(why, why_size, "open block", err);
    channel_clients_clean(replica->execute.channel);
    return ORD_OK;
}

/* Recovers a point that this replica executed before, if there is one in this slot. */
static enum ord_err recover_point(struct replica *replica, uint32_t slot, const struct channel_statement *newest) {
    char name[RECORD_POINT_NAME_SIZE];
    struct attest_point point;
    struct ord_bytes bytes;
    record_point_name(name, slot);
    enum ord_err err = load(replica, &bytes, name);
    if (err != ORD_OK || bytes.data == NULL)
        return err;
    err = record_point_decode(&point, replica_config(replica), span_of(&bytes));
    free(bytes.data);
    if (err != ORD_OK)
        return err;
    uint64_t seq = point.statement.seq;
    if (seq > newest->seq || seq % record_point_slots(replica_config(replica)->window) != slot)
        return ORD_ERR_CORRUPT;
    attest_keep(replica, &point);
    return ORD_OK;
}

/* Recovers the points whose tails others may ask for, with the size of the open block at each. */
static enum ord_err recover_points(struct replica *replica, const struct channel_statement *newest) {
    for (uint32_t slot = 0; slot < record_point_slots(replica_config(replica)->window); slot++) {
        enum ord_err err = recover_point(replica, slot, newest);
        if (err != ORD_OK)
            return err;
    }
    const struct attest_point *own = attest_find(replica, newest->seq);
    return own != NULL && channel_statement_equal(&own->statement, newest) ? ORD_OK : ORD_ERR_CORRUPT;
}

/* Reads a certificate. OK with `count` 0: there is none. */
static enum ord_err load_certificate(const struct replica *replica, struct channel_certificate *out, const char *name) {
    struct ord_bytes bytes;
    *out = (struct channel_certificate) {0};
    enum ord_err err = load(replica, &bytes, name);
    if (err == ORD_OK && bytes.data != NULL)
        err = channel_certificate_decode(out, span_of(&bytes));
    free(bytes.data);
    return err;
}

/* A transfer that was cut off goes on to its old target. Newer certificates move the target as usual. */
static enum ord_err recover_target(struct replica *replica) {
    struct attest *attest = &replica->attest;
    struct channel_certificate target;
    enum ord_err err = load_certificate(replica, &target, RECORD_TARGET);
    if (err != ORD_OK || target.count == 0 ||
        (attest->stable.count > 0 && target.statement.seq <= attest->stable.statement.seq))
        return err;
    if (target.count >= channel_strong_quorum(replica_config(replica)))
        attest->stable = target;
    else
        attest->ahead = target;
    return ORD_OK;
}

/* Recovers the newest certificates and the own statement. */
static enum ord_err recover_attest(struct replica *replica) {
    struct attest *attest = &replica->attest;
    struct channel_statement statement;
    struct ord_bytes bytes;
    /* The core's log may still have to be truncated at it, so it is not settled. */
    enum ord_err err = load_certificate(replica, &attest->stable, RECORD_STABLE);
    attest->low = attest->stable;
    attest->weak_seq = attest->stable.statement.seq;
    attest->told_height = attest->stable.statement.height;
    if (err == ORD_OK && replica->sync.between)
        err = recover_target(replica);
    if (err == ORD_OK)
        err = load(replica, &bytes, RECORD_STATEMENT);
    if (err != ORD_OK || bytes.data == NULL)
        return err;
    err = record_statement_decode(&statement, span_of(&bytes));
    free(bytes.data);
    if (err != ORD_OK)
        return err;
    /* Signing the same statement again gives the same signature. */
    attest_recovered(replica, &statement);
    return recover_points(replica, &statement);
}

/* The newest height with a certificate. Readers are served up to it. Fails if the store cannot tell. */
static enum ord_err newest_certified(struct replica *replica, uint64_t *height) {
    uint64_t low = 0;
    uint64_t high = channel_height(replica->execute.channel);
    /* "There is a certificate at or above h" holds up to some height and not beyond it. Damaged certificates count. */
    while (low < high) {
        uint64_t middle = high - (high - low) / 2;
        struct ord_bytes bytes;
        uint64_t at;
        enum ord_err err = replica_host(replica)->certificate(replica_host(replica)->context, &bytes, &at, middle);
        if (err == ORD_OK)
            free(bytes.data);
        if (err == ORD_OK || err == ORD_ERR_CORRUPT)
            low = middle;
        else if (err == ORD_ERR_NOT_FOUND)
            high = middle - 1;
        else
            return err;
    }
    *height = low;
    return ORD_OK;
}

enum ord_err recover_core(struct replica *replica, struct ord_event *start, struct ord_record **records, char *why,
                          size_t why_size) {
    size_t count = 0;
    enum ord_err err = accuse_recover(replica);
    if (err != ORD_OK)
        return recover_failed(why, why_size, "evidence", err);
    err = recover_attest(replica);
    if (err == ORD_OK)
        err = replica_store(replica)->get_records(replica_store(replica)->ledger, records, &count);
    if (err != ORD_OK)
        return recover_failed(why, why_size, "consensus records", err);
    *start = (struct ord_event) {.type = ORD_EVENT_START,
                                 .start = {.records = *records,
                                           .record_count = count,
                                           .applied_seq = channel_applied_seq(replica->execute.channel),
                                           .pass_over = execute_passes(replica)}};
    return ORD_OK;
}

enum ord_err recover_finish(struct replica *replica, size_t record_count, char *why, size_t why_size) {
    struct channel *channel = replica->execute.channel;
    uint64_t height;
    enum ord_err err = newest_certified(replica, &height);
    if (err != ORD_OK)
        return recover_failed(why, why_size, "certificates", err);
    if (replica->sync.between) {
        ORD_MARK(TRANSFER_RESUMED);
        sync_wanted(replica, channel_applied_seq(channel) + 1);
    }
    replica->agree.began_empty = record_count == 0 && channel_applied_seq(channel) == 0;
    agree_note_silence(replica);
    certified_recover(replica, height);
    execute_note_open(replica);
    struct channel_open_block open;
    channel_open(channel, &open);
    replica_log(replica, REPLICA_LOG_INFO, "recovered",
                "height=%" PRIu64 " seq=%" PRIu64 " stable_seq=%" PRIu64 " open=%" PRIu32 " clients=%" PRIu32
                " records=%zu",
                channel_height(channel), channel_applied_seq(channel), agree_status(replica).stable_seq,
                open.envelope_count, channel_client_count(channel), record_count);
    return ORD_OK;
}
