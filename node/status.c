/*
 * Status of this replica and of a client, answered by the loop, which owns both.
 */
#include <string.h>

#include "node/replica_internal.h"

enum { COUNTER_MAX = 96 };

struct counter_list {
    Ordain__V1__Counter items[COUNTER_MAX];
    Ordain__V1__Counter *pointers[COUNTER_MAX];
    size_t count;
};

static void add(struct counter_list *list, const char *name, uint64_t value) {
    if (list->count == COUNTER_MAX)
        return;
    Ordain__V1__Counter *item = &list->items[list->count];
    ordain__v1__counter__init(item);
    item->name = (char *) (uintptr_t) name;
    item->value = value;
    list->pointers[list->count++] = item;
}

static void gather(struct replica *replica, struct counter_list *list) {
#define NODE_COUNTER_ADD(name) add(list, #name, count_get(&replica->counters.name));
    NODE_COUNTERS(NODE_COUNTER_ADD)
#undef NODE_COUNTER_ADD
    struct ord_status core;
    replica->protocol->status(replica->core, &core);
    add(list, "core_body_bytes", core.body_bytes);
    add(list, "core_messages_dropped", core.messages_dropped);
    add(list, "core_messages_refused", core.messages_refused);
    add(list, "core_retransmissions", core.retransmissions);
    const struct bft_detail *bft = replica->channel_config->consensus == CHANNEL_PBFT ? core.detail : NULL;
    add(list, "view_changes", bft == NULL ? 0 : bft->view_changes);
    struct ledger_counters ledger;
    ledger_counters(replica->ledger, &ledger);
    add(list, "ledger_commits", ledger.commits);
    add(list, "ledger_puts", ledger.puts);
    add(list, "ledger_bytes_put", ledger.bytes_put);
    add(list, "ledger_map_bytes", ledger.map_bytes);
    add(list, "ledger_map_bytes_used", ledger.map_bytes_used);
    add(list, "ledger_map_growths", ledger.map_growths);
    add(list, "ledger_commit_us_total", ledger.commit_us_total);
    add(list, "ledger_commit_us_max", ledger.commit_us_max);
    struct net_listener_counters net;
    net_pull_counters(replica->pull, &net);
    add(list, "replica_listener_pipes", net.pipes_now);
    add(list, "replica_listener_reopened", net.reopened);
    net_server_counters(replica->server, &net);
    add(list, "client_listener_pipes", net.pipes_now);
    add(list, "client_listener_reopened", net.reopened);
    uint64_t queued = 0;
    for (uint32_t i = 0; i < replica->peer_count; i++)
        queued += replica->peers[i].queued_bytes;
    add(list, "link_queued_bytes", queued);
}

struct evidence_list {
    Ordain__V1__EvidenceCount items[ORD_REPLICA_MAX];
    Ordain__V1__EvidenceCount *pointers[ORD_REPLICA_MAX];
};

static size_t gather_evidence(const struct replica *replica, struct evidence_list *list) {
    size_t count = 0;
    for (uint32_t i = 0; i < replica->peer_count; i++) {
        if (replica->accusations.committed[i] == 0)
            continue;
        Ordain__V1__EvidenceCount *item = &list->items[count];
        ordain__v1__evidence_count__init(item);
        item->replica = i;
        item->pieces = replica->accusations.committed[i];
        list->pointers[count++] = item;
    }
    return count;
}

static uint32_t leader_hint(const struct replica *replica) {
    return replica->leader == ORD_NO_NODE ? 0 : replica->leader + 1;
}

static uint64_t certified_height(struct replica *replica) {
    pthread_mutex_lock(&replica->service.mutex);
    uint64_t height = replica->service.certified_height;
    pthread_mutex_unlock(&replica->service.mutex);
    return height;
}

void status_reply(struct replica *replica, struct api_request *request) {
    struct counter_list counters = {.count = 0};
    struct ord_status core;
    struct ord_hash digest;
    uint32_t peers_up[ORD_REPLICA_MAX];
    struct evidence_list evidence;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__StatusResponse status = ORDAIN__V1__STATUS_RESPONSE__INIT;
    gather(replica, &counters);
    replica->protocol->status(replica->core, &core);
    channel_state_digest(replica->channel, &digest);
    ord_replica_set up = links_ready(replica);
    for (uint32_t i = 0; i < replica->peer_count; i++)
        if ((up & ord_replica_bit(i)) != 0)
            peers_up[status.n_peers_up++] = i;
    status.peers_up = peers_up;
    status.replica = replica->config.replica;
    status.consensus = (char *) (uintptr_t) replica->protocol->name;
    status.epoch = replica->core_config.epoch;
    status.view = core.view;
    status.leader = core.leader == ORD_NO_NODE ? 0 : core.leader + 1;
    status.height = channel_height(replica->channel);
    status.certified_height = certified_height(replica);
    status.head_hash =
        (ProtobufCBinaryData) {ORD_HASH_SIZE, (uint8_t *) (uintptr_t) channel_head_hash(replica->channel)->bytes};
    status.seq = channel_applied_seq(replica->channel);
    status.stable_seq = core.stable_seq;
    status.in_flight = core.in_flight;
    status.pool_envelopes = replica->pool.envelopes;
    status.pool_bytes = replica->pool.bytes;
    status.state_digest = (ProtobufCBinaryData) {ORD_HASH_SIZE, digest.bytes};
    status.genesis_hash = (ProtobufCBinaryData) {ORD_HASH_SIZE, replica->genesis_hash.bytes};
    status.version = (char *) (uintptr_t) ORD_VERSION;
    status.uptime_ms = replica->now_ms - replica->started_ms;
    status.syncing = replica->sync.active;
    status.intake_open = replica->intake_open;
    status.asking = core.asking;
    status.silent = core.silent;
    status.silent_until_seq = core.silent_until_seq;
    status.n_evidence = gather_evidence(replica, &evidence);
    status.evidence = evidence.pointers;
    status.n_counters = counters.count;
    status.counters = counters.pointers;
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_REPLICA;
    response.replica = &status;
    api_reply(request, &response);
}

void status_client_reply(struct replica *replica, struct api_request *request) {
    const Ordain__V1__ClientRequest *ask = request->message->client;
    if (ask->client.len != ORD_HASH_SIZE) {
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "a client's fingerprint has 32 bytes");
        return;
    }
    struct ord_hash fingerprint;
    uint32_t client_index;
    memcpy(fingerprint.bytes, ask->client.data, ORD_HASH_SIZE);
    const struct channel_client *client = channel_client_find(replica->channel, &client_index, &fingerprint);
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__ClientResponse answer = ORDAIN__V1__CLIENT_RESPONSE__INIT;
    answer.registered = client != NULL;
    answer.highest_sequence = client == NULL ? 0 : client->highest_sequence;
    answer.config_sequence = replica->channel_config->config_sequence;
    answer.genesis_hash = (ProtobufCBinaryData) {ORD_HASH_SIZE, replica->genesis_hash.bytes};
    answer.leader_hint = leader_hint(replica);
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_CLIENT;
    response.client = &answer;
    api_reply(request, &response);
}
