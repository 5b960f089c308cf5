/*
 * The other parts' view of the consensus core. effects.c alone steps it.
 */
#include "replica/replica_internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum ord_err agree_init(struct replica *replica) {
    const struct setup *setup = &replica->setup;
    struct agree *agree = &replica->agree;
    *agree = (struct agree) {.leader = ORD_NO_NODE,
                             .wake_at_ms = replica->turn.now_ms,
                             .work_since_ms = UINT64_MAX,
                             .work_turn_ms = UINT64_MAX,
                             .rejected = ORD_OK};
    size_t size = setup->protocol->memory_size(&setup->core_config);
    agree->core_memory = malloc(size);
    if (agree->core_memory == NULL)
        return ORD_ERR_NO_MEMORY;
    return setup->protocol->init(&agree->core, agree->core_memory, size, &setup->core_config, &setup->options.signer,
                                 setup->options.seed);
}

void agree_deinit(struct replica *replica) {
    free(replica->agree.core_memory);
}

struct ord_status agree_status(const struct replica *replica) {
    struct ord_status status;
    replica->setup.protocol->status(replica->agree.core, &status);
    return status;
}

bool agree_may_run(const struct replica *replica) {
    return replica->turn.room && !replica->sync.between;
}

void agree_note_silence(struct replica *replica) {
    struct agree *agree = &replica->agree;
    struct ord_status core = agree_status(replica);
    /* With an empty disk nobody knows yet whether the channel is as new as the disk. */
    bool new = core.asking && agree->began_empty;
    if (core.silent && !new && (!agree->shown_silent || core.silent_until_seq != agree->shown_until_seq))
        replica_log(replica, REPLICA_LOG_WARN, "silent", "until_seq=%" PRIu64 " stable_seq=%" PRIu64 " why=\"%s\"",
                    core.silent_until_seq, core.stable_seq,
                    agree->began_empty ? "the disk is new or was lost" : "the disk is older than what was said");
    if (!core.asking && !core.silent && (agree->shown_asking || agree->shown_silent))
        replica_log(replica, REPLICA_LOG_INFO, "speaks", "view=%" PRIu64 " stable_seq=%" PRIu64 " ms=%" PRIu64,
                    core.view, core.stable_seq, replica->turn.now_ms - replica->turn.started_ms);
    agree->shown_asking = core.asking;
    agree->shown_silent = core.silent && !new;
    agree->shown_until_seq = core.silent_until_seq;
}
