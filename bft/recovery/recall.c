/*
 * The memory that this replica has of others' statements. A replica that asks learns from it whether it forgot any
 * (bft/recovery/silence.h). The sources are votes and proposals in slots and certificates, view changes and new views,
 * and the newest statement of each peer, even if that was dropped. Prepared certificates that the asker lacks go with
 * the answer, because no memory of a COMMIT would convince anybody.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"
#include "core/assert.h"

/* Two answers to one peer are retransmit_ms / ANSWER_PARTS apart. */
enum { ANSWER_PARTS = 4 };

/* The search for the best statement that the ASK does not cover: the highest view, then the highest seq. */
struct search {
    const struct ord_core *core;
    const struct bft_ask *ask;
    struct bft_heard best;
};

static void offer(struct search *search, const struct bft_statement *statement, const struct bft_proof *proof) {
    const struct bft_statement *best = &search->best.statement;
    /*
     * An asker that has installed its own NEW-VIEW holds everything that it proposes again, however far that lies
     * beyond its window.
     */
    bool entry = statement->type == BFT_PRE_PREPARE && statement->view == search->core->view &&
                 search->ask->view == statement->view && !search->ask->changing &&
                 bft_is_entry(search->core, statement->seq);
    if (entry || bft_ask_covers(search->ask, &search->core->config, statement) ||
        (search->best.any &&
         (statement->view < best->view || (statement->view == best->view && statement->seq <= best->seq))))
        return;
    search->best = (struct bft_heard) {.any = true, .statement = *statement, .proof = *proof};
}

static void offer_view(struct search *search, const struct bft_kept *kept, enum bft_type type) {
    if (kept->view == 0)
        return;
    const struct bft_statement statement = {
        .type = type, .view = kept->view, .digest = kept->digest, .sender = search->ask->sender};
    const struct bft_proof proof = bft_kept_proof(kept);
    offer(search, &statement, &proof);
}

static void offer_views(struct search *search) {
    const struct ord_core *core = search->core;
    ord_node_id asker = search->ask->sender;
    offer_view(search, &core->changes[asker], BFT_VIEW_CHANGE);
    offer_view(search, &core->chosen[asker], BFT_VIEW_CHANGE);
    offer_view(search, &core->named[asker], BFT_VIEW_CHANGE);
    offer_view(search, &core->candidates[asker], BFT_NEW_VIEW);
    if (bft_primary(&core->config, core->installed.view) == asker)
        offer_view(search, &core->installed, BFT_NEW_VIEW);
}

static void offer_slot(struct search *search, const struct bft_slot *slot) {
    const struct ord_core *core = search->core;
    ord_node_id asker = search->ask->sender;
    struct bft_statement statement = {.type = BFT_PREPARE, .view = core->view, .seq = slot->seq, .sender = asker};
    struct bft_proof proof;
    if ((slot->prepares & ord_replica_bit(asker)) != 0) {
        statement.digest = slot->prepare_votes[asker].digest;
        offer(search, &statement, &slot->prepare_votes[asker].proof);
    }
    if (slot->state != BFT_SLOT_EMPTY && slot->state != BFT_SLOT_HELD &&
        bft_primary(&core->config, slot->view) == asker) {
        statement = bft_slot_statement(core, slot);
        offer(search, &statement, &slot->proof);
    }
    if (slot->certificate_size > 0 &&
        bft_certificate_statement(&statement, &proof, &core->config,
                                  ord_span_of(slot->certificate, slot->certificate_size), asker))
        offer(search, &statement, &proof);
}

/*
 * The highest seq of which this replica saw anything, but at most two windows above its stable seq, because only liars
 * vote beyond that.
 */
static uint64_t reach(const struct ord_core *core) {
    uint64_t seq =
        ord_max(ord_max(core->delivered_seq, core->attested.seq), ord_max(core->proposed_seq, core->voted_seq));
    for (ord_node_id node = 0; node < core->config.replica_count; node++)
        seq = ord_max(seq, core->heard[node].seq_max);
    uint64_t most = core->stable_seq + 2 * (uint64_t) core->config.window;
    seq = seq < most ? seq : most;
    return seq < BFT_SEQ_MAX ? seq : BFT_SEQ_MAX;
}

