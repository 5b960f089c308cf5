/*
 * A replica's own settings: node.cfg (libconfig). What the channel agreed on is not here but in the genesis block.
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
    char tls_ca_file[NODE_PATH_MAX];
    char tls_cert_file[NODE_PATH_MAX];
    char tls_key_file[NODE_PATH_MAX];
    char replica_listen_host[256]; /* where other replicas connect; the port is the genesis block's unless given */
    uint16_t replica_listen_port;  /* 0: as in the genesis block */
    char client_listen_host[256];
    uint16_t client_listen_port;
    uint32_t verify_threads;       /* default: processors of the machine, at most 8 */
    uint32_t pool_envelopes_max;   /* request pool; default 65536 */
    uint64_t pool_bytes_max;       /* default 64 MiB */
    uint32_t client_envelopes_max; /* of one client in the pool; default 16384 */
    uint64_t link_queue_bytes_max; /* per peer; 0, the default: 32 MiB, or two of the channel's largest frames */
    uint32_t client_contexts;      /* public requests at the same time; default 256 */
    uint64_t ledger_map_bytes_max; /* default 1 TiB */
    uint64_t disk_reserve_bytes;   /* intake stops under so much free disk; default 64 MiB */
    enum node_log_level log_level;
};

/*
 * Loads a file. On failure `why` (size why_size) gets a sentence that names file, line and setting: unknown settings,
 * wrong types and values out of range are errors. NOT_FOUND, INVALID, NO_MEMORY.
 */
ORD_MUST_USE enum ord_err node_config_load(struct node_config *out, const char *path, char *why, size_t why_size);

/* "error", "warn", "info", "debug". INVALID: anything else. */
ORD_MUST_USE enum ord_err node_log_level_parse(enum node_log_level *out, const char *name);

/*
 * Reads a private key file into `out` (NUL-terminated). FORBIDDEN: its mode lets group or others read or write it, or
 * it is not a regular file.
 */
ORD_MUST_USE enum ord_err node_read_secret(char *out, size_t out_size, const char *path, char *why, size_t why_size);
/* Reads a whole file; malloc'ed, with a NUL behind it that `size` does not count. TOO_LARGE over size_max. */
ORD_MUST_USE enum ord_err node_read_file(uint8_t **out, size_t *size, const char *path, size_t size_max, char *why,
                                         size_t why_size);

#endif
