/*
 * The life of a process. A turn takes all inputs that are there. The replica's puts become durable some time after it
 * asks for a commit, and the messages that depend on them leave then. Turns run meanwhile, unless the plan has
 * processes that wait for their disk.
 */
#include "sim/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "sim/check.h"
#include "sim/check_raft.h"
#include "sim/client.h"
#include "sim/liar.h"
#include "sim/marks.h"

enum { SLOW_DISK_FACTOR = 50 };

/* 2027-01-15, when every certificate of sim/identities.h is valid. */
static const int64_t WALL_S = 1800000000;

static void stop_for(struct sim_process *process, enum ord_err err, const char *what) {
    struct sim_replica *replica = process->replica;
    process->ended = true;
    sim_say(process->world, replica->instance, "stops: %s: %s", what, ord_err_text(err));
    /* For an honest replica that is a violation. */
    if (!replica->liar)
        sim_fail(process->world, "replica %u stops: %s: %s", replica->instance, what, ord_err_text(err));
}

bool sim_process_dirty(const struct sim_process *process) {
    return process->committing != 0 || process->writes.count > 0;
}

/* Called after each call into the replica. False: the replica has ended. */
static bool sound(struct sim_process *process) {
    if (!process->ended && replica_fatal(process->program) != ORD_OK)
        stop_for(process, replica_fatal(process->program), process->why);
    return !process->ended;
}

int64_t sim_process_wall_s(const struct sim_process *process) {
    return WALL_S + (int64_t) (process->world->now_us / 1000000) + process->replica->wall_off_s;
}

static struct replica_time time_of(struct sim_process *process) {
    process->now_ms = sim_clock_ms(process->replica);
    return (struct replica_time) {
        .now_ms = process->now_ms, .wall_s = sim_process_wall_s(process), .room = !process->replica->full};
}

/* ---- the host's functions ---- */

static bool next(void *context, struct replica_input *out) {
    struct sim_process *process = context;
    if (process->inbox_next == process->inbox_count)
        return false;
    const struct sim_input *input = &process->inbox[process->inbox_next++];
    sim_intake_taken(process->intake, input);
    sim_duties_taken(process->duties, input);
    out->type = input->type;
    if (input->type == REPLICA_INPUT_MESSAGE) {
        sim_cost_message(process, input->buffer->size, 1);
        out->message.from = input->from;
        out->message.kind = input->kind;
        out->message.bytes = sim_buffer_span(input->buffer);
        out->message.owner = input->buffer;
    } else if (input->type == REPLICA_INPUT_CHECKED) {
        out->check = input->check;
    } else if (input->type == REPLICA_INPUT_SUBMITTED) {
        out->submission = &input->submission->given;
    }
    return true;
}

static void send(void *context, uint64_t turn, ord_replica_set to, enum replica_link kind, const struct ord_span *parts,
                 size_t part_count) {
    struct sim_process *process = context;
    sim_intake_sent(process->intake, to, kind, parts, part_count);
    sim_duties_sent(process->duties, to, kind, parts, part_count);
    to &= ~ord_replica_bit(process->replica->id) & (ord_replica_bit(process->world->replica_count) - 1);
    if (to == 0)
        return;
    struct sim_buffer *buffer = sim_buffer_join(parts, part_count);
    sim_cost_message(process, buffer->size, ord_replica_count(to));
    process->outbox =
        sim_grow(process->outbox, &process->outbox_capacity, process->outbox_count, sizeof(*process->outbox));
    process->outbox[process->outbox_count++] =
        (struct sim_send) {.turn = turn, .to = to, .kind = kind, .buffer = buffer};
}

/* A process that is gone closes its connections. One that hangs, or that nothing reaches, does not. */
static ord_replica_set connected(void *context) {
    const struct sim_process *process = context;
    const struct sim_world *world = process->world;
    ord_replica_set set = 0;
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->replicas[i].process != NULL)
            set |= ord_replica_bit(world->replicas[i].id);
    return set & ~ord_replica_bit(process->replica->id);
}

