/*
 * The only queue into the loop thread. Everything that happens elsewhere (a frame came, a check is done, a request
 * arrived) becomes a piece of work for the loop. The queue has no bound of its own, because whoever posts is bounded
 * (contexts, checks, bytes per peer).
 */
#ifndef ORDAIN_NODE_INBOX_H
#define ORDAIN_NODE_INBOX_H

#include <pthread.h>

#include "core/err.h"
#include "core/types.h"

enum work_type {
    WORK_FRAME,   /* struct frame (links.h) */
    WORK_CHECK,   /* struct check_job (checks.h) */
    WORK_REQUEST, /* struct api_request (service.h) */
};

/* The first member of everything that is posted. The loop thread owns it once it is posted. */
struct work {
    struct work *next;
    enum work_type type;
};

/* A list in order of arrival. It has no lock of its own. All zeros: empty. */
struct work_queue {
    struct work *head;
    struct work *tail;
};

struct inbox {
    pthread_mutex_t mutex;
    struct work_queue posted; /* guarded by mutex */
    int event_fd;
    bool closed; /* guarded by mutex */
};

static inline void work_queue_push(struct work_queue *queue, struct work *work) {
    work->next = NULL;
    if (queue->head == NULL)
        queue->head = work;
    else
        queue->tail->next = work;
    queue->tail = work;
}

/* `inbox` is all zeros. */
ORD_MUST_USE enum ord_err inbox_init(struct inbox *inbox);
void inbox_deinit(struct inbox *inbox);
/* Any thread. False after inbox_close: the caller keeps the work. */
bool inbox_post(struct inbox *inbox, struct work *work, enum work_type type);
/* Ends a wait in inbox_take. Async-signal-safe. */
void inbox_wake(struct inbox *inbox);
/*
 * Loop thread only. Takes everything posted, in order. If there is nothing, it waits up to `timeout_ms`. NULL: nothing
 * came.
 */
struct work *inbox_take(struct inbox *inbox, uint64_t timeout_ms);
/* Refuses further work, and gives what is left. */
struct work *inbox_close(struct inbox *inbox);

#endif
