/*
 * Checks of signatures in threads. After a failed check, the sender's other checks are skipped for a while: what it
 * sent before the failure was known may fill a queue, and each of those checks then costs no more than a look. An
 * honest replica is never ignored, because everything that it sends over its link verifies.
 */
#include "node/checks.h"

#include <assert.h>

#include "node/node_internal.h"

enum {
    JOBS_MAX = 1 << 16,
    IGNORE_MS = 1000,
};

static_assert(sizeof(struct check_job) <= sizeof(((struct replica_check *) NULL)->host_space),
              "a job has room in its check");
static_assert(offsetof(struct replica_check, host_space) == 0, "a job is where its check begins");

static struct peer *sender(struct node *node, const struct replica_check *check) {
    return check->from == ORD_NO_NODE ? NULL : &node->links.peers[check->from];
}

static void run(void *argument) {
    struct replica_check *check = argument;
    struct check_job *job = argument;
    struct node *node = job->node;
    struct peer *peer = sender(node, check);
    if (!atomic_load(&node->unmaking)) {
        if (peer != NULL && node_clock_ms() < count_get(&peer->bad_until_ms))
            check->ignored = true;
        else
            replica_check_run(check);
        if (peer != NULL && check->bad)
            atomic_store(&peer->bad_until_ms, node_clock_ms() + IGNORE_MS);
    }
    /* This cannot fail: the inbox closes after the pools. */
    (void) inbox_post(&node->inbox, &job->work, WORK_CHECK);
}

void checks_begin(void *context, struct replica_check *check) {
    struct node *node = context;
    struct check_job *job = (struct check_job *) (void *) check;
    struct peer *peer = sender(node, check);
    struct crypto_pool *pool = node->checks.pools[check->queue];
    job->node = node;
    if (peer != NULL)
        atomic_fetch_add(&peer->inbound_bytes[LINK_LANE_VOTES], sizeof(*check));
    /*
     * If the queue is full, this thread runs the check, which also slows intake. Without a pool the process is being
     * unmade.
     */
    if (pool == NULL || crypto_pool_submit(pool, run, check) != ORD_OK)
        run(check);
}

struct replica_check *checks_end(struct node *node, struct work *work) {
    struct replica_check *check = (struct replica_check *) (void *) work;
    struct peer *peer = sender(node, check);
    if (peer != NULL)
        atomic_fetch_sub(&peer->inbound_bytes[LINK_LANE_VOTES], sizeof(*check));
    return check;
}

enum ord_err checks_open(struct node *node) {
    const uint32_t threads[REPLICA_QUEUE_COUNT] = {
        [REPLICA_QUEUE_VOTES] = 1,
        [REPLICA_QUEUE_VIEWS] = 1,
        [REPLICA_QUEUE_PROPOSALS] = node->config.verify_threads,
        [REPLICA_QUEUE_CLIENTS] = node->config.verify_threads,
        [REPLICA_QUEUE_NEWCOMERS] = 1,
    };
    enum ord_err err = ORD_OK;
    for (uint32_t i = 0; err == ORD_OK && i < REPLICA_QUEUE_COUNT; i++)
        err = crypto_pool_create(&node->checks.pools[i], threads[i], JOBS_MAX);
    return err;
}

void checks_close(struct node *node) {
    for (uint32_t i = 0; i < REPLICA_QUEUE_COUNT; i++) {
        crypto_pool_destroy(node->checks.pools[i]);
        node->checks.pools[i] = NULL;
    }
}