static void hold(void *context, void *owner) {
    (void) context;
    (void) sim_buffer_hold(owner);
}

static void release(void *context, void *owner) {
    (void) context;
    sim_buffer_release(owner);
}

static void write_log(void *context, enum replica_log_level level, const char *event, const char *format,
                      va_list arguments) {
    struct sim_process *process = context;
    char text[160];
    if (level != REPLICA_LOG_ERROR && !process->world->options.trace)
        return;
    vsnprintf(text, sizeof(text), format, arguments);
    if (level == REPLICA_LOG_ERROR)
        snprintf(process->why, sizeof(process->why), "%s %s", event, text);
    sim_say(process->world, process->replica->instance, "log: %s %s", event, text);
}

static enum ord_err sign(void *context, struct ord_signature *out, const struct ord_hash *hash) {
    struct sim_process *process = context;
    sim_cost_signature(process);
    const struct ord_signer signer = sim_crypto_signer(&process->world->crypto, process->replica->id);
    return signer.sign(signer.context, out, hash);
}

static bool verify(const void *context, const struct crypto_verify_key *key, const struct ord_hash *hash,
                   const struct ord_signature *signature) {
    const struct sim_world *world = context;
    return sim_crypto_client_verify(&world->crypto, key, hash, signature);
}

/* ---- sending ---- */

static void leave(struct sim_process *process, struct sim_send *send) {
    struct sim_replica *replica = process->replica;
    sim_check_said(replica, send->to, send->kind, sim_buffer_span(send->buffer));
    for (ord_node_id to = 0; to < process->world->replica_count; to++)
        if ((send->to & ord_replica_bit(to)) != 0)
            sim_liar_send(replica, to, send->kind, send->buffer);
    sim_buffer_release(send->buffer);
}

static void send_all(struct sim_process *process) {
    uint64_t durable = replica_durable_turn(process->program);
    size_t kept = 0;
    for (size_t i = 0; i < process->outbox_count; i++) {
        if (process->outbox[i].turn > durable)
            process->outbox[kept++] = process->outbox[i];
        else
            leave(process, &process->outbox[i]);
    }
    process->outbox_count = kept;
}

/* ---- turns ---- */

/*
 * The process does nothing while it is paused or, in some plans, while it waits for its disk or its loop is at work.
 */
static bool stands(const struct sim_process *process) {
    return process->ended || process->replica->paused || sim_cost_busy(process) ||
           (process->world->plan.waits_for_disk && process->committing != 0);
}

void sim_process_plan(struct sim_process *process, enum sim_event_kind kind, uint64_t delay_us, uint64_t a,
                      uint64_t b) {
    const struct sim_replica *replica = process->replica;
    const struct sim_event event = {
        .kind = kind, .target = replica->instance, .incarnation = replica->incarnation, .a = a, .b = b};
    sim_plan_event(process->world, delay_us, &event);
}

/* The process has something to do. If only its loop's work keeps it from that, it goes on when that is done. */
static void turn(struct sim_process *process);

static void turn_or_wait(struct sim_process *process) {
    if (!stands(process)) {
        turn(process);
    } else if (!process->ended && sim_cost_busy(process) && !process->cost.free_planned) {
        process->cost.free_planned = true;
        sim_process_plan(process, SIM_FREE, process->cost.busy_us[SIM_THREAD_LOOP] - process->world->now_us, 0, 0);
    }
}

static void plan_wake(struct sim_process *process, uint64_t at_ms) {
    uint64_t delay_us = 1;
    if (!replica_cut_short(process->program)) {
        if (at_ms == UINT64_MAX)
            return;
        const struct sim_clock *clock = &process->replica->clock;
        uint64_t local_us = sim_clock_us(process->world, clock);
        delay_us = at_ms * 1000 <= local_us ? 0 : (at_ms * 1000 - local_us) * 1000000 / clock->rate_ppm + 1;
        /* Work that is due but cannot be done must not stop the world's time. */
        if (delay_us < 1000)
            delay_us = 1000;
    }
    uint64_t at_us = process->world->now_us + delay_us;
    if (at_us >= process->wake_us)
        return;
    process->wake_us = at_us;
    sim_process_plan(process, SIM_WAKE, delay_us, at_us, 0);
}

