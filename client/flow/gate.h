/*
 * What callers and the engine share: the client's numbers, how much is open, and the envelopes that callers have handed
 * over. A caller enters, signs, and hands over; the engine takes what was handed over, and releases what is finished.
 * Pure; the owner serialises, so that several threads may enter while the engine is at work.
 */
#ifndef ORDAIN_CLIENT_FLOW_GATE_H
#define ORDAIN_CLIENT_FLOW_GATE_H

#include "client/flow/entry.h"
#include "client/flow/window.h"

struct client_gate {
    struct client_entries inbox;
    struct client_window window;
    /* Numbers that were given out whose envelopes are not in the inbox yet. */
    uint32_t signing_count;
    /* Entries that need a fresh number. They go before new submissions. */
    uint32_t reserved;
    /* No numbers are given out while the engine assigns new ones. */
    bool paused;
    uint64_t open_count;
    uint64_t open_bytes;
    /*
     * Callers wait while this many bytes are open. It is more than the pace's window, and an envelope enters below it
     * whatever its own size: so the window is what holds envelopes back, and knows that it does.
     */
    uint64_t open_bytes_max;
    uint64_t unaccepted_count;
    /* The statistics as of the engine's last turn. */
    struct ordain_statistics statistics;
};

/* One more envelope may enter. */
bool client_gate_room(const struct client_gate *gate);
/* Takes a number for an entry whose envelope will have `size` bytes. There must be room. */
void client_gate_enter(struct client_gate *gate, struct client_entry *entry, size_t size);
/* The entry is signed: the engine owns it now. */
void client_gate_hand_over(struct client_gate *gate, struct client_entry *entry);
/* The entry was not signed. Its number is free again. */
void client_gate_leave(struct client_gate *gate, struct client_entry *entry, size_t size);

#endif
