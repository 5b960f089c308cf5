/*
 * PBFT behind the seam of core/protocol.h. Castro and Liskov, OSDI'99 and TOCS'02; see docs/protocol.md.
 */
#ifndef ORDAIN_BFT_BFT_H
#define ORDAIN_BFT_BFT_H

#include "core/protocol.h"

extern const struct ord_protocol bft_pbft;

#endif
