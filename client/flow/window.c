/*
 * Sequence numbers, in a ring as large as the channel's replay window.
 */
#include "client/flow/window.h"

#include <stdlib.h>
#include <string.h>

#include "core/assert.h"

void client_window_init(struct client_window *window, uint64_t highest) {
    memset(window, 0, sizeof(*window));
    /* A number next to 2^64 cannot be honest, and must not wrap around. */
    window->next = highest >= UINT64_MAX - CHANNEL_REPLAY_WINDOW ? 1 : highest + 1;
    window->lowest = window->next;
}

bool client_window_full(const struct client_window *window) {
    return window->next - window->lowest >= CHANNEL_REPLAY_WINDOW || window->next >= UINT64_MAX - CHANNEL_REPLAY_WINDOW;
}

enum ord_err client_window_take(struct client_window *window, uint64_t *sequence, void *owner) {
    ORD_ASSERT(owner != NULL);
    if (client_window_full(window))
        return ORD_ERR_NO_SPACE;
    *sequence = window->next++;
    ORD_ASSERT(window->slots[*sequence % CHANNEL_REPLAY_WINDOW] == NULL);
    window->slots[*sequence % CHANNEL_REPLAY_WINDOW] = owner;
    return ORD_OK;
}

void *client_window_owner(const struct client_window *window, uint64_t sequence) {
    if (sequence < window->lowest || sequence >= window->next)
        return NULL;
    return window->slots[sequence % CHANNEL_REPLAY_WINDOW];
}

static void advance(struct client_window *window) {
    while (window->lowest < window->next && window->slots[window->lowest % CHANNEL_REPLAY_WINDOW] == NULL)
        window->lowest++;
}

void client_window_release(struct client_window *window, uint64_t sequence) {
    ORD_ASSERT(client_window_owner(window, sequence) != NULL);
    window->slots[sequence % CHANNEL_REPLAY_WINDOW] = NULL;
    advance(window);
}

void client_window_skip(struct client_window *window, uint64_t next) {
    if (next >= UINT64_MAX - CHANNEL_REPLAY_WINDOW)
        return;
    if (client_window_empty(window)) {
        if (next > window->next)
            window->lowest = window->next = next;
        return;
    }
    uint64_t bound = window->lowest + CHANNEL_REPLAY_WINDOW - 1; /* leaves one number to give out */
    if (next > bound)
        next = bound;
    if (next > window->next)
        window->next = next;
}

bool client_window_empty(const struct client_window *window) {
    return window->lowest == window->next;
}

static int descending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *) a;
    uint64_t y = *(const uint64_t *) b;
    return x < y ? 1 : x > y ? -1 : 0;
}

uint64_t client_position(uint64_t *answers, uint32_t count, uint32_t faulty_max) {
    ORD_ASSERT(count >= 1);
    qsort(answers, count, sizeof(*answers), descending);
    return answers[faulty_max < count ? faulty_max : count - 1];
}
