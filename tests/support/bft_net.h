/*
 * A simulated network of PBFT cores, and the lies of its liars; used by test_bft_cluster.c. A liar has no core: it
 * signs whatever it likes with its own key, and sees what the others do.
 */
#ifndef ORDAIN_TESTS_BFT_NET_H
#define ORDAIN_TESTS_BFT_NET_H

#include <stdlib.h>
#include <string.h>

#include "bft/bft_internal.h"
#include "core/quorum.h"
#include "tests/support/bft_host.h"
#include "tests/support/test_main.h"

#define REPLICA_MAX 7
#define MESSAGE_MAX 20000

enum liar { NOBODY, BACKUP, PRIMARY, TWO_TONGUES };

struct flying {
    uint64_t due_ms;
    ord_node_id from;
    ord_node_id to;
    uint8_t *data;
    size_t size;
};

struct net {
    uint64_t seed;
    uint64_t state;
    uint64_t now_ms;
    struct ord_crypto_ops crypto;
    struct bft_options options;
    uint32_t count;
    struct host hosts[REPLICA_MAX];
    uint64_t down_until_ms[REPLICA_MAX];
    ord_replica_set liars;
    /* When the liar leads, it tells one thing to `told_one`, another to `told_two`. */
    bool two_tongues;
    ord_replica_set told_one;
    ord_replica_set told_two;
    ord_replica_set dead; /* dead for now; a replica can also just be down */
    struct flying flying[MESSAGE_MAX];
    size_t flying_count;
    struct ord_hash agreed[HOST_SEQ_MAX];
    struct ord_hash agreed_batch[HOST_SEQ_MAX];
    uint64_t agreed_count;
    uint64_t batches_made;
    struct ord_hash null_batch;
    uint64_t worked_seq[REPLICA_MAX];
    uint64_t worked_view[REPLICA_MAX];
    uint8_t *changes[REPLICA_MAX]; /* the last VIEW-CHANGE that each replica sent */
    size_t change_sizes[REPLICA_MAX];
    bool healed;
    uint32_t loss_percent;
    uint32_t double_percent;
    uint32_t crash_per_10000;
    uint32_t hand_over_per_10000; /* of a replica's turns, while the network is not healed; whether it leads or not */
    uint32_t delay_ms_max;
    uint32_t refuse_percent;
};

