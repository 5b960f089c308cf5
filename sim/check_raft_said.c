/*
 * Messages: election safety (figure 3.2), votes and PreVotes, and what is on disk before it leaves.
 *
 * - One leader in a term (row R12), whom a majority elected. One vote in a term, over all lives and all disks of a
 *   replica (rows R4, R13).
 * - A replica campaigns when a majority would vote for it, or when its leader asks it to (row R1). Nobody votes against
 *   a leader that it has heard within the shortest election timeout. A term rises for one of these reasons, or because
 *   a message has the later one; a PreVote is no such message.
 * - Term, vote and acknowledged entries are on disk before the message leaves that tells them (rows R4, R16).
 * - A replica that asks, or is silent, neither votes nor campaigns nor leads, and says so of its acknowledgements.
 * - A leader sends what its log has, and no commit index beyond what it delivered.
 */
#include "core/codec.h"
#include "sim/check.h"
#include "sim/check_raft.h"
#include "sim/process.h"

enum { TERM_AT = 17, SENDER_AT = 25, HEAD_SIZE = 29, RECORD_TERM_AT = 8, POINT_SEQ_AT = 8 };

/* ---- reading ---- */

static void read_flags(struct sim_raft_message *out, struct ord_reader *reader) {
    uint8_t flags = ord_read_u8(reader);
    out->first = (flags & 1) != 0;
    out->second = (flags & 2) != 0;
}

bool sim_raft_read(struct sim_raft_message *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    *out = (struct sim_raft_message) {0};
    uint8_t type = ord_read_u8(&reader);
    (void) ord_read_span(&reader, TERM_AT - 1);
    out->term = ord_read_u64(&reader);
    out->sender = ord_read_u32(&reader);
    if (reader.failed || type < SIM_RAFT_VOTE_REQUEST || type > SIM_RAFT_RECALL)
        return false;
    out->type = (enum sim_raft_type) type;
    if (type == SIM_RAFT_VOTE_REQUEST || type == SIM_RAFT_VOTE_ANSWER || type == SIM_RAFT_APPEND_ANSWER)
        read_flags(out, &reader);
    if (type == SIM_RAFT_VOTE_ANSWER) {
        out->asked_term = ord_read_u64(&reader);
        (void) ord_read_u64(&reader); /* the asker's life */
        out->life = ord_read_u64(&reader);
    } else if (type == SIM_RAFT_ASK || type == SIM_RAFT_RECALL) {
        out->life = ord_read_u64(&reader);
    } else if (type != SIM_RAFT_TIMEOUT_NOW) {
        out->seq = ord_read_u64(&reader);
    }
    if (type == SIM_RAFT_VOTE_REQUEST || type == SIM_RAFT_APPEND || type == SIM_RAFT_SNAPSHOT)
        out->seq_term = ord_read_u64(&reader);
    if (type == SIM_RAFT_APPEND) {
        out->commit_seq = ord_read_u64(&reader);
        (void) ord_read_u64(&reader); /* what the leader's own disk holds of it */
        read_flags(out, &reader);
        out->entry_term = ord_read_u64(&reader);
    }
    if (type == SIM_RAFT_RECALL) {
        read_flags(out, &reader);
        out->granted_term = ord_read_u64(&reader);
        (void) ord_read_u64(&reader); /* the term in which the sender voted for the asker */
        out->acked_term = ord_read_u64(&reader);
        out->acked_seq = ord_read_u64(&reader);
    }
    return !reader.failed;
}

void sim_raft_hard(uint64_t *term, ord_node_id *vote, struct ord_span record) {
    struct ord_reader reader = ord_reader_of(record);
    (void) ord_read_u64(&reader);
    *term = ord_read_u64(&reader);
    *vote = ord_read_u32(&reader);
    if (!reader.failed)
        return;
    *term = 0;
    *vote = ORD_NO_NODE;
}

/* ---- what the core gives out ---- */

static bool speaks(const struct ord_status *status) {
    return !status->asking && !status->silent;
}

static void said_append(struct sim_raft_step *step, const struct sim_raft_message *message, struct ord_span body) {
    const struct sim_raft_log *log = &step->node->log;
    const uint64_t seq = message->seq;
    bool known = seq >= log->base_seq && seq <= log->last_seq;
    if ((seq > 0 && !known) || (known && sim_raft_term(log, seq) != message->seq_term) ||
        (message->first && seq >= log->last_seq)) {
        sim_blame(step->replica, "leader", "sends what follows on seq %lu of term %lu, which its log does not have",
                  (unsigned long) seq, (unsigned long) message->seq_term);
        return;
    }
    const struct sim_map_entry *entry =
        sim_map_find(&step->raft->entries, seq + 1, message->first ? message->entry_term : 0, 0);
    if (message->first && (log->terms[seq + 1] != message->entry_term || entry == NULL ||
                           ord_load_u64(entry->hash.bytes) != sim_digest(7, body)))
        sim_blame(step->replica, "leader", "sends another entry at seq %lu than its log has", (unsigned long) seq + 1);
    if (message->commit_seq > step->after->delivered_seq)
        sim_blame(step->replica, "leader", "says that seq %lu is committed, and has delivered seq %lu",
                  (unsigned long) message->commit_seq, (unsigned long) step->after->delivered_seq);
}

