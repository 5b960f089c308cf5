/*
 * Running a check, in any thread. It writes to the check only.
 */
#include "replica/replica_internal.h"

static void run_envelopes(struct replica_check *check) {
    const struct replica_verifier *verifier = &check->setup->options.verifier;
    for (uint32_t i = 0; i < check->envelopes.count; i++) {
        struct replica_envelope_check *item = &check->envelopes.items[i];
        item->ok = item->known || verifier->verify(verifier->context, &item->key, &item->hash, &item->signature);
        check->bad |= !item->ok;
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
