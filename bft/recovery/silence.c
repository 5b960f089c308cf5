/*
 * A replica that may have forgotten what it said: row V16. Its disk may be empty, or hold an older image that is
 * consistent in itself. After a restart a replica cannot tell whether its disk is the newest one, so it asks the others
 * (ASK) which of its statements they hold. It makes no statement until quorum - 1 have answered.
 *
 * Invariant: while it asks or is silent, no PRE-PREPARE, PREPARE, COMMIT, VIEW-CHANGE or NEW-VIEW of its own leaves it
 * (bft_send, bft_sign). The silence begins with the first proof that the replica has forgotten something
 * (silence_state.c). It ends when everything that the replica can have voted for lies at or below its stable
 * checkpoint, and its view is not below those in which it made statements. The silence is durable, so a restart does
 * not end it.
 *
 * What it cannot prove to have said it may have said all the same, COMMITs above all. So the answers give back prepared
 * certificates (adopt.c), and it goes on asking those that have not answered until no doubt is left.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"
#include "core/assert.h"

/* For how many times retransmit_ms a replica that could speak waits for the batches of certificates. */
enum { BATCH_INTERVALS = 4 };

/*
 * The silence is over, so its record goes or changes. Without a stable checkpoint a record that says "speaks" stays: if
 * the replica restarts before it has said anything, its disk must not look like one that was lost.
 */
static void release(struct ord_core *core) {
    struct bft_silence *silence = &core->silence;
    if (silence->kept == BFT_SILENCE_NONE || (silence->kept == BFT_SILENCE_SPEAKS && core->stable_seq == 0))
        return;
    silence->bound_seq = 0;
    silence->floor_view = 0;
    if (core->stable_seq == 0) {
        bft_silence_keep(core, BFT_SILENCE_SPEAKS);
        return;
    }
    /* The checkpoint on disk now shows that the disk is not empty. */
    silence->kept = BFT_SILENCE_NONE;
    bft_forget(core, BFT_TABLE_SILENCE, 1);
}

/* Whether this replica holds an own PRE-PREPARE or PREPARE of its view, which must be installed, for this seq. */
static bool has_statement(const struct ord_core *core, uint64_t seq) {
    const struct bft_slot *slot = bft_slot_find(core, seq);
    if (bft_primary(&core->config, core->view) != core->config.self)
        return slot != NULL && slot->own_prepare;
    return bft_is_entry(core, seq) || (slot != NULL && slot->state != BFT_SLOT_EMPTY && slot->state != BFT_SLOT_HELD);
}

/*
 * Whether this replica holds this statement of its own. Its own NEW-VIEW may propose again what lies beyond its window,
 * where an ASK has no bits.
 */
static bool is_held(const struct ord_core *core, const struct bft_ask *ask, const struct bft_statement *statement) {
    return bft_ask_covers(ask, &core->config, statement) ||
           (statement->view == core->view && statement->type == BFT_PRE_PREPARE && bft_is_entry(core, statement->seq));
}

/* The ASK that this replica would send now. Its bitmaps are in the outbox. */
static struct bft_ask own_ask(struct ord_core *core) {
    struct bft_ask ask = {.view = core->view,
                          .sender = core->config.self,
                          .nonce = core->silence.nonce,
                          .changing = core->changing,
                          .stable_seq = core->stable_seq};
    size_t size = bft_ask_words_size(&core->config);
    uint8_t *words = core->outbox.data + core->outbox.size;
    uint8_t *prepared = words + size;
    for (size_t i = 0; i < 2 * size; i++)
        ord_write_u8(&core->outbox, 0);
    ORD_ASSERT(!core->outbox.failed);
    for (uint32_t i = 0; i < core->config.window && !core->changing; i++) {
        uint64_t seq = core->stable_seq + 1 + i;
        const uint8_t bit = (uint8_t) (1u << (i % 8));
        words[i / 8] |= has_statement(core, seq) ? bit : 0;
        prepared[i / 8] |= bft_adopt_has(core, seq) ? bit : 0;
    }
    ask.words = words;
    ask.prepared = prepared;
    return ask;
}

