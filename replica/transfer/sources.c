/*
 * State transfer: what the asker knows of its sources, and whom it asks.
 *
 * Several sources are asked at once, each for another range, so none of them decides how fast the transfer goes. Each
 * has a rate: bytes a second from request to answer. Only sources that are near the best one's rate are asked again.
 * One at a time, a source that is not measured or has rested for a while is tried out, so the slowest is replaced again
 * and again, and a source that was slow once is not forgotten.
 *
 * No limit of time decides whether a source is slow, because a liar would stay just under it. Sources are compared with
 * each other. While the range that is needed next is under way with a source that takes longer than the best one would,
 * another source is asked for it as well (sync_source_wait_ms). So f sources that are as slow as they like together
 * hold each range up by a small multiple of an honest source's time, and are seldom asked again.
 */
#include "core/assert.h"
#include "replica/marks.h"
#include "replica/replica_internal.h"

enum {
    /* A source with less than this part of the best rate is not asked again before it has rested. */
    SLOW_PART = 4,
    REST_MS = 3000,
    PATIENCE_MS_MIN = 500,
    PATIENCE_MS_MAX = 4000,
    /* Another source is asked after twice the time that the best one would take, within these limits. */
    WAIT_MS_MIN = 50,
    WAIT_MS_UNKNOWN = 250,
    WAIT_MS_MAX = 1000,
    /* A source that has nothing rests for so long, and twice as long each further time. */
    MISSING_MS_MIN = 100,
    MISSING_MS_MAX = 1000,
    LIED_MS = 60000,
    /* The quota with some slack, because the source's seconds begin elsewhere. */
    PACE_BYTES_PER_MS = SYNC_QUOTA_BYTES_PER_S / 1024 * 15 / 16,
};

static struct sync_source *source_of(struct replica *replica, ord_node_id id) {
    ORD_ASSERT(id < ORD_REPLICA_MAX);
    return &replica->sync.sources[id];
}

static ord_replica_set connected(const struct replica *replica) {
    ord_replica_set all = replica_host(replica)->connected(replica_host(replica)->context);
    return all & ~ord_replica_bit(replica_self(replica));
}

/* The best rate in the set, without sources that failed or lied; 0: none is measured. */
static uint64_t best_rate(const struct replica *replica, ord_replica_set set) {
    uint64_t best = 0;
    for (ord_node_id id = 0; id < replica_config(replica)->replica_count; id++) {
        const struct sync_source *source = &replica->sync.sources[id];
        if ((set & ord_replica_bit(id)) != 0 && !source->failed && source->barred_ms <= replica->turn.now_ms)
            best = ord_max(best, source->rate);
    }
    return best;
}

enum grade { GRADE_NONE, GRADE_BARRED, GRADE_SLOW, GRADE_TRIAL, GRADE_GOOD };

struct field {
    ord_replica_set connected;
    ord_replica_set barred;
    ord_replica_set good; /* near the best rate */
    ord_replica_set soon; /* of these, the ones that are free or may be soon */
    uint32_t trials;      /* under way, and not for long */
    uint64_t best;
};

/* True if its last answer came, at a rate near the best. */
static bool is_good(const struct sync_source *source, uint64_t best) {
    return !source->failed && source->rate != 0 && source->rate >= best / SLOW_PART;
}

static void look_around(const struct replica *replica, struct field *out) {
    uint64_t now_ms = replica->turn.now_ms;
    *out = (struct field) {.connected = connected(replica)};
    out->best = best_rate(replica, out->connected);
    for (ord_node_id id = 0; id < replica_config(replica)->replica_count; id++) {
        const struct sync_source *source = &replica->sync.sources[id];
        if (now_ms < source->barred_ms)
            out->barred |= ord_replica_bit(id);
        else if (is_good(source, out->best))
            out->good |= ord_replica_bit(id) & out->connected;
        bool recent = now_ms < source->asked_ms + WAIT_MS_UNKNOWN;
        if (!source->asked || recent)
            out->soon |= out->good & ord_replica_bit(id);
        out->trials += source->asked && source->trial && recent;
    }
}

