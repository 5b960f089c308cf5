/*
 * The duties, one after the other.
 */
#include "sim/duties.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evidence/evidence.h"
#include "sim/check.h"
#include "sim/process.h"

enum {
    HOUSEKEEPING_MS = 100,
    AGAIN_MS = 1000,
    REST_MS = 1000,
    /* A request counts at least so many bytes. The least quota is bytes a second, and is given so long ahead. */
    REQUEST_CHARGE_MIN = 64 << 10,
    QUOTA_LEAST = 4 << 20,
    QUOTA_AHEAD_US = 500000,
    /* A certificate further behind its blocks does not fit into a piece. Large pieces leave such gaps. */
    LATER_HEADERS_MAX = 4096,
    /* Verified attestations of one signer that the replica certainly still knows. */
    HEARD_MAX = 60,
    SLOTS_MAX = 16,
    SLOTS_TOTAL = 256,
    WANT_BLOCKS = 1,
    WANT_TAIL = 2,
    REQUEST_SIZE = 25,
    PIECE_HEADER = 12,
    /* A piece ends with the block that brings it to this size. */
    PIECE_BYTES_MAX = 1 << 20,
    /* What precedes the progress in a tail. */
    TAIL_HEADER = 8 + 1 + 32,
};

struct heard {
    struct channel_attestation items[HEARD_MAX];
    uint32_t count;
};

struct owed {
    ord_node_id culprit;
    struct evidence_place place;
};

struct request {
    bool open;
    uint64_t first;
    uint64_t height;
    uint64_t seq;
};

struct sim_duties {
    struct sim_process *process;
    struct sim_replica *replica;
    struct sim_world *world;
    bool housekeeping; /* in this turn */
    uint64_t housekeeping_ms;

    /* Attestations */
    /* Its disk had a statement that has to be signed again. */
    bool recovered;
    bool attested; /* in this life */
    uint64_t attested_seq;
    uint64_t attested_ms;
    /* When it last sent a certificate to all. */
    uint64_t certified_ms;
    /* The highest block of which it holds a certificate. */
    uint64_t certified_height;
    bool statement_put; /* in this turn */
    /* The seq of the stable certificate that was put last. */
    uint64_t stable_seq;
    bool stable_before; /* there was one when this turn began */
    /* The newest executed seq, and the first housekeeping that began with it; UINT64_MAX: none did yet. */
    uint64_t rest_seq;
    uint64_t rest_since_ms;

    /* Evidence */
    /* By signer: verified attestations above the stable seq. */
    struct heard *heard;
    struct owed owed[64];
    uint32_t owed_count;
    uint32_t pieces[ORD_REPLICA_MAX]; /* on disk */
    /* Evidence was put. It may not be on disk yet. */
    bool evidence_put;

    /* State transfer, as a source: the newest request of each asker, and when the least quota has paid for it all. */
    struct request requests[ORD_REPLICA_MAX];
    uint64_t paid_us[ORD_REPLICA_MAX];
    uint64_t commits;
};

static uint64_t now_of(const struct sim_duties *duties) {
    return duties->process->now_ms;
}

static uint32_t slots_of(const struct sim_duties *duties) {
    uint32_t share = SLOTS_TOTAL / duties->world->replica_count;
    return share < SLOTS_MAX ? share : (uint32_t) SLOTS_MAX;
}

/* ---- small records, on disk or on their way there ---- */

static struct ord_span find_in(const struct sim_writes *writes, const char *name) {
    const struct sim_name wanted = sim_name_of(name);
    for (size_t i = writes->count; i > 0; i--) {
        const struct sim_write *write = &writes->items[i - 1];
        if (write->kind == SIM_WRITE_META && memcmp(&write->name, &wanted, sizeof(wanted)) == 0)
            return sim_buffer_span(write->buffer);
    }
    return ord_span_of(NULL, 0);
}

static struct ord_span find_pending(const struct sim_duties *duties, const char *name) {
    struct ord_span found = find_in(&duties->process->writes, name);
    return found.size > 0 ? found : find_in(&duties->process->under_way, name);
}