static void ask_others(struct ord_core *core) {
    struct bft_silence *silence = &core->silence;
    const struct bft_ask ask = own_ask(core);
    size_t begin = core->outbox.size;
    bft_ask_encode(&core->outbox, &core->config, &ask);
    ORD_ASSERT(!core->outbox.failed);
    ord_replica_set to = core->others & ~silence->answered;
    if (to != 0)
        bft_send(core, to, ord_span_of(core->outbox.data + begin, core->outbox.size - begin), true);
    /* After a start the links are not up yet, and a whole interval would be a long time to wait for them. */
    silence->ask_ms =
        core->now_ms + (silence->asking ? core->config.retransmit_ms / 2 + 1
                                        : ord_max(core->config.retransmit_ms, (uint64_t) BFT_HEARTBEAT_MS));
}

uint64_t bft_silence_doubt(const struct ord_core *core) {
    uint64_t seq = core->silence.reach_seq + core->config.window;
    return core->stable_seq < seq ? seq : 0;
}

/* Whether there is a replica to ask. One that answers late may have something that nobody else returned. */
static bool asks(const struct ord_core *core) {
    const struct bft_silence *silence = &core->silence;
    return silence->asking || ((core->others & ~silence->answered) != 0 && bft_silence_doubt(core) > 0);
}

void bft_silence_start(struct ord_core *core, struct ord_span record, bool disk_empty) {
    struct bft_silence *silence = &core->silence;
    silence->asking = true;
    silence->empty = disk_empty;
    if (record.size > 0) {
        silence->kept = (enum bft_silence_state) record.data[16];
        silence->empty = silence->kept == BFT_SILENCE_EMPTY;
        silence->silent = silence->kept == BFT_SILENCE_SILENT;
        silence->bound_seq = ord_load_u64(record.data);
        silence->floor_view = ord_load_u64(record.data + 8);
    } else if (disk_empty) {
        /* Kept before any other record: otherwise a restart would find a disk that is not empty. */
        bft_silence_keep(core, BFT_SILENCE_EMPTY);
    }
    ask_others(core);
}

uint64_t bft_silence_deadline(const struct ord_core *core) {
    return asks(core) ? core->silence.ask_ms : UINT64_MAX;
}

void bft_silence_tick(struct ord_core *core) {
    if (asks(core) && core->now_ms >= core->silence.ask_ms)
        ask_others(core);
}

/* Begins to speak: goes on as START would have, or from where it was when it fell silent. */
static void speak(struct ord_core *core) {
    ORD_ASSERT(bft_speaks(core));
    bft_changed(core);
    release(core);
    core->next_seq = ord_max(core->next_seq, core->delivered_seq + 1);
    core->next_view = core->view;
    /* Work that waited meanwhile says nothing about the primary. */
    core->view_since_ms = core->now_ms;
    core->progress_ms = core->now_ms;
    core->in_flight_ms = core->now_ms;
    bft_ratchet_view(core);
    bft_open_entries(core);
    uint64_t seq = core->stable_seq;
    for (struct bft_slot *slot; (slot = bft_slot_next(core, &seq)) != NULL;)
        bft_slot_advance(core, slot);
    core->look_again = true;
    if (core->changing) {
        ORD_MARK(RESTART_PROMISE);
        bft_send(core, core->others, bft_kept_bytes(&core->changes[core->config.self]), true);
    } else if (bft_primary(&core->config, core->view) == core->config.self) {
        bft_announce_leader(core);
    }
    /* The others may have gone on meanwhile, and do not say so again. */
    bft_join(core);
    bft_send_status(core);
}

/* Enough replicas have answered, and what they returned is here: speaks, or is silent. */
static void decide(struct ord_core *core) {
    struct bft_silence *silence = &core->silence;
    silence->asking = false;
    /*
     * A lost disk cannot be told from one that was never written. But where nothing is stable yet, everything that was
     * said is in the slots of the others.
     */
    silence->silent = silence->silent || (silence->empty && silence->proven_seq > 0);
    if (!silence->silent) {
        speak(core);
        return;
    }
    silence->bound_seq = ord_max(silence->bound_seq, silence->reach_seq);
    bft_silence_keep(core, BFT_SILENCE_SILENT);
    bft_send_status(core);
}

