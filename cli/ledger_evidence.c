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
                              const struct client_trust *trust, const char **why) {
    struct evidence evidence;
    *why = "malformed";
    if (evidence_take(&evidence, &bytes) != ORD_OK || bytes.size > 0 ||
        evidence_verify(claim, &evidence, &trust->config, &trust->genesis_hash, &trust->crypto, why) != ORD_OK)
        return ORD_ERR_CORRUPT;
    *why = "it is against another replica than its name says";
    return claim->culprit == culprit ? ORD_OK : ORD_ERR_CORRUPT;
}

enum ord_err cli_ledger_evidence(uint32_t *count, struct ledger *ledger, const struct client_trust *trust,
                                 cli_ledger_evidence_fn each, void *context, char *why, size_t why_size) {
    uint32_t slots = record_evidence_slots(trust->config.replica_count);
    *count = 0;
    for (ord_node_id culprit = 0; culprit < trust->config.replica_count; culprit++)
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
                err = check_one(&claim, ord_span_of(bytes.data, bytes.size), culprit, trust, &wrong);
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
    const char *first = CLI_HASH(claim->said[0].digest.bytes);
    const char *second = CLI_HASH(claim->said[1].digest.bytes);
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

enum ord_err cli_ledger_evidence_print(struct ledger *ledger, bool json) {
    struct printing printing = {.json = json};
    struct ledger_bytes genesis = {0};
    char why[256] = "the ledger's own genesis block is damaged";
    uint32_t count = 0;
    struct client_trust *trust = calloc(1, sizeof(*trust));
    if (json)
        printf(",\"evidence\":[");
    /* This tells which channel the ledger is of, not which channel it should be of. */
    enum ord_err err = trust == NULL ? ORD_ERR_NO_MEMORY : ledger_get_block(ledger, &genesis, 0);
    if (err == ORD_OK)
        err = client_trust_init(trust, ord_span_of(genesis.data, genesis.size));
    if (err == ORD_OK)
        err = cli_ledger_evidence(&count, ledger, trust, print_one, &printing, why, sizeof(why));
    if (json)
        printf("]");
    if (err != ORD_OK)
        cli_say("evidence: %s", err == ORD_ERR_NO_MEMORY ? ord_err_text(err) : why);
    free(genesis.data);
    free(trust);
    return err;
}
