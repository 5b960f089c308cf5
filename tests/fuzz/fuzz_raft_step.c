/*
 * A Raft core whose peers say whatever the input makes them say. Messages, proposals, certificates, state transfers,
 * ticks, commits of turns, crashes and restarts come in any order. Most messages nearly fit the state of the core; some
 * are nonsense. Checked, beside the core's own assertions (docs/raft.md, "Invariants"):
 * - the term never falls, in memory or on disk, and no message leaves in a term that is not on disk;
 * - what is delivered comes in order, stays in the log as it was until the log is cut, and is never cut away;
 * - one vote in a term, its own candidacies included, and one lead in a term, over all restarts;
 * - an acknowledgement leaves when the disk holds what it acknowledges;
 * - an event that is refused changes nothing; messages of one event are bounded, and every one passes the door;
 * - a restart takes the records.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "tests/support/raft_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT_COUNT = 4096, SAID_MAX = 1024 };

struct input {
    const uint8_t *data;
    size_t size;
};

/* What was delivered at a seq. */
struct kept {
    uint64_t seq;
    uint64_t term;
    uint64_t sum;
};

struct said {
    uint64_t term;
    ord_node_id vote;
};

static struct raft_net net;
static struct raft_options options;
/* What is known of replica 0, over its restarts. */
static struct {
    struct kept kept[KEPT_COUNT]; /* seq s at s % KEPT_COUNT */
    struct said said[SAID_MAX];
    size_t said_count;
    uint64_t led_term;
    uint64_t disk_term;
    uint64_t term; /* of this life, as are the two below */
    uint64_t commit_seq;
    uint64_t decided_seq;
    bool cut; /* entries were cut, and that is not durable yet; they may have been acknowledged, for leaders lie here */
} known;