/* Frees the inputs that the turn took. */
static void clear_inbox(struct sim_process *process) {
    size_t left = process->inbox_count - process->inbox_next;
    for (size_t i = 0; i < process->inbox_next; i++) {
        if (process->inbox[i].type == REPLICA_INPUT_MESSAGE)
            process->inbox_frames[process->inbox[i].from]--;
        sim_buffer_release(process->inbox[i].buffer);
    }
    if (left > 0)
        memmove(process->inbox, process->inbox + process->inbox_next, left * sizeof(*process->inbox));
    process->inbox_next = 0;
    process->inbox_count = left;
}

static void commit(struct sim_process *process) {
    struct sim_world *world = process->world;
    struct sim_replica *replica = process->replica;
    uint64_t turn = replica_commit(process->program, false);
    if (!sound(process))
        return;
    sim_observe_turn(process);
    sim_duties_commit(process->duties, turn);
    if (turn == 0)
        return;
    ORD_ASSERT(process->committing == 0 && process->under_way.count == 0);
    const struct sim_writes empty = process->under_way;
    process->under_way = process->writes;
    process->writes = empty;
    process->committing = turn;
    process->frozen = (struct sim_frozen) {.status = sim_process_status(process),
                                           .cut_seq = world->checker->shown[replica->instance].cut_seq};
    uint64_t mean_us = world->plan.commit_us * (world->now_us < replica->slow_disk_until_us ? SLOW_DISK_FACTOR : 1);
    uint64_t write_us = sim_cost_write_us(process, process->under_way.bytes);
    uint64_t delay_us = world->plan.commit_us / 4 + sim_spread(&replica->machine_random, mean_us) + write_us;
    bool heavy = sim_is_raft(world) && write_us > sim_raft_busy_us(&world->plan);
    if (world->now_us < replica->slow_disk_until_us || heavy)
        replica->slow_commit_until_us = world->now_us + delay_us;
    if (world->now_us + delay_us < replica->stalled_until_us)
        delay_us = replica->stalled_until_us - world->now_us;
    sim_process_plan(process, SIM_COMMIT, delay_us, 0, 0);
}

/* Called after each action of the replica. */
static void finish(struct sim_process *process) {
    commit(process);
    if (process->ended)
        return;
    sim_cost_spend(process);
    send_all(process);
    sim_serve_receipts(process);
    uint64_t due_ms = replica_due_ms(process->program);
    sim_check_due(process->replica, due_ms);
    plan_wake(process, due_ms);
}

static void turn(struct sim_process *process) {
    const struct replica_time time = time_of(process);
    bool alone = process->inbox_count == 0;
    sim_cost_turn(process);
    sim_intake_turn(process->intake);
    sim_duties_turn(process->duties);
    replica_turn(process->program, &time);
    bool goes_on = sound(process);
    if (goes_on) {
        sim_observe_follow(process, UINT64_MAX);
        sim_intake_ended(process->intake); /* looks at the turn's inputs once more */
    }
    clear_inbox(process);
    if (!goes_on)
        return;
    sim_duties_ended(process->duties);
    finish(process);
    if (!process->ended)
        sim_check_woken(process->replica, alone);
}

/* The disk finishes a commit, or the process dies before or after that. */
static bool reach_disk(struct sim_process *process) {
    struct sim_world *world = process->world;
    struct sim_replica *replica = process->replica;
    bool faults = !sim_faultless(world);
    if (sim_faults_lose(replica))
        return false;
    uint64_t down_us = faults ? sim_spread(&replica->machine_random, world->plan.fault_long_us) : 0;
    if (faults && sim_chance(&replica->machine_random, world->plan.io_error_ppm)) {
        sim_say(world, replica->instance, "commit fails");
        sim_crash(replica, down_us);
        return false;
    }
    bool dies = faults && sim_chance(&replica->machine_random, world->plan.crash_in_commit_ppm);
    bool before = dies && sim_chance(&replica->machine_random, 500000);
    if (faults && sim_aim_kills(replica)) {
        dies = true;
        before = replica->incarnation % 2 == 0;
    }
    if (before) {
        ORD_MARK(CRASHED_BEFORE_COMMIT);
    } else {
        sim_disk_commit(&replica->disk, &process->under_way);
        sim_check_durable(replica);
        sim_check_spoke(replica);
    }
    if (dies && !before)
        ORD_MARK(CRASHED_BEFORE_SENDS);
    if (dies)
        sim_crash(replica, down_us);
    return !dies;
}

