/*
 * Messages of the consensus core on their way through a check, and each sender's account of the checks that all senders
 * share. A sender may have a limited number of checks at a time, and none for a while after one of its signatures did
 * not verify. The sender's retransmission brings back what is dropped here. An honest replica is never ignored, because
 * everything that it sends verifies.
 *
 * A VIEW-CHANGE can have hundreds of signatures, all of them valid, and a liar can send one after the other (row V3).
 * So such messages have a queue of their own, in which they delay nobody else's votes. They also have an allowance of
 * signatures, and an honest replica's view changes stay within it.
 */
#include "replica/replica_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "replica/marks.h"

enum {
    /* So many bytes to hash take about as long as a signature to check. */
    LOAD_BYTES = 64 << 10,
    /* Limit of the signatures to check in one sender's open checks. */
    COST_MAX = 2048,
    /* A message that costs more goes to the view queue, and counts against the allowance. */
    COST_VOTE = 16,
    FULL_MIN = 256,
    FULL_BURST = 8,
    IGNORE_MS = 1000,
    /* The header that every message of a core has (docs/protocol.md). */
    CORE_BYTES_MIN = 29,
};

/* ---- checks ---- */

/* What a check of this type has behind its struct. */
static size_t size_behind(enum replica_check_type type) {
    if (type == REPLICA_CHECK_CERTIFICATE)
        return sizeof(struct channel_certificate);
    bool envelopes = type == REPLICA_CHECK_PROPOSED || type == REPLICA_CHECK_SUBMITTED;
    return envelopes ? REPLICA_CHECK_ENVELOPES * sizeof(struct replica_envelope_check) : 0;
}

struct replica_check *check_create(struct replica *replica, enum replica_check_type type, enum replica_queue queue,
                                   ord_node_id from, struct ord_span bytes, void *owner) {
    size_t behind = size_behind(type);
    struct replica_check *check = malloc(sizeof(*check) + behind);
    if (check == NULL)
        return NULL;
    *check = (struct replica_check) {
        .type = type, .queue = queue, .from = from, .setup = &replica->setup, .owner = owner, .bytes = bytes};
    if (type == REPLICA_CHECK_CERTIFICATE)
        check->certificate = (void *) (check + 1);
    else if (behind > 0)
        check->envelopes.items = (void *) (check + 1);
    if (owner != NULL)
        replica_host(replica)->hold(replica_host(replica)->context, owner);
    return check;
}

void check_destroy(struct replica *replica, struct replica_check *check) {
    if (check->type == REPLICA_CHECK_PROPOSED || check->type == REPLICA_CHECK_SUBMITTED)
        newcomers_destroy(check);
    if (check->owner != NULL)
        replica_host(replica)->release(replica_host(replica)->context, check->owner);
    free(check);
}

void check_hand_out(struct replica *replica, struct replica_check *check) {
    replica_host(replica)->check(replica_host(replica)->context, check);
}

/* ---- accounts ---- */

struct replica_check *account_check(struct replica *replica, enum replica_check_type type, ord_node_id from,
                                    struct ord_span bytes, void *owner) {
    struct account *account = &replica->accounts[from];
    if (replica->turn.now_ms < account->ignored_until_ms) {
        ORD_MARK(SENDER_IGNORED);
        replica->counters.link_messages_ignored++;
        return NULL;
    }
    if (account->checks_open + account_waiting(account).checks >= MESSAGES_CHECKS_MAX) {
        replica->counters.link_jobs_over_share++;
        return NULL;
    }
    return check_create(replica, type, REPLICA_QUEUE_VOTES, from, bytes, owner);
}

static uint32_t cost_of(const struct replica_check *check) {
    return check->type == REPLICA_CHECK_MESSAGE ? check->message.cost : 0;
}

/* What the check takes, in signatures; 1 at least, because the loop takes it and takes it back. */
static uint32_t load_of(const struct replica_check *check) {
    switch (check->type) {
    case REPLICA_CHECK_ATTESTATION:
        return 1;
    case REPLICA_CHECK_CERTIFICATE:
        return check->certificate->count;
    case REPLICA_CHECK_MESSAGE:
    case REPLICA_CHECK_PROPOSED:
    case REPLICA_CHECK_SUBMITTED:
        break;
    }
    uint32_t cost = check->message.cost == 0 ? 1 : check->message.cost;
    return cost + (uint32_t) (check->bytes.size / LOAD_BYTES);
}

