/*
 * Evidence for the public header. Evidence that is fetched from the replicas is checked piece by piece, and each
 * contradiction is kept once. Evidence from a file is checked offline.
 */
#include "evidence/evidence.h"

#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/flow/text.h"
#include "client/ordain.h"

#define EVIDENCE_GRACE_MS 1000u /* how long to wait for the remaining replicas once one has answered */

/* Pieces of verified evidence; the list grows. */
struct pieces {
    uint8_t *data;
    size_t size;
    struct evidence_claim *claims;
    uint32_t count;
    bool no_memory;
};

static void pieces_free(struct pieces *pieces) {
    free(pieces->data);
    free(pieces->claims);
}

static bool pieces_have(const struct pieces *pieces, const struct evidence_claim *claim) {
    for (uint32_t i = 0; i < pieces->count; i++)
        if (pieces->claims[i].culprit == claim->culprit &&
            evidence_place_equal(&pieces->claims[i].place, &claim->place))
            return true;
    return false;
}

static void pieces_add(struct pieces *pieces, const struct evidence_claim *claim, struct ord_span bytes) {
    uint8_t *data = realloc(pieces->data, pieces->size + bytes.size);
    pieces->data = data == NULL ? pieces->data : data;
    struct evidence_claim *claims = realloc(pieces->claims, (pieces->count + 1) * sizeof(*claims));
    pieces->claims = claims == NULL ? pieces->claims : claims;
    if (data == NULL || claims == NULL) {
        pieces->no_memory = true;
        return;
    }
    memcpy(data + pieces->size, bytes.data, bytes.size);
    pieces->size += bytes.size;
    claims[pieces->count++] = *claim;
}

static void describe(struct ordain_evidence *out, const struct evidence_claim *claim) {
    memset(out, 0, sizeof(*out));
    out->culprit = claim->culprit;
    out->statement = (enum ordain_statement) claim->place.type;
    out->epoch = claim->epoch;
    out->view = claim->place.view;
    out->seq = claim->place.seq;
    for (int i = 0; i < 2; i++) {
        memcpy(out->said[i].digest, claim->said[i].digest.bytes, ORDAIN_HASH_SIZE);
        memcpy(out->said[i].block_hash, claim->said[i].header_hash.bytes, ORDAIN_HASH_SIZE);
        out->said[i].height = claim->said[i].height;
    }
}

const char *ordain_statement_name(enum ordain_statement statement) {
    _Static_assert((int) ORDAIN_STATEMENT_PRE_PREPARE == (int) EVIDENCE_PRE_PREPARE &&
                       (int) ORDAIN_STATEMENT_PREPARE == (int) EVIDENCE_PREPARE &&
                       (int) ORDAIN_STATEMENT_VIEW_CHANGE == (int) EVIDENCE_VIEW_CHANGE &&
                       (int) ORDAIN_STATEMENT_NEW_VIEW == (int) EVIDENCE_NEW_VIEW &&
                       (int) ORDAIN_STATEMENT_ATTESTATION == (int) EVIDENCE_ATTESTATION,
                   "the public header counts the statements as evidence.h does");
    return evidence_type_name((enum evidence_type) statement);
}

/* Takes the next piece off `bytes` and checks it. NULL: the piece holds; otherwise the reason why it does not. */
static const char *take(struct evidence_claim *claim, struct ord_span *bytes, const struct client_trust *trust) {
    struct evidence evidence;
    const char *why = "it proves nothing";
    enum ord_err err = evidence_take(&evidence, bytes);
    if (err == ORD_ERR_MISMATCH)
        return "it is of a version or kind that this program does not know";
    if (err == ORD_ERR_CORRUPT)
        return "it was changed or damaged: its hash does not match";
    if (err != ORD_OK)
        return "it is not evidence, or is cut short";
    return evidence_verify(claim, &evidence, &trust->config, &trust->genesis_hash, &trust->crypto, &why) == ORD_OK
               ? NULL
               : why;
}

/* ---- Fetching --------------------------------------------------------------------------------------------------- */

struct fetch {
    struct ordain *client;
    int against;
    struct pieces pieces;
    uint32_t answered;
    char *why;
    size_t why_size;
};

static void take_answer(struct fetch *fetch, uint32_t replica, const Ordain__V1__EvidenceResponse *answer) {
    for (size_t i = 0; i < answer->n_pieces; i++) {
        struct evidence_claim claim;
        struct ord_span piece = client_span(&answer->pieces[i]);
        struct ord_span left = piece;
        const char *wrong = take(&claim, &left, &fetch->client->trust);
        if (wrong == NULL && left.size > 0)
            wrong = "something follows it";
        if (wrong == NULL && fetch->against != ORDAIN_ANY_REPLICA && claim.culprit != (uint32_t) fetch->against)
            wrong = "it is against another replica than was asked for";
        if (wrong != NULL) {
            client_replica_accuse(&fetch->client->replicas, replica, "it gave evidence that does not verify: %s",
                                  wrong);
            client_say(fetch->why, fetch->why_size, "replica %u: its evidence does not verify: %s", replica, wrong);
            return;
        }
        if (!pieces_have(&fetch->pieces, &claim))
            pieces_add(&fetch->pieces, &claim, piece);
    }
}

