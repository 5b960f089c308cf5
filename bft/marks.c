/*
 * The counters of the coverage marks. Nothing else in this folder lives outside of the memory that its callers own.
 */
#include "bft/marks.h"

#ifdef ORD_MARKS
BFT_MARKS(ORD_MARK_DEFINE)
#endif
