/*
 * The verify pool: threads that run short pure jobs, chiefly signature checks. Bounded queue; FIFO start order.
 */
#ifndef ORDAIN_CRYPTO_POOL_H
#define ORDAIN_CRYPTO_POOL_H

#include "core/err.h"
#include "core/types.h"

struct crypto_pool;

/* Runs in a pool thread; owns `argument` from submit on. Must not block. */
typedef void (*crypto_job)(void *argument);

/* thread_count 1..64, queue_max jobs waiting at most. */
ORD_MUST_USE enum ord_err crypto_pool_create(struct crypto_pool **out, uint32_t thread_count, uint32_t queue_max);
/* Runs what is queued, then stops the threads. NULL is fine. */
void crypto_pool_destroy(struct crypto_pool *pool);
/* NO_SPACE: the queue is full and nothing happened. Never blocks. Thread-safe. */
ORD_MUST_USE enum ord_err crypto_pool_submit(struct crypto_pool *pool, crypto_job job, void *argument);

#endif