static bool on_answer(void *context, uint32_t replica, enum ord_err err, const client_response *response) {
    struct fetch *fetch = context;
    if (err != ORD_OK) {
        client_say(fetch->why, fetch->why_size, "replica %u: %s", replica,
                   err == ORD_ERR_INVALID ? "malformed reply" : ord_err_text(err));
        return false;
    }
    if (response->status != ORDAIN__V1__STATUS__OK) {
        client_replica_say(fetch->why, fetch->why_size, replica, response->status, response->message);
        return false;
    }
    fetch->answered++;
    take_answer(fetch, replica, response->evidence);
    return true;
}

enum ordain_error ordain_evidence_fetch(struct ordain *client, uint8_t **evidence, size_t *size, uint32_t *count,
                                        int against, uint32_t timeout_ms, char *why, size_t why_size) {
    struct fetch fetch = {.client = client, .against = against, .why = why, .why_size = why_size};
    Ordain__V1__EvidenceRequest ask = ORDAIN__V1__EVIDENCE_REQUEST__INIT;
    *evidence = NULL;
    *size = 0;
    *count = 0;
    why[0] = '\0';
    if (against != ORDAIN_ANY_REPLICA && (against < 0 || (uint32_t) against >= client->trust.config.replica_count)) {
        client_say(why, why_size, "the channel has no replica %d", against);
        return ORDAIN_INVALID;
    }
    ask.against = against == ORDAIN_ANY_REPLICA ? 0 : (uint32_t) against + 1;
    client_request request = client_request_of(ORDAIN__V1__REQUEST__KIND_EVIDENCE, client->config.channel, &ask);
    enum ord_err err = client_gather(&client->replicas, &request, timeout_ms, EVIDENCE_GRACE_MS, on_answer, &fetch);
    enum ordain_error error = client_error(err);
    if (error == ORDAIN_OK && fetch.pieces.no_memory)
        error = ORDAIN_NO_MEMORY;
    if (error == ORDAIN_OK && fetch.answered == 0) {
        if (why[0] == '\0')
            client_replicas_silence(&client->replicas, why, why_size);
        error = ORDAIN_UNREACHABLE;
    }
    if (error == ORDAIN_OK && fetch.pieces.count == 0) {
        client_say(why, why_size, "no replica that answers holds any");
        error = ORDAIN_NOT_FOUND;
    }
    if (error == ORDAIN_OK) {
        *evidence = fetch.pieces.data;
        *size = fetch.pieces.size;
        *count = fetch.pieces.count;
        fetch.pieces.data = NULL;
    }
    pieces_free(&fetch.pieces);
    return error;
}

/* ---- Offline ---------------------------------------------------------------------------------------------------- */

static enum ordain_error check(struct pieces *pieces, const struct client_trust *trust, struct ord_span left, char *why,
                               size_t why_size) {
    uint32_t number = 0;
    do {
        struct evidence_claim claim;
        struct ord_span piece = left;
        const char *wrong = take(&claim, &left, trust);
        number++;
        if (wrong != NULL) {
            client_say(why, why_size, "piece %u: %s", number, wrong);
            return ORDAIN_UNVERIFIED;
        }
        /* Files that were concatenated may hold the same piece. */
        if (!pieces_have(pieces, &claim))
            pieces_add(pieces, &claim, ord_span_of(piece.data, piece.size - left.size));
    } while (left.size > 0 && !pieces->no_memory);
    return pieces->no_memory ? ORDAIN_NO_MEMORY : ORDAIN_OK;
}

enum ordain_error ordain_evidence_verify(struct ordain_evidence **out, uint32_t *count, struct ordain_bytes genesis,
                                         struct ordain_bytes evidence, char *why, size_t why_size) {
    struct pieces pieces = {0};
    *out = NULL;
    *count = 0;
    struct client_trust *trust;
    enum ordain_error error = client_trust_create(&trust, genesis, why, why_size);
    if (error == ORDAIN_OK && evidence.size > ORDAIN_EVIDENCE_BYTES_MAX) {
        client_say(why, why_size, "it is larger than any evidence");
        error = ORDAIN_UNVERIFIED;
    }
    if (error == ORDAIN_OK)
        error = check(&pieces, trust, ord_span_of(evidence.data, evidence.size), why, why_size);
    if (error == ORDAIN_OK) {
        *out = calloc(pieces.count, sizeof(**out));
        error = *out == NULL ? ORDAIN_NO_MEMORY : ORDAIN_OK;
    }
    for (uint32_t i = 0; error == ORDAIN_OK && i < pieces.count; i++)
        describe(&(*out)[(*count)++], &pieces.claims[i]);
    pieces_free(&pieces);
    free(trust);
    return error;
}
