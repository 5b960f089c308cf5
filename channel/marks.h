/*
 * The coverage marks of the channel (core/mark.h), by file.
 */
#ifndef ORDAIN_CHANNEL_MARKS_H
#define ORDAIN_CHANNEL_MARKS_H

#include "core/mark.h"

#define CHANNEL_MARKS(X)                                                                                               \
    /* attestation.c, collector.c, block.c */                                                                          \
    X(CERTIFICATE_TOO_FEW, RARE, "a certificate has too few, unknown or repeated signers")                             \
    X(CERTIFICATE_FORGED, RARE, "a certificate has a signature that does not verify")                                  \
    X(ATTESTATION_TWICE, OFTEN, "a replica attests two statements about one seq")                                      \
    X(ATTESTATION_DIFFERS, OFTEN, "two replicas attest different statements about one seq")                            \
    X(ATTESTATION_DISPLACES, RARE, "a replica's oldest attestation makes room for a newer one")                        \
    X(BLOCK_OTHER_DATA, RARE, "a block's data is not its header's")                                                    \
    /* client_table.c */                                                                                               \
    X(SEQUENCE_BEHIND_HIGHEST, OFTEN, "an unseen sequence lies below the client's highest one")                        \
    X(REPLAY_WINDOW_JUMPS, OFTEN, "the replay window moves by more than half of itself at once")                       \
    /* execute.c */                                                                                                    \
    X(REGISTERED_AGAIN, RARE, "a registered client is registered again")                                               \
    X(SEQUENCE_SEEN, OFTEN, "an envelope was executed before")                                                         \
    X(SEQUENCE_OLD, RARE, "a sequence lies below the replay window")                                                   \
    X(SEQUENCE_AHEAD, RARE, "a sequence lies beyond the replay window")                                                \
    X(CUT_BEFORE_LARGE, OFTEN, "the block closes before an envelope above PreferredMaxBytes")                          \
    X(CUT_LARGE_ALONE, OFTEN, "an envelope above PreferredMaxBytes is alone in its block")                             \
    X(CUT_BY_BYTES, OFTEN, "the block closes before an envelope that would pass PreferredMaxBytes")                    \
    X(CUT_BY_COUNT, OFTEN, "the block closes before an envelope that would pass MaxMessageCount")                      \
    X(CUT_FULL, OFTEN, "the block closes with MaxMessageCount transactions")                                           \
    X(CUT_BY_MARKER, OFTEN, "a marker closes the block")                                                               \
    X(CUT_AT_BATCH_END, OFTEN, "BatchTimeout 0 closes the block with its batch")                                       \
    X(MARKER_LATE, OFTEN, "a marker is void, because its block is closed")                                             \
    X(MARKER_EARLY, RARE, "a marker is void, because its block is not open yet")                                       \
    X(MARKER_OF_NOTHING, RARE, "a marker is void, because its block is empty")                                         \
    X(POINT_BY_BYTES, RARE, "the batches' bytes alone make a point of attestation")                                    \
    /* judge.c */                                                                                                      \
    X(ENVELOPE_FOREIGN, OFTEN, "an envelope belongs to another network")                                               \
    X(ENVELOPE_TOO_LARGE, OFTEN, "an envelope is above AbsoluteMaxBytes or MaxMessageCount")                           \
    X(ENVELOPE_OF_UNKNOWN, OFTEN, "an envelope comes from a client that is not registered")                            \
    X(REGISTRATION_OF_ANOTHER, RARE, "a registration has another client's certificate")                                \
    X(REGISTRATION_NO_ROOM, OFTEN, "a registration comes while the client table is full")                              \
    /* progress.c */                                                                                                   \
    X(TURN_PASSED_OVER, RARE, "the turn of a leader that failed lately was passed over")                               \
    X(TURN_FAILED_AGAIN, RARE, "a leader that failed lately fails again, and misses more turns")                       \
    X(TURN_DISPLACED, RARE, "f other leaders have failed since one did, and it is no longer passed over")              \
    X(TURN_FORGIVEN, RARE, "a leader that failed lately ends enough views on schedule")                                \
    /* restore.c, transfer.c */                                                                                        \
    X(RESTORE_OPEN_BLOCK, OFTEN, "a restart finds an open block")                                                      \
    X(RESTORE_IN_TRANSFER, RARE, "a restart finds a transferred block without its tail")                               \
    X(TRANSFER_IN_OPEN_BLOCK, OFTEN, "a transferred block begins with our open one")                                   \
    X(TRANSFER_TAIL, OFTEN, "a transfer ends with an open block")                                                      \
    X(TRANSFER_TAIL_FORGED, RARE, "a tail does not give the certified state")

CHANNEL_MARKS(ORD_MARK_DECLARE)

#endif
