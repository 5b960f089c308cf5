/*
 * The rate with which a replica counts, and what follows from it: replica/intake/pace.c, admission.c, forward.c and
 * the turns of pool.c.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/replica_bench.h"
#include "tests/support/test_main.h"

enum { TIMEOUT_MS = 1000 };

static struct bench *make(void) {
    struct bench *bench = bench_create(NULL);
    assert_int_equal(replica_config(bench->replica)->request_timeout_ms, TIMEOUT_MS);
    bench->replica->agree.leader = 1;
    pace_leader(bench->replica, 1);
    return bench;
}

/* For `ms` something waits, and `cost` is executed out of the pool. */
static void serve(struct bench *bench, uint64_t ms, uint64_t cost) {
    struct replica *replica = bench->replica;
    replica->pool.envelopes = 1;
    replica->turn.now_ms += ms;
    if (cost > 0)
        pace_served(replica, cost);
    pace_turn(replica);
    replica->pool.envelopes = 0;
}

static uint64_t floor_rate(const struct bench *bench) {
    uint64_t most = pool_cost_max(&bench->replica->pool);
    return ord_max(ord_min(64 << 10, most / 2), most / 64) * 1000 / TIMEOUT_MS;
}

static void rate__begins_high_and_follows_what_is_served(void **state) {
    (void) state;
    struct bench *bench = make();
    uint64_t most = pool_cost_max(&bench->replica->pool);
    uint64_t start = ord_max(floor_rate(bench), most / 32);
    assert_int_equal(pace_rate(bench->replica), start);
    /* Nothing waits, or nothing is served: nothing is measured. */
    serve(bench, 5000, 0);
    assert_int_equal(pace_rate(bench->replica), start);
    serve(bench, 499, start - 10);
    assert_int_equal(pace_rate(bench->replica), start); /* the window goes on */
    serve(bench, 1, 9);
    assert_int_equal(pace_rate(bench->replica), 2 * (start - 1));
    serve(bench, 500, start);
    assert_int_equal(pace_rate(bench->replica), 2 * start);
    bench_destroy(bench);
}

/* What the channel orders at once waits for no time at all, and shows the rate all the same. */
static void rate__of_what_hardly_waits_doubles_with_what_is_served(void **state) {
    (void) state;
    struct bench *bench = make();
    uint64_t start = pace_rate(bench->replica);
    serve(bench, 1, start - 1);
    assert_int_equal(pace_rate(bench->replica), start);
    serve(bench, 1, 1);
    assert_int_equal(pace_rate(bench->replica), 2 * start);
    for (int i = 1; i < 6; i++) {
        serve(bench, 1, start << i);
        assert_int_equal(pace_rate(bench->replica), start << (i + 1));
    }
    bench_destroy(bench);
}

/* A trickle that never waits is no rate, however much it adds up to. */
static void rate__does_not_rise_with_a_trickle(void **state) {
    (void) state;
    struct bench *bench = make();
    uint64_t start = pace_rate(bench->replica);
    for (int i = 0; i < 1000; i++) {
        serve(bench, 1, start / 100);
        bench->replica->turn.now_ms += 99; /* nothing waits */
        pace_turn(bench->replica);
    }
    assert_int_equal(pace_rate(bench->replica), start);
    /* What comes in four windows counts together. */
    bench->replica->turn.now_ms += 2000;
    pace_turn(bench->replica);
    for (int i = 0; i < 9; i++) {
        serve(bench, 1, start / 10 + 1);
        bench->replica->turn.now_ms += 199;
        pace_turn(bench->replica);
    }
    assert_int_equal(pace_rate(bench->replica), start);
    serve(bench, 1, start / 10 + 1);
    assert_in_range(pace_rate(bench->replica), 2 * start, 2 * start + 40);
    bench_destroy(bench);
}

static void rate__is_not_measured_while_nothing_waits_or_nobody_leads(void **state) {
    (void) state;
    struct bench *bench = make();
    serve(bench, 500, 1000000);
    bench->replica->turn.now_ms += 100000; /* nothing waits */
    pace_turn(bench->replica);
    assert_int_equal(pace_rate(bench->replica), 2000000);
    pace_leader(bench->replica, ORD_NO_NODE);
    bench->replica->agree.leader = ORD_NO_NODE;
    for (int i = 0; i < 100; i++)
        serve(bench, 500, 0);
    assert_int_equal(pace_rate(bench->replica), 2000000);
    bench_destroy(bench);
}

