/*
 * Genomes: draws, mutations, and their text.
 */
#include "sim/genome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[SIM_WORD_COUNT] = {
#define SIM_WORD_TEXT(name, text) text,
    SIM_WORDS(SIM_WORD_TEXT)
#undef SIM_WORD_TEXT
};
static const char *const whoms[SIM_WHOM_COUNT] = {"all", "few", "rest", "leader"};
static const char *const roles[SIM_ROLE_COUNT] = {"any", "leading", "following", "changing"};
static const char *const acts[SIM_ACT_COUNT] = {"drop", "delay", "copy", "hold"};
static const uint32_t amounts_max[SIM_ACT_COUNT] = {0, 3000, 16, 64};
static const char *const whens[SIM_WHEN_COUNT] = {"chance", "every", "burst"};
static const uint32_t rates_max[SIM_WHEN_COUNT] = {100, 64, 16};

/* ---- draws ---- */

static uint8_t pick(struct sim_random *random, uint32_t count) {
    return (uint8_t) sim_below(random, count);
}

/* 1 .. most, small ones as often as large ones. */
static uint32_t draw_amount(struct sim_random *random, uint32_t most) {
    uint32_t bound = most >> sim_below(random, 4);
    return (uint32_t) sim_between(random, 1, bound > 0 ? bound : 1);
}

static void draw_act(struct sim_rule *rule, struct sim_random *random) {
    rule->act = pick(random, SIM_ACT_COUNT);
    rule->amount = rule->act == SIM_ACT_DROP ? 0 : draw_amount(random, amounts_max[rule->act]);
}

static void draw_when(struct sim_rule *rule, struct sim_random *random) {
    rule->when = pick(random, SIM_WHEN_COUNT);
    rule->rate = draw_amount(random, rates_max[rule->when]);
    if (sim_chance(random, 400000)) {
        rule->when = SIM_WHEN_CHANCE;
        rule->rate = 100;
    }
}

/* An answer goes to a client: it has one receiver, and can only be left out. */
static void settle(struct sim_rule *rule) {
    if (rule->word != SIM_WORD_ANSWER)
        return;
    rule->whom = SIM_WHOM_ALL;
    rule->act = SIM_ACT_DROP;
    rule->amount = 0;
}

static void draw_rule(struct sim_rule *rule, struct sim_random *random) {
    *rule = (struct sim_rule) {.word = pick(random, SIM_WORD_COUNT), .role = pick(random, SIM_ROLE_CHANGING)};
    if (sim_chance(random, 500000))
        rule->whom = pick(random, SIM_WHOM_COUNT);
    if (sim_chance(random, 100000))
        rule->role = SIM_ROLE_CHANGING;
    draw_act(rule, random);
    draw_when(rule, random);
    settle(rule);
}

void sim_genome_draw(struct sim_genome *out, struct sim_random *random) {
    *out = (struct sim_genome) {.count = (uint32_t) sim_between(random, 1, 3)};
    for (uint32_t i = 0; i < out->count; i++)
        draw_rule(&out->rules[i], random);
}

static void change(struct sim_rule *rule, struct sim_random *random) {
    switch (sim_below(random, 6)) {
    case 0:
        rule->word = pick(random, SIM_WORD_COUNT);
        break;
    case 1:
        rule->whom = pick(random, SIM_WHOM_COUNT);
        break;
    case 2:
        rule->role = pick(random, SIM_ROLE_COUNT);
        break;
    case 3:
        draw_act(rule, random);
        break;
    case 4: /* a little more or less of the same */
        rule->amount = rule->amount * (uint32_t) sim_between(random, 6, 15) / 10;
        rule->amount = rule->amount > amounts_max[rule->act] ? amounts_max[rule->act] : rule->amount;
        rule->amount = rule->act != SIM_ACT_DROP && rule->amount == 0 ? 1 : rule->amount;
        break;
    default:
        draw_when(rule, random);
        break;
    }
    settle(rule);
}

