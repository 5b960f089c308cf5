#include "tests/support/node_support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bft/bft_internal.h"
#include "core/quorum.h"
#include "crypto/hash.h"
#include "tests/support/test_main.h"

enum { DEADLINE_MS = 20000, WHY_MAX = INIT_WHY_MAX };

void node_world_plan(struct node_world *world, enum channel_consensus consensus, uint32_t replica_count) {
    char why[INIT_WHY_MAX];
    memset(world, 0, sizeof(*world));
    assert_ok(crypto_init());
    memcpy(world->folder, "/tmp/ordain-test-XXXXXX", sizeof("/tmp/ordain-test-XXXXXX"));
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->directory, sizeof(world->directory), "%s/net", world->folder);
    struct channel_config *config = &world->plan.config;
    channel_config_defaults(config, CHANNEL_PBFT);
    memcpy(config->name, "node", sizeof("node"));
    config->consensus = consensus;
    config->replica_count = replica_count;
    for (uint32_t i = 0; i < replica_count; i++)
        memcpy(config->replicas[i].host, "127.0.0.1", sizeof("127.0.0.1"));
    world->plan.directory = world->directory;
    world->plan.client_count = 2;
    assert_ok(init_choose_ports(config, 0, why));
}

static void load_key(struct crypto_private_key *out, const struct node_world *world, const char *name) {
    char path[192];
    char why[WHY_MAX];
    char pem[CRYPTO_PEM_MAX];
    snprintf(path, sizeof(path), "%s/%s/identity.key", world->directory, name);
    assert_ok(node_read_secret(pem, sizeof(pem), path, why, sizeof(why)));
    assert_ok(crypto_private_key_load(out, pem));
}

void node_world_write(struct node_world *world) {
    char path[192];
    char why[INIT_WHY_MAX];
    uint8_t *pem;
    size_t size;
    assert_ok(init_write(&world->plan, why));
    for (uint32_t i = 0; i < world->plan.config.replica_count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "replica%u", i);
        load_key(&world->keys[i], world, name);
        crypto_signer_init(&world->signers[i], &world->keys[i]);
    }
    load_key(&world->client_key, world, "client");
    uint64_t primary = ord_load_u64(world->plan.genesis_hash.bytes) % world->plan.config.replica_count;
    world->primary = (ord_node_id) primary;
    world->self = world->leads ? world->primary : (world->primary + 1) % world->plan.config.replica_count;
    snprintf(path, sizeof(path), "%s/replica%u/node.cfg", world->directory, world->self);
    assert_ok(node_config_load(&world->config, path, why, sizeof(why)));
    world->config.log_level = NODE_LOG_ERROR;
    snprintf(path, sizeof(path), "%s/client/identity.crt", world->directory);
    assert_ok(node_read_file(&pem, &size, path, CRYPTO_PEM_MAX, why, sizeof(why)));
    world->client_cert_size = sizeof(world->client_cert);
    assert_ok(crypto_cert_der(world->client_cert, &world->client_cert_size, (const char *) pem));
    crypto_cert_fingerprint(&world->client, ord_span_of(world->client_cert, world->client_cert_size));
    free(pem);
}

static void pass(struct node_world *world, const uint8_t *bytes, size_t size) {
    struct net_message *message;
    uint8_t *data;
    assert_ok(net_message_create(&message, &data, size));
    memcpy(data, bytes, size);
    links_on_message(world->node, message);
}

/* Makes both ends of one link agree. Nothing of it ever leaves, because the transport is always busy. */
static void join_link(struct node_world *world, ord_node_id id) {
    struct node *node = world->node;
    struct peer *peer = &node->links.peers[id];
    struct ord_hash nonce;
    uint8_t hello[CRYPTO_LINK_HELLO_SIZE];
    assert_ok(crypto_random(nonce.bytes, sizeof(nonce.bytes)));
    assert_ok(crypto_link_init(&world->links[id], id, world->self, &node->genesis_hash, &world->keys[id],
                               &node->channel_config->replicas[world->self].key, &nonce));
    for (int i = 0; i < 8 && !crypto_link_confirmed(&world->links[id]); i++) {
        enum crypto_link_event event;
        struct ord_span payload;
        crypto_link_hello(&world->links[id], hello);
        pass(world, hello, sizeof(hello));
        crypto_link_hello(&peer->link, hello);
        assert_ok(crypto_link_open(&world->links[id], &event, &payload, ord_span_of(hello, sizeof(hello))));
    }
    assert_true(crypto_link_ready(&world->links[id]) && crypto_link_ready(&peer->link));
    atomic_store(&peer->up, true);
    peer->under_way = true;
}