/*
 * Messages keep their order. Attestations and certificates do not wait for them: finality must not wait for a view
 * change with hundreds of signatures.
 */
static struct account_lane *lane_of(struct account *account, const struct replica_check *check) {
    return &account->lanes[check->type != REPLICA_CHECK_MESSAGE];
}

struct replica_waiting account_waiting(const struct account *account) {
    const struct account_lane *lanes = account->lanes;
    return (struct replica_waiting) {.checks = lanes[0].waiting.checks + lanes[1].waiting.checks,
                                     .cost = lanes[0].waiting.cost + lanes[1].waiting.cost};
}

static bool has_room(const struct account_lane *lane, uint32_t load) {
    return lane->load_open == 0 || (lane->load_open < MESSAGES_LOAD_MAX && load <= MESSAGES_LOAD_MAX - lane->load_open);
}

static bool is_same(const struct replica_check *a, const struct replica_check *b) {
    if (a->type != b->type)
        return false;
    if (a->type == REPLICA_CHECK_MESSAGE)
        return ord_span_equal(a->bytes, b->bytes);
    return a->type == REPLICA_CHECK_ATTESTATION
               ? channel_statement_equal(&a->attestation.statement, &b->attestation.statement)
               : channel_certificate_equal(a->certificate, b->certificate);
}

/*
 * True if the host has the same at this moment. If that one does not verify, its sender is ignored; if the core could
 * not use it, the sender repeats it.
 */
static bool is_repeat(struct replica *replica, const struct replica_check *check) {
    const struct account *account = &replica->accounts[check->from];
    bool found = false;
    for (uint32_t i = 0; i < account->checks_open && !found; i++)
        found = is_same(account->open[i], check);
    ORD_MARK_IF(found, CHECK_REPEATED);
    replica->counters.link_messages_useless += found;
    return found;
}

static bool core_wants(struct replica *replica, struct ord_span bytes) {
    bool wanted = replica->setup.protocol->wants(replica->agree.core, bytes);
    replica->counters.link_messages_useless += !wanted;
    return wanted;
}

/* Whether the outcome of a check that has waited would still change anything. */
static bool still_wanted(struct replica *replica, const struct replica_check *check) {
    return check->type == REPLICA_CHECK_MESSAGE ? core_wants(replica, check->bytes) : attest_wants(replica, check);
}

/*
 * A sender's later messages stay behind its costly ones, because votes of a new view are of no use before the
 * NEW-VIEW.
 */
static void give(struct replica *replica, struct replica_check *check) {
    struct account *account = &replica->accounts[check->from];
    account->open[account->checks_open++] = check;
    lane_of(account, check)->load_open += load_of(check);
    if (check->type == REPLICA_CHECK_MESSAGE) {
        check->message.costly = check->message.cost > COST_VOTE || account->costly_open > 0;
        check->queue = check->message.costly ? REPLICA_QUEUE_VIEWS : REPLICA_QUEUE_VOTES;
        account->cost_open += check->message.cost;
        /* What is dropped before it is checked costs its sender nothing. */
        account->debt += check->message.cost > COST_VOTE ? check->message.cost : 0;
        account->costly_open += check->message.costly;
        replica->counters.messages_authenticated++;
    } else {
        replica->counters.attestations_checked++;
    }
    check_hand_out(replica, check);
}

void account_hand_out(struct replica *replica, struct replica_check *check) {
    struct account_lane *lane = lane_of(&replica->accounts[check->from], check);
    if (lane->waiting.checks > 0 || !has_room(lane, load_of(check))) {
        ORD_MARK(CHECK_WAITS);
        if (lane->waiting.checks++ == 0)
            lane->first = check;
        else
            lane->last->next = check;
        lane->last = check;
        lane->waiting.cost += cost_of(check);
    } else if (is_repeat(replica, check)) {
        check_destroy(replica, check);
    } else {
        give(replica, check);
    }
}

static struct replica_check *take_waiting(struct account_lane *lane) {
    struct replica_check *check = lane->first;
    lane->first = check->next;
    lane->waiting.checks--;
    lane->waiting.cost -= cost_of(check);
    return check;
}

static void lane_goes_on(struct replica *replica, struct account *account, struct account_lane *lane) {
    while (lane->waiting.checks > 0 && has_room(lane, load_of(lane->first))) {
        struct replica_check *check = take_waiting(lane);
        bool ignored = replica->turn.now_ms < account->ignored_until_ms;
        replica->counters.link_messages_ignored += ignored;
        if (!ignored && !is_repeat(replica, check) && still_wanted(replica, check))
            give(replica, check);
        else
            check_destroy(replica, check);
    }
}

