/*
 * Row V16. A replica that lost its disk, or came back with an older one, makes no statement while it is silent.
 * Afterwards it makes none that contradicts an earlier statement of its own, provided that somebody who answered it
 * still held that statement. Its VIEW-CHANGE reports the prepared certificates that were returned to it.
 *
 * In the entries of `said`, `number` has three sets of replicas: those that hold the statement in a process that still
 * runs, in the statement's view; those that held it when they answered; and those whose answer arrived.
 */
#include "bft/recovery/silence.h"
#include "bft/wire/view_message.h"
#include "sim/check.h"
#include "sim/marks.h"
#include "sim/process.h"

/* Shifts. There may be IDS replicas at most. */
enum { HOLDS = 0, HELD = 16, TOLD = 32, IDS = 16 };

static bool is_word(uint8_t type) {
    return type == BFT_PRE_PREPARE || type == BFT_PREPARE || type == BFT_COMMIT || type == BFT_VIEW_CHANGE ||
           type == BFT_NEW_VIEW;
}

static bool looked_at(const struct sim_world *world) {
    return sim_is_pbft(world) && !world->failed &&
           ((world->plan.faults >> SIM_FAULT_OLD_IMAGE | world->plan.faults >> SIM_FAULT_EMPTY_DISK |
             world->plan.faults >> SIM_FAULT_LAST_WRITES) &
            1) != 0;
}

void sim_check_silence(struct sim_replica *replica, struct ord_span message) {
    if (replica->liar || !sim_is_pbft(replica->world))
        return;
    struct ord_status status = sim_process_status(replica->process);
    if ((status.asking || status.silent) && message.size > 0 && is_word(message.data[0]))
        sim_blame(replica, "silence", "is silent and says something of type %u", message.data[0]);
}

/*
 * The replica counts as honest again when no doubt is left about its seqs, and its view is installed and not below
 * those that it had asked for.
 */
static void honest_again(struct sim_replica *replica, const struct ord_status *now) {
    /* raft: it speaks, and whoever knows that its disk is an older one has told it. */
    bool settled = sim_is_raft(replica->world)
                       ? !replica->older
                       : now->doubt_until_seq == 0 && !now->changing && now->view >= replica->forgot_view;
    /* It may have been told of its loss after `now`. */
    if (!replica->forgetful || now->asking || now->silent || !settled ||
        (sim_is_raft(replica->world) && sim_process_status(replica->process).silent))
        return;
    sim_say(replica->world, replica->instance, "counts as honest again");
    ORD_MARK(HONEST_AGAIN);
    replica->forgetful = false;
    replica->forgot_until_seq = sim_is_raft(replica->world) ? 0 : now->stable_seq;
}

void sim_check_spoke(struct sim_replica *replica) {
    const struct ord_status *now = &replica->process->frozen.status;
    honest_again(replica, now);
    if (now->silent && now->silent_until_seq != replica->silent_until_seq)
        sim_say(replica->world, replica->instance, "is silent until seq %lu", (unsigned long) now->silent_until_seq);
    else if (!now->silent && !now->asking && (replica->silent_until_seq != 0 || !replica->spoke))
        sim_say(replica->world, replica->instance, "takes part");
    replica->silent_until_seq = now->silent ? now->silent_until_seq : 0;
    replica->spoke = replica->spoke || (!now->asking && !now->silent);
    if (now->silent && sim_honest(replica) && replica->spoke)
        sim_blame(replica, "silence", "is silent, and has forgotten nothing");
}

static uint64_t bit(uint32_t shift, ord_node_id id) {
    return UINT64_C(1) << (shift + id);
}

static struct sim_map *said(const struct sim_world *world) {
    return &world->checker->said;
}

static ord_node_id sayer(const struct sim_map_entry *entry) {
    return (ord_node_id) (entry->key[0] & 0xffffffff);
}

void sim_check_returned_void(struct sim_replica *replica) {
    struct sim_map *map = &replica->world->checker->returned;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].used && map->entries[i].key[0] == replica->instance)
            map->entries[i].number = 0;
}

/* Whether the replica voted for this statement's batch, and knows it. */
static bool has_vote(const struct sim_replica *replica, const struct bft_statement *statement) {
    struct bft_pre_prepare message;
    struct ord_span record = sim_disk_record(&replica->disk, TABLE_LOG, statement->seq);
    return record.size > 0 && bft_pre_prepare_decode(&message, &replica->process->core_config, record) == ORD_OK &&
           message.view == statement->view && ord_hash_equal(&message.digest, &statement->digest);
}

