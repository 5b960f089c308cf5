/*
 * A replica's counters, for status. Each is a field of struct replica_counters.
 */
#ifndef ORDAIN_REPLICA_COUNTERS_H
#define ORDAIN_REPLICA_COUNTERS_H

#include <stdint.h>

#define REPLICA_COUNTERS(X)                                                                                            \
    X(turns)                                                                                                           \
    X(commits)                                                                                                         \
    X(link_messages_ignored)                                                                                           \
    X(link_messages_useless)                                                                                           \
    X(link_jobs_over_share)                                                                                            \
    X(client_signatures_checked)                                                                                       \
    X(client_signatures_bad)                                                                                           \
    X(client_signatures_skipped)                                                                                       \
    X(messages_authenticated)                                                                                          \
    X(messages_refused)                                                                                                \
    X(attestations_made)                                                                                               \
    X(attestations_checked)                                                                                            \
    X(attestations_skipped)                                                                                            \
    X(attestations_bad)                                                                                                \
    X(batches_proposed)                                                                                                \
    X(batches_judged)                                                                                                  \
    X(batches_refused)                                                                                                 \
    X(cuts_proposed)                                                                                                   \
    X(batches_executed)                                                                                                \
    X(envelopes_accepted)                                                                                              \
    X(envelopes_duplicate)                                                                                             \
    X(envelopes_refused)                                                                                               \
    X(blocks_closed)                                                                                                   \
    X(submissions)                                                                                                     \
    X(envelopes_submitted)                                                                                             \
    X(envelopes_busy)                                                                                                  \
    X(envelopes_forwarded)                                                                                             \
    X(syncs_started)                                                                                                   \
    X(syncs_finished)                                                                                                  \
    X(sync_blocks)                                                                                                     \
    X(sync_refused)                                                                                                    \
    X(evidence)                                                                                                        \
    X(evidence_refused)                                                                                                \
    X(damaged_reads)                                                                                                   \
    X(intake_stopped)

struct replica_counters {
#define REPLICA_COUNTER_FIELD(name) uint64_t name;
    REPLICA_COUNTERS(REPLICA_COUNTER_FIELD)
#undef REPLICA_COUNTER_FIELD
};

#endif