/* A replica begins an election: a majority would vote for it, or the leader asks for it. */
static void said_candidacy(struct sim_raft_step *step, const struct sim_raft_message *message) {
    uint32_t count = 1;
    const uint32_t replicas = step->replica->world->replica_count;
    for (ord_node_id id = 0; id < replicas; id++)
        count += id != step->replica->id &&
                 sim_map_find(&step->raft->prevotes, id, message->term, step->replica->id) != NULL;
    if (!message->second && count < sim_raft_majority(step->replica->world))
        sim_blame(step->replica, "PreVote", "campaigns in term %lu, and %u would vote for it",
                  (unsigned long) message->term, count);
}

static void said_request(struct sim_raft_step *step, const struct sim_raft_message *message) {
    const struct sim_raft_log *log = &step->node->log;
    const uint64_t term = message->first ? step->after->view + 1 : step->after->view;
    if (message->term != term || message->seq != log->last_seq ||
        message->seq_term != sim_raft_term(log, log->last_seq))
        sim_blame(step->replica, "vote", "asks for votes in term %lu with a log that ends at seq %lu of term %lu",
                  (unsigned long) message->term, (unsigned long) message->seq, (unsigned long) message->seq_term);
    else if (!message->first && (step->node->put_term != term || step->node->put_vote != step->replica->id))
        sim_blame(step->replica, "vote", "campaigns in term %lu without its own vote", (unsigned long) term);
    else if (!message->first && step->before->view < term)
        said_candidacy(step, message);
}

/* Section 4.2.3. `node->heard_ms` is of the steps before this one. */
static bool in_lease(const struct sim_raft_step *step) {
    if (step->before->leading)
        return true;
    return step->before->leader != ORD_NO_NODE && step->node->heard_ms != 0 &&
           step->event->now_ms + 1 < step->node->heard_ms + step->replica->world->plan.raft.election_ms_min;
}

static void said_vote(struct sim_raft_step *step, const struct sim_raft_message *message) {
    const struct sim_raft_message *request = &step->message;
    const struct sim_raft_log *log = &step->node->log;
    uint64_t last_term = sim_raft_term(log, log->last_seq);
    if (!message->second)
        return;
    if (!step->is_message || request->type != SIM_RAFT_VOTE_REQUEST || message->asked_term != request->term ||
        message->first != request->first)
        sim_blame(step->replica, "vote", "votes in term %lu, and nobody asked", (unsigned long) message->asked_term);
    else if (request->seq_term < last_term || (request->seq_term == last_term && request->seq < log->last_seq))
        sim_blame(step->replica, "vote", "votes for a log that ends at seq %lu of term %lu; its own ends at %lu of %lu",
                  (unsigned long) request->seq, (unsigned long) request->seq_term, (unsigned long) log->last_seq,
                  (unsigned long) last_term);
    else if (!request->second && in_lease(step))
        sim_blame(step->replica, "lease", "votes against a leader that it has just heard");
}

void sim_raft_said(struct sim_raft_step *step, const struct ord_effect *send) {
    struct sim_raft_message message;
    struct sim_replica *replica = step->replica;
    if (!sim_raft_read(&message, send->send.bytes) || message.sender != replica->id) {
        sim_blame(replica, "message", "sends what is no message of its own");
        return;
    }
    bool leads =
        message.type == SIM_RAFT_APPEND || message.type == SIM_RAFT_SNAPSHOT || message.type == SIM_RAFT_TIMEOUT_NOW;
    bool votes = message.type == SIM_RAFT_VOTE_REQUEST || (message.type == SIM_RAFT_VOTE_ANSWER && message.second) ||
                 (message.type == SIM_RAFT_APPEND_ANSWER && !message.second);
    if (leads && ((!step->after->leading && !step->node->led) || message.term != step->after->view))
        sim_blame(replica, "leader", "sends a message of type %u as leader of term %lu", message.type,
                  (unsigned long) message.term);
    if ((leads || votes) && !speaks(step->after))
        sim_blame(replica, "silence", "asks or is silent, and says something of type %u", message.type);
    if (message.type == SIM_RAFT_APPEND)
        said_append(step, &message, send->send.body);
    else if (message.type == SIM_RAFT_VOTE_REQUEST)
        said_request(step, &message);
    else if (message.type == SIM_RAFT_VOTE_ANSWER)
        said_vote(step, &message);
    else if (message.type == SIM_RAFT_ASK)
        step->node->life = message.life;
}