/* A slow leader lowers the rate to a quarter of the best one, and each window only by a quarter. */
static void rate__of_a_slow_leader_has_a_bound(void **state) {
    (void) state;
    struct bench *bench = make();
    serve(bench, 500, 4000000);
    serve(bench, 500, 1);
    assert_int_equal(pace_rate(bench->replica), 6000000);
    for (int i = 0; i < 100; i++)
        serve(bench, 500, 1);
    assert_int_equal(pace_rate(bench->replica), 2000000);
    /* The next leader begins there as well: what another one reached counts. */
    pace_leader(bench->replica, 2);
    for (int i = 0; i < 100; i++)
        serve(bench, 500, 1);
    assert_int_equal(pace_rate(bench->replica), 2000000);
    /* A view in which nothing was measured keeps what its leader reached before. */
    pace_leader(bench->replica, 1);
    pace_leader(bench->replica, 2);
    pace_turn(bench->replica);
    assert_int_equal(pace_rate(bench->replica), 2000000);
    /* When every leader is slow, that is how it is. */
    pace_leader(bench->replica, 1);
    serve(bench, 500, 400000);
    pace_leader(bench->replica, 2);
    for (int i = 0; i < 100; i++)
        serve(bench, 500, 1);
    assert_int_equal(pace_rate(bench->replica), ord_max(floor_rate(bench), 200000));
    bench_destroy(bench);
}

/* A leader that its clients helped to a high rate sets no measure for the others. */
static void rate__of_one_fast_leader_is_no_measure(void **state) {
    (void) state;
    struct bench *bench = make();
    for (ord_node_id leader = 1; leader <= 3; leader++) {
        pace_leader(bench->replica, leader);
        serve(bench, 500, leader == 1 ? 40000000 : 4000000);
    }
    pace_leader(bench->replica, 0);
    for (int i = 0; i < 100; i++)
        serve(bench, 500, 1);
    assert_int_equal(pace_rate(bench->replica), 2000000);
    bench_destroy(bench);
}

static void rate__has_a_floor(void **state) {
    (void) state;
    struct bench *bench = make();
    for (int i = 0; i < 100; i++)
        serve(bench, 500, 1);
    assert_int_equal(pace_rate(bench->replica), floor_rate(bench));
    assert_int_equal(pace_budget(bench->replica), floor_rate(bench) * TIMEOUT_MS / 1000);
    bench_destroy(bench);
}

static void add_six_replicas(struct channel_config *config) {
    for (uint32_t i = config->replica_count; i < 10; i++) {
        struct crypto_private_key key;
        memset(key.bytes, (int) i + 1, sizeof(key.bytes));
        config->replicas[i] = config->replicas[0];
        assert_int_equal(crypto_public_key(&config->replicas[i].key, &key), ORD_OK);
        snprintf(config->replicas[i].name, sizeof(config->replicas[i].name), "replica%u", i);
        snprintf(config->replicas[i].host, sizeof(config->replicas[i].host), "replica-%u.example", i);
        config->replica_count = i + 1;
    }
}

/* However many replicas admit, together they assume no more of the channel than four do. */
static void rate__has_a_floor_that_many_replicas_share(void **state) {
    (void) state;
    struct bench *bench = bench_create(add_six_replicas);
    uint64_t most = pool_cost_max(&bench->replica->pool);
    assert_int_equal(pace_rate(bench->replica), ord_max(floor_rate(bench) * 4 / 10, most / 32 * 4 / 10));
    bench->replica->agree.leader = 1;
    pace_leader(bench->replica, 1);
    for (int i = 0; i < 100; i++)
        serve(bench, 500, 1);
    assert_int_equal(pace_rate(bench->replica), floor_rate(bench) * 4 / 10);
    bench_destroy(bench);
}

/* ---- admission and forwards ---- */

static struct ord_span registration;

static void deliver_registration(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_TICK || bench->stepped[ORD_EVENT_TICK] > 1)
        return;
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_DELIVER);
    effect->deliver.seq = 1;
    effect->deliver.batch = registration;
}

/* A backup of leader 1 whose client is registered, and whose rate is at the floor. */
static struct bench *make_backup(void) {
    struct bench *bench = bench_create(NULL);
    registration = bench_registration(bench);
    bench->on_step = deliver_registration;
    bench_run(bench);
    bench->on_step = NULL;
    assert_int_equal(bench->replica->counters.envelopes_accepted, 1);
    bench->replica->agree.leader = 1;
    pace_leader(bench->replica, 1);
    bench->replica->pace.measured = true;
    /* The open block is not what these tests wait for. */
    bench->time.now_ms += 10000;
    bench_run(bench);
    assert_int_equal(pace_rate(bench->replica), floor_rate(bench));
    return bench;
}

/* What is submitted: the size of its transactions, and whether it is a copy. */
struct kind {
    size_t size;
    bool copy;
};

/* Submits `count` envelopes from sequence `first` on, and has them checked. Gives how many were accepted. */
static uint32_t submit_kind(struct bench *bench, struct kind kind, uint64_t first, uint32_t count,
                            struct replica_submission **out) {
    static struct ord_span envelopes[32];
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < count; i++)
        envelopes[i] = net_envelope(bench->net, bench->client, first + i, 1, kind.size, (uint8_t) i);
    *out = bench_submit(bench, envelopes, count);
    (*out)->copy = kind.copy;
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
    for (uint32_t i = 0; i < count; i++)
        accepted += (*out)->results[i].verdict == REPLICA_ACCEPTED;
    return accepted;
}

