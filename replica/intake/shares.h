/*
 * Who has how much of something that all share: checks of signatures, by where the envelopes came from. Every source may have a
 * few at any time; one that has more gets them while there are enough for all. So whoever takes all it can get leaves the
 * others theirs.
 */
#ifndef ORDAIN_REPLICA_SHARES_H
#define ORDAIN_REPLICA_SHARES_H

#include "core/err.h"
#include "core/types.h"

struct share {
    uint64_t source;
    uint32_t count;
    uint64_t bytes;
};

struct shares {
    struct share *entries; /* of those who have something */
    uint32_t entry_count;
    uint32_t entries_max;
    uint32_t last; /* looked at last */
    uint32_t total;
    uint32_t total_max;        /* in all, but for what is a source's at any time */
    uint64_t source_bytes_max; /* of one source, but always one */
};

/* The bounds are the caller's to set. */
ORD_MUST_USE enum ord_err shares_init(struct shares *shares, uint32_t sources_max);
void shares_deinit(struct shares *shares);
/* How many a source may have: whatever the others have, and at most. */
struct share_limits {
    uint32_t at_any_time;
    uint32_t most;
};
/* One more, of so many bytes. False: not now. */
ORD_MUST_USE bool shares_take(struct shares *shares, uint64_t source, const struct share_limits *limits,
                              uint64_t bytes);
void shares_give_back(struct shares *shares, uint64_t source, uint64_t bytes);

#endif
