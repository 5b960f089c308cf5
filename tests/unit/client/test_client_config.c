/* client.cfg: what it may contain; errors must be reported with file and line. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/config.h"
#include "tests/support/test_main.h"

#define REQUIRED                                                                                                       \
    "channel = \"trade\";\ngenesis = \"../genesis.block\";\nidentity_key = \"identity.key\";\n"                        \
    "identity_cert = \"identity.crt\";\ntls_cert = \"tls.crt\";\ntls_key = \"tls.key\";\n"

struct folder {
    char path[256];
    char file[300];
};

static void folder_create(struct folder *folder) {
    const char *temporary = getenv("TMPDIR");
    snprintf(folder->path, sizeof(folder->path), "%s/ordain-config-XXXXXX", temporary != NULL ? temporary : "/tmp");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->file, sizeof(folder->file), "%s/client.cfg", folder->path);
}

static void folder_remove(const struct folder *folder) {
    assert_int_equal(remove(folder->file), 0);
    assert_int_equal(rmdir(folder->path), 0);
}

static void write_text(const struct folder *folder, const char *text, size_t size) {
    FILE *file = fopen(folder->file, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Loads this text; `why` gets the message without the file's name. */
static enum ord_err load(struct client_config *config, char *why, size_t why_size, const char *text) {
    struct folder folder;
    char whole[1024] = "";
    folder_create(&folder);
    write_text(&folder, text, strlen(text));
    enum ord_err err = client_config_load(config, folder.file, whole, sizeof(whole));
    const char *rest = whole;
    if (err != ORD_OK) {
        assert_memory_equal(whole, folder.file, strlen(folder.file));
        rest = whole + strlen(folder.file);
    } else {
        char expected[CLIENT_PATH_MAX];
        snprintf(expected, sizeof(expected), "%s/identity.key", folder.path);
        assert_string_equal(config->identity_key, expected);
    }
    snprintf(why, why_size, "%s", rest);
    folder_remove(&folder);
    return err;
}

static void assert_refused(const char *text, const char *why_expected) {
    struct client_config config;
    char why[1024];
    assert_err(load(&config, why, sizeof(why), text), ORD_ERR_INVALID);
    assert_string_equal(why, why_expected);
}

static void config__takes_defaults(void **state) {
    (void) state;
    struct client_config config;
    char why[1024];
    assert_ok(load(&config, why, sizeof(why), REQUIRED));
    assert_string_equal(config.channel, "trade");
    assert_int_equal(config.timeout_ms, 10000);
    assert_int_equal(config.in_flight_max, 64);
    assert_int_equal(config.envelopes_per_request, 64);
    assert_int_equal(config.replica_count, 0);
}

static void config__takes_every_setting(void **state) {
    (void) state;
    struct client_config config;
    char why[1024];
    assert_ok(load(&config, why, sizeof(why),
                   REQUIRED "timeout_ms = 500; // half a second\nin_flight_max = 8;\nenvelopes_per_request = 100;\n"
                            "/* 12345678901 */ # 12345678901 @\n"
                            "replicas = (\"a.example:7000\", \"[::1]:7001\", \"10.0.0.3:65535\");\n"));
    assert_int_equal(config.timeout_ms, 500);
    assert_int_equal(config.in_flight_max, 8);
    assert_int_equal(config.envelopes_per_request, 100);
    assert_int_equal(config.replica_count, 3);
    assert_string_equal(config.replicas[0].host, "a.example");
    assert_string_equal(config.replicas[1].host, "::1");
    assert_int_equal(config.replicas[1].port, 7001);
    assert_int_equal(config.replicas[2].port, 65535);
}