static uint32_t submit(struct bench *bench, uint64_t first, uint32_t count, struct replica_submission **out) {
    return submit_kind(bench, (struct kind) {.size = 400}, first, count, out);
}

/* An envelope of another client, which is settled. */
static struct pool_entry *settle_other(struct bench *bench, uint32_t client_index, uint64_t sequence, size_t size) {
    static uint8_t bytes[200000];
    struct pool *pool = &bench->replica->pool;
    struct pool_entry *entry;
    assert_true(size <= sizeof(bytes));
    assert_ok(pool_add(pool, &entry, (struct pool_key) {client_index, sequence}, 2, ord_span_of(bytes, size),
                       bench->time.now_ms));
    entry->foreign = true;
    assert_ok(pool_settle(pool, entry, bench->time.now_ms));
    return entry;
}

static void admission__of_one_client_ends_at_half(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    uint64_t budget = pace_budget(bench->replica);
    uint32_t accepted = submit(bench, 1, 32, &submission);
    uint32_t count;
    uint64_t mine = pool_client_cost(&bench->replica->pool, 0, &count);
    uint64_t cost = mine / count;
    assert_int_equal(count, accepted);
    assert_true(accepted < 32);
    assert_true(2 * mine - cost <= budget && 2 * mine + cost > budget);
    for (uint32_t i = 0; i < 32; i++)
        assert_int_equal(submission->results[i].verdict, i < accepted ? REPLICA_ACCEPTED : REPLICA_BUSY);
    /* By then half of it is ordered at this rate. */
    assert_int_equal(submission->retry_after_ms, mine * 1000 / floor_rate(bench) / 2);
    /* What waits here already is accepted again. */
    assert_int_equal(submit(bench, 1, 2, &submission), 2);
    assert_int_equal(submission->retry_after_ms, 0);
    bench_destroy(bench);
}

/* Others' envelopes may fill the pool beyond what is ordered soon. A client that has nothing here still gets in. */
static void admission__has_some_for_every_client(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    struct pool *pool = &bench->replica->pool;
    for (uint32_t i = 0; i < 40; i++)
        (void) settle_other(bench, 5 + i / 20, i + 1, 1000);
    assert_true(pool_cost(pool) > pace_budget(bench->replica));
    assert_int_equal(submit(bench, 1, 8, &submission), 4);
    assert_true(submission->retry_after_ms >= 10 && submission->retry_after_ms <= TIMEOUT_MS);
    /* However much waits: the channel may have become faster. */
    (void) settle_other(bench, 7, 1, 100000);
    assert_true(pool_cost(pool) * 1000 / pace_rate(bench->replica) / 2 > 500);
    assert_int_equal(pace_retry_ms(bench->replica), 500);
    bench_destroy(bench);
}

/* One large envelope of a client that has nothing here may exceed what is ordered soon, and no more than one does. */
static void admission__has_room_for_one_large_envelope(void **state) {
    (void) state;
    const struct kind large = {.size = 100000};
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    assert_true(large.size > pace_budget(bench->replica));
    struct pool_entry *other = settle_other(bench, 5, 1, 1000);
    assert_int_equal(submit_kind(bench, large, 1, 4, &submission), 1);
    assert_int_equal(submission->results[0].verdict, REPLICA_ACCEPTED);
    assert_int_equal(submission->results[1].verdict, REPLICA_BUSY);
    pool_remove(&bench->replica->pool, other);
    bench_destroy(bench);
    /* Another client has exceeded it already: a large envelope waits until that is ordered, small ones do not. */
    bench = make_backup();
    other = settle_other(bench, 5, 1, 100000);
    assert_int_equal(submit_kind(bench, large, 1, 1, &submission), 0);
    assert_int_equal(submission->results[0].verdict, REPLICA_BUSY);
    assert_int_equal(submit(bench, 1, 1, &submission), 1);
    pool_remove(&bench->replica->pool, pool_find(&bench->replica->pool, (struct pool_key) {0, 1}));
    pool_remove(&bench->replica->pool, other);
    assert_int_equal(submit_kind(bench, large, 1, 1, &submission), 1);
    bench_destroy(bench);
}

/* Sends one large envelope, and gives its verdict. Everybody else's small ones fill the bound, as they always do. */
static enum replica_verdict submit_beside_small(struct bench *bench, uint64_t sequence, uint64_t source) {
    struct replica_submission *submission;
    struct ord_span envelope = net_envelope(bench->net, bench->client, sequence, 1, 100000, 1);
    /* Housekeeping drops them, because they have no form. */
    for (uint32_t i = 0; i < 40; i++)
        if (pool_find(&bench->replica->pool, (struct pool_key) {5 + i / 20, i + 1}) == NULL)
            (void) settle_other(bench, 5 + i / 20, i + 1, 1000);
    assert_true(pool_cost(&bench->replica->pool) > pace_budget(bench->replica) / 2);
    submission = bench_submit(bench, &envelope, 1);
    submission->source = source;
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
    return submission->results[0].verdict;
}

