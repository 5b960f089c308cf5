/*
 * The program itself, as a script sees it: its messages and its exit codes. This file tests what can be seen without
 * failing replicas; tests/cluster tests the rest.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/client_world.h"
#include "tests/support/ledger_support.h"
#include "tests/support/test_main.h"

#define SAID_MAX (1u << 16)

/* What the last run printed, on standard output and standard error. */
static char said[SAID_MAX];
static char folder[64];

/* Runs the program with empty standard input; returns its exit code. */
static int run(const char *const *arguments) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int nothing = open("/dev/null", O_RDONLY);
        if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(ends[1], 1) < 0 || dup2(ends[1], 2) < 0)
            _exit(126);
        close(ends[0]);
        execv(ORDAIN_PROGRAM, (char *const *) (uintptr_t) arguments);
        _exit(127);
    }
    close(ends[1]);
    size_t size = 0;
    for (ssize_t got = 1; got > 0 && size < SAID_MAX - 1; size += (size_t) got) {
        got = read(ends[0], said + size, SAID_MAX - 1 - size);
        assert_true(got >= 0);
    }
    said[size] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect(int code, const char *words, const char *const *arguments) {
    int got = run(arguments);
    if (got != code || strstr(said, words) == NULL)
        fail_msg("`ordain %s`: exit code %d, wanted %d and '%s'; it said: %s", arguments[1], got, code, words, said);
}

#define EXPECT(code, words, ...) expect(code, words, (const char *const[]) {"ordain", __VA_ARGS__, NULL})

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

/* Makes a folder for the test, with an empty file, an empty folder, and the files of a channel that does not run. */
static void open_folder(void) {
    memcpy(folder, "/tmp/ordain-test-XXXXXX", sizeof("/tmp/ordain-test-XXXXXX"));
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    write_text("empty", "");
    assert_int_equal(mkdir("folder", 0755), 0);
    EXPECT(0, "genesis block", "init", "net", "--channel", "trade");
}

static void remove_tree(const char *path) {
    DIR *entries = opendir(path);
    for (const struct dirent *entry = NULL; entries != NULL && (entry = readdir(entries)) != NULL;) {
        char child[1024];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        assert_in_range(snprintf(child, sizeof(child), "%s/%s", path, entry->d_name), 1, sizeof(child) - 1);
        remove_tree(child);
    }
    if (entries != NULL)
        closedir(entries);
    assert_int_equal(remove(path), 0);
}

static void close_folder(void) {
    assert_int_equal(chdir("/"), 0);
    remove_tree(folder);
}

