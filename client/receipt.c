/* Receipts for the public header: fetched from any replica that has one, and checked offline. */
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/flow/text.h"
#include "client/ordain.h"

/* The caller's question; the answer is checked against it. */
struct receipt_query {
    bool by_place;
    uint64_t height;
    uint32_t index;
    struct ord_hash fingerprint;
    uint64_t sequence;
};

static const char *check_answer(const struct client_trust *trust, const struct receipt_query *query,
                                struct ord_span bytes) {
    struct channel_receipt receipt;
    struct channel_envelope envelope;
    const char *why = "";
    if (client_trust_receipt(trust, NULL, &receipt, bytes, &why) != ORD_OK)
        return why;
    if (channel_envelope_decode(&envelope, receipt.envelope) != ORD_OK)
        return "it has no envelope";
    if (query->by_place
            ? receipt.header.height != query->height || receipt.envelope_index != query->index
            : envelope.sequence != query->sequence || !ord_hash_equal(&envelope.client, &query->fingerprint))
        return "it is about another envelope than was asked for";
    return NULL;
}

static enum ordain_error fetch_from(struct ordain *client, uint8_t **out, size_t *size, uint32_t replica,
                                    const struct receipt_query *query, uint32_t timeout_ms, char *why,
                                    size_t why_size) {
    client_response *response = NULL;
    Ordain__V1__ReceiptRequest ask = ORDAIN__V1__RECEIPT_REQUEST__INIT;
    struct ord_hash fingerprint = query->fingerprint;
    ask.by_place = query->by_place;
    ask.height = query->height;
    ask.index = query->index;
    if (!query->by_place)
        ask.client = (ProtobufCBinaryData) {ORD_HASH_SIZE, fingerprint.bytes};
    ask.sequence = query->sequence;
    client_request request = client_request_of(ORDAIN__V1__REQUEST__KIND_RECEIPT, client->config.channel, &ask);
    enum ord_err err = client_ask(&client->replicas, &response, replica, &request, timeout_ms);
    if (err != ORD_OK) {
        client_say(why, why_size, "replica %u: %s", replica, ord_err_text(err));
        return client_error(err);
    }
    enum ordain_error error = client_status_error(response->status);
    if (error == ORDAIN_OK && response->status != ORDAIN__V1__STATUS__OK)
        error = ORDAIN_UNVERIFIED;
    if (error != ORDAIN_OK) {
        client_replica_say(why, why_size, replica, response->status, response->message);
        goto out;
    }
    const ProtobufCBinaryData *bytes = &response->receipt->receipt;
    const char *wrong = check_answer(&client->trust, query, client_span(bytes));
    if (wrong != NULL) {
        client_replica_accuse(&client->replicas, replica, "it gave a receipt that does not verify: %s", wrong);
        client_say(why, why_size, "replica %u: its receipt does not verify: %s", replica, wrong);
        error = ORDAIN_UNVERIFIED;
        goto out;
    }
    *out = malloc(bytes->len);
    if (*out == NULL) {
        error = ORDAIN_NO_MEMORY;
        goto out;
    }
    memcpy(*out, bytes->data, bytes->len);
    *size = bytes->len;
out:
    client_response_free(response);
    return error;
}

/*
 * Orders errors by how much they tell about why there is no receipt. The caller gets what the most telling replica
 * said.
 */
static int rank(enum ordain_error error) {
    static const int ranks[ORDAIN_SEQUENCE_TAKEN + 1] = {
        [ORDAIN_UNVERIFIED] = 4, [ORDAIN_NOT_READY] = 3,    [ORDAIN_PRUNED] = 2,
        [ORDAIN_NOT_FOUND] = 1,  [ORDAIN_UNREACHABLE] = -1, [ORDAIN_TIMEOUT] = -1,
    };
    return ranks[error];
}

/*
 * Asks one replica after the other. Connected replicas come first; each of the others gets a share of the time that is
 * left.
 */
static enum ordain_error fetch(struct ordain *client, uint8_t **out, size_t *size, const struct receipt_query *query,
                               uint32_t timeout_ms, char *why, size_t why_size) {
    uint64_t deadline = client_now_us() + (uint64_t) timeout_ms * 1000u;
    bool asked[ORD_REPLICA_MAX] = {false};
    uint32_t left = client_replicas_used(&client->replicas);
    enum ordain_error worst = ORDAIN_UNREACHABLE;
    while (left > 0 && client_now_us() < deadline) {
        uint32_t replica = ORD_REPLICA_MAX;
        for (uint32_t i = 0; i < client->replicas.count; i++)
            if (!asked[i] && client_replica_used(&client->replicas, i) &&
                (replica == ORD_REPLICA_MAX ||
                 (client_replica_up(&client->replicas, i) && !client_replica_up(&client->replicas, replica))))
                replica = i;
        uint64_t now = client_now_us();
        uint32_t left_ms = deadline > now ? (uint32_t) ((deadline - now) / 1000u) : 0;
        uint32_t share_ms = client_replica_up(&client->replicas, replica) ? left_ms : left_ms / left;
        char words[ORDAIN_TEXT_SIZE] = "";
        enum ordain_error error = fetch_from(client, out, size, replica, query, share_ms + 1, words, sizeof(words));
        if (error == ORDAIN_OK || error == ORDAIN_NO_MEMORY)
            return error;
        if (rank(error) > rank(worst)) {
            worst = error;
            client_say(why, why_size, "%s", words);
        }
        asked[replica] = true;
        left--;
    }
    if (worst == ORDAIN_UNREACHABLE)
        client_replicas_silence(&client->replicas, why, why_size);
    return worst;
}