void account_go_on(struct replica *replica, ord_node_id from) {
    struct account *account = &replica->accounts[from];
    for (int i = 0; i < 2; i++)
        lane_goes_on(replica, account, &account->lanes[i]);
}

void accounts_deinit(struct replica *replica) {
    for (uint32_t i = 0; i < ORD_REPLICA_MAX; i++)
        for (int k = 0; k < 2; k++)
            while (replica->accounts[i].lanes[k].waiting.checks > 0)
                check_destroy(replica, take_waiting(&replica->accounts[i].lanes[k]));
}

void account_end(struct replica *replica, const struct replica_check *check) {
    struct account *account = &replica->accounts[check->from];
    for (uint32_t i = account->checks_open; i-- > 0;)
        if (account->open[i] == check)
            account->open[i] = account->open[account->checks_open - 1];
    account->checks_open--;
    lane_of(account, check)->load_open -= load_of(check);
    if (check->type == REPLICA_CHECK_MESSAGE) {
        account->cost_open -= check->message.cost;
        account->costly_open -= check->message.costly;
    }
    if (check->bad)
        account->ignored_until_ms = replica->turn.now_ms + IGNORE_MS;
    replica->counters.link_messages_ignored += check->ignored;
}

/*
 * The allowance is the number of signatures in the certificates of a whole window, once in request_timeout_ms, because
 * a view does not fail sooner. Several times as many may be used at once: a new primary or a relaying replica needs
 * them, and `cost` is an upper bound. A single message is never too large. It leaves a debt, and the next one waits
 * until that is paid. What waits counts as well, and is charged when it is checked. A view change that succeeded ends
 * all debts: honest replicas agreed on it, and with a scheduled rotation there may be many.
 */
static bool can_afford(struct replica *replica, struct account *account, uint32_t cost) {
    uint64_t full = (uint64_t) replica->setup.core_config.window * channel_strong_quorum(replica_config(replica));
    full = full < FULL_MIN ? FULL_MIN : full;
    uint64_t paid = full * (replica->turn.now_ms - account->debt_ms) / replica_config(replica)->request_timeout_ms;
    if (paid > 0) {
        account->debt = account->debt > paid ? account->debt - paid : 0;
        account->debt_ms = replica->turn.now_ms;
    }
    return cost <= COST_VOTE || account->debt + account_waiting(account).cost < FULL_BURST * full;
}

void accounts_forgive(struct replica *replica) {
    for (uint32_t i = 0; i < replica_config(replica)->replica_count; i++)
        replica->accounts[i].debt = 0;
}

/* ---- messages ---- */

void message_received(struct replica *replica, ord_node_id from, struct ord_span bytes, void *owner) {
    struct account *account = &replica->accounts[from];
    if (bytes.size < CORE_BYTES_MIN) {
        replica->counters.messages_refused++;
        return;
    }
    uint32_t cost = replica->setup.protocol->cost(bytes);
    if (!core_wants(replica, bytes))
        return;
    /*
     * A view change brings messages with hundreds of signatures. A sender may have up to COST_MAX of them open, or a
     * single message.
     */
    uint32_t before = account->cost_open + account_waiting(account).cost;
    bool much = before > 0 && (before > COST_MAX || cost > COST_MAX - before);
    if (much || !can_afford(replica, account, cost)) {
        ORD_MARK(ALLOWANCE_SPENT);
        replica->counters.link_jobs_over_share++;
        return;
    }
    struct replica_check *check = account_check(replica, REPLICA_CHECK_MESSAGE, from, bytes, owner);
    if (check == NULL)
        return;
    check->message.cost = cost;
    account_hand_out(replica, check);
}

bool message_checked(struct replica *replica, struct replica_check *check, struct ord_event *out) {
    account_end(replica, check);
    if (check->ignored)
        return false;
    if (check->err != ORD_OK) {
        replica->counters.messages_refused++;
        replica_log(replica, REPLICA_LOG_DEBUG, "message_refused", "from=%" PRIu32 " err=%s", check->from,
                    ord_err_name(check->err));
        return false;
    }
    ORD_MARK_IF(!agree_may_run(replica), MESSAGE_NOT_NOW);
    if (!agree_may_run(replica))
        return false;
    *out = (struct ord_event) {.type = ORD_EVENT_MESSAGE, .message = &check->message.verified};
    return true;
}
