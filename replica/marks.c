/*
 * The counters of the coverage marks. They are the only global state in this folder.
 */
#include "replica/marks.h"

#ifdef ORD_MARKS
REPLICA_MARKS(ORD_MARK_DEFINE)
#endif
