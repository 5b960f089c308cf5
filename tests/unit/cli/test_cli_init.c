/*
 * What `ordain init` writes: configuration files that load, with comments that are true; certificates and a genesis
 * block that fit together; keys that only the owner can read; and no trace when it fails.
 */
#include "tests/support/test_main.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/block.h"
#include "cli/init.h"
#include "client/config.h"
#include "crypto/hash.h"
#include "node/config.h"

struct fixture {
    char folder[64]; /* the folder in which init makes its own */
    char directory[96];
    char why[INIT_WHY_MAX];
    struct init_plan plan;
};

static struct fixture *fixture_open(void) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    assert_ok(crypto_init());
    memcpy(fixture->folder, "/tmp/ordain-test-XXXXXX", sizeof("/tmp/ordain-test-XXXXXX"));
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->directory, sizeof(fixture->directory), "%s/net", fixture->folder);
    struct channel_config *config = &fixture->plan.config;
    channel_config_defaults(config, CHANNEL_PBFT);
    memcpy(config->name, "trade", sizeof("trade"));
    config->replica_count = 4;
    for (uint32_t i = 0; i < config->replica_count; i++)
        memcpy(config->replicas[i].host, "127.0.0.1", sizeof("127.0.0.1"));
    fixture->plan.directory = fixture->directory;
    fixture->plan.client_count = 2;
    assert_ok(init_choose_ports(config, 0, fixture->why));
    return fixture;
}

static void remove_tree(const char *path) {
    DIR *folder = opendir(path);
    if (folder != NULL) {
        for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
            char child[1024];
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            assert_in_range(snprintf(child, sizeof(child), "%s/%s", path, entry->d_name), 1, sizeof(child) - 1);
            remove_tree(child);
        }
        closedir(folder);
    }
    assert_int_equal(remove(path), 0);
}

static void fixture_close(struct fixture *fixture) {
    remove_tree(fixture->folder);
    free(fixture);
}

static char *read_text(const struct fixture *fixture, const char *name) {
    char path[256];
    char why[256];
    uint8_t *text = NULL;
    size_t size = 0;
    snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
    assert_ok(node_read_file(&text, &size, path, 1u << 20, why, sizeof(why)));
    return (char *) text;
}

/* Removes the comment mark from each line of the form `# name = value;`. Returns how many there were. */
static unsigned uncomment_settings(char *text) {
    unsigned count = 0;
    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        size_t name = strncmp(line, "# ", 2) == 0 ? strspn(line + 2, "abcdefghijklmnopqrstuvwxyz_") : 0;
        if (name > 0 && strncmp(line + 2 + name, " = ", 3) == 0) {
            line[0] = ' ';
            count++;
        }
        line = end == NULL ? NULL : end + 1;
    }
    return count;
}

static void init__makes_a_genesis_block_that_names_the_replicas(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    assert_ok(init_write(&fixture->plan, fixture->why));
    uint8_t *file = NULL;
    size_t size = 0;
    char path[256];
    snprintf(path, sizeof(path), "%s/genesis.block", fixture->directory);
    assert_ok(node_read_file(&file, &size, path, 1u << 24, fixture->why, sizeof(fixture->why)));
    struct channel_config *config = malloc(sizeof(*config));
    assert_non_null(config);
    struct ord_hash hash;
    struct channel_header header;
    struct ord_span data;
    assert_ok(channel_genesis_open(config, &hash, &header, &data, ord_span_of(file, size)));
    assert_true(ord_hash_equal(&hash, &fixture->plan.genesis_hash));
    assert_int_equal(config->replica_count, 4);
    assert_int_equal(config->org_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof(name), "replica%u/identity.key", i);
        char *pem = read_text(fixture, name);
        struct crypto_private_key key;
        struct ord_public_key public_key;
        assert_ok(crypto_private_key_load(&key, pem));
        assert_ok(crypto_public_key(&public_key, &key));
        assert_memory_equal(public_key.bytes, config->replicas[i].key.bytes, ORD_PUBLIC_KEY_SIZE);
        free(pem);
    }
    free(config);
    free(file);
    fixture_close(fixture);
}