/* ---- terms and leaders ---- */

static bool campaigns(const struct sim_raft_step *step) {
    for (size_t i = 0; i < step->effects->count; i++) {
        const struct ord_effect *effect = &step->effects->items[i];
        struct sim_raft_message message;
        if (effect->type == ORD_EFFECT_SEND && sim_raft_read(&message, effect->send.bytes) &&
            message.type == SIM_RAFT_VOTE_REQUEST && !message.first && message.term == step->after->view)
            return true;
    }
    return step->replica->world->replica_count == 1;
}

static void check_term(const struct sim_raft_step *step) {
    const struct sim_raft_message *message = &step->message;
    const uint64_t term = step->after->view;
    if (term == step->before->view || step->event->type == ORD_EVENT_START)
        return;
    bool prevote = step->is_message && message->first && message->type == SIM_RAFT_VOTE_REQUEST;
    bool told = step->is_message && message->term == term && !prevote;
    /* One that has forgotten goes to the highest term that it was told of, in this life or before it fell silent. */
    told = told || (step->is_message && message->type == SIM_RAFT_RECALL && term <= step->raft->term_max);
    told = told || (step->event->type == ORD_EVENT_SYNCED && step->event->synced.term == term);
    if (!told && !(term == step->before->view + 1 && campaigns(step)))
        sim_blame(step->replica, "term", "goes from term %lu to %lu for no reason", (unsigned long) step->before->view,
                  (unsigned long) term);
}

void sim_raft_put_hard(struct sim_raft_step *step, struct ord_span record) {
    uint64_t term;
    ord_node_id vote;
    sim_raft_hard(&term, &vote, record);
    if (term < step->node->put_term)
        sim_blame(step->replica, "term", "keeps term %lu after term %lu", (unsigned long) term,
                  (unsigned long) step->node->put_term);
    else if (term == step->node->put_term && step->node->put_vote != ORD_NO_NODE && vote != ORD_NO_NODE &&
             vote != step->node->put_vote)
        sim_blame(step->replica, "vote", "keeps a vote for %u in term %lu after one for %u", vote, (unsigned long) term,
                  step->node->put_vote);
    step->node->put_term = term;
    step->node->put_vote = vote;
    if (term > step->raft->term_max)
        step->raft->term_max = term;
}

static void check_leads(const struct sim_raft_step *step) {
    const struct sim_replica *replica = step->replica;
    const uint64_t term = step->after->view;
    uint32_t votes = 1;
    bool fresh;
    if (!speaks(step->after))
        sim_blame(replica, "silence", "asks or is silent, and leads");
    struct sim_map_entry *entry = sim_map_insert(&step->raft->leaders, &fresh, term, 0, 0);
    if (fresh)
        entry->number = replica->id + 1;
    if (entry->number != replica->id + 1)
        sim_blame(replica, "election safety", "leads term %lu, as replica %lu did", (unsigned long) term,
                  (unsigned long) entry->number - 1);
    if (step->node->led)
        return;
    if (!fresh)
        sim_blame(replica, "election safety", "leads term %lu for the second time", (unsigned long) term);
    for (ord_node_id id = 0; id < replica->world->replica_count; id++) {
        const struct sim_map_entry *vote = sim_map_find(&step->raft->votes, id, term, 0);
        votes += id != replica->id && vote != NULL && vote->number == replica->id + 1;
    }
    if (votes < sim_raft_majority(replica->world))
        sim_blame(replica, "election safety", "leads term %lu with %u votes", (unsigned long) term, votes);
}

/* Row R13: a record of another replica proves that this one has lost a vote or an acknowledgement that was used. */
static void check_recall(const struct sim_raft_step *step) {
    const struct sim_raft_message *message = &step->message;
    const struct sim_raft_log *log = &step->node->log;
    if (!step->is_message || message->type != SIM_RAFT_RECALL || message->life != step->node->life)
        return;
    uint64_t last_term = sim_raft_term(log, log->last_seq);
    bool lost = message->granted_term > step->before->view || message->acked_term > last_term ||
                (message->acked_term == last_term && message->acked_seq > log->last_seq);
    if (lost && !step->after->silent)
        sim_blame(step->replica, "silence", "is told of what it has lost, and speaks");
}

