/*
 * node.cfg and key files: the refused ones, and the sentence that names file, line and setting.
 */
#include "tests/support/test_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/config.h"

#define REQUIRED                                                                                                       \
    "replica = 2;\n"                                                                                                   \
    "genesis_file = \"../genesis.block\";\n"                                                                           \
    "data_dir = \"data\";\n"                                                                                           \
    "identity_key_file = \"identity.key\";\n"                                                                          \
    "tls_cert_file = \"tls.crt\";\n"                                                                                   \
    "tls_key_file = \"tls.key\";\n"
#define FIRST_LINE_AFTER 7

/* A folder with one file in it. */
struct fixture {
    char folder[64];
    char path[128];
    char why[512];
    struct node_config config;
};

static void fixture_write(struct fixture *fixture, const void *data, size_t size) {
    FILE *file = fopen(fixture->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static struct fixture *fixture_open(void) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    memcpy(fixture->folder, "/tmp/ordain-test-XXXXXX", sizeof("/tmp/ordain-test-XXXXXX"));
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/node.cfg", fixture->folder);
    return fixture;
}

static void fixture_close(struct fixture *fixture) {
    assert_true(unlink(fixture->path) == 0 || errno == ENOENT);
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
}

static enum ord_err load(struct fixture *fixture, const char *text) {
    fixture_write(fixture, text, strlen(text));
    return node_config_load(&fixture->config, fixture->path, fixture->why, sizeof(fixture->why));
}

/* The text is refused. The sentence contains `expected`, after file and line (0: no line). */
static void assert_refused(const char *text, unsigned line, const char *expected) {
    struct fixture *fixture = fixture_open();
    assert_err(load(fixture, text), ORD_ERR_INVALID);
    char place[160];
    if (line == 0)
        snprintf(place, sizeof(place), "%s: ", fixture->path);
    else
        snprintf(place, sizeof(place), "%s:%u: ", fixture->path, line);
    assert_memory_equal(fixture->why, place, strlen(place));
    assert_non_null(strstr(fixture->why, expected));
    fixture_close(fixture);
}

static void config__takes_settings_and_makes_paths_absolute(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    assert_ok(load(fixture, REQUIRED "replica_listen_host = \"127.0.0.1\";\n"
                                     "replica_listen_port = 7050;\n"
                                     "pool_bytes_max = 3000000000;\n"
                                     "ledger_map_bytes_max = 1099511627776L;\n"
                                     "log_level = \"debug\";\n"));
    char expected[256];
    snprintf(expected, sizeof(expected), "%s/../genesis.block", fixture->folder);
    assert_string_equal(fixture->config.genesis_file, expected);
    snprintf(expected, sizeof(expected), "%s/data", fixture->folder);
    assert_string_equal(fixture->config.data_dir, expected);
    assert_int_equal(fixture->config.replica, 2);
    assert_string_equal(fixture->config.replica_listen_host, "127.0.0.1");
    assert_int_equal(fixture->config.replica_listen_port, 7050);
    assert_true(fixture->config.pool_bytes_max == 3000000000u);
    assert_true(fixture->config.ledger_map_bytes_max == 1ull << 40);
    assert_int_equal(fixture->config.log_level, NODE_LOG_DEBUG);
    fixture_close(fixture);
}

static void config__has_the_documented_defaults(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    assert_ok(load(fixture, REQUIRED));
    const struct node_config *config = &fixture->config;
    assert_int_equal(config->replica_listen_port, 0);
    assert_int_equal(config->client_listen_port, 0);
    assert_in_range(config->verify_threads, 1, 8);
    assert_int_equal(config->pool_envelopes_max, 65536);
    assert_true(config->pool_bytes_max == 64u << 20);
    assert_int_equal(config->client_envelopes_max, 16384);
    assert_true(config->link_queue_bytes_max == 0); /* the channel's limits decide */
    assert_int_equal(config->client_contexts, 256);
    assert_true(config->ledger_map_bytes_max == 1ull << 40);
    assert_true(config->disk_reserve_bytes == 64u << 20);
    assert_int_equal(config->log_level, NODE_LOG_INFO);
    fixture_close(fixture);
}

static void config__names_the_wanted_and_the_found_type(void **state) {
    (void) state;
    assert_refused(REQUIRED "client_contexts = \"many\";\n", FIRST_LINE_AFTER,
                   "client_contexts wants a whole number, found a string");
    assert_refused(REQUIRED "\nclient_contexts = 1.5;\n", FIRST_LINE_AFTER + 1, "found a fraction");
    assert_refused(REQUIRED "client_contexts = true;\n", FIRST_LINE_AFTER, "found a truth value");
    assert_refused(REQUIRED "client_contexts = [1, 2];\n", FIRST_LINE_AFTER, "found an array");
    assert_refused(REQUIRED "log_level = 3;\n", FIRST_LINE_AFTER, "log_level wants a string, found a whole number");
    assert_refused(REQUIRED "client_listen_host = { a = 1; };\n", FIRST_LINE_AFTER, "found a group");
    assert_refused(REQUIRED "client_listen_host = (1);\n", FIRST_LINE_AFTER, "found a list");
}

static void config__refuses_values_out_of_range(void **state) {
    (void) state;
    assert_refused(REQUIRED "client_listen_port = 65536;\n", FIRST_LINE_AFTER, "client_listen_port is 65536");
    assert_refused(REQUIRED "client_listen_port = -1;\n", FIRST_LINE_AFTER, "must be 0 to 65535");
    assert_refused(REQUIRED "verify_threads = 0;\n", FIRST_LINE_AFTER, "must be 1 to 64");
    assert_refused(REQUIRED "pool_envelopes_max = 9223372036854775807L;\n", FIRST_LINE_AFTER, "pool_envelopes_max");
    assert_refused(REQUIRED "log_level = \"loud\";\n", FIRST_LINE_AFTER, "error, warn, info or debug");
    assert_refused(REQUIRED "client_listen_host = \"\";\n", FIRST_LINE_AFTER, "client_listen_host is empty");
}

/* Without our treatment, libconfig would read these as 1, 7050 and -1. */
static void config__does_not_wrap_large_numbers(void **state) {
    (void) state;
    assert_refused(REQUIRED "client_contexts = 4294967297;\n", FIRST_LINE_AFTER, "client_contexts is 4294967297");
    assert_refused(REQUIRED "/* 1\n2 */ client_listen_port = 4294974346; # 3\n", FIRST_LINE_AFTER + 1, "4294974346");
    assert_refused(REQUIRED "pool_bytes_max = 99999999999999999999;\n", FIRST_LINE_AFTER, "9223372036854775807");
    struct fixture *fixture = fixture_open();
    assert_ok(load(fixture, REQUIRED "client_listen_host = \"1\\\" // 2\"; // 3\npool_bytes_max = 0x100000000;"));
    assert_string_equal(fixture->config.client_listen_host, "1\" // 2");
    assert_true(fixture->config.pool_bytes_max == 1ull << 32);
    fixture_close(fixture);
}

static void config__refuses_includes(void **state) {
    (void) state;
    assert_refused(REQUIRED "@include \"other.cfg\"\n", FIRST_LINE_AFTER, "@include is not supported");
}

static void config__refuses_a_host_that_is_too_long(void **state) {
    (void) state;
    char text[1024];
    char host[300];
    memset(host, 'h', sizeof(host) - 1);
    host[sizeof(host) - 1] = '\0';
    snprintf(text, sizeof(text), REQUIRED "client_listen_host = \"%s\";\n", host);
    assert_refused(text, FIRST_LINE_AFTER, "longer than 255 bytes");
}

static void config__refuses_unknown_settings(void **state) {
    (void) state;
    assert_refused(REQUIRED "client_context = 3;\n", FIRST_LINE_AFTER, "there is no setting client_context");
}

static void config__refuses_duplicate_settings(void **state) {
    (void) state;
    assert_refused(REQUIRED "replica = 3;\n", FIRST_LINE_AFTER, "duplicate setting");
}

static void config__refuses_missing_settings(void **state) {
    (void) state;
    assert_refused("replica = 1;\n", 0, "the setting genesis_file is missing");
    assert_refused("", 0, "the setting replica is missing");
}

static void config__refuses_what_is_not_libconfig(void **state) {
    (void) state;
    assert_refused(REQUIRED "\n= nonsense\n", FIRST_LINE_AFTER + 1, "syntax error");
    struct fixture *fixture = fixture_open();
    static const char bytes[] = "replica = 1;\0genesis_file";
    fixture_write(fixture, bytes, sizeof(bytes));
    assert_err(node_config_load(&fixture->config, fixture->path, fixture->why, sizeof(fixture->why)), ORD_ERR_INVALID);
    assert_non_null(strstr(fixture->why, "not a text file"));
    fixture_close(fixture);
}

static void config__refuses_unreadable_files(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    assert_err(node_config_load(&fixture->config, fixture->path, fixture->why, sizeof(fixture->why)),
               ORD_ERR_NOT_FOUND);
    assert_non_null(strstr(fixture->why, fixture->path));
    assert_err(node_config_load(&fixture->config, fixture->folder, fixture->why, sizeof(fixture->why)),
               ORD_ERR_INVALID);
    assert_non_null(strstr(fixture->why, "not a regular file"));
    /* Loading must not wait for a FIFO. */
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    assert_err(node_config_load(&fixture->config, fixture->path, fixture->why, sizeof(fixture->why)), ORD_ERR_INVALID);
    fixture_close(fixture);
}

static void secret__is_read_when_it_is_the_owners_alone(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    fixture_write(fixture, "key\n", 4);
    assert_int_equal(chmod(fixture->path, 0600), 0);
    char secret[16];
    assert_ok(node_read_secret(secret, sizeof(secret), fixture->path, fixture->why, sizeof(fixture->why)));
    assert_string_equal(secret, "key\n");
    assert_int_equal(chmod(fixture->path, 0400), 0);
    assert_ok(node_read_secret(secret, sizeof(secret), fixture->path, fixture->why, sizeof(fixture->why)));
    fixture_close(fixture);
}

static void secret__is_refused_when_others_may_touch_it(void **state) {
    (void) state;
    static const mode_t lax[] = {0640, 0620, 0604, 0602, 0644, 0777, 0610};
    struct fixture *fixture = fixture_open();
    fixture_write(fixture, "key\n", 4);
    for (size_t i = 0; i < sizeof(lax) / sizeof(lax[0]); i++) {
        assert_int_equal(chmod(fixture->path, lax[i]), 0);
        char secret[16] = "before";
        assert_err(node_read_secret(secret, sizeof(secret), fixture->path, fixture->why, sizeof(fixture->why)),
                   ORD_ERR_FORBIDDEN);
        assert_string_equal(secret, "before");
        assert_non_null(strstr(fixture->why, "chmod 600"));
    }
    fixture_close(fixture);
}

static void secret__is_refused_when_it_does_not_fit(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    fixture_write(fixture, "0123456789", 10);
    assert_int_equal(chmod(fixture->path, 0600), 0);
    char secret[11];
    assert_ok(node_read_secret(secret, 11, fixture->path, fixture->why, sizeof(fixture->why)));
    assert_err(node_read_secret(secret, 10, fixture->path, fixture->why, sizeof(fixture->why)), ORD_ERR_TOO_LARGE);
    static const char wiped[10] = {0};
    assert_memory_equal(secret, wiped, sizeof(wiped));
    fixture_close(fixture);
}

static void secret__is_refused_when_it_is_no_regular_file(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    char secret[16];
    assert_err(node_read_secret(secret, sizeof(secret), fixture->folder, fixture->why, sizeof(fixture->why)),
               ORD_ERR_FORBIDDEN);
    fixture_close(fixture);
}

static void read_file__is_bounded(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    fixture_write(fixture, "0123456789", 10);
    uint8_t *bytes = NULL;
    size_t size = 0;
    assert_ok(node_read_file(&bytes, &size, fixture->path, 10, fixture->why, sizeof(fixture->why)));
    assert_int_equal(size, 10);
    assert_memory_equal(bytes, "0123456789", 11);
    free(bytes);
    bytes = NULL;
    assert_err(node_read_file(&bytes, &size, fixture->path, 9, fixture->why, sizeof(fixture->why)), ORD_ERR_TOO_LARGE);
    assert_null(bytes);
    fixture_close(fixture);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(config__takes_settings_and_makes_paths_absolute),
    cmocka_unit_test(config__has_the_documented_defaults),
    cmocka_unit_test(config__names_the_wanted_and_the_found_type),
    cmocka_unit_test(config__refuses_values_out_of_range),
    cmocka_unit_test(config__does_not_wrap_large_numbers),
    cmocka_unit_test(config__refuses_includes),
    cmocka_unit_test(config__refuses_a_host_that_is_too_long),
    cmocka_unit_test(config__refuses_unknown_settings),
    cmocka_unit_test(config__refuses_duplicate_settings),
    cmocka_unit_test(config__refuses_missing_settings),
    cmocka_unit_test(config__refuses_what_is_not_libconfig),
    cmocka_unit_test(config__refuses_unreadable_files),
    cmocka_unit_test(secret__is_read_when_it_is_the_owners_alone),
    cmocka_unit_test(secret__is_refused_when_others_may_touch_it),
    cmocka_unit_test(secret__is_refused_when_it_does_not_fit),
    cmocka_unit_test(secret__is_refused_when_it_is_no_regular_file),
    cmocka_unit_test(read_file__is_bounded),
};
TEST_CASES(cases);