static void init__gives_clients_that_their_organisation_vouches_for(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    assert_ok(init_write(&fixture->plan, fixture->why));
    static const char *const names[] = {"client/identity.crt", "client2/identity.crt"};
    for (size_t i = 0; i < 2; i++) {
        char *pem = read_text(fixture, names[i]);
        uint8_t der[CRYPTO_CERT_DER_MAX];
        size_t size = sizeof(der);
        assert_ok(crypto_cert_der(der, &size, pem));
        const struct channel_org *org = &fixture->plan.config.orgs[0];
        struct crypto_identity identity;
        assert_ok(
            crypto_identity_verify(&identity, ord_span_of(der, size), ord_span_of(org->ca_der, org->ca_der_size)));
        assert_int_equal(identity.role, CRYPTO_ROLE_CLIENT);
        assert_string_equal(identity.organisation, "org1");
        free(pem);
    }
    fixture_close(fixture);
}

static void init__writes_node_files_whose_comments_are_true(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    assert_ok(init_write(&fixture->plan, fixture->why));
    struct node_config *plain = calloc(2, sizeof(*plain));
    assert_non_null(plain);
    struct node_config *said = plain + 1;
    char path[256];
    snprintf(path, sizeof(path), "%s/replica3/node.cfg", fixture->directory);
    assert_ok(node_config_load(plain, path, fixture->why, sizeof(fixture->why)));
    assert_int_equal(plain->replica, 3);
    assert_string_equal(plain->client_listen_host, "127.0.0.1");

    char *text = read_text(fixture, "replica3/node.cfg");
    /* Every optional setting except the two hosts. */
    assert_int_equal(uncomment_settings(text), 11);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
    free(text);
    assert_ok(node_config_load(said, path, fixture->why, sizeof(fixture->why)));
    assert_int_equal(said->replica_listen_port, fixture->plan.config.replicas[3].replica_port);
    assert_int_equal(said->client_listen_port, fixture->plan.config.replicas[3].client_port);
    /* These depend on the machine and on the genesis block. All others must have their defaults. */
    said->replica_listen_port = 0;
    said->client_listen_port = 0;
    said->verify_threads = plain->verify_threads;
    assert_int_equal(said->link_queue_bytes_max, 32u << 20); /* true unless the channel's frames are larger */
    said->link_queue_bytes_max = plain->link_queue_bytes_max;
    assert_memory_equal(said, plain, sizeof(*plain));
    free(plain);
    fixture_close(fixture);
}

static void init__writes_client_files_whose_comments_are_true(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    assert_ok(init_write(&fixture->plan, fixture->why));
    struct client_config *plain = calloc(2, sizeof(*plain));
    assert_non_null(plain);
    struct client_config *said = plain + 1;
    char path[256];
    snprintf(path, sizeof(path), "%s/client2/client.cfg", fixture->directory);
    assert_ok(client_config_load(plain, path, fixture->why, sizeof(fixture->why)));
    assert_string_equal(plain->channel, "trade");
    char *text = read_text(fixture, "client2/client.cfg");
    char *example = strstr(text, "# replicas = ");
    assert_non_null(example);
    *example = '\0'; /* this is an example, not a default */
    assert_int_equal(uncomment_settings(text), 3);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
    free(text);
    assert_ok(client_config_load(said, path, fixture->why, sizeof(fixture->why)));
    assert_int_equal(said->timeout_ms, plain->timeout_ms);
    assert_int_equal(said->in_flight_max, plain->in_flight_max);
    assert_int_equal(said->envelopes_per_request, plain->envelopes_per_request);
    free(plain);
    fixture_close(fixture);
}

static void init__keeps_keys_to_the_owner(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    mode_t before = umask(0);
    enum ord_err err = init_write(&fixture->plan, fixture->why);
    umask(before);
    assert_ok(err);
    static const char *const keys[] = {"orgs/org1/ca.key", "replica0/identity.key", "replica0/tls.key",
                                       "client/identity.key", "client2/tls.key"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char path[256];
        struct stat info;
        snprintf(path, sizeof(path), "%s/%s", fixture->directory, keys[i]);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 07777, 0600);
    }
    fixture_close(fixture);
}

static void init__leaves_a_folder_alone_that_is_not_empty(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    assert_int_equal(mkdir(fixture->directory, 0755), 0);
    char path[256];
    snprintf(path, sizeof(path), "%s/replica0", fixture->directory);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_err(init_write(&fixture->plan, fixture->why), ORD_ERR_EXISTS);
    assert_non_null(strstr(fixture->why, "not empty"));
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    /* An empty folder is accepted. */
    assert_int_equal(rmdir(path), 0);
    assert_ok(init_write(&fixture->plan, fixture->why));
    fixture_close(fixture);
}

