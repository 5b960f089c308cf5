/*
 * The invariants.
 */
#include "sim/check.h"

#include <stdlib.h>
#include <string.h>

#include "bft/recovery/silence.h"
#include "bft/wire/proof.h"
#include "bft/wire/view_message.h"
#include "core/quorum.h"
#include "sim/check_raft.h"
#include "sim/client.h"
#include "sim/process.h"

enum { MOVING_US = 30000000, ATTEST_REST_MS = 1000 };

static struct sim_checker *checker_of(const struct sim_replica *replica) {
    return replica->world->checker;
}

void sim_checker_init(struct sim_world *world) {
    world->checker = sim_alloc(sizeof(*world->checker));
    world->checker->shown = sim_alloc(world->instance_count * sizeof(*world->checker->shown));
    sim_model_init(&world->checker->model, world->config, &world->genesis_hash);
}

void sim_checker_deinit(struct sim_world *world) {
    if (world->checker == NULL)
        return;
    sim_model_deinit(&world->checker->model);
    sim_changes_deinit(world->checker);
    sim_map_deinit(&world->checker->said);
    sim_map_deinit(&world->checker->states);
    sim_map_deinit(&world->checker->returned);
    free(world->checker->shown);
    free(world->checker);
}

/* ---- order ---- */

bool sim_check_id_faulty(const struct sim_world *world, ord_node_id id) {
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->replicas[i].id == id && sim_honest(&world->replicas[i]))
            return false;
    return true;
}

bool sim_check_has_said(const struct sim_world *world, uint32_t type, ord_node_id id, uint64_t view, uint64_t seq,
                        const struct ord_hash *digest) {
    const struct sim_map_entry *entry = sim_map_find(&world->checker->said, (uint64_t) type << 32 | id, view, seq);
    return entry != NULL && ord_hash_equal(&entry->hash, digest);
}

/* Whether the replica may have contradicted itself at this seq before it counted as honest again. */
static bool forgot(const struct sim_world *world, ord_node_id id, uint64_t seq) {
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->replicas[i].id == id && seq <= world->replicas[i].forgot_until_seq)
            return true;
    return false;
}

/*
 * Counts everybody who may have voted so: those who did, those who may say anything, and the replica itself, whose own
 * vote leaves in this turn.
 */
static void check_quorum(struct sim_replica *replica, bool commits, uint64_t view, uint64_t seq,
                         const struct ord_hash *digest) {
    const struct sim_world *world = replica->world;
    uint32_t count = 0;
    for (ord_node_id id = 0; id < world->replica_count; id++) {
        bool voted = id == replica->id || sim_check_id_faulty(world, id) || forgot(world, id, seq);
        if (commits)
            voted = voted || sim_check_has_said(world, BFT_COMMIT, id, view, seq, digest);
        else
            voted = voted || sim_check_has_said(world, BFT_PREPARE, id, view, seq, digest) ||
                    sim_check_has_said(world, BFT_PRE_PREPARE, id, view, seq, digest);
        count += voted;
    }
    if (count < ord_bft_quorum(world->replica_count))
        sim_blame(replica, "quorum", "%s seq %lu in view %lu, for which at most %u replicas stand",
                  commits ? "delivers" : "commits to", (unsigned long) seq, (unsigned long) view, count);
}

void sim_check_delivered(struct sim_replica *replica, uint64_t seq, uint64_t term, struct ord_span batch) {
    struct sim_model *model = &checker_of(replica)->model;
    if (replica->liar)
        return;
    replica->process->delivered_ms = replica->process->now_ms;
    if (sim_is_pbft(replica->world)) {
        struct ord_hash digest;
        bft_body_digest(&digest, &replica->world->crypto.ops, batch);
        check_quorum(replica, true, sim_process_status(replica->process).view, seq, &digest);
    }
    if (seq == model->seq_count + 1) {
        sim_model_apply(model, term, batch);
        return;
    }
    if (seq == 0 || seq > model->seq_count) {
        sim_blame(replica, "order", "delivers seq %lu, but seq %lu was delivered by nobody", (unsigned long) seq,
                  (unsigned long) model->seq_count + 1);
        return;
    }
    uint64_t digest[2];
    sim_model_batch_digest(digest, batch);
    if (memcmp(digest, model->seqs[seq - 1].batch, sizeof(digest)) != 0)
        sim_blame(replica, "agreement", "delivers another batch at seq %lu than the first who did",
                  (unsigned long) seq);
}

