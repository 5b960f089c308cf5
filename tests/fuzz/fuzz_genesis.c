/*
 * Decodes bytes of a file as a genesis block and as a configuration. Everything that is accepted must have one
 * encoding. Random bytes rarely pass the checks of the root and the certificates, so the input is also used as changes
 * (offset, byte) to an honest configuration.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "channel/block.h"
#include "core/assert.h"
#include "tests/support/channel_support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct net *net;
static uint8_t honest[CHANNEL_CONFIG_BYTES_MAX];
static size_t honest_size;

static void start(void) {
    net = net_create(NULL);
    struct ord_writer writer = ord_writer_of(honest, sizeof(honest));
    ORD_ASSERT(channel_config_encode(&net->config, &writer) == ORD_OK);
    honest_size = writer.size;
}

static void check_file(struct ord_span file) {
    static struct channel_config config;
    struct ord_hash hash;
    struct channel_header header;
    struct ord_span data;
    if (channel_genesis_open(&config, &hash, &header, &data, file) != ORD_OK)
        return;
    static uint8_t again[CHANNEL_CONFIG_BYTES_MAX + 1024];
    struct ord_writer writer = ord_writer_of(again, sizeof(again));
    ORD_ASSERT(channel_genesis_create(&header, &writer, &config) == ORD_OK);
    ORD_ASSERT(ord_span_equal(ord_writer_span(&writer), data));
}

static void check_config(struct ord_span bytes) {
    static struct channel_config config;
    if (channel_config_decode(&config, bytes) != ORD_OK)
        return;
    static uint8_t again[CHANNEL_CONFIG_BYTES_MAX];
    struct ord_writer writer = ord_writer_of(again, sizeof(again));
    ORD_ASSERT(channel_config_encode(&config, &writer) == ORD_OK);
    ORD_ASSERT(ord_span_equal(ord_writer_span(&writer), bytes));
    if (config.config_sequence != 0)
        return;
    static uint8_t file[CHANNEL_HEADER_SIZE + CHANNEL_CONFIG_BYTES_MAX + 1024];
    struct ord_writer data = ord_writer_of(file + CHANNEL_HEADER_SIZE, sizeof(file) - CHANNEL_HEADER_SIZE);
    struct channel_header header;
    ORD_ASSERT(channel_genesis_create(&header, &data, &config) == ORD_OK);
    channel_header_encode(file, &header);
    static struct channel_config opened;
    struct ord_hash hash;
    struct ord_span opened_data;
    ORD_ASSERT(channel_genesis_open(&opened, &hash, &header, &opened_data,
                                    ord_span_of(file, CHANNEL_HEADER_SIZE + data.size)) == ORD_OK);
    ORD_ASSERT(memcmp(&opened, &config, sizeof(config)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (net == NULL)
        start();
    check_file(ord_span_of(data, size));
    check_config(ord_span_of(data, size));
    static uint8_t changed[CHANNEL_CONFIG_BYTES_MAX];
    memcpy(changed, honest, honest_size);
    for (size_t i = 0; i + 3 <= size; i += 3)
        changed[((size_t) data[i] << 8 | data[i + 1]) % honest_size] = data[i + 2];
    check_config(ord_span_of(changed, honest_size));
    return 0;
}
