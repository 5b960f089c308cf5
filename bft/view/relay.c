/*
 * News of the view for replicas that lack it: the own VIEW-CHANGE while a view change is under way, and afterwards the
 * NEW-VIEW with the view changes that it rests on. They convince by their authors' signatures, so any replica may relay
 * them (row V10).
 *
 * A liar may send its VIEW-CHANGE to the new primary alone. Then all others have to ask before they can install the
 * view (new_view.c), and lose what is sent in it until then. So the primary remembers which authors' VIEW-CHANGEs each
 * peer lacked, and sends them along with its next NEW-VIEWs, behind them. A peer that lies about what it lacks gets
 * more itself, and changes nothing for others.
 */
#include "bft/bft_internal.h"

#include "bft/marks.h"

/* The time between two answers to one peer, in units of retransmit_ms. */
enum { NEWS_INTERVALS = 2 };

/* For so many of this replica's NEW-VIEWs a peer gets along with them what it lacked. */
enum { LACKED_VIEWS = 16 };

void bft_relay(struct ord_core *core, ord_replica_set to, struct ord_span bytes) {
    uint8_t data[BFT_RELAY_SIZE];
    struct ord_writer writer = ord_writer_of(data, sizeof(data));
    bft_header_write(&writer, &core->config, BFT_RELAY, core->view, core->config.self);
    bft_send_with(core, to, bft_outbox_copy(core, data, sizeof(data)), bytes);
}

/* False: it may not be sent now. */
static bool pass_on(struct ord_core *core, ord_node_id to, ord_node_id author, const struct bft_kept *kept) {
    struct ord_span bytes = bft_kept_bytes(kept);
    if ((author == core->config.self && !bft_speaks(core)) || !bft_budget_spend(core, to, bytes.size))
        return false;
    core->retransmissions++;
    if (author == core->config.self) {
        bft_send(core, ord_replica_bit(to), bytes, true);
        return true;
    }
    ORD_MARK(NEWS_RELAYED);
    bft_relay(core, ord_replica_bit(to), bytes);
    return true;
}

void bft_give_along(struct ord_core *core) {
    ord_replica_set to[ORD_REPLICA_MAX] = {0};
    for (ord_node_id id = 0; id < core->config.replica_count; id++) {
        struct bft_peer *peer = &core->peers[id];
        for (ord_node_id node = 0; node < core->config.replica_count; node++)
            to[node] |= (peer->lacked >> node & 1) != 0 ? ord_replica_bit(id) : 0;
        if (peer->lacked != 0 && ++peer->lacked_views >= LACKED_VIEWS) {
            peer->lacked = 0;
            peer->lacked_views = 0;
        }
    }
    for (ord_node_id node = 0; node < core->config.replica_count; node++) {
        to[node] &= core->others & ~ord_replica_bit(node);
        if (node == core->config.self || core->chosen[node].view != core->view)
            continue;
        struct ord_span bytes = bft_kept_bytes(&core->chosen[node]);
        for (ord_node_id id = 0; id < core->config.replica_count; id++)
            if ((to[node] & ord_replica_bit(id)) != 0 && !bft_budget_spend(core, id, bytes.size))
                to[node] &= ~ord_replica_bit(id);
        ORD_MARK_IF(to[node] != 0, CHANGE_ALONG);
        if (to[node] != 0)
            bft_relay(core, to[node], bytes);
    }
}

/* The authors of the VIEW-CHANGEs that the installed view rests on. */
static ord_replica_set authors(const struct ord_core *core) {
    ord_replica_set set = 0;
    for (ord_node_id node = 0; node < core->config.replica_count && !core->changing; node++)
        if (core->chosen[node].view == core->view)
            set |= ord_replica_bit(node);
    return set;
}

