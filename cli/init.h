/* The inside of `ordain init`: the plan that its arguments make, and the functions that carry it out. */
#ifndef ORDAIN_CLI_INIT_H
#define ORDAIN_CLI_INIT_H

#include "channel/config.h"

#define INIT_WHY_MAX     1024
#define INIT_CLIENTS_MAX 1000
#define INIT_DAYS        3650 /* validity of every certificate */

struct init_plan {
    const char *directory;
    uint32_t client_count;
    struct ord_hash genesis_hash; /* output */
    /* Input: numbers, name, consensus, and the replicas' hosts and ports. Output: organisations, names and keys. */
    struct channel_config config;
};

/* Each function below writes a sentence to `why`, which has INIT_WHY_MAX bytes, when it fails. */

/*
 * Gives every replica its two ports: consecutive ports from `base` on, or free ones if `base` is 0. A free port is
 * found by binding it, and stays bound until all are chosen. Free ports lie below the kernel's range for outgoing
 * connections; otherwise a restarting replica would sometimes find its port taken by an outgoing connection. IN_USE,
 * INVALID.
 */
ORD_MUST_USE enum ord_err init_choose_ports(struct channel_config *config, uint16_t base, char *why);

/*
 * Makes keys, certificates and the genesis block, and writes the whole folder. On failure everything that it made is
 * removed again. EXISTS: the folder exists and is not empty.
 */
ORD_MUST_USE enum ord_err init_write(struct init_plan *plan, char *why);

/* Adds a client of organisation `org` in the folder `directory`/`name`. */
ORD_MUST_USE enum ord_err init_add_client(const char *directory, const char *name, const char *org, char *why);

#endif
