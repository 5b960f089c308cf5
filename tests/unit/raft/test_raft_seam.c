/* The seam of core/protocol.h: configurations, calls and events that Raft refuses. A refusal changes nothing. */
#include <string.h>

#include "tests/support/raft_one.h"

/* One field of a configuration that is valid otherwise, and whether it is valid with this value. */
struct bound {
    const char *field;
    bool of_options;
    size_t offset;
    size_t size;
    uint64_t value;
    bool valid;
};

#define CONFIG(field, value, valid)                                                                                    \
    {                                                                                                                  \
#field, false, offsetof(struct ord_core_config, field), sizeof(((struct ord_core_config *) 0)->field), value,  \
            valid                                                                                                      \
    }
#define OPTION(field, value, valid)                                                                                    \
    { #field, true, offsetof(struct raft_options, field), sizeof(((struct raft_options *) 0)->field), value, valid }

static const struct bound bounds[] = {
    CONFIG(replica_count, 0, false),
    CONFIG(replica_count, 64, true),
    CONFIG(replica_count, 65, false),
    CONFIG(self, 2, true),
    CONFIG(self, 3, false),
    CONFIG(window, 1, false),
    CONFIG(window, 7, false), /* the interval is 4 */
    CONFIG(window, 8, true),
    CONFIG(window, 65536, true),
    CONFIG(window, 65537, false),
    CONFIG(checkpoint_interval, 0, false),
    CONFIG(checkpoint_interval, 8, true),
    CONFIG(checkpoint_interval, 9, false),
    CONFIG(batch_bytes_max, 0, false),
    CONFIG(batch_bytes_max, 512, true),
    CONFIG(batch_bytes_max, 513, false), /* four times that is more than body_bytes_max */
    CONFIG(batch_bytes_max, UINT32_MAX / 4 + 1, false),
    CONFIG(body_bytes_max, 1023, false),
    CONFIG(body_bytes_max, 1024, true),
    CONFIG(body_bytes_max, SIZE_MAX / 8, true),
    CONFIG(body_bytes_max, SIZE_MAX / 8 + 1, false),
    CONFIG(retransmit_ms, 0, false),
    CONFIG(options, 0, false),
    OPTION(election_ms_min, 9, false),
    OPTION(election_ms_min, 119, false), /* less than two heartbeats */
    OPTION(election_ms_min, 120, true),
    OPTION(election_ms_min, 599, true),
    OPTION(election_ms_min, 600, false),
    OPTION(election_ms_max, 60000, true),
    OPTION(election_ms_max, 60001, false),
    OPTION(heartbeat_ms, 0, false),
    OPTION(heartbeat_ms, 1, true),
    OPTION(heartbeat_ms, 150, true),
    OPTION(heartbeat_ms, 151, false),
    OPTION(in_flight_max, 0, false),
    OPTION(in_flight_max, 1, true),
    OPTION(in_flight_max, 1024, true),
    OPTION(in_flight_max, 1025, false),
    OPTION(in_flight_size, 0, false),
    OPTION(in_flight_size, 1, true),
    OPTION(checkpoints.verify, 0, false),
    OPTION(checkpoints.size_max, 0, false),
    OPTION(checkpoints.size_max, UINT32_MAX / 4, true),
    OPTION(checkpoints.size_max, UINT32_MAX / 4 + 1, false),
};

static void config__is_bounded_in_each_field(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    const struct ord_core_config good = net->nodes[0].config;
    assert_true(raft_protocol.memory_size(&good) > 0);
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        struct raft_options changed = options;
        struct ord_core_config config = good;
        config.options = &changed;
        const struct bound *bound = &bounds[i];
        const uint32_t value = (uint32_t) bound->value;
        uint8_t *at = (bound->of_options ? (uint8_t *) &changed : (uint8_t *) &config) + bound->offset;
        memcpy(at, bound->size == sizeof(value) ? (const void *) &value : (const void *) &bound->value, bound->size);
        if ((raft_protocol.memory_size(&config) > 0) != bound->valid)
            fail_msg("%s %lu", bound->field, (unsigned long) bound->value);
    }
    close_one(net);
}

