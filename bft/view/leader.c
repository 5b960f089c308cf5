/*
 * The primary of this replica's view: whether it leads, and whether it hands over (hand_over.c).
 */
#include "bft/bft_internal.h"

ord_node_id bft_leader(const struct ord_core *core) {
    ord_node_id primary = bft_primary(&core->config, core->view);
    return core->changing || (primary == core->config.self && !bft_speaks(core)) ? ORD_NO_NODE : primary;
}

void bft_announce_leader(struct ord_core *core) {
    struct ord_effect *effect = bft_effect(core, ORD_EFFECT_LEADER);
    effect->leader.leader = bft_leader(core);
    effect->leader.view = core->view;
}

bool bft_handed_over(const struct ord_core *core) {
    ord_node_id primary = bft_primary(&core->config, core->view);
    const struct bft_peer *peer = &core->peers[primary];
    return primary == core->config.self ? core->detail.handing_over
                                        : peer->hands_over && peer->shown_view == core->view;
}