void sim_check_applied(struct sim_replica *replica, const struct ord_event *event) {
    const uint64_t seq = event->applied.seq;
    const struct ord_core *observer = &replica->process->observer;
    const struct sim_model *model = &checker_of(replica)->model;
    const struct sim_process *process = replica->process;
    struct channel_open_block open;
    if (replica->liar || replica->world->failed || process->program == NULL)
        return;
    struct channel *channel = replica_channel(process->program);
    const struct sim_model_seq *expected = &model->seqs[seq - 1];
    channel_open(channel, &open);
    if (seq != channel_applied_seq(channel) || seq != sim_process_status(process).delivered_seq)
        sim_fail(replica->world, "order: replica %u: the core is at seq %lu, the channel at %lu", replica->instance,
                 (unsigned long) sim_process_status(process).delivered_seq,
                 (unsigned long) channel_applied_seq(channel));
    else if (event->applied.envelopes != observer->accepted || event->applied.bytes != observer->accepted_bytes ||
             event->applied.useful_seq != observer->useful_seq || channel_height(channel) != expected->height ||
             open.data.size != expected->open_size)
        sim_fail(replica->world,
                 "validity: up to seq %lu replica %u accepts %u (reference %u) with %lu bytes (%lu), does something at "
                 "seq %lu (%lu), has height %lu (%lu), open block %zu (%zu)",
                 (unsigned long) seq, replica->instance, event->applied.envelopes, observer->accepted,
                 (unsigned long) event->applied.bytes, (unsigned long) observer->accepted_bytes,
                 (unsigned long) event->applied.useful_seq, (unsigned long) observer->useful_seq,
                 (unsigned long) channel_height(channel), (unsigned long) expected->height, open.data.size,
                 expected->open_size);
    else if (observer->point_seq > process->last_statement.seq)
        sim_blame(replica, "attestation", "makes no statement about seq %lu, a point of attestation",
                  (unsigned long) observer->point_seq);
}

void sim_check_turn(struct sim_replica *replica, bool executed) {
    const struct sim_plan *plan = &replica->world->plan;
    struct sim_shown *shown = &checker_of(replica)->shown[replica->instance];
    struct replica_status status;
    if (replica->liar || replica->world->failed || (++shown->turns % 8 != 0 && !executed))
        return;
    replica_status(replica->process->program, &status);
    sim_check_counters(replica, &status);
    uint64_t applied_seq = channel_applied_seq(replica_channel(replica->process->program));
    if (!status.syncing_between && status.core.delivered_seq != applied_seq)
        sim_fail(replica->world, "order: replica %u: the core is at seq %lu, the channel at %lu", replica->instance,
                 (unsigned long) status.core.delivered_seq, (unsigned long) applied_seq);
    if (status.pool_envelopes > plan->pool_envelopes_max || status.pool_bytes > plan->pool_bytes_max)
        sim_fail(replica->world, "bounds: the pool of replica %u has %u envelopes, %lu bytes", replica->instance,
                 status.pool_envelopes, (unsigned long) status.pool_bytes);
}

void sim_check_block(struct sim_replica *replica, uint64_t height, struct ord_span header, struct ord_span data) {
    struct sim_checker *checker = checker_of(replica);
    struct channel_header decoded;
    struct ord_hash hash;
    if (replica->liar || replica->world->failed)
        return;
    if (channel_header_decode(&decoded, header) != ORD_OK || decoded.height != height) {
        sim_blame(replica, "cutter", "puts block %lu with another one's header", (unsigned long) height);
        return;
    }
    sim_observe_follow(replica->process, decoded.last_seq);
    channel_header_hash(&hash, &decoded);
    if (height > checker->model.block_count) {
        sim_blame(replica, "cutter", "closes block %lu, the reference has %zu", (unsigned long) height,
                  checker->model.block_count);
        return;
    }
    const struct sim_model_block *expected = height == 0 ? NULL : &checker->model.blocks[height - 1];
    struct ord_span expected_data = sim_buffer_span(expected == NULL ? replica->world->genesis_data : expected->data);
    if (!ord_span_equal(data, expected_data) ||
        !ord_hash_equal(&hash, expected == NULL ? &replica->world->genesis_hash : &expected->header_hash))
        sim_fail(replica->world, "cutter: block %lu of replica %u is not the reference's", (unsigned long) height,
                 replica->instance);
}

