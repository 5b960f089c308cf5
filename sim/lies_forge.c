/*
 * Certificates that are made up as a whole: prepared ones, checkpoints, and others' VIEW-CHANGEs. The liar signs its
 * own statements. Statements in others' names get a signature that is made up, the liar's own, or copied from something
 * else that they signed. There is an honest variant as well: certificates that are good, but overtaken long ago.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/wire/proof.h"
#include "bft/wire/view_message.h"
#include "core/assert.h"
#include "sim/liar_internal.h"

enum { FORGED_MAX = 4, BYTES_MAX = 8 << 10 };

static void make_up(struct sim_replica *liar, struct ord_signature *out) {
    for (size_t i = 0; i < ORD_SIGNATURE_SIZE; i++)
        out->bytes[i] = (uint8_t) sim_roll(&liar->random);
}

/* Copies the end of some message of `id`, where most messages have their signature. */
static bool copy_from(struct sim_replica *liar, struct ord_signature *out, ord_node_id id) {
    for (uint32_t tries = 0; tries < 8; tries++) {
        const struct sim_kept *kept = sim_liar_kept(liar, 0);
        if (kept == NULL || kept->from != id || kept->message->size < ORD_SIGNATURE_SIZE)
            continue;
        memcpy(out->bytes, kept->message->data + kept->message->size - ORD_SIGNATURE_SIZE, ORD_SIGNATURE_SIZE);
        return true;
    }
    return false;
}

/* The liar's own signature is good; one in another's name is not. */
static void sign_for(struct sim_replica *liar, struct ord_signature *out, ord_node_id id, const struct ord_hash *hash) {
    uint64_t how = sim_below(&liar->random, 3);
    if (id == liar->id || how == 0)
        sim_liar_sign(liar, out, hash);
    else if (how == 1 || !copy_from(liar, out, id))
        make_up(liar, out);
}

void sim_forge_certificate(struct sim_replica *liar, struct channel_certificate *out, uint32_t count, bool repeated) {
    out->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct ord_hash hash;
        out->signers[i] = repeated ? liar->id : i;
        channel_statement_hash(&hash, &liar->world->genesis_hash, &out->statement, out->signers[i]);
        sign_for(liar, &out->signatures[i], out->signers[i], &hash);
    }
}

/* ---- prepared certificates ---- */

static struct bft_proof proof_for(struct sim_replica *liar, const struct bft_statement *statement) {
    struct ord_hash hash;
    struct ord_signature signature;
    bft_statement_hash(&hash, sim_liar_config(liar), statement);
    sign_for(liar, &signature, statement->sender, &hash);
    return bft_proof_alone(&signature);
}

/* The digest of a PRE-PREPARE that somebody really signed, of a view before `view`. */
static bool real_digest(struct sim_replica *liar, struct ord_hash *out, uint64_t view) {
    for (uint32_t tries = 0; tries < 16; tries++) {
        const struct sim_kept *kept = sim_liar_kept(liar, REPLICA_LINK_CORE);
        struct bft_pre_prepare message;
        if (kept == NULL || !sim_liar_is_core(kept->kind, kept->message, BFT_PRE_PREPARE) ||
            bft_pre_prepare_decode(&message, sim_liar_config(liar), sim_buffer_span(kept->message)) != ORD_OK ||
            message.view >= view || message.sender != bft_primary(sim_liar_config(liar), message.view))
            continue;
        *out = message.digest;
        return true;
    }
    return false;
}

/* The digest of another batch: the null batch, which everybody has, or one that somebody proposed somewhere. */
static void other_digest(struct sim_replica *liar, struct ord_hash *out, uint64_t view) {
    if (sim_chance(&liar->random, 600000) || !real_digest(liar, out, view))
        bft_body_digest(out, sim_liar_config(liar)->crypto, ord_span_of(NULL, 0));
}

