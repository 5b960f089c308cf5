/*
 * The life of a process, and the seam. A turn takes all that is there, steps the core, proposes, flushes; its writes become
 * durable together some time later, and only then its messages leave. Meanwhile what comes gathers.
 */
#include "sim/process.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/check.h"
#include "sim/liar.h"
#include "sim/marks.h"

enum { COMMIT_LAZY_MS = 100, SLOW_DISK_FACTOR = 50 };

void sim_process_fail(struct sim_process *process, enum ord_err err, const char *what) {
    struct sim_replica *replica = process->replica;
    process->ended = true;
    sim_say(process->world, replica->instance, "stops: %s: %s", what, ord_err_text(err));
    if (!replica->liar)
        sim_fail(process->world, "replica %u stops: %s: %s", replica->instance, what, ord_err_text(err));
}

void sim_process_send(struct sim_process *process, ord_replica_set to, enum sim_link kind, const struct ord_span *parts,
                      size_t part_count) {
    to &= ~ord_replica_bit(process->replica->id) & (ord_replica_bit(process->world->replica_count) - 1);
    if (to == 0)
        return;
    process->outbox =
        sim_grow(process->outbox, &process->outbox_capacity, process->outbox_count, sizeof(*process->outbox));
    process->outbox[process->outbox_count++] =
        (struct sim_send) {.to = to, .kind = kind, .buffer = sim_buffer_join(parts, part_count)};
}

void sim_process_write(struct sim_process *process, enum sim_write_kind kind, uint64_t key, struct ord_span bytes) {
    sim_write(&process->writes, kind, 0, key, bytes);
}

/* ---- effects ---- */

enum ord_err sim_process_block(void *context, const struct channel_block *block) {
    struct sim_process *process = context;
    uint8_t header[CHANNEL_HEADER_SIZE];
    channel_header_encode(header, &block->header);
    const struct ord_span parts[] = {ord_span_of(header, sizeof(header)), block->data};
    struct sim_buffer *buffer = sim_buffer_join(parts, 2);
    sim_process_write(process, SIM_WRITE_BLOCK, block->header.height, sim_buffer_span(buffer));
    sim_buffer_release(buffer);
    sim_index_block(process, block->header.height, block->data);
    sim_check_block(process->replica, block);
    return ORD_OK;
}

static void deliver(struct sim_process *process, uint64_t seq, struct ord_span batch) {
    const struct channel_sink sink = {.context = process, .block = sim_process_block};
    struct channel_applied applied;
    sim_check_delivered(process->replica, seq, batch);
    enum ord_err err = channel_apply(process->channel, &applied, seq, batch, &sink);
    if (err != ORD_OK) {
        sim_process_fail(process, err, "executing a batch");
        return;
    }
    sim_check_executed(process->replica, process->channel, seq, &applied);
    sim_say(process->world, process->replica->instance, "delivers seq %lu: %u accepted, %u blocks", (unsigned long) seq,
            applied.accepted, applied.blocks);
    process->executed += applied.accepted;
    if (applied.accepted > 0 || applied.blocks > 0)
        process->useful_seq = seq;
    process->state_changed = true;
    process->urgent = true;
    if (applied.attest)
        sim_attest_at(process, seq);
    sim_request_sweep(process);
    struct channel_open_block open;
    channel_open(process->channel, &open);
    if (open.envelope_count > 0 && open.height != process->open_height) {
        process->open_height = open.height;
        process->open_since_ms = process->now_ms;
    }
}