static struct ord_span find_record(const struct sim_duties *duties, const char *name) {
    struct ord_span found = find_pending(duties, name);
    return found.size > 0 ? found : sim_disk_meta(&duties->replica->disk, name);
}

void sim_evidence_name(char out[SIM_NAME_SIZE], ord_node_id culprit, uint32_t slot) {
    snprintf(out, SIM_NAME_SIZE, "evidence.%02u.%02u", culprit % 100, slot % 100);
}

static void point_name(const struct sim_duties *duties, char out[SIM_NAME_SIZE], uint64_t seq) {
    snprintf(out, SIM_NAME_SIZE, SIM_META_POINT "%05u", (unsigned) (seq % (duties->world->config->window + 1) % 65537));
}

/* ---- evidence ---- */

static bool place_of(const struct sim_duties *duties, struct evidence_place *out, struct ord_span piece) {
    struct evidence evidence;
    ord_node_id culprit;
    return evidence_take(&evidence, &piece) == ORD_OK &&
           evidence_about(&culprit, out, &evidence, &duties->process->core_config) == ORD_OK;
}

static bool is_kept(const struct sim_duties *duties, ord_node_id culprit, const struct evidence_place *place,
                    uint32_t before) {
    for (uint32_t slot = 0; slot < before; slot++) {
        char name[SIM_NAME_SIZE];
        struct evidence_place other;
        sim_evidence_name(name, culprit, slot);
        struct ord_span piece = find_record(duties, name);
        if (piece.size > 0 && place_of(duties, &other, piece) && evidence_place_equal(place, &other))
            return true;
    }
    return false;
}

/* False: no record of evidence has this name. */
static bool find_name(const struct sim_duties *duties, unsigned *culprit, unsigned *slot, const char *name) {
    char candidate[SIM_NAME_SIZE];
    for (*culprit = 0; *culprit < duties->world->replica_count; ++*culprit)
        for (*slot = 0; *slot < slots_of(duties); ++*slot) {
            sim_evidence_name(candidate, *culprit, *slot);
            if (strcmp(candidate, name) == 0)
                return true;
        }
    return false;
}

static void put_evidence(struct sim_duties *duties, const char *name, struct ord_span piece) {
    duties->evidence_put = true;
    struct evidence_place place;
    unsigned culprit;
    unsigned slot;
    char before[SIM_NAME_SIZE];
    if (!find_name(duties, &culprit, &slot, name)) {
        sim_blame(duties->replica, "evidence", "keeps %s, for which there is no place", name);
        return;
    }
    if (slot > 0)
        sim_evidence_name(before, culprit, slot - 1);
    if (sim_disk_meta(&duties->replica->disk, name).size > 0 || find_in(&duties->process->under_way, name).size > 0 ||
        (slot > 0 && find_record(duties, before).size == 0))
        sim_blame(duties->replica, "evidence", "writes over %s, or leaves a gap", name);
    else if (place_of(duties, &place, piece) && is_kept(duties, culprit, &place, slot))
        sim_blame(duties->replica, "evidence", "keeps one contradiction twice, as %s too", name);
}

static void owe(struct sim_duties *duties, enum evidence_kind kind, struct ord_span first, struct ord_span second) {
    const struct evidence evidence = {.genesis_hash = duties->world->genesis_hash,
                                      .epoch = duties->world->config->epoch,
                                      .kind = kind,
                                      .first = first,
                                      .second = second};
    struct owed owed;
    if (duties->owed_count < sizeof(duties->owed) / sizeof(duties->owed[0]) &&
        evidence_about(&owed.culprit, &owed.place, &evidence, &duties->process->core_config) == ORD_OK)
        duties->owed[duties->owed_count++] = owed;
}

