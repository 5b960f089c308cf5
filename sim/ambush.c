/*
 * A network that strikes where it hurts (rows V6, V7, V13). It lets one replica alone prepare, and hides it until
 * another view has prepared something at its seqs. It takes that view's primary away, and brings the hidden replica
 * back in time for the next view change, with what it knew. All of this is lost messages only; chance alone brings them
 * together too rarely.
 */
#include "bft/wire/message.h"
#include "sim/world.h"

enum stage {
    OFF,
    /* PREPAREs reach the victim only, and its votes reach nobody. */
    LONE,
    /* The victim has prepared, and is cut off. */
    HIDDEN,
    /* Others have prepared in a later view. Its primary is cut off too. */
    STRUCK,
    /* The others want a still later view. The victim is back, and does not learn of the view before. */
    BACK,
};

enum { VIEW_AT = 17, TIMEOUTS_MAX = 15 };

void sim_ambush_begin(struct sim_world *world, uint32_t victim) {
    struct sim_ambush *ambush = &world->ambush;
    if (!sim_is_pbft(world) || ambush->stage != OFF)
        return;
    *ambush = (struct sim_ambush) {.stage = LONE,
                                   .victim = world->replicas[victim].id,
                                   .struck = ORD_NO_NODE,
                                   .until_us =
                                       world->now_us + (uint64_t) TIMEOUTS_MAX * world->plan.request_timeout_ms * 1000};
    sim_say(world, victim, "is alone to hear the votes");
}

void sim_ambush_end(struct sim_world *world) {
    world->ambush.stage = OFF;
}

static uint64_t view_of(struct ord_span message) {
    return message.size < VIEW_AT + 8 ? 0 : ord_load_u64(message.data + VIEW_AT);
}

static bool installs(struct ord_span message, uint64_t view) {
    if (message.size > BFT_RELAY_SIZE && message.data[0] == BFT_RELAY)
        message = ord_span_of(message.data + BFT_RELAY_SIZE, message.size - BFT_RELAY_SIZE);
    return message.size > 0 && message.data[0] == BFT_NEW_VIEW && view_of(message) <= view;
}

static void go_to(struct sim_world *world, enum stage stage, uint64_t view, const char *what) {
    world->ambush.stage = (uint8_t) stage;
    world->ambush.view = view;
    sim_say(world, -1, "ambush: %s (view %lu)", what, (unsigned long) view);
}

/* Goes to the next stage when a message shows what the ambush waits for. */
static void watch(struct sim_world *world, ord_node_id from, struct ord_span message) {
    struct sim_ambush *ambush = &world->ambush;
    uint64_t view = view_of(message);
    bool victim = from == ambush->victim;
    uint8_t type = message.data[0];
    if (ambush->stage == LONE && victim && type == BFT_COMMIT) {
        go_to(world, HIDDEN, view, "it alone has prepared");
    } else if (ambush->stage == HIDDEN && !victim && type == BFT_COMMIT && view > ambush->view) {
        go_to(world, STRUCK, view, "others have prepared later");
        ambush->struck = (ord_node_id) ((view + ord_load_u64(world->genesis_hash.bytes) % world->replica_count) %
                                        world->replica_count);
    } else if (ambush->stage == STRUCK && !victim && from != ambush->struck && type == BFT_VIEW_CHANGE &&
               view > ambush->view) {
        go_to(world, BACK, ambush->view, "another view is wanted");
    } else if (ambush->stage == BACK && type == BFT_NEW_VIEW && view > ambush->view) {
        go_to(world, OFF, view, "over");
    }
}

bool sim_ambush_takes(struct sim_world *world, ord_node_id from, ord_node_id to, enum replica_link kind,
                      struct ord_span message) {
    struct sim_ambush *ambush = &world->ambush;
    if (ambush->stage == OFF || from == to)
        return false;
    if (world->now_us >= ambush->until_us)
        ambush->stage = OFF;
    if (kind == REPLICA_LINK_CORE && message.size > 0)
        watch(world, from, message);
    bool victim = from == ambush->victim || to == ambush->victim;
    bool struck = from == ambush->struck || to == ambush->struck;
    switch ((enum stage) ambush->stage) {
    case OFF:
        return false;
    case LONE:
        if (kind != REPLICA_LINK_CORE || message.size == 0)
            return false;
        return from == ambush->victim ? message.data[0] != BFT_PRE_PREPARE
                                      : to != ambush->victim && message.data[0] == BFT_PREPARE;
    case HIDDEN:
        return victim;
    case STRUCK:
        return victim || struck;
    case BACK:
        return struck || (to == ambush->victim && kind == REPLICA_LINK_CORE && installs(message, ambush->view));
    }
    return false;
}