static void init__refuses_bad_configurations_and_little_memory(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    struct ord_core_config config = net->nodes[0].config;
    const size_t size = raft_protocol.memory_size(&config);
    uint8_t *memory = malloc(size);
    assert_non_null(memory);
    struct ord_core *core = NULL;
    assert_err(raft_protocol.init(&core, memory, size - 1, &config, NULL, 1), ORD_ERR_NO_SPACE);
    config.self = config.replica_count;
    assert_err(raft_protocol.init(&core, memory, size, &config, NULL, 1), ORD_ERR_INVALID);
    assert_null(core);
    free(memory);
    close_one(net);
}

/* The largest channel: all others are asked at the start, and nobody else. */
static void core__is_one_of_sixty_four(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    struct ord_core_config config = net->nodes[0].config;
    config.replica_count = ORD_REPLICA_MAX;
    config.self = 63;
    const size_t size = raft_protocol.memory_size(&config);
    void *memory = malloc(size);
    assert_non_null(memory);
    struct ord_core *core;
    assert_ok(raft_protocol.init(&core, memory, size, &config, NULL, 1));
    struct ord_effects effects;
    const struct ord_event start = {.type = ORD_EVENT_START, .now_ms = 5, .turn = 1};
    assert_ok(raft_protocol.step(core, &effects, &start));
    uint32_t asks = 0;
    for (size_t i = 0; i < effects.count; i++)
        if (effects.items[i].type == ORD_EFFECT_SEND) {
            asks++;
            assert_int_equal(effects.items[i].send.bytes.data[0], RAFT_ASK);
            assert_true(effects.items[i].send.to == UINT64_MAX >> 1);
        }
    assert_int_equal(asks, 1);
    free(memory);
    close_one(net);
}

/* What must not change when an event is refused. */
struct picture {
    struct ord_status status;
    struct raft_hard hard;
    uint64_t now_ms;
    uint64_t turn;
    uint64_t last_seq;
    uint64_t attested_seq;
    bool cut_wanted;
};

static struct picture picture_of(const struct raft_net *net) {
    const struct ord_core *core = core_of(net);
    struct picture picture;
    memset(&picture, 0, sizeof(picture));
    picture.status = raft_net_status(net, 0);
    picture.hard = core->hard;
    picture.now_ms = core->now_ms;
    picture.turn = core->turn;
    picture.last_seq = core->log.last_seq;
    picture.attested_seq = core->attested.seq;
    picture.cut_wanted = core->cut_wanted;
    return picture;
}

static void refuses(struct raft_net *net, struct ord_event event, enum ord_err err) {
    const struct picture before = picture_of(net);
    struct ord_effects effects;
    event.now_ms = net->now_ms + 1000;
    event.turn = net->nodes[0].turn + 1000;
    assert_err(raft_protocol.step(core_of(net), &effects, &event), err);
    assert_int_equal(effects.count, 0);
    const struct picture after = picture_of(net);
    assert_memory_equal(&before.hard, &after.hard, sizeof(before.hard));
    assert_true(before.now_ms == after.now_ms && before.turn == after.turn && before.last_seq == after.last_seq &&
                before.attested_seq == after.attested_seq && before.cut_wanted == after.cut_wanted);
    assert_true(before.status.delivered_seq == after.status.delivered_seq &&
                before.status.stable_seq == after.status.stable_seq && before.status.leader == after.status.leader &&
                before.status.messages_dropped == after.status.messages_dropped &&
                before.status.messages_refused == after.status.messages_refused);
}

