/*
 * Requests and answers as bytes.
 */
#include "sim/call.h"

#include "core/assert.h"

enum { ANSWER_HEAD = 1 + 4 + 4 + 8 + 4, RESULT_HEAD = 1 + 8 + 4 };

struct sim_buffer *sim_call_pack(const struct engine_request *request) {
    bool submits = request->kind == ENGINE_REQUEST_SUBMIT || request->kind == ENGINE_REQUEST_COPY;
    size_t size = 0;
    for (uint32_t i = 0; i < request->count; i++)
        size += submits ? 4 + request->entries[i]->size : 8;
    struct ord_writer writer = sim_writer(size);
    for (uint32_t i = 0; i < request->count; i++) {
        const struct client_entry *entry = request->entries[i];
        if (submits)
            ord_write_string(&writer, ord_span_of(entry->envelope, entry->size));
        else
            ord_write_u64(&writer, entry->sequence);
    }
    return sim_buffer_written(&writer);
}

struct sim_buffer *sim_call_answer(const struct engine_answer *answer) {
    size_t size = ANSWER_HEAD;
    ORD_ASSERT(answer->result_count <= SIM_RESULTS_MAX);
    for (uint32_t i = 0; i < answer->result_count; i++)
        size += RESULT_HEAD + answer->results[i].receipt.size;
    struct ord_writer writer = sim_writer(size);
    ord_write_u8(&writer, (uint8_t) answer->status);
    ord_write_u32(&writer, answer->retry_after_ms);
    ord_write_u32(&writer, answer->leader_hint);
    ord_write_u64(&writer, answer->position);
    ord_write_u32(&writer, answer->result_count);
    for (uint32_t i = 0; i < answer->result_count; i++) {
        ord_write_u8(&writer, (uint8_t) answer->results[i].status);
        ord_write_u64(&writer, answer->results[i].sequence);
        ord_write_string(&writer, answer->results[i].receipt);
    }
    return sim_buffer_written(&writer);
}

void sim_call_read(struct engine_answer *out, struct engine_result *results, struct ord_span bytes) {
    struct ord_reader reader = ord_reader_of(bytes);
    *out = (struct engine_answer) {.status = (enum engine_status) ord_read_u8(&reader)};
    out->retry_after_ms = ord_read_u32(&reader);
    out->leader_hint = ord_read_u32(&reader);
    out->position = ord_read_u64(&reader);
    out->result_count = ord_read_u32(&reader);
    out->results = results;
    for (uint32_t i = 0; i < out->result_count; i++) {
        results[i] = (struct engine_result) {.status = (enum engine_status) ord_read_u8(&reader)};
        results[i].sequence = ord_read_u64(&reader);
        results[i].receipt = ord_read_string(&reader, SIZE_MAX);
    }
    ORD_ASSERT(ord_reader_finish(&reader) == ORD_OK); /* sim_call_answer wrote it */
}
