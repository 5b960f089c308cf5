/*
 * client.cfg: a flat libconfig file. One table names each setting, its kind and where it goes. Loading walks the file
 * and looks each setting up in the table, so a misspelt setting is an error instead of a silent default. This file also
 * reads the files that client.cfg names; a private key must be readable by its owner only.
 */
#include "client/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/flow/text.h"
#include "crypto/hash.h"

#define CONFIG_FILE_BYTES_MAX (1u << 20)
#define NUMBER_DIGITS_MAX     9 /* libconfig wraps whole numbers silently at 2^32 */

enum setting_kind { SETTING_PATH, SETTING_NAME, SETTING_NUMBER, SETTING_REPLICAS };

struct setting_rule {
    const char *name;
    enum setting_kind kind;
    bool required;
    size_t offset; /* into struct client_config */
    uint32_t min;  /* numbers only; both ends are allowed */
    uint32_t max;
    uint32_t fallback;
};

#define PATH(name)                                                                                                     \
    { #name, SETTING_PATH, true, offsetof(struct client_config, name), 0, 0, 0 }
#define NUMBER(name, min, max, fallback)                                                                               \
    { #name, SETTING_NUMBER, false, offsetof(struct client_config, name), min, max, fallback }

static const struct setting_rule rules[] = {
    {"channel", SETTING_NAME, true, offsetof(struct client_config, channel), 0, 0, 0},
    PATH(genesis),
    PATH(identity_key),
    PATH(identity_cert),
    PATH(tls_cert),
    PATH(tls_key),
    NUMBER(timeout_ms, 10, 3600000, 10000),
    NUMBER(in_flight_max, 1, 1024, 64),
    NUMBER(envelopes_per_request, 1, 1024, 64),
    {"replicas", SETTING_REPLICAS, false, offsetof(struct client_config, replicas), 0, 0, 0},
};
#define RULE_COUNT (sizeof(rules) / sizeof(rules[0]))

/* Context of one load. */
struct loader {
    struct client_config *out;
    const char *path;
    char folder[CLIENT_PATH_MAX];
    char *why;
    size_t why_size;
};

static const char *type_name(const config_setting_t *setting) {
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return "a group";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a whole number";
    case CONFIG_TYPE_FLOAT:
        return "a fraction";
    case CONFIG_TYPE_STRING:
        return "a string";
    case CONFIG_TYPE_BOOL:
        return "a truth value";
    case CONFIG_TYPE_ARRAY:
        return "an array";
    case CONFIG_TYPE_LIST:
        return "a list";
    default:
        return "nothing";
    }
}

/* Says what is wrong in a line of the file; returns INVALID. */
__attribute__((format(printf, 3, 4))) static enum ord_err wrong(const struct loader *loader, unsigned line,
                                                                const char *format, ...) {
    char words[2 * CLIENT_PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    client_say(loader->why, loader->why_size, "%s:%u: %s", loader->path, line, words);
    return ORD_ERR_INVALID;
}

static enum ord_err wrong_type(const struct loader *loader, const config_setting_t *setting, const char *name,
                               const char *wanted) {
    return wrong(loader, config_setting_source_line(setting), "%s wants %s, found %s", name, wanted,
                 type_name(setting));
}

enum ord_err client_address_parse(struct client_address *out, const char *text) {
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text)
        return ORD_ERR_INVALID;
    const char *host = text;
    size_t host_size = (size_t) (colon - text);
    if (host[0] == '[') {
        if (host_size < 3 || host[host_size - 1] != ']')
            return ORD_ERR_INVALID;
        host++;
        host_size -= 2;
    } else if (memchr(host, ':', host_size) != NULL) {
        /* Without brackets nobody can tell where an IPv6 address ends and the port begins. */
        return ORD_ERR_INVALID;
    }
    if (host_size > CHANNEL_HOST_MAX)
        return ORD_ERR_TOO_LARGE;
    uint32_t port = 0;
    size_t digits = 0;
    for (const char *c = colon + 1; *c != '\0'; c++, digits++) {
        if (!isdigit((unsigned char) *c) || digits == 5)
            return ORD_ERR_INVALID;
        port = port * 10 + (uint32_t) (*c - '0');
    }
    if (digits == 0 || port == 0 || port > UINT16_MAX)
        return ORD_ERR_INVALID;
    memset(out, 0, sizeof(*out));
    memcpy(out->host, host, host_size);
    out->port = (uint16_t) port;
    return ORD_OK;
}

static enum ord_err take_number(const struct loader *loader, const struct setting_rule *rule,
                                const config_setting_t *setting) {
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
        return wrong_type(loader, setting, rule->name, "a whole number");
    long long value = config_setting_get_int64(setting);
    if (value < (long long) rule->min || value > (long long) rule->max)
        return wrong(loader, config_setting_source_line(setting), "%s is %lld, but must be %u to %u", rule->name, value,
                     rule->min, rule->max);
    *(uint32_t *) (void *) ((uint8_t *) loader->out + rule->offset) = (uint32_t) value;
    return ORD_OK;
}

static enum ord_err take_text(const struct loader *loader, const struct setting_rule *rule,
                              const config_setting_t *setting) {
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return wrong_type(loader, setting, rule->name, "a string");
    const char *value = config_setting_get_string(setting);
    unsigned line = config_setting_source_line(setting);
    if (value[0] == '\0')
        return wrong(loader, line, "%s is empty", rule->name);
    bool is_path = rule->kind == SETTING_PATH;
    size_t capacity = is_path ? CLIENT_PATH_MAX : CHANNEL_NAME_MAX + 1;
    bool joined = is_path && value[0] != '/';
    int size = snprintf((char *) loader->out + rule->offset, capacity, "%s%s%s", joined ? loader->folder : "",
                        joined ? "/" : "", value);
    if (size < 0 || (size_t) size >= capacity)
        return wrong(loader, line, "%s is longer than %zu bytes", rule->name, capacity - 1);
    return ORD_OK;
}

static enum ord_err take_replicas(const struct loader *loader, const config_setting_t *setting) {
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_LIST && type != CONFIG_TYPE_ARRAY)
        return wrong_type(loader, setting, "replicas", "a list of \"host:port\"");
    int count = config_setting_length(setting);
    if (count < 1 || count > ORD_REPLICA_MAX)
        return wrong(loader, config_setting_source_line(setting), "replicas has %d addresses, but must have 1 to %d",
                     count, ORD_REPLICA_MAX);
    for (int i = 0; i < count; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned) i);
        if (config_setting_type(element) != CONFIG_TYPE_STRING)
            return wrong_type(loader, element, "an address in replicas", "a string");
        const char *text = config_setting_get_string(element);
        if (client_address_parse(&loader->out->replicas[i], text) != ORD_OK)
            return wrong(loader, config_setting_source_line(element), "\"%s\" is not an address; write \"host:port\"",
                         text);
    }
    loader->out->replica_count = (uint32_t) count;
    return ORD_OK;
}

