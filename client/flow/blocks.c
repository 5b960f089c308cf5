/* The wait in an open block. */
#include "client/flow/blocks.h"

/* From this part (3/4) of a bound on, a block may have been closed because it was full, or BatchTimeout was over. */
#define NEARLY_OF 4u
#define NEARLY    3u

void client_blocks_seen(struct client_blocks *blocks, uint64_t height, uint64_t now_us) {
    if (height > blocks->height)
        *blocks = (struct client_blocks) {.height = height, .since_us = now_us};
}

static bool nearly(uint64_t part, uint64_t whole) {
    return part * NEARLY_OF >= whole * NEARLY;
}

uint64_t client_blocks_idle_us(const struct client_blocks *sent, const struct channel_config *config,
                               const struct channel_header *header, uint64_t now_us) {
    uint64_t most_us = (uint64_t) config->batch_timeout_ms * 1000u;
    /* Before the first receipt, nothing is known of other blocks. */
    if (sent->height == 0)
        return most_us;
    if (header->height <= sent->height)
        return 0;
    uint64_t open_us = (now_us - sent->since_us) / (header->height - sent->height);
    if (nearly(open_us, most_us))
        return open_us < most_us ? open_us : most_us;
    bool full = nearly(header->transaction_count, config->max_message_count) ||
                nearly(header->byte_count, config->preferred_max_bytes);
    return full ? open_us / 2 : open_us;
}