static void carry_out(struct sim_process *process, const struct ord_effect *effect) {
    switch (effect->type) {
    case ORD_EFFECT_PERSIST:
        process->urgent = true;
        sim_write(&process->writes, SIM_WRITE_RECORD, effect->persist.table, effect->persist.key,
                  effect->persist.bytes);
        sim_check_persisted(process->replica, effect->persist.table, effect->persist.key, effect->persist.bytes);
        break;
    case ORD_EFFECT_FORGET:
        sim_write(&process->writes, SIM_WRITE_FORGET, effect->forget.table, effect->forget.key, ord_span_of(NULL, 0));
        break;
    case ORD_EFFECT_FORGET_AFTER:
        process->urgent = true;
        sim_write(&process->writes, SIM_WRITE_FORGET_AFTER, effect->forget_after.table, effect->forget_after.key,
                  ord_span_of(NULL, 0));
        break;
    case ORD_EFFECT_SEND:
        sim_check_silence(process->replica, effect->send.bytes);
        sim_process_send(process, effect->send.to, SIM_LINK_CORE,
                         (const struct ord_span[]) {effect->send.bytes, effect->send.body}, 2);
        break;
    case ORD_EFFECT_JUDGE:
        sim_judge_begin(process, effect->judge.view, effect->judge.seq, &effect->judge.digest, effect->judge.batch);
        break;
    case ORD_EFFECT_DELIVER:
        deliver(process, effect->deliver.seq, effect->deliver.batch);
        break;
    case ORD_EFFECT_WAKE_AT:
        process->wake_at_ms = effect->wake.at_ms;
        break;
    case ORD_EFFECT_SYNC:
        sim_sync_wanted(process, effect->sync.seq, effect->sync.certificate);
        break;
    case ORD_EFFECT_LEADER:
        process->leader = effect->leader.leader;
        process->leader_since_ms = process->now_ms;
        process->view = effect->leader.view;
        sim_say(process->world, process->replica->instance, "view %lu, leader %u", (unsigned long) process->view,
                process->leader);
        sim_judge_drop(process, UINT64_MAX);
        sim_request_again(process);
        break;
    case ORD_EFFECT_REJECT:
        process->rejected = effect->reject.err;
        break;
    case ORD_EFFECT_EVIDENCE:
        sim_check_evidence(process->replica, &process->core_config, effect->evidence.culprit, effect->evidence.first,
                           effect->evidence.second);
        break;
    }
}

static enum ord_err step(struct sim_process *process, const struct ord_event *event) {
    struct ord_effects effects = {0};
    uint64_t before = channel_applied_seq(process->channel);
    struct ord_event numbered = *event;
    numbered.turn = process->turn;
    enum ord_err err = process->protocol->step(process->core, &effects, &numbered);
    if (err != ORD_OK)
        return err;
    for (size_t i = 0; i < effects.count && !process->ended; i++)
        carry_out(process, &effects.items[i]);
    uint64_t after = channel_applied_seq(process->channel);
    if (!process->ended)
        sim_check_status(process->replica, process, event->type);
    if (after == before || event->type == ORD_EVENT_SYNCED || event->type == ORD_EVENT_START || process->ended)
        return ORD_OK;
    struct ord_event applied = {.type = ORD_EVENT_APPLIED,
                                .now_ms = process->now_ms,
                                .applied = {.seq = after,
                                            .envelopes = process->executed,
                                            .waits = process->pool_waits,
                                            .wait_sum_ms = process->pool_wait_sum_ms,
                                            .useful_seq = process->useful_seq}};
    process->executed = 0;
    process->pool_waits = 0;
    process->pool_wait_sum_ms = 0;
    return step(process, &applied);
}

void sim_process_step(struct sim_process *process, const struct ord_event *event) {
    if (process->ended)
        return;
    enum ord_err err = step(process, event);
    if (err != ORD_OK && event->type != ORD_EVENT_MESSAGE)
        sim_process_fail(process, err, "the core refuses an event of the node's own");
}

struct ord_status sim_process_status(const struct sim_process *process) {
    struct ord_status status;
    process->protocol->status(process->core, &status);
    return status;
}

void sim_process_attested(struct sim_process *process, const struct channel_certificate *certificate) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    const struct ord_span encoded = ord_span_of(bytes, channel_certificate_encode(bytes, certificate));
    struct ord_event event = {.type = ORD_EVENT_ATTESTED,
                              .now_ms = process->now_ms,
                              .attested = {.seq = certificate->statement.seq, .certificate = encoded}};
    sim_process_step(process, &event);
}

void sim_process_synced(struct sim_process *process, const struct channel_certificate *certificate) {
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    const struct ord_span encoded = ord_span_of(bytes, channel_certificate_encode(bytes, certificate));
    struct ord_event event = {.type = ORD_EVENT_SYNCED,
                              .now_ms = process->now_ms,
                              .synced = {.seq = certificate->statement.seq, .certificate = encoded}};
    sim_process_step(process, &event);
}

static void tell_work(struct sim_process *process) {
    uint64_t since_ms = sim_request_since_ms(process);
    if (since_ms == process->work_since_ms)
        return;
    process->work_since_ms = since_ms;
    struct ord_event event = {.type = ORD_EVENT_WORK, .now_ms = process->now_ms, .work = {.since_ms = since_ms}};
    sim_process_step(process, &event);
}

