/*
 * The verify pool: threads that run short pure jobs, chiefly signature checks. The queue is bounded, and jobs start in
 * the order in which they were submitted.
 */
#ifndef ORDAIN_CRYPTO_POOL_H
#define ORDAIN_CRYPTO_POOL_H

#include "core/err.h"
#include "core/types.h"

struct crypto_pool;

/* Runs in a pool thread and must not block. The job owns `argument` once crypto_pool_submit has returned ORD_OK. */
typedef void (*crypto_job)(void *argument);

/*
 * `thread_count` is 1 to 64. At most `queue_max` jobs, at least 1, wait in the queue. INVALID, NO_MEMORY; IO: the
 * signal mask could not be set.
 */
ORD_MUST_USE enum ord_err crypto_pool_create(struct crypto_pool **out, uint32_t thread_count, uint32_t queue_max);
/* Runs all queued jobs, then stops the threads. Blocks until both are done. `pool` may be NULL. */
void crypto_pool_destroy(struct crypto_pool *pool);
/*
 * Queues a job. NO_SPACE: the queue is full, and the caller still owns `argument`. Never waits for a job. Thread-safe.
 */
ORD_MUST_USE enum ord_err crypto_pool_submit(struct crypto_pool *pool, crypto_job job, void *argument);

#endif
