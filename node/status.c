/*
 * Status of this replica and of a client. The loop answers, because it owns both.
 */
#include <string.h>

#include "bft/bft.h"
#include "node/node_internal.h"
#include "raft/raft.h"

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

/* Checks of all peers' messages that wait for earlier ones of the same peer. */
static uint64_t waiting_checks(const struct node *node) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < node->links.count; i++)
        count += replica_waiting(node->replica, i).checks;
    return count;
}

/* NULL: this is no raft channel. */
static const struct raft_detail *raft_detail_of(const struct node *node, const struct ord_status *core) {
    return node->channel_config->consensus == CHANNEL_RAFT ? core->detail : NULL;
}

static void gather(struct node *node, struct counter_list *list, const struct ord_status *core) {
    struct replica_counters replica = *replica_counters(node->replica);
    replica.damaged_reads += count_get(&node->counters.damaged_reads);
#define REPLICA_COUNTER_ADD(name) add(list, #name, replica.name);
    REPLICA_COUNTERS(REPLICA_COUNTER_ADD)
#undef REPLICA_COUNTER_ADD
#define NODE_COUNTER_ADD(name) add(list, #name, count_get(&node->counters.name));
    NODE_COUNTERS(NODE_COUNTER_ADD)
#undef NODE_COUNTER_ADD
    add(list, "core_body_bytes", core->body_bytes);
    add(list, "core_messages_dropped", core->messages_dropped);
    add(list, "core_messages_refused", core->messages_refused);
    add(list, "core_retransmissions", core->retransmissions);
    const struct bft_detail *bft = node->channel_config->consensus == CHANNEL_PBFT ? core->detail : NULL;
    add(list, "view_changes", bft == NULL ? 0 : bft->view_changes);
    const struct raft_detail *raft = raft_detail_of(node, core);
    if (raft != NULL) {
        add(list, "raft_elections", raft->elections);
        add(list, "raft_log_first_seq", raft->base_seq + 1);
        add(list, "raft_log_last_seq", raft->last_seq);
        add(list, "raft_log_durable_seq", raft->durable_seq);
    }
    struct ledger_counters ledger;
    ledger_counters(node->ledger, &ledger);
    add(list, "ledger_commits", ledger.commits);
    add(list, "ledger_puts", ledger.puts);
    add(list, "ledger_bytes_put", ledger.bytes_put);
    add(list, "ledger_map_bytes", ledger.map_bytes);
    add(list, "ledger_map_bytes_used", ledger.map_bytes_used);
    add(list, "ledger_map_growths", ledger.map_growths);
    add(list, "ledger_commit_us_total", ledger.commit_us_total);
    add(list, "ledger_commit_us_max", ledger.commit_us_max);
    struct net_listener_counters net;
    net_pull_counters(node->links.pull, &net);
    add(list, "replica_listener_pipes", net.pipes_now);
    add(list, "replica_listener_reopened", net.reopened);
    net_server_counters(node->server, &net);
    add(list, "client_listener_pipes", net.pipes_now);
    add(list, "client_listener_reopened", net.reopened);
    add(list, "requests_parked", atomic_load(&node->service.parked_count));
    add(list, "link_queued_bytes", links_queued_bytes(&node->links));
    add(list, "link_jobs_waiting", waiting_checks(node));
}

struct evidence_list {
    Ordain__V1__EvidenceCount items[ORD_REPLICA_MAX];
    Ordain__V1__EvidenceCount *pointers[ORD_REPLICA_MAX];
};

static size_t gather_evidence(struct evidence_list *list, const struct replica_status *of_replica) {
    size_t count = 0;
    for (uint32_t i = 0; i < ORD_REPLICA_MAX; i++) {
        if (of_replica->evidence[i] == 0)
            continue;
        Ordain__V1__EvidenceCount *item = &list->items[count];
        ordain__v1__evidence_count__init(item);
        item->replica = i;
        item->pieces = of_replica->evidence[i];
        list->pointers[count++] = item;
    }
    return count;
}

struct follower_list {
    Ordain__V1__Follower items[ORD_REPLICA_MAX];
    Ordain__V1__Follower *pointers[ORD_REPLICA_MAX];
};

