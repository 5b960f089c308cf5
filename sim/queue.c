/*
 * A binary heap.
 */
#include "sim/queue.h"

#include <stdlib.h>

static bool before(const struct sim_event *a, const struct sim_event *b) {
    return a->time_us != b->time_us ? a->time_us < b->time_us : a->order < b->order;
}

void sim_queue_add(struct sim_queue *queue, const struct sim_event *event) {
    queue->items = sim_grow(queue->items, &queue->capacity, queue->count, sizeof(*queue->items));
    struct sim_event added = *event;
    added.order = queue->next_order++;
    size_t at = queue->count++;
    while (at > 0 && before(&added, &queue->items[(at - 1) / 2])) {
        queue->items[at] = queue->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->items[at] = added;
}

bool sim_queue_take(struct sim_queue *queue, struct sim_event *out) {
    if (queue->count == 0)
        return false;
    *out = queue->items[0];
    struct sim_event last = queue->items[--queue->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= queue->count)
            break;
        if (child + 1 < queue->count && before(&queue->items[child + 1], &queue->items[child]))
            child++;
        if (!before(&queue->items[child], &last))
            break;
        queue->items[at] = queue->items[child];
        at = child;
    }
    if (queue->count > 0)
        queue->items[at] = last;
    return true;
}

void sim_queue_deinit(struct sim_queue *queue) {
    for (size_t i = 0; i < queue->count; i++)
        sim_buffer_release(queue->items[i].buffer);
    free(queue->items);
    *queue = (struct sim_queue) {0};
}