/* A certificate with the votes of `vote_count` backups, its own among them. */
static size_t certificate_of(struct sim_replica *liar, uint8_t *out, const struct bft_statement *statement,
                             const struct bft_proof *proof, uint32_t vote_count) {
    struct bft_certificate_vote votes[ORD_REPLICA_MAX];
    struct bft_proof proofs[ORD_REPLICA_MAX];
    struct bft_statement vote = *statement;
    uint32_t count = 0;
    uint32_t others = vote_count - (liar->id != statement->sender && vote_count > 0);
    vote.type = BFT_PREPARE;
    for (ord_node_id id = 0; id < liar->world->replica_count && count < vote_count; id++) {
        if (id == statement->sender || (id != liar->id && others == 0))
            continue;
        others -= id != liar->id;
        vote.sender = id;
        proofs[count] = proof_for(liar, &vote);
        votes[count] = (struct bft_certificate_vote) {.sender = vote.sender, .proof = &proofs[count]};
        count++;
    }
    return bft_certificate_encode(out, BYTES_MAX, sim_liar_config(liar), statement, proof, votes, count);
}

/* A certificate that is all in others' names. */
static size_t in_names(struct sim_replica *liar, uint8_t *out, uint64_t seq, uint64_t view) {
    uint32_t backups = (liar->world->replica_count + liar->world->plan.faulty_max) / 2; /* quorum - 1 */
    struct bft_statement statement = {.type = BFT_PRE_PREPARE, .seq = seq};
    statement.view = sim_chance(&liar->random, 700000) ? view - 1 : sim_below(&liar->random, view);
    statement.sender = bft_primary(sim_liar_config(liar), statement.view);
    other_digest(liar, &statement.digest, view);
    struct bft_proof proof = proof_for(liar, &statement);
    return certificate_of(liar, out, &statement, &proof, backups);
}

/* The liar's VIEW-CHANGE, but with these certificates. */
static struct sim_buffer *with_certificates(struct sim_replica *liar, const struct bft_view_change *change,
                                            struct ord_span certificates, uint32_t count) {
    struct bft_view_change other = *change;
    other.certificates = certificates;
    other.certificate_count = count;
    return sim_liar_change(liar, &other);
}

static struct sim_buffer *forged_in_names(struct sim_replica *liar, const struct bft_view_change *change) {
    uint8_t *bytes = sim_alloc((size_t) FORGED_MAX * BYTES_MAX);
    size_t size = 0;
    uint64_t seq = change->stable_seq + 1 + sim_below(&liar->random, 3);
    uint32_t count = 0;
    uint32_t wanted = (uint32_t) sim_between(&liar->random, 1, FORGED_MAX);
    for (; count < wanted && seq - change->stable_seq <= liar->world->plan.window; count++) {
        size += in_names(liar, bytes + size, seq, change->view);
        seq += 1 + sim_below(&liar->random, 2);
    }
    struct sim_buffer *lie = with_certificates(liar, change, ord_span_of(bytes, size), count);
    free(bytes);
    return lie;
}

/* Spoils a good certificate: it has one vote too few, or the liar's own vote instead of all the others. */
static void spoil(struct sim_replica *liar, struct ord_writer *out, struct ord_span certificate,
                  const struct bft_statement *statement, bool repeated) {
    struct ord_reader reader = ord_reader_of(certificate);
    size_t last = 0;
    (void) ord_read_span(&reader, BFT_HEADER_SIZE + 8 + ORD_HASH_SIZE + 2);
    (void) ord_read_span(&reader, (size_t) ord_read_u8(&reader) * ORD_HASH_SIZE + ORD_SIGNATURE_SIZE);
    size_t count_at = reader.position;
    uint32_t vote_count = ord_read_u8(&reader);
    for (uint32_t i = 0; i < vote_count; i++) {
        last = reader.position;
        (void) ord_read_span(&reader, 4 + 2);
        (void) ord_read_span(&reader, (size_t) ord_read_u8(&reader) * ORD_HASH_SIZE + ORD_SIGNATURE_SIZE);
    }
    ORD_ASSERT(vote_count > 0 && ord_reader_finish(&reader) == ORD_OK);
    if (!repeated) {
        size_t at = out->size;
        ord_write_bytes(out, certificate.data, last);
        out->data[at + count_at]--;
        return;
    }
    struct bft_statement vote = *statement;
    vote.type = BFT_PREPARE;
    vote.sender = liar->id;
    ord_write_bytes(out, certificate.data, count_at + 1);
    for (uint32_t i = 0; i < vote_count; i++) {
        struct bft_proof proof = proof_for(liar, &vote);
        ord_write_u32(out, liar->id);
        ord_write_u8(out, proof.index);
        ord_write_u8(out, proof.count);
        ord_write_u8(out, 0);
        ord_write_signature(out, &proof.signature);
    }
}