static void check_owed(struct sim_duties *duties) {
    for (uint32_t i = 0; i < duties->owed_count && !duties->world->failed; i++) {
        const struct owed *owed = &duties->owed[i];
        char last[SIM_NAME_SIZE];
        sim_evidence_name(last, owed->culprit, slots_of(duties) - 1);
        if (!is_kept(duties, owed->culprit, &owed->place, slots_of(duties)) && find_record(duties, last).size == 0)
            sim_blame(duties->replica, "evidence", "does not keep what convicts replica %u (%s, view %lu, seq %lu)",
                      owed->culprit, evidence_type_name(owed->place.type), (unsigned long) owed->place.view,
                      (unsigned long) owed->place.seq);
    }
    duties->owed_count = 0;
}

/* Keeps the highest seqs, as the replica does (channel/collector.c): a signer displaces its own with wild ones. */
static void remember(struct heard *heard, const struct channel_attestation *attestation) {
    struct channel_attestation *lowest = &heard->items[0];
    if (heard->count < HEARD_MAX) {
        heard->items[heard->count++] = *attestation;
        return;
    }
    for (uint32_t i = 1; i < heard->count; i++)
        if (heard->items[i].statement.seq < lowest->statement.seq)
            lowest = &heard->items[i];
    if (attestation->statement.seq > lowest->statement.seq)
        *lowest = *attestation;
}

/* Hears a verified attestation. `keep`: it came by itself, not in a certificate. */
static void hear(struct sim_duties *duties, const struct channel_attestation *attestation, bool keep) {
    uint8_t bytes[2][CHANNEL_ATTESTATION_SIZE];
    if (attestation->signer >= duties->world->replica_count)
        return;
    struct heard *heard = &duties->heard[attestation->signer];
    for (uint32_t i = 0; i < heard->count; i++) {
        if (heard->items[i].statement.seq != attestation->statement.seq)
            continue;
        if (channel_statement_equal(&heard->items[i].statement, &attestation->statement))
            return;
        channel_attestation_encode(bytes[0], &heard->items[i]);
        channel_attestation_encode(bytes[1], attestation);
        owe(duties, EVIDENCE_ATTESTATIONS, ord_span_of(bytes[0], sizeof(bytes[0])),
            ord_span_of(bytes[1], sizeof(bytes[1])));
        return;
    }
    if (keep)
        remember(heard, attestation);
}

static void hear_all(struct sim_duties *duties, const struct channel_certificate *certificate) {
    for (uint32_t i = 0; i < certificate->count; i++) {
        const struct channel_attestation attestation = {.statement = certificate->statement,
                                                        .signer = certificate->signers[i],
                                                        .signature = certificate->signatures[i]};
        hear(duties, &attestation, false);
    }
}

/* A stable checkpoint ends the interest in everything at and below it. */
static void settle(struct sim_duties *duties, uint64_t seq) {
    for (uint32_t signer = 0; signer < duties->world->replica_count; signer++) {
        struct heard *heard = &duties->heard[signer];
        uint32_t kept = 0;
        for (uint32_t i = 0; i < heard->count; i++)
            if (heard->items[i].statement.seq > seq)
                heard->items[kept++] = heard->items[i];
        heard->count = kept;
    }
}

/* ---- state transfer, as a source ---- */

/* The open block's data as of a seq, by the reference. */
static struct ord_span tail_at(const struct sim_model *model, uint64_t seq) {
    const struct sim_model_seq *after = &model->seqs[seq - 1];
    const uint8_t *data = after->height < model->block_count ? model->blocks[after->height].data->data : model->data;
    return ord_span_of(data, after->open_size);
}

static struct ord_span progress_at(const struct sim_model *model, uint64_t seq) {
    return ord_span_of(model->seqs[seq - 1].progress, model->seqs[seq - 1].progress_size);
}

/* True if this point is on disk, with everything that its tail is made of. */
static bool has_tail(const struct sim_duties *duties, uint64_t height, uint64_t seq) {
    const struct sim_process *process = duties->process;
    const struct sim_disk *disk = &process->replica->disk;
    struct channel_statement statement;
    char name[SIM_NAME_SIZE];
    point_name(duties, name, seq);
    struct ord_span point = sim_disk_meta(disk, name);
    struct replica_status status;
    replica_status(process->program, &status);
    return !status.syncing_between && find_pending(duties, name).size == 0 && sim_statement_read(&statement, point) &&
           statement.seq == seq && statement.height == height &&
           channel_height(replica_channel(process->program)) == sim_disk_height(disk);
}

