/*
 * The seam of PBFT: memory, dispatch of events, status. All memory is laid out once, from the config.
 *
 * Why a replica may count its own PREPARE or COMMIT in the turn that makes it, and go on before that turn is durable.
 * The count changes this replica's memory at once, and nobody else can see that. A message that depends on the count is
 * a PREPARE, a COMMIT, a VIEW-CHANGE, a NEW-VIEW, a STATUS or a RECALL, and each of these is sent with `after_persist`.
 * Otherwise it is an attestation or a receipt, which the node gives out when the block that it rests on is durable. All
 * of these come from the same turn or a later one, and turns become durable in their order. So the vote, its
 * PRE-PREPARE and its certificate are on disk when the first of them leaves. If the replica dies before that, the count
 * is lost with its memory, and nobody has relied on it.
 *
 * STATUS is not signed and must wait all the same. It says which view the replica has left for good, and others count
 * it among those that left. It says which batches the replica holds, and others do not send those again. If the replica
 * died before all that is on disk, it would break these promises after the restart.
 *
 * Three kinds of message go without `after_persist`. FETCH asks for a batch; WITNESS and EVIDENCE pass on what another
 * replica signed. None of them reports anything that this replica did.
 */
#include "bft/bft.h"

#include <stdalign.h>
#include <string.h>

#include "bft/bft_internal.h"
#include "core/assert.h"
#include "core/quorum.h"

static bool config_valid(const struct ord_core_config *config) {
    const struct bft_options *options = bft_options_of(config);
    return config->replica_count >= 4 && config->replica_count <= ORD_REPLICA_MAX &&
           config->self < config->replica_count && config->window >= 2 && config->window <= BFT_WINDOW_MAX &&
           config->checkpoint_interval >= 1 && config->checkpoint_interval <= config->window / 2 &&
           config->batch_bytes_max >= 1 && config->batch_bytes_max <= UINT32_MAX / 4 &&
           config->body_bytes_max >= 4 * (uint64_t) config->batch_bytes_max && config->body_bytes_max <= SIZE_MAX / 4 &&
           config->retransmit_ms >= 1 && config->crypto != NULL && options != NULL &&
           options->request_timeout_ms >= 1 && options->checkpoints.verify != NULL &&
           options->checkpoints.size_max >= 1 && options->checkpoints.size_max <= UINT32_MAX / 4;
}

/* Hands out parts of one block of memory. Without a base it only measures. */
struct layout {
    uint8_t *base;
    size_t used;
};

static void *take(struct layout *layout, size_t count, size_t size) {
    size_t align = alignof(max_align_t);
    size_t offset = layout->used;
    layout->used += (count * size + align - 1) / align * align;
    return layout->base == NULL ? NULL : layout->base + offset;
}

/*
 * Room for the bodies, for what precedes each body in its message, and for one more message of the largest size. Bodies
 * that are lent out cannot be moved together, and the extra message makes up for the gaps between them in all but
 * contrived cases. The bodies count twice because of new views: f + 1 honest replicas accepted each batch that is
 * proposed again, so what a lying primary spreads over all replicas is less than twice what one of them accepts.
 */
static size_t store_capacity(const struct ord_core_config *config) {
    return 2 * (size_t) config->body_bytes_max + (size_t) config->window * BFT_PRE_PREPARE_SIZE +
           config->batch_bytes_max + BFT_PRE_PREPARE_SIZE;
}

/* Room for `count` messages of at most `size` bytes. */
static struct bft_kept *take_kept(struct layout *layout, size_t count, size_t size) {
    struct bft_kept *kept = take(layout, count, sizeof(*kept));
    uint8_t *bytes = take(layout, count, size);
    for (size_t i = 0; kept != NULL && i < count; i++)
        kept[i] = (struct bft_kept) {.bytes = bytes + i * size};
    return kept;
}

/* Room for VIEW-CHANGEs, NEW-VIEWs and the certificates of checkpoints. */
static void lay_out_views(struct layout *layout, struct ord_core *core, const struct ord_core_config *config) {
    size_t count = config->replica_count;
    size_t change_size = bft_view_change_size_max(config);
    size_t view_size = bft_new_view_size_max(config);
    size_t checkpoint_size = bft_options_of(config)->checkpoints.size_max;
    core->changes = take_kept(layout, count, change_size);
    core->chosen = take_kept(layout, count, change_size);
    core->named = take_kept(layout, count, change_size);
    core->candidates = take_kept(layout, count, view_size);
    core->spare_change.bytes = take(layout, 1, change_size);
    core->spare_view.bytes = take(layout, 1, view_size);
    core->installed.bytes = take(layout, 1, view_size);
    core->choices = take(layout, config->window, sizeof(*core->choices));
    core->stable.bytes = take(layout, 1, checkpoint_size);
    core->target.bytes = take(layout, 1, checkpoint_size);
    core->attested.bytes = take(layout, 1, checkpoint_size);
}