static bool speaks(struct node_world *world) {
    struct ord_status status = agree_status(world->replica);
    return !status.asking && !status.silent;
}

void node_world_start(struct node_world *world) {
    char why[WHY_MAX];
    enum ord_err err = node_create(&world->node, &world->config, why, sizeof(why));
    /* Ports that were free may be in use by now. */
    for (int i = 0; i < 50 && err == ORD_ERR_IN_USE; i++) {
        struct channel_config *other = malloc(sizeof(*other));
        assert_non_null(other);
        *other = world->plan.config;
        assert_ok(init_choose_ports(other, 0, why));
        world->config.replica_listen_port = other->replicas[world->self].replica_port;
        world->config.client_listen_port = other->replicas[world->self].client_port;
        free(other);
        err = node_create(&world->node, &world->config, why, sizeof(why));
    }
    if (err != ORD_OK)
        fail_msg("%s", why);
    world->replica = world->node->replica;
    for (uint32_t i = 0; i < world->node->links.count; i++)
        if (i != world->self)
            join_link(world, i);
    if (world->asks || world->plan.config.consensus != CHANNEL_PBFT)
        return;
    for (uint32_t i = 0; i + 1 < ord_bft_quorum(world->node->links.count); i++)
        node_world_recall(world, node_world_other(world, i), 0);
    node_world_until(world, speaks, "the replica speaks");
    node_world_forget_queued(world);
}

void node_world_recall(struct node_world *world, ord_node_id from, uint64_t reach_seq) {
    uint8_t bytes[128];
    const struct bft_recall recall = {
        .sender = from, .nonce = world->replica->agree.core->silence.nonce, .reach_seq = reach_seq};
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_recall_encode(&writer, &world->replica->setup.core_config, 0, &recall);
    node_world_send(world, from, REPLICA_LINK_CORE, ord_writer_span(&writer));
}

void node_world_open(struct node_world *world) {
    node_world_plan(world, CHANNEL_PBFT, 4);
    node_world_write(world);
    node_world_start(world);
}

void node_world_stop(struct node_world *world) {
    if (world->connection != NULL)
        net_client_close(world->connection);
    world->connection = NULL;
    node_destroy(world->node);
    world->node = NULL;
    world->replica = NULL;
}

static void remove_tree(const char *path) {
    DIR *folder = opendir(path);
    if (folder != NULL) {
        for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
            char child[1024];
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            assert_in_range(snprintf(child, sizeof(child), "%s/%s", path, entry->d_name), 1, sizeof(child) - 1);
            remove_tree(child);
        }
        closedir(folder);
    }
    assert_int_equal(remove(path), 0);
}

void node_world_close(struct node_world *world) {
    node_world_stop(world);
    remove_tree(world->folder);
}

void node_world_turn(struct node_world *world, uint64_t wait_ms) {
    node_turn(world->node, node_take_work(world->node, wait_ms));
    assert_ok(node_failed(world->node));
}

void node_world_until(struct node_world *world, bool (*holds)(struct node_world *world), const char *what) {
    uint64_t deadline_ms = node_clock_ms() + DEADLINE_MS;
    while (!holds(world)) {
        if (node_clock_ms() >= deadline_ms)
            fail_msg("not in time: %s", what);
        node_world_turn(world, 10);
    }
}

void node_world_until_idle(struct node_world *world, ord_node_id from) {
    uint64_t deadline_ms = node_clock_ms() + DEADLINE_MS;
    do {
        assert_true(node_clock_ms() < deadline_ms);
        node_world_turn(world, 10);
    } while (links_inbound_bytes(&world->node->links.peers[from]) > 0);
}

void node_world_send_many(struct node_world *world, ord_node_id from, enum replica_link kind, const uint8_t *bytes,
                          size_t size, size_t count) {
    const size_t payload_size = 1 + count * (LINK_MESSAGE_HEADER + size);
    uint8_t *payload = malloc(payload_size);
    assert_non_null(payload);
    bool bulk = replica_link_bulk(world->node->links.protocol, kind, ord_span_of(bytes, size));
    payload[0] = bulk ? LINK_PAYLOAD_BULK : LINK_PAYLOAD_VOTES;
    uint8_t *out = payload + 1;
    for (size_t i = 0; i < count; i++) {
        out[0] = (uint8_t) kind;
        ord_store_u32(out + 1, (uint32_t) size);
        memcpy(out + LINK_MESSAGE_HEADER, bytes + i * size, size);
        out += LINK_MESSAGE_HEADER + size;
    }
    uint64_t refused = count_get(&world->node->counters.frames_refused);
    node_world_send_payload(world, from, ord_span_of(payload, payload_size));
    assert_int_equal(count_get(&world->node->counters.frames_refused), refused);
    free(payload);
}

