/*
 * The verify pool: a fixed number of threads on one bounded ring of jobs. A job takes tens of microseconds (a signature
 * check), so one mutex is enough: at a full load of two cores it is held for less than a hundredth of the time.
 */
#include "crypto/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define THREADS_MAX 64

struct pool_job {
    crypto_job run;
    void *argument;
};

struct crypto_pool {
    /* Guards all the following fields, except thread_count and threads. */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stopping;
    uint32_t idle_count; /* threads that wait for `wake` */
    uint32_t capacity;
    uint32_t head;  /* index of the oldest job; < capacity */
    uint32_t count; /* jobs in the ring; <= capacity */
    struct pool_job *ring;
    uint32_t thread_count; /* threads that were started */
    pthread_t threads[THREADS_MAX];
};

static void *work(void *argument) {
    struct crypto_pool *pool = argument;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (pool->count == 0 && !pool->stopping) {
            pool->idle_count++;
            pthread_cond_wait(&pool->wake, &pool->mutex);
            pool->idle_count--;
        }
        if (pool->count == 0)
            break; /* stopping, and the queue is empty */
        struct pool_job job = pool->ring[pool->head];
        pool->head = pool->head + 1 == pool->capacity ? 0 : pool->head + 1;
        pool->count--;
        pthread_mutex_unlock(&pool->mutex);
        job.run(job.argument);
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* The pool's threads block every signal, because another thread of the process waits for signals. */
static enum ord_err start_threads(struct crypto_pool *pool, uint32_t thread_count) {
    enum ord_err err = ORD_OK;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return ORD_ERR_IO;
    while (err == ORD_OK && pool->thread_count < thread_count) {
        if (pthread_create(&pool->threads[pool->thread_count], NULL, work, pool) == 0)
            pool->thread_count++;
        else
            err = ORD_ERR_NO_MEMORY;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

enum ord_err crypto_pool_create(struct crypto_pool **out, uint32_t thread_count, uint32_t queue_max) {
    *out = NULL;
    if (thread_count < 1 || thread_count > THREADS_MAX || queue_max < 1)
        return ORD_ERR_INVALID;
    struct crypto_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return ORD_ERR_NO_MEMORY;
    pool->capacity = queue_max;
    pool->ring = calloc(queue_max, sizeof(*pool->ring));
    /* Neither call fails with default attributes. */
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    enum ord_err err = pool->ring == NULL ? ORD_ERR_NO_MEMORY : start_threads(pool, thread_count);
    if (err != ORD_OK) {
        crypto_pool_destroy(pool);
        return err;
    }
    *out = pool;
    return ORD_OK;
}

void crypto_pool_destroy(struct crypto_pool *pool) {
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->ring);
    free(pool);
}

enum ord_err crypto_pool_submit(struct crypto_pool *pool, crypto_job job, void *argument) {
    enum ord_err err = ORD_OK;
    pthread_mutex_lock(&pool->mutex);
    if (pool->count == pool->capacity) {
        err = ORD_ERR_NO_SPACE;
    } else {
        uint64_t tail = ((uint64_t) pool->head + pool->count) % pool->capacity;
        pool->ring[tail] = (struct pool_job) {job, argument};
        pool->count++;
        if (pool->idle_count > 0)
            pthread_cond_signal(&pool->wake);
    }
    pthread_mutex_unlock(&pool->mutex);
    return err;
}