static enum ord_err take_setting(const struct loader *loader, const config_setting_t *setting, bool seen[RULE_COUNT]) {
    const char *name = config_setting_name(setting);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (strcmp(rules[i].name, name) != 0)
            continue;
        seen[i] = true;
        switch (rules[i].kind) {
        case SETTING_PATH:
        case SETTING_NAME:
            return take_text(loader, &rules[i], setting);
        case SETTING_NUMBER:
            return take_number(loader, &rules[i], setting);
        case SETTING_REPLICAS:
            return take_replicas(loader, setting);
        }
    }
    return wrong(loader, config_setting_source_line(setting), "there is no setting %s", name);
}

/*
 * libconfig 1.5 silently reads 4294967297 as 1, and an @include would read files that the caller did not name. Both are
 * found before libconfig sees the text: a number outside of strings and comments may have few digits only, and an
 * @include is refused.
 */
static enum ord_err scan(const struct loader *loader, const char *text) {
    unsigned line = 1;
    size_t digits = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\n')
            line++;
        digits = isdigit((unsigned char) *c) ? digits + 1 : 0;
        if (digits > NUMBER_DIGITS_MAX)
            return wrong(loader, line, "this number is too large");
        if (*c == '@')
            return wrong(loader, line, "@include is not supported");
        if (*c == '"') {
            for (c++; *c != '"' && *c != '\0'; c++) {
                if (*c == '\\' && c[1] != '\0')
                    c++;
                if (*c == '\n')
                    line++;
            }
        } else if (*c == '#' || (*c == '/' && c[1] == '/')) {
            while (c[1] != '\n' && c[1] != '\0')
                c++;
        } else if (*c == '/' && c[1] == '*') {
            for (c += 2; *c != '\0' && !(*c == '*' && c[1] == '/'); c++)
                if (*c == '\n')
                    line++;
        }
        if (*c == '\0')
            break;
    }
    return ORD_OK;
}

static enum ord_err take_settings(const struct loader *loader, config_t *file) {
    bool seen[RULE_COUNT] = {false};
    const config_setting_t *root = config_root_setting(file);
    int count = config_setting_length(root);
    for (int i = 0; i < count; i++) {
        enum ord_err err = take_setting(loader, config_setting_get_elem(root, (unsigned) i), seen);
        if (err != ORD_OK)
            return err;
    }
    for (size_t i = 0; i < RULE_COUNT; i++)
        if (rules[i].required && !seen[i]) {
            client_say(loader->why, loader->why_size, "%s: the setting %s is missing", loader->path, rules[i].name);
            return ORD_ERR_INVALID;
        }
    return ORD_OK;
}