static void check_tail(struct sim_duties *duties, const struct request *request, const struct ord_span *parts,
                       size_t part_count) {
    const struct sim_model *model = &duties->world->checker->model;
    bool form = part_count == 2 && parts[0].size > TAIL_HEADER + 4 && ord_load_u64(parts[0].data) == request->seq;
    bool found = form && parts[0].data[8] != 0;
    struct ord_span progress =
        form ? ord_span_of(parts[0].data + TAIL_HEADER, parts[0].size - TAIL_HEADER - 4) : ord_span_of(NULL, 0);
    if (found && (request->seq == 0 || request->seq > model->seq_count ||
                  model->seqs[request->seq - 1].height != request->height ||
                  !ord_span_equal(progress, progress_at(model, request->seq)) ||
                  !ord_span_equal(parts[1], tail_at(model, request->seq))))
        form = false;
    if (!form)
        sim_blame(duties->replica, "transfer", "serves a tail of height %lu, seq %lu that is not the reference's",
                  (unsigned long) request->height, (unsigned long) request->seq);
    else if (!found && has_tail(duties, request->height, request->seq))
        sim_blame(duties->replica, "transfer", "does not give the tail of seq %lu that it has",
                  (unsigned long) request->seq);
}

/* NULL, or what is wrong with the piece. */
static const char *piece_fault(const struct sim_duties *duties, const struct request *request, struct ord_span piece) {
    const struct sim_model *model = &duties->world->checker->model;
    struct ord_reader reader = ord_reader_of(piece);
    struct channel_certificate certificate;
    struct channel_header header;
    uint64_t height = ord_read_u64(&reader);
    uint32_t count = ord_read_u32(&reader);
    if (height != request->first)
        return "begins elsewhere";
    for (uint32_t i = 0; i < count; i++, height++) {
        struct ord_span block = ord_read_string(&reader, SIZE_MAX);
        if (reader.failed || height > model->block_count || block.size < CHANNEL_HEADER_SIZE ||
            !ord_span_equal(
                ord_span_of(block.data + CHANNEL_HEADER_SIZE, block.size - CHANNEL_HEADER_SIZE),
                sim_buffer_span(height == 0 ? duties->world->genesis_data : model->blocks[height - 1].data)))
            return "has another block than the reference";
    }
    uint32_t headers = ord_read_u32(&reader);
    for (uint32_t i = 0; i < headers; i++, height++)
        if (channel_header_decode(&header, ord_read_span(&reader, CHANNEL_HEADER_SIZE)) != ORD_OK ||
            header.height != height)
            return "has a gap";
    struct ord_span bytes = ord_read_string(&reader, CHANNEL_CERTIFICATE_SIZE_MAX);
    if (ord_reader_finish(&reader) != ORD_OK || channel_certificate_decode(&certificate, bytes) != ORD_OK ||
        certificate.statement.height != height - 1)
        return "does not end with the certificate of its last header";
    return sim_certificate_fault(duties->world, &certificate, false);
}

static void check_piece(struct sim_duties *duties, const struct request *request, struct ord_span piece) {
    const struct sim_disk *disk = &duties->replica->disk;
    uint64_t at;
    bool nothing = piece.size == PIECE_HEADER && ord_load_u32(piece.data + 8) == 0;
    if (!nothing) {
        const char *fault = piece_fault(duties, request, piece);
        if (fault != NULL)
            sim_fail(duties->world, "transfer: the piece that replica %u serves %s", duties->replica->instance, fault);
    } else if (request->first <= request->height && request->first <= sim_disk_height(disk) &&
               sim_serve_certificate(duties->process, &at, request->first) != NULL && at <= sim_disk_height(disk) &&
               at <= request->first + LATER_HEADERS_MAX) {
        sim_blame(duties->replica, "transfer", "does not give block %lu that it has", (unsigned long) request->first);
    }
}

