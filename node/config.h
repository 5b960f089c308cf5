/*
 * A replica's own settings: node.cfg (libconfig). The settings that the channel agreed on are in the genesis block.
 */
#ifndef ORDAIN_NODE_CONFIG_H
#define ORDAIN_NODE_CONFIG_H

#include "core/err.h"
#include "core/types.h"

#define NODE_PATH_MAX 4096

enum node_log_level { NODE_LOG_ERROR, NODE_LOG_WARN, NODE_LOG_INFO, NODE_LOG_DEBUG };

/* Paths are absolute after loading; in the file they may be relative to the file's folder. */
struct node_config {
    uint32_t replica; /* index in the channel's configuration */
    char genesis_file[NODE_PATH_MAX];
    char data_dir[NODE_PATH_MAX];
    char identity_key_file[NODE_PATH_MAX];
    char tls_cert_file[NODE_PATH_MAX];
    char tls_key_file[NODE_PATH_MAX];
    /* Address on which other replicas connect; default 0.0.0.0. */
    char replica_listen_host[256];
    uint16_t replica_listen_port; /* 0: the port in the genesis block */
    char client_listen_host[256];
    uint16_t client_listen_port;
    /* Threads in each of the two pools that check envelopes; default: the machine's processors, at most 8. */
    uint32_t verify_threads;
    uint32_t pool_envelopes_max;   /* request pool; default 65536 */
    uint64_t pool_bytes_max;       /* default 64 MiB */
    uint32_t client_envelopes_max; /* per client; default 16384 */
    /* Per peer. 0, the default: 32 MiB, or two of the channel's largest frames if they need more. */
    uint64_t link_queue_bytes_max;
    uint32_t client_contexts;      /* public requests at once; default 256 */
    uint64_t ledger_map_bytes_max; /* default 1 TiB */
    /* Intake stops while the disk has less free space than this; default 64 MiB. */
    uint64_t disk_reserve_bytes;
    enum node_log_level log_level;
};

/* Writes a sentence to `why`, which may have no room for it, and gives `err` back. */
enum ord_err node_explain(char *why, size_t why_size, enum ord_err err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Loads a file of settings. On failure `why` (size why_size) gets a sentence that names file, line and setting. Unknown
 * settings, wrong types and values out of range are errors. NOT_FOUND, INVALID, NO_MEMORY.
 */
ORD_MUST_USE enum ord_err node_config_load(struct node_config *out, const char *path, char *why, size_t why_size);

/* `name` is "error", "warn", "info" or "debug". INVALID: it is anything else. */
ORD_MUST_USE enum ord_err node_log_level_parse(enum node_log_level *out, const char *name);

/*
 * Reads a private key file into `out`, and ends it with a NUL. FORBIDDEN: it is not a regular file, or its mode gives
 * group or others any permission.
 */
ORD_MUST_USE enum ord_err node_read_secret(char *out, size_t out_size, const char *path, char *why, size_t why_size);
/* Reads a whole file into malloc'ed memory. A NUL follows, which `size` does not count. TOO_LARGE: over size_max. */
ORD_MUST_USE enum ord_err node_read_file(uint8_t **out, size_t *size, const char *path, size_t size_max, char *why,
                                         size_t why_size);

#endif
