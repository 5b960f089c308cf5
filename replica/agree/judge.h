/*
 * Judging the primary's batches, as JUDGE asks and JUDGED answers.
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
    struct ord_span batch; /* the core's; valid until it gets the verdict, or the judgement is dropped */
    uint32_t jobs_open;
    bool fresh;    /* it was not looked at yet */
    bool waiting;  /* it names a client that is not registered yet: look again when seq - 1 is executed */
    bool checking; /* one of its envelopes is being checked for admission: look again */
    bool bad;
    bool done;
    bool dropped; /* the core moved past it; it is freed when its checks are back */
};

struct judge {
    struct judgement *first;
    /* Something happened that a judgement may have waited for: without it nobody looks at them again in this turn. */
    bool stirred;
};

void judge_deinit(struct replica *replica);
void judge_begin(struct replica *replica, uint64_t view, uint64_t seq, const struct ord_hash *digest,
                 struct ord_span batch);
void judge_checked(struct replica *replica, struct replica_check *check);
/* Something happened that a judgement may wait for: a check for admission came back, or a batch was executed. */
void judge_stir(struct replica *replica);
/* The next verdict, if one is due and the core may have it. */
bool judge_next(struct replica *replica, struct ord_event *out);
/* The core moved past everything up to `seq`. */
void judge_drop(struct replica *replica, uint64_t seq);

#endif