static void step__is_refused_before_start_and_start_after_it(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    const struct ord_core_config config = net->nodes[0].config;
    const size_t size = raft_protocol.memory_size(&config);
    void *memory = malloc(size);
    assert_non_null(memory);
    struct ord_core *core;
    assert_ok(raft_protocol.init(&core, memory, size, &config, NULL, 1));
    for (int type = ORD_EVENT_TICK; type <= ORD_EVENT_HAND_OVER; type++) {
        const struct ord_event event = {.type = (enum ord_event_type) type, .now_ms = 5, .turn = 1};
        struct ord_effects effects = {.count = 7};
        assert_err(raft_protocol.step(core, &effects, &event), ORD_ERR_WRONG_STATE);
        assert_int_equal(effects.count, 0);
    }
    free(memory);
    refuses(net, (struct ord_event) {.type = ORD_EVENT_START}, ORD_ERR_WRONG_STATE);
    close_one(net);
}

static void step__refuses_an_event_without_a_name(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    refuses(net, (struct ord_event) {.type = (enum ord_event_type)(ORD_EVENT_HAND_OVER + 1)}, ORD_ERR_INVALID);
    close_one(net);
}

/* What PBFT's node tells means nothing here. */
static void step__takes_judgements_and_work_for_nothing(void **state) {
    (void) state;
    static const enum ord_event_type types[] = {ORD_EVENT_JUDGED, ORD_EVENT_APPLIED, ORD_EVENT_WORK};
    struct raft_net *net = open_one();
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct ord_effects effects;
        const struct ord_event event = {.type = types[i], .now_ms = net->now_ms, .turn = net->nodes[0].turn};
        const struct picture before = picture_of(net);
        assert_ok(raft_protocol.step(core_of(net), &effects, &event));
        assert_int_equal(effects.count, 0);
        assert_int_equal(picture_of(net).last_seq, before.last_seq);
    }
    close_one(net);
}

/* The core reads the bytes again: what `authenticate` did not make is refused. */
static void message__that_the_door_did_not_pass_is_refused(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append_up_to(net, 2, 1);
    uint8_t bytes[64];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    const struct raft_message ask = {.type = RAFT_ASK, .sender = 1, .term = 9, .life = 4};
    raft_message_encode(&writer, &net->nodes[0].config, &ask);
    struct ord_event event = {.type = ORD_EVENT_MESSAGE, .message = NULL};
    refuses(net, event, ORD_ERR_INVALID);
    struct ord_verified verified = {.from = 2, .bytes = ord_writer_span(&writer), .type = RAFT_ASK};
    event.message = &verified;
    refuses(net, event, ORD_ERR_INVALID); /* replica 1 made it */
    verified.from = 1;
    verified.bytes.size--;
    refuses(net, event, ORD_ERR_INVALID);
    verified.bytes.size++;
    bytes[8] ^= 1; /* the network */
    refuses(net, event, ORD_ERR_MISMATCH);
    bytes[8] ^= 1;
    bytes[28] = 0; /* the sender, which is this replica itself */
    verified.from = 0;
    refuses(net, event, ORD_ERR_INVALID);
    close_one(net);
}

