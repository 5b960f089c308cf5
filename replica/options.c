/*
 * Makes the core's configuration from the host's options. This is the only file of replica/ that names the protocols.
 */
#include "replica/replica_internal.h"

#include "raft/raft.h"
#include "solo/solo.h"

enum {
    TURN_BATCHES = 8, /* batches that a turn may make durable */
    TURN_SLACK_BYTES = 16 << 20,
    /* raft: what is on its way to one follower. On a link of 1 Gbit/s this is more than a round trip of 60 ms holds. */
    IN_FLIGHT_MAX = 256,
    IN_FLIGHT_SIZE = 8 << 20,
};

const struct ord_protocol *replica_protocol(const struct channel_config *config) {
    switch (config->consensus) {
    case CHANNEL_RAFT:
        return &raft_protocol;
    case CHANNEL_PBFT:
        return &bft_pbft;
    case CHANNEL_SOLO:
        break;
    }
    return &solo_protocol;
}

static void set_bft(struct setup *setup, const struct channel_config *config) {
    setup->bft = (struct bft_options) {.decisions_per_leader = config->decisions_per_leader,
                                       .request_timeout_ms = config->request_timeout_ms};
    channel_checkpoint_ops(&setup->bft.checkpoints, &setup->checkpoints);
    setup->core_config.options = &setup->bft;
}

static void set_raft(struct setup *setup, const struct channel_config *config) {
    setup->raft = (struct raft_options) {.election_ms_min = config->raft.election_ms_min,
                                         .election_ms_max = config->raft.election_ms_max,
                                         .heartbeat_ms = config->raft.heartbeat_ms,
                                         .in_flight_max = IN_FLIGHT_MAX,
                                         .in_flight_size = IN_FLIGHT_SIZE,
                                         .snapshot_bytes = config->raft.snapshot_bytes};
    channel_checkpoint_ops(&setup->raft.checkpoints, &setup->checkpoints);
    setup->core_config.options = &setup->raft;
}

enum ord_err setup_init(struct setup *out, const struct replica_options *options) {
    const struct channel_config *config = options->config;
    out->options = *options;
    out->protocol = options->protocol != NULL ? options->protocol : replica_protocol(config);
    channel_core_config(&out->core_config, config, options->genesis_hash, options->self, options->crypto);
    out->checkpoints = (struct channel_checkpoints) {
        .config = config, .genesis_hash = options->genesis_hash, .crypto = options->crypto};
    if (config->consensus == CHANNEL_PBFT)
        set_bft(out, config);
    else if (config->consensus == CHANNEL_RAFT)
        set_raft(out, config);
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
