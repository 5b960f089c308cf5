/*
 * Logs: leader append-only, log matching, leader completeness and state machine safety (figure 3.2), and commitment
 * (3.6.2). Each replica's log is followed from the effects of its core; what is durable is read from its disk.
 *
 * - An entry has one batch and one entry before it, whoever holds it: (seq, term) decides both.
 * - A log grows at its end, and a leader's own log does nothing else. It is cut where a leader's entry contradicts it,
 *   or where state transfer ends on a log that it does not follow on (row R18); never at or below what was delivered.
 * - What is delivered first at a seq, the leader of a term delivers, up to an entry of that very term which a majority
 *   of disks holds then (rows R3, R5). Others deliver the same entries, and no more than a message of a leader allows
 *   and matches (row R20).
 * - A leader's log has what was committed in earlier terms.
 * - Up to its match index a follower's log equals the leader's, in whatever order answers come, and whatever lives they
 *   are of (rows R10, R22).
 */
#include <stdlib.h>

#include "core/codec.h"
#include "raft/raft.h"
#include "sim/check.h"
#include "sim/check_raft.h"
#include "sim/process.h"

enum { RECORD_TERM_AT = 8, RECORD_BATCH_AT = 16, POINT_SEQ_AT = 8, POINT_TERM_AT = 16, HARD_FLAGS_AT = 20 };

uint64_t sim_raft_term(const struct sim_raft_log *log, uint64_t seq) {
    return seq == log->base_seq ? log->base_term : log->terms[seq];
}

static bool has(const struct sim_raft_log *log, uint64_t seq) {
    return seq >= log->base_seq && seq <= log->last_seq;
}

static void append(struct sim_raft_log *log, uint64_t term) {
    log->last_seq++;
    while (log->capacity <= log->last_seq)
        log->terms = sim_grow(log->terms, &log->capacity, log->capacity, sizeof(*log->terms));
    log->terms[log->last_seq] = term;
}

static uint64_t digest_of(struct ord_span batch) {
    return sim_digest(7, batch);
}

/* ---- the disk ---- */

/* Reads the log of a disk. False: it has a gap, or terms that fall. */
static bool read_disk(struct sim_raft_log *log, const struct sim_disk *disk) {
    const struct sim_table *table = &disk->tables[SIM_RAFT_LOG];
    struct ord_span point = sim_disk_record(disk, SIM_RAFT_POINT, 1);
    log->base_seq = point.size == 0 ? 0 : ord_load_u64(point.data + POINT_SEQ_AT);
    log->base_term = point.size == 0 ? 0 : ord_load_u64(point.data + POINT_TERM_AT);
    log->last_seq = log->base_seq;
    for (size_t i = 0; i < table->count; i++) {
        uint64_t term = ord_load_u64(table->records[i].buffer->data + RECORD_TERM_AT);
        if (table->records[i].key <= log->base_seq)
            continue; /* the open block needs it */
        if (table->records[i].key != log->last_seq + 1 || term < sim_raft_term(log, log->last_seq))
            return false;
        append(log, term);
    }
    return true;
}

void sim_raft_started(struct sim_replica *replica) {
    struct sim_raft *raft = replica->world->raft;
    if (raft == NULL)
        return;
    struct sim_raft_node *node = &raft->nodes[replica->id];
    if (!read_disk(&node->log, &replica->disk))
        sim_blame(replica, "log", "starts with a torn log");
    sim_raft_hard(&node->put_term, &node->put_vote, sim_disk_record(&replica->disk, SIM_RAFT_HARD, 1));
    for (uint32_t i = 0; i < ORD_REPLICA_MAX; i++)
        node->heard_life[i] = 0;
    node->told = 0;
    node->heard_ms = 0;
    node->told_seq = 0;
    node->led = false;
}

void sim_raft_durable(struct sim_replica *replica) {
    static struct sim_raft_log log; /* scratch */
    uint64_t term;
    ord_node_id vote;
    if (replica->world->raft == NULL || replica->world->failed)
        return;
    sim_raft_hard(&term, &vote, sim_disk_record(&replica->disk, SIM_RAFT_HARD, 1));
    if (!read_disk(&log, &replica->disk))
        sim_blame(replica, "log", "has a torn log on disk"); /* row R17 */
    else if (sim_raft_term(&log, log.last_seq) > term)
        sim_blame(replica, "log", "has an entry of term %lu on disk, and is in term %lu there",
                  (unsigned long) sim_raft_term(&log, log.last_seq), (unsigned long) term);
}