void sim_genome_mutate(struct sim_genome *genome, struct sim_random *random) {
    uint64_t what = sim_below(random, 10);
    uint32_t at = (uint32_t) sim_below(random, genome->count);
    if (what < 3 && genome->count < SIM_RULES_MAX) {
        memmove(&genome->rules[at + 1], &genome->rules[at], (genome->count - at) * sizeof(genome->rules[0]));
        draw_rule(&genome->rules[at], random);
        genome->count++;
    } else if (what < 5 && genome->count > 1) {
        genome->count--;
        memmove(&genome->rules[at], &genome->rules[at + 1], (genome->count - at) * sizeof(genome->rules[0]));
    } else {
        change(&genome->rules[at], random);
    }
}

/* ---- text ---- */

void sim_genome_print(char *out, const struct sim_genome *genome) {
    size_t used = 0;
    for (uint32_t i = 0; i < genome->count; i++) {
        const struct sim_rule *rule = &genome->rules[i];
        char amount[16] = "";
        char when[24];
        if (rule->act != SIM_ACT_DROP)
            snprintf(amount, sizeof(amount), ":%u", rule->amount);
        if (rule->when == SIM_WHEN_CHANCE)
            snprintf(when, sizeof(when), "%u%%", rule->rate);
        else
            snprintf(when, sizeof(when), "%s:%u", whens[rule->when], rule->rate);
        int size = snprintf(out + used, SIM_GENOME_TEXT_MAX - used, "%s%s/%s/%s/%s%s/%s", i > 0 ? "," : "",
                            words[rule->word], whoms[rule->whom], roles[rule->role], acts[rule->act], amount, when);
        used += (size_t) size;
    }
}

/* Reads one of the names and what stands behind it. */
static bool parse_name(uint8_t *out, const char **text, const char *const *names, uint32_t count, char end) {
    size_t size = strcspn(*text, ":/,");
    for (uint32_t i = 0; i < count; i++)
        if (strlen(names[i]) == size && strncmp(*text, names[i], size) == 0 &&
            ((*text)[size] == end || ((*text)[size] == '/' && end == ':'))) {
            *out = (uint8_t) i;
            *text += size + ((*text)[size] == '/');
            return true;
        }
    return false;
}

/* A number from 1 to `most`, and the character after it. */
static bool parse_amount(uint32_t *out, const char **text, uint32_t most) {
    char *end;
    if (**text < '0' || **text > '9')
        return false;
    unsigned long number = strtoul(*text, &end, 10);
    *text = end;
    *out = (uint32_t) number;
    return number >= 1 && number <= most;
}

static bool parse_when(struct sim_rule *rule, const char **text) {
    rule->when = SIM_WHEN_CHANCE;
    if (**text >= '0' && **text <= '9')
        return parse_amount(&rule->rate, text, rates_max[SIM_WHEN_CHANCE]) && *(*text)++ == '%';
    return parse_name(&rule->when, text, whens, SIM_WHEN_COUNT, ':') && *(*text)++ == ':' &&
           parse_amount(&rule->rate, text, rates_max[rule->when]);
}

static bool parse_rule(struct sim_rule *rule, const char **text) {
    if (!parse_name(&rule->word, text, words, SIM_WORD_COUNT, '/') ||
        !parse_name(&rule->whom, text, whoms, SIM_WHOM_COUNT, '/') ||
        !parse_name(&rule->role, text, roles, SIM_ROLE_COUNT, '/') ||
        !parse_name(&rule->act, text, acts, SIM_ACT_COUNT, ':'))
        return false;
    if (rule->act != SIM_ACT_DROP &&
        (*(*text)++ != ':' || !parse_amount(&rule->amount, text, amounts_max[rule->act]) || *(*text)++ != '/'))
        return false;
    return (rule->word != SIM_WORD_ANSWER || rule->act == SIM_ACT_DROP) && parse_when(rule, text);
}

bool sim_genome_parse(struct sim_genome *out, const char *text) {
    *out = (struct sim_genome) {0};
    do {
        if (out->count == SIM_RULES_MAX || !parse_rule(&out->rules[out->count++], &text))
            return false;
    } while (*text++ == ',');
    return text[-1] == '\0';
}
