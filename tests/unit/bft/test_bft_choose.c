/*
 * What a new view proposes again, bft/view/choose.c, against a plain reading of OSDI'99, section 4.4: "min-s is the
 * sequence number of the latest stable checkpoint in V and max-s the highest sequence number in a prepare message in V
 * ... for each n between: (1) there is at least one set in the P component of some view-change message in V with
 * sequence number n" (then the digest of the one with the highest view is chosen) "or (2) there is no such set" (then
 * the null request). Rows V6 and V7 in docs/adversary.md.
 */
#include "bft/bft_internal.h"
#include "tests/support/bft_bench.h"

enum { MODEL_CERTIFICATE_MAX = 8 };

/* The content of a view change. */
struct told {
    bool in_set;
    uint64_t stable_seq;
    uint32_t count;
    struct prepared prepared[MODEL_CERTIFICATE_MAX];
};

static uint64_t random_state;

static uint64_t below(uint64_t bound) {
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % bound;
}

static uint64_t plain_min_s(const struct told *told, uint32_t n) {
    uint64_t min_s = 0;
    for (uint32_t i = 0; i < n; i++)
        if (told[i].in_set && told[i].stable_seq > min_s)
            min_s = told[i].stable_seq;
    return min_s;
}

/*
 * The certificate for `seq` with the highest view. If one view has two, which no quorum can make, the one with the
 * lower digest. NULL: there is none.
 */
static const struct prepared *plain_best(const struct told *told, uint32_t n, uint64_t seq) {
    const struct prepared *best = NULL;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t c = 0; told[i].in_set && c < told[i].count; c++) {
            const struct prepared *have = &told[i].prepared[c];
            if (have->seq != seq)
                continue;
            if (best == NULL || have->view > best->view ||
                (have->view == best->view && memcmp(&have->digest, &best->digest, ORD_HASH_SIZE) < 0))
                best = have;
        }
    return best;
}

/* The replicas that report this certificate. */
static ord_replica_set plain_holders(const struct told *told, uint32_t n, const struct prepared *best) {
    ord_replica_set holders = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t c = 0; told[i].in_set && c < told[i].count; c++) {
            const struct prepared *have = &told[i].prepared[c];
            if (have->seq == best->seq && have->view == best->view && ord_hash_equal(&have->digest, &best->digest))
                holders |= ord_replica_bit(i);
        }
    return holders;
}

static uint64_t plain_max_s(const struct told *told, uint32_t n, uint64_t min_s) {
    uint64_t max_s = min_s;
    for (uint64_t seq = min_s + 1; seq <= min_s + 100; seq++)
        if (plain_best(told, n, seq) != NULL)
            max_s = seq;
    return max_s;
}

static void make_up(struct told *told, const struct ord_core_config *config) {
    static const char *const batches[] = {"a", "b", "c", ""};
    *told = (struct told) {.in_set = below(4) > 0, .stable_seq = below(3) * 4 + below(2)};
    for (uint64_t seq = told->stable_seq + 1; seq <= told->stable_seq + config->window; seq++)
        if (below(3) == 0)
            told->prepared[told->count++] =
                (struct prepared) {.seq = seq, .view = below(4), .digest = digest_of(batches[below(4)])};
}

static void choice__is_that_of_the_paper(void **state) {
    (void) state;
    struct bench bench;
    struct told told[7];
    uint32_t nulls = 0;
    bench_open(&bench, 1);
    bench_close(&bench);
    bench.config.replica_count = 7;
    host_init(&bench.host, &bench.config);
    assert_ok(host_start(&bench.host, bench.now_ms));
    struct ord_core *core = bench.host.core;
    random_state = 1;
    for (uint32_t contest = 0; contest < 300; contest++) {
        ord_replica_set set = 0;
        for (ord_node_id node = 0; node < 7; node++) {
            make_up(&told[node], &bench.config);
            struct ord_span bytes =
                make_view_change(&bench.config, node, 5, told[node].stable_seq, told[node].prepared, told[node].count);
            memcpy(core->changes[node].bytes, bytes.data, bytes.size);
            core->changes[node].size = bytes.size;
            core->changes[node].view = 5;
            set |= told[node].in_set ? ord_replica_bit(node) : 0;
        }
        struct bft_change_set changes = bft_changes_of(core, set);
        bft_choose(core, &changes);
        uint64_t base_seq = core->choice_base_seq;
        uint64_t min_s = plain_min_s(told, 7);
        assert_int_equal(base_seq, min_s);
        assert_int_equal(base_seq + core->choice_count, plain_max_s(told, 7, min_s));
        for (uint32_t i = 0; i < core->choice_count; i++) {
            const struct prepared *best = plain_best(told, 7, base_seq + 1 + i);
            const struct ord_hash expected = best == NULL ? digest_of("") : best->digest;
            assert_true(ord_hash_equal(bft_choice_digest(core, i), &expected));
            assert_int_equal(core->choices[i].chosen, best != NULL);
            if (best != NULL) {
                assert_int_equal(core->choices[i].view, best->view);
                assert_int_equal(core->choices[i].holders, plain_holders(told, 7, best));
            }
            nulls += best == NULL;
        }
    }
    assert_true(nulls > 100);
    bench_close(&bench);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(choice__is_that_of_the_paper),
};
TEST_CASES(cases);
