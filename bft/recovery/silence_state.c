/*
 * The silence as it is on disk, and the proof that begins or extends it. Row V16.
 */
#include "bft/bft_internal.h"

void bft_silence_keep(struct ord_core *core, enum bft_silence_state state) {
    struct bft_silence *silence = &core->silence;
    ord_store_u64(silence->record, silence->bound_seq);
    ord_store_u64(silence->record + 8, silence->floor_view);
    silence->record[16] = (uint8_t) state;
    silence->kept = state;
    bft_persist(core, BFT_TABLE_SILENCE, 1, ord_span_of(silence->record, sizeof(silence->record)));
}

enum ord_err bft_silence_record_check(struct ord_span record) {
    if (record.size == 0)
        return ORD_OK;
    return record.size == BFT_SILENCE_SIZE && ord_load_u64(record.data) <= BFT_SEQ_MAX &&
                   ord_load_u64(record.data + 8) <= BFT_SEQ_MAX && record.data[16] >= BFT_SILENCE_EMPTY &&
                   record.data[16] <= BFT_SILENCE_SPEAKS
               ? ORD_OK
               : ORD_ERR_CORRUPT;
}

void bft_silence_prove(struct ord_core *core, uint64_t view, uint64_t seq) {
    struct bft_silence *silence = &core->silence;
    bool spoke = bft_speaks(core);
    if (silence->silent && seq <= silence->bound_seq && view <= silence->floor_view)
        return;
    silence->silent = true;
    silence->bound_seq = ord_max(silence->bound_seq, seq);
    silence->floor_view = ord_max(silence->floor_view, view);
    if (!silence->asking)
        silence->bound_seq = ord_max(silence->bound_seq, silence->reach_seq);
    bft_silence_keep(core, BFT_SILENCE_SILENT);
    if (!spoke)
        return;
    core->next_view = core->view;
    core->detail.suspecting = false;
    core->detail.has_reason = false;
    if (bft_primary(&core->config, core->view) == core->config.self)
        /* For this node, no replica leads any more. */
        bft_announce_leader(core);
}
