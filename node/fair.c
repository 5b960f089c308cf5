/*
 * Lines in a round. The items carry the links, so a queue never allocates.
 */
#include "node/fair.h"

#include <stddef.h>

static void append_line(struct fair_queue *queue, struct fair_item *first) {
    first->next_line = NULL;
    if (queue->head == NULL)
        queue->head = first;
    else
        queue->tail->next_line = first;
    queue->tail = first;
}

void fair_push(struct fair_queue *queue, struct fair_item *item) {
    item->next = NULL;
    for (struct fair_item *first = queue->head; first != NULL; first = first->next_line) {
        if (first->source != item->source)
            continue;
        first->last->next = item;
        first->last = item;
        return;
    }
    item->last = item;
    append_line(queue, item);
}

struct fair_item *fair_pop(struct fair_queue *queue) {
    struct fair_item *first = queue->head;
    if (first == NULL)
        return NULL;
    queue->head = first->next_line;
    if (queue->head == NULL)
        queue->tail = NULL;
    struct fair_item *rest = first->next;
    if (rest != NULL) {
        rest->last = first->last;
        append_line(queue, rest);
    }
    first->next = NULL;
    return first;
}
