/*
 * Future events, in the order of (time, number). Two events of one time happen in the order in which they were planned,
 * so a run depends on its seed alone.
 */
#ifndef ORDAIN_SIM_QUEUE_H
#define ORDAIN_SIM_QUEUE_H

#include "sim/buffer.h"

enum sim_event_kind {
    /* A message arrives at replica instance `target` from replica id `source`; a: enum replica_link. */
    SIM_FRAME,
    /* An envelope arrives at `target` from client `source`; a: its sequence. */
    SIM_SUBMIT,
    /* A request of client `source`'s engine arrives at `target`; a: the call's number, b: enum engine_request_kind. */
    SIM_ASK,
    /* A request for receipts has waited long enough. */
    SIM_WAITED,
    /* Some signatures are checked; a, b: which of the process's checks. */
    SIM_CHECKED,
    /* A replica's timer; a: which setting of it. */
    SIM_WAKE,
    /* A replica's disk is done with a turn. */
    SIM_COMMIT,
    /* A replica's loop is done with its work. */
    SIM_FREE,
    /*
     * The kinds before this one are for a process. A replica's answer arrives at client `target`; a: sequence, b: enum
     * sim_answer; buffer: a receipt.
     */
    SIM_REPLY,
    /* A path's transmitter is done with a frame; `target`: the path. */
    SIM_LINE,
    /* The answer to a call of client `target`'s engine; a: the call's number. */
    SIM_ANSWER,
    SIM_CLIENT, /* a client has something to do */
    /* `target`: the action (faults.c); a: a replica instance, if the action has one. */
    SIM_FAULT,
    /* A liar acts by itself; `target`: instance. */
    SIM_LIE,
    /* An aimed fault goes on (aim.c); a: which. */
    SIM_AIM,
    SIM_TROUBLE,
};

struct sim_event {
    uint64_t time_us;
    uint64_t order;
    enum sim_event_kind kind;
    uint32_t target;
    uint32_t source;
    /* The incarnation of the target process, for events that one process planned for itself. */
    uint32_t incarnation;
    uint64_t a;
    uint64_t b;
    struct sim_buffer *buffer; /* held; may be NULL */
};

struct sim_queue {
    struct sim_event *items; /* binary heap */
    size_t count;
    size_t capacity;
    uint64_t next_order;
};

/* Takes over the event's hold of its buffer. */
void sim_queue_add(struct sim_queue *queue, const struct sim_event *event);
/* False: the queue is empty. Otherwise the caller holds the buffer. */
bool sim_queue_take(struct sim_queue *queue, struct sim_event *out);
void sim_queue_deinit(struct sim_queue *queue);

#endif