/* Small envelopes that keep the bound full for ever keep a large one out for a while only, and let one in at a time. */
static void admission__of_a_large_envelope_has_its_turn(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct pool *pool = &bench->replica->pool;
    uint64_t waited_ms = 0;
    while (submit_beside_small(bench, 1, 100) == REPLICA_BUSY && waited_ms < 10 * TIMEOUT_MS) {
        assert_int_equal(submit_beside_small(bench, 2, 101), REPLICA_BUSY);
        bench->time.now_ms += 100;
        waited_ms += 100;
    }
    assert_int_equal(waited_ms, TIMEOUT_MS);
    assert_int_equal(pool->aged, 1);
    /* The next one waits for it, however long it has waited itself, and then comes before the first one's next. */
    bench->time.now_ms += TIMEOUT_MS;
    assert_int_equal(submit_beside_small(bench, 2, 101), REPLICA_BUSY);
    pool_remove(pool, pool_find(pool, (struct pool_key) {0, 1}));
    assert_int_equal(submit_beside_small(bench, 3, 100), REPLICA_BUSY);
    bench->time.now_ms += TIMEOUT_MS;
    assert_int_equal(submit_beside_small(bench, 3, 100), REPLICA_BUSY);
    assert_int_equal(submit_beside_small(bench, 2, 101), REPLICA_ACCEPTED);
    /* A source that does not come back keeps nobody waiting. */
    pool_remove(pool, pool_find(pool, (struct pool_key) {0, 2}));
    assert_int_equal(bench->replica->large.count, 1);
    bench->time.now_ms += 2001 + 2 * TIMEOUT_MS;
    assert_int_equal(submit_beside_small(bench, 4, 102), REPLICA_BUSY);
    bench->time.now_ms += TIMEOUT_MS;
    assert_int_equal(submit_beside_small(bench, 4, 102), REPLICA_ACCEPTED);
    bench_destroy(bench);
}

/* All clients' copies together are no more than what is passed on to the leader in time. */
static void admission__of_copies_has_a_total(void **state) {
    (void) state;
    const struct kind copy = {.size = 400, .copy = true};
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    struct pool *pool = &bench->replica->pool;
    uint64_t most = forward_passed_cost(bench->replica);
    assert_in_range(most, 1, pace_budget(bench->replica) / 20);
    struct pool_entry *other = settle_other(bench, 5, 1, most);
    pool_set_copy(pool, other, true);
    pool_set_copy(pool, other, true);
    assert_int_equal(pool_copies_cost(pool), most + POOL_ENVELOPE_COST);
    assert_int_equal(submit_kind(bench, copy, 1, 1, &submission), 0);
    assert_int_equal(submission->results[0].verdict, REPLICA_BUSY);
    pool_remove(pool, other);
    assert_int_equal(pool_copies_cost(pool), 0);
    /* One is taken at any time, and of one client no more than it leaves free. */
    assert_int_equal(submit_kind(bench, copy, 1, 4, &submission), 1);
    assert_true(pool_copies_cost(pool) > 400);
    /* Its client brings it to be looked after: it is no copy any more. */
    assert_int_equal(submit(bench, 1, 1, &submission), 1);
    assert_int_equal(pool_copies_cost(pool), 0);
    bench_destroy(bench);
}

/* Lets time pass in steps of housekeeping. Gives how long it took until something was offered, at most `most_ms`. */
static uint64_t pass_until_offered(struct bench *bench, uint64_t most_ms, bool moves) {
    uint64_t passed_ms = 0;
    bench_forget_sent(bench);
    while (passed_ms < most_ms && bench_sent(bench, REPLICA_LINK_OFFER) == 0) {
        bench_forget_sent(bench);
        passed_ms += 100;
        bench->time.now_ms += 100;
        if (moves)
            bench->replica->pace.progress_ms = bench->time.now_ms;
        bench_run(bench);
    }
    return passed_ms;
}

/* To whom the last message of this kind went. */
static ord_replica_set sent_to(const struct bench *bench, enum replica_link kind) {
    for (uint32_t i = bench->sent_count; i > 0; i--)
        if (bench->sent[i - 1].kind == kind)
            return bench->sent[i - 1].to;
    return 0;
}

