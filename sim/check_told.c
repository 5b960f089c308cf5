/*
 * Completeness: what a replica was told obliges it. Everything here is decided by what its core took and gave out, and
 * by nothing that the core remembers itself. Rows P1, P14, V1 and V10.
 *
 * Evidence. While a replica takes part in an installed view, has a seq in its window before and after a step, and then
 * takes a second statement about that (view, seq), it must have given evidence against the signer, in this step or
 * before it in this life:
 *   - two PREPAREs of one backup;
 *   - two PRE-PREPAREs of the primary, the first of which it had judged; the second may come in a WITNESS;
 *   - two VIEW-CHANGEs of one replica for a view that is not installed here yet, the first of which was its newest;
 *   - two NEW-VIEWs, the first of which is installed here.
 * The same holds when it takes an EVIDENCE. If what it judged differs from another backup's first PREPARE, it must have
 * sent a WITNESS to that backup. Evidence against the primary of its view must have gone to all others, and with the
 * next FLUSH it leaves that view. At rest, the evidence that a life gave is on disk, unless the process died.
 *
 * A statement that came while the replica was asking, silent or changing views, or beyond its window, obliges nobody:
 * the core has no room for it.
 *
 * Answers. A peer gets no two answers to its STATUS within half a retransmission interval, no news of a view within two
 * intervals, no batches and no RECALL within a quarter, however often it asks. The primary of a view may give each
 * VIEW-CHANGE under it once to each peer before that. A vote that went to all less than half an interval ago is not in
 * an answer.
 *
 * Views. A replica that is changing to the view of an honest primary, and has its NEW-VIEW and each VIEW-CHANGE that
 * this names, installs it with the next FLUSH. If it lacks one of them, it has asked the primary by then. It suspects
 * no primary that does not hand over before half a request timeout has passed since the view was installed. A sixteenth
 * is enough if the primary is one of the f whose views failed last: the replica suspected it then, or f + 1 others did.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/bft.h"
#include "bft/recovery/silence.h"
#include "bft/wire/proof.h"
#include "bft/wire/view_message.h"
#include "core/quorum.h"
#include "sim/check.h"
#include "sim/check_leave.h"
#include "sim/process.h"

struct newest {
    uint64_t view; /* 0: none */
    struct ord_hash digest;
};

enum answer { ANSWER_VOTES, ANSWER_NEWS, ANSWER_BODIES, ANSWER_RECALL, ANSWER_KINDS };

static const char *const answer_names[ANSWER_KINDS] = {"votes", "news of a view", "batches", "a RECALL"};

struct sim_told {
    struct sim_process *process;
    struct sim_replica *replica;
    ord_replica_set liars;
    uint64_t window;
    /* (type and sender, view, seq) -> the digest of the first statement that this life took into a slot. */
    struct sim_map first;
    /* The replicas against which this life gave evidence. */
    ord_replica_set accused;
    /* The view of the last EVIDENCE that it sent, + 1; 0: it sent none. */
    uint64_t passed;
    /* The view whose primary it has convicted, + 1, until it leaves that view; 0: none. */
    uint64_t leaves;
    /* The highest stable seq that a RECALL proved: nothing is bound up to there any more. */
    uint64_t proven_seq;
    /* The newest VIEW-CHANGE of each replica. */
    struct newest changes[ORD_REPLICA_MAX];
    struct newest installed;
    /* The NEW-VIEW of the view that it is changing to; NULL: it has none. */
    struct sim_buffer *due;
    /* The VIEW-CHANGEs that `due` names and that came after it. */
    ord_replica_set named;
    /* The last view about which it sent the primary alone a STATUS. */
    uint64_t asked_view;
    /* When its view was installed, and what was delivered then. */
    uint64_t since_ms;
    uint64_t since_seq;
    bool has_reason;
    /* For how long each replica led views that ended, since this replica last left one because it suspected. */
    uint64_t led_ms[ORD_REPLICA_MAX];
    /* When each replica got the last answer of each kind, + 1; 0: it got none. */
    uint64_t answered_ms[ANSWER_KINDS][ORD_REPLICA_MAX];
    /* For each replica: the authors of the VIEW-CHANGEs under the view `given_view` that were given to it. */
    ord_replica_set given[ORD_REPLICA_MAX];
    uint64_t given_view;
    /* (type, view, seq) -> when its own vote last went to all. */
    struct sim_map sent;
    /* For each replica, this one too: the last view, + 1, in which it said that it hands over; 0: none. */
    uint64_t hands_over[ORD_REPLICA_MAX];
    /* For each replica: the view, + 1, whose primary its last STATUS suspects; 0: none. */
    uint64_t suspects[ORD_REPLICA_MAX];
    /* For each replica: the last view of its, + 1, that failed here; 0: none. */
    uint64_t failed[ORD_REPLICA_MAX];
    /* Replicas that led a later view which did not fail. */
    ord_replica_set served;
    struct sim_leave leave;
};

