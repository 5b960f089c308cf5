/* Opens a client for a command, reads and writes files, and prints receipts. */
#include "cli/client_common.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/number.h"
#include "cli/report.h"

#define SECONDS_MAX  8640000.0
#define READ_CHUNK   65536u
#define PATH_ROOM    4200u
#define COLUMN_WIDTH 14

void cli_connection_init(struct cli_connection *connection) {
    memset(connection, 0, sizeof(*connection));
    connection->replica = ORDAIN_ANY_REPLICA;
}

bool cli_connection_replica(struct cli_connection *connection, const char *command, const char *text) {
    uint64_t replica = 0;
    if (cli_number(&replica, text, 0, ORDAIN_REPLICA_MAX - 1) != ORD_OK) {
        fprintf(stderr, "ordain %s: --replica wants a replica's number from 0, found '%s'\n", command, text);
        return false;
    }
    connection->replica = (int) replica;
    return true;
}

int cli_connect(struct ordain **out, const char *command, const struct cli_connection *connection, bool receipts) {
    char why[ORDAIN_TEXT_SIZE] = "";
    struct ordain_options options;
    if (connection->config_file == NULL) {
        fprintf(stderr, "ordain %s: --config FILE is missing (the client.cfg of `ordain init`)\n", command);
        return CLI_EXIT_USAGE;
    }
    ordain_options_init(&options);
    options.config_file = connection->config_file;
    options.channel = connection->channel;
    options.replica = connection->replica;
    options.receipts = receipts;
    enum ordain_error error = ordain_open(out, &options, why, sizeof(why));
    if (error == ORDAIN_OK)
        return CLI_EXIT_OK;
    fprintf(stderr, "ordain %s: %s\n", command, why);
    return error == ORDAIN_NO_MEMORY || error == ORDAIN_INTERNAL ? CLI_EXIT_INTERNAL : CLI_EXIT_USAGE;
}

int cli_exit_of(enum ordain_error error) {
    switch (error) {
    case ORDAIN_OK:
        return CLI_EXIT_OK;
    case ORDAIN_UNREACHABLE:
    case ORDAIN_TIMEOUT:
        return CLI_EXIT_UNREACHABLE;
    case ORDAIN_NO_MEMORY:
    case ORDAIN_INTERNAL:
        return CLI_EXIT_INTERNAL;
    case ORDAIN_INVALID:
    case ORDAIN_TOO_LARGE:
    case ORDAIN_REFUSED:
    case ORDAIN_FORBIDDEN:
    case ORDAIN_NOT_FOUND:
    case ORDAIN_NOT_READY:
    case ORDAIN_PRUNED:
    case ORDAIN_UNVERIFIED:
    case ORDAIN_STOPPED:
        break;
    }
    return CLI_EXIT_FAILED;
}

bool cli_seconds(uint32_t *out_ms, const char *command, const char *option, const char *text) {
    char *end = NULL;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0.001 && seconds <= SECONDS_MAX / 2)) {
        fprintf(stderr, "ordain %s: %s wants seconds (such as 30 or 0.5), found '%s'\n", command, option, text);
        return false;
    }
    double ms = seconds * 1000.0;
    *out_ms = ms > (double) UINT32_MAX ? UINT32_MAX : (uint32_t) ms;
    return true;
}

void cli_warn_of_suspects(struct ordain *client, const char *command) {
    struct ordain_channel channel;
    char why[ORDAIN_TEXT_SIZE];
    ordain_channel(client, &channel);
    for (uint32_t i = 0; i < channel.replica_count; i++)
        if (ordain_replica_suspect(client, i, why, sizeof(why)))
            fprintf(stderr, "ordain %s: warning: do not trust replica %" PRIu32 " (%s): %s\n", command, i,
                    ordain_replica_address(client, i), why);
}

int cli_read_file(uint8_t **out, size_t *size, const char *command, const char *path, size_t size_max, int too_large) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    uint8_t *data = NULL;
    size_t used = 0;
    size_t capacity = 0;
    bool ok = file != NULL;
    int code = errno;
    while (ok) {
        if (used + READ_CHUNK > capacity) {
            capacity = capacity == 0 ? READ_CHUNK : 2 * capacity;
            uint8_t *grown = realloc(data, capacity);
            ok = grown != NULL;
            code = ENOMEM;
            data = ok ? grown : data;
        }
        size_t got = ok ? fread(data + used, 1, READ_CHUNK, file) : 0;
        used += got;
        if (ok && used > size_max) {
            ok = false;
            code = EFBIG;
        }
        if (got == 0)
            break;
    }
    if (ok && ferror(file) != 0) {
        ok = false;
        code = errno;
    }
    if (file != NULL && file != stdin)
        fclose(file);
    if (!ok) {
        fprintf(stderr, "ordain %s: %s: %s\n", command, path, strerror(code));
        free(data);
        return code == ENOMEM ? CLI_EXIT_INTERNAL : code == EFBIG ? too_large : CLI_EXIT_USAGE;
    }
    *out = data;
    *size = used;
    return CLI_EXIT_OK;
}

