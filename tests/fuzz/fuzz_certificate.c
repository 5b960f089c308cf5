/*
 * Decodes bytes of a replica as a certificate and as an attestation. Everything that decodes must have one encoding,
 * and an honest certificate with any change (offset, byte) must not verify. Then the bytes are a script of attestations
 * for the collector, which must never attribute one to the wrong signer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "channel/attestation.h"
#include "core/assert.h"
#include "tests/support/channel_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net *net;
static uint8_t honest[CHANNEL_CERTIFICATE_SIZE_MAX];
static size_t honest_size;
static void *collector_memory;

static void start(void) {
    net = net_create(NULL);
    struct channel_statement statement = {.epoch = 1, .seq = 64, .height = 7};
    memset(&statement.header_hash, 0x33, sizeof(statement.header_hash));
    const struct channel_certificate certificate = net_certificate(net, &statement, 3);
    honest_size = channel_certificate_encode(honest, &certificate);
    collector_memory = net_alloc(net, channel_collector_size(4));
}

static void check_encodings(struct ord_span bytes) {
    struct channel_certificate certificate;
    uint8_t again[CHANNEL_CERTIFICATE_SIZE_MAX];
    if (channel_certificate_decode(&certificate, bytes) == ORD_OK) {
        size_t size = channel_certificate_encode(again, &certificate);
        ORD_ASSERT(ord_span_equal(ord_span_of(again, size), bytes));
    }
    struct channel_attestation attestation;
    if (channel_attestation_decode(&attestation, bytes) == ORD_OK) {
        channel_attestation_encode(again, &attestation);
        ORD_ASSERT(ord_span_equal(ord_span_of(again, CHANNEL_ATTESTATION_SIZE), bytes));
    }
}

static void check_changed(const uint8_t *data, size_t size) {
    uint8_t changed[CHANNEL_CERTIFICATE_SIZE_MAX];
    struct channel_certificate certificate;
    memcpy(changed, honest, honest_size);
    for (size_t i = 0; i + 3 <= size; i += 3)
        changed[((size_t) data[i] << 8 | data[i + 1]) % honest_size] = data[i + 2];
    bool same = memcmp(changed, honest, honest_size) == 0;
    bool good = channel_certificate_decode(&certificate, ord_span_of(changed, honest_size)) == ORD_OK &&
                channel_certificate_verify(&certificate, &net->config, &net->genesis_hash, &net->ops, 2) == ORD_OK;
    ORD_ASSERT(good == same);
}

/* Reads three bytes for each step: signer, seq, content. The first three bytes of each signature repeat them. */
static void check_collector(struct ord_span bytes) {
    struct channel_collector *collector;
    struct channel_certificate certificate;
    channel_collector_init(&collector, collector_memory, 4);
    for (struct ord_reader script = ord_reader_of(bytes); ord_reader_left(&script) >= 3;) {
        struct channel_attestation attestation = {.signer = ord_read_u8(&script) % 5};
        attestation.statement.seq = ord_read_u8(&script);
        uint8_t what = ord_read_u8(&script);
        if (what >= 0xfc) {
            channel_collector_prune(collector, attestation.statement.seq);
            continue;
        }
        attestation.statement.height = what % 3;
        attestation.signature.bytes[0] = (uint8_t) attestation.signer;
        attestation.signature.bytes[1] = (uint8_t) attestation.statement.seq;
        attestation.signature.bytes[2] = what % 3;
        if (channel_collector_add(collector, &certificate, &attestation, 2) != ORD_OK)
            continue;
        ORD_ASSERT(certificate.count >= 2 && certificate.count <= 4);
        for (uint32_t i = 0; i < certificate.count; i++) {
            ORD_ASSERT(i == 0 || certificate.signers[i] > certificate.signers[i - 1]);
            ORD_ASSERT(certificate.signatures[i].bytes[0] == certificate.signers[i]);
            ORD_ASSERT(certificate.signatures[i].bytes[1] == certificate.statement.seq);
            ORD_ASSERT(certificate.signatures[i].bytes[2] == certificate.statement.height);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (net == NULL)
        start();
    check_encodings(ord_span_of(data, size));
    check_changed(data, size);
    check_collector(ord_span_of(data, size));
    return 0;
}