static void owes(struct sim_told *told, ord_node_id culprit, const char *what, uint64_t view, uint64_t seq) {
    if ((told->accused & ord_replica_bit(culprit)) == 0)
        sim_blame(told->replica, "evidence", "has two %s of replica %u about view %lu, seq %lu, and gives no evidence",
                  what, culprit, (unsigned long) view, (unsigned long) seq);
}

static bool speaks(const struct ord_status *status) {
    return !status->asking && !status->silent;
}

/* The replica takes part in `view`, which is installed, before and after the step. */
static bool in_view(const struct ord_status *before, const struct ord_status *after, uint64_t view) {
    return before->view == view && after->view == view && !before->changing && !after->changing && speaks(before) &&
           speaks(after);
}

static bool in_window(const struct sim_told *told, const struct ord_status *before, const struct ord_status *after,
                      uint64_t seq) {
    return seq > after->stable_seq && seq <= before->stable_seq + told->window;
}

static struct sim_map_entry *find(const struct sim_told *told, enum bft_type type, ord_node_id sender, uint64_t view,
                                  uint64_t seq) {
    return sim_map_find(&told->first, (uint64_t) type << 32 | sender, view, seq);
}

static void note(struct sim_told *told, enum bft_type type, ord_node_id sender, uint64_t view, uint64_t seq,
                 const struct ord_hash *digest) {
    bool fresh;
    struct sim_map_entry *entry = sim_map_insert(&told->first, &fresh, (uint64_t) type << 32 | sender, view, seq);
    if (fresh)
        entry->hash = *digest;
}

static ord_node_id primary_of(const struct sim_told *told, uint64_t view) {
    return bft_primary(&told->process->core_config, view);
}

/* ---- what the core gives out ---- */

static void check_passed(struct sim_told *told, const struct ord_status *before, const struct ord_effect *effect) {
    struct bft_statement statement;
    struct bft_proof proof;
    bool about_view =
        bft_signed_decode(&statement, &proof, &told->process->core_config, effect->evidence.first) == ORD_OK &&
        (statement.type == BFT_PRE_PREPARE || statement.type == BFT_NEW_VIEW);
    if (!about_view || before->changing || !speaks(before) || statement.view != before->view)
        return;
    told->leaves = statement.view + 1;
    if (told->passed != statement.view + 1)
        sim_blame(told->replica, "evidence", "keeps to itself what convicts the primary of view %lu",
                  (unsigned long) statement.view);
}

static void note_witness(struct sim_told *told, const struct ord_effect *effect) {
    struct bft_statement statement;
    struct bft_proof proof;
    if (bft_signed_decode(&statement, &proof, &told->process->core_config, bft_behind_header(effect->send.bytes)) !=
        ORD_OK)
        return;
    for (ord_node_id to = 0; to < told->process->world->replica_count; to++)
        if ((effect->send.to & ord_replica_bit(to)) != 0)
            note(told, BFT_WITNESS, to, statement.view, statement.seq, &statement.digest);
}

static void note_effect(struct sim_told *told, const struct ord_effect *effect) {
    struct bft_new_view view;
    if (effect->type == ORD_EFFECT_EVIDENCE) {
        told->accused |= ord_replica_bit(effect->evidence.culprit);
    } else if (effect->type == ORD_EFFECT_JUDGE) {
        ord_node_id primary = primary_of(told, effect->judge.view);
        if ((told->liars & ord_replica_bit(primary)) != 0)
            note(told, BFT_PRE_PREPARE, primary, effect->judge.view, effect->judge.seq, &effect->judge.digest);
    } else if (effect->type == ORD_EFFECT_SEND && effect->send.bytes.size > 0) {
        const uint64_t at_view = told->process->observer.status.view;
        if (effect->send.bytes.data[0] == BFT_STATUS && effect->send.to == ord_replica_bit(primary_of(told, at_view)))
            told->asked_view = at_view;
        else if (effect->send.bytes.data[0] == BFT_WITNESS)
            note_witness(told, effect);
        else if (effect->send.bytes.data[0] == BFT_EVIDENCE &&
                 ord_replica_count(effect->send.to) == told->process->world->replica_count - 1)
            told->passed = at_view + 1;
    } else if (effect->type == ORD_EFFECT_PERSIST && effect->persist.table == TABLE_NEW_VIEW &&
               bft_new_view_decode(&view, &told->process->core_config, effect->persist.bytes) == ORD_OK) {
        told->installed = (struct newest) {.view = view.view, .digest = view.digest};
    }
}

