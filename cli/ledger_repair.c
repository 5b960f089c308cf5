/*
 * Data from a replica is checked twice before it is written. The client library checks signatures and links against the
 * genesis block. Then the data must fit the records around the damaged one in this ledger. Each record is written in
 * its own transaction, so an interrupted repair can simply be run again.
 */
#include "cli/ledger_repair.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/receipt.h"
#include "ledger/ledger.h"

/* The largest block, and some pages around it. */
#define TURN_BYTES_MAX ((uint64_t) 80 << 20)

struct damage {
    enum ledger_problem_kind kind; /* BLOCK or CERTIFICATE */
    uint64_t height;
};

struct repair {
    const struct cli_ledger_repair *arguments;
    FILE *out;
    struct ledger *ledger;
    struct ordain *client; /* NULL: not needed yet */
    struct ord_hash genesis_hash;
    uint64_t newest;
    struct damage *list;
    size_t count;
    size_t capacity;
    /* Damaged records that are neither a block nor a certificate. */
    uint64_t hopeless;
    /* Something signed by the channel does not fit this ledger. The ledger is then evidence, and is left as it is. */
    bool strange;
    bool no_memory;
    /* The block that was fetched last. */
    struct channel_header header;
    uint8_t *block; /* header and data */
    size_t block_size;
};

/* ---- What is damaged -------------------------------------------------------------------------------------------- */

static void note(void *context, const struct ledger_problem *problem) {
    struct repair *repair = context;
    cli_say("bad record in %s: %s", problem->table, problem->what);
    if (problem->kind == LEDGER_PROBLEM_OTHER) {
        repair->hopeless++;
        return;
    }
    if (repair->count == repair->capacity) {
        size_t capacity = repair->capacity == 0 ? 64 : 2 * repair->capacity;
        struct damage *list = realloc(repair->list, capacity * sizeof(*list));
        if (list == NULL) {
            repair->no_memory = true;
            return;
        }
        repair->list = list;
        repair->capacity = capacity;
    }
    repair->list[repair->count++] = (struct damage) {problem->kind, problem->height};
}

void cli_ledger_repair_advice(const char *directory) {
    cli_say(
        "what is left cannot be refilled in place. Move the folder %s away and start its replica with\n"
        "an empty one: it fetches the chain from the others, and neither votes nor leads until it has caught up (see\n"
        "\"A disk that is not the newest\" in docs/operating.md). Never do it to more than f replicas at a time.",
        directory);
}

/* ---- What must fit ---------------------------------------------------------------------------------------------- */

/* Reads the header of a block in this ledger. False: it is damaged or does not exist. */
static bool own_header(struct repair *repair, struct channel_header *out, uint64_t height) {
    struct ord_bytes bytes;
    if (ledger_get_headers(repair->ledger, &bytes, height, height, CHANNEL_HEADER_SIZE, CHANNEL_HEADER_SIZE) != ORD_OK)
        return false;
    bool good = channel_header_decode(out, ord_span_of(bytes.data, bytes.size)) == ORD_OK;
    free(bytes.data);
    return good;
}

/* False if this ledger has a certificate of exactly this block that names another hash than `hash`. */
static bool own_certificate_fits(struct repair *repair, uint64_t height, const struct ord_hash *hash) {
    struct ord_bytes bytes;
    struct channel_certificate certificate;
    uint64_t at = 0;
    if (ledger_get_certificate(repair->ledger, &bytes, &at, height) != ORD_OK)
        return true;
    bool differs = at == height &&
                   channel_certificate_decode(&certificate, ord_span_of(bytes.data, bytes.size)) == ORD_OK &&
                   !ord_hash_equal(&certificate.statement.header_hash, hash);
    free(bytes.data);
    return !differs;
}

/* True if the fetched block fits its neighbours in this ledger's chain. */
static bool block_fits(struct repair *repair, uint64_t height) {
    struct channel_header other;
    struct ord_hash hash;
    struct ord_hash other_hash;
    channel_header_hash(&hash, &repair->header);
    if (repair->header.height != height)
        return false;
    if (height == 0 && !ord_hash_equal(&hash, &repair->genesis_hash))
        return false;
    if (height > 0 && own_header(repair, &other, height - 1)) {
        channel_header_hash(&other_hash, &other);
        if (!ord_hash_equal(&other_hash, &repair->header.previous_hash))
            return false;
    }
    if (height < repair->newest && own_header(repair, &other, height + 1) &&
        !ord_hash_equal(&other.previous_hash, &hash))
        return false;
    return own_certificate_fits(repair, height, &hash);
}