static void committed(struct sim_process *process) {
    if (process->ended || process->committing == 0 || !reach_disk(process))
        return;
    uint64_t number = process->committing;
    process->committing = 0;
    const struct replica_time time = time_of(process);
    replica_committed(process->program, number, &time);
    if (!sound(process))
        return;
    finish(process);
    if (process->inbox_count > 0)
        turn_or_wait(process);
}

void sim_process_settle(struct sim_process *process) {
    if (process->ended)
        return;
    if (process->committing != 0) {
        uint64_t number = process->committing;
        const struct replica_time time = time_of(process);
        sim_disk_commit(&process->replica->disk, &process->under_way);
        process->committing = 0;
        replica_committed(process->program, number, &time);
    }
    (void) replica_commit(process->program, true);
    if (!sound(process))
        return;
    sim_disk_commit(&process->replica->disk, &process->writes);
    sim_check_durable(process->replica);
}

/* ---- inputs ---- */

void sim_process_give(struct sim_process *process, const struct sim_input *input) {
    process->inbox = sim_grow(process->inbox, &process->inbox_capacity, process->inbox_count, sizeof(*process->inbox));
    process->inbox[process->inbox_count++] = *input;
}

static void receive(struct sim_process *process, struct sim_event *event) {
    if (process->inbox_frames[event->source] >= SIM_INBOX_MAX) {
        ORD_MARK(INBOX_FULL);
        sim_buffer_release(event->buffer);
        return;
    }
    process->inbox_frames[event->source]++;
    sim_process_give(process, &(struct sim_input) {.type = REPLICA_INPUT_MESSAGE,
                                                   .from = event->source,
                                                   .kind = (uint8_t) event->a,
                                                   .buffer = event->buffer});
}

/* Handles a timer. False: the replica is due later now. */
static bool woken(struct sim_process *process, const struct sim_event *event) {
    if (event->a != process->wake_us)
        return false;
    process->wake_us = UINT64_MAX;
    if (stands(process) || replica_cut_short(process->program))
        return true;
    uint64_t due_ms = replica_due_ms(process->program);
    if (due_ms <= sim_clock_ms(process->replica))
        return true;
    plan_wake(process, due_ms);
    return false;
}

void sim_process_event(struct sim_process *process, struct sim_event *event) {
    if (process->ended) {
        sim_buffer_release(event->buffer);
        return;
    }
    if (event->kind == SIM_COMMIT) {
        /* The disk goes on during a pause. Nobody can tell when in the pause the rest happens. */
        committed(process);
        return;
    }
    if (event->kind == SIM_FRAME)
        receive(process, event);
    else if (event->kind == SIM_SUBMIT)
        sim_serve_submitted(process, event);
    else if (event->kind == SIM_ASK || event->kind == SIM_WAITED) {
        if (!sim_asks_event(process, event))
            return;
    } else if (event->kind == SIM_CHECKED)
        sim_checks_event(process, event);
    else if (event->kind == SIM_FREE)
        process->cost.free_planned = false;
    else if (!woken(process, event))
        return;
    turn_or_wait(process);
}

void sim_process_poke(struct sim_replica *replica) {
    struct sim_process *process = replica->process;
    if (process == NULL)
        return;
    process->wake_us = UINT64_MAX;
    turn_or_wait(process);
}

