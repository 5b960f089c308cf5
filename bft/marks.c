/*
 * The counters of the coverage marks: the only thing in this folder that lives outside of what its callers own.
 */
#include "bft/marks.h"

#ifdef ORD_MARKS
BFT_MARKS(ORD_MARK_DEFINE)
#endif
