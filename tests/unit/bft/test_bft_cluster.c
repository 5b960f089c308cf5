/*
 * Clusters of PBFT cores under a seeded scheduler that loses, duplicates and reorders messages, delays judgements,
 * crashes replicas in the middle of a turn, restarts them from their disks, and puts liars among them.
 * tests/support/bft_host.c checks at every step what must hold for each replica (order, exactly once, no contradicting
 * statement), and this file checks agreement. After the network heals there must be progress, whichever replica leads
 * and whichever are dead. Rows P1, P2, P4, P12, P14, P15, V6, V8, V11, V15 and V16 in docs/adversary.md (for V16: a
 * replica that has forgotten nothing is never silent).
 *
 * ORD_BFT_SEED=n runs one seed: the one that a failure printed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "tests/support/bft_net.h"

/* Agreement: the first replica that has a prefix on disk fixes it for all replicas. */
static void check_agreement(struct net *net, const struct host *host) {
    for (uint64_t seq = net->agreed_count + 1; seq <= host->durable_applied; seq++) {
        net->agreed[seq] = host->chain[seq];
        net->agreed_batch[seq] = host->batches[seq];
        net->agreed_count = seq;
    }
    uint64_t seq = host->durable_applied;
    if (!ord_hash_equal(&net->agreed[seq], &host->chain[seq]))
        fail_msg("seed %" PRIu64 ": replica %u disagrees at seq %" PRIu64, net->seed, host->config.self, seq);
}

/* The highest checkpoint that a quorum has on disk: attestations would certify it. */
static uint64_t certified_seq(const struct net *net) {
    uint64_t best = 0;
    for (ord_node_id node = 0; node < net->count; node++) {
        uint64_t seq = net->hosts[node].durable_applied;
        while (seq > best && !net->hosts[node].is_point[seq])
            seq--;
        uint32_t have = 0;
        for (ord_node_id other = 0; other < net->count; other++)
            have += net->hosts[other].durable_applied >= seq || is_liar(net, other);
        if (have >= ord_bft_quorum(net->count) && seq > best)
            best = seq;
    }
    return best;
}

static void propose_some(struct net *net, struct host *host) {
    struct ord_status status;
    bft_pbft.status(host->core, &status);
    uint8_t batch[400] = {0};
    for (uint64_t i = below(net, 4); i > 0 && status.leading && status.proposed_seq + 64 < HOST_SEQ_MAX; i--) {
        size_t size = 8 + below(net, host->config.batch_bytes_max - 7);
        ord_store_u64(batch, net->batches_made++);
        size_t rejects = host->reject_count;
        bft_pbft.status(host->core, &status);
        host_propose(host, ord_span_of(batch, size), net->now_ms);
        assert_true(!status.can_propose || host->reject_count == rejects);
    }
}

static void receive_some(struct net *net, struct host *host) {
    for (size_t i = 0; i < net->flying_count;) {
        struct flying *message = &net->flying[i];
        if (message->to != host->config.self || message->due_ms > net->now_ms) {
            i++;
            continue;
        }
        struct flying taken = *message;
        *message = net->flying[--net->flying_count];
        assert_ok(host_receive(host, taken.from, ord_span_of(taken.data, taken.size), net->now_ms));
        free(taken.data);
    }
}

/*
 * One backup may misjudge, like one whose state lags; the certificates of the others overrule it. If more than f did,
 * they would suspect the primary.
 */
static bool doubts(struct net *net, const struct host *host) {
    ord_node_id doubter = (bft_primary(&host->config, 0) + 2) % net->count;
    return host->config.self == doubter && chance(net, net->refuse_percent);
}

