/*
 * Lies with real signatures, for the tests of evidence: what they give out lives in static memory until the next call with the
 * same `slot`.
 */
#ifndef ORDAIN_TESTS_UNIT_EVIDENCE_SUPPORT_H
#define ORDAIN_TESTS_UNIT_EVIDENCE_SUPPORT_H

#include "evidence/evidence.h"

enum { LIE_SLOTS = 4 };

/* A statement of the core that stands alone, signed by itself; the digest is filled with `fill`. */
struct ord_span lie_vote(int slot, const struct ord_core_config *config, const struct ord_signer *signer,
                         enum bft_type type, uint64_t view, uint64_t seq, uint8_t fill, ord_node_id sender);
/* The same PREPARE as number `index` of `count` that are signed together. */
struct ord_span lie_listed(int slot, const struct ord_core_config *config, const struct ord_signer *signer,
                           uint64_t view, uint64_t seq, uint8_t fill, ord_node_id sender, uint32_t index,
                           uint32_t count);
/* An attestation; the state digest is filled with `fill`. */
struct ord_span lie_attestation(int slot, const struct ord_core_config *config, const struct ord_signer *signer,
                                uint64_t seq, uint8_t fill, ord_node_id sender);

#endif