void sim_check_index(struct sim_replica *replica, uint32_t client_index, uint64_t sequence, uint64_t height,
                     uint32_t envelope_index) {
    const struct sim_model *model = &checker_of(replica)->model;
    if (replica->liar || replica->world->failed)
        return;
    bool good = height >= 1 && height <= model->block_count && client_index < model->client_count &&
                envelope_index < model->blocks[height - 1].envelope_count;
    const struct sim_placed *placed = good ? &model->blocks[height - 1].envelopes[envelope_index] : NULL;
    if (placed == NULL || placed->sequence != sequence || placed->party != model->parties[client_index])
        sim_blame(replica, "index", "finds sequence %lu of client %u at envelope %u of block %lu",
                  (unsigned long) sequence, client_index, envelope_index, (unsigned long) height);
}

static void check_state(struct sim_replica *replica, const struct channel_statement *statement) {
    struct sim_checker *checker = checker_of(replica);
    uint8_t bytes[CHANNEL_STATEMENT_SIZE];
    struct ord_hash hash;
    bool fresh;
    memcpy(bytes, statement->header_hash.bytes, 32);
    memcpy(bytes + 32, statement->state_digest.bytes, 32);
    memcpy(bytes + 64, &statement->height, 8);
    memcpy(bytes + 72, &statement->epoch, 8);
    const struct ord_span part = ord_span_of(bytes, 80);
    replica->world->crypto.ops.hash(&hash, &part, 1);
    struct sim_map_entry *entry = sim_map_insert(&checker->states, &fresh, statement->seq, 0, 0);
    struct ord_hash digest;
    if (fresh)
        entry->hash = hash;
    else if (!ord_hash_equal(&entry->hash, &hash))
        sim_blame(replica, "state", "has another state at seq %lu than the first who was there",
                  (unsigned long) statement->seq);
    /* The reference has gone on. */
    if (!fresh || checker->model.seq_count != statement->seq)
        return;
    sim_model_state_digest(&checker->model, &digest);
    if (!ord_hash_equal(&statement->state_digest, &digest))
        sim_fail(replica->world, "state: what replica %u attests at seq %lu is not the reference's digest",
                 replica->instance, (unsigned long) statement->seq);
}

bool sim_statement_read(struct channel_statement *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    out->epoch = ord_read_u64(&reader);
    out->seq = ord_read_u64(&reader);
    out->height = ord_read_u64(&reader);
    ord_read_hash(&reader, &out->header_hash);
    ord_read_hash(&reader, &out->state_digest);
    return !reader.failed;
}

void sim_check_kept_statement(struct sim_replica *replica, struct ord_span bytes) {
    struct channel_statement *last = &replica->process->last_statement;
    struct channel_statement statement;
    if (replica->liar || replica->world->failed || bytes.size == 0)
        return;
    if (!sim_statement_read(&statement, bytes)) {
        sim_blame(replica, "state", "keeps a statement that cannot be read");
        return;
    }
    sim_observe_follow(replica->process, statement.seq);
    /* It is put twice: as a point, and as the newest statement. */
    if (channel_statement_equal(last, &statement))
        return;
    *last = statement;
    struct sim_model *model = &checker_of(replica)->model;
    struct sim_model_seq *seq = statement.seq <= model->seq_count ? &model->seqs[statement.seq - 1] : NULL;
    /* Its newest executed seq it may attest at rest, and a transfer may end where others attested at rest. */
    bool rests = replica->process->now_ms >= replica->process->delivered_ms + ATTEST_REST_MS &&
                 statement.seq == channel_applied_seq(replica_channel(replica->process->program));
    if (seq != NULL && rests)
        seq->rest_point = true;
    if (seq != NULL && !seq->point && !seq->rest_point)
        sim_blame(replica, "attestation", "attests at seq %lu, which is no point of attestation",
                  (unsigned long) statement.seq);
    check_state(replica, &statement);
}

