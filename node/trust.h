/*
 * Whom a replica believes on a connection. It lists the CAs of the genesis block and no others; a replica that it dials
 * must have a certificate of that replica's organisation, in that replica's name.
 */
#ifndef ORDAIN_NODE_TRUST_H
#define ORDAIN_NODE_TRUST_H

#include "channel/config.h"
#include "net/net.h"

/* The OU of the certificates that each port takes. */
#define NODE_REPLICA_PORT_ROLES "replica"
#define NODE_CLIENT_PORT_ROLES  "client operator"

/* TLS towards one replica. `tls` points into the struct, so it must not be moved. */
struct node_dial {
    struct net_tls tls;
    struct net_tls_rules rules;
    char ca_pem[CRYPTO_PEM_MAX];
};
/* `cert_pem` and `key_pem` are our own, and are borrowed. Errors as in crypto_cert_pem. */
ORD_MUST_USE enum ord_err node_dial_init(struct node_dial *out, const struct channel_config *config, uint32_t replica,
                                         const char *cert_pem, const char *key_pem);
/* The CA certificates of all organisations as one malloc'ed text. Errors as in crypto_cert_pem. */
ORD_MUST_USE enum ord_err node_trust_all(char **out, const struct channel_config *config);

#endif
