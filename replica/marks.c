/*
 * The counters of the coverage marks: the only thing in this folder that lives outside of what its callers own.
 */
#include "replica/marks.h"

#ifdef ORD_MARKS
REPLICA_MARKS(ORD_MARK_DEFINE)
#endif