/* A request waits for no longer than the asker's quota makes it. */
static void check_served(const struct sim_duties *duties) {
    for (ord_node_id id = 0; id < duties->world->replica_count; id++)
        if (duties->requests[id].open && duties->paid_us[id] <= now_of(duties) * 1000 + QUOTA_AHEAD_US)
            sim_blame(duties->replica, "transfer", "does not answer a request of replica %u", id);
}

static size_t block_bytes(const struct sim_duties *duties, uint64_t height) {
    const struct sim_model *model = &duties->world->checker->model;
    if (height == 0 || height > model->block_count)
        return 0;
    return CHANNEL_HEADER_SIZE + sim_buffer_span(model->blocks[height - 1].data).size;
}

/*
 * What a source reads at most for an answer. It may give less of it: a piece ends at a block with a certificate, and a
 * tail may be a small part of the block that came of it.
 */
static size_t read_bytes(const struct sim_duties *duties, const struct request *request, enum replica_link kind) {
    if (kind == REPLICA_LINK_SYNC_TAIL)
        return block_bytes(duties, request->height + 1);
    size_t bytes = 0;
    for (uint64_t height = request->first; height <= request->height && bytes < PIECE_BYTES_MAX; height++) {
        size_t block = block_bytes(duties, height);
        if (block == 0)
            break;
        bytes += block;
    }
    return bytes;
}

/* The quota may have been larger. */
static void pay(struct sim_duties *duties, ord_node_id asker, size_t bytes) {
    uint64_t now_us = now_of(duties) * 1000;
    uint64_t from_us = duties->paid_us[asker] > now_us ? duties->paid_us[asker] : now_us;
    uint64_t charged = bytes > REQUEST_CHARGE_MIN ? bytes : (uint64_t) REQUEST_CHARGE_MIN;
    duties->paid_us[asker] = from_us + charged * 1000000 / QUOTA_LEAST;
}

static void take_request(struct sim_duties *duties, ord_node_id from, struct ord_span bytes) {
    uint64_t first = bytes.size == REQUEST_SIZE ? ord_load_u64(bytes.data + 1) : 0;
    if (first == 0 || (bytes.data[0] != WANT_BLOCKS && bytes.data[0] != WANT_TAIL))
        return;
    duties->requests[from] = (struct request) {
        .open = true, .first = first, .height = ord_load_u64(bytes.data + 9), .seq = ord_load_u64(bytes.data + 17)};
}

/* ---- attestations ---- */

static void take_message(struct sim_duties *duties, ord_node_id from, uint8_t kind, struct ord_span bytes) {
    if (kind == REPLICA_LINK_SYNC_REQUEST)
        take_request(duties, from, bytes);
}

void sim_duties_taken(struct sim_duties *duties, const struct sim_input *input) {
    if (duties == NULL || duties->world->failed)
        return;
    const struct replica_check *check = input->check;
    if (input->type == REPLICA_INPUT_MESSAGE)
        take_message(duties, input->from, input->kind, sim_buffer_span(input->buffer));
    if (input->type != REPLICA_INPUT_CHECKED || check->ignored || check->err != ORD_OK)
        return;
    if (check->type == REPLICA_CHECK_ATTESTATION)
        hear(duties, &check->attestation, true);
    else if (check->type == REPLICA_CHECK_CERTIFICATE)
        hear_all(duties, check->certificate);
}

/* A piece or a tail goes to the replica in `to`. */
static void served(struct sim_duties *duties, ord_replica_set to, enum replica_link kind, const struct ord_span *parts,
                   size_t part_count) {
    ord_node_id asker = 0;
    while ((to >> asker & 1) == 0)
        asker++;
    const struct request request = duties->requests[asker];
    size_t read = read_bytes(duties, &request, kind);
    duties->requests[asker].open = false;
    if (kind == REPLICA_LINK_SYNC_TAIL)
        pay(duties, asker, parts[1].size + read);
    else
        pay(duties, asker, parts[0].size > read ? parts[0].size : read);
    if (request.open && kind == REPLICA_LINK_SYNC_TAIL)
        check_tail(duties, &request, parts, part_count);
    else if (request.open)
        check_piece(duties, &request, parts[0]);
}