static int does_not_fit(struct repair *repair, const char *what, uint64_t height) {
    repair->strange = true;
    return cli_fail(CLI_EXIT_FAILED,
                    "%s %" PRIu64 ": what the channel signed does not fit to the chain in this ledger; it is left\n"
                    "as it is. Keep the folder: it is evidence. Do not start this replica before you know why.",
                    what, height);
}

/* ---- Fetching --------------------------------------------------------------------------------------------------- */

static bool on_block(void *context, const struct ordain_block *block) {
    struct repair *repair = context;
    free(repair->block);
    repair->block_size = 0;
    repair->block = malloc(block->header.size + block->data.size);
    if (repair->block == NULL) {
        repair->no_memory = true;
        return false;
    }
    memcpy(repair->block, block->header.data, block->header.size);
    memcpy(repair->block + block->header.size, block->data.data, block->data.size);
    repair->block_size = block->header.size + block->data.size;
    return true;
}

static void on_problem(void *context, uint32_t replica, const char *why) {
    const struct repair *repair = context;
    cli_say("replica %" PRIu32 " (%s) fails: %s", replica, ordain_replica_address(repair->client, replica), why);
}

static int fetch_failed(const char *what, uint64_t height, enum ordain_error error, const char *why) {
    return cli_fail(error == ORDAIN_NOT_READY ? CLI_EXIT_UNREACHABLE : cli_exit_of(error),
                    "%s %" PRIu64 " is not repaired: %s: %s", what, height, ordain_error_name(error), why);
}

static int fetch_block(struct repair *repair, struct ordain_delivered *delivered, uint64_t height) {
    char why[ORDAIN_TEXT_SIZE] = "";
    struct ordain_deliver deliver = {
        .from = height,
        .to = height,
        .wait_ms = repair->arguments->timeout_ms,
        .poll_ms = 1000,
        .on_block = on_block,
        .on_problem = on_problem,
        .context = repair,
    };
    repair->block_size = 0;
    enum ordain_error error = ordain_deliver(repair->client, &deliver, delivered, why, sizeof(why));
    if (repair->no_memory)
        return CLI_EXIT_INTERNAL;
    if (error != ORDAIN_OK)
        return fetch_failed("block", height, error, why);
    bool whole = repair->block_size >= CHANNEL_HEADER_SIZE &&
                 channel_header_decode(&repair->header, ord_span_of(repair->block, CHANNEL_HEADER_SIZE)) == ORD_OK;
    return whole ? CLI_EXIT_OK : fetch_failed("block", height, ORDAIN_UNVERIFIED, "malformed header");
}

/* Fetches a certificate of exactly this block. NOT_FOUND: the replicas have a later certificate only. */
static enum ordain_error ask_certificate(struct ordain *client, struct channel_certificate *out, uint64_t height,
                                         uint32_t timeout_ms, char *why, size_t why_size) {
    uint8_t *bytes = NULL;
    size_t size = 0;
    struct channel_receipt *receipt = malloc(sizeof(*receipt));
    if (receipt == NULL)
        return ORDAIN_NO_MEMORY;
    enum ordain_error error = ordain_receipt_by_place(client, &bytes, &size, height, 0, timeout_ms, why, why_size);
    if (error == ORDAIN_OK && channel_receipt_decode(receipt, ord_span_of(bytes, size)) != ORD_OK)
        error = ORDAIN_UNVERIFIED;
    if (error == ORDAIN_OK) {
        *out = receipt->certificate;
        if (out->statement.height != height) {
            snprintf(why, why_size, "only later certificates are kept");
            error = ORDAIN_NOT_FOUND;
        }
    }
    free(bytes);
    free(receipt);
    return error;
}

/*
 * Asks all replicas together first, then one after the other, because not every replica keeps a certificate of each
 * block.
 */
