/*
 * A channel's configuration: defaults, the rules that it must keep, its encoding, and
 * the values that other code derives from it.
 */
#include "channel/config.h"

#include <string.h>

#include "channel/envelope.h"
#include "core/quorum.h"

/*
 * Version 4 has the field decisions_per_leader. It is used exactly when that is not 0, so that each configuration has
 * one encoding. Versions 1 and 2 had no names of replicas.
 */
#define CONFIG_VERSION        3
#define CONFIG_VERSION_ROTATE 4

/* Bounds that only exclude senseless values. */
#define ENVELOPE_BYTES_MIN   1024u /* a registration fits into this */
#define WINDOW_MAX           65536u
#define TIMEOUT_MS_MAX       3600000u
#define BATCH_BYTES_LIMIT    (CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT + (64u << 20))
#define BODY_BYTES_LIMIT     ((uint64_t) 64 << 30)
#define BFT_REPLICAS_MIN     4
#define ELECTION_MS_LEAST    10u
#define ELECTION_MS_MOST     60000u
#define BODY_BATCHES_MIN     4
#define CHECKPOINTS_A_WINDOW 2

void channel_config_defaults(struct channel_config *out, enum channel_consensus consensus) {
    memset(out, 0, sizeof(*out));
    out->consensus = consensus;
    out->epoch = 1;
    out->absolute_max_bytes = 1u << 20;
    out->preferred_max_bytes = 512u << 10;
    out->max_message_count = 500;
    out->batch_timeout_ms = 200;
    out->window = 256;
    out->checkpoint_interval = 64;
    out->batch_bytes_max = 2u << 20;
    out->body_bytes_max = 64u << 20;
    out->retransmit_ms = 100;
    out->request_timeout_ms = 1000;
    out->clients_max = 1024;
    if (consensus != CHANNEL_RAFT)
        return;
    out->raft = (struct channel_raft) {
        .election_ms_min = 300, .election_ms_max = 600, .heartbeat_ms = 60, .snapshot_bytes = 16u << 20};
}

/* Sets `why` (may be NULL) to the sentence and returns `err`. */
static enum ord_err refuse(const char **why, enum ord_err err, const char *sentence) {
    if (why != NULL)
        *why = sentence;
    return err;
}

#define REQUIRE(condition, sentence)                                                                                   \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return refuse(why, ORD_ERR_INVALID, sentence);                                                             \
    } while (0)

static bool within(uint64_t value, uint64_t low, uint64_t high) {
    return value >= low && value <= high;
}

/* Length of a NUL-terminated text in a field of `capacity` bytes, or `capacity` if the terminator is missing. */
static size_t text_size(const char *text, size_t capacity) {
    const char *end = memchr(text, '\0', capacity);
    return end == NULL ? capacity : (size_t) (end - text);
}

static bool lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool name_is_sane(const char *name) {
    size_t size = text_size(name, CHANNEL_NAME_MAX + 1);
    if (size == 0 || size > CHANNEL_NAME_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!lower_or_digit(name[i]) && name[i] != '.' && name[i] != '_' && name[i] != '-')
            return false;
    return true;
}