/* NULL: the liar has no certificate to spoil. */
static struct sim_buffer *spoiled(struct sim_replica *liar, const struct bft_view_change *change, bool repeated) {
    struct ord_span left = change->certificates;
    struct ord_span certificate;
    struct bft_statement statement;
    struct ord_writer writer = sim_writer(change->certificates.size + 1);
    uint32_t count = 0;
    while (bft_view_change_next(&statement, &certificate, &left, sim_liar_config(liar))) {
        /* A primary has no vote but its proposal. */
        if (repeated && statement.sender == liar->id)
            continue;
        spoil(liar, &writer, certificate, &statement, repeated);
        count++;
    }
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    struct sim_buffer *lie = count == 0 ? NULL : with_certificates(liar, change, ord_writer_span(&writer), count);
    free(writer.data);
    return lie;
}

/* Row V5: 2f + 1 signers that are all the liar, or that did not sign. */
static struct sim_buffer *forged_checkpoint(struct sim_replica *liar, const struct bft_view_change *change) {
    uint64_t seq = change->stable_seq + 1 + sim_below(&liar->random, 20);
    struct channel_certificate certificate = {
        .statement = {.epoch = sim_liar_config(liar)->epoch, .seq = seq, .height = seq}};
    uint32_t quorum = (liar->world->replica_count + liar->world->plan.faulty_max) / 2 + 1;
    sim_forge_certificate(liar, &certificate, quorum, sim_chance(&liar->random, 500000));
    return sim_liar_checkpoint_change(liar, change->view, &certificate);
}

/* Rows V4, V5. */
bool sim_lie_forge(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct bft_view_change change;
    if (!sim_liar_own_change(liar, &change, kind, message))
        return false;
    uint64_t how = sim_below(&liar->random, 5);
    struct sim_buffer *lie = how == 0   ? forged_checkpoint(liar, &change)
                             : how <= 2 ? spoiled(liar, &change, how == 1)
                                        : forged_in_names(liar, &change);
    if (lie == NULL)
        return false;
    sim_liar_give(liar, to, REPLICA_LINK_CORE, lie);
    return true;
}

/* Row T8: another's VIEW-CHANGE, which the liar pretends to pass on. */
void sim_lie_forge_relay(struct sim_replica *liar) {
    if (liar->world->replica_count == 1)
        return;
    struct ord_core_config other = *sim_liar_config(liar);
    uint64_t view = sim_process_status(liar->process).view + 1 + sim_below(&liar->random, 3);
    for (ord_node_id id = 0; id < liar->world->replica_count; id++) {
        uint8_t bytes[256];
        struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
        struct ord_hash hash;
        struct ord_signature signature;
        size_t count_at;
        if (id == liar->id || view > BFT_SEQ_MAX)
            continue;
        bft_header_write(&writer, sim_liar_config(liar), BFT_RELAY, view, liar->id);
        struct ord_writer inner = ord_writer_of(bytes + writer.size, sizeof(bytes) - writer.size);
        other.self = id;
        bft_view_change_begin(&inner, &count_at, &other, view, 0, ord_span_of(NULL, 0));
        bft_view_change_end(&inner, count_at, 0, &hash, &other, view);
        sign_for(liar, &signature, id, &hash);
        ord_write_signature(&inner, &signature);
        ORD_ASSERT(ord_writer_finish(&inner) == ORD_OK);
        sim_liar_say_all(liar, REPLICA_LINK_CORE, ord_span_of(bytes, writer.size + inner.size));
    }
}

