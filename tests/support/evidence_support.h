/*
 * Makes statements with real signatures, for the tests of evidence. A returned span points to static memory and is
 * valid until the next call with the same `slot`.
 */
#ifndef ORDAIN_TESTS_UNIT_EVIDENCE_SUPPORT_H
#define ORDAIN_TESTS_UNIT_EVIDENCE_SUPPORT_H

#include "evidence/evidence.h"

enum { LIE_SLOTS = 4 };

/* A statement of the core, signed alone. Its digest is filled with `fill`. */
struct ord_span lie_vote(int slot, const struct ord_core_config *config, const struct ord_signer *signer,
                         enum bft_type type, uint64_t view, uint64_t seq, uint8_t fill, ord_node_id sender);
/* A PREPARE as number `index` of `count` statements that are signed together. */
struct ord_span lie_listed(int slot, const struct ord_core_config *config, const struct ord_signer *signer,
                           uint64_t view, uint64_t seq, uint8_t fill, ord_node_id sender, uint32_t index,
                           uint32_t count);
/* An attestation. Its state digest is filled with `fill`. */
struct ord_span lie_attestation(int slot, const struct ord_core_config *config, const struct ord_signer *signer,
                                uint64_t seq, uint8_t fill, ord_node_id sender);

#endif