void sim_process_hand_over(struct sim_process *process) {
    if (process->ended)
        return;
    sim_process_give(process, &(struct sim_input) {.type = REPLICA_INPUT_HAND_OVER});
    turn_or_wait(process);
}

/* ---- start and end ---- */

static struct replica_options options_of(struct sim_process *process) {
    struct sim_world *world = process->world;
    struct replica_options options = {
        .config = world->config,
        .genesis_hash = &world->genesis_hash,
        .genesis_header = &world->genesis_header,
        .genesis_data = sim_buffer_span(world->genesis_data),
        .self = process->replica->id,
        .protocol = sim_observe_protocol(process),
        .crypto = &world->crypto.ops,
        .signer = {.context = process, .sign = sign},
        .verifier = {.context = world, .verify = verify},
        .seed = sim_roll(&process->replica->machine_random),
        .pool_envelopes_max = world->plan.pool_envelopes_max,
        .pool_bytes_max = world->plan.pool_bytes_max,
        .client_envelopes_max = world->plan.client_envelopes_max,
        .batch_newcomers_max = world->plan.batch_newcomers_max,
        .sources_max = SIM_CLIENTS + ORD_REPLICA_MAX,
        .ledger_name = "disk",
        .genesis_name = "genesis",
        .host = {.context = process,
                 .certificate = sim_store_certificate,
                 .next = next,
                 .send = send,
                 .connected = connected,
                 .check = sim_checks_begin,
                 .hold = hold,
                 .release = release,
                 .answer = sim_serve_answer,
                 .certified = sim_serve_certified,
                 .log = write_log},
    };
    sim_store_init(&options.host.store, process);
    options.turn_bytes_max = replica_turn_bytes_max(&options);
    options.message_bytes_max = replica_message_bytes_max(&options);
    return options;
}

void sim_process_start(struct sim_replica *replica) {
    struct sim_world *world = replica->world;
    ORD_ASSERT(replica->process == NULL);
    struct sim_process *process = sim_alloc(sizeof(*process));
    process->replica = replica;
    process->world = world;
    process->wake_us = UINT64_MAX;
    for (uint32_t i = 0; i < SIM_WAITS_MAX; i++)
        process->waits[i].client = UINT32_MAX;
    replica->process = process;
    replica->started_us = world->now_us;
    replica->incarnation++;
    sim_observe_init(process);
    sim_check_started(replica);
    process->now_ms = sim_clock_ms(replica);
    process->intake = sim_intake_create(process);
    process->duties = sim_duties_create(process);
    process->told = sim_told_create(process);
    const struct replica_time time = time_of(process);
    const struct replica_options options = options_of(process);
    process->turn_bytes_max = options.turn_bytes_max;
    sim_network_room(world, options.message_bytes_max);
    char why[256];
    enum ord_err err = replica_create(&process->program, &options, &time, why, sizeof(why));
    if (err != ORD_OK) {
        sim_say(world, replica->instance, "cannot start: %s", why);
        stop_for(process, err, "cannot start from its disk");
        return;
    }
    sim_say(world, replica->instance, "starts: height %lu, seq %lu",
            (unsigned long) channel_height(replica_channel(process->program)),
            (unsigned long) channel_applied_seq(replica_channel(process->program)));
    turn(process);
}

void sim_process_destroy(struct sim_process *process) {
    /* Nobody hears from it any more. */
    process->ended = true;
    sim_checks_drop(process);
    for (size_t i = 0; i < process->inbox_count; i++)
        sim_buffer_release(process->inbox[i].buffer);
    replica_destroy(process->program);
    for (size_t i = 0; i < process->outbox_count; i++)
        sim_buffer_release(process->outbox[i].buffer);
    sim_writes_deinit(&process->writes);
    sim_writes_deinit(&process->under_way);
    sim_serve_deinit(process);
    sim_store_deinit(process);
    sim_observe_deinit(process);
    sim_intake_destroy(process->intake);
    sim_duties_destroy(process->duties);
    sim_told_destroy(process->told);
    free(process->inbox);
    free(process->outbox);
    free(process->checking);
    free(process);
}