/* ---- statements ---- */

static void say(struct sim_replica *replica, uint32_t type, uint64_t view, uint64_t seq,
                const struct ord_hash *digest) {
    bool fresh;
    if (!sim_honest(replica)) {
        /* Commits are not signed, so nobody can show them to the replica again. */
        if (type != BFT_COMMIT) {
            sim_check_again(replica, type, view, seq, digest);
            return;
        }
    }
    struct sim_map_entry *entry =
        sim_map_insert(&checker_of(replica)->said, &fresh, (uint64_t) type << 32 | replica->id, view, seq);
    if (fresh)
        entry->hash = *digest;
    else if (sim_honest(replica) && !ord_hash_equal(&entry->hash, digest))
        sim_blame(replica, "promise", "signs two statements of type %u about view %lu, seq %lu", type,
                  (unsigned long) view, (unsigned long) seq);
}

/* A replica that asked for a view takes no part in earlier views. */
static void keeps_promise(struct sim_replica *replica, uint64_t view) {
    uint64_t promised = checker_of(replica)->promised[replica->id];
    if (view < promised && sim_honest(replica))
        sim_blame(replica, "promise", "votes in view %lu after it asked for view %lu", (unsigned long) view,
                  (unsigned long) promised);
}

/*
 * A replica that refused a batch sends no PREPARE for it in that view. After a restart it may, because a certificate
 * then vouches for the batch.
 */
void sim_check_refused(struct sim_replica *replica, uint64_t view, uint64_t seq, const struct ord_hash *digest) {
    bool fresh;
    struct sim_map_entry *entry =
        sim_map_insert(&checker_of(replica)->said, &fresh, (uint64_t) SIM_SAID_REFUSED << 32 | replica->id, view, seq);
    entry->hash = *digest;
    entry->number = replica->incarnation;
}

static void votes_as_judged(struct sim_replica *replica, uint64_t view, const struct bft_vote *vote) {
    const struct sim_map_entry *entry =
        sim_map_find(&checker_of(replica)->said, (uint64_t) SIM_SAID_REFUSED << 32 | replica->id, view, vote->seq);
    if (entry != NULL && entry->number == replica->incarnation && ord_hash_equal(&entry->hash, &vote->digest))
        sim_blame(replica, "judgement", "votes for seq %lu in view %lu, which it refused", (unsigned long) vote->seq,
                  (unsigned long) view);
}

/* A vote that did not leave because of a crash counts as given when a certificate that has it leaves. */
static void say_own_vote(struct sim_replica *replica, const struct bft_statement *statement,
                         struct ord_span certificate) {
    if (sim_prepared_has_vote(certificate, replica->id))
        say(replica, BFT_PREPARE, statement->view, statement->seq, &statement->digest);
}

/*
 * No replica goes further than one view beyond those that honest replicas asked for: f liars pull nobody along (row
 * V2). It may pass over views at the end of one that ended on schedule.
 */
static void say_change(struct sim_replica *replica, struct bft_view_change *change) {
    struct sim_checker *checker = checker_of(replica);
    struct bft_statement statement;
    struct ord_span certificate;
    say(replica, BFT_VIEW_CHANGE, change->view, 0, &change->digest);
    sim_check_reports(replica, *change);
    if (change->view > checker->asked_view + 1 && change->view != replica->rotated_to)
        sim_blame(replica, "view", "asks for view %lu; honest ones asked for %lu at most", (unsigned long) change->view,
                  (unsigned long) checker->asked_view);
    if (change->view > checker->asked_view)
        checker->asked_view = change->view;
    if (change->view > checker->promised[replica->id])
        checker->promised[replica->id] = change->view;
    while (bft_view_change_next(&statement, &certificate, &change->certificates, &replica->process->core_config))
        say_own_vote(replica, &statement, certificate);
}

/* The answer to a replica that asks what it said before. */
static void say_recall(struct sim_replica *replica, struct bft_recall *recall) {
    const struct ord_core_config *config = &replica->process->core_config;
    struct bft_statement statement;
    struct ord_span certificate;
    while (bft_recall_next(&certificate, &recall->certificates, config))
        if (bft_certificate_decode(&statement, config, certificate) == ORD_OK)
            say_own_vote(replica, &statement, certificate);
}

