/*
 * The loop: one thread that owns the replica and writes the ledger. A turn takes all work that is there, lets the
 * replica take its part of it, and commits once. A message that depends on nothing that the turn put leaves before the
 * commit. Every other message leaves after it.
 */
#include <inttypes.h>
#include <time.h>

#include "ledger/ledger.h"
#include "node/log.h"
#include "node/node_internal.h"

enum {
    HOUSEKEEPING_MS = 100,
    /* Bulk that a turn takes, unless a single message is larger. More would keep votes that come meanwhile waiting. */
    BULK_TURN_BYTES = 4 << 20,
    /* How long the loop, before it ends, waits for queued messages to leave. */
    LINGER_MS_MAX = 1000,
};

static void fail(struct node *node, enum ord_err err, const char *what) {
    node->err = err;
    node_log(NODE_LOG_ERROR, "fatal", "err=%s what=\"%s\"", ord_err_name(err), what);
}

enum ord_err node_failed(const struct node *node) {
    return node->err != ORD_OK ? node->err : replica_fatal(node->replica);
}

/* ---- what the replica takes ---- */

/*
 * Gives the next input of the first work of a queue, which must not be empty. False: that work has none (left), and was
 * taken off.
 */
static bool next_of_first(struct node *node, struct replica_input *out, struct work_queue *queue) {
    struct work *work = queue->head;
    /* A frame stays first until the replica asks for more than its last message. */
    if (work->type == WORK_FRAME && links_next(node, out, (struct frame *) work))
        return true;
    queue->head = work->next;
    switch (work->type) {
    case WORK_FRAME:
        links_release(node, work);
        break;
    case WORK_CHECK:
        *out = (struct replica_input) {.type = REPLICA_INPUT_CHECKED, .check = checks_end(node, work)};
        return true;
    case WORK_REQUEST: {
        struct api_request *request = (struct api_request *) work;
        node->bulk_bytes += request->size;
        struct replica_submission *submission = submit_begin(request);
        if (submission == NULL)
            break;
        *out = (struct replica_input) {.type = REPLICA_INPUT_SUBMITTED, .submission = submission};
        return true;
    }
    }
    return false;
}

/* Bulk goes round: a frame of one source or one submission, then the next source. */
static bool next_bulk(struct node *node, struct replica_input *out) {
    for (uint32_t empty = 0; empty < node->links.count;) {
        struct work_queue *queue = &node->bulk[node->bulk_source];
        empty = queue->head == NULL ? empty + 1 : 0;
        bool found = queue->head != NULL && next_of_first(node, out, queue);
        if (found && out->type == REPLICA_INPUT_MESSAGE) {
            node->bulk_bytes += LINK_MESSAGE_HEADER + out->message.bytes.size;
            return true;
        }
        node->bulk_source = (node->bulk_source + 1) % node->links.count;
        if (found)
            return true;
    }
    return false;
}

static bool bulk_waits(const struct node *node) {
    for (uint32_t i = 0; i < node->links.count; i++)
        if (node->bulk[i].head != NULL)
            return true;
    return false;
}

/*
 * Votes and checks come first, so one peer's bulk delays another one's votes by at most what a turn takes of it. Turns
 * that are full before they come to bulk must not follow each other for ever, so the next one begins with it.
 */
bool node_next(void *context, struct replica_input *out) {
    struct node *node = context;
    if (node->stopping == NODE_HANDS_OVER) {
        node->stopping = NODE_WAITS;
        *out = (struct replica_input) {.type = REPLICA_INPUT_HAND_OVER};
        return true;
    }
    bool bulk_first = node->bulk_first;
    node->bulk_first = false;
    if (bulk_first && next_bulk(node, out))
        return true;
    while (node->inputs.head != NULL)
        if (next_of_first(node, out, &node->inputs))
            return true;
    return node->bulk_bytes < BULK_TURN_BYTES && next_bulk(node, out);
}

static struct work_queue *queue_of(struct node *node, struct work *work) {
    const struct frame *frame = (const struct frame *) work;
    switch (work->type) {
    case WORK_FRAME:
        return frame->lane == LINK_LANE_BULK ? &node->bulk[frame->peer->id] : &node->inputs;
    case WORK_REQUEST:
        return &node->bulk[node->config.replica];
    case WORK_CHECK:
        break;
    }
    return &node->inputs;
}

/*
 * Begins a turn's inputs. Does at once what the process can do by itself. The rest waits for the replica, each queue in
 * order.
 */
static void sort_work(struct node *node, struct work *work) {
    node->bulk_first = node->bulk_bytes == 0 && bulk_waits(node);
    node->bulk_bytes = 0;
    while (work != NULL) {
        struct work *next = work->next;
        if (work->type == WORK_FRAME)
            count_add(&node->counters.frames_received, 1);
        if (work->type != WORK_REQUEST || !requests_handle(node, (struct api_request *) work))
            work_queue_push(queue_of(node, work), work);
        work = next;
    }
}