enum ord_err sim_process_core_start(struct sim_process *process) {
    size_t count;
    struct ord_record *records = sim_disk_records(&process->replica->disk, &count);
    struct ord_event event = {
        .type = ORD_EVENT_START,
        .now_ms = process->now_ms,
        .start = {.records = records, .record_count = count, .applied_seq = channel_applied_seq(process->channel)}};
    enum ord_err err = step(process, &event);
    free(records);
    return err;
}

/* ---- turns ---- */

static void plan_wake(struct sim_process *process) {
    uint64_t at_ms = process->wake_at_ms;
    const uint64_t dues[] = {sim_request_due_ms(process), sim_attest_due_ms(process), sim_sync_due_ms(process),
                             process->lazy_due_ms};
    for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++)
        if (dues[i] < at_ms)
            at_ms = dues[i];
    if (at_ms == UINT64_MAX)
        return;
    const struct sim_clock *clock = &process->replica->clock;
    uint64_t local_us = sim_clock_us(process->world, clock);
    uint64_t delay_us = at_ms * 1000 <= local_us ? 0 : (at_ms * 1000 - local_us) * 1000000 / clock->rate_ppm + 1;
    if (delay_us < 1000)
        delay_us = 1000; /* what is due and yet not done must not stop the world's time */
    uint64_t at_us = process->world->now_us + delay_us;
    if (at_us >= process->wake_us)
        return;
    process->wake_us = at_us;
    const struct sim_event event = {.kind = SIM_WAKE,
                                    .target = process->replica->instance,
                                    .incarnation = process->replica->incarnation,
                                    .a = at_us};
    sim_plan_event(process->world, delay_us, &event);
}

static void send_all(struct sim_process *process) {
    struct sim_world *world = process->world;
    struct sim_replica *replica = process->replica;
    for (size_t i = 0; i < process->outbox_count; i++) {
        struct sim_send *send = &process->outbox[i];
        uint64_t delay_us;
        if (send->to == 0) {
            if (sim_liar_answers(replica) && sim_network_client_delay(world, &delay_us)) {
                const struct sim_event event = {.kind = SIM_REPLY,
                                                .target = send->client,
                                                .source = replica->instance,
                                                .a = send->sequence,
                                                .b = send->answer,
                                                .buffer = sim_buffer_hold(send->buffer)};
                sim_plan_event(world, delay_us, &event);
            }
        } else {
            sim_check_said(replica, send->kind, sim_buffer_span(send->buffer));
            if (send->kind == SIM_LINK_CORE)
                sim_check_asking(replica, send->to, sim_buffer_span(send->buffer));
            for (ord_node_id to = 0; to < world->replica_count; to++)
                if ((send->to & ord_replica_bit(to)) != 0)
                    sim_liar_send(replica, to, send->kind, send->buffer);
        }
        sim_buffer_release(send->buffer);
    }
    process->outbox_count = 0;
}

static void handle(struct sim_process *process, const struct sim_event *event) {
    struct ord_span bytes = sim_buffer_span(event->buffer);
    if (event->kind == SIM_JUDGED) {
        sim_judge_checked(process, event->a);
        return;
    }
    if (event->kind == SIM_SUBMIT) {
        sim_request_submitted(process, event->source, event->a, event->buffer);
        return;
    }
    switch ((enum sim_link) event->a) {
    case SIM_LINK_CORE: {
        struct ord_verified verified;
        if (!sim_process_core_runs(process) ||
            process->protocol->authenticate(&verified, &process->core_config, event->source, bytes) != ORD_OK)
            return;
        struct ord_event message = {.type = ORD_EVENT_MESSAGE, .now_ms = process->now_ms, .message = &verified};
        sim_process_step(process, &message);
        sim_check_taken(process->replica, event->source, bytes);
        break;
    }
    case SIM_LINK_ATTESTATION:
        sim_attest_received(process, event->source, bytes);
        break;
    case SIM_LINK_CERTIFICATE:
        sim_attest_certificate_received(process, bytes);
        break;
    case SIM_LINK_FORWARD:
        sim_request_forwarded(process, bytes);
        break;
    case SIM_LINK_SYNC_REQUEST:
        sim_sync_request_received(process, event->source, bytes);
        break;
    case SIM_LINK_SYNC_BLOCKS:
        sim_sync_blocks_received(process, event->source, bytes);
        break;
    case SIM_LINK_SYNC_TAIL:
        sim_sync_tail_received(process, event->source, bytes);
        break;
    }
}

