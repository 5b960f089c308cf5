/*
 * The table of the coverage marks of all rooms.
 */
#include "sim/marks.h"

#include <inttypes.h>
#include <stdio.h>

enum often { OFTEN, RARE };

static const struct {
    const char *name;
    const char *text;
    enum often often;
    const uint64_t *counter; /* NULL: this build counts none */
} known[SIM_MARK_COUNT] = {
#ifdef ORD_MARKS
#define SIM_MARK_KNOWN(name, often, text) {#name, text, often, &ord_mark_##name},
#else
#define SIM_MARK_KNOWN(name, often, text) {#name, text, often, NULL},
#endif
    SIM_MARKS_OF_ALL(SIM_MARK_KNOWN)
#undef SIM_MARK_KNOWN
};

#ifdef ORD_MARKS
SIM_MARKS(ORD_MARK_DEFINE)

bool sim_marks_count(void) {
    return true;
}

void sim_marks_after_run(struct sim_marks *marks) {
    for (uint32_t i = 0; i < SIM_MARK_COUNT; i++) {
        uint64_t hits = __atomic_load_n(known[i].counter, __ATOMIC_RELAXED);
        marks->runs[i] += hits > marks->hits[i];
        marks->hits[i] = hits;
    }
}
#else
bool sim_marks_count(void) {
    return false;
}

void sim_marks_after_run(struct sim_marks *marks) {
    (void) marks;
}
#endif

static void print(const struct sim_marks *marks, uint32_t i, bool json) {
    printf(json ? "{\"mark\": \"%s\", \"hits\": %" PRIu64 ", \"runs\": %" PRIu64 ", \"what\": \"%s\"}\n"
                : "%-30s %12" PRIu64 " %8" PRIu64 "  %s\n",
           known[i].name, marks->hits[i], marks->runs[i], known[i].text);
}

void sim_marks_print(const struct sim_marks *marks, bool json) {
    uint32_t met = 0;
    if (!json)
        printf("%-30s %12s %8s\n", "mark", "hits", "runs");
    for (int zero = 1; zero >= 0; zero--)
        for (uint32_t i = 0; i < SIM_MARK_COUNT; i++)
            if ((marks->hits[i] == 0) == (zero != 0)) {
                print(marks, i, json);
                met += marks->hits[i] > 0;
            }
    if (!json)
        printf("%" PRIu32 " of %d marks met\n", met, (int) SIM_MARK_COUNT);
}

uint32_t sim_marks_missing(const struct sim_marks *marks, bool all, enum sim_consensus consensus) {
    uint32_t missing = 0;
    for (uint32_t i = 0; i < SIM_MARK_COUNT; i++) {
        bool raft = i >= SIM_MARK_RAFT_FIRST && i < SIM_MARK_RAFT_END;
        if (consensus != SIM_CONSENSUS_ANY && raft != (consensus == SIM_CONSENSUS_RAFT))
            continue;
        if (marks->hits[i] > 0 || (known[i].often == RARE && !all))
            continue;
        fprintf(stderr, "ordain-sim: mark %s was never met: %s\n", known[i].name, known[i].text);
        missing++;
    }
    return missing;
}
