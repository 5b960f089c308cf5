/*
 * The loop's own duties.
 */
#include "node_support.h"

#include <stdlib.h>

#include "tests/support/test_main.h"

/* What may wait for a commit that is needed anyway must not stop the intake meanwhile: the map cannot grow under it. */
static void room__is_made_by_a_commit_where_the_map_has_to_grow(void **state) {
    (void) state;
    static struct node_world world;
    node_world_open(&world);
    enum { RECORD_BYTES = 256 << 10, RECORDS_MAX = 4096 };
    uint8_t *bytes = calloc(1, RECORD_BYTES);
    assert_non_null(bytes);
    struct replica *replica = world.replica;
    node_world_turn(&world, 0);
    /* Lazy writes, a few in each turn, until there is no room beside them. */
    uint64_t key = 0;
    do {
        assert_true(++key < RECORDS_MAX);
        const struct ord_record record = {.table = 9, .key = key, .bytes = ord_span_of(bytes, RECORD_BYTES)};
        assert_ok(ledger_put_record(replica->ledger, &record));
    } while (ledger_room(replica->ledger) == ORD_OK);
    free(bytes);
    assert_true(ledger_dirty(replica->ledger));
    replica->commit_due_ms = UINT64_MAX;
    node_world_turn(&world, 0);
    assert_int_equal(count_get(&replica->counters.intake_stopped), 0);
    assert_true(replica->intake_open);
    assert_ok(ledger_room(replica->ledger));
    node_world_close(&world);
}

static const struct CMUnitTest cases[] = {
    cmocka_unit_test(room__is_made_by_a_commit_where_the_map_has_to_grow),
};
TEST_CASES(cases);
