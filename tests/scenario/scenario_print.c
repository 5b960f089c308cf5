/*
 * Messages and effects of PBFT, in the notation of the golden traces. SEQ:DIGEST@VIEW is a prepared certificate of a
 * view; "null" is the digest of the null batch.
 */
#include "tests/scenario/scenario_print.h"

#include <inttypes.h>

#include "core/assert.h"
#include "tests/support/bft_support.h"

static FILE *out;

void scenario_print_to(FILE *file) {
    out = file;
}

const char *scenario_type_name(uint8_t type) {
    static const char *const names[] = {"?",           "PRE-PREPARE", "PREPARE", "COMMIT", "STATUS",
                                        "VIEW-CHANGE", "NEW-VIEW",    "FETCH",   "BODY",   "RELAY",
                                        "WITNESS",     "EVIDENCE",    "ASK",     "RECALL"};
    return type < sizeof(names) / sizeof(names[0]) ? names[type] : names[0];
}

static void print_digest(const struct ord_hash *digest) {
    struct ord_hash null_digest;
    bft_body_digest(&null_digest, &test_crypto, ord_span_of(NULL, 0));
    if (ord_hash_equal(digest, &null_digest)) {
        fprintf(out, "null");
        return;
    }
    for (size_t i = 0; i < 4; i++)
        fprintf(out, "%02x", digest->bytes[i]);
}

static void print_set(ord_replica_set set) {
    for (ord_node_id node = 0; node < ORD_REPLICA_MAX; node++)
        if ((set & ord_replica_bit(node)) != 0)
            fprintf(out, "%s%u", (set & (ord_replica_bit(node) - 1)) != 0 ? "," : "", node);
}

static void print_text(struct ord_span text) {
    fprintf(out, "\"%.*s\"", (int) text.size, (const char *) text.data);
}

static void print_entry(uint64_t seq, const struct ord_hash *digest) {
    fprintf(out, " %" PRIu64 ":", seq);
    print_digest(digest);
}

static void print_list(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_vote_list list;
    ORD_ASSERT(bft_vote_list_decode(&list, config, bytes) == ORD_OK);
    fprintf(out, " view=%" PRIu64, list.view);
    for (uint32_t i = 0; i < list.count; i++)
        print_entry(list.votes[i].seq, &list.votes[i].digest);
}

static void print_view_change(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_view_change change;
    struct bft_statement statement;
    struct ord_span certificate;
    ORD_ASSERT(bft_view_change_verify(&change, config, bytes) == ORD_OK);
    fprintf(out, " of %u view=%" PRIu64 " stable=%" PRIu64, change.sender, change.view, change.stable_seq);
    while (bft_view_change_next(&statement, &certificate, &change.certificates, config)) {
        print_entry(statement.seq, &statement.digest);
        fprintf(out, "@%" PRIu64, statement.view);
    }
}

static void print_new_view(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_new_view view;
    struct ord_hash digest;
    ord_replica_set senders = 0;
    ORD_ASSERT(bft_new_view_verify(&view, config, bytes) == ORD_OK);
    for (uint32_t i = 0; i < view.change_count; i++) {
        ord_node_id sender;
        bft_new_view_change(&sender, &digest, &view, i);
        senders |= ord_replica_bit(sender);
    }
    fprintf(out, " of %u view=%" PRIu64 " on ", view.sender, view.view);
    print_set(senders);
    fprintf(out, " base=%" PRIu64, view.base_seq);
    for (uint64_t seq = view.base_seq + 1; seq <= view.base_seq + view.count; seq++) {
        bft_new_view_entry(&digest, &view, seq);
        print_entry(seq, &digest);
    }
}

static const char *mood_name(enum bft_mood mood) {
    return mood == BFT_CHANGING     ? " changing"
           : mood == BFT_SUSPECTS   ? " suspects"
           : mood == BFT_SILENT     ? " silent"
           : mood == BFT_HANDS_OVER ? " hands over"
           : mood == BFT_GIVES_UP   ? " gives up"
                                    : "";
}

static void print_status(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_status status;
    ORD_ASSERT(bft_status_decode(&status, config, bytes) == ORD_OK);
    fprintf(out, " view=%" PRIu64 "%s delivered=%" PRIu64 " stable=%" PRIu64 " held=", status.view,
            mood_name(status.mood), status.delivered_seq, status.stable_seq);
    for (uint32_t i = 0; i < config->window; i++)
        fputc('0' + (status.held[i / 8] >> i % 8 & 1), out);
    if (status.changes != 0) {
        fprintf(out, " changes=");
        print_set(status.changes);
    }
}

/* Prints a statement that stands alone. */
static void print_statement(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_statement statement;
    ORD_ASSERT(bft_signed_verify(&statement, config, bytes) == ORD_OK);
    fprintf(out, " %s of %u view=%" PRIu64, scenario_type_name((uint8_t) statement.type), statement.sender,
            statement.view);
    print_entry(statement.seq, &statement.digest);
}

static void print_ask(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_ask ask;
    ORD_ASSERT(bft_ask_decode(&ask, config, bytes) == ORD_OK);
    fprintf(out, " view=%" PRIu64 "%s stable=%" PRIu64 " words=", ask.view, ask.changing ? " changing" : "",
            ask.stable_seq);
    for (uint32_t i = 0; i < config->window; i++)
        fputc('0' + (ask.words[i / 8] >> i % 8 & 1), out);
}

