/* A crypto table for tests of the folders below crypto/: real SHA-256, no keys. */
#ifndef ORDAIN_TESTS_PLAIN_HASH_H
#define ORDAIN_TESTS_PLAIN_HASH_H

#include <openssl/evp.h>

#include "core/assert.h"
#include "core/crypto_ops.h"

static inline void plain_hash(struct ord_hash *out, const struct ord_span *parts, size_t part_count) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    ORD_ASSERT(context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    for (size_t i = 0; i < part_count; i++)
        ORD_ASSERT(EVP_DigestUpdate(context, parts[i].data, parts[i].size) == 1);
    ORD_ASSERT(EVP_DigestFinal_ex(context, out->bytes, NULL) == 1);
    EVP_MD_CTX_free(context);
}

static const struct ord_crypto_ops plain_crypto = {.hash = plain_hash};

#endif
