/*
 * Transmitters and lanes.
 */
#include "sim/line.h"

#include <stdlib.h>

#include "sim/world.h"

/* What node/links.c puts before a message, and what a frame takes besides: link header, tag, TLS record, TCP and IP. */
enum { MESSAGE_BYTES = 5, FRAME_BYTES = 150 };

static struct sim_packet *first_of(struct sim_lane *lane) {
    return &lane->packets[lane->first];
}

static void grow(struct sim_lane *lane) {
    size_t capacity = lane->capacity == 0 ? 16 : 2 * lane->capacity;
    struct sim_packet *packets = sim_alloc(capacity * sizeof(*packets));
    for (size_t i = 0; i < lane->count; i++)
        packets[i] = lane->packets[(lane->first + i) % lane->capacity];
    free(lane->packets);
    lane->packets = packets;
    lane->first = 0;
    lane->capacity = capacity;
}

static void push(struct sim_lane *lane, const struct sim_packet *packet) {
    if (lane->count == lane->capacity)
        grow(lane);
    lane->packets[(lane->first + lane->count++) % lane->capacity] = *packet;
    lane->bytes += packet->left;
}

static struct sim_packet pop(struct sim_lane *lane) {
    struct sim_packet packet = *first_of(lane);
    lane->first = (lane->first + 1) % lane->capacity;
    lane->count--;
    lane->bytes -= MESSAGE_BYTES + packet.buffer->size;
    return packet;
}

static void send_next(struct sim_world *world, uint32_t path, uint64_t ready_us) {
    struct sim_line *line = &world->paths[path].line;
    line->lane = line->lanes[0].count > 0 ? 0 : 1;
    struct sim_lane *lane = &line->lanes[line->lane];
    line->busy = lane->count > 0;
    if (!line->busy)
        return;
    size_t left = first_of(lane)->left;
    line->frame = line->lane == 1 && left > SIM_PIECE_BYTES ? SIM_PIECE_BYTES : left;
    uint64_t wait_us = ready_us > world->now_us ? ready_us - world->now_us : 0;
    uint64_t takes_us = (line->frame + FRAME_BYTES) * UINT64_C(1000000) / world->plan.costs.link_bytes_s + 1;
    const struct sim_event event = {.kind = SIM_LINE, .target = path};
    sim_plan_event(world, wait_us + takes_us, &event);
}

void sim_line_put(struct sim_world *world, uint32_t path, enum replica_link kind, struct sim_buffer *buffer,
                  uint64_t ready_us) {
    struct sim_line *line = &world->paths[path].line;
    uint32_t bulk = replica_link_bulk(world->protocol, kind, sim_buffer_span(buffer));
    const struct sim_packet packet = {kind, buffer, MESSAGE_BYTES + buffer->size};
    if (line->lanes[bulk].bytes + packet.left > world->lane_bytes_max[bulk]) {
        line->dropped++;
        return;
    }
    (void) sim_buffer_hold(buffer);
    push(&line->lanes[bulk], &packet);
    if (!line->busy)
        send_next(world, path, ready_us);
}

struct sim_packet sim_line_event(struct sim_world *world, uint32_t path) {
    struct sim_line *line = &world->paths[path].line;
    struct sim_lane *lane = &line->lanes[line->lane];
    struct sim_packet sent = {0};
    if (line->frame > 0) {
        first_of(lane)->left -= line->frame;
        if (first_of(lane)->left == 0)
            sent = pop(lane);
    }
    send_next(world, path, 0);
    return sent;
}

void sim_line_clear(struct sim_line *line) {
    for (uint32_t i = 0; i < 2; i++) {
        while (line->lanes[i].count > 0)
            sim_buffer_release(pop(&line->lanes[i]).buffer);
        free(line->lanes[i].packets);
        line->lanes[i] = (struct sim_lane) {0};
    }
    line->frame = 0;
}
