/*
 * `ordain ledger show`.
 */
#include "cli/ledger_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "channel/receipt.h"
#include "cli/command.h"
#include "cli/ledger_evidence.h"
#include "cli/number.h"
#include "crypto/hash.h"

enum ord_err cli_ledger_block(struct ledger *ledger, struct ledger_bytes *bytes, struct channel_header *header,
                              struct ord_span *data, uint64_t height) {
    enum ord_err err = ledger_get_block(ledger, bytes, height);
    if (err != ORD_OK)
        return err;
    err = bytes->size < CHANNEL_HEADER_SIZE
              ? ORD_ERR_CORRUPT
              : channel_header_decode(header, ord_span_of(bytes->data, CHANNEL_HEADER_SIZE));
    if (err != ORD_OK) {
        free(bytes->data);
        return err;
    }
    *data = ord_span_of(bytes->data + CHANNEL_HEADER_SIZE, bytes->size - CHANNEL_HEADER_SIZE);
    return ORD_OK;
}

static void print_header(const struct channel_header *header, bool json) {
    struct ord_hash hash;
    channel_header_hash(&hash, header);
    const char *form = json ? "\"height\":%" PRIu64
                              ",\"hash\":\"%s\",\"previous_hash\":\"%s\",\"data_root\":\"%s\",\"envelope_count\":%u,"
                              "\"transaction_count\":%u,\"byte_count\":%" PRIu64 ",\"epoch\":%" PRIu64
                              ",\"config_height\":%" PRIu64 ",\"last_seq\":%" PRIu64
                            : "block %" PRIu64
                              "\n  hash          %s\n  previous      %s\n  data root     %s\n  envelopes     %u\n"
                              "  transactions  %u\n  bytes         %" PRIu64 "\n  epoch         %" PRIu64
                              "\n  config block  %" PRIu64 "\n  last seq      %" PRIu64 "\n";
    printf(form, header->height, CLI_HASH(hash.bytes), CLI_HASH(header->previous_hash.bytes),
           CLI_HASH(header->data_root.bytes), header->envelope_count, header->transaction_count, header->byte_count,
           header->epoch, header->config_height, header->last_seq);
}

static enum ord_err print_envelopes(struct ord_span data, bool json) {
    struct ord_span bytes;
    for (uint32_t i = 0; channel_batch_next(&bytes, &data) == ORD_OK; i++) {
        struct channel_envelope envelope;
        enum ord_err err = channel_envelope_decode(&envelope, bytes);
        if (err != ORD_OK)
            return err;
        const char *client = CLI_HASH(envelope.client.bytes);
        const char *kind = envelope.kind == CHANNEL_ENVELOPE_REGISTER ? "register"
                           : envelope.kind == CHANNEL_ENVELOPE_CONFIG ? "config"
                                                                      : "transactions";
        if (json)
            printf("%s{\"index\":%u,\"kind\":\"%s\",\"client\":\"%s\",\"sequence\":%" PRIu64
                   ",\"transactions\":%u,\"bytes\":%zu}",
                   i == 0 ? "" : ",", i, kind, client, envelope.sequence, envelope.transaction_count, bytes.size);
        else
            printf("  envelope %-5u %-12s client %.16s sequence %-8" PRIu64 " %u transaction%s, %zu bytes\n", i, kind,
                   client, envelope.sequence, envelope.transaction_count, envelope.transaction_count == 1 ? "" : "s",
                   bytes.size);
    }
    return ORD_OK;
}

/* Prints who certifies the block: the signers of the lowest certificate at or above `height`. */
static enum ord_err print_certificate(struct ledger *ledger, uint64_t height, bool json) {
    struct ledger_bytes bytes;
    uint64_t at = 0;
    struct channel_certificate certificate = {0};
    enum ord_err err = ledger_get_certificate(ledger, &bytes, &at, height);
    if (err == ORD_OK) {
        err = channel_certificate_decode(&certificate, ord_span_of(bytes.data, bytes.size));
        free(bytes.data);
    }
    if (err != ORD_OK) {
        if (json)
            printf(",\"certificate\":null");
        else
            printf("  certificate   %s\n", err == ORD_ERR_NOT_FOUND ? "none yet" : ord_err_text(err));
        return err == ORD_ERR_NO_MEMORY ? err : ORD_OK;
    }
    printf(json ? ",\"certificate\":{\"height\":%" PRIu64 ",\"signers\":["
                : "  certificate   of block %" PRIu64 ", signed by replicas",
           at);
    for (uint32_t i = 0; i < certificate.count; i++)
        printf(json ? "%s%u" : "%s %u", i > 0 ? "," : "", certificate.signers[i]);
    printf(json ? "]}" : "\n");
    return ORD_OK;
}

int cli_ledger_exit_of(enum ord_err err) {
    return err == ORD_OK ? CLI_EXIT_OK : err == ORD_ERR_NO_MEMORY ? CLI_EXIT_INTERNAL : CLI_EXIT_FAILED;
}

int cli_ledger_show(struct ledger *ledger, const uint64_t *block, bool json) {
    uint64_t newest = 0;
    struct ledger_bytes bytes = {0};
    struct channel_header header;
    struct ord_span data;
    enum ord_err err = ledger_height(ledger, &newest);
    if (err == ORD_OK)
        err = cli_ledger_block(ledger, &bytes, &header, &data, block != NULL ? *block : newest);
    if (err == ORD_ERR_NOT_FOUND)
        return block != NULL ? cli_fail(CLI_EXIT_FAILED, "there is no block %" PRIu64, *block)
                             : cli_fail(CLI_EXIT_FAILED, "no block yet");
    if (err != ORD_OK)
        return cli_fail(cli_ledger_exit_of(err), "%s", ord_err_text(err));
    if (json)
        printf("{\"newest\":%" PRIu64 ",", newest);
    else
        printf("newest block %" PRIu64 "\n", newest);
    print_header(&header, json);
    enum ord_err proof = print_certificate(ledger, header.height, json);
    if (proof != ORD_OK)
        cli_say("certificate: %s", ord_err_text(proof));
    if (block != NULL) {
        printf(json ? ",\"envelopes\":[" : "");
        err = print_envelopes(data, json);
        printf(json ? "]" : "");
        if (err != ORD_OK)
            cli_say("the block's data: %s", ord_err_text(err));
    } else {
        err = cli_ledger_evidence_print(ledger, json);
    }
    printf(json ? "}\n" : "");
    free(bytes.data);
    return cli_ledger_exit_of(err != ORD_OK ? err : proof);
}
