/*
 * Stable checkpoints: OSDI'99, section 4.3. The node gathers the attestations, and a certificate of them makes a seq
 * stable: everything at or below it is dropped. The certificate of the stable seq is kept, because a VIEW-CHANGE proves
 * with it where this replica's window begins.
 */
#include "bft/bft_internal.h"

#include <string.h>

#include "bft/marks.h"

void bft_checkpoint_set(struct bft_checkpoint *checkpoint, uint64_t seq, struct ord_span certificate) {
    checkpoint->seq = seq;
    checkpoint->size = certificate.size;
    if (certificate.size > 0) /* an empty certificate has no address */
        memmove(checkpoint->bytes, certificate.data, certificate.size);
}

struct ord_span bft_checkpoint_proof(const struct bft_checkpoint *checkpoint) {
    return ord_span_of(checkpoint->bytes, checkpoint->size);
}

void bft_stabilize(struct ord_core *core, uint64_t seq, struct ord_span certificate) {
    /* Earlier views may have left records that no slot knows of. */
    bool logged = core->view > 0;
    bool certified = core->view > 0;
    for (uint64_t s = core->stable_seq + 1; s <= seq && s - core->stable_seq <= core->config.window; s++) {
        struct bft_slot *slot = bft_slot_find(core, s);
        if (slot == NULL)
            continue;
        logged = logged || slot->logged || slot->stray;
        certified = certified || slot->certificate_size > 0;
        bft_slot_release(core, slot);
    }
    core->stable_seq = seq;
    bft_changed(core);
    bft_checkpoint_set(&core->stable, seq, certificate);
    bft_persist(core, BFT_TABLE_CHECKPOINT, 1, bft_checkpoint_proof(&core->stable));
    if (logged)
        bft_forget(core, BFT_TABLE_LOG, seq);
    if (certified)
        bft_forget(core, BFT_TABLE_CERTIFICATE, seq);
    if (bft_speaks(core))
        bft_open_entries(core);
}

void bft_targets_check(struct ord_core *core) {
    const struct bft_checkpoint *reached = core->attested.seq <= core->delivered_seq ? &core->attested : &core->target;
    ORD_MARK_IF(reached->seq > core->stable_seq && reached->seq <= core->delivered_seq, STABLE_LATE);
    if (reached->seq > core->stable_seq && reached->seq <= core->delivered_seq)
        bft_stabilize(core, reached->seq, bft_checkpoint_proof(reached));
    if (core->target.seq <= core->delivered_seq && core->attested.seq > core->delivered_seq) {
        ORD_MARK(TARGET_NEXT);
        bft_checkpoint_set(&core->target, core->attested.seq, bft_checkpoint_proof(&core->attested));
        core->target_since_ms = core->now_ms;
    }
}
