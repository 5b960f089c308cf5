/*
 * Shares: a short list. A search begins where the last one ended, because a request brings many envelopes of one
 * source.
 */
#include "replica/intake/shares.h"

#include <stdlib.h>

#include "core/assert.h"

enum ord_err shares_init(struct shares *shares, uint32_t sources_max) {
    *shares = (struct shares) {.entries = calloc(sources_max, sizeof(*shares->entries)), .entries_max = sources_max};
    return shares->entries == NULL ? ORD_ERR_NO_MEMORY : ORD_OK;
}

void shares_deinit(struct shares *shares) {
    free(shares->entries);
}

static struct share *find(struct shares *shares, uint64_t source) {
    if (shares->last < shares->entry_count && shares->entries[shares->last].source == source)
        return &shares->entries[shares->last];
    for (uint32_t i = 0; i < shares->entry_count; i++)
        if (shares->entries[i].source == source) {
            shares->last = i;
            return &shares->entries[i];
        }
    return NULL;
}

bool shares_take(struct shares *shares, uint64_t source, const struct share_limits *limits, uint64_t bytes) {
    struct share *share = find(shares, source);
    if (share != NULL && (share->count >= limits->most || bytes > shares->source_bytes_max ||
                          share->bytes > shares->source_bytes_max - bytes))
        return false;
    if ((share == NULL ? 0 : share->count) >= limits->at_any_time && shares->total >= shares->total_max)
        return false;
    if (share == NULL) {
        if (shares->entry_count == shares->entries_max)
            return false;
        share = &shares->entries[shares->entry_count++];
        *share = (struct share) {.source = source};
    }
    share->count++;
    share->bytes += bytes;
    shares->total++;
    return true;
}

void shares_give_back(struct shares *shares, uint64_t source, uint64_t bytes) {
    struct share *share = find(shares, source);
    ORD_ASSERT(share != NULL && share->count > 0 && share->bytes >= bytes);
    share->bytes -= bytes;
    shares->total--;
    if (--share->count == 0)
        *share = shares->entries[--shares->entry_count];
}

void shares_of(struct shares *shares, uint64_t source, uint32_t *count, uint64_t *bytes) {
    const struct share *share = find(shares, source);
    *count = share == NULL ? 0 : share->count;
    *bytes = share == NULL ? 0 : share->bytes;
}