/* ---- good certificates that are overtaken ---- */

static void hoard(struct sim_replica *liar, struct ord_span certificate) {
    struct sim_liar *lies = liar->lies;
    struct bft_statement statement;
    if (bft_certificate_decode(&statement, sim_liar_config(liar), certificate) != ORD_OK)
        return;
    for (uint32_t i = 0; i < SIM_HOARD; i++)
        if (lies->hoard[i].certificate != NULL && lies->hoard[i].view == statement.view &&
            lies->hoard[i].seq == statement.seq)
            return;
    struct sim_hoarded *slot = &lies->hoard[lies->hoard_count++ % SIM_HOARD];
    sim_buffer_release(slot->certificate);
    *slot = (struct sim_hoarded) {statement.view, statement.seq, sim_buffer_create(certificate)};
}

void sim_hoard_received(struct sim_replica *liar, ord_node_id from, enum replica_link kind, struct ord_span message) {
    struct bft_view_change change;
    struct bft_statement statement;
    struct ord_span certificate;
    (void) from;
    if (kind != REPLICA_LINK_CORE || message.size == 0 || message.data[0] != BFT_VIEW_CHANGE || liar->process == NULL ||
        liar->world->replica_count == 1 || bft_view_change_verify(&change, sim_liar_config(liar), message) != ORD_OK)
        return;
    while (bft_view_change_next(&statement, &certificate, &change.certificates, sim_liar_config(liar)))
        hoard(liar, certificate);
}

void sim_hoard_own(struct sim_replica *liar) {
    enum { TABLE_CERTIFICATE = 2 };
    if (liar->world->replica_count == 1)
        return;
    struct ord_status status = sim_process_status(liar->process);
    for (uint64_t seq = status.stable_seq + 1; seq <= status.stable_seq + liar->world->plan.window; seq++) {
        struct ord_span record = sim_disk_record(&liar->disk, TABLE_CERTIFICATE, seq);
        if (record.size > 0)
            hoard(liar, record);
    }
}

/* The oldest certificate for this seq, or now and then the newest. */
static const struct sim_buffer *choose(struct sim_replica *liar, uint64_t seq, uint64_t view) {
    const struct sim_hoarded *best = NULL;
    bool oldest = !sim_chance(&liar->random, 200000);
    for (uint32_t i = 0; i < SIM_HOARD; i++) {
        const struct sim_hoarded *hoarded = &liar->lies->hoard[i];
        if (hoarded->certificate != NULL && hoarded->seq == seq && hoarded->view < view &&
            (best == NULL || (oldest ? hoarded->view < best->view : hoarded->view > best->view)))
            best = hoarded;
    }
    return best == NULL ? NULL : best->certificate;
}

/* Rows V6, V7. */
bool sim_lie_hoard(struct sim_replica *liar, ord_node_id to, enum replica_link kind, struct sim_buffer *message) {
    struct bft_view_change change;
    if (!sim_liar_own_change(liar, &change, kind, message))
        return false;
    sim_hoard_own(liar);
    const struct sim_buffer *chosen[64];
    size_t size = 0;
    uint32_t count = 0;
    for (uint64_t seq = change.stable_seq + 1; seq <= change.stable_seq + liar->world->plan.window && count < 64;
         seq++) {
        chosen[count] = choose(liar, seq, change.view);
        size += chosen[count] == NULL ? 0 : chosen[count]->size;
        count += chosen[count] != NULL;
    }
    struct ord_writer writer = sim_writer(size + 1);
    for (uint32_t i = 0; i < count; i++)
        ord_write_span(&writer, sim_buffer_span(chosen[i]));
    ORD_ASSERT(ord_writer_finish(&writer) == ORD_OK);
    sim_liar_give(liar, to, REPLICA_LINK_CORE, with_certificates(liar, &change, ord_writer_span(&writer), count));
    free(writer.data);
    return true;
}
