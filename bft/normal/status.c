/*
 * STATUS: says what this replica has, so that others can send what it lacks. TOCS'02, section 5.2. retransmit.c says
 * when it is due, and answers that of others.
 */
#include "bft/bft_internal.h"

static enum bft_mood changing_mood(const struct ord_core *core) {
    return core->detail.suspecting ? BFT_GIVES_UP : BFT_CHANGING;
}

/* False: this replica sends none now. */
static bool send_to(struct ord_core *core, ord_replica_set to) {
    if (core->silence.asking)
        /* STATUS would bring votes, which a replica that asks cannot use yet. */
        return false;
    struct bft_status status = {.view = core->view,
                                .sender = core->config.self,
                                .delivered_seq = core->delivered_seq,
                                .stable_seq = core->stable_seq,
                                .mood = core->changing              ? changing_mood(core)
                                        : !bft_speaks(core)         ? BFT_SILENT
                                        : core->detail.handing_over ? BFT_HANDS_OVER
                                        : core->detail.suspecting   ? BFT_SUSPECTS
                                                                    : BFT_CONTENT,
                                .changes = bft_changes_shown(core)};
    for (uint32_t i = 0; i < BFT_HELD_COUNT; i++) {
        const struct bft_slot *slot = bft_slot_find(core, core->delivered_seq + 1 + i);
        if (slot != NULL && slot->state != BFT_SLOT_EMPTY && slot->state != BFT_SLOT_AWAITING)
            status.held[i / 8] |= (uint8_t) (1u << (i % 8));
    }
    uint8_t bytes[BFT_STATUS_SIZE];
    bft_status_encode(bytes, &core->config, &status);
    /* STATUS reports what this turn makes durable. */
    bft_send(core, to, bft_outbox_copy(core, bytes, sizeof(bytes)), true);
    return true;
}

void bft_send_status(struct ord_core *core) {
    if (send_to(core, core->others))
        core->status_ms = core->now_ms;
}

void bft_send_status_to(struct ord_core *core, ord_node_id to) {
    (void) send_to(core, ord_replica_bit(to));
}