/* Lays out everything behind the core itself. Without memory it only measures, and fills `core` with NULL. */
static size_t lay_out(struct ord_core *core, void *memory, const struct ord_core_config *config) {
    struct layout layout = {.base = memory};
    size_t window = config->window;
    size_t count = config->replica_count;
    size_t certificate_size = BFT_CERTIFICATE_SIZE_MAX(ord_bft_quorum(config->replica_count));
    (void) take(&layout, 1, sizeof(*core));
    core->slots = take(&layout, window, sizeof(*core->slots));
    struct bft_prepare_vote *prepare_votes = take(&layout, window * count, sizeof(*prepare_votes));
    struct ord_hash *commit_digests = take(&layout, window * count, sizeof(*commit_digests));
    uint8_t *certificates = take(&layout, window, certificate_size);
    core->peers = take(&layout, count, sizeof(*core->peers));
    core->heard = take(&layout, count, sizeof(*core->heard));
    core->effect_max = bft_effect_max(config);
    core->effects = take(&layout, core->effect_max, sizeof(*core->effects));
    core->outbox = ord_writer_of(take(&layout, 1, bft_outbox_size(config)), bft_outbox_size(config));
    core->certificate_size_max = certificate_size;
    struct bft_body *bodies = take(&layout, window, sizeof(*bodies));
    uint8_t *store = take(&layout, 1, store_capacity(config));
    bft_bodies_init(&core->bodies, store, store_capacity(config), bodies, window);
    lay_out_views(&layout, core, config);
    if (memory == NULL)
        return layout.used;
    memset(core->peers, 0, count * sizeof(*core->peers));
    memset(core->heard, 0, count * sizeof(*core->heard));
    for (size_t i = 0; i < window; i++)
        core->slots[i] = (struct bft_slot) {.prepare_votes = prepare_votes + i * count,
                                            .commit_digests = commit_digests + i * count,
                                            .certificate = certificates + i * certificate_size};
    return layout.used;
}

static size_t bft_memory_size(const struct ord_core_config *config) {
    struct ord_core measured;
    return config_valid(config) ? lay_out(&measured, NULL, config) : 0;
}

static size_t bft_message_size_max(const struct ord_core_config *config) {
    size_t view = BFT_RELAY_SIZE + ord_max(bft_view_change_size_max(config), bft_new_view_size_max(config));
    size_t silence = ord_max(bft_ask_size(config), bft_recall_size_max(config));
    size_t proposal = BFT_RELAY_SIZE + BFT_PRE_PREPARE_SIZE + (size_t) config->batch_bytes_max;
    return ord_max(ord_max(view, silence), ord_max(proposal, BFT_PREPARE_SIZE_MAX));
}

static enum ord_err bft_init(struct ord_core **out, void *memory, size_t memory_size,
                             const struct ord_core_config *config, const struct ord_signer *signer, uint64_t seed) {
    size_t size = bft_memory_size(config);
    if (size == 0 || signer == NULL)
        return ORD_ERR_INVALID;
    if (memory_size < size)
        return ORD_ERR_NO_SPACE;
    struct ord_core *core = memory;
    memset(core, 0, sizeof(*core));
    core->ratchet.stall_since_ms = UINT64_MAX;
    (void) lay_out(core, memory, config);
    *out = core;
    core->config = *config;
    core->options = bft_options_of(config);
    core->signer = *signer;
    core->quorum = ord_bft_quorum(config->replica_count);
    core->weak_quorum = ord_bft_weak_quorum(config->replica_count);
    core->work_since_ms = UINT64_MAX;
    core->work_turn_ms = UINT64_MAX;
    core->silence.nonce = seed;
    bft_body_digest(&core->null_digest, config->crypto, ord_span_of(NULL, 0));
    ord_replica_set all = config->replica_count == 64 ? UINT64_MAX : ord_replica_bit(config->replica_count) - 1;
    core->others = all & ~ord_replica_bit(config->self);
    return ORD_OK;
}

static enum ord_err on_relay(struct ord_core *core, const struct ord_verified *message) {
    struct ord_verified relayed = {
        .type = BFT_PRE_PREPARE, .bytes = bft_behind_header(message->bytes), .digest = message->digest};
    struct ord_reader reader = ord_reader_of(relayed.bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, &core->config);
    if (err != ORD_OK)
        return err;
    relayed.from = header.sender;
    if (header.type == BFT_PRE_PREPARE)
        return bft_on_pre_prepare(core, &relayed);
    return header.type == BFT_VIEW_CHANGE ? bft_on_view_change(core, relayed.bytes)
                                          : bft_on_new_view(core, relayed.bytes);
}

