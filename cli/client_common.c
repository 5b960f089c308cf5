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
#include "cli/path_error.h"

#define READ_CHUNK 65536u
#define PATH_ROOM  4200u

int cli_connect(struct ordain **out, const struct cli_connection *connection, bool receipts) {
    char why[ORDAIN_TEXT_SIZE] = "";
    if (connection->config_file == NULL)
        return cli_fail(CLI_EXIT_USAGE, "--config FILE is missing (the client.cfg of `ordain init`)");
    struct ordain_options options = {
        .config_file = connection->config_file,
        .channel = connection->channel,
        .replica = connection->replica,
        .receipts = receipts,
    };
    enum ordain_error error = ordain_open(out, &options, why, sizeof(why));
    if (error == ORDAIN_OK)
        return CLI_EXIT_OK;
    return cli_fail(cli_exit_of(error) == CLI_EXIT_INTERNAL ? CLI_EXIT_INTERNAL : CLI_EXIT_USAGE, "%s", why);
}

int cli_exit_of(enum ordain_error error) {
    if (error == ORDAIN_UNREACHABLE || error == ORDAIN_TIMEOUT)
        return CLI_EXIT_UNREACHABLE;
    if (error == ORDAIN_NO_MEMORY || error == ORDAIN_INTERNAL)
        return CLI_EXIT_INTERNAL;
    return error == ORDAIN_OK ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

int cli_unverified(enum ordain_error error, const char *genesis, const char *path, const char *why) {
    if (error == ORDAIN_INVALID)
        return cli_fail(CLI_EXIT_USAGE, "%s: %s", genesis, why);
    if (error == ORDAIN_UNVERIFIED)
        return cli_fail(CLI_EXIT_FAILED, "%s does not verify: %s", path, why);
    return cli_fail(cli_exit_of(error), "%s: %s", path, ordain_error_name(error));
}

void cli_warn_of_suspects(struct ordain *client) {
    struct ordain_channel channel;
    char why[ORDAIN_TEXT_SIZE];
    ordain_channel(client, &channel);
    for (uint32_t i = 0; i < channel.replica_count; i++)
        if (ordain_replica_suspect(client, i, why, sizeof(why)))
            cli_say("warning: do not trust replica %" PRIu32 " (%s): %s", i, ordain_replica_address(client, i), why);
}

void cli_say_answers(struct ordain *client) {
    struct ordain_channel channel;
    char says[ORDAIN_TEXT_SIZE];
    ordain_channel(client, &channel);
    for (uint32_t i = 0; i < channel.replica_count; i++) {
        ordain_replica_says(client, i, says, sizeof(says));
        cli_say("replica %" PRIu32 " (%s): %s", i, ordain_replica_address(client, i), says);
    }
}

/* Reads on to the end of the file. Returns an errno value; EFBIG: it is larger than size_max. */
static int read_to_end(uint8_t **data, size_t *size, FILE *file, size_t size_max) {
    for (size_t got = 1, capacity = 0; got > 0; *size += got) {
        if (*size + READ_CHUNK > capacity) {
            capacity = capacity == 0 ? READ_CHUNK : 2 * capacity;
            uint8_t *grown = realloc(*data, capacity);
            if (grown == NULL)
                return ENOMEM;
            *data = grown;
        }
        got = fread(*data + *size, 1, READ_CHUNK, file);
        if (*size + got > size_max)
            return EFBIG;
    }
    return ferror(file) != 0 ? errno : 0;
}

int cli_read_file(uint8_t **out, size_t *size, const char *path, size_t size_max, int too_large) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    uint8_t *data = NULL;
    *size = 0;
    int code = file == NULL ? errno : read_to_end(&data, size, file, size_max);
    if (file != NULL && file != stdin)
        fclose(file);
    if (code != 0) {
        free(data);
        return cli_fail(code == ENOMEM  ? CLI_EXIT_INTERNAL
                        : code == EFBIG ? too_large
                                        : CLI_EXIT_USAGE,
                        "%s: %s", path, strerror(code));
    }
    *out = data;
    return CLI_EXIT_OK;
}