static bool commit_wanted(struct sim_process *process) {
    if (process->writes.count == 0)
        return false;
    if (process->urgent)
        return true;
    if (process->lazy_due_ms == UINT64_MAX)
        process->lazy_due_ms = process->now_ms + COMMIT_LAZY_MS;
    return process->now_ms >= process->lazy_due_ms;
}

static void finish(struct sim_process *process) {
    sim_check_wake(process->replica, process->alone);
    sim_request_answer(process);
    send_all(process);
    plan_wake(process);
}

static void turn(struct sim_process *process) {
    struct sim_world *world = process->world;
    struct sim_replica *replica = process->replica;
    process->now_ms = sim_clock_ms(replica);
    process->alone = process->inbox_count == 0;
    for (size_t i = 0; i < process->inbox_count; i++) {
        if (!process->ended)
            handle(process, &process->inbox[i]);
        sim_buffer_release(process->inbox[i].buffer);
    }
    process->inbox_count = 0;
    memset(process->inbox_frames, 0, sizeof(process->inbox_frames));
    sim_judge_drain(process);
    sim_attest_settle(process);
    if (process->now_ms >= process->wake_at_ms) {
        process->wake_at_ms = UINT64_MAX;
        struct ord_event tick = {.type = ORD_EVENT_TICK, .now_ms = process->now_ms};
        sim_process_step(process, &tick);
    }
    sim_attest_tick(process);
    sim_sync_tick(process);
    sim_request_forward(process);
    sim_request_propose(process);
    sim_judge_drain(process);
    tell_work(process);
    struct ord_event flush = {.type = ORD_EVENT_FLUSH, .now_ms = process->now_ms};
    sim_process_step(process, &flush);
    process->turn++;
    sim_judge_drain(process);
    if (process->ended)
        return;
    if (process->state_changed)
        sim_state_write(process);
    if (!commit_wanted(process)) {
        sim_attest_sign(process); /* what is pending without a commit is durable already: found at the start */
        if (!process->ended)
            finish(process);
        return;
    }
    process->busy = true;
    uint64_t mean_us = world->plan.commit_us * (world->now_us < replica->slow_disk_until_us ? SLOW_DISK_FACTOR : 1);
    const struct sim_event event = {
        .kind = SIM_COMMIT, .target = replica->instance, .incarnation = replica->incarnation};
    sim_plan_event(world, world->plan.commit_us / 4 + sim_spread(&replica->random, mean_us), &event);
}

static void committed(struct sim_process *process) {
    struct sim_world *world = process->world;
    struct sim_replica *replica = process->replica;
    bool faults = !world->healed;
    if (faults && sim_chance(&replica->random, world->plan.io_error_ppm)) {
        sim_say(world, replica->instance, "commit fails");
        sim_crash(replica, sim_spread(&replica->random, world->plan.fault_long_us));
        return;
    }
    bool dies = faults && sim_chance(&replica->random, world->plan.crash_in_commit_ppm);
    if (dies && sim_chance(&replica->random, 500000)) {
        ORD_MARK(CRASHED_BEFORE_COMMIT);
        sim_crash(replica, sim_spread(&replica->random, world->plan.fault_long_us));
        return;
    }
    sim_disk_commit(&replica->disk, &process->writes);
    sim_check_durable(replica);
    sim_check_spoke(replica);
    process->busy = false;
    process->urgent = false;
    process->lazy_due_ms = UINT64_MAX;
    if (dies) {
        ORD_MARK(CRASHED_BEFORE_SENDS);
        sim_crash(replica, sim_spread(&replica->random, world->plan.fault_long_us));
        return;
    }
    process->now_ms = sim_clock_ms(replica);
    struct ord_event event = {
        .type = ORD_EVENT_PERSISTED, .now_ms = process->now_ms, .persisted = {.turn = process->turn - 1}};
    sim_process_step(process, &event);
    sim_attest_sign(process);
    if (process->ended)
        return;
    finish(process);
    if (process->inbox_count > 0)
        turn(process);
}

static void gather(struct sim_process *process, struct sim_event *event) {
    if (event->kind == SIM_FRAME && process->inbox_frames[event->source]++ >= SIM_INBOX_MAX) {
        ORD_MARK(INBOX_FULL);
        sim_buffer_release(event->buffer);
        return;
    }
    process->inbox = sim_grow(process->inbox, &process->inbox_capacity, process->inbox_count, sizeof(*process->inbox));
    process->inbox[process->inbox_count++] = *event;
}

