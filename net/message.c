/*
 * Messages. In front of the owner's bytes there is space for the wire's length and backtrace, so that a message is sent
 * in one piece and without copying.
 */
#include <stdlib.h>
#include <string.h>

#include "core/assert.h"
#include "net/net_internal.h"

enum ord_err net_message_create(struct net_message **out, uint8_t **data, size_t size) {
    if (size > SIZE_MAX / 2)
        return ORD_ERR_NO_MEMORY;
    struct net_message *message = malloc(sizeof(*message) + NET_HEADROOM + size);
    if (message == NULL)
        return ORD_ERR_NO_MEMORY;
    *message = (struct net_message) {.head = NET_HEADROOM, .size = size};
    *out = message;
    *data = message->bytes + NET_HEADROOM;
    return ORD_OK;
}

struct ord_span net_message_bytes(const struct net_message *message) {
    return ord_span_of(message->bytes + message->head, message->size);
}

void net_message_truncate(struct net_message *message, size_t size) {
    ORD_ASSERT(size <= message->size);
    message->size = size;
}

void net_message_destroy(struct net_message *message) {
    free(message);
}

void net_message_prepend(struct net_message *message, const void *data, size_t size) {
    ORD_ASSERT(size <= message->head);
    message->head -= size;
    message->size += size;
    memcpy(message->bytes + message->head, data, size);
}

void net_message_trim(struct net_message *message, size_t size) {
    ORD_ASSERT(size <= message->size);
    message->head += size;
    message->size -= size;
}