static enum ord_err folder_of(struct loader *loader) {
    const char *slash = strrchr(loader->path, '/');
    size_t size = slash == NULL || slash == loader->path ? 1 : (size_t) (slash - loader->path);
    if (size >= sizeof(loader->folder)) {
        client_say(loader->why, loader->why_size, "%s: the path is too long", loader->path);
        return ORD_ERR_INVALID;
    }
    memcpy(loader->folder, slash == NULL ? "." : loader->path, size);
    loader->folder[size] = '\0';
    return ORD_OK;
}

static enum ord_err parse(const struct loader *loader, config_t *file, const char *text) {
    enum ord_err err = scan(loader, text);
    if (err != ORD_OK)
        return err;
    if (config_read_string(file, text) != CONFIG_TRUE)
        return wrong(loader, (unsigned) config_error_line(file), "%s", config_error_text(file));
    return take_settings(loader, file);
}

enum ord_err client_config_load(struct client_config *out, const char *path, char *why, size_t why_size) {
    struct loader loader = {.out = out, .path = path, .why = why, .why_size = why_size};
    char *text = NULL;
    size_t size = 0;
    config_t file;
    config_init(&file);
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < RULE_COUNT; i++)
        if (rules[i].kind == SETTING_NUMBER)
            *(uint32_t *) (void *) ((uint8_t *) out + rules[i].offset) = rules[i].fallback;

    enum ord_err err = folder_of(&loader);
    if (err == ORD_OK)
        err = client_read_file(&text, &size, path, CONFIG_FILE_BYTES_MAX, why, why_size);
    if (err == ORD_OK && strlen(text) != size) {
        client_say(why, why_size, "%s: not a text file", path);
        err = ORD_ERR_INVALID;
    }
    if (err == ORD_OK)
        err = parse(&loader, &file, text);
    config_destroy(&file);
    free(text);
    return err;
}

static enum ord_err read_descriptor(char **out, size_t *size, int fd, const char *path, size_t size_max, char *why,
                                    size_t why_size) {
    size_t capacity = 4096;
    size_t used = 0;
    char *data = malloc(capacity + 1);
    while (data != NULL) {
        ssize_t got = read(fd, data + used, capacity - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            client_say(why, why_size, "%s: %s", path, strerror(errno));
            free(data);
            return ORD_ERR_IO;
        }
        if (got == 0) {
            data[used] = '\0';
            *out = data;
            *size = used;
            return ORD_OK;
        }
        used += (size_t) got;
        if (used > size_max) {
            client_say(why, why_size, "%s: larger than %zu bytes", path, size_max);
            free(data);
            return ORD_ERR_TOO_LARGE;
        }
        if (used == capacity) {
            capacity *= 2;
            char *grown = realloc(data, capacity + 1);
            if (grown == NULL)
                free(data);
            data = grown;
        }
    }
    client_say(why, why_size, "%s: %s", path, ord_err_text(ORD_ERR_NO_MEMORY));
    return ORD_ERR_NO_MEMORY;
}

/* `secret`: nobody but the owner may have access to the file. */
static enum ord_err read_file(char **out, size_t *size, const char *path, size_t size_max, bool secret, char *why,
                              size_t why_size) {
    struct stat info;
    enum ord_err err = ORD_ERR_FORBIDDEN;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0) {
        int code = errno;
        client_say(why, why_size, "%s: %s", path, strerror(code));
        err = code == ENOENT ? ORD_ERR_NOT_FOUND : code == EACCES ? ORD_ERR_FORBIDDEN : ORD_ERR_IO;
    } else if (!S_ISREG(info.st_mode)) {
        client_say(why, why_size, "%s: not a regular file", path);
    } else if (secret && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        client_say(why, why_size, "%s: mode %04o lets others at this key; give it mode 0600 (chmod 600)", path,
                   (unsigned) info.st_mode & 07777u);
    } else {
        err = read_descriptor(out, size, fd, path, size_max, why, why_size);
    }
    if (fd >= 0)
        close(fd);
    return err;
}

enum ord_err client_read_file(char **out, size_t *size, const char *path, size_t size_max, char *why, size_t why_size) {
    return read_file(out, size, path, size_max, false, why, why_size);
}

enum ord_err client_read_secret(char **out, size_t *size, const char *path, char *why, size_t why_size) {
    return read_file(out, size, path, CRYPTO_PEM_MAX - 1, true, why, why_size);
}
