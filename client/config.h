/*
 * A client's own settings: client.cfg (libconfig), and the files that it names. What the channel agreed on is not
 * here but in the genesis block.
 */
#ifndef ORDAIN_CLIENT_CONFIG_H
#define ORDAIN_CLIENT_CONFIG_H

#include "channel/config.h"

#define CLIENT_PATH_MAX 4096

struct client_address {
    char host[CHANNEL_HOST_MAX + 1];
    uint16_t port;
};

/* Paths are ready to open: those that are relative in the file are joined to the file's folder. */
struct client_config {
    char channel[CHANNEL_NAME_MAX + 1];
    char genesis[CLIENT_PATH_MAX];
    char identity_key[CLIENT_PATH_MAX];
    char identity_cert[CLIENT_PATH_MAX];
    char tls_ca[CLIENT_PATH_MAX];
    char tls_cert[CLIENT_PATH_MAX];
    char tls_key[CLIENT_PATH_MAX];
    uint32_t timeout_ms;            /* of one request; default 10000 */
    uint32_t in_flight_max;         /* submit requests at the same time; default 64 */
    uint32_t envelopes_per_request; /* default 64 */
    uint32_t replica_count;         /* 0: the genesis block's addresses */
    struct client_address replicas[ORD_REPLICA_MAX];
};

/*
 * Loads a file. On failure `why` (size why_size) gets a sentence that names file, line and setting: unknown settings,
 * wrong types and values out of range are errors. NOT_FOUND, INVALID.
 */
ORD_MUST_USE enum ord_err client_config_load(struct client_config *out, const char *path, char *why, size_t why_size);

/* "host:port" or "[v6]:port". INVALID. */
ORD_MUST_USE enum ord_err client_address_parse(struct client_address *out, const char *text);

/* Reads a whole file; malloc'ed, with a NUL behind it that `size` does not count. NOT_FOUND, TOO_LARGE, IO. */
ORD_MUST_USE enum ord_err client_read_file(char **out, size_t *size, const char *path, size_t size_max, char *why,
                                           size_t why_size);
/* The same for a private key. FORBIDDEN: its mode lets group or others at it, or it is not a regular file. Wipe it. */
ORD_MUST_USE enum ord_err client_read_secret(char **out, size_t *size, const char *path, char *why, size_t why_size);

#endif