static inline uint64_t random_u64(struct net *net) {
    uint64_t z = net->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint64_t below(struct net *net, uint64_t bound) {
    return random_u64(net) % bound;
}

static inline bool chance(struct net *net, uint32_t percent) {
    return below(net, 100) < percent;
}

static inline bool is_liar(const struct net *net, ord_node_id node) {
    return (net->liars & ord_replica_bit(node)) != 0;
}

static inline void post(struct net *net, ord_node_id from, ord_node_id to, struct ord_span bytes) {
    if (net->flying_count == MESSAGE_MAX)
        return; /* a full queue drops new messages */
    uint8_t *data = malloc(bytes.size);
    assert_non_null(data);
    memcpy(data, bytes.data, bytes.size);
    net->flying[net->flying_count++] = (struct flying) {.due_ms = net->now_ms + 1 + below(net, net->delay_ms_max),
                                                        .from = from,
                                                        .to = to,
                                                        .data = data,
                                                        .size = bytes.size};
}

static inline void note_change(struct net *net, ord_node_id from, struct ord_span bytes) {
    if (bytes.data[0] != BFT_VIEW_CHANGE)
        return;
    net->changes[from] = realloc(net->changes[from], bytes.size);
    assert_non_null(net->changes[from]);
    memcpy(net->changes[from], bytes.data, bytes.size);
    net->change_sizes[from] = bytes.size;
}

/* The highest view that a running replica is in, or is moving to. */
static inline uint64_t newest_view(const struct net *net) {
    uint64_t view = 0;
    for (ord_node_id node = 0; node < net->count; node++)
        if (net->hosts[node].core != NULL && net->hosts[node].view > view)
            view = net->hosts[node].view;
    return view;
}

static inline void lossy_post(struct net *net, ord_node_id from, ord_node_id to, struct ord_span bytes) {
    if (!net->healed && chance(net, net->loss_percent))
        return;
    post(net, from, to, bytes);
    if (!net->healed && chance(net, net->double_percent))
        post(net, from, to, bytes);
}

static inline void sign(struct net *net, struct ord_signature *out, ord_node_id signer, const struct ord_hash *hash) {
    stand_in_sign(&net->crypto, out, signer, hash);
}

/* A backup that votes at random, differently to each replica, and commits to what it never prepared. */
static inline void lie_as_backup(struct net *net, ord_node_id self) {
    const struct ord_core_config *config = &net->hosts[self].config;
    struct bft_vote_list list = {.view = newest_view(net), .sender = self};
    uint8_t bytes[BFT_PREPARE_SIZE_MAX];
    struct bft_vote_tree tree;
    struct ord_hash hash;
    ord_node_id to = (ord_node_id) below(net, net->count);
    struct ord_status status;
    if (is_liar(net, to) || net->hosts[to].core == NULL)
        return;
    bft_pbft.status(net->hosts[to].core, &status);
    uint64_t seq = status.delivered_seq > 2 ? status.delivered_seq - 2 : 0;
    list.type = chance(net, 50) ? BFT_PREPARE : BFT_COMMIT;
    list.count = (uint32_t) (1 + below(net, 5));
    for (uint32_t i = 0; i < list.count; i++) {
        seq += 1 + below(net, 3);
        list.votes[i].seq = seq;
        memset(&list.votes[i].digest, (int) below(net, 3), ORD_HASH_SIZE);
        /* Sometimes it takes the digest that the others vote for. */
        if (seq < HOST_SEQ_MAX && chance(net, 40))
            for (ord_node_id node = 0; node < net->count; node++) {
                const struct host_said *said = host_said_about(&net->hosts[node], BFT_PREPARE, list.view, seq);
                if (said != NULL)
                    list.votes[i].digest = said->digest;
            }
    }
    if (list.type == BFT_PREPARE) {
        bft_vote_tree_build(&tree, config, &list);
        bft_vote_tree_signed_hash(&hash, &tree, config);
        sign(net, &list.signature, self, &hash);
    }
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    bft_vote_list_encode(&writer, config, &list);
    post(net, self, to, ord_writer_span(&writer));
}

/* Makes the primary's proposal for a seq: a batch of this variant. */
static inline void make_proposal(struct net *net, uint8_t out[BFT_PRE_PREPARE_SIZE + 16],
                                 struct bft_pre_prepare *message, uint64_t number, uint8_t variant) {
    uint8_t body[16] = {0};
    ord_store_u64(body, number);
    body[8] = variant;
    message->body = ord_span_of(body, sizeof(body));
    bft_body_digest(&message->digest, &net->crypto, message->body);
    struct bft_statement statement = {.type = BFT_PRE_PREPARE,
                                      .view = message->view,
                                      .seq = message->seq,
                                      .digest = message->digest,
                                      .sender = message->sender};
    struct ord_hash hash;
    bft_statement_hash(&hash, &net->hosts[message->sender].config, &statement);
    sign(net, &message->signature, message->sender, &hash);
    bft_pre_prepare_encode(out, &net->hosts[message->sender].config, message);
    memcpy(out + BFT_PRE_PREPARE_SIZE, body, sizeof(body));
    message->body.data = out + BFT_PRE_PREPARE_SIZE;
}

/* A primary that says one thing to some and another to the rest, sometimes about seqs that are decided. */
static inline void lie_as_primary(struct net *net, ord_node_id self) {
    const struct ord_core_config *config = &net->hosts[self].config;
    uint64_t view = newest_view(net);
    if (bft_primary(config, view) != self)
        return;
    uint64_t next = net->batches_made++;
    uint64_t seq = net->agreed_count + 1 + (next + below(net, 4)) % 20;
    for (uint8_t variant = 0; variant < 2; variant++) {
        if (variant == 1 && !chance(net, 15))
            break;
        uint8_t bytes[BFT_PRE_PREPARE_SIZE + 16];
        struct bft_pre_prepare message = {.view = view, .seq = seq, .sender = self};
        make_proposal(net, bytes, &message, chance(net, 90) ? seq : next, variant);
        /* It also commits to both. */
        struct bft_vote_list list = {.type = BFT_COMMIT, .view = view, .sender = self, .count = 1};
        list.votes[0] = (struct bft_vote) {.seq = seq, .digest = message.digest};
        uint8_t commit[BFT_COMMIT_SIZE_MAX];
        struct ord_writer writer = ord_writer_of(commit, sizeof(commit));
        bft_vote_list_encode(&writer, config, &list);
        for (ord_node_id to = 0; to < net->count; to++)
            if (to != self && chance(net, variant == 0 ? 80 : 30)) {
                post(net, self, to, ord_span_of(bytes, sizeof(bytes)));
                post(net, self, to, ord_writer_span(&writer));
            }
    }
}

/*
 * A primary that tells each replica always the same, but different replicas different things; so no replica hears both
 * (row P1).
 */
static inline void lie_with_two_tongues(struct net *net, ord_node_id self) {
    uint64_t view = newest_view(net);
    uint64_t seq = net->agreed_count + 1 + below(net, 3);
    if (bft_primary(&net->hosts[self].config, view) != self)
        return;
    for (uint8_t variant = 0; variant < 2; variant++) {
        uint8_t bytes[BFT_PRE_PREPARE_SIZE + 16];
        struct bft_pre_prepare message = {.view = view, .seq = seq, .sender = self};
        make_proposal(net, bytes, &message, seq, variant);
        for (ord_node_id to = 0; to < net->count; to++)
            if (((variant == 0 ? net->told_one : net->told_two) & ord_replica_bit(to)) != 0)
                post(net, self, to, ord_span_of(bytes, sizeof(bytes)));
    }
}

/*
 * A view change without certificates, or with some of those that an honest replica has on disk, for the view that is on
 * its way or for one of the liar's choice.
 */
static inline void lie_about_past(struct net *net, ord_node_id self) {
    struct ord_core_config config = net->hosts[self].config;
    const struct host *host = &net->hosts[below(net, net->count)];
    uint64_t view = newest_view(net) + (chance(net, 70) ? 0 : 1 + below(net, 3));
    if (view == 0)
        return;
    size_t size = bft_view_change_size_max(&config);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    struct ord_writer writer = ord_writer_of(bytes, size);
    size_t count_at;
    uint32_t count = 0;
    bft_view_change_begin(&writer, &count_at, &config, view, 0, ord_span_of(NULL, 0));
    for (size_t i = 0; i < host->disk.count && chance(net, 95); i++) {
        const struct host_record *record = &host->disk.items[i];
        if (record->table != BFT_TABLE_CERTIFICATE || chance(net, 30) || record->key > config.window ||
            ord_load_u64(record->data + 17) >= view)
            continue;
        ord_write_span(&writer, ord_span_of(record->data, record->size));
        count++;
    }
    struct ord_hash hash;
    struct ord_signature signature;
    bft_view_change_end(&writer, count_at, count, &hash, &config, view);
    sign(net, &signature, self, &hash);
    ord_write_signature(&writer, &signature);
    assert_false(writer.failed);
    note_change(net, self, ord_writer_span(&writer));
    for (ord_node_id to = 0; to < net->count; to++)
        if (to != self && chance(net, 80))
            post(net, self, to, ord_writer_span(&writer));
    free(bytes);
}

/* A new view from real view changes that proposes what the liar likes: null batches only, or one digest of its own. */
static inline void lie_about_view(struct net *net, ord_node_id self) {
    const struct ord_core_config *config = &net->hosts[self].config;
    uint64_t view = newest_view(net);
    uint32_t have = 0;
    for (ord_node_id node = 0; node < net->count; node++)
        have += net->change_sizes[node] > 0 && ord_load_u64(net->changes[node] + 17) == view;
    if (view == 0 || bft_primary(config, view) != self || have < ord_bft_quorum(net->count))
        return;
    uint8_t *bytes = malloc(bft_new_view_size_max(config));
    assert_non_null(bytes);
    struct ord_writer writer = ord_writer_of(bytes, bft_new_view_size_max(config));
    struct bft_vote_list list = {.type = BFT_PRE_PREPARE, .view = view, .sender = self};
    uint64_t base_seq = chance(net, 50) ? 0 : net->agreed_count;
    list.count = (uint32_t) (1 + below(net, config->window < 20 ? config->window : 20));
    bft_header_write(&writer, config, BFT_NEW_VIEW, view, self);
    ord_write_u64(&writer, base_seq);
    ord_write_u32(&writer, list.count);
    for (uint32_t i = 0; i < list.count; i++) {
        list.votes[i].seq = base_seq + 1 + i;
        bft_body_digest(&list.votes[i].digest, config->crypto, ord_span_of(&view, chance(net, 20) ? 8 : 0));
        ord_write_hash(&writer, &list.votes[i].digest);
    }
    struct bft_vote_tree tree;
    struct ord_hash hash;
    struct ord_hash digest;
    struct ord_signature signature;
    bft_vote_tree_build(&tree, config, &list);
    bft_vote_tree_signed_hash(&hash, &tree, config);
    sign(net, &signature, self, &hash);
    ord_write_signature(&writer, &signature);
    ord_write_u8(&writer, (uint8_t) have);
    for (ord_node_id node = 0; node < net->count; node++) {
        if (net->change_sizes[node] == 0 || ord_load_u64(net->changes[node] + 17) != view)
            continue;
        struct bft_view_change change;
        assert_ok(bft_view_change_decode(&change, config, ord_span_of(net->changes[node], net->change_sizes[node])));
        ord_write_u32(&writer, node);
        ord_write_hash(&writer, &change.digest);
    }
    bft_view_message_hash(&hash, &digest, config, BFT_NEW_VIEW, view, self, ord_writer_span(&writer));
    sign(net, &signature, self, &hash);
    ord_write_signature(&writer, &signature);
    assert_false(writer.failed);
    for (ord_node_id to = 0; to < net->count; to++)
        if (to != self)
            post(net, self, to, ord_writer_span(&writer));
    free(bytes);
}

static inline void lie(struct net *net, ord_node_id self) {
    if (net->two_tongues)
        lie_with_two_tongues(net, self);
    else if (chance(net, 10))
        lie_about_past(net, self);
    else if (chance(net, 10))
        lie_about_view(net, self);
    else if (bft_primary(&net->hosts[self].config, newest_view(net)) == self)
        lie_as_primary(net, self);
    else
        lie_as_backup(net, self);
}

#endif
