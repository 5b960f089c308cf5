/*
 * How long an envelope may have waited in an open block, as far as its client can tell from receipts. Blocks are open
 * one after the other. So an envelope waits in its block no longer than BatchTimeout, and no longer than the time since
 * the block before. How full a block is does not tell why it was closed: one that lacks room for a second envelope of
 * some size waits for BatchTimeout all the same while that second one does not come.
 *
 * Pure: time is given in.
 */
#ifndef ORDAIN_CLIENT_BLOCKS_H
#define ORDAIN_CLIENT_BLOCKS_H

#include <stdint.h>

#include "channel/block.h"
#include "channel/config.h"

/* The newest block that the client has a receipt from, and when the first of these came. Zeros: it has none. */
struct client_blocks {
    uint64_t height;
    uint64_t since_us;
};

/* A verified receipt came from a block of this height. */
void client_blocks_seen(struct client_blocks *blocks, uint64_t height, uint64_t now_us);
/*
 * `sent`: what was known when the envelope was sent; `header`: the block that it is in. The blocks since then give the
 * time that one block was open, on average over the envelope's whole way. An envelope in a block that was filled
 * waited there for half of that, on average.
 */
uint64_t client_blocks_idle_us(const struct client_blocks *sent, const struct channel_config *config,
                               const struct channel_header *header, uint64_t now_us);

#endif