void sim_process_event(struct sim_process *process, struct sim_event *event) {
    if (event->kind == SIM_WAKE && event->a == process->wake_us)
        process->wake_us = UINT64_MAX;
    else if (event->kind == SIM_WAKE)
        return;
    else if (event->kind != SIM_COMMIT)
        gather(process, event);
    if (event->kind == SIM_COMMIT)
        committed(process); /* the disk goes on during a pause; what follows is told apart by nobody */
    else if (!process->busy && !process->replica->paused)
        turn(process);
}

void sim_process_poke(struct sim_process *process) {
    process->wake_us = UINT64_MAX;
    if (!process->busy && !process->replica->paused)
        turn(process);
}

/* ---- start and end ---- */

void sim_process_start(struct sim_replica *replica) {
    struct sim_world *world = replica->world;
    ORD_ASSERT(replica->process == NULL);
    struct sim_process *process = sim_alloc(sizeof(*process));
    process->replica = replica;
    process->world = world;
    process->protocol = world->protocol;
    process->now_ms = sim_clock_ms(replica);
    process->wake_at_ms = UINT64_MAX;
    process->wake_us = UINT64_MAX;
    process->lazy_due_ms = UINT64_MAX;
    process->leader = ORD_NO_NODE;
    process->work_since_ms = UINT64_MAX;
    process->turn = 1;
    process->attest.newest.signer = ORD_NO_NODE;
    for (uint32_t i = 0; i < SIM_WAITS_MAX; i++)
        process->waits[i].client = UINT32_MAX;
    replica->process = process;
    replica->incarnation++;
    channel_core_config(&process->core_config, world->config, &world->genesis_hash, replica->id, &world->crypto.ops);
    process->checkpoints = (struct channel_checkpoints) {
        .config = world->config, .genesis_hash = &world->genesis_hash, .crypto = &world->crypto.ops};
    process->bft_options = (struct bft_options) {.decisions_per_leader = world->config->decisions_per_leader,
                                                 .request_timeout_ms = world->config->request_timeout_ms};
    channel_checkpoint_ops(&process->bft_options.checkpoints, &process->checkpoints);
    if (world->config->consensus == CHANNEL_PBFT)
        process->core_config.options = &process->bft_options;
    size_t core_size = process->protocol->memory_size(&process->core_config);
    size_t channel_size = channel_memory_size(world->config);
    ORD_ASSERT(core_size > 0);
    process->core_memory = malloc(core_size);
    process->channel_memory = malloc(channel_size);
    process->attest.collector = malloc(channel_collector_size(world->replica_count));
    process->sync.leaf_max = world->config->max_message_count;
    process->sync.leaves = sim_alloc(process->sync.leaf_max * sizeof(struct ord_hash));
    ORD_ASSERT(process->core_memory != NULL && process->channel_memory != NULL && process->attest.collector != NULL);
    channel_collector_init(&process->attest.collector, process->attest.collector, world->replica_count);
    const struct ord_signer signer = sim_crypto_signer(&world->crypto, replica->id);
    ORD_ASSERT(process->protocol->init(&process->core, process->core_memory, core_size, &process->core_config, &signer,
                                       sim_roll(&replica->random)) == ORD_OK);
    ORD_ASSERT(channel_init(&process->channel, process->channel_memory, channel_size, world->config,
                            &world->genesis_hash) == ORD_OK);
    sim_check_started(replica);
    enum ord_err err = sim_recover(process);
    if (err != ORD_OK) {
        sim_process_fail(process, err, "cannot start from its disk");
        return;
    }
    sim_say(world, replica->instance, "starts: height %lu, seq %lu", (unsigned long) channel_height(process->channel),
            (unsigned long) channel_applied_seq(process->channel));
    turn(process);
}

void sim_process_destroy(struct sim_process *process) {
    for (size_t i = 0; i < process->inbox_count; i++)
        sim_buffer_release(process->inbox[i].buffer);
    for (size_t i = 0; i < process->outbox_count; i++)
        sim_buffer_release(process->outbox[i].buffer);
    for (uint32_t i = 0; i < process->pool.count; i++)
        sim_buffer_release(process->pool.items[i].envelope);
    sim_writes_deinit(&process->writes);
    sim_map_deinit(&process->index);
    free(process->inbox);
    free(process->outbox);
    free(process->core_memory);
    free(process->channel_memory);
    free(process->attest.collector);
    free(process->sync.leaves);
    free(process);
}
