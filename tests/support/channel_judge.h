/*
 * Judges an envelope with its certificate, as a replica does in two steps.
 */
#ifndef ORDAIN_TESTS_SUPPORT_CHANNEL_JUDGE_H
#define ORDAIN_TESTS_SUPPORT_CHANNEL_JUDGE_H

#include "channel/state.h"

static inline enum ord_err judge_whole(const struct channel *channel, const struct channel_config *config,
                                       struct crypto_verify_key *key, const struct channel_envelope *envelope) {
    struct channel_judged judged;
    struct channel_newcomer newcomer;
    enum ord_err err = channel_judge(channel, &judged, envelope);
    *key = judged.key;
    if (err != ORD_OK || judged.certificate.size == 0)
        return err;
    err = channel_newcomer_verify(&newcomer, config, judged.certificate);
    if (err == ORD_OK)
        *key = newcomer.verify_key;
    return err;
}

#endif