void sim_duties_sent(struct sim_duties *duties, ord_replica_set to, enum replica_link kind,
                     const struct ord_span *parts, size_t part_count) {
    struct channel_attestation attestation;
    if (duties == NULL || duties->world->failed)
        return;
    if (kind == REPLICA_LINK_CERTIFICATE) {
        duties->certified_ms = ord_replica_count(~to) == 0 ? now_of(duties) : duties->certified_ms;
    } else if (kind == REPLICA_LINK_SYNC_BLOCKS || kind == REPLICA_LINK_SYNC_TAIL) {
        served(duties, to, kind, parts, part_count);
    } else if (kind == REPLICA_LINK_ATTESTATION && channel_attestation_decode(&attestation, parts[0]) == ORD_OK) {
        /* Answers to old attestations are older than its newest one. */
        if (duties->attested && attestation.statement.seq < duties->attested_seq)
            return;
        duties->attested = true;
        duties->attested_seq = attestation.statement.seq;
        duties->attested_ms = now_of(duties);
    }
}

static void check_attested(struct sim_duties *duties) {
    if (duties->housekeeping && duties->attested && now_of(duties) >= duties->attested_ms + AGAIN_MS)
        sim_blame(duties->replica, "attestation", "does not repeat its newest for %lu ms",
                  (unsigned long) (now_of(duties) - duties->attested_ms));
    if (duties->housekeeping && duties->stable_before && now_of(duties) >= duties->certified_ms + AGAIN_MS)
        sim_blame(duties->replica, "attestation", "does not send its stable certificate for %lu ms",
                  (unsigned long) (now_of(duties) - duties->certified_ms));
}

/* What is executed last is attested when nothing follows it, or no certificate would ever cover it. */
static void check_attested_at_rest(struct sim_duties *duties) {
    const struct sim_process *process = duties->process;
    uint64_t seq = channel_applied_seq(replica_channel(process->program));
    struct channel_statement statement;
    struct replica_status status;
    replica_status(process->program, &status);
    if (seq != duties->rest_seq || duties->replica->full || status.syncing_between) {
        duties->rest_seq = seq;
        duties->rest_since_ms = UINT64_MAX;
        return;
    }
    if (!duties->housekeeping || seq == 0)
        return;
    if (duties->rest_since_ms == UINT64_MAX)
        duties->rest_since_ms = now_of(duties);
    if (now_of(duties) >= duties->rest_since_ms + REST_MS &&
        (!sim_statement_read(&statement, find_record(duties, SIM_META_STATEMENT)) || statement.seq < seq))
        sim_blame(duties->replica, "attestation", "executes nothing beyond seq %lu for %lu ms, and does not attest it",
                  (unsigned long) seq, (unsigned long) (now_of(duties) - duties->rest_since_ms));
}

/* ---- the core ---- */

void sim_duties_event(struct sim_duties *duties, const struct ord_event *event) {
    struct channel_statement statement;
    if (duties == NULL || duties->world->failed)
        return;
    if (event->type == ORD_EVENT_SYNCED &&
        (!sim_statement_read(&statement, find_record(duties, SIM_META_STATEMENT)) || statement.seq < event->synced.seq))
        sim_blame(duties->replica, "transfer", "makes no statement of seq %lu, where its transfer ended",
                  (unsigned long) event->synced.seq);
    if (event->type != ORD_EVENT_ATTESTED)
        return;
    uint64_t applied_seq = channel_applied_seq(replica_channel(duties->process->program));
    if (event->attested.seq <= applied_seq && event->attested.seq > duties->stable_seq)
        sim_blame(duties->replica, "durability", "cuts its log at seq %lu, and keeps a certificate of seq %lu",
                  (unsigned long) event->attested.seq, (unsigned long) duties->stable_seq);
}