/* True if this disk holds the entry, or state that came of it. */
static bool disk_holds(const struct sim_disk *disk, uint64_t seq, uint64_t term) {
    struct ord_span point = sim_disk_record(disk, SIM_RAFT_POINT, 1);
    struct ord_span record = sim_disk_record(disk, SIM_RAFT_LOG, seq);
    if (sim_disk_applied(disk) >= seq || (point.size > 0 && ord_load_u64(point.data + POINT_SEQ_AT) >= seq))
        return true;
    return record.size >= RECORD_BATCH_AT && ord_load_u64(record.data + RECORD_TERM_AT) == term;
}

/* What a replica acknowledges that has forgotten something counts for nothing. An older disk may seem intact first. */
static bool is_silent(const struct sim_replica *replica) {
    struct ord_span hard = sim_disk_record(&replica->disk, SIM_RAFT_HARD, 1);
    return !replica->older && hard.size > HARD_FLAGS_AT && (hard.data[HARD_FLAGS_AT] & 1) != 0;
}

/*
 * Counts the disks that hold the entry. A disk that was lost counts until the leader has taken an ASK of the life that
 * follows: until then it may rely on what the replica acknowledged.
 */
static uint32_t holders(const struct sim_raft_step *step, uint64_t seq, uint64_t term) {
    const struct sim_world *world = step->replica->world;
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->replica_count; i++) {
        bool unheard = world->replicas[i].forgetful && step->node->heard_life[i] != step->raft->nodes[i].life;
        bool counts = !is_silent(&world->replicas[i]);
        count += unheard || (counts && disk_holds(&world->replicas[i].disk, seq, term));
    }
    return count;
}

/* ---- entries ---- */

static void take_entry(struct sim_raft_step *step, uint64_t seq, struct ord_span record) {
    struct sim_raft_log *log = &step->node->log;
    uint64_t term = record.size < RECORD_BATCH_AT ? 0 : ord_load_u64(record.data + RECORD_TERM_AT);
    bool fresh;
    if (seq != log->last_seq + 1 || term == 0) {
        sim_blame(step->replica, "log", "puts seq %lu behind seq %lu", (unsigned long) seq,
                  (unsigned long) log->last_seq);
        return;
    }
    uint64_t digest = digest_of(ord_span_of(record.data + RECORD_BATCH_AT, record.size - RECORD_BATCH_AT));
    uint64_t before = sim_raft_term(log, log->last_seq);
    struct sim_map_entry *entry = sim_map_insert(&step->raft->entries, &fresh, seq, term, 0);
    if (fresh) {
        entry->number = before;
        ord_store_u64(entry->hash.bytes, digest);
    }
    if (entry->number != before || ord_load_u64(entry->hash.bytes) != digest)
        sim_blame(step->replica, "log matching", "has another entry of term %lu at seq %lu, or before it, than another",
                  (unsigned long) term, (unsigned long) seq);
    else if (fresh && !step->after->leading)
        sim_blame(step->replica, "log", "has an entry of term %lu at seq %lu that no leader made", (unsigned long) term,
                  (unsigned long) seq);
    else if (term < before || term > step->after->view || (step->after->leading && term != step->after->view))
        sim_blame(step->replica, "log", "appends an entry of term %lu behind one of term %lu, in term %lu",
                  (unsigned long) term, (unsigned long) before, (unsigned long) step->after->view);
    append(log, term);
}

/* True if what is behind `seq` has to go: a leader's entry is another one, or a transfer ended on another log. */
static bool conflicts(const struct sim_raft_step *step, uint64_t seq) {
    const struct sim_raft_log *log = &step->node->log;
    if (step->event->type == ORD_EVENT_SYNCED)
        return true; /* check_synced */
    return step->is_message && step->message.type == SIM_RAFT_APPEND && step->message.first &&
           step->message.seq == seq && seq < log->last_seq && log->terms[seq + 1] != step->message.entry_term;
}

static void cut(struct sim_raft_step *step, uint64_t seq) {
    struct sim_raft_log *log = &step->node->log;
    bool transfer = step->event->type == ORD_EVENT_SYNCED;
    if (step->after->leading)
        sim_blame(step->replica, "leader append-only", "cuts its own log behind seq %lu", (unsigned long) seq);
    else if ((seq < step->before->delivered_seq && !transfer) || !has(log, seq))
        sim_blame(step->replica, "log", "cuts behind seq %lu, and has delivered seq %lu", (unsigned long) seq,
                  (unsigned long) step->before->delivered_seq);
    else if (!conflicts(step, seq))
        sim_blame(step->replica, "log", "cuts behind seq %lu what contradicts nobody", (unsigned long) seq);
    else
        log->last_seq = seq;
}