/* Notes the certificates of an answer that the replica has to take. */
static void certificates_come(struct sim_replica *replica, struct ord_span bytes) {
    struct sim_process *process = replica->process;
    struct ord_status status = sim_process_status(process);
    struct bft_recall recall;
    struct ord_span certificate;
    struct bft_statement statement;
    bool fresh;
    if (bft_recall_decode(&recall, &process->core_config, bytes) != ORD_OK ||
        recall.nonce != replica->world->checker->asked[replica->id] || status.silent || status.changing)
        return;
    while (bft_recall_next(&certificate, &recall.certificates, &process->core_config))
        if (bft_certificate_decode(&statement, &process->core_config, certificate) == ORD_OK &&
            statement.view == status.view && statement.seq > status.stable_seq && has_vote(replica, &statement))
            sim_map_insert(&replica->world->checker->returned, &fresh, replica->instance, statement.seq, 0)->number =
                1 + statement.view;
}

static bool reports(struct bft_view_change change, const struct ord_core_config *config, uint64_t seq, uint64_t view) {
    struct bft_statement statement;
    struct ord_span certificate;
    while (bft_view_change_next(&statement, &certificate, &change.certificates, config))
        if (statement.seq == seq && statement.view >= view)
            return true;
    return false;
}

void sim_check_reports(struct sim_replica *replica, struct bft_view_change change) {
    const struct sim_map *map = &replica->world->checker->returned;
    for (size_t i = 0; i < map->capacity; i++) {
        const struct sim_map_entry *entry = &map->entries[i];
        /* It may repeat the VIEW-CHANGE for the view that is installed, which it made before. */
        if (entry->used && entry->number > 0 && entry->key[0] == replica->instance && change.view >= entry->number &&
            entry->key[1] > change.stable_seq &&
            !reports(change, &replica->process->core_config, entry->key[1], entry->number - 1))
            sim_blame(replica, "silence", "asks for view %lu without the certificate of seq %lu that it got back",
                      (unsigned long) change.view, (unsigned long) entry->key[1]);
    }
}

void sim_check_silence_started(struct sim_replica *replica) {
    struct sim_map *map = said(replica->world);
    if (!looked_at(replica->world) || replica->liar)
        return;
    sim_check_returned_void(replica);
    replica->world->checker->asked[replica->id] = 0;
    for (size_t i = 0; i < map->capacity; i++) {
        struct sim_map_entry *entry = &map->entries[i];
        entry->number &= ~bit(HOLDS, replica->id);
        if (entry->used && sayer(entry) == replica->id)
            entry->number &= (UINT64_C(1) << HELD) - 1;
    }
}

static void hold(struct sim_replica *replica, enum bft_type type, ord_node_id from, uint64_t view, uint64_t seq,
                 const struct ord_hash *digest) {
    struct sim_map_entry *entry = sim_map_find(said(replica->world), (uint64_t) type << 32 | from, view, seq);
    if (entry != NULL && ord_hash_equal(&entry->hash, digest))
        entry->number |= bit(HOLDS, replica->id);
}

/* Notes what the replica keeps of a message that it has just taken. */
static void hear(struct sim_replica *replica, ord_node_id from, struct ord_span bytes) {
    const struct ord_core_config *config = &replica->process->core_config;
    struct ord_status status = sim_process_status(replica->process);
    struct bft_pre_prepare pre_prepare;
    struct bft_vote_list list;
    struct bft_view_change change;
    bool votes = !status.asking && !status.silent && !status.changing;
    if (bytes.data[0] == BFT_PRE_PREPARE && bft_pre_prepare_decode(&pre_prepare, config, bytes) == ORD_OK)
        hold(replica, BFT_PRE_PREPARE, from, pre_prepare.view, pre_prepare.seq, &pre_prepare.digest);
    if (bytes.data[0] == BFT_PREPARE && votes && bft_vote_list_decode(&list, config, bytes) == ORD_OK &&
        list.view == status.view)
        for (uint32_t i = 0; i < list.count; i++)
            if (list.votes[i].seq > status.stable_seq && list.votes[i].seq - status.stable_seq <= config->window)
                hold(replica, BFT_PREPARE, from, list.view, list.votes[i].seq, &list.votes[i].digest);
    if (bytes.data[0] == BFT_VIEW_CHANGE && bft_view_change_parse(&change, config, bytes) == ORD_OK &&
        change.view >= status.view && bft_view_change_decode(&change, config, bytes) == ORD_OK)
        hold(replica, BFT_VIEW_CHANGE, from, change.view, 0, &change.digest);
}

/*
 * The first answer of each replica counts for how far the silence lasts, however late it comes. Later ones do not: a
 * liar may not draw the silence out.
 */