/* To the leader at once, offered to all soon, and then ever more rarely. */
static void forward__of_what_stays_backs_off(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    bench_forget_sent(bench);
    assert_int_equal(submit(bench, 1, 1, &submission), 1);
    assert_int_equal(bench_sent(bench, REPLICA_LINK_FORWARD), 1);
    assert_int_equal(sent_to(bench, REPLICA_LINK_FORWARD), ord_replica_bit(1));
    uint64_t soon_ms = pass_until_offered(bench, 5000, false);
    /* A sixteenth of the timeout, and for the last of four replicas three quarters of that more. */
    assert_in_range(soon_ms, 108, 208);
    assert_int_equal(sent_to(bench, REPLICA_LINK_OFFER), UINT64_MAX);
    static const uint64_t waits_ms[] = {1000, 2000, 4000, 8000, 8000};
    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
        assert_in_range(pass_until_offered(bench, 20000, false), waits_ms[i], waits_ms[i] + 100);
        assert_int_equal(sent_to(bench, REPLICA_LINK_OFFER), UINT64_MAX);
    }
    bench_destroy(bench);
}

/* While the leader serves, what is queued is not sent again. When it stops, or the turn has come, it is. */
static void forward__leaves_what_is_queued(void **state) {
    (void) state;
    for (int stops = 0; stops < 2; stops++) {
        struct bench *bench = make_backup();
        struct replica_submission *submission;
        assert_int_equal(submit(bench, 1, 1, &submission), 1);
        bench->replica->pool.lists[POOL_SENT].head->turn_ms = bench->time.now_ms + 1500;
        assert_int_equal(pass_until_offered(bench, 1000, true), 1000);
        assert_int_equal(bench_sent(bench, REPLICA_LINK_OFFER), 0);
        assert_in_range(pass_until_offered(bench, 5000, stops == 0), stops == 0 ? 500 : 200, stops == 0 ? 800 : 400);
        assert_int_equal(bench_sent(bench, REPLICA_LINK_OFFER), 1);
        bench_destroy(bench);
    }
}

/* Repeats offer no more than their share, and go on until all that stays was sent. */
static void forward__has_a_share(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    uint32_t accepted = submit(bench, 1, 20, &submission);
    struct pool *pool = &bench->replica->pool;
    uint64_t cost = pool->settled_cost / accepted;
    uint64_t before = bench->replica->counters.envelopes_offered;
    assert_int_equal(pool->lists[POOL_SENT].count, accepted);
    /* Half of the rate, for four replicas and three kinds of repeats. */
    uint64_t share = floor_rate(bench) / 24;
    uint64_t spread = 0;
    uint64_t passed_ms = 0;
    for (; pool->lists[POOL_SENT].count > 0 && passed_ms < 60000; passed_ms += 100) {
        bench_forget_sent(bench);
        bench->time.now_ms += 100;
        bench_run(bench);
        spread = bench->replica->counters.envelopes_offered - before;
        /* The last one may overdraw it. Repeats of what all have got have a share of their own. */
        assert_true(spread * cost <= 2 * (share * (passed_ms + 300) / 1000 + cost));
    }
    assert_int_equal(pool->lists[POOL_SENT].count, 0);
    assert_true(passed_ms >= (accepted - 2) * cost * 1000 / share - 1000);
    bench_destroy(bench);
}

/* ---- offers (row P19) ---- */

enum { NAME_SIZE = 12 };

static struct ord_span name_of(uint32_t client_index, uint64_t sequence) {
    static uint8_t name[NAME_SIZE];
    ord_store_u32(name, client_index);
    ord_store_u64(name + 4, sequence);
    return ord_span_of(name, sizeof(name));
}

/* A replica sends these names. Gives how many messages of `answer` came of it. */
static uint32_t told(struct bench *bench, ord_node_id from, enum replica_link kind, struct ord_span names,
                     enum replica_link answer) {
    bench_forget_sent(bench);
    bench_message(bench, from, (uint8_t) kind, names);
    bench_run(bench);
    if (bench_sent(bench, answer) > 0)
        assert_int_equal(sent_to(bench, answer), ord_replica_bit(from));
    return bench_sent(bench, answer);
}

