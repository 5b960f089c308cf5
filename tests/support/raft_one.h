/* One Raft core, replica 0, of three unless a test says otherwise. The test writes what the others send by hand. */
#ifndef ORDAIN_TESTS_RAFT_ONE_H
#define ORDAIN_TESTS_RAFT_ONE_H

#include <stdlib.h>

#include "tests/support/raft_net.h"
#include "tests/support/test_main.h"

static struct raft_options options;

/* The turn is not durable yet. */
static inline void take(struct raft_net *net, struct raft_message message) {
    uint8_t bytes[512];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    raft_message_encode(&writer, &net->nodes[0].config, &message);
    ord_write_span(&writer, message.body);
    assert_ok(ord_writer_finish(&writer));
    struct ord_verified verified;
    assert_ok(raft_authenticate(&verified, &net->nodes[0].config, message.sender, ord_writer_span(&writer)));
    struct ord_event event = {.type = ORD_EVENT_MESSAGE, .message = &verified};
    assert_ok(raft_net_event(net, 0, &event));
}

/* All turns so far become durable. */
static inline void persist(struct raft_net *net) {
    raft_net_persist(net, 0, net->nodes[0].turn - 1);
}

static inline void receive(struct raft_net *net, struct raft_message message) {
    take(net, message);
    persist(net);
}

static inline void tick(struct raft_net *net, uint64_t ms) {
    net->now_ms += ms;
    struct ord_event event = {.type = ORD_EVENT_TICK};
    assert_ok(raft_net_event(net, 0, &event));
}

static inline struct raft_message recall(const struct raft_net *net, ord_node_id from, uint64_t term) {
    return (struct raft_message) {
        .type = RAFT_RECALL, .sender = from, .term = term, .life = net->nodes[0].core->recovery.life};
}

/* Replica 0 has begun, alone, and asks. */
static inline struct raft_net *open_asking_among(uint32_t count) {
    struct raft_net *net = malloc(sizeof(*net));
    assert_non_null(net);
    options = raft_net_options();
    raft_net_open(net, count, &options, 5);
    for (ord_node_id from = 1; from < count; from++)
        raft_net_crash(net, from);
    return net;
}

static inline struct raft_net *open_asking(void) {
    return open_asking_among(3);
}

/* It has been told by all others that the channel is new. */
static inline struct raft_net *open_among(uint32_t count) {
    struct raft_net *net = open_asking_among(count);
    for (ord_node_id from = 1; from < count; from++) {
        struct raft_message answer = recall(net, from, 0);
        answer.silent = true;
        answer.empty = true;
        receive(net, answer);
    }
    assert_true(raft_speaks(net->nodes[0].core));
    return net;
}

static inline struct raft_net *open_one(void) {
    return open_among(3);
}

static inline void close_one(struct raft_net *net) {
    raft_net_close(net);
    free(net);
}

static inline struct ord_core *core_of(const struct raft_net *net) {
    return net->nodes[0].core;
}

static inline const struct raft_log *log_of(const struct raft_net *net) {
    return &core_of(net)->log;
}

static inline uint64_t committed(const struct raft_net *net) {
    return raft_net_status(net, 0).delivered_seq;
}

/* An APPEND; entry_term 0: without an entry. */
static inline struct raft_message append_of(ord_node_id from, uint64_t term, uint64_t seq, uint64_t seq_term,
                                            uint64_t entry_term, uint64_t commit_seq) {
    static const uint8_t batch[8];
    return (struct raft_message) {.type = RAFT_APPEND,
                                  .sender = from,
                                  .term = term,
                                  .seq = seq,
                                  .seq_term = seq_term,
                                  .commit_seq = commit_seq,
                                  .has_entry = entry_term != 0,
                                  .entry_term = entry_term,
                                  .body = ord_span_of(batch, entry_term != 0 ? sizeof(batch) : 0)};
}

static inline void append(struct raft_net *net, ord_node_id from, uint64_t term, uint64_t seq, uint64_t seq_term,
                          uint64_t entry_term, uint64_t commit_seq) {
    receive(net, append_of(from, term, seq, seq_term, entry_term, commit_seq));
}

/* Replica 1 leads term 1, and has sent entries up to `last_seq`, of which `commit_seq` are committed. */
static inline void append_up_to(struct raft_net *net, uint64_t last_seq, uint64_t commit_seq) {
    for (uint64_t seq = log_of(net)->last_seq; seq < last_seq; seq++)
        append(net, 1, 1, seq, seq == 0 ? 0 : 1, 1, ord_min(seq, commit_seq));
    if (commit_seq == last_seq)
        append(net, 1, 1, last_seq, 1, 0, commit_seq);
}