int cli_write_file(const char *path, const void *data, size_t size) {
    char temporary[PATH_ROOM];
    int length = snprintf(temporary, sizeof(temporary), "%s.part", path);
    int code = length < 0 || (size_t) length >= sizeof(temporary) ? ENAMETOOLONG : 0;
    FILE *file = code == 0 ? fopen(temporary, "wb") : NULL;
    if (code == 0 && (file == NULL || fwrite(data, 1, size, file) != size))
        code = errno != 0 ? errno : EIO;
    if (file != NULL && fclose(file) != 0 && code == 0)
        code = errno;
    if (code == 0 && rename(temporary, path) != 0)
        code = errno;
    if (code == 0)
        return CLI_EXIT_OK;
    if (file != NULL)
        remove(temporary);
    return cli_fail(cli_path_error(code) == ORD_ERR_IO ? CLI_EXIT_INTERNAL : CLI_EXIT_USAGE, "%s: %s", path,
                    strerror(code));
}

bool cli_make_folder(const char *path) {
    struct stat info;
    if (mkdir(path, 0755) == 0 || (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)))
        return true;
    cli_say("%s: %s", path, errno == EEXIST ? "is not a folder" : strerror(errno));
    return false;
}

const char *cli_trust(char out[CLI_TRUST_SIZE], const char *consensus, uint32_t replica_count, uint32_t liars_max) {
    if (replica_count == 1)
        snprintf(out, CLI_TRUST_SIZE, "%s: true if its one replica does not lie", consensus);
    else if (liars_max == 0)
        snprintf(out, CLI_TRUST_SIZE, "%s: true if none of its %" PRIu32 " replicas lies", consensus, replica_count);
    else
        snprintf(out, CLI_TRUST_SIZE, "%s: true if no more than %" PRIu32 " of its %" PRIu32 " replicas lie", consensus,
                 liars_max, replica_count);
    return out;
}

static void print_receipt_json(const struct ordain_receipt *receipt) {
    printf("{\"verified\":true,\"consensus\":\"%s\",\"replicas\":%" PRIu32 ",\"liars_max\":%" PRIu32
           ",\"height\":%" PRIu64 ",\"index\":%" PRIu32 ",\"block\":\"%s\",\"certified_height\":%" PRIu64
           ",\"signers\":[",
           receipt->consensus, receipt->replica_count, receipt->liars_max, receipt->height, receipt->index,
           CLI_HASH(receipt->block_hash), receipt->certified_height);
    for (uint32_t i = 0; i < receipt->signer_count; i++)
        printf("%s%" PRIu32, i == 0 ? "" : ",", receipt->signers[i]);
    putchar(']');
    if (receipt->has_envelope)
        printf(",\"envelope\":\"%s\",\"client\":\"%s\",\"sequence\":%" PRIu64 ",\"transactions\":%" PRIu32,
               CLI_HASH(receipt->envelope_id), CLI_HASH(receipt->client), receipt->sequence,
               receipt->transaction_count);
    printf("}\n");
}

void cli_print_receipt(const struct ordain_receipt *receipt, bool json) {
    if (json) {
        print_receipt_json(receipt);
        return;
    }
    printf("final at      height %" PRIu64 ", index %" PRIu32 "\n", receipt->height, receipt->index);
    printf("block         %s\n", CLI_HASH(receipt->block_hash));
    printf("signed by     %" PRIu32 " replicas:", receipt->signer_count);
    for (uint32_t i = 0; i < receipt->signer_count; i++)
        printf(" %" PRIu32, receipt->signers[i]);
    printf(" (certificate of block %" PRIu64 ")\n", receipt->certified_height);
    char trust[CLI_TRUST_SIZE];
    printf("trust         %s\n", cli_trust(trust, receipt->consensus, receipt->replica_count, receipt->liars_max));
    if (!receipt->has_envelope) {
        printf("envelope      not in the receipt\n");
        return;
    }
    printf("envelope      %s\nclient        %s\n", CLI_HASH(receipt->envelope_id), CLI_HASH(receipt->client));
    printf("sequence      %" PRIu64 "\ntransactions  %" PRIu32 "\n", receipt->sequence, receipt->transaction_count);
}
