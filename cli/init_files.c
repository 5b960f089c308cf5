/*
 * What `ordain init` puts on disk. Everything is made in memory first, so that wrong arguments leave no trace. Then the
 * files are written one by one and noted in a journal. If one fails, the journal removes all of them.
 *
 *     DIR/genesis.block  ca-bundle.crt
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

/* The files and folders that were made so far, in order. */
struct journal {
    char **paths;
    size_t count;
    size_t capacity;
};

static enum ord_err journal_add(struct journal *journal, const char *path) {
    if (journal->count == journal->capacity) {
        size_t capacity = journal->capacity == 0 ? 64 : 2 * journal->capacity;
        char **paths = realloc(journal->paths, capacity * sizeof(*paths));
        if (paths == NULL)
            return ORD_ERR_NO_MEMORY;
        journal->paths = paths;
        journal->capacity = capacity;
    }
    journal->paths[journal->count] = strdup(path);
    if (journal->paths[journal->count] == NULL)
        return ORD_ERR_NO_MEMORY;
    journal->count++;
    return ORD_OK;
}

/*
 * Why a path could not be made or opened. The user can mend NOT_FOUND, EXISTS and FORBIDDEN; any other error is the
 * machine's.
 */
static enum ord_err err_of(int code) {
    switch (code) {
    case EEXIST:
        return ORD_ERR_EXISTS;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return ORD_ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ORD_ERR_FORBIDDEN;
    default:
        return ORD_ERR_IO;
    }
}

/* Removes everything that was made if `undo` is set; frees the journal in any case. */
static void journal_close(struct journal *journal, bool undo) {
    for (size_t i = journal->count; i-- > 0;) {
        if (undo)
            (void) remove(journal->paths[i]); /* a folder can be removed once it is empty */
        free(journal->paths[i]);
    }
    free(journal->paths);
    *journal = (struct journal) {0};
}

__attribute__((format(printf, 3, 4))) static enum ord_err join(char out[PATH_MAX], char *why, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(out, PATH_MAX, format, arguments);
    va_end(arguments);
    if (length >= 0 && length < PATH_MAX)
        return ORD_OK;
    snprintf(why, INIT_WHY_MAX, "the path is too long");
    return ORD_ERR_INVALID;
}

static enum ord_err make_folder(struct journal *journal, const char *path, mode_t mode, char *why) {
    if (mkdir(path, mode) != 0) {
        int code = errno;
        snprintf(why, INIT_WHY_MAX, "%s: %s", path, strerror(code));
        return err_of(code);
    }
    enum ord_err err = journal_add(journal, path);
    if (err != ORD_OK)
        rmdir(path);
    return err;
}

/* The mode applies from the start: the umask may only remove permissions from it. */
static enum ord_err make_file(struct journal *journal, const char *path, mode_t mode, const void *data, size_t size,
                              char *why) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        int code = errno;
        snprintf(why, INIT_WHY_MAX, "%s: %s", path, strerror(code));
        return err_of(code);
    }
    enum ord_err err = journal_add(journal, path);
    if (err != ORD_OK) {
        close(fd);
        unlink(path);
        return err;
    }
    const uint8_t *bytes = data;
    for (size_t done = 0; done < size;) {
        ssize_t written = write(fd, bytes + done, size - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            snprintf(why, INIT_WHY_MAX, "%s: %s", path, strerror(errno));
            close(fd);
            return ORD_ERR_IO;
        }
        done += (size_t) written;
    }
    if (close(fd) != 0) {
        snprintf(why, INIT_WHY_MAX, "%s: %s", path, strerror(errno));
        return ORD_ERR_IO;
    }
    return ORD_OK;
}

static enum ord_err make_text(struct journal *journal, const char *folder, const char *name, mode_t mode,
                              const char *text, char *why) {
    char path[PATH_MAX];
    enum ord_err err = join(path, why, "%s/%s", folder, name);
    return err != ORD_OK ? err : make_file(journal, path, mode, text, strlen(text), why);
}

/* Writes the four key and certificate files of a member. */
static enum ord_err make_member_files(struct journal *journal, const char *folder, const struct member *member,
                                      char *why) {
    enum ord_err err = make_text(journal, folder, "identity.key", MODE_SECRET, member->identity.key, why);
    if (err == ORD_OK)
        err = make_text(journal, folder, "identity.crt", MODE_PUBLIC, member->identity.cert, why);
    if (err == ORD_OK)
        err = make_text(journal, folder, "tls.key", MODE_SECRET, member->tls.key, why);
    if (err == ORD_OK)
        err = make_text(journal, folder, "tls.crt", MODE_PUBLIC, member->tls.cert, why);
    return err;
}