/* A backup that prepared something else than what was judged here must have been told of it. */
static void check_witness(struct sim_told *told, ord_node_id backup, uint64_t view, uint64_t seq) {
    const struct sim_map_entry *bound = find(told, BFT_PRE_PREPARE, primary_of(told, view), view, seq);
    const struct sim_map_entry *vote = find(told, BFT_PREPARE, backup, view, seq);
    if (bound != NULL && vote != NULL && !ord_hash_equal(&bound->hash, &vote->hash) &&
        find(told, BFT_WITNESS, backup, view, seq) == NULL)
        sim_blame(told->replica, "evidence", "does not tell replica %u what the primary said here of view %lu, seq %lu",
                  backup, (unsigned long) view, (unsigned long) seq);
}

/* ---- what the core takes ---- */

static void take_prepares(struct sim_told *told, const struct ord_status *before, const struct ord_status *after,
                          const struct bft_vote_list *list) {
    ord_node_id primary = primary_of(told, list->view);
    ord_replica_set about = ord_replica_bit(primary) | ord_replica_bit(list->sender);
    if (list->sender == primary || (about & told->liars) == 0 || !in_view(before, after, list->view))
        return;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct bft_vote *vote = &list->votes[i];
        if (!in_window(told, before, after, vote->seq))
            continue;
        const struct sim_map_entry *entry = find(told, BFT_PREPARE, list->sender, list->view, vote->seq);
        if (entry != NULL && !ord_hash_equal(&entry->hash, &vote->digest))
            owes(told, list->sender, "PREPAREs", list->view, vote->seq);
        note(told, BFT_PREPARE, list->sender, list->view, vote->seq, &vote->digest);
        check_witness(told, list->sender, list->view, vote->seq);
    }
}

/* What the primary said of a (view, seq), by itself or in a WITNESS. */
static void take_proposal(struct sim_told *told, const struct ord_status *before, const struct ord_status *after,
                          const struct bft_statement *statement) {
    if (statement->sender != primary_of(told, statement->view) || !in_view(before, after, statement->view) ||
        !in_window(told, before, after, statement->seq) || statement->seq <= told->proven_seq)
        return;
    const struct sim_map_entry *bound = find(told, BFT_PRE_PREPARE, statement->sender, statement->view, statement->seq);
    if (bound == NULL)
        return;
    if (!ord_hash_equal(&bound->hash, &statement->digest))
        owes(told, statement->sender, "PRE-PREPAREs", statement->view, statement->seq);
    for (ord_node_id id = 0; id < told->process->world->replica_count; id++)
        if (id != told->replica->id)
            check_witness(told, id, statement->view, statement->seq);
}

static void take_change(struct sim_told *told, const struct ord_status *before, const struct ord_status *after,
                        const struct bft_view_change *change) {
    struct newest *newest = &told->changes[change->sender];
    struct bft_new_view due;
    bool to_come = change->view > before->view || (before->changing && change->view == before->view);
    bool answers_for_it = speaks(before) && speaks(after);
    if (change->sender == told->replica->id || !to_come)
        return;
    if (answers_for_it && change->view == newest->view && !ord_hash_equal(&change->digest, &newest->digest))
        owes(told, change->sender, "VIEW-CHANGEs", change->view, 0);
    if (change->view > newest->view)
        *newest = (struct newest) {.view = change->view, .digest = change->digest};
    if (!answers_for_it || told->due == NULL || !before->changing || change->view != before->view ||
        bft_new_view_decode(&due, &told->process->core_config, sim_buffer_span(told->due)) != ORD_OK ||
        due.view != change->view)
        return;
    for (uint32_t i = 0; i < due.change_count; i++) {
        ord_node_id sender;
        struct ord_hash digest;
        bft_new_view_change(&sender, &digest, &due, i);
        if (sender == change->sender && ord_hash_equal(&digest, &change->digest))
            told->named |= ord_replica_bit(sender);
    }
}