static void reach(struct sim_replica *replica, ord_node_id from, struct ord_span bytes) {
    struct sim_process *process = replica->process;
    struct ord_status status = sim_process_status(process);
    struct bft_recall recall;
    if (bft_recall_decode(&recall, &process->core_config, bytes) != ORD_OK ||
        recall.nonce != replica->world->checker->asked[replica->id] || (process->recalled & ord_replica_bit(from)) != 0)
        return;
    process->recalled |= ord_replica_bit(from);
    if (recall.reach_seq > process->reach_seq)
        process->reach_seq = recall.reach_seq;
    if (status.silent && !status.asking && status.silent_until_seq < process->reach_seq)
        sim_blame(replica, "silence", "is silent until seq %lu, and was told that the others have seen seq %lu",
                  (unsigned long) status.silent_until_seq, (unsigned long) process->reach_seq);
}

/* An answer came to the life that asked for it: the sender has told everything that it held then. */
static void told(struct sim_replica *replica, ord_node_id from, struct ord_span bytes) {
    struct sim_map *map = said(replica->world);
    struct bft_recall recall;
    if (!replica->forgetful || bft_recall_decode(&recall, &replica->process->core_config, bytes) != ORD_OK ||
        recall.nonce != replica->world->checker->asked[replica->id])
        return;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].used && sayer(&map->entries[i]) == replica->id &&
            (map->entries[i].number & bit(HELD, from)) != 0)
            map->entries[i].number |= bit(TOLD, from);
}

void sim_check_taken(struct sim_replica *replica, ord_node_id from, struct ord_span bytes) {
    if (!looked_at(replica->world) || replica->liar || bytes.size == 0)
        return;
    if (bytes.data[0] == BFT_RECALL) {
        reach(replica, from, bytes);
        told(replica, from, bytes);
        certificates_come(replica, bytes);
    } else if (sim_honest(replica)) {
        hear(replica, from, bytes);
    }
}

void sim_check_asking(struct sim_replica *replica, ord_replica_set to, struct ord_span bytes) {
    struct sim_checker *checker = replica->world->checker;
    struct sim_map *map = said(replica->world);
    if (!looked_at(replica->world) || replica->liar || bytes.size < BFT_HEADER_SIZE + 8)
        return;
    uint64_t nonce = ord_load_u64(bytes.data + BFT_HEADER_SIZE);
    if (bytes.data[0] == BFT_ASK)
        checker->asked[replica->id] = nonce;
    if (bytes.data[0] != BFT_RECALL || !sim_honest(replica))
        return;
    bool needed = false;
    for (uint32_t i = 0; i < replica->world->instance_count; i++)
        needed = needed ||
                 ((to & ord_replica_bit(replica->world->replicas[i].id)) != 0 && replica->world->replicas[i].forgetful);
    struct ord_status status = sim_process_status(replica->process);
    for (size_t i = 0; needed && i < map->capacity; i++) {
        struct sim_map_entry *entry = &map->entries[i];
        if (entry->used && (to & ord_replica_bit(sayer(entry))) != 0 && nonce == checker->asked[sayer(entry)] &&
            (entry->number & bit(HOLDS, replica->id)) != 0 && entry->key[1] >= status.view)
            entry->number |= bit(HELD, replica->id);
    }
}

void sim_check_again(struct sim_replica *replica, uint32_t type, uint64_t view, uint64_t seq,
                     const struct ord_hash *digest) {
    bool fresh;
    struct sim_map_entry *entry =
        sim_map_insert(said(replica->world), &fresh, (uint64_t) type << 32 | replica->id, view, seq);
    if (fresh)
        entry->hash = *digest;
    else if (!ord_hash_equal(&entry->hash, digest) && entry->number >> TOLD != 0)
        sim_fail(
            replica->world,
            "silence: replica %u, which had forgotten, contradicts its statement of type %u about view %lu, seq %lu; "
            "replicas %lx held that when they answered it",
            replica->instance, type, (unsigned long) view, (unsigned long) seq,
            (unsigned long) (entry->number >> TOLD));
}

/*
 * A replica that starts so late that something is stable before it ever took part is silent, like one that lost its
 * disk. No run plans that, and such a replica may be one too many.
 */
bool sim_check_too_many(const struct sim_world *world) {
    uint32_t count = world->plan.liar_count;
    for (uint32_t i = 0; i < world->instance_count && sim_is_pbft(world); i++)
        count += !world->replicas[i].liar && world->replicas[i].process != NULL &&
                 sim_process_status(world->replicas[i].process).silent;
    return count > world->plan.faulty_max;
}

/*
 * A silent replica whose stable seq has reached the limit may still wait for a view that it asked for and that the
 * others are not in. The next view change ends that, so it counts as taking part. In a raft channel the silence ends by
 * itself (docs/raft.md, rule 12).
 */
const char *sim_check_speaking(const struct sim_replica *replica) {
    struct ord_status status = sim_process_status(replica->process);
    if (status.asking)
        return "a replica still asks what it said before";
    bool silent = status.silent && (sim_is_raft(replica->world) || status.stable_seq < status.silent_until_seq);
    return silent ? "a replica is silent" : NULL;
}
