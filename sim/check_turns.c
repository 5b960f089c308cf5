/*
 * Checks which view follows on schedule: the one that the reference gives (sim/model_turns.c), which shares no code
 * with channel/progress.c and bft/view/rotate.c.
 */
#include "bft/wire/view_message.h"
#include "sim/check.h"
#include "sim/process.h"

void sim_turns_installed(struct sim_replica *replica, const struct bft_new_view *view) {
    replica->new_view = view->view;
    replica->new_view_seq = view->base_seq + view->count;
}

bool sim_turns_begin(const struct sim_replica *replica, uint64_t view, uint64_t *seq) {
    *seq = view == 0 ? 0 : replica->new_view_seq;
    return view == 0 || view == replica->new_view;
}

/* The view that follows if view `from` ends with this seq. */
static uint64_t due_after(const struct sim_replica *replica, uint64_t from, uint64_t seq) {
    const struct sim_model *model = &replica->world->checker->model;
    uint64_t due = from + 1;
    while ((model->seqs[seq - 1].passes & ord_replica_bit(bft_primary(&replica->process->core_config, due))) != 0)
        due++;
    return due;
}

void sim_turns_rotated(struct sim_replica *replica, uint64_t from, uint64_t to, uint64_t applied_seq) {
    const struct sim_world *world = replica->world;
    uint64_t begin_seq;
    bool known = sim_turns_begin(replica, from, &begin_seq);
    if (applied_seq == 0 || applied_seq > world->checker->model.seq_count)
        return;
    uint64_t end_seq = begin_seq + world->config->decisions_per_leader;
    /* A transfer may bring a replica beyond that seq, also when it is about to go on from there. */
    bool beyond = !known || applied_seq != end_seq;
    uint64_t due = due_after(replica, from, known && applied_seq > end_seq ? end_seq : applied_seq);
    bool right = to == due || (beyond && to == from + 1);
    if (right)
        replica->rotated_to = to;
    else
        sim_blame(replica, "rotation", "goes from view %lu to %lu at seq %lu, and view %lu is due",
                  (unsigned long) from, (unsigned long) to, (unsigned long) applied_seq, (unsigned long) due);
}
