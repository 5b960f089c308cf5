/*
 * What `ordain init` puts on disk. Everything is made in memory first, so that wrong arguments leave no trace. Then the
 * files are written one by one and remembered. If one fails, all of them are removed again.
 *
 *     DIR/genesis.block
 *     DIR/orgs/org1/     ca.crt ca.key                 one organisation per replica
 *     DIR/replica0/      node.cfg identity.key identity.crt tls.key tls.crt data/
 *     DIR/client/        client.cfg identity.key identity.crt tls.key tls.crt
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/block.h"
#include "cli/init.h"
#include "cli/init_texts.h"
#include "cli/path_error.h"
#include "crypto/hash.h"
#include "node/config.h"

#define MODE_PUBLIC  0644
#define MODE_SECRET  0600
#define MODE_FOLDER  0755
#define MODE_PRIVATE 0700

/* A member of the channel: the certificates for its links and for its identity. */
struct member {
    struct crypto_pem tls;
    struct crypto_pem identity;
};

/* What makes the files. The first error stays, and nothing is made after it. */
struct maker {
    enum ord_err err;
    char *why;             /* has INIT_WHY_MAX bytes */
    char path[PATH_MAX];   /* what path_of wrote last */
    char folder[PATH_MAX]; /* the folder that was made last; files are made in it */
    char **made;           /* the files and folders that were made so far, in order */
    size_t count;
    size_t capacity;
};

__attribute__((format(printf, 3, 4))) static void fail(struct maker *maker, enum ord_err err, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(maker->why, INIT_WHY_MAX, format, arguments);
    va_end(arguments);
    maker->err = err;
}

static void fail_at(struct maker *maker, const char *path) {
    fail(maker, cli_path_error(errno), "%s: %s", path, strerror(errno));
}

/* Valid until the next call. */
__attribute__((format(printf, 2, 3))) static const char *path_of(struct maker *maker, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(maker->path, PATH_MAX, format, arguments);
    va_end(arguments);
    if (maker->err == ORD_OK && (length < 0 || length >= PATH_MAX))
        fail(maker, ORD_ERR_INVALID, "the path is too long");
    return maker->path;
}

static bool remember(struct maker *maker, const char *path) {
    if (maker->count == maker->capacity) {
        size_t capacity = maker->capacity == 0 ? 64 : 2 * maker->capacity;
        char **made = realloc(maker->made, capacity * sizeof(*made));
        if (made != NULL) {
            maker->made = made;
            maker->capacity = capacity;
        }
    }
    char *copy = maker->count < maker->capacity ? strdup(path) : NULL;
    if (copy != NULL)
        maker->made[maker->count++] = copy;
    else
        maker->err = ORD_ERR_NO_MEMORY;
    return copy != NULL;
}

/* Removes everything again if something failed. Returns the error, with a sentence in any case. */
static enum ord_err finish(struct maker *maker) {
    for (size_t i = maker->count; i-- > 0;) {
        if (maker->err != ORD_OK)
            (void) remove(maker->made[i]); /* a folder can be removed once it is empty */
        free(maker->made[i]);
    }
    free(maker->made);
    if (maker->err != ORD_OK && maker->why[0] == '\0')
        fail(maker, maker->err, "%s", ord_err_text(maker->err));
    return maker->err;
}

static void make_folder(struct maker *maker, const char *path, mode_t mode) {
    if (maker->err != ORD_OK)
        return;
    snprintf(maker->folder, sizeof(maker->folder), "%s", path);
    if (mkdir(path, mode) != 0)
        fail_at(maker, path);
    else if (!remember(maker, path))
        rmdir(path);
}

