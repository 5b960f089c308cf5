/*
 * Checks certificates against what was really said. Liars attack the checks of bft/ and channel/, so nothing here uses
 * those: quorums are counted anew, and an honest replica's vote is good if that replica gave it.
 */
#include "bft/wire/proof.h"
#include "bft/wire/view_message.h"
#include "sim/check.h"
#include "sim/process.h"

static uint32_t faulty_of(const struct sim_world *world) {
    return sim_is_raft(world) ? world->replica_count / 2 : (world->replica_count - 1) / 3;
}

/* 2f + 1 of 3f + 1: any two quorums share an honest replica. raft: a majority. */
static uint32_t quorum_of(const struct sim_world *world) {
    return sim_is_raft(world) ? world->replica_count / 2 + 1 : (world->replica_count + faulty_of(world)) / 2 + 1;
}

const char *sim_certificate_fault(const struct sim_world *world, const struct channel_certificate *certificate,
                                  bool strong) {
    uint32_t least = strong ? quorum_of(world) : faulty_of(world) + 1;
    ord_replica_set signers = 0;
    uint32_t count = 0;
    if (certificate->statement.epoch != world->config->epoch)
        return "is of another epoch";
    for (uint32_t i = 0; i < certificate->count; i++) {
        ord_node_id signer = certificate->signers[i];
        struct ord_hash hash;
        if (signer >= world->replica_count)
            return "has an unknown signer";
        channel_statement_hash(&hash, &world->genesis_hash, &certificate->statement, signer);
        if (!world->crypto.ops.verify(world->crypto.ops.context, signer, &hash, &certificate->signatures[i]))
            return "has a signature that is not the signer's";
        count += (signers & ord_replica_bit(signer)) == 0;
        signers |= ord_replica_bit(signer);
    }
    return count < least ? "has too few signers" : NULL;
}

void sim_check_certificate(struct sim_replica *replica, const struct channel_certificate *certificate, bool strong) {
    struct sim_world *world = replica->world;
    if (replica->liar || world->failed)
        return;
    const char *fault = sim_certificate_fault(world, certificate, strong);
    if (fault != NULL)
        sim_fail(world, "certificate: what replica %u holds for seq %lu %s", replica->instance,
                 (unsigned long) certificate->statement.seq, fault);
}

void sim_check_kept_certificate(struct sim_replica *replica, uint64_t height, struct ord_span bytes, bool strong) {
    struct channel_certificate certificate;
    if (replica->liar || replica->world->failed || bytes.size == 0)
        return;
    if (channel_certificate_decode(&certificate, bytes) != ORD_OK ||
        (height != UINT64_MAX && certificate.statement.height != height))
        sim_fail(replica->world, "certificate: what replica %u keeps is none, or of another block", replica->instance);
    else
        sim_check_certificate(replica, &certificate, strong);
}

/* ---- prepared certificates ---- */

static void skip_proof(struct ord_reader *reader) {
    (void) ord_read_u16(reader); /* index, count */
    uint8_t path_count = ord_read_u8(reader);
    (void) ord_read_span(reader, (size_t) path_count * ORD_HASH_SIZE + ORD_SIGNATURE_SIZE);
}

/*
 * True if `id` voted so, or may say anything. `self` shows the certificate, and its own vote may leave in this very
 * turn.
 */
static bool stands_for(const struct sim_world *world, ord_node_id self, ord_node_id id, enum bft_type type,
                       const struct bft_statement *statement) {
    return id == self || sim_check_id_faulty(world, id) ||
           sim_check_has_said(world, type, id, statement->view, statement->seq, &statement->digest);
}

const char *sim_prepared_fault(const struct sim_world *world, ord_node_id self, struct ord_span certificate) {
    struct ord_reader reader = ord_reader_of(certificate);
    (void) ord_read_span(&reader, 1 + 8 + 8);
    struct bft_statement statement = {.view = ord_read_u64(&reader), .sender = ord_read_u32(&reader)};
    statement.seq = ord_read_u64(&reader);
    ord_read_hash(&reader, &statement.digest);
    skip_proof(&reader);
    uint32_t vote_count = ord_read_u8(&reader);
    ord_replica_set voters = 0;
    uint32_t count = 0;
    if (!stands_for(world, self, statement.sender, BFT_PRE_PREPARE, &statement))
        return "names a primary that proposed no such thing";
    for (uint32_t i = 0; i < vote_count; i++) {
        ord_node_id voter = ord_read_u32(&reader);
        skip_proof(&reader);
        if (reader.failed || voter >= world->replica_count || voter == statement.sender)
            return "is malformed";
        if (!stands_for(world, self, voter, BFT_PREPARE, &statement))
            return "has a vote that nobody gave";
        count += (voters & ord_replica_bit(voter)) == 0;
        voters |= ord_replica_bit(voter);
    }
    return count < quorum_of(world) - 1 ? "has too few votes" : NULL;
}

bool sim_prepared_has_vote(struct ord_span certificate, ord_node_id id) {
    struct ord_reader reader = ord_reader_of(certificate);
    (void) ord_read_span(&reader, BFT_HEADER_SIZE + 8 + ORD_HASH_SIZE);
    skip_proof(&reader);
    uint32_t vote_count = ord_read_u8(&reader);
    for (uint32_t i = 0; i < vote_count && !reader.failed; i++) {
        if (ord_read_u32(&reader) == id)
            return true;
        skip_proof(&reader);
    }
    return false;
}

const char *sim_change_fault(const struct sim_world *world, const struct bft_view_change *change,
                             const struct ord_core_config *config) {
    struct ord_span left = change->certificates;
    struct ord_span bytes;
    struct bft_statement statement;
    if (change->stable_seq > 0) {
        struct channel_certificate checkpoint;
        if (channel_certificate_decode(&checkpoint, change->checkpoint) != ORD_OK ||
            checkpoint.statement.seq != change->stable_seq || sim_certificate_fault(world, &checkpoint, true) != NULL)
            return "rests on a checkpoint that is not proven";
    }
    while (bft_view_change_next(&statement, &bytes, &left, config))
        if (sim_prepared_fault(world, change->sender, bytes) != NULL)
            return "rests on a prepared certificate that does not stand";
    return NULL;
}