enum ordain_error ordain_receipt_by_sequence(struct ordain *client, uint8_t **receipt, size_t *size,
                                             const uint8_t fingerprint[ORDAIN_HASH_SIZE], uint64_t sequence,
                                             uint32_t timeout_ms, char *why, size_t why_size) {
    struct receipt_query query = {.sequence = sequence};
    memcpy(query.fingerprint.bytes, fingerprint, ORD_HASH_SIZE);
    return fetch(client, receipt, size, &query, timeout_ms, why, why_size);
}

enum ordain_error ordain_receipt_by_place(struct ordain *client, uint8_t **receipt, size_t *size, uint64_t height,
                                          uint32_t index, uint32_t timeout_ms, char *why, size_t why_size) {
    struct receipt_query query = {.by_place = true, .height = height, .index = index};
    return fetch(client, receipt, size, &query, timeout_ms, why, why_size);
}

/* ---- Offline ---------------------------------------------------------------------------------------------------- */

static void describe(struct ordain_receipt *out, const struct channel_config *config,
                     const struct channel_receipt *receipt) {
    struct ord_hash hash;
    struct channel_envelope envelope;
    memset(out, 0, sizeof(*out));
    client_say(out->consensus, sizeof(out->consensus), "%s", channel_consensus_name(config->consensus));
    out->replica_count = config->replica_count;
    out->liars_max = channel_liars_max(config);
    out->height = receipt->header.height;
    out->index = receipt->envelope_index;
    channel_header_hash(&hash, &receipt->header);
    memcpy(out->block_hash, hash.bytes, ORDAIN_HASH_SIZE);
    out->certified_height = receipt->certificate.statement.height;
    out->signer_count = receipt->certificate.count;
    for (uint32_t i = 0; i < receipt->certificate.count && i < ORDAIN_REPLICA_MAX; i++)
        out->signers[i] = receipt->certificate.signers[i];
    if (receipt->envelope.size == 0 || channel_envelope_decode(&envelope, receipt->envelope) != ORD_OK)
        return;
    out->has_envelope = true;
    channel_envelope_id(&hash, envelope.body);
    memcpy(out->envelope_id, hash.bytes, ORDAIN_HASH_SIZE);
    memcpy(out->client, envelope.client.bytes, ORDAIN_HASH_SIZE);
    out->sequence = envelope.sequence;
    out->transaction_count = envelope.kind == CHANNEL_ENVELOPE_TRANSACTIONS ? envelope.transaction_count : 0;
}

static enum ordain_error check(const struct client_trust *trust, struct ordain_receipt *out,
                               struct ordain_bytes receipt, char *why, size_t why_size) {
    struct channel_receipt decoded;
    const char *wrong = "";
    if (client_trust_receipt(trust, NULL, &decoded, ord_span_of(receipt.data, receipt.size), &wrong) != ORD_OK) {
        client_say(why, why_size, "%s", wrong);
        return ORDAIN_UNVERIFIED;
    }
    describe(out, &trust->config, &decoded);
    return ORDAIN_OK;
}

enum ordain_error ordain_receipt_check(const struct ordain *client, struct ordain_receipt *out,
                                       struct ordain_bytes receipt, char *why, size_t why_size) {
    return check(&client->trust, out, receipt, why, why_size);
}

enum ordain_error ordain_receipt_verify(struct ordain_receipt *out, struct ordain_bytes genesis,
                                        struct ordain_bytes receipt, char *why, size_t why_size) {
    struct client_trust *trust;
    enum ordain_error error = client_trust_create(&trust, genesis, why, why_size);
    if (error == ORDAIN_OK)
        error = check(trust, out, receipt, why, why_size);
    free(trust);
    return error;
}

enum ordain_error ordain_receipt_find(uint32_t *index, struct ordain_bytes receipt, struct ordain_bytes transaction) {
    struct channel_receipt decoded;
    struct channel_envelope envelope;
    if (channel_receipt_decode(&decoded, ord_span_of(receipt.data, receipt.size)) != ORD_OK ||
        channel_envelope_decode(&envelope, decoded.envelope) != ORD_OK ||
        envelope.kind != CHANNEL_ENVELOPE_TRANSACTIONS)
        return ORDAIN_INVALID;
    struct ord_span left = envelope.transactions;
    struct ord_span next;
    for (*index = 0; channel_envelope_next(&next, &left) == ORD_OK; ++*index)
        if (ord_span_equal(next, ord_span_of(transaction.data, transaction.size)))
            return ORDAIN_OK;
    return ORDAIN_NOT_FOUND;
}
