/*
 * Converts certificates and keys between PEM (RFC 7468), DER and our own structs.
 */
#include "crypto/hash.h"
#include "crypto/internal.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

/* Refuses encrypted files. Without this callback OpenSSL would ask for the password at the terminal. */
static int refuse_password(char *buffer, int size, int writing, void *argument) {
    if (size > 0)
        buffer[0] = '\0';
    (void) writing;
    (void) argument;
    return -1;
}

static BIO *bio_of_text(const char *text) {
    size_t size = strlen(text);
    return size > INT32_MAX ? NULL : BIO_new_mem_buf(text, (int) size);
}

X509 *crypto_x509_of_pem(const char *pem) {
    BIO *bio = bio_of_text(pem);
    X509 *cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, refuse_password, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return cert;
}

EVP_PKEY *crypto_pkey_of_pem(const char *pem) {
    BIO *bio = bio_of_text(pem);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, refuse_password, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

enum ord_err crypto_cert_der(uint8_t *out, size_t *size, const char *pem) {
    X509 *cert = crypto_x509_of_pem(pem);
    if (cert == NULL)
        return ORD_ERR_INVALID;
    enum ord_err err = ORD_OK;
    int needed = i2d_X509(cert, NULL);
    if (needed <= 0) {
        err = ORD_ERR_INVALID;
    } else if ((size_t) needed > *size) {
        err = ORD_ERR_NO_SPACE;
    } else {
        uint8_t *end = out;
        *size = (size_t) i2d_X509(cert, &end);
    }
    X509_free(cert);
    ERR_clear_error();
    return err;
}

enum ord_err crypto_take_text(char text[CRYPTO_PEM_MAX], BIO *bio) {
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    if (size <= 0 || size >= CRYPTO_PEM_MAX)
        return ORD_ERR_TOO_LARGE;
    memcpy(text, data, (size_t) size);
    text[size] = '\0';
    return ORD_OK;
}

enum ord_err crypto_cert_pem(char out[CRYPTO_PEM_MAX], struct ord_span der) {
    X509 *cert = NULL;
    enum ord_err err = crypto_x509_of_der(&cert, der);
    if (err != ORD_OK)
        return err;
    BIO *bio = BIO_new(BIO_s_mem());
    err = bio == NULL || PEM_write_bio_X509(bio, cert) != 1 ? ORD_ERR_NO_MEMORY : crypto_take_text(out, bio);
    BIO_free(bio);
    X509_free(cert);
    ERR_clear_error();
    return err;
}

/*
 * True if the public key that the file holds belongs to the private key. A file pieced together from two keys is
 * refused.
 */
static bool public_half_fits(EVP_PKEY *key, const struct crypto_private_key *private_key) {
    uint8_t point[65];
    size_t point_size = 0;
    struct ord_public_key expected;
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &point_size) != 1 ||
        crypto_public_key(&expected, private_key) != ORD_OK)
        return false;
    /* In both forms x follows the first byte. The sign of y is in the first byte (compressed) or in y's last byte. */
    if (point_size != 33 && point_size != 65)
        return false;
    uint8_t sign = point_size == 33 ? point[0] : (uint8_t) (2 + (point[64] & 1));
    return sign == expected.bytes[0] && memcmp(point + 1, expected.bytes + 1, 32) == 0;
}

enum ord_err crypto_private_key_load(struct crypto_private_key *out, const char *pem) {
    EVP_PKEY *key = crypto_pkey_of_pem(pem);
    BIGNUM *number = NULL;
    struct crypto_private_key loaded = {{0}};
    char group[32] = "";
    enum ord_err err = ORD_ERR_INVALID;

    if (key != NULL && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
        strcmp(group, "secp256k1") == 0 && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number) == 1 &&
        BN_bn2binpad(number, loaded.bytes, sizeof(loaded.bytes)) == (int) sizeof(loaded.bytes) &&
        public_half_fits(key, &loaded)) {
        *out = loaded;
        err = ORD_OK;
    }
    crypto_wipe(&loaded, sizeof(loaded));
    BN_clear_free(number);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}

void crypto_cert_fingerprint(struct ord_hash *out, struct ord_span der) {
    crypto_sha256(out, &der, 1);
}

enum ord_err crypto_pair_check(const char *cert_pem, const char *key_pem) {
    X509 *cert = crypto_x509_of_pem(cert_pem);
    EVP_PKEY *key = crypto_pkey_of_pem(key_pem);
    enum ord_err err = ORD_ERR_INVALID;
    if (cert != NULL && key != NULL)
        err = X509_check_private_key(cert, key) == 1 ? ORD_OK : ORD_ERR_MISMATCH;
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}
