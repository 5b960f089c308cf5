/*
 * A replica leaves an installed view if there was, since it is in that view, one of these reasons (docs/protocol.md,
 * rules 14, 25 and 27):
 *   - 2f of the others suspect the primary or have left the view, and so does this replica, because it adopts that;
 *   - f + 1 others have gone further, by their VIEW-CHANGEs;
 *   - it gives evidence against the view's primary;
 *   - the view has ordered all that it may order under scheduled rotation.
 * It gives up a view change if f others have given it up or gone further, if f + 1 have gone further by VIEW-CHANGEs,
 * or if the view's primary lies: then its NEW-VIEW may be wrong.
 *
 * It suspects, after the next FLUSH, when f + 1 others suspect or have left, or when the view's primary hands over. It
 * begins to suspect without a reason of its own only when f + 1 others do.
 *
 * "Have left": the newest STATUS shows a later view, or a VIEW-CHANGE asks for one. What others said before this
 * process began is unknown to the core, too.
 */
#include "sim/check_leave.h"

#include "bft/bft.h"
#include "bft/wire/view_message.h"
#include "core/quorum.h"
#include "sim/check.h"
#include "sim/process.h"

static bool takes_part(const struct ord_status *status) {
    return !status->asking && !status->silent;
}

static void set_bit(ord_replica_set *set, ord_node_id node, bool on) {
    *set = on ? *set | ord_replica_bit(node) : *set & ~ord_replica_bit(node);
}

static void take(struct sim_leave *leave, const struct ord_core_config *config, struct ord_span bytes) {
    struct bft_status status;
    struct bft_view_change change;
    if (bytes.size > BFT_RELAY_SIZE && bytes.data[0] == BFT_RELAY)
        bytes = bft_behind_header(bytes);
    if (bytes.size == 0)
        return;
    if (bytes.data[0] == BFT_STATUS && bft_status_decode(&status, config, bytes) == ORD_OK) {
        bool hands_over = status.mood == BFT_HANDS_OVER;
        leave->shown_view[status.sender] = status.view;
        set_bit(&leave->suspects, status.sender,
                hands_over || status.mood == BFT_SUSPECTS || status.mood == BFT_GIVES_UP);
        set_bit(&leave->hands_over, status.sender, hands_over);
    } else if (bytes.data[0] == BFT_VIEW_CHANGE && bft_view_change_decode(&change, config, bytes) == ORD_OK &&
               change.view > leave->asked_view[change.sender]) {
        leave->asked_view[change.sender] = change.view;
    }
}

/* The others that suspect the primary of the view or have left it; `ahead`: those that ask for a later view. */
static uint32_t count_others(const struct sim_leave *leave, const struct ord_core_config *config, uint32_t *ahead) {
    uint32_t count = 0;
    *ahead = 0;
    for (ord_node_id node = 0; node < config->replica_count; node++) {
        if (node == config->self)
            continue;
        bool asks = leave->asked_view[node] > leave->view;
        bool here = leave->shown_view[node] == leave->view && (leave->suspects & ord_replica_bit(node)) != 0;
        *ahead += asks;
        count += asks || here || leave->shown_view[node] > leave->view;
    }
    return count;
}

static bool is_over(const struct sim_replica *replica, const struct ord_status *status) {
    const uint32_t decisions = replica->world->config->decisions_per_leader;
    uint64_t begin_seq;
    bool known = sim_turns_begin(replica, status->view, &begin_seq);
    return decisions > 0 && (!known || status->delivered_seq >= begin_seq + decisions);
}

static bool gives_evidence(const struct ord_effects *effects, ord_node_id culprit) {
    bool gives = false;
    for (size_t i = 0; i < effects->count; i++)
        gives |= effects->items[i].type == ORD_EFFECT_EVIDENCE && effects->items[i].evidence.culprit == culprit;
    return gives;
}

static void begin(struct sim_leave *leave, const struct ord_status *status) {
    if (leave->view == status->view && leave->changing == status->changing)
        return;
    leave->view = status->view;
    leave->changing = status->changing;
    leave->may_leave = false;
    leave->suspecting = false;
}

/* The replica takes part in the view, which is installed, before and after the step. */
static void check_suspicion(struct sim_leave *leave, const struct sim_process *process, bool flushed, uint32_t others) {
    const struct bft_detail *detail = process->observer.status.detail;
    const uint32_t faulty = ord_bft_faulty_max(process->core_config.replica_count);
    const ord_node_id primary = bft_primary(&process->core_config, leave->view);
    bool hands_over = (leave->hands_over & ord_replica_bit(primary)) != 0 && leave->shown_view[primary] == leave->view;
    if (flushed && !detail->suspecting && (others > faulty || hands_over))
        sim_blame(process->replica, "suspicion", "does not suspect the primary of view %lu, which %s",
                  (unsigned long) leave->view, hands_over ? "hands over" : "f + 1 others suspect or have left");
    if (!leave->suspecting && detail->suspecting && !detail->has_reason && others <= faulty)
        sim_blame(process->replica, "suspicion", "suspects the primary of view %lu because %u others do",
                  (unsigned long) leave->view, others);
    leave->suspecting = detail->suspecting;
}

/* Notes whether others give a reason to leave the view of this status. */
static void note_reasons(struct sim_leave *leave, const struct ord_core_config *config, ord_replica_set liars,
                         const struct ord_status *status, const struct ord_effects *effects) {
    const uint32_t faulty = ord_bft_faulty_max(config->replica_count);
    const ord_node_id primary = bft_primary(config, status->view);
    begin(leave, status);
    leave->others = count_others(leave, config, &leave->ahead);
    bool given_up = status->changing && (leave->others >= faulty || (liars & ord_replica_bit(primary)) != 0);
    bool unwanted = !status->changing && leave->others >= 2 * faulty;
    leave->may_leave |= given_up || unwanted || leave->ahead > faulty || gives_evidence(effects, primary);
}

void sim_leave_step(struct sim_leave *leave, struct sim_process *process, ord_replica_set liars,
                    const struct ord_event *event, const struct ord_status *before, const struct ord_effects *effects) {
    const struct ord_status *after = &process->observer.status;
    const struct ord_core_config *config = &process->core_config;
    const bool flushed = event->type == ORD_EVENT_FLUSH;
    if (event->type == ORD_EVENT_MESSAGE)
        take(leave, config, event->message->bytes);
    note_reasons(leave, config, liars, before, effects);
    leave->may_leave |= !before->changing && is_over(process->replica, before);
    if (flushed && takes_part(before) && after->view > before->view && !leave->may_leave)
        sim_blame(process->replica, "suspicion",
                  "%s view %lu, of which %u others say that it failed, and %u go further",
                  before->changing ? "gives up" : "leaves", (unsigned long) before->view, leave->others, leave->ahead);
    if (takes_part(before) && takes_part(after) && before->view == after->view && !before->changing && !after->changing)
        check_suspicion(leave, process, flushed, leave->others);
    /* A view that was installed in this step may be left in the next turn for what others said of it before. */
    if (after->view != before->view || after->changing != before->changing)
        note_reasons(leave, config, liars, after, effects);
}