void sim_raft_said_step(struct sim_raft_step *step) {
    const struct sim_raft_message *message = &step->message;
    if (step->replica->world->failed)
        return;
    check_term(step);
    check_recall(step);
    if (step->after->leading)
        check_leads(step);
    /* Row R21. */
    if (step->event->type == ORD_EVENT_STORAGE && !step->event->storage.available && step->after->leading)
        sim_blame(step->replica, "leader", "goes on leading, and can store nothing");
    if (step->is_message && (message->type == SIM_RAFT_APPEND || message->type == SIM_RAFT_SNAPSHOT) &&
        message->term == step->after->view && step->after->leader == message->sender)
        step->node->heard_ms = step->event->now_ms + 1;
}

/* ---- what leaves ---- */

static void lacks(struct sim_replica *replica, const char *what, uint64_t at) {
    sim_blame(replica, "durability", "sends a %s of %lu that its disk does not hold", what, (unsigned long) at);
}

static void cast(struct sim_replica *replica, uint64_t term, ord_node_id candidate) {
    bool fresh;
    struct sim_map_entry *entry = sim_map_insert(&replica->world->raft->votes, &fresh, replica->id, term, 0);
    uint64_t disk_term;
    ord_node_id disk_vote;
    sim_raft_hard(&disk_term, &disk_vote, sim_disk_record(&replica->disk, SIM_RAFT_HARD, 1));
    if (disk_term < term || (disk_term == term && disk_vote != candidate))
        lacks(replica, "vote", term);
    if (fresh)
        entry->number = candidate + 1;
    else if (entry->number != candidate + 1)
        sim_blame(replica, "vote", "votes for %u in term %lu, and has voted for %lu", candidate, (unsigned long) term,
                  (unsigned long) entry->number - 1);
}

/*
 * The entry is on disk, as of the term that the leader has there. What is applied needs no record. One commit may bring
 * the entry and a later term, whose leader cuts it: then the words of the earlier term are as if they came late.
 */
static void acknowledge(struct sim_replica *replica, ord_node_id to, const struct sim_raft_message *message) {
    const struct sim_disk *disk = &replica->disk;
    const struct sim_raft_node *leader = &replica->world->raft->nodes[to];
    struct ord_span point = sim_disk_record(disk, SIM_RAFT_POINT, 1);
    struct ord_span record = sim_disk_record(disk, SIM_RAFT_LOG, message->seq);
    uint64_t disk_term;
    ord_node_id disk_vote;
    sim_raft_hard(&disk_term, &disk_vote, sim_disk_record(disk, SIM_RAFT_HARD, 1));
    if (disk_term > message->term || message->seq <= sim_disk_applied(disk) ||
        (point.size > 0 && message->seq <= ord_load_u64(point.data + POINT_SEQ_AT)))
        return;
    if (record.size < HEAD_SIZE - TERM_AT) {
        lacks(replica, "acknowledgement", message->seq);
        return;
    }
    const struct sim_process *process = replica->world->replicas[to].process;
    bool leads = process != NULL && leader->led && sim_process_status(process).view == message->term;
    if (leads && message->seq > leader->log.last_seq)
        sim_blame(replica, "match", "acknowledges seq %lu, and its leader's log ends at seq %lu",
                  (unsigned long) message->seq, (unsigned long) leader->log.last_seq);
    if (leads && message->seq <= leader->log.last_seq && message->seq >= leader->log.base_seq &&
        sim_raft_term(&leader->log, message->seq) != ord_load_u64(record.data + RECORD_TERM_AT))
        sim_blame(replica, "match", "acknowledges seq %lu, where its leader has another entry",
                  (unsigned long) message->seq);
}

void sim_raft_leaves(struct sim_replica *replica, ord_replica_set to, struct ord_span bytes) {
    struct sim_raft_message message;
    uint64_t term;
    ord_node_id vote;
    ord_node_id receiver = 0;
    bool fresh;
    if (replica->world->raft == NULL || !sim_raft_read(&message, bytes) || to == 0)
        return;
    while ((to >> receiver & 1) == 0)
        receiver++;
    sim_raft_hard(&term, &vote, sim_disk_record(&replica->disk, SIM_RAFT_HARD, 1));
    bool prevote = message.first && message.type == SIM_RAFT_VOTE_REQUEST;
    if (term + prevote < message.term)
        lacks(replica, "term", message.term);
    else if (message.type == SIM_RAFT_VOTE_REQUEST && !prevote)
        cast(replica, message.term, replica->id);
    else if (message.type == SIM_RAFT_VOTE_ANSWER && message.second && message.first)
        sim_map_insert(&replica->world->raft->prevotes, &fresh, replica->id, message.asked_term, receiver)->number = 1;
    else if (message.type == SIM_RAFT_VOTE_ANSWER && message.second)
        cast(replica, message.asked_term, receiver);
    else if (message.type == SIM_RAFT_APPEND_ANSWER && !message.first)
        acknowledge(replica, receiver, &message);
}