/* One turn of a replica, which may die before its commit, or between commit and sends. */
static void run_turn(struct net *net, struct host *host) {
    bool may_crash = !net->healed;
    receive_some(net, host);
    for (size_t i = host->judge_count; i > 0; i--)
        if (net->healed || chance(net, 60))
            host_judge(host, below(net, host->judge_count), !doubts(net, host), net->now_ms);
    if (host->wake_ms != 0 && host->wake_ms <= net->now_ms) {
        struct ord_event tick = {.type = ORD_EVENT_TICK, .now_ms = net->now_ms};
        assert_ok(host_step(host, &tick));
    }
    if (!net->healed && net->hand_over_per_10000 > 0 && below(net, 10000) < net->hand_over_per_10000) {
        struct ord_event hand_over = {.type = ORD_EVENT_HAND_OVER, .now_ms = net->now_ms};
        assert_ok(host_step(host, &hand_over));
    }
    uint64_t certified = certified_seq(net);
    struct ord_status status;
    bft_pbft.status(host->core, &status);
    if (certified > status.stable_seq && chance(net, 10))
        host_attested(host, certified, net->now_ms);
    if (host->sync_seq != 0 && chance(net, 5) && certified >= host->sync_seq)
        for (ord_node_id node = 0; node < net->count && host->sync_seq != 0; node++)
            if (!is_liar(net, node) && net->hosts[node].durable_applied >= certified)
                host_sync_from(host, &net->hosts[node], certified, net->now_ms);
    if (chance(net, net->healed ? 20 : 30))
        propose_some(net, host);
    if (host->applied != net->worked_seq[host->config.self] || net->worked_view[host->config.self] != host->view) {
        /* There is always work, and each delivery does the oldest. */
        net->worked_seq[host->config.self] = host->applied;
        net->worked_view[host->config.self] = host->view;
        host_work(host, net->now_ms, net->now_ms);
    }
    bool dies_before = may_crash && below(net, 10000) < net->crash_per_10000;
    bool dies_after = may_crash && below(net, 10000) < net->crash_per_10000;
    if (!dies_before || chance(net, 50))
        host_flush(host, net->now_ms);
    if (!dies_before) {
        host_commit(host);
        check_agreement(net, host);
    }
    for (size_t i = 0; !dies_before && !dies_after && i < host->send_count; i++) {
        note_change(net, host->config.self, ord_span_of(host->sends[i].data, host->sends[i].size));
        for (ord_node_id to = 0; to < net->count; to++)
            if ((host->sends[i].to & ord_replica_bit(to)) != 0)
                lossy_post(net, host->config.self, to, ord_span_of(host->sends[i].data, host->sends[i].size));
    }
    host_sends_clear(host);
    if (dies_before || dies_after) {
        host_crash(host);
        net->down_until_ms[host->config.self] = net->now_ms + below(net, 300);
    }
}

static void advance(struct net *net) {
    net->now_ms++;
    for (ord_node_id node = 0; node < net->count; node++) {
        struct host *host = &net->hosts[node];
        if (is_liar(net, node)) {
            if (chance(net, 20))
                lie(net, node);
            continue;
        }
        if (host->core == NULL && net->now_ms >= net->down_until_ms[node] && (net->dead & ord_replica_bit(node)) == 0) {
            assert_ok(host_start(host, net->now_ms));
            host_work(host, net->now_ms, net->now_ms);
        }
        if (host->core != NULL)
            run_turn(net, host);
    }
    /* Messages to dead replicas and to liars are lost. */
    for (size_t i = 0; i < net->flying_count;) {
        struct flying *message = &net->flying[i];
        if (message->due_ms <= net->now_ms && (is_liar(net, message->to) || net->hosts[message->to].core == NULL)) {
            free(message->data);
            *message = net->flying[--net->flying_count];
        } else {
            i++;
        }
    }
}

