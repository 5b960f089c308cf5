/*
 * A client's own settings: client.cfg (libconfig), and the files that it names. The channel's settings are in the
 * genesis block instead.
 */
#ifndef ORDAIN_CLIENT_CONFIG_H
#define ORDAIN_CLIENT_CONFIG_H

#include "channel/config.h"

#define CLIENT_PATH_MAX 4096

struct client_address {
    char host[CHANNEL_HOST_MAX + 1];
    uint16_t port;
};

/* The paths are ready to open: a path that is relative in the file was joined to the file's folder. */
struct client_config {
    char channel[CHANNEL_NAME_MAX + 1];
    char genesis[CLIENT_PATH_MAX];
    char identity_key[CLIENT_PATH_MAX];
    char identity_cert[CLIENT_PATH_MAX];
    char tls_cert[CLIENT_PATH_MAX];
    char tls_key[CLIENT_PATH_MAX];
    /* How long one request may take; default 10000. */
    uint32_t timeout_ms;
    /* Submit requests in flight at the same time; default 64. */
    uint32_t in_flight_max;
    /* Default 64. */
    uint32_t envelopes_per_request;
    /* 0: use the addresses in the genesis block. */
    uint32_t replica_count;
    struct client_address replicas[ORD_REPLICA_MAX];
};

/*
 * Loads a file. On failure `why` (size why_size) gets a sentence that names file, line and setting: unknown settings,
 * wrong types and values out of range are errors. NOT_FOUND, INVALID.
 */
ORD_MUST_USE enum ord_err client_config_load(struct client_config *out, const char *path, char *why, size_t why_size);

/* "host:port" or "[v6]:port". INVALID. */
ORD_MUST_USE enum ord_err client_address_parse(struct client_address *out, const char *text);

/*
 * Reads a whole file. `*out` is malloc'ed and ends with a NUL that `size` does not count. NOT_FOUND, FORBIDDEN (no
 * permission, or not a regular file), TOO_LARGE, IO, NO_MEMORY.
 */
ORD_MUST_USE enum ord_err client_read_file(char **out, size_t *size, const char *path, size_t size_max, char *why,
                                           size_t why_size);
/*
 * The same for a private key; the caller wipes it. FORBIDDEN also when the file's mode gives group or others any
 * access.
 */
ORD_MUST_USE enum ord_err client_read_secret(char **out, size_t *size, const char *path, char *why, size_t why_size);

#endif
