/*
 * The one queue into the loop thread. Everything that happens elsewhere (a frame came, a check is done, a request arrived) is a
 * piece of work whose handler runs in the loop. The queue itself is unbounded: whoever posts is bounded (contexts, jobs, bytes
 * per peer).
 */
#ifndef ORDAIN_NODE_INBOX_H
#define ORDAIN_NODE_INBOX_H

#include <pthread.h>

#include "core/err.h"
#include "core/types.h"

struct replica;
struct work;

/* Runs in the loop thread; owns `work` from then on. */
typedef void (*work_handler)(struct replica *replica, struct work *work);

/* First member of whatever is posted. */
struct work {
    struct work *next;
    work_handler handle;
};

struct inbox {
    pthread_mutex_t mutex;
    struct work *head;
    struct work *tail;
    int event_fd;
    bool closed;
};

ORD_MUST_USE enum ord_err inbox_init(struct inbox *inbox);
void inbox_deinit(struct inbox *inbox);
/* Any thread. False after inbox_close: the work is still the caller's. */
bool inbox_post(struct inbox *inbox, struct work *work, work_handler handle);
/* Async-signal-safe: ends a wait. */
void inbox_wake(struct inbox *inbox);
/* Loop thread: takes all that is there, in order; waits up to `timeout_ms` when there is nothing. NULL: nothing came. */
struct work *inbox_take(struct inbox *inbox, uint64_t timeout_ms);
/* Takes no more, and gives what is left. */
struct work *inbox_close(struct inbox *inbox);

#endif
