/*
 * How much a client may have under way: sent to a replica, and neither final nor given back. A window in bytes follows
 * what the client measures itself, so that the requests that wait in the channel, all clients together, cost a small
 * part of the time after which replicas suspect their primary.
 *
 * The delay from submission to receipt is the signal. By Little's law it is the bytes under way divided by the bytes
 * that become final in a second, so a window that keeps the delay at a target bounds time as well as bytes, whatever
 * the channel's rate. The target is one number for all clients of a channel, as in Swift (Kumar et al., SIGCOMM 2020):
 * a client that comes later measures others' queue and must not take it for the channel's own latency, as Vegas and
 * LEDBAT do.
 *
 * Below half of the target the channel is not full, and the window grows by a factor. Above it, the window grows with
 * its square root and shrinks in proportion to itself: a binomial control with k = -1/2, l = 1 (Bansal and
 * Balakrishnan, INFOCOM 2001), under which clients come to equal windows, and the delay grows little with their number.
 * BUSY, and requests that get no answer, shrink it as well.
 *
 * Pure: time is given in, and so is the seed of the jitter. The owner serialises.
 */
#ifndef ORDAIN_CLIENT_PACE_H
#define ORDAIN_CLIENT_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The window at the start. A client that has little to send never has less. */
#define CLIENT_PACE_WINDOW_FIRST (48u << 10)
#define CLIENT_PACE_WINDOW_MIN   (8u << 10)
#define CLIENT_PACE_WINDOW_MAX   (16u << 20)

/* An envelope enters `under_way` with client_pace_sent, and leaves it with _final, _final_again or _back. */
struct client_pace {
    /* The delay that the window aims to stay below. */
    uint64_t target_us;
    /* Bytes. CLIENT_PACE_WINDOW_MIN to CLIENT_PACE_WINDOW_MAX. */
    uint64_t window;
    uint64_t under_way;
    /*
     * A round lasts until something that was sent in it is final: one delay. The window changes at its end. It gathers
     * the sum and the number of delays.
     */
    uint64_t round_us;
    uint64_t round_delay_sum_us;
    uint64_t round_delay_count;
    uint64_t round_bytes;
    uint64_t round_under_way_max;
    /* The window held something back in this round. */
    bool round_limited;
    bool round_over;
    /* The window has not met any limit of the channel yet, and up to doubles each round. */
    bool starting;
    /* While starting: bytes that became final in each second of the last round, and the most that was under way. */
    uint64_t rate;
    uint64_t rate_under_way;
    /* When the window last shrank. What was sent before says nothing of the new window. */
    uint64_t shrunk_us;
    /* Nothing that was sent since then is final yet. */
    bool settling;
    /* Average delay in the last round; 0: none has ended yet. */
    uint64_t delay_us;
    uint64_t last_sent_us;
    uint64_t random;
};

/* `request_timeout_ms`: the channel's. `seed`: different in each client. */
void client_pace_init(struct client_pace *pace, uint32_t request_timeout_ms, uint64_t seed, uint64_t now_us);

/*
 * True if an envelope of `size` bytes may be sent now. One that is larger than the window goes alone; while the channel
 * is full, only once so much time has passed since the last one that the rate is the same as if the window had parts of
 * envelopes. False: not before something comes back, nor before *at_us (UINT64_MAX: time alone does not help).
 */
bool client_pace_room(struct client_pace *pace, uint64_t *at_us, size_t size, uint64_t now_us);
void client_pace_sent(struct client_pace *pace, size_t size, uint64_t now_us);
/* It left without a receipt: refused, or to be sent again. */
void client_pace_back(struct client_pace *pace, size_t size);
/*
 * Its receipt is verified. `sent_us`: when it was sent. `idle_us`: how much of the time since then it may have spent in
 * an open block that waited for more, rather than in a queue (client/flow/blocks.h).
 */
void client_pace_final(struct client_pace *pace, size_t size, uint64_t sent_us, uint64_t idle_us, uint64_t now_us);
/*
 * To be called when the receipts that came at the same time are given in: ends the round if it is over. Receipts come
 * in groups, and what was under way together counts together.
 */
void client_pace_adapt(struct client_pace *pace, uint64_t now_us);
/*
 * The same as client_pace_final for an envelope that was sent more than once, so that nobody knows how long it took
 * (Karn's rule).
 */
void client_pace_final_again(struct client_pace *pace, size_t size);
/* A replica answered BUSY to what was sent at `sent_us`. */
void client_pace_busy(struct client_pace *pace, uint64_t sent_us, uint64_t now_us);
/* What was sent at `sent_us` got no answer in time, or no receipt. */
void client_pace_lost(struct client_pace *pace, uint64_t sent_us, uint64_t now_us);

/*
 * When to ask again a replica that said to retry after so long: never sooner, and up to half as much later, so that
 * clients that were turned away together do not come back together.
 */
uint64_t client_pace_retry_us(struct client_pace *pace, uint32_t retry_after_ms);
/* How many bytes a client keeps in all: the window, and what is ready to follow at once. */
uint64_t client_pace_keep(const struct client_pace *pace);

#endif
