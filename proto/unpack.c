/*
 * protobuf-c with an allocator that counts. It gives up at the first allocation beyond the budget, so a message that
 * unfolds costs neither memory nor the time to read the rest of it.
 */
#include "proto/unpack.h"

#include <stdlib.h>

enum {
    /* A message of a few bytes needs this for its fixed structures. */
    BUDGET_BASE = 4 << 10,
    /* The most that honest bytes unfold to: an array whose elements take two bytes each costs 36 times its size. */
    STRUCTURES_PER_BYTE = 64,
    ALLOCATION_OVERHEAD = 16,
};

struct budget {
    size_t left;
    bool exceeded;
    bool no_memory;
};

static void *budget_alloc(void *data, size_t size) {
    struct budget *budget = data;
    if (budget->left < ALLOCATION_OVERHEAD || size > budget->left - ALLOCATION_OVERHEAD) {
        budget->exceeded = true;
        budget->left = 0;
        return NULL;
    }
    budget->left -= size + ALLOCATION_OVERHEAD;
    void *memory = malloc(size == 0 ? 1 : size);
    budget->no_memory |= memory == NULL;
    return memory;
}

static void budget_free(void *data, void *pointer) {
    (void) data;
    free(pointer);
}

size_t proto_unpack_budget(size_t size, size_t structure_bytes_max) {
    size_t structures =
        size > structure_bytes_max / STRUCTURES_PER_BYTE ? structure_bytes_max : size * STRUCTURES_PER_BYTE;
    return BUDGET_BASE + size + structures;
}

enum ord_err proto_unpack(ProtobufCMessage **out, const ProtobufCMessageDescriptor *descriptor, struct ord_span bytes,
                          size_t structure_bytes_max) {
    struct budget budget = {.left = proto_unpack_budget(bytes.size, structure_bytes_max)};
    ProtobufCAllocator allocator = {.alloc = budget_alloc, .free = budget_free, .allocator_data = &budget};
    *out = protobuf_c_message_unpack(descriptor, &allocator, bytes.size, bytes.data);
    if (*out != NULL)
        return ORD_OK;
    return budget.no_memory ? ORD_ERR_NO_MEMORY : budget.exceeded ? ORD_ERR_TOO_LARGE : ORD_ERR_INVALID;
}

void proto_free(ProtobufCMessage *message) {
    /* Without an allocator protobuf-c calls free(), which fits malloc() above. */
    if (message != NULL)
        protobuf_c_message_free_unpacked(message, NULL);
}
