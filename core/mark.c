/*
 * The counters of the coverage marks: the only thing in the pure folders that lives outside of what their callers own.
 */
#include "core/mark.h"

#ifdef ORD_MARKS
uint64_t ord_mark_hits[ORD_MARK_COUNT];
#endif