/* What a replica answers to a request of the present candidacy. */
static inline struct raft_message vote_from(const struct raft_net *net, ord_node_id from, bool pre) {
    uint64_t term = core_of(net)->hard.term;
    return (struct raft_message) {.type = RAFT_VOTE_ANSWER,
                                  .sender = from,
                                  .term = term,
                                  .pre = pre,
                                  .granted = true,
                                  .asked_term = term + (pre ? 1 : 0),
                                  .asked_life = core_of(net)->recovery.life,
                                  .life = 12};
}

static inline struct raft_message vote_of(const struct raft_net *net, bool pre) {
    return vote_from(net, 2, pre);
}

/* Replica 0 stands for the next term; with `pre` it asks for PreVotes yet. */
static inline void stand(struct raft_net *net, bool pre) {
    tick(net, 1000);
    persist(net);
    if (!pre)
        receive(net, vote_of(net, true));
    assert_int_equal(core_of(net)->role, pre ? RAFT_PRE_CANDIDATE : RAFT_CANDIDATE);
}

/* Replica 0 leads the next term, by the vote of replica 2. */
static inline void lead(struct raft_net *net) {
    stand(net, false);
    receive(net, vote_of(net, false));
    assert_true(raft_net_status(net, 0).leading);
    persist(net);
}

/* Replica 0 leads, or it has the votes for it and the record of them is not durable yet. */
static inline void win(struct raft_net *net, bool leads) {
    if (leads) {
        lead(net);
        return;
    }
    stand(net, false);
    take(net, vote_of(net, false));
    assert_int_equal(core_of(net)->role, RAFT_ELECTED);
}

static inline void acknowledge_of(struct raft_net *net, ord_node_id from, uint64_t term, uint64_t seq, bool silent) {
    receive(net,
            (struct raft_message) {
                .type = RAFT_APPEND_ANSWER, .sender = from, .term = term, .seq = seq, .silent = silent, .life = 12});
}

static inline void acknowledge(struct raft_net *net, uint64_t term, uint64_t seq, bool silent) {
    acknowledge_of(net, 2, term, seq, silent);
}

/* Does replica 0 vote for replica 2? */
static inline bool grants(struct raft_net *net, uint64_t term, uint64_t seq, uint64_t seq_term) {
    receive(net, (struct raft_message) {.type = RAFT_VOTE_REQUEST,
                                        .sender = 2,
                                        .term = term,
                                        .transfer = true,
                                        .seq = seq,
                                        .seq_term = seq_term,
                                        .life = 12});
    return core_of(net)->hard.term == term && core_of(net)->hard.vote == 2;
}

/* SYNCED; the certificate has RAFT_NET_POINT bytes if there is a stable seq. */
static inline enum ord_err synced(struct raft_net *net, uint64_t seq, uint64_t term, uint64_t stable_seq) {
    uint8_t certificate[RAFT_NET_POINT];
    ord_store_u64(certificate, stable_seq);
    struct ord_event event = {.type = ORD_EVENT_SYNCED,
                              .synced = {.seq = seq,
                                         .term = term,
                                         .stable_seq = stable_seq,
                                         .certificate = ord_span_of(certificate, stable_seq > 0 ? RAFT_NET_POINT : 0)}};
    enum ord_err err = raft_net_synced(net, 0, &event);
    if (err == ORD_OK)
        net->committed = ord_max(net->committed, seq);
    return err;
}

static inline void install(struct raft_net *net, uint64_t seq, uint64_t term) {
    assert_ok(synced(net, seq, term, seq));
    persist(net);
}

static inline void attested(struct raft_net *net, uint64_t seq, bool cut) {
    uint8_t certificate[RAFT_NET_POINT];
    ord_store_u64(certificate, seq);
    struct ord_event event = {
        .type = ORD_EVENT_ATTESTED,
        .attested = {.seq = seq, .certificate = ord_span_of(certificate, RAFT_NET_POINT), .cut = cut}};
    assert_ok(raft_net_event(net, 0, &event));
    persist(net);
}

/* Messages of this type that replica 0 has sent to `to`; `last`, if it is not NULL, gets the last of them. */
static inline uint32_t sent(const struct raft_net *net, ord_node_id to, enum raft_type type,
                            struct raft_message *last) {
    uint32_t count = 0;
    for (size_t i = 0; i < net->letter_count; i++) {
        const struct raft_letter *letter = &net->letters[i];
        struct raft_message message;
        if (letter->from != 0 || letter->to != to)
            continue;
        assert_ok(raft_message_decode(&message, &net->nodes[to].config, ord_span_of(letter->data, letter->size)));
        if (message.type != type)
            continue;
        count++;
        if (last != NULL)
            *last = message;
    }
    return count;
}

#endif
