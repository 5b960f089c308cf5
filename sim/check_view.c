/*
 * Checks new views against a plain reference (OSDI'99, section 4.4). Every NEW-VIEW that an honest replica installs
 * must rest on a quorum of view changes that were really said, and must propose exactly what follows from them.
 */
#include <stdlib.h>
#include <string.h>

#include "bft/wire/view_message.h"
#include "channel/config.h"
#include "sim/check.h"
#include "sim/process.h"

struct sim_changes {
    struct sim_map by_digest; /* (first 8, next 8 bytes of the digest, sender) -> index + 1 */
    struct sim_buffer **items;
    size_t count;
    size_t capacity;
};

void sim_changes_deinit(struct sim_checker *checker) {
    if (checker->changes == NULL)
        return;
    for (size_t i = 0; i < checker->changes->count; i++)
        sim_buffer_release(checker->changes->items[i]);
    sim_map_deinit(&checker->changes->by_digest);
    free(checker->changes->items);
    free(checker->changes);
}

static void remember(struct sim_replica *replica, struct ord_span message) {
    struct sim_checker *checker = replica->world->checker;
    struct bft_view_change change;
    bool fresh;
    if (message.size == 0 || message.data[0] != BFT_VIEW_CHANGE || replica->process == NULL ||
        bft_view_change_decode(&change, &replica->process->core_config, message) != ORD_OK ||
        change.sender != replica->id)
        return;
    /* The digest is that of the content. A liar may send it under a bad signature first. */
    if (replica->liar && bft_view_change_verify(&change, &replica->process->core_config, message) != ORD_OK)
        return;
    if (checker->changes == NULL)
        checker->changes = sim_alloc(sizeof(*checker->changes));
    struct sim_changes *all = checker->changes;
    struct sim_map_entry *entry = sim_map_insert(&all->by_digest, &fresh, ord_load_u64(change.digest.bytes),
                                                 ord_load_u64(change.digest.bytes + 8), change.sender);
    if (!fresh)
        return;
    all->items = sim_grow(all->items, &all->capacity, all->count, sizeof(struct sim_buffer *));
    all->items[all->count++] = sim_buffer_create(message);
    entry->number = all->count;
}

void sim_check_heard(struct sim_replica *replica, enum replica_link kind, const struct sim_buffer *message) {
    if (kind == REPLICA_LINK_CORE && sim_is_pbft(replica->world))
        remember(replica, sim_buffer_span(message));
}

struct choice {
    bool some;
    uint64_t view;
    struct ord_hash digest;
};

/* Adds what one view change contributes to the choice above `base`. */
static void consider(struct choice *choices, uint64_t base, uint32_t window, const struct ord_core_config *config,
                     struct bft_view_change *change) {
    struct bft_statement statement;
    struct ord_span certificate;
    while (bft_view_change_next(&statement, &certificate, &change->certificates, config)) {
        if (statement.seq <= base || statement.seq > base + window)
            continue;
        struct choice *choice = &choices[statement.seq - base - 1];
        bool better = !choice->some || statement.view > choice->view ||
                      (statement.view == choice->view && memcmp(statement.digest.bytes, choice->digest.bytes, 32) < 0);
        if (better)
            *choice = (struct choice) {true, statement.view, statement.digest};
    }
}

static const char *new_view_fault(struct sim_replica *replica, const struct bft_new_view *view) {
    const struct sim_world *world = replica->world;
    const struct ord_core_config *config = &replica->process->core_config;
    struct bft_view_change changes[ORD_REPLICA_MAX];
    uint64_t base = 0;
    if (view->change_count < channel_strong_quorum(world->config) || view->change_count > world->replica_count)
        return "rests on too few view changes";
    ord_node_id last = ORD_NO_NODE;
    for (uint32_t i = 0; i < view->change_count; i++) {
        ord_node_id sender;
        struct ord_hash digest;
        bft_new_view_change(&sender, &digest, view, i);
        if (last != ORD_NO_NODE && sender <= last)
            return "counts a view change twice";
        last = sender;
        const struct sim_map_entry *entry =
            world->checker->changes == NULL
                ? NULL
                : sim_map_find(&world->checker->changes->by_digest, ord_load_u64(digest.bytes),
                               ord_load_u64(digest.bytes + 8), sender);
        if (entry == NULL)
            return "rests on a view change that nobody said";
        const struct sim_buffer *said = world->checker->changes->items[entry->number - 1];
        if (bft_view_change_verify(&changes[i], config, sim_buffer_span(said)) != ORD_OK)
            return "rests on a view change that does not verify";
        if (changes[i].view != view->view)
            return "rests on a view change of another view";
        const char *fault = sim_change_fault(world, &changes[i], config);
        if (fault != NULL)
            return fault;
        if (changes[i].stable_seq > base)
            base = changes[i].stable_seq;
    }
    if (view->base_seq != base)
        return "has another base than the highest stable checkpoint";
    struct choice *choices = sim_alloc(config->window * sizeof(*choices));
    for (uint32_t i = 0; i < view->change_count; i++)
        consider(choices, base, config->window, config, &changes[i]);
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->window; i++)
        if (choices[i].some)
            count = i + 1;
    const char *fault = view->count == count ? NULL : "proposes more or fewer seqs";
    struct ord_hash none;
    bft_body_digest(&none, config->crypto, ord_span_of(NULL, 0));
    for (uint32_t i = 0; i < count && fault == NULL; i++) {
        struct ord_hash digest;
        bft_new_view_entry(&digest, view, base + 1 + i);
        if (!ord_hash_equal(&digest, choices[i].some ? &choices[i].digest : &none))
            fault = "proposes another batch than the certificates say";
    }
    free(choices);
    return fault;
}

void sim_check_persisted(struct sim_replica *replica, uint8_t table, uint64_t key, struct ord_span bytes) {
    struct sim_world *world = replica->world;
    struct bft_new_view view;
    if (!sim_is_pbft(world))
        return;
    if (table == TABLE_NEW_VIEW && replica->process != NULL &&
        bft_new_view_decode(&view, &replica->process->core_config, bytes) == ORD_OK)
        sim_turns_installed(replica, &view);
    /* It is said in this turn, perhaps after a new view that counts it. */
    if (table == TABLE_VIEW_CHANGE && key == replica->id)
        remember(replica, bytes);
    if (replica->liar || world->failed)
        return;
    const char *fault = table == TABLE_CERTIFICATE ? sim_prepared_fault(world, replica->id, bytes) : NULL;
    if (fault != NULL)
        sim_fail(world, "certificate: what replica %u keeps as prepared at seq %lu %s", replica->instance,
                 (unsigned long) key, fault);
    if (table != TABLE_NEW_VIEW)
        return;
    sim_check_returned_void(replica);
    fault = bft_new_view_decode(&view, &replica->process->core_config, bytes) != ORD_OK
                ? "is malformed"
                : new_view_fault(replica, &view);
    if (fault != NULL)
        sim_fail(world, "new view: that of view %lu, which replica %u installs, %s", (unsigned long) view.view,
                 replica->instance, fault);
}