static void print_recall(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_recall recall;
    ORD_ASSERT(bft_recall_decode(&recall, config, bytes) == ORD_OK);
    fprintf(out, " stable=%" PRIu64 " reach=%" PRIu64, recall.stable_seq, recall.reach_seq);
    if (recall.statement.size > 0) {
        fprintf(out, " and");
        print_statement(config, recall.statement);
    }
    struct ord_span certificate;
    while (bft_recall_next(&certificate, &recall.certificates, config)) {
        struct bft_statement statement;
        ORD_ASSERT(bft_certificate_decode(&statement, config, certificate) == ORD_OK);
        fprintf(out, " certificate");
        print_entry(statement.seq, &statement.digest);
    }
}

void scenario_print_message(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_pre_prepare pre_prepare;
    struct bft_body_message body;
    struct ord_span first;
    struct ord_span second;
    fprintf(out, "%s", scenario_type_name(bytes.data[0]));
    if (bytes.data[0] == BFT_RELAY) {
        bytes = ord_span_of(bytes.data + BFT_RELAY_SIZE, bytes.size - BFT_RELAY_SIZE);
        fprintf(out, " %s", scenario_type_name(bytes.data[0]));
    }
    switch (bytes.data[0]) {
    case BFT_PRE_PREPARE:
        ORD_ASSERT(bft_pre_prepare_decode(&pre_prepare, config, bytes) == ORD_OK);
        fprintf(out, " view=%" PRIu64, pre_prepare.view);
        print_entry(pre_prepare.seq, &pre_prepare.digest);
        fputc(' ', out);
        print_text(pre_prepare.body);
        break;
    case BFT_PREPARE:
    case BFT_COMMIT:
    case BFT_FETCH:
        print_list(config, bytes);
        break;
    case BFT_VIEW_CHANGE:
        print_view_change(config, bytes);
        break;
    case BFT_NEW_VIEW:
        print_new_view(config, bytes);
        break;
    case BFT_BODY:
        ORD_ASSERT(bft_body_decode(&body, config, bytes) == ORD_OK);
        fprintf(out, " %" PRIu64 " ", body.seq);
        print_text(body.body);
        break;
    case BFT_WITNESS:
        print_statement(config, bft_behind_header(bytes));
        break;
    case BFT_ASK:
        print_ask(config, bytes);
        break;
    case BFT_RECALL:
        print_recall(config, bytes);
        break;
    case BFT_EVIDENCE:
        ORD_ASSERT(bft_evidence_split(bytes, &first, &second) == ORD_OK);
        print_statement(config, first);
        fprintf(out, " and");
        print_statement(config, second);
        break;
    default:
        print_status(config, bytes);
    }
}

/* Joins head and body as the node would, and prints the message. */
static void print_send(const struct ord_core_config *config, struct ord_span head, struct ord_span body) {
    uint8_t *bytes = malloc(head.size + body.size);
    ORD_ASSERT(bytes != NULL);
    memcpy(bytes, head.data, head.size);
    if (body.size > 0)
        memcpy(bytes + head.size, body.data, body.size);
    scenario_print_message(config, ord_span_of(bytes, head.size + body.size));
    free(bytes);
}

const char *scenario_table_name(uint8_t table) {
    static const char *const names[] = {"?", "log", "certificate", "checkpoint", "view-change", "new-view", "silence"};
    return table < sizeof(names) / sizeof(names[0]) ? names[table] : names[0];
}

static void print_evidence(const struct ord_core_config *config, const struct ord_effect *effect) {
    fprintf(out, "EVIDENCE against %u:", effect->evidence.culprit);
    print_statement(config, effect->evidence.first);
    fprintf(out, " and");
    print_statement(config, effect->evidence.second);
}

void scenario_print_effect(const struct ord_core_config *config, const struct ord_effect *effect) {
    fprintf(out, "%u: ", config->self);
    switch (effect->type) {
    case ORD_EFFECT_PERSIST:
        fprintf(out, "PERSIST %s %" PRIu64 " (%zu bytes)", scenario_table_name(effect->persist.table),
                effect->persist.key, effect->persist.bytes.size);
        break;
    case ORD_EFFECT_FORGET:
        fprintf(out, "FORGET %s up to %" PRIu64, scenario_table_name(effect->forget.table), effect->forget.key);
        break;
    case ORD_EFFECT_FORGET_AFTER: /* PBFT has no use for it */
        fprintf(out, "FORGET AFTER");
        break;
    case ORD_EFFECT_SEND:
        fprintf(out, "SEND to ");
        print_set(effect->send.to);
        fprintf(out, "%s: ", effect->send.after_persist ? " once durable" : "");
        print_send(config, effect->send.bytes, effect->send.body);
        break;
    case ORD_EFFECT_JUDGE:
        fprintf(out, "JUDGE view=%" PRIu64 " %" PRIu64 ":", effect->judge.view, effect->judge.seq);
        print_digest(&effect->judge.digest);
        fputc(' ', out);
        print_text(effect->judge.batch);
        break;
    case ORD_EFFECT_DELIVER:
        fprintf(out, "DELIVER %" PRIu64 " ", effect->deliver.seq);
        print_text(effect->deliver.batch);
        break;
    case ORD_EFFECT_WAKE_AT:
        fprintf(out, "WAKE_AT %" PRIu64, effect->wake.at_ms);
        break;
    case ORD_EFFECT_SYNC:
        fprintf(out, "SYNC to %" PRIu64, effect->sync.seq);
        break;
    case ORD_EFFECT_LEADER:
        if (effect->leader.leader == ORD_NO_NODE)
            fprintf(out, "LEADER none view=%" PRIu64, effect->leader.view);
        else
            fprintf(out, "LEADER %u view=%" PRIu64, effect->leader.leader, effect->leader.view);
        break;
    case ORD_EFFECT_REJECT:
        fprintf(out, "REJECT %s", ord_err_name(effect->reject.err));
        break;
    case ORD_EFFECT_EVIDENCE:
        print_evidence(config, effect);
        break;
    }
    fputc('\n', out);
}
