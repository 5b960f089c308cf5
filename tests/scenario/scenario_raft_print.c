/*
 * Messages and effects of Raft, in the notation of the golden traces. SEQ@TERM is an entry; 0@0 is the begin of the
 * log. Lives are not shown: they are random.
 */
#include "tests/scenario/scenario_raft_print.h"

#include <inttypes.h>

#include "core/assert.h"
#include "raft/message.h"
#include "raft/raft.h"
#include "raft/record.h"

static FILE *out;

void scenario_raft_print_to(FILE *file) {
    out = file;
}

const char *scenario_raft_type_name(uint8_t type) {
    static const char *const names[] = {"?",        "VOTE_REQUEST", "VOTE_ANSWER", "APPEND", "APPEND_ANSWER",
                                        "SNAPSHOT", "TIMEOUT_NOW",  "ASK",         "RECALL"};
    return type < sizeof(names) / sizeof(names[0]) ? names[type] : names[0];
}

/* A batch is a word that is filled up with spaces. */
static void print_batch(struct ord_span batch) {
    size_t size = batch.size;
    while (size > 0 && batch.data[size - 1] == ' ')
        size--;
    if (size == 0)
        fprintf(out, "null batch");
    else
        fprintf(out, "\"%.*s\"", (int) size, (const char *) batch.data);
}

static void print_end(const char *what, uint64_t seq, uint64_t term) {
    fprintf(out, "%s%" PRIu64 "@%" PRIu64, what, seq, term);
}

static void print_append(const struct raft_message *append) {
    print_end(" after ", append->seq, append->seq_term);
    if (append->has_entry) {
        print_end(": ", append->seq + 1, append->entry_term);
        fputc(' ', out);
        print_batch(append->body);
    } else {
        fprintf(out, ": no entry");
    }
    fprintf(out, ", committed %" PRIu64, append->commit_seq);
    if (append->own_seq < append->commit_seq)
        fprintf(out, ", durable here %" PRIu64, append->own_seq);
}

static void print_append_answer(const struct raft_message *answer) {
    if (answer->rejected) {
        fprintf(out, ": %" PRIu64 " does not match", answer->seq);
        print_end(", try ", answer->hint_seq, answer->seq_term);
    } else {
        fprintf(out, ": equal up to %" PRIu64, answer->seq);
    }
    fprintf(out, "%s", answer->silent ? ", silent" : "");
}

static void print_recall(const struct raft_message *recall) {
    print_end(": my log ends at ", recall->seq, recall->seq_term);
    if (recall->granted_term > 0)
        fprintf(out, ", you elected me in %" PRIu64, recall->granted_term);
    if (recall->stood_term > 0)
        fprintf(out, ", you stood in %" PRIu64, recall->stood_term);
    if (recall->acked_seq > 0)
        print_end(", you held ", recall->acked_seq, recall->acked_term);
    fprintf(out, "%s%s", recall->silent ? ", silent" : "", recall->empty ? ", empty" : "");
}

void scenario_raft_print_message(const struct ord_core_config *config, struct ord_span bytes) {
    struct raft_message message;
    ORD_ASSERT(raft_message_decode(&message, config, bytes) == ORD_OK);
    const char *vote = message.pre ? "PreVote" : "vote";
    fprintf(out, "%s term %" PRIu64, scenario_raft_type_name((uint8_t) message.type), message.term);
    switch (message.type) {
    case RAFT_VOTE_REQUEST:
        fprintf(out, ": %s%s", vote, message.transfer ? ", as the leader asked" : "");
        print_end(", my log ends at ", message.seq, message.seq_term);
        break;
    case RAFT_VOTE_ANSWER:
        fprintf(out, ": %s of term %" PRIu64 " %s", vote, message.asked_term, message.granted ? "granted" : "refused");
        break;
    case RAFT_APPEND:
        print_append(&message);
        break;
    case RAFT_APPEND_ANSWER:
        print_append_answer(&message);
        break;
    case RAFT_SNAPSHOT:
        print_end(": point ", message.seq, message.seq_term);
        break;
    case RAFT_RECALL:
        print_recall(&message);
        break;
    case RAFT_TIMEOUT_NOW:
    case RAFT_ASK:
        break;
    }
}

