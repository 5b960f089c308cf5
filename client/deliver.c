/*
 * Pulls blocks in order and proves each before it is given out. The chain's state advances only over blocks that a
 * certificate covers; so when one replica fails, another can continue from the same block. The replicas' claims about
 * what they have decide which is asked first. A replica that does not make its claim good is left for the next.
 */
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/flow/text.h"
#include "client/ordain.h"

#define DELIVER_POLL_MS_DEFAULT 5000u
#define DELIVER_BYTES_DEFAULT   (8u << 20)
#define CLAIMS_TIMEOUT_MS       5000u
#define CLAIMS_GRACE_MS         200u
#define SPIN_US                 20000u
#define RETRY_PAUSE_US          250000u
#define TELL_AGAIN_US           10000000u
/* An envelope has at least one transaction, so a block has at most so many envelopes. */
#define LEAVES_MAX CHANNEL_MESSAGE_COUNT_LIMIT

struct pull {
    struct ordain *client;
    const struct ordain_deliver *want;
    struct ordain_delivered *out;
    struct channel_chain chain; /* state after the last block that was given out */
    bool started;               /* `chain` stands just before block `next` */
    uint64_t next;
    uint64_t progress_us; /* when a block was last given out */
    /* A replica answered BUSY in this round: it is to be asked again. */
    bool busy;
    /* When the caller was last told that nobody serves; 0: somebody does. */
    uint64_t told_us;
    struct ord_hash *leaves;
    char *why;
    size_t why_size;
};

/* One replica, and what it claims to have. */
struct source {
    uint32_t replica;
    uint64_t claimed;
    bool answered;
};

struct claims {
    struct source list[ORD_REPLICA_MAX];
    uint32_t count;
    uint32_t answers;
    bool busy; /* one of them had no time to answer */
};

/* ---- Giving out ------------------------------------------------------------------------------------------------- */

bool ordain_envelope_next(struct ordain_envelope *out, struct ordain_bytes *data) {
    struct ord_span left = ord_span_of(data->data, data->size);
    struct ord_span bytes;
    struct channel_envelope envelope;
    struct ord_hash id;
    if (channel_batch_next(&bytes, &left) != ORD_OK || channel_envelope_decode(&envelope, bytes) != ORD_OK)
        return false;
    channel_envelope_id(&id, envelope.body);
    memcpy(out->id, id.bytes, ORDAIN_HASH_SIZE);
    memcpy(out->client, envelope.client.bytes, ORDAIN_HASH_SIZE);
    out->kind = (enum ordain_envelope_kind) envelope.kind;
    out->sequence = envelope.sequence;
    out->transaction_count = envelope.transaction_count;
    out->transactions = (struct ordain_bytes) {envelope.transactions.data, envelope.transactions.size};
    *data = (struct ordain_bytes) {left.data, left.size};
    return true;
}

bool ordain_transaction_next(struct ordain_bytes *out, struct ordain_bytes *transactions) {
    struct ord_span left = ord_span_of(transactions->data, transactions->size);
    struct ord_span transaction;
    if (channel_envelope_next(&transaction, &left) != ORD_OK)
        return false;
    *out = (struct ordain_bytes) {transaction.data, transaction.size};
    *transactions = (struct ordain_bytes) {left.data, left.size};
    return true;
}

/* Counts the transactions of clients. The content of a registration or a configuration is not one. */
static uint64_t count_transactions(struct ord_span data) {
    uint64_t count = 0;
    struct ord_span bytes;
    struct channel_envelope envelope;
    while (channel_batch_next(&bytes, &data) == ORD_OK)
        if (channel_envelope_decode(&envelope, bytes) == ORD_OK && envelope.kind == CHANNEL_ENVELOPE_TRANSACTIONS)
            count += envelope.transaction_count;
    return count;
}