static void say_core(struct sim_replica *replica, struct ord_span bytes) {
    const struct ord_core_config *config = &replica->process->core_config;
    struct bft_pre_prepare pre_prepare;
    struct bft_vote_list list;
    struct bft_view_change change;
    struct bft_new_view view;
    struct bft_recall recall;
    if (bytes.data[0] == BFT_PRE_PREPARE && bft_pre_prepare_decode(&pre_prepare, config, bytes) == ORD_OK) {
        say(replica, BFT_PRE_PREPARE, pre_prepare.view, pre_prepare.seq, &pre_prepare.digest);
    } else if ((bytes.data[0] == BFT_PREPARE || bytes.data[0] == BFT_COMMIT) &&
               bft_vote_list_decode(&list, config, bytes) == ORD_OK) {
        for (uint32_t i = 0; i < list.count; i++) {
            say(replica, list.type, list.view, list.votes[i].seq, &list.votes[i].digest);
            if (list.type == BFT_PREPARE && sim_honest(replica))
                votes_as_judged(replica, list.view, &list.votes[i]);
            if (list.type == BFT_COMMIT && sim_honest(replica))
                check_quorum(replica, false, list.view, list.votes[i].seq, &list.votes[i].digest);
        }
        keeps_promise(replica, list.view);
    } else if (bytes.data[0] == BFT_VIEW_CHANGE && bft_view_change_decode(&change, config, bytes) == ORD_OK) {
        say_change(replica, &change);
    } else if (bytes.data[0] == BFT_RECALL && bft_recall_decode(&recall, config, bytes) == ORD_OK) {
        say_recall(replica, &recall);
    } else if (bytes.data[0] == BFT_NEW_VIEW && bft_new_view_decode(&view, config, bytes) == ORD_OK) {
        say(replica, BFT_NEW_VIEW, view.view, 0, &view.digest);
        for (uint64_t seq = view.base_seq + 1; seq <= view.base_seq + view.count; seq++) {
            struct ord_hash digest;
            bft_new_view_entry(&digest, &view, seq);
            say(replica, BFT_PRE_PREPARE, view.view, seq, &digest);
        }
    }
}

void sim_check_said(struct sim_replica *replica, ord_replica_set to, enum replica_link kind, struct ord_span bytes) {
    struct channel_attestation attestation;
    if (replica->liar || replica->world->failed)
        return;
    sim_check_leaves(replica, kind, bytes);
    if (kind == REPLICA_LINK_CORE && sim_is_pbft(replica->world))
        say_core(replica, bytes);
    else if (kind == REPLICA_LINK_CORE)
        sim_raft_leaves(replica, to, bytes);
    else if (kind == REPLICA_LINK_ATTESTATION && channel_attestation_decode(&attestation, bytes) == ORD_OK)
        say(replica, SIM_SAID_ATTESTATION, 0, attestation.statement.seq, &attestation.statement.state_digest);
}

void sim_check_culprit(struct sim_replica *replica, ord_node_id culprit, const char *what) {
    struct sim_world *world = replica->world;
    if (replica->liar)
        return;
    world->checker->evidence++;
    sim_say(world, replica->instance, "evidence against replica %u (%s)", culprit, what);
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->replicas[i].id == culprit && sim_honest(&world->replicas[i]))
            sim_blame(replica, "evidence", "blames replica %u, which is honest (%s)", culprit, what);
}

void sim_check_evidence(struct sim_replica *replica, const struct ord_core_config *config, ord_node_id culprit,
                        struct ord_span first, struct ord_span second) {
    ord_node_id proved;
    if (replica->liar)
        return;
    if (bft_evidence_verify(&proved, config, first, second) != ORD_OK || proved != culprit)
        sim_fail(replica->world, "evidence: replica %u's does not convince", replica->instance);
    sim_check_culprit(replica, culprit, "core");
}

/* ---- durability ---- */

static bool disk_holds(const struct sim_replica *replica, uint64_t seq) {
    /* A null batch needs no record. */
    return seq <= sim_disk_applied(&replica->disk) || checker_of(replica)->model.seqs[seq - 1].null_batch ||
           sim_disk_record(&replica->disk, replica->world->protocol->body_table, seq).size > 0;
}