static enum ord_err make_client(struct journal *journal, const char *folder, const char *channel,
                                const struct member *member, char *why) {
    char text[INIT_TEXT_MAX];
    enum ord_err err = init_client_text(text, channel);
    if (err == ORD_OK)
        err = make_folder(journal, folder, MODE_FOLDER, why);
    if (err == ORD_OK)
        err = make_text(journal, folder, "client.cfg", MODE_PUBLIC, text, why);
    if (err == ORD_OK)
        err = make_member_files(journal, folder, member, why);
    return err;
}

static enum ord_err make_replica(struct journal *journal, const char *folder, const struct init_plan *plan,
                                 uint32_t index, const struct member *member, char *why) {
    char text[INIT_TEXT_MAX];
    char data[PATH_MAX];
    enum ord_err err = init_node_text(text, &plan->config, index);
    if (err == ORD_OK)
        err = join(data, why, "%s/data", folder);
    if (err == ORD_OK)
        err = make_folder(journal, folder, MODE_FOLDER, why);
    if (err == ORD_OK)
        err = make_folder(journal, data, MODE_PRIVATE, why);
    if (err == ORD_OK)
        err = make_text(journal, folder, "node.cfg", MODE_PUBLIC, text, why);
    if (err == ORD_OK)
        err = make_member_files(journal, folder, member, why);
    return err;
}