/*
 * Takes the certificates of an answer. Each also shows whether this replica signed its batch. An answer that is full
 * and brought something does not count yet, because its sender may have more.
 */
static void take_certificates(struct ord_core *core, const struct bft_recall *recall) {
    struct ord_span certificate;
    struct ord_span rest = recall->certificates;
    uint32_t count = 0;
    const struct bft_ask ask = own_ask(core);
    while (bft_recall_next(&certificate, &rest, &core->config)) {
        struct bft_statement own;
        struct bft_proof proof;
        count++;
        if (bft_certificate_statement(&own, &proof, &core->config, certificate, core->config.self) &&
            !is_held(core, &ask, &own))
            bft_silence_prove(core, own.view, own.seq);
    }
    bool useful = !core->silence.silent && bft_adopt(core, recall->certificates);
    if (!useful || count < BFT_RECALL_CERTIFICATES_MAX)
        core->silence.answered |= ord_replica_bit(recall->sender);
}

enum ord_err bft_on_recall(struct ord_core *core, struct ord_span bytes) {
    struct bft_silence *silence = &core->silence;
    struct bft_recall recall;
    enum ord_err err = bft_recall_decode(&recall, &core->config, bytes);
    if (err != ORD_OK)
        return err;
    struct bft_statement statement;
    struct bft_proof proof;
    if (recall.statement.size > 0)
        err = bft_signed_decode(&statement, &proof, &core->config, recall.statement);
    if (err != ORD_OK)
        return err;
    if (recall.nonce != silence->nonce) {
        /* The answer is to an earlier life of this replica. */
        return bft_drop(core);
    }
    /*
     * This replica binds nothing at or below that seq any more (bft_may_bind). It needs state transfer to get there,
     * and perhaps no other message tells it of this checkpoint.
     */
    if (recall.stable_seq > core->delivered_seq)
        err = bft_on_attested(core, recall.stable_seq, recall.certificate);
    if (err != ORD_OK)
        return err;
    bool first = (silence->heard & ord_replica_bit(recall.sender)) == 0;
    silence->heard |= ord_replica_bit(recall.sender);
    if (first && recall.reach_seq > silence->reach_seq)
        silence->reach_seq = recall.reach_seq;
    silence->proven_seq = ord_max(silence->proven_seq, recall.stable_seq);
    if (recall.statement.size > 0) {
        const struct bft_ask ask = own_ask(core);
        if (statement.sender == core->config.self && !is_held(core, &ask, &statement))
            bft_silence_prove(core, statement.view, statement.seq);
    }
    take_certificates(core, &recall);
    if (silence->silent && !silence->asking && silence->reach_seq > silence->bound_seq)
        bft_silence_prove(core, silence->floor_view, silence->reach_seq);
    return ORD_OK;
}

void bft_silence_settle(struct ord_core *core) {
    struct bft_silence *silence = &core->silence;
    if (silence->asking && ord_replica_count(silence->answered) >= core->quorum - 1) {
        if (silence->enough_ms == 0)
            silence->enough_ms = core->now_ms > 0 ? core->now_ms : 1;
        uint64_t until_ms = silence->enough_ms + BATCH_INTERVALS * (uint64_t) core->config.retransmit_ms;
        if (!bft_adopt_awaits(core) || core->now_ms >= until_ms)
            decide(core);
    }
    bool reached = core->stable_seq >= silence->bound_seq;
    /* In a view that it is still changing to, it made no statement except its VIEW-CHANGE, which it holds. */
    bool above = core->view > silence->floor_view || (core->view == silence->floor_view && !core->changing);
    if (!silence->silent || silence->asking || !reached || !above)
        return;
    silence->silent = false;
    speak(core);
}