static uint8_t next(struct input *input) {
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static struct ord_core *core(void) {
    return net.nodes[0].core;
}

static uint64_t sum_of(struct ord_span bytes) {
    uint64_t sum = 14695981039346656037U;
    for (size_t i = 0; i < bytes.size; i++)
        sum = (sum ^ bytes.data[i]) * 1099511628211U;
    return sum;
}

static void on_effect(ord_node_id node, const struct ord_effect *effect) {
    if (node != 0)
        return;
    if (effect->type == ORD_EFFECT_DELIVER)
        known.kept[effect->deliver.seq % KEPT_COUNT] = (struct kept) {
            .seq = effect->deliver.seq, .term = effect->deliver.term, .sum = sum_of(effect->deliver.batch)};
    known.cut = known.cut || effect->type == ORD_EFFECT_FORGET_AFTER;
    if (effect->type == ORD_EFFECT_LEADER && effect->leader.leader == 0) {
        ORD_ASSERT(effect->leader.view > known.led_term);
        known.led_term = effect->leader.view;
    }
}

/* This replica's vote in `term`, its own candidacy included. */
static void say_vote(uint64_t term, ord_node_id vote) {
    for (size_t i = 0; i < known.said_count; i++)
        if (known.said[i].term == term) {
            ORD_ASSERT(known.said[i].vote == vote);
            return;
        }
    if (known.said_count < SAID_MAX)
        known.said[known.said_count++] = (struct said) {.term = term, .vote = vote};
}

static bool voted_for_itself(uint64_t term) {
    for (size_t i = 0; i < known.said_count; i++)
        if (known.said[i].term == term)
            return known.said[i].vote == 0;
    return known.said_count == SAID_MAX;
}

/* The end of the log on disk. */
static uint64_t disk_last_seq(void) {
    const struct raft_ops *records = &net.nodes[0].disk.records;
    uint64_t last_seq = 0;
    for (size_t i = 0; i < records->count; i++) {
        const struct raft_op *record = &records->items[i];
        uint64_t seq = record->table == RAFT_TABLE_LOG     ? record->key
                       : record->table == RAFT_TABLE_POINT ? ord_load_u64(record->data + 8)
                                                           : 0;
        last_seq = ord_max(last_seq, seq);
    }
    return last_seq;
}

static void check_disk_term(void) {
    const struct raft_ops *records = &net.nodes[0].disk.records;
    for (size_t i = 0; i < records->count; i++)
        if (records->items[i].table == RAFT_TABLE_HARD) {
            uint64_t term = ord_load_u64(records->items[i].data + 8);
            ORD_ASSERT(term >= known.disk_term);
            known.disk_term = term;
        }
}

static void check_letter(const struct raft_letter *letter) {
    const struct ord_span bytes = ord_span_of(letter->data, letter->size);
    struct ord_verified verified;
    struct raft_message message;
    if (letter->from != 0 || ord_load_u64(letter->data + 17) > RAFT_NUMBER_MAX)
        return; /* nothing can be said beyond the highest term */
    ORD_ASSERT(raft_authenticate(&verified, &net.nodes[letter->to].config, 0, bytes) == ORD_OK);
    ORD_ASSERT(raft_message_decode(&message, &net.nodes[letter->to].config, bytes) == ORD_OK);
    ORD_ASSERT(message.term <= known.disk_term || (message.type == RAFT_VOTE_REQUEST && message.pre));
    if (message.type == RAFT_VOTE_REQUEST && !message.pre)
        say_vote(message.term, 0);
    if (message.type == RAFT_VOTE_ANSWER && !message.pre && message.granted)
        say_vote(message.asked_term, letter->to);
    if (message.type == RAFT_APPEND || message.type == RAFT_SNAPSHOT || message.type == RAFT_TIMEOUT_NOW)
        ORD_ASSERT(voted_for_itself(message.term));
    if (message.type == RAFT_APPEND_ANSWER && !message.rejected && !known.cut)
        ORD_ASSERT(message.seq <= disk_last_seq());
}

static void check_letters(void) {
    check_disk_term();
    for (size_t i = 0; i < net.letter_count; i++) {
        check_letter(&net.letters[i]);
        free(net.letters[i].data);
    }
    net.letter_count = 0;
}

static void check_core(void) {
    const struct ord_core *at = core();
    const struct raft_log *log = &at->log;
    ORD_ASSERT(at->hard.term >= known.term && at->hard.term >= known.disk_term);
    ORD_ASSERT(at->commit_seq >= known.commit_seq && (at->halted || at->decided_seq >= known.decided_seq));
    ORD_ASSERT(log->base_seq <= at->commit_seq && at->decided_seq <= log->last_seq);
    ORD_ASSERT(at->stable.seq <= at->commit_seq && raft_log_last_term(log) <= at->hard.term);
    ORD_ASSERT(log->kept_seq <= log->durable_seq && log->bytes <= log->bytes_max);
    known.term = at->hard.term;
    known.commit_seq = at->commit_seq;
    known.decided_seq = at->decided_seq;
    for (uint64_t seq = log->base_seq + 1; seq <= at->commit_seq; seq++) {
        const struct kept *kept = &known.kept[seq % KEPT_COUNT];
        ORD_ASSERT(kept->seq == seq && kept->term == raft_log_term(log, seq));
        ORD_ASSERT(kept->sum == sum_of(raft_log_batch(log, seq)));
    }
    for (uint64_t seq = log->base_seq + 1; seq <= log->last_seq; seq++)
        ORD_ASSERT(raft_log_term(log, seq) >= raft_log_term(log, seq - 1));
}

/* Steps an event; one that is refused must change nothing. */
static enum ord_err step(struct ord_event *event) {
    const struct ord_core before = *core();
    const size_t letters = net.letter_count;
    const size_t most = net.count * (options.in_flight_max + 4) + 8;
    enum ord_err err =
        event->type == ORD_EVENT_SYNCED ? raft_net_synced(&net, 0, event) : raft_net_event(&net, 0, event);
    if (err != ORD_OK) {
        const struct ord_core *after = core();
        ORD_ASSERT(after->turn == before.turn && after->now_ms == before.now_ms && after->role == before.role);
        ORD_ASSERT(memcmp(&after->hard, &before.hard, sizeof(before.hard)) == 0);
        ORD_ASSERT(memcmp(&after->log, &before.log, sizeof(before.log)) == 0);
        ORD_ASSERT(after->commit_seq == before.commit_seq && after->decided_seq == before.decided_seq);
        ORD_ASSERT(after->stable.seq == before.stable.seq && after->attested.seq == before.attested.seq);
        ORD_ASSERT(after->cut_wanted == before.cut_wanted && after->random == before.random);
    }
    ORD_ASSERT(net.letter_count - letters <= 2 * most); /* a FLUSH may have followed */
    return err;
}

static uint64_t pick_term(struct input *input) {
    const uint64_t term = core()->hard.term;
    uint8_t which = next(input);
    if (which == 255)
        return RAFT_NUMBER_MAX;
    switch (which % 16) {
    case 10:
    case 11:
        return term + 1;
    case 12:
        return term + 2 + which / 16;
    case 13:
        return term > 0 ? term - 1 : 0;
    case 14:
        return which / 16;
    default:
        return term;
    }
}

static uint64_t pick_seq(struct input *input) {
    const struct raft_log *log = &core()->log;
    uint8_t which = next(input);
    if (which == 255)
        return RAFT_NUMBER_MAX;
    switch (which % 8) {
    case 2:
        return core()->commit_seq;
    case 3:
        return log->base_seq;
    case 4:
        return log->last_seq > 0 ? log->last_seq - 1 : 0;
    case 5:
        return log->last_seq + 1;
    case 6:
        return core()->commit_seq + which / 8 % 16;
    case 7:
        return log->base_seq > 4 ? log->base_seq - 4 + which / 8 : which / 8;
    default:
        return log->last_seq;
    }
}

/* The term of the entry at a seq, or one near it. */
static uint64_t pick_term_at(struct input *input, uint64_t seq) {
    const struct raft_log *log = &core()->log;
    uint8_t which = next(input);
    uint64_t term = raft_log_last_term(log);
    if (seq >= log->base_seq && seq <= log->last_seq)
        term = raft_log_term(log, seq);
    if (which % 16 == 15)
        term = term + which / 16 - 4 > RAFT_NUMBER_MAX ? 1 : term + which / 16 - 4;
    return seq == 0 ? 0 : ord_max(term, 1);
}

/* A peer's life, or another one. */
static uint64_t pick_life(struct input *input, ord_node_id node) {
    uint8_t which = next(input);
    return which % 16 == 15 ? which : 100 + node;
}

static uint64_t own_life(struct input *input) {
    uint8_t which = next(input);
    return which % 16 == 15 ? which : core()->recovery.life;
}

/* An entry's batch follows from its place, unless its leader lies. */
static struct ord_span make_batch(uint8_t bytes[256], uint64_t seq, uint64_t term, uint8_t which) {
    uint64_t variant = which % 32 == 31 ? which : 0;
    uint64_t mixed = (seq * 31 + term * 17 + variant) * 0x9e3779b97f4a7c15U;
    size_t size = (size_t) (mixed >> 40) % 250;
    size = mixed >> 62 == 0 ? 0 : size < 8 ? 8 : size;
    memset(bytes, (int) (mixed >> 56), 256);
    ord_store_u64(bytes, mixed);
    return ord_span_of(bytes, size);
}

static void make_append(struct raft_message *message, struct input *input, uint8_t bytes[256]) {
    const struct raft_log *log = &core()->log;
    uint8_t which = next(input);
    message->seq_term = pick_term_at(input, message->seq);
    message->commit_seq = pick_seq(input);
    message->own_seq = which / 2 % 2 == 0 ? message->commit_seq : message->commit_seq / 2;
    message->has_entry = which % 2 == 0;
    if (!message->has_entry)
        return;
    uint64_t seq = message->seq + 1;
    message->entry_term = message->term;
    if (which / 4 % 4 == 0 && seq > log->base_seq && seq <= log->last_seq)
        message->entry_term = raft_log_term(log, seq);
    else if (which / 4 % 4 == 1)
        message->entry_term = ord_max(message->seq_term, 1);
    message->body = make_batch(bytes, seq, message->entry_term, next(input));
}

static void make_fields(struct raft_message *message, struct input *input) {
    uint8_t flags = next(input);
    switch (message->type) {
    case RAFT_VOTE_REQUEST:
        message->pre = flags % 2 == 1;
        message->transfer = flags / 2 % 4 == 1;
        message->seq_term = pick_term_at(input, message->seq);
        message->life = pick_life(input, message->sender);
        break;
    case RAFT_VOTE_ANSWER:
        message->seq = 0;
        message->pre = flags % 2 == 1;
        message->granted = flags / 2 % 8 != 0;
        message->asked_term = pick_term(input) + (message->pre ? 1 : 0);
        message->asked_life = own_life(input);
        message->life = pick_life(input, message->sender);
        break;
    case RAFT_APPEND_ANSWER:
        message->rejected = flags % 4 == 0;
        message->silent = flags / 4 % 8 == 0;
        message->life = pick_life(input, message->sender);
        if (message->rejected) {
            message->hint_seq = flags / 32 < message->seq ? message->seq - 1 - flags / 32 : 0;
            message->seq_term = pick_term_at(input, message->hint_seq);
        }
        break;
    case RAFT_RECALL:
        message->silent = flags % 4 == 0;
        message->empty = flags / 4 % 4 == 0;
        message->life = own_life(input);
        message->seq_term = pick_term_at(input, message->seq);
        message->granted_term = flags / 16 % 4 == 0 ? pick_term(input) : 0;
        message->stood_term = flags / 64 == 0 ? pick_term(input) : 0;
        message->acked_seq = flags / 64 == 1 ? pick_seq(input) : 0;
        message->acked_term = flags / 64 == 1 ? pick_term_at(input, message->acked_seq) : 0;
        break;
    case RAFT_ASK:
        message->seq = 0;
        message->life = pick_life(input, message->sender);
        break;
    case RAFT_SNAPSHOT:
        message->seq_term = pick_term_at(input, message->seq);
        break;
    case RAFT_TIMEOUT_NOW:
        message->seq = 0;
        break;
    case RAFT_APPEND:
        break;
    }
}

/* One message of a peer; some do not pass the door. */
static void receive(struct input *input, uint8_t op) {
    uint8_t bytes[512];
    uint8_t body[256];
    struct raft_message message = {.type = (enum raft_type)(1 + op % 8), .sender = op / 8 % net.count};
    if (message.type == RAFT_SNAPSHOT && op / 64 % 2 == 0)
        message.type = RAFT_APPEND; /* entries are what most of it is about */
    message.term = pick_term(input);
    message.seq = pick_seq(input);
    if (message.type == RAFT_APPEND)
        make_append(&message, input, body);
    else
        make_fields(&message, input);
    if (message.type == RAFT_SNAPSHOT) {
        ord_store_u64(body, message.seq);
        message.body = ord_span_of(body, RAFT_NET_POINT);
    }
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    raft_message_encode(&writer, &net.nodes[0].config, &message);
    ord_write_span(&writer, message.body);
    struct ord_verified verified;
    struct ord_event event = {.type = ORD_EVENT_MESSAGE, .message = &verified};
    if (raft_authenticate(&verified, &net.nodes[0].config, message.sender, ord_writer_span(&writer)) != ORD_OK) {
        verified = (struct ord_verified) {.from = message.sender, .bytes = ord_span_of(bytes, writer.size / 2)};
        ORD_ASSERT(step(&event) != ORD_OK); /* the core reads what comes again */
        return;
    }
    (void) raft_protocol.wants(core(), verified.bytes);
    ORD_ASSERT(step(&event) == ORD_OK);
}

static void sync(struct input *input) {
    uint8_t certificate[16];
    uint8_t which = next(input);
    uint64_t seq = which % 4 == 0 ? net.nodes[0].sync_seq : core()->commit_seq + which / 4 % 16;
    uint64_t stable_seq = which / 64 == 0 ? seq : which / 64 == 1 ? 0 : seq - ord_min(seq, which / 64);
    size_t size = stable_seq > 0 ? RAFT_NET_POINT : 0;
    struct ord_event event = {.type = ORD_EVENT_SYNCED,
                              .synced = {.seq = seq, .stable_seq = stable_seq, .term = pick_term_at(input, seq)}};
    uint8_t odd = next(input);
    if (odd % 8 == 7)
        event.synced.term = 0;
    if (odd % 32 == 1)
        size = 16 - size;
    ord_store_u64(certificate, stable_seq);
    event.synced.certificate = ord_span_of(certificate, size);
    (void) step(&event);
}

static void attest(struct input *input) {
    uint8_t certificate[RAFT_NET_POINT];
    uint64_t seq = pick_seq(input);
    uint8_t which = next(input);
    ord_store_u64(certificate, seq);
    struct ord_event event = {.type = ORD_EVENT_ATTESTED,
                              .attested = {.seq = seq,
                                           .certificate = ord_span_of(certificate, which == 255 ? 0 : RAFT_NET_POINT),
                                           .cut = which % 4 == 0}};
    ORD_ASSERT((step(&event) == ORD_OK) == (seq > 0 && which != 255));
}

/* Turns that are complete become durable, some or all of them. */
static void persist(struct input *input) {
    const struct raft_node *node = &net.nodes[0];
    uint8_t which = next(input);
    uint64_t last = node->turn - 1;
    if (node->staged.count > 0 && which % 2 == 0)
        last = ord_min(last, node->staged.items[0].turn + which / 2);
    raft_net_persist(&net, 0, last);
}

static void restart(bool lose) {
    raft_net_crash(&net, 0);
    known.term = known.commit_seq = known.decided_seq = 0;
    known.cut = false;
    if (lose) {
        /* Its peers owe it what it forgot, and they do not tell the truth. */
        raft_net_lose_disk(&net, 0);
        known.said_count = 0;
        known.led_term = known.disk_term = 0;
    }
    raft_net_start(&net, 0);
}

static void tell(enum ord_event_type type, bool available) {
    struct ord_event event = {.type = type, .storage = {.available = available}};
    ORD_ASSERT(step(&event) == ORD_OK);
}

static void one_event(struct input *input) {
    uint8_t op = next(input);
    uint8_t batch[300] = {0};
    struct ord_event event = {.type = ORD_EVENT_PROPOSE};
    net.holds_turn = next(input) % 4 == 3;
    switch (op % 32) {
    case 0:
    case 1:
        persist(input);
        break;
    case 2:
    case 3:
        net.now_ms += 4 * (uint64_t) next(input);
        tell(ORD_EVENT_TICK, false);
        break;
    case 4:
        ord_store_u64(batch, ++net.proposed);
        op = next(input);
        event.propose.batch = ord_span_of(batch, op < 8 ? (op % 2 == 0 ? 0 : 257) : op);
        ORD_ASSERT(step(&event) == ORD_OK);
        break;
    case 5:
        attest(input);
        break;
    case 6:
        sync(input);
        break;
    case 7:
        restart(op == 7);
        break;
    case 8:
        tell(op < 128 ? ORD_EVENT_HAND_OVER : ORD_EVENT_STORAGE, op > 170);
        break;
    case 9:
        raft_limit(core(), op < 64 ? core()->log.last_seq + op / 32 : UINT64_MAX);
        break;
    case 10:
        tell(op < 128 ? ORD_EVENT_WORK : ORD_EVENT_JUDGED, false);
        break;
    default:
        receive(input, next(input));
        break;
    }
    check_letters();
    known.cut = known.cut && net.nodes[0].staged.count > 0;
    check_core();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint32_t counts[] = {3, 3, 5, 2, 1, 3, 4, 5};
    struct input input = {.data = data, .size = size};
    uint8_t first = next(&input);
    options = raft_net_options();
    options.snapshot_bytes = first / 8 % 4 == 0 ? 0 : 64 * (first / 8 % 4);
    options.in_flight_max = 1 + first / 32;
    memset(&known, 0, sizeof(known));
    raft_net_open(&net, counts[first % 8], &options, next(&input));
    net.unchecked = true;
    net.on_effect = on_effect;
    for (ord_node_id node = 1; node < net.count; node++)
        raft_net_crash(&net, node);
    check_letters();
    while (input.size > 0 && core()->commit_seq < RAFT_NUMBER_MAX / 2)
        one_event(&input);
    raft_net_close(&net);
    return 0;
}