static enum ord_err on_list(struct ord_core *core, const struct ord_verified *message) {
    struct bft_vote_list *list = &core->list;
    enum ord_err err = bft_vote_list_decode(list, &core->config, message->bytes);
    if (err != ORD_OK)
        return err;
    if (list->sender != message->from || list->type != (enum bft_type) message->type)
        return ORD_ERR_INVALID;
    if (list->type == BFT_PREPARE)
        bft_on_prepare(core, list);
    else if (list->type == BFT_COMMIT)
        bft_on_commit(core, list);
    else
        bft_on_fetch(core, list);
    return ORD_OK;
}

static enum ord_err on_message(struct ord_core *core, const struct ord_verified *message) {
    enum ord_err err;
    struct bft_status status;
    if (message == NULL || message->from >= core->config.replica_count || message->from == core->config.self)
        return ORD_ERR_INVALID;
    switch (message->type) {
    case BFT_PRE_PREPARE:
        return bft_on_pre_prepare(core, message);
    case BFT_PREPARE:
    case BFT_COMMIT:
    case BFT_FETCH:
        return on_list(core, message);
    case BFT_BODY:
        return bft_on_body(core, message);
    case BFT_WITNESS:
        return bft_on_witness(core, message->bytes);
    case BFT_EVIDENCE:
        return bft_on_evidence(core, message->bytes);
    case BFT_VIEW_CHANGE:
        return bft_on_view_change(core, message->bytes);
    case BFT_NEW_VIEW:
        return bft_on_new_view(core, message->bytes);
    case BFT_RELAY:
        return on_relay(core, message);
    case BFT_STATUS:
        err = bft_status_decode(&status, &core->config, message->bytes);
        if (err != ORD_OK)
            return err;
        return status.sender == message->from ? bft_on_status(core, &status) : ORD_ERR_INVALID;
    case BFT_ASK:
        return bft_on_ask(core, message->bytes);
    case BFT_RECALL:
        return bft_on_recall(core, message->bytes);
    default:
        return ORD_ERR_INVALID;
    }
}

/*
 * The turn ends. Everything that signs is called here, and a turn signs only one kind, so that a signer that fails
 * leaves the core as it was: a view change that is due, else a new view, else votes. Commits come after the own
 * prepares, which may complete certificates.
 */
static enum ord_err on_flush(struct ord_core *core) {
    enum ord_err err = ORD_OK;
    if (!bft_speaks(core)) {
        /* A silent replica, or one that asks, only follows to other views. */
        core->next_view = core->view;
        core->look_again = false;
        bft_try_candidates(core);
        /* A replica that asks may need the batches of certificates that were returned. */
        if (!core->silence.silent)
            bft_fetch_check(core);
        bft_wake(core);
        return ORD_OK;
    }
    uint64_t view = core->view;
    bool changing = core->changing;
    if (core->next_view > core->view) {
        err = bft_change_view(core);
    } else if (core->look_again) {
        core->look_again = false;
        err = bft_make_new_view(core);
        if (err == ORD_OK)
            bft_try_candidates(core);
        else
            core->look_again = true;
    }
    if (err == ORD_OK && core->view == view && core->changing == changing) {
        if (core->votes_due)
            err = bft_flush_prepares(core);
        if (err == ORD_OK && core->votes_due)
            bft_flush_commits(core);
        core->votes_due = core->votes_due && err != ORD_OK;
    } else if (err == ORD_OK) {
        /* The next turn sends the votes of the new view. */
        core->look_again = true;
    }
    if (err != ORD_OK)
        return err;
    bft_fetch_check(core);
    bft_suspect_check(core);
    /* Only after the COMMITs of this turn are sent, because they may be the last ones of the view. */
    bft_rotate_check(core);
    bft_wake(core);
    return ORD_OK;
}

