/*
 * The counters of the coverage marks. Nothing else in this folder lives outside of the memory that its callers own.
 */
#include "raft/marks.h"

#ifdef ORD_MARKS
RAFT_MARKS(ORD_MARK_DEFINE)
#endif