static enum grade grade_of(const struct replica *replica, ord_node_id id, const struct field *field,
                           const struct sync_want *want) {
    const struct sync_source *source = &replica->sync.sources[id];
    uint64_t now_ms = replica->turn.now_ms;
    if ((field->connected & ord_replica_bit(id)) == 0 || source->asked || now_ms < source->free_ms ||
        (want->asked & ord_replica_bit(id)) != 0)
        return GRADE_NONE;
    if (now_ms < source->barred_ms)
        return GRADE_BARRED;
    if ((field->good & ord_replica_bit(id)) != 0)
        return GRADE_GOOD;
    bool rested = (!source->failed && source->rate == 0) || now_ms >= source->asked_ms + REST_MS;
    bool may_try = field->best == 0 || field->trials == 0;
    return rested && may_try ? GRADE_TRIAL : GRADE_SLOW;
}

/* True if `a` is to be asked rather than `b`, which has the same grade. */
static bool better(const struct replica *replica, ord_node_id a, ord_node_id b, enum grade grade) {
    const struct sync_source *first = &replica->sync.sources[a];
    const struct sync_source *second = &replica->sync.sources[b];
    if (grade == GRADE_BARRED)
        return first->barred_ms < second->barred_ms;
    if (grade == GRADE_TRIAL || (first->failed && second->failed))
        return first->asked_ms < second->asked_ms;
    return first->failed == second->failed ? first->rate > second->rate : second->failed;
}

/*
 * What the transfer waits for goes to a good source, which will soon be free if it is not, and to others only where
 * there is no further good one. A slow source is asked for nothing else. A source that lied is asked only where
 * everybody else was asked in vain.
 */
static bool usable(enum grade grade, const struct field *field, const struct sync_want *want, bool first) {
    ord_replica_set left = field->connected & ~want->asked;
    if (grade == GRADE_BARRED)
        return first && (left & ~field->barred) == 0;
    if (grade == GRADE_SLOW)
        return first && (left & field->soon) == 0;
    if (grade == GRADE_TRIAL)
        return !first || (left & field->soon) == 0;
    return grade != GRADE_NONE;
}

/* Later ranges go to a source on trial first, because there is time to ask another one. */
static bool preferred(enum grade a, enum grade b, bool first) {
    if (!first && a != b && a >= GRADE_TRIAL && b >= GRADE_TRIAL)
        return a == GRADE_TRIAL;
    return a > b;
}

ord_node_id sync_source_choose(const struct replica *replica, const struct sync_want *want, bool first, bool *trial) {
    uint32_t count = replica_config(replica)->replica_count;
    struct field field;
    look_around(replica, &field);
    ord_node_id chosen = ORD_NO_NODE;
    enum grade grade = GRADE_NONE;
    for (uint32_t i = 1; i <= count; i++) {
        ord_node_id id = (replica->sync.newest_source + i) % count;
        enum grade its = grade_of(replica, id, &field, want);
        if (!usable(its, &field, want, first))
            continue;
        if (chosen == ORD_NO_NODE || preferred(its, grade, first) ||
            (its == grade && better(replica, id, chosen, its))) {
            chosen = id;
            grade = its;
        }
    }
    *trial = grade == GRADE_TRIAL;
    return chosen;
}

static uint64_t expected_ms(uint64_t rate) {
    const uint64_t bytes = SYNC_REQUEST_BYTES_MIN + SYNC_PIECE_BYTES_MAX;
    return bytes * 1000 / rate;
}

uint64_t sync_source_wait_ms(const struct replica *replica, const struct sync_want *want) {
    uint64_t best = best_rate(replica, connected(replica) & ~want->asked);
    uint64_t wait_ms = best == 0 ? WAIT_MS_UNKNOWN : 2 * expected_ms(best);
    wait_ms = wait_ms < WAIT_MS_MIN ? WAIT_MS_MIN : ord_min(wait_ms, WAIT_MS_MAX);
    /* Where several are late, the network may be, so each further one costs more patience. */
    uint32_t others = ord_replica_count(want->asked);
    return ord_min(wait_ms << (others > 1 ? ord_min(others - 1, 4) : 0), WAIT_MS_MAX);
}

void sync_source_ask(struct replica *replica, ord_node_id id, struct sync_want *want, bool trial) {
    struct sync_source *source = source_of(replica, id);
    uint64_t now_ms = replica->turn.now_ms;
    ORD_MARK_IF(trial && source->rate != 0, SYNC_SOURCE_TRIED_AGAIN);
    ORD_MARK_IF(want->asked != 0, SYNC_ASKED_TWICE);
    source->asked = true;
    source->trial = trial;
    source->kind = want->kind;
    source->first = want->kind == SYNC_TAIL ? want->seq : want->first;
    source->asked_ms = now_ms;
    source->patience_ms = ord_max(source->patience_ms, PATIENCE_MS_MIN);
    /* Also what it does not answer counts for its quota. */
    source->free_ms = now_ms + SYNC_REQUEST_BYTES_MIN / PACE_BYTES_PER_MS;
    replica->sync.newest_source = id;
    want->asked |= ord_replica_bit(id);
    want->asked_ms = now_ms;
}