static void net_init(struct net *net, uint64_t seed, enum liar liar) {
    memset(net, 0, sizeof(*net));
    net->seed = seed;
    net->state = seed;
    net->crypto = (struct ord_crypto_ops) {.hash = quick_hash, .verify = stand_in_verify, .context = &net->crypto};
    net->count = chance(net, 70) ? 4 : (uint32_t) (5 + below(net, 3));
    net->loss_percent = chance(net, 30) ? 0 : (uint32_t) below(net, 30);
    net->double_percent = (uint32_t) below(net, 20);
    net->crash_per_10000 = chance(net, 30) ? 0 : (uint32_t) below(net, 60);
    net->delay_ms_max = (uint32_t) (1 + below(net, 12));
    net->refuse_percent = liar != NOBODY || chance(net, 70) ? 0 : 10;
    net->hand_over_per_10000 = seed % 3 == 0 ? 50 : 0;
    struct ord_core_config config = {.replica_count = net->count, .epoch = seed, .crypto = &net->crypto};
    /* One random draw per statement, so that a seed means the same with every compiler. */
    config.window = (uint32_t) (4 + below(net, 90));
    config.batch_bytes_max = (uint32_t) (16 + below(net, 380));
    config.retransmit_ms = (uint32_t) (10 + below(net, 40));
    config.checkpoint_interval = (uint32_t) (1 + below(net, config.window / 2));
    config.body_bytes_max = config.batch_bytes_max * (4 + below(net, 40));
    net->options = (struct bft_options) {.request_timeout_ms = (uint32_t) (60 + below(net, 200)),
                                         .checkpoints = stand_in_checkpoints(&net->crypto)};
    config.options = &net->options;
    const struct ord_span nothing = ord_span_of(NULL, 0);
    net->crypto.hash(&net->null_batch, &nothing, 1);
    ord_store_u64(config.genesis_hash.bytes, seed * 77);
    ord_node_id primary = bft_primary(&config, 0);
    if (liar == BACKUP)
        net->liars = ord_replica_bit((primary + 1) % net->count);
    else if (liar != NOBODY)
        net->liars = ord_replica_bit(primary);
    if (liar == TWO_TONGUES)
        net->options.request_timeout_ms = 3600000; /* no clock replaces the primary */
    for (ord_node_id node = 0; node < net->count; node++) {
        config.self = node;
        host_init(&net->hosts[node], &config);
        net->hosts[node].asks = true;
    }
}

static void net_deinit(struct net *net) {
    for (size_t i = 0; i < net->flying_count; i++)
        free(net->flying[i].data);
    for (ord_node_id node = 0; node < net->count; node++) {
        assert_int_equal(net->hosts[node].culprits & ~net->liars, 0); /* no honest replica is ever accused */
        host_deinit(&net->hosts[node]);
        free(net->changes[node]);
    }
}

static uint64_t slowest(const struct net *net) {
    uint64_t seq = UINT64_MAX;
    for (ord_node_id node = 0; node < net->count; node++)
        if (((net->liars | net->dead) & ord_replica_bit(node)) == 0 && net->hosts[node].durable_applied < seq)
            seq = net->hosts[node].durable_applied;
    return seq;
}

static void heal(struct net *net) {
    net->healed = true;
    net->refuse_percent = 0;
    for (ord_node_id node = 0; node < net->count; node++)
        net->down_until_ms[node] = 0;
}

static void describe(const struct net *net) {
    for (ord_node_id node = 0; node < net->count; node++) {
        const struct host *host = &net->hosts[node];
        struct ord_status status = {0};
        if (host->core != NULL)
            bft_pbft.status(host->core, &status);
        print_error("\nreplica %u%s: applied %" PRIu64 " stable %" PRIu64 " proposed %" PRIu64 " body bytes %" PRIu64
                    " of %" PRIu64 " dropped %" PRIu64 " refused %" PRIu64 " sent again %" PRIu64
                    " judging %zu sync %" PRIu64 " wake %" PRIu64 " now %" PRIu64 " view %" PRIu64 "%s",
                    node,
                    is_liar(net, node) ? " (liar)"
                    : status.leading   ? " (primary)"
                                       : "",
                    host->applied, status.stable_seq, status.proposed_seq, status.body_bytes,
                    host->config.body_bytes_max, status.messages_dropped, status.messages_refused,
                    status.retransmissions, host->judge_count, host->sync_seq, host->wake_ms, net->now_ms, status.view,
                    status.changing ? " changing" : "");
    }
    print_error("\n");
}