static bool give_out(struct pull *pull, const struct channel_header *header, struct ord_span header_bytes,
                     struct ord_span data, uint32_t replica) {
    struct ord_hash hash;
    channel_header_hash(&hash, header);
    struct ordain_block block = {
        .height = header->height,
        .envelope_count = header->envelope_count,
        .transaction_count = header->transaction_count,
        .byte_count = header->byte_count,
        .last_seq = header->last_seq,
        .header = {header_bytes.data, header_bytes.size},
        .data = {data.data, data.size},
    };
    memcpy(block.hash, hash.bytes, ORDAIN_HASH_SIZE);
    memcpy(block.previous_hash, header->previous_hash.bytes, ORDAIN_HASH_SIZE);
    memcpy(block.data_root, header->data_root.bytes, ORDAIN_HASH_SIZE);
    struct ordain_delivered *out = pull->out;
    if (out->blocks++ == 0)
        out->first = header->height;
    out->last = header->height;
    out->transactions += count_transactions(data);
    out->replica = replica;
    memcpy(out->head_hash, hash.bytes, ORDAIN_HASH_SIZE);
    pull->next = header->height + 1;
    pull->progress_us = client_now_us();
    return pull->want->on_block == NULL || pull->want->on_block(pull->want->context, &block);
}

/*
 * Gives out the genesis block from the client's own file. Everything else is checked against it, so no replica is asked
 * for it.
 */
static bool give_genesis(struct pull *pull) {
    uint8_t header[CHANNEL_HEADER_SIZE];
    channel_header_encode(header, &pull->client->trust.genesis_header);
    return give_out(pull, &pull->client->trust.genesis_header, ord_span_of(header, sizeof(header)),
                    pull->client->trust.genesis_data, 0);
}

/* ---- Checking --------------------------------------------------------------------------------------------------- */

/* Puts the chain just before the first pulled block. That block's link to its predecessor is taken as it is. */
static void start_at(struct channel_chain *chain, const struct channel_header *header) {
    chain->height = header->height - 1;
    chain->head_hash = header->previous_hash;
    chain->last_seq = 0;
    chain->proved_height = header->height - 1;
}

static enum ord_err check_block(struct pull *pull, struct channel_chain *chain, struct channel_header *header,
                                const Ordain__V1__Block *block, bool first, const char **why) {
    *why = "malformed header";
    enum ord_err err = channel_header_decode(header, client_span(&block->header));
    if (err != ORD_OK)
        return err;
    if (block->data_omitted) {
        *why = "its data was left out";
        return ORD_ERR_INVALID;
    }
    if (first && !pull->started) {
        bool wanted = pull->want->from == ORDAIN_FROM_NEWEST ? header->height > 0 : header->height == pull->next;
        if (!wanted) {
            *why = "another block was asked for";
            return ORD_ERR_MISMATCH;
        }
        start_at(chain, header);
    }
    *why = "it does not continue the chain";
    return channel_chain_block(chain, header, client_span(&block->data), pull->leaves, LEAVES_MAX, why);
}

static enum ord_err check_certificate(const struct pull *pull, struct channel_chain *chain,
                                      const ProtobufCBinaryData *bytes, const char **why) {
    struct channel_certificate certificate;
    *why = "malformed certificate";
    enum ord_err err = channel_certificate_decode(&certificate, client_span(bytes));
    if (err != ORD_OK)
        return err;
    *why = "its certificate does not verify";
    return channel_chain_certificate(chain, &certificate, pull->client->trust.quorum, why);
}

/*
 * The last block of a reply may be covered by the certificate of a later block. The headers in between then prove the
 * link.
 */