void bft_answer_view(struct ord_core *core, const struct bft_status *status) {
    struct bft_peer *peer = &core->peers[status->sender];
    const struct bft_kept *own = &core->changes[core->config.self];
    ord_replica_set has = status->view == core->view ? status->changes : 0;
    ord_replica_set lacks = authors(core) & ~has;
    bool soon = core->now_ms < peer->view_ms;
    if (soon) {
        ORD_MARK(NEWS_TOO_SOON);
        /*
         * The primary gives each VIEW-CHANGE once to each peer at any time. Its NEW-VIEW may name one that a liar gave
         * to nobody else, and then nobody can install the view without it.
         */
        lacks &= bft_primary(&core->config, core->view) == core->config.self ? ~peer->news_given : 0;
        if (lacks == 0)
            return;
    }
    if (status->view == core->view && bft_primary(&core->config, core->view) == core->config.self) {
        /* Each author that it lacks for the first time counts for as many views. */
        peer->lacked_views = (lacks & ~peer->lacked) != 0 ? 0 : peer->lacked_views;
        peer->lacked |= lacks;
    }
    peer->view_ms = core->now_ms + (uint64_t) NEWS_INTERVALS * core->config.retransmit_ms;
    bool convicts = core->proof_size > 0 && core->proof_view == status->view && status->view < core->view;
    ORD_MARK_IF(convicts, NEWS_EVIDENCE_AGAIN);
    if (convicts)
        bft_send(core, ord_replica_bit(status->sender), ord_span_of(core->proof, core->proof_size), false);
    if (core->changing) {
        if ((has & ord_replica_bit(core->config.self)) == 0)
            (void) pass_on(core, status->sender, core->config.self, own);
        return;
    }
    /*
     * The peer gets its own VIEW-CHANGE too: it lacks that one only if it has forgotten it (row V16). Each replica
     * begins with its own VIEW-CHANGE. So a peer that is far behind soon has f + 1 different ones, however little it
     * takes from one replica at a time.
     */
    ord_node_id node = core->config.self;
    for (uint32_t i = 0; i < core->config.replica_count;
         i++, node = node + 1 < core->config.replica_count ? node + 1 : 0)
        if ((lacks & ord_replica_bit(node)) != 0 && pass_on(core, status->sender, node, &core->chosen[node]))
            peer->news_given |= ord_replica_bit(node);
    if (core->installed.view == core->view && core->view > 0 && !(soon && peer->view_given) &&
        pass_on(core, status->sender, bft_primary(&core->config, core->view), &core->installed))
        peer->view_given = true;
}

static bool is_kept(const struct bft_kept *kept, uint64_t view, struct ord_span bytes) {
    return kept->view == view && ord_span_equal(bft_kept_bytes(kept), bytes);
}

static bool wants_view_message(const struct ord_core *core, const struct bft_header *header, struct ord_span bytes) {
    if (header->view < core->view)
        return false;
    /* A message of this replica itself that it does not hold proves that it has forgotten that message. */
    if (header->sender == core->config.self && bft_speaks(core))
        return header->view > core->view || (header->type == BFT_NEW_VIEW && core->changing);
    const struct bft_kept *kept = header->type == BFT_NEW_VIEW ? core->candidates : core->changes;
    if (is_kept(&kept[header->sender], header->view, bytes) ||
        is_kept(&core->named[header->sender], header->view, bytes) ||
        is_kept(&core->chosen[header->sender], header->view, bytes) || is_kept(&core->installed, header->view, bytes))
        return false;
    /* If a later VIEW-CHANGE of the same sender is here, only one that a NEW-VIEW may name is of use. */
    bool followed =
        !bft_speaks(core) && core->candidates[bft_primary(&core->config, header->view)].view == header->view;
    return header->type == BFT_NEW_VIEW || header->view == core->view || followed ||
           header->view > kept[header->sender].view;
}

/*
 * Refuses what is of no use before its signatures are checked (row V3): any replica has certificates of long ago, and a
 * message full of them takes long to check. A vote that was counted may come again and again, too.
 */
bool bft_wants(const struct ord_core *core, struct ord_span bytes) {
    struct bft_header header;
    if (bytes.size > BFT_RELAY_SIZE && bytes.data[0] == BFT_RELAY)
        bytes = bft_behind_header(bytes);
    struct ord_reader reader = ord_reader_of(bytes);
    enum ord_err err = bft_header_read(&header, &reader, &core->config);
    bool of_view = header.type == BFT_VIEW_CHANGE || header.type == BFT_NEW_VIEW;
    if (err != ORD_OK || header.sender >= core->config.replica_count)
        return err != ORD_OK || !of_view; /* `authenticate` says what is wrong with it */
    if (of_view)
        return wants_view_message(core, &header, bytes);
    if (header.type == BFT_RECALL)
        return ord_read_u64(&reader) == core->silence.nonce &&
               (core->silence.answered & ord_replica_bit(header.sender)) == 0;
    if (header.type == BFT_PREPARE)
        return bft_wants_prepare(core, bytes);
    if (header.type == BFT_COMMIT)
        return bft_wants_commit(core, bytes);
    if (header.type == BFT_PRE_PREPARE)
        return bft_wants_pre_prepare(core, bytes);
    if (header.type == BFT_BODY)
        return bft_wants_body(core, bytes);
    return header.type != BFT_EVIDENCE || bft_wants_evidence(core, bytes);
}
