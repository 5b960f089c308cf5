/*
 * Checks the records that a replica keeps, and the messages that may leave because of them: evidence, and certificates
 * that readers are told of. Every statement that leaves must be on its signer's disk, where no crash takes it back.
 */
#include <stdlib.h>

#include "bft/wire/proof.h"
#include "bft/wire/view_message.h"
#include "evidence/evidence.h"
#include "sim/check.h"
#include "sim/process.h"

void sim_check_kept_evidence(struct sim_replica *replica, const char *name, struct ord_span bytes) {
    struct sim_world *world = replica->world;
    struct evidence evidence;
    struct evidence_claim claim;
    const char *why = "malformed";
    if (replica->liar || world->failed)
        return;
    ord_node_id culprit = (ord_node_id) strtoul(name + sizeof(SIM_META_EVIDENCE) - 1, NULL, 10);
    if (evidence_take(&evidence, &bytes) != ORD_OK || bytes.size > 0 ||
        evidence_verify(&claim, &evidence, world->config, &world->genesis_hash, &world->crypto.ops, &why) != ORD_OK ||
        claim.culprit != culprit)
        sim_fail(world, "evidence: what replica %u keeps as %s does not convince: %s", replica->instance, name, why);
    sim_check_culprit(replica, culprit, name);
}

void sim_check_refuses_sender(struct sim_replica *replica, ord_node_id from) {
    struct sim_world *world = replica->world;
    if (replica->liar || world->failed)
        return;
    for (uint32_t i = 0; i < world->instance_count; i++)
        if (world->replicas[i].id == from && world->replicas[i].liar)
            return;
    sim_blame(replica, "door", "refuses a message of replica %u, which does not lie", from);
}

void sim_check_certified(struct sim_replica *replica, uint64_t height, const struct channel_certificate *certificate) {
    struct sim_world *world = replica->world;
    uint64_t at;
    if (replica->liar || world->failed)
        return;
    bool proved = certificate != NULL ? certificate->statement.height == height
                                      : height == 0 || sim_disk_certificate(&replica->disk, &at, height) != NULL;
    if (!proved || height > sim_disk_height(&replica->disk))
        sim_blame(replica, "durability", "tells readers of block %lu, its disk has %lu", (unsigned long) height,
                  (unsigned long) sim_disk_height(&replica->disk));
    if (certificate == NULL)
        return;
    uint8_t bytes[CHANNEL_CERTIFICATE_SIZE_MAX];
    const struct ord_span encoded = ord_span_of(bytes, channel_certificate_encode(bytes, certificate));
    /* Otherwise it was checked when it was put. */
    if (!ord_span_equal(encoded, sim_buffer_span(replica->process->last_certificate)))
        sim_check_certificate(replica, certificate, false);
}

/* ---- messages that leave ---- */

static void lacks(struct sim_replica *replica, const char *what, uint64_t at) {
    sim_blame(replica, "durability", "sends a %s for %lu that its disk does not hold", what, (unsigned long) at);
}

/* The view of a record that begins with the header of the core's messages. */
static uint64_t view_of(struct ord_span record) {
    return record.size < BFT_HEADER_SIZE ? 0 : ord_load_u64(record.data + BFT_HEADER_SIZE - 4 - 8);
}

static uint64_t stable_on_disk(const struct sim_replica *replica) {
    return replica->world->checker->shown[replica->instance].durable_stable_seq;
}

/* True if the disk holds the batch that the replica voted for. A null or settled batch needs no record. */
static bool has_batch(const struct sim_replica *replica, uint64_t seq, const struct ord_hash *digest) {
    struct ord_hash none;
    bft_body_digest(&none, &replica->world->crypto.ops, ord_span_of(NULL, 0));
    return seq <= stable_on_disk(replica) || ord_hash_equal(digest, &none) ||
           sim_disk_record(&replica->disk, TABLE_LOG, seq).size > 0;
}

static void leaves_core(struct sim_replica *replica, struct ord_span bytes) {
    const struct ord_core_config *config = &replica->process->core_config;
    const struct sim_disk *disk = &replica->disk;
    struct bft_pre_prepare pre_prepare;
    struct bft_vote_list list;
    uint8_t type = bytes.size == 0 ? 0 : bytes.data[0];
    if (type == BFT_PRE_PREPARE && bft_pre_prepare_decode(&pre_prepare, config, bytes) == ORD_OK) {
        if (!has_batch(replica, pre_prepare.seq, &pre_prepare.digest))
            lacks(replica, "PRE-PREPARE", pre_prepare.seq);
    } else if ((type == BFT_PREPARE || type == BFT_COMMIT) && bft_vote_list_decode(&list, config, bytes) == ORD_OK) {
        for (uint32_t i = 0; i < list.count; i++) {
            uint64_t seq = list.votes[i].seq;
            if (!has_batch(replica, seq, &list.votes[i].digest))
                lacks(replica, "vote", seq);
            else if (type == BFT_COMMIT && seq > stable_on_disk(replica) &&
                     sim_disk_record(disk, TABLE_CERTIFICATE, seq).size == 0)
                lacks(replica, "COMMIT", seq);
        }
    } else if (type == BFT_VIEW_CHANGE && bytes.size > BFT_HEADER_SIZE) {
        if (view_of(sim_disk_record(disk, TABLE_VIEW_CHANGE, replica->id)) < view_of(bytes))
            lacks(replica, "VIEW-CHANGE", view_of(bytes));
    } else if (type == BFT_NEW_VIEW && bytes.size > BFT_HEADER_SIZE) {
        if (view_of(sim_disk_record(disk, TABLE_NEW_VIEW, 1)) < view_of(bytes))
            lacks(replica, "NEW-VIEW", view_of(bytes));
    }
}

void sim_check_leaves(struct sim_replica *replica, enum replica_link kind, struct ord_span bytes) {
    struct channel_attestation attestation;
    struct channel_statement newest;
    if (kind == REPLICA_LINK_CORE && sim_is_pbft(replica->world)) {
        leaves_core(replica, bytes);
    } else if (kind == REPLICA_LINK_ATTESTATION && channel_attestation_decode(&attestation, bytes) == ORD_OK) {
        const struct channel_statement *said = &attestation.statement;
        bool kept = sim_statement_read(&newest, sim_disk_meta(&replica->disk, SIM_META_STATEMENT)) &&
                    newest.seq >= said->seq && sim_disk_applied(&replica->disk) >= said->seq;
        if (!kept || (newest.seq == said->seq && !channel_statement_equal(&newest, said)))
            lacks(replica, "attestation", said->seq);
    }
}