static void attested__of_nonsense_is_refused(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append_up_to(net, 2, 2);
    static const uint8_t certificate[RAFT_NET_POINT + 1];
    static const struct {
        uint64_t seq;
        size_t size;
    } bad[] = {
        {0, RAFT_NET_POINT}, {RAFT_NUMBER_MAX + 1, RAFT_NET_POINT}, {2, 0}, {2, RAFT_NET_POINT + 1}, {UINT64_MAX, 1}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuses(net,
                (struct ord_event) {
                    .type = ORD_EVENT_ATTESTED,
                    .attested = {.seq = bad[i].seq, .certificate = ord_span_of(certificate, bad[i].size), .cut = true}},
                ORD_ERR_INVALID);
    close_one(net);
}

static void synced__of_nonsense_is_refused(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    install(net, 4, 3); /* the base is of term 3 */
    static const uint8_t certificate[RAFT_NET_POINT + 1];
    static const struct {
        uint64_t seq;
        uint64_t term;
        uint64_t stable_seq;
        size_t size;
    } bad[] = {
        {0, 3, 0, 0},                                /* no seq */
        {RAFT_NUMBER_MAX + 1, 3, 8, RAFT_NET_POINT}, /* too high a seq */
        {8, 3, 9, RAFT_NET_POINT},                   /* stable beyond what was brought */
        {8, 3, 0, RAFT_NET_POINT},                   /* a certificate of nothing */
        {8, 3, 8, 0},                                /* no certificate */
        {8, 3, 8, RAFT_NET_POINT + 1},               /* too large a certificate */
        {8, RAFT_NUMBER_MAX + 1, 8, RAFT_NET_POINT}, /* too high a term */
        {8, 0, 8, RAFT_NET_POINT},                   /* no term, and nobody asked for this seq */
        {8, 2, 8, RAFT_NET_POINT},                   /* terms fall along the log */
        {4, RAFT_NUMBER_MAX + 1, 4, RAFT_NET_POINT}, /* nonsense about what is here is nonsense, too */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuses(net,
                (struct ord_event) {.type = ORD_EVENT_SYNCED,
                                    .synced = {.seq = bad[i].seq,
                                               .term = bad[i].term,
                                               .stable_seq = bad[i].stable_seq,
                                               .certificate = ord_span_of(certificate, bad[i].size)}},
                ORD_ERR_INVALID);
    assert_ok(synced(net, 8, 3, 8));
    close_one(net);
}

static bool wants(const struct raft_net *net, struct raft_message message) {
    uint8_t bytes[128];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    raft_message_encode(&writer, &net->nodes[0].config, &message);
    ord_write_span(&writer, message.body);
    return raft_protocol.wants(core_of(net), ord_writer_span(&writer));
}

/* Signatures of a point of a term that is over are not worth checking; a replica that has halted reads nothing. */
static void wants__spares_the_checks_of_useless_points(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 4, 0, 0, 4, 1);
    uint8_t certificate[RAFT_NET_POINT] = {0};
    struct raft_message point = {.type = RAFT_SNAPSHOT,
                                 .sender = 1,
                                 .term = 3,
                                 .seq = 8,
                                 .seq_term = 3,
                                 .body = ord_span_of(certificate, sizeof(certificate))};
    assert_false(wants(net, point));
    point.term = 4;
    assert_true(wants(net, point));
    const struct raft_message old = append_of(1, 3, 0, 0, 3, 0);
    assert_true(wants(net, old)); /* its answer tells the term */
    assert_false(raft_protocol.wants(core_of(net), ord_span_of(certificate, sizeof(certificate))));
    append(net, 2, 5, 0, 0, 5, 1);
    assert_true(core_of(net)->halted);
    assert_false(wants(net, point));
    assert_false(wants(net, old));
    assert_true(wants(net, (struct raft_message) {.type = RAFT_ASK, .sender = 2, .term = 4, .life = 9}));
    close_one(net);
}

/* Row R8, rule 12: a replica that has halted answers those that ask, as a silent one, and does nothing else. */
static void halted__replica_takes_no_part(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    append(net, 1, 1, 0, 0, 1, 1);
    append(net, 2, 2, 0, 0, 2, 1);
    assert_true(((const struct raft_detail *) raft_net_status(net, 0).detail)->halted);
    size_t letters = net->letter_count;
    uint64_t dropped = raft_net_status(net, 0).messages_dropped;
    append(net, 2, 3, 1, 1, 3, 1);
    receive(net, (struct raft_message) {.type = RAFT_ASK, .sender = 2, .term = 3, .life = 9});
    tick(net, 5000);
    persist(net);
    assert_int_equal(raft_net_status(net, 0).messages_dropped, dropped + 1);
    assert_int_equal(raft_net_status(net, 0).view, 2);
    assert_int_equal(net->letter_count, letters + 1);
    struct raft_message answer = {0};
    assert_int_equal(sent(net, 2, RAFT_RECALL, &answer), 1);
    assert_true(answer.silent && !answer.empty && answer.seq == 1);
    raft_net_crash(net, 0);
    raft_net_start(net, 0);
    assert_true(core_of(net)->halted);
    close_one(net);
}

static enum ord_err proposed(struct raft_net *net, size_t size) {
    uint8_t batch[300] = {0};
    net->nodes[0].rejected = ORD_OK;
    struct ord_event event = {.type = ORD_EVENT_PROPOSE, .propose = {.batch = ord_span_of(batch, size)}};
    assert_ok(raft_net_event(net, 0, &event));
    persist(net);
    return net->nodes[0].rejected;
}

static void proposal__is_rejected_with_its_reason(void **state) {
    (void) state;
    struct raft_net *net = open_one();
    assert_err(proposed(net, 8), ORD_ERR_FORBIDDEN);
    lead(net);
    assert_err(proposed(net, 8), ORD_ERR_FORBIDDEN); /* rule 4: the null batch is not committed */
    acknowledge(net, 1, 1, false);
    assert_err(proposed(net, 0), ORD_ERR_INVALID);
    assert_err(proposed(net, 257), ORD_ERR_INVALID);
    assert_int_equal(log_of(net)->last_seq, 1);
    assert_ok(proposed(net, 256));
    acknowledge(net, 1, 2, false);
    attested(net, 2, false);
    assert_int_equal(log_of(net)->base_seq, 0);
    for (uint32_t i = 0; i < 7; i++)
        assert_ok(proposed(net, 256));
    assert_int_equal(log_of(net)->bytes, 2048);
    /* What is stable goes when a proposal needs its room. */
    assert_true(raft_net_status(net, 0).can_propose);
    assert_ok(proposed(net, 256));
    assert_int_equal(log_of(net)->base_seq, 2);
    assert_false(raft_net_status(net, 0).can_propose);
    assert_err(proposed(net, 1), ORD_ERR_NO_SPACE);
    assert_int_equal(log_of(net)->last_seq, 10);
    close_one(net);
}

static void record__of_an_entry_holds_its_batch(void **state) {
    (void) state;
    static const uint8_t record[RAFT_ENTRY_HEAD_SIZE + 3] = {[RAFT_ENTRY_HEAD_SIZE] = 7};
    struct ord_span batch;
    assert_err(raft_protocol.body_of_record(&batch, ord_span_of(record, RAFT_ENTRY_HEAD_SIZE - 1)), ORD_ERR_CORRUPT);
    assert_ok(raft_protocol.body_of_record(&batch, ord_span_of(record, RAFT_ENTRY_HEAD_SIZE)));
    assert_int_equal(batch.size, 0);
    assert_ok(raft_protocol.body_of_record(&batch, ord_span_of(record, sizeof(record))));
    assert_true(batch.size == 3 && batch.data[0] == 7);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(config__is_bounded_in_each_field),
    cmocka_unit_test(init__refuses_bad_configurations_and_little_memory),
    cmocka_unit_test(core__is_one_of_sixty_four),
    cmocka_unit_test(step__is_refused_before_start_and_start_after_it),
    cmocka_unit_test(step__refuses_an_event_without_a_name),
    cmocka_unit_test(step__takes_judgements_and_work_for_nothing),
    cmocka_unit_test(message__that_the_door_did_not_pass_is_refused),
    cmocka_unit_test(attested__of_nonsense_is_refused),
    cmocka_unit_test(synced__of_nonsense_is_refused),
    cmocka_unit_test(wants__spares_the_checks_of_useless_points),
    cmocka_unit_test(halted__replica_takes_no_part),
    cmocka_unit_test(proposal__is_rejected_with_its_reason),
    cmocka_unit_test(record__of_an_entry_holds_its_batch),
};
TEST_CASES(cases);
