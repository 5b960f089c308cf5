/*
 * Calls for every part of the simulator: report a violation, write a line of the trace, plan an event.
 */
#include <stdarg.h>
#include <stdio.h>

#include "sim/world.h"

void sim_fail(struct sim_world *world, const char *format, ...) {
    if (world->failed)
        return;
    world->failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->failure, sizeof(world->failure), format, arguments);
    va_end(arguments);
    sim_say(world, -1, "VIOLATION %s", world->failure);
}

void sim_blame(const struct sim_replica *replica, const char *rule, const char *format, ...) {
    char text[sizeof(replica->world->failure)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    sim_fail(replica->world, "%s: replica %u %s", rule, replica->instance, text);
}

void sim_say(struct sim_world *world, int64_t instance, const char *format, ...) {
    if (!world->options.trace)
        return;
    printf("%9lu.%03lu  ", (unsigned long) (world->now_us / 1000), (unsigned long) (world->now_us % 1000));
    if (instance >= 0)
        printf("r%-3ld ", (long) instance);
    else
        printf("     ");
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

void sim_plan_event(struct sim_world *world, uint64_t delay_us, const struct sim_event *event) {
    struct sim_event planned = *event;
    planned.time_us = world->now_us + delay_us;
    sim_queue_add(&world->queue, &planned);
}
