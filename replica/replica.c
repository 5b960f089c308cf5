/*
 * Making and unmaking a replica, and its status.
 */
#include "replica/replica_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

static enum ord_err make_parts(struct replica *replica) {
    const struct channel_config *config = replica_config(replica);
    const struct replica_options *options = &replica->setup.options;
    replica->batch_buffer = malloc(config->batch_bytes_max);
    if (replica->batch_buffer == NULL)
        return ORD_ERR_NO_MEMORY;
    static enum ord_err (*const inits[])(struct replica * replica) = {
        admission_init, large_init, verified_init, propose_init, execute_init, attest_init, sync_init, agree_init};
    enum ord_err err = pool_init(&replica->pool, options->pool_envelopes_max, options->pool_bytes_max,
                                 options->client_envelopes_max, config->clients_max);
    pace_init(replica);
    for (size_t i = 0; err == ORD_OK && i < sizeof(inits) / sizeof(inits[0]); i++)
        err = inits[i](replica);
    return err;
}

static enum ord_err start(struct replica *replica, char *why, size_t why_size) {
    struct ord_event event;
    struct ord_record *records = NULL;
    enum ord_err err = recover_channel(replica, why, why_size);
    if (err == ORD_OK)
        err = recover_core(replica, &event, &records, why, why_size);
    if (err != ORD_OK)
        return err;
    size_t count = event.start.record_count;
    bool started = agree_step(replica, &event);
    free(records);
    if (!started || replica->turn.fatal)
        return recover_failed(why, why_size, "consensus records do not give a state",
                              replica->turn.fatal ? replica->turn.fatal_err : ORD_ERR_CORRUPT);
    return recover_finish(replica, count, why, why_size);
}

enum ord_err replica_create(struct replica **out, const struct replica_options *options,
                            const struct replica_time *time, char *why, size_t why_size) {
    struct replica *replica = calloc(1, sizeof(*replica));
    snprintf(why, why_size, "out of memory");
    if (replica == NULL)
        return ORD_ERR_NO_MEMORY;
    replica->turn = (struct turn) {.number = 1,
                                   .now_ms = time->now_ms,
                                   .wall_s = time->wall_s,
                                   .started_ms = time->now_ms,
                                   .commit_due_ms = UINT64_MAX,
                                   .room = true};
    enum ord_err err = setup_init(&replica->setup, options);
    if (err != ORD_OK)
        snprintf(why, why_size, "the channel's configuration is not one that %s can run",
                 replica->setup.protocol->name);
    if (err == ORD_OK)
        err = make_parts(replica);
    if (err == ORD_OK)
        err = start(replica, why, why_size);
    if (err != ORD_OK) {
        replica_destroy(replica);
        return err;
    }
    *out = replica;
    return ORD_OK;
}

void replica_destroy(struct replica *replica) {
    if (replica == NULL)
        return;
    accounts_deinit(replica);
    judge_deinit(replica);
    sync_deinit(replica);
    attest_deinit(replica);
    execute_deinit(replica);
    propose_deinit(replica);
    verified_deinit(replica);
    admission_deinit(replica);
    large_deinit(replica);
    pool_deinit(&replica->pool);
    agree_deinit(replica);
    free(replica->batch_buffer);
    free(replica);
}

void replica_check_drop(struct replica *replica, struct replica_check *check) {
    if (check->type == REPLICA_CHECK_SUBMITTED)
        admission_checked(replica, check, true);
    else if (check->type == REPLICA_CHECK_PROPOSED)
        judge_checked(replica, check);
    else
        account_end(replica, check);
    check_destroy(replica, check);
}

/* ---- status ---- */

static struct replica_open open_of(const struct replica *replica) {
    struct replica_open open = {.envelopes = replica->checks.total + replica->newcomers.total};
    for (uint32_t i = 0; i < replica_config(replica)->replica_count; i++) {
        open.messages += replica->accounts[i].checks_open;
        open.cost += replica->accounts[i].cost_open;
        open.costly += replica->accounts[i].costly_open;
    }
    return open;
}

void replica_status(const struct replica *replica, struct replica_status *out) {
    *out = (struct replica_status) {
        .core = agree_status(replica),
        .consensus = replica->setup.protocol->name,
        .epoch = replica->setup.core_config.epoch,
        .leader = replica->agree.leader,
        .certified_height = replica->certified.height,
        .committed_height = replica->certified.committed_height,
        .pool_envelopes = replica->pool.envelopes,
        .pool_bytes = replica->pool.bytes,
        .pace_rate = pace_rate(replica),
        .open = open_of(replica),
        .syncing = replica->sync.active,
        .syncing_between = replica->sync.between,
        .intake_open = replica->turn.room,
    };
    memcpy(out->evidence, replica->accusations.committed, sizeof(out->evidence));
}

struct replica_waiting replica_waiting(const struct replica *replica, ord_node_id from) {
    return account_waiting(&replica->accounts[from]);
}

const struct replica_counters *replica_counters(const struct replica *replica) {
    return &replica->counters;
}

struct channel *replica_channel(const struct replica *replica) {
    return replica->execute.channel;
}

const struct ord_core_config *replica_core_config(const struct replica *replica) {
    return &replica->setup.core_config;
}