static void take_new_view(struct sim_told *told, const struct ord_status *before, const struct ord_status *after,
                          const struct bft_new_view *view, struct ord_span bytes) {
    struct bft_new_view due;
    if (view->sender == told->replica->id)
        return;
    if (in_view(before, after, view->view) && told->installed.view == view->view &&
        !ord_hash_equal(&told->installed.digest, &view->digest))
        owes(told, view->sender, "NEW-VIEWs", view->view, 0);
    bool kept = told->due != NULL &&
                bft_new_view_decode(&due, &told->process->core_config, sim_buffer_span(told->due)) == ORD_OK;
    if (kept && due.sender == view->sender && due.view != view->view) {
        /* One of each sender is kept, and this may be the one. */
        sim_buffer_release(told->due);
        told->due = NULL;
        kept = false;
    }
    if (!before->changing || view->view != before->view || !speaks(before) || (kept && due.view == view->view))
        return;
    sim_buffer_release(told->due);
    told->due = sim_buffer_create(bytes);
    told->named = 0;
}

static void take_evidence(struct sim_told *told, struct ord_span bytes) {
    struct bft_statement statement;
    struct bft_proof proof;
    struct ord_span first;
    struct ord_span second;
    if (bft_evidence_split(bytes, &first, &second) == ORD_OK &&
        bft_signed_decode(&statement, &proof, &told->process->core_config, first) == ORD_OK)
        owes(told, statement.sender, "proven statements", statement.view, statement.seq);
}

static void take(struct sim_told *told, const struct ord_status *before, const struct ord_status *after,
                 struct ord_span bytes) {
    const struct ord_core_config *config = &told->process->core_config;
    struct bft_pre_prepare pre_prepare;
    struct bft_vote_list list;
    struct bft_view_change change;
    struct bft_new_view view;
    struct bft_status status;
    struct bft_recall recall;
    struct bft_statement statement;
    struct bft_proof proof;
    uint8_t type = bytes.size == 0 ? 0 : bytes.data[0];
    if (type == BFT_RELAY && bytes.size > BFT_RELAY_SIZE) {
        bytes = bft_behind_header(bytes);
        type = bytes.data[0];
    }
    if (type == BFT_PREPARE && bft_vote_list_decode(&list, config, bytes) == ORD_OK) {
        take_prepares(told, before, after, &list);
    } else if (type == BFT_PRE_PREPARE && bft_pre_prepare_decode(&pre_prepare, config, bytes) == ORD_OK) {
        statement = bft_pre_prepare_statement(&pre_prepare);
        take_proposal(told, before, after, &statement);
    } else if (type == BFT_WITNESS &&
               bft_signed_decode(&statement, &proof, config, bft_behind_header(bytes)) == ORD_OK) {
        take_proposal(told, before, after, &statement);
    } else if (type == BFT_VIEW_CHANGE && bft_view_change_decode(&change, config, bytes) == ORD_OK) {
        take_change(told, before, after, &change);
    } else if (type == BFT_NEW_VIEW && bft_new_view_decode(&view, config, bytes) == ORD_OK) {
        take_new_view(told, before, after, &view, bytes);
    } else if (type == BFT_EVIDENCE) {
        take_evidence(told, bytes);
    } else if (type == BFT_RECALL && bft_recall_decode(&recall, config, bytes) == ORD_OK) {
        told->proven_seq = recall.stable_seq > told->proven_seq ? recall.stable_seq : told->proven_seq;
    } else if (type == BFT_STATUS && bft_status_decode(&status, config, bytes) == ORD_OK) {
        bool suspects = status.mood == BFT_SUSPECTS || status.mood == BFT_GIVES_UP || status.mood == BFT_HANDS_OVER;
        told->suspects[status.sender] = suspects ? status.view + 1 : 0;
        if (status.mood == BFT_HANDS_OVER)
            told->hands_over[status.sender] = status.view + 1;
    }
}

/* ---- answers ---- */