void sim_duties_effect(struct sim_duties *duties, const struct ord_effect *effect) {
    if (duties != NULL && !duties->world->failed && effect->type == ORD_EFFECT_EVIDENCE)
        owe(duties, EVIDENCE_VOTES, effect->evidence.first, effect->evidence.second);
}

void sim_duties_put(struct sim_duties *duties, const char *name, struct ord_span value) {
    struct channel_certificate certificate;
    if (duties == NULL || duties->world->failed)
        return;
    duties->statement_put = duties->statement_put || strcmp(name, SIM_META_STATEMENT) == 0;
    if (strncmp(name, SIM_META_EVIDENCE, strlen(SIM_META_EVIDENCE)) == 0)
        put_evidence(duties, name, value);
    if (strcmp(name, SIM_META_STABLE) != 0 || channel_certificate_decode(&certificate, value) != ORD_OK)
        return;
    duties->stable_seq = certificate.statement.seq;
    settle(duties, duties->stable_seq);
}

void sim_duties_certificate(struct sim_duties *duties, uint64_t height) {
    if (duties != NULL && height > duties->certified_height)
        duties->certified_height = height;
}

/* ---- turns and commits ---- */

/* A statement stands as a point too, from where others get its tail. */
static void check_point(struct sim_duties *duties) {
    struct channel_statement statement;
    struct channel_statement point;
    char name[SIM_NAME_SIZE];
    if (!duties->statement_put || !sim_statement_read(&statement, find_pending(duties, SIM_META_STATEMENT)))
        return;
    point_name(duties, name, statement.seq);
    if (!sim_statement_read(&point, find_pending(duties, name)) || !channel_statement_equal(&statement, &point))
        sim_blame(duties->replica, "disk", "keeps its statement about seq %lu and not its point",
                  (unsigned long) statement.seq);
}

/* What is on disk and certified, readers have. */
static void check_readers(const struct sim_duties *duties) {
    uint64_t height = sim_disk_height(&duties->replica->disk);
    if (duties->certified_height <= height && duties->process->certified_height < duties->certified_height)
        sim_blame(duties->replica, "readers", "does not tell them of block %lu, which is on disk and certified",
                  (unsigned long) duties->certified_height);
}

void sim_duties_turn(struct sim_duties *duties) {
    if (duties == NULL)
        return;
    duties->statement_put = false;
    duties->stable_before = duties->stable_seq != 0;
    duties->housekeeping = now_of(duties) >= duties->housekeeping_ms;
    if (duties->housekeeping)
        duties->housekeeping_ms = now_of(duties) + HOUSEKEEPING_MS;
}

void sim_duties_ended(struct sim_duties *duties) {
    if (duties == NULL || duties->world->failed)
        return;
    check_served(duties);
    check_owed(duties);
    check_attested(duties);
    check_attested_at_rest(duties);
    check_point(duties);
    if (!duties->evidence_put)
        return;
    struct replica_status status;
    replica_status(duties->process->program, &status);
    for (uint32_t i = 0; i < duties->world->replica_count; i++)
        if (status.evidence[i] != duties->pieces[i])
            sim_blame(duties->replica, "evidence", "tells readers of %u pieces against replica %u, its disk has %u",
                      status.evidence[i], i, duties->pieces[i]);
}

/* Nobody relies on a certificate or on a forgotten record, so these writes may wait. */
static bool may_wait(const struct sim_write *write) {
    static const char stable[] = SIM_META_STABLE;
    const struct sim_name name = sim_name_of(stable);
    return write->kind == SIM_WRITE_CERTIFICATE || write->kind == SIM_WRITE_FORGET ||
           (write->kind == SIM_WRITE_META && memcmp(&write->name, &name, sizeof(name)) == 0);
}

