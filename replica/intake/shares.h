/*
 * Each source's part of something that all sources share: the checks of signatures. A source is where the envelopes
 * came from. Every source may have a few at any time. A source that already has more gets further ones while there are
 * enough for all. So a source that takes all it can get still leaves the others theirs.
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
    /* The sources that have something now. */
    struct share *entries;
    uint32_t entry_count;
    uint32_t entries_max;
    /* Index of the entry that was found last. */
    uint32_t last;
    uint32_t total;
    /* Limit of the total. The guaranteed ones may exceed it. */
    uint32_t total_max;
    /* Limit of one source's bytes. A single item may exceed it. */
    uint64_t source_bytes_max;
};

/* The caller sets the two limits afterwards. */
ORD_MUST_USE enum ord_err shares_init(struct shares *shares, uint32_t sources_max);
void shares_deinit(struct shares *shares);
/* `at_any_time`: guaranteed even when the total is exhausted. `most`: upper limit. */
struct share_limits {
    uint32_t at_any_time;
    uint32_t most;
};
/* Takes one more item, of this many bytes. False: the source may not have it now. */
ORD_MUST_USE bool shares_take(struct shares *shares, uint64_t source, const struct share_limits *limits,
                              uint64_t bytes);
void shares_give_back(struct shares *shares, uint64_t source, uint64_t bytes);
/* What a source has now: the number of its items, and their bytes. Both are 0 for a source that has nothing. */
void shares_of(struct shares *shares, uint64_t source, uint32_t *count, uint64_t *bytes);

#endif
