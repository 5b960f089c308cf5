/*
 * Leaving a view: docs/protocol.md, rules 14 and 27. A replica follows what others say of its view, and leaves it for a
 * reason that it was shown. The reference counts what the core took, and nothing that the core remembers itself.
 */
#ifndef ORDAIN_SIM_CHECK_LEAVE_H
#define ORDAIN_SIM_CHECK_LEAVE_H

#include "sim/world.h"

struct sim_leave {
    /* For each replica: the view of its last STATUS, and the highest view of its VIEW-CHANGEs. */
    uint64_t shown_view[ORD_REPLICA_MAX];
    uint64_t asked_view[ORD_REPLICA_MAX];
    /* The replicas whose last STATUS wants another primary, and those of them that hand over. */
    ord_replica_set suspects;
    ord_replica_set hands_over;
    /* The view that the replica is in or goes to. The rest is about it. */
    uint64_t view;
    bool changing;
    /* There was a reason to leave it. */
    bool may_leave;
    /* The others that suspect its primary or have left it, and those of them that ask for a later one. */
    uint32_t others;
    uint32_t ahead;
    bool suspecting;
};

/*
 * After each step of an honest core. `before`: its status before the step; `detail` is not valid in it. `liars`: the
 * replicas whose NEW-VIEW may be wrong.
 */
void sim_leave_step(struct sim_leave *leave, struct sim_process *process, ord_replica_set liars,
                    const struct ord_event *event, const struct ord_status *before, const struct ord_effects *effects);

#endif