/* True if the path leads to no place where a file may be. Every other error is the disk's fault. */
static bool is_path_fault(int code) {
    return code == ENOENT || code == ENOTDIR || code == EISDIR || code == ELOOP || code == ENAMETOOLONG ||
           code == EACCES || code == EPERM || code == EROFS;
}

int cli_write_file(const char *command, const char *path, const void *data, size_t size) {
    char temporary[PATH_ROOM];
    int length = snprintf(temporary, sizeof(temporary), "%s.part", path);
    if (length < 0 || (size_t) length >= sizeof(temporary)) {
        fprintf(stderr, "ordain %s: %s: %s\n", command, path, strerror(ENAMETOOLONG));
        return CLI_EXIT_USAGE;
    }
    FILE *file = fopen(temporary, "wb");
    bool ok = file != NULL;
    ok = ok && fwrite(data, 1, size, file) == size;
    int code = errno;
    if (file != NULL && fclose(file) != 0 && ok) {
        ok = false;
        code = errno;
    }
    if (ok && rename(temporary, path) != 0) {
        ok = false;
        code = errno;
    }
    if (!ok) {
        fprintf(stderr, "ordain %s: %s: %s\n", command, path, strerror(code));
        if (file != NULL)
            remove(temporary);
    }
    return ok ? CLI_EXIT_OK : is_path_fault(code) ? CLI_EXIT_USAGE : CLI_EXIT_INTERNAL;
}

bool cli_make_folder(const char *command, const char *path) {
    struct stat info;
    if (mkdir(path, 0755) == 0 || (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)))
        return true;
    fprintf(stderr, "ordain %s: %s: %s\n", command, path, errno == EEXIST ? "is not a folder" : strerror(errno));
    return false;
}

static void print_line(const char *name, const void *hash) {
    printf("%-*s", COLUMN_WIDTH, name);
    cli_print_hex(stdout, hash, ORDAIN_HASH_SIZE);
    putchar('\n');
}

static void print_receipt_json(const struct ordain_receipt *receipt) {
    printf("{\"verified\":true,\"height\":%" PRIu64 ",\"index\":%" PRIu32 ",\"block\":", receipt->height,
           receipt->index);
    cli_json_hex(stdout, receipt->block_hash, ORDAIN_HASH_SIZE);
    printf(",\"certified_height\":%" PRIu64 ",\"signers\":[", receipt->certified_height);
    for (uint32_t i = 0; i < receipt->signer_count; i++)
        printf("%s%" PRIu32, i == 0 ? "" : ",", receipt->signers[i]);
    putchar(']');
    if (receipt->has_envelope) {
        printf(",\"envelope\":");
        cli_json_hex(stdout, receipt->envelope_id, ORDAIN_HASH_SIZE);
        printf(",\"client\":");
        cli_json_hex(stdout, receipt->client, ORDAIN_HASH_SIZE);
        printf(",\"sequence\":%" PRIu64 ",\"transactions\":%" PRIu32, receipt->sequence, receipt->transaction_count);
    }
    printf("}\n");
}

void cli_print_receipt(const struct ordain_receipt *receipt, bool json) {
    if (json) {
        print_receipt_json(receipt);
        return;
    }
    printf("%-*sheight %" PRIu64 ", index %" PRIu32 "\n", COLUMN_WIDTH, "final at", receipt->height, receipt->index);
    print_line("block", receipt->block_hash);
    printf("%-*s%" PRIu32 " replicas:", COLUMN_WIDTH, "signed by", receipt->signer_count);
    for (uint32_t i = 0; i < receipt->signer_count; i++)
        printf(" %" PRIu32, receipt->signers[i]);
    printf(" (certificate of block %" PRIu64 ")\n", receipt->certified_height);
    if (!receipt->has_envelope) {
        printf("%-*snot in the receipt\n", COLUMN_WIDTH, "envelope");
        return;
    }
    print_line("envelope", receipt->envelope_id);
    print_line("client", receipt->client);
    printf("%-*s%" PRIu64 "\n", COLUMN_WIDTH, "sequence", receipt->sequence);
    printf("%-*s%" PRIu32 "\n", COLUMN_WIDTH, "transactions", receipt->transaction_count);
}