void node_world_send_payload(struct node_world *world, ord_node_id from, struct ord_span payload) {
    const size_t frame_size = CRYPTO_LINK_OVERHEAD + payload.size;
    uint8_t *frame = malloc(frame_size);
    assert_non_null(frame);
    memcpy(frame + CRYPTO_LINK_HEADER_SIZE, payload.data, payload.size);
    assert_ok(crypto_link_seal(&world->links[from], frame, frame_size));
    pass(world, frame, frame_size);
    free(frame);
}

void node_world_send(struct node_world *world, ord_node_id from, enum replica_link kind, struct ord_span bytes) {
    node_world_send_many(world, from, kind, bytes.data, bytes.size, 1);
}

static size_t queued_in(const struct link_queue *queue, struct ord_span *last, enum replica_link kind) {
    size_t count = 0;
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct link_frame *frame = &queue->frames[(queue->first + i) % LINK_FRAMES_MAX];
        struct ord_reader reader =
            ord_reader_of(ord_span_of(frame->data + LINK_FRAME_HEADER, frame->used - LINK_FRAME_HEADER));
        while (ord_reader_left(&reader) > 0) {
            uint8_t kind_here = ord_read_u8(&reader);
            struct ord_span bytes = ord_read_string(&reader, SIZE_MAX);
            assert_false(reader.failed);
            if (kind_here != (uint8_t) kind)
                continue;
            count++;
            if (last != NULL)
                *last = bytes;
        }
    }
    return count;
}

size_t node_world_queued(struct node_world *world, struct ord_span *last, ord_node_id to, enum replica_link kind) {
    const struct peer *peer = &world->node->links.peers[to];
    size_t count = 0;
    for (int lane = 0; lane < LINK_LANE_COUNT; lane++) {
        count += queued_in(&peer->lanes[lane].ready, last, kind);
        count += queued_in(&peer->lanes[lane].held, last, kind);
    }
    return count;
}

static void forget_frames(struct link_queue *queue) {
    for (; queue->count > 0; queue->count--) {
        net_message_destroy(queue->frames[queue->first].message);
        queue->frames[queue->first] = (struct link_frame) {0};
        queue->first = (queue->first + 1) % LINK_FRAMES_MAX;
    }
}

void node_world_forget_queued(struct node_world *world) {
    for (uint32_t id = 0; id < world->node->links.count; id++) {
        struct peer *peer = &world->node->links.peers[id];
        for (int lane = 0; lane < LINK_LANE_COUNT; lane++) {
            forget_frames(&peer->lanes[lane].ready);
            forget_frames(&peer->lanes[lane].held);
            peer->lanes[lane].bytes = 0;
        }
    }
}

struct ord_span node_world_envelope(const struct node_world *world, uint64_t sequence, size_t transaction_size) {
    struct channel_envelope header = {
        .kind = sequence == 0 ? CHANNEL_ENVELOPE_REGISTER : CHANNEL_ENVELOPE_TRANSACTIONS,
        .genesis_hash = world->node->genesis_hash,
        .client = world->client,
        .sequence = sequence,
        .config_sequence = world->node->channel_config->config_sequence,
    };
    uint8_t *transaction = malloc(transaction_size + 1);
    assert_non_null(transaction);
    memset(transaction, (int) (sequence & 0xff), transaction_size);
    struct ord_span span = sequence == 0 ? ord_span_of(world->client_cert, world->client_cert_size)
                                         : ord_span_of(transaction, transaction_size);
    size_t size = channel_envelope_size(&span, 1);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    struct ord_writer writer = ord_writer_of(bytes, size);
    assert_ok(channel_envelope_encode(&writer, &header, &span, 1, &world->client_key));
    free(transaction);
    return ord_writer_span(&writer);
}

