/*
 * What the replicas say of themselves.
 */
#include <string.h>

#include "client/client.h"
#include "client/flow/text.h"
#include "client/ordain.h"

#define STATUS_GRACE_MS 1000u /* how long to wait for the remaining replicas once one has answered */

struct statuses {
    struct ordain *client;
    struct ordain_status *list; /* one per replica of the channel, by index */
};

static void take_hash(uint8_t out[ORDAIN_HASH_SIZE], const ProtobufCBinaryData *bytes) {
    if (bytes->len == ORDAIN_HASH_SIZE)
        memcpy(out, bytes->data, ORDAIN_HASH_SIZE);
}

static void take_status(struct ordain_status *out, const struct ordain *client,
                        const Ordain__V1__StatusResponse *said) {
    out->reachable = true;
    client_clean(out->consensus, sizeof(out->consensus), said->consensus);
    client_clean(out->version, sizeof(out->version), said->version);
    out->epoch = said->epoch;
    out->view = said->view;
    out->leader = said->leader == 0 ? -1 : (int64_t) said->leader - 1;
    out->height = said->height;
    out->certified_height = said->certified_height;
    take_hash(out->head_hash, &said->head_hash);
    take_hash(out->state_digest, &said->state_digest);
    out->seq = said->seq;
    out->stable_seq = said->stable_seq;
    out->in_flight = said->in_flight;
    out->pool_envelopes = said->pool_envelopes;
    out->pool_bytes = said->pool_bytes;
    out->uptime_ms = said->uptime_ms;
    out->syncing = said->syncing;
    out->intake_open = said->intake_open;
    out->asking = said->asking;
    out->silent = said->silent;
    out->silent_until_seq = said->silent_until_seq;
    out->doubt_until_seq = said->doubt_until_seq;
    for (size_t i = 0; i < said->n_peers_up; i++)
        if (said->peers_up[i] < ORDAIN_REPLICA_MAX)
            out->peers_up |= ord_replica_bit(said->peers_up[i]);
    out->links_up = ord_replica_count(out->peers_up);
    for (size_t i = 0; i < said->n_evidence; i++)
        if (said->evidence[i]->replica < ORDAIN_REPLICA_MAX)
            out->evidence[said->evidence[i]->replica] = said->evidence[i]->pieces;
    out->halted = said->halted;
    out->certificate_ends_s = said->certificate_ends_s;
    client_clean(out->certificate, sizeof(out->certificate), said->certificate);
    for (size_t i = 0; i < said->n_followers; i++) {
        const Ordain__V1__Follower *follower = said->followers[i];
        if (follower->replica >= ORDAIN_REPLICA_MAX)
            continue;
        out->followers |= ord_replica_bit(follower->replica);
        out->silent_followers |= follower->silent ? ord_replica_bit(follower->replica) : 0;
        out->match_seq[follower->replica] = follower->match_seq;
    }
    for (size_t i = 0; i < said->n_counters && out->counter_count < ORDAIN_COUNTER_MAX; i++) {
        struct ordain_counter *counter = &out->counters[out->counter_count++];
        client_clean(counter->name, sizeof(counter->name), said->counters[i]->name);
        counter->value = said->counters[i]->value;
    }
    struct ord_span genesis = client_span(&said->genesis_hash);
    if (!ord_span_equal(genesis, ord_span_of(client->trust.genesis_hash.bytes, ORD_HASH_SIZE)))
        client_say(out->why, sizeof(out->why), "serves another network");
    else if (said->replica != out->replica)
        client_say(out->why, sizeof(out->why), "says that it is replica %u", said->replica);
}

static bool on_status(void *context, uint32_t replica, enum ord_err err, const client_response *response) {
    struct statuses *statuses = context;
    struct ordain_status *out = &statuses->list[replica];
    if (err != ORD_OK) {
        client_say(out->why, sizeof(out->why), "%s", err == ORD_ERR_INVALID ? "malformed reply" : ord_err_text(err));
        return false;
    }
    if (response->status == ORDAIN__V1__STATUS__OK)
        take_status(out, statuses->client, response->replica);
    else
        client_status_say(out->why, sizeof(out->why), response->status, response->message);
    return response->status == ORDAIN__V1__STATUS__OK;
}

enum ordain_error ordain_status(struct ordain *client, struct ordain_status *out, uint32_t *count,
                                uint32_t timeout_ms) {
    struct statuses statuses = {.client = client, .list = out};
    Ordain__V1__StatusRequest ask = ORDAIN__V1__STATUS_REQUEST__INIT;
    client_request request = client_request_of(ORDAIN__V1__REQUEST__KIND_STATUS, client->config.channel, &ask);
    *count = client->replicas.count;
    for (uint32_t i = 0; i < *count; i++) {
        memset(&out[i], 0, sizeof(out[i]));
        out[i].replica = i;
        out[i].leader = -1;
        client_say(out[i].why, sizeof(out[i].why), "no answer");
    }
    enum ord_err err = client_gather(&client->replicas, &request, timeout_ms, STATUS_GRACE_MS, on_status, &statuses);
    if (err != ORD_OK)
        return client_error(err);
    uint32_t kept = 0;
    bool any = false;
    for (uint32_t i = 0; i < *count; i++) {
        if (out[i].reachable && strcmp(out[i].why, "no answer") == 0)
            out[i].why[0] = '\0';
        any = any || out[i].reachable;
        if (!client_replica_used(&client->replicas, i))
            continue; /* another one is pinned */
        if (!out[i].reachable && !client_replica_up(&client->replicas, i) && strcmp(out[i].why, "no answer") == 0)
            client_replica_silence(&client->replicas, i, out[i].why, sizeof(out[i].why));
        if (kept != i)
            memcpy(&out[kept], &out[i], sizeof(out[i]));
        kept++;
    }
    *count = kept;
    return any ? ORDAIN_OK : ORDAIN_UNREACHABLE;
}
