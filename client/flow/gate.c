/* What callers and the engine share. */
#include "client/flow/gate.h"

#include "core/assert.h"

bool client_gate_room(const struct client_gate *gate) {
    bool bytes_full = gate->open_bytes >= gate->open_bytes_max;
    return !gate->paused && gate->reserved == 0 && !bytes_full && !client_window_full(&gate->window);
}

void client_gate_enter(struct client_gate *gate, struct client_entry *entry, size_t size) {
    enum ord_err err = client_window_take(&gate->window, &entry->sequence, entry);
    ORD_ASSERT(err == ORD_OK); /* it was not full */
    gate->signing_count++;
    gate->open_count++;
    gate->open_bytes += size;
    gate->unaccepted_count++;
}

void client_gate_hand_over(struct client_gate *gate, struct client_entry *entry) {
    gate->signing_count--;
    client_entries_push(&gate->inbox, entry);
    gate->statistics.submitted++;
}

void client_gate_leave(struct client_gate *gate, struct client_entry *entry, size_t size) {
    gate->signing_count--;
    client_window_release(&gate->window, entry->sequence);
    gate->open_count--;
    gate->open_bytes -= size;
    gate->unaccepted_count--;
}
