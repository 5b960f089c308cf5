/*
 * The door: parses wire bytes, checks sender and signature, and computes the digest of a body. It has no state, so a
 * pool of threads may run it. A message takes one signature verification, or two if it is EVIDENCE. Messages of a view
 * change and RECALLs take more.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"

static enum ord_err authenticate_pre_prepare(struct ord_verified *out, const struct ord_core_config *config,
                                             struct ord_span bytes) {
    struct bft_pre_prepare message;
    enum ord_err err = bft_pre_prepare_decode(&message, config, bytes);
    if (err != ORD_OK)
        return err;
    if (message.sender == config->self)
        /* No replica lacks its own PRE-PREPARE, so none relays it to its author (row T6). */
        return ORD_ERR_FORBIDDEN;
    bft_body_digest(&out->digest, config->crypto, message.body);
    if (!ord_hash_equal(&out->digest, &message.digest)) {
        ORD_MARK(DOOR_OTHER_BODY);
        return ORD_ERR_MISMATCH;
    }
    const struct bft_statement statement = bft_pre_prepare_statement(&message);
    return bft_statement_verify(config, &statement, &message.signature) ? ORD_OK : ORD_ERR_BAD_SIGNATURE;
}

static enum ord_err authenticate_list(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_vote_list list;
    enum ord_err err = bft_vote_list_decode(&list, config, bytes);
    if (err != ORD_OK || list.type != BFT_PREPARE)
        return err;
    return bft_vote_list_verify(config, &list) ? ORD_OK : ORD_ERR_BAD_SIGNATURE;
}

/* A BODY has no signature. The receiver compares its digest with the one that it asked for. */
static enum ord_err authenticate_body(struct ord_verified *out, const struct ord_core_config *config,
                                      struct ord_span bytes) {
    struct bft_body_message message;
    enum ord_err err = bft_body_decode(&message, config, bytes);
    if (err == ORD_OK)
        bft_body_digest(&out->digest, config->crypto, message.body);
    return err;
}

static enum ord_err authenticate_view_message(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_view_change change;
    struct bft_new_view view;
    return bytes.size > 0 && bytes.data[0] == BFT_VIEW_CHANGE ? bft_view_change_verify(&change, config, bytes)
                                                              : bft_new_view_verify(&view, config, bytes);
}

/* The signature of the relayed message's author counts, whichever replica relays it. */
static enum ord_err authenticate_relay(struct ord_verified *out, const struct ord_core_config *config,
                                       struct ord_span bytes) {
    return bytes.size > 0 && bytes.data[0] == BFT_PRE_PREPARE ? authenticate_pre_prepare(out, config, bytes)
                                                              : authenticate_view_message(config, bytes);
}

static enum ord_err authenticate_witness(const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_statement statement;
    enum ord_err err = bft_signed_verify(&statement, config, bft_behind_header(bytes));
    return err == ORD_OK && statement.type != BFT_PRE_PREPARE ? ORD_ERR_INVALID : err;
}

static enum ord_err authenticate_evidence(const struct ord_core_config *config, struct ord_span bytes) {
    struct ord_span first;
    struct ord_span second;
    ord_node_id culprit;
    enum ord_err err = bft_evidence_split(bytes, &first, &second);
    return err == ORD_OK ? bft_evidence_verify(&culprit, config, first, second) : err;
}

enum ord_err bft_authenticate(struct ord_verified *out, const struct ord_core_config *config, ord_node_id from,
                              struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    struct bft_header header;
    enum ord_err err = bft_header_read(&header, &reader, config);
    if (err != ORD_OK)
        return err;
    if (header.sender != from || from >= config->replica_count || from == config->self) {
        ORD_MARK(DOOR_OTHER_SENDER);
        return ORD_ERR_FORBIDDEN;
    }
    memset(&out->digest, 0, sizeof(out->digest));
    out->from = from;
    out->bytes = bytes;
    out->type = (uint8_t) header.type;
    struct bft_status status;
    struct bft_ask ask;
    struct bft_recall recall;
    switch (bytes.data[0]) {
    case BFT_PRE_PREPARE:
        return authenticate_pre_prepare(out, config, bytes);
    case BFT_PREPARE:
    case BFT_COMMIT:
    case BFT_FETCH:
        return authenticate_list(config, bytes);
    case BFT_STATUS:
        return bft_status_decode(&status, config, bytes);
    case BFT_VIEW_CHANGE:
    case BFT_NEW_VIEW:
        return authenticate_view_message(config, bytes);
    case BFT_RELAY:
        return authenticate_relay(out, config, bft_behind_header(bytes));
    case BFT_BODY:
        return authenticate_body(out, config, bytes);
    case BFT_WITNESS:
        return authenticate_witness(config, bytes);
    case BFT_EVIDENCE:
        return authenticate_evidence(config, bytes);
    case BFT_ASK:
        return bft_ask_decode(&ask, config, bytes);
    case BFT_RECALL:
        return bft_recall_verify(&recall, config, bytes);
    default:
        return ORD_ERR_INVALID;
    }
}

/* The certificates in a VIEW-CHANGE usually share signatures. This counts as if they did not. */
uint32_t bft_cost(struct ord_span bytes) {
    if (bytes.size > BFT_RELAY_SIZE && bytes.data[0] == BFT_RELAY)
        bytes = bft_behind_header(bytes);
    if (bytes.size == 0)
        return 0;
    switch (bytes.data[0]) {
    case BFT_PRE_PREPARE:
    case BFT_PREPARE:
    case BFT_WITNESS:
        return 1;
    case BFT_EVIDENCE:
        return 2;
    case BFT_VIEW_CHANGE:
    case BFT_NEW_VIEW:
    case BFT_RECALL:
        return (uint32_t) (1 + bytes.size / ORD_SIGNATURE_SIZE);
    default:
        return 0;
    }
}

/* The order in which these arrive and the other messages does not matter; docs/protocol.md says why. */
bool bft_bulk(struct ord_span bytes) {
    if (bytes.size > BFT_RELAY_SIZE && bytes.data[0] == BFT_RELAY)
        bytes = bft_behind_header(bytes);
    return bytes.size > 0 && (bytes.data[0] == BFT_PRE_PREPARE || bytes.data[0] == BFT_BODY);
}