/* Writes net/replica0/other.cfg: the file `from` of replica 0 with another value of `setting`. */
static void change(const char *from, const char *setting, const char *value) {
    static char text[SAID_MAX];
    char line[64];
    FILE *file = fopen(from, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    snprintf(line, sizeof(line), "\n%s = ", setting);
    char *begin = strstr(text, line);
    assert_non_null(begin);
    const char *rest = strchr(begin + 1, '\n');
    assert_non_null(rest);
    file = fopen("net/replica0/other.cfg", "w");
    assert_non_null(file);
    assert_true(fprintf(file, "%.*s%s\"%s\";%s", (int) (begin - text), text, line, value, rest) > 0);
    assert_int_equal(fclose(file), 0);
}

static void configure(const char *setting, const char *value) {
    change("net/replica0/node.cfg", setting, value);
}

static void wrong_path__of_init_is_usage(void **state) {
    (void) state;
    open_folder();
    EXPECT(2, "empty: Not a directory", "init", "empty", "--channel", "t");
    EXPECT(2, "nowhere/x: No such file", "init", "nowhere/x", "--channel", "t");
    EXPECT(2, "empty/x: Not a directory", "init", "empty/x", "--channel", "t");
    EXPECT(2, "nowhere/genesis.block: No such file", "init", "nowhere", "--add-client", "bob");
    close_folder();
}

static void wrong_path__of_data_dir_is_usage(void **state) {
    (void) state;
    open_folder();
    static const char *const wrong[] = {"../../empty", "../../empty/x", "../../nowhere/x"};
    for (size_t i = 0; i < 3; i++) {
        configure("data_dir", wrong[i]);
        EXPECT(2, "no folder", "start", "--config", "net/replica0/other.cfg");
        assert_non_null(strstr(said, wrong[i]));
    }
    close_folder();
}

/* Each row: the member whose TLS certificate and key replica 0 has, and what is wrong with them. */
static void wrong_certificate__is_named(void **state) {
    (void) state;
    static const char *const rows[][2] = {
        {"replica1", "none of the CAs that are trusted here has issued it"},
        {"client", "unsuitable certificate purpose"},
    };
    open_folder();
    for (size_t i = 0; i < 2; i++) {
        char path[64];
        snprintf(path, sizeof(path), "../%s/tls.crt", rows[i][0]);
        configure("tls_cert_file", path);
        EXPECT(2, "is not the key of the certificate", "start", "--config", "net/replica0/other.cfg");
        snprintf(path, sizeof(path), "../%s/tls.key", rows[i][0]);
        change("net/replica0/other.cfg", "tls_key_file", path);
        EXPECT(2, rows[i][1], "start", "--config", "net/replica0/other.cfg");
        assert_non_null(strstr(said, "is no certificate of replica 0 (\"replica0\" of org1)"));
    }
    close_folder();
}

/*
 * The program must check the path before it asks any replica. No replica runs here, so asking would end with exit code
 * 3.
 */
static void wrong_path__of_submit_is_usage(void **state) {
    (void) state;
    open_folder();
    EXPECT(2, "submit: folder: Is a directory", "submit", "--config", "net/client/client.cfg", "folder");
    EXPECT(2, "submit: nowhere: No such file", "submit", "--config", "net/client/client.cfg", "nowhere");
    EXPECT(2, "submit: empty/x: Not a directory", "submit", "--config", "net/client/client.cfg", "empty/x");
    close_folder();
}

/* Exit code 1 means that a proof was checked and does not hold. */
static void wrong_path__is_no_refuted_proof(void **state) {
    (void) state;
    open_folder();
    const char *const genesis = "--genesis=net/genesis.block";
    EXPECT(2, "nowhere: No such file", "verify", genesis, "nowhere");
    EXPECT(2, "folder: Is a directory", "verify", genesis, "folder");
    EXPECT(2, "nowhere: No such file", "evidence", "verify", genesis, "nowhere");
    EXPECT(2, "folder: Is a directory", "evidence", "verify", genesis, "folder");
    EXPECT(1, "does not verify", "verify", genesis, "empty");
    EXPECT(1, "does not verify", "evidence", "verify", genesis, "empty");
    close_folder();
}

/* Row F8. */
static void other_version__of_a_ledger_is_named(void **state) {
    (void) state;
    static const char data[] = "net/replica0/data";
    static const char words[] = "data: made by version 1 of the ledger's format, this program reads version 2";
    struct ledger_test test = {.directory = "net/replica0/data"};
    open_folder();
    ledger_close(ledger_test_open(&test));
    ledger_test_write_version(&test, 1, true);
    EXPECT(2, words, "ledger", "show", data);
    EXPECT(2, words, "ledger", "verify", data, "--genesis", "net/genesis.block");
    EXPECT(2, words, "ledger", "repair", data, "--genesis", "net/genesis.block", "--config", "net/client/client.cfg");
    EXPECT(2, "data was made by version 1 of the ledger's format", "start", "--config", "net/replica0/node.cfg");
    close_folder();
}

static void wrong_path__of_a_ledger_is_usage(void **state) {
    (void) state;
    open_folder();
    static const char *const wrong[] = {"empty", "folder", "nowhere"};
    for (size_t i = 0; i < 3; i++) {
        char words[96];
        snprintf(words, sizeof(words), "%s: there is no ledger", wrong[i]);
        EXPECT(2, words, "ledger", "show", wrong[i]);
        EXPECT(2, words, "ledger", "verify", wrong[i], "--genesis", "net/genesis.block");
    }
    close_folder();
}

/* If a receipt cannot be saved where the user asked, the user can mend that, so it is a usage error. */
static void wrong_path__of_a_receipt_is_usage(void **state) {
    (void) state;
    const struct world_options options = {.replica_count = 1, .consensus = CHANNEL_SOLO};
    struct world *world = world_create(&options);
    open_folder();
    write_text("one", "one\n");
    EXPECT(0, "1 final", "submit", "--config", world_config_file(world), "--wait", "one");
    EXPECT(2, "nowhere/out", "receipt", "--config", world_config_file(world), "--sequence", "1", "--out",
           "nowhere/out");
    EXPECT(0, "final at", "receipt", "--config", world_config_file(world), "--sequence", "1", "--out", "out");
    EXPECT(0, "out: verified", "verify", "--genesis", world_genesis_file(world), "out");
    close_folder();
    world_destroy(world);
}

static double number_after(const char *name) {
    const char *at = strstr(said, name);
    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

/* All are due at once, and there is room for a few: the last ones' latency is the whole time, not that since room. */
static void submit__counts_latencies_from_when_they_were_due(void **state) {
    (void) state;
    const struct world_options options = {.replica_count = 1, .consensus = CHANNEL_SOLO};
    const struct world_fault fault = {.late_ms = 50};
    struct world *world = world_create(&options);
    world_fault(world, 0, &fault);
    EXPECT(0, "tx_per_second", "submit", "--config", world_config_file(world), "--generate", "60", "--size", "2000",
           "--rate", "1000000", "--json");
    double all_us = number_after("\"seconds\":") * 1e6;
    assert_true(number_after("\"final_latency\":{\"p50_us\":") > 0.2 * all_us);
    assert_true(number_after("\"renumbered\":") == 0);
    const char *final = strstr(said, "\"final_latency\"");
    assert_non_null(final);
    const char *max = strstr(final, "\"max_us\":");
    assert_non_null(max);
    assert_true(strtod(max + strlen("\"max_us\":"), NULL) > 0.9 * all_us);
    world_destroy(world);
}

/*
 * A replica that has just joined has stated nothing. Only its operator can tell it from one that has forgotten its
 * statements.
 */
static void status__of_a_silent_replica_is_true_for_a_new_one(void **state) {
    (void) state;
    const struct world_options options = {.replica_count = 1, .consensus = CHANNEL_SOLO};
    const struct world_fault fault = {.silent = true};
    struct world *world = world_create(&options);
    world_fault(world, 0, &fault);
    EXPECT(0, "silent: its disk is new, or older than what it said", "status", "--config", world_config_file(world));
    world_destroy(world);
}

static void status__keeps_a_long_address_apart(void **state) {
    (void) state;
    open_folder();
    /* 127.0.0.1, where nothing listens. */
    static const char address[] = "0x0000000000000000007f000001:1";
    char words[64];
    snprintf(words, sizeof(words), "%s - ", address);
    FILE *file = fopen("net/client/client.cfg", "a");
    assert_non_null(file);
    assert_true(fprintf(file, "replicas = (\"%s\", \"%s\", \"%s\", \"%s\");\n", address, address, address, address) >
                0);
    assert_int_equal(fclose(file), 0);
    EXPECT(3, words, "status", "--config", "net/client/client.cfg", "--timeout", "0.1");
    /* Whoever gives up names what each replica last answered. */
    snprintf(words, sizeof(words), "replica 3 (%s): no connection", address);
    EXPECT(3, words, "submit", "--config", "net/client/client.cfg", "--timeout", "0.1", "--generate", "1");
    EXPECT(3, words, "receipt", "--config", "net/client/client.cfg", "--timeout", "0.1", "--sequence", "1");
    EXPECT(3, words, "deliver", "--config", "net/client/client.cfg", "--timeout", "0.1", "--from", "1");
    close_folder();
}

static void help__is_given_however_it_is_asked_for(void **state) {
    (void) state;
    static const char usage[] = "Usage: ordain COMMAND";
    EXPECT(0, usage, "--help");
    EXPECT(0, usage, "help");
    EXPECT(0, usage, "help", "--help");
    EXPECT(0, usage, "help", "-h");
    EXPECT(0, usage, "help", "help");
    EXPECT(0, "Usage: ordain deliver", "help", "deliver");
    EXPECT(0, "Usage: ordain deliver", "deliver", "--help");
    EXPECT(2, "did you mean 'deliver'", "help", "delver");
}

static void message__begins_with_the_command(void **state) {
    (void) state;
    open_folder();
    EXPECT(2, "ordain status: unrecognized option '--nonsense'", "status", "--nonsense");
    EXPECT(2, "ordain submit: option '--size' requires an argument", "submit", "--size");
    EXPECT(2, "ordain deliver: nowhere/x: No such file", "deliver", "--config", "net/client/client.cfg", "--chain",
           "nowhere/x");
    close_folder();
}

/*
 * A pipe may bring no lines, and then no transaction failed. But --raw of an empty file was meant to submit one
 * transaction, and did not.
 */
static void submit__of_nothing_says_so(void **state) {
    (void) state;
    const struct world_options options = {.replica_count = 1, .consensus = CHANNEL_SOLO};
    struct world *world = world_create(&options);
    const char *config = world_config_file(world);
    static const char words[] = "nothing to submit in empty";
    open_folder();
    write_text("blank", "\n\n");
    EXPECT(0, words, "submit", "--config", config, "empty");
    assert_null(strstr(said, "Accepted is not final"));
    EXPECT(0, words, "submit", "--config", config, "--hex", "--wait", "empty");
    EXPECT(0, "nothing to submit in blank", "submit", "--config", config, "blank");
    EXPECT(0, "nothing to submit in standard input", "submit", "--config", config, "-");
    EXPECT(1, words, "submit", "--config", config, "--raw", "empty");
    assert_null(strstr(said, "Accepted is not final"));
    EXPECT(1, words, "submit", "--config", config, "--raw", "--wait", "--json", "empty");
    EXPECT(0, "Accepted is not final", "submit", "--config", config, "--no-wait", "--raw", "blank");
    EXPECT(0, "1 final", "submit", "--config", config, "--raw", "blank");
    assert_null(strstr(said, "Accepted is not final"));
    EXPECT(2, "exclude each other", "submit", "--config", config, "--wait", "--no-wait", "--raw", "blank");
    EXPECT(2, "cannot go with --no-wait", "submit", "--config", config, "--receipts", "x", "--no-wait", "blank");
    assert_null(strstr(said, "nothing to submit"));
    close_folder();
    world_destroy(world);
}

static void deliver__of_a_block_that_does_not_come_fails(void **state) {
    (void) state;
    const struct world_options options = {.replica_count = 1, .consensus = CHANNEL_SOLO};
    struct world *world = world_create(&options);
    EXPECT(1, "deliver: TIMEOUT", "deliver", "--config", world_config_file(world), "--to", "9", "--timeout", "0.3");
    EXPECT(0, "did not come within --timeout", "deliver", "--help");
    world_destroy(world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(wrong_path__of_init_is_usage),
    cmocka_unit_test(wrong_path__of_data_dir_is_usage),
    cmocka_unit_test(wrong_path__of_submit_is_usage),
    cmocka_unit_test(wrong_path__is_no_refuted_proof),
    cmocka_unit_test(wrong_certificate__is_named),
    cmocka_unit_test(wrong_path__of_a_ledger_is_usage),
    cmocka_unit_test(other_version__of_a_ledger_is_named),
    cmocka_unit_test(wrong_path__of_a_receipt_is_usage),
    cmocka_unit_test(submit__counts_latencies_from_when_they_were_due),
    cmocka_unit_test(status__of_a_silent_replica_is_true_for_a_new_one),
    cmocka_unit_test(status__keeps_a_long_address_apart),
    cmocka_unit_test(help__is_given_however_it_is_asked_for),
    cmocka_unit_test(message__begins_with_the_command),
    cmocka_unit_test(submit__of_nothing_says_so),
    cmocka_unit_test(deliver__of_a_block_that_does_not_come_fails),
};
TEST_CASES(cases);