/* Every replica that is not dead gets `more` seqs beyond those that were decided. */
static void expect_progress(struct net *net, uint64_t more) {
    uint64_t goal = net->agreed_count + more;
    uint64_t deadline_ms = net->now_ms + 60000;
    while (slowest(net) < goal && net->now_ms < deadline_ms)
        advance(net);
    if (slowest(net) < goal)
        describe(net);
    if (slowest(net) < goal)
        fail_msg("seed %" PRIu64 ": at %" PRIu64 " of %" PRIu64 " long after the network healed", net->seed,
                 slowest(net), goal);
}

static struct net net_of_run; /* too large for the stack */

static bool all_speak(const struct net *net) {
    for (ord_node_id node = 0; node < net->count; node++) {
        struct ord_status status;
        if (is_liar(net, node))
            continue;
        if (net->hosts[node].core == NULL)
            return false;
        bft_pbft.status(net->hosts[node].core, &status);
        if (status.asking || status.silent)
            return false;
    }
    return true;
}

/*
 * True if the faulty replicas are more than f: the liars, and the replicas that started with an empty disk while
 * something was stable elsewhere. A silent replica counts as one of the f. With more than f, nothing has to be ordered,
 * and such a replica stays silent (rule 26).
 */
static bool more_than_f(const struct net *net) {
    ord_replica_set faulty = net->liars;
    for (ord_node_id node = 0; node < net->count; node++)
        if (net->hosts[node].lost)
            faulty |= ord_replica_bit(node);
    return ord_replica_count(faulty) > ord_bft_faulty_max(net->count);
}

/*
 * A replica that joined late, when the network had begun without it, is silent for a while (row V16). Until then it is
 * one of the f. False: there were more than f, and nothing at all was decided.
 */
static bool expect_voices(struct net *net) {
    uint64_t deadline_ms = net->now_ms + 60000;
    uint64_t agreed_count = net->agreed_count;
    while (!all_speak(net) && net->now_ms < deadline_ms)
        advance(net);
    if (!all_speak(net) && more_than_f(net) && net->agreed_count == agreed_count)
        return false;
    if (!all_speak(net))
        describe(net);
    if (!all_speak(net))
        fail_msg("seed %" PRIu64 ": somebody is silent long after the network healed", net->seed);
    return true;
}

static void run(uint64_t seed, enum liar liar) {
    struct net *net = &net_of_run;
    net_init(net, seed, liar);
    uint64_t duration_ms = 200 + below(net, 300);
    while (net->now_ms < duration_ms && net->agreed_count + 200 < HOST_SEQ_MAX)
        advance(net);
    heal(net);
    if (!expect_voices(net)) {
        net_deinit(net);
        return;
    }
    /* Up to f random replicas stay dead for a while, and the others do without them. */
    if (liar == NOBODY && chance(net, 50)) {
        uint32_t faulty = (uint32_t) below(net, ord_bft_faulty_max(net->count) + 1);
        for (uint32_t i = 0; i < faulty; i++) {
            ord_node_id node = (ord_node_id) below(net, net->count);
            net->dead |= ord_replica_bit(node);
            host_crash(&net->hosts[node]);
        }
        expect_progress(net, 50);
        net->dead = 0;
    }
    expect_progress(net, 50);
    /* Each batch is in the order once. */
    for (uint64_t a = 1; a <= net->agreed_count && liar != PRIMARY; a++)
        for (uint64_t b = a + 1; b <= net->agreed_count; b++)
            assert_true(!ord_hash_equal(&net->agreed_batch[a], &net->agreed_batch[b]) ||
                        ord_hash_equal(&net->agreed_batch[a], &net->null_batch));
    net_deinit(net);
}

