/*
 * `ordain init`, inside: the plan that the arguments make, and the parts that carry it out.
 */
#ifndef ORDAIN_CLI_INIT_H
#define ORDAIN_CLI_INIT_H

#include "channel/config.h"

#define INIT_WHY_MAX     1024
#define INIT_CLIENTS_MAX 1000
#define INIT_DAYS        3650 /* validity of every certificate */

struct init_plan {
    const char *directory;
    uint32_t client_count;
    struct ord_hash genesis_hash; /* out */
    /* Numbers, name, consensus, and the replicas' hosts and ports come in; organisations and keys are filled in. */
    struct channel_config config;
};

/* Something to say when it fails: `why` has INIT_WHY_MAX bytes. */

/*
 * Gives every replica its two ports: consecutive from `base`, or (base 0) free ones. Free ports are tried by binding, held
 * until all are chosen, and lie under the kernel's range for outgoing connections: a replica that restarts would otherwise
 * find its port taken by somebody's outgoing connection now and then. IN_USE, INVALID.
 */
ORD_MUST_USE enum ord_err init_choose_ports(struct channel_config *config, uint16_t base, char *why);

/*
 * Makes keys, certificates and genesis block, and writes the whole folder. What it made is gone again when it fails. EXISTS: the
 * folder is there and not empty.
 */
ORD_MUST_USE enum ord_err init_write(struct init_plan *plan, char *why);

/* A further client of organisation `org` in folder `directory`/`name`. */
ORD_MUST_USE enum ord_err init_add_client(const char *directory, const char *name, const char *org, char *why);

#endif