static void rebase(struct sim_raft_step *step, struct ord_span record) {
    struct sim_raft_log *log = &step->node->log;
    uint64_t seq = ord_load_u64(record.data + POINT_SEQ_AT);
    uint64_t term = ord_load_u64(record.data + POINT_TERM_AT);
    const struct sim_raft *raft = step->raft;
    if (seq < log->base_seq || seq > raft->committed_count || raft->committed[seq - 1].term != term)
        sim_blame(step->replica, "log", "has a snapshot point at seq %lu of term %lu; nobody committed that",
                  (unsigned long) seq, (unsigned long) term);
    log->base_seq = seq;
    log->base_term = term;
    log->last_seq = log->last_seq < seq ? seq : log->last_seq;
}

/* Row R18: what follows on the point stays, all else goes. `log`: before the step. */
static void check_synced(const struct sim_raft_step *step, uint64_t last_seq, bool follows) {
    uint64_t seq = step->event->synced.seq;
    uint64_t expected = follows ? last_seq : seq;
    if (step->event->type == ORD_EVENT_SYNCED && seq > step->before->delivered_seq &&
        step->node->log.last_seq != expected)
        sim_blame(step->replica, "log", "ends at seq %lu after a transfer to seq %lu, and has to end at %lu",
                  (unsigned long) step->node->log.last_seq, (unsigned long) seq, (unsigned long) expected);
}

/* ---- commitment ---- */

static void deliver(struct sim_raft_step *step, const struct ord_effect *effect, bool *first) {
    struct sim_raft *raft = step->raft;
    const uint64_t seq = effect->deliver.seq;
    const uint64_t term = effect->deliver.term;
    const uint64_t digest = digest_of(effect->deliver.batch);
    if (!has(&step->node->log, seq) || sim_raft_term(&step->node->log, seq) != term) {
        sim_blame(step->replica, "commit", "delivers seq %lu as of term %lu, which its log does not have",
                  (unsigned long) seq, (unsigned long) term);
    } else if (seq == raft->committed_count + 1) {
        *first = true;
        raft->committed =
            sim_grow(raft->committed, &raft->committed_capacity, raft->committed_count, sizeof(*raft->committed));
        raft->committed[raft->committed_count++] =
            (struct sim_raft_committed) {.term = term, .digest = digest, .by_term = step->after->view};
    } else if (seq > raft->committed_count || raft->committed[seq - 1].term != term ||
               raft->committed[seq - 1].digest != digest) {
        sim_blame(step->replica, "state machine safety", "delivers another entry at seq %lu, of term %lu",
                  (unsigned long) seq, (unsigned long) term);
    }
}

static void check_commit(struct sim_raft_step *step) {
    const uint64_t seq = step->raft->committed_count;
    const uint64_t term = step->raft->committed[seq - 1].term;
    if (!step->after->leading)
        sim_blame(step->replica, "commit", "delivers seq %lu first, and leads nobody", (unsigned long) seq);
    else if (term != step->after->view)
        sim_blame(step->replica, "commit", "commits up to seq %lu of term %lu, in term %lu", (unsigned long) seq,
                  (unsigned long) term, (unsigned long) step->after->view);
    else if (holders(step, seq, term) < sim_raft_majority(step->replica->world))
        sim_blame(step->replica, "commit", "commits seq %lu, which %u disks hold", (unsigned long) seq,
                  holders(step, seq, term));
}

/* A follower delivers what its leader has committed and what that very message shows to be equal, perhaps later. */
static void check_follower(const struct sim_raft_step *step) {
    const struct sim_raft_message *message = &step->message;
    struct sim_raft_node *node = step->node;
    uint64_t end = message->seq + (message->first ? 1 : 0);
    uint64_t told = message->commit_seq < end ? message->commit_seq : end;
    if (step->is_message && message->type == SIM_RAFT_APPEND && message->term >= step->before->view &&
        told > node->told_seq)
        node->told_seq = told;
    if (step->after->leading && step->after->delivered_seq > node->told_seq)
        node->told_seq = step->after->delivered_seq;
    if (step->after->delivered_seq > step->before->delivered_seq && step->event->type != ORD_EVENT_SYNCED &&
        step->event->type != ORD_EVENT_START && step->after->delivered_seq > node->told_seq)
        sim_blame(step->replica, "commit", "delivers up to seq %lu, and was told of seq %lu at most",
                  (unsigned long) step->after->delivered_seq, (unsigned long) node->told_seq);
}

