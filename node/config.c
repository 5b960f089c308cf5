/*
 * node.cfg is a flat libconfig file. Its settings have the names of the fields of struct node_config. One table gives
 * each setting's type, range and place. Loading looks up each setting of the file in the table, so a misspelt setting
 * is an error and does not silently leave a default in force. This file also reads key files, which nobody else may be
 * able to read.
 */
#include "node/config.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_FILE_BYTES_MAX (1u << 20)

enum setting_kind { SETTING_PATH, SETTING_HOST, SETTING_LEVEL, SETTING_U16, SETTING_U32, SETTING_U64 };

struct setting_rule {
    const char *name;
    enum setting_kind kind;
    bool required;
    size_t offset; /* into struct node_config */
    /* Numbers only. Both ends are included. */
    uint64_t min;
    uint64_t max;
    /* Numbers only: the default. 0 for verify_threads: as many as the machine has processors. */
    uint64_t fallback;
};

#define TEXT(name, kind, required)                                                                                     \
    { #name, kind, required, offsetof(struct node_config, name), 0, 0, 0 }
#define NUMBER(name, kind, required, min, max, fallback)                                                               \
    { #name, kind, required, offsetof(struct node_config, name), min, max, fallback }

static const struct setting_rule rules[] = {
    NUMBER(replica, SETTING_U32, true, 0, ORD_REPLICA_MAX - 1, 0),
    TEXT(genesis_file, SETTING_PATH, true),
    TEXT(data_dir, SETTING_PATH, true),
    TEXT(identity_key_file, SETTING_PATH, true),
    TEXT(tls_cert_file, SETTING_PATH, true),
    TEXT(tls_key_file, SETTING_PATH, true),
    TEXT(replica_listen_host, SETTING_HOST, false),
    NUMBER(replica_listen_port, SETTING_U16, false, 0, UINT16_MAX, 0),
    TEXT(client_listen_host, SETTING_HOST, false),
    NUMBER(client_listen_port, SETTING_U16, false, 0, UINT16_MAX, 0),
    NUMBER(verify_threads, SETTING_U32, false, 1, 64, 0),
    NUMBER(pool_envelopes_max, SETTING_U32, false, 16, 1u << 24, 65536),
    NUMBER(pool_bytes_max, SETTING_U64, false, 1u << 20, 1ull << 40, 64ull << 20),
    NUMBER(client_envelopes_max, SETTING_U32, false, 1, 1u << 24, 16384),
    NUMBER(link_queue_bytes_max, SETTING_U64, false, 1u << 20, 1ull << 40, 0),
    NUMBER(client_contexts, SETTING_U32, false, 1, 65536, 256),
    NUMBER(ledger_map_bytes_max, SETTING_U64, false, 16ull << 20, 1ull << 46, 1ull << 40),
    NUMBER(disk_reserve_bytes, SETTING_U64, false, 0, 1ull << 50, 64ull << 20),
    TEXT(log_level, SETTING_LEVEL, false),
};
#define RULE_COUNT (sizeof(rules) / sizeof(rules[0]))

enum ord_err node_explain(char *why, size_t why_size, enum ord_err err, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, why_size, format, arguments);
    va_end(arguments);
    return err;
}

enum ord_err node_log_level_parse(enum node_log_level *out, const char *name) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum node_log_level) i;
            return ORD_OK;
        }
    return ORD_ERR_INVALID;
}

static uint32_t processors(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > 8 ? 8 : (uint32_t) count;
}

static bool is_number(enum setting_kind kind) {
    return kind == SETTING_U16 || kind == SETTING_U32 || kind == SETTING_U64;
}

static void store_number(struct node_config *config, const struct setting_rule *rule, uint64_t value) {
    uint8_t *field = (uint8_t *) config + rule->offset;
    if (rule->kind == SETTING_U16)
        *(uint16_t *) (void *) field = (uint16_t) value;
    else if (rule->kind == SETTING_U32)
        *(uint32_t *) (void *) field = (uint32_t) value;
    else
        *(uint64_t *) (void *) field = value;
}

static void set_defaults(struct node_config *config) {
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < RULE_COUNT; i++)
        if (is_number(rules[i].kind))
            store_number(config, &rules[i], rules[i].fallback);
    config->verify_threads = processors();
    memcpy(config->replica_listen_host, "0.0.0.0", sizeof("0.0.0.0"));
    memcpy(config->client_listen_host, "0.0.0.0", sizeof("0.0.0.0"));
    config->log_level = NODE_LOG_INFO;
}