static enum ord_err check_tail(const struct pull *pull, struct channel_chain *chain,
                               const Ordain__V1__DeliverResponse *response, const char **why) {
    struct channel_chain ahead = *chain;
    struct ord_span headers = client_span(&response->later_headers);
    *why = "no certificate covers it";
    if (response->certificate.len == 0)
        return ORD_ERR_NOT_FOUND;
    *why = "malformed later headers";
    if (headers.size % CHANNEL_HEADER_SIZE != 0)
        return ORD_ERR_INVALID;
    for (size_t at = 0; at < headers.size; at += CHANNEL_HEADER_SIZE) {
        struct channel_header header;
        enum ord_err err = channel_header_decode(&header, ord_span_of(headers.data + at, CHANNEL_HEADER_SIZE));
        if (err == ORD_OK)
            err = channel_chain_header(&ahead, &header, why);
        if (err != ORD_OK)
            return err;
    }
    enum ord_err err = check_certificate(pull, &ahead, &response->certificate, why);
    if (err != ORD_OK)
        return err;
    chain->proved_height = chain->height;
    chain->certificates = ahead.certificates;
    return ORD_OK;
}

/* Gives out blocks [first, end) of a reply, all proved. */
static bool commit(struct pull *pull, const Ordain__V1__DeliverResponse *response, size_t first, size_t end,
                   const struct channel_chain *chain, uint32_t replica) {
    pull->chain = *chain;
    pull->started = true;
    pull->out->certificates = chain->certificates;
    for (size_t i = first; i < end; i++) {
        struct channel_header header;
        const Ordain__V1__Block *block = response->blocks[i];
        if (channel_header_decode(&header, client_span(&block->header)) != ORD_OK ||
            !give_out(pull, &header, client_span(&block->header), client_span(&block->data), replica))
            return false;
    }
    return true;
}

static enum ordain_error take_blocks(struct pull *pull, const Ordain__V1__DeliverResponse *response, uint32_t replica) {
    struct channel_chain chain = pull->chain;
    size_t given = 0;
    const char *why = "";
    uint64_t height = pull->next;
    for (size_t i = 0; i < response->n_blocks; i++) {
        struct channel_header header;
        const Ordain__V1__Block *block = response->blocks[i];
        enum ord_err err = check_block(pull, &chain, &header, block, i == 0, &why);
        if (err == ORD_OK)
            height = header.height;
        if (err == ORD_OK && pull->want->to < ORDAIN_TO_FOREVER && height > pull->want->to) {
            why = "it was not asked for";
            err = ORD_ERR_INVALID;
        }
        bool last = i + 1 == response->n_blocks;
        if (err == ORD_OK && block->certificate.len > 0)
            err = check_certificate(pull, &chain, &block->certificate, &why);
        else if (err == ORD_OK && last)
            err = check_tail(pull, &chain, response, &why);
        if (err != ORD_OK) {
            char what[160];
            client_say(what, sizeof(what), "block %llu: %s", (unsigned long long) height, why);
            client_replica_accuse(&pull->client->replicas, replica, "%s", what);
            client_say(pull->why, pull->why_size, "replica %u: %s", replica, what);
            return ORDAIN_UNVERIFIED;
        }
        if (chain.proved_height == chain.height) {
            if (!commit(pull, response, given, i + 1, &chain, replica))
                return ORDAIN_STOPPED;
            given = i + 1;
        }
        height++;
    }
    return ORDAIN_OK;
}

/* ---- Pulling ---------------------------------------------------------------------------------------------------- */

static bool reached(const struct pull *pull) {
    return pull->want->to < ORDAIN_TO_FOREVER && pull->next > pull->want->to;
}

static bool stop_wanted(const struct pull *pull) {
    return pull->want->stop != NULL && pull->want->stop(pull->want->context);
}

static bool time_over(const struct pull *pull) {
    return pull->want->wait_ms != 0 && client_now_us() >= pull->progress_us + (uint64_t) pull->want->wait_ms * 1000u;
}

/*
 * The replica has nothing more for now. `newest` is 0 when the replica does not say what it has. OK: everything that
 * exists was given out. NOT_READY: the block may still come.
 */
static enum ordain_error nothing_yet(struct pull *pull, uint32_t replica, uint64_t newest) {
    if (pull->want->to == ORDAIN_TO_NEWEST && pull->out->blocks > 0)
        return ORDAIN_OK;
    char newest_words[64] = "";
    if (newest != 0)
        client_say(newest_words, sizeof(newest_words), " (its newest is %llu)", (unsigned long long) newest);
    client_say(pull->why, pull->why_size, "replica %u: block %llu is not there yet%s", replica,
               (unsigned long long) pull->next, newest_words);
    return ORDAIN_NOT_READY;
}