/* What a certificate's CN may be (net/tls_verify.c). */
static bool member_name_is_sane(const char *name) {
    size_t size = text_size(name, CRYPTO_NAME_MAX + 1);
    if (size == 0 || size > CRYPTO_NAME_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if ((uint8_t) name[i] < 0x20 || name[i] == 0x7f)
            return false;
    return true;
}

/* Accepts a host name, an IPv4 address, or an IPv6 address with or without brackets. */
static bool host_is_sane(const char *host) {
    size_t size = text_size(host, CHANNEL_HOST_MAX + 1);
    if (size == 0 || size > CHANNEL_HOST_MAX)
        return false;
    for (size_t i = 0; i < size; i++) {
        bool upper = host[i] >= 'A' && host[i] <= 'Z';
        if (!upper && !lower_or_digit(host[i]) && strchr(".-_:[]%", host[i]) == NULL)
            return false;
    }
    return true;
}

uint64_t channel_batch_bytes_least(const struct channel_config *config) {
    uint64_t view_size = config->decisions_per_leader > 0 ? CHANNEL_BATCH_VIEW_SIZE : 0;
    return (uint64_t) config->absolute_max_bytes + CHANNEL_BATCH_OVERHEAD + view_size;
}

static enum ord_err check_numbers(const struct channel_config *config, const char **why) {
    REQUIRE(within(config->epoch, 1, UINT64_MAX), "epoch starts at 1");
    REQUIRE(within(config->absolute_max_bytes, ENVELOPE_BYTES_MIN, CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT),
            "absolute_max_bytes must be between 1 KiB and 64 MiB");
    REQUIRE(within(config->preferred_max_bytes, 1, CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT),
            "preferred_max_bytes must be between 1 byte and 64 MiB");
    REQUIRE(within(config->max_message_count, 1, CHANNEL_MESSAGE_COUNT_LIMIT),
            "max_message_count must be between 1 and 65536");
    REQUIRE(within(config->batch_timeout_ms, 0, TIMEOUT_MS_MAX), "batch_timeout_ms must be at most an hour");
    REQUIRE(within(config->window, 2, WINDOW_MAX), "window must be between 2 and 65536");
    REQUIRE(config->checkpoint_interval >= 1, "checkpoint_interval must be at least 1");
    REQUIRE((uint64_t) config->checkpoint_interval * CHECKPOINTS_A_WINDOW <= config->window,
            "checkpoint_interval must be at most half of window");
    REQUIRE(channel_batch_bytes_least(config) <= config->batch_bytes_max,
            "batch_bytes_max must hold an envelope of absolute_max_bytes and 17 bytes more (25 if views rotate)");
    REQUIRE(config->batch_bytes_max <= BATCH_BYTES_LIMIT, "batch_bytes_max must be at most 128 MiB");
    REQUIRE(within(config->body_bytes_max, (uint64_t) config->batch_bytes_max * BODY_BATCHES_MIN, BODY_BYTES_LIMIT),
            "body_bytes_max must hold 4 batches, and be at most 64 GiB");
    /* Only points of attestation free bodies, so all batches up to a block's close must fit into the primary's half. */
    REQUIRE((uint64_t) config->preferred_max_bytes + config->batch_bytes_max <= config->body_bytes_max / 2,
            "half of body_bytes_max must hold a block of preferred_max_bytes and a batch");
    REQUIRE(within(config->retransmit_ms, 1, TIMEOUT_MS_MAX), "retransmit_ms must be between 1 ms and an hour");
    REQUIRE(within(config->request_timeout_ms, 1, TIMEOUT_MS_MAX),
            "request_timeout_ms must be between 1 ms and an hour");
    REQUIRE(config->decisions_per_leader == 0 || config->consensus == CHANNEL_PBFT,
            "decisions_per_leader is for pbft alone");
    REQUIRE(within(config->clients_max, 1, CHANNEL_CLIENTS_LIMIT), "clients_max must be between 1 and 65536");
    return ORD_OK;
}

static enum ord_err check_raft(const struct channel_config *config, const char **why) {
    const struct channel_raft *raft = &config->raft;
    if (config->consensus != CHANNEL_RAFT) {
        REQUIRE(raft->election_ms_min == 0 && raft->election_ms_max == 0 && raft->heartbeat_ms == 0 &&
                    raft->snapshot_blocks == 0 && raft->snapshot_bytes == 0 && !raft->check_forwards,
                "the numbers of raft are for raft alone");
        return ORD_OK;
    }
    REQUIRE(within(raft->election_ms_min, ELECTION_MS_LEAST, ELECTION_MS_MOST) &&
                within(raft->election_ms_max, ELECTION_MS_LEAST, ELECTION_MS_MOST),
            "election_ms_min and election_ms_max must be between 10 ms and a minute");
    REQUIRE(raft->election_ms_min < raft->election_ms_max, "election_ms_max must be more than election_ms_min");
    REQUIRE(within(raft->heartbeat_ms, 1, raft->election_ms_min / 2),
            "heartbeat_ms must be between 1 ms and half of election_ms_min");
    return ORD_OK;
}

static enum ord_err check_orgs(const struct channel_config *config, const char **why) {
    REQUIRE(within(config->org_count, 1, CHANNEL_ORG_MAX), "there must be 1 to 64 organisations");
    for (uint32_t i = 0; i < config->org_count; i++) {
        const struct channel_org *org = &config->orgs[i];
        size_t size = text_size(org->name, sizeof(org->name));
        REQUIRE(within(size, 1, CRYPTO_NAME_MAX), "an organisation's name must have 1 to 64 bytes");
        for (uint32_t j = 0; j < i; j++)
            REQUIRE(strcmp(org->name, config->orgs[j].name) != 0, "two organisations have one name");
        REQUIRE(within(org->ca_der_size, 1, CRYPTO_CERT_DER_MAX), "an organisation's CA certificate has no sane size");
        char name[CRYPTO_NAME_MAX + 1];
        REQUIRE(crypto_ca_check(name, ord_span_of(org->ca_der, org->ca_der_size)) == ORD_OK,
                "an organisation's CA certificate is not one that Ordain can use");
        REQUIRE(strcmp(name, org->name) == 0, "an organisation's CA certificate is in another organisation's name");
    }
    return ORD_OK;
}

static enum ord_err check_replicas(const struct channel_config *config, const char **why) {
    for (uint32_t i = 0; i < config->replica_count; i++) {
        const struct channel_replica *replica = &config->replicas[i];
        REQUIRE(replica->org_index < config->org_count, "a replica belongs to no organisation");
        REQUIRE(member_name_is_sane(replica->name),
                "a replica's name must have 1 to 64 bytes, none a control character");
        struct crypto_verify_key key;
        REQUIRE(crypto_verify_key_parse(&key, &replica->key) == ORD_OK, "a replica's key is not on secp256k1");
        REQUIRE(host_is_sane(replica->host), "a replica's host is not a host name or address");
        REQUIRE(replica->replica_port != 0 && replica->client_port != 0, "a replica's port is 0");
        REQUIRE(replica->replica_port != replica->client_port, "a replica has one port for two purposes");
        for (uint32_t j = 0; j < i; j++) {
            const struct channel_replica *other = &config->replicas[j];
            REQUIRE(memcmp(&replica->key, &other->key, sizeof(other->key)) != 0, "two replicas have one key");
            REQUIRE(replica->org_index != other->org_index || strcmp(replica->name, other->name) != 0,
                    "two replicas of an organisation have one name");
            bool one_host = strcmp(replica->host, other->host) == 0;
            bool one_port = replica->replica_port == other->replica_port ||
                            replica->replica_port == other->client_port ||
                            replica->client_port == other->replica_port || replica->client_port == other->client_port;
            REQUIRE(!one_host || !one_port, "two replicas have one host and port");
        }
    }
    return ORD_OK;
}

static enum ord_err check_consensus(const struct channel_config *config, const char **why) {
    REQUIRE(within(config->replica_count, 1, ORD_REPLICA_MAX), "there must be 1 to 64 replicas");
    switch (config->consensus) {
    case CHANNEL_SOLO:
        REQUIRE(config->replica_count == 1, "solo has exactly one replica");
        return ORD_OK;
    case CHANNEL_PBFT:
        REQUIRE(config->replica_count >= BFT_REPLICAS_MIN, "pbft needs at least 4 replicas (n >= 3f + 1)");
        return ORD_OK;
    case CHANNEL_RAFT:
        return ORD_OK;
    }
    return refuse(why, ORD_ERR_INVALID, "consensus must be solo, pbft or raft");
}

enum ord_err channel_config_check(const struct channel_config *config, const char **why) {
    if (why != NULL)
        *why = "";
    REQUIRE(name_is_sane(config->name), "a channel's name has 1 to 64 of the characters a-z 0-9 . _ -");
    enum ord_err err = check_numbers(config, why);
    if (err == ORD_OK)
        err = check_consensus(config, why);
    if (err == ORD_OK)
        err = check_raft(config, why);
    if (err == ORD_OK)
        err = check_orgs(config, why);
    if (err == ORD_OK)
        err = check_replicas(config, why);
    return err;
}

static void write_text(struct ord_writer *writer, const char *text, size_t capacity) {
    ord_write_string(writer, ord_span_of(text, text_size(text, capacity)));
}

static void write_raft(struct ord_writer *writer, const struct channel_raft *raft) {
    ord_write_u32(writer, raft->election_ms_min);
    ord_write_u32(writer, raft->election_ms_max);
    ord_write_u32(writer, raft->heartbeat_ms);
    ord_write_u32(writer, raft->snapshot_blocks);
    ord_write_u64(writer, raft->snapshot_bytes);
    ord_write_u8(writer, raft->check_forwards);
}

enum ord_err channel_config_encode(const struct channel_config *config, struct ord_writer *writer) {
    if (config->org_count > CHANNEL_ORG_MAX || config->replica_count > ORD_REPLICA_MAX)
        return ORD_ERR_INVALID;
    ord_write_u8(writer, config->decisions_per_leader == 0 ? CONFIG_VERSION : CONFIG_VERSION_ROTATE);
    write_text(writer, config->name, CHANNEL_NAME_MAX);
    ord_write_u8(writer, (uint8_t) config->consensus);
    ord_write_u64(writer, config->epoch);
    ord_write_u64(writer, config->config_sequence);
    ord_write_u32(writer, config->absolute_max_bytes);
    ord_write_u32(writer, config->preferred_max_bytes);
    ord_write_u32(writer, config->max_message_count);
    ord_write_u32(writer, config->batch_timeout_ms);
    ord_write_u32(writer, config->window);
    ord_write_u32(writer, config->checkpoint_interval);
    ord_write_u32(writer, config->batch_bytes_max);
    ord_write_u64(writer, config->body_bytes_max);
    ord_write_u32(writer, config->retransmit_ms);
    ord_write_u32(writer, config->request_timeout_ms);
    if (config->decisions_per_leader != 0)
        ord_write_u32(writer, config->decisions_per_leader);
    if (config->consensus == CHANNEL_RAFT)
        write_raft(writer, &config->raft);
    ord_write_u32(writer, config->clients_max);
    ord_write_u32(writer, config->org_count);
    for (uint32_t i = 0; i < config->org_count; i++) {
        const struct channel_org *org = &config->orgs[i];
        if (org->ca_der_size > CRYPTO_CERT_DER_MAX)
            return ORD_ERR_INVALID;
        write_text(writer, org->name, CRYPTO_NAME_MAX);
        ord_write_string(writer, ord_span_of(org->ca_der, org->ca_der_size));
    }
    ord_write_u32(writer, config->replica_count);
    for (uint32_t i = 0; i < config->replica_count; i++) {
        const struct channel_replica *replica = &config->replicas[i];
        ord_write_u32(writer, replica->org_index);
        write_text(writer, replica->name, CRYPTO_NAME_MAX);
        ord_write_bytes(writer, replica->key.bytes, ORD_PUBLIC_KEY_SIZE);
        write_text(writer, replica->host, CHANNEL_HOST_MAX);
        ord_write_u16(writer, replica->replica_port);
        ord_write_u16(writer, replica->client_port);
    }
    return ord_writer_finish(writer);
}

/* Reads a text of at most `size_max` bytes, none of them NUL, into a zeroed field of size_max + 1 bytes. */
static void read_text(struct ord_reader *reader, char *out, size_t size_max) {
    struct ord_span text = ord_read_string(reader, size_max);
    if (text.size == 0)
        return;
    if (memchr(text.data, '\0', text.size) != NULL) {
        reader->failed = true;
        return;
    }
    memcpy(out, text.data, text.size);
}

static void read_org(struct ord_reader *reader, struct channel_org *out) {
    read_text(reader, out->name, CRYPTO_NAME_MAX);
    struct ord_span der = ord_read_string(reader, CRYPTO_CERT_DER_MAX);
    if (der.size > 0)
        memcpy(out->ca_der, der.data, der.size);
    out->ca_der_size = (uint32_t) der.size;
}

static void read_replica(struct ord_reader *reader, struct channel_replica *out) {
    out->org_index = ord_read_u32(reader);
    read_text(reader, out->name, CRYPTO_NAME_MAX);
    ord_read_bytes(reader, out->key.bytes, ORD_PUBLIC_KEY_SIZE);
    read_text(reader, out->host, CHANNEL_HOST_MAX);
    out->replica_port = ord_read_u16(reader);
    out->client_port = ord_read_u16(reader);
}

static void read_raft(struct ord_reader *reader, struct channel_raft *out) {
    out->election_ms_min = ord_read_u32(reader);
    out->election_ms_max = ord_read_u32(reader);
    out->heartbeat_ms = ord_read_u32(reader);
    out->snapshot_blocks = ord_read_u32(reader);
    out->snapshot_bytes = ord_read_u64(reader);
    uint8_t check_forwards = ord_read_u8(reader);
    out->check_forwards = check_forwards == 1;
    reader->failed |= check_forwards > 1;
}

enum ord_err channel_config_decode(struct channel_config *out, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    memset(out, 0, sizeof(*out));
    uint8_t version = ord_read_u8(&reader);
    if (version != CONFIG_VERSION && version != CONFIG_VERSION_ROTATE)
        return ORD_ERR_INVALID;
    read_text(&reader, out->name, CHANNEL_NAME_MAX);
    uint8_t consensus = ord_read_u8(&reader);
    if (consensus < CHANNEL_SOLO || consensus > CHANNEL_RAFT)
        return ORD_ERR_INVALID;
    out->consensus = (enum channel_consensus) consensus;
    out->epoch = ord_read_u64(&reader);
    out->config_sequence = ord_read_u64(&reader);
    out->absolute_max_bytes = ord_read_u32(&reader);
    out->preferred_max_bytes = ord_read_u32(&reader);
    out->max_message_count = ord_read_u32(&reader);
    out->batch_timeout_ms = ord_read_u32(&reader);
    out->window = ord_read_u32(&reader);
    out->checkpoint_interval = ord_read_u32(&reader);
    out->batch_bytes_max = ord_read_u32(&reader);
    out->body_bytes_max = ord_read_u64(&reader);
    out->retransmit_ms = ord_read_u32(&reader);
    out->request_timeout_ms = ord_read_u32(&reader);
    if (version == CONFIG_VERSION_ROTATE)
        out->decisions_per_leader = ord_read_u32(&reader);
    if (version == CONFIG_VERSION_ROTATE && out->decisions_per_leader == 0)
        return ORD_ERR_INVALID;
    if (out->consensus == CHANNEL_RAFT)
        read_raft(&reader, &out->raft);
    out->clients_max = ord_read_u32(&reader);
    out->org_count = ord_read_u32(&reader);
    if (out->org_count > CHANNEL_ORG_MAX)
        return ORD_ERR_INVALID;
    for (uint32_t i = 0; i < out->org_count; i++)
        read_org(&reader, &out->orgs[i]);
    out->replica_count = ord_read_u32(&reader);
    if (out->replica_count > ORD_REPLICA_MAX)
        return ORD_ERR_INVALID;
    for (uint32_t i = 0; i < out->replica_count; i++)
        read_replica(&reader, &out->replicas[i]);
    enum ord_err err = ord_reader_finish(&reader);
    return err != ORD_OK ? err : channel_config_check(out, NULL);
}

static const char *const consensus_names[] = {
    [CHANNEL_SOLO] = "solo", [CHANNEL_PBFT] = "pbft", [CHANNEL_RAFT] = "raft"};

const char *channel_consensus_name(enum channel_consensus consensus) {
    return within(consensus, CHANNEL_SOLO, CHANNEL_RAFT) ? consensus_names[consensus] : "?";
}

enum ord_err channel_consensus_parse(enum channel_consensus *out, const char *name) {
    for (enum channel_consensus consensus = CHANNEL_SOLO; consensus <= CHANNEL_RAFT; consensus++) {
        if (strcmp(name, consensus_names[consensus]) == 0) {
            *out = consensus;
            return ORD_OK;
        }
    }
    return ORD_ERR_INVALID;
}

uint32_t channel_weak_quorum(const struct channel_config *config) {
    switch (config->consensus) {
    case CHANNEL_PBFT:
        return ord_bft_weak_quorum(config->replica_count);
    case CHANNEL_RAFT:
        return ord_majority(config->replica_count); /* f + 1 out of 2f + 1 */
    case CHANNEL_SOLO:
        break;
    }
    return 1;
}

uint32_t channel_liars_max(const struct channel_config *config) {
    return config->consensus == CHANNEL_PBFT ? ord_bft_faulty_max(config->replica_count) : 0;
}

uint32_t channel_strong_quorum(const struct channel_config *config) {
    switch (config->consensus) {
    case CHANNEL_PBFT:
        return ord_bft_quorum(config->replica_count);
    case CHANNEL_RAFT:
        return ord_majority(config->replica_count);
    case CHANNEL_SOLO:
        break;
    }
    return 1;
}

void channel_core_config(struct ord_core_config *out, const struct channel_config *config,
                         const struct ord_hash *genesis_hash, ord_node_id self, const struct ord_crypto_ops *crypto) {
    *out = (struct ord_core_config) {
        .self = self,
        .replica_count = config->replica_count,
        .epoch = config->epoch,
        .genesis_hash = *genesis_hash,
        .window = config->window,
        .checkpoint_interval = config->checkpoint_interval,
        .batch_bytes_max = config->batch_bytes_max,
        .body_bytes_max = config->body_bytes_max,
        .retransmit_ms = config->retransmit_ms,
        .crypto = crypto,
    };
}

enum ord_err channel_replica_keys(struct crypto_replica_keys *out, const struct channel_config *config) {
    struct ord_public_key keys[ORD_REPLICA_MAX];
    if (!within(config->replica_count, 1, ORD_REPLICA_MAX))
        return ORD_ERR_INVALID;
    for (uint32_t i = 0; i < config->replica_count; i++)
        keys[i] = config->replicas[i].key;
    return crypto_replica_keys_init(out, keys, config->replica_count);
}

enum ord_err channel_ca_pem(char *out, const struct channel_config *config) {
    enum ord_err err = ORD_OK;
    for (uint32_t i = 0; i < config->org_count && err == ORD_OK; i++) {
        const struct channel_org *org = &config->orgs[i];
        err = crypto_cert_pem(out, ord_span_of(org->ca_der, org->ca_der_size));
        if (err == ORD_OK)
            out += strlen(out);
    }
    return err;
}