/* True if every honest replica has installed a later view. */
static bool replaced(const struct net *net) {
    for (ord_node_id node = 0; node < net->count; node++) {
        struct ord_status status;
        if (is_liar(net, node))
            continue;
        if (net->hosts[node].core == NULL)
            return false; /* not even started */
        bft_pbft.status(net->hosts[node].core, &status);
        if (status.view == 0 || status.changing)
            return false;
    }
    return true;
}

/*
 * A primary tells two halves different things, and some replicas perhaps nothing, over a network that only delays. No
 * replica waits for a clock.
 */
static void run_two_tongues(uint64_t seed) {
    struct net *net = &net_of_run;
    net_init(net, seed, TWO_TONGUES);
    net->two_tongues = true;
    net->crash_per_10000 = 0;
    net->healed = true;
    while (net->told_one == 0 || net->told_two == 0) {
        net->told_one = net->told_two = 0;
        for (ord_node_id node = 0; node < net->count; node++) {
            uint64_t which = below(net, 5);
            if (!is_liar(net, node) && which < 4)
                *(which < 2 ? &net->told_one : &net->told_two) |= ord_replica_bit(node);
        }
    }
    while (!replaced(net) && net->now_ms < 2000)
        advance(net);
    ord_replica_set culprits = 0;
    for (ord_node_id node = 0; node < net->count; node++)
        culprits |= net->hosts[node].culprits;
    if (!replaced(net) || culprits != net->liars) {
        describe(net);
        fail_msg("seed %" PRIu64 ": a primary that told two halves different things was not caught", seed);
    }
    expect_progress(net, 30);
    net_deinit(net);
}

static void cluster__replaces_a_primary_with_two_tongues(void **state) {
    (void) state;
    const char *only = getenv("ORD_BFT_SEED");
    for (uint64_t seed = 3001; only == NULL && seed < 3101; seed++)
        run_two_tongues(seed);
    if (only != NULL)
        run_two_tongues(strtoull(only, NULL, 10));
}

static void run_seeds(uint64_t first, uint64_t count, enum liar liar) {
    const char *only = getenv("ORD_BFT_SEED");
    if (only != NULL) {
        run(strtoull(only, NULL, 10), liar);
        return;
    }
    for (uint64_t seed = first; seed < first + count; seed++) {
        /* A broken invariant aborts; this is then the last line of output. */
        fprintf(stderr, "\rseed %" PRIu64 " ", seed);
        run(seed, liar);
    }
    fprintf(stderr, "\n");
}

static void cluster__agrees_and_goes_on_with_honest_replicas(void **state) {
    (void) state;
    run_seeds(1, 200, NOBODY);
}

static void cluster__agrees_and_goes_on_with_a_lying_backup(void **state) {
    (void) state;
    run_seeds(1001, 100, BACKUP);
}

static void cluster__agrees_and_goes_on_under_a_lying_primary(void **state) {
    (void) state;
    run_seeds(2001, 100, PRIMARY);
}

/* New seeds on each run; a failure names its seed. */
static void cluster__holds_on_fresh_seeds(void **state) {
    (void) state;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t first = (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
    run_seeds(first, 60, NOBODY);
    run_seeds(first, 40, BACKUP);
    run_seeds(first, 40, PRIMARY);
    for (uint64_t seed = first; seed < first + 40; seed++)
        run_two_tongues(seed);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(cluster__agrees_and_goes_on_with_honest_replicas),
    cmocka_unit_test(cluster__agrees_and_goes_on_with_a_lying_backup),
    cmocka_unit_test(cluster__agrees_and_goes_on_under_a_lying_primary),
    cmocka_unit_test(cluster__replaces_a_primary_with_two_tongues),
    cmocka_unit_test(cluster__holds_on_fresh_seeds),
};
TEST_CASES(cases);