static const char *type_name(const config_setting_t *setting) {
    static const char *const names[] = {
        [CONFIG_TYPE_NONE] = "nothing",       [CONFIG_TYPE_GROUP] = "a group",
        [CONFIG_TYPE_INT] = "a whole number", [CONFIG_TYPE_INT64] = "a whole number",
        [CONFIG_TYPE_FLOAT] = "a fraction",   [CONFIG_TYPE_STRING] = "a string",
        [CONFIG_TYPE_BOOL] = "a truth value", [CONFIG_TYPE_ARRAY] = "an array",
        [CONFIG_TYPE_LIST] = "a list",
    };
    return names[config_setting_type(setting)];
}

/* Context of one load. */
struct loader {
    struct node_config *out;
    const char *path;
    char folder[NODE_PATH_MAX];
    char *why;
    size_t why_size;
};

/* Says what is wrong in a line of the file; returns INVALID. */
__attribute__((format(printf, 3, 4))) static enum ord_err wrong(const struct loader *loader, unsigned line,
                                                                const char *format, ...) {
    char words[2 * NODE_PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    return node_explain(loader->why, loader->why_size, ORD_ERR_INVALID, "%s:%u: %s", loader->path, line, words);
}

static enum ord_err take_number(const struct loader *loader, const struct setting_rule *rule,
                                const config_setting_t *setting) {
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
        return wrong(loader, setting->line, "%s wants a whole number, found %s", rule->name, type_name(setting));
    long long value = type == CONFIG_TYPE_INT ? config_setting_get_int(setting) : config_setting_get_int64(setting);
    if (value < 0 || (uint64_t) value < rule->min || (uint64_t) value > rule->max)
        return wrong(loader, setting->line, "%s is %lld, but must be %llu to %llu", rule->name, value,
                     (unsigned long long) rule->min, (unsigned long long) rule->max);
    store_number(loader->out, rule, (uint64_t) value);
    return ORD_OK;
}

static enum ord_err take_text(const struct loader *loader, const struct setting_rule *rule,
                              const config_setting_t *setting) {
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return wrong(loader, setting->line, "%s wants a string, found %s", rule->name, type_name(setting));
    const char *text = config_setting_get_string(setting);
    if (text[0] == '\0')
        return wrong(loader, setting->line, "%s is empty", rule->name);
    if (rule->kind == SETTING_LEVEL)
        return node_log_level_parse(&loader->out->log_level, text) == ORD_OK
                   ? ORD_OK
                   : wrong(loader, setting->line, "%s is \"%s\", but must be error, warn, info or debug", rule->name,
                           text);
    size_t capacity = rule->kind == SETTING_HOST ? sizeof(loader->out->client_listen_host) : NODE_PATH_MAX;
    bool relative = rule->kind == SETTING_PATH && text[0] != '/';
    int length = snprintf((char *) loader->out + rule->offset, capacity, "%s%s%s", relative ? loader->folder : "",
                          relative ? "/" : "", text);
    if (length < 0 || (size_t) length >= capacity)
        return wrong(loader, setting->line, "%s is longer than %zu bytes", rule->name, capacity - 1);
    return ORD_OK;
}

/* Gives the absolute folder of the file. Relative paths in the file begin there. */
static enum ord_err folder_of(char folder[NODE_PATH_MAX], const char *path, char *why, size_t why_size) {
    char *real = realpath(path, NULL);
    if (real == NULL)
        return node_explain(why, why_size, errno == ENOENT ? ORD_ERR_NOT_FOUND : ORD_ERR_INVALID, "%s: %s", path,
                            strerror(errno));
    *strrchr(real, '/') = '\0'; /* realpath gives an absolute path */
    int length = snprintf(folder, NODE_PATH_MAX, "%s", real);
    free(real);
    if (length >= NODE_PATH_MAX)
        return node_explain(why, why_size, ORD_ERR_INVALID, "%s: the path is too long", path);
    return ORD_OK;
}

static enum ord_err take_settings(const struct loader *loader, const config_t *file) {
    bool seen[RULE_COUNT] = {false};
    const config_setting_t *root = config_root_setting(file);
    int count = config_setting_length(root);
    for (int i = 0; i < count; i++) {
        const config_setting_t *setting = config_setting_get_elem(root, (unsigned) i);
        const char *name = config_setting_name(setting);
        size_t rule = 0;
        while (rule < RULE_COUNT && strcmp(rules[rule].name, name) != 0)
            rule++;
        if (rule == RULE_COUNT)
            return wrong(loader, setting->line, "there is no setting %s", name);
        seen[rule] = true;
        enum ord_err err = (is_number(rules[rule].kind) ? take_number : take_text)(loader, &rules[rule], setting);
        if (err != ORD_OK)
            return err;
    }
    for (size_t i = 0; i < RULE_COUNT; i++)
        if (rules[i].required && !seen[i])
            return node_explain(loader->why, loader->why_size, ORD_ERR_INVALID, "%s: the setting %s is missing",
                                loader->path, rules[i].name);
    return ORD_OK;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-' || c == '*';
}

/* True for a whole number as libconfig reads it, without the suffix. */
static bool is_integer(const char *word, size_t length) {
    size_t i = length > 0 && word[0] == '-' ? 1 : 0;
    bool hex = length - i > 2 && word[i] == '0' && (word[i + 1] == 'x' || word[i + 1] == 'X');
    if (hex)
        return length - i <= 18 && strspn(word + i + 2, "0123456789abcdefABCDEF") == length - i - 2;
    return length > i && strspn(word + i, "0123456789") == length - i;
}

/* Gives the length of the comment or string that begins at `text`; 0 if neither begins there. */
static size_t skip_quiet(const char *text) {
    if (text[0] == '#' || (text[0] == '/' && text[1] == '/'))
        return strcspn(text, "\n");
    if (text[0] == '/' && text[1] == '*') {
        const char *end = strstr(text + 2, "*/");
        return end == NULL ? strlen(text) : (size_t) (end + 2 - text);
    }
    if (text[0] != '"')
        return 0;
    size_t length = 1;
    while (text[length] != '\0' && text[length] != '"')
        length += text[length] == '\\' && text[length + 1] != '\0' ? 2 : 1;
    return length + (text[length] == '"');
}

/*
 * libconfig 1.5 silently reads 4294967297 as 1: whole numbers have 32 bits unless an L follows. So every number gets
 * its L before libconfig sees the text. Lines keep their numbers. The result is malloc'ed. NULL: there is no memory, or
 * *include_line is the line of an @include, whose file would escape this treatment.
 */
static char *widen_integers(const char *text, unsigned *include_line) {
    char *out = malloc(2 * strlen(text) + 1);
    size_t size = 0;
    unsigned line = 1;
    *include_line = 0;
    while (out != NULL && *text != '\0') {
        size_t length = skip_quiet(text);
        bool number = false;
        if (length == 0 && is_word(*text)) {
            while (is_word(text[length]))
                length++;
            number = is_integer(text, length);
        } else if (length == 0) {
            length = 1;
        }
        if (*text == '@') {
            *include_line = line;
            free(out);
            return NULL;
        }
        for (size_t i = 0; i < length; i++)
            line += text[i] == '\n';
        memcpy(out + size, text, length);
        size += length;
        if (number)
            out[size++] = 'L';
        text += length;
    }
    if (out != NULL)
        out[size] = '\0';
    return out;
}

static enum ord_err parse(const struct loader *loader, config_t *file, const char *text) {
    unsigned include_line;
    char *wide = widen_integers(text, &include_line);
    if (wide == NULL && include_line > 0)
        return wrong(loader, include_line, "@include is not supported");
    if (wide == NULL)
        return node_explain(loader->why, loader->why_size, ORD_ERR_NO_MEMORY, "%s: %s", loader->path,
                            ord_err_text(ORD_ERR_NO_MEMORY));
    bool good = config_read_string(file, wide) == CONFIG_TRUE;
    free(wide);
    if (!good)
        return wrong(loader, (unsigned) config_error_line(file), "%s", config_error_text(file));
    set_defaults(loader->out);
    return take_settings(loader, file);
}

enum ord_err node_config_load(struct node_config *out, const char *path, char *why, size_t why_size) {
    struct loader loader = {.out = out, .path = path, .why = why, .why_size = why_size};
    uint8_t *text = NULL;
    size_t text_size = 0;
    enum ord_err err = folder_of(loader.folder, path, why, why_size);
    if (err != ORD_OK)
        return err;
    err = node_read_file(&text, &text_size, path, CONFIG_FILE_BYTES_MAX, why, why_size);
    if (err != ORD_OK)
        return err == ORD_ERR_NOT_FOUND || err == ORD_ERR_NO_MEMORY ? err : ORD_ERR_INVALID;
    config_t file;
    config_init(&file);
    if (memchr(text, '\0', text_size) != NULL)
        err = node_explain(why, why_size, ORD_ERR_INVALID, "%s: not a text file", path);
    else
        err = parse(&loader, &file, (const char *) text);
    config_destroy(&file);
    free(text);
    return err;
}

/* Opens a regular file. It waits for nothing, as the opening of a FIFO otherwise would. */
static enum ord_err open_regular(int *fd, struct stat *info, const char *path, char *why, size_t why_size) {
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0) {
        enum ord_err err = errno == ENOENT || errno == ENOTDIR ? ORD_ERR_NOT_FOUND
                           : errno == EACCES                   ? ORD_ERR_FORBIDDEN
                                                               : ORD_ERR_IO;
        return node_explain(why, why_size, err, "%s: %s", path, strerror(errno));
    }
    enum ord_err err = ORD_OK;
    if (fstat(*fd, info) != 0)
        err = node_explain(why, why_size, ORD_ERR_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(info->st_mode))
        err = node_explain(why, why_size, ORD_ERR_FORBIDDEN, "%s: not a regular file", path);
    if (err != ORD_OK)
        close(*fd);
    return err;
}

