/* Who a certificate names, and whether the rules of this side let it pass. */
#include <openssl/bio.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_internal.h"

/*
 * Reads the only field of a kind. False: there are several, or it is too long or empty, or holds a byte below a blank.
 * A missing field leaves `out` empty.
 */
static bool field(char out[NET_NAME_MAX + 1], const X509_NAME *name, int nid) {
    out[0] = '\0';
    int at = X509_NAME_get_index_by_NID(name, nid, -1);
    if (at < 0)
        return true;
    if (X509_NAME_get_index_by_NID(name, nid, at) >= 0)
        return false;
    unsigned char *text = NULL;
    int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    bool good = size > 0 && size <= NET_NAME_MAX;
    for (int i = 0; i < size && good; i++)
        good = text[i] >= 0x20 && text[i] != 0x7f;
    if (good) {
        memcpy(out, text, (size_t) size);
        out[size] = '\0';
    }
    if (size >= 0)
        OPENSSL_free(text);
    return good;
}

bool net_tls_member_of(struct net_member *out, const struct x509_st *cert) {
    const X509_NAME *subject = X509_get_subject_name(cert);
    return field(out->organisation, subject, NID_organizationName) &&
           field(out->role, subject, NID_organizationalUnitName) && field(out->name, subject, NID_commonName) &&
           out->organisation[0] != '\0' && out->name[0] != '\0';
}

void net_tls_subject_text(char out[NET_SUBJECT_MAX], const struct x509_st *cert) {
    out[0] = '\0';
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL && X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_ONELINE) >= 0) {
        int size = BIO_read(bio, out, NET_SUBJECT_MAX - 1);
        out[size > 0 ? size : 0] = '\0';
    }
    BIO_free(bio);
    for (char *at = out; *at != '\0'; at++)
        if (*at < 0x20 || *at > 0x7e || *at == '"' || *at == '\\')
            *at = '?';
}

/* True if `word` is one of the words of `list`, which blanks separate. */
static bool listed(const char *list, const char *word) {
    size_t size = strlen(word);
    for (const char *at = list; *at != '\0';) {
        size_t length = strcspn(at, " ");
        if (length == size && memcmp(at, word, size) == 0)
            return true;
        at += length + (at[length] == ' ');
    }
    return false;
}

const char *net_tls_error_text(int error) {
    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "none of the CAs that are trusted here has issued it";
    default:
        return X509_verify_cert_error_string(error);
    }
}

const char *net_tls_refusal(struct net_member *out, const struct net_tls_rules *rules, const struct x509_st *cert,
                            const struct x509_st *issuer) {
    struct net_member ca;
    if (!net_tls_member_of(out, cert))
        return "its subject does not have one organisation and one name";
    if (!field(ca.organisation, X509_get_subject_name(issuer), NID_organizationName) ||
        strcmp(ca.organisation, out->organisation) != 0)
        return "it names another organisation than its CA does";
    if (rules->roles[0] != '\0' && !listed(rules->roles, out->role))
        return "its role has no business here";
    if (rules->organisation[0] != '\0' && strcmp(rules->organisation, out->organisation) != 0)
        return "it is of another organisation than the peer that was called";
    if (rules->name[0] != '\0' && strcmp(rules->name, out->name) != 0)
        return "it has another name than the peer that was called";
    return NULL;
}

bool net_tls_chain_check(char why[NET_WHY_MAX], struct net_member *out, const struct net_tls_rules *rules,
                         const STACK_OF(X509) * chain) {
    const char *refusal = "none of the CAs that are trusted here has issued it itself";
    if (sk_X509_num(chain) == 2)
        refusal = net_tls_refusal(out, rules, sk_X509_value(chain, 0), sk_X509_value(chain, 1));
    snprintf(why, NET_WHY_MAX, "%s", refusal == NULL ? "" : refusal);
    return refusal == NULL;
}