void sim_duties_commit(struct sim_duties *duties, uint64_t turn) {
    if (duties == NULL || duties->world->failed)
        return;
    check_readers(duties);
    if (turn != 0 || duties->process->committing != 0)
        return;
    const struct sim_writes *writes = &duties->process->writes;
    for (size_t i = 0; i < writes->count; i++)
        /* What the end of the turn brought about is committed by the next one, at once. */
        if (!may_wait(&writes->items[i]) && replica_due_ms(duties->process->program) > now_of(duties)) {
            sim_blame(duties->replica, "commit", "lets a write of kind %d wait that others wait for",
                      (int) writes->items[i].kind);
            return;
        }
    if (writes->count > 0 && replica_due_ms(duties->process->program) > now_of(duties) + HOUSEKEEPING_MS)
        sim_blame(duties->replica, "commit", "is not due for what waits to be committed");
    if (duties->recovered && !duties->attested)
        sim_blame(duties->replica, "attestation", "does not sign its statement again after its restart");
}

static void count_pieces(struct sim_duties *duties) {
    for (ord_node_id culprit = 0; culprit < duties->world->replica_count; culprit++) {
        char name[SIM_NAME_SIZE];
        do
            sim_evidence_name(name, culprit, duties->pieces[culprit]);
        while (sim_disk_meta(&duties->replica->disk, name).size > 0 && ++duties->pieces[culprit] < SLOTS_MAX);
    }
}

/* A restart finds each envelope of the open block: in the core's log, or in what a transfer brought. */
static void check_open_block(const struct sim_duties *duties, struct ord_span tail) {
    const struct sim_model *model = &duties->world->checker->model;
    const struct sim_disk *disk = &duties->replica->disk;
    uint64_t height = sim_disk_height(disk);
    size_t closed = height == 0 ? 0 : model->blocks[height - 1].order_end;
    uint64_t last_seq = height == 0 ? 0 : model->blocks[height - 1].last_seq;
    uint32_t tail_count = tail.size > 0 ? ord_load_u32(tail.data + 8) : 0;
    for (uint64_t seq = sim_disk_applied(disk); seq > 0 && seq >= last_seq; seq--) {
        size_t end = model->seqs[seq - 1].order_end;
        if (end <= closed + tail_count)
            return;
        if (model->seqs[seq - 1].accepted > 0 &&
            sim_disk_record(disk, duties->world->protocol->body_table, seq).size == 0)
            sim_blame(duties->replica, "disk", "has nothing of seq %lu, of which its open block holds a part",
                      (unsigned long) seq);
    }
}

void sim_duties_durable(struct sim_duties *duties) {
    if (duties == NULL || duties->world->failed)
        return;
    const struct sim_disk *disk = &duties->replica->disk;
    struct ord_span tail = sim_disk_meta(disk, SIM_META_TAIL);
    if (duties->evidence_put)
        count_pieces(duties);
    if (tail.size > 0 && ord_load_u64(tail.data) != sim_disk_height(disk) + 1)
        sim_blame(duties->replica, "disk", "keeps the tail of block %lu, and has %lu blocks",
                  (unsigned long) ord_load_u64(tail.data), (unsigned long) sim_disk_height(disk));
    else if (++duties->commits % 4 == 0)
        check_open_block(duties, tail);
}

struct sim_duties *sim_duties_create(struct sim_process *process) {
    const struct sim_disk *disk = &process->replica->disk;
    struct channel_certificate certificate;
    if (process->replica->liar)
        return NULL;
    struct sim_duties *duties = sim_alloc(sizeof(*duties));
    duties->process = process;
    duties->replica = process->replica;
    duties->world = process->world;
    duties->heard = sim_alloc(process->world->replica_count * sizeof(*duties->heard));
    duties->recovered = sim_disk_meta(disk, SIM_META_STATEMENT).size > 0;
    if (channel_certificate_decode(&certificate, sim_disk_meta(disk, SIM_META_STABLE)) == ORD_OK)
        duties->stable_seq = certificate.statement.seq;
    if (disk->certificates.count > 0)
        duties->certified_height = disk->certificates.count - 1;
    count_pieces(duties);
    return duties;
}

void sim_duties_destroy(struct sim_duties *duties) {
    if (duties == NULL)
        return;
    free(duties->heard);
    free(duties);
}
