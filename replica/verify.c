/*
 * Running a check, in any thread. It writes to the check only.
 */
#include "replica/verify.h"

static void run_envelopes(struct replica_check *check) {
    const struct replica_verifier *verifier = &check->context->verifier;
    for (uint32_t i = 0; i < check->envelopes.count; i++) {
        struct replica_envelope_check *item = &check->envelopes.items[i];
        item->ok = verifier->verify(verifier->context, &item->key, &item->hash, &item->signature);
        check->bad |= !item->ok;
    }
}

void replica_check_run(struct replica_check *check) {
    const struct replica_verify_context *context = check->context;
    switch (check->type) {
    case REPLICA_CHECK_MESSAGE:
        check->err =
            context->protocol->authenticate(&check->message.verified, context->core_config, check->from, check->bytes);
        check->bad = check->err == ORD_ERR_BAD_SIGNATURE;
        break;
    case REPLICA_CHECK_ATTESTATION:
        check->bad = !channel_attestation_verify(&check->attestation, context->genesis_hash, context->crypto);
        check->err = check->bad ? ORD_ERR_BAD_SIGNATURE : ORD_OK;
        break;
    case REPLICA_CHECK_CERTIFICATE:
        check->err = channel_certificate_verify(check->certificate, context->config, context->genesis_hash,
                                                context->crypto, channel_strong_quorum(context->config));
        /* An honest replica sends no certificate that has anything wrong with it. */
        check->bad = check->err != ORD_OK;
        break;
    case REPLICA_CHECK_PROPOSED:
    case REPLICA_CHECK_SUBMITTED:
        run_envelopes(check);
        break;
    }
}