static enum ord_err dispatch(struct ord_core *core, const struct ord_event *event) {
    switch (event->type) {
    case ORD_EVENT_START:
        return bft_on_start(core, event);
    case ORD_EVENT_TICK:
        bft_on_tick(core);
        return ORD_OK;
    case ORD_EVENT_MESSAGE:
        return on_message(core, event->message);
    case ORD_EVENT_PROPOSE:
        return bft_on_propose(core, event->propose.batch);
    case ORD_EVENT_JUDGED:
        bft_on_judged(core, event->judged.view, event->judged.seq, &event->judged.digest, event->judged.admissible,
                      event->judged.lean);
        return ORD_OK;
    case ORD_EVENT_FLUSH:
        return on_flush(core);
    case ORD_EVENT_ATTESTED:
        return bft_on_attested(core, event->attested.seq, event->attested.certificate);
    case ORD_EVENT_SYNCED:
        return bft_on_synced(core, event);
    case ORD_EVENT_WORK:
        if (core->work_since_ms == UINT64_MAX && event->work.since_ms != UINT64_MAX)
            bft_changed(core);
        core->work_since_ms = event->work.since_ms;
        core->work_turn_ms = event->work.turn_ms;
        return ORD_OK;
    case ORD_EVENT_STORAGE:
        /* Retransmission or state transfer brings what this replica misses while its storage is gone. */
        if (!event->storage.available)
            bft_on_hand_over(core);
        return ORD_OK;
    case ORD_EVENT_HAND_OVER:
        bft_on_hand_over(core);
        return ORD_OK;
    case ORD_EVENT_PERSISTED: /* each SEND carries its own condition */
        return ORD_OK;
    case ORD_EVENT_APPLIED:
        /*
         * This moves only the judgement of the primary and the end of its view. The seq becomes stable by ATTESTED,
         * when that is proven.
         */
        bft_on_applied(core, event);
        bft_useless_applied(core, event->applied.seq, event->applied.useful_seq);
        bft_pass_over(core, event->applied.seq, event->applied.pass_over);
        if (bft_speaks(core) && !core->votes_due)
            bft_rotate_check(core);
        return ORD_OK;
    }
    return ORD_ERR_INVALID;
}

static enum ord_err bft_step(struct ord_core *core, struct ord_effects *out, const struct ord_event *event) {
    *out = (struct ord_effects) {.items = core->effects, .count = 0};
    if (!core->started && event->type != ORD_EVENT_START)
        return ORD_ERR_WRONG_STATE;
    uint64_t before_ms = core->now_ms;
    struct bft_ratchet_clock clock = core->ratchet.window.clock;
    if (event->now_ms > core->now_ms) {
        bft_ratchet_pass(core, event->now_ms);
        core->now_ms = event->now_ms;
    }
    bft_effects_reset(core);
    enum ord_err err = dispatch(core, event);
    if (err != ORD_OK) {
        core->now_ms = before_ms;
        core->ratchet.window.clock = clock;
        return err;
    }
    bft_silence_settle(core);
    bft_lag_check(core);
    ORD_ASSERT(core->stable_seq <= core->delivered_seq && core->delivered_seq <= core->proposed_seq);
    ORD_ASSERT(core->body_bytes <= 2 * core->config.body_bytes_max);
    out->count = core->effect_count;
    return ORD_OK;
}

static void bft_status_of(const struct ord_core *core, struct ord_status *out) {
    ord_node_id leader = bft_leader(core);
    bool leading = core->started && leader == core->config.self;
    *out = (struct ord_status) {
        .view = core->view,
        .leader = leader,
        .leading = leading,
        .changing = core->changing,
        .can_propose = leading && !core->detail.handing_over && bft_has_room(core, core->config.batch_bytes_max),
        .names_view = leading && bft_names_view(core, core->next_seq),
        .delivered_seq = core->delivered_seq,
        .stable_seq = core->stable_seq,
        .stable_certificate = bft_checkpoint_proof(&core->stable),
        .proposed_seq = core->proposed_seq,
        .in_flight = (uint32_t) ord_min(core->proposed_seq - core->delivered_seq, UINT32_MAX),
        .body_bytes = core->body_bytes,
        .messages_dropped = core->messages_dropped,
        .messages_refused = core->messages_refused,
        .retransmissions = core->retransmissions,
        .asking = core->silence.asking,
        .silent = core->silence.silent,
        .silent_until_seq = core->silence.silent ? core->silence.bound_seq : 0,
        .doubt_until_seq = bft_silence_doubt(core),
        .detail = &core->detail,
    };
}

static enum ord_err bft_body_of_record(struct ord_span *batch, struct ord_span record) {
    if (record.size <= BFT_PRE_PREPARE_SIZE || record.data[0] != BFT_PRE_PREPARE ||
        ord_load_u32(record.data + BFT_PRE_PREPARE_SIZE - 4) != record.size - BFT_PRE_PREPARE_SIZE)
        return ORD_ERR_CORRUPT;
    *batch = ord_span_of(record.data + BFT_PRE_PREPARE_SIZE, record.size - BFT_PRE_PREPARE_SIZE);
    return ORD_OK;
}

const struct ord_protocol bft_pbft = {
    .name = "pbft",
    .memory_size = bft_memory_size,
    .init = bft_init,
    .authenticate = bft_authenticate,
    .message_size_max = bft_message_size_max,
    .cost = bft_cost,
    .bulk = bft_bulk,
    .wants = bft_wants,
    .step = bft_step,
    .status = bft_status_of,
    .body_table = BFT_TABLE_LOG,
    .body_of_record = bft_body_of_record,
};