void sim_check_acknowledged(struct sim_replica *replica, uint64_t height) {
    struct sim_world *world = replica->world;
    if (replica->liar || world->failed)
        return;
    const struct sim_model_block *block = &world->checker->model.blocks[height - 1];
    for (uint64_t seq = block->first_seq; seq <= block->last_seq; seq++) {
        uint32_t holders = 0;
        /* A raft replica whose disk was lost or is an older one may have held it; that counts among the f. */
        for (uint32_t i = 0; i < world->instance_count; i++)
            holders += (sim_honest(&world->replicas[i]) && disk_holds(&world->replicas[i], seq)) ||
                       (sim_is_raft(world) && world->replicas[i].forgetful);
        if (holders < (sim_is_raft(world) ? ord_majority(world->replica_count) : world->plan.faulty_max + 1))
            sim_blame(replica, "durability", "acknowledges block %lu; %u honest disks hold seq %lu of it",
                      (unsigned long) height, holders, (unsigned long) seq);
    }
}

void sim_check_durable(struct sim_replica *replica) {
    struct sim_world *world = replica->world;
    struct sim_shown *shown = &world->checker->shown[replica->instance];
    const struct sim_disk *disk = &replica->disk;
    uint64_t applied_seq = sim_disk_applied(disk);
    if (replica->liar)
        return;
    if (applied_seq < shown->durable_seq)
        sim_blame(replica, "disk", "goes back from seq %lu to %lu", (unsigned long) shown->durable_seq,
                  (unsigned long) applied_seq);
    shown->durable_seq = applied_seq;
    shown->durable_view = replica->process->frozen.status.view;
    shown->durable_stable_seq = replica->process->frozen.status.stable_seq;
    replica->disk.cut_seq = replica->process->frozen.cut_seq;
    sim_check_records(replica);
    sim_raft_durable(replica);
    sim_duties_durable(replica->process->duties);
}

void sim_check_started(struct sim_replica *replica) {
    struct sim_shown *shown = &checker_of(replica)->shown[replica->instance];
    uint64_t applied_seq = sim_disk_applied(&replica->disk);
    sim_check_silence_started(replica);
    if (!replica->liar && applied_seq != shown->durable_seq)
        sim_blame(replica, "disk", "starts at seq %lu, but had %lu", (unsigned long) applied_seq,
                  (unsigned long) shown->durable_seq);
    /* A restart must not go back behind this. */
    shown->view = shown->durable_view;
    /* Solo does not keep its stable seq. */
    /* A Raft core begins with its snapshot point, and is told of the newest stable checkpoint again. */
    shown->stable_seq = sim_is_solo(replica->world)   ? 0
                        : sim_is_raft(replica->world) ? replica->disk.cut_seq
                                                      : shown->durable_stable_seq;
    shown->cut_seq = replica->disk.cut_seq;
    shown->delivered_seq = applied_seq;
    shown->woken = 0;
    sim_raft_started(replica);
    /* Where a transfer was cut off, a Raft core begins at the end of its log. */
    uint64_t last_seq =
        sim_is_raft(replica->world) ? replica->world->raft->nodes[replica->id].log.last_seq : UINT64_MAX;
    if (shown->delivered_seq > last_seq)
        shown->delivered_seq = last_seq;
}

void sim_check_forgot(struct sim_replica *replica) {
    checker_of(replica)->shown[replica->instance] =
        (struct sim_shown) {.durable_seq = sim_disk_applied(&replica->disk)};
    replica->forgot_view = checker_of(replica)->promised[replica->id];
    replica->forgetful = true;
    sim_raft_forgot(replica);
}

