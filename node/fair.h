/*
 * A queue that is fair between sources: each source has a line of its own, and the lines take turns, one item each. So
 * what one source has queued costs every other at most the item that is being worked on, and one more. Not locked.
 */
#ifndef ORDAIN_NODE_FAIR_H
#define ORDAIN_NODE_FAIR_H

#include <stdint.h>

struct fair_item {
    uint64_t source;
    struct fair_item *next; /* in the source's line */
    /* For the first of a line only: the last of it, and the first of the line whose turn is next. */
    struct fair_item *last;
    struct fair_item *next_line;
};

/* All zeros: empty. The items are their owner's. */
struct fair_queue {
    struct fair_item *head; /* the first of the line whose turn it is */
    struct fair_item *tail;
};

/* Adds `item` to the line of its source. Costs as much as there are lines. */
void fair_push(struct fair_queue *queue, struct fair_item *item);
/* Takes the first of the next line, which then goes to the end of the round. NULL: empty. */
struct fair_item *fair_pop(struct fair_queue *queue);

#endif