static void check_votes_again(struct sim_told *told, const struct ord_effect *effect, uint64_t now_ms, bool to_all) {
    struct bft_vote_list list;
    bool fresh;
    uint64_t least_ms = told->process->core_config.retransmit_ms / 2;
    if (bft_vote_list_decode(&list, &told->process->core_config, effect->send.bytes) != ORD_OK)
        return;
    for (uint32_t i = 0; i < list.count; i++) {
        struct sim_map_entry *entry = to_all
                                          ? sim_map_insert(&told->sent, &fresh, list.type, list.view, list.votes[i].seq)
                                          : sim_map_find(&told->sent, list.type, list.view, list.votes[i].seq);
        if (to_all)
            entry->number = now_ms;
        else if (entry != NULL && now_ms < entry->number + least_ms)
            sim_blame(told->replica, "answers",
                      "gives its vote of type %d for seq %lu again %lu ms after it went to all", (int) list.type,
                      (unsigned long) list.votes[i].seq, (unsigned long) (now_ms - entry->number));
    }
}

/* The kind of answer that this message gets, and the least time between two of them. */
static enum answer answer_to(const struct sim_told *told, uint64_t *least_ms, const struct ord_status *after,
                             struct ord_span bytes) {
    const struct ord_core_config *config = &told->process->core_config;
    struct bft_status status;
    *least_ms = config->retransmit_ms / 4;
    if (bytes.data[0] == BFT_FETCH)
        return ANSWER_BODIES;
    if (bytes.data[0] == BFT_ASK)
        return ANSWER_RECALL;
    if (bytes.data[0] != BFT_STATUS || bft_status_decode(&status, config, bytes) != ORD_OK)
        return ANSWER_KINDS;
    bool news = status.view < after->view || (status.view == after->view && bft_mood_changing(status.mood));
    *least_ms = news ? 2 * (uint64_t) config->retransmit_ms : config->retransmit_ms / 2;
    return news ? ANSWER_NEWS : ANSWER_VOTES;
}

/* The author of the VIEW-CHANGE in the message; empty: it has none. */
static ord_replica_set change_in(const struct sim_told *told, const struct ord_effect *effect) {
    struct bft_view_change change;
    const struct ord_span bytes = effect->send.body.size > 0 ? effect->send.body : effect->send.bytes;
    bool has = bytes.data[0] == BFT_VIEW_CHANGE &&
               bft_view_change_decode(&change, &told->process->core_config, bytes) == ORD_OK;
    return has ? ord_replica_bit(change.sender) : 0;
}

/* Whether the primary gives `to` nothing but VIEW-CHANGEs under its view for the first time. */
static bool gives_first(struct sim_told *told, const struct ord_status *after, ord_node_id to,
                        ord_replica_set changes) {
    if (after->changing)
        return false;
    if (told->given_view != after->view)
        memset(told->given, 0, sizeof(told->given));
    told->given_view = after->view;
    bool first = changes != 0 && (changes & told->given[to]) == 0;
    told->given[to] |= changes;
    return first && primary_of(told, after->view) == told->replica->id;
}

static void check_answer(struct sim_told *told, const struct ord_event *event, const struct ord_status *after,
                         const struct ord_effects *effects) {
    ord_node_id from = event->message->from;
    uint64_t least_ms;
    bool answers = false;
    ord_replica_set changes = 0;
    enum answer kind =
        event->message->bytes.size == 0 ? ANSWER_KINDS : answer_to(told, &least_ms, after, event->message->bytes);
    if (kind == ANSWER_KINDS)
        return;
    for (size_t i = 0; i < effects->count; i++) {
        const struct ord_effect *effect = &effects->items[i];
        if (effect->type != ORD_EFFECT_SEND || effect->send.to != ord_replica_bit(from) ||
            effect->send.bytes.size == 0 || effect->send.bytes.data[0] == BFT_STATUS)
            continue;
        answers = true;
        changes |= change_in(told, effect);
        check_votes_again(told, effect, event->now_ms, false);
    }
    if (!answers)
        return;
    uint64_t *last_ms = &told->answered_ms[kind][from];
    bool first = kind == ANSWER_NEWS && gives_first(told, after, from, changes);
    if (!first && *last_ms != 0 && event->now_ms + 1 < *last_ms + least_ms)
        sim_blame(told->replica, "answers", "gives replica %u %s again after %lu ms", from, answer_names[kind],
                  (unsigned long) (event->now_ms + 1 - *last_ms));
    *last_ms = event->now_ms + 1;
}