void sim_check_status(struct sim_replica *replica) {
    struct sim_world *world = replica->world;
    struct sim_shown *shown = &world->checker->shown[replica->instance];
    if (replica->liar || world->failed)
        return;
    const struct ord_status *now = &replica->process->observer.status;
    if (now->view < shown->view || now->delivered_seq < shown->delivered_seq || now->stable_seq < shown->stable_seq)
        sim_blame(replica, "monotony", "goes back: view %lu to %lu, delivered %lu to %lu, stable %lu to %lu",
                  (unsigned long) shown->view, (unsigned long) now->view, (unsigned long) shown->delivered_seq,
                  (unsigned long) now->delivered_seq, (unsigned long) shown->stable_seq,
                  (unsigned long) now->stable_seq);
    sim_check_memory(replica, now);
    shown->view = now->view;
    shown->delivered_seq = now->delivered_seq;
    shown->stable_seq = now->stable_seq;
    if (now->view > world->checker->view_max)
        world->checker->view_max = now->view;
}

/* ---- at rest ---- */

/*
 * A liar that leads may keep the channel moving for ever. Then it is enough that every replica comes as far as the
 * channel was when the last client was served.
 */
static bool moves_on(const struct sim_world *world) {
    return world->plan.liar_count > 0 && world->now_us > world->plan.load_end_us + MOVING_US;
}

static const char *rest_of(const struct sim_replica *replica, bool moving) {
    const struct sim_checker *checker = checker_of(replica);
    const struct sim_process *process = replica->process;
    struct replica_status status;
    if (process == NULL || process->ended || (process->committing != 0 && !moving))
        return "a replica is down or busy";
    replica_status(process->program, &status);
    if (status.syncing || status.syncing_between)
        return "a state transfer is under way";
    /* Only traffic ends the silence of rule 26, and clients make it if they can. */
    bool nudged = sim_is_raft(replica->world) || (sim_is_pbft(replica->world) && sim_clients_can_nudge(replica->world));
    if (nudged && sim_check_speaking(replica) != NULL)
        return sim_check_speaking(replica);
    if (channel_applied_seq(replica_channel(process->program)) <
        (moving ? checker->goal_seq : checker->model.seq_count))
        return "a replica is behind";
    if (sim_process_dirty(process) && !moving)
        return "a commit is due";
    return moving ? NULL : sim_intake_rest(process->intake);
}

static void compare_chains(struct sim_replica *first, struct sim_replica *other) {
    const struct sim_model *model = &checker_of(first)->model;
    for (uint64_t h = 0; h < first->disk.blocks.count && h < other->disk.blocks.count; h++)
        if (!ord_span_equal(sim_buffer_span(other->disk.blocks.items[h]),
                            sim_buffer_span(first->disk.blocks.items[h])) ||
            (h > 0 && !ord_span_equal(sim_disk_data(&other->disk, h), sim_buffer_span(model->blocks[h - 1].data))))
            sim_fail(first->world, "rest: block %lu of replica %u differs", (unsigned long) h, other->instance);
}

static void compare_states(struct sim_replica *first, struct sim_replica *other) {
    struct ord_hash ours;
    struct ord_hash theirs;
    channel_state_digest(replica_channel(other->process->program), &ours);
    channel_state_digest(replica_channel(first->process->program), &theirs);
    if (!ord_hash_equal(&ours, &theirs))
        sim_fail(first->world, "rest: replicas %u and %u end in different states", first->instance, other->instance);
    if (sim_disk_height(&other->disk) != checker_of(first)->model.block_count)
        sim_fail(first->world, "rest: replica %u ends with %lu blocks of %zu", other->instance,
                 (unsigned long) sim_disk_height(&other->disk), checker_of(first)->model.block_count);
}

const char *sim_check_rest(struct sim_world *world) {
    const char *why = sim_clients_rest(world);
    bool moving = moves_on(world);
    if (why == NULL && world->checker->goal_seq == 0)
        world->checker->goal_seq = world->checker->model.seq_count;
    for (uint32_t i = 0; i < world->instance_count && why == NULL; i++)
        if (!world->replicas[i].liar)
            why = rest_of(&world->replicas[i], moving);
    if (why == NULL && sim_raft_elects(world))
        why = "nobody leads";
    if (why != NULL)
        return why;
    struct sim_replica *first = NULL;
    for (uint32_t i = 0; i < world->instance_count; i++) {
        struct sim_replica *replica = &world->replicas[i];
        if (replica->liar)
            continue;
        if (first == NULL)
            first = replica;
        compare_chains(first, replica);
        if (moving)
            continue;
        compare_states(first, replica);
        sim_told_rest(replica->process->told);
    }
    return NULL;
}