/* A backup gives an offered envelope once to each replica that asks in time. */
static void offer__is_given_once_to_each(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    struct ord_span bytes;
    assert_int_equal(submit(bench, 1, 1, &submission), 1);
    /* It was sent to the leader, and is not offered yet. */
    assert_int_equal(told(bench, 2, REPLICA_LINK_WANT, name_of(0, 1), REPLICA_LINK_FORWARD), 0);
    (void) pass_until_offered(bench, 5000, false);
    assert_int_equal(bench_sent(bench, REPLICA_LINK_FORWARD), 0);
    assert_int_equal(bench_left(bench, REPLICA_LINK_OFFER, &bytes), 1);
    assert_true(ord_span_equal(bytes, name_of(0, 1)));
    assert_int_equal(told(bench, 2, REPLICA_LINK_WANT, name_of(0, 1), REPLICA_LINK_FORWARD), 1);
    assert_int_equal(told(bench, 2, REPLICA_LINK_WANT, name_of(0, 1), REPLICA_LINK_FORWARD), 0);
    assert_int_equal(told(bench, 3, REPLICA_LINK_WANT, name_of(0, 1), REPLICA_LINK_FORWARD), 1);
    assert_int_equal(told(bench, 3, REPLICA_LINK_WANT, name_of(0, 3), REPLICA_LINK_FORWARD), 0);
    /* It is offered again later, and may be asked for again. */
    (void) pass_until_offered(bench, 5000, false);
    assert_int_equal(told(bench, 2, REPLICA_LINK_WANT, name_of(0, 1), REPLICA_LINK_FORWARD), 1);
    /* Who asks late waits for the next offer. */
    bench->replica->pool.lists[POOL_SPREAD + 1].head->forwarded_ms -= TIMEOUT_MS + 1;
    assert_int_equal(told(bench, 3, REPLICA_LINK_WANT, name_of(0, 1), REPLICA_LINK_FORWARD), 0);
    /* With another leader no earlier offer counts. */
    bench->replica->pool.lists[POOL_SPREAD + 1].head->foreign = true;
    pool_leader_changed(&bench->replica->pool, bench->time.now_ms);
    bench_run(bench);
    assert_int_equal(bench->replica->pool.lists[POOL_PASSED].count, 1);
    assert_int_equal(told(bench, 3, REPLICA_LINK_WANT, name_of(0, 1), REPLICA_LINK_FORWARD), 0);
    bench_destroy(bench);
}

/* Asked for is what is neither here nor executed, from everybody who offers it. */
static void offer__is_asked_for_if_it_is_needed(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    struct ord_span wanted;
    assert_int_equal(submit(bench, 1, 1, &submission), 1);
    uint8_t names[6 * NAME_SIZE];
    static const struct pool_key keys[] = {{0, 1}, {0, 2}, {0, 3}, {0, 0}, {0, 9000}, {1, 1}};
    for (size_t i = 0; i < 6; i++) {
        ord_store_u32(names + i * NAME_SIZE, keys[i].client_index);
        ord_store_u64(names + i * NAME_SIZE + 4, keys[i].sequence);
    }
    /* An offer that comes to nothing keeps nobody from asking another one. */
    for (ord_node_id from = 1; from <= 3; from++) {
        assert_int_equal(told(bench, from, REPLICA_LINK_OFFER, ord_span_of(names, sizeof(names)), REPLICA_LINK_WANT),
                         1);
        assert_int_equal(bench_left(bench, REPLICA_LINK_WANT, &wanted), 1);
        assert_int_equal(wanted.size, 2 * NAME_SIZE);
        assert_memory_equal(wanted.data, names + NAME_SIZE, 2 * NAME_SIZE);
    }
    /* What replica 2 sent is being checked: it need not come from there again. It may be a forgery, so others may. */
    const struct ord_span envelope = net_envelope(bench->net, bench->client, 2, 1, 100, 2);
    bench_message(bench, 2, REPLICA_LINK_FORWARD, net_batch(bench->net, 0, &envelope, 1));
    bench_run(bench);
    assert_int_equal(told(bench, 2, REPLICA_LINK_OFFER, name_of(0, 2), REPLICA_LINK_WANT), 0);
    assert_int_equal(told(bench, 3, REPLICA_LINK_OFFER, name_of(0, 2), REPLICA_LINK_WANT), 1);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(told(bench, 3, REPLICA_LINK_OFFER, name_of(0, 2), REPLICA_LINK_WANT), 0);
    /* What would be ignored, or finds no room, is not asked for. */
    bench->replica->forwards_ignored_until_ms[3] = bench->time.now_ms + 1;
    assert_int_equal(told(bench, 3, REPLICA_LINK_OFFER, name_of(0, 3), REPLICA_LINK_WANT), 0);
    bench->replica->forwards_ignored_until_ms[3] = 0;
    struct pool *pool = &bench->replica->pool;
    uint64_t bytes_max = pool->bytes_max;
    pool->bytes_max = pool->bytes;
    assert_int_equal(told(bench, 3, REPLICA_LINK_OFFER, name_of(0, 3), REPLICA_LINK_WANT), 0);
    pool->bytes_max = bytes_max;
    assert_int_equal(told(bench, 3, REPLICA_LINK_OFFER, name_of(0, 3), REPLICA_LINK_WANT), 1);
    bench->time.room = false;
    assert_int_equal(told(bench, 3, REPLICA_LINK_OFFER, name_of(0, 3), REPLICA_LINK_WANT), 0);
    bench_destroy(bench);
}

static void offer__that_is_malformed_is_refused(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    static uint8_t names[(FORWARD_NAMES_MAX + 1) * NAME_SIZE];
    static const size_t sizes[] = {0, 1, NAME_SIZE - 1, NAME_SIZE + 1, sizeof(names)};
    uint64_t refused = bench->replica->counters.messages_refused;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int kind = REPLICA_LINK_OFFER; kind <= REPLICA_LINK_WANT; kind++) {
            assert_int_equal(told(bench, 2, (enum replica_link) kind, ord_span_of(names, sizes[i]), REPLICA_LINK_WANT),
                             0);
            assert_int_equal(bench->replica->counters.messages_refused, ++refused);
        }
    bench_destroy(bench);
}

