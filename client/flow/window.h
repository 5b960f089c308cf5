/*
 * A client's sequence numbers: which are open (given out but not final yet), which comes next, and how far ahead that
 * may be. The channel drops an envelope whose number is CHANNEL_REPLAY_WINDOW or more behind the highest that it
 * ordered. So no number is given out that far beyond the lowest open one. Pure; the owner serialises.
 */
#ifndef ORDAIN_CLIENT_WINDOW_H
#define ORDAIN_CLIENT_WINDOW_H

#include "channel/state.h"
#include "core/err.h"

struct client_window {
    /* Every number below is final or was never used. */
    uint64_t lowest;
    /* The next number to give out; lowest <= next <= lowest + CHANNEL_REPLAY_WINDOW. */
    uint64_t next;
    /* The owner of number s is at s modulo CHANNEL_REPLAY_WINDOW; NULL: not open. */
    void *slots[CHANNEL_REPLAY_WINDOW];
};

/* `highest`: the highest number of this client that the channel has ordered. */
void client_window_init(struct client_window *window, uint64_t highest);
bool client_window_full(const struct client_window *window);
/* Gives the next number to `owner` (not NULL). NO_SPACE: too far ahead of the lowest open one. */
ORD_MUST_USE enum ord_err client_window_take(struct client_window *window, uint64_t *sequence, void *owner);
/* The owner of an open number, or NULL. */
void *client_window_owner(const struct client_window *window, uint64_t sequence);
/* Releases a number that is final or will never be used. */
void client_window_release(struct client_window *window, uint64_t sequence);
/* Gives out no number below `next` any more, as far as the bound allows. */
void client_window_skip(struct client_window *window, uint64_t next);
bool client_window_empty(const struct client_window *window);

/*
 * A client's position from the answers of several replicas, of which `faulty_max` may lie: the (faulty_max + 1)-th
 * highest answer, so that at least one honest replica has ordered that much. With fewer answers: the lowest. Sorts
 * `answers`; count >= 1.
 */
uint64_t client_position(uint64_t *answers, uint32_t count, uint32_t faulty_max);

#endif
