/*
 * Evidence in the reader thread: the committed pieces, as they are kept.
 */
#include <stdlib.h>

#include "node/answer.h"
#include "replica/records.h"

/*
 * Adds the pieces against `culprit` behind the first *count of `out`, in malloc'ed memory. `out` has room for
 * RECORD_EVIDENCE_TOTAL pieces.
 */
static enum ord_err read_pieces(struct node *node, ProtobufCBinaryData *out, size_t *count, ord_node_id culprit) {
    uint32_t slots = record_evidence_slots(node->channel_config->replica_count);
    for (uint32_t slot = 0; slot < slots; slot++) {
        char name[RECORD_EVIDENCE_SIZE];
        struct ord_bytes bytes;
        record_evidence_name(name, culprit, slot);
        enum ord_err err = ledger_get_meta(node->ledger, &bytes, name);
        if (err != ORD_OK)
            return err == ORD_ERR_NOT_FOUND ? ORD_OK : err;
        out[(*count)++] = (ProtobufCBinaryData) {bytes.size, bytes.data};
    }
    return ORD_OK;
}

void answer_evidence(struct service *service, struct api_request *request) {
    struct node *node = service->node;
    uint32_t replica_count = node->channel_config->replica_count;
    uint32_t against = request->ask.against;
    if (against > replica_count) {
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "there is no such replica");
        return;
    }
    if (answer_room(request) == 0) {
        answer_unread(request);
        return;
    }
    ProtobufCBinaryData pieces[RECORD_EVIDENCE_TOTAL];
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__EvidenceResponse answer = ORDAIN__V1__EVIDENCE_RESPONSE__INIT;
    enum ord_err err = ORD_OK;
    for (ord_node_id culprit = 0; culprit < replica_count && err == ORD_OK; culprit++)
        if (against == 0 || against == culprit + 1)
            err = read_pieces(node, pieces, &answer.n_pieces, culprit);
    if (err != ORD_OK) {
        api_reply_error(request, ORDAIN__V1__STATUS__UNAVAILABLE, "evidence cannot be read from disk");
    } else {
        answer.pieces = pieces;
        response.status = ORDAIN__V1__STATUS__OK;
        response.kind_case = ORDAIN__V1__RESPONSE__KIND_EVIDENCE;
        response.evidence = &answer;
        api_reply(request, &response);
    }
    for (size_t i = 0; i < answer.n_pieces; i++)
        free(pieces[i].data);
}
