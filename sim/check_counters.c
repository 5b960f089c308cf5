/*
 * The counters that docs/operating.md calls signs of a liar or of a broken machine. Where nobody lies, no replica
 * counts anything in them, whatever the network, the disks and the clients do.
 */
#include "sim/check.h"
#include "sim/process.h"

void sim_check_counters(struct sim_replica *replica, const struct replica_status *status) {
    const struct sim_world *world = replica->world;
    const struct replica_counters *counters = replica_counters(replica->process->program);
    if (world->plan.liar_count > 0)
        return;
    /* A replica that has forgotten may contradict itself (rule 26). Others count that as a lie. */
    for (uint32_t i = 0; i < world->instance_count && sim_is_pbft(world); i++)
        if (world->replicas[i].forgetful || world->replicas[i].forgot_until_seq > 0)
            return;
    if (counters->messages_refused > 0 || counters->attestations_bad > 0 || status->core.messages_refused > 0 ||
        counters->batches_refused > 0 || counters->evidence_refused > 0)
        sim_blame(replica, "counters",
                  "accuses others, and nobody lies: %lu messages refused, %lu by the core, %lu attestations bad, %lu "
                  "batches refused, %lu pieces of evidence refused",
                  (unsigned long) counters->messages_refused, (unsigned long) status->core.messages_refused,
                  (unsigned long) counters->attestations_bad, (unsigned long) counters->batches_refused,
                  (unsigned long) counters->evidence_refused);
}