static enum ordain_error ask_blocks(struct pull *pull, client_response **out, uint32_t replica) {
    uint32_t poll_ms = pull->want->poll_ms != 0 ? pull->want->poll_ms : DELIVER_POLL_MS_DEFAULT;
    Ordain__V1__DeliverRequest ask = ORDAIN__V1__DELIVER_REQUEST__INIT;
    bool newest = !pull->started && pull->want->from == ORDAIN_FROM_NEWEST;
    ask.from_seek = newest ? ORDAIN__V1__DELIVER_REQUEST__SEEK__NEWEST : ORDAIN__V1__DELIVER_REQUEST__SEEK__HEIGHT;
    ask.from = newest ? 0 : pull->next;
    ask.to_newest = pull->want->to == ORDAIN_TO_NEWEST;
    ask.to = pull->want->to == ORDAIN_TO_FOREVER ? UINT64_MAX : ask.to_newest ? 0 : pull->want->to;
    ask.timeout_ms = ask.to_newest ? 0 : poll_ms;
    ask.bytes_max = pull->want->bytes_max != 0 ? pull->want->bytes_max : DELIVER_BYTES_DEFAULT;
    client_request request = client_request_of(ORDAIN__V1__REQUEST__KIND_DELIVER, pull->client->config.channel, &ask);
    enum ord_err err =
        client_ask(&pull->client->replicas, out, replica, &request, ask.timeout_ms + pull->client->config.timeout_ms);
    if (err == ORD_OK)
        return ORDAIN_OK;
    char words[NET_WHY_MAX];
    if (err == ORD_ERR_CLOSED && !client_replica_up(&pull->client->replicas, replica))
        client_replica_silence(&pull->client->replicas, replica, words, sizeof(words));
    else
        client_say(words, sizeof(words), "%s", err == ORD_ERR_INVALID ? "its reply is malformed" : ord_err_text(err));
    client_say(pull->why, pull->why_size, "replica %u (%s): %s", replica, pull->client->replicas.list[replica].name,
               words);
    return err == ORD_ERR_INVALID ? ORDAIN_UNVERIFIED : ORDAIN_UNREACHABLE;
}

/* Asks one replica once. OK: continue. NOT_READY: nothing new. Any other error: what is wrong with the answer. */
static enum ordain_error pull_once(struct pull *pull, uint32_t replica, bool *end) {
    client_response *response = NULL;
    enum ordain_error error = ask_blocks(pull, &response, replica);
    if (error != ORDAIN_OK)
        return error;
    const Ordain__V1__DeliverResponse *said =
        response->kind_case == ORDAIN__V1__RESPONSE__KIND_DELIVER ? response->deliver : NULL;
    bool ok = response->status == ORDAIN__V1__STATUS__OK;
    if (ok && said != NULL && said->n_blocks > 0) {
        error = take_blocks(pull, said, replica);
    } else if (ok || response->status == ORDAIN__V1__STATUS__NOT_READY) {
        error = nothing_yet(pull, replica, said != NULL ? said->newest : 0);
        *end = error == ORDAIN_OK;
    } else {
        client_replica_say(pull->why, pull->why_size, replica, response->status, response->message);
        pull->busy = pull->busy || response->status == ORDAIN__V1__STATUS__BUSY;
        error = client_status_error(response->status);
        if (error == ORDAIN_OK)
            error = ORDAIN_UNVERIFIED;
    }
    client_response_free(response);
    return error;
}

