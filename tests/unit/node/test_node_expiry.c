/* Warnings of certificates that end (row F10). */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "node/expiry.h"
#include "tests/support/test_main.h"

#define DAY_S 86400

static struct channel_config config;

static void add_org(struct crypto_pem *ca, const char *name, uint32_t days) {
    struct channel_org *org = &config.orgs[config.org_count++];
    size_t size = sizeof(org->ca_der);
    assert_ok(crypto_ca_create(ca, name, days));
    assert_ok(crypto_cert_der(org->ca_der, &size, ca->cert));
    org->ca_der_size = (uint32_t) size;
    snprintf(org->name, sizeof(org->name), "%s", name);
}

/* The certificate that ends first is watched, whosever it is. */
static void expiry__watches_what_ends_first(void **state) {
    (void) state;
    static struct crypto_pem ca, other, tls;
    struct expiry expiry;
    memset(&config, 0, sizeof(config));
    add_org(&ca, "org1", 300);
    assert_ok(crypto_tls_create(&tls, &ca, "org1", CRYPTO_ROLE_REPLICA, "replica0", NULL, 200));
    int64_t now_s = (int64_t) time(NULL);
    assert_ok(expiry_init(&expiry, &config, tls.cert));
    assert_string_equal(expiry.what, "own TLS certificate");
    assert_true(expiry.ends_s > now_s + INT64_C(199) * DAY_S && expiry.ends_s <= now_s + INT64_C(200) * DAY_S + 60);
    add_org(&other, "org2", 100);
    assert_ok(expiry_init(&expiry, &config, tls.cert));
    assert_string_equal(expiry.what, "CA of organisation org2");
    assert_err(expiry_init(&expiry, &config, "no certificate"), ORD_ERR_INVALID);
}

static void expiry__warns_once_at_each_stage(void **state) {
    (void) state;
    struct expiry expiry = {.ends_s = INT64_C(1000) * DAY_S, .what = "own TLS certificate"};
    const struct {
        int64_t left_s;
        enum expiry_stage stage;
        bool warns;
    } rows[] = {
        {31 * DAY_S, EXPIRY_FAR, false},  {30 * DAY_S + 1, EXPIRY_FAR, false},
        {30 * DAY_S, EXPIRY_MONTH, true}, {8 * DAY_S, EXPIRY_MONTH, false},
        {7 * DAY_S, EXPIRY_WEEK, true},   {2 * DAY_S, EXPIRY_WEEK, false},
        {DAY_S, EXPIRY_DAY, true},        {1, EXPIRY_DAY, false},
        {0, EXPIRY_ENDED, true},          {-DAY_S, EXPIRY_ENDED, false},
        {9 * DAY_S, EXPIRY_MONTH, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t wall_s = expiry.ends_s - rows[i].left_s;
        assert_int_equal(expiry_stage_at(&expiry, wall_s), rows[i].stage);
        assert_int_equal(expiry_tick(&expiry, wall_s), rows[i].warns);
    }
}

/* A replica that was away for a month warns of the nearest stage, once. */
static void expiry__skips_the_stages_that_have_passed(void **state) {
    (void) state;
    struct expiry expiry = {.ends_s = INT64_C(1000) * DAY_S, .what = "own TLS certificate"};
    assert_true(expiry_tick(&expiry, expiry.ends_s - 3600));
    assert_false(expiry_tick(&expiry, expiry.ends_s - 3599));
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(expiry__watches_what_ends_first),
    cmocka_unit_test(expiry__warns_once_at_each_stage),
    cmocka_unit_test(expiry__skips_the_stages_that_have_passed),
};

TEST_CASES(cases);
