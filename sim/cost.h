/*
 * What the work of a replica's processor costs, in the runs whose plan has costs (struct sim_costs). A process has the
 * threads of node/: the loop, and one for each queue of checks. Each does its jobs one after the other. The cores are
 * shared: with more busy threads than cores, each thread is slower by that factor. How many are busy is looked at when
 * a job begins, so a sum of jobs may exceed the cores by the length of one job.
 */
#ifndef ORDAIN_SIM_COST_H
#define ORDAIN_SIM_COST_H

#include "replica/verify.h"

struct sim_process;

enum { SIM_THREAD_LOOP = REPLICA_QUEUE_COUNT, SIM_THREAD_COUNT };

struct sim_cost {
    uint64_t busy_us[SIM_THREAD_COUNT]; /* the thread is done with all its jobs at this time */
    uint64_t loop_ns;                   /* work of the loop that busy_us does not have yet */
    uint64_t certificates;              /* that execution has verified, and that were charged to the loop */
    bool free_planned;                  /* SIM_FREE is under way */
};

/* A job of a thread begins as soon as the thread is free. Gives its end, in us of the world's time. */
uint64_t sim_cost_job(struct sim_process *process, uint32_t thread, uint64_t ns);
uint64_t sim_cost_check_ns(const struct sim_process *process, const struct replica_check *check);
/* The loop receives a message of this size, or sends it to `copies` replicas. */
void sim_cost_message(struct sim_process *process, size_t size, uint32_t copies);
void sim_cost_signature(struct sim_process *process);
/* A turn begins. */
void sim_cost_turn(struct sim_process *process);
/* The loop is busy for as long as the work since the last call takes. */
void sim_cost_spend(struct sim_process *process);
/* True if the loop's thread is at work. */
bool sim_cost_busy(const struct sim_process *process);
/* What a commit of so many bytes takes longer than an empty one. */
uint64_t sim_cost_write_us(const struct sim_process *process, uint64_t bytes);

#endif
