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
    /* The core is asked first whether it wants a message that costs more. */
    COST_LOOK = 1,
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
    if (check->owner != NULL)
        replica_host(replica)->release(replica_host(replica)->context, check->owner);
    free(check);
}

void check_hand_out(struct replica *replica, struct replica_check *check) {
    replica_host(replica)->check(replica_host(replica)->context, check);
}

/* ---- accounts ---- */

struct replica_check *account_check(struct replica *replica, enum replica_check_type type, enum replica_queue queue,
                                    ord_node_id from, struct ord_span bytes, void *owner) {
    struct account *account = &replica->accounts[from];
    if (replica->turn.now_ms < account->ignored_until_ms) {
        ORD_MARK(SENDER_IGNORED);
        replica->counters.link_messages_ignored++;
        return NULL;
    }
    if (account->checks_open >= MESSAGES_CHECKS_MAX) {
        replica->counters.link_jobs_over_share++;
        return NULL;
    }
    struct replica_check *check = check_create(replica, type, queue, from, bytes, owner);
    account->checks_open += check != NULL;
    return check;
}

void account_end(struct replica *replica, const struct replica_check *check) {
    struct account *account = &replica->accounts[check->from];
    account->checks_open--;
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
 * until that is paid. A view change that succeeded ends all debts: honest replicas agreed on it, and with a scheduled
 * rotation there may be many.
 */
static bool afford(struct replica *replica, struct account *account, uint32_t cost) {
    uint64_t full = (uint64_t) replica->setup.core_config.window * channel_strong_quorum(replica_config(replica));
    full = full < FULL_MIN ? FULL_MIN : full;
    uint64_t paid = full * (replica->turn.now_ms - account->debt_ms) / replica_config(replica)->request_timeout_ms;
    if (paid > 0) {
        account->debt = account->debt > paid ? account->debt - paid : 0;
        account->debt_ms = replica->turn.now_ms;
    }
    if (cost <= COST_VOTE)
        return true;
    if (account->debt >= FULL_BURST * full)
        return false;
    account->debt += cost;
    return true;
}

void accounts_forgive(struct replica *replica) {
    for (uint32_t i = 0; i < replica_config(replica)->replica_count; i++)
        replica->accounts[i].debt = 0;
}

/* ---- messages ---- */

void message_received(struct replica *replica, ord_node_id from, struct ord_span bytes, void *owner) {
    const struct ord_protocol *protocol = replica->setup.protocol;
    struct account *account = &replica->accounts[from];
    if (bytes.size < CORE_BYTES_MIN) {
        replica->counters.messages_refused++;
        return;
    }
    uint32_t cost = protocol->cost(bytes);
    if (cost > COST_LOOK && !protocol->wants(replica->agree.core, bytes)) {
        replica->counters.link_messages_useless++;
        return;
    }
    /*
     * A view change brings messages with hundreds of signatures. A sender may have up to COST_MAX of them open, or a
     * single message.
     */
    bool much = account->cost_open > 0 && (account->cost_open > COST_MAX || cost > COST_MAX - account->cost_open);
    if (much || !afford(replica, account, cost)) {
        ORD_MARK(ALLOWANCE_SPENT);
        replica->counters.link_jobs_over_share++;
        return;
    }
    /*
     * A sender's later messages stay behind its costly ones, because votes of a new view are of no use before the
     * NEW-VIEW.
     */
    bool costly = cost > COST_VOTE || account->costly_open > 0;
    struct replica_check *check = account_check(replica, REPLICA_CHECK_MESSAGE,
                                                costly ? REPLICA_QUEUE_VIEWS : REPLICA_QUEUE_VOTES, from, bytes, owner);
    if (check == NULL)
        return;
    check->message.cost = cost;
    check->message.costly = costly;
    account->cost_open += cost;
    account->costly_open += costly;
    replica->counters.messages_authenticated++;
    check_hand_out(replica, check);
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
