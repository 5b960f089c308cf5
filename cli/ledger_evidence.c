/* The evidence in a ledger: read under its record names, and checked as a replica checks it at its start. */
#include "cli/ledger_evidence.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "channel/block.h"
#include "channel/receipt.h"
#include "cli/command.h"
#include "cli/number.h"
#include "crypto/hash.h"
#include "replica/records.h"

static enum ord_err check_one(struct evidence_claim *claim, struct ord_span bytes, ord_node_id culprit,
                              const struct channel_config *config, const struct ord_hash *genesis_hash,
                              const struct ord_crypto_ops *crypto, const char **why) {
    struct evidence evidence;
    *why = "malformed";
    if (evidence_take(&evidence, &bytes) != ORD_OK || bytes.size > 0 ||
        evidence_verify(claim, &evidence, config, genesis_hash, crypto, why) != ORD_OK)
        return ORD_ERR_CORRUPT;
    *why = "it is against another replica than its name says";
    return claim->culprit == culprit ? ORD_OK : ORD_ERR_CORRUPT;
}

enum ord_err cli_ledger_evidence(uint32_t *count, struct ledger *ledger, const struct channel_config *config,
                                 const struct ord_hash *genesis_hash, const struct ord_crypto_ops *crypto,
                                 cli_ledger_evidence_fn each, void *context, char *why, size_t why_size) {
    uint32_t slots = record_evidence_slots(config->replica_count);
    *count = 0;
    for (ord_node_id culprit = 0; culprit < config->replica_count; culprit++)
        for (uint32_t slot = 0; slot < slots; slot++) {
            char name[RECORD_EVIDENCE_SIZE];
            struct ledger_bytes bytes;
            struct evidence_claim claim;
            const char *wrong = NULL;
            record_evidence_name(name, culprit, slot);
            enum ord_err err = ledger_get_meta(ledger, &bytes, name);
            if (err == ORD_ERR_NOT_FOUND)
                break;
            if (err == ORD_OK) {
                err = check_one(&claim, ord_span_of(bytes.data, bytes.size), culprit, config, genesis_hash, crypto,
                                &wrong);
                free(bytes.data);
            }
            if (err != ORD_OK) {
                snprintf(why, why_size, "%s: %s", name, wrong != NULL ? wrong : ord_err_text(err));
                return err;
            }
            ++*count;
            if (each != NULL)
                each(context, &claim);
        }
    return ORD_OK;
}

struct printing {
    bool json;
    uint32_t count;
};

static void print_one(void *context, const struct evidence_claim *claim) {
    struct printing *printing = context;
    char first[2 * ORD_HASH_SIZE + 1];
    char second[2 * ORD_HASH_SIZE + 1];
    cli_hex(first, claim->said[0].digest.bytes, ORD_HASH_SIZE);
    cli_hex(second, claim->said[1].digest.bytes, ORD_HASH_SIZE);
    if (printing->json)
        printf("%s{\"culprit\":%" PRIu32 ",\"statement\":\"%s\",\"epoch\":%" PRIu64 ",\"view\":%" PRIu64
               ",\"seq\":%" PRIu64 ",\"digests\":[\"%s\",\"%s\"]}",
               printing->count == 0 ? "" : ",", claim->culprit, evidence_type_name(claim->place.type), claim->epoch,
               claim->place.view, claim->place.seq, first, second);
    else
        printf("evidence: replica %" PRIu32 ", two %s statements, view %" PRIu64 ", seq %" PRIu64 ": %.16s, %.16s\n",
               claim->culprit, evidence_type_name(claim->place.type), claim->place.view, claim->place.seq, first,
               second);
    printing->count++;
}

/*
 * Opens the genesis block at the start of the ledger. It tells which channel the ledger is of, not which channel it
 * should be of.
 */
static enum ord_err own_genesis(struct ledger *ledger, struct channel_config *config, struct ord_hash *genesis_hash,
                                struct crypto_replica_keys *keys) {
    struct ledger_bytes bytes;
    struct channel_header header;
    struct ord_span data;
    enum ord_err err = ledger_get_block(ledger, &bytes, 0);
    if (err != ORD_OK)
        return err;
    err = channel_genesis_open(config, genesis_hash, &header, &data, ord_span_of(bytes.data, bytes.size));
    if (err == ORD_OK)
        err = channel_replica_keys(keys, config);
    free(bytes.data);
    return err;
}

enum ord_err cli_ledger_evidence_print(struct ledger *ledger, bool json) {
    struct printing printing = {.json = json};
    struct ord_hash genesis_hash;
    struct ord_crypto_ops crypto;
    char why[256] = "the ledger's own genesis block is damaged";
    uint32_t count = 0;
    struct channel_config *config = calloc(1, sizeof(*config));
    struct crypto_replica_keys *keys = calloc(1, sizeof(*keys));
    enum ord_err err = config == NULL || keys == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
    if (json)
        printf(",\"evidence\":[");
    if (err == ORD_OK)
        err = own_genesis(ledger, config, &genesis_hash, keys);
    if (err == ORD_OK) {
        crypto_ops_init(&crypto, keys);
        err =
            cli_ledger_evidence(&count, ledger, config, &genesis_hash, &crypto, print_one, &printing, why, sizeof(why));
    }
    if (json)
        printf("]");
    if (err != ORD_OK)
        cli_say("evidence: %s", err == ORD_ERR_NO_MEMORY ? ord_err_text(err) : why);
    free(config);
    free(keys);
    return err;
}