/* Writes the prepared certificates that the ASK does not cover into the outbox. */
static struct ord_span certificates(struct ord_core *core, const struct bft_ask *ask) {
    struct ord_writer *outbox = &core->outbox;
    size_t begin = outbox->size;
    uint32_t count = 0;
    uint64_t seq = core->stable_seq;
    for (const struct bft_slot *slot;
         count < BFT_RECALL_CERTIFICATES_MAX && (slot = bft_slot_next(core, &seq)) != NULL;) {
        const struct ord_span certificate = ord_span_of(slot->certificate, slot->certificate_size);
        struct bft_statement statement;
        if (certificate.size == 0 || bft_certificate_decode(&statement, &core->config, certificate) != ORD_OK ||
            bft_ask_covers_certificate(ask, &core->config, statement.view, seq))
            continue;
        ord_write_span(outbox, certificate);
        count++;
    }
    ORD_MARK_IF(count > 0, RECALL_CERTIFICATES);
    return ord_span_of(outbox->data + begin, outbox->size - begin);
}

enum ord_err bft_on_ask(struct ord_core *core, struct ord_span bytes) {
    struct bft_ask ask;
    enum ord_err err = bft_ask_decode(&ask, &core->config, bytes);
    if (err != ORD_OK)
        return err;
    struct bft_peer *peer = &core->peers[ask.sender];
    if (ask.nonce != peer->nonce)
        /* The peer has restarted, and may lack what was sent to it before. */
        bft_changed(core);
    peer->nonce = ask.nonce;
    if (core->now_ms < peer->recall_ms || !bft_budget_spend(core, ask.sender, 0))
        return bft_drop(core);
    peer->recall_ms = core->now_ms + core->config.retransmit_ms / ANSWER_PARTS;
    struct search search = {.core = core, .ask = &ask};
    if (core->heard[ask.sender].any)
        offer(&search, &core->heard[ask.sender].statement, &core->heard[ask.sender].proof);
    offer_views(&search);
    uint64_t seq = core->stable_seq;
    for (const struct bft_slot *slot; (slot = bft_slot_next(core, &seq)) != NULL;)
        offer_slot(&search, slot);
    uint8_t statement[BFT_SIGNED_VOTE_SIZE_MAX];
    size_t size = 0;
    if (search.best.any)
        size = bft_signed_encode(statement, &core->config, &search.best.statement, &search.best.proof);
    const struct bft_recall recall = {.sender = core->config.self,
                                      .nonce = ask.nonce,
                                      .stable_seq = core->stable_seq,
                                      .certificate = bft_checkpoint_proof(&core->stable),
                                      .reach_seq = reach(core),
                                      .statement = ord_span_of(statement, size),
                                      .certificates = certificates(core, &ask)};
    size_t begin = core->outbox.size;
    bft_recall_encode(&core->outbox, &core->config, core->view, &recall);
    ORD_ASSERT(!core->outbox.failed);
    peer->repeated_bytes += core->outbox.size - begin;
    bft_send(core, ord_replica_bit(ask.sender), ord_span_of(core->outbox.data + begin, core->outbox.size - begin),
             true);
    return ORD_OK;
}

bool bft_heard_newer(const struct ord_core *core, ord_node_id sender, uint64_t view, uint64_t seq) {
    const struct bft_statement *newest = &core->heard[sender].statement;
    return !core->heard[sender].any || view > newest->view || (view == newest->view && seq > newest->seq);
}

void bft_heard_note(struct ord_core *core, const struct bft_statement *statement, const struct bft_proof *proof) {
    struct bft_heard *heard = &core->heard[statement->sender];
    uint64_t seq_max = ord_max(heard->seq_max, statement->seq);
    if (bft_heard_newer(core, statement->sender, statement->view, statement->seq))
        *heard = (struct bft_heard) {.any = true, .seq_max = seq_max, .statement = *statement, .proof = *proof};
}
