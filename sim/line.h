/*
 * The sending end of a path, in the runs whose plan has costs: a transmitter with a bandwidth, and before it the two
 * lanes of node/links.c. Bulk goes only while no vote waits, and at most SIM_PIECE_BYTES of it at a time. A lane has a
 * bound in bytes, and a message that does not fit is dropped, as links_send does. A frame is one message or one piece:
 * messages do not share frames here.
 */
#ifndef ORDAIN_SIM_LINE_H
#define ORDAIN_SIM_LINE_H

#include "replica/host.h"
#include "sim/buffer.h"

#define SIM_PIECE_BYTES (64u << 10)

struct sim_world;

struct sim_packet {
    enum replica_link kind;
    struct sim_buffer *buffer; /* held */
    size_t left;               /* bytes that have not left yet */
};

struct sim_lane {
    struct sim_packet *packets; /* ring */
    size_t first;
    size_t count;
    size_t capacity;
    uint64_t bytes; /* of the messages in it */
};

struct sim_line {
    struct sim_lane lanes[2]; /* bulk is 1 */
    /* A frame is on its way out: so much of the first packet of `lane`. 0: its packet was dropped meanwhile. */
    bool busy;
    uint8_t lane;
    size_t frame;
    uint64_t dropped; /* messages */
};

/* Takes a hold of its own. `ready_us`: an idle transmitter begins no earlier. */
void sim_line_put(struct sim_world *world, uint32_t path, enum replica_link kind, struct sim_buffer *buffer,
                  uint64_t ready_us);
/* The frame has left. Gives the packet that left whole with it, which the caller then holds; buffer NULL: none. */
struct sim_packet sim_line_event(struct sim_world *world, uint32_t path);
/* The sender is gone, and all that waited with it. */
void sim_line_clear(struct sim_line *line);

#endif
