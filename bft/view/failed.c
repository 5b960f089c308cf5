/*
 * Leaders whose views failed lately. A mute replica costs a whole request timeout in every view that it leads, and
 * under scheduled rotation each replica leads again and again (row P2). So a replica remembers leaders whose views
 * failed, and waits less in their later views: SHORT_PART of the timeout for the NEW-VIEW, and for clock 1 of
 * suspect.c. The primary of a view is still a function of the view. This is not in the papers; the nearest is Aardvark
 * (Clement et al., NSDI'09), where a primary has to earn its time as well. The memory is local and ends with the
 * process.
 *
 * A view failed for this replica if it suspected the primary itself, even where the view then ended on schedule, or if
 * f + 1 others said that they do: one of these is honest. A replica that merely follows the VIEW-CHANGEs of others
 * knows nothing of the kind, because the view may have ended on schedule. A primary that hands over (hand_over.c) is
 * suspected as well, and has failed. Otherwise it could do so late in every view, having ordered nothing.
 *
 * At most f leaders have less time, and nobody has it for ever:
 * - At most f leaders are remembered, those that failed last. A further one displaces the one that failed longest ago.
 * - After k failures of a leader its next view has the whole time if k is a power of two from WHOLE_FIRST on, or a
 *   multiple of WHOLE_EVERY. So a leader that was slow at a bad time has its whole time again after few views.
 * - A leader is forgotten after TERMS_TO_FORGET full terms without a failure. One term does not suffice, or a liar that
 *   serves every second term would cost a whole timeout in each of the others.
 *
 * Why liveness does not suffer. While every view fails, no time is shortened at all: the leaders that failed last are
 * those of the last f views, and n > f. A replica that has not seen all of these views fail may shorten some. But among
 * n views in a row at most f have a leader that it remembered when they began; all the others double the timeout when
 * they fail. And a shortened time doubles with the timeout. So it too outgrows every delay, three doublings later. The
 * view of a leader that is remembered does not double the timeout when it fails, because it says little about the time
 * that others need.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"
#include "core/quorum.h"

enum {
    /* A shortened time is this part of the timeout. */
    SHORT_PART = 8,
    /* See above. Both are powers of two. */
    WHOLE_FIRST = 4,
    WHOLE_EVERY = 32,
    /* After so many full terms without a failure a leader is forgotten. */
    TERMS_TO_FORGET = 4,
};

/* Where in the list the leader of this replica's view is; failed_count: it is not there. */
static uint32_t find(const struct ord_core *core) {
    const ord_node_id primary = bft_primary(&core->config, core->view);
    uint32_t at = 0;
    while (at < core->failed_count && core->failed[at].node != primary)
        at++;
    return at;
}

static void drop(struct ord_core *core, uint32_t at) {
    core->failed_count--;
    memmove(core->failed + at, core->failed + at + 1, (core->failed_count - at) * sizeof(core->failed[0]));
}

bool bft_failed_lately(const struct ord_core *core) {
    return find(core) < core->failed_count;
}

static bool has_whole_time(uint32_t failures) {
    bool power_of_two = (failures & (failures - 1)) == 0;
    return (failures >= WHOLE_FIRST && power_of_two) || failures % WHOLE_EVERY == 0;
}

uint64_t bft_failed_wait_ms(const struct ord_core *core, uint64_t timeout_ms) {
    uint32_t at = find(core);
    bool whole = at == core->failed_count || has_whole_time(core->failed[at].failures);
    return whole ? timeout_ms : ord_max(timeout_ms / SHORT_PART, 1);
}

void bft_failed_note(struct ord_core *core) {
    uint32_t at = find(core);
    struct bft_failed_leader leader = {.node = bft_primary(&core->config, core->view), .failures = 1};
    if (at < core->failed_count) {
        uint32_t before = core->failed[at].failures;
        ORD_MARK_IF(!has_whole_time(before), LEADER_FAILED_AGAIN);
        ORD_MARK_IF(has_whole_time(before), LEADER_FAILED_WHOLE);
        leader.failures = before < UINT32_MAX ? before + 1 : WHOLE_EVERY;
        drop(core, at);
    } else if (core->failed_count == ord_bft_faulty_max(core->config.replica_count)) {
        ORD_MARK(LEADER_DISPLACED);
        core->failed_count--;
    }
    memmove(core->failed + 1, core->failed, core->failed_count * sizeof(leader));
    core->failed[0] = leader;
    core->failed_count++;
}

/*
 * A full term is what a view orders until it ends on schedule, and at most a window, because a view may have no such
 * end.
 */
void bft_failed_delivered(struct ord_core *core, uint64_t seq) {
    const uint64_t begin = core->entries.base_seq + core->entries.count;
    const uint32_t scheduled = core->options->decisions_per_leader;
    const uint64_t term = scheduled == 0 ? core->config.window : ord_min((uint64_t) scheduled, core->config.window);
    uint32_t at = find(core);
    if (at == core->failed_count || seq <= begin || (seq - begin) % term != 0 ||
        ++core->failed[at].terms < TERMS_TO_FORGET)
        return;
    ORD_MARK(LEADER_FORGOTTEN);
    drop(core, at);
}