static void note_sent(struct sim_told *told, const struct ord_event *event, const struct ord_effects *effects) {
    for (size_t i = 0; i < effects->count; i++) {
        const struct ord_effect *effect = &effects->items[i];
        if (effect->type == ORD_EFFECT_SEND && effect->send.bytes.size > 0 &&
            (effect->send.bytes.data[0] == BFT_PREPARE || effect->send.bytes.data[0] == BFT_COMMIT))
            check_votes_again(told, effect, event->now_ms, true);
    }
}

/* ---- views ---- */

/* It has the NEW-VIEW of the view that it is changing to, and the primary is honest. */
static bool has_due(const struct sim_told *told, struct bft_new_view *due, uint64_t view) {
    return told->due != NULL &&
           bft_new_view_decode(due, &told->process->core_config, sim_buffer_span(told->due)) == ORD_OK &&
           due->view == view && (told->liars & ord_replica_bit(due->sender)) == 0;
}

/* It has everything that the NEW-VIEW names. */
static bool is_complete(const struct sim_told *told, const struct bft_new_view *due) {
    for (uint32_t i = 0; i < due->change_count; i++) {
        ord_node_id sender;
        struct ord_hash digest;
        bft_new_view_change(&sender, &digest, due, i);
        const struct newest *newest = &told->changes[sender];
        bool here = sender == told->replica->id ||
                    (newest->view == due->view && ord_hash_equal(&newest->digest, &digest)) ||
                    (told->named & ord_replica_bit(sender)) != 0;
        if (!here)
            return false;
    }
    return true;
}

static void check_flushed(struct sim_told *told, const struct ord_status *before, const struct ord_status *after) {
    bool stays = before->view == after->view && speaks(before) && speaks(after);
    struct bft_new_view due;
    if (stays && before->changing && after->changing && !told->replica->forgetful && has_due(told, &due, after->view)) {
        if (is_complete(told, &due))
            sim_blame(told->replica, "view", "does not install view %lu, of which it has everything",
                      (unsigned long) after->view);
        else if (told->asked_view != after->view)
            sim_blame(told->replica, "view", "does not ask the primary of view %lu for what its NEW-VIEW names",
                      (unsigned long) after->view);
    }
    if (stays && !after->changing && told->leaves == after->view + 1)
        sim_blame(told->replica, "evidence", "stays in view %lu, whose primary it has convicted",
                  (unsigned long) after->view);
}

/*
 * The replica left the view of `before`: notes whether it failed. `changed`: the replica made a VIEW-CHANGE.
 * `scheduled`: it did so because the view ended on schedule.
 */
static void note_left(struct sim_told *told, const struct ord_status *before, uint64_t now_ms, bool changed,
                      bool scheduled) {
    const uint64_t view = before->view;
    const bool began = !before->changing;
    const uint64_t led_ms = began ? now_ms - told->since_ms : 0;
    const uint32_t count = told->process->world->replica_count;
    const ord_node_id primary = primary_of(told, view);
    uint32_t suspects = 0;
    for (ord_node_id node = 0; node < count; node++)
        suspects += told->suspects[node] == view + 1;
    bool failed = changed && (told->has_reason || (!scheduled && suspects > ord_bft_faulty_max(count)));
    if (failed)
        told->failed[primary] = view + 1;
    const bool handed_over = told->hands_over[primary] == view + 1;
    if (failed && !handed_over)
        told->served &= ~ord_replica_bit(primary);
    else
        told->served |= ord_replica_bit(primary);
    /*
     * What others said may have changed since, so only its own suspicion surely ends what it measures, and one in a
     * view that never began ends nothing.
     */
    bool begins_anew = changed && began && told->has_reason && !handed_over;
    told->led_ms[primary] = begins_anew ? 0 : told->led_ms[primary] + led_ms;
}

/* Whether the primary is one of the f whose views failed last; those that served since then do not count. */
static bool failed_lately(const struct sim_told *told, ord_node_id primary) {
    const uint32_t count = told->process->world->replica_count;
    uint32_t later = 0;
    for (ord_node_id node = 0; node < count; node++)
        later += told->failed[node] > told->failed[primary] && (told->served & ord_replica_bit(node)) == 0;
    return told->failed[primary] != 0 && later < ord_bft_faulty_max(count);
}