/* Reads to the end of the file. TOO_LARGE: there is more than `size_max`. */
static enum ord_err read_to_end(uint8_t *out, size_t *size, int fd, size_t size_max) {
    *size = 0;
    for (;;) {
        uint8_t beyond;
        bool full = *size == size_max;
        ssize_t got = full ? read(fd, &beyond, 1) : read(fd, out + *size, size_max - *size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ORD_ERR_IO;
        if (got == 0)
            return ORD_OK;
        if (full)
            return ORD_ERR_TOO_LARGE;
        *size += (size_t) got;
    }
}

enum ord_err node_read_secret(char *out, size_t out_size, const char *path, char *why, size_t why_size) {
    int fd;
    struct stat info = {0};
    enum ord_err err = open_regular(&fd, &info, path, why, why_size);
    if (err != ORD_OK)
        return err;
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        close(fd);
        return node_explain(why, why_size, ORD_ERR_FORBIDDEN,
                            "%s: mode %04o lets others at this key; give it mode 0600 (chmod 600)", path,
                            (unsigned) (info.st_mode & 07777));
    }
    size_t size;
    err = read_to_end((uint8_t *) out, &size, fd, out_size - 1);
    close(fd);
    if (err == ORD_OK && memchr(out, '\0', size) != NULL)
        err = ORD_ERR_INVALID;
    if (err != ORD_OK) {
        explicit_bzero(out, out_size);
        return node_explain(why, why_size, err, "%s: %s", path, ord_err_text(err));
    }
    out[size] = '\0';
    return ORD_OK;
}

enum ord_err node_read_file(uint8_t **out, size_t *size, const char *path, size_t size_max, char *why,
                            size_t why_size) {
    int fd;
    struct stat info = {0};
    enum ord_err err = open_regular(&fd, &info, path, why, why_size);
    if (err != ORD_OK)
        return err;
    size_t expected = (size_t) info.st_size;
    uint8_t *bytes = NULL;
    if ((uint64_t) info.st_size > size_max) {
        err = ORD_ERR_TOO_LARGE;
    } else {
        /* Has room for a NUL behind the file's bytes, for callers that read text. */
        bytes = malloc(expected + 1);
        err = bytes == NULL ? ORD_ERR_NO_MEMORY : read_to_end(bytes, size, fd, expected);
        if (err == ORD_ERR_TOO_LARGE)
            err = ORD_ERR_IO; /* it grew while it was read */
    }
    close(fd);
    if (err != ORD_OK) {
        free(bytes);
        (void) node_explain(why, why_size, err, "%s: %s", path, ord_err_text(err));
        return err;
    }
    bytes[*size] = '\0';
    *out = bytes;
    return ORD_OK;
}