/* Files may not grow beyond a limit, so that writing fails at one file or another. */
static void init__leaves_no_trace_when_it_fails(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    static const rlim_t limits[] = {100, 1000, 2500, 3000};
    unsigned failed = 0;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct rlimit low = {limits[i], before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
        enum ord_err err = init_write(&fixture->plan, fixture->why);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        if (err == ORD_OK) {
            remove_tree(fixture->directory);
            continue;
        }
        failed++;
        assert_err(err, ORD_ERR_IO);
        struct stat info;
        assert_int_not_equal(stat(fixture->directory, &info), 0);
    }
    assert_true(failed > 0);
    fixture_close(fixture);
}

static void init__refuses_a_configuration_that_cannot_run(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    fixture->plan.config.checkpoint_interval = fixture->plan.config.window;
    assert_err(init_write(&fixture->plan, fixture->why), ORD_ERR_INVALID);
    assert_non_null(strstr(fixture->why, "checkpoint_interval"));
    struct stat info;
    assert_int_not_equal(stat(fixture->directory, &info), 0);
    fixture_close(fixture);
}

static void ports__are_all_different(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    struct channel_config *config = &fixture->plan.config;
    config->replica_count = 16;
    for (uint32_t i = 0; i < config->replica_count; i++)
        memcpy(config->replicas[i].host, "127.0.0.1", sizeof("127.0.0.1"));
    assert_ok(init_choose_ports(config, 0, fixture->why));
    static bool taken[UINT16_MAX + 1];
    memset(taken, 0, sizeof(taken));
    for (uint32_t i = 0; i < config->replica_count; i++) {
        assert_false(taken[config->replicas[i].replica_port]);
        taken[config->replicas[i].replica_port] = true;
        assert_false(taken[config->replicas[i].client_port]);
        taken[config->replicas[i].client_port] = true;
    }
    fixture_close(fixture);
}

static void ports__follow_the_base(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    struct channel_config *config = &fixture->plan.config;
    assert_ok(init_choose_ports(config, 65528, fixture->why));
    assert_int_equal(config->replicas[0].replica_port, 65528);
    assert_int_equal(config->replicas[3].client_port, 65535);
    assert_err(init_choose_ports(config, 65529, fixture->why), ORD_ERR_INVALID);
    fixture_close(fixture);
}

static void add_client__needs_a_ca_that_the_channel_knows(void **state) {
    (void) state;
    struct fixture *fixture = fixture_open();
    assert_ok(init_write(&fixture->plan, fixture->why));
    assert_ok(init_add_client(fixture->directory, "bob", "org2", fixture->why));
    char *pem = read_text(fixture, "bob/identity.crt");
    free(pem);
    assert_err(init_add_client(fixture->directory, "bob", "org2", fixture->why), ORD_ERR_EXISTS);
    assert_err(init_add_client(fixture->directory, "eve", "org9", fixture->why), ORD_ERR_NOT_FOUND);

    /* The CA of another network under the same name. */
    char from[256];
    char to[256];
    snprintf(from, sizeof(from), "%s/orgs/org3", fixture->directory);
    snprintf(to, sizeof(to), "%s/orgs/org9", fixture->directory);
    assert_int_equal(rename(from, to), 0);
    assert_err(init_add_client(fixture->directory, "eve", "org9", fixture->why), ORD_ERR_MISMATCH);
    fixture_close(fixture);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(init__makes_a_genesis_block_that_names_the_replicas),
    cmocka_unit_test(init__gives_clients_that_their_organisation_vouches_for),
    cmocka_unit_test(init__writes_node_files_whose_comments_are_true),
    cmocka_unit_test(init__writes_client_files_whose_comments_are_true),
    cmocka_unit_test(init__keeps_keys_to_the_owner),
    cmocka_unit_test(init__leaves_a_folder_alone_that_is_not_empty),
    cmocka_unit_test(init__leaves_no_trace_when_it_fails),
    cmocka_unit_test(init__refuses_a_configuration_that_cannot_run),
    cmocka_unit_test(ports__are_all_different),
    cmocka_unit_test(ports__follow_the_base),
    cmocka_unit_test(add_client__needs_a_ca_that_the_channel_knows),
};
TEST_CASES(cases);