/* The mode applies from the start: the umask may only remove permissions from it. */
static void make_file(struct maker *maker, const char *name, mode_t mode, const void *data, size_t size) {
    const char *path = path_of(maker, "%s/%s", maker->folder, name);
    if (maker->err != ORD_OK)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        fail_at(maker, path);
        return;
    }
    if (!remember(maker, path))
        unlink(path);
    const uint8_t *bytes = data;
    for (size_t done = 0; done < size && maker->err == ORD_OK;) {
        ssize_t written = write(fd, bytes + done, size - done);
        if (written > 0)
            done += (size_t) written;
        else if (written == 0 || errno != EINTR)
            fail(maker, ORD_ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (close(fd) != 0 && maker->err == ORD_OK)
        fail(maker, ORD_ERR_IO, "%s: %s", path, strerror(errno));
}

static void make_text(struct maker *maker, const char *name, mode_t mode, const char *text) {
    make_file(maker, name, mode, text, strlen(text));
}

/* Writes the four key and certificate files of a member. */
static void make_member_files(struct maker *maker, const struct member *member) {
    make_text(maker, "identity.key", MODE_SECRET, member->identity.key);
    make_text(maker, "identity.crt", MODE_PUBLIC, member->identity.cert);
    make_text(maker, "tls.key", MODE_SECRET, member->tls.key);
    make_text(maker, "tls.crt", MODE_PUBLIC, member->tls.cert);
}

static void make_client(struct maker *maker, const char *directory, const char *name, const char *channel,
                        const struct member *member) {
    char text[INIT_TEXT_MAX] = "";
    if (maker->err == ORD_OK)
        maker->err = init_client_text(text, channel);
    make_folder(maker, path_of(maker, "%s/%s", directory, name), MODE_FOLDER);
    make_text(maker, "client.cfg", MODE_PUBLIC, text);
    make_member_files(maker, member);
}

static void make_replica(struct maker *maker, const struct init_plan *plan, uint32_t index,
                         const struct member *member) {
    char text[INIT_TEXT_MAX] = "";
    if (maker->err == ORD_OK)
        maker->err = init_node_text(text, &plan->config, index);
    make_folder(maker, path_of(maker, "%s/replica%u", plan->directory, index), MODE_FOLDER);
    make_text(maker, "node.cfg", MODE_PUBLIC, text);
    make_member_files(maker, member);
    make_folder(maker, path_of(maker, "%s/replica%u/data", plan->directory, index), MODE_PRIVATE);
}

static enum ord_err create_member(struct member *out, const struct crypto_pem *ca, const char *org,
                                  enum crypto_role role, const char *name, const char *host) {
    enum ord_err err = crypto_tls_create(&out->tls, ca, org, role, name, host, INIT_DAYS);
    return err != ORD_OK ? err : crypto_identity_create(&out->identity, ca, org, role, name, INIT_DAYS);
}

static void wipe_and_free(void *secrets, size_t size) {
    if (secrets != NULL)
        crypto_wipe(secrets, size);
    free(secrets);
}

static enum ord_err public_key_of(struct ord_public_key *out, const struct crypto_pem *identity) {
    struct crypto_private_key key;
    enum ord_err err = crypto_private_key_load(&key, identity->key);
    if (err == ORD_OK)
        err = crypto_public_key(out, &key);
    crypto_wipe(&key, sizeof(key));
    return err;
}

static void client_name(char out[32], uint32_t index) {
    if (index == 0)
        snprintf(out, 32, "client");
    else
        snprintf(out, 32, "client%u", index + 1);
}

/* Makes keys and certificates for all members; fills in the configuration's organisations and replica keys. */
static enum ord_err create_members(struct init_plan *plan, struct crypto_pem *cas, struct member *replicas,
                                   struct member *clients) {
    struct channel_config *config = &plan->config;
    config->org_count = config->replica_count;
    for (uint32_t i = 0; i < config->replica_count; i++) {
        struct channel_org *org = &config->orgs[i];
        char *name = config->replicas[i].name;
        snprintf(org->name, sizeof(org->name), "org%u", i + 1);
        snprintf(name, CRYPTO_NAME_MAX + 1, "replica%u", i);
        size_t der_size = sizeof(org->ca_der);
        enum ord_err err = crypto_ca_create(&cas[i], org->name, INIT_DAYS);
        if (err == ORD_OK)
            err = crypto_cert_der(org->ca_der, &der_size, cas[i].cert);
        if (err == ORD_OK)
            err = create_member(&replicas[i], &cas[i], org->name, CRYPTO_ROLE_REPLICA, name, config->replicas[i].host);
        if (err == ORD_OK)
            err = public_key_of(&config->replicas[i].key, &replicas[i].identity);
        if (err != ORD_OK)
            return err;
        org->ca_der_size = (uint32_t) der_size;
        config->replicas[i].org_index = i;
    }
    for (uint32_t i = 0; i < plan->client_count; i++) {
        char name[32];
        client_name(name, i);
        enum ord_err err = create_member(&clients[i], &cas[0], config->orgs[0].name, CRYPTO_ROLE_CLIENT, name, NULL);
        if (err != ORD_OK)
            return err;
    }
    return ORD_OK;
}

/*
 * Makes the genesis block file: header, then data. *out is malloc'ed. The file is read back as a replica will read it.
 */
static enum ord_err create_genesis(uint8_t **out, size_t *size, struct init_plan *plan, char *why) {
    size_t capacity = CHANNEL_HEADER_SIZE + CHANNEL_CONFIG_BYTES_MAX + 1024;
    uint8_t *file = malloc(capacity);
    struct channel_config *check = malloc(sizeof(*check));
    enum ord_err err = file == NULL || check == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
    if (err != ORD_OK)
        goto out;
    struct channel_header header;
    struct ord_writer data = ord_writer_of(file + CHANNEL_HEADER_SIZE, capacity - CHANNEL_HEADER_SIZE);
    err = channel_genesis_create(&header, &data, &plan->config);
    if (err != ORD_OK)
        goto out;
    channel_header_encode(file, &header);
    *size = CHANNEL_HEADER_SIZE + data.size;
    struct ord_span block;
    err = channel_genesis_open(check, &plan->genesis_hash, &header, &block, ord_span_of(file, *size));
out:
    free(check);
    if (err == ORD_OK) {
        *out = file;
        return ORD_OK;
    }
    snprintf(why, INIT_WHY_MAX, "genesis block: %s", ord_err_text(err));
    free(file);
    return err;
}

/* Makes DIR, or accepts it if it exists and is empty. */
static void claim_folder(struct maker *maker, const char *directory) {
    make_folder(maker, directory, MODE_FOLDER);
    if (maker->err != ORD_ERR_EXISTS)
        return;
    DIR *folder = opendir(directory);
    if (folder == NULL) {
        fail_at(maker, directory);
        return;
    }
    bool empty = true;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    closedir(folder);
    maker->err = ORD_OK;
    maker->why[0] = '\0';
    if (!empty)
        fail(maker, ORD_ERR_EXISTS, "%s is not empty; nothing was changed in it", directory);
}

/* Writes the CAs, each in its organisation's folder. */
static void make_orgs(struct maker *maker, const struct init_plan *plan, const struct crypto_pem *cas) {
    make_folder(maker, path_of(maker, "%s/orgs", plan->directory), MODE_FOLDER);
    for (uint32_t i = 0; i < plan->config.org_count; i++) {
        make_folder(maker, path_of(maker, "%s/orgs/%s", plan->directory, plan->config.orgs[i].name), MODE_FOLDER);
        make_text(maker, "ca.crt", MODE_PUBLIC, cas[i].cert);
        make_text(maker, "ca.key", MODE_SECRET, cas[i].key);
    }
}

enum ord_err init_write(struct init_plan *plan, char *why) {
    uint32_t count = plan->config.replica_count;
    struct maker maker = {.why = why};
    struct crypto_pem *cas = calloc(count, sizeof(*cas));
    struct member *replicas = calloc(count, sizeof(*replicas));
    struct member *clients = calloc(plan->client_count + 1u, sizeof(*clients));
    uint8_t *genesis = NULL;
    size_t genesis_size = 0;
    const char *sentence = NULL;
    why[0] = '\0';
    maker.err = cas == NULL || replicas == NULL || clients == NULL ? ORD_ERR_NO_MEMORY
                                                                   : create_members(plan, cas, replicas, clients);
    if (maker.err == ORD_OK) {
        enum ord_err err = channel_config_check(&plan->config, &sentence);
        if (err != ORD_OK)
            fail(&maker, err, "%s", sentence != NULL ? sentence : ord_err_text(err));
    }
    if (maker.err == ORD_OK)
        maker.err = create_genesis(&genesis, &genesis_size, plan, why);
    if (maker.err == ORD_OK) {
        claim_folder(&maker, plan->directory);
        make_file(&maker, "genesis.block", MODE_PUBLIC, genesis, genesis_size);
        make_orgs(&maker, plan, cas);
        for (uint32_t i = 0; i < count; i++)
            make_replica(&maker, plan, i, &replicas[i]);
        for (uint32_t i = 0; i < plan->client_count; i++) {
            char name[32];
            client_name(name, i);
            make_client(&maker, plan->directory, name, plan->config.name, &clients[i]);
        }
    }
    wipe_and_free(cas, count * sizeof(*cas));
    wipe_and_free(replicas, count * sizeof(*replicas));
    wipe_and_free(clients, (plan->client_count + 1u) * sizeof(*clients));
    free(genesis);
    return finish(&maker);
}

/* Reads the genesis block in DIR. */
static void open_genesis(struct maker *maker, struct channel_config *out, const char *directory) {
    const char *path = path_of(maker, "%s/genesis.block", directory);
    uint8_t *file = NULL;
    size_t size = 0;
    if (maker->err == ORD_OK)
        maker->err = node_read_file(&file, &size, path, CHANNEL_HEADER_SIZE + CHANNEL_CONFIG_BYTES_MAX + 1024,
                                    maker->why, INIT_WHY_MAX);
    if (maker->err != ORD_OK)
        return;
    struct ord_hash hash;
    struct channel_header header;
    struct ord_span data;
    enum ord_err err = channel_genesis_open(out, &hash, &header, &data, ord_span_of(file, size));
    if (err != ORD_OK)
        fail(maker, err, "%.900s: not a genesis block (%s)", path, ord_err_text(err));
    free(file);
}

/* Loads certificate and key of an organisation's CA from DIR/orgs. */
static void load_ca(struct maker *maker, struct crypto_pem *out, const char *directory, const char *org) {
    uint8_t *cert = NULL;
    size_t size = 0;
    const char *path = path_of(maker, "%s/orgs/%s/ca.crt", directory, org);
    if (maker->err == ORD_OK)
        maker->err = node_read_file(&cert, &size, path, CRYPTO_PEM_MAX - 1, maker->why, INIT_WHY_MAX);
    if (maker->err == ORD_OK)
        memcpy(out->cert, cert, size + 1);
    free(cert);
    path = path_of(maker, "%s/orgs/%s/ca.key", directory, org);
    if (maker->err == ORD_OK)
        maker->err = node_read_secret(out->key, sizeof(out->key), path, maker->why, INIT_WHY_MAX);
}

/* Checks that the channel knows this CA under this name. Otherwise every replica would refuse its clients. */
static enum ord_err check_ca(const struct channel_config *config, const char *org, const struct crypto_pem *ca,
                             char *why) {
    uint8_t der[CRYPTO_CERT_DER_MAX];
    size_t size = sizeof(der);
    enum ord_err err = crypto_cert_der(der, &size, ca->cert);
    if (err != ORD_OK) {
        snprintf(why, INIT_WHY_MAX, "the CA certificate of %s: %s", org, ord_err_text(err));
        return err;
    }
    for (uint32_t i = 0; i < config->org_count; i++)
        if (strcmp(config->orgs[i].name, org) == 0 &&
            ord_span_equal(ord_span_of(config->orgs[i].ca_der, config->orgs[i].ca_der_size), ord_span_of(der, size)))
            return ORD_OK;
    snprintf(why, INIT_WHY_MAX, "the channel does not know this CA of organisation %s", org);
    return ORD_ERR_MISMATCH;
}

enum ord_err init_add_client(const char *directory, const char *name, const char *org, char *why) {
    struct maker maker = {.why = why};
    struct crypto_pem ca = {0};
    struct member *member = calloc(1, sizeof(*member));
    struct channel_config *config = calloc(1, sizeof(*config));
    why[0] = '\0';
    if (member == NULL || config == NULL) {
        maker.err = ORD_ERR_NO_MEMORY;
    } else {
        open_genesis(&maker, config, directory);
        load_ca(&maker, &ca, directory, org);
        if (maker.err == ORD_OK)
            maker.err = check_ca(config, org, &ca, why);
        if (maker.err == ORD_OK)
            maker.err = create_member(member, &ca, org, CRYPTO_ROLE_CLIENT, name, NULL);
        make_client(&maker, directory, name, config->name, member);
    }
    crypto_wipe(&ca, sizeof(ca));
    wipe_and_free(member, sizeof(*member));
    free(config);
    return finish(&maker);
}