static void config__names_what_is_wrong(void **state) {
    (void) state;
    assert_refused(REQUIRED "tiemout_ms = 5;\n", ":7: there is no setting tiemout_ms");
    assert_refused(REQUIRED "timeout_ms = \"5\";\n", ":7: timeout_ms wants a whole number, found a string");
    assert_refused(REQUIRED "timeout_ms = 1.5;\n", ":7: timeout_ms wants a whole number, found a fraction");
    assert_refused(REQUIRED "timeout_ms = 1;\n", ":7: timeout_ms is 1, but must be 10 to 3600000");
    assert_refused(REQUIRED "\n\nin_flight_max = -1;\n", ":9: in_flight_max is -1, but must be 1 to 1024");
    assert_refused(REQUIRED "timeout_ms = 4294967396;\n", ":7: this number is too large");
    assert_refused(REQUIRED "@include \"other.cfg\"\n", ":7: @include is not supported");
    assert_refused("channel = 5;\n", ":1: channel wants a string, found a whole number");
    assert_refused("channel = \"\";\n", ":1: channel is empty");
    assert_refused("channel = \"trade\";\n", ": the setting genesis is missing");
    assert_refused(REQUIRED "replicas = \"a:1\";\n", ":7: replicas wants a list of \"host:port\", found a string");
    assert_refused(REQUIRED "replicas = ();\n", ":7: replicas has 0 addresses, but must have 1 to 64");
    assert_refused(REQUIRED "replicas = (\n\"a:1\",\n7);\n",
                   ":9: an address in replicas wants a string, found a whole number");
    assert_refused(REQUIRED "replicas = (\"a\");\n", ":7: \"a\" is not an address; write \"host:port\"");
    assert_refused("channel = \"trade;\n", ":2: syntax error");
}

static void config__refuses_binary_and_missing_files(void **state) {
    (void) state;
    static const char binary[] = "channel = \"a\";\0garbage";
    struct client_config config;
    struct folder folder;
    char why[1024];
    folder_create(&folder);
    assert_err(client_config_load(&config, folder.file, why, sizeof(why)), ORD_ERR_NOT_FOUND);
    assert_non_null(strstr(why, folder.file));
    write_text(&folder, binary, sizeof(binary));
    assert_err(client_config_load(&config, folder.file, why, sizeof(why)), ORD_ERR_INVALID);
    assert_non_null(strstr(why, "not a text file"));
    assert_err(client_config_load(&config, folder.path, why, sizeof(why)), ORD_ERR_FORBIDDEN);
    folder_remove(&folder);
}

static void address__is_host_and_port(void **state) {
    (void) state;
    static const char *const wrong[] = {"",     ":1",   "a",        "a:",        "a:0",     "a:65536", "a:123456",
                                        "a:1x", "a:-1", "::1:7000", "[::1:7000", "[]:7000", "a: 1",    "[::1]7000"};
    struct client_address address;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (client_address_parse(&address, wrong[i]) == ORD_OK)
            fail_msg("taken: %s", wrong[i]);
    char long_host[CHANNEL_HOST_MAX + 16];
    memset(long_host, 'a', sizeof(long_host));
    memcpy(long_host + CHANNEL_HOST_MAX + 1, ":80", 4);
    assert_err(client_address_parse(&address, long_host), ORD_ERR_TOO_LARGE);
    memcpy(long_host + CHANNEL_HOST_MAX, ":80", 4);
    assert_ok(client_address_parse(&address, long_host));
    assert_int_equal(strlen(address.host), CHANNEL_HOST_MAX);
}

static void secret__must_be_nobody_elses(void **state) {
    (void) state;
    struct folder folder;
    char why[1024];
    char *text = NULL;
    size_t size = 0;
    folder_create(&folder);
    write_text(&folder, "secret", 6);
    for (mode_t mode = 1; mode <= 077; mode++) {
        assert_int_equal(chmod(folder.file, 0600 | mode), 0);
        assert_err(client_read_secret(&text, &size, folder.file, why, sizeof(why)), ORD_ERR_FORBIDDEN);
    }
    assert_non_null(strstr(why, "chmod 600"));
    assert_int_equal(chmod(folder.file, 0600), 0);
    assert_ok(client_read_secret(&text, &size, folder.file, why, sizeof(why)));
    assert_int_equal(size, 6);
    assert_string_equal(text, "secret");
    free(text);
    assert_err(client_read_secret(&text, &size, folder.path, why, sizeof(why)), ORD_ERR_FORBIDDEN);
    assert_err(client_read_file(&text, &size, folder.file, 5, why, sizeof(why)), ORD_ERR_TOO_LARGE);
    folder_remove(&folder);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(config__takes_defaults),      cmocka_unit_test(config__takes_every_setting),
    cmocka_unit_test(config__names_what_is_wrong), cmocka_unit_test(config__refuses_binary_and_missing_files),
    cmocka_unit_test(address__is_host_and_port),   cmocka_unit_test(secret__must_be_nobody_elses),
};
TEST_CASES(cases);
