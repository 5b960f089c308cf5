/*
 * Randomness of a run: xoshiro256** (Blackman and Vigna), seeded by splitmix64. Every draw of a run comes from such a
 * stream. Each part of the world has its own stream, so that a draw in one part does not shift the draws of another.
 */
#ifndef ORDAIN_SIM_RANDOM_H
#define ORDAIN_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state[4];
};

static inline uint64_t sim_splitmix(uint64_t *state) {
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The stream of part `part` of run `seed`. */
static inline struct sim_random sim_random_of(uint64_t seed, uint64_t part) {
    struct sim_random random;
    uint64_t state = seed ^ part * UINT64_C(0xd1342543de82ef95);
    for (uint32_t i = 0; i < 4; i++)
        random.state[i] = sim_splitmix(&state);
    return random;
}

static inline uint64_t sim_roll(struct sim_random *random) {
    uint64_t *s = random->state;
    uint64_t x = s[1] * 5;
    uint64_t result = (x << 7 | x >> 57) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result;
}

/* Gives 0 .. bound - 1. bound >= 1. */
static inline uint64_t sim_below(struct sim_random *random, uint64_t bound) {
    if (bound <= UINT32_MAX)
        return ((sim_roll(random) >> 32) * bound) >> 32;
    return sim_roll(random) % bound;
}

/* Gives low .. high. */
static inline uint64_t sim_between(struct sim_random *random, uint64_t low, uint64_t high) {
    return low + sim_below(random, high - low + 1);
}

/* True in `ppm` of a million cases. */
static inline bool sim_chance(struct sim_random *random, uint32_t ppm) {
    return ppm > 0 && sim_below(random, 1000000) < ppm;
}

/* Roughly exponential with this mean: many small, few large, at most 8 times the mean. */
static inline uint64_t sim_spread(struct sim_random *random, uint64_t mean) {
    uint64_t unit = sim_below(random, 1000);
    uint64_t factor = unit < 500   ? unit
                      : unit < 800 ? 500 + (unit - 500) * 4
                      : unit < 950 ? 1700 + (unit - 800) * 12
                                   : 3500 + (unit - 950) * 90;
    return mean * factor / 1000;
}

#endif