static void check_patience(struct sim_told *told, const struct ord_status *after, uint64_t now_ms) {
    const struct bft_detail *detail = after->detail;
    const uint32_t part = failed_lately(told, primary_of(told, after->view)) ? 16 : 2;
    uint64_t patience_ms = told->process->world->plan.request_timeout_ms / part;
    bool began = detail->has_reason && !told->has_reason;
    if (detail->handing_over)
        told->hands_over[told->replica->id] = after->view + 1;
    bool handed_over = told->hands_over[primary_of(told, after->view)] == after->view + 1;
    told->has_reason = detail->has_reason;
    /*
     * While it changes views it gives up the view change. It measures a primary in one view after the other. A window
     * of batches that were of no use is reason enough.
     */
    uint64_t led_ms = now_ms - told->since_ms + told->led_ms[primary_of(told, after->view)];
    if (began && !after->changing && !handed_over && led_ms < patience_ms &&
        after->delivered_seq <= told->since_seq + told->window)
        sim_blame(told->replica, "patience", "suspects the primary of view %lu after %lu ms",
                  (unsigned long) after->view, (unsigned long) led_ms);
}

static bool is_scheduled(const struct ord_effects *effects) {
    bool scheduled = false;
    for (size_t i = 0; i < effects->count; i++)
        scheduled |= effects->items[i].type == ORD_EFFECT_LEADER && effects->items[i].leader.scheduled;
    return scheduled;
}

static void view_began(struct sim_told *told, const struct ord_status *after, uint64_t now_ms) {
    told->since_ms = now_ms;
    told->since_seq = after->delivered_seq;
    told->leaves = 0;
    sim_buffer_release(told->due);
    told->due = NULL;
    told->named = 0;
}

/* ---- the step, the start and the end ---- */

void sim_told_step(struct sim_told *told, const struct ord_event *event, const struct ord_status *before,
                   const struct ord_effects *effects) {
    if (told == NULL || told->process->world->failed)
        return;
    const struct ord_status *after = &told->process->observer.status;
    sim_leave_step(&told->leave, told->process, told->liars, event, before, effects);
    for (size_t i = 0; i < effects->count; i++)
        note_effect(told, &effects->items[i]);
    for (size_t i = 0; i < effects->count; i++)
        if (effects->items[i].type == ORD_EFFECT_EVIDENCE)
            check_passed(told, before, &effects->items[i]);
    if (event->type == ORD_EVENT_MESSAGE) {
        take(told, before, after, event->message->bytes);
        check_answer(told, event, after, effects);
    }
    if (!speaks(after))
        told->leaves = 0;
    if (event->type == ORD_EVENT_FLUSH) {
        check_flushed(told, before, after);
        note_sent(told, event, effects);
    }
    bool gave_place = told->hands_over[primary_of(told, before->view)] == before->view + 1;
    /* A primary may give place just when its view ends on schedule. By itself that leads to the next view only. */
    bool rotated = !gave_place || after->view > before->view + 1;
    if (after->view > before->view && is_scheduled(effects) && rotated)
        sim_turns_rotated(told->replica, before->view, after->view, after->delivered_seq);
    if (event->type == ORD_EVENT_FLUSH && after->view > before->view && speaks(before))
        note_left(told, before, event->now_ms, after->changing, is_scheduled(effects));
    if (event->type == ORD_EVENT_START || before->view != after->view || before->changing != after->changing ||
        speaks(before) != speaks(after))
        view_began(told, after, event->now_ms);
    check_patience(told, after, event->now_ms);
}

void sim_told_rest(const struct sim_told *told) {
    char name[SIM_NAME_SIZE];
    if (told == NULL)
        return;
    for (ord_node_id culprit = 0; culprit < told->process->world->replica_count; culprit++) {
        sim_evidence_name(name, culprit, 0);
        if ((told->accused & ord_replica_bit(culprit)) != 0 && sim_disk_meta(&told->replica->disk, name).size == 0)
            sim_blame(told->replica, "evidence", "has none on disk against replica %u at the end", culprit);
    }
}

struct sim_told *sim_told_create(struct sim_process *process) {
    const struct sim_world *world = process->world;
    if (process->replica->liar || !sim_is_pbft(world))
        return NULL;
    struct sim_told *told = sim_alloc(sizeof(*told));
    told->process = process;
    told->replica = process->replica;
    told->window = world->config->window;
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->replicas[i].liar)
            told->liars |= ord_replica_bit(world->replicas[i].id);
    return told;
}

void sim_told_destroy(struct sim_told *told) {
    if (told == NULL)
        return;
    sim_map_deinit(&told->first);
    sim_map_deinit(&told->sent);
    sim_buffer_release(told->due);
    free(told);
}
