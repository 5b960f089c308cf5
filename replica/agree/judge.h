/*
 * Judging the primary's batches: JUDGE asks, and JUDGED answers.
 */
#ifndef ORDAIN_REPLICA_JUDGE_H
#define ORDAIN_REPLICA_JUDGE_H

#include "core/protocol.h"
#include "replica/verify.h"

struct judgement {
    struct judgement *next;
    uint64_t view;
    uint64_t seq;
    struct ord_hash digest;
    /* The batch has to name `view`; otherwise it must name none. */
    bool names_view;
    /* The core's. It is valid until the core gets the verdict, or until the judgement is dropped. */
    struct ord_span batch;
    uint32_t jobs_open;
    /* Registrations from this envelope of the batch on are not checked yet; UINT32_MAX: all are. */
    uint32_t newcomers_from;
    bool fresh; /* not looked at yet */
    /* Its form is judged, and checks are handed out. */
    bool looked;
    /* The batch names a client that is not registered yet. It is looked at again when seq - 1 is executed. */
    bool waiting;
    /* One of its envelopes is being checked for admission. It is looked at again. */
    bool checking;
    bool bad;
    bool lean; /* `judged.lean` of core/protocol.h */
    bool done;
    /* The core moved past it. It is freed when its checks are back. */
    bool dropped;
};

struct judge {
    struct judgement *first;
    /* Something happened that a judgement may have waited for. Otherwise they are not looked at again in this turn. */
    bool stirred;
    /* Judgements up to this seq are dropped. */
    uint64_t stable_seq;
};

void judge_deinit(struct replica *replica);
/* `effect` is a JUDGE. */
void judge_begin(struct replica *replica, const struct ord_effect *effect);
void judge_checked(struct replica *replica, struct replica_check *check);
/* Something happened that a judgement may wait for: a check for admission came back, or a batch was executed. */
void judge_stir(struct replica *replica);
/* Gives the next verdict, if there is one and the core may have it. */
bool judge_next(struct replica *replica, struct ord_event *out);
/* Drops the judgements up to `seq`: the core moved past them. */
void judge_drop(struct replica *replica, uint64_t seq);

#endif