static enum ord_err create_member(struct member *out, const struct crypto_pem *ca, const char *org,
                                  enum crypto_role role, const char *name, const char *host) {
    enum ord_err err = crypto_tls_create(&out->tls, ca, org, name, host, INIT_DAYS);
    return err != ORD_OK ? err : crypto_identity_create(&out->identity, ca, org, role, name, INIT_DAYS);
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
        char name[32];
        snprintf(org->name, sizeof(org->name), "org%u", i + 1);
        snprintf(name, sizeof(name), "replica%u", i);
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
static enum ord_err claim_folder(struct journal *journal, const char *directory, char *why) {
    enum ord_err err = make_folder(journal, directory, MODE_FOLDER, why);
    if (err != ORD_ERR_EXISTS)
        return err;
    DIR *folder = opendir(directory);
    if (folder == NULL) {
        int code = errno;
        snprintf(why, INIT_WHY_MAX, "%s: %s", directory, strerror(code));
        return err_of(code);
    }
    bool empty = true;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    closedir(folder);
    if (empty)
        return ORD_OK;
    snprintf(why, INIT_WHY_MAX, "%s is not empty; nothing was changed in it", directory);
    return ORD_ERR_EXISTS;
}

/* Writes the CAs: a folder for each organisation, and all certificates in one file. */
static enum ord_err write_orgs(struct journal *journal, const struct init_plan *plan, const struct crypto_pem *cas,
                               char *why) {
    char path[PATH_MAX];
    size_t bundle_size = 0;
    char *bundle = malloc((size_t) plan->config.org_count * CRYPTO_PEM_MAX);
    enum ord_err err = bundle == NULL ? ORD_ERR_NO_MEMORY : join(path, why, "%s/orgs", plan->directory);
    if (err == ORD_OK)
        err = make_folder(journal, path, MODE_FOLDER, why);
    for (uint32_t i = 0; i < plan->config.org_count && err == ORD_OK; i++) {
        size_t length = strlen(cas[i].cert);
        memcpy(bundle + bundle_size, cas[i].cert, length);
        bundle_size += length;
        err = join(path, why, "%s/orgs/%s", plan->directory, plan->config.orgs[i].name);
        if (err == ORD_OK)
            err = make_folder(journal, path, MODE_FOLDER, why);
        if (err == ORD_OK)
            err = make_text(journal, path, "ca.crt", MODE_PUBLIC, cas[i].cert, why);
        if (err == ORD_OK)
            err = make_text(journal, path, "ca.key", MODE_SECRET, cas[i].key, why);
    }
    if (err == ORD_OK)
        err = join(path, why, "%s/ca-bundle.crt", plan->directory);
    if (err == ORD_OK)
        err = make_file(journal, path, MODE_PUBLIC, bundle, bundle_size, why);
    free(bundle);
    return err;
}

enum ord_err init_write(struct init_plan *plan, char *why) {
    why[0] = '\0';
    struct journal journal = {0};
    uint32_t count = plan->config.replica_count;
    struct crypto_pem *cas = calloc(count, sizeof(*cas));
    struct member *replicas = calloc(count, sizeof(*replicas));
    struct member *clients = calloc(plan->client_count + 1u, sizeof(*clients));
    uint8_t *genesis = NULL;
    size_t genesis_size = 0;
    const char *sentence = NULL;
    char path[PATH_MAX];
    enum ord_err err = cas == NULL || replicas == NULL || clients == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
    if (err == ORD_OK)
        err = create_members(plan, cas, replicas, clients);
    if (err != ORD_OK)
        goto out;
    err = channel_config_check(&plan->config, &sentence);
    if (err != ORD_OK) {
        snprintf(why, INIT_WHY_MAX, "%s", sentence != NULL ? sentence : ord_err_text(err));
        goto out;
    }
    err = create_genesis(&genesis, &genesis_size, plan, why);
    if (err == ORD_OK)
        err = claim_folder(&journal, plan->directory, why);
    if (err == ORD_OK)
        err = join(path, why, "%s/genesis.block", plan->directory);
    if (err == ORD_OK)
        err = make_file(&journal, path, MODE_PUBLIC, genesis, genesis_size, why);
    if (err == ORD_OK)
        err = write_orgs(&journal, plan, cas, why);
    for (uint32_t i = 0; i < count && err == ORD_OK; i++) {
        err = join(path, why, "%s/replica%u", plan->directory, i);
        if (err == ORD_OK)
            err = make_replica(&journal, path, plan, i, &replicas[i], why);
    }
    for (uint32_t i = 0; i < plan->client_count && err == ORD_OK; i++) {
        char name[32];
        client_name(name, i);
        err = join(path, why, "%s/%s", plan->directory, name);
        if (err == ORD_OK)
            err = make_client(&journal, path, plan->config.name, &clients[i], why);
    }
out:
    if (err != ORD_OK && why[0] == '\0')
        snprintf(why, INIT_WHY_MAX, "%s", ord_err_text(err));
    journal_close(&journal, err != ORD_OK);
    if (cas != NULL)
        crypto_wipe(cas, count * sizeof(*cas));
    if (replicas != NULL)
        crypto_wipe(replicas, count * sizeof(*replicas));
    if (clients != NULL)
        crypto_wipe(clients, (plan->client_count + 1u) * sizeof(*clients));
    free(cas);
    free(replicas);
    free(clients);
    free(genesis);
    return err;
}

static enum ord_err open_genesis(struct channel_config *out, const char *directory, char *why) {
    char path[PATH_MAX];
    uint8_t *file = NULL;
    size_t size = 0;
    enum ord_err err = join(path, why, "%s/genesis.block", directory);
    if (err == ORD_OK)
        err = node_read_file(&file, &size, path, CHANNEL_HEADER_SIZE + CHANNEL_CONFIG_BYTES_MAX + 1024, why,
                             INIT_WHY_MAX);
    if (err != ORD_OK)
        return err;
    struct ord_hash hash;
    struct channel_header header;
    struct ord_span data;
    err = channel_genesis_open(out, &hash, &header, &data, ord_span_of(file, size));
    if (err != ORD_OK)
        snprintf(why, INIT_WHY_MAX, "%.900s: not a genesis block (%s)", path, ord_err_text(err));
    free(file);
    return err;
}

/* Loads certificate and key of an organisation's CA from DIR/orgs. */
static enum ord_err load_ca(struct crypto_pem *out, const char *directory, const char *org, char *why) {
    char path[PATH_MAX];
    uint8_t *cert = NULL;
    size_t size = 0;
    enum ord_err err = join(path, why, "%s/orgs/%s/ca.crt", directory, org);
    if (err == ORD_OK)
        err = node_read_file(&cert, &size, path, CRYPTO_PEM_MAX - 1, why, INIT_WHY_MAX);
    if (err != ORD_OK)
        return err;
    memcpy(out->cert, cert, size + 1);
    free(cert);
    err = join(path, why, "%s/orgs/%s/ca.key", directory, org);
    return err != ORD_OK ? err : node_read_secret(out->key, sizeof(out->key), path, why, INIT_WHY_MAX);
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
    why[0] = '\0';
    char path[PATH_MAX];
    struct journal journal = {0};
    struct crypto_pem ca = {0};
    struct member *member = calloc(1, sizeof(*member));
    struct channel_config *config = malloc(sizeof(*config));
    enum ord_err err = member == NULL || config == NULL ? ORD_ERR_NO_MEMORY : open_genesis(config, directory, why);
    if (err == ORD_OK)
        err = load_ca(&ca, directory, org, why);
    if (err == ORD_OK)
        err = check_ca(config, org, &ca, why);
    if (err == ORD_OK)
        err = create_member(member, &ca, org, CRYPTO_ROLE_CLIENT, name, NULL);
    if (err == ORD_OK)
        err = join(path, why, "%s/%s", directory, name);
    if (err == ORD_OK)
        err = make_client(&journal, path, config->name, member, why);
    if (err != ORD_OK && why[0] == '\0')
        snprintf(why, INIT_WHY_MAX, "%s", ord_err_text(err));
    journal_close(&journal, err != ORD_OK);
    crypto_wipe(&ca, sizeof(ca));
    if (member != NULL)
        crypto_wipe(member, sizeof(*member));
    free(member);
    free(config);
    return err;
}
