/*
 * The verify pool: every job runs once, the queue's bound holds, and destroy runs the queued jobs.
 */
#include "tests/support/test_main.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "crypto/pool.h"

#define DEADLINE_S 60

/* Jobs wait at this door, so that a test decides when the pool's threads go on. */
struct door {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
    unsigned waiting;
    unsigned passed;
};

#define DOOR_INIT                                                                                                      \
    { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0 }

static void wait_at_door(void *argument) {
    struct door *door = argument;
    pthread_mutex_lock(&door->mutex);
    door->waiting++;
    pthread_cond_broadcast(&door->changed);
    while (!door->open)
        pthread_cond_wait(&door->changed, &door->mutex);
    door->waiting--;
    door->passed++;
    pthread_cond_broadcast(&door->changed);
    pthread_mutex_unlock(&door->mutex);
}

static void open_door(struct door *door) {
    pthread_mutex_lock(&door->mutex);
    door->open = true;
    pthread_cond_broadcast(&door->changed);
    pthread_mutex_unlock(&door->mutex);
}

/* Waits until `count` jobs stand at the door. False when that takes longer than the deadline. */
static bool await_waiting(struct door *door, unsigned count) {
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_S;
    int rc = 0;
    pthread_mutex_lock(&door->mutex);
    while (door->waiting != count && rc == 0)
        rc = pthread_cond_timedwait(&door->changed, &door->mutex, &deadline);
    bool reached = door->waiting == count;
    pthread_mutex_unlock(&door->mutex);
    return reached;
}

static void count_up(void *argument) {
    atomic_fetch_add((atomic_uint *) argument, 1);
}

/* Submits a job, and tries again while the queue is full. Returns NO_SPACE only after the deadline. */
static enum ord_err submit_when_there_is_room(struct crypto_pool *pool, crypto_job job, void *argument) {
    time_t deadline_s = time(NULL) + DEADLINE_S;
    enum ord_err err = ORD_ERR_NO_SPACE;
    while (err == ORD_ERR_NO_SPACE && time(NULL) <= deadline_s) {
        err = crypto_pool_submit(pool, job, argument);
        if (err != ORD_OK)
            sched_yield();
    }
    return err;
}

static void create__checks_its_arguments(void **state) {
    (void) state;
    struct crypto_pool *pool = NULL;
    assert_err(crypto_pool_create(&pool, 0, 1), ORD_ERR_INVALID);
    assert_err(crypto_pool_create(&pool, 65, 1), ORD_ERR_INVALID);
    assert_err(crypto_pool_create(&pool, 1, 0), ORD_ERR_INVALID);
    assert_null(pool);
    crypto_pool_destroy(NULL);
}

static void destroy__runs_what_is_queued(void **state) {
    (void) state;
    for (uint32_t threads = 1; threads <= 4; threads++) {
        struct crypto_pool *pool = NULL;
        atomic_uint count = 0;
        assert_ok(crypto_pool_create(&pool, threads, 500));
        for (int i = 0; i < 500; i++)
            assert_ok(crypto_pool_submit(pool, count_up, &count));
        crypto_pool_destroy(pool);
        assert_int_equal(atomic_load(&count), 500);
    }
}

static void submit__refuses_at_the_bound_and_takes_again_after(void **state) {
    (void) state;
    struct door door = DOOR_INIT;
    struct crypto_pool *pool = NULL;
    atomic_uint count = 0;
    assert_ok(crypto_pool_create(&pool, 2, 3));
    assert_ok(crypto_pool_submit(pool, wait_at_door, &door));
    assert_ok(crypto_pool_submit(pool, wait_at_door, &door));
    /* Both threads are held at the door, so the queue only fills. */
    assert_true(await_waiting(&door, 2));
    for (int i = 0; i < 3; i++)
        assert_ok(crypto_pool_submit(pool, count_up, &count));
    for (int i = 0; i < 3; i++)
        assert_err(crypto_pool_submit(pool, count_up, &count), ORD_ERR_NO_SPACE);
    open_door(&door);
    assert_ok(submit_when_there_is_room(pool, count_up, &count));
    crypto_pool_destroy(pool);
    assert_int_equal(atomic_load(&count), 4);
    assert_int_equal(door.passed, 2);
}

static void threads__run_at_the_same_time(void **state) {
    (void) state;
    struct door door = DOOR_INIT;
    struct crypto_pool *pool = NULL;
    assert_ok(crypto_pool_create(&pool, 4, 4));
    for (int i = 0; i < 4; i++) {
        assert_ok(crypto_pool_submit(pool, wait_at_door, &door));
        assert_true(await_waiting(&door, (unsigned) i + 1));
    }
    open_door(&door);
    crypto_pool_destroy(pool);
    assert_int_equal(door.passed, 4);
}

struct order_log {
    unsigned count;
    unsigned values[200];
};

struct order_job {
    struct order_log *log;
    unsigned value;
};

static void note(void *argument) {
    struct order_job *job = argument;
    job->log->values[job->log->count++] = job->value; /* no lock: one thread runs all jobs */
}

static void jobs__start_in_the_order_of_submission(void **state) {
    (void) state;
    static struct order_log log;
    static struct order_job jobs[200];
    struct crypto_pool *pool = NULL;
    log.count = 0;
    /* 7 does not divide 200: the ring wraps at every offset. */
    assert_ok(crypto_pool_create(&pool, 1, 7));
    for (unsigned i = 0; i < 200; i++) {
        jobs[i] = (struct order_job) {&log, i};
        assert_ok(submit_when_there_is_room(pool, note, &jobs[i]));
    }
    crypto_pool_destroy(pool);
    assert_int_equal(log.count, 200);
    for (unsigned i = 0; i < 200; i++)
        assert_int_equal(log.values[i], i);
}

struct submitter {
    struct crypto_pool *pool;
    atomic_uint *count;
    unsigned taken;
};

static void *submit_many(void *argument) {
    struct submitter *submitter = argument;
    for (int i = 0; i < 3000; i++)
        if (crypto_pool_submit(submitter->pool, count_up, submitter->count) == ORD_OK)
            submitter->taken++;
    return NULL;
}

static void submit__from_many_threads_loses_nothing(void **state) {
    (void) state;
    struct crypto_pool *pool = NULL;
    atomic_uint count = 0;
    pthread_t threads[4];
    struct submitter submitters[4];
    assert_ok(crypto_pool_create(&pool, 3, 16));
    for (int i = 0; i < 4; i++) {
        submitters[i] = (struct submitter) {pool, &count, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &submitters[i]), 0);
    }
    unsigned taken = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        taken += submitters[i].taken;
    }
    crypto_pool_destroy(pool);
    assert_int_equal(atomic_load(&count), taken);
    assert_in_range(taken, 16, 12000);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(create__checks_its_arguments),
    cmocka_unit_test(destroy__runs_what_is_queued),
    cmocka_unit_test(submit__refuses_at_the_bound_and_takes_again_after),
    cmocka_unit_test(threads__run_at_the_same_time),
    cmocka_unit_test(jobs__start_in_the_order_of_submission),
    cmocka_unit_test(submit__from_many_threads_loses_nothing),
};
TEST_CASES(cases);