/* OK: everything wanted was given out, as far as this replica has it. */
static enum ordain_error pull_from(struct pull *pull, uint32_t replica) {
    while (!reached(pull)) {
        bool end = false;
        uint64_t asked_us = client_now_us();
        if (stop_wanted(pull))
            return ORDAIN_STOPPED;
        enum ordain_error error = pull_once(pull, replica, &end);
        if (end)
            return ORDAIN_OK;
        if (error == ORDAIN_OK)
            continue;
        if (error != ORDAIN_NOT_READY || pull->want->to == ORDAIN_TO_NEWEST)
            return error;
        if (time_over(pull))
            return ORDAIN_TIMEOUT;
        /*
         * After a whole poll without the block, another replica may have it. Pause if this one answered at once, so
         * that we do not spin.
         */
        if (client_now_us() - asked_us < SPIN_US)
            client_pause_us(SPIN_US);
        if (pull->client->replicas.pin == ORDAIN_ANY_REPLICA)
            return ORDAIN_NOT_READY;
    }
    return ORDAIN_OK;
}

/* ---- Sources ---------------------------------------------------------------------------------------------------- */

static bool on_claim(void *context, uint32_t replica, enum ord_err err, const client_response *response) {
    struct claims *claims = context;
    claims->busy = claims->busy || (err == ORD_OK && response->status == ORDAIN__V1__STATUS__BUSY);
    if (err != ORD_OK || response->status != ORDAIN__V1__STATUS__OK)
        return false;
    claims->list[replica].claimed = response->replica->certified_height;
    claims->list[replica].answered = true;
    claims->answers++;
    return true;
}

static int by_claim(const void *a, const void *b) {
    const struct source *x = a;
    const struct source *y = b;
    if (x->answered != y->answered)
        return x->answered ? -1 : 1;
    if (x->claimed != y->claimed)
        return x->claimed > y->claimed ? -1 : 1;
    return x->replica < y->replica ? -1 : 1;
}

/* Sorts the sources: those that claim the most come first. */
static enum ord_err find_sources(struct ordain *client, struct claims *out) {
    memset(out, 0, sizeof(*out));
    if (client->replicas.pin != ORDAIN_ANY_REPLICA) {
        out->count = 1;
        out->list[0].replica = (uint32_t) client->replicas.pin;
        return ORD_OK;
    }
    out->count = client->replicas.count;
    for (uint32_t i = 0; i < out->count; i++)
        out->list[i].replica = i;
    Ordain__V1__StatusRequest ask = ORDAIN__V1__STATUS_REQUEST__INIT;
    client_request request = client_request_of(ORDAIN__V1__REQUEST__KIND_STATUS, client->config.channel, &ask);
    uint32_t timeout_ms = client->config.timeout_ms < CLAIMS_TIMEOUT_MS ? client->config.timeout_ms : CLAIMS_TIMEOUT_MS;
    enum ord_err err = client_gather(&client->replicas, &request, timeout_ms, CLAIMS_GRACE_MS, on_claim, out);
    if (err == ORD_OK)
        qsort(out->list, out->count, sizeof(out->list[0]), by_claim);
    return err;
}

static void problem(const struct pull *pull, uint32_t replica) {
    if (pull->want->on_problem != NULL)
        pull->want->on_problem(pull->want->context, replica, pull->why);
}

/* Nobody serves. Tells so at once, and again while that lasts. */
static void tell_silence(struct pull *pull) {
    uint64_t now_us = client_now_us();
    if (pull->told_us != 0 && now_us < pull->told_us + TELL_AGAIN_US)
        return;
    pull->told_us = now_us;
    problem(pull, ORDAIN_NO_REPLICA);
}

/*
 * Tries one source after the other, each from where the previous one ended. OK: at least one source brought us to the
 * end.
 */
