/*
 * The one error type of Ordain. Every fallible function returns `enum ord_err`; codes of OpenSSL, libsecp256k1, LMDB,
 * nng and errno are translated at the edge of the folder that calls them.
 */
#ifndef ORDAIN_CORE_ERR_H
#define ORDAIN_CORE_ERR_H

#define ORD_ERR_LIST(X)                                                                                                \
    X(OK, "ok")                                                                                                        \
    X(INVALID, "malformed or out of range")                                                                            \
    X(TOO_LARGE, "larger than the limit")                                                                              \
    X(NO_MEMORY, "out of memory")                                                                                      \
    X(NO_SPACE, "a bounded buffer, window, map or disk is full")                                                       \
    X(NOT_FOUND, "not found")                                                                                          \
    X(EXISTS, "exists already")                                                                                        \
    X(DUPLICATE, "seen before")                                                                                        \
    X(STALE, "older than what is accepted")                                                                            \
    X(TOO_NEW, "further ahead than what is accepted")                                                                  \
    X(BAD_SIGNATURE, "signature does not verify")                                                                      \
    X(FORBIDDEN, "not allowed")                                                                                        \
    X(UNKNOWN_CLIENT, "client is not registered")                                                                      \
    X(CORRUPT, "stored bytes fail their check")                                                                        \
    X(MISMATCH, "does not match what it must match")                                                                   \
    X(IO, "input or output failed")                                                                                    \
    X(BUSY, "busy, try again later")                                                                                   \
    X(TIMEOUT, "timed out")                                                                                            \
    X(CLOSED, "closed")                                                                                                \
    X(IN_USE, "address in use")                                                                                        \
    X(WRONG_STATE, "not possible in this state")                                                                       \
    X(UNSUPPORTED, "not supported")                                                                                    \
    X(CRYPTO, "a cryptographic library call failed")

enum ord_err {
#define ORD_ERR_ENUM(name, text) ORD_ERR_##name,
    ORD_ERR_LIST(ORD_ERR_ENUM)
#undef ORD_ERR_ENUM
};

#define ORD_OK       ORD_ERR_OK
#define ORD_MUST_USE __attribute__((warn_unused_result))

/* The error's name, such as "TOO_LARGE". Never NULL. */
const char *ord_err_name(enum ord_err err);

/* The error's description, such as "larger than the limit". Never NULL. */
const char *ord_err_text(enum ord_err err);

#endif