/* ---- the turn ---- */

/* Commits what was put, if a commit is due. */
static void commit(struct node *node, bool at_once) {
    uint64_t turn = replica_commit(node->replica, at_once);
    if (turn == 0 || node_failed(node) != ORD_OK)
        return;
    enum ord_err err = ledger_commit(node->ledger);
    if (err == ORD_OK)
        replica_committed(node->replica, turn, &node->time);
    else
        fail(node, err, "ledger commit");
}

static bool has_room(struct node *node) {
    enum ord_err err = ledger_room(node->ledger);
    /* The map cannot grow while a transaction is open, so this one is committed at once. */
    if (err == ORD_ERR_NO_SPACE && ledger_dirty(node->ledger)) {
        commit(node, true);
        if (node_failed(node) != ORD_OK)
            return false;
        err = ledger_room(node->ledger);
    }
    if (err != ORD_OK && err != ORD_ERR_NO_SPACE)
        fail(node, err, "ledger");
    return err == ORD_OK;
}

void node_turn(struct node *node, struct work *work) {
    node->turn++;
    node->time.now_ms = node_clock_ms();
    node->time.wall_s = (int64_t) time(NULL);
    sort_work(node, work);
    node->time.room = has_room(node);
    if (node_failed(node) != ORD_OK)
        return;
    replica_turn(node->replica, &node->time);
    if (node->time.now_ms >= node->housekeeping_ms) {
        node->housekeeping_ms = node->time.now_ms + HOUSEKEEPING_MS;
        links_tick(node);
        (void) expiry_tick(&node->expiry, node->time.wall_s);
    }
    if (node_failed(node) != ORD_OK)
        return;
    links_flush(node, replica_durable_turn(node->replica));
    commit(node, false);
    if (node_failed(node) == ORD_OK && replica_durable_turn(node->replica) > node->links.durable_turn)
        links_flush(node, replica_durable_turn(node->replica));
}

/* ---- stopping ---- */

/* Without a connected quorum nobody can take over. */
static bool quorum_is_there(struct node *node) {
    return ord_replica_count(links_connected(node)) + 1 >= channel_strong_quorum(node->channel_config);
}

static ord_node_id leader_of(const struct node *node) {
    struct replica_status status;
    replica_status(node->replica, &status);
    return status.leader;
}

/* True if this replica leads, and another one could. */
static bool can_hand_over(struct node *node) {
    return leader_of(node) == node->config.replica && node->channel_config->consensus != CHANNEL_SOLO &&
           quorum_is_there(node);
}

static bool handed_over(struct node *node) {
    const ord_node_id leader = leader_of(node);
    return (leader != node->config.replica && leader != ORD_NO_NODE) || !quorum_is_there(node) ||
           node_clock_ms() >= node->stop_ms + node->channel_config->request_timeout_ms;
}

static void enter(struct node *node, enum node_stopping stopping) {
    node->stopping = stopping;
    node->stopping_ms = node_clock_ms();
    /* Begins the next turn at once. */
    inbox_wake(&node->inbox);
}

/*
 * If a primary just disappears, its clients wait until the others suspect it. A hand-over costs them next to nothing.
 * Envelopes that clients were told are accepted go on to the next leader, and the loop ends when they have left.
 */
static bool may_end(struct node *node) {
    unsigned stops = atomic_load(&node->stops);
    if (stops == 0)
        return false;
    switch (node->stopping) {
    case NODE_RUNS:
        node->stop_ms = node_clock_ms();
        enter(node, can_hand_over(node) ? NODE_HANDS_OVER : NODE_LINGERS);
        if (node->stopping == NODE_HANDS_OVER)
            node_log(NODE_LOG_INFO, "hands_over", "ms_max=%" PRIu32, node->channel_config->request_timeout_ms);
        break;
    case NODE_HANDS_OVER:
    case NODE_WAITS:
        if (handed_over(node))
            enter(node, NODE_LINGERS);
        break;
    case NODE_LINGERS:
        if (links_idle(node) || node_clock_ms() >= node->stopping_ms + LINGER_MS_MAX)
            return true;
        break;
    }
    return stops > 1;
}

void node_stop(struct node *node) {
    atomic_fetch_add(&node->stops, 1);
    inbox_wake(&node->inbox);
}

/* ---- the thread ---- */

struct work *node_take_work(struct node *node, uint64_t wait_ms) {
    return inbox_take(&node->inbox, replica_cut_short(node->replica) || bulk_waits(node) ? 0 : wait_ms);
}

enum ord_err node_run(struct node *node) {
    while (!may_end(node) && node_failed(node) == ORD_OK) {
        uint64_t now_ms = node_clock_ms();
        uint64_t due_ms = ord_min(replica_due_ms(node->replica), node->housekeeping_ms);
        node_turn(node, node_take_work(node, due_ms <= now_ms ? 0 : due_ms - now_ms));
    }
    if (node_failed(node) == ORD_OK)
        commit(node, true);
    return node_failed(node);
}