static enum ordain_error pull_all(struct pull *pull, const struct claims *claims) {
    enum ordain_error worst = ORDAIN_UNREACHABLE;
    bool ended = false;
    if (claims->answers == 0 && pull->client->replicas.pin == ORDAIN_ANY_REPLICA) {
        client_replicas_silence(&pull->client->replicas, pull->why, pull->why_size);
        return ORDAIN_UNREACHABLE;
    }
    for (uint32_t i = 0; i < claims->count; i++) {
        const struct source *source = &claims->list[i];
        bool pinned = pull->client->replicas.pin != ORDAIN_ANY_REPLICA;
        if (!pinned && !source->answered)
            continue;
        if (ended && source->claimed < pull->next)
            /* We already have as much as this source and the remaining ones claim. */
            break;
        enum ordain_error error = pull_from(pull, source->replica);
        if (error == ORDAIN_OK) {
            ended = true;
            if (reached(pull) || pinned || source->claimed < pull->next)
                break;
            client_say(pull->why, pull->why_size, "replica %u does not give block %llu, which it claims to have",
                       source->replica, (unsigned long long) pull->next);
            problem(pull, source->replica);
            continue;
        }
        if (error == ORDAIN_STOPPED || error == ORDAIN_TIMEOUT)
            return error;
        if (error != ORDAIN_NOT_READY)
            problem(pull, source->replica);
        if (error != ORDAIN_UNREACHABLE && worst != ORDAIN_UNVERIFIED)
            worst = error;
    }
    return ended ? ORDAIN_OK : worst;
}

enum ordain_error ordain_deliver(struct ordain *client, const struct ordain_deliver *deliver,
                                 struct ordain_delivered *out, char *why, size_t why_size) {
    char sentence[ORDAIN_TEXT_SIZE] = "";
    struct pull pull = {
        .client = client,
        .want = deliver,
        .out = out,
        .next = deliver->from == ORDAIN_FROM_NEWEST ? 0 : deliver->from,
        .progress_us = client_now_us(),
        .why = sentence,
        .why_size = sizeof(sentence),
    };
    struct claims claims;
    enum ordain_error error = ORDAIN_OK;
    memset(out, 0, sizeof(*out));
    if (deliver->from != ORDAIN_FROM_NEWEST && deliver->to < ORDAIN_TO_FOREVER && deliver->from > deliver->to) {
        client_say(why, why_size, "there is nothing from %llu to %llu", (unsigned long long) deliver->from,
                   (unsigned long long) deliver->to);
        return ORDAIN_INVALID;
    }
    pull.leaves = malloc((size_t) LEAVES_MAX * sizeof(struct ord_hash));
    if (pull.leaves == NULL)
        return ORDAIN_NO_MEMORY;
    channel_chain_init(&pull.chain, &client->trust.config, &client->trust.genesis_hash, &client->trust.crypto);
    if (deliver->from == 0)
        error = give_genesis(&pull) ? ORDAIN_OK : ORDAIN_STOPPED;
    pull.started = pull.next == 1; /* the chain hangs on the genesis block */
    while (error == ORDAIN_OK && !reached(&pull)) {
        uint64_t before = pull.next;
        error = client_error(find_sources(client, &claims));
        pull.busy = claims.busy;
        if (error == ORDAIN_OK)
            error = pull_all(&pull, &claims);
        if (error == ORDAIN_OK)
            break;
        /* The block may still come, from any replica. Keep trying for as long as the caller waits. */
        bool silent = error == ORDAIN_UNREACHABLE;
        bool patient = deliver->to != ORDAIN_TO_NEWEST && (error == ORDAIN_NOT_READY || silent);
        if (silent && deliver->wait_ms == 0 && deliver->to != ORDAIN_TO_FOREVER)
            patient = false;
        /* A replica that answers BUSY is there: it is asked again. */
        if (!patient && !(silent && pull.busy))
            break;
        if (silent)
            tell_silence(&pull);
        else
            pull.told_us = 0;
        if (stop_wanted(&pull)) {
            error = ORDAIN_STOPPED;
        } else if (time_over(&pull)) {
            error = error == ORDAIN_NOT_READY ? ORDAIN_TIMEOUT : error;
            break;
        } else {
            if (before == pull.next)
                client_pause_us(RETRY_PAUSE_US);
            error = ORDAIN_OK;
        }
    }
    free(pull.leaves);
    client_say(why, why_size, "%s", error == ORDAIN_OK ? "" : sentence);
    return error;
}