static void print_hard(const struct ord_core_config *config, struct ord_span bytes) {
    struct raft_hard hard;
    ORD_ASSERT(raft_hard_decode(&hard, config->epoch, config->replica_count, bytes) == ORD_OK);
    fprintf(out, "term %" PRIu64, hard.term);
    if (hard.vote != ORD_NO_NODE)
        fprintf(out, ", vote for %u", hard.vote);
    if (hard.silent) {
        fprintf(out, ", silent until term %" PRIu64, hard.bound_term);
        print_end(" and ", hard.end_seq, hard.end_term);
    }
    fprintf(out, "%s%s", hard.spent ? ", no vote in it" : "", hard.halted ? ", halted" : "");
}

static void print_record(const struct ord_core_config *config, const struct ord_record *record) {
    uint64_t term;
    uint64_t seq;
    struct ord_span bytes;
    switch ((enum raft_table) record->table) {
    case RAFT_TABLE_LOG:
        ORD_ASSERT(raft_entry_decode(&term, &bytes, config->epoch, record->bytes) == ORD_OK);
        print_end("", record->key, term);
        fputc(' ', out);
        print_batch(bytes);
        break;
    case RAFT_TABLE_HARD:
        print_hard(config, record->bytes);
        break;
    case RAFT_TABLE_BINDINGS:
        fprintf(out, "bindings");
        break;
    case RAFT_TABLE_POINT:
        ORD_ASSERT(raft_point_decode(&seq, &term, &bytes, config->epoch, raft_options_of(config)->checkpoints.size_max,
                                     record->bytes) == ORD_OK);
        print_end("point ", seq, term);
        break;
    }
}

void scenario_raft_print_effect(const struct ord_core_config *config, const struct ord_effect *effect) {
    if (effect->type == ORD_EFFECT_SEND || effect->type == ORD_EFFECT_WAKE_AT)
        return;
    fprintf(out, "%u: ", config->self);
    switch (effect->type) {
    case ORD_EFFECT_PERSIST:
        fprintf(out, "PERSIST ");
        print_record(config, &effect->persist);
        break;
    case ORD_EFFECT_FORGET:
        fprintf(out, "FORGET entries up to %" PRIu64, effect->forget.key);
        break;
    case ORD_EFFECT_FORGET_AFTER:
        fprintf(out, "FORGET entries after %" PRIu64, effect->forget_after.key);
        break;
    case ORD_EFFECT_DELIVER:
        print_end("DELIVER ", effect->deliver.seq, effect->deliver.term);
        fputc(' ', out);
        print_batch(effect->deliver.batch);
        break;
    case ORD_EFFECT_SYNC:
        fprintf(out, "SYNC to %" PRIu64, effect->sync.seq);
        break;
    case ORD_EFFECT_LEADER:
        if (effect->leader.leader == ORD_NO_NODE)
            fprintf(out, "LEADER none");
        else
            fprintf(out, "LEADER %u", effect->leader.leader);
        fprintf(out, ", term %" PRIu64 "%s", effect->leader.view, effect->leader.scheduled ? ", scheduled" : "");
        break;
    case ORD_EFFECT_REJECT:
        fprintf(out, "REJECT %s", ord_err_name(effect->reject.err));
        break;
    case ORD_EFFECT_SEND:
    case ORD_EFFECT_WAKE_AT:
    case ORD_EFFECT_JUDGE: /* Raft has no use for these two */
    case ORD_EFFECT_EVIDENCE:
        ORD_ASSERT(false);
    }
    fputc('\n', out);
}
