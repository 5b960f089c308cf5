/*
 * Makes the core's configuration from the host's options. This is the only file of replica/ that names the protocols.
 */
#include "replica/replica_internal.h"

#include "solo/solo.h"

enum {
    TURN_BATCHES = 8, /* batches that a turn may make durable */
    TURN_SLACK_BYTES = 16 << 20,
};

const struct ord_protocol *replica_protocol(const struct channel_config *config) {
    return config->consensus == CHANNEL_SOLO ? &solo_protocol : &bft_pbft;
}

enum ord_err setup_init(struct setup *out, const struct replica_options *options) {
    const struct channel_config *config = options->config;
    out->options = *options;
    out->protocol = options->protocol != NULL ? options->protocol : replica_protocol(config);
    channel_core_config(&out->core_config, config, options->genesis_hash, options->self, options->crypto);
    if (config->consensus == CHANNEL_PBFT) {
        out->checkpoints = (struct channel_checkpoints) {
            .config = config, .genesis_hash = options->genesis_hash, .crypto = options->crypto};
        out->bft = (struct bft_options) {.decisions_per_leader = config->decisions_per_leader,
                                         .request_timeout_ms = config->request_timeout_ms};
        channel_checkpoint_ops(&out->bft.checkpoints, &out->checkpoints);
        out->core_config.options = &out->bft;
    }
    return out->protocol->memory_size(&out->core_config) == 0 ? ORD_ERR_INVALID : ORD_OK;
}

size_t replica_message_bytes_max(const struct replica_options *options) {
    struct setup setup;
    if (setup_init(&setup, options) != ORD_OK)
        return 0;
    /*
     * The longest message is one of the core, or a piece of a state transfer, whose last block may pass the piece's
     * bound. A forwarded batch is shorter than such a piece.
     */
    size_t batch = (size_t) options->config->batch_bytes_max + options->config->preferred_max_bytes;
    size_t piece = SYNC_PIECE_BYTES_MAX + batch + SYNC_LATER_HEADERS_MAX * (size_t) CHANNEL_HEADER_SIZE +
                   CHANNEL_CERTIFICATE_SIZE_MAX + SYNC_PIECE_SLACK;
    return ord_max(piece, setup.protocol->message_size_max(&setup.core_config));
}

uint64_t replica_turn_bytes_max(const struct replica_options *options) {
    struct setup setup;
    if (setup_init(&setup, options) != ORD_OK)
        return 0;
    /* A new view and the view changes that it rests on are kept in one turn. */
    return (uint64_t) options->config->batch_bytes_max * TURN_BATCHES + TURN_SLACK_BYTES +
           (uint64_t) options->config->replica_count * setup.protocol->message_size_max(&setup.core_config);
}