/* A forward is envelopes alone: no height to cut, and no view. */
static void forward__is_no_batch_to_be_ordered(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    const struct ord_span envelope = net_envelope(bench->net, bench->client, 2, 1, 100, 2);
    const struct ord_span good = net_batch(bench->net, 0, &envelope, 1);
    uint8_t bytes[1024];
    struct ord_writer named = ord_writer_of(bytes, sizeof(bytes));
    channel_batch_begin_view(&named, 0, 1);
    channel_batch_add(&named, envelope);
    assert_ok(channel_batch_end(&named, 1));
    uint64_t refused = bench->replica->counters.messages_refused;
    bench_message(bench, 2, REPLICA_LINK_FORWARD, net_batch(bench->net, 2, &envelope, 1));
    bench_message(bench, 2, REPLICA_LINK_FORWARD, ord_writer_span(&named));
    bench_run(bench);
    assert_int_equal(bench->replica->counters.messages_refused, refused + 2);
    assert_int_equal(bench->replica->pool.envelopes, 0);
    bench_message(bench, 2, REPLICA_LINK_FORWARD, good);
    bench_run(bench);
    assert_int_equal(bench->replica->pool.envelopes, 1);
    bench_destroy(bench);
}

/* ---- batches ---- */

static uint64_t largest_cost;
static uint32_t proposed;

static void measure_batch(struct bench *bench, const struct ord_event *event) {
    struct channel_batch batch;
    if (event->type != ORD_EVENT_PROPOSE)
        return;
    assert_ok(channel_batch_decode(&batch, event->propose.batch));
    proposed += batch.envelope_count;
    bench->status.in_flight++;
    uint64_t cost = event->propose.batch.size + (uint64_t) batch.envelope_count * POOL_ENVELOPE_COST;
    largest_cost = ord_max(largest_cost, cost);
}

/* A batch that took longer than the timeout would look like a mute primary. So it is small where little is ordered. */
/* ---- lean batches ---- */

static struct ord_span lean_batch;
static uint64_t lean_seq;

static void offer(struct bench *bench, const struct ord_event *event) {
    if (event->type != ORD_EVENT_TICK || lean_batch.size == 0)
        return;
    struct ord_effect *effect = bench_effect(bench, ORD_EFFECT_JUDGE);
    effect->judge.seq = ++lean_seq;
    effect->judge.batch = lean_batch;
    lean_batch = ord_span_of(NULL, 0);
}

/* The leader proposes `count` envelopes of the client, each `times`. Tells whether the core hears of a lean batch. */
static bool is_lean_with(struct bench *bench, uint64_t first, uint32_t count, uint32_t times) {
    static uint8_t bytes[65536];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    channel_batch_begin(&writer, 0);
    for (uint32_t i = 0; i < count * times; i++)
        channel_batch_add(&writer,
                          net_envelope(bench->net, bench->client, first + i % count, 1, 400, (uint8_t) (i % count)));
    assert_ok(channel_batch_end(&writer, count * times));
    lean_batch = ord_writer_span(&writer);
    bench->on_step = offer;
    bench->replica->agree.wake_at_ms = 0;
    uint64_t before = bench->stepped[ORD_EVENT_JUDGED];
    bench_run(bench);
    bench_check_all(bench);
    bench_run(bench);
    assert_int_equal(bench->stepped[ORD_EVENT_JUDGED], before + 1);
    assert_true(bench->last[ORD_EVENT_JUDGED].judged.admissible);
    return bench->last[ORD_EVENT_JUDGED].judged.lean;
}

static bool is_lean(struct bench *bench, uint64_t first, uint32_t count) {
    return is_lean_with(bench, first, count, 1);
}

/* What fills a batch up must be work: nothing twice, and nothing that was executed. */
static void batch__that_repeats_envelopes_is_lean(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    lean_seq = 1;
    assert_int_equal(submit(bench, 1, 1, &submission), 1);
    bench->time.now_ms += TIMEOUT_MS / 4 + 1;
    uint32_t full = (uint32_t) (pace_lean_cost(bench->replica) / (POOL_ENVELOPE_COST + 400)) + 1;
    assert_true(is_lean_with(bench, 101, 1, 2 * full));
    assert_false(is_lean_with(bench, 201, full, 1));
    bench->time.now_ms += TIMEOUT_MS / 4 + 1; /* it was sent again meanwhile, to all */
    struct channel_client *client =
        (struct channel_client *) (uintptr_t) channel_client_get(replica_channel(bench->replica), 0);
    client->highest_sequence = 5000; /* all that follows is too old to be executed again */
    assert_true(is_lean_with(bench, 301, full, 1));
    bench_destroy(bench);
}