static size_t gather_followers(struct follower_list *list, const struct node *node, const struct ord_status *core) {
    const struct raft_detail *raft = raft_detail_of(node, core);
    size_t count = 0;
    if (raft == NULL || !core->leading)
        return 0;
    for (uint32_t i = 0; i < node->channel_config->replica_count; i++) {
        if (i == node->config.replica)
            continue;
        Ordain__V1__Follower *item = &list->items[count];
        ordain__v1__follower__init(item);
        item->replica = i;
        item->match_seq = raft->followers[i].match_seq;
        item->silent = raft->followers[i].silent;
        list->pointers[count++] = item;
    }
    return count;
}

static uint32_t leader_number(ord_node_id leader) {
    return leader == ORD_NO_NODE ? 0 : leader + 1;
}

void status_reply(struct node *node, struct api_request *request) {
    struct counter_list counters = {.count = 0};
    struct replica_status of_replica;
    struct channel *channel = replica_channel(node->replica);
    struct ord_hash digest;
    uint32_t peers_up[ORD_REPLICA_MAX];
    struct evidence_list evidence;
    struct follower_list followers;
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__StatusResponse status = ORDAIN__V1__STATUS_RESPONSE__INIT;
    replica_status(node->replica, &of_replica);
    gather(node, &counters, &of_replica.core);
    channel_state_digest(channel, &digest);
    ord_replica_set up = links_connected(node);
    for (uint32_t i = 0; i < node->links.count; i++)
        if ((up & ord_replica_bit(i)) != 0)
            peers_up[status.n_peers_up++] = i;
    status.peers_up = peers_up;
    status.replica = node->config.replica;
    status.consensus = (char *) (uintptr_t) of_replica.consensus;
    status.epoch = of_replica.epoch;
    status.view = of_replica.core.view;
    status.leader = leader_number(of_replica.core.leader);
    status.height = channel_height(channel);
    status.certified_height = of_replica.certified_height;
    status.head_hash = (ProtobufCBinaryData) {ORD_HASH_SIZE, (uint8_t *) (uintptr_t) channel_head_hash(channel)->bytes};
    status.seq = channel_applied_seq(channel);
    status.stable_seq = of_replica.core.stable_seq;
    status.in_flight = of_replica.core.in_flight;
    status.pool_envelopes = of_replica.pool_envelopes;
    status.pool_bytes = of_replica.pool_bytes;
    status.state_digest = (ProtobufCBinaryData) {ORD_HASH_SIZE, digest.bytes};
    status.genesis_hash = (ProtobufCBinaryData) {ORD_HASH_SIZE, node->genesis_hash.bytes};
    status.version = (char *) (uintptr_t) ORD_VERSION;
    status.uptime_ms = node->time.now_ms - node->started_ms;
    status.syncing = of_replica.syncing;
    status.intake_open = of_replica.intake_open;
    status.asking = of_replica.core.asking;
    status.silent = of_replica.core.silent;
    status.silent_until_seq = of_replica.core.silent_until_seq;
    status.doubt_until_seq = of_replica.core.doubt_until_seq;
    status.certificate_ends_s = node->expiry.ends_s;
    status.certificate = node->expiry.what;
    status.n_evidence = gather_evidence(&evidence, &of_replica);
    status.evidence = evidence.pointers;
    const struct raft_detail *raft = raft_detail_of(node, &of_replica.core);
    status.halted = raft != NULL && raft->halted;
    status.n_followers = gather_followers(&followers, node, &of_replica.core);
    status.followers = followers.pointers;
    status.n_counters = counters.count;
    status.counters = counters.pointers;
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_REPLICA;
    response.replica = &status;
    api_reply(request, &response);
}

void status_client_reply(struct node *node, struct api_request *request) {
    uint32_t client_index;
    struct replica_status of_replica;
    const struct channel_client *client =
        channel_client_find(replica_channel(node->replica), &client_index, &request->ask.client);
    replica_status(node->replica, &of_replica);
    Ordain__V1__Response response = ORDAIN__V1__RESPONSE__INIT;
    Ordain__V1__ClientResponse answer = ORDAIN__V1__CLIENT_RESPONSE__INIT;
    answer.registered = client != NULL;
    answer.highest_sequence = client == NULL ? 0 : client->highest_sequence;
    answer.config_sequence = node->channel_config->config_sequence;
    answer.genesis_hash = (ProtobufCBinaryData) {ORD_HASH_SIZE, node->genesis_hash.bytes};
    answer.leader_hint = leader_number(of_replica.leader);
    response.status = ORDAIN__V1__STATUS__OK;
    response.kind_case = ORDAIN__V1__RESPONSE__KIND_CLIENT;
    response.client = &answer;
    api_reply(request, &response);
}
