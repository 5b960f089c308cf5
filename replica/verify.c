/*
 * Running a check, in any thread. It writes to the check only.
 */
#include "replica/replica_internal.h"

/* The key comes with the certificate. */
static bool run_newcomer(const struct replica_options *options, struct replica_envelope_check *item) {
    struct replica_newcomer *newcomer = item->newcomer;
    newcomer->err =
        channel_newcomer_verify(&newcomer->says, options->config, ord_span_of(newcomer->certificate, newcomer->size));
    if (newcomer->err == ORD_OK)
        item->key = newcomer->says.verify_key;
    return newcomer->err == ORD_OK;
}

/* After a bad envelope of a proposed batch nothing else of it matters. Of a flood of forgeries only one is checked. */
static void run_envelopes(struct replica_check *check) {
    const struct replica_options *options = &check->setup->options;
    const struct replica_verifier *verifier = &options->verifier;
    for (uint32_t i = 0; i < check->envelopes.count; i++) {
        struct replica_envelope_check *item = &check->envelopes.items[i];
        bool fits = item->newcomer == NULL || item->newcomer->known || run_newcomer(options, item);
        item->ran = fits && !item->known;
        item->ok =
            fits && (item->known || verifier->verify(verifier->context, &item->key, &item->hash, &item->signature));
        /* A shortage of memory here is nobody's lie. */
        check->bad |= !item->ok && (fits || item->newcomer->err != ORD_ERR_NO_MEMORY);
        if (check->bad && check->type == REPLICA_CHECK_PROPOSED)
            break;
    }
}

void replica_check_run(struct replica_check *check) {
    const struct setup *setup = check->setup;
    const struct replica_options *options = &setup->options;
    switch (check->type) {
    case REPLICA_CHECK_MESSAGE:
        check->err =
            setup->protocol->authenticate(&check->message.verified, &setup->core_config, check->from, check->bytes);
        check->bad = check->err == ORD_ERR_BAD_SIGNATURE;
        break;
    case REPLICA_CHECK_ATTESTATION:
        check->bad = !channel_attestation_verify(&check->attestation, options->genesis_hash, options->crypto);
        check->err = check->bad ? ORD_ERR_BAD_SIGNATURE : ORD_OK;
        break;
    case REPLICA_CHECK_CERTIFICATE:
        check->err = channel_certificate_verify(check->certificate, options->config, options->genesis_hash,
                                                options->crypto, channel_weak_quorum(options->config));
        /*
         * An honest replica sends no certificate that has anything wrong with it. f + 1 prove a block, and who asks for
         * it sends such a certificate.
         */
        check->bad = check->err != ORD_OK;
        break;
    case REPLICA_CHECK_PROPOSED:
    case REPLICA_CHECK_SUBMITTED:
        run_envelopes(check);
        break;
    }
}
