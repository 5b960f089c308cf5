/*
 * Coverage marks: named situations, rare ones above all, that a run meets or does not. The mark stands in the code
 * where the situation is known; `ordain-sim --marks` tells how often a swarm met each. Each room lists its own marks in
 * its marks.h, as a macro that takes a macro of three arguments:
 *
 *     X(NAME, OFTEN or RARE, "what it is")
 *
 * OFTEN: the simulator's fixed seeds meet it, or a test fails. RARE: the standard hour meets it (docs/testing.md).
 * Names are unique over all rooms.
 *
 * Without ORD_MARKS (release builds) there is nothing of it in a program.
 */
#ifndef ORDAIN_CORE_MARK_H
#define ORDAIN_CORE_MARK_H

#include <stdint.h>

/*
 * A mark's counter says how often it was met since the process began. Any thread may count. A room applies its list to
 * the first of these in its marks.h, and to the second in its marks.c where ORD_MARKS is defined.
 */
#define ORD_MARK_DECLARE(name, often, text) extern uint64_t ord_mark_##name;
#define ORD_MARK_DEFINE(name, often, text)  uint64_t ord_mark_##name;

#ifdef ORD_MARKS
#define ORD_MARK(name)               ((void) __atomic_fetch_add(&ord_mark_##name, 1, __ATOMIC_RELAXED))
#define ORD_MARK_IF(condition, name) ((condition) ? ORD_MARK(name) : (void) 0)
#else
#define ORD_MARK(name)               ((void) 0)
#define ORD_MARK_IF(condition, name) ((void) 0)
#endif

#endif