/* A small batch without what the leader has had for a quarter of the timeout is lean. What it has just got may wait. */
static void batch__without_old_work_is_lean(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    lean_seq = 1;
    assert_true(pace_lean_cost(bench->replica) > 2000);
    assert_int_equal(submit(bench, 1, 1, &submission), 1);
    assert_false(is_lean(bench, 101, 1));
    bench->time.now_ms += TIMEOUT_MS / 4 + 1;
    assert_true(is_lean(bench, 102, 1));
    assert_false(is_lean(bench, 1, 1));
    bench->time.now_ms += TIMEOUT_MS / 4 + 1;
    assert_false(is_lean(bench, 103, 1));
    bench_destroy(bench);
}

/* A full batch is not lean, and neither is one without what was sent so long ago that it may be lost. */
static void batch__of_an_honest_leader_is_not_lean(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    lean_seq = 1;
    assert_int_equal(submit(bench, 1, 1, &submission), 1);
    bench->time.now_ms += TIMEOUT_MS / 4 + 1;
    uint32_t full = (uint32_t) (pace_lean_cost(bench->replica) / (POOL_ENVELOPE_COST + 400)) + 1;
    assert_false(is_lean(bench, 101, full));
    bench->time.now_ms += TIMEOUT_MS / 4 + 1; /* it was sent again meanwhile, to all */
    assert_true(is_lean(bench, 201, 1));
    bench->replica->pool.owed_first->forwarded_ms = bench->time.now_ms - 2 * TIMEOUT_MS - 1;
    assert_false(is_lean(bench, 202, 1));
    assert_null(bench->replica->pool.owed_first);
    /* Another leader owes what it is sent from then on. */
    pass_until_offered(bench, 20000, false);
    assert_non_null(bench->replica->pool.owed_first);
    pool_leader_changed(&bench->replica->pool, bench->time.now_ms);
    assert_null(bench->replica->pool.owed_first);
    bench_destroy(bench);
}

static void batch__is_a_quarter_of_what_is_ordered_in_a_timeout(void **state) {
    (void) state;
    struct bench *bench = make_backup();
    struct replica_submission *submission;
    uint32_t accepted = submit(bench, 1, 20, &submission);
    uint64_t cost = bench->replica->pool.settled_cost / accepted;
    uint64_t most = floor_rate(bench) * TIMEOUT_MS / 1000 / 4;
    assert_true(bench->replica->pool.settled_cost > most + cost);
    bench->replica->agree.leader = 0;
    pool_leader_changed(&bench->replica->pool, bench->time.now_ms);
    bench->status.leading = true;
    bench->status.can_propose = true;
    bench->on_step = measure_batch;
    largest_cost = proposed = 0;
    bench_run(bench);
    assert_true(proposed > 0 && proposed < accepted);
    assert_true(largest_cost <= most + 64 && largest_cost > most - cost);
    bench->status.in_flight = 0;
    bench_run(bench);
    assert_int_equal(proposed, accepted);
    bench_destroy(bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(rate__begins_high_and_follows_what_is_served),
    cmocka_unit_test(rate__of_what_hardly_waits_doubles_with_what_is_served),
    cmocka_unit_test(rate__does_not_rise_with_a_trickle),
    cmocka_unit_test(rate__is_not_measured_while_nothing_waits_or_nobody_leads),
    cmocka_unit_test(rate__of_a_slow_leader_has_a_bound),
    cmocka_unit_test(rate__of_one_fast_leader_is_no_measure),
    cmocka_unit_test(rate__has_a_floor),
    cmocka_unit_test(rate__has_a_floor_that_many_replicas_share),
    cmocka_unit_test(admission__of_one_client_ends_at_half),
    cmocka_unit_test(admission__has_some_for_every_client),
    cmocka_unit_test(admission__has_room_for_one_large_envelope),
    cmocka_unit_test(admission__of_a_large_envelope_has_its_turn),
    cmocka_unit_test(admission__of_copies_has_a_total),
    cmocka_unit_test(forward__of_what_stays_backs_off),
    cmocka_unit_test(forward__leaves_what_is_queued),
    cmocka_unit_test(forward__has_a_share),
    cmocka_unit_test(offer__is_given_once_to_each),
    cmocka_unit_test(offer__is_asked_for_if_it_is_needed),
    cmocka_unit_test(offer__that_is_malformed_is_refused),
    cmocka_unit_test(forward__is_no_batch_to_be_ordered),
    cmocka_unit_test(batch__that_repeats_envelopes_is_lean),
    cmocka_unit_test(batch__without_old_work_is_lean),
    cmocka_unit_test(batch__of_an_honest_leader_is_not_lean),
    cmocka_unit_test(batch__is_a_quarter_of_what_is_ordered_in_a_timeout),
};
TEST_CASES(cases);