struct ord_span node_world_batch(const struct ord_span *envelopes, uint32_t count, uint64_t cut_height) {
    size_t size = CHANNEL_BATCH_OVERHEAD;
    for (uint32_t i = 0; i < count; i++)
        size += 4 + envelopes[i].size;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    struct ord_writer writer = ord_writer_of(bytes, size);
    channel_batch_begin(&writer, cut_height);
    for (uint32_t i = 0; i < count; i++)
        channel_batch_add(&writer, envelopes[i]);
    assert_ok(channel_batch_end(&writer, count));
    return ord_writer_span(&writer);
}

void node_world_attest(struct node_world *world, struct channel_attestation *out, ord_node_id signer,
                       const struct channel_statement *statement) {
    assert_ok(channel_attest(out, &world->node->genesis_hash, statement, signer, &world->signers[signer]));
}

void node_world_send_attestation(struct node_world *world, ord_node_id signer,
                                 const struct channel_statement *statement) {
    struct channel_attestation attestation;
    uint8_t bytes[CHANNEL_ATTESTATION_SIZE];
    node_world_attest(world, &attestation, signer, statement);
    channel_attestation_encode(bytes, &attestation);
    node_world_send(world, signer, REPLICA_LINK_ATTESTATION, ord_span_of(bytes, sizeof(bytes)));
}

ord_node_id node_world_other(const struct node_world *world, uint32_t i) {
    return (world->self + 1 + i) % world->plan.config.replica_count;
}

static void sign(const struct node_world *world, struct ord_signature *out, ord_node_id signer,
                 const struct ord_hash *hash) {
    assert_ok(crypto_sign(out, &world->keys[signer], hash));
}

void node_world_pre_prepare(struct node_world *world, uint64_t seq, struct ord_span batch) {
    const struct ord_core_config *config = &world->replica->setup.core_config;
    struct bft_pre_prepare message = {.seq = seq, .sender = world->primary, .body = batch};
    bft_body_digest(&message.digest, config->crypto, batch);
    struct bft_statement statement = {
        .type = BFT_PRE_PREPARE, .seq = seq, .digest = message.digest, .sender = world->primary};
    struct ord_hash hash;
    bft_statement_hash(&hash, config, &statement);
    sign(world, &message.signature, world->primary, &hash);
    uint8_t *bytes = malloc(BFT_PRE_PREPARE_SIZE + batch.size);
    assert_non_null(bytes);
    bft_pre_prepare_encode(bytes, config, &message);
    memcpy(bytes + BFT_PRE_PREPARE_SIZE, batch.data, batch.size);
    node_world_send(world, world->primary, REPLICA_LINK_CORE, ord_span_of(bytes, BFT_PRE_PREPARE_SIZE + batch.size));
    free(bytes);
}

static void vote(struct node_world *world, enum bft_type type, ord_node_id sender, uint64_t seq,
                 const struct ord_hash *digest) {
    const struct ord_core_config *config = &world->replica->setup.core_config;
    struct bft_vote_list list = {.type = type, .sender = sender, .count = 1};
    uint8_t bytes[BFT_PREPARE_SIZE_MAX];
    list.votes[0] = (struct bft_vote) {.seq = seq, .digest = *digest};
    if (type == BFT_PREPARE) {
        struct bft_vote_tree tree;
        struct ord_hash hash;
        bft_vote_tree_build(&tree, config, &list);
        bft_vote_tree_signed_hash(&hash, &tree, config);
        sign(world, &list.signature, sender, &hash);
    }
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_vote_list_encode(&writer, config, &list);
    node_world_send(world, sender, REPLICA_LINK_CORE, ord_writer_span(&writer));
}

void node_world_vote(struct node_world *world, uint64_t seq, const struct ord_hash *digest) {
    uint64_t deadline_ms = node_clock_ms() + DEADLINE_MS;
    for (uint32_t i = 0; i + 1 < world->plan.config.replica_count; i++) {
        ord_node_id sender = node_world_other(world, i);
        if (sender != world->primary)
            vote(world, BFT_PREPARE, sender, seq, digest);
        vote(world, BFT_COMMIT, sender, seq, digest);
    }
    while (channel_applied_seq(world->replica->execute.channel) < seq) {
        assert_true(node_clock_ms() < deadline_ms);
        node_world_turn(world, 10);
    }
}

void node_world_order(struct node_world *world, uint64_t seq, struct ord_span batch) {
    struct ord_hash digest;
    bft_body_digest(&digest, world->replica->setup.core_config.crypto, batch);
    node_world_pre_prepare(world, seq, batch);
    node_world_vote(world, seq, &digest);
    free((void *) (uintptr_t) batch.data);
}

