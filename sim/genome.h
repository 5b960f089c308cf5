/*
 * A liar that is made up instead of written: a few rules, each of which does something to some of the messages of the
 * liar's own valid behaviour. A genome is drawn, mutated, written as text and read again (sim/genome.c). All liars of a
 * run follow the same one (sim/lies_genome.c), and `ordain-sim --search` breeds them (sim/search.h).
 */
#ifndef ORDAIN_SIM_GENOME_H
#define ORDAIN_SIM_GENOME_H

#include <stddef.h>

#include "sim/random.h"

enum { SIM_RULES_MAX = 5, SIM_GENOME_TEXT_MAX = 320 };

/* Types of a message on its way out. The consensus core's come first. */
#define SIM_WORDS(X)                                                                                                   \
    X(ANY, "any")                                                                                                      \
    X(PRE_PREPARE, "pre-prepare")                                                                                      \
    X(PREPARE, "prepare")                                                                                              \
    X(COMMIT, "commit")                                                                                                \
    X(STATUS, "status")                                                                                                \
    X(VIEW_CHANGE, "view-change")                                                                                      \
    X(NEW_VIEW, "new-view")                                                                                            \
    X(FETCH, "fetch")                                                                                                  \
    X(BODY, "body")                                                                                                    \
    X(RELAY, "relay")                                                                                                  \
    X(WITNESS, "witness")                                                                                              \
    X(ATTESTATION, "attestation")                                                                                      \
    X(CERTIFICATE, "certificate")                                                                                      \
    X(FORWARD, "forward")                                                                                              \
    X(SYNC, "sync")                                                                                                    \
    X(ANSWER, "answer")

enum sim_word {
#define SIM_WORD_ENUM(name, text) SIM_WORD_##name,
    SIM_WORDS(SIM_WORD_ENUM)
#undef SIM_WORD_ENUM
        SIM_WORD_COUNT
};

/*
 * FEW: the f honest replicas with the lowest ids. REST: the other honest ones. LEADER: the primary of the liar's view.
 */
enum sim_whom { SIM_WHOM_ALL, SIM_WHOM_FEW, SIM_WHOM_REST, SIM_WHOM_LEADER, SIM_WHOM_COUNT };

/* What the liar is at that moment: the primary, a backup, or between two views. */
enum sim_role { SIM_ROLE_ANY, SIM_ROLE_LEADING, SIM_ROLE_FOLLOWING, SIM_ROLE_CHANGING, SIM_ROLE_COUNT };

enum sim_act {
    SIM_ACT_DROP,
    SIM_ACT_DELAY, /* by `amount` thousandths of the request timeout */
    SIM_ACT_COPY,  /* send `amount` times more */
    SIM_ACT_HOLD,  /* until the liar has sent the next `amount` messages to that receiver */
    SIM_ACT_COUNT
};

/* Which of the messages that a rule fits. */
enum sim_when {
    SIM_WHEN_CHANCE, /* `rate` in a hundred */
    SIM_WHEN_EVERY,  /* one of `rate` in turn */
    SIM_WHEN_BURST,  /* all of them, during one of `rate` request timeouts in turn */
    SIM_WHEN_COUNT
};

struct sim_rule {
    uint8_t word; /* enum sim_word, and so on */
    uint8_t whom;
    uint8_t role;
    uint8_t act;
    uint8_t when;
    uint32_t amount; /* 0 with SIM_ACT_DROP, otherwise within the bounds of genome.c */
    uint32_t rate;
};

/* The first rule that fits a message decides what becomes of it. */
struct sim_genome {
    uint32_t count; /* 1 .. SIM_RULES_MAX */
    struct sim_rule rules[SIM_RULES_MAX];
};

void sim_genome_draw(struct sim_genome *out, struct sim_random *random);
/* Adds a rule, drops one, or changes a part of one. */
void sim_genome_mutate(struct sim_genome *genome, struct sim_random *random);
/*
 * Rules as WORD/WHOM/ROLE/ACT/WHEN with commas between them, as in "commit/all/leading/delay:870/100%". `out` has room
 * for SIM_GENOME_TEXT_MAX bytes.
 */
void sim_genome_print(char *out, const struct sim_genome *genome);
/* False: this is no genome. */
bool sim_genome_parse(struct sim_genome *out, const char *text);

#endif