static int fetch_certificate(struct repair *repair, struct channel_certificate *out, uint64_t height) {
    char why[ORDAIN_TEXT_SIZE] = "";
    struct ordain_channel channel;
    uint32_t timeout_ms = repair->arguments->timeout_ms;
    ordain_channel(repair->client, &channel);
    enum ordain_error error = ask_certificate(repair->client, out, height, timeout_ms, why, sizeof(why));
    for (uint32_t i = 0; error == ORDAIN_NOT_FOUND && i < channel.replica_count; i++) {
        struct ordain *client = NULL;
        struct cli_connection one = repair->arguments->connection;
        char ignored[ORDAIN_TEXT_SIZE];
        one.replica = (int) i;
        if (cli_connect(&client, &one, false) != CLI_EXIT_OK)
            break;
        if (ask_certificate(client, out, height, timeout_ms, ignored, sizeof(ignored)) == ORDAIN_OK)
            error = ORDAIN_OK;
        ordain_close(client);
    }
    return error == ORDAIN_OK ? CLI_EXIT_OK : fetch_failed("certificate of block", height, error, why);
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

static int write_failed(const char *what, uint64_t height, enum ord_err err) {
    bool damaged = err == ORD_ERR_CORRUPT || err == ORD_ERR_MISMATCH || err == ORD_ERR_NOT_FOUND;
    return cli_fail(damaged ? CLI_EXIT_FAILED : CLI_EXIT_INTERNAL, "%s %" PRIu64 " is not repaired: %s", what, height,
                    damaged ? "not only its bytes are damaged, but also what leads to them" : ord_err_text(err));
}

static int repair_block(struct repair *repair, uint64_t height) {
    struct ordain_delivered delivered;
    int code = fetch_block(repair, &delivered, height);
    if (code != CLI_EXIT_OK)
        return code;
    if (!block_fits(repair, height))
        return does_not_fit(repair, "block", height);
    struct ord_span data = ord_span_of(repair->block + CHANNEL_HEADER_SIZE, repair->block_size - CHANNEL_HEADER_SIZE);
    enum ord_err err = ledger_room(repair->ledger);
    if (err == ORD_OK)
        err = ledger_replace_block(repair->ledger, height, ord_span_of(repair->block, CHANNEL_HEADER_SIZE), data);
    if (err == ORD_OK)
        err = ledger_commit(repair->ledger);
    if (err != ORD_OK)
        return write_failed("block", height, err);
    if (height == 0)
        fprintf(repair->out, "block 0: repaired from the genesis block\n");
    else
        fprintf(repair->out, "block %" PRIu64 ": repaired, %zu bytes from replica %" PRIu32 "\n", height,
                repair->block_size, delivered.replica);
    return CLI_EXIT_OK;
}

static int repair_certificate(struct repair *repair, uint64_t height) {
    struct channel_certificate certificate;
    struct channel_header header;
    struct ord_hash hash;
    struct ordain_channel channel;
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    int code = fetch_certificate(repair, &certificate, height);
    if (code != CLI_EXIT_OK)
        return code;
    if (!own_header(repair, &header, height))
        return write_failed("certificate of block", height, ORD_ERR_CORRUPT);
    channel_header_hash(&hash, &header);
    if (!ord_hash_equal(&hash, &certificate.statement.header_hash))
        return does_not_fit(repair, "certificate of block", height);
    ordain_channel(repair->client, &channel);
    enum ord_err err = ledger_room(repair->ledger);
    /* It must be as long as the damaged certificate, which may have had fewer signers. */
    for (; err == ORD_OK; certificate.count--) {
        size_t size = channel_certificate_encode(bytes, &certificate);
        err = ledger_replace_certificate(repair->ledger, height, ord_span_of(bytes, size));
        if (err != ORD_ERR_MISMATCH || certificate.count <= channel.certificate_quorum)
            break;
        err = ORD_OK;
    }
    if (err == ORD_OK)
        err = ledger_commit(repair->ledger);
    if (err != ORD_OK)
        return write_failed("certificate of block", height, err);
    fprintf(repair->out, "certificate of block %" PRIu64 ": repaired, %" PRIu32 " signatures\n", height,
            certificate.count);
    return CLI_EXIT_OK;
}

/* ---- The command ------------------------------------------------------------------------------------------------ */

static int load_genesis(struct repair *repair) {
    struct channel_config *config = malloc(sizeof(*config));
    struct channel_header header;
    struct ord_span data;
    uint8_t *bytes = NULL;
    size_t size = 0;
    const char *path = repair->arguments->genesis;
    if (config == NULL)
        return cli_no_memory();
    int code = cli_read_file(&bytes, &size, path, CLI_GENESIS_BYTES_MAX, CLI_EXIT_USAGE);
    if (code == CLI_EXIT_OK) {
        enum ord_err err =
            channel_genesis_open(config, &repair->genesis_hash, &header, &data, ord_span_of(bytes, size));
        if (err == ORD_ERR_NO_MEMORY)
            code = cli_no_memory();
        else if (err != ORD_OK)
            code = cli_fail(CLI_EXIT_USAGE, "%s: not a genesis block", path);
    }
    free(bytes);
    free(config);
    return code;
}

/* The client must be of the same channel as the given genesis block. */
static int connect_client(struct repair *repair) {
    struct ordain_channel channel;
    int code = cli_connect(&repair->client, &repair->arguments->connection, false);
    if (code != CLI_EXIT_OK)
        return code;
    ordain_channel(repair->client, &channel);
    if (memcmp(channel.genesis_hash, repair->genesis_hash.bytes, ORD_HASH_SIZE) == 0)
        return CLI_EXIT_OK;
    return cli_fail(CLI_EXIT_USAGE, "%s is of another channel than %s", repair->arguments->connection.config_file,
                    repair->arguments->genesis);
}

static int open_ledger(struct repair *repair) {
    struct ledger_options options;
    struct channel_header header;
    struct ord_hash hash;
    ledger_options_defaults(&options);
    options.turn_bytes_max = TURN_BYTES_MAX;
    options.disk_reserve_bytes = 0;
    uint32_t version = 0;
    char text[LEDGER_VERSION_TEXT_MAX];
    options.found_version = &version;
    enum ord_err err = ledger_open(&repair->ledger, repair->arguments->directory, &options);
    if (err == ORD_OK)
        err = ledger_height(repair->ledger, &repair->newest);
    ledger_explain_version(text, sizeof(text), version);
    if (err != ORD_OK)
        return cli_fail(err == ORD_ERR_CORRUPT ? CLI_EXIT_FAILED : CLI_EXIT_USAGE, "%s: %s",
                        repair->arguments->directory,
                        err == ORD_ERR_BUSY          ? "in use: stop its replica first"
                        : err == ORD_ERR_NOT_FOUND   ? "no block yet"
                        : err == ORD_ERR_UNSUPPORTED ? text
                                                     : ord_err_text(err));
    if (own_header(repair, &header, 0)) {
        channel_header_hash(&hash, &header);
        if (!ord_hash_equal(&hash, &repair->genesis_hash))
            return cli_fail(CLI_EXIT_USAGE, "%s belongs to another genesis block than %s", repair->arguments->directory,
                            repair->arguments->genesis);
    }
    return CLI_EXIT_OK;
}

/*
 * A scrub reports blocks before certificates, so blocks come first in the list. That matters because a certificate is
 * compared with its block.
 */
static int repair_all(struct repair *repair) {
    int worst = CLI_EXIT_OK;
    for (size_t i = 0; i < repair->count; i++) {
        const struct damage *damage = &repair->list[i];
        int code = damage->kind == LEDGER_PROBLEM_BLOCK ? repair_block(repair, damage->height)
                                                        : repair_certificate(repair, damage->height);
        if (code == CLI_EXIT_INTERNAL)
            return code;
        if (code != CLI_EXIT_OK && worst != CLI_EXIT_FAILED)
            worst = code;
    }
    return worst;
}

static int run(struct repair *repair) {
    struct ledger_scrub scrub;
    int code = load_genesis(repair);
    if (code == CLI_EXIT_OK)
        code = open_ledger(repair);
    if (code != CLI_EXIT_OK)
        return code;
    enum ord_err err = ledger_scrub(repair->ledger, &scrub, note, repair);
    if (repair->no_memory || (err != ORD_OK && err != ORD_ERR_CORRUPT))
        return cli_fail(CLI_EXIT_INTERNAL, "scrub: %s", ord_err_text(repair->no_memory ? ORD_ERR_NO_MEMORY : err));
    if (repair->count == 0 && repair->hopeless == 0)
        fprintf(repair->out, "nothing to repair: every checksum holds\n");
    if (repair->count > 0 && (code = connect_client(repair)) == CLI_EXIT_OK) {
        code = repair_all(repair);
        cli_warn_of_suspects(repair->client);
    }
    if (repair->hopeless > 0 && code != CLI_EXIT_USAGE) {
        cli_say("%" PRIu64 " of these are not of blocks or certificates: nobody else has such records",
                repair->hopeless);
        code = code == CLI_EXIT_INTERNAL ? code : CLI_EXIT_FAILED;
    }
    if (code == CLI_EXIT_FAILED && !repair->strange)
        cli_ledger_repair_advice(repair->arguments->directory);
    return code;
}

int cli_ledger_repair(const struct cli_ledger_repair *arguments) {
    struct repair repair = {.arguments = arguments, .out = arguments->quiet ? stderr : stdout};
    int code = run(&repair);
    ordain_close(repair.client);
    ledger_close(repair.ledger);
    free(repair.block);
    free(repair.list);
    return code;
}