/* Bytes a second since the request. */
static uint64_t sample(const struct replica *replica, const struct sync_source *source, uint64_t bytes) {
    return bytes * 1000 / (replica->turn.now_ms - source->asked_ms + 1) + 1;
}

/* A rate falls faster than it rises, so a source cannot save up for a time in which it is slow. */
static void rate_with(struct sync_source *source, uint64_t rate) {
    if (source->rate == 0)
        source->rate = rate;
    else
        source->rate = rate < source->rate ? (source->rate + rate) / 2 : (3 * source->rate + rate) / 4;
}

static void answered(struct replica *replica, struct sync_source *source, size_t size) {
    uint64_t bytes = ord_max(size, SYNC_REQUEST_BYTES_MIN);
    source->asked = false;
    source->free_ms = ord_max(source->free_ms, source->asked_ms + bytes / PACE_BYTES_PER_MS);
    uint64_t took_ms = replica->turn.now_ms - source->asked_ms;
    source->patience_ms = ord_min(ord_max(2 * took_ms, PATIENCE_MS_MIN), PATIENCE_MS_MAX);
}

void sync_source_served(struct replica *replica, ord_node_id id, size_t size, bool whole) {
    struct sync_source *source = source_of(replica, id);
    /* A request costs the same however much it brings, unless the source kept something back. */
    source->failed = false;
    source->missing_ms = 0;
    rate_with(source, sample(replica, source, size + (whole ? SYNC_REQUEST_BYTES_MIN : 0)));
    answered(replica, source, size);
}

void sync_source_was_late(struct replica *replica, ord_node_id id, size_t size) {
    struct sync_source *source = source_of(replica, id);
    uint64_t rate = sample(replica, source, size + SYNC_REQUEST_BYTES_MIN);
    if (source->rate == 0 || rate < source->rate)
        rate_with(source, rate);
    answered(replica, source, size);
}

void sync_source_missing(struct replica *replica, ord_node_id id) {
    struct sync_source *source = source_of(replica, id);
    answered(replica, source, 0);
    source->failed = true;
    source->missing_ms = ord_min(ord_max(2 * source->missing_ms, MISSING_MS_MIN), MISSING_MS_MAX);
    source->free_ms = ord_max(source->free_ms, replica->turn.now_ms + source->missing_ms);
}

void sync_source_attested(struct replica *replica, ord_node_id id, uint64_t seq) {
    struct sync_source *source = source_of(replica, id);
    if (seq <= source->attested_seq)
        return;
    source->attested_seq = seq;
    sync_source_renew(replica, id);
}

void sync_source_renew(struct replica *replica, ord_node_id id) {
    struct sync_source *source = source_of(replica, id);
    if (source->missing_ms == 0)
        return;
    source->missing_ms = 0;
    source->free_ms = ord_min(source->free_ms, source->asked_ms + MISSING_MS_MIN);
}

void sync_source_lied(struct replica *replica, ord_node_id id) {
    struct sync_source *source = source_of(replica, id);
    answered(replica, source, 0);
    source->rate = 0;
    source->barred_ms = replica->turn.now_ms + LIED_MS;
    source->free_ms = ord_max(source->free_ms, replica->turn.now_ms + MISSING_MS_MIN);
}

bool sync_source_overdue(struct replica *replica, ord_node_id id) {
    struct sync_source *source = source_of(replica, id);
    if (!source->asked || replica->turn.now_ms < source->asked_ms + source->patience_ms)
        return false;
    ORD_MARK(SYNC_SOURCE_LATE);
    source->asked = false;
    source->failed = true;
    source->patience_ms = ord_min(2 * source->patience_ms, PATIENCE_MS_MAX);
    return true;
}

uint64_t sync_source_due_ms(const struct replica *replica, ord_node_id id) {
    const struct sync_source *source = &replica->sync.sources[id];
    uint64_t at_ms = source->asked ? source->asked_ms + source->patience_ms : source->free_ms;
    return at_ms > replica->turn.now_ms ? at_ms : UINT64_MAX;
}
