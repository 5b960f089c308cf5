/*
 * TLS. Mutual authentication is always required. TLS 1.2 is the newest version that nng 1.5.2 with mbedTLS 2.28 has. A
 * certificate separates members from strangers; crypto/link.h then says *which* member a peer is. Names are therefore
 * not compared: the configuration has no server name, and nng then checks none.
 */
#include "net/net_internal.h"

enum ord_err net_tls_config_create(nng_tls_config **out, const struct net_tls *tls, nng_tls_mode mode) {
    *out = NULL;
    if (tls == NULL)
        return ORD_OK;
    if (tls->ca_pem == NULL || tls->cert_pem == NULL || tls->key_pem == NULL)
        return ORD_ERR_INVALID;
    nng_tls_config *config;
    int code = nng_tls_config_alloc(&config, mode);
    if (code != 0)
        return code == NNG_ENOMEM ? ORD_ERR_NO_MEMORY : ORD_ERR_CRYPTO;
    /* Set the mode before the certificates: by default an nng server asks for no certificate. */
    code = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED);
    if (code == 0)
        code = nng_tls_config_version(config, NNG_TLS_1_2, NNG_TLS_1_2);
    if (code == 0)
        code = nng_tls_config_ca_chain(config, tls->ca_pem, NULL);
    if (code == 0)
        code = nng_tls_config_own_cert(config, tls->cert_pem, tls->key_pem, NULL);
    if (code != 0) {
        nng_tls_config_free(config);
        return code == NNG_ENOMEM ? ORD_ERR_NO_MEMORY : ORD_ERR_INVALID;
    }
    *out = config;
    return ORD_OK;
}

enum ord_err net_tls_ca_check(const char *ca_pem) {
    nng_tls_config *config;
    int code = nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT);
    if (code != 0)
        return code == NNG_ENOMEM ? ORD_ERR_NO_MEMORY : ORD_ERR_CRYPTO;
    code = nng_tls_config_ca_chain(config, ca_pem, NULL);
    nng_tls_config_free(config);
    return code == 0 ? ORD_OK : code == NNG_ENOMEM ? ORD_ERR_NO_MEMORY : ORD_ERR_INVALID;
}

void net_tls_config_destroy(nng_tls_config *config) {
    if (config != NULL)
        nng_tls_config_free(config);
}