static char *read_text(const struct node_world *world, const char *name) {
    char path[192];
    char why[WHY_MAX];
    uint8_t *text;
    size_t size;
    snprintf(path, sizeof(path), "%s/%s", world->directory, name);
    assert_ok(node_read_file(&text, &size, path, 1u << 20, why, sizeof(why)));
    return (char *) text;
}

struct net_client *node_world_connect_as(struct node_world *world, const char *member) {
    struct net_client *connection;
    char names[2][64];
    snprintf(names[0], sizeof(names[0]), "%s/tls.crt", member);
    snprintf(names[1], sizeof(names[1]), "%s/tls.key", member);
    char *ca;
    assert_ok(node_trust_all(&ca, world->node->channel_config));
    char *cert = read_text(world, names[0]);
    char *key = read_text(world, names[1]);
    const struct net_tls tls = {ca, cert, key};
    const struct net_client_options options = {
        .host = "127.0.0.1",
        .port = node_client_port(world->node),
        .tls = &tls,
        .reply_bytes_max = 64u << 20,
        .call_max = 256,
        .reconnect_ms_max = 100,
    };
    assert_ok(net_client_open(&connection, &options));
    assert_ok(net_client_wait(connection, DEADLINE_MS));
    free(ca);
    free(cert);
    free(key);
    return connection;
}

struct net_client *node_world_connect(struct node_world *world) {
    return node_world_connect_as(world, "client");
}

struct call {
    struct node *node;
    enum ord_err result;
    struct net_message *reply;
    atomic_bool done;
};

static void on_reply(void *context, enum ord_err result, struct net_message *reply) {
    struct call *call = context;
    struct node *node = call->node;
    call->result = result;
    call->reply = reply;
    atomic_store(&call->done, true);
    inbox_wake(&node->inbox);
}

Ordain__V1__Response *node_world_ask(struct node_world *world, Ordain__V1__Request *request) {
    struct call call = {.node = world->node};
    struct net_message *message;
    uint8_t *data;
    if (world->connection == NULL)
        world->connection = node_world_connect(world);
    request->channel = world->node->channel_config->name;
    assert_ok(net_message_create(&message, &data, ordain__v1__request__get_packed_size(request)));
    ordain__v1__request__pack(request, data);
    assert_ok(net_client_call(world->connection, message, DEADLINE_MS, on_reply, &call));
    while (!atomic_load(&call.done)) {
        node_world_turn(world, 10); /* the call itself has a deadline */
    }
    assert_ok(call.result);
    struct ord_span bytes = net_message_bytes(call.reply);
    Ordain__V1__Response *response = ordain__v1__response__unpack(NULL, bytes.size, bytes.data);
    assert_non_null(response);
    net_message_destroy(call.reply);
    return response;
}

void node_world_send_lane(struct node_world *world, ord_node_id to, enum link_lane_name lane, uint64_t turn,
                          uint8_t fill, size_t size) {
    enum replica_link kind = lane == LINK_LANE_VOTES ? REPLICA_LINK_ATTESTATION : REPLICA_LINK_FORWARD;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, fill, size);
    const struct ord_span part = ord_span_of(bytes, size);
    links_send(world->node, turn, ord_replica_bit(to), kind, &part, 1);
    free(bytes);
}

uint64_t node_world_dropped(struct node_world *world, enum link_lane_name lane) {
    struct node_counters *counters = &world->node->counters;
    return count_get(lane == LINK_LANE_VOTES ? &counters->link_votes_dropped : &counters->link_bulk_dropped);
}

void node_world_hello(struct node_world *world, ord_node_id from) {
    struct net_message *message;
    uint8_t *data;
    assert_ok(net_message_create(&message, &data, CRYPTO_LINK_HELLO_SIZE));
    crypto_link_hello(&world->links[from], data);
    links_on_message(world->node, message);
}

static void plug_run(void *argument) {
    struct node_plug *plug = argument;
    sem_post(&plug->running);
    sem_wait(&plug->release);
}

void node_plug_in(struct node_plug *plug, struct crypto_pool *pool) {
    sem_init(&plug->running, 0, 0);
    sem_init(&plug->release, 0, 0);
    assert_ok(crypto_pool_submit(pool, plug_run, plug));
    sem_wait(&plug->running);
}

void node_plug_out(struct node_plug *plug) {
    sem_post(&plug->release);
}