static void check_complete(const struct sim_raft_step *step) {
    const struct sim_raft_log *log = &step->node->log;
    const struct sim_raft *raft = step->raft;
    for (uint64_t seq = log->base_seq + 1; seq <= raft->committed_count; seq++) {
        const struct sim_raft_committed *committed = &raft->committed[seq - 1];
        if (committed->by_term >= step->after->view)
            return; /* a later leader has committed this: this one is late */
        if (seq <= log->last_seq && log->terms[seq] == committed->term)
            continue;
        sim_blame(step->replica, "leader completeness", "leads term %lu without seq %lu, committed in term %lu",
                  (unsigned long) step->after->view, (unsigned long) seq, (unsigned long) committed->by_term);
        return;
    }
}

/* True if this replica's log equals the leader's at `seq`. What lies below either base is committed, and so equal. */
static bool equals(const struct sim_raft_log *log, const struct sim_raft_log *leader, uint64_t seq) {
    if (seq > log->last_seq || seq > leader->last_seq)
        return false;
    return seq <= log->base_seq || seq <= leader->base_seq || log->terms[seq] == leader->terms[seq];
}

/*
 * A follower that knows a later term may have cut its log since. The match of one that lost its disk stands until its
 * ASK has come.
 */
static void check_match(const struct sim_raft_step *step) {
    const struct sim_world *world = step->replica->world;
    const struct raft_detail *detail = step->after->detail;
    for (ord_node_id id = 0; id < world->replica_count; id++) {
        const struct sim_raft_node *node = &step->raft->nodes[id];
        bool unheard = world->replicas[id].forgetful && step->node->heard_life[id] != node->life;
        uint64_t seq = detail->followers[id].match_seq;
        if (id == step->replica->id || unheard || node->put_term > step->after->view || seq == 0 ||
            equals(&node->log, &step->node->log, seq))
            continue;
        sim_blame(step->replica, "match", "leads term %lu, and takes seq %lu of replica %u for its own",
                  (unsigned long) step->after->view, (unsigned long) seq, id);
        return;
    }
}

void sim_raft_log_step(struct sim_raft_step *step) {
    struct sim_raft_log *log = &step->node->log;
    const struct ord_event *event = step->event;
    const uint64_t last_seq = log->last_seq;
    const bool follows = event->type == ORD_EVENT_SYNCED && has(log, event->synced.seq) &&
                         sim_raft_term(log, event->synced.seq) == event->synced.term;
    bool first = false;
    for (size_t i = 0; i < step->effects->count && !step->replica->world->failed; i++) {
        const struct ord_effect *effect = &step->effects->items[i];
        if (effect->type == ORD_EFFECT_PERSIST && effect->persist.table == SIM_RAFT_LOG)
            take_entry(step, effect->persist.key, effect->persist.bytes);
        else if (effect->type == ORD_EFFECT_PERSIST && effect->persist.table == SIM_RAFT_POINT)
            rebase(step, effect->persist.bytes);
        else if (effect->type == ORD_EFFECT_PERSIST && effect->persist.table == SIM_RAFT_HARD)
            sim_raft_put_hard(step, effect->persist.bytes);
        else if (effect->type == ORD_EFFECT_FORGET_AFTER && effect->forget_after.table == SIM_RAFT_LOG)
            cut(step, effect->forget_after.key);
        else if (effect->type == ORD_EFFECT_DELIVER)
            deliver(step, effect, &first);
        else if (effect->type == ORD_EFFECT_SEND)
            sim_raft_said(step, effect);
    }
    if (step->replica->world->failed)
        return;
    check_synced(step, last_seq, follows);
    if (first)
        check_commit(step);
    check_follower(step);
    if (step->after->leading && !step->node->led)
        check_complete(step);
    if (step->after->leading)
        check_match(step);
    if (log->last_seq != step->after->proposed_seq)
        sim_blame(step->replica, "log", "says that its log ends at seq %lu, and it ends at seq %lu",
                  (unsigned long) step->after->proposed_seq, (unsigned long) log->last_seq);
}
